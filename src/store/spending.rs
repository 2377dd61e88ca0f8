//! What users have spent of their budgets, in a file of its own beside the database: one frame a note, the last of an account counts.
//!
//! Not in the database, whose batches carry counts and checksums of what is kept for good: this is of a day, changes with every call,
//! and a note that is lost is made again with the next. Appended and synced by the writer with registrations and records; written anew
//! once most of it says nothing any more. A torn end is cut off; of a damaged stretch before that, what stands behind it is read, and the
//! log says so; a file that is none is set aside: then nobody has spent anything, and the log says so, too. What could not be written is
//! written with what comes next.

use super::frame::{self, FRAME_HEADER_LEN, Frames, MAGIC_LEN};
use crate::call::budgets::{AccountKey, Usage};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; MAGIC_LEN] = *b"RTSPENT1";
const NAME: &str = "spending";
/// A file shorter than this is not worth writing anew.
const COMPACT_BYTES: u64 = 1 << 20;
/// How much longer than what counts of it the file may be.
const COMPACT_FACTOR: u64 = 4;
/// No note is longer: a thousand calls of an hour, and names.
const NOTE_LEN_MAX: usize = 1 << 16;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The file, open for appending, and what counts of it.
#[derive(Debug)]
pub struct Spending {
    path: PathBuf,
    file: File,
    len: u64,
    /// Its length when it was last written anew.
    compact: u64,
    latest: BTreeMap<AccountKey, Usage>,
    /// It does not say all of that: writing has failed.
    stale: bool,
}

/// What a file says.
#[derive(Debug, Default)]
struct Said {
    latest: BTreeMap<AccountKey, Usage>,
    /// Where the readable part ends.
    end: usize,
    /// Bytes before that which can't be read.
    damaged: usize,
}

/// What the file of a directory says, each account once. A missing file says nothing.
///
/// # Errors
/// What the file system says, or that it is no such file.
pub fn read(directory: &Path) -> io::Result<Vec<Usage>> {
    let said = parse(&bytes(&directory.join(NAME))?)?;
    Ok(said.latest.into_values().collect())
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

fn parse(bytes: &[u8]) -> io::Result<Said> {
    let mut said = Said::default();
    if bytes.len() < MAGIC_LEN {
        return Ok(said); // cut short as it was created
    }
    Frames::new(bytes, MAGIC).map_err(io::Error::other)?; // it is such a file
    let mut at = MAGIC_LEN;
    said.end = at;
    // Where a frame is damaged, its length may be, too: the next one is looked for at every byte.
    while at < bytes.len() {
        let Some((usage, len)) = note(bytes, at) else {
            at += 1;
            continue;
        };
        said.damaged += at - said.end;
        said.latest.insert(usage.key.clone(), usage);
        at += len;
        said.end = at;
    }
    Ok(said)
}

/// The note that begins there, and how long its frame is.
fn note(bytes: &[u8], at: usize) -> Option<(Usage, usize)> {
    let payload = frame::payload(bytes, at, NOTE_LEN_MAX).ok()?;
    Some((postcard::from_bytes(payload).ok()?, FRAME_HEADER_LEN + payload.len()))
}

impl Spending {
    /// Opens it to go on behind what can be read. What can't be read at all comes back as a remark, and is set aside.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(directory: &Path) -> io::Result<(Spending, Option<String>)> {
        let path = directory.join(NAME);
        let (said, trouble) = match bytes(&path).and_then(|bytes| parse(&bytes)) {
            Ok(said) if said.damaged > 0 => {
                let trouble = format!(
                    "{} is damaged: of {} bytes in it nothing can be read; what users have spent of their budgets may be more than it says",
                    path.display(),
                    said.damaged
                );
                (said, Some(trouble))
            }
            Ok(said) => (said, None),
            Err(why) => {
                let aside = directory.join(format!("{NAME}.damaged"));
                std::fs::rename(&path, &aside)?;
                let trouble = format!(
                    "{} can't be read: {why}; nobody has spent anything of their budgets. It is kept as {}",
                    path.display(),
                    aside.display()
                );
                (Said::default(), Some(trouble))
            }
        };
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let Said { latest, end, damaged } = said;
        let stale = damaged > 0;
        let mut spending = Spending { path, file, len: end as u64, compact: 0, latest, stale };
        if spending.len < MAGIC_LEN as u64 {
            spending.file.set_len(0)?;
            spending.file.write_all(&MAGIC)?;
            spending.len = MAGIC_LEN as u64;
        }
        spending.file.set_len(spending.len)?;
        frame::sync_directory(directory)?;
        Ok((spending, trouble))
    }

    /// Durable on return.
    ///
    /// # Errors
    /// What the file system says; the next one says all of it.
    pub fn append(&mut self, usages: impl IntoIterator<Item = Usage>) -> io::Result<()> {
        let written = self.write(usages);
        self.stale |= written.is_err();
        written
    }

    /// Whether the last append has failed.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    fn write(&mut self, usages: impl IntoIterator<Item = Usage>) -> io::Result<()> {
        let (mut bytes, mut now) = (Vec::new(), Timestamp::MIN);
        for usage in usages {
            now = now.max(usage.noted);
            frame::write_frame(&mut bytes, &postcard::to_stdvec(&usage).map_err(io::Error::other)?)?;
            self.latest.insert(usage.key.clone(), usage);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let most = COMPACT_BYTES.max(self.compact.saturating_mul(COMPACT_FACTOR));
        if self.stale || self.len + bytes.len() as u64 > most {
            return self.write_anew(now);
        }
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// With what says something at that moment: the one of the notes that have just come. Others may be of a clock that was ahead.
    fn write_anew(&mut self, now: Timestamp) -> io::Result<()> {
        self.latest.retain(|_, usage| counts(usage, now));
        let mut payloads = Vec::new();
        for usage in self.latest.values() {
            payloads.push(postcard::to_stdvec(usage).map_err(io::Error::other)?);
        }
        frame::replace_file(&self.path, |out| {
            out.write_all(&MAGIC)?;
            payloads.iter().try_for_each(|payload| frame::write_frame(out, payload))
        })?;
        self.file = OpenOptions::new().write(true).open(&self.path)?;
        self.len = self.file.metadata()?.len();
        self.compact = self.len;
        self.stale = false;
        Ok(())
    }
}

/// Whether a note still says something at that moment.
fn counts(usage: &Usage, now: Timestamp) -> bool {
    let recent = usage.begun.last().is_some_and(|at| now.duration_since(*at) < HOUR);
    recent || (usage.talked_ms > 0 && now < usage.until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usage(user: &str, talked_ms: u64, at: i64) -> Usage {
        let noted = Timestamp::from_second(at).unwrap();
        Usage {
            key: AccountKey { domain: "d".into(), user: user.into(), class: "world".into() },
            until: Timestamp::from_second(86_400).unwrap(),
            talked_ms,
            begun: vec![noted],
            noted,
        }
    }

    #[test]
    fn the_last_note_of_an_account_is_read_back_whatever_stands_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spending, trouble) = Spending::open(dir.path()).unwrap();
        assert_eq!(trouble, None);
        spending.append([usage("ann", 1, 10), usage("bob", 2, 11)]).unwrap();
        spending.append([usage("ann", 3, 12)]).unwrap();
        drop(spending);
        let path = dir.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"torn"].concat()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), [usage("ann", 3, 12), usage("bob", 2, 11)]);
        let (mut spending, _) = Spending::open(dir.path()).unwrap();
        spending.append([usage("cat", 4, 13)]).unwrap();
        let all = [usage("ann", 3, 12), usage("bob", 2, 11), usage("cat", 4, 13)];
        assert_eq!(read(dir.path()).unwrap(), all);
    }

    #[test]
    fn a_file_of_old_notes_is_written_anew_without_them() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spending, _) = Spending::open(dir.path()).unwrap();
        spending.append([usage("gone", 5, 10)]).unwrap();
        let mut longest = 0;
        for _ in 0..100 {
            spending.append((0..400).map(|note| usage("ann", note, 90_000))).unwrap();
            longest = longest.max(spending.len);
        }
        assert!(longest <= COMPACT_BYTES, "{longest}");
        let kept: Vec<_> = read(dir.path()).unwrap().into_iter().map(|usage| usage.key.user).collect();
        assert_eq!(kept, ["ann".into()]);
        assert!(std::fs::metadata(dir.path().join(NAME)).unwrap().len() < longest);
    }

    #[test]
    fn what_is_no_such_file_is_set_aside_and_said() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), b"something else altogether").unwrap();
        let (mut spending, trouble) = Spending::open(dir.path()).unwrap();
        assert!(trouble.unwrap().contains("spending.damaged"));
        spending.append([usage("ann", 1, 10)]).unwrap();
        assert_eq!(read(dir.path()).unwrap(), [usage("ann", 1, 10)]);
    }

    #[test]
    fn what_stands_behind_a_flipped_bit_is_read_and_the_damage_is_said() {
        for flipped in [0, 3, 5, 20] {
            let dir = tempfile::tempdir().unwrap();
            let (mut spending, _) = Spending::open(dir.path()).unwrap();
            spending.append([usage("ann", 1, 10)]).unwrap();
            spending.append([usage("bob", 2, 11), usage("ann", 3, 12)]).unwrap();
            drop(spending);
            let path = dir.path().join(NAME);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[MAGIC_LEN + flipped] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let both = [usage("ann", 3, 12), usage("bob", 2, 11)];
            assert_eq!(read(dir.path()).unwrap(), both, "byte {flipped} of the first note");
            let (mut spending, trouble) = Spending::open(dir.path()).unwrap();
            assert!(trouble.unwrap().contains("is damaged"));
            spending.append([usage("bob", 5, 13)]).unwrap();
            drop(spending);
            let (_, trouble) = Spending::open(dir.path()).unwrap();
            assert_eq!(trouble, None, "it has been written anew");
            assert_eq!(read(dir.path()).unwrap(), [usage("ann", 3, 12), usage("bob", 5, 13)]);
        }
    }

    #[test]
    fn what_could_not_be_written_is_written_with_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spending, _) = Spending::open(dir.path()).unwrap();
        spending.append([usage("ann", 1, 10)]).unwrap();
        spending.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!(spending.append([usage("bob", 2, 11)]).is_err() && spending.is_stale());
        spending.append([usage("cat", 3, 12)]).unwrap();
        let all = [usage("ann", 1, 10), usage("bob", 2, 11), usage("cat", 3, 12)];
        assert_eq!(read(dir.path()).unwrap(), all);
        assert!(!spending.is_stale());
    }

    #[test]
    fn a_note_of_a_clock_that_was_ahead_makes_nobody_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spending, _) = Spending::open(dir.path()).unwrap();
        spending.append([usage("ann", 1, 10), usage("gone", 1, 1_900_000_000)]).unwrap();
        for _ in 0..100 {
            spending.append((0..400).map(|note| usage("bob", note, 20))).unwrap();
        }
        assert!(spending.compact > 0, "written anew");
        assert!(read(dir.path()).unwrap().contains(&usage("ann", 1, 10)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let file = [&MAGIC[..], &bytes].concat();
            prop_assert!(parse(&file).unwrap().end <= file.len());
            let _ = parse(&bytes);
        }
    }
}
