//! Keys and values as they lie in the store: what belongs to which kind, in which format, under which checksum.
//!
//! A key begins with its kind. A binding's key then carries its node (0 until there are several) and a record's id carries one in
//! itself; rules and status belong to no node. Parts of a key are length-prefixed, so no name can pretend to be another key.
//!
//! The text of rules is not here but in the archive; here lies the *head* of each domain, which says what generation is in force.
//! Rules that a version before the archive wrote are still read, and carried over at open.
//!
//! A value is: CRC-32 of all that follows and of the key, format version, payload. The key is in the checksum so that a value that
//! turns up under another key is found out. postcard for heads and bindings; JSON for status and records, whose attributes are made
//! for JSON. **A change of [`GenerationInfo`] or [`Binding`] needs a new [`FORMAT`] and a reader of the old one**: postcard says nothing
//! about its own shape, and a test below holds the bytes still.

use super::GenerationInfo;
use crate::call::record::CallRecord;
use crate::registrar::{Binding, BindingKey};
use crate::rules::diagnostic::Files;
use crate::rules::{Status, StatusObject};
use crate::switch::StatusKey;
use serde::Deserialize;
use std::sync::Arc;

/// The format of every value that this version writes.
pub const FORMAT: u8 = 2;
/// Read too: it had the rules whole among the values, and is otherwise the same.
const FORMAT_BEFORE_ARCHIVE: u8 = 1;
/// Checksum and format.
const SEAL_LEN: usize = 5;
/// The node whose bindings these are.
const NODE: [u8; 2] = [0, 0];
/// A Call-ID is indexed by this many bytes of it; the record itself is compared in full.
const CALL_ID_INDEXED_MAX: usize = 255;

/// The first byte of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Binding = b'b',
    Record = b'c',
    /// Call-ID to record; derived, so neither counted nor checked, but made good at open.
    CallId = b'i',
    /// The newest generation of a domain.
    Head = b'h',
    /// The marks of a commit (`ledger`).
    Mark = b'm',
    /// A domain's rules, whole: what a version before the archive wrote.
    Rules = b'r',
    Status = b's',
}

impl Kind {
    /// The kind of a key that is ours.
    #[must_use]
    pub fn of(key: &[u8]) -> Option<Kind> {
        Some(match key.first()? {
            b'b' => Kind::Binding,
            b'c' => Kind::Record,
            b'h' => Kind::Head,
            b'i' => Kind::CallId,
            b'm' => Kind::Mark,
            b'r' => Kind::Rules,
            b's' => Kind::Status,
            _ => return None,
        })
    }

    #[must_use]
    pub fn prefix(self) -> [u8; 1] {
        [self as u8]
    }
}

/// Why stored bytes are not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("too short")]
    Short,
    #[error("its checksum does not match")]
    Checksum,
    /// Not damage: another version of ringtree wrote it.
    #[error("it is in format {0}, and this version reads up to format {FORMAT}")]
    Format(u8),
    #[error("{0}")]
    Decode(String),
}

/// A key with its sealed value.
pub type Entry = (Vec<u8>, Vec<u8>);

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(rest);
    hasher.finalize()
}

/// Puts checksum and format before a payload.
#[must_use]
pub fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(SEAL_LEN + payload.len());
    value.extend([0; 4]);
    value.push(FORMAT);
    value.extend(payload);
    let crc = checksum(key, &value[4..]);
    value[..4].copy_from_slice(&crc.to_le_bytes());
    value
}

/// The payload of a value, its checksum proved.
///
/// # Errors
/// [`ValueError`]; the checksum is judged before the format, so that a flipped bit is not taken for another version.
pub fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], ValueError> {
    let (crc, rest) = value.split_first_chunk::<4>().ok_or(ValueError::Short)?;
    if checksum(key, rest) != u32::from_le_bytes(*crc) {
        return Err(ValueError::Checksum);
    }
    match rest.split_first() {
        Some((&(FORMAT | FORMAT_BEFORE_ARCHIVE), payload)) => Ok(payload),
        Some((&format, _)) => Err(ValueError::Format(format)),
        None => Err(ValueError::Short),
    }
}

fn part(key: &mut Vec<u8>, text: &str) {
    // Longer than 4 GiB can't come: a SIP message and a rule file are both capped far below.
    key.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    key.extend(text.as_bytes());
}

fn decode(error: impl std::fmt::Display) -> ValueError {
    ValueError::Decode(error.to_string())
}

#[must_use]
pub fn head_key(domain: &str) -> Vec<u8> {
    let mut key = Kind::Head.prefix().to_vec();
    part(&mut key, domain);
    key
}

#[must_use]
pub fn status_key(status: &StatusKey) -> Vec<u8> {
    let mut key = Kind::Status.prefix().to_vec();
    part(&mut key, &status.domain);
    part(&mut key, status.object.name());
    // Users came first, and their keys have nothing more.
    match status.object {
        StatusObject::User(_) => {}
        StatusObject::TimeFrame(_) => key.push(b't'),
        StatusObject::Device(_) => key.push(b'd'),
    }
    key
}

#[must_use]
pub fn binding_key(binding: &BindingKey) -> Vec<u8> {
    let mut key = Kind::Binding.prefix().to_vec();
    key.extend(NODE);
    part(&mut key, &binding.device.domain);
    part(&mut key, &binding.device.device);
    part(&mut key, &binding.contact);
    key
}

/// Records lie in the order of their ids, which is that of time.
#[must_use]
pub fn record_key(id: &str) -> Vec<u8> {
    let mut key = Kind::Record.prefix().to_vec();
    key.extend(id.as_bytes());
    key
}

/// What all index entries of one Call-ID begin with.
#[must_use]
pub fn call_id_prefix(call_id: &str) -> Vec<u8> {
    let mut key = Kind::CallId.prefix().to_vec();
    let indexed = call_id.as_bytes().get(..CALL_ID_INDEXED_MAX).unwrap_or(call_id.as_bytes());
    key.push(u8::try_from(indexed.len()).unwrap_or(u8::MAX));
    key.extend(indexed);
    key
}

/// The index entry of the record under `record_key`.
#[must_use]
pub fn call_id_key(call_id: &str, record_key: &[u8]) -> Vec<u8> {
    let mut key = call_id_prefix(call_id);
    key.extend(record_key.get(1..).unwrap_or_default());
    key
}

/// # Errors
/// [`ValueError::Decode`] where serde refuses.
pub fn encode_head(head: &GenerationInfo) -> Result<Entry, ValueError> {
    let key = head_key(&head.domain);
    let value = seal(&key, &postcard::to_stdvec(head).map_err(decode)?);
    Ok((key, value))
}

/// # Errors
/// [`ValueError`].
pub fn decode_head(key: &[u8], value: &[u8]) -> Result<GenerationInfo, ValueError> {
    postcard::from_bytes(unseal(key, value)?).map_err(decode)
}

/// Rules as a version before the archive wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct RulesBeforeArchive {
    pub domain: Arc<str>,
    pub generation: u64,
    pub files: Files,
    /// Trees of that version: they are compiled again.
    pub tree: Vec<u8>,
    pub origin: String,
    pub applied: String,
}

/// # Errors
/// [`ValueError`].
pub fn decode_rules(key: &[u8], value: &[u8]) -> Result<RulesBeforeArchive, ValueError> {
    postcard::from_bytes(unseal(key, value)?).map_err(decode)
}

/// # Errors
/// [`ValueError::Decode`] where serde refuses.
pub fn encode_status(status_of: &StatusKey, status: &Status) -> Result<Entry, ValueError> {
    let key = status_key(status_of);
    let value = seal(&key, &serde_json::to_vec(&(status_of, status)).map_err(decode)?);
    Ok((key, value))
}

/// # Errors
/// [`ValueError`].
pub fn decode_status(key: &[u8], value: &[u8]) -> Result<(StatusKey, Status), ValueError> {
    let (of, status): (StatusKey, serde_json::Value) =
        serde_json::from_slice(unseal(key, value)?).map_err(decode)?;
    let status = of.object.read_status(status).map_err(decode)?;
    Ok((of, status))
}

/// # Errors
/// [`ValueError::Decode`] where serde refuses.
pub fn encode_binding(binding: &Binding) -> Result<Entry, ValueError> {
    let key = binding_key(&binding.key);
    let mut payload = postcard::to_stdvec(binding).map_err(decode)?;
    if let Some(extensions) = &binding.extensions {
        payload = postcard::to_extend(&**extensions, payload).map_err(decode)?;
    }
    let value = seal(&key, &payload);
    Ok((key, value))
}

/// # Errors
/// [`ValueError`].
pub fn decode_binding(key: &[u8], value: &[u8]) -> Result<Binding, ValueError> {
    let (mut binding, rest): (Binding, _) = postcard::take_from_bytes(unseal(key, value)?).map_err(decode)?;
    // Nothing follows where there is none of it, nor in what a version wrote that knew of none.
    if !rest.is_empty() {
        binding.extensions = Some(Arc::new(postcard::from_bytes(rest).map_err(decode)?));
    }
    Ok(binding)
}

/// A record's payload begins with its Call-ID, so that the index is made good without reading the JSON.
///
/// # Errors
/// [`ValueError::Decode`] where serde refuses.
pub fn encode_record(record: &CallRecord) -> Result<Entry, ValueError> {
    let key = record_key(&record.id);
    let mut payload = postcard::to_stdvec(&record.call_id).map_err(decode)?;
    serde_json::to_writer(&mut payload, record).map_err(decode)?;
    let value = seal(&key, &payload);
    Ok((key, value))
}

/// # Errors
/// [`ValueError`].
pub fn decode_record(key: &[u8], value: &[u8]) -> Result<CallRecord, ValueError> {
    let (_, json) = postcard::take_from_bytes::<&str>(unseal(key, value)?).map_err(decode)?;
    serde_json::from_slice(json).map_err(decode)
}

/// The Call-ID of a record, without reading the rest of it.
///
/// # Errors
/// [`ValueError`].
pub fn record_call_id<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a str, ValueError> {
    postcard::take_from_bytes::<&str>(unseal(key, value)?).map(|(call_id, _)| call_id).map_err(decode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::binding::DeviceKey;
    use crate::registrar::extensions::Extensions;
    use crate::rules::diagnostic::Files;
    use crate::rules::{FrameStatus, SeatStatus, UserStatus};
    use crate::sip::{Flow, Transport};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn name() -> impl Strategy<Value = Arc<str>> {
        "[a-z\0:]{0,4}".prop_map(|name| name.as_str().into())
    }

    fn a_status() -> impl Strategy<Value = (StatusObject, Status)> {
        let moment = || (0i64..4_000_000_000).prop_map(|s| jiff::Timestamp::from_second(s).unwrap());
        let until = move || prop::option::of(moment());
        let queues = prop::collection::btree_map(name(), any::<bool>(), 0..3);
        let set = (any::<Option<bool>>(), any::<Option<String>>(), any::<Option<String>>(), queues, until());
        let user = (name(), set).prop_map(|(of, (dnd, forward, rule, queues, until))| {
            (StatusObject::User(of), Status::User(UserStatus { dnd, forward, rule, queues, until }))
        });
        let frame = (name(), any::<bool>(), until()).prop_map(|(of, on, until)| {
            (StatusObject::TimeFrame(of), Status::TimeFrame(FrameStatus { on, until }))
        });
        let seat = (name(), name(), moment(), until()).prop_map(|(of, user, since, until)| {
            (StatusObject::Device(of), Status::Device(SeatStatus { user, since, until }))
        });
        prop_oneof![user, frame, seat]
    }

    fn a_binding(domain: &str, device: &str, contact: &str, cseq: u32) -> Binding {
        let device = DeviceKey { domain: domain.into(), device: device.into() };
        Binding {
            key: BindingKey { device, contact: contact.into() },
            uri: "sip:101a@192.0.2.7".into(),
            flow: Flow {
                transport: Transport::Tcp,
                local: "[2001:db8::1]:5060".parse().unwrap(),
                remote: "192.0.2.7:5062".parse().unwrap(),
                connection: None,
            },
            call_id: "reg".into(),
            cseq,
            q: 500,
            expires: "2026-11-24T10:00:00.5Z".parse().unwrap(),
            registered: "2026-11-24T09:00:00Z".parse().unwrap(),
            user_agent: Some("phone".into()),
            extensions: None,
        }
    }

    fn a_head(domain: &str, generation: u64, what: &str) -> GenerationInfo {
        GenerationInfo {
            generation,
            domain: domain.into(),
            origin: "uid:0".to_owned(),
            applied: "2026-11-24T10:00:00.000Z".to_owned(),
            what: what.to_owned(),
        }
    }

    proptest! {
        #[test]
        fn a_head_is_read_back(domain in name(), generation: u64, what: String) {
            let head = a_head(&domain, generation, &what);
            let (key, sealed) = encode_head(&head).unwrap();
            prop_assert_eq!(decode_head(&key, &sealed), Ok(head));
        }

        #[test]
        fn a_status_is_read_back(domain in name(), (object, status) in a_status()) {
            let of = StatusKey { domain, object };
            let (key, sealed) = encode_status(&of, &status).unwrap();
            prop_assert_eq!(decode_status(&key, &sealed), Ok((of, status)));
        }

        #[test]
        fn a_binding_is_read_back(domain in name(), device in name(), contact in name(), cseq: u32) {
            let binding = a_binding(&domain, &device, &contact, cseq);
            let (key, sealed) = encode_binding(&binding).unwrap();
            prop_assert_eq!(decode_binding(&key, &sealed), Ok(binding));
        }

        #[test]
        fn what_a_contact_says_beyond_rfc_3261_is_read_back(
            path in prop::collection::vec(name(), 0..3),
            instance in prop::option::of(name()),
            reg_id: Option<u32>,
            epoch: Option<u64>,
        ) {
            let extensions = Some(Arc::new(Extensions { path, instance, reg_id, epoch }));
            let binding = Binding { extensions, ..a_binding("a", "b", "c", 1) };
            let (key, sealed) = encode_binding(&binding).unwrap();
            prop_assert_eq!(decode_binding(&key, &sealed), Ok(binding));
        }

        #[test]
        fn names_that_differ_never_share_a_key(a in (name(), name(), name()), b in (name(), name(), name())) {
            let keys = |(domain, device, contact): &(Arc<str>, Arc<str>, Arc<str>)| {
                let status = |object: fn(Arc<str>) -> StatusObject| {
                    status_key(&StatusKey { domain: Arc::clone(domain), object: object(Arc::clone(device)) })
                };
                let of_kinds = [StatusObject::User, StatusObject::TimeFrame, StatusObject::Device].map(status);
                (binding_key(&a_binding(domain, device, contact, 1).key), of_kinds)
            };
            prop_assert_eq!(a == b, keys(&a).0 == keys(&b).0);
            for (kind, key) in keys(&a).1.iter().enumerate() {
                for (other, other_key) in keys(&b).1.iter().enumerate() {
                    prop_assert_eq!((kind, &a.0, &a.1) == (other, &b.0, &b.1), key == other_key);
                }
            }
        }

        #[test]
        fn a_flipped_bit_or_another_key_is_found_out(what: String, at: prop::sample::Index, bit in 0u8..8) {
            let (key, mut sealed) = encode_head(&a_head("a", 1, &what)).unwrap();
            prop_assert_eq!(decode_head(&head_key("b"), &sealed), Err(ValueError::Checksum));
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(decode_head(&key, &sealed), Err(ValueError::Checksum));
        }

        #[test]
        fn arbitrary_bytes_never_panic(key: Vec<u8>, bytes: Vec<u8>) {
            for sealed in [bytes.clone(), seal(&key, &bytes)] {
                let _ = (decode_rules(&key, &sealed), decode_head(&key, &sealed), decode_status(&key, &sealed), decode_binding(&key, &sealed));
                prop_assert!(decode_record(&key, &sealed).is_err());
            }
        }
    }

    #[test]
    fn another_format_is_not_taken_for_damage() {
        let mut sealed = seal(b"ra", b"of the future");
        sealed[4] = FORMAT + 1;
        let crc = checksum(b"ra", &sealed[4..]);
        sealed[..4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(unseal(b"ra", &sealed), Err(ValueError::Format(FORMAT + 1)));
    }

    #[test]
    fn a_status_from_before_there_were_other_kinds_is_a_users() {
        let of = StatusKey { domain: "a".into(), object: StatusObject::User("osei".into()) };
        let key = status_key(&of);
        let sealed = seal(&key, br#"[{"domain":"a","user":"osei"},{"dnd":true}]"#);
        let status = Status::User(UserStatus { dnd: Some(true), ..UserStatus::default() });
        assert_eq!(decode_status(&key, &sealed), Ok((of.clone(), status.clone())));
        assert_eq!(encode_status(&of, &status).unwrap(), (key, sealed), "and is still written so");
    }

    #[test]
    fn rules_of_the_version_before_the_archive_are_read() {
        let old = RulesBeforeArchive {
            domain: "a".into(),
            generation: 3,
            files: Files([("domain.toml".into(), "[domain]".into())].into()),
            tree: vec![1, 2],
            origin: "uid:0".to_owned(),
            applied: "2026-11-24T10:00:00.000Z".to_owned(),
        };
        let payload = postcard::to_stdvec(&old).unwrap();
        // What that version's own test held still.
        assert_eq!(crc32fast::hash(&payload), 3_217_558_779);
        let mut sealed = seal(b"r", &payload);
        sealed[4] = FORMAT_BEFORE_ARCHIVE;
        let crc = checksum(b"r", &sealed[4..]);
        sealed[..4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode_rules(b"r", &sealed), Ok(old));
    }

    /// If this fails, a stored type has changed: stores out there hold the old bytes. Raise [`FORMAT`] and read the old one too.
    #[test]
    fn the_stored_format_stands_still() {
        let (_, binding) = encode_binding(&a_binding("a", "b", "c", 7)).unwrap();
        let (_, head) = encode_head(&a_head("a", 3, "apply")).unwrap();
        let crcs = [binding, head].map(|sealed| crc32fast::hash(&sealed[SEAL_LEN..]));
        assert_eq!(crcs, [1_807_113_707, 2_589_331_040]);
    }
}
