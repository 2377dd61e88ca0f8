//! Waiting for sockets: a level-triggered epoll, and a waker by which another thread ends the wait.
//!
//! Level-triggered on purpose: one packet costs one receive, where an edge-triggered wait would have to receive once more
//! to see that the socket is empty; and what a batch leaves behind is reported again by itself.

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fd::{AsFd, OwnedFd};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use rustix::event::epoll::EventFlags as Interest;

/// Events taken from the kernel in one wait; more stay ready for the next.
const EVENTS_MAX: usize = 512;

/// A socket is ready: the token it was added with, and for what.
pub type Event = (u64, Interest);

/// One epoll instance.
pub struct Poll {
    epoll: OwnedFd,
}

/// What one wait found. Belongs to the thread that waits.
pub struct Events(Vec<epoll::Event>);

impl Default for Events {
    fn default() -> Events {
        Events(Vec::with_capacity(EVENTS_MAX))
    }
}

impl Events {
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.0.iter().map(|event| (event.data.u64(), event.flags))
    }
}

impl Poll {
    /// # Errors
    /// Whatever `epoll_create1` says: no file descriptors left.
    pub fn new() -> io::Result<Poll> {
        Ok(Poll { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Reports `token` whenever the socket is ready for that.
    ///
    /// # Errors
    /// Whatever `epoll_ctl` says.
    pub fn add(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token), interest)?)
    }

    /// Changes what is waited for.
    ///
    /// # Errors
    /// Whatever `epoll_ctl` says.
    pub fn modify(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(token), interest)?)
    }

    /// Waits no longer for it. (A socket that is closed is forgotten by itself.)
    ///
    /// # Errors
    /// Whatever `epoll_ctl` says.
    pub fn delete(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Waits until something is ready, at most that long (`None`: for ever). A signal ends it early, without events.
    ///
    /// # Errors
    /// Whatever `epoll_wait` says; none is expected.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        // Whole milliseconds, rounded up: a timer fires late rather than being waited for twice.
        let timeout = timeout.map(|timeout| {
            let ms = timeout.as_nanos().div_ceil(1_000_000).min(60_000) as i64;
            Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 }
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Ends a [`Poll::wait`] from another thread. Cheap when the thread is awake already.
#[derive(Clone)]
pub struct Waker(Arc<Shared>);

struct Shared {
    eventfd: OwnedFd,
    /// Set by the first wake, cleared by the woken: the wakes between cost no system call.
    pending: AtomicBool,
}

impl Waker {
    /// A waker that reports `token` there.
    ///
    /// # Errors
    /// No file descriptors left.
    pub fn new(poll: &Poll, token: u64) -> io::Result<Waker> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        poll.add(&eventfd, token, Interest::IN)?;
        Ok(Waker(Arc::new(Shared { eventfd, pending: AtomicBool::new(false) })))
    }

    /// What was put into a queue before this call is seen by the thread that waits.
    pub fn wake(&self) {
        if !self.0.pending.swap(true, Ordering::AcqRel) {
            // It can fail only when the counter is full: then the thread is woken anyhow.
            let _ = rustix::io::write(&self.0.eventfd, &1u64.to_ne_bytes());
        }
    }

    /// By the woken thread, before it looks into the queue.
    pub fn clear(&self) {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&self.0.eventfd, &mut count);
        self.0.pending.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_ends_a_wait_once() {
        let poll = Poll::new().unwrap();
        let mut events = Events::default();
        let waker = Waker::new(&poll, 7).unwrap();
        let from_afar = waker.clone();
        let thread = std::thread::spawn(move || {
            from_afar.wake();
            from_afar.wake();
        });
        poll.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().map(|event| event.0).collect::<Vec<_>>(), [7]);
        thread.join().unwrap();
        waker.clear();
        poll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(events.iter().count(), 0);
        waker.wake();
        poll.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().count(), 1);
    }
}
