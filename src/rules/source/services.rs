//! What answers calls itself: hunts, queues, attendants, conferences, directories, mailboxes, prompts, music, feature codes.
//! Read and validated; carried out by later work. What the model keeps of them is their extensions.

use super::super::diagnostic::Diagnostic;
use super::super::model::{At, Destination, DomainTable, Name};
use super::answering;
use super::domain::required;
use super::names::{Kind, Object, Objects};
use super::people::email;
use super::reader::{Item, Reader, Table};
use super::suggest::nearest;
use super::value::destination;
use std::collections::BTreeMap;

const MANY: u32 = 1_000_000;

/// Reads all of them; the extensions that they have.
pub(super) fn services<'t>(
    r: &mut Reader<'t>,
    objects: &Objects<'t>,
    domain: &DomainTable,
) -> BTreeMap<Name, At<Destination>> {
    let mut extensions = BTreeMap::new();
    for (_, kind) in Kind::ALL {
        for (name, object) in objects.of(kind) {
            let word = kind.word();
            r.pending(word, &format!("[{word}.{name}]"), object.span);
            let t = Table::new(object.span, word, object.table);
            let to: fn(Name) -> Destination = match kind {
                Kind::Hunt => Destination::Hunt,
                Kind::Queue => Destination::Queue,
                Kind::Attendant => Destination::Attendant,
                Kind::Conference => Destination::Conference,
                Kind::Directory => Destination::Directory,
                _ => continue,
            };
            if let Some(item) = service(r, kind, t, domain)
                && let Some(extension) = item.text(r)
            {
                extensions.insert(extension.into(), At { value: to(name.into()), span: item.span });
            }
        }
    }
    for (_, object) in objects.of(Kind::Mailbox) {
        voicemail(r, Table::new(object.span, "voicemail", object.table), None);
    }
    audio(r, objects);
    if let Some(object) = objects.single.get("codes") {
        codes(r, *object);
    }
    extensions
}

/// One service with an extension; the place of that.
fn service<'t>(r: &mut Reader<'t>, kind: Kind, mut t: Table<'t>, domain: &DomainTable) -> Option<Item<'t>> {
    let ext = t.own(r, "ext");
    let t = match kind {
        Kind::Hunt => hunt(r, t, domain),
        Kind::Queue => queue(r, t),
        Kind::Attendant => attendant(r, t),
        Kind::Conference => conference(r, t),
        _ => directory(r, t),
    };
    t.finish(r);
    ext
}

fn hunt<'t>(r: &mut Reader<'t>, t: Table<'t>, domain: &DomainTable) -> Table<'t> {
    let (_, mut t) = answering::ring(r, t, None, domain.ring_for);
    t.text(r, "caller_id_prefix");
    t.destination(r, "on_failure");
    screen_pop(r, &mut t);
    t
}

fn queue<'t>(r: &mut Reader<'t>, mut t: Table<'t>) -> Table<'t> {
    let strategies = ["ring-all", "longest-idle", "round-robin", "fewest-calls", "sequential", "random"];
    t.choice(r, "strategy", &strategies.map(|word| (word, ())));
    for (text, place) in t.texts(r, "agents") {
        destination(r, text, place, None);
    }
    t.duration(r, "ring_each");
    t.duration(r, "wrap_up");
    if let Some(mut wait) = t.table(r, "wait", "wait") {
        wait.reference(r, "moh", Kind::Moh);
        wait.reference(r, "announce", Kind::Announce);
        wait.duration(r, "every");
        wait.duration(r, "max");
        wait.count(r, "max_callers", 1..=MANY);
        wait.finish(r);
    }
    t.destination(r, "overflow");
    t.choice(r, "record", &[("always", ()), ("never", ())]);
    screen_pop(r, &mut t);
    t.text(r, "caller_id_prefix");
    t
}

fn attendant<'t>(r: &mut Reader<'t>, mut t: Table<'t>) -> Table<'t> {
    t.text(r, "greeting");
    if let Some(keys) = t.table(r, "keys", "keys") {
        for (key, place, item) in keys.entries() {
            let one_key =
                key.len() == 1 && key.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#'));
            if !one_key {
                r.error(
                    "bad-key",
                    place,
                    format!("`{key}` is no key of a phone"),
                    "write one of 0-9, `*`, `#` in quotes",
                );
            }
            item.destination(r, None);
        }
    }
    t.boolean(r, "dial_extensions");
    t.destination(r, "no_input");
    t.destination(r, "invalid");
    t.duration(r, "timeout");
    t.count(r, "tries", 1..=10);
    t
}

fn conference<'t>(r: &mut Reader<'t>, mut t: Table<'t>) -> Table<'t> {
    for key in ["pin", "moderator_pin"] {
        if let Some(item) = t.own(r, key) {
            item.pin(r);
        }
    }
    t.count(r, "max", 1..=MANY);
    t.choice(r, "record", &[("always", ()), ("never", ())]);
    t.boolean(r, "announce");
    t
}

fn directory<'t>(r: &mut Reader<'t>, mut t: Table<'t>) -> Table<'t> {
    t.choice(r, "match", &[("last-name", ()), ("first-name", ()), ("both", ())]);
    for (text, place) in t.texts(r, "from") {
        match text.split_once(':') {
            Some(("site", name)) => {
                r.reference(Kind::Site, name, place);
            }
            Some(("role", name)) => {
                r.reference(Kind::Role, name, place);
            }
            Some(("user", name)) => {
                r.reference(Kind::User, name, place);
            }
            _ => r.error(
                "unknown-value",
                place,
                format!("`from` can't be `{text}`"),
                "write `site:`, `role:` or `user:` and a name",
            ),
        }
    }
    t
}

/// A mailbox: of a user, of nobody, or the defaults of all.
pub(super) fn voicemail<'t>(r: &mut Reader<'t>, mut t: Table<'t>, owner: Option<&'t str>) {
    t.boolean(r, "enabled");
    if let Some(item) = t.own(r, "pin") {
        item.pin(r);
    }
    t.count(r, "limit", 1..=MANY);
    t.count(r, "limit_bytes", 1..=u32::MAX);
    t.choice(r, "when_full", &[("rotate", ()), ("refuse", ())]);
    if let Some(item) = t.own(r, "greeting") {
        if item.is_table() {
            if let Some(mut greeting) = item.table(r, "greeting") {
                greeting.text(r, "unavailable");
                greeting.text(r, "busy");
                greeting.finish(r);
            }
        } else {
            item.text(r);
        }
    }
    for key in ["say_caller", "say_time", "newest_first", "transcribe", "recorded_name"] {
        t.boolean(r, key);
    }
    if let Some(item) = t.own(r, "operator") {
        item.destination(r, owner);
    }
    for key in ["email", "email_short"] {
        for item in t.own(r, key).iter().flat_map(Item::one_or_several) {
            email(r, item);
        }
    }
    let styles = ["none", "link", "link-brief", "attachment", "attachment-brief"];
    t.choice(r, "email_style", &styles.map(|word| (word, ())));
    t.choice(r, "after_email", &["keep", "save", "trash", "delete"].map(|word| (word, ())));
    t.text(r, "translate");
    t.finish(r);
}

/// `screen_pop = { at, url }` of a user, hunt or queue.
pub(super) fn screen_pop<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) {
    let Some(mut pop) = t.table(r, "screen_pop", "screen_pop") else { return };
    pop.choice(r, "at", &[("ringing", ()), ("answered", ())]);
    if let Some(item) = required(r, &mut pop, "url") {
        placeholders(r, item);
    }
    pop.finish(r);
}

fn placeholders<'t>(r: &mut Reader<'t>, item: Item<'t>) {
    const KNOWN: [&str; 6] =
        ["callerid_number", "callerid_name", "extension", "extension_name", "did", "wait_sec"];
    let Some(text) = item.text(r) else { return };
    if !text.starts_with("https://") && !text.starts_with("http://") {
        r.error("bad-uri", item.span, format!("`{text}` is no web address"), "begin with `https://`");
    }
    for part in text.split("{{").skip(1) {
        let word = part.split_once("}}").map_or(part, |(word, _)| word);
        if !KNOWN.contains(&word) {
            let help = match nearest(word, KNOWN) {
                Some(meant) => format!("did you mean `{{{{{meant}}}}}`?"),
                None => format!("there are {}", KNOWN.join(", ")),
            };
            r.error("unknown-value", item.span, format!("`{word}` is no value of a call"), help);
        }
    }
}

/// `[announce.X]` and `[moh.X]`.
fn audio<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) {
    for (_, object) in objects.of(Kind::Announce) {
        let mut t = Table::new(object.span, "announce", object.table);
        required(r, &mut t, "file").and_then(|item| item.text(r));
        t.finish(r);
    }
    for (name, object) in objects.of(Kind::Moh) {
        let mut t = Table::new(object.span, "moh", object.table);
        required(r, &mut t, "files");
        if t.texts(r, "files").is_empty() {
            r.report(Diagnostic::warning("empty", object.span, format!("the music `{name}` has no file")));
        }
        t.choice(r, "order", &[("listed", ()), ("random", ())]);
        t.finish(r);
    }
}

fn codes<'t>(r: &mut Reader<'t>, object: Object<'t>) {
    const CODES: [&str; 13] = [
        "dnd_on",
        "dnd_off",
        "forward_on",
        "forward_off",
        "hotdesk_login",
        "hotdesk_logout",
        "hotdesk_toggle",
        "queue_login",
        "queue_logout",
        "voicemail",
        "pickup",
        "park",
        "echo",
    ];
    r.pending("codes", "[codes]", object.span);
    let mut t = Table::new(object.span, "codes", object.table);
    let mut given: BTreeMap<&str, super::super::Span> = BTreeMap::new();
    let mut items: Vec<Item<'t>> = CODES.into_iter().filter_map(|key| t.own(r, key)).collect();
    if let Some(frames) = t.table(r, "time_frame", "time_frame") {
        for (name, place, item) in frames.entries() {
            r.reference(Kind::TimeFrame, name, place);
            items.push(item);
        }
    }
    t.finish(r);
    for item in items {
        let Some(code) = item.text(r) else { continue };
        let shape = code.strip_prefix(['*', '#']).unwrap_or("");
        if shape.is_empty() || !shape.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#')) {
            r.error(
                "bad-code",
                item.span,
                format!("`{code}` is no feature code"),
                "begin with `*` or `#`: `*78`",
            );
        } else if let Some(first) = given.insert(code, item.span) {
            let finding =
                Diagnostic::error("defined-twice", item.span, format!("the code `{code}` is given twice"));
            r.report(finding.related(first, "first given here"));
        }
    }
}
