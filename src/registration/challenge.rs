//! Challenges (XEP-0158): who wants an account has to read letters that programs find hard to read. A challenge is not
//! remembered: its name says all that has to be known, under a seal, but for whether it was used. One shard knows that.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hashbrown::HashMap;

use super::Declined;
use super::picture::Picture;
use crate::random;
use crate::seal::Seal;
use crate::stream::Refusal;

/// For how long a challenge can be answered, in seconds.
const LIFETIME_S: u64 = 600;

/// Bytes that make a challenge another one, and those of each of its marks.
const NONCE_BYTES: usize = 16;
const MARK_BYTES: usize = 16;

/// Those that were used and could be used still, at most: nobody's tries fill the memory.
const SPENT_MAX: usize = 200_000;

/// How often it is looked for those that could not be used any more, in seconds.
const SWEEP_S: u64 = 30;

/// What a mark is for: that the challenge is ours, and that it has this answer.
const NAME: &str = "challenge";
const ANSWER: &str = "answer";

/// A challenge that is shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    /// By which it comes back.
    pub name: String,
    /// What is to be read.
    pub picture: Picture,
}

/// An answer to a challenge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// The name of the challenge.
    pub challenge: String,
    /// The letters.
    pub answer: String,
}

/// A challenge that has come back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Returned {
    nonce: [u8; NONCE_BYTES],
    /// Until when it could be answered, in seconds since 1970.
    until_s: u64,
    answer: [u8; MARK_BYTES],
}

/// Makes challenges, and knows them when they come back.
#[derive(Default)]
pub struct Challenges {
    seal: Seal,
}

impl Challenges {
    /// A challenge whose picture shows this answer, from this time on, in seconds since 1970.
    pub fn new_challenge(&self, answer: &str, picture: Picture, now_s: u64) -> Challenge {
        let nonce = random::bytes::<NONCE_BYTES>();
        let until = (now_s + LIFETIME_S).to_be_bytes();
        let name = &self.seal.mark(NAME, &[&nonce, &until])[..MARK_BYTES];
        let answer = &self.seal.mark(ANSWER, &[&nonce, plain(answer).as_bytes()])[..MARK_BYTES];
        Challenge { name: URL_SAFE_NO_PAD.encode([&nonce[..], &until, name, answer].concat()), picture }
    }

    /// The challenge of this name, if it is one and can be answered still.
    pub fn returned(&self, name: &str, now_s: u64) -> Option<Returned> {
        let bytes = URL_SAFE_NO_PAD.decode(name).ok()?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (mark, answer) = rest.split_first_chunk::<MARK_BYTES>()?;
        let until_s = u64::from_be_bytes(*until);
        let is_ours = self.seal.begins_mark(mark, NAME, &[nonce, until]);
        (is_ours && now_s < until_s).then_some(Returned { nonce: *nonce, until_s, answer: answer.try_into().ok()? })
    }

    /// Whether this is what the picture shows, in upper or in lower case.
    pub fn is_answer(&self, challenge: &Returned, answer: &str) -> bool {
        self.seal.begins_mark(&challenge.answer, ANSWER, &[&challenge.nonce, plain(answer).as_bytes()])
    }
}

fn plain(answer: &str) -> String {
    answer.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Those that were used: each can be tried once, whether the answer is right or not.
#[derive(Debug, Default)]
pub struct Spent {
    /// Until when they could be answered.
    until_s: HashMap<[u8; NONCE_BYTES], u64>,
    /// When it was looked last for those that could not be answered any more.
    swept_s: u64,
}

/// Why a challenge cannot be tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotSpent {
    /// It is unknown, too old, or has been tried.
    Void,
    /// Too many have been tried just now.
    Busy,
}

impl Spent {
    /// Uses a challenge.
    pub fn spend(&mut self, challenge: &Returned, now_s: u64) -> Result<(), NotSpent> {
        if self.swept_s.abs_diff(now_s) >= SWEEP_S {
            self.until_s.retain(|_, until_s| now_s < *until_s);
            self.swept_s = now_s;
        }
        if self.until_s.len() >= SPENT_MAX {
            return Err(NotSpent::Busy);
        }
        match self.until_s.insert(challenge.nonce, challenge.until_s) {
            Some(_) => Err(NotSpent::Void),
            None => Ok(()),
        }
    }
}

impl From<NotSpent> for Declined {
    fn from(not: NotSpent) -> Declined {
        match not {
            // XEP-0158 §3.
            NotSpent::Void => {
                let text = "The picture is too old, or has been used. Please ask for another one.";
                Declined::new("void-challenge", Refusal::service_unavailable().with_text(text))
            }
            NotSpent::Busy => Declined::new("busy", Refusal::new("wait", "resource-constraint")),
        }
    }
}

/// Who has not read the letters (XEP-0158 §3).
pub fn wrong_letters() -> Declined {
    let refusal = Refusal::new("cancel", "not-acceptable").with_text("These are not the letters of the picture.");
    Declined::new("wrong-answer", refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn challenge(challenges: &Challenges) -> String {
        challenges.new_challenge("aBc3", Picture::default(), 1000).name
    }

    #[test]
    fn an_answer_fits_its_own_challenge_for_a_while() {
        let challenges = Challenges::default();
        let (one, other) = (challenge(&challenges), challenge(&challenges));
        assert!(one != other && !one.contains("aBc3"));
        let returned = challenges.returned(&one, 1000 + LIFETIME_S - 1).unwrap();
        assert!(challenges.is_answer(&returned, " AB c3\n") && !challenges.is_answer(&returned, "abc4"));
        assert_eq!(challenges.returned(&one, 1000 + LIFETIME_S), None);
        assert_eq!(Challenges::default().returned(&one, 1000), None, "of another process");
        // What is put together of two is none.
        let [one, other] = [one, other].map(|name| URL_SAFE_NO_PAD.decode(name).unwrap());
        let mixed = URL_SAFE_NO_PAD.encode([&one[..NONCE_BYTES], &other[NONCE_BYTES..]].concat());
        assert_eq!(challenges.returned(&mixed, 1000), None);
        let longer = URL_SAFE_NO_PAD.encode([&one[..], b"x"].concat());
        assert_eq!(challenges.returned(&longer, 1000), None);
        let answer_of_other = URL_SAFE_NO_PAD.encode([&one[..40], &other[40..]].concat());
        let returned = challenges.returned(&answer_of_other, 1000).unwrap();
        assert!(!challenges.is_answer(&returned, "abc3"));
    }

    #[test]
    fn a_challenge_is_tried_once() {
        let challenges = Challenges::default();
        let returned = || challenges.returned(&challenge(&challenges), 1000).unwrap();
        let (mut spent, one) = (Spent::default(), returned());
        assert_eq!([spent.spend(&one, 1000), spent.spend(&one, 1000)], [Ok(()), Err(NotSpent::Void)]);
        for _ in 1..SPENT_MAX {
            assert_eq!(spent.spend(&returned(), 1000), Ok(()));
        }
        assert_eq!(spent.spend(&returned(), 1000), Err(NotSpent::Busy));
        let later = challenges.new_challenge("abc", Picture::default(), 1000 + LIFETIME_S).name;
        let later = challenges.returned(&later, 1000 + LIFETIME_S).unwrap();
        assert_eq!(spent.spend(&later, 1000 + LIFETIME_S), Ok(()));
        assert_eq!(spent.until_s.len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_else_is_a_challenge(name in "[A-Za-z0-9_-]{0,90}") {
            prop_assert_eq!(Challenges::default().returned(&name, 0), None);
        }
    }
}
