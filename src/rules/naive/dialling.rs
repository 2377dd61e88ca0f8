//! The page on dialling: emergency numbers, feature codes, extensions, the outside line and dial rules, class, rights, route.

use super::page::{Entry, Next, Page};
use crate::number::{Locale, emergency_numbers, normalise};
use crate::rules::model::{CallerId, Name};

impl Page<'_> {
    pub(super) fn sos(&mut self) -> Next {
        let number = emergency_numbers(&self.sender_locale().country).first().copied().unwrap_or("112");
        self.emergency_call(&number.into())
    }

    pub(super) fn dial(&mut self, dialled: &str) -> Next {
        if let Some(number) = self.emergency(dialled) {
            return self.emergency_call(&number);
        }
        if let Some(feature) = self.model.services.codes.by_code.get(dialled) {
            self.say(format!("code:{}", feature.value));
            return Next::End;
        }
        if self.caller.user.is_none() && self.caller.device.is_some() {
            self.say("denied:spare");
            return self.reject(403);
        }
        if let Some(next) = self.extension(dialled) {
            return next;
        }
        let line = self.model.domain.outside_line.as_deref().unwrap_or_default();
        let rest = dialled.strip_prefix(line).filter(|rest| !line.is_empty() && !rest.is_empty());
        let mut number = rest.unwrap_or(dialled).to_owned();
        let mut class = None;
        let rule = self.model.dial.iter().position(|rule| rule.dialled.matches(&number));
        if let Some(index) = rule {
            let rule = &self.model.dial[index];
            self.say(format!("dial:{}", index + 1));
            let stripped = number.get(rule.strip..).unwrap_or_default();
            number = rule
                .rewrite_as
                .as_deref()
                .map_or_else(|| format!("{}{stripped}", rule.prefix), str::to_owned);
            if let Some(emergency) = self.emergency(&number) {
                return self.emergency_call(&emergency);
            }
            if let Some(next) = self.extension(&number) {
                return next;
            }
            class = rule.class.clone();
        }
        let number = normalise(&number, &self.sender_locale()).unwrap_or(number);
        if self.model.numbers.contains_key(number.as_str()) {
            return self.inside().unwrap_or_else(|| self.to_tel(number.as_str().into()));
        }
        self.say(format!("number:{number}"));
        let Some(class) = class.or_else(|| self.class(&number)) else { return self.reject(404) };
        self.say(format!("class:{class}"));
        let (user, device) = (self.caller.user.clone(), self.caller.device.clone());
        if let Some(denied) = self.denied(user.as_ref(), device.as_ref(), &class, true) {
            self.say(denied);
            return self.reject(403);
        }
        let beyond = self.beyond(user.as_ref(), &class, (0, 0));
        if beyond == Some(true) {
            self.say(format!("denied:budget:{class}"));
            return self.reject(403);
        }
        if let Some(over) = self.hop() {
            return over;
        }
        let site = self.site();
        let Some((trunks, route)) = self.trunks(&class, site.as_ref()) else { return self.reject(404) };
        let route = route.cloned();
        self.say(format!("tel:{number}"));
        let id = self.external(user.as_ref(), device.as_ref(), route.as_ref());
        let counts = beyond.map(|_| format!("budget:{class}"));
        self.out(&number, &id, self.caller.anonymous, counts, &trunks)
    }

    /// Leaves by the trunks; how the network ends it.
    fn out(
        &mut self,
        number: &str,
        id: &CallerId,
        withheld: bool,
        counts: Option<String>,
        trunks: &[Name],
    ) -> Next {
        if trunks.is_empty() {
            self.say("failed");
            return self.reject(500);
        }
        let shows = self.shows_outgoing(id, withheld, counts, trunks);
        self.tags.extend(shows);
        let tel = format!("tel:{number}");
        let given = self.given;
        let has = |list: &[Name]| list.iter().any(|name| **name == *tel);
        let (tag, status) = match () {
            () if has(&given.declined) => ("declined", 603),
            () if has(&given.busy) => ("busy", 486),
            () if has(&given.no_answer) || has(&given.unconfirmed) => ("no_answer", 480),
            () => return Next::End,
        };
        self.say(tag);
        self.reject(status)
    }

    fn extension(&mut self, dialled: &str) -> Option<Next> {
        let user = self.model.users.iter().find(|(_, u)| u.extensions.iter().any(|e| &**e == dialled));
        let next = match (user, self.model.system_extensions.get(dialled)) {
            (Some((name, _)), _) => Next::User { name: name.clone(), by: None, from: Entry::Called },
            (None, Some(to)) => {
                Next::To { to: to.value.clone(), greeting: "unavailable", from_hunt: false, by: None }
            }
            (None, None) => return None,
        };
        self.say(format!("ext:{dialled}"));
        Some(self.inside().unwrap_or(next))
    }

    fn inside(&mut self) -> Option<Next> {
        let (user, device) = (self.caller.user.clone(), self.caller.device.clone());
        let denied = self.denied(user.as_ref(), device.as_ref(), "internal", false)?;
        self.say(denied);
        Some(self.reject(403))
    }

    /// The site of the phone, else of the user.
    fn site(&self) -> Option<Name> {
        let device = self.caller.device.as_ref().and_then(|d| self.model.devices[d].site.clone());
        device.or_else(|| self.caller.user.as_ref().and_then(|u| self.model.users[u].site.clone()))
    }

    fn sender_locale(&self) -> Locale {
        let site = self.site();
        let site = site.as_ref().map(|site| &self.model.sites[site]);
        let own = self.caller.user.as_ref().and_then(|user| self.model.users[user].area_code.clone());
        let domain = &self.model.domain;
        let country = site.and_then(|s| s.country.clone()).unwrap_or_else(|| domain.country.clone());
        let abroad = country != domain.country;
        Locale {
            country,
            area_code: own
                .or_else(|| site.and_then(|s| s.area_code.clone()))
                .or_else(|| domain.area_code.clone().filter(|_| !abroad)),
        }
    }

    fn emergency_call(&mut self, number: &Name) -> Next {
        self.say("class:emergency");
        self.say("emergency");
        let device = self.caller.device.as_ref().map(|device| &self.model.devices[device]);
        let user = self.caller.user.as_ref();
        let visits = device.is_some_and(|device| device.hotdesk && device.user.as_ref() != user);
        let of_user = user.filter(|_| !visits).map(|user| &self.model.users[user].emergency);
        let site = if visits { device.and_then(|d| d.site.clone()) } else { self.site() };
        let of_site = site.as_ref().map(|site| &self.model.sites[site].emergency);
        let layers = [of_user, of_site, Some(&self.model.emergency)];
        let location = device.and_then(|d| d.location.as_ref().map(|at| at.value.clone()));
        let location = location.or_else(|| {
            layers.iter().flatten().find_map(|keys| keys.location.as_ref().map(|at| at.value.clone()))
        });
        let callback = layers.iter().flatten().find_map(|keys| keys.callback.as_ref());
        let callback =
            callback.map(|name| self.model.callbacks[&name.value].value.clone()).unwrap_or_default();
        let other = self.external(user, self.caller.device.as_ref(), None);
        let id = CallerId { name: callback.name.or(other.name), number: callback.number.or(other.number) };
        self.tags.extend(location.map(|location| format!("location:{location}")));
        self.tags.extend(id.number.as_ref().map(|number| format!("callback:{number}")));
        self.say(format!("tel:{number}"));
        let by_route = self.trunks("emergency", self.site().as_ref()).map(|(trunks, _)| trunks);
        let any = self.model.trunks.keys().filter(|trunk| !self.given.trunk_down.contains(trunk));
        let (pbxes, mut any): (Vec<Name>, Vec<Name>) =
            any.cloned().partition(|trunk| self.model.trunks[trunk].registers_here);
        any.extend(pbxes);
        let trunks = by_route.filter(|trunks| !trunks.is_empty()).unwrap_or(any);
        self.out(number, &id, false, None, &trunks)
    }
}
