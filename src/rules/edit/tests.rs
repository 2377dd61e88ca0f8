//! Edits of whole files: comments and order stay, new things stand where they belong, and what makes no sense is refused.

use super::change::parse_setting;
use super::*;
use crate::rules::diagnostic::Files;
use proptest::prelude::*;
use serde_json::json;

const DOMAIN: &str =
    "schema = 1\n\n[domain]\nname = \"pbx.test.example\"\ntimezone = \"Europe/London\"\ncountry = \"GB\"\n";
const ADA: &str = r#"# Ada, in the corner office.
[user.ada]
ext = "101"  # on her card
name = "Ada"
allow = ["+442079460001"]

# When she is in.
[[user.ada.rule]]
name = "Day"
when = "day"
ring.strategy = "simultaneous"
forward.busy = "user:ben"  # he helps out

[[user.ada.rule]]
name = "Rest"
when = "always"

[device.101a]
user = "ada"
accept_from = ["192.0.2.1"]
"#;
const BEN: &str =
    "[user.ben]\next = \"102\"\n\n[device.102a]\nuser = \"ben\"\naccept_from = [\"192.0.2.2\"]\n";
const REST: &str = "[time_frame.day]\nweekly = [\"mon-fri 09:00-17:00\"]\n\n[list.spam]\n# sorted\nnumbers = [\n  \"+1900.\",  # premium\n]\n";

fn files() -> Files {
    let files =
        [("domain.toml", DOMAIN), ("users/ada.toml", ADA), ("users/ben.toml", BEN), ("rest.toml", REST)];
    Files(files.map(|(name, text)| (name.into(), text.into())).into())
}

fn kind(word: &str) -> &'static Kind {
    Kind::of_table(word).unwrap()
}

#[track_caller]
fn edited(files: &Files, of: &str, name: &str, settings: &[&str]) -> Files {
    let changes: Vec<Change> = settings.iter().map(|s| parse_setting(s).unwrap()).collect();
    change(files, kind(of), name, &changes).unwrap()
}

fn refused(of: &str, name: &str, setting: &str) -> String {
    change(&files(), kind(of), name, &[parse_setting(setting).unwrap()]).unwrap_err().to_string()
}

fn text<'f>(files: &'f Files, name: &str) -> &'f str {
    files.0.get(name).unwrap()
}

#[track_caller]
fn loads(files: &Files) {
    let loaded = crate::rules::source::load(files);
    assert!(loaded.model.is_some(), "{:#?}", loaded.diagnostics);
}

#[test]
fn a_value_is_replaced_and_everything_around_it_stays() {
    let after = edited(&files(), "user", "ada", &["ext=111", "rule.Day.forward.busy=voicemail:ada"]);
    let wanted = ADA.replace("\"101\"", "\"111\"").replace("\"user:ben\"", "\"voicemail:ada\"");
    assert_eq!(text(&after, "users/ada.toml"), wanted);
    assert_eq!(text(&after, "users/ben.toml"), BEN);
    loads(&after);
}

#[test]
fn a_new_key_stands_where_fmt_would_put_it() {
    let settings = [
        "ring_for=30s",
        "call_waiting=false",
        "restrict.premium=deny",
        "voicemail.limit=5",
        "rule.Day.ring.each=15s",
    ];
    let after = edited(&files(), "user", "ada", &settings[..3]);
    let wanted = ADA
        .replace("name = \"Ada\"\n", "name = \"Ada\"\nring_for = \"30s\"\n")
        .replace("0001\"]\n", "0001\"]\ncall_waiting = false\nrestrict = { premium = \"deny\" }\n");
    assert_eq!(text(&after, "users/ada.toml"), wanted);
    let after = edited(&after, "user", "ada", &settings[3..]);
    let after = text(&after, "users/ada.toml");
    assert!(after.contains("ring.strategy = \"simultaneous\"\nring.each = \"15s\"\nforward.busy"), "{after}");
    assert!(after.contains("\n[user.ada.voicemail]\nlimit = 5\n"), "{after}");
}

#[test]
fn a_new_rule_stands_before_the_one_that_always_matches() {
    let after = edited(&files(), "user", "ada", &["rule.Half day.when=day", "rule.Half day.dnd=true"]);
    let after = text(&after, "users/ada.toml");
    let rules: Vec<_> = after.lines().filter(|l| l.starts_with("name = ")).skip(1).collect();
    assert_eq!(rules, ["name = \"Day\"", "name = \"Half day\"", "name = \"Rest\""]);
    assert!(
        after.contains("[[user.ada.rule]]\nname = \"Half day\"\nwhen = \"day\"\ndnd = true\n"),
        "{after}"
    );
}

#[test]
fn entries_of_a_list_come_and_go_on_lines_of_their_own() {
    let after = edited(&files(), "list", "spam", &["numbers+=+442079460000", "numbers+=+1900."]);
    assert_eq!(
        text(&after, "rest.toml"),
        REST.replace("  \"+1900.\",  # premium\n", "  \"+1900.\",  # premium\n  \"+442079460000\",\n")
    );
    let after = edited(&after, "list", "spam", &["numbers-=+1900."]);
    assert!(
        text(&after, "rest.toml").contains("numbers = [\n  \"+442079460000\",\n]"),
        "{}",
        text(&after, "rest.toml")
    );
    let after = edited(&files(), "user", "ben", &["allow+=list:spam"]);
    assert!(text(&after, "users/ben.toml").contains("ext = \"102\"\nallow = [\"list:spam\"]\n"));
}

#[test]
fn keys_and_rules_are_taken_away() {
    let unset = |at: &[&str]| {
        let change = Change::Unset { at: at.iter().map(|s| (*s).to_owned()).collect() };
        super::change(&files(), kind("user"), "ada", &[change]).unwrap()
    };
    assert_eq!(text(&unset(&["allow"]), "users/ada.toml"), ADA.replace("allow = [\"+442079460001\"]\n", ""));
    let after = unset(&["rule", "Day"]);
    assert!(!text(&after, "users/ada.toml").contains("Day"));
    loads(&after);
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    for (of, name, setting, says) in [
        ("user", "adda", "ext=1", "there is no user `adda`; did you mean `ada`?"),
        ("user", "ada", "rule.Dya.dnd=true", ""),
        ("user", "ada", "ext.x=1", "`ext` holds a value and no keys"),
        ("user", "ada", "ext+=1", "`ext` is no list"),
        ("list", "spam", "numbers-=+1", "`numbers` has no entry \"+1\""),
        ("list", "spam", "numbres-=+1", "there is no `numbres`; did you mean `numbers`?"),
    ] {
        if !says.is_empty() {
            assert_eq!(refused(of, name, setting), says);
        }
    }
    let gone = Change::Unset { at: vec!["rule".into(), "Dya".into()] };
    let said = change(&files(), kind("user"), "ada", &[gone]).unwrap_err().to_string();
    assert_eq!(said, "there is no `Dya`; did you mean `Day`?");
}

#[test]
fn a_new_object_is_written_where_its_kind_lives() {
    let object = |value: serde_json::Value| value.as_object().unwrap().clone();
    let new = put(
        &files(),
        kind("user"),
        "cy",
        &object(json!({ "ext": "103", "rule": [{ "when": "always", "name": "All", "ring": { "strategy": "own", "targets": ["self"] } }],
            "name": { "last": "Hall", "first": "Cy" } })),
    )
    .unwrap();
    assert_eq!(
        text(&new, "users/cy.toml"),
        "[user.cy]\next = \"103\"\nname = { first = \"Cy\", last = \"Hall\" }\n\n[[user.cy.rule]]\nname = \"All\"\nwhen = \"always\"\n\
         ring.strategy = \"own\"\nring.targets = [\"self\"]\n"
    );
    let new =
        put(&new, kind("device"), "103a", &object(json!({ "user": "cy", "accept_from": ["192.0.2.3"] })))
            .unwrap();
    assert!(
        text(&new, "users/cy.toml")
            .ends_with("[\"self\"]\n\n[device.103a]\nuser = \"cy\"\naccept_from = [\"192.0.2.3\"]\n")
    );
    loads(&new);
    let new = put(&files(), kind("list"), "vip", &object(json!({ "numbers": ["+442079460009"] }))).unwrap();
    assert_eq!(text(&new, "rest.toml"), format!("{REST}\n[list.vip]\nnumbers = [\"+442079460009\"]\n"));
    let new = put(&files(), kind("number"), "+442079460100", &object(json!({ "to": "user:ada" }))).unwrap();
    assert_eq!(text(&new, "numbers.toml"), "[number.\"+442079460100\"]\nto = \"user:ada\"\n");
    let new = put(
        &files(),
        kind("calendar"),
        "x",
        &object(json!({ "dates": [{ "name": "X", "on": "2026-12-25" }] })),
    )
    .unwrap();
    assert_eq!(text(&new, "time.toml"), "[calendar.x]\ndates = [{ on = 2026-12-25, name = \"X\" }]\n");
}

#[test]
fn putting_what_is_there_changes_nothing_and_putting_less_takes_away() {
    let found = find(&files(), kind("user"), "ada").unwrap();
    assert_eq!(found.at, "users/ada.toml:2:1");
    let mut value = found.value.as_object().unwrap().clone();
    assert_eq!(put(&files(), kind("user"), "ada", &value).unwrap(), files());
    value.remove("allow");
    let rules = value.get_mut("rule").unwrap().as_array_mut().unwrap();
    rules.insert(1, json!({ "name": "Late", "when": "day", "enabled": false }));
    let after = put(&files(), kind("user"), "ada", &value).unwrap();
    let after = text(&after, "users/ada.toml");
    assert_eq!(
        after,
        ADA.replace("allow = [\"+442079460001\"]\n", "").replace(
            "[[user.ada.rule]]\nname = \"Rest\"",
            "[[user.ada.rule]]\nname = \"Late\"\nwhen = \"day\"\nenabled = false\n\n[[user.ada.rule]]\nname = \"Rest\""
        )
    );
}

#[test]
fn an_object_is_shown_as_it_is_written() {
    let found = find(&files(), kind("list"), "spam").unwrap();
    assert_eq!(found.value, json!({ "numbers": ["+1900."] }));
    assert_eq!(found.toml, "[list.spam]\n# sorted\nnumbers = [\n  \"+1900.\",  # premium\n]\n");
    let names: Vec<_> = list(&files(), kind("device")).into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["101a", "102a"]);
    let lines = lines_of(&files(), kind("user"), "ada", Some("Rest")).unwrap();
    assert_eq!(lines, ["[[user.ada.rule]]", "name = \"Rest\"", "when = \"always\""]);
    assert_eq!(lines_of(&files(), kind("user"), "ada", None).unwrap().len(), 16);
}

#[test]
fn removing_takes_the_file_that_is_left_empty() {
    let freed = edited(&files(), "user", "ada", &["rule.Day.forward.busy=reject:486"]);
    let freed = remove(&freed, kind("device"), "102a").unwrap();
    let gone = remove(&freed, kind("user"), "ben").unwrap();
    assert!(!gone.0.contains_key("users/ben.toml"));
    loads(&gone);
    let without = remove(&files(), kind("list"), "spam").unwrap();
    assert_eq!(text(&without, "rest.toml"), "[time_frame.day]\nweekly = [\"mon-fri 09:00-17:00\"]\n");
}

#[test]
fn a_file_whose_dotted_keys_are_mixed_is_laid_out_first() {
    let mixed = "[user.eve]\next = \"104\"\n[[user.eve.rule]]\nname = \"All\"\nforward.busy = \"reject:486\"\nring.each = \"5s\"\nforward.declined = \"reject:603\"\nwhen = \"always\"\n";
    let mut files = files();
    files.0.insert("eve.toml".into(), mixed.into());
    let after = edited(&files, "user", "eve", &["ext=105"]);
    assert_eq!(text(&after, "eve.toml"), layout::format(&mixed.replace("104", "105")).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is set in a file in canonical layout leaves it so, and reads back as it was set.
    #[test]
    fn edits_keep_the_canonical_layout(
        key in prop::sample::select(vec!["email", "ring_for", "tags", "restrict", "caller_id", "voicemail", "moh"]),
        text in "[a-z# \"]{0,8}",
        shape in 0..3,
    ) {
        let value = match shape {
            0 => json!(text),
            1 => json!([text, "x"]),
            _ => json!({ "premium": text, "enabled": true }),
        };
        let at = vec![key.to_owned()];
        let after = change(&files(), kind("user"), "ada", &[Change::Set { at, value: value.clone() }]).unwrap();
        let file = super::tests::text(&after, "users/ada.toml");
        prop_assert_eq!(layout::format(file).unwrap(), file);
        prop_assert_eq!(&find(&after, kind("user"), "ada").unwrap().value[key], &value);
    }
}
