//! One line on standard error that says how far a run is, where there is somebody to see it.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How long a line stands at least.
const STANDS: Duration = Duration::from_millis(100);

/// The line.
#[derive(Debug)]
pub struct Progress {
    wanted: bool,
    shown: Option<Instant>,
    started: Instant,
}

impl Progress {
    /// Nothing is shown yet; nothing ever is unless standard error is a terminal or it is `wanted`.
    pub fn new(wanted: bool) -> Self {
        Self { wanted: wanted || io::stderr().is_terminal(), shown: None, started: Instant::now() }
    }

    /// Shows a line in place of the last one, unless that is too new.
    pub fn show(&mut self, line: &str) {
        if self.wanted && self.shown.is_none_or(|shown| shown.elapsed() > STANDS) {
            self.shown = Some(Instant::now());
            // Who cannot be shown anything is not to lose the run.
            let _ = write!(io::stderr(), "\r\x1b[K{:6.1} s  {line}", self.started.elapsed().as_secs_f64());
        }
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
