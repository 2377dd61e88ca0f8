//! The operators' pages (`docs/rules/*.md`): each example of them is loaded, and those marked `refused=CODE` are refused with it.
//!
//! An example stands in a small domain: what it defines itself takes the place of what is there.

use super::super::diagnostic::{Files, Severity, render};
use super::load;
use super::names::Kind;
use std::path::{Path, PathBuf};

/// What the examples may refer to, each with the heads of tables that take its place.
const AROUND: [(&str, &str, &[&str]); 6] = [
    (
        "domain.toml",
        "[domain]\nname = \"pbx.example\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\narea_code = \"202\"\n",
        &["[domain]"],
    ),
    ("ann.toml", "[user.ann]\next = \"100\"\n", &["[user.ann"]),
    (
        "ann-desk.toml",
        "[device.ann-desk]\nuser = \"ann\"\nauth = { user = \"ann-desk\", secret = \"env:ANN_DESK\" }\n",
        &["[device.ann-desk]"],
    ),
    ("carrier.toml", "[trunk.carrier]\nproxy = \"sip.carrier.example\"\n", &["[trunk.carrier]"]),
    ("lists/reported.txt", "+12025550199   # reported\n", &[]),
    (
        "calendars/ontario.ics",
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20260701\r\nRRULE:FREQ=YEARLY\r\n\
         SUMMARY:Canada Day\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        &[],
    ),
];

struct Example {
    page: PathBuf,
    line: usize,
    /// The code that it is refused with.
    refused: Option<String>,
    text: String,
}

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    pages.sort();
    pages
}

fn examples(page: &Path) -> Vec<Example> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        match line.strip_prefix("```toml") {
            Some(mark) => {
                let refused = mark.trim().strip_prefix("refused=").map(str::to_owned);
                assert!(refused.is_some() || mark.trim().is_empty(), "{}:{}: {mark}", page.display(), at + 1);
                examples.push(Example { page: page.into(), line: at + 1, refused, text: String::new() });
                inside = true;
            }
            None if line.starts_with("```") => inside = false,
            None if inside => {
                let example = examples.last_mut().unwrap();
                example.text.push_str(line);
                example.text.push('\n');
            }
            None => {}
        }
    }
    examples
}

/// What is wrong with an example, if anything.
fn failure(example: &Example) -> Option<String> {
    let mut files = Files([("example.toml".into(), example.text.as_str().into())].into());
    for (name, text, heads) in AROUND {
        if !heads.iter().any(|head| example.text.contains(head)) {
            files.0.insert(name.into(), text.into());
        }
    }
    let loaded = load(&files);
    let errors: Vec<&str> = loaded
        .diagnostics
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.code)
        .collect();
    let as_said = match &example.refused {
        Some(code) => errors.contains(&code.as_str()) && loaded.model.is_none(),
        None => loaded.model.is_some(),
    };
    (!as_said).then(|| {
        let shown = render(&files, &loaded.diagnostics, false);
        format!("{}:{}: {errors:?}\n{shown}\n", example.page.display(), example.line)
    })
}

#[test]
fn every_example_loads_or_is_refused_as_its_page_says() {
    let examples: Vec<Example> = pages().iter().flat_map(|page| examples(page)).collect();
    assert!(examples.len() >= 60, "{}", examples.len());
    let failures: Vec<String> = examples.iter().filter_map(failure).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Which page tells of a table, where it isn't that of its own name.
const ELSEWHERE: [(&str, &str); 5] = [
    ("callback", "emergency"),
    ("location", "emergency"),
    ("mailbox", "voicemail"),
    ("announce", "audio"),
    ("moh", "audio"),
];

#[test]
fn every_table_has_its_page_and_the_index_names_every_page() {
    let texts: Vec<(String, String)> = pages()
        .iter()
        .map(|page| {
            (page.file_stem().unwrap().to_str().unwrap().into(), std::fs::read_to_string(page).unwrap())
        })
        .collect();
    let single = ["domain", "policy", "defaults", "codes", "dial", "route", "expect", "emergency"];
    for table in Kind::ALL.iter().map(|(word, _)| *word).chain(single) {
        let page = ELSEWHERE.iter().find(|(word, _)| *word == table).map_or(table, |(_, page)| *page);
        let text = texts.iter().find(|(name, _)| name == page);
        let text = &text.unwrap_or_else(|| panic!("docs/rules/{page}.md is not there")).1;
        let heads =
            [format!("[{table}]"), format!("[[{table}]]"), format!("[{table}."), format!("[\"{table}\"")];
        assert!(heads.iter().any(|head| text.contains(head.as_str())), "{page}.md shows no [{table}]");
    }
    let index = &texts.iter().find(|(name, _)| name == "README").unwrap().1;
    for (page, _) in texts.iter().filter(|(name, _)| name != "README") {
        assert!(index.contains(&format!("({page}.md)")), "README.md does not name {page}.md");
    }
}

/// Keys that the readers know and that no page names would be secrets of the source.
#[test]
fn every_key_of_a_table_stands_on_its_page() {
    // Where a key stands that nobody knows: that makes the reader list those that there are.
    for (place, page) in [
        ("[domain]\n", "domain"),
        ("[policy]\n", "policy"),
        ("[site.x]\n", "site"),
        ("[role.x]\n", "role"),
        ("[calendar.x]\n", "calendar"),
        ("[time_frame.x]\n", "time_frame"),
        ("[list.x]\n", "list"),
        ("[trunk.x]\n", "trunk"),
        ("[class.x]\n", "class"),
        ("[[dial]]\n", "dial"),
        ("[[route]]\n", "route"),
        ("[emergency]\n", "emergency"),
        ("[number.\"+12025550101\"]\n", "number"),
        ("[[number.\"+12025550101\".rule]]\n", "number"),
        ("[user.x]\n", "user"),
        ("[[user.x.rule]]\n", "rule"),
        ("[[user.x.rule]]\nring.", "ring"),
        ("[[user.x.rule]]\nring.targets = [{ to = \"self\" }]\nforward.", "forward"),
        ("[device.x]\n", "device"),
        // Its ring list is written as that of a rule.
        ("[hunt.x]\n", "hunt ring"),
        ("[queue.x]\n", "queue"),
        ("[attendant.x]\n", "attendant"),
        ("[conference.x]\n", "conference"),
        ("[directory.x]\n", "directory"),
        ("[mailbox.x]\n", "voicemail"),
        ("[codes]\n", "codes"),
    ] {
        let example = format!("{place}qqqqqqqqqqqqqqqqqq = 1\n");
        let files = Files(
            AROUND[..1]
                .iter()
                .filter(|_| page != "domain")
                .map(|(name, text, _)| ((*name).into(), (*text).into()))
                .chain([("x.toml".into(), example.into())])
                .collect(),
        );
        let loaded = load(&files);
        let unknown = loaded.diagnostics.iter().find(|finding| finding.code == "unknown-key");
        let help = unknown.and_then(|finding| finding.help.as_deref()).unwrap_or_else(|| panic!("{place}"));
        let keys = help.split_once(" has ").unwrap_or_else(|| panic!("{place}: {help}")).1;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
        let read = |page: &str| std::fs::read_to_string(folder.join(format!("{page}.md"))).unwrap();
        let text: String = page.split(' ').map(read).collect();
        for key in keys.split(", ") {
            // `ring.each` is told of as that, or as `each`.
            let told = [format!("`{key}`"), format!("`{page}.{key}`")];
            assert!(told.iter().any(|told| text.contains(told)), "{page}.md does not tell of `{key}`");
        }
    }
}
