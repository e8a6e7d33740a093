//! Token buckets, local to a core: no lock, no atomic, no allocation, constant time.

/// How fast a bucket fills and how much it holds, in tokens (stanzas, bytes, attempts, …).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens gained per second.
    pub per_second: f64,
    /// Tokens the bucket holds when full; it starts full.
    pub burst: f64,
}

/// The longest that somebody waits who is over a rate, in seconds, before it is seen what there is.
const PAUSE_S: f64 = 1.0;

impl Rate {
    /// For how many milliseconds whoever has so many tokens left, fewer than the next thing takes, waits for several at
    /// once: about a second, so that who is over the rate is looked at seldom, but never for more than half a burst, so
    /// that a timer that fires late finds room for what has come meanwhile.
    pub(crate) fn pause_ms(self, available: f64) -> u64 {
        let wanted = (self.per_second * PAUSE_S).min(self.burst / 2.0).max(1.0);
        ((wanted - available) / self.per_second * 1000.0).ceil().max(1.0) as u64
    }
}

/// Less than this is a rounding error, not a missing token.
const EPSILON: f64 = 1e-6;

/// One bucket: 16 bytes. Time is in milliseconds of any clock that does not run backwards.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    tokens: f64,
    updated_ms: u64,
}

impl TokenBucket {
    /// A full bucket.
    pub fn full(rate: Rate, now_ms: u64) -> Self {
        TokenBucket { tokens: rate.burst, updated_ms: now_ms }
    }

    /// Takes `cost` tokens if they are there; otherwise takes none and returns in how many milliseconds they will be
    /// (`u64::MAX` if never, because `cost` is more than the bucket holds).
    pub fn take(&mut self, rate: Rate, cost: f64, now_ms: u64) -> Result<(), u64> {
        self.refill(rate, now_ms);
        if self.tokens + EPSILON >= cost {
            self.tokens = (self.tokens - cost).max(0.0);
            return Ok(());
        }
        if cost > rate.burst || rate.per_second <= 0.0 {
            return Err(u64::MAX);
        }
        // Rounding errors must not cost a whole millisecond.
        Err(((cost - self.tokens) / rate.per_second * 1000.0 - 1e-6).ceil().max(1.0) as u64)
    }

    /// Takes `cost` tokens whether they are there or not; what is missing is owed, up to a thousand bursts.
    pub fn charge(&mut self, rate: Rate, cost: f64, now_ms: u64) {
        self.refill(rate, now_ms);
        self.tokens = (self.tokens - cost).max(-1000.0 * rate.burst);
    }

    /// Tokens there now; less than none if some are owed.
    pub fn available(&mut self, rate: Rate, now_ms: u64) -> f64 {
        self.refill(rate, now_ms);
        self.tokens
    }

    /// Whether the bucket is full again, i.e. need not be remembered.
    pub fn is_full(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.available(rate, now_ms) >= rate.burst
    }

    fn refill(&mut self, rate: Rate, now_ms: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.updated_ms);
        if elapsed_ms > 0 {
            self.tokens = (self.tokens + elapsed_ms as f64 / 1000.0 * rate.per_second).min(rate.burst);
            self.updated_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate { per_second: 10.0, burst: 20.0 };

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_says_how_long_to_wait() {
        let mut bucket = TokenBucket::full(RATE, 0);
        assert_eq!(bucket.take(RATE, 20.0, 0), Ok(()));
        assert_eq!(bucket.take(RATE, 1.0, 0), Err(100));
        assert_eq!(bucket.take(RATE, 1.0, 99), Err(1));
        assert_eq!(bucket.take(RATE, 1.0, 100), Ok(()));
        assert_eq!(bucket.take(RATE, 21.0, 100_000), Err(u64::MAX));
    }

    proptest! {
        #[test]
        fn never_more_than_rate_and_burst_allow(costs in prop::collection::vec((0u64..500, 1u32..30), 1..200)) {
            let mut bucket = TokenBucket::full(RATE, 0);
            let (mut now_ms, mut taken) = (0, 0.0);
            for (pause_ms, cost) in costs {
                now_ms += pause_ms;
                if bucket.take(RATE, f64::from(cost), now_ms).is_ok() {
                    taken += f64::from(cost);
                }
                prop_assert!(taken <= RATE.burst + now_ms as f64 / 1000.0 * RATE.per_second + 1e-3);
            }
        }

        #[test]
        fn after_the_wait_it_is_there(drain in 0u32..20, cost in 1u32..20, start in 0u64..1000) {
            let mut bucket = TokenBucket::full(RATE, start);
            bucket.take(RATE, f64::from(drain), start).unwrap();
            if let Err(wait_ms) = bucket.take(RATE, f64::from(cost), start) {
                prop_assert_eq!(bucket.take(RATE, f64::from(cost), start + wait_ms), Ok(()));
            }
        }
    }
}
