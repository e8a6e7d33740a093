//! A list as one shard has it: what its source has, which all shards share, and what rules and administrators have
//! added to it and taken away since.

use std::sync::Arc;

use hashbrown::HashSet;
use hashlink::LinkedHashSet;

use super::definition::{Backend, ListSpec, MEMORY_ENTRIES};
use super::entries::{Entries, hash_of};

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
        let is_added = || !self.added.is_empty() && self.added.contains(text);
        (self.source.has_hashed(text.as_bytes(), hash) && !is_removed()) || is_added()
    }

    /// Whether rules and administrators may change it.
    pub fn may_change(&self) -> bool {
        !matches!(self.spec.backend, Backend::Web(_))
    }

    /// Adds a text. Adding it again makes it the newest.
    pub fn add(&mut self, text: &str) {
        if !self.may_change() {
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
        self.source.len() + self.added.len() - self.removed.len()
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
    fn lists_of_the_web_are_what_they_are() {
        let mut list = list("https://x.example/", &["a"]);
        list.add("b");
        assert!(!list.remove("a") && list.has("a") && !list.has("b") && !list.may_change());
    }
}
