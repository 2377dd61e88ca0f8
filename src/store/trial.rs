//! Generations on trial: what takes them back, and when, in a small file of its own beside the database. It is written before the
//! generation that it speaks of, so a crash leaves a trial of something that never was, which means nothing; never the other way round.

use super::frame::{self, Frames, MAGIC_LEN};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const MAGIC: [u8; MAGIC_LEN] = *b"RTTRIAL1";
const NAME: &str = "trials";

/// How a trial is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrialKind {
    /// Taken back unless somebody confirms it: `apply --confirm-within`.
    Confirm,
    /// Taken back in any case: `apply --until`.
    Until,
}

/// One domain's generation on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    pub domain: Arc<str>,
    pub kind: TrialKind,
    /// The generation that is on trial, and the one before it.
    pub generation: u64,
    pub before: u64,
    pub ends: Timestamp,
    /// Who asked for it: the uid.
    pub origin: String,
    /// The files that it changed, as they were; `None`: there was no such file.
    pub undo: BTreeMap<Arc<str>, Option<Arc<str>>>,
}

/// Every trial, in memory and in the file.
#[derive(Debug)]
pub struct Trials {
    path: PathBuf,
    set: Mutex<BTreeMap<Arc<str>, Trial>>,
}

impl Trials {
    /// Those of the directory. A file that can't be read counts as none, and is said: its name comes back with the reason.
    #[must_use]
    pub fn open(directory: &Path) -> (Trials, Option<String>) {
        let path = directory.join(NAME);
        let (set, trouble) = match read(&path) {
            Ok(set) => (set, None),
            Err(why) => {
                let aside = directory.join(format!("{NAME}.damaged"));
                let moved = std::fs::rename(&path, &aside).is_ok();
                let where_to =
                    if moved { format!("; it is kept as {}", aside.display()) } else { String::new() };
                let lost = "a generation on trial, if there was one, stays in force";
                (BTreeMap::new(), Some(format!("{} can't be read: {why}; {lost}{where_to}", path.display())))
            }
        };
        (Trials { path, set: Mutex::new(set) }, trouble)
    }

    #[must_use]
    pub fn of(&self, domain: &str) -> Option<Trial> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).get(domain).cloned()
    }

    #[must_use]
    pub fn all(&self) -> Vec<Trial> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Durable on return.
    ///
    /// # Errors
    /// What the disk says; then nothing has changed.
    pub fn put(&self, trial: Trial) -> io::Result<()> {
        self.change(|set| drop(set.insert(trial.domain.clone(), trial)))
    }

    /// Durable on return.
    ///
    /// # Errors
    /// What the disk says; then nothing has changed.
    pub fn remove(&self, domain: &str) -> io::Result<()> {
        if self.of(domain).is_none() {
            return Ok(());
        }
        self.change(|set| drop(set.remove(domain)))
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Arc<str>, Trial>)) -> io::Result<()> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = set.clone();
        change(&mut next);
        let json = serde_json::to_vec(&next.values().collect::<Vec<_>>()).map_err(io::Error::other)?;
        frame::replace_file(&self.path, |out| {
            out.write_all(&MAGIC)?;
            frame::write_frame(out, &json)
        })?;
        *set = next;
        Ok(())
    }
}

fn read(path: &Path) -> Result<BTreeMap<Arc<str>, Trial>, String> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    let mut frames = Frames::new(&bytes, MAGIC).map_err(|e| e.to_string())?;
    let json = frames.next().ok_or("it is empty")?.map_err(|e| e.to_string())?;
    let trials: Vec<Trial> = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    Ok(trials.into_iter().map(|trial| (trial.domain.clone(), trial)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial() -> Trial {
        Trial {
            domain: "d".into(),
            kind: TrialKind::Confirm,
            generation: 4,
            before: 3,
            ends: "2026-11-24T10:00:00Z".parse().unwrap(),
            origin: "0".into(),
            undo: [("a.toml".into(), Some("x".into())), ("b.toml".into(), None)].into(),
        }
    }

    #[test]
    fn a_trial_outlives_the_process_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (trials, trouble) = Trials::open(dir.path());
        assert_eq!((trials.all(), trouble), (Vec::new(), None));
        trials.put(trial()).unwrap();
        let (again, _) = Trials::open(dir.path());
        assert_eq!(again.of("d"), Some(trial()));
        again.remove("d").unwrap();
        assert_eq!(Trials::open(dir.path()).0.all(), []);
    }

    #[test]
    fn a_damaged_file_is_told_and_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        Trials::open(dir.path()).0.put(trial()).unwrap();
        let path = dir.path().join(NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (trials, trouble) = Trials::open(dir.path());
        assert!(trials.all().is_empty() && trouble.unwrap().contains("checksum"));
        assert!(dir.path().join("trials.damaged").exists());
    }
}
