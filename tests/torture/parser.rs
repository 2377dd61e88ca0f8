//! What the parser makes of the torture messages: every typed field that the RFCs speak of. What needs a method, an option or a
//! policy to judge (420, 483, 415, an unknown authentication scheme...) passes this layer.

use super::messages::{CASES, Case, Says, named};
use bytes::Bytes;
use ringtree::sip::stream::{Frame, Framer};
use ringtree::sip::{Message, Method, Name, NameAddr, Scheme, Uri, Via};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

fn read(name: &str) -> Bytes {
    named(name).wire()
}

fn message(name: &str) -> Message {
    named(name).message()
}

/// Invalid by what only a registrar, a user agent or its policy can tell.
const JUDGED_ABOVE: &[&str] = &["regbadct", "bext01", "invut", "regaut01", "sdp01"];

#[test]
fn the_valid_are_taken_and_the_invalid_refused_as_the_rfcs_say() {
    for case in CASES {
        let (name, message) = (case.name, case.message());
        let refusal = message.check().err().map(|refusal| refusal.status);
        match (case.says, refusal) {
            (Says::WellFormed, None) => {}
            (Says::Refuse(with), Some(status)) => {
                assert!(with.contains(&status) && case.udp == [status], "{name}: {status}");
            }
            (Says::Refuse(_), None) => assert!(JUDGED_ABOVE.contains(&name), "{name} passes"),
            (Says::Either(_), None) => assert_ne!(case.udp, [400], "{name}"),
            (Says::Either(with), Some(status)) => {
                assert_eq!((with, case.udp), (status, &[status][..]), "{name}")
            }
            // Its first Via is whole: that it answers nothing of ours is for the transactions to see.
            (Says::Drop, refusal) => assert!(!message.is_request() && (refusal.is_some() || name == "bcast")),
            (Says::WellFormed, Some(status)) => panic!("{name} is refused with {status}"),
        }
    }
}

/// The table keeps to the RFCs, or says why not.
#[test]
fn what_we_answer_is_what_the_rfc_says_or_has_a_reason() {
    for case @ Case { name, says, udp, tcp, reason, .. } in CASES {
        let allowed = |answers: &[u16]| match says {
            Says::WellFormed => answers.first().is_none_or(|status| ![400, 416, 420, 505].contains(status)),
            Says::Refuse(with) => answers.len() == 1 && with.contains(&answers[0]),
            Says::Either(_) => true,
            Says::Drop => answers.is_empty(),
        };
        let plain = allowed(udp) && allowed(tcp) && (!case.message().is_request() || !udp.is_empty());
        assert_eq!(plain, reason.is_empty(), "{name}");
    }
}

#[test]
fn every_message_of_both_rfcs_is_here_as_their_archives_have_it() {
    use sha2::{Digest, Sha256};
    let dir = format!("{}/tests/torture", env!("CARGO_MANIFEST_DIR"));
    let sums = std::fs::read_to_string(format!("{dir}/SHA256SUMS")).unwrap();
    for line in sums.lines() {
        let (sum, file) = line.split_once("  ").unwrap();
        let bytes = std::fs::read(format!("{dir}/{file}")).unwrap();
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, sum, "{file}");
    }
    let (mut rfc4475, mut rfc5118) = (BTreeSet::new(), BTreeSet::new());
    for case in CASES {
        assert!(sums.contains(case.path().strip_prefix(&format!("{dir}/")).unwrap()), "{}", case.name);
        let rfc = if case.section.starts_with("4475") { &mut rfc4475 } else { &mut rfc5118 };
        assert!(rfc.insert(case.name), "{} twice", case.name);
    }
    assert_eq!((rfc4475.len(), rfc5118.len(), sums.lines().count()), (49, 12, 61));
}

/// Here the RFC lets an element be liberal, and what is wrong is not ours to use: a Date in EST (§3.1.2.12), spaces inside
/// angle brackets (§3.1.2.14), commas in an unquoted display name (§3.1.2.15, once its header section ends).
#[test]
fn what_may_be_taken_liberally_is() {
    assert_eq!(message("baddate").check(), Ok(()));
    assert_eq!(message("badaspec").to().unwrap().uri.text, "sip:t.watson@example.org");
    let whole = [&read("baddn")[..], b"\r\n"].concat();
    let whole = Message::parse(whole.into()).unwrap();
    assert_eq!(whole.check(), Ok(()));
    assert_eq!(whole.from().unwrap().display, "Bell, Alexander");
}

#[test]
fn what_other_layers_judge_passes_with_all_that_they_need() {
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
    let vias: Vec<_> = invite.elements(Name::Via).filter_map(Via::parse).collect();
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
fn vias_of_any_transport_and_a_name_right_before_its_bracket_are_read() {
    let options = message("transports");
    let vias: Vec<_> = options.elements(Name::Via).filter_map(Via::parse).map(|via| via.transport).collect();
    assert_eq!(vias, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    let options = message("lwsdisp");
    let from = options.from().unwrap();
    assert_eq!((from.display, from.uri.text, from.tag()), ("caller", "sip:caller@example.com", Some("323")));
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

/// RFC 5118 §4.1, §4.3, §4.4: what the brackets hold is the address, and a port stands behind them.
#[test]
fn brackets_tell_an_address_from_a_port() {
    for (name, host, port) in [
        ("ipv6-good", "2001:db8::10", None),
        ("port-ambiguous", "2001:db8::10:5070", None),
        ("port-unambiguous", "2001:db8::10", Some(5070)),
    ] {
        let register = message(name);
        let uri = Uri::parse(register.request_uri()).unwrap();
        assert_eq!((uri.host, uri.port), (host, port), "{name}");
        assert_eq!(register.top_via().unwrap().host, "2001:db8::9:1");
        let contact = register.addresses(Name::Contact).next().unwrap();
        assert_eq!((contact.display, contact.uri.host), ("Caller", "2001:db8::1"));
    }
}

/// RFC 5118 §4.5: the grammar has `received` without brackets, and many write them.
#[test]
fn received_may_stand_in_brackets_or_not() {
    let with = message("via-received-param-with-delim");
    let with = with.top_via().unwrap();
    assert_eq!((with.param("received"), with.branch()), (Some("[2001:db8::9:255]"), Some("z9hG4bKas3-111")));
    let without = message("via-received-param-no-delim");
    let without = without.top_via().unwrap();
    assert_eq!((without.param("received"), without.branch()), (Some("2001:db8::9:255"), Some("z9hG4bKas3")));
}

/// RFC 5118 §4.7.
#[test]
fn both_families_stand_in_one_list_of_vias() {
    let bye = message("mult-ip-in-header");
    let vias: Vec<_> =
        bye.elements(Name::Via).filter_map(Via::parse).map(|via| (via.host, via.port)).collect();
    assert_eq!(vias, [("2001:db8::9:1", Some(6050)), ("192.0.2.1", None), ("2001:db8::9:255", None)]);
    let last = bye.elements(Name::Via).last().and_then(Via::parse).unwrap();
    assert_eq!(last.param("received"), Some("192.0.2.200"));
}

/// RFC 5118 §4.6, §4.8, §4.9: addresses in a description have no brackets, and each medium may have one of its own.
#[test]
fn descriptions_name_addresses_of_both_families() {
    for (name, address) in [
        ("ipv6-in-sdp", "[2001:db8::20]:6000"),
        ("mult-ip-in-sdp", "192.0.2.1:22334"),
        ("ipv4-mapped-ipv6", "[::ffff:192.0.2.2]:6000"),
    ] {
        let body = message(name).body();
        assert_eq!(ringtree::sdp::audio(&body).unwrap().rtp, address.parse().unwrap(), "{name}");
    }
    let mapped: Ipv6Addr = "::ffff:192.0.2.2".parse().unwrap();
    let invite = message("ipv4-mapped-ipv6");
    let contact = invite.addresses(Name::Contact).next().unwrap();
    assert_eq!(contact.uri.host.parse::<IpAddr>().unwrap(), mapped);
}

/// RFC 5118 §4.10: RFC 3261's grammar let a third colon stand before an IPv4 tail (RFC 5954 took it back).
#[test]
fn a_third_colon_before_an_ipv4_tail_is_tolerated() {
    for (name, host) in [
        ("ipv6-bug-abnf-3-colons", "2001:db8:::192.0.2.1"),
        ("ipv6-correct-abnf-2-colons", "2001:db8::192.0.2.1"),
    ] {
        let options = message(name);
        let uri = Uri::parse(options.request_uri()).unwrap();
        assert_eq!((uri.user, uri.host), ("user", host));
        assert_eq!(options.to().unwrap().uri.host, host);
    }
}

/// RFC 5118's files have bare LF; three have a Content-Length that a body with LF doesn't fill, two have no empty line.
#[test]
fn bare_line_feeds_are_taken_for_line_ends() {
    for case in CASES.iter().filter(|case| case.section.starts_with("5118")) {
        let archived = Message::parse(case.archived()).unwrap();
        let refused = archived.check().is_err();
        let incomplete =
            ["ipv6-bad", "ipv6-in-sdp", "mult-ip-in-sdp"].contains(&case.name) || case.section == "5118 4.10";
        assert_eq!(refused, incomplete, "{}: {:?}", case.name, archived.check());
        assert_eq!(archived.call_id(), case.message().call_id());
    }
}

/// What isn't understood comes out of [`Message::headers`] byte for byte, in order, with nothing but separators between.
#[test]
fn names_and_values_are_kept_byte_for_byte() {
    for case in CASES {
        let (bytes, message) = (case.wire(), case.message());
        let mut rest = &bytes[..];
        for (_, name, value) in message.headers() {
            for part in [name, value] {
                let at = memchr::memmem::find(rest, part).unwrap_or_else(|| panic!("{}", case.name));
                let between = &rest[..at];
                let first = between.len() > 4 && between.starts_with(&bytes[..between.len().min(4)]);
                let separators = between.iter().all(|byte| b" \t\r\n:".contains(byte));
                assert!(first || separators, "{}: {:?} is lost", case.name, between);
                rest = &rest[at + part.len()..];
            }
        }
        assert!(
            message.check().is_err() || rest.iter().zip(b"\r\n\r\n").all(|(a, b)| a == b),
            "{}",
            case.name
        );
        assert_eq!(message.bytes(), &bytes);
    }
}

/// Every prefix and every message with one byte changed is read or refused, never a panic.
#[test]
fn no_mutilation_of_a_message_panics() {
    for case in CASES {
        let whole = case.wire();
        for at in 0..whole.len() {
            exercise(&whole[..at]);
            let mut bytes = whole.to_vec();
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
