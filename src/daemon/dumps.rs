//! Our memory is our own: it holds passwords and keys, so a crash leaves no core, and no other process looks into it, not even one of
//! the same user. (Root still may; the unit's `LimitCORE=0` says it a second time.)

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// From now on. A debugger takes root.
pub fn forbid() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "a crash of this process may leave its memory on the disk");
    }
}
