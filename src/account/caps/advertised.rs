//! What a session advertises in its presence, and what has become known of it.

use std::sync::Arc;

use super::{Caps, Interests};

/// What a session advertises. Small: every session has one.
#[derive(Clone, Debug, Default)]
pub struct Advertised {
    /// The hash in its presence; meaningless before the first one.
    fingerprint: u64,
    /// What the client wants to be notified of, once that is known.
    interests: Option<Arc<Interests>>,
}

/// What is due after a presence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// The newest items of the nodes that the client wants.
    Items(Arc<Interests>),
    /// To find out what the hash stands for, then [`Advertised::learn`].
    Lookup,
}

impl Advertised {
    /// A presence has come with these capabilities. `is_new`: the session was not available before (XEP-0163 §4.3.3).
    /// A presence without any says nothing about them.
    pub fn on_presence(&mut self, caps: Option<&Caps>, is_new: bool) -> Due {
        let fingerprint = caps.map(Caps::fingerprint);
        let is_same = fingerprint.is_none_or(|fingerprint| fingerprint == self.fingerprint);
        match (&self.interests, fingerprint) {
            (Some(interests), _) if is_same && is_new => Due::Items(Arc::clone(interests)),
            // It is being asked, or has not answered.
            _ if is_same && !is_new => Due::Nothing,
            (_, None) => Due::Nothing,
            (_, Some(fingerprint)) => {
                self.fingerprint = fingerprint;
                if is_new {
                    self.interests = None;
                }
                Due::Lookup
            }
        }
    }

    /// Whether the session advertises this.
    pub fn is(&self, caps: &Caps) -> bool {
        self.fingerprint == caps.fingerprint()
    }

    /// It has become known what the client wants. Returns what it has not wanted before.
    pub fn learn(&mut self, interests: Arc<Interests>) -> Arc<Interests> {
        let new = match self.interests.take() {
            None => Arc::clone(&interests),
            Some(before) => Arc::new(interests.without(&before)),
        };
        self.interests = Some(interests);
        new
    }

    /// What the client wants to be notified of, if that is known.
    pub fn interests(&self) -> Option<Arc<Interests>> {
        self.interests.clone()
    }

    /// Whether the client wants to hear of a node.
    pub fn wants(&self, node: &str) -> bool {
        self.interests.as_ref().is_some_and(|interests| interests.wants(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(ver: &str) -> Caps {
        Caps { node: "n".into(), hash: "sha-1".into(), ver: ver.into() }
    }

    fn interests(names: &[&str]) -> Arc<Interests> {
        Arc::new(Interests::new(names.iter().copied(), 100, 1000))
    }

    #[test]
    fn a_hash_is_looked_up_once_and_items_come_with_initial_presence() {
        let mut advertised = Advertised::default();
        assert_eq!(advertised.on_presence(None, true), Due::Nothing);
        assert_eq!(advertised.on_presence(Some(&caps("x")), false), Due::Lookup);
        // It is being asked.
        assert_eq!(advertised.on_presence(Some(&caps("x")), false), Due::Nothing);
        assert!(advertised.is(&caps("x")) && !advertised.is(&caps("y")));
        let both = interests(&["mood", "tune"]);
        assert_eq!(advertised.learn(Arc::clone(&both)), both);
        assert!(advertised.wants("mood") && !advertised.wants("moo"));
        assert_eq!(advertised.on_presence(Some(&caps("x")), false), Due::Nothing);
        assert_eq!(advertised.on_presence(None, false), Due::Nothing);
        // It has been away.
        assert_eq!(advertised.on_presence(Some(&caps("x")), true), Due::Items(Arc::clone(&both)));
        assert_eq!(advertised.on_presence(None, true), Due::Items(both));
    }

    #[test]
    fn what_is_wanted_in_addition_is_new() {
        let mut advertised = Advertised::default();
        advertised.on_presence(Some(&caps("x")), true);
        advertised.learn(interests(&["mood"]));
        assert_eq!(advertised.on_presence(Some(&caps("y")), false), Due::Lookup);
        // What was known holds until then.
        assert!(advertised.wants("mood"));
        assert_eq!(advertised.learn(interests(&["mood", "tune"])), interests(&["tune"]));
        // Somebody who comes back with something else gets all of it.
        assert_eq!(advertised.on_presence(Some(&caps("x")), true), Due::Lookup);
        assert!(!advertised.wants("mood"));
        assert_eq!(advertised.learn(interests(&["mood"])), interests(&["mood"]));
    }

    #[test]
    fn who_has_not_answered_is_asked_again_when_it_comes_back() {
        let mut advertised = Advertised::default();
        assert_eq!(advertised.on_presence(Some(&caps("x")), true), Due::Lookup);
        assert_eq!(advertised.on_presence(Some(&caps("x")), true), Due::Lookup);
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Advertised>() <= 16);
    }
}
