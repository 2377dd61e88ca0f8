//! Each diagnostic fires, at its place, with what to write instead; the examples load; no text makes the loader panic.

use super::super::diagnostic::{Files, Severity, render};
use super::super::model::{
    Destination, DeviceKind, Feature, ListEntry, MatchBy, Notice, NumberTo, PassedIdentity, Permission,
    Record, Right, Strategy, WhenFull, WhiteListed, may,
};
use super::*;
use proptest::prelude::*;
use std::time::Duration;

const DOMAIN: &str = "schema = 1\n[domain]\nname = \"pbx.example\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\n\
                      area_code = \"202\"\n";

fn files(others: &[(&str, &str)]) -> Files {
    let all = [("domain.toml", DOMAIN)].into_iter().chain(others.iter().copied());
    Files(all.map(|(name, text)| (name.into(), text.into())).collect())
}

fn model(text: &str) -> Model {
    let files = files(&[("x.toml", text)]);
    let loaded = load(&files);
    loaded.model.unwrap_or_else(|| panic!("{}", render(&files, &loaded.diagnostics, false)))
}

/// A user with an extension, for cases that need one.
const ANN: &str = "[user.ann]\next = \"100\"\n";

/// Each: the code, what stands in x.toml with `«` where the finding must begin, and words of its message or help.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str)] = &[
    ("syntax", "[user.ann]\next = «0101\n", "put it in quotes: `ext = \"0101\"`"),
    ("unknown-key", "[user.ann]\next = \"100\"\n«timezon = \"UTC\"\n", "did you mean `timezone`"),
    ("unknown-table", "«usr.ann.ext = \"100\"\n", "did you mean `user`"),
    ("wrong-type", "[user.ann]\next = \"100\"\ntags = «\"a\"\n", "must be a list"),
    ("unquoted", "[user.ann]\next = «101\n", "put it in quotes: `ext = \"101\"`"),
    ("unquoted", "[callback.x]\nnumber = «+12025550100\n", "`number = \"+12025550100\"`"),
    ("unknown-value", "[policy]\ndevice_decline = «\"stopp\"\n", "did you mean `\"stop\"`"),
    ("unknown-value", "[policy]\nreject_blocked = «\"200\"\n", "it can be 403"),
    ("out-of-range", "[user.ann]\next = \"100\"\ncall_paths = «0\n", "from 1 to"),
    ("missing-key", "«[user.ann]\nname = \"Ann\"\n", "lacks `ext`"),
    ("missing-file", "[list.x]\nfile = «\"lists/y.txt\"\n", "no file `lists/y.txt`"),
    ("defined-twice", "[codes]\ndnd_on = \"*78\"\ndnd_off = «\"*78\"\n", "given twice"),
    ("dangling", "[number.\"+12025550100\"]\nto = «\"user:an\"\n[user.ann]\next = \"100\"\n", "did you mean `ann`"),
    ("bad-name", "[user.«\"a n\"]\next = \"100\"\n", "can't be a name"),
    ("bad-duration", "[user.ann]\next = \"100\"\nring_for = «25\n", "`ring_for = \"25s\"`"),
    ("bad-duration", "[user.ann]\next = \"100\"\nring_for = «\"25\"\n", "no duration"),
    ("bad-destination", "[number.\"+12025550100\"]\nto = «\"+12025550173\"\n", "write `tel:+12025550173`"),
    ("bad-destination", "[number.\"+12025550100\"]\nto = «\"usr:ann\"\n", "did you mean `user:ann`"),
    ("bad-destination", "[number.\"+12025550100\"]\nto = «\"reject:200\"\n", "`reject:486`"),
    ("not-e164", "[number.\"+12025550100\"]\nto = «\"tel:2025550173\"\n", "`+12025550173`"),
    ("not-e164", "«[number.\"2025550101\"]\n", "`[number.\"+12025550101\"]`"),
    ("bad-entry", "[list.x]\nnumbers = [«\"2025550173\"]\n", "write it in E.164: `+12025550173`"),
    ("bad-entry", "[list.x]\nnumbers = [«\"+1 900\"]\n", "leave it out"),
    ("bad-pattern", "[class.x]\nmatch = [«\"1x\"]\n[[route]]\nclasses = [\"x\"]\nvia = []\n", "write `X`"),
    ("bad-number", "[[dial]]\ndialled = \"8.\"\nprefix = «\"call\"\n", "write digits"),
    ("dial-as", "«[[dial]]\ndialled = \"8.\"\nstrip = 1\nas = \"100\"\n", "leave `strip` and `prefix` out"),
    ("bad-secret", "[device.a]\nauth = { user = \"a\", secret = «\"hunter2\" }\n", "`file:PATH`"),
    ("bad-secret", "[device.a]\nauth = { user = \"a\", secret = «\"file:/etc/passwd\" }\n", "below the rules"),
    ("plain-secret", "[device.a]\nauth = { user = \"a\", secret = «\"plain:hunter2\" }\n", "write `file:secrets/NAME` instead"),
    ("bad-pin", "[mailbox.x]\npin = «\"1234\"\n", "a PHC string"),
    ("bad-address", "[trunk.t]\naccept_from = [«\"10.0.0.0/33\"]\n", "no address"),
    ("bad-address", "[trunk.t]\nproxy = «\"sip:carrier\"\n", "no host"),
    ("bad-email", "[user.ann]\next = \"100\"\nemail = [«\"ann\"]\n", "no mail address"),
    ("bad-uri", "[number.\"+12025550100\"]\nalert = «\"loud\"\n", "urn:alert"),
    ("bad-mac", "[device.a]\nmac = «\"0015\"\n", "00:15:65"),
    ("bad-key", "[attendant.a]\next = \"800\"\nkeys = { «\"12\" = \"attendant:a\" }\n", "no key of a phone"),
    ("bad-code", "[codes]\ndnd_on = «\"78\"\n", "begin with `*`"),
    ("bad-area-code", "[site.x]\narea_code = «\"abc\"\n", "1 to 6 digits"),
    ("unknown-zone", "[site.x]\ntimezone = «\"America/New_Yrok\"\n", "did you mean `America/New_York`"),
    ("unknown-country", "[site.x]\ncountry = «\"us\"\n", "capital letters: `US`"),
    ("bad-hours", "[time_frame.x]\nweekly = [«\"monday 08:00-09:00\"]\n", "written `mon`"),
    ("bad-date", "[time_frame.x]\ndates = [«\"2026-08-15..2026-08-01\"]\n", "`\"2026-08-01..2026-08-15\"`"),
    ("bad-date", "[calendar.x]\nyearly = [{ on = «\"nov 6th thu\" }]\n", "none of `1st`"),
    ("bad-rrule", "[time_frame.x]\nrrule = «\"FREQ=DAILY;COUNT=3\"\n", "add `from = 2026-01-01`"),
    ("bad-rrule", "[time_frame.x]\nfrom = 2026-01-01\nrrule = «\"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\"\n", "no day ever matches"),
    ("missing-file", "[calendar.x]\nics = «\"calendars/x.ics\"\n", "end in `.ics`"),
    ("bad-text", "[user.ann]\next = \"1\"\nname = «\"Ann\\r\\nTo: x\"\n", "one line"),
    ("bad-path", "[announce.a]\nfile = «\"../closed.wav\"\n", "relative to the rules' directory"),
    ("fits-no-number", "[list.l]\nnumbers = [«\"202555XXXX\"]\n", "`+1202555XXXX`"),
    ("fits-no-number", "[class.c]\nmatch = [«\"1NXXNXXXXXX\"]\n", "+12002000000"),
    ("unknown-value", "[queue.q]\nagents = [«\"device:a\"]\n", "write `user:a`"),
    ("unknown-value", "[role.r]\nmay = [«\"fly\"]\n", "`\"queue-login\"`"),
    ("unknown-value", "[defaults.voicemail]\ntranslate = «\"french\"\n", "`fr`"),
    ("bad-name", "[mailbox.m]\ngreeting = «\"../busy\"\n", "name of a greeting"),
    ("bad-pin", "[conference.c]\npin = «\"hash:$argon2id$v=19$m=9999999,t=2,p=1$VQA1BVvBkRbEILuS$KUp8Ye1KKihAdUSs6QrtsZBuag\"\n", "no PIN"),
    ("extension-twice", "[user.ann]\next = \"*78\"\n[codes]\ndnd_on = «\"*78\"\n", "looked at before extensions"),
    ("defined-twice", "[location.l]\ncountry = \"US\"\nRD = \"Harbor St\"\nstreet = «\"Harbor St\"\n", "one element"),
    ("bad-number", "[user.ann]\next = \"1\"\nhotdesk = { id = «\"ann\" }\n", "1 to 16 digits"),
    ("bad-hours", "[user.ann]\next = \"1\"\nhotdesk = { log_out_at = «\"25:00\" }\n", "`04:00`"),
    ("out-of-range", "[trunk.t]\nproxy = \"a.example\"\nregister = { user = \"u\", secret = \"env:S\", expires = «\"5s\" }\n", "at least 60s"),
    ("bad-rrule", "[time_frame.x]\nrrule = «\"FREQ=HOURLY\"\n", "YEARLY, MONTHLY"),
    ("except-loop", "[time_frame.x]\nweekly = [\"daily\"]\nexcept = [«\"x\"]\n", "back to itself"),
    ("empty", "«[time_frame.x]\n", "no times"),
    ("always-not-alone", "[number.\"+12025550100\"]\nrule = [{ when = [«\"always\"], to = \"reject:486\" }, { when = \"always\", to = \"reject:486\" }]\n", "stands alone"),
    ("emergency-restricted", "[site.x]\nrestrict = { «emergency = \"deny\" }\n", "always allowed"),
    ("budget-uncounted", "[user.ann]\next = \"1\"\nbudget = { «emergency = { calls_at_once = 1 } }\n", "counts against no budget"),
    ("budget-uncounted", "[site.x]\nbudget = { «internal = { calls_at_once = 1 } }\n", "costs nothing"),
    ("bad-budget", "[class.a]\nmatch = [\"+1.\"]\n[user.ann]\next = \"1\"\nbudget = { a = { calls_at_once = «0 } }\n", "`restrict = { CLASS = \"deny\" }`"),
    ("bad-budget", "[class.a]\nmatch = [\"+1.\"]\n[defaults.user]\nbudget = { a = { time_per_day = «\"0s\" } }\n", "lets no call through|to forbid such calls"),
    ("bad-budget", "[class.a]\nmatch = [\"+1.\"]\n[user.ann]\next = \"1\"\nbudget = { a = «{} }\n", "or write `\"unlimited\"`"),
    ("out-of-range", "[class.a]\nmatch = [\"+1.\"]\n[user.ann]\next = \"1\"\nbudget = { a = { calls_per_hour = «1001 } }\n", "from 0 to 1000"),
    ("dangling", "[user.ann]\next = \"1\"\nbudget = { «intrenational = { calls_at_once = 1 } }\n[class.international]\nmatch = [\"+.\"]\n", "did you mean `international`"),
    ("unknown-key", "[class.a]\nmatch = [\"+1.\"]\n[user.ann]\next = \"1\"\nbudget = { a = { «minutes_per_day = 3 } }\n", "calls_at_once, calls_per_hour, time_per_day"),
    ("unknown-value", "[class.a]\nmatch = [\"+1.\"]\n[user.ann]\next = \"1\"\nbudget = { a = «\"none\" }\n", "`\"unlimited\"`"),
    ("budget-unreachable", "[class.a]\nmatch = [\"+1.\"]\n[user.ann]\next = \"1\"\nrestrict = { a = \"deny\" }\nbudget = { a = «{ calls_at_once = 1 } }\n", "is denied here"),
    ("budget-unreachable", "[class.a]\nmatch = [\"+1.\"]\n[user.ann]\next = \"1\"\nvanity = true\nbudget = { a = «{ calls_at_once = 1 } }\n", "a vanity user"),
    ("budget-unreachable", "[class.a]\nmatch = [\"+1.\"]\n[defaults.user]\nbudget = { a = «{ calls_at_once = 1, time_per_day = \"25h\" } }\n", "so few calls at once"),
    ("role-loop", "«[role.a]\ninherit = \"b\"\n[role.b]\ninherit = \"a\"\n", "inherits itself"),
    ("own-key", "[defaults.user]\n«ext = \"100\"\n", "`[user.NAME]`"),
    ("bad-extension", "[user.ann]\next = «\"1 0\"\n", "can't be an extension"),
    ("extension-twice", "[user.ann]\next = \"100\"\n[user.bob]\next = «\"100\"\n", "taken by `user.ann`"),
    ("mailbox-off", "[user.ann]\next = \"100\"\nvoicemail = { enabled = false }\n[number.\"+12025550100\"]\nto = «\"voicemail:ann\"\n", "is off"),
    ("auth-user-twice", "[device.a]\nauth = { user = \"x\", secret = \"env:A\" }\n«[device.b]\nauth = { user = \"x\", secret = \"env:A\" }\n", "used twice"),
    ("no-auth", "«[device.a]\n", "can't log in"),
    ("two-primaries", "[user.ann]\next = \"1\"\n[device.a]\nuser = \"ann\"\nprimary = true\n«[device.b]\nuser = \"ann\"\nprimary = true\n", "two primary devices"),
    ("no-primary", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring.targets = [«\"self\"]\n[device.a]\nuser = \"ann\"\n[device.b]\nuser = \"ann\"\n", "`primary = true`"),
    ("no-device", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nforward.busy = «\"self\"\n", "no device"),
    ("self-as-user", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring.targets = [«\"user:ann\"]\n", "write `self`"),
    ("not-ringable", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring.targets = [«\"reject:486\"]\n", "can't be rung"),
    ("delay-in-sequence", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring.strategy = \"sequential\"\nring.targets = [«{ to = \"self:all\", delay = \"5s\" }]\n", "no `delay`"),
    ("never-rings", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring_for = \"20s\"\nring.targets = [«{ to = \"self:all\", delay = \"20s\" }]\n", "after 20s"),
    ("never-rings", "[user.ann]\next = \"1\"\n[user.bob]\next = \"2\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring.strategy = \"sequential\"\nring.timeout = \"20s\"\nring.each = \"20s\"\nring.targets = [\"self:all\", «\"user:bob\"]\n", "the steps before"),
    ("own-targets", "[user.ann]\next = \"1\"\n[user.bob]\next = \"2\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring.strategy = \"own\"\nring.targets = [«\"user:bob\"]\n", "rings `self` alone"),
    ("confirm-inside", "[user.ann]\next = \"1\"\n[user.bob]\next = \"2\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring.targets = [{ to = \"user:bob\", confirm = «\"1\" }]\n", "confirm_on_net"),
    ("forward-and-ring", "[user.ann]\next = \"1\"\n[user.bob]\next = \"2\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring.targets = [\"self:all\"]\nforward.always = «\"user:bob\"\n", "never ring"),
    ("rule-name-twice", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nenabled = false\n«[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\n", "two rules named `D`"),
    ("no-always", "[user.ann]\next = \"1\"\n«[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nenabled = false\n", "leave times open"),
    ("no-always", "[time_frame.x]\nweekly = [\"daily\"]\n«[[number.\"+12025550100\".rule]]\nwhen = \"x\"\nto = \"reject:486\"\n", "leave times open"),
    ("unreachable-rule", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"A\"\nwhen = \"always\"\n«[[user.ann.rule]]\nname = \"B\"\nwhen = \"always\"\n", "is always active"),
    ("unreachable-rule", "[time_frame.x]\nweekly = [\"daily\"]\n[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"A\"\nwhen = \"x\"\n«[[user.ann.rule]]\nname = \"B\"\nwhen = \"x\"\n[[user.ann.rule]]\nname = \"C\"\nwhen = \"always\"\n", "the same time frame"),
    ("to-and-rules", "[number.\"+12025550100\"]\nto = «\"reject:486\"\nrule = [{ when = \"always\", to = \"reject:486\" }]\n", "not both"),
    ("useless-trunk", "«[trunk.t]\n", "nothing comes or goes"),
    ("trunk-register", "«[trunk.t]\nregister = \"in\"\n", "no `auth`"),
    ("trunk-register", "[trunk.t]\nregister = \"in\"\nproxy = «\"a.example\"\nauth = { user = \"t\", secret = \"env:T\" }\n", "where do calls to it go"),
    ("trunk-ping", "«[trunk.t]\nregister = \"in\"\nauth = { user = \"t\", secret = \"env:T\" }\nping = \"30s\"\n", "asked by no `ping`"),
    ("unknown-value", "[trunk.t]\nregister = «\"out\"\nproxy = \"a.example\"\n", "`\"in\"`"),
    ("accept-from-twice", "[trunk.s]\naccept_from = [\"10.0.0.1/24\"]\n[trunk.t]\naccept_from = [«\"10.0.0.9/24\"]\n[[route]]\nclasses = [\"emergency\"]\nvia = [\"s\"]\n", "`s`'s already"),
    ("class-tie", "[class.a]\nmatch = [\"+1X.\"]\n[class.b]\nmatch = [«\"+1.\"]\n", "take the same numbers"),
    ("class-without-route", "«[class.a]\nmatch = [\"+1.\"]\n", "ends with 404|end with 404"),
    ("no-emergency-route", "«[class.emergency]\nmatch = [\"911\"]\n", "add `[[route]]`"),
    ("extension-emergency", "«[user.ann]\next = \"911\"\n", "never be reached"),
    ("dial-emergency", "«[[dial]]\ndialled = \"9X.\"\nstrip = 1\n", "the emergency number 911"),
    ("dial-covers-extension", "[user.ann]\next = \"100\"\n«[[dial]]\ndialled = \"1XX\"\nstrip = 1\n", "extensions are looked at first"),
    ("forward-denied", "[class.a]\nmatch = [\"+1.\"]\n[user.ann]\next = \"1\"\nrestrict = { a = \"deny\" }\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nforward.busy = «\"tel:+12025550173\"\n", "the class `a` is denied"),
    ("target-denied", "[user.ann]\next = \"1\"\nvanity = true\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nring.targets = [«\"tel:+12025550173\"]\n", "a vanity user"),
    ("no-route", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nforward.busy = «\"tel:+12025550173\"\n", "no class"),
    ("allowed-and-blocked", "[user.ann]\next = \"1\"\nallow = [\"+12025550173\"]\nblock = [«\"+12025550173\"]\n", "on the allow list too"),
    ("white-list-number", "[user.ann]\next = \"1\"\nwhite_list = [«\"user:bob\"]\n[user.bob]\next = \"2\"\n[number.\"+12025550100\"]\nto = \"user:ann\"\n", "white_list_covers"),
    ("foreign-caller-id", "«[site.x]\ncaller_id = { number = \"+12025550173\" }\n", "no number of this domain"),
    ("not-carried-out", "[user.ann]\next = \"1\"\ndirectory = «{ list = false }\n", "dial-by-name directories"),
    ("not-carried-out", "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nscreen = «true\n", "ends with 480"),
];

#[test]
fn each_finding_names_its_place_and_what_to_write() {
    let mut missing = String::new();
    for (code, marked, says) in CASES {
        let at = marked.find('«').unwrap();
        let text = marked.replace('«', "");
        let before = &text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        let place = format!("x.toml:{line}:{column}");
        let files = files(&[("x.toml", &text)]);
        let loaded = load(&files);
        let found = loaded.diagnostics.iter().any(|finding| {
            let words = format!("{} {}", finding.message, finding.help.as_deref().unwrap_or_default());
            finding.code == *code
                && files.place(finding.span).to_string() == place
                && says.split('|').any(|says| words.contains(says))
        });
        if !found {
            let shown = render(&files, &loaded.diagnostics, false);
            missing.push_str(&format!("{code} at {place} saying {says} in\n{text}\n{shown}\n----\n"));
        }
    }
    assert!(missing.is_empty(), "{missing}");
}

#[test]
fn an_error_of_one_place_does_not_hide_those_of_others() {
    let loaded =
        load(&files(&[("a.toml", "[user.ann]\next = 1\n"), ("b.toml", "[user.bob]\nexst = \"2\"\n")]));
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code).collect();
    assert!(loaded.model.is_none());
    for code in ["unquoted", "unknown-key", "missing-key"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    assert!(loaded.diagnostics.is_sorted_by(|a, b| a.span <= b.span));
}

#[test]
fn an_object_of_two_files_is_an_error_that_names_both() {
    let files = files(&[("users/a.toml", ANN), ("users/b.toml", "\n[user.ann]\next = \"101\"\n")]);
    let loaded = load(&files);
    let twice = loaded.diagnostics.iter().find(|finding| finding.code == "defined-twice").unwrap();
    assert_eq!(files.place(twice.span).to_string(), "users/b.toml:2:1");
    assert!(twice.message.contains("users/a.toml:1:1"), "{}", twice.message);
}

#[test]
fn a_file_that_does_not_parse_makes_no_ghosts_in_the_others() {
    let files = files(&[
        ("broken.toml", "[user.ann]\next = 0100\n"),
        ("numbers.toml", "[number.\"+12025550100\"]\nto = \"user:ann\"\nlable = \"x\"\n"),
    ]);
    let loaded = load(&files);
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["syntax", "unknown-key"]);
}

#[test]
fn a_secret_that_is_wrong_is_not_repeated() {
    let text = "[device.a]\nauth = { user = \"a\", secret = \"hunter2\" }\n[mailbox.m]\npin = 987654\n";
    let files = files(&[("x.toml", text)]);
    let loaded = load(&files);
    assert_eq!(loaded.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).count(), 2);
    let shown = render(&files, &loaded.diagnostics, false);
    let said = format!("{:?}", loaded.diagnostics);
    for secret in ["hunter2", "987654"] {
        assert!(!shown.contains(secret) && !said.contains(secret), "{shown}");
    }
}

#[test]
fn without_a_domain_that_is_what_is_said() {
    let loaded = load(&Files([("a.toml".into(), ANN.into())].into()));
    assert!(loaded.model.is_none());
    assert!(loaded.diagnostics.iter().any(|finding| finding.message.contains("no `[domain]`")));
    assert!(load(&Files::default()).model.is_none());
}

#[test]
fn defaults_reach_users_through_their_site() {
    let model = model(
        "[class.a]\nmatch = [\"+1.\"]\n[class.b]\nmatch = [\"+44.\"]\n[class.c]\nmatch = [\"+49.\"]\n\
         [defaults.user]\nring_for = \"40s\"\nrestrict = { a = \"deny\", b = \"deny\", c = \"deny\" }\n\
         [site.x]\ntimezone = \"Europe/London\"\nrestrict = { b = \"allow\" }\n\
         [user.ann]\next = \"1\"\nsite = \"x\"\nrestrict = { a = \"inherit\", c = \"allow\" }\n\
         [[user.ann.rule]]\nname = \"Own time\"\nwhen = \"always\"\nring_for = \"10s\"\n\
         [user.bob]\next = \"2\"\ntimezone = \"Asia/Tokyo\"\nsite = \"x\"\n",
    );
    let (ann, bob) = (&model.users["ann"], &model.users["bob"]);
    assert_eq!(ann.zone.as_ref(), "Europe/London");
    assert_eq!(bob.zone.as_ref(), "Asia/Tokyo");
    let of = |class: &str| ann.restrict.get(class).copied();
    assert_eq!(
        (of("a"), of("b"), of("c")),
        (Some(Permission::Deny), Some(Permission::Allow), Some(Permission::Allow))
    );
    assert_eq!(ann.ring_for, Duration::from_secs(40));
    assert_eq!(ann.rules[0].ring.ring_for, Duration::from_secs(10));
    assert!(bob.rules[0].implied && bob.rules[0].ring.ring_for == Duration::from_secs(40));
}

#[test]
fn lists_may_name_extensions_patterns_files_and_each_other() {
    let text = "[user.ann]\next = \"X1\"\nallow = [\"list:all\", \"X1\"]\nwhite_list = [\"role:agent\", \"X1\"]\n\
                [list.all]\nnumbers = [\"list:more\", \"+1900.\"]\n[list.more]\nfile = \"lists/m.txt\"\nnumbers = [\"list:all\"]\n";
    let files = files(&[("x.toml", text), ("lists/m.txt", "# comment\n+12025550173 # a shop\n\n  X1\n")]);
    let loaded = load(&files);
    let model = loaded.model.unwrap_or_else(|| panic!("{}", render(&files, &loaded.diagnostics, false)));
    let all: Vec<&str> = model.lists["all"].value.iter().map(|pattern| pattern.value.as_str()).collect();
    assert_eq!(all, ["+1900.", "+12025550173", "X1"]);
    let extension = model.lists["all"].value.last().unwrap();
    assert!(
        extension.value.matches("X1") && !extension.value.matches("11"),
        "an extension's letters are letters"
    );
    assert_eq!(files.place(extension.span).to_string(), "lists/m.txt:4:3");
    let ann = &model.users["ann"];
    assert_eq!(ann.allow[0].value, ListEntry::List("all".into()));
    assert_eq!(ann.white_list[0].value, WhiteListed::Role("agent".into()));
}

#[test]
fn self_in_a_forward_is_the_users_own_phone() {
    let model = model(
        "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nforward.busy = \"self\"\n\
         forward.offline = { to = \"self:all\", direct_only = true }\n[device.a]\nuser = \"ann\"\nauth = { user = \"a\", secret = \"env:A\" }\n",
    );
    let forward = &model.users["ann"].rules[0].forward;
    assert_eq!(forward.busy.as_ref().unwrap().to, Destination::Device("a".into()));
    let offline = forward.offline.as_ref().unwrap();
    assert!(offline.direct_only && offline.to == Destination::Handset("ann".into()));
}

#[test]
fn what_is_not_carried_out_is_kept_with_its_rule() {
    let model = model(
        "[user.ann]\next = \"1\"\n[[user.ann.rule]]\nname = \"D\"\nwhen = \"always\"\nscreen = true\n\
         ring.strategy = \"sequential-memory\"\n",
    );
    let rule = &model.users["ann"].rules[0];
    assert_eq!(rule.ring.strategy, Strategy::SequentialMemory);
    let words: Vec<&str> = rule.not_carried_out.iter().map(|(word, _)| *word).collect();
    assert_eq!(words, ["screen"], "the strategy is carried out");
}

#[test]
fn every_key_of_a_service_reaches_the_model() {
    let model = model(
        "[user.ann]\next = \"1\"\nemail = [\"ann@x.example\"]\ntags = [\"a\", \"b\"]\ndepartment = \"Desk\"\nblock_unverified = true\n\
         record = \"inbound\"\nsms_number = \"+12025550100\"\nignore_caller_id = true\ndirectory = { list = false }\nmoh = \"calm\"\n\
         screen_pop = { at = \"answered\", url = \"https://x.example/{{did}}\" }\n\
         hotdesk = { id = \"77\", pin = \"plain:1234\", keep_elsewhere = true, log_out_at = \"04:00\" }\n\
         [user.ann.voicemail]\nlimit = 7\nemail = \"box@x.example\"\ngreeting = { busy = \"at-lunch\" }\noperator = \"self:all\"\n\
         [user.bob]\next = \"2\"\nrole = \"clerk\"\n\
         [defaults.voicemail]\nlimit = 60\nsay_time = true\ngreeting = \"hello\"\n[policy]\nvoicemail_full = \"refuse\"\n\
         [role.clerk]\ninherit = \"agent\"\nmay_not = [\"portal\"]\n\
         [hunt.h]\next = \"9\"\nstrategy = \"sequential\"\neach = \"12s\"\ntargets = [\"user:ann\"]\non_failure = \"voicemail:ann\"\ncaller_id_prefix = \"H \"\n\
         [queue.q]\nagents = [\"user:bob\", \"user:ann\"]\nwait = { moh = \"calm\", max = \"3m\", max_callers = 4 }\noverflow = \"hunt:h\"\n\
         [attendant.a]\ngreeting = \"main.wav\"\nkeys = { \"1\" = \"user:ann\", \"#\" = \"queue:q\" }\ntries = 2\n\
         [conference.c]\nmax = 5\npin = \"plain:4321\"\n[directory.d]\nmatch = \"both\"\nfrom = [\"user:ann\"]\n\
         [mailbox.m]\nafter_email = \"trash\"\n[moh.calm]\nfiles = [\"a.wav\"]\norder = \"random\"\n[announce.x]\nfile = \"x.wav\"\n\
         [time_frame.storm]\noverride = \"off\"\n[codes]\ndnd_on = \"*78\"\nforward_on = \"*72\"\ntime_frame = { storm = \"*30\" }\n\
         [device.p]\nuser = \"ann\"\nauth = { user = \"p\", secret = \"env:P\" }\nkind = \"mobile-app\"\npush = { provider = \"fcm\", wait = \"9s\" }\n\
         record = \"always\"\nsrtp = \"required\"\nmac = \"00-15-65-0A-01-00\"\nmodel = \"t54w\"\n\
         [trunk.t]\nproxy = \"a.example\"\nregister = { user = \"u\", secret = \"env:S\" }\nidentity = \"strip\"\nsrtp = \"off\"\ncodecs = [\"opus\", \"PCMA\"]\n\
         [emergency]\nnotify = [\"user:ann\", \"mailto:boss@x.example\"]\nlocation = \"hq\"\n\
         [location.hq]\ncountry = \"US\"\nstreet = \"Harbor St\"\nhouse = \"200\"\nA3 = \"Washington\"\n",
    );
    let (ann, bob) = (&model.users["ann"], &model.users["bob"]);
    assert_eq!(ann.voicemail.limit, 7);
    assert_eq!(
        (bob.voicemail.limit, bob.voicemail.say_time, bob.voicemail.when_full),
        (60, true, WhenFull::Refuse)
    );
    assert_eq!(ann.voicemail.greeting.busy.as_deref(), Some("at-lunch"));
    assert_eq!(
        ann.voicemail.greeting.unavailable.as_deref(),
        Some("hello"),
        "the other half is the default's"
    );
    assert_eq!(ann.voicemail.operator, Some(Destination::Handset("ann".into())));
    assert!(!ann.directory.list && ann.directory.announce && bob.directory.list);
    assert_eq!((ann.record, ann.tags.len(), ann.email.len()), (Record::Inbound, 2, 1));
    assert!(ann.block_unverified.is_some() && ann.ignore_caller_id.is_some() && ann.screen_pop.is_some());
    let hotdesk = ann.hotdesk.as_deref().unwrap();
    assert_eq!((hotdesk.id.as_ref(), hotdesk.log_out_at), ("77", Some(jiff::civil::time(4, 0, 0, 0))));
    assert_eq!(bob.roles, ["clerk".into(), "agent".into(), "basic".into()]);
    assert!(may(&model.roles, "clerk", Right::QueueLogin) && !may(&model.roles, "clerk", Right::Portal));
    let services = &model.services;
    let hunt = &services.hunts["h"];
    assert_eq!((hunt.ring.strategy, hunt.ring.each), (Strategy::Sequential, Some(Duration::from_secs(12))));
    assert_eq!(hunt.on_failure.as_ref().unwrap().value, Destination::Voicemail("ann".into()));
    let queue = &services.queues["q"];
    assert_eq!(
        (queue.agents.len(), queue.wait.max, queue.wait.max_callers),
        (2, Duration::from_secs(180), Some(4))
    );
    assert_eq!(services.attendants["a"].keys[&'#'].value, Destination::Queue("q".into()));
    assert_eq!((services.attendants["a"].tries, services.conferences["c"].max), (2, Some(5)));
    assert_eq!(services.directories["d"].match_by, MatchBy::Both);
    assert_eq!(services.mailboxes["m"].voicemail.limit, 60, "the defaults are every mailbox's");
    assert!(services.music["calm"].shuffled && services.announcements.contains_key("x"));
    assert_eq!(services.codes.of("*30").unwrap().0.value, Feature::TimeFrame("storm".into()));
    assert_eq!(services.codes.of("*72+12025550173").unwrap().1, "+12025550173");
    let device = &model.devices["p"];
    assert_eq!((device.kind, device.mac.as_deref()), (DeviceKind::MobileApp, Some("0015650a0100")));
    assert_eq!(device.push.as_ref().unwrap().wait, Duration::from_secs(9));
    let trunk = &model.trunks["t"];
    assert_eq!((trunk.identity, trunk.codecs.len()), (PassedIdentity::Strip, 2));
    assert_eq!(trunk.register.as_ref().unwrap().expires, Duration::from_secs(600));
    assert_eq!(model.notify[1].value, Notice::Mail("boss@x.example".into()));
    let address: Vec<&str> = model.locations["hq"].elements.iter().map(|(element, _)| *element).collect();
    assert_eq!(address, ["country", "A3", "RD", "HNO"], "in the order of RFC 5139");
}

#[test]
fn users_who_add_nothing_share_the_mailbox_of_the_defaults() {
    let model = model(
        "[defaults.user]\nvoicemail = { limit = 9 }\n[user.ann]\next = \"1\"\n[user.bob]\next = \"2\"\n",
    );
    let (ann, bob) = (&model.users["ann"].voicemail, &model.users["bob"].voicemail);
    assert!(Arc::ptr_eq(ann, bob) && ann.limit == 9);
}

#[test]
fn emergency_calls_have_routes_without_a_class_of_their_own() {
    let model =
        model("[trunk.t]\nproxy = \"a.example\"\n[[route]]\nclasses = [\"emergency\"]\nvia = [\"t\"]\n");
    assert_eq!(model.routes[0].classes, ["emergency".into()]);
}

#[test]
fn a_calendar_keeps_the_hash_of_its_file() {
    let rules = "[calendar.c]\nics = \"c.ics\"\n[time_frame.closed]\ncalendar = \"c\"\n";
    let ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20261225\r\nSUMMARY:Christmas\r\nEND:VEVENT\r\n\
               BEGIN:VEVENT\r\nUID:2\r\nDTSTART:20261226T090000Z\r\nSUMMARY:Brunch\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let files = files(&[("x.toml", rules), ("c.ics", ics)]);
    let loaded = load(&files);
    assert!(
        loaded
            .diagnostics
            .iter()
            .any(|finding| finding.code == "ics-left-out" && finding.message.contains("Brunch"))
    );
    let model = loaded.model.unwrap();
    let (path, hash) = model.calendars["c"].ics.clone().unwrap();
    assert_eq!((path.as_ref(), hash.len()), ("c.ics", 64));
    let at = "2026-12-25T12:00:00Z".parse().unwrap();
    let why = model.time_frames["closed"].value.why(at, &jiff::tz::TimeZone::UTC);
    assert_eq!(why, "2026-12-25 is Christmas (c)");
}

/// The files of a directory below the project, as the daemon reads them.
fn directory(path: &str) -> Files {
    fn walk(base: &std::path::Path, at: &std::path::Path, files: &mut Files) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(base, &path, files);
            } else if path
                .extension()
                .is_some_and(|end| ["toml", "txt", "ics"].iter().any(|known| end == *known))
            {
                let name = path.strip_prefix(base).unwrap().to_str().unwrap().into();
                files.0.insert(name, std::fs::read_to_string(&path).unwrap().into());
            }
        }
    }
    let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut files = Files::default();
    walk(&base, &base, &mut files);
    files
}

#[test]
fn harbour_dental_loads_with_warnings_alone() {
    let files = directory("routing-rules/harbour-dental");
    let loaded = load(&files);
    let model = loaded.model.unwrap_or_else(|| panic!("{}", render(&files, &loaded.diagnostics, false)));
    assert_eq!(model.users.len(), 6);
    assert_eq!(model.devices.len(), 8);
    assert_eq!(model.expects.len(), 4);
    assert!(matches!(model.numbers["+12025550109"].to, NumberTo::Spare));
    let osei = &model.users["osei"];
    assert_eq!(files.place(osei.rules[1].span).file.as_ref(), "users/101-osei.toml");
    assert_eq!(osei.caller_id_external.number.as_deref(), Some("+12025550101"));
    assert_eq!(model.users["lobby"].caller_id_external.name.as_deref(), Some("Harbour Dental"));
    assert!(!model.users["lobby"].mailbox && osei.mailbox);
}

#[test]
fn northgate_freight_loads_with_warnings_alone() {
    let files = directory("routing-rules/northgate-freight");
    let loaded = load(&files);
    let model = loaded.model.unwrap_or_else(|| panic!("{}", render(&files, &loaded.diagnostics, false)));
    assert_eq!(model.users.len(), 4);
    assert_eq!(model.expects.len(), 11);
    assert_eq!(model.system_extensions.len(), 5);
    assert_eq!(model.users["tom"].zone.as_ref(), "Europe/London");
    assert_eq!(model.users["tom"].caller_id_external.number.as_deref(), Some("+442079460120"));
    assert_eq!(model.users["tom"].roles, ["supervisor".into(), "agent".into(), "basic".into()]);
    assert_eq!(model.users["priya"].extensions, ["201".into(), "2011".into()]);
    assert_eq!(model.users["zed"].restrict.get("international"), Some(&Permission::Deny));
    assert!(loaded.diagnostics.iter().any(|finding| finding.code == "not-carried-out"));
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,200}", list in "\\PC{0,40}") {
        let files = files(&[("x.toml", &text), ("lists/x.txt", &list)]);
        let loaded = load(&files);
        let _ = render(&files, &loaded.diagnostics, true);
    }

    /// Pieces of real rules, put together wrongly.
    #[test]
    fn no_mixture_of_rules_makes_the_loader_panic(picks in proptest::collection::vec((0..CASES.len(), 0..400_usize, 0..400_usize), 1..4)) {
        let mut text = String::new();
        for (at, start, end) in picks {
            let case: Vec<char> = CASES[at].1.chars().filter(|c| *c != '«').collect();
            let (start, end) = (start.min(case.len()), end.min(case.len()));
            text.extend(&case[start.min(end)..end.max(start)]);
            text.push('\n');
        }
        let files = files(&[("x.toml", &text)]);
        let loaded = load(&files);
        prop_assert_eq!(loaded.model.is_none(), has_errors(&loaded.diagnostics));
        let _ = render(&files, &loaded.diagnostics, false);
    }
}

#[test]
fn budgets_come_through_the_layers_class_by_class() {
    let model = model(
        "[class.a]\nmatch = [\"+1.\"]\n[class.b]\nmatch = [\"+44.\"]\n[class.c]\nmatch = [\"+49.\"]\n[class.d]\nmatch = [\"+33.\"]\n\
         [defaults.user.budget]\na = { calls_at_once = 1, time_per_day = \"1h\" }\nb = { calls_per_hour = 2 }\nc = { calls_per_hour = 3 }\n\
         d = { calls_per_hour = 4 }\n\
         [site.x]\nbudget = { b = \"unlimited\", d = { time_per_day = \"10m\" } }\n\
         [user.ann]\next = \"1\"\nsite = \"x\"\n[user.ann.budget.a]\ncalls_at_once = 7\n[user.ann.budget]\nc = \"inherit\"\nd = \"unlimited\"\n",
    );
    let budget = &model.users["ann"].budget;
    assert_eq!(budget.keys().map(|class| &**class).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!((budget["a"].calls_at_once, budget["a"].time_per_day), (Some(7), None), "as a whole");
    assert_eq!(budget["c"].calls_per_hour, Some(3));
}
