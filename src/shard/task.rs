//! What takes more than one step because the storage has to answer in between: tasks, by the token that comes back with
//! the outcome. What changes an account runs in the account's lane, one task after another.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use hashbrown::HashMap;
use rondel_shards::{ConnectionId, Io};
use rondel_storage::{Answer as Read, Outcome, ReadRequest, Reply, WriteRequest};
use slab::Slab;
use zeroize::Zeroizing;

use super::stream::Stream;
use super::ticket::{Behalf, Ticket};
use super::verify::{NewPassword, NoKeys};
use super::{Shard, archiving};
use crate::account::{Address, SessionKey};
use crate::admin::{Done, Failure};
use crate::dns::blocklist::Listing;
use crate::registration::{NotSpent, Picture, Returned, ThrottleFault};
use crate::sasl::ScramKeys;
use crate::service::Answer;
use crate::service::admin_commands::Errand;
use crate::stream::Refusal;

/// Tasks that may wait in one account's lane, but for requests of its own sessions. Those wait with one each; what else
/// comes is stanzas from others, which must not keep them from their account.
const LANE_MAX: usize = 256;

/// What runs in steps.
#[derive(Default)]
pub(super) struct Task {
    /// Who is answered in the end, if it is a request.
    pub asker: Option<Box<Asker>>,
    /// The account in whose lane it runs.
    lane: Option<Box<str>>,
    /// On whose behalf it goes on once it has waited; a task that has not waited yet runs on whosever it begins.
    waited: Option<Option<Ticket>>,
}

/// Who has asked, and what the answer needs.
pub(super) struct Asker {
    /// The session, if it is one of this shard. It may be gone when the answer is there.
    pub key: Option<SessionKey>,
    /// Who asks.
    pub address: Arc<Address>,
    /// The id of the question.
    pub id: String,
    /// To whom it was addressed: who answers.
    pub to: String,
}

/// What a task needs next.
pub(super) enum Step {
    /// Nothing.
    Done,
    /// Nothing but to answer.
    Answer(Answer),
    /// To read.
    Read(ReadRequest, Then),
    /// To write; it is on disk when the task goes on.
    Write(WriteRequest, Then),
    /// To have something done beside the shard.
    Aside(Wanted, ThenAside),
}

/// What is done beside a shard.
pub(super) enum Wanted {
    /// The keys of a new password are made.
    Keys(NewPassword),
    /// A password is held against keys of it, any of them.
    Proof(Zeroizing<String>, ScramKeys),
    /// The throttle of registrations lets somebody pass.
    Admission(IpAddr),
    /// These block lists are asked for an address.
    Listing(IpAddr, Vec<String>),
    /// What this administrator wants is done.
    Errand(String, Errand),
    /// A picture of letters is drawn.
    Picture,
    /// A challenge is used, if it was not yet.
    Spent(Returned),
}

/// What has come of it.
#[derive(Debug)]
pub enum Aside {
    /// The keys of a new password, or that the present one is not right.
    Keys(Result<Vec<ScramKeys>, NoKeys>),
    /// Whether the password is right.
    Proof(Result<(), NoKeys>),
    /// Whether somebody may try to register.
    Admission(Result<(), ThrottleFault>),
    /// What block lists say.
    Listed(Vec<(String, Listing)>),
    /// What has come of an errand.
    Errand(Vec<Result<Done, Failure>>),
    /// The letters, and the picture of them.
    Picture(Option<(String, Picture)>),
    /// Whether the challenge may be tried.
    Spent(Result<(), NotSpent>),
}

/// How a task goes on once the storage has answered.
pub(super) type Then = Box<dyn FnOnce(&mut Shard, &mut Io<Shard>, &Task, Outcome) -> Step>;

/// How a task goes on once something has been done beside the shard.
pub(super) type ThenAside = Box<dyn FnOnce(&mut Shard, &mut Io<Shard>, &Task, Aside) -> Step>;

/// How a task begins, once it is its turn.
pub(super) type Start = Box<dyn FnOnce(&mut Shard, &mut Io<Shard>, &Task) -> Step>;

/// Set in the tokens of tasks. Logins have their connection for a token, which never has it.
const TAG: u64 = 1 << 63;

/// The tasks of a shard.
#[derive(Default)]
pub(super) struct Tasks {
    /// What waits for the storage.
    pending: Slab<(Task, Then)>,
    /// What is to be read once the storage has read other things.
    deferred: VecDeque<(Task, ReadRequest, Then)>,
    /// What waits for something that is done beside the shard.
    asides: Slab<(Task, ThenAside)>,
    /// The accounts in whose lane a task runs, and what waits for its turn in it.
    lanes: HashMap<Box<str>, VecDeque<(Task, Start)>>,
}

impl Tasks {
    /// The token of what waits next.
    fn token(&self) -> u64 {
        self.pending.vacant_key() as u64 | TAG
    }

    /// Whether nothing waits.
    pub fn are_done(&self) -> bool {
        let has_nothing = self.pending.is_empty() && self.deferred.is_empty();
        has_nothing && self.asides.is_empty()
    }

    /// Whether no further task fits into the lane of an account.
    pub fn is_full(&self, bare_jid: &str) -> bool {
        self.lanes.get(bare_jid).is_some_and(|lane| lane.len() >= LANE_MAX)
    }

    /// Whether a task runs in the lane of an account.
    pub fn is_busy(&self, bare_jid: &str) -> bool {
        !self.lanes.is_empty() && self.lanes.contains_key(bare_jid)
    }
}

impl Task {
    /// The session that has asked.
    pub fn session(&self) -> Option<SessionKey> {
        self.asker.as_ref()?.key
    }

    /// A task that answers a request.
    pub fn of(asker: Asker) -> Task {
        Task { asker: Some(Box::new(asker)), ..Task::default() }
    }
}

impl Step {
    /// Nothing but to refuse.
    pub fn refuse(refusal: Refusal) -> Step {
        Step::Answer(Answer::Refused(refusal))
    }

    /// To read `request`, then to go on with its outcome.
    pub fn read(
        request: ReadRequest,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Outcome) -> Step + 'static,
    ) -> Step {
        Step::Read(request, Box::new(then))
    }

    /// To write `request`, then to go on with its outcome.
    pub fn write(
        request: WriteRequest,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Outcome) -> Step + 'static,
    ) -> Step {
        Step::Write(request, Box::new(then))
    }

    /// To make the keys of a new password, then to go on with them.
    pub fn derive(
        change: NewPassword,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Result<Vec<ScramKeys>, NoKeys>) -> Step + 'static,
    ) -> Step {
        let then = move |shard: &mut Shard, io: &mut Io<Shard>, task: &Task, aside| match aside {
            Aside::Keys(keys) => then(shard, io, task, keys),
            _ => Step::Done,
        };
        Step::Aside(Wanted::Keys(change), Box::new(then))
    }

    /// To have a password held against keys of it, then to go on.
    pub(super) fn prove(
        password: Zeroizing<String>,
        keys: ScramKeys,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Result<(), NoKeys>) -> Step + 'static,
    ) -> Step {
        let then = move |shard: &mut Shard, io: &mut Io<Shard>, task: &Task, aside| match aside {
            Aside::Proof(proof) => then(shard, io, task, proof),
            _ => Step::Done,
        };
        Step::Aside(Wanted::Proof(password, keys), Box::new(then))
    }

    /// To be let pass by the throttle of registrations, then to go on.
    pub(super) fn admit(
        address: IpAddr,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Result<(), ThrottleFault>) -> Step + 'static,
    ) -> Step {
        let then = move |shard: &mut Shard, io: &mut Io<Shard>, task: &Task, aside| match aside {
            Aside::Admission(outcome) => then(shard, io, task, outcome),
            _ => Step::Done,
        };
        Step::Aside(Wanted::Admission(address), Box::new(then))
    }

    /// To have block lists asked for an address, then to go on with what they say.
    pub(super) fn listed(
        address: IpAddr,
        zones: Vec<String>,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Vec<(String, Listing)>) -> Step + 'static,
    ) -> Step {
        let then = move |shard: &mut Shard, io: &mut Io<Shard>, task: &Task, aside| match aside {
            Aside::Listed(found) => then(shard, io, task, found),
            _ => Step::Done,
        };
        Step::Aside(Wanted::Listing(address, zones), Box::new(then))
    }

    /// To have a picture of letters drawn, then to go on with it.
    pub(super) fn draw(
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Option<(String, Picture)>) -> Step + 'static,
    ) -> Step {
        let then = move |shard: &mut Shard, io: &mut Io<Shard>, task: &Task, aside| match aside {
            Aside::Picture(drawn) => then(shard, io, task, drawn),
            _ => Step::Done,
        };
        Step::Aside(Wanted::Picture, Box::new(then))
    }

    /// To use a challenge, then to go on.
    pub(super) fn spend(
        challenge: Returned,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Result<(), NotSpent>) -> Step + 'static,
    ) -> Step {
        let then = move |shard: &mut Shard, io: &mut Io<Shard>, task: &Task, aside| match aside {
            Aside::Spent(outcome) => then(shard, io, task, outcome),
            _ => Step::Done,
        };
        Step::Aside(Wanted::Spent(challenge), Box::new(then))
    }

    /// To have done what an administrator wants, then to go on with what has come of it.
    pub(super) fn administer(
        administrator: String,
        errand: Errand,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Vec<Result<Done, Failure>>) -> Step + 'static,
    ) -> Step {
        let then = move |shard: &mut Shard, io: &mut Io<Shard>, task: &Task, aside| match aside {
            Aside::Errand(outcomes) => then(shard, io, task, outcomes),
            _ => Step::Done,
        };
        Step::Aside(Wanted::Errand(administrator, errand), Box::new(then))
    }
}

impl Shard {
    /// Runs a session's request. If it has to wait, the session is not read from meanwhile: what it sends is handled in
    /// order (RFC 6120 §10.1).
    pub(super) fn run_request(&mut self, io: &mut Io<Shard>, stream: &mut Stream, asker: Asker, step: Step) {
        if !self.proceed(io, Task::of(asker), step) {
            stream.waits = true;
            io.pause(stream.connection);
        }
    }

    /// The same in the lane of the session's account.
    pub(super) fn queue_request(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: Asker,
        start: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task) -> Step + 'static,
    ) {
        let account = asker.address.bare().to_owned();
        if !self.queue(io, &account, Task::of(asker), start) {
            stream.waits = true;
            io.pause(stream.connection);
        }
    }

    /// Runs a request of somebody who has no session here.
    pub(super) fn run_for(&mut self, io: &mut Io<Shard>, asker: Asker, step: Step) {
        self.proceed(io, Task::of(asker), step);
    }

    /// Runs a task from its start, in nobody's lane.
    pub(super) fn run_from(
        &mut self,
        io: &mut Io<Shard>,
        task: Task,
        start: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task) -> Step + 'static,
    ) {
        self.advance(io, task, start);
    }

    /// Runs a task that answers nobody.
    pub(super) fn run(&mut self, io: &mut Io<Shard>, step: Step) {
        self.proceed(io, Task::default(), step);
    }

    /// Runs a task in the lane of an account. Whether it is done already.
    pub(super) fn queue(
        &mut self,
        io: &mut Io<Shard>,
        account: &str,
        task: Task,
        start: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task) -> Step + 'static,
    ) -> bool {
        let is_own = task.asker.as_ref().is_some_and(|asker| asker.key.is_some() && asker.address.bare() == account);
        let task = Task { lane: Some(account.into()), ..task };
        if let Some(lane) = self.tasks.lanes.get(account) {
            if is_own || lane.len() < LANE_MAX {
                let task = self.waiting(io, task);
                if let Some(lane) = self.tasks.lanes.get_mut(account) {
                    lane.push_back((task, Box::new(start)));
                }
                return false;
            }
            // Somebody else's lane is not left by a task that has never been in it.
            let task = Task { lane: None, waited: None, ..task };
            return self.proceed(io, task, Step::Answer(Answer::Refused(Refusal::new("wait", "resource-constraint"))));
        }
        self.tasks.lanes.insert(account.into(), VecDeque::new());
        self.advance(io, task, |shard, io, task| start(shard, io, task))
    }

    /// A task that has to wait, with the ticket of whosever stanza it is for.
    fn waiting(&mut self, io: &Io<Shard>, task: Task) -> Task {
        let waited = task.waited.or_else(|| Some(self.ticket(io)));
        Task { waited, ..task }
    }

    /// Goes on with a task. Whether it is done.
    fn advance(
        &mut self,
        io: &mut Io<Shard>,
        task: Task,
        step: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task) -> Step,
    ) -> bool {
        match &task.waited {
            None => self.advance_here(io, task, step),
            Some(ticket) => {
                let behalf = Behalf::of(ticket.clone());
                self.on_behalf(behalf, |shard| shard.advance_here(io, task, step))
            }
        }
    }

    fn advance_here(
        &mut self,
        io: &mut Io<Shard>,
        task: Task,
        step: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task) -> Step,
    ) -> bool {
        // What goes wrong here costs the session that asked. Those behind it in the lane have not done anything.
        match catch_unwind(AssertUnwindSafe(|| step(self, io, &task))) {
            Ok(step) => self.proceed(io, task, step),
            Err(panic) => {
                self.finish(io, task);
                resume_unwind(panic)
            }
        }
    }

    /// Takes a task through its steps, as far as it goes without waiting. Whether it is done.
    fn proceed(&mut self, io: &mut Io<Shard>, task: Task, step: Step) -> bool {
        let (outcome, then) = match step {
            Step::Done => {
                self.finish(io, task);
                return true;
            }
            Step::Answer(answer) => {
                if let Some(asker) = &task.asker {
                    self.answer(io, asker, answer);
                }
                self.finish(io, task);
                return true;
            }
            Step::Read(request, then) if self.storage.is_full_of_reads() => {
                let task = self.waiting(io, task);
                self.tasks.deferred.push_back((task, request, then));
                self.wait_for_storage(io);
                return false;
            }
            Step::Read(request, then) => match self.storage.read(self.tasks.token(), request) {
                Ok(Read::Now(outcome)) => (outcome, then),
                Ok(Read::Later) => {
                    let task = self.waiting(io, task);
                    self.tasks.pending.insert((task, then));
                    self.wait_for_storage(io);
                    return false;
                }
                Err(busy) => (Outcome::Failed(busy.into()), then),
            },
            Step::Write(request, then) => {
                // What was gathered before is written before.
                self.write_gathered(io);
                match self.storage.write(self.tasks.token(), request) {
                    Ok(()) => {
                        let task = self.waiting(io, task);
                        self.tasks.pending.insert((task, then));
                        return false;
                    }
                    Err(busy) => (Outcome::Failed(busy.into()), then),
                }
            }
            Step::Aside(wanted, then) => {
                let (token, remote) = (self.tasks.asides.vacant_key() as u64, io.remote(io.shard()));
                let busy = match wanted {
                    Wanted::Keys(change) => {
                        let is_queued = self.verifier.derive(token, remote, change);
                        (!is_queued).then_some(Aside::Keys(Err(NoKeys::Busy)))
                    }
                    Wanted::Proof(password, keys) => {
                        let is_queued = self.verifier.prove(token, remote, password, keys);
                        (!is_queued).then_some(Aside::Proof(Err(NoKeys::Busy)))
                    }
                    Wanted::Admission(address) => {
                        self.ask_registrar(io, address, token);
                        None
                    }
                    Wanted::Listing(address, zones) => self.ask_lists(io, token, address, zones),
                    Wanted::Picture => {
                        let is_queued = self.verifier.draw(token, remote);
                        (!is_queued).then_some(Aside::Picture(None))
                    }
                    Wanted::Spent(challenge) => {
                        self.spend_at_registrar(io, challenge, token);
                        None
                    }
                    Wanted::Errand(by, errand) => self.settings.administration.ask(token, remote, by, errand),
                };
                if let Some(busy) = busy {
                    return self.advance(io, task, |shard, io, task| then(shard, io, task, busy));
                }
                let task = self.waiting(io, task);
                self.tasks.asides.insert((task, then));
                return false;
            }
        };
        self.advance(io, task, |shard, io, task| then(shard, io, task, outcome))
    }

    /// Reads what there was no room for, as far as there is.
    pub(super) fn read_deferred(&mut self, io: &mut Io<Shard>) {
        while !self.storage.is_full_of_reads()
            && let Some((task, request, then)) = self.tasks.deferred.pop_front()
        {
            self.continue_task(io, task, |_, _, _| Step::Read(request, then));
        }
    }

    /// Goes on with a task that has waited. If it is done, what the session that has asked has sent meanwhile is read.
    fn continue_task(
        &mut self,
        io: &mut Io<Shard>,
        task: Task,
        step: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task) -> Step,
    ) {
        let asker = task.session();
        if self.advance(io, task, step)
            && let Some(key) = asker
        {
            self.read_on(io, key);
        }
    }

    /// The storage has answered.
    pub(super) fn stored(&mut self, io: &mut Io<Shard>, reply: Reply) {
        if reply.token & TAG == 0 {
            return self.login_stored(io, reply);
        }
        if archiving::is_gathered(reply.token) {
            return self.gathered_stored(io, reply);
        }
        let Some((task, then)) = self.tasks.pending.try_remove((reply.token ^ TAG) as usize) else { return };
        self.continue_task(io, task, |shard, io, task| then(shard, io, task, reply.outcome));
    }

    /// Something has been done beside the shard.
    pub(super) fn done_aside(&mut self, io: &mut Io<Shard>, token: u64, aside: Aside) {
        let Some((task, then)) = self.tasks.asides.try_remove(token as usize) else { return };
        self.continue_task(io, task, |shard, io, task| then(shard, io, task, aside));
    }

    /// A task is done: the next one in its lane has its turn.
    fn finish(&mut self, io: &mut Io<Shard>, task: Task) {
        let Some(account) = task.lane else { return };
        let Some(lane) = self.tasks.lanes.get_mut(&*account) else { return };
        match lane.pop_front() {
            None => {
                self.tasks.lanes.remove(&*account);
            }
            Some((task, start)) => self.continue_task(io, task, start),
        }
    }

    /// A session's request is answered: what it has sent meanwhile is read.
    fn read_on(&mut self, io: &mut Io<Shard>, key: SessionKey) {
        if let Some(connection) = self.accounts.session(key).and_then(|session| session.connection) {
            self.let_read(io, connection, |stream| stream.waits = false);
        }
    }

    /// The connection of the session that has asked for what was done beside the shard.
    pub(super) fn connection_of_aside(&self, token: u64) -> Option<ConnectionId> {
        let (task, _) = self.tasks.asides.get(token as usize)?;
        self.accounts.session(task.session()?)?.connection
    }

    /// The connection that the reply with this token is for, if it is for one.
    pub(super) fn connection_of(&self, token: u64) -> Option<ConnectionId> {
        if token & TAG == 0 {
            return Some(ConnectionId::from_bits(token));
        }
        if archiving::is_gathered(token) {
            return None;
        }
        let (task, _) = self.tasks.pending.get((token ^ TAG) as usize)?;
        self.accounts.session(task.session()?)?.connection
    }
}
