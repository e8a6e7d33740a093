//! Last activity (XEP-0012): since when somebody is away, for those who may see the presence.

mod common;

use common::people::subscribe;
use common::{Raw, Server};

const QUERY: &str = "<query xmlns='jabber:iq:last'/>";

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    for user in ["romeo", "juliet", "nurse"] {
        server.add_user(user);
    }
    server
}

/// The seconds in an answer, and the words.
fn told(answer: &str) -> (u64, String) {
    assert!(answer.contains("type='result'"), "{answer}");
    let seconds = answer.split("seconds='").nth(1).unwrap().split('\'').next().unwrap();
    let words = answer.split_once("</query>").map(|(before, _)| before.rsplit('>').next().unwrap());
    (seconds.parse().unwrap(), words.unwrap_or_default().to_owned())
}

#[test]
fn contacts_hear_since_when_somebody_is_away_and_with_which_words() {
    for shards in ["1", "2"] {
        let server = server(&["--shards", shards]);
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        let mut juliet = Raw::online(&server, "juliet", "balcony");
        let mut garden = Raw::online(&server, "juliet", "garden");
        subscribe((&mut romeo, "romeo"), (&mut juliet, "juliet"));

        assert_eq!(told(&romeo.ask("get", Some("juliet@localhost"), QUERY)), (0, String::new()));
        // One of two leaves.
        garden.say("<presence type='unavailable'><status>To bed</status></presence>");
        garden.round_trip();
        assert_eq!(told(&romeo.ask("get", Some("juliet@localhost"), QUERY)), (0, String::new()));
        juliet.say("<presence type='unavailable'><status>Heading &lt;home&gt;</status></presence>");
        juliet.round_trip();
        let (seconds, words) = told(&romeo.ask("get", Some("juliet@localhost"), QUERY));
        assert!(seconds < 60 && words == "Heading &lt;home&gt;", "{seconds} {words}");
        // The account may ask about itself, in both ways.
        for to in [None, Some("juliet@localhost")] {
            assert_eq!(told(&juliet.ask("get", to, QUERY)).1, "Heading &lt;home&gt;");
        }
        // It is kept: on disk at the latest when what was asked for later is.
        let later = juliet.ask("set", None, "<query xmlns='jabber:iq:roster'><item jid='nurse@localhost'/></query>");
        assert!(later.contains("type='result'"), "{later}");
        let server = server.kill_and_restart(&["--shards", shards]);
        let mut romeo = Raw::login(&server, "romeo", "orchard");
        assert_eq!(told(&romeo.ask("get", Some("juliet@localhost"), QUERY)).1, "Heading &lt;home&gt;");
        // Whoever goes without a word has left none.
        romeo.say("<presence/>");
        romeo.round_trip();
        drop(Raw::online(&server, "juliet", "balcony"));
        romeo.hear("type='unavailable' from='juliet@localhost/balcony'");
        assert_eq!(told(&romeo.ask("get", Some("juliet@localhost"), QUERY)).1, "");
        let refused = romeo.ask("set", Some("juliet@localhost"), QUERY);
        assert!(refused.contains("<not-allowed"), "{refused}");
    }
}

#[test]
fn who_has_never_been_there_has_not_left() {
    let server = server(&[]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let refused = juliet.ask("get", None, QUERY);
    assert!(refused.contains("<service-unavailable"), "{refused}");
}

/// Not whether there is an account, nor whether it blocks who asks.
#[test]
fn others_learn_nothing() {
    for shards in ["1", "2"] {
        let server = server(&["--shards", shards]);
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        let mut juliet = Raw::online(&server, "juliet", "balcony");
        let asked = |raw: &mut Raw, name: &str, resource: &str| {
            let answers = ["get", "set"].map(|kind| raw.ask(kind, Some(&format!("{name}@localhost{resource}")), QUERY));
            answers.concat().replace(name, "somebody")
        };
        for resource in ["", "/balcony", "/elsewhere"] {
            let nobody = asked(&mut romeo, "rosaline", resource);
            assert!(nobody.contains("<forbidden"), "{nobody}");
            assert_eq!(asked(&mut romeo, "juliet", resource), nobody);
            // An account that is not online.
            assert_eq!(asked(&mut romeo, "nurse", resource), nobody);
        }
        // She has his presence; that does not give him hers.
        subscribe((&mut juliet, "juliet"), (&mut romeo, "romeo"));
        assert_eq!(asked(&mut romeo, "juliet", ""), asked(&mut romeo, "rosaline", ""));
        subscribe((&mut romeo, "romeo"), (&mut juliet, "juliet"));
        assert_eq!(told(&romeo.ask("get", Some("juliet@localhost"), QUERY)).0, 0);
        juliet.ask("set", None, "<block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block>");
        for resource in ["", "/balcony", "/elsewhere"] {
            assert_eq!(asked(&mut romeo, "juliet", resource), asked(&mut romeo, "rosaline", resource));
        }
        assert!(!juliet.round_trip().contains("jabber:iq:last"), "no question has come through");
    }
}

#[test]
fn a_resource_answers_those_for_itself_who_may_see_it() {
    let server = server(&[]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    // However the question is written.
    for query in [QUERY, "<l:query xmlns:l='jabber:iq:&#108;ast'/>"] {
        assert!(romeo.ask("get", Some("juliet@localhost/balcony"), query).contains("<forbidden"), "{query}");
    }
    subscribe((&mut romeo, "romeo"), (&mut juliet, "juliet"));
    romeo.say(&format!("<iq type='get' id='idle' to='juliet@localhost/balcony'>{QUERY}</iq>"));
    juliet.hear("jabber:iq:last");
    juliet.say(
        "<iq type='result' id='idle' to='romeo@localhost/orchard'><query xmlns='jabber:iq:last' seconds='123'/></iq>",
    );
    assert_eq!(told(&romeo.hear_answer("idle")), (123, String::new()));
    assert!(romeo.ask("get", Some("juliet@localhost/elsewhere"), QUERY).contains("<service-unavailable"));
}

#[test]
fn the_server_tells_since_when_it_runs() {
    let server = server(&[]);
    let mut romeo = Raw::login(&server, "romeo", "orchard");
    let (seconds, words) = told(&romeo.ask("get", Some("localhost"), QUERY));
    assert!(seconds < 60 && words.is_empty(), "{seconds} {words}");
    for to in ["localhost", "romeo@localhost"] {
        let info = romeo.ask("get", Some(to), "<query xmlns='http://jabber.org/protocol/disco#info'/>");
        assert!(info.contains("<feature var='jabber:iq:last'/>"), "{info}");
    }
}

/// An account that is removed while somebody is online leaves nothing behind.
#[test]
fn who_comes_after_somebody_of_the_same_name_has_not_left_yet() {
    let server = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    assert!(common::user(&server.data(), &["remove", "juliet@localhost"], "").status.success());
    juliet.hear_rest();
    server.add_user("juliet");
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let refused = juliet.ask("get", None, QUERY);
    assert!(refused.contains("<service-unavailable"), "{refused}");
}
