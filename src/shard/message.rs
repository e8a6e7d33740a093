//! What shards tell each other, and what other threads tell them.

use std::sync::Arc;

use rondel_shards::ConnectionId;
use rondel_storage::Reply;

use super::broadcast::{Broadcast, Presences};
use super::census::{Census, Sessions};
use super::firewall::{Answer, AskListEntries, AskedByRules, FollowRules, ListChange, SetMark};
use super::invites::Befriend;
use super::notices::Announcement;
use super::pep::{Event, Question};
use super::registrar::ToRegistrar;
use super::removal::RemoveAccount;
use super::stock::TakeStock;
use super::task::Aside;
use super::ticket::{Settled, TicketId};
use super::trace::Watch;
use super::usage::AskUsage;
use crate::account::{Address, Bearer, StanzaKind, Traits};
use crate::sasl::Failure;
use crate::stream::StreamError;

/// A message to a shard.
pub enum Message {
    /// A stanza for an account at home there.
    Stanza(Routed),
    /// A resource's presence, for its contacts at home there.
    Broadcast(Box<Broadcast>),
    /// The presence of contacts, for a resource that has asked for it.
    Presences(Box<Presences>),
    /// What some sessions of that shard have sent is on disk where it belongs.
    Settled(Box<Settled>),
    /// An event, for those who follow the node and are at home there.
    Event(Box<Event>),
    /// A resource asks for what accounts at home there have published last.
    Question(Box<Question>),
    /// The shard has told itself to go on with what such questions ask for.
    ReadArrivals,
    /// An answer of the storage.
    Stored(Reply),
    /// What verifying a password has led to; `None` if that failed.
    Verified {
        /// Which connection asked.
        token: u64,
        /// Right, or wrong and how.
        outcome: Option<Result<(), Failure>>,
    },
    /// Somebody looks at what is decided for an account, or no longer.
    Watch(Box<Watch>),
    /// Somebody looks at what rules do, or no longer.
    FollowRules(Box<FollowRules>),
    /// Something has been done beside the shard.
    Aside {
        /// Which task asked.
        token: u64,
        /// What has come of it.
        aside: Aside,
    },
    /// There is more of what a browser fetches over this connection.
    Downloaded(ConnectionId),
    /// Somebody wants to register, or has come to the end of it: for the shard that counts.
    Registrar(Box<ToRegistrar>),
    /// Ends all sessions of an account and answers how many there were.
    EndSessions(Box<EndSessions>),
    /// Counts who is online there.
    Census(Box<Census>),
    /// Tells of the sessions of an account.
    Sessions(Box<Sessions>),
    /// Tells what somebody has used of what it may.
    Usage(Box<AskUsage>),
    /// What is here is asked for.
    TakeStock(Box<TakeStock>),
    /// Ends a session, of which the full JID is given.
    EndSession(Box<EndSessions>),
    /// Something has been decided about an account: what is in memory of it follows.
    Reconsider(Box<Reconsider>),
    /// Who is banned has changed: the sessions of those who are end.
    EndBanned,
    /// Block lists of others are followed from now on.
    FollowLists,
    /// How much may be sent has changed.
    TakeTraffic,
    /// Somebody with this bare JID has been let in, and is welcomed.
    Welcome(Box<str>),
    /// Something is said to all who are available there.
    Announce(Box<Announcement>),
    /// Something is said to an account at home there.
    Tell(Box<(String, Arc<str>)>),
    /// Rules have been read anew.
    TakeFirewall,
    /// Rules on another shard want to know something of what is at home there.
    AskedByRules(Box<AskedByRules>),
    /// What rules have asked, by its number, and the answer.
    RulesAnswered(Box<(u64, Answer)>),
    /// A list of rules has changed: its name.
    ChangeList(Box<(Box<str>, ListChange)>),
    /// Somebody wants to know what is in a list of rules.
    ListEntries(Box<AskListEntries>),
    /// A mark of an account has been set or taken away.
    Mark(Box<SetMark>),
    /// An account and another become contacts.
    Befriend(Box<Befriend>),
    /// Removes an account and all that belongs to it.
    RemoveAccount(Box<RemoveAccount>),
}

// Every ring between two shards has room for thousands; what is seldom is boxed.
const _: () = assert!(std::mem::size_of::<Message>() <= 64);

/// An account about which something was decided.
pub struct Reconsider {
    /// The bare JID.
    pub account: String,
    /// Where it is answered that what was decided holds.
    pub answer: crossbeam::channel::Sender<()>,
}

/// What ends an account's sessions.
pub struct EndSessions {
    /// The bare JID, or the full one of a session.
    pub account: String,
    /// What the clients are told.
    pub error: StreamError,
    /// Where the answer goes.
    pub answer: crossbeam::channel::Sender<usize>,
}

/// A stanza on its way: in one allocation its bytes, with the true `from`, behind addressee and sender in normal form.
pub struct Routed {
    bytes: Box<[u8]>,
    to_bare_end: u16,
    to_end: u16,
    from_bare_end: u16,
    from_end: u16,
    /// Its kind and type.
    pub kind: StanzaKind,
    /// What is in it, if it is a message.
    pub traits: Traits,
    /// Who waits for what it leads to, while it is on its way between shards.
    pub ticket: Option<TicketId>,
    /// The session that it is from, if rules may ask about it where it comes to.
    pub bearer: Option<Arc<Bearer>>,
    /// How many rules, one after the other, have led to it.
    pub generation: u8,
    /// Whether rules have let it pass, or it is none of their business.
    pub has_passed: bool,
}

/// Who has sent a stanza: a full or a bare JID in normal form.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    jid: &'a str,
    bare_end: usize,
}

impl<'a> Sender<'a> {
    /// A session.
    pub fn session(address: &'a Address) -> Sender<'a> {
        Sender { jid: address.as_str(), bare_end: address.bare().len() }
    }

    /// Any JID in normal form.
    pub fn of(jid: &'a str) -> Sender<'a> {
        Sender { jid, bare_end: jid.find('/').unwrap_or(jid.len()) }
    }

    /// The whole address.
    pub fn as_str(self) -> &'a str {
        self.jid
    }

    /// The bare address.
    pub fn bare(self) -> &'a str {
        &self.jid[..self.bare_end]
    }
}

impl Routed {
    /// Takes the stanza that `write` appends.
    pub fn new(
        kind: StanzaKind,
        traits: Traits,
        from: Sender<'_>,
        to: &crate::jid::Jid<'_>,
        size: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Routed {
        let mut bytes = Vec::with_capacity(to.as_str().len() + from.jid.len() + size);
        bytes.extend_from_slice(to.as_str().as_bytes());
        bytes.extend_from_slice(from.jid.as_bytes());
        write(&mut bytes);
        // A JID has three parts of 1,023 bytes at most.
        let (to_bare_end, to_end) = (to.bare().len() as u16, to.as_str().len() as u16);
        let (from_bare_end, from_end) = (to_end + from.bare_end as u16, to_end + from.jid.len() as u16);
        Routed {
            bytes: bytes.into_boxed_slice(),
            to_bare_end,
            to_end,
            from_bare_end,
            from_end,
            kind,
            traits,
            ticket: None,
            bearer: None,
            generation: 0,
            has_passed: false,
        }
    }

    /// The same once more, for whom nobody waits.
    pub fn copy(&self) -> Routed {
        Routed { bytes: self.bytes.clone(), ticket: None, bearer: self.bearer.clone(), ..*self }
    }

    /// The same, which rules have let pass.
    pub fn passed(self) -> Routed {
        Routed { has_passed: true, ..self }
    }

    /// What it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The stanza.
    pub fn stanza(&self) -> &[u8] {
        &self.bytes[self.from_end as usize..]
    }

    /// Whom it is for.
    pub fn to(&self) -> &str {
        self.text(0, self.to_end)
    }

    /// The account it is for.
    pub fn bare(&self) -> &str {
        self.text(0, self.to_bare_end)
    }

    /// The resource it is for.
    pub fn resource(&self) -> Option<&str> {
        (self.to_bare_end != self.to_end).then(|| self.text(self.to_bare_end + 1, self.to_end))
    }

    /// Who has sent it.
    pub fn from(&self) -> Sender<'_> {
        Sender { jid: self.text(self.to_end, self.from_end), bare_end: (self.from_bare_end - self.to_end) as usize }
    }

    fn text(&self, from: u16, to: u16) -> &str {
        std::str::from_utf8(&self.bytes[from as usize..to as usize]).unwrap_or_default()
    }
}
