//! Roster versioning (RFC 6121 §2.6): whatever a client has missed, it ends with the roster that a new client gets.

use super::*;
use proptest::prelude::*;

/// A client with its copy of the roster.
#[derive(Clone, Debug, Default, PartialEq)]
struct Client {
    items: BTreeMap<String, Element>,
    version: String,
}

impl Client {
    fn push(&mut self, push: &Element) {
        let item = push.children().next().unwrap();
        let jid = item.attribute("jid").unwrap().to_owned();
        match item.attribute("subscription") {
            Some("remove") => drop(self.items.remove(&jid)),
            _ => drop(self.items.insert(jid, item.clone())),
        }
        let version = push.attribute("ver").unwrap();
        assert!(version.len() > self.version.len() || *version > *self.version, "{version} after {}", self.version);
        self.version = version.to_owned();
    }

    /// Logs in, and says how many items it was told.
    fn get(&mut self, home: &Home) -> Option<usize> {
        match home.get(Some(&self.version)) {
            Answer::Whole(query) => {
                let items = query.children().map(|item| (item.attribute("jid").unwrap().to_owned(), item.clone()));
                *self = Client { items: items.collect(), version: query.attribute("ver").unwrap().to_owned() };
                None
            }
            Answer::Changes(pushes) => {
                pushes.iter().for_each(|push| self.push(push));
                Some(pushes.len())
            }
        }
    }
}

fn new_client(home: &Home) -> Client {
    let mut client = Client::default();
    assert_eq!(client.get(home), None, "a client without a roster gets the whole");
    client
}

#[derive(Clone, Debug)]
enum Change {
    Set(u8, u8),
    Remove(u8),
    Sends(SubscriptionType, u8),
    Receives(SubscriptionType, u8),
}

fn change() -> impl Strategy<Value = Change> {
    use SubscriptionType::*;
    let kind = || prop::sample::select(vec![Subscribe, Subscribed, Unsubscribe, Unsubscribed]);
    let contact = || 0..12u8;
    prop_oneof![
        4 => (contact(), any::<u8>()).prop_map(|(contact, name)| Change::Set(contact, name)),
        1 => contact().prop_map(Change::Remove),
        2 => (kind(), contact()).prop_map(|(kind, contact)| Change::Sends(kind, contact)),
        2 => (kind(), contact()).prop_map(|(kind, contact)| Change::Receives(kind, contact)),
    ]
}

fn jid(contact: u8) -> String {
    format!("contact-{contact}@example.net")
}

/// Carries a change out; its push, if it has one.
fn carry_out(home: &mut Home, change: Change) -> Option<Element> {
    home.now_micros += 10;
    match change {
        Change::Set(contact, name) => {
            let (jid, group) = (jid(contact), name % 3);
            Some(home.set(&format!("<item jid='{jid}' name='{name}'><group>{group}</group></item>")).unwrap().0)
        }
        Change::Remove(contact) => {
            let removed = home.set(&format!("<item jid='{}' subscription='remove'/>", jid(contact)));
            removed.ok().map(|(push, _)| push)
        }
        Change::Sends(kind, contact) => home.sends(kind, &jid(contact)).unwrap().1,
        Change::Receives(kind, contact) => home.receives(kind, &jid(contact), "<presence/>").1,
    }
}

fn roomy() -> Home {
    let limits = RosterLimits { contacts_max: 20, requests_max: 20, ..LIMITS };
    Home { limits, ..Home::new() }
}

proptest! {
    #[test]
    fn a_client_of_any_version_ends_with_the_whole_roster(changes in prop::collection::vec(change(), 0..60)) {
        let mut home = roomy();
        let mut online = new_client(&home);
        let mut offline = vec![online.clone()];
        for change in changes {
            if let Some(push) = carry_out(&mut home, change) {
                online.push(&push);
            }
            offline.push(online.clone());
        }
        let whole = new_client(&home);
        prop_assert_eq!(&online, &whole);
        for mut client in offline {
            client.get(&home);
            prop_assert_eq!(&client, &whole);
        }
    }

    /// An older state of the store is restored: clients know versions that the server does not, and must not take them
    /// for some of its own, whatever has happened since.
    #[test]
    fn a_client_from_before_a_restored_backup_ends_with_the_whole_roster(
        before in prop::collection::vec(change(), 0..20),
        lost in prop::collection::vec(change(), 0..20),
        after in prop::collection::vec(change(), 0..20),
    ) {
        let mut home = roomy();
        let mut online = new_client(&home);
        let mut offline = Vec::new();
        let mut backup = None;
        for (index, change) in before.iter().chain(&lost).enumerate() {
            if index == before.len() {
                backup = Some(home.clone());
            }
            if let Some(push) = carry_out(&mut home, change.clone()) {
                online.push(&push);
            }
            offline.push(online.clone());
        }
        let now_micros = home.now_micros;
        let mut home = Home { now_micros, ..backup.unwrap_or(home) };
        for change in after {
            carry_out(&mut home, change);
            let whole = new_client(&home);
            for mut client in offline.clone() {
                client.get(&home);
                prop_assert_eq!(&client, &whole);
            }
        }
    }
}

/// The law above would hold if everybody always got the whole roster.
#[test]
fn who_has_missed_little_gets_little() {
    let mut home = roomy();
    (0..9).for_each(|contact| drop(carry_out(&mut home, Change::Set(contact, 0))));
    let client = new_client(&home);
    assert_eq!(client.clone().get(&home), Some(0));

    carry_out(&mut home, Change::Set(3, 1));
    carry_out(&mut home, Change::Sends(SubscriptionType::Subscribe, 7));
    assert_eq!(client.clone().get(&home), Some(2));
    // What clients do not see is no change (§2.6.3).
    let known = new_client(&home);
    carry_out(&mut home, Change::Receives(SubscriptionType::Subscribe, 11));
    carry_out(&mut home, Change::Receives(SubscriptionType::Subscribe, 5));
    assert_eq!(known.clone().get(&home), Some(0));

    // Many changes cost more than the whole.
    (0..4).for_each(|contact| drop(carry_out(&mut home, Change::Set(contact, 2))));
    assert_eq!(client.clone().get(&home), None);
    assert_eq!(new_client(&home).get(&home), Some(0));

    // A removal leaves nothing behind that could be told.
    let client = new_client(&home);
    carry_out(&mut home, Change::Remove(3));
    assert_eq!(client.clone().get(&home), None);
    let client = new_client(&home);
    carry_out(&mut home, Change::Set(1, 5));
    assert_eq!(client.clone().get(&home), Some(1));
}

/// §2.1.3, §2.1.4, §2.6.2.
#[test]
fn a_get_without_a_version_or_with_a_foreign_one_is_answered_with_the_whole() {
    let mut home = roomy();
    assert_eq!(home.get(None), Answer::Whole(query("").with_attribute("ver", "0")));
    home.set("<item jid='romeo@example.net'/>").unwrap();
    for version in [None, Some(""), Some("ver14"), Some("00f4240"), Some("F4240"), Some("fffff")] {
        let Answer::Whole(whole) = home.get(version) else { panic!("{version:?}") };
        assert_eq!(whole.attribute("ver"), Some("f4240"));
        assert_eq!(item(&whole), "<item jid='romeo@example.net' subscription='none'/>");
    }
    let with_item = query("<item jid='romeo@example.net'/>");
    assert_eq!(get(&home.contacts, &with_item).err(), Some(StanzaCondition::BadRequest));
}
