//! linphone as a phone: its daemon, which takes commands on its standard input and is asked there for what has happened.

use super::daemon::certificate;
use super::phone::{Ears, Heard, Line, Listening, Phone, tone_file};
use super::sipp::Over;
use super::tone;
use super::{address, port, ports};
use std::fs;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// Thousands of bits a second that only sound has: it speaks Opus with its own kind, which takes the least.
const KBITS_MIN: f64 = 20.0;

/// Ended when dropped.
pub struct Linphone {
    child: Child,
    input: Arc<Mutex<ChildStdin>>,
    ears: Ears,
    dir: TempDir,
    domain: String,
    parameters: &'static str,
    /// The number of its newest call: it counts them from 1, those that it gets and those that it makes.
    call: u32,
}

impl Linphone {
    /// Registers at the daemon; refuses what goes beyond `calls_max` with 486.
    pub fn register(line: Line<'_>, calls_max: u32) -> Linphone {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // It does not make the folder of its database, and keeps nothing without one.
        fs::create_dir_all(dir.path().join(".local/share/linphone")).expect("created");
        let tone = tone_file(dir.path(), tone::G711, line.hz);
        let (sip, rtp, user) = (port(), ports(16), line.user);
        // It knows a server by a name in its certificate, never by an address.
        let domain = match line.over {
            Over::Tls => format!("localhost:{}", line.daemon.port()),
            Over::Udp | Over::Tcp => line.daemon.to_string(),
        };
        let port_of = |over| if line.over == over { sip } else { 0 };
        // `auto_net_state_mon`: it takes a machine with nothing but loopback for one without a network, and would open no socket.
        // `hold_music`: without a sound card that is what it plays, held or not.
        let config = format!(
            "[sip]\nauto_net_state_mon=0\nbind_address={ip}\nsip_port={udp}\nsip_tcp_port={tcp}\nsip_tls_port={tls}\n\
             root_ca={authority}\nverify_server_certs=1\nverify_server_cn=1\n\
             guess_hostname=0\nuse_info=0\nuse_rfc2833=1\nregister_only_when_network_is_up=0\ndefault_proxy=0\n\
             [rtp]\naudio_rtp_port={rtp}-{last}\n[misc]\nmax_calls={calls_max}\n\
             [sound]\ntone_indications=0\nhold_music={tone}\n\
             [auth_info_0]\nusername={user}\npasswd=pw-{user}\n\
             [proxy_0]\nreg_proxy=<sip:{domain}{parameters}>\nreg_identity=sip:{user}@{domain}\nreg_expires=600\n\
             reg_sendregister=1\npublish=0\n",
            udp = port_of(Over::Udp),
            tcp = port_of(Over::Tcp),
            tls = port_of(Over::Tls),
            authority = certificate("authority.pem"),
            ip = address(),
            last = rtp + 15,
            tone = tone.display(),
            parameters = if line.over == Over::Udp { ";transport=udp" } else { line.parameters() },
        );
        fs::write(dir.path().join("linphonerc"), config).expect("written");
        let mut child = Command::new("linphone-daemon")
            .args(["--config", "linphonerc", "--log", "log", "--disable-stats-events"])
            .current_dir(dir.path())
            .env("HOME", dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("linphone-cli is installed (.ci/packages test)");
        let input = Arc::new(Mutex::new(child.stdin.take().expect("piped")));
        let ears = Ears::new(&format!("linphone {user}"), &mut child, heard);
        let asked = Arc::clone(&input);
        // A registration is no event: it is asked for.
        let ears = ears.asking(move || say(&asked, "pop-event\nregister-status ALL"));
        let parameters = line.parameters();
        let mut phone = Linphone { child, input, ears, dir, domain, parameters, call: 0 };
        phone.hears(Heard::Registered);
        phone
    }

    fn says(&mut self, line: &str) {
        say(&self.input, line);
    }

    fn dial(&mut self, extension: &str) {
        self.call += 1;
        let uri = self.uri(extension);
        self.says(&format!("call {uri}"));
    }

    fn uri(&self, extension: &str) -> String {
        format!("sip:{extension}@{}{}", self.domain, self.parameters)
    }
}

fn say(input: &Mutex<ChildStdin>, line: &str) {
    let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
    // It fails where linphone has ended, and then its output has too: whoever waits hears of that.
    let _ = writeln!(input, "{line}");
}

fn heard(line: &str) -> Option<Heard> {
    let line = line.trim_start_matches("daemon-linphone>");
    Some(match line {
        "State: LinphoneRegistrationOk" => Heard::Registered,
        "Event: LinphoneCallOutgoingRinging" => Heard::Ringback,
        "Event: LinphoneCallIncomingReceived" => Heard::Rings,
        "Event: LinphoneCallConnected" => Heard::Answered,
        "Event: LinphoneCallPausedByRemote" => Heard::Held,
        "Event: LinphoneCallStreamsRunning" => Heard::Resumed,
        "Event: LinphoneCallError" => Heard::Busy,
        "Event: LinphoneCallEnd" => Heard::Ended,
        _ => Heard::Dtmf(line.strip_prefix("Tone: ")?.chars().next()?),
    })
}

impl Phone for Linphone {
    fn call(&mut self, extension: &str) {
        self.dial(extension);
    }

    fn answer(&mut self) {
        self.says("answer");
    }

    /// It has no other word for it than that of hanging up, which declines.
    fn refuse(&mut self) -> Heard {
        self.says("terminate");
        Heard::Declined
    }

    fn hang_up(&mut self) {
        let call = self.call;
        self.says(&format!("terminate {call}"));
    }

    fn hold(&mut self) {
        let call = self.call;
        self.says(&format!("call-pause {call}"));
        self.ears.told("Event: LinphoneCallPaused");
    }

    fn resume(&mut self) {
        let call = self.call;
        self.says(&format!("call-resume {call}"));
        self.ears.hears(Heard::Resumed);
    }

    fn dtmf(&mut self, digit: char) {
        self.says(&format!("dtmf {digit}"));
    }

    fn transfer(&mut self, extension: &str) {
        let (call, uri) = (self.call, self.uri(extension));
        self.says(&format!("call-transfer {call} {uri}"));
    }

    fn consult(&mut self, extension: &str) {
        self.dial(extension);
    }

    fn join(&mut self) {
        let (held, newest) = (self.call - 1, self.call);
        self.says(&format!("call-transfer {held} {newest}"));
    }

    fn ears(&mut self) -> &mut Ears {
        &mut self.ears
    }

    /// Without a sound card it plays a file, and throws away what it hears: it only says each second how much came.
    fn listens_for(&self, _: u32) -> Listening<'_> {
        let log = move || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let before = log().len();
        Box::new(move || {
            let log = log();
            let kbits = |line: &str| -> Option<f64> {
                line.split_once("(audio)")?.1.split_once("RTP : [d=")?.1.split(',').next()?.parse().ok()
            };
            log.get(before..)?.lines().filter_map(kbits).any(|kbits| kbits > KBITS_MIN).then_some(())
        })
    }

    fn hears(&mut self, wanted: Heard) {
        match wanted {
            Heard::Rings => {
                self.ears.hears(wanted);
                self.call += 1;
            }
            // What was declined has ended like any other call, in its words.
            Heard::Declined => self.ears.hears(Heard::Ended),
            _ => self.ears.hears(wanted),
        }
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("linphone's log:\n{log}");
        }
    }
}
