//! Whom an account has had to do with last, as hashes: few bytes for each, and no more than so many.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// People that are remembered of one account.
const PEOPLE_MAX: usize = 64;

/// The last ones, newest first.
#[derive(Debug, Default)]
pub struct Recent {
    people: VecDeque<u64>,
    hashes: RandomState,
}

impl Recent {
    /// Remembers somebody.
    pub fn note(&mut self, bare_jid: &str) {
        let hash = self.hashes.hash_one(bare_jid);
        if !self.people.contains(&hash) {
            self.people.truncate(PEOPLE_MAX - 1);
            self.people.push_front(hash);
        }
    }

    /// Whether somebody is remembered.
    pub fn has(&self, bare_jid: &str) -> bool {
        self.people.contains(&self.hashes.hash_one(bare_jid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let mut recent = Recent::default();
        recent.note("a@x");
        assert!(recent.has("a@x") && !recent.has("b@x"));
        (0..PEOPLE_MAX).for_each(|number| recent.note(&format!("{number}@x")));
        assert!(!recent.has("a@x") && recent.has("0@x"));
    }
}
