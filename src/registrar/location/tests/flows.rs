//! What RFC 3327, RFC 5626, RFC 5627 and RFC 8599 add, and how long a registration is granted.

use super::*;

const INSTANCE: &str = ";+sip.instance=\"<urn:uuid:1>\"";
const OUTBOUND: &[(Name, &str)] = &[(Name::Supported, "path, outbound")];

fn with_outbound() -> Registrar {
    Registrar { more: OUTBOUND, ..Registrar::new() }
}

fn flow(n: u32) -> String {
    format!("<sip:{n}@10.0.0.7>{INSTANCE};reg-id={n}")
}

/// As one that came by a connection.
fn by(phone: &mut Registrar, connection: u64, contact: &str, fields: &str) -> Result<(), Refusal> {
    phone.cseq += 1;
    let text = String::from_utf8(message("c", phone.cseq, "10.0.0.7", &[contact], None).bytes().to_vec());
    let text = text.unwrap().replacen("Content-Length", &format!("{fields}Content-Length"), 1);
    let request = Message::parse(text.into()).unwrap();
    phone.take(&device("101a"), tcp(connection), &request)
}

#[test]
fn each_flow_of_an_instance_is_a_binding_and_is_called_by_its_flow() {
    let mut phone = with_outbound();
    phone.register(&[&flow(1)], None).unwrap();
    phone.register(&[&flow(2)], None).unwrap();
    phone.register(&[&flow(1)], None).unwrap();
    assert_eq!((phone.changed(), phone.contacts().len()), (vec!["refreshed"], 2));
    for binding in phone.location.of(&device("101a")) {
        assert_eq!((binding.instance(), binding.flow), (Some("<urn:uuid:1>"), udp(SOURCE)));
    }
    phone.check();
}

#[test]
fn one_registration_makes_one_flow() {
    let mut phone = with_outbound();
    assert_eq!(phone.status(&[&flow(1), &flow(2)], None), 400);
    phone.register(&[&flow(1)], None).unwrap();
    assert_eq!(phone.status(&[&format!("{};expires=0", flow(1)), &flow(2)], None), 200);
    assert_eq!(phone.changed(), ["unregistered", "added"]);
}

#[test]
fn a_reg_id_that_is_none_is_read_over() {
    let mut phone = with_outbound();
    for reg_id in ["0", "x", "4294967296"] {
        phone.register(&[&format!("<sip:1@a>{INSTANCE};reg-id={reg_id}")], None).unwrap();
    }
    phone.register(&["<sip:1@a>;reg-id=1"], None).unwrap();
    let flows: Vec<_> = phone.location.of(&device("101a")).iter().map(Binding::reg_id).collect();
    assert_eq!(flows, [None, None], "the instance, and a contact without one");
}

#[test]
fn a_flow_through_a_proxy_that_keeps_none_is_439() {
    let mut phone = Registrar::new();
    let second_via = "Via: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKp\r\nSupported: path, outbound\r\n";
    let refused = by(&mut phone, 1, &flow(1), second_via).unwrap_err();
    assert_eq!((refused.status, phone.contacts().len()), (439, 0));
    let keeps = format!("{second_via}Path: <sip:192.0.2.9:5060;lr;ob>\r\n");
    assert_eq!(by(&mut phone, 1, &flow(1), &keeps), Ok(()));
    // Who doesn't ask for outbound registers as ever.
    let plain = "Via: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKp\r\n";
    assert_eq!(by(&mut phone, 1, &flow(2), plain), Ok(()));
}

#[test]
fn a_connection_that_ends_takes_its_flow_along_and_nothing_else() {
    let mut phone = Registrar::new();
    by(&mut phone, 1, &flow(1), "Supported: outbound\r\n").unwrap();
    by(&mut phone, 2, &flow(2), "Supported: outbound\r\n").unwrap();
    by(&mut phone, 1, "<sip:plain@10.0.0.8>", "").unwrap();
    phone.changes.clear();
    let (now, mut changes) = (phone.now, Vec::new());
    phone.location.flow_ended(now, &tcp(1), &mut changes);
    phone.changes = changes;
    assert_eq!(phone.changed(), ["flow_ended"]);
    let mut left = phone.contacts();
    left.sort();
    assert_eq!(left, ["sip:2@10.0.0.7", "sip:plain@10.0.0.8"]);
    phone.check();
}

#[test]
fn a_connection_that_several_devices_share_ends_for_all_of_them() {
    let mut phone = Registrar::new();
    by(&mut phone, 1, &flow(1), "Supported: outbound\r\n").unwrap();
    let text = String::from_utf8(message("d", 1, "10.0.0.7", &[&flow(1)], None).bytes().to_vec()).unwrap();
    let text = text.replacen("Content-Length", "Supported: outbound\r\nContent-Length", 1);
    phone.take(&device("102a"), tcp(1), &Message::parse(text.into()).unwrap()).unwrap();
    let now = phone.now;
    phone.location.flow_ended(now, &tcp(1), &mut Vec::new());
    assert!(phone.location.is_empty());
    phone.check();
}

#[test]
fn a_shared_connection_that_ends_costs_no_other_device_anything() {
    let mut phone = Registrar::new();
    for name in ["101a", "102a"] {
        phone.take(&device(name), tcp(1), &message("c", 1, "10.0.0.7", &["<sip:1@10.0.0.7>"], None)).unwrap();
    }
    phone.take(&device("103a"), tcp(2), &message("c", 1, "10.0.0.7", &["<sip:1@10.0.0.7>"], None)).unwrap();
    // Whoever looks at a device arms it.
    phone.location.devices.iter_mut().for_each(|device| device.armed = None);
    let now = phone.now;
    phone.location.flow_ended(now, &tcp(1), &mut Vec::new());
    let seen = |phone: &Registrar, name: &str| {
        let slot = phone.location.slot(&device(name)).unwrap();
        phone.location.devices[slot as usize].armed.is_some()
    };
    assert_eq!(["101a", "102a", "103a"].map(|name| seen(&phone, name)), [true, true, false]);
    phone.check();
}

#[test]
fn a_flow_that_was_shared_is_nobodys_until_all_have_left_it() {
    let mut phone = Registrar::new();
    let register = |phone: &mut Registrar, name: &str, expires: &str| {
        phone.cseq += 1;
        let request = message("c", phone.cseq, "10.0.0.7", &["<sip:1@10.0.0.7>"], Some(expires));
        phone.take(&device(name), tcp(1), &request).unwrap();
        phone.check();
    };
    register(&mut phone, "101a", "600");
    assert_eq!(phone.location.by_flow(&tcp(1)), Some(&device("101a")));
    register(&mut phone, "102a", "600");
    register(&mut phone, "102a", "0");
    assert_eq!((phone.location.by_flow(&tcp(1)), phone.location.knows(&tcp(1))), (None, true));
    register(&mut phone, "101a", "0");
    assert!(!phone.location.knows(&tcp(1)));
    register(&mut phone, "102a", "600");
    assert_eq!(phone.location.by_flow(&tcp(1)), Some(&device("102a")));
}

#[test]
fn a_proxy_by_another_transport_is_sent_to_from_our_listener_of_that() {
    let mut phone = Registrar::new();
    let observed = Flow { transport: Transport::Tls, local: "192.0.2.1:5061".parse().unwrap(), ..tcp(1) };
    let take = |phone: &mut Registrar, path: &str| {
        phone.cseq += 1;
        let request = message("c", phone.cseq, "10.0.0.7", &[A], None);
        let text = String::from_utf8(request.bytes().to_vec()).unwrap();
        let text = text.replacen("Content-Length", &format!("Path: {path}\r\nContent-Length"), 1);
        phone.take(&device("101a"), observed, &Message::parse(text.into()).unwrap()).unwrap();
        phone.location.of(&device("101a"))[0].flow
    };
    assert_eq!(take(&mut phone, "<sip:192.0.2.9:5080;lr>"), udp("192.0.2.9:5080"));
    let by_tcp = take(&mut phone, "<sip:192.0.2.9:5080;transport=tcp;lr>");
    assert_eq!((by_tcp.transport, by_tcp.local), (Transport::Tcp, "192.0.2.1:5070".parse().unwrap()));
}

#[test]
fn a_phone_that_can_be_woken_falls_asleep_with_its_connection() {
    let mut phone = Registrar::new();
    let contact = "<sip:101@10.0.0.7;pn-provider=fcm;pn-prid=abc>";
    by(&mut phone, 1, contact, "").unwrap();
    assert!(!phone.location.of(&device("101a"))[0].is_asleep());
    let (now, mut changes) = (phone.now, Vec::new());
    phone.location.flow_ended(now, &tcp(1), &mut changes);
    phone.changes = changes;
    assert_eq!(phone.changed(), ["refreshed"]);
    assert!(phone.location.of(&device("101a"))[0].is_asleep());
    phone.check();
    by(&mut phone, 2, contact, "").unwrap();
    assert!(!phone.location.of(&device("101a"))[0].is_asleep());
    phone.check();
}

#[test]
fn a_path_is_kept_and_its_first_proxy_is_where_requests_go() {
    let mut phone = Registrar::new();
    phone.more = &[(Name::Path, "<sip:192.0.2.9:5080;lr>, <sip:edge.example;lr>")];
    phone.register(&[A], None).unwrap();
    let binding = &phone.location.of(&device("101a"))[0];
    assert_eq!(binding.path().len(), 2);
    assert_eq!((&*binding.path()[1], binding.flow), ("<sip:edge.example;lr>", udp("192.0.2.9:5080")));
    // A proxy that is a name: back to where it came from.
    phone.more = &[(Name::Path, "<sip:edge.example;lr>")];
    phone.register(&[A], None).unwrap();
    assert_eq!(phone.location.of(&device("101a"))[0].flow, udp(SOURCE));
    phone.more = &[];
    phone.register(&[A], None).unwrap();
    let binding = &phone.location.of(&device("101a"))[0];
    assert!(
        binding.path().is_empty() && binding.extensions.is_none(),
        "each registration brings its own way"
    );
}

#[test]
fn a_path_that_no_route_can_be_made_of_is_refused() {
    let mut phone = Registrar::new();
    for path in ["<sip:192.0.2.9>", "nonsense"] {
        phone.more =
            if path.starts_with('<') { &[(Name::Path, "<sip:192.0.2.9>")] } else { &[(Name::Path, "x")] };
        assert_eq!(phone.status(&[A], None), 400, "{path}");
    }
}

#[test]
fn an_instance_that_wants_a_gruu_has_another_epoch_with_each_call_id() {
    let mut phone = Registrar { lot: 7, ..Registrar::new() };
    let contact = format!("<sip:1@a>{INSTANCE}");
    let epoch = |phone: &Registrar| {
        let binding = &phone.location.of(&device("101a"))[0];
        binding.extensions.as_ref().and_then(|extensions| extensions.epoch)
    };
    phone.more = &[(Name::Supported, "gruu")];
    phone.register(&[&contact], None).unwrap();
    let first = epoch(&phone).unwrap();
    phone.lot = 8;
    phone.register(&[&contact], None).unwrap();
    assert_eq!(epoch(&phone), Some(first), "the same Call-ID");
    let slot = phone.location.slot(&device("101a")).unwrap();
    assert!(phone.location.by_epoch(slot, first).is_some());
    by(&mut phone, 1, &contact, "Supported: gruu\r\n").unwrap();
    assert!(epoch(&phone).is_some_and(|second| second != first));
    assert!(phone.location.by_epoch(slot, first).is_none());
    phone.more = &[];
    phone.register(&[&contact], None).unwrap();
    assert_eq!(epoch(&phone), None);
}

#[test]
fn a_gruu_of_ours_is_no_contact() {
    let mut phone = Registrar::new();
    assert_eq!(phone.status(&["<sip:101@Harbour.example;gr=urn:uuid:1>"], None), 403);
    assert_eq!(phone.status(&["<sip:101@elsewhere.example;gr=urn:uuid:1>"], None), 200);
}

#[test]
fn what_is_granted_is_spread_within_its_bounds() {
    let mut phone = Registrar::new();
    phone.expiry.spread_percent = 10;
    let mut granted = std::collections::BTreeSet::new();
    for n in 1..2_000 {
        let contact = format!("<sip:101a@127.0.0.2:{n}>");
        phone.register(&[&contact], Some("1000")).unwrap();
        let first = phone.left_s();
        phone.lot += 1;
        phone.register(&[&contact], Some("1000")).unwrap();
        assert_eq!(phone.left_s(), first, "one contact gets the same each time");
        granted.extend(first);
        phone.register(&[&contact], Some("0")).unwrap();
    }
    assert_eq!((granted.first(), granted.last(), granted.len()), (Some(&900), Some(&1_000), 101));
    phone.register(&[A], Some("62")).unwrap();
    assert!((60..=62).contains(&phone.left_s()[0]), "never below the least");
    phone.register(&[A], Some("0")).unwrap();
    assert_eq!(phone.changed(), ["unregistered"]);
}

#[test]
fn an_hour_is_never_too_brief() {
    let mut phone = Registrar::new();
    phone.expiry = Expiry { min_s: 7_200, max_s: 86_400, default_s: 7_200, spread_percent: 10 };
    assert_eq!(phone.status(&[A], Some("3599")), 423);
    assert_eq!(phone.status(&[A], Some("3600")), 200);
    assert_eq!(phone.left_s(), [3_600]);
}

#[test]
fn a_contact_is_taken_back_by_its_key() {
    let mut phone = Registrar::new();
    phone.register(&[A, B], None).unwrap();
    let key = phone.location.of(&device("101a"))[0].key.clone();
    let (now, mut changes) = (phone.now, Vec::new());
    phone.location.remove(now, &key, Removal::FlowFailed, &mut changes);
    phone.changes = changes;
    assert_eq!((phone.changed(), phone.contacts().len()), (vec!["flow_failed"], 1));
    phone.check();
}
