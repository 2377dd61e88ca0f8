//! The port pairs that are open and free: taken from the front, given back at the back, so that the one released
//! longest ago is used next (no fixed time of rest). O(1); empty means 503.
//!
//! What it is not: it opens no sockets and doesn't know which pairs are in use; the caller gives back what it took, once,
//! after `Report::Closed`.

use super::PortPair;
use std::collections::VecDeque;

/// Free port pairs in the order of their release. Never holds more than the configured range has.
#[derive(Debug, Default)]
pub struct Pool {
    free: VecDeque<PortPair>,
}

impl Pool {
    #[must_use]
    pub fn new() -> Pool {
        Pool::default()
    }

    /// Puts pairs that were just opened at the back.
    pub fn add(&mut self, pairs: impl IntoIterator<Item = PortPair>) {
        self.free.extend(pairs);
    }

    /// The pair that was released longest ago; `None` when all are in use.
    pub fn take(&mut self) -> Option<PortPair> {
        self.free.pop_front()
    }

    /// Puts a released pair at the back.
    pub fn give(&mut self, pair: PortPair) {
        self.free.push_back(pair);
    }

    /// How many pairs are free.
    #[must_use]
    pub fn len(&self) -> usize {
        self.free.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.free.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};

    fn pair(port: u16) -> PortPair {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        PortPair { rtp: at(port), rtcp: at(port + 1) }
    }

    #[test]
    fn the_pair_released_longest_ago_is_taken_next() {
        let mut pool = Pool::new();
        pool.add([pair(4000), pair(4002), pair(4004)]);
        let first = pool.take().unwrap();
        let second = pool.take().unwrap();
        pool.give(second);
        pool.give(first);
        let order: Vec<u16> = std::iter::from_fn(|| pool.take()).map(|pair| pair.rtp.port()).collect();
        assert_eq!(order, [4004, 4002, 4000]);
    }

    #[test]
    fn an_empty_pool_gives_nothing() {
        let mut pool = Pool::new();
        assert!(pool.is_empty() && pool.take().is_none());
        pool.add([pair(4000)]);
        assert_eq!(pool.len(), 1);
        assert!(pool.take().is_some() && pool.take().is_none());
    }
}
