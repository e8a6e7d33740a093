//! Who sees whose presence (RFC 6121 §3 and §4), as both sides hear it.

mod common;

use common::{Raw, Server, user};

fn server() -> Server {
    let server = Server::start(&["--shards", "2"]);
    for user in ["romeo", "juliet", "nurse"] {
        server.add_user(user);
    }
    server
}

/// Interested in the roster, and available.
fn online(server: &Server, user: &str, resource: &str) -> Raw {
    let mut raw = Raw::login(server, user, resource);
    raw.say("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    raw.hear("id='roster'");
    raw.say("<presence/>");
    raw.hear(&format!("from='{user}@localhost/{resource}'"));
    raw.round_trip();
    raw
}

fn presence(raw: &mut Raw, kind: &str, to: &str) {
    raw.say(&format!("<presence type='{kind}' to='{to}@localhost'/>"));
}

/// The next presence of this type from this bare JID.
fn hears(raw: &mut Raw, kind: &str, from: &str) {
    loop {
        let stanza = format!("<{}", raw.hear_between("<presence", ">"));
        if stanza.contains(&format!("type='{kind}'")) {
            assert!(stanza.contains(&format!("from='{from}@localhost'")), "{stanza}");
            return;
        }
    }
}

/// The next roster push about a contact: its subscription and whether it is asked.
fn pushed(raw: &mut Raw, contact: &str, subscription: &str, asks: bool) {
    loop {
        let item = raw.hear_between("<item", ">");
        if item.contains(&format!("jid='{contact}@localhost'"))
            && item.contains(&format!("subscription='{subscription}'"))
        {
            assert_eq!(item.contains("ask='subscribe'"), asks, "{item}");
            return;
        }
    }
}

/// One asks, the other grants.
fn subscribe(asking: &mut Raw, who: &str, granting: &mut Raw, whom: &str) {
    presence(asking, "subscribe", whom);
    hears(granting, "subscribe", who);
    presence(granting, "subscribed", who);
    hears(asking, "subscribed", whom);
    asking.hear(&format!("from='{whom}@localhost/"));
}

#[test]
fn one_asks_and_the_other_grants() {
    let server = server();
    let mut romeo = online(&server, "romeo", "orchard");
    let mut juliet = online(&server, "juliet", "balcony");
    presence(&mut romeo, "subscribe", "juliet");
    pushed(&mut romeo, "juliet", "none", true);
    hears(&mut juliet, "subscribe", "romeo");
    // Nothing is granted yet.
    juliet.say("<presence><show>away</show></presence>");
    assert!(!juliet.round_trip().contains("<item"));
    assert!(!romeo.round_trip().contains("away"));
    presence(&mut juliet, "subscribed", "romeo");
    pushed(&mut juliet, "romeo", "from", false);
    hears(&mut romeo, "subscribed", "juliet");
    pushed(&mut romeo, "juliet", "to", false);
    let heard = romeo.hear("</presence>");
    assert!(heard.contains("from='juliet@localhost/balcony'") && heard.contains("away"), "{heard}");
    // And the other way round.
    subscribe(&mut juliet, "juliet", &mut romeo, "romeo");
    romeo.say("<presence><status>here</status></presence>");
    let heard = juliet.hear("</presence>");
    assert!(heard.contains("from='romeo@localhost/orchard'") && heard.contains("here"), "{heard}");
}

#[test]
fn contacts_hear_who_comes_and_who_goes_and_strangers_do_not() {
    let server = server();
    let mut romeo = online(&server, "romeo", "orchard");
    let mut juliet = online(&server, "juliet", "balcony");
    let mut nurse = online(&server, "nurse", "hall");
    subscribe(&mut romeo, "romeo", &mut juliet, "juliet");
    subscribe(&mut juliet, "juliet", &mut romeo, "romeo");
    let mut street = online(&server, "romeo", "street");
    // The newcomer hears of the contact, and the contact of the newcomer.
    juliet.hear("from='romeo@localhost/street'");
    street.say("<presence type='unavailable'><status>gone</status></presence>");
    let heard = juliet.hear("</presence>");
    assert!(heard.contains("type='unavailable'") && heard.contains("gone"), "{heard}");
    drop(street);
    drop(romeo);
    let heard = juliet.hear("type='unavailable'");
    assert!(heard.contains("orchard") || juliet.hear(">").contains("orchard"), "{heard}");
    let mut romeo = Raw::login(&server, "romeo", "orchard");
    romeo.say("<presence/>");
    romeo.hear("from='juliet@localhost/balcony'");
    let heard = nurse.round_trip();
    assert!(!heard.contains("<presence"), "{heard}");
    // Nor is a probe of a stranger answered.
    nurse.say("<presence type='probe' to='juliet@localhost'/>");
    assert!(!nurse.round_trip().contains("juliet"));
}

#[test]
fn a_request_waits_for_an_answer_through_every_login() {
    let server = server();
    let mut romeo = online(&server, "romeo", "orchard");
    romeo.say("<presence type='subscribe' to='juliet@localhost'><status>it is me</status></presence>");
    pushed(&mut romeo, "juliet", "none", true);
    for resource in ["balcony", "chamber"] {
        let mut juliet = Raw::login(&server, "juliet", resource);
        juliet.say("<presence/>");
        let heard = juliet.hear("it is me");
        assert!(heard.contains("from='romeo@localhost'") && heard.contains("type='subscribe'"), "{heard}");
    }
    let mut juliet = online(&server, "juliet", "garden");
    presence(&mut juliet, "unsubscribed", "romeo");
    hears(&mut romeo, "unsubscribed", "juliet");
    pushed(&mut romeo, "juliet", "none", false);
    let mut juliet = online(&server, "juliet", "tomb");
    assert!(!juliet.round_trip().contains("subscribe"));
}

#[test]
fn a_subscription_is_given_up_and_cancelled() {
    let server = server();
    let mut romeo = online(&server, "romeo", "orchard");
    let mut juliet = online(&server, "juliet", "balcony");
    subscribe(&mut romeo, "romeo", &mut juliet, "juliet");
    presence(&mut romeo, "unsubscribe", "juliet");
    pushed(&mut romeo, "juliet", "none", false);
    pushed(&mut juliet, "romeo", "none", false);
    juliet.say("<presence><show>dnd</show></presence>");
    juliet.round_trip();
    assert!(!romeo.round_trip().contains("dnd"));

    subscribe(&mut romeo, "romeo", &mut juliet, "juliet");
    presence(&mut juliet, "unsubscribed", "romeo");
    let heard = romeo.hear("type='unsubscribed'");
    assert!(heard.contains("type='unavailable'"), "the presence that was seen goes: {heard}");
    pushed(&mut romeo, "juliet", "none", false);
}

#[test]
fn who_is_approved_beforehand_need_not_wait() {
    let server = server();
    let mut juliet = online(&server, "juliet", "balcony");
    presence(&mut juliet, "subscribed", "romeo");
    let item = juliet.hear_between("<item", ">");
    assert!(item.contains("approved='true'") && item.contains("subscription='none'"), "{item}");
    let mut romeo = online(&server, "romeo", "orchard");
    presence(&mut romeo, "subscribe", "juliet");
    hears(&mut romeo, "subscribed", "juliet");
    pushed(&mut juliet, "romeo", "from", false);
    romeo.hear("from='juliet@localhost/balcony'");
}

#[test]
fn a_contact_that_is_removed_is_out_of_sight_on_both_sides() {
    let server = server();
    let mut romeo = online(&server, "romeo", "orchard");
    let mut juliet = online(&server, "juliet", "balcony");
    subscribe(&mut romeo, "romeo", &mut juliet, "juliet");
    subscribe(&mut juliet, "juliet", &mut romeo, "romeo");
    romeo.say(
        "<iq type='set' id='bye'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost' subscription='remove'/>\
         </query></iq>",
    );
    pushed(&mut romeo, "juliet", "remove", false);
    let heard = juliet.hear("type='unsubscribed'");
    assert!(heard.contains("type='unavailable'") && heard.contains("type='unsubscribe'"), "{heard}");
    pushed(&mut juliet, "romeo", "none", false);
    romeo.round_trip();
    romeo.say("<presence><show>xa</show></presence>");
    romeo.round_trip();
    assert!(!juliet.round_trip().contains("xa"));
}

#[test]
fn requests_to_nobody_and_to_oneself() {
    let server = server();
    let mut romeo = online(&server, "romeo", "orchard");
    presence(&mut romeo, "subscribe", "nobody");
    pushed(&mut romeo, "nobody", "none", true);
    // Whether there is such an account does not show.
    assert!(!romeo.round_trip().contains("error"));
    presence(&mut romeo, "subscribe", "romeo");
    let heard = romeo.hear("</presence>");
    assert!(heard.contains("type='error'"), "{heard}");
}

/// As RFC 6121 has it (§4.2.2, §4.3.2): some clients keep presence by whom it was addressed to.
#[test]
fn presence_is_addressed_to_the_account_that_gets_it() {
    let server = server();
    let mut romeo = online(&server, "romeo", "orchard");
    let mut juliet = online(&server, "juliet", "balcony");
    let next = |raw: &mut Raw, from: &str| loop {
        let tag = raw.hear_between("<presence ", ">");
        if tag.contains(&format!("from='{from}'")) && !tag.contains("type='subscribe") {
            return tag;
        }
    };
    presence(&mut romeo, "subscribe", "juliet");
    hears(&mut juliet, "subscribe", "romeo");
    presence(&mut juliet, "subscribed", "romeo");
    let granted = next(&mut romeo, "juliet@localhost/balcony");
    juliet.say("<presence id='away'><show>away</show></presence>");
    let (own, told) = (next(&mut juliet, "juliet@localhost/balcony"), next(&mut romeo, "juliet@localhost/balcony"));
    assert!(own.contains("to='juliet@localhost'"), "{own}");
    // The answer to the question of who comes, to a contact and to another client of one's own.
    let mut street = Raw::login(&server, "romeo", "street");
    street.say("<presence/>");
    let (probed, other) = (next(&mut street, "juliet@localhost/balcony"), next(&mut romeo, "romeo@localhost/street"));
    drop(juliet);
    let gone = next(&mut romeo, "juliet@localhost/balcony");
    for tag in [granted, told, probed, other, gone] {
        assert!(tag.contains("to='romeo@localhost'"), "{tag}");
    }
}

/// More of them than may wait for their turn.
#[test]
fn many_requests_at_once_do_not_keep_an_account_from_its_roster() {
    let server = Server::start(&["--shards", "2", "--scram-iterations", "4096", "--connection-rate", "1000/s:1000"]);
    server.add_user("juliet");
    let names: Vec<_> = (0..400).map(|number| format!("suitor{number}")).collect();
    let list: String = names.iter().map(|name| format!("{name}@localhost secret\n")).collect();
    assert!(user(&server.data(), &["add", "--stdin"], &list).status.success());
    let mut juliet = online(&server, "juliet", "balcony");
    let mut suitors: Vec<_> = names.iter().map(|name| Raw::login(&server, name, "street")).collect();
    for kind in ["subscribe", "unsubscribe"] {
        for suitor in &mut suitors {
            presence(suitor, kind, "juliet");
        }
        for _ in 0..20 {
            let answer = juliet.ask("get", None, "<query xmlns='jabber:iq:roster'/>");
            assert!(answer.contains("type='result'"), "{answer}");
        }
    }
}
