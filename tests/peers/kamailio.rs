//! Kamailio as the carrier: it wants credentials of whoever registers and calls.

use crate::office::{Office, Rules};
use crate::support::dns::NameServer;
use crate::support::sipp::Scenario;
use crate::support::{port, trunk_address, until};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A running Kamailio, which is stopped when it is dropped.
struct Kamailio {
    child: Child,
    _run: tempfile::TempDir,
}

impl Kamailio {
    /// One that listens there and sends what it lets in to `callee`.
    fn start(listen: SocketAddr, callee: SocketAddr) -> Kamailio {
        let run = tempfile::tempdir().expect("a directory");
        let child = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "16", "-M", "4", "-f", "tests/peers/kamailio.cfg", "-Y"])
            .arg(run.path())
            .args(["-l", &format!("udp:{listen}"), "-A", &format!("CALLEE=\"sip:{callee}\"")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("kamailio is installed");
        Kamailio { child, _run: run }
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its main process ends the others; killed, it would leave them.
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

const REGISTER: &str = "register = { user = \"office\", secret = \"plain:secret\", expires = \"2m\" }";

/// Waits until the trunk is up and we are registered there.
fn registered(office: &Office, name: &str) {
    until("the registration", || {
        let trunks = office.daemon.list("/v1/trunks");
        let trunk = trunks.into_iter().find(|trunk| trunk["name"] == name)?;
        (trunk["state"] == "up" && trunk["registration"]["state"] == "registered").then_some(())
    });
}

#[test]
fn we_register_at_kamailio_call_out_by_it_and_take_another_trunk_when_it_is_stopped() {
    let office = Rules::default().carrier(REGISTER).user("ann", "100", &["ann"], "").open();
    let behind = SocketAddr::new(office.trunks[0].ip(), port());
    let callee = office.scenario("callee").at(behind).start().listening();
    let kamailio = Kamailio::start(office.trunks[0], behind);
    registered(&office, "carrier");
    office.dial("ann", "+12025550150").run();
    callee.succeeds();
    let record = office.record_to("+12025550150");
    assert_eq!(record["outcome"], "answered", "{record:#}");
    assert_eq!(record["legs"].as_array().map(Vec::len), Some(1), "{record:#}");

    drop(kamailio);
    let spare = office.trunk(1, "callee").start().listening();
    office.dial("ann", "+12025550151").run();
    spare.succeeds();
    assert_eq!(office.record_to("+12025550151")["outcome"], "answered");
}

#[test]
fn a_call_comes_in_through_kamailio_to_our_contact_and_its_number_is_found_in_to() {
    let office = Rules::default()
        .carrier(REGISTER)
        .user("ann", "100", &["ann"], "")
        .more("[number.\"+12025550120\"]\nto = \"user:ann\"\n")
        .open();
    let _kamailio = Kamailio::start(office.trunks[0], SocketAddr::new(office.trunks[0].ip(), port()));
    registered(&office, "carrier");
    let ann = office.phone("ann", office.scenario("callee"));
    let outside = Scenario::new("dial", office.trunks[0]).from("<sip:+12025550150@outside.example>");
    outside.key("callee", "+12025550120").run();
    let invite = ann.invited().remove(0);
    assert!(invite.contains("P-Called-Party-ID: <sip:+12025550120@peers.example>"), "{invite}");
    let record = office.record_to("+12025550120");
    assert_eq!(
        (&record["from"]["origin"], &record["outcome"]),
        (&"trunk:carrier".into(), &"answered".into()),
        "{record:#}"
    );
}

#[test]
fn the_second_of_two_kamailios_behind_one_name_takes_calls_when_the_first_is_stopped() {
    let at = |port| SocketAddr::new(trunk_address(0).into(), port);
    let (one, two) = (at(port()), at(port()));
    let servers = NameServer::new()
        .srv("_sip._udp.carrier.example", 10, 0, one.port(), "a.carrier.example")
        .srv("_sip._udp.carrier.example", 20, 0, two.port(), "b.carrier.example")
        .a("a.carrier.example", trunk_address(0))
        .a("b.carrier.example", trunk_address(0))
        .start();
    let behind = [at(port()), at(port())];
    let first = Kamailio::start(one, behind[0]);
    let _second = Kamailio::start(two, behind[1]);
    let office = Rules::default()
        .nameserver(servers.address)
        .user("ann", "100", &["ann"], "")
        .located(&format!("proxy = \"carrier.example\"\n{REGISTER}"))
        .open();
    registered(&office, "located");
    let callee = office.scenario("callee").at(behind[0]).start().listening();
    office.dial("ann", "+442079460101").run();
    callee.succeeds();
    drop(first);
    let callee = office.scenario("callee").at(behind[1]).start().listening();
    office.dial("ann", "+442079460102").run();
    callee.succeeds();
    let record = office.record_to("+442079460102");
    assert_eq!(record["outcome"], "answered", "{record:#}");
    assert_eq!(record["legs"].as_array().map(Vec::len), Some(2), "the first was tried: {record:#}");
}

#[test]
fn a_kamailio_that_says_503_is_left_alone_for_as_long_as_it_says() {
    let office = Rules::default().carrier(REGISTER).user("ann", "100", &["ann"], "").open();
    let _kamailio = Kamailio::start(office.trunks[0], SocketAddr::new(office.trunks[0].ip(), port()));
    registered(&office, "carrier");
    let spare = office.trunk(1, "callee").calls(2).start().listening();
    office.dial("ann", "+12025550503").run();
    let trunks = office.daemon.list("/v1/trunks");
    let carrier = trunks.iter().find(|trunk| trunk["name"] == "carrier").expect("it is listed");
    assert_eq!(
        (&carrier["state"], &carrier["targets"][0]["state"]),
        (&"quarantined".into(), &"quarantined".into())
    );
    let until: jiff::Timestamp =
        carrier["targets"][0]["until"].as_str().expect("a time").parse().expect("RFC 3339");
    let left = until.duration_since(crate::support::wall()).as_secs();
    assert!((30..=60).contains(&left), "{left}");
    office.dial("ann", "+12025550151").run();
    spare.succeeds();
    assert_eq!(
        office.record_to("+12025550151")["legs"].as_array().map(Vec::len),
        Some(1),
        "it was not asked again"
    );
}
