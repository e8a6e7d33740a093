//! Reading archives of messages (XEP-0313): what an account's own sessions ask of its archive, and keeping it in its
//! bounds. What requests mean is decided in [`crate::account`]; here it is read, written and sent.

use rondel_shards::Io;
use rondel_storage::{Family, LoadError, Outcome, Owner, ReadRequest, WriteRequest, archive as stored, preferences};

use super::Shard;
use super::roster::{now_micros, written};
use super::stream::Stream;
use super::task::{Asker, Step, Task};
use super::ticket::Behalf;
use crate::account::archive::{self, ArchiveLimits, Found, Query, Request};
use crate::account::archive_ids::ArchiveIds;
use crate::account::archive_page::{Page, PageLimits, Progress, Reading};
use crate::account::retraction::{self, Search};
use crate::account::{DefaultPolicy, IqType, Preferences, PreferencesLimits, StanzaKind};
use crate::limited_event;
use crate::service::{Action, Answer};
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// How long the storage may take to write a message. Whoever reads an archive for which one was given to it as lately
/// as that reads behind it.
const WRITING_MS: u64 = 10_000;

/// What archives of accounts are like.
pub struct ArchiveSettings {
    /// How ids are written.
    pub ids: ArchiveIds,
    /// What bounds queries.
    pub limits: ArchiveLimits,
    /// What bounds their answers.
    pub page: PageLimits,
    /// What bounds preferences.
    pub preferences: PreferencesLimits,
    /// What is archived of accounts that have never chosen.
    pub default: DefaultPolicy,
}

impl Shard {
    /// A request of a session to its account's archive. `None` if it is another one, or there is no archive.
    pub(super) fn archive_request(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: &mut Option<Asker>,
        action: Action,
        payload: &Element,
    ) -> Option<()> {
        if payload.namespace != ns::ARCHIVE {
            return None;
        }
        let settings = self.settings.archive.as_ref()?;
        let kind = match action {
            Action::Get => IqType::Get,
            Action::Set => IqType::Set,
        };
        let owner = self.owner_of(asker.as_ref()?.address.bare())?;
        let asker = asker.take()?;
        let step = match Request::parse(kind, payload, &settings.ids, &settings.limits) {
            Ok(Request::Form) => Step::Answer(Answer::Result(Some(archive::query_form()))),
            Ok(Request::Metadata) => self.read_archive(io, &owner, stored::bounds(&owner), |shard, _, _, outcome| {
                shard.archive_ends(stored::decode_bounds(outcome))
            }),
            Ok(Request::Query(query)) => self.query_archive(io, owner, *query, &asker),
            Ok(Request::Preferences) => self.archive_preferences(&asker),
            Ok(Request::SetPreferences) => match Preferences::parse(payload, &settings.preferences) {
                Ok(chosen) => {
                    self.queue_request(io, stream, asker, move |_, _, _| choose(owner, chosen));
                    return Some(());
                }
                Err(error) => Step::refuse(error.into()),
            },
            Err(refusal) => Step::refuse(refusal),
        };
        self.run_request(io, stream, asker, step);
        Some(())
    }

    fn archive_ends(&self, ends: Result<Option<(u64, u64)>, LoadError>) -> Step {
        let Some(settings) = &self.settings.archive else { return Step::Done };
        match ends {
            Ok(ends) => {
                let ends = ends.map(|(first, last)| [(first, first), (last, last)]);
                Step::Answer(Answer::Result(Some(archive::metadata(&settings.ids, ends))))
            }
            Err(error) => Step::refuse(unreadable(&error)),
        }
    }

    fn query_archive(&self, io: &Io<Shard>, owner: Owner, query: Query, asker: &Asker) -> Step {
        let Some(settings) = &self.settings.archive else { return Step::Done };
        let reading = Reading::new(owner.clone(), query, asker.address.as_str(), settings.page);
        self.read_archive(io, &owner, reading.read(), move |shard, io, task, outcome| {
            shard.go_on_reading(io, task, reading.proceed(outcome))
        })
    }

    fn go_on_reading(&mut self, io: &mut Io<Shard>, task: &Task, progress: Result<Progress, Refusal>) -> Step {
        match progress {
            Ok(Progress::Read(reading)) => Step::read(reading.read(), move |shard, io, task: &Task, outcome| {
                shard.go_on_reading(io, task, reading.proceed(outcome))
            }),
            Ok(Progress::Page(page)) => self.give_page(io, task, &page),
            Err(refusal) => Step::refuse(refusal),
        }
    }

    /// Gives a session the messages that it has asked for, and then the answer.
    fn give_page(&mut self, io: &mut Io<Shard>, task: &Task, page: &Page) -> Step {
        let (Some(asker), Some(key)) = (&task.asker, task.session()) else { return Step::Done };
        let Some(ids) = self.settings.archive.as_ref().map(|settings| settings.ids) else { return Step::Done };
        for message in page.messages() {
            let id = ids.text(message.id());
            let found = Found {
                account: asker.address.bare(),
                to: asker.address.as_str(),
                query_id: page.query_id(),
                id: id.as_str(),
                at_us: message.id(),
                stanza: message.stanza(),
            };
            // A part of the answer: if the client does not acknowledge it, nobody else is to have it.
            if !self.give(io, key, StanzaKind::Iq(IqType::Result), |out| found.write_to(out)) {
                return Step::Done;
            }
        }
        Step::Answer(Answer::Result(Some(page.fin(&ids))))
    }

    /// Reads an archive, behind what has been given to the storage for it just before: who sends a message and then
    /// asks for it finds it, and so does who has been given one with its id.
    pub(super) fn read_archive(
        &self,
        io: &Io<Shard>,
        owner: &Owner,
        request: ReadRequest,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Outcome) -> Step + 'static,
    ) -> Step {
        let archived_ms = self.accounts.account(&owner.to_string()).and_then(|account| account.archived_ms);
        if archived_ms.is_none_or(|archived_ms| io.now_ms() > archived_ms + WRITING_MS) {
            return Step::read(request, then);
        }
        behind_writes(owner, request, then)
    }

    fn archive_preferences(&self, asker: &Asker) -> Step {
        let Some(settings) = &self.settings.archive else { return Step::Done };
        let chosen = self.accounts.account(asker.address.bare()).and_then(|account| account.archiving.as_deref());
        let preferences = match chosen {
            Some(chosen) => chosen.to_element(),
            None => Preferences::of_server(settings.default).to_element(),
        };
        Step::Answer(Answer::Result(Some(preferences)))
    }

    /// A message of so many bytes goes to the storage for the archive of an account, which is in memory.
    pub(super) fn archived(&mut self, io: &mut Io<Shard>, account: &str, bytes: usize) {
        let Some(account) = self.accounts.account_mut(account) else { return };
        account.archived_ms = Some(io.now_ms());
        if !self.archive_check.is_due(bytes) {
            return;
        }
        if let Some(owner) = account.owner.clone() {
            // Nobody's message waits for that.
            let step = cut_excess(owner);
            self.on_behalf(Behalf::Nobody, |shard| shard.run(io, step));
        }
    }

    /// A retraction goes to the storage for the archive of an account: `stanza` as it was archived, with its true
    /// `from`. What it retracts, if it is in the archive among the messages with `with`, a bare address, makes room for
    /// a tombstone (XEP-0424 §4).
    pub(super) fn retracted(&mut self, io: &mut Io<Shard>, account: &str, with: &str, stanza: &[u8]) {
        let Some(owner) = self.owner_of(account) else { return };
        let Some(search) = Search::new(owner.clone(), with, stanza) else { return };
        self.queue(io, account, Task::default(), move |_, _, _| {
            behind_writes(&owner, search.read(), move |_, _, _, outcome| {
                go_on_searching(search.proceed(outcome, now_micros()))
            })
        });
    }
}

/// Reads once all that has been given to the storage before is written.
fn behind_writes(
    owner: &Owner,
    request: ReadRequest,
    then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Outcome) -> Step + 'static,
) -> Step {
    // If it fails, so have they: there is nothing to wait for.
    Step::write(WriteRequest::new(owner.clone()), move |_, _, _: &Task, _| Step::read(request, then))
}

/// Writes what an account has chosen, beside what else is remembered of it.
fn choose(owner: Owner, chosen: Preferences) -> Step {
    Step::read(preferences::get(&owner), move |_, _, _: &Task, outcome| {
        let mut stored = match preferences::decode(&owner, outcome) {
            Ok(stored) => stored,
            Err(error) => return Step::refuse(unreadable(&error)),
        };
        stored.archive = Some((&chosen).into());
        let request = WriteRequest::new(owner.clone()).require_present(Family::Accounts, b"");
        let write = preferences::put(request, &stored);
        Step::write(write, move |shard, _, _: &Task, outcome| match written(outcome) {
            Ok(()) => {
                if let Some(account) = shard.accounts.account_mut(&owner.to_string()) {
                    account.choose(&stored);
                }
                Step::Answer(Answer::Result(Some(chosen.to_element())))
            }
            Err(refusal) => Step::refuse(refusal),
        })
    })
}

/// Asks whether an archive takes more than it may, and gives up what is too much.
fn cut_excess(owner: Owner) -> Step {
    Step::read(stored::excess(&owner), |_, _, _: &Task, outcome| match stored::decode_excess(outcome) {
        Ok(None) => Step::Done,
        Ok(Some(excess)) => {
            tracing::debug!(target: "storage", bytes = excess.bytes(), "an archive has become too large and is cut");
            // Refused means that another question has come to the same, or that the account is gone.
            Step::write(excess.cut().require_present(Family::Accounts, b""), |_, _, _: &Task, outcome| {
                let _ = written(outcome);
                Step::Done
            })
        }
        Err(error) => {
            unreadable(&error);
            Step::Done
        }
    })
}

fn go_on_searching(progress: Result<retraction::Progress, LoadError>) -> Step {
    match progress {
        Ok(retraction::Progress::Read(search)) => Step::read(search.read(), move |_, _, _: &Task, outcome| {
            go_on_searching(search.proceed(outcome, now_micros()))
        }),
        // Refused means that it has changed meanwhile: it has become a tombstone, or too old.
        Ok(retraction::Progress::Write(write)) => Step::write(write, |_, _, _: &Task, outcome| {
            let _ = written(outcome);
            Step::Done
        }),
        Ok(retraction::Progress::Nothing) => Step::Done,
        Err(error) => {
            unreadable(&error);
            Step::Done
        }
    }
}

fn unreadable(error: &LoadError) -> Refusal {
    limited_event!(WARN, "storage", "an archive cannot be read: {error}");
    Refusal::internal_server_error()
}
