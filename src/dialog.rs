//! Dialogs (RFC 3261 §12): ids, route set, CSeq, remote target. One side of one; a back-to-back user agent holds two a call.

use crate::sip::{Message, Method, Writer};

/// What our Via says: sent-by and branch of one request.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// `UDP` or `TCP`.
    pub transport: &'a str,
    /// `host:port` of our listener.
    pub sent_by: &'a str,
    pub branch: &'a str,
}

/// What tells one dialog from another: from our side of it (RFC 3261 §12).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId {
    pub call_id: String,
    pub local_tag: String,
    pub remote_tag: String,
}

#[derive(Clone, Debug)]
pub struct Dialog {
    pub id: DialogId,
}

/// Why an in-dialog request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfOrder {
    /// RFC 3261 §12.2.2: a lower CSeq than one seen: 500.
    OldCSeq,
}

impl Dialog {
    /// The dialog that our 1xx or 2xx with `local_tag` makes (RFC 3261 §12.1.1). `None` where the request has no usable
    /// From tag or Contact.
    #[must_use]
    pub fn uas(request: &Message, local_tag: &str) -> Option<Dialog> {
        let _ = (request, local_tag);
        todo!()
    }

    /// The dialog that a response to our request makes (RFC 3261 §12.1.2): early for 1xx with a To tag, confirmed for 2xx.
    /// `None` where it has no To tag, or a 2xx no usable Contact.
    #[must_use]
    pub fn uac(request: &Message, response: &Message) -> Option<Dialog> {
        let _ = (request, response);
        todo!()
    }

    /// Begins an in-dialog request (RFC 3261 §12.2.1.1): request line, Via, Max-Forwards, Route, From, To, Call-ID, CSeq.
    /// ACK takes the CSeq number of its INVITE (`cseq`), every other method the next one.
    #[must_use]
    pub fn request(&mut self, method: Method, cseq: Option<u32>, hop: Hop<'_>) -> Writer {
        let _ = (method, cseq, hop);
        todo!()
    }

    /// Where the next request goes: the topmost route's URI, else the remote target.
    #[must_use]
    pub fn next_hop(&self) -> &str {
        todo!()
    }

    /// Takes an in-dialog request: CSeq order, target refresh by re-INVITE and UPDATE (RFC 3261 §12.2.2).
    ///
    /// # Errors
    /// The request is to be answered with 500.
    pub fn receive(&mut self, request: &Message) -> Result<(), OutOfOrder> {
        let _ = request;
        todo!()
    }

    /// Takes a 2xx to a target refresh request of ours.
    pub fn refresh(&mut self, response: &Message) {
        let _ = response;
        todo!()
    }

    /// The CSeq number of the last request that we sent.
    #[must_use]
    pub fn local_cseq(&self) -> u32 {
        todo!()
    }
}
