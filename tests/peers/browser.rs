//! A browser as a phone (RFC 7118, RFC 8834): SIP.js in Chromium registers over a WebSocket, calls baresip and is called by it. Its media is
//! that of WebRTC (ICE, DTLS-SRTP), that of baresip is plain RTP, or SRTP with keys in its description; sound is measured at both ends.

use crate::calls::home;
use crate::support::baresip::Baresip;
use crate::support::browser::Browser;
use crate::support::phone::Line;
use crate::support::sipp::Over;
use crate::support::tone;
use serde_json::Value;
use std::net::SocketAddr;

const LOW: u32 = 600;
const HIGH: u32 = 1000;

/// Each hears the tone of the other.
fn each_hears_the_other(alice: &mut Browser, bob: &Baresip) {
    alice.does("listen");
    let heard: Value = serde_json::from_str(&alice.tells("hears ")).expect("JSON");
    let number = |name: &str| heard[name].as_f64().unwrap_or_default();
    assert!((number("hz") - f64::from(HIGH)).abs() < 10.0, "the browser should hear {HIGH} Hz: {heard}");
    assert!(number("share") > 0.9 && number("level") > 0.2, "the browser should hear {HIGH} Hz: {heard}");
    bob.listens();
    let measured = tone::measure(&bob.samples(), LOW);
    assert!(measured.level > 0.25 && measured.share > 0.9, "baresip should hear {LOW} Hz: {measured:?}");
}

fn register(scheme: &str, server: SocketAddr) -> Browser {
    let query = format!("server={scheme}://{server}&domain=peers.example&user=alice&hz={LOW}");
    let mut browser = Browser::open(&query);
    browser.does("register");
    browser.says("registration Registered");
    browser
}

#[test]
fn a_browser_registers_over_a_websocket_calls_and_is_called() {
    let home = home().secure();
    let daemon = home.start();
    let mut alice = register("ws", daemon.ws.expect("it listens for WebSockets"));
    let registration = &daemon.list("/v1/registrations")[0];
    assert_eq!(registration["transport"], "WS", "{registration:#}");
    assert!(registration.to_string().contains(".invalid"), "a browser has no address: {registration:#}");
    let mut bob = Baresip::register("bob", daemon.udp, Over::Udp, 1000);

    alice.does("call 102");
    alice.says("progress 180");
    alice.says("session Established");
    alice.says("accepted 200");
    bob.says("Call established");
    each_hears_the_other(&mut alice, &bob);
    alice.does("bye");
    alice.says("session Terminated");
    bob.says("session closed");

    bob.dial("101");
    alice.says("session Established");
    bob.says("Call established");
    each_hears_the_other(&mut alice, &bob);
    bob.hang_up();
    alice.says("session Terminated");

    let records = daemon.list("/v1/records");
    assert_eq!(records.len(), 2, "{records:#?}");
    assert!(records.iter().all(|record| record["outcome"] == "answered"), "{records:#?}");
}

#[test]
fn a_browser_speaks_over_a_secure_websocket_with_a_phone_that_has_keys_and_the_callee_hangs_up() {
    let home = home().secure();
    let daemon = home.start();
    let mut alice = register("wss", daemon.wss.expect("it listens for secure WebSockets"));
    assert_eq!(daemon.list("/v1/registrations")[0]["transport"], "WSS");
    let tls = daemon.tls.expect("it listens by TLS");
    let mut bob = Baresip::secured(Line { user: "bob", daemon: tls, over: Over::Tls, hz: HIGH }, "srtp");
    alice.does("call 102");
    alice.says("session Established");
    bob.says("Call established");
    each_hears_the_other(&mut alice, &bob);
    bob.hang_up();
    alice.says("session Terminated");
    let broken = alice.heard().iter().any(|line| line.starts_with("broken"));
    assert!(!broken, "{:?}", alice.heard());
    assert_eq!(daemon.only_record()["outcome"], "answered");
}
