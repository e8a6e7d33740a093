//! A hierarchical timer wheel: constant time to insert, nothing to do while nothing is due.

/// Milliseconds of one slot of the finest level.
pub const TICK_MS: u64 = 50;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 4;

/// Timers with a payload `T`. Times are milliseconds of a clock that starts at zero and does not run backwards. A
/// timer fires at the end of its slot: up to [`TICK_MS`] late, never early. There is no way to take one out: who
/// loses interest ignores it when it fires. Four levels of 64 slots reach nine days; what lies farther is clamped.
pub struct Wheel<T> {
    levels: [Level<T>; LEVELS],
    /// The tick up to which all slots have been emptied.
    now: u64,
    len: usize,
}

struct Level<T> {
    slots: [Vec<(u64, T)>; SLOTS],
    occupied: u64,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Wheel<T> {
    /// An empty wheel at time zero.
    pub fn new() -> Self {
        let level = |_| Level { slots: std::array::from_fn(|_| Vec::new()), occupied: 0 };
        Wheel { levels: std::array::from_fn(level), now: 0, len: 0 }
    }

    /// Sets a timer for `at_ms`.
    pub fn insert(&mut self, at_ms: u64, payload: T) {
        let tick = at_ms.div_ceil(TICK_MS).max(self.now + 1);
        self.place(tick, payload);
        self.len += 1;
    }

    /// Number of timers set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When [`Wheel::advance`] has something to do next, in milliseconds; not later than the earliest timer. `None`
    /// when no timer is set.
    pub fn next_ms(&self) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        let next = |level: usize| {
            let shift = SLOT_BITS * level as u32;
            let current = self.now >> shift;
            let occupied = self.levels[level].occupied.rotate_right((current as u32 + 1) % SLOTS as u32);
            (occupied != 0).then(|| (current + 1 + u64::from(occupied.trailing_zeros())) << shift)
        };
        (0..LEVELS).filter_map(next).min().map(|tick| tick * TICK_MS)
    }

    /// Moves time on to `now_ms` and appends what has fired to `fired`, in the order of their slots.
    pub fn advance(&mut self, now_ms: u64, fired: &mut Vec<T>) {
        let target = now_ms / TICK_MS;
        while self.now < target {
            // Jump over ticks at which nothing can happen.
            match self.next_ms() {
                Some(next_ms) if next_ms / TICK_MS <= target => self.now = next_ms / TICK_MS,
                _ => {
                    self.now = target;
                    return;
                }
            }
            for level in (1..LEVELS).rev() {
                let shift = SLOT_BITS * level as u32;
                if self.now & ((1 << shift) - 1) == 0 {
                    let slot = (self.now >> shift) as usize % SLOTS;
                    for (tick, payload) in self.take_slot(level, slot) {
                        self.settle(tick, payload, fired);
                    }
                }
            }
            let slot = self.now as usize % SLOTS;
            for (tick, payload) in self.take_slot(0, slot) {
                self.settle(tick, payload, fired);
            }
        }
    }

    /// Fires what is due, and files the rest anew.
    fn settle(&mut self, tick: u64, payload: T, fired: &mut Vec<T>) {
        if tick <= self.now {
            self.len -= 1;
            fired.push(payload);
        } else {
            self.place(tick, payload);
        }
    }

    fn take_slot(&mut self, level: usize, slot: usize) -> Vec<(u64, T)> {
        self.levels[level].occupied &= !(1 << slot);
        std::mem::take(&mut self.levels[level].slots[slot])
    }

    fn place(&mut self, tick: u64, payload: T) {
        let distance = tick - self.now;
        let level = (0..LEVELS).find(|&level| distance < 1 << (SLOT_BITS * (level as u32 + 1)));
        let (level, at) = match level {
            Some(level) => (level, tick),
            None => (LEVELS - 1, self.now + (1 << (SLOT_BITS * LEVELS as u32)) - 1),
        };
        let slot = (at >> (SLOT_BITS * level as u32)) as usize % SLOTS;
        self.levels[level].slots[slot].push((tick, payload));
        self.levels[level].occupied |= 1 << slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn far_timers_fire_too() {
        let mut wheel = Wheel::new();
        let day_ms = 24 * 3600 * 1000;
        wheel.insert(30 * day_ms, "month");
        wheel.insert(3, "soon");
        let mut fired = Vec::new();
        wheel.advance(30 * day_ms - 1, &mut fired);
        assert_eq!(fired, ["soon"]);
        wheel.advance(30 * day_ms + TICK_MS, &mut fired);
        assert_eq!(fired, ["soon", "month"]);
        assert!(wheel.is_empty());
    }

    proptest! {
        #[test]
        fn everything_fires_once_in_time(
            timers in prop::collection::vec(0u64..40_000_000, 0..200),
            steps in prop::collection::vec(1u64..3_000_000, 1..60),
        ) {
            let mut wheel = Wheel::new();
            let mut open: Vec<(u64, usize)> = Vec::new();
            let mut now_ms = 0;
            let mut timers = timers.into_iter().enumerate();
            for step in steps {
                for (index, delay) in timers.by_ref().take(5) {
                    wheel.insert(now_ms + delay, (now_ms + delay, index));
                    open.push((now_ms + delay, index));
                }
                if let (Some(next), Some(earliest)) = (wheel.next_ms(), open.iter().map(|t| t.0).min()) {
                    prop_assert!(next <= earliest.max(now_ms) + 2 * TICK_MS);
                }
                now_ms += step;
                let mut fired = Vec::new();
                wheel.advance(now_ms, &mut fired);
                for timer in &fired {
                    prop_assert!(timer.0 <= now_ms, "early");
                    let at = open.iter().position(|t| t == timer);
                    prop_assert!(at.is_some(), "fired twice");
                    open.remove(at.unwrap());
                }
                prop_assert!(open.iter().all(|t| t.0 + 2 * TICK_MS >= now_ms || t.0 > now_ms), "late");
                prop_assert_eq!(wheel.len(), open.len());
            }
        }
    }
}
