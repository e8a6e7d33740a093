//! Presence to all contacts of an account, and the question for theirs (RFC 6121 §4.2 to §4.5): one message per shard,
//! whatever the number of contacts that are at home there.

use std::sync::Arc;

use rondel_shards::Io;

use super::Shard;
use super::message::{Message, Routed, Sender};
use super::packed::Packed;
use super::task::{Step, Task};
use crate::account::subscription::Grant;
use crate::account::{Account, Address, Bearer, PresenceType, SessionKey, StanzaKind, Traits};
use crate::home::home;
use crate::jid::Jid;
use crate::xml::{escape, write_addressed};

/// A resource's presence on its way to contacts that are at home on one shard.
pub struct Broadcast {
    /// The resource.
    from: Arc<Address>,
    /// Whether it has become available or unavailable.
    kind: PresenceType,
    /// The stanza with its `from`.
    stanza: Arc<[u8]>,
    contacts: Packed,
}

/// The answer to all probes of a resource that have reached one shard.
pub struct Presences {
    /// The resource that asks.
    to: Arc<Address>,
    stanzas: Vec<Arc<[u8]>>,
}

/// What a contact is sent.
#[derive(Clone, Copy)]
struct Sent {
    /// The presence: it is subscribed to it.
    presence: bool,
    /// The question for its own, to which the account is subscribed.
    probe: bool,
}

impl Broadcast {
    fn push(&mut self, contact: &str, sent: Sent) {
        self.contacts.push(u8::from(sent.presence) | u8::from(sent.probe) << 1, contact);
    }

    fn contacts(&self) -> impl Iterator<Item = (&str, Sent)> {
        let sent = |flags| Sent { presence: flags & 1 != 0, probe: flags & 2 != 0 };
        self.contacts.iter().map(move |(flags, contact)| (contact, sent(flags)))
    }

    fn bytes(&self) -> usize {
        self.contacts.bytes() + self.stanza.len()
    }
}

impl Shard {
    /// Sends a resource's presence to those contacts that are subscribed to it, and asks for theirs if `probes`. The
    /// session is given where it cannot be found any more.
    pub(super) fn broadcast(
        &mut self,
        io: &mut Io<Shard>,
        from: &Arc<Address>,
        kind: PresenceType,
        stanza: &Arc<[u8]>,
        probes: bool,
        bearer: Option<&Arc<Bearer>>,
    ) {
        let Some(account) = self.accounts.account(from.bare()) else { return };
        if account.contacts.is_empty() {
            return self.trace(StanzaKind::Presence(kind), from.as_str(), "", |_| "to 0 contacts".into());
        }
        if self.has_rules(StanzaKind::Presence(kind)) {
            return self.broadcast_filtered(io, (from, bearer), kind, stanza, probes);
        }
        let mut shares: Vec<Option<Broadcast>> = (0..io.shards()).map(|_| None).collect();
        for (contact, sent) in concerned(account, from.bare(), probes) {
            let share = shares[home(contact, io.shards())].get_or_insert_with(|| Broadcast {
                from: Arc::clone(from),
                kind,
                stanza: Arc::clone(stanza),
                contacts: Packed::default(),
            });
            share.push(contact, sent);
        }
        self.trace(StanzaKind::Presence(kind), from.as_str(), "", |_| {
            let contacts = shares.iter().flatten().flat_map(|share| share.contacts());
            format!("to {} contacts", contacts.filter(|(_, sent)| sent.presence).count())
        });
        for (shard, share) in shares.into_iter().enumerate() {
            match share {
                Some(share) if shard == io.shard() => self.broadcast_arrived(io, &share),
                Some(share) => {
                    let bytes = share.bytes();
                    io.send(shard, Message::Broadcast(Box::new(share)), bytes);
                }
                None => {}
            }
        }
    }

    /// The same where rules look at each stanza.
    fn broadcast_filtered(
        &mut self,
        io: &mut Io<Shard>,
        (from, bearer): (&Arc<Address>, Option<&Arc<Bearer>>),
        kind: PresenceType,
        stanza: &[u8],
        probes: bool,
    ) {
        let Some(account) = self.accounts.account(from.bare()) else { return };
        let contacts = concerned(account, from.bare(), probes).map(|(contact, sent)| (contact.to_owned(), sent));
        let contacts: Vec<(String, Sent)> = contacts.collect();
        let bearer = match self.rules_ask_of_sessions() {
            true => bearer.cloned().or_else(|| self.bearer_of(io, Sender::session(from))),
            false => None,
        };
        for (contact, sent) in contacts {
            let Ok(to) = Jid::parse(&contact) else { continue };
            if sent.presence {
                let mut presence = Vec::with_capacity(stanza.len() + contact.len());
                write_addressed(&mut presence, stanza, &contact);
                self.send_filtered(io, StanzaKind::Presence(kind), (from, bearer.clone()), &to, &presence);
            }
            if sent.probe {
                let (from_escaped, to_escaped) = (from.escaped(), escape::attribute_value(&contact));
                let probe = format!("<presence type='probe' from='{from_escaped}' to='{to_escaped}'/>");
                let kind = StanzaKind::Presence(PresenceType::Probe);
                self.send_filtered(io, kind, (from, bearer.clone()), &to, probe.as_bytes());
            }
        }
    }

    /// Somebody's presence has come for contacts that are at home here. Of whom nobody is online nobody wants to know,
    /// and nobody answers for.
    pub(super) fn broadcast_arrived(&mut self, io: &mut Io<Shard>, broadcast: &Broadcast) {
        let from = &broadcast.from;
        let sender = Jid::parse(from.as_str());
        let mut found = Vec::new();
        for (contact, sent) in broadcast.contacts() {
            let Some(account) = self.accounts.account(contact) else { continue };
            if !account.blocks.is_empty()
                && let (Ok(own), Ok(sender)) = (Jid::parse(contact), &sender)
                && account.blocks.blocks(&own, sender)
            {
                continue;
            }
            if sent.probe && account.contacts.state(from.bare()).from == Grant::Granted {
                let presences = self.accounts.sessions(contact).filter_map(|(_, session)| session.presence.as_ref());
                found.extend(presences.map(|presence| Arc::clone(&presence.stanza)));
            }
            if sent.presence {
                self.trace(StanzaKind::Presence(broadcast.kind), from.as_str(), contact, |_| {
                    "to all available resources, from somebody it is subscribed to".into()
                });
            }
            if sent.presence && self.lanes.is_closed(contact) {
                self.presence_waits(io, broadcast, contact);
            } else if sent.presence && !self.tasks.is_busy(contact) {
                self.give_available(io, contact, broadcast.kind, &broadcast.stanza);
            } else if sent.presence {
                // It does not overtake the subscription that it follows from, which has to be written first.
                let (account, kind, stanza) = (contact.to_owned(), broadcast.kind, Arc::clone(&broadcast.stanza));
                self.queue(io, contact, Task::default(), move |shard, io, _| {
                    shard.give_available(io, &account, kind, &stanza);
                    Step::Done
                });
            }
        }
        if !found.is_empty() {
            let answer = Presences { to: Arc::clone(from), stanzas: found };
            let home = home(from.bare(), io.shards());
            if home == io.shard() {
                self.presences_arrived(io, &answer);
            } else {
                let bytes = answer.stanzas.iter().map(|stanza| stanza.len()).sum();
                io.send(home, Message::Presences(Box::new(answer)), bytes);
            }
        }
    }

    /// Somebody's presence waits behind what has come to a contact before.
    fn presence_waits(&mut self, io: &mut Io<Shard>, broadcast: &Broadcast, contact: &str) {
        let Ok(to) = Jid::parse(contact) else { return };
        let (from, kind) = (Sender::session(&broadcast.from), StanzaKind::Presence(broadcast.kind));
        let size = broadcast.stanza.len() + contact.len();
        let write = |out: &mut Vec<u8>| write_addressed(out, &broadcast.stanza, contact);
        self.arrive_behind(io, Routed::new(kind, Traits::NONE, from, &to, size, write));
    }

    /// Contacts' presence has come for a resource that has asked for it.
    pub(super) fn presences_arrived(&mut self, io: &mut Io<Shard>, answer: &Presences) {
        let is_it = |session: &crate::account::Session| session.address.as_str() == answer.to.as_str();
        let found = self.accounts.sessions(answer.to.bare()).find(|(_, session)| is_it(session));
        let Some(key) = found.map(|(key, _)| key) else { return };
        for stanza in &answer.stanzas {
            let write = |out: &mut Vec<u8>| write_addressed(out, stanza, answer.to.bare());
            self.give(io, key, StanzaKind::Presence(PresenceType::Available), write);
        }
    }

    /// Gives a presence stanza without an addressee to every available resource of an account: it is addressed to the
    /// account (RFC 6121 §4.2.2).
    pub(super) fn give_available(&mut self, io: &mut Io<Shard>, account: &str, kind: PresenceType, stanza: &[u8]) {
        let available = self.accounts.sessions(account).filter(|(_, session)| session.presence.is_some());
        let keys: smallvec::SmallVec<[SessionKey; 4]> = available.map(|(key, _)| key).collect();
        for key in keys {
            self.give(io, key, StanzaKind::Presence(kind), |out| write_addressed(out, stanza, account));
        }
    }
}

/// The contacts of an account that are sent something when a resource becomes available or not, and what. Who is
/// blocked gets nothing, and nothing is asked of it (XEP-0191 §3.3).
fn concerned<'a>(account: &'a Account, own: &str, probes: bool) -> impl Iterator<Item = (&'a str, Sent)> {
    let own = Jid::parse(own).ok().filter(|_| !account.blocks.is_empty()).map(Jid::into_owned);
    account.contacts.iter().filter_map(move |contact| {
        let sent = Sent {
            presence: contact.state.from == Grant::Granted,
            probe: probes && contact.state.to == Grant::Granted,
        };
        if !sent.presence && !sent.probe {
            return None;
        }
        let is_blocked =
            |own: &Jid<'_>| Jid::parse(contact.jid).is_ok_and(|contact| account.blocks.blocks(own, &contact));
        (!own.as_ref().is_some_and(is_blocked)).then_some((contact.jid, sent))
    })
}
