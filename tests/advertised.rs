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
    ("http://jabber.org/features/iq-register", "XEP-0077"),
    ("urn:xmpp:ibr-token:0", "XEP-0445"),
    ("urn:xmpp:invite", "XEP-0401"),
];

/// By the server.
const SERVER: &[(&str, &str)] = &[
    ("http://jabber.org/protocol/disco#info", "XEP-0030"),
    ("http://jabber.org/protocol/disco#items", "XEP-0030"),
    ("http://jabber.org/protocol/commands", "XEP-0050"),
    ("jabber:iq:last", "XEP-0012"),
    ("jabber:iq:private", "XEP-0049"),
    ("jabber:iq:register", "XEP-0077"),
    ("vcard-temp", "XEP-0054"),
    ("jabber:iq:version", "XEP-0092"),
    ("msgoffline", "XEP-0160"),
    ("urn:xmpp:blocking", "XEP-0191"),
    ("urn:xmpp:reporting:0", "XEP-0377"),
    ("urn:xmpp:reporting:1", "XEP-0377"),
    ("urn:xmpp:reporting:reason:spam:0", "XEP-0377"),
    ("urn:xmpp:reporting:reason:abuse:0", "XEP-0377"),
    ("urn:xmpp:ping", "XEP-0199"),
    ("urn:xmpp:time", "XEP-0202"),
    ("urn:xmpp:carbons:2", "XEP-0280"),
    ("urn:xmpp:carbons:rules:0", "XEP-0280"),
    ("urn:xmpp:sid:0", "XEP-0359"),
    ("urn:xmpp:message-retract:1", "XEP-0424"),
    ("http://jabber.org/protocol/caps", "XEP-0115"),
];

/// By both.
const BOTH: &[(&str, &str)] = &[
    ("http://jabber.org/protocol/pubsub", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#access-presence", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#auto-create", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#auto-subscribe", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#config-node", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#config-node-max", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#create-and-configure", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#create-nodes", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#delete-items", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#delete-nodes", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#filtered-notifications", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#instant-nodes", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#item-ids", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#last-published", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#manage-subscriptions", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#member-affiliation", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#meta-data", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#modify-affiliations", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#multi-items", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#outcast-affiliation", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#persistent-items", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#presence-notifications", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#presence-subscribe", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#publish", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#publish-node-full", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#publish-only-affiliation", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#publish-options", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#publisher-affiliation", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#pubsub-on-a-jid", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#purge-nodes", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#retract-items", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#retrieve-affiliations", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#retrieve-default", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#retrieve-items", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#retrieve-subscriptions", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#rsm", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#subscribe", "XEP-0060"),
    ("http://jabber.org/protocol/pubsub#subscription-notifications", "XEP-0060"),
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
    ("urn:xmpp:pep-vcard-conversion:0", "XEP-0398"),
    ("urn:xmpp:bookmarks:1#compat", "XEP-0402"),
    ("urn:xmpp:bookmarks:1#compat-pep", "XEP-0402"),
];

/// Spoken, and advertised by nothing of their own.
const SILENT: &[(&str, &str)] = &[
    ("XEP-0004", "the protocols with forms in them imply it (§6)"),
    ("XEP-0048", "that its bookmarks are those of XEP-0402 is advertised there"),
    ("XEP-0084", "a node as others"),
    ("XEP-0128", "the forms are there"),
    ("XEP-0133", "its commands are listed (§2)"),
    ("XEP-0153", "presence shows it"),
    ("XEP-0157", "a form in service discovery, if anything is said"),
    ("XEP-0158", "a field of the form to register with"),
    ("XEP-0163", "an identity, and the features of XEP-0060 (§6.1)"),
    ("XEP-0203", "whoever gets it understands it or does not (§5)"),
    ("XEP-0221", "within a field of a form"),
    ("XEP-0222", "the features of XEP-0060 that it relies on (§4)"),
    ("XEP-0223", "the features of XEP-0060 that it relies on (§4)"),
    ("XEP-0231", "within a form, and nothing can be fetched"),
    ("XEP-0334", "hints are for those who know them"),
    ("XEP-0368", "found in the DNS"),
    ("XEP-0379", "tokens are in addresses that people are given"),
    ("XEP-0441", "implied by archives (§4)"),
    ("XEP-0455", "a form in service discovery, if anything is said"),
    ("XEP-0474", "negotiated within SCRAM"),
    ("XEP-0490", "the features of XEP-0060 that it relies on"),
    ("XEP-0492", "within bookmarks"),
    ("XEP-0504", "a form in service discovery, if anything is said"),
];

/// What stands between `before` and `after`, each time.
fn between<'a>(text: &'a str, before: &str, after: char) -> BTreeSet<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// What is advertised is in the table and the other way round, and documented.
fn compare(place: &str, advertised: BTreeSet<&str>, tables: &[&[(&str, &str)]]) {
    let table = || tables.iter().copied().flatten();
    let expected: BTreeSet<&str> = table().map(|(namespace, _)| *namespace).collect();
    assert_eq!(advertised, expected, "{place}: advertised, and in the table");
    for (namespace, specification) in table() {
        assert!(PROTOCOLS.contains(&format!("| {specification} |")), "{namespace}: {specification} is not on the page");
        if let Some(number) = specification.strip_prefix("XEP-") {
            assert!(DOAP.contains(&format!("/xep-{number}.html'")), "{namespace}: {specification} is not in the DOAP");
        }
    }
}

#[test]
fn stream_features_are_documented() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--dev", "--registration", "open"]);
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
    compare("the stream", advertised, &[STREAM]);
}

#[test]
fn discovered_features_are_documented() {
    let server = Server::start(&[]);
    server.add_user("juliet");
    let mut raw = Raw::login(&server, "juliet", "balcony");
    for (to, tables) in [("localhost", [SERVER, BOTH]), ("juliet@localhost", [ACCOUNT, BOTH])] {
        let info = raw.ask("get", Some(to), "<query xmlns='http://jabber.org/protocol/disco#info'/>");
        compare(to, between(&info, "<feature var='", '\''), &tables);
    }
}

#[test]
fn what_is_documented_is_advertised_or_has_a_reason_not_to_be() {
    let tables = [STREAM, SERVER, BOTH, ACCOUNT];
    let advertised: BTreeSet<&str> = tables.into_iter().flatten().map(|(_, specification)| *specification).collect();
    let silent: BTreeSet<&str> = SILENT.iter().map(|(specification, _)| *specification).collect();
    for number in between(DOAP, "/extensions/xep-", '.') {
        let specification = format!("XEP-{number}");
        let found = [&advertised, &silent].map(|set| set.contains(&*specification));
        assert!(found[0] != found[1], "{specification}: advertised or not, but one of the two");
    }
}
