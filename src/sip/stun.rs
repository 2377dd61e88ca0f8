//! STUN where it shares a port with SIP (RFC 5626 §3.5.2, §8; RFC 5389): a phone keeps its way through a NAT open by asking by which address
//! it is seen.
//!
//! Binding requests alone are answered, by nothing but the address: 12 octets more than the smallest request (24 by IPv6), so that nobody
//! can make us shout at others. Attributes that have to be understood and aren't are refused with 420 (RFC 5389 §7.3.1).

use bytes::{BufMut, Bytes, BytesMut};
use std::net::{IpAddr, SocketAddr};

const HEADER_BYTES: usize = 20;
const COOKIE: u32 = 0x2112_a442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// USERNAME, MESSAGE-INTEGRITY, REALM, NONCE: read as what they are, and asked of nobody.
const UNDERSTOOD: [u16; 4] = [0x0006, 0x0008, 0x0014, 0x0015];
/// From here on an attribute may be passed over.
const OPTIONAL_FROM: u16 = 0x8000;
/// The longest request that is answered: what a phone asks has a header and at most a name of its software.
pub const REQUEST_BYTES_MAX: usize = 548;

/// Whether a datagram begins as a binding request does: two octets that no SIP message begins with.
#[must_use]
pub fn is_request(datagram: &[u8]) -> bool {
    datagram.starts_with(&BINDING_REQUEST.to_be_bytes())
}

/// The answer to a binding request from `source`; `None` for what isn't one to the last octet.
#[must_use]
pub fn answer(datagram: &[u8], source: SocketAddr) -> Option<Bytes> {
    let number = |at: usize| Some(u16::from_be_bytes(datagram.get(at..at + 2)?.try_into().ok()?));
    let cookie = datagram.get(4..8)?;
    let sound = number(0)? == BINDING_REQUEST
        && usize::from(number(2)?) + HEADER_BYTES == datagram.len()
        && datagram.len().is_multiple_of(4)
        && datagram.len() <= REQUEST_BYTES_MAX
        && cookie == COOKIE.to_be_bytes();
    if !sound {
        return None;
    }
    let transaction = datagram.get(8..HEADER_BYTES)?;
    let mut at = HEADER_BYTES;
    while at < datagram.len() {
        let (kind, length) = (number(at)?, usize::from(number(at + 2)?));
        at += 4 + length.next_multiple_of(4);
        if at > datagram.len() {
            return None;
        }
        if kind < OPTIONAL_FROM && !UNDERSTOOD.contains(&kind) {
            return Some(not_understood(transaction, kind));
        }
    }
    Some(seen(transaction, source))
}

fn header(kind: u16, length: u16, transaction: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEADER_BYTES + usize::from(length));
    out.put_u16(kind);
    out.put_u16(length);
    out.put_u32(COOKIE);
    out.put_slice(transaction);
    out
}

/// RFC 5389 §15.2.
fn seen(transaction: &[u8], source: SocketAddr) -> Bytes {
    let length = if source.is_ipv4() { 8 } else { 20 };
    let mut out = header(BINDING_SUCCESS, 4 + length, transaction);
    out.put_u16(XOR_MAPPED_ADDRESS);
    out.put_u16(length);
    out.put_u16(if source.is_ipv4() { 1 } else { 2 });
    out.put_u16(source.port() ^ (COOKIE >> 16) as u16);
    let key = COOKIE.to_be_bytes();
    match source.ip() {
        IpAddr::V4(v4) => out.extend(v4.octets().iter().zip(key).map(|(octet, key)| octet ^ key)),
        IpAddr::V6(v6) => {
            let key = key.iter().chain(transaction);
            out.extend(v6.octets().iter().zip(key).map(|(octet, key)| octet ^ key));
        }
    }
    out.freeze()
}

/// RFC 5389 §7.3.1: 420, with the first attribute that it is about.
fn not_understood(transaction: &[u8], attribute: u16) -> Bytes {
    let mut out = header(BINDING_ERROR, 8 + 8, transaction);
    out.put_u16(ERROR_CODE);
    out.put_u16(4);
    out.put_u32(0x0414); // class 4, number 20; the words are left out
    out.put_u16(UNKNOWN_ATTRIBUTES);
    out.put_u16(2);
    out.put_u16(attribute);
    out.put_u16(0);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn request(attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(attributes.len()).unwrap();
        let mut request = header(BINDING_REQUEST, length, &TRANSACTION).to_vec();
        request.extend_from_slice(attributes);
        request
    }

    /// The address attributes of the sample responses of RFC 5769 §2.2 and §2.3.
    #[test]
    fn the_addresses_of_rfc_5769_are_written_as_it_has_them() {
        let v4 = answer(&request(&[]), "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(v4[..4], [0x01, 0x01, 0, 12]);
        assert_eq!(v4[4..20], request(&[])[4..]);
        assert_eq!(v4[20..], [0x00, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let source = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        let v6 = answer(&request(&[]), source).unwrap();
        assert_eq!(
            v6[20..],
            [
                0x00, 0x20, 0, 20, 0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc,
                0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9
            ]
        );
    }

    #[test]
    fn what_may_be_passed_over_is_and_what_must_be_understood_is_refused() {
        let source = "192.0.2.1:32853".parse().unwrap();
        let software = [0x80, 0x22, 0, 5, b'p', b'h', b'o', b'n', b'e', 0, 0, 0];
        assert_eq!(answer(&request(&software), source).unwrap()[..2], [0x01, 0x01]);
        // CHANGE-REQUEST of RFC 3489: it would send our answer elsewhere.
        let refusal = answer(&request(&[0, 3, 0, 4, 0, 0, 0, 6]), source).unwrap();
        assert_eq!(refusal[..2], [0x01, 0x11]);
        assert_eq!(refusal[20..], [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 2, 0, 3, 0, 0]);
    }

    #[test]
    fn what_is_no_request_to_the_last_octet_is_not_answered() {
        let source = "192.0.2.1:32853".parse().unwrap();
        let sound = request(&[]);
        let changed = |at: usize, to: u8| {
            let mut datagram = sound.clone();
            datagram[at] = to;
            datagram
        };
        let responses = [changed(0, 1), changed(1, 0x11), changed(3, 4), changed(4, 0x22)];
        for datagram in responses.iter().chain([&sound[..19].to_vec(), &vec![], &request(&[0, 6, 0, 8])]) {
            assert_eq!(answer(datagram, source), None, "{datagram:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_answered_with_little_or_nothing(
            attributes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64),
        ) {
            let datagram = request(&attributes);
            if let Some(answer) = answer(&datagram, "[2001:db8::1]:5060".parse().unwrap()) {
                proptest::prop_assert!(answer.len() <= datagram.len() + 24);
            }
        }
    }
}
