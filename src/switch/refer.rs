//! REFER within a call (RFC 3515, RFC 5589): who transfers, and how the rules see the call that the transfer makes. A transfer ends here:
//! no REFER is passed on.

use super::identity::{Sender, Unknown};
use super::{Switch, facts, in_dialog, response};
use crate::call::headers::{MAX_FORWARDS, escape_user};
use crate::call::referral::{self, ReferTo};
use crate::call::transfer::{Referral, Transferor};
use crate::clock::Now;
use crate::rules::{Origin, Walk};
use crate::sip::{Flow, Message, Name, Writer};
use crate::transaction::ServerId;
use bytes::Bytes;

impl Switch {
    pub(super) fn refer(&mut self, now: Now, server: ServerId, flow: Flow, message: &Message) {
        let by = in_dialog(message).and_then(|(key, place)| {
            let by = self.calls.get_mut(key)?.transferor(place, message)?;
            Some((key, by))
        });
        let Some((key, by)) = by else {
            return self.office.respond(now, server, 481, response::plain(message, 481));
        };
        match self.may_refer(now, &flow, message, &by) {
            Ok(()) => {}
            Err(Unknown::Answer(code, bytes)) => return self.office.respond(now, server, code, bytes),
            Err(Unknown::Silence) => return self.office.transactions.forget(server),
        }
        let to = match referral::refer_to(message) {
            Ok(to) => to,
            Err(code) => return self.office.respond(now, server, code, response::plain(message, code)),
        };
        let Some(referral) = self.referral(now, message, &by, to) else {
            return self.office.respond(now, server, 400, response::plain(message, 400));
        };
        self.with_call(key, |call, office| call.refer(office, now, server, flow, by.side, message, referral));
    }

    /// A REFER makes calls in somebody's name: it counts by the flow that the dialog is known on, or with their credentials. A trunk is
    /// nobody, and may not.
    fn may_refer(
        &mut self,
        now: Now,
        flow: &Flow,
        message: &Message,
        by: &Transferor,
    ) -> Result<(), Unknown> {
        let forbidden = || Err(Unknown::Answer(403, response::plain(message, 403)));
        let Some(device) = &by.device else { return forbidden() };
        if *flow == by.flow {
            return Ok(());
        }
        match self.identify(now, flow, message)? {
            Sender::Device { domain, key } if domain.name() == by.domain.name() && key.device == *device => {
                Ok(())
            }
            Sender::Device { .. } | Sender::Trunk { .. } => forbidden(),
        }
    }

    /// The call that the transferor would make, by the generation of rules that theirs began with.
    fn referral(&self, now: Now, message: &Message, by: &Transferor, to: ReferTo<'_>) -> Option<Referral> {
        let device = by.device.clone()?;
        let invite = Message::parse(as_invite(message, by, &device, to)).ok()?;
        let facts = facts::read(&self.office, now, &invite, &by.domain, Origin::Device(device.clone())).facts;
        let user = self.user_of(now, &by.domain, &device);
        let by_user = user.as_deref().unwrap_or(&device);
        Some(Referral {
            referred_by: format!("sip:{}@{}", escape_user(by_user), by.domain.name()),
            by: format!("device:{device}"),
            to: crate::sip::Uri::parse(to.uri)?.user_unescaped().into_owned(),
            walk: Walk::new(by.domain.clone(), facts),
            invite,
        })
    }
}

/// The INVITE that the transferor's phone would have sent: what is read of it, and no more.
fn as_invite(message: &Message, by: &Transferor, device: &str, to: ReferTo<'_>) -> Bytes {
    let mut w = Writer::request("INVITE", to.uri);
    w.header(Name::MaxForwards, message.max_forwards().unwrap_or(MAX_FORWARDS));
    w.header(Name::From, format_args!("<sip:{}@{}>", escape_user(device), by.domain.name()));
    w.copy(message, Name::Privacy);
    w.finish()
}
