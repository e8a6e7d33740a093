//! What is remembered of those who have done something within the last hour.

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};

/// For how long something is remembered that is not used, in milliseconds.
pub const HOUR_MS: u64 = 3_600_000;

/// Entries beyond which what is old is looked for.
const SWEEP_AT: usize = 1024;

/// Values by key, each for an hour after it was used last. Forgetting costs a constant time on average: it is looked
/// for what is old when there are twice as many entries as the last time.
#[derive(Debug)]
pub struct Remembered<K, V> {
    entries: HashMap<K, (V, u64)>,
    sweep_at: usize,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Remembered<K, V> {
        Remembered { entries: HashMap::new(), sweep_at: SWEEP_AT }
    }
}

impl<K: Eq + Hash, V> Remembered<K, V> {
    /// The value of a key, which is used now, in milliseconds; made if there is none.
    pub fn of<Q>(&mut self, key: &Q, now_ms: u64, make: impl FnOnce() -> V) -> &mut V
    where
        Q: Hash + Equivalent<K> + ?Sized,
        for<'q> K: From<&'q Q>,
    {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, (_, used_ms)| now_ms.saturating_sub(*used_ms) < HOUR_MS);
            self.sweep_at = SWEEP_AT.max(self.entries.len() * 2);
        }
        let (value, used_ms) = self.entries.entry_ref(key).or_insert_with(|| (make(), now_ms));
        *used_ms = now_ms;
        value
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_old_goes() {
        let mut remembered: Remembered<Box<str>, u32> = Remembered::default();
        for number in 0..SWEEP_AT as u32 {
            *remembered.of(&*number.to_string(), 0, || 7) += number;
        }
        // Nothing is old yet: it is looked for again when there are twice as many.
        assert_eq!(*remembered.of("5", HOUR_MS - 1, || 0), 12);
        for number in SWEEP_AT as u32..2 * SWEEP_AT as u32 {
            remembered.of(&*number.to_string(), 1, || 0);
        }
        assert_eq!(remembered.len(), 2 * SWEEP_AT);
        assert_eq!((*remembered.of("new", HOUR_MS + 1, || 1), remembered.len()), (1, 2));
        assert_eq!(*remembered.of("5", 2 * HOUR_MS, || 0), 12);
    }
}
