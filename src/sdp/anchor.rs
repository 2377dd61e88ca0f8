//! Pointing a description at our relay: a line editor. What it doesn't name passes byte for byte.

use super::SdpError;
use super::origin::Ports;
use super::read::{Line, MediaLine, Sections, connection_address, lines};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt::{self, Write as _};

/// Attributes that lead around the relay, or promise what it doesn't keep: ICE (RFC 8839), bundling of streams that are
/// refused (RFC 9143), other addresses (RFC 6947, RFC 7006), and filters on the sender's address (RFC 4570).
const REMOVED: [&[u8]; 13] = [
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
];

/// The same description with its first live audio stream pointed at our relay: `c=` address, port, `a=rtcp`; its `o=` line is ours, with
/// this session id and version ([`Origin`](super::Origin) keeps them);
/// ICE and other attributes that would lead around the relay are removed, other media get port 0. An address of hold
/// (`0.0.0.0`) stays: it says that nothing may be sent. `a=rtcp-mux` stays: it is between the two parties.
///
/// # Errors
/// See [`SdpError`].
pub fn anchor(description: &[u8], ports: Ports, id: u64, version: u64) -> Result<Bytes, SdpError> {
    let sections = Sections::cut(description)?;
    // Room for longer addresses and an `a=rtcp` line.
    let mut anchor = Anchor { out: BytesMut::with_capacity(description.len() + 128), ports, id, version };
    for line in lines(sections.session) {
        anchor.session_line(line)?;
    }
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
}

impl Anchor {
    /// A line that may stand at either level.
    fn session_line(&mut self, line: Line<'_>) -> Result<(), SdpError> {
        match line.kind {
            b'o' => self.origin(line),
            b'c' => self.connection(line),
            _ if is_removed(line) => Ok(()),
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
                self.line(
                    line,
                    format_args!("m={} {rtp_port} {} {}", media.media, media.proto, media.formats),
                );
            } else if line.attribute().is_some_and(|(name, _)| name == b"rtcp") {
                if !rtcp_written {
                    self.line(line, format_args!("a=rtcp:{rtcp_port}"));
                }
                rtcp_written = true;
            } else {
                self.session_line(line)?;
            }
        }
        // RFC 3605: a port that isn't the next one has to be said.
        if !rtcp_written
            && rtp_port.checked_add(1) != Some(rtcp_port)
            && let Some(media) = lines(section).next()
        {
            if !self.out.ends_with(b"\n") {
                self.out.put_slice(line_end(media));
            }
            self.line(media, format_args!("a=rtcp:{rtcp_port}"));
        }
        Ok(())
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

    /// `o=<username> <sess-id> <sess-version> <nettype> <addrtype> <address>` (RFC 8866 §5.2).
    fn origin(&mut self, line: Line<'_>) -> Result<(), SdpError> {
        let text = std::str::from_utf8(line.value).map_err(|_| SdpError::BadLine)?;
        if text.split_ascii_whitespace().count() != 6 {
            return Err(SdpError::BadLine);
        }
        let (kind, address, id, version) = (self.address_kind(), self.ports.address, self.id, self.version);
        self.line(line, format_args!("o=- {id} {version} IN {kind} {address}"));
        Ok(())
    }

    fn connection(&mut self, line: Line<'_>) -> Result<(), SdpError> {
        if connection_address(line.value)?.is_unspecified() {
            self.out.put_slice(line.whole);
        } else {
            let (kind, address) = (self.address_kind(), self.ports.address);
            self.line(line, format_args!("c=IN {kind} {address}"));
        }
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

fn is_removed(line: Line<'_>) -> bool {
    line.attribute().is_some_and(|(name, value)| {
        REMOVED.contains(&name) || (name == b"group" && value.starts_with(b"BUNDLE"))
    })
}
