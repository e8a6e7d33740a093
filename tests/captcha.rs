//! Letters that have to be read before there is an account (XEP-0158), in clients and on the web page.

mod common;

use common::Server;
use common::browser::Browser;
use common::letters::{picture_in, read};
use common::strangers::{OPEN, query, refused, stranger, stranger_from};

const CAPTCHA: &[&str] = &["--registration-captcha", "on"];
const QUESTION: &[&str] = &["--registration-question", "Who loves Juliet?", "--registration-answer", "Romeo"];

/// Tries of a program to read the letters: that all of them are wrong happens once in ten millions.
const TRIES: usize = 120;

fn start(flags: &[&str]) -> Server {
    Server::start(&[OPEN, CAPTCHA, flags].concat())
}

/// The name of the challenge in a form.
fn challenge_in(form: &str) -> String {
    let (_, rest) = form.split_once("<field var='challenge' type='hidden'><value>").unwrap();
    rest.split('<').next().unwrap().to_owned()
}

fn submit(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| format!("<field var='{name}'><value>{value}</value></field>");
    let type_ = "<field var='FORM_TYPE'><value>jabber:iq:register</value></field>";
    let fields: String = fields.iter().map(field).collect();
    query(&format!("<x xmlns='jabber:x:data' type='submit'>{type_}{fields}</x>"))
}

fn account(challenge: &str, letters: &str) -> String {
    submit(&[("username", "juliet"), ("password", "secret"), ("challenge", challenge), ("ocr", letters)])
}

/// The address of a try: nobody is shown many pictures at once.
fn address(number: usize) -> String {
    format!("127.0.8.{}", number + 1)
}

#[test]
fn an_account_is_made_by_whoever_reads_the_letters() {
    let server = start(&[]);
    let mut answers = (0..TRIES).map(|number| {
        let mut raw = stranger_from(&server, &address(number));
        let form = raw.ask("get", None, &query(""));
        for part in
            ["<field var='sid' type='hidden'><value>asked</value>", "<uri type='image/jpeg'>cid:sha1+", "<required/>"]
        {
            assert!(form.contains(part), "{form}");
        }
        assert!(!form.contains("<username/>"), "{form}");
        raw.ask("set", None, &account(&challenge_in(&form), &read(&picture_in(&form))))
    });
    let right = answers.find(|answer| {
        let is_right = answer.contains("type='result'");
        if !is_right {
            refused(answer, "cancel", "not-acceptable");
        }
        is_right
    });
    right.expect("some letters are read");
    assert!(server.rondel_says(&["user", "show", "juliet@localhost"]).contains("by in-band registration"));
}

#[test]
fn a_challenge_is_tried_once_and_has_to_be_the_servers_own() {
    let server = start(&["--shards", "2"]);
    let form = stranger(&server).ask("get", None, &query(""));
    let challenge = challenge_in(&form);
    let tries = |challenge: &str, letters: &str| {
        // On a stream of its own, perhaps of another shard.
        stranger(&server).ask("set", None, &account(challenge, letters))
    };
    refused(&tries(&challenge, "wrong"), "cancel", "not-acceptable");
    for _ in 0..4 {
        refused(&tries(&challenge, "wrong"), "cancel", "service-unavailable");
    }
    for forged in ["", "nonsense", &challenge[1..], &format!("A{}", &challenge[1..])] {
        refused(&tries(forged, "wrong"), "cancel", "service-unavailable");
    }
    let log = server.rondel_says(&["registration", "log"]);
    assert!(log.contains("refused: wrong-answer") && log.contains("refused: void-challenge"), "{log}");
    assert!(!common::user(&server.data(), &["show", "juliet@localhost"], "").status.success());
}

#[test]
fn who_sees_no_pictures_answers_a_question() {
    let server = start(QUESTION);
    let form = stranger(&server).ask("get", None, &query(""));
    assert!(form.contains("<field var='answers' type='hidden'><value>1</value>"), "{form}");
    let answered = |answer: &str| submit(&[("username", "juliet"), ("password", "secret"), ("qa", answer)]);
    refused(&stranger(&server).ask("set", None, &answered("Paris")), "cancel", "not-acceptable");
    refused(&stranger(&server).ask("set", None, &answered("")), "cancel", "service-unavailable");
    let made = stranger(&server).ask("set", None, &answered("romeo"));
    assert!(made.contains("type='result'"), "{made}");
}

#[test]
fn whoever_is_invited_reads_no_letters() {
    let server = start(&[]);
    let made = server.rondel_says(&["invite", "create"]);
    let token = made.split_once("preauth=").unwrap().1.lines().next().unwrap();
    let mut raw = stranger(&server);
    let shown = raw.ask("set", None, &format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>"));
    assert!(shown.contains("type='result'"), "{shown}");
    let form = raw.ask("get", None, &query(""));
    assert!(form.contains("<username/>") && !form.contains("var='ocr'"), "{form}");
    let made = common::strangers::register(&mut raw, "juliet", "secret");
    assert!(made.contains("type='result'"), "{made}");
}

#[test]
fn nobody_is_shown_many_pictures_at_once() {
    let server = start(&["--shards", "1"]);
    let mut raw = stranger_from(&server, "127.0.8.1");
    let last = (0..40).map(|_| raw.ask("get", None, &query(""))).find(|form| !form.contains("<data"));
    refused(&last.expect("a limit"), "wait", "resource-constraint");
    let other = stranger_from(&server, "127.0.8.2").ask("get", None, &query(""));
    assert!(other.contains("<data xmlns='urn:xmpp:bob'"), "{other}");
}

#[test]
fn the_page_shows_the_picture_too() {
    let mut server = start(&["--https", "127.0.0.1:0", "--contact", "support=mailto:help@example.org"]);
    let mut browser = Browser::of(&mut server, "127.0.8.1");
    let fields = [("username", "juliet"), ("password", "secret"), ("password2", "secret")];
    let mut form = browser.get("/register");
    assert!(form.text.contains("<a href=\"mailto:help@example.org\">"), "{form:?}");
    let first = form.hidden("challenge").unwrap().to_owned();
    let made = (0..TRIES).any(|number| {
        let mut visitor = browser.another(&address(number));
        form = visitor.get("/register");
        let (seal, challenge) = (form.hidden("seal").unwrap(), form.hidden("challenge").unwrap());
        let letters = read(&picture_in(&form.text));
        let answers = [("seal", seal), ("challenge", challenge), ("ocr", letters.as_str())];
        let answer = visitor.post("/register", &[&answers[..], &fields].concat());
        if answer.status != 200 {
            assert!(answer.status == 422 && answer.text.contains("These are not the letters"), "{answer:?}");
            assert_ne!(answer.hidden("challenge"), form.hidden("challenge"), "another picture is shown");
        }
        answer.status == 200
    });
    assert!(made, "some letters are read");
    // The step cannot be skipped, whatever is left out or used again.
    let mut visitor = browser.another("127.0.9.1");
    let fields = [("username", "romeo"), fields[1], fields[2]];
    for (challenge, letters) in [("", ""), (first.as_str(), "abcdef"), (first.as_str(), "abcdef")] {
        let answer =
            visitor.register("/register", &[&fields[..], &[("challenge", challenge), ("ocr", letters)]].concat());
        assert!(matches!(answer.status, 403 | 422) && answer.text.contains("role=\"alert\""), "{answer:?}");
    }
    let answer = visitor.register("/register", &fields);
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(!common::user(&browser.server().data(), &["show", "romeo@localhost"], "").status.success());
}
