//! What crosses towards trunks and phones beside the call itself: who calls, by whose word, and how a phone is to ring.

use super::guard::Guard;
use super::net::World;
use super::phone::Script;
use super::{ANN, BOB, finals, office, ruleset, s};

const ONE: &str = "127.0.1.8:5060";
const PLACES: &str = "[\"127.0.1.0/24\"]";

/// Ann, Bob with a phone of this model, and a trunk with these keys.
fn world(keys: &str, model: &str) -> World {
    let model = if model.is_empty() { String::new() } else { format!("model = \"{model}\"") };
    let users = format!(
        "[user.ann]\next = \"100\"\nvoicemail = {{ enabled = false }}\n\
         caller_id = {{ external = {{ name = \"Ann\", number = \"+12025550100\" }} }}\n\
         [user.bob]\next = \"200\"\nvoicemail = {{ enabled = false }}\n\
         [device.bob1]\nuser = \"bob\"\naccept_from = {PLACES}\n{model}\n\
         [number.\"+12025550100\"]\nto = \"user:ann\"\n[number.\"+12025550101\"]\nto = \"user:bob\"\n\
         [trunk.one]\nproxy = \"127.0.1.8\"\naccept_from = [\"127.0.1.8\"]\n{keys}\n\
         [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
         [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\"]\n"
    );
    let answer = Script::Answer { after: s(1) };
    let phones = [(ANN, "ann1", answer), (BOB, "bob1", answer), (ONE, "one", answer)];
    office(ruleset(&users, &[("ann1", "ann")]), &phones, &[("one", ONE)])
}

fn call(world: &mut World, from: &str, to: &str) {
    world.act(from, |phone, now| drop(phone.call(now, to, s(2))));
    world.run(s(10));
}

#[test]
fn one_registration_stands_for_all_of_our_numbers() {
    let mut world = world("register = { user = \"office\", secret = \"plain:secret\", gin = true }", "");
    world.phone(ONE).guard = Some(Guard::new("secret"));
    world.run(s(900)); // a refresh, and its challenge
    let register = world.phone(ONE).guard.as_ref().unwrap().last.clone();
    for field in [
        "Contact: <sip:127.0.0.1:5060;bnc>;expires=600",
        "Require: gin",
        "Proxy-Require: gin",
        "Supported: gin, path",
    ] {
        assert!(register.contains(field), "{register}");
    }
    call(&mut world, ONE, "+12025550100");
    assert_eq!(finals(&mut world, ONE), [200]);
    assert_eq!(world.records[0].did.as_deref(), Some("+12025550100"));
}

#[test]
fn privacy_that_is_critical_and_unknown_is_refused() {
    for (privacy, status) in [("id;critical", 200), ("id;hovercraft", 200), ("id;hovercraft;critical", 500)] {
        let mut world = world("", "");
        world.phone(ANN).extra = format!("Privacy: {privacy}\r\n");
        call(&mut world, ANN, "200");
        assert_eq!(finals(&mut world, ANN), [status], "{privacy}");
    }
}

#[test]
fn a_trunk_that_reads_remote_party_id_is_told_who_calls() {
    let field = |privacy: &str| {
        format!(
            "Remote-Party-ID: \"Ann\" <sip:+12025550100@pbx.example>;party=calling;screen=yes;privacy={privacy}"
        )
    };
    for (keys, privacy, says) in [
        ("", "", None),
        ("remote_party_id = true", "", Some(field("off"))),
        ("remote_party_id = true", "Privacy: id\r\n", None),
        ("remote_party_id = true\ntrust = true", "Privacy: id\r\n", Some(field("full"))),
    ] {
        let mut world = world(keys, "");
        world.phone(ANN).extra = privacy.to_owned();
        call(&mut world, ANN, "+12025550199");
        let invite = world.phone(ONE).invites[0].clone();
        let line = invite.lines().find(|line| line.starts_with("Remote-Party-ID")).map(str::to_owned);
        assert_eq!(line, says, "{keys} {privacy}");
        let anonymous = "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=";
        assert_eq!(invite.contains(anonymous), !privacy.is_empty(), "{invite}");
    }
}

#[test]
fn a_phone_is_told_where_a_call_comes_from_in_its_makers_words() {
    for (model, inside, outside) in [
        ("", "<urn:alert:source:internal>", "<urn:alert:source:external>"),
        ("snom D785", "<http://localhost>;info=alert-internal", "<http://localhost>;info=alert-external"),
        ("Yealink T46U", "<http://localhost>;info=Bellcore-dr1", "<http://localhost>;info=Bellcore-dr2"),
    ] {
        let mut world = world("", model);
        call(&mut world, ANN, "200");
        call(&mut world, ONE, "+12025550101");
        let invites = world.phone(BOB).invites.clone();
        assert!(invites[0].contains(&format!("Alert-Info: {inside}\r\n")), "{}", invites[0]);
        assert!(invites[1].contains(&format!("Alert-Info: {outside}\r\n")), "{}", invites[1]);
        call(&mut world, BOB, "+12025550199");
        assert!(!world.phone(ONE).invites[0].contains("Alert-Info"), "a trunk rings no phone of ours");
    }
}
