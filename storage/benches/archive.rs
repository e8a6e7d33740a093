//! What archiving costs: on the caller's thread, in the writer, and in RocksDB's own threads. Run it with
//! `cargo bench --workspace --bench archive -- MESSAGES [OWNERS] [TURN] [RATE]`; without a number it only shows that it
//! works.
//!
//! A message is archived twice, for its sender and for its receiver. A turn's writes are handed over together. Without
//! a rate (messages per second) writing is as fast as it gets; compactions fall behind then, and do less for it. Times
//! are those that the threads have spent on a processor, so that it does not matter who else uses the machine.

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

/// The bytes of a message.
const STANZA_BYTES: usize = 400;
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
    let load =
        Load { messages: number(0, 1000), owners: number(1, 10_000), turn: number(2, 32), rate: number(3, u64::MAX) };
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
    store.close().expect("closed");
    let bytes: u64 = fs::read_dir(directory.path()).expect("a directory").map(|file| length(file.ok())).sum();
    println!("{:.0} bytes on the disk per message, {} written", bytes as f64 / messages as f64, io("write_bytes"));
}

/// What is written.
struct Load {
    messages: u64,
    owners: u64,
    /// How many messages are handed over together.
    turn: u64,
    /// Messages per second.
    rate: u64,
}

/// Nanoseconds of the caller's time.
#[derive(Default)]
struct Spent {
    building: u64,
    handing_over: u64,
}

fn write(client: &Client, answered: &AtomicU64, load: &Load) -> Spent {
    let &Load { messages, owners, turn, rate } = load;
    let names: Vec<_> = (0..owners).map(|number| format!("user{number}@example.org")).collect();
    let all: Vec<_> = names.iter().map(|name| Owner::parse(name).expect("an owner")).collect();
    let stanzas: Vec<_> = (0..1 << 16).map(stanza).collect();
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
        let mut requests = Vec::with_capacity(2 * chosen.len());
        for (from, to, stanza) in &chosen {
            ids += 1;
            requests.push((ids, append(&all[*from], ids, &names[*to], true, stanza)));
            requests.push((ids, append(&all[*to], ids, &names[*from], false, stanza)));
        }
        let built = Instant::now();
        client.write_many(requests).expect("room");
        spent.building += (built - began).as_nanos() as u64;
        spent.handing_over += built.elapsed().as_nanos() as u64;
        sent += chosen.len() as u64;
    }
    while answered.load(SeqCst) < 2 * messages {
        thread::sleep(Duration::from_millis(1));
    }
    spent
}

fn append(owner: &Owner, id: u64, with: &str, outgoing: bool, stanza: &[u8]) -> WriteRequest {
    let request = WriteRequest::new(owner.clone());
    archive::append(request, id, with, outgoing, stanza.len(), |out| out.extend_from_slice(stanza))
}

fn stanza(seed: u64) -> Vec<u8> {
    let mut random = Random(seed + 1);
    let mut text =
        format!("<message xmlns='jabber:client' type='chat' id='{:016x}{:016x}'><body>", random.next(), random.next());
    while text.len() < STANZA_BYTES - 17 {
        text.push_str(WORDS[random.below(WORDS.len() as u64) as usize]);
        text.push(' ');
    }
    text.push_str("</body></message>");
    text.into_bytes()
}

/// Counts replies.
struct Count(Arc<AtomicU64>);

impl Replies for Count {
    fn deliver(&self, replies: Vec<Reply>) {
        assert!(replies.iter().all(|reply| reply.outcome == Outcome::Written), "{replies:?}");
        self.0.fetch_add(replies.len() as u64, SeqCst);
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

fn length(file: Option<fs::DirEntry>) -> u64 {
    file.and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len())
}

fn io(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}
