//! Numbers and caller identity (N1 to N9).

use super::{ANN, OUTSIDE, domain, explained, goes, never, tags, with};

#[test]
fn n1_a_number_leads_to_its_user_and_a_spare_one_to_404() {
    let d = with("[number.\"+12025550109\"]\nlabel = \"spare\"", "", "", "");
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["number:+12025550101", "user:ann", "ring:a1"]);
    goes(&tags(&d, OUTSIDE, "+12025550109", &[]), &["number:+12025550109", "reject:404"]);
    goes(&tags(&d, OUTSIDE, "+12025550177", &[]), &["reject:404"]);
    goes(&tags(&d, OUTSIDE, "2025550101", &[]), &["number:+12025550101"]);
}

#[test]
fn from_outside_extensions_do_not_exist() {
    goes(&tags(&domain("", "", ""), OUTSIDE, "101", &[]), &["reject:404"]);
    never(&tags(&domain("", "", ""), OUTSIDE, "101", &[]), &["user:ann", "ext:101"]);
}

#[test]
fn a_number_with_rules_takes_the_first_that_matches() {
    let rules = "[[number.\"+12025550109\".rule]]\nwhen = \"open\"\nto = \"user:bob\"\n\
                 [[number.\"+12025550109\".rule]]\nname = \"Night\"\nwhen = \"always\"\nto = \"reject:480\"\n";
    let d = with(rules, "", "", "");
    let at = |at: &str| explained(&d, OUTSIDE, "+12025550109", at, &[]).tags;
    goes(&at("2026-11-24T10:00"), &["rule:+12025550109/1", "user:bob", "ring:b1"]);
    goes(&at("2026-11-24T20:00"), &["rule:+12025550109/Night", "reject:480"]);
}

#[test]
fn n4_inside_one_shows_the_internal_name_and_extension() {
    let d = domain("", "caller_id = { internal = { name = \"Bob B\", number = \"102\" } }", "");
    goes(&tags(&d, "102", "101", &[]), &["ring:a1", "caller_id:102", "caller_id_name:Bob B"]);
    goes(&tags(&d, "103", "101", &[]), &["ring:a1", "caller_id:103", "caller_id_name:cat X"]);
}

#[test]
fn n5_outside_one_shows_the_users_number_else_the_sites_else_the_domains() {
    let own = "caller_id = { external = { number = \"+12025550101\" } }";
    let sites = "[site.dc]\ncaller_id = { number = \"+12025550103\" }\n";
    let d = with(sites, own, "", "site = \"dc\"");
    goes(&tags(&d, "device:a1", "+12125550000", &[]), &["tel:+12125550000", "caller_id:+12025550101"]);
    goes(&tags(&d, "device:b1", "+12125550000", &[]), &["tel:+12125550000", "caller_id:+12025550100"]);
    goes(&tags(&d, "device:c1", "+12125550000", &[]), &["tel:+12125550000", "caller_id:+12025550103"]);
}

#[test]
fn n7_prefixes_accumulate_before_the_name_and_leave_the_number_alone() {
    let numbers = "[number.\"+12025550109\"]\nto = \"user:bob\"\ncaller_id_prefix = \"MAIN \"\n";
    let bob = "[[user.bob.rule]]\nname = \"R\"\nwhen = \"always\"\n\
               ring.targets = [\"self\", { to = \"user:ann\", caller_id_prefix = \"DESK \" }]";
    let d = with(numbers, "", bob, "");
    let query = crate::rules::route::Query {
        to: "+12025550109".to_owned(),
        from: Some(OUTSIDE.to_owned()),
        from_name: Some("Rita".to_owned()),
        ..Default::default()
    };
    let given = crate::rules::model::Given::default();
    let t = crate::rules::route::route(&d, &query, &given, None, jiff::Timestamp::UNIX_EPOCH).unwrap().tags;
    goes(
        &t,
        &[
            "ring:b1",
            "caller_id:+12025550150",
            "caller_id_name:MAIN Rita",
            "ring:a1",
            "caller_id_name:MAIN DESK Rita",
        ],
    );
    let nameless = tags(&d, OUTSIDE, "+12025550109", &[]);
    goes(&nameless, &["ring:b1", "caller_id:+12025550150", "caller_id_name:MAIN +12025550150"]);
}

#[test]
fn n8_an_outside_leg_shows_the_caller_or_the_forwarder_as_the_file_says() {
    let leg = |choice: &str| {
        let ann = format!(
            "caller_id = {{ external = {{ number = \"+12025550101\" }} }}\n[[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\n\
             ring.targets = [{{ to = \"tel:+12125550000\"{choice} }}]"
        );
        tags(&domain(&ann, "", ""), OUTSIDE, ANN, &[])
    };
    goes(&leg(", caller_id = \"original\""), &["ring:tel:+12125550000", "caller_id:+12025550150"]);
    goes(&leg(", caller_id = \"forwarder\""), &["ring:tel:+12125550000", "caller_id:+12025550101"]);
    goes(&leg(""), &["ring:tel:+12125550000", "caller_id:+12025550150"]);
}

#[test]
fn n9_a_trunk_that_screens_gets_the_forwarder_and_is_told_who_forwards() {
    let base = super::BASE.replace(
        "proxy = \"192.0.2.1\"",
        "proxy = \"192.0.2.1\"\nscreens_caller_id = true\ndiversion = \"diversion\"",
    );
    let users = "[number.\"+12025550100\"]\n[user.ann]\next = \"101\"\nname = { first = \"A\", last = \"X\" }\ncaller_id = { external = { number = \"+12025550101\" } }\n\
                 [[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\nforward.always = \"tel:+12125550000\"\n\
                 [user.bob]\next = \"102\"\nname = { first = \"B\", last = \"X\" }\n[user.cat]\next = \"103\"\nname = { first = \"C\", last = \"X\" }\n";
    let t = tags(&super::compile(&format!("{base}{users}")), OUTSIDE, ANN, &[]);
    goes(
        &t,
        &[
            "forward:always",
            "tel:+12125550000",
            "caller_id:+12025550101",
            "diversion:unconditional",
            "route:t",
        ],
    );
}

#[test]
fn a_withheld_caller_stays_withheld_on_every_leg() {
    let ann =
        "[[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\nring.targets = [\"self\", \"tel:+12125550000\"]";
    let t = tags(&domain(ann, "", ""), "anonymous", ANN, &[]);
    goes(&t, &["ring:a1", "ring:tel:+12125550000"]);
    never(&t, &["caller_id:*"]);
}
