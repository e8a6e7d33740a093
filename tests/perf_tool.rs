//! `rondel-perf` against the server: what it reports is there, and is what the server has seen.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Server, rondel, user};
use serde_json::Value;

/// Stands beside the server; it belongs to another package, so cargo does not tell where.
fn tool(arguments: &[&str]) -> Output {
    let path = Path::new(env!("CARGO_BIN_EXE_rondel")).with_file_name("rondel-perf");
    assert!(path.exists(), "{} is not there: cargo build --release --workspace", path.display());
    let mut command = Command::new(path);
    for variable in ["RONDEL_PERF_SERVER", "RONDEL_PERF_PASSWORD"] {
        command.env_remove(variable);
    }
    command.args(arguments).output().unwrap()
}

/// What a run has printed that was told to print its report as JSON.
fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn figure(report: &Value, name: &str) -> f64 {
    let figures = report["figures"].as_array().unwrap();
    let figure = figures.iter().find(|figure| figure["name"] == name);
    figure.unwrap_or_else(|| panic!("no {name} in {report}"))["value"].as_f64().unwrap()
}

/// Whether percentiles of latency are there, and in order.
fn assert_latency(report: &Value) {
    let latency = ["p50", "p90", "p99", "p999", "max"].map(|name| figure(report, &format!("latency_{name}_us")));
    assert!(latency[0] > 0.0 && latency.is_sorted(), "{latency:?}");
}

/// The accounts that the tool logs in as, made of what it prints.
fn add_accounts(server: &Server, count: usize) {
    let accounts = tool(&["accounts", "--count", &count.to_string()]);
    let output = user(&server.data(), &["add", "--stdin"], &String::from_utf8(accounts.stdout).unwrap());
    assert!(output.status.success(), "{output:?}");
}

/// A server that permits plain text.
fn lax(accounts: usize) -> Server {
    let server = Server::start(&["--scram-iterations", "4096", "--shards", "2"]);
    add_accounts(&server, accounts);
    server
}

fn pid(server: &Server) -> String {
    server.child.id().to_string()
}

/// What the server has counted, all shards together.
fn counted(server: &Server, name: &str) -> u64 {
    let output = rondel().args(["status", "--json", "--data-dir"]).arg(server.data()).output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of_name = status["counters"].as_array().unwrap().iter().filter(|counter| counter["name"] == name);
    of_name.map(|counter| counter["value"].as_u64().unwrap()).sum()
}

#[test]
fn logins_are_counted_and_measured() {
    let server = lax(4);
    let (address, pid) = (server.address.to_string(), pid(&server));
    let login = ["login", "--server", &address, "--logins", "4", "--warmup-logins", "3", "--json", "-"];
    let more = ["--sasl", "scram-sha-1", "--server-pid", &pid, "--accounts", "4"];
    let report = report(&tool(&[&login[..], &more].concat()));
    assert_eq!(report["scenario"], "login");
    assert_eq!(figure(&report, "logins"), 4.0);
    assert_eq!(counted(&server, "accepted"), 7, "those of the warm-up happen, but are not measured");
    assert!(figure(&report, "logins_per_s") > 0.0 && figure(&report, "server_cpu_us_per_login") > 0.0, "{report}");
    assert!(figure(&report, "round_trips") >= 4.0, "header, two of SCRAM, header, resource: {report}");
    assert_latency(&report);

    let wrong = tool(&[&login[..], &["--password", "guess"]].concat());
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("not-authorized") && said.lines().count() == 1, "{said}");
    assert_eq!((wrong.status.code(), &*wrong.stdout), (Some(1), &b""[..]));
}

#[test]
fn a_login_by_sasl2_over_starttls_takes_three_round_trips() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--dev", "--scram-iterations", "4096"]);
    add_accounts(&server, 3);
    let login = |authority: PathBuf| {
        let (address, authority) = (server.address.to_string(), authority.to_str().unwrap().to_owned());
        let login = ["login", "--server", &address, "--logins", "3", "--sasl2", "--tls", "starttls"];
        tool(&[&login[..], &["--tls-ca", &authority, "--json", "-"]].concat())
    };
    let report = report(&login(server.certificate()));
    let round_trips = figure(&report, "round_trips");
    assert!((1.0..=3.0).contains(&round_trips), "{report}");
    assert_eq!(figure(&report, "logins"), 3.0);
    assert_latency(&report);

    let stranger = server.directory.path().join("stranger.crt");
    fs::write(&stranger, rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem()).unwrap();
    let deceived = login(stranger);
    let said = String::from_utf8(deceived.stderr).unwrap();
    assert!(said.contains("certificate") && deceived.status.code() == Some(1), "{said}");
}

#[test]
fn idle_sessions_are_held_and_the_servers_memory_is_read() {
    let server = lax(8);
    let (address, pid) = (server.address.to_string(), pid(&server));
    let idle = ["idle", "--server", &address, "--server-pid", &pid, "--sessions", "8", "--from", "2"];
    let report = report(&tool(&[&idle[..], &["--settle", "100ms", "--duration", "300ms", "--json", "-"]].concat()));
    assert_eq!(figure(&report, "sessions"), 8.0);
    assert_eq!(counted(&server, "accepted"), 8);
    // Slopes of so few sessions may be nothing, or less.
    for name in ["resident_kib_per_session", "kernel_kib_per_session", "idle_cpu_percent"] {
        assert!(figure(&report, name).is_finite(), "{report}");
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident_kib: f64 = resident.split_whitespace().next().unwrap().parse().unwrap();
    let resident_mib = resident_kib / 1024.0;
    for name in ["before", "few", "many", "after"] {
        let reported_mib = figure(&report, &format!("resident_{name}_mib"));
        assert!((resident_mib / 2.0..resident_mib * 2.0).contains(&reported_mib), "{resident_mib} MiB, {report}");
    }
}

#[test]
fn chats_are_reported_and_compared() {
    let server = lax(4);
    let (address, pid) = (server.address.to_string(), pid(&server));
    let path = |name: &str| server.directory.path().join(name).to_str().unwrap().to_owned();
    let chat = |label: &str, window: &str, json: &str, html: &str| {
        let chat = ["chat", "--server", &address, "--server-pid", &pid, "--sessions", "4", "--window", window];
        let how = ["--duration", "700ms", "--warmup", "100ms", "--label", label, "--json", json, "--html", html];
        let output = tool(&[&chat[..], &how].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let table = String::from_utf8(output.stdout).unwrap();
        assert!(table.contains(label) && table.contains("server: CPU per message"), "{table}");
        serde_json::from_slice::<Value>(&fs::read(json).unwrap()).unwrap()
    };
    let (first, second) = (path("a.json"), path("b.json"));
    let (page, both) = (path("a.html"), path("both.html"));
    let report = chat("here & <there>", "2", &first, &page);
    let messages = figure(&report, "messages");
    assert!(messages > 0.0 && messages <= counted(&server, "stanzas") as f64, "{report}");
    assert!(figure(&report, "messages_per_s") > 0.0 && figure(&report, "server_cpu_us_per_message") > 0.0, "{report}");
    assert!(figure(&report, "server_cores") > 0.0 && figure(&report, "server_resident_mib") > 1.0, "{report}");
    assert_latency(&report);
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("here &amp; &lt;there&gt;") && html.contains("<svg"), "{html}");
    assert_eq!(fetched(&html), Vec::<&str>::new());

    chat("one by one", "1", &second, &path("b.html"));
    let output = tool(&["compare", &first, &second, "--html", &both]);
    let table = String::from_utf8(output.stdout).unwrap();
    let head = table.lines().next().unwrap();
    assert!(head.find("here & <there>").unwrap() < head.find("one by one").unwrap(), "{table}");
    assert!(table.contains("messages per second") && table.contains("x)"), "{table}");
    assert!(table.contains("different flags: window"), "{table}");
    let html = fs::read_to_string(&both).unwrap();
    assert!(html.contains("here &amp; &lt;there&gt;") && html.contains("one by one"), "{html}");
    assert_eq!(fetched(&html), Vec::<&str>::new());
}

#[test]
fn contacts_hear_of_every_change_of_presence() {
    let server = lax(4);
    let (address, pid) = (server.address.to_string(), pid(&server));
    let rosters = ["roster", "--server", &address, "--rosters", "4", "--contacts", "2", "--mutual", "--json", "-"];
    let rosters = report(&tool(&rosters));
    assert_eq!((figure(&rosters, "accounts"), figure(&rosters, "contacts")), (4.0, 2.0));

    let presence = ["presence", "--server", &address, "--server-pid", &pid, "--contacts", "3", "--window", "2"];
    let report = report(&tool(&[&presence[..], &["--duration", "300ms", "--warmup", "100ms", "--json", "-"]].concat()));
    let (changes, delivered) = (figure(&report, "changes"), figure(&report, "delivered"));
    assert!(delivered > 0.0 && (changes * 3.0 - delivered).abs() < 1e-6, "{report}");
    assert!(figure(&report, "server_cpu_us_per_presence") > 0.0, "{report}");
    assert_latency(&report);
}

#[test]
fn sessions_that_vanish_are_resumed_and_miss_nothing() {
    let server = lax(8);
    let (address, pid) = (server.address.to_string(), pid(&server));
    let resume = ["resume", "--server", &address, "--server-pid", &pid, "--sessions", "6", "--senders", "2"];
    let load = ["--rate", "200", "--burst", "5", "--warmup", "200ms", "--away", "300ms"];
    let mut arrived = Vec::new();
    for way in [&["--json", "-"][..], &["--sasl2", "--tls", "starttls", "--json", "-"]] {
        let report = report(&tool(&[&resume[..], &load, way].concat()));
        assert_eq!(figure(&report, "sessions"), 6.0);
        assert!(figure(&report, "messages_under_way") >= 30.0, "what was sent as they vanished: {report}");
        assert_latency(&report);
        arrived.push(figure(&report, "messages"));
    }
    assert!(arrived.iter().all(|messages| *messages > 30.0), "{arrived:?}");
}

#[test]
fn what_was_acknowledged_is_looked_for_after_a_kill() {
    let server = lax(4);
    let (address, pid) = (server.address.to_string(), pid(&server));
    let ledger = server.directory.path().join("ledger").to_str().unwrap().to_owned();
    let send = ["send", "--server", &address, "--server-pid", &pid, "--ledger", &ledger, "--json", "-"];
    let load = ["--messages", "1000", "--absent", "2", "--window", "100", "--kill-after", "300"];
    let sent = report(&tool(&[&send[..], &load].concat()));
    let acknowledged = figure(&sent, "acknowledged");
    assert!((300.0..1000.0).contains(&acknowledged) && figure(&sent, "server_gone") == 1.0, "{sent}");

    let server = server.kill_and_restart(&["--scram-iterations", "4096"]);
    let ledger = server.directory.path().join("ledger").to_str().unwrap().to_owned();
    let address = server.address.to_string();
    let verify = ["verify", "--server", &address, "--ledger", &ledger, "--page", "40", "--json", "-"];
    let found = report(&tool(&verify));
    assert_eq!((figure(&found, "lost"), figure(&found, "twice")), (0.0, 0.0), "{found}");
    for (place, part) in [("archive_sender", 1.0), ("archive_present", 0.5), ("archive_absent", 0.5), ("waited", 0.5)] {
        assert!(figure(&found, place) >= (acknowledged * part).floor(), "{place}: {found}");
    }

    // Messages that were never sent are missed.
    fs::write(&ledger, "{\"began_us\":0,\"absent\":2,\"sent\":9000,\"acknowledged\":9000,\"refused\":[]}").unwrap();
    let found = report(&tool(&verify));
    assert!(
        figure(&found, "lost") > 16_000.0 && found["notes"].as_array().is_some_and(|notes| !notes.is_empty()),
        "{found}"
    );
}

#[test]
fn pages_of_an_archive_are_read() {
    let server = lax(3);
    let (address, pid) = (server.address.to_string(), pid(&server));
    let pages = ["archive", "--server", &address, "--server-pid", &pid, "--contacts", "2", "--size", "10"];
    let pages = [&pages[..], &["--pages", "20", "--warmup-pages", "6", "--json", "-"]].concat();
    let empty = tool(&pages);
    assert!(String::from_utf8(empty.stderr).unwrap().contains("the archive is empty"));

    let users = server.directory.path().join("users");
    fs::write(&users, "load0\nload1\nload0\nload2\n").unwrap();
    let chat = ["chat", "--server", &address, "--users", users.to_str().unwrap(), "--sessions", "4"];
    let messages = ["--messages", "200", "--warmup", "0s", "--duration", "60s", "--json", "-"];
    assert!(figure(&report(&tool(&[&chat[..], &messages].concat())), "messages") >= 200.0);
    let report = report(&tool(&pages));
    assert!(figure(&report, "pages") >= 20.0 && figure(&report, "messages_per_page") > 1.0, "{report}");
    for kind in ["last", "before", "after", "with", "with_before"] {
        assert!(figure(&report, &format!("{kind}_p50_us")) > 0.0, "{kind}: {report}");
    }
}

/// What a browser would fetch to show a page: every reference that leads out of the page itself.
fn fetched(page: &str) -> Vec<&str> {
    let mut found: Vec<_> = ["http://", "https://"].into_iter().filter(|scheme| page.contains(scheme)).collect();
    for before in ["src=", "srcset=", "href=", "action=", "data=", "url(", "@import"] {
        let references = page.split(before).skip(1).map(|rest| rest.trim_start_matches(['\'', '"', ' ']));
        let outward = references.filter(|reference| !reference.starts_with('#') && !reference.starts_with("data:"));
        found.extend(outward.map(|reference| reference.split(['\'', '"', ')', '>']).next().unwrap()));
    }
    found
}
