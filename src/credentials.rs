//! SCRAM keys between what verifies with them (`sasl`) and what keeps them (the storage), neither of which knows the
//! other.

use rondel_storage::accounts::{self, ScramHash};

use crate::sasl::{Hash, ScramKeys};

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
