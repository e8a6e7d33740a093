//! The roster of a session's account: requests, pushes, and subscription stanzas in both directions (RFC 6121 §2, §3).
//! What they mean is decided in [`crate::account::roster`]; here it is read, written and sent.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_shards::Io;
use rondel_storage::roster::Roster;
use rondel_storage::{LoadError, Outcome, Owner, PageRequest, ReadRequest, roster as stored};

use super::Shard;
use super::invites::token_in;
use super::message::Routed;
use super::stream::Stream;
use super::task::{Asker, Step, Task};
use crate::account::roster::{self, Change, Exchange, Get, GetRequest, Opened, SetRequest, Settled};
use crate::account::subscription::{ContactGets, Grant, Passage, SubscriptionType};
use crate::account::{Account, Bearer, IqType, PresenceType, SessionKey, StanzaKind};
use crate::jid::Jid;
use crate::service::{Action, Answer};
use crate::stream::{Refusal, StanzaCondition};
use crate::xml::{Element, Frame, Stamp, escape, namespaces as ns, write_addressed};
use crate::{limited_event, random};

/// Contacts that are read at once.
const CONTACTS_AT_ONCE: usize = 1000;

/// A subscription stanza, from bare JID to bare JID.
struct Stanza {
    kind: SubscriptionType,
    bytes: Vec<u8>,
    /// Whether the account has sent it.
    is_outbound: bool,
    /// The session that has, if rules may ask about it.
    bearer: Option<Arc<Bearer>>,
}

impl Shard {
    /// A request of a session for its account's roster, or to change it.
    pub(super) fn roster_request(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: Asker,
        action: Action,
        query: Element,
    ) {
        let Some(owner) = self.owner_of(asker.address.bare()) else {
            return self.run_request(io, stream, asker, Step::refuse(Refusal::service_unavailable()));
        };
        self.queue_request(io, stream, asker, move |shard, _, task| match action {
            Action::Get => shard.get_roster(owner, task, &query),
            Action::Set => shard.set_roster(owner, &query),
        });
    }

    /// The owner of what is stored of an account; none for an anonymous one.
    pub(super) fn owner_of(&self, bare_jid: &str) -> Option<Owner> {
        match self.accounts.account(bare_jid) {
            Some(account) => account.owner.clone(),
            None if self.settings.is_anonymous(bare_jid) => None,
            None => Owner::parse(bare_jid).ok(),
        }
    }

    fn get_roster(&mut self, owner: Owner, task: &Task, query: &Element) -> Step {
        let Some(account) = self.account_of(&owner) else { return Step::Done };
        match roster::get(&account.contacts, query) {
            Err(condition) => Step::refuse(condition.into()),
            Ok(get) => {
                if let Some(session) = task.session().and_then(|key| self.accounts.session_mut(key)) {
                    session.interested = true;
                }
                match get {
                    Get::Unchanged => Step::Answer(Answer::Result(None)),
                    Get::Read(request) => {
                        let page = request.read(&owner, CONTACTS_AT_ONCE);
                        read_roster(page, Roster::default(), request)
                    }
                }
            }
        }
    }

    fn set_roster(&mut self, owner: Owner, query: &Element) -> Step {
        let Some(account) = self.account_of(&owner) else { return Step::Done };
        match roster::set(&owner, &account.contacts, query, &self.settings.roster) {
            Err(condition) => Step::refuse(condition.into()),
            Ok(request) => Step::read(request.read(&owner), move |shard, _, _: &Task, outcome| {
                shard.change_roster(owner, request, outcome)
            }),
        }
    }

    fn change_roster(&mut self, owner: Owner, request: SetRequest, outcome: Outcome) -> Step {
        let Some(account) = self.account_of(&owner) else { return Step::Done };
        let item = match stored::decode(&owner, request.contact(), outcome) {
            Ok(item) => item,
            Err(error) => return unreadable(&error),
        };
        match request.with_stored(&owner, item.as_ref(), &account.contacts, now_micros()) {
            Err(condition) => Step::refuse(condition.into()),
            Ok(roster::Outcome { change, farewell }) => {
                Step::write(change.write.clone(), move |shard, io, _: &Task, outcome| {
                    if let Err(refusal) = written(outcome) {
                        return Step::refuse(refusal);
                    }
                    let account = owner.to_string();
                    if let (Some(farewell), Ok(contact)) = (farewell, Jid::parse(change.contact())) {
                        shard.send_presence(io, &account, &contact, farewell.presence);
                        let ends = [
                            (farewell.unsubscribe, SubscriptionType::Unsubscribe),
                            (farewell.unsubscribed, SubscriptionType::Unsubscribed),
                        ];
                        for (_, kind) in ends.into_iter().filter(|(is_due, _)| *is_due) {
                            shard.send_subscription(io, &account, &contact, kind);
                        }
                    }
                    shard.take_over(io, &account, &change);
                    Step::Answer(Answer::Result(None))
                })
            }
        }
    }

    /// A change is on disk: it holds, and clients hear of it.
    fn take_over(&mut self, io: &mut Io<Shard>, account: &str, change: &Change) {
        let Some(state) = self.accounts.account_mut(account) else { return };
        let before = state.contacts.state(change.contact());
        change.apply(&mut state.contacts);
        let after = state.contacts.state(change.contact());
        if let Some(push) = &change.push {
            self.push(io, account, push, |session| session.interested);
        }
        // Who may follow what the account publishes depends on subscriptions and groups.
        if before.from == Grant::Granted && (after.from != Grant::Granted || change.push.is_some()) {
            self.reassess(io, account, change.contact());
        }
        if before.to != Grant::Granted && after.to == Grant::Granted {
            self.send_newest_of(io, account, change.contact());
        }
    }

    /// Sends the payload of an IQ of type `set` to those resources of an account that want it (RFC 6121 §2.1.6).
    pub(super) fn push(
        &mut self,
        io: &mut Io<Shard>,
        account: &str,
        payload: &Element,
        is_wanted: impl Fn(&crate::account::Session) -> bool,
    ) {
        let mut inner = Vec::new();
        payload.write_to(&mut inner, ns::CLIENT);
        let wanted = self.accounts.sessions(account).filter(|(_, session)| is_wanted(session));
        let keys: Vec<SessionKey> = wanted.map(|(key, _)| key).collect();
        for key in keys {
            let Some(address) = self.accounts.session(key).map(|session| std::sync::Arc::clone(&session.address))
            else {
                continue;
            };
            let head = format!("<iq type='set' id='push-{}' to='{}'>", random::name(), address.escaped());
            self.give(io, key, StanzaKind::Iq(IqType::Set), |out| {
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(&inner);
                out.extend_from_slice(b"</iq>");
            });
        }
    }

    /// A subscription stanza of a session to a contact.
    pub(super) fn subscription_from(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        frame: &Frame<'_>,
        kind: SubscriptionType,
        to: &Jid<'_>,
    ) {
        let Some(session) = stream.session() else { return };
        let account = session.address.bare().to_owned();
        let Some(owner) = self.owner_of(&account) else {
            return self.answer_error(io, stream, frame, StanzaCondition::NotAllowed);
        };
        if !self.settings.serves(to.domain()) {
            return self.answer_error(io, stream, frame, StanzaCondition::RemoteServerNotFound);
        }
        let presence = StanzaKind::Presence(PresenceType::Subscription(kind));
        if kind == SubscriptionType::Subscribe
            && let Some(refusal) = self.withheld(io, &session.address, presence, to)
        {
            return self.answer_refusal(io, stream, frame, &refusal);
        }
        let contact = to.to_bare();
        let bytes = between_accounts(frame, &account, contact.as_str(), stream.lang.as_deref());
        let key = session.key;
        let bearer = self.bearer_to_send(io, presence, key);
        let stanza = Stanza { kind, bytes, is_outbound: true, bearer };
        let Some(state) = self.accounts.account(&account) else { return };
        // Errors are known at once, while the stanza to be answered is at hand.
        if let Err(condition) = roster::outbound(&owner, &state.contacts, to, kind, &self.settings.roster) {
            return self.answer_error(io, stream, frame, condition);
        }
        self.send_out(io, owner, account, contact, stanza);
    }

    /// The server says for an account what it could say itself.
    pub(super) fn subscribe_on_behalf(
        &mut self,
        io: &mut Io<Shard>,
        account: &str,
        contact: &Jid<'_>,
        kind: SubscriptionType,
    ) {
        let Some(owner) = self.owner_of(account) else { return };
        let stanza =
            Stanza { kind, bytes: subscription_stanza(account, contact, kind), is_outbound: true, bearer: None };
        self.send_out(io, owner, account.to_owned(), contact.to_bare(), stanza);
    }

    /// A subscription stanza of an account goes out, if the state of the roster is such.
    fn send_out(&mut self, io: &mut Io<Shard>, owner: Owner, account: String, contact: Jid<'static>, stanza: Stanza) {
        self.queue(io, &account.clone(), Task::default(), move |shard, io, _| {
            let Some(state) = shard.accounts.account(&account) else { return Step::Done };
            match roster::outbound(&owner, &state.contacts, &contact, stanza.kind, &shard.settings.roster) {
                Err(_) => Step::Done,
                Ok(Opened::Done(step)) => {
                    shard.carry_out(io, &account, &contact, &stanza, Settled { step, change: None });
                    Step::Done
                }
                Ok(Opened::Read(exchange)) => settle(owner, account, contact, stanza, exchange),
            }
        });
    }

    /// A subscription stanza of somebody else to an account that is in memory.
    pub(super) fn subscription_to(&mut self, io: &mut Io<Shard>, routed: &Routed, kind: SubscriptionType) {
        let account = routed.bare().to_owned();
        let (Some(owner), Ok(from)) = (self.owner_of(&account), Jid::parse(routed.from().as_str())) else { return };
        let contact = from.to_bare();
        let mut bytes = routed.stanza().to_vec();
        if let (SubscriptionType::Subscribe, Some((token, stripped))) = (kind, token_in(&bytes)) {
            bytes = stripped;
            self.subscription_with_token(io, &account, contact.as_str(), &token);
        }
        let stanza = Stanza { kind, bytes, is_outbound: false, bearer: None };
        self.queue(io, &account.clone(), Task::default(), move |shard, io, _| {
            let Some(state) = shard.accounts.account(&account) else { return Step::Done };
            match roster::inbound(&owner, &state.contacts, &contact, kind, &stanza.bytes, &shard.settings.roster) {
                Opened::Done(step) => {
                    shard.carry_out(io, &account, &contact, &stanza, Settled { step, change: None });
                    Step::Done
                }
                Opened::Read(exchange) => settle(owner, account, contact, stanza, exchange),
            }
        });
    }

    /// What has been decided on is on disk: carries the rest out, in the order that [`Settled`] prescribes.
    fn carry_out(
        &mut self,
        io: &mut Io<Shard>,
        account: &str,
        contact: &Jid<'_>,
        Stanza { kind, bytes: stanza, is_outbound, bearer }: &Stanza,
        settled: Settled,
    ) {
        let Settled { step, change } = settled;
        let (from, to) = if *is_outbound { (account, contact.as_str()) } else { (contact.as_str(), account) };
        self.trace(StanzaKind::Presence(PresenceType::Subscription(*kind)), from, to, |_| {
            let whither = match step.passage {
                Passage::Route => "goes to the contact",
                Passage::ToAvailable => "shown to the available resources",
                Passage::ToInterested => "shown to the resources that follow the roster",
                Passage::Stop => "goes no further",
            };
            let reply = step.reply.map(|reply| format!(", and answered with {}", reply.as_str())).unwrap_or_default();
            format!("{whither}{reply}: {}", step.reason)
        });
        if step.presence == ContactGets::Unavailable {
            self.send_presence(io, account, contact, step.presence);
        }
        match step.passage {
            Passage::Route => {
                let kind = StanzaKind::Presence(PresenceType::Subscription(*kind));
                self.send_of(io, kind, (account, bearer.clone()), contact, stanza);
            }
            Passage::ToAvailable => self.give_each(io, account, stanza, |session| session.presence.is_some()),
            Passage::ToInterested => self.give_each(io, account, stanza, |session| session.interested),
            Passage::Stop => {}
        }
        if let Some(kind) = step.reply {
            self.send_subscription(io, account, contact, kind);
        }
        if let Some(change) = &change {
            self.take_over(io, account, change);
        }
        if step.presence == ContactGets::Current {
            self.send_presence(io, account, contact, step.presence);
        }
    }

    /// Gives a presence stanza to those resources of an account that it is for.
    fn give_each(
        &mut self,
        io: &mut Io<Shard>,
        account: &str,
        stanza: &[u8],
        is_for: impl Fn(&crate::account::Session) -> bool,
    ) {
        let keys: Vec<SessionKey> =
            self.accounts.sessions(account).filter(|(_, session)| is_for(session)).map(|(key, _)| key).collect();
        for key in keys {
            self.give(io, key, StanzaKind::Presence(PresenceType::Subscription(SubscriptionType::Subscribe)), |out| {
                out.extend_from_slice(stanza)
            });
        }
    }

    /// Sends a contact the presence of every available resource of an account, or that each is gone.
    pub(super) fn send_presence(&mut self, io: &mut Io<Shard>, account: &str, contact: &Jid<'_>, what: ContactGets) {
        let available =
            self.accounts.sessions(account).filter_map(|(_, session)| Some((session, session.presence.as_ref()?)));
        let to = escape::attribute_value(contact.as_str());
        let (kind, stanzas): (PresenceType, Vec<Vec<u8>>) = match what {
            ContactGets::Nothing => return,
            ContactGets::Current => {
                let addressed = |stanza: &[u8]| {
                    let mut out = Vec::with_capacity(stanza.len() + to.len() + " to=''".len());
                    write_addressed(&mut out, stanza, contact.as_str());
                    out
                };
                (PresenceType::Available, available.map(|(_, presence)| addressed(&presence.stanza)).collect())
            }
            ContactGets::Unavailable => {
                let stanza = |session: &crate::account::Session| {
                    format!("<presence type='unavailable' from='{}' to='{to}'/>", session.address.escaped())
                        .into_bytes()
                };
                (PresenceType::Unavailable, available.map(|(session, _)| stanza(session)).collect())
            }
        };
        for stanza in stanzas {
            self.send(io, StanzaKind::Presence(kind), account, contact, &stanza);
        }
    }

    /// An account is gone: its subscriptions end, and those to it, as if it had ended them.
    pub(super) fn leave_contacts(&mut self, io: &mut Io<Shard>, account: &str) {
        let Some(state) = self.accounts.account_mut(account) else { return };
        let contacts = std::mem::take(&mut state.contacts);
        for contact in contacts.iter() {
            let Ok(jid) = Jid::parse(contact.jid) else { continue };
            if contact.state.to != Grant::Absent {
                self.send_subscription(io, account, &jid, SubscriptionType::Unsubscribe);
            }
            if contact.state.from == Grant::Granted {
                self.send_presence(io, account, &jid, ContactGets::Unavailable);
            }
            if contact.state.from != Grant::Absent {
                self.send_subscription(io, account, &jid, SubscriptionType::Unsubscribed);
            }
        }
    }

    /// Sends a contact a subscription stanza of the server's own making.
    fn send_subscription(&mut self, io: &mut Io<Shard>, account: &str, contact: &Jid<'_>, kind: SubscriptionType) {
        let stanza = subscription_stanza(account, contact, kind);
        let kind = PresenceType::Subscription(kind);
        self.send(io, StanzaKind::Presence(kind), account, contact, &stanza);
    }

    /// Shows a resource that has just become available the requests that wait for an answer (§3.1.3).
    pub(super) fn show_requests(&mut self, io: &mut Io<Shard>, account: &str, key: SessionKey) {
        let (Some(owner), Some(state)) = (self.owner_of(account), self.accounts.account(account)) else { return };
        let contacts: Vec<&str> = state.contacts.requests().collect();
        if contacts.is_empty() {
            return;
        }
        let request = stored::get_several(&owner, &contacts);
        let contacts: Vec<String> = contacts.into_iter().map(str::to_owned).collect();
        self.run(
            io,
            Step::read(request, move |shard, io, _: &Task, outcome| {
                let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
                match stored::decode_several(&owner, &contacts, outcome) {
                    Ok(items) => {
                        let stanzas = items.into_iter().flatten().filter_map(|stored| stored.item().pending_in.clone());
                        for stanza in stanzas {
                            shard.give(
                                io,
                                key,
                                StanzaKind::Presence(PresenceType::Subscription(SubscriptionType::Subscribe)),
                                |out| {
                                    out.extend_from_slice(&stanza);
                                },
                            );
                        }
                    }
                    Err(error) => limited_event!(WARN, "storage", "requests cannot be read: {error}"),
                }
                Step::Done
            }),
        );
    }

    fn account_of(&self, owner: &Owner) -> Option<&Account> {
        self.accounts.account(&owner.to_string())
    }
}

/// Reads a roster to its end, and answers with it.
fn read_roster(request: PageRequest, mut roster: Roster, get: GetRequest) -> Step {
    Step::read(ReadRequest::Page(request.clone()), move |shard, io, task: &Task, outcome| {
        let page = match outcome {
            Outcome::Page(page) => page,
            other => return unreadable(&LoadError::unexpected(other)),
        };
        let next = request.next(&page);
        for error in roster.add(page) {
            limited_event!(WARN, "storage", "a contact cannot be read: {error}");
        }
        if let Some(request) = next {
            return read_roster(request, roster, get);
        }
        match get.with_roster(&roster) {
            roster::Answer::Whole(query) => Step::Answer(Answer::Result(Some(query))),
            roster::Answer::Changes(pushes) => {
                // The answer comes first (§2.6.3).
                if let Some(asker) = &task.asker {
                    shard.answer(io, asker, Answer::Result(None));
                    for push in &pushes {
                        let only = &asker.address;
                        shard.push(io, only.bare(), push, |session| session.address.as_str() == only.as_str());
                    }
                }
                Step::Done
            }
        }
    })
}

/// Reads the contact, writes the change, and carries the rest out.
fn settle(owner: Owner, account: String, contact: Jid<'static>, stanza: Stanza, exchange: Exchange) -> Step {
    Step::read(exchange.read(&owner), move |shard, io, _: &Task, outcome| {
        let item = match stored::decode(&owner, exchange.contact(), outcome) {
            Ok(item) => item,
            Err(error) => return unreadable(&error),
        };
        let Some(state) = shard.accounts.account(&account) else { return Step::Done };
        let settled = exchange.with_stored(&owner, item.as_ref(), &state.contacts, now_micros());
        let Some(write) = settled.change.as_ref().map(|change| change.write.clone()) else {
            shard.carry_out(io, &account, &contact, &stanza, settled);
            return Step::Done;
        };
        Step::write(write, move |shard, io, _: &Task, outcome| {
            match written(outcome) {
                Ok(()) => shard.carry_out(io, &account, &contact, &stanza, settled),
                Err(refusal) => {
                    limited_event!(WARN, "storage", "a subscription was not written: {}", refusal.condition);
                }
            }
            Step::Done
        })
    })
}

/// A subscription stanza as it goes from account to account (§3.1.2: from bare JID to bare JID).
fn between_accounts(frame: &Frame<'_>, account: &str, contact: &str, lang: Option<&str>) -> Vec<u8> {
    let (from, to) = (escape::attribute_value(account), escape::attribute_value(contact));
    let stamp = Stamp { from: Some(&from), to: Some(&to), lang };
    let mut stanza = Vec::with_capacity(frame.stamped_len(&stamp));
    frame.write_stamped(&mut stanza, &stamp);
    stanza
}

fn unreadable(error: &LoadError) -> Step {
    limited_event!(WARN, "storage", "a roster cannot be read: {error}");
    Step::refuse(Refusal::internal_server_error())
}

/// What a write has come to, for whoever has asked for it.
pub(super) fn written(outcome: Outcome) -> Result<(), Refusal> {
    match outcome {
        Outcome::Written => Ok(()),
        // Somebody else has changed or removed it meanwhile.
        Outcome::Refused(_) => Err(Refusal::new("wait", "internal-server-error")),
        Outcome::Failed(failure) => {
            limited_event!(WARN, "storage", "a request was not written: {failure}");
            Err(failed(&failure))
        }
        _ => Err(Refusal::internal_server_error()),
    }
}

pub(super) fn failed(failure: &rondel_storage::Failure) -> Refusal {
    match failure.kind {
        rondel_storage::FailureKind::Busy | rondel_storage::FailureKind::DiskFull => {
            Refusal::new("wait", "resource-constraint")
        }
        _ => Refusal::new("wait", "internal-server-error"),
    }
}

/// Microseconds since 1970.
pub(super) fn now_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as u64)
}

/// A subscription stanza of the server's own making.
fn subscription_stanza(account: &str, contact: &Jid<'_>, kind: SubscriptionType) -> Vec<u8> {
    let (from, to) = (escape::attribute_value(account), escape::attribute_value(contact.as_str()));
    format!("<presence type='{}' from='{from}' to='{to}'/>", kind.as_str()).into_bytes()
}
