//! Archives: the messages that an account has sent and received (XEP-0313), one archive per owner.
//!
//! An id is eight bytes, big endian: microseconds since 1970, issued in rising order by whoever owns the archive. What
//! a client gets to see of an id is not this crate's business.
//!
//! A message is written to the [log] of all archives, and kept in memory as part of its archive's tail ([tails]). When
//! the tails have become large they are made into chunks ([chunk]): some dozens of an owner's messages each, found by
//! the first one's id. So the database has a key per chunk rather than per message, and messages are compressed
//! together and never moved again.
//!
//! Family `archive_with` is the index by contact: key `owner 0x00 hash id`, for each contact of a chunk, whose first id
//! this is; value: the chunk's last id, or nothing for a chunk of one message. A query for one contact reads its hash's
//! range there and then those chunks; who has written a message is told by the address in it.
//!
//! What is too old ([`Options::archive_retention`](crate::Options::archive_retention)) or too much ([`excess`]) goes in
//! compactions; it is hidden from every read here from the moment on at which it is to go.

mod chunk;
mod entry;
pub(crate) mod flush;
pub(crate) mod log;
pub(crate) mod query;
pub(crate) mod retention;
#[cfg(test)]
mod seams;
pub(crate) mod tails;
#[cfg(test)]
mod tests;
mod walk;

pub use entry::Entry;
pub use log::Appends;
pub use query::{Found, Page, Query};
pub use retention::Excess;

use crate::codec::LoadError;
use crate::reply::Outcome;
use crate::{Family, Owner, ReadRequest, WriteRequest};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

const FAMILY: Family = Family::Archive;
const INDEX: Family = Family::ArchiveWith;
const CHUNKS: Family = Family::ArchiveChunks;

/// An id's bytes at the end of every key.
const ID_BYTES: usize = size_of::<u64>();
/// The bytes of a contact's hash before the id in the index.
const HASH_BYTES: usize = size_of::<u64>();

/// Adds a message to the archive of the request's owner.
///
/// `with` is the bare address of the other side (the account itself in messages to itself), `outgoing` whether the
/// account has sent it. `stanza` writes the message's bytes, some `stanza_bytes` of them: the room that is made in
/// advance. An `id` that the archive has already is overwritten.
pub fn append(
    request: WriteRequest,
    id: u64,
    with: &str,
    outgoing: bool,
    stanza_bytes: usize,
    stanza: impl FnOnce(&mut Vec<u8>),
) -> WriteRequest {
    let mut appends = Appends::new();
    appends.push_entry(request.owner(), id, log::flags(outgoing), with, stanza_bytes, stanza);
    request.append(appends)
}

/// As [`append`], of a message that is archived elsewhere already, perhaps as a tombstone.
pub fn restore(
    appends: &mut Appends,
    owner: &Owner,
    id: u64,
    with: &str,
    (outgoing, is_tombstone): (bool, bool),
    stanza: &[u8],
) {
    let flags = log::flags(outgoing) | if is_tombstone { entry::TOMBSTONE } else { 0 };
    appends.push_entry(owner, id, flags, with, stanza.len(), |out| out.extend_from_slice(stanza));
}

/// Replaces a message by what `placeholder` writes, and marks it as a tombstone (XEP-0313 §3.2:
/// id, time and address stay, so that queries stay consistent).
///
/// [`Outcome::Refused`] means that the entry has changed since it was read, or is gone.
pub fn replace_with_tombstone(owner: &Owner, entry: &Entry, placeholder: impl FnOnce(&mut Vec<u8>)) -> WriteRequest {
    let request = WriteRequest::new(owner.clone());
    let request = request.require_equals(FAMILY, &entry.id().to_be_bytes(), entry.value().to_vec());
    let mut appends = Appends::new();
    appends.push_entry(owner, entry.id(), entry.flags() | entry::TOMBSTONE, entry.with(), 0, placeholder);
    request.append(appends)
}

/// Reads one message. Decode with [`decode`]: a page of one entry, or [`Found::UnknownId`].
pub fn get(owner: &Owner, id: u64) -> ReadRequest {
    Query { ids: Some(vec![id]), ..Query::new(owner.clone()) }.into()
}

/// What a [`Query`] has found.
pub fn decode(outcome: Outcome) -> Result<Found, LoadError> {
    match outcome {
        Outcome::Archive(found) => Ok(*found),
        other => Err(LoadError::unexpected(other)),
    }
}

/// Reads the ids of the first and the last message (XEP-0313 §5); see [`decode_bounds`].
pub fn bounds(owner: &Owner) -> ReadRequest {
    let end = |reverse| Query { entries_max: 1, reverse, ..Query::new(owner.clone()) }.into();
    ReadRequest::Several(vec![end(false), end(true)])
}

/// The first and the last id in the outcome of [`bounds`], or `None` if the archive is empty.
pub fn decode_bounds(outcome: Outcome) -> Result<Option<(u64, u64)>, LoadError> {
    let ends = match outcome {
        Outcome::Several(ends) => ends,
        other => return Err(LoadError::unexpected(other)),
    };
    let mut ids = Vec::new();
    for end in ends {
        if let Found::Page(page) = decode(end)? {
            ids.extend(page.entries.first().map(Entry::id));
        }
    }
    Ok(ids.first().copied().zip(ids.last().copied()))
}

/// Asks whether the archive takes more bytes than it may
/// ([`Options::archive_bytes_max_per_account`](crate::Options::archive_bytes_max_per_account)), and below which id it
/// has to go then. Ask now and then for an owner that has written much, one question at a time; see [`decode_excess`].
///
/// What counts are the bytes of messages; how they are compressed and what was written in the last minutes do not.
pub fn excess(owner: &Owner) -> ReadRequest {
    ReadRequest::ArchiveExcess(owner.clone())
}

/// The answer to [`excess`]; `None` if nothing has to go. Otherwise write [`Excess::cut`].
pub fn decode_excess(outcome: Outcome) -> Result<Option<Excess>, LoadError> {
    match outcome {
        Outcome::ArchiveExcess(excess) => Ok(excess.map(|excess| *excess)),
        other => Err(LoadError::unexpected(other)),
    }
}

/// The same in every run and on every machine: it is stored.
fn hash(with: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(with.as_bytes());
    hasher.finish()
}

/// The index's key for a message, without its owner.
fn index_rest(hash: u64, id: u64) -> [u8; HASH_BYTES + ID_BYTES] {
    let mut rest = [0; HASH_BYTES + ID_BYTES];
    rest[..HASH_BYTES].copy_from_slice(&hash.to_be_bytes());
    rest[HASH_BYTES..].copy_from_slice(&id.to_be_bytes());
    rest
}
