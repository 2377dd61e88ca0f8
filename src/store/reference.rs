//! The reference: what snapshot and journal say that rules and statuses are, exactly as acknowledged.
//!
//! Read at open, to hold the database against; and by reads once writing has failed, since sled then can't read what it failed to
//! write, and shows what was refused.

use super::journal::{self, JournalContent};
use super::report::OpenEvent;
use super::snapshot::{self, SnapshotHeader};
use super::value::{self, Entry, Kind};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

#[derive(Debug, Default)]
pub struct Reference {
    /// The last edit in it.
    pub edit: u64,
    pub generation: u64,
    /// Heads and statuses, sealed.
    pub facts: BTreeMap<Vec<u8>, Vec<u8>>,
    /// As old as the snapshot.
    pub bindings: Vec<Entry>,
    /// What it was put together from, for people.
    pub from: String,
}

/// What was read, and what could not be.
#[derive(Debug, Default)]
pub struct Read {
    /// `None` where there never was an edit, or none can be read.
    pub reference: Option<Reference>,
    pub journal: JournalContent,
    pub events: Vec<OpenEvent>,
}

/// Puts the newest readable snapshot and the journal together.
///
/// # Errors
/// What the file system says. Damage is no error but an event.
pub fn read(directory: &Path) -> io::Result<Read> {
    let (snapshot, unreadable) = snapshot::newest(directory)?;
    let mut events: Vec<OpenEvent> =
        unreadable.into_iter().map(|(path, why)| OpenEvent::SnapshotUnreadable { path, why }).collect();
    let journal = journal::read(directory)?;
    events.extend(journal.torn.iter().cloned().map(OpenEvent::JournalTorn));

    let mut reference = Reference::default();
    if let Some(snapshot) = snapshot {
        let SnapshotHeader { edit, generation, taken } = snapshot.header;
        reference = Reference { edit, generation, from: format!("the snapshot of {taken}"), ..reference };
        for (key, value) in snapshot.entries {
            match Kind::of(&key) {
                Some(Kind::Binding) => reference.bindings.push((key, value)),
                _ => drop(reference.facts.insert(key, value)),
            }
        }
    }
    carry_on(&mut reference, &journal);
    Ok(Read { reference: (reference.edit > 0).then_some(reference), journal, events })
}

/// Does the journal's edits from where the snapshot ends.
fn carry_on(reference: &mut Reference, journal: &JournalContent) {
    let snapshot_edit = reference.edit;
    for entry in journal.entries.iter().filter(|entry| entry.edit > snapshot_edit) {
        // Behind a gap the journal belongs to a newer snapshot, one that can't be read: what it says is not the whole truth.
        if entry.edit != reference.edit + 1 {
            break;
        }
        if Kind::of(&entry.key) == Some(Kind::Head)
            && let Some(head) = entry.value.as_ref().and_then(|v| value::decode_head(&entry.key, v).ok())
        {
            reference.generation = reference.generation.max(head.generation);
        }
        match &entry.value {
            Some(value) => reference.facts.insert(entry.key.clone(), value.clone()),
            None => reference.facts.remove(&entry.key),
        };
        reference.edit = entry.edit;
    }
    let carried = reference.edit - snapshot_edit;
    if snapshot_edit == 0 {
        reference.from = format!("the journal's {carried} edits");
    } else if carried > 0 {
        reference.from = format!("{} and {carried} edits of the journal", reference.from);
    }
}
