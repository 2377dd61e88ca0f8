//! The references of a model, table by table.

use super::{How, Kind, Object, Reference, target};
use crate::rules::calendar::{Frame, Part};
use crate::rules::destination::parse_destination;
use crate::rules::diagnostic::Span;
use crate::rules::model::{
    At, Destination, Device, EmergencyKeys, Expect, Forward, ListEntry, Model, Name, Number, NumberTo,
    Refuse, Ring, Rule, Strategy, Target, TargetTo, User, When, WhiteListed,
};

/// Every reference, in the order of tables.
pub(super) fn references(model: &Model) -> Vec<Reference> {
    let mut collected = Collected { model, references: Vec::new() };
    collected.domain();
    for (name, site) in &model.sites {
        let from = Object::new(Kind::Site, name);
        collected.emergency(&from, &site.emergency);
        collected.classes(&from, "restrict", site.restrict.keys(), site.span);
        collected.classes(&from, "budget", site.budget.keys(), site.span);
    }
    for (name, frame) in &model.time_frames {
        // Calendars stand among the frames, too.
        let from = frame_object(name);
        collected.frame(&from, &frame.value, frame.span);
    }
    for (name, number) in &model.numbers {
        collected.number(&Object::new(Kind::Number, name), number);
    }
    for (name, user) in &model.users {
        collected.user(name, user);
    }
    for (name, device) in &model.devices {
        collected.device(&Object::new(Kind::Device, name), device);
    }
    collected.services();
    collected.outbound();
    for (index, expect) in model.expects.iter().enumerate() {
        collected.expect(index, expect);
    }
    collected.references
}

/// `holidays` is a time frame, `calendar:us-holidays` a calendar.
fn frame_object(name: &Name) -> Object {
    match name.strip_prefix("calendar:") {
        Some(calendar) => Object::new(Kind::Calendar, &calendar.into()),
        None => Object::new(Kind::TimeFrame, name),
    }
}

/// How a condition reads; `None` for always.
pub(super) fn condition(when: &When) -> Option<String> {
    let When::AnyOf(conditions) = when else { return None };
    let words = conditions.iter().map(|c| format!("{}{}", if c.negated { "not " } else { "" }, c.frame));
    Some(words.collect::<Vec<_>>().join(" or "))
}

pub(super) struct Collected<'m> {
    pub model: &'m Model,
    references: Vec<Reference>,
}

impl Collected<'_> {
    pub(super) fn add(
        &mut self,
        from: &Object,
        to: Object,
        how: How,
        by: &str,
        when: Option<&str>,
        span: Span,
    ) {
        let (from, by, when) = (from.clone(), by.to_owned(), when.map(str::to_owned));
        self.references.push(Reference { from, to, how, by, when, implied: false, span });
    }

    pub(super) fn uses(&mut self, from: &Object, kind: Kind, name: &Name, by: &str, span: Span) {
        self.add(from, Object::new(kind, name), How::Uses, by, None, span);
    }

    pub(super) fn goes(&mut self, from: &Object, to: &Destination, by: &str, when: Option<&str>, span: Span) {
        if let Some((to, how)) = target(self.model, to) {
            self.add(from, to, how, by, when, span);
        }
    }

    fn when(&mut self, from: &Object, when: &When, by: &str) {
        let When::AnyOf(conditions) = when else { return };
        for condition in conditions {
            let to = frame_object(&condition.frame);
            self.add(from, to, How::Uses, by, None, condition.span);
        }
    }

    fn emergency(&mut self, from: &Object, keys: &EmergencyKeys) {
        if let Some(callback) = &keys.callback {
            self.uses(from, Kind::Callback, &callback.value, "emergency.callback", callback.span);
        }
        if let Some(location) = &keys.location {
            self.uses(from, Kind::Location, &location.value, "emergency.location", location.span);
        }
    }

    fn classes<'n>(
        &mut self,
        from: &Object,
        by: &'static str,
        classes: impl Iterator<Item = &'n Name>,
        span: Span,
    ) {
        for class in classes {
            self.uses(from, Kind::Class, class, by, span);
        }
    }

    fn domain(&mut self) {
        let policy = Object { kind: Kind::Policy, name: "".into() };
        let all = [
            ("reject_blocked", &self.model.policy.reject_blocked),
            ("reject_anonymous", &self.model.policy.reject_anonymous),
            ("reject_unknown", &self.model.policy.reject_unknown),
        ];
        for (by, refuse) in all {
            if let Refuse::Announce(name) = &refuse.value {
                self.uses(&policy, Kind::Announce, name, by, refuse.span);
            }
        }
        let domain = Object { kind: Kind::Domain, name: "".into() };
        self.emergency(&domain, &self.model.emergency);
    }

    /// An excepted frame is not expanded here: it is an object with references of its own.
    fn frame(&mut self, from: &Object, frame: &Frame, span: Span) {
        for part in &frame.parts {
            if let Part::Days(days) = part
                && let Some(calendar) = &days.calendar
                && from.kind != Kind::Calendar
            {
                self.uses(from, Kind::Calendar, calendar, "calendar", span);
            }
        }
        for excepted in &frame.except {
            self.add(from, frame_object(&excepted.name), How::Uses, "except", None, span);
        }
    }

    fn number(&mut self, from: &Object, number: &Number) {
        match &number.to {
            NumberTo::Spare => {}
            NumberTo::To(to) => self.goes(from, &to.value, "to", None, to.span),
            NumberTo::Rules(rules) => {
                for (index, rule) in rules.iter().enumerate() {
                    let name = rule.name.as_deref().map_or_else(|| (index + 1).to_string(), str::to_owned);
                    let when = condition(&rule.when);
                    self.goes(
                        from,
                        &rule.to.value,
                        &format!("rule `{name}`, to"),
                        when.as_deref(),
                        rule.to.span,
                    );
                    self.when(from, &rule.when, &format!("rule `{name}`, when"));
                }
            }
        }
    }

    fn user(&mut self, name: &Name, user: &User) {
        let from = Object::new(Kind::User, name);
        if let Some(site) = &user.site {
            self.uses(&from, Kind::Site, site, "site", user.span);
        }
        for role in &user.roles {
            self.uses(&from, Kind::Role, role, "role", user.span);
        }
        self.emergency(&from, &user.emergency);
        self.classes(&from, "restrict", user.restrict.keys(), user.span);
        self.classes(&from, "budget", user.budget.keys(), user.span);
        for (by, list) in [("allow", &user.allow), ("block", &user.block)] {
            for entry in list {
                if let ListEntry::List(list) = &entry.value {
                    self.uses(&from, Kind::List, list, by, entry.span);
                }
            }
        }
        for entry in &user.white_list {
            let (kind, named) = match &entry.value {
                WhiteListed::User(named) => (Kind::User, named),
                WhiteListed::Hunt(named) => (Kind::Hunt, named),
                WhiteListed::Queue(named) => (Kind::Queue, named),
                WhiteListed::Role(named) => (Kind::Role, named),
                WhiteListed::Pattern(_) => continue,
            };
            self.uses(&from, kind, named, "white_list", entry.span);
        }
        for rule in &user.rules {
            self.rule(&from, rule);
        }
        if user.mailbox {
            // By outcome, where no forward says otherwise.
            let mailbox = Object::new(Kind::Mailbox, name);
            self.mailbox(&mailbox, &user.voicemail, user.span);
            self.implied(&from, mailbox, How::Goes, "its mailbox", None, user.span);
        }
    }

    fn rule(&mut self, from: &Object, rule: &Rule) {
        let name = &rule.name;
        self.when(from, &rule.when, &format!("rule `{name}`, when"));
        let when = match (condition(&rule.when), rule.enabled) {
            (when, true) => when,
            (when, false) => Some(format!("{}, disabled", when.as_deref().unwrap_or("always"))),
        };
        if rule.forward.always.is_none() {
            self.ring(from, &rule.ring, &format!("rule `{name}`, ring.targets"), when.as_deref());
        }
        let forwards: [(&str, &Option<Forward>); 8] = [
            ("always", &rule.forward.always),
            ("dnd", &rule.forward.dnd),
            ("on_active", &rule.forward.on_active),
            ("busy", &rule.forward.busy),
            ("no_answer", &rule.forward.no_answer),
            ("declined", &rule.forward.declined),
            ("offline", &rule.forward.offline),
            ("otherwise", &rule.forward.otherwise),
        ];
        for (key, forward) in forwards {
            if let Some(forward) = forward {
                let by = format!("rule `{name}`, forward.{key}");
                self.goes(from, &forward.to, &by, when.as_deref(), forward.span);
            }
        }
    }

    pub(super) fn ring(&mut self, from: &Object, ring: &Ring, by: &str, when: Option<&str>) {
        if let Some(hear) = &ring.hear
            && let Some(music) = hear.value.strip_prefix("moh:")
        {
            self.uses(from, Kind::Music, &music.into(), "ring.hear", hear.span);
        }
        if ring.strategy == Strategy::Own || ring.initial.is_some() {
            self.own(from, "rings its own phones", when, ring.span);
        }
        for target in &ring.targets {
            self.target(from, target, by, when);
        }
    }

    /// Its own phones, each a reference.
    fn own(&mut self, from: &Object, by: &str, when: Option<&str>, span: Span) {
        let theirs = self.model.devices.iter().filter(|(_, d)| d.user.as_ref() == Some(&from.name));
        let devices: Vec<Name> = theirs.map(|(name, _)| name.clone()).collect();
        for device in devices {
            self.implied(from, Object::new(Kind::Device, &device), How::Rings, by, when, span);
        }
    }

    fn implied(&mut self, from: &Object, to: Object, how: How, by: &str, when: Option<&str>, span: Span) {
        self.add(from, to, how, by, when, span);
        if let Some(last) = self.references.last_mut() {
            last.implied = true;
        }
    }

    /// A user as a target is rung, and not asked, unless the target follows them.
    fn target(&mut self, from: &Object, target: &Target, by: &str, when: Option<&str>) {
        for to in &target.to {
            match &to.value {
                TargetTo::SelfPrimary | TargetTo::SelfAll => self.own(from, by, when, to.span),
                TargetTo::Destination(Destination::User(name)) => {
                    let how = if target.follow.is_some() { How::Goes } else { How::Rings };
                    self.add(from, Object::new(Kind::User, name), how, by, when, to.span);
                }
                TargetTo::Destination(to_what) => {
                    let Some((object, _)) = super::target(self.model, to_what) else { continue };
                    self.add(from, object, How::Rings, by, when, to.span);
                }
            }
        }
    }

    fn device(&mut self, from: &Object, device: &Device) {
        if let Some(user) = &device.user {
            self.uses(from, Kind::User, user, "user", device.span);
        }
        if let Some(site) = &device.site {
            self.uses(from, Kind::Site, site, "site", device.span);
        }
        if let Some(location) = &device.location {
            self.uses(from, Kind::Location, &location.value, "location", location.span);
        }
        self.classes(from, "restrict", device.restrict.keys(), device.span);
    }

    fn outbound(&mut self) {
        let model = self.model;
        for (index, dial) in model.dial.iter().enumerate() {
            let from = Object { kind: Kind::Dial, name: (index + 1).to_string().into() };
            if let Some(class) = &dial.class {
                self.uses(&from, Kind::Class, class, "class", dial.span);
            }
            if let Some(to) = dial.rewrite_as.as_ref().and_then(|text| super::resolve(model, text)) {
                let dialled = format!("{} is dialled", dial.dialled.as_str());
                self.add(&from, to, How::Goes, "as", Some(&dialled), dial.span);
            }
        }
        for (index, route) in model.routes.iter().enumerate() {
            let from = Object { kind: Kind::Route, name: (index + 1).to_string().into() };
            if let Some(site) = &route.site {
                self.uses(&from, Kind::Site, site, "site", route.span);
            }
            for class in &route.classes {
                self.uses(&from, Kind::Class, class, "classes", route.span);
            }
            for trunk in &route.via {
                self.uses(&from, Kind::Trunk, trunk, "via", route.span);
            }
        }
    }

    fn expect(&mut self, index: usize, expect: &Expect) {
        let from = Object { kind: Kind::Expect, name: (index + 1).to_string().into() };
        let by = format!("golden test `{}`", expect.name);
        let mut named: Vec<(Object, Span)> = Vec::new();
        let mut name = |kind, name: &Name| named.push((Object::new(kind, name), expect.span));
        if let Some(device) = &expect.from_device {
            name(Kind::Device, device);
        }
        let given = &expect.given;
        for device in given.offline.iter().chain(&given.busy).chain(&given.no_answer).chain(&given.declined) {
            name(Kind::Device, device);
        }
        for user in
            given.active_calls.keys().chain(&given.dnd).chain(given.forward.keys()).chain(given.rule.keys())
        {
            name(Kind::User, user);
        }
        for (device, user) in &given.hotdesk {
            name(Kind::Device, device);
            name(Kind::User, user);
        }
        given.time_frame.keys().for_each(|frame| named.push((frame_object(frame), expect.span)));
        given.trunk_down.iter().for_each(|trunk| named.push((Object::new(Kind::Trunk, trunk), expect.span)));
        let called =
            expect.via.iter().chain([&expect.to]).filter_map(|text| super::resolve(self.model, text));
        named.extend(called.map(|object| (object, expect.span)));
        named.extend(expect.then.iter().chain(&expect.then_not).filter_map(tagged));
        for (to, span) in named {
            let known = super::object::exists(self.model, &to) && to.kind != Kind::Tel;
            let again = self.references.iter().rev().take_while(|r| r.from == from).any(|r| r.to == to);
            if known && !again {
                self.add(&from, to, How::Tests, &by, None, span);
            }
        }
    }
}

/// What a tag speaks of: `ring:101a@0+60`, `rule:osei/Night`, `route:carrier`, `allow:list:family`, `user:osei`.
fn tagged(tag: &At<Name>) -> Option<(Object, Span)> {
    let (kind, rest) = tag.value.split_once(':')?;
    let end = rest.find(['@', '/']).unwrap_or(rest.len());
    let name = Name::from(rest.get(..end)?);
    let object = match kind {
        "ring" | "answered" => Object::new(Kind::Device, &name),
        "rule" if name.starts_with('+') => Object::new(Kind::Number, &name),
        "rule" => Object::new(Kind::User, &name),
        "route" => Object::new(Kind::Trunk, &name),
        "allow" | "block" => Object::new(Kind::List, &rest.strip_prefix("list:")?.into()),
        "class" | "location" | "callback" | "number" => Object::new(Kind::named(kind)?, &name),
        _ => Object::of_destination(&parse_destination(&tag.value)?)?,
    };
    Some((object, tag.span))
}
