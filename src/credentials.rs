//! SCRAM keys and tokens between what verifies with them (`sasl`, `stream`) and what keeps them (the storage), neither
//! of which knows the other.

use rondel_storage::accounts::{self, ScramHash};
use rondel_storage::tokens::{self, ClientTokens, TokenMechanism};

use crate::sasl::{Hash, Ht, ScramKeys};
use crate::stream::{Token, Tokens};

/// Keys as the storage keeps them.
pub fn to_store(keys: ScramKeys) -> accounts::ScramKeys {
    let hash = match keys.hash {
        Hash::Sha1 => ScramHash::Sha1,
        Hash::Sha256 => ScramHash::Sha256,
        Hash::Sha512 => ScramHash::Sha512,
    };
    let ScramKeys { salt, iterations, stored_key, server_key, .. } = keys;
    accounts::ScramKeys { hash, salt, iterations, stored_key, server_key }
}

/// Keys as they are verified with.
pub fn from_store(keys: &accounts::ScramKeys) -> ScramKeys {
    ScramKeys {
        hash: hash(keys.hash),
        salt: keys.salt.clone(),
        iterations: keys.iterations,
        stored_key: keys.stored_key.clone(),
        server_key: keys.server_key.clone(),
    }
}

/// The hash function of keys in the storage.
pub fn hash(hash: ScramHash) -> Hash {
    match hash {
        ScramHash::Sha1 => Hash::Sha1,
        ScramHash::Sha256 => Hash::Sha256,
        ScramHash::Sha512 => Hash::Sha512,
    }
}

/// A client's tokens as the storage keeps them.
pub fn tokens_to_store(tokens: Tokens) -> ClientTokens {
    let token = |Token { mechanism, verifier, expires_s, count }| {
        let mechanism = match mechanism {
            Ht::Exporter => TokenMechanism::HtSha256Expr,
            Ht::EndPoint => TokenMechanism::HtSha256Endp,
            Ht::Unbound => TokenMechanism::HtSha256None,
        };
        tokens::Token { mechanism, verifier, expires: expires_s, count }
    };
    ClientTokens { current: tokens.current.map(token), new: tokens.new.map(token) }
}

/// A client's tokens as they are verified with.
pub fn tokens_from_store(tokens: ClientTokens) -> Tokens {
    let token = |tokens::Token { mechanism, verifier, expires, count }| {
        let mechanism = match mechanism {
            TokenMechanism::HtSha256Expr => Ht::Exporter,
            TokenMechanism::HtSha256Endp => Ht::EndPoint,
            TokenMechanism::HtSha256None => Ht::Unbound,
        };
        Token { mechanism, verifier, expires_s: expires, count }
    };
    Tokens { current: tokens.current.map(token), new: tokens.new.map(token) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_from_the_store_as_they_were() {
        for mechanism in Ht::ALL {
            let token = |count| Some(Token { mechanism, verifier: vec![1, 2], expires_s: 3, count });
            for tokens in [
                Tokens { current: token(None), new: token(Some(4)) },
                Tokens { current: None, new: token(None) },
                Tokens { current: token(Some(5)), new: None },
            ] {
                assert_eq!(tokens_from_store(tokens_to_store(tokens.clone())), tokens);
            }
        }
    }
}
