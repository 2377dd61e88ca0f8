//! The same thing under two names: an operator who changes one of them changes half.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{At, Name};
use super::survey::Survey;
use crate::number::Pattern;
use rustc_hash::FxHashMap;

/// `duplicate`: time frames of the same times, lists of the same numbers.
pub(super) fn objects(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let frames = survey.model.time_frames.iter().filter(|(name, frame)| {
        // A frame without times is a switch: two of them are two switches. Calendars are told of by themselves.
        !frame.value.parts.is_empty() && !name.starts_with("calendar:")
    });
    let mut seen: FxHashMap<String, (&Name, Span)> = FxHashMap::default();
    for (name, frame) in frames {
        if let Some((first, place)) = seen.get(&format!("{:?}", frame.value)) {
            found.push(duplicate("time frame", name, frame.span, first, *place));
        } else {
            seen.insert(format!("{:?}", frame.value), (name, frame.span));
        }
    }
    let mut seen: FxHashMap<Vec<&Pattern>, (&Name, Span)> = FxHashMap::default();
    for (name, list) in survey.model.lists.iter().filter(|(_, list)| !list.value.is_empty()) {
        let numbers = sorted(&list.value);
        if let Some((first, place)) = seen.get(&numbers) {
            found.push(duplicate("list", name, list.span, first, *place));
        } else {
            seen.insert(numbers, (name, list.span));
        }
    }
}

/// `mac-twice`, `hotdesk-id-twice`: what tells phones and people apart, given to two of them.
pub(super) fn identifiers(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let mut macs: FxHashMap<&Name, (&Name, Span)> = FxHashMap::default();
    for (name, device) in &survey.model.devices {
        let Some(mac) = &device.mac else { continue };
        if let Some((first, place)) = macs.insert(mac, (name, device.span)) {
            let message = format!(
                "`{name}` has the MAC address of `{first}`: one of the two phones is set up as the other"
            );
            found.push(
                Diagnostic::warning("mac-twice", device.span, message)
                    .related(place, "the other one")
                    .help("read it off the phone again: each has its own"),
            );
        }
    }
    let mut ids: FxHashMap<&Name, (&Name, Span)> = FxHashMap::default();
    for (name, user) in &survey.model.users {
        let Some(hotdesk) = &user.hotdesk else { continue };
        if let Some((first, place)) = ids.insert(&hotdesk.id, (name, user.span)) {
            let message =
                format!("`{name}` and `{first}` log in to hot desks by the same number, `{}`", hotdesk.id);
            found.push(
                Diagnostic::error("hotdesk-id-twice", user.span, message)
                    .related(place, "the other one")
                    .help("give each a `hotdesk.id` of their own: their extension, best"),
            );
        }
    }
}

fn sorted(list: &[At<Pattern>]) -> Vec<&Pattern> {
    let mut numbers: Vec<&Pattern> = list.iter().map(|entry| &entry.value).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn duplicate(kind: &str, name: &str, span: Span, first: &str, place: Span) -> Diagnostic {
    Diagnostic::warning("duplicate", span, format!("the {kind} `{name}` is the same as `{first}`"))
        .related(place, "the first one")
        .help("keep one of them, and name it in both places")
}

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    #[test]
    fn a_time_frame_under_two_names_is_told_of() {
        let second = |hours: &str, mark: &str| {
            format!(
                "[time_frame.a]\nweekly = [\"mon-fri 09:00-17:00\"]\n{mark}[time_frame.b]\nweekly = [\"{hours}\"]\n"
            )
        };
        fires("duplicate", &second("mon-fri 09:00-17:00", "«"), "`b` is the same as `a`");
        silent("duplicate", &second("mon-fri 09:00-17:30", ""));
        silent("duplicate", "[time_frame.a]\noverride = \"off\"\n[time_frame.b]\noverride = \"off\"\n");
    }

    #[test]
    fn a_mac_address_of_two_phones_is_told_of() {
        let phones = |mac: &str, mark: &str| {
            let phone = |name: &str, mac: &str, mark: &str| {
                format!(
                    "{mark}[device.{name}]\nuser = \"desk\"\nmac = \"{mac}\"\nauth = {{ user = \"{name}\", secret = \"env:X\" }}\n"
                )
            };
            format!("{}{}", phone("x", "00:15:65:00:01:00", ""), phone("y", mac, mark))
        };
        fires("mac-twice", &phones("00:15:65:00:01:00", "«"), "`y` has the MAC address of `x`");
        silent("mac-twice", &phones("00:15:65:00:01:01", ""));
    }

    #[test]
    fn a_hot_desk_number_of_two_people_is_refused() {
        let people = |id: &str, mark: &str| {
            format!(
                "[user.ann]\next = \"101\"\nhotdesk = {{ id = \"7\" }}\n{mark}[user.bob]\next = \"102\"\nhotdesk = {{ id = \"{id}\" }}\n"
            )
        };
        fires("hotdesk-id-twice", &people("7", "«"), "by the same number, `7`");
        silent("hotdesk-id-twice", &people("8", ""));
    }

    #[test]
    fn a_list_under_two_names_is_told_of() {
        let lists = |second: &str, mark: &str| {
            format!("[list.a]\nnumbers = [\"+1900.\", \"+1976.\"]\n{mark}[list.b]\nnumbers = [{second}]\n")
        };
        fires("duplicate", &lists("\"+1976.\", \"+1900.\"", "«"), "the list `b` is the same as `a`");
        silent("duplicate", &lists("\"+1976.\"", ""));
    }
}
