//! From where calls come in unasked: ranges that two trunks claim, ranges that take in half the world.

use super::super::diagnostic::Diagnostic;
use super::super::model::AcceptFrom;
use super::survey::Survey;
use std::collections::HashMap;
use std::net::IpAddr;

/// Wider ranges than these are hardly one carrier's.
const V4_PREFIX_MIN: u8 = 16;
const V6_PREFIX_MIN: u8 = 32;

/// `accept-from-twice`, `accept-from-wide`.
pub(super) fn ranges(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let mut seen = HashMap::new();
    for (name, trunk) in &survey.model.trunks {
        for range in &trunk.accept_from {
            found.extend(wide(range, &format!("the trunk `{name}`")));
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
    for (name, device) in &survey.model.devices {
        found.extend(
            device.accept_from.iter().filter_map(|range| wide(range, &format!("the device `{name}`"))),
        );
    }
}

/// Whoever sends from such a range calls out at the operator's cost, without a password.
fn wide(range: &AcceptFrom, whose: &str) -> Option<Diagnostic> {
    let min = if range.address.is_ipv4() { V4_PREFIX_MIN } else { V6_PREFIX_MIN };
    if range.prefix >= min {
        return None;
    }
    let prefix = range.prefix;
    let message = format!("anybody in a whole /{prefix} is taken for {whose}, without a password");
    Some(
        Diagnostic::warning("accept-from-wide", range.span, message)
            .help("write the addresses that the carrier or device really sends from"),
    )
}

/// The address with the bits behind the prefix cleared.
fn network(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            std::net::Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            std::net::Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    #[test]
    fn a_range_of_two_trunks_is_refused() {
        let two = |second: &str| {
            format!("[trunk.s]\naccept_from = [\"10.0.0.1/24\"]\n[trunk.t]\naccept_from = [«\"{second}\"]\n")
        };
        fires("accept-from-twice", &two("10.0.0.9/24"), "`s`'s already");
        silent("accept-from-twice", &two("10.0.1.9/24").replace('«', ""));
        silent("accept-from-twice", &two("10.0.0.9/24:5070").replace('«', ""));
    }

    #[test]
    fn a_range_that_takes_in_half_the_world_is_told_of() {
        let trunk = |range: &str| format!("[trunk.t]\naccept_from = [«\"{range}\"]\n");
        fires("accept-from-wide", &trunk("10.0.0.0/8"), "anybody in a whole /8");
        fires("accept-from-wide", &trunk("[2001::]/16"), "without a password");
        for range in ["10.0.0.0/16", "[2001:db8::]/32", "10.0.0.1"] {
            silent("accept-from-wide", &trunk(range).replace('«', ""));
        }
    }
}
