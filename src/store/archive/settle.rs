//! Holding the archive against a head at open: what was never acknowledged is cut off, and a damaged copy is made anew from the other.

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
        let mut found = None;
        for base in segments(&folder)?.into_iter().rev() {
            let mut entries = Segment::open(&folder, base)?.entries();
            entries.retain(|entry| entry.info.generation <= newest);
            let Some(last) = entries.last() else {
                // Begun and never acknowledged, or unreadable to its first byte.
                if base > newest {
                    for path in segment::paths(&folder, base) {
                        remove(&path)?;
                    }
                }
                continue;
            };
            if last.info.generation < newest {
                found = Some(last.info.clone());
                break;
            }
            let repaired = equal(&folder, base, &entries)?;
            return Ok(if repaired { Settled::Repaired } else { Settled::Whole });
        }
        Ok(Settled::Behind(found))
    }
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
