//! The things of a domain that can be named: `user:osei`, `trunk:carrier`, `number:+12025550101`.

use crate::rules::model::{Destination, Model, Name};
use std::fmt;

/// The kinds of things. Their names are those of the rules' tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    User,
    Device,
    Number,
    Hunt,
    Queue,
    Attendant,
    Conference,
    Directory,
    Mailbox,
    Announce,
    Music,
    TimeFrame,
    Calendar,
    List,
    Trunk,
    Class,
    Route,
    Dial,
    Codes,
    Site,
    Role,
    Callback,
    Location,
    /// An outside number.
    Tel,
    Domain,
    Policy,
    Expect,
}

const NAMES: [(Kind, &str); 27] = [
    (Kind::User, "user"),
    (Kind::Device, "device"),
    (Kind::Number, "number"),
    (Kind::Hunt, "hunt"),
    (Kind::Queue, "queue"),
    (Kind::Attendant, "attendant"),
    (Kind::Conference, "conference"),
    (Kind::Directory, "directory"),
    (Kind::Mailbox, "mailbox"),
    (Kind::Announce, "announce"),
    (Kind::Music, "moh"),
    (Kind::TimeFrame, "time_frame"),
    (Kind::Calendar, "calendar"),
    (Kind::List, "list"),
    (Kind::Trunk, "trunk"),
    (Kind::Class, "class"),
    (Kind::Route, "route"),
    (Kind::Dial, "dial"),
    (Kind::Codes, "codes"),
    (Kind::Site, "site"),
    (Kind::Role, "role"),
    (Kind::Callback, "callback"),
    (Kind::Location, "location"),
    (Kind::Tel, "tel"),
    (Kind::Domain, "domain"),
    (Kind::Policy, "policy"),
    (Kind::Expect, "expect"),
];

impl Kind {
    /// As the rules write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of a table of the rules, or of a destination. Dashes do as well as underscores.
    #[must_use]
    pub fn named(name: &str) -> Option<Kind> {
        let name = match name {
            "voicemail" => "mailbox",
            "handset" => "user",
            "time-frame" => "time_frame",
            other => other,
        };
        NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// One thing of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    pub kind: Kind,
    /// Its name; of routes and dial rules their place in the order, from 1. Empty for what there is one of.
    pub name: Name,
}

impl Object {
    #[must_use]
    pub fn new(kind: Kind, name: &Name) -> Object {
        Object { kind, name: name.clone() }
    }

    /// `kind:name`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Object> {
        let (kind, name) = text.split_once(':')?;
        Some(Object { kind: Kind::named(kind)?, name: name.into() })
    }

    /// What a destination names; `None` for `reject:CODE`.
    #[must_use]
    pub fn of_destination(to: &Destination) -> Option<Object> {
        let (kind, name) = match to {
            Destination::User(name) | Destination::Handset(name) => (Kind::User, name),
            Destination::Device(name) => (Kind::Device, name),
            Destination::Voicemail(name) => (Kind::Mailbox, name),
            Destination::Queue(name) => (Kind::Queue, name),
            Destination::Attendant(name) => (Kind::Attendant, name),
            Destination::Conference(name) => (Kind::Conference, name),
            Destination::Hunt(name) => (Kind::Hunt, name),
            Destination::Directory(name) => (Kind::Directory, name),
            Destination::Announce(name) => (Kind::Announce, name),
            Destination::Tel(number) => (Kind::Tel, number),
            Destination::Reject(_) => return None,
        };
        Some(Object::new(kind, name))
    }

    /// The mailbox of a user.
    pub(super) fn mailbox(&self) -> Option<Object> {
        (self.kind == Kind::User).then(|| Object::new(Kind::Mailbox, &self.name))
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if self.name.is_empty() { Ok(()) } else { write!(f, ":{}", self.name) }
    }
}

/// Whether the domain has it.
pub(super) fn exists(model: &Model, object: &Object) -> bool {
    let name = &object.name;
    let numbered = |length: usize| name.parse::<usize>().is_ok_and(|n| (1..=length).contains(&n));
    match object.kind {
        Kind::User => model.users.contains_key(name),
        Kind::Device => model.devices.contains_key(name),
        Kind::Number => model.numbers.contains_key(name),
        Kind::TimeFrame => model.time_frames.contains_key(name),
        Kind::Calendar => model.calendars.contains_key(name),
        Kind::List => model.lists.contains_key(name),
        Kind::Trunk => model.trunks.contains_key(name),
        Kind::Class => model.classes.contains_key(name),
        Kind::Site => model.sites.contains_key(name),
        Kind::Callback => model.callbacks.contains_key(name),
        Kind::Location => model.locations.contains_key(name),
        Kind::Route => numbered(model.routes.len()),
        Kind::Dial => numbered(model.dial.len()),
        Kind::Mailbox => {
            model.users.get(name).is_some_and(|user| user.mailbox)
                || model.services.mailboxes.contains_key(name)
        }
        Kind::Hunt => model.services.hunts.contains_key(name),
        Kind::Queue => model.services.queues.contains_key(name),
        Kind::Attendant => model.services.attendants.contains_key(name),
        Kind::Conference => model.services.conferences.contains_key(name),
        Kind::Directory => model.services.directories.contains_key(name),
        Kind::Announce => model.services.announcements.contains_key(name),
        Kind::Music => model.services.music.contains_key(name),
        Kind::Role => model.roles.contains_key(name),
        Kind::Tel => true,
        Kind::Domain | Kind::Policy | Kind::Codes => name.is_empty(),
        Kind::Expect => numbered(model.expects.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_name_and_is_read_by_it() {
        for (kind, name) in NAMES {
            assert_eq!(kind.name(), name);
            assert_eq!(Kind::named(name), Some(kind));
            let object = Object { kind, name: "x:y".into() };
            assert_eq!(Object::parse(&object.to_string()), Some(object));
        }
    }

    #[test]
    fn destinations_and_dashes_are_understood() {
        assert_eq!(Object::parse("voicemail:osei").unwrap().kind, Kind::Mailbox);
        assert_eq!(Object::parse("handset:osei").unwrap().kind, Kind::User);
        assert_eq!(Object::parse("time-frame:open").unwrap().kind, Kind::TimeFrame);
        assert_eq!(Object::parse("101"), None);
        assert_eq!(Object::parse("phone:101"), None);
    }
}
