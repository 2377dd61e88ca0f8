//! What the tree of one user asks, answered from the call and live state. Nothing is looked at before the path comes by it.

use super::calendar::Reading;
use super::caller::Party;
use super::destination::parse_destination;
use super::domain::{Domain, UserEntry};
use super::facts::{CallFacts, Live, UserStatus};
use super::model::{Destination, Name};
use super::trail::Forced;
use super::tree::{Facts, ForwardKey, Tree, TreeCondition, WhiteList};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

/// The moment of a call, and how the clock on the wall reads then in the zone that was asked of last: most calls ask often, and of
/// one zone.
pub(super) struct Clock {
    at: Timestamp,
    /// The zone by its index in the domain.
    last: Cell<Option<(u32, DateTime)>>,
}

impl Clock {
    pub fn at(at: Timestamp) -> Clock {
        Clock { at, last: Cell::new(None) }
    }

    fn read<'z>(&self, (index, zone): (u32, &'z TimeZone)) -> Reading<'z> {
        match self.last.get() {
            Some((last, civil)) if last == index => Reading { at: self.at, zone, civil },
            _ => {
                let reading = Reading::new(self.at, zone);
                self.last.set(Some((index, reading.civil)));
                reading
            }
        }
    }
}

pub(super) struct UserFacts<'a> {
    pub domain: &'a Domain,
    pub live: &'a dyn Live,
    pub clock: &'a Clock,
    pub call: &'a CallFacts,
    pub party: &'a Party,
    pub user: &'a UserEntry,
    pub tree: &'a Tree,
    /// The user on whose behalf the call comes: who forwards it, or has this user in a ring list. `None`: the caller.
    pub by: Option<&'a UserEntry>,
    /// The queue or hunt that the call came through.
    pub through: Option<&'a Destination>,
    /// What the user has set, looked up when it is first asked for.
    pub status: OnceCell<Option<&'a UserStatus>>,
    /// Overrides of the clock that were met.
    pub forced: RefCell<Forced>,
}

impl Domain {
    /// Where this status forwards calls. One that names what these rules don't have, being set under earlier ones, is none.
    pub(super) fn forward_of(&self, status: &UserStatus) -> Option<Destination> {
        parse_destination(status.forward.as_deref()?).filter(|to| self.leads_somewhere(to))
    }

    /// Whether a walk that is sent there finds it. What has no table here, a service that is not built, is taken at its word.
    fn leads_somewhere(&self, to: &Destination) -> bool {
        match to {
            Destination::User(user) | Destination::Handset(user) => self.users.contains(user),
            Destination::Device(device) => self.devices.contains(device),
            Destination::Hunt(hunt) => self.hunt_index.contains_key(hunt),
            Destination::Voicemail(_)
            | Destination::Queue(_)
            | Destination::Attendant(_)
            | Destination::Conference(_)
            | Destination::Directory(_)
            | Destination::Announce(_)
            | Destination::Tel(_)
            | Destination::Reject(_) => true,
        }
    }

    /// Whether the frame holds, live overrides included; those that were met are noted.
    pub(super) fn frame_holds(
        &self,
        timed: u32,
        clock: &Clock,
        live: &dyn Live,
        forced: &RefCell<Forced>,
    ) -> bool {
        let Some((named, zone)) = self.timed(timed) else { return false };
        let read = || clock.read(zone);
        let overrides = |name: &str| {
            let on = live.frame_override(name)?;
            let mut forced = forced.borrow_mut();
            if !forced.iter().any(|(known, _)| &**known == name) {
                forced.push((name.into(), on));
            }
            Some(on)
        };
        overrides(&named.name).unwrap_or_else(|| named.frame.contains_read(clock.at, read, &overrides))
    }

    /// The phones of a user: their own, without those that somebody else has logged in to, and hot-desk phones they sit at.
    /// The primary first, then by name. None of a user that there is not.
    pub fn phones_of<'a>(&'a self, user: &str, live: &'a dyn Live) -> impl Iterator<Item = &'a Name> + 'a {
        self.user_entry(user).into_iter().flat_map(move |user| self.phones(user, live))
    }

    /// [`Domain::phones_of`] a user that is at hand.
    pub(super) fn phones<'a>(
        &'a self,
        user: &'a UserEntry,
        live: &'a dyn Live,
    ) -> impl Iterator<Item = &'a Name> + 'a {
        let theirs = move |device: &Name| live.seated(device).is_none_or(|seated| seated == &*user.view.name);
        let primary = user.primary.iter().filter(move |device| theirs(device));
        let own = user.view.devices.iter().filter(move |d| Some(*d) != user.primary.as_ref() && theirs(d));
        let visited = self.hotdesks.iter().filter(move |device| {
            live.seated(device) == Some(&*user.view.name) && !user.view.devices.contains(device)
        });
        primary.chain(own).chain(visited)
    }
}

impl<'a> UserFacts<'a> {
    pub fn status(&self) -> Option<&'a UserStatus> {
        *self.status.get_or_init(|| self.live.status(&self.user.view.name))
    }

    /// The forward that the user has set outside the rules.
    pub fn forward_set(&self) -> Option<Destination> {
        self.domain.forward_of(self.status()?)
    }

    /// The rule that is active now, without asking anything else.
    pub fn rule_in_force(&self) -> Option<u32> {
        let holds = |c: &TreeCondition| self.frame(c.timed) != c.negated;
        let active =
            self.tree.rules.iter().position(|r| r.enabled && (r.when.is_empty() || r.when.iter().any(holds)));
        self.picked().or_else(|| active.and_then(|index| u32::try_from(index).ok()))
    }

    /// Do not disturb, by status or by the rule in force.
    pub fn dnd(&self) -> bool {
        let by_rule = || {
            let rule = self.rule_in_force().and_then(|index| self.tree.rules.get(index as usize));
            rule.is_some_and(|rule| rule.dnd)
        };
        self.status_dnd().unwrap_or_else(by_rule)
    }

    /// Busy by the count of calls.
    pub fn busy(&self) -> bool {
        self.user.busy_from.is_some_and(|calls| self.active_calls() >= calls)
    }

    /// Every call is forwarded: by the user, or by the rule in force.
    pub fn goes_elsewhere(&self) -> bool {
        let rule = || self.rule_in_force().and_then(|index| self.tree.rules.get(index as usize));
        let always = || {
            let forwards = rule()?.forwards.iter().find(|(key, _)| *key == ForwardKey::Always)?;
            Some(!forwards.1.direct_only || self.direct())
        };
        self.status_forward() || always().unwrap_or(false)
    }

    fn names(&self, list: &WhiteList, user: &UserEntry) -> bool {
        list.users.contains(&user.view.name)
            || user.roles.iter().any(|role| list.roles.contains(role))
            || user.view.extensions.iter().any(|extension| list.patterns.find(extension).is_some())
    }
}

impl Facts for UserFacts<'_> {
    fn psap_callback(&self) -> bool {
        self.call.psap_callback
    }

    fn keys(&self) -> &[Arc<str>] {
        self.party.keys(self.domain)
    }

    fn anonymous(&self) -> bool {
        self.party.anonymous
    }

    fn unknown(&self) -> bool {
        self.party.unknown
    }

    fn unverified(&self) -> bool {
        self.party.unverified
    }

    /// A forwarded call, and one by somebody's ring list, is judged by whose list or forward it is; any other by the caller, or by
    /// the hunt or queue that it came through where the list names that.
    fn passes(&self, list: &WhiteList) -> bool {
        if let Some(by) = self.by {
            return self.names(list, by);
        }
        let through = match self.through {
            Some(Destination::Hunt(name)) => list.hunts.contains(name),
            Some(Destination::Queue(name)) => list.queues.contains(name),
            _ => false,
        };
        let caller = self.party.user.and_then(|user| self.domain.entry_at(user));
        through
            || (!self.party.inside && !list.covers_all)
            || self.keys().iter().any(|key| list.patterns.find(key).is_some())
            || caller.is_some_and(|caller| self.names(list, caller))
    }

    fn frame(&self, timed: u32) -> bool {
        self.domain.frame_holds(timed, self.clock, self.live, &self.forced)
    }

    fn picked(&self) -> Option<u32> {
        let name = self.status()?.rule.as_deref()?;
        let index = self.tree.rules.iter().position(|rule| rule.name.as_deref() == Some(name))?;
        u32::try_from(index).ok()
    }

    fn status_forward(&self) -> bool {
        self.forward_set().is_some()
    }

    fn status_dnd(&self) -> Option<bool> {
        self.status()?.dnd
    }

    fn own_offline(&self) -> bool {
        self.domain.phones(self.user, self.live).all(|device| self.live.offline(device))
    }

    fn active_calls(&self) -> u32 {
        self.live.active_calls(&self.user.view.name)
    }

    fn direct(&self) -> bool {
        !matches!(self.through, Some(Destination::Queue(_) | Destination::Hunt(_)))
    }

    fn by_trunk(&self) -> bool {
        !self.party.inside
    }
}
