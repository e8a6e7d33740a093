//! Real-time block lists: published by an account of the server, followed by the server, and held against strangers.

mod common;

use common::strangers::is_error;
use common::{Raw, Server};
use sha2::{Digest, Sha256};

const LIST: &[&str] = &["--rtbl", "lists@localhost"];

const NODE: &str = "muc_bans_sha256";

fn hash(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pubsub(content: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub>")
}

#[track_caller]
fn published(lists: &mut Raw, node: &str, name: &str) {
    let item = format!("<publish node='{node}'><item id='{}'><x xmlns='a'/></item></publish>", hash(name));
    let field = |var: &str, value: &str| format!("<field var='{var}'><value>{value}</value></field>");
    let options = [
        field("FORM_TYPE", "http://jabber.org/protocol/pubsub#publish-options"),
        field("pubsub#access_model", "open"),
        field("pubsub#persist_items", "true"),
        field("pubsub#max_items", "max"),
        field("pubsub#notify_retract", "true"),
    ];
    let options = options.concat();
    let form = format!("<publish-options><x xmlns='jabber:x:data' type='submit'>{options}</x></publish-options>");
    let answer = lists.ask("set", None, &pubsub(&(item + &form)));
    assert!(answer.contains("type='result'"), "{answer}");
}

/// What becomes of a message: refused because of a list, or brought to Juliet.
fn is_refused(from: &mut Raw, juliet: &mut Raw) -> bool {
    from.say("<message to='juliet@localhost/balcony' id='m' type='chat'><body>buy</body></message>");
    from.say("<iq type='get' id='after' to='juliet@localhost/balcony'><ping xmlns='urn:xmpp:ping'/></iq>");
    // Either way Juliet is asked what came behind the message, and answers.
    let heard = juliet.hear("urn:xmpp:ping");
    let asker = heard.rsplit_once("from='").unwrap().1.split('\'').next().unwrap().to_owned();
    juliet.say(&format!("<iq type='result' id='after' to='{asker}'/>"));
    let answers = from.hear("id='after'");
    let is_refused = answers.contains("<message type='error'");
    assert_eq!(is_refused, !heard.contains("<body>buy</body>"), "{answers} {heard}");
    assert!(!is_refused || is_error(&answers, "cancel", "forbidden"), "{answers}");
    is_refused
}

/// Waits until a change of the list has come through.
fn until(mut holds: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + common::PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < until, "the list never changed");
    }
}

#[test]
fn who_is_on_a_list_does_not_reach_strangers() {
    let flags = ["--shards", "2"];
    let server = Server::start(&flags);
    ["lists", "juliet", "romeo", "spammer", "friend"].iter().for_each(|name| server.add_user(name));
    let mut lists = Raw::online(&server, "lists", "publisher");
    published(&mut lists, NODE, "spammer@localhost");
    let mut server = server.kill_and_restart(&[&flags[..], LIST].concat());
    let read = server.wait_for_log(|line| line.contains("a real-time block list was read"));
    assert!(read.contains("\"entries\":1") && read.contains("lists@localhost/muc_bans_sha256"), "{read}");
    let mut lists = Raw::online(&server, "lists", "publisher");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let [mut romeo, mut spammer, mut friend] =
        ["romeo", "spammer", "friend"].map(|name| Raw::online(&server, name, "client"));
    common::people::befriend((&mut juliet, "juliet"), (&mut friend, "friend"));
    assert!(is_refused(&mut spammer, &mut juliet) && !is_refused(&mut romeo, &mut juliet));
    // Whether there is an account does not show.
    spammer.say("<message to='nobody@localhost' id='n' type='chat'><body>buy</body></message>");
    let answer = spammer.hear("</message>");
    assert!(is_error(&answer, "cancel", "forbidden"), "{answer}");
    // Nor may it ask to become a contact; those who publish learn nothing of whom they list.
    spammer.say("<presence to='juliet@localhost' type='subscribe'/>");
    romeo.say("<presence to='juliet@localhost' type='subscribe'/>");
    let asked = juliet.hear("type='subscribe'");
    assert!(asked.contains("romeo@localhost") && !asked.contains("spammer"), "{asked}");
    // What is published and taken back holds at once; of contacts never.
    for name in ["romeo@localhost", "friend@localhost"] {
        published(&mut lists, NODE, name);
    }
    until(|| is_refused(&mut romeo, &mut juliet));
    assert!(!is_refused(&mut friend, &mut juliet), "a contact");
    let id = hash("romeo@localhost");
    let retract = format!("<retract node='muc_bans_sha256' notify='true'><item id='{id}'/></retract>");
    assert!(lists.ask("set", None, &pubsub(&retract)).contains("type='result'"));
    until(|| !is_refused(&mut romeo, &mut juliet));
    // What is known stays when the list is gone, over a restart too.
    let deletion = "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='muc_bans_sha256'/></pubsub>";
    assert!(lists.ask("set", None, deletion).contains("type='result'"));
    server.wait_for_log(|line| line.contains("a real-time block list cannot be followed"));
    let mut server = server.kill_and_restart(&[&flags[..], LIST].concat());
    server.wait_for_log(|line| line.contains("a real-time block list cannot be followed"));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut spammer = Raw::online(&server, "spammer", "client");
    assert!(is_refused(&mut spammer, &mut juliet));
    let status = server.rondel_says(&["status", "--all"]);
    let entries = status.lines().find(|line| line.contains("block-list-entries")).unwrap();
    assert!(entries.trim_end().ends_with(" 2"), "{entries}");
    // Without the flag nobody is listed, and what was stored is gone.
    let server = server.kill_and_restart(&flags);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut spammer = Raw::online(&server, "spammer", "client");
    assert!(!is_refused(&mut spammer, &mut juliet));
}

#[test]
fn several_lists_of_one_account_are_told_apart_and_never_turn_on_the_server_itself() {
    let lists: Vec<&str> = vec!["--rtbl", "lists@localhost/one", "--rtbl", "lists@localhost/two"];
    let flags = ["--admin", "boss@localhost"];
    let server = Server::start(&flags);
    ["lists", "juliet", "one", "two", "boss", "romeo"].iter().for_each(|name| server.add_user(name));
    let mut publisher = Raw::online(&server, "lists", "publisher");
    for (node, name) in [("one", "one@localhost"), ("two", "two@localhost"), ("two", "boss@localhost")] {
        published(&mut publisher, node, name);
    }
    // All who have an account here would be strangers to each other.
    published(&mut publisher, "one", "localhost");
    let mut server = server.kill_and_restart(&[&flags[..], &lists].concat());
    for (node, entries) in [("one", 2), ("two", 2)] {
        let read = |line: &str| line.contains("was read") && line.contains(&format!("lists@localhost/{node}"));
        let line = server.wait_for_log(read);
        assert!(line.contains(&format!("\"entries\":{entries}")), "{line}");
    }
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut refused = |name: &str| is_refused(&mut Raw::online(&server, name, "client"), &mut juliet);
    assert!(refused("one") && refused("two") && !refused("romeo") && !refused("boss"), "administrators are heard");
    // Who is listed reaches those who run the server, and those who have written first.
    let mut one = Raw::online(&server, "one", "client");
    let mut boss = Raw::online(&server, "boss", "desk");
    one.say("<message to='boss@localhost/desk' type='chat'><body>why?</body></message>");
    assert!(boss.hear("</message>").contains("why?"));
    juliet.say("<message to='one@localhost/client' type='chat'><body>hello</body></message>");
    assert!(one.hear("</message>").contains("hello"));
    assert!(!is_refused(&mut one, &mut juliet));
}

#[test]
fn strangers_only_ask_where_operators_want_it_so() {
    let server = Server::start(&["--strangers", "ask"]);
    ["juliet", "romeo", "friend"].iter().for_each(|name| server.add_user(name));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let [mut romeo, mut friend] = ["romeo", "friend"].map(|name| Raw::online(&server, name, "client"));
    common::people::befriend((&mut juliet, "juliet"), (&mut friend, "friend"));
    friend.say("<message to='juliet@localhost' type='chat'><body>from a friend</body></message>");
    assert!(juliet.hear("</message>").contains("from a friend"));
    for to in ["juliet@localhost", "nobody@localhost"] {
        romeo.say(&format!("<message to='{to}' id='m' type='chat'><body>from a stranger</body></message>"));
        let answer = romeo.hear("</message>");
        assert!(is_error(&answer, "cancel", "service-unavailable"), "{answer}");
    }
    romeo.say("<presence to='juliet@localhost' type='subscribe'/>");
    let asked = juliet.hear("type='subscribe'");
    assert!(asked.contains("romeo@localhost") && !asked.contains("from a stranger"), "{asked}");
    // Whoever was written to may answer.
    juliet.say("<message to='romeo@localhost' type='chat'><body>who are you?</body></message>");
    assert!(romeo.hear("</message>").contains("who are you?"));
    romeo.say("<message to='juliet@localhost' type='chat'><body>Montague</body></message>");
    assert!(juliet.hear("</message>").contains("Montague"));
}

#[test]
fn a_list_of_another_server_is_said_to_be_out_of_reach() {
    let mut server = Server::start(&["--rtbl", "blocklist.example"]);
    let line = server.wait_for_log(|line| line.contains("other servers cannot be reached"));
    assert!(line.contains("blocklist.example/muc_bans_sha256"), "{line}");
}
