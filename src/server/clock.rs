//! How far the ids of archived messages have come. They are the time at which they are issued, and none may be issued
//! twice, although somebody may set back the system's clock between two runs of the server. So the time is noted in the
//! store now and then; a server whose clock is behind the note issues its first ids behind it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rondel_storage::{LoadError, Store, meta};

/// From one note to the next.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// How far ids can have come behind the last note, with some time for the note to be written.
const MARGIN_US: u64 = 61_000_000;

/// The note, of a server that is running.
pub struct Clock {
    noted_us: u64,
    noted: Instant,
}

impl Clock {
    /// Takes over where the last run has stopped. Answers as well from which time on ids may be issued; zero, as nearly
    /// always, for the system's own time.
    pub fn start(store: &Store) -> Result<(Clock, u64), LoadError> {
        let (noted_us, now_us) = (meta::clock(store)?, now_us());
        let not_before_us = not_before_us(noted_us, now_us);
        if not_before_us > 0 {
            let behind_s = noted_us.unwrap_or_default().saturating_sub(now_us) / 1_000_000;
            tracing::warn!(
                target: "server",
                behind_s,
                "the clock has been set back; messages are archived with the time up to which ids were issued"
            );
        }
        let clock = Clock { noted_us: now_us.max(not_before_us), noted: Instant::now() };
        meta::set_clock(store, clock.noted_us)?;
        Ok((clock, not_before_us))
    }

    /// Notes how far ids may have come by now. What fails is tried again the next time.
    pub fn note(&mut self, store: &Store) {
        let us = reached_us(self.noted_us, self.noted.elapsed(), now_us());
        match meta::set_clock(store, us) {
            Ok(()) => *self = Clock { noted_us: us, noted: Instant::now() },
            Err(error) => tracing::warn!(target: "server", "the time cannot be noted: {error}"),
        }
    }
}

/// From which time on ids may be issued, if not from now on.
fn not_before_us(noted_us: Option<u64>, now_us: u64) -> u64 {
    match noted_us {
        Some(noted_us) if now_us <= noted_us => noted_us.saturating_add(MARGIN_US),
        _ => 0,
    }
}

/// How far ids may have come. They are in rising order: where the clock stays behind them each is one microsecond more
/// than the one before, so that they are no faster than time.
fn reached_us(noted_us: u64, since: Duration, now_us: u64) -> u64 {
    noted_us.saturating_add(u64::try_from(since.as_micros()).unwrap_or(u64::MAX)).max(now_us)
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_storage::Options;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_clock_that_was_set_back_does_not_count() {
        for (noted, now, from) in [
            (None, 100, 0),
            (Some(100), 101, 0),
            (Some(100), 100, 161),
            (Some(100), 40, 161),
            // An hour, and a day.
            (Some(100 + 3600), 100, 161 + 3600),
            (Some(100 + 86_400), 100, 161 + 86_400),
        ] {
            let noted = noted.map(|noted: u64| noted * SECOND);
            assert_eq!(not_before_us(noted, now * SECOND), from * SECOND, "{noted:?} {now}");
        }
        assert_eq!(not_before_us(Some(u64::MAX), 0), u64::MAX);
    }

    #[test]
    fn the_note_never_goes_back() {
        let minute = Duration::from_secs(60);
        assert_eq!(reached_us(100 * SECOND, minute, 160 * SECOND), 160 * SECOND);
        // Set forward, and set back.
        assert_eq!(reached_us(100 * SECOND, minute, 3760 * SECOND), 3760 * SECOND);
        assert_eq!(reached_us(100 * SECOND, minute, 20 * SECOND), 160 * SECOND);
    }

    #[test]
    fn each_run_begins_behind_the_last_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        let (mut clock, from) = Clock::start(&store).unwrap();
        assert_eq!(from, 0);
        clock.note(&store);
        let noted = meta::clock(&store).unwrap().unwrap();
        assert!(noted <= now_us() && noted > now_us() - 3600 * SECOND);
        // The clock of the last run was a day ahead.
        let ahead = now_us() + 86_400 * SECOND;
        meta::set_clock(&store, ahead).unwrap();
        let (mut clock, from) = Clock::start(&store).unwrap();
        assert_eq!(from, ahead + MARGIN_US);
        clock.note(&store);
        let again = Clock::start(&store).unwrap().1;
        assert!(again > from + MARGIN_US - SECOND, "{again}");
    }
}
