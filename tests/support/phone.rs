//! What a phone can do, whoever made it: the matrix of clients is played with this and nothing else.
//!
//! A phone is a process that is spoken to and says what it notices. Waiting is for what it says, never for time; what it says
//! between is passed over.

use super::daemon::lines_of;
use super::sipp::Over;
use super::tone;
use super::{PATIENCE, clock, until};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often a phone that has to be asked is asked what it has noticed.
const ASKED_EVERY: Duration = Duration::from_millis(50);
/// How much of what is heard a tone is looked for in: what [`tone::measure`] looks at.
const LISTENED: usize = tone::RATE as usize;

/// What a phone notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Registered,
    /// It called, and is told that the other side rings.
    Ringback,
    /// It is called.
    Rings,
    Answered,
    /// The other side holds it.
    Held,
    Resumed,
    Dtmf(char),
    /// Its call was refused with 486.
    Busy,
    /// Its call was refused with 603.
    Declined,
    Ended,
}

/// Reads what those phones say that are scripts of our own: a star and a word.
pub fn heard(line: &str) -> Option<Heard> {
    Some(match line.strip_prefix("* ")? {
        "registered" => Heard::Registered,
        "ringback" => Heard::Ringback,
        "rings" => Heard::Rings,
        "answered" => Heard::Answered,
        "held" => Heard::Held,
        "resumed" => Heard::Resumed,
        "busy" => Heard::Busy,
        "declined" => Heard::Declined,
        "ended" => Heard::Ended,
        other => Heard::Dtmf(other.strip_prefix("dtmf ")?.chars().next()?),
    })
}

/// Where a phone registers, and as whom.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Its name; its password is `pw-` and the name.
    pub user: &'a str,
    pub daemon: SocketAddr,
    pub over: Over,
    /// The tone that it plays into its calls.
    pub hz: u32,
}

impl Line<'_> {
    /// What follows an address of the daemon, so that this transport is taken.
    pub fn parameters(&self) -> &'static str {
        match self.over {
            Over::Udp => "",
            Over::Tcp => ";transport=tcp",
            Over::Tls => ";transport=tls",
        }
    }
}

pub trait Phone {
    /// Calls an extension.
    fn call(&mut self, extension: &str);
    fn answer(&mut self);
    /// Refuses the call that rings, and says what the caller is told by that.
    fn refuse(&mut self) -> Heard;
    /// Ends the newest call, or gives it up where nobody has answered.
    fn hang_up(&mut self);
    fn hold(&mut self);
    fn resume(&mut self);
    fn dtmf(&mut self, digit: char);
    /// Sends whom it speaks with to another extension.
    fn transfer(&mut self, extension: &str);
    /// Calls another extension beside the call that it holds.
    fn consult(&mut self, extension: &str);
    /// Connects whom it holds with whom it consulted.
    fn join(&mut self);
    fn ears(&mut self) -> &mut Ears;
    /// Listens from now on, for a second of this tone.
    fn listens_for(&self, hz: u32) -> Listening<'_>;

    /// Waits until it notices `wanted`.
    fn hears(&mut self, wanted: Heard) {
        self.ears().hears(wanted);
    }
}

/// Says whether it has heard what it listens for.
pub type Listening<'a> = Box<dyn Fn() -> Option<()> + 'a>;

/// Waits until each has heard the other's tone. They listen at once, as people do.
pub fn hear_each_other((one, its): (&dyn Phone, u32), (other, others): (&dyn Phone, u32)) {
    let listening = [(others, one.listens_for(others)), (its, other.listens_for(its))];
    for (hz, heard) in listening {
        until(&format!("{hz} Hz to be heard"), heard);
    }
}

/// Until a second more of `samples` has come, and it is this tone.
pub fn a_second_of<'a>(hz: u32, samples: impl Fn() -> Option<Vec<i16>> + 'a) -> Listening<'a> {
    let before = samples().map_or(0, |samples| samples.len());
    Box::new(move || {
        let samples = samples()?;
        // A new call may begin a new recording.
        let fresh = if samples.len() < before { samples.len() } else { samples.len() - before };
        let heard = tone::measure(&samples, hz);
        (fresh > LISTENED && heard.level > 0.1 && heard.share > 0.9).then_some(())
    })
}

/// Reads a line as what it says was noticed.
type Reading = dyn FnMut(&str) -> Option<Heard> + Send;

/// What a phone has said, read as what it has noticed.
pub struct Ears {
    who: String,
    lines: Receiver<String>,
    read: Box<Reading>,
    /// Makes it say what it has noticed, for those that have to be asked.
    ask: Option<Box<dyn FnMut() + Send>>,
    said: String,
}

impl Ears {
    pub fn new(
        who: &str,
        child: &mut Child,
        read: impl FnMut(&str) -> Option<Heard> + Send + 'static,
    ) -> Ears {
        Ears::of(who, lines_of(child), read)
    }

    /// Of lines that come from elsewhere than a child's output alone.
    pub fn of(
        who: &str,
        lines: Receiver<String>,
        read: impl FnMut(&str) -> Option<Heard> + Send + 'static,
    ) -> Ears {
        Ears { who: who.to_owned(), lines, read: Box::new(read), ask: None, said: String::new() }
    }

    pub fn asking(mut self, ask: impl FnMut() + Send + 'static) -> Ears {
        self.ask = Some(Box::new(ask));
        self
    }

    pub fn hears(&mut self, wanted: Heard) {
        self.until(&format!("{wanted:?}"), |heard, _| (heard == Some(wanted)).then_some(()));
    }

    /// Waits for a line that begins so, and gives the rest of it.
    pub fn told(&mut self, start: &str) -> String {
        self.until(start, |_, line| line.strip_prefix(start).map(|rest| rest.trim().to_owned()))
    }

    /// Waits for a line with this text.
    pub fn line_with(&mut self, text: &str) {
        self.until(text, |_, line| line.contains(text).then_some(()));
    }

    fn until<T>(&mut self, what: &str, find: impl Fn(Option<Heard>, &str) -> Option<T>) -> T {
        let mut now = clock();
        let (deadline, mut asked) = (now + PATIENCE, now);
        loop {
            if let Some(ask) = self.ask.as_mut().filter(|_| now >= asked) {
                ask();
                asked = now + ASKED_EVERY;
            }
            now = clock();
            let left = deadline.saturating_duration_since(now);
            assert!(!left.is_zero(), "{} never heard {what}", self.who);
            match self.lines.recv_timeout(if self.ask.is_some() { left.min(ASKED_EVERY) } else { left }) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if let Some(found) = find((self.read)(&line), &line) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("{} ended before it heard {what}", self.who),
            }
        }
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.said.extend(self.lines.try_iter().map(|line| line + "\n"));
            eprintln!("{} said:\n{}", self.who, self.said);
        }
    }
}

/// The samples of a recording that may still be written to.
pub fn recorded(file: &Path) -> Option<Vec<i16>> {
    Some(tone::thinned(&std::fs::read(file).ok()?))
}

/// A tone to play, as a file in `dir` of so many samples a second and channels.
pub fn tone_file(dir: &Path, shape: (u32, u16), hz: u32) -> PathBuf {
    /// Longer than any of these calls; each player begins anew at its end.
    const TONE_S: u32 = 60;
    let file = dir.join("tone.wav");
    std::fs::write(&file, tone::wav_of(shape, hz, TONE_S)).expect("written");
    file
}
