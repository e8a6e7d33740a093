//! Accounts that come from other servers, and go to them: whoever moves logs in with the old password and finds all
//! that was there.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/program.rs"]
mod program;
#[allow(dead_code)] // A part of it is needed.
#[path = "clients/row.rs"]
mod row;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::time::Instant;

use common::ejabberd::Ejabberd;
use common::prosody::Prosody;
use common::{PATIENCE, Raw, Server, rondel};

/// What a person in slixmpp does: `fill` or `find`.
fn person(row: &str, addresses: (SocketAddr, SocketAddr), certificate: &Path) {
    row::finish(row::start("moving_in.py", row, addresses, certificate));
}

fn find(server: &Server) {
    person("find", (server.address, server.direct_tls), &server.certificate());
}

fn asked(arguments: &[&str], data: &Path) -> Output {
    rondel().args(arguments).arg("--data-dir").arg(data).output().unwrap()
}

#[track_caller]
fn said(arguments: &[&str], data: &Path) -> String {
    let output = asked(arguments, data);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A server with what was imported from a file or a directory, and what was said of that.
fn moved_in(from: &Path) -> (Server, String) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let text = said(&["import", from.to_str().unwrap()], &data);
    (Server::start_with(directory, &["--dev", "--shards", "2"]), text)
}

#[test]
fn people_whose_prosody_kept_their_cards_as_published_have_them_as_cards() {
    let modules = ["pep", "private", "vcard_legacy", "blocklist", "mam", "carbons"];
    let rooms = "Component \"rooms.localhost\" \"muc\"\nmuc_room_default_persistent = true\nmuc_room_locking = false\n";
    let prosody =
        Prosody::start_with(&modules, "password_hash = \"SHA-256\"", rooms, &["juliet", "romeo", "nurse", "mercutio"]);
    person("fill", (prosody.address, prosody.address), &prosody.certificate());
    let mut juliet = Raw::connect(prosody.address);
    juliet.log_in("juliet", "orchard");
    for room in ["orchard", "the\\20tomb"] {
        juliet.say(&format!(
            "<presence to='{room}@rooms.localhost/J'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ));
        juliet.hear("<status code='201'/>");
    }
    let (_kept, files) = prosody.stop();
    let (server, text) = moved_in(&files);
    let rooms = "2 are rooms and left out, because there are no rooms here yet: \
                 orchard@rooms.localhost, the\\20tomb@rooms.localhost";
    assert!(text.contains(rooms), "{text}");
    find(&server);
}

/// All that ejabberd hands over, with passwords stored as these lines of configuration say.
fn people_come_from_ejabberd(passwords: &str) {
    let secret = |user: &'static str| (user, "localhost", "secret");
    let mut users = ["juliet", "romeo", "nurse", "mercutio"].map(secret).to_vec();
    users.extend([("o\\27neil", "localhost", "secret"), ("jürgen", "second.localhost", "<se> 'cr' & \"et\"")]);
    let ejabberd = Ejabberd::start(passwords, &users);
    person("fill", (ejabberd.address, ejabberd.address), &ejabberd.certificate());
    let (_kept, file) = ejabberd.export();
    let (server, text) = moved_in(&file);
    assert_eq!(text, "imported 6 accounts with 0 archived messages\n");
    person("find_handed_over", (server.address, server.direct_tls), &server.certificate());
    has_both(&server);
    // And all that it keeps.
    let (server, text) = moved_in(&ejabberd.dump());
    let archived = text.strip_prefix("imported 6 accounts with ").and_then(|rest| rest.split(' ').next());
    let archived: usize = archived.and_then(|number| number.parse().ok()).expect(&text);
    assert!(archived >= 8, "each of four messages has two archives: {text}");
    assert_eq!(text.lines().count(), 1, "nothing is left out: {text}");
    find(&server);
    has_both(&server);
    let told = said(&["export", "-", "--account", "juliet@localhost"], &server.data());
    assert!(told.contains("<last-activity ") && told.contains("<archive "), "{told}");
}

/// Has those whose names are written in some other way in a file, too.
fn has_both(server: &Server) {
    let listed = said(&["user", "list"], &server.data());
    assert!(listed.contains("o\\27neil@localhost") && listed.contains("jürgen@second.localhost"), "{listed}");
}

#[test]
fn people_who_come_from_ejabberd_find_what_it_hands_over() {
    people_come_from_ejabberd("auth_password_format: plain");
}

#[test]
fn people_whose_passwords_ejabberd_did_not_know_log_in_with_them() {
    people_come_from_ejabberd("auth_password_format: scram\nauth_scram_hash: sha256");
}

#[test]
fn people_who_come_from_prosody_find_all_that_they_had() {
    let modules = ["pep", "private", "vcard", "blocklist", "mam", "carbons"];
    let prosody = Prosody::start(&modules, "", &["juliet", "romeo", "nurse", "mercutio"]);
    person("fill", (prosody.address, prosody.address), &prosody.certificate());
    let (_kept, files) = prosody.stop();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let text = said(&["import", files.to_str().unwrap()], &data);
    assert!(text.starts_with("imported 4 accounts with "), "{text}");
    // Nothing changes if it is done once more.
    let text = said(&["import", files.to_str().unwrap()], &data);
    assert!(text.contains("4 were there already and are as they were"), "{text}");
    let server = Server::start_with(directory, &["--dev", "--shards", "2"]);
    find(&server);
    let text = said(&["registration", "log", "--json"], &server.data());
    assert_eq!(text.matches("\"source\":\"import\"").count(), 4, "{text}");
}

#[test]
fn what_was_exported_is_there_on_another_server() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--dev", "--shards", "2"]);
    ["romeo", "juliet", "nurse", "mercutio"].iter().for_each(|user| server.add_user(user));
    person("fill", (server.address, server.direct_tls), &server.certificate());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.xml");
    let file = file.to_str().unwrap();
    // Once all that people have left behind is stored.
    let begun = Instant::now();
    while said(&["export", "-"], &server.data()).matches("<last-activity ").count() < 3 {
        assert!(begun.elapsed() < PATIENCE, "somebody does not leave");
    }
    // Of a running server, and of one that does not run.
    said(&["export", file], &server.data());
    let of_running = std::fs::read_to_string(file).unwrap();
    assert_eq!(asked(&["export", file], &server.data()).status.code(), Some(1), "nothing is written over");
    let (status, directory) = server.terminate();
    assert!(status.success());
    let of_stopped = said(&["export", "-"], &directory.path().join("data"));
    assert_eq!(of_running, of_stopped);
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Into a server that runs.
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--dev", "--shards", "2"]);
    let text = said(&["import", file, "--json"], &server.data());
    assert!(text.contains("\"accounts\":4") && text.contains("\"unknown\":[]"), "{text}");
    find(&server);
    let one = said(&["export", "-", "--account", "nurse@localhost"], &server.data());
    assert!(one.contains("<user name='nurse'>") && !one.contains("juliet"), "{one}");
    let none = asked(&["export", "-", "--account", "nobody@localhost"], &server.data());
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no account nobody@localhost"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let failed = |path: &Path| {
        let output = asked(&["import", path.to_str().unwrap()], &data);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let empty = directory.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(failed(&empty).contains("has no accounts of Prosody"));
    assert!(failed(&directory.path().join("nowhere.xml")).contains("No such file"));
    let file = directory.path().join("bad.xml");
    let text = "<server-data xmlns='urn:xmpp:pie:0'>\n<host jid='x'><user name='a' password='b'/><user>";
    std::fs::write(&file, text).unwrap();
    let text = failed(&file);
    assert!(text.contains("bad.xml:2:") && text.contains("1 accounts are there"), "{text}");
}
