//! What the torture messages leave out of RFC 3261 §8.2 and §18.3: each a request made for it, through the switch in this process.

use super::switch::Desk;
use ringtree::sip::{Message, Name};

/// A request as a friend sends it. `fields` stand before the others and may take the place of one of the same name; one with an
/// empty value leaves it out.
fn request(method: &str, uri: &str, fields: &[(&str, &str)], body: &str) -> Vec<u8> {
    let usual = [
        ("Via", "SIP/2.0/UDP host.example.net;rport;branch=z9hG4bKone".to_owned()),
        ("Max-Forwards", "70".to_owned()),
        ("From", "<sip:caller@example.com>;tag=a".to_owned()),
        ("To", "<sip:user@example.com>".to_owned()),
        ("Call-ID", "request@host.example.net".to_owned()),
        ("CSeq", format!("1 {method}")),
        ("Contact", "<sip:caller@192.0.2.200>".to_owned()),
        ("Content-Length", body.len().to_string()),
    ];
    let mut text = format!("{method} {uri} SIP/2.0\r\n");
    let given = fields.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let kept = usual.into_iter().filter(|(name, _)| !fields.iter().any(|(given, _)| given == name));
    for (name, value) in given.chain(kept).filter(|(_, value)| !value.is_empty()) {
        text += &format!("{name}: {value}\r\n");
    }
    format!("{text}\r\n{body}").into_bytes()
}

const USER: &str = "sip:user@example.com";
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// The final statuses that a fresh switch answers with.
fn statuses(bytes: &[u8]) -> Vec<u16> {
    Desk::new().take(bytes).iter().map(Message::status).filter(|status| *status >= 200).collect()
}

/// The one final response of a fresh switch.
fn answer(bytes: &[u8]) -> Message {
    let mut sent = Desk::new().take(bytes);
    sent.retain(|message| message.status() >= 200);
    assert_eq!(sent.len(), 1, "{}", String::from_utf8_lossy(bytes));
    sent.remove(0)
}

/// RFC 3261 §8.2.2.3.
#[test]
fn an_extension_that_we_lack_is_named_in_420_whatever_the_method() {
    for method in ["INVITE", "OPTIONS", "REGISTER", "BYE", "UPDATE", "INFO"] {
        let fields = [("Require", "foo"), ("Require", "bar,  baz"), ("Proxy-Require", "qux")];
        let response = answer(&request(method, USER, &fields, ""));
        assert_eq!(
            (response.status(), response.value(Name::Unsupported)),
            (420, Some("foo, bar, baz")),
            "{method}"
        );
    }
    // §20.29: Proxy-Require is for those who forward.
    assert_eq!(statuses(&request("OPTIONS", USER, &[("Proxy-Require", "foo")], "")), [200]);
    // A method that isn't taken is refused before its fields are looked at (§8.2.1).
    assert_eq!(statuses(&request("PUBLISH", USER, &[("Require", "foo")], "")), [405]);
    // CANCEL and ACK must not carry it; where they do, it is passed over.
    assert_eq!(statuses(&request("CANCEL", USER, &[("Require", "foo")], "")), [481]);
    assert_eq!(statuses(&request("ACK", USER, &[("Require", "foo")], "")), [0; 0]);
}

/// RFC 3261 §8.2.1, §21.5.2.
#[test]
fn methods_that_we_do_not_take_are_refused_with_those_that_we_do() {
    for (method, status) in [("PUBLISH", 405), ("FOO", 501), ("invite", 501)] {
        let response = answer(&request(method, USER, &[], ""));
        assert_eq!(response.status(), status, "{method}");
        let allowed: Vec<_> = response.elements(Name::Allow).collect();
        assert!(allowed.contains(&"INVITE") && allowed.contains(&"BYE"), "{method}: {allowed:?}");
    }
}

/// RFC 3261 §8.2.2.1.
#[test]
fn a_scheme_that_we_lack_is_416_whatever_the_method() {
    for method in ["INVITE", "OPTIONS", "REGISTER", "BYE", "FOO"] {
        assert_eq!(statuses(&request(method, "mailto:a@example.com", &[], "")), [416], "{method}");
    }
    for uri in ["sips:user@example.com", "tel:+12025550199", "urn:service:sos"] {
        assert_ne!(statuses(&request("INVITE", uri, &[], SDP)), [416], "{uri}");
    }
}

/// RFC 3261 §16.3 step 3, RFC 7332: what ends here needs no hop more.
#[test]
fn a_call_without_a_hop_left_is_483_and_options_are_answered() {
    assert_eq!(statuses(&request("INVITE", USER, &[("Max-Forwards", "0")], "")), [483]);
    assert_eq!(statuses(&request("OPTIONS", USER, &[("Max-Forwards", "0")], "")), [200]);
}

/// RFC 3261 §8.2.2.2: a proxy forked it, and both copies come here. A retransmission is none.
#[test]
fn the_same_call_by_another_way_is_482_and_goes_on_by_the_first() {
    let mut desk = Desk::new();
    let here = [("From", "<sip:user@example.com>;tag=r"), ("Contact", "<sip:user@192.0.2.200:5070>")];
    let register = request("REGISTER", "sip:example.com", &here, "");
    assert_eq!(desk.take(&register).last().unwrap().status(), 200);
    let sdp = ("Content-Type", "application/sdp");
    let sent = desk.take(&request("INVITE", USER, &[sdp], SDP));
    assert!(sent.iter().any(|message| message.is_request()), "the phone rings: {sent:?}");
    let other = ("Via", "SIP/2.0/UDP other.example.net;rport;branch=z9hG4bKtwo");
    let sent = desk.take(&request("INVITE", USER, &[sdp, other], SDP));
    assert_eq!(sent.iter().map(Message::status).collect::<Vec<_>>(), [482]);
    let sent = desk.take(&request("INVITE", USER, &[sdp], SDP));
    assert!(sent.iter().all(|message| message.status() == 100), "a retransmission: {sent:?}");
}

/// RFC 3261 §8.1.1, §7.3.1; Content-Type and Expires because two readers could take different ones.
#[test]
fn a_field_that_is_missing_or_stands_twice_is_400() {
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        assert_eq!(statuses(&request("OPTIONS", USER, &[(name, "")], "")), [400], "without {name}");
    }
    for (name, value) in [
        ("From", "<sip:caller@example.com>;tag=a"),
        ("To", "<sip:user@example.com>"),
        ("Call-ID", "x"),
        ("CSeq", "1 OPTIONS"),
        ("Max-Forwards", "70"),
        ("Content-Length", "0"),
        ("Content-Type", "text/plain"),
        ("Expires", "60"),
    ] {
        assert_eq!(
            statuses(&request("OPTIONS", USER, &[(name, value), (name, value)], "")),
            [400],
            "two {name}"
        );
    }
    // Absent, it counts as 70 (§16.3).
    assert_eq!(statuses(&request("OPTIONS", USER, &[("Max-Forwards", "")], "")), [200]);
}

/// RFC 3261 §8.1.1.8: one, a SIP or SIPS URI.
#[test]
fn a_call_needs_a_contact_that_requests_can_be_sent_to() {
    for contact in ["", "*", "<sip:caller@192.0.2.200", "<mailto:caller@example.com>"] {
        assert_eq!(statuses(&request("INVITE", USER, &[("Contact", contact)], "")), [400], "{contact}");
    }
    assert_eq!(statuses(&request("INVITE", USER, &[("Contact", "sips:caller@192.0.2.200;x=y")], "")), [480]);
}

/// RFC 3261 §18.3.
#[test]
fn a_datagram_is_cut_to_its_content_length_and_refused_where_it_is_too_short() {
    assert_eq!(statuses(&request("OPTIONS", USER, &[("Content-Length", "2")], "xyz")), [200]);
    assert_eq!(statuses(&request("OPTIONS", USER, &[("Content-Length", "4")], "xyz")), [400]);
    assert_eq!(statuses(&request("OPTIONS", USER, &[("Content-Length", "")], "xyz")), [200]);
    let mut desk = Desk::new();
    let response = request("OPTIONS", USER, &[("Content-Length", "4")], "xyz");
    let response =
        [b"SIP/2.0 200 OK", &response[response.iter().position(|byte| *byte == b'\r').unwrap()..]].concat();
    assert_eq!(desk.take(&response).len(), 0, "a response is dropped");
    assert_eq!(desk.switch.counters().bad_requests_total, 1);
}

#[test]
fn numbers_that_are_too_large_are_refused_or_cut() {
    for (cseq, status) in
        [("2147483647", 200), ("2147483648", 400), ("99999999999999999999", 400), ("-1", 400)]
    {
        assert_eq!(
            statuses(&request("OPTIONS", USER, &[("CSeq", &format!("{cseq} OPTIONS"))], "")),
            [status]
        );
    }
    for (hops, status) in [("255", 200), ("256", 400), ("99999999999", 400), ("x", 400)] {
        assert_eq!(statuses(&request("OPTIONS", USER, &[("Max-Forwards", hops)], "")), [status], "{hops}");
    }
    // RFC 3261 §20.19: up to 2^32-1; more is as long as we grant.
    for expires in ["4294967295", "4294967296", "99999999999999999999"] {
        let fields = [("From", "<sip:user@example.com>;tag=r"), ("Expires", expires)];
        let response = answer(&request("REGISTER", "sip:example.com", &fields, ""));
        assert_eq!(response.value(Name::Contact), Some("<sip:caller@192.0.2.200>;expires=7200"), "{expires}");
    }
}

/// RFC 3261 §20.1, §21.4.7.
#[test]
fn a_caller_who_does_not_take_sdp_gets_406() {
    for (accept, status) in [
        ("application/sdp", 480),
        ("text/plain, Application/SDP;level=1", 480),
        ("application/*", 480),
        ("*/*;q=0.1", 480),
        ("text/plain, application/isup", 406),
    ] {
        assert_eq!(statuses(&request("INVITE", USER, &[("Accept", accept)], "")), [status], "{accept}");
    }
}

/// RFC 3261 §8.2.3, §7.4.1: one type that we read, alone or among others.
#[test]
fn a_body_that_we_do_not_read_is_415_and_one_part_that_we_do_is_enough() {
    let parts = format!(
        "--b\r\nContent-Type: image/png\r\n\r\n\u{fffd}\r\n--b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b--\r\n"
    );
    for (content_type, body, status) in [
        ("application/sdp", SDP, 480),
        ("multipart/mixed;boundary=b", &parts, 480),
        ("multipart/mixed;boundary=c", &parts, 415),
        ("application/isup", "x", 415),
    ] {
        assert_eq!(
            statuses(&request("INVITE", USER, &[("Content-Type", content_type)], body)),
            [status],
            "{content_type}"
        );
    }
}

/// RFC 3261 §20.43, §21.4.26. The lines that are wrong say so before anybody rings.
#[test]
fn an_offer_that_can_not_be_relayed_is_488_and_a_warning_says_why() {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n";
    let audio = "m=audio 4000 RTP/AVP 0\r\n";
    for (body, says) in [
        (format!("{head}{}", audio.repeat(400)), "more than 32 media lines"),
        (format!("{head}{}", audio.replace("4000", "99999")), "a media or connection line can't be read"),
        (format!("{head}{}", audio.replace("4000", "-1")), "a media or connection line can't be read"),
        (format!("{head}{}", audio.replace("RTP/AVP", "SCTP/FOO")), "no audio that can be relayed"),
        (format!("{head}m=image 4000 udptl t38\r\n"), "no audio that can be relayed"),
        (head.to_owned(), "no audio that can be relayed"),
        (
            format!("{head}{audio}").replace("192.0.2.7", "phone.example"),
            "a media or connection line can't be read",
        ),
        ("\u{0}\u{1}\u{2}".to_owned(), "not a session description"),
    ] {
        let response = answer(&request("INVITE", USER, &[("Content-Type", "application/sdp")], &body));
        assert_eq!(response.status(), 488, "{says}");
        assert_eq!(response.value(Name::Warning), Some(format!("399 ringtree \"{says}\"").as_str()));
    }
}

/// RFC 3261 §7.3.1, §7.3.3: the same request however it is written.
#[test]
fn compact_forms_folds_and_lists_make_no_difference() {
    let text = format!(
        "INVITE {USER} SIP/2.0\r\nv: SIP/2.0/UDP a.example.net;rport\r\n\t;branch=z9hG4bKone,\r\n SIP/2.0/TCP b.example.net;branch=z9hG4bKtwo\r\n\
         f:<sip:caller@example.com>;tag=a\r\nT :{USER}\r\ni:x\r\nCSEQ:\r\n 1\r\n INVITE\r\nm:<sip:caller@192.0.2.200>\r\n\
         c:application/sdp\r\nk: replaces,\r\n timer\r\nl: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    let response = answer(text.as_bytes());
    assert_eq!((response.status(), response.elements(Name::Via).count()), (480, 2));
}

/// Gateways write it, and a name in the display must not cost the call. It goes back byte for byte.
#[test]
fn stray_latin_1_does_not_cost_the_call() {
    let text = request("INVITE", USER, &[("To", "\"B\u{1}b\" <sip:user@example.com>")], "");
    let latin: Vec<u8> = text.into_iter().map(|byte| if byte == 1 { 0xf6 } else { byte }).collect();
    let response = answer(&latin);
    assert_eq!(response.status(), 480);
    assert!(response.headers().any(|(name, _, value)| name == Name::To && value.starts_with(b"\"B\xf6b\"")));
}

/// RFC 3261 §21.4.11, §21.4.12, §21.5.7: as far as a stream gives it out before it ends.
#[test]
fn what_is_too_large_is_told_so() {
    assert_eq!(statuses(&request("OPTIONS", USER, &[("Content-Length", "70000")], "")), [413]);
    let uri = format!("sip:{}@example.com", "x".repeat(5_000));
    assert_eq!(statuses(&request("OPTIONS", &uri, &[], "")), [414]);
    let mut endless = request("OPTIONS", USER, &[], "");
    endless.truncate(endless.len() - 2);
    endless.extend_from_slice(b"X: ");
    endless.resize(ringtree::sip::parse::MESSAGE_BYTES_MAX, b'x');
    assert_eq!(statuses(&endless), [513]);
}

#[test]
fn more_fields_than_anybody_needs_are_400_before_they_are_read() {
    let many: Vec<(&str, &str)> = (0..300).map(|_| ("X", "y")).collect();
    assert_eq!(statuses(&request("OPTIONS", USER, &many, "")), [400]);
}

/// RFC 3261 §10.3 step 8.
#[test]
fn the_answer_to_a_registration_tells_the_time() {
    let fields = [("From", "<sip:user@example.com>;tag=r")];
    let response = answer(&request("REGISTER", "sip:example.com", &fields, ""));
    let date = response.value(Name::Date).expect("a Date");
    let (day, clock) = date.split_once(", ").unwrap();
    assert!(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&day), "{date}");
    assert!(
        clock.len() == "13 Nov 2010 23:29:00 GMT".len()
            && clock.ends_with(":00 GMT") | clock.ends_with(" GMT")
    );
    assert!(jiff::fmt::rfc2822::parse(&date.replace("GMT", "+0000")).is_ok(), "{date}");
}

/// RFC 3261 §17.1.1.3: nothing answers an ACK.
#[test]
fn an_ack_is_never_answered_however_wrong_it_is() {
    for fields in [&[("CSeq", "x")][..], &[("Via", "")], &[("Max-Forwards", "999")], &[("To", "")]] {
        assert_eq!(statuses(&request("ACK", USER, fields, "")), [0; 0]);
    }
}

/// RFC 3261 §11.2.
#[test]
fn options_are_answered_with_what_we_take() {
    let response = answer(&request("OPTIONS", "sip:example.com", &[("Accept", "application/sdp")], ""));
    let methods: Vec<_> = response.elements(Name::Allow).collect();
    for method in ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "UPDATE", "INFO"] {
        assert!(methods.contains(&method), "{method}");
    }
    assert_eq!((response.status(), response.value(Name::Accept)), (200, Some("application/sdp")));
    assert!(response.to().unwrap().tag().is_some(), "§8.2.6.2");
}

/// RFC 3261 §8.2.7, §26.3.2.4: who has not said who they are gets an answer, and no room for it.
#[test]
fn what_is_refused_before_anybody_is_known_is_not_kept() {
    type Fields = &'static [(&'static str, &'static str)];
    const IN_DIALOG: (&str, &str) = ("To", "<sip:user@example.com>;tag=x");
    let refused: [(&str, Fields, u16); 9] = [
        ("BYE", &[IN_DIALOG], 481),
        ("UPDATE", &[IN_DIALOG], 481),
        ("INVITE", &[IN_DIALOG], 481),
        ("SUBSCRIBE", &[IN_DIALOG, ("Event", "dialog")], 481),
        ("BYE", &[], 481),
        ("INVITE", &[("Accept", "text/plain")], 406),
        ("INVITE", &[("Contact", "")], 400),
        ("INVITE", &[("Require", "foo")], 420),
        ("FOO", &[], 501),
    ];
    for (method, fields, status) in refused {
        let mut desk = Desk::new();
        let sent = desk.take(&request(method, USER, fields, ""));
        assert_eq!(sent.iter().map(Message::status).collect::<Vec<_>>(), [status], "{method} {fields:?}");
        assert_eq!(desk.switch.counters().transactions, 0, "{method} {fields:?}");
    }
}

/// RFC 3261 §8.2.7: whoever asks how we are costs no memory, however often.
#[test]
fn options_that_come_again_are_answered_again_and_nothing_is_kept() {
    let mut desk = Desk::new();
    let mut answers =
        || desk.take(&request("OPTIONS", USER, &[], "")).iter().map(|m| m.bytes().clone()).collect();
    let first: Vec<_> = answers();
    assert_eq!((first.len(), answers()), (1, first));
    assert_eq!(desk.switch.counters().transactions, 0);
}
