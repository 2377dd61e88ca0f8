//! What the relay's owner and the parties notice of a description.

use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

const OFFER: &str = "v=0\r\no=alice 1 2 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
    a=group:BUNDLE 0 1\r\na=ice-lite\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=mid:0\r\na=rtpmap:0 PCMU/8000\r\n\
    a=candidate:1 1 UDP 1 10.0.0.1 4000 typ host\r\na=ice-ufrag:x\r\na=ice-pwd:y\r\na=rtcp:4009 IN IP4 10.0.0.3\r\n\
    a=x-\u{fc}nknown\r\nm=video 4002 RTP/AVP 96\r\nc=IN IP4 10.0.0.2\r\na=rtcp:4003\r\na=mid:1\r\n";

fn relay() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

fn at(address: IpAddr, rtp: u16, rtcp: u16) -> Ports {
    Ports { address, rtp, rtcp }
}

fn usual() -> Ports {
    at(relay(), 20_000, 20_001)
}

fn plain() -> Keying {
    Keying::new([0; 32], None)
}

fn anchored(description: &str) -> String {
    String::from_utf8(anchor(description.as_bytes(), usual(), 5, 6, &plain()).unwrap().to_vec()).unwrap()
}

#[test]
fn an_offer_shows_where_its_audio_goes() {
    let audio = audio(OFFER.as_bytes()).unwrap();
    assert_eq!(audio.rtp, "10.0.0.1:4000".parse().unwrap());
    assert_eq!(audio.rtcp, "10.0.0.3:4009".parse().unwrap());
    assert_eq!((audio.direction, audio.on_hold), (Direction::SendRecv, false));
}

#[test]
fn an_anchored_offer_names_the_relay_alone_and_keeps_the_rest() {
    assert_eq!(
        anchored(OFFER),
        "v=0\r\no=- 5 6 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 0 8 101\r\na=mid:0\r\na=rtpmap:0 PCMU/8000\r\na=rtcp:20001\r\na=x-\u{fc}nknown\r\n\
         m=video 0 RTP/AVP 96\r\nc=IN IP4 192.0.2.1\r\na=mid:1\r\n"
    );
}

#[test]
fn bare_line_feeds_stay_bare() {
    let offer = OFFER.replace("\r\n", "\n");
    assert_eq!(anchored(&offer), anchored(OFFER).replace("\r\n", "\n"));
}

#[test]
fn the_address_family_follows_the_relay() {
    let out =
        anchor(OFFER.as_bytes(), at("2001:db8::1".parse().unwrap(), 20_000, 20_001), 5, 6, &plain()).unwrap();
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert!(text.contains("o=- 5 6 IN IP6 2001:db8::1\r\n") && text.contains("c=IN IP6 2001:db8::1\r\n"));
    assert_eq!(audio(&out).unwrap().rtp, "[2001:db8::1]:20000".parse().unwrap());
}

#[test]
fn an_odd_rtcp_port_is_said_even_where_the_offer_said_none() {
    let offer = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 0\nc=IN IP4 10.0.0.1";
    let out = anchor(offer.as_bytes(), at(relay(), 20_000, 30_001), 1, 1, &plain()).unwrap();
    assert_eq!(audio(&out).unwrap().rtcp, "192.0.2.1:30001".parse().unwrap());
}

#[test]
fn holds_of_both_kinds_are_seen_and_kept() {
    let old = OFFER.replace("c=IN IP4 10.0.0.1", "c=IN IP4 0.0.0.0");
    for (given, direction) in [
        ("a=mid:0", Direction::SendOnly),
        ("a=sendrecv", Direction::SendOnly),
        ("a=sendonly", Direction::SendOnly),
        ("a=recvonly", Direction::Inactive),
        ("a=inactive", Direction::Inactive),
    ] {
        let old = old.replace("a=mid:0", given);
        assert!(audio(old.as_bytes()).unwrap().on_hold);
        let told = audio(anchored(&old).as_bytes()).unwrap();
        assert_eq!((told.direction, told.on_hold), (direction, false), "{given}");
        assert_eq!(told.rtp, "192.0.2.1:20000".parse().unwrap(), "RFC 3264 §8.4: the address is ours");
    }
    let new = OFFER.replace("a=mid:0", "a=sendonly");
    assert_eq!(audio(new.as_bytes()).unwrap().direction, Direction::SendOnly);
    let session = OFFER.replace("t=0 0", "t=0 0\r\na=inactive");
    assert_eq!(audio(session.as_bytes()).unwrap().direction, Direction::Inactive);
}

#[test]
fn rtcp_mux_puts_rtcp_on_the_rtp_port_and_is_left_to_the_parties() {
    let offer = OFFER.replace("a=mid:0", "a=rtcp-mux");
    let audio = audio(offer.as_bytes()).unwrap();
    assert_eq!(audio.rtcp, audio.rtp);
    assert!(anchored(&offer).contains("a=rtcp-mux\r\n"));
}

#[test]
fn the_first_live_audio_is_taken() {
    let offer = OFFER.replace("m=audio", "m=audio 0 RTP/AVP 3\r\nm=audio 5000 TCP/TLS/RTP/SAVP 0\r\nm=audio");
    assert_eq!(audio(offer.as_bytes()).unwrap().rtp.port(), 4000);
    let out = anchored(&offer);
    assert!(out.contains("m=audio 0 RTP/AVP 3\r\nm=audio 0 TCP/TLS/RTP/SAVP 0\r\nm=audio 20000 RTP/AVP 0"));
}

#[test]
fn what_can_not_be_relayed_says_why() {
    let many = format!("{OFFER}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(400));
    for (description, error) in [
        (String::new(), SdpError::Malformed),
        ("hello".to_owned(), SdpError::Malformed),
        (OFFER.replace("v=0", "v=1"), SdpError::Malformed),
        ("v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\n".to_owned(), SdpError::NoAudio),
        (OFFER.replace("m=audio", "m=image"), SdpError::NoAudio),
        (OFFER.replace("audio 4000", "audio 0"), SdpError::NoAudio),
        (OFFER.replace("4000 RTP/AVP", "4000 UDP/DTLS/SCTP"), SdpError::NoAudio),
        (OFFER.replace("4000 RTP/AVP", "4000 TCP/FOO"), SdpError::NoAudio),
        (OFFER.replace("audio 4000", "audio 65536"), SdpError::BadLine),
        (OFFER.replace("audio 4000", "audio +400"), SdpError::BadLine),
        (OFFER.replace("video 4002", "video 99999999999"), SdpError::BadLine),
        (OFFER.replace("c=IN IP4 10.0.0.1", "c=IN IP4 phone.example.com"), SdpError::BadLine),
        (OFFER.replace("c=IN IP4 10.0.0.1", "c=IN IP6 10.0.0.1"), SdpError::BadLine),
        (OFFER.replace("c=IN IP4 10.0.0.1\r\n", ""), SdpError::BadLine),
        (many, SdpError::TooManyMedia),
    ] {
        assert_eq!(audio(description.as_bytes()), Err(error), "{description}");
    }
    let no_origin = OFFER.replace("o=alice 1 2", "o=alice");
    assert_eq!(anchor(no_origin.as_bytes(), usual(), 1, 1, &plain()), Err(SdpError::BadLine));
}

/// Lines such as descriptions are made of, and noise.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("c=IN IP4 10.0.0.9".to_owned()),
        Just("c=IN IP6 ::1".to_owned()),
        Just("c=IN IP4 host.example".to_owned()),
        Just("o=- 1 1".to_owned()),
        Just("m=audio 4000 RTP/AVP 0".to_owned()),
        Just("m=audio 0 RTP/AVP 0".to_owned()),
        Just("m=video 4002/2 RTP/AVPF 96 97".to_owned()),
        Just("a=rtcp:5".to_owned()),
        Just("a=rtcp-mux".to_owned()),
        Just("a=candidate:x".to_owned()),
        Just("a=group:BUNDLE 0".to_owned()),
        "[a-z]=[ -~]{0,20}",
        "[ -~]{0,10}",
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = audio(&bytes);
        let _ = anchor(&bytes, usual(), 5, 6, &plain());
    }

    #[test]
    fn what_can_be_read_can_be_relayed(body in proptest::collection::vec(line(), 0..6)) {
        let head = ["v=0", "o=- 1 1 IN IP4 10.0.0.9", "s=-", "c=IN IP4 10.0.0.8", "t=0 0"].map(str::to_owned);
        let media = ["m=audio 4000 RTP/AVP 0".to_owned()];
        let text: String =
            head.iter().chain(&media).chain(&body).flat_map(|line| [line.as_str(), "\r\n"]).collect();
        if audio(text.as_bytes()).is_ok() {
            prop_assert!(anchor(text.as_bytes(), usual(), 5, 6, &plain()).is_ok());
        }
    }

    #[test]
    fn an_anchored_description_points_at_the_relay_and_anchoring_again_changes_nothing(
        body in proptest::collection::vec(line(), 0..30),
        crlf in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let head = ["v=0", "o=- 1 1 IN IP4 10.0.0.9", "s=-", "c=IN IP4 10.0.0.8", "t=0 0"].map(str::to_owned);
        let text: String = head.iter().chain(&body).flat_map(|line| [line.as_str(), end]).collect();
        if let Ok(once) = anchor(text.as_bytes(), usual(), 5, 6, &plain()) {
            let audio = audio(&once).unwrap();
            prop_assert!(audio.on_hold || audio.rtp == "192.0.2.1:20000".parse().unwrap());
            prop_assert_eq!(&anchor(&once, usual(), 5, 6, &plain()).unwrap(), &once);
            prop_assert!(!once.windows(12).any(|w| w == b"a=candidate:"));
            let kept = |bytes: &[u8]| bytes.split(|b| *b == b'\n').filter(|l| l.starts_with(b"m=")).count();
            prop_assert_eq!(kept(&once), kept(text.as_bytes()));
        }
    }
}
