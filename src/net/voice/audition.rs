//! Files of sound are tried out before anybody waits for them: by `check`, by every edit, and when the daemon is up.
//!
//! What it is not: the loader. Nothing is kept of a file but what was wrong with it, and when it was last written.

use super::{Files, below};
use crate::rules::Domain;
use crate::rules::audio::Fault;
use crate::rules::diagnostic::Diagnostic;
use crate::voice::clip::{Clip, FILE_BYTES_MAX};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Files of which it is known what is wrong with them. With more, all are tried out anew.
const KNOWN_MAX: usize = 4096;
/// Sounds of one directory that are looked at: those that may have been meant by a name, and prompts.
const BESIDE_MAX: usize = 256;

/// Knows what came of files that have not changed since.
#[derive(Debug, Default)]
pub struct Auditions {
    known: Mutex<FxHashMap<PathBuf, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    changed: Option<SystemTime>,
    bytes: u64,
    fault: Option<Fault>,
}

impl Auditions {
    /// What is to be said of the sounds that the rules of a domain name. `base`: where they lie, as far as it is known. Reads those that are
    /// new or have changed, which takes seconds for hours of sound.
    #[must_use]
    pub fn of(&self, domain: &Domain, base: Option<&Path>) -> Vec<Diagnostic> {
        let files = domain.audio().iter();
        files.filter_map(|file| Some(self.fault(base, &file.value)?.diagnostic(file))).collect()
    }

    /// A line for each prompt of these domains' sets that can't be played: what stands behind it is heard instead.
    #[must_use]
    pub fn prompts<'d>(&self, files: &Files, domains: impl IntoIterator<Item = &'d str>) -> Vec<String> {
        let sets: BTreeSet<PathBuf> = domains.into_iter().flat_map(|domain| files.sets(domain)).collect();
        let mut lines = Vec::new();
        for set in sets {
            for name in sounds_of(&set) {
                let path = set.join(&name);
                let why = match self.fault(Some(&set), &name) {
                    Some(Fault::Broken { why }) => format!("can't be played: {why}"),
                    Some(Fault::Unreadable { why, .. }) => format!("can't be read: {why}"),
                    Some(Fault::Missing { .. } | Fault::Nowhere) | None => continue, // it has gone just now
                };
                lines.push(format!(
                    "the prompt {} {why}; the next set is heard instead, or what is built in",
                    path.display()
                ));
            }
        }
        lines
    }

    fn fault(&self, base: Option<&Path>, file: &str) -> Option<Fault> {
        let Some(base) = base else { return Some(Fault::Nowhere) };
        let path = below(base, file)?; // what leaves the base directory is an error of the rules already
        let at = path.display().to_string();
        let about = match fs::metadata(&path) {
            Ok(about) => about,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Some(Fault::Missing { at, beside: beside(base, file) });
            }
            Err(error) => return Some(Fault::Unreadable { at, why: error.to_string() }),
        };
        let (changed, bytes) = (about.modified().ok(), about.len());
        let known = self.known().get(&path).cloned();
        if let Some(known) = known.filter(|known| (known.changed, known.bytes) == (changed, bytes)) {
            return known.fault;
        }
        let fault = match read(&path, &about) {
            Ok(file) => Clip::try_out(&file).err().map(|error| Fault::Broken { why: error.to_string() }),
            // Whether it may be read is no matter of its content: that is looked at each time.
            Err(Fault::Unreadable { at, why }) => return Some(Fault::Unreadable { at, why }),
            Err(fault) => Some(fault),
        };
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(path, Known { changed, bytes, fault: fault.clone() });
        fault
    }

    fn known(&self) -> MutexGuard<'_, FxHashMap<PathBuf, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path, about: &fs::Metadata) -> Result<Vec<u8>, Fault> {
    let broken = |why: String| Fault::Broken { why };
    match about.len() {
        _ if !about.is_file() => Err(broken("it is no file".into())),
        bytes if bytes > FILE_BYTES_MAX => {
            Err(broken(format!("it has {bytes} bytes, more than {FILE_BYTES_MAX}")))
        }
        _ => fs::read(path)
            .map_err(|error| Fault::Unreadable { at: path.display().to_string(), why: error.to_string() }),
    }
}

/// The sounds in the directory where a file was looked for, by names that rules would have for them.
fn beside(base: &Path, file: &str) -> Vec<String> {
    let within = Path::new(file).parent().unwrap_or(Path::new(""));
    let named = |name: String| within.join(name).to_str().map(str::to_owned);
    sounds_of(&base.join(within)).into_iter().filter_map(named).collect()
}

/// What looks like a sound in a directory, by name.
fn sounds_of(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let sounds = |name: &str| [".wav", ".mp3"].iter().any(|kind| name.to_lowercase().ends_with(kind));
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| sounds(name)).take(BESIDE_MAX).collect();
    names.sort_unstable(); // directories have no order
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::codec::RATE;
    use std::time::Duration;

    fn sound(path: &Path) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        (0..1600).for_each(|n| writer.write_sample((n % 100) as i16).unwrap());
        writer.finalize().unwrap();
    }

    #[test]
    fn every_way_to_be_no_sound_has_its_fault() {
        let dir = tempfile::tempdir().unwrap();
        let auditions = Auditions::default();
        let of = |file: &str| auditions.fault(Some(dir.path()), file);
        fs::create_dir(dir.path().join("audio")).unwrap();
        sound(&dir.path().join("audio/Closed.wav"));
        assert_eq!(of("audio/Closed.wav"), None);
        assert_eq!(of("./audio/Closed.wav"), None);
        let at = dir.path().join("audio/closed.wav").display().to_string();
        assert_eq!(
            of("audio/closed.wav"),
            Some(Fault::Missing { at, beside: vec!["audio/Closed.wav".into()] })
        );
        assert!(matches!(of("nowhere/closed.wav"), Some(Fault::Missing { beside, .. }) if beside.is_empty()));
        fs::write(dir.path().join("text.wav"), "no sound").unwrap();
        assert!(matches!(of("text.wav"), Some(Fault::Broken { why }) if why == "it is neither WAV nor MP3"));
        assert!(matches!(of("audio"), Some(Fault::Broken { why }) if why == "it is no file"));
        assert_eq!(auditions.fault(None, "text.wav"), Some(Fault::Nowhere));
    }

    #[test]
    fn a_prompt_of_a_set_that_can_not_be_played_is_named_once() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files {
            prompts: dir.path().to_owned(),
            language: "de".into(),
            recordings: dir.path().to_owned(),
            base: std::sync::Arc::new(|_| None),
        };
        for set in ["de", "en", "a.example/de"] {
            fs::create_dir_all(dir.path().join(set)).unwrap();
            sound(&dir.path().join(set).join("1.wav"));
            fs::write(dir.path().join(set).join("notes.txt"), "about them").unwrap();
        }
        let auditions = Auditions::default();
        assert_eq!(auditions.prompts(&files, ["a.example", "b.example"]), [""; 0]);
        fs::write(dir.path().join("de/confirm.mp3"), "no sound").unwrap();
        fs::write(dir.path().join("a.example/de/2.wav"), "").unwrap();
        let lines = auditions.prompts(&files, ["a.example", "b.example"]);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("a.example/de/2.wav can't be played: it has no sound in it"), "{lines:?}");
        assert!(lines[1].contains("de/confirm.mp3 can't be played: it is neither WAV nor MP3"), "{lines:?}");
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let auditions = Auditions::default();
        let of = || auditions.fault(Some(dir.path()), "a.wav");
        sound(&path);
        assert_eq!(of(), None);
        let about = fs::metadata(&path).unwrap();
        let (length, written) = (about.len(), about.modified().unwrap());
        let spoil = |at| {
            fs::write(&path, vec![0; usize::try_from(length).unwrap()]).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        };
        spoil(written);
        assert_eq!(of(), None, "as long and as old as it was: nobody has looked");
        spoil(written + Duration::from_secs(1));
        assert!(matches!(of(), Some(Fault::Broken { .. })));
    }
}
