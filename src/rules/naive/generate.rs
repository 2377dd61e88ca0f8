//! Rule sets and calls drawn from bytes, as TOML text, so that what is compared has come through the loader. A byte of 0 is the
//! plainest choice, which is what a failing case shrinks to.

use crate::rules::model::{Given, Name, Spent};
use crate::rules::route::Query;
use std::fmt::Write;
use std::time::Duration;

pub(super) struct Draw<'b>(std::slice::Iter<'b, u8>);

impl<'b> Draw<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Draw<'b> {
        Draw(bytes.iter())
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % limit
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    /// Once in so many; never where the bytes have run out.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// The text, once in so many.
    fn maybe(&mut self, n: usize, text: &str) -> String {
        if self.once_in(n) { format!("{text}\n") } else { String::new() }
    }
}

const USERS: [(&str, &str); 3] =
    [("ann", "\"101\""), ("bob", "\"102\""), ("cat", "\"103\"\nexts = [\"1031\"]")];
const FRAMES: [&str; 6] = ["day", "lunch", "night", "not day", "not lunch", "not night"];
const DEVICES: [&str; 6] = ["a1", "b1", "b2", "c1", "c2", "s1"];
const LEGS: [&str; 8] = ["a1", "b1", "b2", "c1", "c2", "s1", "tel:+12125550000", "tel:+442079460123"];
const LISTED: [&str; 6] = ["+12025550150", "+1202.", "+1900.", "102", "list:one", "list:two"];
const PLACES: [&str; 16] = [
    "user:ann",
    "user:bob",
    "user:cat",
    "hunt:h1",
    "hunt:h2",
    "voicemail:box",
    "queue:q",
    "attendant:m",
    "announce:shut",
    "tel:+12125550000",
    "tel:+442079460123",
    "tel:+12025550101",
    "handset:bob",
    "device:c2",
    "reject:404",
    "tel:+19005550123",
];

const FIXED: &str = r#"
[role.agent]
inherit = "basic"
[time_frame.day]
weekly = ["mon-fri 09:00-17:00"]
[time_frame.lunch]
weekly = ["daily 12:00-13:00"]
[time_frame.night]
weekly = ["daily 22:00-06:00"]
[list.one]
numbers = ["+1202555017X", "+12025550150"]
[list.two]
numbers = ["+44.", "102"]
[callback.desk]
number = "+12025550100"
[callback.dc]
name = "DC"
number = "+12025550103"
[location.here]
country = "US"
[location.there]
country = "US"
[class.local]
match = ["+1202."]
[class.national]
match = ["+1."]
[class.premium]
match = ["+1900."]
[class.international]
match = ["+."]
[queue.q]
ext = "810"
agents = ["user:ann"]
[attendant.m]
ext = "800"
[mailbox.box]
[announce.shut]
file = "shut.wav"
[codes]
dnd_on = "*78"
voicemail = "*97"
[device.a1]
user = "ann"
auth = { user = "a1", secret = "plain:x" }
[device.b1]
user = "bob"
primary = true
auth = { user = "b1", secret = "plain:x" }
[device.c1]
user = "cat"
primary = true
auth = { user = "c1", secret = "plain:x" }
[device.c2]
user = "cat"
auth = { user = "c2", secret = "plain:x" }
"#;

/// A domain.
pub(super) fn rules(d: &mut Draw<'_>) -> String {
    let mut text = format!(
        "schema = 1\n[domain]\nname = \"pbx.test\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\narea_code = \"202\"\n\
         caller_id = {{ name = \"Test\", number = \"+12025550100\" }}\nmax_hops = {}\n",
        8 - d.below(8)
    );
    text += &d.maybe(3, "outside_line = \"8\"");
    text += "[policy]\n";
    let _ = writeln!(text, "reject_blocked = \"{}\"", d.of(&["607", "tone:reorder", "announce:shut"]));
    let _ = writeln!(text, "reject_anonymous = \"{}\"", d.of(&["433", "403"]));
    let _ = writeln!(text, "reject_unknown = \"{}\"", d.of(&["403", "404", "announce:shut"]));
    let _ = writeln!(text, "device_decline = \"{}\"", d.of(&["stop", "continue"]));
    text += &d.maybe(3, "allow_beats_block = false");
    text += FIXED;
    site_and_trunks(d, &mut text);
    outgoing(d, &mut text);
    numbers(d, &mut text);
    for (name, ext) in USERS {
        user(d, name, ext, &mut text);
    }
    for (hunt, ext) in [("h1", "830"), ("h2", "831")] {
        let _ = writeln!(text, "[hunt.{hunt}]\next = \"{ext}\"");
        text += &d.maybe(3, "caller_id_prefix = \"HUNT \"");
        if d.once_in(2) {
            let _ = writeln!(text, "on_failure = \"{}\"", d.of(&PLACES));
        }
        ring(d, "", "", &mut text);
    }
    text
}

fn site_and_trunks(d: &mut Draw<'_>, text: &mut String) {
    *text += "[site.dc]\n";
    *text += &d.maybe(2, "caller_id = { number = \"+12025550103\" }");
    *text += &d.maybe(6, "restrict = { international = \"deny\" }");
    *text += &d.maybe(4, "budget = { national = { calls_per_hour = 1 } }");
    *text += &d.maybe(3, "emergency = { callback = \"dc\", location = \"there\" }");
    *text += &d.maybe(3, "country = \"GB\"");
    for trunk in ["t", "u"] {
        let _ = writeln!(text, "[trunk.{trunk}]\nproxy = \"192.0.2.1\"");
        *text += &d.maybe(3, "screens_caller_id = true");
        *text += &d.maybe(2, "diversion = \"diversion\"");
    }
    *text += &d.maybe(2, "[emergency]\ncallback = \"desk\"\nlocation = \"here\"");
    for (device, user) in [("b2", "user = \"bob\"\n"), ("s1", "")] {
        let auth = format!("auth = {{ user = \"{device}\", secret = \"plain:x\" }}");
        let _ = writeln!(text, "[device.{device}]\n{user}hotdesk = true\n{auth}");
        *text += &d.maybe(2, "site = \"dc\"");
        *text += &d.maybe(3, "location = \"there\"");
        *text += &d.maybe(4, "restrict = { national = \"deny\" }");
    }
}

fn outgoing(d: &mut Draw<'_>, text: &mut String) {
    *text += &d.maybe(3, "[[route]]\nsite = \"dc\"\nclasses = [\"national\", \"emergency\"]\nvia = [\"u\"]\ncaller_id = { number = \"+12025550104\" }");
    let via = d.of(&["\"t\"", "\"t\", \"u\"", "\"u\", \"t\""]);
    let classes = d.of(&[
        "\"local\", \"national\", \"international\", \"premium\", \"emergency\"",
        "\"local\", \"national\", \"international\"",
        "\"national\"",
    ]);
    let _ = writeln!(text, "[[route]]\nclasses = [{classes}]\nvia = [{via}]");
    *text += &d.maybe(3, "[[dial]]\ndialled = \"9NXXNXXXXXX\"\nstrip = 1");
    *text += &d.maybe(3, "[[dial]]\ndialled = \"55\"\nas = \"102\"");
    *text += &d.maybe(4, "[[dial]]\ndialled = \"56\"\nas = \"911\"");
    *text += &d.maybe(4, "[[dial]]\ndialled = \"57.\"\nstrip = 2\nprefix = \"+44\"\nclass = \"national\"");
    let class = "[class.emergency]\nmatch = [\"977\"]\n[[route]]\nclasses = [\"emergency\"]\nvia = [\"u\"]";
    *text += &d.maybe(4, class);
}

fn numbers(d: &mut Draw<'_>, text: &mut String) {
    let to = if d.once_in(3) { d.of(&PLACES) } else { d.of(&PLACES[..4]) };
    let _ = writeln!(text, "[number.\"+12025550101\"]\nto = \"{to}\"");
    *text += &d.maybe(2, "caller_id_prefix = \"MAIN \"");
    *text += "[number.\"+12025550102\"]\n";
    for when in ["day", "night"] {
        let to = d.of(&PLACES);
        let _ = writeln!(text, "[[number.\"+12025550102\".rule]]\nwhen = \"{when}\"\nto = \"{to}\"");
    }
    let to = d.of(&PLACES);
    let _ =
        writeln!(text, "[[number.\"+12025550102\".rule]]\nname = \"Else\"\nwhen = \"always\"\nto = \"{to}\"");
    // What is shown outside is ours, also where a trunk looks.
    for spare in ["+12025550100", "+12025550103", "+12025550104", "+12025550109"] {
        let _ = writeln!(text, "[number.\"{spare}\"]\nlabel = \"spare\"");
    }
}

fn user(d: &mut Draw<'_>, name: &str, ext: &str, text: &mut String) {
    let _ = writeln!(text, "[user.{name}]\next = {ext}\nname = {{ first = \"{name}\", last = \"X\" }}");
    let mailbox = d.once_in(2);
    let _ = writeln!(text, "voicemail = {{ enabled = {mailbox} }}");
    for list in ["allow", "block"] {
        if d.once_in(3) {
            let _ = writeln!(text, "{list} = [\"{}\", \"{}\"]", d.of(&LISTED), d.of(&LISTED));
        }
    }
    *text += &d.maybe(4, "block_anonymous = true");
    *text += &d.maybe(4, "block_unknown = true");
    *text += &d.maybe(4, "block_unverified = true");
    if d.once_in(4) {
        let listed = d.of(&["user:ann", "user:bob", "hunt:h1", "queue:q", "role:basic", "103", "+1202."]);
        let _ = writeln!(text, "white_list = [\"{listed}\"]");
        *text += &d.maybe(2, "white_list_covers = \"internal\"");
    }
    *text += &d.maybe(3, "site = \"dc\"");
    *text += &d.maybe(3, "role = \"agent\"");
    *text += &d.maybe(12, "vanity = true");
    *text += &d.maybe(4, "call_waiting = false");
    *text += &d.maybe(4, "busy_when = \"any-call\"");
    *text += &d.maybe(4, "ring_for = \"40s\"");
    *text += &d.maybe(4, "emergency = { callback = \"dc\", location = \"here\" }");
    *text += &d.maybe(3, "caller_id = { external = { number = \"+12025550101\" } }");
    if d.once_in(5) {
        let class = d.of(&["international", "national", "internal", "premium"]);
        let _ = writeln!(text, "restrict = {{ {class} = \"{}\" }}", d.of(&["allow", "deny", "inherit"]));
    }
    if d.once_in(2) {
        const LIMITS: [&str; 4] =
            ["calls_at_once = 1", "calls_per_hour = 2", "time_per_day = \"30m\"", "calls_at_once = 2"];
        let (far, near) = (d.of(&LIMITS), d.of(&LIMITS));
        let _ = writeln!(text, "budget = {{ international = {{ {far} }}, national = {{ {near} }} }}");
    }
    let first = d.below(FRAMES.len());
    for index in 0..d.below(3) {
        let when = FRAMES[(first + index) % FRAMES.len()];
        rule(d, name, &format!("R{index}"), when, text);
    }
    rule(d, name, "Else", "always", text);
}

fn rule(d: &mut Draw<'_>, user: &str, name: &str, when: &str, text: &mut String) {
    let _ = writeln!(text, "[[user.{user}.rule]]\nname = \"{name}\"\nwhen = \"{when}\"");
    if when != "always" {
        *text += &d.maybe(5, "enabled = false");
    }
    *text += &d.maybe(5, "dnd = true");
    *text += &d.maybe(4, "screen = true");
    *text += &d.maybe(4, "ring_for = \"12s\"");
    for (key, often) in [
        ("always", 6),
        ("dnd", 6),
        ("on_active", 6),
        ("busy", 3),
        ("no_answer", 3),
        ("declined", 5),
        ("offline", 3),
        ("otherwise", 6),
    ] {
        if d.once_in(often) {
            let to = d.of(&PLACES);
            let mut keys = String::new();
            keys += if d.once_in(4) { ", direct_only = true" } else { "" };
            keys += if to.starts_with("tel:") && d.once_in(3) { ", confirm = \"1\"" } else { "" };
            keys += if d.once_in(4) { ", caller_id = \"forwarder\"" } else { "" };
            let _ = writeln!(text, "forward.{key} = {{ to = \"{to}\"{keys} }}");
        }
    }
    if d.once_in(2) {
        ring(d, user, "ring.", text);
    }
}

/// The keys of a ring list: of a rule, or of a hunt (which has no `self`).
fn ring(d: &mut Draw<'_>, owner: &str, key: &str, text: &mut String) {
    let hunt = owner.is_empty();
    let strategy = d.of(&["simultaneous", "sequential", "sequential-memory", "random", "own"]);
    if strategy == "own" && !hunt {
        let _ = writeln!(text, "{key}strategy = \"own\"\n{key}targets = [\"self\"]");
        return;
    }
    let strategy = if strategy == "own" { "simultaneous" } else { strategy };
    let _ = writeln!(text, "{key}strategy = \"{strategy}\"");
    let together = strategy == "simultaneous";
    if !together {
        let _ = writeln!(text, "{key}each = \"{}\"", d.of(&["10s", "15s"]));
    }
    if d.once_in(3) {
        let _ = writeln!(text, "{key}timeout = \"{}\"", d.of(&["60s", "18s"]));
    }
    if !hunt && d.once_in(4) {
        let _ = writeln!(text, "{key}initial = \"5s\"");
    }
    let count = 1 + d.below(3);
    let targets: Vec<String> = (0..count).map(|_| target(d, owner, together)).collect();
    let _ = writeln!(text, "{key}targets = [{}]", targets.join(", "));
}

fn target(d: &mut Draw<'_>, owner: &str, together: bool) -> String {
    const TO: [&str; 10] = [
        "self:all",
        "self",
        "user:ann",
        "user:bob",
        "user:cat",
        "device:c2",
        "handset:bob",
        "tel:+12125550000",
        "tel:+442079460123",
        "device:b2",
    ];
    let hunt = owner.is_empty();
    let to = d.of(if hunt { &TO[2..] } else { &TO });
    let to = if to.strip_prefix("user:") == Some(owner) { "self" } else { to };
    let mut keys = format!("{{ to = \"{to}\"");
    if together && d.once_in(4) {
        keys += ", delay = \"8s\"";
    }
    if d.once_in(4) {
        keys += ", for = \"7s\"";
    }
    if to.starts_with("tel:") && d.once_in(2) {
        keys += ", confirm = \"any\"";
    }
    if d.once_in(5) {
        keys += ", caller_id_prefix = \"P \"";
    }
    if d.once_in(4) {
        let choice =
            d.of(&["\"original\"", "\"forwarder\"", "{ name = \"Fixed\", number = \"+12025550100\" }"]);
        let _ = write!(keys, ", caller_id = {choice}");
    }
    if to.starts_with("user:") && d.once_in(2) {
        keys += ", follow = true";
    }
    keys + " }"
}

/// A call into it.
pub(super) fn query(d: &mut Draw<'_>) -> Query {
    let at = d.of(&["2026-11-24T10:00", "2026-11-24T12:30", "2026-11-24T23:30", "2026-11-28T12:30"]);
    let from = d.of(&[
        "+12025550150",
        "101",
        "102",
        "103",
        "anonymous",
        "unknown",
        "+19005550123",
        "device",
        "+12025550150",
    ]);
    let device = (from == "device").then(|| d.of(&DEVICES).to_owned());
    let reaches = [
        "+12025550101",
        "user:ann",
        "user:bob",
        "user:cat",
        "+12025550102",
        "hunt:h1",
        "830",
        "2025550101",
        "+12025550109",
        "voicemail:box",
        "101",
        "+442079460123",
        "urn:service:sos",
    ];
    let dials = [
        "102",
        "103",
        "1031",
        "831",
        "2125550000",
        "911",
        "9911",
        "810",
        "*78",
        "*79",
        "55",
        "56",
        "5720794601",
        "82125550000",
        "+442079460123",
        "+19005550123",
        "92125550000",
        "977",
        "5550101",
        "junk",
    ];
    let to = if d.once_in(2) { d.of(&dials) } else { d.of(&reaches) };
    let via = (to == "user:cat" && device.is_none()).then(|| d.of(&["queue:q", "hunt:h1"]).to_owned());
    Query {
        to: to.to_owned(),
        from: device.is_none().then(|| from.to_owned()),
        from_name: (device.is_none() && d.once_in(3)).then(|| "Rita".to_owned()),
        from_device: device,
        via,
        at: Some(at.to_owned()),
    }
}

/// The live state it meets.
pub(super) fn given(d: &mut Draw<'_>) -> Given {
    let mut given = Given::default();
    // Most calls go on past their first ring stage only if somebody does not answer.
    let often = 1 + d.below(3);
    for leg in LEGS {
        let name = Name::from(leg);
        let is_phone = !leg.starts_with("tel:");
        match d.below(3 + 4 * often) {
            1 if is_phone => given.offline.push(name),
            2 => given.busy.push(name),
            3 => given.declined.push(name),
            4 => given.unconfirmed.push(name),
            n if n >= 5 => given.no_answer.push(name),
            _ => {}
        }
    }
    for (user, _) in USERS {
        let name = Name::from(user);
        match d.below(12) {
            7 => given.dnd.push(name.clone()),
            8 => _ = given.active_calls.insert(name.clone(), 1),
            9 => _ = given.active_calls.insert(name.clone(), 2),
            10 => {
                let to = d.of(&["user:ann", "tel:+12125550000", "voicemail:box", "handset:bob"]);
                given
                    .forward
                    .extend(crate::rules::destination::parse_destination(to).map(|to| (name.clone(), to)));
            }
            11 => _ = given.rule.insert(name.clone(), "Else".into()),
            _ => {}
        }
    }
    for (user, _) in USERS {
        if d.once_in(2) {
            let spent = Spent {
                calls_at_once: d.below(3) as u32,
                calls_per_hour: d.below(3) as u32,
                time_per_day: Duration::from_secs(1200 * d.below(3) as u64),
            };
            let classes = ["international", "national"].map(|class| (class.into(), spent));
            given.spent.insert(user.into(), classes.into());
        }
    }
    if d.once_in(4) {
        let (desk, user) = (d.of(&["s1", "b2"]), d.of(&["ann", "cat", "bob"]));
        given.hotdesk.insert(desk.into(), user.into());
    }
    if d.once_in(5) {
        let frame = d.of(&["day", "lunch", "night"]);
        given.time_frame.insert(frame.into(), d.once_in(2));
    }
    if d.once_in(4) {
        given.trunk_down.push("t".into());
    }
    if d.once_in(8) {
        given.trunk_down.push("u".into());
    }
    given.screen_refused = d.once_in(4);
    given.psap_callback = d.once_in(10);
    given.verified = d.once_in(4).then(|| d.of(&["failed", "passed"]).into());
    given
}
