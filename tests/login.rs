//! Logging in: TLS, mechanisms, channel binding, round trips, limits.

mod common;

use common::scram::Scram;
use common::tls::{self, TlsStream};
use common::{HEADER, Raw, Server, plain, user};
use rustls::version::{TLS12, TLS13};

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const SASL2: &str = "urn:xmpp:sasl:2";

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.add_user("juliet");
    server
}

/// A server that asks for TLS, as every public one does.
fn strict() -> Server {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--dev"]);
    server.add_user("juliet");
    server
}

#[test]
fn nothing_but_starttls_is_possible_without_tls() {
    let server = strict();
    let mut raw = Raw::connect(server.address);
    raw.say(HEADER);
    let features = raw.hear("</stream:features>");
    assert!(features.contains("<required/>") && !features.contains("mechanism"), "{features}");
    raw.say(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{}</auth>", plain("juliet", "secret")));
    assert!(raw.hear("</failure>").contains("<encryption-required/>"));
}

/// What stands in clear text behind `<starttls/>` is not taken for what comes through TLS.
#[test]
fn plaintext_behind_starttls_ends_the_stream() {
    let server = strict();
    let mut raw = Raw::connect(server.address);
    raw.say(HEADER);
    raw.hear("</stream:features>");
    raw.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message to='juliet@localhost'/>");
    let rest = raw.hear_rest();
    assert!(!rest.contains("features"), "{rest}");
}

/// Header, then SASL2 with Bind 2 and channel binding; counts how often the client has to wait for the server.
fn modern(raw: &mut Raw<TlsStream>, binding: (&str, &[u8])) -> usize {
    let mut round_trips = 0;
    let mut ask = |raw: &mut Raw<TlsStream>, said: &str, before: &str, after: &str| {
        round_trips += 1;
        raw.say(said);
        raw.hear_between(before, after)
    };
    let features = ask(raw, HEADER, "<stream:features>", "</stream:features>");
    assert!(features.contains(&format!("<channel-binding type='{}'/>", binding.0)), "{features}");
    let mut scram = Scram::new("juliet", Some(binding));
    let authenticate = format!(
        "<authenticate xmlns='{SASL2}' mechanism='SCRAM-SHA-256-PLUS'><initial-response>{}</initial-response>\
         <user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>test</software></user-agent>\
         <bind xmlns='urn:xmpp:bind:0'><tag>balcony</tag></bind></authenticate>",
        scram.first()
    );
    let challenge = ask(raw, &authenticate, "<challenge xmlns='urn:xmpp:sasl:2'>", "</challenge>");
    let response = format!("<response xmlns='{SASL2}'>{}</response>", scram.last(&challenge, "secret"));
    let success = ask(raw, &response, "<success", "</stream:features>");
    assert!(success.contains(&format!("<additional-data>{}</additional-data>", scram.expected())), "{success}");
    assert!(success.contains("<authorization-identifier>juliet@localhost/balcony/"), "{success}");
    assert!(success.contains("<bound xmlns='urn:xmpp:bind:0'/>"), "{success}");
    assert!(raw.round_trip().contains("type='result'"));
    round_trips
}

#[test]
fn a_modern_login_is_bound_to_its_channel_and_takes_three_round_trips() {
    let server = strict();
    for mut raw in [tls::direct(&server, &TLS13), tls::starttls(&server, &TLS13)] {
        let exporter = tls::exporter(&mut raw);
        assert_eq!(modern(&mut raw, ("tls-exporter", &exporter)), 3);
    }
}

#[test]
fn the_certificate_is_what_tls_1_2_is_bound_by() {
    use sha2::Digest;
    let server = strict();
    let end_point = sha2::Sha256::digest(tls::certificate(&server));
    let mut raw = tls::starttls(&server, &TLS12);
    modern(&mut raw, ("tls-server-end-point", &end_point));
}

#[test]
fn who_stands_in_between_is_found_out() {
    let server = strict();
    let mut raw = tls::direct(&server, &TLS13);
    raw.say(HEADER);
    raw.hear("</stream:features>");
    let mut scram = Scram::new("juliet", Some(("tls-exporter", &[0; 32])));
    raw.say(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256-PLUS'>{}</auth>", scram.first()));
    let challenge = raw.hear_between("xmpp-sasl'>", "</challenge>");
    raw.say(&format!("<response xmlns='{SASL}'>{}</response>", scram.last(&challenge, "secret")));
    assert!(raw.hear("</failure>").contains("<not-authorized/>"));
}

#[test]
fn wrong_passwords_close_the_door_to_their_address_for_a_while() {
    let server = server(&["--login-rate", "1/h:2", "--shards", "1"]);
    let try_once = || {
        let mut raw = tls::direct(&server, &TLS13);
        raw.say(HEADER);
        raw.hear("</stream:features>");
        raw.say(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{}</auth>", plain("juliet", "guess")));
        raw.hear("</failure>")
    };
    assert!(try_once().contains("<not-authorized/>"));
    assert!(try_once().contains("<not-authorized/>"));
    assert!(try_once().contains("<temporary-auth-failure/>"));
}

#[test]
fn tries_on_one_stream_are_counted() {
    let server = server(&["--login-tries", "2"]);
    let mut raw = tls::direct(&server, &TLS13);
    raw.say(HEADER);
    for _ in 0..2 {
        raw.say(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{}</auth>", plain("juliet", "guess")));
        raw.hear("<not-authorized/>");
    }
    assert!(raw.hear_rest().contains("<policy-violation"));
}

#[test]
fn a_login_that_takes_too_long_is_given_up() {
    let server = server(&["--login-timeout", "1s"]);
    let mut silent = Raw::connect(server.address);
    let mut slow = Raw::connect(server.address);
    slow.say(HEADER);
    for rest in [silent.hear_rest(), slow.hear_rest()] {
        assert!(rest.contains("<stream:stream") && rest.contains("<connection-timeout"), "{rest}");
    }
}

#[test]
fn a_resource_that_is_taken() {
    for (policy, old_ends) in [("replace", true), ("rename", false), ("refuse", false)] {
        let server = server(&["--resource-conflict", policy]);
        let mut old = Raw::login(&server, "juliet", "balcony");
        let mut new = Raw::connect(server.address);
        new.authenticate(HEADER, "juliet");
        new.say(HEADER);
        new.say(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind>\
             </iq>",
        );
        let heard = new.hear("</iq>");
        match policy {
            "replace" => assert!(heard.contains("<jid>juliet@localhost/balcony</jid>"), "{heard}"),
            "rename" => assert!(heard.contains("<jid>juliet@localhost/") && !heard.contains("/balcony"), "{heard}"),
            _ => assert!(heard.contains("<conflict"), "{heard}"),
        }
        match old_ends {
            true => assert!(old.hear_rest().contains("<conflict")),
            false => assert!(old.round_trip().contains("result")),
        }
    }
}

#[test]
fn an_account_has_so_many_sessions_and_no_more() {
    let server = server(&["--max-sessions-per-account", "2"]);
    let _first = Raw::login(&server, "juliet", "a");
    let second = Raw::login(&server, "juliet", "b");
    let mut third = Raw::connect(server.address);
    third.authenticate(HEADER, "juliet");
    third.say(HEADER);
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    third.say(bind);
    assert!(third.hear("</iq>").contains("<resource-constraint"));
    let mut second = second;
    second.say("</stream:stream>");
    second.hear_rest();
    third.say(bind);
    assert!(third.hear("</iq>").contains("<jid>"));
}

#[test]
fn a_disabled_account_is_out_at_once_and_a_removed_one_too() {
    let server = server(&[]);
    let mut session = Raw::login(&server, "juliet", "balcony");
    assert!(user(&server.data(), &["disable", "juliet@localhost", "--reason", "spam"], "").status.success());
    assert!(session.hear_rest().contains("<not-authorized"));
    let log_in = || {
        let mut raw = tls::direct(&server, &TLS13);
        raw.say(HEADER);
        raw.hear("</stream:features>");
        raw.say(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{}</auth>", plain("juliet", "secret")));
        raw.hear("/>")
    };
    assert!(log_in().contains("<account-disabled"));
    assert!(user(&server.data(), &["enable", "juliet@localhost"], "").status.success());
    let mut session = Raw::login(&server, "juliet", "balcony");
    assert!(user(&server.data(), &["remove", "juliet@localhost"], "").status.success());
    assert!(session.hear_rest().contains("<not-authorized"));
    assert!(log_in().contains("<not-authorized"));
}

#[test]
fn anonymous_users_come_and_go_on_a_domain_of_their_own() {
    let flags = ["--domain", "localhost", "--domain", "anonymous.localhost", "--anonymous", "anonymous.localhost"];
    let server = server(&flags);
    let mut raw = tls::direct(&server, &TLS13);
    raw.say(&HEADER.replace("to='localhost'", "to='anonymous.localhost'"));
    let features = raw.hear("</stream:features>");
    assert!(features.contains("ANONYMOUS") && !features.contains("PLAIN"), "{features}");
    raw.say(&format!(
        "<authenticate xmlns='{SASL2}' mechanism='ANONYMOUS'><initial-response/><bind xmlns='urn:xmpp:bind:0'/>\
         </authenticate>"
    ));
    assert!(raw.hear("</stream:features>").contains("@anonymous.localhost/"));
    assert!(!server.logged.iter().any(|line| line.contains("panic")));
}

/// A connection per login, each closed in the very moment in which the login succeeds.
#[test]
fn connections_of_an_address_are_counted_right_however_they_end() {
    let server = server(&["--max-connections-per-address", "6", "--shards", "1"]);
    let log_in = |raw: &mut Raw<TlsStream>| {
        raw.say(HEADER);
        raw.hear("</stream:features>");
        raw.say(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{}</auth>", plain("juliet", "secret")));
    };
    for _ in 0..20 {
        let mut raw = tls::direct(&server, &TLS13);
        log_in(&mut raw);
        raw.stream.conn.send_close_notify();
        raw.hear_rest();
    }
    let mut raw = tls::direct(&server, &TLS13);
    log_in(&mut raw);
    raw.hear("<success");
}

#[test]
fn a_login_that_waits_does_not_outlive_the_account() {
    let server = server(&[]);
    // One waits with its proof, one with the resource.
    let mut early = Raw::connect(server.address);
    early.say(HEADER);
    early.hear("</stream:features>");
    let mut scram = Scram::new("juliet", None);
    early.say(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{}</auth>", scram.first()));
    let challenge = early.hear_between("xmpp-sasl'>", "</challenge>");
    let mut late = Raw::connect(server.address);
    late.authenticate(HEADER, "juliet");
    late.say(HEADER);
    late.hear("</stream:features>");
    assert!(user(&server.data(), &["disable", "juliet@localhost"], "").status.success());
    early.say(&format!("<response xmlns='{SASL}'>{}</response>", scram.last(&challenge, "secret")));
    early.hear("<success");
    early.say(HEADER);
    for raw in [&mut early, &mut late] {
        raw.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        let rest = raw.hear_rest();
        assert!(rest.contains("<not-authorized") && !rest.contains("<jid>"), "{rest}");
    }
}

#[test]
fn a_client_that_comes_again_takes_the_place_of_its_earlier_session() {
    let server = server(&["--max-sessions-per-account", "1"]);
    let agent = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>";
    let log_in = |agent: &str| {
        let mut raw = tls::direct(&server, &TLS13);
        raw.say(HEADER);
        raw.hear("</stream:features>");
        raw.say(&format!(
            "<authenticate xmlns='{SASL2}' mechanism='PLAIN'><initial-response>{}</initial-response>{agent}\
             <bind xmlns='urn:xmpp:bind:0'/></authenticate>",
            plain("juliet", "secret")
        ));
        raw
    };
    let mut first = log_in(agent);
    first.hear("</success>");
    let mut second = log_in(agent);
    second.hear("</success>");
    assert!(first.hear_rest().contains("<conflict"));
    let mut other = log_in("");
    assert!(other.hear_rest().contains("<resource-constraint"));
    assert!(second.round_trip().contains("result"));
}
