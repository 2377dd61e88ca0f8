//! Errands between calls: a dialog fetched, given back, kept (RFC 5589 §7).

use super::Switch;
use crate::call::errand::Errand;
use crate::call::guest::{Fetched, Guest};
use crate::call::office::{CallKey, Named};
use crate::clock::Now;
use crate::dialog::DialogId;
use crate::relay::Side;

impl Switch {
    /// Carries out what calls want of each other. What has to wait stays.
    pub(super) fn run_errands(&mut self, now: Now) {
        if self.office.errands.is_empty() {
            return;
        }
        let mut waiting = Vec::new();
        loop {
            let errands = std::mem::take(&mut self.office.errands);
            if errands.is_empty() {
                break;
            }
            for errand in errands {
                waiting.extend(self.run_errand(now, errand));
            }
        }
        self.office.errands = waiting;
    }

    /// `Some`: it has to wait.
    fn run_errand(&mut self, now: Now, errand: Errand) -> Option<Errand> {
        match errand {
            Errand::Fetch { to, dialog, user } => {
                if !self.calls.get_mut(to)?.fetches() {
                    return None;
                }
                let code = match self.fetch(now, to, &dialog, &user) {
                    Ok(true) => return None,
                    Ok(false) => return Some(Errand::Fetch { to, dialog, user }),
                    Err(code) => code,
                };
                self.with_call(to, |call, office| call.fetched_nobody(office, now, code));
            }
            Errand::Return { from, guest } => {
                let (home, side) = (guest.home.call, guest.home.side);
                let tag = guest.dialog.id.local_tag.clone();
                let mut guest = Some(guest);
                self.with_call(home, |call, office| {
                    guest = guest.take().and_then(|guest| call.take_back(office, now, guest));
                });
                match guest {
                    // Nobody is left there.
                    Some(guest) => {
                        self.with_call(from, |call, office| call.see_off(office, now, *guest));
                    }
                    None => self.settle_at(home, side, &tag),
                }
            }
            Errand::MakeWay { on } => self.make_way(now, &on),
            Errand::PickUp { by } => self.pick_up(now, by),
            Errand::Gone { home } => {
                self.with_call(home.call, |call, office| call.bereft(office, now, home.side, None));
            }
            Errand::Kept { home, note } => {
                self.with_call(home.call, |call, office| call.bereft(office, now, home.side, Some(note)));
            }
        }
        None
    }

    /// `false`: not yet.
    ///
    /// # Errors
    /// The status that the transfer ends with.
    fn fetch(&mut self, now: Now, to: CallKey, dialog: &DialogId, user: &Named) -> Result<bool, u16> {
        let (key, side, branch) = self.calls.place(&dialog.local_tag).ok_or(481_u16)?;
        let call = self.calls.get_mut(key).filter(|_| key != to).ok_or(481_u16)?;
        let party = match call.opposite((side, branch), dialog) {
            Fetched::NotYet => return Ok(false),
            Fetched::Unknown => return Err(481),
            Fetched::Of(party) => party,
        };
        if call.user_on(party.other()) != Some(user) {
            return Err(403);
        }
        let (comes_by_tls, wants_tls) = (call.is_secured(party), call.wants_tls());
        let joined = self.calls.get_mut(to).ok_or(481_u16)?;
        let stays_by_tls = joined.transferred().is_some_and(|side| joined.is_secured(side));
        // RFC 5630: who was promised TLS is not put through to whoever has none.
        if (wants_tls && !stays_by_tls) || (joined.wants_tls() && !comes_by_tls) {
            return Err(480);
        }
        let place = joined.vacated();
        let mut lent = None;
        self.with_call(key, |call, office| lent = call.lend(office, now, party, place));
        let guest: Guest = lent.ok_or(481_u16)?;
        let tag = guest.dialog.id.local_tag.clone();
        let mut seated = None;
        self.with_call(to, |call, office| seated = call.fetched(office, now, guest));
        if let Some(branch) = seated {
            self.calls.moved(&tag, (to, Side::B, branch));
        }
        Ok(true)
    }

    /// The dialog with that tag is back in the call where it was.
    fn settle_at(&mut self, home: CallKey, side: Side, tag: &str) {
        let branch = self.calls.get_mut(home).and_then(|call| call.branch_of(side));
        let place = match branch {
            Some(branch) => (home, Side::B, branch),
            None => (home, Side::A, 0),
        };
        self.calls.moved(tag, place);
    }
}
