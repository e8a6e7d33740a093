//! `rondel firewall`: scripts checked and tried, and what an operator sees and changes of the rules of a running
//! server.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use common::{Raw, Server};

fn rondel(arguments: &[&str]) -> Output {
    common::rondel().arg("firewall").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn message(to: &str, body: &str) -> String {
    format!("<message to='{to}@localhost' type='chat'><body>{body}</body></message>")
}

const RULES: &str = "%LIST banned: memory (filter: lower)\n\nKIND: message\nCHECK LIST: banned contains $<@from|bare>\n\
                     BOUNCE=not-allowed\n\nKIND: message\nUSER MARKED: spam\nINJECT=<marked xmlns='x'/>\n";

#[test]
fn a_script_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let good = file(&directory, "good.pfw", RULES);
    let checked = rondel(&["check", &good, "module:scripts/spam-blocking.pfw"]);
    assert!(checked.status.success() && said(&checked).contains("of 2 scripts; 1 lists"), "{}", said(&checked));
    let odd = file(&directory, "odd.pfw", "ENTERING: nowhere\nDROP.\n");
    let checked = rondel(&["check", &odd]);
    assert!(checked.status.success() && said(&checked).contains("odd.pfw: line 1: there is no %ZONE nowhere"));
    for (text, complaint) in [
        ("KIND: message\nBOUNCE=nonsense\n", "line 2, column 8"),
        ("LOG=$(os.time())\n", "code expressions need Lua"),
        ("FROM COUNTRY: SE\nDROP.\n", "--geoip"),
        ("FROM GROUP: staff\nDROP.\n", "--groups"),
    ] {
        let checked = rondel(&["check", &file(&directory, "wrong.pfw", text)]);
        assert!(!checked.status.success() && said(&checked).contains(complaint), "{text}: {}", said(&checked));
    }
    let groups = file(&directory, "groups", "[staff]\njuliet@example.org\n");
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/GeoIP2-Country-Test.mmdb");
    let both = file(&directory, "both.pfw", "FROM GROUP: staff\nFROM COUNTRY: SWE\nDROP.\n");
    let checked = rondel(&["check", &both, "--groups", &groups, "--geoip", place]);
    assert!(checked.status.success(), "{}", said(&checked));
    let tried = |from: &str, address: &str| {
        let stanza = format!("<message from='{from}' to='romeo@example.org'/>");
        let flags = ["--groups", &groups, "--geoip", place, "--address", address];
        said(&rondel(&[&["test", &both, &stanza][..], &flags].concat()))
    };
    assert!(tried("juliet@example.org/a", "89.160.20.112").contains("it is gone"));
    assert!(tried("juliet@example.org/a", "2001:218::1").contains("it passes"));
    assert!(tried("nurse@example.org/a", "89.160.20.112").contains("it passes"));
}

#[test]
fn a_script_is_tried() {
    let script = "module:scripts/spam-blocking.pfw";
    let stanza = "<message from='a@far.example/x' to='u@example.org'><body>hi</body></message>";
    let tried = said(&rondel(&["test", script, stanza]));
    for expected in [
        "module:scripts/spam-blocking.pfw ::deliver",
        "✖ SUBSCRIBED?",
        "=> the sender gets an error: modify, policy-violation",
        "=> it is gone",
    ] {
        assert!(tried.contains(expected), "{expected}: {tried}");
    }
    let tried = said(&rondel(&["test", script, stanza, "--is-contact"]));
    assert!(tried.contains("✔ SUBSCRIBED?") && tried.contains("=> it passes"), "{tried}");
    let tried = said(&rondel(&["test", script, stanza, "--from", "u@example.org/y", "--to", "u@example.org"]));
    assert!(tried.contains("✔ TO SELF?") && tried.contains("=> it passes"), "{tried}");
    // Many at once.
    let mut child = common::rondel()
        .args(["firewall", "test", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stanzas = format!("<stream>{stanza}\n{}</stream>", stanza.replace("<message ", "<message type='chat' "));
    child.stdin.take().unwrap().write_all(stanzas.as_bytes()).unwrap();
    let tried = said(&child.wait_with_output().unwrap());
    assert!(tried.ends_with("2 stanzas: 1 pass, 1 do not\n"), "{tried}");
    let wrong = rondel(&["test", script, "<stream/>"]);
    assert!(!wrong.status.success() && said(&wrong).contains("<presence/> or <iq/> is expected"), "{}", said(&wrong));
}

#[test]
fn lists_change_while_the_server_runs() {
    let directory = tempfile::tempdir().unwrap();
    let script = file(&directory, "rules.pfw", RULES);
    let server = Server::start(&["--firewall", &script, "--shards", "2"]);
    ["romeo", "juliet"].iter().for_each(|user| server.add_user(user));
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    assert_eq!(server.rondel_says(&["firewall", "list"]), "banned  0 entries from memory\n");
    // The filter of the list holds here, too.
    server.rondel_says(&["firewall", "add", "banned", "Romeo@localhost"]);
    assert_eq!(server.rondel_says(&["firewall", "list", "banned"]), "romeo@localhost\n");
    romeo.say(&message("juliet", "hello"));
    assert!(romeo.hear("</message>").contains("<not-allowed "));
    server.rondel_says(&["firewall", "remove", "banned", "romeo@localhost"]);
    assert_eq!(server.rondel_says(&["firewall", "list", "banned"]), "");
    romeo.say(&message("juliet", "hello again"));
    assert!(juliet.hear("</message>").contains("hello again"));
    let stats = server.rondel_says(&["firewall", "stats"]);
    assert!(stats.contains(&format!("{script}\n           1  line 3 ::deliver\n")), "{stats}");
    let socket = server.data().join("admin.sock");
    let asked = |arguments: &[&str]| {
        let output = common::rondel()
            .arg("firewall")
            .args(arguments)
            .args(["--data-dir", server.data().to_str().unwrap(), "--admin-socket", socket.to_str().unwrap()])
            .output()
            .unwrap();
        said(&output)
    };
    assert!(asked(&["list", "nothing"]).contains("no rule has a list that is called nothing"));
    assert!(asked(&["remove", "banned", "x"]).contains("x is not in banned"));
}

#[test]
fn accounts_are_marked_and_found_by_their_marks() {
    let directory = tempfile::tempdir().unwrap();
    let script = file(&directory, "rules.pfw", RULES);
    let server = Server::start(&["--firewall", &script, "--shards", "2"]);
    ["romeo", "juliet", "nurse"].iter().for_each(|user| server.add_user(user));
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut is_seen = || {
        romeo.say(&message("juliet", "hello"));
        juliet.hear("</message>").contains("<marked xmlns='x'/>")
    };
    assert!(!is_seen());
    server.rondel_says(&["firewall", "mark", "romeo@localhost", "spam"]);
    assert!(is_seen());
    server.rondel_says(&["firewall", "mark", "nurse@localhost", "spam"]);
    let marked = server.rondel_says(&["firewall", "marked", "spam"]);
    let names: Vec<&str> = marked.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["romeo@localhost", "nurse@localhost"]);
    assert_eq!(server.rondel_says(&["firewall", "marked", "spam", "--on-domain", "elsewhere"]), "");
    server.rondel_says(&["firewall", "unmark", "romeo@localhost", "spam"]);
    assert!(!is_seen());
    // Without the server, too.
    let (_, directory) = server.terminate();
    let data = directory.path().join("data");
    let data = if data.is_dir() { data } else { directory.path().to_path_buf() };
    let marked = rondel(&["marked", "spam", "--data-dir", data.to_str().unwrap()]);
    assert!(said(&marked).starts_with("nurse@localhost since "), "{}", said(&marked));
    for (arguments, complaint) in [
        (["mark", "nobody@localhost", "spam"], "nobody@localhost"),
        (["mark", "nurse@localhost", "no mark"], "is no name of a mark"),
    ] {
        let output = rondel(&[&arguments[..], &["--data-dir", data.to_str().unwrap()]].concat());
        assert!(!output.status.success() && said(&output).contains(complaint), "{}", said(&output));
    }
}

#[test]
fn what_rules_do_is_seen_live() {
    let directory = tempfile::tempdir().unwrap();
    let text = "@@ trace = on\n\nKIND: message\nINSPECT: body#=drop\nTAG TRACE=dropped\nDROP.\n";
    let script = file(&directory, "rules.pfw", text);
    let server = Server::start(&["--firewall", &script, "--shards", "2"]);
    ["romeo", "juliet"].iter().for_each(|user| server.add_user(user));
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut child = common::rondel()
        .args(["firewall", "trace", "--tag", "dropped", "--data-dir", server.data().to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("looking at the rules; interrupt to end"));
    // Shards let it look one after the other.
    romeo.round_trip();
    juliet.round_trip();
    romeo.say(&message("juliet", "pass"));
    juliet.hear("</message>");
    romeo.say(&message("juliet", "drop"));
    let seen: Vec<String> = lines.by_ref().take(9).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen[0].contains(" deliver <message from='romeo@localhost/orchard' to='juliet@localhost'"), "{seen:?}");
    assert_eq!(seen[1], format!("  {script} ::deliver"));
    let rest = [
        "    line 3",
        "      ✔ KIND: message",
        "      ✔ INSPECT: body#=drop",
        "      TAG TRACE=dropped",
        "      tagged dropped",
        "      DROP.",
        "  is gone",
    ];
    assert_eq!(seen[2..], rest.map(str::to_owned), "{seen:?}");
}

/// A web server that answers with what it is told, and remembers what it was asked.
struct Web {
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn serve(answer: &str) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, asked) = (Arc::new(Mutex::new(answer.to_owned())), Arc::new(Mutex::new(Vec::new())));
        let (answers, asks) = (Arc::clone(&answer), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = Vec::new();
                let mut buffer = [0; 1024];
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
                        _ => break,
                    }
                }
                asks.lock().unwrap().push(String::from_utf8_lossy(&request).to_lowercase());
                let _ = stream.write_all(answers.lock().unwrap().as_bytes());
            }
        });
        Web { address, answer, asked }
    }
}

fn copy(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[test]
fn lists_on_the_web_are_fetched_and_kept() {
    let web = Web::serve(&copy("spam.example\r\nlocalhost\nlast.example"));
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "%LIST far: http://{}/list (ttl: 3600)\n\nKIND: message\nCHECK LIST: far contains $<@from|host>\n\
         BOUNCE=not-allowed\n",
        web.address
    );
    let script = file(&directory, "rules.pfw", &text);
    let flags = ["--firewall", &script, "--shards", "2"];
    let mut server = Server::start(&flags);
    ["romeo", "juliet"].iter().for_each(|user| server.add_user(user));
    server.wait_for_log(|line| line.contains("a list was read") && line.contains("\"entries\":3"));
    assert!(web.asked.lock().unwrap()[0].starts_with("get /list http/1.1\r\n"));
    let is_bounced = |server: &Server| {
        let mut romeo = Raw::online(server, "romeo", "orchard");
        romeo.say(&message("juliet", "hello"));
        romeo.say(&message("romeo", "to myself"));
        romeo.hear("</message>").contains("<not-allowed ")
    };
    assert!(is_bounced(&server));
    assert_eq!(server.rondel_says(&["firewall", "list"]), format!("far  3 entries from http://{}/list\n", web.address));
    // The web is broken, and the server starts anew: the copy holds.
    *web.answer.lock().unwrap() = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into();
    let mut server = server.kill_and_restart(&flags);
    assert!(is_bounced(&server));
    server.wait_for_log(|line| line.contains("this list is not to be had") && line.contains("500"));
    let asked = web.asked.lock().unwrap().clone();
    assert!(asked.last().unwrap().contains("if-none-match: \"v1\"\r\n"), "{asked:?}");
}
