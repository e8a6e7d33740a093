//! Message retraction (XEP-0424) as far as an archive has to do with it: which message is retracted, whether this
//! sender may do so, and what the archive has in its place.
//!
//! The retraction itself is delivered and archived like any other message (§5). A correction (XEP-0308) asks nothing of
//! an archive: both messages stay.

use std::borrow::Cow;

use rondel_storage::archive::{self as stored, Found};
use rondel_storage::{LoadError, Outcome, Owner, ReadRequest, WriteRequest};

use super::traits::Traits;
use crate::datetime;
use crate::jid::Jid;
use crate::xml::{Content, Frame, Scratch, attribute, attributes, escape, namespaces as ns};

/// A wish to have a message retracted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Retraction<'a> {
    /// The id of the message, as its sender gave it: its `id` attribute (§5.1).
    pub retracts: Cow<'a, str>,
    /// The id of the message that says so; a tombstone refers to it (§4).
    pub id: Cow<'a, str>,
}

impl<'a> Retraction<'a> {
    /// The retraction in a message whose traits have [`Traits::RETRACTION`]; `None` if it is none that the archive can
    /// act on.
    pub fn of(frame: &'a Frame<'a>) -> Option<Retraction<'a>> {
        let is_it = |child: &crate::xml::Child<'_>| child.name() == "retract" && child.namespace() == ns::RETRACTION;
        let retracts = frame.children().find(is_it)?.attribute("id")?.decoded();
        let id = frame.id()?.decoded();
        (!retracts.is_empty() && !id.is_empty()).then_some(Retraction { retracts, id })
    }
}

/// Why a message is not retracted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotRetracted(pub &'static str);

/// Messages with a contact that are looked at for one that is retracted: as a rule it is among the last ones. A message
/// further back stays as it is, with its retraction behind it.
const LOOKED_AT_MAX: usize = 500;

/// Messages that are read at once.
const PART_MESSAGES: usize = 100;

/// Bytes of them.
const PART_BYTES: usize = 256 << 10;

/// Looking for the message that is retracted in an archive, backwards.
#[derive(Clone, Debug)]
pub struct Search {
    retraction: Retraction<'static>,
    sender: Jid<'static>,
    query: stored::Query,
    left: usize,
}

/// How a search goes on.
#[derive(Clone, Debug)]
pub enum Progress {
    /// [`Search::read`] again.
    Read(Box<Search>),
    /// This is written: the tombstone.
    Write(WriteRequest),
    /// There is no such message.
    Nothing,
}

impl Search {
    /// Begins to look for what `stanza`, a retraction as it was archived, retracts in the archive of `owner`, among the
    /// messages with `with`, a bare address. `None` if it is none that the archive can act on.
    pub fn new(owner: Owner, with: &str, stanza: &[u8]) -> Option<Search> {
        let mut scratch = Scratch::default();
        let frame = scratch.finished(stanza, Content::Client)?;
        // One that comes back undelivered has its addressee for a sender, who has not said so.
        if frame.kind_attr().is_some_and(|kind| kind.is("error")) {
            return None;
        }
        let Retraction { retracts, id } = Retraction::of(&frame)?;
        let retraction = Retraction { retracts: retracts.into_owned().into(), id: id.into_owned().into() };
        let sender = Jid::parse(&frame.attribute("from")?.decoded()).ok()?.into_owned();
        let query = stored::Query {
            with: Some(with.into()),
            entries_max: PART_MESSAGES,
            bytes_max: PART_BYTES,
            reverse: true,
            ..stored::Query::new(owner)
        };
        Some(Search { retraction, sender, query, left: LOOKED_AT_MAX })
    }

    /// What has to be read.
    pub fn read(&self) -> ReadRequest {
        self.query.clone().into()
    }

    /// Goes on with what was read. The message is retracted at `at_us`, in microseconds since 1970.
    pub fn proceed(mut self, outcome: Outcome, at_us: u64) -> Result<Progress, LoadError> {
        let part = match stored::decode(outcome)? {
            Found::Page(part) => part,
            // Where reading was to go on, the archive has come to its end meanwhile.
            Found::UnknownId(_) => return Ok(Progress::Nothing),
        };
        for entry in part.entries.iter().rev() {
            let mut tombstone = Vec::new();
            match write_tombstone(&mut tombstone, entry.stanza(), &self.retraction, &self.sender, at_us) {
                Ok(()) => {
                    let write = |out: &mut Vec<u8>| out.extend_from_slice(&tombstone);
                    return Ok(Progress::Write(stored::replace_with_tombstone(&self.query.owner, entry, write)));
                }
                // It has been said before.
                Err(ALREADY) => return Ok(Progress::Nothing),
                Err(_) => {}
            }
        }
        self.left = self.left.saturating_sub(part.entries.len());
        Ok(match self.query.next(&part) {
            Some(next) if self.left > 0 => {
                self.query = next;
                Progress::Read(Box::new(self))
            }
            _ => Progress::Nothing,
        })
    }
}

/// Nothing is left to be retracted of it.
const ALREADY: NotRetracted = NotRetracted("a retraction, or retracted already");

/// Appends what the archive has in the place of `original`, a message as it was archived, once `sender` (the `from` of
/// the retraction) has retracted it at `at_us`, in microseconds since 1970 (§4): nothing is left but who wrote to whom.
pub fn write_tombstone(
    out: &mut Vec<u8>,
    original: &[u8],
    retraction: &Retraction<'_>,
    sender: &Jid<'_>,
    at_us: u64,
) -> Result<(), NotRetracted> {
    // What nearly every message is told by comes first.
    if !attribute(original, "id").is_some_and(|id| id.is(&retraction.retracts)) {
        return Err(NotRetracted("another message"));
    }
    let mut scratch = Scratch::default();
    let frame = scratch.finished(original, Content::Client).ok_or(NotRetracted("it cannot be read"))?;
    let traits = Traits::of(&frame);
    let [from, to, kind, id] = attributes(original, ["from", "to", "type", "id"]);
    // §5: in a conversation of two, from the same bare address; but occupants of a room have that in common.
    let author = from.as_deref().and_then(|from| Jid::parse(from).ok());
    let is_same = author.is_some_and(|author| match traits.has(Traits::ROOM) {
        true => author.as_str() == sender.as_str(),
        false => author.bare() == sender.bare(),
    });
    if !is_same {
        return Err(NotRetracted("somebody else's"));
    }
    if traits.has(Traits::RETRACTION) {
        return Err(ALREADY);
    }
    out.extend_from_slice(b"<message");
    for (name, value) in [("from", &from), ("to", &to), ("type", &kind), ("id", &id)] {
        if let Some(value) = value {
            out.extend_from_slice(format!(" {name}='").as_bytes());
            escape::attribute(out, value);
            out.push(b'\'');
        }
    }
    out.extend_from_slice(b"><retracted xmlns='");
    out.extend_from_slice(ns::RETRACTION.as_bytes());
    out.extend_from_slice(b"' id='");
    escape::attribute(out, &retraction.id);
    out.extend_from_slice(b"' stamp='");
    out.extend_from_slice(datetime::utc_us(at_us).as_bytes());
    out.extend_from_slice(b"'/></message>");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;
    use rondel_storage::{Options, Store};

    const ORIGINAL: &str = "<message from='romeo@montague.example/orchard' to='lord@capulet.example' type='chat' \
                            id='wrong&apos;1' xml:lang='en'><body>Have not saints lips?</body>\
                            <stanza-id xmlns='urn:xmpp:sid:0' by='lord@capulet.example' id='7'/></message>";

    fn retraction<R>(stanza: &str, look: impl FnOnce(Option<Retraction<'_>>) -> R) -> R {
        let mut scratch = Scratch::default();
        let frame = scratch.finished(stanza.as_bytes(), Content::Client).unwrap();
        look(Retraction::of(&frame))
    }

    fn tombstone(original: &str, sender: &str) -> Result<String, NotRetracted> {
        let retraction = Retraction { retracts: "wrong'1".into(), id: "retract-message-1".into() };
        let mut out = Vec::new();
        write_tombstone(&mut out, original.as_bytes(), &retraction, &Jid::parse(sender).unwrap(), 1_569_020_972_000_000)
            .map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_retraction_names_a_message_and_itself() {
        let example = "<message type='chat' to='lord@capulet.example' id='retract-message-1'>\
                       <retract id='wrong-recipient-1' xmlns='urn:xmpp:message-retract:1'/>\
                       <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>\
                       <body>/me retracted a previous message</body><store xmlns='urn:xmpp:hints'/></message>";
        retraction(example, |found| {
            let found = found.unwrap();
            assert_eq!((&*found.retracts, &*found.id), ("wrong-recipient-1", "retract-message-1"));
        });
        for none in [
            "<message id='1'><body/></message>",
            "<message id='1'><retract xmlns='urn:xmpp:message-retract:1'/></message>",
            "<message><retract xmlns='urn:xmpp:message-retract:1' id='2'/></message>",
            "<message id='1'><retract xmlns='urn:xmpp:jingle-message:0' id='2'/></message>",
            "<message id='1'><retracted xmlns='urn:xmpp:message-retract:1' id='2'/></message>",
        ] {
            retraction(none, |found| assert_eq!(found, None, "{none}"));
        }
    }

    #[test]
    fn a_tombstone_tells_nothing_of_what_was_there() {
        let text = tombstone(ORIGINAL, "romeo@montague.example/garden").unwrap();
        assert_eq!(
            text,
            "<message from='romeo@montague.example/orchard' to='lord@capulet.example' type='chat' id='wrong&#39;1'>\
             <retracted xmlns='urn:xmpp:message-retract:1' id='retract-message-1' stamp='2019-09-20T23:09:32Z'/>\
             </message>"
        );
        assert!(Element::parse(text.as_bytes()).is_ok());
        assert_eq!(tombstone(&text, "romeo@montague.example/garden"), Err(ALREADY));
    }

    #[test]
    fn nobody_retracts_what_is_not_theirs() {
        assert_eq!(tombstone(ORIGINAL, "lord@capulet.example"), Err(NotRetracted("somebody else's")));
        let other = ORIGINAL.replace("wrong&apos;1", "wrong-recipient-1");
        assert_eq!(tombstone(&other, "romeo@montague.example"), Err(NotRetracted("another message")));
        let nobodys = ORIGINAL.replace("from='romeo@montague.example/orchard'", "");
        assert_eq!(tombstone(&nobodys, "romeo@montague.example"), Err(NotRetracted("somebody else's")));
        let private = ORIGINAL.replace("<body>", "<x xmlns='http://jabber.org/protocol/muc#user'/><body>");
        assert_eq!(tombstone(&private, "romeo@montague.example/garden"), Err(NotRetracted("somebody else's")));
        assert!(tombstone(&private, "romeo@montague.example/orchard").is_ok());
        assert_eq!(
            tombstone("<message id='wrong&apos;1'>", "romeo@montague.example"),
            Err(NotRetracted("it cannot be read"))
        );
    }

    const LORD: &str = "lord@capulet.example";
    const RETRACTION: &str = "<message from='romeo@montague.example/garden' to='lord@capulet.example' id='retract-1'>\
                              <retract id='wrong&apos;1' xmlns='urn:xmpp:message-retract:1'/></message>";

    /// Carries out a search in an archive of these messages, each with a contact; the entries then, and how often was
    /// read.
    fn searched(messages: &[(&str, String)], with: &str, stanza: &str) -> (Vec<String>, usize) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        let owner = Owner::parse(LORD).unwrap();
        let empty = WriteRequest::new(owner.clone());
        let request = (1..).zip(messages).fold(empty, |request, (id, (with, stanza))| {
            stored::append(request, id, with, false, 0, |out| out.extend_from_slice(stanza.as_bytes()))
        });
        assert_eq!(store.write_blocking(request), Outcome::Written);
        let mut parts = 0;
        let mut search = Search::new(owner.clone(), with, stanza.as_bytes()).map(Box::new);
        while let Some(next) = search.take() {
            parts += 1;
            let outcome = store.read_blocking(&next.read());
            match next.proceed(outcome, 1_569_020_972_000_000).unwrap() {
                Progress::Read(next) => search = Some(next),
                Progress::Write(write) => assert_eq!(store.write_blocking(write), Outcome::Written),
                Progress::Nothing => {}
            }
        }
        let everything = store.read_blocking(&stored::Query::new(owner).into());
        let Ok(Found::Page(page)) = stored::decode(everything) else { panic!() };
        let text = |entry: &stored::Entry| String::from_utf8(entry.stanza().to_vec()).unwrap();
        (page.entries.iter().map(text).collect(), parts)
    }

    #[test]
    fn the_message_is_found_among_those_with_the_contact() {
        let romeo = "romeo@montague.example";
        let other = |number: usize| (romeo, ORIGINAL.replace("wrong&apos;1", &format!("other-{number}")));
        let mut messages = vec![(romeo, ORIGINAL.to_owned()), ("nurse@capulet.example", ORIGINAL.to_owned())];
        messages.extend((0..250).map(other));
        let (entries, parts) = searched(&messages, romeo, RETRACTION);
        assert!(entries[0].contains("<retracted") && !entries[0].contains("saints"), "{}", entries[0]);
        assert!(entries[1..].iter().zip(&messages[1..]).all(|(entry, (_, message))| entry == message));
        assert_eq!(parts, 3);
        // Of two messages with one id the later one is meant, and no other one when that is said again.
        let twice = [(romeo, ORIGINAL.to_owned()), (romeo, ORIGINAL.to_owned())];
        let (entries, _) = searched(&twice, romeo, RETRACTION);
        assert!(entries[0] == ORIGINAL && entries[1].contains("<retracted"), "{entries:?}");
        let again: Vec<_> = entries.iter().map(|entry| (romeo, entry.clone())).collect();
        assert_eq!(searched(&again, romeo, RETRACTION).0, entries);
    }

    #[test]
    fn looking_for_it_has_an_end() {
        let romeo = "romeo@montague.example";
        let mut messages = vec![(romeo, ORIGINAL.to_owned())];
        messages.extend((0..LOOKED_AT_MAX).map(|_| (romeo, "<message id='another'/>".to_owned())));
        let (entries, parts) = searched(&messages, romeo, RETRACTION);
        assert_eq!((&*entries[0], parts), (ORIGINAL, LOOKED_AT_MAX / PART_MESSAGES));
        messages.pop();
        assert!(searched(&messages, romeo, RETRACTION).0[0].contains("<retracted"));
    }

    #[test]
    fn what_is_somebody_elses_is_not_retracted() {
        let romeo = "romeo@montague.example";
        let messages = [(romeo, ORIGINAL.to_owned())];
        let forged = RETRACTION.replace("romeo@montague.example/garden", "lord@capulet.example/chamber");
        assert_eq!(searched(&messages, romeo, &forged), (vec![ORIGINAL.to_owned()], 1));
        let undelivered = RETRACTION.replace("<message ", "<message type='error' ");
        for none in ["<message", "<message id='1'/>", &RETRACTION.replace("from=", "von="), &undelivered] {
            assert_eq!(searched(&messages, romeo, none), (vec![ORIGINAL.to_owned()], 0), "{none}");
        }
    }
}
