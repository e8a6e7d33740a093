//! Invitations on the real binary: an operator's and accounts' own (XEP-0401), shown before registration (XEP-0445) and
//! in requests for subscriptions (XEP-0379).

mod common;

use std::process::Output;

use common::people::is_right;
use common::strangers::{query, refused, register, stranger};
use common::{HEADER, Raw, Server, rondel};

const ANY: &[&str] = &["--password-strength", "0", "--password-length", "1", "--login-tries", "20"];

const ROSTER: &str = "<query xmlns='jabber:iq:roster'/>";

fn server(mode: &str, more: &[&str]) -> Server {
    let server = Server::start(&[&["--registration", mode, "--shards", "2"], ANY, more].concat());
    server.add_user("juliet");
    server
}

/// `rondel invite …` on a running server.
fn invite(server: &Server, arguments: &[&str]) -> Output {
    rondel().arg("invite").args(arguments).arg("--data-dir").arg(server.data()).output().unwrap()
}

/// Makes one; the URI.
#[track_caller]
fn create(server: &Server, arguments: &[&str]) -> String {
    let output = invite(server, &[&["create"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap().to_owned()
}

fn token(uri: &str) -> &str {
    let token = uri.split("preauth=").nth(1).unwrap_or_else(|| panic!("{uri}"));
    token.split(';').next().unwrap()
}

/// Shows a token before registration; the answer.
fn show(raw: &mut Raw, token: &str) -> String {
    raw.ask("set", Some("localhost"), &format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>"))
}

/// Runs a command of the domain that ends at once, or after its form; the last answer.
fn command(raw: &mut Raw, node: &str, form: Option<&[(&str, &str)]>) -> String {
    let command = |rest: &str| format!("<command xmlns='http://jabber.org/protocol/commands' node='{node}'{rest}");
    let answer = raw.ask("set", Some("localhost"), &command("/>"));
    let Some(form) = form else { return answer };
    let id = answer.split("sessionid='").nth(1).unwrap_or_else(|| panic!("{answer}")).split('\'').next().unwrap();
    let field = |(var, value): &(&str, &str)| format!("<field var='{var}'><value>{value}</value></field>");
    let fields: String = form.iter().map(field).collect();
    let submitted = format!(" sessionid='{id}'><x xmlns='jabber:x:data' type='submit'>{fields}</x></command>");
    raw.ask("set", Some("localhost"), &command(&submitted))
}

fn uri_in(answer: &str) -> String {
    let behind = answer.split("<field var='uri'").nth(1).unwrap_or_else(|| panic!("{answer}"));
    behind.split("<value>").nth(1).unwrap().split("</value>").next().unwrap().to_owned()
}

#[test]
fn whoever_is_invited_registers_and_nobody_else() {
    let server = server("invite", &[]);
    let uri = create(&server, &[]);
    assert!(uri.starts_with("xmpp:localhost?register;preauth="), "{uri}");
    let mut raw = Raw::connect(server.address);
    raw.say(HEADER);
    let features = raw.hear("</stream:features>");
    for feature in ["http://jabber.org/features/iq-register", "urn:xmpp:ibr-token:0", "urn:xmpp:invite"] {
        assert!(features.contains(&format!("<register xmlns='{feature}'/>")), "{feature}: {features}");
    }
    refused(&register(&mut raw, "romeo", "secret"), "modify", "not-acceptable");
    refused(&show(&mut raw, "nonsense"), "cancel", "item-not-found");
    refused(&show(&mut raw, ""), "cancel", "item-not-found");
    refused(&register(&mut raw, "romeo", "secret"), "modify", "not-acceptable");
    assert!(show(&mut raw, token(&uri)).contains("type='result'"));
    // What fails does not use it up.
    refused(&register(&mut raw, "admin", "secret"), "modify", "not-acceptable");
    refused(&register(&mut raw, "juliet", "secret"), "cancel", "conflict");
    assert!(register(&mut raw, "romeo", "secret").contains("type='result'"));
    assert!(is_right(&server, "romeo", "secret"));
    refused(&register(&mut raw, "paris", "secret"), "cancel", "item-not-found");
    refused(&show(&mut stranger(&server), token(&uri)), "cancel", "item-not-found");
    let log = rondel().args(["registration", "log", "--data-dir"]).arg(server.data()).output().unwrap();
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    for line in [
        "romeo@localhost made by invite",
        "refused: uninvited",
        "refused: unknown-invitation",
        "refused: used-invitation",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn two_who_show_the_same_one_do_not_both_get_in() {
    let server = server("invite", &[]);
    let uri = create(&server, &[]);
    let (mut one, mut other) = (stranger(&server), stranger(&server));
    for raw in [&mut one, &mut other] {
        assert!(show(raw, token(&uri)).contains("type='result'"));
    }
    for (raw, name) in [(&mut one, "romeo"), (&mut other, "paris")] {
        let fields = format!("<username>{name}</username><password>secret</password>");
        raw.say(&format!("<iq type='set' id='r'>{}</iq>", query(&fields)));
    }
    let answers = [one.hear_answer("r"), other.hear_answer("r")];
    let made = answers.iter().filter(|answer| answer.contains("type='result'")).count();
    assert_eq!(made, 1, "{answers:?}");
    assert!(is_right(&server, "romeo", "secret") != is_right(&server, "paris", "secret"));
}

#[test]
fn a_name_is_kept_for_whoever_is_invited_under_it() {
    let server = server("open", &[]);
    let uri = create(&server, &["--username", "Romeo"]);
    assert!(uri.starts_with("xmpp:romeo@localhost?register;preauth="), "{uri}");
    let mut raw = stranger(&server);
    refused(&register(&mut raw, "romeo", "secret"), "cancel", "conflict");
    assert!(show(&mut raw, token(&uri)).contains("type='result'"));
    refused(&register(&mut raw, "paris", "secret"), "modify", "not-acceptable");
    assert!(register(&mut raw, "romeo", "secret").contains("type='result'"));
    // Taken back, the name is free.
    create(&server, &["--username", "paris", "--lifetime", "1h"]);
    let list = String::from_utf8_lossy(&invite(&server, &["list"]).stdout).into_owned();
    assert!(list.contains(" account paris@localhost, 1 left, until "), "{list}");
    let id = list.split(' ').next().unwrap();
    let output = invite(&server, &["revoke", id]);
    assert!(output.status.success(), "{output:?}");
    assert!(register(&mut stranger(&server), "paris", "secret").contains("type='result'"));
    let output = invite(&server, &["revoke", id]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no open invitation"), "{output:?}");
    for (arguments, text) in [
        (["create", "--to-domain", "example.org"], "example.org is not served here"),
        (["create", "--username", "a@b"], "right would be a user name"),
    ] {
        let output = invite(&server, &arguments);
        assert!(String::from_utf8_lossy(&output.stderr).contains(text), "{output:?}");
    }
    let closed = Server::start(&[]);
    let output = invite(&closed, &["create"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--registration invite"), "{output:?}");
}

#[test]
fn inviter_and_invited_are_contacts() {
    let server = server("invite", &["--user-invites", "accounts"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    juliet.ask("get", None, ROSTER);
    let made = command(&mut juliet, "urn:xmpp:invite#invite", None);
    assert!(made.contains("status='completed'") && made.contains("urn:xmpp:invite#invitation"), "{made}");
    assert!(made.contains("<field var='expire'"), "{made}");
    let uri = uri_in(&made);
    assert!(uri.starts_with("xmpp:juliet@localhost?roster;preauth=") && uri.ends_with(";ibr=y"), "{uri}");
    let mut raw = stranger(&server);
    assert!(show(&mut raw, token(&uri)).contains("type='result'"));
    assert!(register(&mut raw, "romeo", "secret").contains("type='result'"));
    // The inviter's clients see it at once.
    while !juliet.hear("</query>").contains("subscription='both'") {}
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let roster = romeo.ask("get", None, ROSTER);
    assert!(roster.contains("jid='juliet@localhost'") && roster.contains("subscription='both'"), "{roster}");
    juliet.hear("from='romeo@localhost/orchard'");
}

#[test]
fn whoever_has_an_account_becomes_a_contact_with_a_token() {
    let server = server("closed", &[]);
    ["romeo", "paris"].iter().for_each(|user| server.add_user(user));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    juliet.ask("get", None, ROSTER);
    let uri = uri_in(&command(&mut juliet, "urn:xmpp:invite#invite", None));
    assert!(uri.starts_with("xmpp:juliet@localhost?roster;preauth=") && !uri.contains("ibr"), "{uri}");
    let ask = |user: &str, token: &str| {
        let mut raw = Raw::online(&server, user, "hall");
        raw.ask("get", None, ROSTER);
        let preauth = format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>");
        raw.say(&format!("<presence type='subscribe' to='juliet@localhost'>{preauth}</presence>"));
        raw
    };
    let mut romeo = ask("romeo", token(&uri));
    while !romeo.hear("</query>").contains("subscription='both'") {}
    while !juliet.hear("</query>").contains("subscription='both'") {}
    // It is used up, and any other request is one to be answered by a person, who does not see the token.
    let _paris = ask("paris", token(&uri));
    let request = juliet.hear("type='subscribe'") + &juliet.hear(">");
    assert!(request.contains("paris@localhost") && !request.contains("preauth"), "{request}");
}

#[test]
fn administrators_invite_to_accounts_and_others_as_they_may() {
    let flags = ["--admin", "juliet@localhost", "--user-invites", "nothing", "--invites-per-account", "2"];
    let server = server("invite", &flags);
    server.add_user("romeo");
    let (mut juliet, mut romeo) = (Raw::login(&server, "juliet", "balcony"), Raw::login(&server, "romeo", "orchard"));
    let items = "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>";
    let shown = |raw: &mut Raw| raw.ask("get", Some("localhost"), items).matches("node='urn:xmpp:invite#").count();
    assert_eq!((shown(&mut juliet), shown(&mut romeo)), (1, 0));
    for node in ["urn:xmpp:invite#invite", "urn:xmpp:invite#create-account"] {
        refused(&command(&mut romeo, node, None), "cancel", "forbidden");
    }
    let fields: &[(&str, &str)] = &[("username", "Nurse"), ("roster-subscription", "true")];
    let made = command(&mut juliet, "urn:xmpp:invite#create-account", Some(fields));
    let uri = uri_in(&made);
    assert!(uri.starts_with("xmpp:nurse@localhost?register;preauth="), "{uri}");
    assert!(uri_in(&command(&mut juliet, "urn:xmpp:invite#create-account", Some(&[]))).starts_with("xmpp:localhost?"));
    let third = command(&mut juliet, "urn:xmpp:invite#create-account", Some(&[]));
    refused(&third, "wait", "resource-constraint");
    let mut raw = stranger(&server);
    assert!(show(&mut raw, token(&uri)).contains("type='result'"));
    assert!(register(&mut raw, "nurse", "secret").contains("type='result'"));
    let mut nurse = Raw::login(&server, "nurse", "kitchen");
    while !nurse.ask("get", None, ROSTER).contains("subscription='both'") {}
}

#[test]
fn a_forgotten_password_is_set_anew_with_an_invitation() {
    let server = server("invite", &[]);
    let made = invite(&server, &["reset", "juliet@localhost", "--lifetime", "1h"]);
    assert!(made.status.success(), "{made:?}");
    let uri = String::from_utf8_lossy(&made.stdout).lines().next().unwrap().to_owned();
    assert!(uri.starts_with("xmpp:juliet@localhost?register;preauth="), "{uri}");
    let mut old = Raw::online(&server, "juliet", "balcony");
    let mut raw = stranger(&server);
    assert!(show(&mut raw, token(&uri)).contains("type='result'"));
    refused(&register(&mut raw, "romeo", "new"), "modify", "not-acceptable");
    assert!(is_right(&server, "juliet", "secret"), "nothing has happened yet");
    assert!(register(&mut raw, "juliet", "new").contains("type='result'"));
    assert!(is_right(&server, "juliet", "new") && !is_right(&server, "juliet", "secret"));
    assert!(old.hear_rest().contains("the password was changed"));
    refused(&register(&mut raw, "juliet", "newer"), "cancel", "item-not-found");
    refused(&show(&mut stranger(&server), token(&uri)), "cancel", "item-not-found");
    // There has to be such an account, and a name that is somebody else's by then is not given away.
    let nobody = invite(&server, &["reset", "nobody@localhost"]);
    assert!(
        !nobody.status.success() && String::from_utf8_lossy(&nobody.stderr).contains("nobody@localhost"),
        "{nobody:?}"
    );
    let stale = invite(&server, &["reset", "juliet@localhost"]);
    let stale = String::from_utf8_lossy(&stale.stdout).lines().next().unwrap().to_owned();
    assert!(common::user(&server.data(), &["remove", "juliet@localhost"], "").status.success());
    server.add_user("juliet");
    refused(&show(&mut stranger(&server), token(&stale)), "cancel", "item-not-found");
}
