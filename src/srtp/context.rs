//! The packets of one direction under one master key: which index a packet has (RFC 3711 §3.3.1), whether it was there before (§3.3.2), and
//! how many sources are remembered.
//!
//! Another key doesn't begin the indices of a source anew (§3.3.1). Some peers begin them all the same: until the first packet of a source has
//! come under the new key, both are tried.
//!
//! Nothing is allocated for as many sources as a call has, and packets change in their place. A source is remembered only once a packet of it
//! has been authenticated, so whoever sends packets of made-up sources takes nothing but time. What was protected is never forgotten: a party
//! that goes from source to source and back would have us use an index twice.
//!
//! Why not the `webrtc-srtp` crate: it takes SRTCP that says of itself that it is not encrypted without looking at its tag, remembers each
//! source before it authenticates, may panic on short packets, expands the key for each packet, and makes two copies of it. The tests hold
//! this against it where it is right.

use super::keys::Master;
use super::transform::Transform;
use crate::rtp::{self, Header};

/// Sources that are heard and remembered; one more takes the place of the one that was heard least lately, whose rollovers are
/// forgotten with it.
const SOURCES_MAX: usize = 16;
/// Sources that one key protects packets of, more than a call of many transfers has; those of one more are refused.
const PROTECTED_MAX: usize = 256;
/// Packets behind the newest that are still taken (RFC 3711 §3.3.2 asks for 64 at least).
const WINDOW: u64 = 128;
/// A step forward of this many sequence numbers or more is a restart of the source or a stray (RFC 3550 §A.1).
const DROPOUT_MAX: u16 = 3000;
/// RFC 3711 §9.2: no key protects more.
const RTP_INDEX_MAX: u64 = (1 << 48) - 1;
const RTCP_INDEX_MAX: u32 = (1 << 31) - 1;

/// Why a packet isn't passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No packet of its kind, or no room for its trailer.
    Malformed,
    /// It was there before, or is too old to know.
    Replayed,
    /// Its tag isn't of this key.
    Forged,
    /// The key has protected all that it may, or packets of as many sources as it may.
    Exhausted,
}

/// Opens what a party sends.
pub struct Inbound {
    transform: Transform,
    rtp: Sources,
    rtcp: Sources,
}

impl Inbound {
    #[must_use]
    pub fn new(theirs: &Master) -> Inbound {
        Inbound {
            transform: Transform::new(theirs),
            rtp: Sources::new(SOURCES_MAX),
            rtcp: Sources::new(SOURCES_MAX),
        }
    }

    /// The same sources under another key.
    #[must_use]
    pub fn rekeyed(&self, theirs: &Master) -> Inbound {
        Inbound { rtp: self.rtp.carried(), ..Inbound::new(theirs) }
    }

    /// Opens an SRTP packet in its place: octets of the RTP packet that it holds.
    ///
    /// # Errors
    /// See [`Refused`]; the packet is as it was.
    pub fn rtp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let (header, payload) = read(packet)?;
        let known = self.rtp.find(header.ssrc);
        let mut refused = Refused::Replayed;
        for index in known.candidates(header.sequence).into_iter().flatten() {
            if known.has_seen(index) {
                continue;
            }
            if let Some(octets) = self.transform.open_rtp(packet, payload, header.ssrc, index) {
                self.rtp.saw(header.ssrc, index);
                return Ok(octets);
            }
            refused = Refused::Forged;
        }
        Err(refused)
    }

    /// Opens an SRTCP packet in its place.
    ///
    /// # Errors
    /// See [`Refused`]; the packet is as it was.
    pub fn rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let ssrc = rtp::reporter(packet).ok_or(Refused::Malformed)?;
        let index = self.transform.rtcp_index(packet).ok_or(Refused::Malformed)?;
        if self.rtcp.find(ssrc).has_seen(u64::from(index)) {
            return Err(Refused::Replayed);
        }
        let octets = self.transform.open_rtcp(packet, ssrc, index).ok_or(Refused::Forged)?;
        self.rtcp.saw(ssrc, u64::from(index));
        Ok(octets)
    }
}

/// Protects what a party is sent.
pub struct Outbound {
    transform: Transform,
    rtp: Sources,
    rtcp_next: u32,
}

impl Outbound {
    #[must_use]
    pub fn new(ours: &Master) -> Outbound {
        Outbound { transform: Transform::new(ours), rtp: Sources::new(PROTECTED_MAX), rtcp_next: 0 }
    }

    /// From now on under this key: neither the indices of SRTP (RFC 3711 §3.3.1) nor that of SRTCP (§3.4) begin anew.
    pub fn rekey(&mut self, ours: &Master) {
        self.transform = Transform::new(ours);
    }

    /// Protects the RTP packet that is the first `octets` of the buffer: octets after it, at most [`TRAILER_BYTES_MAX`] more. What was sent
    /// before is not sent again: two packets under one index would give away what both hold (RFC 3711 §9.1). A source that begins its sequence
    /// numbers anew, which a key doesn't bear, goes on with those that come next.
    ///
    /// [`TRAILER_BYTES_MAX`]: super::TRAILER_BYTES_MAX
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn rtp(&mut self, buffer: &mut [u8], octets: usize) -> Result<usize, Refused> {
        let (header, payload) = read(buffer.get(..octets).ok_or(Refused::Malformed)?)?;
        if !self.rtp.has_room_for(header.ssrc) {
            return Err(Refused::Exhausted);
        }
        let sequence = self.rtp.onward(header.ssrc, header.sequence).ok_or(Refused::Replayed)?;
        let known = self.rtp.find(header.ssrc);
        let index = known.estimate(sequence).ok_or(Refused::Replayed)?;
        if known.has_seen(index) {
            return Err(Refused::Replayed);
        }
        if let Some(field) = buffer.get_mut(2..4) {
            field.copy_from_slice(&sequence.to_be_bytes());
        }
        if index > RTP_INDEX_MAX {
            return Err(Refused::Exhausted);
        }
        self.rtp.saw(header.ssrc, index);
        self.transform.seal_rtp(buffer, (payload, octets), header.ssrc, index).ok_or(Refused::Malformed)
    }

    /// Protects the RTCP packet that is the first `octets` of the buffer.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn rtcp(&mut self, buffer: &mut [u8], octets: usize) -> Result<usize, Refused> {
        let ssrc = buffer.get(..octets).and_then(rtp::reporter).ok_or(Refused::Malformed)?;
        let index = self.rtcp_next;
        if index > RTCP_INDEX_MAX {
            return Err(Refused::Exhausted);
        }
        self.rtcp_next += 1;
        self.transform.seal_rtcp(buffer, octets, ssrc, index).ok_or(Refused::Malformed)
    }
}

/// The header, and where the payload begins.
fn read(packet: &[u8]) -> Result<(Header, usize), Refused> {
    let header = Header::parse(packet).ok_or(Refused::Malformed)?;
    let &[first, ..] = packet else { return Err(Refused::Malformed) };
    let fixed = rtp::HEADER_BYTES + usize::from(first & 0x0f) * 4;
    if first & 0x10 == 0 {
        return Ok((header, fixed));
    }
    let words = packet.get(fixed + 2..).and_then(<[u8]>::first_chunk::<2>).ok_or(Refused::Malformed)?;
    Ok((header, fixed + 4 + usize::from(u16::from_be_bytes(*words)) * 4))
}

/// One source: the highest index that was seen, and which of those behind it.
#[derive(Clone, Copy)]
struct Source {
    ssrc: u32,
    /// `None`: nothing was seen of it under this key.
    highest: Option<u64>,
    /// Inbound: the highest under the key before, until something is seen under this one.
    carried: Option<u64>,
    seen: u128,
    /// Outbound: what its sequence numbers are raised by since it began them anew.
    raised: u16,
    /// Outbound: what the packet after a jump carries if it does so now.
    doubted: Option<u16>,
}

impl Source {
    fn new(ssrc: u32) -> Source {
        Source { ssrc, highest: None, carried: None, seen: 0, raised: 0, doubted: None }
    }

    /// The sequence number that a packet with this one goes out with. `None`: it is a jump that the next packet has to confirm, as in RFC
    /// 3550 §A.1.
    fn onward(&mut self, sequence: u16) -> Option<u16> {
        let Some(highest) = self.highest else { return Some(sequence) };
        let (highest, raised) = ((highest & 0xffff) as u16, sequence.wrapping_add(self.raised));
        let ahead = raised.wrapping_sub(highest);
        if ahead < DROPOUT_MAX || u64::from(ahead.wrapping_neg()) < WINDOW {
            return Some(raised);
        }
        if self.doubted.replace(sequence.wrapping_add(1)) != Some(sequence) {
            return None;
        }
        let next = highest.wrapping_add(1);
        (self.raised, self.doubted) = (next.wrapping_sub(sequence), None);
        Some(next)
    }

    /// The indices that a packet with this sequence number may have: the one that follows from those seen, and, of a source that has another
    /// key, the one that it has if its rollovers begin anew.
    fn candidates(&self, sequence: u16) -> [Option<u64>; 2] {
        let onward = self.estimate(sequence);
        let anew = self.carried.map(|_| u64::from(sequence)).filter(|anew| onward != Some(*anew));
        [onward, anew]
    }

    /// RFC 3711 §3.3.1; `None`: it is of before the first rollover.
    fn estimate(&self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest.or(self.carried) else { return Some(u64::from(sequence)) };
        let (roc, last) = (highest >> 16, highest & 0xffff);
        let sequence = u64::from(sequence);
        let roc = if last < 0x8000 && sequence > last + 0x8000 {
            roc.checked_sub(1)?
        } else if last >= 0x8000 && sequence < last - 0x8000 {
            roc + 1
        } else {
            roc
        };
        Some(roc << 16 | sequence)
    }

    fn has_seen(&self, index: u64) -> bool {
        let Some(behind) = self.highest.and_then(|highest| highest.checked_sub(index)) else {
            return false;
        };
        behind >= WINDOW || self.seen >> behind & 1 != 0
    }

    fn saw(&mut self, index: u64) {
        self.carried = None;
        let highest = self.highest.unwrap_or(index);
        if let Some(behind) = highest.checked_sub(index) {
            self.seen |=
                u32::try_from(behind).ok().and_then(|behind| 1_u128.checked_shl(behind)).unwrap_or(0);
            self.highest = Some(highest);
        } else {
            let ahead = u32::try_from(index - highest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = Some(index);
        }
    }
}

/// The sources of one direction, those heard lately first.
struct Sources {
    known: Vec<Source>,
    most: usize,
}

impl Sources {
    fn new(most: usize) -> Sources {
        Sources { known: Vec::with_capacity(SOURCES_MAX), most }
    }

    /// Whether nobody has to be forgotten for that one.
    fn has_room_for(&self, ssrc: u32) -> bool {
        self.known.len() < self.most || self.known.iter().any(|source| source.ssrc == ssrc)
    }

    /// What is known of them goes on under another key, but what was there before under this one: nothing was.
    fn carried(&self) -> Sources {
        let mut sources = Sources::new(self.most);
        let carried = |source: &Source| Source {
            carried: source.highest.or(source.carried),
            ..Source::new(source.ssrc)
        };
        sources.known.extend(self.known.iter().map(carried));
        sources
    }

    fn find(&self, ssrc: u32) -> Source {
        let known = self.known.iter().find(|source| source.ssrc == ssrc).copied();
        known.unwrap_or(Source::new(ssrc))
    }

    /// See [`Source::onward`].
    fn onward(&mut self, ssrc: u32, sequence: u16) -> Option<u16> {
        match self.known.iter_mut().find(|source| source.ssrc == ssrc) {
            Some(source) => source.onward(sequence),
            None => Some(sequence),
        }
    }

    fn saw(&mut self, ssrc: u32, index: u64) {
        let at = self.known.iter().position(|source| source.ssrc == ssrc).unwrap_or_else(|| {
            if self.known.len() == self.most {
                self.known.pop();
            }
            self.known.push(Source::new(ssrc));
            self.known.len() - 1
        });
        if let Some(of_this_one) = self.known.get_mut(..=at) {
            of_this_one.rotate_right(1);
        }
        if let Some(source) = self.known.first_mut() {
            source.saw(index);
        }
    }
}

#[cfg(test)]
mod tests;
