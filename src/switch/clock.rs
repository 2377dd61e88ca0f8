//! The wall clock was set: by somebody, or by a time server that was reached at last. What lasts for a time lasts as long as was granted,
//! by the clock that never jumps; what ends at a moment of the day ends when the clock shows it.

use super::Switch;
use crate::clock::Now;
use crate::registrar::Binding;
use jiff::SignedDuration;

impl Switch {
    /// It shows so much more than it would.
    pub(super) fn clock_was_set(&mut self, now: Now, step: SignedDuration) {
        let mut changes = Vec::new();
        self.office.location.clock_was_set(step, &mut changes);
        self.changed(changes);
        self.office.statuses.clock_was_set(now);
    }

    /// A registration from before the restart. The clock may have been set back since it was granted, or not have been set yet: it lasts
    /// no longer than what we grant at the most.
    pub(super) fn restore(&mut self, now: Now, binding: Binding) {
        let longest = SignedDuration::from_secs(self.config.expiry.max_s.into());
        let latest = now.wall.saturating_add(longest).unwrap_or(binding.expires);
        let expires = binding.expires.min(latest);
        self.office.location.restore(now, Binding { expires, ..binding });
    }
}
