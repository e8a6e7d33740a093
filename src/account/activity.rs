//! Last activity (XEP-0012): since when the server runs, and since when an account is away.
//!
//! Who may not see the presence of an account may not see this either; nor does a question of theirs about a resource
//! reach it (§4).

use super::delivery::IqType;
use crate::stream::Refusal;
use crate::xml::Element;

/// Advertised by the server and by accounts (XEP-0012 §6).
pub const NAMESPACE: &str = "jabber:iq:last";

/// What bounds what is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ActivityLimits {
    /// Bytes of the words with which somebody has left. What is beyond is cut off.
    pub status_bytes_max: usize,
}

/// What is kept when the last resource of an account leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastActivity {
    /// When it left, in seconds since 1970.
    pub left_s: u64,
    /// The words it left with; empty for none.
    pub status: Box<str>,
}

/// What decides about the answer to a question about an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Situation<'a> {
    /// Whether the asker may see the account's presence: it has a subscription, or asks about itself, and is not
    /// blocked. `false` for an account that does not exist.
    pub may_see_presence: bool,
    /// Whether a resource of the account is available.
    pub is_available: bool,
    /// What was kept when the last resource left.
    pub last: Option<&'a LastActivity>,
    /// Seconds since 1970.
    pub now_s: u64,
}

impl LastActivity {
    /// What to keep of the last resource's unavailable presence, at `now_s` seconds after 1970: its `<status/>`, if it
    /// has one.
    pub fn new(status: Option<&str>, now_s: u64, limits: &ActivityLimits) -> LastActivity {
        let status = status.unwrap_or_default();
        let status = &status[..status.floor_char_boundary(limits.status_bytes_max)];
        LastActivity { left_s: now_s, status: status.into() }
    }
}

/// Whether the payload of an IQ is this question.
pub fn is_question(payload: &Element) -> bool {
    (payload.name.as_str(), payload.namespace.as_str()) == ("query", NAMESPACE)
}

/// Reads the payload of an IQ. There is only one question, and nothing can be set.
pub fn parse(kind: IqType) -> Result<(), Refusal> {
    match kind {
        IqType::Get => Ok(()),
        IqType::Set => Err(Refusal::not_allowed()),
        IqType::Result | IqType::Error => Err(Refusal::bad_request()),
    }
}

/// The answer of the server about itself (§5): since when it runs, in seconds.
pub fn uptime(seconds: u64) -> Element {
    answer(seconds, "")
}

/// The answer about an account (§3).
pub fn of_account(situation: Situation<'_>) -> Result<Element, Refusal> {
    let Situation { may_see_presence, is_available, last, now_s } = situation;
    match last {
        // An account that does not exist is none whose presence one may see, and looks like any other such account.
        _ if !may_see_presence => Err(Refusal::forbidden()),
        _ if is_available => Ok(answer(0, "")),
        Some(last) => Ok(answer(now_s.saturating_sub(last.left_s), &last.status)),
        // It has never been there.
        None => Err(Refusal::service_unavailable()),
    }
}

fn answer(seconds: u64, status: &str) -> Element {
    let query = Element::new("query", NAMESPACE).with_attribute("seconds", &seconds.to_string());
    if status.is_empty() { query } else { query.with_text(status) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::namespaces as ns;

    fn written(element: Element) -> String {
        let mut out = Vec::new();
        element.write_to(&mut out, ns::CLIENT);
        String::from_utf8(out).unwrap()
    }

    fn situation(may_see_presence: bool, is_available: bool, last: Option<&LastActivity>) -> Situation<'_> {
        Situation { may_see_presence, is_available, last, now_s: 10_903 }
    }

    #[test]
    fn an_account_that_is_away() {
        // Examples 2 and 5.
        let last = |status: &str| LastActivity { left_s: 10_000, status: status.into() };
        let answer = |last: &LastActivity| written(of_account(situation(true, false, Some(last))).unwrap());
        assert_eq!(answer(&last("")), "<query xmlns='jabber:iq:last' seconds='903'/>");
        assert_eq!(answer(&last("Heading Home")), "<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>");
        // A clock that was set back makes nobody leave in the future.
        let later = LastActivity { left_s: 20_000, status: "".into() };
        assert_eq!(answer(&later), "<query xmlns='jabber:iq:last' seconds='0'/>");
    }

    #[test]
    fn an_account_that_is_there() {
        let last = LastActivity { left_s: 10_000, status: "Heading Home".into() };
        for last in [None, Some(&last)] {
            let answer = of_account(situation(true, true, last)).unwrap();
            assert_eq!(written(answer), "<query xmlns='jabber:iq:last' seconds='0'/>");
        }
        assert_eq!(of_account(situation(true, false, None)), Err(Refusal::service_unavailable()));
    }

    #[test]
    fn who_may_not_see_presence_learns_nothing() {
        // Example 4: whatever there is.
        let last = LastActivity { left_s: 10_000, status: "Heading Home".into() };
        for (is_available, last) in [(false, None), (true, None), (false, Some(&last)), (true, Some(&last))] {
            let refusal = of_account(situation(false, is_available, last)).unwrap_err();
            assert_eq!((refusal.kind, refusal.condition), ("auth", "forbidden"));
        }
    }

    #[test]
    fn a_server() {
        // Example 11.
        assert_eq!(written(uptime(123_456)), "<query xmlns='jabber:iq:last' seconds='123456'/>");
    }

    #[test]
    fn questions_are_gets() {
        let query = Element::new("query", "jabber:iq:last");
        assert!(is_question(&query) && !is_question(&Element::new("query", "jabber:iq:version")));
        assert_eq!(parse(IqType::Get), Ok(()));
        assert_eq!(parse(IqType::Set), Err(Refusal::not_allowed()));
        assert_eq!(parse(IqType::Error), Err(Refusal::bad_request()));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let limits = ActivityLimits { status_bytes_max: 5 };
        assert_eq!(LastActivity::new(Some("Hé, ho"), 7, &limits), LastActivity { left_s: 7, status: "Hé, ".into() });
        assert_eq!(LastActivity::new(Some("ééé"), 7, &limits).status, "éé".into());
        assert_eq!(LastActivity::new(None, 7, &limits).status, "".into());
    }
}
