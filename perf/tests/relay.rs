//! The tool against its own relay: real processes, real sockets, what the reports say.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

const TOOL: &str = env!("CARGO_BIN_EXE_rondel-perf");

/// A relay on a port of its own, ended with the test.
struct Relay {
    process: Child,
    address: String,
}

impl Relay {
    fn start(shards: &str) -> Self {
        let mut process =
            Command::new(TOOL).args(["relay", "--shards", shards]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, address }
    }

    fn connect(&self, pair: u32) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&pair.to_be_bytes()).unwrap();
        stream
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tool(arguments: &[&str]) -> Output {
    Command::new(TOOL).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn figure(report: &Value, name: &str) -> f64 {
    let figures = report["figures"].as_array().unwrap();
    let figure = figures.iter().find(|figure| figure["name"] == name);
    figure.unwrap_or_else(|| panic!("no {name} in {report}"))["value"].as_f64().unwrap()
}

#[test]
fn bytes_reach_the_other_end_of_the_pair_and_no_other() {
    let relay = Relay::start("2");
    let mut pairs: Vec<_> = (0..4).map(|pair| (relay.connect(pair), relay.connect(pair))).collect();
    for (number, (one, other)) in pairs.iter_mut().enumerate() {
        // More than the sockets hold, so that the relay must wait until the reader goes on.
        let sent: Vec<u8> = (0..8 << 20).map(|at| (at % 251) as u8 ^ number as u8).collect();
        let mut writer = one.try_clone().unwrap();
        let expected = sent.clone();
        let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
        std::thread::sleep(Duration::from_millis(100));
        let mut received = vec![0; expected.len()];
        other.read_exact(&mut received).unwrap();
        writing.join().unwrap();
        assert!(received == expected, "pair {number}");
        other.write_all(b"back").unwrap();
        let mut back = [0; 4];
        one.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"back");
    }
    let (one, mut other) = pairs.remove(0);
    drop(one);
    assert_eq!(other.read(&mut [0]).unwrap(), 0, "the end of one side is the end of the other");
}

#[test]
fn chat_measures_the_relay_at_full_speed() {
    let relay = Relay::start("1");
    let folder = tempfile::tempdir().unwrap();
    let (json, html) = (folder.path().join("a.json"), folder.path().join("a.html"));
    let pid = relay.process.id().to_string();
    let output = tool(&[
        "chat",
        "--raw",
        "--server",
        &relay.address,
        "--server-pid",
        &pid,
        "--sessions",
        "20",
        "--window",
        "4",
        "--threads",
        "2",
        "--duration",
        "1500ms",
        "--warmup",
        "200ms",
        "--source-addresses",
        "127.0.0.2-127.0.0.4",
        "--label",
        "relay",
        "--json",
        json.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("server: CPU per message"), "{table}");
    let report: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert!(figure(&report, "messages") > 1_000.0, "{report}");
    let cpu_us = figure(&report, "server_cpu_us_per_message");
    assert!(cpu_us > 0.01 && cpu_us < 1_000.0, "{cpu_us}");
    assert!(figure(&report, "latency_p50_us") <= figure(&report, "latency_max_us"));
    assert!(!report["timeline"].as_array().unwrap().is_empty());
    assert!(fs::read_to_string(&html).unwrap().contains("<svg"));

    let path = json.to_str().unwrap();
    let compared = tool(&["compare", path, path]);
    assert!(String::from_utf8(compared.stdout).unwrap().contains("(1x)"));
    let value = tool(&["value", path, "--figure", "sessions"]);
    assert_eq!(value.stdout, b"20\n");
}

#[test]
fn a_rate_is_kept_and_latency_counts_from_when_a_message_was_due() {
    let relay = Relay::start("1");
    let output = tool(&[
        "chat",
        "--raw",
        "--server",
        &relay.address,
        "--sessions",
        "10",
        "--rate",
        "2000",
        "--duration",
        "2s",
        "--warmup",
        "200ms",
        "--json",
        "-",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let per_s = figure(&report, "messages_per_s");
    assert!((1_800.0..2_200.0).contains(&per_s), "{per_s}");

    // A server that is stopped for half a second: what was due meanwhile is late by the time it was due.
    let pid = relay.process.id().to_string();
    let stopping = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(900));
        assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
        std::thread::sleep(Duration::from_millis(500));
        assert!(Command::new("kill").args(["-CONT", &pid]).status().unwrap().success());
    });
    let output = tool(&[
        "chat",
        "--raw",
        "--server",
        &relay.address,
        "--sessions",
        "10",
        "--rate",
        "2000",
        "--duration",
        "2s",
        "--warmup",
        "200ms",
        "--json",
        "-",
    ]);
    stopping.join().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(figure(&report, "latency_max_us") > 400_000.0, "{report}");
    // A quarter of all messages were due in that half second; a tool that stops counting would see ten of them late.
    assert!(figure(&report, "latency_p90_us") > 100_000.0, "{report}");
}

#[test]
fn mistakes_are_one_line_and_tell_themselves_from_failures() {
    for (arguments, code, reason) in [
        (&["chat", "--server", "127.0.0.1:9", "--sessions", "3"][..], 2, "must be even"),
        (&["idle", "--server", "127.0.0.1:9"], 2, "--server-pid"),
        (&["chat", "--server", "127.0.0.1:9", "--server-pid", "999999999"], 2, "no such process"),
        (&["chat", "--server", "127.0.0.1:9", "--sessions", "100000000"], 2, "ulimit -n"),
        (&["chat", "--server", "127.0.0.1:9", "--tls", "direct", "--raw"], 2, "leave out --tls"),
        (&["chat", "--server", "127.0.0.1:9", "--bogus"], 2, "--bogus"),
        (&["chat", "--server", "127.0.0.1:9"], 1, "cannot connect to 127.0.0.1:9"),
        (&["compare", "/nowhere.json"], 1, "/nowhere.json: cannot be read"),
    ] {
        let output = tool(arguments);
        let error = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(reason) && error.trim_end().lines().count() == 1, "{arguments:?}: {error}");
    }
}

#[test]
fn accounts_are_lines_for_rondel() {
    let output = tool(&["accounts", "--count", "2", "--prefix", "u", "--domain", "example.org", "--password", "p"]);
    assert_eq!(output.stdout, b"u0@example.org p\nu1@example.org p\n");
}
