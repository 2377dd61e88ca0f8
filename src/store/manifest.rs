//! The manifest: how many keys of each kind there are, and a checksum of them, kept outside of the database.
//!
//! sled opens a truncated file as if nothing were missing, so what it ought to hold has to be known from elsewhere. The manifest is
//! written after each commit is synced and may lag behind by the commit that a crash cut short; it is never ahead.

use super::frame::{self, Frames};
use super::value::Kind;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; frame::MAGIC_LEN] = *b"RTMANI1\n";

/// A set of keys with their values' checksums: a sum, so that a key is added and taken away without looking at the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    pub count: u64,
    sum: u64,
}

impl KeySet {
    fn item(key: &[u8], value: &[u8]) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update(key);
        // A sealed value begins with its own checksum, which stands for the rest.
        hasher.update(value.get(..4).unwrap_or(value));
        hasher.finalize().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(KeySet::item(key, value));
    }

    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(KeySet::item(key, value));
    }
}

/// The keys of all kinds that are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySets {
    pub rules: KeySet,
    pub statuses: KeySet,
    pub bindings: KeySet,
    pub records: KeySet,
}

impl KeySets {
    /// The set that a key belongs to; `None` for marks and the index, which are not counted.
    pub fn of(&mut self, key: &[u8]) -> Option<&mut KeySet> {
        match Kind::of(key)? {
            Kind::Rules | Kind::Head => Some(&mut self.rules),
            Kind::Status => Some(&mut self.statuses),
            Kind::Binding => Some(&mut self.bindings),
            Kind::Record => Some(&mut self.records),
            Kind::CallId | Kind::Mark => None,
        }
    }

    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        if let Some(set) = self.of(key) {
            set.add(key, value);
        }
    }

    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        if let Some(set) = self.of(key) {
            set.remove(key, value);
        }
    }
}

/// The state of the store after one commit: the last thing that a commit writes to the database, and what the manifest repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Rises by one with every commit.
    pub commit: u64,
    /// Rises by one with every edit (rules or status).
    pub edit: u64,
    /// The newest generation of any domain's rules.
    pub generation: u64,
    pub sets: KeySets,
}

/// The file.
pub struct Manifest {
    path: PathBuf,
}

impl Manifest {
    #[must_use]
    pub fn new(directory: &Path) -> Manifest {
        Manifest { path: directory.join("manifest") }
    }

    /// `None` where there is no file.
    ///
    /// # Errors
    /// `InvalidData` for a file that is damaged, else what the file system says.
    pub fn read(&self) -> io::Result<Option<Marks>> {
        let bytes = match std::fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        parse(&bytes).map(Some).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
    }

    /// # Errors
    /// What the file system says; the manifest is then the one before.
    pub fn write(&self, marks: &Marks) -> io::Result<()> {
        let payload = postcard::to_stdvec(marks).map_err(io::Error::other)?;
        frame::replace_file(&self.path, |out| {
            out.write_all(&MAGIC)?;
            frame::write_frame(out, &payload)
        })
    }
}

fn parse(bytes: &[u8]) -> Result<Marks, String> {
    let mut frames = Frames::new(bytes, MAGIC).map_err(|e| e.to_string())?;
    let payload = frames.next().ok_or("it is empty")?.map_err(|e| e.to_string())?;
    postcard::from_bytes(payload).map_err(|e| e.to_string())
}
