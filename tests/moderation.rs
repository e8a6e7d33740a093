//! Reports of abuse (XEP-0377), what an operator does about them, bans, and what new accounts are held to.

mod common;

use common::people::befriend;
use common::strangers::{OPEN, is_error, register, stranger_between};
use common::{Raw, Server, rondel};

const ADMIN: &[&str] = &["--admin", "admin@localhost"];

fn rondel_refuses(server: &Server, arguments: &[&str]) -> String {
    let output = rondel().args(arguments).arg("--data-dir").arg(server.data()).output().unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn server(flags: &[&str]) -> Server {
    let server = Server::start(&[ADMIN, flags].concat());
    ["admin", "juliet", "romeo"].iter().for_each(|name| server.add_user(name));
    server
}

/// The words of the next message that the server itself sends.
fn told(raw: &mut Raw) -> String {
    raw.hear("from='localhost'");
    raw.hear_between("<body>", "</body>")
}

fn chat(raw: &mut Raw, to: &str, words: &str) {
    raw.say(&format!("<message type='chat' to='{to}' id='said'><body>{words}</body></message>"));
}

/// Blocks somebody, and reports it.
fn report(raw: &mut Raw, jid: &str, report: &str) {
    let answer =
        raw.ask("set", None, &format!("<block xmlns='urn:xmpp:blocking'><item jid='{jid}'>{report}</item></block>"));
    assert!(answer.contains("type='result'"), "{answer}");
}

/// The reports that nobody has seen to, as they are listed.
fn reports(server: &Server) -> Vec<String> {
    server.rondel_says(&["report", "list"]).lines().map(str::to_owned).collect()
}

fn id_of(line: &str) -> &str {
    line.split(' ').next().unwrap()
}

#[test]
fn a_report_comes_with_its_messages_and_is_seen_to_once() {
    let server = server(&[]);
    let mut admin = Raw::online(&server, "admin", "desk");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    chat(&mut romeo, "juliet@localhost", "buy my swords");
    let id = juliet.hear_between("<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='", "'");
    chat(&mut juliet, "admin@localhost", "no word of this");
    let own = admin.hear_between("by='admin@localhost' id='", "'");
    report(
        &mut juliet,
        "romeo@localhost",
        &format!(
            "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><text>all day</text>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='{id}'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='{own}'/><report-origin/></report>"
        ),
    );
    let words = told(&mut admin);
    assert!(words.contains("juliet@localhost reports romeo@localhost for spam: all day"), "{words}");
    let listed = reports(&server);
    assert_eq!(listed.len(), 1);
    let report = id_of(&listed[0]).to_owned();
    assert!(words.ends_with(&format!("rondel report show {report}")), "{words}");
    let shown = server.rondel_says(&["report", "show", &report]);
    for expected in ["buy my swords", "reporter    juliet@localhost", "1 report of that account", "its own server"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("no word of this"), "what is not said by who is reported is nobody's business: {shown}");
    let act = ["report", "act", &report, "ban", "--for", "1h", "--words", "Stop it.", "--answer", "Thank you."];
    assert_eq!(server.rondel_says(&act), format!("ban {report}\n"));
    assert_eq!(told(&mut romeo), "Stop it.");
    assert!(romeo.hear_rest().contains("<not-authorized"));
    assert_eq!(told(&mut juliet), "Thank you.");
    let shown = server.rondel_says(&["user", "show", "romeo@localhost"]);
    assert!(shown.contains(" until 20") && shown.contains("reported for spam"), "{shown}");
    assert!(reports(&server).is_empty());
    let refused = rondel_refuses(&server, &["report", "act", &report, "dismiss"]);
    assert!(refused.contains("has seen to it already: ban"), "{refused}");
    assert!(server.rondel_says(&["report", "list", "--all"]).contains("[ban, by user "));
    let audit = server.rondel_says(&["audit"]);
    assert!(audit.contains(" act-on-report by user ") && audit.contains(" failed: "), "{audit}");
}

#[test]
fn whoever_is_reported_is_warned_limited_or_removed() {
    let server = server(&["--new-account-strangers", "1"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    for action in ["warn", "limit", "remove"] {
        server.add_user(action);
        let jid = format!("{action}@localhost");
        let mut reported = Raw::online(&server, action, "client");
        report(&mut juliet, &jid, "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/>");
        let listed = reports(&server);
        let id = id_of(&listed[0]).to_owned();
        server.rondel_says(&["report", "act", &id, action, "--words", "Mind your words."]);
        assert_eq!(told(&mut reported), "Mind your words.", "{action}");
        for to in ["admin", "romeo", "nobody"] {
            // An account that is removed is disconnected.
            let _ = std::io::Write::write_all(
                &mut reported.stream,
                format!("<message type='chat' to='{to}@localhost' id='m'><body>x</body></message>").as_bytes(),
            );
        }
        match action {
            "warn" => assert!(!reported.round_trip().contains("<policy-violation"), "it writes on"),
            "limit" => assert!(reported.round_trip().contains("<policy-violation"), "to few strangers"),
            _ => assert!(reported.hear_rest().contains("<not-authorized")),
        }
        let is_there = common::user(&server.data(), &["show", &jid], "").status.success();
        assert_eq!(is_there, action != "remove");
    }
}

#[test]
fn reports_of_old_clients_and_without_a_block_that_is_new_count_too() {
    let server = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    report(&mut juliet, "romeo@localhost", "");
    assert!(reports(&server).is_empty());
    report(&mut juliet, "romeo@localhost", "<report xmlns='urn:xmpp:reporting:0'><abuse/></report>");
    report(&mut juliet, "romeo@localhost", "<report xmlns='urn:xmpp:reporting:1'/>");
    let listed = reports(&server);
    assert_eq!(listed.len(), 1, "one without a reason is none: {listed:?}");
    assert!(listed[0].contains("romeo@localhost reported for abuse by juliet@localhost"), "{listed:?}");
    assert_eq!(
        server.rondel_says(&["report", "act", id_of(&listed[0]), "dismiss"]),
        format!("dismiss {}\n", id_of(&listed[0]))
    );
}

#[test]
fn nobody_floods_the_moderators() {
    let server = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    for number in 0..30 {
        let reason = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/>";
        report(&mut juliet, &format!("bot{number}@localhost"), reason);
    }
    assert_eq!(reports(&server).len(), 20);
}

#[test]
fn reporting_is_advertised() {
    let server = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let info = juliet.ask("get", Some("localhost"), "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    for feature in ["", "reason:spam:", "reason:abuse:"] {
        assert!(info.contains(&format!("<feature var='urn:xmpp:reporting:{feature}0'/>")), "{feature}: {info}");
    }
    assert!(info.contains("<feature var='urn:xmpp:reporting:1'/>"), "{info}");
}

#[test]
fn who_is_muted_reaches_administrators_only() {
    let server = server(&[]);
    let mut admin = Raw::online(&server, "admin", "desk");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    assert_eq!(server.rondel_says(&["user", "mute", "romeo@localhost"]), "muted romeo@localhost\n");
    let sends = |romeo: &mut Raw, stanza: &str| {
        romeo.say(stanza);
        romeo.hear("type='error'");
        let error = romeo.hear("</error>");
        assert!(error.contains("<forbidden"), "{error}");
    };
    sends(&mut romeo, "<message type='chat' to='juliet@localhost' id='m'><body>hello</body></message>");
    sends(&mut romeo, "<iq type='get' to='juliet@localhost/balcony' id='i'><ping xmlns='urn:xmpp:ping'/></iq>");
    sends(&mut romeo, "<presence type='subscribe' to='juliet@localhost' id='p'/>");
    chat(&mut romeo, "admin@localhost", "why");
    admin.hear("<body>why</body>");
    assert!(server.rondel_says(&["user", "show", "romeo@localhost"]).contains("muted     for good\n"));
    server.rondel_says(&["user", "unmute", "romeo@localhost"]);
    chat(&mut romeo, "juliet@localhost", "there you are");
    juliet.hear("<body>there you are</body>");
}

#[test]
fn a_new_account_writes_to_a_few_strangers() {
    let flags = ["--new-account-strangers", "2", "--registration-interval", "0", "--registrations-per-day", "0"];
    let server = server(&[OPEN, &flags].concat());
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    for name in ["bot", "a", "b", "c"] {
        assert!(register(&mut common::strangers::stranger(&server), name, "secret").contains("type='result'"));
    }
    let mut bot = Raw::online(&server, "bot", "net");
    let refused = |bot: &mut Raw, to: &str| {
        chat(bot, to, "hello");
        let rest = bot.round_trip();
        rest.contains("<policy-violation")
    };
    assert!(!refused(&mut bot, "a@localhost") && !refused(&mut bot, "b@localhost"));
    assert!(refused(&mut bot, "c@localhost"), "the third");
    assert!(!refused(&mut bot, "a@localhost"), "somebody it has written to");
    bot.say("<presence type='subscribe' to='c@localhost' id='p'/>");
    assert!(bot.hear("</presence>").contains("<policy-violation"), "no way around it");
    // A new session has not forgotten.
    drop(bot);
    let mut bot = Raw::online(&server, "bot", "again");
    assert!(refused(&mut bot, "c@localhost"));
    // Who has written to it is answered.
    chat(&mut juliet, "bot@localhost", "who are you");
    bot.hear("<body>who are you</body>");
    assert!(!refused(&mut bot, "juliet@localhost"));
    assert!(!refused(&mut bot, "admin@localhost"), "administrators are no strangers");
    assert_eq!(server.rondel_says(&["user", "unlimit", "bot@localhost"]), "trusted bot@localhost\n");
    assert!(!refused(&mut bot, "c@localhost"));
    server.rondel_says(&["user", "limit", "juliet@localhost", "--for", "1h"]);
    assert!(!refused(&mut juliet, "a@localhost") && !refused(&mut juliet, "b@localhost"));
    assert!(refused(&mut juliet, "c@localhost"), "an old account can be held to it, too");
}

#[test]
fn contacts_of_a_new_account_are_no_strangers() {
    let flags = ["--new-account-strangers", "0", "--new-account-rate", "1/h:12"];
    let server = server(&[OPEN, &flags].concat());
    assert!(register(&mut common::strangers::stranger(&server), "tybalt", "secret").contains("type='result'"));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut tybalt = Raw::online(&server, "tybalt", "square");
    // Who writes first is one that may be answered, and asked.
    chat(&mut juliet, "tybalt@localhost", "be my friend");
    tybalt.hear("<body>be my friend</body>");
    befriend((&mut juliet, "juliet"), (&mut tybalt, "tybalt"));
    for number in 0..5 {
        chat(&mut tybalt, "juliet@localhost", &number.to_string());
        juliet.hear(&format!("<body>{number}</body>"));
    }
    for _ in 0..10 {
        chat(&mut tybalt, "juliet@localhost", "too fast");
    }
    assert!(tybalt.round_trip().contains("A new account may not send so much at once."));
}

#[test]
fn an_address_is_banned_for_a_time() {
    let server = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut bot = stranger_between("127.7.0.1", server.address);
    assert_eq!(
        server.rondel_says(&["ban", "add", "127.7.0.0/16", "--for", "1d", "--reason", "bots"]),
        "banned 127.7.0.0/16\n"
    );
    assert!(bot.hear_rest().contains("<policy-violation"));
    let knock = || std::panic::catch_unwind(|| stranger_between("127.7.3.4", server.address)).is_ok();
    let listed = server.rondel_says(&["ban", "list"]);
    assert!(listed.starts_with("127.7.0.0/16 until 20") && listed.trim_end().ends_with(": bots"), "{listed}");
    assert!(!knock(), "nobody from there is let in");
    assert!(juliet.round_trip().contains("type='result'"), "others are not disturbed");
    let server_again = server.kill_and_restart(ADMIN);
    let knock = || std::panic::catch_unwind(|| stranger_between("127.7.3.4", server_again.address)).is_ok();
    assert!(!knock(), "a ban outlives the server");
    assert_eq!(server_again.rondel_says(&["ban", "remove", "127.7.0.0/16"]), "let in 127.7.0.0/16\n");
    assert!(knock());
    assert!(rondel_refuses(&server_again, &["ban", "remove", "127.7.0.0/16"]).contains("is not banned"));
}

#[test]
fn an_account_is_barred_for_a_time_only() {
    let server = server(&[]);
    server.rondel_says(&["user", "ban", "romeo@localhost", "--for", "1s", "--reason", "shouting"]);
    assert!(!common::people::is_right(&server, "romeo", "secret"));
    let until = std::time::Instant::now() + common::PATIENCE;
    while !common::people::is_right(&server, "romeo", "secret") {
        assert!(std::time::Instant::now() < until, "it is not over");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn who_leaves_can_be_brought_back_for_a_while() {
    let server = server(&["--removal-grace", "30d"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    befriend((&mut juliet, "juliet"), (&mut romeo, "romeo"));
    let answer = romeo.ask("set", None, "<query xmlns='jabber:iq:register'><remove/></query>");
    assert!(answer.contains("type='result'"), "{answer}");
    assert!(romeo.hear_rest().contains("<not-authorized"));
    let failure = common::people::try_to_log_in(&server, "romeo", "secret");
    assert!(failure.contains("<account-disabled/><text xml:lang='en'>Account deleted</text>"), "{failure}");
    assert!(server.rondel_says(&["user", "show", "romeo@localhost"]).contains("leaves    "));
    server.rondel_says(&["user", "enable", "romeo@localhost"]);
    let mut romeo = Raw::login(&server, "romeo", "orchard");
    let roster = romeo.ask("get", None, "<query xmlns='jabber:iq:roster'/>");
    assert!(roster.contains("juliet@localhost"), "{roster}");
}

#[test]
fn who_has_left_is_gone_when_the_time_is_over() {
    let server = server(&["--removal-grace", "1s"]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.ask("set", None, "<query xmlns='jabber:iq:register'><remove/></query>");
    assert!(romeo.hear_rest().contains("<not-authorized"));
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    // What is due is done at the start, and every minute.
    let server = server.kill_and_restart(ADMIN);
    assert!(rondel_refuses(&server, &["user", "show", "romeo@localhost"]).contains("there is no account"));
    assert!(!is_error("", "", ""));
}

#[test]
fn the_command_line_says_what_is_wrong() {
    let server = server(&[]);
    assert!(rondel_refuses(&server, &["report", "show", "nonsense"]).contains("there is no report nonsense"));
    assert!(rondel_refuses(&server, &["user", "mute", "nobody@localhost"]).contains("there is no account"));
    assert!(rondel_refuses(&server, &["ban", "add", "nonsense"]).contains("192.0.2.0/24"));
    assert!(rondel_refuses(&server, &["user", "role", "romeo@localhost", "king"]).contains("admin"));
}

#[test]
fn administrators_hear_of_what_goes_wrong_slowly() {
    // One at a time: what comes soon after another is told with it, a minute later.
    let mut server = server(&[]);
    for (alarm, words) in [
        (["--alert-disk-free", "99"], "is nearly full: "),
        (["--alert-disk-free=0", "--alert-certificate=400d"], "localhost.crt expires in "),
    ] {
        server = server.kill_and_restart(&[&["--admin", "admin@localhost"], &alarm[..]].concat());
        // It has waited for somebody to come.
        Raw::online(&server, "admin", "desk").hear(words);
    }
}
