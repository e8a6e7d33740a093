//! A bucket for each address, of those that have taken from it lately.

use std::net::IpAddr;

use hashbrown::HashMap;
use rondel_shards::{Rate, TokenBucket};

use super::addresses::prefix;

/// Size of the table at which what has recovered is forgotten first.
const SWEEP_AT: usize = 1024;

/// Buckets of one rate, by address. An IPv6 client is its /64.
#[derive(Debug)]
pub struct Buckets {
    rate: Rate,
    known: HashMap<IpAddr, TokenBucket>,
    sweep_at: usize,
}

impl Buckets {
    /// All are full.
    pub fn new(rate: Rate) -> Buckets {
        Buckets { rate, known: HashMap::new(), sweep_at: SWEEP_AT }
    }

    /// Takes so much from the bucket of an address. Whether it was there.
    pub fn take(&mut self, address: IpAddr, cost: f64, now_ms: u64) -> bool {
        let rate = self.rate;
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, bucket| !bucket.is_full(rate, now_ms));
            self.sweep_at = (self.known.len() * 2).max(SWEEP_AT);
        }
        let bucket = self.known.entry(prefix(address)).or_insert_with(|| TokenBucket::full(rate, now_ms));
        bucket.take(rate, cost, now_ms).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_and_what_is_full_is_forgotten() {
        let mut buckets = Buckets::new(Rate { per_second: 1.0, burst: 10.0 });
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        assert!(buckets.take(address(1), 6.0, 0) && !buckets.take(address(1), 6.0, 0));
        assert!(buckets.take(address(2), 6.0, 0) && buckets.take(address(1), 6.0, 2_000));
        for number in 0..100_000 {
            buckets.take(address(number), 1.0, 10_000 + u64::from(number));
        }
        assert!(buckets.known.len() < 5_000, "{}", buckets.known.len());
    }
}
