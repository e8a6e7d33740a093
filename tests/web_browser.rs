//! The web pages in Chromium: an account is made without scripts, and axe-core finds nothing that would keep anybody
//! out.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/program.rs"]
mod program;
#[path = "clients/row.rs"]
#[allow(dead_code)]
mod row;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::Server;
use common::browser::Browser;
use common::strangers::OPEN;
use program::Program;

#[test]
fn an_account_is_made_in_chromium_and_all_pages_are_accessible() {
    let flags = [
        "--https",
        "127.0.0.1:0",
        "--registration-field",
        "email",
        "--registration-field",
        "reason+",
        "--registration-question",
        "Who loves Juliet?",
        "--registration-answer",
        "Romeo",
        "--registration-captcha",
        "on",
    ];
    let mut server = Server::start(&[OPEN, &flags].concat());
    server.add_user("nurse");
    let port = Browser::of(&mut server, "127.0.0.1").site().port();
    let made = server.rondel_says(&["invite", "create", "--contact-of", "nurse@localhost"]);
    let (_, token) = made.split_once("/invite/").unwrap();
    let mut command = Command::new("node");
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/web_pages.mjs"));
    command.args([&format!("https://localhost:{port}"), token.split_whitespace().next().unwrap()]);
    command.env("CLIENT_MODULES", row::cache().join("clients-web")).stdin(Stdio::null());
    let mut browser = Program::start(&mut command);
    browser.hear("REGISTERED");
    let pages = ["front", "invitation", "form of an invitation", "form", "form with a mistake", "welcome", "nothing"];
    for page in pages {
        browser.hear(&format!("ACCESSIBLE {page}"));
    }
    browser.end_well();
    for name in ["juliet", "romeo"] {
        let shown = server.rondel_says(&["user", "show", &format!("{name}@localhost")]);
        assert!(shown.contains("on the web page"), "{shown}");
    }
}
