//! Ad-hoc commands (XEP-0050) of users for their own accounts. What is asked and what it comes to is decided in
//! [`crate::service::user_commands`]; here it is carried out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashMap;
use rondel_shards::Io;
use rondel_storage::accounts::{self, StoredAccount};
use rondel_storage::{Outcome as Stored, Owner};

use super::login::{cheapest, credentials_in, existing};
use super::roster::written;
use super::stream::Stream;
use super::task::{Asker, Step, Task};
use super::verify::NoKeys;
use super::{End, Shard, now_s};
use crate::account::{Address, SessionKey};
use crate::credentials::to_store;
use crate::forms::FormLimits;
use crate::registration::PasswordFault;
use crate::sasl::{PASSWORD_BYTES_MAX, ScramKeys};
use crate::service::admin_commands::Facts;
use crate::service::commands::{
    Call, Command, CommandLimits, Context, Effect, Exchanges, Note, Outcome, Request, Running, SessionInfo,
};
use crate::service::user_commands::Rights;
use crate::service::{Action, Answer, user_commands};
use crate::stream::{Refusal, StreamError};
use crate::xml::Element;
use crate::{limited_event, logging, session_event};

/// What bounds the commands of one session.
const LIMITS: CommandLimits = CommandLimits {
    sessions_max: 8,
    session_lifetime_s: 600,
    form: FormLimits { fields_max: 32, values_max: 64, bytes_max: 16 << 10 },
};

/// Size of the table at which what nobody has answered in time is looked for.
const SWEEP_AT: usize = 64;

/// The commands that wait for an answer, by the session that runs them.
#[derive(Default)]
pub(super) struct Commands {
    waiting: HashMap<SessionKey, Exchanges>,
    /// Size at which it is swept next.
    sweep_at: usize,
}

impl Commands {
    fn take(&mut self, key: SessionKey, request: Request, call: &Call<'_>) -> Result<Outcome, Refusal> {
        if self.waiting.len() >= self.sweep_at.max(SWEEP_AT) {
            self.waiting.retain(|_, exchanges| {
                exchanges.expire(call.now_s);
                !exchanges.is_empty()
            });
            self.sweep_at = self.waiting.len() * 2;
        }
        let exchanges = self.waiting.entry(key).or_default();
        let outcome = exchanges.take(request, call);
        if exchanges.is_empty() {
            self.waiting.remove(&key);
        }
        outcome
    }

    /// A session has ended, and what it was asked with it.
    pub fn forget(&mut self, key: SessionKey) {
        self.waiting.remove(&key);
    }
}

/// Who changes a password, and from where.
struct Change {
    owner: Owner,
    account: String,
    peer: SocketAddr,
    connection: u64,
    close_others: bool,
    running: Running,
}

impl Change {
    fn about(&self, io: &Io<Shard>) -> logging::About<'_> {
        logging::About {
            shard: io.shard(),
            connection: self.connection,
            address: Some(self.peer),
            account: Some(&self.account),
        }
    }
}

impl Shard {
    /// A request of a session to a command of its domain.
    pub(super) fn command_request(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: Asker,
        action: Action,
        command: &Element,
        rights: Rights,
    ) {
        let step = self.command(io, stream, &asker, action, command, rights).unwrap_or_else(Step::refuse);
        self.run_request(io, stream, asker, step);
    }

    fn command(
        &mut self,
        io: &mut Io<Shard>,
        stream: &Stream,
        asker: &Asker,
        action: Action,
        command: &Element,
        rights: Rights,
    ) -> Result<Step, Refusal> {
        let (Action::Set, "command", Some(key)) = (action, &*command.name, asker.key) else {
            return Err(Refusal::bad_request());
        };
        let request = Request::parse(command, &LIMITS.form)?;
        let known: Vec<(Arc<Address>, Option<String>, u64)> = self
            .accounts
            .sessions(asker.address.bare())
            .map(|(_, session)| {
                let peer = session
                    .connection
                    .and_then(|connection| io.peer(connection))
                    .map(|peer| peer.ip().to_canonical().to_string());
                (Arc::clone(&session.address), peer, session.since_s)
            })
            .collect();
        let sessions: Vec<SessionInfo<'_>> = known
            .iter()
            .map(|(session, address, since_s)| SessionInfo {
                resource: session.resource(),
                address: address.as_deref(),
                since_s: *since_s,
            })
            .collect();
        let resource = Some(asker.address.resource());
        let facts = if rights.is_administrator { self.settings.facts() } else { Facts::default() };
        let call = Call {
            requester: asker.address.as_str(),
            commands: user_commands::all(),
            may_run: &|command: &Command| rights.may_run(command.node),
            context: Context {
                resource,
                sessions: &sessions,
                password_bytes_max: PASSWORD_BYTES_MAX,
                rights,
                facts: &facts,
            },
            now_s: now_s(),
            limits: &LIMITS,
        };
        match self.commands.take(key, request, &call)? {
            Outcome::Answer(answer) => Ok(Step::Answer(Answer::Result(Some(answer)))),
            Outcome::Run(running) => self.run_command(io, stream, asker, running),
        }
    }

    /// Does what a command has come to.
    fn run_command(
        &mut self,
        io: &mut Io<Shard>,
        stream: &Stream,
        asker: &Asker,
        mut running: Running,
    ) -> Result<Step, Refusal> {
        let bare = asker.address.bare();
        match std::mem::replace(&mut running.effect, Effect::CloseOtherSessions { except: None }) {
            Effect::SetPassword { current, new, close_others } => {
                let owner = self.owner_of(bare).ok_or_else(Refusal::forbidden)?;
                let (peer, connection, account) = (stream.peer, stream.number, bare.to_owned());
                self.may_try_password(io, stream)?;
                let change = Change { owner, account, peer, connection, close_others, running };
                Ok(Step::read(accounts::get(&change.owner), move |shard, _, _, outcome| {
                    match existing(&change.owner, outcome) {
                        Ok(stored) => shard.verify_and_change(change, stored, current, new),
                        Err(refusal) => Step::refuse(refusal),
                    }
                }))
            }
            Effect::Export { password } => self.export_account(io, stream, asker, password, running),
            Effect::Administer(what) => {
                let (errand, shown) = *what;
                Ok(Step::administer(bare.to_owned(), errand, move |_, _, _, outcomes| {
                    Step::Answer(Answer::Result(Some(running.finish_with(shown.of(outcomes)))))
                }))
            }
            Effect::Invite { registers, befriends, username } => {
                Ok(self.invite(asker, running, registers, befriends, username))
            }
            Effect::CloseSession { resource } => {
                let ended = self.close_sessions(bare, |session| session == resource, closed);
                let note = match ended {
                    0 => Note::Error("This session has ended already.".into()),
                    _ => Note::Info("The session has been closed.".into()),
                };
                Ok(Step::Answer(Answer::Result(Some(running.finish(note)))))
            }
            Effect::CloseOtherSessions { except } => {
                let ended = self.close_sessions(bare, |session| Some(session) != except.as_deref(), closed);
                let note = Note::Info(format!("Sessions closed: {ended}"));
                Ok(Step::Answer(Answer::Result(Some(running.finish(note)))))
            }
        }
    }

    /// Whether somebody may say a password within a session. A right one counts like a wrong one: it costs the side
    /// threads as much.
    pub(super) fn may_try_password(&mut self, io: &Io<Shard>, stream: &Stream) -> Result<(), Refusal> {
        let address = stream.peer.ip();
        if let Err(refusal) = self.addresses.may_log_in(address, io.now_ms()) {
            limited_event!(WARN, "limits", self.about(io, stream); "refusing to look at a password: {refusal}");
            let text = "Too many wrong passwords. Try again later.";
            return Err(Refusal::new("wait", "policy-violation").with_text(text));
        }
        self.addresses.login_failed(address, io.now_ms());
        Ok(())
    }

    /// Ends sessions of an account by their resources. Returns how many.
    pub(super) fn close_sessions(
        &mut self,
        bare: &str,
        is_it: impl Fn(&str) -> bool,
        why: fn() -> StreamError,
    ) -> usize {
        let before = self.doomed.len();
        let chosen = self.accounts.sessions(bare).filter(|(_, session)| is_it(session.resource()));
        self.doomed.extend(chosen.map(|(key, _)| (key, End::Error(why()))));
        self.doomed.len() - before
    }

    fn verify_and_change(
        &mut self,
        change: Change,
        stored: StoredAccount,
        current: zeroize::Zeroizing<String>,
        new: zeroize::Zeroizing<String>,
    ) -> Step {
        let Some(keys) = cheapest(credentials_in(&stored).keys) else {
            return Step::refuse(Refusal::internal_server_error());
        };
        Step::derive(
            self.new_password(stored.owner(), Some((current, keys)), new),
            move |shard, io, _, keys| match keys {
                Ok(keys) => shard.write_keys(change, &stored, keys),
                Err(NoKeys::Fault(PasswordFault::Short)) => {
                    note(&change.running, Note::Error("The new password is too short.".into()))
                }
                Err(NoKeys::Fault(PasswordFault::Weak)) => {
                    note(&change.running, Note::Error("The new password is too weak.".into()))
                }
                Err(NoKeys::Wrong) => {
                    limited_event!(INFO, "login", change.about(io); "a wrong password in a change of password");
                    note(&change.running, Note::Error("The current password is not right.".into()))
                }
                Err(NoKeys::Busy) => Step::refuse(Refusal::new("wait", "resource-constraint")),
            },
        )
    }

    /// Writes new keys, and with them that no token of the account holds any more.
    fn write_keys(&mut self, change: Change, stored: &StoredAccount, keys: Vec<ScramKeys>) -> Step {
        let request = stored.set_keys(keys.into_iter().map(to_store).collect());
        Step::write(request, move |shard, io, task: &Task, outcome| {
            if matches!(outcome, Stored::Refused(_)) {
                return note(&change.running, Note::Error("The account has changed meanwhile. Try again.".into()));
            }
            if let Err(refusal) = written(outcome) {
                return Step::refuse(refusal);
            }
            // From now on logins that began before look at their account again.
            shard.settings.account_changes.fetch_add(1, Ordering::SeqCst);
            session_event!(INFO, "login", change.about(io), "a password was changed by its user");
            if change.close_others {
                let own = task.asker.as_ref().map(|asker| asker.address.resource().to_owned());
                shard.close_sessions(&change.account, |session| Some(session) != own.as_deref(), outdated);
            }
            note(&change.running, Note::Info("The password has been changed.".into()))
        })
    }
}

fn note(running: &Running, note: Note) -> Step {
    Step::Answer(Answer::Result(Some(running.finish(note))))
}

/// What a client is told whose session was closed by another one of its account.
fn closed() -> StreamError {
    StreamError::reset("this session was closed by another session of the account")
}

/// What a client is told that has logged in with a password that holds no more.
fn outdated() -> StreamError {
    StreamError::reset("the password was changed")
}
