//! Where a call goes that is not answered (F1 to F11, R12).

use super::{ANN, OUTSIDE, domain, goes, never, tags, with};
use crate::rules::compile::Secrets;
use crate::rules::diagnostic::Files;
use crate::rules::{Domain, source};

fn rule(user: &str, keys: &str) -> String {
    format!("[[user.{user}.rule]]\nname = \"R\"\nwhen = \"always\"\n{keys}\n")
}

fn ann(keys: &str) -> std::sync::Arc<Domain> {
    domain(&rule("ann", keys), "", "")
}

#[test]
fn f1_forward_always_rings_nothing_of_ones_own() {
    let t = tags(&ann("forward.always = \"user:bob\""), OUTSIDE, ANN, &[]);
    goes(&t, &["forward:always", "user:bob", "rule:bob", "ring:b1"]);
    never(&t, &["ring:a1"]);
}

#[test]
fn f2_busy_and_on_active_are_two_forwards() {
    let d = ann("forward.busy = \"user:bob\"\nforward.on_active = \"user:cat\"");
    goes(&tags(&d, OUTSIDE, ANN, &["active_calls={ann=1}"]), &["on_active", "forward:on_active", "user:cat"]);
    let d = ann("forward.busy = \"user:bob\"");
    goes(&tags(&d, OUTSIDE, ANN, &["active_calls={ann=2}"]), &["busy", "forward:busy", "user:bob"]);
    goes(&tags(&d, OUTSIDE, ANN, &["busy=[\"a1\"]"]), &["ring:a1", "busy", "forward:busy", "user:bob"]);
}

#[test]
fn f3_unanswered_goes_anywhere_another_mailbox_too() {
    let d =
        domain(&rule("ann", "forward.no_answer = \"voicemail:bob\""), "voicemail = { enabled = true }", "");
    let given = ["no_answer=[\"a1\"]"];
    goes(
        &tags(&d, OUTSIDE, ANN, &given),
        &["ring:a1", "no_answer", "forward:no_answer", "voicemail:bob/unavailable"],
    );
}

#[test]
fn f4_offline_is_when_every_phone_of_the_user_is() {
    let d = domain("", "", &rule("cat", "forward.offline = \"user:bob\""));
    goes(&tags(&d, "101", "103", &["offline=[\"c1\", \"c2\"]"]), &["offline", "forward:offline", "user:bob"]);
    let t = tags(&d, "101", "103", &["offline=[\"c1\"]"]);
    goes(&t, &["ring:c2"]);
    never(&t, &["offline", "ring:c1"]);
}

#[test]
fn f4_a_list_with_others_rings_them_when_nothing_else_is_set() {
    let list = "ring.targets = [\"self:all\", \"user:bob\"]\n";
    let t = tags(&ann(list), OUTSIDE, ANN, &["offline=[\"a1\"]"]);
    goes(&t, &["ring:b1"]);
    never(&t, &["offline"]);
    let d = ann(&format!("{list}forward.offline = \"user:cat\""));
    goes(&tags(&d, OUTSIDE, ANN, &["offline=[\"a1\"]"]), &["offline", "forward:offline", "user:cat"]);
    goes(&tags(&ann(list), OUTSIDE, ANN, &["offline=[\"a1\", \"b1\"]"]), &["offline", "reject:480"]);
}

#[test]
fn f5_a_handset_rings_without_its_owners_rules() {
    let bob = rule("bob", "dnd = true");
    let d = domain(&rule("ann", "forward.always = \"handset:bob\""), &bob, "");
    let t = tags(&d, OUTSIDE, ANN, &[]);
    goes(&t, &["forward:always", "handset:bob", "ring:b1@0+25"]);
    never(&t, &["dnd", "rule:bob"]);
    let d = domain(&rule("ann", "forward.always = \"user:bob\""), &bob, "");
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["user:bob", "rule:bob", "dnd"]);
    goes(
        &tags(&ann("forward.always = \"reject:404\""), OUTSIDE, ANN, &[]),
        &["forward:always", "reject:404"],
    );
}

#[test]
fn f5_an_outside_forward_rings_for_the_forwarders_time_and_then_their_mailbox() {
    let forward = rule("ann", "forward.always = \"tel:+12125550000\"");
    let d = domain(&format!("ring_for = \"40s\"\nvoicemail = {{ enabled = true }}\n{forward}"), "", "");
    goes(
        &tags(&d, OUTSIDE, ANN, &[]),
        &["forward:always", "tel:+12125550000", "ring:tel:+12125550000@0+40", "route:t"],
    );
    let t = tags(&d, OUTSIDE, ANN, &["no_answer=[\"tel:+12125550000\"]"]);
    goes(&t, &["ring:tel:+12125550000", "no_answer", "voicemail:ann/unavailable"]);
}

#[test]
fn f8_a_forward_for_direct_calls_is_absent_for_one_from_a_queue() {
    let d = with(
        "[queue.q]\next = \"810\"\nagents = [\"user:ann\"]\n",
        &rule("ann", "forward.always = { to = \"tel:+12125550000\", direct_only = true }"),
        "",
        "",
    );
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["forward:always"]);
    let query = crate::rules::route::Query {
        to: "user:ann".to_owned(),
        via: Some("queue:q".to_owned()),
        at: Some(super::TUESDAY.to_owned()),
        ..Default::default()
    };
    let given = crate::rules::model::Given::default();
    let t = crate::rules::route::route(&d, &query, &given, None, jiff::Timestamp::UNIX_EPOCH).unwrap().tags;
    goes(&t, &["user:ann", "ring:a1"]);
    never(&t, &["forward:*"]);
}

#[test]
fn f10_a_loop_without_any_condition_is_refused() {
    let text = format!(
        "{}\n[user.ann]\next = \"101\"\nname = {{ first = \"A\", last = \"X\" }}\n{}\
         [user.bob]\next = \"102\"\nname = {{ first = \"B\", last = \"X\" }}\n{}\
         [user.cat]\next = \"103\"\nname = {{ first = \"C\", last = \"X\" }}\n",
        super::BASE,
        rule("ann", "forward.always = \"user:bob\""),
        rule("bob", "forward.always = \"user:ann\""),
    );
    let loaded = source::load(&Files([("domain.toml".into(), text.into())].into()));
    // Whoever sees it first, the loader or the compiler: it never becomes a domain.
    match loaded.model {
        None => {
            assert!(loaded.diagnostics.iter().any(|d| d.code.contains("loop")), "{:?}", loaded.diagnostics)
        }
        Some(model) => {
            let found = Domain::compile(&model, Secrets::default(), 1).unwrap_err();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].message, "every call goes round for ever: ann -> bob -> ann");
        }
    }
}

#[test]
fn f10_a_loop_by_condition_ends_in_the_mailbox_of_the_first() {
    let on_busy = |user: &str, to: &str| rule(user, &format!("forward.no_answer = \"user:{to}\""));
    let ann = format!("voicemail = {{ enabled = true }}\n{}", on_busy("ann", "bob"));
    let d = domain(&ann, &on_busy("bob", "ann"), "");
    let t = tags(&d, OUTSIDE, ANN, &["no_answer=[\"a1\", \"b1\"]"]);
    goes(&t, &["user:ann", "user:bob", "user:ann", "loop", "voicemail:ann/unavailable"]);
}

#[test]
fn f10_an_exhausted_hop_budget_ends_there_too() {
    let base = super::BASE.replace("area_code = \"202\"", "area_code = \"202\"\nmax_hops = 1");
    let user = |name: &str, ext: &str, rest: &str| {
        format!(
            "[user.{name}]\next = \"{ext}\"\nname = {{ first = \"{name}\", last = \"X\" }}\nvoicemail = {{ enabled = false }}\n{rest}\n"
        )
    };
    let text = [
        base,
        user("ann", "101", &rule("ann", "forward.always = \"user:bob\"")),
        user("bob", "102", &rule("bob", "forward.always = \"user:cat\"")),
        user("cat", "103", ""),
    ];
    let d = super::compile(&text.concat());
    goes(&tags(&d, "103", "101", &[]), &["user:ann", "user:bob", "user:cat", "hops", "reject:480"]);
    never(&tags(&d, "103", "102", &[]), &["hops"]);
}

#[test]
fn f11_a_forward_has_the_rights_of_who_forwards() {
    let forward = rule("ann", "forward.busy = \"tel:+442079460123\"");
    let d = domain(&format!("voicemail = {{ enabled = true }}\n{forward}"), "", "");
    goes(&tags(&d, OUTSIDE, ANN, &["busy=[\"a1\"]"]), &["forward:busy", "tel:+442079460123", "ring:tel:*"]);
}

#[test]
fn r12_each_outcome_takes_its_own_forward_its_kins_or_otherwise() {
    let d = ann("forward.no_answer = \"user:bob\"\nforward.otherwise = \"user:cat\"");
    goes(&tags(&d, OUTSIDE, ANN, &["no_answer=[\"a1\"]"]), &["no_answer", "forward:no_answer", "user:bob"]);
    goes(&tags(&d, OUTSIDE, ANN, &["offline=[\"a1\"]"]), &["offline", "forward:no_answer", "user:bob"]);
    goes(&tags(&d, OUTSIDE, ANN, &["declined=[\"a1\"]"]), &["declined", "forward:otherwise", "user:cat"]);
    goes(&tags(&d, OUTSIDE, ANN, &["busy=[\"a1\"]"]), &["busy", "forward:otherwise", "user:cat"]);
}

#[test]
fn r12_the_final_responses_are_those_of_the_table() {
    let d = domain("", "", "");
    let status = |given: &str| super::explained(&d, OUTSIDE, ANN, super::TUESDAY, &[given]).outcome.status;
    assert_eq!(status("busy=[\"a1\"]"), Some(486));
    assert_eq!(status("no_answer=[\"a1\"]"), Some(480));
    assert_eq!(status("declined=[\"a1\"]"), Some(603));
    assert_eq!(status("offline=[\"a1\"]"), Some(480));
    assert_eq!(status("dnd=[\"ann\"]"), Some(480));
}

#[test]
fn f11_a_forward_that_its_owner_may_not_dial_leads_to_their_mailbox() {
    // One in the rules is refused when they are loaded; what the user sets is judged when it is used.
    let set = ["forward={ann=\"tel:+442079460123\"}"];
    let keys = |more: &str| format!("voicemail = {{ enabled = true }}\n{more}");
    let d = domain(&keys("restrict = { international = \"deny\" }"), "", "");
    let t = tags(&d, OUTSIDE, ANN, &set);
    goes(&t, &["forward:always", "denied:class:international", "voicemail:ann/unavailable"]);
    never(&t, &["ring:tel:*", "route:*"]);
    let d = domain(&keys("vanity = true"), "", "");
    goes(&tags(&d, OUTSIDE, ANN, &set), &["forward:always", "denied:vanity", "voicemail:ann/unavailable"]);
}

#[test]
fn f10_a_number_that_comes_round_again_is_a_loop() {
    let keys = format!(
        "voicemail = {{ enabled = true }}\n{}",
        rule("ann", &format!("forward.no_answer = \"tel:{ANN}\""))
    );
    let t = tags(&domain(&keys, "", ""), OUTSIDE, ANN, &["no_answer=[\"a1\"]"]);
    let number = format!("number:{ANN}");
    goes(
        &t,
        &[
            &number,
            "user:ann",
            "no_answer",
            "forward:no_answer",
            &number,
            "loop",
            "voicemail:ann/unavailable",
        ],
    );
}

#[test]
fn n7_prefixes_of_number_hunt_and_target_come_in_the_order_met() {
    let more = "[number.\"+12025550140\"]\nto = \"hunt:desk\"\ncaller_id_prefix = \"MAIN \"\n[hunt.desk]\next = \"830\"\n\
                caller_id_prefix = \"DESK \"\ntargets = [{ to = \"user:bob\", caller_id_prefix = \"LAB \" }]\n";
    let t = tags(&with(more, "", "", ""), OUTSIDE, "+12025550140", &[]);
    goes(
        &t,
        &["hunt:desk", "ring:b1", "caller_id:+12025550150", "caller_id_name:MAIN DESK LAB +12025550150"],
    );
}
