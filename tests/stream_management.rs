//! Stream management (XEP-0198) on the real binary: acknowledgements that survive a kill, sessions that outlive their
//! connections, and what becomes of what was not acknowledged.

mod common;

use common::people::{resumable, resume};
use common::{HEADER, Raw, Server, plain, tls};
use rustls::version::TLS13;

const SM: &str = "urn:xmpp:sm:3";

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    ["romeo", "juliet", "nurse"].iter().for_each(|user| server.add_user(user));
    server
}

fn message(to: &str, number: usize) -> String {
    format!("<message to='{to}' type='chat' id='m{number}'><body>number {number}</body></message>")
}

/// Asks for an acknowledgement until it covers so many stanzas.
fn acknowledged(raw: &mut Raw, expected: u32) {
    loop {
        raw.say(&format!("<r xmlns='{SM}'/>"));
        let h: u32 = raw.hear_between("<a xmlns='urn:xmpp:sm:3' h='", "'").parse().unwrap();
        assert!(h <= expected, "{h} of {expected}");
        if h == expected {
            return;
        }
    }
}

#[test]
fn stanzas_are_counted_both_ways() {
    let server = server(&[]);
    let (mut juliet, _) = resumable(&server, "juliet", "balcony");
    acknowledged(&mut juliet, 1);
    juliet.say("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    juliet.say("<message type='nonsense'/><presence type='nonsense'/>");
    acknowledged(&mut juliet, 4);
    // It was sent its presence, a result, its own message and an error.
    juliet.say(&format!("<a xmlns='{SM}' h='4'/>"));
    acknowledged(&mut juliet, 4);
    juliet.say(&format!("<a xmlns='{SM}' h='6'/>"));
    let heard = juliet.hear("</stream:stream>");
    assert!(heard.contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='6' send-count='4'/>"), "{heard}");
}

#[test]
fn an_acknowledged_message_survives_a_kill() {
    for shards in ["1", "2"] {
        let server = server(&["--shards", shards]);
        let (mut romeo, _) = resumable(&server, "romeo", "orchard");
        (0..300).for_each(|number| romeo.say(&message("juliet@localhost", number)));
        acknowledged(&mut romeo, 301);
        let server = server.kill_and_restart(&["--shards", shards]);
        juliet_has_got(&server, 300);
    }
}

/// So many messages have waited for Juliet, and come in their order and once when she logs in.
fn juliet_has_got(server: &Server, count: usize) {
    let mut juliet = Raw::login(server, "juliet", "balcony");
    juliet.say("<presence/>");
    for number in 0..count {
        let heard = juliet.hear("</message>");
        assert!(heard.contains(&format!("<body>number {number}</body>")), "{number}: {heard}");
    }
    assert!(!juliet.round_trip().contains("<message"));
}

#[test]
fn a_session_outlives_its_connection() {
    let server = server(&["--shards", "2"]);
    let (mut juliet, id) = resumable(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.say(&message("juliet@localhost/balcony", 1));
    juliet.hear("number 1</body>");
    drop(juliet);
    (2..5).for_each(|number| romeo.say(&message("juliet@localhost/balcony", number)));
    assert!(!romeo.round_trip().contains("error"));
    // It has its own presence and the first message.
    let (mut juliet, heard) = resume(&server, "juliet", &id, 2);
    assert_eq!(heard, format!("<resumed xmlns='{SM}' previd='{id}' h='1'/>"));
    for number in 2..5 {
        let heard = juliet.hear("</message>");
        assert!(heard.contains(&format!("<body>number {number}</body>")) && !heard.contains("<delay"), "{heard}");
    }
    romeo.say(&message("juliet@localhost", 5));
    juliet.hear("number 5</body>");
    assert!(juliet.round_trip().contains("type='result'"));
    acknowledged(&mut juliet, 2);
    // Once more, while the server believes the client where it was; it has not got the last message, it says.
    let (mut again, heard) = resume(&server, "juliet", &id, 5);
    assert!(heard.starts_with("<resumed "), "{heard}");
    assert!(juliet.hear("</stream:stream>").contains("<conflict "));
    assert!(again.hear("</message>").contains("number 5</body>"));
    // Nobody else claims it.
    let (_, heard) = resume(&server, "romeo", &id, 0);
    assert!(heard.starts_with("<failed ") && heard.contains("<item-not-found "), "{heard}");
    assert!(again.round_trip().contains("type='result'"));
}

#[test]
fn what_was_not_acknowledged_waits_for_the_next_session() {
    let mut server = server(&["--resume-timeout", "1s", "--shards", "1"]);
    let (mut juliet, id) = resumable(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    romeo.say(&message("juliet@localhost", 1));
    juliet.hear("number 1</body>");
    juliet.say(&format!("<a xmlns='{SM}' h='2'/>"));
    assert!(juliet.round_trip().contains("type='result'"));
    drop(juliet);
    server.wait_for_log(|line| line.contains("session waits for its client"));
    (2..5).for_each(|number| romeo.say(&message("juliet@localhost", number)));
    nurse.say("<iq to='juliet@localhost/balcony' type='get' id='q'><query xmlns='jabber:iq:version'/></iq>");
    // The session is given up, and its question with it.
    let heard = nurse.hear("</iq>");
    assert!(heard.contains("id='q'") && heard.contains("<service-unavailable "), "{heard}");
    let (mut juliet, heard) = resume(&server, "juliet", &id, 2);
    assert!(heard.contains("<item-not-found ") && heard.contains(" h='2'"), "{heard}");
    juliet.say("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    juliet.hear("</iq>");
    juliet.say("<presence/>");
    for number in 2..5 {
        let heard = juliet.hear("</message>");
        assert!(heard.contains(&format!("<body>number {number}</body>")), "{heard}");
        assert_eq!(heard.matches("<delay ").count(), 1, "{heard}");
        assert_eq!(heard.matches("<stanza-id ").count(), 1, "{heard}");
    }
    assert!(!juliet.round_trip().contains("<message"));
}

#[test]
fn what_was_not_acknowledged_goes_to_the_other_client_and_not_twice() {
    for carbons in [true, false] {
        let mut server = server(&["--resume-timeout", "1s", "--shards", "1"]);
        let (juliet, _) = resumable(&server, "juliet", "balcony");
        let mut other = Raw::login(&server, "juliet", "garden");
        if carbons {
            other.say("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
            other.hear("id='c'");
        }
        other.say("<presence><priority>5</priority></presence>");
        other.hear("garden'><priority>5");
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        romeo.say(&message("juliet@localhost/balcony", 1));
        assert!(!romeo.round_trip().contains("error"));
        drop(juliet);
        server.wait_for_log(|line| line.contains("the client has not come back"));
        let heard = other.hear("</message>");
        assert!(heard.contains("number 1</body>"), "{heard}");
        assert_eq!(heard.contains("<received xmlns='urn:xmpp:carbons:2'"), carbons, "{heard}");
        let heard = other.round_trip();
        assert!(!heard.contains("number 1</body>"), "{heard}");
    }
}

/// A client with stream management has got what has waited for it when it says so, not before.
#[test]
fn what_has_waited_stays_until_it_is_acknowledged() {
    let mut server = server(&["--resume-timeout", "1s", "--shards", "1"]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    (0..3).for_each(|number| romeo.say(&message("juliet@localhost", number)));
    romeo.round_trip();
    let (mut juliet, _) = resumable(&server, "juliet", "balcony");
    juliet.hear("number 2</body>");
    // It was sent its presence and three messages, and has two of them.
    juliet.say(&format!("<a xmlns='{SM}' h='3'/>"));
    juliet.round_trip();
    drop(juliet);
    server.wait_for_log(|line| line.contains("the client has not come back"));
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    juliet.say("<presence/>");
    assert!(juliet.hear("</message>").contains("number 2</body>"));
    assert!(!juliet.round_trip().contains("<message"));
    let mut again = Raw::online(&server, "juliet", "garden");
    assert!(!again.round_trip().contains("<message"));
}

#[test]
fn what_was_not_acknowledged_survives_the_end_of_the_server() {
    let server = server(&["--shards", "2"]);
    let (juliet, _) = resumable(&server, "juliet", "balcony");
    let (nurse, _) = resumable(&server, "nurse", "kitchen");
    drop(juliet);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.say(&message("juliet@localhost", 1));
    romeo.say(&message("nurse@localhost", 2));
    assert!(!romeo.round_trip().contains("error"));
    let (status, directory) = server.terminate();
    assert!(status.success());
    drop(nurse);
    let server = Server::start_in(directory, &[]);
    for (user, number) in [("juliet", 1), ("nurse", 2)] {
        let mut raw = Raw::login(&server, user, "again");
        raw.say("<presence/>");
        assert!(raw.hear("</message>").contains(&format!("number {number}</body>")));
        assert!(!raw.round_trip().contains("<message"));
    }
}

/// Login, resumption and what the session has is one round trip (XEP-0388, XEP-0386).
#[test]
fn one_round_trip_binds_or_resumes() {
    let server = server(&["--shards", "2"]);
    let authenticate = |inline: &str| {
        let mut raw = tls::direct(&server, &TLS13);
        raw.say(HEADER);
        raw.hear("</stream:features>");
        raw.say(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{}</initial-response>\
             <user-agent id='phone'/>{inline}</authenticate>",
            plain("juliet", "secret")
        ));
        let heard = raw.hear("</success>");
        (raw, heard)
    };
    let bind = format!(
        "<bind xmlns='urn:xmpp:bind:0'><tag>phone</tag><enable xmlns='{SM}' resume='true'/>\
         <enable xmlns='urn:xmpp:carbons:2'/><inactive xmlns='urn:xmpp:csi:0'/></bind>"
    );
    let (mut juliet, heard) = authenticate(&bind);
    let id = heard.split("<enabled xmlns='urn:xmpp:sm:3' id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    juliet.say(&format!("<presence/><r xmlns='{SM}'/>"));
    let heard = juliet.hear("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    assert!(!heard.contains("<presence"), "nobody looks at it: {heard}");
    drop(juliet);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.say(&message("juliet@localhost", 1));
    assert!(!romeo.round_trip().contains("error"));
    let (mut juliet, heard) = authenticate(&format!("<resume xmlns='{SM}' previd='{id}' h='0'/>{bind}"));
    assert!(heard.contains(&format!("<resumed xmlns='{SM}' previd='{id}' h='1'/>")), "{heard}");
    assert!(!heard.contains("<bound"), "{heard}");
    let heard = juliet.hear("</message>");
    assert!(heard.contains("<presence") && heard.contains("number 1</body>"), "what was held back, and the message");
    let (_, heard) = authenticate(&format!("<resume xmlns='{SM}' previd='nonsense' h='1'/>{bind}"));
    assert!(heard.contains("<item-not-found ") && heard.contains("<bound ") && heard.contains("<enabled "), "{heard}");
}

/// A client that asks for nothing is asked.
#[test]
fn the_server_asks_and_notices_who_does_not_answer() {
    let mut server = server(&["--acknowledgement-timeout", "1s", "--resume-timeout", "1m"]);
    let (mut juliet, _) = resumable(&server, "juliet", "balcony");
    juliet.hear(&format!("<r xmlns='{SM}'/>"));
    let heard = juliet.hear("</stream:stream>");
    assert!(heard.contains("<connection-timeout "), "{heard}");
    server.wait_for_log(|line| line.contains("session waits for its client"));
}

/// Who cannot resume, or does not, is not kept out by its earlier sessions.
#[test]
fn sessions_that_wait_make_room() {
    let mut server = server(&["--max-sessions-per-account", "2", "--resource-conflict", "refuse"]);
    for resource in ["balcony", "garden"] {
        drop(resumable(&server, "juliet", resource));
        server.wait_for_log(|line| line.contains("session waits for its client"));
        server.logged.clear();
    }
    let (_juliet, _) = resumable(&server, "juliet", "balcony");
    let (mut juliet, _) = resumable(&server, "juliet", "orchard");
    acknowledged(&mut juliet, 1);
}

/// What those who do not come back for it leave in memory goes to disk before it is too much, and costs nobody else.
#[test]
fn what_nobody_acknowledges_goes_to_disk() {
    let flags = ["--shards", "1", "--unacknowledged-total", "1MiB", "--offline-size", "2MiB", "--outbox-limit", "4MiB"];
    let mut server = server(&flags);
    let (nurse, hers) = resumable(&server, "nurse", "kitchen");
    let (juliet, id) = resumable(&server, "juliet", "balcony");
    for waits in [nurse, juliet] {
        drop(waits);
        server.wait_for_log(|line| line.contains("session waits for its client"));
        server.logged.clear();
    }
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.say(&message("nurse@localhost", 1));
    let long = format!("<long xmlns='urn:example'>{}</long></message>", "a".repeat(30_000));
    for number in 0..40 {
        romeo.say(&message("juliet@localhost", number).replace("</message>", &long));
    }
    assert!(!romeo.round_trip().contains("error"));
    server.wait_for_log(|line| line.contains("too much is unacknowledged"));
    let (_, heard) = resume(&server, "juliet", &id, 1);
    assert!(heard.contains("<item-not-found "), "{heard}");
    juliet_has_got(&server, 40);
    let (mut nurse, heard) = resume(&server, "nurse", &hers, 1);
    assert!(heard.starts_with("<resumed "), "{heard}");
    nurse.hear("number 1</body>");
}
