//! The page on a call to a user: what is asked, which rule answers, where it goes after that.

use super::answers::{Answers, FRAMES, active, after, decide, forward, list_tag};
use super::page::{Entry, Next, Page, Rung, greeting};
use crate::rules::model::{Destination, Device, Forward, Name, Refuse, User, When, WhiteListed};
use crate::rules::tree::{ForwardKey, Leaf, Refused, RingOutcome};

impl Page<'_> {
    pub(super) fn holds(&self, frame: &str, zone: &Name) -> bool {
        let overrides = |name: &str| self.given.time_frame.get(name).copied();
        let zone = jiff::tz::TimeZone::get(zone).unwrap();
        overrides(frame)
            .unwrap_or_else(|| self.model.time_frames[frame].value.contains_with(self.at, &zone, &overrides))
    }

    pub(super) fn when(&self, when: &When, zone: &Name) -> bool {
        match when {
            When::Always => true,
            When::AnyOf(all) => all.iter().any(|c| self.holds(&c.frame, zone) != c.negated),
        }
    }

    /// What the page asks of a call to this user.
    pub(super) fn answers(&self, name: &Name, by: Option<&Name>) -> Answers {
        let user = &self.model.users[name];
        let picked = self.given.rule.get(name);
        let picked = picked.and_then(|rule| user.rules.iter().position(|r| r.name == *rule));
        Answers {
            psap_callback: self.given.psap_callback,
            keys: self.caller.keys.clone(),
            anonymous: self.caller.anonymous,
            unknown: self.caller.unknown,
            unverified: self.given.verified.as_deref() == Some("failed"),
            passes: self.passes(user, by),
            frames: FRAMES.map(|frame| self.holds(frame, &user.zone)),
            picked: picked.map(|index| index as u32),
            status_forward: self.given.forward.contains_key(name),
            status_dnd: self.given.dnd.contains(name).then_some(true),
            own_offline: self.phones(name).iter().all(|device| self.given.offline.contains(device)),
            active_calls: self.given.active_calls.get(name).copied().unwrap_or(0),
            direct: self.direct(),
            from_trunk: !self.caller.inside,
            followed: false,
        }
    }

    pub(super) fn direct(&self) -> bool {
        !matches!(self.through, Some(Destination::Hunt(_) | Destination::Queue(_)))
    }

    pub(super) fn passes(&self, user: &User, by: Option<&Name>) -> bool {
        let names = |who: &Name| {
            let whose = &self.model.users[who];
            user.white_list.iter().any(|entry| match &entry.value {
                WhiteListed::User(name) => name == who,
                WhiteListed::Role(role) => whose.roles.contains(role),
                WhiteListed::Pattern(pattern) => whose.extensions.iter().any(|e| pattern.matches(e)),
                WhiteListed::Hunt(_) | WhiteListed::Queue(_) => false,
            })
        };
        if let Some(by) = by {
            return names(by);
        }
        let lists = |entry: &WhiteListed| match (entry, &self.through) {
            (WhiteListed::Hunt(name), Some(Destination::Hunt(hunt))) => name == hunt,
            (WhiteListed::Queue(name), Some(Destination::Queue(queue))) => name == queue,
            (WhiteListed::Pattern(pattern), _) => self.caller.keys.iter().any(|key| pattern.matches(key)),
            _ => false,
        };
        let outside = !self.caller.inside && !user.white_list_covers_all;
        outside
            || user.white_list.iter().any(|entry| lists(&entry.value))
            || self.caller.user.as_ref().is_some_and(names)
    }

    /// The phones of a user: own ones that nobody else sits at, the primary first; and desks where the user sits.
    pub(super) fn phones(&self, name: &Name) -> Vec<Name> {
        let seat = |device: &Name| self.given.hotdesk.get(device);
        let own: Vec<(&Name, &Device)> =
            self.model.devices.iter().filter(|(_, d)| d.user.as_ref() == Some(name)).collect();
        let mut phones: Vec<Name> =
            own.iter().filter(|(_, d)| d.primary).map(|(n, _)| (*n).clone()).collect();
        phones.extend(own.iter().filter(|(_, d)| !d.primary).map(|(n, _)| (*n).clone()));
        phones.retain(|device| seat(device).is_none_or(|seated| seated == name));
        let desks = self
            .model
            .devices
            .iter()
            .filter(|(n, d)| d.hotdesk && seat(n) == Some(name) && d.user.as_ref() != Some(name));
        phones.extend(desks.map(|(n, _)| n.clone()));
        phones
    }

    pub(super) fn user(&mut self, name: &Name, by: Option<&Name>, from: &Entry) -> Next {
        let user = &self.model.users[name];
        self.say(format!("user:{name}"));
        if let Some(over) = self.hop() {
            return over;
        }
        self.first.get_or_insert_with(|| name.clone());
        let mut answers = self.answers(name, by);
        if let Entry::Followed(outcome) = from {
            // Lists and screening by identity are not asked of a member.
            answers = Answers { followed: true, ..answers };
            let rule = active(user, &answers);
            self.say(format!("rule:{name}/{}", user.rules[rule as usize].name));
            if let Some(over) = self.again(format!("{name}/{rule}")) {
                return over;
            }
            return match outcome {
                Some(outcome) => self.outcome(name, rule, *outcome, &answers),
                None => self.decided(name, &answers),
            };
        }
        self.tags.extend(list_tag(self.model, user, &answers));
        let verdict = decide(self.model, name, &answers);
        match verdict.leaf {
            Leaf::Refuse(refused) => return self.refuse(refused),
            _ => {
                let rule = verdict.rule;
                self.say(format!("rule:{name}/{}", user.rules[rule as usize].name));
                if let Some(over) = self.again(format!("{name}/{rule}")) {
                    return over;
                }
            }
        }
        self.decided(name, &answers)
    }

    fn decided(&mut self, name: &Name, answers: &Answers) -> Next {
        let user = &self.model.users[name];
        let verdict = decide(self.model, name, answers);
        if let Some(branch) = verdict.branch {
            self.say(branch.tag);
        }
        let left = verdict.branch.and_then(|branch| branch.outcome);
        let busy = verdict.branch.is_some_and(|branch| branch.tag == "on_active");
        let greeting = if busy { "busy" } else { greeting(left) };
        match verdict.leaf {
            Leaf::Ring { rule, screen } => {
                if screen {
                    self.say("screen");
                    if self.given.screen_refused {
                        self.say("declined");
                        return self.outcome(name, rule, RingOutcome::Declined, answers);
                    }
                }
                match self.ring(Some(name), &user.rules[rule as usize].ring) {
                    Rung::Answered => Next::End,
                    Rung::Follow(next) => next,
                    Rung::Ended(outcome) => self.outcome(name, rule, outcome, answers),
                }
            }
            Leaf::StatusForward { .. } => {
                let to = self.given.forward[name].clone();
                let forward = Forward {
                    span: Default::default(),
                    to,
                    confirm: None,
                    caller_id: None,
                    direct_only: false,
                };
                self.forward(name, ForwardKey::Always, &forward, greeting, "unconditional")
            }
            leaf => self.leave(name, leaf, greeting, left),
        }
    }

    pub(super) fn outcome(
        &mut self,
        name: &Name,
        rule: u32,
        outcome: RingOutcome,
        answers: &Answers,
    ) -> Next {
        let user = &self.model.users[name];
        let leaf = after(user, &user.rules[rule as usize], rule, outcome, answers);
        self.leave(name, leaf, greeting(Some(outcome)), Some(outcome))
    }

    fn leave(&mut self, name: &Name, leaf: Leaf, greeting: &'static str, left: Option<RingOutcome>) -> Next {
        let user = &self.model.users[name];
        match leaf {
            Leaf::Forward { rule, by } => {
                let leaves = forward(&user.rules[rule as usize], by).unwrap();
                self.forward(name, by, leaves, greeting, reason(by, left))
            }
            Leaf::Mailbox { .. } => {
                self.say(format!("voicemail:{name}/{greeting}"));
                Next::End
            }
            Leaf::Final { outcome, .. } => self.final_response(outcome),
            other => unreachable!("{other:?}"),
        }
    }

    fn forward(
        &mut self,
        name: &Name,
        key: ForwardKey,
        forward: &Forward,
        greeting: &'static str,
        reason: &'static str,
    ) -> Next {
        self.say(format!("forward:{}", key.name()));
        if self.can_be_named(name) {
            self.diverted = Some(reason);
        }
        let to = &forward.to;
        let rings = match to {
            Destination::User(next) => {
                return Next::User { name: next.clone(), by: Some(name.clone()), from: Entry::Called };
            }
            Destination::Tel(number) => !self.model.numbers.contains_key(number),
            Destination::Handset(_) | Destination::Device(_) => true,
            _ => false,
        };
        if !rings {
            return Next::To { to: to.clone(), greeting, from_hunt: false, by: Some(name.clone()) };
        }
        self.say(to.to_string());
        if matches!(to, Destination::Tel(_))
            && let Some(over) = self.hop()
        {
            return over;
        }
        let user = &self.model.users[name];
        let ring_for = user.ring_for.as_secs();
        match self.rings_place(Some(name), to, Some(forward), ring_for) {
            None => Next::End,
            Some((outcome, denied)) => {
                let of = if denied { greeting } else { self::greeting(Some(outcome)) };
                if user.mailbox {
                    self.say(format!("voicemail:{name}/{of}"));
                    return Next::End;
                }
                self.final_response(outcome)
            }
        }
    }

    pub(super) fn refuse(&mut self, refused: Refused) -> Next {
        let policy = &self.model.policy;
        let (tag, refuse) = match refused {
            Refused::Blocked => (None, policy.reject_blocked.value.clone()),
            Refused::Anonymous => (Some("anonymous"), policy.reject_anonymous.value.clone()),
            Refused::Unknown => (Some("unknown"), policy.reject_unknown.value.clone()),
            Refused::Unverified => (Some("unverified"), policy.reject_unknown.value.clone()),
            Refused::WhiteList => (Some("white_list:refused"), Refuse::Status(403)),
        };
        self.tags.extend(tag.map(str::to_owned));
        match refuse {
            Refuse::Status(status) => return self.reject(status),
            Refuse::Announce(name) => self.say(format!("announce:{name}")),
            Refuse::Tone(name) => self.say(format!("tone:{name}")),
        }
        self.reject(603)
    }

    pub(super) fn final_response(&mut self, outcome: RingOutcome) -> Next {
        self.reject(match outcome {
            RingOutcome::Busy => 486,
            RingOutcome::Declined => 603,
            RingOutcome::Dnd | RingOutcome::NoAnswer | RingOutcome::Offline | RingOutcome::Failed => 480,
        })
    }
}

fn reason(by: ForwardKey, left: Option<RingOutcome>) -> &'static str {
    match (by, left) {
        (ForwardKey::OnActive, _) => "user-busy",
        (_, None) => "unconditional",
        (_, Some(RingOutcome::Busy)) => "user-busy",
        (_, Some(RingOutcome::Dnd)) => "do-not-disturb",
        (_, Some(RingOutcome::NoAnswer)) => "no-answer",
        (_, Some(RingOutcome::Offline)) => "unavailable",
        (_, Some(RingOutcome::Declined)) => "deflection",
        (_, Some(RingOutcome::Failed)) => "unknown",
    }
}
