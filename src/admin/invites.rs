//! Invitations as an operator makes and revokes them.

use std::sync::Arc;

use rondel_storage::invites::{self, Invite, StoredInvite};
use rondel_storage::{Owner, Store, WriteRequest, names};
use serde::{Deserialize, Serialize};

use super::backend::{Failure, FailureKind};
use super::users::{failed, now, write};
use crate::registration::{invite_uri, token};

/// Invitations that are shown at most.
const SHOWN_MAX: usize = 10_000;

/// An invitation to be made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NewInvite {
    /// To which domain; `None`: to the server's main one.
    pub domain: Option<String>,
    /// The name of the account that is made with it, if that is fixed.
    pub username: Option<String>,
    /// Whose contact becomes whoever uses it: a bare JID.
    pub contact: Option<String>,
    /// How often it may be used.
    pub uses: u32,
    /// For how many seconds it holds.
    pub lifetime_s: u64,
    /// Whether the password of that account, which there is, is set anew with it instead.
    pub resets: bool,
}

/// An invitation that was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MadeInvite {
    /// What is passed on to whoever is invited.
    pub uri: String,
    /// The web page that shows it, if there is one.
    pub page: Option<String>,
    /// The token in both.
    pub token: String,
    /// Until when it holds, in seconds since 1970.
    pub expires_s: u64,
}

/// An invitation that is open.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OpenInvite {
    /// By which it is revoked. It says nothing of the token.
    pub id: String,
    /// To which domain.
    pub domain: String,
    /// Who has made it, or whose contact becomes whoever uses it.
    pub inviter: Option<String>,
    /// Whether an account can be made with it.
    pub registers: bool,
    /// The name of that, if it is fixed.
    pub username: Option<String>,
    /// Whether the password of that account is set anew with it.
    pub resets: bool,
    /// Until when it holds, in seconds since 1970.
    pub expires_s: u64,
    /// How often it may still be used.
    pub uses_left: u32,
}

/// The invitations in a store.
#[derive(Clone)]
pub struct Invites {
    store: Arc<Store>,
}

impl Invites {
    /// Those of this store.
    pub fn new(store: Arc<Store>) -> Invites {
        Invites { store }
    }

    /// Makes one, to a domain that is named. Returns once it is safe on disk.
    pub fn create(&self, new: &NewInvite) -> Result<MadeInvite, Failure> {
        let missing = || Failure::new(FailureKind::Invalid, "no server runs: name the domain (--domain example.org)");
        let domain = new.domain.as_deref().ok_or_else(missing)?;
        let made_s = now().as_secs();
        let (expires_s, token) = (made_s.saturating_add(new.lifetime_s), token());
        let invite = Invite {
            inviter: new.contact.clone(),
            registers: !new.resets,
            befriends: new.contact.is_some(),
            username: new.username.clone(),
            made_s,
            expires_s,
            uses_left: new.uses,
            resets: new.resets,
        };
        let mut request = invites::create(domain, &token, &invite);
        if let Some(username) = new.username.as_ref().filter(|_| !new.resets) {
            let named = Owner::new(username, domain);
            let named = named.map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))?;
            request = names::reserve(request, &named, expires_s);
        }
        self.write(request)?;
        Ok(MadeInvite { uri: invite_uri(domain, &invite, &token), page: None, token, expires_s })
    }

    /// Those that are open.
    pub fn list(&self) -> Result<Vec<OpenInvite>, Failure> {
        let open = |stored: StoredInvite| OpenInvite {
            id: stored.id(),
            domain: stored.domain().to_owned(),
            inviter: stored.invite.inviter,
            registers: stored.invite.registers,
            username: stored.invite.username,
            resets: stored.invite.resets,
            expires_s: stored.invite.expires_s,
            uses_left: stored.invite.uses_left,
        };
        let now_s = now().as_secs();
        Ok(self.all()?.into_iter().filter(|stored| stored.is_valid(now_s)).map(open).collect())
    }

    /// Takes one back.
    pub fn revoke(&self, id: &str) -> Result<(), Failure> {
        let missing = || Failure::new(FailureKind::NotFound, format!("there is no open invitation {id}"));
        let stored = self.all()?.into_iter().find(|stored| stored.id() == id).ok_or_else(missing)?;
        self.write(stored.revoke())
    }

    /// Takes back those that an account has made, or that are for it, which is gone.
    pub fn forget_of(&self, jid: &str) -> Result<(), Failure> {
        let is_of = |stored: &StoredInvite| {
            stored.invite.inviter.as_deref() == Some(jid)
                || stored.resets().is_some_and(|account| account.to_string() == jid)
        };
        for stored in self.all()?.into_iter().filter(is_of) {
            self.write(stored.revoke())?;
        }
        Ok(())
    }

    /// Forgets those that do not hold any more.
    pub fn forget_old(&self) -> Result<(), Failure> {
        let now_s = now().as_secs();
        for stored in self.all()?.into_iter().filter(|stored| !stored.is_valid(now_s)) {
            self.write(stored.revoke())?;
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<StoredInvite>, Failure> {
        let page = self.store.page(invites::list(SHOWN_MAX)).map_err(failed)?;
        Ok(invites::decode_page(page).into_iter().flatten().collect())
    }

    /// Refused means that somebody else has used or revoked it meanwhile.
    fn write(&self, request: WriteRequest) -> Result<(), Failure> {
        write(&self.store, request).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_storage::Options;

    #[test]
    fn invitations_are_made_shown_and_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&Options::new(directory.path().join("store"))).unwrap());
        let invites = Invites::new(store);
        let new = NewInvite {
            domain: Some("x.org".into()),
            username: None,
            contact: None,
            uses: 3,
            lifetime_s: 1000,
            resets: false,
        };
        let made = invites.create(&new).unwrap();
        assert!(made.uri.starts_with("xmpp:x.org?register;preauth="), "{}", made.uri);
        let named = NewInvite { username: Some("romeo".into()), contact: Some("juliet@x.org".into()), ..new.clone() };
        assert!(invites.create(&named).unwrap().uri.starts_with("xmpp:romeo@x.org?register;preauth="));
        let friend = NewInvite { contact: Some("juliet@x.org".into()), ..new.clone() };
        let made = invites.create(&friend).unwrap();
        assert!(made.uri.starts_with("xmpp:juliet@x.org?roster;preauth=") && made.uri.ends_with(";ibr=y"));
        invites.create(&NewInvite { lifetime_s: 0, ..new }).unwrap();
        let open = invites.list().unwrap();
        assert_eq!(open.iter().map(|open| open.uses_left).collect::<Vec<_>>(), [3, 3, 3]);
        invites.revoke(&open[0].id).unwrap();
        assert_eq!(invites.list().unwrap(), open[1..]);
        assert_eq!(invites.revoke("nonsense").unwrap_err().kind, FailureKind::NotFound);
        assert_eq!(invites.all().unwrap().len(), 3);
        invites.forget_old().unwrap();
        assert_eq!(invites.all().unwrap().len(), 2);
    }
}
