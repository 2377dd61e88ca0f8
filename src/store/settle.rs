//! At open: rules of the version before the archive are moved into it, and the archive is held against the heads.

use super::archive::{Archive, ArchiveWriter, Settled};
use super::engine::EngineError;
use super::ledger::{Change, Ledger};
use super::open::Opening;
use super::report::OpenEvent;
use super::value::{self, Entry, Kind, RulesBeforeArchive};
use super::{GenerationInfo, StoreError};
use std::io;
use std::ops::ControlFlow;

/// Makes heads and archive agree. Says whether heads had to be changed, so that a snapshot is needed.
///
/// # Errors
/// Where the file system refuses. Damage is no error: it is said in the report.
pub fn archive(opening: &mut Opening<'_>, ledger: &mut Ledger) -> Result<bool, StoreError> {
    let archive = Archive::of(opening.directory);
    let mut changes =
        moved(opening, ledger, &archive).map_err(|e| opening.refused("its archive can't be written", e))?;
    let heads = entries(ledger, Kind::Head).map_err(|e| opening.refused("its heads can't be read", e))?;
    for (key, sealed) in heads {
        let head = value::decode_head(&key, &sealed).map_err(|e| opening.refused("a head", e))?;
        changes.extend(settled(opening, &archive, key, &head)?);
    }
    if changes.is_empty() {
        return Ok(false);
    }
    let marks = ledger.marks();
    ledger
        .commit(&changes, marks.edit + 1, marks.generation)
        .map_err(|e| opening.refused("it can't be written", e))?;
    Ok(true)
}

/// One domain; the change that its head needs, if its text is damaged beyond repair.
fn settled(
    opening: &mut Opening<'_>,
    archive: &Archive,
    key: Vec<u8>,
    head: &GenerationInfo,
) -> Result<Option<Change>, StoreError> {
    let domain = head.domain.to_string();
    let kept = match archive.settle(&domain, head.generation) {
        Ok(Settled::Whole) => return Ok(None),
        Ok(Settled::Repaired) => {
            opening.say(OpenEvent::TextRepaired { domain });
            return Ok(None);
        }
        Ok(Settled::Behind(kept)) => kept,
        // What one copy lacks is damaged in the other too.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
        Err(error) => return Err(opening.refused("its archive", error)),
    };
    opening.say(OpenEvent::TextLost {
        domain,
        generation: head.generation,
        kept: kept.as_ref().map(|info| info.generation),
    });
    let value = match &kept {
        Some(info) => Some(value::encode_head(info).map_err(|e| opening.refused("a head", e))?.1),
        None => None,
    };
    Ok(Some(Change { key, value }))
}

/// Rules that lie whole in the database go into the archive, and a head into their place.
fn moved(opening: &mut Opening<'_>, ledger: &Ledger, archive: &Archive) -> io::Result<Vec<Change>> {
    let mut changes = Vec::new();
    let old = entries(ledger, Kind::Rules).map_err(io::Error::other)?;
    let mut writer = ArchiveWriter::new(archive.clone());
    for (key, sealed) in old {
        let rules = value::decode_rules(&key, &sealed).map_err(io::Error::other)?;
        let RulesBeforeArchive { domain, generation, files, origin, applied, .. } = rules;
        let info = GenerationInfo { generation, domain, origin, applied, what: "apply".to_owned() };
        // A crash in the midst of an earlier attempt may have left something.
        writer.clear(&info.domain)?;
        writer.begin(&info, &files)?;
        let (head, sealed) = value::encode_head(&info).map_err(io::Error::other)?;
        changes.push(Change { key: head, value: Some(sealed) });
        changes.push(Change { key, value: None });
    }
    if !changes.is_empty() {
        opening.say(OpenEvent::RulesMoved { domains: changes.len() / 2 });
    }
    Ok(changes)
}

fn entries(ledger: &Ledger, kind: Kind) -> Result<Vec<Entry>, EngineError> {
    let mut entries = Vec::new();
    ledger.engine().scan(&kind.prefix(), false, |key, value| {
        entries.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}
