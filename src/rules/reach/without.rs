//! A model without one of its objects: what refers to it goes with it, as an operator would take it out.
//!
//! A rule whose only time frame goes never holds, a `not` of it always does; a number that leads nowhere is spare; a target, a
//! forward, a key is taken out. White lists keep a name that nobody has: one without entries would let everybody pass.

use super::{Kind, Object};
use crate::rules::calendar::{Frame, Part};
use crate::rules::model::{
    At, Destination, EmergencyKeys, ListEntry, Model, Name, NumberTo, Refuse, Ring, Rule, TargetTo, When,
};

/// `None` for what a domain can't be without, or what decides nothing by itself.
#[must_use]
pub fn without(model: &Model, object: &Object) -> Option<Model> {
    let mut rest = model.clone();
    let name = &object.name;
    match object.kind {
        Kind::User => {
            rest.users.remove(name);
            rest.devices.values_mut().filter(|d| d.user.as_ref() == Some(name)).for_each(|d| d.user = None);
            rest.services.queues.values_mut().for_each(|queue| queue.agents.retain(|a| a.value != *name));
        }
        Kind::Device => drop(rest.devices.remove(name)),
        Kind::Number => drop(rest.numbers.remove(name)),
        Kind::Hunt => drop(rest.services.hunts.remove(name)),
        Kind::Queue => drop(rest.services.queues.remove(name)),
        Kind::Attendant => drop(rest.services.attendants.remove(name)),
        Kind::Conference => drop(rest.services.conferences.remove(name)),
        Kind::Directory => drop(rest.services.directories.remove(name)),
        Kind::Mailbox => {
            rest.services.mailboxes.remove(name);
            rest.users.get_mut(name).into_iter().for_each(|user| user.mailbox = false);
        }
        Kind::Announce => {
            rest.services.announcements.remove(name);
            let policy = &mut rest.policy;
            for refuse in
                [&mut policy.reject_blocked, &mut policy.reject_anonymous, &mut policy.reject_unknown]
            {
                if refuse.value == Refuse::Announce(name.clone()) {
                    refuse.value = Refuse::Status(603);
                }
            }
        }
        Kind::TimeFrame | Kind::Calendar => frames(&mut rest, object),
        Kind::List => {
            rest.lists.remove(name);
            let other = |entry: &At<ListEntry>| entry.value != ListEntry::List(name.clone());
            for user in rest.users.values_mut() {
                user.allow.retain(other);
                user.block.retain(other);
            }
        }
        Kind::Trunk => {
            rest.trunks.remove(name);
            rest.routes.iter_mut().for_each(|route| route.via.retain(|via| via != name));
        }
        Kind::Class => {
            rest.classes.remove(name);
            rest.routes.iter_mut().for_each(|route| route.classes.retain(|class| class != name));
            rest.dial.iter_mut().filter(|d| d.class.as_ref() == Some(name)).for_each(|d| d.class = None);
        }
        Kind::Route => drop(taken(&mut rest.routes, name)?),
        Kind::Dial => drop(taken(&mut rest.dial, name)?),
        Kind::Site => {
            rest.sites.remove(name);
            rest.routes.retain(|route| route.site.as_ref() != Some(name));
            let sites = rest.users.values_mut().map(|user| &mut user.site);
            for site in sites.chain(rest.devices.values_mut().map(|device| &mut device.site)) {
                site.take_if(|site| site == name);
            }
        }
        Kind::Callback | Kind::Location => emergency(&mut rest, object),
        Kind::Tel => {}
        Kind::Music | Kind::Codes | Kind::Role | Kind::Domain | Kind::Policy | Kind::Expect => return None,
    }
    destinations(&mut rest, object);
    rest.system_extensions.retain(|_, to| Object::of_destination(&to.value).as_ref() != Some(object));
    Some(rest)
}

/// What has a place in an order instead of a name.
fn taken<T>(list: &mut Vec<T>, place: &str) -> Option<T> {
    let index = place.parse::<usize>().ok()?.checked_sub(1)?;
    (index < list.len()).then(|| list.remove(index))
}

fn emergency(model: &mut Model, object: &Object) {
    let clear = |keys: &mut EmergencyKeys| {
        let key = if object.kind == Kind::Callback { &mut keys.callback } else { &mut keys.location };
        key.take_if(|key| key.value == object.name);
    };
    clear(&mut model.emergency);
    model.sites.values_mut().for_each(|site| clear(&mut site.emergency));
    model.users.values_mut().for_each(|user| clear(&mut user.emergency));
    if object.kind == Kind::Location {
        for device in model.devices.values_mut() {
            device.location.take_if(|location| location.value == object.name);
        }
    }
}

fn frames(model: &mut Model, object: &Object) {
    let calendar = object.kind == Kind::Calendar;
    let name: Name = if calendar { format!("calendar:{}", object.name).into() } else { object.name.clone() };
    model.time_frames.remove(&name);
    for frame in model.time_frames.values_mut() {
        thin(&mut frame.value, &name, calendar.then_some(&object.name));
    }
    for user in model.users.values_mut() {
        user.rules.retain_mut(|rule: &mut Rule| holds_without(&mut rule.when, &name));
    }
    for number in model.numbers.values_mut() {
        if let NumberTo::Rules(rules) = &mut number.to {
            rules.retain_mut(|rule| holds_without(&mut rule.when, &name));
        }
    }
}

fn thin(frame: &mut Frame, name: &Name, calendar: Option<&Name>) {
    let of = |part: &Part| matches!(part, Part::Days(days) if days.calendar.is_some() && days.calendar.as_ref() == calendar);
    frame.parts.retain(|part| !of(part));
    frame.except.retain(|excepted| excepted.name != *name);
    frame.except.iter_mut().for_each(|excepted| thin(&mut excepted.frame, name, calendar));
}

/// Whether the condition can hold still.
fn holds_without(when: &mut When, name: &Name) -> bool {
    let When::AnyOf(conditions) = when else { return true };
    if conditions.iter().any(|condition| condition.frame == *name && condition.negated) {
        *when = When::Always;
        return true;
    }
    conditions.retain(|condition| condition.frame != *name);
    !conditions.is_empty()
}

/// Takes out every way that leads to the object.
fn destinations(model: &mut Model, object: &Object) {
    let gone = |to: &Destination| {
        let leads = Object::of_destination(to);
        let mailbox = || object.mailbox().is_some_and(|mailbox| leads.as_ref() == Some(&mailbox));
        leads.as_ref() == Some(object) || mailbox()
    };
    for number in model.numbers.values_mut() {
        match &mut number.to {
            NumberTo::To(to) if gone(&to.value) => number.to = NumberTo::Spare,
            NumberTo::Rules(rules) => rules.retain(|rule| !gone(&rule.to.value)),
            NumberTo::To(_) | NumberTo::Spare => {}
        }
    }
    for rule in model.users.values_mut().flat_map(|user| &mut user.rules) {
        targets(&mut rule.ring, &gone);
        let forward = &mut rule.forward;
        for key in [
            &mut forward.always,
            &mut forward.dnd,
            &mut forward.on_active,
            &mut forward.busy,
            &mut forward.no_answer,
            &mut forward.declined,
            &mut forward.offline,
            &mut forward.otherwise,
        ] {
            key.take_if(|forward| gone(&forward.to));
        }
    }
    for hunt in model.services.hunts.values_mut() {
        targets(&mut hunt.ring, &gone);
        hunt.on_failure.take_if(|to| gone(&to.value));
    }
    for queue in model.services.queues.values_mut() {
        queue.overflow.take_if(|to| gone(&to.value));
    }
    for attendant in model.services.attendants.values_mut() {
        attendant.keys.retain(|_, to| !gone(&to.value));
        attendant.no_input.take_if(|to| gone(&to.value));
        attendant.invalid.take_if(|to| gone(&to.value));
    }
    model.domain.operator.take_if(|to| gone(&to.value));
}

fn targets(ring: &mut Ring, gone: &impl Fn(&Destination) -> bool) {
    for target in &mut ring.targets {
        target.to.retain(|to| !matches!(&to.value, TargetTo::Destination(to) if gone(to)));
    }
    ring.targets.retain(|target| !target.to.is_empty());
}
