//! A set of texts that takes little more memory than the texts themselves: a list of a million names is held in memory
//! once, and looked up in by every shard.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Bytes of one entry at most; what is longer is left out.
const ENTRY_BYTES_MAX: usize = 3_072;

/// Bytes of all entries together: their places are numbers of 32 bits.
const BYTES_MAX: usize = u32::MAX as usize - ENTRY_BYTES_MAX - 2;

/// Texts, each once.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// Each text behind its length in two bytes.
    bytes: Vec<u8>,
    /// Where each of them stands.
    places: HashTable<u32>,
}

/// How texts are hashed: the same way for all sets, so that a text that several are asked for is hashed once.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// The hash of a text.
#[inline]
pub fn hash_of(text: &[u8]) -> u64 {
    HASHER.hash_one(text)
}

impl Entries {
    /// Adds a text. Whether it is one more.
    pub fn insert(&mut self, text: &[u8]) -> bool {
        if text.len() > ENTRY_BYTES_MAX || self.bytes.len() > BYTES_MAX || self.has(text) {
            return false;
        }
        let place = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(text);
        let bytes = &self.bytes;
        let hash = |place: &u32| hash_of(at(bytes, *place));
        self.places.insert_unique(hash(&place), place, hash);
        true
    }

    /// Whether a text is among them.
    #[inline]
    pub fn has(&self, text: &[u8]) -> bool {
        self.has_hashed(text, hash_of(text))
    }

    /// The same, if [`hash_of`] the text is known.
    #[inline]
    pub fn has_hashed(&self, text: &[u8], hash: u64) -> bool {
        self.places.find(hash, |place| at(&self.bytes, *place) == text).is_some()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map(|place| at(&self.bytes, *place))
    }

    /// What they take of memory, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.places.allocation_size()
    }

    /// Gives back what it has too much of.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        let bytes = &self.bytes;
        self.places.shrink_to_fit(|place| hash_of(at(bytes, *place)));
    }
}

impl<'a> FromIterator<&'a [u8]> for Entries {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(texts: I) -> Entries {
        let mut entries = Entries::default();
        for text in texts {
            entries.insert(text);
        }
        entries.shrink();
        entries
    }
}

/// The text at a place.
#[inline]
fn at(bytes: &[u8], place: u32) -> &[u8] {
    let rest = bytes.get(place as usize..).unwrap_or_default();
    match rest.split_first_chunk::<2>() {
        Some((length, rest)) => rest.get(..usize::from(u16::from_le_bytes(*length))).unwrap_or_default(),
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_million_names_take_less_than_64_mebibytes() {
        let name = |number: usize| format!("spam-{number:07}.example.org");
        let mut entries = Entries::default();
        (0..1_000_000).for_each(|number| assert!(entries.insert(name(number).as_bytes())));
        entries.shrink();
        assert_eq!((entries.len(), name(0).len()), (1_000_000, 24));
        assert!(entries.memory_bytes() < 64 << 20, "{} bytes", entries.memory_bytes());
        assert!(entries.has(name(999_999).as_bytes()) && !entries.has(name(1_000_000).as_bytes()));
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let mut entries = Entries::default();
        assert!(!entries.insert(&vec![b'a'; ENTRY_BYTES_MAX + 1]) && entries.is_empty());
        assert!(entries.insert(&vec![b'a'; ENTRY_BYTES_MAX]));
    }

    proptest! {
        #[test]
        fn it_is_a_set(texts in prop::collection::vec("[ab]{0,3}", 0..60), asked in "[ab]{0,3}") {
            let entries: Entries = texts.iter().map(|text| text.as_bytes()).collect();
            let model: BTreeSet<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            prop_assert_eq!(entries.iter().collect::<BTreeSet<_>>(), model.clone());
            prop_assert_eq!(entries.has(asked.as_bytes()), model.contains(asked.as_bytes()));
            prop_assert_eq!(entries.len(), model.len());
        }
    }
}
