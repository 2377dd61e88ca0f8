//! The journal: every edit since the newest snapshot, synced before the database sees it.
//!
//! Snapshot and journal together say exactly which rules and statuses were acknowledged, whatever becomes of the database.
//! Append-only but for two moments: it is emptied when a snapshot holds all of it, and an edit that then failed is cut off again.

use super::frame::{self, FrameError, Frames, MAGIC_LEN};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; MAGIC_LEN] = *b"RTJRNL1\n";

/// One edit: the value that a key got, sealed, or its removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    pub edit: u64,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// What a journal holds. `torn`: where its readable part ends, if something stands behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalContent {
    pub entries: Vec<JournalEntry>,
    pub torn: Option<String>,
    len: usize,
}

/// The file, open for appending.
pub struct Journal {
    file: File,
    len: u64,
}

#[must_use]
pub fn path(directory: &Path) -> PathBuf {
    directory.join("edits.journal")
}

/// Reads as far as it can be read: the torn frame of an append that a crash cut short is no error.
///
/// # Errors
/// What the file system says. A missing file is an empty journal.
pub fn read(directory: &Path) -> io::Result<JournalContent> {
    match std::fs::read(path(directory)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(JournalContent::default()),
        read => Ok(parse(&read?)),
    }
}

fn parse(bytes: &[u8]) -> JournalContent {
    let mut content = JournalContent::default();
    if bytes.is_empty() {
        return content; // cut short as it was created
    }
    let mut frames = match Frames::new(bytes, MAGIC) {
        Ok(frames) => frames,
        Err(error) => return JournalContent { torn: Some(error.to_string()), ..content },
    };
    content.len = frames.position();
    while let Some(frame) = frames.next() {
        match frame
            .map_err(|e: FrameError| e.to_string())
            .and_then(|payload| postcard::from_bytes::<JournalEntry>(payload).map_err(|e| e.to_string()))
        {
            Ok(entry) => content.entries.push(entry),
            Err(why) => {
                content.torn = Some(why);
                return content;
            }
        }
        content.len = frames.position();
    }
    content
}

impl Journal {
    /// Opens it to go on behind what was read; what stands there torn is cut off.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(directory: &Path, content: &JournalContent) -> io::Result<Journal> {
        let path = path(directory);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let mut journal = Journal { file, len: content.len as u64 };
        if journal.len < MAGIC_LEN as u64 {
            journal.file.set_len(0)?;
            journal.file.seek(SeekFrom::Start(0))?;
            journal.file.write_all(&MAGIC)?;
            journal.len = MAGIC_LEN as u64;
        }
        journal.cut(journal.len)?;
        frame::sync_directory(directory)?;
        Ok(journal)
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.sync_all()
    }

    /// Where it ends: what [`Journal::take_back`] returns to.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.len
    }

    /// Appends and syncs. On an error nothing of it stands, unless the disk refuses even to cut.
    ///
    /// # Errors
    /// What the file system says.
    pub fn append(&mut self, entries: &[JournalEntry]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for entry in entries {
            frame::write_frame(&mut bytes, &postcard::to_stdvec(entry).map_err(io::Error::other)?)?;
        }
        let before = self.len;
        let appended = self
            .file
            .seek(SeekFrom::Start(before))
            .and_then(|_| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data());
        match appended {
            Ok(()) => {
                self.len = before + bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.take_back(before);
                Err(error)
            }
        }
    }

    /// Cuts off what was appended after `len`, because the edit failed further on. Best effort: where even this fails, the edit
    /// was refused and yet may stand after a restart, whole.
    pub fn take_back(&mut self, len: u64) {
        match self.cut(len) {
            Ok(()) => self.len = len,
            Err(error) => tracing::error!(%error, "a refused edit can't be taken out of the journal"),
        }
    }

    /// Empties it: a snapshot holds all of it.
    ///
    /// # Errors
    /// What the file system says. What is left is older than the snapshot and is passed over at open.
    pub fn reset(&mut self) -> io::Result<()> {
        self.cut(MAGIC_LEN as u64)?;
        self.len = MAGIC_LEN as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Vec<JournalEntry>> {
        prop::collection::vec(
            (any::<u64>(), any::<Vec<u8>>(), any::<Option<Vec<u8>>>())
                .prop_map(|(edit, key, value)| JournalEntry { edit, key, value }),
            0..6,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn edits_are_read_back_and_a_torn_tail_is_cut(all in entries(), more in entries(), garbage in prop::collection::vec(any::<u8>(), 1..20)) {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = Journal::open(dir.path(), &read(dir.path()).unwrap()).unwrap();
            for entry in &all { journal.append(std::slice::from_ref(entry)).unwrap(); }
            drop(journal);
            OpenOptions::new().append(true).open(path(dir.path())).unwrap().write_all(&garbage).unwrap();
            let content = read(dir.path()).unwrap();
            prop_assert_eq!(&content.entries, &all);
            prop_assert!(content.torn.is_some());
            let mut journal = Journal::open(dir.path(), &content).unwrap();
            journal.append(&more).unwrap();
            let content = read(dir.path()).unwrap();
            prop_assert_eq!(content.torn, None);
            prop_assert_eq!(content.entries, [all, more].concat());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut file = MAGIC.to_vec();
            file.extend(&bytes);
            for content in [parse(&bytes), parse(&file)] {
                prop_assert!(content.len <= file.len());
            }
        }
    }

    #[test]
    fn an_edit_taken_back_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |edit| JournalEntry { edit, key: b"sx".to_vec(), value: None };
        let mut journal = Journal::open(dir.path(), &JournalContent::default()).unwrap();
        journal.append(&[entry(1)]).unwrap();
        let before = journal.end();
        journal.append(&[entry(2)]).unwrap();
        journal.take_back(before);
        journal.append(&[entry(3)]).unwrap();
        assert_eq!(read(dir.path()).unwrap().entries, [entry(1), entry(3)]);
    }
}
