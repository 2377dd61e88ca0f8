//! Payload types where two dialogs number the same codec differently. Whoever sends uses the numbers of the description that it was given;
//! whoever receives knows those of its own (RFC 3264 §5.1, §6.1). As long as each was given what the other wrote, these are the same numbers;
//! after a transfer, an answer to a refresh or a session that early media began they may not be.
//!
//! What it is not: it negotiates nothing and converts no sound. What RED (RFC 2198) carries within a packet keeps its numbers.

use super::SdpError;
use super::read::{MediaLine, Sections, lines};
use smallvec::SmallVec;

/// Formats of one stream that are looked at; more keep their numbers.
const FORMATS_MAX: usize = 64;
/// What there is room for in 7 bits.
const PAYLOAD_TYPES: usize = 128;
/// In the table of a [`Renumbering`]: the hearer would take it for something else.
const UNHEARD: u8 = 0x80;
/// RFC 3551 §6, tables 4 and 5: formats of audio that need no `a=rtpmap`.
const STATIC: [(u8, &str, u32, &str); 17] = [
    (0, "PCMU", 8000, "1"),
    (3, "GSM", 8000, "1"),
    (4, "G723", 8000, "1"),
    (5, "DVI4", 8000, "1"),
    (6, "DVI4", 16000, "1"),
    (7, "LPC", 8000, "1"),
    (8, "PCMA", 8000, "1"),
    (9, "G722", 8000, "1"),
    (10, "L16", 44100, "2"),
    (11, "L16", 44100, "1"),
    (12, "QCELP", 8000, "1"),
    (13, "CN", 8000, "1"),
    (14, "MPA", 90000, "1"),
    (15, "G728", 8000, "1"),
    (16, "DVI4", 11025, "1"),
    (17, "DVI4", 22050, "1"),
    (18, "G729", 8000, "1"),
];

/// One format of an audio stream, as it is written.
#[derive(Clone, Copy, Debug)]
struct Format<'a> {
    payload_type: u8,
    name: &'a str,
    /// Clock rate in Hz.
    clock: u32,
    channels: &'a str,
    /// Of `a=fmtp`.
    parameters: &'a str,
}

impl Format<'_> {
    /// The same encoding (RFC 8866 §6.6); the parameters may be another choice of it.
    fn is_like(&self, other: &Format<'_>) -> bool {
        self.name.eq_ignore_ascii_case(other.name)
            && (self.clock, self.channels) == (other.clock, other.channels)
    }
}

/// The payload types of what one party sends, as the other one has them.
#[derive(Clone, PartialEq, Eq)]
pub struct Renumbering(Box<[u8; PAYLOAD_TYPES]>);

impl std::fmt::Debug for Renumbering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let changed = (0_u8..).zip(self.0.iter().copied()).filter(|(from, to)| from != to);
        f.debug_map().entries(changed).finish()
    }
}

impl Renumbering {
    /// `given`: the description that the speaker was given; `own`: the hearer's. `None`: they number alike.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn between(given: &[u8], own: &[u8]) -> Result<Option<Renumbering>, SdpError> {
        let (given, own) = (formats(given)?, formats(own)?);
        let mut table = [0; PAYLOAD_TYPES];
        for (number, entry) in (0..).zip(&mut table) {
            *entry = number;
        }
        let mut differ = false;
        for format in &given {
            let to = number_of(format, &own);
            if let Some(entry) = table.get_mut(usize::from(format.payload_type)) {
                differ |= to != format.payload_type;
                *entry = to;
            }
        }
        Ok(differ.then(|| Renumbering(Box::new(table))))
    }

    /// What the hearer has that payload type for; `None`: something else, so it is not to hear this.
    #[must_use]
    pub fn of(&self, payload_type: u8) -> Option<u8> {
        let to = self.0.get(usize::from(payload_type)).copied().unwrap_or(payload_type);
        (to < UNHEARD).then_some(to)
    }
}

/// The hearer's number of a format: that of the one with the very parameters where there are several, else the same number, else the first.
fn number_of(format: &Format<'_>, own: &[Format<'_>]) -> u8 {
    let alike = || own.iter().filter(|other| format.is_like(other));
    let very = |other: &&Format<'_>| other.parameters.eq_ignore_ascii_case(format.parameters);
    let same = |other: &&Format<'_>| other.payload_type == format.payload_type;
    let found = alike()
        .find(|other| very(other) && same(other))
        .or_else(|| alike().find(very))
        .or_else(|| alike().find(same))
        .or_else(|| alike().next());
    match found {
        Some(other) => other.payload_type,
        None if own.iter().any(|other| same(&other)) => UNHEARD,
        None => format.payload_type, // it may be heard all the same, and is nothing else
    }
}

/// The number of the format of that name with the clock of the sound that is sent beside it (RFC 4733 §2.1): the first that is listed.
///
/// # Errors
/// See [`SdpError`].
pub fn beside_sound(description: &[u8], name: &str) -> Result<Option<Beside>, SdpError> {
    let formats = formats(description)?;
    let is_named = |format: &&Format<'_>| format.name.eq_ignore_ascii_case(name);
    let Some(sound) = formats.iter().find(|format| !is_named(format)) else { return Ok(None) };
    let beside = formats.iter().find(|format| is_named(format) && format.clock == sound.clock);
    Ok(beside.map(|format| Beside { payload_type: format.payload_type, clock: format.clock }))
}

/// See [`beside_sound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    pub payload_type: u8,
    /// Clock rate in Hz.
    pub clock: u32,
}

/// The formats of the audio that is relayed, in the order of the `m=` line. A dynamic number without `a=rtpmap` says nothing.
fn formats(description: &[u8]) -> Result<SmallVec<[Format<'_>; 8]>, SdpError> {
    let sections = Sections::cut(description)?;
    let stream = sections.audio();
    let media = MediaLine::parse(lines(stream).next().ok_or(SdpError::NoAudio)?.value)?;
    let mut formats: SmallVec<[Format<'_>; 8]> = media
        .formats
        .split_ascii_whitespace()
        .filter_map(|format| format.parse::<u8>().ok().filter(|number| *number < UNHEARD))
        .take(FORMATS_MAX)
        .map(|payload_type| {
            let fixed = STATIC.iter().find(|(number, ..)| *number == payload_type);
            let (name, clock, channels) =
                fixed.map_or(("", 0, "1"), |(_, name, clock, channels)| (*name, *clock, *channels));
            Format { payload_type, name, clock, channels, parameters: "" }
        })
        .collect();
    for (name, value) in lines(stream).filter_map(|line| line.attribute()) {
        let Some((number, rest)) = std::str::from_utf8(value).ok().and_then(|text| text.split_once(' '))
        else {
            continue;
        };
        let listed = number
            .parse()
            .ok()
            .and_then(|number: u8| formats.iter_mut().find(|format| format.payload_type == number));
        match (name, listed) {
            (b"rtpmap", Some(format)) => {
                let mut parts = rest.trim().split('/');
                if let (Some(name), Some(Ok(clock))) = (parts.next(), parts.next().map(str::parse)) {
                    (format.name, format.clock) = (name, clock);
                    format.channels = parts.next().unwrap_or("1");
                }
            }
            (b"fmtp", Some(format)) => format.parameters = rest.trim(),
            _ => {}
        }
    }
    formats.retain(|format| !format.name.is_empty());
    Ok(formats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn described(formats: &str, more: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP {formats}\r\n{more}"
        )
    }

    fn between(given: &str, own: &str) -> Option<Renumbering> {
        Renumbering::between(given.as_bytes(), own.as_bytes()).unwrap()
    }

    const OF_96: &str =
        "a=rtpmap:96 telephone-event/8000\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n";
    const OF_101: &str =
        "a=rtpmap:101 Telephone-Event/8000\r\na=fmtp:101 0-15\r\na=rtpmap:107 OPUS/48000/2\r\n";

    #[test]
    fn the_same_codec_gets_the_number_of_the_hearer() {
        let (given, own) = (described("0 111 96", OF_96), described("107 0 101", OF_101));
        let there = between(&given, &own).unwrap();
        assert_eq!([0, 111, 96, 9].map(|number| there.of(number)), [Some(0), Some(107), Some(101), Some(9)]);
        let back = between(&own, &given).unwrap();
        assert_eq!([107, 101].map(|number| back.of(number)), [Some(111), Some(96)]);
        assert_eq!(format!("{there:?}"), "{96: 101, 111: 107}");
    }

    #[test]
    fn descriptions_that_number_alike_need_nothing() {
        let own = described("0 8 101", "a=rtpmap:0 pcmu/8000/1\r\na=rtpmap:101 telephone-event/8000\r\n");
        let given = described("8 101", "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n");
        assert_eq!(between(&given, &own), None);
        assert_eq!(between(&own, &given), None, "a codec that the other one hasn't stays what it is");
    }

    #[test]
    fn of_several_formats_of_one_codec_the_parameters_tell_which() {
        let own =
            described("96 97", "a=rtpmap:96 AMR/8000\r\na=rtpmap:97 AMR/8000\r\na=fmtp:97 octet-align=1\r\n");
        let given = described("96", "a=rtpmap:96 AMR/8000\r\na=fmtp:96 octet-align=1\r\n");
        assert_eq!(between(&given, &own).unwrap().of(96), Some(97));
        let events = |of: &str| {
            described(
                "96 97",
                &format!(
                    "a=rtpmap:96 telephone-event/{}\r\na=rtpmap:97 telephone-event/{}\r\n",
                    &of[..of.find(' ').unwrap()],
                    &of[of.find(' ').unwrap() + 1..]
                ),
            )
        };
        let crossed = between(&events("8000 48000"), &events("48000 8000")).unwrap();
        assert_eq!((crossed.of(96), crossed.of(97)), (Some(97), Some(96)), "by the clock");
    }

    #[test]
    fn what_would_be_taken_for_something_else_is_not_heard() {
        let given = described("0 96", "a=rtpmap:96 opus/48000/2\r\n");
        let own = described("0 96", "a=rtpmap:96 telephone-event/8000\r\n");
        let renumbering = between(&given, &own).unwrap();
        assert_eq!((renumbering.of(96), renumbering.of(0)), (None, Some(0)));
    }

    #[test]
    fn events_go_beside_the_sound_with_its_clock() {
        let both = "a=rtpmap:111 opus/48000/2\r\na=rtpmap:96 telephone-event/8000\r\na=rtpmap:97 telephone-event/48000\r\n";
        let of = |formats| beside_sound(described(formats, both).as_bytes(), "telephone-event").unwrap();
        assert_eq!(of("0 96 97"), Some(Beside { payload_type: 96, clock: 8000 }));
        assert_eq!(of("111 96 97"), Some(Beside { payload_type: 97, clock: 48_000 }));
        assert_eq!((of("111 96"), of("0"), of("96")), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = [described("0 96 97", OF_96).as_bytes(), &bytes].concat();
            let _ = Renumbering::between(&text, &bytes);
            let _ = Renumbering::between(&text, described("0 101", OF_101).as_bytes());
            let _ = beside_sound(&text, "telephone-event");
        }

        /// What is renumbered one way and back is what it was, whoever numbers how.
        #[test]
        fn there_and_back_is_the_same_codec(numbers in proptest::collection::hash_set(96_u8..128, 6)) {
            let numbers: Vec<u8> = numbers.into_iter().collect();
            let of = |numbers: &[u8]| {
                let names = ["opus/48000/2", "telephone-event/8000", "G722/8000"];
                let maps: String =
                    numbers.iter().zip(names).map(|(n, name)| format!("a=rtpmap:{n} {name}\r\n")).collect();
                let listed: Vec<String> = numbers.iter().map(u8::to_string).collect();
                described(&listed.join(" "), &maps)
            };
            let (one, two) = (of(&numbers[..3]), of(&numbers[3..]));
            let (there, back) = (between(&one, &two).unwrap(), between(&two, &one).unwrap());
            for number in &numbers[..3] {
                prop_assert_eq!(there.of(*number).and_then(|to| back.of(to)), Some(*number));
            }
        }
    }
}
