//! What has been counted: buckets by the place where a rule counts, and by key where it tells events apart.
//!
//! Keys are kept as numbers: how long they are makes no difference to memory.

use hashbrown::HashMap;
use hashlink::LinkedHashMap;
use rondel_shards::TokenBucket;

use super::definition::RateSpec;

/// Between two looks for keys that have recovered, in a table that is full.
const SWEEP_EVERY_MS: u64 = 100;

/// All that is counted in one shard.
#[derive(Debug, Default)]
pub struct Tables {
    buckets: HashMap<u64, TokenBucket>,
    tables: HashMap<u64, Table>,
    /// Events that were over a limit because there was no room for one more key.
    refused: u64,
}

/// Buckets by key, the one that was seen first at the front.
#[derive(Debug, Default)]
struct Table {
    keys: LinkedHashMap<u64, TokenBucket>,
    /// Before then nothing has recovered.
    sweep_at_ms: u64,
}

impl Tables {
    /// Counts one event in the bucket of this number, or in its table under the key of this hash. Whether there have
    /// been too many.
    pub fn is_over(&mut self, id: u64, spec: &RateSpec, key: Option<u64>, now_ms: u64) -> bool {
        let rate = spec.rate;
        let Some(key) = key else {
            let bucket = self.buckets.entry(id).or_insert_with(|| TokenBucket::full(rate, now_ms));
            return bucket.take(rate, 1.0, now_ms).is_err();
        };
        let table = self.tables.entry(id).or_default();
        if let Some(bucket) = table.keys.get_mut(&key) {
            return bucket.take(rate, 1.0, now_ms).is_err();
        }
        if table.keys.len() >= spec.entries && !table.makes_room(spec, now_ms) {
            self.refused += 1;
            return true;
        }
        let mut bucket = TokenBucket::full(rate, now_ms);
        let is_over = bucket.take(rate, 1.0, now_ms).is_err();
        table.keys.insert(key, bucket);
        is_over
    }

    /// Forgets all but these, because they are of rules that are no more.
    pub fn keep(&mut self, is_kept: impl Fn(u64) -> bool) {
        self.buckets.retain(|id, _| is_kept(*id));
        self.tables.retain(|id, _| is_kept(*id));
    }

    /// How many events there was no room for.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

impl Table {
    /// Forgets keys that have recovered; or the oldest one, where the rate says so. Whether there is room now.
    fn makes_room(&mut self, spec: &RateSpec, now_ms: u64) -> bool {
        if now_ms >= self.sweep_at_ms {
            let mut earliest_ms = u64::MAX;
            self.keys.retain(|_, bucket| {
                let missing = spec.rate.burst - bucket.available(spec.rate, now_ms);
                if missing > 0.0 {
                    earliest_ms = earliest_ms.min((missing / spec.rate.per_second * 1000.0).ceil() as u64);
                }
                missing > 0.0
            });
            self.sweep_at_ms = now_ms.saturating_add(earliest_ms.max(SWEEP_EVERY_MS));
        }
        if self.keys.len() >= spec.entries && spec.overflows {
            self.keys.pop_front();
        }
        self.keys.len() < spec.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::hash_of;
    use rondel_shards::Rate;

    fn spec(entries: usize, overflows: bool) -> RateSpec {
        RateSpec { rate: Rate { per_second: 1.0, burst: 2.0 }, entries, overflows }
    }

    #[test]
    fn each_key_has_its_own() {
        let mut tables = Tables::default();
        let hash = |key: Option<&str>| key.map(|key| hash_of(key.as_bytes()));
        let mut over = |id, key: Option<&str>, now_ms| tables.is_over(id, &spec(10, false), hash(key), now_ms);
        assert_eq!(
            [over(1, None, 0), over(1, None, 0), over(1, None, 0), over(1, None, 1000)],
            [false, false, true, false]
        );
        assert_eq!([over(2, Some("a"), 0), over(2, Some("a"), 0), over(2, Some("a"), 0)], [false, false, true]);
        assert_eq!([over(2, Some("b"), 0), over(3, Some("a"), 0)], [false, false]);
    }

    #[test]
    fn a_full_table_refuses_new_keys_until_any_has_recovered() {
        let mut tables = Tables::default();
        let spec = spec(2, false);
        let mut over = |key: &str, now_ms| tables.is_over(1, &spec, Some(hash_of(key.as_bytes())), now_ms);
        assert!(!over("a", 0) && !over("a", 0) && !over("b", 0));
        assert!(over("c", 0));
        // The first one never recovers, the second does.
        assert!(!over("a", 1000) && !over("c", 1000), "b has recovered and went");
        assert!(over("d", 1001));
        assert_eq!(tables.refused(), 2);
    }

    #[test]
    fn the_oldest_key_goes_where_the_rate_says_so() {
        let mut tables = Tables::default();
        let spec = RateSpec { rate: Rate { per_second: 1.0, burst: 1.0 }, entries: 2, overflows: true };
        let over: Vec<bool> = ["p", "q", "q", "t", "v", "q"]
            .iter()
            .map(|key| tables.is_over(1, &spec, Some(hash_of(key.as_bytes())), 0))
            .collect();
        assert_eq!(over, [false, false, true, false, false, false], "q was forgotten");
        tables.keep(|id| id != 1);
        assert!(tables.tables.is_empty());
    }
}
