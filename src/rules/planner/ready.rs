//! What of a place can ring now, and why the rest of it can't.

use super::{Draft, Planner, Ready, ReadyList};
use crate::rules::domain::UserEntry;
use crate::rules::model::{Destination, Name};
use crate::rules::outgoing::Sender;
use crate::rules::plan::{LegOutcome, LegTarget};
use crate::rules::trail::SkipWhy;
use crate::rules::tree::{Facts as _, TargetPlace};

impl Planner<'_> {
    pub(super) fn ready(
        &self,
        owner: Option<&UserEntry>,
        place: &TargetPlace,
        draft: &mut Draft<'_>,
    ) -> ReadyList {
        let mut ready = ReadyList::new();
        self.ready_into(owner, place, draft, &mut ready);
        ready
    }

    /// What of this place can ring now.
    pub(super) fn ready_into(
        &self,
        owner: Option<&UserEntry>,
        place: &TargetPlace,
        draft: &mut Draft<'_>,
        ready: &mut ReadyList,
    ) {
        match (place, owner) {
            (TargetPlace::Place(destination), _) => self.place(owner, destination, draft, ready),
            (TargetPlace::Own | TargetPlace::OwnAll, None) => {}
            (TargetPlace::OwnAll, Some(owner)) => {
                self.devices(self.domain.phones(owner, self.live), draft, ready);
            }
            (TargetPlace::Own, Some(owner)) => match &owner.primary {
                Some(primary) if self.domain.phones(owner, self.live).any(|d| d == primary) => {
                    self.devices([primary], draft, ready);
                }
                _ => self.devices(self.domain.phones(owner, self.live), draft, ready),
            },
        }
    }

    pub(super) fn place(
        &self,
        owner: Option<&UserEntry>,
        place: &Destination,
        draft: &mut Draft<'_>,
        ready: &mut ReadyList,
    ) {
        match place {
            Destination::User(name) => {
                if let Some(user) = self.domain.users.index(name) {
                    self.colleague(owner, user, draft, ready);
                }
            }
            Destination::Handset(name) => {
                if let Some(user) = self.domain.user_entry(name) {
                    self.devices(self.domain.phones(user, self.live), draft, ready);
                }
            }
            Destination::Device(name) => self.devices([name], draft, ready),
            Destination::Tel(number) => {
                let sender = Sender { user: owner, device: None };
                self.outside_into(sender, number, None, draft, ready);
            }
            other => draft.skip(other.clone(), LegOutcome::Failed, SkipWhy::NoPlace),
        }
    }

    pub(super) fn devices<'d>(
        &self,
        devices: impl IntoIterator<Item = &'d Name>,
        draft: &mut Draft<'_>,
        ready: &mut ReadyList,
    ) {
        for device in devices {
            if self.live.offline(device) {
                let what = Destination::Device(device.clone());
                draft.skip(what, LegOutcome::Offline, SkipWhy::NotRegistered);
            } else {
                ready.push(Ready { to: LegTarget::Device(device.clone()), route: None, charge: None });
            }
        }
    }

    /// `user:X` in somebody's list: X's phones, subject to X's DND, white list, call paths and call waiting; never X's forwards.
    fn colleague(&self, owner: Option<&UserEntry>, user: u32, draft: &mut Draft<'_>, ready: &mut ReadyList) {
        let Some(facts) = self.facts(owner, user) else { return };
        let what = || Destination::User(facts.user.view.name.clone());
        let list = &facts.tree.white_list;
        if self.call.psap_callback {
            self.devices(self.domain.phones(facts.user, self.live), draft, ready);
        } else if !list.is_empty() && !facts.passes(list) {
            draft.skip(what(), LegOutcome::Offline, SkipWhy::WhiteList);
        } else if facts.dnd() {
            draft.skip(what(), LegOutcome::Busy, SkipWhy::Dnd);
        } else if facts.busy() {
            let calls = facts.active_calls();
            draft.skip(what(), LegOutcome::Busy, SkipWhy::Busy { calls });
        } else {
            self.devices(self.domain.phones(facts.user, self.live), draft, ready);
        }
    }

    pub(super) fn outside_into(
        &self,
        sender: Sender<'_>,
        number: &Name,
        class: Option<&Name>,
        draft: &mut Draft<'_>,
        ready: &mut ReadyList,
    ) {
        match self.outside(sender, number, class) {
            Ok(place) => ready.push(place),
            Err(why) => draft.skip(Destination::Tel(number.clone()), LegOutcome::Failed, why),
        }
    }

    /// An outside number by the rights and routes of the sender. `class`: where something else than the number says it.
    fn outside(&self, sender: Sender<'_>, number: &Name, class: Option<&Name>) -> Result<Ready, SkipWhy> {
        let of_number = || self.domain.class_of(number).map(|(_, class)| &class.name);
        let class = class.or_else(of_number).ok_or(SkipWhy::NoClass)?;
        if let Some(denied) = self.domain.denied(sender, class, true) {
            return Err(SkipWhy::Denied(denied));
        }
        let charge = self.domain.charge(sender, class, self.live).map_err(SkipWhy::Denied)?;
        match self.domain.way(class, sender.site(), self.live) {
            Some(way) if !way.trunks.is_empty() => {
                let to = LegTarget::Outside { number: number.clone(), trunks: way.trunks };
                Ok(Ready { to, route: way.route, charge })
            }
            Some(_) => Err(SkipWhy::TrunksDown),
            None => Err(SkipWhy::NoRoute(class.clone())),
        }
    }
}
