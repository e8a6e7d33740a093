//! Backups of the real server: made while it runs, killed half-way, restored elsewhere.

mod common;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use common::people::{is_right, subscribe};
use common::{PATIENCE, Raw, Server, rondel};

fn backup(arguments: &[&str], backups: &Path) -> Output {
    rondel().arg("backup").args(arguments).arg("--backup-dir").arg(backups).output().unwrap()
}

#[track_caller]
fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn failed(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("rondel: ") && text.lines().count() == 1, "{text}");
    text
}

fn export(data: &Path) -> Vec<String> {
    let text = said(rondel().args(["export", "-", "--data-dir"]).arg(data).output().unwrap());
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_restored_server_has_what_was_there_and_serves() {
    let server = Server::start(&[]);
    ["juliet", "romeo"].iter().for_each(|user| server.add_user(user));
    let (mut juliet, mut romeo) = (Raw::online(&server, "juliet", "balcony"), Raw::online(&server, "romeo", "orchard"));
    subscribe((&mut juliet, "juliet"), (&mut romeo, "romeo"));
    for number in 0..50 {
        romeo.say(&format!("<message to='juliet@localhost' type='chat'><body>{number}</body></message>"));
        juliet.hear("</message>");
    }
    romeo.round_trip();
    let folder = tempfile::tempdir().unwrap();
    let backups = folder.path().join("backups");
    let create = |data: &Path| {
        rondel().args(["backup", "create", "--backup-dir"]).arg(&backups).arg("--data-dir").arg(data).output().unwrap()
    };
    let text = said(create(&server.data()));
    assert!(text.starts_with("backup 1 in ") && text.ends_with("1 there now\n"), "{text}");
    let before = export(&server.data());
    server.add_user("nurse");
    // Of one that does not run, too.
    let (_, directory) = server.terminate();
    let data = directory.path().join("data");
    assert!(said(create(&data)).starts_with("backup 2 in "));
    let after = export(&data);
    let listed = said(backup(&["list", "--json"], &backups));
    assert_eq!(listed.matches("\"damaged\":false").count(), 2, "{listed}");
    let verified = said(backup(&["verify"], &backups));
    assert_eq!(verified.matches("as they were made").count(), 2, "{verified}");
    let restore = |id: &[&str], name: &str| {
        let to = folder.path().join(name);
        let mut command = rondel();
        command.args(["backup", "restore"]).args(id).arg("--backup-dir").arg(&backups).arg("--data-dir").arg(&to);
        (command.output().unwrap(), to)
    };
    let (output, first) = restore(&["1"], "first");
    assert!(said(output).contains(" is as it was at "));
    assert_eq!(export(&first), before);
    let (output, newest) = restore(&[], "newest/deep");
    said(output);
    assert_eq!(export(&newest), after);
    assert!(failed(restore(&["1"], "first").0).contains("is not empty"));
    assert!(failed(restore(&["9"], "none").0).contains("there is no backup 9"));
    // It is a server like any other.
    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().join("data");
    std::fs::rename(&newest, &data).unwrap();
    let server = Server::start_in(elsewhere, &[]);
    assert!(is_right(&server, "juliet", "secret") && !is_right(&server, "juliet", "wrong"));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    juliet.say("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'/></iq>");
    assert_eq!(juliet.hear("<fin").matches("<result").count(), 50);
    assert!(said(backup(&["prune", "--backup-keep", "1"], &backups)).starts_with("removed backup 1 of "));
}

#[test]
fn a_server_makes_them_by_itself_and_keeps_some() {
    let folder = tempfile::tempdir().unwrap();
    let backups = folder.path().join("backups");
    let path = backups.to_str().unwrap();
    let flags = ["--backup-dir", path, "--backup-every", "1d", "--backup-keep", "2"];
    let mut server = Server::start(&flags);
    // The first one is due.
    server.wait_for_log(|line| line.contains("a backup was made"));
    for _ in 0..3 {
        said(rondel().args(["backup", "create", "--data-dir"]).arg(server.data()).output().unwrap());
    }
    let listed = said(backup(&["list"], &backups));
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let status = server.rondel_says(&["status", "--json"]);
    assert!(status.contains("\"kept\":2") && status.contains("\"failed\":null"), "{status}");
    // Somebody else may work on them for a while.
    let relative = rondel()
        .args(["backup", "create", "--backup-dir", "here", "--data-dir"])
        .arg(server.data())
        .current_dir(folder.path())
        .output();
    assert!(said(relative.unwrap()).contains(folder.path().join("here").to_str().unwrap()));
}

#[test]
fn nothing_is_lost_with_a_server_that_is_killed_while_it_makes_one() {
    let mut server = Server::start(&[]);
    server.add_user("juliet");
    server.add_user("romeo");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let folder = tempfile::tempdir().unwrap();
    let backups = folder.path().join("backups");
    let mut whole = 0;
    let begun = Instant::now();
    for round in 0..6u32 {
        let text = "x".repeat(40_000);
        for number in 0..20 {
            romeo.say(&format!("<message to='juliet@localhost' id='{round}-{number}'><body>{text}</body></message>"));
        }
        romeo.round_trip();
        let mut create = rondel()
            .args(["backup", "create", "--backup-dir"])
            .arg(&backups)
            .arg("--data-dir")
            .arg(server.data())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Somewhere between its beginning and its end.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 8));
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        // Without a server it makes one itself, and has the store then.
        whole += u32::from(create.wait().unwrap().success());
        server = server.kill_and_restart(&[]);
        romeo = Raw::online(&server, "romeo", "orchard");
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(is_right(&server, "juliet", "secret"));
    said(
        rondel()
            .args(["backup", "create", "--backup-dir"])
            .arg(&backups)
            .arg("--data-dir")
            .arg(server.data())
            .output()
            .unwrap(),
    );
    let verified = said(backup(&["verify"], &backups));
    assert!(verified.lines().count() as u32 > whole, "{verified}");
    let to = folder.path().join("restored");
    said(
        rondel().args(["backup", "restore", "--backup-dir"]).arg(&backups).arg("--data-dir").arg(&to).output().unwrap(),
    );
    assert_eq!(export(&to), export(&server.data()));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("other")).unwrap();
    std::fs::write(path("other/file"), "x").unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    assert!(failed(backup(&["list"], &path("other"))).contains("something else than backups"));
    assert!(failed(backup(&["list"], &path("empty"))).contains("there are no backups here"));
    assert!(failed(backup(&["verify", "3"], &path("none"))).contains("there are no backups here"));
    let server = Server::start(&[]);
    let create = rondel().args(["backup", "create", "--data-dir"]).arg(server.data()).output().unwrap();
    assert!(failed(create).contains("has no --backup-dir"));
    // A directory that takes nothing.
    let nowhere = ["backup", "create", "--backup-dir", "/proc/nothing", "--data-dir"];
    let text = failed(rondel().args(nowhere).arg(server.data()).output().unwrap());
    assert!(text.contains("/proc/nothing"), "{text}");
    // Where somebody has wanted one to go is not where they go.
    assert!(!server.rondel_says(&["status", "--json"]).contains("/proc/nothing"));
    let server = Server::start(&["--backup-dir", "/proc/nothing", "--backup-every", "0"]);
    let create = rondel().args(["backup", "create", "--data-dir"]).arg(server.data()).output().unwrap();
    assert!(failed(create).contains("/proc/nothing"));
    assert!(server.rondel_says(&["status", "--json"]).contains("/proc/nothing"));
}

#[test]
fn damage_is_named_and_the_rest_is_saved() {
    let server = Server::start(&[]);
    let names: Vec<String> = (0..300).map(|number| format!("user{number}")).collect();
    let lines: String = names.iter().map(|name| format!("{name}@localhost secret\n")).collect();
    let added = common::user(&server.data(), &["add", "--stdin", "--scram-iterations", "4096"], &lines);
    assert!(added.status.success(), "{added:?}");
    let verify = |data: &Path| rondel().args(["storage", "verify", "--data-dir"]).arg(data).output().unwrap();
    assert!(said(verify(&server.data())).starts_with("read "));
    // What is in memory gets to files.
    let folder = tempfile::tempdir().unwrap();
    let made = rondel()
        .args(["backup", "create", "--backup-dir"])
        .arg(folder.path().join("backups"))
        .arg("--data-dir")
        .arg(server.data())
        .output();
    said(made.unwrap());
    let (_, directory) = server.terminate();
    let data = directory.path().join("data");
    let tables = std::fs::read_dir(data.join("store")).unwrap().map(|entry| entry.unwrap().path());
    let tables = tables.filter(|path| path.extension().is_some_and(|extension| extension == "sst"));
    let table = tables.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let name = table.file_name().unwrap().to_str().unwrap();
    let mut bytes = std::fs::read(&table).unwrap();
    let sound = bytes.clone();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0xff;
    std::fs::write(&table, &bytes).unwrap();
    let output = verify(&data);
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("damaged: {name} (")), "{output:?}");
    assert!(failed(output).contains("rondel storage salvage"));
    let saved = folder.path().join("saved");
    let save = || rondel().args(["storage", "salvage"]).arg(&saved).arg("--data-dir").arg(&data).output().unwrap();
    assert!(said(save()).contains("what was in damaged places is missing"));
    let listed = said(rondel().args(["user", "list", "--data-dir"]).arg(&saved).output().unwrap());
    assert!(listed.lines().count() > 250, "{listed}");
    assert!(said(verify(&saved)).starts_with("read "));
    assert_eq!(std::fs::read(&table).unwrap(), bytes, "the damaged one stays as it is");
    // What has lost its end is named at the start.
    std::fs::write(&table, &sound[..middle]).unwrap();
    let started = rondel()
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--listen-direct-tls", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(&data)
        .output()
        .unwrap();
    assert_eq!(started.status.code(), Some(1));
    let text = String::from_utf8_lossy(&started.stderr);
    assert!(text.contains(name) && text.contains("rondel storage salvage"), "{text}");
}
