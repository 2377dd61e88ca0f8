//! What the `o=` lines of our descriptions in one dialog say (RFC 8866 §5.2, RFC 3264 §8): one session of ours, whoever it was that the
//! rest was taken from, and a version that rises by one when the description changes and at no other time.

use super::layout::lay_out;
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
    /// The one that holds: an offer does only once it is accepted.
    agreed: Option<Bytes>,
    /// What the peer has described last: which streams its dialog has, and in which order.
    heard: Option<Bytes>,
    /// How its media is secured.
    pub keying: Keying,
}

impl Origin {
    /// `id` tells our sessions from one another. Some peers read it as a number of 32 bits, with a sign.
    #[must_use]
    pub fn new(id: u64, keying: Keying) -> Origin {
        Origin { id: id >> 33, version: 1, last: None, agreed: None, heard: None, keying }
    }

    /// The description as the peer of this dialog is given it: pointed at the relay, and as the next version of our session, or as the
    /// same one where it says what was said last. It holds from now on, as an answer does.
    ///
    /// # Errors
    /// See [`SdpError`]; nothing was said then.
    pub fn describe(&mut self, description: &[u8], ports: Ports) -> Result<Bytes, SdpError> {
        let same = self.anchored(description, ports, self.version)?;
        let said = match &self.last {
            Some(last) if *last != same => self.anchored(description, ports, self.version + 1)?,
            Some(_) | None => same,
        };
        self.say(said.clone());
        self.agreed = Some(said.clone());
        Ok(said)
    }

    fn anchored(&self, description: &[u8], ports: Ports, version: u64) -> Result<Bytes, SdpError> {
        let ours = anchor(description, ports, self.id, version, &self.keying)?;
        match &self.heard {
            Some(theirs) => lay_out(ours, theirs),
            None => Ok(ours),
        }
    }

    /// The peer has described its session.
    ///
    /// # Errors
    /// Its media can't be secured as it has to be; things are as they were.
    pub fn hear(&mut self, description: &Bytes) -> Result<(), SdpError> {
        self.keying.hear(description)?;
        self.heard = Some(description.clone());
        Ok(())
    }

    /// What `describe` makes is an offer: the session is as it was until the peer has accepted it, and stays so when it is refused (RFC
    /// 3264 §8).
    ///
    /// # Errors
    /// Those of `describe`.
    pub fn offer<E>(&mut self, describe: impl FnOnce(&mut Origin) -> Result<Bytes, E>) -> Result<Bytes, E> {
        let agreed = self.agreed.clone();
        let offered = describe(self);
        self.agreed = agreed;
        offered
    }

    /// The peer has accepted our offer.
    pub fn accepted(&mut self) {
        self.agreed.clone_from(&self.last);
    }

    /// The description that holds, as it was given.
    #[must_use]
    pub fn standing(&self) -> Option<&Bytes> {
        self.agreed.as_ref()
    }

    /// The same, to be given once more: where the peer has been offered another one since, and refused it, as a version
    /// that is newer than that.
    pub fn agreed(&mut self) -> Option<Bytes> {
        let agreed = self.agreed.as_ref()?;
        if self.last.as_ref() != Some(agreed) {
            let again = with_version(agreed, self.version + 1);
            self.say(again.clone());
            self.agreed = Some(again);
        }
        self.agreed.clone()
    }

    fn say(&mut self, said: Bytes) {
        if self.last.as_ref().is_some_and(|last| *last != said) {
            self.version += 1;
        }
        self.last = Some(said);
    }
}

/// A description of ours as another version.
fn with_version(said: &[u8], version: u64) -> Bytes {
    let mut out = Vec::with_capacity(said.len() + 1);
    for line in super::read::lines(said) {
        let mut words = line.value.splitn(4, |b| *b == b' ');
        match (line.kind, words.next(), words.next(), words.next(), words.next()) {
            (b'o', Some(name), Some(id), Some(_), Some(place)) => {
                let end = line.whole.get(2 + line.value.len()..).unwrap_or_default();
                out.extend_from_slice(&[b"o=", name, b" ", id, b" "].concat());
                out.extend_from_slice(format!("{version} ").as_bytes());
                out.extend_from_slice(&[place, end].concat());
            }
            _ => out.extend_from_slice(line.whole),
        }
    }
    Bytes::from(out)
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

    #[test]
    fn an_offer_holds_once_it_is_accepted_and_is_forgotten_when_it_is_refused() {
        let of = |direction: &str| {
            format!(
                "v=0\r\no=x 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
                 m=audio 4000 RTP/AVP 0\r\na={direction}\r\n"
            )
        };
        let mut origin = Origin::new(u64::MAX, Keying::new([0; 32], None));
        let before = origin.describe(of("sendrecv").as_bytes(), ports(20_000)).unwrap();
        let hold = |origin: &mut Origin| {
            origin.offer(|origin| origin.describe(of("sendonly").as_bytes(), ports(20_000))).unwrap()
        };
        let refused = hold(&mut origin);
        let again = origin.agreed().unwrap();
        assert!(is_same_session(&again, &before));
        let versions = [&before, &refused, &again].map(|said| origin_of(said).1);
        assert_eq!(versions, [1, 2, 3], "none goes back");
        assert_eq!(origin.agreed(), Some(again), "and once more it is the same");
        let taken = hold(&mut origin);
        origin.accepted();
        assert_eq!((origin_of(&taken).1, origin.agreed()), (4, Some(taken)));
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
                prop_assert_eq!(origin.agreed(), Some(said.clone()));
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
