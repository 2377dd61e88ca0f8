//! Findings that need the whole domain: rules that are never reached, classes that tie, calls that have no way out.
//!
//! Runs on a model that was read without an error, so every reference holds. Forwarding loops are found where the trees are
//! compiled.

mod answering;
mod outbound;
mod week;

use super::diagnostic::{Diagnostic, Span};
use super::model::{CallerId, Destination, Model, NumberTo, User};
use std::collections::HashMap;

/// Adds what is wrong with a model that was read without an error.
pub(super) fn check(model: &Model, found: &mut Vec<Diagnostic>) {
    let mut weeks = week::Weeks::default();
    for (name, user) in &model.users {
        answering::rules(model, &mut weeks, name, &user.rules, found);
        lists(user, found);
        white_list(model, name, user, found);
    }
    for number in model.numbers.values() {
        if let NumberTo::Rules(rules) = &number.to {
            answering::number_rules(rules, found);
        }
    }
    outbound::classes(model, found);
    outbound::emergency(model, found);
    outbound::dial(model, found);
    outbound::forwards(model, found);
    sources(model, found);
    caller_ids(model, found);
}

/// What stands on both lists of one user: the allow list wins, or the block list, but hardly both on purpose.
fn lists(user: &User, found: &mut Vec<Diagnostic>) {
    for allowed in &user.allow {
        if let Some(blocked) = user.block.iter().find(|blocked| blocked.value == allowed.value) {
            found.push(
                Diagnostic::warning("allowed-and-blocked", blocked.span, "this is on the allow list too")
                    .related(allowed.span, "allowed here")
                    .help("`[policy] allow_beats_block` decides; better take one of them out"),
            );
        }
    }
}

/// The literal white list refuses the whole outside world: worth a word where the user has a number of their own.
fn white_list(model: &Model, name: &str, user: &User, found: &mut Vec<Diagnostic>) {
    let Some(first) = user.white_list.first().filter(|_| user.white_list_covers_all) else { return };
    let own = model.numbers.iter().find(|(_, number)| match &number.to {
        NumberTo::To(to) => to.value == Destination::User(name.into()),
        NumberTo::Rules(rules) => rules.iter().any(|rule| rule.to.value == Destination::User(name.into())),
        NumberTo::Spare => false,
    });
    if let Some((number, owned)) = own {
        let message = format!("this white list refuses callers from outside, and {number} leads to `{name}`");
        found.push(
            Diagnostic::warning("white-list-number", first.span, message)
                .related(owned.span, "their number")
                .help("write `white_list_covers = \"internal\"` to let outside callers pass"),
        );
    }
}

/// Two trunks can't own one range: a call from there would be either's.
fn sources(model: &Model, found: &mut Vec<Diagnostic>) {
    let mut seen = HashMap::new();
    for (name, trunk) in &model.trunks {
        for range in &trunk.accept_from {
            let key = (network(range.address, range.prefix), range.prefix, range.port);
            let Some((other, first)) = seen.insert(key, (name, range.span)) else { continue };
            let message = format!("this range is the trunk `{other}`'s already");
            found.push(
                Diagnostic::error("accept-from-twice", range.span, message)
                    .related(first, "accepted here")
                    .help("a range belongs to one trunk: narrow one of them, or add a port"),
            );
        }
    }
}

/// The address with the bits behind the prefix cleared.
fn network(address: std::net::IpAddr, prefix: u8) -> std::net::IpAddr {
    match address {
        std::net::IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            std::net::Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        std::net::IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            std::net::Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

/// An outside caller ID that is no number of ours: a carrier that screens refuses it.
fn caller_ids(model: &Model, found: &mut Vec<Diagnostic>) {
    let mut check = |caller_id: Option<&CallerId>, span: Span, whose: &str| {
        let Some(number) = caller_id.and_then(|caller_id| caller_id.number.as_ref()) else { return };
        if !model.numbers.contains_key(number) {
            let message = format!("the caller ID {number} of {whose} is no number of this domain");
            let help = format!("add `[number.\"{number}\"]`, or show a number that is yours");
            found.push(Diagnostic::warning("foreign-caller-id", span, message).help(help));
        }
    };
    check(model.domain.caller_id.as_ref(), model.domain.span, "the domain");
    for (name, site) in &model.sites {
        check(site.caller_id.as_ref(), site.span, &format!("the site `{name}`"));
    }
    for route in &model.routes {
        check(route.caller_id.as_ref(), route.span, "this route");
    }
    let inherited: Vec<Option<&CallerId>> = [model.domain.caller_id.as_ref()]
        .into_iter()
        .chain(model.sites.values().map(|site| site.caller_id.as_ref()))
        .collect();
    for (name, user) in &model.users {
        let number = &user.caller_id_external.number;
        // What a user inherits is said once, where it stands.
        if !inherited.iter().flatten().any(|wider| wider.number == *number) {
            check(Some(&user.caller_id_external), user.span, &format!("`{name}`"));
        }
    }
}
