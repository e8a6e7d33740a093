//! Reports of spam and abuse (XEP-0377), until somebody has seen to them and some time after.
//!
//! Key: a [`TimedId`]. Value: [`Report`].

use crate::codec::{LoadError, Versioned};
use crate::reply::{Outcome, Page};
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PageRequest, ReadRequest, TimedId, WriteRequest};
use serde::{Deserialize, Serialize};

const FAMILY: Family = Family::Reports;

/// A report.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Who reports: a bare JID.
    pub reporter: String,
    /// Who is reported: a bare JID, or a domain.
    pub reported: String,
    /// Why, in a word: `spam`, `abuse`, or what somebody else has defined.
    pub reason: String,
    /// What the person who reports has written.
    pub text: Option<String>,
    /// The messages that are reported, as they were found in the archive of who reports.
    pub messages: Vec<Message>,
    /// Whether it may be forwarded to the server of who is reported.
    pub may_go_to_origin: bool,
    /// Whether it may be forwarded to others who process reports.
    pub may_go_to_third_party: bool,
    /// What has come of it, if somebody has seen to it.
    pub closed: Option<Closed>,
}

/// A message that is reported.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Message {
    /// When it was sent, in microseconds since 1970.
    pub at_micros: u64,
    /// The stanza.
    pub xml: String,
}

/// What has come of a report.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Closed {
    /// When, in seconds since 1970.
    pub at_s: u64,
    /// Who has seen to it.
    pub by: String,
    /// What was done, in a word.
    pub action: String,
}

impl Versioned for Report {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "reports";
}

/// A report as it was read. Changes are based on it and are refused if it has changed since.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredReport {
    /// Its id.
    pub id: TimedId,
    /// What is stored.
    pub report: Report,
    encoded: Vec<u8>,
}

impl StoredReport {
    fn decode(key: &[u8], encoded: Vec<u8>) -> Result<StoredReport, DecodeError> {
        let damaged = || DecodeError::damaged(Report::FAMILY, key, "the key is no id");
        let id = TimedId::of_key(key).ok_or_else(damaged)?;
        Ok(StoredReport { id, report: Report::decode(key, &encoded)?, encoded })
    }

    /// Notes what has come of it.
    pub fn close(&self, closed: Closed) -> WriteRequest {
        let report = Report { closed: Some(closed), ..self.report.clone() };
        self.unchanged().put(FAMILY, self.id.key(), report.encode())
    }

    /// Forgets it.
    pub fn forget(&self) -> WriteRequest {
        self.unchanged().delete(FAMILY, self.id.key())
    }

    fn unchanged(&self) -> WriteRequest {
        WriteRequest::new(Owner::nobody()).require_equals(FAMILY, self.id.key(), self.encoded.clone())
    }
}

/// Keeps a new report.
pub fn append(report: &Report, id: TimedId) -> WriteRequest {
    WriteRequest::new(Owner::nobody()).put(FAMILY, id.key(), report.encode())
}

/// Reads a report; see [`decode`].
pub fn get(id: TimedId) -> ReadRequest {
    ReadRequest::Get(FAMILY, id.key().to_vec())
}

/// The report in the outcome of [`get`].
pub fn decode(id: TimedId, outcome: Outcome) -> Result<Option<StoredReport>, LoadError> {
    match outcome {
        Outcome::Value(None) => Ok(None),
        Outcome::Value(Some(bytes)) => Ok(Some(StoredReport::decode(id.key(), bytes)?)),
        other => Err(LoadError::unexpected(other)),
    }
}

/// Reads reports from an id on, oldest first. The page decodes with [`decode_page`], and [`PageRequest::next`]
/// continues it.
pub fn list(from: TimedId, entries_max: usize) -> PageRequest {
    let from = from.key().to_vec();
    PageRequest { family: FAMILY, from, to: None, reverse: false, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// The reports in a page of [`list`]. One that cannot be decoded does not hide the others.
pub fn decode_page(page: Page) -> Vec<Result<StoredReport, DecodeError>> {
    page.entries.into_iter().map(|(key, value)| StoredReport::decode(&key, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};
    use proptest::prelude::*;

    fn report() -> Report {
        Report {
            reporter: "a@x".into(),
            reported: "b@x".into(),
            reason: "spam".into(),
            text: None,
            messages: vec![Message { at_micros: 1, xml: "<m/>".into() }],
            may_go_to_origin: true,
            may_go_to_third_party: false,
            closed: None,
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            StoredReport::decode(&key, value).ok();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        assert_eq!(report().encode(), b"\x01\x03a@x\x03b@x\x04spam\x00\x01\x01\x04<m/>\x01\x00\x00");
    }

    #[test]
    fn a_report_is_seen_to_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        let id = TimedId::new(7);
        assert_eq!(store.write_blocking(append(&report(), id)), Outcome::Written);
        let read = || decode(id, store.read_blocking(&get(id))).unwrap();
        let first = read().unwrap();
        assert_eq!((first.id, &first.report), (id, &report()));
        let closed = Closed { at_s: 9, by: "me".into(), action: "ban".into() };
        assert_eq!(store.write_blocking(first.close(closed.clone())), Outcome::Written);
        assert!(matches!(store.write_blocking(first.close(closed.clone())), Outcome::Refused(_)));
        let listed = decode_page(store.page(list(TimedId::first(0), 10)).unwrap());
        assert_eq!(listed[0].as_ref().unwrap().report.closed, Some(closed));
        assert_eq!(store.write_blocking(read().unwrap().forget()), Outcome::Written);
        assert_eq!(read(), None);
    }
}
