//! What clients keep on the server for themselves: private data (XEP-0049) and vCards (XEP-0054).

mod common;

use common::{Raw, Server};

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.add_user("romeo");
    server.add_user("juliet");
    server
}

/// Asks, and hears the answer.
fn ask(raw: &mut Raw, kind: &str, to: Option<&str>, payload: &str) -> String {
    let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
    raw.say(&format!("<iq type='{kind}' id='q'{to}>{payload}</iq>"));
    let mut answer = raw.hear("id='q'");
    answer.push_str(&raw.hear(">"));
    if !answer.ends_with("/>") {
        answer.push_str(&raw.hear("</iq>"));
    }
    answer
}

const QUERY: &str = "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>";

#[test]
fn private_data_are_kept_for_their_owner_alone() {
    let server = server(&[]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let answer = ask(&mut juliet, "get", None, QUERY);
    assert!(answer.contains("<exodus xmlns='exodus:prefs'/>"), "{answer}");
    // The question right behind the change sees it.
    let data = "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><nick>J &amp; R</nick></exodus></query>";
    juliet.say(&format!("<iq type='set' id='s'>{data}</iq><iq type='get' id='g'>{QUERY}</iq>"));
    juliet.hear("id='s'");
    juliet.hear("id='g'");
    let answer = juliet.hear("</iq>");
    assert!(answer.contains("<nick>J &amp; R</nick>"), "{answer}");
    let server = server.kill_and_restart(&["--private-data", "1kB"]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    assert!(ask(&mut juliet, "get", None, QUERY).contains("<nick>J &amp; R</nick>"));
    let mut romeo = Raw::login(&server, "romeo", "orchard");
    assert!(!ask(&mut romeo, "get", None, QUERY).contains("<nick"));
    let answers = ["juliet@localhost", "nobody@localhost"].map(|to| ask(&mut romeo, "get", Some(to), QUERY));
    assert!(answers.iter().all(|answer| answer.contains("type='error'") && !answer.contains("<nick")), "{answers:?}");
    let long = data.replace("J &amp; R", &"x".repeat(2000));
    assert!(ask(&mut juliet, "set", None, &long).contains("<policy-violation"));
}

#[test]
fn a_card_is_shown_to_everybody_and_its_absence_tells_nothing() {
    let server = server(&["--shards", "2"]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let mut romeo = Raw::login(&server, "romeo", "orchard");
    let question = "<vCard xmlns='vcard-temp'/>";
    assert!(ask(&mut juliet, "get", None, question).contains("<item-not-found"));
    let absent = ["juliet", "nobody"].map(|user| {
        let to = format!("{user}@localhost");
        ask(&mut romeo, "get", Some(&to), question).replace(&to, "")
    });
    assert!(absent[0].contains("<service-unavailable") && absent[0] == absent[1], "{absent:?}");
    let card = "<vCard xmlns='vcard-temp'><FN>Juliet Capulet</FN></vCard>";
    assert!(ask(&mut juliet, "set", None, card).contains("type='result'"));
    assert!(ask(&mut romeo, "set", Some("juliet@localhost"), card).contains("<service-unavailable"));
    // Nobody is online at either address when the server has just been started.
    let server = server.kill_and_restart(&["--shards", "2"]);
    let mut romeo = Raw::login(&server, "romeo", "orchard");
    let shown = ask(&mut romeo, "get", Some("juliet@localhost"), question);
    assert!(shown.contains("<FN>Juliet Capulet</FN>") && shown.contains("from='juliet@localhost'"), "{shown}");
    assert!(shown.contains("to='romeo@localhost/orchard'"), "{shown}");
}
