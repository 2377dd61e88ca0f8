//! The signalling plane: one thread that owns the [`Switch`] and every signalling socket. Nothing is locked; whoever
//! wants something of the switch puts it into the thread's queue.
//!
//! ```text
//! UDP, TCP --> parse --> Switch::handle --> Actions --> UDP, TCP, media plane, Sinks
//! admin, daemon, media plane --> bounded queue + waker --^
//! ```
//!
//! The queue is bounded: a full one makes the asker wait, and never the thread itself or a relay thread.

pub mod connections;
mod machine;
mod pace;
mod sieve;
mod thread;

use crate::call::budgets::Usage;
use crate::clock::Now;
use crate::net::listen::Bound;
use crate::net::media::{self, Ports, Reporter};
use crate::net::poll::{Poll, Waker};
use crate::net::tally::Tally;
use crate::net::tls::Tls;
use crate::net::traffic::Traffic;
use crate::net::voice;
use crate::registrar::Change;
use crate::subscription::notice::Finished;
use crate::switch::{Config, Event, Input, Switch};
use connections::Expected;
use machine::Machine;
use std::io;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use thread::{Edge, WAKER, Work};

/// Inputs and queries that wait for the thread. When it is full, the one who asks waits.
pub const WORK_MAX: usize = 4096;

/// Where the switch's other effects go. Called on the signalling thread: must not block, and must not ask the [`Handle`].
pub trait Sinks {
    /// A change of a registration, to be kept within 250 ms.
    fn binding(&mut self, change: Change);
    /// What a user has spent, to be kept within 250 ms.
    fn spent(&mut self, usage: Usage);
    /// For the event stream and the call records.
    fn event(&mut self, event: Event);
    /// A notice is over: every phone that was told has answered, or never will.
    fn noticed(&mut self, finished: Finished);
    /// The drain is over.
    fn drained(&mut self);
}

/// What the media plane is started with.
pub struct Media {
    pub ports: Ports,
    /// 1 to [`media::THREADS_MAX`].
    pub threads: usize,
    /// Where prompts and recordings lie.
    pub voice: voice::Files,
    /// What DTLS handshakes show; without it there are none.
    pub identity: Option<media::Identity>,
    /// What passes established streams on in the kernel, where that can be.
    pub fast: Option<Arc<media::FastPath>>,
}

/// Starts the plane.
pub struct Plane;

impl Plane {
    /// Starts the media plane and the signalling thread on sockets that are bound already. `first` is what the switch has to
    /// know before the first packet is read: rules, statuses, registrations.
    ///
    /// # Errors
    /// The system gives no thread or no file descriptor.
    pub fn start(
        config: Config,
        seed: [u8; 32],
        first: Vec<Input>,
        bound: Bound,
        media: Media,
        sinks: impl Sinks + Send + 'static,
    ) -> io::Result<Handle> {
        start(move || Switch::new(config, seed), first, bound, media, sinks)
    }
}

/// Starts any machine: the switch, or in tests one that is simpler.
fn start<M: Machine + 'static>(
    machine: impl FnOnce() -> M + Send + 'static,
    first: Vec<Input>,
    bound: Bound,
    media: Media,
    sinks: impl Sinks + Send + 'static,
) -> io::Result<Handle<M>> {
    let poll = Poll::new()?;
    let waker = Waker::new(&poll, WAKER)?;
    let (sender, work) = sync_channel(WORK_MAX);
    let reporter = reporter(sender.clone(), waker.clone());
    let Media { ports, threads, voice: files, identity, fast } = media;
    let mut media = media::Plane::start(ports, threads, identity, fast.as_ref(), &reporter)?;
    let voice_reporter = voice_reporter(sender.clone(), waker.clone());
    let voice = voice::Plane::start(media.voice_ports(), &files, &voice_reporter)?;
    let handshakes = media.handshakes().clone();
    let tally = Arc::new(Tally { voice: voice.tally(), handshakes, fast });
    let traffic = Arc::new(Traffic::default());
    let handle_traffic = traffic.clone();
    let handle_waker = waker.clone();
    // The machine is made in its thread: it need not be able to leave it.
    let thread = std::thread::Builder::new().name("signalling".into()).spawn(move || {
        match Edge::new(machine(), sinks, media, voice, poll, waker, work, bound, traffic) {
            Ok(edge) => edge.run(first),
            Err(error) => tracing::error!(%error, "the signalling thread can't wait for its sockets"),
        }
    })?;
    Ok(Handle {
        work: sender,
        waker: handle_waker,
        traffic: handle_traffic,
        tally,
        thread: Arc::new(Mutex::new(Some(thread))),
    })
}

/// Reports of relay threads, which must not wait.
fn reporter<M: 'static>(work: SyncSender<Work<M>>, waker: Waker) -> Reporter {
    Arc::new(move |report| match work.try_send(Work::Media(report)) {
        Ok(()) => {
            waker.wake();
            None
        }
        Err(TrySendError::Full(Work::Media(report))) => Some(report),
        // Only what was put in comes back; and after the end nobody wants a report.
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
    })
}

/// Reports of voice threads, which must not wait either.
fn voice_reporter<M: 'static>(work: SyncSender<Work<M>>, waker: Waker) -> voice::Reporter {
    Arc::new(move |report| match work.try_send(Work::Voice(report)) {
        Ok(()) => {
            waker.wake();
            None
        }
        Err(TrySendError::Full(Work::Voice(report))) => Some(report),
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None, // as above
    })
}

/// What the rest of the daemon holds of the signalling thread. Cheap to clone.
pub struct Handle<M = Switch> {
    work: SyncSender<Work<M>>,
    waker: Waker,
    traffic: Arc<Traffic>,
    tally: Arc<Tally>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Handle<M> {
        Handle {
            work: self.work.clone(),
            waker: self.waker.clone(),
            traffic: self.traffic.clone(),
            tally: self.tally.clone(),
            thread: self.thread.clone(),
        }
    }
}

impl<M> Handle<M> {
    /// Gives the switch an input, in the order of the calls. Waits while the queue is full.
    pub fn input(&self, input: Input) {
        self.put(Work::Input(Box::new(input)));
    }

    /// Asks the switch something, between two inputs. `None`: the thread has ended. The question runs on the signalling
    /// thread, so it copies what it wants and is quick.
    pub async fn query<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut M, Now) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.put(Work::Query(Box::new(move |machine, now| {
            // Nobody waits any longer: nothing to do.
            let _ = answer.send(question(machine, now));
        })));
        answered.await.ok()
    }

    /// Connections from now on show these certificates and believe these authorities; those that stand go on.
    pub fn certify(&self, tls: Arc<Tls>) {
        self.put(Work::Certificates(tls));
    }

    /// Who has to be at the addresses that are connected to by TLS from now on.
    pub fn expect(&self, expected: Expected) {
        self.put(Work::Expected(expected));
    }

    /// What the edge counted so far.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What the media and voice planes have counted so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Ends the thread and the media plane, and waits for them. What was put in before is still carried out.
    pub fn stop(&self) {
        self.put(Work::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }

    fn put(&self, work: Work<M>) {
        // It fails only when the thread has ended; a question then learns it by its answer.
        if self.work.send(work).is_ok() {
            self.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
