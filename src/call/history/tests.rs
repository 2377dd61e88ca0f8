use super::*;
use proptest::prelude::*;

fn invite(fields: &str) -> Message {
    let text = format!("INVITE sip:+12025550101@pbx.example SIP/2.0\r\n{fields}Content-Length: 0\r\n\r\n");
    Message::parse(text.into()).unwrap()
}

fn written(history: &History, wants: Diversion, trusted: bool) -> Vec<String> {
    let mut w = Writer::request("INVITE", "sip:x@trunk.example");
    history.write(&mut w, wants, trusted);
    let message = Message::parse(w.finish()).unwrap();
    [Name::HistoryInfo, Name::Diversion]
        .into_iter()
        .flat_map(|name| message.values(name).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

const BY: &str = "sip:+12025550101@pbx.example";
const TO: &str = "sip:+12025550181@trunk.example";

#[test]
fn a_forward_of_ours_is_told_in_either_field() {
    let mut history = History::default();
    history.divert(BY, "no-answer", TO);
    assert_eq!(
        written(&history, Diversion::Both, false),
        [
            "<sip:+12025550101@pbx.example>;index=1",
            "<sip:+12025550181@trunk.example;cause=408>;index=1.1;mp=1",
            "<sip:+12025550101@pbx.example>;reason=no-answer;counter=1;privacy=off",
        ]
    );
    assert_eq!(written(&history, Diversion::None, false), [""; 0]);
    assert_eq!(history.hops(), 1);
}

#[test]
fn forwards_of_ours_after_each_other_are_one_line_of_stations() {
    let mut history = History::default();
    history.divert("sip:101@pbx.example", "no-answer", "sip:102@pbx.example");
    history.divert("sip:102@pbx.example", "user-busy", TO);
    assert_eq!(
        written(&history, Diversion::Both, false),
        [
            "<sip:101@pbx.example>;index=1",
            "<sip:102@pbx.example;cause=408>;index=1.1;mp=1",
            "<sip:+12025550181@trunk.example;cause=486>;index=1.1.1;mp=1.1",
            "<sip:102@pbx.example>;reason=user-busy;counter=1;privacy=off",
            "<sip:101@pbx.example>;reason=no-answer;counter=1;privacy=off",
        ]
    );
    assert_eq!(history.hops(), 2);
}

#[test]
fn every_reason_has_its_cause() {
    for (reason, cause) in [
        ("unconditional", 302),
        ("user-busy", 486),
        ("no-answer", 408),
        ("deflection", 480),
        ("unavailable", 503),
        ("do-not-disturb", 404),
        ("follow-me", 404),
    ] {
        let mut history = History::default();
        history.divert(BY, reason, TO);
        let lines = written(&history, Diversion::HistoryInfo, false);
        assert!(lines[1].contains(&format!(";cause={cause}>")), "{reason}: {lines:?}");
    }
}

#[test]
fn a_past_that_came_in_goes_on_and_grows() {
    let message = invite(
        "History-Info: <sip:+442079460188@carrier.example>;index=1\r\n\
         History-Info: <sip:+12025550101@pbx.example;cause=302?Reason=SIP%3Bcause%3D302>;index=1.1;mp=1\r\n",
    );
    let mut history = History::of(&message);
    assert_eq!(history.hops(), 1);
    assert_eq!(history.diverters().collect::<Vec<_>>(), ["+442079460188"]);
    history.divert(BY, "user-busy", TO);
    assert_eq!(
        written(&history, Diversion::HistoryInfo, false),
        [
            "<sip:+442079460188@carrier.example>;index=1",
            "<sip:+12025550101@pbx.example;cause=302?Reason=SIP%3Bcause%3D302>;index=1.1;mp=1",
            "<sip:+12025550181@trunk.example;cause=486>;index=1.1.1;mp=1.1",
        ]
    );
    assert_eq!(
        written(&history, Diversion::Diversion, false),
        [
            "<sip:+12025550101@pbx.example>;reason=user-busy;counter=1;privacy=off",
            "<sip:+442079460188@carrier.example>;reason=unconditional;counter=1;privacy=off",
        ]
    );
}

#[test]
fn diversion_is_read_from_the_newest_and_counted() {
    let message = invite(
        "Diversion: <sip:+12025550107@carrier.example>;reason=user-busy;counter=2\r\n\
         Diversion: \"Front\" <sip:+12025550108@carrier.example>;reason=no-answer;privacy=full\r\n",
    );
    let history = History::of(&message);
    assert_eq!(history.hops(), 3);
    assert_eq!(history.diverters().collect::<Vec<_>>(), ["+12025550108", "+12025550107"]);
    assert_eq!(
        written(&history, Diversion::HistoryInfo, false),
        [
            "<sip:anonymous@anonymous.invalid>;index=1",
            "<sip:+12025550107@carrier.example;cause=408>;index=1.1;mp=1",
            "<sip:+12025550101@pbx.example;cause=486>;index=1.1.1;mp=1.1",
        ]
    );
}

#[test]
fn the_same_diversion_in_both_fields_counts_once() {
    let message = invite(
        "Diversion: <sip:+12025550107@carrier.example>;reason=user-busy\r\n\
         History-Info: <sip:+12025550107@carrier.example>;index=1, <sip:+12025550101@pbx.example;cause=486>;index=1.1;mp=1\r\n",
    );
    assert_eq!(History::of(&message).hops(), 1);
}

#[test]
fn mere_routing_is_no_diversion() {
    let message = invite(
        "History-Info: <sip:+12025550101@carrier.example>;index=1, <sip:+12025550101@pbx.example>;index=1.1;rc=1\r\n",
    );
    let history = History::of(&message);
    assert_eq!(history.hops(), 0);
    assert_eq!(written(&history, Diversion::Both, true), [""; 0]);
}

#[test]
fn privacy_keeps_the_past_from_whom_we_do_not_trust() {
    for field in ["Privacy: id;history\r\n", "Privacy: session\r\n", ""] {
        let own = if field.is_empty() { "?Privacy=history" } else { "" };
        let message = invite(&format!(
            "{field}History-Info: <sip:+442079460188@c.example{own}>;index=1, <sip:+12025550101@p.example;cause=302{own}>;index=1.1;mp=1\r\n"
        ));
        let history = History::of(&message);
        let hidden = written(&history, Diversion::Both, false).join(" ");
        assert!(!hidden.contains("+442079460188"), "{field}: {hidden}");
        assert!(hidden.contains(";privacy=full"), "{hidden}");
        let told = written(&history, Diversion::Both, true).join(" ");
        assert!(told.contains("+442079460188") && told.contains(";privacy=full"), "{field}: {told}");
    }
}

#[test]
fn a_forwarder_who_is_not_where_the_call_came_to_is_a_station_of_their_own() {
    let message = invite("Diversion: <sip:+12025550107@c.example>;reason=user-busy\r\n");
    let mut history = History::of(&message);
    history.divert("sip:+12025550100@pbx.example", "unconditional", TO);
    let entries = written(&history, Diversion::HistoryInfo, false);
    assert_eq!(entries[2], "<sip:+12025550100@pbx.example>;index=1.1.1;rc=1.1");
    assert_eq!(entries[3], "<sip:+12025550181@trunk.example;cause=302>;index=1.1.1.1;mp=1.1.1");
}

#[test]
fn a_flood_of_entries_is_cut() {
    let mut fields = String::new();
    for n in 0..500 {
        fields += &format!("History-Info: <sip:a{n}@b;cause=302>;index={n}.1;mp={n}\r\n");
    }
    let mut history = History::of(&invite(&fields));
    for _ in 0..500 {
        history.divert(BY, "unconditional", TO);
    }
    assert!(written(&history, Diversion::HistoryInfo, true).len() <= STATIONS_MAX);
}

proptest! {
    #[test]
    fn what_we_write_is_what_we_read(steps in prop::collection::vec(("[a-z]{1,6}", 0usize..5), 1..8)) {
        const REASONS: [&str; 5] = ["unconditional", "user-busy", "no-answer", "deflection", "unavailable"];
        let mut history = History::default();
        let mut by = "sip:first@pbx.example".to_owned();
        for (user, reason) in &steps {
            let to = format!("sip:{user}@trunk.example");
            history.divert(&by, REASONS[*reason], &to);
            by = to;
        }
        for wants in [Diversion::HistoryInfo, Diversion::Diversion] {
            let mut w = Writer::request("INVITE", &by);
            history.write(&mut w, wants, true);
            let read = History::of(&Message::parse(w.finish()).unwrap());
            prop_assert_eq!(read.hops(), history.hops());
            prop_assert_eq!(read.diverters().collect::<Vec<_>>(), history.diverters().collect::<Vec<_>>());
        }
    }

    #[test]
    fn arbitrary_fields_never_panic(history in "[ -~]{0,80}", diversion in "[ -~]{0,80}") {
        let mut history = History::of(&invite(&format!("History-Info: {history}\r\nDiversion: {diversion}\r\n")));
        history.divert(BY, "unconditional", TO);
        let _ = written(&history, Diversion::Both, false);
    }
}
