//! Calls that leave: each class of numbers, dialled from each site and by everybody whose own table differs.

use super::course::{Course, sentence};
use super::probe::sample;
use super::{Changed, Comparison, DECISIONS_MAX, Difference, Side};
use crate::number::emergency_numbers;
use crate::rules::explain::Explanation;
use crate::rules::model::{Given, Model, Name};
use crate::rules::reach::Kind;
use crate::rules::route::{Query, route};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Users and devices with a table that differs, which are tried each by itself; further ones are counted.
const SENDERS_MAX: usize = 500;

/// Who dials.
struct Sender {
    /// ` from site london`, ` by zed`; empty for everybody.
    words: String,
    extension: String,
    device: Option<String>,
    /// Stands for others.
    general: bool,
}

/// Adds what differs in what leaves.
pub(super) fn compare(
    before: &Side<'_>,
    after: &Side<'_>,
    differ: &Changed,
    now: Timestamp,
    comparison: &mut Comparison,
) {
    let senders = senders(before, after, differ);
    comparison.not_compared += senders.len().saturating_sub(SENDERS_MAX);
    for (class, number) in numbers(before.model, after.model) {
        let mut told: Vec<String> = Vec::new();
        for sender in senders.iter().take(SENDERS_MAX) {
            if comparison.decisions >= DECISIONS_MAX {
                comparison.not_compared += 1;
                continue;
            }
            comparison.decisions += 2;
            let tried = (dial(before, sender, &number, now), dial(after, sender, &number, now));
            let (Some(old), Some(new)) = tried else { continue };
            if ![&old, &new].iter().any(|way| way.tags.iter().any(|tag| *tag == format!("class:{class}"))) {
                continue;
            }
            let (old, new) = (Course::of(&old), Course::of(&new));
            if old == new {
                continue;
            }
            let said = sentence((before.model, after.model), &old, &new);
            // Who is no exception from what everybody meets is not named again.
            if told.contains(&said) {
                continue;
            }
            if sender.general {
                told.push(said.clone());
            }
            let text = format!("outside calls of class {class}{} {said}", sender.words);
            comparison.differences.push(Difference {
                text,
                kind: "decision".to_owned(),
                ..Difference::default()
            });
        }
    }
}

/// Everybody, for each site that there is, where something of everybody's differs; then those whose own table does.
fn senders(before: &Side<'_>, after: &Side<'_>, differ: &Changed) -> Vec<Sender> {
    let both = |name: &Name| before.model.users.contains_key(name);
    let mut senders = Vec::new();
    let everybodys = [
        Kind::Trunk,
        Kind::Class,
        Kind::Route,
        Kind::Dial,
        Kind::Site,
        Kind::Domain,
        Kind::Policy,
        Kind::Callback,
        Kind::Location,
    ];
    if differ.any(&everybodys) {
        let sites: BTreeSet<Option<&Name>> = after
            .model
            .users
            .iter()
            .filter(|(name, _)| both(name))
            .map(|(_, user)| user.site.as_ref())
            .collect();
        for site in &sites {
            let here =
                after.model.users.iter().filter(|(name, user)| both(name) && user.site.as_ref() == *site);
            // Somebody without restrictions of their own stands for all.
            let user = here.min_by_key(|(_, user)| {
                (user.restrict.len(), user.vanity.is_some(), user.extensions.clone())
            });
            let Some((_, user)) = user else { continue };
            let words = match site {
                Some(site) if sites.len() > 1 => format!(" from site {site}"),
                _ => String::new(),
            };
            senders.extend(sender(words, user.extensions.first(), None, true));
        }
    }
    for object in &differ.altered {
        match object.kind {
            Kind::User => {
                let user = after.model.users.get(&object.name);
                let extension = user.and_then(|user| user.extensions.first());
                senders.extend(sender(format!(" by {}", object.name), extension, None, false));
            }
            Kind::Device => {
                let device = after.model.devices.get(&object.name);
                let user = device.and_then(|d| after.model.users.get(d.user.as_ref()?));
                let extension = user.and_then(|user| user.extensions.first());
                let words = format!(" from device {}", object.name);
                senders.extend(sender(words, extension, Some(&object.name), false));
            }
            _ => {}
        }
    }
    senders
}

fn sender(words: String, extension: Option<&Name>, device: Option<&Name>, general: bool) -> Option<Sender> {
    Some(Sender {
        words,
        extension: extension?.to_string(),
        device: device.map(ToString::to_string),
        general,
    })
}

/// A number of each class that either side has; the emergency number first.
fn numbers(before: &Model, after: &Model) -> Vec<(Name, String)> {
    let mut found: Vec<(Name, String)> = Vec::new();
    let emergency = emergency_numbers(&after.domain.country).first().map(|number| (*number).to_owned());
    found.extend(emergency.map(|number| ("emergency".into(), number)));
    for model in [after, before] {
        for (class, patterns) in &model.classes {
            if found.iter().any(|(known, _)| known == class) {
                continue;
            }
            // Not a number of ours: that would ring inside.
            let outside = |number: &String| !after.numbers.contains_key(number.as_str());
            let number = patterns.value.iter().filter_map(|pattern| sample(&pattern.value)).find(outside);
            found.extend(number.map(|number| (class.clone(), number)));
        }
    }
    found
}

fn dial(side: &Side<'_>, sender: &Sender, number: &str, now: Timestamp) -> Option<Explanation> {
    let query = Query {
        to: number.to_owned(),
        from: Some(sender.extension.clone()),
        from_device: sender.device.clone(),
        at: Some(now.to_string()),
        ..Query::default()
    };
    route(side.domain, &query, &Given::default(), None, now).ok()
}
