//! Any datagram: parsed, judged, every typed value read, answered; the answer has to be readable again.

use bytes::Bytes;
use ringtree::sip::auth::Credentials;
use ringtree::sip::{Message, Name, NameAddr, Writer};

pub fn sip_message(data: &[u8]) {
    let Ok(mut message) = Message::parse(Bytes::copy_from_slice(data)) else { return };
    let sound = message.check().is_ok();
    for name in [Name::From, Name::To, Name::Contact, Name::Route, Name::RecordRoute, Name::Diversion] {
        for address in message.elements(name).filter_map(NameAddr::parse) {
            let _ = (
                address.tag(),
                address.display_unescaped(),
                address.uri.user_unescaped(),
                address.uri.param("x"),
            );
        }
    }
    let _ = message.value(Name::Authorization).and_then(Credentials::parse);
    let _ = (message.body(), message.number(Name::Expires), message.method_text(), message.reason_phrase());
    if message.is_request() {
        message.set_source(([192, 0, 2, 1], 5060).into());
        let reply =
            Message::parse(Writer::reply(&message, 400, "", Some("t")).finish()).expect("our own reply");
        if sound {
            assert_eq!(reply.check(), Ok(()));
            assert_eq!(reply.call_id(), message.call_id());
            assert_eq!(reply.elements(Name::Via).count(), message.elements(Name::Via).count());
        }
    }
}
