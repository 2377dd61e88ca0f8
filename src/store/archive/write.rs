//! Writing the archive: the writer thread's half. A generation is in both copies and synced when [`ArchiveWriter::append`] returns.

use super::segment::{self, MAGIC, Segment};
use super::{Archive, FileChanges, GENERATIONS_KEPT, HISTORY_BYTES_MAX, segments};
use crate::rules::diagnostic::Files;
use crate::store::GenerationInfo;
use crate::store::frame::{self, MAGIC_LEN};
use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment with so many generations is left for a new one as soon as what they changed is at least a half of the whole one:
/// a large domain is not written whole every so many small edits.
const CHANGES_SHARE: u64 = 2;
/// A segment never has more: reading a generation goes through all before it.
const SEGMENT_GENERATIONS_MAX: usize = 64 * GENERATIONS_KEPT;
/// So much of changes is not too much, however small the whole generation is.
const CHANGES_BYTES_FREE: u64 = 64 << 10;

/// Where the newest segment of a domain stands.
#[derive(Clone, Copy, Debug)]
struct Tail {
    base: u64,
    /// Generations in it, the whole one at its beginning included.
    generations: usize,
    /// Where the whole one ends.
    base_end: u64,
    end: u64,
}

/// What was appended, so that it can be taken back.
#[derive(Debug)]
pub struct Appended {
    domain: Arc<str>,
    /// `None`: the segment was begun with it.
    before: Option<Tail>,
    paths: [PathBuf; 2],
}

/// The writer's view: it knows where each domain's newest segment ends.
#[derive(Debug)]
pub struct ArchiveWriter {
    archive: Archive,
    tails: HashMap<Arc<str>, Tail>,
}

impl ArchiveWriter {
    #[must_use]
    pub fn new(archive: Archive) -> ArchiveWriter {
        ArchiveWriter { archive, tails: HashMap::new() }
    }

    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Whether the next generation had better be written whole: there is no segment, or the newest one is full of changes.
    ///
    /// # Errors
    /// What the file system says.
    pub fn wants_whole(&mut self, domain: &Arc<str>) -> io::Result<bool> {
        Ok(match self.tail(domain)? {
            None => true,
            Some(tail) => {
                let (base, changes) = (tail.base_end, tail.end - tail.base_end);
                let long = tail.generations >= GENERATIONS_KEPT && changes * CHANGES_SHARE >= base;
                long || tail.generations >= SEGMENT_GENERATIONS_MAX
                    || changes > (base * 2).max(CHANGES_BYTES_FREE)
            }
        })
    }

    /// Appends what a generation changed to the newest segment.
    ///
    /// # Errors
    /// What the file system says, `NotFound` where there is no segment; nothing of it stands then, unless the disk refuses even to cut.
    pub fn append(&mut self, info: &GenerationInfo, changes: &FileChanges) -> io::Result<Appended> {
        let Some(before) = self.tail(&info.domain)? else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "a domain without a whole generation"));
        };
        let bytes = segment::encoded(info, changes.iter().map(|(path, text)| (&**path, text.as_deref())))?;
        let paths = segment::paths(&self.archive.folder(&info.domain), before.base);
        let appended = Appended { domain: info.domain.clone(), before: Some(before), paths };
        let written = appended.paths.iter().try_for_each(|path| append_to(path, before.end, &bytes));
        if let Err(error) = written {
            self.take_back(&appended);
            return Err(error);
        }
        let end = before.end + bytes.len() as u64;
        self.tails.insert(info.domain.clone(), Tail { generations: before.generations + 1, end, ..before });
        Ok(appended)
    }

    /// Begins a segment with a whole generation.
    ///
    /// # Errors
    /// What the file system says; nothing of it stands then.
    pub fn begin(&mut self, info: &GenerationInfo, files: &Files) -> io::Result<Appended> {
        let folder = self.archive.folder(&info.domain);
        make_folder(&self.archive.directory)?;
        make_folder(&folder)?;
        let bytes = segment::encoded(info, files.0.iter().map(|(path, text)| (&**path, Some(&**text))))?;
        let paths = segment::paths(&folder, info.generation);
        let appended = Appended { domain: info.domain.clone(), before: None, paths };
        let written = appended.paths.iter().try_for_each(|path| {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
            file.write_all(&MAGIC)?;
            file.write_all(&bytes)?;
            file.sync_all()
        });
        if let Err(error) = written.and_then(|()| frame::sync_directory(&folder)) {
            self.take_back(&appended);
            return Err(error);
        }
        let end = (MAGIC_LEN + bytes.len()) as u64;
        let tail = Tail { base: info.generation, generations: 1, base_end: end, end };
        self.tails.insert(info.domain.clone(), tail);
        Ok(appended)
    }

    /// The edit failed further on: nothing of it may be found at the next start. Best effort; what is left beyond the head is cut then.
    pub fn take_back(&mut self, appended: &Appended) {
        for path in &appended.paths {
            let cut = match appended.before {
                Some(tail) => OpenOptions::new().write(true).open(path).and_then(|file| {
                    file.set_len(tail.end)?;
                    file.sync_data()
                }),
                None => std::fs::remove_file(path),
            };
            if let Err(error) = cut {
                tracing::error!(%error, path = %path.display(), "a refused generation can't be taken back");
            }
        }
        // Read again from the files before the next one.
        self.tails.remove(&appended.domain);
    }

    /// Forgets what lies there of a domain that has no head: a first generation that was never acknowledged.
    ///
    /// # Errors
    /// What the file system says.
    pub fn clear(&mut self, domain: &Arc<str>) -> io::Result<()> {
        self.tails.remove(domain);
        match std::fs::remove_dir_all(self.archive.folder(domain)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Drops segments that hold only generations that need not be kept.
    ///
    /// # Errors
    /// What the file system says; too many do no harm.
    pub fn prune(&self, domain: &str) -> io::Result<()> {
        let folder = self.archive.folder(domain);
        let (mut generations, mut bytes) = (0, 0);
        let segments = segments(&folder)?;
        // The one that is written to stays, and need not be read.
        if segments.len() < 2 {
            return Ok(());
        }
        for base in segments.into_iter().rev() {
            if generations >= GENERATIONS_KEPT || bytes > HISTORY_BYTES_MAX {
                for path in segment::paths(&folder, base) {
                    match std::fs::remove_file(path) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                }
                continue;
            }
            let segment = Segment::open(&folder, base)?;
            generations += segment.entries().len();
            bytes += segment.len();
        }
        Ok(())
    }

    fn tail(&mut self, domain: &Arc<str>) -> io::Result<Option<Tail>> {
        if let Some(tail) = self.tails.get(domain) {
            return Ok(Some(*tail));
        }
        let folder = self.archive.folder(domain);
        let Some(base) = segments(&folder)?.pop() else { return Ok(None) };
        let entries = Segment::open(&folder, base)?.entries();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(None) };
        let tail = Tail { base, generations: entries.len(), base_end: first.end, end: last.end };
        self.tails.insert(domain.clone(), tail);
        Ok(Some(tail))
    }
}

fn append_to(path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(bytes, at)?;
    file.sync_data()
}

/// A folder that only the daemon can read, if it is not there yet.
///
/// # Errors
/// What the file system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().mode(0o700).create(path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
