//! What is in none of many lists, told at one look: most texts that rules ask for are in none.

use super::entries::{Entries, hash_of};

/// Bits for each entry. Of what is in no list fewer than one in a hundred passes.
const BITS_PER_ENTRY: usize = 16;

/// A Bloom filter of the entries of lists, one word of memory for each look.
#[derive(Clone, Debug)]
pub struct Sieve {
    words: Box<[u64]>,
}

impl Default for Sieve {
    /// Nothing passes.
    fn default() -> Sieve {
        Sieve { words: Box::new([0]) }
    }
}

impl Sieve {
    /// What is in one of these passes.
    pub fn of<'e>(lists: impl Iterator<Item = &'e Entries> + Clone) -> Sieve {
        let entries: usize = lists.clone().map(Entries::len).sum();
        let words = (entries * BITS_PER_ENTRY / 64).max(1);
        let mut sieve = Sieve { words: vec![0; words].into_boxed_slice() };
        for entry in lists.flat_map(Entries::iter) {
            let hash = hash_of(entry);
            let place = sieve.place(hash);
            sieve.words[place] |= bits(hash);
        }
        sieve
    }

    /// Whether a text with this hash may be in one of the lists.
    #[inline]
    pub fn passes(&self, hash: u64) -> bool {
        let bits = bits(hash);
        self.words.get(self.place(hash)).is_some_and(|word| word & bits == bits)
    }

    /// By the high half of the hash.
    #[inline]
    fn place(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.words.len() as u128) >> 64) as usize
    }
}

/// Four bits of a word, by the low bits of the hash.
#[inline]
fn bits(hash: u64) -> u64 {
    (0..4).fold(0, |bits, turn| bits | 1 << (hash >> (turn * 6) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_list_passes_and_hardly_anything_else() {
        let name = |number: usize| format!("name-{number}.example");
        let lists: Vec<Entries> = (0..3usize)
            .map(|list| {
                let mut entries = Entries::default();
                (0..10_000).for_each(|number| assert!(entries.insert(name(list * 10_000 + number).as_bytes())));
                entries
            })
            .collect();
        let sieve = Sieve::of(lists.iter());
        assert!((0..30_000).all(|number| sieve.passes(hash_of(name(number).as_bytes()))));
        let passed = (30_000..130_000).filter(|number| sieve.passes(hash_of(name(*number).as_bytes()))).count();
        assert!(passed < 2_000, "{passed} of 100,000");
        assert!(!Sieve::default().passes(hash_of(b"x")) && !Sieve::of([].iter()).passes(hash_of(b"x")));
    }
}
