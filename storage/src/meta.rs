//! What is true of the whole store, beside its schema: family `meta`, one value per name. It goes wherever the store
//! goes, with a copy of it as well.

use crate::codec::{DecodeError, LoadError};
use crate::reply::Outcome;
use crate::{Family, Owner, Store, WriteRequest};

const FAMILY: Family = Family::Meta;

/// Sixteen bytes.
const ARCHIVE_SECRET: &[u8] = b"archive_secret";
/// Thirty-two bytes.
const SERVER_SECRET: &[u8] = b"server_secret";
/// Microseconds since 1970 in eight bytes, big endian.
const CLOCK: &[u8] = b"clock";
/// A version in eight bytes, big endian.
const LOOKALIKES: &[u8] = b"lookalikes";

/// The secret on which depends how the ids of archived messages are shown, of a store that has one already; otherwise
/// the one that `make` comes up with, from now on. It stays as long as the store.
pub fn archive_secret(store: &Store, make: impl FnOnce() -> [u8; 16]) -> Result<[u8; 16], LoadError> {
    made_once(store, ARCHIVE_SECRET, make)
}

/// The secret on which depends what strangers see of accounts that there are not, in the same way.
pub fn server_secret(store: &Store, make: impl FnOnce() -> [u8; 32]) -> Result<[u8; 32], LoadError> {
    made_once(store, SERVER_SECRET, make)
}

fn made_once<const BYTES: usize>(
    store: &Store,
    name: &[u8],
    make: impl FnOnce() -> [u8; BYTES],
) -> Result<[u8; BYTES], LoadError> {
    if let Some(known) = read(store, name)? {
        return Ok(known);
    }
    let made = make();
    let request = WriteRequest::new(Owner::nobody()).require_absent(FAMILY, name);
    match store.write_blocking(request.put(FAMILY, name, made.to_vec())) {
        Outcome::Written => Ok(made),
        other => Err(LoadError::unexpected(other)),
    }
}

/// What knows letters says by this which version of it has filled the family `lookalikes`.
pub fn lookalikes(store: &Store) -> Result<Option<u64>, LoadError> {
    Ok(read(store, LOOKALIKES)?.map(u64::from_be_bytes))
}

/// Sets what [`lookalikes`] has.
pub fn set_lookalikes(store: &Store, version: u64) -> Result<(), LoadError> {
    set(store, LOOKALIKES, version.to_be_bytes().to_vec())
}

/// A list of bare JIDs and domains that administrators have made. Lines of text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoredList {
    /// Who was made an administrator. Whether they still are says the account.
    Appointed,
    /// With whom nothing is exchanged.
    Blacklist,
    /// With whom alone anything is exchanged, unless it is empty.
    Whitelist,
}

/// What is said in the server's name, as administrators have written it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoredWords {
    /// To everybody who comes online.
    MessageOfTheDay,
    /// To new accounts.
    Welcome,
}

impl StoredList {
    fn name(self) -> &'static [u8] {
        match self {
            StoredList::Appointed => b"appointed",
            StoredList::Blacklist => b"blacklist",
            StoredList::Whitelist => b"whitelist",
        }
    }
}

impl StoredWords {
    fn name(self) -> &'static [u8] {
        match self {
            StoredWords::MessageOfTheDay => b"motd",
            StoredWords::Welcome => b"welcome",
        }
    }
}

/// A list; empty if it was never made.
pub fn list(store: &Store, which: StoredList) -> Result<Vec<String>, LoadError> {
    Ok(text(store, which.name())?.unwrap_or_default().lines().map(str::to_owned).collect())
}

/// Makes a list anew.
pub fn set_list(store: &Store, which: StoredList, entries: &[String]) -> Result<(), LoadError> {
    set(store, which.name(), entries.join("\n").into_bytes())
}

/// What is said; `None` if nobody has ever written it.
pub fn words(store: &Store, which: StoredWords) -> Result<Option<String>, LoadError> {
    text(store, which.name())
}

/// Has this be said.
pub fn set_words(store: &Store, which: StoredWords, words: &str) -> Result<(), LoadError> {
    set(store, which.name(), words.as_bytes().to_vec())
}

fn text(store: &Store, name: &[u8]) -> Result<Option<String>, LoadError> {
    let damaged = |_| DecodeError::damaged(FAMILY.name(), name, "the value is no text");
    Ok(store.get(FAMILY, name.to_vec())?.map(String::from_utf8).transpose().map_err(damaged)?)
}

fn set(store: &Store, name: &[u8], value: Vec<u8>) -> Result<(), LoadError> {
    match store.write_blocking(WriteRequest::new(Owner::nobody()).put(FAMILY, name, value)) {
        Outcome::Written => Ok(()),
        other => Err(LoadError::unexpected(other)),
    }
}

/// The time up to which ids may have been issued, in microseconds since 1970, as it was last set.
pub fn clock(store: &Store) -> Result<Option<u64>, LoadError> {
    Ok(read(store, CLOCK)?.map(u64::from_be_bytes))
}

/// Sets the time for [`clock`].
pub fn set_clock(store: &Store, us: u64) -> Result<(), LoadError> {
    set(store, CLOCK, us.to_be_bytes().to_vec())
}

fn read<const N: usize>(store: &Store, name: &[u8]) -> Result<Option<[u8; N]>, LoadError> {
    let Some(value) = store.get(FAMILY, name.to_vec())? else { return Ok(None) };
    match value.try_into() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(DecodeError::damaged(FAMILY.name(), name, format!("the value is not {N} bytes")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    #[test]
    fn what_is_set_stays_with_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Store::open(&Options::new(directory.path())).unwrap();
        let store = open();
        assert_eq!(clock(&store), Ok(None));
        assert_eq!(archive_secret(&store, || *b"0123456789abcdef"), Ok(*b"0123456789abcdef"));
        set_clock(&store, 7).unwrap();
        set_clock(&store, 1_752_000_000_000_000).unwrap();
        assert_eq!(list(&store, StoredList::Blacklist), Ok(Vec::new()));
        set_list(&store, StoredList::Blacklist, &["a@x".into(), "y".into()]).unwrap();
        assert_eq!(words(&store, StoredWords::Welcome), Ok(None));
        set_words(&store, StoredWords::Welcome, "").unwrap();
        store.close().unwrap();
        let store = open();
        assert_eq!(clock(&store), Ok(Some(1_752_000_000_000_000)));
        assert_eq!(archive_secret(&store, || [0; 16]), Ok(*b"0123456789abcdef"));
        assert_eq!(list(&store, StoredList::Blacklist), Ok(vec!["a@x".into(), "y".into()]));
        assert_eq!(words(&store, StoredWords::Welcome), Ok(Some(String::new())));
    }

    #[test]
    fn what_is_damaged_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        let request = WriteRequest::new(Owner::nobody()).put(FAMILY, CLOCK, vec![1]);
        assert_eq!(store.write_blocking(request), Outcome::Written);
        assert_eq!(clock(&store).unwrap_err().to_string(), "meta clock: the value is not 8 bytes");
    }
}
