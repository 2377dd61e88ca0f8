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
    fn a_list_under_two_names_is_told_of() {
        let lists = |second: &str, mark: &str| {
            format!("[list.a]\nnumbers = [\"+1900.\", \"+1976.\"]\n{mark}[list.b]\nnumbers = [{second}]\n")
        };
        fires("duplicate", &lists("\"+1976.\", \"+1900.\"", "«"), "the list `b` is the same as `a`");
        silent("duplicate", &lists("\"+1976.\"", ""));
    }
}
