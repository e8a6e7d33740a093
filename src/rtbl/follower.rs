//! How a list is followed: subscribed to, read as a whole, and kept up with from then on. What cannot be reached keeps
//! its last state, and is tried again.

use hashbrown::HashSet;
use rondel_storage::listed::Hash;

use super::ListAddress;
use super::listed::{Listed, parse};
use crate::xml::{Element, namespaces as ns};

/// Items asked for at once.
const PAGE: usize = 500;

/// Pages of a list at most.
const PAGES_MAX: usize = 1_000;

/// Entries of a list at most. What is beyond is not held against anybody.
const ENTRIES_MAX: usize = 100_000;

/// For how long an answer is waited for, in seconds.
const PATIENCE_S: u64 = 60;

/// Seconds until it is tried again, at first and at most.
const RETRY_S: u64 = 60;
const RETRY_S_MAX: u64 = 3_600;

/// Seconds until a list is read as a whole again, because something may have been missed.
const REREAD_S: u64 = 6 * 3_600;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Say {
    /// The service is asked. Its answer, or that there is none, goes to [`Follower::answered`].
    Ask {
        /// The id of the question.
        id: String,
        /// `get` or `set`.
        kind: &'static str,
        /// What is asked.
        payload: Element,
    },
    /// The list has changed.
    Change {
        /// Who is on it now.
        added: Vec<Hash>,
        /// Who is not any more.
        removed: Vec<Hash>,
    },
    /// All of the list has to be stored anew: what was to be stored of it was not.
    Store,
    /// The whole list was read, which has so many entries.
    Read(usize),
    /// It cannot be followed, for this reason.
    Fails(String),
}

/// What a service has answered.
#[derive(Clone, Debug)]
pub enum Heard {
    /// What was asked for.
    Result(Option<Element>),
    /// An error: its condition.
    Error(String),
}

/// Where a follower is.
#[derive(Debug)]
enum State {
    /// It begins at this time.
    Waits(u64),
    /// It has asked to be told of changes.
    Subscribes,
    /// It reads the list.
    Reads(Reading),
    /// It is told of changes, and reads the list again at this time.
    Follows(u64),
}

/// A list that is being read.
#[derive(Debug, Default)]
struct Reading {
    /// Who was found so far.
    found: HashSet<Hash>,
    /// Who was taken from the list meanwhile.
    gone: HashSet<Hash>,
    /// The last item of the page before, and how many pages there were.
    last: Option<String>,
    pages: usize,
}

/// Follows one list.
#[derive(Debug)]
pub struct Follower {
    /// Which of the lists that are followed it is.
    number: usize,
    /// Who follows: the JID that is subscribed.
    own: String,
    address: ListAddress,
    listed: Listed,
    state: State,
    /// The question that is open, and until when its answer is waited for.
    open: Option<(String, u64)>,
    asked: u64,
    failures: u32,
    /// Whether the store has not all of it.
    is_stale: bool,
}

impl Follower {
    /// Follows a list of which this is known, on behalf of this JID; its number says which one it is of several. The
    /// first [`Follower::tick`] begins.
    pub fn new(number: usize, own: &str, address: ListAddress, listed: Listed) -> Follower {
        Follower {
            number,
            own: own.to_owned(),
            address,
            listed,
            state: State::Waits(0),
            open: None,
            asked: 0,
            failures: 0,
            is_stale: false,
        }
    }

    /// Where the list is published.
    pub fn address(&self) -> &ListAddress {
        &self.address
    }

    /// What is on it.
    pub fn listed(&self) -> &Listed {
        &self.listed
    }

    /// What was to be stored of the list was not.
    pub fn was_not_stored(&mut self) {
        self.is_stale = true;
    }

    /// Time has passed: it is this many seconds after 1970.
    pub fn tick(&mut self, now_s: u64) -> Vec<Say> {
        if std::mem::take(&mut self.is_stale) {
            return vec![Say::Store];
        }
        if self.open.as_ref().is_some_and(|(_, until_s)| now_s >= *until_s) {
            return self.fail("no answer", now_s);
        }
        match self.state {
            State::Waits(at_s) | State::Follows(at_s) if now_s >= at_s => {
                self.state = State::Subscribes;
                let subscribe =
                    element("subscribe").with_attribute("node", &self.address.node).with_attribute("jid", &self.own);
                vec![self.ask("set", element("pubsub").with_child(subscribe), now_s)]
            }
            _ => Vec::new(),
        }
    }

    /// The connection to the service was lost: what has changed meanwhile is not known.
    pub fn lost(&mut self) {
        (self.open, self.state) = (None, State::Waits(0));
    }

    /// The service has answered a question.
    pub fn answered(&mut self, id: &str, heard: Heard, now_s: u64) -> Vec<Say> {
        if self.open.as_ref().is_none_or(|(open, _)| open != id) {
            return Vec::new();
        }
        self.open = None;
        match (heard, &self.state) {
            (Heard::Error(condition), _) => self.fail(&condition, now_s),
            (Heard::Result(_), State::Subscribes) => self.read(now_s),
            (Heard::Result(payload), State::Reads(_)) => self.page(payload.as_ref(), now_s),
            (Heard::Result(_), State::Waits(_) | State::Follows(_)) => Vec::new(),
        }
    }

    /// Begins to read the list.
    fn read(&mut self, now_s: u64) -> Vec<Say> {
        self.state = State::Reads(Reading::default());
        vec![self.ask_for_items(None, now_s)]
    }

    /// A page of the list has come.
    fn page(&mut self, payload: Option<&Element>, now_s: u64) -> Vec<Say> {
        let items = payload.and_then(|pubsub| pubsub.child("items", ns::PUBSUB));
        let Some(items) = items.filter(|items| items.attribute("node") == Some(&self.address.node)) else {
            return self.fail("the answer has no items", now_s);
        };
        let State::Reads(reading) = &mut self.state else { return Vec::new() };
        let room = ENTRIES_MAX.saturating_sub(reading.found.len());
        let ids = items.children().filter_map(|item| item.attribute("id"));
        reading.found.extend(ids.filter_map(parse).take(room));
        reading.pages += 1;
        let set = payload.and_then(|pubsub| pubsub.child("set", ns::RESULT_SETS));
        let last = set.and_then(|set| set.child("last", ns::RESULT_SETS)).map(Element::text);
        let is_new = last.is_some() && last != reading.last && items.children().next().is_some();
        if !is_new || reading.pages >= PAGES_MAX || reading.found.len() >= ENTRIES_MAX {
            return self.has_read(now_s);
        }
        reading.last.clone_from(&last);
        vec![self.ask_for_items(last.as_deref(), now_s)]
    }

    /// The whole list was read: what is not on it any more goes.
    fn has_read(&mut self, now_s: u64) -> Vec<Say> {
        let follows = State::Follows(now_s + REREAD_S);
        let State::Reads(Reading { mut found, gone, .. }) = std::mem::replace(&mut self.state, follows) else {
            return Vec::new();
        };
        found.retain(|hash| !gone.contains(hash));
        self.failures = 0;
        let removed: Vec<Hash> = self.listed.iter().filter(|hash| !found.contains(*hash)).copied().collect();
        let added: Vec<Hash> = found.into_iter().filter(|hash| !self.listed.contains(hash)).collect();
        let mut says = self.change(added, removed);
        says.push(Say::Read(self.listed.len()));
        says
    }

    /// The service says that something has happened to a node (XEP-0060 §7).
    pub fn event(&mut self, event: &Element, now_s: u64) -> Vec<Say> {
        let child = |name: &str| {
            let child = event.child(name, ns::PUBSUB_EVENT);
            child.filter(|child| child.attribute("node") == Some(&self.address.node))
        };
        if child("purge").is_some() {
            let all: Vec<Hash> = self.listed.iter().copied().collect();
            let mut says = self.change(Vec::new(), all);
            if matches!(self.state, State::Reads(_)) {
                // Pages that were made before are of no use.
                says.extend(self.read(now_s));
            }
            return says;
        }
        let is_over = child("subscription").is_some_and(|child| child.attribute("subscription") == Some("none"));
        if is_over || child("delete").is_some() {
            return self.fail(if is_over { "the subscription is over" } else { "the node is gone" }, now_s);
        }
        let Some(items) = child("items") else { return Vec::new() };
        let named = |name: &str| -> Vec<Hash> {
            let children = items.children().filter(|child| child.name == name);
            children.filter_map(|child| child.attribute("id").and_then(parse)).collect()
        };
        let (published, retracted) = (named("item"), named("retract"));
        if let State::Reads(Reading { found, gone, .. }) = &mut self.state {
            published.iter().for_each(|hash| {
                gone.remove(hash);
            });
            found.extend(published.iter().take(ENTRIES_MAX.saturating_sub(found.len())));
            gone.extend(retracted.iter().take(ENTRIES_MAX.saturating_sub(gone.len())));
        }
        let room = ENTRIES_MAX.saturating_sub(self.listed.len());
        let mut added: Vec<Hash> =
            published.into_iter().filter(|hash| !self.listed.contains(hash)).take(room).collect();
        added.dedup();
        let removed = retracted.into_iter().filter(|hash| self.listed.contains(hash)).collect();
        self.change(added, removed)
    }

    fn change(&mut self, added: Vec<Hash>, removed: Vec<Hash>) -> Vec<Say> {
        if added.is_empty() && removed.is_empty() {
            return Vec::new();
        }
        removed.iter().for_each(|hash| self.listed.remove(hash));
        added.iter().for_each(|hash| self.listed.add(*hash));
        vec![Say::Change { added, removed }]
    }

    fn ask(&mut self, kind: &'static str, payload: Element, now_s: u64) -> Say {
        self.asked += 1;
        let id = format!("list-{}-{}", self.number, self.asked);
        self.open = Some((id.clone(), now_s + PATIENCE_S));
        Say::Ask { id, kind, payload }
    }

    fn ask_for_items(&mut self, after: Option<&str>, now_s: u64) -> Say {
        let set = |name: &str| Element::new(name, ns::RESULT_SETS);
        let page = set("set").with_child(set("max").with_text(&PAGE.to_string()));
        let page = after.into_iter().fold(page, |page, after| page.with_child(set("after").with_text(after)));
        let items = element("items").with_attribute("node", &self.address.node);
        self.ask("get", element("pubsub").with_child(items).with_child(page), now_s)
    }

    fn fail(&mut self, why: &str, now_s: u64) -> Vec<Say> {
        self.open = None;
        self.failures = self.failures.saturating_add(1);
        let wait_s = RETRY_S.saturating_mul(1 << self.failures.min(16).saturating_sub(1)).min(RETRY_S_MAX);
        self.state = State::Waits(now_s + wait_s);
        vec![Say::Fails(why.to_owned())]
    }
}

fn element(name: &str) -> Element {
    Element::new(name, ns::PUBSUB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtbl::hash_of;
    use proptest::prelude::*;

    fn follower(known: &[&str]) -> Follower {
        let address = ListAddress::parse("lists.example").unwrap();
        Follower::new(0, "x.org", address, known.iter().map(|name| hash_of(name)).collect())
    }

    fn has(follower: &Follower, name: &str) -> bool {
        follower.listed().contains(&hash_of(name))
    }

    fn hex(name: &str) -> String {
        hash_of(name).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The one question in what is to be done, as it is written.
    fn asked(says: &[Say]) -> (String, String) {
        let [Say::Ask { id, payload, .. }] = says else { panic!("one question: {says:?}") };
        let mut written = Vec::new();
        payload.write_to(&mut written, ns::CLIENT);
        (id.clone(), String::from_utf8(written).unwrap())
    }

    fn items(names: &[&str], last: Option<&str>) -> Heard {
        let item = |name: &&str| format!("<item id='{}'/>", hex(name));
        let items: String = names.iter().map(item).collect();
        let set = last.map(|last| format!("<set xmlns='{}'><last>{last}</last></set>", ns::RESULT_SETS));
        let set = set.unwrap_or_default();
        let text = format!(
            "<pubsub xmlns='{}'><items node='muc_bans_sha256'>{items}<item id='other'/></items>{set}</pubsub>",
            ns::PUBSUB
        );
        Heard::Result(Some(Element::parse(text.as_bytes()).unwrap()))
    }

    fn event(content: &str) -> Element {
        Element::parse(format!("<event xmlns='{}'>{content}</event>", ns::PUBSUB_EVENT).as_bytes()).unwrap()
    }

    fn published(name: &str) -> Element {
        event(&format!("<items node='muc_bans_sha256'><item id='{}'/></items>", hex(name)))
    }

    fn retracted(name: &str) -> Element {
        event(&format!("<items node='muc_bans_sha256'><retract id='{}'/></items>", hex(name)))
    }

    /// One that has subscribed, and its question for items.
    fn reading(known: &[&str]) -> (Follower, String) {
        let mut follower = follower(known);
        let (id, written) = asked(&follower.tick(0));
        assert_eq!(
            written,
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='muc_bans_sha256' jid='x.org'/></pubsub>"
        );
        let (id, written) = asked(&follower.answered(&id, Heard::Result(None), 1));
        assert!(written.contains("<items node='muc_bans_sha256'/>") && written.contains("<max>500</max>"), "{written}");
        (follower, id)
    }

    #[test]
    fn a_list_is_subscribed_to_read_by_pages_and_what_is_gone_is_dropped() {
        let (mut follower, id) = reading(&["stays@a", "gone@a"]);
        let (id, written) = asked(&follower.answered(&id, items(&["stays@a", "new@a"], Some("new")), 2));
        assert!(written.contains("<after>new</after>"), "{written}");
        let says = follower.answered(&id, items(&["newer@a"], None), 3);
        let [Say::Change { added, removed }, Say::Read(3)] = &says[..] else { panic!("{says:?}") };
        assert_eq!((added.len(), &removed[..]), (2, &[hash_of("gone@a")][..]));
        assert!(has(&follower, "newer@a") && !has(&follower, "gone@a"));
        assert!(follower.tick(3 + REREAD_S - 1).is_empty());
        assert!(asked(&follower.tick(3 + REREAD_S)).1.contains("<subscribe"), "it is read again some day");
    }

    #[test]
    fn changes_are_followed_at_once_even_while_the_list_is_read() {
        let (mut follower, id) = reading(&["old@a"]);
        assert_eq!(follower.event(&published("fresh@a"), 2).len(), 1);
        assert_eq!(follower.event(&retracted("old@a"), 2).len(), 1);
        // The page was made before that.
        let says = follower.answered(&id, items(&["old@a", "other@a"], None), 3);
        assert!(matches!(&says[..], [Say::Change { removed, .. }, Say::Read(2)] if removed.is_empty()), "{says:?}");
        assert!(has(&follower, "fresh@a") && !has(&follower, "old@a"));
        assert!(follower.event(&published("fresh@a"), 4).is_empty(), "nothing new");
        assert!(follower.event(&retracted("unknown@a"), 4).is_empty());
        let elsewhere = event(&format!("<items node='other'><item id='{}'/></items>", hex("x@a")));
        assert!(
            follower.event(&elsewhere, 4).is_empty() && follower.event(&event("<purge node='other'/>"), 4).is_empty()
        );
        let says = follower.event(&event("<purge node='muc_bans_sha256'/>"), 5);
        assert!(matches!(&says[..], [Say::Change { removed, .. }] if removed.len() == 2), "{says:?}");
        assert!(follower.listed().is_empty());
    }

    #[test]
    fn what_cannot_be_reached_keeps_its_last_state_and_is_tried_again() {
        let mut follower = follower(&["old@a"]);
        let (id, _) = asked(&follower.tick(0));
        assert_eq!(follower.answered("list-1-1", Heard::Result(None), 1), [], "not what was asked");
        assert_eq!(
            follower.answered(&id, Heard::Error("item-not-found".into()), 1),
            [Say::Fails("item-not-found".into())]
        );
        assert!(follower.tick(60).is_empty());
        asked(&follower.tick(61));
        assert!(follower.tick(61 + PATIENCE_S - 1).is_empty());
        assert_eq!(follower.tick(61 + PATIENCE_S), [Say::Fails("no answer".into())]);
        assert!(follower.tick(121 + 119).is_empty(), "longer each time");
        let (id, _) = asked(&follower.tick(121 + 120));
        let (id, _) = asked(&follower.answered(&id, Heard::Result(None), 242));
        assert_eq!(follower.event(&event("<delete node='muc_bans_sha256'/>"), 243).len(), 1);
        assert_eq!(follower.answered(&id, items(&[], None), 244), [], "nobody asks any more");
        assert!(has(&follower, "old@a"));
        follower.lost();
        asked(&follower.tick(245));
    }

    #[test]
    fn a_service_that_never_ends_is_not_read_for_ever() {
        let (mut follower, id) = reading(&[]);
        let (id, _) = asked(&follower.answered(&id, items(&["a@a"], Some("a")), 2));
        let says = follower.answered(&id, items(&["a@a"], Some("a")), 3);
        assert!(matches!(&says[..], [Say::Change { .. }, Say::Read(1)]), "{says:?}");
        let (mut follower, mut id) = reading(&[]);
        let mut pages = 1;
        loop {
            // Something new each time, and never an entry.
            let says = follower.answered(&id, items(&[], Some(&pages.to_string())), 2);
            let [Say::Ask { id: next, .. }] = &says[..] else { break };
            (id, pages) = (next.clone(), pages + 1);
        }
        assert_eq!(pages, PAGES_MAX);
    }

    #[test]
    fn an_answer_without_the_items_of_the_node_says_nothing_of_the_list() {
        for answer in [None, Some("<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='other'/></pubsub>")] {
            let (mut follower, id) = reading(&["old@a"]);
            let payload = answer.map(|text| Element::parse(text.as_bytes()).unwrap());
            let says = follower.answered(&id, Heard::Result(payload), 2);
            assert!(matches!(&says[..], [Say::Fails(_)]), "{says:?}");
            assert_eq!(follower.listed().len(), 1);
        }
    }

    #[test]
    fn a_list_that_is_emptied_while_it_is_read_is_read_again() {
        let (mut follower, id) = reading(&["old@a"]);
        let says = follower.event(&event("<purge node='muc_bans_sha256'/>"), 2);
        let [Say::Change { .. }, Say::Ask { id: again, .. }] = &says[..] else { panic!("{says:?}") };
        assert_eq!(follower.answered(&id, items(&["old@a"], None), 3), []);
        assert_eq!(follower.answered(again, items(&[], None), 3), [Say::Read(0)]);
    }

    #[test]
    fn what_was_not_stored_is_stored_anew() {
        let (mut follower, id) = reading(&[]);
        follower.answered(&id, items(&["a@a"], None), 2);
        follower.was_not_stored();
        assert_eq!(follower.tick(3), [Say::Store]);
        assert_eq!(follower.tick(4), []);
        let over = event("<subscription node='muc_bans_sha256' jid='x.org' subscription='none'/>");
        assert!(matches!(&follower.event(&over, 5)[..], [Say::Fails(_)]));
    }

    proptest! {
        #[test]
        fn whatever_happens_the_list_is_what_the_changes_make_of_it(
            steps in prop::collection::vec((0u8..6, 0u8..8), 0..60),
        ) {
            let mut follower = follower(&[]);
            let (mut known, mut open, mut now_s) = (HashSet::new(), None::<String>, 0);
            for (what, which) in steps {
                let name = format!("{which}@a");
                now_s += 30;
                let says = match (what, &open) {
                    (0, _) => follower.event(&published(&name), now_s),
                    (1, _) => follower.event(&retracted(&name), now_s),
                    (2, _) if which == 0 => follower.event(&event("<purge node='muc_bans_sha256'/>"), now_s),
                    (3, Some(id)) => follower.answered(id, items(&[&name], None), now_s),
                    (4, Some(id)) => follower.answered(id, Heard::Error("forbidden".into()), now_s),
                    _ => follower.tick(now_s),
                };
                for say in says {
                    match say {
                        Say::Ask { id, .. } => open = Some(id),
                        Say::Change { added, removed } => {
                            prop_assert!(removed.iter().all(|hash| known.remove(hash)));
                            prop_assert!(added.iter().all(|hash| known.insert(*hash)));
                        }
                        Say::Read(entries) => prop_assert_eq!(entries, known.len()),
                        Say::Fails(_) | Say::Store => {}
                    }
                }
                prop_assert_eq!(follower.listed().iter().copied().collect::<HashSet<_>>(), known.clone());
            }
        }
    }
}
