//! Proxies of trunks, located at the edge (RFC 3263) and told to the signalling plane when what they mean changes: each when the rules
//! first name it, and again when what DNS said has run out.
//!
//! Invariants: a look-up that fails takes nothing away. What was known stands until an answer says otherwise, or until the rules ask something
//! else: what answers another question leads nowhere (a trunk that was changed to TLS never goes on in clear), and the plane is told so.

use crate::admin::Admin;
use crate::admin::generation::Generations;
use crate::call::lines::Server;
use crate::net::clock;
use crate::net::locate::dns::Dns;
use crate::net::locate::{Fault, Found, Question, locate};
use crate::net::signalling::Handle;
use crate::net::signalling::connections::Expected;
use crate::rules::model::TrunkTransport;
use crate::sip::{ServerName, Transport};
use crate::switch::Input;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Bounds of what DNS says of the time that an answer holds: a TTL of 0 must not make us ask without end, nor one of a month keep a
/// trunk that has moved.
pub const TTL_MIN: Duration = Duration::from_secs(30);
pub const TTL_MAX: Duration = Duration::from_secs(3600);
/// After a look-up that failed.
pub const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Look-ups that are under way at once; others wait their turn.
const LOOKUPS_MAX: usize = 16;

/// A trunk by its domain and its name.
type Key = (Arc<str>, Arc<str>);

/// What is known of a proxy.
struct Known {
    question: Question,
    /// The host that is asked for, as the plane knows it.
    name: ServerName,
    /// `None`: no answer has ever come.
    servers: Option<Vec<Server>>,
    /// When it is asked again; `None`: never (it is an address).
    again: Option<Instant>,
    failing: bool,
}

/// The names of servers by number. A number is never given twice; those of names that nobody has any more are forgotten.
#[derive(Default)]
struct Names {
    by_host: BTreeMap<String, ServerName>,
    given: u32,
}

impl Names {
    fn of(&mut self, host: &str) -> ServerName {
        let given = &mut self.given;
        *self.by_host.entry(host.to_ascii_lowercase()).or_insert_with(|| {
            *given = given.wrapping_add(1);
            ServerName(*given)
        })
    }

    fn keep(&mut self, used: impl Iterator<Item = ServerName>) {
        let used: BTreeSet<ServerName> = used.collect();
        self.by_host.retain(|_, name| used.contains(name));
    }
}

/// Who is asked, and what we can send by.
pub struct Locating {
    /// Name servers; empty: the system's.
    pub nameservers: Vec<SocketAddr>,
    pub ours: Vec<(Transport, SocketAddr)>,
}

/// Runs as long as the daemon does.
pub async fn keep_located(admin: Arc<Admin>, locating: Locating) {
    let mut applied = admin.events.applied();
    let mut known: BTreeMap<Key, Known> = BTreeMap::new();
    let mut names = Names::default();
    let mut is_changed = false;
    loop {
        renew(&mut known, &mut names, questions(&admin.generations), clock::mono());
        if is_changed {
            // A trunk that went from the rules and came back is as new to the plane, and may be no change here; one that is asked for
            // anew leads nowhere, whatever an answer said that came when the rules had just changed.
            known.iter().for_each(|(key, of)| of.tell(key, &admin.plane));
        }
        look_up_due(&mut known, &locating, &admin).await;
        let next = known.values().filter_map(|of| of.again).min();
        let until = next.unwrap_or_else(|| clock::mono() + TTL_MAX);
        is_changed = matches!(tokio::time::timeout_at(until.into(), applied.changed()).await, Ok(Ok(())));
    }
}

/// What the rules ask now: what stays the same is known as before, and of everything else nothing.
fn renew(known: &mut BTreeMap<Key, Known>, names: &mut Names, asked: BTreeMap<Key, Question>, now: Instant) {
    known.retain(|key, of| asked.get(key) == Some(&of.question));
    for (key, question) in asked {
        let name = names.of(&question.host);
        let new = Known { question, name, servers: None, again: Some(now), failing: false };
        known.entry(key).or_insert(new);
    }
    names.keep(known.values().map(|of| of.name));
}

/// Looks up all that is due, some at a time.
async fn look_up_due(known: &mut BTreeMap<Key, Known>, locating: &Locating, admin: &Admin) {
    let now = clock::mono();
    let is_due = |of: &Known| of.again.is_some_and(|again| again <= now);
    let mut due: Vec<(Key, Question)> = known
        .iter()
        .filter(|(_, of)| is_due(of))
        .map(|(key, of)| (key.clone(), of.question.clone()))
        .collect();
    if due.is_empty() {
        return;
    }
    // Made anew each time: the system's name servers may have changed since.
    let dns = Dns::new(&locating.nameservers);
    let mut running = JoinSet::new();
    loop {
        while let Some((key, question)) = due.pop_if(|_| running.len() < LOOKUPS_MAX) {
            let (dns, ours) = (dns.clone(), locating.ours.clone());
            running.spawn(async move {
                let found = match dns {
                    Ok(dns) => locate(&dns, &question, &ours).await,
                    Err(why) => Err(Fault::NoAnswer { name: question.host, why }),
                };
                (key, found)
            });
        }
        let Some(first) = running.join_next().await else { return };
        // What has come meanwhile is told with it: who is expected where is one table of all trunks, and thousands answer at a start.
        let answers = std::iter::once(first).chain(std::iter::from_fn(|| running.try_join_next()));
        let mut news = Vec::new();
        for (key, found) in answers.flatten() {
            // A task that broke is asked again: it is still due.
            let is_news = known.get_mut(&key).is_some_and(|of| of.learn(clock::mono(), &key, found));
            let is_asked = |of: &Known| is_asked(&admin.generations, &key, &of.question);
            if is_news && known.get(&key).is_some_and(is_asked) {
                news.push(key);
            }
        }
        if news.is_empty() {
            continue;
        }
        admin.plane.expect(expected(known)); // before the addresses: the first message to one may follow at once
        for key in news {
            known.get(&key).inspect(|of| of.tell(&key, &admin.plane));
        }
    }
}

impl Known {
    /// Whether what it says is news to the plane.
    fn learn(&mut self, now: Instant, (domain, trunk): &Key, found: Result<Found, Fault>) -> bool {
        match found {
            Ok(Found { mut servers, ttl }) => {
                let secure = servers.iter_mut().filter(|server| server.transport.is_secure());
                secure.for_each(|server| server.name = Some(self.name));
                self.again = ttl.map(|ttl| now + ttl.clamp(TTL_MIN, TTL_MAX));
                if std::mem::take(&mut self.failing) {
                    tracing::info!(%domain, %trunk, "{} is resolved again", self.question.host);
                }
                let is_news = self.is_news(&servers);
                if is_news {
                    tracing::info!(%domain, %trunk, ?servers, "{} is resolved", self.question.host);
                }
                self.servers = Some(servers);
                is_news
            }
            Err(fault) => {
                self.again = Some(now + AGAIN_AFTER);
                if !std::mem::replace(&mut self.failing, true) {
                    let kept = match &self.servers {
                        Some(_) => "what was known before stands",
                        None => "no call goes out by it until it can",
                    };
                    tracing::warn!(%domain, %trunk, "{fault}; {kept}, and it is asked again");
                }
                false
            }
        }
    }

    fn tell(&self, (domain, trunk): &Key, plane: &Handle) {
        let (domain, trunk, servers) = (domain.clone(), trunk.clone(), self.places());
        plane.input(Input::TrunkResolved { domain, trunk, servers });
    }

    /// Where it leads, as far as its own question was ever answered.
    fn places(&self) -> Vec<Server> {
        self.servers.clone().unwrap_or_default()
    }

    /// Name servers turn their answers round for balance; that alone is no change.
    fn is_news(&self, servers: &[Server]) -> bool {
        let sorted = |servers: &[Server]| {
            let mut servers = servers.to_vec();
            servers.iter_mut().for_each(|server| server.addresses.sort_unstable());
            servers.sort_unstable();
            servers
        };
        self.servers.as_deref().map(sorted) != Some(sorted(servers))
    }
}

/// What is to be asked for each trunk that has a proxy.
fn questions(generations: &Generations) -> BTreeMap<Key, Question> {
    let mut asked = BTreeMap::new();
    for live in generations.all() {
        for trunk in live.domain.trunks() {
            if let Some(proxy) = &trunk.proxy {
                let key = (live.stored.domain.clone(), trunk.name.clone());
                asked.insert(key, question(proxy, trunk.transport));
            }
        }
    }
    asked
}

/// Whether the rules still ask that: an answer may come when they have changed.
fn is_asked(generations: &Generations, (domain, trunk): &Key, asked: &Question) -> bool {
    let live = generations.domain(domain);
    let trunk = live.as_ref().and_then(|live| live.domain.trunk(trunk));
    let now = trunk.and_then(|trunk| Some(question(trunk.proxy.as_deref()?, trunk.transport)));
    now.as_ref() == Some(asked)
}

/// Who is at which address: the name in the configuration, wherever it led (RFC 5922 §4).
fn expected(known: &BTreeMap<Key, Known>) -> Expected {
    let mut expected = Expected::default();
    for of in known.values() {
        let name: Arc<str> = of.question.host.as_str().into();
        // Nobody has to show who they are where nothing goes by TLS.
        if of.servers.iter().flatten().any(|server| server.transport.is_secure()) {
            expected.by_name.insert(of.name, name.clone());
        }
        for address in of.servers.iter().flatten().flat_map(|server| &server.addresses) {
            let names = expected.by_address.entry(*address).or_default();
            if !names.contains(&name) {
                names.push(name.clone());
            }
        }
    }
    expected
}

/// `host`, `host:port`, `[v6]:port`.
fn question(proxy: &str, transport: TrunkTransport) -> Question {
    let transport = transport.only();
    let bare = proxy.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Question { host: bare.to_owned(), port: None, transport };
    }
    let (host, port) = match proxy.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (proxy, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Question { host, port, transport }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_perhaps_a_port() {
        for (proxy, host, port) in [
            ("127.0.0.2", "127.0.0.2", None),
            ("127.0.0.2:5080", "127.0.0.2", Some(5080)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:5080", "::1", Some(5080)),
            ("sip.carrier.example", "sip.carrier.example", None),
            ("sip.carrier.example:5070", "sip.carrier.example", Some(5070)),
        ] {
            let expected = Question { host: host.to_owned(), port, transport: Some(Transport::Udp) };
            assert_eq!(question(proxy, TrunkTransport::Udp), expected, "{proxy}");
        }
    }

    fn known() -> (Key, Known) {
        let question = question("carrier.example", TrunkTransport::Udp);
        let key = ("pbx.example".into(), "carrier".into());
        (key, Known { question, name: ServerName(1), servers: None, again: None, failing: false })
    }

    fn found(last: u8, ttl_s: u64) -> Found {
        let addresses = vec![SocketAddr::from(([192, 0, 2, last], 5060))];
        let servers = vec![Server { rank: 0, transport: Transport::Udp, weight: 0, addresses, name: None }];
        Found { servers, ttl: Some(Duration::from_secs(ttl_s)) }
    }

    #[test]
    fn a_look_up_that_fails_takes_nothing_away() {
        let (key, mut known) = known();
        let now = clock::mono();
        let fault = || Err(Fault::NoAnswer { name: "carrier.example".to_owned(), why: "timeout".to_owned() });
        assert!(known.learn(now, &key, Ok(found(1, 60))));
        assert!(!known.learn(now, &key, fault()));
        assert_eq!(
            (known.servers.clone(), known.again),
            (Some(found(1, 60).servers), Some(now + AGAIN_AFTER))
        );
        assert!(!known.learn(now, &key, Ok(found(1, 60))), "what stood all the time is no news");
        assert!(known.learn(now, &key, Ok(found(2, 60))));
    }

    #[test]
    fn what_answers_another_question_leads_nowhere() {
        let (key, of) = known();
        let now = clock::mono();
        for (proxy, transport) in
            [("carrier.example", TrunkTransport::Tls), ("other.example", TrunkTransport::Udp)]
        {
            let (mut all, mut names) = (BTreeMap::new(), Names::default());
            let ask = |proxy, transport| BTreeMap::from([(key.clone(), question(proxy, transport))]);
            renew(&mut all, &mut names, ask("carrier.example", TrunkTransport::Udp), now);
            all.get_mut(&key).unwrap().learn(now, &key, Ok(found(1, 60)));
            renew(&mut all, &mut names, ask("carrier.example", TrunkTransport::Udp), now);
            assert_eq!(all[&key].places(), found(1, 60).servers, "the same question stands");
            renew(&mut all, &mut names, ask(proxy, transport), now);
            all.get_mut(&key).unwrap().learn(
                now,
                &key,
                Err(Fault::NoListener { name: "carrier.example".to_owned(), transport: "tls" }),
            );
            assert_eq!(all[&key].places(), [], "{proxy}");
        }
        assert_eq!(of.places(), [], "nor does what was never answered");
    }

    #[test]
    fn what_dns_says_of_time_has_bounds() {
        let (key, mut known) = known();
        let now = clock::mono();
        for (ttl_s, holds) in [(0, TTL_MIN), (300, Duration::from_secs(300)), (u64::MAX, TTL_MAX)] {
            known.learn(now, &key, Ok(found(1, ttl_s)));
            assert_eq!(known.again, Some(now + holds), "{ttl_s}");
        }
        known.learn(now, &key, Ok(Found { ttl: None, ..found(1, 0) }));
        assert_eq!(known.again, None, "an address is never asked again");
    }

    #[test]
    fn a_name_has_its_number_for_as_long_as_somebody_has_it_and_no_other_gets_it() {
        let mut names = Names::default();
        let (one, other) = (names.of("carrier.example"), names.of("other.example"));
        assert_ne!(one, other);
        assert_eq!(names.of("Carrier.Example"), one);
        names.keep([one].into_iter());
        assert_eq!(names.of("carrier.example"), one);
        assert!(![one, other].contains(&names.of("other.example")));
    }

    #[test]
    fn what_is_reached_by_tls_is_reached_by_its_name() {
        let (key, mut known) = known();
        let mut both = found(1, 60);
        both.servers.push(Server { transport: Transport::Tls, ..both.servers[0].clone() });
        known.learn(clock::mono(), &key, Ok(both));
        let names = known.servers.unwrap().iter().map(|server| server.name).collect::<Vec<_>>();
        assert_eq!(names, [None, Some(ServerName(1))]);
    }

    #[test]
    fn an_answer_that_is_only_turned_round_is_no_news() {
        let address = |last: u8| SocketAddr::from(([192, 0, 2, last], 5060));
        let server = |a, b| Server {
            rank: 0,
            transport: Transport::Udp,
            weight: 0,
            addresses: vec![address(a), address(b)],
            name: None,
        };
        let (_, mut known) = known();
        assert!(known.is_news(&[server(1, 2)]));
        known.servers = Some(vec![server(1, 2)]);
        assert!(!known.is_news(&[server(2, 1)]));
        assert!(known.is_news(&[server(1, 3)]));
        assert!(known.is_news(&[]));
    }
}
