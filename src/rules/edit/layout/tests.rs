use super::*;
use proptest::prelude::*;

#[track_caller]
fn formats(text: &str, wanted: &str) {
    let once = format(text).unwrap();
    assert_eq!(once, wanted);
    assert_eq!(format(&once).unwrap(), once, "a second time changes nothing");
}

#[test]
fn keys_stand_in_order_and_comments_go_with_what_they_are_about() {
    formats(
        "# Rita.\n[user.rita]\n\n\nname=\"Rita\"   # hers\n# dialled\next   = '100'\n",
        "# Rita.\n[user.rita]\n# dialled\next = '100'\nname = \"Rita\"  # hers\n",
    );
}

#[test]
fn the_parts_of_an_object_are_brought_together_and_objects_keep_their_order() {
    formats(
        "[[user.b.rule]]\nname = \"x\"\n[device.d]\nuser = \"b\"\n[user.a]\next = \"1\"\n# his box\n[user.b.voicemail]\n\
         limit = 3\n[user.b]\next = \"2\"\n",
        "[user.b]\next = \"2\"\n\n# his box\n[user.b.voicemail]\nlimit = 3\n\n[[user.b.rule]]\nname = \"x\"\n\n[device.d]\n\
         user = \"b\"\n\n[user.a]\next = \"1\"\n",
    );
}

#[test]
fn dotted_keys_stand_together() {
    formats(
        "[[user.b.rule]]\nforward.busy = \"self\"\nring.each = \"5s\"\nwhen = \"always\"\nring.strategy = \"own\"\n\
         forward.always = { confirm = \"1\",to=\"self\" }\n",
        "[[user.b.rule]]\nwhen = \"always\"\nring.strategy = \"own\"\nring.each = \"5s\"\n\
         forward.always = { to = \"self\", confirm = \"1\" }\nforward.busy = \"self\"\n",
    );
}

#[test]
fn arrays_keep_their_order_their_lines_and_their_comments() {
    formats(
        "a=[ 3,1 ,2]\nb = [   # open\n 1, # one\n\n\n  # before two\n 2 # two\n , 3\n # end\n]\nc = [\n]\nd = [[\n1],[2]]\n",
        "a = [3, 1, 2]\nb = [\n  # open\n  1,  # one\n\n  # before two\n  2,  # two\n  3,\n  # end\n]\nc = [\n]\nd = [[\n  1,\n], [2]]\n",
    );
}

#[test]
fn a_comment_at_the_top_stays_there() {
    formats(
        "# About this file.\n\n# Of b.\n[[user.b.rule]]\nname = \"x\"\n[user.b]\next = \"2\"\n# end\n",
        "# About this file.\n\n[user.b]\next = \"2\"\n\n# Of b.\n[[user.b.rule]]\nname = \"x\"\n# end\n",
    );
    formats("# only\n\n# comments", "# only\n\n# comments\n");
    formats("", "");
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let Err(LayoutError::Syntax(error)) = format("# top\n\na = 1\nb = 0101\n") else { panic!("taken") };
    assert_eq!(error.to_string().lines().next().unwrap(), "TOML parse error at line 4, column 5");
}

/// Values with comments wherever TOML allows one, each with a number of its own.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("1".to_owned()),
        Just("\"a # b\"".to_owned()),
        Just("'''\n# no comment\n'''".to_owned()),
        Just("2026-12-25".to_owned()),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec((inner.clone(), gap_text(), gap_text()), 0..4).prop_map(|items| {
                let items: Vec<String> = items.iter().map(|(v, a, b)| format!("{a}{v}{b}")).collect();
                format!("[{}]", items.join(","))
            }),
            prop::collection::vec((key(), inner, gap_text()), 0..3).prop_map(|mut items| {
                items.sort_by(|a, b| a.0.cmp(b.0));
                items.dedup_by(|a, b| a.0 == b.0);
                let items: Vec<String> = items.iter().map(|(k, v, a)| format!("{a}{k} = {v} ")).collect();
                format!("{{{}}}", items.join(","))
            }),
        ]
    })
}

fn gap_text() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just(" "), Just("\n\n"), Just(" # x\n"), Just("\n# y\n  ")]
}

fn key() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("to"), Just("when"), Just("name"), Just("ring"), Just("delay"), Just("\"odd key\"")]
}

fn file() -> impl Strategy<Value = String> {
    let header = prop_oneof![
        Just("[user.a]"),
        Just("[user.a.voicemail]"),
        Just("[[user.a.rule]]"),
        Just("[[user.b.rule]]"),
        Just("[user.b]"),
        Just("[list.x] # z"),
        Just("[[expect]]"),
    ];
    let line = (gap_lines(), key(), prop::option::of(key()), value()).prop_map(|(gap, a, b, v)| {
        format!("{gap}{a}{} = {v} # v\n", b.map(|b| format!(".{b}")).unwrap_or_default())
    });
    let table = (gap_lines(), header, prop::collection::vec(line, 0..4));
    prop::collection::vec(table, 0..6).prop_map(|tables| {
        tables.into_iter().map(|(gap, head, lines)| format!("{gap}{head}\n{}", lines.concat())).collect()
    })
}

fn gap_lines() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just("\n"), Just("# p\n"), Just("\n\n # q\n\n"), Just("# r\r\n")]
}

proptest! {
    #[test]
    fn the_meaning_stays_no_comment_is_lost_and_a_second_time_changes_nothing(text in file()) {
        // Keys that are given twice, and the like.
        prop_assume!(text.parse::<DocumentMut>().is_ok());
        let once = format(&text).unwrap();
        let table = |t: &str| toml::from_str::<toml::Table>(t).unwrap();
        prop_assert_eq!(table(&text), table(&once));
        for mark in ["# x", "# y", "# z", "# v", "# p", "# q", "# r"] {
            prop_assert_eq!(text.matches(mark).count(), once.matches(mark).count(), "{} in\n{}\nof\n{}", mark, once, text);
        }
        prop_assert_eq!(format(&once).unwrap(), once);
    }
}
