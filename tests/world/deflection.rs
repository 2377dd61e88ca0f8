//! A phone on which its user has set a forward (302), and trunks that send calls on: who rings then, and what everybody is told.

use super::net::{CLEAR, World};
use super::phone::{Phone, Script};
use super::{ANN, BOB, BOB_TOO, CID, assert_at_rest, finals, ruleset, s};

const CARRIER: &str = "127.0.1.8:5060";
/// Other servers of the same carrier's.
const SECOND: &str = "127.0.1.9:5060";
const SPARE: &str = "127.0.1.10:5060";

const RULES: &str = "
[codes]
pickup = \"*8\"
[trunk.line]
proxy = \"127.0.1.8\"
accept_from = [\"127.0.1.8\"]
diversion = \"both\"
[class.national]
match = [\"+1.\"]
[class.premium]
match = [\"+1900.\"]
[[dial]]
dialled = \"7XXX\"
strip = 1
prefix = \"+12025550\"
[[route]]
classes = [\"national\", \"premium\"]
via = [\"line\"]
[number.\"+12025550101\"]
to = \"user:bob\"
[number.\"+12025550102\"]
to = \"user:cid\"
[hunt.desk]
ext = \"500\"
targets = [\"user:bob\", \"user:cid\"]
[user.ann]
ext = \"100\"
voicemail = { enabled = false }
[user.bob]
ext = \"200\"
voicemail = { enabled = false }
restrict = { premium = \"deny\" }
[user.cid]
ext = \"300\"
voicemail = { enabled = false }
";

const MOVED: Script = Script::Refuse { status: 302, after: s(1) };

/// Everybody has registered, Bob has two phones, and the first of them sends calls there.
fn office(rules: &str, to: &str) -> World {
    let devices = [("ann1", "ann"), ("bob1", "bob"), ("bob2", "bob"), ("cid1", "cid")];
    let mut world = World::new(ruleset(rules, &devices), CLEAR, 1);
    let answers = Script::Answer { after: s(1) };
    for (address, device, script) in [(ANN, "ann1", answers), (BOB, "bob1", MOVED), (CID, "cid1", answers)] {
        world.add(Phone::new(address, device, script));
        world.act(address, Phone::register);
    }
    world.add(Phone::new(BOB_TOO, "bob2", Script::Ring));
    for address in [CARRIER, SECOND, SPARE] {
        world.add(Phone::new(address, "+12025550150", answers));
    }
    world.phone(BOB).moved_to = Some(to.to_owned());
    world.leads("line", &[CARRIER]);
    world.run_until("all register", s(60), |world| world.switch.counters().registrations == 3);
    world
}

fn call(world: &mut World, from: &str, to: &str) -> String {
    let mut call = String::new();
    world.act(from, |phone, now| call = phone.call(now, to, s(5)));
    world.run(s(30));
    call
}

fn tags(world: &World) -> String {
    world.records[0].tags.join(" ")
}

#[test]
fn a_forward_set_on_a_phone_is_one_of_its_user() {
    for to in
        ["<sip:300@pbx.example>", "<sip:300@127.0.0.1:5060;user=phone>", "sip:300@127.0.1.2", "<tel:300>"]
    {
        let mut world = office(RULES, to);
        call(&mut world, ANN, "200");
        assert_eq!(finals(&mut world, ANN), [200], "{to}");
        assert_eq!((world.phone(CID).invites.len(), world.phone(BOB).invites.len()), (1, 1));
        assert_eq!(
            world.phone(ANN).provisionals,
            [180, 181, 180],
            "Bob's rings, it is forwarded, Cid's rings"
        );
        let tags = tags(&world);
        for tag in
            ["rule:bob", "ring:bob1", "declined forward:declined user:cid", "ring:cid1", "answered:cid1"]
        {
            assert!(tags.contains(tag), "{tag} is missing in {tags}");
        }
        let leg = &world.records[0].legs[0];
        assert_eq!((leg.status, leg.reason.as_deref()), (Some(302), Some("deflected")));
        assert_at_rest(&mut world);
    }
}

#[test]
fn to_the_outside_it_goes_by_the_rights_of_its_user_and_names_them() {
    // As they would have dialled it: in E.164, and by a dial rule.
    for to in ["<sip:+12025550177@pbx.example>", "<sip:2025550177@pbx.example>", "<sip:7177@pbx.example>"] {
        let mut world = office(RULES, to);
        call(&mut world, ANN, "200");
        assert_eq!(finals(&mut world, ANN), [200], "{to}");
        let invite = world.phone(CARRIER).invites[0].clone();
        assert!(invite.starts_with("INVITE sip:+12025550177@127.0.1.8"), "{invite}");
        assert!(invite.contains("Diversion: <sip:200@pbx.example>;reason=deflection;counter=1"), "{invite}");
        assert!(invite.contains(";cause=480>;index=1.1;mp=1"), "{invite}");
        assert_at_rest(&mut world);
    }
    let mut world = office(RULES, "<sip:+19005550177@pbx.example>");
    call(&mut world, ANN, "200");
    assert_eq!(finals(&mut world, ANN), [480], "Bob may not dial that");
    assert!(tags(&world).contains("denied:class:premium"), "{}", tags(&world));
    assert!(world.phone(CARRIER).invites.is_empty());
    assert_at_rest(&mut world);
}

#[test]
fn what_the_phone_itself_may_not_dial_it_may_not_forward_to() {
    for (class, to) in [
        ("national", "<sip:+12025550177@pbx.example>"),
        ("national", "<sip:7177@pbx.example>"),
        ("internal", "<sip:300@pbx.example>"),
        ("internal", "<tel:+12025550102>"), // Cid's
    ] {
        let rules = format!("{RULES}[device.bob1.restrict]\n{class} = \"deny\"\n");
        let mut world = office(&rules, to);
        call(&mut world, ANN, "200");
        assert_eq!(finals(&mut world, ANN), [480], "{to}");
        assert!(tags(&world).contains(&format!("denied:class:{class}")), "{to}: {}", tags(&world));
        assert_eq!((world.phone(CID).invites.len(), world.phone(CARRIER).invites.len()), (0, 0), "{to}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_number_is_of_the_class_that_a_dial_rule_says() {
    for (class, goes) in [("premium", false), ("national", true)] {
        let rules = RULES.replace("dialled = \"7XXX\"", &format!("dialled = \"7XXX\"\nclass = \"{class}\""));
        let mut world = office(&rules, "<sip:7177@pbx.example>");
        call(&mut world, ANN, "200");
        assert_eq!(finals(&mut world, ANN), [if goes { 200 } else { 480 }], "{class}");
        assert_eq!(
            world.phone(CARRIER).invites.len(),
            usize::from(goes),
            "Bob may not dial premium: {class}"
        );
        assert!(tags(&world).contains(&format!("class:{class}")), "{}", tags(&world));
        assert_at_rest(&mut world);
    }
}

#[test]
fn no_dial_rule_makes_an_emergency_call_of_it() {
    let rules = RULES.replace("dialled = \"7XXX\"", "dialled = \"7XXX\"\nclass = \"emergency\"");
    let mut world = office(&rules, "<sip:7177@pbx.example>");
    call(&mut world, ANN, "200");
    assert_eq!((finals(&mut world, ANN), world.phone(CARRIER).invites.len()), (vec![480], 0));
    assert!(!tags(&world).contains("forward:"), "{}", tags(&world));
    assert_at_rest(&mut world);
}

#[test]
fn it_leads_to_no_address_of_a_strangers_to_no_code_and_to_no_emergency_centre() {
    for to in [
        "<sip:300@203.0.113.9>",
        "<sip:+12025550177@elsewhere.example>",
        "<sip:*8@pbx.example>",
        "<sip:911@pbx.example>",
        "<sip:200@pbx.example>", // back to Bob
        "<sip:nobody@pbx.example>",
        "<sip:pbx.example>",
        "<http://pbx.example/>",
    ] {
        let mut world = office(RULES, to);
        call(&mut world, ANN, "200");
        assert_eq!(finals(&mut world, ANN), [480], "{to}");
        assert_eq!((world.phone(CID).invites.len(), world.phone(CARRIER).invites.len()), (0, 0), "{to}");
        assert!(!tags(&world).contains("forward:"), "{to}: {}", tags(&world));
        assert_at_rest(&mut world);
    }
}

#[test]
fn in_a_hunt_it_is_left_out_like_every_forward_of_a_members() {
    let mut world = office(RULES, "<sip:+12025550177@pbx.example>");
    call(&mut world, ANN, "500");
    assert_eq!(finals(&mut world, ANN), [200]);
    assert_eq!((world.phone(CID).invites.len(), world.phone(CARRIER).invites.len()), (1, 0));
    assert_at_rest(&mut world);
}

#[test]
fn two_who_forward_to_each_other_end_the_call() {
    let mut world = office(RULES, "<sip:300@pbx.example>");
    world.phone(CID).script = MOVED;
    world.phone(CID).moved_to = Some("<sip:200@pbx.example>".to_owned());
    call(&mut world, ANN, "200");
    assert_eq!(finals(&mut world, ANN), [480]);
    assert_eq!((world.phone(BOB).invites.len(), world.phone(CID).invites.len()), (1, 1));
    assert!(tags(&world).contains("loop"), "{}", tags(&world));
    assert_at_rest(&mut world);
}

#[test]
fn the_other_phones_of_its_user_stop_ringing_or_ring_on_by_policy() {
    for (policy, goes_on) in [("stop", false), ("continue", true)] {
        let rules = format!("[policy]\ndevice_decline = \"{policy}\"\n{RULES}");
        let mut world = office(&rules, "<sip:300@pbx.example>");
        world.act(BOB_TOO, Phone::register);
        world.run(s(1));
        world.phone(BOB_TOO).script = Script::Answer { after: s(6) };
        call(&mut world, ANN, "200");
        assert_eq!(finals(&mut world, ANN), [200]);
        assert_eq!(world.phone(CID).invites.len(), usize::from(!goes_on), "{policy}");
        let cancels = world.phone(BOB_TOO).cancels.clone();
        let told: &[&str] = if goes_on { &[] } else { &["SIP;cause=302;text=\"Moved Temporarily\""] };
        assert_eq!(cancels.concat(), told, "{policy}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_trunk_is_told_of_a_forward_unless_its_carrier_takes_that_for_the_end() {
    for (key, told) in [("", vec![180, 181, 180]), ("says_forwarded = false\n", vec![180])] {
        let rules = RULES.replace("[trunk.line]\n", &format!("[trunk.line]\n{key}"));
        let mut world = office(&rules, "<sip:300@pbx.example>");
        call(&mut world, CARRIER, "+12025550101");
        assert_eq!(finals(&mut world, CARRIER), [200]);
        assert_eq!(world.phone(CARRIER).provisionals, told, "{key}");
        assert_at_rest(&mut world);
    }
}

#[test]
fn a_trunk_sends_calls_on_to_its_own_servers_alone() {
    for (to, asked, status) in [(SPARE, [1, 0, 1], 200), (CID, [1, 0, 0], 500)] {
        let mut world = office(RULES, "");
        world.leads("line", &[CARRIER, SECOND, SPARE]);
        world.phone(CARRIER).script = Script::Fails(302);
        world.phone(CARRIER).moved_to = Some(format!("<sip:+12025550177@{to}>"));
        call(&mut world, ANN, "+12025550177");
        assert_eq!([CARRIER, SECOND, SPARE].map(|at| world.phone(at).invites.len()), asked, "{to}");
        assert_eq!(finals(&mut world, ANN), [status], "{to}");
        assert!(world.phone(CID).invites.is_empty());
        assert_at_rest(&mut world);
    }
}
