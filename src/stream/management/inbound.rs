//! What a client has sent: how many stanzas, and up to which of them everything that they have led to is on disk.
//!
//! The `h` of an acknowledgement covers no stanza that a crash could still undo. A stanza that is stored somewhere has
//! a ticket out for every place it is stored in; a ticket comes back when that place has synced it.

use std::collections::VecDeque;

/// What bounds the acknowledgements of one session.
#[derive(Clone, Copy, Debug)]
pub struct AcknowledgementLimits {
    /// Stanzas of one session that may hold tickets. When so many do, nothing more is read from it.
    pub outstanding_max: usize,
    /// After so many stanzas that are safe the client is told without having asked (XEP-0198 §4), so that what it keeps
    /// does not grow.
    pub unasked_after: u32,
}

/// The stanzas that a session has sent. Owns next to no memory while no ticket is out.
#[derive(Debug, Default)]
pub struct Inbound {
    /// The number of the last stanza, modulo 2³².
    received: u32,
    /// The `h` that the client was told last.
    told: u32,
    /// The number of the last stanza before a request that could not be answered in full.
    asked: Option<u32>,
    /// Stanzas with tickets out, the oldest first.
    outstanding: VecDeque<Outstanding>,
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    sequence: u32,
    tickets: u32,
}

/// Entries whose room is kept when none is needed: what a conversation needs again and again.
const ENTRIES_KEPT: usize = 8;

impl Inbound {
    /// Counts a stanza (a message, a presence or an iq; nothing else counts) and answers its number.
    pub fn received(&mut self) -> u32 {
        self.received = self.received.wrapping_add(1);
        self.received
    }

    /// One more ticket is out for a stanza: the last one, or one that has a ticket out already. Answers whether more
    /// may be read from the session; `false` once it holds as much as it may.
    #[must_use]
    pub fn hold(&mut self, sequence: u32, limits: &AcknowledgementLimits) -> bool {
        match self.place(sequence) {
            Ok(place) => {
                if let Some(held) = self.outstanding.get_mut(place) {
                    held.tickets = held.tickets.saturating_add(1);
                }
            }
            Err(place) => {
                debug_assert_eq!(sequence, self.received, "a stanza that was acknowledged cannot be held any more");
                self.outstanding.insert(place, Outstanding { sequence, tickets: 1 });
            }
        }
        self.may_read(limits)
    }

    /// A ticket has come back, whether what it stood for is on disk or has failed and was answered with an error.
    /// Answers whether it was out.
    pub fn release(&mut self, sequence: u32) -> bool {
        let Ok(place) = self.place(sequence) else { return false };
        let Some(held) = self.outstanding.get_mut(place) else { return false };
        held.tickets -= 1;
        if held.tickets == 0 {
            self.outstanding.remove(place);
            if self.outstanding.is_empty() && self.outstanding.capacity() > ENTRIES_KEPT {
                self.outstanding = VecDeque::new();
            }
        }
        true
    }

    /// Whether more may be read from the session.
    pub fn may_read(&self, limits: &AcknowledgementLimits) -> bool {
        self.outstanding.len() < limits.outstanding_max
    }

    /// The number of the last stanza up to which no ticket is out (XEP-0198 §4, *handled*).
    pub fn h(&self) -> u32 {
        self.outstanding.front().map_or(self.received, |oldest| oldest.sequence.wrapping_sub(1))
    }

    /// The client has sent `<r/>`: the `h` of the `<a/>` that it gets at once. If that does not cover all that came
    /// before, [`Inbound::due`] says when it does.
    pub fn requested(&mut self) -> u32 {
        let h = self.h();
        self.asked = (h != self.received).then_some(self.received);
        self.told = h;
        h
    }

    /// The `h` of an `<a/>` that is due without a new request: once all is safe that was before the last request, or
    /// after many stanzas. To be asked when a turn ends, not for every stanza; the answer has to be sent.
    pub fn due(&mut self, limits: &AcknowledgementLimits) -> Option<u32> {
        let h = self.h();
        let caught_up = self.asked.is_some_and(|asked| !is_before(h, asked));
        if !caught_up && h.wrapping_sub(self.told) < limits.unasked_after.max(1) {
            return None;
        }
        if caught_up {
            self.asked = None;
        }
        self.told = h;
        Some(h)
    }

    /// The `h` for `<resumed/>` (XEP-0198 §5), or `None` while tickets are out: the client sends again whatever is not
    /// covered, so that what is on its way to the disk would happen twice. The answer has to wait for it.
    pub fn resumed(&mut self) -> Option<u32> {
        if !self.outstanding.is_empty() {
            return None;
        }
        self.asked = None;
        self.told = self.received;
        Some(self.received)
    }

    /// Where a stanza stands among those with tickets, or would stand.
    fn place(&self, sequence: u32) -> Result<usize, usize> {
        self.outstanding.binary_search_by(|held| match held.sequence {
            found if found == sequence => std::cmp::Ordering::Equal,
            found if is_before(found, sequence) => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        })
    }
}

/// Whether one number comes before another, modulo 2³²; both are less than half of that apart.
fn is_before(one: u32, other: u32) -> bool {
    one != other && other.wrapping_sub(one) < 1 << 31
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: AcknowledgementLimits = AcknowledgementLimits { outstanding_max: 3, unasked_after: 10 };

    #[test]
    fn nothing_is_acknowledged_before_it_is_safe() {
        let mut inbound = Inbound::default();
        assert_eq!(inbound.requested(), 0);
        let first = inbound.received();
        assert_eq!((first, inbound.h()), (1, 1));
        let second = inbound.received();
        assert!(inbound.hold(second, &LIMITS) && inbound.hold(second, &LIMITS));
        let third = inbound.received();
        assert_eq!(inbound.h(), 1);
        assert!(inbound.hold(third, &LIMITS));
        inbound.received();
        assert!(inbound.release(third));
        assert_eq!(inbound.h(), 1, "the second is older");
        assert!(inbound.release(second));
        assert_eq!(inbound.h(), 1, "it has another ticket");
        assert!(inbound.release(second));
        assert_eq!(inbound.h(), 4);
        assert!(!inbound.release(second));
    }

    #[test]
    fn who_has_asked_is_told_when_all_is_safe_and_once() {
        let mut inbound = Inbound::default();
        let first = inbound.received();
        let second = inbound.received();
        assert!(inbound.hold(second, &LIMITS));
        assert_eq!(inbound.requested(), first);
        assert_eq!(inbound.due(&LIMITS), None);
        let third = inbound.received();
        assert!(inbound.hold(third, &LIMITS));
        inbound.release(second);
        assert_eq!(inbound.due(&LIMITS), Some(second));
        assert_eq!(inbound.due(&LIMITS), None);
        inbound.release(third);
        assert_eq!(inbound.due(&LIMITS), None, "nobody has asked for the third");
        assert_eq!(inbound.requested(), third);
        assert_eq!(inbound.due(&LIMITS), None);
    }

    #[test]
    fn who_never_asks_is_told_now_and_then() {
        let mut inbound = Inbound::default();
        let mut told = Vec::new();
        for _ in 0..35 {
            inbound.received();
            told.extend(inbound.due(&LIMITS));
        }
        assert_eq!(told, [10, 20, 30]);
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let mut inbound = Inbound::default();
        for more in [true, true, false] {
            let sequence = inbound.received();
            assert_eq!(inbound.hold(sequence, &LIMITS), more);
        }
        assert!(!inbound.hold(3, &LIMITS));
        inbound.release(2);
        assert!(inbound.may_read(&LIMITS));
    }

    #[test]
    fn a_session_is_resumed_with_all_that_it_has_received() {
        let mut inbound = Inbound::default();
        let sequence = inbound.received();
        assert!(inbound.hold(sequence, &LIMITS));
        assert_eq!(inbound.requested(), 0);
        assert_eq!(inbound.resumed(), None);
        inbound.release(sequence);
        assert_eq!(inbound.resumed(), Some(sequence));
        assert_eq!(inbound.due(&LIMITS), None);
    }

    #[test]
    fn an_idle_session_owns_next_to_nothing() {
        let mut inbound = Inbound::default();
        assert!(size_of::<Inbound>() <= 48);
        let limits = AcknowledgementLimits { outstanding_max: 1000, ..LIMITS };
        for _ in 0..500 {
            let sequence = inbound.received();
            assert!(inbound.hold(sequence, &limits));
        }
        for sequence in 1..=500 {
            inbound.release(sequence);
        }
        assert!(inbound.outstanding.capacity() <= ENTRIES_KEPT);
    }

    /// What is done to the counter: the model keeps every stanza with the count of its tickets.
    #[derive(Clone, Debug)]
    enum Step {
        Receive { tickets: u32 },
        HoldAgain(prop::sample::Index),
        Release(prop::sample::Index),
        Request,
        Due,
    }

    fn step() -> impl Strategy<Value = Step> {
        let index = any::<prop::sample::Index>();
        prop_oneof![
            4 => (0..3u32).prop_map(|tickets| Step::Receive { tickets }),
            1 => index.prop_map(Step::HoldAgain),
            5 => any::<prop::sample::Index>().prop_map(Step::Release),
            1 => Just(Step::Request),
            2 => Just(Step::Due),
        ]
    }

    proptest! {
        #[test]
        fn the_counter_does_what_a_list_of_all_stanzas_does(
            start in prop_oneof![Just(0), Just(u32::MAX), Just(u32::MAX - 20), Just(1 << 31), any::<u32>()],
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut inbound = Inbound { received: start, told: start, ..Inbound::default() };
            let mut tickets: Vec<u32> = Vec::new();
            let number = |index: usize| start.wrapping_add(index as u32 + 1);
            let (mut told, mut asked) = (0, None);
            for step in steps {
                let outstanding: Vec<usize> = (0..tickets.len()).filter(|&index| tickets[index] > 0).collect();
                match step {
                    Step::Receive { tickets: count } => {
                        let sequence = inbound.received();
                        prop_assert_eq!(sequence, number(tickets.len()));
                        tickets.push(count);
                        let entries = outstanding.len() + usize::from(count > 0);
                        for _ in 0..count {
                            prop_assert_eq!(inbound.hold(sequence, &LIMITS), entries < LIMITS.outstanding_max);
                        }
                    }
                    Step::HoldAgain(index) if !outstanding.is_empty() => {
                        let index = *index.get(&outstanding);
                        tickets[index] += 1;
                        prop_assert_eq!(inbound.hold(number(index), &LIMITS), outstanding.len() < 3);
                    }
                    Step::Release(index) if !outstanding.is_empty() => {
                        let index = *index.get(&outstanding);
                        tickets[index] -= 1;
                        prop_assert!(inbound.release(number(index)));
                    }
                    Step::HoldAgain(_) | Step::Release(_) => prop_assert!(!inbound.release(start)),
                    Step::Request => {
                        let handled = tickets.iter().take_while(|&&count| count == 0).count();
                        prop_assert_eq!(inbound.requested(), start.wrapping_add(handled as u32));
                        told = handled;
                        asked = (handled < tickets.len()).then_some(tickets.len());
                    }
                    Step::Due => {
                        let handled = tickets.iter().take_while(|&&count| count == 0).count();
                        let caught_up = asked.is_some_and(|asked| handled >= asked);
                        let expected = caught_up || handled - told >= 10;
                        let answer = expected.then_some(start.wrapping_add(handled as u32));
                        prop_assert_eq!(inbound.due(&LIMITS), answer);
                        if caught_up {
                            asked = None;
                        }
                        if expected {
                            told = handled;
                        }
                    }
                }
                let handled = tickets.iter().take_while(|&&count| count == 0).count();
                prop_assert_eq!(inbound.h(), start.wrapping_add(handled as u32));
                let all_safe = handled == tickets.len();
                prop_assert_eq!(inbound.outstanding.is_empty(), all_safe);
            }
        }
    }
}
