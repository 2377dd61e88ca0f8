//! [`Store`] on sled. Reads go to the database from any thread; writes go through the queue to the one writer.

use super::archive::{Archive, ArchiveWriter, GENERATIONS_KEPT};
use super::engine::{Engine, EngineError};
use super::open::{self, Opened};
use super::queue::{Edit, Queue};
use super::reference;
use super::report::OpenReport;
use super::spending::{self, Spending};
use super::value::{self, Kind, ValueError};
use super::writer::Writer;
use super::{GenerationInfo, Standing, Store, StoreError, StoredRules, compiled};
use crate::call::budgets::Usage;
use crate::call::record::CallRecord;
use crate::registrar::{Binding, BindingKey};
use crate::rules::Status;
use crate::switch::StatusKey;
use std::collections::VecDeque;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How many call records are kept unless the configuration says otherwise; the oldest beyond that go.
pub const RECORDS_KEPT: u64 = 100_000;

/// The store of the daemon. Dropping it writes what is queued and closes it.
pub struct SledStore {
    directory: PathBuf,
    archive: Archive,
    queue: Arc<Queue>,
    engine: Arc<Engine>,
    writer: Option<JoinHandle<()>>,
    /// Given back last: fields are dropped in order.
    _lock: File,
}

impl SledStore {
    /// Opens the store in the directory `path`, or makes one. The report says what was found and done; log it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process has it; [`StoreError::Open`] where the file system refuses, or another version of
    /// ringtree wrote it. Damage is recovered from and reported.
    pub fn open(path: impl AsRef<Path>) -> Result<(SledStore, OpenReport), StoreError> {
        SledStore::open_keeping(path, RECORDS_KEPT)
    }

    /// As [`SledStore::open`], keeping so many call records.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn open_keeping(
        path: impl AsRef<Path>,
        records_kept: u64,
    ) -> Result<(SledStore, OpenReport), StoreError> {
        let directory = path.as_ref().to_owned();
        let (Opened { engine, ledger, journal, journalled, lock }, report) = open::open(&directory)?;
        let queue = Arc::new(Queue::default());
        let archive = Archive::of(&directory);
        let (spending, trouble) = Spending::open(&directory)
            .map_err(|e| StoreError::Open { path: directory.display().to_string(), why: e.to_string() })?;
        if let Some(trouble) = trouble {
            tracing::error!("{trouble}");
        }
        let writer = Writer {
            directory: directory.clone(),
            ledger,
            archive: ArchiveWriter::new(archive.clone()),
            journal,
            spending,
            journalled,
            records_kept,
            queue: Arc::clone(&queue),
        };
        let writer = std::thread::Builder::new()
            .name("store writer".to_owned())
            .spawn(|| writer.run())
            .map_err(|e| StoreError::Write(e.to_string()))?;
        Ok((SledStore { directory, archive, queue, engine, writer: Some(writer), _lock: lock }, report))
    }

    /// Registrations and call records that were not written because the writer did not keep up or had stopped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    fn edit<T>(&self, edit: impl FnOnce(SyncSender<Result<T, StoreError>>) -> Edit) -> Result<T, StoreError> {
        let (answer, answered) = sync_channel(1);
        self.queue.push_edit(edit(answer))?;
        answered.recv().unwrap_or_else(|_| {
            let why = self.queue.refused().unwrap_or_else(|| "the writer has stopped".to_owned());
            Err(StoreError::Write(why))
        })
    }

    /// So that a read sees what was queued before it. A store that can't be written still reads what it has.
    fn settle(&self) {
        if let Err(error) = self.flush() {
            tracing::debug!(%error, "reading without what is queued");
        }
    }

    /// Heads or statuses: those of the database, or once writing has failed those that were acknowledged.
    fn facts<T>(
        &self,
        kind: Kind,
        decode: impl Fn(&[u8], &[u8]) -> Result<T, ValueError>,
    ) -> Result<Vec<T>, StoreError> {
        if self.queue.refused().is_none() {
            return self.all(kind, decode);
        }
        let read = reference::read(&self.directory).map_err(|e| StoreError::Read(e.to_string()))?;
        let facts = read.reference.unwrap_or_default().facts;
        facts
            .iter()
            .filter(|(key, _)| Kind::of(key) == Some(kind))
            .map(|(key, sealed)| decode(key, sealed))
            .collect::<Result<_, _>>()
            .map_err(|e| StoreError::Read(format!("{kind:?}: {e}")))
    }

    /// The head of a domain, if it has rules.
    fn head(&self, domain: &str) -> Result<Option<GenerationInfo>, StoreError> {
        if self.queue.refused().is_some() {
            let heads = self.facts(Kind::Head, value::decode_head)?;
            return Ok(heads.into_iter().find(|head| &*head.domain == domain));
        }
        let key = value::head_key(domain);
        let sealed = self.engine.get(&key).map_err(unreadable)?;
        sealed
            .map(|sealed| value::decode_head(&key, &sealed))
            .transpose()
            .map_err(|e| StoreError::Read(format!("the rules of {domain}: {e}")))
    }

    /// One generation out of the archive; with what it compiles to, if it is the newest.
    fn stored(&self, domain: &str, generation: u64, newest: u64) -> Result<Option<StoredRules>, StoreError> {
        let read = self.archive.read(domain, generation);
        let Some((info, files)) = read.map_err(|e| StoreError::Read(e.to_string()))? else {
            return Ok(None);
        };
        let compiled = (generation == newest).then(|| compiled::read(&self.directory, domain, generation));
        Ok(Some(StoredRules::new(info, files, Arc::new(compiled.flatten().unwrap_or_default()))))
    }

    fn all<T>(
        &self,
        kind: Kind,
        decode: impl Fn(&[u8], &[u8]) -> Result<T, ValueError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut values = Vec::new();
        let mut wrong = None;
        let read = self.engine.scan(&kind.prefix(), false, |key, sealed| match decode(key, sealed) {
            Ok(value) => {
                values.push(value);
                ControlFlow::Continue(())
            }
            Err(error) => {
                wrong = Some(error);
                ControlFlow::Break(())
            }
        });
        read.map_err(unreadable)?;
        wrong.map_or(Ok(values), |error| Err(StoreError::Read(format!("{kind:?}: {error}"))))
    }

    /// The newest records up to the first that can't be read: what is left once writing has failed in the midst of the newest.
    fn records_before_the_failure(&self, limit: usize) -> Vec<CallRecord> {
        let mut newest = VecDeque::new();
        let read = self.engine.scan(&Kind::Record.prefix(), false, |key, sealed| {
            newest.extend(readable_record(key, sealed));
            if newest.len() > limit {
                newest.pop_front();
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = read {
            tracing::warn!(%error, "the newest call records can't be read until a restart");
        }
        newest.into_iter().rev().collect()
    }
}

fn unreadable(error: EngineError) -> StoreError {
    StoreError::Read(error.to_string())
}

/// A record that this version can't read is passed over and said: it must not hide the others.
fn readable_record(key: &[u8], sealed: &[u8]) -> Option<CallRecord> {
    value::decode_record(key, sealed)
        .inspect_err(|error| tracing::warn!(%error, id = %String::from_utf8_lossy(&key[1..]), "a call record can't be read"))
        .ok()
}

impl Store for SledStore {
    fn standing(&self) -> Standing {
        self.queue.standing()
    }

    fn heads(&self) -> Result<Vec<GenerationInfo>, StoreError> {
        self.facts(Kind::Head, value::decode_head)
    }

    fn compiled(&self, domain: &str, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(compiled::read(&self.directory, domain, generation))
    }

    fn put_compiled(&self, domain: &str, generation: u64, bytes: Arc<Vec<u8>>) -> Result<(), StoreError> {
        self.edit(|answer| Edit::Compiled { domain: domain.into(), generation, bytes, answer })
    }

    fn history(&self, domain: &str, limit: usize) -> Result<Vec<GenerationInfo>, StoreError> {
        let Some(head) = self.head(domain)? else { return Ok(Vec::new()) };
        let history = self.archive.history(domain, head.generation, limit.min(GENERATIONS_KEPT));
        history.map_err(|e| StoreError::Read(format!("the history of {domain}: {e}")))
    }

    fn rules_at(&self, domain: &str, generation: u64) -> Result<Option<StoredRules>, StoreError> {
        match self.head(domain)? {
            Some(head) if generation <= head.generation => self.stored(domain, generation, head.generation),
            _ => Ok(None),
        }
    }

    fn put_rules(&self, rules: StoredRules, expected: Option<u64>) -> Result<u64, StoreError> {
        self.edit(|answer| Edit::Rules { rules: Box::new(rules), expected, answer })
    }

    fn statuses(&self) -> Result<Vec<(StatusKey, Status)>, StoreError> {
        self.facts(Kind::Status, value::decode_status)
    }

    fn put_status(&self, key: &StatusKey, status: Option<&Status>) -> Result<(), StoreError> {
        self.edit(|answer| Edit::Status { key: key.clone(), status: status.cloned(), answer })
    }

    fn bindings(&self) -> Result<Vec<Binding>, StoreError> {
        self.settle();
        self.all(Kind::Binding, value::decode_binding)
    }

    fn put_binding(&self, binding: Binding) {
        self.queue.push_binding(binding.key.clone(), Some(binding));
    }

    fn remove_binding(&self, key: BindingKey) {
        self.queue.push_binding(key, None);
    }

    fn usages(&self) -> Result<Vec<Usage>, StoreError> {
        self.settle();
        spending::read(&self.directory).map_err(|e| StoreError::Read(e.to_string()))
    }

    fn put_usage(&self, usage: Usage) {
        self.queue.push_usage(usage);
    }

    fn put_record(&self, record: Arc<CallRecord>) {
        self.queue.push_record(record);
    }

    fn record(&self, id: &str) -> Result<Option<CallRecord>, StoreError> {
        self.settle();
        let key = value::record_key(id);
        if let Some(sealed) = self.engine.get(&key).map_err(unreadable)? {
            return value::decode_record(&key, &sealed)
                .map(Some)
                .map_err(|e| StoreError::Read(e.to_string()));
        }
        // The newest call of that Call-ID: index entries of one Call-ID lie in the order of time.
        let prefix = value::call_id_prefix(id);
        let mut ids = Vec::new();
        self.engine
            .scan(&prefix, true, |key, _| {
                ids.push(key.get(prefix.len()..).unwrap_or_default().to_vec());
                ControlFlow::Continue(())
            })
            .map_err(unreadable)?;
        for found in ids {
            let key = [&Kind::Record.prefix()[..], &found].concat();
            let sealed = self.engine.get(&key).map_err(unreadable)?;
            let record = sealed.and_then(|sealed| readable_record(&key, &sealed));
            if record.as_ref().is_some_and(|record| record.call_id == id) {
                return Ok(record);
            }
        }
        Ok(None)
    }

    fn records(&self, limit: usize) -> Result<Vec<CallRecord>, StoreError> {
        self.settle();
        let mut records = Vec::new();
        if limit == 0 {
            return Ok(records);
        }
        let read = self.engine.scan(&Kind::Record.prefix(), true, |key, sealed| {
            records.extend(readable_record(key, sealed));
            if records.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match read {
            Err(_) if self.queue.refused().is_some() => Ok(self.records_before_the_failure(limit)),
            read => read.map(|()| records).map_err(unreadable),
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.edit(|answer| Edit::Flush { answer })
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
        self.engine.close();
    }
}
