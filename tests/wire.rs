//! What the writer writes, the parser reads; and what both say is held against `rsip`, code that we did not write, where
//! that is right (one field a line, long forms, no folds, names for hosts).
#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use bytes::Bytes;
use proptest::prelude::*;
use ringtree::sip::{Message, Name, NameAddr, Uri, Via, Writer};
use rsip::prelude::*;
use rsip::typed::{From as RsipFrom, Via as RsipVia};

/// What a request is written from.
#[derive(Clone, Debug)]
struct Parts {
    method: &'static str,
    user: String,
    host: String,
    port: Option<u16>,
    display: String,
    tag: String,
    branch: String,
    call_id: String,
    cseq: u32,
    hops: u8,
    body: Vec<u8>,
}

prop_compose! {
    fn parts()(
        method in prop_oneof![Just("INVITE"), Just("BYE"), Just("REGISTER"), Just("OPTIONS"), Just("CANCEL"), Just("ACK")],
        user in "[a-z0-9+*-]{1,12}",
        host in "[a-z]{1,8}(\\.[a-z]{2,5}){1,2}",
        port in proptest::option::of(1u16..),
        display in "[A-Za-z0-9][A-Za-z0-9 .,;<>@-]{0,12}[A-Za-z0-9]",
        tag in "[a-z0-9]{1,16}",
        branch in "z9hG4bK[a-zA-Z0-9]{1,20}",
        call_id in "[a-z0-9]{1,16}@[a-z]{1,8}",
        cseq in 0u32..1 << 31,
        hops in any::<u8>(),
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) -> Parts {
        Parts { method, user, host, port, display, tag, branch, call_id, cseq, hops, body }
    }
}

impl Parts {
    fn uri(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("sip:{}@{}{port}", self.user, self.host)
    }

    fn write(&self) -> Bytes {
        let mut writer = Writer::request(self.method, &self.uri());
        writer
            .header(Name::Via, format_args!("SIP/2.0/UDP {}:5061;branch={}", self.host, self.branch))
            .header(Name::MaxForwards, self.hops)
            .header(Name::From, format_args!("\"{}\" <{}>;tag={}", self.display, self.uri(), self.tag))
            .header(Name::To, format_args!("<{}>", self.uri()))
            .header(Name::CallId, &self.call_id)
            .header(Name::CSeq, format_args!("{} {}", self.cseq, self.method))
            .header(Name::Contact, format_args!("<{}>", self.uri()))
            .field("X-Tree", "a, b");
        writer.body("application/octet-stream", &self.body)
    }
}

proptest! {
    #[test]
    fn a_written_request_reads_back(parts in parts()) {
        let message = Message::parse(parts.write()).unwrap();
        prop_assert_eq!(message.check(), Ok(()));
        prop_assert_eq!(message.method_text(), parts.method);
        prop_assert_eq!(message.request_uri(), parts.uri());
        prop_assert_eq!(message.from().unwrap().display, &parts.display);
        prop_assert_eq!(message.from().unwrap().tag(), Some(parts.tag.as_str()));
        prop_assert_eq!(message.top_via().unwrap().branch(), Some(parts.branch.as_str()));
        prop_assert_eq!(message.call_id(), &parts.call_id);
        prop_assert_eq!(message.cseq().unwrap().number, parts.cseq);
        prop_assert_eq!(message.max_forwards(), Some(parts.hops));
        prop_assert_eq!(&message.body()[..], &parts.body[..]);
        prop_assert_eq!(message.other("x-tree"), Some("a, b"));
    }

    #[test]
    fn rsip_reads_our_requests_as_we_do(parts in parts()) {
        // rsip takes a `<` or `;` inside quotes for one that counts.
        let display = parts.display.replace(['<', '>', ';', ','], " ");
        let parts = Parts { display, ..parts };
        let message = Message::parse(parts.write()).unwrap();
        let theirs = rsip::Request::try_from(&message.bytes()[..]).unwrap();
        prop_assert_eq!(theirs.method.to_string(), message.method_text());
        prop_assert_eq!(theirs.uri.to_string(), message.request_uri());
        let uri = Uri::parse(message.request_uri()).unwrap();
        prop_assert_eq!(theirs.uri.user().unwrap_or(""), uri.user);
        prop_assert_eq!(theirs.uri.host().to_string(), uri.host);
        prop_assert_eq!(theirs.uri.port().map(|port| *port.value()), uri.port);
        prop_assert_eq!(theirs.call_id_header().unwrap().value(), message.call_id());
        prop_assert_eq!(theirs.cseq_header().unwrap().typed().unwrap().seq, message.cseq().unwrap().number);
        let via: RsipVia = theirs.via_header().unwrap().typed().unwrap();
        let ours = message.top_via().unwrap();
        prop_assert_eq!(via.branch().map(|branch| branch.value().to_owned()), ours.branch().map(str::to_owned));
        prop_assert_eq!(via.uri.host().to_string(), ours.host);
        prop_assert_eq!(via.uri.port().map(|port| *port.value()), ours.port);
        let from: RsipFrom = theirs.from_header().unwrap().typed().unwrap();
        prop_assert_eq!(from.tag().map(|tag| tag.value().to_owned()), message.from().unwrap().tag().map(str::to_owned));
        prop_assert_eq!(from.uri.user().unwrap_or(""), message.from().unwrap().uri.user);
        prop_assert_eq!(&theirs.body[..], &message.body()[..]);
    }

    #[test]
    fn rsip_reads_our_replies_as_we_do(parts in parts(), status in 100u16..700, tag in "[a-z0-9]{1,12}") {
        let mut request = Message::parse(parts.write()).unwrap();
        request.set_source("192.0.2.7:5060".parse().unwrap());
        let bytes = Writer::reply(&request, status, "Because", Some(&tag)).finish();
        let message = Message::parse(bytes.clone()).unwrap();
        prop_assert_eq!(message.check(), Ok(()));
        prop_assert_eq!((message.status(), message.to().unwrap().tag()), (status, Some(tag.as_str())));
        let theirs = rsip::Response::try_from(&bytes[..]).unwrap();
        prop_assert_eq!(theirs.status_code.code(), status);
        prop_assert_eq!(theirs.call_id_header().unwrap().value(), request.call_id());
        let via: RsipVia = theirs.via_header().unwrap().typed().unwrap();
        prop_assert_eq!(via.received().unwrap().unwrap().to_string(), "192.0.2.7");
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::parse(bytes.into()).map(|message| message.check());
    }

    /// Lines of what messages are made of: whatever is read can be copied, and reads the same from the copy.
    #[test]
    fn copied_fields_read_as_the_original(lines in proptest::collection::vec(
        "(Via|v|To|From|t|f|Contact|m|CSeq|Route|X) ?:[ a-zA-Z0-9<>;:=@,\"\\\\/.é\r\n-]{0,40}", 0..12,
    )) {
        let text = format!("INVITE sip:a@b SIP/2.0\r\n{}\r\n\r\n", lines.join("\r\n"));
        let Ok(message) = Message::parse(text.into()) else { return Ok(()) };
        let mut writer = Writer::request("INVITE", "sip:a@b");
        for name in [Name::Via, Name::To, Name::From, Name::Contact, Name::CSeq, Name::Route] {
            writer.copy(&message, name);
        }
        let copy = Message::parse(writer.finish()).unwrap();
        for name in [Name::Via, Name::To, Name::From, Name::Contact, Name::CSeq, Name::Route] {
            let read = |message: &Message| {
                message.values(name).map(|value| value.replace('\r', " ")).collect::<Vec<_>>()
            };
            prop_assert_eq!(read(&copy), read(&message));
        }
        prop_assert_eq!(copy.top_via().map(|via: Via<'_>| via.host.len()), message.top_via().map(|via| via.host.len()));
        let addresses = |message: &Message| message.addresses(Name::Contact).map(|c: NameAddr<'_>| c.uri.text.len()).sum::<usize>();
        prop_assert_eq!(addresses(&copy), addresses(&message));
    }
}
