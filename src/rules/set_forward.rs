//! The forward that a user sets live, read as the loader reads one of the rules: what it names exists, and its number is E.164 by the
//! country and area code of the user. What a later generation no longer has, a walk sees for itself.
//!
//! Most of it the compiled domain knows. Queues and the like without an extension stand in the source alone, and so do the names that a
//! slip may have meant: whoever gets [`NotSet::Unknown`] reads that and asks [`in_source`].

use super::destination::read_destination;
use super::domain::Domain;
use super::model::{Destination, Model, Name};
use super::outgoing::Sender;
use super::source::suggest::nearest;
use crate::number::normalise;

/// Why a text is not taken, yet or at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSet {
    /// In one line, with what to write instead.
    Wrong(String),
    /// The compiled rules know of no such thing.
    Unknown(Destination),
}

impl Domain {
    /// Where a forward leads that this user sets live: `tel:07700 900123`, `user:sam`, `self` for their own phone.
    ///
    /// # Errors
    /// See [`NotSet`].
    pub fn set_forward(&self, user: &str, text: &str) -> Result<Destination, NotSet> {
        let owner = self.user_entry(user);
        match text {
            "self:all" => return Ok(Destination::Handset(user.into())),
            "self" => {
                let primary = owner.and_then(|owner| owner.primary.clone());
                return primary.map(Destination::Device).ok_or_else(|| {
                    NotSet::Wrong(format!("`{user}` has no phone of their own that `self` could mean"))
                });
            }
            _ => {}
        }
        let to = read_destination(text).map_err(|why| {
            let (message, help) = why.says(text);
            NotSet::Wrong(format!("{message}: {help}"))
        })?;
        let known = match &to {
            Destination::Tel(raw) => {
                let locale = self.locale_of(Sender { user: owner, device: None });
                return match normalise(raw, &locale) {
                    Some(number) => Ok(Destination::Tel(number.into())),
                    None => Err(NotSet::Wrong(format!(
                        "`{raw}` is no number: write it with `+` and the calling code, `tel:+12025550100`"
                    ))),
                };
            }
            Destination::User(name) if **name == *user => {
                return Err(NotSet::Wrong(format!(
                    "`{text}` goes back to where it came from: `self:all` rings their phones"
                )));
            }
            Destination::User(name) | Destination::Handset(name) => self.users.contains(name),
            Destination::Device(name) => self.devices.contains(name),
            Destination::Voicemail(name) => self.user_entry(name).is_some_and(|user| user.mailbox),
            Destination::Hunt(name) => self.hunt_index.contains_key(name),
            Destination::Reject(_) => true,
            Destination::Queue(_)
            | Destination::Attendant(_)
            | Destination::Conference(_)
            | Destination::Directory(_)
            | Destination::Announce(_) => false,
        };
        if known { Ok(to) } else { Err(NotSet::Unknown(to)) }
    }
}

/// Looks for what the compiled rules don't know in their source.
///
/// # Errors
/// It is not there either, or turned off; with the name that may have been meant.
pub fn in_source(model: &Model, to: &Destination) -> Result<(), String> {
    let services = &model.services;
    match to {
        Destination::User(name) | Destination::Handset(name) => user(model, to, name),
        Destination::Voicemail(name) => mailbox(model, to, name),
        Destination::Device(name) => among(to, name, model.devices.keys()),
        Destination::Hunt(name) => among(to, name, services.hunts.keys()),
        Destination::Queue(name) => among(to, name, services.queues.keys()),
        Destination::Attendant(name) => among(to, name, services.attendants.keys()),
        Destination::Conference(name) => among(to, name, services.conferences.keys()),
        Destination::Directory(name) => among(to, name, services.directories.keys()),
        Destination::Announce(name) => among(to, name, services.announcements.keys()),
        Destination::Tel(_) | Destination::Reject(_) => Ok(()),
    }
}

fn user(model: &Model, to: &Destination, name: &str) -> Result<(), String> {
    let word = to.word();
    if let Some(system) = model.system_extensions.get(name) {
        return Err(format!("there is no {word} `{name}`: did you mean `{}`?", system.value));
    }
    let owner = model.users.iter().find(|(_, user)| user.extensions.iter().any(|e| **e == *name));
    match owner {
        Some((owner, _)) => Err(format!("there is no user `{name}`: did you mean `{word}:{owner}`?")),
        None => among(to, name, model.users.keys()),
    }
}

/// A mailbox of its own, or that of a user.
fn mailbox(model: &Model, to: &Destination, name: &str) -> Result<(), String> {
    if model.users.get(name).is_some_and(|user| !user.mailbox) {
        return Err(format!("the mailbox of `{name}` is off"));
    }
    among(to, name, model.services.mailboxes.keys().chain(model.users.keys()))
}

fn among<'m>(
    to: &Destination,
    name: &str,
    there: impl Iterator<Item = &'m Name> + Clone,
) -> Result<(), String> {
    if there.clone().any(|known| **known == *name) {
        return Ok(());
    }
    let word = to.word();
    let what = if word == "handset" { "user" } else { word };
    Err(match nearest(name, there.map(|known| &**known)) {
        Some(meant) => format!("there is no {what} `{name}`: did you mean `{word}:{meant}`?"),
        None => format!("there is no {what} `{name}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::compile::Secrets;
    use crate::rules::diagnostic::Files;
    use crate::rules::source;

    const RULES: &str = r#"schema = 1
[domain]
name = "pbx.test.example"
timezone = "Europe/London"
country = "GB"
area_code = "20"
[site.york]
country = "US"
area_code = "202"
[user.ann]
ext = "101"
voicemail = { pin = "plain:1234" }
[user.bea]
ext = "102"
site = "york"
[device.102a]
user = "bea"
auth = { user = "102a", secret = "plain:s" }
[queue.support]
agents = ["user:ann"]
[announce.closed]
file = "closed.wav"
[conference.room]
ext = "300"
[defaults.voicemail]
enabled = false
"#;

    /// What the daemon does: the compiled rules, then the source.
    fn set(user: &str, text: &str) -> Result<String, String> {
        let files = Files([("a.toml".into(), RULES.into())].into());
        let model = source::load(&files).model.unwrap();
        let domain = Domain::compile(&model, Secrets::default(), 1).unwrap();
        match domain.set_forward(user, text) {
            Ok(to) => Ok(to.to_string()),
            Err(NotSet::Wrong(what)) => Err(what),
            Err(NotSet::Unknown(to)) => in_source(&model, &to).map(|()| to.to_string()),
        }
    }

    #[test]
    fn a_number_is_in_e164_by_the_country_and_area_code_of_the_user() {
        assert_eq!(set("ann", "tel:07700 900123").unwrap(), "tel:+447700900123");
        assert_eq!(set("bea", "tel:555-0123").unwrap(), "tel:+12025550123");
        assert_eq!(set("bea", "tel:+447700900123").unwrap(), "tel:+447700900123");
        assert!(set("ann", "tel:home").unwrap_err().contains("`home` is no number"));
    }

    #[test]
    fn what_is_there_is_taken_whether_it_has_an_extension_or_not() {
        for to in ["user:ann", "handset:bea", "device:102a", "reject:486", "queue:support", "announce:closed"]
        {
            assert_eq!(set("bea", to).unwrap(), to);
        }
        assert_eq!(set("bea", "self").unwrap(), "device:102a");
        assert_eq!(set("bea", "self:all").unwrap(), "handset:bea");
    }

    #[test]
    fn a_slip_is_refused_with_what_was_meant() {
        for (to, says) in [
            ("user:anne", "did you mean `user:ann`"),
            ("handset:102", "did you mean `handset:bea`"),
            ("user:300", "did you mean `conference:room`"),
            ("queue:suport", "did you mean `queue:support`"),
            ("usr:ann", "did you mean `user:ann`"),
            ("voicemail:bea", "the mailbox of `bea` is off"),
            ("hunt:sales", "there is no hunt `sales`"),
            ("+447700900123", "write `tel:+447700900123`"),
            ("user:bea", "goes back"),
            ("reject:200", "from 400 to 699"),
        ] {
            let said = set("bea", to).unwrap_err();
            assert!(said.contains(says), "{to} gave {said}");
        }
        assert!(set("ann", "self").unwrap_err().contains("no phone"));
    }
}
