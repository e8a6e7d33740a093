//! SCRAM keys as they cross the admin socket: binary values in base64. The password itself never does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::backend::{Failure, FailureKind};
use crate::sasl::{Hash, Mechanism, ScramKeys};

/// Bytes of a salt at most.
const SALT_BYTES_MAX: usize = 64;

/// Keys for one hash function.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct WrittenKeys {
    mechanism: String,
    iterations: u32,
    salt: String,
    stored_key: String,
    server_key: String,
}

/// The name of the mechanism that uses a hash function, without channel binding.
pub fn mechanism_name(hash: Hash) -> &'static str {
    Mechanism::Scram { hash, plus: false }.name()
}

/// Keys as they are written.
pub(super) fn write(keys: &[ScramKeys]) -> Vec<WrittenKeys> {
    let written = |keys: &ScramKeys| WrittenKeys {
        mechanism: mechanism_name(keys.hash).to_owned(),
        iterations: keys.iterations,
        salt: BASE64.encode(&keys.salt),
        stored_key: BASE64.encode(&keys.stored_key),
        server_key: BASE64.encode(&keys.server_key),
    };
    keys.iter().map(written).collect()
}

/// Keys as they were written: each hash function at most once, at least one, every value of its length.
pub(super) fn read(written: &[WrittenKeys]) -> Result<Vec<ScramKeys>, Failure> {
    let mut all: Vec<ScramKeys> = Vec::new();
    for written in written {
        let keys = read_one(written).filter(|keys| all.iter().all(|other| other.hash != keys.hash));
        all.push(keys.ok_or_else(|| Failure::new(FailureKind::Invalid, "keys that are none"))?);
    }
    if all.is_empty() {
        return Err(Failure::new(FailureKind::Invalid, "no keys"));
    }
    Ok(all)
}

fn read_one(written: &WrittenKeys) -> Option<ScramKeys> {
    let hash = Hash::ALL.into_iter().find(|hash| mechanism_name(*hash) == written.mechanism)?;
    let key = |text: &str| BASE64.decode(text).ok().filter(|key| key.len() == hash.bytes());
    let salt = BASE64.decode(&written.salt).ok().filter(|salt| (1..=SALT_BYTES_MAX).contains(&salt.len()))?;
    (written.iterations > 0).then_some(())?;
    Some(ScramKeys {
        hash,
        salt,
        iterations: written.iterations,
        stored_key: key(&written.stored_key)?,
        server_key: key(&written.server_key)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::derive;

    #[test]
    fn keys_come_back_as_they_were_and_others_are_refused() {
        let keys: Vec<_> = Hash::ALL.iter().map(|hash| derive("secret", *hash, b"0123456789abcdef", 2)).collect();
        let written = write(&keys);
        assert_eq!(read(&written), Ok(keys));
        assert!(read(&[]).is_err());
        assert!(read(&[written[0].clone(), written[0].clone()]).is_err());
        let change = |change: fn(&mut WrittenKeys)| {
            let mut written = written[0].clone();
            change(&mut written);
            read(&[written])
        };
        assert!(change(|_| ()).is_ok());
        assert!(change(|keys| keys.mechanism = "SCRAM-SHA-256".into()).is_err());
        assert!(change(|keys| keys.mechanism = "PLAIN".into()).is_err());
        assert!(change(|keys| keys.salt.clear()).is_err());
        assert!(change(|keys| keys.stored_key.push('!')).is_err());
        assert!(change(|keys| keys.iterations = 0).is_err());
    }
}
