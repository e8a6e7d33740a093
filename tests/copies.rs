//! Carbons (XEP-0280), client state (XEP-0352) and stable ids (XEP-0359) on the real binary.

mod common;

use common::{Raw, Server};

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    ["romeo", "juliet"].iter().for_each(|user| server.add_user(user));
    server
}

fn with_carbons(server: &Server, user: &str, resource: &str) -> Raw {
    let mut raw = Raw::online(server, user, resource);
    raw.say("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
    assert!(raw.hear("id='carbons'").contains("type='result'"));
    raw
}

#[test]
fn other_clients_get_copies_of_both_directions() {
    let server = server(&["--shards", "2"]);
    let mut desk = with_carbons(&server, "juliet", "desk");
    let mut phone = with_carbons(&server, "juliet", "phone");
    let mut plain = Raw::online(&server, "juliet", "plain");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    desk.say("<message to='romeo@localhost' type='chat' id='1'><body>one</body></message>");
    let heard = phone.hear("</sent></message>");
    let head = "<message type='chat' from='juliet@localhost' to='juliet@localhost/phone'>\
                <sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'";
    assert!(heard.contains(head) && heard.contains("from='juliet@localhost/desk'"), "{heard}");
    assert!(heard.contains("<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='"), "{heard}");
    let heard = romeo.hear("</message>");
    assert!(heard.contains("<body>one</body>") && heard.contains("by='romeo@localhost'"), "{heard}");
    romeo.say("<message to='juliet@localhost/desk' type='chat' id='2'><body>two</body></message>");
    let heard = phone.hear("</received></message>");
    assert!(heard.contains("from='juliet@localhost' to='juliet@localhost/phone'"), "{heard}");
    let original = desk.hear("</message>");
    let id =
        |text: &str| text.split("by='juliet@localhost' id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    assert_eq!(id(&heard), id(&original), "the archive has it once");
    for wanted in ["<private xmlns='urn:xmpp:carbons:2'/>", "<no-copy xmlns='urn:xmpp:hints'/>"] {
        romeo.say(&format!("<message to='juliet@localhost/desk' type='chat'><body>three</body>{wanted}</message>"));
        desk.hear("three</body>");
    }
    phone.say("<iq type='set' id='off'><disable xmlns='urn:xmpp:carbons:2'/></iq>");
    phone.hear("id='off'");
    romeo.say("<message to='juliet@localhost/desk' type='chat'><body>four</body></message>");
    desk.hear("four</body>");
    for raw in [&mut phone, &mut plain] {
        let heard = raw.round_trip();
        assert!(!heard.contains("three") && !heard.contains("four") && !heard.contains("carbons"), "{heard}");
    }
}

#[test]
fn a_message_to_oneself_comes_once_to_each_client() {
    let server = server(&[]);
    let mut desk = with_carbons(&server, "juliet", "desk");
    let mut phone = with_carbons(&server, "juliet", "phone");
    desk.say("<message to='juliet@localhost/desk' type='chat'><body>note</body></message>");
    assert!(phone.hear("</message>").contains("<received "));
    assert!(!desk.hear("</message>").contains("carbons"));
    for raw in [&mut desk, &mut phone] {
        assert!(!raw.round_trip().contains("note"));
    }
}

#[test]
fn what_nobody_looks_at_waits_and_goes_first() {
    let server = server(&["--shards", "1"]);
    let mut phone = Raw::online(&server, "juliet", "phone");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    phone.say("<inactive xmlns='urn:xmpp:csi:0'/>");
    phone.round_trip();
    let to = "to='juliet@localhost/phone'";
    for status in ["away", "back"] {
        romeo.say(&format!("<presence {to}><status>{status}</status></presence>"));
    }
    romeo.say(&format!(
        "<message {to} type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    ));
    romeo.say(&format!("<message {to} type='chat'><received xmlns='urn:xmpp:receipts' id='1'/></message>"));
    romeo.round_trip();
    romeo.say(&format!("<message {to} type='chat'><body>wake up</body></message>"));
    let heard = phone.hear("wake up</body>");
    let at = |text: &str| heard.find(text).unwrap_or_else(|| panic!("no {text} in {heard}"));
    assert!(at("<status>back") < at("urn:xmpp:receipts") && at("urn:xmpp:receipts") < at("wake up"), "{heard}");
    assert!(!heard.contains("away") && !heard.contains("composing"), "{heard}");
    romeo.say(&format!("<presence {to}><status>gone</status></presence>"));
    romeo.round_trip();
    phone.say("<active xmlns='urn:xmpp:csi:0'/>");
    phone.hear("<status>gone");
    romeo.say(&format!("<presence {to}><status>here</status></presence>"));
    phone.hear("<status>here");
}

#[test]
fn nobody_speaks_for_the_archive_of_another() {
    let server = server(&["--shards", "2"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.say(
        "<message to='juliet@localhost' type='chat'>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='forged'/>\
         <delay xmlns='urn:xmpp:delay' from='localhost' stamp='2002-09-10T23:08:25Z'/><body>hello</body>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='room@elsewhere.example' id='kept'/></message>",
    );
    let heard = juliet.hear("</message>");
    assert!(!heard.contains("forged") && !heard.contains("<delay"), "{heard}");
    assert!(heard.contains("id='kept'") && heard.contains("<body>hello</body>"), "{heard}");
    assert_eq!(heard.matches("by='juliet@localhost'").count(), 1, "{heard}");
}
