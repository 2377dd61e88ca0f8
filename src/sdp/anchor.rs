//! Pointing a description at our relay, and saying how its media is secured there: a line editor. What it doesn't name passes byte for byte.

use super::hold::DIRECTIONS;
use super::keying::{Carriage, Keying};
use super::origin::Ports;
use super::read::{Line, MediaLine, Sections, check_origin, connection_address, direction, lines};
use super::{Direction, SdpError};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt::{self, Write as _};

/// Attributes that lead around the relay, or promise what it doesn't keep: ICE (RFC 8839), bundling of streams that are
/// refused (RFC 9143), other addresses (RFC 6947, RFC 7006), filters on the sender's address (RFC 4570), and keys, which end at the relay
/// (RFC 4568, RFC 4567, RFC 8122, RFC 8842).
const REMOVED: [&[u8]; 19] = [
    b"candidate",
    b"remote-candidates",
    b"end-of-candidates",
    b"ice-ufrag",
    b"ice-pwd",
    b"ice-options",
    b"ice-lite",
    b"ice-mismatch",
    b"ice-pacing",
    b"bundle-only",
    b"altc",
    b"ccap",
    b"source-filter",
    b"crypto",
    b"key-mgmt",
    b"fingerprint",
    b"setup",
    b"tls-id",
    b"connection",
];

/// What we say ourselves of a stream whose profile is ours: RTCP on its port (RFC 5761), and its name (RFC 9143).
const OURS: [&[u8]; 2] = [b"rtcp-mux", b"mid"];

/// What browsers agree on between themselves and a phone in the clear knows nothing of, or the other way round: sources and streams
/// (RFC 5576, RFC 8830), header extensions (RFC 8285), groups (RFC 5888), feedback (RFC 4585), and shortened RTCP (RFC 5506).
const OF_BROWSERS: [&[u8]; 14] = [
    b"rtcp-mux-only",
    b"rtcp-rsize",
    b"rtcp-fb",
    b"ssrc",
    b"ssrc-group",
    b"msid",
    b"msid-semantic",
    b"extmap",
    b"extmap-allow-mixed",
    b"group",
    b"rid",
    b"simulcast",
    b"mid",
    b"rtcp-mux",
];

/// The same description with its first live audio stream pointed at our relay: `c=` address, port, `a=rtcp`; its `o=` line is ours, with
/// this session id and version ([`Origin`](super::Origin) keeps them); it is secured as that keying says;
/// ICE and other attributes that would lead around the relay are removed, other media get port 0. Who holds by an address of none
/// (`0.0.0.0`) is said to hold by the direction (RFC 3264 §8.4): the address is the relay's, where ICE and keys need one. Between two parties
/// in the clear `a=rtcp-mux` stays: it is between them.
///
/// # Errors
/// See [`SdpError`].
pub fn anchor(
    description: &[u8],
    ports: Ports,
    id: u64,
    version: u64,
    keying: &Keying,
) -> Result<Bytes, SdpError> {
    let sections = Sections::cut(description)?;
    let foreign = is_foreign(sections.audio());
    let stream = lines(sections.audio()).next().ok_or(SdpError::NoAudio)?;
    let carriage = keying.carriage(MediaLine::parse(stream.value)?.proto, foreign, ports);
    let mut anchor = Anchor {
        // Room for longer addresses, an `a=rtcp` line and keys.
        out: BytesMut::with_capacity(description.len() + 512),
        ports,
        id,
        version,
        held: held(&sections),
        foreign: foreign || carriage.ice,
        carriage,
    };
    for line in lines(sections.session) {
        anchor.session_line(line)?;
    }
    anchor.of_session(stream);
    for (at, section) in sections.media.iter().enumerate() {
        if at == sections.audio {
            anchor.audio(section)?;
        } else {
            anchor.refused(section)?;
        }
    }
    Ok(anchor.out.freeze())
}

struct Anchor {
    out: BytesMut,
    ports: Ports,
    id: u64,
    version: u64,
    carriage: Carriage,
    /// One of the two sides is of another kind than plain RTP as it came.
    foreign: bool,
    /// Whoever wrote it holds by an address of none: what its audio is to say instead.
    held: Option<&'static str>,
}

impl Anchor {
    /// A line that may stand at either level.
    fn session_line(&mut self, line: Line<'_>) -> Result<(), SdpError> {
        match line.kind {
            b'o' => self.origin(line),
            b'c' => self.connection(line),
            _ if is_removed(line) || self.is_ours(line) => Ok(()),
            _ => {
                self.out.put_slice(line.whole);
                Ok(())
            }
        }
    }

    fn audio(&mut self, section: &[u8]) -> Result<(), SdpError> {
        let mut rtcp_written = false;
        let Ports { rtp: rtp_port, rtcp: rtcp_port, .. } = self.ports;
        for line in lines(section) {
            if line.kind == b'm' {
                let media = MediaLine::parse(line.value)?;
                let proto = self.carriage.proto.take().unwrap_or_else(|| media.proto.into());
                self.line(line, format_args!("m={} {rtp_port} {proto} {}", media.media, media.formats));
            } else if self.carriage.ice && line.attribute().is_some_and(|(name, _)| name == b"rtcp") {
                // RFC 8834 §4.5: there is none.
            } else if line.attribute().is_some_and(|(name, _)| name == b"rtcp") {
                if !rtcp_written {
                    self.line(line, format_args!("a=rtcp:{rtcp_port}"));
                }
                rtcp_written = true;
            } else if self.held.is_none() || !is_direction(line) {
                self.session_line(line)?;
            }
        }
        let Some(media) = lines(section).next() else { return Ok(()) };
        if let Some(direction) = self.held {
            self.end_line(media);
            self.line(media, format_args!("a={direction}"));
        }
        // RFC 3605: a port that isn't the next one has to be said.
        if !rtcp_written && !self.carriage.ice && rtp_port.checked_add(1) != Some(rtcp_port) {
            self.end_line(media);
            self.line(media, format_args!("a=rtcp:{rtcp_port}"));
        }
        for said in std::mem::take(&mut self.carriage.of_stream) {
            self.end_line(media);
            self.line(media, format_args!("{}", *said));
        }
        if self.carriage.muxed {
            self.end_line(media);
            self.line(media, format_args!("a=rtcp-mux"));
        }
        Ok(())
    }

    /// What we say of the session, after all that was said of it.
    fn of_session(&mut self, like: Line<'_>) {
        for said in std::mem::take(&mut self.carriage.of_session) {
            self.line(like, format_args!("{said}"));
        }
    }

    /// Ends the last line, where it came without an end.
    fn end_line(&mut self, like: Line<'_>) {
        if !self.out.ends_with(b"\n") {
            self.out.put_slice(line_end(like));
        }
    }

    /// Whether we say that ourselves, or not at all.
    fn is_ours(&self, line: Line<'_>) -> bool {
        let Some((name, _)) = line.attribute() else { return false };
        (self.carriage.secured && OURS.contains(&name)) || (self.foreign && OF_BROWSERS.contains(&name))
    }

    /// RFC 3264 §6: a stream is refused with port 0; its line stays, so that the lines of offer and answer match.
    fn refused(&mut self, section: &[u8]) -> Result<(), SdpError> {
        for line in lines(section) {
            if line.kind == b'm' {
                let media = MediaLine::parse(line.value)?;
                if media.port == 0 {
                    self.out.put_slice(line.whole);
                } else {
                    self.line(line, format_args!("m={} 0 {} {}", media.media, media.proto, media.formats));
                }
            } else if line.attribute().is_none_or(|(name, _)| name != b"rtcp") {
                self.session_line(line)?;
            }
        }
        Ok(())
    }

    /// RFC 8866 §5.2.
    fn origin(&mut self, line: Line<'_>) -> Result<(), SdpError> {
        check_origin(line.value)?;
        let (kind, address, id, version) = (self.address_kind(), self.ports.address, self.id, self.version);
        self.line(line, format_args!("o=- {id} {version} IN {kind} {address}"));
        Ok(())
    }

    fn connection(&mut self, line: Line<'_>) -> Result<(), SdpError> {
        connection_address(line.value)?;
        let (kind, address) = (self.address_kind(), self.ports.address);
        self.line(line, format_args!("c=IN {kind} {address}"));
        Ok(())
    }

    fn address_kind(&self) -> &'static str {
        if self.ports.address.is_ipv4() { "IP4" } else { "IP6" }
    }

    /// Writes a line in the place of `old`, with its line end.
    fn line(&mut self, old: Line<'_>, new: fmt::Arguments<'_>) {
        // Writing to `BytesMut` grows it and doesn't fail.
        let _ = self.out.write_fmt(new);
        self.out.put_slice(line_end(old));
    }
}

/// The line end as it came; one for a last line that came without.
fn line_end(line: Line<'_>) -> &'static [u8] {
    if line.whole.ends_with(b"\n") && !line.whole.ends_with(b"\r\n") { b"\n" } else { b"\r\n" }
}

/// The direction of audio that is held by an address of none (RFC 3264 §8.4): nothing is to be sent there. `None`: it isn't, or ICE finds
/// the way.
fn held(sections: &Sections<'_>) -> Option<&'static str> {
    let connection = lines(sections.audio()).chain(lines(sections.session)).find(|line| line.kind == b'c')?;
    let address = connection_address(connection.value).ok()?;
    if !address.is_unspecified() || sections.has_ice() {
        return None;
    }
    Some(match direction(sections.audio()).or(direction(sections.session)) {
        None | Some(Direction::SendRecv | Direction::SendOnly) => "sendonly",
        Some(Direction::RecvOnly | Direction::Inactive) => "inactive",
    })
}

fn is_direction(line: Line<'_>) -> bool {
    line.attribute().is_some_and(|(name, _)| DIRECTIONS.contains(&name))
}

/// Whether this stream is anything but plain RTP.
fn is_foreign(stream: &[u8]) -> bool {
    let secured = |line: Line<'_>| {
        line.attribute().is_some_and(|(name, _)| matches!(name, b"crypto" | b"fingerprint"))
            || line.kind == b'm'
                && MediaLine::parse(line.value)
                    .is_ok_and(|media| media.proto.to_ascii_uppercase().contains("SAVP"))
    };
    lines(stream).any(secured)
}

fn is_removed(line: Line<'_>) -> bool {
    line.attribute().is_some_and(|(name, value)| {
        REMOVED.contains(&name) || (name == b"group" && value.starts_with(b"BUNDLE"))
    })
}
