//! Decoded files of sound: kept as long as there is room and the file is the same; and shared for as long as anybody plays them.

use super::Files;
use crate::voice::clip::{Clip, FILE_BYTES_MAX, Lent};
use crate::voice::{Sound, prompt};
use rustc_hash::FxHashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Samples that are kept decoded: 128 MiB, more than an hour.
const KEPT_SAMPLES_MAX: usize = 64 * 1024 * 1024;
/// Files that are known decoded.
const KEPT_MAX: usize = 1024;

/// Decoded files.
#[derive(Default)]
pub(super) struct Kept {
    clips: FxHashMap<PathBuf, Entry>,
    /// Of those that are kept.
    samples: usize,
    uses: u64,
}

struct Entry {
    /// Where there is room for it.
    kept: Option<Clip>,
    /// Whoever plays it has it still: a hundred who hear an hour of music hear one.
    lent: Lent,
    samples: usize,
    changed: Option<SystemTime>,
    bytes: u64,
    used: u64,
}

impl Entry {
    fn clip(&self) -> Option<Clip> {
        self.kept.clone().or_else(|| self.lent.clip())
    }
}

impl Kept {
    /// A prompt of which there is no file that can be played is the one that was built in: whoever is asked something has to hear it.
    pub(super) fn sound(&mut self, files: &Files, sound: &Sound) -> Result<Clip, String> {
        let paths = files.of(sound);
        let Sound::Prompt { name, .. } = sound else { return self.clip(&paths) };
        for path in paths.iter().filter(|path| path.exists()) {
            match self.clip(std::slice::from_ref(path)) {
                Ok(clip) => return Ok(clip),
                Err(why) => tracing::warn!(%why, "a prompt can't be played: the next one is taken"),
            }
        }
        let wav = prompt::built_in(name).ok_or_else(|| format!("there is no prompt \"{name}\""))?;
        Clip::read(wav).map_err(|error| error.to_string())
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
            && let Some(clip) = entry.clip()
        {
            entry.used = self.uses;
            return Ok(clip);
        }
        let clip = read(path, bytes)?;
        let samples = clip.samples().len();
        let entry = Entry { kept: None, lent: clip.lend(), samples, changed, bytes, used: self.uses };
        self.keep(path, entry, &clip);
        Ok(clip)
    }

    fn keep(&mut self, path: &Path, mut entry: Entry, clip: &Clip) {
        self.forget(path);
        self.clips.retain(|_, entry| entry.clip().is_some());
        if entry.samples <= KEPT_SAMPLES_MAX {
            while self.samples + entry.samples > KEPT_SAMPLES_MAX && self.let_go() {}
            self.samples += entry.samples;
            entry.kept = Some(clip.clone());
        }
        while self.clips.len() >= KEPT_MAX
            && let Some(oldest) =
                self.clips.iter().min_by_key(|(_, entry)| entry.used).map(|(path, _)| path.clone())
        {
            self.forget(&oldest);
        }
        self.clips.insert(path.to_owned(), entry);
    }

    /// Of what is kept, what was used longest ago. `false`: nothing is.
    fn let_go(&mut self) -> bool {
        let kept = self.clips.values_mut().filter(|entry| entry.kept.is_some());
        let Some(oldest) = kept.min_by_key(|entry| entry.used) else { return false };
        self.samples -= oldest.samples;
        oldest.kept = None;
        true
    }

    fn forget(&mut self, path: &Path) {
        if let Some(entry) = self.clips.remove(path).filter(|entry| entry.kept.is_some()) {
            self.samples -= entry.samples;
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
    fn a_prompt_without_a_file_that_can_be_played_is_the_one_that_was_built_in() {
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
        fs::write(dir.path().join("de/confirm.wav"), "no sound").unwrap();
        assert_eq!(kept.sound(&files, &sound("confirm")), Ok(built_in));
        assert!(kept.sound(&files, &sound("no such prompt")).unwrap_err().contains("no such prompt"));
    }

    #[test]
    fn what_there_is_no_room_for_is_shared_as_long_as_it_is_played() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long.wav");
        write(&path, 800);
        let paths = [path];
        let mut kept = Kept::default();
        let played = kept.clip(&paths).unwrap();
        assert!(kept.let_go() && !kept.let_go());
        assert_eq!(kept.samples, 0);
        let again = kept.clip(&paths).unwrap();
        assert!(std::ptr::eq(played.samples(), again.samples()), "it is decoded once");
        drop((played, again));
        kept.clip(&paths).unwrap();
        assert_eq!((kept.clips.len(), kept.samples), (1, 800), "and again when nobody has it any more");
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
