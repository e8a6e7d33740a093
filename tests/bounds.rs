//! Bounds of what is kept for an account and for its clients: each with a small value, until it is reached. Those of
//! rosters, private data, offline messages, published sizes and archive pages are tested beside what they belong to.

mod common;

use std::time::Instant;

use common::follower::Follower;
use common::people::{resumable, resume};
use common::{PATIENCE, Raw, Server};

fn server(flags: &[&str]) -> Server {
    let server = Server::start(&[&["--shards", "1"], flags].concat());
    ["romeo", "juliet", "nurse", "paris"].iter().for_each(|user| server.add_user(user));
    server
}

fn message(to: &str, body: &str) -> String {
    format!("<message to='{to}@localhost' type='chat'><body>{body}</body></message>")
}

#[test]
fn strangers_that_ask_are_so_many_and_no_more() {
    let server = server(&["--roster-requests", "2"]);
    for user in ["romeo", "nurse", "paris"] {
        let mut asking = Raw::online(&server, user, "hall");
        asking.say("<presence type='subscribe' to='juliet@localhost'/>");
        let heard = asking.round_trip();
        assert!(!heard.contains("error"), "{heard}");
    }
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let heard = juliet.round_trip();
    assert_eq!(heard.matches("type='subscribe'").count(), 2, "{heard}");
    assert!(!heard.contains("paris"), "{heard}");
}

#[test]
fn a_blocklist_is_so_long_and_no_longer() {
    let server = server(&["--blocklist-addresses", "2"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut block = |jids: &[&str]| {
        let items: String = jids.iter().map(|jid| format!("<item jid='{jid}@localhost'/>")).collect();
        juliet.ask("set", None, &format!("<block xmlns='urn:xmpp:blocking'>{items}</block>"))
    };
    let heard = block(&["a", "b", "c"]);
    assert!(heard.contains("<policy-violation"), "{heard}");
    let heard = block(&["a", "paris"]);
    assert!(heard.contains("type='result'"), "{heard}");
    let heard = block(&["c"]);
    assert!(heard.contains("<policy-violation"), "{heard}");
    let heard = juliet.ask("get", None, "<blocklist xmlns='urn:xmpp:blocking'/>");
    assert_eq!(heard.matches("<item ").count(), 2, "{heard}");
}

#[test]
fn a_card_is_so_large_and_no_larger() {
    let server = server(&["--vcard-size", "1kB"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let card = |bytes| format!("<vCard xmlns='vcard-temp'><FN>{}</FN></vCard>", "x".repeat(bytes));
    let heard = juliet.ask("set", None, &card(900));
    assert!(heard.contains("type='result'"), "{heard}");
    let heard = juliet.ask("set", None, &card(1000));
    assert!(heard.contains("<policy-violation"), "{heard}");
    let heard = juliet.ask("get", None, "<vCard xmlns='vcard-temp'/>");
    assert!(heard.contains(&card(900)), "the card that fits stays: {heard}");
}

#[test]
fn sessions_that_wait_are_so_many_and_no_more() {
    let mut server = server(&["--waiting-sessions", "1"]);
    let (romeo, his) = resumable(&server, "romeo", "orchard");
    let (juliet, hers) = resumable(&server, "juliet", "balcony");
    drop(romeo);
    server.wait_for_log(|line| line.contains("session waits for its client"));
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    nurse.say("<presence to='juliet@localhost/balcony'/>");
    drop(juliet);
    // There is no room for her: her session ends with its connection, and messages wait for the next one.
    server.wait_for_log(|line| line.contains("\"session ends") && line.contains("juliet"));
    nurse.say(&message("juliet", "one"));
    nurse.round_trip();
    let (mut juliet, heard) = resume(&server, "juliet", &hers, 0);
    assert!(heard.contains("<item-not-found"), "{heard}");
    juliet.say(
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>\
         <presence/>",
    );
    juliet.hear("<body>one</body>");
    let (_, heard) = resume(&server, "romeo", &his, 0);
    assert!(heard.starts_with("<resumed"), "{heard}");
}

/// A client that is sent too much without acknowledging it is cut off, and loses nothing.
#[test]
fn what_a_client_leaves_unacknowledged_is_bounded_in_number_and_size() {
    let long = "x".repeat(8000);
    for (flags, body, count) in
        [(["--unacknowledged-stanzas", "10"], "few", 12), (["--unacknowledged-size", "64KiB"], &*long, 12)]
    {
        let server = server(&flags);
        let (mut juliet, id) = resumable(&server, "juliet", "balcony");
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        for number in 0..count {
            romeo.say(&message("juliet", &format!("{number}: {body}")));
        }
        assert!(!romeo.round_trip().contains("error"));
        let heard = juliet.hear_rest();
        assert!(heard.contains("<policy-violation") || heard.contains("<resource-constraint"), "{flags:?}: {heard}");
        let (_, heard) = resume(&server, "juliet", &id, 1);
        assert!(heard.contains("<item-not-found"), "{flags:?}: {heard}");
        let mut juliet = Raw::login(&server, "juliet", "balcony");
        juliet.say("<presence/>");
        for number in 0..count {
            let heard = juliet.hear("</message>");
            assert!(heard.contains(&format!("<body>{number}: ")), "{flags:?} {number}: {heard}");
        }
        assert!(!juliet.round_trip().contains("<message"));
    }
}

#[test]
fn what_is_held_back_is_bounded() {
    let server = server(&["--held-size", "4KiB"]);
    let mut phone = Raw::online(&server, "juliet", "phone");
    phone.say("<inactive xmlns='urn:xmpp:csi:0'/>");
    phone.round_trip();
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let receipt = |number| {
        let filling = "x".repeat(500);
        let receipt = format!("<received xmlns='urn:xmpp:receipts' id='{number}{filling}'/>");
        format!("<message to='juliet@localhost/phone'>{receipt}</message>")
    };
    (0..20).for_each(|number| romeo.say(&receipt(number)));
    romeo.round_trip();
    // More than fits has come: what was held back is sent without anybody looking at the phone.
    let heard = phone.hear("<received xmlns='urn:xmpp:receipts' id='6");
    assert!(heard.contains("id='0xxx") && heard.contains("id='5xxx"), "{heard}");
}

#[test]
fn what_is_published_is_bounded_in_items_and_subscriptions() {
    let server = server(&["--pubsub-items", "16", "--pubsub-subscriptions", "8"]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    let pubsub = |content: &str| format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub>");
    let field = |var: &str, value: &str| format!("<field var='pubsub#{var}'><value>{value}</value></field>");
    let publish = |id: usize, max: &str| {
        pubsub(&format!(
            "<publish node='n'><item id='i{id}'><t xmlns='urn:t'/></item></publish><publish-options>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/protocol/pubsub#publish-options</value></field>{}{}</x></publish-options>",
            field("max_items", max),
            field("access_model", "open"),
        ))
    };
    for id in 0..18 {
        let heard = juliet.ask("set", None, &publish(id, "max"));
        assert!(heard.contains("type='result'"), "{heard}");
    }
    let heard = juliet.ask("get", None, &pubsub("<items node='n'/>"));
    assert_eq!(heard.matches("<item ").count(), 16, "{heard}");
    assert!(heard.contains("id='i17'") && !heard.contains("id='i1'"), "{heard}");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    for number in 0..9 {
        let subscribe = pubsub(&format!("<subscribe node='n' jid='romeo@localhost/{number}'/>"));
        let heard = romeo.ask("set", Some("juliet@localhost"), &subscribe);
        let expected = if number < 8 { "subscription='subscribed'" } else { "<policy-violation" };
        assert!(heard.contains(expected), "{number}: {heard}");
    }
}

/// How many messages Juliet finds in her archive.
fn archived(juliet: &mut Raw) -> usize {
    juliet.say(
        "<iq type='set' id='count'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>\
         <max>250</max></set></query></iq>",
    );
    juliet.hear("<fin ").matches("<result ").count()
}

/// Does something again and again until an archive has no more messages than that.
fn until_archived(juliet: &mut Raw, most: usize, mut meanwhile: impl FnMut()) {
    let until = Instant::now() + PATIENCE;
    loop {
        meanwhile();
        let count = archived(juliet);
        if count <= most {
            return;
        }
        assert!(Instant::now() < until, "{count}");
    }
}

#[test]
fn what_is_archived_is_bounded_in_age_and_size() {
    // All of it fits into one page.
    let flags = ["--outbox-limit", "8MiB", "--unacknowledged-size", "16MiB"];
    let people = |server: &Server| {
        let mut romeo = Raw::online(server, "romeo", "orchard");
        let say = move |count: usize| {
            let text = "x".repeat(20_000);
            (0..count).for_each(|_| romeo.say(&message("juliet", &text)));
            romeo.round_trip();
        };
        (Raw::online(server, "juliet", "balcony"), say)
    };
    let server = server(&flags);
    let (mut juliet, mut say) = people(&server);
    say(100);
    (0..100).for_each(|_| drop(juliet.hear("</message>")));
    assert_eq!(archived(&mut juliet), 100);
    // The size is looked at now and then while more comes. Beyond 1 MiB there is what came since.
    let server = server.kill_and_restart(&[&flags[..], &["--archive-size", "1MiB"]].concat());
    let (mut juliet, mut say) = people(&server);
    until_archived(&mut juliet, 80, || say(20));
    let server = server.kill_and_restart(&[&flags[..], &["--archive-retention", "1s"]].concat());
    let (mut juliet, _) = people(&server);
    until_archived(&mut juliet, 0, || ());
}
