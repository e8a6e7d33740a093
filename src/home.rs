//! Where an entity lives: the one function that routing asks.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The home shard of an entity (a bare JID, a room, a domain, an address prefix), in its normalised form. The same in
/// every run and on every machine, so that it can later choose a host as well as a shard.
pub fn home(entity: &str, shards: usize) -> usize {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(entity.as_bytes());
    // The high half times the count, rather than the remainder: no division on the way of every stanza.
    ((u128::from(hasher.finish()) * shards as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_gets_its_share_and_the_answer_never_changes() {
        let mut counts = [0; 4];
        for user in 0..4000 {
            counts[home(&format!("user{user}@example.org"), 4)] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        assert_eq!(home("juliet@example.org", 1000), home("juliet@example.org", 1000));
        assert_eq!(home("juliet@example.org", 1), 0);
    }
}
