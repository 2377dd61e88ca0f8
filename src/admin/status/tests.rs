use super::*;

fn now() -> Timestamp {
    "2026-11-24T15:00:00Z".parse().unwrap()
}

fn user(body: &str) -> Result<UserChange, String> {
    UserChange::parse(body.as_bytes(), &TimeZone::UTC, now())
}

fn frame(body: &str) -> Result<FrameChange, String> {
    FrameChange::parse(body.as_bytes(), &TimeZone::UTC, now())
}

fn seat(body: &str) -> Result<SeatChange, String> {
    SeatChange::parse(body.as_bytes(), &TimeZone::UTC, now())
}

#[test]
fn what_is_absent_stays_and_null_returns_to_the_rules() {
    let before =
        UserStatus { dnd: Some(true), forward: Some("tel:+12025550100".into()), ..UserStatus::default() };
    let after = user(r#"{"forward": null}"#).unwrap().apply(before.clone()).unwrap();
    assert_eq!(after, UserStatus { dnd: Some(true), ..UserStatus::default() });
    assert_eq!(user(r#"{"forward": null, "dnd": null}"#).unwrap().apply(before), None);
}

#[test]
fn until_alone_keeps_no_status_alive() {
    assert_eq!(user(r#"{"until": "18:00"}"#).unwrap().apply(UserStatus::default()), None);
    assert_eq!(frame(r#"{"until": "18:00"}"#).unwrap().apply(None), None);
    assert_eq!(seat(r#"{"until": "18:00"}"#).unwrap().apply(None, now()), None);
}

#[test]
fn queues_are_logged_in_to_one_by_one() {
    let first = user(r#"{"queues": {"support": true, "sales": false}}"#).unwrap();
    let before = first.apply(UserStatus::default()).unwrap();
    let after = user(r#"{"queues": {"sales": null}}"#).unwrap().apply(before).unwrap();
    assert_eq!(after.queues, [("support".into(), true)].into());
    assert_eq!(user(r#"{"queues": {"support": null}}"#).unwrap().apply(after), None);
}

#[test]
fn a_frame_is_flipped_anew_each_time() {
    let on = frame(r#"{"override": "on", "until": "18:00"}"#).unwrap().apply(None).unwrap();
    assert_eq!(on, FrameStatus { on: true, until: Some("2026-11-24T18:00:00Z".parse().unwrap()) });
    let off = frame(r#"{"override": "off"}"#).unwrap().apply(Some(on.clone())).unwrap();
    assert_eq!(off, FrameStatus { on: false, until: None }, "the old end was of the old flip");
    assert_eq!(frame(r#"{"until": null}"#).unwrap().apply(Some(on.clone())).unwrap().until, None);
    for auto in [r#"{"override": null}"#, r#"{"override": "auto"}"#] {
        assert_eq!(frame(auto).unwrap().apply(Some(on.clone())), None);
    }
}

#[test]
fn a_seat_ends_when_asked_or_at_the_users_hour_whichever_is_sooner() {
    let mut change = seat(r#"{"hotdesk": "priya", "until": "18:00"}"#).unwrap();
    change.log_out = Some("2026-11-24T19:00:00Z".parse().unwrap());
    let at = |change: &SeatChange| change.apply(None, now()).unwrap().until.unwrap().to_string();
    assert_eq!(at(&change), "2026-11-24T18:00:00Z");
    change.until = None;
    assert_eq!(at(&change), "2026-11-24T19:00:00Z");
}

#[test]
fn a_wrong_body_says_what_to_write() {
    for (body, says) in [
        ("{", "not JSON"),
        ("[]", "write an object"),
        (r#"{"dnd": "on"}"#, "`dnd` is true, false or null"),
        (r#"{"forward": 7}"#, "`forward` is a text or null"),
        (r#"{"until": "6pm"}"#, "write `18:00`"),
        (r#"{"dn": true}"#, "unknown field `dn`"),
        (r#"{"queues": {"a": 1}}"#, "`a` is true, false or null"),
        (r#"{"queues": ["a"]}"#, "an object such as"),
    ] {
        let said = user(body).unwrap_err();
        assert!(said.contains(says), "{body} gave {said}");
    }
    assert!(frame(r#"{"override": "yes"}"#).unwrap_err().contains(r#""on", "off", or null"#));
    assert!(frame(r#"{"dnd": true}"#).unwrap_err().contains("override and until"));
    assert!(seat(r#"{"hotdesk": 7}"#).unwrap_err().contains("a text or null"));
}
