//! How a server fares, as operators see it: `rondel status`, and figures for Prometheus.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{PATIENCE, Raw, Server, rondel};
use rondel::metrics::{CATALOGUE, Kind};

const METRICS: [&str; 4] = ["--shards", "2", "--metrics", "127.0.0.1:0"];

fn json(server: &Server) -> serde_json::Value {
    serde_json::from_str(&server.rondel_says(&["status", "--json"])).unwrap()
}

fn sum(status: &serde_json::Value, name: &str) -> u64 {
    let counters = status["counters"].as_array().unwrap().iter();
    counters.filter(|counter| counter["name"] == name).map(|counter| counter["value"].as_u64().unwrap()).sum()
}

/// Where the figures are.
fn metrics_address(server: &mut Server) -> SocketAddr {
    let line = server.wait_for_log(|line| line.contains("\"listening\"") && line.contains("\"metrics\""));
    common::address_in(&line)
}

/// The head and the body of the answer to a request.
fn http(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Each sample: its name, its labels, its value. What is not as OpenMetrics wants it is a fault.
fn samples(text: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
    assert!(text.ends_with("# EOF\n"));
    let label = regex::Regex::new(r#"^([a-z_]+)="((?:[^"\\]|\\.)*)",?"#).unwrap();
    let mut described = HashSet::new();
    let mut all = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(described.insert(rest.split(' ').next().unwrap().to_owned()), "twice: {line}");
        }
        if line.starts_with('#') {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let (name, mut rest) = name.split_once('{').map_or((name, ""), |(name, rest)| (name, rest));
        let mut labels = BTreeMap::new();
        while let Some(found) = label.captures(rest) {
            labels.insert(found[1].to_owned(), found[2].to_owned());
            rest = &rest[found[0].len()..];
        }
        assert!(rest.is_empty() || rest == "}", "{line}");
        let is_described = described.iter().any(|known| name.starts_with(known.as_str()));
        assert!(is_described, "{line} is of no family");
        all.push((name.to_owned(), labels, value.parse().unwrap()));
    }
    all
}

#[test]
fn a_running_server_says_how_it_fares() {
    let server = Server::start(&["--shards", "2"]);
    server.add_user("juliet");
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    juliet.round_trip();
    let status = json(&server);
    assert_eq!((sum(&status, "stanzas"), sum(&status, "accepted"), sum(&status, "connections")), (1, 1, 1));
    assert_eq!((sum(&status, "sessions"), sum(&status, "logins"), sum(&status, "accounts-in-memory")), (1, 1, 1));
    assert!(sum(&status, "syncs") >= 1 && sum(&status, "writes") >= 1, "{status}");
    assert!(sum(&status, "resident-bytes") > 1 << 20 && sum(&status, "family-keys") > 0, "{status}");
    assert_eq!(status["alerts"], serde_json::json!([]));
    assert!(status["certificates"][0]["path"].as_str().unwrap().ends_with("localhost.crt"), "{status}");
    let text = server.rondel_says(&["status"]);
    for begins in [
        "accounts",
        "sessions     1 (",
        "connections  1",
        "rates",
        "queues",
        "memory",
        "storage",
        "disk",
        "backup",
        "certificate",
    ] {
        assert!(text.lines().any(|line| line.starts_with(begins)), "{begins}: {text}");
    }
    assert!(server.rondel_says(&["status", "--all"]).contains("wake-ups per stanza"));
    let output = rondel().args(["status", "--data-dir", "/nonexistent"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn accounts_are_counted_after_a_while() {
    let server = Server::start(&["--domain", "localhost", "--domain", "other.example"]);
    server.add_user("juliet");
    // They are counted at the start, and every few seconds.
    let of = |status: &serde_json::Value, domain: &str| {
        let mut counters = status["counters"].as_array().unwrap().iter();
        let found = counters.find(|counter| counter["name"] == "accounts" && counter["of"] == domain);
        found.map(|counter| counter["value"].as_u64().unwrap())
    };
    let until = Instant::now() + PATIENCE;
    loop {
        let status = json(&server);
        if (of(&status, "localhost"), of(&status, "other.example")) == (Some(1), Some(0)) {
            break;
        }
        assert!(Instant::now() < until, "{status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn it_is_shown_again_and_again() {
    let server = Server::start(&[]);
    let mut command = rondel();
    command.args(["status", "--json", "--watch", "100ms", "--data-dir"]).arg(server.data());
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let shown: Vec<serde_json::Value> =
        lines.take(3).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert!(shown.iter().all(|status| status["pid"] == shown[0]["pid"]));
    assert!(sum(&shown[2], "process-cpu-microseconds") > sum(&shown[0], "process-cpu-microseconds"));
    // It ends when nobody reads any more, or when the server ends.
    drop(server);
    assert!(!watching.wait().unwrap().success());
}

#[test]
fn prometheus_finds_every_figure_of_the_catalogue_and_nothing_else() {
    let mut server = Server::start(&METRICS);
    let address = metrics_address(&mut server);
    server.add_user("juliet");
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    juliet.round_trip();
    let (head, body) = loop {
        // Accounts are counted in the background.
        let (head, body) = http(address, "GET /metrics");
        if body.contains("rondel_accounts{") {
            break (head, body);
        }
    };
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    let samples = samples(&body);
    for metric in CATALOGUE {
        let name = metric.full_name();
        let found: Vec<_> = samples.iter().filter(|(found, ..)| *found == name).collect();
        assert!(!found.is_empty(), "{name} is missing:\n{body}");
        for (_, labels, value) in found {
            let wanted: BTreeSet<&str> =
                metric.is_by_shard.then_some("shard").into_iter().chain(metric.label).collect();
            assert_eq!(labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "{name}");
            assert!(*value >= 0.0);
        }
        assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
    }
    let status = json(&server);
    for counter in status["counters"].as_array().unwrap() {
        assert!(CATALOGUE.iter().any(|metric| counter["name"] == metric.counted), "{counter} is in no catalogue");
    }
    let of = |name: &str| -> f64 { samples.iter().filter(|(found, ..)| found == name).map(|(.., value)| value).sum() };
    assert_eq!((of("rondel_stanzas_total"), of("rondel_sessions"), of("rondel_alert")), (1.0, 1.0, 0.0));
    assert_eq!(of("rondel_storage_sync_duration_seconds_count"), of("rondel_storage_syncs_total"));
    assert!(http(address, "GET /").0.starts_with("HTTP/1.1 404"));
    assert!(http(address, "POST /metrics").0.starts_with("HTTP/1.1 405"));
    assert!(http(address, "nonsense").0.starts_with("HTTP/1.1 400"));
}

/// Grafana is not there in a test, so what its dashboard asks for is compared with what there is.
#[test]
fn the_dashboard_asks_for_what_there_is() {
    let mut server = Server::start(&METRICS);
    let address = metrics_address(&mut server);
    let names: HashSet<String> = loop {
        let (_, body) = http(address, "GET /metrics");
        if body.contains("rondel_accounts{") {
            break samples(&body).into_iter().map(|(name, ..)| name).collect();
        }
    };
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/grafana.json");
    let dashboard: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let word = regex::Regex::new(r"\brondel_[a-z_]+").unwrap();
    let mut asked = BTreeSet::new();
    let mut ids = HashSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have one id");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            asked.extend(word.find_iter(expression).map(|found| found.as_str().to_owned()));
            // Counters are looked at by their growth, and gauges are not.
            for found in word.find_iter(expression).map(|found| found.as_str()) {
                let is_counter = found.ends_with("_total") || found.ends_with("_bucket");
                let of_faults = found.contains("panics");
                assert!(is_counter == expression.contains("rate(") || of_faults, "{expression}");
            }
        }
    }
    assert!(asked.len() > 30, "{asked:?}");
    let missing: Vec<_> = asked.iter().filter(|name| !names.contains(*name)).collect();
    assert!(missing.is_empty(), "nobody knows {missing:?}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let mut server = Server::start(&METRICS);
    let address = metrics_address(&mut server).to_string();
    let directory = tempfile::tempdir().unwrap();
    let mut command = rondel();
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--listen-direct-tls", "127.0.0.1:0"]);
    command.args(["--metrics", &address, "--data-dir"]).arg(directory.path());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&format!("cannot listen on {address} (--metrics)")), "{text}");
    assert_eq!(output.status.code(), Some(1));
}
