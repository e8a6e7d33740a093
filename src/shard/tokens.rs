//! Tokens of clients (XEP-0484): looking them up for a login, and changing them once it is through, with the storage in
//! between. What changes is decided in `stream`.

use rondel_shards::Io;
use rondel_storage::accounts::{self, StoredAccount};
use rondel_storage::{Answer, Outcome, ReadRequest, tokens};

use super::login::{credentials_in, fingerprint, negotiation_of, owner};
use super::stream::{ChangeStage, Changing, Lookup, Purpose, Stream};
use super::{End, Shard, now_s};
use crate::credentials::{tokens_from_store, tokens_to_store};
use crate::jid::Jid;
use crate::limited_event;
use crate::sasl::Failure;
use crate::stream::{Action, StreamError, TokenChange, Tokens};

/// How often a change begins at most, because another login of the same client was faster each time.
const TRIES: u32 = 3;

impl Shard {
    /// Looks up the tokens of a client, after its account. Both are asked for whether or not there is such an account:
    /// how long it takes must not tell.
    pub(super) fn look_up_tokens(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        account: Jid<'static>,
        client: String,
        disabled: Option<Failure>,
    ) -> Vec<Action> {
        let Some(owner) = owner(&account) else {
            return negotiation_of(stream).on_tokens(&Tokens::default(), disabled, now_s());
        };
        match self.storage.read(stream.connection.to_bits(), tokens::get(&owner, &client)) {
            Ok(Answer::Now(outcome)) => self.tokens_found(io, stream, &account, &client, disabled, outcome),
            Ok(Answer::Later) => {
                let purpose = Purpose::Tokens { client, disabled };
                stream.lookup = Some(Box::new(Lookup { account, purpose }));
                Vec::new()
            }
            Err(busy) => {
                limited_event!(WARN, "login", self.about(io, stream); "a login could not be looked up: {busy}");
                negotiation_of(stream).on_storage_failure()
            }
        }
    }

    /// Goes on with the tokens of a client.
    pub(super) fn tokens_found(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        account: &Jid<'_>,
        client: &str,
        disabled: Option<Failure>,
        outcome: Outcome,
    ) -> Vec<Action> {
        let found = owner(account).map(|owner| tokens::decode(&owner, client, outcome)).transpose();
        match found {
            Ok(found) => {
                let tokens = tokens_from_store(found.unwrap_or_default());
                negotiation_of(stream).on_tokens(&tokens, disabled, now_s())
            }
            Err(error) => {
                limited_event!(WARN, "storage", self.about(io, stream); "tokens cannot be read: {error}");
                negotiation_of(stream).on_storage_failure()
            }
        }
    }

    /// Changes the tokens of a client: reads the account and its tokens, and writes what comes of them unless either
    /// has changed meanwhile.
    pub(super) fn change_tokens(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        account: Jid<'static>,
        client: String,
        change: TokenChange,
    ) -> Result<Vec<Action>, End> {
        io.pause(stream.connection);
        let changing = Changing { client, change, tries_left: TRIES, stage: ChangeStage::Account };
        self.try_to_change(io, stream, account, changing)
    }

    fn try_to_change(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        account: Jid<'static>,
        mut changing: Changing,
    ) -> Result<Vec<Action>, End> {
        let Some(owner) = owner(&account).filter(|_| changing.tries_left > 0) else {
            return Ok(not_changed(stream, Failure::TemporaryAuthFailure));
        };
        changing.tries_left -= 1;
        changing.stage = ChangeStage::Account;
        self.read_for_change(io, stream, account, changing, accounts::get(&owner))
    }

    fn read_for_change(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        account: Jid<'static>,
        changing: Changing,
        request: ReadRequest,
    ) -> Result<Vec<Action>, End> {
        match self.storage.read(stream.connection.to_bits(), request) {
            Ok(Answer::Now(outcome)) => self.changing_tokens(io, stream, account, changing, outcome),
            Ok(Answer::Later) => {
                let purpose = Purpose::ChangeTokens(Box::new(changing));
                stream.lookup = Some(Box::new(Lookup { account, purpose }));
                Ok(Vec::new())
            }
            Err(busy) => {
                limited_event!(WARN, "login", self.about(io, stream); "tokens could not be looked up: {busy}");
                Ok(not_changed(stream, Failure::TemporaryAuthFailure))
            }
        }
    }

    /// Goes on with a change, whatever the storage was asked for it.
    pub(super) fn changing_tokens(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        account: Jid<'static>,
        mut changing: Changing,
        outcome: Outcome,
    ) -> Result<Vec<Action>, End> {
        let Some(owner) = owner(&account) else { return Ok(not_changed(stream, Failure::TemporaryAuthFailure)) };
        match std::mem::replace(&mut changing.stage, ChangeStage::Writing) {
            ChangeStage::Account => match accounts::decode(&owner, outcome) {
                Ok(stored) => {
                    let credentials = stored.as_ref().map(credentials_in);
                    let now = fingerprint(credentials.as_ref());
                    let is_same = stream.basis.is_some_and(|basis| basis.fingerprint == now);
                    let Some(stored) = stored.filter(|_| is_same) else {
                        return Err(End::Error(StreamError::not_authorized("this account has changed meanwhile")));
                    };
                    changing.stage = ChangeStage::Tokens(stored);
                    let request = tokens::get_all(&owner, self.settings.token_clients_max);
                    self.read_for_change(io, stream, account, changing, request)
                }
                Err(error) => Ok(self.unreadable(io, stream, &error)),
            },
            ChangeStage::Tokens(stored) => self.write_tokens(io, stream, account, changing, &stored, outcome),
            ChangeStage::Writing => match outcome {
                Outcome::Written => Ok(negotiation_of(stream).on_tokens_changed(Ok(()))),
                Outcome::Refused(_) => self.try_to_change(io, stream, account, changing),
                Outcome::Failed(failure) => {
                    limited_event!(WARN, "storage", self.about(io, stream); "tokens were not written: {failure}");
                    Ok(not_changed(stream, Failure::TemporaryAuthFailure))
                }
                _ => Ok(not_changed(stream, Failure::TemporaryAuthFailure)),
            },
        }
    }

    fn write_tokens(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        account: Jid<'static>,
        changing: Changing,
        stored: &StoredAccount,
        outcome: Outcome,
    ) -> Result<Vec<Action>, End> {
        let all = match tokens::decode_all(outcome) {
            Ok((all, errors)) => {
                for error in errors {
                    limited_event!(WARN, "storage", self.about(io, stream); "tokens cannot be read: {error}");
                }
                all
            }
            Err(error) => return Ok(self.unreadable(io, stream, &error)),
        };
        let changed = match changing.change.apply(tokens_from_store(all.of(&changing.client))) {
            Ok(changed) => tokens_to_store(changed),
            Err(failure) => return Ok(not_changed(stream, failure)),
        };
        let clients_max = self.settings.token_clients_max;
        let request = all.replace(stored, &changing.client, &changed, now_s(), clients_max);
        if let Err(busy) = self.storage.write(stream.connection.to_bits(), request) {
            limited_event!(WARN, "login", self.about(io, stream); "tokens could not be written: {busy}");
            return Ok(not_changed(stream, Failure::TemporaryAuthFailure));
        }
        let purpose = Purpose::ChangeTokens(Box::new(changing));
        stream.lookup = Some(Box::new(Lookup { account, purpose }));
        Ok(Vec::new())
    }

    fn unreadable(&self, io: &Io<Shard>, stream: &mut Stream, error: &rondel_storage::LoadError) -> Vec<Action> {
        limited_event!(WARN, "storage", self.about(io, stream); "tokens cannot be changed: {error}");
        not_changed(stream, Failure::TemporaryAuthFailure)
    }
}

fn not_changed(stream: &mut Stream, failure: Failure) -> Vec<Action> {
    negotiation_of(stream).on_tokens_changed(Err(failure))
}
