//! Objects that nothing names: what was left behind, or never hung up.

use super::super::diagnostic::Diagnostic;
use super::names::{Kind, Objects};
use super::reader::Reader;

/// What means nothing until something names it, and where that would stand.
const NAMED_TO_COUNT: [(Kind, &str); 16] = [
    (Kind::Site, "give a user, device or route this `site`"),
    (Kind::Role, "give a user this `role`"),
    (Kind::Calendar, "name it in a time frame, or as `calendar:NAME` in `when` or `except`"),
    (Kind::TimeFrame, "name it in `when` or `except`"),
    (Kind::List, "name it as `list:NAME` in `allow`, `block` or `white_list`"),
    (Kind::Trunk, "name it in `via` of a `[[route]]`, or let calls come in by `accept_from`"),
    (Kind::Callback, "name it in `[emergency]`, or in `emergency` of a site or user"),
    (Kind::Location, "name it in `[emergency]`, or in `emergency` of a site or user"),
    (Kind::Hunt, "give it an `ext`, or send calls to it"),
    (Kind::Queue, "give it an `ext`, or send calls to it"),
    (Kind::Attendant, "give it an `ext`, or send calls to it"),
    (Kind::Conference, "give it an `ext`, or send calls to it"),
    (Kind::Directory, "give it an `ext`, or send calls to it"),
    (Kind::Mailbox, "send calls to `voicemail:NAME`"),
    (Kind::Announce, "send calls to it, or name it where prompts are named"),
    (Kind::Moh, "name it where music is named: `moh`, `ring.hear`, `wait`"),
];

/// `unused`: told of when everything has been read.
pub(super) fn unused(r: &mut Reader<'_>, objects: &Objects<'_>) {
    let mut found = Vec::new();
    for (kind, help) in NAMED_TO_COUNT {
        for (name, object) in objects.of(kind) {
            // Calls come to it by themselves.
            let reached = ["ext", "accept_from", "auth"].iter().any(|key| object.table.contains_key(*key));
            if reached || r.referred.holds(kind, name) {
                continue;
            }
            let what = kind.word().replace('_', " ");
            let finding =
                Diagnostic::warning("unused", object.span, format!("nothing names the {what} `{name}`"));
            found.push(finding.help(format!("{help}; or take it out")));
        }
    }
    r.diagnostics.extend(found);
}

#[cfg(test)]
mod tests {
    use crate::rules::check::trial::{fires, silent};

    #[test]
    fn what_nothing_names_is_told_of() {
        for (text, what) in [
            ("[list.x]\nnumbers = [\"+1900.\"]\n", "the list `x`"),
            ("[time_frame.x]\nweekly = [\"daily\"]\n", "the time frame `x`"),
            ("[calendar.x]\nyearly = [{ on = \"07-04\" }]\n", "the calendar `x`"),
            ("[trunk.x]\nproxy = \"x.example\"\n", "the trunk `x`"),
            ("[site.x]\n", "the site `x`"),
            ("[role.x]\n", "the role `x`"),
            ("[callback.x]\nnumber = \"+12025550100\"\n", "the callback `x`"),
            ("[location.x]\ncountry = \"US\"\n", "the location `x`"),
            ("[announce.x]\nfile = \"x.wav\"\n", "the announce `x`"),
            ("[moh.x]\nfiles = [\"x.wav\"]\n", "the moh `x`"),
            ("[hunt.x]\ntargets = [\"user:desk\"]\non_failure = \"voicemail:desk\"\n", "the hunt `x`"),
        ] {
            fires("unused", &format!("«{text}"), what);
        }
    }

    #[test]
    fn what_something_names_or_calls_reach_by_themselves_is_used() {
        silent(
            "unused",
            "[list.x]\nnumbers = [\"list:y\"]\n[list.y]\nnumbers = [\"+1900.\"]\n[site.s]\n[role.r]\ninherit = \"basic\"\n\
             [user.ann]\next = \"101\"\nblock = [\"list:x\"]\nsite = \"s\"\nrole = \"r\"\n\
             [trunk.in]\naccept_from = [\"203.0.113.1\"]\n\
             [calendar.c]\nyearly = [{ on = \"07-04\" }]\n[time_frame.f]\ncalendar = \"c\"\n[time_frame.g]\nweekly = [\"daily\"]\nexcept = [\"f\"]\n\
             [codes]\ntime_frame = { g = \"*30\" }\n[hunt.x]\next = \"830\"\ntargets = [\"user:desk\"]\n",
        );
    }
}
