//! Dumps as ejabberd 23.01 writes them, and what is told of them.

use std::path::PathBuf;

use rondel_storage::preferences::ArchiveDefault;
use rondel_storage::pubsub::{AccessModel, MaxItems};
use rondel_storage::roster::Subscription;

use super::*;
use crate::sasl::Hash;
use crate::transfer::Archived;

const TABLES: &str = "{tables,[{passwd,[{record_name,passwd},{attributes,[us,password]}]},
         {last_activity,[{record_name,last_activity},
                         {attributes,[us,timestamp,status]}]},
         {vcard,[{record_name,vcard},{attributes,[us,vcard]}]},
         {vcard_search,[{record_name,vcard_search},{attributes,[us,user]}]},
         {motd,[{record_name,motd},{attributes,[server,packet]}]},
         {privacy,[{record_name,privacy},{attributes,[us,default,lists]}]},
         {private_storage,[{record_name,private_storage},
                           {attributes,[usns,xml]}]},
         {muc_room,[{record_name,muc_room},{attributes,[name_host,opts]}]},
         {roster,[{record_name,roster},
                  {attributes,[usj,us,jid,name,subscription,ask,groups,
                               askmessage,xs]}]},
         {pubsub_item,[{record_name,pubsub_item},
                       {attributes,[itemid,nodeidx,creation,modification,
                                    payload]}]},
         {pubsub_state,[{record_name,pubsub_state},
                        {attributes,[stateid,nodeidx,items,affiliation,
                                     subscriptions]}]},
         {pubsub_node,[{record_name,pubsub_node},
                       {attributes,[nodeid,id,parents,type,owners,options]}]},
         {offline_msg,[{record_name,offline_msg},
                       {attributes,[us,timestamp,expire,from,to,packet]}]},
         {archive_prefs,[{record_name,archive_prefs},
                         {attributes,[us,default,always,never]}]},
         {archive_msg,[{record_name,archive_msg},
                       {attributes,[us,id,timestamp,peer,bare_peer,packet,
                                    nick,type]}]}]}.\n";

const NOW_US: u64 = 1_795_776_605_000_000;

const JULIET: &str = "{<<\"juliet\">>,<<\"localhost\">>}";
const JULIET_ALONE: &str = "{<<\"juliet\">>,<<\"localhost\">>,<<>>}";

/// Reads a dump with these records. What it has told, and what was found beside.
fn read(records: &str) -> (Vec<Piece>, Found) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dump.txt");
    std::fs::write(&path, format!("{TABLES}{records}")).unwrap();
    assert!(is_dump(&path));
    let mut told = Vec::new();
    let found = Ejabberd::new(
        &mut |piece| {
            told.push(piece);
            Ok(())
        },
        NOW_US,
    )
    .read(&path)
    .unwrap();
    (told, found)
}

/// What is told of juliet, whose password is known, with these records.
fn of_juliet(records: &str) -> Vec<Piece> {
    let (told, found) = read(&format!("{records}{{passwd,{JULIET},<<\"secret\">>}}.\n"));
    assert_eq!(found, Found::default());
    let begin = Piece::Begin { local: "juliet".into(), domain: "localhost".into() };
    assert_eq!(told[..2], [begin, Piece::Password("secret".into())]);
    assert_eq!(told.last(), Some(&Piece::End));
    told[2..told.len() - 1].to_vec()
}

fn xml(element: &crate::xml::Element) -> String {
    let mut out = Vec::new();
    element.write_to(&mut out, "jabber:client");
    String::from_utf8(out).unwrap()
}

#[test]
fn passwords_come_as_they_are_or_as_what_proves_them() {
    // Twenty bytes, and eight of salt.
    let key = "AAECAwQFBgcICQoLDA0ODxAREhM=";
    for (name, hash) in [("", Hash::Sha1), ("sha,", Hash::Sha1)] {
        let scram = format!("{{scram,<<\"{key}\">>,<<\"{key}\">>,<<\"AAECAwQFBgc=\">>,{name}4096}}");
        // Newer ones have the hash in the key of the record, too, and a record for each.
        for us in [JULIET, "{<<\"juliet\">>,<<\"localhost\">>,sha}"] {
            let (told, found) = read(&format!("{{passwd,{us},\n    {scram}}}.\n"));
            assert_eq!(found, Found::default());
            let Piece::Keys(keys) = &told[1] else { panic!("{told:?}") };
            assert_eq!((keys.hash, keys.iterations, keys.salt.len()), (hash, 4096, 8));
            assert_eq!(keys.stored_key, (0..20).collect::<Vec<u8>>());
        }
    }
    let (told, found) = read(&format!("{{passwd,{JULIET},{{scram,<<\"x\">>,<<\"y\">>,<<>>,md5,1}}}}.\n"));
    assert_eq!((told.len(), found.unreadable.len()), (2, 1), "{found:?}");
    assert!(found.unreadable[0].contains("passwd of juliet@localhost at byte"), "{found:?}");
}

#[test]
fn contacts_are_those_who_are_listed_and_those_who_ask() {
    let contact = |jid: &str, rest: &str| {
        let jid = format!("{{<<\"{jid}\">>,<<\"localhost\">>,<<>>}}");
        format!("{{roster,{{<<\"juliet\">>,<<\"localhost\">>,{jid}}},\n        {JULIET},{jid},{rest},[]}}.\n")
    };
    let told = of_juliet(
        &[
            contact("romeo", "<<\"Romeo & all\">>,both,none,[<<\"Montagues\">>],<<>>"),
            contact("mercutio", "<<>>,none,in,[],<<\"Hi <\">>"),
            contact("nurse", "<<>>,to,both,[],<<>>"),
            contact("romeo", "<<>>,none,none,[],<<>>").replace("<<>>}", "<<\"registered\">>}"),
        ]
        .concat(),
    );
    let found: Vec<String> = told
        .iter()
        .map(|piece| match piece {
            Piece::Contact { jid, item } => {
                format!("{jid} {:?} {} {} {:?}", item.subscription, item.ask, item.name, item.groups)
            }
            Piece::SubscriptionRequest { stanza, .. } => String::from_utf8(stanza.clone()).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    let asks = "to='juliet@localhost' type='subscribe'";
    assert_eq!(
        found,
        [
            format!("romeo@localhost {:?} false  []", Subscription::None),
            format!("romeo@localhost {:?} false Romeo & all [\"Montagues\"]", Subscription::Both),
            format!("<presence from='mercutio@localhost' {asks}><status>Hi &lt;</status></presence>"),
            format!("nurse@localhost {:?} true  []", Subscription::To),
            format!("<presence from='nurse@localhost' {asks}/>"),
        ]
    );
}

#[test]
fn what_is_denied_by_the_default_list_is_blocked() {
    let item = |user: &str, action: &str, flags: &str| {
        format!("{{listitem,jid,{{<<\"{user}\">>,<<\"localhost\">>,<<>>}},{action},0,{flags}}}")
    };
    let items = [
        item("nurse", "deny", "true,false,false,false,false"),
        item("tybalt", "deny", "false,false,true,false,false"),
        item("romeo", "allow", "true,false,false,false,false"),
        item("paris", "deny", "false,false,false,true,false"),
        item("romeo", "deny", "true,false,false,false,false"),
        "{listitem,jid,{<<>>,<<\"localhost\">>,<<>>},deny,1,true,false,false,false,false}".to_owned(),
        "{listitem,jid,{<<>>,<<\"other\">>,<<>>},deny,10,true,false,false,false,false}".to_owned(),
        "{listitem,none,none,allow,9,true,false,false,false,false}".to_owned(),
    ];
    let lists = format!("[{{<<\"other\">>,[{}]}},\n {{<<\"mine\">>,[{}]}}]", items[0], items.join(","));
    let told = of_juliet(&format!("{{privacy,{JULIET},<<\"mine\">>,{lists}}}.\n"));
    assert_eq!(told, ["nurse@localhost", "tybalt@localhost"].map(|jid| Piece::Block(jid.into())));
    assert_eq!(of_juliet(&format!("{{privacy,{JULIET},none,{lists}}}.\n")), []);
}

#[test]
fn nodes_come_before_their_items_in_whatever_order_they_stand() {
    let item = |id: &str, node: u32, micro: u32, payload: &str| {
        let by = format!("{{{{1795,776604,{micro}}},{{<<\"juliet\">>,<<\"localhost\">>,<<\"balcony\">>}}}}");
        format!("{{pubsub_item,{{<<\"{id}\">>,{node}}},\n  {node},{by},\n {by},[{payload}]}}.\n")
    };
    let payload = "{xmlel,<<\"conference\">>,[{<<\"xmlns\">>,<<\"urn:xmpp:bookmarks:1\">>},{<<\"name\">>,<<\"A'\">>}],\
                   [{xmlel,<<\"nick\">>,[],[{xmlcdata,<<\"J & J\">>}]}]}";
    let node = |name: &str, number: u32, options: &str| {
        format!(
            "{{pubsub_node,{{{JULIET_ALONE},<<\"{name}\">>}},{number},[],<<\"pep\">>,[{JULIET_ALONE}],[{options}]}}.\n"
        )
    };
    let state = |user: &str, number: u32, rest: &str| {
        format!("{{pubsub_state,{{{{<<\"{user}\">>,<<\"localhost\">>,<<>>}},{number}}},{number},[],{rest}}}.\n")
    };
    let records = [
        item("b", 2, 9, payload),
        item("c", 1, 3, ""),
        item("a", 2, 7, payload),
        state("juliet", 2, "owner,[]"),
        state("romeo", 2, "publish_only,[{pending,<<\"5F\">>}]"),
        node("urn:x", 1, "{access_model,roster},{max_items,100000},{roster_groups_allowed,[<<\"b\">>,<<\"a\">>]}"),
        node("urn:xmpp:bookmarks:1", 2, "{access_model,whitelist},{max_items,8},{persist_items,true}"),
    ];
    let told = of_juliet(&records.concat());
    let config = |piece: &Piece| match piece {
        Piece::Node { name, config: Some(config), .. } => {
            (name.clone(), config.access, config.max_items, config.groups.clone())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(config(&told[0]), ("urn:x".into(), AccessModel::Roster, MaxItems::Max, vec!["a".into(), "b".into()]));
    assert_eq!(config(&told[1]), ("urn:xmpp:bookmarks:1".into(), AccessModel::Whitelist, MaxItems::Count(8), vec![]));
    let people = |piece: &Piece| match piece {
        Piece::Node { config: None, people, .. } => (people.affiliations.len(), people.subscriptions.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!((people(&told[2]), people(&told[3])), ((0, 0), (1, 1)));
    let items: Vec<String> = told[4..]
        .iter()
        .map(|piece| match piece {
            Piece::Item { node, id, payload, publisher, at_us } => {
                let payload = payload.as_ref().map(xml);
                format!("{node} {id} {payload:?} {publisher:?} {at_us:?}")
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let by = "Some(\"juliet@localhost\") Some(179577660400000";
    let payload =
        "Some(\"<conference xmlns='urn:xmpp:bookmarks:1' name='A&#39;'><nick>J &amp; J</nick></conference>\")";
    assert_eq!(
        items,
        [
            format!("urn:x c None {by}3)"),
            format!("urn:xmpp:bookmarks:1 a {payload} {by}7)"),
            format!("urn:xmpp:bookmarks:1 b {payload} {by}9)"),
        ]
    );
}

#[test]
fn messages_come_in_the_order_of_their_times() {
    let packet = |ends: &str, body: &str| {
        format!(
            "{{xmlel,<<\"message\">>,\n [{ends}{{<<\"type\">>,<<\"chat\">>}},{{<<\"xml:lang\">>,<<\"en\">>}},\
             {{<<\"xmlns\">>,<<\"jabber:client\">>}}],\n \
             [{{xmlel,<<\"delay\">>,[{{<<\"xmlns\">>,<<\"urn:xmpp:delay\">>}},\
             {{<<\"stamp\">>,<<\"2026-01-01T00:00:00Z\">>}}],[]}},{{xmlel,<<\"body\">>,[],[{{xmlcdata,{body}}}]}}]}}"
        )
    };
    let romeo = "{<<\"romeo\">>,<<\"localhost\">>,<<\"orchard\">>}";
    let archived = |micro: u32, body: &str| {
        let ends = "{<<\"to\">>,<<\"juliet@localhost\">>},{<<\"from\">>,<<\"romeo@localhost/orchard\">>},";
        let packet = packet(ends, body);
        format!("{{archive_msg,{JULIET},<<\"1\">>,{{1795,776604,{micro}}},{romeo},{romeo},{packet},<<>>,chat}}.\n")
    };
    let jid = |name: &str| {
        let parts = format!("<<\"{name}\">>,<<\"localhost\">>,<<>>");
        format!("{{jid,{parts},{parts}}}")
    };
    let waiting = format!(
        "{{offline_msg,{JULIET},{{1795,776604,5}},never,{},{},{}}}.\n",
        jid("romeo"),
        jid("juliet"),
        packet("", "<<230,151,165>>")
    );
    let expired = waiting.replace("never", "{1795,776605,0}");
    assert_eq!(of_juliet(&expired), []);
    let told = of_juliet(&[archived(9, "<<\"second\">>"), waiting, archived(7, "<<\"first\">>")].concat());
    let Piece::Offline { arrived_s, stanza } = &told[0] else { panic!("{told:?}") };
    let expected =
        "<message type='chat' xml:lang='en' from='romeo@localhost' to='juliet@localhost'><body>日</body></message>";
    let stanza = String::from_utf8(stanza.clone()).unwrap();
    let attributes = |xml: &str| {
        let start = xml.split_once('>').unwrap().0;
        let mut attributes: Vec<String> = start.split(' ').map(str::to_owned).collect();
        attributes.sort();
        attributes
    };
    assert_eq!(*arrived_s, 1_795_776_604);
    assert_eq!(attributes(&stanza), attributes(expected));
    assert!(stanza.ends_with("><body>日</body></message>"), "{stanza}");
    let bodies: Vec<(u64, String)> = told[1..]
        .iter()
        .map(|piece| match piece {
            Piece::Archived(Archived { at_us, from, to, stanza, .. }) => {
                let ends = (from.as_deref(), to.as_deref());
                assert_eq!(ends, (Some("romeo@localhost"), Some("juliet@localhost")));
                (*at_us, String::from_utf8(stanza.clone()).unwrap())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((bodies[0].0, bodies[1].0), (1_795_776_604_000_007, 1_795_776_604_000_009));
    assert!(bodies[0].1.contains("<body>first</body>") && bodies[0].1.contains("stamp="), "{bodies:?}");
}

#[test]
fn the_rest_of_an_account_comes_too() {
    let records = format!(
        "{{last_activity,{JULIET},\n 1795776368,<<\"gone\">>}}.\n\
         {{vcard_search,{JULIET},{JULIET}}}.\n\
         {{vcard,{JULIET},\n {{xmlel,<<\"vCard\">>,[{{<<\"xmlns\">>,<<\"vcard-temp\">>}}],[]}}}}.\n\
         {{private_storage,{{<<\"juliet\">>,<<\"localhost\">>,<<\"a:b\">>}},{{xmlel,<<\"x\">>,\
         [{{<<\"xmlns\">>,<<\"a:b\">>}}],[]}}}}.\n\
         {{archive_prefs,{JULIET},roster,[{JULIET_ALONE}],[]}}.\n"
    );
    let told = of_juliet(&records);
    assert!(matches!(&told[0], Piece::Private(element) if xml(element) == "<x xmlns='a:b'/>"), "{told:?}");
    assert!(matches!(&told[1], Piece::Vcard(element) if element.name == "vCard"), "{told:?}");
    let Piece::ArchivePreferences(preferences) = &told[2] else { panic!("{told:?}") };
    assert_eq!(
        (preferences.default, &*preferences.always),
        (ArchiveDefault::Roster, &["juliet@localhost".to_owned()][..])
    );
    assert!(matches!(&told[3], Piece::LastActivity(last) if (last.at, &*last.status) == (1_795_776_368, "gone")));
}

#[test]
fn what_is_left_out_is_told() {
    let records = "{muc_room,{<<\"orchard\">>,<<\"conference.localhost\">>},[{a,#{b => c}}]}.\n\
                   {motd,<<\"localhost\">>,{xmlel,<<\"m\">>,[],[]}}.\n\
                   {last_activity,{<<\"nobody\">>,<<\"localhost\">>},1,<<>>}.\n\
                   {pubsub_node,{<<\"pubsub.localhost\">>,<<\"n\">>},7,[],<<\"flat\">>,[],[]}.\n\
                   {pubsub_item,{<<\"i\">>,7},7,{unknown,unknown},{unknown,unknown},[]}.\n\
                   {vcard,{oops},1}.\n{stray,1}.\n{passwd,{<<\"juliet\">>,<<\"localhost\">>,<<\"a\">>.\n";
    let (told, found) = read(records);
    assert_eq!(told, []);
    assert_eq!((found.rooms.number, &*found.rooms.first), (1, &["orchard@conference.localhost".to_owned()][..]));
    let unknown: Vec<(&str, u64)> = found.unknown.iter().map(|(name, number)| (&**name, *number)).collect();
    let expected = ["last_activity of no account", "motd", "pubsub_item of no account", "pubsub_node of a service"];
    assert_eq!(unknown, expected.map(|name| (name, 1)));
    let line = TABLES.lines().count() + 7;
    let places: Vec<&str> = found.unreadable.iter().map(|text| text.split_once("dump.txt:").unwrap().1).collect();
    assert_eq!(
        places[..2],
        [format!("{}: a record of vcard is not as they are", line - 1), format!("{line}: it is in no table")]
    );
    assert!(places[2].starts_with(&format!("{}: ", line + 1)), "{places:?}");
}

#[test]
fn what_is_no_dump_or_ends_too_early_is_told_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("dump.txt");
    for (text, expected) in [
        ("{tables,[]}.\n", "dump.txt:1: it names no tables"),
        ("{tables,[}.\n", "dump.txt:1: a term is expected"),
        (&*format!("{TABLES}{{passwd,\n {{"), "it ends in the middle of a term"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Ejabberd::new(&mut |_| Ok(()), NOW_US).read(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(!is_dump(directory.path()) && !is_dump(&directory.path().join("none")));
    std::fs::write(&path, format!("{TABLES}{{passwd,{JULIET},<<\"secret\">>}}.\n")).unwrap();
    let error = Ejabberd::new(&mut |_| Err("enough".into()), NOW_US).read(&path).unwrap_err();
    assert_eq!(error.to_string(), "enough");
}
