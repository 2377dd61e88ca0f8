//! `docs/clients.md`: what it says of other people's clients is what the tests play, and nothing is said without one.

use super::conformance::{named_tests_exist, project, tables};

const PAGE: &str = "docs/clients.md";
const MATRIX: &str = "tests/peers/matrix.rs";
const MAKERS: [&str; 4] = ["sipp", "baresip", "linphone", "pjsua"];

/// The rows of the table whose first heading is this, headings included.
fn table(heading: &str) -> Vec<Vec<String>> {
    let found = tables(PAGE).into_iter().find(|table| table[0].iter().take(2).eq(heading.split(" | ")));
    found.unwrap_or_else(|| panic!("{PAGE} has no table of {heading}"))
}

#[test]
fn every_feature_is_a_scene_that_every_pairing_plays() {
    let matrix = std::fs::read_to_string(project(MATRIX)).unwrap();
    let (_, plays) = matrix.split_once("\nfn play(").expect("the scenes are played in one place");
    let (plays, _) = plays.split_once("\n}\n").unwrap();
    let rows = table("feature | test");
    assert_eq!(rows[0][2..], MAKERS, "a column a maker");
    let mut named = Vec::new();
    for row in &rows[1..] {
        assert!(row.len() == 2 + MAKERS.len() && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        let scenes = row[1].trim_matches('`').strip_prefix(&format!("{MATRIX}: ")).expect("a scene");
        for scene in scenes.split(", ") {
            assert!(plays.contains(&format!("scene.{scene}();")), "{}: {scene} is not played", row[0]);
            named.push(scene.to_owned());
        }
    }
    for played in plays.split("scene.").skip(1) {
        let scene = played.split('(').next().unwrap();
        assert!(named.iter().any(|name| name == scene), "{scene} is played, and not on the page");
    }
}

#[test]
fn every_client_is_paired_with_every_client_by_what_it_speaks() {
    let matrix = std::fs::read_to_string(project(MATRIX)).unwrap();
    let (_, pairings) = matrix.split_once("macro_rules! every_pairing").expect("one list of pairings");
    let rows = table("client | version");
    let clients: Vec<_> = rows[1..].iter().map(|row| row[0].as_str()).collect();
    assert_eq!(clients, MAKERS);
    for (caller, callee) in clients.iter().flat_map(|one| clients.iter().map(move |other| (one, other))) {
        let name = format!("{caller}_and_{callee}: ");
        let blocks: Vec<_> = pairings.match_indices(&name).collect();
        let everywhere = if (*caller, *callee) == ("sipp", "sipp") { 2 } else { 1 };
        assert_eq!(
            blocks.len(),
            everywhere,
            "{name} over UDP and TCP, and over TLS where one of them speaks it"
        );
    }
    for row in &rows[1..] {
        let speaks = if row[0] == "sipp" { "UDP, TCP" } else { "UDP, TCP, TLS" };
        assert_eq!(row[3], speaks, "{}", row[0]);
    }
    for over in ["over_udp as Udp", "over_tcp as Tcp", "over_tls as Tls"] {
        assert!(pairings.contains(over), "{over}");
    }
}

#[test]
fn whatever_else_is_said_has_its_test() {
    let rows = table("client | what it does");
    for row in &rows[1..] {
        assert!(named_tests_exist(&row[0], &row[2]) > 0, "{} is claimed without a test", row[0]);
    }
    assert!(rows.len() > 4, "the table is there");
}
