//! Outgoing and emergency calls (O1 to O5, U9, U11).

use super::{domain, explained, goes, never, tags, with};

#[test]
fn o1_a_class_can_be_denied_by_user_site_or_phone_and_the_stricter_wins() {
    let d = domain("restrict = { international = \"deny\" }", "", "");
    goes(
        &tags(&d, "device:a1", "+442079460123", &[]),
        &["class:international", "denied:class:international", "reject:403"],
    );
    goes(
        &tags(&d, "device:b1", "+442079460123", &[]),
        &["class:international", "tel:+442079460123", "route:t"],
    );
    goes(&tags(&d, "device:a1", "+12125550000", &[]), &["class:national", "tel:+12125550000"]);
    let sites = "[site.dc]\nrestrict = { international = \"deny\" }\n";
    let d = with(sites, "site = \"dc\"", "site = \"dc\"\nrestrict = { international = \"allow\" }", "");
    goes(&tags(&d, "device:a1", "+442079460123", &[]), &["denied:class:international"]);
    goes(&tags(&d, "device:b1", "+442079460123", &[]), &["route:t"]);
}

#[test]
fn o2_the_longest_literal_prefix_is_the_class_whatever_the_order() {
    let classes = "[class.local]\nmatch = [\"+1202.\"]\n[[route]]\nclasses = [\"local\"]\nvia = [\"t\"]\n";
    let explanation = explained(&with(classes, "", "", ""), "device:a1", "5550177", super::TUESDAY, &[]);
    goes(&explanation.tags, &["number:+12025550177", "class:local", "tel:+12025550177", "route:t"]);
    let step = explanation.steps.iter().find(|step| step.tag == "class:local").unwrap();
    assert_eq!(step.passed_over.len(), 2, "{:?}", step.passed_over);
}

#[test]
fn o3_emergency_is_never_denied_and_comes_before_everything() {
    let rules = "[[dial]]\ndialled = \"9NXXNXXXXXX\"\nstrip = 1\n";
    let deny = "vanity = true\nrestrict = { national = \"deny\", international = \"deny\" }";
    let d = with(rules, deny, "", "");
    for dialled in ["911", "9911", "0911"] {
        let explanation = explained(&d, "device:a1", dialled, super::TUESDAY, &[]);
        goes(
            &explanation.tags,
            &["class:emergency", "emergency", "callback:+12025550100", "tel:911", "route:t"],
        );
        assert_eq!(explanation.outcome.kind, "outside");
    }
    goes(&tags(&d, "device:a1", "urn:service:sos", &[]), &["emergency", "tel:911", "route:t"]);
}

#[test]
fn o3_an_emergency_call_leaves_by_any_trunk_when_its_own_are_down() {
    let trunks = "[trunk.u]\nproxy = \"192.0.2.9\"\n";
    let t = tags(&with(trunks, "", "", ""), "device:a1", "911", &["trunk_down=[\"t\"]"]);
    goes(&t, &["tel:911", "route:u"]);
}

#[test]
fn o3_an_emergency_call_goes_to_a_pbx_that_registers_here_last_and_where_a_route_says_so_first() {
    let pbx = "[trunk.a]\nregister = \"in\"\nauth = { user = \"a\", secret = \"plain:tea\" }\n[trunk.u]\nproxy = \"192.0.2.9\"\n";
    let explanation =
        explained(&with(pbx, "", "", ""), "device:a1", "911", super::TUESDAY, &["trunk_down=[\"t\"]"]);
    let routes: Vec<&String> = explanation.tags.iter().filter(|tag| tag.starts_with("route:")).collect();
    assert_eq!(routes, ["route:u", "route:a"], "{:?}", explanation.tags);
}

#[test]
fn o3_location_and_callback_come_from_phone_user_site_domain() {
    let more = "[callback.desk]\nnumber = \"+12025550100\"\n[callback.dc]\nnumber = \"+12025550103\"\n\
                [location.here]\ncountry = \"US\"\n[location.there]\ncountry = \"US\"\n[emergency]\ncallback = \"desk\"\nlocation = \"here\"\n\
                [site.dc]\nemergency = { callback = \"dc\", location = \"there\" }\n";
    let d = with(more, "", "site = \"dc\"", "site = \"dc\"\nemergency = { location = \"here\" }");
    goes(&tags(&d, "device:a1", "911", &[]), &["location:here", "callback:+12025550100"]);
    goes(&tags(&d, "device:b1", "911", &[]), &["location:there", "callback:+12025550103"]);
    goes(&tags(&d, "device:c1", "911", &[]), &["location:here", "callback:+12025550103"]);
}

#[test]
fn o4_dial_rules_rewrite_and_the_first_match_wins() {
    let rules = "[[dial]]\ndialled = \"9011.\"\nstrip = 1\n[[dial]]\ndialled = \"9NXXNXXXXXX\"\nstrip = 1\n[[dial]]\ndialled = \"55\"\nas = \"102\"\n";
    let d = with(rules, "", "", "");
    goes(&tags(&d, "device:a1", "92125550000", &[]), &["dial:2", "number:+12125550000", "route:t"]);
    goes(
        &tags(&d, "device:a1", "9011442079460123", &[]),
        &["dial:1", "number:+442079460123", "class:international"],
    );
    goes(&tags(&d, "device:a1", "55", &[]), &["dial:3", "ext:102", "user:bob", "ring:b1"]);
}

#[test]
fn o4_an_extension_comes_before_every_dial_rule() {
    let t = tags(
        &with("[[dial]]\ndialled = \"1XX\"\nprefix = \"+1202555\"\n", "", "", ""),
        "device:a1",
        "102",
        &[],
    );
    goes(&t, &["ext:102", "user:bob"]);
    never(&t, &["dial:*"]);
}

#[test]
fn o4_the_outside_line_is_stripped() {
    let base = super::BASE.replace("area_code = \"202\"", "area_code = \"202\"\noutside_line = \"8\"");
    let users = "[user.ann]\next = \"101\"\nname = { first = \"A\", last = \"X\" }\n[user.bob]\next = \"102\"\nname = { first = \"B\", last = \"X\" }\n\
                 [user.cat]\next = \"103\"\nname = { first = \"C\", last = \"X\" }\n";
    let d = super::compile(&format!("{base}{users}"));
    goes(&tags(&d, "device:a1", "82125550000", &[]), &["number:+12125550000", "tel:+12125550000"]);
    goes(&tags(&d, "device:a1", "8911", &[]), &["emergency", "tel:911"]);
}

#[test]
fn o4_trunks_are_tried_in_order_and_those_that_are_down_are_left_out() {
    let more = "[trunk.u]\nproxy = \"192.0.2.9\"\n[class.gb]\nmatch = [\"+44.\"]\n[[route]]\nclasses = [\"gb\"]\nvia = [\"u\", \"t\"]\n";
    let d = with(more, "", "", "");
    goes(&tags(&d, "device:a1", "+442079460123", &[]), &["route:u", "route:t"]);
    let t = tags(&d, "device:a1", "+442079460123", &["trunk_down=[\"u\"]"]);
    goes(&t, &["route:t"]);
    never(&t, &["route:u"]);
    goes(&tags(&d, "device:a1", "+442079460123", &["trunk_down=[\"u\", \"t\"]"]), &["failed", "reject:500"]);
}

#[test]
fn o4_a_number_of_ours_never_leaves_the_house() {
    goes(
        &tags(&domain("", "", ""), "device:b1", "2025550101", &[]),
        &["number:+12025550101", "user:ann", "ring:a1"],
    );
}

#[test]
fn u9_a_spare_phone_dials_emergency_and_nothing_else() {
    let d = with("[device.spare]\nauth = { user = \"s\", secret = \"plain:x\" }\n", "", "", "");
    goes(&tags(&d, "device:spare", "101", &[]), &["denied:spare", "reject:403"]);
    goes(&tags(&d, "device:spare", "911", &[]), &["emergency", "route:t"]);
}

#[test]
fn u11_a_vanity_user_calls_inside_but_not_outside() {
    let d = domain("vanity = true", "", "");
    goes(&tags(&d, "device:a1", "+12125550000", &[]), &["denied:vanity", "reject:403"]);
    goes(&tags(&d, "device:a1", "102", &[]), &["ring:b1"]);
}

const ABROAD: &str = "+442079460123";

#[test]
fn a_budget_is_told_while_it_lasts_and_then_refuses_the_call() {
    let d = domain("budget = { international = { calls_at_once = 2, time_per_day = \"1h\" } }", "", "");
    let used = |text: &str| explained(&d, "device:a1", ABROAD, super::TUESDAY, &[text]);
    let within = used("spent={ann={international={calls_at_once=1, time_per_day=\"42m\"}}}");
    goes(&within.tags, &["class:international", "tel:+442079460123", "budget:international", "route:t"]);
    let step = within.steps.iter().find(|step| step.tag == "budget:international").unwrap();
    assert_eq!(
        step.why,
        "ann has used 1 of 2 calls at once, 42m of 1h today; calls are ended when the time is used up, in 18m of talking"
    );
    assert!(step.at.starts_with("domain.toml:"), "it says where the budget stands");
    for (spent, key) in [("calls_at_once=2", "calls_at_once"), ("time_per_day=\"1h\"", "time_per_day")] {
        let over = used(&format!("spent={{ann={{international={{{spent}}}}}}}"));
        goes(&over.tags, &["class:international", "denied:budget:international", "reject:403"]);
        never(&over.tags, &["tel:*", "route:*"]);
        let step = over.steps.iter().find(|step| step.tag == "denied:budget:international").unwrap();
        assert!(step.why.starts_with(&format!("ann's {key} of international is used up: ")), "{}", step.why);
    }
    let other = used("spent={ann={national={calls_at_once=9}}, bob={international={calls_at_once=9}}}");
    goes(&other.tags, &["route:t"]);
}

#[test]
fn a_budget_comes_from_defaults_site_and_user_class_by_class() {
    let more = "[defaults.user]\nbudget = { international = { calls_per_hour = 3 }, national = { calls_per_hour = 5 } }\n\
                [site.dc]\nbudget = { international = { calls_per_hour = 1 } }\n";
    let d = with(
        more,
        "",
        "site = \"dc\"",
        "site = \"dc\"\nbudget = { international = \"unlimited\", national = \"inherit\" }",
    );
    let spent = "spent={ann={international={calls_per_hour=1}, national={calls_per_hour=5}}, \
                 bob={international={calls_per_hour=1}}, cat={international={calls_per_hour=99}, national={calls_per_hour=5}}}";
    goes(&tags(&d, "device:a1", ABROAD, &[spent]), &["budget:international", "route:t"]);
    goes(&tags(&d, "device:a1", "+12125550000", &[spent]), &["denied:budget:national"]);
    goes(&tags(&d, "device:b1", ABROAD, &[spent]), &["denied:budget:international"]);
    let free = tags(&d, "device:c1", ABROAD, &[spent]);
    goes(&free, &["route:t"]);
    never(&free, &["budget:*"]);
    goes(&tags(&d, "device:c1", "+12125550000", &[spent]), &["denied:budget:national"]);
}

#[test]
fn an_emergency_call_counts_against_no_budget() {
    let d = domain("budget = { national = { calls_at_once = 1 } }", "", "");
    let t = tags(&d, "device:a1", "911", &["spent={ann={national={calls_at_once=5}}}"]);
    goes(&t, &["emergency", "tel:911", "route:t"]);
    never(&t, &["budget:*", "denied:*"]);
}

#[test]
fn a_forward_spends_the_budget_of_whoever_forwards() {
    let keys = "budget = { international = { calls_at_once = 1 } }\nvoicemail = { enabled = true }\n\
                [[user.ann.rule]]\nname = \"Away\"\nwhen = \"always\"\nforward.always = \"tel:+442079460123\"\n";
    let d = domain(keys, "", "");
    let out = tags(&d, super::OUTSIDE, super::ANN, &[]);
    goes(&out, &["forward:always", "tel:+442079460123", "budget:international", "route:t"]);
    let spent = ["spent={ann={international={calls_at_once=1}}, bob={international={calls_at_once=0}}}"];
    let over = tags(&d, "device:b1", "101", &spent);
    goes(&over, &["forward:always", "denied:budget:international", "voicemail:ann/unavailable"]);
}

#[test]
fn legs_that_ring_beside_each_other_count_together() {
    let rule = |strategy: &str| {
        format!(
            "budget = {{ international = {{ calls_at_once = 1 }} }}\n[[user.ann.rule]]\nname = \"All\"\nwhen = \"always\"\n\
             ring.strategy = \"{strategy}\"\nring.targets = [\"self:all\", \"tel:+442079460123\", \"tel:+442079460124\"]\n"
        )
    };
    let together = tags(&domain(&rule("simultaneous"), "", ""), super::OUTSIDE, super::ANN, &[]);
    goes(&together, &["denied:budget:international", "ring:a1", "ring:tel:+442079460123"]);
    never(&together, &["ring:tel:+442079460124"]);
    let in_turn = tags(&domain(&rule("sequential"), "", ""), super::OUTSIDE, super::ANN, &[]);
    goes(&in_turn, &["ring:tel:+442079460123", "ring:tel:+442079460124"]);
    never(&in_turn, &["denied:*"]);
}
