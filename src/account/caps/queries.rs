//! The server's own questions to clients about what they advertise, until they are answered or have waited too long.
//! A client is asked one at a time: what it advertises now.

use std::hash::Hash;

use hashbrown::HashMap;

use super::Caps;

/// The questions that wait for an answer, by the session that is asked (`K`).
#[derive(Debug)]
pub struct Queries<K> {
    asked: HashMap<K, Query>,
    most: usize,
    patience_ms: u64,
}

#[derive(Debug)]
struct Query {
    id: Box<str>,
    caps: Caps,
    until_ms: u64,
}

impl<K: Copy + Eq + Hash> Queries<K> {
    /// No questions yet. `most` of them wait at once, each for `patience_ms` milliseconds.
    pub fn new(most: usize, patience_ms: u64) -> Queries<K> {
        Queries { asked: HashMap::new(), most, patience_ms }
    }

    /// Whether no question waits.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Whether another session can be asked.
    pub fn has_room(&self, session: K) -> bool {
        self.asked.len() < self.most || self.asked.contains_key(&session)
    }

    /// Takes down that a session is asked now, with this id. Returns what it was asked about before and has not
    /// answered: that is not waited for any more.
    pub fn ask(&mut self, session: K, id: &str, caps: Caps, now_ms: u64) -> Option<Caps> {
        let query = Query { id: id.into(), caps, until_ms: now_ms + self.patience_ms };
        self.asked.insert(session, query).map(|before| before.caps)
    }

    /// A session has answered something with this id: what it was asked about, if that is the answer.
    pub fn answered(&mut self, session: K, id: &str) -> Option<Caps> {
        let is_it = self.asked.get(&session).is_some_and(|query| *query.id == *id);
        if is_it { self.gone(session) } else { None }
    }

    /// A session is gone: what it was asked about.
    pub fn gone(&mut self, session: K) -> Option<Caps> {
        self.asked.remove(&session).map(|query| query.caps)
    }

    /// The sessions that have not answered in time, and what they were asked about. Others need not wait for those. The
    /// answers of some may still come: of those who are `expected` back.
    pub fn expired(&mut self, now_ms: u64, expected: impl Fn(K) -> bool) -> Vec<(K, Caps)> {
        let mut late = Vec::new();
        self.asked.retain(|session, query| {
            if query.until_ms > now_ms {
                return true;
            }
            late.push((*session, query.caps.clone()));
            query.until_ms = now_ms + self.patience_ms;
            expected(*session)
        });
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(ver: &str) -> Caps {
        Caps { node: "n".into(), hash: "sha-1".into(), ver: ver.into() }
    }

    #[test]
    fn an_answer_is_one_to_the_question() {
        let mut queries = Queries::new(10, 1_000);
        assert_eq!(queries.ask(1, "a", caps("x"), 0), None);
        // Somebody else's id, or another one.
        assert_eq!(queries.answered(2, "a"), None);
        assert_eq!(queries.answered(1, "b"), None);
        assert_eq!(queries.answered(1, "a"), Some(caps("x")));
        assert_eq!(queries.answered(1, "a"), None);
        assert!(queries.is_empty());
    }

    #[test]
    fn a_client_is_asked_about_what_it_advertises_now() {
        let mut queries = Queries::new(10, 1_000);
        queries.ask(1, "a", caps("x"), 0);
        assert_eq!(queries.ask(1, "b", caps("y"), 0), Some(caps("x")));
        assert_eq!(queries.answered(1, "a"), None);
        assert_eq!(queries.answered(1, "b"), Some(caps("y")));
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let mut queries = Queries::new(2, 1_000);
        queries.ask(1, "a", caps("x"), 0);
        queries.ask(2, "b", caps("y"), 500);
        assert!(queries.has_room(1) && !queries.has_room(3));
        assert_eq!(queries.expired(999, |_| false), []);
        assert_eq!(queries.expired(1_000, |_| false), [(1, caps("x"))]);
        assert!(queries.has_room(3));
        // The other one is expected back.
        assert_eq!(queries.expired(1_500, |session| session == 2), [(2, caps("y"))]);
        assert_eq!(queries.expired(1_600, |_| false), []);
        assert_eq!(queries.answered(2, "b"), Some(caps("y")));
        assert_eq!(queries.gone(2), None);
        assert_eq!(queries.expired(10_000, |_| false), []);
    }
}
