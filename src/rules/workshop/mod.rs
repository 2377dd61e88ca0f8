//! What is kept of the last edit of a domain, so that the next edit of one user costs what the user costs, and not what the domain does.
//!
//! An edit goes this *short way* where it changes one file, that file holds nothing but users, devices and numbers, they are the same
//! ones, and what others see of them is what it was ([`face`]). Then nothing else can have changed: the objects of that file are read,
//! looked at and compiled again, and with them the users of whom something was said that points into it. Everything else, and
//! everything that is wrong, goes the whole way: [`Workshop::edit`] says `None`, and nothing has happened.
//!
//! Invariant, held by a property test: what comes of the short way, findings and bytes, is what comes of the whole one. Of the years ahead
//! is said what the last whole look said, so whoever keeps a workshop lets go of it in time.

mod face;
mod told;

use super::check::{self, Gathered};
use super::compile::Changed;
use super::diagnostic::{Diagnostic, Files, Lines, Severity, Span};
use super::domain::Domain;
use super::loops;
use super::model::{Device, Model, Name, Number, User};
use super::source::{self, Again, Kept, Part};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use told::{Finding, Told};

/// One domain, with all that its next edit needs. `F` is a finding as whoever asks shows it.
pub struct Workshop<F> {
    model: Model,
    kept: Kept,
    gathered: Gathered,
    paths: Vec<Name>,
    told: Told<F>,
    domain: Arc<Domain>,
}

/// What a whole reading gives: with it and the domain that was compiled a workshop is set up.
pub struct Materials {
    pub loaded: source::Loaded,
    kept: Kept,
}

/// What came of an edit that went the short way.
pub struct Edited<F> {
    pub domain: Domain,
    /// All findings of the domain, in order.
    pub findings: Arc<Vec<F>>,
    /// The file that changed.
    pub path: Name,
    /// To take it back by.
    pub undo: Undo<F>,
}

/// The workshop as it was before an edit.
pub struct Undo<F> {
    files: Arc<Files>,
    objects: Objects,
    gone: Vec<Arc<Finding<F>>>,
    come: Vec<Arc<Finding<F>>>,
}

#[derive(Default)]
struct Objects {
    users: BTreeMap<Name, User>,
    devices: BTreeMap<Name, Device>,
    numbers: BTreeMap<Name, Number>,
}

/// Reads and checks all files, as [`source::load_at`].
#[must_use]
pub fn load(files: &Files, now: Option<Timestamp>) -> Materials {
    let (loaded, kept) = source::load_keeping(files, now);
    Materials { loaded, kept }
}

impl<F: Clone> Workshop<F> {
    /// After an edit that went the whole way: `shown` are its findings, one for each diagnostic. `None` where there is no model.
    #[must_use]
    pub fn of(materials: Materials, domain: Arc<Domain>, shown: Arc<Vec<F>>) -> Option<Workshop<F>> {
        let Materials { loaded, kept } = materials;
        let model = loaded.model?;
        Some(Workshop {
            kept,
            gathered: Gathered::of(&model),
            paths: model.files.0.keys().cloned().collect(),
            told: Told::of(loaded.diagnostics, shown),
            model,
            domain,
        })
    }

    /// The text that it is about.
    #[must_use]
    pub fn files(&self) -> &Arc<Files> {
        &self.model.files
    }

    #[must_use]
    pub fn expects(&self) -> &[super::model::Expect] {
        &self.model.expects
    }

    /// What the edit made is in force.
    pub fn accept(&mut self, domain: Arc<Domain>) {
        self.domain = domain;
    }

    /// What the edit made is not taken.
    pub fn take_back(&mut self, undo: Undo<F>) {
        let Undo { files, objects, gone, come } = undo;
        self.model.files = files;
        self.put(objects);
        self.told.exchange(&come, &gone);
    }

    /// The short way, if these files may go it. `show` makes a finding of a diagnostic and its place.
    pub fn edit(
        &mut self,
        files: &Arc<Files>,
        generation: u64,
        show: impl Fn(&Diagnostic, super::diagnostic::Place) -> F,
    ) -> Option<Edited<F>> {
        let (file, path, text) = self.only_change(files)?;
        let before_text = self.model.files.0.get(&path)?.clone();
        let before = self.kept.read(self.files(), &self.model, Part { file, text: &before_text })?;
        let after = self.kept.read(files, &self.model, Part { file, text: &text })?;
        let again = self.looks_the_same(&before, &after)?;
        let homes = self.homes(file)?;
        let names: Vec<Name> = after.users.keys().cloned().chain(self.users_of(&homes)).collect();
        let look = Look { file, homes, names, loops: again || self.told.loops_touch(file) };
        let found_before = self.look(&look, &before.diagnostics);
        let Again { users, devices, numbers, diagnostics, .. } = after;
        let mut changed = Objects { users, devices, numbers };
        let old = self.put(changed.clone_all());
        let files_before = std::mem::replace(&mut self.model.files, files.clone());
        let found_after = self.look(&look, &diagnostics);
        let made = self.told.difference(&look, found_before, found_after).and_then(|(gone, come)| {
            let objects = Changed {
                users: &changed.users,
                devices: &changed.devices,
                numbers: &changed.numbers,
                file: (&path, &text),
            };
            let domain = objects.compile(&self.model, &self.gathered.devices, &self.domain, generation)?;
            Some((domain, gone, come))
        });
        changed = Objects::default();
        drop(changed);
        let Some((domain, gone, come)) = made else {
            self.model.files = files_before;
            self.put(old);
            return None;
        };
        let come: Vec<_> = come
            .into_iter()
            .map(|diagnostic| {
                let shown = show(&diagnostic, self.place(diagnostic.span));
                Arc::new(Finding { diagnostic, shown })
            })
            .collect();
        self.told.exchange(&gone, &come);
        let undo = Undo { files: files_before, objects: old, gone, come };
        Some(Edited { domain, findings: self.told.shown(), path, undo })
    }

    /// The one file whose text differs, by its index. `None`: several do, or there are other files.
    fn only_change(&self, files: &Files) -> Option<(u32, Name, Arc<str>)> {
        let before = self.files();
        if before.0.len() != files.0.len() {
            return None;
        }
        let mut only = None;
        for (index, ((old, text), (new, other))) in (0_u32..).zip(before.0.iter().zip(&files.0)) {
            if !Arc::ptr_eq(old, new) && old != new {
                return None;
            }
            if (!Arc::ptr_eq(text, other) && text != other)
                && only.replace((index, new.clone(), other.clone())).is_some()
            {
                return None;
            }
        }
        only.filter(|(_, path, _)| path.ends_with(".toml"))
    }

    /// Whether others see of these objects what they saw. `Some(true)`: but where their calls lead, so loops are to be looked for.
    fn looks_the_same(&self, before: &Again, after: &Again) -> Option<bool> {
        let same = face::users(&before.users) == face::users(&after.users)
            && face::devices(&before.devices)? == face::devices(&after.devices)?
            && face::numbers(&before.numbers) == face::numbers(&after.numbers);
        if !same
            || (after.names_more_than(before) && self.told.has("unused"))
            || !before.is_not_missed(after, &self.model)
        {
            return None;
        }
        let leads_elsewhere = face::ways(&before.users) != face::ways(&after.users);
        // Golden tests without a moment are told of by the rules that their calls meet.
        let told_of = leads_elsewhere && self.model.expects.iter().any(|expect| expect.at.is_none());
        (!told_of).then_some(leads_elsewhere)
    }

    /// Other files with a user of whom something is said that points into this one.
    fn homes(&self, file: u32) -> Option<BTreeSet<u32>> {
        const HOMES_MAX: usize = 32;
        let homes: BTreeSet<u32> = self.told.pointing_to(file).map(|span| span.file).collect();
        (homes.len() <= HOMES_MAX).then_some(homes)
    }

    fn users_of(&self, homes: &BTreeSet<u32>) -> Vec<Name> {
        if homes.is_empty() {
            return Vec::new();
        }
        let of = |(name, user): (&Name, &User)| homes.contains(&user.span.file).then(|| name.clone());
        self.model.users.iter().filter_map(of).collect()
    }

    /// What is said of these users, with what reading them said.
    fn look(&self, look: &Look, read: &[Diagnostic]) -> Vec<Diagnostic> {
        let mut found = read.to_vec();
        check::users_again(&self.model, &self.gathered, &look.names, &mut found);
        if look.loops {
            found.extend(loops::all(&self.model));
        }
        found.sort_by(Diagnostic::in_order);
        found.dedup();
        found
    }

    /// Puts objects in the place of their namesakes, which it gives back.
    fn put(&mut self, objects: Objects) -> Objects {
        fn each<T>(all: &mut BTreeMap<Name, T>, next: BTreeMap<Name, T>) -> BTreeMap<Name, T> {
            next.into_iter()
                .filter_map(|(name, object)| Some((name.clone(), all.insert(name, object)?)))
                .collect()
        }
        Objects {
            users: each(&mut self.model.users, objects.users),
            devices: each(&mut self.model.devices, objects.devices),
            numbers: each(&mut self.model.numbers, objects.numbers),
        }
    }

    fn place(&self, span: Span) -> super::diagnostic::Place {
        let path = self.paths.get(span.file as usize).map(AsRef::as_ref).unwrap_or_default();
        let text = self.files().0.get(path).map(AsRef::as_ref).unwrap_or_default();
        Lines::of(text).place(path, span)
    }
}

impl Objects {
    fn clone_all(&self) -> Objects {
        Objects { users: self.users.clone(), devices: self.devices.clone(), numbers: self.numbers.clone() }
    }
}

/// What is looked at again.
struct Look {
    file: u32,
    /// Other files, whose users are looked at too.
    homes: BTreeSet<u32>,
    names: Vec<Name>,
    loops: bool,
}

impl Look {
    /// Whether everything that is said in the file of this span is said again.
    fn covers(&self, span: Span) -> bool {
        span.file == self.file || self.homes.contains(&span.file)
    }
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
}

#[cfg(test)]
mod tests;
