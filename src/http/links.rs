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
    basis: u64,
    made_s: u64,
    is_used: bool,
}

impl Link {
    fn holds(&self, now_s: u64) -> bool {
        !self.is_used && now_s.saturating_sub(self.made_s) < LIFETIME_S
    }
}

impl Links {
    /// The token of a new link for an account, at this time in seconds since 1970. `basis` tells what entitles to it:
    /// the link holds as long as that is the same. None if there were too many lately.
    pub fn offer(&mut self, account: &str, basis: u64, now_s: u64) -> Option<String> {
        self.links.retain(|_, link| now_s.saturating_sub(link.made_s) < COUNTED_FOR_S);
        let own = self.links.values().filter(|link| link.account == account).count();
        if own >= PER_ACCOUNT_MAX || self.links.len() >= ALL_MAX {
            return None;
        }
        let token = token();
        self.links.insert(token.clone(), Link { account: account.to_owned(), basis, made_s: now_s, is_used: false });
        Some(token)
    }

    /// The account whose link this is, if it holds as far as is known here.
    pub fn account(&self, token: &str, now_s: u64) -> Option<&str> {
        let link = self.links.get(token).filter(|link| link.holds(now_s))?;
        Some(&link.account)
    }

    /// Whether a link holds, given what entitles to one now. It does not from then on.
    pub fn take(&mut self, token: &str, basis: u64, now_s: u64) -> bool {
        let link = self.links.get_mut(token).filter(|link| link.holds(now_s) && link.basis == basis);
        link.map(|link| link.is_used = true).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_holds_once_and_for_a_while() {
        let mut links = Links::default();
        let [one, two] = [(); 2].map(|()| links.offer("juliet@capulet.lit", 7, 1000).unwrap());
        assert_ne!(one, two);
        assert_eq!(links.account(&one, 1000 + LIFETIME_S - 1), Some("juliet@capulet.lit"));
        assert!(links.take(&one, 7, 1000 + LIFETIME_S - 1));
        assert!(!links.take(&one, 7, 1001) && links.account(&one, 1001).is_none());
        assert!(!links.take(&two, 7, 1000 + LIFETIME_S) && !links.take("x", 7, 1000));
    }

    #[test]
    fn a_link_holds_while_what_entitles_to_it_is_the_same() {
        let mut links = Links::default();
        let token = links.offer("juliet@capulet.lit", 7, 1000).unwrap();
        assert!(!links.take(&token, 8, 1000) && links.take(&token, 7, 1000));
    }

    #[test]
    fn an_account_has_a_few_an_hour() {
        let mut links = Links::default();
        assert!((0..PER_ACCOUNT_MAX as u64).all(|second| links.offer("a@x", 0, second).is_some()));
        assert!(links.offer("a@x", 0, COUNTED_FOR_S - 1).is_none() && links.offer("b@x", 0, 10).is_some());
        assert!(links.offer("a@x", 0, COUNTED_FOR_S).is_some() && links.offer("a@x", 0, COUNTED_FOR_S).is_none());
    }
}
