//! Which device registered by which flow.

use super::devices::Source;
use rustc_hash::FxHashMap;

/// Who holds a flow, and by how many bindings.
#[derive(Clone, Copy, Debug)]
enum Holder {
    One {
        slot: u32,
        bindings: u32,
    },
    /// More than one device; that lasts until none is left, so that a flow is never given to a device that shared it.
    Several {
        bindings: u32,
    },
}

#[derive(Debug, Default)]
pub(super) struct Flows {
    /// The keys are those of authenticated registrations.
    holders: FxHashMap<Source, Holder>,
}

impl Flows {
    /// The device in `slot` has one more binding that came by this flow.
    pub(super) fn hold(&mut self, source: Source, slot: u32) {
        let holder = self.holders.entry(source).or_insert(Holder::One { slot, bindings: 0 });
        *holder = match *holder {
            Holder::One { slot: held, bindings } if held == slot => {
                Holder::One { slot, bindings: bindings + 1 }
            }
            Holder::One { bindings, .. } | Holder::Several { bindings } => {
                Holder::Several { bindings: bindings + 1 }
            }
        };
    }

    /// One binding that came by this flow is gone.
    pub(super) fn release(&mut self, source: Source) {
        let Some(holder) = self.holders.get_mut(&source) else { return };
        let (Holder::One { bindings, .. } | Holder::Several { bindings }) = holder;
        *bindings = bindings.saturating_sub(1);
        if *bindings == 0 {
            self.holders.remove(&source);
        }
    }

    /// The slot of the only device that registered by this flow.
    pub(super) fn sole_holder(&self, source: Source) -> Option<u32> {
        match self.holders.get(&source)? {
            Holder::One { slot, .. } => Some(*slot),
            Holder::Several { .. } => None,
        }
    }

    /// Whether any device registered by this flow.
    pub(super) fn is_held(&self, source: Source) -> bool {
        self.holders.contains_key(&source)
    }

    #[cfg(test)]
    pub(super) fn bindings(&self) -> u32 {
        let count = |holder: &Holder| match holder {
            Holder::One { bindings, .. } | Holder::Several { bindings } => *bindings,
        };
        self.holders.values().map(count).sum()
    }
}
