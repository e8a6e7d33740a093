//! A store in memory, with the preconditions of the real one.

use rondel_storage::{Family, Operation, Outcome, Page, PageRequest, Precondition, ReadRequest, WriteRequest};
use std::collections::BTreeMap;

#[derive(Clone, Default)]
pub(super) struct Memory(pub(super) BTreeMap<(Family, Vec<u8>), Vec<u8>>);

impl Memory {
    /// Writes a request; `false` if it is refused.
    pub(super) fn write(&mut self, request: &WriteRequest) -> bool {
        let holds = |condition: &Precondition| match condition {
            Precondition::Absent(family, key) => !self.0.contains_key(&(*family, key.clone())),
            Precondition::Present(family, key) => self.0.contains_key(&(*family, key.clone())),
            Precondition::Equals(family, key, value) => self.0.get(&(*family, key.clone())) == Some(value),
        };
        if !request.preconditions().iter().all(holds) {
            return false;
        }
        for operation in request.operations() {
            match operation {
                Operation::Put(family, key, value) => drop(self.0.insert((*family, key.clone()), value.clone())),
                Operation::Delete(family, key) => drop(self.0.remove(&(*family, key.clone()))),
                Operation::DeleteRange(family, from, to) => {
                    self.0.retain(|(of, key), _| of != family || key < from || key >= to);
                }
            }
        }
        true
    }

    pub(super) fn read(&self, request: &ReadRequest) -> Outcome {
        let get = |family: &Family, key: &Vec<u8>| self.0.get(&(*family, key.clone())).cloned();
        match request {
            ReadRequest::Get(family, key) => Outcome::Value(get(family, key)),
            ReadRequest::MultiGet(family, keys) => Outcome::Values(keys.iter().map(|key| get(family, key)).collect()),
            ReadRequest::Page(page) => Outcome::Page(self.page(page)),
            other => panic!("not asked by the engine: {other:?}"),
        }
    }

    fn page(&self, request: &PageRequest) -> Page {
        let from = (request.family, request.from.clone());
        let is_before_end = |key: &[u8]| request.to.as_deref().is_none_or(|to| key < to);
        let range =
            self.0.range(from..).take_while(|((family, key), _)| *family == request.family && is_before_end(key));
        let mut entries: Vec<_> = range.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        if request.reverse {
            entries.reverse();
        }
        let complete = entries.len() <= request.entries_max;
        entries.truncate(request.entries_max);
        Page { entries, complete }
    }
}
