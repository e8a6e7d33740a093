//! What rules make wait is not overtaken, nor does anybody get past them by that.

mod common;
#[path = "common/rules.rs"]
mod rules;

use common::people::befriend;
use common::{Raw, Server};
use rules::{Script, at_home};

/// Rules that ask, for each message, where the sender is at home, because that counts the key.
const ASKING: &str = "%RATE often: 100000\n\n::deliver\nKIND: message\nLIMIT: often on $<@from|bare>\nDROP.\n";

fn message(to: &str, body: &str) -> String {
    format!("<message to='{to}@localhost' type='chat'><body>{body}</body></message>")
}

/// A server of two shards with these rules, and somebody at home on each of them.
fn server(script: &str) -> (Server, String, String) {
    let server = Script::new(script).server(&["--shards", "2"]);
    let (romeo, juliet) = (at_home("romeo", 0), at_home("juliet", 1));
    [&romeo, &juliet].iter().for_each(|name| server.add_user(name));
    (server, romeo, juliet)
}

#[test]
fn presence_does_not_overtake_a_message_that_waits() {
    let (server, romeo, juliet) = server(ASKING);
    let mut one = Raw::online(&server, &romeo, "orchard");
    let mut other = Raw::online(&server, &juliet, "balcony");
    befriend((&mut one, &romeo), (&mut other, &juliet));
    for number in 0..20 {
        let (first, second) =
            (message(&juliet, &format!("first {number}")), message(&juliet, &format!("more {number}")));
        one.say(&format!("{first}<presence type='unavailable'/><presence/>{second}"));
        let came = other.hear(&format!("more {number}"));
        let place = |what: &str| came.find(what).unwrap_or_else(|| panic!("{what} in {came}"));
        assert!(place(&format!("first {number}")) < place("type='unavailable'"), "{came}");
    }
}

#[test]
fn what_comes_while_the_account_is_written_keeps_its_order() {
    let (server, romeo, juliet) = server(ASKING);
    let mut one = Raw::online(&server, &romeo, "orchard");
    let mut other = Raw::online(&server, &juliet, "balcony");
    let full = format!("{juliet}@localhost/balcony");
    for round in 0..10 {
        for number in 0..10 {
            // Each change of the roster is a task of the account.
            other.say(&format!(
                "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='x{number}@example.org'/></query></iq>"
            ));
            one.say(&message(&juliet, &format!("{round}-{number}")));
            one.say(&format!("<iq type='get' id='q{round}-{number}' to='{full}'><ping xmlns='urn:xmpp:ping'/></iq>"));
        }
        let came = other.hear(&format!("id='q{round}-9'"));
        let places = (0..10).flat_map(|number| {
            [format!("<body>{round}-{number}<"), format!("id='q{round}-{number}'")]
                .map(|what| came.find(&what).unwrap_or_else(|| panic!("{what} in {came}")))
        });
        assert!(places.collect::<Vec<_>>().is_sorted(), "{came}");
    }
}

#[test]
fn a_session_that_is_replaced_while_rules_ask_is_gone_at_once() {
    let (server, romeo, juliet) = server("::preroute\nKIND: message\nSUBSCRIBED?\nINJECT=<known xmlns='x'/>\n");
    let mut other = Raw::online(&server, &juliet, "balcony");
    let mut one = Raw::online(&server, &romeo, "orchard");
    befriend((&mut one, &romeo), (&mut other, &juliet));
    for number in 0..10 {
        one.say(&message(&juliet, &format!("last words {number}")));
        let mut next = Raw::login(&server, &romeo, "orchard");
        next.say(&format!("<presence><status>new {number}</status></presence>"));
        next.say(&message(&juliet, &format!("first words {number}")));
        let came = other.hear(&format!("first words {number}"));
        assert!(came.contains(&format!("last words {number}")), "{came}");
        let place = |what: &str| came.rfind(what).unwrap_or_else(|| panic!("{what} in {came}"));
        assert!(place("type='unavailable'") < place(&format!("new {number}")), "{came}");
        other.round_trip();
        one = next;
    }
}

#[test]
fn what_rules_have_sent_on_is_still_held_to_them() {
    let script = "KIND: message\nTO: sales@localhost\nREDIRECT=romeo@localhost\n\n\
                  KIND: message\nTO: loop@localhost\nREDIRECT=loop@localhost\n\n\
                  KIND: message\nINSPECT: body#/=spam\nBOUNCE=policy-violation\n";
    let server = Script::new(script).server(&[]);
    ["romeo", "mallory", "sales", "loop"].iter().for_each(|name| server.add_user(name));
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut mallory = Raw::online(&server, "mallory", "street");
    mallory.say(&message("sales", "buy spam"));
    assert!(mallory.hear("</message>").contains("<policy-violation "));
    // In a copy nobody speaks for the server of whom it is for, nor for their account.
    let forged = "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@localhost' id='forged'/>\
                  <delay xmlns='urn:xmpp:delay' from='localhost' stamp='2001-01-01T00:00:00Z'/>";
    mallory.say(&message("sales", "hello").replace("</message>", &format!("{forged}</message>")));
    let came = romeo.hear("</message>");
    assert!(came.contains("<body>hello</body>") && !came.contains("forged") && !came.contains("2001"), "{came}");
    // What would be sent on once more stays where it is.
    let mut circle = Raw::online(&server, "loop", "x");
    mallory.say(&message("loop", "round and round"));
    assert!(circle.hear("</message>").contains("round and round"));
}
