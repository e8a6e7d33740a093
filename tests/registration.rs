//! Accounts that clients make for themselves, change and remove (XEP-0077), on the real binary: each rule and each
//! error.

mod common;

use common::people::{befriend, is_right};
use common::strangers::{OPEN, is_error, open, query, refused, register, stranger, stranger_from};
use common::{HEADER, Raw, Server, tls};
use rustls::version::TLS13;

const FEATURE: &str = "<register xmlns='http://jabber.org/features/iq-register'/>";

#[test]
fn it_is_offered_only_where_it_is_allowed_and_safe() {
    let closed = Server::start(&[]);
    let mut raw = Raw::connect(closed.address);
    raw.say(HEADER);
    assert!(!raw.hear("</stream:features>").contains("iq-register"));
    refused(&raw.ask("get", None, &query("")), "cancel", "service-unavailable");
    refused(&register(&mut raw, "juliet", "secret"), "cancel", "service-unavailable");
    let safe = Server::start_with(tempfile::tempdir().unwrap(), &[&["--dev"], OPEN].concat());
    let mut raw = Raw::connect(safe.address);
    raw.say(HEADER);
    assert!(!raw.hear("</stream:features>").contains("iq-register"));
    refused(&raw.ask("get", None, &query("")), "modify", "policy-violation");
    let mut raw = tls::starttls(&safe, &TLS13);
    raw.say(HEADER);
    assert!(raw.hear("</stream:features>").contains(FEATURE));
    let offer = raw.ask("get", Some("localhost"), &query(""));
    for part in ["type='result'", "<instructions>", "<username/>", "<password/>", "<x xmlns='jabber:x:data'"] {
        assert!(offer.contains(part), "{part}: {offer}");
    }
}

#[test]
fn whoever_registers_logs_in_on_the_same_stream() {
    let server = open(&[]);
    let mut raw = stranger(&server);
    let answer = raw.ask("set", Some("localhost"), &query("<username>Juliet</username><password>secret</password>"));
    assert!(answer.contains("type='result'") && answer.contains("from='localhost'"), "{answer}");
    assert!(is_right(&server, "juliet", "secret"));
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register</value></field>\
                <field var='username'><value>romeo</value></field><field var='password'><value>secret</value></field>\
                </x>";
    assert!(raw.ask("set", None, &query(form)).contains("type='result'"));
    assert!(is_right(&server, "romeo", "secret"));
    drop(Raw::online(&server, "romeo", "orchard"));
}

#[test]
fn each_mistake_has_its_error() {
    let server = Server::start(&["--registration", "open", "--refused-names", "^bot", "--login-tries", "20"]);
    server.add_user("juliet");
    let mut raw = stranger(&server);
    let strong = "a rose by any other name";
    let mistakes = [
        (register(&mut raw, "juliet", strong), "cancel", "conflict"),
        (register(&mut raw, "a b@c", strong), "modify", "not-acceptable"),
        (register(&mut raw, "", strong), "modify", "not-acceptable"),
        (register(&mut raw, "romeo", ""), "modify", "not-acceptable"),
        (register(&mut raw, "admin", strong), "modify", "not-acceptable"),
        (register(&mut raw, "аdmin", strong), "modify", "not-acceptable"),
        (register(&mut raw, "jo", strong), "modify", "not-acceptable"),
        (register(&mut raw, "bottom", strong), "modify", "not-acceptable"),
        (register(&mut raw, "romeo", "short"), "modify", "not-acceptable"),
        (register(&mut raw, "romeo", "password123"), "modify", "not-acceptable"),
        (raw.ask("set", None, &query("<remove/>")), "auth", "registration-required"),
        (raw.ask("set", None, &query("<x xmlns='jabber:x:data' type='cancel'/>")), "modify", "bad-request"),
    ];
    for (answer, kind, condition) in &mistakes {
        refused(answer, kind, condition);
    }
    assert!(mistakes[2].0.contains("The field username is missing."), "{}", mistakes[2].0);
    assert!(mistakes[3].0.contains("The field password is missing."), "{}", mistakes[3].0);
    assert!(mistakes[8].0.contains("Please use a longer password."), "{}", mistakes[8].0);
    assert!(mistakes[9].0.contains("The password is too weak"), "{}", mistakes[9].0);
    assert!(register(&mut raw, "romeo", strong).contains("type='result'"));
    assert!(is_right(&server, "romeo", strong));
}

#[test]
fn who_tries_too_often_on_one_stream_is_sent_away() {
    let server = open(&["--login-tries", "2"]);
    let mut raw = stranger(&server);
    refused(&register(&mut raw, "", "secret"), "modify", "not-acceptable");
    refused(&register(&mut raw, "", "secret"), "modify", "not-acceptable");
    raw.say("<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>a</username></query></iq>");
    assert!(raw.hear_rest().contains("<policy-violation "));
}

#[test]
fn addresses_are_refused_or_the_only_ones() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list");
    std::fs::write(&list, "127.0.0.2\n127.0.0.128/25\n").unwrap();
    let list = list.to_str().unwrap();
    let mut server = open(&["--registration-blocklist", list]);
    let tries = |server: &Server, address: &str, name: &str| {
        let mut raw = stranger_from(server, address);
        refused_or_not(register(&mut raw, name, "secret"))
    };
    assert!(!tries(&server, "127.0.0.2", "a1") && !tries(&server, "127.0.0.200", "a2"));
    assert!(tries(&server, "127.0.0.1", "a3"));
    std::fs::write(list, "127.0.0.200\n").unwrap();
    server.signal("-HUP");
    server.wait_for_log(|line| line.contains("certificates read again"));
    server.wait_for_log(|line| line.contains("rules of registration read again"));
    assert!(tries(&server, "127.0.0.2", "a4") && !tries(&server, "127.0.0.200", "a5"));
    let only = open(&["--registration-allowlist", "127.0.0.2", "--registration-allowlist-only", "on"]);
    assert!(tries(&only, "127.0.0.2", "b1") && !tries(&only, "127.0.0.1", "b2"));
}

/// Whether an account was made; if not, it is because of the address.
fn refused_or_not(answer: String) -> bool {
    let is_refused = is_error(&answer, "auth", "forbidden");
    assert!(is_refused || answer.contains("type='result'"), "{answer}");
    !is_refused
}

#[test]
fn an_address_waits_between_registrations() {
    let server = open(&["--shards", "2", "--registration-interval", "1h", "--registration-allowlist", "127.0.0.9"]);
    let answers: Vec<_> =
        (0..6).map(|number| register(&mut stranger(&server), &format!("user{number}"), "secret")).collect();
    assert!(answers[0].contains("type='result'"), "{}", answers[0]);
    for answer in &answers[1..] {
        refused(answer, "wait", "policy-violation");
        assert!(answer.contains("Too many registrations from this address."), "{answer}");
    }
    assert!(register(&mut stranger_from(&server, "127.0.0.2"), "other", "secret").contains("type='result'"));
    for name in ["friend1", "friend2"] {
        assert!(register(&mut stranger_from(&server, "127.0.0.9"), name, "secret").contains("type='result'"));
    }
}

#[test]
fn a_day_counts_over_restarts() {
    let more =
        ["--registration-interval", "0", "--registrations-per-day", "2", "--registration-allowlist", "127.0.0.9"];
    let flags = [OPEN, &more].concat();
    let server = Server::start(&flags);
    let made = |server: &Server, name: &str| register(&mut stranger(server), name, "secret").contains("type='result'");
    assert!(made(&server, "one"));
    assert!(!made(&server, "one"), "what is taken does not count");
    let server = server.kill_and_restart(&flags);
    assert!(made(&server, "two") && !made(&server, "three"));
    let server = server.kill_and_restart(&flags);
    refused(&register(&mut stranger(&server), "three", "secret"), "wait", "policy-violation");
}

#[test]
fn an_account_changes_its_password() {
    let server = Server::start(&["--shards", "2"]);
    server.add_user("juliet");
    let (mut juliet, mut other) = (Raw::online(&server, "juliet", "balcony"), Raw::online(&server, "juliet", "garden"));
    let registered = juliet.ask("get", Some("localhost"), &query(""));
    assert!(registered.contains("<registered/><username>juliet</username><password/>"), "{registered}");
    let strong = "a rose by any other name";
    let change = |raw: &mut Raw, name: &str, password: &str| {
        let fields = format!("<username>{name}</username><password>{password}</password>");
        raw.ask("set", Some("localhost"), &query(&fields))
    };
    refused(&change(&mut juliet, "romeo", strong), "modify", "bad-request");
    refused(&change(&mut juliet, "juliet", ""), "modify", "bad-request");
    refused(&change(&mut juliet, "juliet", "password1"), "modify", "not-acceptable");
    refused(&juliet.ask("set", None, &query("")), "modify", "bad-request");
    assert!(is_right(&server, "juliet", "secret"));
    let answer = change(&mut juliet, "juliet", strong);
    assert!(answer.contains("type='result'") && !answer.contains("rose"), "{answer}");
    assert!(other.hear_rest().contains("<reset "), "other sessions log in again");
    assert!(!is_right(&server, "juliet", "secret") && is_right(&server, "juliet", strong));
}

#[test]
fn an_account_goes_and_its_contacts_learn_of_it() {
    let server = Server::start(&["--shards", "2"]);
    ["juliet", "romeo"].iter().for_each(|user| server.add_user(user));
    let (mut juliet, mut romeo) = (Raw::online(&server, "juliet", "balcony"), Raw::online(&server, "romeo", "orchard"));
    let mut other = Raw::online(&server, "juliet", "garden");
    befriend((&mut juliet, "juliet"), (&mut romeo, "romeo"));
    // Subscriptions are for those who follow the roster.
    romeo.ask("get", None, "<query xmlns='jabber:iq:roster'/>");
    refused(&juliet.ask("set", None, &query("<remove/><username/>")), "modify", "bad-request");
    assert!(juliet.ask("set", None, &query("<remove/>")).contains("type='result'"));
    for raw in [&mut juliet, &mut other] {
        assert!(raw.hear_rest().contains("<not-authorized "));
    }
    // Both of her resources are gone for him.
    for kind in ["unsubscribe", "unavailable", "unavailable", "unsubscribed"] {
        let stanza = romeo.hear_stanza("presence");
        assert!(stanza.contains(&format!("type='{kind}'")) && stanza.contains("from='juliet@localhost"), "{stanza}");
    }
    assert!(!is_right(&server, "juliet", "secret"));
    let roster = romeo.ask("get", None, "<query xmlns='jabber:iq:roster'/>");
    assert!(roster.contains("subscription='none'"), "{roster}");
}
