//! The offices that runs take place in: drawn once, each in several generations, compiled once and shared by all runs.

use super::dice::Dice;
use crate::DOMAIN;
use ringtree::rules::compile::Secrets;
use ringtree::rules::diagnostic::Files;
use ringtree::rules::{Domain, Ruleset};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

/// Offices that are drawn, and generations of each.
const OFFICES: u64 = 16;
pub const GENERATIONS: u64 = 4;

/// The trunks, and where each leads: the second address of the first one is its other server.
pub const TRUNKS: [(&str, &[&str]); 2] =
    [("one", &["10.2.0.1:5060", "10.2.0.2:5060"]), ("two", &["10.2.1.1:5060"])];
/// Whom users don't want to hear from.
pub const BLOCKED: &str = "+12025550666";

pub struct Office {
    pub generations: Vec<Arc<Ruleset>>,
    /// Device, user, address: of some devices two contacts.
    pub phones: Vec<(String, String, SocketAddr)>,
    pub extensions: Vec<String>,
    pub users: Vec<String>,
}

/// The office that the seed of a run falls on.
pub fn office(at: u64) -> &'static Office {
    static ALL: LazyLock<Vec<Office>> = LazyLock::new(|| (0..OFFICES).map(drawn).collect());
    &ALL[(at % OFFICES) as usize]
}

fn drawn(number: u64) -> Office {
    let mut dice = Dice::new(0x0ff1ce + number);
    let users = 2 + dice.below(5);
    let mut phones = Vec::new();
    let mut devices = String::new();
    for user in 0..users {
        for device in 0..dice.weighed(&[(3, 1), (3, 2), (2, 3), (2, 4)]) {
            let name = format!("u{user}d{device}");
            let contacts = if dice.chance(15) { 2 } else { 1 };
            let hosts: Vec<String> =
                (0..contacts).map(|contact| format!("10.1.{user}.{}", 1 + device * 8 + contact)).collect();
            let from: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
            let _ = write!(
                devices,
                "[device.{name}]\nuser = \"u{user}\"\nprimary = {}\naccept_from = [{}]\n",
                device == 0,
                from.join(", ")
            );
            for host in hosts {
                phones.push((name.clone(), format!("u{user}"), format!("{host}:5060").parse().unwrap()));
            }
        }
    }
    let generations = (1..=GENERATIONS)
        .map(|generation| {
            // What an edit changes: the rules of the users, and nothing of who is there.
            let mut dice = Dice::new(0x0ff1ce + number + (generation << 32));
            let mut text = domain(number);
            for user in 0..users {
                text += &person(&mut dice, user, users);
            }
            text += &devices;
            Arc::new(compiled(&text, generation))
        })
        .collect();
    Office {
        generations,
        phones,
        extensions: (0..users).map(|user| format!("{}", 100 + user)).collect(),
        users: (0..users).map(|user| format!("u{user}")).collect(),
    }
}

fn domain(number: u64) -> String {
    let channels = if number.is_multiple_of(3) { "channels = 2\n" } else { "" };
    let ping = if number % 4 == 1 { "ping = \"30s\"\n" } else { "" };
    let mut text = format!(
        "schema = 1\n[domain]\nname = \"{DOMAIN}\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\nring_for = \"8s\"\n\
         [codes]\npickup = \"*8\"\n\
         [announce.closed]\nfile = \"closed.wav\"\n\
         [conference.daily]\next = \"820\"\nmax = 3\n\
         [trunk.one]\nproxy = \"one.example\"\naccept_from = [\"10.2.0.1\", \"10.2.0.2\"]\n{channels}{ping}\
         [trunk.two]\nproxy = \"two.example\"\naccept_from = [\"10.2.1.1\"]\n\
         [class.national]\nmatch = [\"+1.\"]\n[class.emergency]\nmatch = [\"911\"]\n\
         [[route]]\nclasses = [\"national\", \"emergency\"]\nvia = [\"one\", \"two\"]\n"
    );
    if number.is_multiple_of(2) {
        text += "[policy]\nreject_blocked = \"announce:closed\"\n";
    }
    text
}

/// A user with one rule, forwarding to none but those after them: nobody goes round.
fn person(dice: &mut Dice, user: u64, users: u64) -> String {
    let mut text = format!(
        "[user.u{user}]\next = \"{}\"\nvoicemail = {{ enabled = false }}\nblock = [\"{BLOCKED}\"]\n",
        100 + user
    );
    if dice.chance(30) {
        text += "call_waiting = false\n";
    }
    if dice.chance(15) {
        text += "record = \"always\"\n";
    }
    let _ = writeln!(
        text,
        "[[user.u{user}.rule]]\nname = \"Away\"\nwhen = \"always\"\nenabled = false\ndnd = true"
    );
    let _ = writeln!(text, "[[user.u{user}.rule]]\nname = \"Default\"\nwhen = \"always\"");
    if dice.chance(8) {
        text += "dnd = true\n";
    }
    let next = (user + 1 < users).then(|| format!("user:u{}", user + 1 + dice.below(users - user - 1)));
    let ring_s = dice.between(4, 9);
    let _ = writeln!(text, "ring_for = \"{ring_s}s\"");
    match dice.below(7) {
        0 => {
            text += "ring.strategy = \"sequential\"\nring.each = \"3s\"\n";
            let other = next.as_deref().unwrap_or("self");
            let _ = writeln!(text, "ring.targets = [\"self:all\", \"{other}\", \"tel:+1202555019{user}\"]");
        }
        1 => {
            let _ = writeln!(
                text,
                "ring.targets = [\"self:all\", {{ to = \"tel:+1202555018{user}\", confirm = \"1\" }}]"
            );
        }
        2 => {
            let other = next.as_deref().unwrap_or("self");
            let _ = writeln!(text, "ring.targets = [\"self:all\", {{ to = \"{other}\", delay = \"2s\" }}]");
        }
        // What was heard of the first before it came to nothing goes on with the next, who is asked.
        4 => {
            let _ = write!(
                text,
                "ring.targets = [\"tel:+1202555016{user}\"]\nring.timeout = \"4s\"\nforward.no_answer = {{ to = \"tel:+1202555018{user}\", confirm = \"1\" }}\n"
            );
        }
        3 if next.is_some() => {
            let other = next.as_deref().unwrap_or("self");
            let _ = writeln!(
                text,
                "ring.strategy = \"sequential-memory\"\nring.each = \"3s\"\nring.targets = [\"self\", \"self:all\", \"{other}\"]"
            );
        }
        _ => text += "ring.targets = [\"self:all\"]\n",
    }
    if dice.chance(20) {
        let _ = writeln!(text, "ring.missed_calls = \"{}\"", dice.pick(&["never", "always"]));
    }
    let onward = |dice: &mut Dice| match (dice.below(6), &next) {
        (0..=2, Some(next)) => next.clone(),
        (3, _) => format!("tel:+1202555017{user}"),
        (4, _) => "announce:closed".to_owned(),
        _ => "reject:480".to_owned(),
    };
    if dice.chance(10) {
        let to = onward(dice);
        let _ = writeln!(text, "forward.always = \"{to}\"");
    }
    for key in ["busy", "no_answer", "declined", "offline"] {
        if dice.chance(40) && !text.contains(&format!("forward.{key}")) {
            let to = onward(dice);
            let _ = writeln!(text, "forward.{key} = \"{to}\"");
        }
    }
    let _ = writeln!(text, "[number.\"+120255501{user:02}\"]\nto = \"user:u{user}\"");
    text
}

fn compiled(text: &str, generation: u64) -> Ruleset {
    let files = Files([(Arc::from("domain.toml"), Arc::from(text))].into());
    let loaded = ringtree::rules::source::load(&files);
    let said = || ringtree::rules::diagnostic::render(&files, &loaded.diagnostics, false);
    let Some(model) = &loaded.model else { panic!("{}\n{text}", said()) };
    let Ok(domain) = Domain::compile(model, Secrets::default(), generation) else {
        panic!("{}\n{text}", said())
    };
    Ruleset::new([Arc::new(domain)])
}
