//! Trees with live status folded in: one for each user who has set something, made anew when the status or the rules change. A
//! call that keeps an older generation of the rules finds none here and asks for the status as it goes.
//!
//! Invariant: a tree kept here is of the generation that it stands beside; other users' trees are never touched.

use crate::rules::tree::Tree;
use crate::rules::{Domain, UserStatus};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// As many as there are users with a status.
#[derive(Debug, Default)]
pub struct Folds {
    domains: FxHashMap<Arc<str>, OfDomain>,
}

#[derive(Debug, Default)]
struct OfDomain {
    generation: u64,
    users: FxHashMap<Arc<str>, Tree>,
}

impl Folds {
    /// The status of one user has changed; `None`: back to the rules.
    pub fn fold(&mut self, domain: &Domain, user: &Arc<str>, status: Option<&UserStatus>) {
        let of_domain = self.domains.entry(domain.name().clone()).or_default();
        if of_domain.generation != domain.generation() {
            *of_domain = OfDomain { generation: domain.generation(), users: FxHashMap::default() };
        }
        match status.and_then(|status| domain.folded(user, status)) {
            Some(tree) => _ = of_domain.users.insert(user.clone(), tree),
            None => _ = of_domain.users.remove(user),
        }
        if of_domain.users.is_empty() {
            self.domains.remove(domain.name());
        }
    }

    /// New rules: whoever has set something is folded into them.
    pub fn refold<'a>(
        &mut self,
        domain: &Domain,
        statuses: impl Iterator<Item = (&'a Arc<str>, &'a UserStatus)>,
    ) {
        self.domains.remove(domain.name());
        for (user, status) in statuses {
            self.fold(domain, user, Some(status));
        }
    }

    /// The tree of this user in these rules.
    #[must_use]
    pub fn tree(&self, domain: &Domain, user: &str) -> Option<&Tree> {
        if self.domains.is_empty() {
            return None;
        }
        let of_domain = self.domains.get(domain.name())?;
        if of_domain.generation == domain.generation() { of_domain.users.get(user) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::compile::Secrets;
    use crate::rules::diagnostic::Files;

    fn domain(generation: u64) -> Domain {
        let text = "schema = 1\n[domain]\nname = \"pbx.test\"\ntimezone = \"UTC\"\ncountry = \"US\"\n\
                    [user.ann]\next = \"101\"\nname = { first = \"A\", last = \"X\" }\n\
                    [user.bob]\next = \"102\"\nname = { first = \"B\", last = \"X\" }\n";
        let loaded = crate::rules::source::load(&Files([("domain.toml".into(), text.into())].into()));
        Domain::compile(&loaded.model.unwrap(), Secrets::default(), generation).unwrap()
    }

    #[test]
    fn only_who_has_a_status_has_a_folded_tree_and_only_in_these_rules() {
        let (first, second) = (domain(1), domain(2));
        let ann: Arc<str> = "ann".into();
        let status = UserStatus { dnd: Some(true), ..UserStatus::default() };
        let mut folds = Folds::default();
        folds.fold(&first, &ann, Some(&status));
        assert!(
            folds.tree(&first, "ann").is_some_and(|tree| tree.depth() < first.tree("101").unwrap().depth())
        );
        assert!(folds.tree(&first, "bob").is_none());
        assert!(folds.tree(&second, "ann").is_none(), "a call of other rules asks for itself");
        folds.refold(&second, [(&ann, &status)].into_iter());
        assert!(folds.tree(&second, "ann").is_some() && folds.tree(&first, "ann").is_none());
        folds.fold(&second, &ann, None);
        assert!(folds.tree(&second, "ann").is_none() && folds.domains.is_empty());
    }
}
