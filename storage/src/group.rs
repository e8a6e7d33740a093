//! One group of write requests: which of them may be written, judged without I/O.
//!
//! All requests of a group go into one batch. Each one's preconditions are judged as if the requests before it had
//! been written already: against the store, overlaid by what the group's admitted members change.

use crate::archive::log::Logged;
use crate::{Failure, Family, Operation, Precondition, WriteRequest};
use std::collections::HashMap;

/// What happens to one member of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Admit,
    /// The precondition with this index does not hold.
    Refuse(usize),
    /// A precondition could not be judged, because the store could not be read.
    Fail(Failure),
}

/// Judges the requests in their order. `lookup` reads a value from the store as it was before the group.
pub(crate) fn judge<'g>(
    requests: impl Iterator<Item = &'g WriteRequest> + Clone,
    lookup: impl Fn(Family, &[u8]) -> Result<Option<Vec<u8>>, Failure>,
) -> Vec<Verdict> {
    let mut asked = [false; Family::ALL.len()];
    for condition in requests.clone().flat_map(WriteRequest::preconditions) {
        asked[condition.family() as usize] = true;
    }
    if asked == [false; Family::ALL.len()] {
        return requests.map(|_| Verdict::Admit).collect();
    }
    let mut overlay = Overlay::default();
    let judge_one = |request: &'g WriteRequest| {
        for (index, condition) in request.preconditions().iter().enumerate() {
            match overlay.holds(condition, &lookup) {
                Ok(true) => {}
                Ok(false) => return Verdict::Refuse(index),
                Err(failure) => return Verdict::Fail(failure),
            }
        }
        // A group is mostly messages, of which no condition speaks.
        let relevant = request.operations().iter().filter(|operation| asked[operation.family() as usize]);
        relevant.for_each(|operation| overlay.apply(operation));
        if asked[Family::Archive as usize] {
            overlay.append(request);
        }
        Verdict::Admit
    };
    requests.map(judge_one).collect()
}

/// What the admitted members of the group change in families that conditions speak of.
#[derive(Default)]
struct Overlay<'g> {
    /// The latest value of each key, `None` for a removed one.
    values: HashMap<(Family, &'g [u8]), Option<&'g [u8]>>,
    /// Removed ranges. What was put into them afterwards is in `values`, which is looked at first.
    ranges: Vec<(Family, &'g [u8], &'g [u8])>,
}

impl<'g> Overlay<'g> {
    fn apply(&mut self, operation: &'g Operation) {
        match operation {
            Operation::Put(family, key, value) => {
                self.values.insert((*family, key), Some(value));
            }
            Operation::Delete(family, key) => {
                self.values.insert((*family, key), None);
            }
            Operation::DeleteRange(family, from, to) => {
                self.values.retain(|(of, key), _| of != family || *key < &from[..] || *key >= &to[..]);
                self.ranges.push((*family, from, to));
            }
        }
    }

    fn append(&mut self, request: &'g WriteRequest) {
        for entry in request.appends().entries() {
            if let Logged::Append { key, value, .. } = entry {
                self.values.insert((Family::Archive, key), Some(value));
            }
        }
    }

    fn holds(
        &self,
        condition: &Precondition,
        lookup: impl Fn(Family, &[u8]) -> Result<Option<Vec<u8>>, Failure>,
    ) -> Result<bool, Failure> {
        let (family, key) = (condition.family(), condition.key());
        let stored;
        let value = match self.values.get(&(family, key)) {
            Some(value) => *value,
            None if self.removed(family, key) => None,
            None => {
                stored = lookup(family, key)?;
                stored.as_deref()
            }
        };
        Ok(match condition {
            Precondition::Absent(..) => value.is_none(),
            Precondition::Present(..) => value.is_some(),
            Precondition::Equals(_, _, expected) => value == Some(expected),
        })
    }

    fn removed(&self, family: Family, key: &[u8]) -> bool {
        self.ranges.iter().any(|&(of, from, to)| of == family && key >= from && key < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FailureKind, Owner};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Model = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

    fn holds(model: &Model, condition: &Precondition) -> bool {
        match condition {
            Precondition::Absent(family, key) => !model.contains_key(&(*family, key.clone())),
            Precondition::Present(family, key) => model.contains_key(&(*family, key.clone())),
            Precondition::Equals(family, key, value) => model.get(&(*family, key.clone())) == Some(value),
        }
    }

    fn apply(model: &mut Model, operation: &Operation) {
        match operation {
            Operation::Put(family, key, value) => drop(model.insert((*family, key.clone()), value.clone())),
            Operation::Delete(family, key) => drop(model.remove(&(*family, key.clone()))),
            Operation::DeleteRange(family, from, to) => {
                model.retain(|(of, key), _| of != family || key < from || key >= to);
            }
        }
    }

    /// The reference: each request is written before the next is judged.
    fn one_by_one(mut model: Model, requests: &[WriteRequest]) -> Vec<Verdict> {
        let judge_one = |request: &WriteRequest| {
            if let Some(index) = request.preconditions().iter().position(|condition| !holds(&model, condition)) {
                return Verdict::Refuse(index);
            }
            request.operations().iter().for_each(|operation| apply(&mut model, operation));
            Verdict::Admit
        };
        requests.iter().map(judge_one).collect()
    }

    fn family() -> impl Strategy<Value = Family> {
        prop_oneof![Just(Family::Accounts), Just(Family::Meta)]
    }

    /// Few keys and values, so that requests meet.
    fn request() -> impl Strategy<Value = WriteRequest> {
        let step = (0u8..6, family(), 0u8..4, 0u8..4);
        prop::collection::vec(step, 0..5).prop_map(|steps| {
            let empty = WriteRequest::new(Owner::parse("a@b").unwrap());
            steps.into_iter().fold(empty, |request, (kind, family, a, b)| match kind {
                0 => request.require_absent(family, &[a]),
                1 => request.require_present(family, &[a]),
                2 => request.require_equals(family, &[a], vec![b]),
                3 => request.put(family, &[a], vec![b]),
                4 => request.delete(family, &[a]),
                _ => request.delete_range(family, &[a], &[b]),
            })
        })
    }

    proptest! {
        #[test]
        fn a_group_is_judged_as_if_written_one_by_one(
            before in prop::collection::vec(request(), 0..4),
            group in prop::collection::vec(request(), 0..8),
        ) {
            let mut model = Model::new();
            before.iter().flat_map(|request| request.operations()).for_each(|operation| apply(&mut model, operation));
            let verdicts = judge(group.iter(), |family, key| Ok(model.get(&(family, key.to_vec())).cloned()));
            prop_assert_eq!(verdicts, one_by_one(model, &group));
        }
    }

    #[test]
    fn an_unreadable_store_fails_only_who_asked_it() {
        let owner = Owner::parse("a@b").unwrap();
        let asks = WriteRequest::new(owner.clone()).require_absent(Family::Accounts, b"");
        let writes = WriteRequest::new(owner).put(Family::Accounts, b"", vec![1]);
        let failure = Failure::new(FailureKind::Io, "no");
        let group = [asks.clone(), writes, asks];
        let verdicts = judge(group.iter(), |_, _| Err(failure.clone()));
        assert_eq!(verdicts, [Verdict::Fail(failure), Verdict::Admit, Verdict::Refuse(0)]);
    }
}
