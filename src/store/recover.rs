//! Recovery: a damaged database is moved aside, never deleted, and a new one made from snapshot, journal and whatever can still be read.
//!
//! The database lies in `sled.N`. A new one is built in `sled.N+1.new` and renamed when it is whole; the highest number counts. So a
//! crash at any moment leaves one that is whole, and a damaged database that sled can't let go of in this process keeps writing,
//! if at all, to names that are gone.

use super::archive::Archive;
use super::engine::{Engine, EngineError};
use super::frame;
use super::ledger::{self, Change, Findings, Ledger};
use super::manifest::{Manifest, Marks};
use super::open::Opening;
use super::reference::Reference;
use super::report::OpenEvent;
use super::value::{self, Entry, Kind};
use super::{GenerationInfo, StoreError};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rules and statuses, registrations, records that could still be read: sealed and proved.
#[derive(Default)]
struct Salvage {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A damaged database and what is known about what it held.
pub struct Recovery {
    pub damaged: PathBuf,
    pub why: String,
    /// If it opened at all.
    pub engine: Option<Arc<Engine>>,
    pub manifest: Option<Marks>,
    pub reference: Option<Reference>,
}

fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("sled.")?.parse().ok()
}

/// Finds the database: the highest number. A half-built one is removed (it holds nothing that is not elsewhere); an older one that a
/// crash left behind a recovery is moved aside.
pub fn settle_directories(opening: &mut Opening<'_>) -> Result<PathBuf, StoreError> {
    let mut found = Vec::new();
    let listed = (|| {
        for file in std::fs::read_dir(opening.directory)? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("sled.") && name.ends_with(".new") {
                std::fs::remove_dir_all(&path)?;
            } else if let Some(number) = number(&path) {
                found.push(number);
            }
        }
        Ok::<(), io::Error>(())
    })();
    listed.map_err(|e| opening.refused("its directory", e))?;
    found.sort_unstable();
    let newest = found.pop();
    for older in found {
        let path = opening.directory.join(format!("sled.{older}"));
        move_aside(opening, &path, "a newer one has taken its place".to_owned())?;
    }
    Ok(opening.directory.join(format!("sled.{}", newest.unwrap_or(1))))
}

/// Renames a damaged database to a name with the time in it.
fn move_aside(opening: &mut Opening<'_>, path: &Path, why: String) -> Result<(), StoreError> {
    let stamp = crate::net::clock::now().wall.strftime("%Y%m%dT%H%M%SZ").to_string();
    let to = (1..)
        .map(|n| if n == 1 { format!("damaged-{stamp}") } else { format!("damaged-{stamp}-{n}") })
        .map(|name| opening.directory.join(name))
        .find(|to| !to.exists())
        .unwrap_or_else(|| opening.directory.join("damaged"));
    std::fs::rename(path, &to)
        .and_then(|()| frame::sync_directory(opening.directory))
        .map_err(|e| opening.refused("its damaged database can't be moved aside", e))?;
    opening.say(OpenEvent::MovedAside { to, why });
    Ok(())
}

/// Reads what can be read, from the front until it breaks and from the back until it breaks.
fn salvage(engine: &Engine) -> Salvage {
    let mut salvage = Salvage::default();
    for kind in [Kind::Rules, Kind::Head, Kind::Status, Kind::Binding, Kind::Record] {
        for backwards in [false, true] {
            let read = engine.scan(&kind.prefix(), backwards, |key, sealed| {
                if value::unseal(key, sealed).is_ok() {
                    salvage.entries.insert(key.to_vec(), sealed.to_vec());
                }
                ControlFlow::Continue(())
            });
            if read.is_ok() {
                break;
            }
        }
    }
    salvage
}

impl Recovery {
    /// Makes the new database and gives it open, with what is in it. Its Call-ID index is still to be written.
    pub fn run(self, opening: &mut Opening<'_>) -> Result<(Arc<Engine>, Findings), StoreError> {
        let salvaged = self.engine.as_deref().map(salvage).unwrap_or_default();
        if let Some(engine) = &self.engine {
            engine.close();
        }
        let archived = Archive::of(opening.directory).newest();
        let archived = archived.map_err(|e| opening.refused("its archive can't be read", e))?;
        let entries = self.entries(salvaged, &archived);
        let manifest = self.manifest.unwrap_or_default();
        let known = self.reference.as_ref();
        let marks = Marks {
            commit: manifest.commit,
            edit: manifest.edit.max(known.map_or(0, |r| r.edit)),
            generation: manifest.generation.max(known.map_or(0, |r| r.generation)).max(generation(&entries)),
            ..Marks::default()
        };
        let path =
            self.build(&entries, marks).map_err(|e| opening.refused("it could not be recovered", e))?;
        move_aside(opening, &self.damaged, self.why.clone())?;
        let engine = Arc::new(Engine::open(&path).map_err(|e| opening.refused("its new database", e))?);
        let findings = ledger::inspect(&engine).map_err(|e| opening.refused("its new database", e))?;
        self.account(opening, &findings.marks);
        Ok((engine, findings))
    }

    /// Heads and statuses exactly as acknowledged; where nothing says what they were, those that could be read, and what the archive
    /// ends with. Registrations: the
    /// snapshot's, and over them those that could be read. Records: those that could be read.
    fn entries(&self, salvaged: Salvage, archived: &[GenerationInfo]) -> Vec<Entry> {
        let mut entries: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        if let Some(reference) = &self.reference {
            entries.extend(reference.bindings.iter().cloned());
        }
        entries.extend(salvaged.entries.into_iter().filter(|(key, _)| {
            let fact = matches!(Kind::of(key), Some(Kind::Rules | Kind::Head | Kind::Status));
            !(fact && self.reference.is_some())
        }));
        match &self.reference {
            Some(reference) => entries.extend(reference.facts.clone()),
            None => {
                for head in archived.iter().filter_map(|info| value::encode_head(info).ok()) {
                    entries.entry(head.0).or_insert(head.1);
                }
            }
        }
        entries.into_iter().collect()
    }

    /// Builds the new database under a temporary name and renames it when it is whole.
    fn build(&self, entries: &[Entry], marks: Marks) -> Result<PathBuf, EngineError> {
        let next = number(&self.damaged).unwrap_or(0) + 1;
        let path = self.damaged.with_file_name(format!("sled.{next}"));
        let building = self.damaged.with_file_name(format!("sled.{next}.new"));
        let changes: Vec<Change> = entries
            .iter()
            .map(|(key, value)| Change { key: key.clone(), value: Some(value.clone()) })
            .collect();
        let engine = Arc::new(Engine::open(&building)?);
        // Its manifest is written inside of it, so that the store's own keeps speaking of the damaged one until the change is done.
        let mut ledger = Ledger::new(Arc::clone(&engine), Manifest::new(&building), marks);
        ledger.commit(&changes, marks.edit, marks.generation)?;
        engine.close();
        std::fs::rename(&building, &path).map_err(EngineError::Io)?;
        if let Some(directory) = path.parent() {
            frame::sync_directory(directory).map_err(EngineError::Io)?;
        }
        Ok(path)
    }

    fn account(&self, opening: &mut Opening<'_>, marks: &Marks) {
        let from = self.reference.as_ref().map_or("what could still be read".to_owned(), |r| r.from.clone());
        let sets = marks.sets;
        opening.say(OpenEvent::Recovered {
            from,
            rules: sets.rules.count,
            statuses: sets.statuses.count,
            bindings: sets.bindings.count,
            records: sets.records.count,
        });
        let Some(manifest) = self.manifest else { return };
        let known = self.reference.as_ref().map_or(0, |r| r.edit);
        let lost = OpenEvent::Lost {
            edits: manifest.edit.saturating_sub(known),
            bindings: manifest.sets.bindings.count.saturating_sub(sets.bindings.count),
            records: manifest.sets.records.count.saturating_sub(sets.records.count),
        };
        if lost != (OpenEvent::Lost { edits: 0, bindings: 0, records: 0 }) {
            opening.say(lost);
        }
    }
}

/// The newest generation among these.
fn generation(entries: &[Entry]) -> u64 {
    entries
        .iter()
        .filter_map(|(key, value)| match Kind::of(key)? {
            Kind::Rules => value::decode_rules(key, value).ok().map(|rules| rules.generation),
            Kind::Head => value::decode_head(key, value).ok().map(|head| head.generation),
            _ => None,
        })
        .max()
        .unwrap_or(0)
}
