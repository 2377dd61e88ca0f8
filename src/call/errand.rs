//! What one call wants of another. A call never touches another one: it leaves an errand, and whoever holds all calls carries it out
//! before anything else happens.
//!
//! Bound: a call has at most one transfer on its way, and that at most one errand of each kind.

use super::guest::{Guest, Home};
use super::office::{CallKey, Named};
use crate::dialog::DialogId;

#[derive(Debug)]
pub enum Errand {
    /// The transfer of this call is to a party of another one (RFC 5589 §7): its dialog is wanted, as soon as it is settled there.
    Fetch { to: CallKey, dialog: DialogId, user: Named },
    /// Nothing came of it: the dialog goes back, and is ended where nobody is left there.
    Return { from: CallKey, guest: Box<Guest> },
    /// Its party has hung up meanwhile, or was hung up on.
    Gone { home: Home },
    /// Whoever makes this call wants to take somebody's place in another one.
    PickUp { by: CallKey },
    /// An emergency call goes out by this trunk, which is full: another call there makes way (RFC 4411).
    MakeWay { on: Named },
    /// It stays: the call that it came from is over.
    Kept { home: Home, note: Note },
}

/// For the record of the call that a party has left by a transfer.
#[derive(Debug)]
pub struct Note {
    pub by: String,
    /// Whom the party speaks with now.
    pub to: String,
    /// The id of their call.
    pub call: String,
}
