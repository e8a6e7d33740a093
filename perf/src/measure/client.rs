//! How busy the client's own threads were, so that a report can say when they, and not the server, set the pace.

use std::fs;

/// A thread whose time was used or waited for to this part had no more to give.
pub const BOTTLENECK: f64 = 0.9;

/// What a thread of this process has used until now.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadTime {
    /// On a core.
    pub busy_ns: u64,
    /// Ready to run, but no core was free.
    pub waited_ns: u64,
}

impl ThreadTime {
    /// Of the thread with this number; zero where the kernel does not say.
    pub fn of(thread: i32) -> Self {
        let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default();
        let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().unwrap_or(0));
        Self { busy_ns: numbers.next().unwrap_or(0), waited_ns: numbers.next().unwrap_or(0) }
    }

    /// The parts of `elapsed_ns` that it was on a core, and that it waited for one, since `earlier`.
    pub fn parts_since(self, earlier: Self, elapsed_ns: u64) -> (f64, f64) {
        let part = |now: u64, then: u64| now.saturating_sub(then) as f64 / elapsed_ns.max(1) as f64;
        (part(self.busy_ns, earlier.busy_ns), part(self.waited_ns, earlier.waited_ns))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_thread_that_computes_is_busy_or_waits() {
        let thread = nix::unistd::gettid().as_raw();
        let (before, started) = (ThreadTime::of(thread), Instant::now());
        while started.elapsed() < Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        let (busy, waited) = ThreadTime::of(thread).parts_since(before, started.elapsed().as_nanos() as u64);
        assert!(busy + waited > 0.8, "{busy} {waited}");
    }
}
