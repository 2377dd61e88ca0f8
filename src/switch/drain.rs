//! Stopping without cutting anybody off: no new calls, the present ones end by themselves or at a deadline.

use std::time::{Duration, Instant};

/// After the deadline calls are hung up; BYEs get this long.
const FAREWELL: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    Off,
    /// Calls may end by themselves until then.
    Waiting {
        until: Instant,
    },
    /// Calls have been hung up; their BYEs are on the way.
    HangingUp {
        until: Instant,
    },
    Done,
}

impl Drain {
    #[must_use]
    pub fn until(until: Instant) -> Drain {
        Drain::Waiting { until }
    }

    #[must_use]
    pub fn is_on(&self) -> bool {
        *self != Drain::Off
    }

    /// Whether calls are to be hung up now: true once.
    pub fn is_due(&mut self, now: Instant) -> bool {
        match *self {
            Drain::Waiting { until } if until <= now => {
                *self = Drain::HangingUp { until: now + FAREWELL };
                true
            }
            _ => false,
        }
    }

    /// Whether the daemon may stop: true once.
    pub fn is_done(&mut self, now: Instant, no_calls: bool) -> bool {
        let done = match *self {
            Drain::Off | Drain::Done => false,
            Drain::Waiting { .. } => no_calls,
            Drain::HangingUp { until } => no_calls || until <= now,
        };
        if done {
            *self = Drain::Done;
        }
        done
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match *self {
            Drain::Waiting { until } | Drain::HangingUp { until } => Some(until),
            Drain::Off | Drain::Done => None,
        }
    }
}
