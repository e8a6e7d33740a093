//! Links to what an account may fetch: each holds once, and for some minutes.

use std::collections::HashMap;

use crate::registration::token;

/// For how long a link holds, in seconds.
pub const LIFETIME_S: u64 = 600;

/// Links that an account gets within this time, in seconds.
const PER_ACCOUNT_MAX: usize = 3;
const COUNTED_FOR_S: u64 = 3600;

/// Links of a whole server within that time.
const ALL_MAX: usize = 10_000;

/// Links that were given out.
#[derive(Debug, Default)]
pub struct Links {
    /// By their tokens.
    links: HashMap<String, Link>,
}

#[derive(Debug)]
struct Link {
    account: String,
    made_s: u64,
    is_used: bool,
}

impl Links {
    /// The token of a new link for an account, at this time in seconds since 1970. None if there were too many lately.
    pub fn offer(&mut self, account: &str, now_s: u64) -> Option<String> {
        self.links.retain(|_, link| now_s.saturating_sub(link.made_s) < COUNTED_FOR_S);
        let own = self.links.values().filter(|link| link.account == account).count();
        if own >= PER_ACCOUNT_MAX || self.links.len() >= ALL_MAX {
            return None;
        }
        let token = token();
        self.links.insert(token.clone(), Link { account: account.to_owned(), made_s: now_s, is_used: false });
        Some(token)
    }

    /// The account whose link this is, if it holds. It does not from then on.
    pub fn take(&mut self, token: &str, now_s: u64) -> Option<String> {
        let link = self.links.get_mut(token)?;
        if link.is_used || now_s.saturating_sub(link.made_s) >= LIFETIME_S {
            return None;
        }
        link.is_used = true;
        Some(link.account.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_holds_once_and_for_a_while() {
        let mut links = Links::default();
        let [one, two] = [(); 2].map(|()| links.offer("juliet@capulet.lit", 1000).unwrap());
        assert_ne!(one, two);
        assert_eq!(links.take(&one, 1000 + LIFETIME_S - 1).as_deref(), Some("juliet@capulet.lit"));
        assert_eq!(
            (links.take(&one, 1001), links.take(&two, 1000 + LIFETIME_S), links.take("x", 1000)),
            (None, None, None)
        );
    }

    #[test]
    fn an_account_has_a_few_an_hour() {
        let mut links = Links::default();
        assert!((0..PER_ACCOUNT_MAX as u64).all(|second| links.offer("a@x", second).is_some()));
        assert!(links.offer("a@x", COUNTED_FOR_S - 1).is_none() && links.offer("b@x", 10).is_some());
        assert!(links.offer("a@x", COUNTED_FOR_S).is_some() && links.offer("a@x", COUNTED_FOR_S).is_none());
    }
}
