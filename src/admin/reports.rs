//! Reports of spam and abuse as an operator sees them, and what comes of them.

use std::net::IpAddr;
use std::sync::Arc;

use rondel_storage::reports::{self, Closed, StoredReport};
use rondel_storage::{Store, TimedId};
use serde::{Deserialize, Serialize};

use super::backend::{By, Failure, FailureKind, UserDetails};
use super::desk::{Desk, account};
use super::log::{ListLog, LogEntry, PAGE_ENTRIES_MAX, Part};
use super::users::{failed, now, write};

/// Reports in one page at most.
const PAGE_MAX: usize = 500;

/// Accounts from the same address that are shown.
const NEIGHBOURS_MAX: usize = 100;

/// A report in short.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReportSummary {
    /// By which it is asked for.
    pub report: String,
    /// When it came, in microseconds since 1970.
    pub at_us: u64,
    /// Who reports.
    pub reporter: String,
    /// Who is reported.
    pub reported: String,
    /// Why, in a word: `spam`, `abuse` or another.
    pub reason: String,
    /// What the person who reports has written.
    pub text: Option<String>,
    /// What was done, and by whom, if somebody has seen to it.
    pub closed: Option<(String, String)>,
}

/// Reports, oldest first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReportPage {
    /// They.
    pub reports: Vec<ReportSummary>,
    /// Behind which to go on; `None`: these were all.
    pub next: Option<String>,
}

/// A report with all that helps to judge it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReportDetails {
    /// In short.
    pub summary: ReportSummary,
    /// The messages that are reported: when they were sent, in microseconds since 1970, and the stanzas.
    pub messages: Vec<(u64, String)>,
    /// Whether whoever reports agrees that it is forwarded to the server of who is reported.
    pub may_go_to_origin: bool,
    /// Whether whoever reports agrees that it is forwarded to others.
    pub may_go_to_third_party: bool,
    /// The account that is reported, if it is one here.
    pub account: Option<UserDetails>,
    /// How often it was reported, this one included.
    pub times: usize,
    /// Accounts that were registered from the same address, at any time.
    pub neighbours: Vec<LogEntry>,
}

/// What is done about a report.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportAction {
    /// Nothing.
    Dismiss,
    /// The account is told something.
    Warn,
    /// Nothing that it sends reaches others.
    Mute,
    /// It is held to the limits of new accounts.
    Limit,
    /// It cannot log in.
    Ban,
    /// It is removed.
    Remove,
}

impl ReportAction {
    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            ReportAction::Dismiss => "dismiss",
            ReportAction::Warn => "warn",
            ReportAction::Mute => "mute",
            ReportAction::Limit => "limit",
            ReportAction::Ban => "ban",
            ReportAction::Remove => "remove",
        }
    }
}

/// What is done about a report, and who is told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ActOnReport {
    /// Which.
    pub report: String,
    /// What.
    pub action: ReportAction,
    /// For how many seconds; for good without. For what lasts.
    pub for_s: Option<u64>,
    /// What the account is told that was reported, if anything.
    pub words: Option<String>,
    /// What is told to whoever has reported it, if anything.
    pub answer: Option<String>,
}

/// The reports in a store.
#[derive(Clone)]
pub struct Reports {
    store: Arc<Store>,
}

impl Reports {
    /// Those of this store.
    pub fn new(store: Arc<Store>) -> Reports {
        Reports { store }
    }

    /// A page of those that nobody has seen to, or of all.
    pub fn list(&self, all: bool, after: Option<&str>) -> Result<ReportPage, Failure> {
        let from = after.map(parse).transpose()?.map_or(TimedId::first(0), |after| after.next());
        let page = self.store.page(reports::list(from, PAGE_MAX)).map_err(failed)?;
        let is_last = page.complete;
        let read: Vec<_> = reports::decode_page(page).into_iter().flatten().collect();
        let next = read.last().filter(|_| !is_last).map(|stored| stored.id.to_string());
        let wanted = read.iter().filter(|stored| all || stored.report.closed.is_none());
        Ok(ReportPage { reports: wanted.map(summary).collect(), next })
    }

    /// A report that nobody has seen to yet.
    pub fn open(&self, report: &str) -> Result<StoredReport, Failure> {
        let stored = self.load(report)?;
        match &stored.report.closed {
            None => Ok(stored),
            Some(closed) => {
                let text = format!("{} has seen to it already: {}", closed.by, closed.action);
                Err(Failure::new(FailureKind::Exists, text))
            }
        }
    }

    /// Notes what has come of a report.
    pub fn close(&self, by: &By, stored: &StoredReport, action: ReportAction) -> Result<(), Failure> {
        let closed = Closed { at_s: now().as_secs(), by: by.to_string(), action: action.name().to_owned() };
        let busy = || Failure::new(FailureKind::Busy, "somebody else sees to this report");
        write(&self.store, stored.close(closed))?.then_some(()).ok_or_else(busy)
    }

    /// Forgets those that were seen to, or came, so many seconds ago.
    pub fn forget_old(&self, after_s: u64) -> Result<(), Failure> {
        let before_us = now().saturating_sub(std::time::Duration::from_secs(after_s)).as_micros() as u64;
        let page = self.store.page(reports::list(TimedId::first(0), PAGE_MAX)).map_err(failed)?;
        let old = reports::decode_page(page).into_iter().flatten().filter(|stored| stored.id.at_micros() < before_us);
        for stored in old {
            write(&self.store, stored.forget())?;
        }
        Ok(())
    }

    fn load(&self, report: &str) -> Result<StoredReport, Failure> {
        let id = parse(report)?;
        let found = reports::decode(id, self.store.read_blocking(&reports::get(id))).map_err(failed)?;
        found.ok_or_else(|| Failure::new(FailureKind::NotFound, format!("there is no report {report}")))
    }

    /// How often somebody was reported.
    fn count(&self, reported: &str) -> Result<usize, Failure> {
        let (mut request, mut times) = (Some(reports::list(TimedId::first(0), PAGE_MAX)), 0);
        while let Some(current) = request {
            let page = self.store.page(current.clone()).map_err(failed)?;
            request = current.next(&page);
            let read = reports::decode_page(page).into_iter().flatten();
            times += read.filter(|stored| stored.report.reported == reported).count();
        }
        Ok(times)
    }
}

impl Desk {
    /// A report with all that helps to judge it.
    pub(super) fn show_report(&self, report: &str) -> Result<ReportDetails, Failure> {
        let stored = self.reports.load(report)?;
        let reported = &stored.report.reported;
        let user = account(reported).ok().map(|jid| self.users.show(&jid)).transpose();
        let user = match user {
            Err(failure) if failure.kind == FailureKind::NotFound => None,
            other => other?,
        };
        let address = user.as_ref().and_then(|user| user.source_address.as_deref()?.parse().ok());
        let neighbours = address.map(|address| self.neighbours(address, reported)).transpose()?.unwrap_or_default();
        let messages = stored.report.messages.iter().map(|message| (message.at_micros, message.xml.clone()));
        Ok(ReportDetails {
            summary: summary(&stored),
            messages: messages.collect(),
            may_go_to_origin: stored.report.may_go_to_origin,
            may_go_to_third_party: stored.report.may_go_to_third_party,
            account: user,
            times: self.reports.count(reported)?,
            neighbours,
        })
    }

    /// Who else has come from an address: from the network that counts as one, for those of IPv6.
    fn neighbours(&self, address: IpAddr, except: &str) -> Result<Vec<LogEntry>, Failure> {
        let network = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("{address}/64"),
        };
        let mut list =
            ListLog { part: Part::Made, network: Some(network), limit: PAGE_ENTRIES_MAX, ..ListLog::default() };
        let mut found = Vec::new();
        loop {
            let page = self.log.list(&list)?;
            found.extend(page.entries.into_iter().filter(|entry| entry.place.jid != except));
            match page.next {
                Some(next) if found.len() < NEIGHBOURS_MAX => list.after = Some(next),
                _ => break,
            }
        }
        found.truncate(NEIGHBOURS_MAX);
        Ok(found)
    }
}

fn parse(report: &str) -> Result<TimedId, Failure> {
    report.parse().map_err(|()| Failure::new(FailureKind::NotFound, format!("there is no report {report}")))
}

fn summary(stored: &StoredReport) -> ReportSummary {
    let report = &stored.report;
    ReportSummary {
        report: stored.id.to_string(),
        at_us: stored.id.at_micros(),
        reporter: report.reporter.clone(),
        reported: report.reported.clone(),
        reason: report.reason.clone(),
        text: report.text.clone(),
        closed: report.closed.as_ref().map(|closed| (closed.action.clone(), closed.by.clone())),
    }
}
