//! What a session was sent and has not acknowledged (XEP-0198 §4): kept for as long as that takes, sent again when the
//! session is resumed, and dealt with like stanzas to somebody who is not there when it is not.
//!
//! All of it lies in one buffer, each stanza behind a few bytes about it. Once everything is acknowledged there is no
//! buffer.

use std::cell::Cell;
use std::rc::Rc;

/// What bounds what a session has not acknowledged, and says when it is asked.
///
/// The specification lets nobody drop a stanza from the queue and knows no way to hold a client to its answers. A
/// session whose queue is full is therefore over: its stream ends with `<resource-constraint/>`, it cannot be resumed,
/// and what is in the queue goes the way of [`Fate`].
#[derive(Clone, Copy, Debug)]
pub struct OutboundLimits {
    /// Bytes of the stanzas, with what is kept about each.
    pub bytes_max: usize,
    /// How many.
    pub stanzas_max: usize,
    /// Bytes of all queues of a shard together. When there are more, a queue with an eighth of `bytes_max` is full.
    pub total_max: usize,
    /// `<r/>` is due after so many stanzas that no request has followed,
    pub request_after_stanzas: u32,
    /// or so many bytes of them,
    pub request_after_bytes: u32,
    /// or so many milliseconds.
    pub request_after_ms: u64,
    /// A client that leaves a request without any `<a/>` for so many milliseconds has gone without saying so.
    pub answer_within_ms: u64,
}

/// What becomes of a stanza that a session has not acknowledged when the session ends (XEP-0198 §4: what becomes of
/// one to a resource that is not available).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// Nothing: a presence, the answer to a question, or anything else that is over when the session is.
    Forget,
    /// Another resource gets it, or offline storage does: a message.
    Redeliver,
    /// Its sender gets an error: a question.
    Bounce,
}

/// Where a stanza is on disk already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stored {
    /// Nowhere.
    Nowhere,
    /// In the account's archive, under [`Memo::at_us`].
    Archive,
    /// Among the offline messages, under [`Memo::at_us`]: once it is acknowledged, it can go there.
    Offline,
}

/// What is kept about a stanza.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Memo {
    /// What becomes of it if it is never acknowledged.
    pub fate: Fate,
    /// Where it is on disk.
    pub stored: Stored,
    /// When it came to the account, in microseconds since 1970: for a delayed delivery notation. Of a message it is the
    /// number by which it is told from every other one of the account, the same for all resources that get it.
    pub at_us: u64,
}

/// A stanza that was not acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unacknowledged<'a> {
    /// The stanza as it was sent.
    pub stanza: &'a [u8],
    /// What is kept about it.
    pub memo: Memo,
}

/// There is no room: the session is over. The stanza was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueueFull;

/// The client has acknowledged more than it was sent: its stream ends (XEP-0198 §6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HandledTooHigh {
    /// What it says to have handled.
    pub h: u32,
    /// What it was sent.
    pub sent: u32,
}

/// The bytes of several queues together.
#[derive(Clone, Debug, Default)]
pub struct Total(Rc<Cell<usize>>);

impl Total {
    /// How many there are.
    pub fn bytes(&self) -> usize {
        self.0.get()
    }
}

/// What one session was sent. Owns nothing while all of it is acknowledged.
#[derive(Debug, Default)]
pub struct Outbound {
    /// Those that this one is part of, and what it has in it.
    total: Total,
    counted: usize,
    /// Stanzas, each behind its header, from `head` on.
    queue: Vec<u8>,
    /// What of the queue is acknowledged but not taken out yet.
    head: usize,
    /// Stanzas in the queue.
    count: u32,
    /// The number of the last stanza that was acknowledged, modulo 2³².
    acknowledged: u32,
    /// Stanzas that no request has followed, and their bytes.
    unasked: u32,
    unasked_bytes: u32,
    /// Since when there are such.
    unasked_since_ms: Option<u64>,
    /// When the client was asked last, if it has not answered.
    asked_ms: Option<u64>,
}

impl Outbound {
    /// An empty queue, one of several.
    pub fn among(total: &Total) -> Outbound {
        let mut outbound = Outbound::default();
        outbound.total = total.clone();
        outbound
    }

    /// The bytes that it has.
    pub fn bytes(&self) -> usize {
        self.queue.len() - self.head
    }

    /// Takes a stanza in that is sent now: `write` appends it. Answers its bytes.
    pub fn push(
        &mut self,
        limits: &OutboundLimits,
        memo: Memo,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<&[u8], QueueFull> {
        if self.count as usize >= limits.stanzas_max {
            return Err(QueueFull);
        }
        if self.queue.capacity() == 0 {
            self.queue.reserve(BYTES_AT_FIRST);
        }
        let start = self.queue.len();
        let header = Header::write(&mut self.queue, &memo);
        let body = self.queue.len();
        write(&mut self.queue);
        let length = self.queue.len().saturating_sub(body);
        let (bytes, total) = (self.bytes(), self.total.bytes() + (self.queue.len() - start));
        let fits = bytes <= limits.bytes_max && (total <= limits.total_max || bytes <= limits.bytes_max / 8);
        let (true, Ok(length)) = (fits, u32::try_from(length)) else {
            self.queue.truncate(start);
            self.give_back();
            return Err(QueueFull);
        };
        header.set_length(&mut self.queue, length);
        self.count += 1;
        self.unasked = self.unasked.saturating_add(1);
        self.unasked_bytes = self.unasked_bytes.saturating_add(length);
        self.recount();
        Ok(self.queue.get(body..).unwrap_or_default())
    }

    /// Stanzas that were not acknowledged.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether all are.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many stanzas were sent, modulo 2³².
    pub fn sent(&self) -> u32 {
        self.acknowledged.wrapping_add(self.count)
    }

    /// The client has handled stanzas up to `h`: in `<a/>` or in `<resume/>`. Shows each that is acknowledged by it, in
    /// order, and answers how many. An `h` that was passed already acknowledges nothing.
    pub fn acknowledge(&mut self, h: u32, mut each: impl FnMut(Unacknowledged<'_>)) -> Result<u32, HandledTooHigh> {
        let ahead = h.wrapping_sub(self.acknowledged);
        let is_old = ahead >= 1 << 31;
        if ahead > self.count && !is_old {
            return Err(HandledTooHigh { h, sent: self.sent() });
        }
        self.asked_ms = None;
        if is_old {
            return Ok(0);
        }
        for _ in 0..ahead {
            let Some((stanza, behind)) = read(&self.queue, self.head) else { break };
            each(stanza);
            self.head = behind;
        }
        self.recount();
        self.count -= ahead;
        self.acknowledged = h;
        if self.unasked > self.count {
            self.unasked = self.count;
        }
        if self.unasked == 0 {
            self.nothing_unasked();
        }
        self.give_back();
        Ok(ahead)
    }

    /// What was not acknowledged, in the order in which it was sent.
    pub fn unacknowledged(&self) -> impl Iterator<Item = Unacknowledged<'_>> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let (stanza, behind) = read(&self.queue, at)?;
            at = behind;
            Some(stanza)
        })
    }

    /// Whether `<r/>` is to be appended to what is sent: to be asked when a turn has written to the session, and when
    /// [`Outbound::deadline_ms`] has come. A request is open until any `<a/>` comes; there is only one at a time.
    ///
    /// With `eagerly` whatever no request has followed is reason enough: for a client that is woken by what it is sent
    /// and had better answer while it is awake (XEP-0198 §8.2), instead of being woken once more by a request.
    ///
    /// `now_ms` is of any clock that goes forward, always the same.
    pub fn request_due(&mut self, limits: &OutboundLimits, now_ms: u64, eagerly: bool) -> bool {
        if self.unasked == 0 || self.asked_ms.is_some() {
            return false;
        }
        let since_ms = *self.unasked_since_ms.get_or_insert(now_ms);
        let is_due = eagerly
            || self.unasked >= limits.request_after_stanzas
            || self.unasked_bytes >= limits.request_after_bytes
            || now_ms.saturating_sub(since_ms) >= limits.request_after_ms;
        if is_due {
            self.asked_ms = Some(now_ms);
            self.unasked = 0;
            self.nothing_unasked();
        }
        is_due
    }

    /// Whether the client has left a request without an answer for too long.
    pub fn is_overdue(&self, limits: &OutboundLimits, now_ms: u64) -> bool {
        self.asked_ms.is_some_and(|asked_ms| now_ms.saturating_sub(asked_ms) >= limits.answer_within_ms)
    }

    /// When to ask the next time whether a request is due, or an answer overdue.
    pub fn deadline_ms(&self, limits: &OutboundLimits) -> Option<u64> {
        let answer_ms = self.asked_ms.map(|asked_ms| asked_ms.saturating_add(limits.answer_within_ms));
        answer_ms.or(self.unasked_since_ms.map(|since_ms| since_ms.saturating_add(limits.request_after_ms)))
    }

    /// The connection is gone and the session waits for another: nobody will answer, and the queue takes no more room
    /// than it must.
    pub fn disconnected(&mut self) {
        self.asked_ms = None;
        self.unasked = self.count;
        self.nothing_unasked();
        self.queue.drain(..self.head);
        self.head = 0;
        self.queue.shrink_to_fit();
    }

    fn recount(&mut self) {
        let bytes = self.bytes();
        self.total.0.set(self.total.bytes() + bytes - self.counted);
        self.counted = bytes;
    }

    fn nothing_unasked(&mut self) {
        self.unasked_bytes = 0;
        self.unasked_since_ms = None;
    }

    /// Gives back what the queue does not need any more. What is in front goes when it is half of it, so that no
    /// stanza is moved more than once on average.
    fn give_back(&mut self) {
        if self.count == 0 {
            self.queue = Vec::new();
            self.head = 0;
        } else if self.head > self.queue.len() / 2 {
            self.queue.drain(..self.head);
            self.head = 0;
            if self.queue.capacity() / 4 > self.queue.len() {
                self.queue.shrink_to(self.queue.len() * 2);
            }
        }
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.total.0.set(self.total.bytes() - self.counted);
    }
}

/// Room for the first stanza, so that the queue does not grow by a few bytes again and again.
const BYTES_AT_FIRST: usize = 512;

/// Before each stanza: its length, when it came, and a byte that says the rest.
struct Header {
    at: usize,
}

const LENGTH_BYTES: usize = 4;
const TIME_BYTES: usize = 8;
#[cfg(test)]
const HEADER_BYTES: usize = LENGTH_BYTES + TIME_BYTES + 1;

const FATE: u8 = 0b0011;
const REDELIVER: u8 = 1;
const BOUNCE: u8 = 2;
const ARCHIVE: u8 = 0b0100;
const OFFLINE: u8 = 0b1000;

impl Header {
    fn write(out: &mut Vec<u8>, memo: &Memo) -> Header {
        let at = out.len();
        let fate = match memo.fate {
            Fate::Forget => 0,
            Fate::Redeliver => REDELIVER,
            Fate::Bounce => BOUNCE,
        };
        let place = match memo.stored {
            Stored::Nowhere => 0,
            Stored::Archive => ARCHIVE,
            Stored::Offline => OFFLINE,
        };
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        out.extend_from_slice(&memo.at_us.to_le_bytes());
        out.push(fate | place);
        Header { at }
    }

    fn set_length(&self, out: &mut [u8], length: u32) {
        if let Some(place) = out.get_mut(self.at..self.at + LENGTH_BYTES) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// The stanza whose header is at `at`, and where the next one is.
fn read(queue: &[u8], at: usize) -> Option<(Unacknowledged<'_>, usize)> {
    let (length, rest) = queue.get(at..)?.split_first_chunk::<LENGTH_BYTES>()?;
    let (time, rest) = rest.split_first_chunk::<TIME_BYTES>()?;
    let (&flags, rest) = rest.split_first()?;
    let fate = match flags & FATE {
        REDELIVER => Fate::Redeliver,
        BOUNCE => Fate::Bounce,
        _ => Fate::Forget,
    };
    let stored = match flags & (ARCHIVE | OFFLINE) {
        ARCHIVE => Stored::Archive,
        OFFLINE => Stored::Offline,
        _ => Stored::Nowhere,
    };
    let (stanza, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let memo = Memo { fate, stored, at_us: u64::from_le_bytes(*time) };
    Some((Unacknowledged { stanza, memo }, queue.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: OutboundLimits = OutboundLimits {
        bytes_max: 400,
        total_max: usize::MAX,
        stanzas_max: 10,
        request_after_stanzas: 3,
        request_after_bytes: 100,
        request_after_ms: 1000,
        answer_within_ms: 5000,
    };

    const MESSAGE: Memo = Memo { fate: Fate::Redeliver, stored: Stored::Nowhere, at_us: 1_700_000_000_123_456 };

    fn push(outbound: &mut Outbound, stanza: &str) {
        let pushed = outbound.push(&LIMITS, MESSAGE, |out| out.extend_from_slice(stanza.as_bytes()));
        assert_eq!(pushed, Ok(stanza.as_bytes()));
    }

    fn texts(outbound: &Outbound) -> Vec<String> {
        outbound.unacknowledged().map(|each| String::from_utf8(each.stanza.to_vec()).unwrap()).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_there_to_be_sent_again() {
        let mut outbound = Outbound::default();
        for stanza in ["<message/>", "<presence/>", "<iq/>"] {
            push(&mut outbound, stanza);
        }
        let mut seen = Vec::new();
        assert_eq!(outbound.acknowledge(1, |each| seen.push((each.stanza.to_vec(), each.memo))), Ok(1));
        assert_eq!(seen, [(b"<message/>".to_vec(), MESSAGE)]);
        assert_eq!(texts(&outbound), ["<presence/>", "<iq/>"]);
        assert_eq!((outbound.len(), outbound.sent()), (2, 3));
        assert_eq!(outbound.acknowledge(1, |_| panic!()), Ok(0), "said twice");
        assert_eq!(outbound.acknowledge(0, |_| panic!()), Ok(0), "said before");
        assert_eq!(outbound.acknowledge(4, |_| panic!()), Err(HandledTooHigh { h: 4, sent: 3 }));
        assert_eq!(texts(&outbound), ["<presence/>", "<iq/>"], "a mistake changes nothing");
        assert_eq!(outbound.acknowledge(3, |_| ()), Ok(2));
        assert!(outbound.is_empty() && texts(&outbound).is_empty());
    }

    #[test]
    fn where_all_have_too_much_together_only_little_is_taken() {
        let total = Total::default();
        let mut queues = [Outbound::among(&total), Outbound::among(&total)];
        let limits = OutboundLimits { total_max: 300, ..LIMITS };
        let take = |outbound: &mut Outbound, bytes: usize| {
            outbound.push(&limits, MESSAGE, |out| out.extend_from_slice(&vec![b'x'; bytes - HEADER_BYTES])).is_ok()
        };
        assert!(take(&mut queues[0], 250) && !take(&mut queues[1], 51) && take(&mut queues[1], 50));
        assert_eq!((total.bytes(), queues[0].bytes(), queues[1].bytes()), (300, 250, 50));
        let mut third = Outbound::among(&total);
        assert!(take(&mut third, LIMITS.bytes_max / 8) && !take(&mut third, HEADER_BYTES));
        assert_eq!(queues[0].acknowledge(1, |_| ()), Ok(1));
        assert!(take(&mut third, 100) && total.bytes() == 200);
        drop((queues, third));
        assert_eq!(total.bytes(), 0);
    }

    #[test]
    fn everything_about_a_stanza_is_kept() {
        let mut outbound = Outbound::default();
        let memos: Vec<Memo> = [Fate::Forget, Fate::Redeliver, Fate::Bounce]
            .into_iter()
            .flat_map(|fate| {
                let all = [(Stored::Nowhere, 0), (Stored::Archive, u64::MAX), (Stored::Offline, 1 << 50)];
                all.map(|(stored, at_us)| Memo { fate, stored, at_us })
            })
            .collect();
        let limits = OutboundLimits { bytes_max: 1 << 20, stanzas_max: 1 << 20, ..LIMITS };
        for memo in &memos {
            outbound.push(&limits, *memo, |out| out.extend_from_slice(b"<iq/>")).unwrap();
        }
        assert!(outbound.unacknowledged().map(|each| each.memo).eq(memos));
    }

    #[test]
    fn a_full_queue_takes_nothing() {
        let mut outbound = Outbound::default();
        let long = "a".repeat(LIMITS.bytes_max - 20);
        push(&mut outbound, &long);
        let too_much = outbound.push(&LIMITS, MESSAGE, |out| out.extend_from_slice(b"0123456789"));
        assert_eq!(too_much, Err(QueueFull));
        assert_eq!(texts(&outbound), [long]);
        outbound.acknowledge(1, |_| ()).unwrap();
        for _ in 0..LIMITS.stanzas_max {
            push(&mut outbound, "<iq/>");
        }
        assert_eq!(outbound.push(&LIMITS, MESSAGE, |_| panic!("not even written")), Err(QueueFull));
        assert_eq!(outbound.sent(), 11);
        let mut empty = Outbound::default();
        assert_eq!(empty.push(&LIMITS, MESSAGE, |out| out.resize(500, b'a')), Err(QueueFull));
        assert_eq!(empty.queue.capacity(), 0);
    }

    #[test]
    fn requests_follow_bursts_and_are_not_repeated() {
        let mut outbound = Outbound::default();
        assert!(!outbound.request_due(&LIMITS, 0, true), "nothing was sent");
        push(&mut outbound, "<iq/>");
        assert!(!outbound.request_due(&LIMITS, 0, false));
        assert_eq!(outbound.deadline_ms(&LIMITS), Some(1000));
        push(&mut outbound, "<iq/>");
        assert!(!outbound.request_due(&LIMITS, 500, false));
        push(&mut outbound, "<iq/>");
        assert!(outbound.request_due(&LIMITS, 600, false), "three stanzas");
        push(&mut outbound, &"a".repeat(200));
        assert!(!outbound.request_due(&LIMITS, 601, true), "one is open");
        assert_eq!(outbound.deadline_ms(&LIMITS), Some(5600));
        assert!(!outbound.is_overdue(&LIMITS, 5599) && outbound.is_overdue(&LIMITS, 5600));
        outbound.acknowledge(3, |_| ()).unwrap();
        assert!(!outbound.is_overdue(&LIMITS, 9999));
        assert!(outbound.request_due(&LIMITS, 602, false), "many bytes");
        outbound.acknowledge(4, |_| ()).unwrap();
        push(&mut outbound, "<iq/>");
        assert!(outbound.request_due(&LIMITS, 603, true), "the client is awake");
        outbound.acknowledge(5, |_| ()).unwrap();
        push(&mut outbound, "<iq/>");
        assert!(!outbound.request_due(&LIMITS, 700, false));
        assert!(!outbound.request_due(&LIMITS, 1699, false));
        assert!(outbound.request_due(&LIMITS, 1700, false), "a second has gone by");
        outbound.acknowledge(6, |_| ()).unwrap();
        push(&mut outbound, "<iq/>");
        assert!(!outbound.request_due(&LIMITS, 1800, false));
        outbound.acknowledge(7, |_| ()).unwrap();
        assert_eq!(outbound.deadline_ms(&LIMITS), None, "acknowledged without a request");
    }

    #[test]
    fn after_a_disconnection_requests_begin_anew() {
        let mut outbound = Outbound::default();
        push(&mut outbound, "<iq/>");
        assert!(outbound.request_due(&LIMITS, 0, true));
        outbound.disconnected();
        assert!(!outbound.is_overdue(&LIMITS, 100_000));
        assert_eq!(outbound.deadline_ms(&LIMITS), None);
        assert!(outbound.request_due(&LIMITS, 100_000, true), "what is sent again is asked for again");
    }

    #[test]
    fn an_idle_session_owns_nothing_and_a_waiting_one_what_it_needs() {
        assert!(size_of::<Outbound>() <= 96, "{}", size_of::<Outbound>());
        let mut outbound = Outbound::default();
        let limits = OutboundLimits { bytes_max: 1 << 20, stanzas_max: 1 << 20, ..LIMITS };
        for _ in 0..1000 {
            outbound.push(&limits, MESSAGE, |out| out.extend_from_slice(&[b'a'; 300])).unwrap();
        }
        outbound.acknowledge(990, |_| ()).unwrap();
        assert!(outbound.queue.capacity() < 10_000, "{}", outbound.queue.capacity());
        outbound.disconnected();
        assert_eq!(outbound.queue.capacity(), outbound.queue.len());
        assert_eq!(outbound.unacknowledged().count(), 10);
        outbound.acknowledge(1000, |_| ()).unwrap();
        assert_eq!(outbound.queue.capacity(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { bytes: usize, memo: Memo },
        Acknowledge(u32),
        Disconnect,
    }

    fn step() -> impl Strategy<Value = Step> {
        let fate = prop_oneof![Just(Fate::Forget), Just(Fate::Redeliver), Just(Fate::Bounce)];
        let stored = prop_oneof![Just(Stored::Nowhere), Just(Stored::Archive), Just(Stored::Offline)];
        let memo = (fate, stored, any::<u64>()).prop_map(|(fate, stored, at_us)| Memo { fate, stored, at_us });
        prop_oneof![
            4 => (0..120usize, memo).prop_map(|(bytes, memo)| Step::Push { bytes, memo }),
            3 => (0..6u32).prop_map(Step::Acknowledge),
            1 => prop_oneof![Just(u32::MAX), Just(100), Just(1 << 31), any::<u32>()].prop_map(Step::Acknowledge),
            1 => Just(Step::Disconnect),
        ]
    }

    proptest! {
        #[test]
        fn the_queue_does_what_a_list_does(
            start in prop_oneof![Just(0), Just(u32::MAX), Just(u32::MAX - 5), Just(1 << 31), any::<u32>()],
            steps in prop::collection::vec(step(), 0..100),
        ) {
            let mut outbound = Outbound::default();
            outbound.acknowledged = start;
            let mut model: VecDeque<(Vec<u8>, Memo)> = VecDeque::new();
            let mut base = start;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push { bytes, memo } => {
                        let stanza = vec![number as u8; bytes];
                        let held: usize = model.iter().map(|(stanza, _)| stanza.len() + HEADER_BYTES).sum();
                        let fits = model.len() < LIMITS.stanzas_max && held + bytes + HEADER_BYTES <= LIMITS.bytes_max;
                        let pushed = outbound.push(&LIMITS, memo, |out| out.extend_from_slice(&stanza));
                        prop_assert_eq!(pushed.is_ok(), fits);
                        if fits {
                            model.push_back((stanza, memo));
                        }
                    }
                    Step::Acknowledge(ahead) => {
                        let h = base.wrapping_add(ahead);
                        let mut seen = Vec::new();
                        let answer = outbound.acknowledge(h, |each| seen.push((each.stanza.to_vec(), each.memo)));
                        if ahead as usize <= model.len() {
                            let expected: Vec<_> = model.drain(..ahead as usize).collect();
                            prop_assert_eq!(answer, Ok(ahead));
                            prop_assert_eq!(seen, expected);
                            base = h;
                        } else if ahead < 1 << 31 {
                            let sent = base.wrapping_add(model.len() as u32);
                            prop_assert_eq!(answer, Err(HandledTooHigh { h, sent }));
                            prop_assert!(seen.is_empty());
                        } else {
                            prop_assert_eq!(answer, Ok(0));
                        }
                    }
                    Step::Disconnect => outbound.disconnected(),
                }
                prop_assert_eq!(outbound.sent(), base.wrapping_add(model.len() as u32));
                let kept: Vec<_> = outbound.unacknowledged().map(|each| (each.stanza.to_vec(), each.memo)).collect();
                prop_assert!(kept.iter().eq(model.iter()));
                prop_assert_eq!(outbound.queue.capacity() == 0, model.is_empty());
            }
        }
    }
}
