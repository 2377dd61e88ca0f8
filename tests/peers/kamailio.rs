//! Kamailio as the carrier: it wants credentials of whoever registers and calls.

use crate::office::Rules;
use crate::support::{port, until};
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

#[test]
fn we_register_at_kamailio_call_out_by_it_and_take_another_trunk_when_it_is_stopped() {
    let office = Rules::default()
        .carrier("register = { user = \"office\", secret = \"plain:secret\", expires = \"2m\" }")
        .user("ann", "100", &["ann"], "")
        .open();
    let behind = SocketAddr::new(office.trunks[0].ip(), port());
    let callee = office.scenario("callee").at(behind).start().listening();
    let kamailio = Kamailio::start(office.trunks[0], behind);
    until("the registration", || {
        let trunks = office.daemon.list("/v1/trunks");
        let carrier = trunks.into_iter().find(|trunk| trunk["name"] == "carrier")?;
        (carrier["state"] == "up" && carrier["registration"]["state"] == "registered").then_some(())
    });
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
