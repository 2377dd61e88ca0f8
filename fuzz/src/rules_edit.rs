//! A sequence of edits of objects over a small rule set, as the verbs and the admin socket make them. An edit gives files or a
//! reason, never a panic; what it gives is TOML still; comments that it did not concern stay; and what loads without an error
//! compiles, and its trees survive their encoding; and what may go the short way leads where the whole one does.

use ringtree::rules::Domain;
use ringtree::rules::diagnostic::{Diagnostic, Files, Place};
use ringtree::rules::edit::{self, Change, change, kind::KINDS, layout};
use ringtree::rules::source::load;
use ringtree::rules::workshop::{self, Workshop};
use serde_json::{Map, Value};
use std::sync::Arc;

const RULES: &str = "# the head stays
schema = 1
[domain]
name = \"pbx.example\"
timezone = \"America/New_York\"
country = \"US\"

[list.spam] # a list
numbers = [\"+1900.\", \"+12025550199\"]

[time_frame.open]
weekly = [\"mon-fri 09:00-17:00\"] # hours

[number.\"+12025550101\"]
to = \"user:ann\"

[user.ann] # Ann stays
ext = \"101\"
block = [\"list:spam\"]
[[user.ann.rule]]
name = \"Open\"
when = \"open\"
ring.targets = [\"self:all\", { to = \"user:bob\", delay = \"5s\" }]
forward.busy = \"user:bob\"
[[user.ann.rule]]
name = \"Default\"
when = \"always\"
[user.bob]
ext = \"102\"
[device.101a]
user = \"ann\"
auth = { user = \"101a\", secret = \"env:A\" }
";

/// Words that edits are made of; an index into them is a byte of the input.
const WORDS: &[&str] = &[
    "ann",
    "bob",
    "spam",
    "open",
    "+12025550101",
    "101a",
    "eve",
    "rule.Open.enabled=false",
    "rule.Open.ring.each=10s",
    "rule.1.when=always",
    "ring_for=30s",
    "block+=+1800.",
    "block-=list:spam",
    "numbers+=+1888.",
    "numbers-=+1900.",
    "weekly+=sat 10:00-12:00",
    "override=on",
    "to=user:bob",
    "to=tel:+12025550101",
    "forward.busy=user:ann",
    "rule.Default.forward.always=user:bob",
    "rule.Open.forward.busy=user:ann",
    "ext=103",
    "ext=\"102\"",
    "call_paths=3",
    "caller_id.external.number=+12025550101",
    "voicemail.enabled=false",
    "rule=[]",
    "name={ first = \"A\", last = \"B\" }",
    "\"a.b\"=1",
    "=",
    ".=x",
    "rule..name=x",
    "rule.9.name=x",
    "auth.secret=plain:x",
    "timezone=Europe/London",
    "vanity=true",
    "rule.Open.ring.targets+=user:bob",
    "rule.Open.ring.targets.2.delay=7s",
    "rule.Open.ring.targets.user:bob.for=7s",
];

fn word(byte: u8) -> &'static str {
    WORDS[usize::from(byte) % WORDS.len()]
}

/// One edit by three bytes: which, of what, with what.
fn edited(files: &Files, step: &[u8], text: &str) -> Option<Files> {
    let kind = &KINDS[usize::from(step[1]) % KINDS.len()];
    let name = word(step[1] / 8);
    match step[0] % 6 {
        0 | 1 => {
            let change = change::parse_setting(word(step[2])).ok()?;
            edit::change(files, kind, name, &[change]).ok()
        }
        2 => edit::change(files, kind, name, &[change::parse_setting(text).ok()?]).ok(),
        3 => {
            let at = word(step[2]).split('=').next()?.split('.').map(str::to_owned).collect();
            edit::change(files, kind, name, &[Change::Unset { at }]).ok()
        }
        4 => {
            let keys: Map<String, Value> = serde_json::from_str(text).unwrap_or_else(|_| {
                let value = Value::String(word(step[2].wrapping_add(1)).to_owned());
                [(word(step[2]).split('=').next().unwrap_or_default().to_owned(), value)]
                    .into_iter()
                    .collect()
            });
            edit::put(files, kind, name, &keys).ok()
        }
        _ => edit::remove(files, kind, name).ok(),
    }
}

fn check(files: &Files) {
    for (name, text) in &files.0 {
        assert!(text.parse::<toml_edit::DocumentMut>().is_ok(), "{name} is no TOML any more:\n{text}");
        if let Ok(laid_out) = layout::format(text) {
            assert_eq!(
                layout::format(&laid_out).ok().as_deref(),
                Some(laid_out.as_str()),
                "fmt of fmt is fmt"
            );
        }
    }
    let Some(model) = load(files).model else { return };
    let Ok(domain) = Domain::compile(&model, Default::default(), 1) else { return };
    assert!(Domain::decode(domain.encoded().to_vec(), 1).is_ok());
}

fn whole(files: &Files) -> Option<Workshop<String>> {
    let materials = workshop::load(files, None);
    let shown = materials.loaded.diagnostics.iter().map(|d| show(d, files.place(d.span)));
    let shown = Arc::new(shown.collect());
    let domain = Domain::compile(materials.loaded.model.as_ref()?, Default::default(), 1).ok()?;
    Workshop::of(materials, Arc::new(domain), shown)
}

fn show(diagnostic: &Diagnostic, place: Place) -> String {
    format!("{place} {diagnostic:?}")
}

/// The short way leads where the whole one does.
fn both_ways(workshop: Option<Workshop<String>>, files: &Files) -> Option<Workshop<String>> {
    let anew = whole(files);
    let edited = workshop.and_then(|mut workshop| workshop.edit(&Arc::new(files.clone()), 1, show));
    if let Some(edited) = edited {
        let materials = workshop::load(files, None);
        let found = materials.loaded.diagnostics.iter().map(|d| show(d, files.place(d.span)));
        assert!(edited.findings.iter().cloned().eq(found), "other findings of {files:?}");
        let model = materials.loaded.model.expect("the short way refuses what the whole one does");
        let domain = Domain::compile(&model, Default::default(), 1).expect("it compiles");
        assert!(edited.domain.encoded() == domain.encoded(), "other bytes of {files:?}");
    }
    anew
}

pub fn rules_edit(data: &[u8]) {
    let (count, data) = data.split_first().unwrap_or((&0, data));
    let length = (usize::from(*count) % 8 * 3).min(data.len() / 3 * 3);
    let (steps, rest) = data.split_at(length);
    let text = String::from_utf8_lossy(rest);
    // Ann and Bob in a file of their own: what concerns them alone may go the short way.
    let (top, people) = RULES.split_at(RULES.find("[user.ann]").unwrap());
    let mut files = Files([("domain.toml".into(), top.into()), ("people.toml".into(), people.into())].into());
    let mut workshop = whole(&files);
    // Until she is removed: who is put there again is somebody new.
    let mut ann_stays = true;
    for step in steps.chunks_exact(3) {
        if let Some(after) = edited(&files, step, &text) {
            check(&after);
            workshop = both_ways(workshop, &after);
            ann_stays &= after.0.values().any(|text| text.contains("[user.ann]"));
            let kept = after.0.values().any(|text| text.contains("# Ann stays"));
            assert!(kept || !ann_stays, "a comment is gone:\n{after:?}");
            files = after;
        }
    }
}
