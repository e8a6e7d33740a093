//! Nothing of a removed account is left in any column family: after an account has used all there is, and has gone, the
//! store is read from one end to the other.

mod common;

use common::people::befriend;
use common::strangers::{OPEN, query, stranger};
use common::{Raw, Server};
use rondel_storage::{Family, KeyShape, Options, Owner, PAGE_BYTES_MAX, PageRequest, Store};

const JULIET: &str = "juliet@localhost";

/// Families that keep what has happened, whoever it was: that is what they are for. (Of tombstones nothing but a hash
/// is kept.) An archive that is gone has its owner in `archive_forgotten` until no file can have anything of it.
const LOGS: [Family; 5] =
    [Family::Registrations, Family::Attempts, Family::Audit, Family::Reports, Family::ArchiveForgotten];

/// Every key and value of a family.
fn entries(store: &Store, family: Family) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (from, to, reverse, entries_max) = (Vec::new(), None, false, 1000);
    let mut request = Some(PageRequest { family, from, to, reverse, entries_max, bytes_max: PAGE_BYTES_MAX });
    let mut all = Vec::new();
    while let Some(current) = request {
        let page = store.page(current.clone()).unwrap();
        request = current.next(&page);
        all.extend(page.entries);
    }
    all
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// Whether an entry is the account's, or names it where it is nobody else's.
fn is_left(family: Family, key: &[u8], value: &[u8]) -> bool {
    let owner = Owner::parse(JULIET).unwrap();
    let names = |bytes: &[u8]| contains(bytes, b"juliet");
    match family.descriptor().keys {
        // What others have of their conversations is theirs.
        _ if family == Family::ArchiveChunks => false,
        KeyShape::Owner | KeyShape::OwnerItem => key.starts_with(&family.key(&owner, b"")),
        KeyShape::TimeOwner => names(key),
        KeyShape::Named => names(key) || names(value),
    }
}

/// What there is of the account, by family.
fn left(data: &std::path::Path) -> Vec<String> {
    let store = Store::open(&Options::new(data.join("store"))).unwrap();
    store.flush_archives().unwrap();
    let families: Vec<Family> = Family::ALL.iter().copied().filter(|family| !LOGS.contains(family)).collect();
    // What is void goes when its family is compacted.
    families.iter().for_each(|family| store.compact(*family).unwrap());
    let found = families.iter().flat_map(|family| {
        let mine = entries(&store, *family).into_iter().filter(|(key, value)| is_left(*family, key, value));
        mine.map(|(key, _)| format!("{}: {}", family.name(), String::from_utf8_lossy(&key))).collect::<Vec<_>>()
    });
    let found = found.collect();
    store.close().unwrap();
    found
}

/// Does all that leaves something behind.
fn live(server: &Server) -> (Raw, Raw) {
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register</value></field>\
                <field var='username'><value>juliet</value></field><field var='password'><value>secret</value></field>\
                <field var='nick'><value>Jule</value></field></x>";
    let answer = stranger(server).ask("set", None, &query(form));
    assert!(answer.contains("type='result'"), "{answer}");
    let mut juliet = Raw::online(server, "juliet", "balcony");
    let mut romeo = Raw::online(server, "romeo", "orchard");
    romeo.ask("get", None, "<query xmlns='jabber:iq:roster'/>");
    befriend((&mut juliet, "juliet"), (&mut romeo, "romeo"));
    let does = |raw: &mut Raw, kind: &str, to: Option<&str>, payload: &str| {
        let answer = raw.ask(kind, to, payload);
        assert!(answer.contains("type='result'"), "{payload}: {answer}");
        answer
    };
    does(
        &mut juliet,
        "set",
        None,
        "<vCard xmlns='vcard-temp'><FN>Juliet</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO>\
         </vCard>",
    );
    does(&mut juliet, "set", None, "<query xmlns='jabber:iq:private'><notes xmlns='own:notes'>mine</notes></query>");
    does(&mut juliet, "set", None, "<block xmlns='urn:xmpp:blocking'><item jid='tybalt@localhost'/></block>");
    does(&mut juliet, "set", None, "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>");
    let item = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:tune'><item id='now'>\
                <tune xmlns='http://jabber.org/protocol/tune'><title>larks</title></tune></item></publish></pubsub>";
    does(&mut juliet, "set", None, item);
    for number in 0..50 {
        let body = format!("<body>night {number} {}</body>", "x".repeat(200));
        juliet.say(&format!("<message type='chat' to='romeo@localhost' id='m{number}'>{body}</message>"));
        romeo.say(&format!("<message type='chat' to='{JULIET}' id='n{number}'>{body}</message>"));
    }
    juliet.round_trip();
    romeo.round_trip();
    juliet.say("<presence type='unavailable'><status>good night</status></presence>");
    juliet.round_trip();
    // It waits for her.
    romeo.say(&format!("<message type='chat' to='{JULIET}' id='late'><body>wherefore</body></message>"));
    romeo.round_trip();
    let command = "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite'/>";
    let invited = does(&mut juliet, "set", Some("localhost"), command);
    assert!(invited.contains("preauth="), "{invited}");
    (juliet, romeo)
}

const FLAGS: &[&str] = &["--registration-field", "nick"];

#[test]
fn nothing_is_left_of_an_account_that_its_owner_has_removed() {
    let server = Server::start(&[OPEN, FLAGS].concat());
    server.add_user("romeo");
    let (mut juliet, mut romeo) = live(&server);
    let answer = juliet.ask("set", None, "<query xmlns='jabber:iq:register'><remove/></query>");
    assert!(answer.contains("type='result'"), "{answer}");
    romeo.hear("type='unsubscribed'");
    let (status, directory) = server.terminate();
    assert!(status.success());
    assert_eq!(left(&directory.path().join("data")), Vec::<String>::new());
}

#[test]
fn nothing_is_left_of_an_account_that_an_operator_has_removed() {
    let server = Server::start(&[OPEN, FLAGS].concat());
    server.add_user("romeo");
    drop(live(&server));
    let (status, directory) = server.terminate();
    assert!(status.success());
    let data = directory.path().join("data");
    // So that the test would see what is there.
    let before = left(&data);
    for family in [
        "accounts",
        "applicants",
        "roster",
        "vcards",
        "private",
        "pubsub_items",
        "archive",
        "offline",
        "invites",
        "preferences",
        "blocks",
        "lookalikes",
    ] {
        assert!(before.iter().any(|entry| entry.starts_with(&format!("{family}: "))), "{family}: {before:?}");
    }
    let remove = |jid: &str| {
        let output = common::user(&data, &["remove", jid], "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    remove(JULIET);
    assert_eq!(left(&data), Vec::<String>::new());
    // Nobody has their conversations any more.
    remove("romeo@localhost");
    left(&data);
    let store = Store::open(&Options::new(data.join("store"))).unwrap();
    assert_eq!(entries(&store, Family::ArchiveChunks).len(), 0);
}

#[test]
fn whoever_is_removed_while_no_server_runs_is_nobodys_contact_either() {
    let server = common::Server::start(&[]);
    ["juliet", "romeo", "nurse"].iter().for_each(|name| server.add_user(name));
    let mut juliet = common::Raw::online(&server, "juliet", "balcony");
    let mut romeo = common::Raw::online(&server, "romeo", "orchard");
    common::people::befriend((&mut juliet, "juliet"), (&mut romeo, "romeo"));
    juliet.say("<presence to='nurse@localhost' type='subscribe'/>");
    juliet.round_trip();
    let version = |roster: &str| roster.split(" ver='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    let before = version(&romeo.ask("get", None, "<query xmlns='jabber:iq:roster' ver=''/>"));
    let (_, directory) = server.terminate();
    let data = directory.path().join("data");
    assert!(common::user(&data, &["remove", JULIET], "").status.success());
    let server = common::Server::start_in(directory, &[]);
    let mut romeo = common::Raw::login(&server, "romeo", "orchard");
    let roster = romeo.ask("get", None, "<query xmlns='jabber:iq:roster' ver=''/>");
    assert!(roster.contains("<item jid='juliet@localhost' subscription='none'/>"), "{roster}");
    // His client, which knows the roster of before, learns of it.
    let changes = format!("<query xmlns='jabber:iq:roster' ver='{before}'/>");
    romeo.say(&format!("<iq type='get' id='changes'>{changes}</iq>"));
    assert!(romeo.hear("subscription='none'").contains(JULIET));
    // The nurse is not asked on behalf of somebody who is gone.
    assert!(!common::Raw::online(&server, "nurse", "kitchen").round_trip().contains("subscribe"));
}
