//! Files of sound that rules name, and that are missing or can't be played: what `check`, edits, the start and SIGHUP say of them, and
//! that nothing is refused for it.

use super::running::{Place, Running};
use ringtree::admin::client::Ask;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;

const SOUNDS: &str = r#"[announce.closed]
file = "closd.wav"
[moh.calm]
files = ["calm.wav", "audio/waltz.wav"]
[number."+442079460123"]
to = "announce:closed"
"#;

/// A second of silence, 16 bits, as recorders write it.
fn wav(format: u16) -> Vec<u8> {
    let data = vec![0; 32_000];
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(format.to_le_bytes());
    file.extend(b"\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// `calm.wav` holds G.711, `waltz.wav` is cut short, and of `closed.wav` the rules have the wrong name.
fn place() -> Place {
    let place = Place::new();
    place.write("rules/sounds.toml", SOUNDS);
    std::fs::write(place.path("rules/closed.wav"), wav(1)).unwrap();
    std::fs::write(place.path("rules/calm.wav"), wav(7)).unwrap();
    std::fs::create_dir(place.path("rules/audio")).unwrap();
    std::fs::write(place.path("rules/audio/waltz.wav"), &wav(1)[..20_000]).unwrap();
    place
}

fn mend(place: &Place) {
    for file in ["rules/closd.wav", "rules/calm.wav", "rules/audio/waltz.wav"] {
        std::fs::write(place.path(file), wav(1)).unwrap();
    }
}

/// The diagnostics of an answer about sounds: place, severity and code.
fn of_audio(answer: &Value) -> Vec<String> {
    let all = answer["diagnostics"].as_array().unwrap().iter();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    all.filter(|one| text(one, "code").ends_with("-audio"))
        .map(|one| {
            let place = format!("{}:{}:{}", text(one, "file"), one["line"], one["column"]);
            format!("{place} {} {}", text(one, "severity"), text(one, "code"))
        })
        .collect()
}

const FOUND: [&str; 3] = [
    "sounds.toml:2:8 warning missing-audio",
    "sounds.toml:4:10 warning broken-audio",
    "sounds.toml:4:22 warning broken-audio",
];

#[test]
fn check_shows_every_file_that_can_not_be_played_with_the_rule_that_names_it() {
    let place = place();
    let shown = place.run(&["check", "rules"]).ended(0).out;
    for said in [
        "warning[missing-audio]: there is no `closd.wav`: nobody hears it\n --> sounds.toml:2:8\n",
        "did you mean `closed.wav`? It was looked for at rules/closd.wav\n",
        "warning[broken-audio]: `calm.wav` can't be played: its WAV holds G.711 µ-law; PCM and floats can be played; nobody hears it\n \
         --> sounds.toml:4:10\n",
        "warning[broken-audio]: `audio/waltz.wav` can't be played: it is cut short: its WAV ends before it says so; nobody hears it\n \
         --> sounds.toml:4:22\n",
        "make it a WAV of 8 to 32 bits or an MP3",
    ] {
        assert!(shown.contains(said), "{said} in:\n{shown}");
    }
    assert_eq!(of_audio(&place.run(&["check", "rules", "--json"]).ended(0).json()), FOUND);
    mend(&place);
    assert_eq!(of_audio(&place.run(&["check", "rules", "--json"]).ended(0).json()), [""; 0]);
}

#[test]
fn check_looks_where_the_configuration_or_the_caller_says_that_audio_lies() {
    let place = place();
    mend(&place);
    let found = |arguments: &[&str]| of_audio(&place.run(arguments).ended(0).json());
    assert_eq!(found(&["check", "--json"]), [""; 0]);
    let config = std::fs::read_to_string(place.path("ringtree.toml")).unwrap();
    place.write("ringtree.toml", &config.replace("[rules]\n", "[rules]\nbase = \"elsewhere\"\n"));
    for arguments in [&["check", "--json"][..], &["check", "rules", "--json"]] {
        assert_eq!(found(arguments).len(), 3, "{arguments:?}: none of them is there");
    }
    assert_eq!(found(&["check", "rules", "--json", "--base", "rules"]), [""; 0]);
}

#[test]
fn the_daemon_starts_takes_edits_and_says_which_sounds_are_missing() {
    let place = place();
    let running = place.start();
    let missing = "sounds.toml:2:8: there is no `closd.wav`: nobody hears it [missing-audio]; did you mean `closed.wav`?";
    let broken = "sounds.toml:4:10: `calm.wav` can't be played: its WAV holds G.711 µ-law; PCM and floats can be played; \
                  nobody hears it [broken-audio]";
    place.wait_for_log(missing);
    place.wait_for_log(broken);

    // Nothing of it keeps another edit from being taken; it is said again.
    let edited = running.run(&["user", "set", "ada", "name=Ada King"]).ended(0);
    assert!(edited.err.contains(missing) && edited.err.contains(broken), "{}", edited.err);

    place.write("rules/users.toml", &super::running::USERS.replace("Lovelace", "Byron"));
    let planned = running.run(&["plan", "rules"]);
    assert!(planned.err.contains(missing), "{}", planned.err);
    let applied = running.run(&["apply", "rules", "--json"]).ended(0).json();
    assert_eq!(of_audio(&applied), FOUND);
    assert!(applied["warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains(missing)));
    assert_eq!(of_audio(&check(&running, &place)), FOUND);

    mend(&place);
    assert_eq!(of_audio(&check(&running, &place)), [""; 0], "a file may come without an edit");
    assert_eq!(running.run(&["user", "set", "ada", "name=Ada"]).ended(0).err, "");
}

/// `POST .../rules/check` with the files of the place.
fn check(running: &Running<'_>, place: &Place) -> Value {
    let read =
        |name: &str| (name.to_owned(), std::fs::read_to_string(place.path("rules").join(name)).unwrap());
    let files: BTreeMap<_, _> = ["domain.toml", "users.toml", "expect.toml", "sounds.toml"].map(read).into();
    let answer =
        running.ask(Ask::new(hyper::Method::POST, "/v1/domains/pbx.test.example/rules/check").json(&files));
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn a_file_that_has_gone_is_told_of_at_a_restart_and_at_sighup() {
    let place = place();
    mend(&place);
    assert_eq!(place.start().stop(), 0);
    assert!(!place.log().contains("-audio]"), "{}", place.log());
    std::fs::remove_file(place.path("rules/audio/waltz.wav")).unwrap();
    let running = place.start();
    place.wait_for_log("sounds.toml:4:22: there is no `audio/waltz.wav`");
    std::fs::write(place.path("rules/calm.wav"), "").unwrap();
    running.signal(Signal::HUP);
    place.wait_for_log("sounds.toml:4:10: `calm.wav` can't be played: it has no sound in it");
    assert_eq!(running.stop(), 0);
}
