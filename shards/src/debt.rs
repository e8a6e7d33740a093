//! A token bucket in eight bytes, for those of which there are several for every connection. It cannot refuse: it says
//! how long to rest.

use crate::bucket::Rate;

/// What is missing until the bucket is full again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Debt {
    missing: f32,
    /// In milliseconds of a clock that may begin anew.
    updated_ms: u32,
}

impl Debt {
    /// Takes one token. For how many milliseconds nothing more is to be taken, if there is none for the next.
    #[inline]
    pub fn charge(&mut self, rate: Rate, now_ms: u64) -> Option<u64> {
        let elapsed_ms = (now_ms as u32).wrapping_sub(self.updated_ms);
        self.updated_ms = now_ms as u32;
        let refilled = f64::from(elapsed_ms) / 1000.0 * rate.per_second;
        let missing = (f64::from(self.missing) - refilled).max(0.0) + 1.0;
        self.missing = missing as f32;
        let available = rate.burst - missing;
        (available < 1.0).then(|| rate.pause_ms(available))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_burst_comes_at_once_and_the_rest_as_fast_as_it_may() {
        let rate = Rate { per_second: 20.0, burst: 200.0 };
        let (mut debt, mut now_ms, mut taken, mut rests) = (Debt::default(), 0u64, 0u32, 0);
        while now_ms < 30_000 {
            taken += 1;
            if let Some(rest_ms) = debt.charge(rate, now_ms) {
                (now_ms, rests) = (now_ms + rest_ms, rests + 1);
            }
        }
        let expected = 200.0 + 20.0 * now_ms as f64 / 1000.0;
        assert!(f64::from(taken) <= expected + 1.0 && f64::from(taken) > expected * 0.95, "{taken} of {expected}");
        assert!(rests <= 32, "{rests}");
        assert_eq!(size_of::<Debt>(), 8);
    }

    proptest! {
        #[test]
        fn never_more_than_rate_and_burst_allow(
            pauses_ms in prop::collection::vec(0u64..300, 1..200),
            start in any::<u32>(),
        ) {
            let rate = Rate { per_second: 5.0, burst: 10.0 };
            let (mut debt, start) = (Debt::default(), u64::from(start));
            let (mut now_ms, mut taken) = (start, 0.0);
            for pause_ms in pauses_ms {
                now_ms += pause_ms;
                taken += 1.0;
                let allowed = rate.burst + (now_ms - start) as f64 / 1000.0 * rate.per_second;
                prop_assert!(taken <= allowed + 0.01, "{} of {}", taken, allowed);
                now_ms += debt.charge(rate, now_ms).unwrap_or(0);
            }
        }
    }
}
