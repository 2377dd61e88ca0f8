//! A call that comes to a number or a user of ours.

use super::{Departure, Left, Move, Next, Place, Purpose, Turn, cause};
use crate::rules::caller::to_e164;
use crate::rules::domain::{Domain, UserEntry};
use crate::rules::facts::Live;
use crate::rules::model::{Destination, Name, Refuse};
use crate::rules::plan::Diverter;
use crate::rules::trail::{Because, Branch, By, Forced, Object, Standing, Step, Unbuilt};
use crate::rules::tree::{
    Decision, Facts as _, ForwardKey, Leaf, Node, NodeId, Path, Refused, RingOutcome, Test, Tree,
};
use crate::rules::user_facts::{Clock, UserFacts};
use std::cell::{OnceCell, RefCell};

impl<'a> Turn<'a> {
    /// From outside one reaches numbers of ours only, never bare extensions.
    pub(super) fn dialled_from_outside(&mut self, dialled: &Name) -> Move<'a> {
        let locale = self.domain.locale_of_origin(&self.call.caller.origin);
        let Some(number) = to_e164(dialled, locale) else {
            let because = Because::NoNumber(dialled.clone());
            return Move::Stop(self.reject(404, Some(cause::UNALLOCATED), None, because));
        };
        match self.domain.numbers.index(&number) {
            Some(number) => Move::To(Place::Number { number, by: None }),
            None => {
                self.tell(Step::Foreign { number, dialled: dialled.clone() });
                Move::Stop(self.reject(404, Some(cause::UNALLOCATED), None, Because::NotOurs))
            }
        }
    }

    pub(super) fn enter_number(&mut self, number: u32, by: Option<By>) -> Move<'a> {
        let domain = self.domain;
        let Some((entry, tree)) = domain.number_at(number) else { return self.broken() };
        self.tell(Step::Number(number));
        if let Some(over) = self.hop() {
            return over;
        }
        self.journey.did.get_or_insert(number);
        self.journey
            .prefixes
            .extend(entry.caller_id_prefix.iter().filter(|prefix| !prefix.is_empty()).cloned());
        if let Some(alert) = &entry.alert {
            self.journey.alert = Some(alert.clone());
        }
        let forced = RefCell::default();
        let facts = FramesOnly { domain, clock: &self.clock, live: self.live, forced: &forced };
        let leaf = tree.decide_call(&domain.trees.lists, &facts, &mut Path::new()).map(|d| d.leaf);
        let Some(Leaf::Goto { rule }) = leaf else {
            let (cause, span) = (Some(cause::UNALLOCATED), Some(entry.span));
            return Move::Stop(self.reject(404, cause, span, Because::Spare));
        };
        let Some(chosen) = tree.rules.get(rule as usize) else { return self.broken() };
        if chosen.name.is_some() {
            let of = Object::Number(number);
            self.tell(Step::Rule { of, rule, picked: false, forced: forced.into_inner() });
        }
        if let Some(looped) = self.repeated(Object::Number(number), rule) {
            return looped;
        }
        // Straight to the outside: the number itself is who diverts (RFC 5806).
        if let (Some((Destination::Tel(to), _)), Some(who)) = (&chosen.to, domain.number_name(number))
            && !domain.numbers.contains(to)
        {
            self.journey.diverters.push(Diverter { who: who.clone(), reason: Left::Always.reason() });
        }
        match &chosen.to {
            Some((to, _)) => Move::To(Place::Destination { to, by, left: Left::Always }),
            None => self.broken(),
        }
    }

    pub(super) fn enter_user(&mut self, user: u32, by: Option<By>) -> Move<'a> {
        let domain = self.domain;
        let (Some(entry), Some(tree)) = (domain.entry_at(user), domain.tree_of(user)) else {
            return self.broken();
        };
        self.tell(Step::User { user, by });
        if let Some(over) = self.hop() {
            return over;
        }
        self.journey.first_user.get_or_insert(user);
        self.journey.user = Some(user);
        let by = match by {
            Some(By::User(by)) => domain.entry_at(by),
            Some(By::Hunt(_) | By::Follow(_)) | None => None,
        };
        self.decide_user(user, entry, tree, by, 0, None)
    }

    pub(super) fn user_facts<'s>(
        &'s self,
        user: &'s UserEntry,
        tree: &'s Tree,
        by: Option<&'s UserEntry>,
    ) -> UserFacts<'s> {
        UserFacts {
            domain: self.domain,
            live: self.live,
            clock: &self.clock,
            call: self.call,
            party: &self.journey.party,
            user,
            tree,
            by,
            through: self.journey.through.as_ref(),
            status: OnceCell::new(),
            forced: RefCell::default(),
        }
    }

    /// Decides at this node of the user's tree (0: from the root), and says how.
    pub(super) fn decide_user(
        &mut self,
        user: u32,
        entry: &'a UserEntry,
        tree: &'a Tree,
        by: Option<&'a UserEntry>,
        start: NodeId,
        left: Option<Left>,
    ) -> Move<'a> {
        // From the root: what the user has set is decided already, where somebody keeps such a tree. Its rules are the same.
        let tree = if start == 0 { self.live.folded(&entry.view.name).unwrap_or(tree) } else { tree };
        let mut path = Path::new();
        let facts = self.user_facts(entry, tree, by);
        let decision = tree.decide(&self.domain.trees.lists, start, &facts, &mut path);
        let (picked, forced) = (facts.picked(), facts.forced.take());
        let Some(Decision { leaf, allowed, blocked }) = decision else { return self.broken() };
        if start == 0 {
            if let Some(entry) = allowed {
                self.tell(Step::Allowed { user, entry });
            }
            if let Some(entry) = blocked {
                self.tell(Step::Blocked { user, entry });
            }
            if let Some(rule) = rule_of(leaf) {
                let of = Object::User(user);
                self.tell(Step::Rule { of, rule, picked: picked == Some(rule), forced });
                if let Some(looped) = self.repeated(of, rule) {
                    return looped;
                }
            }
        }
        let left = left.or_else(|| self.say_branch(user, entry, tree, leaf, &path));
        self.take(user, entry, tree, leaf, left.unwrap_or(Left::Always))
    }

    /// The branch taken after the rule was chosen.
    fn say_branch(
        &mut self,
        user: u32,
        entry: &UserEntry,
        tree: &Tree,
        leaf: Leaf,
        path: &Path,
    ) -> Option<Left> {
        if matches!(leaf, Leaf::Ring { .. } | Leaf::Refuse(_)) {
            return None;
        }
        let live = self.live;
        let calls = || live.active_calls(&entry.view.name);
        let mut out = None;
        for visit in path.iter().filter(|visit| *visit & 1 == 1) {
            let Some(Node::Ask { test, .. }) = tree.nodes.get((visit >> 1) as usize) else { continue };
            let (branch, reason) = match test {
                Test::Dnd { .. } => {
                    let set = live.status(&entry.view.name).and_then(|status| status.dnd) == Some(true);
                    let branch = if set { Branch::DndSet } else { Branch::DndOfRule };
                    (branch, Left::Outcome(RingOutcome::Dnd))
                }
                Test::OwnOffline => (Branch::Offline, Left::Outcome(RingOutcome::Offline)),
                Test::OnActive if matches!(leaf, Leaf::Forward { by: ForwardKey::OnActive, .. }) => {
                    (Branch::OnActive { calls: calls() }, Left::OnActive)
                }
                Test::Busy { .. } => (Branch::Busy { calls: calls() }, Left::Outcome(RingOutcome::Busy)),
                _ => continue,
            };
            // The last one leads out: an earlier one had only a forward that is not for this call.
            out = Some((branch, reason));
        }
        let (branch, reason) = out?;
        self.tell(Step::Branch { user, branch });
        Some(reason)
    }

    /// Does what the leaf says.
    fn take(&mut self, user: u32, entry: &'a UserEntry, tree: &'a Tree, leaf: Leaf, left: Left) -> Move<'a> {
        match leaf {
            Leaf::Refuse(refused) => self.refuse(user, refused),
            Leaf::Ring { rule, screen } => self.ring_rule(user, entry, tree, rule, screen),
            Leaf::Forward { rule, by } => {
                let chosen = tree.rules.get(rule as usize);
                let forward = chosen.and_then(|r| r.forwards.iter().find(|(key, _)| *key == by));
                let Some((_, forward)) = forward else { return self.broken() };
                Move::To(Place::Forward(Departure {
                    user,
                    rule: Some(rule),
                    key: by,
                    left,
                    to: forward.to.clone(),
                    span: Some(forward.span),
                    confirm: forward.confirm,
                    caller_id: forward.caller_id.clone(),
                    phone: None,
                    class: None,
                }))
            }
            Leaf::StatusForward { .. } => {
                let set = self.user_facts(entry, tree, None).forward_set();
                let Some(to) = set else { return self.broken() };
                Move::To(Place::Forward(Departure {
                    user,
                    rule: None,
                    key: ForwardKey::Always,
                    left: Left::Always,
                    to,
                    span: None,
                    confirm: None,
                    caller_id: None,
                    phone: None,
                    class: None,
                }))
            }
            Leaf::Mailbox { outcome, .. } | Leaf::Final { outcome, .. } => {
                Move::Stop(self.mailbox_or_final(entry, Left::Outcome(outcome), outcome))
            }
            Leaf::Goto { .. } | Leaf::Spare => self.broken(),
        }
    }

    fn refuse(&mut self, user: u32, refused: Refused) -> Move<'a> {
        let policy = &self.domain.policy;
        let refuse = match refused {
            Refused::Blocked => policy.reject_blocked.value.clone(),
            Refused::Anonymous => policy.reject_anonymous.value.clone(),
            // An identity that can't be believed is worth no more than none.
            Refused::Unknown | Refused::Unverified => policy.reject_unknown.value.clone(),
            Refused::WhiteList => Refuse::Status(403),
        };
        self.tell(Step::Refused { user, refused });
        Move::Stop(match refuse {
            Refuse::Status(status) => {
                let cause = match status {
                    404 => cause::UNALLOCATED,
                    486 => cause::USER_BUSY,
                    _ => cause::CALL_REJECTED,
                };
                self.reject(status, Some(cause), None, Because::Refused)
            }
            Refuse::Announce(_) => self.refuse_with(refuse, Because::AfterAnnouncement),
            Refuse::Tone(_) => self.refuse_with(refuse, Because::AfterTone),
        })
    }

    fn refuse_with(&mut self, refuse: Refuse, because: Because) -> Next {
        self.tell(Step::RefusedWith(refuse));
        self.reject(603, Some(cause::CALL_REJECTED), None, because)
    }

    fn ring_rule(
        &mut self,
        user: u32,
        entry: &'a UserEntry,
        tree: &'a Tree,
        rule: u32,
        screen: bool,
    ) -> Move<'a> {
        let chosen = tree.rules.get(rule as usize);
        let Some((chosen, template)) = chosen.and_then(|r| Some((r, r.ring.as_ref()?))) else {
            return self.broken();
        };
        if screen {
            self.tell(Step::Screen { user, rule });
            if self.journey.trail.live {
                return Move::Stop(self.not_built(Unbuilt::Screening, chosen.span));
            }
            if self.journey.screen_refused {
                self.tell(Step::ScreenRefused);
                return self.after_rule(user, rule, RingOutcome::Declined);
            }
        }
        let ringing = self.planner().of_rule(Some(entry), template);
        match self.ring(ringing, Purpose::Rule { user, rule }, Standing::Ringing) {
            Ok(stop) => Move::Stop(stop),
            Err(outcome) => match self.last_left(Object::User(user), &[]) {
                Some((user, list, outcome)) => Move::To(Place::Follow { user, list, outcome }),
                None => self.after_rule(user, rule, outcome),
            },
        }
    }
}

/// The rule that a leaf belongs to.
fn rule_of(leaf: Leaf) -> Option<u32> {
    match leaf {
        Leaf::Ring { rule, .. }
        | Leaf::Forward { rule, .. }
        | Leaf::StatusForward { rule }
        | Leaf::Mailbox { rule, .. }
        | Leaf::Final { rule, .. }
        | Leaf::Goto { rule } => Some(rule),
        Leaf::Refuse(_) | Leaf::Spare => None,
    }
}

/// A number's tree asks of time frames alone.
struct FramesOnly<'a> {
    domain: &'a Domain,
    clock: &'a Clock,
    live: &'a dyn Live,
    forced: &'a RefCell<Forced>,
}

impl crate::rules::tree::Facts for FramesOnly<'_> {
    fn frame(&self, timed: u32) -> bool {
        self.domain.frame_holds(timed, self.clock, self.live, self.forced)
    }
    fn psap_callback(&self) -> bool {
        false
    }
    fn keys(&self) -> &[Name] {
        &[]
    }
    fn anonymous(&self) -> bool {
        false
    }
    fn unknown(&self) -> bool {
        false
    }
    fn unverified(&self) -> bool {
        false
    }
    fn passes(&self, _: &crate::rules::tree::WhiteList) -> bool {
        true
    }
    fn picked(&self) -> Option<u32> {
        None
    }
    fn status_forward(&self) -> bool {
        false
    }
    fn status_dnd(&self) -> Option<bool> {
        None
    }
    fn own_offline(&self) -> bool {
        false
    }
    fn active_calls(&self) -> u32 {
        0
    }
    fn direct(&self) -> bool {
        true
    }
    fn by_trunk(&self) -> bool {
        false
    }
}
