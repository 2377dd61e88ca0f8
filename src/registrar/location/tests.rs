//! The rules of RFC 3261 §10.3, each as a claim.

mod flows;
mod random;

use super::*;
use crate::sip::{ConnectionId, Transport, Writer};

const EXPIRY: Expiry = Expiry { min_s: 60, max_s: 7_200, default_s: 3_600, spread_percent: 0 };
const SOURCE: &str = "198.51.100.9:5060";

struct Registrar {
    location: Location,
    now: Now,
    cseq: u32,
    lot: u64,
    expiry: Expiry,
    /// Fields of its REGISTERs beside those that all have.
    more: &'static [(Name, &'static str)],
    changes: Vec<Change>,
}

fn device(name: &str) -> DeviceKey {
    DeviceKey { domain: "harbour.example".into(), device: name.into() }
}

fn udp(remote: &str) -> Flow {
    let local = "192.0.2.1:5060".parse().unwrap();
    Flow { transport: Transport::Udp, local, remote: remote.parse().unwrap(), connection: None }
}

fn tcp(connection: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        connection: Some(ConnectionId(connection)),
        ..udp("198.51.100.9:40000")
    }
}

/// Our listeners. TCP has another port, so that it shows which one is taken.
fn bound() -> [(Transport, SocketAddr); 4] {
    let at = |transport, address: &str| (transport, address.parse().unwrap());
    [
        at(Transport::Tls, "192.0.2.1:5061"),
        at(Transport::Udp, "[2001:db8::1]:5060"),
        at(Transport::Udp, "192.0.2.1:5060"),
        at(Transport::Tcp, "192.0.2.1:5070"),
    ]
}

impl Registrar {
    #[allow(clippy::disallowed_methods)] // an origin for virtual time
    fn new() -> Registrar {
        let wall = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        let now = Now { mono: Instant::now(), wall };
        Registrar {
            location: Location::default(),
            now,
            cseq: 0,
            lot: 0,
            expiry: EXPIRY,
            more: &[],
            changes: Vec::new(),
        }
    }

    fn pass_s(&mut self, seconds: u32) {
        self.now.mono += Duration::from_secs(seconds.into());
        self.now.wall += jiff::SignedDuration::from_secs(seconds.into());
    }

    /// The next REGISTER of the phone 101a: its Contacts, and an Expires field where one is given.
    fn register(&mut self, contacts: &[&str], expires: Option<&str>) -> Result<(), Refusal> {
        self.cseq += 1;
        let mut message = message("call-1", self.cseq, "198.51.100.9", contacts, expires);
        if !self.more.is_empty() {
            let mut text = String::from_utf8(message.bytes().to_vec()).unwrap();
            let fields: String =
                self.more.iter().map(|(name, value)| format!("{}: {value}\r\n", name.word())).collect();
            text = text.replacen("Content-Length", &format!("{fields}Content-Length"), 1);
            message = Message::parse(text.into()).unwrap();
        }
        self.take(&device("101a"), udp(SOURCE), &message)
    }

    fn take(&mut self, device: &DeviceKey, flow: Flow, message: &Message) -> Result<(), Refusal> {
        self.changes.clear();
        let terms = Terms { expiry: self.expiry, domain: "harbour.example", bound: &bound(), lot: self.lot };
        self.location.register(self.now, device, flow, message, &terms, &mut self.changes)
    }

    fn set_clock(&mut self, by: SignedDuration) {
        self.now.wall += by;
        self.changes.clear();
        self.location.clock_was_set(by, &mut self.changes);
    }

    fn contacts(&self) -> Vec<String> {
        self.location.of(&device("101a")).iter().map(|binding| binding.uri.to_string()).collect()
    }

    /// Seconds left of each.
    fn left_s(&self) -> Vec<i64> {
        let left = |binding: &Binding| binding.expires.duration_since(self.now.wall).as_secs();
        self.location.of(&device("101a")).iter().map(left).collect()
    }

    fn status(&mut self, contacts: &[&str], expires: Option<&str>) -> u16 {
        self.register(contacts, expires).map_or_else(|refusal| refusal.status, |()| 200)
    }

    /// What changed last.
    fn changed(&self) -> Vec<&'static str> {
        let word = |change: &Change| match change {
            Change::Added(_) => "added",
            Change::Refreshed(_) => "refreshed",
            Change::Removed { why, .. } => why.word(),
        };
        self.changes.iter().map(word).collect()
    }

    /// What must hold at any time.
    fn check(&self) {
        let mut count = 0;
        for (key, slot) in &self.location.slots {
            let device = &self.location.devices[*slot as usize];
            let bindings = device.bindings();
            assert!(&device.key == key && (1..=CONTACTS_MAX).contains(&bindings.len()));
            assert!(bindings.is_sorted_by_key(|b| (std::cmp::Reverse(b.q), std::cmp::Reverse(b.registered))));
            let keys: std::collections::HashSet<_> = bindings.iter().map(|b| &b.key.contact).collect();
            assert_eq!(keys.len(), bindings.len(), "two bindings of one contact");
            count += bindings.len();
        }
        assert_eq!((self.location.len(), self.location.iter().count()), (count, count));
        assert_eq!(self.location.flows.bindings() as usize, count);
        for slot in self.location.slots.values() {
            let device = &self.location.devices[*slot as usize];
            let sources = (0..device.bindings().len()).filter_map(|at| device.source(at));
            sources.for_each(|source| assert!(self.location.flows.of(source).contains(slot)));
        }
    }
}

fn message(call_id: &str, cseq: u32, sent_by: &str, contacts: &[&str], expires: Option<&str>) -> Message {
    let mut writer = Writer::request("REGISTER", "sip:harbour.example");
    writer
        .header(Name::Via, format_args!("SIP/2.0/UDP {sent_by};branch=z9hG4bK{cseq}"))
        .header(Name::From, "<sip:101@harbour.example>;tag=a")
        .header(Name::To, "<sip:101@harbour.example>")
        .header(Name::CallId, call_id)
        .header(Name::CSeq, format_args!("{cseq} REGISTER"))
        .header(Name::UserAgent, "Phone/1.0");
    for contact in contacts {
        writer.header(Name::Contact, contact);
    }
    if let Some(expires) = expires {
        writer.header(Name::Expires, expires);
    }
    Message::parse(writer.finish()).unwrap()
}

const A: &str = "<sip:101@198.51.100.9>";
const B: &str = "<sip:101@198.51.100.10>";

#[test]
fn the_expires_parameter_beats_the_field_and_the_field_the_default() {
    let mut phone = Registrar::new();
    let with = format!("{A};expires=100");
    assert_eq!(phone.status(&[&with, B], Some("200")), 200);
    let mut left = phone.left_s();
    left.sort_unstable();
    assert_eq!(left, [100, 200]);
    assert_eq!(phone.status(&[A, B], None), 200);
    assert_eq!(phone.left_s(), [3_600, 3_600]);
    assert_eq!(phone.changed(), ["refreshed", "refreshed"]);
}

#[test]
fn a_malformed_expiry_counts_as_absent_and_a_huge_one_is_cut() {
    let mut phone = Registrar::new();
    phone.register(&[&format!("{A};expires=soon")], None).unwrap();
    assert_eq!(phone.left_s(), [3_600]);
    phone.register(&[&format!("{A};expires=99999999999999")], None).unwrap();
    assert_eq!(phone.left_s(), [7_200]);
    phone.register(&[A], Some("-5")).unwrap();
    assert_eq!(phone.left_s(), [3_600]);
}

#[test]
fn too_short_a_wish_is_refused_with_423_and_changes_nothing() {
    let mut phone = Registrar::new();
    phone.register(&[A], None).unwrap();
    let short = format!("{B};expires=59");
    assert_eq!(phone.status(&[&format!("{A};expires=0"), &short], None), 423);
    assert_eq!(phone.contacts(), ["sip:101@198.51.100.9"]);
    assert_eq!(phone.changed(), [""; 0]);
    assert_eq!(phone.status(&[&format!("{B};expires=60")], None), 200);
}

#[test]
fn zero_removes_one_contact_and_the_wildcard_all() {
    let mut phone = Registrar::new();
    phone.register(&[A, B], None).unwrap();
    phone.register(&[&format!("{A};expires=0")], None).unwrap();
    assert_eq!(
        (phone.contacts(), phone.changed()),
        (vec!["sip:101@198.51.100.10".to_owned()], vec!["unregistered"])
    );
    phone.register(&[A], None).unwrap();
    phone.register(&["*"], Some("0")).unwrap();
    assert_eq!(phone.changed(), ["unregistered", "unregistered"]);
    assert!(phone.location.is_empty() && phone.location.by_flow(&udp(SOURCE)).is_none());
    // Removing what isn't there is no mistake.
    assert_eq!(phone.status(&["*"], Some("0")), 200);
    assert_eq!(phone.status(&[A], Some("0")), 200);
    assert_eq!(phone.changed(), [""; 0]);
}

#[test]
fn a_wildcard_with_company_or_without_expires_0_is_refused() {
    let mut phone = Registrar::new();
    phone.register(&[A], None).unwrap();
    for (contacts, expires) in [(vec!["*"], None), (vec!["*"], Some("60")), (vec!["*", B], Some("0"))] {
        assert_eq!(phone.status(&contacts, expires), 400);
        assert_eq!(phone.contacts().len(), 1);
    }
}

#[test]
fn a_register_without_contacts_only_asks() {
    let mut phone = Registrar::new();
    phone.register(&[A], None).unwrap();
    assert_eq!(phone.status(&[], Some("0")), 200);
    assert_eq!((phone.contacts().len(), phone.changed().len()), (1, 0));
}

#[test]
fn an_old_cseq_of_the_same_call_id_is_refused_whole() {
    let mut phone = Registrar::new();
    phone.cseq = 10;
    phone.register(&[A], None).unwrap();
    for cseq in [10, 9] {
        phone.cseq = cseq;
        assert_eq!(phone.status(&[B, A], None), 500);
        phone.cseq = cseq;
        assert_eq!(phone.status(&["*"], Some("0")), 500);
        assert_eq!(phone.contacts(), ["sip:101@198.51.100.9"]);
    }
    // After a restart the phone has another Call-ID, and begins anew.
    let restarted = message("call-2", 1, "198.51.100.9", &[A], None);
    assert_eq!(phone.take(&device("101a"), udp(SOURCE), &restarted), Ok(()));
    assert_eq!(phone.changed(), ["refreshed"]);
}

#[test]
fn contacts_that_can_not_be_called_are_refused() {
    let mut phone = Registrar::new();
    let long = format!("<sip:{}@a>", "x".repeat(3_000));
    let many: Vec<String> = (0..=CONTACTS_MAX).map(|n| format!("<sip:{n}@a>")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for contacts in [&["tel:+12025550101"][..], &["<mailto:a@b>"], &["<>"], &[&long], &many] {
        assert_eq!(phone.status(contacts, None), 400, "{contacts:?}");
    }
    assert!(phone.location.is_empty());
}

#[test]
fn the_best_q_comes_first_and_then_the_newest() {
    let mut phone = Registrar::new();
    for contact in ["<sip:low@a>;q=0.5", "<sip:old@a>", "<sip:new@a>;q=1.0"] {
        phone.register(&[contact], None).unwrap();
        phone.pass_s(1);
    }
    assert_eq!(phone.contacts(), ["sip:new@a", "sip:old@a", "sip:low@a"]);
    phone.register(&["<sip:low@a>;q=0.5", "<sip:new@a>;q=0.1"], None).unwrap();
    assert_eq!(phone.contacts(), ["sip:old@a", "sip:low@a", "sip:new@a"]);
}

#[test]
fn an_instance_stays_one_binding_whatever_its_contact() {
    let mut phone = Registrar::new();
    let with = |uri: &str, reg_id: &str| format!("<{uri}>;+sip.instance=\"<urn:uuid:1>\"{reg_id}");
    phone.register(&[&with("sip:1@a", "")], None).unwrap();
    phone.register(&[&with("sip:2@b", "")], None).unwrap();
    assert_eq!((phone.contacts(), phone.changed()), (vec!["sip:2@b".to_owned()], vec!["refreshed"]));
    phone.register(&[&with("sip:3@c", ";reg-id=1")], None).unwrap();
    assert_eq!(phone.changed(), ["refreshed"], "who doesn't ask for outbound has one flow");
}

#[test]
fn one_contact_too_many_evicts_the_stalest() {
    let mut phone = Registrar::new();
    for n in 0..CONTACTS_MAX {
        phone.register(&[&format!("<sip:{n}@a>")], None).unwrap();
        phone.pass_s(1);
    }
    phone.register(&["<sip:0@a>"], None).unwrap();
    phone.pass_s(1);
    phone.register(&["<sip:another@a>"], None).unwrap();
    assert_eq!(phone.changed(), ["evicted", "added"]);
    let contacts = phone.contacts();
    assert_eq!(contacts.len(), CONTACTS_MAX);
    assert!(!contacts.contains(&"sip:1@a".to_owned()) && contacts.contains(&"sip:0@a".to_owned()));
    phone.check();
}

fn flow_of(sent_by: &str, contact: &str, flow: Flow) -> Flow {
    let mut phone = Registrar::new();
    phone.take(&device("101a"), flow, &message("c", 1, sent_by, &[contact], None)).unwrap();
    phone.location.of(&device("101a"))[0].flow
}

#[test]
fn a_contact_stands_as_given_where_the_via_names_its_source() {
    let own = flow_of("198.51.100.9", "<sip:101@198.51.100.77:5070>", udp(SOURCE));
    assert_eq!(own, udp("198.51.100.77:5070"));
    let default_port = flow_of("198.51.100.9:5060", "<sip:101@198.51.100.77>", udp(SOURCE));
    assert_eq!(default_port, udp("198.51.100.77:5060"));
    let over_tcp = flow_of("198.51.100.9", "<sip:101@198.51.100.77;transport=tcp>", udp(SOURCE));
    let local = "192.0.2.1:5070".parse().unwrap();
    assert_eq!(over_tcp, Flow { transport: Transport::Tcp, local, ..udp("198.51.100.77:5060") });
}

#[test]
fn the_observed_flow_replaces_a_contact_behind_nat_or_on_a_connection() {
    let contact = "<sip:101@10.0.0.7:5060>";
    for (sent_by, source) in
        [("10.0.0.7", SOURCE), ("198.51.100.9", "198.51.100.9:40000"), ("phone.example", SOURCE)]
    {
        assert_eq!(flow_of(sent_by, contact, udp(source)), udp(source), "{sent_by} from {source}");
    }
    assert_eq!(flow_of("198.51.100.9:40000", contact, tcp(3)), tcp(3));
}

#[test]
fn a_contact_that_is_no_address_we_can_send_to_takes_the_observed_flow() {
    for uri in [
        "sip:101@phone.example",
        "sip:101@0.0.0.0",
        "sip:101@224.0.1.75",
        "sip:101@[2001:db8::1]",
        "sip:101@198.51.100.77:0",
        "sip:101@198.51.100.77;transport=tls",
    ] {
        assert_eq!(flow_of("198.51.100.9", &format!("<{uri}>"), udp(SOURCE)), udp(SOURCE), "{uri}");
    }
}

#[test]
fn a_contact_s_headers_are_shown_and_do_not_get_into_a_request_line() {
    let mut phone = Registrar::new();
    phone.register(&["<sip:101@a;transport=udp?Subject=x>"], None).unwrap();
    assert_eq!(phone.contacts(), ["sip:101@a;transport=udp?Subject=x"]);
    let targets: Vec<_> = phone.location.of(&device("101a")).iter().map(|binding| binding.target()).collect();
    assert_eq!(targets, ["sip:101@a;transport=udp"]);
}

#[test]
fn a_flow_tells_its_device_by_address_transport_and_connection() {
    let mut phone = Registrar::new();
    // The contact names another address; requests come from where the registration came from.
    phone.register(&["<sip:101@198.51.100.77>"], None).unwrap();
    assert_eq!(phone.location.by_flow(&udp(SOURCE)), Some(&device("101a")));
    for other in [udp("198.51.100.9:5061"), udp("198.51.100.77:5060"), tcp(3)] {
        assert_eq!(phone.location.by_flow(&other), None);
    }
    phone.take(&device("102a"), tcp(3), &message("c", 1, "a", &["<sip:102@a>"], None)).unwrap();
    assert_eq!(phone.location.by_flow(&tcp(3)), Some(&device("102a")));
    assert_eq!(phone.location.by_flow(&tcp(4)), None, "another connection from the same address");
}

#[test]
fn a_flow_follows_the_refresh_that_came_by_another() {
    let mut phone = Registrar::new();
    phone.register(&[A], None).unwrap();
    let moved = udp("198.51.100.9:6000");
    phone.take(&device("101a"), moved, &message("call-1", 9, "198.51.100.9", &[A], None)).unwrap();
    assert_eq!(phone.location.by_flow(&moved), Some(&device("101a")));
    assert_eq!(phone.location.by_flow(&udp(SOURCE)), None);
    phone.check();
}

#[test]
fn a_flow_that_several_devices_share_tells_none_of_them() {
    let mut phone = Registrar::new();
    phone.register(&[A], None).unwrap();
    phone.take(&device("102a"), udp(SOURCE), &message("c", 1, "a", &["<sip:102@a>"], None)).unwrap();
    assert_eq!(phone.location.by_flow(&udp(SOURCE)), None);
}

#[test]
fn what_is_not_refreshed_expires_when_it_said() {
    let mut phone = Registrar::new();
    phone.register(&[&format!("{A};expires=100"), &format!("{B};expires=200")], None).unwrap();
    assert_eq!(phone.location.deadline(), Some(phone.now.mono + Duration::from_secs(100)));
    phone.pass_s(90);
    phone.register(&[&format!("{A};expires=100")], None).unwrap();
    for (pass_s, expected) in [(99, &[][..]), (1, &["expired"]), (10, &["expired"])] {
        phone.pass_s(pass_s);
        phone.changes.clear();
        let (mut changes, now) = (Vec::new(), phone.now);
        phone.location.timeout(now, &mut changes);
        phone.changes = changes;
        assert_eq!(phone.changed(), expected);
    }
    assert!(phone.location.is_empty());
    assert_eq!(phone.location.deadline(), None);
    phone.check();
}

#[test]
fn what_the_store_kept_comes_back_without_its_connection() {
    let mut phone = Registrar::new();
    phone.take(&device("101a"), tcp(3), &message("c", 1, "a", &[A, "<sip:x@a>;expires=60"], None)).unwrap();
    let kept: Vec<Binding> = phone.location.iter().cloned().collect();
    let mut after = Registrar::new();
    after.now = phone.now;
    after.pass_s(60);
    for binding in kept.iter().chain(&kept) {
        after.location.restore(after.now, binding.clone());
    }
    assert_eq!(after.contacts(), ["sip:101@198.51.100.9"], "what expired meanwhile is left out");
    let back = &after.location.of(&device("101a"))[0];
    assert_eq!(back.flow, Flow { connection: None, ..tcp(3) });
    assert_eq!(after.location.by_flow(&tcp(3)), None, "an id of a connection from before the restart");
    assert!(after.location.deadline().is_some());
    after.check();
}

#[test]
fn what_is_the_same_is_kept_once() {
    let mut phone = Registrar::new();
    phone.register(&[A], None).unwrap();
    phone.take(&device("102a"), udp(SOURCE), &message("c", 1, "a", &["<sip:102@a>"], None)).unwrap();
    let (one, two) = (&phone.location.of(&device("101a"))[0], &phone.location.of(&device("102a"))[0]);
    assert!(Arc::ptr_eq(&one.uri, &one.key.contact));
    assert!(Arc::ptr_eq(one.user_agent.as_ref().unwrap(), two.user_agent.as_ref().unwrap()));
}

#[test]
fn a_registration_lasts_as_long_as_was_granted_whoever_sets_the_wall_clock() {
    for by in [SignedDuration::from_hours(48), SignedDuration::from_hours(-48)] {
        let mut registrar = Registrar::new();
        registrar.register(&["<sip:101@198.51.100.9>;expires=600"], None).unwrap();
        registrar.register(&["<sip:101@198.51.100.10>;expires=1200"], None).unwrap();
        registrar.set_clock(by);
        assert_eq!(
            (registrar.left_s(), registrar.changed()),
            (vec![1200, 600], vec!["refreshed", "refreshed"]),
            "{by}"
        );
        registrar.check();
        registrar.pass_s(599);
        registrar.location.timeout(registrar.now, &mut registrar.changes);
        assert_eq!(registrar.contacts().len(), 2, "{by}: it has a second left");
        registrar.pass_s(1);
        registrar.changes.clear();
        registrar.location.timeout(registrar.now, &mut registrar.changes);
        assert_eq!(
            (registrar.contacts(), registrar.changed()),
            (vec!["sip:101@198.51.100.10".to_owned()], vec!["expired"]),
            "{by}"
        );
    }
}
