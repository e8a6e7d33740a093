//! All workers of a run, as the thread that directs them sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::board::{Board, Phase};
use super::pace::Pace;
use super::progress::Progress;
use super::target::Target;
use super::worker::{Load, Worker};
use crate::measure::client::ThreadTime;
use crate::measure::latency::Interval;

/// How fast sessions are opened, and by how many threads.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Threads of the client.
    pub threads: usize,
    /// Connections per second of all threads; 0 for as fast as they can.
    pub connect_rate: f64,
    /// Logins in progress at a time.
    pub at_once: u64,
    /// Whether to show how far the run is.
    pub progress: bool,
}

/// The workers.
pub struct Fleet {
    boards: Vec<Arc<Board>>,
    wakers: Vec<mio::Waker>,
    threads: Vec<JoinHandle<()>>,
    paces: Vec<Pace>,
    progress: Progress,
}

/// How often a waiting director looks.
const LOOK: Duration = Duration::from_millis(50);

impl Fleet {
    /// Starts the workers; `make` gives each its load.
    ///
    /// # Errors
    /// The kernel refuses a thread or a poll.
    pub fn start<L: Load>(target: &Arc<Target>, rate: Rate, make: impl Fn(usize) -> L) -> anyhow::Result<Self> {
        let epoch = Instant::now();
        let mut fleet = Self {
            boards: Vec::new(),
            wakers: Vec::new(),
            threads: Vec::new(),
            paces: Vec::new(),
            progress: Progress::new(rate.progress),
        };
        for index in 0..rate.threads {
            let board = Arc::new(Board::new());
            let pace = || Pace::new(index, rate.threads, rate.connect_rate, rate.at_once);
            let (worker, waker) = Worker::new(Arc::clone(target), Arc::clone(&board), pace(), make(index), epoch)
                .context("the client cannot wait for events")?;
            let thread = std::thread::Builder::new().name(format!("client-{index}")).spawn(move || worker.run())?;
            fleet.boards.push(board);
            fleet.wakers.push(waker);
            fleet.threads.push(thread);
            fleet.paces.push(pace());
        }
        Ok(fleet)
    }

    /// Sets how many sessions are to have been opened.
    pub fn want(&self, sessions: u64) {
        for (board, pace) in self.boards.iter().zip(&self.paces) {
            board.wanted.store(pace.share(sessions), Relaxed);
        }
        self.wake();
    }

    /// Sets what the workers do.
    pub fn set_phase(&self, phase: Phase) {
        self.boards.iter().for_each(|board| board.set_phase(phase));
        self.wake();
    }

    fn wake(&self) {
        for waker in &self.wakers {
            // A worker that cannot be woken looks by itself twice a second.
            let _ = waker.wake();
        }
    }

    /// Sessions bound since the start.
    pub fn bound(&self) -> u64 {
        self.sum(|board| &board.bound)
    }

    /// Makes those sessions vanish whose load says so.
    pub fn vanish(&self) {
        self.boards.iter().for_each(|board| board.vanish.store(true, Relaxed));
        self.wake();
    }

    /// Makes those that have vanished come back.
    pub fn come_back(&self) {
        self.boards.iter().for_each(|board| board.come_back.store(true, Relaxed));
        self.wake();
    }

    /// Sessions that have vanished, and that were resumed.
    pub fn vanished(&self) -> (u64, u64) {
        (self.sum(|board| &board.gone), self.sum(|board| &board.resumed))
    }

    fn sum(&self, value: impl Fn(&Board) -> &AtomicU64) -> u64 {
        self.boards.iter().map(|board| value(board).load(Relaxed)).sum()
    }

    /// Messages sent, and delivered, since the start.
    pub fn messages(&self) -> (u64, u64) {
        (self.sum(|board| &board.sent), self.sum(|board| &board.delivered))
    }

    /// Whether what the load needs before it can work has come about.
    pub fn is_ready(&self) -> bool {
        self.boards.iter().all(|board| board.ready.load(Relaxed))
    }

    /// Round trips of the latest login, after TLS.
    pub fn round_trips(&self) -> u64 {
        self.boards.iter().map(|board| board.round_trips.load(Relaxed)).max().unwrap_or(0)
    }

    /// Moves what was recorded since the last call into `interval`.
    pub fn take(&self, interval: &mut Interval) {
        self.boards.iter().for_each(|board| interval.take(&mut board.interval()));
    }

    /// What each thread has used until now.
    pub fn threads(&self) -> Vec<ThreadTime> {
        self.boards.iter().map(|board| ThreadTime::of(board.thread.load(Relaxed))).collect()
    }

    /// Fails if a worker has.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub fn check(&self) -> anyhow::Result<()> {
        for board in &self.boards {
            if let Some(error) = board.error() {
                bail!(error);
            }
            if board.ended.load(Relaxed) && board.phase() != Phase::Stop {
                bail!("a thread of the client has ended");
            }
        }
        Ok(())
    }

    /// Waits until so many sessions are bound; `each` is called meanwhile.
    ///
    /// # Errors
    /// A session failed, or none was bound for `patience`.
    pub fn wait_bound(&mut self, sessions: u64, patience: Duration, each: impl FnMut(&Self)) -> anyhow::Result<()> {
        self.wait_for("sessions are bound", sessions, patience, Self::bound, each)
    }

    /// Waits until `count` has come to `wanted`; `each` is called meanwhile.
    ///
    /// # Errors
    /// A session failed, or nothing was counted for `patience`: so many of `wanted` are `what`, and no more.
    pub fn wait_for(
        &mut self,
        what: &str,
        wanted: u64,
        patience: Duration,
        count: impl Fn(&Self) -> u64,
        mut each: impl FnMut(&Self),
    ) -> anyhow::Result<()> {
        let (mut counted, mut since) = (count(self), Instant::now());
        while counted < wanted {
            std::thread::sleep(Duration::from_millis(5));
            self.check()?;
            let now = count(self);
            if now > counted {
                (counted, since) = (now, Instant::now());
            }
            if since.elapsed() > patience {
                bail!("{counted} of {wanted} {what}, and no more for {} s", patience.as_secs());
            }
            self.show(&format!("{counted} of {wanted} {what}"));
            each(self);
        }
        Ok(())
    }

    /// Waits, calling `each` every moment.
    ///
    /// # Errors
    /// A session failed.
    pub fn wait(
        &mut self,
        duration: Duration,
        mut each: impl FnMut(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.wait_unless(duration, |fleet| each(fleet).map(|()| false))
    }

    /// Waits, calling `each` every moment, but no longer once it says so.
    ///
    /// # Errors
    /// A session failed.
    pub fn wait_unless(
        &mut self,
        duration: Duration,
        mut each: impl FnMut(&mut Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + duration;
        loop {
            self.check()?;
            let enough = each(self)?;
            let left = until.saturating_duration_since(Instant::now());
            if enough || left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// Shows how far the run is, where there is somebody to see it.
    pub fn show(&mut self, line: &str) {
        self.progress.show(line);
    }

    /// Closes all streams and waits for the workers.
    pub fn stop(&mut self) {
        self.set_phase(Phase::Stop);
        for thread in self.threads.drain(..) {
            // Its panic was printed when it happened.
            let _ = thread.join();
        }
        self.progress.clear();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop();
    }
}
