//! sled, and nothing else names it: open, get, insert, scan, sync, each guarded against what version 0.34.7 is known to do.
//!
//! - `flush()` is not an fsync: [`Engine::sync`] adds `sync_data` on a descriptor of our own.
//! - A left-over `snap.*.generating` makes open fail: it is removed first.
//! - Damage makes it panic, in our threads or in its own: every call is run where a panic is caught; after the first one the database
//!   is leaked rather than dropped, because its drop waits for threads that may be gone.
//! - Batches, transactions and subscribers are not offered here, so nobody can use them.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Once, PoisonError, RwLock};
use std::time::Duration;

use super::frame;

/// sled writes in the background at this pace; we sync every commit ourselves.
const FLUSH_EVERY_MS: u64 = 500;
/// Its page cache. Rules, statuses and bindings are read at start and records now and then: no need for its default of 1 GiB.
const CACHE_BYTES: u64 = 64 << 20;
/// A database that takes longer than this to open hangs: sled waits for a thread of its own that panicked.
const OPEN_PATIENCE: Duration = Duration::from_secs(60);
/// The same for closing. Everything is durable by then, so a stop of the daemon need not wait for sled.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// A lock of this process's own that a database dropped a moment ago has not yet given back is waited for, in these steps.
const LOCK_STEP: Duration = Duration::from_millis(20);
const LOCK_STEPS: u32 = 150;

/// Why the engine could not.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("it is locked")]
    Locked,
    /// The file system refuses: nothing to do with what the files hold.
    #[error("{0}")]
    Io(io::Error),
    /// What the files hold makes no sense.
    #[error("{0}")]
    Damaged(String),
    /// Whole, but written by another version of ringtree.
    #[error("{0}")]
    Version(String),
}

fn engine_error(error: sled::Error) -> EngineError {
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => EngineError::Locked,
        sled::Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::StorageFull
                    | io::ErrorKind::FileTooLarge
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            EngineError::Io(error)
        }
        error => EngineError::Damaged(error.to_string()),
    }
}

thread_local! {
    /// A panic of this thread is caught and reported as an error, so it need not be printed.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic inside of a guarded call or in one of sled's own threads goes to the log instead of standard error.
/// Everybody else's panics go where they went before.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            let theirs = thread.name().is_some_and(|n| n.starts_with("sled-io-") || n == "log flusher");
            if theirs || GUARDED.with(Cell::get) {
                tracing::warn!(at = ?info.location().map(ToString::to_string), "sled panicked");
            } else {
                before(info);
            }
        }));
    });
}

fn guarded<T>(call: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    let outer = GUARDED.with(|guarded| guarded.replace(true));
    let outcome = catch_unwind(AssertUnwindSafe(call));
    GUARDED.with(|guarded| guarded.set(outer));
    outcome.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        let line = text.lines().next().unwrap_or_default();
        Err(EngineError::Damaged(format!("sled panicked: {line}")))
    })
}

/// Runs `call` in a thread of its own and gives up on it after `patience`.
fn patiently<T: Send + 'static>(
    name: &str,
    patience: Duration,
    call: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let (done, outcome) = sync_channel(1);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || done.send(guarded(call)))
        .map_err(EngineError::Io)?;
    outcome
        .recv_timeout(patience)
        .unwrap_or_else(|_| Err(EngineError::Damaged(format!("sled hangs for {} s", patience.as_secs()))))
}

/// One open database.
pub struct Engine {
    /// Taken out when it is closed.
    db: RwLock<Option<sled::Db>>,
    path: PathBuf,
    data: File,
    panicked: AtomicBool,
}

/// Removes what a kill while opening leaves behind and what would make the next open fail. Gives the names.
///
/// # Errors
/// What the file system says. A directory that isn't there holds nothing.
pub fn remove_generating(path: &Path) -> io::Result<Vec<String>> {
    let folder = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folder => folder?,
    };
    let mut removed = Vec::new();
    for file in folder {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(file.path())?;
            removed.push(name);
        }
    }
    Ok(removed)
}

impl Engine {
    /// Opens the database in `path`, creating it where there is none. [`remove_generating`] comes first.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] for whatever sled makes of damaged files: an error, a panic, a hang.
    pub fn open(path: &Path) -> Result<Engine, EngineError> {
        quiet_panics();
        std::fs::create_dir_all(path).map_err(EngineError::Io)?;
        frame::restrict(path, 0o700).map_err(EngineError::Io)?;
        let config = sled::Config::new()
            .path(path)
            .flush_every_ms(Some(FLUSH_EVERY_MS))
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::LowSpace);
        let db = patiently("store open", OPEN_PATIENCE, move || {
            let mut steps = 0;
            loop {
                match config.open().map_err(engine_error) {
                    Err(EngineError::Locked) if steps < LOCK_STEPS => {
                        steps += 1;
                        std::thread::park_timeout(LOCK_STEP);
                    }
                    opened => return opened,
                }
            }
        })?;
        for file in std::fs::read_dir(path).map_err(EngineError::Io)?.flatten() {
            let mode = if file.path().is_dir() { 0o700 } else { 0o600 };
            frame::restrict(&file.path(), mode).map_err(EngineError::Io)?;
        }
        let data = File::open(path.join("db")).map_err(EngineError::Io)?;
        Ok(Engine {
            db: RwLock::new(Some(db)),
            path: path.to_owned(),
            data,
            panicked: AtomicBool::new(false),
        })
    }

    fn call<T>(&self, call: impl FnOnce(&sled::Db) -> Result<T, EngineError>) -> Result<T, EngineError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let Some(db) = db.as_ref() else {
            return Err(EngineError::Damaged("it is closed".to_owned()));
        };
        let mut returned = false;
        let outcome = guarded(|| {
            let outcome = call(db);
            returned = true;
            outcome
        });
        if !returned {
            self.panicked.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// # Errors
    /// [`EngineError`], as with all of these.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.call(|db| Ok(db.get(key).map_err(engine_error)?.map(|value| value.to_vec())))
    }

    /// Plain inserts and removals, one after the other.
    ///
    /// # Errors
    /// At the first that fails; those before it stand.
    pub fn insert(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        self.call(|db| {
            match value {
                Some(value) => db.insert(key, value),
                None => db.remove(key),
            }
            .map(|_| ())
            .map_err(engine_error)
        })
    }

    /// Every entry whose key begins with `prefix`, in order, or `backwards`, until `each` breaks.
    ///
    /// # Errors
    /// At the first entry that can't be read.
    pub fn scan(
        &self,
        prefix: &[u8],
        backwards: bool,
        mut each: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        self.call(|db| {
            let mut entries = db.scan_prefix(prefix);
            while let Some(entry) = if backwards { entries.next_back() } else { entries.next() } {
                let (key, value) = entry.map_err(engine_error)?;
                if each(&key, &value).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Makes everything inserted so far durable. `large`: something big was inserted, which sled keeps in files of its own that it
    /// does not sync.
    ///
    /// # Errors
    /// Whatever it is, nothing may be written any more: a later flush may well say `Ok` over a hole.
    pub fn sync(&self, large: bool) -> Result<(), EngineError> {
        self.call(|db| db.flush().map(|_| ()).map_err(engine_error))?;
        if large {
            let blobs = self.path.join("blobs");
            for blob in std::fs::read_dir(&blobs).map_err(EngineError::Io)? {
                let blob = blob.map_err(EngineError::Io)?;
                match File::open(blob.path()).and_then(|f| f.sync_data()) {
                    // sled removes a blob when the page moves on.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(EngineError::Io(error));
                    }
                    _ => {}
                }
            }
            frame::sync_directory(&blobs).map_err(EngineError::Io)?;
        }
        self.data.sync_data().map_err(EngineError::Io)
    }

    /// Closes it and gives the lock back; calls after this fail. After a panic, or if it hangs, it is leaked instead.
    pub fn close(&self) {
        let db = self.db.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(db) = db else { return };
        if self.panicked.load(Ordering::Relaxed) {
            tracing::warn!(path = %self.path.display(), "a database that panicked is left open, not closed");
            std::mem::forget(db);
        } else if let Err(error) = patiently("store close", CLOSE_PATIENCE, move || {
            drop(db);
            Ok(())
        }) {
            tracing::warn!(path = %self.path.display(), %error, "a database could not be closed");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}
