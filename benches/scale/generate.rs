//! A domain as real as the examples, of any size: a file a user with five rules, a phone, lists, a white list now and then, a mailbox;
//! numbers, sites, trunks, classes, time frames and a block list of a thousand numbers beside them. The same size gives the same text.

use ringtree::rules::diagnostic::Files;
use std::fmt::Write as _;

const BLOCKED: usize = 1000;
const DEPARTMENTS: usize = 20;

/// The domain's name.
pub fn name(domain: usize) -> String {
    format!("d{domain:04}.example")
}

pub fn files(domain: usize, users: usize) -> Files {
    let mut files = Files::default();
    files.0.insert("domain.toml".into(), top(domain).into());
    files.0.insert("lists/nuisance.txt".into(), nuisance().into());
    for user in 0..users {
        files.0.insert(path(user).into(), text(user, users, 20).into());
    }
    files
}

pub fn path(user: usize) -> String {
    format!("users/u{user:06}.toml")
}

fn number(user: usize) -> String {
    format!("+1202{:07}", 2_000_000 + user)
}

fn top(domain: usize) -> String {
    format!(
        r#"# The shared part: what every user's rules refer to.
schema = 1

[domain]
name       = "{name}"
timezone   = "America/New_York"
country    = "US"
area_code  = "202"
max_hops   = 8
ring_for   = "25s"
call_paths = 2
outside_line = "9"
caller_id  = {{ name = "Example {domain}", number = "+12025550100" }}

[policy]
reject_blocked   = "607"
reject_anonymous = "433"
device_decline   = "stop"

[calendar.us-holidays]
dates  = [{{ on = 2026-12-25, name = "Christmas" }}, {{ on = 2027-01-01, name = "New Year" }}]
yearly = [{{ on = "07-04", name = "Independence Day" }}, {{ on = "nov 4th thu", name = "Thanksgiving" }}]

[time_frame.holidays]
calendar = "us-holidays"

[time_frame.open]
weekly = ["mon-thu 08:00-17:30", "fri 08:00-13:00"]
except = ["holidays"]

[time_frame.lunch]
weekly = ["mon-fri 12:00-13:00"]
except = ["holidays"]

[time_frame.night]
weekly = ["daily 22:00-06:00"]

[list.family]
numbers = ["+12025550171", "+12025550172"]

[list.spam]
numbers = ["+1900.", "+12025550199"]

[list.nuisance]
file = "lists/nuisance.txt"

[trunk.carrier]
proxy       = "192.0.2.10:5060"
transport   = "udp"
accept_from = ["10.{high}.{low}.0/28"]
diversion   = "history-info"
screens_caller_id = true

[class.emergency]
match = ["911", "933"]
[class.local]
match = ["+1202."]
[class.national]
match = ["+1."]
[class.premium]
match = ["+1900."]
[class.international]
match = ["+."]

[[route]]
classes = ["local", "national", "international"]
via     = ["carrier"]
[[route]]
classes = ["emergency"]
via     = ["carrier"]

[emergency]
callback = "front-desk"
location = "main"
[callback.front-desk]
number = "+12025550100"
name   = "Example"
[location.main]
country = "US"
A1 = "DC"
A3 = "Washington"
street = "Harbor St"
house = "200"
postal = "20001"

[number."+12025550100"]
label = "Front desk"
to    = "user:u000000"
"#,
        name = name(domain),
        high = domain / 256,
        low = domain % 256,
    )
}

fn nuisance() -> String {
    (0..BLOCKED).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "+1305{:07}", n * 37);
        text
    })
}

/// One user's file. `ring_for`: what the bench edits.
pub fn text(user: usize, users: usize, ring_for: u32) -> String {
    let peer = |step: usize| (user + step) % users;
    let white = if user % 10 == 3 {
        format!("white_list = [\"user:u{:06}\", \"user:u{:06}\", \"+1202.\"]\n", peer(1), peer(2))
    } else {
        String::new()
    };
    format!(
        r#"# User {user}, department {department}.
[user.u{user:06}]
ext       = "{ext}"
name      = {{ first = "User", last = "Number {user}" }}
email     = ["u{user}@example.com"]
allow     = ["list:family"]
block     = ["list:spam", "list:nuisance", "+1415555{last4:04}"]
block_anonymous = true
caller_id = {{ external = {{ name = "User {user}", number = "{did}" }} }}
{white}
[user.u{user:06}.voicemail]
limit       = 100
say_caller  = true
email       = ["u{user}@example.com"]
email_style = "attachment"

[[user.u{user:06}.rule]]
name = "Night"
when = "night"
dnd  = true

[[user.u{user:06}.rule]]
name = "Holidays"
when = "holidays"
forward.always = "voicemail:u{user:06}"

[[user.u{user:06}.rule]]
name     = "Lunch"
when     = "lunch"
ring_for = "{ring_for}s"
ring.targets = ["self:all", {{ to = "user:u{next:06}", delay = "10s" }}]
forward.no_answer = "user:u{after:06}"

[[user.u{user:06}.rule]]
name   = "Open"
when   = "open"
screen = true
ring.strategy = "sequential-memory"
ring.initial  = "5s"
ring.each     = "15s"
ring.timeout  = "60s"
ring.targets  = [
  {{ to = "self:all" }},
  {{ to = "tel:+12025550181", confirm = "1", caller_id_prefix = "OFFICE " }},
  {{ to = "user:u{next:06}" }},
]
forward.busy      = "voicemail:u{user:06}"
forward.no_answer = "user:u{after:06}"

[[user.u{user:06}.rule]]
name = "Default"
when = "always"
ring.strategy = "own"
ring.targets  = ["self"]
forward.no_answer = "voicemail:u{user:06}"

[device.p{user:06}]
user = "u{user:06}"
auth = {{ user = "p{user:06}", secret = "ha1:{ha1:032x}" }}

[number."{did}"]
label = "User {user}"
to    = "user:u{user:06}"
"#,
        department = user % DEPARTMENTS,
        ext = 10_000 + user,
        last4 = user % 10_000,
        did = number(user),
        next = peer(1),
        after = peer(2),
        ha1 = (user as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    )
}
