//! How fast a connection's bytes are read. Bytes beyond what it may are left in the socket, so that TCP holds back
//! whoever sends them: nothing is lost, and a connection that is held back costs one timer.

use crate::bucket::{Rate, TokenBucket};

/// What a connection may still read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    rate: Rate,
    bucket: TokenBucket,
    /// Until when nothing is read; zero while it is.
    pub held_until_ms: u64,
    /// When it was last held back; zero for never.
    pub held_at_ms: u64,
}

impl Allowance {
    /// So many bytes in a second and at once; all of the latter at first.
    pub fn new(rate: Rate, now_ms: u64) -> Allowance {
        Allowance { rate, bucket: TokenBucket::full(rate, now_ms), held_until_ms: 0, held_at_ms: 0 }
    }

    /// Another rate from now on, with what is left of the old one.
    pub fn set_rate(&mut self, rate: Rate, now_ms: u64) {
        let available = self.bucket.available(self.rate, now_ms);
        self.bucket = TokenBucket::full(rate, now_ms);
        self.bucket.charge(rate, (self.rate.burst - available).max(0.0), now_ms);
        (self.rate, self.held_until_ms) = (rate, 0);
    }

    /// How many bytes may be read now; or nothing is before some time, in milliseconds.
    pub fn may_read(&mut self, now_ms: u64) -> Result<usize, u64> {
        if self.held_until_ms > now_ms {
            return Err(self.held_until_ms);
        }
        let available = self.bucket.available(self.rate, now_ms);
        if available >= 1.0 {
            self.held_until_ms = 0;
            return Ok(available as usize);
        }
        self.held_at_ms = now_ms.max(1);
        self.held_until_ms = now_ms + self.rate.pause_ms(available);
        Err(self.held_until_ms)
    }

    /// So many bytes were read.
    pub fn have_read(&mut self, bytes: usize, now_ms: u64) {
        self.bucket.charge(self.rate, bytes as f64, now_ms);
    }
}

/// What a connection has read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Bytes, as they came over the network.
    pub read_bytes: u64,
    /// When it was last held back because it has read too fast, in milliseconds of the runtime's clock.
    pub held_at_ms: Option<u64>,
    /// Whether it is held back now.
    pub is_held: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 3_000.0, burst: 6_000.0 };

    #[test]
    fn the_burst_comes_at_once_and_the_rest_as_fast_as_it_may() {
        let mut allowance = Allowance::new(RATE, 0);
        let (mut now_ms, mut read, mut pauses) = (0, 0, 0);
        while now_ms < 30_000 {
            match allowance.may_read(now_ms) {
                Ok(bytes) => {
                    allowance.have_read(bytes, now_ms);
                    read += bytes;
                }
                // As late as the wheel may be.
                Err(until_ms) => {
                    (now_ms, pauses) = (until_ms + 49, pauses + 1);
                }
            }
        }
        // What has come during the last pause is not read yet.
        let allowed = 6_000.0 + 3_000.0 * now_ms as f64 / 1000.0;
        assert!((read as f64) <= allowed && read as f64 > allowed - 3_300.0, "{read} bytes in {now_ms} ms");
        assert!(pauses <= 31, "{pauses} pauses");
        assert!(allowance.held_at_ms > 28_000);
    }

    #[test]
    fn who_sends_slowly_is_never_held_back() {
        let mut allowance = Allowance::new(RATE, 0);
        for second in 1..100u64 {
            assert!(allowance.may_read(second * 1000).is_ok_and(|bytes| bytes >= 3_000));
            allowance.have_read(3_000, second * 1000);
        }
        assert_eq!(allowance.held_at_ms, 0);
    }

    #[test]
    fn another_rate_begins_with_what_is_left() {
        let mut allowance = Allowance::new(RATE, 0);
        allowance.have_read(6_000, 0);
        let until_ms = allowance.may_read(0).unwrap_err();
        allowance.set_rate(Rate { per_second: 60_000.0, burst: 60_000.0 }, 0);
        assert!(allowance.may_read(0).is_ok_and(|bytes| bytes == 54_000), "{until_ms}");
    }
}
