//! sipp as a phone that does what it is told: two scenarios that wait for messages and for commands at once, and tell each step.
//!
//! The commands go by the connection that sipp has for third-party call control (`-3pcc`): blocks of lines with a Call-ID that say which
//! call is meant. What comes in goes to a scenario of its own (`-oocsf`). Its sound is ours ([`Sound`]): sipp has no ears.

use super::daemon::LINES_MAX;
use super::phone::{Ears, Heard, Line, Listening, Phone, a_second_of, heard};
use super::sound::{Dials, Sound};
use super::{address, port, ports};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

const LINE: &str = include_str!("sipp_phone/line.xml");
const CALLED: &str = include_str!("sipp_phone/called.xml");
const TALK: &str = include_str!("sipp_phone/talk.xml");
/// What stands between a command and the next.
const END: u8 = 0x1b;
/// How many lines it has: calls that it makes at once.
const LINES: usize = 2;

const DIALOG: &str = "[next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-[cseq]
[routes]
Max-Forwards: 70
From: [$me]
To: [$them]
Call-ID: [call_id]";
const RESPONSE: &str = "[last_Via:]
[last_Record-Route:]
[last_From:]
[last_Call-ID:]
[last_CSeq:]";
const SDP: &str = "Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 [cseq] IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio {rtp} RTP/AVP 0 [$event]
a=rtpmap:0 PCMU/8000
a=rtpmap:[$event] telephone-event/8000
a=fmtp:[$event] 0-15
a=[$way]
";
const MEDIA: &str = r#"<ereg regexp="c=IN IP4 ([0-9.]+)" search_in="msg" check_it="false" assign_to="all,ip"/>
      <ereg regexp="m=audio ([0-9]+)" search_in="msg" check_it="false" assign_to="all,port"/>"#;

/// Ended when dropped.
pub struct SippPhone {
    child: Child,
    dir: TempDir,
    twin: TcpStream,
    ears: Ears,
    sound: Arc<Sound>,
    known: Arc<Mutex<Known>>,
    daemon: SocketAddr,
}

/// What it has told of its calls.
#[derive(Default)]
struct Known {
    /// The Call-IDs of lines that are free.
    lines: Vec<String>,
    /// Its calls, the newest last.
    calls: Vec<Call>,
}

#[derive(Default)]
struct Call {
    id: String,
    /// From and To of its own requests.
    me: String,
    them: String,
    /// Made by a line, which is free again afterwards.
    by_line: bool,
}

impl SippPhone {
    /// Registers at the daemon.
    pub fn register(line: Line<'_>) -> SippPhone {
        SippPhone::dialling(line, Dials::Events)
    }

    /// One that knows no telephone-event: its keys sound.
    pub fn with_tones(line: Line<'_>) -> SippPhone {
        SippPhone::dialling(line, Dials::Tones)
    }

    fn dialling(line: Line<'_>, dials: Dials) -> SippPhone {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let twin = TcpListener::bind((address(), 0)).expect("a socket");
        let (sender, said) = sync_channel(LINES_MAX);
        let digits = sender.clone();
        let sound = Arc::new(Sound::open(address(), line.hz, dials, move |digit| {
            // It fails where the phone is gone.
            let _ = digits.send(format!("* dtmf {digit}"));
        }));
        for (name, text) in [("line.xml", LINE), ("called.xml", CALLED)] {
            fs::write(dir.path().join(name), scenario(text, line.user, sound.port, dials)).expect("written");
        }
        let child = Command::new("sipp")
            .arg(line.daemon.to_string())
            .args(["-sf", "line.xml", "-oocsf", "called.xml", "-3pcc"])
            .arg(twin.local_addr().expect("bound").to_string())
            .args([
                "-nostdin",
                "-trace_err",
                "-trace_msg",
                "-error_file",
                "errors",
                "-message_file",
                "messages",
            ])
            .args(["-default_behaviors", "none", "-m", &LINES.to_string(), "-r", &LINES.to_string()])
            .args(["-i", &address().to_string(), "-p", &port().to_string(), "-mp", &ports(8).to_string()])
            .args(["-t", line.over.mode()])
            .args(["-au", line.user, "-ap", &format!("pw-{}", line.user)])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("stderr")).expect("created"))
            .spawn()
            .expect("sipp is installed (.ci/packages test)");
        let (twin, _) = twin.accept().expect("sipp connects");
        let known = Arc::new(Mutex::new(Known::default()));
        listen(twin.try_clone().expect("a handle more"), sender, Arc::clone(&known), Arc::clone(&sound));
        let ears = Ears::of(&format!("sipp {}", line.user), said, heard);
        let mut phone = SippPhone { child, dir, twin, ears, sound, known, daemon: line.daemon };
        for _ in 0..LINES {
            phone.hears(Heard::Registered);
        }
        phone
    }

    /// What it has heard.
    pub fn sound(&self) -> Vec<i16> {
        self.sound.heard()
    }

    fn dial(&mut self, extension: &str) {
        let id = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let id = known.lines.pop().expect("a line that is free");
            known.calls.push(Call { id: id.clone(), by_line: true, ..Call::default() });
            id
        };
        self.tell(&id, &format!("call {extension}"));
    }

    /// Of the newest call, or of that many before it.
    fn says(&mut self, before: usize, words: &str) {
        let id = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.calls.iter().rev().nth(before).expect("a call").id.clone()
        };
        self.tell(&id, words);
    }

    fn tell(&mut self, id: &str, words: &str) {
        write!(self.twin, "Call-ID: {id}\r\nDo: {words}\r\n\r\n\x1b").expect("sipp takes commands");
    }
}

fn scenario(text: &str, user: &str, rtp: u16, dials: Dials) -> String {
    let sdp = match dials {
        Dials::Events => SDP.to_owned(),
        Dials::Tones => SDP
            .replace(" [$event]\n", "\n")
            .lines()
            .filter(|line| !line.contains("[$event]"))
            .fold(String::new(), |sdp, line| sdp + line + "\n"),
    };
    text.replace("{talk}", TALK)
        .replace("{media}", MEDIA)
        .replace("{dialog}", DIALOG)
        .replace("{response}", RESPONSE)
        .replace("{sdp}", &sdp)
        .replace("{user}", user)
        .replace("{rtp}", &rtp.to_string())
}

/// Keeps the calls up to date, and passes on what is told.
fn listen(twin: TcpStream, said: SyncSender<String>, known: Arc<Mutex<Known>>, sound: Arc<Sound>) {
    std::thread::spawn(move || {
        for block in BufReader::new(twin).split(END).map_while(Result::ok) {
            let block = String::from_utf8_lossy(&block).into_owned();
            learn(&block, &mut known.lock().unwrap_or_else(PoisonError::into_inner), &sound);
            if block.lines().try_for_each(|line| said.send(line.to_owned())).is_err() {
                break;
            }
        }
    });
}

fn learn(block: &str, known: &mut Known, sound: &Sound) {
    let value = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let Some(id) = value("Call-ID:") else { return };
    match value("* ") {
        Some("registered") => known.lines.push(id.to_owned()),
        Some("rings") => known.calls.push(Call { id: id.to_owned(), ..Call::default() }),
        Some("ended" | "busy" | "declined") => {
            let ended = known.calls.iter().position(|call| call.id == id).map(|at| known.calls.remove(at));
            known.lines.extend(ended.filter(|call| call.by_line).map(|call| call.id));
        }
        _ => {}
    }
    if let Some(call) = known.calls.iter_mut().find(|call| call.id == id) {
        call.me = value("Me:").map_or(std::mem::take(&mut call.me), str::to_owned);
        call.them = value("Them:").map_or(std::mem::take(&mut call.them), str::to_owned);
    }
    let mut media = value("Media:").unwrap_or_default().split(' ');
    if let (Some(Ok(ip)), Some(Ok(port)), Some(Ok(event))) =
        (media.next().map(str::parse), media.next().map(str::parse), media.next().map(str::parse))
    {
        sound.plays_to(SocketAddr::new(ip, port), event);
    }
}

fn tag(of: &str) -> &str {
    of.split(";tag=").nth(1).unwrap_or_default()
}

impl Phone for SippPhone {
    fn call(&mut self, extension: &str) {
        self.dial(extension);
    }

    fn answer(&mut self) {
        self.says(0, "answer");
    }

    fn refuse(&mut self) -> Heard {
        self.says(0, "refuse");
        // It is over with that, and there is nothing more that it would tell.
        self.known.lock().unwrap_or_else(PoisonError::into_inner).calls.pop();
        Heard::Busy
    }

    fn hang_up(&mut self) {
        self.says(0, "bye");
    }

    fn hold(&mut self) {
        self.says(0, "session sendonly");
        self.ears.told("* session");
    }

    fn resume(&mut self) {
        self.says(0, "session sendrecv");
        self.ears.told("* session");
    }

    fn dtmf(&mut self, digit: char) {
        self.sound.dial(digit);
    }

    fn transfer(&mut self, extension: &str) {
        let words = format!("refer sip:{extension}@{}", self.daemon);
        self.says(0, &words);
    }

    fn consult(&mut self, extension: &str) {
        self.dial(extension);
    }

    fn join(&mut self) {
        let words = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let consulted = known.calls.last().expect("a call");
            let who = consulted.them.split(['<', '>']).nth(1).unwrap_or_default();
            format!(
                "refer {who}?Replaces={}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
                consulted.id.replace('@', "%40"),
                tag(&consulted.them),
                tag(&consulted.me)
            )
        };
        self.says(1, &words);
    }

    fn ears(&mut self) -> &mut Ears {
        &mut self.ears
    }

    fn listens_for(&self, hz: u32) -> Listening<'_> {
        a_second_of(hz, || Some(self.sound.heard()))
    }
}

impl Drop for SippPhone {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let read = |name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
            eprintln!("sipp:\n{}{}\n{}", read("stderr"), read("errors"), read("messages"));
        }
    }
}
