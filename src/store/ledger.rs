//! The ledger: how a commit is written so that a torn one is told from a damaged one, and how that is found out at open.
//!
//! A commit is a *begin* mark (which keys it touches, and the count and checksum of all the others), plain inserts, a *done* mark (count
//! and checksum of everything), a sync, and then the manifest. Whatever a crash leaves, either both marks agree and everything is
//! counted, or the begin mark is one ahead and everything that it does not name is counted. Anything else is damage.

use super::engine::{Engine, EngineError};
use super::manifest::{KeySets, Manifest, Marks};
use super::value::{self, Kind, ValueError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

const BEGIN: &[u8] = b"mbegin";
const DONE: &[u8] = b"mdone";
/// A commit that inserts more than this may have made sled write files beside its log.
const LARGE: usize = 64 << 10;
/// How many keys one commit may touch: it bounds the begin mark. More are written as several commits.
pub const COMMIT_KEYS_MAX: usize = 4096;

/// What a key becomes; `None` removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Begin {
    commit: u64,
    touched: Vec<Vec<u8>>,
    rest: KeySets,
}

/// Writes commits; owned by the writer.
pub struct Ledger {
    engine: Arc<Engine>,
    manifest: Manifest,
    marks: Marks,
}

impl Ledger {
    /// `marks`: the state of the database as [`inspect`] found it.
    #[must_use]
    pub fn new(engine: Arc<Engine>, manifest: Manifest, marks: Marks) -> Ledger {
        Ledger { engine, manifest, marks }
    }

    #[must_use]
    pub fn marks(&self) -> Marks {
        self.marks
    }

    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Writes `changes` (each key once) and makes them durable. `edit` and `generation`: those that the store is at with them.
    ///
    /// # Errors
    /// [`EngineError`]; nothing may be written after one.
    pub fn commit(&mut self, changes: &[Change], edit: u64, generation: u64) -> Result<(), EngineError> {
        let first = changes.chunks(COMMIT_KEYS_MAX).count().saturating_sub(1);
        for chunk in changes.chunks(COMMIT_KEYS_MAX).take(first) {
            self.commit_chunk(chunk, self.marks.edit, self.marks.generation)?;
        }
        self.commit_chunk(changes.chunks(COMMIT_KEYS_MAX).last().unwrap_or_default(), edit, generation)
    }

    fn commit_chunk(&mut self, changes: &[Change], edit: u64, generation: u64) -> Result<(), EngineError> {
        let mut sets = self.marks.sets;
        for change in changes {
            if sets.of(&change.key).is_some()
                && let Some(old) = self.engine.get(&change.key)?
            {
                sets.remove(&change.key, &old);
            }
        }
        let commit = self.marks.commit + 1;
        let touched = changes.iter().map(|c| c.key.clone()).collect();
        self.mark(BEGIN, &Begin { commit, touched, rest: sets })?;
        let mut size = 0;
        for Change { key, value } in changes {
            self.engine.insert(key, value.as_deref())?;
            if let Some(value) = value {
                sets.add(key, value);
                size += value.len();
            }
        }
        let marks = Marks { commit, edit, generation, sets };
        self.mark(DONE, &marks)?;
        self.engine.sync(size > LARGE)?;
        self.manifest.write(&marks).map_err(EngineError::Io)?;
        self.marks = marks;
        Ok(())
    }

    fn mark(&self, key: &[u8], mark: &impl Serialize) -> Result<(), EngineError> {
        let payload = postcard::to_stdvec(mark).map_err(|e| EngineError::Damaged(e.to_string()))?;
        self.engine.insert(key, Some(&value::seal(key, &payload)))
    }
}

/// What a full scan found in a database that is sound in itself.
#[derive(Debug, Default)]
pub struct Findings {
    /// As of the last whole commit.
    pub done: Marks,
    /// As things are, with what a torn commit left.
    pub marks: Marks,
    /// The last commit was cut short.
    pub torn: bool,
    /// Rules and statuses, sealed.
    pub facts: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the Call-ID index lacks and what it has too much.
    pub index: Vec<Change>,
}

fn read_mark<T: Default + serde::de::DeserializeOwned>(
    engine: &Engine,
    key: &[u8],
) -> Result<T, EngineError> {
    let Some(sealed) = engine.get(key)? else { return Ok(T::default()) };
    let payload = value::unseal(key, &sealed).map_err(|e| broken("a mark", e))?;
    postcard::from_bytes(payload).map_err(|e| EngineError::Damaged(format!("a mark: {e}")))
}

fn broken(what: &str, error: ValueError) -> EngineError {
    match error {
        ValueError::Format(_) => EngineError::Version(format!("{what}: {error}")),
        error => EngineError::Damaged(format!("{what}: {error}")),
    }
}

/// Reads everything: each value against its checksum, all keys against the marks.
///
/// # Errors
/// [`EngineError::Damaged`] says what does not fit; [`EngineError::Version`] where another version of ringtree wrote it.
pub fn inspect(engine: &Engine) -> Result<Findings, EngineError> {
    let begin: Begin = read_mark(engine, BEGIN)?;
    let done: Marks = read_mark(engine, DONE)?;
    let torn = begin.commit != done.commit;
    if torn && begin.commit != done.commit + 1 {
        return Err(EngineError::Damaged(format!("commit {} follows on {}", begin.commit, done.commit)));
    }
    let touched: HashSet<Vec<u8>> = begin.touched.into_iter().collect();
    let mut findings = Findings { done, torn, ..Findings::default() };
    let (mut rest, mut all) = (KeySets::default(), KeySets::default());
    let mut unindexed = BTreeSet::new();
    let mut wrong = None;
    engine.scan(&[], false, |key, value| {
        match entry(key, value, &mut findings, &mut unindexed) {
            Ok(()) => {}
            Err(error) => {
                wrong = Some(error);
                return ControlFlow::Break(());
            }
        }
        all.add(key, value);
        if !touched.contains(key) {
            rest.add(key, value);
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = wrong {
        return Err(error);
    }
    let (counted, said) = if torn { (rest, begin.rest) } else { (all, done.sets) };
    if counted != said {
        return Err(EngineError::Damaged(difference(&counted, &said)));
    }
    findings.marks = Marks { commit: begin.commit, sets: all, ..done };
    // A record's index entry is an empty value, sealed.
    findings
        .index
        .extend(unindexed.into_iter().map(|key| Change { value: Some(value::seal(&key, &[])), key }));
    Ok(findings)
}

/// Judges one entry and notes what is needed of it.
fn entry(
    key: &[u8],
    value: &[u8],
    findings: &mut Findings,
    unindexed: &mut BTreeSet<Vec<u8>>,
) -> Result<(), EngineError> {
    let Some(kind) = Kind::of(key) else {
        return Err(EngineError::Damaged("a key of no kind".to_owned()));
    };
    value::unseal(key, value).map_err(|e| broken(&format!("a value of kind {kind:?}"), e))?;
    match kind {
        Kind::Rules | Kind::Head | Kind::Status => {
            findings.facts.insert(key.to_vec(), value.to_vec());
        }
        Kind::Record => {
            let call_id = value::record_call_id(key, value).map_err(|e| broken("a record", e))?;
            unindexed.insert(value::call_id_key(call_id, key));
        }
        // Records sort before the index, so all of them have been seen.
        Kind::CallId => {
            if !unindexed.remove(key) {
                findings.index.push(Change { key: key.to_vec(), value: None });
            }
        }
        Kind::Binding | Kind::Mark => {}
    }
    Ok(())
}

/// In words, which keys are not as they should be.
#[must_use]
pub fn difference(counted: &KeySets, said: &KeySets) -> String {
    let kinds = [
        ("rules", counted.rules, said.rules),
        ("statuses", counted.statuses, said.statuses),
        ("registrations", counted.bindings, said.bindings),
        ("call records", counted.records, said.records),
    ];
    let wrong: Vec<String> = kinds
        .into_iter()
        .filter(|(_, counted, said)| counted != said)
        .map(|(kind, counted, said)| {
            if counted.count == said.count {
                format!("of {} {kind} some are not those that were written", said.count)
            } else {
                format!("{} {kind} are there and {} were written", counted.count, said.count)
            }
        })
        .collect();
    wrong.join("; ")
}
