//! Which refreshes of registrations need not be written.
//!
//! A phone behind a NAT registers again every half minute, and each time nothing but the end of its registration has moved. Such a
//! refresh is written only once it has moved the end by [`BEHIND_MAX`]; what is restored is taken to last by that much longer than
//! it says, so that no phone is forgotten that was promised more. What is lost otherwise is the Call-ID and CSeq of the refresh:
//! after a crash, a REGISTER of the last minute that comes late could be taken for a new one.

use crate::registrar::{Binding, BindingKey};
use jiff::{SignedDuration, Timestamp};
use rustc_hash::FxHashMap;
use std::hash::{BuildHasher, RandomState};

/// By how much the end of a stored registration may be behind.
pub const BEHIND_MAX: SignedDuration = SignedDuration::from_secs(60);

/// What was written last of each registration. As many as there are registrations.
#[derive(Debug, Default)]
pub struct Refreshes {
    /// Contacts are chosen by strangers: hashed with a key, so that none can be made to stand for another.
    hasher: RandomState,
    written: FxHashMap<u64, Written>,
}

#[derive(Debug)]
struct Written {
    /// All but the times, the Call-ID and the CSeq.
    rest: u64,
    expires: Timestamp,
}

impl Refreshes {
    /// Whether this has to be written; if so it is taken to be.
    pub fn must_be_written(&mut self, binding: &Binding) -> bool {
        // Every field is named: whoever adds one decides where it belongs.
        let Binding {
            key,
            uri,
            flow,
            call_id: _,
            cseq: _,
            q,
            expires,
            registered: _,
            user_agent,
            extensions,
        } = binding;
        let rest = self.hasher.hash_one((uri, flow, q, user_agent, extensions));
        let expires = *expires;
        let key = self.hasher.hash_one(key);
        if let Some(written) = self.written.get(&key)
            && written.rest == rest
            && written.expires <= expires
            && expires.duration_since(written.expires) < BEHIND_MAX
        {
            return false;
        }
        self.written.insert(key, Written { rest, expires });
        true
    }

    /// The registration is over.
    pub fn forget(&mut self, key: &BindingKey) {
        self.written.remove(&self.hasher.hash_one(key));
    }
}

/// A stored registration as it may have been when it was last refreshed.
#[must_use]
pub fn restored(binding: Binding) -> Binding {
    let expires = binding.expires.saturating_add(BEHIND_MAX).unwrap_or(Timestamp::MAX);
    Binding { expires, ..binding }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::binding::DeviceKey;
    use crate::sip::{Flow, Transport};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn binding(port: u16, expires_s: i64) -> Binding {
        let text = |text: &str| -> Arc<str> { text.into() };
        Binding {
            key: BindingKey {
                device: DeviceKey { domain: text("pbx.example"), device: text("101a") },
                contact: text("sip:101@192.0.2.1"),
            },
            uri: text("sip:101@192.0.2.1"),
            flow: Flow {
                transport: Transport::Udp,
                local: "192.0.2.9:5060".parse().unwrap(),
                remote: ([192, 0, 2, 1], port).into(),
                connection: None,
            },
            call_id: text("a"),
            cseq: 1,
            q: 1000,
            expires: Timestamp::from_second(expires_s).unwrap(),
            registered: Timestamp::UNIX_EPOCH,
            user_agent: None,
            extensions: None,
        }
    }

    #[test]
    fn a_refresh_that_moves_the_end_by_less_than_a_minute_is_not_written() {
        let mut refreshes = Refreshes::default();
        assert!(refreshes.must_be_written(&binding(5060, 100)), "it is new");
        let again = Binding { call_id: "b".into(), cseq: 7, ..binding(5060, 130) };
        assert!(!refreshes.must_be_written(&again));
        assert!(refreshes.must_be_written(&binding(5060, 160)), "it has moved by a minute");
        assert!(refreshes.must_be_written(&binding(5061, 161)), "the phone is elsewhere");
        assert!(refreshes.must_be_written(&binding(5061, 150)), "it ends earlier");
        refreshes.forget(&binding(5061, 150).key);
        assert!(refreshes.must_be_written(&binding(5061, 151)), "it was gone meanwhile");
    }

    proptest! {
        #[test]
        fn a_crash_at_any_time_restores_each_registration_for_as_long_as_was_promised_and_a_minute_at_the_most(
            ends in prop::collection::vec(100_i64..600, 1..20),
        ) {
            let (mut refreshes, mut stored) = (Refreshes::default(), None);
            for end in ends {
                let promised = binding(5060, end);
                if refreshes.must_be_written(&promised) {
                    stored = Some(promised.clone());
                }
                let longer = restored(stored.clone().unwrap()).expires.duration_since(promised.expires);
                prop_assert!((SignedDuration::ZERO..=BEHIND_MAX).contains(&longer), "{longer:?}");
            }
        }
    }
}
