//! What tests of the running store share: small requests, an inbox for replies, and a way to hold a storage thread.
//!
//! Every store has a directory of its own, so that tests run in parallel. Nothing waits for a time to pass: what must
//! be queued together is queued while the thread that would take it is held.

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use rondel_storage::{
    Answer, Client, Family, Options, Outcome, Owner, PageRequest, ReadRequest, Replies, Reply, Store, WriteRequest,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Long enough for a slow machine; what takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// More than a block of a table file: each value of this size is read from the disk on its own.
const BLOCK_BYTES: usize = 8 << 10;

/// The store in `directory` with the defaults.
pub fn open(directory: &TempDir) -> Store {
    open_with(directory, |_| {})
}

/// The store in `directory` with some options changed.
pub fn open_with(directory: &TempDir, change: impl FnOnce(&mut Options)) -> Store {
    let mut options = Options::new(directory.path());
    change(&mut options);
    Store::open(&options).unwrap()
}

/// A store that has just been opened and holds `names`, each in a block of its own, on the disk alone.
pub fn open_cold(directory: &TempDir, names: &[&str], change: impl FnOnce(&mut Options)) -> Store {
    let store = open(directory);
    for name in names {
        assert_eq!(store.write_blocking(put(name, &cold_value(name))), Outcome::Written);
    }
    store.close().unwrap();
    open_with(directory, change)
}

/// What [`open_cold`] stores under `name`.
pub fn cold_value(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(BLOCK_BYTES).collect()
}

pub fn owner(name: &str) -> Owner {
    Owner::new(name, "example.org").unwrap()
}

/// A write of one value. It is no account, which the store does not mind as long as nobody decodes it.
pub fn put(name: &str, value: &[u8]) -> WriteRequest {
    WriteRequest::new(owner(name)).put(Family::Accounts, b"", value.to_vec())
}

/// A read of what [`put`] writes.
pub fn get(name: &str) -> ReadRequest {
    ReadRequest::Get(Family::Accounts, Family::Accounts.key(&owner(name), b""))
}

/// What [`put`] has written, if anything.
pub fn stored(store: &Store, name: &str) -> Option<Vec<u8>> {
    store.get(Family::Accounts, Family::Accounts.key(&owner(name), b"")).unwrap()
}

/// The outcome of a read, whichever way it comes.
pub fn read(client: &Client, inbox: &Inbox, token: u64, request: ReadRequest) -> Outcome {
    match client.read(token, request).unwrap() {
        Answer::Now(outcome) => outcome,
        Answer::Later => {
            let reply = inbox.reply();
            assert_eq!(reply.token, token);
            reply.outcome
        }
    }
}

/// The reply to a write that succeeded.
pub fn written(token: u64) -> Reply {
    Reply { token, outcome: Outcome::Written }
}

/// Where a client's replies arrive.
pub struct Inbox(Receiver<Vec<Reply>>);

struct Deliver(Sender<Vec<Reply>>);

impl Replies for Deliver {
    fn deliver(&self, replies: Vec<Reply>) {
        // A test that has failed listens no more.
        self.0.send(replies).ok();
    }
}

impl Inbox {
    /// A client and its inbox.
    pub fn client(store: &Store) -> (Client, Inbox) {
        let (sender, receiver) = unbounded();
        (store.client(Arc::new(Deliver(sender))), Inbox(receiver))
    }

    /// The next delivery.
    pub fn delivery(&self) -> Vec<Reply> {
        self.0.recv_timeout(PATIENCE).unwrap()
    }

    /// The next delivery, which holds one reply.
    pub fn reply(&self) -> Reply {
        let mut replies = self.delivery();
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0)
    }

    /// The next replies, at least so many of them.
    pub fn replies(&self, count: usize) -> Vec<Reply> {
        let mut replies = Vec::new();
        while replies.len() < count {
            replies.extend(self.delivery());
        }
        replies
    }

    /// All replies that are still to come. They end when nobody is left who could send one: the client has been
    /// dropped and nothing that it asked is under way.
    pub fn rest(self) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            match self.0.recv_timeout(PATIENCE) {
                Ok(delivery) => replies.extend(delivery),
                Err(RecvTimeoutError::Disconnected) => return replies,
                Err(RecvTimeoutError::Timeout) => panic!("unanswered after {replies:?}"),
            }
        }
    }
}

/// A storage thread that is held: what it is asked meanwhile waits in its queue. Dropping this lets it go on.
pub struct Held(Receiver<()>);

/// Does what an embedder must not: it blocks the storage thread.
struct Gate(Sender<()>);

impl Replies for Gate {
    fn deliver(&self, _replies: Vec<Reply>) {
        // The channel has no room: the first says that the thread is here, the second fails once the test lets go.
        self.0.send(()).ok();
        self.0.send(()).ok();
    }
}

impl Held {
    /// Holds the writer. Takes one group, of one write.
    pub fn writer(store: &Store) -> Held {
        Held::by(store, |client| client.write(0, put("gate", b"")).unwrap())
    }

    /// Holds a reader thread, which `request` must need.
    pub fn reader(store: &Store, request: ReadRequest) -> Held {
        Held::by(store, |client| assert_eq!(client.read(0, request), Ok(Answer::Later)))
    }

    fn by(store: &Store, ask: impl FnOnce(&Client)) -> Held {
        let (sender, receiver) = bounded(0);
        ask(&store.client(Arc::new(Gate(sender))));
        receiver.recv_timeout(PATIENCE).unwrap();
        Held(receiver)
    }

    pub fn release(self) {
        drop(self.0);
    }
}

/// The keys of a family between `from` and `to`, with their values.
pub fn range(store: &Store, family: Family, from: Vec<u8>, to: Option<Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut next = Some(PageRequest { family, from, to, reverse: false, entries_max: 10_000, bytes_max: 1 << 22 });
    let mut all = Vec::new();
    while let Some(request) = next {
        let page = store.page(request.clone()).unwrap();
        next = request.next(&page);
        all.extend(page.entries);
    }
    all
}

/// The chunks of an archive that are stored, whether reads show them or not: for each one's first id, all its ids. And
/// for each contact's hash the first ids of the chunks that the index names.
pub fn chunks(store: &Store, of: &Owner) -> (BTreeMap<u64, Vec<u64>>, BTreeMap<u64, Vec<u64>>) {
    let number = |bytes: &[u8]| u64::from_be_bytes(*bytes.first_chunk().unwrap());
    let ids = |mut messages: &[u8]| {
        let mut ids = Vec::new();
        while let Some((header, rest)) = messages.split_first_chunk::<12>() {
            ids.push(number(header));
            messages = &rest[u32::from_be_bytes(*header.last_chunk().unwrap()) as usize..];
        }
        ids
    };
    let all = |family: Family| {
        let from = family.key(of, b"");
        let to = [&from[..from.len() - 1], &[1]].concat();
        let behind = from.len();
        range(store, family, from, Some(to)).into_iter().map(move |(key, value)| (key[behind..].to_vec(), value))
    };
    let chunk = |(key, value): (Vec<u8>, Vec<u8>)| {
        let first = number(&key);
        let ids = match value[0] {
            2 => {
                let there = range(store, Family::ArchiveChunks, value[13..].to_vec(), None);
                let (_, value) = there.first().filter(|(key, _)| *key == value[13..]).expect("a chunk").clone();
                ids(&value[11 + usize::from(u16::from_be_bytes([value[9], value[10]]))..])
            }
            3 => ids(&value[9..]),
            _ => vec![first],
        };
        assert_eq!(ids.first(), Some(&first));
        (first, ids)
    };
    let mut index: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    all(Family::ArchiveWith).for_each(|(key, _)| index.entry(number(&key)).or_default().push(number(&key[8..])));
    (all(Family::Archive).map(chunk).collect(), index)
}
