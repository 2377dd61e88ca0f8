//! Opening: lock, read what the store ought to hold, scan what it holds, judge, and repair or recover.

use super::StoreError;
use super::engine::{self, Engine, EngineError};
use super::frame;
use super::journal::Journal;
use super::ledger::{self, Change, Findings, Ledger};
use super::manifest::{Manifest, Marks};
use super::recover::{self, Recovery};
use super::reference::{self, Read, Reference};
use super::report::{OpenEvent, OpenReport};
use super::settle;
use super::snapshot::{self, SnapshotHeader};
use super::value::Kind;
use rustix::fs::FlockOperation;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A lock is waited for this long: a process that ends gives it back a moment later, and so does a child of it that was forked and has not
/// become another program yet.
const LOCK_STEP: Duration = Duration::from_millis(20);
const LOCK_STEPS: u32 = 25;

/// An open store, ready for its writer.
pub struct Opened {
    pub engine: Arc<Engine>,
    pub ledger: Ledger,
    pub journal: Journal,
    /// Edits in the journal.
    pub journalled: u64,
    /// Held as long as the store is open.
    pub lock: File,
}

/// One directory being opened.
pub struct Opening<'a> {
    pub directory: &'a Path,
    pub report: OpenReport,
}

impl Opening<'_> {
    /// The clear error for what the file system said about `path`.
    pub fn refused(&self, what: &str, error: impl std::fmt::Display) -> StoreError {
        StoreError::Open { path: self.directory.display().to_string(), why: format!("{what}: {error}") }
    }

    pub fn say(&mut self, event: OpenEvent) {
        self.report.events.push(event);
    }

    fn directory(&self) -> Result<(), StoreError> {
        if self.directory.exists() && !self.directory.is_dir() {
            return Err(self.refused("it", "is not a directory"));
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.directory)
            .and_then(|()| frame::restrict(self.directory, 0o700))
            .map_err(|e| self.refused("the directory", e))
    }

    fn lock(&self) -> Result<File, StoreError> {
        let path = self.directory.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|e| self.refused("its lock", e))?;
        for _ in 0..LOCK_STEPS {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::park_timeout(LOCK_STEP),
                Err(error) => return Err(self.refused("its lock", error)),
            }
        }
        Err(StoreError::Locked(self.directory.display().to_string()))
    }

    fn manifest(&mut self) -> Result<Option<Marks>, StoreError> {
        match Manifest::new(self.directory).read() {
            Ok(marks) => Ok(marks),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.say(OpenEvent::ManifestUnreadable(error.to_string()));
                Ok(None)
            }
            Err(error) => Err(self.refused("its manifest", error)),
        }
    }

    fn reference(&mut self) -> Result<Read, StoreError> {
        let read =
            reference::read(self.directory).map_err(|e| self.refused("its snapshots or journal", e))?;
        self.report.events.extend(read.events.iter().cloned());
        Ok(read)
    }
}

/// What has to be written so that a sound database is as it should be.
#[derive(Debug, Default)]
struct Verdict {
    changes: Vec<Change>,
    /// Snapshot and journal don't hold all that the database holds.
    snapshot_needed: bool,
    edit: u64,
    generation: u64,
}

/// Opens the store in `directory`, creating it where there is none.
///
/// # Errors
/// [`StoreError::Locked`], [`StoreError::Open`]. Damage is no error: it is recovered from and reported.
pub fn open(directory: &Path) -> Result<(Opened, OpenReport), StoreError> {
    let mut opening = Opening { directory, report: OpenReport::default() };
    opening.directory()?;
    let lock = opening.lock()?;
    let manifest = opening.manifest()?;
    let Read { reference, journal, .. } = opening.reference()?;
    let path = recover::settle_directories(&mut opening)?;
    opening.report.created = manifest.is_none() && reference.is_none() && !path.exists();

    let (engine, marks, verdict) = match scan(&mut opening, &path, manifest.as_ref(), reference.as_ref()) {
        Ok((engine, findings, verdict)) => (engine, findings.marks, verdict),
        Err((engine, EngineError::Damaged(why))) => {
            let recovery = Recovery { damaged: path, why, engine, manifest, reference };
            let (engine, findings) = recovery.run(&mut opening)?;
            let Findings { marks, index: changes, .. } = findings;
            let (edit, generation) = (marks.edit, marks.generation);
            (engine, marks, Verdict { changes, snapshot_needed: true, edit, generation })
        }
        Err((_, EngineError::Locked)) => return Err(StoreError::Locked(directory.display().to_string())),
        Err((_, EngineError::Io(error))) => return Err(opening.refused("its database", error)),
        Err((_, EngineError::Version(why))) => {
            return Err(opening.refused("another version of ringtree wrote it", why));
        }
    };

    let mut ledger = Ledger::new(Arc::clone(&engine), Manifest::new(directory), marks);
    // Always one commit: it closes a torn one, makes an empty store known as such, and brings the manifest up to date.
    ledger
        .commit(&verdict.changes, verdict.edit, verdict.generation)
        .map_err(|e| opening.refused("it can't be written", e))?;
    let settled = settle::archive(&mut opening, &mut ledger)?;
    let mut journalled = journal.entries.len() as u64;
    let mut journal =
        Journal::open(directory, &journal).map_err(|e| opening.refused("its journal can't be written", e))?;
    if verdict.snapshot_needed || settled {
        snapshot_of(&ledger, directory).map_err(|e| opening.refused("its snapshot can't be written", e))?;
        journal.reset().map_err(|e| opening.refused("its journal can't be written", e))?;
        journalled = 0;
    }

    let sets = ledger.marks().sets;
    let report = OpenReport {
        generation: ledger.marks().generation,
        rules: sets.rules.count,
        statuses: sets.statuses.count,
        bindings: sets.bindings.count,
        records: sets.records.count,
        ..opening.report
    };
    Ok((Opened { engine, ledger, journal, journalled, lock }, report))
}

type Scanned = (Arc<Engine>, Findings, Verdict);

/// Opens and reads the database and judges it. With the error comes the engine, if it opened, to salvage from.
fn scan(
    opening: &mut Opening<'_>,
    path: &Path,
    manifest: Option<&Marks>,
    reference: Option<&Reference>,
) -> Result<Scanned, (Option<Arc<Engine>>, EngineError)> {
    for name in engine::remove_generating(path).map_err(|e| (None, EngineError::Io(e)))? {
        opening.say(OpenEvent::RemovedGenerating(name));
    }
    let engine = Engine::open(path).map(Arc::new).map_err(|e| (None, e))?;
    let findings = match ledger::inspect(&engine) {
        Ok(findings) => findings,
        Err(error) => return Err((Some(engine), error)),
    };
    match judge(opening, &findings, manifest, reference) {
        Ok(verdict) => Ok((engine, findings, verdict)),
        Err(why) => Err((Some(engine), EngineError::Damaged(why))),
    }
}

/// Holds what was found against manifest and reference. The error is why it is damaged.
fn judge(
    opening: &mut Opening<'_>,
    findings: &Findings,
    manifest: Option<&Marks>,
    reference: Option<&Reference>,
) -> Result<Verdict, String> {
    let (done, marks) = (&findings.done, &findings.marks);
    match manifest {
        Some(said) if done.commit < said.commit => {
            return Err(format!("it ends at write {} of {}", done.commit, said.commit));
        }
        Some(said) if done.commit == said.commit && done != said => {
            return Err(ledger::difference(&done.sets, &said.sets));
        }
        None if done.commit == 0 && reference.is_some() => return Err("it is empty".to_owned()),
        _ => {}
    }
    if findings.torn {
        opening.say(OpenEvent::TornCommit);
    }
    if !findings.index.is_empty() {
        opening.say(OpenEvent::Reindexed(findings.index.len()));
    }
    let mut verdict = Verdict {
        changes: findings.index.clone(),
        snapshot_needed: false,
        edit: marks.edit,
        generation: marks.generation,
    };
    let Some(reference) = reference else {
        if marks.edit > 0 {
            opening.say(OpenEvent::SnapshotsBehind { edits: marks.edit });
            verdict.snapshot_needed = true;
        }
        return Ok(verdict);
    };
    if reference.edit < marks.edit {
        opening.say(OpenEvent::SnapshotsBehind { edits: marks.edit - reference.edit });
        verdict.snapshot_needed = true;
        return Ok(verdict);
    }
    let differing = differing(&findings.facts, &reference.facts);
    if !differing.is_empty() && reference.edit == marks.edit && !findings.torn {
        return Err(format!("{} rules or statuses are not those that were acknowledged", differing.len()));
    }
    if reference.edit > marks.edit {
        opening.say(OpenEvent::CarriedOver { edits: reference.edit - marks.edit });
    }
    verdict.changes.extend(differing);
    verdict.edit = reference.edit;
    verdict.generation = marks.generation.max(reference.generation);
    Ok(verdict)
}

/// The changes that turn `found` into `wanted`.
fn differing(found: &BTreeMap<Vec<u8>, Vec<u8>>, wanted: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<Change> {
    let missing = wanted.iter().filter(|(key, value)| found.get(*key) != Some(value));
    let surplus = found.keys().filter(|key| !wanted.contains_key(*key));
    missing
        .map(|(key, value)| Change { key: key.clone(), value: Some(value.clone()) })
        .chain(surplus.map(|key| Change { key: key.clone(), value: None }))
        .collect()
}

/// Takes a snapshot of what the database holds.
pub fn snapshot_of(ledger: &Ledger, directory: &Path) -> Result<(), EngineError> {
    let mut entries = Vec::new();
    for kind in [Kind::Rules, Kind::Head, Kind::Status, Kind::Binding] {
        ledger.engine().scan(&kind.prefix(), false, |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })?;
    }
    let Marks { edit, generation, .. } = ledger.marks();
    let header = SnapshotHeader { edit, generation, taken: crate::net::clock::now().wall.to_string() };
    snapshot::write(directory, &header, entries).map(drop).map_err(EngineError::Io)
}
