//! Who is told of registrations, and what new accounts are told: the words, and when they are said.

use crate::jid::Jid;

/// From one message to the watchers to the next, in microseconds: what comes meanwhile is told together.
const PAUSE_US: u64 = 60 * 1_000_000;

/// How much earlier it may be than was said: clocks differ.
const SLACK_US: u64 = 1_000_000;

/// Registrations that one message tells of; of further ones, how many.
const LINES_MAX: usize = 20;

/// The type of the messages to watchers (RFC 6121 §5.2.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NoticeType {
    /// Part of a conversation.
    #[default]
    Chat,
    /// A message on its own.
    Normal,
    /// News that nobody answers, and that do not wait for who is away.
    Headline,
}

impl NoticeType {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            NoticeType::Chat => "chat",
            NoticeType::Normal => "normal",
            NoticeType::Headline => "headline",
        }
    }
}

/// What is said, and to whom.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notices {
    /// Who hears of each registration.
    pub watchers: Vec<Jid<'static>>,
    /// Who says it; `None`: the domain of the watcher.
    pub from: Option<Jid<'static>>,
    /// As what.
    pub kind: NoticeType,
    /// The words, with `$username`, `$host`, `$ip`, `$source`, and the names of fields that were filled in.
    pub template: String,
    /// What a new account is told by its domain, with `$username` and `$host`; empty: nothing.
    pub welcome: String,
    /// What every session is told by its domain when it becomes available; empty: nothing.
    pub motd: String,
    /// Whether each account is told the same words once.
    pub motd_once: bool,
}

impl Notices {
    /// Tells of an account that was made, of whose owner these fields are known.
    pub fn registered(&self, username: &str, host: &str, ip: &str, source: &str, said: &[(String, String)]) -> String {
        let known = [("username", username), ("host", host), ("ip", ip), ("source", source)];
        let said = said.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        fill(&self.template, &known.into_iter().chain(said).collect::<Vec<_>>())
    }

    /// Welcomes a new account.
    pub fn welcome(&self, username: &str, host: &str) -> Option<String> {
        (!self.welcome.is_empty()).then(|| fill(&self.welcome, &[("username", username), ("host", host)]))
    }
}

/// Puts values in the place of `$name`. What has no value stays as it is.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('$') {
        filled.push_str(before);
        let end = behind.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(behind.len());
        let (name, after) = behind.split_at(end);
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => filled.push_str(value),
            None => {
                filled.push('$');
                filled.push_str(name);
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// What the watchers are told, and when: the first registration at once, and what comes within a minute together.
#[derive(Debug, Default)]
pub struct Lookout {
    held: Vec<String>,
    more: usize,
    quiet_until_us: u64,
}

/// What is to be done about a registration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Telling {
    /// This is said now.
    Now(String),
    /// [`Lookout::due`] is to be asked in so many microseconds.
    In(u64),
    /// That has been said already.
    Waits,
}

impl Lookout {
    /// An account was made; these are the words.
    pub fn registered(&mut self, words: String, now_us: u64) -> Telling {
        if now_us >= self.quiet_until_us {
            self.quiet_until_us = now_us + PAUSE_US;
            return Telling::Now(words);
        }
        if self.held.len() >= LINES_MAX {
            self.more += 1;
            return Telling::Waits;
        }
        self.held.push(words);
        if self.held.len() == 1 { Telling::In(self.quiet_until_us - now_us) } else { Telling::Waits }
    }

    /// What has come meanwhile, if anything has.
    pub fn due(&mut self, now_us: u64) -> Option<String> {
        // What wakes whoever asks may be for something else.
        if self.held.is_empty() || now_us + SLACK_US < self.quiet_until_us {
            return None;
        }
        self.quiet_until_us = now_us + PAUSE_US;
        let mut words = std::mem::take(&mut self.held).join("\n");
        match std::mem::take(&mut self.more) {
            0 => {}
            1 => words.push_str("\nand one more"),
            more => words.push_str(&format!("\nand {more} more")),
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn words_are_filled_in_and_stay_where_nothing_is_known() {
        let notices = Notices {
            template: "User $username just registered on $host from $ip ($source, $x, 5$)".into(),
            welcome: "Hello $username, welcome to $host!".into(),
            ..Notices::default()
        };
        assert_eq!(
            notices.registered("juliet", "capulet.example", "192.0.2.1", "ibr", &[]),
            "User juliet just registered on capulet.example from 192.0.2.1 (ibr, $x, 5$)"
        );
        let said = [("x".to_owned(), "j@x.org".to_owned())];
        assert_eq!(
            notices.registered("$host", "h", "i", "s", &said),
            "User $host just registered on h from i (s, j@x.org, 5$)"
        );
        assert_eq!(notices.welcome("juliet", "h").as_deref(), Some("Hello juliet, welcome to h!"));
        assert_eq!(Notices::default().welcome("juliet", "h"), None);
    }

    #[test]
    fn what_comes_within_a_minute_is_told_together() {
        let mut watch = Lookout::default();
        let start = 1 << 50;
        let at = |seconds: u64| start + seconds * SECOND;
        assert_eq!(watch.registered("a".into(), at(0)), Telling::Now("a".into()));
        assert_eq!(watch.due(at(1)), None);
        assert_eq!(watch.registered("b".into(), at(20)), Telling::In(40 * SECOND));
        assert_eq!(watch.registered("c".into(), at(30)), Telling::Waits);
        assert_eq!(watch.due(at(60)), Some("b\nc".into()));
        for number in 0..30 {
            watch.registered(number.to_string(), at(61));
        }
        let told = watch.due(at(120)).unwrap();
        assert!(told.starts_with("0\n1\n") && told.ends_with("\n19\nand 10 more"), "{told}");
        assert_eq!(watch.due(at(180)), None);
        assert_eq!(watch.registered("d".into(), at(200)), Telling::Now("d".into()));
    }
}
