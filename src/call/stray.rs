//! An answer to an INVITE of ours whose call is over and forgotten: somebody else behind a forking proxy has taken the call after it was
//! answered there, or given up, and hung up on.

use super::headers;
use super::office::{CallKey, Effect, Office};
use crate::clock::Now;
use crate::dialog::Dialog;
use crate::sip::{Flow, Message, Method};

/// Whose requests nobody waits for an answer to. Calls are numbered from 1.
const NOBODY: CallKey = CallKey(0);

/// ACK and BYE, as every 2xx gets them (RFC 3261 §13.2.2.4, §15), as long as its transaction knows it to be ours (RFC 6026 §7.2). Nothing
/// is kept of it: what comes again gets both again.
pub fn dismiss(office: &mut Office, now: Now, source: Flow, answer: &Message) {
    // What we sent comes back in it: the transaction has found it by the branch that we gave it.
    let (Some(mut dialog), Some(cseq)) = (Dialog::uac(answer, answer), answer.cseq()) else { return };
    let flow = headers::flow_towards(&dialog, source, true);
    let branch = headers::branch(office);
    let bytes = dialog.request(Method::Ack, Some(cseq.number), headers::hop(office, &flow, &branch)).finish();
    office.effect(Effect::Send { flow, bytes });
    let branch = headers::branch(office);
    let bytes = dialog.request(Method::Bye, None, headers::hop(office, &flow, &branch)).finish();
    office.dismissed = office.dismissed.wrapping_add(1);
    office.request(now, NOBODY.client(office.dismissed), flow, bytes);
}
