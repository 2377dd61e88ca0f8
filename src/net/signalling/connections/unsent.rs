//! What waits to be sent on one connection.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};

/// Room for so many messages is kept.
const QUEUE_KEPT: usize = 4;

/// Bytes in order. As a [`Write`] it takes everything at once.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    queue: VecDeque<Bytes>,
    bytes: usize,
}

impl Unsent {
    pub(super) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.queue.push_back(bytes);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sends as much as the socket takes.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn flush_to(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while let Some(front) = self.queue.front_mut() {
            match socket.write(front) {
                Ok(written) => {
                    self.bytes = self.bytes.saturating_sub(written);
                    front.advance(written.min(front.len()));
                    if front.is_empty() {
                        self.queue.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // A connection that idles keeps no room for a burst.
        if self.queue.capacity() > QUEUE_KEPT {
            self.queue = VecDeque::new();
        }
        Ok(())
    }
}

impl Write for Unsent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
