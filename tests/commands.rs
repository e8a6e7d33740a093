//! Ad-hoc commands (XEP-0050): what people do to their own account with any client.

mod common;

use common::commands::{COMMANDS, fill, run, session_id};
use common::people::{is_right, resumable, resume};
use common::{Raw, Server};

const NODES: [&str; 4] = ["change-password", "list-sessions", "close-session", "close-other-sessions"];

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.add_user("romeo");
    server.add_user("juliet");
    server
}

fn change_password(raw: &mut Raw, current: &str, new: &str, close: &str) -> String {
    fill(raw, "change-password", &[("current", current), ("new", new), ("close", close)])
}

#[test]
fn people_find_what_they_may_run_where_their_account_is() {
    let flags = ["--domain", "localhost", "--domain", "anonymous.localhost", "--anonymous", "anonymous.localhost"];
    let server = server(&flags);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let mut nobody = Raw::connect(server.address);
    nobody.log_in_anonymously("anonymous.localhost");
    let info = |node: &str| format!("<query xmlns='http://jabber.org/protocol/disco#info'{node}/>");
    let items = format!("<query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/>");

    let known = juliet.ask("get", Some("localhost"), &info(""));
    assert!(known.contains(&format!("<feature var='{COMMANDS}'/>")), "{known}");
    let listed = juliet.ask("get", Some("localhost"), &items);
    for node in NODES {
        assert!(listed.contains(&format!("<item jid='localhost' node='{node}' name='")), "{node} in {listed}");
        let known = juliet.ask("get", Some("localhost"), &info(&format!(" node='{node}'")));
        assert!(known.contains("category='automation' type='command-node'"), "{known}");
        assert!(known.contains("<feature var='jabber:x:data'/>"), "{known}");
        let refused = nobody.ask("get", Some("localhost"), &info(&format!(" node='{node}'")));
        assert!(refused.contains("<forbidden"), "{refused}");
    }
    let known = juliet.ask("get", Some("localhost"), &info(&format!(" node='{COMMANDS}'")));
    assert!(known.contains("category='automation' type='command-list'"), "{known}");
    assert!(juliet.ask("get", Some("localhost"), &info(" node='reboot'")).contains("<item-not-found"));

    // There is nothing for her elsewhere, and nothing for nobody anywhere.
    assert!(!juliet.ask("get", Some("anonymous.localhost"), &items).contains("<item "));
    for domain in ["localhost", "anonymous.localhost"] {
        assert!(!nobody.ask("get", Some(domain), &items).contains("<item "));
        let command = format!("<command xmlns='{COMMANDS}' node='list-sessions'/>");
        let refused = nobody.ask("set", Some(domain), &command);
        assert!(refused.contains("<forbidden"), "{refused}");
    }
    assert!(run(&mut juliet, "reboot", "", &[]).contains("<item-not-found"));
}

#[test]
fn a_password_is_changed_by_who_knows_it() {
    let server = server(&[]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let mut other = Raw::login(&server, "juliet", "garden");

    let refused = change_password(&mut juliet, "guess", "wherefore art thou", "1");
    assert!(refused.contains("<note type='error'>The current password is not right."), "{refused}");
    assert!(is_right(&server, "juliet", "secret") && !is_right(&server, "juliet", "wherefore art thou"));

    // A session that has been closed would not answer.
    let changed = change_password(&mut juliet, "secret", "wherefore art thou", "0");
    assert!(changed.contains("status='completed'") && changed.contains("<note type='info'>"), "{changed}");
    assert!(other.round_trip().contains("type='result'"));
    assert!(is_right(&server, "juliet", "wherefore art thou") && !is_right(&server, "juliet", "secret"));

    let changed = change_password(&mut juliet, "wherefore art thou", "m&amp;ntua by the river", "1");
    assert!(changed.contains("<note type='info'>"), "{changed}");
    let end = other.hear_rest();
    assert!(end.contains("<reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"), "{end}");
    assert!(juliet.round_trip().contains("type='result'"));
    assert!(is_right(&server, "juliet", "m&ntua by the river") && is_right(&server, "romeo", "secret"));
}

#[test]
fn a_password_that_cannot_be_one_may_be_typed_anew() {
    let server = server(&[]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let asked = run(&mut juliet, "change-password", "", &[]);
    let going_on = format!("sessionid='{}'", session_id(&asked));
    let refused = run(&mut juliet, "change-password", &going_on, &[("current", "secret")]);
    assert!(refused.contains("<bad-request") && refused.contains("<bad-payload"), "{refused}");
    let long = "x".repeat(1_025);
    let refused = run(&mut juliet, "change-password", &going_on, &[("current", "secret"), ("new", &long)]);
    assert!(refused.contains("<bad-payload") && refused.contains("too long"), "{refused}");
    let done = run(&mut juliet, "change-password", &going_on, &[("current", "secret"), ("new", "wherefore art thou")]);
    assert!(done.contains("<note type='info'>"), "{done}");
    let over = run(&mut juliet, "change-password", &going_on, &[("current", "wherefore art thou"), ("new", "secret")]);
    assert!(over.contains("<not-allowed") && over.contains("<session-expired"), "{over}");
}

#[test]
fn guesses_of_a_password_close_the_door_like_failed_logins() {
    let server = server(&["--login-rate", "1/h:3", "--shards", "1"]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let mut romeo = Raw::connect(server.address);
    romeo.say(common::HEADER);
    romeo.hear("</stream:features>");
    for _ in 0..3 {
        let refused = change_password(&mut juliet, "guess", "wherefore art thou", "1");
        assert!(refused.contains("<note type='error'>"), "{refused}");
    }
    let refused = change_password(&mut juliet, "secret", "wherefore art thou", "1");
    assert!(refused.contains("type='wait'") && refused.contains("<policy-violation"), "{refused}");
    let scram = common::scram::Scram::new("romeo", None);
    romeo.say(&format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{}</auth>",
        scram.first()
    ));
    romeo.hear("<temporary-auth-failure");
}

#[test]
fn sessions_are_listed_and_closed() {
    let server = server(&["--shards", "2"]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let alone = run(&mut juliet, "close-session", "", &[]);
    assert!(alone.contains("status='completed'") && alone.contains("There is no other session."), "{alone}");

    let [mut garden, mut chamber, mut tomb] =
        ["garden", "chamber", "tomb"].map(|resource| Raw::online(&server, "juliet", resource));
    let mut romeo = Raw::login(&server, "romeo", "orchard");
    let listed = run(&mut juliet, "list-sessions", "", &[]);
    assert_eq!(listed.matches("<item>").count(), 4, "{listed}");
    assert_eq!(listed.matches("<value>127.0.0.1</value>").count(), 4, "{listed}");
    assert_eq!(listed.matches("<value>true</value>").count(), 1, "{listed}");
    assert!(!listed.contains("orchard") && listed.contains("<value>garden</value>"), "{listed}");

    let closed = fill(&mut juliet, "close-session", &[("resource", "garden")]);
    assert!(closed.contains("<note type='info'>"), "{closed}");
    let end = garden.hear_rest();
    assert!(end.contains("<reset ") && end.contains("closed by another session"), "{end}");
    // Nobody else's, and not what is not there.
    for wrong in ["orchard", "garden", "balcony"] {
        let refused = fill(&mut juliet, "close-session", &[("resource", wrong)]);
        assert!(refused.contains("<bad-payload"), "{refused}");
    }

    let closed = fill(&mut juliet, "close-other-sessions", &[]);
    assert!(closed.contains("Sessions closed: 2"), "{closed}");
    assert!(chamber.hear_rest().contains("<reset ") && tomb.hear_rest().contains("<reset "));
    assert!(juliet.round_trip().contains("type='result'") && romeo.round_trip().contains("type='result'"));
}

/// Nobody comes back to it, and what it has not got is not lost.
#[test]
fn a_session_that_waits_for_its_client_can_be_closed() {
    let server = server(&["--shards", "2"]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let (phone, id) = resumable(&server, "juliet", "phone");
    drop(phone);
    let (phone, heard) = resume(&server, "juliet", &id, 0);
    assert!(heard.starts_with("<resumed"), "{heard}");
    drop(phone);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.say("<message to='juliet@localhost/phone' type='chat'><body>art thou there?</body></message>");
    romeo.round_trip();
    let listed = run(&mut juliet, "list-sessions", "", &[]);
    assert!(listed.contains("<value>phone</value>"), "{listed}");
    let closed = fill(&mut juliet, "close-session", &[("resource", "phone")]);
    assert!(closed.contains("<note type='info'>"), "{closed}");
    let (_, heard) = resume(&server, "juliet", &id, 0);
    assert!(heard.contains("<failed") && heard.contains("<item-not-found"), "{heard}");
    juliet.say("<presence/>");
    juliet.hear("art thou there?");
}

#[test]
fn a_command_goes_on_in_its_own_session_only_and_can_be_given_up() {
    let server = server(&[]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let mut other = Raw::login(&server, "juliet", "garden");
    let asked = run(&mut juliet, "change-password", "", &[]);
    let going_on = format!("sessionid='{}'", session_id(&asked));
    let fields = [("current", "secret"), ("new", "wherefore art thou")];
    let refused = run(&mut other, "change-password", &going_on, &fields);
    assert!(refused.contains("<session-expired"), "{refused}");
    let refused = run(&mut juliet, "close-session", &going_on, &fields);
    assert!(refused.contains("<session-expired"), "{refused}");
    let canceled = run(&mut juliet, "change-password", &format!("{going_on} action='cancel'"), &[]);
    assert!(canceled.contains("status='canceled'"), "{canceled}");
    let refused = run(&mut juliet, "change-password", &going_on, &fields);
    assert!(refused.contains("<session-expired"), "{refused}");
    // Beyond the bound what has waited for longest is given up.
    let first = run(&mut juliet, "change-password", "", &[]);
    (0..8).for_each(|_| drop(run(&mut juliet, "change-password", "", &[])));
    let going_on = format!("sessionid='{}'", session_id(&first));
    let refused = run(&mut juliet, "change-password", &going_on, &fields);
    assert!(refused.contains("<session-expired"), "{refused}");
    assert!(is_right(&server, "juliet", "secret"));
}

/// The password is on disk before its change is answered.
#[test]
fn a_changed_password_survives_the_server() {
    let server = server(&[]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    assert!(change_password(&mut juliet, "secret", "wherefore art thou", "1").contains("<note type='info'>"));
    let server = server.kill_and_restart(&[]);
    assert!(is_right(&server, "juliet", "wherefore art thou") && !is_right(&server, "juliet", "secret"));
}
