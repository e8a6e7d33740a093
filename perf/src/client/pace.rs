//! When a worker may open its next session, and the alarm that wakes it in time.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// How fast one worker opens sessions, and which ones.
#[derive(Debug)]
pub struct Pace {
    worker: u64,
    workers: u64,
    interval_ns: u64,
    at_once: u64,
    next_ns: u64,
    unsettled: u64,
    /// Sessions opened since the start.
    pub opened: u64,
}

impl Pace {
    /// The pace of worker number `worker` of `workers`, if all together open `rate` sessions a second (0: as fast as
    /// they can) and log in `at_once` at a time.
    pub fn new(worker: usize, workers: usize, rate: f64, at_once: u64) -> Self {
        let interval_ns = if rate > 0.0 { (1e9 * workers as f64 / rate) as u64 } else { 0 };
        let at_once = at_once.div_ceil(workers as u64).max(1);
        Self {
            worker: worker as u64,
            workers: workers as u64,
            interval_ns,
            at_once,
            next_ns: 0,
            unsettled: 0,
            opened: 0,
        }
    }

    /// How many of the first `total` sessions are this worker's. Two that talk to each other have the same worker.
    pub fn share(&self, total: u64) -> u64 {
        let pairs = total / 2;
        let own = (pairs + self.workers - 1 - self.worker) / self.workers;
        2 * own + u64::from(total % 2 == 1 && pairs % self.workers == self.worker)
    }

    /// Whether a session may be opened now; otherwise when, or `None` if another must settle first.
    pub fn may_open(&self, now_ns: u64) -> Result<(), Option<u64>> {
        if self.unsettled >= self.at_once {
            Err(None)
        } else if now_ns < self.next_ns {
            Err(Some(self.next_ns))
        } else {
            Ok(())
        }
    }

    /// Counts a session as opened and gives its number among all of the run.
    pub fn open(&mut self, now_ns: u64) -> u64 {
        let own = self.opened;
        self.opened += 1;
        self.reopen(now_ns);
        ((own / 2) * self.workers + self.worker) * 2 + own % 2
    }

    /// Counts a session as opened once more.
    pub fn reopen(&mut self, now_ns: u64) {
        self.unsettled += 1;
        // Who fell behind catches up, but not by more than a moment's worth.
        self.next_ns = (self.next_ns + self.interval_ns).max(now_ns.saturating_sub(50_000_000));
    }

    /// A session is bound, or has failed.
    pub fn settled(&mut self) {
        self.unsettled = self.unsettled.saturating_sub(1);
    }
}

/// A timer of the kernel: the poll itself knows only milliseconds.
#[derive(Debug)]
pub struct Alarm {
    timer: TimerFd,
    armed: bool,
}

impl Alarm {
    /// An alarm that `registry` tells by `token`.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        registry.register(&mut SourceFd(&timer.as_fd().as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, armed: false })
    }

    /// Rings once after this many nanoseconds, or not at all.
    pub fn set(&mut self, after_ns: Option<u64>) -> io::Result<()> {
        match after_ns {
            Some(after_ns) => {
                let after = Expiration::OneShot(Duration::from_nanos(after_ns.max(1)).into());
                self.timer.set(after, TimerSetTimeFlags::empty())?;
                self.armed = true;
            }
            None if self.armed => {
                self.timer.unset()?;
                self.armed = false;
            }
            None => {}
        }
        Ok(())
    }

    /// It has rung.
    pub fn ring(&mut self) {
        let mut count = [0; 8];
        // Only to make it ring again; that it already was read or set anew is no matter.
        let _ = nix::unistd::read(&self.timer, &mut count);
        self.armed = false;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn workers_share_all_sessions_and_keep_pairs_together() {
        for (workers, total) in [(1, 7), (2, 10), (3, 11), (4, 2)] {
            let mut seen = BTreeSet::new();
            for worker in 0..workers {
                let mut pace = Pace::new(worker, workers, 0.0, 1_000);
                let own: Vec<_> = (0..pace.share(total)).map(|_| pace.open(0)).collect();
                for pair in own.chunks(2).filter(|pair| pair.len() == 2) {
                    assert_eq!(pair[0] ^ 1, pair[1]);
                }
                seen.extend(own);
            }
            assert_eq!(seen, (0..total).collect(), "{workers} workers, {total} sessions");
        }
    }

    #[test]
    fn sessions_are_opened_at_the_rate_and_not_too_many_at_once() {
        let mut pace = Pace::new(0, 2, 1_000.0, 4);
        assert_eq!(pace.may_open(1_000_000_000), Ok(()));
        for _ in 0..2 {
            pace.open(1_000_000_000);
        }
        assert_eq!(pace.may_open(2_000_000_000), Err(None));
        pace.settled();
        assert_eq!(pace.may_open(2_000_000_000), Ok(()));
        pace.open(0);
        pace.settled();
        assert!(matches!(pace.may_open(0), Err(Some(_))));
    }
}
