//! REFER within a call (RFC 3515, RFC 5589), or beside it (RFC 4538): who transfers, and how the rules see the call that the transfer makes.
//! A transfer ends here: no REFER is passed on.

use super::identity::{Sender, Unknown};
use super::{Switch, facts, response, urgent};
use crate::call::caller::plain_response;
use crate::call::guest::Fetched;
use crate::call::headers::{MAX_FORWARDS, escape_user};
use crate::call::names_dialog;
use crate::call::office::CallKey;
use crate::call::referral::{self, ReferTo};
use crate::call::seats::is_of;
use crate::call::sips;
use crate::call::transfer::{Aim, Dialled, Referral, Transferor};
use crate::clock::Now;
use crate::dialog::DialogId;
use crate::relay::Side;
use crate::rules::{Origin, Walk};
use crate::sip::{Flow, Message, Name, Uri, Writer};
use crate::transaction::ServerId;
use bytes::Bytes;

impl Switch {
    pub(super) fn refer(&mut self, now: Now, server: ServerId, flow: Flow, message: &Message) {
        let by = self.in_dialog(message).and_then(|(key, place)| {
            let by = self.calls.get_mut(key)?.transferor(place, |dialog| is_of(dialog, message))?;
            Some((key, by))
        });
        match by {
            Some((key, by)) => self.take_refer(now, server, flow, message, key, by),
            None => self.office.respond(now, server, 481, response::plain(message, 481)),
        }
    }

    /// A REFER outside of any dialog: transfers are made of calls, so it has to name one (RFC 4538 §4).
    pub(super) fn refer_apart(&mut self, now: Now, server: ServerId, flow: Flow, message: &Message) {
        let by = referral::target_dialog(message).and_then(|named| {
            // Some write the tags as they see them themselves.
            let turned = DialogId {
                call_id: named.call_id.clone(),
                local_tag: named.remote_tag.clone(),
                remote_tag: named.local_tag.clone(),
            };
            [named, turned].into_iter().find_map(|named| {
                let (key, side, branch) = self.calls.place(&named.local_tag)?;
                let call = self.calls.get_mut(key)?;
                Some((key, call.transferor((side, branch), |dialog| names_dialog(&dialog.id, &named))?))
            })
        });
        match by {
            Some((key, by)) => self.take_refer(now, server, flow, message, key, by),
            None => self.office.respond(now, server, 403, response::plain(message, 403)),
        }
    }

    fn take_refer(
        &mut self,
        now: Now,
        server: ServerId,
        flow: Flow,
        message: &Message,
        key: CallKey,
        by: Transferor,
    ) {
        match self.may_refer(now, &flow, message, &by) {
            Ok(()) => {}
            Err(unknown) => return self.turn_away(server, unknown),
        }
        let to = match referral::refer_to(message) {
            Ok(to) => to,
            Err(code) => return self.office.respond(now, server, code, response::plain(message, code)),
        };
        let asked = match to.replaces.clone() {
            Some(dialog) => self.referral_to_party(now, message, key, &by, &to, dialog),
            None => self.referral_to_call(now, message, &by, to.uri).map(|referral| (referral, None)),
        };
        let (referral, given_up) = match asked {
            Ok(asked) => asked,
            Err(code) => return self.office.respond(now, server, code, response::plain(message, code)),
        };
        if self.is_beyond_reach(key, &by, &referral) {
            return self.office.respond(now, server, 480, response::sips(message, sips::NOT_ALLOWED));
        }
        let taken =
            self.calls.get_mut(key).ok_or(481_u16).and_then(|call| call.may_take_refer(by.side, message));
        if let Err(code) = taken {
            return self.office.respond(now, server, code, plain_response(message, code, Some("ringtree")));
        }
        if let Some(ringing) = given_up {
            // Before the call in its place is made: that may need the channel of the trunk.
            self.with_call(ringing, |call, office| call.give_up(office, now));
        }
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
        let forbidden = || Err(Unknown::Answer(response::plain(message, 403)));
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

    /// Whether whoever is transferred has no TLS, and is to be put through to a `sips` URI (RFC 5630). Calls for help go by what there is.
    fn is_beyond_reach(&mut self, key: CallKey, by: &Transferor, referral: &Referral) -> bool {
        let Aim::Call(dialled) = &referral.aim else { return false };
        let wants_tls =
            sips::is_for_sips(&dialled.invite) && !urgent::is_emergency_invite(&dialled.invite, &self.rules);
        wants_tls && self.calls.get_mut(key).is_some_and(|call| !call.is_secured(by.side.other()))
    }

    /// The call that the transferor would make, by the generation of rules that theirs began with.
    fn referral_to_call(
        &self,
        now: Now,
        message: &Message,
        by: &Transferor,
        uri: &str,
    ) -> Result<Referral, u16> {
        let device = by.device.clone().ok_or(403_u16)?;
        let invite = Message::parse(as_invite(message, by, &device, uri)).map_err(|_| 400_u16)?;
        let mut facts = facts::read(&self.office, now, &invite, &by.domain, Origin::Device(device)).facts;
        let to = Uri::parse(uri).ok_or(400_u16)?.user_unescaped().into_owned();
        let only = self.called_phone(now, &by.domain, &invite, &mut facts)?;
        let walk = Walk::new(by.domain.clone(), facts);
        let aim = Aim::Call(Box::new(Dialled { invite, walk, only }));
        self.referral_of(now, by, aim, to)
    }

    /// The party of a dialog that the transferor has with us in another call (RFC 5589 §7), theirs or one of another phone of the same
    /// user. A call that nobody has answered yet is made anew as one to be transferred to, in the place of the one that rings (§7.6): that
    /// one is to be given up.
    fn referral_to_party(
        &mut self,
        now: Now,
        message: &Message,
        key: CallKey,
        by: &Transferor,
        to: &ReferTo<'_>,
        dialog: DialogId,
    ) -> Result<(Referral, Option<CallKey>), u16> {
        let device = by.device.as_ref().ok_or(403_u16)?;
        let user = self.user_of(now, &by.domain, device).ok_or(403_u16)?;
        let user = (by.domain.name().clone(), user);
        let dialled = Uri::parse(to.uri).map(|uri| uri.user_unescaped().into_owned()).unwrap_or_default();
        let place = self.calls.place(&dialog.local_tag);
        if place.is_some_and(|(other, ..)| other == key) {
            return Err(400); // a party can't take its own place
        }
        let found = place.and_then(|place| Some((place, self.calls.get_mut(place.0)?)));
        let Some(((other, side, branch), call)) = found else {
            return Ok((self.referral_of(now, by, Aim::Nobody, dialled)?, None));
        };
        if call.rings_for(&dialog) {
            if call.user_on(Side::A) != Some(&user) {
                return Err(403);
            }
            let uri = call.invite().request_uri().to_owned();
            return Ok((self.referral_to_call(now, message, by, &uri)?, Some(other)));
        }
        let aim = match call.opposite((side, branch), &dialog) {
            Fetched::Unknown => Aim::Nobody,
            Fetched::Of(party) if call.user_on(party.other()) != Some(&user) => return Err(403),
            Fetched::Of(_) | Fetched::NotYet => Aim::Party(dialog, user),
        };
        Ok((self.referral_of(now, by, aim, dialled)?, None))
    }

    fn referral_of(&self, now: Now, by: &Transferor, aim: Aim, to: String) -> Result<Referral, u16> {
        let device = by.device.as_ref().ok_or(403_u16)?;
        let user = self.user_of(now, &by.domain, device);
        let by_user = user.as_deref().unwrap_or(device);
        let referred_by = format!("sip:{}@{}", escape_user(by_user), by.domain.name());
        Ok(Referral { aim, by: format!("device:{device}"), referred_by, to })
    }
}

/// The INVITE that the transferor's phone would have sent: what is read of it, and no more.
fn as_invite(message: &Message, by: &Transferor, device: &str, uri: &str) -> Bytes {
    let mut w = Writer::request("INVITE", uri);
    w.header(Name::MaxForwards, message.max_forwards().unwrap_or(MAX_FORWARDS));
    w.header(Name::From, format_args!("<sip:{}@{}>", escape_user(device), by.domain.name()));
    w.copy(message, Name::Privacy);
    w.finish()
}
