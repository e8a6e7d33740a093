//! Looks for what was acknowledged: in the archives of sender and recipients, and among the messages that waited.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::super::Common;
use super::ledger::{Found, Ledger, Verdict};
use super::{RECIPIENTS, SENDER};
use crate::client::progress::Progress;
use crate::client::session::Session;
use crate::report::Report;
use crate::xmpp::archive::{self, Page};
use crate::xmpp::habits::Habits;
use crate::xmpp::message;

/// What is looked for, and where.
#[derive(Clone, Debug)]
pub struct Verify {
    /// What [`super::send`] wrote down.
    pub ledger: PathBuf,
    /// Whether there are archives; otherwise everything acknowledged to who was not there must have waited.
    pub archive: bool,
    /// Messages of a page.
    pub page: u32,
}

/// No more messages that waited come after this silence.
const SILENCE: Duration = Duration::from_secs(2);
/// How many numbers are named of those that are lost.
const NAMED: usize = 5;

/// Runs it.
///
/// # Errors
/// No session, or the server refuses a page. That something is missing is a figure.
pub fn run(common: &Common, verify: &Verify, report: &mut Report) -> anyhow::Result<()> {
    let ledger = Ledger::read(&verify.ledger)?;
    let mut progress = Progress::new(common.rate.progress);
    let mut places = Vec::new();
    if verify.archive {
        let owners =
            [("sender", SENDER, None), ("online", RECIPIENTS[0], Some(0)), ("offline", RECIPIENTS[1], Some(1))];
        for (name, account, recipient) in owners {
            progress.show(&format!("reading the archive of the {name} account"));
            let found = archived(common, account, verify.page, &ledger)?;
            let numbers = ledger.numbers(recipient, RECIPIENTS.len());
            places.push((format!("archive_{name}"), found.judge(&ledger, &numbers, true)));
        }
    }
    progress.show("waiting for the messages that waited");
    let waited = waited(common, &ledger)?;
    let numbers = ledger.numbers(Some(1), RECIPIENTS.len());
    places.push(("waited".to_owned(), waited.judge(&ledger, &numbers, !verify.archive)));
    progress.clear();

    let total = |what: fn(&Verdict) -> usize| places.iter().map(|(_, verdict)| what(verdict)).sum::<usize>() as f64;
    report.figure("acknowledged", "messages acknowledged", "", ledger.acknowledged as f64);
    report.figure("lost", "acknowledged and not there", "", total(|verdict| verdict.lost.len()));
    report.figure("twice", "there more than once", "", total(|verdict| verdict.twice.len()));
    for (name, verdict) in &places {
        report.figure(name, &format!("messages there: {}", name.replace('_', " ")), "", verdict.present as f64);
        for (what, numbers) in [("not there", &verdict.lost), ("there more than once", &verdict.twice)] {
            if !numbers.is_empty() {
                let some: Vec<_> = numbers.iter().take(NAMED).map(u64::to_string).collect();
                let count = numbers.len();
                report.note(format!("{name}: {count} messages are {what}: {}, …", some.join(", ")));
            }
        }
    }
    Ok(())
}

/// What is in an archive.
fn archived(common: &Common, account: u64, page: u32, ledger: &Ledger) -> anyhow::Result<Found> {
    let mut session = Session::open(&common.target, account, common.patience)?;
    let mut found = Found::new(ledger);
    let mut after: Option<String> = None;
    loop {
        let place = after.as_deref().map_or(Page::First, Page::After);
        session.stanza(|out| out.extend_from_slice(archive::query("page", place, None, page).as_bytes()));
        let fin = session.wait_for(common.patience, |stanza| {
            if archive::is_result(stanza) {
                note(stanza, ledger, &mut found);
            }
            archive::fin(stanza, "page")
        })?;
        let fin = fin.map_err(|error| anyhow!(error))?;
        match fin.ends {
            Some((_, last)) if !fin.complete => after = Some(last),
            _ => return Ok(found),
        }
    }
}

/// What has waited for the recipient that was not there.
fn waited(common: &Common, ledger: &Ledger) -> anyhow::Result<Found> {
    let habits = Habits { presence: true, ..Habits::default() };
    let mut session = Session::open(&common.clone().with(habits).target, RECIPIENTS[1], common.patience)?;
    let mut found = Found::new(ledger);
    let mut since = Instant::now();
    while since.elapsed() < SILENCE {
        session.turn(Duration::from_millis(50))?;
        while let Some(stanza) = session.next() {
            if note(&stanza, ledger, &mut found) {
                since = Instant::now();
            }
        }
    }
    Ok(found)
}

/// Counts a message if it is one that was sent; whether it is.
fn note(stanza: &[u8], ledger: &Ledger, found: &mut Found) -> bool {
    let own = message::stamp(stanza).filter(|stamp| ledger.is_own(stamp.sent_ns));
    own.inspect(|stamp| found.add(stamp.sequence)).is_some()
}
