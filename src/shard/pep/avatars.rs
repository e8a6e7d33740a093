//! Avatars in nodes and photos in vCards, kept alike (XEP-0398), and the hash of the photo in presence (XEP-0153).

use std::sync::Arc;

use rondel_shards::Io;
use rondel_storage::pubsub::{self as stored, AccessModel, Item};
use rondel_storage::{LoadError, Outcome as Stored, Owner, ReadRequest, vcards};

use super::super::Shard;
use super::super::roster::written;
use super::super::stream::Stream;
use super::super::task::{Asker, Step, Task};
use super::transaction::{Then, nothing, of_account};
use crate::account::avatar::{self, Announcement, Avatar, Copied};
use crate::account::vcard::NewCard;
use crate::account::{Presence, PresenceType, SessionKey, vcard};
use crate::limited_event;
use crate::pubsub::{Outcome, PubsubError, Reply, Request, Requester, Submission};
use crate::service::Answer;
use crate::xml::{Element, Frame, Stamp, namespaces as ns};

impl Shard {
    /// A session replaces the vCard of its account.
    pub(in crate::shard) fn set_card(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: Asker,
        owner: Owner,
        card: NewCard,
        element: &Element,
    ) {
        let avatar = Avatar::of_vcard(element, self.settings.pubsub.item_bytes_max).ok().flatten();
        self.queue_request(io, stream, asker, move |_, _, _| {
            let write = of_account(&owner, vcard::set(&owner, &card));
            Step::write(write, move |shard, io, task: &Task, stored| {
                if let Err(refusal) = written(stored) {
                    return Step::refuse(refusal);
                }
                if let Some(asker) = &task.asker {
                    shard.answer(io, asker, Answer::Result(None));
                }
                shard.photo_changed(io, &owner.to_string(), card.photo().map(|photo| photo.sha1));
                let requester = task.asker.as_ref().and_then(|asker| shard.requester(asker));
                match (avatar, requester) {
                    (Some(avatar), Some(requester)) => publish_photo(owner, requester, avatar),
                    _ => Step::Done,
                }
            })
        });
    }

    /// Metadata of an avatar have been published under this id: what everybody may see goes into the vCard.
    pub(super) fn copy_avatar(&mut self, owner: Owner, id: &str) -> Step {
        let reads = vec![
            stored::items(&owner, [(ns::AVATAR_METADATA, id)]),
            stored::node(&owner, ns::AVATAR_DATA),
            vcards::get(&owner),
        ];
        Step::read(ReadRequest::Several(reads), move |_, _, _: &Task, outcome| match Published::of(&owner, outcome) {
            Ok(Some(published)) => published.copy(owner),
            Ok(None) => Step::Done,
            Err(error) => unreadable(&error),
        })
    }

    /// The photo in an account's vCard is another one, or gone: presence says so.
    fn photo_changed(&mut self, io: &mut Io<Shard>, bare: &str, photo: Option<[u8; 20]>) {
        let Some(account) = self.accounts.account_mut(bare) else { return };
        let before = std::mem::replace(&mut account.photo, photo);
        if before == photo {
            return;
        }
        let [from, to] = [before, photo].map(|photo| photo.map(|sha1| avatar::digits(&sha1)));
        let keys: Vec<SessionKey> = self.accounts.sessions(bare).map(|(key, _)| key).collect();
        for key in keys {
            let Some(session) = self.accounts.session_mut(key) else { continue };
            let Some(presence) = &session.presence else { continue };
            let Some(stanza) = avatar::announce_change(&presence.stanza, from.as_deref(), to.as_deref()) else {
                continue;
            };
            let stanza: Arc<[u8]> = stanza.into();
            let address = Arc::clone(&session.address);
            session.presence = Some(Presence { stanza: Arc::clone(&stanza), ..presence.clone() });
            self.give_available(io, bare, PresenceType::Available, &stanza);
            self.broadcast(io, &address, PresenceType::Available, &stanza, false, None);
        }
    }

    /// An available presence of a session with the hash of its account's photo, where the client has not said it
    /// (XEP-0398 §4); `None` if it stays as it is.
    pub(in crate::shard) fn with_photo(&self, stream: &Stream, frame: &Frame<'_>) -> Option<Vec<u8>> {
        let session = stream.session()?;
        let id = avatar::digits(&self.accounts.account(session.address.bare())?.photo?);
        let is_update = |name: &str, namespace: &str| (name, namespace) == ("x", ns::VCARD_UPDATE);
        let has_update = frame.children().any(|child| is_update(child.name(), child.namespace()));
        let presence = if has_update { Some(frame.to_element().ok()?) } else { None };
        let update = presence.as_ref().and_then(|presence| presence.child("x", ns::VCARD_UPDATE));
        let mut out = Vec::with_capacity(frame.bytes().len() + 256);
        match (avatar::announcement(update, &id), presence) {
            (Announcement::Keep, _) => return None,
            (Announcement::Add, _) | (_, None) => {
                frame.write_stamped(&mut out, &Stamp { lang: stream.lang.as_deref(), ..Stamp::default() });
                avatar::announce(&mut out, &id);
            }
            (Announcement::Replace, Some(presence)) => {
                avatar::announce_instead(presence, &id).write_to(&mut out, ns::CLIENT);
            }
        }
        Some(out)
    }
}

/// What has been read of an avatar that was published.
struct Published {
    metadata: Element,
    access: Option<AccessModel>,
    card: Option<Element>,
}

impl Published {
    /// `None` if the metadata have gone again, or are none.
    fn of(owner: &Owner, outcome: Stored) -> Result<Option<Published>, LoadError> {
        let outcomes = match outcome {
            Stored::Several(outcomes) => outcomes,
            other => return Err(LoadError::unexpected(other)),
        };
        let Ok([metadata, node, card]) = <[Stored; 3]>::try_from(outcomes) else {
            return Err(LoadError::unexpected(Stored::Several(Vec::new())));
        };
        let metadata = stored::decode_items(metadata)?.pop().flatten();
        let node = stored::decode_node(ns::AVATAR_DATA, node)?;
        let card = vcards::decode(owner, card)?.and_then(|card| Element::parse(&card.xml).ok());
        let access = node.map(|stored| stored.node.config.access);
        Ok(metadata.and_then(|item| payload(&item)).map(|metadata| Published { metadata, access, card }))
    }

    /// Reads the image that the metadata name, and puts it into the vCard.
    fn copy(self, owner: Owner) -> Step {
        let Some(info) = avatar::info(&self.metadata) else { return self.put(owner, None) };
        let read = stored::items(&owner, [(ns::AVATAR_DATA, info.id.as_str())]);
        Step::read(read, move |_, _, _: &Task, outcome| match stored::decode_items(outcome) {
            Ok(mut items) => {
                let data = items.pop().flatten().and_then(|item| payload(&item));
                self.put(owner, data)
            }
            Err(error) => unreadable(&error),
        })
    }

    fn put(self, owner: Owner, data: Option<Element>) -> Step {
        Step::read(vcards::get_photo(&owner), move |shard, _, _: &Task, outcome| {
            let before = match vcards::decode_photo(&owner, outcome) {
                Ok(photo) => photo.map(|photo| photo.sha1),
                Err(error) => return unreadable(&error),
            };
            let limits = (shard.settings.pubsub.item_bytes_max, &shard.settings.kept.vcard);
            let avatar = match avatar::copied(&self.metadata, self.access, data.as_ref(), limits.0) {
                Copied::Nothing => return Step::Done,
                Copied::Removed => None,
                Copied::Photo(avatar) => Some(avatar),
            };
            if avatar.as_ref().map(|avatar| avatar.sha1) == before {
                return Step::Done;
            }
            let card = match NewCard::read(&avatar::vcard_with(self.card, avatar.as_ref()), limits.1) {
                Ok(card) => card,
                Err(_) => {
                    limited_event!(INFO, "storage", "an avatar is too large to be shown in the vCard");
                    return Step::Done;
                }
            };
            let photo = card.photo().map(|photo| photo.sha1);
            Step::write(of_account(&owner, vcard::set(&owner, &card)), move |shard, io, _: &Task, outcome| {
                if written(outcome).is_ok() {
                    shard.photo_changed(io, &owner.to_string(), photo);
                }
                Step::Done
            })
        })
    }
}

fn payload(item: &Item) -> Option<Element> {
    Element::parse(&item.payload).ok()
}

fn unreadable(error: &LoadError) -> Step {
    limited_event!(WARN, "storage", "an avatar cannot be read: {error}");
    Step::Done
}

/// Publishes the photo of a vCard as an avatar, unless that is what is published already (XEP-0398 §3.2). Everybody
/// sees vCards, so nodes that are made for it are open to everybody.
fn publish_photo(owner: Owner, requester: Requester, avatar: Avatar) -> Step {
    Step::read(stored::node(&owner, ns::AVATAR_METADATA), move |shard, io, task: &Task, outcome| {
        let node = match stored::decode_node(ns::AVATAR_METADATA, outcome) {
            Ok(node) => node,
            Err(error) => return unreadable(&error),
        };
        let id = avatar.id();
        if node.and_then(|stored| stored.node.newest).is_some_and(|newest| newest.id == id) {
            return Step::Done;
        }
        let (next, to) = (requester.clone(), owner.clone());
        let metadata: Then = Box::new({
            let (id, payload) = (id.clone(), avatar.metadata());
            move |shard, io, task, outcome| match outcome.reply {
                Reply::Result(_) => shard.publish_for(io, task, to, next, ns::AVATAR_METADATA, id, payload, nothing()),
                Reply::Error(..) => Step::Done,
            }
        });
        shard.publish_for(io, task, owner, requester, ns::AVATAR_DATA, id, avatar.data(), metadata)
    })
}

impl Shard {
    /// Publishes an item for an account, to a node that is made open to everybody if it does not exist.
    #[expect(clippy::too_many_arguments, reason = "each of them is something else")]
    fn publish_for(
        &mut self,
        io: &mut Io<Shard>,
        task: &Task,
        owner: Owner,
        requester: Requester,
        node: &'static str,
        id: String,
        payload: Element,
        then: Then,
    ) -> Step {
        let open = Submission::of(&[("pubsub#access_model", "open")]);
        let request = Request::publish(node, &id, payload.clone(), open);
        let run = self.run_of(&owner, requester.clone(), request);
        let again = move |shard: &mut Shard, io: &mut Io<Shard>, task: &Task, outcome: &Outcome| {
            match outcome.reply {
                // The node is as its owner wants it to be.
                Reply::Error(PubsubError::PRECONDITION, _) => {
                    let request = Request::publish(node, &id, payload, Submission::default());
                    let run = shard.run_of(&owner, requester, request);
                    shard.transact(io, task, run, then)
                }
                _ => then(shard, io, task, outcome),
            }
        };
        self.transact(io, task, run, Box::new(again))
    }
}
