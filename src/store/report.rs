//! What opening the store found and did, for the start-up log: nothing that was repaired, moved or lost goes unsaid.

use std::fmt;
use std::path::PathBuf;

/// One thing that was not as a clean stop leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenEvent {
    /// What a kill while opening left, and what would have made this open fail.
    RemovedGenerating(String),
    /// The last commit was cut short by a crash; what it left is whole and was marked so.
    TornCommit,
    /// Edits that were in the journal and not yet in the database were carried over.
    CarriedOver {
        edits: u64,
    },
    /// The journal ended in an edit that was never acknowledged, or is damaged; the readable part counts.
    JournalTorn(String),
    /// Snapshot and journal are behind the database, which is sound; a new snapshot was taken.
    SnapshotsBehind {
        edits: u64,
    },
    SnapshotUnreadable {
        path: PathBuf,
        why: String,
    },
    ManifestUnreadable(String),
    /// Entries of the Call-ID index were made good.
    Reindexed(usize),
    /// The database was damaged; it stands here now, whole and untouched.
    MovedAside {
        to: PathBuf,
        why: String,
    },
    /// What the new database was made from.
    Recovered {
        from: String,
        rules: u64,
        statuses: u64,
        bindings: u64,
        records: u64,
    },
    /// One copy of a domain's texts was damaged or torn and was made anew from the other.
    TextRepaired {
        domain: String,
    },
    /// Both copies of the text of an acknowledged generation are damaged.
    TextLost {
        domain: String,
        generation: u64,
        /// The newest that can be read, now in force; `None`: the domain is gone.
        kept: Option<u64>,
    },
    /// Rules that an earlier version wrote were moved into the archive.
    RulesMoved {
        domains: usize,
    },
    /// What could not be recovered. `edits` were acknowledged and are gone.
    Lost {
        edits: u64,
        bindings: u64,
        records: u64,
    },
}

impl OpenEvent {
    /// It has to be looked at by a person.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        match self {
            OpenEvent::RemovedGenerating(_)
            | OpenEvent::TornCommit
            | OpenEvent::CarriedOver { .. }
            | OpenEvent::JournalTorn(_)
            | OpenEvent::SnapshotsBehind { .. }
            | OpenEvent::Reindexed(_)
            | OpenEvent::RulesMoved { .. } => false,
            OpenEvent::SnapshotUnreadable { .. }
            | OpenEvent::ManifestUnreadable(_)
            | OpenEvent::MovedAside { .. }
            | OpenEvent::Recovered { .. }
            | OpenEvent::TextRepaired { .. }
            | OpenEvent::TextLost { .. }
            | OpenEvent::Lost { .. } => true,
        }
    }
}

impl fmt::Display for OpenEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenEvent::RemovedGenerating(name) => {
                write!(f, "removed {name}, left by a start that was cut short")
            }
            OpenEvent::TornCommit => write!(f, "the last write was cut short; what it left is whole"),
            OpenEvent::CarriedOver { edits } => {
                write!(f, "carried {edits} edit(s) over from the journal into the database")
            }
            OpenEvent::JournalTorn(why) => write!(f, "the end of the edit journal was cut off: {why}"),
            OpenEvent::SnapshotsBehind { edits } => {
                write!(
                    f,
                    "snapshots and journal were {edits} edit(s) behind the database; took a new snapshot"
                )
            }
            OpenEvent::SnapshotUnreadable { path, why } => {
                write!(f, "the snapshot {} can't be read: {why}", path.display())
            }
            OpenEvent::ManifestUnreadable(why) => {
                write!(f, "the manifest can't be read ({why}); the database was judged without it")
            }
            OpenEvent::Reindexed(entries) => write!(f, "put {entries} entries of the Call-ID index right"),
            OpenEvent::MovedAside { to, why } => {
                write!(
                    f,
                    "THE DATABASE WAS DAMAGED ({why}); moved it to {}, nothing of it was deleted",
                    to.display()
                )
            }
            OpenEvent::Recovered { from, rules, statuses, bindings, records } => write!(
                f,
                "made a new database from {from}: {rules} rules, {statuses} statuses, {bindings} registrations, \
                 {records} call records"
            ),
            OpenEvent::TextRepaired { domain } => {
                write!(f, "one copy of the rules of {domain} was damaged; made it anew from the other")
            }
            OpenEvent::TextLost { domain, generation, kept: Some(kept) } => write!(
                f,
                "LOST GENERATION {generation} OF {domain}: both copies of its text are damaged; generation {kept} is in force. \
                 What was damaged lies beside it (`.damaged`); apply the rules again"
            ),
            OpenEvent::TextLost { domain, generation, kept: None } => write!(
                f,
                "LOST THE RULES OF {domain} (generation {generation}): nothing of their text can be read; apply them again"
            ),
            OpenEvent::RulesMoved { domains } => {
                write!(
                    f,
                    "moved the rules of {domains} domain(s) into the archive, where generations are kept"
                )
            }
            OpenEvent::Lost { edits: 0, bindings, records } => write!(
                f,
                "could not recover {bindings} registrations (phones register again by themselves) and {records} call \
                 records; every acknowledged edit is there"
            ),
            OpenEvent::Lost { edits, bindings, records } => write!(
                f,
                "LOST {edits} ACKNOWLEDGED EDIT(S), {bindings} registrations and {records} call records: compare the \
                 rules with your files (`ringtree diff DIR`) and apply them again"
            ),
        }
    }
}

/// What `SledStore::open` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// There was no store.
    pub created: bool,
    /// The newest generation of any domain.
    pub generation: u64,
    pub rules: u64,
    pub statuses: u64,
    pub bindings: u64,
    pub records: u64,
    /// In order.
    pub events: Vec<OpenEvent>,
}

impl OpenReport {
    /// Says all of it in the log.
    pub fn log(&self) {
        for event in &self.events {
            if event.is_alarming() {
                tracing::error!("store: {event}");
            } else {
                tracing::warn!("store: {event}");
            }
        }
        tracing::info!(
            created = self.created,
            generation = self.generation,
            rules = self.rules,
            statuses = self.statuses,
            registrations = self.bindings,
            records = self.records,
            "store open"
        );
    }
}
