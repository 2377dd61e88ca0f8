//! Sessions that we speak in ourselves: what a party can hear, and the description that we give it. Addresses and ports are not ours to
//! know: what is made here is pointed at the relay like any other ([`super::Origin::describe`]).

use super::read::{MediaLine, Sections, lines};
use super::{Direction, SdpError, audio};
use bytes::Bytes;
use std::fmt::Write;

/// Formats of one stream that are looked at; more are passed over.
const FORMATS_MAX: usize = 64;
/// RFC 4733 §2.4.1: the name of events in `a=rtpmap`.
pub const EVENTS: &str = "telephone-event";

/// One format of an audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    pub payload_type: u8,
    /// Its encoding name, as written; of a format without `a=rtpmap` that of RFC 3551 §6, where it is G.711 or G.722.
    pub name: String,
    /// Clock rate in Hz.
    pub clock: u32,
    /// Channels, where the description names them.
    pub channels: Option<u8>,
}

/// The formats of the audio that is relayed, in the order of preference, whatever its profile: what we say ourselves the relay protects.
///
/// # Errors
/// See [`SdpError`].
pub fn formats(description: &[u8]) -> Result<Vec<Mapped>, SdpError> {
    let sections = Sections::cut(description)?;
    let section = sections.media.get(sections.audio).copied().unwrap_or_default();
    let media = MediaLine::parse(lines(section).next().ok_or(SdpError::NoAudio)?.value)?;
    let maps: Vec<Mapped> = lines(section)
        .filter_map(|line| line.attribute())
        .filter(|(name, _)| *name == b"rtpmap")
        .filter_map(|(_, value)| mapped(value))
        .take(FORMATS_MAX)
        .collect();
    let listed = media.formats.split_ascii_whitespace().filter_map(|format| format.parse().ok());
    let of = |payload_type: u8| {
        let named = maps.iter().find(|map| map.payload_type == payload_type).cloned();
        named.or_else(|| fixed(payload_type))
    };
    Ok(listed.take(FORMATS_MAX).filter_map(of).collect())
}

/// `0 PCMU/8000[/1]`, `96 opus/48000/2` (RFC 8866 §6.6).
fn mapped(value: &[u8]) -> Option<Mapped> {
    let text = std::str::from_utf8(value).ok()?;
    let (payload_type, encoding) = text.split_once(' ')?;
    let mut parts = encoding.trim().split('/');
    let (name, clock) = (parts.next()?, parts.next()?);
    Some(Mapped {
        payload_type: payload_type.parse().ok()?,
        name: name.to_owned(),
        clock: clock.parse().ok()?,
        channels: parts.next().and_then(|channels| channels.parse().ok()),
    })
}

fn fixed(payload_type: u8) -> Option<Mapped> {
    let name = match payload_type {
        0 => "PCMU",
        8 => "PCMA",
        9 => "G722",
        _ => return None,
    };
    Some(Mapped { payload_type, name: name.to_owned(), clock: 8000, channels: None })
}

/// The answer to an offer, in which we speak this format of it and hear its events: every other stream is refused (RFC 3264 §6).
///
/// # Errors
/// See [`SdpError`].
pub fn answer(offer: &[u8], format: &Mapped, events: Option<&Mapped>) -> Result<Bytes, SdpError> {
    let sections = Sections::cut(offer)?;
    let mut text = String::from(HEAD);
    for (at, section) in sections.media.iter().enumerate() {
        let media = MediaLine::parse(lines(section).next().ok_or(SdpError::BadLine)?.value)?;
        let MediaLine { media, proto, formats, .. } = media;
        if at == sections.audio {
            let direction = match audio(offer)?.direction {
                Direction::SendRecv => "sendrecv",
                Direction::SendOnly => "recvonly",
                Direction::RecvOnly => "sendonly",
                Direction::Inactive => "inactive",
            };
            stream(&mut text, proto, std::slice::from_ref(format), events, direction);
        } else {
            let _ = write!(text, "m={media} 0 {proto} {formats}\r\n"); // a String takes all that is written
        }
    }
    Ok(Bytes::from(text))
}

/// An offer of ours, to whoever made none: wideband before G.711. Whoever has Opus has G.722 or G.711 too.
#[must_use]
pub fn offer() -> Bytes {
    let mut text = String::from(HEAD);
    let formats: Vec<Mapped> = [9, 0, 8].into_iter().filter_map(fixed).collect();
    let events = Mapped { payload_type: 101, name: EVENTS.to_owned(), clock: 8000, channels: None };
    stream(&mut text, "RTP/AVP", &formats, Some(&events), "sendrecv");
    Bytes::from(text)
}

const HEAD: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";

fn stream(text: &mut String, proto: &str, formats: &[Mapped], events: Option<&Mapped>, direction: &str) {
    let numbers: String = formats
        .iter()
        .chain(events)
        .map(|format| format.payload_type)
        .fold(String::new(), |list, payload_type| format!("{list} {payload_type}"));
    let _ = write!(text, "m=audio 9 {proto}{numbers}\r\n");
    for Mapped { payload_type, name, clock, channels } in formats.iter().chain(events) {
        let _ = write!(text, "a=rtpmap:{payload_type} {name}/{clock}");
        let _ = channels.map_or(Ok(()), |channels| write!(text, "/{channels}"));
        text.push_str("\r\n");
    }
    if let Some(Mapped { payload_type, .. }) = events {
        let _ = write!(text, "a=fmtp:{payload_type} 0-15\r\n");
    }
    let _ = write!(text, "a=ptime:20\r\na={direction}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
        m=video 4002 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 9 18 8 0 96\r\na=rtpmap:9 G722/8000\r\n\
        a=rtpmap:96 telephone-event/8000\r\na=sendonly\r\n";

    #[test]
    fn formats_stand_in_order_with_their_names() {
        let shown: Vec<_> = formats(OFFER.as_bytes())
            .unwrap()
            .into_iter()
            .map(|format| (format.payload_type, format.name, format.clock))
            .collect();
        let wanted = [(9, "G722"), (8, "PCMA"), (0, "PCMU"), (96, EVENTS)];
        assert_eq!(shown, wanted.map(|(payload_type, name)| (payload_type, name.to_owned(), 8000)));
        let secured = OFFER.replace("audio 4000 RTP/AVP", "audio 4000 RTP/SAVP");
        assert_eq!(formats(secured.as_bytes()), formats(OFFER.as_bytes()));
    }

    #[test]
    fn an_answer_has_the_streams_of_its_offer_and_one_voice() {
        let offered = formats(OFFER.as_bytes()).unwrap();
        let answer = answer(OFFER.as_bytes(), &offered[1], Some(&offered[3])).unwrap();
        let text = std::str::from_utf8(&answer).unwrap();
        assert!(text.ends_with(
            "m=video 0 RTP/AVP 96\r\nm=audio 9 RTP/AVP 8 96\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na=ptime:20\r\na=recvonly\r\n"
        ));
        assert!(audio(&answer).is_ok());
    }

    #[test]
    fn opus_is_answered_with_its_two_channels_and_the_clock_of_its_events() {
        // RFC 7587 §7: always 48000 and 2, whatever is sent.
        let offer = OFFER
            .replace("9 18 8 0 96", "111 126")
            .replace("96 telephone-event/8000", "126 telephone-event/48000")
            + "a=rtpmap:111 opus/48000/2\r\n";
        let offered = formats(offer.as_bytes()).unwrap();
        let answer = answer(offer.as_bytes(), &offered[0], Some(&offered[1])).unwrap();
        let text = std::str::from_utf8(&answer).unwrap();
        assert!(text.contains(
            "m=audio 9 RTP/AVP 111 126\r\na=rtpmap:111 opus/48000/2\r\n\
             a=rtpmap:126 telephone-event/48000\r\na=fmtp:126 0-15\r\n"
        ));
    }

    #[test]
    fn our_offer_can_be_read() {
        let names: Vec<_> = formats(&offer()).unwrap().into_iter().map(|format| format.name).collect();
        assert_eq!(names, ["G722", "PCMU", "PCMA", EVENTS]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = formats(&bytes);
            let text = [OFFER.as_bytes(), &bytes].concat();
            if let Ok(formats) = formats(&text) && let Some(format) = formats.first() {
                let _ = answer(&text, format, None);
            }
        }
    }
}
