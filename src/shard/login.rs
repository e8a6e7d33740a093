//! Carrying out what a negotiation asks for.

use rondel_shards::{ConnectionId, Io};
use rondel_storage::{Answer, Outcome, Owner, Reply, accounts};

use super::stream::{Lookup, Phase, Session, Stream};
use super::{End, Shard};
use crate::account::{BindError, Bound};
use crate::home::home;
use crate::jid::Jid;
use crate::random;
use crate::sasl::{Failure, Hash, ScramKeys};
use crate::stream::{Action, BindRefusal, Credentials};
use crate::{limited_event, logging, session_event};

impl Shard {
    /// Does what a negotiation wants, and puts the stream back unless it has moved or ended.
    pub(super) fn act(&mut self, io: &mut Io<Shard>, mut stream: Box<Stream>, actions: Vec<Action>) {
        let connection = stream.connection;
        let mut queue: std::collections::VecDeque<Action> = actions.into();
        while let Some(action) = queue.pop_front() {
            let Phase::Login(negotiation) = &mut stream.phase else { break };
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
                    let lookup = Lookup { account, password: None };
                    queue.extend(self.look_up(io, &mut stream, lookup));
                }
                Action::Verify { account, password } => {
                    let lookup = Lookup { account, password: Some(password) };
                    queue.extend(self.look_up(io, &mut stream, lookup));
                }
                Action::Authenticated(account) => {
                    io.pause(connection);
                    let home = home(account.bare(), io.shards());
                    if home != io.shard() {
                        self.addresses.disconnected(stream.peer.ip());
                    }
                    // The stream travels along; it comes back in `arrived`, even where it stays.
                    return io.move_to(connection, home, stream);
                }
                Action::Bind(jid) => {
                    let outcome = self.bind(connection, &jid);
                    queue.extend(negotiation.on_bound(outcome));
                }
                Action::LoginFailed(failure) => {
                    if failure == Failure::NotAuthorized {
                        self.addresses.login_failed(stream.peer.ip(), io.now_ms());
                    }
                    let about = self.about(io, &stream);
                    session_event!(DEBUG, "stream", about, condition = failure.condition(), "login failed");
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

    /// Looks a user up. What is in memory is answered at once; otherwise the answer comes as a message.
    fn look_up(&mut self, io: &mut Io<Shard>, stream: &mut Stream, lookup: Lookup) -> Vec<Action> {
        io.pause(stream.connection);
        if let Err(refusal) = self.addresses.may_log_in(stream.peer.ip(), io.now_ms()) {
            limited_event!(WARN, "limits", "refusing logins from an address: {refusal:?}");
            return negotiation_of(stream).on_storage_failure();
        }
        let request = match owner(&lookup.account) {
            Some(owner) => accounts::get(&owner),
            None => return self.looked_up(io, stream, lookup, Ok(None)),
        };
        match self.storage.read(stream.connection.to_bits(), request) {
            Ok(Answer::Now(outcome)) => {
                let credentials = credentials(&lookup.account, outcome);
                self.looked_up(io, stream, lookup, credentials)
            }
            Ok(Answer::Later) => {
                stream.lookup = Some(Box::new(lookup));
                Vec::new()
            }
            Err(busy) => {
                limited_event!(WARN, "storage", "a login could not be looked up: {busy}");
                negotiation_of(stream).on_storage_failure()
            }
        }
    }

    /// Goes on with what is known of a user.
    fn looked_up(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        lookup: Lookup,
        credentials: Result<Option<Credentials>, Unreadable>,
    ) -> Vec<Action> {
        let (credentials, password) = match (credentials, lookup.password) {
            (Ok(credentials), Some(password)) => (credentials, password),
            (Ok(credentials), None) => return negotiation_of(stream).on_credentials(credentials),
            (Err(Unreadable), _) => return negotiation_of(stream).on_storage_failure(),
        };
        let disabled = credentials.as_ref().is_some_and(|credentials| credentials.disabled);
        let keys = credentials.and_then(|credentials| cheapest(credentials.keys));
        let (token, remote) = (stream.connection.to_bits(), io.remote(io.shard()));
        if self.verifier.verify(token, remote, lookup.account.bare(), password, keys, disabled) {
            return Vec::new();
        }
        limited_event!(WARN, "stream", "too many passwords wait to be verified");
        negotiation_of(stream).on_password(None)
    }

    /// The storage has answered a lookup.
    pub(super) fn stored(&mut self, io: &mut Io<Shard>, reply: Reply) {
        let Some(mut stream) = self.take(ConnectionId::from_bits(reply.token)) else { return };
        let Some(lookup) = stream.lookup.take() else { return self.put(stream) };
        let credentials = credentials(&lookup.account, reply.outcome);
        let actions = self.looked_up(io, &mut stream, *lookup, credentials);
        self.act(io, stream, actions);
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
        let actions = negotiation.on_home();
        self.act(io, stream, actions);
    }

    fn bind(&mut self, connection: ConnectionId, jid: &Jid<'_>) -> Result<Jid<'static>, BindRefusal> {
        let (policy, most) = (self.settings.conflict, self.settings.sessions_max_per_account);
        let resource = jid.resource().unwrap_or_default();
        match self.accounts.bind(jid.bare(), resource, connection, policy, most, random::name) {
            Ok(Bound { name, replaced }) => {
                if let Some(old) = replaced {
                    let error = crate::stream::StreamError::conflict("another session has this resource now");
                    self.doomed.push((old, End::Error(error)));
                }
                Ok(jid.with_resource(&name))
            }
            Err(BindError::Conflict) => Err(BindRefusal::Conflict),
            Err(BindError::TooMany) => Err(BindRefusal::TooMany),
        }
    }

    fn establish(&mut self, io: &mut Io<Shard>, stream: &mut Stream, jid: &Jid<'_>) {
        stream.phase = Phase::Bound(Box::new(Session::new(jid)));
        stream.framer.set_limits(self.settings.limits);
        let idle = self.settings.idle_timeout;
        io.set_deadline(stream.connection, (!idle.is_zero()).then_some(idle));
        let about = logging::About {
            shard: io.shard(),
            connection: stream.number,
            address: Some(stream.peer),
            account: Some(jid.bare()),
        };
        session_event!(INFO, "session", about, resource = jid.resource(), "session begins");
    }
}

/// The negotiation of a stream that has just been seen to negotiate.
fn negotiation_of(stream: &mut Stream) -> &mut crate::stream::Negotiation {
    match &mut stream.phase {
        Phase::Login(negotiation) => negotiation,
        Phase::Bound(_) => unreachable!("a bound stream does not negotiate"),
    }
}

/// The storage has failed to say what it knows of a user; it is in the log.
struct Unreadable;

fn owner(account: &Jid<'_>) -> Option<Owner> {
    Owner::new(account.local()?, account.domain()).ok()
}

fn credentials(account: &Jid<'_>, outcome: Outcome) -> Result<Option<Credentials>, Unreadable> {
    let Some(owner) = owner(account) else { return Ok(None) };
    match accounts::decode(&owner, outcome) {
        Ok(stored) => Ok(stored.map(|stored| Credentials {
            keys: stored.account().keys.iter().map(crate::credentials::from_store).collect(),
            disabled: stored.account().disabled.is_some(),
        })),
        Err(error) => {
            limited_event!(WARN, "storage", "an account cannot be read: {error}");
            Err(Unreadable)
        }
    }
}

/// The keys whose verification costs least.
fn cheapest(keys: Vec<ScramKeys>) -> Option<ScramKeys> {
    keys.into_iter().min_by_key(|keys| match keys.hash {
        Hash::Sha256 => 0,
        Hash::Sha1 => 1,
        Hash::Sha512 => 2,
    })
}
