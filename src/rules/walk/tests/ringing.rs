//! Ring strategies (R1 to R14): who rings when, and what their ends mean together.

use super::{domain, goes, never, tags, with};

fn cat(ring: &str) -> String {
    format!("[[user.cat.rule]]\nname = \"R\"\nwhen = \"always\"\n{ring}\n")
}

fn rings(ring: &str, given: &[&str]) -> Vec<String> {
    tags(&domain("", "", &cat(ring)), "101", "103", given)
}

#[track_caller]
fn plan(ring: &str, given: &[&str], legs: &[&str]) {
    let tags = rings(ring, given);
    let planned: Vec<&str> = tags.iter().filter(|tag| tag.starts_with("ring:")).map(String::as_str).collect();
    assert_eq!(planned, legs);
}

#[test]
fn r1_all_ring_at_once_for_the_users_time() {
    plan("", &[], &["ring:c1@0+25", "ring:c2@0+25"]);
    plan("ring_for = \"30s\"", &[], &["ring:c1@0+30", "ring:c2@0+30"]);
    plan("ring.targets = [\"self:all\"]\nring.timeout = \"12s\"", &[], &["ring:c1@0+12", "ring:c2@0+12"]);
}

#[test]
fn r2_a_sequence_gives_each_step_its_time_and_the_whole_its_own() {
    let steps = "ring.strategy = \"sequential\"\nring.each = \"15s\"\n\
                 ring.targets = [{ to = \"device:c1\", for = \"30s\" }, \"device:c2\", \"user:bob\"]\n";
    plan(steps, &[], &["ring:c1@0+30", "ring:c2@30+15", "ring:b1@45+15"]);
    plan(&format!("{steps}ring.timeout = \"40s\""), &[], &["ring:c1@0+30", "ring:c2@30+10"]);
    plan(steps, &["offline=[\"c1\"]"], &["ring:c2@0+15", "ring:b1@15+15"]);
}

#[test]
fn r3_with_memory_earlier_phones_keep_ringing_to_the_end() {
    let steps = "ring.strategy = \"sequential-memory\"\nring.each = \"10s\"\nring.targets = [\"device:c1\", \"device:c2\", \"user:bob\"]\n";
    plan(steps, &[], &["ring:c1@0+30", "ring:c2@10+20", "ring:b1@20+10"]);
    plan(&format!("{steps}ring.timeout = \"60s\""), &[], &["ring:c1@0+60", "ring:c2@10+50", "ring:b1@20+40"]);
}

#[test]
fn r4_a_target_can_join_later_and_is_cut_by_the_total() {
    let ring = "ring.targets = [\"device:c1\", { to = \"user:bob\", delay = \"10s\" }]\nring_for = \"30s\"";
    plan(ring, &[], &["ring:c1@0+30", "ring:b1@10+20"]);
    let t = rings(
        "ring.targets = [\"device:c1\", { to = \"user:bob\", delay = \"30s\" }]\nring_for = \"30s\"",
        &[],
    );
    never(&t, &["ring:b1"]);
}

#[test]
fn r5_the_own_phone_rings_alone_first_and_keeps_ringing() {
    let ring = "ring.initial = \"5s\"\nring.targets = [\"user:bob\"]\nring_for = \"30s\"";
    plan(ring, &[], &["ring:c1@0+30", "ring:b1@5+25"]);
}

#[test]
fn r6_own_all_and_neither_are_three_things() {
    plan("ring.strategy = \"own\"\nring.targets = [\"self\"]", &[], &["ring:c1@0+25"]);
    plan("ring.targets = [\"self\"]", &[], &["ring:c1@0+25"]);
    plan("ring.targets = [\"user:bob\"]", &[], &["ring:b1@0+25"]);
}

#[test]
fn r9_a_busy_member_stops_nobody_and_all_busy_is_busy() {
    let ring = "ring.targets = [\"self:all\", \"user:bob\"]";
    never(&rings(ring, &["busy=[\"c1\"]"]), &["busy"]);
    goes(&rings(ring, &["busy=[\"c1\", \"c2\", \"b1\"]"]), &["ring:b1", "busy", "reject:486"]);
    goes(&rings(ring, &["busy=[\"c1\", \"c2\"]", "no_answer=[\"b1\"]"]), &["no_answer", "reject:480"]);
}

#[test]
fn r9_a_colleague_who_is_busy_or_not_to_be_disturbed_is_left_out_and_counts() {
    let ring = "ring.targets = [\"user:bob\"]";
    goes(&rings(ring, &["dnd=[\"bob\"]"]), &["busy", "reject:486"]);
    goes(&rings(ring, &["active_calls={bob=2}"]), &["busy", "reject:486"]);
    goes(&rings(ring, &["offline=[\"b1\"]"]), &["offline", "reject:480"]);
}

#[test]
fn r9_a_colleagues_forwards_and_mailbox_stay_out_of_it() {
    let bob = "voicemail = { enabled = true }\n[[user.bob.rule]]\nname = \"R\"\nwhen = \"always\"\nforward.always = \"user:ann\"";
    let d = domain("", bob, &cat("ring.targets = [\"self:all\", \"user:bob\"]"));
    let t = tags(&d, "101", "103", &["no_answer=[\"b1\", \"c1\", \"c2\"]"]);
    goes(&t, &["ring:b1", "no_answer", "reject:480"]);
    never(&t, &["forward:*", "voicemail:*"]);
}

#[test]
fn r10_a_decline_stops_all_or_one_by_policy() {
    let t = rings("", &["declined=[\"c1\"]"]);
    goes(&t, &["ring:c1", "ring:c2", "declined", "reject:603"]);
    let d = with("[policy]\ndevice_decline = \"continue\"", "", "", "");
    never(&tags(&d, "101", "103", &["declined=[\"c1\"]"]), &["declined"]);
    let t = tags(&d, "101", "103", &["declined=[\"c1\"]", "no_answer=[\"c2\"]"]);
    goes(&t, &["no_answer", "reject:480"]);
}

#[test]
fn r14_a_list_with_oneself_rings_ones_phones_once() {
    plan(
        "ring.targets = [\"self:all\", \"device:c2\", \"user:bob\"]",
        &[],
        &["ring:c1@0+25", "ring:c2@0+25", "ring:b1@0+25"],
    );
}

#[test]
fn random_rings_in_the_order_of_the_file_where_nobody_calls() {
    let ring = "ring.strategy = \"random\"\nring.each = \"10s\"\nring.targets = [\"device:c2\", \"user:bob\", \"device:c1\"]";
    plan(ring, &[], &["ring:c2@0+10", "ring:b1@10+10", "ring:c1@20+10"]);
}
