//! Who is online on a shard, and the sessions of an account, for those who administer the server.

use rondel_shards::Io;

use super::{End, Shard};
use crate::account::Session;
use crate::admin::{SessionFacts, Which};
use crate::jid::Jid;
use crate::stream::StreamError;

/// What a shard is asked.
pub struct Census {
    /// Which accounts are counted.
    pub which: Which,
    /// How many of them are named.
    pub names_max: usize,
    /// Where the answer goes: how many, and some names.
    pub answer: crossbeam::channel::Sender<(usize, Vec<String>)>,
}

/// The sessions of an account are asked for.
pub struct Sessions {
    /// The bare JID.
    pub account: String,
    /// Where the answer goes.
    pub answer: crossbeam::channel::Sender<Vec<SessionFacts>>,
}

impl Shard {
    /// Counts the accounts with a session here. One is active if somebody looks at one of its clients, as far as those
    /// say so (XEP-0352).
    pub(super) fn count_accounts(&self, census: &Census) {
        let (mut number, mut names) = (0, Vec::new());
        for (bare, account) in self.accounts.all() {
            let mut sessions = self.accounts.sessions(bare).map(|(_, session)| session).peekable();
            let is_online = sessions.peek().is_some();
            let is_active = || sessions.any(is_active);
            let is_it = match census.which {
                Which::Registered | Which::Disabled => false,
                Which::Online => is_online,
                Which::Active => is_online && { is_active }(),
                Which::Idle => is_online && !{ is_active }(),
            };
            if is_it && account.owner.is_some() {
                number += 1;
                if names.len() < census.names_max {
                    names.push(bare.to_owned());
                }
            }
        }
        // Whoever asked may have stopped waiting.
        let _ = census.answer.send((number, names));
    }

    /// Tells of the sessions of an account.
    pub(super) fn tell_sessions(&self, io: &Io<Shard>, asked: &Sessions) {
        let facts = |session: &Session| SessionFacts {
            jid: session.address.as_str().to_owned(),
            address: session
                .connection
                .and_then(|connection| io.peer(connection))
                .map(|peer| peer.ip().to_canonical().to_string()),
            since_s: session.since_s,
            is_active: is_active(session),
        };
        let sessions = self.accounts.sessions(&asked.account).map(|(_, session)| facts(session));
        let _ = asked.answer.send(sessions.collect());
    }

    /// Ends a session by its full JID, for an administrator.
    pub(super) fn end_session(&mut self, io: &mut Io<Shard>, full: &str, error: &StreamError) -> usize {
        let Ok(jid) = Jid::parse(full) else { return 0 };
        let is_it = |session: &Session| session.address.as_str() == jid.as_str();
        let sessions = self.accounts.sessions(jid.bare()).filter(|(_, session)| is_it(session));
        let before = self.doomed.len();
        self.doomed.extend(sessions.map(|(key, _)| (key, End::Error(error.clone()))));
        let ended = self.doomed.len() - before;
        self.after(io);
        ended
    }
}

fn is_active(session: &Session) -> bool {
    session.held.is_none() && session.connection.is_some()
}
