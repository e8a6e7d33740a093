//! Real-time block lists on their way: questions to the services that publish them and what comes back, and whom a
//! stranger's words are refused for it. One shard follows them all, the home of the server's own address.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rondel_shards::Io;
use rondel_storage::listed;

use super::message::{Routed, Sender};
use super::roster::written;
use super::task::{Step, Task};
use super::{Settings, Shard, TIMER_LISTS, now_s};
use crate::account::subscription::{Grant, SubscriptionType};
use crate::account::{Account, IqType, MessageType, PresenceType, StanzaKind};
use crate::limited_event;
use crate::rtbl::{Follower, Heard, ListAddress, Listed, Say};
use crate::stream::Refusal;
use crate::xml::{Element, escape, namespaces as ns};

/// How often lists are looked after.
const TICK: Duration = Duration::from_secs(15);

impl Shard {
    /// Follows the lists from now on.
    pub(super) fn follow_lists(&mut self, io: &mut Io<Shard>) {
        let Some(own) = self.settings.negotiation.domains.first() else { return };
        let lists = self.settings.lists.load();
        let followed = lists.iter().filter(|(address, _)| self.settings.serves(address.service.domain()));
        self.followers =
            followed.map(|(address, listed)| Follower::new(own, address.clone(), listed.clone())).collect();
        drop(lists);
        if !self.followers.is_empty() {
            self.look_after_lists(io);
        }
    }

    /// Time has passed.
    pub(super) fn look_after_lists(&mut self, io: &mut Io<Shard>) {
        for at in 0..self.followers.len() {
            let says = self.followers[at].tick(now_s());
            self.do_for_list(io, at, says);
        }
        io.schedule(TICK, TIMER_LISTS);
    }

    /// Something has come for the server itself: the answer to a question about a list, or an event of its node.
    pub(super) fn server_hears(&mut self, io: &mut Io<Shard>, routed: &Routed) {
        let from = routed.from().as_str();
        let of_service = |follower: &Follower| follower.address().service.as_str() == from;
        let all: Vec<usize> = (0..self.followers.len()).filter(|at| of_service(&self.followers[*at])).collect();
        let Some(stanza) = (!all.is_empty()).then(|| Element::parse(routed.stanza()).ok()).flatten() else { return };
        for at in all {
            let follower = &mut self.followers[at];
            let says = match routed.kind {
                StanzaKind::Iq(IqType::Result | IqType::Error) => {
                    let id = stanza.attribute("id").unwrap_or_default();
                    follower.answered(id, heard(&stanza, routed.kind), now_s())
                }
                StanzaKind::Message(kind) if kind != MessageType::Error => {
                    let event = stanza.child("event", ns::PUBSUB_EVENT);
                    event.map(|event| follower.event(event, now_s())).unwrap_or_default()
                }
                _ => Vec::new(),
            };
            self.do_for_list(io, at, says);
        }
    }

    fn do_for_list(&mut self, io: &mut Io<Shard>, at: usize, says: Vec<Say>) {
        let name = self.followers[at].address().name();
        for say in says {
            match say {
                Say::Ask { id, kind, payload } => self.ask_service(io, at, &id, kind, &payload),
                Say::Read(entries) => {
                    tracing::info!(target: "limits", list = name, entries, "a real-time block list was read");
                }
                Say::Fails(reason) => limited_event!(
                    WARN,
                    "limits",
                    list = &*name,
                    reason,
                    "a real-time block list cannot be followed; what is known of it holds"
                ),
                Say::Change { added, removed } => {
                    self.settings.set_listed(self.followers[at].address(), self.followers[at].listed());
                    let request = listed::change(&name, &added, &removed);
                    self.run(
                        io,
                        Step::write(request, |_, _, _: &Task, outcome| {
                            // A failure is logged where it is told, and mended when the list is read again.
                            let _ = written(outcome);
                            Step::Done
                        }),
                    );
                }
            }
        }
    }

    fn ask_service(&mut self, io: &mut Io<Shard>, at: usize, id: &str, kind: &'static str, payload: &Element) {
        let Some(own) = self.settings.negotiation.domains.first().cloned() else { return };
        let service = self.followers[at].address().service.clone();
        let mut iq = format!("<iq type='{kind}' id='{id}' from='").into_bytes();
        escape::attribute(&mut iq, &own);
        iq.extend_from_slice(b"' to='");
        escape::attribute(&mut iq, service.as_str());
        iq.extend_from_slice(b"'>");
        payload.write_to(&mut iq, ns::CLIENT);
        iq.extend_from_slice(b"</iq>");
        let asks = if kind == "get" { IqType::Get } else { IqType::Set };
        self.send(io, StanzaKind::Iq(asks), &own, &service, &iq);
    }

    /// Refuses what somebody sends who is on a block list and no contact of the account; a request to become one is
    /// dropped without a word (`None`).
    #[inline]
    pub(super) fn refuse_listed(
        &self,
        kind: StanzaKind,
        from: Sender<'_>,
        account: &Account,
        bare: &str,
    ) -> Result<(), Option<Refusal>> {
        if !self.settings.has_listed.load(Ordering::Relaxed) || !self.is_listed_stranger(kind, from, account, bare) {
            return Ok(());
        }
        let is_told = matches!(kind, StanzaKind::Message(_));
        Err(is_told.then(|| Refusal::new("cancel", "forbidden").with_text("The sender is on a block list.")))
    }

    #[cold]
    fn is_listed_stranger(&self, kind: StanzaKind, from: Sender<'_>, account: &Account, bare: &str) -> bool {
        let concerns = match kind {
            StanzaKind::Message(kind) => kind != MessageType::Error,
            StanzaKind::Presence(PresenceType::Subscription(kind)) => kind == SubscriptionType::Subscribe,
            _ => false,
        };
        let state = account.contacts.state(from.bare());
        let is_contact = state.to == Grant::Granted || state.from == Grant::Granted;
        let is_server = || !from.bare().contains('@') && self.settings.serves(from.bare());
        concerns
            && from.bare() != bare
            && !is_contact
            && !is_server()
            && self.settings.lists.load().iter().any(|(_, listed): &(_, Listed)| listed.has(from.bare()))
    }
}

fn heard(stanza: &Element, kind: StanzaKind) -> Heard {
    match kind {
        StanzaKind::Iq(IqType::Result) => Heard::Result(stanza.children().next().cloned()),
        _ => {
            let error = stanza.child("error", ns::CLIENT);
            let condition = error.and_then(|error| {
                error.children().find(|child| child.namespace == ns::STANZA_ERRORS && child.name != "text")
            });
            Heard::Error(condition.map_or_else(|| "an error".to_owned(), |condition| condition.name.to_string()))
        }
    }
}

/// Lists and who is on them.
pub type Lists = Vec<(ListAddress, Listed)>;

impl Settings {
    /// Has these lists be what is known.
    pub fn take_lists(&self, lists: Lists) {
        self.has_listed.store(lists.iter().any(|(_, listed)| !listed.is_empty()), Ordering::SeqCst);
        self.lists.store(Arc::new(lists));
    }

    /// Has a list have these entries from now on.
    fn set_listed(&self, address: &ListAddress, listed: &Listed) {
        // One shard changes them.
        let mut lists = Lists::clone(&self.lists.load());
        if let Some((_, known)) = lists.iter_mut().find(|(known, _)| known == address) {
            *known = listed.clone();
        }
        self.take_lists(lists);
    }
}
