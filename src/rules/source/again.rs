//! Some files of a domain read again, in the surroundings that the last whole reading left: for an edit of one user among thousands.
//!
//! Only files that hold nothing but users, devices and numbers. Whoever asks makes sure that what others see of these is what it was
//! ([`super::super::workshop`]); what is said here is then what reading the whole says of these files, but for errors: at the first
//! sign of one nothing comes back, and the whole is to be read.

use super::mailbox::Inherited;
use super::names::{Kind, Names, Objects, Referred};
use super::people::Surroundings;
use super::reader::Reader;
use super::{devices, has_errors, numbers, people};
use crate::number::Locale;
use crate::rules::diagnostic::{Diagnostic, Files};
use crate::rules::model::{Destination, Device, ListEntry, Model, Name, Number, User, When};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeTable;

/// What a whole reading leaves for reading a part again.
pub(in crate::rules) struct Kept {
    names: Arc<Names>,
    /// The files that hold `[defaults]`.
    defaults: Vec<u32>,
}

/// A file by its index, with its text.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Part<'t> {
    pub(in crate::rules) file: u32,
    pub(in crate::rules) text: &'t str,
}

/// What came of it.
pub(in crate::rules) struct Again {
    pub(in crate::rules) users: BTreeMap<Name, User>,
    pub(in crate::rules) devices: BTreeMap<Name, Device>,
    pub(in crate::rules) numbers: BTreeMap<Name, Number>,
    pub(in crate::rules) diagnostics: Vec<Diagnostic>,
    referred: Referred,
}

impl Kept {
    pub(super) fn of(r: &Reader<'_>, objects: &Objects<'_>) -> Kept {
        let defaults = objects.default_user.iter().chain(&objects.default_voicemail);
        let defaults: BTreeSet<u32> = defaults.map(|object| object.span.file).collect();
        Kept { names: r.names.clone(), defaults: defaults.into_iter().collect() }
    }

    /// Reads the objects of a part. `None`: it is not by itself, or something is wrong with it.
    pub(in crate::rules) fn read(&self, files: &Files, model: &Model, part: Part<'_>) -> Option<Again> {
        let defaults: Vec<Part<'_>> = self
            .defaults
            .iter()
            .filter_map(|file| Some(Part { file: *file, text: files.file(*file)?.1 }))
            .collect();
        let mut documents = Vec::new();
        for part in defaults.iter().chain([&part]) {
            let (document, errors) = DeTable::parse_recoverable(part.text);
            if !errors.is_empty() || part.text.len() > super::FILE_BYTES_MAX {
                return None;
            }
            documents.push((part.file, document));
        }
        let (last, defaults) = documents.split_last()?;
        if !is_people(&last.1) {
            return None;
        }
        let mut texts = vec![""; part.file as usize + 1];
        if let Some(text) = texts.last_mut() {
            *text = part.text;
        }
        let mut r = Reader::new(files, texts);
        r.names = self.names.clone();
        let domain = &model.domain;
        r.locale = Locale { country: domain.country.clone(), area_code: domain.area_code.clone() };
        Some(objects_of(&mut r, model, defaults, last)).filter(|again| !has_errors(&again.diagnostics))
    }
}

/// Nothing that others stand on.
fn is_people(document: &Spanned<DeTable<'_>>) -> bool {
    let people = ["user", "device", "number", "schema"];
    document.get_ref().keys().all(|key| people.contains(&key.get_ref().as_ref()))
}

type Document<'t> = (u32, Spanned<DeTable<'t>>);

fn objects_of<'t>(
    r: &mut Reader<'t>,
    model: &Model,
    defaults: &'t [Document<'t>],
    document: &'t Document<'t>,
) -> Again {
    let mut below = Objects::default();
    for (file, document) in defaults {
        below.merge(r, *file, document.get_ref());
    }
    let mut objects = Objects {
        default_user: below.default_user,
        default_voicemail: below.default_voicemail,
        ..Objects::default()
    };
    let mailboxes = Inherited::read(r, &objects, model.policy.voicemail_full);
    // Of these it was said when the whole was read.
    r.diagnostics.clear();
    r.referred = Referred::default();
    objects.merge(r, document.0, document.1.get_ref());
    let around = Surroundings {
        objects: &objects,
        domain: &model.domain,
        sites: &model.sites,
        roles: &model.roles,
        lists: &model.lists,
        mailboxes,
        forward_excludes_follow: model.policy.forward_excludes_follow,
    };
    Again {
        users: people::users(r, &around),
        devices: devices::devices(r, &objects),
        numbers: numbers::numbers(r, &objects),
        diagnostics: std::mem::take(&mut r.diagnostics),
        referred: std::mem::take(&mut r.referred),
    }
}

impl Again {
    /// Whether this names what that one did not: what nobody has named so far is named by somebody then.
    pub(in crate::rules) fn names_more_than(&self, before: &Again) -> bool {
        self.referred.without(&before.referred).next().is_some()
    }

    /// Whether everything that this one named and `after` does not is surely named by another user too. When in doubt it is not.
    pub(in crate::rules) fn is_not_missed(&self, after: &Again, model: &Model) -> bool {
        let others = || model.users.iter().filter(|(name, _)| !self.users.contains_key(*name));
        self.referred.without(&after.referred).all(|(kind, name)| {
            others().any(|(_, user)| match kind {
                Kind::Site => user.site.as_ref() == Some(name),
                Kind::List => {
                    user.allow.iter().chain(&user.block).any(|e| e.value == ListEntry::List(name.clone()))
                }
                Kind::TimeFrame => user.rules.iter().any(|rule| meets(&rule.when, name)),
                Kind::Hunt => leads_to(user, &Destination::Hunt(name.clone())),
                Kind::Queue => leads_to(user, &Destination::Queue(name.clone())),
                Kind::Attendant => leads_to(user, &Destination::Attendant(name.clone())),
                _ => false,
            })
        })
    }
}

fn meets(when: &When, frame: &Name) -> bool {
    matches!(when, When::AnyOf(conditions) if conditions.iter().any(|c| c.frame == *frame))
}

fn leads_to(user: &User, to: &Destination) -> bool {
    user.rules.iter().any(|rule| {
        let no_answer = rule.forward.no_answer.iter().chain(&rule.forward.busy).chain(&rule.forward.always);
        no_answer.into_iter().any(|forward| forward.to == *to)
    })
}
