//! What users have spent of their budgets, in a file of its own beside the database: one frame a note, the last of an account counts.
//!
//! Not in the database, whose batches carry counts and checksums of what is kept for good: this is of a day, changes with every call,
//! and a note that is lost is made again with the next. Appended and synced by the writer with registrations and records; written anew
//! once most of it says nothing any more. A torn end is cut off, a file that can't be read is set aside: then nobody has spent
//! anything, and the log says so.

use super::frame::{self, Frames, MAGIC_LEN};
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
}

/// What the file of a directory says, each account once. A missing file says nothing.
///
/// # Errors
/// What the file system says, or that it is no such file.
pub fn read(directory: &Path) -> io::Result<Vec<Usage>> {
    let (latest, _) = parse(&bytes(&directory.join(NAME))?)?;
    Ok(latest.into_values().collect())
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// What counts, and where the readable part ends.
fn parse(bytes: &[u8]) -> io::Result<(BTreeMap<AccountKey, Usage>, usize)> {
    let mut latest = BTreeMap::new();
    if bytes.len() < MAGIC_LEN {
        return Ok((latest, 0)); // cut short as it was created
    }
    let mut frames = Frames::new(bytes, MAGIC).map_err(io::Error::other)?;
    let mut end = frames.position();
    while let Some(Ok(payload)) = frames.next() {
        let Ok(usage) = postcard::from_bytes::<Usage>(payload) else { break };
        latest.insert(usage.key.clone(), usage);
        end = frames.position();
    }
    Ok((latest, end))
}

impl Spending {
    /// Opens it to go on behind what can be read. What can't be read at all comes back as a remark, and is set aside.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(directory: &Path) -> io::Result<(Spending, Option<String>)> {
        let path = directory.join(NAME);
        let (latest, end, trouble) = match bytes(&path).and_then(|bytes| parse(&bytes)) {
            Ok((latest, end)) => (latest, end, None),
            Err(why) => {
                let aside = directory.join(format!("{NAME}.damaged"));
                std::fs::rename(&path, &aside)?;
                let trouble = format!(
                    "{} can't be read: {why}; nobody has spent anything of their budgets. It is kept as {}",
                    path.display(),
                    aside.display()
                );
                (BTreeMap::new(), 0, Some(trouble))
            }
        };
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let mut spending = Spending { path, file, len: end as u64, compact: 0, latest };
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
    /// What the file system says.
    pub fn append(&mut self, usages: impl IntoIterator<Item = Usage>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for usage in usages {
            frame::write_frame(&mut bytes, &postcard::to_stdvec(&usage).map_err(io::Error::other)?)?;
            self.latest.insert(usage.key.clone(), usage);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let most = COMPACT_BYTES.max(self.compact.saturating_mul(COMPACT_FACTOR));
        if self.len + bytes.len() as u64 > most {
            return self.write_anew();
        }
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// With what says something as of the newest note.
    fn write_anew(&mut self) -> io::Result<()> {
        let now = self.latest.values().map(|usage| usage.noted).max().unwrap_or(Timestamp::MIN);
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

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let file = [&MAGIC[..], &bytes].concat();
            prop_assert!(parse(&file).unwrap().1 <= file.len());
            let _ = parse(&bytes);
        }
    }
}
