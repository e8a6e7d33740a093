//! Log lines that an outsider can provoke: a bucket per call site, and a count of what was withheld.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines of one call site, in the long run.
const INTERVAL: Duration = Duration::from_secs(6);
/// Lines of one call site at once, after a pause.
const BURST: u64 = 10;

/// Call sites that have withheld a line since the process started.
static WITHHOLDING: Mutex<Vec<&'static RateLimited>> = Mutex::new(Vec::new());

/// The bucket of one call site: ten lines at once, ten a minute in the long run. Shared by all threads, without a lock.
#[derive(Debug)]
pub struct RateLimited {
    site: &'static str,
    /// When the bucket will be full again, in nanoseconds of [`now`].
    full_at: AtomicU64,
    withheld: AtomicU64,
    listed: AtomicBool,
}

impl RateLimited {
    /// A full bucket; the text says which line it is for.
    pub const fn new(site: &'static str) -> Self {
        RateLimited { site, full_at: AtomicU64::new(0), withheld: AtomicU64::new(0), listed: AtomicBool::new(false) }
    }

    /// Whether a line may be written now: then for how many it stands, itself and those withheld before it.
    pub fn stands_for(&'static self) -> Option<u64> {
        let passed = self.pass(now());
        if passed.is_none() && !self.listed.swap(true, Relaxed) {
            WITHHOLDING.lock().unwrap_or_else(PoisonError::into_inner).push(self);
        }
        passed
    }

    fn pass(&self, now: u64) -> Option<u64> {
        let interval = INTERVAL.as_nanos() as u64;
        let taken = self.full_at.fetch_update(Relaxed, Relaxed, |full_at| {
            let full_at = full_at.max(now) + interval;
            (full_at - now <= interval * BURST).then_some(full_at)
        });
        match taken {
            Ok(_) => Some(1 + self.withheld.swap(0, Relaxed)),
            Err(_) => {
                self.withheld.fetch_add(1, Relaxed);
                None
            }
        }
    }
}

/// Nanoseconds since the first call.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Writes one line for each call site that withheld lines for which no later one stands. To be called once in a while,
/// and at the end.
pub fn report_withheld() {
    let sites = WITHHOLDING.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for site in sites {
        let withheld = site.withheld.swap(0, Relaxed);
        if withheld > 0 {
            tracing::info!(target: "limits", withheld, line = site.site, "lines were withheld");
        }
    }
}

/// Writes a log line that an outsider can provoke, unless its call site has written too many lately. The line says with
/// `stands_for` for how many it stands. Level and target, then fields and text as `tracing` takes them, the text
/// last; with an [`About`](crate::logging::About) in the third place the line is about a connection:
/// `limited_event!(WARN, "login", about; mechanism, "login failed")`.
#[macro_export]
macro_rules! limited_event {
    ($level:ident, $target:literal, $about:expr; $($rest:tt)+) => {
        $crate::limited_event!(@pass $level, $target, stands_for =>
            $crate::session_event!($level, $target, $about, stands_for, $($rest)+))
    };
    ($level:ident, $target:literal, $($rest:tt)+) => {
        $crate::limited_event!(@pass $level, $target, stands_for =>
            ::tracing::event!(target: $target, ::tracing::Level::$level, stands_for, $($rest)+))
    };
    (@pass $level:ident, $target:literal, $stands_for:ident => $event:expr) => {
        if ::tracing::enabled!(target: $target, ::tracing::Level::$level) {
            static SITE: $crate::logging::RateLimited =
                $crate::logging::RateLimited::new(concat!(file!(), ":", line!()));
            if let Some($stands_for) = SITE.stands_for() {
                $event;
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::output::tests::lines_of;
    use crate::logging::{About, Format, Levels};

    #[test]
    fn a_burst_passes_then_a_line_per_interval_that_stands_for_the_rest() {
        let second = 1_000_000_000;
        let bucket = RateLimited::new("here");
        assert!((0..BURST).all(|_| bucket.pass(second) == Some(1)));
        assert!((0..5).all(|_| bucket.pass(second).is_none()));
        assert_eq!(bucket.pass(6 * second), None);
        assert_eq!(bucket.pass(7 * second), Some(7));
        assert_eq!(bucket.pass(7 * second), None);
        let later = 7 * second + INTERVAL.as_nanos() as u64 * BURST;
        assert_eq!(bucket.pass(later), Some(2));
        assert!((1..BURST).all(|_| bucket.pass(later) == Some(1)));
        assert_eq!(bucket.pass(later), None);
    }

    #[test]
    fn lines_say_for_how_many_they_stand_and_what_is_left_over_is_reported() {
        let about = About { shard: 0, connection: 3, address: None, account: None };
        let lines = lines_of(Format::Human, Levels::default(), || {
            for _ in 0..BURST + 4 {
                limited_event!(WARN, "limits", about; rate = "10/min", "too many connections");
            }
            report_withheld();
            report_withheld();
        });
        let written: Vec<_> = lines.lines().collect();
        assert_eq!(written.len() as u64, BURST + 1, "{lines}");
        assert!(written[0].ends_with("too many connections shard=0 connection=3 stands_for=1 rate=\"10/min\""));
        assert!(written[BURST as usize].contains("lines were withheld withheld=4 line=\""), "{lines}");
    }

    #[test]
    fn a_line_that_is_off_counts_for_nothing() {
        let lines = lines_of(Format::Human, "off".parse().unwrap(), || {
            limited_event!(WARN, "limits", count = 1, "never seen");
        });
        assert_eq!(lines, "");
    }
}
