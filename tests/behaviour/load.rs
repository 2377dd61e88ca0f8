//! Rows that are data: what is taken, and what is refused with which code. Each test is named after its row.

use super::Rules;
use ringtree::rules::route::{Query, route};

/// Tags of a call between extensions, or from outside.
fn tags(rules: &Rules, from: &str, to: &str, at: &str) -> Vec<String> {
    let query = Query { to: to.into(), from: Some(from.into()), at: Some(at.into()), ..Query::default() };
    let now = jiff::Timestamp::UNIX_EPOCH;
    route(rules.domain(), &query, &Default::default(), None, now).unwrap().tags
}

const ANN: &str = "[user.ann]\next = \"101\"\n[device.101a]\nuser = \"ann\"\naccept_from = [\"192.0.2.1\"]\n";
const BOB: &str = "[user.bob]\next = \"102\"\n[device.102a]\nuser = \"bob\"\naccept_from = [\"192.0.2.2\"]\n";
const TRUNK: &str = "[trunk.line]\nproxy = \"sip.line.example\"\n[class.emergency]\nmatch = [\"911\"]\n[class.national]\nmatch = [\"+1.\"]\n\
                     [[route]]\nclasses = [\"emergency\", \"national\"]\nvia = [\"line\"]\n";

/// One rule of Ann's that always holds.
fn ann_rule(keys: &str) -> String {
    format!("{ANN}[[user.ann.rule]]\nname = \"Default\"\nwhen = \"always\"\n{keys}\n")
}

#[test]
fn u1_an_extension_belongs_to_one_user() {
    Rules::of(&format!("{ANN}{BOB}").replace("\"102\"", "\"101\"")).refused("extension-twice", "`user.ann`");
    let further = format!("{ANN}{BOB}").replace("ext = \"102\"", "ext = \"102\"\nexts = [\"101\"]");
    Rules::of(&further).refused("extension-twice", "`101`");
    Rules::of("[user.ann]\next = 101\n").refused("unquoted", "`ext = \"101\"`");
}

#[test]
fn u2_self_has_to_mean_one_phone() {
    let two = "[device.101b]\nuser = \"ann\"\naccept_from = [\"192.0.2.3\"]\n";
    let rule = format!("{}{two}", ann_rule("ring.targets = [\"self\"]"));
    Rules::of(&rule).refused("no-primary", "`primary = true`");
    Rules::of(&rule.replace("\"self\"", "\"self:all\"")).domain();
}

#[test]
fn u3_a_log_in_belongs_to_one_device_and_a_secret_is_a_reference() {
    let devices = "[device.a]\nauth = { user = \"x\", secret = \"env:A\" }\n[device.b]\nauth = { user = \"x\", secret = \"env:B\" }\n";
    Rules::of(devices).refused("auth-user-twice", "`x`");
    Rules::of("[device.a]\nauth = { user = \"x\", secret = \"hunter2\" }\n")
        .refused("bad-secret", "`file:PATH`");
    Rules::of("[device.a]\nauth = { user = \"x\", secret = \"plain:hunter2\" }\n")
        .warned("plain-secret", "`file:");
}

#[test]
fn u4_model_and_mac_are_kept_for_provisioning_and_a_wrong_mac_is_refused() {
    let device = "[device.a]\nmodel = \"yealink-t54w\"\nmac = \"00:15:65:00:01:00\"\nauth = { user = \"a\", secret = \"env:A\" }\n";
    Rules::of(device).domain();
    Rules::of(&device.replace("00:15:65:00:01:00", "0015")).refused("bad-mac", "00:15:65");
}

#[test]
fn u9_a_device_without_a_user_is_taken_as_a_spare_one() {
    let rules =
        Rules::of(&format!("{ANN}[device.store]\nauth = {{ user = \"store\", secret = \"env:A\" }}\n"));
    assert!(rules.domain().device("store").unwrap().user.is_none());
}

#[test]
fn u10_people_and_services_share_one_namespace_of_extensions() {
    for service in [
        "[hunt.h]\next = \"101\"\ntargets = [\"user:ann\"]\n",
        "[queue.q]\next = \"101\"\nagents = [\"user:ann\"]\n",
        "[conference.c]\next = \"101\"\n",
        "[directory.d]\next = \"101\"\n",
    ] {
        Rules::of(&format!("{ANN}{service}")).refused("extension-twice", "101");
        Rules::of(&format!("{ANN}{}", service.replace("101", "801"))).domain();
    }
}

#[test]
fn u11_a_rule_of_a_vanity_user_that_leaves_the_house_is_refused() {
    let rule = format!("{TRUNK}{}", ann_rule("forward.busy = \"tel:+12025550173\""));
    Rules::of(&rule).domain();
    let vanity = rule.replace("ext = \"101\"", "ext = \"101\"\nvanity = true");
    Rules::of(&vanity).refused("forward-denied", "vanity");
}

#[test]
fn u12_attributes_are_taken_and_a_misspelt_zone_is_named() {
    let user = "[site.dc]\ntimezone = \"America/New_York\"\n[user.ann]\next = \"101\"\nname = { first = \"Ann\", last = \"Lee\" }\n\
                email = [\"ann@example.com\"]\nsite = \"dc\"\ndepartment = \"Sales\"\narea_code = \"301\"\ntags = [\"vip\"]\n\
                timezone = \"America/New_York\"\ndirectory = { announce = true, list = false }\n";
    Rules::of(user).domain();
    Rules::of(&user.replace("\"dc\"\ndep", "\"bc\"\ndep")).refused("dangling", "`dc`");
    let zone = user
        .replace("[\"vip\"]\ntimezone = \"America/New_York\"", "[\"vip\"]\ntimezone = \"America/New_Yrok\"");
    Rules::of(&zone).refused("unknown-zone", "America/New_York");
    Rules::of(&user.replace("ann@example.com", "ann")).refused("bad-email", "ann");
}

#[test]
fn u13_roles_inherit_and_a_loop_of_them_is_refused() {
    let roles = "[role.agent]\ninherit = \"basic\"\nmay = [\"queue-login\"]\n[role.lead]\ninherit = \"agent\"\nmay = [\"monitor\"]\n";
    Rules::of(roles).domain();
    Rules::of(&roles.replace("\"basic\"", "\"lead\"")).refused("role-loop", "inherits itself");
    Rules::of(&roles.replace("\"basic\"", "\"basik\"")).refused("dangling", "basic");
}

#[test]
fn n1_a_number_stands_once_and_leads_to_one_place() {
    let number = "[number.\"+12025550101\"]\nto = \"user:ann\"\n";
    let mut files = Rules::of(&format!("{ANN}{BOB}")).files;
    files.0.insert("one.toml".into(), number.into());
    Rules::load("one".into(), files.clone()).domain();
    files.0.insert("two.toml".into(), number.replace("ann", "bob").into());
    Rules::load("two".into(), files).refused("defined-twice", "+12025550101");
    let both = format!("{ANN}{number}rule = [{{ when = \"always\", to = \"user:ann\" }}]\n");
    Rules::of(&both).refused("to-and-rules", "not both");
}

#[test]
fn n2_a_forward_to_a_mailbox_that_is_off_is_refused() {
    let rule = ann_rule("forward.no_answer = \"voicemail:ann\"");
    Rules::of(&rule).domain();
    let off = rule.replace("ext = \"101\"", "ext = \"101\"\nvoicemail = { enabled = false }");
    Rules::of(&off).refused("mailbox-off", "is off");
}

#[test]
fn n5_an_external_number_that_is_not_ours_is_named() {
    let user = format!("{ANN}[number.\"+12025550101\"]\nto = \"user:ann\"\n");
    let shows = |number: &str| {
        let id = format!("ext = \"101\"\ncaller_id = {{ external = {{ number = \"{number}\" }} }}");
        Rules::of(&user.replace("ext = \"101\"", &id))
    };
    shows("+12025550199").warned("foreign-caller-id", "+12025550199");
    let ours = shows("+12025550101");
    ours.domain();
    assert!(!ours.diagnostics.iter().any(|d| d.code == "foreign-caller-id"), "{}", ours.rendered());
}

#[test]
fn n11_a_number_for_text_messages_is_in_e164() {
    let user = "[user.ann]\next = \"101\"\nsms_number = \"+12025550101\"\n";
    Rules::of(user).domain();
    Rules::of(&user.replace("+1202", "202")).refused("not-e164", "+1202");
}

#[test]
fn a2_an_entry_that_could_never_match_is_refused() {
    let block = |entry: &str| {
        Rules::of(&ANN.replace("ext = \"101\"", &format!("ext = \"101\"\nblock = [\"{entry}\"]")))
    };
    block("+1900.").domain();
    block("2025550173").refused("bad-entry", "`+12025550173`");
    block("+1 900").refused("bad-entry", "");
    block("list:spam").refused("dangling", "spam");
}

#[test]
fn a4_a_number_on_both_lists_is_named() {
    let both = "ext = \"101\"\nallow = [\"+12025550173\"]\nblock = [\"+12025550173\"]";
    Rules::of(&ANN.replace("ext = \"101\"", both)).warned("allowed-and-blocked", "on the allow list too");
}

#[test]
fn t2_the_order_of_the_rules_is_the_order_in_the_file() {
    let frames =
        "[time_frame.day]\nweekly = [\"mon-fri 08:00-18:00\"]\n[time_frame.july-4]\ndates = [2022-07-04]\n";
    let rule = |name: &str| format!("[[user.ann.rule]]\nname = \"{name}\"\nwhen = \"{name}\"\n");
    let chosen = |first: &str, second: &str| {
        let text = format!("{frames}{BOB}{ANN}{}{}{}", rule(first), rule(second), rule("always"));
        // A Monday on which both hold.
        tags(&Rules::of(&text), "102", "101", "2022-07-04T10:00")
            .into_iter()
            .find(|tag| tag.starts_with("rule:"))
    };
    assert_eq!(chosen("july-4", "day").as_deref(), Some("rule:ann/july-4"));
    assert_eq!(chosen("day", "july-4").as_deref(), Some("rule:ann/day"));
}

#[test]
fn t4_the_default_rule_is_there_enabled_last_and_alone() {
    let day = "[time_frame.day]\nweekly = [\"mon-fri 08:00-18:00\"]\n";
    let rule = |name: &str, when: &str, more: &str| {
        format!("[[user.ann.rule]]\nname = \"{name}\"\nwhen = \"{when}\"\n{more}")
    };
    let ann = format!("{day}{ANN}");
    Rules::of(&format!("{ann}{}{}", rule("Day", "day", ""), rule("Default", "always", ""))).domain();
    Rules::of(&format!("{ann}{}", rule("Day", "day", ""))).refused("no-always", "leave times open");
    Rules::of(&format!("{ann}{}{}", rule("Day", "day", ""), rule("Default", "always", "enabled = false\n")))
        .refused("no-always", "leave times open");
    Rules::of(&format!("{ann}{}{}", rule("Default", "always", ""), rule("Day", "day", "")))
        .refused("unreachable-rule", "always active");
    Rules::of(&format!("{ann}{}{}", rule("Default", "always", ""), rule("Other", "always", "")))
        .refused("unreachable-rule", "always active");
    let disabled = rule("Old", "always", "enabled = false\n");
    Rules::of(&format!("{ann}{disabled}{}", rule("Default", "always", ""))).domain();
}

#[test]
fn t5_a_time_frame_that_means_nothing_is_refused_with_what_to_write() {
    let frame = |keys: &str| Rules::of(&format!("[time_frame.x]\n{keys}\n"));
    frame("weekly = [\"monday 08:00-09:00\"]").refused("bad-hours", "`mon`");
    frame("weekly = [\"mon 08:00-08:00\"]").refused("bad-hours", "");
    frame("weekly = [\"mon 25:00-26:00\"]").refused("bad-hours", "");
    frame("weekly = [\"6-1 08:00-09:00\"]").refused("bad-hours", "");
    frame("dates = [\"2026-08-15..2026-08-01\"]").refused("bad-date", "`\"2026-08-01..2026-08-15\"`");
    frame("weekly = [\"daily\"]\nexcept = [\"x\"]").refused("except-loop", "back to itself");
    frame("rrule = \"FREQ=SOMETIMES\"").refused("bad-rrule", "");
    frame("timezone = \"Europe/London\"").refused("empty", "no times");
}

#[test]
fn f4_self_of_a_user_without_a_phone_is_refused() {
    let rule = "[user.ann]\next = \"101\"\n[[user.ann.rule]]\nname = \"Default\"\nwhen = \"always\"\nforward.offline = \"self\"\n";
    Rules::of(rule).refused("no-device", "no device");
}

#[test]
fn f9_forward_always_beside_a_ring_list_is_a_warning_or_by_policy_an_error() {
    let rule = format!("{BOB}{}", ann_rule("ring.targets = [\"self:all\"]\nforward.always = \"user:bob\""));
    Rules::of(&rule).warned("forward-and-ring", "never ring");
    Rules::of(&format!("[policy]\nforward_excludes_follow = true\n{rule}"))
        .refused("forward-and-ring", "never ring");
}

#[test]
fn f10_a_loop_that_always_holds_is_refused_with_its_path() {
    let bob = "[[user.bob.rule]]\nname = \"Default\"\nwhen = \"always\"\nforward.always = \"user:ann\"\n";
    let ann = ann_rule("forward.always = \"user:bob\"");
    Rules::of(&format!("{ann}{BOB}{bob}")).refused("forwarding-loop", "ann -> bob -> ann");
    Rules::of(&format!("{ann}{BOB}{}", bob.replace("always = \"user", "busy = \"user"))).domain();
}

#[test]
fn f11_a_forward_to_a_class_that_its_user_may_not_dial_is_refused() {
    let rule = format!("{TRUNK}{}", ann_rule("forward.busy = \"tel:+12025550173\""));
    let denied = rule.replace("ext = \"101\"", "ext = \"101\"\nrestrict = { national = \"deny\" }");
    Rules::of(&denied).refused("forward-denied", "`national`");
}

#[test]
fn r2_a_step_that_the_total_leaves_no_time_for_is_named() {
    let ring = "ring.strategy = \"sequential\"\nring.each = \"20s\"\nring.timeout = \"20s\"\nring.targets = [\"self:all\", \"user:bob\"]";
    Rules::of(&format!("{BOB}{}", ann_rule(ring))).warned("never-rings", "never rings");
    let longer = ring.replace("timeout = \"20s\"", "timeout = \"40s\"");
    let rules = Rules::of(&format!("{BOB}{}", ann_rule(&longer)));
    assert!(!rules.diagnostics.iter().any(|d| d.code == "never-rings"), "{}", rules.rendered());
}

#[test]
fn r4_a_delay_in_a_sequence_is_refused_and_one_beyond_the_total_named() {
    let delay = "ring.targets = [\"self:all\", { to = \"user:bob\", delay = \"25s\" }]";
    Rules::of(&format!("{BOB}{}", ann_rule(delay))).warned("never-rings", "after 25s");
    let sequence = format!("ring.strategy = \"sequential\"\n{delay}");
    Rules::of(&format!("{BOB}{}", ann_rule(&sequence))).refused("delay-in-sequence", "no `delay`");
}

#[test]
fn r14_a_user_in_their_own_ring_list_is_refused() {
    Rules::of(&ann_rule("ring.targets = [\"user:ann\"]")).refused("self-as-user", "`self`");
}

#[test]
fn o2_two_classes_that_claim_a_number_equally_are_refused() {
    let classes = "[class.a]\nmatch = [\"+1X.\"]\n[class.b]\nmatch = [\"+1.\"]\n";
    Rules::of(classes).refused("class-tie", "same numbers");
    Rules::of(&classes.replace("+1X.", "+12.")).domain();
}

#[test]
fn o3_emergency_can_not_be_denied_nor_dialled_around() {
    let site = "[site.x]\nrestrict = { emergency = \"deny\" }\n";
    Rules::of(&format!("{TRUNK}{site}")).refused("emergency-restricted", "always allowed");
    let dial = "[[dial]]\ndialled = \"9X.\"\nstrip = 1\n";
    Rules::of(&format!("{TRUNK}{dial}")).refused("dial-emergency", "911");
    Rules::of(&format!("{TRUNK}{}", ANN.replace("\"101\"", "\"911\"")))
        .refused("extension-emergency", "never be reached");
}

#[test]
fn o4_a_dial_rule_that_an_extension_hides_is_named() {
    let dial = "[[dial]]\ndialled = \"1XX\"\nstrip = 1\n";
    Rules::of(&format!("{TRUNK}{ANN}{dial}"))
        .warned("dial-covers-extension", "extensions are looked at first");
}

#[test]
fn h1_a_pin_is_a_hash_or_says_that_it_is_plain() {
    let user = |pin: &str| {
        Rules::of(&format!("[user.ann]\next = \"101\"\nhotdesk = {{ id = \"101\", pin = \"{pin}\" }}\n"))
    };
    user("1234").refused("bad-pin", "PHC");
    user("plain:1234").domain();
}

#[test]
fn h2_an_agent_that_does_not_exist_is_refused() {
    Rules::of(&format!("{ANN}[queue.q]\next = \"810\"\nagents = [\"user:an\"]\n"))
        .refused("dangling", "`ann`");
}
