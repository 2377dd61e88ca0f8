//! What has to hold after each step.

use super::{Invariant, Judge, Verdict, violated};
use ringtree::call::census::Phase;
use ringtree::call::office::CallKey;
use ringtree::relay::RelayId;
use ringtree::switch::Census;
use std::collections::BTreeSet;

/// Entries below which a queue of deadlines is not swept.
const SWEPT: usize = 1024;

impl Judge {
    /// What has to hold after each step.
    pub fn look(&mut self, now: u64, census: &Census<'_>) -> Verdict {
        self.look_at_calls(now, census)?;
        self.look_at_relays(census)?;
        look_at_limits(census, self.calls_max)
    }

    fn look_at_calls(&mut self, now: u64, census: &Census<'_>) -> Verdict {
        if let Some(what) = self.rang_on.take() {
            return violated(Invariant::NoLegWithoutCall, what);
        }
        self.live.clear();
        self.live.extend(census.calls.iter().filter(|call| !call.phase.is_over()).map(|call| call.key));
        for call in &census.calls {
            let (key, id) = (call.key, call.id);
            match self.generations.get(&key) {
                Some((generation, _)) if *generation != call.generation => {
                    let moved = format!("call {id} went from generation {generation} to {}", call.generation);
                    return violated(Invariant::OneGeneration, moved);
                }
                Some(_) => {}
                None if call.generation != self.generation => {
                    let began = format!(
                        "call {id} begins with generation {}, not {}",
                        call.generation, self.generation
                    );
                    return violated(Invariant::OneGeneration, began);
                }
                None => _ = self.generations.insert(key, (call.generation, id.to_owned())),
            }
            if call.phase == Phase::Unsaid {
                self.unsaid.insert(id.to_owned());
            }
            let most = if self.moved { 3 } else { 1 };
            if call.branches.answered > most {
                return violated(
                    Invariant::OneWinner,
                    format!("call {id} has {} winners", call.branches.answered),
                );
            }
            let waits = call.deadline.is_some() || call.closing > 0 || call.awaited > 0;
            let rings =
                call.branches.calling + call.branches.trying + call.branches.ringing + call.branches.leaving;
            let stuck = match call.phase {
                Phase::Ringing | Phase::Refusing => call.deadline.is_none(),
                Phase::Over => !waits && rings == 0 && call.sleepers == 0 && !self.moved,
                _ => false,
            };
            if stuck {
                return violated(
                    Invariant::NoLegWithoutCall,
                    format!("call {id} is {:?} and waits for nothing", call.phase),
                );
            }
        }
        let find = |key: CallKey| census.calls.binary_search_by_key(&key, |call| call.key).ok();
        for id in &census.awaiting {
            let key = CallKey::of_client(*id);
            // Registrations, subscriptions and the like have names of their own, far beyond those of calls.
            if key.0 < (1 << 32) && find(key).is_none() {
                let what = format!("transaction {id:?} waits for a final response, and its call is gone");
                return violated(Invariant::NoLegWithoutCall, what);
            }
        }
        if self.moved {
            return Ok(()); // dialogs go from call to call: they are counted at rest
        }
        for (key, held) in &self.held {
            let call = find(*key).map(|at| &census.calls[at]);
            let most = call.map_or(0, |call| call.branches.answered + call.branches.asked) as i64;
            if *held > most {
                let gone = most == 0;
                let invariant = if gone { Invariant::EverySuccessAcknowledged } else { Invariant::OneWinner };
                return violated(
                    invariant,
                    format!("{held} legs of {key:?} are held at {now}, and it knows of {most}"),
                );
            }
        }
        self.held.retain(|_, held| *held != 0);
        Ok(())
    }

    fn look_at_relays(&self, census: &Census<'_>) -> Verdict {
        let held: BTreeSet<RelayId> =
            census.calls.iter().flat_map(|call| call.relays.iter().copied()).collect();
        if !held.iter().eq(self.relays.keys()) {
            let open: Vec<_> = self.relays.keys().collect();
            return violated(
                Invariant::RelaysAreThoseOfCalls,
                format!("open are {open:?}, and calls hold {held:?}"),
            );
        }
        let pairs: usize = census.calls.iter().map(|call| call.pairs).sum();
        if pairs + census.ports_free != self.ports_opened {
            let what = format!(
                "{pairs} port pairs are held, {} are free, of {}",
                census.ports_free, self.ports_opened
            );
            return violated(Invariant::RelaysAreThoseOfCalls, what);
        }
        Ok(())
    }
}

/// Nothing is beyond its limit.
fn look_at_limits(census: &Census<'_>, calls_max: usize) -> Verdict {
    use ringtree::transaction::{CLIENTS_MAX, SERVERS_MAX};
    let beyond = |what: String| violated(Invariant::Bounded, what);
    let live = census.calls.iter().filter(|call| !call.phase.is_over()).count();
    if live > calls_max {
        return beyond(format!("{live} calls are up, of {calls_max}"));
    }
    for (name, count) in &census.of_calls {
        let most = match *name {
            "client transactions" | "client keys" | "peers" => CLIENTS_MAX,
            "server transactions" | "server keys" => SERVERS_MAX,
            "events"
            | "effects"
            | "errands"
            | "changes to be told"
            | "events to be told"
            | "notices that are over" => 64,
            _ => 4 * calls_max.max(64),
        };
        if *count > most {
            return beyond(format!("{count} {name}, of {most}"));
        }
    }
    for (name, entries, owners) in &census.deadlines {
        // Swept at each end of an owner; each of those that live may have set itself earlier since.
        if *entries > SWEPT + 4 * owners + 256 {
            return beyond(format!("{entries} deadlines of {owners} {name}"));
        }
    }
    for call in &census.calls {
        if call.passes > 8 || call.dismissed > 8 || call.pairs > 64 {
            return beyond(format!(
                "call {} has {} passes, {} dismissed, {} ports",
                call.id, call.passes, call.dismissed, call.pairs
            ));
        }
    }
    Ok(())
}
