//! Many writes, none of which is waited for before the next one: what fills a store from elsewhere.

use crate::client::Client;
use crate::reply::{Failure, Outcome, Replies, Reply};
use crate::{Store, WriteRequest};
use crossbeam::channel::{Receiver, Sender, unbounded};
use std::sync::Arc;

/// Requests whose outcome is not known yet, at the most.
const UNDER_WAY_MAX: usize = 256;
/// Bytes in them.
const UNDER_WAY_BYTES_MAX: usize = 8 << 20;

/// A way into a store for many writes. Made by [`Store::bulk`].
pub struct Bulk {
    client: Client,
    outcomes: Receiver<Outcome>,
    /// The sizes of requests that are under way, the oldest first.
    under_way: std::collections::VecDeque<usize>,
    bytes: usize,
}

struct All(Sender<Outcome>);

impl Replies for All {
    fn deliver(&self, replies: Vec<Reply>) {
        for reply in replies {
            // Nobody waits any more: nobody wants to know.
            self.0.send(reply.outcome).ok();
        }
    }
}

impl Store {
    /// A way in for many writes.
    pub fn bulk(&self) -> Bulk {
        let (sender, outcomes) = unbounded();
        let client = self.client(Arc::new(All(sender)));
        Bulk { client, outcomes, under_way: Default::default(), bytes: 0 }
    }
}

impl Bulk {
    /// Writes, after what was written before. Waits where too much is under way already.
    ///
    /// # Errors
    /// What has become of an earlier request, if that was not [`Outcome::Written`].
    pub fn write(&mut self, request: WriteRequest) -> Result<(), Outcome> {
        let bytes = request.size_bytes();
        while self.under_way.len() >= UNDER_WAY_MAX || (self.bytes > 0 && self.bytes + bytes > UNDER_WAY_BYTES_MAX) {
            self.take_one()?;
        }
        self.client.write_waiting(0, request).map_err(|busy| Outcome::Failed(busy.into()))?;
        self.under_way.push_back(bytes);
        self.bytes += bytes;
        Ok(())
    }

    /// Waits until all of it is on disk.
    ///
    /// # Errors
    /// As [`Bulk::write`].
    pub fn finish(&mut self) -> Result<(), Outcome> {
        while !self.under_way.is_empty() {
            self.take_one()?;
        }
        Ok(())
    }

    /// Writes of one client are carried out in their order.
    fn take_one(&mut self) -> Result<(), Outcome> {
        let outcome = self.outcomes.recv().unwrap_or_else(|_| Outcome::Failed(Failure::closed()));
        self.bytes -= self.under_way.pop_front().unwrap_or_default();
        if outcome == Outcome::Written { Ok(()) } else { Err(outcome) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, Options, Owner};

    #[test]
    fn all_is_written_in_its_order_and_what_is_refused_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        let mut bulk = store.bulk();
        let request = |number: u32| WriteRequest::new(Owner::new(&format!("u{number}"), "example.org").unwrap());
        for number in 0..2000u32 {
            let value = number.to_be_bytes().to_vec();
            bulk.write(request(number % 500).put(Family::Accounts, b"", value)).unwrap();
        }
        bulk.finish().unwrap();
        let key = Family::Accounts.key(request(7).owner(), b"");
        assert_eq!(store.get(Family::Accounts, key), Ok(Some(1507u32.to_be_bytes().to_vec())));
        bulk.write(request(7).require_absent(Family::Accounts, b"").put(Family::Accounts, b"", vec![])).unwrap();
        assert_eq!(bulk.finish(), Err(Outcome::Refused(0)));
        assert_eq!(bulk.finish(), Ok(()));
    }
}
