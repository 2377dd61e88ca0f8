//! Which device registered by which flow.

use super::devices::Source;
use rustc_hash::FxHashMap;

/// Who holds a flow, and by how many bindings.
#[derive(Debug)]
enum Holder {
    One {
        slot: u32,
        bindings: u32,
    },
    /// More than one device, and the bindings of each; that lasts until none is left, so that a flow is never given to a device that
    /// shared it. What happens to the flow happens to these devices alone.
    Several(Box<FxHashMap<u32, u32>>),
}

#[derive(Debug, Default)]
pub(super) struct Flows {
    /// The keys are those of authenticated registrations.
    holders: FxHashMap<Source, Holder>,
}

impl Flows {
    /// The device in `slot` has one more binding that came by this flow.
    pub(super) fn hold(&mut self, source: Source, slot: u32) {
        match self.holders.entry(source).or_insert(Holder::One { slot, bindings: 0 }) {
            Holder::One { slot: held, bindings } if *held == slot => *bindings += 1,
            holder @ Holder::One { .. } => {
                let Holder::One { slot: held, bindings } = *holder else { return };
                *holder = Holder::Several(Box::new([(held, bindings), (slot, 1)].into_iter().collect()));
            }
            Holder::Several(devices) => *devices.entry(slot).or_default() += 1,
        }
    }

    /// One binding of the device in `slot` that came by this flow is gone.
    pub(super) fn release(&mut self, source: Source, slot: u32) {
        let Some(holder) = self.holders.get_mut(&source) else { return };
        let is_free = match holder {
            Holder::One { bindings, .. } => {
                *bindings = bindings.saturating_sub(1);
                *bindings == 0
            }
            Holder::Several(devices) => {
                if let Some(bindings) = devices.get_mut(&slot) {
                    *bindings = bindings.saturating_sub(1);
                    if *bindings == 0 {
                        devices.remove(&slot);
                    }
                }
                devices.is_empty()
            }
        };
        if is_free {
            self.holders.remove(&source);
        }
    }

    /// The slot of the only device that registered by this flow.
    pub(super) fn sole_holder(&self, source: Source) -> Option<u32> {
        match self.holders.get(&source)? {
            Holder::One { slot, .. } => Some(*slot),
            Holder::Several(_) => None,
        }
    }

    /// Whether any device registered by this flow.
    pub(super) fn is_held(&self, source: Source) -> bool {
        self.holders.contains_key(&source)
    }

    /// The slots of all devices that registered by this flow.
    pub(super) fn of(&self, source: Source) -> Vec<u32> {
        match self.holders.get(&source) {
            None => Vec::new(),
            Some(Holder::One { slot, .. }) => vec![*slot],
            Some(Holder::Several(devices)) => devices.keys().copied().collect(),
        }
    }

    #[cfg(test)]
    pub(super) fn bindings(&self) -> u32 {
        let count = |holder: &Holder| match holder {
            Holder::One { bindings, .. } => *bindings,
            Holder::Several(devices) => devices.values().sum(),
        };
        self.holders.values().map(count).sum()
    }
}
