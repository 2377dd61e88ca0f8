//! A trail as an explanation: the one place where what was decided becomes tags.

use super::reasons;
use super::{Explanation, Leg, LegCallerId, Outcome, PassedOver, Step as Line};
use crate::rules::diagnostic::Span;
use crate::rules::domain::Domain;
use crate::rules::model::{Confirm, Destination, Diversion, Name, Refuse};
use crate::rules::outgoing::Way;
use crate::rules::plan::{LegTarget, PlannedLeg};
use crate::rules::planner::place_of;
use crate::rules::trail::{Object, Ringing, Standing, Step, Trail};
use crate::rules::tree::{Refused, TreeRule};
use std::borrow::Cow;

/// Renders a trail.
pub(in crate::rules) fn render(domain: &Domain, at: jiff::Timestamp, trail: &Trail) -> Explanation {
    let mut telling = Telling { domain, at, trail, lines: Vec::new(), legs: Vec::new() };
    for step in &trail.steps {
        telling.step(step);
    }
    let (kind, status) = match trail.standing {
        Standing::Undecided => ("", None),
        Standing::Ringing => ("ring", None),
        Standing::Outside => ("outside", None),
        Standing::Service => ("answered_by_system", None),
        Standing::Rejected(status) => ("reject", Some(status)),
    };
    Explanation {
        tags: telling.lines.iter().map(|line| line.tag.clone()).collect(),
        steps: telling.lines,
        legs: telling.legs,
        outcome: Outcome { kind: kind.to_owned(), status },
        generation: domain.generation(),
    }
}

pub(super) struct Telling<'a> {
    pub domain: &'a Domain,
    pub at: jiff::Timestamp,
    pub trail: &'a Trail,
    lines: Vec<Line>,
    legs: Vec<Leg>,
}

type Why = Cow<'static, str>;

impl Telling<'_> {
    fn say(&mut self, tag: impl Into<String>, span: Option<Span>, why: impl Into<Why>) {
        self.say_over(tag, span, why, Vec::new());
    }

    fn say_over(
        &mut self,
        tag: impl Into<String>,
        span: Option<Span>,
        why: impl Into<Why>,
        passed_over: Vec<PassedOver>,
    ) {
        let at = span.map(|span| self.domain.place(span).to_string()).unwrap_or_default();
        self.lines.push(Line { tag: tag.into(), at, why: why.into().into_owned(), passed_over });
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Ring(stage) => self.ring(*stage),
            Step::NothingRings { stage, outcome } => {
                let over = self.trail.ringing(*stage).map(reasons::skipped).unwrap_or_default();
                self.say_over(outcome.tag(), None, "nothing can ring", over);
            }
            Step::Ended { stage, outcome, ends } => {
                let why = self.trail.ringing(*stage).map(|ringing| reasons::ends(ringing, ends));
                self.say(outcome.tag(), None, why.unwrap_or_default());
            }
            Step::Answered { stage, leg } => {
                let leg = self.trail.ringing(*stage).and_then(|ringing| ringing.plan.legs.get(*leg));
                let name = leg.map(|leg| tag_name(&leg.to)).unwrap_or_default();
                self.say(format!("answered:{name}"), None, "took the call");
            }
            Step::Rule { of, rule, picked, forced } => self.rule(*of, *rule, *picked, forced),
            Step::Leaves { number, way, stage } => self.leaves(number, way, *stage),
            Step::Service { what, span, because } => {
                self.say(what.to_string(), *span, reasons::takes(what, *because));
            }
            Step::Reject { status, span, because } => {
                self.say(format!("reject:{status}"), *span, reasons::reject(because));
            }
            Step::Loop => self.say("loop", None, "this rule has decided this call before"),
            Step::Hops { budget } => self.say("hops", None, format!("more than {budget} hops (max_hops)")),
            Step::AllTrunksDown => self.say("failed", None, "every trunk of the route is down or full"),
            Step::Number(_)
            | Step::Foreign { .. }
            | Step::Dialled { .. }
            | Step::Extension(_)
            | Step::Code { .. }
            | Step::DialRule { .. }
            | Step::Class { .. }
            | Step::ClassOfRule { .. }
            | Step::Denied(_)
            | Step::EmergencyNumber { .. }
            | Step::Emergency { .. }
            | Step::Location(_)
            | Step::Callback(_) => self.dialled(step),
            Step::User { .. }
            | Step::Hunt { .. }
            | Step::Allowed { .. }
            | Step::Blocked { .. }
            | Step::Refused { .. }
            | Step::RefusedWith(_)
            | Step::Branch { .. }
            | Step::Screen { .. }
            | Step::ScreenRefused
            | Step::Forward { .. }
            | Step::OnFailure { .. }
            | Step::Rings { .. } => self.reached(step),
        }
    }

    /// What was called, and what a phone of ours may dial.
    fn dialled(&mut self, step: &Step) {
        match step {
            Step::Number(number) => {
                let name = self.domain.number_name(*number).cloned().unwrap_or_else(|| "".into());
                let span = self.domain.number_at(*number).map(|(entry, _)| entry.span);
                self.say(format!("number:{name}"), span, "a number of ours");
            }
            Step::Foreign { number, dialled } => {
                self.say(format!("number:{number}"), None, format!("{dialled} was called from outside"));
            }
            Step::Dialled { number, dialled } => {
                self.say(format!("number:{number}"), None, format!("{dialled} was dialled"));
            }
            Step::Extension(extension) => {
                let extension = self.domain.extensions.name(*extension).unwrap_or_default();
                let span = self.domain.extension_span(extension);
                self.say(format!("ext:{extension}"), span, "an extension of ours");
            }
            Step::Code { feature, span } => {
                self.say(format!("code:{feature}"), Some(*span), "a feature code");
            }
            Step::DialRule { rule, number, becomes } => {
                let dial = self.domain.dial.get(*rule as usize);
                let pattern = dial.map(|dial| dial.dialled.as_str()).unwrap_or_default();
                let why = format!("{number} matches {pattern}: it becomes {becomes}");
                self.say(format!("dial:{}", rule + 1), dial.map(|dial| dial.span), why);
            }
            Step::Class { class, number } => {
                let entry = self.domain.classes.get(*class as usize);
                let name = entry.map(|class| class.name.clone()).unwrap_or_else(|| "".into());
                let over = reasons::classes(self.domain, *class, number);
                let why = "its pattern has the longest literal beginning";
                self.say_over(format!("class:{name}"), entry.map(|class| class.span), why, over);
            }
            Step::ClassOfRule { class, rule } => {
                let span = self.domain.dial.get(*rule as usize).map(|dial| dial.span);
                self.say(format!("class:{class}"), span, "the dial rule says so");
            }
            Step::Denied(denied) => {
                let (tag, span, why) = reasons::denied(self.domain, denied);
                self.say(tag, span, why);
            }
            Step::EmergencyNumber { number, span, after } => {
                let after = after.as_ref().map(|digit| format!(", after {digit}")).unwrap_or_default();
                let built_in = if span.is_none() { " (built in)" } else { "" };
                let why = format!("{number} is an emergency number{built_in}{after}");
                self.say("class:emergency", *span, why);
            }
            Step::Emergency { located: true } => {
                self.say("emergency", None, "decided before everything else, and never denied");
            }
            Step::Emergency { located: false } => {
                let without = "no location is set, and it is placed all the same";
                let why = format!("decided before everything else, and never denied; {without}");
                self.say("emergency", None, why);
            }
            Step::Location(location) => {
                self.say(format!("location:{location}"), None, "where the caller is");
            }
            Step::Callback(number) => {
                self.say(format!("callback:{number}"), None, "where the emergency centre can call back");
            }
            _ => {}
        }
    }

    /// Whom the call came to, and what stopped it or sent it on.
    fn reached(&mut self, step: &Step) {
        match step {
            Step::User { user, by } => {
                let Some(entry) = self.domain.entry_at(*user) else { return };
                self.say(
                    format!("user:{}", entry.view.name),
                    Some(entry.span),
                    self.by(*by, "by their rules"),
                );
            }
            Step::Hunt { hunt, by } => {
                let Some(entry) = self.domain.hunts.get(*hunt as usize) else { return };
                self.say(format!("hunt:{}", entry.name), Some(entry.span), self.by(*by, "rings its list"));
            }
            Step::Allowed { user, entry } => {
                self.entry("allow", *user, *entry, "the allow list names the caller");
            }
            Step::Blocked { user, entry } => {
                self.entry("block", *user, *entry, "the block list names the caller");
            }
            Step::Refused { user, refused } => self.refused(*user, *refused),
            Step::RefusedWith(refuse) => self.refused_with(refuse),
            Step::Branch { user, branch } => {
                let (tag, why) = reasons::branch(self.domain.entry_at(*user), *branch);
                self.say(tag, None, why);
            }
            Step::Screen { user, rule } => {
                let span = self.tree_rule(Object::User(*user), *rule).and_then(|rule| rule.span);
                let why = "callers from outside say who they are, unless the allow list names them";
                self.say("screen", span, why);
            }
            Step::ScreenRefused => self.say("declined", None, "given: screening refuses the caller"),
            Step::Forward { user, rule, key, .. } => {
                let name = self.user_name(*user);
                let forward = rule.and_then(|rule| self.tree_rule(Object::User(*user), rule));
                let forward = forward.and_then(|rule| rule.forwards.iter().find(|(by, _)| by == key));
                let why = match forward {
                    Some(_) => format!("forward.{} of {name}", key.name()).into(),
                    None => Why::from("set by the user"),
                };
                let span = forward.map(|(_, forward)| forward.span);
                self.say(format!("forward:{}", key.name()), span, why);
            }
            Step::OnFailure { hunt, outcome } => {
                let Some(entry) = self.domain.hunts.get(*hunt as usize) else { return };
                let why = format!("on_failure of {}", entry.name);
                let span = entry.on_failure.as_ref().map(|on_failure| on_failure.span);
                self.say(format!("forward:{}", outcome.tag()), span, why);
            }
            Step::Rings { to, span } => self.say(to.to_string(), *span, "rings"),
            _ => {}
        }
    }

    fn by(&self, by: Option<crate::rules::trail::By>, otherwise: &str) -> String {
        use crate::rules::trail::By;
        match by {
            None => otherwise.to_owned(),
            Some(By::User(user)) => format!("forwarded by {}; {otherwise}", self.user_name(user)),
            Some(By::Hunt(hunt)) => format!("sent on by {}; {otherwise}", self.object(Object::Hunt(hunt))),
            Some(By::Follow(list)) => {
                format!("the last one left of {} (follow); {otherwise}", self.object(list))
            }
        }
    }

    fn object(&self, object: Object) -> String {
        match object {
            Object::User(user) => self.user_name(user).to_string(),
            Object::Hunt(hunt) => self
                .domain
                .hunts
                .get(hunt as usize)
                .map(|hunt| format!("hunt:{}", hunt.name))
                .unwrap_or_default(),
            Object::Number(number) => {
                self.domain.number_name(number).map(ToString::to_string).unwrap_or_default()
            }
        }
    }

    fn user_name(&self, user: u32) -> Name {
        self.domain.entry_at(user).map_or_else(|| "".into(), |user| user.view.name.clone())
    }

    /// An entry of a user's list, as written.
    fn entry(&mut self, list: &str, user: u32, entry: u32, why: &'static str) {
        let Some(tree) = self.domain.tree_of(user) else { return };
        let entries = if list == "allow" { &tree.allow } else { &tree.block };
        if let Some((written, span)) = entries.written.get(entry as usize) {
            self.say(format!("{list}:{written}"), Some(*span), why);
        }
    }

    fn refused(&mut self, user: u32, refused: Refused) {
        let span = self.domain.entry_at(user).map(|user| user.span);
        match refused {
            // Its tag, `block:X`, stands already.
            Refused::Blocked => {}
            Refused::Anonymous => self.say("anonymous", span, "the caller withholds their identity"),
            Refused::Unknown => self.say("unknown", span, "the caller has no number that can be read"),
            Refused::Unverified => {
                self.say("unverified", span, "the verification of the caller's identity failed");
            }
            Refused::WhiteList => {
                let span = self.domain.tree_of(user).and_then(|tree| tree.white_list.span);
                self.say("white_list:refused", span, "the white list does not name the caller");
            }
        }
    }

    fn refused_with(&mut self, refuse: &Refuse) {
        let (what, tag) = match refuse {
            Refuse::Announce(name) => ("announcement", format!("announce:{name}")),
            Refuse::Tone(name) => ("tone", format!("tone:{name}")),
            Refuse::Status(_) => return,
        };
        let why = match self.trail.live {
            true => format!("the {what} is not carried out yet: refused at once"),
            false => format!("the caller hears the {what}"),
        };
        self.say(tag, None, why);
    }

    pub(super) fn tree_rule(&self, of: Object, rule: u32) -> Option<&TreeRule> {
        let tree = match of {
            Object::User(user) => self.domain.tree_of(user)?,
            Object::Number(number) => self.domain.number_at(number)?.1,
            Object::Hunt(_) => return None,
        };
        tree.rules.get(rule as usize)
    }

    /// The rule chosen, and why those before it were passed over.
    fn rule(&mut self, of: Object, rule: u32, picked: bool, forced: &[(Name, bool)]) {
        let Some(chosen) = self.tree_rule(of, rule) else { return };
        let object = self.object(of);
        let name = |rule: &TreeRule| rule.name.as_deref().unwrap_or_default().to_owned();
        let tag = format!("rule:{object}/{}", name(chosen));
        let span = chosen.span;
        if picked {
            return self.say(tag, span, "picked by hand");
        }
        let why = match span {
            Some(_) => reasons::frames(self.domain, self.at, chosen, forced, true),
            None => "the user has no rules of their own: every phone rings".to_owned(),
        };
        let before = (0..rule).filter_map(|rule| self.tree_rule(of, rule));
        let over = before.map(|other| PassedOver {
            what: format!("rule:{object}/{}", name(other)),
            why: match other.enabled {
                true => reasons::frames(self.domain, self.at, other, forced, false),
                false => "disabled".to_owned(),
            },
        });
        let over = over.collect();
        self.say_over(tag, span, why, over);
    }

    fn ring(&mut self, stage: u32) {
        let Some(ringing) = self.trail.ringing(stage) else { return };
        let mut over = reasons::skipped(ringing);
        for leg in &ringing.plan.legs {
            let when = match leg.start.as_secs() {
                0 => "at once".to_owned(),
                seconds => format!("after {seconds} s"),
            };
            let rings = format!("rings {when}, for {} s", leg.ring_for.as_secs());
            let (start, ring_for) = (leg.start.as_secs(), leg.ring_for.as_secs());
            let tag = format!("ring:{}@{start}+{ring_for}", tag_name(&leg.to));
            let span = match &leg.to {
                LegTarget::Device(device) => self.domain.device_entry(device).map(|device| device.span),
                LegTarget::Outside { .. } => None,
            };
            self.say_over(tag, span, rings, std::mem::take(&mut over));
            self.leg(leg);
        }
    }

    /// What belongs to the leg named just before.
    fn leg(&mut self, leg: &PlannedLeg) {
        let confirm = leg.confirm.map(|confirm| match confirm {
            Confirm::One => "1",
            Confirm::Any => "any",
        });
        if let Some(key) = confirm {
            let why = "who answers presses a key before the call is theirs";
            self.say(format!("confirm:{key}"), None, why);
        }
        if let Some(number) = &leg.caller_id.number {
            self.say(format!("caller_id:{number}"), None, "the number that it shows");
        }
        if let Some(name) = &leg.caller_id.name {
            self.say(format!("caller_id_name:{name}"), None, "the name that it shows");
        }
        if let LegTarget::Outside { trunks, .. } = &leg.to {
            let first = trunks.first().and_then(|trunk| self.domain.trunk(trunk));
            let told = first.is_some_and(|trunk| trunk.diversion != Diversion::None);
            if let (true, Some((last, before))) = (told, leg.diversions.split_last()) {
                let before: String = before.iter().rev().map(|by| format!(", after {}", by.who)).collect();
                let why = format!("the trunk is told that {} forwards{before}", last.who);
                self.say(format!("diversion:{}", last.reason), None, why);
            }
            if let Some(charge) = &leg.charge
                && let Some(budget) = &charge.budget
            {
                let why = reasons::within(charge, budget);
                self.say(format!("budget:{}", charge.class), Some(budget.span), why);
            }
            for (index, trunk) in trunks.iter().enumerate() {
                let span = self.domain.trunks.get(trunk).map(|trunk| trunk.span);
                let why = match index {
                    0 => "the trunk that is tried first",
                    _ => "if those before fail before ringing",
                };
                self.say(format!("route:{trunk}"), span, why);
            }
        }
        self.legs.push(Leg {
            to: place_of(&leg.to).to_string(),
            start_s: leg.start.as_secs(),
            for_s: leg.ring_for.as_secs(),
            confirm: confirm.map(str::to_owned),
            caller_id: LegCallerId {
                name: leg.caller_id.name.as_deref().map(str::to_owned),
                number: leg.caller_id.number.as_deref().map(str::to_owned),
            },
        });
    }

    fn leaves(&mut self, number: &Name, way: &Way, stage: Option<u32>) {
        let span = way.route.and_then(|route| self.domain.routes.get(route as usize)).map(|route| route.span);
        let over = reasons::routes(self.domain, way);
        self.say_over(Destination::Tel(number.clone()).to_string(), span, "leaves by this route", over);
        let legs = stage.and_then(|stage| self.trail.ringing(stage));
        for leg in legs.map(|ringing: &Ringing| &ringing.plan.legs).into_iter().flatten() {
            self.leg(leg);
        }
    }
}

/// `101a`, `tel:+12025550181`.
pub(super) fn tag_name(to: &LegTarget) -> String {
    match to {
        LegTarget::Device(device) => device.to_string(),
        LegTarget::Outside { number, .. } => format!("tel:{number}"),
    }
}
