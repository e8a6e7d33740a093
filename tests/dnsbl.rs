//! Block lists of addresses (RFC 5782), asked by a real resolver of a name server of the test's own.

mod common;

use std::net::SocketAddr;

use common::name_server::{self, Said};
use common::strangers::{open, refused, register, stranger_between};
use common::{Raw, Server, rondel};

/// The zones that the name server knows: whatever ends in 7 is listed on the first two; the third never answers.
const ZONES: [&str; 2] = ["listed.test", "watched.test"];

/// A name server that says that 127.0.0.2 is the address of what is listed, and that there is nothing else.
fn name_server() -> SocketAddr {
    name_server::start(|name, _| match (ZONES.iter().any(|zone| name.ends_with(zone)), name.starts_with("7.")) {
        (false, _) => Said::Nothing,
        (true, false) => Said::Unknown,
        (true, true) => Said::Records(vec![vec![127, 0, 0, 2]]),
    })
}

fn server(lists: &[&str], more: &[&str]) -> Server {
    let address = name_server().to_string();
    let lists = lists.iter().flat_map(|list| ["--registration-dnsbl", *list]);
    let flags: Vec<&str> = ["--dns-server", &address].into_iter().chain(lists).chain(more.iter().copied()).collect();
    open(&flags)
}

#[test]
fn mod_register_dnsbl_refuses_who_is_listed() {
    let server = server(&["listed.test"], &[]);
    let try_from = |address: &str, name: &str| register(&mut stranger_between(address, server.address), name, "secret");
    refused(&try_from("127.7.0.7", "bot"), "auth", "forbidden");
    assert!(try_from("127.7.0.8", "juliet").contains("type='result'"));
    assert!(try_from("127.0.0.1", "romeo").contains("type='result'"), "who is trusted is not looked for");
    let log = rondel().args(["registration", "log", "--only", "refused", "--data-dir"]).arg(server.data()).output();
    let log = String::from_utf8(log.unwrap().stdout).unwrap();
    assert!(log.contains(" 127.7.0.7 bot@localhost refused: listed-address"), "{log}");
}

#[test]
fn mod_register_dnsbl_warn_tells_administrators() {
    let server = server(&["watched.test=warn"], &["--admin", "admin@localhost"]);
    server.add_user("admin");
    let mut admin = Raw::online(&server, "admin", "desk");
    let answer = register(&mut stranger_between("127.7.0.7", server.address), "juliet", "secret");
    assert!(answer.contains("type='result'"), "{answer}");
    admin.hear("Somebody registers from 127.7.0.7, which is on the list watched.test");
}

#[test]
fn mod_register_dnsbl_firewall_mark_is_a_limit() {
    let server = server(&["watched.test=limit"], &["--new-account-limits", "0"]);
    for (address, name) in [("127.7.0.7", "listed"), ("127.7.0.8", "other")] {
        let answer = register(&mut stranger_between(address, server.address), name, "secret");
        assert!(answer.contains("type='result'"), "{answer}");
    }
    let show = |name: &str| {
        let output = common::user(&server.data(), &["show", &format!("{name}@localhost")], "");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(show("listed").contains("limited   for good"));
    assert!(!show("other").contains("limited"));
    let marked = server.rondel_says(&["firewall", "marked", "dnsbl_hit"]);
    assert!(marked.starts_with("listed@localhost since ") && marked.lines().count() == 1, "{marked}");
}

#[test]
fn a_list_that_does_not_answer_refuses_nobody() {
    let mut server = server(&["silent.test", "watched.test"], &[]);
    let answer = register(&mut stranger_between("127.7.0.8", server.address), "juliet", "secret");
    assert!(answer.contains("type='result'"), "{answer}");
    server.wait_for_log(|line| line.contains("a block list does not answer") && line.contains("silent.test"));
}
