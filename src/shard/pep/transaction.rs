//! Carrying out one request to an account's service: read, write, answer, notify. What changes something runs in the
//! account's lane, so that nothing else does meanwhile, and those who follow a node hear of changes in their order.

use rondel_shards::Io;
use rondel_storage::roster::{Roster, StoredItem};
use rondel_storage::{Family, LoadError, Outcome as Stored, Owner, PageRequest, ReadRequest, WriteRequest, roster};

use super::super::Shard;
use super::super::roster::{now_micros, written};
use super::super::task::{Asker, Step, Task};
use crate::jid::Jid;
use crate::limited_event;
use crate::pubsub::{
    Groups, Notification, Outcome, Progress, PubsubError, Reply, Request, Requester, RosterView, Service, ServiceKind,
    Transaction,
};
use crate::random;
use crate::service::Answer;
use crate::xml::namespaces as ns;

/// Contacts that are read at once.
const CONTACTS_AT_ONCE: usize = 1000;

/// A request that is being carried out.
pub(in crate::shard) struct Run {
    transaction: Transaction,
    owner: Owner,
    account: Box<str>,
    groups: Groups,
    /// Whether whoever has asked is answered what comes of it. Otherwise that is up to what follows.
    answers: bool,
}

/// What follows. The outcome has neither its write nor its notifications any more, as these are done.
pub(in crate::shard) type Then = Box<dyn FnOnce(&mut Shard, &mut Io<Shard>, &Task, &Outcome) -> Step>;

/// Nothing follows.
pub(in crate::shard) fn nothing() -> Then {
    Box::new(|_, _, _, _| Step::Done)
}

impl Run {
    /// A request that is answered with what comes of it.
    pub(in crate::shard) fn answering(mut self) -> Run {
        self.answers = true;
        self
    }
}

impl Shard {
    /// A request to the service of an account that is in memory.
    pub(in crate::shard) fn run_of(&self, owner: &Owner, requester: Requester, request: Request) -> Run {
        let account = owner.to_string();
        let service = Service {
            owner: owner.clone(),
            jid: account.as_str().into(),
            kind: ServiceKind::Account,
            notifies_legacy_bookmarks: self.is_wanted(&account, ns::LEGACY_BOOKMARKS),
            stored: self.accounts.account(&account).and_then(|account| account.published),
        };
        let (limits, fresh) = (self.settings.pubsub, random::name());
        let transaction = Transaction::new(service, limits, requester, request, &fresh, now_micros());
        Run { transaction, owner: owner.clone(), account: account.into(), groups: Groups::default(), answers: false }
    }

    /// Whether an available resource of an account wants to hear of a node.
    fn is_wanted(&self, account: &str, node: &str) -> bool {
        self.accounts.sessions(account).any(|(_, session)| session.presence.is_some() && session.advertised.wants(node))
    }

    /// Who has asked is to an account's service.
    pub(in crate::shard) fn requester(&self, asker: &Asker) -> Option<Requester> {
        let session = asker.key.and_then(|key| self.accounts.session(key));
        let is_available = session.is_some_and(|session| session.presence.is_some());
        let jid = Jid::parse(asker.address.as_str()).ok()?.into_owned();
        Some(Requester { jid, is_available, may_create: false })
    }

    /// The owner of an account, when it is the server that asks on its behalf.
    pub(in crate::shard) fn owner_itself(&self, owner: &Owner) -> Option<Requester> {
        let jid = Jid::parse(&owner.to_string()).ok()?.into_owned();
        Some(Requester { jid, is_available: false, may_create: false })
    }

    /// Goes on with a request, from its beginning to what follows.
    pub(in crate::shard) fn transact(&mut self, io: &mut Io<Shard>, task: &Task, mut run: Run, then: Then) -> Step {
        let Some(account) = self.accounts.account(&run.account) else {
            return self.transacted(io, task, run, Outcome::refused(PubsubError::SERVICE_UNAVAILABLE), then);
        };
        let view = RosterView::new(&account.contacts, &run.groups);
        let progress = run.transaction.advance(&view);
        let mut missing = view.missing();
        if let Progress::Done(outcome) = &progress {
            let wanted = outcome.notifications.iter().flat_map(Notification::groups);
            missing.extend(wanted.filter(|group| !run.groups.knows(group)).cloned());
        }
        if !missing.is_empty() {
            run.groups.add(missing);
            let request = roster::list(&run.owner, CONTACTS_AT_ONCE);
            return read_groups(request, run, then);
        }
        match progress {
            Progress::Need(request) => {
                Step::read(request, move |shard, io, task: &Task, stored| match run.transaction.read(stored) {
                    Ok(()) => shard.transact(io, task, run, then),
                    Err(error) => shard.not_transacted(io, task, run, &error, then),
                })
            }
            Progress::Done(mut outcome) => match outcome.write.take() {
                None => self.transacted(io, task, run, *outcome, then),
                Some(write) => Step::write(of_account(&run.owner, write), move |shard, io, task: &Task, stored| {
                    shard.published(io, task, run, *outcome, then, stored)
                }),
            },
        }
    }

    /// The write of a request has been carried out, or not.
    fn published(
        &mut self,
        io: &mut Io<Shard>,
        task: &Task,
        mut run: Run,
        outcome: Outcome,
        then: Then,
        stored: Stored,
    ) -> Step {
        if let Some(account) = self.accounts.account_mut(&run.account) {
            account.published = outcome.stored.filter(|_| stored == Stored::Written);
        }
        match stored {
            Stored::Refused(0) => {
                self.transacted(io, task, run, Outcome::refused(PubsubError::SERVICE_UNAVAILABLE), then)
            }
            Stored::Refused(_) if run.transaction.again() => self.transact(io, task, run, then),
            Stored::Refused(_) => self.transacted(io, task, run, Outcome::refused(PubsubError::BUSY), then),
            stored => match written(stored) {
                Ok(()) => self.transacted(io, task, run, outcome, then),
                Err(refusal) => self.transacted(io, task, run, Outcome::refused(refusal.into()), then),
            },
        }
    }

    fn not_transacted(&mut self, io: &mut Io<Shard>, task: &Task, run: Run, error: &LoadError, then: Then) -> Step {
        limited_event!(WARN, "storage", "what is published cannot be read: {error}");
        self.transacted(io, task, run, Outcome::refused(PubsubError::INTERNAL), then)
    }

    /// A request is done: answers it, notifies, and goes on with what follows.
    fn transacted(&mut self, io: &mut Io<Shard>, task: &Task, run: Run, mut outcome: Outcome, then: Then) -> Step {
        if let (true, Some(asker)) = (run.answers, &task.asker) {
            self.answer(io, asker, answer(&outcome.reply));
        }
        let notifications = std::mem::take(&mut outcome.notifications);
        self.notify(io, &run.account, notifications, &run.groups);
        then(self, io, task, &outcome)
    }
}

/// What the IQ is answered.
pub(in crate::shard) fn answer(reply: &Reply) -> Answer {
    match reply {
        Reply::Result(payload) => Answer::Payload(payload.clone()),
        Reply::Error(error, before) => Answer::RefusedBehind(before.clone(), error.to_refusal()),
    }
}

/// What comes for an account that is being removed must not be left behind without it. Refused with 0: it is gone.
pub(in crate::shard) fn of_account(owner: &Owner, write: WriteRequest) -> WriteRequest {
    WriteRequest::new(owner.clone()).require_present(Family::Accounts, b"").and(write)
}

/// Reads the owner's roster to its end, for who is in which of the groups that matter.
fn read_groups(request: PageRequest, mut run: Run, then: Then) -> Step {
    Step::read(ReadRequest::Page(request.clone()), move |shard, io, task: &Task, stored| {
        let page = match stored {
            Stored::Page(page) => page,
            other => return shard.not_transacted(io, task, run, &LoadError::unexpected(other), then),
        };
        let next = request.next(&page);
        let mut roster = Roster::default();
        for error in roster.add(page) {
            limited_event!(WARN, "storage", "a contact cannot be read: {error}");
        }
        for stored in roster.items() {
            run.groups.put(StoredItem::contact(stored), stored.item());
        }
        match next {
            Some(request) => read_groups(request, run, then),
            None => shard.transact(io, task, run, then),
        }
    })
}
