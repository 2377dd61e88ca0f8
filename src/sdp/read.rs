//! Reading a description: its lines, its media sections, and where its audio wants to be received.

use super::{Audio, Direction, MEDIA_LINES_MAX, SdpError};
use memchr::memchr;
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};

/// One line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// With its line end.
    pub(super) whole: &'a [u8],
    /// The letter before the `=`; 0 for a line that has none.
    pub(super) kind: u8,
    /// What follows the `=`, without the line end.
    pub(super) value: &'a [u8],
}

impl<'a> Line<'a> {
    /// The name of an `a=` line and what follows its colon.
    pub(super) fn attribute(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.kind != b'a' {
            return None;
        }
        let (name, value) = match memchr(b':', self.value) {
            Some(at) => (self.value.get(..at)?, self.value.get(at + 1..)?),
            None => (self.value, &b""[..]),
        };
        Some((name.trim_ascii(), value.trim_ascii()))
    }
}

/// The lines of a section. Line ends are CRLF or LF (RFC 8866 §9.1 wants CRLF and bids to take both).
pub(super) fn lines(mut section: &[u8]) -> impl Iterator<Item = Line<'_>> {
    std::iter::from_fn(move || {
        if section.is_empty() {
            return None;
        }
        let end = memchr(b'\n', section).map_or(section.len(), |at| at + 1);
        let (whole, rest) = section.split_at_checked(end)?;
        section = rest;
        let text = whole.strip_suffix(b"\n").unwrap_or(whole);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Some(match text {
            [kind, b'=', value @ ..] => Line { whole, kind: *kind, value },
            _ => Line { whole, kind: 0, value: b"" },
        })
    })
}

/// A description cut before each `m=` line.
#[derive(Debug)]
pub(super) struct Sections<'a> {
    pub(super) session: &'a [u8],
    pub(super) media: SmallVec<[&'a [u8]; 4]>,
    /// Which of `media` is relayed.
    pub(super) audio: usize,
}

impl<'a> Sections<'a> {
    pub(super) fn cut(description: &'a [u8]) -> Result<Sections<'a>, SdpError> {
        if lines(description).next().is_none_or(|line| line.kind != b'v' || line.value.trim_ascii() != b"0") {
            return Err(SdpError::Malformed);
        }
        let (mut session, mut media) = (description, SmallVec::new());
        let (mut at, mut begun) = (0, 0);
        let mut audio = None;
        for line in lines(description) {
            if line.kind == b'm' {
                let before = description.get(begun..at).unwrap_or_default();
                if begun == 0 {
                    session = before
                } else {
                    media.push(before)
                }
                if media.len() == MEDIA_LINES_MAX {
                    return Err(SdpError::TooManyMedia);
                }
                if audio.is_none() && MediaLine::parse(line.value)?.is_relayed() {
                    audio = Some(media.len());
                } else {
                    MediaLine::parse(line.value)?;
                }
                begun = at;
            }
            at += line.whole.len();
        }
        if begun > 0 {
            media.push(description.get(begun..).unwrap_or_default());
        }
        Ok(Sections { session, media, audio: audio.ok_or(SdpError::NoAudio)? })
    }

    pub(super) fn audio(&self) -> &'a [u8] {
        self.media.get(self.audio).copied().unwrap_or_default()
    }

    /// Whether its audio is found by ICE (RFC 8839), and its addresses are only a guess: with DTLS alone we take part in that.
    pub(super) fn has_ice(&self) -> bool {
        let says = |wanted: &[u8]| {
            let mut both = lines(self.audio()).chain(lines(self.session));
            both.any(|line| line.attribute().is_some_and(|(name, _)| name == wanted))
        };
        says(b"ice-ufrag") && says(b"fingerprint")
    }
}

/// `m=<media> <port>[/<number>] <proto> <fmt> ...` (RFC 8866 §5.14).
#[derive(Clone, Copy, Debug)]
pub(super) struct MediaLine<'a> {
    pub(super) media: &'a str,
    pub(super) port: u16,
    pub(super) proto: &'a str,
    /// The formats, as written.
    pub(super) formats: &'a str,
}

impl<'a> MediaLine<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Result<MediaLine<'a>, SdpError> {
        let text = std::str::from_utf8(value).map_err(|_| SdpError::BadLine)?;
        let mut words = text.trim_end().splitn(4, ' ');
        let mut word = || words.next().filter(|word| !word.is_empty()).ok_or(SdpError::BadLine);
        let (media, port, proto, formats) = (word()?, word()?, word()?, word()?);
        let port = number(port.split('/').next().unwrap_or(""))?;
        Ok(MediaLine { media, port, proto, formats })
    }

    /// Live audio over RTP.
    fn is_relayed(&self) -> bool {
        const RELAYED: [&str; 6] =
            ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"];
        self.port != 0
            && self.media.eq_ignore_ascii_case("audio")
            && RELAYED.iter().any(|proto| proto.eq_ignore_ascii_case(self.proto))
    }
}

/// The first audio stream that is not refused (port 0) and runs over RTP. What can be read here can be relayed: every line that pointing
/// it at a relay changes is looked at, in other streams too.
///
/// # Errors
/// See [`SdpError`].
pub fn audio(description: &[u8]) -> Result<Audio, SdpError> {
    let sections = Sections::cut(description)?;
    for line in lines(description) {
        match line.kind {
            b'o' => check_origin(line.value)?,
            b'c' => connection_address(line.value).map(drop)?,
            _ => {}
        }
    }
    let section = sections.audio();
    let media = lines(section).next().ok_or(SdpError::NoAudio)?;
    let port = MediaLine::parse(media.value)?.port;
    let connection = lines(section).chain(lines(sections.session)).find(|line| line.kind == b'c');
    let address = connection_address(connection.ok_or(SdpError::BadLine)?.value)?;
    let rtp = SocketAddr::new(address, port);
    Ok(Audio {
        rtp,
        rtcp: rtcp(section, rtp)?,
        direction: direction(section).or(direction(sections.session)).unwrap_or(Direction::SendRecv),
        on_hold: address.is_unspecified() && !sections.has_ice(),
    })
}

/// `<username> <sess-id> <sess-version> <nettype> <addrtype> <address>` (RFC 8866 §5.2).
pub(super) fn check_origin(value: &[u8]) -> Result<(), SdpError> {
    let text = std::str::from_utf8(value).map_err(|_| SdpError::BadLine)?;
    if text.split_ascii_whitespace().count() == 6 { Ok(()) } else { Err(SdpError::BadLine) }
}

/// `IN IP4 192.0.2.1`, a time to live or a count after a slash passed over (RFC 8866 §5.7).
pub(super) fn connection_address(value: &[u8]) -> Result<IpAddr, SdpError> {
    let text = std::str::from_utf8(value).map_err(|_| SdpError::BadLine)?;
    let mut words = text.split_ascii_whitespace();
    let (Some("IN"), Some(kind), Some(address), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(SdpError::BadLine);
    };
    let address: IpAddr = address.split('/').next().unwrap_or("").parse().map_err(|_| SdpError::BadLine)?;
    let fits = if address.is_ipv4() { kind == "IP4" } else { kind == "IP6" };
    if fits { Ok(address) } else { Err(SdpError::BadLine) }
}

fn rtcp(section: &[u8], rtp: SocketAddr) -> Result<SocketAddr, SdpError> {
    let find = |wanted: &[u8]| {
        lines(section)
            .filter_map(|line| line.attribute())
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    };
    if find(b"rtcp-mux").is_some() {
        return Ok(rtp);
    }
    let Some(value) = find(b"rtcp") else {
        // No port follows the last one: such a stream has no RTCP but on its own port.
        return Ok(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1).unwrap_or(rtp.port())));
    };
    let text = std::str::from_utf8(value).map_err(|_| SdpError::BadLine)?;
    let (port, address) = text.split_once(' ').unwrap_or((text, ""));
    let address = if address.is_empty() { rtp.ip() } else { connection_address(address.as_bytes())? };
    Ok(SocketAddr::new(address, number(port)?))
}

pub(super) fn direction(section: &[u8]) -> Option<Direction> {
    lines(section).filter_map(|line| line.attribute()).find_map(|(name, _)| match name {
        b"sendrecv" => Some(Direction::SendRecv),
        b"sendonly" => Some(Direction::SendOnly),
        b"recvonly" => Some(Direction::RecvOnly),
        b"inactive" => Some(Direction::Inactive),
        _ => None,
    })
}

/// A port: digits only (`parse` alone would take a sign).
fn number(text: &str) -> Result<u16, SdpError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(SdpError::BadLine)
}
