//! Contact lists (RFC 6121 §2): asked for, changed, pushed to whoever is interested, and still there after a restart.

mod common;

use common::{Raw, Server};

const ROSTER: &str = "jabber:iq:roster";

fn ask(raw: &mut Raw, version: Option<&str>) -> String {
    let version = version.map(|version| format!(" ver='{version}'")).unwrap_or_default();
    raw.say(&format!("<iq type='get' id='get'><query xmlns='{ROSTER}'{version}/></iq>"));
    let mut answer = raw.hear("id='get'");
    answer.push_str(&raw.hear(">"));
    if !answer.ends_with("/>") {
        answer.push_str(&raw.hear("</iq>"));
    }
    answer
}

/// Sets an item; what is heard up to the answer.
fn set(raw: &mut Raw, item: &str) -> String {
    raw.say(&format!("<iq type='set' id='set'><query xmlns='{ROSTER}'>{item}</query></iq>"));
    let mut heard = raw.hear("id='set'");
    heard.push_str(&raw.hear(">"));
    if heard.contains("type='error'") {
        heard.push_str(&raw.hear("</iq>"));
    }
    heard
}

fn version(text: &str) -> String {
    text.split(" ver='").nth(1).unwrap_or_else(|| panic!("no version in {text}")).split('\'').next().unwrap().to_owned()
}

fn server() -> Server {
    let server = Server::start(&["--shards", "2"]);
    server.add_user("juliet");
    server
}

#[test]
fn a_change_is_pushed_to_those_who_have_asked_for_the_roster() {
    let server = server();
    let mut balcony = Raw::login(&server, "juliet", "balcony");
    let mut chamber = Raw::login(&server, "juliet", "chamber");
    let mut uninterested = Raw::login(&server, "juliet", "garden");
    assert!(!ask(&mut balcony, None).contains("<item"));
    ask(&mut chamber, None);
    let item = "<item jid='romeo@localhost' name='Romeo &amp; me'><group>Friends</group></item>";
    let own = set(&mut balcony, item) + &ask(&mut balcony, None);
    let other = ask(&mut chamber, None);
    for heard in [own, other] {
        let push = heard.split("<iq ").find(|iq| iq.contains("type='set'")).unwrap_or_else(|| panic!("{heard}"));
        assert!(push.contains("jid='romeo@localhost'") && push.contains("subscription='none'"), "{push}");
        assert!(push.contains("name='Romeo &amp; me'") && push.contains("<group>Friends</group>"), "{push}");
        assert!(push.contains(" ver='") && !push.contains("from='romeo"), "{push}");
    }
    assert!(!uninterested.round_trip().contains("romeo"));
    let whole = ask(&mut uninterested, None);
    assert!(whole.contains("name='Romeo &amp; me'") && whole.contains("<group>Friends</group>"), "{whole}");
    // The item becomes exactly what it is set to.
    set(&mut balcony, "<item jid='Romeo@LOCALHOST' name='R'/>");
    let whole = ask(&mut chamber, None);
    let whole = whole.rsplit("type='result'").next().unwrap();
    assert!(
        whole.contains("jid='romeo@localhost'") && whole.contains("name='R'") && !whole.contains("<group"),
        "{whole}"
    );
    assert_eq!(whole.matches("<item").count(), 1, "{whole}");
    set(&mut balcony, "<item jid='romeo@localhost' subscription='remove'/>");
    let heard = ask(&mut chamber, None);
    assert!(heard.contains("subscription='remove'"), "{heard}");
    assert!(!heard.rsplit("type='result'").next().unwrap().contains("<item"), "{heard}");
}

#[test]
fn who_has_the_newest_version_is_not_sent_the_roster_again() {
    let server = server();
    let mut raw = Raw::login(&server, "juliet", "balcony");
    for number in 0..10 {
        set(&mut raw, &format!("<item jid='contact{number}@localhost'/>"));
    }
    let whole = ask(&mut raw, Some(""));
    assert_eq!(whole.matches("<item").count(), 10, "{whole}");
    let first = version(&whole);
    assert!(!ask(&mut raw, Some(&first)).contains("<query"));
    set(&mut raw, "<item jid='contact3@localhost' name='three'/>");
    let mut other = Raw::login(&server, "juliet", "chamber");
    let answer = ask(&mut other, Some(&first));
    assert!(!answer.contains("<query"), "{answer}");
    let push = other.hear("</iq>");
    assert!(push.contains("type='set'") && push.contains("name='three'") && push.contains(" ver='"), "{push}");
    // A version that never was gets everything.
    assert_eq!(ask(&mut other, Some("nonsense")).matches("<item").count(), 10);
}

#[test]
fn it_is_there_after_the_server_was_killed() {
    let server = server();
    let mut raw = Raw::login(&server, "juliet", "balcony");
    set(&mut raw, "<item jid='romeo@localhost' name='Romeo'/>");
    let before = version(&ask(&mut raw, None));
    let server = server.kill_and_restart(&["--shards", "3"]);
    let mut raw = Raw::login(&server, "juliet", "balcony");
    assert!(!ask(&mut raw, Some(&before)).contains("<query"));
    assert!(ask(&mut raw, None).contains("name='Romeo'"));
}

#[test]
fn wrong_requests_get_the_error_that_the_rfc_names() {
    let server = Server::start(&["--roster-contacts", "2"]);
    server.add_user("juliet");
    server.add_user("romeo");
    let mut raw = Raw::login(&server, "juliet", "balcony");
    let long = "x".repeat(5000);
    for (item, condition) in [
        ("<item jid='a@localhost'/><item jid='b@localhost'/>", "bad-request"),
        ("", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='a@b@c'/>", "jid-malformed"),
        ("<item jid='juliet@localhost'/>", "not-allowed"),
        ("<item jid='a@localhost'><group>g</group><group>g</group></item>", "bad-request"),
        ("<item jid='a@localhost'><group/></item>", "not-acceptable"),
        (&format!("<item jid='a@localhost' name='{long}'/>"), "not-acceptable"),
        ("<item jid='nobody@localhost' subscription='remove'/>", "item-not-found"),
    ] {
        let heard = set(&mut raw, item);
        assert!(heard.contains("type='error'") && heard.contains(&format!("<{condition}")), "{item}: {heard}");
    }
    set(&mut raw, "<item jid='a@localhost'/>");
    set(&mut raw, "<item jid='b@localhost'/>");
    let heard = set(&mut raw, "<item jid='c@localhost'/>");
    assert!(heard.contains("<policy-violation"), "{heard}");
    // Somebody else's is nobody's business, whether there is such an account or not.
    let errors = ["romeo@localhost", "nurse@localhost"].map(|to| {
        raw.say(&format!("<iq type='get' to='{to}' id='other'><query xmlns='{ROSTER}'/></iq>"));
        let heard = raw.hear("</iq>");
        heard.replace(to, "")
    });
    assert!(errors[0].contains("type='error'") && errors[0] == errors[1], "{errors:?}");
}
