//! What an account keeps on the server beside its roster: its blocklist (XEP-0191), private data (XEP-0049), and its
//! vCard (XEP-0054). What requests mean is decided in [`crate::account`]; here it is read, written and sent.

use std::sync::Arc;

use rondel_shards::Io;
use rondel_storage::{Outcome, Owner};

use super::message::{Routed, Sender};
use super::pep::{concerns_bookmarks, is_disco, is_pubsub};
use super::reports::Finish;
use super::roster::written;
use super::stream::Stream;
use super::task::{Asker, Step, Task};
use super::{Shard, now_s};
use crate::account::blocking::{self, Change};
use crate::account::subscription::ContactGets;
use crate::account::{Address, IqType, StanzaKind, activity, private, vcard};
use crate::jid::Jid;
use crate::service::{Action, Answer};
use crate::stream::Refusal;
use crate::xml::{Element, attributes, namespaces as ns};

/// How often a change is tried that something else has come before.
const TRIES_MAX: usize = 5;

impl Shard {
    /// A request of a session for what its account keeps. `None` if it is another one.
    pub(super) fn kept_request(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: &mut Option<Asker>,
        action: Action,
        payload: &Element,
    ) -> Option<()> {
        let kind = match action {
            Action::Get => IqType::Get,
            Action::Set => IqType::Set,
        };
        let is_blocking = payload.namespace == ns::BLOCKING;
        let is_private = (&*payload.name, &*payload.namespace) == ("query", private::NAMESPACE);
        let is_card = (&*payload.name, &*payload.namespace) == ("vCard", ns::VCARD);
        let is_activity = activity::is_question(payload);
        if is_pubsub(payload) {
            self.pep_request(io, stream, asker.take()?, action, payload);
            return Some(());
        }
        if !is_blocking && !is_private && !is_card && !is_activity {
            return None;
        }
        let asker = asker.take()?;
        if is_activity {
            let own = asker.address.bare();
            let step = match self.activity_of(own, Sender::of(own), kind) {
                Ok(answer) => Step::Answer(Answer::Result(Some(answer))),
                Err(refusal) => Step::refuse(refusal),
            };
            self.run_request(io, stream, asker, step);
            return Some(());
        }
        let Some(owner) = self.owner_of(asker.address.bare()) else {
            self.run_request(io, stream, asker, Step::refuse(Refusal::service_unavailable()));
            return Some(());
        };
        let kept = &self.settings.kept;
        if is_blocking {
            match blocking::Request::parse(kind, payload, &kept.blocking) {
                Ok(request) => {
                    self.queue_request(io, stream, asker, move |shard, io, task| shard.block(io, owner, task, request))
                }
                Err(refusal) => self.run_request(io, stream, asker, Step::refuse(refusal)),
            }
        } else if is_private {
            match private::Request::parse(kind, payload, &kept.private) {
                Ok(request) if concerns_bookmarks(&request) => {
                    self.bookmarks_request(io, stream, asker, owner, request, payload);
                }
                Ok(request) => {
                    self.queue_request(io, stream, asker, move |_, _, _| private_data(owner, Arc::new(request)))
                }
                Err(refusal) => self.run_request(io, stream, asker, Step::refuse(refusal)),
            }
        } else {
            match vcard::Request::parse(kind, payload, true, &kept.vcard) {
                Ok(vcard::Request::Get) => self.run_request(io, stream, asker, show_card(owner, true)),
                Ok(vcard::Request::Set(card)) => self.set_card(io, stream, asker, owner, card, payload),
                Err(refusal) => self.run_request(io, stream, asker, Step::refuse(refusal)),
            }
        }
        Some(())
    }

    /// A question of somebody else to an account, which its server answers (RFC 6121 §8.5.2.1.3). The same for those
    /// that do not exist.
    pub(super) fn account_asked(&mut self, io: &mut Io<Shard>, routed: &Routed, kind: IqType) {
        let refuse = |shard: &mut Shard, io: &mut Io<Shard>, refusal: &Refusal| shard.bounce(io, routed, refusal);
        let Ok(owner) = Owner::parse(routed.bare()) else { return };
        let Ok(iq) = Element::parse(routed.stanza()) else { return };
        let Some(payload) = iq.children().next() else { return };
        let is_card = (&*payload.name, &*payload.namespace) == ("vCard", ns::VCARD);
        let is_spoken = is_card || is_pubsub(payload) || is_disco(payload);
        if self.settings.is_anonymous(routed.bare()) || !is_spoken {
            return refuse(self, io, &Refusal::service_unavailable());
        }
        let Some(asker) = asker_of(routed) else { return };
        let action = if kind == IqType::Get { Action::Get } else { Action::Set };
        if is_pubsub(payload) {
            return self.pep_asked(io, owner, asker, action, payload);
        }
        if is_disco(payload) {
            return self.disco_asked(io, owner, asker, action, payload);
        }
        let step = match vcard::Request::parse(kind, payload, false, &self.settings.kept.vcard) {
            Ok(_) => show_card(owner, false),
            Err(refusal) => Step::refuse(refusal),
        };
        self.run_for(io, asker, step);
    }

    fn block(&mut self, io: &mut Io<Shard>, owner: Owner, task: &Task, request: blocking::Request) -> Step {
        let bare = owner.to_string();
        let Some(account) = self.accounts.account(&bare) else { return Step::Done };
        match account.blocks.change(&owner, request, now_s(), &self.settings.kept.blocking) {
            Err(refusal) => Step::refuse(refusal),
            Ok(None) => {
                let list = account.blocks.to_element();
                if let Some(session) = task.session().and_then(|key| self.accounts.session_mut(key)) {
                    session.wants_blocklist = true;
                }
                Step::Answer(Answer::Result(Some(list)))
            }
            Ok(Some(mut change)) => match change.write.clone() {
                None => {
                    let answer: Finish = Box::new(|_, _, _| Step::Answer(Answer::Result(None)));
                    self.file_reports(io, task, owner, change.reports, answer)
                }
                Some(write) => Step::write(write, move |shard, io, task: &Task, outcome| match written(outcome) {
                    Ok(()) => {
                        let reports = std::mem::take(&mut change.reports);
                        let finish: Finish = Box::new(move |shard, io, task| {
                            // The answer comes before the push (XEP-0191 §3.3, example 6 and 7).
                            if let Some(asker) = &task.asker {
                                shard.answer(io, asker, Answer::Result(None));
                            }
                            shard.blocked(io, &bare, change);
                            Step::Done
                        });
                        shard.file_reports(io, task, owner, reports, finish)
                    }
                    Err(refusal) => Step::refuse(refusal),
                }),
            },
        }
    }

    /// A change of a blocklist is on disk: it holds, and whoever it concerns hears of it.
    fn blocked(&mut self, io: &mut Io<Shard>, bare: &str, change: Change) {
        let (Some(account), Ok(own)) = (self.accounts.account(bare), Jid::parse(bare)) else { return };
        let due = change.presence(&own, &account.blocks, account.contacts.subscribers());
        let Change { list, push, .. } = change;
        // Who is blocked sees everybody go; who is not blocked any more sees who is there.
        for presence in due {
            let Ok(contact) = Jid::parse(&presence.to) else { continue };
            let what = if presence.is_available { ContactGets::Current } else { ContactGets::Unavailable };
            self.send_presence(io, bare, &contact, what);
        }
        if let Some(account) = self.accounts.account_mut(bare) {
            account.blocks = list;
        }
        self.push(io, bare, &push, |session| session.wants_blocklist);
    }
}

fn show_card(owner: Owner, is_own: bool) -> Step {
    Step::read(vcard::get(&owner), move |_, _, _: &Task, outcome| match vcard::answer(&owner, is_own, outcome) {
        Ok(card) => Step::Answer(Answer::Payload(card)),
        Err(refusal) => Step::refuse(refusal),
    })
}

/// Carries out a request for private data, which is answered.
pub(super) fn private_data(owner: Owner, request: Arc<private::Request>) -> Step {
    try_private_data(owner, request, TRIES_MAX)
}

fn try_private_data(owner: Owner, request: Arc<private::Request>, tries: usize) -> Step {
    Step::read(request.read(&owner), move |shard, _, _: &Task, outcome| {
        match request.proceed(&owner, outcome, &shard.settings.kept.private) {
            Err(refusal) => Step::refuse(refusal),
            Ok(private::Step::Answer(payload)) => Step::Answer(Answer::Payload(payload)),
            Ok(private::Step::Write(write)) => Step::write(write, move |_, _, _: &Task, outcome| match outcome {
                Outcome::Refused(_) if tries > 0 => try_private_data(owner, request, tries - 1),
                outcome => match written(outcome) {
                    Ok(()) => Step::Answer(Answer::Result(None)),
                    Err(refusal) => Step::refuse(refusal),
                },
            }),
        }
    })
}

/// Who is answered to a question that was routed to an account.
pub(super) fn asker_of(routed: &Routed) -> Option<Asker> {
    let from = Jid::parse(routed.from().as_str()).ok()?;
    let [id] = attributes(routed.stanza(), ["id"]);
    let (address, to) = (Arc::new(Address::new(&from)), routed.bare().to_owned());
    Some(Asker { key: None, address, id: id.unwrap_or_default(), to })
}

/// Whether a question to an account's bare JID is one that its server answers.
pub(super) fn is_question(kind: StanzaKind, resource: Option<&str>) -> Option<IqType> {
    match (kind, resource) {
        (StanzaKind::Iq(kind @ (IqType::Get | IqType::Set)), None) => Some(kind),
        _ => None,
    }
}
