//! The log of registrations: who came when, from where and how. Operators read it when abuse starts.
//!
//! Key: `time owner`, the time in microseconds since 1970 as eight bytes, big endian. Value: [`Registration`]. It
//! outlives the account.

use crate::codec::Versioned;
use crate::reply::Page;
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PageRequest, WriteRequest};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const FAMILY: Family = Family::Registrations;
const TIME_BYTES: usize = size_of::<u64>();

/// When, in microseconds since 1970, and whose: the key of a log in the order of time.
pub(crate) fn split_key(key: &[u8]) -> Option<(u64, Owner)> {
    let (time, owner) = key.split_first_chunk::<TIME_BYTES>()?;
    Some((u64::from_be_bytes(*time), Owner::decode(owner)?))
}

/// How an account came to be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Registration {
    /// The address of the client that asked for it, if one did.
    pub address: Option<IpAddr>,
    /// The way it was made.
    pub source: Source,
    /// The client software, if it said so.
    pub client: Option<String>,
}

/// The way an account was made. Stored by position: append only.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Source {
    /// The operator's command line.
    Cli,
    /// In-band registration (XEP-0077).
    Ibr,
    /// An invitation (XEP-0401).
    Invite,
    /// An import from another server.
    Import,
    /// An administrator's command in a client.
    Admin,
    /// The server's web page.
    Web,
}

impl Source {
    /// As programs call it.
    pub fn name(self) -> &'static str {
        match self {
            Source::Cli => "cli",
            Source::Ibr => "ibr",
            Source::Invite => "invite",
            Source::Import => "import",
            Source::Admin => "admin",
            Source::Web => "web",
        }
    }

    /// Whether whoever has the account has made it.
    pub fn is_of_stranger(self) -> bool {
        matches!(self, Source::Ibr | Source::Invite | Source::Web)
    }

    /// The source that programs call so.
    pub fn of_name(name: &str) -> Option<Source> {
        let all = [Source::Cli, Source::Ibr, Source::Invite, Source::Import, Source::Admin, Source::Web];
        all.into_iter().find(|source| source.name() == name)
    }
}

impl Versioned for Registration {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "registrations";
}

/// An entry of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// When, in microseconds since 1970.
    pub at_micros: u64,
    /// Whose account.
    pub owner: Owner,
    /// How.
    pub registration: Registration,
}

/// Adds an entry for the request's owner, `at_micros` microseconds after 1970.
pub fn append(request: WriteRequest, registration: &Registration, at_micros: u64) -> WriteRequest {
    request.put(FAMILY, &at_micros.to_be_bytes(), registration.encode())
}

/// Reads the log from `since_micros` on, oldest first, or with `newest_first` from its end down to there. The page
/// decodes with [`decode_page`], and [`PageRequest::next`] continues it.
pub fn list(since_micros: u64, newest_first: bool, entries_max: usize) -> PageRequest {
    let from = since_micros.to_be_bytes().to_vec();
    PageRequest { family: FAMILY, from, to: None, reverse: newest_first, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// Forgets what is older than that. It is nobody's data in particular.
pub fn forget_before(at_micros: u64) -> WriteRequest {
    forget_in(FAMILY, at_micros)
}

/// Forgets what is older in a log in the order of time.
pub(crate) fn forget_in(family: Family, at_micros: u64) -> WriteRequest {
    WriteRequest::new(Owner::nobody()).delete_range(family, &[0; TIME_BYTES], &at_micros.to_be_bytes())
}

/// The entries in a page of [`list`]. One that cannot be decoded does not hide the others.
pub fn decode_page(page: &Page) -> Vec<Result<Entry, DecodeError>> {
    page.entries.iter().map(|(key, value)| decode(key, value)).collect()
}

fn decode(key: &[u8], value: &[u8]) -> Result<Entry, DecodeError> {
    let damaged = || DecodeError::damaged(Registration::FAMILY, key, "the key is not a time and an account");
    let (at_micros, owner) = split_key(key).ok_or_else(damaged)?;
    Ok(Entry { at_micros, owner, registration: Registration::decode(key, value)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operation;
    use proptest::prelude::*;

    fn source() -> impl Strategy<Value = Source> {
        prop::sample::select(vec![Source::Cli, Source::Ibr, Source::Invite, Source::Import, Source::Admin, Source::Web])
    }

    proptest! {
        #[test]
        fn entries_come_back(address: Option<IpAddr>, source in source(), client: Option<String>, at_micros: u64) {
            let registration = Registration { address, source, client };
            let owner = Owner::parse("juliet@example.org").unwrap();
            let request = append(WriteRequest::new(owner.clone()), &registration, at_micros);
            let [Operation::Put(Family::Registrations, key, value)] = request.operations() else { panic!("one put") };
            prop_assert_eq!(decode(key, value), Ok(Entry { at_micros, owner, registration }));
        }

        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            decode(&key, &value).ok();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        let registration = Registration {
            address: Some(IpAddr::from([192, 0, 2, 1])),
            source: Source::Invite,
            client: Some("x".to_owned()),
        };
        assert_eq!(registration.encode(), [1, 1, 0, 192, 0, 2, 1, 2, 1, 1, b'x']);
    }
}
