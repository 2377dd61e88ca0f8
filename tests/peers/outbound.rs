//! Outbound (RFC 5626), by a phone that speaks it.

use crate::calls::home;
use crate::support::baresip::Baresip;
use crate::support::sipp::Over;
use crate::support::until;

#[test]
fn baresip_registers_by_a_flow_is_called_by_it_and_is_gone_with_it() {
    let home = home();
    let daemon = home.start();
    let mut bob = Baresip::register_by_outbound("bob", daemon.tcp, Over::Tcp, 1000);
    let mut alice = Baresip::register("alice", daemon.udp, Over::Udp, 600);
    let listed = daemon.list("/v1/registrations");
    let of_bob = listed.iter().find(|one| one["device"] == "bob").expect("bob is registered");
    assert_eq!((&of_bob["transport"], &of_bob["reg_id"]), (&"TCP".into(), &1.into()), "{of_bob:#}");
    assert!(
        of_bob["instance"].as_str().is_some_and(|instance| instance.starts_with("<urn:uuid:")),
        "{of_bob:#}"
    );
    alice.dial("102");
    alice.says("Call established");
    bob.says("Call established");
    alice.hang_up();
    bob.says("session closed");
    drop(bob); // it is killed: no REGISTER takes its contact back
    until("bob is gone", || {
        let listed = daemon.list("/v1/registrations");
        listed.iter().all(|one| one["device"] != "bob").then_some(())
    });
}
