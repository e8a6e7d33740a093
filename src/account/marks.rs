//! Marks: what rules have noted of a session or of an account, and when. Shared by the shards that see what it sends.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Address;

/// Names of marks, and when each was set last, in milliseconds since 1970. Few: rules know all the names.
#[derive(Debug, Default)]
pub struct Marks(ArcSwap<Vec<(Box<str>, u64)>>);

impl Marks {
    /// Since when there is a mark.
    pub fn since_ms(&self, name: &str) -> Option<u64> {
        self.0.load().iter().find(|(known, _)| **known == *name).map(|(_, at_ms)| *at_ms)
    }

    /// Sets a mark, or sets it again.
    pub fn set(&self, name: &str, at_ms: u64) {
        self.change(name, Some(at_ms));
    }

    /// Takes a mark away.
    pub fn clear(&self, name: &str) {
        if self.since_ms(name).is_some() {
            self.change(name, None);
        }
    }

    fn change(&self, name: &str, at_ms: Option<u64>) {
        self.0.rcu(|marks| {
            let others = marks.iter().filter(|(known, _)| **known != *name).cloned();
            others.chain(at_ms.map(|at_ms| (Box::from(name), at_ms))).collect::<Vec<_>>()
        });
    }
}

impl FromIterator<(Box<str>, u64)> for Marks {
    fn from_iter<I: IntoIterator<Item = (Box<str>, u64)>>(marks: I) -> Marks {
        Marks(ArcSwap::from_pointee(marks.into_iter().collect()))
    }
}

/// The session that a stanza is from, as rules on any shard see it.
#[derive(Debug)]
pub struct Bearer {
    /// Its full JID.
    pub address: Arc<Address>,
    /// From where it is connected, or was last.
    pub ip: IpAddr,
    /// Its own marks: gone with it.
    pub marks: Arc<Marks>,
    /// Those of its account.
    pub account_marks: Arc<Marks>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_set_set_again_and_taken_away() {
        let marks: Marks = [(Box::from("old"), 1)].into_iter().collect();
        marks.set("m", 2);
        marks.set("m", 3);
        assert_eq!((marks.since_ms("m"), marks.since_ms("old"), marks.since_ms("x")), (Some(3), Some(1), None));
        marks.clear("m");
        marks.clear("x");
        assert_eq!((marks.since_ms("m"), marks.since_ms("old")), (None, Some(1)));
    }
}
