//! An account that was reported as added is there, whatever happens to the server right after.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};

use common::{PATIENCE, Raw, Server, rondel, user};

/// Commands that add accounts at the same time, and accounts that each is given: it has them all under way at once.
const ADDERS: usize = 32;
const ACCOUNTS: usize = 32;

/// A child that does not outlive the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `rondel user add --stdin` through the running server, and through nothing else: without one there is no data
/// directory to add to.
fn adding(server: &Server) -> Command {
    let mut command = rondel();
    command.args(["user", "add", "--stdin", "--data-dir", "/dev/null", "--admin-socket"]);
    command.arg(server.data().join("admin.sock"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Adds accounts until all are added or the server is gone; tells each that is reported.
fn add(mut command: Command, adder: usize, reported: &Sender<String>) {
    let lines: String = (0..ACCOUNTS).map(|number| format!("u{adder}x{number}@localhost secret\n")).collect();
    let mut child = Ended(command.spawn().unwrap());
    child.0.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    for line in BufReader::new(child.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // Whoever listens may have heard enough.
        let _ = reported.send(line.strip_prefix("added ").unwrap().to_owned());
    }
}

/// Starts everybody, and kills the server once `goal` accounts were reported. All that were, in their order.
fn add_and_kill(server: &mut Server, goal: usize) -> Vec<String> {
    let (sender, reported): (Sender<String>, Receiver<String>) = mpsc::channel();
    let threads: Vec<_> = (0..ADDERS)
        .map(|adder| {
            let (command, sender) = (adding(server), sender.clone());
            std::thread::spawn(move || add(command, adder, &sender))
        })
        .collect();
    drop(sender);
    let mut accounts: Vec<String> = (0..goal).map(|_| reported.recv_timeout(PATIENCE).unwrap()).collect();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    accounts.extend(reported.iter());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    accounts
}

/// Somewhere in the middle, elsewhere on every run.
fn goal() -> usize {
    let mut random = [0; 2];
    getrandom::fill(&mut random).unwrap();
    100 + usize::from(u16::from_ne_bytes(random)) % 700
}

#[test]
fn every_account_that_was_reported_survives_the_server_being_killed() {
    let flags = ["--scram-iterations", "4096"];
    let mut server = Server::start(&flags);
    let goal = goal();
    let reported = add_and_kill(&mut server, goal);
    assert!(reported.len() >= goal, "{} of {goal}", reported.len());

    let listed = user(&server.data(), &["list"], "");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let listed: BTreeSet<&str> = listed.lines().collect();
    let lost: Vec<_> = reported.iter().filter(|account| !listed.contains(account.as_str())).collect();
    assert!(lost.is_empty(), "killed after {goal} accounts; lost are {lost:?}");
    let last = reported.last().unwrap();
    let shown = user(&server.data(), &["show", last], "");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("SCRAM-SHA-256"), "{shown:?}");

    let directory = std::mem::replace(&mut server.directory, tempfile::tempdir().unwrap());
    let server = Server::start_in(directory, &flags);
    let sample = reported.iter().step_by(reported.len() / 10).chain(reported.iter().rev().take(10));
    for account in sample {
        Raw::login(&server, account.strip_suffix("@localhost").unwrap(), "r").round_trip();
    }
}
