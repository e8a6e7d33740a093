//! Messages for accounts of which nobody is there to get them (XEP-0160): kept, and given to the first resource that
//! takes messages again.

use rondel_shards::Io;
use rondel_storage::{LoadError, Outcome, Owner, ReadRequest, WriteRequest, offline as stored};

use super::message::Routed;
use super::roster::{now_micros, written};
use super::task::{Step, Task};
use super::{Shard, now_s};
use crate::account::delay::Delay;
use crate::account::{Direction, Facts, MessageType, Offline, SessionKey, StanzaKind, Traits, Waiting, offline};
use crate::limited_event;
use crate::stream::Refusal;

/// What bounds the messages that wait for one account.
#[derive(Clone, Copy, Debug)]
pub struct OfflineLimits {
    /// How many. Whoever sends one more gets `<service-unavailable/>` (XEP-0160 §2).
    pub messages_max: usize,
    /// Bytes of them, with what is kept about each.
    pub bytes_max: usize,
}

/// Bytes that are kept about a message, beside its stanza.
const ENTRY_BYTES: usize = 16;

impl Shard {
    /// Nobody is there to get a message: it is stored, if it is of a kind that is, or its sender hears that nobody is.
    pub(super) fn nobody_there(&mut self, io: &mut Io<Shard>, routed: Routed, kind: MessageType) {
        let facts = Facts {
            kind,
            traits: routed.traits,
            direction: Direction::Received,
            from_full: routed.from().as_str() != routed.from().bare(),
            to_full: routed.resource().is_some(),
        };
        let owner = match (offline(&facts), self.owner_of(routed.bare())) {
            (Offline::Store(_), Some(owner)) => owner,
            (Offline::Drop(_), _) => return,
            (Offline::Refuse(_) | Offline::Store(_), _) => {
                return self.bounce(io, &routed, &Refusal::service_unavailable());
            }
        };
        let account = routed.bare().to_owned();
        self.queue(io, &account, Task::default(), move |shard, io, _| store(shard, io, owner, routed));
    }

    /// A resource takes messages from now on: it gets what has waited.
    pub(super) fn give_waiting(&mut self, io: &mut Io<Shard>, account: &str, key: SessionKey) {
        let Some(owner) = self.owner_of(account) else { return };
        let limits = self.settings.offline;
        self.queue(io, account, Task::default(), move |_, _, _| {
            let page = stored::page(&owner, None, limits.messages_max, limits.bytes_max);
            Step::read(ReadRequest::Page(page), move |shard, io, _: &Task, outcome| {
                shard.waiting_read(io, owner, key, outcome)
            })
        });
    }

    fn waiting_read(&mut self, io: &mut Io<Shard>, owner: Owner, key: SessionKey, outcome: Outcome) -> Step {
        let page = match outcome {
            Outcome::Page(page) if page.entries.is_empty() => return Step::Done,
            Outcome::Page(page) => page,
            other => return unreadable(&LoadError::unexpected(other)),
        };
        let now = now_s();
        let mut given = Vec::new();
        for entry in stored::decode_page(page) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    limited_event!(WARN, "storage", "an offline message cannot be read: {error}");
                    continue;
                }
            };
            let is_wanted = entry.expires().is_none_or(|expires| expires > now);
            let delay = Delay { from: Some(owner.domain()), at_us: entry.id(), reason: "" };
            let is_given = !is_wanted
                || self.give(io, key, StanzaKind::Message(MessageType::Normal), |out| {
                    let start = out.len();
                    out.extend_from_slice(entry.stanza());
                    delay.append_to(out, start);
                });
            // What finds no room waits for the next time, in its order.
            if !is_given {
                break;
            }
            given.push(entry.id());
        }
        if given.is_empty() {
            return Step::Done;
        }
        if let Some(account) = self.accounts.account_mut(&owner.to_string()) {
            account.waiting = None;
        }
        let removal = stored::remove(WriteRequest::new(owner), &given);
        Step::write(removal, |_, _, _: &Task, outcome| {
            // It is said in the log; they come twice then, which is better than not at all.
            let _ = written(outcome);
            Step::Done
        })
    }
}

/// Counts what waits already, unless that is known, and adds a message if there is room.
fn store(shard: &mut Shard, io: &mut Io<Shard>, owner: Owner, routed: Routed) -> Step {
    if let Some(waiting) = shard.accounts.account(routed.bare()).and_then(|account| account.waiting) {
        return append(shard, io, owner, routed, waiting);
    }
    let limits = shard.settings.offline;
    let page = stored::page(&owner, None, limits.messages_max, limits.bytes_max);
    Step::read(ReadRequest::Page(page), move |shard, io, _: &Task, outcome| {
        let page = match outcome {
            Outcome::Page(page) => page,
            other => {
                shard.bounce(io, &routed, &Refusal::internal_server_error());
                return unreadable(&LoadError::unexpected(other));
            }
        };
        let last = page.entries.last().and_then(|(key, _)| Some(u64::from_be_bytes(*key.last_chunk()?)));
        let bytes = page.entries.iter().map(|(_, value)| value.len()).sum();
        let waiting = Waiting { messages: page.entries.len(), bytes, last: last.unwrap_or_default() };
        append(shard, io, owner, routed, waiting)
    })
}

fn append(shard: &mut Shard, io: &mut Io<Shard>, owner: Owner, routed: Routed, waiting: Waiting) -> Step {
    let limits = shard.settings.offline;
    let stanza = routed.stanza();
    let more = Waiting {
        messages: waiting.messages + 1,
        bytes: waiting.bytes + stanza.len() + ENTRY_BYTES,
        last: now_micros().max(waiting.last + 1),
    };
    let has_room = more.messages <= limits.messages_max && more.bytes <= limits.bytes_max;
    if let Some(account) = shard.accounts.account_mut(routed.bare()) {
        account.waiting = Some(if has_room { more } else { waiting });
    }
    if !has_room {
        shard.bounce(io, &routed, &Refusal::service_unavailable());
        return Step::Done;
    }
    let request = stored::append(WriteRequest::new(owner), more.last, now_s(), None, stanza.len(), |out| {
        out.extend_from_slice(stanza);
    });
    Step::write(request, move |shard, io, _: &Task, outcome| {
        if let Err(refusal) = written(outcome) {
            if let Some(account) = shard.accounts.account_mut(routed.bare()) {
                account.waiting = None;
            }
            shard.bounce(io, &routed, &refusal);
        }
        Step::Done
    })
}

fn unreadable(error: &LoadError) -> Step {
    limited_event!(WARN, "storage", "offline messages cannot be read: {error}");
    Step::Done
}

/// The traits of a message, by which it is decided whether it waits.
pub(super) fn traits(kind: StanzaKind, frame: &crate::xml::Frame<'_>) -> Traits {
    if matches!(kind, StanzaKind::Message(_)) { Traits::of(frame) } else { Traits::NONE }
}
