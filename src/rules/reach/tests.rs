use super::*;
use crate::rules::diagnostic::Files;

/// Four users, two numbers, a trunk, a list, a frame, a golden test.
pub(in crate::rules) fn model() -> Model {
    let files = Files([("rules.toml".into(), include_str!("tests/rules.toml").into())].into());
    let loaded = crate::rules::source::load(&files);
    loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn referrers(object: &str) -> Vec<String> {
    let model = model();
    let graph = Graph::of(&model);
    let found = graph.referrers(&Object::parse(object).unwrap());
    found.iter().map(|r| format!("{} {} [{}]", r.from, r.by, model.files.place(r.span).line)).collect()
}

#[test]
fn what_refers_to_an_object_is_found_with_its_place() {
    assert_eq!(referrers("list:spam"), ["user:ann block [18]"]);
    assert_eq!(referrers("trunk:carrier"), ["route:1 via [55]"]);
    assert_eq!(referrers("class:national"), ["route:1 classes [55]"]);
    assert_eq!(
        referrers("time_frame:lunch"),
        ["number:+12025550103 rule `1`, when [9]", "user:ann rule `Lunch`, when [21]"]
    );
    assert_eq!(referrers("device:b1"), ["expect:1 golden test `Bea at lunch` [63]"]);
}

#[test]
fn what_refers_to_a_user_refers_to_their_mailbox_too_and_a_user_does_not_refer_to_themselves() {
    let found = referrers("user:bea");
    assert!(found.contains(&"user:ann rule `Lunch`, ring.targets [22]".to_owned()), "{found:?}");
    assert!(found.contains(&"device:b1 user [47]".to_owned()), "{found:?}");
    assert!(!found.iter().any(|r| r.starts_with("user:bea")), "{found:?}");
}

#[test]
fn an_object_takes_part_in_what_is_decided_for_those_who_lead_to_it() {
    let model = model();
    let graph = Graph::of(&model);
    let object = |text: &str| Object::parse(text).unwrap();
    let backward = graph.backward([object("list:spam")]);
    for who in ["user:ann", "user:cat", "number:+12025550101", "number:+12025550103"] {
        assert!(backward.contains(&object(who)), "{who}");
    }
    assert!(!backward.contains(&object("user:dan")) && !backward.contains(&object("expect:1")));
    let forward = graph.forward(&object("number:+12025550101"));
    for what in ["user:ann", "user:bea", "time_frame:lunch", "list:spam"] {
        assert!(forward.contains(&object(what)), "{what}");
    }
}

#[test]
fn an_extension_a_number_and_a_name_mean_the_same_thing() {
    let model = model();
    assert_eq!(resolve(&model, "101"), Object::parse("user:ann"));
    assert_eq!(resolve(&model, "user:ann"), Object::parse("user:ann"));
    assert_eq!(resolve(&model, "+12025550101"), Object::parse("number:+12025550101"));
    assert_eq!(resolve(&model, "list:nothing"), None);
}
