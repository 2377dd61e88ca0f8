//! Carriers that are known by the certificate of their connection (RFC 5922): whose their calls are, and what they are spared.

use crate::registrar::{Field, Sent, udp};
use crate::s;
use ringtree::rules::compile::Secrets;
use ringtree::rules::diagnostic::Files;
use ringtree::rules::{Domain, Ruleset};
use ringtree::sip::{ConnectionId, Flow, Transport};
use ringtree::switch::Input;
use std::sync::Arc;

const CARRIER: &str = "198.51.100.7:40000";

fn tls(connection: u64) -> Flow {
    Flow { transport: Transport::Tls, connection: Some(ConnectionId(connection)), ..udp(CARRIER) }
}

/// A tenant with a number and a trunk to the carrier.
fn tenant(name: &str, number: &str) -> Arc<Domain> {
    let text = format!(
        "schema = 1\n[domain]\nname = \"{name}\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\n\
         [user.ann]\next = \"100\"\nvoicemail = {{ enabled = false }}\n[device.ann1]\nuser = \"ann\"\n\
         [number.\"{number}\"]\nto = \"user:ann\"\n\
         [trunk.carrier]\nproxy = \"Carrier.example:5071\"\ntransport = \"tls\"\n"
    );
    let files = Files([(Arc::from("domain.toml"), Arc::from(text.as_str()))].into());
    let loaded = ringtree::rules::source::load(&files);
    let Some(model) = loaded.model else {
        panic!("{}", ringtree::rules::diagnostic::render(&files, &loaded.diagnostics, false))
    };
    Arc::new(Domain::compile(&model, Secrets::default(), 1).unwrap())
}

fn field(tenants: &[(&str, &str)]) -> Field {
    let mut field = Field::new();
    let domains = tenants.iter().map(|(name, number)| tenant(name, number));
    field.input(Input::Rules(Arc::new(Ruleset::new(domains))));
    field.input(Input::PeerKnown { flow: tls(1), names: vec!["carrier.example".into()] });
    field
}

fn call(field: &mut Field, flow: Flow, n: u32, uri: &str) -> Vec<Sent> {
    let text = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/TLS {CARRIER};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:+12125550111@carrier.example>;tag=f\r\nTo: <{uri}>\r\nCall-ID: {n}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:carrier@{CARRIER}>\r\nContent-Length: 0\r\n\r\n"
    );
    field.give(flow, &text)
}

/// Whose the call was that has just been made. `None`: its sender was nobody.
fn taken_by(field: &mut Field, uri: &str) -> Option<String> {
    field.events.clear();
    call(field, tls(1), 7, uri);
    field.pass(s(40));
    let domain = |event: &serde_json::Value| event["domain"].as_str().map(str::to_owned);
    field.events_named("call.started").first().and_then(domain)
}

#[test]
fn the_calls_of_a_carrier_that_two_tenants_have_are_whose_number_they_are_for() {
    let mut field = field(&[("a.example", "+12025550100"), ("b.example", "+12025550200")]);
    for (uri, tenant) in [
        ("sip:+12025550100@127.0.0.1", "a.example"),
        ("sip:2025550200@127.0.0.1", "b.example"),
        ("sip:+12025550100@b.example", "b.example"),
    ] {
        assert_eq!(taken_by(&mut field, uri).as_deref(), Some(tenant), "{uri}");
        field.pass(s(60));
    }
    assert_eq!(taken_by(&mut field, "sip:+12025550999@127.0.0.1"), None, "nobody can say whose");
}

#[test]
fn a_tenant_that_writes_another_s_carrier_and_number_takes_none_of_its_calls() {
    let mut field = field(&[("a.example", "+12025550100"), ("z.example", "+12025550100")]);
    assert_eq!(taken_by(&mut field, "sip:+12025550100@127.0.0.1"), None);
    assert_eq!(taken_by(&mut field, "sip:+12025550100@z.example").as_deref(), Some("z.example"));
}

#[test]
fn a_carrier_that_its_certificate_vouches_for_has_no_rate() {
    let mut field = field(&[("a.example", "+12025550100")]);
    let answered = |field: &mut Field, flow: Flow| -> usize {
        (0..1_000).filter(|n| !call(field, flow, 1_000 + n, "sip:+12025550999@127.0.0.1").is_empty()).count()
    };
    assert!(answered(&mut field, tls(2)) < 1_000, "a stranger from the same address has one");
    assert_eq!(answered(&mut field, tls(1)), 1_000);
    // The trunk goes from the rules, and with it what it was believed for.
    field.input(Input::Rules(Arc::new(Ruleset::new([]))));
    assert!(
        !field.switch.admits(field.now, &tls(1), b"OPTIONS"),
        "the source has used up what strangers have"
    );
}
