//! A call's record while the call is up: what happened, when.

use super::record::{AnsweredBy, CallRecord, ForwardRecord, LegRecord, Party, TransferRecord};
use crate::clock::Now;
use crate::relay::Media;
use crate::rules::Walk;
use crate::rules::explain::Step;
use crate::sip::SessionId;
use jiff::{SignedDuration, Timestamp};

/// How the call ended, for its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The record's `outcome`.
    pub outcome: &'static str,
    /// The final status that the caller got.
    pub status: u16,
}

#[derive(Debug)]
pub struct Log {
    pub id: String,
    pub from: Party,
    pub to: String,
    /// When it began. Its other moments are so much later by the clock that never jumps: see [`Log::moment`].
    pub began: Now,
    pub answer: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub ending: Option<Ending>,
    pub answered_by: Option<AnsweredBy>,
    pub legs: Vec<LegRecord>,
    /// Each with how the rules decided it.
    pub transfers: Vec<(TransferRecord, Vec<Step>)>,
    /// Whoever has picked it up or taken it over, in order.
    pub pickups: Vec<Step>,
    pub media: Option<Media>,
    /// The file of its recording, under where recordings lie.
    pub recording: Option<String>,
    /// Why that isn't there, or breaks off.
    pub recording_failed: Option<String>,
    /// Who speaks with whom (RFC 7989), once somebody has answered.
    pub session_id: Option<SessionId>,
    /// Why it ended, where nobody hung up: a tag and words.
    pub why: Option<(&'static str, String)>,
}

impl Log {
    /// This moment, as the record says it: what it says of how long things took is true, whoever sets the wall clock meanwhile.
    #[must_use]
    pub fn moment(&self, now: Now) -> Timestamp {
        let passed = SignedDuration::try_from(now.mono.saturating_duration_since(self.began.mono));
        self.began.wall.saturating_add(passed.unwrap_or_default()).unwrap_or(self.began.wall)
    }

    /// A leg is invited; returns the index of its entry.
    pub fn leg(&mut self, now: Now, to: String) -> usize {
        let start = text(self.moment(now));
        self.legs.push(LegRecord { to, start, end: None, status: None, reason: None });
        self.legs.len() - 1
    }

    /// A leg won: its end is the call's.
    pub fn leg_answered(&mut self, entry: usize) {
        if let Some(leg) = self.legs.get_mut(entry) {
            leg.status = Some(200);
            leg.reason = Some("answered".to_owned());
        }
    }

    /// The call is over: legs that have no end of their own end with it.
    pub fn ended(&mut self, now: Now, ending: Ending) {
        let end = self.moment(now);
        self.end = Some(end);
        self.ending = Some(ending);
        for leg in self.legs.iter_mut().filter(|leg| leg.end.is_none()) {
            leg.end = Some(text(end));
        }
    }

    /// A leg is over. The first end counts.
    pub fn leg_ended(&mut self, now: Now, entry: usize, status: Option<u16>, reason: &str) {
        let end = self.moment(now);
        if let Some(leg) = self.legs.get_mut(entry)
            && leg.end.is_none()
        {
            leg.end = Some(text(end));
            leg.status = status;
            leg.reason = Some(reason.to_owned());
        }
    }

    /// The record as it stands.
    #[must_use]
    pub fn record(&self, call_id: &str, domain: &str, walk: &Walk) -> CallRecord {
        let mut explanation = walk.explanation();
        for step in &self.pickups {
            explanation.tags.push(step.tag.clone());
            explanation.steps.push(step.clone());
        }
        for (transfer, steps) in &self.transfers {
            explanation.tags.push(format!("transfer:{}", transfer.to));
            explanation.steps.extend(steps.iter().cloned());
        }
        if let Some((tag, why)) = &self.why {
            let step = Step { tag: (*tag).to_owned(), why: why.clone(), ..Step::default() };
            explanation.steps.push(step);
        }
        let forwards = walk.forwards().into_iter();
        CallRecord {
            id: self.id.clone(),
            call_id: call_id.to_owned(),
            session_id: self.session_id.map(|id| id.to_string()),
            generation: explanation.generation,
            domain: domain.to_owned(),
            from: Party { e164: walk.caller_e164().map(str::to_owned), ..self.from.clone() },
            to: self.to.clone(),
            did: walk.did().map(str::to_owned),
            start: text(self.began.wall),
            answer: self.answer.map(text),
            end: self.end.map(text),
            outcome: self.ending.map_or("", |ending| ending.outcome).to_owned(),
            status: self.ending.map_or(0, |ending| ending.status),
            answered_by: self.answered_by.clone(),
            tags: explanation.tags.clone(),
            legs: self.legs.clone(),
            media: self.media,
            recording: self.recording.clone(),
            recording_failed: self.recording_failed.clone(),
            forwards: forwards
                .map(|(user, reason, to)| ForwardRecord {
                    user: user.to_string(),
                    reason: reason.to_owned(),
                    to,
                })
                .collect(),
            transfers: self.transfers.iter().map(|(transfer, _)| transfer.clone()).collect(),
            ended_because: self.why.as_ref().map(|(_, why)| why.clone()),
            emergency: walk.is_emergency(),
            screen_pop: None,
            explanation,
        }
    }
}

/// RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn text(at: Timestamp) -> String {
    format!("{at:.3}")
}
