//! The rules of RFC 6121 §8.5 as people see them: table 1 row by row for messages, and what is said of presence and
//! questions beside it.

mod common;

use common::{Raw, Server};

const TYPES: [&str; 4] = ["normal", "chat", "groupchat", "headline"];

/// The resources of each account, with their priorities; the last condition of the table has a negative one as well.
const ACCOUNTS: [(&str, &[(&str, i8)]); 4] = [
    ("away", &[]),
    ("hidden", &[("negative", -1)]),
    ("one", &[("only", 0)]),
    ("many", &[("best", 5), ("equal", 5), ("lesser", 1), ("negative", -1)]),
];

type Row = (&'static str, Option<&'static str>, [(&'static str, char); 4]);

/// Table 1: the account and the resource that are addressed; for each type of message what the table allows, then what
/// is done.
const ROWS: &[Row] = &[
    // The account does not exist.
    ("nobody", None, [("S/E", 'E'), ("S/E", 'E'), ("E", 'E'), ("S", 'S')]),
    ("nobody", Some("match"), [("S/E", 'E'), ("S/E", 'E'), ("S/E", 'E'), ("S/E", 'S')]),
    // It exists, but no active resources.
    ("away", None, [("O/E", 'O'), ("O/E", 'O'), ("E", 'E'), ("S", 'S')]),
    ("away", Some("other"), [("S/E", 'E'), ("O/E", 'O'), ("S/E", 'E'), ("S/E", 'S')]),
    // Negative resources, but no others.
    ("hidden", None, [("O/E", 'O'), ("O/E", 'O'), ("E", 'E'), ("S", 'S')]),
    ("hidden", Some("negative"), [("D", 'D'), ("D", 'D'), ("D", 'D'), ("D", 'D')]),
    ("hidden", Some("other"), [("S/E", 'E'), ("O/E", 'O'), ("S/E", 'E'), ("S/E", 'S')]),
    // One that is not negative.
    ("one", None, [("D", 'D'), ("D", 'D'), ("E", 'E'), ("D", 'D')]),
    ("one", Some("only"), [("D", 'D'), ("D", 'D'), ("D", 'D'), ("D", 'D')]),
    ("one", Some("other"), [("S/E", 'E'), ("D", 'D'), ("S/E", 'E'), ("S/E", 'S')]),
    // Several.
    ("many", None, [("M/A", 'M'), ("M/A*", 'M'), ("E", 'E'), ("A", 'A')]),
    ("many", Some("lesser"), [("D", 'D'), ("D/A*", 'D'), ("D", 'D'), ("D", 'D')]),
    ("many", Some("negative"), [("D", 'D'), ("D/A*", 'D'), ("D", 'D'), ("D", 'D')]),
    ("many", Some("other"), [("S/E", 'E'), ("M/A*", 'M'), ("S/E", 'E'), ("S/E", 'S')]),
];

/// A server, a sender, and the clients of each account, by account and resource.
struct Stage {
    server: Server,
    sender: Raw,
    clients: Vec<(&'static str, &'static str, Raw)>,
}

impl Stage {
    fn new(shards: &str) -> Stage {
        let server = Server::start(&["--shards", shards]);
        server.add_user("romeo");
        let mut clients = Vec::new();
        for (account, resources) in ACCOUNTS {
            server.add_user(account);
            for &(resource, priority) in resources {
                let mut raw = Raw::login(&server, account, resource);
                raw.say(&format!("<presence><priority>{priority}</priority></presence>"));
                raw.hear(&format!("from='{account}@localhost/{resource}'"));
                clients.push((account, resource, raw));
            }
        }
        clients.iter_mut().for_each(|(_, _, raw)| drop(raw.round_trip()));
        let sender = Raw::online(&server, "romeo", "orchard");
        Stage { server, sender, clients }
    }

    /// Says something to an account, and hears what comes back of it: the account's home answers the question behind it
    /// after all that.
    fn say(&mut self, account: &str, stanza: &str) -> String {
        self.sender.say(stanza);
        self.sender
            .say(&format!("<iq type='get' id='marker' to='{account}@localhost'><x xmlns='urn:example:x'/></iq>"));
        let heard = self.sender.hear("id='marker'");
        self.sender.hear("</iq>");
        heard
    }

    /// The resources of all accounts that have heard this.
    fn who_heard(&mut self, text: &str) -> Vec<(&'static str, &'static str)> {
        let heard = self.clients.iter_mut().filter_map(|(account, resource, raw)| {
            let heard = raw.round_trip();
            assert!(heard.matches(text).count() <= 1, "{account}/{resource} once: {heard}");
            heard.contains(text).then_some((*account, *resource))
        });
        heard.collect()
    }
}

/// Those of an account for whom this is true of their priorities.
fn of(account: &str, is_it: impl Fn(&str, i8) -> bool) -> Vec<&'static str> {
    let resources = ACCOUNTS.iter().find(|(name, _)| *name == account).map_or(&[][..], |(_, resources)| resources);
    resources.iter().filter(|(name, priority)| is_it(name, *priority)).map(|(name, _)| *name).collect()
}

#[test]
fn table_1_of_rfc_6121_holds_for_messages() {
    for shards in ["1", "2"] {
        let mut stage = Stage::new(shards);
        let mut stored: Vec<(&str, String)> = Vec::new();
        for (row, (account, resource, cells)) in ROWS.iter().enumerate() {
            for (kind, (allowed, done)) in TYPES.iter().zip(cells) {
                assert!(allowed.contains(*done), "row {row}: {kind}");
                let to = resource.map_or(String::new(), |resource| format!("/{resource}"));
                let id = format!("row-{row}-{kind}");
                let text = format!("<body>{id}</body>");
                let said = format!("<message type='{kind}' id='{id}' to='{account}@localhost{to}'>{text}</message>");
                let answer = stage.say(account, &said);
                let is_error = answer.contains(&format!("id='{id}'"));
                assert_eq!(is_error, *done == 'E', "row {row}, {kind}: {answer}");
                assert!(!is_error || answer.contains("<service-unavailable"), "row {row}, {kind}: {answer}");
                let expected = match done {
                    'D' if resource.is_some_and(|resource| of(account, |name, _| name == resource).is_empty()) => {
                        of(account, |_, priority| priority >= 0)
                    }
                    'D' => of(account, |name, _| resource.is_none_or(|resource| name == resource)),
                    'M' => of(account, |_, priority| priority == 5),
                    'A' => of(account, |_, priority| priority >= 0),
                    _ => Vec::new(),
                };
                let expected: Vec<_> = expected.into_iter().map(|resource| (*account, resource)).collect();
                assert_eq!(stage.who_heard(&text), expected, "row {row}, {kind}");
                if *done == 'O' {
                    stored.push((account, text));
                }
            }
        }
        // What was stored comes to who takes messages, in order, and nothing else.
        for account in ["away", "hidden"] {
            let mut raw = Raw::online(&stage.server, account, "later");
            for (_, text) in stored.iter().filter(|(of, _)| *of == account) {
                let heard = raw.hear("</message>");
                assert!(heard.contains(text) && heard.contains("<delay "), "{account}: {text} in {heard}");
            }
            assert!(!raw.round_trip().contains("<body>"), "{account}");
        }
    }
}

#[test]
fn presence_comes_to_who_is_available_and_waits_for_nobody() {
    for shards in ["1", "2"] {
        let mut stage = Stage::new(shards);
        let all = |account: &'static str| of(account, |_, _| true).into_iter().map(move |name| (account, name));
        for account in ["nobody", "away", "hidden", "one", "many"] {
            for (kind, number) in [("", 1), (" type='unavailable'", 2), (" type='error'", 3)] {
                let text = format!("<status>{account} {number}</status>");
                let answer = stage.say(account, &format!("<presence{kind} to='{account}@localhost'>{text}</presence>"));
                assert!(!answer.contains("<presence"), "{account}, {kind}: {answer}");
                assert_eq!(stage.who_heard(&text), all(account).collect::<Vec<_>>(), "{account}, {kind}");
                let other = format!("<presence{kind} to='{account}@localhost/other'>{text}</presence>");
                let answer = stage.say(account, &other);
                assert!(!answer.contains("<presence"), "{account}, {kind}: {answer}");
                assert_eq!(stage.who_heard(&text), [], "{account}, {kind}");
            }
        }
        let text = "<status>to a resource</status>";
        stage.say("many", &format!("<presence to='many@localhost/negative'>{text}</presence>"));
        assert_eq!(stage.who_heard(text), [("many", "negative")]);
    }
}

#[test]
fn questions_are_answered_for_accounts_and_delivered_to_resources() {
    for shards in ["1", "2"] {
        let mut stage = Stage::new(shards);
        for (account, resources) in ACCOUNTS.into_iter().chain([("nobody", &[][..])]) {
            let connected = resources.iter().map(|(resource, _)| format!("/{resource}"));
            for to in ["".to_owned(), "/other".to_owned()].into_iter().chain(connected) {
                let is_connected = !["", "/other"].contains(&&*to);
                for kind in ["get", "set"] {
                    let question = "<ask xmlns='urn:example:ask'/>";
                    let said = format!("<iq type='{kind}' id='q' to='{account}@localhost{to}'>{question}</iq>");
                    let answer = stage.say(account, &said);
                    // Bare, or gone: an error of the server. Who is there gets it.
                    assert_eq!(answer.contains("<service-unavailable"), !is_connected, "{account}{to}: {answer}");
                    let expected = is_connected.then_some(account).into_iter().collect::<Vec<_>>();
                    let who: Vec<_> = stage.who_heard(question).into_iter().map(|(account, _)| account).collect();
                    assert_eq!(who, expected, "{account}{to}, {kind}");
                }
                for kind in ["result", "error"] {
                    let mark = format!("id='late-{kind}'");
                    let answer =
                        stage.say(account, &format!("<iq type='{kind}' {mark} to='{account}@localhost{to}'/>"));
                    assert!(!answer.contains("late"), "{account}{to}, {kind}: {answer}");
                    let expected = is_connected.then_some(account).into_iter().collect::<Vec<_>>();
                    let who: Vec<_> = stage.who_heard(&mark).into_iter().map(|(account, _)| account).collect();
                    assert_eq!(who, expected, "{account}{to}, {kind}");
                }
            }
        }
    }
}
