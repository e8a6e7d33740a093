//! Hostile clients against a listener that refuses everything, and against nobody.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;

const TOOL: &str = env!("CARGO_BIN_EXE_rondel-perf");

const REFUSAL: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' \
    xmlns:stream='http://etherx.jabber.org/streams'><stream:error>\
    <policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";

fn hostile(arguments: &[&str]) -> Output {
    Command::new(TOOL).arg("hostile").args(arguments).output().unwrap()
}

/// A port of loopback where everybody who says something is told off. Its threads end with the test's process.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                // Whether the client is still there does not matter.
                if matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                    let _ = stream.write_all(REFUSAL);
                }
            });
        }
    });
    address
}

fn figure(report: &Value, name: &str) -> f64 {
    let figures = report["figures"].as_array().unwrap();
    let figure = figures.iter().find(|figure| figure["name"] == name);
    figure.unwrap_or_else(|| panic!("no {name} in {report}"))["value"].as_f64().unwrap()
}

#[test]
fn whoever_is_refused_comes_again_and_is_counted_by_kind() {
    let flags = ["--clients", "9", "--duration", "3s", "--threads", "2", "--connect-rate", "200", "--json", "-"];
    let output = hostile(&[&["--server", &refusing()], &flags[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for kind in ["attributes", "nesting", "huge_stanza", "noise", "reconnect", "half_handshake", "deaf", "trickle"] {
        assert!(figure(&report, &format!("{kind}_connections")) >= 1.0, "{kind} in {report}");
    }
    for kind in ["attributes", "nesting", "noise", "deaf", "half_handshake", "trickle"] {
        assert!(figure(&report, &format!("{kind}_refusals")) >= 1.0, "{kind} in {report}");
    }
    assert_eq!(figure(&report, "logins"), 0.0);
    let connections = figure(&report, "connections");
    assert!((9.0..=630.0).contains(&connections), "200 a second at most: {connections}");
    assert!(report["notes"].to_string().contains("nesting: "), "{report}");
    assert!(report["notes"].to_string().contains("policy-violation"), "{report}");
}

#[test]
fn some_kinds_alone() {
    let flags = ["--clients", "2", "--duration", "300ms", "--kinds", "reconnect,trickle", "--json", "-"];
    let output = hostile(&[&["--server", &refusing()], &flags[..]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(figure(&report, "reconnect_connections") > 1.0, "{report}");
    assert!(figure(&report, "trickle_connections") >= 1.0, "{report}");
    assert!(!report.to_string().contains("nesting"), "{report}");
}

#[test]
fn only_servers_of_this_machine_and_only_if_there_are_any() {
    for (server, code, reason) in [
        ("192.0.2.1:5222", 2, "--server 192.0.2.1:5222: hostile clients are for servers on this machine only"),
        ("127.0.0.1:9", 1, "cannot connect to 127.0.0.1:9"),
    ] {
        let output = hostile(&["--server", server, "--duration", "30s"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(reason) && error.trim_end().lines().count() == 1, "{error}");
    }
}
