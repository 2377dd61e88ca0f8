//! What each domain's newest generation compiles to, beside the archive. Derived: one copy, not synced, and under a checksum of its own;
//! whoever finds it missing, damaged or of another generation compiles the text again.

use super::archive;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Behind the bytes stands the generation that they are of.
const TRAILER: usize = 8;

fn path(directory: &Path, domain: &str) -> PathBuf {
    directory.join("compiled").join(archive::folder_name(domain))
}

/// Replaces what is there of the domain.
///
/// # Errors
/// What the file system says.
pub fn write(directory: &Path, domain: &str, generation: u64, bytes: &[u8]) -> io::Result<()> {
    let path = path(directory, domain);
    let folder = directory.join("compiled");
    archive::make_folder(&folder)?;
    // No domain's own name begins so.
    let temporary = folder.join(format!(".{}", archive::folder_name(domain)));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.write_all(&generation.to_le_bytes())?;
    std::fs::rename(&temporary, &path)
}

/// What this generation compiles to, if it is there.
#[must_use]
pub fn read(directory: &Path, domain: &str, generation: u64) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(path(directory, domain)).ok()?;
    let (compiled, of) = bytes.split_last_chunk::<TRAILER>()?;
    let (length, of) = (compiled.len(), u64::from_le_bytes(*of));
    bytes.truncate(length);
    (of == generation).then_some(bytes)
}
