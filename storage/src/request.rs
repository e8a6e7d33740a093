//! What a caller asks of the store: writes and reads as plain values.

use crate::archive::{self, Appends};
use crate::{Family, KeyShape, Owner, Page};

/// The most entries one page holds, whatever was asked for.
pub const PAGE_ENTRIES_MAX: usize = 10_000;

/// The most bytes of keys and values one page holds, whatever was asked for (a single larger entry excepted).
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// What must hold for a [`WriteRequest`] to be carried out. Keys are full keys of their family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Precondition {
    /// The key has no value.
    Absent(Family, Vec<u8>),
    /// The key has a value.
    Present(Family, Vec<u8>),
    /// The key has exactly this value: it has not changed since it was read.
    Equals(Family, Vec<u8>, Vec<u8>),
}

impl Precondition {
    /// Where it is about a key.
    pub fn family(&self) -> Family {
        match self {
            Precondition::Absent(family, _) | Precondition::Present(family, _) | Precondition::Equals(family, ..) => {
                *family
            }
        }
    }

    /// The key that it is about.
    pub fn key(&self) -> &[u8] {
        match self {
            Precondition::Absent(_, key) | Precondition::Present(_, key) | Precondition::Equals(_, key, _) => key,
        }
    }
}

/// One change. Keys are full keys of their family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Sets the value of a key.
    Put(Family, Vec<u8>, Vec<u8>),
    /// Removes a key; nothing happens if there is none.
    Delete(Family, Vec<u8>),
    /// Removes all keys from the first (inclusive) to the second (exclusive).
    DeleteRange(Family, Vec<u8>, Vec<u8>),
}

impl Operation {
    /// Where it changes something.
    pub fn family(&self) -> Family {
        match self {
            Operation::Put(family, ..) | Operation::Delete(family, _) | Operation::DeleteRange(family, ..) => *family,
        }
    }
}

/// An atomic change to the data of one owner.
///
/// Either all operations happen, in their order, or none. Preconditions are judged against the store as it is after
/// every request that was queued before this one. A request without operations changes nothing, and is answered when
/// all that the same client has queued before it are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WriteRequest {
    owner: Owner,
    preconditions: Vec<Precondition>,
    operations: Vec<Operation>,
    appends: Appends,
}

impl WriteRequest {
    /// An empty request. All keys that are added are keys of this owner, made by [`Family::key`].
    pub fn new(owner: Owner) -> WriteRequest {
        WriteRequest { owner, preconditions: Vec::new(), operations: Vec::new(), appends: Appends::new() }
    }

    /// Refuses the request if the key has a value.
    pub fn require_absent(mut self, family: Family, rest: &[u8]) -> WriteRequest {
        self.preconditions.push(Precondition::Absent(family, family.key(&self.owner, rest)));
        self
    }

    /// Refuses the request if the key has no value.
    pub fn require_present(mut self, family: Family, rest: &[u8]) -> WriteRequest {
        self.preconditions.push(Precondition::Present(family, family.key(&self.owner, rest)));
        self
    }

    /// Refuses the request if the key's value is not `value`.
    pub fn require_equals(mut self, family: Family, rest: &[u8], value: Vec<u8>) -> WriteRequest {
        self.preconditions.push(Precondition::Equals(family, family.key(&self.owner, rest), value));
        self
    }

    /// Sets a value.
    pub fn put(mut self, family: Family, rest: &[u8], value: Vec<u8>) -> WriteRequest {
        self.operations.push(Operation::Put(family, family.key(&self.owner, rest), value));
        self
    }

    /// Removes a value.
    pub fn delete(mut self, family: Family, rest: &[u8]) -> WriteRequest {
        self.operations.push(Operation::Delete(family, family.key(&self.owner, rest)));
        self
    }

    /// Removes the owner's values from `from` (inclusive) to `to` (exclusive).
    pub fn delete_range(mut self, family: Family, from: &[u8], to: &[u8]) -> WriteRequest {
        let (from, to) = (family.key(&self.owner, from), family.key(&self.owner, to));
        self.operations.push(Operation::DeleteRange(family, from, to));
        self
    }

    /// Removes everything the owner has in a family whose keys begin with the owner; nothing in other families.
    pub fn delete_all(mut self, family: Family) -> WriteRequest {
        match family.descriptor().keys {
            // A range tombstone slows down every read near it until it is compacted; for one key it buys nothing.
            KeyShape::Owner => self.delete(family, b""),
            KeyShape::OwnerItem => {
                self.operations.push(Operation::DeleteRange(family, self.owner.key(b""), self.owner.end()));
                self
            }
            KeyShape::Named | KeyShape::TimeOwner => self,
        }
    }

    /// Adds messages to the owner's archive. They are not among the [operations](WriteRequest::operations).
    pub fn append(mut self, messages: Appends) -> WriteRequest {
        self.appends.extend(messages);
        self
    }

    /// This request and then another of the same owner, as one: both happen or neither does.
    pub fn and(mut self, other: WriteRequest) -> WriteRequest {
        debug_assert_eq!(self.owner, other.owner);
        self.preconditions.extend(other.preconditions);
        self.operations.extend(other.operations);
        self.append(other.appends)
    }

    /// Whose data change: the partition key.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// What must hold, in the order in which it was required; a refusal names the index.
    pub fn preconditions(&self) -> &[Precondition] {
        &self.preconditions
    }

    /// What changes, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What is added to the owner's archive, after all else.
    pub(crate) fn appends(&self) -> &Appends {
        &self.appends
    }

    /// Roughly the memory this request takes in a queue, and the bytes it adds to the log.
    pub fn size_bytes(&self) -> usize {
        const ENTRY_OVERHEAD: usize = 64;
        let conditions = self.preconditions.iter().map(|condition| match condition {
            Precondition::Absent(_, key) | Precondition::Present(_, key) => key.len(),
            Precondition::Equals(_, key, value) => key.len() + value.len(),
        });
        let operations = self.operations.iter().map(|operation| match operation {
            Operation::Put(_, key, value) => key.len() + value.len(),
            Operation::Delete(_, key) => key.len(),
            Operation::DeleteRange(_, from, to) => from.len() + to.len(),
        });
        conditions.chain(operations).map(|bytes| bytes + ENTRY_OVERHEAD).sum::<usize>()
            + self.appends.bytes()
            + ENTRY_OVERHEAD
    }
}

/// A read. Keys are full keys of their family, made by [`Family::key`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReadRequest {
    /// One value. Answered by [`Outcome::Value`](crate::Outcome::Value).
    Get(Family, Vec<u8>),
    /// Several values. Answered by [`Outcome::Values`](crate::Outcome::Values), in the order of the keys.
    MultiGet(Family, Vec<Vec<u8>>),
    /// A slice of a range. Answered by [`Outcome::Page`](crate::Outcome::Page).
    Page(PageRequest),
    /// Several reads at once. Answered as a whole by [`Outcome::Several`](crate::Outcome::Several): at once if memory
    /// holds all of it, else by one reader thread.
    Several(Vec<ReadRequest>),
    /// Messages of an archive. Answered by [`Outcome::Archive`](crate::Outcome::Archive); see [`archive::decode`].
    Archive(Box<archive::Query>),
    /// Whether this owner's archive is too large. Answered by
    /// [`Outcome::ArchiveExcess`](crate::Outcome::ArchiveExcess); see [`archive::excess`].
    ArchiveExcess(Owner),
}

/// A slice of a range of keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageRequest {
    /// Where to read.
    pub family: Family,
    /// The range's first key (inclusive).
    pub from: Vec<u8>,
    /// The range's end (exclusive); `None`: the end of the family.
    pub to: Option<Vec<u8>>,
    /// From the end towards the beginning.
    pub reverse: bool,
    /// The most entries wanted; at most [`PAGE_ENTRIES_MAX`] come.
    pub entries_max: usize,
    /// The most bytes of keys and values wanted; at least one entry comes, and at most [`PAGE_BYTES_MAX`].
    pub bytes_max: usize,
}

impl PageRequest {
    /// The request for what follows `page`, or `None` if the range ends there.
    pub fn next(&self, page: &Page) -> Option<PageRequest> {
        if page.complete {
            return None;
        }
        let (last, _) = page.entries.last()?;
        let mut next = self.clone();
        if self.reverse {
            next.to = Some(last.clone());
        } else {
            next.from = [&last[..], &[0]].concat();
        }
        Some(next)
    }
}
