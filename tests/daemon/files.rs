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
fn the_example_rule_sets_are_laid_out() {
    let place = Place::new();
    for set in ["harbour-dental", "northgate-freight"] {
        let set = format!("{}/routing-rules/{set}", env!("CARGO_MANIFEST_DIR"));
        if std::path::Path::new(&set).exists() {
            place.run(&["fmt", &set, "--check"]).ended(0);
        }
    }
}

#[test]
fn import_shows_first_and_writes_when_it_is_told_to() {
    let place = Place::new();
    place.run(&["import", "--template"]).ended(0);
    place.write(
        "people.csv",
        "\u{feff}Extension;First Name;Last Name;DID;MAC;Shoe size\r\n103;Zo\u{eb};Hall;+442079460103;001565000103;44\r\n101;Ada;King;;;\r\n",
    );
    let preview = place.run(&["import", "people.csv", "--into", "rules"]).ended(0).out;
    assert!(preview.contains("+[user.hall]\n") && preview.contains("+++ users/103-hall.toml\n"), "{preview}");
    assert!(preview.contains("row 1, Shoe size: this column is not known"), "{preview}");
    assert!(
        preview.contains("row 3, last_name `King`: user `ada` says otherwise, at users.toml:1:1"),
        "{preview}"
    );
    assert!(preview.contains("to be made: rules/secrets/103a"), "{preview}");
    assert!(
        preview.contains("1 new user, 0 with something added, 2 cells or columns not taken"),
        "{preview}"
    );
    assert!(!place.path("rules/users/103-hall.toml").exists());
    let written =
        place.run(&["import", "people.csv", "--into", "rules", "--write", "--json"]).ended(0).json();
    assert_eq!((&written["made"][0], &written["written"]), (&"hall".into(), &true.into()), "{written}");
    place.run(&["check", "rules"]).ended(0);
    let routed = place.run(&["route", "--to", "+442079460103", "--rules", "rules", "--json"]).ended(0).json();
    assert!(routed["tags"].as_array().unwrap().contains(&"user:hall".into()), "{routed}");
    place.run(&["import", "people.csv", "--into", "rules", "--write"]).ended(1);
}

#[test]
fn import_refuses_what_is_no_table_and_what_would_be_wrong() {
    let place = Place::new();
    place.write("people.csv", "name,email\nA,b\n");
    assert!(
        place
            .run(&["import", "people.csv", "--into", "rules"])
            .ended(2)
            .last_line()
            .contains("no column `ext`")
    );
    place.write("people.csv", "ext,role\n103,emperor\n");
    let ran = place.run(&["import", "people.csv", "--into", "rules", "--write"]).ended(2);
    assert!(ran.err.contains("emperor") && ran.last_line().contains("nothing was written"), "{}", ran.err);
    assert!(!place.path("rules/users").exists());
}

#[test]
fn a_name_in_the_column_of_extensions_is_refused_by_row_and_column() {
    let place = Place::new();
    place.write("people.csv", "ext,last_name\nabc,Hall\n");
    let told = place.run(&["import", "people.csv", "--into", "rules"]).ended(1).out;
    assert!(told.contains("row 2, ext `abc`: nobody can dial this"), "{told}");
    assert!(told.contains("0 new users, 0 with something added, 1 cell or column not taken"), "{told}");
}
