//! `rondel-perf archive`: pages of an account's archive, of several kinds in turn.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Common;
use super::watch::{Watch, mib, usage};
use crate::client::board::{Board, Phase};
use crate::client::fleet::Fleet;
use crate::client::outbox::{Outbox, Slot};
use crate::client::worker::{Bound, Load};
use crate::measure::latency::Interval;
use crate::report::Report;
use crate::xmpp::archive::{self, Page};

/// What is read.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Sessions that read, each a page at a time.
    pub sessions: u64,
    /// Messages of a page.
    pub size: u32,
    /// Pages to measure.
    pub pages: u64,
    /// Pages to read before, from all over the archive.
    pub warm_up: u64,
    /// With whom the messages are of the pages that are filtered; without anybody there are none of these.
    pub with: Vec<String>,
}

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The newest messages.
    Last,
    /// Before a message somewhere.
    Before,
    /// After a message somewhere.
    After,
    /// The newest with a contact.
    With,
    /// Those with a contact before a message somewhere.
    WithBefore,
    /// Since some moment, and the same with a contact: only to get to know ids from all over the archive.
    Since,
    WithSince,
}

/// Those that are measured, with their names.
const KINDS: [(Kind, &str, &str); 5] = [
    (Kind::Last, "last", "the last page"),
    (Kind::Before, "before", "before a random message"),
    (Kind::After, "after", "after a random message"),
    (Kind::With, "with", "the last page with a contact"),
    (Kind::WithBefore, "with_before", "with a contact, before a random message"),
];
/// How long a page may take.
const STALL: Duration = Duration::from_secs(30);
/// The most ids that are remembered.
const IDS_MAX: usize = 10_000;

/// What the workers and the director share.
struct Shared {
    latencies: [Mutex<Interval>; KINDS.len()],
    messages: AtomicU64,
    pages: AtomicU64,
    /// Pages with fewer messages than asked for.
    short: AtomicU64,
}

struct Reader {
    pages: Pages,
    shared: Arc<Shared>,
    phase: Phase,
    random: u64,
    /// When the archive begins, and when that was asked, in seconds.
    span: Option<(i64, i64)>,
    ids: Vec<String>,
    /// Ids of messages with a contact, whose place in the list it is: a server need not know others in a filtered page.
    with_ids: Vec<(usize, String)>,
    sessions: Vec<Reading>,
    /// Pages that were asked for, for whose turn it is.
    asked: u64,
    /// Messages and pages that have arrived, and of these the ones with their place in `KINDS`.
    read: u64,
}

/// One session, and the page that it waits for.
#[derive(Clone, Debug, Default)]
struct Reading {
    id: String,
    kind: Option<Kind>,
    with: Option<usize>,
    sent_ns: u64,
    messages: u32,
    stamp: Option<i64>,
}

impl Reader {
    fn new(pages: &Pages, shared: &Arc<Shared>, worker: usize) -> Self {
        Self {
            pages: pages.clone(),
            shared: Arc::clone(shared),
            phase: Phase::Connect,
            random: 0x9E37_79B9_7F4A_7C15 ^ (worker as u64 + 1),
            span: None,
            ids: Vec::new(),
            with_ids: Vec::new(),
            sessions: Vec::new(),
            asked: 0,
            read: 0,
        }
    }

    /// A number below `end`, which is not zero (xorshift).
    fn below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 16) % end as u64) as usize
    }

    fn kind(&self) -> Kind {
        let filters = !self.pages.with.is_empty();
        if self.span.is_none() || self.ids.is_empty() || self.phase < Phase::Measure {
            let filtered = filters && self.span.is_some() && self.asked % 2 == 1;
            return if filtered { Kind::WithSince } else { Kind::Since };
        }
        let kinds = if filters && !self.with_ids.is_empty() { KINDS.len() } else { 3 };
        KINDS[(self.asked % kinds as u64) as usize].0
    }

    fn ask(&mut self, slot: Slot, now_ns: u64, outbox: &mut Outbox) {
        let kind = self.kind();
        let id = format!("page{}", self.asked);
        let since = self.span.map(|(first, last)| first + self.below((last - first).max(1) as usize) as i64);
        let since = since.and_then(|since| OffsetDateTime::from_unix_timestamp(since).ok()?.format(&Rfc3339).ok());
        let since = since.as_deref().map_or(Page::First, Page::Since);
        let (mut some_id, mut with) = (String::new(), None);
        match kind {
            Kind::Before | Kind::After => {
                let place = self.below(self.ids.len());
                some_id.clone_from(&self.ids[place]);
            }
            Kind::WithBefore => {
                let place = self.below(self.with_ids.len());
                let (contact, id) = &self.with_ids[place];
                (with, some_id) = (Some(*contact), id.clone());
            }
            Kind::With | Kind::WithSince => with = Some(self.below(self.pages.with.len())),
            Kind::Last | Kind::Since => {}
        }
        let page = match kind {
            Kind::Last | Kind::With => Page::Last,
            Kind::Before | Kind::WithBefore => Page::Before(&some_id),
            Kind::After => Page::After(&some_id),
            Kind::Since | Kind::WithSince => since,
        };
        let contact = with.map(|with| self.pages.with[with].as_str());
        outbox.of(slot).extend_from_slice(archive::query(&id, page, contact, self.pages.size).as_bytes());
        self.sessions[slot] = Reading { id, kind: Some(kind), with, sent_ns: now_ns, messages: 0, stamp: None };
        self.asked += 1;
    }

    fn finish(&mut self, slot: Slot, fin: archive::Fin, now_ns: u64) {
        let reading = std::mem::take(&mut self.sessions[slot]);
        let Some(kind) = reading.kind else { return };
        if self.span.is_none() {
            self.span = reading.stamp.map(|first| (first, OffsetDateTime::now_utc().unix_timestamp()));
        }
        if let Some((first, last)) = fin.ends {
            for id in [first, last] {
                let place = self.below(IDS_MAX);
                match reading.with {
                    None => remember(&mut self.ids, place, id),
                    Some(with) => remember(&mut self.with_ids, place, (with, id)),
                }
            }
        }
        self.read += 1;
        let Some(place) = KINDS.iter().position(|(other, ..)| *other == kind) else { return };
        if self.phase != Phase::Measure {
            return;
        }
        let interval = &self.shared.latencies[place];
        interval.lock().unwrap_or_else(PoisonError::into_inner).record(now_ns.saturating_sub(reading.sent_ns));
        self.shared.messages.fetch_add(u64::from(reading.messages), Relaxed);
        self.shared.short.fetch_add(u64::from(reading.messages < self.pages.size), Relaxed);
        self.shared.pages.fetch_add(1, Relaxed);
    }
}

/// Keeps `new`, in place of another if there are many.
fn remember<T>(known: &mut Vec<T>, place: usize, new: T) {
    if known.len() < IDS_MAX {
        known.push(new);
    } else {
        known[place] = new;
    }
}

impl Load for Reader {
    fn bound(&mut self, slot: Slot, _: Bound<'_>, _: &mut Outbox) {
        if slot >= self.sessions.len() {
            self.sessions.resize_with(slot + 1, Reading::default);
        }
    }

    fn received(&mut self, slot: Slot, stanza: &[u8], now_ns: u64, outbox: &mut Outbox) -> Result<(), String> {
        let Some(reading) = self.sessions.get_mut(slot) else { return Ok(()) };
        if archive::is_result(stanza) {
            reading.messages += 1;
            if self.span.is_none() && reading.stamp.is_none() {
                let stamp = archive::stamp(stanza).and_then(|stamp| OffsetDateTime::parse(stamp, &Rfc3339).ok());
                reading.stamp = stamp.map(OffsetDateTime::unix_timestamp);
            }
            return Ok(());
        }
        let Some(fin) = archive::fin(stanza, &reading.id) else { return Ok(()) };
        let fin = fin?;
        if reading.messages == 0 && self.span.is_none() {
            return Err("the archive is empty".to_owned());
        }
        self.finish(slot, fin, now_ns);
        if matches!(self.phase, Phase::WarmUp | Phase::Measure) {
            self.ask(slot, now_ns, outbox);
        }
        Ok(())
    }

    fn turn(&mut self, phase: Phase, now_ns: u64, outbox: &mut Outbox, board: &Board) -> Option<u64> {
        self.phase = phase;
        if matches!(phase, Phase::WarmUp | Phase::Measure) {
            for slot in 0..self.sessions.len() {
                if self.sessions[slot].kind.is_none() {
                    self.ask(slot, now_ns, outbox);
                }
            }
        }
        board.sent.store(self.asked, Relaxed);
        board.delivered.store(self.read, Relaxed);
        None
    }
}

/// Runs it.
///
/// # Errors
/// A session failed, the archive is empty, or the server refuses a page.
pub fn run(common: &Common, pages: &Pages, report: &mut Report) -> anyhow::Result<()> {
    let shared = Arc::new(Shared {
        latencies: std::array::from_fn(|_| Mutex::new(Interval::new())),
        messages: AtomicU64::new(0),
        pages: AtomicU64::new(0),
        short: AtomicU64::new(0),
    });
    let mut fleet = Fleet::start(&common.target, common.rate, |worker| Reader::new(pages, &shared, worker))?;
    fleet.want(pages.sessions);
    fleet.wait_bound(pages.sessions, common.patience, |_| {})?;
    fleet.set_phase(Phase::WarmUp);
    fleet.wait_for("pages are read, to warm up", pages.warm_up, STALL, |fleet| fleet.messages().1, |_| {})?;
    let before = usage(common)?;
    fleet.set_phase(Phase::Measure);
    let watch = Watch::begin(common, &fleet)?;
    fleet.wait_for("pages are read", pages.pages, STALL, |_| shared.pages.load(Relaxed), |_| {})?;
    let at = report.figures.len();
    let watched = watch.end(common, &fleet, report)?;
    let mut general = report.figures.split_off(at);
    let read = shared.pages.load(Relaxed) as f64;
    fleet.stop();

    let mut all = Interval::new();
    let mut own = Vec::new();
    for ((_, name, title), interval) in KINDS.iter().zip(&shared.latencies) {
        let mut interval = interval.lock().unwrap_or_else(PoisonError::into_inner);
        if interval.count() > 0 {
            let latency = interval.latency();
            own.push((format!("{name}_p50_us"), format!("{title}: p50"), latency.p50_us));
            own.push((format!("{name}_p99_us"), format!("{title}: p99"), latency.p99_us));
            all.take(&mut interval);
        }
    }
    let latency = all.latency();
    report.figure("pages", "pages", "", read);
    report.figure("messages_per_page", "messages of a page", "", shared.messages.load(Relaxed) as f64 / read);
    report.figure("short_pages", "pages that were not full", "", shared.short.load(Relaxed) as f64);
    report.figure("latency_p50_us", "latency p50", "us", latency.p50_us);
    report.figure("latency_p99_us", "latency p99", "us", latency.p99_us);
    report.figure("latency_max_us", "latency maximum", "us", latency.max_us);
    own.iter().for_each(|(name, title, value)| report.figure(name, title, "us", *value));
    if let (Some(before), Some((began, ended))) = (before, watched.usage) {
        let cpu_us = (ended.cpu_ns - began.cpu_ns) as f64 / 1e3 / read;
        report.figure("server_cpu_us_per_page", "server: CPU per page", "us", cpu_us);
        report.figure("resident_before_mib", "server: resident memory before", "MiB", mib(before.resident_bytes));
        report.figure("resident_after_mib", "server: resident memory after", "MiB", mib(ended.resident_bytes));
    }
    report.figures.append(&mut general);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = "<message to='a@b/c'><result xmlns='urn:xmpp:mam:2' id='1'><forwarded \
        xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/></forwarded></result>\
        </message>";

    fn reader() -> (Reader, Outbox, Board) {
        let pages = Pages { sessions: 1, size: 2, pages: 9, warm_up: 1, with: vec!["x@y".to_owned()] };
        let shared = Arc::new(Shared {
            latencies: std::array::from_fn(|_| Mutex::new(Interval::new())),
            messages: AtomicU64::new(0),
            pages: AtomicU64::new(0),
            short: AtomicU64::new(0),
        });
        let (mut reader, mut outbox) = (Reader::new(&pages, &shared, 0), Outbox::default());
        reader.bound(0, Bound { ordinal: 0, jid: "a@b/c", took_ns: 0 }, &mut outbox);
        (reader, outbox, Board::new())
    }

    fn asked(outbox: &mut Outbox) -> String {
        String::from_utf8(std::mem::take(outbox.of(0))).unwrap()
    }

    fn fin(number: u64) -> String {
        format!(
            "<iq type='result' id='page{number}'><fin xmlns='urn:xmpp:mam:2'><set \
             xmlns='http://jabber.org/protocol/rsm'><first>f{number}</first><last>l{number}</last></set></fin></iq>"
        )
    }

    #[test]
    fn ids_are_learnt_from_all_over_the_archive_and_then_every_kind_has_its_turn() {
        let (mut reader, mut outbox, board) = reader();
        reader.turn(Phase::WarmUp, 1, &mut outbox, &board);
        assert!(asked(&mut outbox).contains("<set xmlns='http://jabber.org/protocol/rsm'><max>2</max></set>"));
        reader.received(0, RESULT.as_bytes(), 2, &mut outbox).unwrap();
        reader.received(0, fin(0).as_bytes(), 2, &mut outbox).unwrap();
        assert!(asked(&mut outbox).contains("<field var='start'><value>20"));
        reader.turn(Phase::Measure, 3, &mut outbox, &board);
        for number in 1..=5 {
            reader.received(0, RESULT.as_bytes(), 4, &mut outbox).unwrap();
            reader.received(0, fin(number).as_bytes(), 5, &mut outbox).unwrap();
            let query = asked(&mut outbox);
            let with = query.contains("<field var='with'><value>x@y</value>");
            let kind = KINDS[((number + 1) % 5) as usize].0;
            assert_eq!(with, matches!(kind, Kind::With | Kind::WithBefore), "{query}");
            assert_eq!(query.contains("<before/>"), matches!(kind, Kind::Last | Kind::With), "{query}");
            assert_eq!(query.contains("<after>"), kind == Kind::After, "{query}");
        }
        let shared = &reader.shared;
        assert_eq!(shared.pages.load(Relaxed), 4, "the first was asked for before");
        assert_eq!((shared.messages.load(Relaxed), shared.short.load(Relaxed)), (4, 4));
    }

    #[test]
    fn an_empty_archive_is_told() {
        let (mut reader, mut outbox, board) = reader();
        reader.turn(Phase::WarmUp, 1, &mut outbox, &board);
        assert!(reader.received(0, fin(0).as_bytes(), 2, &mut outbox).unwrap_err().contains("is empty"));
    }
}
