//! Personal eventing (XEP-0163): what an account publishes, who may read it, and who hears of it.

mod common;

use common::follower::{Follower, subscribe};
use common::{Raw, Server};

const MOOD: &str = "http://jabber.org/protocol/mood";
const TUNE: &str = "http://jabber.org/protocol/tune";

fn server(flags: &[&str]) -> Server {
    let server =
        Server::start(&if flags.contains(&"--shards") { flags.to_vec() } else { [&["--shards", "2"], flags].concat() });
    for user in ["romeo", "juliet", "nurse"] {
        server.add_user(user);
    }
    server
}

/// `<pubsub/>` with an item.
fn publish(node: &str, id: &str, payload: &str, options: &[(&str, &str)]) -> String {
    let item = format!("<publish node='{node}'><item id='{id}'>{payload}</item></publish>");
    let field = |(var, value): &(&str, &str)| format!("<field var='pubsub#{var}'><value>{value}</value></field>");
    let fields: String = options.iter().map(field).collect();
    let form_type = "http://jabber.org/protocol/pubsub#publish-options";
    let options = format!(
        "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>{form_type}</value></field>{fields}</x></publish-options>"
    );
    pubsub(&if fields.is_empty() { item } else { item + &options })
}

fn pubsub(content: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub>")
}

fn owners(content: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>{content}</pubsub>")
}

fn items(node: &str) -> String {
    pubsub(&format!("<items node='{node}'/>"))
}

fn mood(mood: &str) -> String {
    format!("<mood xmlns='{MOOD}'><{mood}/></mood>")
}

fn disco(what: &str, node: &str) -> String {
    let node = if node.is_empty() { String::new() } else { format!(" node='{node}'") };
    format!("<query xmlns='http://jabber.org/protocol/disco#{what}'{node}/>")
}

#[test]
fn what_is_published_can_be_read_and_is_heard_of_by_the_accounts_own_clients() {
    let server = server(&[]);
    let mut balcony = Follower::online(&server, "juliet", "balcony", &[MOOD]);
    let mut chamber = Follower::online(&server, "juliet", "chamber", &[]);
    let answer = chamber.set(None, &publish(MOOD, "a", &mood("happy"), &[]));
    assert!(answer.contains("type='result'"), "{answer}");
    let event = balcony.event(MOOD);
    assert!(event.contains("from='juliet@localhost'") && event.contains("to='juliet@localhost/balcony'"), "{event}");
    assert!(event.contains("type='headline'") && event.contains("<item id='a'><mood"), "{event}");
    assert!(event.contains("jid='juliet@localhost/chamber'"), "who has published: {event}");
    // The other one has not asked for it.
    assert!(!chamber.round_trip().contains("<event"));
    assert!(chamber.get(None, &items(MOOD)).contains("<happy/>"));
    let server = server.kill_and_restart(&["--shards", "2"]);
    let mut balcony = Follower::online(&server, "juliet", "balcony", &[MOOD, TUNE]);
    let event = balcony.event(MOOD);
    assert!(event.contains("<happy/>") && event.contains("<delay xmlns='urn:xmpp:delay'"), "{event}");
    // Presence that is not the first one brings nothing.
    balcony.say("<presence><show>away</show></presence>");
    assert!(!balcony.round_trip().contains("<event"));
    let retract = pubsub(&format!("<retract node='{MOOD}'><item id='a'/></retract>"));
    assert!(balcony.set(None, &retract).contains("type='result'"));
    assert!(balcony.event(MOOD).contains("<retract id='a'/>"));
    assert!(!balcony.get(None, &items(MOOD)).contains("<item "));
    let again = balcony.set(None, &retract);
    assert!(again.contains("<item-not-found"), "{again}");
}

#[test]
fn contacts_hear_of_what_they_want_and_strangers_of_nothing() {
    let server = server(&[]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[MOOD]);
    let mut street = Follower::online(&server, "romeo", "street", &[TUNE]);
    let mut nurse = Follower::online(&server, "nurse", "hall", &[MOOD]);
    subscribe(&mut romeo, &mut juliet);
    juliet.set(None, &publish(MOOD, "a", &mood("happy"), &[]));
    let event = romeo.event(MOOD);
    assert!(event.contains("to='romeo@localhost/orchard'") && event.contains("<happy/>"), "{event}");
    for other in [&mut street, &mut nurse] {
        let heard = other.round_trip();
        assert!(!heard.contains("<event"), "{heard}");
    }
    assert!(romeo.get(Some("juliet@localhost"), &items(MOOD)).contains("<happy/>"));
    // It is hers to change.
    let answer = romeo.set(Some("juliet@localhost"), &publish(MOOD, "b", &mood("sad"), &[]));
    assert!(answer.contains("<forbidden"), "{answer}");
    // Who is blocked hears no more, on either side.
    let block = |user: &str| format!("<block xmlns='urn:xmpp:blocking'><item jid='{user}@localhost'/></block>");
    let unblock = "<unblock xmlns='urn:xmpp:blocking'/>";
    juliet.set(None, &block("romeo"));
    juliet.set(None, &publish(MOOD, "a", &mood("angry"), &[]));
    juliet.set(None, unblock);
    romeo.set(None, &block("juliet"));
    juliet.set(None, &publish(MOOD, "a", &mood("bored"), &[]));
    juliet.round_trip();
    romeo.round_trip();
    romeo.set(None, unblock);
    juliet.set(None, &publish(MOOD, "a", &mood("calm"), &[]));
    let heard = romeo.hear("</message>");
    assert!(heard.contains("<calm/>") && !heard.contains("<angry/>") && !heard.contains("<bored/>"), "{heard}");
    // Nor does somebody whose subscription has ended.
    juliet.say("<presence type='unsubscribed' to='romeo@localhost'/>");
    romeo.hear("type='unsubscribed'");
    juliet.set(None, &publish(MOOD, "a", &mood("free"), &[]));
    assert!(!romeo.round_trip().contains("<event"));
    let answer = romeo.get(Some("juliet@localhost"), &items(MOOD));
    assert!(answer.contains("<service-unavailable"), "{answer}");
}

#[test]
fn who_comes_online_gets_the_newest_items_of_contacts_that_may_be_offline() {
    let server = server(&[]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[MOOD]);
    juliet.set(None, &publish(MOOD, "a", &mood("happy"), &[]));
    juliet.set(None, &publish(TUNE, "t", &format!("<tune xmlns='{TUNE}'/>"), &[]));
    let never = [("access_model", "presence"), ("send_last_published_item", "never")];
    juliet.set(None, &publish("urn:example:quiet", "q", &mood("calm"), &never));
    // Not before there is a subscription.
    assert!(!romeo.round_trip().contains("<event"));
    subscribe(&mut romeo, &mut juliet);
    assert!(romeo.event(MOOD).contains("<happy/>"));
    drop(romeo);
    drop(juliet);
    let server = server.kill_and_restart(&["--shards", "2"]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[MOOD, "urn:example:quiet"]);
    let event = romeo.event(MOOD);
    assert!(event.contains("from='juliet@localhost'") && event.contains("<delay"), "{event}");
    assert!(!romeo.round_trip().contains("<event"));
    // Who has blocked somebody stays silent for it, online or not.
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    juliet.set(None, "<block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block>");
    drop(juliet);
    drop(romeo);
    let server = server.kill_and_restart(&["--shards", "2"]);
    let mut nurse = Follower::online(&server, "nurse", "hall", &[MOOD]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[MOOD]);
    for other in [&mut nurse, &mut romeo] {
        assert!(!other.round_trip().contains("<event"));
    }
}

#[test]
fn what_is_private_does_not_show() {
    let server = server(&[]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &["urn:example:private"]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &["urn:example:private"]);
    let mut nurse = Follower::online(&server, "nurse", "hall", &[]);
    subscribe(&mut romeo, &mut juliet);
    let options = [("persist_items", "true"), ("access_model", "whitelist")];
    let private = publish("urn:example:private", "a", &mood("secret"), &options);
    assert!(juliet.set(None, &private).contains("type='result'"));
    juliet.event("urn:example:private");
    assert!(!romeo.round_trip().contains("<event"));
    let answer = romeo.get(Some("juliet@localhost"), &items("urn:example:private"));
    assert!(answer.contains("<closed-node") && !answer.contains("<secret"), "{answer}");
    let listed = romeo.get(Some("juliet@localhost"), &disco("items", ""));
    assert!(listed.contains("type='result'") && !listed.contains("private"), "{listed}");
    // The other way round a condition is not met.
    let open = publish("urn:example:private", "a", &mood("open"), &[("access_model", "open")]);
    assert!(juliet.set(None, &open).contains("<precondition-not-met"));
    // A stranger does not learn that there is such an account.
    let questions = [
        ("get", items("urn:example:private")),
        ("get", pubsub("<subscriptions/>")),
        ("get", pubsub("<nonsense/>")),
        ("set", pubsub("<subscribe node='urn:example:private' jid='nurse@localhost'/>")),
        ("set", publish(MOOD, "x", &mood("mad"), &[])),
        ("get", owners("<default/>")),
        ("set", owners("<delete node='urn:example:private'/>")),
        ("get", disco("info", "")),
        ("get", disco("items", "")),
        ("get", disco("info", "urn:example:private")),
        ("set", disco("info", "")),
    ];
    for (kind, question) in questions {
        let answers = ["juliet", "nobody"].map(|user| {
            let to = format!("{user}@localhost");
            nurse.ask(kind, Some(&to), &question).replace(&to, "")
        });
        assert!(answers[0].contains("<service-unavailable"), "{question}: {}", answers[0]);
        assert_eq!(answers[0], answers[1], "{question}");
    }
}

#[test]
fn nodes_for_groups_of_the_roster() {
    let server = server(&[]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[MOOD]);
    let mut nurse = Follower::online(&server, "nurse", "hall", &[MOOD]);
    subscribe(&mut romeo, &mut juliet);
    subscribe(&mut nurse, &mut juliet);
    let group = |user: &str, group: &str| {
        let item = format!("<item jid='{user}@localhost'><group>{group}</group></item>");
        format!("<query xmlns='jabber:iq:roster'>{item}</query>")
    };
    juliet.set(None, &group("romeo", "Friends"));
    juliet.set(None, &group("nurse", "Servants"));
    let options = [("access_model", "roster"), ("roster_groups_allowed", "Friends")];
    assert!(juliet.set(None, &publish(MOOD, "a", &mood("happy"), &options)).contains("type='result'"));
    assert!(romeo.event(MOOD).contains("<happy/>"));
    assert!(!nurse.round_trip().contains("<event"));
    let answer = nurse.get(Some("juliet@localhost"), &items(MOOD));
    assert!(answer.contains("<not-in-roster-group"), "{answer}");
    assert!(romeo.get(Some("juliet@localhost"), &items(MOOD)).contains("<happy/>"));
    let mut garden = Follower::online(&server, "romeo", "garden", &[MOOD]);
    assert!(garden.event(MOOD).contains("<happy/>"));
    // An explicit subscription ends with the place in the group.
    let question = pubsub(&format!("<subscribe node='{MOOD}' jid='romeo@localhost'/>"));
    assert!(romeo.set(Some("juliet@localhost"), &question).contains("subscription='subscribed'"));
    juliet.set(None, &group("romeo", "Strangers"));
    let heard = romeo.hear("subscription='none'");
    assert!(heard.contains("from='juliet@localhost'"), "{heard}");
    let answer = romeo.get(Some("juliet@localhost"), &items(MOOD));
    assert!(answer.contains("<not-in-roster-group"), "{answer}");
}

#[test]
fn who_has_subscribed_hears_of_it_without_being_a_contact() {
    let server = server(&[]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    let mut nurse = Follower::online(&server, "nurse", "hall", &[]);
    juliet.set(None, &publish("blog", "a", &mood("happy"), &[("access_model", "open"), ("max_items", "5")]));
    assert!(nurse.get(Some("juliet@localhost"), &disco("items", "")).contains("node='blog'"));
    let question = |node: &str| pubsub(&format!("<subscribe node='{node}' jid='nurse@localhost'/>"));
    let answer = nurse.set(Some("juliet@localhost"), &question("blog"));
    assert!(answer.contains("subscription='subscribed'"), "{answer}");
    assert!(nurse.event("blog").contains("<happy/>"), "the newest item comes with the subscription");
    juliet.set(None, &publish("blog", "b", &mood("sad"), &[]));
    let event = nurse.event("blog");
    assert!(event.contains("to='nurse@localhost'") && event.contains("<sad/>"), "{event}");
    assert!(!event.contains("replyto"), "she need not know which client it was: {event}");
    // With her approval.
    juliet.set(None, &publish("club", "a", &mood("happy"), &[("access_model", "authorize")]));
    let answer = nurse.set(Some("juliet@localhost"), &question("club"));
    assert!(answer.contains("subscription='pending'"), "{answer}");
    let request = juliet.hear("</message>");
    assert!(request.contains("<value>nurse@localhost</value>"), "{request}");
    assert!(nurse.get(Some("juliet@localhost"), &items("club")).contains("<not-subscribed"));
    let field = |var: &str, value: &str| format!("<field var='pubsub#{var}'><value>{value}</value></field>");
    let fields = field("node", "club") + &field("subscriber_jid", "nurse@localhost") + &field("allow", "true");
    let form_type = "http://jabber.org/protocol/pubsub#subscribe_authorization";
    juliet.say(&format!(
        "<message to='juliet@localhost'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>{form_type}</value></field>{fields}</x></message>"
    ));
    nurse.hear("subscription='subscribed'");
    assert!(nurse.event("club").contains("<happy/>"));
    assert!(nurse.get(Some("juliet@localhost"), &items("club")).contains("<happy/>"));
}

#[test]
fn what_has_been_displayed_is_known_to_the_other_clients() {
    let node = "urn:xmpp:mds:displayed:0";
    let server = server(&[]);
    let mut balcony = Follower::online(&server, "juliet", "balcony", &[node]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[node]);
    subscribe(&mut romeo, &mut balcony);
    let mut chamber = Follower::online(&server, "juliet", "chamber", &[]);
    let options = [
        ("persist_items", "true"),
        ("max_items", "max"),
        ("send_last_published_item", "never"),
        ("access_model", "whitelist"),
    ];
    for (chat, id) in [("romeo@localhost", "1"), ("nurse@localhost", "2"), ("romeo@localhost", "3")] {
        let stanza_id = format!("<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='{id}'/>");
        let displayed = format!("<displayed xmlns='{node}'>{stanza_id}</displayed>");
        let answer = chamber.set(None, &publish(node, chat, &displayed, &options));
        assert!(answer.contains("type='result'"), "{answer}");
        let event = balcony.event(node);
        assert!(event.contains(&format!("<item id='{chat}'>")) && event.contains(&format!("id='{id}'")), "{event}");
    }
    let all = chamber.get(None, &items(node));
    assert!(all.contains("id='3'") && all.contains("id='2'") && !all.contains("id='1'"), "{all}");
    assert!(!romeo.round_trip().contains("<event"));
    assert!(romeo.get(Some("juliet@localhost"), &items(node)).contains("<closed-node"));
    // Nothing comes by itself.
    let mut garden = Follower::online(&server, "juliet", "garden", &[node]);
    assert!(!garden.round_trip().contains("<event"));
}

#[test]
fn what_an_account_is_and_has() {
    let server = server(&[]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[]);
    subscribe(&mut romeo, &mut juliet);
    juliet.set(None, &publish(MOOD, "a", &mood("happy"), &[("title", "How I feel")]));
    let own = juliet.get(None, &disco("info", ""));
    let contacts = romeo.get(Some("juliet@localhost"), &disco("info", ""));
    for info in [&own, &contacts] {
        assert!(info.contains("category='account' type='registered'"), "{info}");
        assert!(info.contains("category='pubsub' type='pep'"), "{info}");
        for feature in ["http://jabber.org/protocol/pubsub#publish-options", "urn:xmpp:pep-vcard-conversion:0"] {
            assert!(info.contains(&format!("<feature var='{feature}'/>")), "{info}");
        }
        assert!(info.contains("urn:xmpp:bookmarks:1#compat'"), "{info}");
    }
    // Where XEP-0223 has clients look.
    assert!(juliet.get(Some("localhost"), &disco("info", "")).contains("category='pubsub' type='pep'"));
    let listed = romeo.get(Some("juliet@localhost"), &disco("items", ""));
    assert!(listed.contains(&format!("node='{MOOD}'")) && listed.contains("name='How I feel'"), "{listed}");
    let node = romeo.get(Some("juliet@localhost"), &disco("info", MOOD));
    assert!(node.contains("type='leaf'") && node.contains("<value>How I feel</value>"), "{node}");
    let listed = juliet.get(None, &disco("items", MOOD));
    assert!(listed.contains("name='a'"), "{listed}");
}

#[test]
fn limits_hold() {
    let server = server(&["--pubsub-nodes", "8", "--pubsub-size", "100kB", "--pubsub-item-size", "40kB"]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let text = |bytes: usize| format!("<t xmlns='urn:t'>{}</t>", "x".repeat(bytes));
    let mut set = |payload: &str| juliet.ask("set", None, payload);
    assert!(set(&publish("a", "1", &text(50_000), &[])).contains("<payload-too-big"));
    assert!(set(&publish("a", "1", &text(39_000), &[])).contains("type='result'"));
    assert!(set(&publish("b", "1", &text(39_000), &[])).contains("type='result'"));
    assert!(set(&publish("c", "1", &text(39_000), &[])).contains("<policy-violation"));
    assert!(set(&publish("a", "2", &text(39_000), &[])).contains("type='result'"));
    assert!(set(&owners("<delete node='b'/>")).contains("type='result'"));
    assert!(set(&publish("c", "1", &text(39_000), &[])).contains("type='result'"));
    for node in 0..6 {
        assert!(set(&publish(&format!("n{node}"), "1", &text(1), &[])).contains("type='result'"), "{node}");
    }
    assert!(set(&publish("one more", "1", &text(1), &[])).contains("<max-nodes-exceeded"));
}

#[test]
fn what_a_client_wants_is_found_out_once_for_all_that_are_alike() {
    let server = server(&["--shards", "1"]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[MOOD]);
    let alike = |resource: &str| {
        let mut raw = Raw::login(&server, "juliet", resource);
        raw.say(&Follower::presence("juliet", "balcony", &[MOOD]));
        raw
    };
    // Nobody is asked twice about the same.
    let mut chamber = alike("chamber");
    chamber.hear("from='juliet@localhost/chamber'");
    let heard = chamber.round_trip();
    assert!(!heard.contains("<iq type='get'"), "{heard}");
    juliet.set(None, &publish(MOOD, "a", &mood("happy"), &[]));
    chamber.hear("<happy/>");
    // What does not match its hash holds for its sender alone: the next one is asked.
    let mut liar = Raw::login(&server, "nurse", "hall");
    liar.say(&Follower::presence("romeo", "orchard", &[TUNE]));
    let id = liar.hear_between("<iq type='get' id='", "'");
    let lie = format!("<feature var='{MOOD}+notify'/>");
    liar.say(&format!(
        "<iq type='result' id='{id}' to='nurse@localhost'><query xmlns='http://jabber.org/protocol/disco#info'>{lie}\
         </query></iq>"
    ));
    liar.round_trip();
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[TUNE]);
    romeo.set(None, &publish(MOOD, "a", &mood("sad"), &[]));
    romeo.set(None, &publish(TUNE, "a", &format!("<tune xmlns='{TUNE}'/>"), &[]));
    let heard = romeo.hear("</message>");
    assert!(heard.contains("<tune") && !heard.contains("<sad/>"), "{heard}");
    // An answer that nobody has asked for counts for nothing.
    let uncalled = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{lie}</query>");
    romeo.say(&format!("<iq type='result' id='{id}'>{uncalled}</iq><iq type='error' id='x' to='localhost'/>"));
    romeo.set(None, &publish(MOOD, "a", &mood("mad"), &[]));
    assert!(!romeo.round_trip().contains("<mad/>"));
}
