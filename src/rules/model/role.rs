//! What a role may do. Answering calls asks for three of these (logging in to queues, changing one's own rules, monitoring);
//! the others are for consoles.

use super::{At, Name};
use crate::rules::diagnostic::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[role.X]`, or one that is built in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    pub span: Span,
    pub inherit: Option<Name>,
    pub may: Vec<At<Rights>>,
    pub may_not: Vec<At<Rights>>,
}

/// One right, or `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rights {
    All,
    One(Right),
}

impl Rights {
    fn cover(self, right: Right) -> bool {
        self == Rights::All || self == Rights::One(right)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Right {
    Portal,
    OwnRules,
    OwnVoicemail,
    QueueLogin,
    QueueAdmin,
    Monitor,
    Recordings,
    Users,
}

impl Right {
    /// As the rules write them.
    pub const ALL: [(&'static str, Right); 8] = [
        ("portal", Right::Portal),
        ("own-rules", Right::OwnRules),
        ("own-voicemail", Right::OwnVoicemail),
        ("queue-login", Right::QueueLogin),
        ("queue-admin", Right::QueueAdmin),
        ("monitor", Right::Monitor),
        ("recordings", Right::Recordings),
        ("users", Right::Users),
    ];
}

/// Roles that need no table, with the one that they inherit and what they may; a table of the same name takes their place.
const BUILT_IN: [(&str, Option<&str>, &[Right]); 4] = [
    ("basic", None, &[Right::Portal, Right::OwnRules, Right::OwnVoicemail]),
    ("office-manager", Some("basic"), &[Right::Users]),
    ("agent", Some("basic"), &[Right::QueueLogin]),
    ("supervisor", Some("agent"), &[Right::QueueAdmin, Right::Monitor]),
];

impl Role {
    /// The role of this name that needs no table.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Role> {
        let (_, inherit, may) = BUILT_IN.iter().find(|(known, _, _)| *known == name)?;
        let at = |right: &Right| At { value: Rights::One(*right), span: Span::default() };
        let inherit = inherit.map(Name::from);
        Some(Role { inherit, may: may.iter().map(at).collect(), ..Role::default() })
    }

    /// Their names.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _, _)| *name)
    }
}

/// Whether somebody with this role may: the role's own word, else that of the one that it inherits, and so on; within one,
/// `may_not` before `may`, and a right by its name before `*`. What nobody speaks of is not allowed.
#[must_use]
pub fn may(roles: &BTreeMap<Name, Role>, role: &str, right: Right) -> bool {
    let mut next = Some(role);
    // A loop is an error of the rules; this ends all the same.
    for _ in 0..=roles.len() {
        let Some(role) = next.and_then(|name| roles.get(name)) else { return false };
        let says = |list: &[At<Rights>], rights: Rights| list.iter().any(|one| one.value == rights);
        for rights in [Rights::One(right), Rights::All] {
            debug_assert!(rights.cover(right));
            if says(&role.may_not, rights) {
                return false;
            }
            if says(&role.may, rights) {
                return true;
            }
        }
        next = role.inherit.as_deref();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(inherit: Option<&str>, may: &[Rights], may_not: &[Rights]) -> Role {
        let at = |rights: &[Rights]| {
            rights.iter().map(|one| At { value: *one, span: Span::default() }).collect::<Vec<_>>()
        };
        Role { span: Span::default(), inherit: inherit.map(Name::from), may: at(may), may_not: at(may_not) }
    }

    #[test]
    fn the_nearest_role_that_speaks_of_a_right_decides() {
        let roles: BTreeMap<Name, Role> = [
            ("basic".into(), role(None, &[Rights::One(Right::Portal)], &[])),
            ("agent".into(), role(Some("basic"), &[Rights::One(Right::QueueLogin)], &[])),
            ("guest".into(), role(Some("agent"), &[], &[Rights::One(Right::Portal)])),
            ("admin".into(), role(None, &[Rights::All], &[Rights::One(Right::Recordings)])),
        ]
        .into();
        assert!(may(&roles, "agent", Right::Portal), "inherited");
        assert!(!may(&roles, "basic", Right::QueueLogin));
        assert!(!may(&roles, "guest", Right::Portal) && may(&roles, "guest", Right::QueueLogin));
        assert!(may(&roles, "admin", Right::Monitor) && !may(&roles, "admin", Right::Recordings));
        assert!(!may(&roles, "nobody", Right::Portal));
    }

    #[test]
    fn roles_that_inherit_each_other_end() {
        let roles = [("a".into(), role(Some("b"), &[], &[])), ("b".into(), role(Some("a"), &[], &[]))].into();
        assert!(!may(&roles, "a", Right::Portal));
    }

    #[test]
    fn built_in_roles_inherit_built_in_roles() {
        for name in Role::built_in_names() {
            let role = Role::built_in(name).unwrap();
            assert!(!role.may.is_empty());
            assert!(role.inherit.is_none_or(|inherited| Role::built_in(&inherited).is_some()));
        }
    }
}
