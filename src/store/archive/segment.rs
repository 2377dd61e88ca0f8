//! One segment: two equal files of frames, two frames a generation (who and when; what changed), the first generation whole.
//!
//! Reading goes frame by frame and takes each from whichever copy has it whole.

use super::FileChanges;
use crate::store::GenerationInfo;
use crate::store::frame::{self, FRAME_HEADER_LEN, MAGIC_LEN};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(super) const MAGIC: [u8; MAGIC_LEN] = *b"RTRULE1\n";

/// The two copies.
pub(super) fn paths(folder: &Path, base: u64) -> [PathBuf; 2] {
    ["a", "b"].map(|copy| folder.join(format!("{base:020}.{copy}")))
}

/// One generation as it lies in a segment. Offsets are bytes from the beginning of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) info: GenerationInfo,
    body: u64,
    pub(super) end: u64,
}

/// A segment, open for reading.
pub(super) struct Segment {
    /// Each with its length; a copy that is not there or does not begin as such a file does is left out.
    copies: Vec<(File, u64)>,
}

impl Segment {
    /// # Errors
    /// What the file system says, but for copies that are missing.
    pub(super) fn open(folder: &Path, base: u64) -> io::Result<Segment> {
        let mut copies = Vec::new();
        for path in paths(folder, base) {
            copies.extend(open(&path)?);
        }
        Ok(Segment { copies })
    }

    /// One copy alone.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub(super) fn copy(path: &Path) -> io::Result<Segment> {
        Ok(Segment { copies: open(path)?.into_iter().collect() })
    }

    /// The generations up to the first that is not whole. What changed is not read, so it is not proved either.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut at = MAGIC_LEN as u64;
        while let Some(entry) = self.entry(at) {
            // Generations rise; anything else is left from another life of this name.
            if entries.last().is_some_and(|last| last.info.generation >= entry.info.generation) {
                break;
            }
            at = entry.end;
            entries.push(entry);
        }
        entries
    }

    /// The generation that begins at `at`. No checksum covers how long the text of one is said to be, so where the copies don't agree on
    /// that the text decides.
    fn entry(&self, at: u64) -> Option<Entry> {
        let mut said = self.copies.iter().filter_map(|copy| Some((copy, entry(&copy.0, copy.1, at)?)));
        let (copy, first) = said.next()?;
        let Some((other, second)) = said.next().filter(|(_, second)| *second != first) else {
            return Some(first);
        };
        let proves =
            |(file, len): &(File, u64), entry: &Entry| frame::read_at(file, *len, entry.body).is_ok();
        if proves(copy, &first) {
            return Some(first);
        }
        proves(other, &second).then_some(second)
    }

    /// How many of these generations can be read, from the first on: a later one changes what stands before it. Proved by the checksums.
    pub(super) fn readable(&self, entries: &[Entry]) -> usize {
        let whole = |entry: &Entry| {
            self.copies.iter().any(|(file, len)| frame::read_at(file, *len, entry.body).is_ok())
        };
        entries.iter().take_while(|entry| whole(entry)).count()
    }

    /// What a generation changed, from the copy that has it whole.
    ///
    /// # Errors
    /// `InvalidData` where neither has.
    pub(super) fn changes(&self, entry: &Entry) -> io::Result<FileChanges> {
        let mut wrong = "it is not there".to_owned();
        for (file, len) in &self.copies {
            let read = frame::read_at(file, *len, entry.body)
                .and_then(|body| postcard::from_bytes(&body).map_err(io::Error::other));
            match read {
                Ok(changes) => return Ok(changes),
                Err(error) => wrong = error.to_string(),
            }
        }
        let GenerationInfo { generation, domain, .. } = &entry.info;
        let message = format!("generation {generation} of {domain} can't be read from either copy: {wrong}");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }

    /// How long the longest copy is.
    pub(super) fn len(&self) -> u64 {
        self.copies.iter().map(|(_, len)| *len).max().unwrap_or(0)
    }
}

fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut magic = [0; MAGIC_LEN];
    let whole = file.read_exact_at(&mut magic, 0).is_ok() && magic == MAGIC;
    let len = file.metadata()?.len();
    Ok(whole.then_some((file, len)))
}

/// The generation that begins at `at`, if it lies whole inside of the file.
fn entry(file: &File, len: u64, at: u64) -> Option<Entry> {
    let info = frame::read_at(file, len, at).ok()?;
    let body = at + (FRAME_HEADER_LEN + info.len()) as u64;
    let end = frame::end_at(file, len, body).ok()?;
    Some(Entry { info: postcard::from_bytes(&info).ok()?, body, end })
}

/// The bytes of one generation: two frames.
///
/// # Errors
/// `InvalidInput` where the text of all files together is longer than a frame may be.
pub(super) fn encoded<'a>(
    info: &GenerationInfo,
    changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> io::Result<Vec<u8>> {
    let changes: Vec<(&str, Option<&str>)> = changes.into_iter().collect();
    let mut bytes = Vec::new();
    frame::write_frame(&mut bytes, &postcard::to_stdvec(info).map_err(io::Error::other)?)?;
    frame::write_frame(&mut bytes, &postcard::to_stdvec(&changes).map_err(io::Error::other)?)?;
    Ok(bytes)
}
