//! Carrying out what a negotiation asks for.

use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rondel_shards::{ConnectionId, Io};
use rondel_storage::accounts::{self, StoredAccount};
use rondel_storage::{Answer, Outcome, Owner, Reply};

use super::roster::now_micros;
use super::stream::{Basis, Established, Lookup, Next, Phase, Purpose, Stream};
use super::{End, Shard, now_s};
use crate::account::{Account, BindError, BindLimits, Bound, SessionKey, Standing};
use crate::home::home;
use crate::jid::Jid;
use crate::random;
use crate::sasl::{Failure, Hash, ScramKeys};
use crate::stream::management::write_failed;
use crate::stream::{Action, BindRefusal, BindRequests, BoundResource, Credentials, Refusal, StreamError};
use crate::{limited_event, logging, session_event};

impl Shard {
    /// Does what a negotiation wants, and puts the stream back unless it has moved or ended.
    pub(super) fn act(&mut self, io: &mut Io<Shard>, mut stream: Box<Stream>, actions: Vec<Action>) {
        let connection = stream.connection;
        let mut queue: std::collections::VecDeque<Action> = actions.into();
        while let Some(action) = queue.pop_front() {
            match action {
                Action::Send(bytes) => match io.outbox(connection) {
                    Ok(out) => out.extend_from_slice(&bytes),
                    Err(_) => return self.end(io, stream, End::Said("client does not read")),
                },
                Action::ExpectHeader => stream.framer.restart(),
                Action::StartTls => {
                    stream.framer.restart();
                    let started = self.settings.tls.as_ref().map(|tls| io.start_tls(connection, &tls.starttls));
                    if !matches!(started, Some(Ok(()))) {
                        return self.end(io, stream, End::Said("TLS is not possible"));
                    }
                }
                Action::LookUp(account) => {
                    let lookup = Lookup { account, purpose: Purpose::Challenge };
                    queue.extend(self.look_up(io, &mut stream, lookup));
                }
                Action::Verify { account, password } => {
                    let lookup = Lookup { account, purpose: Purpose::Password(password) };
                    queue.extend(self.look_up(io, &mut stream, lookup));
                }
                Action::LookUpTokens { account, client } => {
                    let lookup = Lookup { account, purpose: Purpose::Client(client) };
                    queue.extend(self.look_up(io, &mut stream, lookup));
                }
                Action::ChangeTokens { account, client, change } => {
                    match self.change_tokens(io, &mut stream, account, client, change) {
                        Ok(actions) => queue.extend(actions),
                        Err(end) => return self.end(io, stream, end),
                    }
                }
                Action::Resume { account, resume } => {
                    match self.look_again(io, &mut stream, Next::Resume { account, resume }) {
                        Ok(actions) => queue.extend(actions),
                        Err(end) => return self.end(io, stream, end),
                    }
                }
                Action::Resumed => {
                    if let Err(end) = self.resumed(io, &mut stream) {
                        return self.end(io, stream, end);
                    }
                }
                Action::Authenticated(account) => {
                    let home = home(account.bare(), io.shards());
                    stream.framer.set_limits(self.settings.limits);
                    if home == io.shard() {
                        queue.extend(negotiation_of(&mut stream).on_home(now_s()));
                        continue;
                    }
                    io.pause(connection);
                    let address = stream.peer.ip();
                    // The stream travels along; it comes back there in `arrived`.
                    return match io.move_to(connection, home, stream) {
                        Ok(()) => self.addresses.disconnected(address),
                        // `closed` is about to be called.
                        Err(stream) => self.put(stream),
                    };
                }
                Action::Bind { jid, agent, requests } => {
                    match self.look_again(io, &mut stream, Next::Bind { jid, agent, requests }) {
                        Ok(actions) => queue.extend(actions),
                        Err(end) => return self.end(io, stream, end),
                    }
                }
                Action::Register { domain, iq, token } => {
                    io.pause(connection);
                    let applicant = self.applicant(&stream, domain, &iq, token);
                    self.put(stream);
                    return self.register(io, applicant, &iq);
                }
                Action::LoginFailed(failure) => {
                    // It may have failed after all that could be proved was.
                    stream.framer.set_limits(self.settings.limits_before_login);
                    if failure == Failure::NotAuthorized {
                        self.addresses.login_failed(stream.peer.ip(), io.now_ms());
                        self.counts(io).failed_logins.add(1);
                    }
                    let about = self.about(io, &stream);
                    session_event!(DEBUG, "login", about, condition = failure.condition(), "login failed");
                }
                Action::Established(jid) => self.establish(io, &mut stream, &jid),
                Action::Close(error) => return self.end(io, stream, End::Error(error)),
                Action::End => return self.end(io, stream, End::ByClient),
            }
        }
        let waits = matches!(&stream.phase, Phase::Login(negotiation) if negotiation.is_waiting());
        if !waits {
            io.resume(connection);
        }
        self.put(stream);
    }

    /// Goes on behind a login, after another look at the account if any account was changed since the login began.
    fn look_again(&mut self, io: &mut Io<Shard>, stream: &mut Stream, next: Next) -> Result<Vec<Action>, End> {
        let changes = self.settings.account_changes.load(Ordering::SeqCst);
        let account = match &next {
            Next::Bind { jid, .. } => jid.to_bare(),
            Next::Resume { account, .. } => account.clone(),
        };
        let request = match (stream.basis, owner(&account)) {
            (Some(basis), Some(owner)) if basis.changes != changes => accounts::get(&owner),
            _ => return self.go_on(io, stream, next),
        };
        let lookup = Lookup { account, purpose: Purpose::Proceed(next) };
        match self.storage.read(stream.connection.to_bits(), request) {
            Ok(Answer::Now(outcome)) => {
                let credentials = credentials(&lookup.account, outcome);
                self.looked_up(io, stream, lookup, credentials)
            }
            Ok(Answer::Later) => {
                io.pause(stream.connection);
                stream.lookup = Some(Box::new(lookup));
                Ok(Vec::new())
            }
            Err(_) => Err(End::Error(StreamError::internal_server_error("the account cannot be read just now"))),
        }
    }

    fn go_on(&mut self, io: &mut Io<Shard>, stream: &mut Stream, next: Next) -> Result<Vec<Action>, End> {
        match next {
            Next::Bind { jid, agent, requests } => self.load_and_bind(io, stream, jid, agent, requests),
            Next::Resume { account, resume } => self.resume(io, stream, &account, resume),
        }
    }

    /// Looks a user up. What is in memory is answered at once; otherwise the answer comes as a message.
    fn look_up(&mut self, io: &mut Io<Shard>, stream: &mut Stream, lookup: Lookup) -> Vec<Action> {
        io.pause(stream.connection);
        if let Err(refusal) = self.addresses.may_log_in(stream.peer.ip(), io.now_ms()) {
            limited_event!(WARN, "limits", self.about(io, stream); "refusing a login: {refusal}");
            return negotiation_of(stream).on_storage_failure();
        }
        let changes = self.settings.account_changes.load(Ordering::SeqCst);
        stream.basis = Some(Basis { changes, fingerprint: 0 });
        let request = match owner(&lookup.account) {
            Some(owner) => accounts::get(&owner),
            None => return self.challenge_or_verify(io, stream, lookup, None),
        };
        match self.storage.read(stream.connection.to_bits(), request) {
            Ok(Answer::Now(outcome)) => match credentials(&lookup.account, outcome) {
                Ok(credentials) => self.challenge_or_verify(io, stream, lookup, credentials),
                Err(Unreadable) => negotiation_of(stream).on_storage_failure(),
            },
            Ok(Answer::Later) => {
                stream.lookup = Some(Box::new(lookup));
                self.wait_for_storage(io);
                Vec::new()
            }
            Err(busy) => {
                limited_event!(WARN, "login", self.about(io, stream); "a login could not be looked up: {busy}");
                negotiation_of(stream).on_storage_failure()
            }
        }
    }

    /// Goes on with what is known of a user, whatever it was looked up for.
    fn looked_up(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        lookup: Lookup,
        credentials: Result<Option<Credentials>, Unreadable>,
    ) -> Result<Vec<Action>, End> {
        match (lookup.purpose, credentials) {
            (Purpose::Proceed(next), Ok(credentials)) => {
                let is_same = stream.basis.is_some_and(|basis| basis.fingerprint == fingerprint(credentials.as_ref()));
                if is_same && credentials.is_some_and(|credentials| credentials.disabled.is_none()) {
                    return self.go_on(io, stream, next);
                }
                Err(End::Error(StreamError::not_authorized("this account has changed meanwhile")))
            }
            (Purpose::Proceed(_), Err(Unreadable)) => Err(End::Error(StreamError::internal_server_error(""))),
            (_, Err(Unreadable)) => Ok(negotiation_of(stream).on_storage_failure()),
            (purpose, Ok(credentials)) => {
                let lookup = Lookup { account: lookup.account, purpose };
                Ok(self.challenge_or_verify(io, stream, lookup, credentials))
            }
        }
    }

    /// Challenges a user, or has its password verified.
    fn challenge_or_verify(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        lookup: Lookup,
        credentials: Option<Credentials>,
    ) -> Vec<Action> {
        if let Some(basis) = &mut stream.basis {
            basis.fingerprint = fingerprint(credentials.as_ref());
        }
        let password = match lookup.purpose {
            Purpose::Password(password) => password,
            Purpose::Client(client) => {
                let disabled = credentials.and_then(|credentials| credentials.disabled);
                return self.look_up_tokens(io, stream, lookup.account, client, disabled);
            }
            _ => return negotiation_of(stream).on_credentials(credentials),
        };
        let disabled = credentials.as_ref().and_then(|credentials| credentials.disabled);
        let keys = credentials.and_then(|credentials| cheapest(credentials.keys));
        let (token, remote) = (stream.connection.to_bits(), io.remote(io.shard()));
        if self.verifier.verify(token, remote, lookup.account.bare(), password, keys, disabled) {
            return Vec::new();
        }
        limited_event!(WARN, "login", self.about(io, stream); "too many passwords wait to be verified");
        negotiation_of(stream).on_password(None)
    }

    /// The storage has answered a lookup.
    pub(super) fn login_stored(&mut self, io: &mut Io<Shard>, reply: Reply) {
        let Some(mut stream) = self.take(ConnectionId::from_bits(reply.token)) else { return };
        let Some(lookup) = stream.lookup.take() else { return self.put(stream) };
        match self.answered(io, &mut stream, *lookup, reply.outcome) {
            Ok(actions) => self.act(io, stream, actions),
            Err(end) => self.end(io, stream, end),
        }
    }

    /// Goes on with what the storage has answered, whatever it was asked.
    fn answered(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        lookup: Lookup,
        outcome: Outcome,
    ) -> Result<Vec<Action>, End> {
        let Lookup { account, purpose } = lookup;
        match purpose {
            Purpose::Tokens { client, disabled } => {
                Ok(self.tokens_found(io, stream, &account, &client, disabled, outcome))
            }
            Purpose::ChangeTokens(changing) => self.changing_tokens(io, stream, account, *changing, outcome),
            purpose => {
                let credentials = credentials(&account, outcome);
                self.looked_up(io, stream, Lookup { account, purpose }, credentials)
            }
        }
    }

    /// A side thread has verified a password.
    pub(super) fn verified(&mut self, io: &mut Io<Shard>, token: u64, outcome: Option<Result<(), Failure>>) {
        let Some(mut stream) = self.take(ConnectionId::from_bits(token)) else { return };
        let Phase::Login(negotiation) = &mut stream.phase else { return self.put(stream) };
        let actions = negotiation.on_password(outcome);
        self.act(io, stream, actions);
    }

    /// A stream has come to its account's home.
    pub(super) fn come_home(&mut self, io: &mut Io<Shard>, mut stream: Box<Stream>) {
        let Phase::Login(negotiation) = &mut stream.phase else { return self.put(stream) };
        let actions = negotiation.on_home(now_s());
        self.act(io, stream, actions);
    }

    /// Binds a resource once the account is in memory.
    fn load_and_bind(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        jid: Jid<'static>,
        agent: Option<String>,
        requests: BindRequests,
    ) -> Result<Vec<Action>, End> {
        if self.accounts.account(jid.bare()).is_some() {
            return Ok(self.bind(stream, &jid, agent, &requests));
        }
        if self.settings.is_anonymous(jid.bare()) {
            self.accounts.insert(jid.bare(), Account::new(Standing::Anonymous), io.now_ms());
            return Ok(self.bind(stream, &jid, agent, &requests));
        }
        self.load(io, jid.bare());
        if self.accounts.account(jid.bare()).is_some() {
            return Ok(self.bind(stream, &jid, agent, &requests));
        }
        if self.is_loading(jid.bare()) {
            self.wait_to_bind(io, stream.connection, jid, agent, requests);
            return Ok(Vec::new());
        }
        Err(End::Error(StreamError::internal_server_error("the account cannot be read just now")))
    }

    /// Binds a resource, and dooms the sessions that it takes the place of.
    pub(super) fn bind(
        &mut self,
        stream: &mut Stream,
        jid: &Jid<'_>,
        agent: Option<String>,
        requests: &BindRequests,
    ) -> Vec<Action> {
        let limits =
            BindLimits { policy: self.settings.conflict, sessions_max: self.settings.sessions_max_per_account };
        let outcome = match self.accounts.bind(jid, agent, stream.connection, limits, random::name) {
            Ok(Bound { key, address, replaced }) => {
                self.doomed.extend(replaced.into_iter().map(|old| {
                    (old, End::Error(StreamError::conflict("another session has taken the place of this one")))
                }));
                let mut results = Vec::new();
                let is_managed = self.begin_with(key, requests, &mut results);
                Ok(BoundResource { jid: jid.with_resource(address.resource()), results, is_managed })
            }
            Err(BindError::Conflict) => Err(BindRefusal::Conflict),
            Err(BindError::TooMany) => Err(BindRefusal::TooMany),
        };
        negotiation_of(stream).on_bound(outcome)
    }

    /// Switches on what a session is to have from its beginning, and appends the answers (XEP-0386 §3.2). Whether
    /// stream management is on.
    fn begin_with(&mut self, key: SessionKey, requests: &BindRequests, answers: &mut Vec<u8>) -> bool {
        if let (true, Some(session)) = (requests.carbons, self.accounts.session_mut(key)) {
            session.carbons_since_us = Some(now_micros());
        }
        if requests.inactive {
            self.set_inactive(key);
        }
        match requests.stream_management {
            None => false,
            Some(Ok(enable)) => self.enable(key, enable, answers),
            Some(Err(failure)) => {
                write_failed(answers, failure, None);
                false
            }
        }
    }

    fn establish(&mut self, io: &mut Io<Shard>, stream: &mut Stream, jid: &Jid<'_>) {
        // Bound just before; the one that had the resource may still be there.
        let mut sessions = self.accounts.sessions(jid.bare());
        let bound = sessions.find(|(_, session)| session.connection == Some(stream.connection));
        let Some((key, session)) = bound else { return };
        let is_managed = session.managed.is_some();
        let address = Arc::clone(&session.address);
        drop(sessions);
        self.enters(io, stream, Established::new(key, address, is_managed));
        if let Some(session) = self.accounts.session_mut(key) {
            session.since_s = now_s();
        }
        stream.basis = None;
        self.counts(io).logins.add(1);
        let idle = self.settings.idle_timeout;
        io.set_deadline(stream.connection, (!idle.is_zero()).then_some(idle));
        let about = logging::About { account: Some(jid.bare()), ..self.about(io, stream) };
        if self.settings.is_anonymous(jid.bare()) {
            limited_event!(INFO, "session", about; resource = jid.resource(), "session begins");
        } else {
            session_event!(INFO, "session", about, resource = jid.resource(), "session begins");
        }
    }
}

/// The negotiation of a stream that has just been seen to negotiate.
pub(super) fn negotiation_of(stream: &mut Stream) -> &mut crate::stream::Negotiation {
    match &mut stream.phase {
        Phase::Login(negotiation) => negotiation,
        Phase::Bound(_) => unreachable!("a bound stream does not negotiate"),
    }
}

/// The storage has failed to say what it knows of a user; it is in the log.
struct Unreadable;

pub(super) fn owner(account: &Jid<'_>) -> Option<Owner> {
    Owner::new(account.local()?, account.domain()).ok()
}

fn credentials(account: &Jid<'_>, outcome: Outcome) -> Result<Option<Credentials>, Unreadable> {
    let Some(owner) = owner(account) else { return Ok(None) };
    match accounts::decode(&owner, outcome) {
        Ok(stored) => Ok(stored.map(|stored| credentials_in(&stored))),
        Err(error) => {
            limited_event!(WARN, "storage", "an account cannot be read: {error}");
            Err(Unreadable)
        }
    }
}

/// An account that has to be there, in the outcome of [`accounts::get`], or what its owner is answered.
pub(super) fn existing(owner: &Owner, outcome: Outcome) -> Result<StoredAccount, Refusal> {
    match accounts::decode(owner, outcome) {
        Ok(Some(stored)) => Ok(stored),
        Ok(None) => Err(Refusal::item_not_found()),
        Err(error) => {
            limited_event!(WARN, "storage", "an account cannot be read: {error}");
            Err(Refusal::internal_server_error())
        }
    }
}

pub(super) fn credentials_in(stored: &StoredAccount) -> Credentials {
    Credentials {
        keys: stored.account().keys.iter().map(crate::credentials::from_store).collect(),
        disabled: match stored.account() {
            account if account.leaves_at_s.is_some() => Some(Failure::AccountLeft),
            account => account.is_disabled(now_s()).then_some(Failure::AccountDisabled),
        },
    }
}

/// Tells one state of an account from another, within this process.
pub(super) fn fingerprint(credentials: Option<&Credentials>) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(credentials) = credentials {
        credentials.disabled.map(Failure::condition).hash(&mut hasher);
        credentials.keys.iter().for_each(|keys| (&keys.salt, &keys.stored_key).hash(&mut hasher));
    }
    hasher.finish()
}

/// The keys whose verification costs least.
pub(super) fn cheapest(keys: Vec<ScramKeys>) -> Option<ScramKeys> {
    keys.into_iter().min_by_key(|keys| match keys.hash {
        Hash::Sha256 => 0,
        Hash::Sha1 => 1,
        Hash::Sha512 => 2,
    })
}
