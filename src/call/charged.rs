//! Legs that count against a budget: whether they may begin, from when on they talk, and what ends them.

use super::budgets::Ticket;
use super::lines::Channel;
use super::office::{Effect, Office};
use super::{Call, State};
use crate::clock::Now;
use crate::rules::model::Limit;
use crate::rules::{LegOutcome, LegTarget, PlannedLeg, Stop};
use serde::Serialize;
use std::sync::Arc;

/// A budget has kept a leg from beginning, or has ended a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetStop {
    /// The id of the call.
    pub call: String,
    pub domain: String,
    pub user: String,
    pub class: String,
    pub limit: Limit,
    /// `2 of 2 calls at once, 1h of 2h today`.
    pub used: String,
    /// Whether somebody talked already.
    pub ended: bool,
}

impl Call {
    /// What counts of this leg, before it goes out; `Ok(None)`: nothing does. One that has been out already, by another way, goes on.
    ///
    /// # Errors
    /// Its budget is used up.
    pub(super) fn charge(
        &mut self,
        office: &mut Office,
        now: Now,
        (leg, planned): (usize, &PlannedLeg),
    ) -> Result<Option<Arc<Ticket>>, LegOutcome> {
        let Some(charge) = &planned.charge else { return Ok(None) };
        let stage = self.stage;
        let mut ways = self.branches.iter().filter(|branch| branch.stage == stage && branch.leg == leg);
        if let Some(ticket) = ways.find_map(|way| way.channel.as_ref()?.ticket().cloned()) {
            return Ok(Some(ticket));
        }
        let domain = self.domain.clone();
        let zone = domain.user(&charge.user).map_or(domain.zone_name(), |user| &user.zone);
        match office.budgets.begin(now, (domain.name(), charge), zone) {
            Ok(ticket) => Ok(ticket),
            Err((limit, charge)) => {
                let stop = Stop { charge, limit };
                if let LegTarget::Outside { number, .. } = &planned.to {
                    let entry = self.log.leg(now, format!("tel:{number}"));
                    self.log.leg_ended(now, entry, None, &words(&stop));
                }
                self.tell_of_stop(office, &stop);
                Err(LegOutcome::Failed)
            }
        }
    }

    /// The trunk of this branch carries it no more. `untaken`: it has not taken the call.
    pub(super) fn release_channel(&mut self, office: &mut Office, index: usize, untaken: bool) {
        let channel = self.branches.get_mut(index).and_then(|branch| branch.channel.as_mut());
        if let Some(channel) = channel {
            if untaken {
                office.lines.failed(channel);
            }
            channel.release();
        }
    }

    /// This branch is over, and what it counts for. `untaken`: no place has taken its leg, so that it is none of the hour's calls.
    pub(super) fn lets_go(&mut self, office: &mut Office, now: Now, index: usize, untaken: bool) {
        let channel = self.branches.get_mut(index).and_then(|branch| branch.channel.take());
        if let Some(ticket) = channel.as_ref().and_then(Channel::ticket).filter(|_| untaken) {
            office.budgets.forgive(now, ticket);
        }
    }

    /// What rings is made anew at once, in another call: it counts there.
    pub(super) fn forgive_all(&self, office: &mut Office, now: Now) {
        let calling = self.branches.iter().filter(|branch| branch.is_calling());
        for ticket in calling.filter_map(|branch| branch.channel.as_ref()?.ticket()) {
            office.budgets.forgive(now, ticket);
        }
    }

    /// What the rules have let not begin, told once; the words for whoever is refused for it.
    pub(super) fn tell_of_stops(&mut self, office: &mut Office) -> Option<String> {
        let stops = self.walk.take_stops();
        stops.iter().for_each(|stop| self.tell_of_stop(office, stop));
        stops.last().map(words)
    }

    fn tell_of_stop(&self, office: &mut Office, stop: &Stop) {
        let Stop { charge, limit } = stop;
        office.effect(Effect::Stopped(BudgetStop {
            call: self.log.id.clone(),
            domain: self.domain.name().to_string(),
            user: charge.user.to_string(),
            class: charge.class.to_string(),
            limit: *limit,
            used: charge.used(),
            ended: false,
        }));
    }

    /// The leg of this branch has been answered: its time runs.
    pub(super) fn talks(&self, office: &mut Office, now: Now, branch: usize) {
        let channel = self.branches.get(branch).and_then(|branch| branch.channel.as_ref());
        if let Some(ticket) = channel.and_then(|channel| channel.ticket()) {
            office.budgets.answered(now, ticket);
        }
    }

    /// Whether somebody talks in this call on that account, and may be cut off: never where help is called.
    #[must_use]
    pub fn spends(&self, account: u64) -> bool {
        let talking = self.branches.iter().filter(|branch| branch.is_answered());
        let channels = talking.filter_map(|branch| branch.channel.as_ref()).chain(&self.channel);
        matches!(self.state, State::Answered(_))
            && !self.is_emergency()
            && channels.filter_map(|channel| channel.ticket()).any(|ticket| ticket.account() == account)
    }

    /// The time of that account is used up: the call ends, on both sides (the hard stop). Whose it is and what they may is told to those
    /// inside alone.
    pub fn overspent(&mut self, office: &mut Office, now: Now, account: u64) {
        let Some(key) = office.budgets.key(account).cloned() else { return };
        let spent = office.budgets.spent(now, &key.domain, &key.user, &key.class);
        let budget = self.domain.budget(&key.user, &key.class);
        let used = budget.map_or_else(String::new, |budget| budget.used(&spent));
        let why = format!("{}'s {} of {} is used up: {used}", key.user, Limit::TimePerDay.key(), key.class);
        let reason = reason(31, &why);
        self.log.why = Some(("budget_used_up", why));
        office.effect(Effect::Stopped(BudgetStop {
            call: self.log.id.clone(),
            domain: key.domain.to_string(),
            user: key.user.to_string(),
            class: key.class.to_string(),
            limit: Limit::TimePerDay,
            used,
            ended: true,
        }));
        self.hang_up_telling(office, now, [&[&reason], &["Q.850;cause=31"]]);
    }
}

fn words(stop: &Stop) -> String {
    let Stop { charge, limit } = stop;
    format!("{}'s {} of {} is used up: {}", charge.user, limit.key(), charge.class, charge.used())
}

/// A Q.850 cause with words for people (RFC 3326 §2): 21 is a call that somebody does not want made, 31 one that ends in no way of its own.
pub(super) fn reason(cause: u8, words: &str) -> String {
    let sound: String = words.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()).collect();
    format!("Q.850;cause={cause};text=\"{sound}\"")
}
