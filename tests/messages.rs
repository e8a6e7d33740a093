//! Two people talk: routing of messages, presence and questions between connected resources.

mod common;

use common::{Raw, Server};

fn two() -> (Server, Raw, Raw) {
    let server = Server::start(&[]);
    server.add_user("romeo");
    server.add_user("juliet");
    let romeo = Raw::online(&server, "romeo", "orchard");
    let juliet = Raw::online(&server, "juliet", "balcony");
    (server, romeo, juliet)
}

#[test]
fn a_message_reaches_the_bare_jid_and_the_full_jid_with_a_true_sender() {
    let (_server, mut romeo, mut juliet) = two();
    romeo.say("<message to='juliet@localhost' type='chat' id='m1'><body>one &amp; two</body></message>");
    let heard = juliet.hear("</message>");
    assert!(heard.contains("from='romeo@localhost/orchard'"), "{heard}");
    assert!(heard.contains("id='m1'") && heard.contains("<body>one &amp; two</body>"), "{heard}");
    juliet.say("<message to='romeo@localhost/orchard' from='tybalt@localhost' id='m2'><body>hi</body></message>");
    let heard = romeo.hear("</message>");
    assert!(heard.contains("from='juliet@localhost/balcony'") && !heard.contains("tybalt"), "{heard}");
}

#[test]
fn order_is_kept_and_nothing_is_lost_between_shards_and_within_one() {
    let server = Server::start(&["--shards", "2"]);
    let users: Vec<String> = (0..6).map(|user| format!("user{user}")).collect();
    users.iter().for_each(|user| server.add_user(user));
    let mut clients: Vec<Raw> = users.iter().map(|user| Raw::online(&server, user, "r")).collect();
    for n in 0..200 {
        for (from, client) in clients.iter_mut().enumerate() {
            for to in 0..users.len() {
                client.say(&format!("<message to='user{to}@localhost' id='{from}-{n}'><body>{n}</body></message>"));
            }
        }
    }
    for client in &mut clients {
        let mut next = vec![0; users.len()];
        for _ in 0..200 * users.len() {
            let heard = client.hear("</message>");
            let id = heard.split("id='").nth(1).unwrap().split('\'').next().unwrap();
            let (from, n) = id.split_once('-').unwrap();
            let from: usize = from.parse().unwrap();
            assert!(heard.contains(&format!("from='user{from}@localhost/r'")), "{heard}");
            assert_eq!(n.parse::<usize>().unwrap(), next[from], "{heard}");
            next[from] += 1;
        }
        assert!(next.iter().all(|&count| count == 200));
    }
}

#[test]
fn nobody_there_is_said_so() {
    let (_server, mut romeo, _juliet) = two();
    for (to, id) in [("nurse@localhost", "a"), ("juliet@localhost/elsewhere", "b")] {
        romeo.say(&format!("<iq to='{to}' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"));
        let heard = romeo.hear("</iq>");
        assert!(heard.contains("service-unavailable") && heard.contains(&format!("id='{id}'")), "{heard}");
    }
    romeo.say("<message to='nurse@localhost' id='c'><body>anyone?</body></message>");
    let heard = romeo.hear("</message>");
    assert!(heard.contains("type='error'") && heard.contains("service-unavailable"), "{heard}");
    assert!(heard.contains("from='nurse@localhost'"), "{heard}");
    // Errors are never answered with errors, and answers never at all.
    romeo.say("<message to='nurse@localhost' type='error' id='d'/><iq to='nurse@localhost' type='result' id='e'/>");
    let heard = romeo.round_trip();
    assert!(!heard.contains("id='d'") && !heard.contains("id='e'"), "{heard}");
}

#[test]
fn prefixes_declared_on_the_stream_header_arrive_declared() {
    let server = Server::start(&[]);
    server.add_user("romeo");
    server.add_user("juliet");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::connect(server.address);
    romeo.log_in("romeo", "orchard");
    drop(romeo);
    let mut romeo = Raw::connect(server.address);
    let header = common::HEADER.replace("version='1.0' xmlns", "version='1.0' xmlns:x='urn:example:x' xmlns");
    romeo.authenticate(&header, "romeo");
    romeo.say(&header);
    romeo.hear("</stream:features>");
    romeo.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    romeo.hear("</iq>");
    romeo.say("<message to='juliet@localhost'><x:thing x:colour='red'/></message>");
    let heard = juliet.hear("</message>");
    assert!(heard.contains("xmlns:x='urn:example:x'"), "{heard}");
}

#[test]
fn presence_is_shared_between_the_resources_of_an_account() {
    let server = Server::start(&[]);
    server.add_user("romeo");
    let mut first = Raw::online(&server, "romeo", "first");
    let mut second = Raw::login(&server, "romeo", "second");
    second.say("<presence><show>away</show><priority>-1</priority></presence>");
    second.hear("from='romeo@localhost/first'");
    assert!(first.hear("</presence>").contains("from='romeo@localhost/second'"));
    // A negative priority gets nothing that is sent to the account.
    first.say("<message to='romeo@localhost' id='m'><body>me</body></message>");
    first.hear("<body>me</body>");
    assert!(!second.round_trip().contains("<body>me</body>"));
    second.say("</stream:stream>");
    let heard = first.hear("type='unavailable'");
    assert!(heard.contains("romeo@localhost/second") || first.hear(">").contains("romeo@localhost/second"), "{heard}");
}

#[test]
fn directed_presence_is_taken_back_when_the_sender_leaves() {
    let (_server, mut romeo, mut juliet) = two();
    romeo.say("<presence to='juliet@localhost/balcony'><status>wooing</status></presence>");
    assert!(juliet.hear("</presence>").contains("wooing"));
    drop(romeo);
    let heard = juliet.hear("type='unavailable'");
    assert!(heard.contains("<presence"), "{heard}");
}

#[test]
fn the_server_answers_what_it_advertises_and_nothing_else() {
    let (_server, mut romeo, _juliet) = two();
    let ask = |romeo: &mut Raw, to: &str, payload: &str| {
        romeo.say(&format!("<iq to='{to}' type='get' id='q'>{payload}</iq>"));
        let mut heard = romeo.hear("id='q'");
        heard.push_str(&romeo.hear(">"));
        if !heard.ends_with("/>") {
            heard.push_str(&romeo.hear("</iq>"));
        }
        heard
    };
    let info = ask(&mut romeo, "localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    assert!(info.contains("category='server'") && info.contains("type='im'"), "{info}");
    for (feature, payload) in [
        ("urn:xmpp:ping", "<ping xmlns='urn:xmpp:ping'/>"),
        ("jabber:iq:version", "<query xmlns='jabber:iq:version'/>"),
        ("urn:xmpp:time", "<time xmlns='urn:xmpp:time'/>"),
        ("http://jabber.org/protocol/disco#items", "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
    ] {
        assert!(info.contains(&format!("var='{feature}'")), "{feature} in {info}");
        let answer = ask(&mut romeo, "localhost", payload);
        assert!(answer.contains("type='result'"), "{answer}");
    }
    let own = ask(&mut romeo, "romeo@localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    assert!(own.contains("category='account'") && own.contains("type='registered'"), "{own}");
    let other = ask(&mut romeo, "juliet@localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    let nobody = ask(&mut romeo, "nurse@localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    assert!(other.contains("service-unavailable"), "{other}");
    assert_eq!(other.replace("juliet", "nurse"), nobody, "existence does not show");
    let unknown = ask(&mut romeo, "localhost", "<query xmlns='urn:example:unknown'/>");
    assert!(unknown.contains("service-unavailable"), "{unknown}");
}

/// Whatever a client calls its elements, what others get of it is well-formed.
#[test]
fn absence_arrives_well_formed_however_it_was_written() {
    for absence in [
        "<p:presence xmlns:p='jabber:client' type='unavailable'/>",
        "<ä:presence xmlns:ä='jabber:client' type='unavailable'><ä:status>x</ä:status></ä:presence>",
        "<presence xmlns='jabber:client' type=\"unavailable\" />",
    ] {
        let (_server, mut romeo, mut juliet) = two();
        romeo.say("<presence to='juliet@localhost/balcony'/>");
        juliet.hear("to='juliet@localhost/balcony'");
        juliet.hear(">");
        romeo.say(absence);
        let heard = juliet.hear(">");
        assert!(
            heard.contains("to='juliet@localhost/balcony'") && heard.contains("romeo@localhost/orchard"),
            "{heard}"
        );
        assert!(heard.contains("presence ") && heard.contains("unavailable"), "{heard}");
        juliet.round_trip();
    }
}

/// A flood in one segment costs nobody the session who reads what comes.
#[test]
fn a_burst_is_delivered_to_whoever_reads() {
    let server = Server::start(&["--outbox-limit", "64KiB", "--max-stanza-size", "32KiB"]);
    server.add_user("romeo");
    server.add_user("juliet");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let text = "x".repeat(500);
    let burst: String = (0..400)
        .map(|number| format!("<message to='juliet@localhost/balcony' id='{number}'><body>{text}</body></message>"))
        .collect();
    let reader = std::thread::spawn(move || {
        (0..400).for_each(|number| assert!(juliet.hear("</message>").contains(&format!("id='{number}'"))));
        juliet.round_trip()
    });
    romeo.say(&burst);
    assert!(reader.join().unwrap().contains("result"));
    // The same with answers to oneself, all of which come.
    let mut answers = romeo.stream.try_clone().map(Raw::over).unwrap();
    let asker = std::thread::spawn(move || {
        let pings: String = (0..3_000)
            .map(|number| format!("<iq type='get' id='p{number}'><ping xmlns='urn:xmpp:ping'/></iq>"))
            .collect();
        romeo.say(&pings);
        romeo
    });
    (0..3_000).for_each(|number| {
        answers.hear(&format!("id='p{number}'"));
    });
    drop(asker.join().unwrap());
}

/// Whoever hears of both hears of them in their order, and nothing of what came in the same segment is forgotten.
#[test]
fn a_resource_that_is_taken_over_goes_before_it_comes_again() {
    let server = Server::start(&[]);
    server.add_user("juliet");
    let mut old = Raw::login(&server, "juliet", "balcony");
    let mut other = Raw::online(&server, "juliet", "garden");
    old.say("<presence/>");
    other.hear("from='juliet@localhost/balcony'");
    let mut new = Raw::connect(server.address);
    new.authenticate(common::HEADER, "juliet");
    new.say(common::HEADER);
    new.hear("</stream:features>");
    new.say(
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>\
         <presence/><iq type='get' id='after'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    new.hear("id='after'");
    let heard = other.hear("from='juliet@localhost/balcony'");
    assert!(heard.contains("unavailable"), "first the old one goes: {heard}");
    let heard = other.hear("from='juliet@localhost/balcony'");
    assert!(!heard.contains("unavailable"), "then the new one comes: {heard}");
    assert!(old.hear_rest().contains("<conflict"));
}
