//! SIP on the wire: bytes to values and back (RFC 3261). Pure: no IO, no clock, no allocation per header.
//!
//! What it is not: it knows no transactions, no dialogs and no policy.

pub mod auth;
pub mod challenge;
mod check;
pub mod flow;
pub mod glance;
mod marks;
mod message;
pub mod method;
pub mod multipart;
pub mod name;
pub mod name_addr;
pub mod params;
pub mod parse;
pub mod replaces;
pub mod session_id;
pub mod status;
pub mod stream;
pub mod stun;
pub mod uri;
pub mod via;
pub mod write;

pub use check::Refusal;
pub use flow::{ConnectionId, Flow, ServerName, Transport};
pub use message::{CSeq, Message};
pub use method::Method;
pub use name::Name;
pub use name_addr::NameAddr;
pub use params::{Elements, Param, Params};
pub use parse::ParseError;
pub use replaces::Replaces;
pub use session_id::{Half, SessionId};
pub use uri::{Scheme, Uri};
pub use via::Via;
pub use write::Writer;
