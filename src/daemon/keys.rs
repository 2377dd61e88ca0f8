//! Every key of `ringtree.toml`, with its unit and its default: what the parser knows, what suggestions are drawn from, and what
//! `ringtree run --print-config` prints. One table, so that none of the three can say something else.

/// One key.
pub struct Key {
    /// The table that it stands in: `sip`.
    pub table: &'static str,
    pub name: &'static str,
    /// Its default as TOML; empty where there is none.
    pub default: &'static str,
    /// What it is, with its unit.
    pub says: &'static str,
}

const fn key(table: &'static str, name: &'static str, default: &'static str, says: &'static str) -> Key {
    Key { table, name, default, says }
}

/// In the order in which they are printed.
pub const KEYS: &[Key] = &[
    key(
        "sip",
        "listen",
        r#"["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"]"#,
        "Where SIP is spoken: `udp://ADDRESS:PORT`, `tcp://`, `tls://` (5061 by custom), and for browsers `ws://` and `wss://`. Port 0 takes \
         a free one, and `run` prints it.",
    ),
    key(
        "sip",
        "advertise",
        "",
        "`HOST` or `HOST:PORT` of our Via and Contact, where phones reach us by another address than we listen on (NAT). \
         PORT is that of UDP and TCP; the others say the port that they listen on. Default: the address listened on.",
    ),
    key(
        "sip",
        "tls",
        "",
        "`{ certificate = \"FILE\", key = \"FILE\" }`: PEM files, the certificate with its chain, the key without a password. `tls://` and `wss://` \
         show it, and we show it to trunks that ask. `names = { \"sip.branch.example\" = { certificate = \"FILE\", key = \"FILE\" } }`: what is \
         shown instead to who asks for that name (SNI). `client_ca = \"FILE\"`: clients of `tls://` are asked for a certificate, and one that is signed by \
         these and names the `proxy` of a trunk with `transport = \"tls\"` is that trunk. `ca = \"FILE\"`: who signs the certificates of trunks; \
         default: the system's, /etc/ssl/certs/ca-certificates.crt. SIGHUP reads all of them again; connections that stand go on, and if a file \
         is wrong everything stays as it was.",
    ),
    key(
        "sip",
        "default_domain",
        "",
        "The domain of a request whose Request-URI carries an address, and whose credentials and trunk don't tell it. \
         Default: the only domain loaded, if it is the only one.",
    ),
    key(
        "sip",
        "digest",
        r#"["md5", "sha-256"]"#,
        "The digest algorithms that challenges offer, in this order. Old phones give up when SHA-256 stands first.",
    ),
    key(
        "sip",
        "expires_min",
        r#""60s""#,
        "The shortest registration; a shorter wish is answered 423. A duration: `90s`, `1h30m`.",
    ),
    key("sip", "expires_max", r#""1h""#, "The longest registration; a longer wish is cut to it. A duration."),
    key("sip", "expires_default", r#""1h""#, "The registration of a phone that doesn't say. A duration."),
    key(
        "sip",
        "expires_spread",
        "10",
        "Hundredths, 0 to 50: a registration is granted up to so much less than was wished for, drawn each time, so that phones that came all \
         at once don't come back all at once. Never less than `expires_min`.",
    ),
    key(
        "sip",
        "session_expires",
        r#""30m""#,
        "Session-Expires (RFC 4028): how long an answered call lasts on either side without a sign of life from the party there. We refresh at \
         half of it, or they do. A duration.",
    ),
    key(
        "sip",
        "min_se",
        r#""90s""#,
        "Min-SE (RFC 4028): the shortest such interval; a shorter wish is answered 422. Less than `90s` is against the RFC, and for tests. A duration.",
    ),
    key(
        "sip",
        "nameservers",
        "[]",
        "The name servers that proxies of trunks are looked up by (NAPTR, SRV, A, AAAA), as `ADDRESS` or `ADDRESS:PORT`. Default: \
         those of the system (`/etc/resolv.conf`).",
    ),
    key(
        "sip",
        "unsolicited_mwi",
        "false",
        "Whether a phone that has just registered is told what waits in its user's mailbox without having subscribed: for models that don't \
         subscribe.",
    ),
    key(
        "media",
        "listen",
        r#""127.0.0.1""#,
        "The address that media is relayed on. `::` is every address of both families.",
    ),
    key(
        "media",
        "advertise",
        "",
        "The address in SDP, where phones reach the relay by another one (NAT). Default: `listen`.",
    ),
    key(
        "media",
        "ports",
        r#""20000-40000""#,
        "The range of UDP ports for media, both ends inside; a call takes four. `\"0\"`: any that the system has free.",
    ),
    key(
        "media",
        "advertise_ipv6",
        "",
        "The IPv6 address in SDP to whoever is reached by IPv6, with `listen = \"::\"` and the IPv4 address in `advertise`: calls then go \
         between both families. Default: none, and everybody is told `advertise`.",
    ),
    key(
        "media",
        "dscp",
        "46",
        "The code point (RFC 2474) that media packets are marked with, 0 to 63. 46 is expedited forwarding, the class for voice.",
    ),
    key(
        "media",
        "srtp",
        r#""optional""#,
        "Whether media is secured with devices and trunks whose rules don't say `srtp` themselves: `off`, `optional`, `required`.",
    ),
    key("media", "threads", "1", "Relay threads; each has a voice thread beside it."),
    key(
        "media",
        "fast_path",
        "[]",
        "Interfaces, such as `[\"eth0\"]`, where established streams in the clear are passed on in the kernel. Wants a build with `fast-path`, Linux \
         6.6, the rights that docs/calls.md names, and one address in `listen`; where one is missing the log says so, and media goes as without it.",
    ),
    key(
        "voice",
        "prompts",
        r#""prompts""#,
        "Where prompts lie: `LANGUAGE/NAME.wav`, and before them those of a domain, `DOMAIN/LANGUAGE/NAME.wav`. What is in neither is said in English, as built in. Relative paths start at this file's directory.",
    ),
    key("voice", "language", r#""en""#, "The language of the prompts; what it lacks is said in `en`."),
    key(
        "voice",
        "recordings",
        r#""ringtree-data/recordings""#,
        "Where recordings of calls are written, as WAV with the caller on the left: `DOMAIN/DATE/ID.wav`. Directories are made.",
    ),
    key(
        "store",
        "path",
        r#""ringtree-data/store""#,
        "The directory of the store, for the daemon alone. It and its parent are made; what is above must exist. Relative paths start at this file's directory.",
    ),
    key(
        "admin",
        "socket",
        r#""ringtree-data/admin.sock""#,
        "The Unix socket that the command line speaks to.",
    ),
    key("admin", "group", "", "A group whose members may use the socket, as `operator`. Default: none."),
    key(
        "admin",
        "roles",
        "",
        "A table of user (name or number) to `admin`, `operator` or `viewer`. Root and the daemon's own user are always `admin`.",
    ),
    key(
        "rules",
        "load",
        r#"["routing-rules/harbour-dental"]"#,
        "Rule directories that an empty store is filled from: a directory with a `domain.toml` is one domain, any other holds one a child.",
    ),
    key(
        "rules",
        "base",
        "",
        "Where `file:` secrets and audio of the rules are found. Default: the directory that the domain was loaded from.",
    ),
    key(
        "limits",
        "calls",
        "10000",
        "Calls up at once; one more is answered 503. An emergency call never is.",
    ),
    key(
        "limits",
        "connections",
        "20000",
        "TCP, TLS and WebSocket connections that stand at once; one more is closed at once.",
    ),
    key(
        "limits",
        "connections_of_source",
        "5000",
        "Of these from one address, or by IPv6 from one /64: a whole office behind one NAT.",
    ),
    key(
        "limits",
        "stranger_messages",
        "100",
        "Messages a second, with four seconds' worth at once, that a source may send by UDP, and as many by connections, which is neither registered \
         nor an address of a device or trunk; a source is an IPv4 address or an IPv6 /64. More are not read. 0: no limit.",
    ),
    key(
        "limits",
        "stranger_tries",
        "10",
        "Wrong answers to challenges that were sent to it, after which such a source is shut out. One is forgiven every 15 seconds, and one with \
         each phone that registers from there. 0: never.",
    ),
    key(
        "limits",
        "shut_out",
        r#""10m""#,
        "How long a source is shut out the first time; then twice as long each time, up to sixteen times. A duration, at most a week.",
    ),
    key("limits", "drain", r#""2m""#, "How long SIGTERM waits for calls to end by themselves. A duration."),
    key(
        "log",
        "level",
        r#""info""#,
        "`error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,ringtree::switch=debug`. RINGTREE_LOG goes before it.",
    ),
    key(
        "mail",
        "smtp",
        "",
        "Who takes our mail (`mailto:` of `[emergency] notify`): `smtp://HOST:PORT` (25 by default), `smtp://USER:PASSWORD@HOST?tls=required` (587) or \
         `smtps://USER:PASSWORD@HOST` (465). Its certificate is judged as those of trunks. A letter that isn't taken is tried again for an hour, and \
         an `alarm` after that. Default: none, and `apply` says which addresses hear nothing.",
    ),
    key("mail", "from", "", "Who our letters are from. Default: `ringtree@` and the domain of the call."),
];

/// Tables that are promised and read, but not carried out yet: each is named in a warning.
pub const NOT_YET: &[&str] = &["records", "hook"];

/// The whole configuration with every default, as a file to start from.
#[must_use]
pub fn print() -> String {
    let mut out =
        String::from("# Every key of ringtree.toml with its default. A key without one is commented out.\n");
    let mut table = "";
    for key in KEYS {
        if key.table != table {
            table = key.table;
            out.push_str(&format!("\n[{table}]\n"));
        }
        for line in wrap(key.says, 100) {
            out.push_str(&format!("# {line}\n"));
        }
        if key.default.is_empty() {
            out.push_str(&format!("# {} =\n", key.name));
        } else {
            out.push_str(&format!("{} = {}\n", key.name, key.default));
        }
    }
    out
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What was probably meant: the nearest of `known`, if it is near enough.
#[must_use]
pub fn suggest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (written.chars().count() / 3).max(1) + 1;
    known
        .map(|k| (distance(written, k), k))
        .filter(|(d, _)| *d <= bound)
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Edits (insert, delete, replace) between two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i + 1;
        let mut next = vec![before];
        for ((y, diagonal), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            before = (diagonal + usize::from(x != *y)).min(above + 1).min(before + 1);
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_finds_the_key_that_was_meant() {
        let names = || KEYS.iter().filter(|k| k.table == "sip").map(|k| k.name);
        assert_eq!(suggest("lisen", names()), Some("listen"));
        assert_eq!(suggest("default-domain", names()), Some("default_domain"));
        assert_eq!(suggest("colour", names()), None);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
