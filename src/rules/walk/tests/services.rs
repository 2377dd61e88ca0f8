//! What ends a trace: services, feature codes, refusals; hot desks and what a phone sends (H1 to H4, N6, O5, U9, U10).

use super::{ANN, OUTSIDE, domain, goes, never, tags, with};

const CODES: &str = "[codes]\ndnd_on = \"*78\"\npickup = \"*8\"\ntime_frame = { open = \"*30\" }\n";

#[test]
fn a_feature_code_ends_the_call_with_its_name_even_from_a_spare_phone() {
    let d = with(
        &format!("{CODES}[device.spare]\nauth = {{ user = \"s\", secret = \"plain:x\" }}\n"),
        "",
        "",
        "",
    );
    for device in ["device:a1", "device:spare"] {
        goes(&tags(&d, device, "*78", &[]), &["code:dnd_on"]);
        goes(&tags(&d, device, "*30", &[]), &["code:time_frame/open"]);
        never(&tags(&d, device, "*78", &[]), &["reject:*", "denied:*"]);
    }
    goes(&tags(&d, "device:a1", "*79", &[]), &["reject:404"]);
}

#[test]
fn u10_services_have_extensions_and_end_the_trace() {
    let more = "[queue.q]\next = \"810\"\nagents = [\"user:ann\"]\n[attendant.main]\next = \"800\"\n\
                [conference.daily]\next = \"820\"\n[directory.all]\next = \"840\"\n[announce.closed]\nfile = \"c.wav\"\n\
                [number.\"+12025550144\"]\nto = \"announce:closed\"\n";
    let d = with(more, "", "", "");
    for (ext, tag) in
        [("810", "queue:q"), ("800", "attendant:main"), ("820", "conference:daily"), ("840", "directory:all")]
    {
        let t = tags(&d, "101", ext, &[]);
        assert_eq!(t.last().map(String::as_str), Some(tag));
    }
    goes(&tags(&d, OUTSIDE, "+12025550144", &[]), &["number:+12025550144", "announce:closed"]);
}

#[test]
fn a_caller_whose_verification_failed_can_be_blocked() {
    let d = domain("block_unverified = true\nallow = [\"+12025550171\"]", "", "");
    let failed = ["verified=\"failed\""];
    goes(&tags(&d, OUTSIDE, ANN, &failed), &["unverified", "reject:403"]);
    goes(&tags(&d, "+12025550171", ANN, &failed), &["allow:+12025550171", "ring:a1"]);
    goes(&tags(&d, OUTSIDE, ANN, &["verified=\"passed\""]), &["ring:a1"]);
    goes(&tags(&d, OUTSIDE, ANN, &[]), &["ring:a1"]);
}

const DESK: &str = "[site.ldn]\ncountry = \"GB\"\nemergency = { location = \"ldn\", callback = \"ldn\" }\n\
                    [callback.ldn]\nnumber = \"+442079460100\"\n[location.ldn]\ncountry = \"GB\"\n[location.yard]\ncountry = \"GB\"\n\
                    [location.home]\ncountry = \"US\"\n\
                    [device.desk]\nsite = \"ldn\"\nlocation = \"yard\"\nhotdesk = true\nauth = { user = \"d\", secret = \"plain:x\" }\n\
                    restrict = { international = \"deny\" }\n";
const SITS: &str = "hotdesk={desk=\"ann\"}";

#[test]
fn h1_a_hot_desk_phone_is_one_of_the_phones_of_who_sits_there() {
    let d = with(DESK, "", "", "");
    never(&tags(&d, OUTSIDE, ANN, &[]), &["ring:desk"]);
    goes(&tags(&d, OUTSIDE, ANN, &[SITS]), &["ring:a1", "ring:desk"]);
    goes(&tags(&d, "device:desk", "102", &[SITS]), &["ext:102", "ring:b1", "caller_id:101"]);
}

#[test]
fn h1_a_phone_that_somebody_else_sits_at_leaves_its_owner() {
    let d = with(
        "[device.b2]\nuser = \"bob\"\nhotdesk = true\nauth = { user = \"b2\", secret = \"plain:x\" }\n",
        "",
        "",
        "",
    );
    goes(&tags(&d, "101", "102", &[]), &["ring:b1", "ring:b2"]);
    let t = tags(&d, "103", "102", &["hotdesk={b2=\"ann\"}"]);
    goes(&t, &["ring:b1"]);
    never(&t, &["ring:b2"]);
    goes(&tags(&d, "103", "101", &["hotdesk={b2=\"ann\"}"]), &["ring:a1", "ring:b2"]);
}

#[test]
fn o5_at_a_hot_desk_the_stricter_of_user_and_phone_decides() {
    let d = with(DESK, "restrict = { international = \"allow\", national = \"deny\" }", "", "");
    goes(&tags(&d, "device:desk", "+442079460123", &[SITS]), &["denied:class:international", "reject:403"]);
    goes(&tags(&d, "device:desk", "+12125550000", &[SITS]), &["denied:class:national", "reject:403"]);
}

#[test]
fn o3_an_emergency_call_from_a_hot_desk_says_where_the_desk_stands() {
    let d = with(DESK, "emergency = { location = \"home\" }", "", "");
    goes(&tags(&d, "device:desk", "999", &[SITS]), &["location:yard", "callback:+442079460100", "tel:999"]);
    goes(&tags(&d, "device:a1", "911", &[]), &["location:home"]);
}

#[test]
fn n6_a_phone_that_is_left_alone_shows_what_it_sends_where_that_is_ours() {
    let d = domain("ignore_caller_id = true", "", "");
    let sends = |raw: &str, to: &str| {
        let query = crate::rules::route::Query {
            to: to.to_owned(),
            from: Some(raw.to_owned()),
            from_name: Some("Lab".to_owned()),
            from_device: Some("a1".to_owned()),
            ..Default::default()
        };
        let given = crate::rules::model::Given::default();
        crate::rules::route::route(&d, &query, &given, None, jiff::Timestamp::UNIX_EPOCH).unwrap().tags
    };
    goes(&sends("+12025550101", "+12125550000"), &["tel:+12125550000", "caller_id:+12025550101"]);
    goes(&sends("+12025550177", "+12125550000"), &["tel:+12125550000", "caller_id:+12025550100"]);
    goes(&sends("777", "102"), &["ring:b1", "caller_id:777", "caller_id_name:Lab"]);
}

#[test]
fn a_number_may_be_unnamed_by_its_class_and_is_then_no_number() {
    let d = with("[class.toll]\nmatch = [\"+1900.\"]\n", "", "", "");
    let t = tags(&d, "device:a1", "+19005550123", &[]);
    goes(&t, &["class:toll", "reject:404"]);
}
