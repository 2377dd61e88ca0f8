//! baresip as a phone with sound: it plays a tone, and what it hears is recorded and measured.

use super::daemon::{LINES_MAX, certificate, lines_of};
use super::phone::{Ears, Heard, Line, Listening, Phone, a_second_of, recorded, tone_file};
use super::sipp::Over;
use super::{address, port, ports, tone, until};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use tempfile::TempDir;

/// Where Debian puts the modules of baresip-core.
const MODULES: &str = "/usr/lib/baresip/modules";
/// How many ports it has for its sound.
const RTP_PORTS: u16 = 16;

/// What it speaks.
#[derive(Clone, Copy, Debug)]
pub enum Codec {
    Pcmu,
    G722,
    Opus,
}

impl Codec {
    /// Its name, its module, and samples a second and channels of what is played by it.
    fn in_its_words(self) -> (&'static str, &'static str, (u32, u16)) {
        match self {
            Codec::Pcmu => ("PCMU", "g711.so", tone::G711),
            Codec::G722 => ("G722", "g722.so", (16_000, 1)),
            Codec::Opus => ("opus", "opus.so", (48_000, 2)),
        }
    }
}

/// A running baresip. Ended when dropped.
pub struct Baresip {
    child: Child,
    dir: TempDir,
    control: TcpStream,
    ears: Ears,
    daemon: SocketAddr,
}

impl Baresip {
    /// Registers `user` (password `pw-user`) at the daemon; answers each call and plays `hz` into it.
    pub fn register(user: &str, daemon: SocketAddr, over: Over, hz: u32) -> Baresip {
        Baresip::start(Line { user, daemon, over, hz }, "auto")
    }

    /// The same by outbound (RFC 5626): it says its instance and its flow.
    pub fn register_by_outbound(user: &str, daemon: SocketAddr, over: Over, hz: u32) -> Baresip {
        let line = Line { user, daemon, over, hz };
        let answers = format!("auto;sipnat=outbound;outbound=\"sip:{daemon}{}\"", line.parameters());
        Baresip::start(line, &answers)
    }

    /// The same, but it answers when it is told to.
    pub fn by_hand(line: Line<'_>) -> Baresip {
        Baresip::start(line, "manual")
    }

    /// The same; its keys go as INFO and not as events.
    pub fn by_hand_with_info(line: Line<'_>) -> Baresip {
        Baresip::start(line, "manual;dtmfmode=info")
    }

    /// As [`Baresip::register`], with its media secured: `srtp` where it is asked to, `srtp-mand` always.
    pub fn secured(line: Line<'_>, module: &str) -> Baresip {
        Baresip::start(line, &format!("auto;mediaenc={module}"))
    }

    /// As [`Baresip::by_hand`], with no other codec than this.
    pub fn speaking(line: Line<'_>, codec: Codec) -> Baresip {
        Baresip::start_with(line, "manual", codec)
    }

    fn start(line: Line<'_>, answers: &str) -> Baresip {
        Baresip::start_with(line, answers, Codec::Pcmu)
    }

    fn start_with(line: Line<'_>, answers: &str, codec: Codec) -> Baresip {
        let Line { user, daemon, hz, .. } = line;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let control = SocketAddr::new(address().into(), port());
        let at = |name: &str| dir.path().join(name);
        let (codec, module, shape) = codec.in_its_words();
        let tone = tone_file(dir.path(), shape, hz);
        fs::create_dir(at("heard")).expect("created");
        fs::write(at("contacts"), "").expect("written");
        let account = format!(
            "<sip:{user}@{daemon}{}>;auth_user={user};auth_pass=pw-{user};regint=600;answermode={answers};audio_codecs={codec}\n",
            line.parameters()
        );
        fs::write(at("accounts"), account).expect("written");
        // It binds them on every address of the machine, from 10000 to 20000 unless told: ours among them.
        let first = ports(RTP_PORTS);
        let last = first + RTP_PORTS - 1;
        let config = format!(
            "poll_method epoll\nnet_interface 127.0.0.1\nmodule_path {MODULES}\nrtp_ports {first}-{last}\n\
             module {module}\nmodule srtp.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\n\
             {uuid}module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
             audio_source aufile,{tone}\naudio_player aubridge,sink\naudio_alert none\n\
             snd_path {heard}\nctrl_tcp_listen {control}\nsip_cafile {authority}\nsip_verify_server yes\n",
            uuid = if answers.contains("outbound") { "module_tmp uuid.so\n" } else { "" }, // else it has no instance to say
            tone = tone.display(),
            heard = at("heard").display(),
            authority = certificate("authority.pem"),
        );
        fs::write(at("config"), config).expect("written");
        let mut child = Command::new("baresip")
            .arg("-s")
            .arg("-f")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("baresip is installed (.ci/packages test)");
        let lines = lines_of(&mut child);
        let control = until("the control port of baresip", || TcpStream::connect(control).ok());
        let lines = merged(lines, control.try_clone().expect("a handle more"));
        let mut reading = Reading { us: daemon.to_string(), ..Reading::default() };
        let ears = Ears::of(&format!("baresip {user}"), lines, move |line| reading.heard(line));
        let mut phone = Baresip { child, dir, control, ears, daemon };
        phone.hears(Heard::Registered);
        phone
    }

    pub fn dial(&self, target: &str) {
        self.command("dial", target);
    }

    pub fn hang_up(&self) {
        self.command("hangup", "");
    }

    /// Waits until its output has a line with `text`.
    pub fn says(&mut self, text: &str) {
        self.ears.line_with(text);
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
        recorded(&self.heard().expect("a recording")).expect("it can be read")
    }

    /// The same, where it has heard anything yet.
    pub fn recorded(&self) -> Option<Vec<i16>> {
        recorded(&self.heard()?)
    }

    /// The recording of its newest call.
    fn heard(&self) -> Option<PathBuf> {
        let files = fs::read_dir(self.dir.path().join("heard")).ok()?;
        let recordings = files.flatten().map(|entry| entry.path());
        let recordings = recordings.filter(|path| path.to_string_lossy().ends_with("-dec.wav"));
        recordings.max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
    }

    /// A command to its control port: a JSON object as a netstring.
    fn command(&self, command: &str, params: &str) {
        let json = serde_json::json!({ "command": command, "params": params }).to_string();
        write!(&self.control, "{}:{json},", json.len()).expect("baresip takes commands");
    }
}

/// What it prints, and what it says on its control port, in one.
fn merged(printed: Receiver<String>, mut control: TcpStream) -> Receiver<String> {
    // Whoever prints more than is read waits for the reader.
    let (sender, lines) = sync_channel(LINES_MAX);
    let prints = sender.clone();
    std::thread::spawn(move || printed.into_iter().try_for_each(|line| prints.send(line)));
    std::thread::spawn(move || {
        while let Ok(json) = netstring(&mut control) {
            if sender.send(json).is_err() {
                break;
            }
        }
    });
    lines
}

/// `LENGTH:TEXT,`
fn netstring(from: &mut impl Read) -> std::io::Result<String> {
    let mut length = 0;
    loop {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        match byte[0] {
            digit @ b'0'..=b'9' => length = 10 * length + usize::from(digit - b'0'),
            _ => break,
        }
    }
    let mut text = vec![0; length + 1];
    from.read_exact(&mut text)?;
    text.pop();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Where its trace of the messages stands. That the other side holds it is told nowhere else.
#[derive(Default)]
struct Reading {
    /// Our address, as it stands before and behind the arrow of each message.
    us: String,
    /// Within an INVITE that it has got.
    invited: bool,
    /// Whether that INVITE holds it.
    holds: bool,
    held: bool,
}

impl Reading {
    fn heard(&mut self, line: &str) -> Option<Heard> {
        if let Ok(event) = serde_json::from_str::<Value>(line) {
            return event_of(&event);
        }
        if line.contains(" -> ") {
            let was = self.held;
            if self.invited {
                self.held = self.holds;
            }
            (self.invited, self.holds) = (false, false);
            return match (was, self.held) {
                (false, true) => Some(Heard::Held),
                (true, false) => Some(Heard::Resumed),
                _ => None,
            };
        }
        if line.starts_with("INVITE ") {
            // Its own are to us.
            self.invited = !line.contains(&self.us);
        }
        self.holds |= line.starts_with("a=sendonly") || line.starts_with("a=inactive");
        line.contains("[1 binding").then_some(Heard::Registered)
    }
}

fn event_of(event: &Value) -> Option<Heard> {
    let param = event["param"].as_str().unwrap_or_default();
    Some(match event["type"].as_str()? {
        "CALL_INCOMING" => Heard::Rings,
        "CALL_RINGING" | "CALL_PROGRESS" => Heard::Ringback,
        "CALL_ESTABLISHED" => Heard::Answered,
        "CALL_DTMF_START" => Heard::Dtmf(param.chars().next()?),
        "CALL_CLOSED" if param.starts_with("486") => Heard::Busy,
        "CALL_CLOSED" if param.starts_with("603") => Heard::Declined,
        "CALL_CLOSED" => Heard::Ended,
        _ => return None,
    })
}

impl Phone for Baresip {
    fn call(&mut self, extension: &str) {
        self.command("dial", extension);
    }

    fn answer(&mut self) {
        self.command("accept", "");
    }

    fn refuse(&mut self) -> Heard {
        self.command("hangup", "");
        Heard::Busy
    }

    fn hang_up(&mut self) {
        Baresip::hang_up(self);
    }

    fn hold(&mut self) {
        self.command("hold", "");
    }

    fn resume(&mut self) {
        self.command("resume", "");
    }

    fn dtmf(&mut self, digit: char) {
        self.command("sndcode", &digit.to_string());
    }

    fn transfer(&mut self, extension: &str) {
        let uri = format!("sip:{extension}@{}", self.daemon);
        self.command("transfer", &uri);
    }

    fn consult(&mut self, extension: &str) {
        self.command("dial", extension);
    }

    fn join(&mut self) {
        unimplemented!("baresip 1.0 starts no attended transfer");
    }

    fn ears(&mut self) -> &mut Ears {
        &mut self.ears
    }

    fn listens_for(&self, hz: u32) -> Listening<'_> {
        a_second_of(hz, || recorded(&self.heard()?))
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
