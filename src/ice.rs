//! Connectivity checks (RFC 8445 §7.3) as an ICE-lite agent answers them: a STUN binding request (RFC 5389, RFC 8489) that proves that
//! whoever sent it has read our description, and where they are. The consent checks of RFC 7675 are the same.
//!
//! What it is not: it checks nobody, and has no state. A request that proves nothing is not answered at all: a refusal would be sent to
//! wherever its source address was made to point.

use crate::sdp::keying::Ice;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq as _;

const HEADER_BYTES: usize = 20;
const COOKIE: u32 = 0x2112_a442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
/// From here on an attribute may be passed over (RFC 5389 §15).
const OPTIONAL_FROM: u16 = 0x8000;
const MAC_BYTES: usize = 20;
/// RFC 5389 §15.5.
const FINGERPRINT_MASK: u32 = 0x5354_554e;
/// The longest request that is looked at: names of 256 octets, and what browsers add.
const REQUEST_BYTES_MAX: usize = 1280;
/// The longest answer: an address of IPv6, the MAC and the fingerprint.
pub const ANSWER_BYTES_MAX: usize = HEADER_BYTES + 24 + 4 + MAC_BYTES + 8;

/// A check that proves who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Octets of the answer.
    pub answer: usize,
    /// The pair is the one to use (RFC 8445 §7.3.1.5), with this priority of the sender's candidate.
    pub nominates: Option<u32>,
}

/// Reads a check and writes its answer. `None`: it proves nothing, and gets none.
#[must_use]
pub fn check(
    datagram: &[u8],
    source: SocketAddr,
    ice: &Ice,
    answer: &mut [u8; ANSWER_BYTES_MAX],
) -> Option<Check> {
    let sound = datagram.len() <= REQUEST_BYTES_MAX
        && datagram.len().is_multiple_of(4)
        && number(datagram, 0)? == BINDING_REQUEST
        && usize::from(number(datagram, 2)?) + HEADER_BYTES == datagram.len()
        && datagram.get(4..8)? == COOKIE.to_be_bytes();
    if !sound {
        return None;
    }
    let request = Request::read(datagram)?;
    let (ours, theirs) = request.username?.split_once(':')?;
    let named = ours == &*ice.ours.ufrag && theirs == &*ice.theirs.ufrag;
    let key = ice.ours.pwd.as_bytes();
    if !named || !is_authentic(datagram, request.integrity_at?, key) || !request.fingerprinted {
        return None;
    }
    let mut answer = Answer { out: &mut answer[..], octets: HEADER_BYTES };
    let transaction = datagram.get(8..HEADER_BYTES)?;
    let mut nominates = None;
    let kind = if request.controlled {
        answer.attribute(ERROR_CODE, &[0, 0, 4, 87])?; // RFC 8445 §7.3.1.1: a lite agent never controls
        BINDING_ERROR
    } else if let Some(unknown) = request.unknown {
        let [high, low] = unknown.to_be_bytes();
        answer.attribute(ERROR_CODE, &[0, 0, 4, 20])?; // RFC 5389 §7.3.1
        answer.attribute(UNKNOWN_ATTRIBUTES, &[high, low])?;
        BINDING_ERROR
    } else {
        nominates = request.nominates.then_some(request.priority);
        answer.address(source, transaction)?;
        BINDING_SUCCESS
    };
    let octets = answer.finish(kind, transaction, key)?;
    Some(Check { answer: octets, nominates })
}

#[derive(Default)]
struct Request<'a> {
    username: Option<&'a str>,
    priority: u32,
    nominates: bool,
    controlled: bool,
    /// The first attribute that would have to be understood.
    unknown: Option<u16>,
    integrity_at: Option<usize>,
    fingerprinted: bool,
}

impl<'a> Request<'a> {
    fn read(datagram: &'a [u8]) -> Option<Request<'a>> {
        let mut request = Request::default();
        let mut at = HEADER_BYTES;
        while at < datagram.len() {
            let (kind, length) = (number(datagram, at)?, usize::from(number(datagram, at + 2)?));
            let value = datagram.get(at + 4..at + 4 + length)?;
            match kind {
                // RFC 8445 §7.1: it ends every check.
                FINGERPRINT => {
                    let crc = crc32fast::hash(datagram.get(..at)?) ^ FINGERPRINT_MASK;
                    request.fingerprinted = value == crc.to_be_bytes() && at + 8 == datagram.len();
                }
                // RFC 5389 §15.4: what follows is not protected.
                _ if request.integrity_at.is_some() => {}
                MESSAGE_INTEGRITY if length == MAC_BYTES => request.integrity_at = Some(at),
                USERNAME => request.username = Some(std::str::from_utf8(value).ok()?),
                PRIORITY => request.priority = u32::from_be_bytes(value.try_into().ok()?),
                USE_CANDIDATE => request.nominates = true,
                ICE_CONTROLLED => request.controlled = true,
                kind if kind < OPTIONAL_FROM => request.unknown = request.unknown.or(Some(kind)),
                _ => {}
            }
            at += 4 + length.next_multiple_of(4);
        }
        Some(request)
    }
}

struct Answer<'a> {
    out: &'a mut [u8],
    octets: usize,
}

impl Answer<'_> {
    fn attribute(&mut self, kind: u16, value: &[u8]) -> Option<()> {
        let length = u16::try_from(value.len()).ok()?;
        let end = self.octets + 4 + value.len().next_multiple_of(4);
        let out = self.out.get_mut(self.octets..end)?;
        out.fill(0);
        out.get_mut(..2)?.copy_from_slice(&kind.to_be_bytes());
        out.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
        out.get_mut(4..4 + value.len())?.copy_from_slice(value);
        self.octets = end;
        Some(())
    }

    /// RFC 5389 §15.2.
    fn address(&mut self, source: SocketAddr, transaction: &[u8]) -> Option<()> {
        let mut value = [0; 20];
        let [high, low] = (source.port() ^ (COOKIE >> 16) as u16).to_be_bytes();
        value[..4].copy_from_slice(&[0, if source.is_ipv4() { 1 } else { 2 }, high, low]);
        let mask = COOKIE.to_be_bytes().into_iter().chain(transaction.iter().copied());
        let octets = match source.ip() {
            IpAddr::V4(ip) => {
                value[4..8].copy_from_slice(&ip.octets());
                8
            }
            IpAddr::V6(ip) => {
                value[4..].copy_from_slice(&ip.octets());
                20
            }
        };
        value[4..octets].iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
        self.attribute(XOR_MAPPED_ADDRESS, &value[..octets])
    }

    /// The header, the MAC and the fingerprint: octets of the whole.
    fn finish(mut self, kind: u16, transaction: &[u8], key: &[u8]) -> Option<usize> {
        self.out.get_mut(..2)?.copy_from_slice(&kind.to_be_bytes());
        self.out.get_mut(4..8)?.copy_from_slice(&COOKIE.to_be_bytes());
        self.out.get_mut(8..HEADER_BYTES)?.copy_from_slice(transaction);
        self.lengthen(4 + MAC_BYTES)?;
        let mac = mac_of(&[self.out.get(..self.octets)?], key)?;
        self.attribute(MESSAGE_INTEGRITY, &mac)?;
        self.lengthen(8)?;
        let crc = crc32fast::hash(self.out.get(..self.octets)?) ^ FINGERPRINT_MASK;
        self.attribute(FINGERPRINT, &crc.to_be_bytes())?;
        Some(self.octets)
    }

    /// The length in the header counts what is written next (RFC 5389 §15.4).
    fn lengthen(&mut self, by: usize) -> Option<()> {
        let length = u16::try_from(self.octets - HEADER_BYTES + by).ok()?;
        self.out.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
        Some(())
    }
}

fn number(datagram: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*datagram.get(at..)?.first_chunk()?))
}

/// RFC 5389 §15.4: the MAC is over what stands before it, with a length that ends after it.
fn is_authentic(datagram: &[u8], at: usize, key: &[u8]) -> bool {
    let mac = || {
        let length = u16::try_from(at + 4 + MAC_BYTES - HEADER_BYTES).ok()?.to_be_bytes();
        let mac = mac_of(&[datagram.get(..2)?, &length, datagram.get(4..at)?], key)?;
        Some(bool::from(mac.ct_eq(datagram.get(at + 4..at + 4 + MAC_BYTES)?)))
    };
    mac().unwrap_or(false)
}

fn mac_of(parts: &[&[u8]], key: &[u8]) -> Option<[u8; MAC_BYTES]> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sdp::keying::Credentials;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    const SOURCE: &str = "192.0.2.1:32853";

    /// RFC 5769 §2.1.
    const REQUEST: [u8; 108] = [
        0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa,
        0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20,
        0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00,
        0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a,
        0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf,
        0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28,
        0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
    ];

    /// RFC 5769 §2.2.
    const RESPONSE: [u8; 80] = [
        0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa,
        0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f,
        0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00,
        0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53,
        0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
    ];
    const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

    fn ice() -> Ice {
        let credentials =
            |ufrag: &str, pwd: &str| Credentials { ufrag: ufrag.into(), pwd: Zeroizing::new(pwd.to_owned()) };
        Ice { ours: credentials("evtj", PASSWORD), theirs: credentials("h6vY", "not needed of us") }
    }

    /// A check with these attributes, its MAC and its fingerprint.
    fn request(attributes: &[(u16, &[u8])], key: &str) -> Vec<u8> {
        let mut out = [0; 256];
        let mut request = Answer { out: &mut out, octets: HEADER_BYTES };
        for (kind, value) in attributes {
            request.attribute(*kind, value).unwrap();
        }
        let octets = request.finish(BINDING_REQUEST, &[7; 12], key.as_bytes()).unwrap();
        out[..octets].to_vec()
    }

    /// The check by which a peer chooses a pair.
    pub(crate) fn nomination(ice: &Ice) -> Vec<u8> {
        let name = format!("{}:{}", ice.ours.ufrag, ice.theirs.ufrag);
        let attributes: [(u16, &[u8]); 3] =
            [(USERNAME, name.as_bytes()), (PRIORITY, &[0x6e, 0, 1, 0xff]), (USE_CANDIDATE, &[])];
        request(&attributes, &ice.ours.pwd)
    }

    fn checked(datagram: &[u8]) -> Option<(Check, Vec<u8>)> {
        let mut answer = [0; ANSWER_BYTES_MAX];
        let check = check(datagram, SOURCE.parse().unwrap(), &ice(), &mut answer)?;
        Some((check, answer[..check.answer].to_vec()))
    }

    #[test]
    fn the_request_of_the_rfc_is_authentic_and_told_that_we_do_not_control() {
        let (check, answer) = checked(&REQUEST).unwrap();
        assert_eq!(check.nominates, None);
        assert_eq!(answer[..2], [1, 0x11]);
        assert_eq!(answer[20..28], [0, 9, 0, 4, 0, 0, 4, 87]);
        assert!(is_authentic(&answer, 28, PASSWORD.as_bytes()));
    }

    #[test]
    fn our_macs_and_addresses_are_those_of_the_response_of_the_rfc() {
        assert!(is_authentic(&RESPONSE, 48, PASSWORD.as_bytes()));
        assert!(!is_authentic(&RESPONSE, 48, b"another"));
        let (_, answer) = checked(&request(&[(USERNAME, b"evtj:h6vY")], PASSWORD)).unwrap();
        assert_eq!(answer[20..32], RESPONSE[36..48]);
        let crc = crc32fast::hash(&RESPONSE[..72]) ^ FINGERPRINT_MASK;
        assert_eq!(crc.to_be_bytes(), RESPONSE[76..]);
    }

    #[test]
    fn a_nomination_says_so_with_its_priority() {
        let (name, priority): (&[u8], &[u8]) = (b"evtj:h6vY", &[0x6e, 0, 1, 0xff]);
        let plain = request(&[(USERNAME, name), (PRIORITY, priority)], PASSWORD);
        assert_eq!(checked(&plain).unwrap().0.nominates, None);
        let chosen = request(&[(USERNAME, name), (PRIORITY, priority), (USE_CANDIDATE, &[])], PASSWORD);
        let (check, answer) = checked(&chosen).unwrap();
        assert_eq!(check.nominates, Some(0x6e00_01ff));
        assert_eq!(answer[..2], [1, 1]);
        assert_eq!(answer[8..20], [7; 12]);
    }

    #[test]
    fn what_has_to_be_understood_and_is_not_is_refused() {
        let (_, answer) = checked(&request(&[(USERNAME, b"evtj:h6vY"), (3, &[0; 4])], PASSWORD)).unwrap();
        assert_eq!(answer[..2], [1, 0x11]);
        assert_eq!(answer[20..36], [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 2, 0, 3, 0, 0]);
    }

    #[test]
    fn what_proves_nothing_is_not_answered() {
        let name: &[u8] = b"evtj:h6vY";
        assert!(checked(&request(&[(USERNAME, name)], "guessed")).is_none());
        assert!(checked(&request(&[(USERNAME, b"evtj:other")], PASSWORD)).is_none());
        assert!(checked(&request(&[(USERNAME, b"h6vY:evtj")], PASSWORD)).is_none());
        assert!(checked(&request(&[], PASSWORD)).is_none());
        let sound = request(&[(USERNAME, name)], PASSWORD);
        assert!(checked(&sound).is_some());
        let mut unmarked = sound[..sound.len() - 8].to_vec();
        unmarked[3] -= 8;
        assert!(checked(&unmarked).is_none(), "without a fingerprint");
        for at in 0..sound.len() {
            let mut changed = sound.clone();
            changed[at] ^= 1;
            assert!(checked(&changed).is_none(), "octet {at}");
        }
        assert!(checked(&RESPONSE).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_passed_over(mut datagram in proptest::collection::vec(any::<u8>(), 0..120), shaped in any::<bool>()) {
            if shaped && datagram.len() >= HEADER_BYTES {
                datagram.truncate(datagram.len() / 4 * 4);
                let length = u16::try_from(datagram.len() - HEADER_BYTES).unwrap().to_be_bytes();
                datagram[..2].copy_from_slice(&[0, 1]);
                datagram[2..4].copy_from_slice(&length);
                datagram[4..8].copy_from_slice(&COOKIE.to_be_bytes());
            }
            prop_assert!(checked(&datagram).is_none());
        }
    }
}
