//! A disk that is full, fails, or is slow: nothing acknowledged is lost, who is online can chat on, operators hear of
//! it once, and everything goes on by itself when the disk does.

mod common;

use std::collections::BTreeSet;
use std::time::Instant;

use common::disk::{FaultyDisk, SmallDisk, server_on};
use common::people::resumable;
use common::{PATIENCE, Raw, Server};

const FLAGS: [&str; 6] = ["--shards", "2", "--admin", "admin@localhost", "--offline-messages", "5000"];

/// Of messages to somebody who is away.
const BYTES: usize = 8_000;

struct Evening {
    server: Server,
    admin: Raw,
    romeo: Raw,
    juliet: Raw,
    /// Stanzas that Romeo has sent, and which of those to the nurse were not refused.
    sent: u32,
    kept: BTreeSet<u32>,
}

impl Evening {
    /// Romeo, with stream management, and Juliet are online, and an administrator; the nurse is not.
    fn begin(server: Server) -> Evening {
        ["romeo", "juliet", "nurse", "admin"].iter().for_each(|user| server.add_user(user));
        let admin = Raw::online(&server, "admin", "desk");
        let (mut romeo, _) = resumable(&server, "romeo", "orchard");
        let mut juliet = Raw::online(&server, "juliet", "balcony");
        // Whoever is known is no stranger.
        juliet.say("<message to='romeo@localhost' type='chat' id='j'><body>Good evening</body></message>");
        romeo.hear("id='j'");
        romeo.hear("</message>");
        Evening { server, admin, romeo, juliet, sent: 1, kept: BTreeSet::new() }
    }

    /// Romeo writes to the nurse. With which condition it is refused, if it is.
    fn write_to_nurse(&mut self) -> Option<String> {
        let number = self.say_to_nurse();
        let condition = self.answered();
        if condition.is_none() {
            self.kept.insert(number);
        }
        condition
    }

    fn say_to_nurse(&mut self) -> u32 {
        self.sent += 1;
        let (number, text) = (self.sent, "x".repeat(BYTES));
        self.romeo
            .say(&format!("<message to='nurse@localhost' type='chat' id='n{number}'><body>{text}</body></message>"));
        number
    }

    /// Waits until all that Romeo has sent is acknowledged. With which condition the last of it was refused.
    fn answered(&mut self) -> Option<String> {
        let mut condition = None;
        loop {
            self.romeo.say("<r xmlns='urn:xmpp:sm:3'/>");
            let heard = self.romeo.hear_between("<", "<a xmlns='urn:xmpp:sm:3' h='");
            condition = refusal(&heard).or(condition);
            let h: u32 = self.romeo.hear("'").trim_end_matches('\'').parse().unwrap();
            if h == self.sent {
                return condition;
            }
        }
    }

    /// Romeo writes to Juliet, who hears it at once, whatever becomes of the archives.
    fn chat(&mut self) {
        self.sent += 1;
        let id = format!("c{}", self.sent);
        self.romeo.say(&format!("<message to='juliet@localhost' type='chat' id='{id}'><body>Hark</body></message>"));
        self.juliet.hear(&format!("id='{id}'"));
    }

    /// What a status says is wrong.
    fn alerts(&self) -> Vec<String> {
        let status: serde_json::Value = serde_json::from_str(&self.server.rondel_says(&["status", "--json"])).unwrap();
        let alerts = status["alerts"].as_array().unwrap().iter();
        alerts.map(|alert| alert["about"].as_str().unwrap().to_owned()).collect()
    }

    /// Romeo tries until a message to the nurse is kept.
    fn wait_until_kept(&mut self) {
        let until = Instant::now() + PATIENCE;
        while let Some(condition) = self.write_to_nurse() {
            assert!(Instant::now() < until, "still {condition}");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }

    /// All that was not refused waits for the nurse, once, and what was refused does not.
    fn end(self) {
        let mut nurse = Raw::online(&self.server, "nurse", "kitchen");
        let last = self.kept.last().unwrap();
        let heard = nurse.hear(&format!(" id='n{last}'")) + &nurse.round_trip();
        // The archive gives messages ids, too, which are no numbers.
        let number = |rest: &str| rest.split_once('\'')?.0.parse().ok();
        let ids: Vec<u32> = heard.split(" id='n").skip(1).filter_map(number).collect();
        let found: BTreeSet<u32> = ids.iter().copied().collect();
        assert_eq!(ids.len(), found.len(), "nothing comes twice");
        assert!(self.kept.is_subset(&found), "lost: {:?}", self.kept.difference(&found).collect::<Vec<_>>());
    }
}

/// Somebody reads what there is, and somebody else logs in.
fn read(reader: &mut Raw, server: &Server) {
    let answer = reader.ask("get", None, "<query xmlns='jabber:iq:roster'/>");
    assert!(answer.contains("type='result'"), "{answer}");
    let asked = "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>1</max></set></query>";
    let answer = reader.ask("set", None, asked);
    assert!(answer.contains("type='result'"), "{answer}");
    Raw::online(server, "juliet", "chamber").round_trip();
}

/// The condition of an error, if there is one.
fn refusal(heard: &str) -> Option<String> {
    let (_, error) = heard.rsplit_once("<error type='wait'>")?;
    let name = error.trim_start_matches('<').split([' ', '/']).next()?;
    Some(name.to_owned())
}

/// How often the log says something.
fn count(server: &mut Server, text: &str) -> usize {
    server.logged.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn a_full_disk_refuses_what_has_to_be_kept_and_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let small = SmallDisk::mount(directory.path(), "64m");
    let faulty = FaultyDisk::new();
    if small.is_none() {
        eprintln!("nobody may mount here: a disk that only says that it is full");
    }
    let (command, root) = match &small {
        Some(small) => (small.rondel(), Some(small.root())),
        None => (faulty.rondel(), None),
    };
    let mut evening = Evening::begin(server_on(command, root, directory, &FLAGS));
    assert_eq!(evening.write_to_nurse(), None);
    match &small {
        Some(small) => small.fill(),
        None => faulty.becomes("full"),
    }
    // There is room in files that have been made already.
    let condition = loop {
        if let Some(condition) = evening.write_to_nurse() {
            break condition;
        }
        assert!(evening.sent < 4_000);
    };
    assert_eq!(condition, "resource-constraint");
    evening.chat();
    read(&mut evening.juliet, &evening.server);
    evening.admin.hear("The storage cannot write");
    assert!(evening.alerts().contains(&"storage".to_owned()));
    assert!(evening.server.rondel_says(&["status"]).contains("! since "));
    // It is still full, and people still chat.
    assert_eq!(evening.write_to_nurse().as_deref(), Some("resource-constraint"));
    evening.chat();
    match &small {
        Some(small) => small.free(),
        None => faulty.becomes(""),
    }
    evening.wait_until_kept();
    evening.admin.hear("The storage writes again");
    assert!(!evening.alerts().contains(&"storage".to_owned()));
    evening.server.wait_for_log(|line| line.contains("The storage writes again"));
    assert_eq!(count(&mut evening.server, "The storage cannot write"), 1);
    evening.end();
}

#[test]
fn a_disk_that_fails_refuses_what_has_to_be_kept_and_goes_on_when_it_works_again() {
    let disk = FaultyDisk::new();
    let mut evening = Evening::begin(server_on(disk.rondel(), None, tempfile::tempdir().unwrap(), &FLAGS));
    assert_eq!(evening.write_to_nurse(), None);
    disk.becomes("fail");
    assert_eq!(evening.write_to_nurse().as_deref(), Some("internal-server-error"));
    evening.chat();
    read(&mut evening.juliet, &evening.server);
    evening.admin.hear("The storage cannot write");
    assert!(evening.alerts().contains(&"storage".to_owned()));
    disk.becomes("");
    evening.wait_until_kept();
    evening.admin.hear("The storage writes again");
    assert_eq!(evening.alerts(), [""; 0]);
    evening.end();
}

#[test]
fn on_a_disk_that_is_slow_people_chat_and_acknowledgements_wait() {
    let disk = FaultyDisk::new();
    let mut evening = Evening::begin(server_on(disk.rondel(), None, tempfile::tempdir().unwrap(), &FLAGS));
    disk.becomes("hold");
    let number = evening.say_to_nurse();
    evening.chat();
    // Whoever asks for an archive hears of what it was given just now, too, and waits for that: somebody else does.
    read(&mut evening.admin, &evening.server);
    // Longer than five seconds: it is noticed once it has taken two, by whoever looks every five.
    evening.admin.hear("The disk of the storage is slow");
    assert_eq!(evening.alerts(), ["slow-storage"]);
    evening.chat();
    evening.romeo.say("<r xmlns='urn:xmpp:sm:3'/>");
    let h: u32 = evening.romeo.hear_between("<a xmlns='urn:xmpp:sm:3' h='", "'").parse().unwrap();
    assert!(h < number, "{h} were acknowledged, and {number} is not on disk");
    disk.becomes("");
    assert_eq!(evening.answered(), None);
    evening.kept.insert(number);
    evening.end();
}

#[test]
fn what_was_acknowledged_before_the_disk_was_full_is_there_after_the_server_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let Some(small) = SmallDisk::mount(directory.path(), "64m") else {
        return eprintln!("nobody may mount here");
    };
    let mut evening = Evening::begin(server_on(small.rondel(), Some(small.root()), directory, &FLAGS));
    (0..20).for_each(|_| assert_eq!(evening.write_to_nurse(), None));
    small.fill();
    while evening.write_to_nurse().is_none() {}
    let Evening { mut server, kept, .. } = evening;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    small.free();
    let directory = std::mem::replace(&mut server.directory, tempfile::tempdir().unwrap());
    let server = server_on(small.rondel(), Some(small.root()), directory, &FLAGS);
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    // They are read from the disk, and come when they have been.
    let heard = nurse.hear(&format!(" id='n{}'", kept.last().unwrap()));
    kept.iter().for_each(|number| assert!(heard.contains(&format!(" id='n{number}'")), "{number} is lost"));
}
