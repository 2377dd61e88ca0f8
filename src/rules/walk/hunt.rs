//! Hunts, which ring a list of nobody's, and `follow`, by which the last one left of a list is asked for their own rules.

use super::{Left, Move, Place, Purpose, Turn};
use crate::rules::model::Destination;
use crate::rules::trail::{By, Forced, Object, Standing, Step};
use crate::rules::tree::RingOutcome;

impl<'a> Turn<'a> {
    /// A hunt rings its list; from there on the call is not a direct one.
    pub(super) fn enter_hunt(&mut self, hunt: u32, by: Option<By>) -> Move<'a> {
        let domain = self.domain;
        let Some(entry) = domain.hunts.get(hunt as usize) else { return self.broken() };
        self.tell(Step::Hunt { hunt, by });
        if let Some(over) = self.hop() {
            return over;
        }
        if let Some(looped) = self.repeated(Object::Hunt(hunt), 0) {
            return looped;
        }
        self.journey.through = Some(Destination::Hunt(entry.name.clone()));
        self.journey
            .prefixes
            .extend(entry.caller_id_prefix.iter().filter(|prefix| !prefix.is_empty()).cloned());
        let ringing = self.planner().of_rule(None, &entry.template);
        match self.ring(ringing, Purpose::Hunt(hunt), Standing::Ringing) {
            Ok(stop) => Move::Stop(stop),
            Err(outcome) => match self.last_left(Object::Hunt(hunt), &[]) {
                Some((user, list, outcome)) => Move::To(Place::Follow { user, list, outcome }),
                None => self.hunt_failed(hunt, outcome),
            },
        }
    }

    /// Nobody took it.
    pub(super) fn hunt_failed(&mut self, hunt: u32, outcome: RingOutcome) -> Move<'a> {
        let Some(entry) = self.domain.hunts.get(hunt as usize) else { return self.broken() };
        match &entry.on_failure {
            Some(on_failure) => {
                self.tell(Step::OnFailure { hunt, outcome });
                let (to, by) = (&on_failure.value, Some(By::Hunt(hunt)));
                Move::To(Place::Destination { to, by, left: Left::Outcome(outcome) })
            }
            None => Move::Stop(self.final_response(outcome)),
        }
    }

    /// The last one left of a list: their rule in force, from where their phones would ring; where those rang already, from their
    /// end. Lists and screening were not asked when they were a mere target, and are not asked now.
    pub(super) fn enter_followed(
        &mut self,
        user: u32,
        list: Object,
        outcome: Option<RingOutcome>,
    ) -> Move<'a> {
        let domain = self.domain;
        let (Some(entry), Some(tree)) = (domain.entry_at(user), domain.tree_of(user)) else {
            return self.broken();
        };
        self.tell(Step::User { user, by: Some(By::Follow(list)) });
        if let Some(over) = self.hop() {
            return over;
        }
        let (rule, picked, forced) = {
            let facts = self.user_facts(entry, tree, None);
            use crate::rules::tree::Facts as _;
            (facts.rule_in_force(), facts.picked().is_some(), facts.forced.take())
        };
        let Some(rule) = rule else { return self.broken() };
        self.journey.first_user.get_or_insert(user);
        self.journey.user = Some(user);
        let forced: Forced = forced;
        self.tell(Step::Rule { of: Object::User(user), rule, picked, forced });
        if let Some(looped) = self.repeated(Object::User(user), rule) {
            return looped;
        }
        match outcome {
            Some(outcome) => self.after_rule(user, rule, outcome),
            None => {
                let start = tree.rules.get(rule as usize).map(|rule| rule.entry);
                let Some(start) = start else { return self.broken() };
                self.decide_user(user, entry, tree, None, start, None)
            }
        }
    }
}
