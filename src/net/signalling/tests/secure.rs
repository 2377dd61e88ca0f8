//! TLS: which certificate is shown, whose is believed, and what the peer hears when it is not.

use super::*;
use crate::net::signalling::connections::Expected;
use crate::net::tls::{Files, Pair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::path::{Path, PathBuf};

pub(super) type Secure = StreamOwned<ClientConnection, TcpStream>;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

fn pair(name: &str) -> Pair {
    Pair { certificate: file(&format!("{name}.pem")), key: file(&format!("{name}.key")) }
}

/// `own` is shown, `branch` to who asks for it; the authority is believed, of both sides.
pub(super) fn certificates(own: &str) -> Arc<Tls> {
    let by_name = [("branch.harbour.example".to_owned(), pair("branch"))].into();
    let (client_ca, ca) = (Some(file("authority.pem")), Some(file("authority.pem")));
    Arc::new(Tls::load(&Files { own: Some(pair(own)), by_name, client_ca, ca }).unwrap())
}

fn chain(name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let pair = pair(name);
    let certificate = CertificateDer::from_pem_file(pair.certificate).unwrap();
    (vec![certificate], PrivateKeyDer::from_pem_file(pair.key).unwrap())
}

/// A phone that believes the authority, and shows what it has.
pub(super) fn dial(to: SocketAddr, name: &str, shows: Option<&str>) -> Secure {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("authority.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match shows.map(chain) {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

fn echo(secure: &mut Secure) {
    secure.write_all(PING.as_bytes()).unwrap();
    let mut buffer = vec![0; PING.len()];
    secure.read_exact(&mut buffer).unwrap();
    assert_eq!(buffer, PING.as_bytes());
}

#[test]
fn a_message_over_tls_is_answered_on_its_connection_however_it_is_cut() {
    let world = World::new();
    let mut phone = dial(world.tls, "localhost", None);
    echo(&mut phone);
    assert_eq!(world.input(), "packet by TLS");
    for octet in PING.as_bytes() {
        phone.write_all(&[*octet]).unwrap();
    }
    let mut buffer = vec![0; PING.len()];
    phone.read_exact(&mut buffer).unwrap();
    phone.write_all(b"\r\n\r\n").unwrap();
    phone.read_exact(&mut buffer[..2]).unwrap();
    assert_eq!(&buffer[..2], b"\r\n");
}

#[test]
fn a_last_word_before_the_goodbye_is_heard() {
    let world = World::new();
    let mut phone = dial(world.tls, "localhost", None);
    echo(&mut phone);
    assert_eq!(world.input(), "packet by TLS");
    // Both in one segment.
    phone.conn.writer().write_all(PING.as_bytes()).unwrap();
    phone.conn.send_close_notify();
    let mut segment = Vec::new();
    while phone.conn.wants_write() {
        phone.conn.write_tls(&mut segment).unwrap();
    }
    phone.sock.write_all(&segment).unwrap();
    assert_eq!(world.input(), "packet by TLS");
    assert!(world.input().starts_with("failed Some"));
}

/// What was put into the queue has been carried out.
fn settle(world: &World) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(world.handle.query(|_, _| ())).unwrap();
}

#[test]
fn who_asks_for_a_name_is_shown_the_certificate_of_that_name() {
    let world = World::new();
    echo(&mut dial(world.tls, "branch.harbour.example", None));
    echo(&mut dial(world.tls, "sip.harbour.example", None));
    let mut mistaken = dial(world.tls, "elsewhere.example", None);
    assert!(mistaken.write_all(PING.as_bytes()).is_err(), "the phone does not believe the one for everybody");
}

#[test]
fn new_certificates_hold_for_new_connections_and_the_old_ones_go_on() {
    let world = World::new();
    let mut old = dial(world.tls, "localhost", None);
    echo(&mut old);
    world.handle.certify(certificates("branch"));
    settle(&world);
    assert!(dial(world.tls, "localhost", None).write_all(PING.as_bytes()).is_err());
    echo(&mut dial(world.tls, "branch.harbour.example", None));
    echo(&mut old);
}

#[test]
fn a_certificate_that_verifies_makes_its_owner_known_before_the_first_message() {
    let world = World::new();
    echo(&mut dial(world.tls, "localhost", Some("carrier")));
    assert_eq!(world.input(), "known as carrier.example");
    assert_eq!(world.input(), "packet by TLS");
}

#[test]
fn who_is_known_and_says_nothing_is_known_before_their_connection_ends_and_never_after() {
    let world = World::new();
    let mut carrier = dial(world.tls, "localhost", Some("carrier"));
    while carrier.conn.is_handshaking() {
        carrier.conn.complete_io(&mut carrier.sock).unwrap();
    }
    assert_eq!(world.input(), "known as carrier.example");
    drop(carrier);
    assert!(world.input().starts_with("failed Some"));
    echo(&mut dial(world.tls, "localhost", None));
    assert_eq!(world.input(), "packet by TLS", "and nothing is left over for the next one");
}

#[test]
fn a_certificate_that_nobody_we_believe_has_signed_says_nothing_and_costs_nothing() {
    let world = World::new();
    echo(&mut dial(world.tls, "localhost", Some("stranger")));
    assert_eq!(world.input(), "packet by TLS", "and nobody was made known");
}

/// What a server heard on a connection, or nothing where the handshake failed.
type Heard = Option<String>;

/// A server that shows `shows`, for one connection.
fn server(shows: &str) -> (SocketAddr, std::thread::JoinHandle<Heard>) {
    let (address, heard) = servers(shows, 1);
    (address, std::thread::spawn(move || heard.join().unwrap().remove(0)))
}

/// The same for so many, one after the other.
fn servers(shows: &str, connections: usize) -> (SocketAddr, std::thread::JoinHandle<Vec<Heard>>) {
    let (chain, key) = chain(shows);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    let hears = move |_| {
        let (stream, _) = listener.accept().ok()?;
        stream.set_read_timeout(Some(SOON)).ok()?;
        let mut secure = StreamOwned::new(ServerConnection::new(config.clone()).ok()?, stream);
        let mut buffer = vec![0; PING.len()];
        secure.read_exact(&mut buffer).ok()?;
        String::from_utf8(buffer).ok()
    };
    (address, std::thread::spawn(move || (0..connections).map(hears).collect()))
}

fn expect(world: &World, address: SocketAddr, names: &[&str]) {
    let names = names.iter().map(|name| Arc::from(*name)).collect();
    let by_address = [(address, names)].into_iter().collect();
    world.handle.expect(Expected { by_address, ..Expected::default() });
    settle(world);
}

/// Has a message sent to that address by TLS.
fn call_out(world: &World, to: impl ToString) {
    let to = to.to_string();
    let message = format!("NOTIFY sip:a@b SIP/2.0\r\nContent-Length: {}\r\n\r\n{to}", to.len());
    world.phone().send(message.as_bytes()).unwrap();
    loop {
        match world.input() {
            input if input == "packet by UDP" => return,
            // What was called before ends with its server.
            input => assert!(input.starts_with("failed Some("), "{input}"),
        }
    }
}

#[test]
fn a_server_that_is_who_it_should_be_is_spoken_to() {
    for names in [&["carrier.example"][..], &["gateway.carrier.example", "CARRIER.example"]] {
        let world = World::new();
        let (address, heard) = server("carrier");
        expect(&world, address, names);
        call_out(&world, address);
        assert_eq!(heard.join().unwrap().as_deref(), Some(PING), "{names:?}");
    }
    // By its address alone.
    let world = World::new();
    let (address, heard) = server("office");
    call_out(&world, address);
    assert_eq!(heard.join().unwrap().as_deref(), Some(PING));
}

#[test]
fn a_server_that_is_somebody_else_hears_nothing_and_the_flow_fails() {
    for (shows, names) in [
        ("carrier", &["other.example"][..]),
        // Two names lead to this address, and it is one of them alone.
        ("carrier", &["carrier.example", "other.example"]),
        ("stranger", &["carrier.example"]),
        ("carrier", &["127.0.0.1"]),
    ] {
        let world = World::new();
        let (address, heard) = server(shows);
        expect(&world, address, names);
        call_out(&world, address);
        assert_eq!(world.input(), format!("failed None {address}"), "{shows} as {names:?}");
        assert_eq!(heard.join().unwrap(), None);
        assert_eq!(world.handle.traffic().handshakes_failed.value(), 1);
    }
}

#[test]
fn each_name_at_an_address_has_a_connection_of_its_own() {
    let world = World::new();
    let (address, heard) = servers("carrier", 3);
    let names = [(1, "carrier.example"), (2, "gateway.carrier.example"), (3, "other.example")];
    let by_name = names.into_iter().map(|(number, name)| (ServerName(number), Arc::from(name))).collect();
    world.handle.expect(Expected { by_name, ..Expected::default() });
    settle(&world);
    for number in [1, 2] {
        call_out(&world, format!("{address} {number}"));
    }
    settle(&world);
    assert_eq!(world.handle.traffic().connections_opened.value(), 2, "neither speaks for the other");
    call_out(&world, format!("{address} 3"));
    let failed = ConnectionId::to_server(ServerName(3));
    fails(&world, failed, address);
    let heard = heard.join().unwrap();
    assert_eq!(heard, [Some(PING.to_owned()), Some(PING.to_owned()), None]);
    call_out(&world, format!("{address} 4"));
    fails(&world, ConnectionId::to_server(ServerName(4)), address); // a name that nobody expects
}

/// Waits until that flow fails; others may before.
fn fails(world: &World, connection: ConnectionId, address: SocketAddr) {
    while world.input() != format!("failed {:?} {address}", Some(connection)) {}
}
