//! Who has written to an account last, in a few bytes that every account in memory has: whoever is answered is no
//! stranger.

use std::cell::Cell;
use std::hash::BuildHasher;
use std::sync::LazyLock;

use hashbrown::DefaultHashBuilder;

/// How many are remembered.
const PEOPLE: usize = 8;

/// Nobody can choose addresses so that one is taken for another.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// The last ones, newest first, as hashes; zero for nobody.
#[derive(Debug, Default)]
pub struct Heard(Cell<[u32; PEOPLE]>);

impl Heard {
    /// Remembers somebody.
    #[inline]
    pub fn note(&self, bare_jid: &str) {
        let (hash, mut people) = (hash(bare_jid), self.0.get());
        if people[0] != hash {
            let place = people.iter().position(|known| *known == hash).unwrap_or(PEOPLE - 1);
            people.copy_within(..place, 1);
            people[0] = hash;
            self.0.set(people);
        }
    }

    /// Whether somebody is remembered.
    #[inline]
    pub fn has(&self, bare_jid: &str) -> bool {
        self.0.get().contains(&hash(bare_jid))
    }
}

fn hash(bare_jid: &str) -> u32 {
    HASHER.hash_one(bare_jid) as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let heard = Heard::default();
        assert!(!heard.has("a@x"));
        ["a@x", "b@x", "a@x"].iter().for_each(|bare| heard.note(bare));
        assert!(heard.has("a@x") && heard.has("b@x"));
        (0..PEOPLE - 1).for_each(|number| heard.note(&format!("{number}@x")));
        assert!(heard.has("a@x") && !heard.has("b@x"), "the one before was written to longer ago");
        heard.note("c@x");
        assert!(!heard.has("a@x") && heard.has("c@x"));
        assert_eq!(size_of::<Heard>(), 32);
    }
}
