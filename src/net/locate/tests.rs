use super::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Answers from a table, and notes what was asked.
#[derive(Default)]
struct Table {
    naptr: BTreeMap<&'static str, Vec<Naptr>>,
    srv: BTreeMap<&'static str, Vec<Srv>>,
    addresses: BTreeMap<&'static str, Vec<&'static str>>,
    silent: Vec<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl Table {
    fn answer<T: Clone>(&self, kind: &str, name: &str, records: Option<&Vec<T>>) -> Result<Answer<T>, Fault> {
        self.asked.lock().unwrap().push(format!("{kind} {name}"));
        if self.silent.contains(&name) {
            return Err(Fault::NoAnswer { name: name.to_owned(), why: "silence".to_owned() });
        }
        let ttl = Duration::from_secs(if kind == "SRV" { 60 } else { 600 });
        Ok(Answer { records: records.cloned().unwrap_or_default(), ttl })
    }
}

impl Records for Table {
    async fn naptr(&self, name: &str) -> Result<Answer<Naptr>, Fault> {
        self.answer("NAPTR", name, self.naptr.get(name))
    }

    async fn srv(&self, name: &str) -> Result<Answer<Srv>, Fault> {
        self.answer("SRV", name, self.srv.get(name))
    }

    async fn addresses(&self, name: &str) -> Result<Answer<IpAddr>, Fault> {
        let found = self.addresses.get(name).map(|texts| texts.iter().map(|a| a.parse().unwrap()).collect());
        self.answer("A", name, found.as_ref())
    }
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
    let (service, replacement) = (service.to_owned(), replacement.to_owned());
    Naptr { order, preference, flags: "s".to_owned(), service, replacement }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv { priority, weight, port, target: target.to_owned() }
}

/// A carrier with two servers and a spare, by UDP, and one by TCP.
fn carrier() -> Table {
    let two =
        vec![srv(20, 0, 5070, "c.example"), srv(10, 60, 5060, "a.example"), srv(10, 40, 5062, "b.example")];
    Table {
        naptr: [(
            "example",
            vec![
                naptr(50, 60, "SIP+D2T", "_sip._tcp.example"),
                naptr(50, 50, "SIP+D2U", "_sip._udp.example"),
                naptr(60, 10, "SIP+D2U", "_sip._udp.far.example"),
                naptr(10, 10, "SIPS+D2X", "_sips._quic.example"),
            ],
        )]
        .into(),
        srv: [("_sip._udp.example", two), ("_sip._tcp.example", vec![srv(1, 0, 5080, "a.example")])].into(),
        addresses: [
            ("a.example", vec!["192.0.2.1", "192.0.2.11", "2001:db8::1"]),
            ("b.example", vec!["192.0.2.2"]),
            ("c.example", vec!["192.0.2.3"]),
            ("example", vec!["192.0.2.9"]),
        ]
        .into(),
        ..Table::default()
    }
}

fn both() -> Vec<(Transport, SocketAddr)> {
    let local = "127.0.0.1:5060".parse().unwrap();
    vec![(Transport::Udp, local), (Transport::Tcp, local)]
}

fn ask(table: &Table, host: &str, port: Option<u16>, transport: Option<Transport>) -> Result<Found, Fault> {
    ask_with(table, host, port, transport, &both())
}

fn ask_with(
    table: &Table,
    host: &str,
    port: Option<u16>,
    transport: Option<Transport>,
    ours: &Ours,
) -> Result<Found, Fault> {
    let question = Question { host: host.to_owned(), port, transport };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(locate(table, &question, ours))
}

fn shown(found: &Found) -> Vec<String> {
    let of = |server: &Server| {
        let addresses: Vec<String> = server.addresses.iter().map(ToString::to_string).collect();
        format!("{} {} {}", server.transport.via_word(), server.weight, addresses.join(" "))
    };
    found.servers.iter().map(of).collect()
}

#[test]
fn naptr_names_the_transports_srv_the_servers_and_each_is_asked_once() {
    let table = carrier();
    let found = ask(&table, "example", None, None).unwrap();
    assert_eq!(
        shown(&found),
        [
            "UDP 60 192.0.2.1:5060 192.0.2.11:5060",
            "UDP 40 192.0.2.2:5062",
            "UDP 0 192.0.2.3:5070",
            "TCP 0 192.0.2.1:5080 192.0.2.11:5080"
        ]
    );
    assert_eq!(found.ttl, Some(Duration::from_secs(60)), "the shortest of all that was asked");
    assert_eq!(found.servers[0].rank, found.servers[1].rank);
    let asked = table.asked.lock().unwrap();
    assert_eq!(asked[..2], ["NAPTR example", "SRV _sip._udp.example"], "a higher order is not looked at");
}

#[test]
fn a_transport_that_is_named_asks_for_no_naptr_and_one_that_we_lack_is_not_taken() {
    let table = carrier();
    let found = ask(&table, "example", None, Some(Transport::Tcp)).unwrap();
    assert_eq!(shown(&found), ["TCP 0 192.0.2.1:5080 192.0.2.11:5080"]);
    assert_eq!(table.asked.lock().unwrap()[0], "SRV _sip._tcp.example");
    let udp = &both()[..1];
    let found = ask_with(&table, "example", None, None, udp).unwrap();
    assert!(shown(&found).iter().all(|server| server.starts_with("UDP")), "{found:?}");
}

#[test]
fn an_address_or_a_port_needs_neither_naptr_nor_srv() {
    let table = carrier();
    for (host, port, says, asked) in [
        ("192.0.2.77", None, "UDP 0 192.0.2.77:5060", 0),
        ("192.0.2.77", Some(5090), "UDP 0 192.0.2.77:5090", 0),
        ("example", Some(5090), "UDP 0 192.0.2.9:5090", 1),
    ] {
        table.asked.lock().unwrap().clear();
        let found = ask(&table, host, port, None).unwrap();
        assert_eq!((shown(&found), table.asked.lock().unwrap().len()), (vec![says.to_owned()], asked));
        assert_eq!(found.ttl.is_some(), asked > 0);
    }
}

#[test]
fn without_naptr_the_srv_of_each_transport_and_then_the_name_itself_are_asked() {
    let mut table = carrier();
    table.naptr.clear();
    table.srv.remove("_sip._udp.example");
    assert_eq!(shown(&ask(&table, "example", None, None).unwrap()), ["TCP 0 192.0.2.1:5080 192.0.2.11:5080"]);
    table.srv.clear();
    assert_eq!(shown(&ask(&table, "example", None, None).unwrap()), ["UDP 0 192.0.2.9:5060"]);
    let found = ask(&table, "example", None, Some(Transport::Tcp)).unwrap();
    assert_eq!(shown(&found), ["TCP 0 192.0.2.9:5060"]);
}

#[test]
fn a_server_that_can_not_be_looked_up_costs_its_neighbours_nothing() {
    let mut table = carrier();
    table.silent = vec!["a.example"];
    let found = ask(&table, "example", None, Some(Transport::Udp)).unwrap();
    assert_eq!(shown(&found), ["UDP 40 192.0.2.2:5062", "UDP 0 192.0.2.3:5070"]);
    table.silent = vec!["a.example", "b.example", "c.example"];
    let fault = ask(&table, "example", None, Some(Transport::Udp)).unwrap_err();
    assert!(matches!(fault, Fault::NoAnswer { .. }), "{fault}");
    table.silent = vec!["_sip._udp.example"];
    let fault = ask(&table, "example", None, Some(Transport::Udp)).unwrap_err();
    assert!(matches!(fault, Fault::NoAnswer { .. }), "silence is not the same as no record: {fault}");
}

#[test]
fn a_service_that_is_said_not_to_be_there_is_not_looked_for_elsewhere() {
    let mut table = carrier();
    table.srv.insert("_sip._udp.example", vec![srv(0, 0, 0, "")]);
    let fault = ask(&table, "example", None, Some(Transport::Udp)).unwrap_err();
    assert_eq!(fault, Fault::NotOffered { name: "_sip._udp.example".to_owned() });
}

#[test]
fn a_transport_that_we_have_no_listener_of_is_said_by_name() {
    let table = carrier();
    for host in ["example", "192.0.2.1"] {
        let fault = ask(&table, host, None, Some(Transport::Tls)).unwrap_err();
        assert_eq!(fault, Fault::NoListener { name: host.to_owned(), transport: "tls" });
    }
    assert!(table.asked.lock().unwrap().is_empty(), "nobody is asked for what would be of no use");
}

#[test]
fn a_flood_of_records_is_cut_and_a_family_that_we_lack_is_left_out() {
    let mut table = carrier();
    table.addresses.insert("example", vec!["192.0.2.9"; 50]);
    let found = ask(&table, "example", Some(5060), None).unwrap();
    assert_eq!(found.servers[0].addresses.len(), ADDRESSES_MAX);
    table.addresses.insert("example", vec!["2001:db8::9"]);
    let fault = ask(&table, "example", Some(5060), None).unwrap_err();
    assert_eq!(fault, Fault::NoAddress { name: "example".to_owned() });
}
