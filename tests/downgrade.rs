//! Whoever stands in between and takes something out of what the server offers is found out: the mechanisms and the
//! types of channel binding are hashed into the exchange (XEP-0474), and a client that was told of no channel binding
//! says so (RFC 5802 §6).

mod common;

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::scram::Scram;
use common::{HEADER, Raw, Server, tls};
use rustls::version::{TLS12, TLS13};
use sha2::{Digest, Sha256};

/// The two ways to carry SASL: the namespace, the element that lists the mechanisms.
const SASL: (&str, &str) = ("urn:ietf:params:xml:ns:xmpp-sasl", "mechanisms");
const SASL2: (&str, &str) = ("urn:xmpp:sasl:2", "authentication");

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.add_user("juliet");
    server
}

/// The stream's features before login.
fn features<S: Read + Write>(raw: &mut Raw<S>) -> String {
    raw.say(HEADER);
    raw.hear("</stream:features>")
}

/// Begins to log in; what the server says first, in base64.
fn challenge<S: Read + Write>(raw: &mut Raw<S>, way: (&str, &str), mechanism: &str, first: &str) -> String {
    let (namespace, _) = way;
    raw.say(&match way {
        SASL => format!("<auth xmlns='{namespace}' mechanism='{mechanism}'>{first}</auth>"),
        _ => format!(
            "<authenticate xmlns='{namespace}' mechanism='{mechanism}'><initial-response>{first}</initial-response>\
             </authenticate>"
        ),
    });
    raw.hear_between(&format!("<challenge xmlns='{namespace}'>"), "</challenge>")
}

/// How the server answers the proof.
fn answer<S: Read + Write>(raw: &mut Raw<S>, way: (&str, &str), proof: &str) -> String {
    raw.say(&format!("<response xmlns='{}'>{proof}</response>", way.0));
    raw.hear("</")
}

/// The attribute `h` of the server's first message.
fn hash(challenge: &str) -> String {
    let message = String::from_utf8(BASE64.decode(challenge).unwrap()).unwrap();
    let hash = message.split(',').find_map(|attribute| attribute.strip_prefix("h="));
    hash.unwrap_or_else(|| panic!("no h= in {message}")).to_owned()
}

/// What XEP-0474 §5.1 lets a client hash of the features that it was sent.
fn offered(features: &str, way: (&str, &str)) -> String {
    let list = features.split(&format!("<{} xmlns='{}'>", way.1, way.0)).nth(1).unwrap();
    let list = list.split(&format!("</{}>", way.1)).next().unwrap();
    // Mechanisms for tokens are those of another list, which FAST has within this one (XEP-0484 §3.1).
    let list = list.split("<inline>").next().unwrap();
    let mut offered = sorted(list, "<mechanism>", "</mechanism>").join("\u{1e}");
    if features.contains("<sasl-channel-binding") {
        offered.push('\u{1f}');
        offered.push_str(&sorted(features, "<channel-binding type='", "'").join("\u{1e}"));
    }
    offered
}

/// All that stands between two texts, in octet order.
fn sorted<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let mut found: Vec<_> = text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap()).collect();
    assert!(!found.is_empty(), "no {before} in {text}");
    found.sort_unstable();
    found
}

fn sha256(text: &str) -> String {
    BASE64.encode(Sha256::digest(text))
}

#[test]
fn what_was_offered_over_tls_is_hashed_with_the_types_of_channel_binding() {
    let server = server(&[]);
    for way in [SASL, SASL2] {
        for mut raw in [tls::direct(&server, &TLS13), tls::starttls(&server, &TLS13)] {
            let exporter = tls::exporter(&mut raw);
            let offered = offered(&features(&mut raw), way);
            assert!(offered.contains("SCRAM-SHA-256\u{1e}SCRAM-SHA-256-PLUS\u{1e}"), "{offered:?}");
            assert!(offered.ends_with("\u{1f}tls-exporter\u{1e}tls-server-end-point"), "{offered:?}");
            let mut scram = Scram::new("juliet", Some(("tls-exporter", &exporter)));
            let challenge = challenge(&mut raw, way, "SCRAM-SHA-256-PLUS", &scram.first());
            assert_eq!(hash(&challenge), sha256(&offered), "{offered:?}");
            assert!(answer(&mut raw, way, &scram.last(&challenge, "secret")).contains("<success"));
        }
    }
}

/// Nor does it matter whether the client binds, or which of the types is there.
#[test]
fn what_was_offered_is_hashed_for_those_who_do_not_bind_too() {
    let server = server(&[]);
    for version in [&TLS12, &TLS13] {
        let mut raw = tls::direct(&server, version);
        let offered = offered(&features(&mut raw), SASL);
        let mut scram = Scram::new("juliet", None);
        let challenge = challenge(&mut raw, SASL, "SCRAM-SHA-256", &scram.first());
        assert_eq!(hash(&challenge), sha256(&offered), "{offered:?}");
        assert!(answer(&mut raw, SASL, &scram.last(&challenge, "secret")).contains("<success"));
    }
}

#[test]
fn without_tls_there_is_no_channel_binding_to_hash() {
    let server = server(&[]);
    let mut raw = Raw::connect(server.address);
    let features = features(&mut raw);
    assert!(!features.contains("channel-binding"), "{features}");
    let challenge = challenge(&mut raw, SASL, "SCRAM-SHA-256", &Scram::new("juliet", None).first());
    assert_eq!(hash(&challenge), sha256("SCRAM-SHA-1\u{1e}SCRAM-SHA-256\u{1e}SCRAM-SHA-512"));
}

/// The mechanisms and types of XEP-0474's own example, with the hash that it prints.
#[test]
fn the_example_of_the_specification() {
    let server = server(&["--sasl-mechanisms", "SCRAM-SHA-1"]);
    for way in [SASL, SASL2] {
        let mut raw = tls::direct(&server, &TLS13);
        features(&mut raw);
        let challenge = challenge(&mut raw, way, "SCRAM-SHA-1", &Scram::new("juliet", None).first());
        assert_eq!(hash(&challenge), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    }
}

/// One in between who shortens the list has to change the hash as well; then the proof, of which it is part, is wrong.
#[test]
fn a_hash_that_was_changed_on_the_way_breaks_the_proof() {
    let server = server(&[]);
    let mut raw = tls::direct(&server, &TLS13);
    features(&mut raw);
    let mut scram = Scram::new("juliet", None);
    let challenge = challenge(&mut raw, SASL, "SCRAM-SHA-256", &scram.first());
    let message = String::from_utf8(BASE64.decode(&challenge).unwrap()).unwrap();
    let changed = message.replace(&hash(&challenge), &sha256("SCRAM-SHA-1\u{1e}SCRAM-SHA-256"));
    assert_ne!(changed, message);
    let answered = answer(&mut raw, SASL, &scram.last(&BASE64.encode(changed), "secret"));
    assert!(answered.contains("<not-authorized"), "{answered}");
}

#[test]
fn a_client_that_was_told_of_no_channel_binding_is_turned_away_where_it_was_offered() {
    let server = server(&[]);
    let first = BASE64.encode("y,,n=juliet,r=of-the-client");
    let mut raw = tls::direct(&server, &TLS13);
    features(&mut raw);
    raw.say(&format!("<auth xmlns='{}' mechanism='SCRAM-SHA-256'>{first}</auth>", SASL.0));
    let heard = raw.hear("</");
    assert!(heard.contains("<not-authorized"), "{heard}");
    // Without TLS none was offered.
    let mut raw = Raw::connect(server.address);
    features(&mut raw);
    challenge(&mut raw, SASL, "SCRAM-SHA-256", &first);
}
