//! How the server fares: everything that is counted and everything that is there, gathered when somebody asks.

use std::time::Instant;

use rondel_storage::SCHEMA_VERSION;

use super::backend::{PATIENCE, Running};
use crate::admin::{CertificateLife, Counted, Status};
use crate::metrics;
use crate::shard::{Message, Stock, TakeStock};

impl Running {
    /// All of it.
    pub fn status(&self) -> Status {
        let system = rustix::system::uname();
        let certificates = self.settings.tls.as_ref().map(|tls| tls.certificates.lives()).unwrap_or_default();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").into(),
            schema: SCHEMA_VERSION,
            system: format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()),
            pid: std::process::id(),
            started_s: self.started_s,
            domains: self.domains().to_vec(),
            scram_iterations: Some(self.settings.negotiation.iterations),
            alerts: self.alerts.all(),
            counters: self.counters(),
            lately: self.observer.lately(),
            syncs_by_duration: self.store.metrics().sync_micros_log2.to_vec(),
            certificates: certificates
                .into_iter()
                .map(|(path, expires_s)| CertificateLife { path: path.display().to_string(), expires_s })
                .collect(),
            backups: Some(self.backups.facts()),
        };
        status.counters.extend(of_status(&status));
        status
    }

    fn counters(&self) -> Vec<Counted> {
        let mut counters = Vec::new();
        let stocks = self.stocks();
        for (shard, metrics) in self.metrics.iter().enumerate() {
            let mut count = |name: &str, value| {
                counters.push(Counted { name: name.replace('_', "-"), shard: Some(shard), of: None, value });
            };
            self.settings.counts[shard].snapshot().fields().into_iter().for_each(|(name, value)| count(name, value));
            metrics.snapshot().fields().into_iter().for_each(|(name, value)| count(name, value));
            // A shard that does not answer is not one without sessions.
            if let Some(stock) = &stocks[shard] {
                stock.fields().into_iter().for_each(|(name, value)| count(name, value));
            }
        }
        self.count_storage(&mut counters);
        self.count_memory(&stocks, &mut counters);
        let listed = self.settings.lists.load().iter().map(|(_, listed)| listed.len() as u64).sum();
        counters.push(Counted::shared("block-list-entries", listed));
        counters.push(Counted::shared("connections-max", self.settings.connections_max as u64));
        counters.push(Counted::shared("process-cpu-microseconds", process_cpu_us()));
        counters.extend(self.observer.accounts());
        counters
    }

    /// What is on each shard; nothing of one that does not answer in time.
    fn stocks(&self) -> Vec<Option<Stock>> {
        // All are asked at once, and each goes on when its part is there.
        let ask = |shard: usize, from| {
            let (answer, answers) = crossbeam::channel::bounded(1);
            self.remotes[shard].send(Message::TakeStock(Box::new(TakeStock { from, answer })));
            answers
        };
        let asked: Vec<_> = (0..self.remotes.len()).map(|shard| ask(shard, 0)).collect();
        let whole = |(shard, mut answers): (usize, crossbeam::channel::Receiver<(Stock, Option<usize>)>)| {
            // Who is slow is no reason to leave others out.
            let until = Instant::now() + PATIENCE;
            let mut whole: Option<Stock> = None;
            loop {
                let (part, next) = answers.recv_deadline(until).ok()?;
                match &mut whole {
                    Some(whole) => whole.add(&part),
                    None => whole = Some(part),
                }
                let Some(from) = next else { return whole };
                answers = ask(shard, from);
            }
        };
        asked.into_iter().enumerate().map(whole).collect()
    }

    fn count_storage(&self, counters: &mut Vec<Counted>) {
        let storage = self.store.metrics();
        let all = [
            ("writes", storage.writes),
            ("writes-refused", storage.refused),
            ("writes-failed", storage.failed),
            ("write-batches", storage.batches),
            ("written-bytes", storage.bytes),
            ("syncs", storage.syncs),
            ("sync-microseconds", storage.sync_micros),
            ("sync-microseconds-at-most", storage.sync_micros_max),
            ("sync-microseconds-now", storage.sync_micros_now),
            ("reads-inline", storage.reads_inline),
            ("reads-queued", storage.reads_queued),
            ("storage-busy", storage.busy),
            ("storage-reopened", storage.reopened),
            ("storage-panics", storage.panics),
            ("storage-failing", u64::from(storage.failing)),
            ("write-queue", storage.write_queue),
            ("write-queue-bytes", storage.write_queue_bytes),
            ("read-queue", storage.read_queue),
        ];
        counters.extend(all.map(|(name, value)| Counted::shared(name, value)));
        let sizes = self.store.sizes();
        counters.extend(sizes.iter().map(|size| Counted::of("family-bytes", size.name, size.bytes)));
        counters.extend(sizes.iter().map(|size| Counted::of("family-files", size.name, size.files)));
        counters.extend(sizes.iter().map(|size| Counted::of("family-keys", size.name, size.keys)));
        if let Ok(disk) = rustix::fs::statvfs(&self.data_dir) {
            counters.push(Counted::shared("disk-bytes", disk.f_blocks * disk.f_frsize));
            counters.push(Counted::shared("disk-free-bytes", disk.f_bavail * disk.f_frsize));
        }
    }

    /// Where the memory is, as far as it is known, and the rest.
    fn count_memory(&self, stocks: &[Option<Stock>], counters: &mut Vec<Counted>) {
        let memory = self.store.memory();
        let of_shards = |of: fn(&Stock) -> u64| stocks.iter().flatten().map(of).sum();
        let known: [(&str, u64); 6] = [
            ("connections", of_shards(|stock| stock.connection_bytes)),
            ("unacknowledged", of_shards(|stock| stock.unacknowledged_bytes)),
            ("block-cache", memory.block_cache),
            ("memtables", memory.memtables),
            ("archive-tails", memory.tails),
            ("table-readers", memory.table_readers),
        ];
        let resident = resident_bytes();
        let other = resident.saturating_sub(known.iter().map(|(_, bytes)| bytes).sum());
        counters.extend(known.map(|(subsystem, bytes)| Counted::of("memory-bytes", subsystem, bytes)));
        counters.push(Counted::of("memory-bytes", "other", other));
        counters.push(Counted::shared("resident-bytes", resident));
    }
}

/// What the rest of a status says, as figures.
fn of_status(status: &Status) -> Vec<Counted> {
    let mut counters = vec![Counted::shared("started", status.started_s)];
    for life in &status.certificates {
        counters.push(Counted::of("certificate-expires", &life.path, life.expires_s.max(0) as u64));
    }
    if let Some(facts) = &status.backups {
        counters.push(Counted::shared("backup-made", facts.made_s.unwrap_or(0)));
        counters.push(Counted::shared("backups-kept", facts.kept as u64));
        counters.push(Counted::shared("backup-failed", u64::from(facts.failed.is_some())));
    }
    for about in metrics::ALERTS {
        let is_wrong = status.alerts.iter().any(|alert| alert.about == about);
        counters.push(Counted::of("alert", about, u64::from(is_wrong)));
    }
    counters
}

/// Memory that the process takes, in bytes (proc(5), `statm`); zero where that is not known.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// Processor time of all threads, in microseconds.
fn process_cpu_us() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000 + used.tv_nsec as u64 / 1_000
}
