//! The web pages: what they show, that an account can be made on them under the same rules as in a client, and that
//! nobody else's page can do so.

mod common;

use common::browser::{Browser, Page};
use common::strangers::OPEN;
use common::{Raw, Server};
use std::io::Write;

const HTTPS: &[&str] = &["--https", "127.0.0.1:0"];

fn site(flags: &[&str]) -> Server {
    Server::start(&[OPEN, HTTPS, flags].concat())
}

fn account<'a>(name: &'a str, password: &'a str) -> [(&'a str, &'a str); 3] {
    [("username", name), ("password", password), ("password2", password)]
}

#[track_caller]
fn says(page: &Page, status: u16, words: &str) {
    assert!(page.status == status && page.text.contains(words), "{status} and {words:?} were expected: {page:?}");
}

fn token_in(page: &str) -> &str {
    page.rsplit_once("/invite/").map(|(_, rest)| rest.split_whitespace().next().unwrap()).unwrap()
}

#[test]
fn an_account_is_made_on_the_page() {
    let mut server = site(&[]);
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    says(&browser.get("/"), 200, "<a class=\"deed\" href=\"/register\">Make an account</a>");
    let done = browser.register("/register", &account("Juliet", "secret"));
    says(&done, 200, "<b>juliet@localhost</b>");
    let server = browser.server();
    let mut juliet = Raw::connect(server.address);
    juliet.log_in("juliet", "balcony");
    let log = server.rondel_says(&["registration", "log"]);
    assert!(log.contains("127.0.7.1 juliet@localhost made by web"), "{log}");
    assert!(server.rondel_says(&["user", "show", "juliet@localhost"]).contains("on the web page"));
    let wave = server.rondel_says(&["registration", "purge", "--from-address", "127.0.7.1", "--since", "1h"]);
    assert!(wave.contains("juliet@localhost"), "{wave}");
    // The same throttle holds as for clients: 600 seconds for one address.
    says(&browser.register("/register", &account("romeo", "v3r0na")), 429, "role=\"alert\"");
    says(&browser.another("127.0.7.2").register("/register", &account("juliet", "x")), 409, "This name is taken.");
    let log = server.rondel_says(&["registration", "log"]);
    assert!(log.contains("127.0.7.1 romeo@localhost refused: too-soon"), "{log}");
}

#[test]
fn what_is_wrong_is_said_and_what_was_filled_in_is_kept_but_for_the_password() {
    let flags = [
        "--password-length",
        "10",
        "--registration-field",
        "email+",
        "--registration-field",
        "reason",
        "--registration-terms",
        "https://example.org/terms",
        "--registration-question",
        "Who loves <Juliet>?",
        "--registration-answer",
        "Romeo",
    ];
    let mut server = site(&flags);
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    let rest = [("email", "a\"b@x.org"), ("reason", "<script>"), ("qa", "Romeo"), ("terms", "1")];
    let with = |name: &str, value: &'static str| {
        let fields = [account("juliet", "long-enough-9").to_vec(), rest.to_vec()].concat();
        let changed = fields.into_iter().map(|(known, was)| (known, if known == name { value } else { was }));
        changed.collect::<Vec<_>>()
    };
    let short = browser.register("/register", &[&account("juliet", "short")[..], &rest].concat());
    says(&short, 422, "<p class=\"wrong\" role=\"alert\">");
    assert!(!short.text.contains("value=\"short\""), "{short:?}");
    for kept in [
        "value=\"juliet\"",
        "value=\"a&quot;b@x.org\"",
        "&lt;script&gt;</textarea>",
        "Who loves &lt;Juliet&gt;?",
        "checked",
    ] {
        assert!(short.text.contains(kept), "{kept}: {short:?}");
    }
    says(&browser.register("/register", &with("password2", "another")), 422, "The two passwords are not the same.");
    says(&browser.register("/register", &with("email", "nobody")), 422, "This is no e-mail address.");
    says(&browser.register("/register", &with("qa", "Paris")), 422, "The answer to the question is wrong.");
    says(&browser.register("/register", &with("terms", "")), 422, "The terms of service have to be accepted.");
    let mut other = browser.another("127.0.7.2");
    says(&other.register("/register", &with("email", "j@x.org")), 200, "juliet@localhost");
}

#[test]
fn whoever_is_invited_sees_by_whom_and_makes_the_account() {
    let mut server =
        Server::start(&[&OPEN[2..], HTTPS, &["--registration", "invite", "--user-invites", "accounts"]].concat());
    server.add_user("juliet");
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    let server = browser.server();
    says(&browser.get("/"), 200, "Accounts are made by invitation");
    says(&browser.get("/register"), 403, "You need an invitation");
    let made = server.rondel_says(&["invite", "create", "--contact-of", "juliet@localhost"]);
    let token = token_in(&made).to_owned();
    assert!(made.contains(&format!("\nhttps://localhost:{}/invite/{token}\n", browser.site().port())), "{made}");
    let page = browser.get(&format!("/invite/{token}"));
    says(&page, 200, "juliet@localhost invites you to chat");
    let uri = format!("href=\"xmpp:juliet@localhost?roster;preauth={token};ibr=y\"");
    assert!(page.text.contains(&uri), "{page:?}");
    let path = format!("/register?t={token}");
    assert!(page.text.contains(&format!("href=\"{path}\"")));
    says(&browser.register(&path, &account("romeo", "m0ntague")), 200, "romeo@localhost");
    says(&browser.get(&format!("/invite/{token}")), 404, "This invitation does not hold");
    says(&browser.get(&path), 404, "This invitation does not hold");
    let log = server.rondel_says(&["registration", "log"]);
    assert!(log.contains("127.0.7.1 romeo@localhost made by invite"), "{log}");
    // With a name that is fixed, the page shows no other, and no other is taken.
    let named = server.rondel_says(&["invite", "create", "--username", "nurse"]);
    let path = format!("/register?t={}", token_in(&named));
    assert!(browser.get(&path).text.contains("value=\"nurse\" readonly"));
    says(&browser.register(&path, &account("tybalt", "capulet")), 422, "The invitation is for another name.");
    says(&browser.register(&path, &account("nurse", "capulet")), 200, "nurse@localhost");
    for unknown in ["/invite/nonsense", "/invite/", "/invite/a%20b", "/register?t=nonsense", "/register?t=%3C"] {
        says(&browser.get(unknown), 404, "This invitation does not hold");
    }
}

#[test]
fn an_invitation_made_in_a_client_names_its_page() {
    let mut server = site(&["--user-invites", "accounts", "--https-url", "https://chat.example.org"]);
    server.add_user("juliet");
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let command =
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite' action='execute'/>";
    let answer = juliet.ask("set", Some("localhost"), command);
    assert!(answer.contains("<field var='landing-url' type='text-single'"), "{answer}");
    let at = answer.find("<value>https://chat.example.org/invite/").unwrap_or_else(|| panic!("{answer}"));
    let token = &answer[at + "<value>https://chat.example.org/invite/".len()..];
    let token = &token[..token.find('<').unwrap()];
    let page = format!("GET /invite/{token} HTTP/1.1\r\n");
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    says(&browser.ask(&page, &[("Host", "chat.example.org")], ""), 200, "juliet@localhost invites you");
    says(&browser.ask(&page, &[("Host", "other.example.org")], ""), 421, "no such site");
}

#[test]
fn who_has_to_be_let_in_is_told_so() {
    let mut server = Server::start(&[&OPEN[2..], HTTPS, &["--registration", "approve"]].concat());
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    says(&browser.get("/register"), 200, "has to let you in before you can log in");
    let fields = [&account("juliet", "v3r0na")[..], &[("reason", "I like balconies")]].concat();
    says(&browser.register("/register", &fields), 200, "Your account waits");
    let pending = browser.server().rondel_says(&["registration", "pending"]);
    assert!(pending.contains("juliet@localhost") && pending.contains("I like balconies"), "{pending}");
}

#[test]
fn where_registration_is_closed_the_page_says_so() {
    let mut server = Server::start(HTTPS);
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    says(&browser.get("/register"), 403, "Registration is closed");
    assert!(!browser.get("/").text.contains("/register"));
    let refused = browser.post("/register", &account("juliet", "v3r0na"));
    assert_eq!(refused.status, 403, "{refused:?}");
}

#[test]
fn nobody_is_registered_by_the_page_of_another_site() {
    let mut server = site(&[]);
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    let form = browser.get("/register");
    let cookie = form.header("set-cookie").unwrap();
    for word in ["__Host-", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let seal = form.hidden("seal").unwrap().to_owned();
    let fields = [&[("seal", seal.as_str())], &account("juliet", "v3r0na")[..]].concat();
    let evil = [("Origin", "https://evil.example")];
    assert_eq!(browser.post_with("/register", &fields, &evil).status, 403);
    assert_eq!(browser.post_with("/register", &fields, &[("Sec-Fetch-Site", "cross-site")]).status, 403);
    assert_eq!(browser.post("/register", &account("juliet", "v3r0na")).status, 403, "without a seal");
    // With a seal that somebody else was given.
    let mut other = browser.another("127.0.7.2");
    other.get("/register");
    says(&other.post("/register", &fields), 403, "Please send it again.");
    assert!(!common::user(&other.server().data(), &["show", "juliet@localhost"], "").status.success());
    says(&browser.post("/register", &fields), 200, "juliet@localhost");
}

#[test]
fn pages_forbid_whatever_they_do_not_need() {
    let mut server = site(&[]);
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    for path in ["/", "/register", "/nothing", "/style.css"] {
        let page = browser.get(path);
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'") && !policy.contains("script"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let is_style = path == "/style.css";
        assert_eq!(page.header("cache-control"), Some(if is_style { "max-age=3600" } else { "no-store" }));
        assert!(!page.text.contains("<script") && !page.text.contains("style=\""), "{page:?}");
    }
    assert_eq!(browser.get("/nothing").status, 404);
    let deleted = browser.ask("DELETE /register HTTP/1.1\r\n", &[], "");
    assert_eq!((deleted.status, deleted.header("allow")), (405, Some("GET, HEAD, POST")));
    assert_eq!(browser.post("/", &[]).status, 405);
    let head = browser.ask("HEAD /register HTTP/1.1\r\n", &[], "");
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[test]
fn who_asks_too_often_has_to_wait_and_others_do_not() {
    let mut server = site(&["--shards", "1"]);
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    let first = (0..200).find(|_| browser.get("/").status == 429).expect("a limit");
    assert!((50..100).contains(&first), "{first}");
    assert_eq!(browser.get("/").header("retry-after"), Some("60"));
    assert_eq!(browser.another("127.0.7.2").get("/").status, 200);
}

#[test]
fn a_proxy_that_is_trusted_says_who_asks() {
    let mut server = site(&["--https-proxy", "127.0.7.1"]);
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    let register = |browser: &mut Browser<'_>, name: &str, said: &str| {
        let form = browser.ask("GET /register HTTP/1.1\r\n", &[("X-Forwarded-For", said)], "");
        let seal = form.hidden("seal").unwrap().to_owned();
        let fields = [&[("seal", seal.as_str())], &account(name, "v3r0na")[..]].concat();
        browser.post_with("/register", &fields, &[("X-Forwarded-For", said)]).status
    };
    // It speaks for somebody, or for nobody.
    says(&browser.get("/"), 400, "does not say for whom it asks");
    assert_eq!(register(&mut browser, "juliet", "192.0.2.1"), 200);
    assert_eq!(register(&mut browser, "romeo", "192.0.2.1"), 429);
    assert_eq!(register(&mut browser, "romeo", "192.0.2.2"), 200);
    let mut other = browser.another("127.0.7.2");
    assert_eq!(register(&mut other, "nurse", "192.0.2.3"), 200);
    let log = browser.server().rondel_says(&["registration", "log"]);
    assert!(log.contains("192.0.2.1 juliet@localhost") && log.contains("127.0.7.2 nurse@localhost"), "{log}");
    // Who is banned is banned behind the proxy, too.
    browser.server().rondel_says(&["ban", "add", "192.0.2.9", "--reason", "flood"]);
    let page = browser.ask("GET / HTTP/1.1\r\n", &[("X-Forwarded-For", "192.0.2.9")], "");
    says(&page, 403, "Your address is banned.");
}

#[test]
fn clients_that_know_no_forms_are_sent_to_the_page() {
    let mut server = site(&["--registration-field", "email+"]);
    let port = Browser::of(&mut server, "127.0.7.1").site().port();
    let mut stranger = common::strangers::stranger(&server);
    let answer = stranger.ask("get", None, &common::strangers::query(""));
    let url = format!("<x xmlns='jabber:x:oob'><url>https://localhost:{port}/register</url></x>");
    assert!(answer.contains(&url), "{answer}");
}

#[test]
fn what_is_no_http_or_never_ends_costs_one_connection() {
    let mut server = site(&["--login-timeout", "1s"]);
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    let nonsense = browser.ask("<?xml version='1.0'?>\r\n", &[], "");
    assert_eq!(nonsense.status, 400);
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(40_000));
    assert!(matches!(browser.another("127.0.7.1").ask(&long, &[], "").status, 414 | 431));
    let large = "x".repeat(70_000);
    let refused = browser.another("127.0.7.1").post("/register", &[("reason", &large)]);
    assert_eq!(refused.status, 413);
    // A request has to come to its end in time, however often another piece of it comes.
    let mut slow = browser.another("127.0.7.1").connect();
    slow.say("GET / HTTP/1.1\r\n");
    slow.stream.sock.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
    let is_open = |slow: &mut Raw<_>| match std::io::Read::read(&mut slow.stream, &mut [0; 10]) {
        Ok(read) => read > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    };
    let pieces = (0..600).take_while(|_| is_open(&mut slow) && slow.stream.write_all(b"a: b\r\n").is_ok()).count();
    assert!(pieces < 600, "it stays open for as long as anything comes");
    // Who says nothing is disconnected.
    let mut silent = std::net::TcpStream::connect(browser.site()).unwrap();
    assert_eq!(std::io::Read::read(&mut silent, &mut [0; 10]).unwrap(), 0);
    assert_eq!(browser.another("127.0.7.1").get("/").status, 200);
}

#[test]
fn who_has_forgotten_the_password_is_given_a_page_to_choose_another() {
    // Also where nobody registers.
    let mut server = Server::start(&[HTTPS, &["--password-length", "8", "--password-strength", "0"]].concat());
    server.add_user("juliet");
    let mut old = Raw::online(&server, "juliet", "balcony");
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    let server = browser.server();
    let made = server.rondel_says(&["invite", "reset", "juliet@localhost"]);
    assert!(made.starts_with("xmpp:juliet@localhost?register;preauth="), "{made}");
    assert!(server.rondel_says(&["invite", "list"]).contains(" new password for juliet@localhost, 1 left"));
    let token = token_in(&made);
    says(&browser.get(&format!("/invite/{token}")), 200, "Choose a new password");
    let path = format!("/register?t={token}");
    says(&browser.get(&path), 200, "value=\"juliet\" readonly");
    says(&browser.register(&path, &account("romeo", "long-enough")), 422, "The invitation is for another name.");
    says(&browser.register(&path, &account("juliet", "short")), 422, "This did not work");
    says(&browser.register(&path, &account("juliet", "long-enough")), 200, "Your password was changed");
    // Whoever was online with the old one is not any more, and the page is used up.
    assert!(old.hear_rest().contains("the password was changed"));
    says(&browser.get(&path), 404, "This invitation does not hold");
    assert!(common::people::is_right(server, "juliet", "long-enough"));
}
