//! What others see of users, devices and numbers: everything that the reading, the lints and the trees of other objects look at.
//!
//! An object is shown without what is surely its own affair; whatever is not taken out here counts, so a key that is added to the
//! model is seen by others until somebody says that it is not.

use crate::rules::credentials;
use crate::rules::diagnostic::Span;
use crate::rules::model::{
    At, BusyWhen, CallerId, Destination, Device, DeviceKind, DeviceRecord, EmergencyKeys, Forward, Listing,
    Name, Number, NumberTo, PersonName, Record, TargetTo, User, Voicemail, When,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Of each rule whether it is enabled, and when it holds.
type Times = Vec<(bool, When)>;

/// Where a call of one rule may be sent on to.
#[derive(PartialEq)]
pub(super) struct Way {
    rule: Name,
    forwards: [Option<(Destination, bool)>; 8],
    follows: Vec<TargetTo>,
}

/// Users, but for what rings and where their calls lead; when their rules hold is seen.
pub(super) fn users(users: &BTreeMap<Name, User>) -> Vec<(&Name, User, Times)> {
    users.iter().map(|(name, user)| (name, face(user), times(user))).collect()
}

fn face(user: &User) -> User {
    let mut user = User { rules: Vec::new(), ..user.clone() };
    let User {
        span,
        extensions: _,
        display,
        name,
        email,
        department,
        tags,
        directory,
        site: _,
        roles: _,
        zone: _,
        area_code,
        ring_for,
        call_paths,
        call_waiting,
        busy_when,
        allow,
        block,
        block_anonymous,
        block_unknown,
        block_unverified,
        white_list,
        white_list_covers_all: _,
        caller_id_internal,
        caller_id_external,
        ignore_caller_id,
        vanity,
        restrict: _,
        budget,
        emergency,
        mailbox: _,
        voicemail,
        hotdesk: _,
        moh,
        record,
        sms_number,
        screen_pop,
        rules: _,
    } = &mut user;
    (*span, *display, *name) = (Span::default(), "".into(), PersonName::default());
    (*department, *area_code, *moh, *sms_number) = (None, None, None, None);
    email.clear();
    tags.clear();
    allow.clear();
    budget.clear();
    block.clear();
    (*directory, *record) = (Listing { announce: true, list: true }, Record::Never);
    (*ring_for, *call_paths, *call_waiting, *busy_when) = (Duration::ZERO, 0, true, BusyWhen::AllPaths);
    for flag in [block_anonymous, block_unknown, block_unverified, ignore_caller_id] {
        *flag = None;
    }
    // Of who shows no number outside the domain is told as a whole: whether they have one is seen, not which.
    *vanity = vanity.map(|_| Span::default());
    caller_id_external.number = caller_id_external.number.as_ref().map(|_| "".into());
    white_list.iter_mut().for_each(|entry| entry.span = Span::default());
    (*caller_id_internal, caller_id_external.name) = (CallerId::default(), None);
    unplaced(emergency);
    // `mailbox` was learnt when the whole was read; this is read again.
    *voicemail = Arc::new(Voicemail { enabled: voicemail.enabled, ..Voicemail::default() });
    *screen_pop = None;
    user
}

fn unplaced(keys: &mut EmergencyKeys) {
    let EmergencyKeys { callback, location } = keys;
    callback.iter_mut().chain(location).for_each(|key| key.span = Span::default());
}

fn times(user: &User) -> Times {
    user.rules.iter().map(|rule| (rule.enabled, timeless(&rule.when))).collect()
}

/// Without its place.
fn timeless(when: &When) -> When {
    let mut when = when.clone();
    if let When::AnyOf(conditions) = &mut when {
        conditions.iter_mut().for_each(|condition| condition.span = Span::default());
    }
    when
}

/// Where the calls of users may be sent on to: what loops are made of.
pub(super) fn ways(users: &BTreeMap<Name, User>) -> Vec<Way> {
    let to = |forward: &Option<Forward>| forward.as_ref().map(|f| (f.to.clone(), f.direct_only));
    let way = |rule: &crate::rules::model::Rule| {
        let f = &rule.forward;
        let all =
            [&f.always, &f.dnd, &f.on_active, &f.busy, &f.no_answer, &f.declined, &f.offline, &f.otherwise];
        let follows = rule.ring.targets.iter().filter(|target| target.follow.is_some());
        Way {
            rule: rule.name.clone(),
            forwards: all.map(to),
            follows: follows.flat_map(|target| target.to.iter().map(|to| to.value.clone())).collect(),
        }
    };
    users.values().flat_map(|user| user.rules.iter().map(way)).collect()
}

/// `None` where one claims addresses of its own: those stand among what all objects share.
pub(super) fn devices(devices: &BTreeMap<Name, Device>) -> Option<Vec<(&Name, Device)>> {
    devices.iter().map(|(name, device)| Some((name, device_face(device)?))).collect()
}

fn device_face(device: &Device) -> Option<Device> {
    let mut device = device.clone();
    let Device {
        span,
        user: _,
        primary: _,
        auth,
        accept_from,
        site: _,
        hotdesk: _,
        kind,
        push,
        record,
        srtp,
        model,
        mac: _,
        alert_internal,
        alert_external,
        restrict,
        location,
    } = &mut device;
    if !accept_from.is_empty() {
        return None;
    }
    if let Some(auth) = auth {
        auth.secret.span = Span::default();
        if !credentials::lies_outside(auth) {
            // Any that is not outside: which one is the device's own affair.
            auth.secret.value = crate::rules::model::SecretRef::Plain("own".into());
        }
    }
    (*span, *kind, *record) = (Span::default(), DeviceKind::Phone, DeviceRecord::Inherit);
    (*push, *srtp, *model) = (None, None, None);
    (*alert_internal, *alert_external) = (None, None);
    restrict.clear();
    location.iter_mut().for_each(|location| location.span = Span::default());
    Some(device)
}

/// Numbers, with where they lead.
pub(super) fn numbers(numbers: &BTreeMap<Name, Number>) -> Vec<(&Name, Number)> {
    numbers.iter().map(|(name, number)| (name, number_face(number))).collect()
}

fn number_face(number: &Number) -> Number {
    let unplaced = |to: &At<Destination>| At { value: to.value.clone(), span: Span::default() };
    let to = match &number.to {
        NumberTo::Spare => NumberTo::Spare,
        NumberTo::To(to) => NumberTo::To(unplaced(to)),
        NumberTo::Rules(rules) => NumberTo::Rules(
            rules
                .iter()
                .map(|rule| crate::rules::model::NumberRule {
                    span: Span::default(),
                    name: rule.name.clone(),
                    when: timeless(&rule.when),
                    to: unplaced(&rule.to),
                })
                .collect(),
        ),
    };
    Number { span: Span::default(), label: None, caller_id_prefix: None, alert: None, to }
}
