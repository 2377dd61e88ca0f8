//! The order in which the keys of each table are written, one table a kind of object, as the language page lists them.
//!
//! Not a validator: what a key may hold is `source`'s to judge, and a key that stands here and not there is still unknown. Keys
//! that a shape does not list come after those it does, in the order of whoever wrote them.

/// What a table looks like when it is written out.
#[derive(Debug)]
pub struct Shape {
    /// In the order in which they are written.
    pub keys: &'static [&'static str],
    inside: &'static [(&'static str, &'static Shape)],
    /// Of whatever stands under any other key: names that the operator chose.
    named: Option<&'static Shape>,
}

/// How a table that is not there yet is written into the one around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `restrict = { premium = "deny" }`
    Inline,
    /// `ring.each = "15s"`
    Dotted,
    /// `[user.osei.voicemail]`
    Header,
    /// `[[user.osei.rule]]`
    Elements,
}

/// Keys that hold whole numbers: everywhere else bare digits are something that people dial.
const WHOLE_NUMBERS: [&str; 12] = [
    "call_paths",
    "calls_at_once",
    "calls_per_hour",
    "channels",
    "limit",
    "limit_bytes",
    "max",
    "max_callers",
    "max_hops",
    "schema",
    "strip",
    "tries",
];
/// Keys that hold native dates.
const DATES: [&str; 3] = ["dates", "from", "on"];

/// Whether bare digits under this key are a number, and not text.
#[must_use]
pub fn holds_whole_number(key: &str) -> bool {
    WHOLE_NUMBERS.contains(&key)
}

/// Whether `2026-12-25` under this key is a date, and not text.
#[must_use]
pub fn holds_date(key: &str) -> bool {
    DATES.contains(&key)
}

impl Shape {
    const fn keys(keys: &'static [&'static str]) -> Shape {
        Shape { keys, inside: &[], named: None }
    }

    const fn of(keys: &'static [&'static str], inside: &'static [(&'static str, &'static Shape)]) -> Shape {
        Shape { keys, inside, named: None }
    }

    const fn named(named: &'static Shape) -> Shape {
        Shape { keys: &[], inside: &[], named: Some(named) }
    }

    /// The shape of what stands under a key; lists have that of their elements.
    #[must_use]
    pub fn under(&self, key: &str) -> &'static Shape {
        let listed = self.inside.iter().find(|(name, _)| *name == key).map(|(_, shape)| *shape);
        listed.or(self.named).unwrap_or(&FREE)
    }

    /// Where a key stands among the others.
    #[must_use]
    pub fn rank(&self, key: &str) -> usize {
        self.keys.iter().position(|k| *k == key).unwrap_or(self.keys.len())
    }

    /// How a table under this key is written where there is none yet.
    #[must_use]
    pub fn style(&self, key: &str) -> Style {
        let under = self.under(key);
        if std::ptr::eq(under, &RING) || std::ptr::eq(under, &FORWARD) {
            Style::Dotted
        } else if std::ptr::eq(under, &RULE) || std::ptr::eq(under, &NUMBER_RULE) {
            Style::Elements
        } else if std::ptr::eq(under, &VOICEMAIL) {
            Style::Header
        } else {
            Style::Inline
        }
    }
}

/// Keys are names, or nobody's business.
pub static FREE: Shape = Shape::keys(&[]);

/// A whole file.
pub static FILE: Shape = Shape::of(
    &["schema"],
    &[
        ("domain", &DOMAIN),
        ("policy", &POLICY),
        ("defaults", &DEFAULTS),
        ("site", &SITES),
        ("role", &ROLES),
        ("calendar", &CALENDARS),
        ("time_frame", &TIME_FRAMES),
        ("list", &LISTS),
        ("trunk", &TRUNKS),
        ("class", &CLASSES),
        ("dial", &DIAL),
        ("route", &ROUTE),
        ("emergency", &EMERGENCY),
        ("callback", &CALLBACKS),
        ("location", &LOCATIONS),
        ("number", &NUMBERS),
        ("user", &USERS),
        ("device", &DEVICES),
        ("hunt", &HUNTS),
        ("queue", &QUEUES),
        ("attendant", &ATTENDANTS),
        ("conference", &CONFERENCES),
        ("directory", &DIRECTORIES),
        ("mailbox", &MAILBOXES),
        ("announce", &ANNOUNCES),
        ("moh", &MUSIC),
        ("codes", &CODES),
        ("expect", &EXPECT),
    ],
);

static DOMAIN: Shape = Shape::of(
    &[
        "name",
        "timezone",
        "country",
        "area_code",
        "outside_line",
        "caller_id",
        "ring_for",
        "call_paths",
        "operator",
        "max_hops",
    ],
    &[("caller_id", &NAME_NUMBER)],
);
static POLICY: Shape = Shape::keys(&[
    "forward_excludes_follow",
    "reject_blocked",
    "reject_anonymous",
    "reject_unknown",
    "device_decline",
    "allow_beats_block",
    "forward_charges",
    "voicemail_full",
    "unknown_source",
]);
static DEFAULTS: Shape = Shape::of(&["user", "voicemail"], &[("user", &USER), ("voicemail", &VOICEMAIL)]);
static NAME_NUMBER: Shape = Shape::keys(&["name", "number"]);

static SITES: Shape = Shape::named(&SITE);
static SITE: Shape = Shape::of(
    &["timezone", "country", "area_code", "emergency", "caller_id", "restrict", "budget"],
    &[("emergency", &CALLBACK_LOCATION), ("caller_id", &NAME_NUMBER), ("budget", &BUDGETS)],
);
static ROLES: Shape = Shape::named(&ROLE);
static ROLE: Shape = Shape::keys(&["inherit", "may", "may_not"]);

static CALENDARS: Shape = Shape::named(&CALENDAR);
static CALENDAR: Shape =
    Shape::of(&["dates", "yearly", "ics"], &[("dates", &NAMED_DAY), ("yearly", &NAMED_DAY)]);
static NAMED_DAY: Shape = Shape::keys(&["on", "name"]);
static TIME_FRAMES: Shape = Shape::named(&TIME_FRAME);
static TIME_FRAME: Shape =
    Shape::keys(&["weekly", "calendar", "dates", "rrule", "hours", "from", "except", "timezone", "override"]);
static LISTS: Shape = Shape::named(&LIST);
static LIST: Shape = Shape::keys(&["numbers", "file"]);

static TRUNKS: Shape = Shape::named(&TRUNK);
static TRUNK: Shape = Shape::of(
    &[
        "country",
        "area_code",
        "proxy",
        "transport",
        "register",
        "auth",
        "accept_from",
        "channels",
        "ping",
        "called",
        "diversion",
        "screens_caller_id",
        "identity",
        "trust",
        "remote_party_id",
        "says_forwarded",
        "srtp",
        "codecs",
    ],
    &[("register", &AUTH), ("auth", &AUTH)],
);
static AUTH: Shape = Shape::keys(&["user", "secret", "expires", "gin"]);
static CLASSES: Shape = Shape::named(&CLASS);
static CLASS: Shape = Shape::keys(&["match"]);
static DIAL: Shape = Shape::keys(&["dialled", "strip", "prefix", "as", "class"]);
static ROUTE: Shape =
    Shape::of(&["name", "classes", "site", "via", "caller_id"], &[("caller_id", &NAME_NUMBER)]);

static EMERGENCY: Shape = Shape::keys(&["callback", "location", "notify"]);
static CALLBACK_LOCATION: Shape = Shape::keys(&["callback", "location"]);
static CALLBACKS: Shape = Shape::named(&CALLBACK);
static CALLBACK: Shape = Shape::keys(&["number", "name"]);
static LOCATIONS: Shape = Shape::named(&LOCATION);
/// From the country down to the room (RFC 5139 element names are free).
static LOCATION: Shape = Shape::keys(&[
    "country", "A1", "A2", "A3", "A4", "A5", "A6", "street", "house", "building", "floor", "unit", "room",
    "postal",
]);

static NUMBERS: Shape = Shape::named(&NUMBER);
static NUMBER: Shape =
    Shape::of(&["label", "to", "caller_id_prefix", "alert", "rule"], &[("rule", &NUMBER_RULE)]);
static NUMBER_RULE: Shape = Shape::keys(&["name", "when", "to"]);

static USERS: Shape = Shape::named(&USER);
static USER: Shape = Shape::of(
    &[
        "ext",
        "exts",
        "name",
        "email",
        "site",
        "department",
        "role",
        "timezone",
        "area_code",
        "ring_for",
        "tags",
        "directory",
        "caller_id",
        "ignore_caller_id",
        "allow",
        "block",
        "block_anonymous",
        "block_unknown",
        "block_unverified",
        "white_list",
        "white_list_covers",
        "vanity",
        "call_waiting",
        "call_paths",
        "busy_when",
        "restrict",
        "budget",
        "emergency",
        "hotdesk",
        "moh",
        "record",
        "sms_number",
        "screen_pop",
        "voicemail",
        "rule",
    ],
    &[
        ("name", &PERSON),
        ("directory", &DIRECTORY_FLAGS),
        ("caller_id", &CALLER_IDS),
        ("budget", &BUDGETS),
        ("emergency", &CALLBACK_LOCATION),
        ("hotdesk", &HOTDESK),
        ("screen_pop", &SCREEN_POP),
        ("voicemail", &VOICEMAIL),
        ("rule", &RULE),
    ],
);
/// By class.
static BUDGETS: Shape = Shape::named(&BUDGET);
static BUDGET: Shape = Shape::keys(&["calls_at_once", "calls_per_hour", "time_per_day"]);
static PERSON: Shape = Shape::keys(&["first", "last"]);
static DIRECTORY_FLAGS: Shape = Shape::keys(&["announce", "list"]);
static CALLER_IDS: Shape =
    Shape::of(&["internal", "external"], &[("internal", &NAME_NUMBER), ("external", &NAME_NUMBER)]);
static HOTDESK: Shape = Shape::keys(&["id", "pin", "keep_elsewhere", "log_out_at"]);
static SCREEN_POP: Shape = Shape::keys(&["at", "url"]);
static RULE: Shape = Shape::of(
    &["name", "when", "enabled", "dnd", "screen", "ring_for", "ring", "forward"],
    &[("ring", &RING), ("forward", &FORWARD)],
);
static RING: Shape = Shape::of(
    &["strategy", "targets", "initial", "each", "timeout", "hear", "missed_calls"],
    &[("targets", &TARGET)],
);
static TARGET: Shape = Shape::of(
    &["to", "delay", "for", "confirm", "confirm_on_net", "caller_id", "caller_id_prefix", "follow"],
    &[("caller_id", &NAME_NUMBER)],
);
static FORWARD: Shape = Shape {
    keys: &["always", "dnd", "on_active", "busy", "no_answer", "declined", "offline", "otherwise"],
    inside: &[],
    named: Some(&FORWARD_TO),
};
static FORWARD_TO: Shape =
    Shape::of(&["to", "confirm", "caller_id", "direct_only"], &[("caller_id", &NAME_NUMBER)]);

static DEVICES: Shape = Shape::named(&DEVICE);
static DEVICE: Shape = Shape::of(
    &[
        "user",
        "primary",
        "auth",
        "accept_from",
        "kind",
        "model",
        "mac",
        "location",
        "site",
        "hotdesk",
        "record",
        "alert",
        "push",
        "restrict",
        "srtp",
    ],
    &[("auth", &AUTH), ("alert", &ALERT), ("push", &PUSH)],
);
static ALERT: Shape = Shape::keys(&["internal", "external"]);
static PUSH: Shape = Shape::keys(&["provider", "wait"]);

static HUNTS: Shape = Shape::named(&HUNT);
static HUNT: Shape = Shape::of(
    &[
        "ext",
        "strategy",
        "targets",
        "initial",
        "each",
        "timeout",
        "hear",
        "missed_calls",
        "caller_id_prefix",
        "on_failure",
        "screen_pop",
    ],
    &[("targets", &TARGET), ("screen_pop", &SCREEN_POP)],
);
static QUEUES: Shape = Shape::named(&QUEUE);
static QUEUE: Shape = Shape::of(
    &[
        "ext",
        "strategy",
        "agents",
        "ring_each",
        "wrap_up",
        "wait",
        "overflow",
        "record",
        "screen_pop",
        "caller_id_prefix",
    ],
    &[("wait", &WAIT), ("screen_pop", &SCREEN_POP)],
);
static WAIT: Shape = Shape::keys(&["moh", "announce", "every", "max", "max_callers"]);
static ATTENDANTS: Shape = Shape::named(&ATTENDANT);
static ATTENDANT: Shape =
    Shape::keys(&["ext", "greeting", "keys", "dial_extensions", "no_input", "invalid", "timeout", "tries"]);
static CONFERENCES: Shape = Shape::named(&CONFERENCE);
static CONFERENCE: Shape = Shape::keys(&["ext", "pin", "moderator_pin", "max", "record", "announce"]);
static DIRECTORIES: Shape = Shape::named(&DIRECTORY);
static DIRECTORY: Shape = Shape::keys(&["ext", "match", "from"]);
static MAILBOXES: Shape = Shape::named(&VOICEMAIL);
static VOICEMAIL: Shape = Shape::of(
    &[
        "enabled",
        "pin",
        "limit",
        "limit_bytes",
        "when_full",
        "greeting",
        "say_caller",
        "say_time",
        "newest_first",
        "operator",
        "email",
        "email_short",
        "email_style",
        "after_email",
        "transcribe",
        "translate",
        "recorded_name",
    ],
    &[("greeting", &GREETING)],
);
static GREETING: Shape = Shape::keys(&["unavailable", "busy"]);
static ANNOUNCES: Shape = Shape::named(&ANNOUNCE);
static ANNOUNCE: Shape = Shape::keys(&["file"]);
static MUSIC: Shape = Shape::named(&MUSIC_ON_HOLD);
static MUSIC_ON_HOLD: Shape = Shape::keys(&["files", "order"]);
static CODES: Shape = Shape::keys(&[
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
    "time_frame",
]);
static EXPECT: Shape = Shape::of(&["name", "at", "given", "call", "then", "then_not"], &[("call", &CALL)]);
static CALL: Shape = Shape::keys(&["from", "from_name", "from_device", "to", "via"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_found_by_the_way_to_them() {
        let rule = FILE.under("user").under("osei").under("rule");
        assert!(rule.rank("name") < rule.rank("when") && rule.rank("ring") < rule.rank("forward"));
        assert_eq!(rule.style("ring"), Style::Dotted);
        assert_eq!(FILE.under("user").under("osei").style("rule"), Style::Elements);
        assert_eq!(FILE.under("user").under("osei").style("restrict"), Style::Inline);
        assert_eq!(rule.under("forward").under("busy").rank("to"), 0);
        assert_eq!(rule.rank("colour"), rule.keys.len(), "what is not listed comes last");
    }

    #[test]
    fn every_nested_shape_belongs_to_a_key_that_is_listed() {
        let mut todo = vec![&FILE];
        while let Some(shape) = todo.pop() {
            for (key, under) in shape.inside {
                assert!(
                    std::ptr::eq(shape, &FILE) || shape.keys.contains(key),
                    "{key} has a shape and no place"
                );
                todo.push(under);
            }
            todo.extend(shape.named);
        }
    }
}
