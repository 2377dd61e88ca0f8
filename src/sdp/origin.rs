//! What the `o=` lines of our descriptions in one dialog say (RFC 8866 §5.2, RFC 3264 §8): one session of ours, whoever it was that the
//! rest was taken from, and a version that rises by one when the description changes and at no other time.

use super::{Keying, SdpError, anchor};
use bytes::Bytes;
use std::net::IpAddr;

/// Where a description is pointed: one side of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub address: IpAddr,
    pub rtp: u16,
    pub rtcp: u16,
}

/// Our session in one dialog.
#[derive(Clone, Debug)]
pub struct Origin {
    id: u64,
    version: u64,
    /// The description that the peer was given last.
    last: Option<Bytes>,
    /// How its media is secured.
    pub keying: Keying,
}

impl Origin {
    /// `id` tells our sessions from one another. Some peers read it as a number of 32 bits, with a sign.
    #[must_use]
    pub fn new(id: u64, keying: Keying) -> Origin {
        Origin { id: id >> 33, version: 1, last: None, keying }
    }

    /// The description as the peer of this dialog is given it: pointed at the relay, and as the next version of our session, or as the
    /// same one where it says what was said last.
    ///
    /// # Errors
    /// See [`SdpError`]; nothing was said then.
    pub fn describe(&mut self, description: &[u8], ports: Ports) -> Result<Bytes, SdpError> {
        let same = anchor(description, ports, self.id, self.version, &self.keying)?;
        if self.last.as_ref() == Some(&same) {
            return Ok(same);
        }
        let said = match self.last {
            Some(_) => anchor(description, ports, self.id, self.version + 1, &self.keying)?,
            None => same,
        };
        self.version += u64::from(self.last.is_some());
        self.last = Some(said.clone());
        Ok(said)
    }

    /// The description that the peer was given last.
    #[must_use]
    pub fn last(&self) -> Option<&Bytes> {
        self.last.as_ref()
    }
}

/// Whether two descriptions say the same but for their `o=` lines.
#[must_use]
pub fn is_same_session(one: &[u8], other: &[u8]) -> bool {
    let said = |description| super::read::lines(description).filter(|line| line.kind != b'o');
    said(one).map(|line| line.value).eq(said(other).map(|line| line.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ports(rtp: u16) -> Ports {
        Ports { address: "192.0.2.1".parse().unwrap(), rtp, rtcp: rtp + 1 }
    }

    fn origin_of(description: &[u8]) -> (u64, u64) {
        let text = std::str::from_utf8(description).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("o=- ")).unwrap();
        let mut words = line.split(' ').map(|word| word.parse().unwrap_or(0));
        (words.next().unwrap(), words.next().unwrap())
    }

    #[test]
    fn another_party_is_the_same_session_of_ours() {
        let of = |who: &str, port: u16| {
            format!(
                "v=0\r\no={who} IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
            )
        };
        let mut origin = Origin::new(u64::MAX, Keying::new([0; 32], None));
        let first = origin.describe(of("ann 7 9", 4000).as_bytes(), ports(20_000)).unwrap();
        // Where the party receives is not shown, so this is the same description.
        let second = origin.describe(of("bob 1 1", 5000).as_bytes(), ports(20_000)).unwrap();
        assert_eq!(first, second);
        assert_eq!(origin_of(&first), (0x7fff_ffff, 1));
        let third = origin.describe(of("bob 1 1", 5000).as_bytes(), ports(20_002)).unwrap();
        assert_eq!(origin_of(&third), (0x7fff_ffff, 2));
        assert!(!is_same_session(&first, &third));
        assert!(is_same_session(of("ann 7 9", 4000).as_bytes(), of("bob 1 1", 4000).as_bytes()));
    }

    proptest! {
        /// RFC 3264 §8.
        #[test]
        fn the_version_rises_by_one_with_each_change_and_at_no_other_time(
            turns in proptest::collection::vec((0_u8..3, 0_u8..2, any::<u16>()), 1..20),
        ) {
            let mut origin = Origin::new(u64::from(u32::MAX) << 32, Keying::new([0; 32], None));
            let mut last: Option<Bytes> = None;
            for (direction, codec, version) in turns {
                let direction = ["sendrecv", "sendonly", "inactive"][usize::from(direction)];
                let text = format!(
                    "v=0\r\no=x {version} {version} IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP {codec}\r\na={direction}\r\n"
                );
                let said = origin.describe(text.as_bytes(), ports(20_000)).unwrap();
                prop_assert_eq!(origin.last(), Some(&said));
                if let Some(last) = &last {
                    let (before, now) = (origin_of(last), origin_of(&said));
                    prop_assert_eq!(before.0, now.0);
                    prop_assert_eq!(now.1 - before.1, u64::from(!is_same_session(last, &said)));
                }
                last = Some(said);
            }
        }
    }
}
