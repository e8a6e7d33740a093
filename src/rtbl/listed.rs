//! Who is on a list.

use std::sync::Arc;

use hashbrown::HashSet;
use rondel_storage::listed::Hash;
use sha2::{Digest, Sha256};

use crate::hex;

/// Parts that a list is kept in, so that a change copies little of it.
const PARTS: usize = 256;

/// What is on a list, as all shards see it: never changed, but replaced.
#[derive(Clone, Debug)]
pub struct Listed {
    /// By the first byte.
    parts: Vec<Arc<HashSet<Hash>>>,
}

impl Default for Listed {
    fn default() -> Listed {
        Listed { parts: vec![Arc::default(); PARTS] }
    }
}

impl FromIterator<Hash> for Listed {
    fn from_iter<I: IntoIterator<Item = Hash>>(hashes: I) -> Listed {
        let mut listed = Listed::default();
        hashes.into_iter().for_each(|hash| listed.add(hash));
        listed
    }
}

impl Listed {
    /// Whether a hash is.
    pub fn contains(&self, hash: &Hash) -> bool {
        self.parts[usize::from(hash[0])].contains(hash)
    }

    /// Puts somebody on it.
    pub fn add(&mut self, hash: Hash) {
        Arc::make_mut(&mut self.parts[usize::from(hash[0])]).insert(hash);
    }

    /// Takes somebody from it.
    pub fn remove(&mut self, hash: &Hash) {
        if self.contains(hash) {
            Arc::make_mut(&mut self.parts[usize::from(hash[0])]).remove(hash);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Hash> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.is_empty())
    }
}

/// What stands for a name on lists.
pub fn hash_of(name: &str) -> Hash {
    Sha256::digest(name.as_bytes()).into()
}

/// A hash in hexadecimal digits. None for what is none: lists have other items, too.
pub(super) fn parse(id: &str) -> Option<Hash> {
    hex::decode(id)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_another_list() {
        let mut listed: Listed = ["romeo@montague.example", "spam.example"].map(hash_of).into_iter().collect();
        let before = listed.clone();
        let has = |listed: &Listed, name: &str| listed.contains(&hash_of(name));
        assert!(has(&listed, "romeo@montague.example") && !has(&listed, "juliet@montague.example"));
        assert!(has(&listed, "spam.example") && !has(&listed, "y.spam.example"));
        listed.remove(&hash_of("spam.example"));
        listed.remove(&hash_of("unknown"));
        assert!(!has(&listed, "spam.example") && has(&before, "spam.example"));
        assert_eq!((listed.len(), listed.iter().count(), listed.is_empty()), (1, 1, false));
        assert!(Listed::default().is_empty());
    }

    #[test]
    fn hashes_are_written_in_hexadecimal_digits() {
        let id = "a0b1".repeat(16);
        assert_eq!(parse(&id).map(|hash| hash[..2].to_vec()), Some(vec![0xa0, 0xb1]));
        for wrong in ["", "a0b1", &"g0b1".repeat(16), &format!("{id}00"), &"ä".repeat(32), &"+1".repeat(32)] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
