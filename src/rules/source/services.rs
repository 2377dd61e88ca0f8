//! What answers calls itself: hunts, queues, attendants, conferences, directories, prompts and music.

use super::super::diagnostic::Diagnostic;
use super::super::model::{
    Announcement, At, Attendant, Conference, Destination, Directory, DirectoryScope, DomainTable, Hunt,
    Mailbox, MatchBy, Music, Name, PopAt, Queue, QueueStrategy, ScreenPop, Services, Wait,
};
use super::answering;
use super::codes::codes;
use super::domain::required;
use super::mailbox::{Inherited, voicemail};
use super::names::{Kind, Object, Objects};
use super::reader::{Item, Reader, Table};
use super::suggest::nearest;
use std::collections::BTreeMap;
use std::time::Duration;

const CALLERS_MAX: u32 = 1_000_000;
const RING_EACH: Duration = Duration::from_secs(15);
const WAIT_MAX: Duration = Duration::from_secs(600);
const KEY_TIMEOUT: Duration = Duration::from_secs(5);
const TRIES: u32 = 3;
const TRIES_MAX: u32 = 10;

/// Reads all of them, and the extensions that they have.
pub(super) fn services<'t>(
    r: &mut Reader<'t>,
    objects: &Objects<'t>,
    domain: &DomainTable,
    inherited: &Inherited,
) -> (Services, BTreeMap<Name, At<Destination>>) {
    let mut extensions = BTreeMap::new();
    let mut services = Services {
        hunts: each(r, objects, Kind::Hunt, &mut extensions, Destination::Hunt, |r, t, ext| {
            hunt(r, t, ext, domain)
        }),
        queues: each(r, objects, Kind::Queue, &mut extensions, Destination::Queue, queue),
        attendants: each(r, objects, Kind::Attendant, &mut extensions, Destination::Attendant, attendant),
        conferences: each(r, objects, Kind::Conference, &mut extensions, Destination::Conference, conference),
        directories: each(r, objects, Kind::Directory, &mut extensions, Destination::Directory, directory),
        ..Services::default()
    };
    for (name, object) in objects.of(Kind::Mailbox) {
        pending(r, Kind::Mailbox, name, object);
        let t = Table::new(object.span, "voicemail", object.table);
        let voicemail = voicemail(r, t, None, &inherited.plain);
        services.mailboxes.insert(name.into(), Mailbox { span: object.span, voicemail });
    }
    for (name, object) in objects.of(Kind::Announce) {
        let mut t = Table::new(object.span, "announce", object.table);
        let file = required(r, &mut t, "file").and_then(|item| item.path(r));
        t.finish(r);
        let announcement = file.map(|file| (name.into(), Announcement { span: object.span, file }));
        services.announcements.extend(announcement);
    }
    for (name, object) in objects.of(Kind::Moh) {
        services.music.insert(name.into(), music(r, name, object));
    }
    if let Some(object) = objects.single.get("codes") {
        services.codes = codes(r, *object);
    }
    (services, extensions)
}

fn pending(r: &mut Reader<'_>, kind: Kind, name: &str, object: Object<'_>) {
    let word = kind.word();
    r.pending(&[word], &format!("[{word}.{name}]"), object.span);
}

/// The services of one kind, each read by `read` with its extension, which every kind may have.
fn each<'t, T>(
    r: &mut Reader<'t>,
    objects: &Objects<'t>,
    kind: Kind,
    extensions: &mut BTreeMap<Name, At<Destination>>,
    to: fn(Name) -> Destination,
    read: impl Fn(&mut Reader<'t>, Table<'t>, Option<Name>) -> T,
) -> BTreeMap<Name, T> {
    let mut all = BTreeMap::new();
    for (name, object) in objects.of(kind) {
        pending(r, kind, name, object);
        let mut t = Table::new(object.span, kind.word(), object.table);
        let ext = t.own(r, "ext");
        let extension = ext.and_then(|item| item.text(r)).map(Name::from);
        if let (Some(extension), Some(item)) = (&extension, ext) {
            extensions.insert(extension.clone(), At { value: to(name.into()), span: item.span });
        }
        all.insert(name.into(), read(r, t, extension));
    }
    all
}

fn hunt<'t>(r: &mut Reader<'t>, t: Table<'t>, extension: Option<Name>, domain: &DomainTable) -> Hunt {
    let (ring, mut t) = answering::ring(r, t, None, domain.ring_for);
    let hunt = Hunt {
        span: t.span,
        extension,
        ring,
        caller_id_prefix: t.words(r, "caller_id_prefix"),
        on_failure: t.destination(r, "on_failure"),
        screen_pop: screen_pop(r, &mut t),
    };
    t.finish(r);
    hunt
}

fn queue<'t>(r: &mut Reader<'t>, mut t: Table<'t>, extension: Option<Name>) -> Queue {
    let strategies = [
        ("ring-all", QueueStrategy::RingAll),
        ("longest-idle", QueueStrategy::LongestIdle),
        ("round-robin", QueueStrategy::RoundRobin),
        ("fewest-calls", QueueStrategy::FewestCalls),
        ("sequential", QueueStrategy::Sequential),
        ("random", QueueStrategy::Random),
    ];
    let queue = Queue {
        span: t.span,
        extension,
        strategy: t.choice(r, "strategy", &strategies).unwrap_or(QueueStrategy::LongestIdle),
        agents: agents(r, &mut t),
        ring_each: t.duration(r, "ring_each").unwrap_or(RING_EACH),
        wrap_up: t.duration(r, "wrap_up").unwrap_or_default(),
        wait: wait(r, &mut t),
        overflow: t.destination(r, "overflow"),
        record: t.choice(r, "record", &[("always", true), ("never", false)]).unwrap_or(false),
        screen_pop: screen_pop(r, &mut t),
        caller_id_prefix: t.words(r, "caller_id_prefix"),
    };
    t.finish(r);
    queue
}

/// Users: a queue rings whoever logged in to it, by their own do-not-disturb and call paths.
fn agents<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Vec<At<Name>> {
    let mut agents = Vec::new();
    for (text, span) in t.texts(r, "agents") {
        match text.split_once(':') {
            Some(("user", name)) => {
                agents.extend(r.reference(Kind::User, name, span).map(|value| At { value, span }));
            }
            _ => {
                let meant = text.rsplit(':').next().unwrap_or_default();
                let help = format!("write `user:{meant}`");
                r.error("unknown-value", span, format!("`{text}` can't be an agent: agents are users"), help);
            }
        }
    }
    agents
}

fn wait<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Wait {
    let mut wait = Wait { moh: None, announce: None, every: None, max: WAIT_MAX, max_callers: None };
    let Some(mut t) = t.table(r, "wait", "wait") else { return wait };
    wait.moh = t.reference(r, "moh", Kind::Moh).map(|moh| moh.value);
    wait.announce = t.reference(r, "announce", Kind::Announce).map(|announce| announce.value);
    wait.every = t.duration(r, "every");
    wait.max = t.duration(r, "max").unwrap_or(WAIT_MAX);
    wait.max_callers = t.count(r, "max_callers", 1..=CALLERS_MAX);
    t.finish(r);
    wait
}

fn attendant<'t>(r: &mut Reader<'t>, mut t: Table<'t>, extension: Option<Name>) -> Attendant {
    let attendant = Attendant {
        span: t.span,
        extension,
        greeting: t.item(r, "greeting").and_then(|item| item.path(r)),
        keys: keys(r, &mut t),
        dial_extensions: t.boolean(r, "dial_extensions").unwrap_or(true),
        no_input: t.destination(r, "no_input"),
        invalid: t.destination(r, "invalid"),
        timeout: t.duration(r, "timeout").unwrap_or(KEY_TIMEOUT),
        tries: t.count(r, "tries", 1..=TRIES_MAX).unwrap_or(TRIES),
    };
    t.finish(r);
    attendant
}

fn keys<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> BTreeMap<char, At<Destination>> {
    let mut keys = BTreeMap::new();
    let Some(table) = t.table(r, "keys", "keys") else { return keys };
    for (text, place, item) in table.entries() {
        let mut characters = text.chars();
        let key = match (characters.next(), characters.next()) {
            (Some(key), None) if key.is_ascii_digit() || matches!(key, '*' | '#') => Some(key),
            _ => None,
        };
        if key.is_none() {
            let message = format!("`{text}` is no key of a phone");
            r.error("bad-key", place, message, "write one of 0-9, `*`, `#` in quotes");
        }
        let to = item.destination(r, None);
        keys.extend(key.zip(to));
    }
    keys
}

fn conference<'t>(r: &mut Reader<'t>, mut t: Table<'t>, extension: Option<Name>) -> Conference {
    let mut pin = |key| t.own(r, key).and_then(|item| item.pin(r));
    let (pin, moderator_pin) = (pin("pin"), pin("moderator_pin"));
    let conference = Conference {
        span: t.span,
        extension,
        pin,
        moderator_pin,
        max: t.count(r, "max", 1..=CALLERS_MAX),
        record: t.choice(r, "record", &[("always", true), ("never", false)]).unwrap_or(false),
        announce: t.boolean(r, "announce").unwrap_or(false),
    };
    t.finish(r);
    conference
}

fn directory<'t>(r: &mut Reader<'t>, mut t: Table<'t>, extension: Option<Name>) -> Directory {
    let matches =
        [("last-name", MatchBy::LastName), ("first-name", MatchBy::FirstName), ("both", MatchBy::Both)];
    let match_by = t.choice(r, "match", &matches).unwrap_or(MatchBy::LastName);
    let mut from = Vec::new();
    for (text, span) in t.texts(r, "from") {
        let scope = match text.split_once(':') {
            Some(("site", name)) => r.reference(Kind::Site, name, span).map(DirectoryScope::Site),
            Some(("role", name)) => r.reference(Kind::Role, name, span).map(DirectoryScope::Role),
            Some(("user", name)) => r.reference(Kind::User, name, span).map(DirectoryScope::User),
            _ => {
                let help = "write `site:`, `role:` or `user:` and a name";
                r.error("unknown-value", span, format!("`from` can't be `{text}`"), help);
                None
            }
        };
        from.extend(scope.map(|value| At { value, span }));
    }
    let span = t.span;
    t.finish(r);
    Directory { span, extension, match_by, from }
}

fn music<'t>(r: &mut Reader<'t>, name: &str, object: Object<'t>) -> Music {
    let mut t = Table::new(object.span, "moh", object.table);
    let items = required(r, &mut t, "files").map(|item| item.list(r)).unwrap_or_default();
    if items.is_empty() {
        r.report(Diagnostic::warning("empty", object.span, format!("the music `{name}` has no file")));
    }
    let music = Music {
        span: object.span,
        files: items.into_iter().filter_map(|item| item.path(r)).collect(),
        shuffled: t.choice(r, "order", &[("listed", false), ("random", true)]).unwrap_or(false),
    };
    t.finish(r);
    music
}

/// `screen_pop = { at, url }` of a user, hunt or queue.
pub(super) fn screen_pop<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<ScreenPop> {
    let mut pop = t.table(r, "screen_pop", "screen_pop")?;
    let at = pop.choice(r, "at", &[("ringing", PopAt::Ringing), ("answered", PopAt::Answered)]);
    let url = required(r, &mut pop, "url").and_then(|item| pop_url(r, item));
    pop.finish(r);
    Some(ScreenPop { at: at.unwrap_or(PopAt::Ringing), url: url? })
}

/// A web address with `{{values}}` of the call, each of which is known.
fn pop_url<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    const KNOWN: [&str; 6] =
        ["callerid_number", "callerid_name", "extension", "extension_name", "did", "wait_sec"];
    let text = item.text(r)?;
    if !text.starts_with("https://") && !text.starts_with("http://") {
        r.error("bad-uri", item.span, format!("`{text}` is no web address"), "begin with `https://`");
        return None;
    }
    if text.starts_with("http://") {
        let message = "this address carries who calls over the network for everybody to read";
        r.report(Diagnostic::warning("screen-pop-http", item.span, message).help("begin with `https://`"));
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
    Some(text.into())
}
