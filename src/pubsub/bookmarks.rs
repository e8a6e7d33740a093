//! Bookmarks in their two forms: one item per room (XEP-0402), and all in one element, which clients keep in private
//! storage (XEP-0049) or in one item (XEP-0048).
//!
//! Here they are stored in the first form only, and shown in the second one to whoever asks for it. What the second
//! one can hold besides, addresses of web pages for instance, is the rest, which is kept as it is.

use crate::jid::Jid;
use crate::xml::{Element, namespaces as ns};

/// A room that somebody wants to find again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bookmark {
    /// The room's address in normal form: the item's id.
    pub jid: String,
    /// What the user calls it.
    pub name: Option<String>,
    /// Whether clients join by themselves.
    pub autojoin: bool,
    /// The nickname there.
    pub nick: Option<String>,
    /// The room's password.
    pub password: Option<String>,
    /// What clients have added (XEP-0402 §2), notification settings (XEP-0492) for instance; the second form has no
    /// place for it.
    pub extensions: Option<Element>,
}

impl Bookmark {
    /// Reads an item. `None` if it is none of a room.
    pub fn of_item(id: &str, conference: &Element) -> Option<Bookmark> {
        Bookmark::read(id, conference, ns::BOOKMARKS)
    }

    fn read(jid: &str, conference: &Element, namespace: &str) -> Option<Bookmark> {
        if conference.name != "conference" || conference.namespace != namespace {
            return None;
        }
        let child = |name| conference.child(name, namespace);
        let text = |name| child(name).map(Element::text).filter(|text| !text.is_empty());
        Some(Bookmark {
            jid: Jid::parse(jid).ok()?.as_str().to_owned(),
            name: conference.attribute("name").map(str::to_owned),
            autojoin: matches!(conference.attribute("autojoin"), Some("true" | "1")),
            nick: text("nick"),
            password: text("password"),
            extensions: child("extensions").cloned(),
        })
    }

    /// The payload of the item.
    pub fn to_payload(&self) -> Element {
        let conference = self.to_element(Element::new("conference", ns::BOOKMARKS));
        match &self.extensions {
            Some(extensions) => conference.with_child(extensions.clone()),
            None => conference,
        }
    }

    /// The element of the second form.
    fn to_legacy(&self) -> Element {
        self.to_element(Element::new("conference", ns::LEGACY_BOOKMARKS).with_attribute("jid", &self.jid))
    }

    fn to_element(&self, conference: Element) -> Element {
        let namespace = conference.namespace.clone();
        let conference = match &self.name {
            Some(name) => conference.with_attribute("name", name),
            None => conference,
        };
        let conference = if self.autojoin { conference.with_attribute("autojoin", "true") } else { conference };
        [("nick", &self.nick), ("password", &self.password)].into_iter().fold(conference, |conference, (name, text)| {
            match text {
                Some(text) => conference.with_child(Element::new(name, &namespace).with_text(text)),
                None => conference,
            }
        })
    }

    /// Whether the second form shows both alike.
    fn looks_like(&self, other: &Bookmark) -> bool {
        let shown = |bookmark: &Bookmark| Bookmark { extensions: None, ..bookmark.clone() };
        shown(self) == shown(other)
    }
}

/// The second form, `<storage/>`: these bookmarks, and the rest.
pub fn storage<'b>(bookmarks: impl IntoIterator<Item = &'b Bookmark>, rest: Option<&Element>) -> Element {
    let storage = Element::new("storage", ns::LEGACY_BOOKMARKS);
    let storage = bookmarks.into_iter().fold(storage, |storage, bookmark| storage.with_child(bookmark.to_legacy()));
    rest.into_iter().flat_map(Element::children).cloned().fold(storage, Element::with_child)
}

/// Reads the second form: the bookmarks, of which the first one of a room counts, and the rest.
pub fn read_storage(storage: &Element) -> (Vec<Bookmark>, Element) {
    let mut bookmarks: Vec<Bookmark> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut rest = Element::new("storage", ns::LEGACY_BOOKMARKS);
    for child in storage.children() {
        let bookmark = child.attribute("jid").and_then(|jid| Bookmark::read(jid, child, ns::LEGACY_BOOKMARKS));
        match bookmark {
            Some(bookmark) if seen.insert(bookmark.jid.clone()) => bookmarks.push(bookmark),
            Some(_) => {}
            None => rest = rest.with_child(child.clone()),
        }
    }
    (bookmarks, rest)
}

/// What makes one list of bookmarks into another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Those that are new or look different.
    pub publish: Vec<Bookmark>,
    /// The rooms that are not there any more.
    pub retract: Vec<String>,
}

/// The changes from `current` to `wanted`, which was read from the second form: extensions stay.
pub fn changes(current: &[Bookmark], wanted: Vec<Bookmark>) -> Changes {
    let known: std::collections::HashMap<_, _> = current.iter().map(|known| (known.jid.as_str(), known)).collect();
    let wanted_jids: std::collections::HashSet<_> = wanted.iter().map(|bookmark| bookmark.jid.clone()).collect();
    let changed = |bookmark: Bookmark| match known.get(bookmark.jid.as_str()) {
        Some(known) if known.looks_like(&bookmark) => None,
        Some(known) => Some(Bookmark { extensions: known.extensions.clone(), ..bookmark }),
        None => Some(bookmark),
    };
    let publish = wanted.into_iter().filter_map(changed).collect();
    let gone = current.iter().filter(|known| !wanted_jids.contains(&known.jid));
    Changes { publish, retract: gone.map(|known| known.jid.clone()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Element {
        Element::parse(text.as_bytes()).unwrap()
    }

    fn item(id: &str, content: &str) -> Bookmark {
        let text = content.replacen("<conference", "<conference xmlns='urn:xmpp:bookmarks:1'", 1);
        Bookmark::of_item(id, &parse(&text)).unwrap()
    }

    /// XEP-0402 §3.2, and XEP-0048 §3.3 for the same rooms.
    fn play() -> Bookmark {
        item(
            "theplay@conference.shakespeare.lit",
            "<conference name='The Play&apos;s the Thing' autojoin='true'><nick>JC</nick></conference>",
        )
    }

    fn orchard() -> Bookmark {
        item(
            "orchard@conference.shakespeare.lit",
            "<conference name='The Orchard' autojoin='1'><nick>JC</nick><extensions>\
             <state xmlns='http://myclient.example/bookmark/state' minimized='true'/></extensions></conference>",
        )
    }

    const STORAGE: &str = "<storage xmlns='storage:bookmarks'>\
        <conference jid='theplay@conference.shakespeare.lit' name='The Play&apos;s the Thing' autojoin='true'>\
        <nick>JC</nick></conference>\
        <conference jid='orchard@conference.shakespeare.lit' name='The Orchard' autojoin='true'><nick>JC</nick>\
        </conference>\
        <url name='Complete Works of Shakespeare' url='http://the-tech.mit.edu/Shakespeare/'/></storage>";

    #[test]
    fn both_forms_of_the_same_bookmarks() {
        let storage_element = parse(STORAGE);
        let (bookmarks, rest) = read_storage(&storage_element);
        assert_eq!(
            bookmarks.iter().map(|bookmark| &bookmark.jid).collect::<Vec<_>>(),
            ["theplay@conference.shakespeare.lit", "orchard@conference.shakespeare.lit"]
        );
        assert_eq!(rest.children().map(|child| child.name.as_str()).collect::<Vec<_>>(), ["url"]);
        assert_eq!(storage(&[play(), orchard()], Some(&rest)), storage_element);
        assert_eq!(changes(&[play(), orchard()], bookmarks), Changes::default());
    }

    #[test]
    fn only_what_differs_changes_and_extensions_stay() {
        let edited = STORAGE.replace("name='The Orchard'", "name='Capulet&apos;s Orchard'").replace("theplay@", "inn@");
        let (bookmarks, _) = read_storage(&parse(&edited));
        let Changes { publish, retract } = changes(&[play(), orchard()], bookmarks);
        assert_eq!(retract, ["theplay@conference.shakespeare.lit"]);
        assert_eq!(
            publish.iter().map(|bookmark| bookmark.jid.as_str()).collect::<Vec<_>>(),
            ["inn@conference.shakespeare.lit", "orchard@conference.shakespeare.lit"]
        );
        let orchard = &publish[1];
        assert_eq!(orchard.name.as_deref(), Some("Capulet's Orchard"));
        assert!(orchard.extensions.is_some());
        assert_eq!(Bookmark::of_item(&orchard.jid, &orchard.to_payload()).as_ref(), Some(orchard));
    }

    #[test]
    fn what_is_no_bookmark_is_the_rest() {
        let text = "<storage xmlns='storage:bookmarks'><conference name='no address'/>\
                    <conference jid='@'/><conference jid='A@Conference.example' autojoin='false'/>\
                    <conference jid='a@conference.example' name='twice'/></storage>";
        let (bookmarks, rest) = read_storage(&parse(text));
        assert_eq!(bookmarks, [item("a@conference.example", "<conference/>")]);
        assert_eq!(rest.children().count(), 2);
        assert_eq!(Bookmark::of_item("a@b", &parse("<conference xmlns='urn:other'/>")), None);
        assert_eq!(Bookmark::of_item("@", &parse("<conference xmlns='urn:xmpp:bookmarks:1'/>")), None);
    }
}
