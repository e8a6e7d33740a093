//! The IQs of XEP-0060: of an account's own clients, and of others to the account.

use rondel_shards::Io;
use rondel_storage::Owner;

use super::super::Shard;
use super::super::stream::Stream;
use super::super::task::{Asker, Step, Task};
use super::transaction::nothing;
use crate::account::subscription::Grant;
use crate::pubsub::{Outcome, PubsubError, Request};
use crate::service::Action;
use crate::stream::Refusal;
use crate::xml::{Element, Frame, namespaces as ns};

/// Whether this is a request to a publish-subscribe service.
pub(in crate::shard) fn is_pubsub(payload: &Element) -> bool {
    payload.name == "pubsub" && [ns::PUBSUB, ns::PUBSUB_OWNER].contains(&payload.namespace.as_str())
}

impl Shard {
    /// A request of a session to the service of its own account.
    pub(in crate::shard) fn pep_request(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: Asker,
        action: Action,
        payload: &Element,
    ) {
        match Request::read(action, payload, &self.settings.pubsub) {
            Ok(request) => self.own_request(io, stream, asker, request),
            Err(error) => self.run_request(io, stream, asker, Step::refuse(error.to_refusal())),
        }
    }

    /// The same, once it is known what is asked.
    pub(in crate::shard) fn own_request(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: Asker,
        request: Request,
    ) {
        let Some(owner) = self.owner_of(asker.address.bare()) else {
            return self.run_request(io, stream, asker, Step::refuse(Refusal::service_unavailable()));
        };
        self.queue_request(io, stream, asker, move |shard, io, task| {
            let Some(requester) = task.asker.as_ref().and_then(|asker| shard.requester(asker)) else {
                return Step::refuse(Refusal::internal_server_error());
            };
            let run = shard.run_of(&owner, requester, request).answering();
            let follow = move |shard: &mut Shard, _: &mut Io<Shard>, _: &Task, outcome: &Outcome| {
                shard.own_published(owner, outcome)
            };
            shard.transact(io, task, run, Box::new(follow))
        });
    }

    /// What follows when one of an account's own clients has published something.
    fn own_published(&mut self, owner: Owner, outcome: &Outcome) -> Step {
        match &outcome.published {
            Some(published) if published.node == ns::AVATAR_METADATA => self.copy_avatar(owner, &published.id),
            _ => Step::Done,
        }
    }

    /// A request of somebody else to the service of an account. Nothing in the answer tells an account that there is
    /// not from one that shows nothing to who asks.
    pub(in crate::shard) fn pep_asked(
        &mut self,
        io: &mut Io<Shard>,
        owner: Owner,
        asker: Asker,
        action: Action,
        payload: &Element,
    ) {
        let request = Request::read(action, payload, &self.settings.pubsub);
        self.others_request(io, owner, asker, request);
    }

    /// The same, once it is known what is asked.
    pub(in crate::shard) fn others_request(
        &mut self,
        io: &mut Io<Shard>,
        owner: Owner,
        asker: Asker,
        request: Result<Request, PubsubError>,
    ) {
        let account = owner.to_string();
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                let is_contact = self.has_presence(&account, asker.address.bare());
                let error = if is_contact { error } else { PubsubError::SERVICE_UNAVAILABLE };
                return self.run_for(io, asker, Step::refuse(error.to_refusal()));
            }
        };
        let only_reads = request.only_reads();
        let start = move |shard: &mut Shard, io: &mut Io<Shard>, task: &Task| {
            let Some(requester) = task.asker.as_ref().and_then(|asker| shard.requester(asker)) else {
                return Step::refuse(Refusal::service_unavailable());
            };
            let run = shard.run_of(&owner, requester, request).answering();
            shard.transact(io, task, run, nothing())
        };
        // Who only looks does not stand in the way of the account's own clients.
        match only_reads {
            true => self.run_from(io, Task::of(asker), start),
            false => drop(self.queue(io, &account, Task::of(asker), start)),
        }
    }

    /// Whether somebody has a subscription to an account's presence.
    pub(in crate::shard) fn has_presence(&self, account: &str, other: &str) -> bool {
        let account = self.accounts.account(account);
        account.is_some_and(|account| account.contacts.state(other).from == Grant::Granted)
    }

    /// An owner's answer to a request to approve a subscription, which comes as a message to the own account (XEP-0060
    /// §8.6). Whether it is one.
    pub(in crate::shard) fn approval(&mut self, io: &mut Io<Shard>, stream: &Stream, frame: &Frame<'_>) -> bool {
        if !frame.children().any(|child| child.name() == "x" && child.namespace() == ns::DATA_FORMS) {
            return false;
        }
        let request = frame.to_element().ok().and_then(|message| Request::read_authorization(&message));
        let (Some(request), Some(session)) = (request, stream.session()) else { return false };
        let account = session.address.bare().to_owned();
        let Some(owner) = self.owner_of(&account) else { return true };
        let asker = Asker {
            key: Some(session.key),
            address: std::sync::Arc::clone(&session.address),
            id: String::new(),
            to: account.clone(),
        };
        let Some(requester) = self.requester(&asker) else { return true };
        self.queue(io, &account, Task::default(), move |shard, io, task| {
            let run = shard.run_of(&owner, requester, request);
            shard.transact(io, task, run, nothing())
        });
        true
    }

    /// What is between an account and a contact has changed: subscriptions that were based on it may end (XEP-0163
    /// §7.1).
    pub(in crate::shard) fn reassess(&mut self, io: &mut Io<Shard>, account: &str, contact: &str) {
        let Some(owner) = self.owner_of(account) else { return };
        let Some(requester) = self.owner_itself(&owner) else { return };
        let request = Request::Reassess { jid: contact.to_owned() };
        self.queue(io, account, Task::default(), move |shard, io, task| {
            let run = shard.run_of(&owner, requester, request);
            shard.transact(io, task, run, nothing())
        });
    }
}
