//! Values by name in one buffer: a name is found by a hash that lies there ready made, a value is decoded when it is first asked for.
//!
//! Made for what a domain has thousands of (users, devices, numbers) and a start must not spend time or memory on: opening a table
//! reads none of it. Invariant: whatever the bytes are, no look-up panics; what can't be read is as if it were not there. Bytes
//! come out of the store under a checksum, so that does not happen by itself.
//!
//! Layout, all numbers `u32` little endian: count, slots, bytes of all names, bytes of all values; the end of each name; the end of each
//! value; the slots of the hash (index + 1, or 0); names; values.

use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

const WORD: usize = 4;
const HEADER_WORDS: usize = 4;

/// Bytes that several tables lie in.
pub(super) type Buffer = Arc<Vec<u8>>;

/// A table over a part of a buffer.
pub(super) struct Table<T> {
    buffer: Buffer,
    /// Where the parts begin in the buffer.
    name_ends: usize,
    value_ends: usize,
    slots: usize,
    names: usize,
    values: usize,
    count: usize,
    slot_count: usize,
    decoded: Arc<[OnceLock<Box<T>>]>,
    /// Values that stand in place of those in the buffer.
    patches: FxHashMap<u32, Arc<Patch<T>>>,
}

/// A value that was changed since the buffer was written.
struct Patch<T> {
    bytes: Vec<u8>,
    decoded: OnceLock<Box<T>>,
}

impl<T> std::fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values by name", self.count)
    }
}

/// FNV-1a: what lies in the store must be found by every later version, so the hash is part of the format.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn to_u32(length: usize) -> Option<u32> {
    u32::try_from(length).ok()
}

/// Values with their names, encoded: a part of a table to be.
pub(super) struct Values<'a> {
    names: Vec<&'a str>,
    /// Where each value ends.
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl<'a> Values<'a> {
    pub(super) fn with_capacity(count: usize) -> Values<'a> {
        Values { names: Vec::with_capacity(count), ends: Vec::with_capacity(count), bytes: Vec::new() }
    }

    /// Adds a value, and gives what comes out of its bytes. `None` where it can't be serialised or read back.
    pub(super) fn push<T: Serialize + DeserializeOwned>(&mut self, name: &'a str, value: &T) -> Option<T> {
        let start = self.bytes.len();
        self.bytes = postcard::to_extend(value, std::mem::take(&mut self.bytes)).ok()?;
        self.names.push(name);
        self.ends.push(self.bytes.len());
        postcard::from_bytes(self.bytes.get(start..)?).ok()
    }

    fn iter(&self) -> impl Iterator<Item = (&'a str, &[u8])> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let values =
            starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default());
        self.names.iter().copied().zip(values)
    }
}

/// Appends a table of these, in their order, to `bytes`. `None` where it would be larger than 4 GiB.
pub(super) fn write(bytes: &mut Vec<u8>, parts: &[Values<'_>]) -> Option<()> {
    let count: usize = parts.iter().map(|part| part.names.len()).sum();
    // At most half full, so that a name that is not there is soon known not to be.
    let slot_count = (count * 2).next_power_of_two().max(2);
    let (mut name_ends, mut value_ends) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut slots = vec![0_u32; slot_count];
    let (mut names, mut values) = (Vec::new(), 0);
    for (index, (name, value)) in parts.iter().flat_map(Values::iter).enumerate() {
        names.extend_from_slice(name.as_bytes());
        values += value.len();
        name_ends.push(to_u32(names.len())?);
        value_ends.push(to_u32(values)?);
        let mut slot = hash(name) as usize % slot_count;
        while *slots.get(slot)? != 0 {
            slot = (slot + 1) % slot_count;
        }
        *slots.get_mut(slot)? = to_u32(index + 1)?;
    }
    let words = HEADER_WORDS + name_ends.len() + value_ends.len() + slots.len();
    bytes.reserve(words * WORD + names.len() + values);
    for word in [count, slot_count, names.len(), values] {
        bytes.extend(to_u32(word)?.to_le_bytes());
    }
    for words in [name_ends, value_ends, slots] {
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    bytes.extend(names);
    parts.iter().for_each(|part| bytes.extend_from_slice(&part.bytes));
    Some(())
}

fn empty<T>(count: usize) -> Arc<[OnceLock<Box<T>>]> {
    std::iter::repeat_with(OnceLock::new).take(count).collect()
}

impl<T> Table<T> {
    /// The table that begins at `at`, and where it ends. `None` where its parts don't lie inside of the buffer, or the hash has a
    /// number of slots that none is written with.
    pub(super) fn open(buffer: &Buffer, at: usize) -> Option<(Table<T>, usize)> {
        let word = |n: usize| Some(read_u32(buffer, at.checked_add(n * WORD)?)? as usize);
        let (count, slot_count) = (word(0)?, word(1)?);
        let (name_bytes, value_bytes) = (word(2)?, word(3)?);
        let name_ends = at.checked_add(HEADER_WORDS * WORD)?;
        let value_ends = name_ends.checked_add(count.checked_mul(WORD)?)?;
        let slots = value_ends.checked_add(count.checked_mul(WORD)?)?;
        let names = slots.checked_add(slot_count.checked_mul(WORD)?)?;
        let values = names.checked_add(name_bytes)?;
        let end = values.checked_add(value_bytes)?;
        if end > buffer.len() || !slot_count.is_power_of_two() {
            return None;
        }
        let (decoded, patches) = (empty(count), FxHashMap::default());
        let buffer = Arc::clone(buffer);
        let table = Table {
            buffer,
            name_ends,
            value_ends,
            slots,
            names,
            values,
            count,
            slot_count,
            decoded,
            patches,
        };
        Some((table, end))
    }

    /// This table with other values at some indices. What is decoded of the rest stays decoded, for both.
    pub(super) fn patched(&self, changed: impl IntoIterator<Item = (u32, Vec<u8>)>) -> Table<T> {
        let mut patches = self.patches.clone();
        let patch = |bytes| Arc::new(Patch { bytes, decoded: OnceLock::new() });
        patches.extend(changed.into_iter().map(|(index, bytes)| (index, patch(bytes))));
        Table { buffer: self.buffer.clone(), decoded: self.decoded.clone(), patches, ..*self }
    }

    /// This table as if nobody had asked for a value.
    pub(super) fn undecoded(&self) -> Table<T> {
        let patch = |(index, patch): (&u32, &Arc<Patch<T>>)| {
            (*index, Arc::new(Patch { bytes: patch.bytes.clone(), decoded: OnceLock::new() }))
        };
        let patches = self.patches.iter().map(patch).collect();
        Table { buffer: self.buffer.clone(), decoded: empty(self.count), patches, ..*self }
    }

    /// How many values stand elsewhere than in the buffer.
    pub(super) fn patch_count(&self) -> usize {
        self.patches.len()
    }

    /// Appends this table as it would be written anew. `None` where it would be larger than 4 GiB.
    pub(super) fn write_again(&self, bytes: &mut Vec<u8>) -> Option<()> {
        let mut values = Vec::new();
        let mut value_ends = Vec::with_capacity(self.count);
        for index in 0..to_u32(self.count)? {
            values.extend_from_slice(self.bytes(index)?);
            value_ends.push(to_u32(values.len())?);
        }
        for word in [self.count, self.slot_count, self.values - self.names, values.len()] {
            bytes.extend(to_u32(word)?.to_le_bytes());
        }
        bytes.extend_from_slice(self.buffer.get(self.name_ends..self.value_ends)?);
        bytes.extend(value_ends.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend_from_slice(self.buffer.get(self.slots..self.values)?);
        bytes.extend(values);
        Some(())
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn word(&self, part: usize, index: usize) -> Option<usize> {
        read_u32(&self.buffer, part.checked_add(index.checked_mul(WORD)?)?).map(|word| word as usize)
    }

    fn range(&self, ends: usize, start: usize, index: usize) -> Option<Range<usize>> {
        let from = if index == 0 { 0 } else { self.word(ends, index - 1)? };
        let to = self.word(ends, index)?;
        Some(start.checked_add(from)?..start.checked_add(to)?)
    }

    /// The name at an index.
    pub(super) fn name(&self, index: u32) -> Option<&str> {
        std::str::from_utf8(self.name_bytes(index)?).ok()
    }

    fn name_bytes(&self, index: u32) -> Option<&[u8]> {
        let index = index as usize;
        if index >= self.count {
            return None;
        }
        self.buffer.get(self.range(self.name_ends, self.names, index)?)
    }

    /// The bytes of the value at an index.
    pub(super) fn bytes(&self, index: u32) -> Option<&[u8]> {
        if let Some(patch) = self.patches.get(&index) {
            return Some(&patch.bytes);
        }
        let index = index as usize;
        if index >= self.count {
            return None;
        }
        self.buffer.get(self.range(self.value_ends, self.values, index)?)
    }

    /// Whether it has exactly these, in this order.
    pub(super) fn holds(&self, parts: &[Values<'_>]) -> bool {
        let count: usize = parts.iter().map(|part| part.names.len()).sum();
        let held = |(index, (name, value)): (u32, (&str, &[u8]))| {
            self.index(name) == Some(index) && self.bytes(index) == Some(value)
        };
        self.count == count && (0..).zip(parts.iter().flat_map(Values::iter)).all(held)
    }

    /// The index of a name.
    pub(super) fn index(&self, name: &str) -> Option<u32> {
        // A power of two: `open` has seen to it.
        let last = self.slot_count - 1;
        let mut slot = hash(name) as usize & last;
        // Each slot once: a table whose slots are all taken must not be gone round for ever.
        for _ in 0..self.slot_count {
            let index = to_u32(self.word(self.slots, slot)?.checked_sub(1)?)?;
            // Bytes against bytes: what is equal to a text is one.
            if self.name_bytes(index) == Some(name.as_bytes()) {
                return Some(index);
            }
            slot = (slot + 1) & last;
        }
        None
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.index(name).is_some()
    }
}

impl<T: DeserializeOwned> Table<T> {
    /// The value at an index, decoded without being kept.
    pub(super) fn read(&self, index: u32) -> Option<T> {
        postcard::from_bytes(self.bytes(index)?).ok()
    }

    /// The value at an index. `finish` adds what is not stored, once.
    pub(super) fn at_with(&self, index: u32, finish: impl FnOnce(&mut T)) -> Option<&T> {
        let mut place = self.decoded.get(index as usize)?;
        if let Some(patch) = self.patches.get(&index) {
            place = &patch.decoded;
        }
        if let Some(value) = place.get() {
            return Some(value);
        }
        let mut value = self.read(index)?;
        finish(&mut value);
        Some(place.get_or_init(|| Box::new(value)))
    }

    pub(super) fn at(&self, index: u32) -> Option<&T> {
        self.at_with(index, |_| ())
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.at(self.index(name)?)
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(WORD)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// In parts, as several threads would make them.
    fn values(entries: &BTreeMap<String, (u32, Option<String>)>) -> Vec<Values<'_>> {
        let mut parts = vec![Values::with_capacity(0)];
        for (name, value) in entries {
            if parts.last().is_some_and(|part| part.names.len() == 2) {
                parts.push(Values::with_capacity(2));
            }
            let read = parts.last_mut().unwrap().push(name, value);
            assert_eq!(read.as_ref(), Some(value));
        }
        parts
    }

    fn table(entries: &BTreeMap<String, (u32, Option<String>)>) -> Table<(u32, Option<String>)> {
        let mut bytes = b"before".to_vec();
        let values = values(entries);
        write(&mut bytes, &values).unwrap();
        let end = bytes.len();
        bytes.extend(b"after");
        let (table, found) = Table::open(&Arc::new(bytes), 6).unwrap();
        assert_eq!((found, table.holds(&values)), (end, true));
        assert_eq!(table.holds(&values[..1]), entries.len() <= 2);
        table
    }

    proptest! {
        #[test]
        fn what_was_written_is_found_by_name_and_nothing_else_is(
            entries: BTreeMap<String, (u32, Option<String>)>,
            others: Vec<String>,
        ) {
            let table = table(&entries);
            prop_assert_eq!(table.len(), entries.len());
            for (index, (name, value)) in (0_u32..).zip(&entries) {
                prop_assert_eq!((table.index(name), table.name(index)), (Some(index), Some(name.as_str())));
                prop_assert_eq!(table.get(name), Some(value));
                let read = table.read(index);
                prop_assert_eq!(read.as_ref(), Some(value));
            }
            for other in others.iter().filter(|other| !entries.contains_key(*other)) {
                prop_assert!(!table.contains(other));
                prop_assert_eq!(table.get(other), None);
            }
            prop_assert_eq!(table.at(entries.len() as u32), None);
        }

        #[test]
        fn damaged_bytes_never_panic(
            entries in prop::collection::btree_map("[a-c]{0,3}", any::<(u32, Option<String>)>(), 0..6),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            at in 0usize..40,
        ) {
            let mut bytes = Vec::new();
            write(&mut bytes, &values(&entries)).unwrap();
            for (place, value) in flips {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if let Some((table, end)) = Table::<(u32, Option<String>)>::open(&Arc::new(bytes.clone()), at) {
                prop_assert!(end <= bytes.len());
                for name in ["", "a", "bb", "abc"] {
                    let _ = table.get(name);
                }
                for index in 0..8 {
                    let _ = (table.name(index), table.at(index));
                }
            }
        }
    }

    #[test]
    fn a_value_is_finished_once() {
        let table = table(&BTreeMap::from([("a".to_owned(), (1, None))]));
        assert_eq!(table.at_with(0, |value| value.0 += 1).map(|value| value.0), Some(2));
        assert_eq!(table.at_with(0, |value| value.0 += 1).map(|value| value.0), Some(2));
        assert_eq!(table.read(0).map(|value| value.0), Some(1));
    }
}
