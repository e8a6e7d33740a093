//! Latencies as histograms, and how they went over time.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency that is told apart.
const LATENCY_NS_MAX: u64 = 300_000_000_000;

/// What happened in a stretch of time.
#[derive(Clone, Debug)]
pub struct Interval {
    latencies: Histogram<u64>,
}

impl Default for Interval {
    fn default() -> Self {
        Self::new()
    }
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Latency {
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    pub mean_us: f64,
}

/// One point of a plot.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Point {
    /// Seconds since the measurement began, at the end of the interval.
    pub at_s: f64,
    /// Messages or logins per second in the interval.
    pub per_s: f64,
    pub latency: Latency,
}

impl Interval {
    /// An interval in which nothing has happened yet.
    pub fn new() -> Self {
        // Invariant: one nanosecond to five minutes with three digits are bounds that every histogram can have.
        let mut latencies = Histogram::<u64>::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("valid bounds");
        latencies.auto(false);
        Self { latencies }
    }

    /// Something took this long.
    pub fn record(&mut self, latency_ns: u64) {
        self.latencies.saturating_record(latency_ns.max(1));
    }

    /// How often something happened.
    pub fn count(&self) -> u64 {
        self.latencies.len()
    }

    /// Moves what happened in `other` here.
    pub fn take(&mut self, other: &mut Self) {
        if other.latencies.is_empty() {
            return;
        }
        // Both have the same bounds.
        let _ = self.latencies.add(&other.latencies);
        other.latencies.reset();
    }

    /// The percentiles.
    pub fn latency(&self) -> Latency {
        if self.latencies.is_empty() {
            return Latency::default();
        }
        let at = |quantile: f64| self.latencies.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.latencies.max() as f64 / 1e3,
            mean_us: self.latencies.mean() / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_intervals_together() {
        let (mut all, mut part) = (Interval::new(), Interval::new());
        for latency_us in 1..=1_000 {
            part.record(latency_us * 1_000);
            if latency_us % 100 == 0 {
                all.take(&mut part);
                assert_eq!(part.count(), 0);
            }
        }
        let latency = all.latency();
        assert_eq!(all.count(), 1_000);
        for (got, right) in [(latency.p50_us, 500.0), (latency.p99_us, 990.0), (latency.max_us, 1_000.0)] {
            assert!((got - right).abs() <= right / 500.0, "{got} instead of {right}");
        }
        assert_eq!(Interval::new().latency(), Latency::default());
    }
}
