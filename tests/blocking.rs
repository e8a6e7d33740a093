//! The blocking command (XEP-0191): who is blocked reaches nobody and sees nobody, and cannot tell it from absence.

mod common;

use common::{Raw, Server};

const BLOCKING: &str = "urn:xmpp:blocking";

fn pair() -> (Server, Raw, Raw) {
    let server = Server::start(&["--shards", "2"]);
    server.add_user("romeo");
    server.add_user("juliet");
    let romeo = Raw::online(&server, "romeo", "orchard");
    let juliet = Raw::online(&server, "juliet", "balcony");
    (server, romeo, juliet)
}

fn set(raw: &mut Raw, command: &str, items: &[&str]) {
    let items: String = items.iter().map(|jid| format!("<item jid='{jid}'/>")).collect();
    raw.say(&format!("<iq type='set' id='set'><{command} xmlns='{BLOCKING}'>{items}</{command}></iq>"));
    let heard = raw.hear("id='set'");
    assert!(!heard.contains("type='error'"), "{heard}");
}

fn list(raw: &mut Raw) -> String {
    raw.say(&format!("<iq type='get' id='list'><blocklist xmlns='{BLOCKING}'/></iq>"));
    let mut heard = raw.hear("id='list'");
    heard.push_str(&raw.hear("</iq>"));
    heard
}

/// Each is subscribed to the other.
fn befriend(one: &mut Raw, who: &str, other: &mut Raw, whom: &str) {
    one.say("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    one.say(&format!("<presence type='subscribe' to='{whom}@localhost'/>"));
    other.hear("type='subscribe'");
    other.say(&format!("<presence type='subscribed' to='{who}@localhost'/>"));
    one.hear("type='subscribed'");
    one.hear(&format!("from='{whom}@localhost/"));
}

#[test]
fn who_is_blocked_is_told_that_nobody_is_there() {
    let (_server, mut romeo, mut juliet) = pair();
    set(&mut juliet, "block", &["romeo@localhost"]);
    let message = "<message to='juliet@localhost' id='m' type='chat'><body>hear me</body></message>";
    romeo.say(message);
    let blocked = romeo.hear("</message>");
    assert!(blocked.contains("<service-unavailable"), "{blocked}");
    romeo.say("<iq type='get' to='juliet@localhost/balcony' id='q'><ping xmlns='urn:xmpp:ping'/></iq>");
    let blocked = romeo.hear("</iq>");
    assert!(blocked.contains("<service-unavailable"), "{blocked}");
    romeo.say("<presence to='juliet@localhost'/>");
    romeo.round_trip();
    let heard = juliet.round_trip();
    assert!(!heard.contains("romeo@localhost/"), "{heard}");
    // Nor does she write to him by mistake.
    juliet.say("<message to='romeo@localhost/orchard' id='n'><body>but soft</body></message>");
    let refused = juliet.hear("</message>");
    assert!(refused.contains("<not-acceptable") && refused.contains("<blocked xmlns='urn:xmpp:blocking:errors'"));
    set(&mut juliet, "unblock", &["romeo@localhost"]);
    romeo.say(message);
    assert!(juliet.hear("</message>").contains("hear me"));
}

#[test]
fn presence_goes_with_the_block_and_comes_back_without_it() {
    let (_server, mut romeo, mut juliet) = pair();
    befriend(&mut romeo, "romeo", &mut juliet, "juliet");
    set(&mut juliet, "block", &["romeo@localhost"]);
    let heard = romeo.hear("juliet@localhost/balcony");
    assert!(heard.contains("type='unavailable'"), "{heard}");
    juliet.say("<presence><show>away</show></presence>");
    juliet.round_trip();
    assert!(!romeo.round_trip().contains("away"));
    set(&mut juliet, "unblock", &[]);
    let heard = romeo.hear("</presence>");
    assert!(heard.contains("from='juliet@localhost/balcony'") && heard.contains("away"), "{heard}");
}

#[test]
fn the_list_is_kept_and_its_changes_are_pushed_to_who_has_asked_for_it() {
    let (server, _, mut juliet) = pair();
    let mut chamber = Raw::online(&server, "juliet", "chamber");
    assert!(!list(&mut chamber).contains("<item"));
    set(&mut juliet, "block", &["Romeo@LOCALHOST", "capulet.example"]);
    let push = chamber.hear("</iq>");
    assert!(push.contains("<block xmlns='urn:xmpp:blocking'>") && push.contains("jid='romeo@localhost'"), "{push}");
    drop((juliet, chamber));
    let server = server.kill_and_restart(&["--shards", "3"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let heard = list(&mut juliet);
    assert!(heard.contains("jid='romeo@localhost'") && heard.contains("jid='capulet.example'"), "{heard}");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.say("<message to='juliet@localhost' id='m' type='chat'><body>hear me</body></message>");
    assert!(romeo.hear("</message>").contains("<service-unavailable"));
    juliet.say(&format!("<iq type='set' id='wrong'><block xmlns='{BLOCKING}'/></iq>"));
    assert!(juliet.hear("</iq>").contains("<bad-request"));
}
