//! What a worker and the thread that directs it tell each other, without waiting for one another.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::measure::latency::Interval;

/// What the workers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    /// Connect and log in.
    Connect,
    /// Work, without recording.
    WarmUp,
    /// Work and record.
    Measure,
    /// Send nothing new, take what is on its way.
    Drain,
    /// Close all streams and end.
    Stop,
}

/// Shared between one worker and its director.
#[derive(Debug)]
pub struct Board {
    phase: AtomicU8,
    /// Sessions that the worker is to have opened since its start.
    pub wanted: AtomicU64,
    /// Sessions bound since the start.
    pub bound: AtomicU64,
    /// Those sessions whose load says so are to vanish.
    pub vanish: AtomicBool,
    /// Those that have vanished are to come back.
    pub come_back: AtomicBool,
    /// Sessions that have vanished, and that were resumed, since the start.
    pub gone: AtomicU64,
    /// See `gone`.
    pub resumed: AtomicU64,
    /// Messages or chunks that were sent, and that arrived.
    pub sent: AtomicU64,
    /// See `sent`.
    pub delivered: AtomicU64,
    /// What the load needs before it can work has come about.
    pub ready: AtomicBool,
    /// What clients send and wait for after TLS, of the latest login.
    pub round_trips: AtomicU64,
    /// The worker's thread.
    pub thread: AtomicI32,
    /// The thread has ended.
    pub ended: AtomicBool,
    interval: Mutex<Interval>,
    error: Mutex<Option<String>>,
}

impl Board {
    /// A board that says [`Phase::Connect`] and wants nothing yet.
    pub fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Connect as u8),
            wanted: AtomicU64::new(0),
            bound: AtomicU64::new(0),
            vanish: AtomicBool::new(false),
            come_back: AtomicBool::new(false),
            gone: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            round_trips: AtomicU64::new(0),
            thread: AtomicI32::new(0),
            ended: AtomicBool::new(false),
            interval: Mutex::new(Interval::new()),
            error: Mutex::new(None),
        }
    }

    /// What is to be done.
    pub fn phase(&self) -> Phase {
        const PHASES: [Phase; 5] = [Phase::Connect, Phase::WarmUp, Phase::Measure, Phase::Drain, Phase::Stop];
        PHASES[usize::from(self.phase.load(Ordering::Acquire)).min(4)]
    }

    /// Says what is to be done.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// What was recorded and not taken yet.
    pub fn interval(&self) -> MutexGuard<'_, Interval> {
        self.interval.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first thing that went wrong.
    pub fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells that something went wrong; only the first is kept.
    pub fn fail(&self, error: String) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}
