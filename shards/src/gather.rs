//! When a shard waits a moment so that more comes together.
//!
//! A turn costs the same whether it deals with one event or with twenty: system calls, wake-ups, cold caches. A shard
//! that is busy but not saturated would deal with its events one by one. As network cards do with their interrupts, it
//! therefore pauses between two turns when these follow each other closely; where pausing brings nothing together, as
//! between two peers that wait for each other, it soon stops doing so.

use std::time::Duration;

/// Events of one turn from which on there is nothing to be gained.
const ENOUGH: u64 = 64;
/// Turns follow each other closely if there are fewer than so many pauses between them.
const CLOSELY: u64 = 4;
/// Pauses that are judged together, and how many events they must have brought for the next ones to be worth it.
const TRIAL_PAUSES: u32 = 32;
const TRIAL_EVENTS: u64 = 80;
/// Turns without a pause after a trial that failed.
const REST_TURNS: u32 = 512;

/// The decision, for one shard. Times are in microseconds of any clock that does not run backwards.
#[derive(Debug)]
pub(crate) struct Gatherer {
    pause: Duration,
    last_us: u64,
    paused: bool,
    /// Pauses of the present trial, and what they have brought.
    pauses: u32,
    events: u64,
    rest: u32,
}

impl Gatherer {
    /// With pauses of this length; zero for none.
    pub fn new(pause: Duration) -> Gatherer {
        Gatherer { pause, last_us: 0, paused: false, pauses: 0, events: 0, rest: 0 }
    }

    /// A turn that dealt with so many events has ended: how long to pause, if at all.
    pub fn turn_ended(&mut self, now_us: u64, events: u64) -> Option<Duration> {
        let pause_us = self.pause.as_micros() as u64;
        let since_us = now_us.saturating_sub(self.last_us);
        self.last_us = now_us;
        if std::mem::take(&mut self.paused) {
            self.pauses += 1;
            self.events += events;
            if self.pauses == TRIAL_PAUSES {
                self.rest = if self.events < TRIAL_EVENTS { REST_TURNS } else { 0 };
                (self.pauses, self.events) = (0, 0);
            }
        }
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        self.paused = events > 0 && events < ENOUGH && since_us < CLOSELY * pause_us;
        self.paused.then_some(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_micros(50);

    #[test]
    fn an_idle_shard_never_waits() {
        let mut gatherer = Gatherer::new(PAUSE);
        assert!((1..100).all(|turn| gatherer.turn_ended(turn * 1_000, 1).is_none()));
    }

    #[test]
    fn a_busy_one_waits_as_long_as_it_gathers_something() {
        let mut gatherer = Gatherer::new(PAUSE);
        gatherer.turn_ended(1_000, 1);
        assert!((1..100).all(|turn| gatherer.turn_ended(1_000 + turn * 80, 3) == Some(PAUSE)));
        assert_eq!(gatherer.turn_ended(9_100, 70), None, "a large turn needs no more");
    }

    #[test]
    fn two_peers_who_wait_for_each_other_are_not_slowed_down() {
        let mut gatherer = Gatherer::new(PAUSE);
        // On two shards each turn sees what one has read and what the other has sent.
        let pauses = (1..1_000).filter(|turn| gatherer.turn_ended(turn * 80, 2).is_some()).count();
        assert!(pauses <= 2 * TRIAL_PAUSES as usize, "{pauses}");
    }

    #[test]
    fn it_can_be_switched_off() {
        let mut gatherer = Gatherer::new(Duration::ZERO);
        assert!((1..100).all(|turn| gatherer.turn_ended(turn, 2).is_none()));
    }
}
