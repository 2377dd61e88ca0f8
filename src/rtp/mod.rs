//! RTP and RTCP packets (RFC 3550): what the relay reads of a header, without copying.
//!
//! What it is not: it knows no streams and no keys. An SRTP packet has the same header in the clear (RFC 3711 §3.1), so
//! padding, which SRTP encrypts, is not judged.

/// What came on a port that RTP shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Stun,
    Dtls,
    /// RTP or RTCP, of version 2; SRTP likewise.
    Rtp,
}

impl Protocol {
    /// By the first octet (RFC 7983 §7). `None`: nothing that belongs here; TURN channels and ZRTP are never agreed on by us.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<Protocol> {
        match datagram.first()? {
            0..=3 => Some(Protocol::Stun),
            20..=63 => Some(Protocol::Dtls),
            128..=191 => Some(Protocol::Rtp),
            _ => None,
        }
    }
}

/// The fixed part of an RTP header (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// Octets of an RTP header without contributing sources.
pub const HEADER_BYTES: usize = 12;

impl Header {
    /// Reads a header where this is a valid RTP packet: version 2, as long as its contributing sources and its extension say,
    /// and no RTCP (RFC 3550 §A.1, RFC 5761 §4).
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Header> {
        let (fixed, rest) = packet.split_first_chunk::<HEADER_BYTES>()?;
        if fixed[0] >> 6 != 2 || is_rtcp(packet) {
            return None;
        }
        let csrc_bytes = usize::from(fixed[0] & 0x0f) * 4;
        let rest = rest.get(csrc_bytes..)?;
        if fixed[0] & 0x10 != 0 {
            // RFC 3550 §5.3.1: two octets of profile, then the length in 32-bit words.
            let &[_, _, high, low] = rest.first_chunk::<4>()?;
            rest.get(4 + usize::from(u16::from_be_bytes([high, low])) * 4..)?;
        }
        let [_, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        Some(Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        })
    }
}

/// Whether this is an RTCP packet, also where RTP may come on the same port: version 2, a packet type of 192 to 223, and at
/// least a header with the sender's SSRC (RFC 5761 §4, RFC 3550 §A.2).
#[must_use]
pub fn is_rtcp(packet: &[u8]) -> bool {
    reporter(packet).is_some()
}

/// The SSRC of the sender of an RTCP packet (RFC 3550 §6.4.1), in the clear in SRTCP, too (RFC 3711 §3.4). `None`: it is none.
#[must_use]
pub fn reporter(packet: &[u8]) -> Option<u32> {
    match *packet {
        [first, 192..=223, _, _, s0, s1, s2, s3, ..] if first >> 6 == 2 => {
            Some(u32::from_be_bytes([s0, s1, s2, s3]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PCMU: [u8; 14] = [0x80, 0x80, 0x12, 0x34, 0, 0, 0, 160, 1, 2, 3, 4, 0xff, 0xff];

    #[test]
    fn every_first_octet_belongs_to_one_protocol_or_to_none() {
        assert_eq!(Protocol::of(&[]), None);
        for first in 0..=255 {
            let expected = match first {
                0..4 => Some(Protocol::Stun),
                20..64 => Some(Protocol::Dtls),
                _ if first >> 6 == 2 => Some(Protocol::Rtp),
                _ => None,
            };
            assert_eq!(Protocol::of(&[first]), expected, "{first}");
        }
    }

    #[test]
    fn a_plain_header_is_read() {
        let header =
            Header { marker: true, payload_type: 0, sequence: 0x1234, timestamp: 160, ssrc: 0x0102_0304 };
        assert_eq!(Header::parse(&PCMU), Some(header));
    }

    #[test]
    fn a_header_longer_than_its_packet_is_refused() {
        for (first, octets) in [(0x83, 14), (0x90, 14), (0x80, 11), (0x40, 14)] {
            let mut packet = PCMU;
            packet[0] = first;
            assert_eq!(Header::parse(&packet[..octets]), None, "first octet {first:#x}, {octets} octets");
        }
    }

    #[test]
    fn an_extension_within_the_packet_is_taken() {
        let mut packet = PCMU.to_vec();
        packet[0] = 0x90;
        packet.truncate(HEADER_BYTES);
        packet.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        assert!(Header::parse(&packet).is_some());
        packet.pop();
        assert!(Header::parse(&packet).is_none());
    }

    #[test]
    fn rtcp_is_told_from_rtp_on_one_port() {
        let report = [0x80, 200, 0, 6, 1, 2, 3, 4, 0, 0, 0, 0];
        assert!(is_rtcp(&report));
        assert_eq!(reporter(&report), Some(0x0102_0304));
        assert_eq!(Header::parse(&report), None);
        assert!(!is_rtcp(&PCMU));
        assert!(!is_rtcp(&[0x80, 200, 0, 6]));
    }

    proptest::proptest! {
        #[test]
        fn headers_are_read_as_rtp_rs_reads_them(
            first in 0x80u8..0x84,
            second in 0u8..=255,
            rest in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            let packet = [&[first, second][..], &rest].concat();
            match (Header::parse(&packet), rtp_rs::RtpReader::new(&packet)) {
                (Some(ours), Ok(theirs)) => {
                    let sequence = u16::from(theirs.sequence_number());
                    proptest::prop_assert_eq!((ours.payload_type, ours.marker), (theirs.payload_type(), theirs.mark()));
                    proptest::prop_assert_eq!((ours.sequence, ours.timestamp), (sequence, theirs.timestamp()));
                    proptest::prop_assert_eq!(ours.ssrc, theirs.ssrc());
                }
                (None, Ok(_)) => proptest::prop_assert!((192..=223).contains(&second), "{:?}", packet),
                (ours, Err(_)) => proptest::prop_assert_eq!(ours, None),
            }
        }
    }
}
