//! Writing archives (XEP-0313): what an account sends and gets goes into its archive while it is on its way, and nobody
//! waits for it but the acknowledgement to its sender. What is archived is decided in [`crate::account`].

use std::time::Duration;

use rondel_shards::Io;
use rondel_storage::archive::Appends;
use rondel_storage::{Outcome, QUIET, Reply, WriteRequest};

use super::message::Sender;
use super::roster::{failed, now_micros};
use super::ticket::Ticket;
use super::{Shard, TIMER_STORAGE};
use crate::account::archive_ids::IdText;
use crate::account::{
    DefaultPolicy, Direction, Facts, MessageType, Preferences, StanzaKind, Traits, Verdict, append_stanza_id, archive,
};
use crate::jid::Jid;
use crate::limited_event;
use crate::stream::Refusal;
use crate::xml::{attribute, escape};

/// What waits for a write of the shard's own accord.
pub(super) struct Receipt {
    /// On whose behalf it was.
    _ticket: Option<Ticket>,
    /// Who hears of it if it fails.
    sender: Option<Box<Awaiting>>,
    /// The account for which it is to wait, if it is.
    waits_for: Option<Box<str>>,
}

/// The sender of a message that may turn out not to be kept.
struct Awaiting {
    kind: StanzaKind,
    from: String,
    to: String,
    id: Option<String>,
}

impl Awaiting {
    fn of(message: &Archived<'_>, id: Option<String>) -> Awaiting {
        let (from, to) = (message.from.as_str().to_owned(), message.to.to_owned());
        Awaiting { kind: StanzaKind::Message(message.facts.kind), from, to, id }
    }
}

/// Set in the tokens of what is gathered; those of tasks have the highest bit, too, but not this one.
const GATHERED: u64 = 3 << 62;

/// How long it is waited before it is seen to whether the storage has caught up.
const CATCHES_UP_WITHIN: Duration = Duration::from_millis(2);

/// Whether a reply is to something that was gathered.
pub(super) fn is_gathered(token: u64) -> bool {
    token & GATHERED == GATHERED
}

/// A message as it is archived for one account.
pub(super) struct Archived<'a> {
    /// The account.
    pub account: &'a str,
    /// Who has sent it.
    pub from: Sender<'a>,
    /// To whom.
    pub to: &'a str,
    /// What it is.
    pub facts: Facts,
}

impl Archived<'_> {
    fn peer(&self) -> &str {
        match self.facts.direction {
            Direction::Sent => self.to,
            Direction::Received => self.from.as_str(),
        }
    }
}

impl Shard {
    /// The number of what comes to an account now, which no other message of an account here has: microseconds since
    /// 1970.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number = now_micros().max(self.last_number + 1);
        self.last_number
    }

    /// Whether a message goes into an account's archive.
    pub(super) fn is_archived(&self, message: &Archived<'_>) -> bool {
        self.archive_verdict(message).is_yes()
    }

    /// The same with the reason.
    pub(super) fn archive_verdict(&self, message: &Archived<'_>) -> Verdict {
        let Some(settings) = &self.settings.archive else { return Verdict::No("there are no archives") };
        let account = self.accounts.account(message.account).filter(|account| account.owner.is_some());
        let Some(account) = account else { return Verdict::No("nothing is stored of the account") };
        let verdict = archive(&message.facts);
        if !verdict.is_yes() || (account.archiving.is_none() && settings.default == DefaultPolicy::Always) {
            return verdict;
        }
        let Ok(peer) = Jid::parse(message.peer()) else { return Verdict::No("with nobody") };
        let by_default = Preferences::new::<&str>(settings.default, &[], &[]);
        let preferences = account.archiving.as_deref().unwrap_or(&by_default);
        preferences.archives(&peer, || account.contacts.state(peer.bare()).listed)
    }

    /// Has a message written to an account's archive, under this number, when the turn ends.
    pub(super) fn archive(
        &mut self,
        io: &mut Io<Shard>,
        message: &Archived<'_>,
        number: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let ticket = self.ticket(io);
        let Some(owner) = self.accounts.account(message.account).and_then(|account| account.owner.as_ref()) else {
            return;
        };
        let is_sent = message.facts.direction == Direction::Sent;
        let peer = message.peer();
        let with = &peer[..peer.find('/').unwrap_or(peer.len())];
        let token = match &ticket {
            Some(_) => GATHERED | self.receipts.vacant_key() as u64,
            None => QUIET,
        };
        self.settings.counts[io.shard()].archived.add(1);
        let mut bytes = 0;
        let mut id: Option<String> = None;
        let mut retraction: Option<Vec<u8>> = None;
        self.appends.push(token, owner, number, with, is_sent, |out| {
            let start = out.len();
            write(out);
            let stanza = out.get(start..).unwrap_or_default();
            bytes = stanza.len();
            if ticket.is_some() {
                id = attribute(stanza, "id").map(|id| id.decoded().into_owned());
            }
            if message.facts.traits.has(Traits::RETRACTION) {
                retraction = Some(stanza.to_vec());
            }
        });
        if ticket.is_some() {
            let sender = Some(Box::new(Awaiting::of(message, id)));
            self.receipts.insert(Receipt { _ticket: ticket, sender, waits_for: None });
        }
        io.want_turn_end();
        self.archived(io, message.account, bytes);
        if let Some(retraction) = retraction {
            self.retracted(io, message.account, with, &retraction);
        }
    }

    /// Has a message written when the turn ends that is to wait for its addressee.
    pub(super) fn gather_waiting(
        &mut self,
        io: &mut Io<Shard>,
        message: &Archived<'_>,
        id: Option<String>,
        request: WriteRequest,
    ) {
        let sender = Some(Box::new(Awaiting::of(message, id)));
        let receipt = Receipt { _ticket: self.ticket(io), sender, waits_for: Some(message.account.into()) };
        self.gather(Some(receipt), request);
        io.want_turn_end();
    }

    /// Has something written when the turn ends.
    pub(super) fn gather(&mut self, receipt: Option<Receipt>, request: WriteRequest) {
        let token = receipt.map_or(QUIET, |receipt| GATHERED | self.receipts.insert(receipt) as u64);
        self.gathered.push((token, request));
    }

    /// Hands over to the storage what was gathered.
    pub(super) fn write_gathered(&mut self, io: &mut Io<Shard>) {
        if self.gathered.is_empty() && self.appends.is_empty() {
            return;
        }
        let gathered = std::mem::take(&mut self.gathered);
        let next = Appends::as_roomy_as(&self.appends);
        let appends = std::mem::replace(&mut self.appends, next);
        self.wait_for_storage(io);
        let awaited: Vec<u64> =
            gathered.iter().map(|(token, _)| *token).chain(appends.tokens()).filter(|&token| token != QUIET).collect();
        if let Err(busy) = self.storage.write_turn(gathered, appends) {
            limited_event!(ERROR, "storage", "messages were not written: {busy}");
            for token in awaited {
                self.gathered_stored(io, Reply { token, outcome: Outcome::Failed(busy.into()) });
            }
        }
    }

    /// Nobody is read from while too much waits to be written or read: what cannot be kept, or looked up, would have to
    /// be refused.
    pub(super) fn wait_for_storage(&mut self, io: &mut Io<Shard>) {
        if !self.storage.is_behind() {
            return;
        }
        io.hold_reads(true);
        if !std::mem::replace(&mut self.is_storage_awaited, true) {
            io.schedule(CATCHES_UP_WITHIN, TIMER_STORAGE);
        }
    }

    /// The storage has answered what was gathered: the ticket goes back, and the sender of a message that was not kept
    /// hears of it.
    pub(super) fn gathered_stored(&mut self, io: &mut Io<Shard>, reply: Reply) {
        let receipt = match reply.token {
            QUIET => None,
            token => self.receipts.try_remove((token & !GATHERED) as usize),
        };
        let is_written = reply.outcome == Outcome::Written;
        if let Some(account) = receipt.as_ref().and_then(|receipt| receipt.waits_for.as_ref()) {
            self.waiting_stored(io, account, is_written);
        }
        let refusal = match reply.outcome {
            Outcome::Written => return,
            Outcome::Failed(failure) => {
                limited_event!(ERROR, "storage", "a message was not written: {failure}");
                failed(&failure)
            }
            _ => Refusal::internal_server_error(),
        };
        let Some(Receipt { sender: Some(sender), .. }) = receipt else { return };
        self.refuse(io, sender.kind, &sender.from, &sender.to, sender.id.as_deref(), &refusal);
    }
}

/// Appends a message and the id under which the account's archive has it (XEP-0359).
pub(super) fn write_with_id(out: &mut Vec<u8>, account: &str, id: &IdText, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    if account.contains(['&', '<', '\'', '"', '>']) {
        append_stanza_id(out, start, &escape::attribute_value(account), id.as_str());
    } else {
        append_stanza_id(out, start, account, id.as_str());
    }
}

/// The facts by which it is decided what becomes of a message.
pub(super) fn facts(kind: MessageType, traits: Traits, direction: Direction, from: &str, to: &str) -> Facts {
    Facts { kind, traits, direction, from_full: from.contains('/'), to_full: to.contains('/') }
}
