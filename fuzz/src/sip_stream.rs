//! Any stream, cut in two ways: the same frames and the same end, and every frame is a message.

use ringtree::sip::stream::{Frame, Framer};
use ringtree::sip::{Message, ParseError};

fn frames<'a>(segments: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<ParseError>) {
    let (mut framer, mut out) = (Framer::default(), Vec::new());
    for segment in segments {
        framer.push(segment);
        loop {
            match framer.next() {
                Ok(Some(frame)) => out.push(frame),
                Ok(None) => break,
                Err(error) => return (out, Some(error)),
            }
        }
    }
    (out, None)
}

pub fn sip_stream(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let whole = frames(std::iter::once(stream));
    assert_eq!(frames(stream.chunks(usize::from(*size).max(1))), whole);
    for frame in whole.0 {
        if let Frame::Message(bytes) = frame {
            let message = Message::parse(bytes.clone()).expect("a framed message");
            assert!(bytes.ends_with(&message.body()));
        }
    }
}
