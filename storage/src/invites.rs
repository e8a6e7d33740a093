//! Invitations: tokens with which strangers register, or become contacts of whoever has invited them.
//!
//! Key: `domain 0x00 hash`, the hash being the SHA-256 of the token, so that whoever reads the store cannot use what is
//! in it. Value: [`Invite`].

use crate::codec::{LoadError, Versioned, decode_exact};
use crate::names;
use crate::reply::{Outcome, Page};
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PageRequest, ReadRequest, WriteRequest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const FAMILY: Family = Family::Invites;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// An invitation.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Invite {
    /// Who has made it: a bare JID; `None`: the operator.
    pub inviter: Option<String>,
    /// Whether an account can be made with it.
    pub registers: bool,
    /// Whether whoever uses it and the inviter become contacts.
    pub befriends: bool,
    /// The name of the account that is made with it, if that is fixed.
    pub username: Option<String>,
    /// When it was made, in seconds since 1970.
    pub made_s: u64,
    /// From when on it is void, in seconds since 1970.
    pub expires_s: u64,
    /// How often it may still be used.
    pub uses_left: u32,
    /// Whether the password of the account of this name, which there is, is set anew with it.
    pub resets: bool,
}

/// What version 1 had.
#[derive(Deserialize)]
struct InviteV1 {
    inviter: Option<String>,
    registers: bool,
    befriends: bool,
    username: Option<String>,
    made_s: u64,
    expires_s: u64,
    uses_left: u32,
}

impl Versioned for Invite {
    const VERSION: u8 = 2;
    const FAMILY: &'static str = "invites";

    fn decode_body(version: u8, body: &[u8]) -> Option<Result<Invite, String>> {
        match version {
            1 => Some(decode_exact(body).map(|old: InviteV1| Invite {
                inviter: old.inviter,
                registers: old.registers,
                befriends: old.befriends,
                username: old.username,
                made_s: old.made_s,
                expires_s: old.expires_s,
                uses_left: old.uses_left,
                resets: false,
            })),
            2 => Some(decode_exact(body)),
            _ => None,
        }
    }
}

/// An invitation as it was read. Changes are based on it and are refused if it has changed since.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredInvite {
    key: Vec<u8>,
    /// What is stored.
    pub invite: Invite,
    encoded: Vec<u8>,
}

impl StoredInvite {
    fn decode(key: &[u8], encoded: Vec<u8>) -> Result<StoredInvite, DecodeError> {
        Ok(StoredInvite { key: key.to_vec(), invite: Invite::decode(key, &encoded)?, encoded })
    }

    /// Whether it is of use to somebody who comes to register, or to set a password.
    pub fn is_for_strangers(&self) -> bool {
        self.invite.registers || self.invite.resets
    }

    /// The account whose password is set with it.
    pub fn resets(&self) -> Option<Owner> {
        let name = self.invite.username.as_deref().filter(|_| self.invite.resets)?;
        Owner::new(name, self.domain()).ok()
    }

    /// The domain that it is for.
    pub fn domain(&self) -> &str {
        let domain = self.key.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(domain).unwrap_or_default()
    }

    /// What operators call it: the beginning of the hash, which says nothing of the token.
    pub fn id(&self) -> String {
        let hash = &self.key[self.key.len().saturating_sub(HASH_BYTES)..];
        hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it can be used at this time, in seconds since 1970.
    pub fn is_valid(&self, now_s: u64) -> bool {
        self.invite.uses_left > 0 && now_s < self.invite.expires_s
    }

    /// Uses it once, along with what else is written. The last use removes it.
    pub fn consume(&self, request: WriteRequest) -> WriteRequest {
        let request = request.require_equals(FAMILY, &self.key, self.encoded.clone());
        match self.invite.uses_left {
            0 | 1 => request.delete(FAMILY, &self.key),
            left => request.put(FAMILY, &self.key, Invite { uses_left: left - 1, ..self.invite.clone() }.encode()),
        }
    }

    /// Takes it back, and has the name be anybody's that was kept for it.
    pub fn revoke(&self) -> WriteRequest {
        let request = WriteRequest::new(Owner::nobody()).require_equals(FAMILY, &self.key, self.encoded.clone());
        let named = self.invite.username.as_deref().filter(|_| !self.invite.resets);
        let named = named.and_then(|name| Owner::new(name, self.domain()).ok());
        let request = request.delete(FAMILY, &self.key);
        named.into_iter().fold(request, |request, named| names::release(request, &named))
    }
}

/// Keeps a new invitation to a domain. Refused if the token is known.
pub fn create(domain: &str, token: &str, invite: &Invite) -> WriteRequest {
    let key = key(domain, token);
    WriteRequest::new(Owner::nobody()).require_absent(FAMILY, &key).put(FAMILY, &key, invite.encode())
}

/// Reads an invitation; see [`decode`].
pub fn get(domain: &str, token: &str) -> ReadRequest {
    ReadRequest::Get(FAMILY, key(domain, token))
}

/// The invitation in the outcome of [`get`].
pub fn decode(domain: &str, token: &str, outcome: Outcome) -> Result<Option<StoredInvite>, LoadError> {
    match outcome {
        Outcome::Value(None) => Ok(None),
        Outcome::Value(Some(bytes)) => Ok(Some(StoredInvite::decode(&key(domain, token), bytes)?)),
        other => Err(LoadError::unexpected(other)),
    }
}

/// Reads all invitations in the order of domains. The page decodes with [`decode_page`], and [`PageRequest::next`]
/// continues it.
pub fn list(entries_max: usize) -> PageRequest {
    let (from, to) = (Vec::new(), None);
    PageRequest { family: FAMILY, from, to, reverse: false, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// The invitations in a page of [`list`]. One that cannot be decoded does not hide the others.
pub fn decode_page(page: Page) -> Vec<Result<StoredInvite, DecodeError>> {
    page.entries.into_iter().map(|(key, value)| StoredInvite::decode(&key, value)).collect()
}

fn key(domain: &str, token: &str) -> Vec<u8> {
    [domain.as_bytes(), b"\0", &Sha256::digest(token.as_bytes())].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};
    use proptest::prelude::*;

    fn invite() -> Invite {
        Invite {
            inviter: Some("juliet@x".into()),
            registers: true,
            befriends: true,
            username: None,
            made_s: 1,
            expires_s: 100,
            uses_left: 2,
            resets: false,
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            if let Ok(stored) = StoredInvite::decode(&key, value) {
                let _ = (stored.id(), stored.domain().len());
            }
        }
    }

    #[test]
    fn the_encoding_stays_and_that_of_version_1_is_read() {
        let body = [1, 8, b'j', b'u', b'l', b'i', b'e', b't', b'@', b'x', 1, 1, 0, 1, 100, 2];
        assert_eq!(invite().encode(), [&[2], &body[..], &[0]].concat());
        assert_eq!(Invite::decode(b"key", &[&[1], &body[..]].concat()), Ok(invite()));
    }

    #[test]
    fn an_invitation_is_used_as_often_as_it_says_and_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        let find = |domain| decode(domain, "token", store.read_blocking(&get(domain, "token"))).unwrap();
        assert_eq!(store.write_blocking(create("x", "token", &invite())), Outcome::Written);
        assert!(matches!(store.write_blocking(create("x", "token", &invite())), Outcome::Refused(_)));
        assert_eq!(find("y"), None);
        let consume = |stored: &StoredInvite| store.write_blocking(stored.consume(WriteRequest::new(Owner::nobody())));
        let first = find("x").unwrap();
        assert_eq!((first.domain(), first.id().len()), ("x", 12));
        assert!(first.is_valid(99) && !first.is_valid(100));
        assert_eq!(consume(&first), Outcome::Written);
        assert!(matches!(consume(&first), Outcome::Refused(_)), "somebody else was faster");
        let second = find("x").unwrap();
        assert_eq!(second.invite.uses_left, 1);
        assert_eq!(consume(&second), Outcome::Written);
        assert_eq!(find("x"), None);
        assert_eq!(store.write_blocking(create("x", "token", &invite())), Outcome::Written);
        assert_eq!(store.write_blocking(find("x").unwrap().revoke()), Outcome::Written);
        assert_eq!(decode_page(store.page(list(10)).unwrap()), []);
    }
}
