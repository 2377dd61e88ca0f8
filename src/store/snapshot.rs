//! Snapshots: rules, statuses and bindings of one moment in one file, unmasked. A damaged database is made anew from the newest.
//!
//! One is written at every generation, before the generation is acknowledged; the newest 16 generations are kept. Frames: a header,
//! the entries exactly as they lie in the database, and an end that counts them, so that a cut file is told from a whole one.
//! Call records are not in it: they would make every edit cost what all calls together weigh.

use super::frame::{self, Frames, MAGIC_LEN};
use super::value::{Entry, Kind};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; MAGIC_LEN] = *b"RTSNAP1\n";
/// How many generations are kept; the oldest beyond that are removed.
pub const SNAPSHOTS_KEPT: usize = 16;

/// What a snapshot was taken of. `edit` and `generation` as in the marks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHeader {
    pub edit: u64,
    pub generation: u64,
    /// RFC 3339.
    pub taken: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub header: SnapshotHeader,
    pub entries: Vec<Entry>,
}

/// A snapshot's path, and why it can't be read.
pub type Unreadable = (PathBuf, String);

#[derive(Serialize, Deserialize)]
struct End {
    entries: u64,
}

/// What is kept in a snapshot.
#[must_use]
pub fn holds(key: &[u8]) -> bool {
    matches!(Kind::of(key), Some(Kind::Rules | Kind::Head | Kind::Status | Kind::Binding))
}

fn folder(directory: &Path) -> PathBuf {
    directory.join("snapshots")
}

fn name(header: &SnapshotHeader) -> String {
    format!("{:020}-{:020}.snapshot", header.generation, header.edit)
}

/// Writes one and makes it durable; gives its path.
///
/// # Errors
/// What the file system says; then there is no such snapshot.
pub fn write(
    directory: &Path,
    header: &SnapshotHeader,
    entries: impl IntoIterator<Item = Entry>,
) -> io::Result<PathBuf> {
    let folder = folder(directory);
    if !folder.is_dir() {
        std::fs::create_dir(&folder)?;
        frame::restrict(&folder, 0o700)?;
        frame::sync_directory(directory)?;
    }
    let path = folder.join(name(header));
    frame::replace_file(&path, |out| {
        out.write_all(&MAGIC)?;
        let mut frame =
            |payload: postcard::Result<Vec<u8>>| frame::write_frame(out, &payload.map_err(io::Error::other)?);
        frame(postcard::to_stdvec(header))?;
        let mut count = 0;
        for entry in entries {
            frame(postcard::to_stdvec(&entry))?;
            count += 1;
        }
        frame(postcard::to_stdvec(&End { entries: count }))
    })?;
    Ok(path)
}

/// The snapshots there are, newest first.
///
/// # Errors
/// What the file system says.
pub fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = match std::fs::read_dir(folder(directory)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folder => folder?,
    };
    let mut paths = Vec::new();
    for file in folder {
        let path = file?.path();
        if path.extension().is_some_and(|e| e == "snapshot") {
            paths.push(path);
        }
    }
    // The numbers have a fixed width, so the order of names is that of generations, then edits.
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}

/// Removes what need not be kept: all but the newest of each generation, and the oldest generations.
///
/// # Errors
/// What the file system says; too many snapshots do no harm.
pub fn prune(directory: &Path) -> io::Result<()> {
    let mut generations = HashSet::new();
    for path in list(directory)? {
        let generation = path.file_name().map(|n| n.to_string_lossy().split('-').next().map(str::to_owned));
        if !generations.insert(generation) || generations.len() > SNAPSHOTS_KEPT {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The newest snapshot that can be read, and those newer ones that can't, each with the reason.
///
/// # Errors
/// What the file system says.
pub fn newest(directory: &Path) -> io::Result<(Option<Snapshot>, Vec<Unreadable>)> {
    let mut unreadable = Vec::new();
    for path in list(directory)? {
        match parse(&std::fs::read(&path)?) {
            Ok(snapshot) => return Ok((Some(snapshot), unreadable)),
            Err(why) => unreadable.push((path, why)),
        }
    }
    Ok((None, unreadable))
}

fn parse(bytes: &[u8]) -> Result<Snapshot, String> {
    let payloads: Vec<&[u8]> =
        Frames::new(bytes, MAGIC).and_then(Iterator::collect::<Result<_, _>>).map_err(|e| e.to_string())?;
    let [header, entries @ .., end] = payloads.as_slice() else {
        return Err("it has no end".to_owned());
    };
    let end: End = postcard::from_bytes(end).map_err(|e| e.to_string())?;
    if end.entries != entries.len() as u64 {
        return Err(format!("it holds {} entries and says {}", entries.len(), end.entries));
    }
    Ok(Snapshot {
        header: postcard::from_bytes(header).map_err(|e| e.to_string())?,
        entries: entries
            .iter()
            .map(|entry| postcard::from_bytes(entry))
            .collect::<Result<_, _>>()
            .map_err(|e| e.to_string())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    fn header(generation: u64, edit: u64) -> SnapshotHeader {
        SnapshotHeader { edit, generation, taken: "2026-11-24T10:00:00.000Z".to_owned() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_was_taken_is_read(entries: Vec<(Vec<u8>, Vec<u8>)>, generation: u64, edit: u64) {
            let dir = tempfile::tempdir().unwrap();
            let header = header(generation, edit);
            let path = write(dir.path(), &header, entries.clone()).unwrap();
            prop_assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
            prop_assert_eq!(newest(dir.path()).unwrap(), (Some(Snapshot { header, entries }), vec![]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut file = MAGIC.to_vec();
            file.extend(&bytes);
            prop_assert!(parse(&bytes).is_err());
            let _ = parse(&file);
        }

        #[test]
        fn a_cut_snapshot_is_never_taken_for_a_whole_one(entries in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..5), cut: prop::sample::Index) {
            let dir = tempfile::tempdir().unwrap();
            let path = write(dir.path(), &header(1, 1), entries).unwrap();
            let bytes = std::fs::read(path).unwrap();
            prop_assert!(parse(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn the_newest_sixteen_generations_are_kept_one_snapshot_each() {
        let dir = tempfile::tempdir().unwrap();
        for generation in 1..=20 {
            for edit in 0..3 {
                write(dir.path(), &header(generation, generation * 10 + edit), []).unwrap();
            }
        }
        prune(dir.path()).unwrap();
        let kept = list(dir.path()).unwrap();
        assert_eq!(kept.len(), SNAPSHOTS_KEPT);
        assert!(kept[0].ends_with(name(&header(20, 202))));
        assert!(kept[15].ends_with(name(&header(5, 52))));
    }

    #[test]
    fn a_damaged_snapshot_is_passed_over_and_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &header(1, 1), []).unwrap();
        let newer = write(dir.path(), &header(2, 2), []).unwrap();
        std::fs::write(&newer, b"").unwrap();
        let (snapshot, unreadable) = newest(dir.path()).unwrap();
        assert_eq!(snapshot.unwrap().header, header(1, 1));
        assert_eq!(unreadable[0].0, newer);
    }
}
