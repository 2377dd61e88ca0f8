//! What is heard: baresip plays a tone at each end and measures the other's.

use crate::calls::home;
use crate::support::baresip::Baresip;
use crate::support::sipp::Over;
use crate::support::tone;

#[test]
fn a_tone_crosses_the_relay_both_ways_between_two_baresips() {
    const LOW: u32 = 600;
    const HIGH: u32 = 1000;
    let home = home();
    let daemon = home.start();
    let mut bob = Baresip::register("bob", daemon.udp, Over::Udp, HIGH);
    let mut alice = Baresip::register("alice", daemon.udp, Over::Udp, LOW);
    alice.dial("102");
    alice.says("Call established");
    bob.says("Call established");
    alice.listens();
    bob.listens();
    alice.hang_up();
    bob.says("session closed");

    let (heard_by_alice, heard_by_bob) = (alice.samples(), bob.samples());
    for (who, samples, plays, other) in
        [("alice", &heard_by_alice, HIGH, LOW), ("bob", &heard_by_bob, LOW, HIGH)]
    {
        let wanted = tone::measure(samples, plays);
        assert!(wanted.level > 0.25 && wanted.share > 0.95, "{who} should hear {plays} Hz: {wanted:?}");
        assert!(tone::measure(samples, other).share < 0.01, "{who} hears the tone of their own phone");
    }

    let record = daemon.only_record();
    assert_eq!(record["outcome"], "answered", "{record:#}");
    assert_eq!(record["answered_by"]["device"], "bob");
    for way in ["a_to_b", "b_to_a"] {
        let packets = record["media"][way]["packets"].as_u64().unwrap_or(0);
        assert!(packets >= 50, "a second of sound {way} is 50 packets: {record:#}");
    }
}
