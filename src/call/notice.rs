//! What whoever transfers hears of it (RFC 3515 §2.4): the implicit subscription of a REFER, and the NOTIFYs in it.
//!
//! Invariant: exactly one final NOTIFY, unless none is wanted.

use super::Call;
use super::headers::{self, AGENT};
use super::office::Office;
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::sip::{Flow, Method, Name, Writer, status};
use crate::transaction::ClientId;

/// How long the implicit subscription is said to last (RFC 3515 §2.4.4): longer than anything rings.
const NOTICE_EXPIRES_S: u32 = 3600;

/// How they hear of it.
#[derive(Debug)]
pub enum Notice {
    /// Not at all (RFC 4488 §4).
    Unwanted,
    /// In the dialog of their call. The first REFER there needs no `id`, any later one has its CSeq number (RFC 3515 §2.4.6).
    Within(Option<u32>),
    /// In the dialog that their REFER has begun, outside of their call (RFC 4538).
    Apart(Box<Apart>),
}

/// A dialog that is of a subscription alone.
#[derive(Debug)]
pub struct Apart {
    pub dialog: Dialog,
    pub flow: Flow,
    pub behind_nat: bool,
}

impl Call {
    /// Tells whoever transfers how it stands (RFC 3515 §2.4.5): a final status ends their subscription.
    pub(super) fn notify(&mut self, office: &mut Office, now: Now, code: u16) -> Option<ClientId> {
        let side = self.transfer()?.from;
        let client = self.next_client();
        let branch = headers::branch(office);
        let sips = self.peer(side).sips;
        let (mut w, flow, id) = match &mut self.transfer_mut()?.notice {
            Notice::Unwanted => return None,
            Notice::Within(id) => {
                let id = *id;
                let (dialog, flow) = self.dialog(side)?;
                (dialog.request(Method::Notify, None, headers::hop(office, &flow, &branch)), flow, id)
            }
            Notice::Apart(apart) => {
                let flow = headers::flow_towards(&apart.dialog, apart.flow, apart.behind_nat);
                let hop = headers::hop(office, &flow, &branch);
                (apart.dialog.request(Method::Notify, None, hop), flow, None)
            }
        };
        write(&mut w, code, id);
        w.header(Name::Contact, office.contact(&flow, sips));
        w.header(Name::UserAgent, AGENT);
        let line = format!("SIP/2.0 {code} {}\r\n", status::reason_phrase(code));
        self.byes += 1;
        office.request(now, client, flow, w.body("message/sipfrag;version=2.0", line.as_bytes()));
        Some(client)
    }
}

/// The event, and whether more is to come.
fn write(w: &mut Writer, code: u16, id: Option<u32>) {
    match id {
        Some(id) => w.field("Event", format_args!("refer;id={id}")),
        None => w.field("Event", "refer"),
    };
    if code < 200 {
        w.field("Subscription-State", format_args!("active;expires={NOTICE_EXPIRES_S}"));
    } else {
        w.field("Subscription-State", "terminated;reason=noresource");
    }
}
