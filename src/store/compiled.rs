//! What each domain's newest generation compiles to, beside the archive. Derived: one copy, not synced before an edit is acknowledged;
//! whoever finds it missing, damaged or of another generation compiles the text again.

use super::archive;
use super::frame::{self, Frames, MAGIC_LEN};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; MAGIC_LEN] = *b"RTCOMP1\n";

fn path(directory: &Path, domain: &str) -> PathBuf {
    directory.join("compiled").join(archive::folder_name(domain))
}

/// Replaces what is there of the domain.
///
/// # Errors
/// What the file system says.
pub fn write(directory: &Path, domain: &str, generation: u64, bytes: &[u8]) -> io::Result<()> {
    let path = path(directory, domain);
    if let Some(folder) = path.parent() {
        archive::make_folder(folder)?;
    }
    frame::replace_file(&path, |out| {
        out.write_all(&MAGIC)?;
        frame::write_frame(out, &generation.to_le_bytes())?;
        frame::write_frame(out, bytes)
    })
}

/// What this generation compiles to, if it is there and whole.
#[must_use]
pub fn read(directory: &Path, domain: &str, generation: u64) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path(directory, domain)).ok()?;
    let mut frames = Frames::new(&bytes, MAGIC).ok()?;
    let of = frames.next()?.ok()?;
    let compiled = frames.next()?.ok()?;
    (of == generation.to_le_bytes()).then(|| compiled.to_vec())
}
