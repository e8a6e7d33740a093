//! The mesh: one bounded ring per ordered pair of shards, an inbox per shard for other threads, and a doorbell per
//! shard that is rung once per batch.
//!
//! Order is kept per pair. Nothing is lost: what a full ring does not take waits with its sender ([`Outgoing`]), who
//! stops reading from sockets meanwhile. A receiver never waits while it drains, so full rings cannot deadlock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crossbeam::queue::{ArrayQueue, SegQueue};

/// Wakes one shard from any thread, at most once until it has looked.
#[derive(Default)]
pub(crate) struct Doorbell {
    asleep: AtomicBool,
    /// How often the shard had to be woken.
    woken: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Doorbell {
    /// Says that something was put where the shard looks. Returns whether it had to be woken. The fence pairs with
    /// the one in [`Doorbell::poll`]: either the sender sees the sleeper, or the sleeper sees what was put.
    pub fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        if !self.asleep.swap(false, Ordering::AcqRel) {
            return false;
        }
        self.woken.fetch_add(1, Ordering::Relaxed);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// How often the shard had to be woken.
    pub fn woken(&self) -> u64 {
        self.woken.load(Ordering::Relaxed)
    }

    /// Says that the shard is awake for whatever reason, and will look by itself.
    pub fn stay_awake(&self) {
        self.asleep.store(false, Ordering::Release);
    }

    /// Ready when `has_work` says so; otherwise asks to be woken.
    pub fn poll(&self, cx: &Context<'_>, has_work: impl Fn() -> bool) -> Poll<()> {
        if has_work() {
            return Poll::Ready(());
        }
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        self.asleep.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if has_work() {
            self.asleep.store(false, Ordering::Relaxed);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// Bytes that may wait in one ring, however few messages they are; a single larger one excepted.
const RING_BYTES_MAX: usize = 8 << 20;
/// What a message takes beside the bytes that it holds.
const MESSAGE_BYTES: usize = 128;

/// A message and roughly the memory it takes.
struct Parcel<T> {
    bytes: usize,
    content: T,
}

/// The ring of one ordered pair of shards.
struct Ring<T> {
    queue: ArrayQueue<Parcel<T>>,
    /// What the messages in it take.
    bytes: AtomicUsize,
    /// The sender has more than fits and wants to be woken when there is room again.
    sender_waits: AtomicBool,
}

/// All rings, inboxes and doorbells of a runtime.
pub(crate) struct Mesh<T, M> {
    shards: usize,
    rings: Vec<Ring<T>>,
    inboxes: Vec<SegQueue<Control<M>>>,
    doorbells: Vec<Doorbell>,
}

/// What reaches a shard from outside the mesh.
pub(crate) enum Control<M> {
    /// Another shard has freed much, some of which this one has allocated.
    GiveBack,
    Message(M),
    Shutdown,
}

impl<T, M> Mesh<T, M> {
    /// A mesh of `shards` shards whose rings hold `capacity` messages each.
    pub fn new(shards: usize, capacity: usize) -> Self {
        let ring = |_| Ring {
            queue: ArrayQueue::new(capacity.max(1)),
            bytes: AtomicUsize::new(0),
            sender_waits: AtomicBool::new(false),
        };
        Mesh {
            shards,
            rings: (0..shards * shards).map(ring).collect(),
            inboxes: (0..shards).map(|_| SegQueue::new()).collect(),
            doorbells: (0..shards).map(|_| Doorbell::default()).collect(),
        }
    }

    pub fn shards(&self) -> usize {
        self.shards
    }

    pub fn doorbell(&self, shard: usize) -> &Doorbell {
        &self.doorbells[shard]
    }

    /// Puts something into a shard's inbox; the caller rings.
    pub fn post(&self, shard: usize, control: Control<M>) {
        self.inboxes[shard].push(control);
    }

    pub fn next_posted(&self, shard: usize) -> Option<Control<M>> {
        self.inboxes[shard].pop()
    }

    /// Whether anything waits for `shard`.
    pub fn has_work(&self, shard: usize) -> bool {
        !self.inboxes[shard].is_empty() || (0..self.shards).any(|from| !self.ring(from, shard).queue.is_empty())
    }

    fn ring(&self, from: usize, to: usize) -> &Ring<T> {
        &self.rings[from * self.shards + to]
    }

    /// Takes the next message that `from` sent to `to`.
    pub fn take(&self, from: usize, to: usize) -> Option<T> {
        let ring = self.ring(from, to);
        let parcel = ring.queue.pop()?;
        ring.bytes.fetch_sub(parcel.bytes, Ordering::Relaxed);
        Some(parcel.content)
    }

    /// To be called by the receiver after it has taken from a ring: wakes a sender that waits for room.
    pub fn made_room(&self, from: usize, to: usize) {
        fence(Ordering::SeqCst);
        let ring = self.ring(from, to);
        if ring.sender_waits.load(Ordering::Relaxed) && ring.sender_waits.swap(false, Ordering::AcqRel) {
            self.doorbells[from].ring();
        }
    }
}

/// The sending side of one shard: what it has sent in this turn or could not send yet.
pub(crate) struct Outgoing<T> {
    shard: usize,
    waiting: Vec<VecDeque<Parcel<T>>>,
    len: usize,
    bytes: usize,
}

/// What a flush of [`Outgoing`] did.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Flushed {
    pub sent: u64,
    pub woken: u64,
    /// Messages that found no room and still wait.
    pub left: usize,
}

impl<T> Outgoing<T> {
    pub fn new(shard: usize, shards: usize) -> Self {
        Outgoing { shard, waiting: (0..shards).map(|_| VecDeque::new()).collect(), len: 0, bytes: 0 }
    }

    /// Takes a message that holds so many bytes.
    pub fn push(&mut self, to: usize, content: T, bytes: usize) {
        let bytes = bytes + MESSAGE_BYTES;
        self.waiting[to].push_back(Parcel { bytes, content });
        self.len += 1;
        self.bytes += bytes;
    }

    /// What waits takes so many bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Moves what waits into the rings, as far as there is room, and rings each receiver once.
    pub fn flush<M>(&mut self, mesh: &Mesh<T, M>) -> Flushed {
        let mut flushed = Flushed::default();
        if self.len == 0 {
            return flushed;
        }
        for to in 0..self.waiting.len() {
            let ring = mesh.ring(self.shard, to);
            let mut sent = 0;
            while let Some(parcel) = self.waiting[to].pop_front() {
                let bytes = parcel.bytes;
                match push_or_wait(ring, parcel) {
                    Ok(()) => {
                        sent += 1;
                        self.bytes -= bytes;
                    }
                    Err(parcel) => {
                        self.waiting[to].push_front(parcel);
                        break;
                    }
                }
            }
            if sent > 0 {
                self.len -= sent;
                flushed.sent += sent as u64;
                flushed.woken += u64::from(mesh.doorbells[to].ring());
            }
        }
        flushed.left = self.len;
        flushed
    }

    /// Whether something waits here for a shard that has made room since it was found full.
    pub fn has_room<M>(&self, mesh: &Mesh<T, M>) -> bool {
        let made_room = |to: usize| !mesh.ring(self.shard, to).sender_waits.load(Ordering::Relaxed);
        (0..self.waiting.len()).any(|to| !self.waiting[to].is_empty() && made_room(to))
    }
}

/// Pushes, or leaves word that the sender waits and tries once more, so that room made meanwhile is not missed.
fn push_or_wait<T>(ring: &Ring<T>, parcel: Parcel<T>) -> Result<(), Parcel<T>> {
    let parcel = match push(ring, parcel) {
        Ok(()) => return Ok(()),
        Err(parcel) => parcel,
    };
    ring.sender_waits.store(true, Ordering::Release);
    fence(Ordering::SeqCst);
    push(ring, parcel)
}

/// Pushes if neither count nor bytes are against it. Only the ring's one sender adds to its bytes.
fn push<T>(ring: &Ring<T>, parcel: Parcel<T>) -> Result<(), Parcel<T>> {
    let (bytes, before) = (parcel.bytes, ring.bytes.load(Ordering::Relaxed));
    if before > 0 && before + bytes > RING_BYTES_MAX {
        return Err(parcel);
    }
    // Before the message, lest the receiver subtracts what was not added yet.
    ring.bytes.fetch_add(bytes, Ordering::Relaxed);
    ring.queue.push(parcel).inspect_err(|_| {
        ring.bytes.fetch_sub(bytes, Ordering::Relaxed);
    })
}

/// Sends messages to one shard from any thread, e.g. from storage or administration. Not bounded: the sender bounds
/// what it has outstanding.
pub struct Remote<M> {
    post: Arc<dyn Post<M>>,
    shard: usize,
}

impl<M> Clone for Remote<M> {
    fn clone(&self) -> Self {
        Remote { post: Arc::clone(&self.post), shard: self.shard }
    }
}

impl<M> Remote<M> {
    pub(crate) fn new(post: Arc<dyn Post<M>>, shard: usize) -> Self {
        Remote { post, shard }
    }

    /// The shard that gets the messages.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// Sends one message and wakes the shard.
    pub fn send(&self, message: M) {
        self.post.post(self.shard, message);
        self.post.ring(self.shard);
    }

    /// Sends several messages and wakes the shard once.
    pub fn send_all(&self, messages: impl IntoIterator<Item = M>) {
        for message in messages {
            self.post.post(self.shard, message);
        }
        self.post.ring(self.shard);
    }
}

/// What a [`Remote`] needs of a mesh, whatever travels on the mesh itself.
pub(crate) trait Post<M>: Send + Sync {
    fn post(&self, shard: usize, message: M);
    fn ring(&self, shard: usize);
}

impl<T: Send, M: Send> Post<M> for Mesh<T, M> {
    fn post(&self, shard: usize, message: M) {
        Mesh::post(self, shard, Control::Message(message));
    }

    fn ring(&self, shard: usize) {
        self.doorbells[shard].ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::task::Wake;
    use std::thread::{self, Thread};

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Blocks until something waits for the shard.
    fn wait<T, M>(mesh: &Mesh<T, M>, shard: usize) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let cx = Context::from_waker(&waker);
        while mesh.doorbell(shard).poll(&cx, || mesh.has_work(shard)).is_pending() {
            thread::park();
        }
    }

    #[test]
    fn two_threads_keep_order_and_lose_nothing_with_tiny_rings() {
        const MESSAGES: u64 = 50_000;
        let mesh: Arc<Mesh<u64, ()>> = Arc::new(Mesh::new(2, 3));
        let sender = Arc::clone(&mesh);
        let sending = thread::spawn(move || {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let cx = Context::from_waker(&waker);
            let mut outgoing = Outgoing::new(0, 2);
            let mut next = 0;
            while next < MESSAGES || outgoing.len() > 0 {
                for _ in 0..7 {
                    if next < MESSAGES {
                        outgoing.push(1, next, 0);
                        next += 1;
                    }
                }
                while outgoing.flush(&sender).left > 0 {
                    // As a shard does: room that was made while it did not hear the bell must not be missed.
                    sender.doorbell(0).stay_awake();
                    while sender.doorbell(0).poll(&cx, || outgoing.has_room(&sender)).is_pending() {
                        thread::park();
                    }
                }
            }
        });
        let mut expected = 0;
        while expected < MESSAGES {
            wait(&mesh, 1);
            while let Some(message) = mesh.take(0, 1) {
                assert_eq!(message, expected);
                expected += 1;
            }
            mesh.made_room(0, 1);
        }
        sending.join().unwrap();
        assert!(!mesh.has_work(1));
    }

    #[test]
    fn a_ring_is_bounded_in_bytes_too() {
        let mesh: Mesh<u32, ()> = Mesh::new(2, 100);
        let mut outgoing = Outgoing::new(0, 2);
        (0..8).for_each(|message| outgoing.push(1, message, RING_BYTES_MAX / 3));
        assert_eq!(outgoing.flush(&mesh).sent, 2);
        outgoing.push(1, 8, 3 * RING_BYTES_MAX);
        let mut seen = Vec::new();
        while outgoing.len() > 0 || mesh.has_work(1) {
            seen.extend(mesh.take(0, 1));
            outgoing.flush(&mesh);
        }
        assert_eq!(seen, (0..9).collect::<Vec<_>>());
        assert_eq!(outgoing.bytes(), 0);
    }

    #[test]
    fn posts_from_many_threads_all_arrive() {
        let mesh: Arc<Mesh<(), u64>> = Arc::new(Mesh::new(1, 1));
        let remote = Remote::new(Arc::clone(&mesh) as Arc<dyn Post<u64>>, 0);
        let threads: Vec<_> = (0..4u64)
            .map(|thread| {
                let remote = remote.clone();
                thread::spawn(move || (0..1000).for_each(|n| remote.send(thread * 1000 + n)))
            })
            .collect();
        let mut sum = 0;
        let mut received = 0;
        while received < 4000 {
            wait(&mesh, 0);
            while let Some(Control::Message(n)) = mesh.next_posted(0) {
                sum += n;
                received += 1;
            }
        }
        assert_eq!(sum, (0..4000).sum());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    proptest! {
        #[test]
        fn per_pair_order_for_any_interleaving(
            steps in prop::collection::vec((0usize..3, 0usize..3, any::<bool>()), 0..300),
        ) {
            let mesh: Mesh<(usize, u32), ()> = Mesh::new(3, 2);
            let mut outgoing: Vec<_> = (0..3).map(|shard| Outgoing::new(shard, 3)).collect();
            let (mut sent, mut seen) = ([[0u32; 3]; 3], [[0u32; 3]; 3]);
            for (from, to, drain) in steps {
                outgoing[from].push(to, (from, sent[from][to]), 0);
                sent[from][to] += 1;
                outgoing[from].flush(&mesh);
                if drain {
                    while let Some((source, n)) = mesh.take(from, to) {
                        prop_assert_eq!((source, n), (from, seen[from][to]));
                        seen[from][to] += 1;
                    }
                }
            }
            while sent != seen {
                for (from, seen) in seen.iter_mut().enumerate() {
                    outgoing[from].flush(&mesh);
                    for (to, seen) in seen.iter_mut().enumerate() {
                        while let Some((_, n)) = mesh.take(from, to) {
                            prop_assert_eq!(n, *seen);
                            *seen += 1;
                        }
                    }
                }
            }
        }
    }
}
