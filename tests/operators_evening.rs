//! An operator's evening: registration is open, a wave of bots comes among honest people, and goes again.

mod common;

use common::strangers::{newcomer, register, stranger_between};
use common::{Raw, Server};

/// Bots, from a network of theirs, and honest people, from everywhere.
const BOTS: usize = 300;
const PEOPLE: usize = 20;
const REPORTERS: usize = 5;

/// The network of the bots.
const NETWORK: &str = "127.66.0.0/16";

#[test]
fn a_wave_is_noticed_found_and_undone_and_no_honest_session_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let flags_file = directory.path().join("flags");
    let flags = "--admin=admin@localhost\n--registration-rate=100000/s\n--registration-interval=0\n\
                 --password-strength=0\n--password-length=1\n--new-account-strangers=5\n--scram-iterations=4096\n";
    std::fs::write(&flags_file, format!("--registration=open\n{flags}")).unwrap();
    let file = format!("@{}", flags_file.display());
    let mut server = Server::start(&[&file]);
    server.add_user("admin");
    let mut admin = Raw::online(&server, "admin", "desk");

    // Honest people register, each from an address of their own, and are online.
    let mut people: Vec<(String, Raw)> = (0..PEOPLE)
        .map(|number| {
            let name = format!("{}{}", ["anselm", "beatrix", "cosmo", "dorothea"][number % 4], number + 11);
            let raw = newcomer(&format!("127.10.{number}.1"), server.address, &name);
            (name, raw)
        })
        .collect();
    admin.hear("just registered on localhost from 127.10.0.1");

    // The wave: three from each of a hundred addresses of one network; each writes to honest people.
    let mut refused = 0;
    let bots: Vec<Raw> = (0..BOTS)
        .map(|number| {
            let name = format!("qxz{:04}", number * 7);
            let mut raw = newcomer(&format!("127.66.{}.1", number / 3), server.address, &name);
            for (person, _) in people.iter().cycle().skip(number % PEOPLE).take(8) {
                raw.say(&format!(
                    "<message type='chat' to='{person}@localhost' id='m'><body>buy {number}</body></message>"
                ));
            }
            refused += raw.round_trip().matches("<policy-violation").count();
            raw
        })
        .collect();
    assert_eq!(refused, BOTS * 3, "each reaches five strangers");

    // Five report what they got.
    for (name, person) in people.iter_mut().take(REPORTERS) {
        let bot = person.hear_between("from='qxz", "@localhost");
        let id = person.hear_between(&format!("<stanza-id xmlns='urn:xmpp:sid:0' by='{name}@localhost' id='"), "'");
        let report = format!(
            "<block xmlns='urn:xmpp:blocking'><item jid='qxz{bot}@localhost'><report xmlns='urn:xmpp:reporting:1' \
             reason='urn:xmpp:reporting:spam'><stanza-id xmlns='urn:xmpp:sid:0' by='{name}@localhost' id='{id}'/>\
             </report></item></block>"
        );
        assert!(person.ask("set", None, &report).contains("type='result'"));
    }

    // The operator sees the alert, looks at a report, and at where the account has come from.
    admin.hear(" reports qxz");
    let reports = server.rondel_says(&["report", "list"]);
    assert_eq!(reports.lines().count(), REPORTERS, "{reports}");
    let first = reports.lines().next().unwrap().split(' ').next().unwrap();
    let shown = server.rondel_says(&["report", "show", first]);
    assert!(shown.contains("<body>buy ") && shown.contains(" from 127.66."), "{shown}");
    assert_eq!(shown.matches("neighbour   ").count(), 2, "the other two of the same address: {shown}");
    let stats = server.rondel_says(&["registration", "stats", "--since", "1h"]);
    assert!(stats.contains("127.66."), "{stats}");
    let found = server.rondel_says(&["registration", "log", "--only", "made", "--from-address", NETWORK]);
    assert_eq!(found.lines().count(), BOTS);

    // The network is banned for a day, registration is closed by a reload, and the wave is undone.
    assert_eq!(
        server.rondel_says(&["ban", "add", NETWORK, "--for", "1d", "--reason", "bots"]),
        format!("banned {NETWORK}\n")
    );
    std::fs::write(&flags_file, format!("--registration=closed\n{flags}")).unwrap();
    server.signal("-HUP");
    server.wait_for_log(|line| line.contains("rules of registration read again"));
    let dry = server.rondel_says(&["registration", "purge", "--from-address", NETWORK, "--since", "1h"]);
    assert_eq!(dry.lines().filter(|line| line.contains("@localhost")).count(), BOTS, "{dry}");
    let purged = server.rondel_says(&["registration", "purge", "--from-address", NETWORK, "--since", "1h", "--yes"]);
    assert_eq!(purged, format!("{BOTS} accounts removed\n"));

    // They are gone, nobody comes from there, nobody registers; honest people have noticed nothing.
    for mut bot in bots {
        assert!(bot.hear_rest().contains("</stream:stream>"));
    }
    assert!(std::panic::catch_unwind(|| stranger_between("127.66.200.1", server.address)).is_err());
    let mut late = stranger_between("127.10.99.1", server.address);
    let answer = register(&mut late, "latecomer", "correct horse battery");
    assert!(answer.contains("<service-unavailable"), "{answer}");
    for (name, person) in &mut people {
        assert!(person.round_trip().contains("type='result'"), "{name} is still there");
    }
    let left = server.rondel_says(&["user", "list"]);
    assert_eq!(left.lines().count(), PEOPLE + 1, "{left}");
    let dismiss = server.rondel_says(&["report", "act", first, "dismiss", "--answer", "They are gone."]);
    assert_eq!(dismiss, format!("dismiss {first}\n"));
    let told = people.iter_mut().take(REPORTERS).map(|(_, person)| person.round_trip().contains("They are gone."));
    assert_eq!(told.filter(|told| *told).count(), 1);
    let audit = server.rondel_says(&["audit"]);
    assert!(
        audit.contains(" ban-address by user ") && audit.matches(" remove-user by user ").count() == BOTS,
        "{audit}"
    );
}
