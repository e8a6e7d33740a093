//! Whoever looks at the server now and then, for those who ask later: how much has come within the last minute, and how
//! many accounts there are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use rondel_shards::Metrics;
use rondel_storage::{Store, accounts};

use super::repeating::Repeating;
use crate::admin::{Counted, Lately};
use crate::shard::Settings;

/// How often the observer looks.
const EVERY: Duration = Duration::from_secs(5);

/// Looks that are kept: a minute's.
const LOOKS: usize = 13;

/// Accounts that are counted in one go.
const ACCOUNTS_AT_ONCE: usize = 4096;

/// How long the observer does not count accounts after it has: so many times as long as counting took, but not less
/// than this.
const RESTS: u32 = 100;
const RESTS_AT_LEAST: Duration = Duration::from_secs(4);

/// How nice its thread is.
const NICE: i32 = 19;

/// What is counted, for a look.
type Totals = Vec<(&'static str, u64)>;

/// What was seen.
#[derive(Default)]
struct Seen {
    looks: VecDeque<(Instant, Totals)>,
    accounts: Vec<Counted>,
}

/// Where everything that is looked at is.
pub struct Observed {
    /// The counters of the runtime.
    pub metrics: Vec<Arc<Metrics>>,
    /// Those of the shards.
    pub settings: Arc<Settings>,
    /// Accounts.
    pub store: Arc<Store>,
}

/// Whoever looks, until this is dropped.
pub struct Observer {
    seen: Arc<Mutex<Seen>>,
    observed: Arc<Observed>,
    _looks: Repeating,
}

impl Observer {
    /// Starts it.
    pub fn start(observed: Observed) -> std::io::Result<Observer> {
        let observed = Arc::new(observed);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut counts_at = Instant::now();
        let looks = Repeating::start("observer", Some(NICE), EVERY, {
            let (observed, seen) = (Arc::clone(&observed), Arc::clone(&seen));
            move |ended| look(&observed, &seen, &mut counts_at, ended)
        })?;
        Ok(Observer { seen, observed, _looks: looks })
    }

    /// How much has come within the last minute, or since the server has started.
    pub fn lately(&self) -> Lately {
        let now = Instant::now();
        let totals = self.observed.totals();
        let seen = self.seen();
        let Some((since, before)) = seen.looks.front() else { return Lately::default() };
        let grown = totals.iter().zip(before);
        let counted = grown.map(|((name, now), (_, before))| Counted::shared(name, now.saturating_sub(*before)));
        Lately { within_ms: now.duration_since(*since).as_millis() as u64, counted: counted.collect() }
    }

    /// How many accounts each domain has, as they were counted last.
    pub fn accounts(&self) -> Vec<Counted> {
        self.seen().accounts.clone()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks once, and counts accounts if that is due again.
fn look(observed: &Observed, seen: &Mutex<Seen>, counts_at: &mut Instant, ended: &Receiver<()>) {
    let lock = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    {
        let mut seen = lock();
        if seen.looks.len() == LOOKS {
            seen.looks.pop_front();
        }
        seen.looks.push_back((Instant::now(), observed.totals()));
    }
    let began = Instant::now();
    if began < *counts_at {
        return;
    }
    if let Some(accounts) = observed.count_accounts(ended) {
        lock().accounts = accounts;
    }
    *counts_at = Instant::now() + (began.elapsed() * RESTS).max(RESTS_AT_LEAST);
}

impl Observed {
    /// What is counted and of interest by the minute, always in the same order.
    fn totals(&self) -> Totals {
        let storage = self.store.metrics();
        let of_runtime = |of: fn(&Metrics) -> u64| self.metrics.iter().map(|metrics| of(metrics)).sum();
        let counts: Vec<_> = self.settings.counts.iter().map(|counts| counts.snapshot()).collect();
        let of_shards = |of: fn(&crate::shard::CountsSnapshot) -> u64| counts.iter().map(of).sum();
        vec![
            ("stanzas", of_shards(|counts| counts.stanzas)),
            ("archived", of_shards(|counts| counts.archived)),
            ("offline", of_shards(|counts| counts.offline)),
            ("logins", of_shards(|counts| counts.logins)),
            ("failed-logins", of_shards(|counts| counts.failed_logins)),
            ("accepted", of_runtime(|metrics| metrics.accepted.get())),
            ("refused-by-limits", of_shards(|counts| counts.refused_by_limits)),
            ("bytes-read", of_runtime(|metrics| metrics.bytes_read.get())),
            ("bytes-sent", of_runtime(|metrics| metrics.bytes_sent.get())),
            ("writes", storage.writes),
            ("syncs", storage.syncs),
        ]
    }

    /// How many accounts each domain has; nothing if the server ends. A domain that cannot be read is not in it.
    fn count_accounts(&self, ended: &Receiver<()>) -> Option<Vec<Counted>> {
        let negotiation = &self.settings.negotiation;
        let domains = negotiation.domains.iter().filter(|domain| negotiation.anonymous.as_ref() != Some(domain));
        let mut all = Vec::new();
        'domains: for domain in domains {
            let mut number = 0;
            let mut request = Some(accounts::list(Some(domain), ACCOUNTS_AT_ONCE));
            while let Some(current) = request {
                if ended.try_recv() == Err(crossbeam::channel::TryRecvError::Disconnected) {
                    return None;
                }
                let Ok(page) = self.store.page(current.clone()) else { continue 'domains };
                number += page.entries.len() as u64;
                request = current.next(&page);
            }
            all.push(Counted::of("accounts", domain, number));
        }
        Some(all)
    }
}
