//! Who may reach a user: entries on both lists, entries twice, and white lists that shut out more than was meant.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{At, Destination, ListEntry, Name, TargetTo, User, WhiteListed};
use super::survey::{Survey, forwards};
use crate::number::Pattern;
use rustc_hash::FxHashMap;

/// Where each entry of the named lists stands: worked out once a domain.
pub(super) struct Entries<'m> {
    lists: FxHashMap<&'m str, FxHashMap<&'m Pattern, Span>>,
}

/// Those, and an entry that two lists have in common, for each two that were asked for: many users name the same two.
pub(super) struct Common<'e, 'm> {
    entries: &'e Entries<'m>,
    known: FxHashMap<(Name, Name), Option<&'m Pattern>>,
}

impl<'m> Entries<'m> {
    /// With `entry-twice` for what stands twice in one list.
    pub(super) fn of(survey: &Survey<'m>, found: &mut Vec<Diagnostic>) -> Entries<'m> {
        Entries::only(survey, |_| true, found)
    }

    /// Those of the lists that these users name.
    pub(super) fn named_by(survey: &Survey<'m>, users: &[&User]) -> Entries<'m> {
        let entries = || users.iter().flat_map(|user| user.allow.iter().chain(&user.block));
        let named = |name: &Name| entries().any(|e| matches!(&e.value, ListEntry::List(n) if n == name));
        Entries::only(survey, named, &mut Vec::new())
    }

    fn only(survey: &Survey<'m>, wanted: impl Fn(&Name) -> bool, found: &mut Vec<Diagnostic>) -> Entries<'m> {
        let mut lists = FxHashMap::default();
        for (name, list) in survey.model.lists.iter().filter(|(name, _)| wanted(name)) {
            let mut places: FxHashMap<&Pattern, Span> = FxHashMap::default();
            for entry in &list.value {
                let first = *places.entry(&entry.value).or_insert(entry.span);
                if first != entry.span {
                    let message = format!("`{}` stands twice in the list `{name}`", entry.value.as_str());
                    found.push(
                        Diagnostic::warning("entry-twice", entry.span, message)
                            .related(first, "the first time")
                            .help("take one of them out"),
                    );
                }
            }
            lists.insert(name.as_ref(), places);
        }
        Entries { lists }
    }

    fn place(&self, list: &Name, pattern: &Pattern) -> Option<Span> {
        self.lists.get(list.as_ref())?.get(pattern).copied()
    }
}

impl<'e, 'm> Common<'e, 'm> {
    pub(super) fn of(entries: &'e Entries<'m>) -> Common<'e, 'm> {
        Common { entries, known: FxHashMap::default() }
    }

    /// An entry that both lists have: the first of the first list.
    fn entry(&mut self, one: &Name, other: &Name) -> Option<&'m Pattern> {
        let key = (one.clone(), other.clone());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let lists = &self.entries.lists;
        let (first, second) = (lists.get(one.as_ref())?, lists.get(other.as_ref())?);
        let both = first.iter().filter(|(pattern, _)| second.contains_key(*pattern));
        let common = both.min_by_key(|(_, span)| **span).map(|(pattern, _)| *pattern);
        self.known.insert(key, common);
        common
    }
}

/// `allowed-and-blocked`, `white-list-number`, `white-list-refuses` of one user.
pub(super) fn user(
    survey: &Survey<'_>,
    common: &mut Common<'_, '_>,
    name: &Name,
    user: &User,
    found: &mut Vec<Diagnostic>,
) {
    both(survey, common, user, found);
    if let Some(first) = user.white_list.first().filter(|_| user.white_list_covers_all)
        && let Some((number, owned)) = survey.number_of(name)
    {
        let message = format!("this white list refuses callers from outside, and {number} leads to `{name}`");
        found.push(
            Diagnostic::warning("white-list-number", first.span, message)
                .related(owned, "their number")
                .help("write `white_list_covers = \"internal\"` to let outside callers pass"),
        );
    }
    refused(survey, name, user, found);
}

/// What stands on both lists of one user: one of them wins, but hardly both were meant.
fn both(survey: &Survey<'_>, common: &mut Common<'_, '_>, user: &User, found: &mut Vec<Diagnostic>) {
    let policy = survey.model.policy.allow_beats_block;
    let (wins, loses) = if policy { ("allow", "block") } else { ("block", "allow") };
    for allowed in &user.allow {
        for blocked in &user.block {
            let what = match (&allowed.value, &blocked.value) {
                (ListEntry::Pattern(one, text), ListEntry::Pattern(other, _)) => {
                    (one == other).then(|| text.to_string())
                }
                (ListEntry::Pattern(pattern, text), ListEntry::List(list))
                | (ListEntry::List(list), ListEntry::Pattern(pattern, text)) => {
                    common.entries.place(list, pattern).map(|_| format!("{text} (of `list:{list}`)"))
                }
                (ListEntry::List(one), ListEntry::List(other)) if one == other => Some(format!("list:{one}")),
                (ListEntry::List(one), ListEntry::List(other)) => common
                    .entry(one, other)
                    .map(|pattern| format!("{} (of `list:{one}` and `list:{other}`)", pattern.as_str())),
            };
            if let Some(what) = what {
                let message =
                    format!("{what} is on the allow list too: `{wins}` decides, and `{loses}` means nothing");
                found.push(
                    Diagnostic::warning("allowed-and-blocked", blocked.span, message)
                        .related(allowed.span, "allowed here")
                        .help("take it out of one of the two; `[policy] allow_beats_block` says which wins"),
                );
            }
        }
    }
}

/// `white-list-refuses`: ring targets and forwards to users whose white list this user is not on.
fn refused(survey: &Survey<'_>, name: &Name, user: &User, found: &mut Vec<Diagnostic>) {
    let model = survey.model;
    let mut refuse = |to: &Name, span: Span, what: &str| {
        let Some(other) =
            model.users.get(to).filter(|other| to != name && !listed(&other.white_list, name, user))
        else {
            return;
        };
        let message = format!("`{to}` is never reached by this {what}: `{name}` is not on their white list");
        let finding = Diagnostic::warning("white-list-refuses", span, message);
        let finding =
            finding.help(format!("add `user:{name}` to the `white_list` of `{to}`, or leave them out here"));
        found.push(match other.white_list.first() {
            Some(first) => finding.related(first.span, "their white list"),
            None => finding,
        });
    };
    for rule in user.rules.iter().filter(|rule| rule.enabled) {
        for to in rule.ring.targets.iter().flat_map(|target| &target.to) {
            if let TargetTo::Destination(Destination::User(to_user)) = &to.value {
                refuse(to_user, to.span, "target");
            }
        }
        for (_, forward) in forwards(&rule.forward) {
            if let Destination::User(to) = &forward.to {
                refuse(to, forward.span, "forward");
            }
        }
    }
}

/// Whether a white list lets a user through; an empty one lets everybody.
fn listed(white_list: &[At<WhiteListed>], name: &Name, user: &User) -> bool {
    white_list.is_empty()
        || white_list.iter().any(|entry| match &entry.value {
            WhiteListed::User(other) => other == name,
            WhiteListed::Role(role) => user.roles.contains(role),
            WhiteListed::Pattern(pattern) => {
                user.extensions.iter().any(|extension| pattern.matches(extension))
            }
            WhiteListed::Hunt(_) | WhiteListed::Queue(_) => false,
        })
}

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    const ANN: &str = "[device.101a]\nuser = \"ann\"\nauth = { user = \"101a\", secret = \"env:A\" }\n";

    #[test]
    fn an_entry_on_both_lists_is_told_of() {
        let lists = "[list.good]\nnumbers = [\"+12125550173\", \"+12125550174\"]\n[list.bad]\nnumbers = [\"+1900.\", \"+12125550174\"]\n";
        let ann = |allow: &str, block: &str| {
            format!("{lists}{ANN}[user.ann]\next = \"101\"\nallow = [\"{allow}\"]\nblock = [«\"{block}\"]\n")
        };
        fires("allowed-and-blocked", &ann("+12125550175", "+12125550175"), "`allow` decides");
        fires("allowed-and-blocked", &ann("list:good", "+12125550173"), "of `list:good`");
        fires("allowed-and-blocked", &ann("+1900.", "list:bad"), "+1900.");
        fires(
            "allowed-and-blocked",
            &ann("list:good", "list:bad"),
            "+12125550174 (of `list:good` and `list:bad`)",
        );
        silent("allowed-and-blocked", &ann("+12125550173", "list:bad").replace('«', ""));
        let policy = "[policy]\nallow_beats_block = false\n";
        fires("allowed-and-blocked", &format!("{policy}{}", ann("list:good", "list:bad")), "`block` decides");
    }

    #[test]
    fn an_entry_twice_is_told_of() {
        fires(
            "entry-twice",
            "[list.x]\nnumbers = [\"+1900.\", «\"+1900.\"]\n",
            "stands twice in the list `x`",
        );
        silent(
            "entry-twice",
            "[list.x]\nnumbers = [\"+1900.\", \"+1901.\", \"list:y\"]\n[list.y]\nnumbers = [\"+1902.\"]\n",
        );
    }

    #[test]
    fn a_white_list_against_the_own_number_is_told_of() {
        let ann = |covers: &str, mark: &str| {
            format!(
                "[number.\"+12025550101\"]\nto = \"user:ann\"\n{ANN}[user.ann]\next = \"101\"\nwhite_list = [{mark}\"user:desk\"]\n{covers}"
            )
        };
        fires("white-list-number", &ann("", "«"), "+12025550101 leads to `ann`");
        silent("white-list-number", &ann("white_list_covers = \"internal\"\n", ""));
    }

    #[test]
    fn a_target_whose_white_list_refuses_is_told_of() {
        let ann = |listed: &str, rule: &str| {
            format!(
                "{ANN}[user.ann]\next = \"101\"\nwhite_list = [\"{listed}\"]\n[user.bob]\next = \"102\"\nrole = \"agent\"\n\
                 [device.102a]\nuser = \"bob\"\nauth = {{ user = \"102a\", secret = \"env:B\" }}\n\
                 [[user.bob.rule]]\nname = \"Default\"\nwhen = \"always\"\n{rule}"
            )
        };
        let target = "ring.targets = [\"self\", «\"user:ann\"]\n";
        fires("white-list-refuses", &ann("user:desk", target), "`bob` is not on their white list");
        fires(
            "white-list-refuses",
            &ann("user:desk", "forward.no_answer = «\"user:ann\"\n"),
            "by this forward",
        );
        for listed in ["user:bob", "role:basic", "102"] {
            silent("white-list-refuses", &ann(listed, target).replace('«', ""));
        }
    }
}
