//! What users that do not exist look like: the same exchange as with those that do.

use super::keys::{Hash, SALT_BYTES, ScramKeys};

/// Keys for users that do not exist, made from a secret of the server: the same each time, with a salt and as many
/// rounds as a user could have, and no password that fits.
#[derive(Clone)]
pub struct UnknownUsers {
    secret: [u8; 32],
    /// The rounds that existing users' keys have, by hash function: a sample, in order.
    usual: [Vec<u32>; Hash::ALL.len()],
    /// The rounds of new keys.
    rounds: u32,
}

impl UnknownUsers {
    /// From random bytes that stay the same as long as the server's data do: otherwise a user that does not exist
    /// would show by another salt after a restart. `rounds` are those of new keys.
    pub fn new(secret: [u8; 32], rounds: u32) -> UnknownUsers {
        UnknownUsers { secret, usual: Default::default(), rounds }
    }

    /// With the rounds of a sample of the users that exist: those whose keys are older than the present setting, or
    /// come from another server, would show otherwise.
    pub fn like(mut self, sample: impl IntoIterator<Item = (Hash, u32)>) -> UnknownUsers {
        for (hash, rounds) in sample {
            self.usual[hash as usize].push(rounds);
        }
        self.usual.iter_mut().for_each(|usual| usual.sort_unstable());
        self
    }

    /// The keys of a user.
    pub fn keys(&self, bare_jid: &str, hash: Hash) -> ScramKeys {
        let material = |purpose: &str| {
            let text = [purpose.as_bytes(), &[0, hash as u8], bare_jid.as_bytes()].concat();
            Hash::Sha512.hmac(&self.secret, &text)
        };
        let part = |bytes: Vec<u8>, length: usize| bytes.into_iter().take(length).collect();
        // A name's place in the sample is a fraction, so that a sample that is a little different after a restart
        // changes what few names show.
        let usual = &self.usual[hash as usize];
        let place = material("rounds").first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let place = (u64::from(place) * usual.len() as u64) >> 32;
        ScramKeys {
            hash,
            salt: part(material("salt"), SALT_BYTES),
            iterations: usual.get(place as usize).copied().unwrap_or(self.rounds),
            stored_key: part(material("stored"), hash.bytes()),
            server_key: part(material("server"), hash.bytes()),
        }
    }
}

impl std::fmt::Debug for UnknownUsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnknownUsers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_exist_looks_as_if() {
        let users = UnknownUsers::new([1; 32], 10_000);
        let keys = users.keys("nobody@example.org", Hash::Sha256);
        assert_eq!(keys, users.keys("nobody@example.org", Hash::Sha256));
        assert_ne!(keys.salt, users.keys("someone@example.org", Hash::Sha256).salt);
        assert_ne!(keys.salt, UnknownUsers::new([2; 32], 10_000).keys("nobody@example.org", Hash::Sha256).salt);
        assert_eq!((keys.salt.len(), keys.stored_key.len(), keys.server_key.len()), (16, 32, 32));
        assert_eq!(keys.iterations, 10_000);
    }

    #[test]
    fn rounds_are_spread_as_those_of_who_exists() {
        let sample = (0..40).map(|number| (Hash::Sha256, if number < 30 { 4_096 } else { 10_000 }));
        let users = UnknownUsers::new([1; 32], 20_000).like(sample);
        let rounds = |number: usize| users.keys(&format!("user{number}@example.org"), Hash::Sha256).iterations;
        let old = (0..1_000).filter(|&number| rounds(number) == 4_096).count();
        assert!((700..800).contains(&old), "{old}");
        assert!((0..1_000).all(|number| matches!(rounds(number), 4_096 | 10_000)));
        assert_eq!(users.keys("user1@example.org", Hash::Sha1).iterations, 20_000, "nobody has such keys");
    }
}
