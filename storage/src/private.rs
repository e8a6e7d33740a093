//! Private XML storage: what an account's clients keep for themselves (XEP-0049).
//!
//! Key: `owner 0x00 namespace 0x00 name`, of the element that is kept; neither part has a byte 0x00. Value: [`Item`].
//! At `owner 0x00`, where no element can be, stands what all of them take together ([`Totals`]), so that a limit holds
//! without reading them: every change is based on it and refused if it has changed since.

use crate::codec::{DecodeError, LoadError, Versioned};
use crate::reply::{Outcome, Page};
use crate::{Family, Owner, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PageRequest, ReadRequest, WriteRequest};
use serde::{Deserialize, Serialize};

const FAMILY: Family = Family::Private;

/// An element's namespace and name.
pub type Name = (String, String);

/// What is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Item {
    /// One or more elements of this namespace and name, as they stand in a client's stream.
    pub xml: Vec<u8>,
}

/// What everything that an account keeps takes together.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Names under which something is kept.
    pub items: u64,
    /// Bytes of what is kept and of its names.
    pub bytes: u64,
}

impl Versioned for Item {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "private";
}

impl Versioned for Totals {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "private";
}

/// What has to be known for a change: made by [`Change::decode`] from the outcome of [`prepare`].
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The totals as they were read; `None` if nothing was kept yet.
    before: Option<Vec<u8>>,
    totals_before: Totals,
    totals: Totals,
    write: WriteRequest,
}

/// Reads one item; see [`decode`].
pub fn get(owner: &Owner, namespace: &str, name: &str) -> ReadRequest {
    ReadRequest::Get(FAMILY, FAMILY.key(owner, &rest(namespace, name)))
}

/// The item in the outcome of [`get`], or `None` if there is none.
pub fn decode(owner: &Owner, namespace: &str, name: &str, outcome: Outcome) -> Result<Option<Item>, LoadError> {
    match outcome {
        Outcome::Value(None) => Ok(None),
        Outcome::Value(Some(value)) => Ok(Some(Item::decode(&FAMILY.key(owner, &rest(namespace, name)), &value)?)),
        other => Err(LoadError::unexpected(other)),
    }
}

/// Reads what a change of these items is based on; see [`Change::decode`].
pub fn prepare<'a>(owner: &Owner, names: impl IntoIterator<Item = &'a Name>) -> ReadRequest {
    let items = names.into_iter().map(|(namespace, name)| FAMILY.key(owner, &rest(namespace, name)));
    ReadRequest::MultiGet(FAMILY, std::iter::once(FAMILY.key(owner, b"")).chain(items).collect())
}

/// Reads all that an account keeps; see [`decode_page`].
pub fn list(owner: &Owner) -> PageRequest {
    PageRequest {
        family: FAMILY,
        from: owner.key(&[1]),
        to: Some(owner.end()),
        reverse: false,
        entries_max: PAGE_ENTRIES_MAX,
        bytes_max: PAGE_BYTES_MAX,
    }
}

/// The items in a page of [`list`]. One that cannot be decoded does not hide the others.
pub fn decode_page(page: &Page) -> Vec<Result<Item, DecodeError>> {
    page.entries.iter().map(|(key, value)| Item::decode(key, value)).collect()
}

impl Change {
    /// The change that sets the items of [`prepare`], in the same order and each name once, to this: `None` removes.
    /// It is refused ([`Outcome::Refused`]) if anything has changed since: prepare it again.
    pub fn decode(owner: &Owner, items: &[(Name, Option<Item>)], outcome: Outcome) -> Result<Change, LoadError> {
        let values = match outcome {
            Outcome::Values(values) if values.len() == items.len() + 1 => values,
            other => return Err(LoadError::unexpected(other)),
        };
        let key = FAMILY.key(owner, b"");
        let mut values = values.into_iter();
        let before = values.next().flatten();
        let totals_before = match &before {
            Some(bytes) => Totals::decode(&key, bytes)?,
            None => Totals::default(),
        };
        let mut totals = totals_before;
        let mut write = WriteRequest::new(owner.clone());
        for (((namespace, name), item), value) in items.iter().zip(values) {
            let key = rest(namespace, name);
            if let Some(value) = value {
                let old = Item::decode(&FAMILY.key(owner, &key), &value)?;
                totals.items = totals.items.saturating_sub(1);
                totals.bytes = totals.bytes.saturating_sub(size(&key, &old));
            }
            write = match item {
                Some(item) => {
                    totals.items = totals.items.saturating_add(1);
                    totals.bytes = totals.bytes.saturating_add(size(&key, item));
                    write.put(FAMILY, &key, item.encode())
                }
                None => write.delete(FAMILY, &key),
            };
        }
        Ok(Change { before, totals_before, totals, write })
    }

    /// What everything will take together.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether it will be more than before, in names or in bytes.
    pub fn grows(&self) -> bool {
        self.totals.items > self.totals_before.items || self.totals.bytes > self.totals_before.bytes
    }

    /// What has to be written.
    pub fn into_request(self) -> WriteRequest {
        let write = match self.before {
            Some(before) => self.write.require_equals(FAMILY, b"", before),
            None => self.write.require_absent(FAMILY, b""),
        };
        write.put(FAMILY, b"", self.totals.encode())
    }
}

fn rest(namespace: &str, name: &str) -> Vec<u8> {
    [namespace.as_bytes(), &[0], name.as_bytes()].concat()
}

fn size(key: &[u8], item: &Item) -> u64 {
    (key.len() + item.xml.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn juliet() -> Owner {
        Owner::parse("juliet@example.org").unwrap()
    }

    fn change(store: &Store, items: &[(Name, Option<Item>)]) -> Change {
        let outcome = store.read_blocking(&prepare(&juliet(), items.iter().map(|(name, _)| name)));
        Change::decode(&juliet(), items, outcome).unwrap()
    }

    fn name(name: &str) -> Name {
        ("exodus:prefs".to_owned(), name.to_owned())
    }

    fn item(xml: &str) -> Option<Item> {
        Some(Item { xml: xml.as_bytes().to_vec() })
    }

    #[test]
    fn items_are_kept_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(dir.path())).unwrap();
        let read = |outcome| decode(&juliet(), "exodus:prefs", "a", outcome).unwrap();
        let kept = |name: &str| read(store.read_blocking(&get(&juliet(), "exodus:prefs", name)));
        let first = change(&store, &[(name("a"), item("12345")), (name("b"), item("1"))]);
        assert_eq!(first.totals(), Totals { items: 2, bytes: 2 * 14 + 6 });
        // Of two changes that are based on the same state the second one is refused.
        let late = change(&store, &[(name("c"), item("1"))]).into_request();
        assert_eq!(store.write_blocking(first.into_request()), Outcome::Written);
        assert_eq!(store.write_blocking(late), Outcome::Refused(0));
        assert_eq!((kept("a"), kept("c")), (item("12345"), None));
        let all = decode_page(&store.page(list(&juliet())).unwrap());
        assert_eq!(all.into_iter().map(|item| item.ok()).collect::<Vec<_>>(), [item("12345"), item("1")]);
        let second = change(&store, &[(name("a"), None), (name("b"), item("123")), (name("c"), None)]);
        assert_eq!(second.totals(), Totals { items: 1, bytes: 14 + 3 });
        let late = change(&store, &[(name("c"), item("1"))]).into_request();
        assert_eq!(store.write_blocking(second.into_request()), Outcome::Written);
        assert_eq!(store.write_blocking(late), Outcome::Refused(0));
        assert_eq!((kept("a"), kept("b")), (None, item("123")));
    }

    #[test]
    fn the_encodings_of_version_1_stay() {
        assert_eq!(Item { xml: b"<a/>".to_vec() }.encode(), b"\x01\x04<a/>");
        assert_eq!(Totals { items: 2, bytes: 300 }.encode(), [1, 2, 0xac, 2]);
    }

    #[test]
    fn the_outcome_of_another_request_is_refused() {
        let items = [(name("a"), item("1"))];
        assert!(Change::decode(&juliet(), &items, Outcome::Values(vec![None])).is_err());
        assert!(Change::decode(&juliet(), &items, Outcome::Value(None)).is_err());
        assert!(decode(&juliet(), "exodus:prefs", "a", Outcome::Written).is_err());
    }

    proptest! {
        /// Whatever is set and removed, the totals are those of what is there.
        #[test]
        fn totals_are_true(steps in prop::collection::vec((0..4usize, prop::option::of(0..9usize)), 0..20)) {
            let mut kept = BTreeMap::new();
            let mut values: Vec<Option<Vec<u8>>> = vec![None; 4];
            let mut totals = None;
            for (index, length) in steps {
                let key = name(&index.to_string());
                let item = length.map(|length| Item { xml: vec![b'x'; length] });
                let outcome = Outcome::Values(vec![totals.take(), values[index].take()]);
                let change = Change::decode(&juliet(), &[(key, item.clone())], outcome).unwrap();
                values[index] = item.as_ref().map(Versioned::encode);
                totals = Some(change.totals().encode());
                kept.remove(&index);
                kept.extend(item.map(|item| (index, item.xml.len() as u64 + 14)));
                let expected = Totals { items: kept.len() as u64, bytes: kept.values().sum() };
                prop_assert_eq!(change.totals(), expected);
            }
        }

        #[test]
        fn no_bytes_panic(value: Vec<u8>) {
            decode(&juliet(), "a", "b", Outcome::Value(Some(value.clone()))).ok();
            let items = [(name("a"), None)];
            Change::decode(&juliet(), &items, Outcome::Values(vec![Some(value.clone()), Some(value)])).ok();
        }
    }
}
