//! What several lints need of a model, worked out once: whose devices are whose, which class a number is of, by which route
//! it leaves.

use super::super::diagnostic::Span;
use super::super::model::{At, Permission, TargetTo};
use super::super::model::{Destination, Forward, Forwards, Model, Name, NumberTo, Route, Target, User};
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// The class that no operator has to write and no rule can deny.
pub(super) const EMERGENCY: &str = "emergency";

/// One domain as the lints see it.
pub(super) struct Survey<'m> {
    pub(super) model: &'m Model,
    gathered: Cow<'m, Gathered>,
}

/// What had to be looked for in all of the model. It holds as long as nobody's phones and no number's destinations change.
#[derive(Clone, Debug, Default)]
pub(in crate::rules) struct Gathered {
    /// The devices of each user, by name.
    pub(in crate::rules) devices: FxHashMap<Name, Vec<Name>>,
    /// The first number that leads to each user.
    numbers: FxHashMap<Name, Name>,
}

impl Gathered {
    pub(in crate::rules) fn of(model: &Model) -> Gathered {
        let mut gathered = Gathered::default();
        for (name, device) in &model.devices {
            if let Some(user) = &device.user {
                gathered.devices.entry(user.clone()).or_default().push(name.clone());
            }
        }
        for (name, number) in &model.numbers {
            for to in destinations_of(&number.to) {
                if let Destination::User(user) = &to.value {
                    gathered.numbers.entry(user.clone()).or_insert_with(|| name.clone());
                }
            }
        }
        gathered
    }
}

/// A number outside that a user's rule rings or forwards to.
pub(super) struct Outside<'m> {
    pub(super) number: &'m Name,
    pub(super) span: Span,
    /// A ring target, or `None` for a forward.
    pub(super) target: Option<&'m Target>,
    pub(super) forward: Option<&'m Forward>,
}

impl<'m> Survey<'m> {
    pub(super) fn of(model: &'m Model) -> Survey<'m> {
        Survey { model, gathered: Cow::Owned(Gathered::of(model)) }
    }

    pub(super) fn with(model: &'m Model, gathered: &'m Gathered) -> Survey<'m> {
        Survey { model, gathered: Cow::Borrowed(gathered) }
    }

    /// The devices of a user, by name.
    pub(super) fn devices(&self, user: &str) -> &[Name] {
        self.gathered.devices.get(user).map(Vec::as_slice).unwrap_or_default()
    }

    /// The first number that leads to this user, and where it stands.
    pub(super) fn number_of(&self, user: &str) -> Option<(&'m Name, Span)> {
        let (name, number) = self.model.numbers.get_key_value(self.gathered.numbers.get(user)?)?;
        Some((name, number.span))
    }

    /// Whether the number is one of this domain's.
    pub(super) fn is_ours(&self, number: &str) -> bool {
        self.model.numbers.contains_key(number)
    }

    /// The class of an outside number: the longest literal beginning wins.
    pub(super) fn class_of(&self, number: &str) -> Option<&'m Name> {
        let patterns =
            self.model.classes.iter().flat_map(|(class, patterns)| {
                patterns.value.iter().map(move |pattern| (class, &pattern.value))
            });
        patterns
            .filter(|(_, pattern)| pattern.matches(number))
            .max_by_key(|(_, pattern)| pattern.literal_prefix().len())
            .map(|(class, _)| class)
    }

    /// The first route that carries a class from a site.
    pub(super) fn route_of(&self, class: &str, site: Option<&Name>) -> Option<&'m Route> {
        self.model.routes.iter().find(|route| {
            route.classes.iter().any(|carried| carried.as_ref() == class)
                && (route.site.is_none() || route.site.as_ref() == site)
        })
    }

    /// The trunk that refuses caller IDs which are not the customer's, if the route begins with one.
    pub(super) fn screens(&self, route: &Route) -> Option<&'m Name> {
        let (name, trunk) = self.model.trunks.get_key_value(route.via.first()?)?;
        trunk.screens_caller_id.then_some(name)
    }

    /// A screening trunk by which calls of this user may leave, but for emergency calls.
    pub(super) fn screened(&self, user: &User) -> Option<&'m Name> {
        self.model.routes.iter().filter(|route| route.site.is_none() || route.site == user.site).find_map(
            |route| {
                let may = |class: &Name| {
                    class.as_ref() != EMERGENCY && user.restrict.get(class) != Some(&Permission::Deny)
                };
                route.classes.iter().any(may).then(|| self.screens(route)).flatten()
            },
        )
    }
}

/// Where a number leads.
pub(super) fn destinations_of(to: &NumberTo) -> Vec<&At<Destination>> {
    match to {
        NumberTo::Spare => Vec::new(),
        NumberTo::To(to) => vec![to],
        NumberTo::Rules(rules) => rules.iter().map(|rule| &rule.to).collect(),
    }
}

/// Every forward of a rule with its key.
pub(super) fn forwards(of: &Forwards) -> impl Iterator<Item = (&'static str, &Forward)> {
    let Forwards { always, dnd, on_active, busy, no_answer, declined, offline, otherwise } = of;
    [
        ("always", always),
        ("dnd", dnd),
        ("on_active", on_active),
        ("busy", busy),
        ("no_answer", no_answer),
        ("declined", declined),
        ("offline", offline),
        ("otherwise", otherwise),
    ]
    .into_iter()
    .filter_map(|(key, forward)| Some((key, forward.as_ref()?)))
}

/// Every outside number that the enabled rules of a user ring or forward to.
pub(super) fn outside_of(user: &User) -> impl Iterator<Item = Outside<'_>> {
    user.rules.iter().filter(|rule| rule.enabled).flat_map(|rule| {
        let forwards = forwards(&rule.forward).filter_map(|(_, forward)| match &forward.to {
            Destination::Tel(number) => {
                Some(Outside { number, span: forward.span, target: None, forward: Some(forward) })
            }
            _ => None,
        });
        let targets = rule.ring.targets.iter().flat_map(|target| {
            target.to.iter().filter_map(move |to| match &to.value {
                TargetTo::Destination(Destination::Tel(number)) => {
                    Some(Outside { number, span: to.span, target: Some(target), forward: None })
                }
                _ => None,
            })
        });
        forwards.chain(targets)
    })
}
