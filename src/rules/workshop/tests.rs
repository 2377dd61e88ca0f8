use super::*;
use crate::rules::compile::Secrets;
use crate::rules::diagnostic::Place;
use proptest::prelude::*;

const TOP: &str = "schema = 1\n[domain]\nname = \"d.test\"\ntimezone = \"Europe/Berlin\"\ncountry = \"DE\"\n\
    [defaults.user]\nblock = [\"list:spam\"]\nring_for = \"20s\"\n\
    [time_frame.open]\nweekly = [\"mon-fri 08:00-17:30\"]\n[time_frame.late]\nweekly = [\"daily 20:00-06:00\"]\n\
    [list.spam]\nnumbers = [\"+49900.\"]\n[list.other]\nnumbers = [\"+49180.\", \"+49900.\"]\n\
    [trunk.out]\nproxy = \"192.0.2.1\"\naccept_from = [\"192.0.2.1\"]\n[class.all]\nmatch = [\"+.\"]\n\
    [[route]]\nclasses = [\"all\", \"emergency\"]\nvia = [\"out\"]\n\
    [hunt.desk]\next = \"800\"\ntargets = [\"user:u1\", \"user:u2\"]\n\
    [[expect]]\nname = \"e\"\ncall = { from = \"101\", to = \"100\" }\nat = \"2026-11-23T10:00\"\nthen = [\"offline\"]\n";

const USERS: usize = 6;

/// What one user's file says.
#[derive(Clone, Debug)]
struct Person {
    lines: usize,
    ring_for: u32,
    allow: Option<&'static str>,
    block: Option<&'static str>,
    white: Option<usize>,
    forward: Option<usize>,
    target: Option<usize>,
    delay: u32,
    enabled: bool,
    when: &'static str,
    mailbox: bool,
    to: Option<usize>,
    secret: &'static str,
    ext: usize,
    paths: u32,
    junk: &'static str,
}

/// Something of everything, most of it as it was.
fn person() -> impl Strategy<Value = Person> {
    let of = |words: &'static [&'static str]| prop::option::weighted(0.4, prop::sample::select(words));
    let peer = || prop::option::weighted(0.4, 0..USERS);
    let lists =
        (of(&["list:other", "+49301.", "list:spam"]), of(&["list:spam", "list:other", "+49302."]), peer());
    let calls = (peer(), peer(), 0..40_u32, prop::bool::weighted(0.9));
    let when = prop::sample::select(&["open", "open", "open", "open", "late", "not open"][..]);
    let face = (when, prop::bool::weighted(0.9), peer());
    let secret = prop::sample::select(&["plain:a", "plain:b", "env:X", "env:X"][..]);
    let junk = prop::sample::select(&["", "", "", "", "", "", "x = 1\n", "vanity = true\n", "ext = \n"][..]);
    let odd = (secret, prop::sample::select(&[0, 0, 0, 0, 0, 0, 0, 1][..]), 1..4_u32, junk);
    (0..3_usize, 10..60_u32, lists, calls, face, odd).prop_map(
        |(
            lines,
            ring_for,
            (allow, block, white),
            (forward, target, delay, enabled),
            (when, mailbox, to),
            odd,
        )| {
            let (secret, ext, paths, junk) = odd;
            Person {
                lines,
                ring_for,
                allow,
                block,
                white,
                forward,
                target,
                delay,
                enabled,
                when,
                mailbox,
                to,
                secret,
                ext,
                paths,
                junk,
            }
        },
    )
}

fn other(at: usize, peer: usize) -> usize {
    (at + 1 + peer % (USERS - 1)) % USERS
}

fn text(at: usize, person: &Person) -> String {
    let Person {
        lines,
        ring_for,
        allow,
        block,
        white,
        forward,
        target,
        delay,
        enabled,
        when,
        mailbox,
        to,
        secret,
        ext,
        paths,
        junk,
    } = person;
    // Nobody's own rules name them.
    let others = [white, forward, target].map(|peer| peer.map(|peer| other(at, peer)));
    let [white, forward, target] = others;
    let list =
        |key: &str, word: &Option<&str>| word.map_or(String::new(), |word| format!("{key} = [\"{word}\"]\n"));
    let (allow, block) = (list("allow", allow), list("block", block));
    let white = white.map_or(String::new(), |peer| format!("white_list = [\"user:u{peer}\"]\n"));
    let forward = forward.map_or(String::new(), |peer| format!("forward.busy = \"user:u{peer}\"\n"));
    let target =
        target.map_or(String::new(), |peer| format!(", {{ to = \"user:u{peer}\", delay = \"{delay}s\" }}"));
    let number = to.map_or(String::new(), |to| format!("[number.\"+493012345{at}\"]\nto = \"user:u{to}\"\n"));
    format!(
        "{}[user.u{at}]\n{junk}ext = \"{}\"\nring_for = \"{ring_for}s\"\ncall_paths = {paths}\n{allow}{block}{white}voicemail.enabled = {mailbox}\n\
         [[user.u{at}.rule]]\nname = \"Open\"\nwhen = \"{when}\"\nenabled = {enabled}\nring.targets = [\"self\"{target}]\n{forward}\
         [[user.u{at}.rule]]\nname = \"Default\"\nwhen = \"always\"\nforward.no_answer = \"tel:+4917012345{at}\"\n\
         [device.d{at}]\nuser = \"u{at}\"\nauth = {{ user = \"d{at}\", secret = \"{secret}\" }}\n{number}",
        "# a line\n".repeat(*lines),
        100 + at + ext * 50
    )
}

fn files(people: &[Person]) -> Files {
    let people =
        people.iter().enumerate().map(|(at, person)| (format!("u{at}.toml").into(), text(at, person).into()));
    Files(people.chain([("domain.toml".into(), TOP.into())]).collect())
}

fn shown(diagnostic: &Diagnostic, place: Place) -> String {
    format!("{place} {diagnostic:?}")
}

/// The whole way.
fn whole(files: &Files) -> Option<(Workshop<String>, Arc<Vec<String>>)> {
    let materials = load(files, Some(jiff::Timestamp::UNIX_EPOCH));
    let findings: Vec<String> =
        materials.loaded.diagnostics.iter().map(|d| shown(d, files.place(d.span))).collect();
    let findings = Arc::new(findings);
    if materials.loaded.diagnostics.iter().any(is_error) {
        return None;
    }
    let domain = Domain::compile(materials.loaded.model.as_ref()?, Secrets::default(), 1).ok()?;
    Some((Workshop::of(materials, Arc::new(domain), findings.clone())?, findings))
}

/// Carries the edits out both ways; how many went the short one.
fn both_ways(mut people: Vec<Person>, edits: Vec<(usize, Person)>) -> Result<usize, TestCaseError> {
    let Some((mut workshop, _)) = whole(&files(&people)) else { return Ok(0) };
    let mut short = 0;
    for (generation, (at, person)) in (2..).zip(edits) {
        let mut next = people.clone();
        next[at] = person;
        let after = Arc::new(files(&next));
        let standing = workshop.domain.encoded();
        let edited = workshop.edit(&after, generation, shown);
        match (whole(&after), edited) {
            (Some((anew, findings)), Some(edited)) => {
                prop_assert_eq!(&edited.findings, &findings);
                prop_assert!(edited.domain.encoded() == anew.domain.encoded(), "other bytes of {:#?}", after);
                let again = Domain::decode(edited.domain.encoded().to_vec(), 1).unwrap();
                prop_assert_eq!(again.user_count(), USERS);
                // Taken back and made again it is the same.
                workshop.take_back(edited.undo);
                prop_assert!(workshop.domain.encoded() == standing);
                let edited = workshop.edit(&after, generation, shown).unwrap();
                prop_assert_eq!(edited.findings, findings);
                workshop.accept(Arc::new(edited.domain));
                (short, people) = (short + 1, next);
            }
            (Some((anew, _)), None) => (workshop, people) = (anew, next),
            // Refused: what is in force stays.
            (None, edited) => prop_assert!(edited.is_none(), "the whole way refuses {:#?}", after),
        }
    }
    Ok(short)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_short_way_leads_where_the_whole_one_does(
        people in prop::collection::vec(person(), USERS),
        edits in prop::collection::vec((0..USERS, person()), 1..6),
    ) {
        both_ways(people, edits)?;
    }

    #[test]
    fn small_edits_go_the_short_way_and_lead_where_the_whole_one_does(
        person in person(),
        edits in prop::collection::vec((0..USERS, 10..60_u32, 0..3_usize, 0..40_u32, prop::option::of(0..USERS)), 1..8),
    ) {
        let person = Person { junk: "", ext: 0, mailbox: true, white: None, ..person };
        let people = vec![Person { block: Some("list:spam"), allow: None, ..person.clone() }; USERS];
        let edits: Vec<_> = edits
            .into_iter()
            .map(|(at, ring_for, lines, delay, forward)| {
                (at, Person { ring_for, lines, delay, forward, ..people[at].clone() })
            })
            .collect();
        if whole(&files(&people)).is_some() {
            both_ways(people, edits)?;
        }
    }
}

/// The people of a domain in which nobody is special.
fn plain() -> Vec<Person> {
    let person = Person {
        lines: 0,
        ring_for: 20,
        allow: None,
        block: Some("list:spam"),
        white: None,
        forward: None,
        target: Some(1),
        delay: 5,
        enabled: true,
        when: "open",
        mailbox: true,
        to: Some(2),
        secret: "env:X",
        ext: 0,
        paths: 2,
        junk: "",
    };
    vec![person; USERS]
}

#[test]
fn what_concerns_one_user_goes_the_short_way() {
    let edit = |change: fn(&mut Person)| {
        let mut person = plain().remove(3);
        change(&mut person);
        both_ways(plain(), vec![(3, person)]).unwrap()
    };
    let short: [fn(&mut Person); 7] = [
        |p| p.ring_for = 40,
        |p| p.lines = 2,
        |p| p.forward = Some(4),
        |p| p.target = Some(5),
        |p| p.delay = 7,
        |p| p.secret = "plain:a",
        |p| p.block = Some("+49302."),
    ];
    // From outside of the rules to inside of them: that is what the whole domain has a list of.
    let whole: [fn(&mut Person); 8] = [
        |p| p.ext = 1,
        |p| p.mailbox = false,
        |p| p.to = Some(4),
        |p| p.white = Some(4),
        |p| p.when = "late",
        |p| p.allow = Some("list:other"),
        |p| p.junk = "caller_id = { external = { number = \"+493012345\" } }\n",
        |p| p.junk = "vanity = false\ncaller_id.external.number = \"+493012345\"\n",
    ];
    let went = |edits: &[fn(&mut Person)]| edits.iter().map(|change| edit(*change)).collect::<Vec<_>>();
    assert_eq!(went(&short), [1, 1, 1, 1, 1, 0, 1]);
    assert_eq!(went(&whole), [0; 8]);
}

#[test]
fn a_finding_that_stands_at_the_same_byte_of_another_line_is_told_of_there() {
    // Whoever rings longer than that is warned of at a byte that stays.
    let text =
        |head: &str| format!("{head}{}", text(3, &Person { delay: 39, ring_for: 20, ..plain().remove(3) }));
    let with = |head: &str| {
        let mut files = files(&plain());
        files.0.insert("u3.toml".into(), text(head).into());
        files
    };
    let (before, after) = (with("# aaa\n"), Arc::new(with("# a\n\n\n")));
    let (mut workshop, told) = whole(&before).unwrap();
    let (_, expected) = whole(&after).unwrap();
    assert_ne!(told, expected, "something is said below that line");
    assert_eq!(workshop.edit(&after, 2, shown).unwrap().findings, expected);
}

#[test]
fn other_files_and_several_files_go_the_whole_way() {
    let people = plain();
    let (mut workshop, _) = whole(&files(&people)).unwrap();
    let mut two = files(&people);
    for at in [1, 2] {
        two.0.insert(
            format!("u{at}.toml").into(),
            text(at, &Person { ring_for: 33, ..people[at].clone() }).into(),
        );
    }
    let mut more = files(&people);
    more.0.insert("more.toml".into(), "schema = 1\n".into());
    let mut top = files(&people);
    top.0.insert("domain.toml".into(), TOP.replace("20s", "21s").into());
    for files in [two, more, top, files(&people)] {
        assert!(workshop.edit(&Arc::new(files), 2, shown).is_none());
    }
}
