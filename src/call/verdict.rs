//! What a device's or trunk's final response means for its leg (protocol: rulings "People" and "Ringing"; RFC 3261 §21, §16.7).

use crate::rules::LegOutcome;
use std::time::Duration;

/// A 480 that comes sooner than this after the INVITE was not a person: it is do-not-disturb on the device.
pub const DEVICE_DND_WITHIN: Duration = Duration::from_secs(2);

/// The outcome of one branch by its final response (300 to 699), `after` its INVITE was sent; `rang`: a provisional response came.
#[must_use]
pub fn of_status(status: u16, after: Duration, rang: bool) -> LegOutcome {
    match status {
        486 | 600 => LegOutcome::Busy,
        480 if after <= DEVICE_DND_WITHIN => LegOutcome::Busy,
        480 | 487 => LegOutcome::NoAnswer,
        408 if rang => LegOutcome::NoAnswer,
        408 | 430 => LegOutcome::Offline,
        603 | 607 => LegOutcome::Declined,
        _ => LegOutcome::Failed,
    }
}

/// What is tried after an attempt by a trunk that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    Nothing,
    /// Another trunk: all places of this one would say the same.
    Trunk,
    /// The next place of the same trunk, then another (RFC 3263 §4.3).
    Place,
}

/// What a final response allows: it came before anything rang, and not because of the number called. A trunk that asks for credentials
/// that we have not, or takes not those that we have, is no way for any number.
#[must_use]
pub fn onward(status: u16, rang: bool) -> Onward {
    match status {
        _ if rang => Onward::Nothing,
        408 | 503 => Onward::Place, // RFC 3263 §4.3
        401 | 407 | 500..=599 => Onward::Trunk,
        _ => Onward::Nothing,
    }
}

/// What the branches of one leg mean together: a device has one leg however many contacts it has. In the order that mixed legs have
/// among themselves; a contact that is dead says nothing where another spoke.
#[must_use]
pub fn together(outcomes: &[LegOutcome]) -> LegOutcome {
    const ORDER: [LegOutcome; 6] = [
        LegOutcome::NoAnswer,
        LegOutcome::Busy,
        LegOutcome::Declined,
        LegOutcome::Offline,
        LegOutcome::Failed,
        LegOutcome::Cancelled,
    ];
    ORDER.into_iter().find(|outcome| outcomes.contains(outcome)).unwrap_or(LegOutcome::Offline)
}

/// As it stands in a leg's `reason`.
#[must_use]
pub fn word(outcome: LegOutcome) -> &'static str {
    match outcome {
        LegOutcome::Answered => "answered",
        LegOutcome::Busy => "busy",
        LegOutcome::NoAnswer => "no_answer",
        LegOutcome::Declined => "declined",
        LegOutcome::Offline => "offline",
        LegOutcome::Failed => "failed",
        LegOutcome::Cancelled => "cancelled",
    }
}

/// The words of a call record's `outcome` for a call that nobody answered, by the final response that the caller got.
#[must_use]
pub fn outcome_word(status: u16, cause: Option<u8>, rang: bool) -> &'static str {
    match (status, cause) {
        (486 | 600, _) => "busy",
        (480, Some(19 | 18)) => "no_answer",
        (480, Some(20)) => "offline",
        (480, _) if rang => "no_answer",
        (603, _) if rang => "declined",
        (487, _) => "caller_gone",
        (500..=599, _) => "failed",
        _ => "rejected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_480_at_once_is_device_dnd_and_later_no_answer() {
        assert_eq!(of_status(480, Duration::from_millis(1900), true), LegOutcome::Busy);
        assert_eq!(of_status(480, Duration::from_millis(2100), true), LegOutcome::NoAnswer);
    }

    #[test]
    fn busy_and_decline_hold_at_any_time() {
        for after in [0, 60] {
            assert_eq!(of_status(486, Duration::from_secs(after), true), LegOutcome::Busy);
            assert_eq!(of_status(603, Duration::from_secs(after), true), LegOutcome::Declined);
        }
    }

    #[test]
    fn a_contact_that_speaks_speaks_for_its_device() {
        assert_eq!(together(&[LegOutcome::Offline, LegOutcome::Declined]), LegOutcome::Declined);
        assert_eq!(together(&[LegOutcome::Offline, LegOutcome::Busy]), LegOutcome::Busy);
    }

    #[test]
    fn a_trunk_is_left_for_the_next_only_before_it_rings() {
        assert_eq!(onward(503, false), Onward::Place);
        assert_eq!(onward(500, false), Onward::Trunk, "its next server would say the same");
        assert_eq!(onward(407, false), Onward::Trunk, "our credentials are wrong on this one alone");
        assert_eq!(onward(503, true), Onward::Nothing);
        assert_eq!(onward(404, false), Onward::Nothing, "the number is wrong on every trunk");
    }
}
