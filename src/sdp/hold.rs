//! The direction of every stream of a description changed (RFC 3264 §6.1), all else as it was.

use super::read::{connection_address, lines};
use bytes::{BufMut, Bytes, BytesMut};

pub(super) const DIRECTIONS: [&[u8]; 4] = [b"sendrecv", b"sendonly", b"recvonly", b"inactive"];

/// The same description with `a=inactive` for all of it: of an offer, the answer that takes what it has and sends nothing yet.
#[must_use]
pub fn inactive(description: &[u8]) -> Bytes {
    directed(description, b"a=inactive\r\n")
}

/// The same description, of a party that may have been on hold when it gave it, as one that speaks and listens.
#[must_use]
pub fn both_ways(description: &[u8]) -> Bytes {
    directed(description, b"a=sendrecv\r\n")
}

/// The same description, of a party on hold in whatever way, as one that sends and does not listen. It has an address of the machine itself
/// instead of none: it is to be pointed at the relay.
#[must_use]
pub fn sending(description: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(description.len());
    for line in lines(description) {
        match connection_address(line.value) {
            Ok(address) if line.kind == b'c' && address.is_unspecified() => {
                let named: &[u8] =
                    if address.is_ipv4() { b"c=IN IP4 127.0.0.1\r\n" } else { b"c=IN IP6 ::1\r\n" };
                out.put_slice(named);
            }
            _ => out.put_slice(line.whole),
        }
    }
    directed(&out, b"a=sendonly\r\n")
}

fn directed(description: &[u8], attribute: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(description.len() + attribute.len());
    let mut said = false;
    for line in lines(description) {
        if line.kind == b'm' && !said {
            out.put_slice(attribute); // RFC 8866 §6.7: before the first stream, it holds for each
            said = true;
        }
        if !line.attribute().is_some_and(|(name, _)| DIRECTIONS.contains(&name)) {
            out.put_slice(line.whole);
        }
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_in_whatever_way_is_said_to_send() {
        let with = |c: &str, direction: &str| {
            format!(
                "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n{c}t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n{direction}a=ptime:20\r\n"
            )
        };
        let (none, some) = ("c=IN IP4 0.0.0.0\r\n", "c=IN IP4 192.0.2.1\r\n");
        for held in [with(none, "a=sendrecv\r\n"), with(none, ""), with(some, "a=inactive\r\n")] {
            let audio = super::super::audio(&sending(held.as_bytes())).unwrap();
            assert_eq!(
                (audio.direction, audio.on_hold),
                (super::super::Direction::SendOnly, false),
                "{held}"
            );
        }
    }

    #[test]
    fn every_direction_gives_way_to_one_before_the_streams() {
        let offer = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendrecv\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\na=ptime:20\r\n";
        let held = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=inactive\r\nm=audio 4000 RTP/AVP 0\r\na=ptime:20\r\n";
        assert_eq!(inactive(offer), &held[..]);
        assert_eq!(
            super::super::audio(&both_ways(held)).unwrap().direction,
            super::super::Direction::SendRecv
        );
        assert_eq!(
            super::super::audio(&inactive(offer)).unwrap().direction,
            super::super::Direction::Inactive
        );
    }
}
