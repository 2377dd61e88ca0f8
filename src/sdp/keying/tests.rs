//! What the parties of a dialog agree on about their media.

use super::super::{Audio, audio, origin::Origin};
use super::*;
use bytes::Bytes;
use proptest::prelude::*;

const PLAIN: &str = "v=0\r\no=ann 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";

const KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

/// As Chromium offers, shortened.
const BROWSER: &str = "v=0\r\no=- 46 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS x\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=candidate:1 1 udp 2113937151 a.local 50000 typ host generation 0\r\n\
    a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F\r\n\
    a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\na=msid:x y\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
    a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=ssrc:1 cname:c\r\n";

fn sdes(suites: &[&str]) -> String {
    let lines = (1..).zip(suites).map(|(tag, suite)| format!("a=crypto:{tag} {suite} inline:{KEY}\r\n"));
    PLAIN.replace("RTP/AVP", "RTP/SAVP") + &lines.collect::<String>()
}

fn identity() -> Arc<Fingerprint> {
    Arc::new(Fingerprint::of(b"of ours"))
}

fn dialog(srtp: Srtp, way: Way) -> Origin {
    let mut keying = Keying::new([5; 32], Some(identity()));
    keying.terms = Terms { srtp, way };
    Origin::new(u64::MAX, keying)
}

fn ports() -> Ports {
    Ports { address: "192.0.2.1".parse().unwrap(), rtp: 20_000, rtcp: 20_001 }
}

fn said(origin: &mut Origin, description: &str) -> String {
    let said = origin.describe(description.as_bytes(), ports()).unwrap();
    assert_eq!(audio(&said).map(|Audio { rtp, .. }| rtp), Ok("192.0.2.1:20000".parse().unwrap()));
    String::from_utf8(said.to_vec()).unwrap()
}

fn has(description: &str, line: &str) -> bool {
    description.split("\r\n").any(|it| it == line)
}

/// What a phone that takes it answers to one of our offers.
fn answer_to(offer: &str, tag: u32) -> String {
    let chosen = offer.split("\r\n").find(|line| line.starts_with(&format!("a=crypto:{tag} "))).unwrap();
    offer.split_inclusive("\r\n").filter(|line| !line.starts_with("a=crypto")).collect::<String>()
        + chosen
        + "\r\n"
}

#[test]
fn a_phone_that_offers_keys_is_answered_with_keys_of_ours_and_the_other_party_sees_none() {
    let mut caller = dialog(Srtp::Optional, Way::Clear);
    let offer = sdes(&["F8_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]);
    caller.keying.hear(offer.as_bytes()).unwrap();
    let mut callee = dialog(Srtp::Optional, Way::Clear);
    let onward = said(&mut callee, &offer);
    assert!(has(&onward, "m=audio 20000 RTP/AVP 0 101") && !onward.contains("crypto"), "{onward}");
    assert!(has(&onward, "a=ptime:20"));
    let answer = said(&mut caller, PLAIN);
    assert!(has(&answer, "m=audio 20000 RTP/SAVP 0 101"), "{answer}");
    assert!(answer.contains("a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:") && !answer.contains(KEY));
    let Protection::Sdes(keys, _) = caller.keying.protection() else { panic!() };
    assert_eq!(keys.theirs.suite(), Suite::AesCm128HmacSha1_32);
    assert!(answer.contains(&*Crypto { tag: 2, master: keys.ours }.write()));
}

#[test]
fn by_tls_keys_are_offered_that_may_be_left_alone() {
    let mut callee = dialog(Srtp::Optional, Way::Tls);
    let offer = said(&mut callee, PLAIN);
    assert!(has(&offer, "m=audio 20000 RTP/AVP 0 101"), "RFC 8643: {offer}");
    assert_eq!(offer.matches("a=crypto:").count(), Suite::ALL.len());
    let mut plain = callee.clone();
    plain.keying.hear(PLAIN.as_bytes()).unwrap();
    assert_eq!(plain.keying.protection(), Protection::Plain);
    assert!(!said(&mut plain, PLAIN).contains("crypto"), "not offered again");
    callee.keying.hear(answer_to(&offer, 3).as_bytes()).unwrap();
    let Protection::Sdes(keys, _) = callee.keying.protection() else { panic!() };
    assert_eq!(keys.ours.suite(), Suite::ALL[2]);
    let again = said(&mut callee, PLAIN);
    assert_eq!(again.matches("a=crypto:").count(), 1, "what was agreed: {again}");
}

#[test]
fn where_srtp_is_required_nothing_else_is_offered_or_taken() {
    let mut phone = dialog(Srtp::Required, Way::Tls);
    assert!(has(&said(&mut phone, PLAIN), "m=audio 20000 RTP/SAVP 0 101"));
    assert_eq!(phone.keying.hear(PLAIN.as_bytes()), Err(SdpError::NotSecured));
    assert_eq!(phone.keying.protection(), Protection::Plain);
    phone.keying.hear(sdes(&["AES_CM_128_HMAC_SHA1_80"]).as_bytes()).unwrap();
    assert_eq!(phone.keying.hear(PLAIN.as_bytes()), Err(SdpError::NotSecured), "nor later");
    assert!(matches!(phone.keying.protection(), Protection::Sdes(..)));
    let mut clear = dialog(Srtp::Required, Way::Clear);
    let offer = said(&mut clear, PLAIN);
    assert!(has(&offer, "m=audio 20000 UDP/TLS/RTP/SAVP 0 101") && !offer.contains("ice-"), "{offer}");
    let keys = sdes(&["AES_CM_128_HMAC_SHA1_80"]);
    assert_eq!(clear.keying.hear(keys.as_bytes()), Err(SdpError::KeysInTheClear));
}

#[test]
fn where_srtp_is_off_keys_are_refused_or_left_alone() {
    let mut phone = dialog(Srtp::Off, Way::Tls);
    assert!(!said(&mut phone, PLAIN).contains("crypto"));
    let keys = sdes(&["AES_CM_128_HMAC_SHA1_80"]);
    assert_eq!(phone.keying.hear(keys.as_bytes()), Err(SdpError::Secured));
    phone.keying.hear(keys.replace("SAVP", "AVP").as_bytes()).unwrap();
    assert_eq!(phone.keying.protection(), Protection::Plain);
}

#[test]
fn a_profile_with_nothing_that_we_take_is_refused() {
    let mut phone = dialog(Srtp::Optional, Way::Tls);
    for offer in [sdes(&[]), sdes(&["F8_128_HMAC_SHA1_80"]), BROWSER.replace("sha-256", "sha-1")] {
        assert_eq!(phone.keying.hear(offer.as_bytes()), Err(SdpError::NoKeys), "{offer}");
    }
    let held = BROWSER.replace("actpass", "holdconn");
    assert_eq!(phone.keying.hear(held.as_bytes()), Err(SdpError::NoKeys));
    let mut without = Origin::new(0, Keying::new([0; 32], None));
    assert_eq!(without.keying.hear(BROWSER.as_bytes()), Err(SdpError::NoKeys));
}

#[test]
fn a_browser_is_answered_as_browsers_are_and_a_desk_phone_sees_nothing_of_it() {
    let mut browser = dialog(Srtp::Optional, Way::WebSocket);
    browser.keying.hear(BROWSER.as_bytes()).unwrap();
    let onward = said(&mut dialog(Srtp::Optional, Way::Clear), BROWSER);
    assert_eq!(
        onward.split("\r\n").skip(1).collect::<Vec<_>>(),
        [
            "o=- 2147483647 1 IN IP4 192.0.2.1",
            "s=-",
            "t=0 0",
            "m=audio 20000 RTP/AVP 111 0 8",
            "c=IN IP4 192.0.2.1",
            "a=rtcp:20001",
            "a=sendrecv",
            "a=rtpmap:111 opus/48000/2",
            "",
        ]
    );
    let answer = said(&mut browser, PLAIN);
    for line in [
        "a=ice-lite",
        "a=group:BUNDLE 0",
        "m=audio 20000 UDP/TLS/RTP/SAVPF 0 101",
        "a=setup:passive",
        "a=candidate:1 1 UDP 2130706431 192.0.2.1 20000 typ host",
        "a=mid:0",
        "a=rtcp-mux",
        &format!("a=fingerprint:{}", identity()),
    ] {
        assert!(has(&answer, line), "{line} in {answer}");
    }
    let Protection::Dtls(association) = browser.keying.protection() else { panic!() };
    assert_eq!(association.role, Role::Server);
    let ice = association.ice.unwrap();
    assert_eq!((&*ice.theirs.ufrag, &**ice.theirs.pwd), ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1"));
    assert!(has(&answer, &format!("a=ice-ufrag:{}", ice.ours.ufrag)));
    assert!(has(&answer, &format!("a=ice-pwd:{}", *ice.ours.pwd)));
}

#[test]
fn a_party_that_holds_by_an_address_of_none_holds_for_a_browser_too() {
    let mut browser = dialog(Srtp::Optional, Way::WebSocket);
    browser.keying.hear(BROWSER.as_bytes()).unwrap();
    let connection = PLAIN.split("\r\n").find(|line| line.starts_with("c=")).unwrap();
    let told = said(&mut browser, &PLAIN.replace(connection, "c=IN IP4 0.0.0.0"));
    let audio = crate::sdp::audio(told.as_bytes()).unwrap();
    assert_eq!(audio.direction, crate::sdp::Direction::SendOnly, "{told}");
    assert_eq!(audio.rtp, "192.0.2.1:20000".parse().unwrap(), "{told}");
}

#[test]
fn a_browser_is_called_as_browsers_are() {
    let mut browser = dialog(Srtp::Optional, Way::WebSocket);
    let offer = said(&mut browser, PLAIN);
    for line in ["a=ice-lite", "a=group:BUNDLE 0", "a=mid:0", "a=setup:actpass", "a=rtcp-mux"] {
        assert!(has(&offer, line), "{line} in {offer}");
    }
    assert!(has(&offer, "m=audio 20000 UDP/TLS/RTP/SAVPF 0 101"));
    browser.keying.hear(BROWSER.replace("actpass", "active").as_bytes()).unwrap();
    let Protection::Dtls(association) = browser.keying.protection() else { panic!() };
    assert_eq!(association.role, Role::Server);
    let ours = association.ice.clone().unwrap().ours;
    assert!(has(&offer, &format!("a=ice-ufrag:{}", ours.ufrag)), "the same as offered");
    // A hold: the same, with roles as they are.
    let again = said(&mut browser, &PLAIN.replace("a=ptime:20", "a=sendonly"));
    assert!(has(&again, "a=setup:passive") && has(&again, &format!("a=ice-ufrag:{}", ours.ufrag)));
    browser.keying.hear(BROWSER.as_bytes()).unwrap();
    assert_eq!(browser.keying.protection(), Protection::Dtls(association.clone()));
    // ICE begins anew: we, too, and the handshake stands.
    browser.keying.hear(BROWSER.replace("EsAw", "Next").as_bytes()).unwrap();
    let Protection::Dtls(restarted) = browser.keying.protection() else { panic!() };
    assert!(restarted.is_same(&association));
    assert_ne!(restarted.ice.unwrap().ours, ours);
}

#[test]
fn a_gateway_that_checks_nothing_is_where_its_description_says() {
    for (ice_lite, found_by_ice) in [("", true), ("a=ice-lite\r\n", false)] {
        let mut gateway = dialog(Srtp::Optional, Way::Clear);
        let offer = BROWSER.replacen("t=0 0\r\n", &format!("t=0 0\r\n{ice_lite}"), 1);
        gateway.hear(&Bytes::from(offer.clone())).unwrap();
        let Protection::Dtls(association) = gateway.keying.protection() else { panic!() };
        assert_eq!(association.ice.is_some(), found_by_ice);
        let answer = said(&mut gateway, &offer);
        assert_eq!(answer.contains("a=ice-ufrag:"), found_by_ice, "{answer}");
        assert!(answer.contains("a=fingerprint:"));
    }
}

#[test]
fn keys_of_ours_are_not_used_again_after_a_time_in_the_clear() {
    let mut phone = dialog(Srtp::Optional, Way::Clear);
    let secured = sdes(&["AES_CM_128_HMAC_SHA1_80"]);
    let mut keys = Vec::new();
    for offer in [secured.as_str(), PLAIN, secured.as_str()] {
        phone.keying.renew(offer.as_bytes());
        phone.hear(&Bytes::copy_from_slice(offer.as_bytes())).unwrap();
        let answer = said(&mut phone, offer);
        keys.extend(answer.lines().find(|line| line.starts_with("a=crypto")).map(str::to_owned));
    }
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
}

#[test]
fn a_phone_that_waits_for_us_is_called_by_us() {
    let mut phone = dialog(Srtp::Optional, Way::Clear);
    phone.keying.hear(BROWSER.replace("actpass", "passive").as_bytes()).unwrap();
    assert!(has(&said(&mut phone, PLAIN), "a=setup:active"));
    let Protection::Dtls(association) = phone.keying.protection() else { panic!() };
    assert_eq!(association.role, Role::Client);
}

#[test]
fn keys_differ_by_dialog_and_are_never_shown() {
    let offer = sdes(&["AES_CM_128_HMAC_SHA1_80"]);
    let mut one = dialog(Srtp::Optional, Way::Tls);
    let mut other = Origin::new(1, Keying::new([6; 32], None));
    one.keying.hear(offer.as_bytes()).unwrap();
    other.keying.hear(offer.as_bytes()).unwrap();
    assert_ne!(one.keying.protection(), other.keying.protection());
    let Protection::Sdes(keys, _) = one.keying.protection() else { panic!() };
    let shown = format!("{:?} {:?} {:#?}", one.keying, one.keying.protection(), keys);
    let octets = |key: &[u8]| key.iter().take(4).map(u8::to_string).collect::<Vec<_>>().join(", ");
    assert!(!shown.contains(&octets(keys.ours.key_and_salt())) && !shown.contains(KEY), "{shown}");
    let mut browser = dialog(Srtp::Optional, Way::WebSocket);
    browser.keying.hear(BROWSER.as_bytes()).unwrap();
    let shown = format!("{:?} {:?}", browser.keying, browser.keying.protection());
    assert!(!shown.contains("P2uYro0UCOQ4zxjKXaWCBui1"), "{shown}");
}

#[test]
fn a_crypto_context_is_that_of_a_dialog_until_its_party_takes_its_media_elsewhere_with_another_key() {
    let offer = |key: &str, port: &str| {
        sdes(&["AES_CM_128_HMAC_SHA1_80"]).replace(KEY, key).replace("audio 4000", &format!("audio {port}"))
    };
    let other_key: String = KEY.chars().rev().collect();
    let mut dialog = dialog(Srtp::Optional, Way::Tls);
    let mut context = |offer: String| {
        dialog.keying.renew(offer.as_bytes());
        dialog.keying.hear(offer.as_bytes()).unwrap();
        let Protection::Sdes(_, context) = dialog.keying.protection() else { panic!() };
        context
    };
    let first = context(offer(KEY, "4000"));
    assert_eq!(context(offer(&other_key, "4000")), first, "another key alone");
    assert_eq!(context(offer(&other_key, "4002")), first, "another port alone");
    assert_eq!(context(offer(KEY, "4002").replace("IP4 10.0.0.1", "IP4 0.0.0.0")), first, "it holds");
    let moved = context(offer(&other_key, "4004"));
    assert_ne!(moved, first);
    assert_eq!(context(offer(KEY, "4004")), moved);
    let mut other = Origin::new(1, Keying::new([6; 32], None));
    other.keying.hear(offer(KEY, "4000").as_bytes()).unwrap();
    assert!(!matches!(other.keying.protection(), Protection::Sdes(_, context) if context == first));
}

fn terms() -> impl Strategy<Value = Terms> {
    let srtp = proptest::sample::select(vec![Srtp::Off, Srtp::Optional, Srtp::Required]);
    let way = proptest::sample::select(vec![Way::Clear, Way::Tls, Way::WebSocket]);
    (srtp, way).prop_map(|(srtp, way)| Terms { srtp, way })
}

fn description() -> impl Strategy<Value = String> {
    let any = prop_oneof![
        Just(PLAIN.to_owned()),
        Just(PLAIN.replace("RTP/AVP", "RTP/AVPF")),
        Just(sdes(&["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"])),
        Just(sdes(&["AES_CM_128_HMAC_SHA1_32"]).replace("SAVP", "AVP")),
        Just(BROWSER.to_owned()),
        Just(BROWSER.replace("actpass", "passive")),
    ];
    (any, proptest::option::of("a=(crypto|setup|fingerprint|mid|group|ice-ufrag|ice-pwd|tls-id):[ -~]{0,30}"))
        .prop_map(|(text, line)| line.map_or(text.clone(), |line| format!("{text}{line}\r\n")))
}

proptest! {
    /// Whatever two parties describe in whatever order: each is told its own kind of profile, nothing of the other's keys, and the relay
    /// is told of keys exactly where the profile has some.
    #[test]
    fn each_side_is_spoken_to_in_its_own_way(
        terms in terms(),
        turns in proptest::collection::vec((description(), description()), 1..5),
    ) {
        let mut origin = dialog(terms.srtp, terms.way);
        let mut heard: Option<String> = None;
        for (from_it, from_other) in turns {
            let before = origin.keying.protection();
            match origin.keying.hear(from_it.as_bytes()) {
                Ok(()) => heard = Some(from_it),
                Err(_) => prop_assert_eq!(origin.keying.protection(), before),
            }
            let Ok(said) = origin.describe(from_other.as_bytes(), ports()) else { continue };
            let text = String::from_utf8(said.to_vec()).unwrap();
            prop_assert!(!text.contains(KEY) && !text.contains("P2uYro0UCOQ4zxjKXaWCBui1") && !text.contains("EsAw"));
            let proto = |text: &str| text.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').nth(1)).map(str::to_owned);
            if let Some(heard) = &heard {
                prop_assert_eq!(proto(&text), proto(heard));
                match origin.keying.protection() {
                    Protection::Plain => prop_assert!(!text.contains("a=crypto") && !text.contains("a=fingerprint")),
                    Protection::Sdes(keys, _) => prop_assert!(text.contains(keys.ours.suite().name())),
                    Protection::Dtls(_) => prop_assert!(text.contains("a=fingerprint:") && text.contains("a=setup:")),
                }
            }
            prop_assert_eq!(origin.describe(from_other.as_bytes(), ports()).unwrap(), said, "and again the same");
            prop_assert!(audio(&Bytes::from(text)).is_ok());
        }
    }
}
