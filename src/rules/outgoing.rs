//! What leaves the domain: emergency numbers, classes of numbers and who may dial them, routes, and the caller ID that goes out.

use super::caller::Party;
use super::diagnostic::Span;
use super::domain::{ClassEntry, DeviceEntry, Domain, SiteEntry, UserEntry};
use super::facts::Live;
use super::model::{At, CallerId, EmergencyKeys, Limit, Name, Permission, Route};
use super::patterns::Match;
use super::plan::Charge;
use crate::number::Locale;
use std::collections::BTreeMap;

/// What everybody dials before an emergency number out of habit, whatever the outside line is.
pub(super) const HABITUAL_PREFIXES: [&str; 2] = ["9", "0"];

/// The class that is never denied.
pub(super) const EMERGENCY: &str = "emergency";

/// The class of extensions and numbers of ours.
pub(super) const INTERNAL: &str = "internal";

/// An emergency number that was dialled.
pub(super) struct EmergencyNumber {
    pub number: Name,
    /// Where `class.emergency` has it; none for a built-in one.
    pub span: Option<Span>,
    /// The digit that stood before it.
    pub after: Option<Name>,
}

/// Whose rights and identity an outgoing leg has: a caller inside, or somebody who forwards.
#[derive(Clone, Copy)]
pub(super) struct Sender<'d> {
    pub user: Option<&'d UserEntry>,
    pub device: Option<&'d DeviceEntry>,
}

/// Why an outgoing call or leg is refused. By name: what was refused is told long after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// A phone of nobody.
    Spare,
    /// A user who only receives.
    Vanity {
        user: Name,
    },
    User {
        user: Name,
        class: Name,
    },
    Device {
        device: Name,
        class: Name,
    },
    /// Their budget is used up.
    Budget {
        charge: Box<Charge>,
        limit: Limit,
    },
}

/// The way out.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// `None`: no route, any trunk (emergency alone).
    pub route: Option<u32>,
    pub class: Name,
    /// In order, those that are up and have a channel free.
    pub trunks: Vec<Name>,
    /// On this route, and down.
    pub down: Vec<Name>,
    /// On this route, up, and without a free channel.
    pub full: Vec<Name>,
    /// Whose budget it counts against.
    pub charge: Option<Box<Charge>>,
}

impl Denied {
    /// # Errors
    /// The budget is used up.
    pub fn unless_within(charge: Box<Charge>) -> Result<Box<Charge>, Denied> {
        match charge.stopped_by() {
            Some(limit) => Err(Denied::Budget { charge, limit }),
            None => Ok(charge),
        }
    }
}

impl<'d> Sender<'d> {
    pub fn of(domain: &'d Domain, party: &Party) -> Sender<'d> {
        Sender {
            user: party.user.and_then(|user| domain.entry_at(user)),
            device: party.device.and_then(|device| domain.device_at(device)),
        }
    }

    /// The site that calls leave from: the phone's, else the user's.
    pub fn site(&self) -> Option<&'d Name> {
        self.device.and_then(|d| d.site.as_ref()).or_else(|| self.user.and_then(|u| u.site.as_ref()))
    }

    /// Somebody else's hot-desk phone: what is the visitor's own says nothing about where it stands.
    fn visits(&self) -> bool {
        let owner = self.device.and_then(|d| d.view.user.as_ref());
        self.device.is_some_and(|d| d.hotdesk) && owner != self.user.map(|u| &u.view.name)
    }
}

impl Domain {
    /// Whether the text is an emergency number, also after the outside-line digit, 9 or 0.
    pub(super) fn emergency_number(&self, text: &str) -> Option<EmergencyNumber> {
        let find = |text: &str, after: Option<&str>| {
            let (_, span) = self.emergency_numbers.iter().find(|(pattern, _)| pattern.matches(text))?;
            Some(EmergencyNumber { number: text.into(), span: *span, after: after.map(Name::from) })
        };
        if let Some(found) = find(text, None) {
            return Some(found);
        }
        let prefixes = self.outside_line.as_deref().into_iter().chain(HABITUAL_PREFIXES);
        prefixes
            .filter(|prefix| !prefix.is_empty())
            .find_map(|prefix| find(text.strip_prefix(prefix)?, Some(prefix)))
    }

    /// The class of a number, by the longest literal prefix; its index.
    pub(super) fn class_of(&self, number: &str) -> Option<(u32, &ClassEntry)> {
        let (index, _) = self.classes_of(number).next()?;
        Some((index, self.classes.get(index as usize)?))
    }

    /// Every class that a number could be of, the longest literal prefix first. Emergency numbers are no matter of class.
    pub(super) fn classes_of<'d>(
        &'d self,
        number: &'d str,
    ) -> impl Iterator<Item = (u32, &'d ClassEntry)> + 'd {
        let entry = |found: Match| Some((found.value, self.classes.get(found.value as usize)?));
        self.class_patterns.all(number).filter_map(entry).filter(|(_, class)| &*class.name != EMERGENCY)
    }

    /// Who may dial what: the stricter of phone and user, each by itself or by what it inherits. Emergency is never asked about.
    pub(super) fn denied(&self, sender: Sender<'_>, class: &str, outside: bool) -> Option<Denied> {
        if class == EMERGENCY {
            return None;
        }
        let site = |name: Option<&Name>| self.site(name).map(|site: &SiteEntry| &site.restrict);
        let deny = |own: &BTreeMap<Name, Permission>, inherited: Option<&BTreeMap<Name, Permission>>| {
            let decided = |map: &BTreeMap<Name, Permission>| {
                map.get(class).filter(|p| **p != Permission::Inherit).copied()
            };
            decided(own).or_else(|| inherited.and_then(decided)) == Some(Permission::Deny)
        };
        if let Some(user) = sender.user {
            if outside && user.vanity.is_some() {
                return Some(Denied::Vanity { user: user.view.name.clone() });
            }
            if deny(&user.restrict, site(user.site.as_ref())) {
                return Some(Denied::User { user: user.view.name.clone(), class: class.into() });
            }
        }
        let device = sender.device?;
        let denied = deny(&device.restrict, site(device.site.as_ref()));
        denied.then(|| Denied::Device { device: device.view.key.device.clone(), class: class.into() })
    }

    /// Whom a call of this class counts against, and how their budget stands. An emergency call counts against nobody.
    ///
    /// # Errors
    /// There is nothing left of it.
    pub(super) fn charge(
        &self,
        sender: Sender<'_>,
        class: &Name,
        live: &dyn Live,
    ) -> Result<Option<Box<Charge>>, Denied> {
        let Some(user) = sender.user.filter(|_| &**class != EMERGENCY) else { return Ok(None) };
        let name = &user.view.name;
        let budget = live.budget(name, class).unwrap_or_else(|| user.budget.get(class).cloned());
        let spent = budget.as_ref().map(|_| live.spent(name, class)).unwrap_or_default();
        let charge = Charge { user: name.clone(), class: class.clone(), budget, spent };
        Denied::unless_within(Box::new(charge)).map(Some)
    }

    /// The first route for this class and site, with those of its trunks that are up.
    pub(super) fn way(&self, class: &Name, site: Option<&Name>, live: &dyn Live) -> Option<Way> {
        let fits = |route: &Route| {
            route.classes.contains(class) && (route.site.is_none() || route.site.as_ref() == site)
        };
        let (index, route) = (0..).zip(&self.routes).find(|(_, route)| fits(route))?;
        let (down, up): (Vec<Name>, Vec<Name>) =
            route.via.iter().cloned().partition(|trunk| live.trunk_down(trunk));
        let counts = &**class != EMERGENCY;
        let (full, trunks) = up.into_iter().partition(|trunk| counts && live.trunk_full(trunk));
        Some(Way { route: Some(index), class: class.clone(), trunks, down, full, charge: None })
    }

    /// For an emergency call without a route: any trunk is better than none, and last one that registers here. Behind that is mostly a PBX of
    /// the customer's, whose menu helps nobody.
    pub(super) fn any_way(&self, live: &dyn Live) -> Way {
        let (down, mut trunks): (Vec<Name>, Vec<Name>) =
            self.trunks.keys().cloned().partition(|trunk| live.trunk_down(trunk));
        trunks.sort_by_key(|trunk| self.trunks.get(trunk).is_some_and(|trunk| trunk.view.registers_here));
        Way { route: None, class: EMERGENCY.into(), trunks, down, full: Vec::new(), charge: None }
    }

    /// What the route itself shows outside.
    pub(super) fn route_id(&self, route: Option<u32>) -> Option<&CallerId> {
        self.routes.get(route? as usize)?.caller_id.as_ref()
    }

    /// By which numbers of this sender are normalised.
    pub(super) fn locale_of(&self, sender: Sender<'_>) -> Locale {
        let site = self.site(sender.site());
        let country = site.and_then(|s| s.country.clone()).unwrap_or_else(|| self.locale.country.clone());
        // Another country's numbers have nothing to do with the domain's area code.
        let domain = Some(&self.locale).filter(|locale| locale.country == country);
        let area_code = sender.user.and_then(|user| user.area_code.clone());
        Locale {
            area_code: area_code
                .or_else(|| site.and_then(|s| s.area_code.clone()))
                .or_else(|| domain.and_then(|locale| locale.area_code.clone())),
            country,
        }
    }

    /// What a sender shows outside: route, user, site, domain; each key by itself.
    pub(super) fn external_id(&self, sender: Sender<'_>, route: Option<&CallerId>) -> CallerId {
        let user = sender.user.map(|user| &user.external);
        let site = self.site(sender.site()).map(|site| &site.caller_id);
        let layers = [route, user, site, Some(&self.caller_id)];
        CallerId {
            name: layers.iter().flatten().find_map(|layer| layer.name.clone()),
            number: layers.iter().flatten().find_map(|layer| layer.number.clone()),
        }
    }

    /// A user who forwards, as Diversion names them: a number that can be called back, else the extension.
    pub(super) fn diverter(&self, user: &UserEntry) -> Option<Name> {
        let number = self.external_id(Sender { user: Some(user), device: None }, None).number;
        number.or_else(|| user.view.extensions.first().cloned())
    }

    /// Call-back and location of an emergency call, key by key: phone, user, site, domain; of a hot-desk phone never the
    /// visitor's own.
    pub(super) fn emergency_of(&self, sender: Sender<'_>) -> (Option<Name>, Option<Name>) {
        let user = sender.user.filter(|_| !sender.visits()).map(|user| &user.emergency);
        let site = match sender.visits() {
            true => sender.device.and_then(|device| self.site(device.site.as_ref())),
            false => self.site(sender.site()),
        };
        let layers = [user, site.map(|site| &site.emergency), Some(&self.emergency)];
        let key = |of: fn(&EmergencyKeys) -> &Option<At<Name>>| {
            layers.iter().flatten().find_map(|layer| of(layer).as_ref().map(|at| at.value.clone()))
        };
        let location = sender.device.and_then(|d| d.location.clone()).or_else(|| key(|keys| &keys.location));
        (key(|keys| &keys.callback), location)
    }
}
