//! How an operator stays in control of who registers, on the real binary: the log, undoing a wave, letting people in,
//! being told, and being reached.

mod common;

use std::process::Output;
use std::time::Duration;

use common::people::{befriend, is_right};
use common::strangers::{OPEN, open, query, refused, register, stranger, stranger_from};
use common::{Raw, Server, rondel};

/// `rondel registration …` on a running server.
fn registration(server: &Server, arguments: &[&str]) -> Output {
    let mut command = rondel();
    command.arg("registration").args(arguments).arg("--data-dir").arg(server.data());
    command.output().unwrap()
}

/// What it prints.
#[track_caller]
fn printed(server: &Server, arguments: &[&str]) -> String {
    let output = registration(server, arguments);
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    out.into_owned()
}

/// The part of each line behind the time.
fn without_time(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.split_once(' ')).map(|(_, rest)| rest).collect()
}

#[test]
fn the_log_has_every_attempt_and_its_reason() {
    let flags = ["--shards", "2", "--registration-blocklist", "127.0.0.66", "--refused-names", "^bot"];
    let server = open(&flags);
    server.add_user("nurse");
    let mut raw = stranger(&server);
    assert!(register(&mut raw, "juliet", "secret").contains("type='result'"));
    for name in ["juliet", "admin", "bot1", "a@b"] {
        assert!(register(&mut raw, name, "secret").contains("type='error'"), "{name}");
    }
    register(&mut stranger_from(&server, "127.0.0.66"), "paris", "secret");
    let log = printed(&server, &["log"]);
    assert_eq!(
        without_time(&log),
        [
            "- nurse@localhost made by cli",
            "127.0.0.1 juliet@localhost made by ibr",
            "127.0.0.1 juliet@localhost refused: taken",
            "127.0.0.1 admin@localhost refused: reserved-name",
            "127.0.0.1 bot1@localhost refused: refused-name",
            "127.0.0.1 localhost refused: bad-name",
            "127.0.0.66 localhost refused: blocked-address",
        ]
    );
    assert_eq!(without_time(&printed(&server, &["log", "--only", "made", "--limit", "1"])).len(), 1);
    let some = printed(&server, &["log", "--from-address", "127.0.0.64/26", "--json"]);
    assert!(some.lines().count() == 1 && some.contains("\"reason\":\"blocked-address\""), "{some}");
    assert_eq!(printed(&server, &["log", "--since", "0"]), "");
    let stats = printed(&server, &["stats", "--prefix-ipv4", "32"]);
    for line in ["made            2, of which 0 are gone", "refused         5", "1  refused: taken", "127.0.0.66/32"] {
        assert!(stats.contains(line), "{line}: {stats}");
    }
    // The log is there without a server, too.
    let (status, directory) = server.terminate();
    assert!(status.success());
    let output =
        rondel().args(["registration", "log", "--data-dir"]).arg(directory.path().join("data")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), log);
    let wrong = rondel().args(["registration", "log", "--since", "yesterday"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("right would be a moment"), "{wrong:?}");
}

#[test]
fn a_wave_is_undone_and_nothing_else() {
    let server = open(&["--shards", "2", "--registration-interval", "0", "--registrations-per-day", "0"]);
    server.add_user("juliet");
    for number in 0..20 {
        let name = format!("bot{number}");
        assert!(register(&mut stranger_from(&server, "127.0.1.7"), &name, "secret").contains("type='result'"));
    }
    for name in ["romeo", "nurse"] {
        assert!(register(&mut stranger_from(&server, "127.0.2.7"), name, "secret").contains("type='result'"));
    }
    let (mut juliet, mut bot) = (Raw::online(&server, "juliet", "balcony"), Raw::online(&server, "bot3", "farm"));
    befriend((&mut bot, "bot3"), (&mut juliet, "juliet"));
    juliet.ask("get", None, "<query xmlns='jabber:iq:roster'/>");
    let purge = ["purge", "--from-address", "127.0.1.0/24", "--since", "1h"];
    let dry = printed(&server, &purge);
    assert_eq!(dry.lines().count(), 21, "{dry}");
    assert!(dry.ends_with("20 accounts found; nothing was removed: add --yes for that\n"), "{dry}");
    assert!(is_right(&server, "bot0", "secret"));
    assert_eq!(printed(&server, &[&purge[..], &["--yes"]].concat()), "20 accounts removed\n");
    // Whoever was a contact of one learns that it is gone, and so does the bot.
    assert!(bot.hear_rest().contains("<not-authorized "));
    for kind in ["unsubscribe", "unsubscribed"] {
        juliet.hear(&format!("type='{kind}'"));
    }
    assert!(!is_right(&server, "bot0", "secret") && !is_right(&server, "bot19", "secret"));
    for name in ["juliet", "romeo", "nurse"] {
        assert!(is_right(&server, name, "secret"), "{name}");
    }
    assert!(printed(&server, &purge).contains("0 accounts found"));
    assert!(printed(&server, &["log", "--only", "made"]).contains("bot7@localhost made by ibr, gone"));
    // A name that is taken anew is another account; what tells them apart is the second in which they were made.
    std::thread::sleep(Duration::from_secs(1));
    server.add_user("bot7");
    assert!(printed(&server, &purge).contains("0 accounts found"));
    let output = registration(&server, &["purge", "--since", "1h"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn people_are_let_in_or_not() {
    let flags = ["--registration", "approve", "--password-strength", "0", "--admin", "nurse@localhost"];
    let server = Server::start(&flags);
    server.add_user("nurse");
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    let mut raw = stranger(&server);
    let offer = raw.ask("get", None, &query(""));
    assert!(offer.contains("var='reason'") && offer.contains("<password/>"), "{offer}");
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='username'><value>romeo</value></field>\
                <field var='password'><value>secret secret</value></field>\
                <field var='reason'><value>to see</value><value>Juliet</value></field></x>";
    assert!(raw.ask("set", None, &query(form)).contains("type='result'"));
    let told = nurse.hear("</body>");
    let words = "User romeo just registered on localhost from 127.0.0.1 and waits to be let in\nreason: to see\nJuliet";
    assert!(told.contains(words), "{told}");
    assert!(register(&mut raw, "paris", "secret secret").contains("type='result'"));
    let pending = printed(&server, &["pending"]);
    assert_eq!(pending.lines().count(), 4, "{pending}");
    assert!(pending.contains("127.0.0.1 romeo@localhost\n    reason: to see\n    reason: Juliet\n"), "{pending}");
    assert!(!can_log_in(&server, "romeo") && !can_log_in(&server, "paris"));
    assert_eq!(printed(&server, &["approve", "romeo@localhost"]), "approved romeo@localhost\n");
    assert!(can_log_in(&server, "romeo") && !can_log_in(&server, "paris"));
    assert_eq!(printed(&server, &["reject", "paris@localhost"]), "rejected paris@localhost\n");
    assert_eq!(printed(&server, &["pending"]), "");
    for jid in ["romeo@localhost", "paris@localhost", "nurse@localhost"] {
        let output = registration(&server, &["reject", jid]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains("does not wait to be let in"), "{error}");
    }
    assert!(can_log_in(&server, "romeo"));
}

/// Whether somebody logs in; an account that waits to be let in is told so.
fn can_log_in(server: &Server, user: &str) -> bool {
    let mut raw = stranger(server);
    let mut scram = common::scram::Scram::new(user, None);
    raw.say(&format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{}</auth>",
        scram.first()
    ));
    let challenge = raw.hear_between("xmpp-sasl'>", "</challenge>");
    let response = scram.last(&challenge, "secret secret");
    raw.say(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{response}</response>"));
    let outcome = raw.hear(">");
    if outcome.starts_with("<failure") {
        let rest = raw.hear("</failure>");
        assert!(rest.contains("<account-disabled"), "{rest}");
    }
    outcome.starts_with("<success")
}

#[test]
fn watchers_are_told_and_newcomers_welcomed() {
    let flags = [
        "--admin",
        "nurse@localhost",
        "--registration-notification",
        "$username@$host came from $ip by $source",
        "--registration-notification-type",
        "normal",
        "--registration-from",
        "watch@localhost",
        "--welcome-message",
        "Hello $username & welcome to $host!",
    ];
    let server = open(&flags);
    server.add_user("nurse");
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    assert!(register(&mut stranger(&server), "juliet", "secret").contains("type='result'"));
    let told = nurse.hear("</message>");
    assert!(told.contains("<body>juliet@localhost came from 127.0.0.1 by ibr</body>"), "{told}");
    assert!(told.contains("type='normal'") && told.contains("from='watch@localhost'"), "{told}");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let welcome = juliet.hear("</message>");
    assert!(welcome.contains("<body>Hello juliet &amp; welcome to localhost!</body>"), "{welcome}");
    assert!(welcome.contains("from='localhost'"), "{welcome}");
    let quiet = open(&["--welcome-message", ""]);
    assert!(register(&mut stranger(&quiet), "juliet", "secret").contains("type='result'"));
    assert!(!Raw::online(&quiet, "juliet", "balcony").round_trip().contains("<message"));
}

#[test]
fn what_is_asked_has_to_be_answered() {
    let flags = [
        "--registration-field",
        "email+,nick",
        "--registration-question",
        "Who loves Juliet?",
        "--registration-answer",
        "Romeo",
        "--registration-terms",
        "https://example.org/terms",
        "--login-tries",
        "20",
    ];
    let server = open(&flags);
    let mut raw = stranger(&server);
    let offer = raw.ask("get", None, &query(""));
    assert!(!offer.contains("<password/>"), "it is not enough: {offer}");
    for part in ["var='email'", "label='Who loves Juliet?'", "https://example.org/terms", "<required/>"] {
        assert!(offer.contains(part), "{part}: {offer}");
    }
    let mut submit = |more: &[(&str, &str)]| {
        let fields = [&[("username", "nurse"), ("password", "secret")], more].concat();
        let field = |(var, value): &(&str, &str)| format!("<field var='{var}'><value>{value}</value></field>");
        let fields: String = fields.iter().map(field).collect();
        raw.ask("set", None, &query(&format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>")))
    };
    let (email, answer, terms) = (("email", "nurse@example.org"), ("qa", "romeo"), ("terms", "1"));
    refused(&submit(&[answer, terms]), "modify", "not-acceptable");
    refused(&submit(&[("email", "nobody"), answer, terms]), "modify", "not-acceptable");
    refused(&submit(&[email, ("qa", "Paris"), terms]), "cancel", "not-acceptable");
    refused(&submit(&[email, answer]), "modify", "not-acceptable");
    assert!(submit(&[email, answer, terms]).contains("type='result'"));
    let log = printed(&server, &["log"]);
    let reasons: Vec<_> = log.lines().filter_map(|line| line.split_once("refused: ")).map(|(_, why)| why).collect();
    assert_eq!(reasons, ["missing-field", "bad-field", "wrong-answer", "terms-refused"]);
    let error = |flags: &[&str]| {
        let output = rondel().args(["serve", "--dev"]).args(flags).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, line) = error(&["--registration-field", "colour"]);
    assert!(code == Some(2) && line.contains("right would be a field out of nick, name"), "{line}");
}

#[test]
fn those_who_run_the_server_can_be_reached() {
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let ask = |flags: &[&str]| {
        let mut server = Server::start(flags);
        server.add_user("juliet");
        let answer = Raw::login(&server, "juliet", "balcony").ask("get", Some("localhost"), info);
        server.wait_for_log(|line| line.contains("\"serving\""));
        (answer, server.logged.iter().any(|line| line.contains("--contact abuse=")))
    };
    let (answer, _) = ask(&[]);
    assert!(!answer.contains("jabber:x:data"), "{answer}");
    let (answer, warned) = ask(&[OPEN, &["--admin", "juliet@localhost"]].concat());
    assert!(warned && answer.contains("<field var='admin-addresses'"), "{answer}");
    assert!(answer.contains("<value>xmpp:juliet@localhost</value>"), "{answer}");
    let more = [
        "--contact",
        "abuse=mailto:abuse@example.org",
        "--contact",
        "abuse=xmpp:abuse@example.org",
        "--contact",
        "security=https://example.org/security",
        "--outage-status",
        "https://status.example.net/example.org.json",
        "--data-policy",
        "tos=https://example.org/terms",
    ];
    let (answer, warned) = ask(&[OPEN, &more].concat());
    assert!(!warned);
    for part in [
        "<value>http://jabber.org/network/serverinfo</value>",
        "<value>mailto:abuse@example.org</value><value>xmpp:abuse@example.org</value>",
        "<value>https://example.org/security</value>",
        "<value>urn:xmpp:sos:0</value>",
        "<value>https://status.example.net/example.org.json</value>",
        "<value>urn:xmpp:data-policy:0</value>",
        "<value>https://example.org/terms</value>",
        "<field var='data_retention'",
        "<value>2160</value>",
    ] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    let wrong = rondel().args(["serve", "--dev", "--contact", "abuse=abuse@example.org"]).output().unwrap();
    let line = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && line.contains("right would be a URI"), "{line}");
}

#[test]
fn registration_is_closed_by_a_reload() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("flags");
    let write = |who: &str| std::fs::write(&file, format!("--registration {who}\n--password-strength 0\n")).unwrap();
    write("open");
    let mut server = Server::start(&[&format!("@{}", file.display())]);
    server.add_user("nurse");
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    assert!(register(&mut stranger(&server), "juliet", "secret secret").contains("type='result'"));
    let mut waiting = stranger(&server);
    write("closed");
    server.signal("-HUP");
    server.wait_for_log(|line| line.contains("rules of registration read again"));
    refused(&register(&mut waiting, "romeo", "secret secret"), "cancel", "service-unavailable");
    assert!(nurse.round_trip().contains("type='result'"), "nobody is dropped");
    write("nonsense");
    server.signal("-HUP");
    server.wait_for_log(|line| line.contains("keeping the rules of registration"));
}

#[test]
fn names_of_the_gone_and_those_that_look_like_others_are_not_had() {
    let server = open(&["--login-tries", "20"]);
    for name in ["bob", "nurse"] {
        server.add_user(name);
    }
    let mut raw = stranger(&server);
    refused(&register(&mut raw, "b0b", "secret"), "cancel", "conflict");
    assert!(register(&mut raw, "juliet", "secret").contains("type='result'"));
    refused(&register(&mut raw, "ju1iet", "secret"), "cancel", "conflict");
    for name in ["bob", "juliet"] {
        let removed = common::user(&server.data(), &["remove", &format!("{name}@localhost")], "");
        assert!(removed.status.success());
        refused(&register(&mut raw, name, "secret"), "cancel", "conflict");
    }
    assert!(register(&mut raw, "b0b", "secret").contains("type='result'"), "nobody looks like that any more");
    let log = printed(&server, &["log", "--only", "refused"]);
    let reasons: Vec<_> = log.lines().filter_map(|line| line.split_once("refused: ")).map(|(_, why)| why).collect();
    assert_eq!(reasons, ["lookalike", "lookalike", "kept-name", "kept-name"]);
    // An operator has names as they like.
    for name in ["juliet", "bob", "ju1iet"] {
        server.add_user(name);
        assert!(is_right(&server, name, "secret"));
    }
    let server = server.kill_and_restart(&[OPEN, &["--tombstone-expiry", "1s", "--refuse-lookalikes", "off"]].concat());
    assert!(common::user(&server.data(), &["remove", "bob@localhost"], "").status.success());
    // And b0b is still there.
    let mut raw = stranger(&server);
    while !register(&mut raw, "bob", "secret").contains("type='result'") {
        std::thread::sleep(Duration::from_millis(100));
        raw = stranger(&server);
    }
}

#[test]
fn everybody_is_told_what_has_to_be_known() {
    let server = Server::start(&["--shards", "2", "--message-of-the-day", "Tea at five & cake."]);
    ["juliet", "romeo", "nurse"].iter().for_each(|user| server.add_user(user));
    let (mut juliet, mut romeo) = (Raw::online(&server, "juliet", "balcony"), Raw::online(&server, "romeo", "orchard"));
    for raw in [&mut juliet, &mut romeo] {
        let motd = raw.hear("</message>");
        assert!(motd.contains("type='headline'") && motd.contains("from='localhost'"), "{motd}");
        assert!(motd.contains("<body>Tea at five &amp; cake.</body>"), "{motd}");
    }
    // Whoever changes its presence has not come anew.
    juliet.say("<presence><show>away</show></presence>");
    assert!(!juliet.round_trip().contains("<message"));
    let announce = |arguments: &[&str]| {
        let output = rondel().arg("announce").args(arguments).arg("--data-dir").arg(server.data()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(announce(&["The play begins."]).0);
    for raw in [&mut juliet, &mut romeo] {
        let told = raw.hear("</message>");
        assert!(told.contains("type='headline'") && told.contains("<body>The play begins.</body>"), "{told}");
    }
    assert!(announce(&["--everybody", "--of-domain", "localhost", "It is over."]).0);
    for raw in [&mut juliet, &mut romeo] {
        let told = raw.hear("</message>");
        assert!(told.contains("type='chat'") && told.contains("<body>It is over.</body>"), "{told}");
    }
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    let heard = nurse.hear("<body>It is over.</body>");
    assert!(!heard.contains("The play begins."), "{heard}");
    assert!(announce(&["--of-domain", "example.org", "Nobody hears this."]).0);
    assert!(!juliet.round_trip().contains("<message"));
    let (is_done, line) = announce(&[""]);
    assert!(!is_done && line.contains("nothing is said"), "{line}");
}
