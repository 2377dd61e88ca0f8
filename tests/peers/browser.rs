//! A browser as a phone (RFC 7118): SIP.js in Chromium registers over a WebSocket, calls baresip and is called by it. Signalling alone: its
//! session description is plain RTP/AVP and no sound is sent, since what browsers send by themselves (DTLS-SRTP) is not relayed yet.

use crate::calls::home;
use crate::support::baresip::Baresip;
use crate::support::browser::Browser;
use crate::support::sipp::Over;
use std::net::SocketAddr;

fn register(scheme: &str, server: SocketAddr) -> Browser {
    let query = format!("server={scheme}://{server}&domain=peers.example&user=alice");
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
    alice.does("bye");
    alice.says("session Terminated");
    bob.says("session closed");

    bob.dial("101");
    alice.says("session Established");
    bob.says("Call established");
    bob.hang_up();
    alice.says("session Terminated");

    let records = daemon.list("/v1/records");
    assert_eq!(records.len(), 2, "{records:#?}");
    assert!(records.iter().all(|record| record["outcome"] == "answered"), "{records:#?}");
}

#[test]
fn a_browser_calls_over_a_secure_websocket_and_the_callee_hangs_up() {
    let home = home().secure();
    let daemon = home.start();
    let mut alice = register("wss", daemon.wss.expect("it listens for secure WebSockets"));
    assert_eq!(daemon.list("/v1/registrations")[0]["transport"], "WSS");
    let mut bob = Baresip::register("bob", daemon.tcp, Over::Tcp, 1000);
    alice.does("call 102");
    alice.says("session Established");
    bob.says("Call established");
    bob.hang_up();
    alice.says("session Terminated");
    let broken = alice.heard().iter().any(|line| line.starts_with("broken"));
    assert!(!broken, "{:?}", alice.heard());
    assert_eq!(daemon.only_record()["outcome"], "answered");
}
