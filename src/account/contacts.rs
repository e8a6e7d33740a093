//! The contacts of an account in memory: who they are and what is between them and the account, which is all that
//! routing needs of a roster. Names, groups and the text of requests stay on disk.
//!
//! A sorted table in one allocation, five bytes a contact beside its JID, since every account with a session has one.

use rondel_storage::roster::{Roster, StoredItem};

use super::subscription::{Grant, State};

/// Bytes of an entry's place in the table.
const PLACE_BYTES: usize = size_of::<u32>();

/// The contacts of an account, in the order of their bare JIDs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contacts {
    /// Where each entry ends, little endian, counted from the end of these places; then the entries, each of them a
    /// byte for the state and the JID.
    table: Box<[u8]>,
    count: u32,
    version: u64,
}

/// A contact.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Contact<'a> {
    /// Its bare JID.
    pub jid: &'a str,
    /// What is between it and the account.
    pub state: State,
}

impl Contacts {
    /// The contacts of a roster as it was read.
    pub fn of(roster: &Roster) -> Contacts {
        let contact = |stored| Contact { jid: StoredItem::contact(stored), state: State::of(stored.item()) };
        let mut all: Vec<_> = roster.items().iter().map(contact).collect();
        all.sort_unstable_by_key(|contact| contact.jid);
        Contacts { version: roster.version(), ..Contacts::built(all.iter().copied()) }
    }

    /// From contacts in order.
    fn built<'a>(contacts: impl Iterator<Item = Contact<'a>> + Clone) -> Contacts {
        let count = contacts.clone().count();
        let bytes: usize = contacts.clone().map(|contact| contact.jid.len() + 1).sum();
        let mut table = Vec::with_capacity(count * PLACE_BYTES + bytes);
        let mut end = 0;
        for contact in contacts.clone() {
            // Far from four gigabytes: contacts are limited in number, and JIDs in length.
            end += contact.jid.len() as u32 + 1;
            table.extend_from_slice(&end.to_le_bytes());
        }
        for contact in contacts {
            table.push(packed(contact.state));
            table.extend_from_slice(contact.jid.as_bytes());
        }
        Contacts { table: table.into_boxed_slice(), count: count as u32, version: 0 }
    }

    /// The roster's version, in microseconds since 1970; 0 if it has never had a contact.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version that the next change of the roster makes: the time, so that no version comes twice even if an older
    /// state of the store is restored, and greater than all before it.
    pub fn next_version(&self, now_micros: u64) -> u64 {
        now_micros.max(self.version.saturating_add(1))
    }

    /// How many there are, those who only ask included.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What is between the account and somebody, who may be a stranger.
    pub fn state(&self, bare_jid: &str) -> State {
        self.find(bare_jid).ok().and_then(|index| self.contact(index)).map_or(State::default(), |found| found.state)
    }

    /// All contacts, those who only ask included.
    pub fn iter(&self) -> impl Iterator<Item = Contact<'_>> + Clone {
        (0..self.len()).filter_map(|index| self.contact(index))
    }

    /// The bare JIDs of those who get the account's presence (RFC 6121 §4.2.2): `from` and `both`.
    pub fn subscribers(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|contact| contact.state.from == Grant::Granted).map(|contact| contact.jid)
    }

    /// The bare JIDs of those whose presence the account gets, and who are probed for it (RFC 6121 §4.3.1): `to` and
    /// `both`.
    pub fn subscriptions(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|contact| contact.state.to == Grant::Granted).map(|contact| contact.jid)
    }

    /// The bare JIDs of those who wait for an answer to their request (RFC 6121 §3.1.3).
    pub fn requests(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|contact| contact.state.from == Grant::Requested).map(|contact| contact.jid)
    }

    /// How many contacts clients see.
    pub fn listed(&self) -> usize {
        self.iter().filter(|contact| contact.state.listed).count()
    }

    /// Takes a change over that has been written: what is between the account and somebody now, and the roster's
    /// version since then.
    pub(super) fn set(&mut self, bare_jid: &str, state: State, version: u64) {
        let version = version.max(self.version);
        let is_other = |contact: &Contact<'_>| contact.jid != bare_jid;
        let at = self.find(bare_jid).unwrap_or_else(|at| at);
        let changed = (state != State::default()).then_some(Contact { jid: bare_jid, state });
        let before = self.iter().take(at);
        let after = self.iter().skip(at).filter(is_other);
        *self = Contacts { version, ..Contacts::built(before.chain(changed).chain(after)) };
    }

    /// Bytes of memory that they take.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Contacts>() + self.table.len()
    }

    /// The index of a contact, or where it would be.
    fn find(&self, bare_jid: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entry(middle).map_or(&[][..], |(_, jid)| jid).cmp(bare_jid.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    fn contact(&self, index: usize) -> Option<Contact<'_>> {
        let (state, jid) = self.entry(index)?;
        Some(Contact { jid: std::str::from_utf8(jid).ok()?, state: unpacked(state) })
    }

    fn entry(&self, index: usize) -> Option<(u8, &[u8])> {
        let (places, entries) = self.table.split_at_checked(self.len() * PLACE_BYTES)?;
        let end = |index: usize| {
            let place = places.get(index * PLACE_BYTES..)?.first_chunk()?;
            Some(u32::from_le_bytes(*place) as usize)
        };
        let start = match index.checked_sub(1) {
            Some(before) => end(before)?,
            None => 0,
        };
        let (state, jid) = entries.get(start..end(index)?)?.split_first()?;
        Some((*state, jid))
    }
}

const APPROVED: u8 = 1 << 4;
const LISTED: u8 = 1 << 5;

fn packed(state: State) -> u8 {
    let grant = |grant: Grant| match grant {
        Grant::Absent => 0,
        Grant::Requested => 1,
        Grant::Granted => 2,
    };
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    grant(state.to) | grant(state.from) << 2 | flag(state.approved, APPROVED) | flag(state.listed, LISTED)
}

fn unpacked(byte: u8) -> State {
    let grant = |bits: u8| match bits & 3 {
        0 => Grant::Absent,
        1 => Grant::Requested,
        _ => Grant::Granted,
    };
    State { to: grant(byte), from: grant(byte >> 2), approved: byte & APPROVED != 0, listed: byte & LISTED != 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    fn grant() -> impl Strategy<Value = Grant> {
        prop::sample::select(vec![Grant::Absent, Grant::Requested, Grant::Granted])
    }

    prop_compose! {
        fn state()(to in grant(), from in grant(), approved: bool, listed: bool) -> State {
            State { to, from, approved, listed }
        }
    }

    /// Few JIDs, some the beginning of another, so that changes meet.
    fn jid() -> impl Strategy<Value = String> {
        "[ab]{0,2}@[ä-å]{0,1}b"
    }

    proptest! {
        #[test]
        fn the_table_is_a_sorted_map(
            changes in prop::collection::vec((jid(), state(), any::<u32>()), 0..60),
            stranger in jid(),
        ) {
            let mut contacts = Contacts::default();
            let mut model = BTreeMap::new();
            let mut version = 0;
            for (jid, state, at) in changes {
                contacts.set(&jid, state, u64::from(at));
                version = version.max(u64::from(at));
                if state == State::default() { model.remove(&jid) } else { model.insert(jid, state) };
                let all: Vec<_> = contacts.iter().map(|contact| (contact.jid.to_owned(), contact.state)).collect();
                prop_assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
                prop_assert_eq!((contacts.len(), contacts.is_empty()), (model.len(), model.is_empty()));
            }
            prop_assert_eq!(contacts.version(), version);
            for jid in model.keys().chain([&stranger]) {
                prop_assert_eq!(contacts.state(jid), model.get(jid).copied().unwrap_or_default());
            }
            let of = |pick: fn(&State) -> bool| -> Vec<String> {
                model.iter().filter(|(_, state)| pick(state)).map(|(jid, _)| jid.clone()).collect()
            };
            prop_assert!(contacts.subscribers().eq(of(|state| state.from == Grant::Granted)));
            prop_assert!(contacts.subscriptions().eq(of(|state| state.to == Grant::Granted)));
            prop_assert!(contacts.requests().eq(of(|state| state.from == Grant::Requested)));
            prop_assert_eq!(contacts.listed(), of(|state| state.listed).len());
        }
    }

    #[test]
    fn fifty_contacts_take_less_than_1_6_kibibytes() {
        let mut contacts = Contacts::default();
        for index in 0..50 {
            let jid = format!("contact-{index:05}@example.com");
            assert_eq!(jid.len(), 25);
            let state = State { to: Grant::Granted, from: Grant::Granted, approved: true, listed: true };
            contacts.set(&jid, state, index);
        }
        assert_eq!(contacts.len(), 50);
        // A box has no more than what it holds: its length is its capacity.
        assert!(contacts.memory_bytes() <= 1638, "{} bytes", contacts.memory_bytes());
    }

    #[test]
    fn versions_rise_whatever_the_clock_says() {
        let mut contacts = Contacts::default();
        assert_eq!(contacts.next_version(1_000), 1_000);
        contacts.set("romeo@example.net", State { listed: true, ..State::default() }, 1_000);
        assert_eq!(contacts.next_version(2_000), 2_000);
        assert_eq!(contacts.next_version(500), 1_001);
    }
}
