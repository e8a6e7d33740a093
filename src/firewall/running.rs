//! Rules as a server runs them: what all its shards share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use rondel_shards::{Counter, Rate};

use super::entries::Entries;
use super::loaded::Loaded;
use super::places::Places;
use super::shared_bucket::SharedBucket;
use super::sieve::Sieve;
use super::{Backend, Bucket, Groups, Rules};

/// Rules that run.
#[derive(Debug)]
pub struct Running {
    /// The rules.
    pub rules: Rules,
    /// Who belongs together.
    pub groups: Groups,
    /// Where addresses are.
    pub places: Option<Places>,
    /// By the number of a list: what its source has just now.
    sources: Vec<ArcSwap<Entries>>,
    /// Of what all of them have.
    sieve: ArcSwap<Sieve>,
    /// By id: what is counted for all shards together.
    shared: HashMap<u64, Arc<SharedBucket>>,
    counts: Vec<Counts>,
}

/// What one shard has counted.
#[derive(Debug)]
struct Counts {
    /// By the number of a rule: how often it has held.
    hits: Box<[Counter]>,
    /// Stanzas for which something was too dear.
    overspent: Counter,
    /// Events that were over a limit because there was no room for one more key.
    refused: Counter,
}

/// How often a rule has held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleHits<'r> {
    /// The script.
    pub script: &'r str,
    /// The chain.
    pub chain: &'r str,
    /// The line in which the rule begins.
    pub line: u32,
    /// How often.
    pub hits: u64,
}

impl Running {
    /// What was loaded, to be run by so many shards. What is counted goes on where its definition and its place are as
    /// before, and what was fetched from elsewhere stays until it is fetched again.
    pub fn new(loaded: Loaded, shards: usize, before: Option<&Running>) -> Running {
        let Loaded { rules, sources, groups, places } = loaded;
        let shared = rules.buckets.iter().map(|bucket| {
            let known = before.and_then(|before| before.shared.get(&bucket.id)).cloned();
            (bucket.id, known.unwrap_or_default())
        });
        let sources = rules.lists.iter().zip(sources).map(|((name, spec), read)| {
            let is_elsewhere = matches!(spec.backend, Backend::Web(_) | Backend::Pubsub { .. });
            let known = before.filter(|_| is_elsewhere).and_then(|before| {
                let number = before.rules.list(name)?;
                (before.rules.lists[number].1 == *spec).then(|| before.source(number))
            });
            ArcSwap::new(known.unwrap_or(read))
        });
        let counts = || Counts {
            hits: (0..rules.rules).map(|_| Counter::default()).collect(),
            overspent: Counter::default(),
            refused: Counter::default(),
        };
        let counts = (0..shards).map(|_| counts()).collect();
        let sources: Vec<ArcSwap<Entries>> = sources.collect();
        let sieve = ArcSwap::from_pointee(sieve_of(&sources));
        Running { shared: shared.collect(), sources, sieve, counts, groups, places, rules }
    }

    /// What the source of a list has just now.
    pub fn source(&self, list: usize) -> Arc<Entries> {
        self.sources.get(list).map(ArcSwap::load_full).unwrap_or_default()
    }

    /// The source of a list has something else now. Shards have to be told.
    pub fn set_source(&self, list: usize, entries: Arc<Entries>) {
        if let Some(source) = self.sources.get(list) {
            source.store(entries);
            self.sieve.store(Arc::new(sieve_of(&self.sources)));
        }
    }

    /// What is in none of the sources.
    pub fn sieve(&self) -> Arc<Sieve> {
        self.sieve.load_full()
    }

    /// Counts one event that is not told apart from others. Whether there have been too many.
    pub fn is_over(&self, id: u64, rate: Rate, now_ms: u64) -> bool {
        self.shared.get(&id).is_some_and(|bucket| bucket.is_over(rate, now_ms))
    }

    /// What is counted under an id.
    pub fn bucket(&self, id: u64) -> Option<&Bucket> {
        self.rules.buckets.iter().find(|bucket| bucket.id == id)
    }

    /// A rule has held on a shard: for that shard alone.
    #[inline]
    pub fn hit(&self, shard: usize, rule: usize) {
        if let Some(hits) = self.counts.get(shard).and_then(|counts| counts.hits.get(rule)) {
            hits.add(1);
        }
    }

    /// Something was too dear on a shard: for that shard alone.
    pub fn overspent(&self, shard: usize) {
        self.counts.get(shard).into_iter().for_each(|counts| counts.overspent.add(1));
    }

    /// How many events a shard has had no room for: for that shard alone.
    pub fn set_refused(&self, shard: usize, refused: u64) {
        self.counts.get(shard).into_iter().for_each(|counts| counts.refused.set(refused));
    }

    /// How often each rule has held, in the order in which they stand.
    pub fn hits(&self) -> Vec<RuleHits<'_>> {
        let rules = self.rules.chains.iter().flat_map(|chain| chain.rules.iter().map(move |rule| (chain, rule)));
        let mut hits: Vec<(usize, RuleHits<'_>)> = rules
            .map(|(chain, rule)| {
                let all = self.counts.iter().filter_map(|counts| counts.hits.get(rule.number));
                let script = &self.rules.scripts[chain.script].name;
                let hits = all.map(Counter::get).sum();
                (chain.script, RuleHits { script, chain: &chain.name, line: rule.line, hits })
            })
            .collect();
        hits.sort_by_key(|(script, hits)| (*script, hits.line));
        hits.into_iter().map(|(_, hits)| hits).collect()
    }

    /// For how many stanzas something was too dear, and how many events there was no room for.
    pub fn troubles(&self) -> (u64, u64) {
        let sum = |of: fn(&Counts) -> &Counter| self.counts.iter().map(|counts| of(counts).get()).sum();
        (sum(|counts| &counts.overspent), sum(|counts| &counts.refused))
    }
}

fn sieve_of(sources: &[ArcSwap<Entries>]) -> Sieve {
    let sources: Vec<Arc<Entries>> = sources.iter().map(ArcSwap::load_full).collect();
    Sieve::of(sources.iter().map(|source| &**source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(text: &str, before: Option<&Running>) -> Running {
        let (rules, _) = Rules::load(&[("s", text)], Default::default()).unwrap();
        let sources = rules.lists.iter().map(|_| Arc::default()).collect();
        Running::new(Loaded { rules, sources, ..Loaded::default() }, 2, before)
    }

    #[test]
    fn what_is_counted_and_fetched_goes_on_where_its_definition_is_the_same() {
        let text = "%RATE r: 1\n%LIST l: https://x.example/\n\nLIMIT: r\nCHECK LIST: l contains $<@from>\nDROP.\n";
        let first = running(text, None);
        let id = |running: &Running| (running.rules.buckets[0].id, running.rules.buckets[0].spec.rate);
        let take = |running: &Running| running.is_over(id(running).0, id(running).1, 0);
        assert!(!take(&first) && take(&first));
        first.set_source(0, Arc::new([&b"a"[..]].into_iter().collect()));
        let second = running(text, Some(&first));
        assert!(take(&second) && second.source(0).has(b"a"));
        let third = running(&text.replace("r: 1", "r: 2").replace("x.example", "y.example"), Some(&second));
        assert!(!take(&third) && third.source(0).is_empty());
    }

    #[test]
    fn hits_of_all_shards_are_told_in_the_order_of_the_lines() {
        let running = running("KIND: iq\nDROP.\n\n::preroute\nKIND: message\nDROP.\n", None);
        running.hit(0, 1);
        running.hit(1, 1);
        running.overspent(1);
        running.set_refused(0, 3);
        let hits: Vec<_> = running.hits().iter().map(|rule| (rule.chain, rule.line, rule.hits)).collect();
        assert_eq!(hits.iter().map(|(_, line, _)| *line).collect::<Vec<_>>(), [1, 5]);
        assert_eq!(hits.iter().map(|(_, _, hits)| hits).sum::<u64>(), 2);
        assert_eq!(running.troubles(), (1, 3));
    }
}
