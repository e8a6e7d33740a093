//! Logging in with a token (XEP-0484) on the real path: over TLS, across connections and restarts.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::tls::{self, TlsStream};
use common::{HEADER, Raw, Server, plain, user};
use hmac::{Hmac, KeyInit, Mac};
use rustls::version::TLS13;
use sha2::{Digest, Sha256};

const SASL2: &str = "urn:xmpp:sasl:2";
const FAST: &str = "urn:xmpp:fast:0";

/// A client's installation with the token that it has.
struct Client {
    id: &'static str,
    mechanism: &'static str,
    token: String,
}

impl Client {
    /// Logs in with the password and asks for a token.
    fn with_token(server: &Server, id: &'static str, mechanism: &'static str) -> Client {
        let mut client = Client { id, mechanism, token: String::new() };
        let mut raw = tls::direct(server, &TLS13);
        raw.say(HEADER);
        let features = raw.hear_between("<stream:features>", "</stream:features>");
        assert!(features.contains(&format!("<mechanism>{mechanism}</mechanism>")), "{features}");
        raw.say(&format!(
            "<authenticate xmlns='{SASL2}' mechanism='PLAIN'><initial-response>{}</initial-response>\
             <user-agent id='{id}'/><request-token xmlns='{FAST}' mechanism='{mechanism}'/></authenticate>",
            plain("juliet", "secret")
        ));
        client.take_token(&raw.hear("</success>"));
        assert!(client.token.len() > 40, "{:?}", client.token);
        client
    }

    /// Keeps the new token, if one was given.
    fn take_token(&mut self, success: &str) {
        if let Some((_, rest)) = success.split_once("<token ") {
            let token = rest.split("token='").nth(1).and_then(|rest| rest.split('\'').next());
            self.token = token.unwrap_or_else(|| panic!("no token in {success}")).to_owned();
        }
    }

    fn hashed(&self, whose: &str, binding: &[u8]) -> Vec<u8> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.token.as_bytes()).unwrap();
        mac.update(whose.as_bytes());
        mac.update(binding);
        mac.finalize().into_bytes().to_vec()
    }

    /// What the channel is bound by.
    fn binding(&self, server: &Server, raw: &mut Raw<TlsStream>) -> Vec<u8> {
        let exporter = tls::exporter(raw);
        match self.mechanism {
            "HT-SHA-256-EXPR" => exporter.to_vec(),
            "HT-SHA-256-ENDP" => Sha256::digest(tls::certificate(server)).to_vec(),
            _ => Vec::new(),
        }
    }

    /// Logs in with the token: header and login are sent at once, and one answer is waited for. Everything up to the
    /// answer's end.
    fn log_in(&self, server: &Server, attributes: &str) -> (Raw<TlsStream>, String) {
        let mut raw = tls::direct(server, &TLS13);
        let binding = self.binding(server, &mut raw);
        let message = [b"juliet\0", &self.hashed("Initiator", &binding)[..]].concat();
        raw.say(&format!(
            "{HEADER}<authenticate xmlns='{SASL2}' mechanism='{}'><initial-response>{}</initial-response>\
             <user-agent id='{}'/><fast xmlns='{FAST}'{attributes}/>\
             <bind xmlns='urn:xmpp:bind:0'><tag>balcony</tag></bind></authenticate>",
            self.mechanism,
            BASE64.encode(message),
            self.id
        ));
        raw.hear("</stream:features>");
        let mut heard = String::new();
        while !heard.ends_with("</failure>") && !heard.ends_with("</stream:features>") {
            heard.push_str(&raw.hear(">"));
        }
        if heard.contains("<success") {
            let answer = BASE64.encode(self.hashed("Responder", &binding));
            assert!(heard.contains(&format!("<additional-data>{answer}</additional-data>")), "{heard}");
            assert!(heard.contains("<authorization-identifier>juliet@localhost/balcony/"), "{heard}");
            assert!(raw.round_trip().contains("type='result'"));
        }
        (raw, heard)
    }
}

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.add_user("juliet");
    server
}

#[test]
fn a_token_logs_in_with_every_mechanism_in_one_round_trip_and_survives_the_server() {
    let mut server = server(&[]);
    let clients = [("a", "HT-SHA-256-EXPR"), ("b", "HT-SHA-256-ENDP"), ("c", "HT-SHA-256-NONE")];
    let clients = clients.map(|(id, mechanism)| Client::with_token(&server, id, mechanism));
    for client in &clients {
        let (_raw, heard) = client.log_in(&server, "");
        assert!(heard.contains("<bound xmlns='urn:xmpp:bind:0'/>") && !heard.contains("<token "), "{heard}");
    }
    // What was given to a client is on disk before it is given.
    let late = Client::with_token(&server, "d", "HT-SHA-256-EXPR");
    server.signal("-KILL");
    server.child.wait().unwrap();
    let directory = std::mem::replace(&mut server.directory, tempfile::tempdir().unwrap());
    drop(server);
    let server = Server::start_in(directory, &[]);
    for client in clients.iter().chain([&late]) {
        let (_raw, heard) = client.log_in(&server, "");
        assert!(heard.contains("<success"), "{heard}");
    }
}

#[test]
fn a_token_of_another_client_or_channel_is_refused() {
    let server = server(&[]);
    let mut client = Client::with_token(&server, "a", "HT-SHA-256-EXPR");
    client.id = "b";
    assert!(client.log_in(&server, "").1.contains("<not-authorized "));
    client.id = "a";
    client.mechanism = "HT-SHA-256-NONE";
    assert!(client.log_in(&server, "").1.contains("<not-authorized "));
    client.mechanism = "HT-SHA-256-EXPR";
    assert!(client.log_in(&server, "").1.contains("<success"));
}

#[test]
fn counts_and_invalidation_are_kept() {
    let server = server(&[]);
    let client = Client::with_token(&server, "a", "HT-SHA-256-EXPR");
    assert!(client.log_in(&server, " count='2'").1.contains("<success"));
    assert!(client.log_in(&server, " count='2'").1.contains("<not-authorized "));
    assert!(client.log_in(&server, " count='3' invalidate='true'").1.contains("<success"));
    assert!(client.log_in(&server, " count='4'").1.contains("<not-authorized "));
}

#[test]
fn tokens_end_with_their_lifetime_and_are_replaced_before() {
    let server = server(&["--fast-token-lifetime", "4s"]);
    let mut client = Client::with_token(&server, "a", "HT-SHA-256-EXPR");
    let first = client.token.clone();
    // Two of four seconds: it is due.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let (_raw, heard) = client.log_in(&server, "");
    client.take_token(&heard);
    assert_ne!(client.token, first, "{heard}");
    assert!(client.log_in(&server, "").1.contains("<success"));
    std::thread::sleep(std::time::Duration::from_millis(4_100));
    assert!(client.log_in(&server, "").1.contains("<credentials-expired "));
    client.token = first;
    assert!(client.log_in(&server, "").1.contains("<not-authorized "));
}

#[test]
fn a_new_password_and_a_disabled_account_make_tokens_void() {
    let server = server(&[]);
    let client = Client::with_token(&server, "a", "HT-SHA-256-NONE");
    assert!(client.log_in(&server, "").1.contains("<success"));
    let password = |input: &str| {
        user(&server.data(), &["password", "juliet@localhost", "--password-stdin"], input).status.success()
    };
    assert!(password("secret\n"));
    assert!(client.log_in(&server, "").1.contains("<not-authorized "));
    let client = Client::with_token(&server, "a", "HT-SHA-256-EXPR");
    assert!(user(&server.data(), &["disable", "juliet@localhost", "--reason", "lost"], "").status.success());
    assert!(client.log_in(&server, "").1.contains("<not-authorized "));
    assert!(user(&server.data(), &["enable", "juliet@localhost"], "").status.success());
    assert!(client.log_in(&server, "").1.contains("<not-authorized "));
    let client = Client::with_token(&server, "a", "HT-SHA-256-EXPR");
    assert!(client.log_in(&server, "").1.contains("<success"));
}

#[test]
fn a_password_changed_by_its_user_makes_tokens_void() {
    let server = server(&[]);
    let client = Client::with_token(&server, "a", "HT-SHA-256-NONE");
    let (mut raw, heard) = client.log_in(&server, "");
    assert!(heard.contains("<success"), "{heard}");
    let command = "<command xmlns='http://jabber.org/protocol/commands' node='change-password'";
    let asked = raw.ask("set", Some("localhost"), &format!("{command}/>"));
    let (_, id) = asked.split_once("sessionid='").unwrap();
    let id = id.split('\'').next().unwrap();
    let fields = [("current", "secret"), ("new", "wherefore art thou")]
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .concat();
    let form = format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>");
    let done = raw.ask("set", Some("localhost"), &format!("{command} sessionid='{id}'>{form}</command>"));
    assert!(done.contains("<note type='info'>"), "{done}");
    assert!(client.log_in(&server, "").1.contains("<not-authorized "));
}

#[test]
fn guesses_close_the_door_like_wrong_passwords() {
    let server = server(&["--login-rate", "1/h:2", "--login-tries", "1", "--shards", "1"]);
    let client = Client { id: "a", mechanism: "HT-SHA-256-NONE", token: "guess".into() };
    assert!(client.log_in(&server, "").1.contains("<not-authorized "));
    assert!(client.log_in(&server, "").1.contains("<not-authorized "));
    assert!(client.log_in(&server, "").1.contains("<temporary-auth-failure "));
}

#[test]
fn without_a_lifetime_there_are_no_tokens() {
    let server = server(&["--fast-token-lifetime", "0"]);
    let mut raw = tls::direct(&server, &TLS13);
    raw.say(HEADER);
    let features = raw.hear("</stream:features>");
    assert!(!features.contains(FAST) && features.contains(SASL2), "{features}");
    let client = Client { id: "a", mechanism: "HT-SHA-256-NONE", token: "guess".into() };
    assert!(client.log_in(&server, "").1.contains("<invalid-mechanism "));
}
