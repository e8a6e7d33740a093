//! Real-time block lists on their way: questions to the services that publish them, and what comes back. One shard
//! follows them all, the home of the server's own address.

use std::collections::VecDeque;
use std::time::Duration;

use rondel_shards::Io;
use rondel_storage::WriteRequest;
use rondel_storage::listed::{self, Hash};

use super::message::Routed;
use super::roster::written;
use super::task::{Step, Task};
use super::{Shard, TIMER_LISTS, now_s};
use crate::account::{IqType, MessageType, StanzaKind};
use crate::limited_event;
use crate::rtbl::{Follower, Heard, ListAddress, Listed, Say};
use crate::xml::{Element, escape, namespaces as ns};

/// Entries that are written at once.
const AT_ONCE: usize = 2_000;

/// How often lists are looked after.
const TICK: Duration = Duration::from_secs(15);

impl Shard {
    /// Follows the lists from now on.
    pub(super) fn follow_lists(&mut self, io: &mut Io<Shard>) {
        let Some(own) = self.settings.negotiation.domains.first() else { return };
        let lists = self.settings.lists.load();
        let followed = lists.iter().filter(|(address, _)| self.settings.serves(address.service.domain()));
        let follow = |(at, (address, listed)): (usize, &(ListAddress, Listed))| {
            Follower::new(at, own, address.clone(), listed.clone())
        };
        self.followers = followed.enumerate().map(follow).collect();
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
                    let follower = &self.followers[at];
                    self.settings.set_listed(follower.address(), follower.listed());
                    let added = added.chunks(AT_ONCE).map(|some| listed::change(&name, some, &[]));
                    let removed = removed.chunks(AT_ONCE).map(|some| listed::change(&name, &[], some));
                    let requests = removed.chain(added).collect();
                    self.run(io, store(at, requests));
                }
                Say::Store => {
                    let all: Vec<Hash> = self.followers[at].listed().iter().copied().collect();
                    let all = all.chunks(AT_ONCE).map(|some| listed::change(&name, some, &[]));
                    let requests = std::iter::once(listed::clear(&name)).chain(all).collect();
                    self.run(io, store(at, requests));
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
}

/// Stores changes of a list, one after another, so that others have their turn.
fn store(at: usize, mut requests: VecDeque<WriteRequest>) -> Step {
    let Some(request) = requests.pop_front() else { return Step::Done };
    Step::write(request, move |shard, _, _: &Task, outcome| match written(outcome) {
        Ok(()) => store(at, requests),
        Err(_) => {
            // The failure is logged where it is told.
            if let Some(follower) = shard.followers.get_mut(at) {
                follower.was_not_stored();
            }
            Step::Done
        }
    })
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
