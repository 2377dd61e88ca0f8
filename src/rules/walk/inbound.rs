//! A call that comes to a number or a user of ours.

use super::{Departure, Left, Mode, Move, Next, Place, Purpose, Walk, cause};
use crate::number::normalise;
use crate::rules::domain::UserEntry;
use crate::rules::facts::Live;
use crate::rules::model::{Destination, Name, Refuse};
use crate::rules::trail::{FrameSeen, Standing, Why};
use crate::rules::tree::{
    Decision, ForwardKey, Leaf, Node, NodeId, Path, Refused, RingOutcome, Test, Tree, TreeCondition, TreeRule,
};
use crate::rules::user_facts::UserFacts;
use std::cell::RefCell;

impl Walk {
    /// From outside one reaches numbers of ours only, never bare extensions.
    pub(super) fn dialled_from_outside(&mut self, dialled: &str) -> Move {
        let trunk = self.party.trunk.as_ref().and_then(|trunk| self.domain.trunks.get(trunk));
        let locale = trunk.map_or(&self.domain.locale, |trunk| &trunk.locale);
        match normalise(dialled, locale) {
            Some(number) if self.domain.number_index.contains_key(number.as_str()) => {
                Move::To(Place::Number(number.into()))
            }
            Some(number) => {
                self.trail.push(
                    format!("number:{number}"),
                    None,
                    format!("{dialled} was called from outside"),
                );
                Move::Stop(self.reject(404, Some(cause::UNALLOCATED), None, "not a number of ours"))
            }
            None => {
                let why = format!("{dialled} is no number; extensions can't be dialled from outside");
                Move::Stop(self.reject(404, Some(cause::UNALLOCATED), None, why))
            }
        }
    }

    pub(super) fn enter_number(&mut self, live: &dyn Live, number: &Name) -> Move {
        let domain = self.domain.clone();
        let Some((entry, tree)) = domain.number_tree(number) else {
            return Move::Stop(self.reject(404, Some(cause::UNALLOCATED), None, "not a number of ours"));
        };
        self.trail.push(format!("number:{number}"), Some(entry.span), "a number of ours");
        if let Some(over) = self.hop() {
            return over;
        }
        self.did.get_or_insert_with(|| number.clone());
        self.prefix.push_str(entry.caller_id_prefix.as_deref().unwrap_or_default());
        self.alert = entry.alert.clone().or(self.alert.take());
        let mut path = Path::new();
        let facts = FramesOnly { domain: &domain, at: self.call.at, live };
        let leaf = tree.decide_call(&domain.trees.lists, &facts, &mut path).map(|d| d.leaf);
        let Some(Leaf::Goto { rule }) = leaf else {
            return Move::Stop(self.reject(
                404,
                Some(cause::UNALLOCATED),
                Some(entry.span),
                "held in the spare pool",
            ));
        };
        let Some(chosen) = tree.rules.get(rule as usize) else { return self.broken() };
        if let Some(name) = &chosen.name {
            let over = self.rules_before(live, tree, rule, &format!("{number}/"));
            let why = self.frames(live, chosen);
            self.trail.push_over(format!("rule:{number}/{name}"), chosen.span, why, over);
        }
        if let Some(looped) = self.repeated(Destination::Tel(number.clone()), rule) {
            return looped;
        }
        match &chosen.to {
            Some((to, _)) => Move::To(Place::Destination(to.clone())),
            None => self.broken(),
        }
    }

    pub(super) fn enter_user(&mut self, live: &dyn Live, name: &Name, by: Option<&Name>) -> Move {
        let domain = self.domain.clone();
        let (Some(user), Some(tree)) = (domain.user_entry(name), domain.user_tree(name)) else {
            return self.broken();
        };
        let why =
            by.map_or_else(|| "by their rules".to_owned(), |by| format!("forwarded by {by}; by their rules"));
        self.trail.push(format!("user:{name}"), Some(user.span), why);
        if let Some(over) = self.hop() {
            return over;
        }
        self.first_user.get_or_insert_with(|| name.clone());
        self.user = Some(name.clone());
        self.decide_user(live, user, tree, by, 0, None)
    }

    /// Decides at this node of the user's tree, and says how.
    pub(super) fn decide_user(
        &mut self,
        live: &dyn Live,
        user: &UserEntry,
        tree: &Tree,
        by: Option<&Name>,
        start: NodeId,
        left: Option<Left>,
    ) -> Move {
        let domain = self.domain.clone();
        let by = by.and_then(|by| domain.user_entry(by));
        let party = self.party.clone();
        let call = self.call.clone();
        let facts = UserFacts { domain: &domain, live, call: &call, party: &party, user, tree, by };
        let mut path = Path::new();
        let Some(decision) = tree.decide(&domain.trees.lists, start, &facts, &mut path) else {
            return self.broken();
        };
        if start == 0 {
            self.say_lists(tree, decision);
            if let Some(rule) = rule_of(decision.leaf) {
                self.say_rule(live, &facts, rule);
                if let Some(looped) = self.repeated(Destination::User(user.view.name.clone()), rule) {
                    return looped;
                }
            }
        }
        let left = left.or_else(|| self.say_branch(&facts, &path, decision.leaf));
        self.take(live, &facts, decision.leaf, left.unwrap_or(Left::Always))
    }

    /// Which entry of the user's lists let the caller through, or stopped it.
    fn say_lists(&mut self, tree: &Tree, decision: Decision) {
        let written =
            |list: &crate::rules::tree::Entries, entry: u32| list.written.get(entry as usize).cloned();
        if let Some((entry, span)) = decision.allowed.and_then(|e| written(&tree.allow, e)) {
            self.trail.push(format!("allow:{entry}"), Some(span), "the allow list names the caller");
        }
        if let Some((entry, span)) = decision.blocked.and_then(|e| written(&tree.block, e)) {
            self.trail.push(format!("block:{entry}"), Some(span), "the block list names the caller");
        }
    }

    /// The answering rule, and why those before it were passed over.
    fn say_rule(&mut self, live: &dyn Live, facts: &UserFacts<'_>, rule: u32) {
        use crate::rules::tree::Facts as _;
        let Some(chosen) = facts.tree.rules.get(rule as usize) else { return };
        let name = chosen.name.as_deref().unwrap_or_default();
        let user = &facts.user.view.name;
        let tag = format!("rule:{user}/{name}");
        if facts.picked() == Some(rule) {
            self.trail.push(tag, chosen.span, "picked by hand");
            return;
        }
        let over = self.rules_before(live, facts.tree, rule, &format!("{user}/"));
        let why = match chosen.span {
            Some(_) => self.frames(live, chosen),
            None => "the user has no rules of their own: every phone rings".into(),
        };
        self.trail.push_over(tag, chosen.span, why, over);
    }

    fn rules_before(&self, live: &dyn Live, tree: &Tree, rule: u32, prefix: &str) -> Vec<(String, Why)> {
        let before = tree.rules.iter().take(rule as usize);
        let over = |other: &TreeRule| {
            let name = other.name.as_deref().unwrap_or_default();
            let why = if other.enabled { self.frames(live, other) } else { "disabled".into() };
            (format!("rule:{prefix}{name}"), why)
        };
        before.map(over).collect()
    }

    fn frames(&self, live: &dyn Live, rule: &TreeRule) -> Why {
        let seen = |condition: &TreeCondition| FrameSeen {
            condition: *condition,
            forced: self.overrides(condition.timed, live),
        };
        Why::Frames(rule.when.iter().map(seen).collect())
    }

    /// The overrides of the clock that a frame met.
    fn overrides(&self, timed: u32, live: &dyn Live) -> Vec<(Name, bool)> {
        let met = RefCell::new(Vec::new());
        let overrides = |name: &str| {
            let forced = live.frame_override(name);
            met.borrow_mut().extend(forced.map(|on| (Name::from(name), on)));
            forced
        };
        if let Some((named, zone)) = self.domain.timed(timed)
            && overrides(&named.name).is_none()
        {
            let _ = named.frame.contains_with(self.call.at, zone, &overrides);
        }
        met.into_inner()
    }

    /// The branch taken after the rule was chosen, as its tag.
    fn say_branch(&mut self, facts: &UserFacts<'_>, path: &Path, leaf: Leaf) -> Option<Left> {
        use crate::rules::tree::Facts as _;
        if matches!(leaf, Leaf::Ring { .. } | Leaf::Refuse(_)) {
            return None;
        }
        let yes = path.iter().filter(|visit| *visit & 1 == 1);
        let asked = yes.filter_map(|visit| match facts.tree.nodes.get((visit >> 1) as usize)? {
            Node::Ask { test, .. } => Some(*test),
            Node::Picked { .. } | Node::Leaf(_) => None,
        });
        let mut left = None;
        for test in asked {
            let (tag, why, reason) = match test {
                Test::Dnd { .. } => {
                    let why =
                        if facts.status_dnd() == Some(true) { "set by the user" } else { "the rule says so" };
                    ("dnd", why.into(), Left::Outcome(RingOutcome::Dnd))
                }
                Test::OwnOffline => (
                    "offline",
                    Why::from("all of the user's phones are offline"),
                    Left::Outcome(RingOutcome::Offline),
                ),
                Test::OnActive if matches!(leaf, Leaf::Forward { by: ForwardKey::OnActive, .. }) => {
                    ("on_active", self.calls(facts), Left::OnActive)
                }
                Test::Busy { .. } => ("busy", self.calls(facts), Left::Outcome(RingOutcome::Busy)),
                _ => continue,
            };
            self.trail.push(tag, None, why);
            left = Some(reason);
        }
        left
    }

    fn calls(&self, facts: &UserFacts<'_>) -> Why {
        use crate::rules::tree::Facts as _;
        let paths = facts.user.busy_from.map(|paths| format!(", busy from {paths}")).unwrap_or_default();
        format!("{} calls are up{paths}", facts.active_calls()).into()
    }

    /// Does what the leaf says.
    fn take(&mut self, live: &dyn Live, facts: &UserFacts<'_>, leaf: Leaf, left: Left) -> Move {
        let user = &facts.user.view.name;
        match leaf {
            Leaf::Refuse(refused) => self.refuse(facts, refused),
            Leaf::Ring { rule, screen } => self.ring_rule(live, facts, rule, screen),
            Leaf::Forward { rule, by } => {
                let chosen = facts.tree.rules.get(rule as usize);
                let forward = chosen.and_then(|r| r.forwards.iter().find(|(key, _)| *key == by));
                let Some((_, forward)) = forward else { return self.broken() };
                Move::To(Place::Forward(Box::new(Departure {
                    user: user.clone(),
                    key: by,
                    left,
                    to: forward.to.clone(),
                    span: Some(forward.span),
                    confirm: forward.confirm,
                    caller_id: forward.caller_id.clone(),
                })))
            }
            Leaf::StatusForward { .. } => {
                let Some(to) = facts.forward_set() else { return self.broken() };
                Move::To(Place::Forward(Box::new(Departure {
                    user: user.clone(),
                    key: ForwardKey::Always,
                    left: Left::Always,
                    to,
                    span: None,
                    confirm: None,
                    caller_id: None,
                })))
            }
            Leaf::Mailbox { outcome, .. } | Leaf::Final { outcome, .. } => {
                Move::Stop(self.mailbox_or_final(facts.user, Left::Outcome(outcome), outcome))
            }
            Leaf::Goto { .. } | Leaf::Spare => self.broken(),
        }
    }

    fn refuse(&mut self, facts: &UserFacts<'_>, refused: Refused) -> Move {
        let policy = &self.domain.policy;
        let white_list = facts.tree.white_list.span;
        let (tag, at, why, refuse) = match refused {
            // Its tag, `block:X`, stands already.
            Refused::Blocked => {
                (None, Some(policy.reject_blocked.span), "by policy", policy.reject_blocked.value.clone())
            }
            Refused::Anonymous => {
                let refuse = policy.reject_anonymous.value.clone();
                (Some("anonymous"), Some(facts.user.span), "the caller withholds their identity", refuse)
            }
            Refused::Unknown => {
                let refuse = policy.reject_unknown.value.clone();
                (Some("unknown"), Some(facts.user.span), "the caller has no number that can be read", refuse)
            }
            Refused::WhiteList => (
                Some("white_list:refused"),
                white_list,
                "the white list does not name the caller",
                Refuse::Status(403),
            ),
        };
        if let Some(tag) = tag {
            self.trail.push(tag, at, why);
        }
        let rejected = Some(cause::CALL_REJECTED);
        Move::Stop(match refuse {
            Refuse::Status(status) => {
                let cause = match status {
                    404 => Some(cause::UNALLOCATED),
                    486 => Some(cause::USER_BUSY),
                    _ => rejected,
                };
                self.reject(status, cause, None, "refused")
            }
            Refuse::Announce(name) => {
                self.trail.push(format!("announce:{name}"), None, self.unless_live("announcement"));
                self.reject(603, rejected, None, "after the announcement")
            }
            Refuse::Tone(name) => {
                self.trail.push(format!("tone:{name}"), None, self.unless_live("tone"));
                self.reject(603, rejected, None, "after the tone")
            }
        })
    }

    fn unless_live(&self, what: &str) -> String {
        match self.mode {
            Mode::Live => format!("the {what} is not carried out yet: refused at once"),
            Mode::Dry { .. } => format!("the caller hears the {what}"),
        }
    }

    fn ring_rule(&mut self, live: &dyn Live, facts: &UserFacts<'_>, rule: u32, screen: bool) -> Move {
        let chosen = facts.tree.rules.get(rule as usize);
        let Some((chosen, template)) = chosen.and_then(|r| Some((r, r.ring.as_ref()?))) else {
            return self.broken();
        };
        if self.mode == Mode::Live
            && let Some((key, span)) = chosen.not_carried_out.iter().find(|(key, _)| &**key != "screen")
        {
            return self.not_carried_out(key, Some(*span));
        }
        if screen {
            self.trail.push(
                "screen",
                chosen.span,
                "callers from outside say who they are, unless the allow list names them",
            );
            match self.mode {
                Mode::Live => return self.not_carried_out("screening", chosen.span),
                Mode::Dry { screen_refused: true } => {
                    self.trail.push("declined", None, "given: screening refuses the caller");
                    return self.after_rule(live, facts.user, rule, RingOutcome::Declined);
                }
                Mode::Dry { screen_refused: false } => {}
            }
        }
        let draft = self.planner(live).of_rule(facts.user, template);
        let purpose = Purpose::Rule { user: facts.user.view.name.clone(), rule };
        match self.ring(draft, purpose, Standing::Ringing) {
            Ok(next) => Move::Stop(next),
            Err(outcome) => self.after_rule(live, facts.user, rule, outcome),
        }
    }

    /// A pair that decided before: the call goes round.
    fn repeated(&mut self, object: Destination, rule: u32) -> Option<Move> {
        let pair = (object, rule);
        if self.seen.contains(&pair) {
            self.trail.push("loop", None, "this rule has decided this call before");
            return Some(self.last_resort(cause::EXCHANGE_ROUTING_ERROR));
        }
        self.seen.push(pair);
        None
    }

    /// A reference that the loader resolved does not resolve: a fault of ours, which must not take the call down with it.
    pub(super) fn broken(&mut self) -> Move {
        let next: Next =
            self.reject(480, Some(cause::TEMPORARY_FAILURE), None, "the compiled rules are inconsistent");
        Move::Stop(next)
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
    domain: &'a crate::rules::Domain,
    at: jiff::Timestamp,
    live: &'a dyn Live,
}

impl crate::rules::tree::Facts for FramesOnly<'_> {
    fn frame(&self, timed: u32) -> bool {
        self.domain.frame_holds(timed, self.at, self.live)
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
