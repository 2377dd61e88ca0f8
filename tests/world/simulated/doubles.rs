//! The test of the tests: for each invariant doubles of the core that break it, and the run that finds them out by that very one.

use super::core::Fault;
use super::judge::Invariant;
use super::run::CALLS;
use super::{offices, outcome};

/// Calls within which a double has to be found out.
const WITHIN: u64 = 1_500;

fn is_found_out(fault: Fault, by: Invariant) {
    let _ = offices::office(0);
    let mut calls = 0;
    for seed in 1.. {
        match outcome(seed, fault, None) {
            Ok(run) => calls += run.calls,
            Err(violation) => {
                assert_eq!(violation.invariant, by, "{fault:?}, seed {seed}: {}", violation.what);
                println!(
                    "{fault:?}: within {} calls, {:?}: {}",
                    calls + CALLS,
                    violation.invariant,
                    violation.what
                );
                return;
            }
        }
        assert!(calls <= WITHIN, "{fault:?} is not found out in {calls} calls");
    }
}

fn are_found_out(faults: &[Fault], by: Invariant) {
    faults.iter().for_each(|fault| is_found_out(*fault, by));
}

#[test]
fn a_double_that_writes_what_cannot_be_read_is_found_out() {
    is_found_out(Fault::WritesWrongLength, Invariant::WellFormed);
}

#[test]
fn a_double_that_gives_an_invite_no_final_response_or_two_is_found_out() {
    are_found_out(&[Fault::SwallowsRefusals, Fault::AnswersTwice], Invariant::OneFinalResponse);
}

#[test]
fn a_double_with_two_winners_is_found_out() {
    are_found_out(&[Fault::KeepsLosers, Fault::CountsTwoWinners], Invariant::OneWinner);
}

#[test]
fn a_double_that_swallows_acks_or_byes_is_found_out() {
    are_found_out(&[Fault::SwallowsAcks, Fault::SwallowsByes], Invariant::EverySuccessAcknowledged);
}

#[test]
fn a_double_that_lets_phones_ring_is_found_out() {
    are_found_out(&[Fault::SwallowsCancels, Fault::ForgetsCalls], Invariant::NoLegWithoutCall);
}

#[test]
fn a_double_that_mistakes_relays_is_found_out() {
    let faults = [Fault::KeepsRelays, Fault::TellsClosedRelays, Fault::LosesPorts];
    are_found_out(&faults, Invariant::RelaysAreThoseOfCalls);
}

#[test]
fn a_double_whose_calls_go_over_to_new_rules_is_found_out() {
    is_found_out(Fault::MovesToNewRules, Invariant::OneGeneration);
}

#[test]
fn a_double_whose_records_lie_is_found_out() {
    let faults = [
        Fault::LiesInOutcome,
        Fault::LiesInStatus,
        Fault::LiesInAnsweredBy,
        Fault::LiesInExplanation,
        Fault::LosesRecords,
    ];
    are_found_out(&faults, Invariant::RecordIsTrue);
}

#[test]
fn a_double_that_forgets_nothing_is_found_out() {
    is_found_out(Fault::KeepsTransactions, Invariant::NothingLeft);
}

#[test]
fn a_double_whose_deadline_lies_in_the_past_is_found_out() {
    is_found_out(Fault::KeepsDeadline, Invariant::NoPastDeadline);
}

#[test]
fn a_double_that_knows_no_limits_is_found_out() {
    are_found_out(&[Fault::TakesTooMany, Fault::KeepsEntries], Invariant::Bounded);
}

#[test]
fn a_double_that_panics_is_found_out() {
    is_found_out(Fault::Panics, Invariant::Sound);
}
