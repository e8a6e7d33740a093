//! Starting, reloading, ending; and what the operator is told when something is in the way.

mod common;

use std::net::TcpListener;
use std::process::Output;

use common::{HEADER, Raw, Server, rondel, tls, user};

/// `rondel` with these arguments, which end by themselves.
fn run(arguments: &[&str]) -> Output {
    rondel().args(arguments).output().unwrap()
}

/// The one line on standard error, and the exit code.
fn complaint(output: &Output) -> (String, i32) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("rondel:")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    (lines[0].to_owned(), output.status.code().unwrap())
}

#[test]
fn sigterm_says_goodbye_to_everybody_and_keeps_what_was_stored() {
    let server = Server::start(&["--shards", "2"]);
    let names: Vec<_> = (0..8).map(|number| format!("user{number}")).collect();
    names.iter().for_each(|name| server.add_user(name));
    let mut sessions: Vec<_> = names.iter().map(|name| Raw::online(&server, name, "r")).collect();
    let mut waiting = Raw::connect(server.address);
    // Sent just before the end: it still arrives.
    sessions[0].say("<message to='user1@localhost'><body>last words</body></message>");
    sessions[1].hear("last words");
    waiting.say(HEADER);
    waiting.hear("</stream:features>");
    let address = server.address;
    let (status, directory) = server.terminate();
    assert_eq!(status.code(), Some(0));
    for session in sessions.iter_mut().chain([&mut waiting]) {
        let rest = session.hear_rest();
        assert!(rest.contains("<system-shutdown") && rest.ends_with("</stream:stream>"), "{rest}");
    }
    assert!(std::net::TcpStream::connect(address).is_err());
    let server = Server::start_in(directory, &[]);
    Raw::online(&server, "user7", "r");
}

#[test]
fn clients_can_be_sent_elsewhere() {
    let server = Server::start(&["--see-other-host", "two.example.org:5222"]);
    server.add_user("juliet");
    let mut session = Raw::login(&server, "juliet", "balcony");
    server.signal("-TERM");
    let rest = session.hear_rest();
    assert!(rest.contains(">two.example.org:5222</see-other-host>"), "{rest}");
}

/// A client that never reads does not keep the server from ending.
#[test]
fn the_grace_period_ends() {
    let server = Server::start(&["--shutdown-grace", "1s"]);
    server.add_user("juliet");
    server.add_user("romeo");
    let deaf = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let text = "x".repeat(5_000);
    for _ in 0..150 {
        romeo.say(&format!("<message to='juliet@localhost/balcony'><body>{text}</body></message>"));
    }
    romeo.round_trip();
    let (status, _directory) = server.terminate();
    assert_eq!(status.code(), Some(0));
    drop(deaf);
}

#[test]
fn sighup_reads_the_certificate_again_and_drops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let make = |serial: u64| {
        let pair = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.serial_number = Some(serial.into());
        std::fs::write(&chain, params.self_signed(&pair).unwrap().pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
    };
    make(1);
    let flags = ["--domain", "localhost", "--insecure-plaintext"];
    let paths = ["--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let mut server = Server::start_with(tempfile::tempdir().unwrap(), &[&flags[..], &paths[..]].concat());
    server.add_user("juliet");
    let mut session = Raw::login(&server, "juliet", "balcony");
    let shown = |server: &Server| {
        let stream = Raw::connect(server.direct_tls).stream;
        tls::shown_certificate(stream, "localhost")
    };
    let first = shown(&server);
    make(2);
    server.signal("-HUP");
    server.wait_for_log(|line| line.contains("certificates read again"));
    assert_ne!(shown(&server), first);
    let second = shown(&server);
    std::fs::write(&key, "nonsense").unwrap();
    server.signal("-HUP");
    let line = server.wait_for_log(|line| line.contains("keeping the certificates"));
    assert!(line.contains("key.pem"), "{line}");
    assert_eq!(shown(&server), second);
    assert!(session.round_trip().contains("result"));
}

#[test]
fn mistakes_are_one_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let serve = |more: &[&str]| {
        let fixed = ["serve", "--dev", "--data-dir", data, "--listen-direct-tls", "127.0.0.1:0"];
        complaint(&run(&[&fixed[..], more].concat()))
    };
    let (line, code) = serve(&["--max-stanza-size", "12q"]);
    assert_eq!(code, 2);
    assert!(line.contains("--max-stanza-size: \"12q\" is wrong; right would be"), "{line}");

    for levels in ["loud", "info,kitchen=debug"] {
        let (line, code) = serve(&["--log-level", levels]);
        assert!(line.contains("--log-level") && line.contains(levels) && line.contains("info,session=debug"), "{line}");
        assert_eq!(code, 2);
    }

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (line, code) = serve(&["--listen", &address]);
    assert_eq!((line, code), (format!("rondel: cannot listen on {address}: another process has the port"), 1));

    let key = folder.path().join("key.pem");
    let key = key.to_str().unwrap();
    let flags = ["serve", "--domain", "a.org", "--data-dir", data, "--tls-cert", key, "--tls-key", key];
    let (line, code) = complaint(&run(&flags));
    assert!(line.contains(key) && code == 1, "{line}");

    let file = folder.path().join("flags");
    std::fs::write(&file, "# comment\n--dev\n--shards many\n").unwrap();
    let (line, code) = complaint(&run(&["serve", &format!("@{}", file.display())]));
    assert!(line.contains("flags:3") && line.contains("--shards") && code == 2, "{line}");

    let server = Server::start(&[]);
    let used = server.data();
    let (line, code) =
        complaint(&run(&["serve", "--dev", "--data-dir", used.to_str().unwrap(), "--listen", "127.0.0.1:0"]));
    assert!(line.contains("in use by process") && code == 1, "{line}");
    assert!(Raw::connect(server.address).stream.peer_addr().is_ok(), "the server that was there goes on");
}

#[test]
fn flags_come_from_files_and_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flags");
    std::fs::write(&file, "--scram-iterations 5000\n--max-sessions-per-account=1\n").unwrap();
    let server = Server::start(&[&format!("@{}", file.display())]);
    server.add_user("juliet");
    let shown = user(&server.data(), &["show", "juliet@localhost", "--json"], "");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("5000"), "{shown:?}");
    let output = rondel().args(["serve"]).env("RONDEL_SHARDS", "none").output().unwrap();
    let (line, code) = complaint(&output);
    assert!(line.contains("RONDEL_SHARDS") && code == 2, "{line}");
}

#[test]
fn log_levels_change_while_it_runs_and_addresses_can_be_left_out() {
    let mut server = Server::start(&["--log-addresses", "off"]);
    server.add_user("juliet");
    drop(Raw::login(&server, "juliet", "balcony"));
    let begins = server.wait_for_log(|line| line.contains("session begins"));
    let ends = server.wait_for_log(|line| line.contains("session ends"));
    for line in [&begins, &ends] {
        assert!(line.contains("\"shard\"") && line.contains("\"connection\""), "{line}");
        assert!(line.contains("juliet@localhost") && !line.contains("127.0.0.1"), "{line}");
    }
    assert!(ends.contains("\"reason\":\"closed by peer\""), "{ends}");
    let level = |levels: &str| {
        let data = server.data();
        let output = rondel().args(["log", "set", levels, "--data-dir"]).arg(&data).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    level("warn");
    drop(Raw::login(&server, "juliet", "unseen"));
    level("info");
    drop(Raw::login(&server, "juliet", "seen"));
    server.wait_for_log(|line| line.contains("session begins") && line.contains("\"seen\""));
    assert!(!server.logged.iter().any(|line| line.contains("unseen")));
}

#[test]
fn a_part_of_the_server_has_a_log_level_of_its_own() {
    let mut server = Server::start(&[]);
    let data = server.data();
    let log = |arguments: &[&str]| rondel().arg("log").args(arguments).arg("--data-dir").arg(&data).output().unwrap();
    let says = |arguments: &[&str], levels: &str| {
        let output = log(arguments);
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), levels.as_bytes()), "{output:?}");
    };
    says(&["set", "storage=debug"], "info,storage=debug\n");
    says(&["set", "admin=debug"], "info,admin=debug,storage=debug\n");
    says(&["show"], "info,admin=debug,storage=debug\n");
    server.wait_for_log(|line| line.contains("\"asked\"") && line.contains("\"admin\""));
    says(&["set", "admin="], "info,storage=debug\n");
    let (line, code) = complaint(&log(&["set", "kitchen=debug"]));
    assert!(line.contains("kitchen=debug") && line.contains("storage") && code == 2, "{line}");
    says(&["show"], "info,storage=debug\n");
}

#[test]
fn help_is_there_for_every_subcommand() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["user", "--help"],
        &["user", "add", "--help"],
        &["log"],
        &["status", "--help"],
    ] {
        let output = run(arguments);
        assert!(output.status.success() && output.stdout.len() > 100, "{arguments:?}");
    }
    let help = String::from_utf8(run(&["serve", "--help"]).stdout).unwrap();
    for group in ["Addresses and TLS:", "Storage:", "Login:", "Limits:", "Logging:", "Runtime:"] {
        assert!(help.contains(group), "{group}");
    }
}
