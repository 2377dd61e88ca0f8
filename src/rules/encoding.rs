//! A domain as bytes for the store, and trees as bytes: a format version, a CRC-32, postcard and tables. Damaged bytes are an error, never
//! a panic: what was decoded is checked against the invariants of [`super::tree`] before anybody decides by it.

use super::domain::{Common, Domain, Secrets};
use super::shares::in_shares;
use super::table::{self, Table, Values};
use super::tree::{Leaf, Node, NodeId, Test, Tree, Trees};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Raised with every change of the types in [`super::tree`] and [`super::domain`]; what is of
/// another version is compiled again from its source.
pub const FORMAT_VERSION: u16 = 17;

/// Version and CRC-32, both little endian.
const HEADER_BYTES: usize = 6;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("the trees are cut short")]
    Truncated,
    #[error("the trees have format {found}, this version reads {FORMAT_VERSION}")]
    Version { found: u16 },
    #[error("the checksum of the trees is {found:08x}, of their bytes {computed:08x}")]
    Checksum { found: u32, computed: u32 },
    #[error("the trees can't be read: {0}")]
    Malformed(String),
    #[error("a node or table of {0} points outside of its tree")]
    Invariant(String),
}

const TOO_LARGE: &str = "it needs more than 4 GiB";
const ANOTHER: &str = "it is not what it was before it was encoded";
/// Fewer objects are not worth a thread.
const OBJECTS_A_SHARE_MIN: usize = 128;

/// A domain taken apart, as compiling leaves it.
pub(super) struct Parts<'a> {
    pub common: Common,
    pub users: Vec<Values<'a>>,
    pub devices: Vec<Values<'a>>,
    pub numbers: Vec<Values<'a>>,
    pub extensions: Vec<Values<'a>>,
    pub auth_users: Vec<Values<'a>>,
    pub files: Vec<Values<'a>>,
}

/// Makes and encodes a value for each of these objects, by several threads where there are many, and lets go of it again: what comes out
/// of the bytes has been held against it by then.
///
/// # Errors
/// A value that does not come back as it went in, or that breaks an invariant: a fault of ours.
pub(super) fn proved<'a, I: Sync, T: Serialize + DeserializeOwned + PartialEq>(
    objects: impl Iterator<Item = (&'a str, I)>,
    make: impl Fn(&I) -> T + Sync,
    holds: impl Fn(&T) -> bool + Sync,
) -> Result<Vec<Values<'a>>, &'static str> {
    let objects: Vec<(&'a str, I)> = objects.collect();
    let shares = in_shares(&objects, OBJECTS_A_SHARE_MIN, |share| {
        let mut values = Values::with_capacity(share.len());
        for (name, object) in share {
            let value = make(object);
            let read = values.push(name, &value).ok_or(ANOTHER)?;
            if read != value || !holds(&value) {
                return Err(ANOTHER);
            }
        }
        Ok(values)
    });
    shares.into_iter().collect()
}

impl Parts<'_> {
    /// Version and checksum; how long the common part is, and it; the tables.
    fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; HEADER_BYTES];
        let common = postcard::to_stdvec(&self.common).ok()?;
        bytes.extend(u32::try_from(common.len()).ok()?.to_le_bytes());
        bytes.extend(common);
        for values in
            [&self.users, &self.devices, &self.numbers, &self.extensions, &self.auth_users, &self.files]
        {
            table::write(&mut bytes, values)?;
        }
        seal(&mut bytes)?;
        Some(bytes)
    }

    /// Whether a domain that was read from bytes holds exactly this: of what is proved already, the same bytes under the same names.
    fn are_those_of(&self, domain: &Domain) -> bool {
        self.common == *domain.common
            && domain.users.holds(&self.users)
            && domain.devices.holds(&self.devices)
            && domain.numbers.holds(&self.numbers)
            && domain.extensions.holds(&self.extensions)
            && domain.auth_users.holds(&self.auth_users)
            && domain.files.holds(&self.files)
    }
}

/// Zone names are checked by the loader; UTC stands in only for one that left the system's database since.
fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

impl Domain {
    /// Encodes the parts, and makes a domain of the bytes. What does not come back as it went in is a fault of ours, and is refused.
    pub(super) fn of_parts(
        parts: &Parts<'_>,
        secrets: Secrets,
        generation: u64,
    ) -> Result<Domain, &'static str> {
        let bytes = parts.encode().ok_or(TOO_LARGE)?;
        let mut domain = Domain::decode(bytes, generation).map_err(|_| "its bytes can't be read back")?;
        domain.unlock(secrets);
        if parts.are_those_of(&domain) { Ok(domain) } else { Err(ANOTHER) }
    }

    /// A domain from the bytes that [`Domain::encoded`] gave. Users, devices and numbers are not read yet.
    ///
    /// # Errors
    /// Another format, a wrong checksum, or bytes that are no domain.
    pub fn decode(bytes: Vec<u8>, generation: u64) -> Result<Domain, TreeError> {
        let body = body(&bytes)?;
        let malformed = |what: &str| TreeError::Malformed(what.to_owned());
        let (length, rest) = body.split_first_chunk::<4>().ok_or(TreeError::Truncated)?;
        let length = u32::from_le_bytes(*length) as usize;
        let common = rest.get(..length).ok_or(TreeError::Truncated)?;
        let common: Common = postcard::from_bytes(common).map_err(|e| TreeError::Malformed(e.to_string()))?;
        common.trees.check()?;
        let at = HEADER_BYTES + 4 + length;
        let encoded = Arc::new(bytes);
        let (users, at) = Table::open(&encoded, at).ok_or_else(|| malformed("users"))?;
        let (devices, at) = Table::open(&encoded, at).ok_or_else(|| malformed("devices"))?;
        let (numbers, at) = Table::open(&encoded, at).ok_or_else(|| malformed("numbers"))?;
        let (extensions, at) = Table::open(&encoded, at).ok_or_else(|| malformed("extensions"))?;
        let (auth_users, at) = Table::open(&encoded, at).ok_or_else(|| malformed("auth users"))?;
        let (files, _) = Table::open(&encoded, at).ok_or_else(|| malformed("files"))?;
        Ok(Domain {
            generation,
            zones: common.trees.zones.iter().map(|name| zone(name)).collect(),
            zone: zone(&common.zone_name),
            common: Arc::new(common),
            secrets: Secrets::default(),
            users,
            devices,
            numbers,
            extensions,
            auth_users,
            files,
            encoded,
        })
    }
}

/// Values that stand in place of others, by their indices: what an edit of a few objects makes of a domain.
#[derive(Default)]
pub(super) struct Patches {
    pub users: Vec<(u32, Vec<u8>)>,
    pub devices: Vec<(u32, Vec<u8>)>,
    pub numbers: Vec<(u32, Vec<u8>)>,
    pub files: Vec<(u32, Vec<u8>)>,
}

/// A value as bytes, once it has come back out of them as it went in.
pub(super) fn proved_one<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> Option<Vec<u8>> {
    let bytes = postcard::to_stdvec(value).ok()?;
    (postcard::from_bytes::<T>(&bytes).ok()? == *value).then_some(bytes)
}

/// Beyond so many patches the bytes are written anew, so that they don't pile up.
const PATCHES_MAX: usize = 1024;

impl Domain {
    /// This domain with other values in some places; everything else is shared with it. `None`: it would be larger than 4 GiB.
    pub(super) fn patched(&self, patches: Patches, generation: u64) -> Option<Domain> {
        let patched = Domain {
            generation,
            common: self.common.clone(),
            zones: self.zones.clone(),
            zone: self.zone.clone(),
            secrets: self.secrets.clone(),
            users: self.users.patched(patches.users),
            devices: self.devices.patched(patches.devices),
            numbers: self.numbers.patched(patches.numbers),
            extensions: self.extensions.patched([]),
            auth_users: self.auth_users.patched([]),
            files: self.files.patched(patches.files),
            encoded: self.encoded.clone(),
        };
        if patched.patch_count() <= PATCHES_MAX {
            return Some(patched);
        }
        let mut anew = Domain::decode(patched.encode_again()?, generation).ok()?;
        anew.secrets = patched.secrets;
        Some(anew)
    }

    fn patch_count(&self) -> usize {
        self.users.patch_count()
            + self.devices.patch_count()
            + self.numbers.patch_count()
            + self.files.patch_count()
    }

    /// The domain as bytes, for the store: the same whether it was compiled whole or patched.
    #[must_use]
    pub fn encoded(&self) -> Arc<Vec<u8>> {
        if self.patch_count() == 0 {
            return self.encoded.clone();
        }
        // Each part is smaller than 4 GiB, or it would not have been patched; without bytes the text is compiled again.
        Arc::new(self.encode_again().unwrap_or_default())
    }

    fn encode_again(&self) -> Option<Vec<u8>> {
        let common = self.encoded.get(HEADER_BYTES..HEADER_BYTES + 4)?.try_into().ok()?;
        let common = HEADER_BYTES + 4 + u32::from_le_bytes(common) as usize;
        let mut bytes = Vec::with_capacity(self.encoded.len());
        bytes.extend_from_slice(self.encoded.get(..common)?);
        self.users.write_again(&mut bytes)?;
        self.devices.write_again(&mut bytes)?;
        self.numbers.write_again(&mut bytes)?;
        self.extensions.write_again(&mut bytes)?;
        self.auth_users.write_again(&mut bytes)?;
        self.files.write_again(&mut bytes)?;
        seal(&mut bytes)?;
        Some(bytes)
    }
}

/// Puts version and checksum in their place.
fn seal(bytes: &mut [u8]) -> Option<()> {
    let checksum = crc32fast::hash(bytes.get(HEADER_BYTES..)?);
    let header = FORMAT_VERSION.to_le_bytes().into_iter().chain(checksum.to_le_bytes());
    bytes.iter_mut().zip(header).for_each(|(place, byte)| *place = byte);
    Some(())
}

/// What stands behind version and checksum, once both hold.
fn body(bytes: &[u8]) -> Result<&[u8], TreeError> {
    let (version, rest) = bytes.split_first_chunk::<2>().ok_or(TreeError::Truncated)?;
    let found = u16::from_le_bytes(*version);
    if found != FORMAT_VERSION {
        return Err(TreeError::Version { found });
    }
    let (checksum, body) = rest.split_first_chunk::<4>().ok_or(TreeError::Truncated)?;
    let (found, computed) = (u32::from_le_bytes(*checksum), crc32fast::hash(body));
    if found != computed {
        return Err(TreeError::Checksum { found, computed });
    }
    Ok(body)
}

impl Trees {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Serialising to memory fails for nothing that these types hold; empty trees say so if it ever did.
        let body = postcard::to_stdvec(self).unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// # Errors
    /// Another format, a wrong checksum, bytes that are no trees, or trees that break their invariants.
    pub fn decode(bytes: &[u8]) -> Result<Trees, TreeError> {
        let trees: Trees =
            postcard::from_bytes(body(bytes)?).map_err(|e| TreeError::Malformed(e.to_string()))?;
        trees.check()?;
        Ok(trees)
    }

    /// # Errors
    /// The first tree that breaks an invariant, by name.
    pub fn check(&self) -> Result<(), TreeError> {
        let broken = |name: &str| TreeError::Invariant(name.to_owned());
        let timed =
            self.timed.iter().all(|t| inside(t.frame, self.frames.len()) && inside(t.zone, self.zones.len()));
        if !timed {
            return Err(broken("the time frames"));
        }
        for named in self.users.iter().chain(&self.numbers) {
            if !named.tree.holds(self.timed.len(), self.lists.len()) {
                return Err(broken(&named.name));
            }
        }
        Ok(())
    }
}

fn inside(index: u32, length: usize) -> bool {
    (index as usize) < length
}

impl Tree {
    pub(super) fn holds(&self, timed: usize, lists: usize) -> bool {
        let rule = |index: u32| inside(index, self.rules.len());
        let nodes = self.nodes.len();
        let later = |from: usize, to: NodeId| (to as usize) > from && inside(to, nodes);
        let test = |t: &Test| match *t {
            Test::Frame { timed: frame, rule: asking } => inside(frame, timed) && rule(asking),
            _ => true,
        };
        let leaf = |l: &Leaf| match *l {
            Leaf::Ring { rule: r, .. } => self.rules.get(r as usize).is_some_and(|r| r.ring.is_some()),
            Leaf::Goto { rule: r } => self.rules.get(r as usize).is_some_and(|r| r.to.is_some()),
            Leaf::Forward { rule: r, by } => {
                self.rules.get(r as usize).is_some_and(|r| r.forwards.iter().any(|(k, _)| *k == by))
            }
            Leaf::StatusForward { rule: r } | Leaf::Mailbox { rule: r, .. } | Leaf::Final { rule: r, .. } => {
                rule(r)
            }
            Leaf::Refuse(_) | Leaf::Spare => true,
        };
        let node = |(at, node): (usize, &Node)| match node {
            Node::Ask { test: t, yes, no } => later(at, *yes) && later(at, *no) && test(t),
            Node::Picked { no } => later(at, *no) && self.rules.iter().all(|r| later(at, r.entry)),
            Node::Leaf(l) => leaf(l),
        };
        let entries = |e: &super::tree::Entries| {
            let own = e.own.value_max().is_none_or(|v| inside(v, e.written.len()));
            own && e.lists.iter().all(|(list, entry)| inside(*list, lists) && inside(*entry, e.written.len()))
        };
        !self.nodes.is_empty()
            && self.nodes.iter().enumerate().all(node)
            && self.rules.iter().all(|r| {
                let after = r.after.iter().all(|n| inside(*n, nodes));
                inside(r.entry, nodes) && after && r.when.iter().all(|c| inside(c.timed, timed))
            })
            && entries(&self.allow)
            && entries(&self.block)
    }
}

#[cfg(test)]
mod tests;
