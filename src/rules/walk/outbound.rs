//! What a phone of ours dials: emergency numbers before everything, feature codes, extensions, the outside line and dial rules,
//! then class, rights and route.

use super::{Move, Next, OUTGOING_RING, Place, Purpose, Stage, Walk, cause};
use crate::number::{emergency_numbers, normalise};
use crate::rules::domain::Extension;
use crate::rules::facts::Live;
use crate::rules::model::{CallerId, Destination, Name};
use crate::rules::outgoing::{Denied, EMERGENCY, EmergencyNumber, INTERNAL, Way};
use crate::rules::trail::{Standing, Why};

impl Walk {
    pub(super) fn dial(&mut self, live: &dyn Live, dialled: &str) -> Move {
        if let Some(emergency) = self.domain.emergency_number(dialled) {
            return self.emergency(live, &emergency);
        }
        if self.party.user.is_none() && self.party.device.is_some() {
            let why = "a phone of nobody may dial emergency numbers and feature codes only";
            self.trail.push("denied:spare", None, why);
            return Move::Stop(self.reject(403, Some(cause::CALL_REJECTED), None, "refused"));
        }
        if let Some(reached) = self.extension(dialled) {
            return reached;
        }
        let (number, class) = match self.rewrite(live, dialled) {
            Ok(rewritten) => rewritten,
            Err(reached) => return reached,
        };
        let locale = self.domain.locale_of(self.sender());
        let number = normalise(&number, &locale).map_or(number, Name::from);
        if self.domain.number_index.contains_key(&number) {
            return self.internal().unwrap_or(Move::To(Place::Number(number)));
        }
        self.trail.push(format!("number:{number}"), None, format!("{dialled} was dialled"));
        self.outside(live, &number, class)
    }

    /// An extension, letter by letter.
    fn extension(&mut self, dialled: &str) -> Option<Move> {
        let domain = self.domain.clone();
        let extension = domain.extensions.get(dialled)?;
        let (span, to) = match extension {
            Extension::User(index) => {
                let user = domain.users.get(*index as usize)?;
                (user.span, Destination::User(user.view.name.clone()))
            }
            Extension::System(to, span) => (*span, to.clone()),
        };
        self.trail.push(format!("ext:{dialled}"), Some(span), "an extension of ours");
        Some(self.internal().unwrap_or(Move::To(Place::Destination(to))))
    }

    /// Whether the caller may dial inside at all.
    fn internal(&mut self) -> Option<Move> {
        let denied = self.domain.denied(self.sender(), INTERNAL, false)?;
        Some(self.deny(denied))
    }

    fn deny(&mut self, denied: Denied) -> Move {
        self.trail.push(denied.tag, denied.span, denied.why);
        Move::Stop(self.reject(403, Some(cause::CALL_REJECTED), None, "refused"))
    }

    /// The outside-line digit and the first dial rule that matches; what they make of the number may be an emergency number or an
    /// extension again.
    fn rewrite(&mut self, live: &dyn Live, dialled: &str) -> Result<(Name, Option<Name>), Move> {
        let domain = self.domain.clone();
        let mut number = dialled;
        if let Some(line) = domain.outside_line.as_deref().filter(|line| !line.is_empty())
            && let Some(rest) = dialled.strip_prefix(line).filter(|rest| !rest.is_empty())
        {
            number = rest;
        }
        let rule = domain.dial.iter().enumerate().find(|(_, rule)| rule.dialled.matches(number));
        let Some((index, rule)) = rule else { return Ok((number.into(), None)) };
        let rewritten: Name = match &rule.rewrite_as {
            Some(whole) => whole.clone(),
            None => format!("{}{}", rule.prefix, number.get(rule.strip..).unwrap_or_default()).into(),
        };
        let why = format!("{number} matches {}: it becomes {rewritten}", rule.dialled.as_str());
        self.trail.push(format!("dial:{}", index + 1), Some(rule.span), why);
        if let Some(emergency) = domain.emergency_number(&rewritten) {
            return Err(self.emergency(live, &emergency));
        }
        match self.extension(&rewritten) {
            Some(reached) => Err(reached),
            None => Ok((rewritten, rule.class.clone())),
        }
    }

    /// A number that is not ours: by class, rights and route.
    fn outside(&mut self, live: &dyn Live, number: &Name, class: Option<Name>) -> Move {
        let domain = self.domain.clone();
        let classified = domain.class_of(number);
        let class = match (class, classified) {
            (Some(class), _) => {
                self.trail.push(format!("class:{class}"), None, "the dial rule says so");
                class
            }
            (None, Some(found)) => {
                let shorter = |name: &Name| (format!("class:{name}"), Why::from("its pattern is less exact"));
                let over = found.passed_over.iter().map(shorter).collect();
                let why = "its pattern has the longest literal beginning";
                self.trail.push_over(format!("class:{}", found.name), found.span, why, over);
                found.name
            }
            (None, None) => {
                return Move::Stop(self.reject(
                    404,
                    Some(cause::UNALLOCATED),
                    None,
                    "the number is of no class",
                ));
            }
        };
        if let Some(denied) = domain.denied(self.sender(), &class, true) {
            return self.deny(denied);
        }
        if let Some(over) = self.hop() {
            return over;
        }
        let Some(way) = domain.way(&class, self.sender().site(), live) else {
            let why = format!("class {class} has no route");
            return Move::Stop(self.reject(404, Some(cause::UNALLOCATED), None, why));
        };
        Move::Stop(self.leave(live, number, way, None))
    }

    /// By these trunks, with this identity.
    fn leave(&mut self, live: &dyn Live, number: &Name, way: Way, identity: Option<CallerId>) -> Next {
        let tried = |trunk: &Name| (format!("route:{trunk}"), Why::from("the trunk is down"));
        let others = way.passed_over.iter().map(|(name, why)| (name.clone(), Why::from(why.clone())));
        let over = others.chain(way.down.iter().map(tried)).collect();
        let span = way.span;
        let empty = way.trunks.is_empty();
        self.trail.push_over(format!("tel:{number}"), span, "leaves by this route", over);
        if empty {
            self.trail.push("failed", None, "every trunk of the route is down");
            return self.reject(500, Some(cause::NETWORK_OUT_OF_ORDER), span, "no trunk can take the call");
        }
        let mut plan = self.planner(live).of_outgoing(self.sender(), number, way, OUTGOING_RING);
        for leg in &mut plan.legs {
            if let Some(identity) = &identity {
                leg.caller_id = identity.clone();
                // RFC 3261 does not let an emergency centre go without a number to call back.
                leg.anonymous = false;
            }
        }
        for leg in &plan.legs {
            self.leg_tags(leg);
        }
        self.trail.standing = Standing::Outside;
        self.stage = Stage::Ringing { plan: plan.clone(), skipped: Vec::new(), purpose: Purpose::Outgoing };
        Next::Ring(plan)
    }

    /// `urn:service:sos` (RFC 5031): the emergency number of the caller's country.
    pub(super) fn sos(&mut self, live: &dyn Live) -> Move {
        let locale = self.domain.locale_of(self.sender());
        let number = emergency_numbers(&locale.country).first().copied().unwrap_or("112");
        let number = EmergencyNumber { number: number.into(), span: None, after: None };
        self.emergency(live, &number)
    }

    /// Decided before everything, never denied, never counted.
    fn emergency(&mut self, live: &dyn Live, dialled: &EmergencyNumber) -> Move {
        let domain = self.domain.clone();
        self.emergency = true;
        let after = dialled.after.as_ref().map(|digit| format!(", after {digit}")).unwrap_or_default();
        let built_in = if dialled.span.is_none() { " (built in)" } else { "" };
        let why = format!("{} is an emergency number{built_in}{after}", dialled.number);
        self.trail.push("class:emergency", dialled.span, why);
        let sender = self.sender();
        let site = sender.site().cloned();
        let (callback, location) = domain.emergency_of(sender);
        let fallback = domain.external_id(sender, &CallerId::default());
        let without =
            if location.is_none() { "; no location is set, and it is placed all the same" } else { "" };
        self.trail.push(
            "emergency",
            None,
            format!("decided before everything else, and never denied{without}"),
        );
        if let Some(location) = &location {
            self.trail.push(format!("location:{location}"), None, "where the caller is");
        }
        let identity = callback.and_then(|name| domain.callbacks.get(&name)).cloned();
        let identity = CallerId {
            number: identity.as_ref().and_then(|id| id.number.clone()).or(fallback.number),
            name: identity.and_then(|id| id.name).or(fallback.name),
        };
        if let Some(number) = &identity.number {
            self.trail.push(format!("callback:{number}"), None, "where the emergency centre can call back");
        }
        let way = domain.way(EMERGENCY, site.as_ref(), live).filter(|way| !way.trunks.is_empty());
        let way = way.unwrap_or_else(|| domain.any_way(live));
        Move::Stop(self.leave(live, &dialled.number, way, Some(identity)))
    }
}
