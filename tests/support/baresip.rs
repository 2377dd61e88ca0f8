//! baresip as a phone with sound: it plays a tone, and what it hears is recorded and measured.

use super::daemon::{certificate, lines_of};
use super::sipp::Over;
use super::{PATIENCE, address, clock, port, ports, tone, until};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use tempfile::TempDir;

/// Where Debian puts the modules of baresip-core.
const MODULES: &str = "/usr/lib/baresip/modules";
/// How long each phone plays: longer than any of these calls.
const TONE_S: u32 = 60;
/// How many ports it has for its sound.
const RTP_PORTS: u16 = 16;

/// A running baresip. Ended when dropped.
pub struct Baresip {
    child: Child,
    dir: TempDir,
    control: SocketAddr,
    lines: Receiver<String>,
    said: String,
}

impl Baresip {
    /// Registers `user` (password `pw-user`) at the daemon; answers each call and plays `hz` into it.
    pub fn register(user: &str, daemon: SocketAddr, over: Over, hz: u32) -> Baresip {
        Baresip::register_as(user, daemon, over, hz, "")
    }

    /// The same by outbound (RFC 5626): it says its instance and its flow.
    pub fn register_by_outbound(user: &str, daemon: SocketAddr, over: Over, hz: u32) -> Baresip {
        let transport = if over == Over::Tcp { ";transport=tcp" } else { "" };
        let more = format!(";sipnat=outbound;outbound=\"sip:{daemon}{transport}\"");
        Baresip::register_as(user, daemon, over, hz, &more)
    }

    fn register_as(user: &str, daemon: SocketAddr, over: Over, hz: u32, more: &str) -> Baresip {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let control = SocketAddr::new(address().into(), port());
        let at = |name: &str| dir.path().join(name);
        fs::write(at("tone.wav"), tone::wav(hz, TONE_S)).expect("written");
        fs::create_dir(at("heard")).expect("created");
        fs::write(at("contacts"), "").expect("written");
        let transport = match over {
            Over::Udp => "",
            Over::Tcp => ";transport=tcp",
            Over::Tls => ";transport=tls",
        };
        let account = format!(
            "<sip:{user}@{daemon}{transport}>;auth_user={user};auth_pass=pw-{user};regint=600;answermode=auto;audio_codecs=PCMU{more}\n"
        );
        fs::write(at("accounts"), account).expect("written");
        // It binds them on every address of the machine, from 10000 to 20000 unless told: ours among them.
        let first = ports(RTP_PORTS);
        let last = first + RTP_PORTS - 1;
        let config = format!(
            "poll_method epoll\nnet_interface 127.0.0.1\nmodule_path {MODULES}\nrtp_ports {first}-{last}\n\
             module g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\n\
             {uuid}module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
             audio_source aufile,{tone}\naudio_player aubridge,sink\naudio_alert none\n\
             snd_path {heard}\nctrl_tcp_listen {control}\nsip_cafile {authority}\nsip_verify_server yes\n",
            uuid = if more.is_empty() { "" } else { "module_tmp uuid.so\n" }, // else it has no instance to say
            tone = at("tone.wav").display(),
            heard = at("heard").display(),
            authority = certificate("authority.pem"),
        );
        fs::write(at("config"), config).expect("written");
        let mut child = Command::new("baresip")
            .arg("-f")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("baresip is installed (.ci/packages test)");
        let lines = lines_of(&mut child);
        let mut phone = Baresip { child, dir, control, lines, said: String::new() };
        phone.says("[1 binding");
        phone
    }

    pub fn dial(&self, target: &str) {
        self.command("dial", target);
    }

    /// Transfers the call that it is in.
    pub fn transfer(&self, target: &str) {
        self.command("transfer", target);
    }

    pub fn hang_up(&self) {
        self.command("hangup", "");
    }

    /// Waits until its output has a line with `text`.
    pub fn says(&mut self, text: &str) {
        let deadline = clock() + PATIENCE;
        loop {
            let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(clock())) else {
                panic!("baresip never said {text:?}, but:\n{}", self.said);
            };
            let found = line.contains(text);
            self.said.push_str(&line);
            self.said.push('\n');
            if found {
                return;
            }
        }
    }

    /// Waits until it has heard two seconds of sound: one to settle, one to measure. The file grows as the sound comes in.
    pub fn listens(&self) {
        until("two seconds of sound", || {
            let size = fs::metadata(self.heard()?).ok()?.len();
            (size > u64::from(2 * 2 * tone::RATE)).then_some(())
        });
    }

    /// What it heard in its only call so far: 16-bit samples at [`tone::RATE`].
    pub fn samples(&self) -> Vec<i16> {
        tone::samples(&fs::read(self.heard().expect("a recording")).expect("it can be read"))
    }

    fn heard(&self) -> Option<PathBuf> {
        let files = fs::read_dir(self.dir.path().join("heard")).ok()?;
        files.flatten().map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with("-dec.wav"))
    }

    /// A command to its control port: a JSON object as a netstring.
    fn command(&self, command: &str, params: &str) {
        let json = serde_json::json!({ "command": command, "params": params }).to_string();
        let mut stream = TcpStream::connect(self.control).expect("baresip takes commands");
        write!(stream, "{}:{json},", json.len()).expect("sent");
        // It answers with a netstring too; closing before that could lose the command.
        let mut first = [0];
        std::io::Read::read_exact(&mut stream, &mut first).expect("an answer");
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.said.extend(self.lines.try_iter().map(|line| line + "\n"));
            eprintln!("baresip said:\n{}", self.said);
        }
    }
}
