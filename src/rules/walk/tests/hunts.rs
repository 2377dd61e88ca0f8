//! Hunts and `follow` (R2, R12, A5, F8, N7 through groups).

use super::{OUTSIDE, goes, never, tags, with};

const HUNT: &str = "[number.\"+12025550140\"]\nto = \"hunt:desk\"\n[hunt.desk]\next = \"830\"\n\
                    strategy = \"sequential\"\neach = \"12s\"\ncaller_id_prefix = \"DESK \"\n";
const DESK: &str = "+12025550140";

fn hunt(keys: &str) -> String {
    format!("{HUNT}{keys}\n")
}

#[test]
fn a_hunt_rings_its_members_in_its_own_time_with_its_prefix() {
    let d = with(&hunt("targets = [\"user:ann\", \"user:bob\"]"), "", "", "");
    let t = tags(&d, OUTSIDE, DESK, &[]);
    goes(&t, &["number:+12025550140", "hunt:desk", "ring:a1@0+12", "caller_id:+12025550150"]);
    goes(&t, &["caller_id_name:DESK +12025550150", "ring:b1@12+12"]);
    goes(&tags(&d, "103", "830", &[]), &["ext:830", "hunt:desk", "ring:a1@0+12", "ring:b1@12+12"]);
}

#[test]
fn r9_a_members_rules_forwards_and_mailbox_stay_out_of_a_hunt() {
    let bob = "voicemail = { enabled = true }\n[[user.bob.rule]]\nname = \"R\"\nwhen = \"always\"\nforward.always = \"user:ann\"";
    let d = with(&hunt("targets = [\"user:bob\"]"), "", bob, "");
    let t = tags(&d, OUTSIDE, DESK, &["no_answer=[\"b1\"]"]);
    goes(&t, &["hunt:desk", "ring:b1", "no_answer", "reject:480"]);
    never(&t, &["forward:*", "voicemail:*", "rule:*"]);
}

#[test]
fn r12_a_hunt_that_nobody_takes_goes_on_by_its_outcome() {
    let d = with(
        &hunt("targets = [\"user:ann\"]\non_failure = \"voicemail:bob\""),
        "",
        "voicemail = { enabled = true }\n",
        "",
    );
    goes(
        &tags(&d, OUTSIDE, DESK, &["no_answer=[\"a1\"]"]),
        &["ring:a1", "no_answer", "forward:no_answer", "voicemail:bob/unavailable"],
    );
    goes(&tags(&d, OUTSIDE, DESK, &["busy=[\"a1\"]"]), &["busy", "forward:busy", "voicemail:bob/busy"]);
    goes(&tags(&d, OUTSIDE, DESK, &["dnd=[\"ann\"]"]), &["busy", "forward:busy", "voicemail:bob/busy"]);
    goes(&tags(&d, OUTSIDE, DESK, &["offline=[\"a1\"]"]), &["offline", "forward:offline"]);
}

#[test]
fn a5_a_member_of_a_hunt_is_judged_by_the_caller_unless_its_list_names_the_hunt() {
    let members = hunt("targets = [\"user:ann\", \"user:bob\"]");
    let d = with(&members, "white_list = [\"user:cat\"]", "", "");
    never(&tags(&d, OUTSIDE, DESK, &[]), &["ring:a1"]);
    goes(&tags(&d, "103", "830", &[]), &["ring:a1", "ring:b1"]);
    let d = with(&members, "white_list = [\"hunt:desk\"]", "", "");
    goes(&tags(&d, OUTSIDE, DESK, &[]), &["ring:a1", "ring:b1"]);
    goes(&tags(&d, OUTSIDE, "+12025550101", &[]), &["white_list:refused"]);
}

#[test]
fn f7_a_confirm_key_is_asked_through_a_hunt_too() {
    let d =
        with(&hunt("targets = [\"user:ann\", { to = \"tel:+12125550000\", confirm = \"1\" }]"), "", "", "");
    goes(
        &tags(&d, OUTSIDE, DESK, &[]),
        &["ring:a1@0+12", "ring:tel:+12125550000@12+12", "confirm:1", "route:t"],
    );
}

#[test]
fn f8_a_hunts_call_is_not_direct() {
    let bob = "[[user.bob.rule]]\nname = \"R\"\nwhen = \"always\"\nforward.always = { to = \"user:cat\", direct_only = true }";
    let d = with(&hunt("targets = [\"user:ann\"]\non_failure = \"user:bob\""), "", bob, "");
    let t = tags(&d, OUTSIDE, DESK, &["no_answer=[\"a1\"]"]);
    goes(&t, &["forward:no_answer", "user:bob", "rule:bob/R", "ring:b1"]);
    never(&t, &["forward:always"]);
}

#[test]
fn f10_hunts_that_lead_to_each_other_end_as_a_loop() {
    let other = "[hunt.night]\next = \"831\"\ntargets = [\"user:bob\"]\non_failure = \"hunt:desk\"\n";
    let more = format!("{}{other}", hunt("targets = [\"user:ann\"]\non_failure = \"hunt:night\""));
    let d = with(&more, "", "", "");
    let t = tags(&d, OUTSIDE, DESK, &["no_answer=[\"a1\", \"b1\"]"]);
    goes(&t, &["hunt:desk", "hunt:night", "hunt:desk", "loop", "reject:480"]);
}

const FOLLOW: &str = "targets = [\"user:ann\", { to = \"user:bob\", follow = true }]";

#[test]
fn follow_leads_into_the_rules_of_the_last_one_left() {
    let bob = "voicemail = { enabled = true }\n[[user.bob.rule]]\nname = \"R\"\nwhen = \"always\"\nforward.no_answer = \"user:cat\"";
    let d = with(&hunt(FOLLOW), "", bob, "");
    let t = tags(&d, OUTSIDE, DESK, &["no_answer=[\"a1\", \"b1\"]"]);
    goes(
        &t,
        &[
            "ring:a1",
            "ring:b1",
            "no_answer",
            "user:bob",
            "rule:bob/R",
            "forward:no_answer",
            "user:cat",
            "ring:c1",
        ],
    );
    let t = tags(&d, OUTSIDE, DESK, &["no_answer=[\"a1\"]", "busy=[\"b1\"]"]);
    goes(&t, &["ring:b1", "no_answer", "user:bob", "rule:bob/R", "voicemail:bob/busy"]);
}

#[test]
fn follow_asks_nobody_who_was_not_the_last_one_left() {
    let bob = "voicemail = { enabled = true }\n";
    let both = "strategy = \"simultaneous\"\n";
    let all = HUNT.replace("strategy = \"sequential\"\n", both).replace("each = \"12s\"\n", "");
    let d = with(&format!("{all}{FOLLOW}\n"), "", bob, "");
    let t = tags(&d, OUTSIDE, DESK, &["no_answer=[\"a1\", \"b1\"]"]);
    goes(&t, &["no_answer", "reject:480"]);
    never(&t, &["user:bob"]);
    let t = tags(&d, OUTSIDE, DESK, &["busy=[\"a1\"]", "no_answer=[\"b1\"]"]);
    goes(&t, &["no_answer", "user:bob", "voicemail:bob/unavailable"]);
}

#[test]
fn follow_of_one_who_forwards_everything_rings_nobody_first() {
    let bob = "[[user.bob.rule]]\nname = \"R\"\nwhen = \"always\"\nforward.always = \"user:cat\"";
    let d = with(&hunt(FOLLOW), "", bob, "");
    let t = tags(&d, OUTSIDE, DESK, &["no_answer=[\"a1\"]"]);
    goes(&t, &["ring:a1", "no_answer", "user:bob", "rule:bob/R", "forward:always", "user:cat", "ring:c1"]);
    never(&t, &["ring:b1"]);
    let t = tags(&d, OUTSIDE, DESK, &["offline=[\"a1\"]"]);
    goes(&t, &["offline", "user:bob", "forward:always", "user:cat"]);
}

#[test]
fn follow_of_one_who_is_not_to_be_disturbed_takes_their_way_out() {
    let d = with(&hunt(FOLLOW), "", "voicemail = { enabled = true }\n", "");
    let t = tags(&d, OUTSIDE, DESK, &["offline=[\"a1\"]", "dnd=[\"bob\"]"]);
    goes(&t, &["user:bob", "rule:bob", "dnd", "voicemail:bob/busy"]);
}
