//! Who may reach a user (A1 to A11).

use super::{ANN, OUTSIDE, domain, goes, never, tags, with};

const NIGHT_DND: &str =
    "allow = [\"+12025550171\"]\n[[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\ndnd = true\n";

#[test]
fn a1_an_allowed_caller_passes_dnd_but_not_forward_always() {
    let d = domain(NIGHT_DND, "", "");
    goes(&tags(&d, "+12025550171", ANN, &[]), &["allow:+12025550171", "rule:ann/R", "ring:a1"]);
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["rule:ann/R", "dnd", "reject:480"]);
    let forwarded = NIGHT_DND.replace("dnd = true", "forward.always = \"user:bob\"");
    goes(
        &tags(&domain(&forwarded, "", ""), "+12025550171", ANN, &[]),
        &["forward:always", "user:bob", "ring:b1"],
    );
}

#[test]
fn a2_a_blocked_caller_gets_what_the_policy_says() {
    let block = "block = [\"list:spam\", \"+12025550150\"]";
    let lists = "[list.spam]\nnumbers = [\"+1900.\"]\n";
    let d = with(lists, block, "", "");
    goes(&tags(&d, "+19005550123", ANN, &[]), &["block:list:spam", "reject:607"]);
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["block:+12025550150", "reject:607"]);
    never(&tags(&d, "+12025550151", ANN, &[]), &["block:*"]);
    let policy = |refuse: &str| {
        with(
            &format!("{lists}[announce.gone]\nfile = \"gone.wav\"\n[policy]\nreject_blocked = \"{refuse}\""),
            block,
            "",
            "",
        )
    };
    goes(&tags(&policy("486"), OUTSIDE, ANN, &[]), &["block:+12025550150", "reject:486"]);
    goes(
        &tags(&policy("announce:gone"), OUTSIDE, ANN, &[]),
        &["block:+12025550150", "announce:gone", "reject:603"],
    );
    goes(&tags(&policy("tone:reorder"), OUTSIDE, ANN, &[]), &["tone:reorder", "reject:603"]);
}

#[test]
fn a3_withheld_and_unknown_are_two_things() {
    let d = domain("block_anonymous = true", "", "");
    goes(&tags(&d, "anonymous", ANN, &[]), &["anonymous", "reject:433"]);
    goes(&tags(&d, "unknown", ANN, &[]), &["ring:a1"]);
    let d = domain("block_unknown = true", "", "");
    goes(&tags(&d, "unknown", ANN, &[]), &["unknown", "reject:403"]);
    goes(&tags(&d, "anonymous", ANN, &[]), &["ring:a1"]);
    goes(&tags(&d, "102", "101", &[]), &["ring:a1"]);
}

#[test]
fn a4_allow_beats_block_whatever_the_lengths_unless_the_policy_turns_it_round() {
    let both = "allow = [\"+1202.\"]\nblock = [\"+12025550150\"]";
    goes(&tags(&domain(both, "", ""), OUTSIDE, ANN, &[]), &["allow:+1202.", "ring:a1"]);
    let d = with("[policy]\nallow_beats_block = false", both, "", "");
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["block:+12025550150", "reject:607"]);
}

#[test]
fn a4_the_tag_names_the_longest_entry_of_the_winning_list() {
    let d = domain("allow = [\"+1.\", \"+1202.\", \"+120.\"]", "", "");
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["allow:+1202."]);
}

#[test]
fn a5_the_white_list_is_literal_and_can_be_for_inside_callers_alone() {
    let d = domain("white_list = [\"user:bob\"]", "", "");
    goes(&tags(&d, "102", "101", &[]), &["ring:a1"]);
    goes(&tags(&d, "103", "101", &[]), &["white_list:refused", "reject:403"]);
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["white_list:refused", "reject:403"]);
    let d = domain("white_list = [\"user:bob\"]\nwhite_list_covers = \"internal\"", "", "");
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["ring:a1"]);
    goes(&tags(&d, "103", "101", &[]), &["white_list:refused"]);
}

#[test]
fn a5_the_allow_list_does_not_pass_a_white_list() {
    let d = domain("white_list = [\"user:bob\"]\nallow = [\"103\"]", "", "");
    goes(&tags(&d, "103", "101", &[]), &["white_list:refused", "reject:403"]);
}

#[test]
fn a5_roles_include_those_that_inherit_them() {
    let roles = "[role.basic]\nmay = []\n[role.agent]\ninherit = \"basic\"\n";
    let d = with(roles, "white_list = [\"role:basic\"]", "role = \"agent\"", "");
    goes(&tags(&d, "102", "101", &[]), &["ring:a1"]);
    goes(&tags(&d, "103", "101", &[]), &["white_list:refused"]);
}

#[test]
fn a5_a_ring_list_and_a_forward_are_judged_by_whose_they_are() {
    let rings = "[[user.bob.rule]]\nname = \"R\"\nwhen = \"always\"\nring.targets = [\"self\", \"user:ann\"]";
    let d = domain("white_list = [\"user:bob\"]", rings, "");
    goes(&tags(&d, "103", "102", &[]), &["ring:b1", "ring:a1"]);
    let forwards = "[[user.bob.rule]]\nname = \"R\"\nwhen = \"always\"\nforward.always = \"user:ann\"";
    goes(
        &tags(&domain("white_list = [\"user:bob\"]", forwards, ""), "103", "102", &[]),
        &["user:ann", "ring:a1"],
    );
    let d = domain("white_list = [\"user:cat\"]", forwards, "");
    goes(&tags(&d, "103", "102", &[]), &["user:ann", "white_list:refused"]);
}

const SCREENED: &str = "allow = [\"+12025550171\"]\n[[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\nscreen = true\n\
                        forward.declined = \"user:bob\"";

#[test]
fn a6_screening_asks_callers_from_trunks_who_are_not_allowed() {
    let d = domain(SCREENED, "", "");
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["screen", "ring:a1"]);
    never(&tags(&d, "+12025550171", ANN, &[]), &["screen"]);
    never(&tags(&d, "102", "101", &[]), &["screen"]);
    goes(
        &tags(&d, OUTSIDE, ANN, &["screen=\"refused\""]),
        &["screen", "declined", "forward:declined", "user:bob"],
    );
}

#[test]
fn a7_dnd_takes_its_own_forward_then_busys_then_the_mailbox_then_480() {
    let rule =
        |forward: &str| format!("[[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\ndnd = true\n{forward}");
    let both = rule("forward.dnd = \"user:bob\"\nforward.busy = \"user:cat\"");
    goes(&tags(&domain(&both, "", ""), OUTSIDE, ANN, &[]), &["dnd", "forward:dnd", "user:bob"]);
    let busy = rule("forward.busy = \"user:cat\"");
    goes(&tags(&domain(&busy, "", ""), OUTSIDE, ANN, &[]), &["dnd", "forward:busy", "user:cat"]);
    let mailbox = format!("voicemail = {{ enabled = true }}\n{}", rule(""));
    let t = tags(&domain(&mailbox, "", ""), OUTSIDE, ANN, &[]);
    goes(&t, &["dnd", "voicemail:ann/busy"]);
    never(&t, &["forward:*"]);
    goes(&tags(&domain(&rule(""), "", ""), OUTSIDE, ANN, &[]), &["dnd", "reject:480"]);
}

#[test]
fn a7_dnd_of_status_beats_the_rule() {
    goes(&tags(&domain("", "", ""), OUTSIDE, ANN, &["dnd=[\"ann\"]"]), &["rule:ann", "dnd", "reject:480"]);
}

#[test]
fn a8_phone_side_dnd_is_busy_for_that_phone_and_no_allow_list_passes_it() {
    let d = domain(NIGHT_DND, "", "");
    goes(&tags(&d, "+12025550171", ANN, &["busy=[\"a1\"]"]), &["ring:a1", "busy", "reject:486"]);
    goes(&tags(&d, "101", "103", &["busy=[\"c1\"]"]), &["ring:c1", "ring:c2"]);
    never(&tags(&d, "101", "103", &["busy=[\"c1\"]"]), &["busy"]);
}

#[test]
fn a9_without_call_waiting_a_second_call_is_busy() {
    let d = domain("call_waiting = false", "", "");
    goes(&tags(&d, OUTSIDE, ANN, &["active_calls={ann=1}"]), &["busy", "reject:486"]);
    goes(&tags(&domain("", "", ""), OUTSIDE, ANN, &["active_calls={ann=1}"]), &["ring:a1"]);
}

#[test]
fn a10_busy_is_by_call_paths_any_call_or_the_device_alone() {
    let busy = |keys: &str, calls: u32| {
        let t = tags(&domain(keys, "", ""), OUTSIDE, ANN, &[&format!("active_calls={{ann={calls}}}")]);
        t.contains(&"busy".to_owned())
    };
    assert!(!busy("call_paths = 3", 2));
    assert!(busy("call_paths = 3", 3));
    assert!(busy("call_paths = 3\nbusy_when = \"any-call\"", 1));
    assert!(!busy("call_paths = 1\nbusy_when = \"device-says-busy\"", 9));
    assert!(busy("", 2), "the default is two paths");
}

#[test]
fn a11_a_call_back_from_the_emergency_centre_passes_everything() {
    let ann = "block = [\"+12025550150\"]\nwhite_list = [\"user:bob\"]\ncall_waiting = false\n\
               [[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\ndnd = true\nforward.busy = \"user:bob\"";
    let given = ["psap_callback=true", "active_calls={ann=1}", "dnd=[\"ann\"]"];
    let t = tags(&domain(ann, "", ""), OUTSIDE, ANN, &given);
    goes(&t, &["rule:ann/R", "ring:a1"]);
    never(&t, &["block:*", "white_list:refused", "dnd", "busy", "forward:*"]);
}

#[test]
fn a5_a_forward_to_a_number_of_ours_is_still_judged_by_who_forwards() {
    let number = "[number.\"+12025550109\"]\nto = \"user:bob\"\n";
    let ann = "[[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\nforward.always = \"tel:+12025550109\"";
    let d = with(number, ann, "white_list = [\"user:ann\"]", "");
    goes(&tags(&d, "103", "101", &[]), &["forward:always", "number:+12025550109", "user:bob", "ring:b1"]);
    goes(&tags(&d, "103", "102", &[]), &["user:bob", "white_list:refused"]);
    let d = with(number, ann, "white_list = [\"user:cat\"]", "");
    goes(&tags(&d, "103", "101", &[]), &["number:+12025550109", "user:bob", "white_list:refused"]);
}
