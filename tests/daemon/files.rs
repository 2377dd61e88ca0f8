//! Verbs that work on files alone: fmt and import.

use super::running::{Place, USERS};

const UNTIDY: &str = "[user.cy]\nname   = \"Cy\"   # front\next=\"103\"\n[[user.cy.rule]]\nwhen = \"always\"\nname = \"All\"\n";

#[test]
fn fmt_lays_files_out_once_and_check_tells_before() {
    let place = Place::new();
    place.write("rules/cy.toml", UNTIDY);
    let told = place.run(&["fmt", "rules", "--check"]).ended(1);
    assert!(
        told.out.contains("--- rules/cy.toml\n") && told.out.contains("+ext = \"103\"\n"),
        "{}",
        told.out
    );
    assert_eq!(std::fs::read_to_string(place.path("rules/cy.toml")).unwrap(), UNTIDY, "nothing was written");
    let changed = place.run(&["fmt", "rules", "--json"]).ended(0).json();
    assert!(changed["changed"].as_array().unwrap().contains(&"rules/cy.toml".into()), "{changed}");
    assert_eq!(
        std::fs::read_to_string(place.path("rules/cy.toml")).unwrap(),
        "[user.cy]\next = \"103\"\nname = \"Cy\"  # front\n\n[[user.cy.rule]]\nname = \"All\"\nwhen = \"always\"\n"
    );
    place.run(&["fmt", "rules", "--check"]).ended(0);
    place.run(&["check", "rules"]).ended(0);
}

#[test]
fn fmt_refuses_broken_files_with_their_place_and_writes_nothing() {
    let place = Place::new();
    place.write("rules/cy.toml", UNTIDY);
    place.write("rules/users.toml", &USERS.replace("ext = \"102\"", "ext = 0102"));
    let ran = place.run(&["fmt", "rules"]).ended(2);
    assert!(ran.err.contains("users.toml:13:") && ran.err.contains("put it in quotes"), "{}", ran.err);
    assert!(ran.last_line().contains("nothing was written"));
    assert_eq!(std::fs::read_to_string(place.path("rules/cy.toml")).unwrap(), UNTIDY);
}

#[test]
fn the_rule_sets_that_come_with_ringtree_are_laid_out() {
    let place = Place::new();
    let sets = concat!(env!("CARGO_MANIFEST_DIR"), "/routing-rules");
    place.run(&["fmt", sets, "--check"]).ended(0);
}
