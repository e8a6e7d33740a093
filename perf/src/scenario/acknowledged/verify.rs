//! Looks for what was acknowledged: in the archives of sender and recipients, and among the messages that waited.

use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::super::Common;
use super::ledger::{Found, Ledger, Verdict};
use super::{PRESENT, SENDER};
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
    pub ledger: Ledger,
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
    let ledger = &verify.ledger;
    let mut progress = Progress::new(common.rate.progress);
    let mut places = Vec::new();
    let absent = PRESENT + 1..=PRESENT + ledger.absent;
    if verify.archive {
        let absent = absent.clone().map(|account| ("absent", account, Some(account)));
        for (name, account, to) in
            [("sender", SENDER, None), ("present", PRESENT, Some(PRESENT))].into_iter().chain(absent)
        {
            progress.show(&format!("reading the archive of account {account}"));
            let found = archived(common, account, verify.page, ledger)?;
            places.push((format!("archive_{name}"), found.judge(ledger, &ledger.numbers(to), true)));
        }
    }
    progress.show("waiting for the messages that waited");
    for (account, found) in absent.clone().zip(waited(common, absent, ledger)?) {
        places.push(("waited".to_owned(), found.judge(ledger, &ledger.numbers(Some(account)), !verify.archive)));
    }
    progress.clear();

    let total = |what: fn(&Verdict) -> usize| places.iter().map(|(_, verdict)| what(verdict)).sum::<usize>() as f64;
    report.figure("acknowledged", "messages acknowledged", "", ledger.acknowledged as f64);
    report.figure("lost", "acknowledged and not there", "", total(|verdict| verdict.lost.len()));
    report.figure("twice", "there more than once", "", total(|verdict| verdict.twice.len()));
    for name in ["archive_sender", "archive_present", "archive_absent", "waited"] {
        let present: u64 = places.iter().filter(|(place, _)| place == name).map(|(_, verdict)| verdict.present).sum();
        report.figure(name, &format!("messages there: {}", name.replace('_', " ")), "", present as f64);
    }
    for (name, verdict) in &places {
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

/// What has waited for each of the accounts that were not there.
fn waited(common: &Common, accounts: impl Iterator<Item = u64>, ledger: &Ledger) -> anyhow::Result<Vec<Found>> {
    let habits = Habits { presence: true, ..Habits::default() };
    let target = common.clone().with(habits).target;
    let sessions = accounts.map(|account| Session::open(&target, account, common.patience));
    let mut sessions = sessions.collect::<anyhow::Result<Vec<_>>>()?;
    let mut found: Vec<_> = sessions.iter().map(|_| Found::new(ledger)).collect();
    let mut since = Instant::now();
    while since.elapsed() < SILENCE {
        for (session, found) in sessions.iter_mut().zip(&mut found) {
            session.turn(Duration::from_millis(10))?;
            while let Some(stanza) = session.next() {
                if note(&stanza, ledger, found) {
                    since = Instant::now();
                }
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
