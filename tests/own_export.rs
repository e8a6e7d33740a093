//! People fetch all that is stored of them, by a command and a link, without anybody who runs the server.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/program.rs"]
mod program;
#[allow(dead_code)] // A part of it is needed.
#[path = "clients/row.rs"]
mod row;

use std::fmt::Write;
use std::time::Instant;

use common::browser::{Browser, Page};
use common::commands::{COMMANDS, fill};
use common::{PATIENCE, Raw, Server, rondel, user};
use program::Program;

const HTTPS: &[&str] = &["--https", "127.0.0.1:0"];

/// A person in slixmpp who does what this row says.
fn person(row: &str, server: &Server) -> Program {
    row::start("moving_in.py", row, (server.address, server.direct_tls), &server.certificate())
}

/// The path of a link.
fn path_in(text: &str) -> &str {
    let (_, rest) = text.split_once("/export/").unwrap_or_else(|| panic!("no link: {text}"));
    let token = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
    &text[text.len() - rest.len() - "/export/".len()..][..token.len() + "/export/".len()]
}

fn link(raw: &mut Raw) -> String {
    path_in(&fill(raw, "export", &[("password", "secret")])).to_owned()
}

#[test]
fn people_move_to_another_server_by_themselves() {
    let people = ["romeo", "juliet", "nurse", "mercutio"];
    let mut server = Server::start_with(tempfile::tempdir().unwrap(), &[&["--dev"], HTTPS].concat());
    people.iter().for_each(|user| server.add_user(user));
    row::finish(person("fill", &server));
    let mut fetching = person("links", &server);
    let links = people.map(|_| fetching.hear("LINK"));
    row::finish(fetching);
    let folder = tempfile::tempdir().unwrap();
    let other = Server::start_with(tempfile::tempdir().unwrap(), &["--dev"]);
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    for link in &links {
        let page = browser.get(path_in(link));
        assert_eq!((page.status, page.header("content-type")), (200, Some("application/xml")), "{page:?}");
        let user = page.text.split("<user name='").nth(1).unwrap().split('\'').next().unwrap();
        let name = format!("attachment; filename=\"{user}@localhost.xml\"");
        assert_eq!(page.header("content-disposition"), Some(&*name));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        // What an operator would have exported, no more and no less.
        let account = format!("{user}@localhost");
        assert_eq!(page.text, browser.server().rondel_says(&["export", "-", "--account", &account]));
        let file = folder.path().join(user);
        std::fs::write(&file, &page.text).unwrap();
        let said = other.rondel_says(&["import", file.to_str().unwrap(), "--account", &account]);
        assert!(said.starts_with("imported 1 accounts with "), "{said}");
    }
    row::finish(person("find", &other));
}

#[test]
fn a_link_is_for_who_knows_the_password_and_holds_once() {
    let mut server = Server::start(HTTPS);
    server.add_user("juliet");
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let refused = fill(&mut juliet, "export", &[("password", "wrong")]);
    assert!(refused.contains("<note type='error'>The password is not right.</note>"), "{refused}");
    let links = [(); 3].map(|()| link(&mut juliet));
    let enough = fill(&mut juliet, "export", &[("password", "secret")]);
    assert!(enough.contains("<note type='error'>You have had enough of these lately"), "{enough}");
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    // Programs that look what is behind a link do not use it up.
    assert_eq!(browser.ask(&format!("HEAD {} HTTP/1.1\r\n", links[0]), &[], "").status, 405);
    let page = browser.get(&links[0]);
    assert!(page.status == 200 && page.text.contains("<user name='juliet'>"), "{page:?}");
    assert!(page.text.ends_with("</server-data>\n"), "{page:?}");
    for unknown in [&links[0], "/export/0123456789abcdef", "/export/", "/export/a/b"] {
        let page = browser.get(unknown);
        assert!(page.status == 404 && page.text.contains("This link does not hold"), "{unknown}: {page:?}");
    }
    assert_eq!(browser.get(&links[1]).status, 200);
    // Another password: whoever has the old one has nothing any more.
    let (jid, data) = ("juliet@localhost", browser.server().data());
    assert!(user(&data, &["password", jid, "--password-stdin"], "another\n").status.success());
    assert_eq!(browser.get(&links[2]).status, 404);
}

#[test]
fn a_link_does_not_outlive_its_account() {
    let mut server = Server::start(HTTPS);
    ["juliet", "romeo"].iter().for_each(|user| server.add_user(user));
    let [juliet, romeo] = ["juliet", "romeo"].map(|user| link(&mut Raw::login(&server, user, "balcony")));
    server.rondel_says(&["user", "disable", "romeo@localhost", "--reason", "spam"]);
    server.rondel_says(&["user", "remove", "juliet@localhost"]);
    server.add_user("juliet");
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    assert_eq!([juliet, romeo].map(|link| browser.get(&link).status), [404, 404]);
}

#[test]
fn without_web_pages_there_is_no_such_command() {
    let server = Server::start(&[]);
    server.add_user("juliet");
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    let items = format!("<query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/>");
    assert!(!juliet.ask("get", Some("localhost"), &items).contains("node='export'"));
    let command = format!("<command xmlns='{COMMANDS}' node='export'/>");
    assert!(juliet.ask("set", Some("localhost"), &command).contains("<forbidden"));
}

/// Accounts with so many messages of a kilobyte each.
fn with_history(server: &Server, accounts: &[&str], messages: usize) {
    let mut text = "<server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'>".to_owned();
    accounts.iter().for_each(|account| write_history(&mut text, account, messages));
    text += "</host></server-data>";
    let file = server.directory.path().join("in.xml");
    std::fs::write(&file, text).unwrap();
    server.rondel_says(&["import", file.to_str().unwrap()]);
}

fn write_history(text: &mut String, account: &str, messages: usize) {
    *text += &format!("<user name='{account}' password='secret'><archive xmlns='urn:xmpp:pie:0#mam'>");
    for number in 0..messages {
        write!(
            text,
            "<result xmlns='urn:xmpp:mam:2' id='{number}'><forwarded xmlns='urn:xmpp:forward:0'>\
             <delay xmlns='urn:xmpp:delay' stamp='2026-07-{:02}T{:02}:{:02}:00Z'/><message xmlns='jabber:client' \
             to='{account}@localhost' from='romeo@localhost/o'><body>{number} {}</body></message></forwarded></result>",
            number / 1440 + 1,
            number / 60 % 24,
            number % 60,
            "x".repeat(1024),
        )
        .unwrap();
    }
    *text += "</archive></user>";
}

/// What is found behind a link once others have made room, which is asked for from many addresses.
fn once_there_is_room(browser: &Browser, link: &str) -> Page {
    let begun = Instant::now();
    let addresses = (1..255).cycle().map(|number| format!("127.0.8.{number}"));
    let mut pages = addresses.map(|address| browser.another(&address).get(link));
    pages.find(|page| page.status != 503 || begun.elapsed() > PATIENCE).unwrap()
}

#[test]
fn what_nobody_takes_is_not_read_and_what_is_left_makes_room_for_others() {
    const MESSAGES: usize = 10_000;
    const READERS: [&str; 4] = ["juliet", "nurse", "tybalt", "paris"];
    let mut server = Server::start(&[HTTPS, &["--shards", "2", "--archive-retention", "0"]].concat());
    with_history(&server, &READERS, MESSAGES);
    server.add_user("romeo");
    let links = READERS.map(|user| link(&mut Raw::login(&server, user, "balcony")));
    let another = link(&mut Raw::login(&server, "juliet", "chamber"));
    let romeo = link(&mut Raw::login(&server, "romeo", "orchard"));
    let mut browser = Browser::of(&mut server, "127.0.7.1");
    // Four ask, and take nothing but the beginning; nobody has two.
    let idle: Vec<_> = links
        .iter()
        .zip(READERS)
        .map(|(link, user)| {
            let mut raw = browser.connect();
            raw.say(&format!("GET {link} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", browser.site().port()));
            raw.hear(&format!("<user name='{user}'>"));
            if user == "juliet" {
                assert_eq!(browser.get(&another).status, 503);
            }
            raw
        })
        .collect();
    let page = browser.get(&romeo);
    assert!(page.status == 503 && page.header("retry-after") == Some("60"), "{page:?}");
    drop(idle);
    // The link still holds.
    assert_eq!(once_there_is_room(&browser, &romeo).status, 200);
    // Who takes it gets all of it.
    let page = once_there_is_room(&browser, &another);
    assert_eq!((page.status, page.text.matches("<result ").count()), (200, MESSAGES));
    assert!(page.text.ends_with("</server-data>\n"));
}

#[test]
fn a_server_that_ends_waits_for_nobody_who_takes_nothing() {
    let mut server = Server::start(&[HTTPS, &["--archive-retention", "0", "--shutdown-grace", "1s"]].concat());
    with_history(&server, &["juliet"], 20_000);
    let link = link(&mut Raw::login(&server, "juliet", "balcony"));
    let browser = Browser::of(&mut server, "127.0.7.1");
    let mut raw = browser.connect();
    raw.say(&format!("GET {link} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", browser.site().port()));
    raw.hear("<user name='juliet'>");
    let (status, directory) = server.terminate();
    assert!(status.success());
    let looked =
        rondel().args(["storage", "verify", "--data-dir"]).arg(directory.path().join("data")).output().unwrap();
    assert!(looked.status.success(), "{looked:?}");
}
