//! Requests of ours outside of any dialog (RFC 3261 §8.1.1), but INVITE and REGISTER: what all of them begin with.

use super::headers;
use super::office::Office;
use crate::sip::{Flow, Name, Writer};
use std::sync::Arc;

/// What tells one such request from another.
#[derive(Clone, Copy, Debug)]
pub struct OutOfDialog<'a> {
    pub method: &'a str,
    /// The Request-URI.
    pub target: &'a str,
    /// The proxies to be visited on the way, in their order.
    pub path: &'a [Arc<str>],
    /// The From without its tag, whole.
    pub from: &'a str,
    /// The URI of the To.
    pub to: &'a str,
    /// Max-Forwards.
    pub hops: u8,
}

impl OutOfDialog<'_> {
    /// Begins it: request line, Via with this branch, Max-Forwards, Route, From, To, Call-ID, CSeq.
    #[must_use]
    pub fn begin(&self, office: &mut Office, flow: &Flow, branch: &str) -> Writer {
        let OutOfDialog { method, target, path, from, to, hops } = self;
        let (tag, call_id) = (office.ids.word(), office.ids.call_id());
        let (via, sent_by) = (flow.transport.via_word(), office.sent_by(flow));
        let mut w = Writer::request(method, target);
        w.header(Name::Via, format_args!("SIP/2.0/{via} {sent_by};rport;branch={branch}"));
        w.header(Name::MaxForwards, hops);
        headers::visit(&mut w, path);
        w.header(Name::From, format_args!("{from};tag={tag:016x}"));
        w.header(Name::To, format_args!("<{to}>"));
        w.header(Name::CallId, call_id);
        w.header(Name::CSeq, format_args!("1 {method}"));
        w
    }
}
