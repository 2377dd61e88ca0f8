//! The media plane: relay threads of their own, which the signalling plane only opens, points and closes. A packet never
//! visits the signalling thread, and no packet takes a lock or allocates.
//!
//! ```text
//! signalling --Command--> bounded queue + waker --> relay thread --Report--> signalling's input queue
//!                                                      |  ^
//!                                                   epoll, recvfrom, relay::forward, sendto
//!                                                      |  ^
//!                                                Heard |  | Said + waker (one VoicePort a thread)
//!                                                      v  |
//!                                                   voice plane
//! ```
//!
//! A full command queue makes the signalling thread wait for the relay thread, which never waits for the signalling thread:
//! reports that find no room are kept (at most one a relay) and offered again.

pub mod fast;
pub mod handshake;
pub mod ports;
mod thread;
mod voice;

pub use fast::FastPath;
pub use handshake::{Identity, NoIdentity};
pub use ports::{DSCP_EF, DSCP_MAX, Ports, PortsError, Range};
pub use voice::{HEARD_MAX, SAID_MAX, Unsaid, VoicePort};

use super::poll::{Poll, Waker};
use super::tally::Handshakes as Tally;
use crate::relay::{Command, RelayId, Report};
use handshake::{Given, Handshakes, Way};
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;

/// Commands that wait for one relay thread. When it is full, the signalling thread waits.
pub const COMMANDS_MAX: usize = 4096;
/// The most relay threads.
pub const THREADS_MAX: usize = 64;

/// Takes a report, or gives it back when there is no room for it just now. Must not block.
pub type Reporter = Arc<dyn Fn(Report) -> Option<Report> + Send + Sync>;

/// The signalling plane's end of the media plane.
pub struct Plane {
    threads: Vec<Thread>,
    handshakes: Arc<Tally>,
}

struct Thread {
    commands: SyncSender<Command>,
    waker: Waker,
    /// It was given commands since it was last woken.
    told: Cell<bool>,
    /// Until the voice plane takes it.
    voice: Option<VoicePort>,
    thread: Option<JoinHandle<()>>,
}

/// What leads to a relay thread: commands, and what handshakes and other relay threads give. The latter has a queue of its own: whoever holds an
/// end of the queue of commands keeps the thread from ending.
struct Ways {
    commands: SyncSender<Command>,
    waker: Waker,
    given: SyncSender<Given>,
}

/// The relay thread's ends of that.
struct Ends {
    queue: Receiver<Command>,
    poll: Poll,
    waker: Waker,
    given: Receiver<Given>,
}

impl Plane {
    /// Starts `threads` relay threads (1 to [`THREADS_MAX`]), and one for handshakes where we have an identity to show in them. The pairs
    /// that `ports` opened already are reported first. Where there is a fast path, it gets the streams that are established.
    ///
    /// # Errors
    /// The system gives no thread or no file descriptor.
    pub fn start(
        mut ports: Ports,
        threads: usize,
        identity: Option<Identity>,
        fast: Option<&Arc<FastPath>>,
        report: &Reporter,
    ) -> io::Result<Plane> {
        let open = ports.open.clone();
        let at_first = std::mem::take(&mut ports.at_first);
        let mut ports = Some(ports);
        let desks = (0..threads.clamp(1, THREADS_MAX))
            .map(|_| {
                let (commands, queue) = std::sync::mpsc::sync_channel(COMMANDS_MAX);
                let poll = Poll::new()?;
                let waker = Waker::new(&poll, thread::WAKER)?;
                let (given, taken) = std::sync::mpsc::sync_channel(handshake::HANDSHAKES_MAX);
                let ways = Ways { commands, waker: waker.clone(), given };
                Ok((ways, Ends { queue, poll, waker, given: taken }))
            })
            .collect::<io::Result<Vec<_>>>()?;
        let way = |(ways, _): &(Ways, Ends)| Way { given: ways.given.clone(), waker: ways.waker.clone() };
        let ways: Arc<[Way]> = desks.iter().map(way).collect();
        let handshakes = Handshakes::start(identity, ways.clone())?;
        let threads = (0..)
            .zip(desks)
            .map(|(n, (Ways { commands, waker, .. }, ends)): (u32, _)| {
                let (voice, voice_port) = voice::Voice::new(waker.clone());
                let relays = thread::Relays::new(
                    ends,
                    ways.clone(),
                    voice,
                    handshakes.clone(),
                    open.clone(),
                    ports.take(),
                    report.clone(),
                    fast.cloned(),
                );
                let thread =
                    std::thread::Builder::new().name(format!("media-{n}")).spawn(move || relays.run())?;
                Ok(Thread {
                    commands,
                    waker,
                    told: Cell::new(false),
                    voice: Some(voice_port),
                    thread: Some(thread),
                })
            })
            .collect::<io::Result<Vec<Thread>>>()?;
        if report(Report::Opened { pairs: at_first, exhausted: false }).is_some() {
            return Err(io::Error::other("media: nobody takes the first report"));
        }
        Ok(Plane { threads, handshakes: handshakes.tally().clone() })
    }

    /// What is counted of DTLS handshakes.
    #[must_use]
    pub fn handshakes(&self) -> &Arc<Tally> {
        &self.handshakes
    }

    /// The ends of the voice plane, one for each relay thread: each relay belongs to the one of its [`RelayId::thread`]. There are none the second time.
    #[must_use]
    pub fn voice_ports(&mut self) -> Vec<VoicePort> {
        self.threads.iter_mut().filter_map(|thread| thread.voice.take()).collect()
    }

    /// Hands a command to the thread that the relay belongs to; waits while that thread's queue is full.
    ///
    /// # Errors
    /// That thread has ended, which it never does by itself: the media plane is broken.
    pub fn command(&self, command: Command) -> Result<(), Broken> {
        self.queue(command)?;
        self.wake();
        Ok(())
    }

    /// As [`Plane::command`], but the thread may sleep on until [`Plane::wake`]: several commands then cost one wake.
    ///
    /// # Errors
    /// As [`Plane::command`].
    pub fn queue(&self, command: Command) -> Result<(), Broken> {
        // The first thread owns the ports.
        let relay = command.relay().unwrap_or(RelayId(0));
        let thread = self.threads.get(relay.thread(self.threads.len())).ok_or(Broken)?;
        thread.told.set(true);
        match thread.commands.try_send(command) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(command)) => {
                thread.waker.wake();
                thread.commands.send(command).map_err(|_| Broken)
            }
            Err(TrySendError::Disconnected(_)) => Err(Broken),
        }
    }

    /// Wakes the threads that were given commands.
    pub fn wake(&self) {
        for thread in self.threads.iter().filter(|thread| thread.told.take()) {
            thread.waker.wake();
        }
    }
}

/// A relay thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a relay thread has ended")]
pub struct Broken;

impl Drop for Plane {
    /// Ends the threads: the end of a command queue is the order to stop.
    fn drop(&mut self) {
        for Thread { commands, waker, thread, .. } in self.threads.drain(..) {
            drop(commands);
            waker.wake();
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
    }
}
