//! What takes too long for a voice thread: reads sound files, and looks whether a PIN is right.
//!
//! Two threads: an hour of music takes seconds to decode, and nobody who is asked something or who waits for an announcement waits for it. Within each,
//! what is short goes first, and the first file of every list before the second of any ([`Turns`]).

use super::kept::Kept;
use super::{Files, Work};
use crate::rules::model::Pin;
use crate::voice::clip::Clip;
use crate::voice::{Sound, Spot};
use argon2::Argon2;
use argon2::password_hash::{PasswordVerifier as _, phc::PasswordHash};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use subtle::ConstantTimeEq as _;

/// Files that wait to be read by one thread, and as many in the order of their turns; one more is taken for missing.
pub(super) const LOADS_MAX: usize = 1024;

/// What a loader is asked for.
pub(super) enum Errand {
    Load(Load),
    Check(Check),
}

/// A PIN that was entered, held against those that are right. Argon2 takes tens of milliseconds on purpose, so it is done here.
pub(super) struct Check {
    pub at: Spot,
    pub said: String,
    pub pins: Arc<[Pin]>,
    pub to: SyncSender<Work>,
}

/// A sound to be loaded: the answer goes to that voice thread.
pub(super) struct Load {
    pub sound: Sound,
    /// It is played for as long as somebody waits for something else.
    pub is_music: bool,
    /// What the answer is told by: the play that it is for, and its place in that.
    pub ticket: Ticket,
    pub to: SyncSender<Work>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub play: u64,
    pub index: usize,
}

/// What has come of it.
pub(super) struct Loaded {
    pub ticket: Ticket,
    pub clip: Result<Clip, String>,
}

impl Loaded {
    /// What tells a voice thread to end: no play has this number.
    pub(super) const END: Loaded =
        Loaded { ticket: Ticket { play: u64::MAX, index: 0 }, clip: Err(String::new()) };
}

/// The way to both threads. They end when nobody has it any more.
#[derive(Clone)]
pub(super) struct Loader {
    waited_for: SyncSender<Errand>,
    music: SyncSender<Errand>,
}

/// Too many errands wait already.
pub(super) struct Full;

impl Loader {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives none.
    pub(super) fn start(files: &Files) -> io::Result<(Loader, [JoinHandle<()>; 2])> {
        let thread = |name: &str| {
            let (errands, queue) = sync_channel(LOADS_MAX);
            let files = files.clone();
            let thread = std::thread::Builder::new().name(name.into()).spawn(move || run(&files, &queue))?;
            io::Result::Ok((errands, thread))
        };
        let (waited_for, loader) = thread("voice-loader")?;
        let (music, of_music) = thread("voice-music")?;
        Ok((Loader { waited_for, music }, [loader, of_music]))
    }

    /// # Errors
    /// It has no room: nothing will come of it.
    pub(super) fn give(&self, errand: Errand) -> Result<(), Full> {
        let queue = match &errand {
            Errand::Load(Load { is_music: true, .. }) => &self.music,
            Errand::Load(_) | Errand::Check(_) => &self.waited_for,
        };
        queue.try_send(errand).map_err(|_| Full)
    }
}

fn run(files: &Files, queue: &Receiver<Errand>) {
    let (mut kept, mut turns) = (Kept::default(), Turns::default());
    while let Some(errand) = turns.next(queue) {
        let (to, work) = match errand {
            Errand::Load(Load { sound, ticket, to, .. }) => {
                let clip = kept.sound(files, &sound);
                (to, Work::Loaded(Loaded { ticket, clip }))
            }
            Errand::Check(Check { at, said, pins, to }) => {
                let pin = pins.iter().position(|pin| is_right(pin, &said));
                (to, Work::Checked { at, pin })
            }
        };
        // Nobody there is a voice thread that has ended.
        let _ = to.send(work);
    }
}

/// Errands in the order in which they are done: questions and PINs, then files by their place in a list, then by when they were asked for.
#[derive(Default)]
struct Turns {
    waiting: BTreeMap<(bool, usize, u64), Errand>,
    asked: u64,
}

impl Turns {
    /// Waits for one where there is none. `None`: nobody asks any more, and whatever is left nobody waits for.
    fn next(&mut self, queue: &Receiver<Errand>) -> Option<Errand> {
        if self.waiting.is_empty() {
            self.put(queue.recv().ok()?);
        }
        while self.waiting.len() < LOADS_MAX {
            match queue.try_recv() {
                Ok(errand) => self.put(errand),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return None,
            }
        }
        self.waiting.pop_first().map(|(_, errand)| errand)
    }

    fn put(&mut self, errand: Errand) {
        let (is_file, index) = match &errand {
            Errand::Check(_) => (false, 0),
            Errand::Load(Load { sound, ticket, .. }) => (matches!(sound, Sound::File { .. }), ticket.index),
        };
        self.asked += 1;
        self.waiting.insert((is_file, index, self.asked), errand);
    }
}

/// Whether that is the PIN.
fn is_right(pin: &Pin, said: &str) -> bool {
    match pin {
        Pin::Hash(phc) => PasswordHash::new(phc)
            .is_ok_and(|hash| Argon2::default().verify_password(said.as_bytes(), &hash).is_ok()),
        Pin::Plain(pin) => bool::from(pin.as_bytes().ct_eq(said.as_bytes())),
        Pin::Masked => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{RelayId, Side};

    fn load(play: u64, index: usize, is_music: bool, to: &SyncSender<Work>) -> Errand {
        let domain: Arc<str> = "a.example".into();
        let sound = match is_music {
            true => Sound::File { domain, file: "music.wav".into() },
            false => Sound::Prompt { domain, name: "confirm" },
        };
        Errand::Load(Load { sound, is_music, ticket: Ticket { play, index }, to: to.clone() })
    }

    fn files() -> Files {
        let nowhere = std::path::PathBuf::from("/nowhere");
        let (prompts, recordings) = (nowhere.clone(), nowhere);
        Files { prompts, language: "en".into(), recordings, base: Arc::new(|_| None) }
    }

    #[test]
    fn questions_go_before_files_and_the_first_of_every_list_before_the_second_of_any() {
        let (to, _answers) = sync_channel(8);
        let (errands, queue) = sync_channel(16);
        for index in 0..3 {
            assert!(errands.try_send(load(1, index, true, &to)).is_ok());
        }
        assert!(errands.try_send(load(2, 0, true, &to)).is_ok());
        assert!(errands.try_send(load(3, 1, false, &to)).is_ok());
        let at = Spot { relay: RelayId(4), side: Side::A };
        let check = Check { at, said: "1234".into(), pins: Arc::new([]), to: to.clone() };
        assert!(errands.try_send(Errand::Check(check)).is_ok());
        let mut turns = Turns::default();
        let mut order = Vec::new();
        for _ in 0..6 {
            order.push(match turns.next(&queue).unwrap() {
                Errand::Load(Load { ticket, .. }) => (ticket.play, ticket.index),
                Errand::Check(check) => (check.at.relay.0, 0),
            });
        }
        assert_eq!(order, [(4, 0), (3, 1), (1, 0), (2, 0), (1, 1), (1, 2)]);
        drop(errands);
        assert!(turns.next(&queue).is_none());
    }

    #[test]
    fn a_question_does_not_wait_for_music() {
        let (loader, threads) = Loader::start(&files()).unwrap();
        // Nobody takes what comes of the music: its thread is as busy as with an hour of it.
        let (stuck, taken_by_nobody) = sync_channel(0);
        assert!(loader.give(load(1, 0, true, &stuck)).is_ok());
        assert!(loader.give(load(1, 1, true, &stuck)).is_ok());
        let (to, answers) = sync_channel(1);
        assert!(loader.give(load(2, 0, false, &to)).is_ok());
        let Ok(Work::Loaded(Loaded { ticket, clip })) = answers.recv() else { panic!("no prompt") };
        assert_eq!((ticket.play, clip.is_ok()), (2, true));
        drop((loader, taken_by_nobody));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_pin_is_right_by_its_hash_or_its_digits_and_by_nothing_else() {
        let of_1234 = "$argon2id$v=19$m=19456,t=2,p=1$VQA1BVvBkRbEILuS+waAqQ$KUp8Ye1KKihAdUSs6QrtsZBuag/8BsbkxdNeyzS35Fs";
        for (pin, said, right) in [
            (Pin::Hash(of_1234.into()), "1234", true),
            (Pin::Hash(of_1234.into()), "1235", false),
            (Pin::Hash("$argon2id$broken".into()), "1234", false),
            (Pin::Plain("1234".into()), "1234", true),
            (Pin::Plain("1234".into()), "123", false),
            (Pin::Masked, "***", false),
        ] {
            assert_eq!(is_right(&pin, said), right, "{pin:?} {said}");
        }
    }
}
