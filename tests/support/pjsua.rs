//! pjsua as a phone: pjsip's own library under `pjsua.py`, which is spoken to by lines.

use super::daemon::certificate;
use super::phone::{Ears, Heard, Line, Listening, Phone, a_second_of, heard, recorded, tone_file};
use super::sipp::Over;
use super::tone;
use super::{address, ports};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use tempfile::TempDir;

/// How many ports it has for its sound.
const RTP_PORTS: u16 = 16;

/// Ended when dropped.
pub struct Pjsua {
    child: Child,
    input: ChildStdin,
    ears: Ears,
    dir: TempDir,
    domain: String,
    parameters: &'static str,
}

/// The Python that `.ci/packages test` puts pjsua2-python into.
fn python() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/pjsua/bin/python")
}

impl Pjsua {
    /// Registers at the daemon.
    pub fn register(line: Line<'_>) -> Pjsua {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let tone = tone_file(dir.path(), tone::G711, line.hz);
        let over = match line.over {
            Over::Udp => "udp",
            Over::Tcp => "tcp",
            Over::Tls => "tls",
        };
        let mut child = Command::new(python())
            .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/pjsua.py"))
            .args([line.user, &format!("pw-{}", line.user), &line.daemon.to_string(), over])
            .arg(certificate("authority.pem"))
            .args([address().to_string(), ports(RTP_PORTS).to_string()])
            .args([&tone, &dir.path().join("heard.wav")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("target/pjsua is there (.ci/packages test makes it)");
        let input = child.stdin.take().expect("piped");
        let ears = Ears::new(&format!("pjsua {}", line.user), &mut child, heard);
        let domain = line.daemon.to_string();
        let mut phone = Pjsua { child, input, ears, dir, domain, parameters: line.parameters() };
        phone.hears(Heard::Registered);
        phone
    }

    fn says(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("pjsua takes commands");
    }

    fn says_of(&mut self, word: &str, extension: &str) {
        let uri = format!("sip:{extension}@{}{}", self.domain, self.parameters);
        self.says(&format!("{word} {uri}"));
    }
}

impl Phone for Pjsua {
    fn call(&mut self, extension: &str) {
        self.says_of("call", extension);
    }

    fn answer(&mut self) {
        self.says("answer");
    }

    fn refuse(&mut self) -> Heard {
        self.says("busy");
        Heard::Busy
    }

    fn hang_up(&mut self) {
        self.says("hangup");
    }

    fn hold(&mut self) {
        self.says("hold");
        self.ears.told("* holds");
    }

    fn resume(&mut self) {
        self.says("resume");
        self.ears.told("* talks");
    }

    fn dtmf(&mut self, digit: char) {
        self.says(&format!("dtmf {digit}"));
    }

    fn transfer(&mut self, extension: &str) {
        self.says_of("transfer", extension);
    }

    fn consult(&mut self, extension: &str) {
        self.says_of("consult", extension);
    }

    fn join(&mut self) {
        self.says("join");
    }

    fn ears(&mut self) -> &mut Ears {
        &mut self.ears
    }

    fn listens_for(&self, hz: u32) -> Listening<'_> {
        a_second_of(hz, || recorded(&self.dir.path().join("heard.wav")))
    }
}

impl Drop for Pjsua {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
