//! Events on their way: from the home of the account that has published to those who follow the node, one message to
//! each shard where some of them are at home. There it is known who is online and wants to hear of it.

use std::sync::Arc;

use rondel_shards::Io;
use rondel_storage::pubsub::MessageType as Kind;

use super::super::give::What;
use super::super::message::{Message, Routed, Sender};
use super::super::packed::Packed;
use super::super::{Shard, deliver};
use crate::account::subscription::Grant;
use crate::account::{Account, MessageType, SessionKey, StanzaKind, Traits};
use crate::firewall::Hook;
use crate::home::home;
use crate::jid::Jid;
use crate::pubsub::{Audience, Groups, Notification, Reach};

/// A notification for those recipients that are at home on one shard.
pub struct Event {
    /// The account that has published.
    from: Arc<str>,
    notification: Arc<Notification>,
    recipients: Packed,
}

/// Whether every available resource gets it that wants to hear of the node. Else it is for this very address.
const INTERESTED: u8 = 1;
/// Whether the bare address gets it if none does.
const OR_BARE: u8 = 1 << 1;
/// Whether it is a contact, or the owner: it may learn the publishing resource.
const CONTACT: u8 = 1 << 2;

fn flags(reach: Reach) -> Option<u8> {
    match reach {
        Reach::Nobody => None,
        Reach::Interested => Some(INTERESTED | CONTACT),
        Reach::InterestedOrBare => Some(INTERESTED | OR_BARE | CONTACT),
    }
}

impl Event {
    fn bytes(&self) -> usize {
        self.recipients.bytes() + self.notification.content.len()
    }

    fn kind(&self) -> StanzaKind {
        kind(&self.notification)
    }

    /// What is in the message, by which others decide what becomes of it. Beside events there are forms for owners.
    fn traits(&self) -> Traits {
        if self.notification.content.starts_with(b"<event ") { Traits::EVENT } else { Traits::UNKNOWN }
    }

    fn what(&self) -> What {
        What { traits: self.traits(), ..self.kind().into() }
    }
}

fn kind(notification: &Notification) -> StanzaKind {
    StanzaKind::Message(match notification.message_type {
        Kind::Headline => MessageType::Headline,
        Kind::Normal => MessageType::Normal,
    })
}

/// The recipients of one notification, by shard.
struct Shares {
    by_shard: Vec<Packed>,
}

impl Shares {
    fn push(&mut self, flags: u8, address: &str) {
        let bare = address.split_once('/').map_or(address, |(bare, _)| bare);
        let shard = home(bare, self.by_shard.len());
        self.by_shard[shard].push(flags, address);
    }
}

impl Shard {
    /// Notifies those who follow a node of an account that is in memory.
    pub(in crate::shard) fn notify(
        &mut self,
        io: &mut Io<Shard>,
        account: &str,
        notifications: Vec<Notification>,
        groups: &Groups,
    ) {
        for notification in notifications {
            let shares = self.recipients(io.shards(), account, &notification, groups);
            self.trace(kind(&notification), account, "", |_| {
                let recipients = shares.by_shard.iter().flat_map(Packed::iter);
                format!("about {}: to {} accounts, as far as they want it", notification.node, recipients.count())
            });
            self.share_out(io, account, notification, shares);
        }
    }

    /// Who gets a notification: nobody whom the account blocks (XEP-0163 §4.3.2).
    fn recipients(&self, shards: usize, owner: &str, notification: &Notification, groups: &Groups) -> Shares {
        let mut shares = Shares { by_shard: vec![Packed::default(); shards] };
        let Some(account) = self.accounts.account(owner) else { return shares };
        let is_contact = |bare: &str| account.contacts.state(bare).from == Grant::Granted;
        let is_reached = |address: &str| self.is_reached(owner, account, address);
        match &notification.audience {
            Audience::Address(address) => {
                let bare = address.split_once('/').map_or(&**address, |(bare, _)| bare);
                if is_reached(address) {
                    shares.push(if bare == owner || is_contact(bare) { CONTACT } else { 0 }, address);
                }
            }
            Audience::Node(audience) => {
                // Those that are named come first.
                for address in audience.addresses(is_contact).filter(|address| is_reached(address)) {
                    let bare = address.split_once('/').map_or(address, |(bare, _)| bare);
                    shares.push(if is_contact(bare) { CONTACT } else { 0 }, address);
                }
                if let Some(flags) = flags(audience.own) {
                    shares.push(flags, owner);
                }
                for contact in account.contacts.subscribers() {
                    let in_group = |group: &str| groups.has(contact, group).unwrap_or(false);
                    if let Some(flags) = flags(audience.contact(contact, in_group))
                        && is_reached(contact)
                    {
                        shares.push(flags, contact);
                    }
                }
            }
        }
        shares
    }

    /// Whether somebody, in normal form, can be sent something on behalf of an account: this server, or an account of
    /// it, and none that the account blocks.
    pub(super) fn is_reached(&self, owner: &str, account: &Account, address: &str) -> bool {
        let bare = address.split_once('/').map_or(address, |(bare, _)| bare);
        let is_here = self.settings.serves(bare.split_once('@').map_or(bare, |(_, domain)| domain));
        let blocks = || Jid::parse(address).is_ok_and(|jid| deliver::is_blocked(account, owner, &jid));
        is_here && (account.blocks.is_empty() || !blocks())
    }

    fn share_out(&mut self, io: &mut Io<Shard>, account: &str, notification: Notification, shares: Shares) {
        let (from, notification) = (Arc::<str>::from(account), Arc::new(notification));
        for (shard, recipients) in shares.by_shard.into_iter().enumerate() {
            if recipients.is_empty() {
                continue;
            }
            let (from, notification) = (Arc::clone(&from), Arc::clone(&notification));
            let event = Event { from, notification, recipients };
            if shard == io.shard() {
                self.event_arrived(io, &event);
            } else {
                let bytes = event.bytes();
                io.send(shard, Message::Event(Box::new(event)), bytes);
            }
        }
    }

    /// Sends notifications that are for one resource each, from an account that need not be in memory.
    pub(in crate::shard) fn send_items(&mut self, io: &mut Io<Shard>, account: &str, items: Vec<Notification>) {
        for notification in items {
            let Audience::Address(address) = &notification.audience else { continue };
            let mut shares = Shares { by_shard: vec![Packed::default(); io.shards()] };
            shares.push(CONTACT, address);
            self.share_out(io, account, notification, shares);
        }
    }

    /// An event has come for recipients that are at home here.
    pub(in crate::shard) fn event_arrived(&mut self, io: &mut Io<Shard>, event: &Event) {
        for (flags, address) in event.recipients.iter() {
            if flags & INTERESTED == 0 {
                self.event_to(io, event, address, flags & CONTACT != 0);
                continue;
            }
            let reached = self.event_to_interested(io, event, address);
            if !reached && flags & OR_BARE != 0 {
                self.event_to(io, event, address, flags & CONTACT != 0);
            }
        }
    }

    /// Gives an event to every available resource of an account that wants to hear of the node, and does not get it
    /// anyway. Whether there is one.
    fn event_to_interested(&mut self, io: &mut Io<Shard>, event: &Event, bare: &str) -> bool {
        let Some(account) = self.accounts.account(bare) else { return false };
        if !account.blocks.is_empty()
            && let Ok(from) = Jid::parse(&event.from)
            && *bare != *event.from
            && deliver::is_blocked(account, bare, &from)
        {
            self.trace(event.kind(), &event.from, bare, |_| "dropped: the addressee blocks the sender".into());
            return true;
        }
        let named = event.recipients.iter().take_while(|(flags, _)| flags & INTERESTED == 0);
        let sessions = self
            .accounts
            .sessions(bare)
            .filter(|(_, session)| session.presence.is_some() && session.advertised.wants(&event.notification.node));
        let wanted: smallvec::SmallVec<[(SessionKey, bool); 4]> =
            sessions.map(|(key, session)| (key, named.clone().any(|(_, to)| to == session.address.as_str()))).collect();
        self.trace(event.kind(), &event.from, bare, |shard| {
            let (keys, what) = (wanted.iter().map(|(key, _)| *key).collect::<Vec<_>>(), event.what());
            format!("to those who want {}: {}", event.notification.node, shard.names(&keys, &what))
        });
        // Rules look at what comes from somebody else.
        let is_filtered = self.is_filtered(Hook::Deliver, event.kind()) && *bare != *event.from;
        for &(key, is_named) in &wanted {
            let Some(address) = self.accounts.session(key).map(|session| Arc::clone(&session.address)) else {
                continue;
            };
            if !is_named && is_filtered {
                self.event_to(io, event, address.as_str(), true);
            } else if !is_named {
                self.give(io, key, event.what(), |out| {
                    event.notification.write(out, &event.from, address.as_str(), true);
                });
            }
        }
        !wanted.is_empty()
    }

    /// Sends an event to an address that is at home here.
    fn event_to(&mut self, io: &mut Io<Shard>, event: &Event, address: &str, to_contact: bool) {
        let Ok(to) = Jid::parse(address) else { return };
        // Nobody is online, and an event does not wait for who comes: it need not be loaded.
        if event.traits() == Traits::EVENT && to.local().is_some() && self.accounts.account(to.bare()).is_none() {
            return;
        }
        let size = event.notification.len_max(&event.from, address);
        let routed = Routed::new(event.kind(), event.traits(), Sender::of(&event.from), &to, size, |out| {
            event.notification.write(out, &event.from, address, to_contact);
        });
        self.arrive(io, routed);
    }
}
