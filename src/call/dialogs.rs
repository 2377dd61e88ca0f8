//! The dialogs of people, as others may watch them (RFC 4235): what of each user's calls is shown, kept as it is now. Every call says
//! what there is of it after whatever has happened to it ([`Call::show`]), so that nothing here follows the steps of a call.
//!
//! Seen from the watched phone, as RFC 4235 §4.1 wants it: its tag is the local one, ours the remote one. Whoever picks a ringing call up
//! (RFC 3891) finds by them what to replace.

use super::branch::{Branch, Callee, Progress, State as BranchState};
use super::caller::Heard;
use super::office::{CallKey, Named, Office};
use super::tag::shown;
use super::{Call, State, headers};
use crate::relay::Side;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// How far a dialog is (RFC 4235 §3.7.1). What has ended is no longer here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Trying,
    Early,
    Confirmed,
}

/// Which side the watched phone is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It calls.
    Initiator,
    /// It is called.
    Recipient,
}

/// The name of a dialog among all: its call, and its place there (0: the caller's side, else one more than the branch).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogName {
    pub call: CallKey,
    pub place: usize,
}

/// One dialog of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub name: DialogName,
    pub phase: Phase,
    pub direction: Direction,
    pub call_id: Box<str>,
    /// The watched phone's; a called one has none before it rings.
    pub local_tag: Option<Box<str>>,
    /// Ours, as [`shown`] has it.
    pub remote_tag: Option<Box<str>>,
    /// Whom it speaks with; `None` where they withhold their identity (RFC 3323).
    pub remote: Option<Party>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    pub name: Option<Box<str>>,
    pub uri: Box<str>,
}

/// What of a call stands in [`Dialogs`].
pub(super) type Standing = SmallVec<[Stands; 2]>;

#[derive(Debug)]
pub(super) struct Stands {
    place: usize,
    phase: Phase,
    met: Option<usize>,
    whose: Named,
}

/// A dialog of somebody's as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    place: usize,
    phase: Phase,
    /// The place of whoever it has been connected with since it began: by a transfer, or as they have picked it up.
    met: Option<usize>,
}

/// The dialogs of all users who have any, oldest first.
#[derive(Debug, Default)]
pub struct Dialogs {
    by_user: FxHashMap<Named, Vec<Shown>>,
    /// Users whose dialogs have changed since somebody looked; each event names those of one call.
    changed: Vec<Named>,
}

impl Dialogs {
    #[must_use]
    pub fn of(&self, user: &Named) -> &[Shown] {
        self.by_user.get(user).map_or(&[], Vec::as_slice)
    }

    /// Every dialog of everybody, with whose it is.
    pub fn all(&self) -> impl Iterator<Item = (&Named, &Shown)> {
        self.by_user.iter().flat_map(|(user, shown)| shown.iter().map(move |shown| (user, shown)))
    }

    /// Whose dialogs have changed since the last time.
    pub fn take_changed(&mut self) -> Vec<Named> {
        std::mem::take(&mut self.changed)
    }

    fn put(&mut self, user: &Named, shown: Shown) {
        let all = self.by_user.entry(user.clone()).or_default();
        match all.iter_mut().find(|other| other.name == shown.name) {
            Some(held) => *held = shown,
            None => all.push(shown),
        }
        self.changed.push(user.clone());
    }

    fn remove(&mut self, user: &Named, name: DialogName) {
        let Some(all) = self.by_user.get_mut(user) else { return };
        all.retain(|shown| shown.name != name);
        if all.is_empty() {
            self.by_user.remove(user);
        }
        self.changed.push(user.clone());
    }
}

impl Call {
    /// Shows to watchers what there is of the call now. After anything that happened to it.
    pub fn show(&mut self, office: &mut Office) {
        let dialogs = self.dialogs_now();
        let standing = self.shown.iter().map(|it| Seen { place: it.place, phase: it.phase, met: it.met });
        if dialogs.iter().copied().eq(standing) {
            return;
        }
        let before = std::mem::take(&mut self.shown);
        for gone in before.iter().filter(|it| !dialogs.iter().any(|now| now.place == it.place)) {
            office.dialogs.remove(&gone.whose, DialogName { call: self.key, place: gone.place });
        }
        for Seen { place, phase, met } in dialogs {
            let held = before.iter().find(|it| it.place == place);
            let Some(whose) = held.map(|it| it.whose.clone()).or_else(|| self.user_at(place)) else {
                continue;
            };
            if held.is_none_or(|it| (it.phase, it.met) != (phase, met))
                && let Some(shown) = self.shown_at(place, phase, met)
            {
                office.dialogs.put(&whose, shown);
            }
            self.shown.push(Stands { place, phase, met, whose });
        }
    }

    /// The dialogs of ours that belong to somebody, each by its place.
    fn dialogs_now(&self) -> SmallVec<[Seen; 4]> {
        let mut phases: SmallVec<[Seen; 4]> = SmallVec::new();
        if let State::Over(_) = self.state {
            return phases;
        }
        let replaced = matches!(&self.state, State::Answered(bridge)
            if bridge.near.is_some() || bridge.lends(Side::A));
        if self.maker.is_some() && !replaced {
            let phase = match (&self.state, self.caller.heard) {
                (State::Answered(_), _) => Phase::Confirmed,
                (State::Served(served), _) if !served.is_refusing() => Phase::Confirmed,
                (_, Heard::Nothing) => Phase::Trying,
                (_, Heard::Ringing | Heard::EarlyMedia) => Phase::Early,
            };
            phases.push(Seen { place: 0, phase, met: self.met_by(0) });
        }
        for (index, branch) in self.branches.iter().enumerate() {
            if let (Callee::Device { user: Some(_), .. }, Some(phase)) = (&branch.callee, phase_of(branch)) {
                phases.push(Seen { place: index + 1, phase, met: self.met_by(index + 1) });
            }
        }
        phases
    }

    /// Whom a party has been connected with since its dialog began: their place.
    fn met_by(&self, place: usize) -> Option<usize> {
        let State::Answered(bridge) = &self.state else { return None };
        let transferred = self.log.transfers.iter().any(|(transfer, _)| transfer.status == 200);
        if !transferred && self.log.pickups.is_empty() {
            return None;
        }
        let (near, far) = (bridge.near.map_or(0, |index| index + 1), bridge.winner + 1);
        match place {
            place if place == near => Some(far),
            place if place == far => Some(near),
            _ => None,
        }
    }

    /// Who is in that place, as others may know it; `None`: they withhold it.
    fn party_at(&self, place: usize) -> Option<Party> {
        let Some(index) = place.checked_sub(1) else {
            let from = &self.log.from;
            let named = || Party { name: from.name.as_deref().map(Box::from), uri: self.address(&from.raw) };
            let party = || self.maker.as_ref().map_or_else(named, |(_, user)| self.person(user));
            return (!from.privacy).then(party);
        };
        let branch = self.branches.get(index).filter(|branch| !branch.withheld)?;
        Some(match &branch.callee {
            Callee::Device { user: Some(user), .. } => self.person(user),
            Callee::Device { device, user: None } => Party { name: None, uri: self.address(device) },
            Callee::Trunk { number, .. } => Party { name: None, uri: self.address(number) },
        })
    }

    /// A user of ours, by name and extension.
    fn person(&self, user: &str) -> Party {
        let view = self.domain.user(user);
        let extension = view.and_then(|view| view.extensions.first()).map_or(user, |extension| &**extension);
        let name = view.map(|view| &*view.display).filter(|name| !name.is_empty());
        Party { name: name.map(Box::from), uri: self.address(extension) }
    }

    fn address(&self, user: &str) -> Box<str> {
        format!("sip:{}@{}", headers::escape_user(user), self.domain.name()).into()
    }

    fn user_at(&self, place: usize) -> Option<Named> {
        let Some(index) = place.checked_sub(1) else { return self.maker.clone() };
        match &self.branches.get(index)?.callee {
            Callee::Device { user, .. } => Some((self.domain.name().clone(), user.clone()?)),
            Callee::Trunk { .. } => None,
        }
    }

    fn shown_at(&self, place: usize, phase: Phase, met: Option<usize>) -> Option<Shown> {
        let name = DialogName { call: self.key, place };
        let mut shown = match place.checked_sub(1) {
            None => self.of_caller(name, phase),
            Some(index) => of_branch(self.branches.get(index)?, name, phase)?,
        };
        if let Some(met) = met {
            shown.remote = self.party_at(met);
        }
        Some(shown)
    }

    fn of_caller(&self, name: DialogName, phase: Phase) -> Shown {
        let invite = &self.caller.invite;
        let dialled = format!("sip:{}@{}", headers::escape_user(&self.log.to), self.domain.name());
        Shown {
            name,
            phase,
            direction: Direction::Initiator,
            call_id: invite.call_id().into(),
            local_tag: invite.from().and_then(|from| from.tag()).map(Box::from),
            remote_tag: Some(shown(&self.caller.tag).into()),
            remote: Some(Party { name: None, uri: dialled.into() }),
        }
    }
}

/// A called phone. It sees the From of the INVITE that it got: the identity is hidden where that hides it. One that has called has come
/// by itself or out of another call, and sees the To of its own.
fn of_branch(branch: &Branch, name: DialogName, phase: Phase) -> Option<Shown> {
    if branch.direction == Direction::Initiator {
        return of_newcomer(branch, name, phase);
    }
    let from = branch.request.from()?;
    let local_tag = match &branch.state {
        BranchState::Answered { dialog, .. } => Some(dialog.id.remote_tag.as_str().into()),
        BranchState::Asked(asked) => Some(asked.dialog.id.remote_tag.as_str().into()),
        BranchState::Calling(_) | BranchState::Leaving | BranchState::Ended(_) => branch.early_tag.clone(),
    };
    let withheld = from.uri.host.eq_ignore_ascii_case("anonymous.invalid");
    let display = from.display_unescaped();
    let party = || Party {
        name: Some(&*display).filter(|d| !d.is_empty()).map(Box::from),
        uri: from.uri.text.into(),
    };
    Some(Shown {
        name,
        phase,
        direction: Direction::Recipient,
        call_id: branch.request.call_id().into(),
        local_tag,
        remote_tag: from.tag().map(|ours| shown(ours).into()),
        remote: (!withheld).then(party),
    })
}

fn of_newcomer(branch: &Branch, name: DialogName, phase: Phase) -> Option<Shown> {
    let ours = match (&branch.state, &branch.arrived) {
        (BranchState::Answered { dialog, .. }, _) => &dialog.id.local_tag,
        (_, Some(arrived)) => &arrived.dialog.id.local_tag,
        _ => return None,
    };
    Some(Shown {
        name,
        phase,
        direction: Direction::Initiator,
        call_id: branch.request.call_id().into(),
        local_tag: branch.request.from().and_then(|from| from.tag()).map(Box::from),
        remote_tag: Some(shown(ours).into()),
        remote: branch.request.to().map(|to| Party { name: None, uri: to.uri.text.into() }),
    })
}

fn phase_of(branch: &Branch) -> Option<Phase> {
    match branch.state {
        BranchState::Calling(Progress::Nothing | Progress::Trying) => Some(Phase::Trying),
        BranchState::Calling(Progress::Ringing) => Some(Phase::Early),
        BranchState::Answered { .. } | BranchState::Asked(_) => Some(Phase::Confirmed),
        BranchState::Leaving | BranchState::Ended(_) => None,
    }
}
