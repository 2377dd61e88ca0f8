//! WebSockets (RFC 7118), against tungstenite's client and against bytes that no client sends.

use super::*;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};
use tungstenite::{Error, Message, WebSocket};

/// A browser at our listener that offers these subprotocols.
fn browse<S: Read + Write>(stream: S, offers: &str) -> Result<WebSocket<S>, Error> {
    let mut request = "ws://localhost/".into_client_request()?;
    if !offers.is_empty() {
        request.headers_mut().insert("Sec-WebSocket-Protocol", offers.parse().unwrap());
    }
    match tungstenite::client::client(request, stream) {
        Ok((socket, response)) => {
            assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
            Ok(socket)
        }
        Err(tungstenite::HandshakeError::Failure(error)) => Err(error),
        Err(tungstenite::HandshakeError::Interrupted(_)) => panic!("no answer"),
    }
}

fn stream(world: &World) -> TcpStream {
    let stream = TcpStream::connect(world.ws).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn browser(world: &World) -> WebSocket<TcpStream> {
    browse(stream(world), "sip").unwrap()
}

/// The code that the server closes with.
fn closing<S: Read + Write>(socket: &mut WebSocket<S>) -> Option<CloseCode> {
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => return frame.map(|frame| frame.code),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

#[test]
fn a_message_is_one_websocket_message_of_either_kind() {
    let world = World::new();
    let mut browser = browser(&world);
    browser.send(Message::text(PING)).unwrap();
    assert_eq!(browser.read().unwrap(), Message::text(PING));
    assert_eq!(world.input(), "packet by WS");
    browser.send(Message::binary(PING.as_bytes())).unwrap();
    assert_eq!(browser.read().unwrap(), Message::text(PING));
    // What is no UTF-8 goes back as what it came as.
    let binary = [PING.as_bytes(), b"\xff\xfe"].concat();
    browser.send(Message::binary(binary.clone())).unwrap();
    assert_eq!(browser.read().unwrap(), Message::binary(binary));
}

#[test]
fn a_message_in_fragments_is_one_message() {
    let world = World::new();
    let mut browser = browser(&world);
    let mut fragment = |text: &str, kind: Data, last: bool| {
        let frame = Frame::message(text.as_bytes().to_vec(), OpCode::Data(kind), last);
        browser.send(Message::Frame(frame)).unwrap();
    };
    fragment(&PING[..30], Data::Text, false);
    fragment(&PING[30..60], Data::Continue, false);
    fragment(&PING[60..], Data::Continue, true);
    assert_eq!(browser.read().unwrap(), Message::text(PING));
    assert_eq!(world.input(), "packet by WS");
}

#[test]
fn pings_of_both_kinds_are_answered() {
    let world = World::new();
    let mut browser = browser(&world);
    browser.send(Message::Ping(b"still there?".as_slice().into())).unwrap();
    assert_eq!(browser.read().unwrap(), Message::Pong(b"still there?".as_slice().into()));
    browser.send(Message::text("\r\n\r\n")).unwrap();
    assert_eq!(browser.read().unwrap(), Message::text("\r\n"));
    browser.send(Message::text("\r\n")).unwrap();
    browser.send(Message::text(PING)).unwrap();
    assert_eq!(browser.read().unwrap(), Message::text(PING));
}

#[test]
fn who_closes_is_answered_and_the_flow_fails() {
    let world = World::new();
    let mut browser = browser(&world);
    browser.send(Message::text(PING)).unwrap();
    assert_eq!(world.input(), "packet by WS");
    browser.close(None).unwrap();
    assert_eq!(browser.read().unwrap(), Message::text(PING));
    assert!(matches!(browser.read().unwrap(), Message::Close(_)));
    assert!(world.input().starts_with("failed Some"));
}

#[test]
fn who_does_not_speak_sip_is_told_what_is_wanted() {
    let world = World::new();
    for offers in ["", "chat", "sips"] {
        let Err(Error::Http(refusal)) = browse(stream(&world), offers) else { panic!("{offers} was taken") };
        assert_eq!(refusal.status(), 400);
        let body = String::from_utf8(refusal.body().clone().unwrap()).unwrap();
        assert!(body.contains("sip"), "{body}");
    }
    browse(stream(&world), "chat, sip").unwrap();
    let mut crawler = stream(&world);
    crawler.write_all(b"GET / HTTP/1.1\r\nHost: pbx.example\r\n\r\n").unwrap();
    let mut answer = String::new();
    crawler.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("a WebSocket is wanted, with the subprotocol sip\n"), "{answer}");
}

#[test]
fn a_message_too_large_is_refused_by_its_size() {
    let world = World::new();
    let mut browser = browser(&world);
    let huge = format!("OPTIONS sip:a@b SIP/2.0\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    browser.send(Message::text(huge)).unwrap();
    assert_eq!(closing(&mut browser), Some(CloseCode::Size));
    assert!(world.input().starts_with("failed Some"));
}

#[test]
fn a_frame_without_its_mask_ends_the_connection() {
    let world = World::new();
    let mut browser = browser(&world);
    let header = FrameHeader { opcode: OpCode::Data(Data::Text), mask: None, ..FrameHeader::default() };
    let mut frame = Vec::new();
    header.format(PING.len() as u64, &mut frame).unwrap();
    frame.extend_from_slice(PING.as_bytes());
    browser.get_mut().write_all(&frame).unwrap();
    assert_eq!(closing(&mut browser), Some(CloseCode::Protocol));
    assert!(world.input().starts_with("failed Some"));
}

#[test]
fn a_secure_websocket_is_one_over_tls() {
    let world = World::new();
    let mut browser = browse(secure::dial(world.wss, "localhost", None), "sip").unwrap();
    for _ in 0..3 {
        browser.send(Message::text(PING)).unwrap();
        assert_eq!(browser.read().unwrap(), Message::text(PING));
        assert_eq!(world.input(), "packet by WSS");
    }
}
