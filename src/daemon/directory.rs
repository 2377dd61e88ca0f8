//! Rule directories as maps of files: which domains a directory holds, and the text of one. What is read is the TOML and what it
//! reads as text (`lists/*.txt`, `*.ics`); secrets and audio stay where they are.

use crate::rules::diagnostic::Files;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of one domain; one more is refused, so that a mistaken directory (`/`) is an error and not an hour of reading.
pub const FILES_MAX: usize = 250_000;
/// Bytes of one file.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
/// Bytes of one domain's files together: also what an `apply` may carry.
pub const DOMAIN_BYTES_MAX: u64 = 512 << 20;
/// Directories inside directories.
pub const DEPTH_MAX: usize = 8;

/// Why a directory can't be taken as rules.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("{dir} does not exist")]
    Missing { dir: String },
    #[error("{dir} is not a directory")]
    NotDirectory { dir: String },
    #[error("{dir} holds no domain: there is no domain.toml in it, nor in a directory directly below it")]
    NoDomain { dir: String },
    #[error("{path} can't be read: {why}")]
    Read { path: String, why: String },
    #[error("{path} has {bytes} bytes, more than {FILE_BYTES_MAX}")]
    FileTooLarge { path: String, bytes: u64 },
    #[error(
        "{dir} has more than {FILES_MAX} files, {DOMAIN_BYTES_MAX} bytes or {DEPTH_MAX} levels of directories: is it the right one?"
    )]
    TooMuch { dir: String },
    #[error("{path} is not UTF-8 text")]
    NotText { path: String },
    #[error("{path} can't be written: {why}")]
    Write { path: String, why: String },
}

/// The directories of the domains that `dir` holds: itself if it has a `domain.toml`, else each child that has one, by name.
///
/// # Errors
/// There is none, or the directory can't be read.
pub fn domains(dir: &Path) -> Result<Vec<PathBuf>, DirectoryError> {
    let shown = || dir.display().to_string();
    match std::fs::metadata(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(DirectoryError::Missing { dir: shown() });
        }
        Err(e) => return Err(DirectoryError::Read { path: shown(), why: e.to_string() }),
        Ok(m) if !m.is_dir() => return Err(DirectoryError::NotDirectory { dir: shown() }),
        Ok(_) => {}
    }
    if dir.join("domain.toml").is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let mut found = Vec::new();
    for path in entries(dir)? {
        if path.join("domain.toml").is_file() {
            found.push(path);
        }
    }
    if found.is_empty() { Err(DirectoryError::NoDomain { dir: shown() }) } else { Ok(found) }
}

/// The files of one domain, by path relative to `dir`. Hidden entries are passed over, symbolic links to directories not followed.
///
/// # Errors
/// Something can't be read, is not text, or is more than the limits allow.
pub fn read(dir: &Path) -> Result<Files, DirectoryError> {
    let mut reading = Reading { root: dir, files: BTreeMap::new(), bytes: 0 };
    reading.descend(dir, 0)?;
    Ok(Files(reading.files))
}

struct Reading<'a> {
    root: &'a Path,
    files: BTreeMap<Arc<str>, Arc<str>>,
    bytes: u64,
}

impl Reading<'_> {
    fn descend(&mut self, dir: &Path, depth: usize) -> Result<(), DirectoryError> {
        let too_much = || DirectoryError::TooMuch { dir: self.root.display().to_string() };
        if depth > DEPTH_MAX {
            return Err(too_much());
        }
        for path in entries(dir)? {
            let unreadable = |e: std::io::Error| DirectoryError::Read {
                path: path.display().to_string(),
                why: e.to_string(),
            };
            if std::fs::symlink_metadata(&path).map_err(unreadable)?.is_dir() {
                self.descend(&path, depth + 1)?;
            } else if is_rules_text(path.strip_prefix(self.root).unwrap_or(&path)) {
                self.add(&path)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> Result<(), DirectoryError> {
        let shown = || path.display().to_string();
        let unreadable = |e: std::io::Error| DirectoryError::Read { path: shown(), why: e.to_string() };
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(DirectoryError::FileTooLarge { path: shown(), bytes });
        }
        let text = String::from_utf8(std::fs::read(path).map_err(unreadable)?)
            .map_err(|_| DirectoryError::NotText { path: shown() })?;
        self.bytes += bytes;
        if self.files.len() >= FILES_MAX || self.bytes > DOMAIN_BYTES_MAX {
            return Err(DirectoryError::TooMuch { dir: self.root.display().to_string() });
        }
        let name = path
            .strip_prefix(self.root)
            .unwrap_or(path)
            .to_str()
            .ok_or(DirectoryError::NotText { path: shown() })?;
        self.files.insert(name.into(), text.into());
        Ok(())
    }
}

/// Writes one file of rules: whole or not at all, whatever happens meanwhile. Directories on the way are made.
///
/// # Errors
/// The name leads out of `dir`, or the disk refuses; then the file is as it was.
pub fn write(dir: &Path, name: &str, text: &str) -> Result<(), DirectoryError> {
    let path = dir.join(name);
    let failed = |why: String| DirectoryError::Write { path: path.display().to_string(), why };
    if !Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_))) {
        return Err(failed("it is no place in the directory".into()));
    }
    let parent = path.parent().unwrap_or(dir);
    let said = |e: std::io::Error| failed(e.to_string());
    std::fs::create_dir_all(parent).map_err(said)?;
    // Beside the file, and hidden, so that nobody takes it for rules.
    let file = path.file_name().and_then(|n| n.to_str()).unwrap_or("rules");
    let beside = parent.join(format!(".{file}.{}", std::process::id()));
    let written = std::fs::File::create(&beside).and_then(|mut new| {
        std::io::Write::write_all(&mut new, text.as_bytes())?;
        if let Ok(old) = std::fs::metadata(&path) {
            new.set_permissions(old.permissions())?;
        }
        new.sync_all()?;
        std::fs::rename(&beside, &path)
    });
    written.map_err(|e| {
        // Nothing is lost when it stays: it is hidden.
        let _ = std::fs::remove_file(&beside);
        said(e)
    })
}

/// The domain that the files say they are, from their `[domain] name`, even where the rest of them is broken.
#[must_use]
pub fn domain_name(files: &Files) -> Option<Arc<str>> {
    files.0.values().find_map(|text| {
        let table = toml::de::DeTable::parse(text).ok()?;
        let name = table.get_ref().get("domain")?.get_ref().get("name")?.get_ref().as_str()?;
        Some(name.into())
    })
}

/// What of a directory is rules: `*.toml` and `*.ics` anywhere, `*.txt` under `lists/`.
#[must_use]
pub fn is_rules_text(relative: &Path) -> bool {
    match relative.extension().and_then(|e| e.to_str()) {
        Some("toml" | "ics") => true,
        Some("txt") => relative.starts_with("lists"),
        _ => false,
    }
}

/// What stands in a directory, sorted, without what is hidden.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, DirectoryError> {
    let unreadable =
        |e: std::io::Error| DirectoryError::Read { path: dir.display().to_string(), why: e.to_string() };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
        if paths.len() > FILES_MAX {
            return Err(DirectoryError::TooMuch { dir: dir.display().to_string() });
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, path: &str, text: &[u8]) {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn only_text_of_the_rules_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "domain.toml",
            "users/101.toml",
            "lists/spam.txt",
            "closed.ics",
            "README.txt",
            ".git/x.toml",
            "secrets/101a",
        ] {
            write(dir.path(), path, b"x");
        }
        let names: Vec<_> = read(dir.path()).unwrap().0.into_keys().collect();
        assert_eq!(
            names.iter().map(|n| &**n).collect::<Vec<_>>(),
            ["closed.ics", "domain.toml", "lists/spam.txt", "users/101.toml"]
        );
    }

    #[test]
    fn a_directory_is_one_domain_or_holds_one_a_child() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(domains(dir.path()), Err(DirectoryError::NoDomain { .. })));
        write(dir.path(), "b/domain.toml", b"");
        write(dir.path(), "a/domain.toml", b"");
        write(dir.path(), "docs/x.toml", b"");
        assert_eq!(domains(dir.path()).unwrap(), [dir.path().join("a"), dir.path().join("b")]);
        assert_eq!(domains(&dir.path().join("a")).unwrap(), [dir.path().join("a")]);
        assert!(matches!(domains(&dir.path().join("c")), Err(DirectoryError::Missing { .. })));
        assert!(matches!(domains(&dir.path().join("docs/x.toml")), Err(DirectoryError::NotDirectory { .. })));
    }

    #[test]
    fn a_file_is_replaced_whole_and_only_inside() {
        let dir = tempfile::tempdir().unwrap();
        super::write(dir.path(), "users/a.toml", "one").unwrap();
        super::write(dir.path(), "users/a.toml", "two").unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("users/a.toml")).unwrap(), "two");
        assert_eq!(
            std::fs::read_dir(dir.path().join("users")).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        for name in ["../a.toml", "/tmp/a.toml", "users/../../a.toml"] {
            assert!(super::write(dir.path(), name, "x").is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_not_text_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "domain.toml", &[0xff, 0xfe]);
        let said = read(dir.path()).unwrap_err().to_string();
        assert!(said.contains("domain.toml is not UTF-8"), "{said}");
    }
}
