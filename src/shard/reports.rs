//! Reports of spam and abuse that people send with a block (XEP-0377): kept with the messages that they are about, and
//! told to those who watch.

use rondel_shards::{Io, Rate, TokenBucket};
use rondel_storage::archive as stored_archive;
use rondel_storage::reports::{self, Message, Report as StoredReport};
use rondel_storage::{Outcome, Owner, ReadRequest, TimedId};

use super::Shard;
use super::registrar::ToRegistrar;
use super::roster::written;
use super::task::{Step, Task};
use crate::account::reporting::{Reason, Report};
use crate::jid::Jid;
use crate::limited_event;

/// Reports that an account may send. What is beyond is dropped; who is reported is blocked all the same.
const REPORTS: Rate = Rate { per_second: 20.0 / 3600.0, burst: 20.0 };

/// Messages that are kept with a report.
const MESSAGES_MAX: usize = 20;

/// Bytes of one of them; more is cut off.
const MESSAGE_BYTES_MAX: usize = 8 << 10;

/// How it goes on once reports are kept.
pub(super) type Finish = Box<dyn FnOnce(&mut Shard, &mut Io<Shard>, &Task) -> Step>;

impl Shard {
    /// Keeps the reports of an account, one after the other, and goes on.
    pub(super) fn file_reports(
        &mut self,
        io: &mut Io<Shard>,
        task: &Task,
        owner: Owner,
        mut reports: Vec<(Jid<'static>, Report)>,
        finish: Finish,
    ) -> Step {
        let Some((reported, report)) = reports.pop() else { return finish(self, io, task) };
        if !self.may_report(io, &owner) {
            limited_event!(WARN, "reports", "an account reports too many: the report is dropped");
            return self.file_reports(io, task, owner, reports, finish);
        }
        let messages = self.reported_messages(&owner, &reported, &report);
        self.read_archive(io, &owner.clone(), messages, move |shard, io, _: &Task, outcome| {
            let messages = found(outcome);
            shard.file_report(io, owner, (reported, report), messages, reports, finish)
        })
    }

    fn file_report(
        &mut self,
        io: &mut Io<Shard>,
        owner: Owner,
        (reported, report): (Jid<'static>, Report),
        messages: Vec<Message>,
        further: Vec<(Jid<'static>, Report)>,
        finish: Finish,
    ) -> Step {
        let reason = match report.reason {
            Reason::Spam => "spam".to_owned(),
            Reason::Abuse => "abuse".to_owned(),
            Reason::Other(reason) => reason,
        };
        let id = TimedId::new(self.noted_us(io));
        let kept = StoredReport {
            reporter: owner.to_string(),
            reported: reported.bare().to_owned(),
            reason,
            text: report.text,
            messages,
            may_go_to_origin: report.may_go_to_origin,
            may_go_to_third_party: report.may_go_to_third_party,
            closed: None,
        };
        let text = kept.text.as_ref().map_or(String::new(), |text| format!(": {text}"));
        let StoredReport { reporter, reported, reason, .. } = &kept;
        let words = format!("{reporter} reports {reported} for {reason}{text}\nrondel report show {id}");
        Step::write(reports::append(&kept, id), move |shard, io, task: &Task, outcome| {
            // A failure is logged where it is told. Who is reported is blocked all the same.
            if written(outcome).is_ok() {
                limited_event!(INFO, "reports", "somebody was reported");
                shard.tell_registrar(io, ToRegistrar::Alert(words));
            }
            shard.file_reports(io, task, owner, further, finish)
        })
    }

    /// What finds the messages that a report names, in the archive of whoever reports: each by itself, because one that
    /// is not there must not hide the others.
    fn reported_messages(&self, owner: &Owner, reported: &Jid<'_>, report: &Report) -> ReadRequest {
        let (account, archive) = (owner.to_string(), self.settings.archive.as_ref());
        let own = report.messages.iter().filter(|(by, _)| *by == account);
        let mut ids: Vec<u64> = own.filter_map(|(_, id)| archive?.ids.parse(id)).take(MESSAGES_MAX).collect();
        ids.sort_unstable();
        ids.dedup();
        let query = |id| stored_archive::Query {
            with: Some(reported.bare().into()),
            ids: Some(vec![id]),
            ..stored_archive::Query::new(owner.clone())
        };
        ReadRequest::Several(ids.into_iter().map(|id| query(id).into()).collect())
    }

    fn may_report(&mut self, io: &Io<Shard>, owner: &Owner) -> bool {
        let now_ms = io.now_ms();
        let bucket = self.reporting.of(&*owner.to_string(), now_ms, || TokenBucket::full(REPORTS, now_ms));
        bucket.take(REPORTS, 1.0, now_ms).is_ok()
    }
}

/// The messages that were found, as far as whoever is reported has sent them.
fn found(outcome: Outcome) -> Vec<Message> {
    let outcomes = match outcome {
        Outcome::Several(outcomes) => outcomes,
        other => vec![other],
    };
    let mut messages = Vec::new();
    for outcome in outcomes {
        match stored_archive::decode(outcome) {
            Ok(stored_archive::Found::Page(page)) => {
                let theirs = page.entries.iter().filter(|entry| !entry.is_outgoing());
                messages.extend(theirs.map(|entry| {
                    let mut xml = String::from_utf8_lossy(entry.stanza()).into_owned();
                    xml.truncate(xml.floor_char_boundary(MESSAGE_BYTES_MAX));
                    Message { at_micros: entry.id(), xml }
                }));
            }
            Ok(stored_archive::Found::UnknownId(_)) => {}
            Err(error) => limited_event!(WARN, "storage", "an archive cannot be read: {error}"),
        }
    }
    messages
}
