//! What refers to what in a domain: one graph, built from the model, each reference with its place and its condition.
//!
//! It answers who would be left hanging if an object went ([`Graph::referrers`]), and by which ways a call comes to an
//! extension ([`who`]). Not here: whether a given call takes a way, which a walk says.
//!
//! Invariant: a reference names objects as the rules do; its target may be missing from the domain only where the loader
//! lets it.

pub mod blast;
mod collect;
mod object;
mod services;
#[cfg(test)]
pub(super) mod tests;
pub mod who;
pub mod without;

pub use object::{Kind, Object};

use super::diagnostic::Span;
use super::model::{Destination, Model, Name};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// What a reference does with the object that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum How {
    /// A call rings its phones, and comes no further by it.
    Rings,
    /// A call goes there, and is decided there anew.
    Goes,
    /// It is asked or looked up, or belongs to what names it.
    Uses,
    /// A golden test speaks of it.
    Tests,
}

/// One reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub from: Object,
    pub to: Object,
    pub how: How,
    /// The key that says so: ``rule `Lunch`, ring.targets``.
    pub by: String,
    /// The condition under which it counts, as written: `open or not lunch`; `None`: always.
    pub when: Option<String>,
    /// It names nothing: `self` for one's phones, the mailbox that a user has anyway.
    pub implied: bool,
    pub span: Span,
}

/// Every reference of one domain.
#[derive(Debug, Default)]
pub struct Graph {
    references: Vec<Reference>,
    incoming: FxHashMap<Object, Vec<usize>>,
    outgoing: FxHashMap<Object, Vec<usize>>,
}

impl Graph {
    #[must_use]
    pub fn of(model: &Model) -> Graph {
        let mut graph = Graph::default();
        for reference in collect::references(model) {
            let index = graph.references.len();
            graph.incoming.entry(reference.to.clone()).or_default().push(index);
            graph.outgoing.entry(reference.from.clone()).or_default().push(index);
            graph.references.push(reference);
        }
        graph
    }

    /// What refers to the object, in order of place. A user's own phones and mailbox are theirs, and are counted as the user.
    #[must_use]
    pub fn referrers(&self, object: &Object) -> Vec<&Reference> {
        let parts = [Some(object.clone()), object.mailbox()];
        let mut found: Vec<&Reference> = parts
            .iter()
            .flatten()
            .flat_map(|part| self.incoming(part))
            .filter(|reference| reference.from != *object && !reference.implied)
            .collect();
        found.sort_by(|a, b| (a.span, &a.by).cmp(&(b.span, &b.by)));
        found
    }

    /// What refers to exactly this.
    pub fn incoming(&self, object: &Object) -> impl Iterator<Item = &Reference> {
        self.through(self.incoming.get(object))
    }

    /// What the object refers to.
    pub fn outgoing(&self, object: &Object) -> impl Iterator<Item = &Reference> {
        self.through(self.outgoing.get(object))
    }

    fn through<'a>(&'a self, indexes: Option<&'a Vec<usize>>) -> impl Iterator<Item = &'a Reference> {
        indexes.into_iter().flatten().filter_map(|index| self.references.get(*index))
    }

    /// Everything of this kind that is referred to.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = Object> + '_ {
        self.incoming.keys().filter(move |object| object.kind == kind).cloned()
    }

    /// Everything that may take part in what is decided for the object: it, what it refers to, and so on.
    #[must_use]
    pub fn forward(&self, object: &Object) -> BTreeSet<Object> {
        self.closure([object.clone()], |graph, object| {
            graph.outgoing(object).filter(|r| r.how != How::Tests).map(|r| r.to.clone()).collect()
        })
    }

    /// Everything whose decisions one of these may take part in: they, what refers to them, and so on.
    #[must_use]
    pub fn backward(&self, objects: impl IntoIterator<Item = Object>) -> BTreeSet<Object> {
        self.closure(objects, |graph, object| {
            graph.incoming(object).filter(|r| r.how != How::Tests).map(|r| r.from.clone()).collect()
        })
    }

    fn closure(
        &self,
        objects: impl IntoIterator<Item = Object>,
        next: impl Fn(&Graph, &Object) -> Vec<Object>,
    ) -> BTreeSet<Object> {
        let mut todo: Vec<Object> = objects.into_iter().collect();
        let mut seen: BTreeSet<Object> = todo.iter().cloned().collect();
        while let Some(object) = todo.pop() {
            for other in next(self, &object) {
                if seen.insert(other.clone()) {
                    todo.push(other);
                }
            }
        }
        seen
    }
}

/// What an extension, a number or `kind:name` means in this domain; `None` for what it doesn't have.
#[must_use]
pub fn resolve(model: &Model, text: &str) -> Option<Object> {
    if let Some(object) = Object::parse(text) {
        return object::exists(model, &object).then_some(object);
    }
    if let Some((name, _)) = model.users.iter().find(|(_, user)| user.extensions.iter().any(|e| **e == *text))
    {
        return Some(Object::new(Kind::User, name));
    }
    if let Some(service) = model.system_extensions.get(text) {
        return Object::of_destination(&service.value);
    }
    let number = Object::new(Kind::Number, &Name::from(text));
    object::exists(model, &number).then_some(number)
}

/// The object that a destination names, and whether a call only rings it.
fn target(model: &Model, to: &Destination) -> Option<(Object, How)> {
    let how = match to {
        Destination::Handset(_) | Destination::Device(_) => How::Rings,
        _ => How::Goes,
    };
    let object = Object::of_destination(to)?;
    // A call to a number of ours is decided by its rules.
    let ours = object.kind == Kind::Tel && model.numbers.contains_key(&object.name);
    Some((if ours { Object { kind: Kind::Number, ..object } } else { object }, how))
}
