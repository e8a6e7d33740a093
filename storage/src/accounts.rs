//! Accounts: who exists, with which SCRAM keys, and whether they may log in.
//!
//! Key: `owner 0x00`. Value: [`Account`]. Requests are built and outcomes decoded here; carrying them out is up to a
//! [`Client`](crate::Client) or, where waiting is allowed, to [`Store`](crate::Store). A password is never stored:
//! what is stored proves one that is presented (RFC 5802 §3), and nothing more.

use crate::codec::{LoadError, Versioned, decode_exact};
use crate::departures;
use crate::registrations::{self, Registration};
use crate::reply::{Outcome, Page};
use crate::tokens;
use crate::{DecodeError, Family, Owner, PageRequest, ReadRequest, WriteRequest};
use serde::{Deserialize, Serialize};
use std::fmt;

const FAMILY: Family = Family::Accounts;

/// An account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Account {
    /// One set of keys per hash function.
    pub keys: Vec<ScramKeys>,
    /// When it was created, in seconds since 1970.
    pub created: u64,
    /// If set, the account may not log in.
    pub disabled: Option<Disabled>,
    /// Marks.
    pub flags: AccountFlags,
    /// What it may do beside what everybody may.
    pub role: Role,
    /// Until when nothing that it sends reaches others, in seconds since 1970; [`u64::MAX`]: for good.
    pub muted_until_s: Option<u64>,
    /// Until when it is held to the limits of new accounts, in seconds since 1970; [`u64::MAX`]: for good. Without, its
    /// age decides.
    pub limited_until_s: Option<u64>,
    /// From when on it may be removed because its owner has left, in seconds since 1970.
    pub leaves_at_s: Option<u64>,
}

/// What an account may do beside what everybody may. Stored by position: append only.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Role {
    /// Nothing.
    #[default]
    Member,
    /// It administers the server.
    Admin,
}

/// The hash function of a SCRAM mechanism. Stored by position: append only.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum ScramHash {
    /// SCRAM-SHA-1 (RFC 5802).
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

/// What the server keeps in place of a password (RFC 5802 §3).
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct ScramKeys {
    /// The hash function.
    pub hash: ScramHash,
    /// The salt, raw.
    pub salt: Vec<u8>,
    /// The iteration count.
    pub iterations: u32,
    /// `H(ClientKey)`.
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: Vec<u8>,
}

impl fmt::Debug for ScramKeys {
    // With the two keys somebody could pose as the server, or search for the password: they stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// Since when and why an account may not log in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Disabled {
    /// In seconds since 1970.
    pub since: u64,
    /// For operators; empty if none was given.
    pub reason: String,
    /// Until when, in seconds since 1970; until somebody says otherwise without.
    pub until: Option<u64>,
}

/// Marks on an account, one bit each. Unknown bits are kept as they are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccountFlags(pub u32);

impl AccountFlags {
    /// Not held to the limits of new accounts, however young it is.
    pub const TRUSTED: u32 = 1;

    /// Whether a mark is there.
    pub fn has(self, mark: u32) -> bool {
        self.0 & mark != 0
    }

    /// With a mark, or without it.
    pub fn with(self, mark: u32, is_there: bool) -> AccountFlags {
        AccountFlags(if is_there { self.0 | mark } else { self.0 & !mark })
    }
}

/// What version 1 had.
#[derive(Deserialize)]
struct AccountV1 {
    keys: Vec<ScramKeys>,
    created: u64,
    disabled: Option<(u64, String)>,
    flags: AccountFlags,
}

impl Versioned for Account {
    const VERSION: u8 = 2;
    const FAMILY: &'static str = "accounts";

    fn decode_body(version: u8, body: &[u8]) -> Option<Result<Account, String>> {
        match version {
            1 => Some(decode_exact(body).map(|AccountV1 { keys, created, disabled, flags }| {
                let disabled = disabled.map(|(since, reason)| Disabled { since, reason, until: None });
                Account { disabled, flags, ..Account::new(keys, created) }
            })),
            2 => Some(decode_exact(body)),
            _ => None,
        }
    }
}

impl Account {
    /// One that may log in, created then, in seconds since 1970.
    pub fn new(keys: Vec<ScramKeys>, created: u64) -> Account {
        Account {
            keys,
            created,
            disabled: None,
            flags: AccountFlags::default(),
            role: Role::Member,
            muted_until_s: None,
            limited_until_s: None,
            leaves_at_s: None,
        }
    }

    /// Whether it may not log in at this time, in seconds since 1970.
    pub fn is_disabled(&self, now_s: u64) -> bool {
        self.disabled.as_ref().is_some_and(|disabled| disabled.until.is_none_or(|until| now_s < until))
            || self.leaves_at_s.is_some()
    }
}

/// An account as it was read. Changes are based on it and are refused if it has changed since.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredAccount {
    owner: Owner,
    account: Account,
    encoded: Vec<u8>,
}

impl StoredAccount {
    fn decode(key: &[u8], encoded: Vec<u8>) -> Result<StoredAccount, DecodeError> {
        let owner = match Owner::split_key(key) {
            Some((owner, [])) => owner,
            _ => return Err(DecodeError::damaged(Account::FAMILY, key, "the key is not an account's")),
        };
        Ok(StoredAccount { owner, account: Account::decode(key, &encoded)?, encoded })
    }

    /// Whose account it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Replaces the keys: a new password. Tokens to log in with instead are void from then on.
    ///
    /// As with the other changes, [`Outcome::Refused`] means that the account has changed since it was read or is
    /// gone: read it again.
    pub fn set_keys(&self, keys: Vec<ScramKeys>) -> WriteRequest {
        tokens::void(self.change(|account| account.keys = keys))
    }

    /// Forbids logins, and makes tokens void for good. What is online now stays online; ending it is not this crate's
    /// business.
    pub fn disable(&self, disabled: Disabled) -> WriteRequest {
        tokens::void(self.change(|account| account.disabled = Some(disabled)))
    }

    /// Allows logins again, also if it was about to go.
    pub fn enable(&self) -> WriteRequest {
        self.change(|account| (account.disabled, account.leaves_at_s) = (None, None))
    }

    /// Has it go at this time, in seconds since 1970. It cannot log in from now on, and tokens are void for good.
    pub fn leave(&self, at_s: u64) -> WriteRequest {
        departures::append(tokens::void(self.change(|account| account.leaves_at_s = Some(at_s))), at_s)
    }

    /// Changes anything else about it.
    pub fn change(&self, change: impl FnOnce(&mut Account)) -> WriteRequest {
        let mut account = self.account.clone();
        change(&mut account);
        self.unchanged().put(FAMILY, b"", account.encode())
    }

    /// A request that is refused if the account has changed since it was read or is gone.
    pub fn unchanged(&self) -> WriteRequest {
        WriteRequest::new(self.owner.clone()).require_equals(FAMILY, b"", self.encoded.clone())
    }
}

/// Creates an account and notes its registration in the log, `at_micros` microseconds after 1970. Refused if the
/// account exists.
pub fn create(owner: &Owner, account: &Account, registration: &Registration, at_micros: u64) -> WriteRequest {
    let request = WriteRequest::new(owner.clone()).require_absent(FAMILY, b"").put(FAMILY, b"", account.encode());
    registrations::append(request, registration, at_micros)
}

/// Makes the account of the request's owner this one, whatever it was.
pub fn put(request: WriteRequest, account: &Account) -> WriteRequest {
    request.put(FAMILY, b"", account.encode())
}

/// Removes an account and all that it owns; the log of registrations stays. Refused if there is no such account.
pub fn remove(owner: &Owner) -> WriteRequest {
    let request = WriteRequest::new(owner.clone()).require_present(FAMILY, b"");
    let owned = Family::ALL.iter().filter(|family| family.descriptor().removed_with_account);
    owned.fold(request, |request, family| request.delete_all(*family))
}

/// Reads an account; see [`decode`].
pub fn get(owner: &Owner) -> ReadRequest {
    ReadRequest::Get(FAMILY, FAMILY.key(owner, b""))
}

/// The account of `owner` in the outcome of [`get`], or `None` if there is no such account.
pub fn decode(owner: &Owner, outcome: Outcome) -> Result<Option<StoredAccount>, LoadError> {
    match outcome {
        Outcome::Value(None) => Ok(None),
        Outcome::Value(Some(bytes)) => Ok(Some(StoredAccount::decode(&FAMILY.key(owner, b""), bytes)?)),
        other => Err(LoadError::unexpected(other)),
    }
}

/// Reads accounts in the order of domain and name: those of one domain, or all. The page decodes with [`decode_page`],
/// and [`PageRequest::next`] continues it.
pub fn list(domain: Option<&str>, entries_max: usize) -> PageRequest {
    let (from, to) = match domain.map(Owner::domain_range) {
        Some((from, to)) => (from, Some(to)),
        None => (Vec::new(), None),
    };
    PageRequest { family: FAMILY, from, to, reverse: false, entries_max, bytes_max: crate::PAGE_BYTES_MAX }
}

/// The accounts in a page of [`list`]. One that cannot be decoded does not hide the others.
pub fn decode_page(page: Page) -> Vec<Result<StoredAccount, DecodeError>> {
    page.entries.into_iter().map(|(key, value)| StoredAccount::decode(&key, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash() -> impl Strategy<Value = ScramHash> {
        prop_oneof![Just(ScramHash::Sha1), Just(ScramHash::Sha256), Just(ScramHash::Sha512)]
    }

    fn keys() -> impl Strategy<Value = ScramKeys> {
        (hash(), any::<Vec<u8>>(), any::<u32>(), any::<Vec<u8>>(), any::<Vec<u8>>()).prop_map(
            |(hash, salt, iterations, stored_key, server_key)| ScramKeys {
                hash,
                salt,
                iterations,
                stored_key,
                server_key,
            },
        )
    }

    prop_compose! {
        fn account()(
            keys in prop::collection::vec(keys(), 0..4),
            created: u64,
            disabled: Option<(u64, String, Option<u64>)>,
            flags: u32,
            is_admin: bool,
            muted_until_s: Option<u64>,
            limited_until_s: Option<u64>,
            leaves_at_s: Option<u64>,
        ) -> Account {
            let disabled = disabled.map(|(since, reason, until)| Disabled { since, reason, until });
            let role = if is_admin { Role::Admin } else { Role::Member };
            let flags = AccountFlags(flags);
            let account = Account { disabled, flags, role, ..Account::new(keys, created) };
            Account { muted_until_s, limited_until_s, leaves_at_s, ..account }
        }
    }

    proptest! {
        #[test]
        fn accounts_come_back(account in account()) {
            let owner = Owner::parse("juliet@example.org").unwrap();
            let stored = decode(&owner, Outcome::Value(Some(account.encode()))).unwrap().unwrap();
            prop_assert_eq!(stored.owner(), &owner);
            prop_assert_eq!(stored.account(), &account);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            StoredAccount::decode(&bytes, bytes.clone()).ok();
        }
    }

    fn sample() -> Account {
        let keys = vec![ScramKeys {
            hash: ScramHash::Sha256,
            salt: vec![1, 2],
            iterations: 4096,
            stored_key: vec![3],
            server_key: vec![4],
        }];
        let disabled = Some(Disabled { since: 6, reason: "x".to_owned(), until: None });
        Account { disabled, flags: AccountFlags(7), ..Account::new(keys, 5) }
    }

    #[test]
    fn version_1_is_still_read() {
        let bytes = [1, 1, 1, 2, 1, 2, 0x80, 0x20, 1, 3, 1, 4, 5, 1, 6, 1, b'x', 7];
        assert_eq!(Account::decode(b"", &bytes), Ok(sample()));
    }

    #[test]
    fn the_encoding_of_version_2_stays() {
        let disabled = Some(Disabled { until: Some(9), ..sample().disabled.unwrap() });
        let account = Account {
            disabled,
            role: Role::Admin,
            muted_until_s: Some(1),
            limited_until_s: Some(2),
            leaves_at_s: Some(3),
            ..sample()
        };
        let bytes = [2, 1, 1, 2, 1, 2, 0x80, 0x20, 1, 3, 1, 4, 5, 1, 6, 1, b'x', 1, 9, 7, 1, 1, 1, 1, 2, 1, 3];
        assert_eq!(account.encode(), bytes);
        assert_eq!(Account::decode(b"", &bytes), Ok(account));
    }

    #[test]
    fn an_account_is_disabled_for_a_time_or_until_it_goes() {
        let disabled =
            |until| Account { disabled: Some(Disabled { since: 1, reason: String::new(), until }), ..sample() };
        assert!(disabled(None).is_disabled(u64::MAX));
        assert!(disabled(Some(5)).is_disabled(4) && !disabled(Some(5)).is_disabled(5));
        assert!(Account { leaves_at_s: Some(9), ..Account::new(Vec::new(), 1) }.is_disabled(20));
        assert!(!Account::new(Vec::new(), 1).is_disabled(20));
    }

    #[test]
    fn keys_are_not_shown() {
        let keys = ScramKeys {
            hash: ScramHash::Sha1,
            salt: b"salty".to_vec(),
            iterations: 4096,
            stored_key: vec![222; 20],
            server_key: vec![223; 20],
        };
        let shown = format!("{keys:?}");
        assert!(shown.contains("4096") && !shown.contains("222") && !shown.contains("223"), "{shown}");
    }
}
