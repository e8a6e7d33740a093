//! What a shard keeps of one stream.

use std::net::SocketAddr;
use std::sync::Arc;

use rondel_shards::ConnectionId;
use rondel_storage::accounts::StoredAccount;

use crate::account::{Address, SessionKey};
use crate::jid::Jid;
use crate::limits::Sent;
use crate::sasl::Failure;
use crate::stream::management::Resume;
use crate::stream::{BindRequests, Negotiation, TokenChange};
use crate::xml::Framer;

/// One client's stream. Small, because an idle session is little else.
pub struct Stream {
    pub(super) connection: ConnectionId,
    /// The same for the connection's whole life, on every shard.
    pub(super) number: u64,
    pub(super) peer: SocketAddr,
    pub(super) framer: Framer,
    /// The language of stanzas that name none (RFC 6120 §8.1.5), as its stream header says; escaped.
    pub(super) lang: Option<Box<str>>,
    /// When the client was last heard.
    pub(super) heard_ms: u64,
    pub(super) phase: Phase,
    /// A request of the session is waited for before anything else is read.
    pub(super) waits: bool,
    /// Too much of what the session has sent is not safe yet: nothing else is read before it is.
    pub(super) is_held_back: bool,
    /// The session that the stream is about to take over.
    pub(super) resumes: Option<SessionKey>,
    /// A user who is being looked up.
    pub(super) lookup: Option<Box<Lookup>>,
    /// What the login in progress relies on; absent for anonymous users.
    pub(super) basis: Option<Basis>,
}

/// A user who is being looked up, and what for: the request to the storage that is on its way.
pub(super) struct Lookup {
    pub account: Jid<'static>,
    pub purpose: Purpose,
}

/// Why a user is looked up.
pub(super) enum Purpose {
    /// To be challenged.
    Challenge,
    /// To verify a password that has come already.
    Password(String),
    /// To find the tokens of this client next.
    Client(String),
    /// The tokens of this client are being looked up; and why the account may not log in, if so.
    Tokens { client: String, disabled: Option<Failure> },
    /// To change the tokens of a client.
    ChangeTokens(Box<Changing>),
    /// To see that the account still is what it was when the login began; then to go on.
    Proceed(Next),
}

/// What is next once a login is through.
pub(super) enum Next {
    /// To bind a resource.
    Bind { jid: Jid<'static>, agent: Option<String>, requests: BindRequests },
    /// To go on with a session.
    Resume { account: Jid<'static>, resume: Resume<'static> },
}

/// The tokens of a client on their way to be changed.
pub(super) struct Changing {
    pub client: String,
    pub change: TokenChange,
    /// How often it may still begin again, because others have been faster.
    pub tries_left: u32,
    pub stage: ChangeStage,
}

/// What the storage is being asked for a change of tokens.
pub(super) enum ChangeStage {
    /// For the account.
    Account,
    /// For the tokens of all its clients.
    Tokens(StoredAccount),
    /// To write.
    Writing,
}

/// What a login relies on: the account as it was when it was looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Basis {
    /// The count of changes of accounts just before.
    pub changes: u64,
    /// Tells one state of the account from another.
    pub fingerprint: u64,
}

/// Before and after login.
pub(super) enum Phase {
    Login(Box<Negotiation>),
    Bound(Established),
}

/// The session of a stream: its state is with its account.
pub(super) struct Established {
    pub key: SessionKey,
    /// The same as the session's, so that it is at hand while the session is not.
    pub address: Arc<Address>,
    /// Whether stream management is on.
    pub is_managed: bool,
    /// What it has sent.
    pub sent: Sent,
    /// When it was last not read from because of that, in milliseconds of the shard's clock; zero for never.
    pub rested_ms: u64,
    /// Whether it has no limits of traffic.
    pub is_exempt: bool,
}

impl Established {
    /// A session that has sent nothing over this stream.
    pub fn new(key: SessionKey, address: Arc<Address>, is_managed: bool) -> Established {
        Established { key, address, is_managed, sent: Sent::default(), rested_ms: 0, is_exempt: false }
    }
}

/// Characters of a language tag at most; the longest that are registered have half as many.
const LANG_MAX: usize = 64;

/// A language tag that is fit to be written into other people's stanzas (RFC 5646 §2.1).
pub(super) fn language(tag: &str) -> Option<Box<str>> {
    let is_tag = !tag.is_empty() && tag.len() <= LANG_MAX;
    (is_tag && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')).then(|| tag.into())
}

impl Stream {
    pub(super) fn session(&self) -> Option<&Established> {
        match &self.phase {
            Phase::Bound(session) => Some(session),
            Phase::Login(_) => None,
        }
    }
}
