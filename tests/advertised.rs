//! What the server says it speaks, in stream features and in service discovery, against what the documents say.
//!
//! Whoever adds a protocol adds its row here: where it is advertised, or why it is not.

mod common;

use std::collections::BTreeSet;

use common::tls;
use common::{HEADER, Raw, Server, plain};

const PROTOCOLS: &str = include_str!("../docs/protocols.md");
const DOAP: &str = include_str!("../docs/rondel.doap");

/// In features of the stream before TLS, before login or after it.
const STREAM: &[(&str, &str)] = &[
    ("urn:ietf:params:xml:ns:xmpp-tls", "RFC 6120"),
    ("urn:ietf:params:xml:ns:xmpp-sasl", "RFC 6120"),
    ("urn:ietf:params:xml:ns:xmpp-bind", "RFC 6120"),
    // Of RFC 3921; it asks for nothing any more.
    ("urn:ietf:params:xml:ns:xmpp-session", "RFC 6120"),
    ("urn:xmpp:features:rosterver", "RFC 6121 §2"),
    ("urn:xmpp:features:pre-approval", "RFC 6121 §3"),
    ("urn:xmpp:sasl:2", "XEP-0388"),
    ("urn:xmpp:bind:0", "XEP-0386"),
    ("urn:xmpp:fast:0", "XEP-0484"),
    ("urn:xmpp:sasl-cb:0", "XEP-0440"),
    ("urn:xmpp:stream-limits:0", "XEP-0478"),
    ("urn:xmpp:sm:3", "XEP-0198"),
    ("urn:xmpp:csi:0", "XEP-0352"),
    ("urn:xmpp:carbons:2", "XEP-0280"),
];

/// By the server.
const SERVER: &[(&str, &str)] = &[
    ("http://jabber.org/protocol/disco#info", "XEP-0030"),
    ("http://jabber.org/protocol/disco#items", "XEP-0030"),
    ("http://jabber.org/protocol/commands", "XEP-0050"),
    ("jabber:iq:last", "XEP-0012"),
    ("jabber:iq:private", "XEP-0049"),
    ("vcard-temp", "XEP-0054"),
    ("jabber:iq:version", "XEP-0092"),
    ("msgoffline", "XEP-0160"),
    ("urn:xmpp:blocking", "XEP-0191"),
    ("urn:xmpp:ping", "XEP-0199"),
    ("urn:xmpp:time", "XEP-0202"),
    ("urn:xmpp:carbons:2", "XEP-0280"),
    ("urn:xmpp:carbons:rules:0", "XEP-0280"),
    ("urn:xmpp:sid:0", "XEP-0359"),
    ("urn:xmpp:message-retract:1", "XEP-0424"),
];

/// By one's own account.
const ACCOUNT: &[(&str, &str)] = &[
    ("http://jabber.org/protocol/disco#info", "XEP-0030"),
    ("http://jabber.org/protocol/disco#items", "XEP-0030"),
    ("jabber:iq:last", "XEP-0012"),
    ("vcard-temp", "XEP-0054"),
    ("urn:xmpp:ping", "XEP-0199"),
    ("urn:xmpp:sid:0", "XEP-0359"),
    ("urn:xmpp:mam:2", "XEP-0313"),
    ("urn:xmpp:mam:2#extended", "XEP-0313"),
    ("urn:xmpp:mam:2#groupchat-field", "XEP-0313"),
    ("http://jabber.org/protocol/rsm", "XEP-0059"),
    ("urn:xmpp:message-retract:1", "XEP-0424"),
    ("urn:xmpp:message-retract:1#tombstone", "XEP-0424"),
];

/// Spoken, and advertised by nothing of their own.
const SILENT: &[(&str, &str)] = &[
    ("XEP-0004", "the protocols with forms in them imply it (§6)"),
    ("XEP-0203", "whoever gets it understands it or does not (§5)"),
    ("XEP-0334", "hints are for those who know them"),
    ("XEP-0368", "found in the DNS"),
    ("XEP-0441", "implied by archives (§4)"),
    ("XEP-0474", "negotiated within SCRAM"),
];

/// What stands between `before` and `after`, each time.
fn between<'a>(text: &'a str, before: &str, after: char) -> BTreeSet<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// What is advertised is in the table and the other way round, and documented.
fn compare(place: &str, advertised: BTreeSet<&str>, table: &[(&str, &str)]) {
    let expected: BTreeSet<&str> = table.iter().map(|(namespace, _)| *namespace).collect();
    assert_eq!(advertised, expected, "{place}: advertised, and in the table");
    for (namespace, specification) in table {
        assert!(PROTOCOLS.contains(&format!("| {specification} |")), "{namespace}: {specification} is not on the page");
        if let Some(number) = specification.strip_prefix("XEP-") {
            assert!(DOAP.contains(&format!("/xep-{number}.html'")), "{namespace}: {specification} is not in the DOAP");
        }
    }
}

#[test]
fn stream_features_are_documented() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--dev"]);
    server.add_user("juliet");
    let features = |text: &str| text[text.find("<stream:features").unwrap()..].to_owned();
    let mut raw = Raw::connect(server.address);
    raw.say(HEADER);
    let before_tls = features(&raw.hear("</stream:features>"));
    let mut raw = tls::direct(&server, &rustls::version::TLS13);
    raw.say(HEADER);
    let before_login = features(&raw.hear("</stream:features>"));
    let password = plain("juliet", "secret");
    raw.say(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{password}</auth>"));
    raw.hear("<success");
    raw.say(HEADER);
    let after_login = features(&raw.hear("</stream:features>"));
    let all = [before_tls, before_login, after_login].concat();
    let mut advertised = between(&all, " xmlns='", '\'');
    advertised.extend(between(&all, "<feature var='", '\''));
    compare("the stream", advertised, STREAM);
}

#[test]
fn discovered_features_are_documented() {
    let server = Server::start(&[]);
    server.add_user("juliet");
    let mut raw = Raw::login(&server, "juliet", "balcony");
    for (to, table) in [("localhost", SERVER), ("juliet@localhost", ACCOUNT)] {
        let info = raw.ask("get", Some(to), "<query xmlns='http://jabber.org/protocol/disco#info'/>");
        compare(to, between(&info, "<feature var='", '\''), table);
    }
}

#[test]
fn what_is_documented_is_advertised_or_has_a_reason_not_to_be() {
    let tables = [STREAM, SERVER, ACCOUNT];
    let advertised: BTreeSet<&str> = tables.into_iter().flatten().map(|(_, specification)| *specification).collect();
    let silent: BTreeSet<&str> = SILENT.iter().map(|(specification, _)| *specification).collect();
    for number in between(DOAP, "/extensions/xep-", '.') {
        let specification = format!("XEP-{number}");
        let found = [&advertised, &silent].map(|set| set.contains(&*specification));
        assert!(found[0] != found[1], "{specification}: advertised or not, but one of the two");
    }
}
