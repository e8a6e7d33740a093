//! A list as one shard has it: what its source has, which all shards share, and what rules and administrators have
//! added to it and taken away since.

use std::cell::Cell;
use std::sync::Arc;

use hashbrown::HashSet;
use hashlink::LinkedHashSet;

use super::definition::{Backend, ListSpec, MEMORY_ENTRIES};
use super::entries::{Entries, hash_of};
use super::sieve::Sieve;

/// Bytes of an entry that is added while rules run: those of the longest address (RFC 7622 §3.1).
const ENTRY_BYTES_MAX: usize = 3_071;

/// A list.
#[derive(Clone, Debug)]
pub struct List {
    spec: ListSpec,
    source: Arc<Entries>,
    /// The one that was added longest ago is first.
    added: LinkedHashSet<Box<str>>,
    /// What of the source is no longer there.
    removed: HashSet<Box<str>>,
}

/// All lists as one shard has them.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    all: Vec<List>,
    /// Of all their sources.
    sieve: Arc<Sieve>,
    /// The last hash that was asked for, and whether it passes: one text is mostly looked for in several lists.
    last: Cell<(u64, bool)>,
    /// Whether they may have more than their sources.
    has_changed: bool,
}

impl Lists {
    /// These, by number; `sieve` is of all their sources.
    pub fn new(all: Vec<List>, sieve: Arc<Sieve>) -> Lists {
        let last = Cell::new((0, sieve.passes(0)));
        let has_changed = all.iter().any(|list| !list.added.is_empty());
        Lists { all, sieve, last, has_changed }
    }

    /// The source of a list has something else now.
    pub fn set_source(&mut self, list: usize, source: Arc<Entries>, sieve: Arc<Sieve>) {
        self.last.set((0, sieve.passes(0)));
        self.sieve = sieve;
        if let Some(list) = self.all.get_mut(list) {
            list.set_source(source);
        }
    }

    /// Whether a text, of which this is the hash, is in a list.
    #[inline]
    pub fn has(&self, list: usize, text: &str, hash: u64) -> bool {
        let (last, passed) = self.last.get();
        let passes = if last == hash { passed } else { self.sieve.passes(hash) };
        if last != hash {
            self.last.set((hash, passes));
        }
        self.all.get(list).is_some_and(|list| if passes { list.has_hashed(text, hash) } else { list.has_added(text) })
    }

    /// Whether a text with this hash may be in any of them.
    #[inline]
    pub fn may_have(&self, hash: u64) -> bool {
        self.has_changed || self.sieve.passes(hash)
    }

    /// A list.
    pub fn get(&self, list: usize) -> Option<&List> {
        self.all.get(list)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, list: usize) -> Option<&mut List> {
        self.has_changed = true;
        self.all.get_mut(list)
    }

    /// All of them, in order.
    pub fn into_lists(self) -> Vec<List> {
        self.all
    }
}

impl List {
    /// A list with what its source has.
    pub fn new(spec: ListSpec, source: Arc<Entries>) -> List {
        List { spec, source, added: LinkedHashSet::new(), removed: HashSet::new() }
    }

    /// What defines it.
    pub fn spec(&self) -> &ListSpec {
        &self.spec
    }

    /// Its source has something else now. What was added and taken away stays so.
    pub fn set_source(&mut self, source: Arc<Entries>) {
        self.removed.retain(|text| source.has(text.as_bytes()));
        self.source = source;
    }

    /// Whether a text is in it. Filters have been applied.
    pub fn has(&self, text: &str) -> bool {
        self.has_hashed(text, hash_of(text.as_bytes()))
    }

    /// The same, if [`hash_of`] the text is known.
    #[inline]
    pub fn has_hashed(&self, text: &str, hash: u64) -> bool {
        let is_removed = || !self.removed.is_empty() && self.removed.contains(text);
        (self.source.has_hashed(text.as_bytes(), hash) && !is_removed()) || self.has_added(text)
    }

    /// Whether a text that its source does not have is in it.
    #[inline]
    fn has_added(&self, text: &str) -> bool {
        !self.added.is_empty() && self.added.contains(text)
    }

    /// Whether rules and administrators may change it.
    pub fn may_change(&self) -> bool {
        !matches!(self.spec.backend, Backend::Web(_))
    }

    /// Adds a text. Adding it again makes it the newest. What is longer than any address is not added.
    pub fn add(&mut self, text: &str) {
        if !self.may_change() || text.len() > ENTRY_BYTES_MAX {
            return;
        }
        self.removed.remove(text);
        if self.source.has(text.as_bytes()) {
            return;
        }
        self.added.insert(text.into());
        if self.added.len() > self.limit() {
            self.added.pop_front();
        }
    }

    /// Takes a text away. Whether it was there.
    pub fn remove(&mut self, text: &str) -> bool {
        let had = self.has(text);
        if had && self.may_change() {
            self.added.remove(text);
            if self.source.has(text.as_bytes()) && self.removed.len() < MEMORY_ENTRIES {
                self.removed.insert(text.into());
            }
        }
        had && self.may_change()
    }

    fn limit(&self) -> usize {
        match self.spec.backend {
            Backend::Memory { limit } => limit,
            _ => MEMORY_ENTRIES,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        (self.source.len() + self.added.len()).saturating_sub(self.removed.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, those that were added last in the order in which they were.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let source = self.source.iter().filter_map(|entry| std::str::from_utf8(entry).ok());
        let source = source.filter(|entry| !self.removed.contains(*entry));
        source.chain(self.added.iter().map(|entry| &**entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::Rules;

    fn list(definition: &str, source: &[&str]) -> List {
        let script = format!("%LIST l: {definition}\n\nCHECK LIST: l contains x\nDROP.\n");
        let (rules, _) = Rules::load(&[("x", &script)], Default::default()).unwrap();
        List::new(rules.lists[0].1.clone(), Arc::new(source.iter().map(|entry| entry.as_bytes()).collect()))
    }

    fn all(list: &List) -> Vec<&str> {
        let mut all: Vec<_> = list.iter().collect();
        all.sort_unstable();
        assert_eq!(all.len(), list.len());
        all
    }

    #[test]
    fn the_oldest_entry_goes_and_adding_again_refreshes() {
        let mut list = list("memory (limit: 2)", &[]);
        ["p", "q", "p", "t"].iter().for_each(|entry| list.add(entry));
        assert_eq!(all(&list), ["p", "t"]);
        assert!(list.remove("p") && !list.remove("p") && !list.has("p"));
        assert!(!list.is_empty());
    }

    #[test]
    fn what_was_taken_away_stays_away_when_the_source_changes() {
        let mut list = list("file:/x", &["a", "b"]);
        assert!(list.remove("a") && !list.has("a"));
        list.add("c");
        list.set_source(Arc::new([&b"a"[..], b"d"].into_iter().collect()));
        assert_eq!((list.has("a"), list.has("b"), list.has("c"), list.has("d")), (false, false, true, true));
        list.add("a");
        assert_eq!(all(&list), ["a", "c", "d"]);
    }

    #[test]
    fn many_lists_are_asked_together() {
        let [one, other] = [&["a", "b"][..], &["c"]].map(|source| list("file:/x", source));
        let sieve = Arc::new(Sieve::of([&*one.source, &*other.source].into_iter()));
        let mut lists = Lists::new(vec![one, other], sieve);
        let has = |lists: &Lists, text: &str| [0, 1].map(|list| lists.has(list, text, hash_of(text.as_bytes())));
        assert_eq!(has(&lists, "a"), [true, false]);
        assert_eq!(has(&lists, "c"), [false, true]);
        assert_eq!(has(&lists, "d"), [false, false]);
        lists.get_mut(0).unwrap().add("d");
        assert_eq!(has(&lists, "d"), [true, false]);
        let source: Arc<Entries> = Arc::new([&b"e"[..]].into_iter().collect());
        let sieve = Arc::new(Sieve::of([&*source].into_iter()));
        lists.set_source(1, source, sieve);
        assert_eq!(has(&lists, "e"), [false, true]);
        assert!(!lists.has(2, "e", hash_of(b"e")));
    }

    #[test]
    fn lists_of_the_web_are_what_they_are() {
        let mut list = list("https://x.example/", &["a"]);
        list.add("b");
        assert!(!list.remove("a") && list.has("a") && !list.has("b") && !list.may_change());
    }
}
