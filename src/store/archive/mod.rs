//! The archive: the source text of every generation, domain by domain. The text is the truth; everything else can be compiled again.
//!
//! A domain has a folder in `rules/`, and in it segments. A segment begins with a whole generation and goes on with what each later one
//! changed, so that an edit of one file writes one file's text. It is written twice (`.a`, `.b`, equal to the byte): where a frame
//! of one copy is damaged, the other's is read. Neither copy alone says what was acknowledged: that is the *head* of the domain,
//! which lies in the database, in the journal and in the snapshots ([`super::value`]).
//!
//! Kept are the newest [`GENERATIONS_KEPT`] generations of a domain, fewer where the older ones weigh more than [`HISTORY_BYTES_MAX`];
//! older ones are dropped, whole segments at a time.

mod segment;
mod settle;
mod write;

pub use settle::Settled;
pub use write::{Appended, ArchiveWriter, make_folder};

use super::GenerationInfo;
use crate::rules::diagnostic::Files;
use segment::Segment;
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many generations of a domain can be read back. Older ones are dropped.
pub const GENERATIONS_KEPT: usize = 64;
/// Segments beyond the newest are dropped, oldest first, while those of a domain weigh more than this together (one copy).
pub const HISTORY_BYTES_MAX: u64 = 1 << 30;
/// A folder's name is at most this long; a longer domain name is folded into a digest.
const FOLDER_NAME_MAX: usize = 200;

/// What one generation changed: the new text of each file that differs, `None` for one that is gone.
pub type FileChanges = Vec<(Arc<str>, Option<Arc<str>>)>;

/// Reads the archive, from any thread.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
}

impl Archive {
    /// The archive of the store in `directory`.
    #[must_use]
    pub fn of(directory: &Path) -> Archive {
        Archive { directory: directory.join("rules") }
    }

    fn folder(&self, domain: &str) -> PathBuf {
        self.directory.join(folder_name(domain))
    }

    /// The generations of a domain up to `newest`, newest first.
    ///
    /// # Errors
    /// What the file system says.
    pub fn history(&self, domain: &str, newest: u64, limit: usize) -> io::Result<Vec<GenerationInfo>> {
        let mut history = Vec::new();
        for segment in segments(&self.folder(domain))?.into_iter().rev() {
            let mut entries = Segment::open(&self.folder(domain), segment)?.entries();
            entries.retain(|entry| entry.info.generation <= newest);
            history.extend(entries.into_iter().rev().map(|entry| entry.info));
            if history.len() >= limit.min(GENERATIONS_KEPT) {
                break;
            }
        }
        history.truncate(limit.min(GENERATIONS_KEPT));
        Ok(history)
    }

    /// The files of a domain at one generation; `None` where that is not kept, or never was.
    ///
    /// # Errors
    /// What the file system says; `InvalidData` where both copies are damaged.
    pub fn read(&self, domain: &str, generation: u64) -> io::Result<Option<(GenerationInfo, Files)>> {
        let folder = self.folder(domain);
        let Some(base) = segments(&folder)?.into_iter().rfind(|base| *base <= generation) else {
            return Ok(None);
        };
        let segment = Segment::open(&folder, base)?;
        let mut files = Files::default();
        for entry in segment.entries() {
            for (path, text) in segment.changes(&entry)? {
                match text {
                    Some(text) => drop(files.0.insert(path, text)),
                    None => drop(files.0.remove(&path)),
                }
            }
            if entry.info.generation == generation {
                return Ok(Some((entry.info, files)));
            }
        }
        Ok(None)
    }

    /// The newest generation of each domain that the archive alone knows of: what heads are made from when nothing else is left.
    ///
    /// # Errors
    /// What the file system says.
    pub fn newest(&self) -> io::Result<Vec<GenerationInfo>> {
        let mut newest = Vec::new();
        for folder in folders(&self.directory)? {
            for base in segments(&folder)?.into_iter().rev() {
                if let Some(entry) = Segment::open(&folder, base)?.entries().pop() {
                    newest.push(entry.info);
                    break;
                }
            }
        }
        Ok(newest)
    }
}

/// A name for the folder of a domain: readable, the same on every file system, and no other domain's.
#[must_use]
pub fn folder_name(domain: &str) -> String {
    let mut name = String::new();
    for byte in domain.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.is_empty() || name.len() > FOLDER_NAME_MAX {
        let digest = Sha256::digest(domain.as_bytes());
        return digest.iter().fold("%".to_owned(), |name, byte| format!("{name}{byte:02x}"));
    }
    name
}

fn folders(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut folders = Vec::new();
    for folder in listed {
        let path = folder?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The generations that the segments of a folder begin with, in order.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let listed = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut bases = Vec::new();
    for file in listed {
        let path = file?.path();
        if path.extension().is_some_and(|e| e == "a" || e == "b")
            && let Some(base) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    bases.dedup();
    Ok(bases)
}

#[cfg(test)]
mod tests;
