//! The answering rules: TOML source with spans -> check -> compile -> tree -> decide -> explain.
//!
//! Pure: files come in as text, time and live state as values. One domain is one [`Domain`]; the daemon holds them in a
//! [`Ruleset`], an immutable value behind an `Arc`: a call keeps the one that it began with.

pub mod agenda;
pub mod audio;
pub mod builder;
pub mod calendar;
mod caller;
pub mod check;
pub mod compare;
pub mod compile;
mod compile_tree;
pub mod credentials;
pub mod decide;
pub mod destination;
pub mod diagnostic;
pub mod domain;
pub mod edit;
pub mod encoding;
mod entries;
pub mod expect;
pub mod explain;
pub mod facts;
pub mod fold;
pub mod given;
mod identity;
pub mod intervals;
mod loops;
pub mod model;
#[cfg(test)]
mod naive;
mod outgoing;
pub mod patterns;
pub mod plan;
mod planner;
pub mod reach;
pub mod replay;
pub mod route;
pub mod ruleset;
pub mod set_forward;
mod shares;
pub mod source;
mod sources;
mod table;
mod trail;
pub mod tree;
mod user_facts;
pub mod walk;
pub mod workshop;

pub use compile::{Domain, Ruleset};
pub use diagnostic::{Diagnostic, Severity, Span};
pub use domain::{ConferenceRoom, MusicFiles};
pub use explain::Explanation;
pub use facts::{
    CallFacts, Caller, Dialled, FrameStatus, Live, Origin, SeatStatus, Status, StatusKey, StatusObject,
    UserStatus, Verified,
};
pub use plan::{Charge, Diverter, LegEnd, LegOutcome, LegTarget, PlannedLeg, RingPlan};
pub use walk::{Next, Stop, Walk};
