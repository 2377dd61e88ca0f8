//! What takes too long for a voice thread: reads sound files, and keeps what it has decoded as long as there is room and the file is the same;
//! and looks whether a PIN is right.

use super::{Files, Work};
use crate::rules::model::Pin;
use crate::voice::clip::{Clip, FILE_BYTES_MAX};
use crate::voice::{Sound, Spot, prompt};
use argon2::Argon2;
use argon2::password_hash::{PasswordVerifier as _, phc::PasswordHash};
use rustc_hash::FxHashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::SystemTime;
use subtle::ConstantTimeEq as _;

/// Files that wait to be read; one more is taken for missing.
pub(super) const LOADS_MAX: usize = 1024;
/// Samples that are kept decoded: 64 MiB, more than an hour.
const KEPT_SAMPLES_MAX: usize = 32 * 1024 * 1024;
/// Files that are kept decoded.
const KEPT_MAX: usize = 1024;

/// What the loader is asked for.
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

/// Starts the thread; it ends when nobody can ask it any more.
pub(super) fn start(files: Files) -> io::Result<(SyncSender<Errand>, JoinHandle<()>)> {
    let (loads, queue) = sync_channel(LOADS_MAX);
    let thread =
        std::thread::Builder::new().name("voice-loader".into()).spawn(move || run(&files, &queue))?;
    Ok((loads, thread))
}

fn run(files: &Files, queue: &Receiver<Errand>) {
    let mut kept = Kept::default();
    while let Ok(errand) = queue.recv() {
        let (to, work) = match errand {
            Errand::Load(Load { sound, ticket, to }) => {
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

/// Whether that is the PIN.
fn is_right(pin: &Pin, said: &str) -> bool {
    match pin {
        Pin::Hash(phc) => PasswordHash::new(phc)
            .is_ok_and(|hash| Argon2::default().verify_password(said.as_bytes(), &hash).is_ok()),
        Pin::Plain(pin) => bool::from(pin.as_bytes().ct_eq(said.as_bytes())),
        Pin::Masked => false,
    }
}

/// Decoded files.
#[derive(Default)]
struct Kept {
    clips: FxHashMap<PathBuf, Entry>,
    samples: usize,
    uses: u64,
}

struct Entry {
    clip: Clip,
    changed: Option<SystemTime>,
    bytes: u64,
    used: u64,
}

impl Kept {
    /// A prompt of which there is no file is the one that was built in.
    fn sound(&mut self, files: &Files, sound: &Sound) -> Result<Clip, String> {
        let paths = files.of(sound);
        match sound {
            Sound::Prompt { name, .. } if !paths.iter().any(|path| path.exists()) => {
                let wav = prompt::built_in(name).ok_or_else(|| format!("there is no prompt \"{name}\""))?;
                Clip::read(wav).map_err(|error| error.to_string())
            }
            _ => self.clip(&paths),
        }
    }

    /// The first of these files that is there.
    fn clip(&mut self, paths: &[PathBuf]) -> Result<Clip, String> {
        let Some((path, about)) = paths.iter().find_map(|path| Some((path, fs::metadata(path).ok()?))) else {
            let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            return Err(match shown.as_slice() {
                [] => "it is not known where the rules of its domain lie".to_owned(),
                _ => format!("there is no {}", shown.join(", nor ")),
            });
        };
        let (changed, bytes) = (about.modified().ok(), about.len());
        self.uses += 1;
        if let Some(entry) = self.clips.get_mut(path)
            && (entry.changed, entry.bytes) == (changed, bytes)
        {
            entry.used = self.uses;
            return Ok(entry.clip.clone());
        }
        let clip = read(path, bytes)?;
        self.keep(path, Entry { clip: clip.clone(), changed, bytes, used: self.uses });
        Ok(clip)
    }

    fn keep(&mut self, path: &Path, entry: Entry) {
        self.forget(path);
        let more = entry.clip.samples().len();
        while !self.clips.is_empty()
            && (self.samples + more > KEPT_SAMPLES_MAX || self.clips.len() >= KEPT_MAX)
        {
            let oldest = self.clips.iter().min_by_key(|(_, entry)| entry.used).map(|(path, _)| path.clone());
            let Some(oldest) = oldest else { break };
            self.forget(&oldest);
        }
        if more <= KEPT_SAMPLES_MAX {
            self.samples += more;
            self.clips.insert(path.to_owned(), entry);
        }
    }

    fn forget(&mut self, path: &Path) {
        if let Some(entry) = self.clips.remove(path) {
            self.samples -= entry.clip.samples().len();
        }
    }
}

fn read(path: &Path, bytes: u64) -> Result<Clip, String> {
    let broken = |why: String| format!("{}: {why}", path.display());
    if bytes > FILE_BYTES_MAX {
        return Err(broken(format!("it has {bytes} bytes, more than {FILE_BYTES_MAX}")));
    }
    let file = fs::read(path).map_err(|error| broken(error.to_string()))?;
    Clip::read(&file).map_err(|error| broken(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, samples: u32) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: crate::voice::codec::RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        (0..samples).for_each(|n| writer.write_sample((n % 100) as i16).unwrap());
        writer.finalize().unwrap();
    }

    #[test]
    fn a_file_is_decoded_once_and_again_when_it_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (missing, file) = (dir.path().join("no.wav"), dir.path().join("yes.wav"));
        let mut kept = Kept::default();
        let paths = [missing.clone(), file.clone()];
        let why = kept.clip(&paths).unwrap_err();
        assert!(why.contains("no.wav") && why.contains("yes.wav"), "{why}");
        write(&file, 800);
        assert_eq!(kept.clip(&paths).unwrap().samples().len(), 800);
        assert_eq!((kept.clips.len(), kept.samples), (1, 800));
        write(&file, 1600);
        assert_eq!(kept.clip(&paths).unwrap().samples().len(), 1600);
        assert_eq!((kept.clips.len(), kept.samples), (1, 1600), "the old one is gone");
        fs::write(&missing, "no sound").unwrap();
        let why = kept.clip(&paths).unwrap_err();
        assert!(why.ends_with("no.wav: it is neither WAV nor MP3"), "{why}");
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

    #[test]
    fn a_prompt_without_a_file_is_the_one_that_was_built_in() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files {
            prompts: dir.path().to_owned(),
            language: "de".into(),
            recordings: dir.path().to_owned(),
            base: std::sync::Arc::new(|_| None),
        };
        let mut kept = Kept::default();
        let sound = |name| Sound::Prompt { domain: "a.example".into(), name };
        let built_in = kept.sound(&files, &sound("confirm")).unwrap();
        assert!(built_in.samples().len() > 8000);
        fs::create_dir(dir.path().join("de")).unwrap();
        write(&dir.path().join("de/confirm.wav"), 80);
        assert_eq!(kept.sound(&files, &sound("confirm")).unwrap().samples().len(), 80);
        assert!(kept.sound(&files, &sound("no such prompt")).unwrap_err().contains("no such prompt"));
    }

    #[test]
    fn what_was_used_last_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::default();
        let path = |n: usize| dir.path().join(format!("{n}.wav"));
        for n in 0..=KEPT_MAX {
            write(&path(n), 1);
            kept.clip(&[path(n)]).unwrap();
            kept.clip(&[path(0)]).unwrap();
        }
        assert_eq!((kept.clips.len(), kept.samples), (KEPT_MAX, KEPT_MAX));
        assert!(kept.clips.contains_key(&path(0)) && !kept.clips.contains_key(&path(1)));
    }
}
