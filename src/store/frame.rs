//! Frames: the shape of every file that is ours (manifest, journal, snapshots), and how such a file is replaced.
//!
//! A file is eight bytes of magic and then frames: length (u32, little endian), CRC-32 of the payload, payload. A reader gets back
//! exactly what was written or an error that says where it broke; it never allocates by a length that it has not checked.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The longest payload. A value beyond this is refused when it is written.
pub const FRAME_LEN_MAX: usize = 1 << 30;
/// Length and checksum.
pub const FRAME_HEADER_LEN: usize = 8;
/// Every file of ours begins with this many bytes of magic.
pub const MAGIC_LEN: usize = 8;

/// Where and how a file of frames broke. Offsets are bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("it does not begin as such a file does")]
    Magic,
    #[error("it ends inside the frame at byte {0}")]
    Torn(usize),
    #[error("the checksum of the frame at byte {0} does not match")]
    Checksum(usize),
}

/// Appends one frame.
///
/// # Errors
/// What the writer gives; `InvalidInput` for a payload longer than [`FRAME_LEN_MAX`].
pub fn write_frame(out: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    let len = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= FRAME_LEN_MAX);
    let Some(len) = len else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a frame longer than FRAME_LEN_MAX"));
    };
    out.write_all(&len.to_le_bytes())?;
    out.write_all(&crc32fast::hash(payload).to_le_bytes())?;
    out.write_all(payload)
}

/// Reads the frames of one file in order. After the first error it ends.
pub struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
    broken: bool,
}

impl<'a> Frames<'a> {
    /// # Errors
    /// [`FrameError::Magic`] where the file does not begin with `magic`.
    pub fn new(bytes: &'a [u8], magic: [u8; MAGIC_LEN]) -> Result<Frames<'a>, FrameError> {
        if !bytes.starts_with(&magic) {
            return Err(FrameError::Magic);
        }
        Ok(Frames { bytes, at: MAGIC_LEN, broken: false })
    }

    /// How far the frames read so far reach: an append goes here once the rest is cut off.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken || self.at >= self.bytes.len() {
            return None;
        }
        let frame = payload(self.bytes, self.at, FRAME_LEN_MAX);
        match &frame {
            Ok(payload) => self.at += FRAME_HEADER_LEN + payload.len(),
            Err(_) => self.broken = true,
        }
        Some(frame)
    }
}

/// The payload of the frame that begins at byte `at`; one that says it is longer than `most` counts as torn.
///
/// # Errors
/// How it is broken.
pub fn payload(bytes: &[u8], at: usize, most: usize) -> Result<&[u8], FrameError> {
    let torn = FrameError::Torn(at);
    let (len, rest) = bytes.get(at..).and_then(|b| b.split_first_chunk::<4>()).ok_or(torn)?;
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or(torn)?;
    let len = u32::from_le_bytes(*len) as usize;
    let payload = rest.get(..len).filter(|_| len <= most).ok_or(torn)?;
    if crc32fast::hash(payload) != u32::from_le_bytes(*crc) {
        return Err(FrameError::Checksum(at));
    }
    Ok(payload)
}

/// The payload of the frame that begins at byte `at` of a file of `len` bytes.
///
/// # Errors
/// What the file system says; `InvalidData` for a frame that is torn or whose checksum does not match.
pub fn read_at(file: &File, len: u64, at: u64) -> io::Result<Vec<u8>> {
    let (crc, range) = header_at(file, len, at)?;
    // Proved to lie inside of the file, so no wrong length makes this allocate what is not there.
    let mut payload = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
    file.read_exact_at(&mut payload, range.start)?;
    if crc32fast::hash(&payload) != crc {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        return Err(io::Error::new(io::ErrorKind::InvalidData, FrameError::Checksum(at)));
    }
    Ok(payload)
}

/// Where the frame that begins at byte `at` ends. Its payload is not read.
///
/// # Errors
/// As [`read_at`].
pub fn end_at(file: &File, len: u64, at: u64) -> io::Result<u64> {
    header_at(file, len, at).map(|(_, range)| range.end)
}

fn header_at(file: &File, len: u64, at: u64) -> io::Result<(u32, std::ops::Range<u64>)> {
    let torn = || {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        io::Error::new(io::ErrorKind::InvalidData, FrameError::Torn(at))
    };
    let start = at.checked_add(FRAME_HEADER_LEN as u64).filter(|start| *start <= len).ok_or_else(torn)?;
    let mut header = [0; FRAME_HEADER_LEN];
    file.read_exact_at(&mut header, at)?;
    let [a, b, c, d, crc @ ..] = header;
    let end = start + u64::from(u32::from_le_bytes([a, b, c, d]));
    if end > len {
        return Err(torn());
    }
    Ok((u32::from_le_bytes(crc), start..end))
}

/// Replaces `path` by what `write` writes, or leaves it as it was: temporary file, fsync, rename, fsync of the directory. Mode 0600.
///
/// # Errors
/// What the file system says; the temporary file is removed.
pub fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let written = (|| {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&temporary, path)
    })();
    if let Err(error) = written {
        // Best effort: what is left over is overwritten by the next one anyway.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes names in a directory durable.
///
/// # Errors
/// What the file system says.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Owner only.
///
/// # Errors
/// What the file system says.
pub fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAGIC: [u8; MAGIC_LEN] = *b"RTTEST1\n";

    fn written(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for payload in payloads {
            write_frame(&mut bytes, payload).unwrap();
        }
        bytes
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(payloads: Vec<Vec<u8>>) {
            let bytes = written(&payloads);
            let read: Result<Vec<_>, _> = Frames::new(&bytes, MAGIC).unwrap().map(|f| f.map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(read.unwrap(), payloads);
        }

        #[test]
        fn a_cut_file_gives_its_whole_frames_and_then_an_error(payloads: Vec<Vec<u8>>, cut: prop::sample::Index) {
            let bytes = written(&payloads);
            let cut = MAGIC_LEN + cut.index(bytes.len() - MAGIC_LEN + 1);
            let mut frames = Frames::new(&bytes[..cut], MAGIC).unwrap();
            let mut whole = 0;
            let mut torn = None;
            for frame in frames.by_ref() {
                match frame {
                    Ok(payload) => { prop_assert_eq!(payload, &payloads[whole][..]); whole += 1; }
                    Err(error) => torn = Some(error),
                }
            }
            let at = written(&payloads[..whole]).len();
            prop_assert_eq!(frames.position(), at);
            prop_assert_eq!(torn, (at < cut).then_some(FrameError::Torn(at)));
        }

        #[test]
        fn a_flipped_bit_is_never_read_as_data(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..5), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = written(&payloads);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            match Frames::new(&bytes, MAGIC) {
                Err(error) => prop_assert_eq!(error, FrameError::Magic),
                Ok(frames) => {
                    let read: Vec<_> = frames.collect();
                    prop_assert!(read.iter().any(Result::is_err));
                    for (frame, payload) in read.iter().zip(&payloads) {
                        if let Ok(frame) = frame { prop_assert_eq!(*frame, &payload[..]); }
                    }
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut file = MAGIC.to_vec();
            file.extend(bytes);
            let frames = Frames::new(&file, MAGIC).unwrap();
            prop_assert!(frames.count() <= file.len());
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest");
        replace_file(&path, |out| out.write_all(b"old")).unwrap();
        assert!(
            replace_file(&path, |out| {
                out.write_all(b"half")?;
                Err(io::Error::other("the disk is full"))
            })
            .is_err()
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
