//! Limits of traffic: who sends too much is slow, loses nothing, and is in nobody's way.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/program.rs"]
mod program;
#[allow(dead_code)] // A part of it is needed.
#[path = "clients/row.rs"]
mod row;

use std::time::{Duration, Instant};

use common::people::try_to_log_in;
use common::{Raw, Server, rondel};

/// So many messages of about so many bytes, numbered.
fn messages(to: &str, count: usize, bytes: usize) -> String {
    let message = |number| {
        let text = "x".repeat(bytes.saturating_sub(80));
        format!("<message to='{to}' type='chat' id='m{number}'><body>{text}</body></message>")
    };
    (0..count).map(message).collect()
}

/// Hears all of them, in order.
fn hear_all(raw: &mut Raw, count: usize) {
    (0..count).for_each(|number| drop(raw.hear(&format!("id='m{number}'"))));
}

#[test]
fn bytes_over_the_limit_are_read_later_and_none_is_lost() {
    let server = Server::start(&["--shards", "1", "--limit-c2s", "50kb/s:1s", "--archive", "off"]);
    ["romeo", "juliet", "nurse"].iter().for_each(|user| server.add_user(user));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let begun = Instant::now();
    romeo.say(&messages("juliet@localhost", 100, 1_500));
    // Somebody else on the same shard notices nothing: its answers come while most of the messages still wait.
    (0..20).for_each(|_| drop(nurse.round_trip()));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let shown = server.rondel_says(&["limits", "show", "romeo@localhost"]);
    assert!(shown.contains("romeo@localhost/orchard from 127.0.0.1: ") && shown.contains("held back now"), "{shown}");
    hear_all(&mut juliet, 100);
    // 150 kB, 50 of them at once.
    assert!(begun.elapsed() > Duration::from_millis(1_900), "{:?}", begun.elapsed());
    let shown = server.rondel_says(&["limits", "show", "nurse@localhost"]);
    assert!(shown.contains("never held back"), "{shown}");
}

#[test]
fn stanzas_over_the_limit_are_read_later_and_none_is_lost() {
    let server = Server::start(&["--shards", "1", "--limit-stanzas", "message=10/s:10", "--archive", "off"]);
    ["romeo", "juliet"].iter().for_each(|user| server.add_user(user));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let begun = Instant::now();
    romeo.say(&messages("juliet@localhost", 30, 100));
    hear_all(&mut juliet, 30);
    assert!(begun.elapsed() > Duration::from_millis(1_900), "{:?}", begun.elapsed());
    let shown = server.rondel_says(&["limits", "show", "romeo@localhost"]);
    assert!(shown.contains("held back for its stanzas"), "{shown}");
    // Others are as many as they like.
    let begun = Instant::now();
    (0..100).for_each(|_| drop(romeo.round_trip()));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn some_have_no_limits_and_domains_have_their_own() {
    let flags = ["--limit-c2s", "1kb/s:10s", "--limit-stanzas", "10/s", "--limit-exempt", "romeo@localhost"];
    let server = Server::start(&[&flags[..], &["--archive", "off"]].concat());
    ["romeo", "juliet"].iter().for_each(|user| server.add_user(user));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    // It would take minutes.
    romeo.say(&messages("juliet@localhost", 300, 1_500));
    hear_all(&mut juliet, 300);
    assert!(server.rondel_says(&["limits", "show", "romeo@localhost"]).contains("has no limits"));
}

#[test]
fn limits_are_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("limits");
    std::fs::write(&file, "--limit-c2s 1kb/s:10s\n").unwrap();
    let at_file = format!("@{}", file.display());
    let mut server = Server::start(&[&at_file, "--archive", "off", "--limit-strangers", "none"]);
    ["romeo", "juliet"].iter().for_each(|user| server.add_user(user));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.say(&messages("juliet@localhost", 200, 1_500));
    juliet.hear("id='m1'");
    std::fs::write(&file, "--limit-c2s fast\n").unwrap();
    server.signal("-HUP");
    server.wait_for_log(|line| {
        line.contains("keeping the rules of registration that were there, limits, and the firewall")
    });
    std::fs::write(&file, "--limit-c2s localhost=none\n").unwrap();
    server.signal("-HUP");
    server.wait_for_log(|line| line.contains("read again, limits, and the firewall"));
    (2..200).for_each(|number| drop(juliet.hear(&format!("id='m{number}'"))));
}

#[test]
fn an_address_has_used_connections_and_tries() {
    let server = Server::start(&["--shards", "1", "--login-rate", "1/h:20", "--connection-rate", "1/h:200"]);
    server.add_user("romeo");
    let _romeo = Raw::login(&server, "romeo", "orchard");
    assert!(try_to_log_in(&server, "romeo", "wrong").contains("not-authorized"));
    let shown = server.rondel_says(&["limits", "show", "127.0.0.1"]);
    assert!(shown.contains("fail to log in 19 times") && shown.contains("romeo@localhost/orchard"), "{shown}");
    let json = server.rondel_says(&["limits", "show", "127.0.0.1", "--json"]);
    assert!(json.contains("\"failures_left\":19"), "{json}");
    assert!(server.rondel_says(&["limits", "show", "192.0.2.1"]).contains("nothing is known of it"));
    server.rondel_says(&["ban", "add", "192.0.2.0/24", "--for", "1h"]);
    assert!(server.rondel_says(&["limits", "show", "192.0.2.1"]).contains("is banned until"));
    for (of, complaint) in [("nobody@localhost", "there is no account"), ("no one", "is not the address")] {
        let output = rondel().args(["limits", "show", of, "--data-dir"]).arg(server.data()).output().unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && line.contains(complaint), "{line}");
    }
}

#[test]
fn strangers_hear_little_of_one_account_and_who_has_written_is_none() {
    let flags = ["--limit-strangers", "1/h:2", "--limit-subscriptions", "1/h:1", "--limit-exempt", "nurse@localhost"];
    let server = Server::start(&flags);
    ["romeo", "juliet", "nurse"].iter().for_each(|user| server.add_user(user));
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    let chat =
        |to: &str, id: &str| format!("<message to='{to}@localhost' type='chat' id='{id}'><body>hi</body></message>");
    romeo.say(&chat("juliet", "r1"));
    romeo.say(&chat("nurse", "r2"));
    juliet.hear("id='r1'");
    nurse.hear("id='r2'");
    romeo.say(&chat("juliet", "r3"));
    let refused = romeo.hear("</message>");
    assert!(refused.contains("id='r3'") && refused.contains("<policy-violation"), "{refused}");
    assert!(refused.contains("type='wait'"), "{refused}");
    // Whoever has written may be answered as often as one likes.
    juliet.say(&chat("romeo", "j1"));
    romeo.hear("id='j1'");
    (4..14).for_each(|number| romeo.say(&chat("juliet", &format!("r{number}"))));
    juliet.hear("id='r13'");
    for to in ["juliet", "nurse", "tybalt"] {
        romeo.say(&format!("<presence to='{to}@localhost' type='subscribe'/>"));
    }
    juliet.hear("type='subscribe'");
    let refused = romeo.hear("</presence>");
    assert!(refused.contains("from='tybalt@localhost'") && refused.contains("<policy-violation"), "{refused}");
    // A contact is no stranger.
    juliet.say("<presence to='romeo@localhost' type='subscribed'/>");
    romeo.hear("from='juliet@localhost/balcony'");
    (0..10).for_each(|number| nurse.say(&chat("juliet", &format!("n{number}"))));
    juliet.hear("id='n9'");
}

/// Of 500 contacts of Juliet's, Romeo is one.
fn large_roster() -> String {
    let contact = |number| format!("<item jid='contact{number}@localhost' subscription='both'/>");
    let contacts: String = (1..500).map(contact).collect();
    format!(
        "<server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'><user name='juliet' password='secret'>\
         <query xmlns='jabber:iq:roster'><item jid='romeo@localhost' subscription='both'/>{contacts}</query></user>\
         <user name='romeo' password='secret'/></host></server-data>"
    )
}

/// How long each step takes under Prosody's usual limit is printed (`--nocapture`); docs/operating.md has the figures.
#[test]
fn somebody_with_a_large_roster_logs_in_and_chats_under_a_tight_limit() {
    for limit in ["3kb/s:2s", "10kb/s:10s"] {
        let flags = ["--dev", "--shards", "2", "--limit-c2s", limit, "--limit-stanzas", "none"];
        let server = Server::start_with(tempfile::tempdir().unwrap(), &flags);
        let file = server.data().join("roster.xml");
        std::fs::write(&file, large_roster()).unwrap();
        server.rondel_says(&["import", file.to_str().unwrap()]);
        let said = row::slixmpp_on(&server, "large_roster.py", "evening");
        println!("--limit-c2s {limit}\n{}", said.join("\n"));
    }
}
