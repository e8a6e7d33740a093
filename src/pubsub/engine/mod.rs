//! Carrying out requests: from a request, facts about who asks, and what is stored, to what is written, answered and
//! notified.
//!
//! A request is handled by a function without side effects, which is called again from its beginning each time that
//! something it needs has been read. So what it does reads straight down, and depends on nothing but what was read.

mod context;
mod discovery;
mod items;
mod known;
mod legacy;
mod nodes;
mod people;
mod presence;
mod publish;
mod strangers;
mod subscriptions;

use rondel_storage::pubsub::{AccessModel, Change};
use rondel_storage::{LoadError, Owner, ReadRequest, WriteRequest};

use self::context::Context;
use self::known::{Known, Need};
use super::ServiceKind;
use super::error::PubsubError;
use super::limits::PubsubLimits;
use super::notify::Notification;
use super::request::Request;
use crate::jid::Jid;

/// How often a request is carried out anew because what it was based on has changed meanwhile.
const ATTEMPTS_MAX: u8 = 4;

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Whose data it is.
    pub owner: Owner,
    /// Its address: the account's bare address, or the domain.
    pub jid: Box<str>,
    /// Which kind it is.
    pub kind: ServiceKind,
    /// Whether a resource of the account's owner is interested in bookmarks in the form of XEP-0048: when bookmarks
    /// change, it is told in that form too, which takes reading all of them.
    pub notifies_legacy_bookmarks: bool,
    /// The bytes that all its items take, if they have been counted before; else they are when it matters.
    pub stored: Option<u64>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Requester {
    /// The address, full where it is a resource's.
    pub jid: Jid<'static>,
    /// Whether the resource has sent available presence, so that contacts may learn of it.
    pub is_available: bool,
    /// Whether it may create nodes on a domain. An account's owner always may, on the account.
    pub may_create: bool,
}

/// The roster of an account, as far as access depends on it. Addresses are bare and in normal form.
pub trait Roster {
    /// Whether somebody has a subscription to the owner's presence (`from` or `both`).
    fn has_presence(&self, jid: &str) -> bool;
    /// Whether the owner has put somebody into a group.
    fn is_in_group(&self, jid: &str, group: &str) -> bool;
}

/// No roster: that of a domain.
impl Roster for () {
    fn has_presence(&self, _jid: &str) -> bool {
        false
    }

    fn is_in_group(&self, _jid: &str, _group: &str) -> bool {
        false
    }
}

/// What a request comes to. The answer and the notifications go out once the write is on disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What is written.
    pub write: Option<WriteRequest>,
    /// What is answered.
    pub reply: Reply,
    /// Who is notified.
    pub notifications: Vec<Notification>,
    /// What was published, for those who keep something in step with a node.
    pub published: Option<Published>,
    /// The bytes that all items of the service take after the write, if that is known.
    pub stored: Option<u64>,
    /// How many more they are than before.
    growth: i64,
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// A result with this payload, which may be empty.
    Result(Vec<u8>),
    /// An error, and the payload that stands before it, which may be empty.
    Error(PubsubError, Vec<u8>),
}

/// An item was published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Published {
    /// The node.
    pub node: String,
    /// The item.
    pub id: String,
    /// The node's access model.
    pub access: AccessModel,
}

/// What a transaction waits for, or what has come of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// This has to be read; its outcome goes to [`Transaction::read`].
    Need(ReadRequest),
    /// It is finished. If the write is refused, [`Transaction::again`] starts it anew.
    Done(Box<Outcome>),
}

/// One request that is being carried out.
#[derive(Debug)]
pub struct Transaction {
    service: Service,
    limits: PubsubLimits,
    requester: Requester,
    request: Request,
    fresh: Box<str>,
    now_micros: u64,
    known: Known,
    asked: Option<Need>,
    attempts: u8,
}

/// Why a request cannot be carried on with.
#[derive(Debug)]
enum Stop {
    Need(Need),
    Refuse(PubsubError),
}

impl From<PubsubError> for Stop {
    fn from(error: PubsubError) -> Stop {
        Stop::Refuse(error)
    }
}

type Handled = Result<Outcome, Stop>;

impl Outcome {
    fn result(payload: Vec<u8>) -> Outcome {
        Outcome {
            write: None,
            reply: Reply::Result(payload),
            notifications: Vec::new(),
            published: None,
            stored: None,
            growth: 0,
        }
    }

    fn changed(change: Change, payload: Vec<u8>) -> Outcome {
        let growth = change.growth();
        Outcome { write: Some(change.finish()), growth, ..Outcome::result(payload) }
    }

    /// An answer without anything else.
    pub fn refused(error: PubsubError) -> Outcome {
        Outcome { reply: Reply::Error(error, Vec::new()), ..Outcome::result(Vec::new()) }
    }
}

impl Transaction {
    /// A request to a service at `now_micros` microseconds after 1970. `fresh` is a name that nobody can guess and that
    /// was never used before; ids that the service has to make up are made of it.
    pub fn new(
        service: Service,
        limits: PubsubLimits,
        requester: Requester,
        request: Request,
        fresh: &str,
        now_micros: u64,
    ) -> Transaction {
        let (fresh, known) = (fresh.into(), Known::default());
        Transaction { service, limits, requester, request, fresh, now_micros, known, asked: None, attempts: 0 }
    }

    /// The request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Goes on as far as possible. `roster` is that of the account's owner as it is now.
    pub fn advance(&mut self, roster: &dyn Roster) -> Progress {
        let context = Context {
            service: &self.service,
            limits: &self.limits,
            requester: &self.requester,
            roster,
            known: &self.known,
            fresh: &self.fresh,
            now_micros: self.now_micros,
        };
        let handled = carry_out(&context, &self.request);
        match strangers::conceal(&context, &self.request, handled) {
            Ok(mut outcome) => {
                outcome.stored = context.stored().map(|stored| stored.saturating_add_signed(outcome.growth));
                // XEP-0060 §12.3: each has an id of its own.
                for (notification, number) in outcome.notifications.iter_mut().skip(1).zip(1..) {
                    notification.id = format!("{}-{number}", self.fresh).into();
                }
                Progress::Done(Box::new(outcome))
            }
            Err(Stop::Refuse(error)) => Progress::Done(Box::new(Outcome::refused(error))),
            Err(Stop::Need(need)) => {
                let request = need.request(&self.service.owner);
                self.asked = Some(need);
                Progress::Need(request)
            }
        }
    }

    /// Takes what was read. After an error there is nothing to do but to answer [`PubsubError::INTERNAL`].
    pub fn read(&mut self, outcome: rondel_storage::Outcome) -> Result<(), LoadError> {
        let need = self.asked.take().ok_or(LoadError::OtherRequest)?;
        self.known.learn(need, outcome)
    }

    /// Starts anew, because the write was refused: somebody else was faster. `false`: that has happened too often;
    /// the answer is [`PubsubError::BUSY`].
    pub fn again(&mut self) -> bool {
        self.known = Known::default();
        // Somebody else has changed that as well.
        self.service.stored = None;
        self.attempts += 1;
        self.attempts < ATTEMPTS_MAX
    }
}

fn carry_out(c: &Context<'_>, request: &Request) -> Handled {
    match request {
        Request::Create { node, config } => nodes::create(c, node.as_deref(), config),
        Request::Configuration { node } => nodes::configuration(c, node),
        Request::Configure { node, config } => nodes::configure(c, node, config.as_ref()),
        Request::DefaultConfiguration => Ok(nodes::default_configuration(c)),
        Request::Delete { node, redirect } => nodes::delete(c, node, redirect.as_deref()),
        Request::Purge { node } => nodes::purge(c, node),
        Request::Publish { node, item, options } => publish::publish(c, node, item.as_ref(), options),
        Request::Retract { node, id, notify } => publish::retract(c, node, id, *notify),
        Request::Items { node, ids, max, page } => items::items(c, node, ids, *max, page.as_ref()),
        Request::Subscribe { node, jid } => subscriptions::subscribe(c, node, jid),
        Request::Unsubscribe { node, jid } => subscriptions::unsubscribe(c, node, jid),
        Request::Subscriptions { node } => subscriptions::own(c, node.as_deref()),
        Request::NodeSubscriptions { node } => subscriptions::of_node(c, node),
        Request::SetSubscriptions { node, entries } => subscriptions::set(c, node, entries),
        Request::Authorize { node, jid, allow } => subscriptions::authorize(c, node, jid, *allow),
        Request::Reassess { jid } => subscriptions::reassess(c, jid),
        Request::Affiliations { node } => people::own(c, node.as_deref()),
        Request::NodeAffiliations { node } => people::of_node(c, node),
        Request::SetAffiliations { node, entries } => people::set(c, node, entries),
        Request::DiscoItems { node } => discovery::items(c, node.as_deref()),
        Request::DiscoInfo { node } => discovery::info(c, node),
        Request::Presence { interests } => presence::last_items(c, interests),
        Request::LegacyBookmarks => legacy::show(c),
        Request::SetLegacyBookmarks { storage } => legacy::set(c, storage),
    }
}
