//! Holding the archive against a head at open: what was never acknowledged is cut off, a damaged copy is made anew from the other, and
//! where both are damaged the domain falls back on the newest generation that can be read. What can't is set aside, not deleted.

use super::segment::{self, Entry, MAGIC, Segment};
use super::{Archive, segments};
use crate::store::GenerationInfo;
use crate::store::frame;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// How a domain's archive stood to its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Both copies hold the head's generation, and nothing behind it.
    Whole,
    /// One copy had to be made anew.
    Repaired,
    /// The head's generation can't be read; this is the newest that can.
    Behind(Option<GenerationInfo>),
}

impl Archive {
    /// Makes the archive of a domain end with `newest`, in both copies.
    ///
    /// # Errors
    /// What the file system says.
    pub fn settle(&self, domain: &str, newest: u64) -> io::Result<Settled> {
        let folder = self.folder(domain);
        let mut unreadable = Vec::new();
        for base in segments(&folder)?.into_iter().rev() {
            let segment = Segment::open(&folder, base)?;
            let mut entries = segment.entries();
            entries.retain(|entry| entry.info.generation <= newest);
            entries.truncate(segment.readable(&entries));
            let Some(last) = entries.last().map(|last| last.info.clone()) else {
                // Begun and never acknowledged, or unreadable to its first byte.
                if base > newest {
                    for path in segment::paths(&folder, base) {
                        remove(&path)?;
                    }
                } else {
                    unreadable.push(base);
                }
                continue;
            };
            if last.generation == newest {
                let repaired = equal(&folder, base, &entries)?;
                return Ok(if repaired { Settled::Repaired } else { Settled::Whole });
            }
            // Else the next edit would be written behind what can't be read.
            for base in unreadable {
                set_aside(&folder, base, |path, aside| std::fs::rename(path, aside))?;
            }
            set_aside(&folder, base, |path, aside| std::fs::copy(path, aside).map(drop))?;
            equal(&folder, base, &entries)?;
            return Ok(Settled::Behind(Some(last)));
        }
        Ok(Settled::Behind(None))
    }
}

/// Keeps both copies of a segment under names that are no segment's.
fn set_aside(folder: &Path, base: u64, keep: impl Fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    for path in segment::paths(folder, base) {
        let mut aside = path.clone().into_os_string();
        aside.push(".damaged");
        match keep(&path, Path::new(&aside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Makes both copies of a segment hold exactly these generations. Says whether one had to be written anew.
fn equal(folder: &Path, base: u64, entries: &[Entry]) -> io::Result<bool> {
    let end = entries.last().map_or(0, |last| last.end);
    let mut repaired = false;
    for path in segment::paths(folder, base) {
        let copy = Segment::copy(&path)?;
        if copy.entries().starts_with(entries) {
            if copy.len() > end {
                let file = OpenOptions::new().write(true).open(&path)?;
                file.set_len(end)?;
                file.sync_all()?;
            }
            continue;
        }
        repaired = true;
        let both = Segment::open(folder, base)?;
        frame::replace_file(&path, |out| {
            out.write_all(&MAGIC)?;
            for entry in entries {
                let changes = both.changes(entry)?;
                let changes = changes.iter().map(|(path, text)| (&**path, text.as_deref()));
                out.write_all(&segment::encoded(&entry.info, changes)?)?;
            }
            Ok(())
        })?;
    }
    Ok(repaired)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
