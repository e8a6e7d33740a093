//! What archiving costs: on the caller's thread, in the writer, in the thread that makes chunks, and in RocksDB's own.
//! Run it with `cargo bench --workspace --bench archive -- MESSAGES [OWNERS] [TURN] [RATE] [BYTES] [REQUESTS]`; without
//! a number it only shows that it works.
//!
//! A message of so many bytes is archived twice, for its sender and for its receiver. A turn's writes are handed over
//! together, as what they are or, with a last number of 1, as a request each. Without a rate (messages per second)
//! writing is as fast as it gets. Times are those that the threads have spent on a processor, so that it does not
//! matter who else uses the machine. At the end pages are read.

use mimalloc::MiMalloc;
use rondel_storage::{Client, Options, Outcome, Owner, Replies, Reply, Store, WriteRequest, archive};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

// As the server.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How many addresses an owner writes with.
const CONTACTS: u64 = 20;
/// The most messages that are not answered yet: as much as two busy shards have under way.
const UNANSWERED_MAX: u64 = 4096;

const WORDS: [&str; 24] = [
    "but", "soft", "what", "light", "through", "yonder", "window", "breaks", "it", "is", "the", "east", "and",
    "juliet", "sun", "arise", "fair", "kill", "envious", "moon", "who", "already", "sick", "pale",
];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let number = |at: usize, default| arguments.get(at).copied().unwrap_or(default);
    let load = Load {
        messages: number(0, 1000),
        owners: number(1, 10_000),
        turn: number(2, 32),
        rate: number(3, u64::MAX),
        bytes: number(4, 400) as usize,
        requests: number(5, 0) == 1,
    };
    let Load { messages, owners, turn, .. } = load;
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options::new(directory.path());
    let store = Store::open(&options).expect("a store");
    let answered = Arc::new(AtomicU64::new(0));
    let client = store.client(Arc::new(Count(answered.clone())));

    let before = threads();
    let began = Instant::now();
    let spent = write(&client, &answered, &load);
    let took = began.elapsed();
    let written = threads();
    settle(&before);
    let after = threads();

    println!("{messages} messages of {owners} owners in {:.1} s, {turn} in a turn", took.as_secs_f64());
    let each = |nanos: u64| nanos as f64 / 1000.0 / messages as f64;
    println!("microseconds per message (two archives):");
    println!("  caller, building {:.2}, handing over {:.2}", each(spent.building), each(spent.handing_over));
    for (name, nanos) in &after {
        let earlier = |of: &BTreeMap<String, u64>| nanos - of.get(name).copied().unwrap_or(0);
        let later = nanos - written.get(name).copied().unwrap_or(0);
        println!("  {name:<16} {:.2} ({:.2} of it after the last write)", each(earlier(&before)), each(later));
    }
    let sum = |of: &BTreeMap<String, u64>| of.values().sum::<u64>();
    println!("  all threads      {:.2}", each(sum(&after) - sum(&before)));
    let metrics = store.metrics();
    println!("{} syncs, {:.0} writes in each", metrics.syncs, metrics.writes as f64 / metrics.syncs as f64);
    println!("{:?}", store.memory());
    read_pages(&store, owners);
    store.close().expect("closed");
    let files = fs::read_dir(directory.path()).expect("a directory").flatten();
    let tables = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "sst"));
    let bytes: u64 = tables.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
    println!(
        "{:.0} bytes on the disk per message without the log, {} written",
        bytes as f64 / messages as f64,
        io("write_bytes")
    );
}

/// What is written.
struct Load {
    messages: u64,
    owners: u64,
    /// How many messages are handed over together.
    turn: u64,
    /// Messages per second.
    rate: u64,
    /// Of a message.
    bytes: usize,
    /// Whether each is a request of its own.
    requests: bool,
}

/// Nanoseconds of the caller's time.
#[derive(Default)]
struct Spent {
    building: u64,
    handing_over: u64,
}

/// Takes a message: its owner, id and contact, whether it is outgoing, the stanza.
type Add<'a> = dyn FnMut(&Owner, u64, &str, bool, &[u8]) + 'a;

fn write(client: &Client, answered: &AtomicU64, load: &Load) -> Spent {
    let &Load { messages, owners, turn, rate, .. } = load;
    let names: Vec<_> = (0..owners).map(|number| format!("user{number}@example.org")).collect();
    let all: Vec<_> = names.iter().map(|name| Owner::parse(name).expect("an owner")).collect();
    let stanzas: Vec<_> = (0..1 << 16).map(|seed| stanza(seed, load.bytes)).collect();
    let mut random = Random(1);
    let mut spent = Spent::default();
    let mut sent = 0;
    let mut ids = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_micros() as u64;
    let start = Instant::now();
    while sent < messages {
        while start.elapsed().as_secs_f64() * (rate as f64) < sent as f64 {
            thread::sleep(Duration::from_micros(500));
        }
        while sent - answered.load(SeqCst) / 2 > UNANSWERED_MAX {
            thread::sleep(Duration::from_micros(50));
        }
        let chosen: Vec<_> = (0..turn.min(messages - sent))
            .map(|_| {
                let from = random.below(owners);
                let to = (from + 1 + random.below(CONTACTS)) % owners;
                (from as usize, to as usize, &stanzas[random.below(1 << 16) as usize])
            })
            .collect();
        let began = Instant::now();
        let mut both = |mut add: Box<Add<'_>>| {
            for (from, to, stanza) in &chosen {
                ids += 1;
                add(&all[*from], ids, &names[*to], true, stanza);
                add(&all[*to], ids, &names[*from], false, stanza);
            }
        };
        let built;
        if load.requests {
            let mut requests = Vec::with_capacity(2 * chosen.len());
            both(Box::new(|owner, id, with, outgoing, stanza| {
                requests.push((1, append(owner, id, with, outgoing, stanza)));
            }));
            built = Instant::now();
            client.write_many(requests).expect("room");
        } else {
            let mut messages = archive::Appends::new();
            both(Box::new(|owner, id, with, outgoing, stanza| {
                messages.push(1, owner, id, with, outgoing, |out| out.extend_from_slice(stanza));
            }));
            built = Instant::now();
            client.write_turn(Vec::new(), messages).expect("room");
        }
        spent.building += (built - began).as_nanos() as u64;
        spent.handing_over += built.elapsed().as_nanos() as u64;
        sent += chosen.len() as u64;
    }
    while answered.load(SeqCst) < 2 * messages {
        thread::sleep(Duration::from_millis(1));
    }
    spent
}

/// How long pages of 50 take: the last one of an archive, one in its middle, and one with a contact.
fn read_pages(store: &Store, owners: u64) {
    let mut random = Random(2);
    let mut took = [Duration::ZERO; 3];
    const PAGES: u32 = 100;
    for _ in 0..PAGES {
        let number = random.below(owners);
        let owner = Owner::parse(&format!("user{number}@example.org")).expect("an owner");
        let last = archive::Query { entries_max: 50, reverse: true, ..archive::Query::new(owner.clone()) };
        let contact = format!("user{}@example.org", (number + 1 + random.below(CONTACTS)) % owners);
        let with = archive::Query { with: Some(contact.into()), ..last.clone() };
        let bounds = archive::decode_bounds(store.read_blocking(&archive::bounds(&owner))).expect("bounds");
        let Some((from, to)) = bounds else { continue };
        let middle =
            archive::Query { start_us: Some(from + random.below(to - from + 1)), reverse: false, ..last.clone() };
        for (took, query) in took.iter_mut().zip([last, middle, with]) {
            let began = Instant::now();
            let found = archive::decode(store.read_blocking(&query.into()));
            *took += began.elapsed();
            assert!(matches!(found, Ok(archive::Found::Page(_))));
        }
    }
    let [last, middle, with] = took.map(|took| took.as_micros() as u64 / u64::from(PAGES));
    println!("pages of 50: the last {last} us, in the middle {middle} us, with a contact {with} us");
}

fn append(owner: &Owner, id: u64, with: &str, outgoing: bool, stanza: &[u8]) -> WriteRequest {
    let request = WriteRequest::new(owner.clone());
    archive::append(request, id, with, outgoing, stanza.len(), |out| out.extend_from_slice(stanza))
}

fn stanza(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random(seed + 1);
    let mut text =
        format!("<message xmlns='jabber:client' type='chat' id='{:016x}{:016x}'><body>", random.next(), random.next());
    while text.len() + 17 < bytes {
        text.push_str(WORDS[random.below(WORDS.len() as u64) as usize]);
        text.push(' ');
    }
    text.push_str("</body></message>");
    text.into_bytes()
}

/// Counts messages: a reply's token is how many it answers.
struct Count(Arc<AtomicU64>);

impl Replies for Count {
    fn deliver(&self, replies: Vec<Reply>) {
        assert!(replies.iter().all(|reply| reply.outcome == Outcome::Written), "{replies:?}");
        self.0.fetch_add(replies.iter().map(|reply| reply.token).sum(), SeqCst);
    }
}

/// A xorshift generator: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }
}

/// Nanoseconds on a processor by the name of the thread.
fn threads() -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").expect("tasks").flatten() {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let nanos = read("schedstat").split(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        *times.entry(read("comm").trim().to_owned()).or_insert(0) += nanos;
    }
    times
}

/// Waits until the threads that are not this one have nothing to do any more.
fn settle(before: &BTreeMap<String, u64>) {
    let busy = || threads().values().sum::<u64>() - before.values().sum::<u64>();
    let mut last = busy();
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = busy();
        if now - last < 10_000_000 {
            return;
        }
        last = now;
    }
}

fn io(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}
