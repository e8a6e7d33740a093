//! Bookmarks in their forms (XEP-0402, XEP-0048, XEP-0049), kept alike.

mod common;

use common::Server;
use common::follower::Follower;

const NODE: &str = "urn:xmpp:bookmarks:1";
const PRIVATE: &str = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>";

fn server() -> Server {
    let server = Server::start(&["--shards", "2"]);
    server.add_user("juliet");
    server
}

fn publish(room: &str, content: &str) -> String {
    let field = |(var, value): (&str, &str)| format!("<field var='pubsub#{var}'><value>{value}</value></field>");
    let fields: String = [
        ("persist_items", "true"),
        ("max_items", "max"),
        ("send_last_published_item", "never"),
        ("access_model", "whitelist"),
    ]
    .map(field)
    .concat();
    format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{NODE}'><item id='{room}'>{content}</item>\
         </publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#publish-options</value></field>{fields}</x></publish-options>\
         </pubsub>"
    )
}

fn items(node: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{node}'/></pubsub>")
}

fn in_private_data(content: &str) -> String {
    format!("<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>{content}</storage></query>")
}

#[test]
fn what_is_published_is_in_private_data() {
    let server = server();
    let mut juliet = Follower::online(&server, "juliet", "balcony", &["storage:bookmarks"]);
    assert!(juliet.get(None, PRIVATE).contains("<storage xmlns='storage:bookmarks'/>"));
    let notify = "<notify xmlns='urn:xmpp:notification-settings:1'><never/></notify>";
    let play = format!(
        "<conference xmlns='{NODE}' name='The Play' autojoin='true'><nick>JC</nick><extensions>{notify}</extensions>\
         </conference>"
    );
    assert!(juliet.set(None, &publish("play@rooms.example", &play)).contains("type='result'"));
    // A client that knows the old form only hears of it in that form.
    let event = juliet.event("storage:bookmarks");
    assert!(event.contains("<conference jid='play@rooms.example' name='The Play' autojoin='true'>"), "{event}");
    let shown = juliet.get(None, PRIVATE);
    assert!(shown.contains("<conference jid='play@rooms.example' name='The Play' autojoin='true'><nick>JC</nick>"));
    let shown = juliet.get(None, &items("storage:bookmarks"));
    assert!(shown.contains("<item id='current'>") && shown.contains("jid='play@rooms.example'"), "{shown}");
    let server = server.kill_and_restart(&[]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    assert!(juliet.get(None, PRIVATE).contains("play@rooms.example"));
    assert!(juliet.get(None, &items(NODE)).contains(notify));
}

#[test]
fn what_is_put_into_private_data_is_published() {
    let server = server();
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    let mut chamber = Follower::online(&server, "juliet", "chamber", &[NODE]);
    let room = |name: &str| format!("<conference jid='{name}@rooms.example' autojoin='true'/>");
    let url = "<url name='Works' url='http://the-tech.mit.edu/Shakespeare/'/>";
    let both = in_private_data(&(room("play") + &room("orchard") + url));
    assert!(juliet.set(None, &both).contains("type='result'"));
    for name in ["play", "orchard"] {
        let event = chamber.event(NODE);
        assert!(event.contains(&format!("<item id='{name}@rooms.example'><conference")), "{event}");
    }
    assert!(juliet.get(None, PRIVATE).contains("<url "));
    // Only what differs is heard of.
    let other = in_private_data(&(room("play") + &room("inn") + url));
    assert!(juliet.set(None, &other).contains("type='result'"));
    let events = chamber.event(NODE) + &chamber.event(NODE);
    assert!(events.contains("<retract id='orchard@rooms.example'/>"), "{events}");
    assert!(events.contains("<item id='inn@rooms.example'>") && !events.contains("play"), "{events}");
    // Other private data in the same request are kept as well.
    let mixed = in_private_data(&room("inn")).replace("</query>", "<exodus xmlns='exodus:prefs'><a/></exodus></query>");
    assert!(juliet.set(None, &mixed).contains("type='result'"));
    let prefs = "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>";
    assert!(juliet.get(None, prefs).contains("<a/>"));
    let all = juliet.get(None, &items(NODE));
    assert!(all.contains("inn@") && !all.contains("play@"), "{all}");
    assert!(!juliet.get(None, PRIVATE).contains("<url "));
    assert!(juliet.set(None, PRIVATE).contains("type='result'"));
    assert!(!juliet.get(None, &items(NODE)).contains("inn@"));
}
