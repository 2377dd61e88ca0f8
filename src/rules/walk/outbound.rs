//! What a phone of ours dials: emergency numbers before everything, feature codes, extensions, the outside line and dial rules,
//! then class, rights and route.

use super::{Left, Move, Next, OUTGOING_RING, Place, Purpose, State, Turn, cause};
use crate::number::emergency_numbers;
use crate::rules::caller::to_e164;
use crate::rules::domain::{Domain, Extension};
use crate::rules::facts::Origin;
use crate::rules::model::Feature;
use crate::rules::model::{CallerId, Name};
use crate::rules::outgoing::{Denied, EMERGENCY, EmergencyNumber, INTERNAL, Way};
use crate::rules::trail::{Because, Standing, Step, Unbuilt};

impl<'a> Turn<'a> {
    pub(super) fn dial(&mut self, dialled: &Name) -> Move<'a> {
        if let Some(emergency) = self.domain.emergency_number(dialled) {
            return self.emergency(emergency);
        }
        if let Some(code) = self.feature_code(dialled) {
            return code;
        }
        if self.journey.party.user.is_none() && matches!(self.call.caller.origin, Origin::Device(_)) {
            return self.deny(Denied::Spare);
        }
        if let Some(reached) = self.extension(dialled) {
            return reached;
        }
        let (number, class) = match self.rewrite(dialled) {
            Ok(rewritten) => rewritten,
            Err(reached) => return reached,
        };
        let locale = self.domain.locale_of(self.sender());
        let number = to_e164(&number, &locale).unwrap_or(number);
        if let Some(ours) = self.domain.numbers.index(&number) {
            return self.internal().unwrap_or(Move::To(Place::Number { number: ours, by: None }));
        }
        self.tell(Step::Dialled { number: number.clone(), dialled: dialled.clone() });
        self.outside(&number, class)
    }

    fn feature_code(&mut self, dialled: &str) -> Option<Move<'a>> {
        let domain = self.domain;
        let (feature, _) = domain.codes.of(dialled)?;
        let tag = format!("code:{}", feature.value);
        self.tell(Step::Code { feature: feature.value.clone(), span: feature.span });
        if feature.value == Feature::Pickup {
            return Some(Move::Stop(self.taken_by(tag)));
        }
        Some(Move::Stop(self.serve(tag, Unbuilt::FeatureCode, Some(feature.span))))
    }

    /// An extension, letter by letter.
    fn extension(&mut self, dialled: &str) -> Option<Move<'a>> {
        let domain = self.domain;
        let extension = domain.extensions.index(dialled)?;
        let place = match domain.extensions.at(extension)? {
            Extension::User(user) => Place::User { user: *user, by: None },
            Extension::System(to, _) => Place::Destination { to, by: None, left: Left::Always },
        };
        self.tell(Step::Extension(extension));
        Some(self.internal().unwrap_or(Move::To(place)))
    }

    /// Whether the caller may dial inside at all.
    fn internal(&mut self) -> Option<Move<'a>> {
        let denied = self.domain.denied(self.sender(), INTERNAL, false)?;
        Some(self.deny(denied))
    }

    fn deny(&mut self, denied: Denied) -> Move<'a> {
        self.tell(Step::Denied(denied));
        Move::Stop(self.reject(403, Some(cause::CALL_REJECTED), None, Because::Refused))
    }

    /// The outside-line digit and the first dial rule that matches; what they make of the number may be an emergency number or an
    /// extension again.
    fn rewrite(&mut self, dialled: &Name) -> Result<(Name, Option<(Name, u32)>), Move<'a>> {
        let domain = self.domain;
        let (number, rule) = rewritten(domain, dialled);
        let Some((index, rewritten)) = rule else { return Ok((number, None)) };
        self.tell(Step::DialRule { rule: index, number, becomes: rewritten.clone() });
        if let Some(emergency) = domain.emergency_number(&rewritten) {
            return Err(self.emergency(emergency));
        }
        match self.extension(&rewritten) {
            Some(reached) => Err(reached),
            None => {
                let class = domain.dial.get(index as usize).and_then(|rule| rule.class.clone());
                Ok((rewritten, class.map(|class| (class, index))))
            }
        }
    }

    /// A number that is not ours: by class, rights and route.
    fn outside(&mut self, number: &Name, class: Option<(Name, u32)>) -> Move<'a> {
        let domain = self.domain;
        let class = match (class, domain.class_of(number)) {
            (Some((class, rule)), _) => {
                self.tell(Step::ClassOfRule { class: class.clone(), rule });
                class
            }
            (None, Some((class, entry))) => {
                self.tell(Step::Class { class, number: number.clone() });
                entry.name.clone()
            }
            (None, None) => {
                return Move::Stop(self.reject(404, Some(cause::UNALLOCATED), None, Because::NoClass));
            }
        };
        if let Some(denied) = domain.denied(self.sender(), &class, true) {
            return self.deny(denied);
        }
        let charge = match domain.charge(self.sender(), &class, self.live) {
            Ok(charge) => charge,
            Err(denied) => return self.deny(denied),
        };
        if let Some(over) = self.hop() {
            return over;
        }
        let Some(way) = domain.way(&class, self.sender().site(), self.live) else {
            let because = Because::NoRoute(class);
            return Move::Stop(self.reject(404, Some(cause::UNALLOCATED), None, because));
        };
        Move::Stop(self.leave(number, Way { charge, ..way }, None))
    }

    /// By these trunks, with this identity.
    fn leave(&mut self, number: &Name, way: Way, identity: Option<CallerId>) -> Next {
        let number = number.clone();
        if way.trunks.is_empty() {
            let span = way.route.and_then(|route| self.domain.routes.get(route as usize)).map(|r| r.span);
            self.tell(Step::Leaves { number, way: Box::new(way), stage: None });
            self.tell(Step::AllTrunksDown);
            return self.reject(500, Some(cause::NETWORK_OUT_OF_ORDER), span, Because::NoTrunk);
        }
        let ringing = self.planner().of_outgoing(&number, &way, OUTGOING_RING, identity);
        let stage = self.journey.trail.stage(ringing);
        self.tell(Step::Leaves { number, way: Box::new(way), stage: Some(stage) });
        self.journey.trail.standing = Standing::Outside;
        self.journey.state = State::Ringing { stage, purpose: Purpose::Outgoing };
        Next::Ring
    }

    /// `urn:service:sos` (RFC 5031): the emergency number of the caller's country.
    pub(super) fn sos(&mut self) -> Move<'a> {
        let locale = self.domain.locale_of(self.sender());
        let number = emergency_numbers(&locale.country).first().copied().unwrap_or("112");
        self.emergency(EmergencyNumber { number: number.into(), span: None, after: None })
    }

    /// Decided before everything, never denied, never counted.
    fn emergency(&mut self, dialled: EmergencyNumber) -> Move<'a> {
        let domain = self.domain;
        self.journey.emergency = true;
        let EmergencyNumber { number, span, after } = dialled;
        self.tell(Step::EmergencyNumber { number: number.clone(), span, after });
        let sender = self.sender();
        let site = sender.site().cloned();
        let (callback, location) = domain.emergency_of(sender);
        let fallback = domain.external_id(sender, None);
        self.tell(Step::Emergency { located: location.is_some() });
        self.journey.trail.steps.extend(location.map(Step::Location));
        let identity = callback.and_then(|name| domain.callbacks.get(&name)).cloned();
        let identity = CallerId {
            number: identity.as_ref().and_then(|id| id.number.clone()).or(fallback.number),
            name: identity.and_then(|id| id.name).or(fallback.name),
        };
        self.journey.trail.steps.extend(identity.number.clone().map(Step::Callback));
        let way =
            domain.way(&EMERGENCY.into(), site.as_ref(), self.live).filter(|way| !way.trunks.is_empty());
        let way = way.unwrap_or_else(|| domain.any_way(self.live));
        Move::Stop(self.leave(&number, way, Some(identity)))
    }
}

/// What was dialled without the outside-line digit, and the first dial rule that matches: its index, and what it makes of the number.
pub(super) fn rewritten(domain: &Domain, dialled: &Name) -> (Name, Option<(u32, Name)>) {
    let line = domain.outside_line.as_deref().filter(|line| !line.is_empty());
    let rest = line.and_then(|line| dialled.strip_prefix(line)).filter(|rest| !rest.is_empty());
    let number = rest.map_or_else(|| dialled.clone(), Name::from);
    let rule = (0..).zip(&domain.dial).find(|(_, rule)| rule.dialled.matches(&number));
    let becomes = rule.map(|(index, rule)| {
        let becomes = match &rule.rewrite_as {
            Some(whole) => whole.clone(),
            None => format!("{}{}", rule.prefix, number.get(rule.strip..).unwrap_or_default()).into(),
        };
        (index, becomes)
    });
    (number, becomes)
}
