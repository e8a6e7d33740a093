//! What an account has chosen, and the little that is remembered of it from one session to the next.
//!
//! Key: `owner 0x00`. Value: [`Preferences`]. The account's home is the only writer, has them in memory while somebody
//! is online, and writes them as a whole.

use crate::codec::{LoadError, Versioned, decode_exact};
use crate::reply::Outcome;
use crate::{Family, Owner, ReadRequest, WriteRequest};
use serde::{Deserialize, Serialize};

const FAMILY: Family = Family::Preferences;

/// An account's preferences. All of them together are one value; the caller bounds what is in the lists.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Preferences {
    /// What is archived (XEP-0441). `None`: the account has never said so, and the server's default holds.
    pub archive: Option<ArchivePreferences>,
    /// The end of the latest session (XEP-0012 §3).
    pub last_activity: Option<LastActivity>,
    /// The version of the roster (RFC 6121 §2.6): the number of changes so far.
    pub roster_version: u64,
    /// Which message of the day it was told last: a hash of the words.
    pub told: Option<u64>,
}

/// What version 1 had.
#[derive(Deserialize)]
struct PreferencesV1 {
    archive: Option<ArchivePreferences>,
    last_activity: Option<LastActivity>,
    roster_version: u64,
}

/// What is archived (XEP-0441 §2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ArchivePreferences {
    /// What holds for an address that is in neither list.
    pub default: ArchiveDefault,
    /// Addresses with whom all messages are archived.
    pub always: Vec<String>,
    /// Addresses with whom no messages are archived.
    pub never: Vec<String>,
}

/// What is archived without a rule for the address (XEP-0441 §2). Stored by position: append only.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum ArchiveDefault {
    /// Everything.
    Always,
    /// Nothing.
    Never,
    /// Messages with contacts in the roster.
    Roster,
}

/// The end of a session (XEP-0012 §3).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LastActivity {
    /// When, in seconds since 1970.
    pub at: u64,
    /// The status text of the last unavailable presence; empty if it had none.
    pub status: String,
}

impl Versioned for Preferences {
    const VERSION: u8 = 2;
    const FAMILY: &'static str = "preferences";

    fn decode_body(version: u8, body: &[u8]) -> Option<Result<Preferences, String>> {
        match version {
            1 => Some(decode_exact(body).map(|old: PreferencesV1| Preferences {
                archive: old.archive,
                last_activity: old.last_activity,
                roster_version: old.roster_version,
                told: None,
            })),
            2 => Some(decode_exact(body)),
            _ => None,
        }
    }
}

/// Writes the preferences of the request's owner, all of them.
pub fn put(request: WriteRequest, preferences: &Preferences) -> WriteRequest {
    request.put(FAMILY, b"", preferences.encode())
}

/// Reads preferences; see [`decode`].
pub fn get(owner: &Owner) -> ReadRequest {
    ReadRequest::Get(FAMILY, FAMILY.key(owner, b""))
}

/// The preferences of `owner` in the outcome of [`get`]; those of an account that has never had any are the default.
pub fn decode(owner: &Owner, outcome: Outcome) -> Result<Preferences, LoadError> {
    match outcome {
        Outcome::Value(None) => Ok(Preferences::default()),
        Outcome::Value(Some(bytes)) => Ok(Preferences::decode(&FAMILY.key(owner, b""), &bytes)?),
        other => Err(LoadError::unexpected(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn default() -> impl Strategy<Value = ArchiveDefault> {
        prop::sample::select(vec![ArchiveDefault::Always, ArchiveDefault::Never, ArchiveDefault::Roster])
    }

    prop_compose! {
        fn archive()(
            default in default(),
            always in prop::collection::vec(any::<String>(), 0..3),
            never in prop::collection::vec(any::<String>(), 0..3),
        ) -> ArchivePreferences {
            ArchivePreferences { default, always, never }
        }
    }

    prop_compose! {
        fn preferences()(
            archive in prop::option::of(archive()),
            last: Option<(u64, String)>,
            roster_version: u64,
            told: Option<u64>,
        ) -> Preferences {
            let last_activity = last.map(|(at, status)| LastActivity { at, status });
            Preferences { archive, last_activity, roster_version, told }
        }
    }

    proptest! {
        #[test]
        fn preferences_come_back(preferences in preferences()) {
            let owner = Owner::parse("juliet@example.org").unwrap();
            let outcome = Outcome::Value(Some(preferences.encode()));
            prop_assert_eq!(decode(&owner, outcome), Ok(preferences));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            Preferences::decode(b"", &bytes).ok();
        }
    }

    #[test]
    fn who_has_chosen_nothing_has_the_defaults() {
        let owner = Owner::parse("juliet@example.org").unwrap();
        assert_eq!(decode(&owner, Outcome::Value(None)), Ok(Preferences::default()));
        assert_eq!(decode(&owner, Outcome::Written), Err(LoadError::OtherRequest));
    }

    #[test]
    fn the_encoding_stays_and_that_of_version_1_is_read() {
        let archive = ArchivePreferences {
            default: ArchiveDefault::Roster,
            always: vec!["a@b".to_owned()],
            never: vec!["c".to_owned()],
        };
        let last_activity = Some(LastActivity { at: 5, status: "x".to_owned() });
        let preferences = Preferences { archive: Some(archive), last_activity, roster_version: 7, told: None };
        let body = [1, 2, 1, 3, b'a', b'@', b'b', 1, 1, b'c', 1, 5, 1, b'x', 7];
        let bytes = [&[2], &body[..], &[0]].concat();
        assert_eq!(preferences.encode(), bytes);
        assert_eq!(Preferences::decode(b"", &bytes), Ok(preferences.clone()));
        assert_eq!(Preferences::decode(b"", &[&[1], &body[..]].concat()), Ok(preferences));
    }
}
