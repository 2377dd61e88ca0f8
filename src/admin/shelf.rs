//! The workshops of the domains that were edited last: what makes the next edit of one user quick.
//!
//! Bounded by domains, by text and by age: what does not fit is let go of, and the next edit of that domain goes the whole way and sets
//! its workshop up again. A daemon that nobody edits holds none.

use super::findings::Finding;
use crate::rules::diagnostic::Files;
use crate::rules::workshop::Workshop;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// So many domains, those edited last.
const DOMAINS_MAX: usize = 4;
/// Of text, all of them together. What is kept beside it is a few times as much.
const BYTES_MAX: usize = 64 << 20;
/// After the last edit.
const IDLE_MAX: SignedDuration = SignedDuration::from_mins(15);
/// After the last look at the whole: what is said of the years ahead may have changed.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(6);

/// One domain's, with the generation that it is of.
pub(super) struct Kept {
    pub(super) domain: Arc<str>,
    pub(super) generation: u64,
    pub(super) workshop: Workshop<Arc<Finding>>,
    bytes: usize,
    looked: Timestamp,
    used: Timestamp,
}

/// The one used last at the end.
#[derive(Default)]
pub(super) struct Shelf(Vec<Kept>);

fn bytes_of(workshop: &Workshop<Arc<Finding>>) -> usize {
    workshop.files().0.values().map(|text| text.len()).sum()
}

impl Kept {
    /// Set up at this moment.
    pub(super) fn new(
        domain: Arc<str>,
        generation: u64,
        workshop: Workshop<Arc<Finding>>,
        at: Timestamp,
    ) -> Kept {
        Kept { domain, generation, bytes: bytes_of(&workshop), workshop, looked: at, used: at }
    }
}

impl Shelf {
    /// Takes a domain's down, if it is of this generation.
    pub(super) fn take(&mut self, domain: &str, generation: u64, now: Timestamp) -> Option<Kept> {
        self.tidy(now);
        let at = self.0.iter().position(|kept| *kept.domain == *domain)?;
        Some(self.0.remove(at)).filter(|kept| kept.generation == generation)
    }

    /// Puts it back, in place of whatever there is of the domain.
    pub(super) fn put(&mut self, mut kept: Kept, now: Timestamp) {
        self.0.retain(|other| other.domain != kept.domain);
        kept.bytes = bytes_of(&kept.workshop);
        if kept.bytes > BYTES_MAX {
            return;
        }
        self.0.push(Kept { used: now, ..kept });
        let bytes = |shelf: &[Kept]| shelf.iter().map(|kept| kept.bytes).sum::<usize>();
        while self.0.len() > DOMAINS_MAX || bytes(&self.0) > BYTES_MAX {
            self.0.remove(0);
        }
    }

    /// The text of a generation, if it is here.
    pub(super) fn files(&self, domain: &str, generation: u64) -> Option<Arc<Files>> {
        let kept = self.0.iter().find(|kept| *kept.domain == *domain && kept.generation == generation)?;
        Some(kept.workshop.files().clone())
    }

    /// Lets go of what is idle or old.
    pub(super) fn tidy(&mut self, now: Timestamp) {
        self.0.retain(|kept| {
            now.duration_since(kept.used) <= IDLE_MAX && now.duration_since(kept.looked) <= AGE_MAX
        });
    }
}
