//! Messages for accounts of which nobody is there to get them (XEP-0160): kept, and given to the first resource that
//! takes messages again.

use rondel_shards::Io;
use rondel_storage::{LoadError, Outcome, Owner, Page, ReadRequest, WriteRequest, archive, offline as stored};

use super::archiving::{Archived, facts, write_with_id};
use super::give::What;
use super::message::{Routed, Sender};
use super::roster::written;
use super::task::{Step, Task};
use super::ticket::{Behalf, Ticket};
use super::trace::shown;
use super::{Shard, now_s};
use crate::account::delay::Delay;
use crate::account::{
    Direction, Facts, MessageType, Offline, Session, SessionKey, StanzaKind, Traits, Waiting, offline,
};
use crate::limited_event;
use crate::stream::Refusal;
use crate::stream::management::Stored;
use crate::xml::{attribute, attributes};

/// What bounds the messages that wait for one account.
#[derive(Clone, Copy, Debug)]
pub struct OfflineLimits {
    /// How many. Whoever sends one more gets `<service-unavailable/>` (XEP-0160 §2).
    pub messages_max: usize,
    /// Bytes of them, with what is kept about each.
    pub bytes_max: usize,
}

impl OfflineLimits {
    /// What waits after one more message, if there is room for it.
    fn add(&self, waiting: Waiting, stanza_bytes: usize) -> Option<Waiting> {
        let more = Waiting { messages: waiting.messages + 1, bytes: waiting.bytes + stanza_bytes + ENTRY_BYTES };
        (more.messages <= self.messages_max && more.bytes <= self.bytes_max).then_some(more)
    }
}

/// Bytes that are kept about a message, beside its stanza.
const ENTRY_BYTES: usize = 16;

/// Bytes of messages for one account that wait until it is known how much waits already.
const UNCOUNTED_BYTES_MAX: usize = 1 << 20;

/// A message that waits until it is known how much waits already.
pub(super) struct Uncounted {
    routed: Routed,
    facts: Facts,
    ticket: Option<Ticket>,
}

/// A message that a session has left behind.
pub(super) struct Leftover {
    /// The account's number for it.
    pub number: u64,
    /// Where it is on disk already.
    pub stored: Stored,
    /// What it is.
    pub facts: Facts,
    /// As the session was sent it.
    pub stanza: Box<[u8]>,
}

impl Shard {
    /// Nobody is there to get a message: it is stored, if it is of a kind that is, or its sender hears that nobody is.
    pub(super) fn nobody_there(&mut self, io: &mut Io<Shard>, routed: Routed, kind: MessageType) {
        let facts = facts(kind, routed.traits, Direction::Received, routed.from().as_str(), routed.to());
        let outcome = offline(&facts);
        self.trace(routed.kind, routed.from().as_str(), routed.to(), |shard| {
            let archived = shown("archived for the addressee", shard.archive_verdict(&archived(&routed, facts)));
            match outcome {
                Offline::Store(reason) => format!("nobody is there: waits ({reason}); {archived}"),
                Offline::Drop(reason) => format!("nobody is there: dropped ({reason}); {archived}"),
                Offline::Refuse(reason) => format!("nobody is there: refused ({reason})"),
            }
        });
        match (outcome, self.owner_of(routed.bare())) {
            (Offline::Store(_), Some(owner)) => {
                self.store_or_count(io, owner, Uncounted { routed, facts, ticket: None })
            }
            (Offline::Drop(_), _) => {
                let message = archived(&routed, facts);
                if self.is_archived(&message) {
                    let number = self.next_number();
                    self.archive(io, &message, number, |out| out.extend_from_slice(routed.stanza()));
                }
            }
            (Offline::Refuse(_) | Offline::Store(_), _) => self.bounce(io, &routed, &Refusal::service_unavailable()),
        }
    }

    /// A resource takes messages from now on: it gets what has waited.
    pub(super) fn give_waiting(&mut self, io: &mut Io<Shard>, account: &str, key: SessionKey) {
        let Some(owner) = self.owner_of(account) else { return };
        let limits = self.settings.offline;
        let account = account.to_owned();
        self.queue(io, &account.clone(), Task::default(), move |shard, _, _| {
            let given = shard.accounts.account(&account).map_or(0, |account| account.given_up_to);
            let page = stored::page(&owner, (given > 0).then_some(given), limits.messages_max, limits.bytes_max);
            Step::read(ReadRequest::Page(page), move |shard, io, _: &Task, outcome| {
                shard.waiting_read(io, owner, key, outcome)
            })
        });
    }

    /// Messages that have waited, and were given to a session, have not arrived: others may get them.
    pub(super) fn give_waiting_again(&mut self, io: &mut Io<Shard>, account: &str) {
        if let Some(account) = self.accounts.account_mut(account) {
            account.given_up_to = 0;
        }
        self.waiting_stored(io, account, true);
    }

    fn waiting_read(&mut self, io: &mut Io<Shard>, owner: Owner, key: SessionKey, outcome: Outcome) -> Step {
        let page = match outcome {
            Outcome::Page(page) if page.entries.is_empty() => return Step::Done,
            Outcome::Page(page) => page,
            other => return unreadable(&LoadError::unexpected(other)),
        };
        let now = now_s();
        let is_managed = self.accounts.session(key).is_some_and(|session| session.managed.is_some());
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
            let what = What {
                stored: Stored::Offline,
                at_us: Some(entry.id()),
                traits: Traits::BODY,
                ..StanzaKind::Message(MessageType::Normal).into()
            };
            let is_given = !is_wanted
                || self.give(io, key, what, |out| {
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
        let Some(&last) = given.last() else { return Step::Done };
        if let Some(account) = self.accounts.account_mut(&owner.to_string()) {
            account.given_up_to = last;
            // A client with stream management says when it has them.
            if is_managed {
                return Step::Done;
            }
            account.waiting = None;
        }
        let removal = stored::remove(WriteRequest::new(owner), &given);
        Step::write(removal, |_, _, _: &Task, outcome| {
            // It is said in the log; they come twice then, which is better than not at all.
            let _ = written(outcome);
            Step::Done
        })
    }

    /// Counts what waits for an account, unless that is known, and goes on; with nothing if it cannot be read.
    fn counted_waiting(
        &mut self,
        owner: Owner,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, Owner, Option<Waiting>) -> Step + 'static,
    ) -> Step {
        let account = owner.to_string();
        let known = self.accounts.account(&account).is_some_and(|account| account.waiting.is_some());
        let limits = self.settings.offline;
        let request = match known {
            // Nothing has to be read: an empty read answers at once.
            true => ReadRequest::Several(Vec::new()),
            false => ReadRequest::Page(stored::page(&owner, None, limits.messages_max, limits.bytes_max)),
        };
        Step::read(request, move |shard, io, _: &Task, outcome| {
            let counted = match outcome {
                Outcome::Page(page) => Some(count(&page)),
                Outcome::Several(_) => shard.accounts.account(&account).and_then(|account| account.waiting),
                other => {
                    let error = LoadError::unexpected(other);
                    limited_event!(WARN, "storage", "offline messages cannot be read: {error}");
                    None
                }
            };
            then(shard, io, owner, counted)
        })
    }

    /// Stores a message, once it is known how much waits for the account already.
    fn store_or_count(&mut self, io: &mut Io<Shard>, owner: Owner, message: Uncounted) {
        let Some(account) = self.accounts.account(message.routed.bare()) else { return };
        let is_counting = self.uncounted.contains_key(message.routed.bare());
        if !is_counting && account.waiting.is_some() {
            return self.store(io, owner, message);
        }
        let bare = message.routed.bare().to_owned();
        let so_far = self.uncounted.entry_ref(&*bare).or_default();
        let bytes: usize = so_far.iter().map(|message| message.routed.bytes()).sum();
        if bytes + message.routed.bytes() > UNCOUNTED_BYTES_MAX {
            return self.no_room(io, &message, &Refusal::service_unavailable());
        }
        let ticket = self.ticket(io);
        if let Some(so_far) = self.uncounted.get_mut(&*bare) {
            so_far.push(Uncounted { ticket, ..message });
        }
        if !is_counting {
            self.count_and_store(io, &bare, owner);
        }
    }

    fn count_and_store(&mut self, io: &mut Io<Shard>, bare: &str, owner: Owner) {
        if self.tasks.is_full(bare) {
            return self.store_counted(io, bare, &owner, None);
        }
        let account = bare.to_owned();
        self.queue(io, bare, Task::default(), move |shard, _, _| {
            shard.counted_waiting(owner, move |shard, io, owner, waiting| {
                shard.store_counted(io, &account, &owner, waiting);
                Step::Done
            })
        });
    }

    fn store_counted(&mut self, io: &mut Io<Shard>, bare: &str, owner: &Owner, waiting: Option<Waiting>) {
        if let Some(account) = self.accounts.account_mut(bare) {
            account.waiting = waiting;
        }
        for mut message in self.uncounted.remove(bare).unwrap_or_default() {
            let behalf = Behalf::of(message.ticket.take());
            self.on_behalf(behalf, |shard| match waiting {
                Some(_) => shard.store(io, owner.clone(), message),
                None => shard.no_room(io, &message, &Refusal::new("wait", "resource-constraint")),
            });
        }
    }

    /// Adds a message to those that wait, and to the archive, if there is room.
    fn store(&mut self, io: &mut Io<Shard>, owner: Owner, message: Uncounted) {
        let Uncounted { routed, facts, .. } = &message;
        let stanza = routed.stanza();
        let limits = self.settings.offline;
        let more = match self.accounts.account_mut(routed.bare()) {
            Some(account) => {
                let more = account.waiting.and_then(|waiting| limits.add(waiting, stanza.len()));
                account.waiting = more.or(account.waiting);
                more
            }
            None => None,
        };
        if more.is_none() {
            return self.no_room(io, &message, &Refusal::service_unavailable());
        }
        let number = self.next_number();
        let kept = archived(routed, *facts);
        let mut request = WriteRequest::new(owner);
        let mut waiting = stanza.to_vec();
        let is_archived = self.is_archived(&kept);
        self.counts(io).offline.add(1);
        if is_archived {
            self.counts(io).archived.add(1);
        }
        if let Some(settings) = self.settings.archive.as_ref().filter(|_| is_archived) {
            let id = settings.ids.text(number);
            waiting.clear();
            write_with_id(&mut waiting, routed.bare(), &id, |out| out.extend_from_slice(stanza));
            request = archive::append(request, number, routed.from().bare(), false, stanza.len(), |out| {
                out.extend_from_slice(stanza);
            });
        }
        let request = stored::append(request, number, now_s(), None, waiting.len(), |out| {
            out.extend_from_slice(&waiting);
        });
        let id = attribute(stanza, "id").map(|id| id.decoded().into_owned());
        self.gather_waiting(io, &kept, id, request);
        if is_archived {
            self.archived(io, routed.bare(), stanza.len());
            if facts.traits.has(Traits::RETRACTION) {
                self.retracted(io, routed.bare(), routed.from().bare(), stanza);
            }
        }
    }

    /// A message cannot wait. It is no loss if it is in the archive.
    fn no_room(&mut self, io: &mut Io<Shard>, message: &Uncounted, refusal: &Refusal) {
        let Uncounted { routed, facts, .. } = message;
        let kept = archived(routed, *facts);
        let is_archived = self.is_archived(&kept);
        self.trace(routed.kind, routed.from().as_str(), routed.to(), |_| match is_archived {
            true => "too much waits already: it is in the archive only".into(),
            false => "refused: too much waits already".into(),
        });
        if is_archived {
            let number = self.next_number();
            self.archive(io, &kept, number, |out| out.extend_from_slice(routed.stanza()));
        } else {
            self.bounce(io, routed, refusal);
        }
    }

    /// What was to wait for an account is in the store, or is not.
    pub(super) fn waiting_stored(&mut self, io: &mut Io<Shard>, account: &str, is_written: bool) {
        if !is_written {
            if let Some(account) = self.accounts.account_mut(account) {
                account.waiting = None;
            }
            return;
        }
        // Somebody may have come who has not seen it when it looked for what waits.
        let takes = |session: &Session| session.presence.as_ref().is_some_and(|it| it.priority >= 0);
        let found = self.accounts.sessions(account).find(|(_, session)| takes(session)).map(|(key, _)| key);
        if let Some(key) = found {
            self.give_waiting(io, account, key);
        }
    }

    /// Stores what a session has left behind, under the numbers that it has: what two sessions leave behind is there
    /// once.
    pub(super) fn store_left(&mut self, io: &mut Io<Shard>, account: &str, left: Vec<Leftover>) {
        let mut storable = Vec::new();
        for message in left {
            match offline(&message.facts) {
                Offline::Store(_) => storable.push(message),
                Offline::Refuse(_) => self.not_kept(io, account, &message, &Refusal::service_unavailable()),
                Offline::Drop(_) => {}
            }
        }
        if storable.is_empty() {
            return;
        }
        let Some(owner) = self.owner_of(account) else {
            let refusal = Refusal::service_unavailable();
            return storable.iter().for_each(|message| self.not_kept(io, account, message, &refusal));
        };
        self.queue(io, account, Task::default(), move |shard, _, _| {
            shard.counted_waiting(owner, move |shard, io, owner, waiting| {
                shard.store_all_left(io, owner, storable, waiting)
            })
        });
    }

    fn store_all_left(
        &mut self,
        io: &mut Io<Shard>,
        owner: Owner,
        left: Vec<Leftover>,
        waiting: Option<Waiting>,
    ) -> Step {
        let account = owner.to_string();
        let mut request = WriteRequest::new(owner);
        let mut kept = Vec::new();
        let mut so_far = waiting;
        for message in left {
            match so_far.and_then(|so_far| self.settings.offline.add(so_far, message.stanza.len())) {
                Some(more) => {
                    so_far = Some(more);
                    request = stored::append(request, message.number, now_s(), None, message.stanza.len(), |out| {
                        out.extend_from_slice(&message.stanza);
                    });
                    kept.push(message);
                }
                None => self.not_kept(io, &account, &message, &Refusal::service_unavailable()),
            }
        }
        if let Some(account) = self.accounts.account_mut(&account) {
            account.waiting = so_far;
            // They may be older than what was given out last.
            account.given_up_to = 0;
        }
        if kept.is_empty() {
            return Step::Done;
        }
        Step::write(request, move |shard, io, _: &Task, outcome| {
            if let Err(refusal) = written(outcome) {
                if let Some(account) = shard.accounts.account_mut(&account) {
                    account.waiting = None;
                }
                kept.iter().for_each(|message| shard.not_kept(io, &account, message, &refusal));
            } else {
                // Somebody may have come meanwhile.
                shard.give_waiting_again(io, &account);
            }
            Step::Done
        })
    }

    /// The sender of a message hears that nobody has got it, unless it is in the archive, where it will be found.
    fn not_kept(&mut self, io: &mut Io<Shard>, account: &str, message: &Leftover, refusal: &Refusal) {
        if message.stored == Stored::Archive {
            return;
        }
        let [from, to, id] = attributes(&message.stanza, ["from", "to", "id"]);
        let Some(from) = from else { return };
        let kind = StanzaKind::Message(message.facts.kind);
        self.refuse(io, kind, &from, to.as_deref().unwrap_or(account), id.as_deref(), refusal);
    }
}

/// A message as it goes into the archive of its addressee.
pub(super) fn archived(routed: &Routed, facts: Facts) -> Archived<'_> {
    let from: Sender<'_> = routed.from();
    Archived { account: routed.bare(), from, to: routed.to(), facts }
}

fn count(page: &Page) -> Waiting {
    Waiting { messages: page.entries.len(), bytes: page.entries.iter().map(|(_, value)| value.len()).sum() }
}

fn unreadable(error: &LoadError) -> Step {
    limited_event!(WARN, "storage", "offline messages cannot be read: {error}");
    Step::Done
}
