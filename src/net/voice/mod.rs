//! The voice plane: threads that tick every twenty milliseconds, one beside each relay thread, and three that touch files beside them.
//!
//! ```text
//! signalling --Command--> bounded queue --> voice thread --Report--> signalling's input queue
//!                                             |  ^   |  ^
//!                                       Said  v  | Heard  (VoicePort of the relay thread)
//!                                                    |  |
//!                      recorder (writes recordings) <-+  +-- loader, and one for music (read and decode, keep what was read)
//! ```
//!
//! A voice thread never waits for a file, for signalling or for a relay thread, and signalling never for it: what finds no room is counted,
//! refused or offered again. A thread with nobody to hear or to speak to sleeps.

mod audition;
mod kept;
mod loader;
mod pending;
mod recorder;
mod recordings;
mod rooms;
mod thread;

pub use audition::Auditions;

use super::media::VoicePort;
use super::tally::Voice as Tally;
use crate::voice::{Command, Report, Sound, Spot};
use loader::Loader;
use std::collections::VecDeque;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Commands and loaded files that wait for one voice thread. When it is full, the loader waits; commands wait beside it.
pub const WORK_MAX: usize = 4096;
/// Commands that wait beside a full queue. Beyond them nothing is begun, and that is said.
pub const WAITING_MAX: usize = 4096;
/// With so many waiting, what was begun can't be ended any more: such a thread counts as one that has ended.
const STUCK_AT: usize = 16 * WAITING_MAX;
/// The language of prompts that stands in where a set lacks one.
pub const LANGUAGE: &str = "en";

/// Takes a report, or gives it back when there is no room for it just now. Must not block.
pub type Reporter = Arc<dyn Fn(Report) -> Option<Report> + Send + Sync>;

/// Where a domain's rules lie, as far as it is known.
pub type Base = Arc<dyn Fn(&str) -> Option<PathBuf> + Send + Sync>;

/// Where files are.
#[derive(Clone)]
pub struct Files {
    /// `LANGUAGE/NAME.wav` (or `.mp3`) under here are our prompts, `DOMAIN/LANGUAGE/NAME.wav` those of a domain.
    pub prompts: PathBuf,
    pub language: String,
    /// Recordings are written under here.
    pub recordings: PathBuf,
    pub base: Base,
}

impl Files {
    /// The files that may have a sound, the best one first. None for what is no file. Behind those of a prompt stands what was built in.
    #[must_use]
    pub fn of(&self, sound: &Sound) -> Vec<PathBuf> {
        match sound {
            Sound::File { domain, file } => {
                (self.base)(domain).and_then(|base| below(&base, file)).into_iter().collect()
            }
            Sound::Prompt { domain, name } => {
                let named = |set: PathBuf| ["wav", "mp3"].map(|kind| set.join(format!("{name}.{kind}")));
                self.sets(domain).into_iter().flat_map(named).collect()
            }
            Sound::Tone { .. } | Sound::Pause(_) => Vec::new(),
        }
    }

    /// Where a domain's prompts may lie, the best set first.
    fn sets(&self, domain: &str) -> Vec<PathBuf> {
        let of_all = [self.prompts.join(&self.language), self.prompts.join(LANGUAGE)];
        let own = self.prompts.join(domain).join(&self.language);
        if is_inside(domain) { [own].into_iter().chain(of_all).collect() } else { Vec::new() }
    }
}

/// Where a file of the rules lies. `None`: its name leaves the directory.
fn below(base: &Path, file: &str) -> Option<PathBuf> {
    is_inside(file).then(|| base.join(file))
}

/// Whether a name stays under the directory that it is joined to.
fn is_inside(name: &str) -> bool {
    let stays = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !name.is_empty() && Path::new(name).components().all(stays)
}

/// The signalling plane's end of the voice plane.
pub struct Plane {
    threads: Vec<Thread>,
    report: Reporter,
    others: Vec<JoinHandle<()>>,
    tally: Vec<Arc<Tally>>,
}

struct Thread {
    way: Way,
    thread: Option<JoinHandle<()>>,
}

/// Signalling's way to one voice thread, on which it never waits.
struct Way {
    work: SyncSender<Work>,
    /// Commands that found no room, in order: [`WAITING_MAX`], and after them only those that end something.
    waiting: VecDeque<Command>,
    /// It was said that commands are refused.
    refuses: bool,
}

/// What a voice thread is given.
enum Work {
    Command(Command),
    Loaded(loader::Loaded),
    /// What a party has entered is that PIN.
    Checked {
        at: Spot,
        pin: Option<usize>,
    },
    /// Of conference rooms, from another voice thread.
    Frames(rooms::Frames),
}

impl Plane {
    /// Starts a voice thread beside each relay thread, the loader and the recorder.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start(ports: Vec<VoicePort>, files: &Files, report: &Reporter) -> io::Result<Plane> {
        let (loads, loaders) = Loader::start(files)?;
        let (records, recorder) = recorder::start(files.recordings.clone(), report.clone())?;
        let (works, queues): (Vec<_>, Vec<_>) = ports.iter().map(|_| sync_channel(WORK_MAX)).unzip();
        let tally: Vec<Arc<Tally>> = works.iter().map(|_| Arc::default()).collect();
        let threads = ports
            .into_iter()
            .zip(works.iter().cloned().zip(queues))
            .enumerate()
            .map(|(n, (port, (work, queue)))| {
                let outlets = thread::Outlets {
                    own: work.clone(),
                    loads: loads.clone(),
                    records: records.clone(),
                    report: report.clone(),
                    rooms: rooms::Rooms::new(n, works.clone()),
                    tally: tally.get(n).cloned().unwrap_or_default(),
                };
                let voices = thread::Voices::new(queue, port, outlets);
                let thread =
                    std::thread::Builder::new().name(format!("voice-{n}")).spawn(move || voices.run())?;
                let way = Way { work, waiting: VecDeque::new(), refuses: false };
                Ok(Thread { way, thread: Some(thread) })
            })
            .collect::<io::Result<Vec<Thread>>>()?;
        Ok(Plane {
            threads,
            report: report.clone(),
            others: loaders.into_iter().chain([recorder]).collect(),
            tally,
        })
    }

    /// What each thread counts.
    #[must_use]
    pub fn tally(&self) -> Vec<Arc<Tally>> {
        self.tally.clone()
    }

    /// Hands a command to the thread that the relay belongs to, or keeps it until [`Plane::pass_on`] where that thread is behind.
    ///
    /// # Errors
    /// That thread has ended, or is stuck, which it never does by itself.
    pub fn command(&mut self, command: Command) -> Result<(), Broken> {
        let at = command.subject().thread(self.threads.len());
        let thread = self.threads.get_mut(at).ok_or(Broken)?;
        let dropped = thread.way.command(command)?;
        if let Some(command @ (Command::Record { .. } | Command::RecordRoom { .. })) = dropped {
            let result = Err("the voice plane is too far behind".to_owned());
            let _ = (self.report)(Report::Recorded { of: command.subject(), result }); // without room it is in the log alone
        }
        Ok(())
    }

    /// Hands over what waits for threads that were behind, as far as they have room by now.
    ///
    /// # Errors
    /// As [`Plane::command`].
    pub fn pass_on(&mut self) -> Result<(), Broken> {
        self.threads.iter_mut().try_for_each(|thread| thread.way.pass_on())
    }

    /// Something waits for [`Plane::pass_on`].
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.threads.iter().any(|thread| !thread.way.waiting.is_empty())
    }
}

impl Way {
    /// Some: the command is refused.
    fn command(&mut self, command: Command) -> Result<Option<Command>, Broken> {
        self.pass_on()?;
        let ends =
            matches!(command, Command::Close { .. } | Command::Leave { .. } | Command::EndRecording { .. });
        if self.waiting.len() >= WAITING_MAX && !ends {
            if !std::mem::replace(&mut self.refuses, true) {
                tracing::error!(of = ?command.subject(), "a voice thread is too far behind: nothing more is begun");
            }
            return Ok(Some(command));
        }
        if self.waiting.len() >= STUCK_AT {
            return Err(Broken);
        }
        self.waiting.push_back(command);
        self.pass_on()?;
        Ok(None)
    }

    fn pass_on(&mut self) -> Result<(), Broken> {
        while let Some(command) = self.waiting.pop_front() {
            match self.work.try_send(Work::Command(command)) {
                Err(TrySendError::Full(Work::Command(command))) => {
                    self.waiting.push_front(command);
                    return Ok(());
                }
                Err(TrySendError::Disconnected(_)) => return Err(Broken),
                Ok(()) | Err(TrySendError::Full(_)) => {} // nothing else was given
            }
        }
        self.refuses = false;
        Ok(())
    }
}

/// A voice thread has ended, or takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a voice thread has ended, or is stuck")]
pub struct Broken;

impl Drop for Plane {
    /// Ends the threads: recordings are closed before the last of them has ended.
    fn drop(&mut self) {
        for Thread { way, thread } in &mut self.threads {
            // It fails only where the thread has ended.
            let _ = way.work.send(Work::Loaded(loader::Loaded::END));
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
        self.threads.clear(); // and with them what waited: nobody is left to hear it
        for thread in self.others.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{RelayId, Side};

    #[test]
    fn a_thread_that_is_behind_keeps_nobody_waiting_and_misses_no_end() {
        let (work, queue) = sync_channel(2);
        let mut way = Way { work, waiting: VecDeque::new(), refuses: false };
        let spot = |n| Spot { relay: RelayId(n), side: Side::A };
        for n in 0..2 + WAITING_MAX as u64 {
            assert_eq!(way.command(Command::Stop { at: spot(n) }), Ok(None));
        }
        let refused = Command::Stop { at: spot(0) };
        assert_eq!(way.command(refused.clone()), Ok(Some(refused)));
        assert_eq!(way.command(Command::Close { at: spot(1) }), Ok(None), "what was begun is ended");
        let mut told = Vec::new();
        while let Ok(Work::Command(command)) = queue.try_recv() {
            told.push(command);
            way.pass_on().unwrap();
        }
        assert_eq!(told.len(), 2 + WAITING_MAX + 1);
        assert_eq!(told.last(), Some(&Command::Close { at: spot(1) }));
        drop(queue);
        assert_eq!(way.command(Command::Close { at: spot(1) }), Err(Broken));
    }

    #[test]
    fn a_sound_is_looked_for_in_the_domains_own_set_first_and_never_outside() {
        let files = Files {
            prompts: "/p".into(),
            language: "de".into(),
            recordings: "/r".into(),
            base: Arc::new(|domain| (domain == "a.example").then(|| "/rules/a".into())),
        };
        let found =
            |sound: &Sound| files.of(sound).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let prompt = |domain: &str| Sound::Prompt { domain: domain.into(), name: "confirm" };
        assert_eq!(
            found(&prompt("a.example")),
            [
                "/p/a.example/de/confirm.wav",
                "/p/a.example/de/confirm.mp3",
                "/p/de/confirm.wav",
                "/p/de/confirm.mp3",
                "/p/en/confirm.wav",
                "/p/en/confirm.mp3"
            ]
        );
        assert!(found(&prompt("../etc")).is_empty());
        let file = |domain: &str, file: &str| Sound::File { domain: domain.into(), file: file.into() };
        assert_eq!(found(&file("a.example", "audio/closed.wav")), ["/rules/a/audio/closed.wav"]);
        assert_eq!(found(&file("a.example", "./closed.wav")), ["/rules/a/./closed.wav"]);
        for (domain, name) in
            [("b.example", "closed.wav"), ("a.example", "../closed.wav"), ("a.example", "/etc/passwd")]
        {
            assert!(found(&file(domain, name)).is_empty(), "{name}");
        }
    }
}
