//! Framing on reliable transports: Content-Length (RFC 3261 §18.3), CRLF keep-alives (RFC 5626 §3.5.1).
//!
//! However the bytes are segmented, the same frames come out. Time is not here: the edge closes a stream that is
//! [in the middle of a message](Framer::is_amid_message) for too long.

use super::Name;
use super::parse::{
    Fields, Length, MESSAGE_BYTES_MAX, ParseError, START_LINE_BYTES_MAX, Start, may_begin, start_line,
};
use bytes::{Buf, Bytes, BytesMut};

/// What came next on a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole message.
    Message(Bytes),
    /// A double CRLF ping, to be answered with one CRLF.
    Ping,
}

/// Cuts a byte stream into messages. Holds at most one message and what was pushed since the last [`Framer::next`].
#[derive(Debug, Default)]
pub struct Framer {
    buf: BytesMut,
    /// Up to here no end of the header section was found.
    searched: usize,
    /// The size of the message at the front, once its header section is whole.
    size: Option<usize>,
    /// The stream can't be framed any longer.
    broken: Option<ParseError>,
}

impl Framer {
    /// Adds what was read. Take all frames after each push: nothing else bounds the buffer.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// Whether a part of a message has come and the rest is awaited.
    #[must_use]
    pub fn is_amid_message(&self) -> bool {
        !matches!(self.buf.first(), None | Some(b'\r'))
    }

    /// The next whole frame; `None` until more bytes come. A message whose Content-Length can't be read, or is too much, comes
    /// without its body, and one whose header section is too much comes as far as it may: so that they can be answered with 400,
    /// 413 and 513. The call after that fails.
    ///
    /// # Errors
    /// The stream can't be framed any longer and is to be closed.
    // Not `Iterator::next`: `None` says wait, not end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Frame>, ParseError> {
        self.step().inspect_err(|error| self.broken = Some(*error))
    }

    fn step(&mut self) -> Result<Option<Frame>, ParseError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if self.size.is_none() {
            if self.take_line_ends()? {
                return Ok(Some(Frame::Ping));
            }
            self.size = self.measure()?;
        }
        match self.size {
            Some(size) if size <= self.buf.len() => {
                self.size = None;
                self.searched = 0;
                Ok(Some(Frame::Message(self.buf.split_to(size).freeze())))
            }
            _ => {
                if self.buf.is_empty() {
                    // A connection that idles keeps no room, and doesn't hold the block of a message that is kept.
                    self.buf = BytesMut::new();
                }
                Ok(None)
            }
        }
    }

    /// Drops single line ends before a message (RFC 3261 §7.5); true for a ping.
    fn take_line_ends(&mut self) -> Result<bool, ParseError> {
        loop {
            match *self.buf.get(..self.buf.len().min(4)).unwrap_or_default() {
                [b'\r', b'\n', b'\r', b'\n'] => {
                    self.buf.advance(4);
                    return Ok(true);
                }
                // May become a ping.
                [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return Ok(false),
                [b'\r', b'\n', ..] => self.buf.advance(2),
                [b'\n', ..] => self.buf.advance(1),
                [b'\r', ..] => return Err(ParseError::NotSip),
                _ => return Ok(false),
            }
        }
    }

    /// The size of the message at the front; `None` while its header section is incomplete.
    fn measure(&mut self) -> Result<Option<usize>, ParseError> {
        if matches!(self.buf.first(), None | Some(b'\r')) {
            return Ok(None);
        }
        let Some(section) = self.section_end() else {
            return self.judge_beginning();
        };
        let head = self.buf.get(..section).unwrap_or_default();
        let start = begin(head)?;
        let length = Fields::new(head, start.end)
            .filter(|field| field.name == Name::ContentLength)
            .fold(Length::Absent, |length, field| length.and(field.value.of(head)));
        let size = match length {
            // RFC 3261 §20.14 demands it on streams; those who forget it send no body.
            Length::Absent => section,
            Length::Given(length) => section.saturating_add(length),
            Length::Unreadable => {
                self.broken = Some(ParseError::Unframed);
                section
            }
        };
        if size > MESSAGE_BYTES_MAX {
            self.broken = Some(ParseError::TooLarge);
            return Ok(Some(section));
        }
        Ok(Some(size))
    }

    /// Where the empty line ends. Looks at each byte once, however often it is called.
    fn section_end(&mut self) -> Option<usize> {
        let bytes = self.buf.get(..self.buf.len().min(MESSAGE_BYTES_MAX)).unwrap_or_default();
        let rest = bytes.get(self.searched..)?;
        for at in memchr::memchr_iter(b'\n', rest).map(|at| self.searched + at) {
            match bytes.get(at + 1..).unwrap_or_default() {
                [b'\n', ..] => return Some(at + 2),
                [b'\r', b'\n', ..] => return Some(at + 3),
                // Not known yet.
                [] | [b'\r'] => {
                    self.searched = at;
                    return None;
                }
                _ => {}
            }
        }
        self.searched = bytes.len();
        None
    }

    /// Refuses at once what can't become a message: garbage is not waited for. A header section without end is cut.
    fn judge_beginning(&mut self) -> Result<Option<usize>, ParseError> {
        let line_max = self.buf.len().min(START_LINE_BYTES_MAX);
        let line_is_whole = self.buf.get(..line_max).is_some_and(|b| memchr::memchr(b'\n', b).is_some());
        if self.buf.len() >= MESSAGE_BYTES_MAX {
            begin(self.buf.get(..MESSAGE_BYTES_MAX).unwrap_or_default())?;
            self.broken = Some(ParseError::TooLarge);
            Ok(Some(MESSAGE_BYTES_MAX))
        } else if line_is_whole || line_max == START_LINE_BYTES_MAX {
            begin(&self.buf).map(|_| None)
        } else if may_begin(&self.buf) {
            Ok(None)
        } else {
            Err(ParseError::NotSip)
        }
    }
}

/// The start line. What keeps a flow of datagrams alive is garbage on a stream, where nothing but line ends does (RFC 5626 §3.5.1).
fn begin(bytes: &[u8]) -> Result<Start, ParseError> {
    start_line(bytes).map_err(|error| match error {
        ParseError::KeepAlive => ParseError::NotSip,
        error => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All frames of the pieces, and how the stream ended.
    fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<ParseError>) {
        let (mut framer, mut out) = (Framer::default(), Vec::new());
        for piece in pieces {
            framer.push(piece);
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

    const TWO: &[u8] =
        b"\r\n\r\n\r\nOPTIONS sip:a SIP/2.0\r\nl:\r\n 3\r\n\r\nabcSIP/2.0 200 OK\r\n\r\n\r\n\r\n";

    #[test]
    fn what_keeps_datagrams_alive_is_garbage_on_a_stream_whatever_the_segments() {
        let stun = b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl\n\r\n";
        for garbage in [&b"\0\n\r\n"[..], b" \n\n", stun] {
            for size in 1..=garbage.len() {
                let end = frames(garbage.chunks(size));
                assert_eq!(end, (vec![], Some(ParseError::NotSip)), "{garbage:?} by {size}");
            }
        }
    }

    #[test]
    fn messages_and_pings_come_out_whatever_the_segments() {
        let whole = frames(std::iter::once(TWO));
        let expected = [
            Frame::Ping,
            Frame::Message(Bytes::from_static(b"OPTIONS sip:a SIP/2.0\r\nl:\r\n 3\r\n\r\nabc")),
            Frame::Message(Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n")),
            Frame::Ping,
        ];
        assert_eq!(whole, (Vec::from(expected), None));
        for size in 1..TWO.len() {
            assert_eq!(frames(TWO.chunks(size)), whole, "{size}");
        }
    }

    /// Pieces of streams, whole and broken.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(TWO.to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\r\n\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"BYE sip:a SIP/2.0\nContent-Length: 2\n\nxy".to_vec()),
            Just(b"BYE sip:a SIP/2.0\r\nl: 2\r\nl: 2\r\n\r\n".to_vec()),
            "[A-Z]{1,70}( sip:[a-z]{0,9})?( SIP/2.0)?(\r?\n)?([a-z]{0,3}:? ?[0-9]{0,2}\r?\n){0,3}"
                .prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..20),
        ]
    }

    proptest! {
        #[test]
        fn every_segmentation_gives_the_same_frames_and_the_same_end(
            pieces in proptest::collection::vec(piece(), 0..6),
            cuts in proptest::collection::vec(1..40usize, 1..20),
        ) {
            let stream = pieces.concat();
            let whole = frames(std::iter::once(&stream[..]));
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            let segments = std::iter::from_fn(|| {
                let (segment, tail) = rest.split_at((*cuts.next()?).min(rest.len()));
                rest = tail;
                (!segment.is_empty()).then_some(segment)
            });
            prop_assert_eq!(frames(segments), whole);
        }

        #[test]
        fn what_is_framed_is_what_the_parser_takes(pieces in proptest::collection::vec(piece(), 0..6)) {
            let (framed, _) = frames(std::iter::once(&pieces.concat()[..]));
            for frame in framed {
                if let Frame::Message(bytes) = frame {
                    let message = crate::sip::Message::parse(bytes.clone()).unwrap();
                    prop_assert!(bytes.ends_with(&message.body()));
                }
            }
        }
    }

    #[test]
    fn an_unreadable_length_gives_the_message_once_and_then_ends() {
        for length in ["-1", "3\r\nl: 3", "4294967296", ""] {
            let text = format!("OPTIONS sip:a SIP/2.0\r\nl: {length}\r\n\r\n");
            let (out, error) = frames([text.as_bytes(), b"abc"].into_iter());
            assert_eq!(out, [Frame::Message(Bytes::from(text))]);
            assert_eq!(error, Some(ParseError::Unframed));
        }
    }

    #[test]
    fn a_header_section_or_body_without_end_is_cut_to_be_answered_and_then_refused() {
        let endless = "X: y\r\n".repeat(20_000);
        let text = format!("OPTIONS sip:a SIP/2.0\r\n{endless}");
        let (out, error) = frames(text.as_bytes().chunks(1_000));
        let cut = Bytes::from(text.as_bytes()[..MESSAGE_BYTES_MAX].to_vec());
        assert_eq!((out, error), (vec![Frame::Message(cut)], Some(ParseError::TooLarge)));
        let text = b"OPTIONS sip:a SIP/2.0\r\nl: 70000\r\n\r\n";
        let (out, error) = frames(std::iter::once(&text[..]));
        assert_eq!(
            (out, error),
            (vec![Frame::Message(Bytes::from_static(text))], Some(ParseError::TooLarge))
        );
    }

    #[test]
    fn garbage_is_not_waited_for() {
        for garbage in ["\0", "GET / HTTP/1.1\r\n", "\u{16}\u{3}", "a b\r\n", &"a".repeat(65), "\rx"] {
            let (out, error) = frames(std::iter::once(garbage.as_bytes()));
            assert_eq!((out, error), (vec![], Some(ParseError::NotSip)), "{garbage}");
        }
    }

    #[test]
    fn a_lone_line_end_is_no_message_begun() {
        let mut framer = Framer::default();
        framer.push(b"\r\n");
        assert_eq!(framer.next(), Ok(None));
        assert!(!framer.is_amid_message());
        framer.push(b"OPT");
        assert_eq!(framer.next(), Ok(None));
        assert!(framer.is_amid_message());
    }
}
