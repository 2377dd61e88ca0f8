//! One registration of ours at one trunk: a machine (RFC 3261 §10.2). REGISTER after REGISTER with one Call-ID and rising CSeq, never two at a
//! time; a challenge is answered, a failure waited out, a refusal final. It writes no message: it says what the next one carries.
//!
//! ```text
//! Waiting -> Trying -> Registered -> Trying (refresh) ...
//!              |  ^---- Resting        any -> Leaving -> Left
//!              +--> Refused
//! ```
//!
//! Invariants: at most one REGISTER is under way; what was granted counts until its time, whatever becomes of a refresh meanwhile.

use crate::clock::Now;
use crate::sip::challenge::{Answered, Login, Session};
use crate::sip::{Message, Name, NameAddr, Uri};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// RFC 5626 §4.5: the waits after failures double from the base to the longest, and each is half of it to the whole, at random.
pub const BACKOFF_BASE: Duration = Duration::from_secs(30);
pub const BACKOFF_MAX: Duration = Duration::from_secs(1800);
/// A Retry-After beyond this is cut to it: nobody keeps us away for days by one response.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// The longest time that we ask for, whatever a Min-Expires says.
pub const EXPIRES_MAX: Duration = Duration::from_secs(86_400);
/// A refresh is sent at least so long before the end where the granted time allows it: timer F (32 s), and room for one more try.
const REFRESH_BEFORE: Duration = Duration::from_secs(40);
/// How long a removal is waited for: whoever stops doesn't stand still for a trunk that is gone.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// As whom and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub user: Arc<str>,
    /// `None`: the secret could not be resolved; nothing is sent.
    pub login: Option<Login>,
    pub expires: Duration,
    /// For all of our numbers at once (RFC 6140).
    pub bulk: bool,
}

/// What the next REGISTER carries beyond what all of them do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub cseq: u32,
    pub expires_s: u64,
    pub credentials: Option<(Name, String)>,
}

/// Of which a REGISTER is made: its Request-URI, our Contact, and words of `Ids` for what must not be guessed.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    pub uri: &'a str,
    pub contact: &'a str,
    pub word: u64,
}

/// Where a registration is. Data and deadlines that belong to a state live in it.
#[derive(Debug)]
enum State {
    /// The trunk has no address yet, or we have no secret.
    Waiting,
    /// A REGISTER is under way.
    Trying {
        attempt: Attempt,
        granted: Option<Instant>,
    },
    Registered {
        until: Instant,
        refresh: Instant,
    },
    /// It failed, and is tried again.
    Resting {
        again: Instant,
        why: String,
        granted: Option<Instant>,
    },
    /// Not tried again before the rules change.
    Refused {
        why: String,
    },
    /// The REGISTER that was under way is waited for, then the removal.
    Leaving {
        attempt: Attempt,
        farewell: Farewell,
        until: Instant,
    },
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    ToCome,
    Sent,
}

/// One REGISTER with the answers to its challenges.
#[derive(Debug, Default)]
struct Attempt {
    answered: Answered,
    /// A 423 has raised what we ask for: once.
    raised: bool,
}

/// How it stands, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    Registering,
    Registered { until: Instant },
    Failed { why: String, again: Instant },
    Refused { why: String },
    Leaving,
}

#[derive(Debug)]
pub struct Registration {
    account: Account,
    expires: Duration,
    cseq: u32,
    /// Failures in a row.
    failures: u32,
    /// The last challenge, for the next REGISTER to carry its answer unasked (RFC 3261 §22.2).
    session: Option<Session>,
    state: State,
}

impl Registration {
    #[must_use]
    pub fn new(account: Account) -> Registration {
        let expires = account.expires.min(EXPIRES_MAX);
        Registration { account, expires, cseq: 0, failures: 0, session: None, state: State::Waiting }
    }

    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Failures in a row: which address of several is the next one's turn.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether calls can come in.
    #[must_use]
    pub fn is_registered(&self, now: Instant) -> bool {
        self.granted().is_some_and(|until| now < until)
    }

    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting)
    }

    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused { .. })
    }

    #[must_use]
    pub fn has_left(&self) -> bool {
        matches!(self.state, State::Left)
    }

    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.state {
            State::Waiting => Standing::Waiting,
            State::Trying { granted: Some(until), .. } | State::Registered { until, .. } => {
                Standing::Registered { until: *until }
            }
            State::Trying { granted: None, .. } => Standing::Registering,
            State::Resting { again, why, .. } => Standing::Failed { why: why.clone(), again: *again },
            State::Refused { why } => Standing::Refused { why: why.clone() },
            State::Leaving { .. } | State::Left => Standing::Leaving,
        }
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting | State::Refused { .. } | State::Left => None,
            State::Trying { granted, .. } => *granted,
            State::Registered { refresh, .. } => Some(*refresh),
            State::Resting { again, granted, .. } => Some(granted.map_or(*again, |until| until.min(*again))),
            State::Leaving { until, .. } => Some(*until),
        }
    }

    fn granted(&self) -> Option<Instant> {
        match &self.state {
            State::Trying { granted, .. } | State::Resting { granted, .. } => *granted,
            State::Registered { until, .. } => Some(*until),
            State::Waiting | State::Refused { .. } | State::Leaving { .. } | State::Left => None,
        }
    }

    /// Registers, or again before its time: the trunk has an address now or another one, or the rules have changed after a refusal.
    /// Nothing where a REGISTER is under way, or we have no secret.
    pub fn begin(&mut self, means: Means<'_>) -> Option<Next> {
        if matches!(self.state, State::Trying { .. } | State::Leaving { .. } | State::Left)
            || self.account.login.is_none()
        {
            return None;
        }
        self.state = State::Trying { attempt: Attempt::default(), granted: self.granted() };
        Some(self.next(means, self.expires))
    }

    /// A final response to the REGISTER that is under way.
    pub fn response(&mut self, now: Now, response: &Message, means: Means<'_>) -> Option<Next> {
        match std::mem::replace(&mut self.state, State::Waiting) {
            State::Trying { attempt, granted } => self.tried(now, response, means, attempt, granted),
            State::Leaving { attempt, farewell, until } => {
                self.left(response.status(), Some(response), means, attempt, farewell, until)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// No final response came, or the transport could not deliver.
    pub fn failed(&mut self, now: Now, why: &str, means: Means<'_>) -> Option<Next> {
        match std::mem::replace(&mut self.state, State::Waiting) {
            State::Trying { granted, .. } => {
                self.rest(now, why.to_owned(), granted, None, means.word);
                None
            }
            State::Leaving { attempt, farewell, until } => {
                self.left(0, None, means, attempt, farewell, until)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Its deadline has come.
    pub fn timeout(&mut self, now: Now, means: Means<'_>) -> Option<Next> {
        let is_due = |at: Instant| at <= now.mono;
        match &mut self.state {
            State::Trying { granted, .. } => {
                granted.take_if(|until| is_due(*until));
                None
            }
            State::Registered { refresh, .. } if is_due(*refresh) => self.begin(means),
            State::Resting { again, granted, .. } => {
                granted.take_if(|until| is_due(*until));
                if is_due(*again) { self.begin(means) } else { None }
            }
            State::Leaving { until, .. } if is_due(*until) => {
                self.state = State::Left;
                None
            }
            State::Registered { .. }
            | State::Leaving { .. }
            | State::Waiting
            | State::Refused { .. }
            | State::Left => None,
        }
    }

    /// Takes the registration back (RFC 3261 §10.2.2): the trunk has gone from the rules, or we stop.
    pub fn leave(&mut self, now: Now, means: Means<'_>) -> Option<Next> {
        let until = now.mono + LEAVE_WITHIN;
        match std::mem::replace(&mut self.state, State::Left) {
            // RFC 3261 §10.2: not before the one that is under way is answered.
            State::Trying { attempt, .. } => {
                self.state = State::Leaving { attempt, farewell: Farewell::ToCome, until };
                None
            }
            State::Registered { .. } | State::Resting { granted: Some(_), .. } => {
                Some(self.take_back(means, until))
            }
            State::Leaving { attempt, farewell, until } => {
                self.state = State::Leaving { attempt, farewell, until };
                None
            }
            State::Waiting | State::Resting { granted: None, .. } | State::Refused { .. } | State::Left => {
                None
            }
        }
    }

    fn tried(
        &mut self,
        now: Now,
        response: &Message,
        means: Means<'_>,
        mut attempt: Attempt,
        granted: Option<Instant>,
    ) -> Option<Next> {
        match response.status() {
            200..=299 => {
                let for_s = granted_s(response, means.contact).unwrap_or(self.expires.as_secs());
                let time = Duration::from_secs(for_s).min(EXPIRES_MAX);
                if time.is_zero() {
                    self.rest(
                        now,
                        "it took the registration back at once".to_owned(),
                        None,
                        None,
                        means.word,
                    );
                    return None;
                }
                self.failures = 0;
                let refresh = now.mono + refresh_after(time, means.word);
                self.state = State::Registered { until: now.mono + time, refresh };
                None
            }
            401 | 407 => {
                let login = self.account.login.clone()?;
                match attempt.answered.answer(&login, response) {
                    Some(session) => {
                        self.session = Some(session);
                        self.state = State::Trying { attempt, granted };
                        Some(self.next(means, self.expires))
                    }
                    None => {
                        let what = if attempt.answered.any() {
                            "the credentials are wrong"
                        } else {
                            "its challenge can't be answered"
                        };
                        self.refuse(response, what);
                        None
                    }
                }
            }
            403 => {
                self.refuse(response, "");
                None
            }
            // RFC 3261 §10.3 step 7: what it grants at least.
            423 if !attempt.raised
                && let Some(wanted) = min_expires(response).filter(|least| *least > self.expires) =>
            {
                self.expires = wanted;
                attempt.raised = true;
                self.state = State::Trying { attempt, granted };
                Some(self.next(means, wanted))
            }
            _ => {
                self.rest(now, words(response), granted, retry_after(response), means.word);
                None
            }
        }
    }

    /// What becomes of a farewell when a REGISTER has ended; `status` 0: without a response.
    fn left(
        &mut self,
        status: u16,
        response: Option<&Message>,
        means: Means<'_>,
        mut attempt: Attempt,
        farewell: Farewell,
        until: Instant,
    ) -> Option<Next> {
        self.state = State::Left;
        match (farewell, status) {
            (Farewell::ToCome, _) => Some(self.take_back(means, until)),
            (Farewell::Sent, 401 | 407) => {
                let session = attempt.answered.answer(self.account.login.as_ref()?, response?)?;
                self.session = Some(session);
                self.state = State::Leaving { attempt, farewell, until };
                Some(self.next(means, Duration::ZERO))
            }
            (Farewell::Sent, _) => None,
        }
    }

    fn take_back(&mut self, means: Means<'_>, until: Instant) -> Next {
        self.state = State::Leaving { attempt: Attempt::default(), farewell: Farewell::Sent, until };
        self.next(means, Duration::ZERO)
    }

    fn refuse(&mut self, response: &Message, what: &str) {
        let mut why = words(response);
        if !what.is_empty() {
            why = format!("{why}: {what}");
        }
        self.session = None;
        self.failures = self.failures.saturating_add(1);
        self.state = State::Refused { why };
    }

    /// Waits: as long as the trunk says, else by the back-off; while what was granted still counts, half of what is left of it at most.
    fn rest(&mut self, now: Now, why: String, granted: Option<Instant>, after: Option<Duration>, word: u64) {
        self.failures = self.failures.saturating_add(1);
        self.session = None; // a restarted server knows no old nonce
        let granted = granted.filter(|until| *until > now.mono);
        let wait = match (after, granted) {
            (Some(after), _) => after,
            (None, Some(until)) => {
                backoff(self.failures, word).min(until.saturating_duration_since(now.mono) / 2)
            }
            (None, None) => backoff(self.failures, word),
        };
        self.state = State::Resting { again: now.mono + wait.max(Duration::from_secs(1)), why, granted };
    }

    fn next(&mut self, means: Means<'_>, expires: Duration) -> Next {
        self.cseq = self.cseq.saturating_add(1);
        let cnonce = format!("{:016x}", means.word);
        let credentials = |session: &mut Session| session.credentials("REGISTER", means.uri, &cnonce);
        Next {
            cseq: self.cseq,
            expires_s: expires.as_secs(),
            credentials: self.session.as_mut().map(credentials),
        }
    }
}

/// How a response is told to the operator. Its phrase is the peer's text: cut, and never more than one line.
fn words(response: &Message) -> String {
    let phrase: String = response.reason_phrase().chars().filter(|c| !c.is_control()).take(64).collect();
    format!("{} {phrase}", response.status()).trim_end().to_owned()
}

/// The whole of `most` at the most, and a half of it at least.
fn spread(most: Duration, word: u64) -> Duration {
    let half = most / 2;
    let millis = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    half + Duration::from_millis(word % millis)
}

fn backoff(failures: u32, word: u64) -> Duration {
    let doubled = BACKOFF_BASE.saturating_mul(2_u32.saturating_pow(failures.min(16)));
    spread(doubled.min(BACKOFF_MAX), word)
}

/// Before the end by a tenth, or by [`REFRESH_BEFORE`] where that is more, but not before half of the time; and up to a sixth of that
/// sooner, so that what began together doesn't come back together.
fn refresh_after(time: Duration, word: u64) -> Duration {
    let late = (time * 9 / 10).min(time.saturating_sub(REFRESH_BEFORE)).max(time / 2);
    let sixth = u64::try_from((late / 6).as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    late.saturating_sub(Duration::from_millis(word % sixth))
}

/// Seconds that a 2xx grants (RFC 3261 §10.2.4): of our contact, else of the only one (registrars behind NAT rewrite it), else of its
/// Expires.
fn granted_s(response: &Message, contact: &str) -> Option<u64> {
    let own = Uri::parse(contact)?;
    let contacts: Vec<NameAddr<'_>> = response.addresses(Name::Contact).collect();
    let same = |other: &Uri<'_>| {
        other.user == own.user && other.host.eq_ignore_ascii_case(own.host) && other.port == own.port
    };
    let ours = contacts.iter().find(|contact| same(&contact.uri)).or(match contacts.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    let of_contact = ours.and_then(|contact| contact.param("expires")?.parse().ok());
    of_contact.or_else(|| response.number(Name::Expires).map(u64::from))
}

fn min_expires(response: &Message) -> Option<Duration> {
    let least = Duration::from_secs(response.number(Name::MinExpires)?.into());
    (least <= EXPIRES_MAX).then_some(least)
}

/// RFC 3261 §20.33: seconds, then comments and parameters that say nothing to us.
pub(crate) fn retry_after(response: &Message) -> Option<Duration> {
    let digits: String =
        response.value(Name::RetryAfter)?.trim().chars().take_while(char::is_ascii_digit).collect();
    Some(Duration::from_secs(digits.parse().ok()?).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests;
