//! Who may take whose place: an INVITE with Replaces (RFC 3891), and the code that picks up what rings.
//!
//! What rings may be picked up by everybody in the house whose phone is somebody's; what is answered is taken over by phones of the same
//! user alone. The code by itself looks at the caller's group: members of a hunt that they are in, and people of their site.

use super::identity::Sender;
use super::{Switch, response};
use crate::call::dialogs::{Direction, Phase};
use crate::call::headers::AGENT;
use crate::call::office::{CallKey, Named};
use crate::call::pickup::{Newcomer, Place};
use crate::call::referral::dialog_of;
use crate::clock::Now;
use crate::dialog::DialogId;
use crate::rules::Domain;
use crate::sip::{Flow, Message, Name, Replaces, Writer, status};
use crate::transaction::ServerId;
use std::sync::Arc;

/// What a request says of whom it replaces: nothing, something that can't be read (RFC 3891 §3: more than one is no better), or a dialog.
pub(super) enum Wish {
    None,
    Bad,
    Dialog { dialog: DialogId, early_only: bool },
}

pub(super) fn wish(request: &Message) -> Wish {
    let fields = request.headers().filter(|(_, name, _)| name.eq_ignore_ascii_case(b"Replaces"));
    let mut values = fields.map(|(_, _, value)| std::str::from_utf8(value).unwrap_or_default());
    match (values.next(), values.next()) {
        (None, _) => Wish::None,
        (Some(value), None) => match Replaces::parse(value) {
            Some(replaces) => Wish::Dialog { dialog: dialog_of(&replaces), early_only: replaces.early_only },
            None => Wish::Bad,
        },
        (Some(_), Some(_)) => Wish::Bad,
    }
}

impl Switch {
    /// An INVITE that is to take the place of a party of ours.
    #[allow(clippy::too_many_arguments)] // a request, as every other comes in, and what it wishes
    pub(super) fn replace(
        &mut self,
        now: Now,
        server: ServerId,
        flow: Flow,
        message: Message,
        sender: Sender,
        dialog: DialogId,
        early_only: bool,
    ) {
        let newcomer = match sender {
            Sender::Device { domain, key } => {
                let user = self.user_of(now, &domain, &key.device);
                user.map(|user| {
                    (domain, Newcomer { server, flow, invite: message.clone(), device: key.device, user })
                })
            }
            Sender::Trunk { .. } => None,
        };
        let replaced = match newcomer {
            Some((domain, newcomer)) => self.replaced(now, &domain, &newcomer, dialog, early_only),
            None => Err(403),
        };
        if let Err(480) = replaced {
            return self.office.respond(
                now,
                server,
                480,
                response::sips(&message, crate::call::sips::REQUIRED),
            );
        }
        if let Err(code) = replaced {
            let mut w = Writer::reply(&message, code, status::reason_phrase(code), Some("ringtree"));
            w.header(Name::Server, AGENT);
            if code == 488 {
                w.header(
                    Name::Warning,
                    "399 ringtree \"Nobody has described a session that could be offered\"",
                );
            }
            self.office.respond(now, server, code, w.finish());
        }
    }

    fn replaced(
        &mut self,
        now: Now,
        domain: &Domain,
        newcomer: &Newcomer,
        dialog: DialogId,
        early_only: bool,
    ) -> Result<(), u16> {
        let found = match self.place_of(domain, &dialog) {
            // Phones that read a dialog's tags the other way round mean the same dialog. A tag of theirs may look like one of ours.
            Err(481) => self.place_of(
                domain,
                &DialogId {
                    call_id: dialog.call_id,
                    local_tag: dialog.remote_tag,
                    remote_tag: dialog.local_tag,
                },
            ),
            found => found,
        };
        let (key, place) = found?;
        if let Place::Talking(side) = place {
            if early_only {
                return Err(486); // RFC 3891 §3
            }
            let call = self.calls.get_mut(key).ok_or(481_u16)?;
            let own = call.user_on(side).is_some_and(|(_, user)| *user == newcomer.user);
            if !own {
                return Err(403);
            }
        }
        self.let_in(now, key, place, newcomer).map(drop)
    }

    /// Whose place a Replaces names, and in which call.
    ///
    /// # Errors
    /// The status that refuses it; 481: there is no such dialog.
    fn place_of(&mut self, domain: &Domain, dialog: &DialogId) -> Result<(CallKey, Place), u16> {
        let (key, side, branch) = self.calls.place(&dialog.local_tag).ok_or(481_u16)?;
        let call = self.calls.get_mut(key).filter(|call| call.domain().name() == domain.name());
        Ok((key, call.ok_or(481_u16)?.replaceable((side, branch), dialog)?))
    }

    /// The id of the call that they are in now.
    fn let_in(&mut self, now: Now, key: CallKey, place: Place, newcomer: &Newcomer) -> Result<String, u16> {
        let mut let_in = Err(481);
        self.with_call(key, |call, office| {
            let_in = call.pick_up(office, now, place, newcomer).map(|()| call.id().to_owned());
        });
        let_in
    }

    /// Somebody has dialled the code: they pick up what rings at the extension dialled behind it, or else in their group.
    pub(super) fn pick_up(&mut self, now: Now, by: CallKey) {
        let Some(call) = self.calls.get_mut(by) else { return };
        let (domain, dialled) = (call.domain().clone(), call.dialled().to_owned());
        let extension = domain.behind_code(&dialled).unwrap_or_default();
        let found = match call.as_newcomer() {
            Some(newcomer) => self.ringing(&domain, &newcomer.user, extension).and_then(|(key, branch)| {
                let place =
                    self.calls.get_mut(key).ok_or(480_u16)?.picked_where(branch).map_err(|_| 480_u16)?;
                self.let_in(now, key, place, &newcomer)
            }),
            None => Err(403),
        };
        self.with_call(by, |call, office| call.picked(office, now, found.as_deref().map_err(|code| *code)));
    }

    /// What has rung the longest there: a call, and the branch that rings.
    fn ringing(&self, domain: &Domain, user: &Arc<str>, extension: &str) -> Result<(CallKey, usize), u16> {
        let of = |whose: &Named| whose.0 == *domain.name();
        let named = match extension {
            "" => None,
            extension => Some(domain.user_of_extension(extension).ok_or(404_u16)?.name.clone()),
        };
        let wanted = |whose: &Named| match &named {
            Some(named) => whose.1 == *named,
            None => domain.in_one_group(user, &whose.1),
        };
        let dialogs = self.office.dialogs.all().filter(|(whose, _)| of(whose) && wanted(whose));
        let ringing = dialogs.filter(|(_, shown)| {
            shown.direction == Direction::Recipient && matches!(shown.phase, Phase::Trying | Phase::Early)
        });
        let names =
            ringing.filter_map(|(_, shown)| Some((shown.name.call, shown.name.place.checked_sub(1)?)));
        names.min().ok_or(480)
    }

    /// 400 for a Replaces that can't be read.
    pub(super) fn refuse_replaces(&mut self, now: Now, server: ServerId, message: &Message) {
        self.office.respond(now, server, 400, response::with_reason(message, 400, "Bad Replaces"));
    }
}
