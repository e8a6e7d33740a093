//! A bucket that all shards take from: of a limit that does not tell events apart.

use std::sync::atomic::{AtomicU64, Ordering};

use rondel_shards::Rate;

const SECOND_NS: f64 = 1e9;

/// A token bucket in one word: the moment at which it is full again, in nanoseconds of the clock that it is asked with.
/// It starts full.
#[derive(Debug, Default)]
pub struct SharedBucket(AtomicU64);

impl SharedBucket {
    /// Takes a token, if there is a whole one. Whether there is none.
    pub fn is_over(&self, rate: Rate, now_ms: u64) -> bool {
        if rate.burst < 1.0 || rate.per_second <= 0.0 {
            return true;
        }
        let now_ns = now_ms.saturating_mul(1_000_000);
        let token_ns = (SECOND_NS / rate.per_second) as u64;
        // As long as it lacks so much there is one.
        let spare_ns = ((rate.burst - 1.0) * SECOND_NS / rate.per_second) as u64;
        let take = |full_ns: u64| {
            let full_ns = full_ns.max(now_ns);
            (full_ns - now_ns <= spare_ns).then(|| full_ns.saturating_add(token_ns))
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rondel_shards::TokenBucket;

    #[test]
    fn a_bucket_that_never_holds_a_token_is_always_over() {
        let bucket = SharedBucket::default();
        assert!(bucket.is_over(Rate { per_second: 0.1, burst: 0.1 }, 0));
        assert!(bucket.is_over(Rate { per_second: 0.1, burst: 0.1 }, 100_000));
    }

    proptest! {
        #[test]
        fn it_is_a_token_bucket(
            per_second in 1u32..50,
            burst in 1u32..20,
            steps in prop::collection::vec(0u64..400, 1..200),
        ) {
            let rate = Rate { per_second: f64::from(per_second), burst: f64::from(burst) };
            let (bucket, mut now_ms) = (SharedBucket::default(), 1000);
            let mut model = TokenBucket::full(rate, now_ms);
            for step in steps {
                now_ms += step;
                let available = model.available(rate, now_ms);
                let is_over = bucket.is_over(rate, now_ms);
                // Next to a whole token rounding decides.
                if (available - 1.0).abs() > 1e-3 {
                    prop_assert_eq!(is_over, available < 1.0);
                }
                if !is_over {
                    model.charge(rate, 1.0, now_ms);
                }
            }
        }
    }
}
