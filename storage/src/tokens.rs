//! Tokens that clients log in with instead of a password (XEP-0484): two per client at most, and a bounded number of
//! clients per account.
//!
//! Key: `owner 0x00 client`, the client as it names itself. Value: [`ClientTokens`]. What a token is verified with is
//! up to its mechanism. Those that bind to a channel have the token itself as a key, so it has to be stored as it is:
//! whoever reads this family can log in until the token expires or is replaced. They are therefore written only as long
//! as the account stays what it was when the client logged in, and go with each change of its keys, with its suspension
//! and with its removal, in the same write.

use crate::accounts::StoredAccount;
use crate::codec::{LoadError, Versioned};
use crate::reply::{Outcome, Page};
use crate::{DecodeError, Family, Owner, PageRequest, ReadRequest, WriteRequest};
use serde::{Deserialize, Serialize};
use std::fmt;

const FAMILY: Family = Family::Tokens;

/// The mechanism that a token is good for. Stored by position: append only.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum TokenMechanism {
    /// HT-SHA-256-EXPR.
    HtSha256Expr,
    /// HT-SHA-256-ENDP.
    HtSha256Endp,
    /// HT-SHA-256-NONE.
    HtSha256None,
}

/// A token.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Token {
    /// The mechanism it is good for.
    pub mechanism: TokenMechanism,
    /// What it is verified with, in the mechanism's own form.
    pub verifier: Vec<u8>,
    /// The first second, since 1970, in which it is no longer accepted.
    pub expires: u64,
    /// The highest count that a login with it has had.
    pub count: Option<u64>,
}

impl fmt::Debug for Token {
    // The verifier may be all that is needed to log in: it stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("mechanism", &self.mechanism)
            .field("expires", &self.expires)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The tokens of one client.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClientTokens {
    /// The one it has used last.
    pub current: Option<Token>,
    /// The one it has been given since.
    pub new: Option<Token>,
}

impl ClientTokens {
    /// When the last of them expires, in seconds since 1970.
    fn expires(&self) -> u64 {
        self.current.iter().chain(&self.new).map(|token| token.expires).max().unwrap_or(0)
    }
}

impl Versioned for ClientTokens {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "tokens";
}

/// Reads the tokens of one client; see [`decode`].
pub fn get(owner: &Owner, client: &str) -> ReadRequest {
    ReadRequest::Get(FAMILY, FAMILY.key(owner, client.as_bytes()))
}

/// The tokens in the outcome of [`get`]; none for a client that has none.
pub fn decode(owner: &Owner, client: &str, outcome: Outcome) -> Result<ClientTokens, LoadError> {
    match outcome {
        Outcome::Value(None) => Ok(ClientTokens::default()),
        Outcome::Value(Some(bytes)) => Ok(ClientTokens::decode(&FAMILY.key(owner, client.as_bytes()), &bytes)?),
        other => Err(LoadError::unexpected(other)),
    }
}

/// Reads the tokens of all clients of an account, so that one client's can be changed; decodes with [`decode_all`].
/// `clients_max` is what [`AccountTokens::replace`] has left.
pub fn get_all(owner: &Owner, clients_max: usize) -> ReadRequest {
    ReadRequest::Page(PageRequest {
        family: FAMILY,
        from: FAMILY.key(owner, b""),
        to: Some(owner.end()),
        reverse: false,
        entries_max: clients_max,
        // Clients have short names: so much never comes together, and it is little enough to be read in place.
        bytes_max: 64 << 10,
    })
}

/// The tokens of all clients of an account as they were read.
#[derive(Clone, Debug, Default)]
pub struct AccountTokens {
    clients: Vec<StoredClient>,
}

#[derive(Clone, Debug)]
struct StoredClient {
    /// The key behind the owner.
    client: Vec<u8>,
    /// What cannot be read counts as nothing, and is overwritten or removed when its place is needed.
    tokens: ClientTokens,
    encoded: Vec<u8>,
}

/// The outcome of [`get_all`], and what of it cannot be read.
pub fn decode_all(outcome: Outcome) -> Result<(AccountTokens, Vec<DecodeError>), LoadError> {
    let Page { entries, .. } = match outcome {
        Outcome::Page(page) => page,
        other => return Err(LoadError::unexpected(other)),
    };
    let (mut clients, mut errors) = (Vec::with_capacity(entries.len()), Vec::new());
    for (key, encoded) in entries {
        let Some((_, client)) = Owner::split_key(&key) else {
            errors.push(DecodeError::damaged(ClientTokens::FAMILY, &key, "the key is not a client's"));
            continue;
        };
        let tokens = ClientTokens::decode(&key, &encoded).unwrap_or_else(|error| {
            errors.push(error);
            ClientTokens::default()
        });
        clients.push(StoredClient { client: client.to_vec(), tokens, encoded });
    }
    Ok((AccountTokens { clients }, errors))
}

impl AccountTokens {
    /// The tokens of a client.
    pub fn of(&self, client: &str) -> ClientTokens {
        self.find(client).map(|stored| stored.tokens.clone()).unwrap_or_default()
    }

    /// Replaces the tokens of a client; with none left it is forgotten. So are clients whose tokens have expired at
    /// `now`, in seconds since 1970, and as many of those that expire soonest as it takes for `clients_max` to remain.
    ///
    /// [`Outcome::Refused`] means that the account or the client's tokens have changed since they were read: read both
    /// again.
    pub fn replace(
        &self,
        account: &StoredAccount,
        client: &str,
        tokens: &ClientTokens,
        now: u64,
        clients_max: usize,
    ) -> WriteRequest {
        let rest = client.as_bytes();
        let mut request = account.unchanged();
        request = match self.find(client) {
            Some(stored) => request.require_equals(FAMILY, rest, stored.encoded.clone()),
            None => request.require_absent(FAMILY, rest),
        };
        request = match *tokens == ClientTokens::default() {
            true => request.delete(FAMILY, rest),
            false => request.put(FAMILY, rest, tokens.encode()),
        };
        let mut others: Vec<_> = self.clients.iter().filter(|stored| stored.client != rest).collect();
        others.sort_by_key(|stored| stored.tokens.expires());
        let too_many = (others.len() + 1).saturating_sub(clients_max);
        let gone =
            others.iter().enumerate().filter(|(index, stored)| *index < too_many || stored.tokens.expires() <= now);
        gone.fold(request, |request, (_, stored)| request.delete(FAMILY, &stored.client))
    }

    fn find(&self, client: &str) -> Option<&StoredClient> {
        self.clients.iter().find(|stored| stored.client == client.as_bytes())
    }
}

/// Makes all tokens of the request's owner void.
pub(crate) fn void(request: WriteRequest) -> WriteRequest {
    request.delete_all(FAMILY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{self, Account, AccountFlags, Disabled, ScramHash, ScramKeys};
    use crate::registrations::{Registration, Source};
    use crate::{Operation, Options, Store};
    use proptest::prelude::*;

    fn token() -> impl Strategy<Value = Token> {
        let mechanism = prop::sample::select(vec![
            TokenMechanism::HtSha256Expr,
            TokenMechanism::HtSha256Endp,
            TokenMechanism::HtSha256None,
        ]);
        (mechanism, any::<Vec<u8>>(), any::<u64>(), any::<Option<u64>>())
            .prop_map(|(mechanism, verifier, expires, count)| Token { mechanism, verifier, expires, count })
    }

    fn expiring(expires: u64) -> ClientTokens {
        let token = Token { mechanism: TokenMechanism::HtSha256Expr, verifier: vec![1], expires, count: None };
        ClientTokens { current: None, new: Some(token) }
    }

    proptest! {
        #[test]
        fn tokens_come_back(current in prop::option::of(token()), new in prop::option::of(token())) {
            let tokens = ClientTokens { current, new };
            let owner = Owner::parse("juliet@example.org").unwrap();
            let outcome = Outcome::Value(Some(tokens.encode()));
            prop_assert_eq!(decode(&owner, "client", outcome), Ok(tokens));
        }

        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            ClientTokens::decode(&key, &value).ok();
            decode_all(Outcome::Page(Page { entries: vec![(key, value)], complete: true })).unwrap();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        let current =
            Token { mechanism: TokenMechanism::HtSha256None, verifier: vec![1, 2], expires: 200, count: Some(3) };
        let tokens = ClientTokens { current: Some(current), new: None };
        let bytes = [1, 1, 2, 2, 1, 2, 200, 1, 1, 3, 0];
        assert_eq!(tokens.encode(), bytes);
        assert_eq!(ClientTokens::decode(b"", &bytes), Ok(tokens));
    }

    #[test]
    fn verifiers_are_not_shown() {
        let token = Token { verifier: b"secret".to_vec(), ..expiring(7).new.unwrap() };
        let shown = format!("{token:?} {:?}", b"secret");
        assert_eq!(shown.matches("115, 101, 99").count(), 1, "{shown}");
    }

    /// A store with an account, and what a login with a token does to it.
    struct Play {
        store: Store,
        owner: Owner,
        _directory: tempfile::TempDir,
    }

    impl Play {
        fn new() -> Play {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::open(&Options::new(directory.path())).unwrap();
            let play = Play { store, owner: Owner::parse("juliet@example.org").unwrap(), _directory: directory };
            play.create();
            play
        }

        fn create(&self) {
            let account = Account::new(Vec::new(), 0);
            let registration = Registration { address: None, source: Source::Cli, client: None };
            let request = accounts::create(&self.owner, &account, &registration, 0);
            assert_eq!(self.store.write_blocking(request), Outcome::Written);
        }

        fn account(&self) -> StoredAccount {
            let outcome = self.store.read_blocking(&accounts::get(&self.owner));
            accounts::decode(&self.owner, outcome).unwrap().unwrap()
        }

        fn all(&self, clients_max: usize) -> AccountTokens {
            let (all, errors) = decode_all(self.store.read_blocking(&get_all(&self.owner, clients_max))).unwrap();
            assert_eq!(errors, []);
            all
        }

        fn put(&self, client: &str, tokens: &ClientTokens, now: u64, clients_max: usize) {
            let request = self.all(clients_max).replace(&self.account(), client, tokens, now, clients_max);
            assert_eq!(self.store.write_blocking(request), Outcome::Written);
        }

        fn of(&self, client: &str) -> ClientTokens {
            decode(&self.owner, client, self.store.read_blocking(&get(&self.owner, client))).unwrap()
        }

        fn clients(&self) -> Vec<String> {
            let all = self.all(100);
            all.clients.iter().map(|stored| String::from_utf8(stored.client.clone()).unwrap()).collect()
        }
    }

    #[test]
    fn a_client_has_its_own_and_an_account_a_bounded_number_of_clients() {
        let play = Play::new();
        for (client, expires) in [("a", 50), ("b", 20), ("c", 30), ("d", 40)] {
            play.put(client, &expiring(expires), 0, 3);
        }
        assert_eq!(play.clients(), ["a", "c", "d"], "what expires first makes room");
        assert_eq!((play.of("a"), play.of("b")), (expiring(50), ClientTokens::default()));
        play.put("c", &expiring(60), 40, 3);
        assert_eq!(play.clients(), ["a", "c"], "what has expired goes");
        assert_eq!(play.of("c"), expiring(60));
        play.put("c", &ClientTokens::default(), 40, 3);
        assert_eq!(play.clients(), ["a"]);
    }

    #[test]
    fn whoever_read_before_a_change_changes_nothing() {
        let play = Play::new();
        play.put("a", &expiring(50), 0, 3);
        let (account, all) = (play.account(), play.all(3));
        play.put("a", &expiring(60), 0, 3);
        let stale = all.replace(&account, "a", &expiring(70), 0, 3);
        assert!(matches!(play.store.write_blocking(stale), Outcome::Refused(_)));
        let stale = AccountTokens::default().replace(&account, "a", &expiring(70), 0, 3);
        assert!(matches!(play.store.write_blocking(stale), Outcome::Refused(_)));
        assert_eq!(play.of("a"), expiring(60));
    }

    /// What makes tokens void, and that a login which began before brings none back.
    #[test]
    fn tokens_go_with_the_password_and_with_the_account() {
        let disabled = Disabled { since: 0, reason: String::new(), until: None };
        let (salt, stored_key, server_key) = (vec![1], vec![2], vec![3]);
        let keys = vec![ScramKeys { hash: ScramHash::Sha256, salt, iterations: 4096, stored_key, server_key }];
        type Change = Box<dyn Fn(&StoredAccount) -> WriteRequest>;
        let changes: [(Change, bool); 5] = [
            (Box::new(move |account| account.set_keys(keys.clone())), true),
            (Box::new(move |account| account.disable(disabled.clone())), true),
            (Box::new(|account| accounts::remove(account.owner())), true),
            (Box::new(|account| account.enable()), false),
            (Box::new(|account| account.change(|account| account.flags = AccountFlags(1))), false),
        ];
        for (index, (change, voids)) in changes.iter().enumerate() {
            let play = Play::new();
            play.put("a", &expiring(50), 0, 3);
            let (account, all) = (play.account(), play.all(3));
            assert_eq!(play.store.write_blocking(change(&account)), Outcome::Written);
            assert_eq!(play.of("a") == ClientTokens::default(), *voids, "{index}");
            let late = all.replace(&account, "b", &expiring(50), 0, 3);
            let unchanged = index == 3;
            assert_eq!(play.store.write_blocking(late) == Outcome::Written, unchanged, "{index}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_and_makes_room() {
        let play = Play::new();
        let damaged = WriteRequest::new(play.owner.clone()).put(FAMILY, b"a", vec![9]).put(FAMILY, b"b", vec![]);
        assert_eq!(play.store.write_blocking(damaged), Outcome::Written);
        let (all, errors) = decode_all(play.store.read_blocking(&get_all(&play.owner, 3))).unwrap();
        assert_eq!(errors.len(), 2);
        let request = all.replace(&play.account(), "a", &expiring(50), 0, 3);
        assert!(request.operations().iter().any(|each| matches!(each, Operation::Delete(Family::Tokens, _))));
        assert_eq!(play.store.write_blocking(request), Outcome::Written);
        assert_eq!((play.of("a"), play.clients()), (expiring(50), vec!["a".to_owned()]));
    }
}
