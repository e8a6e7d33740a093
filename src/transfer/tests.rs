//! Whole accounts, from files into stores and back.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rondel_storage::accounts::AccountFlags;
use rondel_storage::pubsub::{self, AccessModel};
use rondel_storage::{Options, Outcome, Owner, Store, accounts};

use super::export::{Export, Exported, Wanted};
use super::import::{Import, Imported};
use super::pie::{Pie, ReadError};
use super::pieces::Unknown;
use super::*;
use crate::account::archive_ids::ArchiveIds;
use crate::sasl;

const NOW_US: u64 = 1_790_000_000_000_000;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn store(&self, name: &str) -> Store {
        Store::open(&Options::new(self.directory.path().join(name))).unwrap()
    }
}

fn import(store: &Store, path: &Path) -> Result<(Imported, Unknown), ReadError> {
    let mut import = Import::new(store, None, 4096, NOW_US);
    let unknown = Pie::new(&mut |piece| import.take(piece)).read(path)?;
    Ok((import.finish().unwrap(), unknown))
}

fn export(store: &Store, wanted: &Wanted) -> (String, Exported) {
    let mut out = Vec::new();
    let exported = Export::new(store, ArchiveIds::new([7; 16]), &mut out).run(wanted).unwrap();
    (String::from_utf8(out).unwrap(), exported)
}

fn owner(jid: &str) -> Owner {
    Owner::parse(jid).unwrap()
}

fn user(content: &str) -> String {
    let user = format!("<user name='juliet'>{content}</user>");
    format!("<server-data xmlns='urn:xmpp:pie:0'><host jid='capulet.com'>{user}</host></server-data>")
}

/// All that XEP-0227 knows, as its examples have it, and what it does not.
const WHOLE: &str = "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'>\
    <iter-count>100000</iter-count>\
    <salt>TmFDbE5hQ2xOYUNsTmFDbE5hQ2xOYUNsTmFDbE5hQ2xOYUNsTmFDbE5hQ2wK</salt>\
    <server-key>0pXWGK0GZJ6TR73AIUN3ITYtA1g=</server-key>\
    <stored-key>Q6qT/SbybblGCZz8e8eSfCJOQic=</stored-key></scram-credentials>\
    <query xmlns='jabber:iq:roster'>\
    <item jid='Romeo@montague.net' name='Romeo &amp; all' subscription='both'><group>Friends</group></item>\
    <item jid='nurse@capulet.com' subscription='none' ask='subscribe'/></query>\
    <offline-messages><message xmlns='jabber:client' from='romeo@montague.net/orchard' to='juliet@capulet.com' \
    type='chat'><body>Neither, fair saint</body>\
    <delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2026-01-01T00:32:29Z'/></message></offline-messages>\
    <query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus></query>\
    <vCard xmlns='vcard-temp'><FN>Juliet Capulet</FN></vCard>\
    <query xmlns='jabber:iq:privacy'><default name='public'/><list name='public'>\
    <item type='jid' value='tybalt@example.com' action='deny' order='1'/><item action='allow' order='2'/></list>\
    <list name='private'><item type='jid' value='other@example.com' action='deny' order='1'/></list></query>\
    <presence xmlns='jabber:client' type='subscribe' id='xk3h1v69' from='mercutio@montague.net'>\
    <nick xmlns='http://jabber.org/protocol/nick'>M</nick></presence>\
    <pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='urn:xmpp:bookmarks:1'>\
    <x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'>\
    <value>http://jabber.org/protocol/pubsub#node_config</value></field>\
    <field var='pubsub#access_model'><value>whitelist</value></field>\
    <field var='pubsub#max_items'><value>128</value></field>\
    <field var='other#thing'><value>x</value></field></x></configure>\
    <affiliations node='urn:xmpp:bookmarks:1'><affiliation jid='mercutio@example.net' affiliation='member'/>\
    </affiliations></pubsub>\
    <pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'>\
    <item id='a@rooms.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='A'><nick>R</nick></conference></item>\
    <item id='b@rooms.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='B'/></item></items>\
    <items node='http://jabber.org/protocol/nick'>\
    <item id='current'><nick xmlns='http://jabber.org/protocol/nick'>Jule</nick></item></items></pubsub>\
    <prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>romeo@montague.net</jid></always><never/></prefs>\
    <archive xmlns='urn:xmpp:pie:0#mam'>\
    <result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'>\
    <delay xmlns='urn:xmpp:delay' stamp='2026-07-10T23:08:25Z'/>\
    <message xmlns='jabber:client' to='juliet@capulet.com/balcony' from='romeo@montague.net/orchard' type='chat'>\
    <body>Call me but love</body></message></forwarded></result>\
    <result xmlns='urn:xmpp:mam:2' id='2'><forwarded xmlns='urn:xmpp:forward:0'>\
    <delay xmlns='urn:xmpp:delay' stamp='2026-07-10T23:08:25Z'/>\
    <message xmlns='jabber:client' to='romeo@montague.net' from='juliet@capulet.com/balcony' type='chat' id='8a54s'>\
    <body>What man art thou</body></message></forwarded></result></archive>\
    <strange xmlns='urn:x'/>";

#[test]
fn what_other_servers_write_is_read_and_written_as_it_was() {
    let place = Place::new();
    let store = place.store("one");
    let (imported, unknown) = import(&store, &place.file("in.xml", &user(WHOLE))).unwrap();
    assert_eq!((imported.accounts, imported.messages), (1, 2));
    assert_eq!(unknown.all().collect::<Vec<_>>(), [("<strange xmlns='urn:x'>", 1)]);
    let (text, exported) = export(&store, &Wanted::All);
    assert_eq!((exported.accounts, exported.messages, &exported.missing[..]), (1, 2, &[][..]));
    for expected in [
        "<host jid='capulet.com'>\n<user name='juliet'>",
        "mechanism='SCRAM-SHA-1'><iter-count>100000</iter-count>",
        "<item jid='nurse@capulet.com' subscription='none' ask='subscribe'/>",
        "<item jid='romeo@montague.net' name='Romeo &amp; all' subscription='both'><group>Friends</group></item>",
        "<presence xmlns='jabber:client' type='subscribe' id='xk3h1v69' from='mercutio@montague.net'>",
        "<blocklist xmlns='urn:xmpp:blocking'><item jid='tybalt@example.com'/></blocklist>",
        "<exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus>",
        "<vCard xmlns='vcard-temp'><FN>Juliet Capulet</FN></vCard>",
        "<affiliation jid='mercutio@example.net' affiliation='member'/>",
        "<field var='pubsub#max_items'><value>128</value></field>",
        "<conference xmlns='urn:xmpp:bookmarks:1' name='B'/></item>",
        "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>romeo@montague.net</jid></always><never/></prefs>",
        "<body>Neither, fair saint</body><delay xmlns='urn:xmpp:delay' from='capulet.com' \
         stamp='2026-01-01T00:32:29Z'/>",
        "stamp='2026-07-10T23:08:25Z'/><message xmlns='jabber:client' to='juliet@capulet.com/balcony'",
        // The second one of the same second.
        "stamp='2026-07-10T23:08:25.000001Z'/><message xmlns='jabber:client' to='romeo@montague.net'",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(!text.contains("other@example.com"));
    // What was written is read as it was.
    let again = place.store("two");
    let (imported, unknown) = import(&again, &place.file("again.xml", &text)).unwrap();
    assert_eq!((imported.accounts, unknown.all().count()), (1, 0));
    assert_eq!(export(&again, &Wanted::All).0, text);
}

#[test]
fn passwords_become_keys_and_what_was_decided_comes_along() {
    let place = Place::new();
    let store = place.store("store");
    let text = "<server-data xmlns='urn:xmpp:pie:0'><host jid='x.example'>\
        <user name='a' password='secret'/>\
        <user name='b' password='s'><account xmlns='urn:x-rondel:account:0' created='2020-01-01T00:00:00Z' \
        disabled-since='2025-01-01T00:00:00Z' muted-until='always' role='admin' trusted='true'>spam</account></user>\
        <user name='c'/><user name='d@e'/></host><other xmlns='urn:y'><z/></other></server-data>";
    let (imported, unknown) = import(&store, &place.file("in.xml", text)).unwrap();
    assert_eq!((imported.accounts, imported.without_password.first), (3, vec!["c@x.example".to_owned()]));
    assert_eq!(imported.invalid.first, ["d@e@x.example"]);
    assert_eq!(unknown.all().collect::<Vec<_>>(), [("<other xmlns='urn:y'>", 1)]);
    let account = |jid: &str| {
        let outcome = store.read_blocking(&accounts::get(&owner(jid)));
        accounts::decode(&owner(jid), outcome).unwrap().unwrap().account().clone()
    };
    let keys = crate::credentials::from_store(&account("a@x.example").keys[0]);
    assert!(sasl::verify("secret", &keys) && !account("a@x.example").is_disabled(NOW_US / 1_000_000));
    // Who was there elsewhere, nobody knows since when, is not held to the limits of new accounts.
    assert!(account("a@x.example").flags.has(AccountFlags::TRUSTED));
    let b = account("b@x.example");
    assert_eq!((b.created, b.role, b.muted_until_s), (1_577_836_800, Role::Member, Some(u64::MAX)));
    assert_eq!(b.disabled.map(|disabled| disabled.reason).as_deref(), Some("spam"));
    // Nothing of them is touched by another import.
    let (imported, _) = import(&store, &place.file("in.xml", text)).unwrap();
    assert_eq!((imported.accounts, imported.existing.number), (0, 3));
}

#[test]
fn what_was_interrupted_is_put_in_anew() {
    let place = Place::new();
    let store = place.store("store");
    let path = place.file("in.xml", &user(WHOLE).replace("</user>", ""));
    let error = import(&store, &path).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}:1:", path.display())), "{error}");
    let stored = accounts::decode(&owner("juliet@capulet.com"), {
        store.read_blocking(&accounts::get(&owner("juliet@capulet.com")))
    });
    // Nobody can log in.
    assert!(stored.unwrap().unwrap().account().is_disabled(0));
    let (imported, _) = import(&store, &place.file("in.xml", &user(WHOLE))).unwrap();
    assert_eq!((imported.accounts, imported.messages), (1, 2));
    let (text, exported) = export(&store, &Wanted::All);
    assert_eq!((exported.messages, text.matches("Neither, fair saint").count()), (2, 1));
}

#[test]
fn files_include_others_within_their_folder() {
    let place = Place::new();
    let store = place.store("store");
    let main = "<server-data xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'>\
        <xi:include href='a.example.xml'/><xi:include href='b.example.xml'/></server-data>";
    place.file(
        "a.example.xml",
        "<host xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude' \
        jid='a.example'><xi:include href='a.example/j%20o.xml'/><user name='k' password='x'/></host>",
    );
    place.file(
        "a.example/j o.xml",
        "<user xmlns='urn:xmpp:pie:0' name='j' password='x'>\
        <vCard xmlns='vcard-temp'><xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='../../secret'/></vCard>\
        </user>",
    );
    place.file("b.example.xml", "<host xmlns='urn:xmpp:pie:0' jid='b.example'><user name='l' password='x'/></host>");
    let (imported, _) = import(&store, &place.file("main.xml", main)).unwrap();
    assert_eq!(imported.accounts, 3);
    let (text, _) = export(&store, &Wanted::Account(owner("j@a.example")));
    assert!(text.contains("href='../../secret'"), "{text}");
    assert_eq!(export(&store, &Wanted::Domain("a.example".into())).1.accounts, 2);
    for href in ["/etc/passwd", "../in.xml", "http://example.org/x.xml", "none.xml"] {
        let text = main.replace("a.example.xml", href);
        let error = import(&store, &place.file("bad.xml", &text)).unwrap_err().to_string();
        assert!(error.contains("is not a file in the folder") || error.contains("No such file"), "{href}: {error}");
    }
    // In a circle.
    let (imported, unknown) = import(&store, &place.file("main.xml", &main.replace("a.example", "main"))).unwrap();
    assert_eq!((imported.existing.number, unknown.all().count()), (1, 1));
}

#[test]
fn what_is_no_such_file_is_told_with_its_place() {
    let place = Place::new();
    let store = place.store("store");
    for (text, expected) in [
        ("<a/>", "<server-data xmlns='urn:xmpp:pie:0'> is expected, not <a>"),
        ("", ""),
        ("<server-data xmlns='urn:xmpp:pie:0'>\n<host/></server-data>", ":2:"),
        ("<server-data xmlns='urn:xmpp:pie:0'><host jid='x'><user/></host></server-data>", "a user without a name"),
    ] {
        let error = import(&store, &place.file("in.xml", text)).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(import(&store, Path::new("/nowhere/x.xml")).unwrap_err().to_string().contains("No such file"));
}

#[test]
fn many_items_and_messages_are_put_in_piece_by_piece() {
    let place = Place::new();
    let store = place.store("store");
    let mut content = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='big'>".to_owned();
    for number in 0..300 {
        content += &format!("<item id='{number}'><x xmlns='urn:big'>{}</x></item>", "x".repeat(3000));
    }
    content += "<item id='7'><x xmlns='urn:big'>twice</x></item></items></pubsub><archive xmlns='urn:xmpp:pie:0#mam'>";
    for number in 0..3000 {
        content += &format!(
            "<result xmlns='urn:xmpp:mam:2' id='{number}'><forwarded xmlns='urn:xmpp:forward:0'>\
             <delay xmlns='urn:xmpp:delay' stamp='2026-07-10T23:{:02}:{:02}Z'/><message xmlns='jabber:client' \
             to='juliet@capulet.com' from='romeo@montague.net'><body>{number} {}</body></message></forwarded></result>",
            number / 600,
            number / 10 % 60,
            "y".repeat(300),
        );
    }
    content += "</archive>";
    let (imported, _) = import(&store, &place.file("in.xml", &user(&content))).unwrap();
    assert_eq!(imported.messages, 3000);
    let (text, exported) = export(&store, &Wanted::All);
    assert_eq!((exported.messages, text.matches("<item id='").count()), (3000, 300));
    assert!(!text.contains("twice"));
    let bodies: Vec<usize> =
        text.split("<body>").skip(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(bodies.iter().copied().eq(0..3000), "in their order");
}

#[test]
fn bookmarks_have_one_form_whatever_form_they_come_in() {
    let place = Place::new();
    let store = place.store("store");
    let conference = |jid: &str, name: &str| format!("<conference jid='{jid}' name='{name}' autojoin='1'/>");
    let legacy = |content: &str| format!("<storage xmlns='storage:bookmarks'>{content}</storage>");
    let content = format!(
        "<query xmlns='jabber:iq:private'>{}</query><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
         <items node='storage:bookmarks'><item id='current'>{}</item></items><items node='urn:xmpp:bookmarks:1'>\
         <item id='b@rooms.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='newer'/></item></items></pubsub>",
        legacy(&(conference("a@rooms.lit", "private") + &conference("b@rooms.lit", "older") + "<url url='u'/>")),
        legacy(&(conference("c@rooms.lit", "node") + &conference("a@rooms.lit", "again"))),
    );
    import(&store, &place.file("in.xml", &user(&content))).unwrap();
    let (text, _) = export(&store, &Wanted::All);
    let names: Vec<&str> =
        text.split("<conference ").skip(1).filter_map(|rest| rest.split("name='").nth(1)?.split('\'').next()).collect();
    assert_eq!(names, ["newer", "private", "node"], "{text}");
    assert!(text.contains("<storage xmlns='storage:bookmarks'><url url='u'/></storage>"), "{text}");
    assert_eq!(text.matches("<items node='storage:bookmarks'>").count(), 1, "{text}");
}

#[test]
fn bookmarks_are_not_shown_to_contacts_by_a_server_that_knew_nothing_of_them() {
    let place = Place::new();
    let store = place.store("store");
    let content = "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='urn:xmpp:bookmarks:1'>\
        <x xmlns='jabber:x:data' type='form'><field var='pubsub#access_model'><value>presence</value></field>\
        <field var='pubsub#max_items'><value>1</value></field></x></configure></pubsub>\
        <query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference jid='a@rooms.lit'/>\
        <url url='u'/></storage></query>\
        <pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'><item id='current'>\
        <storage xmlns='storage:bookmarks'><conference jid='b@rooms.lit'/><url url='u'/><url url='v'/></storage>\
        </item></items></pubsub>";
    import(&store, &place.file("in.xml", &user(content))).unwrap();
    let (text, _) = export(&store, &Wanted::All);
    let node = text.split("<configure node='urn:xmpp:bookmarks:1'>").nth(1).unwrap();
    let value = |field: &str| {
        let field = node.split(&format!("var='pubsub#{field}'")).nth(1).unwrap();
        field.split("<value>").nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    assert_eq!((value("access_model"), value("max_items")), ("whitelist".into(), "max".into()));
    assert_eq!(text.matches("<conference ").count(), 2, "{text}");
    let others = "<storage xmlns='storage:bookmarks'><url url='u'/><url url='v'/></storage>";
    assert_eq!(text.matches("<url ").count(), 2 * text.matches(others).count(), "{text}");
}

#[test]
fn who_is_banned_by_ejabberd_stays_so_and_a_password_makes_all_keys() {
    let place = Place::new();
    let store = place.store("store");
    let keys = "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'>\
        <iter-count>4096</iter-count><salt>AAECAwQFBgc=</salt><server-key>0pXWGK0GZJ6TR73AIUN3ITYtA1g=</server-key>\
        <stored-key>Q6qT/SbybblGCZz8e8eSfCJOQic=</stored-key></scram-credentials>";
    let ban = "<query xmlns='jabber:iq:private'><banned xmlns='jabber:ejabberd:banned'><reason>spam</reason>\
        <bandate>2026-01-01T00:00:00Z</bandate><hash>x</hash></banned></query>";
    let text = user(&format!("{keys}{ban}")).replace("<user ", "<user password='secret' ");
    import(&store, &place.file("in.xml", &text)).unwrap();
    let juliet = owner("juliet@capulet.com");
    let account = |store: &Store| {
        accounts::decode(&juliet, store.read_blocking(&accounts::get(&juliet))).unwrap().unwrap().account().clone()
    };
    let found = account(&store);
    let disabled = found.disabled.as_ref().unwrap();
    assert_eq!((disabled.since, &*disabled.reason, disabled.until), (1_767_225_600, "spam", None));
    assert_eq!(found.keys.len(), 3, "{found:?}");
    assert_eq!(found.keys.iter().filter(|keys| keys.iterations == 4096 && keys.salt.len() == 8).count(), 1);
    assert!(!export(&store, &Wanted::All).0.contains("jabber:ejabberd:banned"));
    // What somebody brings is not what was decided.
    let store = place.store("other");
    let mut import = Import::new(&store, Some("juliet@capulet.com".into()), 4096, NOW_US);
    Pie::new(&mut |piece| import.take(piece)).read(&place.file("in.xml", &text)).unwrap();
    import.finish().unwrap();
    assert_eq!(account(&store).disabled, None);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_there() {
    let place = Place::new();
    let store = place.store("store");
    import(&store, &place.file("in.xml", &user(WHOLE))).unwrap();
    let juliet = owner("juliet@capulet.com");
    let request = rondel_storage::WriteRequest::new(juliet).put(rondel_storage::Family::Roster, b"x@y", vec![99]);
    assert_eq!(store.write_blocking(request), Outcome::Written);
    let (text, exported) = export(&store, &Wanted::All);
    assert!(exported.missing.len() == 1 && exported.missing[0].contains("x@y"), "{:?}", exported.missing);
    assert!(text.contains("Romeo &amp; all") && text.contains("Call me but love"));
}

#[test]
fn keys_are_read_as_ejabberd_writes_them() {
    let place = Place::new();
    let store = place.store("store");
    let keys = sasl::new_keys("secret", 4096).into_iter().find(|keys| keys.hash == sasl::Hash::Sha256).unwrap();
    let twice = |bytes: &[u8]| BASE64.encode(BASE64.encode(bytes));
    let [stored_key, server_key, salt] = [&keys.stored_key, &keys.server_key, &keys.salt].map(|part| twice(part));
    let text = format!(
        "<server-data xmlns='urn:xmpp:pie:0'><host jid='x.example'>\
         <user name='a'><scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-256'>\
         <iter-count>4096</iter-count><salt>{salt}</salt><server-key>{server_key}</server-key>\
         <stored-key>{stored_key}</stored-key></scram-credentials></user>\
         <user name='b' password='scram:sha256,{stored_key},{server_key},{salt},4096'/>\
         <user name='c' password='scram:a,b'/></host></server-data>"
    );
    let (imported, _) = import(&store, &place.file("in.xml", &text)).unwrap();
    assert_eq!((imported.accounts, imported.without_password.number), (3, 0));
    for (jid, password) in [("a@x.example", "secret"), ("b@x.example", "secret"), ("c@x.example", "scram:a,b")] {
        let stored = accounts::decode(&owner(jid), store.read_blocking(&accounts::get(&owner(jid))));
        let keys = crate::credentials::from_store(&stored.unwrap().unwrap().account().keys[0]);
        assert!(sasl::verify(password, &keys), "{jid}");
    }
}

#[test]
fn ids_of_an_archive_that_is_left_behind_are_left_behind() {
    let place = Place::new();
    let store = place.store("store");
    let content = "<offline-messages><message xmlns='jabber:client' from='romeo@montague.net' to='juliet@capulet.com'>\
        <archived by='juliet@capulet.com' id='1' xmlns='urn:xmpp:mam:tmp'/>\
        <stanza-id by='juliet@capulet.com' id='1' xmlns='urn:xmpp:sid:0'/>\
        <stanza-id by='room@rooms.lit' id='2' xmlns='urn:xmpp:sid:0'/><body>hi</body></message></offline-messages>";
    import(&store, &place.file("in.xml", &user(content))).unwrap();
    let (text, _) = export(&store, &Wanted::All);
    assert!(text.contains("<body>hi</body>") && !text.contains("by='juliet@capulet.com'"), "{text}");
    assert!(text.contains("by='room@rooms.lit'"), "{text}");
}

/// What comes of these children of a user: the vCard, if there is one, and who sees the avatar, if there is one.
fn card_of(content: &str) -> (Option<String>, Option<AccessModel>) {
    let place = Place::new();
    let store = place.store("store");
    import(&store, &place.file("in.xml", &user(content))).unwrap();
    let (text, _) = export(&store, &Wanted::All);
    let card = text.find("<vCard").map(|at| text[at..].lines().next().unwrap().to_owned());
    let juliet = owner("juliet@capulet.com");
    let node = |name: &str| pubsub::decode_node(name, store.read_blocking(&pubsub::node(&juliet, name))).unwrap();
    let nodes = ["urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"].map(node);
    let are_newest = nodes.iter().flatten().all(|stored| stored.node.newest.as_ref().unwrap().id == ABC);
    let access = nodes.map(|stored| Some(stored?.node.config.access));
    (card, access[0].filter(|_| access[0] == access[1] && are_newest))
}

/// `printf abc | sha1sum`
const ABC: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

/// Nodes that these may see, with one item each.
fn published(access: &str, items: &[(&str, &str, &str)]) -> String {
    let nodes = items.iter().map(|(node, ..)| {
        format!(
            "<configure node='{node}'><x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'><value>\
             http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#access_model'><value>\
             {access}</value></field></x></configure>"
        )
    });
    let items =
        items.iter().map(|(node, id, item)| format!("<items node='{node}'><item id='{id}'>{item}</item></items>"));
    format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>{}</pubsub>\
         <pubsub xmlns='http://jabber.org/protocol/pubsub'>{}</pubsub>",
        nodes.collect::<String>(),
        items.collect::<String>()
    )
}

#[test]
fn a_card_that_is_published_becomes_a_vcard_and_a_photo_an_avatar() {
    let card = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Juliet</text></fn></vcard>";
    let data = "<data xmlns='urn:xmpp:avatar:data'>YWJj</data>";
    let metadata =
        format!("<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='3' id='{ABC}' type='image/png'/></metadata>");
    let all = [
        ("urn:xmpp:vcard4", "current", card),
        ("urn:xmpp:avatar:data", ABC, data),
        ("urn:xmpp:avatar:metadata", ABC, &metadata),
    ];
    let photo = "<PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO>";
    let whole = format!("<vCard xmlns='vcard-temp'><FN>Juliet</FN>{photo}</vCard>");
    assert_eq!(card_of(&published("open", &all)), (Some(whole.clone()), Some(AccessModel::Open)));
    assert_eq!(card_of(&published("open", &all[1..])).0, Some(whole.replace("<FN>Juliet</FN>", "")));
    // What not everybody may see does not become what everybody sees.
    assert_eq!(card_of(&published("presence", &all)), (None, Some(AccessModel::Presence)));
    // A vCard is what it is, but for a photo.
    let nurse = |photo: &str| format!("<vCard xmlns='vcard-temp'><FN>Nurse</FN>{photo}</vCard>");
    assert_eq!(card_of(&(nurse("") + &published("open", &all))), (Some(nurse(photo)), Some(AccessModel::Open)));
    let other = nurse("<PHOTO><EXTVAL>x</EXTVAL></PHOTO>");
    assert_eq!(card_of(&(other.clone() + &published("open", &all))), (Some(other), Some(AccessModel::Open)));
    // The other way round.
    assert_eq!(card_of(&nurse(photo)), (Some(nurse(photo)), Some(AccessModel::Open)));
    assert_eq!(card_of(&nurse("")), (Some(nurse("")), None));
}

#[test]
fn what_else_is_in_a_data_directory_of_prosody_is_counted() {
    let place = Place::new();
    let store = place.store("store");
    place.file("data/x%2eorg/accounts/juliet.dat", "return { [\"password\"] = \"secret\"; };");
    place.file("data/x%2eorg/cloud_notify/juliet.dat", "return { };");
    place.file("data/x%2eorg/pep_nick/juliet.list", "");
    (0..30).for_each(|number| drop(place.file(&format!("data/rooms%2ex%2eorg/config/a%2d{number:02}.dat"), "")));
    place.file("data/rooms%2ex%2eorg/config/notes.txt", "");
    let mut import = Import::new(&store, None, 4096, NOW_US);
    let mut take = |piece| import.take(piece);
    let found = super::prosody::Prosody::new(&mut take).read(&place.directory.path().join("data")).unwrap();
    assert_eq!(import.finish().unwrap().accounts, 1);
    assert_eq!((found.rooms.number, found.rooms.first.len(), &*found.rooms.first[1]), (30, 20, "a-01@rooms.x.org"));
    assert_eq!(found.unknown.into_iter().collect::<Vec<_>>(), [("cloud_notify/".to_owned(), 1)]);
}

#[test]
fn who_brings_a_file_does_not_say_what_was_decided() {
    let place = Place::new();
    let store = place.store("store");
    let text = "<server-data xmlns='urn:xmpp:pie:0'><host jid='x.example'>\
        <user name='a' password='secret'><account xmlns='urn:x-rondel:account:0' created='2020-01-01T00:00:00Z' \
        trusted='true'/></user><user name='admin' password='mine'/></host></server-data>";
    let mut import = Import::new(&store, Some("a@x.example".into()), 4096, NOW_US);
    Pie::new(&mut |piece| import.take(piece)).read(&place.file("in.xml", text)).unwrap();
    assert_eq!(import.finish().unwrap().accounts, 1);
    let stored = |jid: &str| accounts::decode(&owner(jid), store.read_blocking(&accounts::get(&owner(jid)))).unwrap();
    let account = stored("a@x.example").unwrap().account().clone();
    assert!(account.created >= NOW_US / 1_000_000 && !account.flags.has(AccountFlags::TRUSTED));
    assert!(stored("admin@x.example").is_none());
}

#[test]
fn keys_that_would_keep_the_server_busy_are_none() {
    let keys = |iterations, salt: usize| {
        pieces::checked(crate::sasl::ScramKeys {
            hash: crate::sasl::Hash::Sha256,
            salt: vec![1; salt],
            iterations,
            stored_key: vec![2; 32],
            server_key: vec![3; 32],
        })
    };
    assert!(keys(1, 1).is_some() && keys(1_000_000, 64).is_some());
    assert!([keys(0, 16), keys(1_000_001, 16), keys(4096, 0), keys(4096, 65)].iter().all(Option::is_none));
}
