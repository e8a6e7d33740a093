//! A set of addresses that takes as little memory as it can: thousands of accounts keep some for as long as somebody is
//! logged in, and ask them for every stanza.

use std::cmp::Ordering;

/// Bytes of a number in the list.
const NUMBER: usize = size_of::<u32>();

/// Addresses in normal form, each once, sorted, in one allocation; none if there are no addresses.
///
/// Looking for an address allocates nothing and takes as many comparisons as the logarithm of their count.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct JidList {
    /// How many there are; where each of them ends, counted from the first; all of them, one behind the other.
    bytes: Box<[u8]>,
}

impl JidList {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.number(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether this address is one of them, exactly as it stands there.
    pub fn contains(&self, jid: &str) -> bool {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            match self.at(middle).cmp(jid.as_bytes()) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return true,
                Ordering::Greater => to = middle,
            }
        }
        false
    }

    /// The addresses, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        // What went in were texts.
        (0..self.len()).map(|index| std::str::from_utf8(self.at(index)).unwrap_or_default())
    }

    /// The same with some more.
    pub fn with<'a>(&'a self, jids: impl IntoIterator<Item = &'a str>) -> JidList {
        self.iter().chain(jids).collect()
    }

    /// The same without some.
    pub fn without<'a>(&self, jids: impl IntoIterator<Item = &'a str>) -> JidList {
        let gone: JidList = jids.into_iter().collect();
        self.iter().filter(|jid| !gone.contains(jid)).collect()
    }

    /// Bytes that are allocated for it.
    pub fn allocated_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn at(&self, index: usize) -> &[u8] {
        let texts = NUMBER * (1 + self.len());
        let start = if index == 0 { 0 } else { self.number(index) };
        self.bytes.get(texts + start..texts + self.number(index + 1)).unwrap_or_default()
    }

    /// The number at a position; zero where there is none.
    fn number(&self, position: usize) -> usize {
        let bytes = self.bytes.get(NUMBER * position..).and_then(|bytes| bytes.first_chunk::<NUMBER>());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
    }
}

impl<S: AsRef<str>> FromIterator<S> for JidList {
    /// Sorts them and takes each once. What does not fit into four gigabytes is left out; limits are far below.
    fn from_iter<I: IntoIterator<Item = S>>(jids: I) -> JidList {
        let mut jids: Vec<S> = jids.into_iter().collect();
        jids.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        jids.dedup_by(|one, other| one.as_ref() == other.as_ref());
        let mut total = 0u32;
        let mut ends = Vec::with_capacity(jids.len());
        for jid in &jids {
            let Some(end) = u32::try_from(jid.as_ref().len()).ok().and_then(|len| total.checked_add(len)) else {
                break;
            };
            total = end;
            ends.push(end);
        }
        let count = match u32::try_from(ends.len()) {
            Ok(0) | Err(_) => return JidList::default(),
            Ok(count) => count,
        };
        let mut bytes = Vec::with_capacity(NUMBER * (1 + ends.len()) + total as usize);
        bytes.extend_from_slice(&count.to_le_bytes());
        ends.iter().for_each(|end| bytes.extend_from_slice(&end.to_le_bytes()));
        jids.iter().take(ends.len()).for_each(|jid| bytes.extend_from_slice(jid.as_ref().as_bytes()));
        JidList { bytes: bytes.into() }
    }
}

impl std::fmt::Debug for JidList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_empty_list_has_no_allocation() {
        let list = JidList::from_iter([] as [&str; 0]);
        assert_eq!((list.len(), list.is_empty(), list.allocated_bytes()), (0, true, 0));
        assert!(!list.contains(""));
        assert_eq!(list.without(["a@b"]), JidList::default());
    }

    #[test]
    fn an_address_takes_its_bytes_and_four() {
        let list = JidList::from_iter(["romeo@montague.net", "iago@shakespeare.lit"]);
        assert_eq!(list.allocated_bytes(), 4 + 2 * 4 + 18 + 20);
        assert_eq!(size_of::<JidList>(), 16);
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_set(
            jids in prop::collection::vec("[a-c@é]{0,3}", 0..20),
            added in prop::collection::vec("[a-c@é]{0,3}", 0..5),
            removed in prop::collection::vec("[a-c@é]{0,3}", 0..5),
        ) {
            let mut set: BTreeSet<&str> = jids.iter().map(String::as_str).collect();
            let list = JidList::from_iter(&jids);
            prop_assert!(list.iter().eq(set.iter().copied()));
            let list = list.with(added.iter().map(String::as_str));
            set.extend(added.iter().map(String::as_str));
            let list = list.without(removed.iter().map(String::as_str));
            set.retain(|jid| !removed.iter().any(|removed| removed == jid));
            prop_assert!(list.iter().eq(set.iter().copied()));
            prop_assert_eq!((list.len(), list.is_empty()), (set.len(), set.is_empty()));
            for jid in jids.iter().chain(&added).chain(&removed) {
                prop_assert_eq!(list.contains(jid), set.contains(jid.as_str()));
            }
        }
    }
}
