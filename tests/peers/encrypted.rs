//! Media that is secured on one side: baresip with its SRTP module, the sound measured at both ends. (With its DTLS module it shows a
//! certificate of RSA, which we don't take; who shakes hands in the tests is the browser.)

use crate::calls::home;
use crate::support::baresip::Baresip;
use crate::support::daemon::Daemon;
use crate::support::phone::Line;
use crate::support::sipp::Over;
use crate::support::tone;

const LOW: u32 = 600;
const HIGH: u32 = 1000;

fn line<'a>(user: &'a str, daemon: &Daemon, over: Over, hz: u32) -> Line<'a> {
    let at = match over {
        Over::Udp => daemon.udp,
        Over::Tcp => daemon.tcp,
        Over::Tls => daemon.tls.expect("it listens by TLS"),
    };
    Line { user, daemon: at, over, hz }
}

/// Alice calls bob; each hears the other's tone and not its own, and no packet was dropped for want of a key.
fn each_hears_the_other(daemon: &Daemon, alice: &mut Baresip, bob: &mut Baresip) {
    alice.dial("102");
    alice.says("Call established");
    bob.says("Call established");
    alice.listens();
    bob.listens();
    alice.hang_up();
    bob.says("session closed");
    for (who, samples, plays, other) in
        [("alice", alice.samples(), HIGH, LOW), ("bob", bob.samples(), LOW, HIGH)]
    {
        let wanted = tone::measure(&samples, plays);
        assert!(wanted.level > 0.25 && wanted.share > 0.95, "{who} should hear {plays} Hz: {wanted:?}");
        assert!(tone::measure(&samples, other).share < 0.01, "{who} hears the tone of their own phone");
    }
    let record = daemon.only_record();
    assert_eq!(record["outcome"], "answered", "{record:#}");
    for way in ["a_to_b", "b_to_a"] {
        assert!(record["media"][way]["packets"].as_u64() >= Some(50), "{record:#}");
    }
    assert!(!record.to_string().contains("inline:"), "no key is in a record: {record:#}");
}

#[test]
fn a_phone_with_keys_in_its_description_speaks_with_one_in_the_clear() {
    let home = home().secure();
    let daemon = home.start();
    let mut bob = Baresip::register("bob", daemon.udp, Over::Udp, HIGH);
    let mut alice = Baresip::secured(line("alice", &daemon, Over::Tls, LOW), "srtp-mand");
    each_hears_the_other(&daemon, &mut alice, &mut bob);
}

#[test]
fn a_phone_in_the_clear_calls_one_that_takes_the_keys_it_is_offered() {
    let home = home().secure();
    let daemon = home.start();
    let mut bob = Baresip::secured(line("bob", &daemon, Over::Tls, HIGH), "srtp");
    let mut alice = Baresip::register("alice", daemon.udp, Over::Udp, LOW);
    each_hears_the_other(&daemon, &mut alice, &mut bob);
}
