//! The page on what leaves: who may dial what, classes, routes, the identity that goes out, emergency numbers.

use super::page::Page;
use crate::number::emergency_numbers;
use crate::rules::model::{CallerId, Name, Permission};
use std::collections::BTreeMap;

impl Page<'_> {
    /// The stricter of user and phone, each by itself or by its site.
    pub(super) fn denied(
        &self,
        user: Option<&Name>,
        device: Option<&Name>,
        class: &str,
        out: bool,
    ) -> Option<String> {
        let site = |name: Option<&Name>| name.map(|name| &self.model.sites[name].restrict);
        type Rights = BTreeMap<Name, Permission>;
        let deny = |own: &Rights, inherited: Option<&Rights>| {
            let said = own.get(class).filter(|p| **p != Permission::Inherit);
            let said = said.or_else(|| inherited.and_then(|map| map.get(class)));
            said == Some(&Permission::Deny)
        };
        let user = user.map(|user| &self.model.users[user]);
        if user.is_some_and(|user| out && user.vanity.is_some()) {
            return Some("denied:vanity".to_owned());
        }
        let device = device.map(|device| &self.model.devices[device]);
        let by_user = user.is_some_and(|u| deny(&u.restrict, site(u.site.as_ref())));
        let by_device = device.is_some_and(|d| deny(&d.restrict, site(d.site.as_ref())));
        (by_user || by_device).then(|| format!("denied:class:{class}"))
    }

    /// Whether a call of this class would go beyond its user's budget, with what of the same list rings then and before; `None`: there
    /// is no budget.
    pub(super) fn beyond(
        &self,
        user: Option<&Name>,
        class: &str,
        (at_once, before): (u32, u32),
    ) -> Option<bool> {
        let budget = self.model.users[user?].budget.get(class)?;
        let spent = self.given.spent.get(user?).and_then(|classes| classes.get(class)).copied();
        let spent = spent.unwrap_or_default();
        let full = [
            budget.calls_at_once.is_some_and(|limit| spent.calls_at_once + at_once >= limit),
            budget.calls_per_hour.is_some_and(|limit| spent.calls_per_hour + before >= limit),
            budget.time_per_day.is_some_and(|limit| spent.time_per_day >= limit),
        ];
        Some(full.contains(&true))
    }

    /// Trunks of the first route for the class and site; `None`: no route.
    pub(super) fn trunks(&self, class: &str, site: Option<&Name>) -> Option<(Vec<Name>, Option<&CallerId>)> {
        let route = self.model.routes.iter().find(|route| {
            route.classes.iter().any(|c| &**c == class)
                && (route.site.is_none() || route.site.as_ref() == site)
        })?;
        let up = route.via.iter().filter(|trunk| !self.given.trunk_down.contains(trunk));
        Some((up.cloned().collect(), route.caller_id.as_ref()))
    }

    /// The class by the longest literal prefix; emergency is decided before.
    pub(super) fn class(&self, number: &str) -> Option<Name> {
        let classes = self.model.classes.iter().filter(|(name, _)| &***name != "emergency");
        let matching = classes.flat_map(|(name, class)| {
            let fits = class.value.iter().filter(|pattern| pattern.value.matches(number));
            fits.map(move |pattern| (pattern.value.literal_prefix().len(), name))
        });
        matching.max_by_key(|(length, _)| *length).map(|(_, name)| name.clone())
    }

    /// Route, user, site, domain; each key by itself.
    pub(super) fn external(
        &self,
        user: Option<&Name>,
        device: Option<&Name>,
        route: Option<&CallerId>,
    ) -> CallerId {
        let whose = user.map(|user| &self.model.users[user]);
        let site = device.and_then(|d| self.model.devices[d].site.as_ref());
        let site = site.or_else(|| whose.and_then(|user| user.site.as_ref()));
        let site = site.and_then(|site| self.model.sites[site].caller_id.as_ref());
        let own = whose.map(|user| &user.caller_id_external);
        let layers = [route, own, site, self.model.domain.caller_id.as_ref()];
        CallerId {
            name: layers.iter().flatten().find_map(|id| id.name.clone()),
            number: layers.iter().flatten().find_map(|id| id.number.clone()),
        }
    }

    pub(super) fn emergency(&self, text: &str) -> Option<Name> {
        let class = self.model.classes.get("emergency");
        let is = |text: &str| {
            let sites = self.model.sites.values().filter_map(|site| site.country.as_ref());
            let mut countries = sites.chain([&self.model.domain.country]);
            countries.any(|country| emergency_numbers(country).contains(&text))
                || class.is_some_and(|class| class.value.iter().any(|pattern| pattern.value.matches(text)))
        };
        let line = self.model.domain.outside_line.as_deref().unwrap_or_default();
        ["", line, "9", "0"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix).filter(|rest| is(rest)))
            .map(Name::from)
    }
}
