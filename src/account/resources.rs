//! The sessions of the accounts at home on a shard: binding and unbinding resources (RFC 6120 §7).

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use rondel_shards::ConnectionId;
use slotmap::SlotMap;

use super::caps::Advertised;
use super::session::{Address, Session, SessionKey};
use super::state::{Account, Standing};
use crate::jid::Jid;

/// What to do when a resource is asked for that is connected already (RFC 6120 §7.7.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conflict {
    /// The old one goes.
    Replace,
    /// The new one is refused.
    Refuse,
    /// The new one gets another name.
    Rename,
}

/// What bounds the resources of an account.
#[derive(Clone, Copy, Debug)]
pub struct BindLimits {
    /// When a resource is taken.
    pub policy: Conflict,
    /// Resources at once.
    pub sessions_max: usize,
}

/// A resource was bound.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The new session.
    pub key: SessionKey,
    /// Its full JID.
    pub address: Arc<Address>,
    /// The sessions that must end with `<conflict/>`: of who had the resource before, and the same client's earlier
    /// one.
    pub replaced: Vec<SessionKey>,
}

/// Why a resource cannot be bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BindError {
    /// It is taken: `<conflict/>`.
    Conflict,
    /// The account has as many as it may: `<resource-constraint/>`.
    TooMany,
}

/// The accounts of a shard that are in memory: those with a session, and for a while those without one, of which
/// something was needed just now.
#[derive(Default)]
pub struct Accounts {
    by_jid: HashMap<Box<str>, Box<Account>>,
    sessions: SlotMap<SessionKey, Box<Session>>,
    /// Accounts without a session, in the order in which they may leave, each with the time from which on it may.
    leaving: VecDeque<(Box<str>, u64)>,
}

/// How long an account without a session stays, in milliseconds: what comes for it comes in bursts.
const STAY_MS: u64 = 5_000;

/// Accounts without a session that stay at most.
const STAYING_MAX: usize = 4096;

impl Accounts {
    /// The sessions of an account, in the order in which they were bound.
    pub fn sessions(&self, bare_jid: &str) -> impl ExactSizeIterator<Item = (SessionKey, &Session)> + Clone {
        let keys = self.by_jid.get(bare_jid).map_or(&[][..], |account| &account.sessions);
        keys.iter().map(|&key| (key, &*self.sessions[key]))
    }

    /// How many sessions there are.
    pub fn sessions_len(&self) -> usize {
        self.sessions.len()
    }

    /// All accounts in memory, by their bare JIDs.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.by_jid.iter().map(|(bare_jid, account)| (&**bare_jid, &**account))
    }

    /// An account that is in memory.
    pub fn account(&self, bare_jid: &str) -> Option<&Account> {
        self.by_jid.get(bare_jid).map(|account| &**account)
    }

    /// An account that is in memory, to be changed.
    pub fn account_mut(&mut self, bare_jid: &str) -> Option<&mut Account> {
        self.by_jid.get_mut(bare_jid).map(|account| &mut **account)
    }

    /// Takes an account into memory that was loaded.
    pub fn insert(&mut self, bare_jid: &str, account: Account, now_ms: u64) {
        self.by_jid.insert(bare_jid.into(), Box::new(account));
        self.stay(bare_jid, now_ms);
    }

    /// Forgets an account, which must have no session: it is gone, or what is in memory is not what is on disk.
    pub fn forget(&mut self, bare_jid: &str) {
        if self.by_jid.get(bare_jid).is_some_and(|account| account.sessions.is_empty()) {
            self.by_jid.remove(bare_jid);
        }
    }

    /// An account has no session: it leaves after a while, unless `is_needed` says then that it is needed.
    fn stay(&mut self, bare_jid: &str, now_ms: u64) {
        let leaves_ms = now_ms + STAY_MS;
        if let Some(account) = self.by_jid.get_mut(bare_jid) {
            account.leaves_ms = leaves_ms;
        }
        self.leaving.push_back((bare_jid.into(), leaves_ms));
    }

    /// Lets accounts without a session go whose time has come, or which are too many, unless they are needed. Returns
    /// when the next one's time comes.
    pub fn let_go(&mut self, now_ms: u64, is_needed: impl Fn(&str) -> bool) -> Option<u64> {
        // Each is looked at once: what is needed comes back at the end.
        for _ in 0..self.leaving.len() {
            let (_, time_ms) = self.leaving.front()?;
            if *time_ms > now_ms && self.leaving.len() <= STAYING_MAX {
                break;
            }
            let Some((bare_jid, time_ms)) = self.leaving.pop_front() else { break };
            // It may have been here before, and may have left and come back since then.
            let is_it = |account: &Account| account.sessions.is_empty() && account.leaves_ms == time_ms;
            let is_empty = self.by_jid.get(&bare_jid).is_some_and(|account| is_it(account));
            match is_empty && is_needed(&bare_jid) {
                true => self.stay(&bare_jid, now_ms),
                false if is_empty => {
                    self.by_jid.remove(&bare_jid);
                }
                false => {}
            }
        }
        self.leaving.front().map(|(_, time_ms)| *time_ms)
    }

    /// A session.
    #[inline]
    pub fn session(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(key).map(|session| &**session)
    }

    /// A session, to be changed.
    #[inline]
    pub fn session_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key).map(|session| &mut **session)
    }

    /// The session of a connection, looked for everywhere: for when nothing else is known of it.
    pub fn of_connection(&self, connection: ConnectionId) -> Option<SessionKey> {
        self.sessions.iter().find(|(_, session)| session.connection == Some(connection)).map(|(key, _)| key)
    }

    /// Every session.
    pub fn all_sessions(&self) -> impl Iterator<Item = (SessionKey, &Session)> {
        self.sessions.iter().map(|(key, session)| (key, &**session))
    }

    /// Accounts in memory.
    pub fn len(&self) -> usize {
        self.by_jid.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.by_jid.is_empty()
    }

    /// Binds the resource of a full JID to a connection, whose account must be in memory. `agent` is the client's
    /// installation, `other` makes another name for [`Conflict::Rename`].
    pub fn bind(
        &mut self,
        jid: &Jid<'_>,
        agent: Option<String>,
        connection: ConnectionId,
        limits: BindLimits,
        other: impl FnOnce() -> String,
    ) -> Result<Bound, BindError> {
        let name = jid.resource().unwrap_or_default();
        let taken = self.sessions(jid.bare()).find(|(_, session)| session.resource() == name).map(|(key, _)| key);
        let is_away = |key: SessionKey| self.session(key).is_some_and(|session| session.connection.is_none());
        let (address, taken) = match (taken, limits.policy) {
            (None, _) => (Address::new(jid), None),
            // Whoever takes the name again has not come back to resume.
            (Some(key), _) if is_away(key) => (Address::new(jid), Some(key)),
            (Some(_), Conflict::Refuse) => return Err(BindError::Conflict),
            (Some(_), Conflict::Rename) => (Address::new(&jid.with_resource(&other())), None),
            (Some(key), Conflict::Replace) => (Address::new(jid), Some(key)),
        };
        let is_earlier = |key: SessionKey, session: &Session| {
            Some(key) == taken || (agent.is_some() && session.agent.as_deref() == agent.as_deref())
        };
        let sessions = self.sessions(jid.bare());
        let count = sessions.len();
        let mut replaced: Vec<_> =
            sessions.clone().filter(|&(key, session)| is_earlier(key, session)).map(|(key, _)| key).collect();
        // Sessions that wait for their clients do not keep others out.
        let away = sessions.filter(|(_, session)| session.connection.is_none()).map(|(key, _)| key);
        for key in away {
            if count - replaced.len() >= limits.sessions_max && !replaced.contains(&key) {
                replaced.push(key);
            }
        }
        if count - replaced.len() >= limits.sessions_max {
            return Err(BindError::TooMany);
        }
        let address = Arc::new(address);
        let key = self.sessions.insert(Box::new(Session {
            address: Arc::clone(&address),
            connection: Some(connection),
            since_s: 0,
            agent: agent.map(String::into_boxed_str),
            presence: None,
            directed: Vec::new(),
            bearer: None,
            interested: false,
            wants_blocklist: false,
            carbons_since_us: None,
            held: None,
            managed: None,
            advertised: Advertised::default(),
        }));
        if let Some(account) = self.by_jid.get_mut(jid.bare()) {
            account.sessions.push(key);
        }
        Ok(Bound { key, address, replaced })
    }

    /// Takes a session out. With its last one an account may leave.
    pub fn unbind(&mut self, key: SessionKey, now_ms: u64) -> Option<Box<Session>> {
        let session = self.sessions.remove(key)?;
        let bare_jid = session.address.bare();
        if let Some(account) = self.by_jid.get_mut(bare_jid) {
            account.sessions.retain(|other| *other != key);
            match (account.sessions.is_empty(), account.standing) {
                (true, Standing::Registered) => self.stay(bare_jid, now_ms),
                (true, _) => {
                    self.by_jid.remove(bare_jid);
                }
                (false, _) => {}
            }
        }
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BindLimits = BindLimits { policy: Conflict::Replace, sessions_max: 10 };

    fn insert(accounts: &mut Accounts, now_ms: u64) {
        accounts.insert("juliet@localhost", Account::new(Standing::Registered), now_ms);
    }

    fn bind(accounts: &mut Accounts) -> SessionKey {
        let jid = Jid::parse("juliet@localhost/balcony").unwrap();
        let bound = accounts.bind(&jid, None, ConnectionId::from_bits(1), LIMITS, String::new);
        bound.unwrap().key
    }

    #[test]
    fn an_account_stays_for_a_while_and_then_leaves() {
        let mut accounts = Accounts::default();
        insert(&mut accounts, 0);
        assert_eq!(accounts.let_go(STAY_MS - 1, |_| false), Some(STAY_MS));
        assert_eq!((accounts.let_go(STAY_MS, |_| true), accounts.len()), (Some(2 * STAY_MS), 1));
        assert_eq!((accounts.let_go(2 * STAY_MS, |_| false), accounts.len()), (None, 0));
        insert(&mut accounts, 0);
        let key = bind(&mut accounts);
        assert_eq!((accounts.let_go(STAY_MS, |_| false), accounts.len()), (None, 1));
        accounts.unbind(key, STAY_MS);
        assert_eq!((accounts.let_go(2 * STAY_MS, |_| false), accounts.len()), (None, 0));
    }

    /// What is noted of an account that has left does not make it leave when it has just come back.
    #[test]
    fn an_account_that_comes_back_stays_as_long_as_any_other() {
        let mut accounts = Accounts::default();
        insert(&mut accounts, 0);
        let key = bind(&mut accounts);
        accounts.unbind(key, 5);
        assert_eq!((accounts.let_go(STAY_MS, |_| false), accounts.len()), (Some(STAY_MS + 5), 1));
        accounts.forget("juliet@localhost");
        insert(&mut accounts, STAY_MS + 4);
        accounts.let_go(STAY_MS + 5, |_| false);
        assert_eq!(accounts.len(), 1);
        assert_eq!((accounts.let_go(2 * STAY_MS + 4, |_| false), accounts.len()), (None, 0));
    }
}
