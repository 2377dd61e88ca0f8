//! The 49 messages of RFC 4475 (`tests/torture/`, by the names that the RFC gives them), judged as it says. Where it leaves
//! a choice between refusing and being liberal, the choice is named here. What needs a method, an option or a policy to
//! judge (420, 483, 415, an unknown authentication scheme...) passes this layer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says by panicking that it failed")]

use bytes::Bytes;
use ringtree::sip::stream::{Frame, Framer};
use ringtree::sip::{Message, Method, Name, NameAddr, Scheme, Uri};

fn read(name: &str) -> Bytes {
    std::fs::read(format!("{}/tests/torture/{name}.dat", env!("CARGO_MANIFEST_DIR"))).unwrap().into()
}

fn message(name: &str) -> Message {
    Message::parse(read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The status that the message is refused with, if it is.
fn refusal(name: &str) -> Option<u16> {
    message(name).check().err().map(|refusal| refusal.status)
}

#[test]
fn every_valid_message_is_taken() {
    for name in [
        "wsinv",
        "intmeth",
        "esc01",
        "escnull",
        "esc02",
        "lwsdisp",
        "longreq",
        "dblreq",
        "semiuri",
        "transports",
        "mpart01",
        "unreason",
        "noreason",
    ] {
        assert_eq!(message(name).check(), Ok(()), "{name}");
    }
}

#[test]
fn every_invalid_message_is_refused_as_the_rfc_says() {
    for (name, status) in [
        ("badinv01", 400),
        ("clerr", 400),
        ("ncl", 400),
        ("scalar02", 400),
        ("quotbal", 400),
        ("ltgtruri", 400),
        ("lwsruri", 400),
        ("lwsstart", 400),
        ("trws", 400),
        ("escruri", 400),
        ("badvers", 505),
        ("mismatch01", 400),
        ("mismatch02", 400),
        ("insuf", 400),
        ("multi01", 400),
        ("mcl01", 400),
        ("unkscm", 416),
        ("novelsc", 416),
    ] {
        assert_eq!(refusal(name), Some(status), "{name}");
    }
}

#[test]
fn invalid_responses_are_dropped() {
    for name in ["scalarlg", "bigcode"] {
        assert!(!message(name).is_request() && message(name).check().is_err(), "{name}");
    }
}

/// Here the RFC lets an element be liberal, and what is wrong is not ours to use: a Date in EST (§3.1.2.12), spaces inside
/// angle brackets (§3.1.2.14), commas in an unquoted display name (§3.1.2.15).
#[test]
fn what_may_be_taken_liberally_is() {
    for name in ["baddate", "badaspec", "baddn"] {
        assert_eq!(refusal(name), None, "{name}");
    }
    assert_eq!(message("badaspec").to().unwrap().uri.text, "sip:t.watson@example.org");
    assert_eq!(message("baddn").from().unwrap().display, "Bell, Alexander");
}

#[test]
fn what_other_layers_judge_passes_with_all_that_they_need() {
    for name in [
        "badbranch",
        "unksm2",
        "bext01",
        "invut",
        "regaut01",
        "bcast",
        "zeromf",
        "cparam01",
        "cparam02",
        "regescrt",
        "regbadct",
        "sdp01",
        "inv2543",
    ] {
        assert_eq!(refusal(name), None, "{name}");
    }
    assert_eq!(message("badbranch").top_via().unwrap().branch(), Some("z9hG4bK"));
    assert_eq!(message("unksm2").to().unwrap().uri.scheme, Scheme::Other);
    assert_eq!(message("bext01").elements(Name::Require).count(), 2);
    assert_eq!(message("invut").body().len(), 40);
    assert_eq!(message("zeromf").max_forwards(), Some(0));
    assert_eq!(message("inv2543").max_forwards(), None);
    assert_eq!(message("inv2543").from().unwrap().tag(), None);
    let vias: Vec<_> = message("bcast").elements(Name::Via).map(str::to_owned).collect();
    assert_eq!(vias.len(), 2);
}

#[test]
fn a_contact_shows_whose_its_parameters_are() {
    let (header, uri) = (message("cparam01"), message("cparam02"));
    let header = header.addresses(Name::Contact).next().unwrap();
    assert_eq!((header.param("unknownparam"), header.uri.params), (Some(""), ""));
    let uri = uri.addresses(Name::Contact).next().unwrap();
    assert_eq!((uri.uri.param("unknownparam"), uri.params), (Some(""), ""));
    let escaped = message("regescrt");
    let escaped = escaped.addresses(Name::Contact).next().unwrap();
    assert_eq!(escaped.uri.headers, "?Route=%3Csip:sip.example.com%3E");
    // §3.1.2.13: without angle brackets it is no Contact.
    let bad = message("regbadct");
    assert_eq!(bad.value(Name::Contact).and_then(NameAddr::parse), None);
}

#[test]
fn the_short_tortuous_invite_says_what_it_means() {
    let invite = message("wsinv");
    assert_eq!(invite.to().unwrap().tag(), Some("1918181833n"));
    assert_eq!(invite.from().unwrap().tag(), Some("98asjd8"));
    assert_eq!(invite.from().unwrap().display_unescaped(), "J Rosenberg \\\"");
    assert_eq!(invite.max_forwards(), Some(68));
    assert_eq!(invite.cseq().unwrap().number, 9);
    assert_eq!(invite.value(Name::Subject), Some(""));
    assert_eq!(invite.other("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    assert_eq!(invite.other("newfangledheader"), Some("newfangled value   continued newfangled value"));
    let vias: Vec<_> = invite.elements(Name::Via).filter_map(ringtree::sip::Via::parse).collect();
    let branches: Vec<_> = vias.iter().filter_map(|via| via.branch()).collect();
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    assert_eq!(
        vias.iter().map(|via| via.host).collect::<Vec<_>>()[1..],
        ["spindle.example.com", "192.168.255.111"]
    );
    let contact = invite.addresses(Name::Contact).next().unwrap();
    assert_eq!((contact.param("newparam"), contact.param("q")), (Some("newvalue"), Some("0.33")));
    assert_eq!(contact.param("secondparam"), Some(""));
    assert_eq!(ringtree::sdp::audio(&invite.body()).unwrap().rtp, "192.0.2.4:49217".parse().unwrap());
}

#[test]
fn the_wide_range_of_characters_is_read() {
    let message = message("intmeth");
    assert_eq!(message.method(), Method::Other);
    assert_eq!(message.method_text(), "!interesting-Method0123456789_*+`.%indeed'~");
    let uri = Uri::parse(message.request_uri()).unwrap();
    assert_eq!((uri.user, uri.host), ("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", "example.com"));
    assert_eq!(message.to().unwrap().display_unescaped(), "BEL:\u{7} NUL:\0 DEL:\u{7f}");
    assert_eq!(message.from().unwrap().param("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(message.from().unwrap().tag(), Some("_token~1'+`*%!-."));
    assert_eq!(message.other("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
}

#[test]
fn escapes_are_resolved_once_and_only_in_uris() {
    let invite = message("esc01");
    let uri = Uri::parse(invite.request_uri()).unwrap();
    assert_eq!((uri.user_unescaped().as_ref(), uri.host), ("sips:user@example.com", "example.net"));
    assert_eq!(invite.to().unwrap().uri.user_unescaped(), "user");
    assert_eq!(invite.from().unwrap().uri.user_unescaped(), "I have spaces");
    assert_eq!(message("escnull").to().unwrap().uri.user_unescaped(), "null-\0-null");
    let other = message("esc02");
    assert_eq!((other.method(), other.method_text()), (Method::Other, "RE%47IST%45R"));
    assert_eq!(other.from().unwrap().display, "%Z%45");
    assert_eq!(other.addresses(Name::Contact).map(|c| c.uri.user).collect::<Vec<_>>(), ["alias1", "alias3"]);
}

#[test]
fn a_user_part_may_look_like_parameters() {
    let options = message("semiuri");
    let uri = Uri::parse(options.request_uri()).unwrap();
    assert_eq!((uri.user_unescaped().as_ref(), uri.params), ("user;par=u@example.net", ""));
    assert_eq!(options.elements(Name::Accept).count(), 6);
}

#[test]
fn long_values_and_many_vias_are_read_whole() {
    let invite = message("longreq");
    assert_eq!(invite.elements(Name::Via).count(), 34);
    assert_eq!(invite.from().unwrap().uri.user, "amazinglylongcallername".repeat(5));
    assert_eq!(invite.to().unwrap().uri.port, Some(6000));
    assert_eq!(invite.body().len(), 150);
}

#[test]
fn what_follows_the_body_is_cut_from_a_datagram_and_is_the_next_message_of_a_stream() {
    let register = message("dblreq");
    assert_eq!((register.method(), register.body().len()), (Method::Register, 0));
    let mut framer = Framer::default();
    framer.push(&read("dblreq"));
    let mut methods = Vec::new();
    while let Ok(Some(Frame::Message(bytes))) = framer.next() {
        methods.push(Message::parse(bytes).unwrap().method());
    }
    assert_eq!(methods, [Method::Register, Method::Invite]);
}

#[test]
fn binary_bodies_pass_byte_for_byte() {
    let body = message("mpart01").body();
    assert_eq!(body.len(), 553);
    assert!(std::str::from_utf8(&body).is_err());
    assert!(read("mpart01").ends_with(&body));
}

#[test]
fn reason_phrases_may_be_empty_or_in_any_script() {
    assert_eq!(message("unreason").reason_phrase(), "= 2**3 * 5**2 но сто девяносто девять - простое");
    assert_eq!((message("noreason").status(), message("noreason").reason_phrase()), (100, ""));
}

#[test]
fn every_message_is_accounted_for() {
    let dir = format!("{}/tests/torture", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 49);
}

/// Every prefix and every message with one byte changed is read or refused, never a panic.
#[test]
fn no_mutilation_of_a_message_panics() {
    for entry in std::fs::read_dir(format!("{}/tests/torture", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let whole = std::fs::read(entry.unwrap().path()).unwrap();
        for at in 0..whole.len() {
            exercise(&whole[..at]);
            let mut bytes = whole.clone();
            bytes[at] = *b"\0\"<,;\r\n\xff".get(at % 8).unwrap();
            exercise(&bytes);
        }
    }
}

fn exercise(bytes: &[u8]) {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(bytes)) else { return };
    let _ = message.check();
    let _ = message.addresses(Name::Contact).filter(|contact| contact.param("q").is_some()).count();
    let _ = (message.top_via(), message.body(), message.number(Name::Expires));
}
