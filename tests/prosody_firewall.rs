//! The same scripts and the same stanzas, here and on Debian's Prosody with its mod_firewall: the same verdicts.

mod common;

use std::net::SocketAddr;
use std::path::Path;

use common::prosody::Prosody;
use common::{Raw, Server};

/// The scripts that come with a module of Prosody's community.
const SCRIPTS: &str = "/usr/lib/prosody/modules/mod_firewall/scripts";

fn online(address: SocketAddr, user: &str, resource: &str) -> Raw {
    let mut raw = Raw::connect(address);
    raw.log_in(user, resource);
    raw.say("<presence/>");
    raw.hear(&format!("from='{user}@localhost/{resource}'"));
    raw
}

/// What stands between two texts, each time.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let behind = text.split(before).skip(1);
    behind.filter_map(|rest| rest.split_once(after).map(|(inside, _)| inside)).collect()
}

/// What of all that somebody has heard says what has become of stanzas, however a server writes it.
fn summary(heard: &str) -> String {
    let heard = heard.replace('"', "'");
    let conditions = [
        "service-unavailable",
        "policy-violation",
        "not-allowed",
        "forbidden",
        "not-acceptable",
        "item-not-found",
        "gone",
        "resource-constraint",
    ];
    let mut found: Vec<String> = Vec::new();
    for body in between(&heard, "<body>", "</body>") {
        found.push(format!("body {body}"));
    }
    for condition in conditions {
        let count = heard.matches(&format!("<{condition} ")).count();
        found.extend((0..count).map(|_| format!("error {condition}")));
    }
    for text in between(&heard, "<text", "</text>") {
        found.push(format!("text {}", text.split_once('>').map_or(text, |(_, text)| text)));
    }
    for (element, name) in [("<seen ", "seen"), ("type='subscribe'", "subscribe"), ("<subject>", "subject")] {
        found.extend((0..heard.matches(element).count()).map(|_| name.to_owned()));
    }
    found.sort_unstable();
    found.join(", ")
}

/// What becomes of stanzas that romeo sends, each with what he and what juliet hear of it.
fn verdicts(address: SocketAddr, stanzas: &[&str]) -> Vec<String> {
    let mut romeo = online(address, "romeo", "orchard");
    let mut juliet = online(address, "juliet", "balcony");
    let mut verdicts = Vec::new();
    for (number, stanza) in stanzas.iter().enumerate() {
        // A word to himself passes all rules, and comes behind what was answered before.
        let mut before = String::new();
        let end = |to: &str| format!("<message to='{to}' type='chat' id='end{number}'><body>end</body></message>");
        romeo.say(stanza);
        if stanza.starts_with("<presence") {
            // What changes a roster is written before it goes on: a question about the roster waits for that.
            romeo.say(&format!("<iq type='get' id='roster{number}'><query xmlns='jabber:iq:roster'/></iq>"));
            let heard = romeo.hear(&format!("roster{number}"));
            before.push_str(&heard);
        }
        romeo.say(&(end("juliet@localhost/balcony") + &end("romeo@localhost/orchard")));
        let hear = |raw: &mut Raw, mut heard: String| {
            heard.push_str(&raw.hear(&format!("end{number}")));
            heard.push_str(&raw.hear("</message>"));
            summary(&heard)
        };
        let (to, from) = (hear(&mut juliet, String::new()), hear(&mut romeo, before));
        verdicts.push(format!("{stanza}\n  juliet: {to}\n  romeo: {from}\n"));
    }
    verdicts
}

fn compare(prosody_script: &Path, rondel_scripts: &[&str], stanzas: &[&str]) {
    let users = ["romeo", "juliet"];
    let lines = format!("password_hash = \"SHA-256\"\nfirewall_scripts = {{ \"{}\" }}", prosody_script.display());
    let prosody = Prosody::start(&["firewall", "-offline", "-tls"], &lines, &users);
    let expected = verdicts(prosody.address, stanzas);
    for script in rondel_scripts {
        let server = Server::start(&["--shards", "1", "--archive", "off", "--firewall", script]);
        users.iter().for_each(|user| server.add_user(user));
        let found = verdicts(server.address, stanzas);
        let differ = expected.iter().zip(&found).filter(|(expected, found)| expected != found);
        let differ: String = differ.map(|(expected, found)| format!("there: {expected}here: {found}\n")).collect();
        assert!(differ.is_empty(), "{script}\n{differ}");
    }
}

const SCRIPT: &str = "\
%ZONE here: localhost
%RATE few: 0.001 (burst 3000)
%RATE keyed: 0.001 (burst 2000) (entries 10)
%LIST met: memory
%PATTERN word: [%a]+
%SEARCH content: body#

::user/inner
KIND: message
INSPECT: body#=inner drop
DROP.

KIND: message
INSPECT: body#=inner pass
PASS.

KIND: message
INSPECT: body#=inner return
RETURN.

::preroute
KIND: message
INSPECT: body#=early
BOUNCE=not-allowed (Too early)

KIND: iq
PAYLOAD: jabber:iq:version
TO: localhost
BOUNCE=forbidden

::deliver
KIND: message
INSPECT: body#=end
PASS.

KIND: message
TYPE: headline
DROP.

KIND: message
TYPE: normal, groupchat
BOUNCE=not-acceptable

KIND: message
INSPECT: body#=default
DEFAULT.

KIND: message
INSPECT: body#/=needle
BOUNCE=policy-violation (A needle)

KIND: message
INSPECT: body#~=^%d+$
BOUNCE=policy-violation:wait (Digits)

KIND: message
PAYLOAD: urn:test:drop
DROP.

KIND: message
FROM: <r*>@localhost/<*>
TO: juliet@localhost
INSPECT: body#=addresses
INJECT=<seen xmlns='urn:test'/>

KIND: message
INSPECT: body#=strip
STRIP=subject
INJECT=<seen xmlns='urn:test'/>

KIND: message
INSPECT: body#=reply
REPLY=An answer

KIND: message
INSPECT: body#=limit
LIMIT: few
BOUNCE=resource-constraint

KIND: message
INSPECT: body#=keyed
LIMIT: keyed on $<@from|bare>
BOUNCE=resource-constraint

KIND: message
INSPECT: body#=remember me
ADD TO=met $<@from|bare>

KIND: message
INSPECT: body#=do you know me
CHECK LIST: met contains $<@from|bare>
INJECT=<seen xmlns='urn:test'/>

KIND: message
INSPECT: body#~=^shout
COUNT: word in content > 3
BOUNCE=policy-violation (Words)

KIND: message
INSPECT: body#=mark
MARK ORIGIN=marked

KIND: message
INSPECT: body#=marked
ORIGIN MARKED: marked
INJECT=<seen xmlns='urn:test'/>

KIND: message
INSPECT: body#=zone
ENTERING: here
DROP.

KIND: message
INSPECT: body#~=^inner
JUMP CHAIN=user/inner
INJECT=<seen xmlns='urn:test'/>

KIND: message
INSPECT: body#=no roster
NOT IN ROSTER?
BOUNCE=item-not-found

KIND: presence
TYPE: subscribe
NOT IN ROSTER?
BOUNCE=not-allowed (Nobody asks)

KIND: iq
TO: <*>@<*>/<*>
PAYLOAD: urn:test:q
TYPE: get
BOUNCE=gone
";

fn chat(body: &str) -> String {
    format!("<message to='juliet@localhost' type='chat'><body>{body}</body></message>")
}

#[test]
fn a_script_means_the_same_here_and_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.pfw");
    std::fs::write(&path, SCRIPT).unwrap();
    let bodies = [
        "hello",
        "early",
        "default",
        "a needle here",
        "12345",
        "1234x",
        "addresses",
        "reply",
        "limit",
        "limit",
        "limit",
        "limit",
        "keyed",
        "keyed",
        "keyed",
        "do you know me",
        "remember me",
        "do you know me",
        "shout it",
        "shout one two three",
        "marked",
        "mark",
        "marked",
        "zone",
        "inner",
        "inner drop",
        "inner pass",
        "inner return",
        "no roster",
    ];
    let chats: Vec<String> = bodies.iter().map(|body| chat(body)).collect();
    let mut stanzas: Vec<&str> = chats.iter().map(String::as_str).collect();
    stanzas.extend([
        "<message to='juliet@localhost' type='headline'><body>news</body></message>",
        "<message to='juliet@localhost'><body>normal</body></message>",
        "<message to='juliet@localhost' type='groupchat'><body>group</body></message>",
        "<message to='juliet@localhost' type='error'><error type='cancel'>\
         <gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        "<message to='juliet@localhost' type='chat'><subject>s</subject><body>strip</body></message>",
        "<message to='juliet@localhost' type='chat'><body>payload</body><x xmlns='urn:test:drop'/></message>",
        "<message to='juliet@localhost/balcony' type='chat'><body>addresses</body></message>",
        "<iq type='get' id='v1' to='localhost'><query xmlns='jabber:iq:version'/></iq>",
        "<iq type='get' id='l1' to='juliet@localhost/balcony'><query xmlns='urn:test:q'/></iq>",
        "<presence type='subscribe' to='juliet@localhost'/>",
    ]);
    compare(&path, &[path.to_str().unwrap()], &stanzas);
}

#[test]
fn scripts_that_come_with_prosody_do_what_they_do_there() {
    let path = Path::new(SCRIPTS).join("spam-blocking.pfw");
    let stanzas = [
        chat("hello, stranger"),
        "<message to='juliet@localhost'><body>normal</body></message>".into(),
        "<message to='juliet@localhost' type='headline'><body>news</body></message>".into(),
        "<message to='juliet@localhost/nowhere' type='groupchat'><body>group</body></message>".into(),
        "<message to='romeo@localhost'><body>to myself</body></message>".into(),
        "<message to='juliet@localhost/balcony'><body>to a resource that is there</body></message>".into(),
        "<presence type='unsubscribe' to='juliet@localhost'/>".into(),
        "<presence to='juliet@localhost'/>".into(),
        "<presence type='subscribe' to='juliet@localhost'/>".into(),
    ];
    let stanzas: Vec<&str> = stanzas.iter().map(String::as_str).collect();
    compare(&path, &[path.to_str().unwrap(), "module:scripts/spam-blocking.pfw"], &stanzas);
}

#[test]
fn all_scripts_that_come_with_prosody_load() {
    let scripts: Vec<_> = std::fs::read_dir(SCRIPTS).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(scripts.len() >= 4, "{scripts:?}");
    for script in scripts {
        let output = common::rondel().args(["firewall", "check"]).arg(&script).output().unwrap();
        assert!(output.status.success(), "{}: {output:?}", script.display());
    }
}
