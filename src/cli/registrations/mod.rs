//! `rondel registration`: who has made an account, who was refused and why, and undoing a wave of them; of a running
//! server or of a data directory that none uses.

mod flags;
mod pending;
mod purge;
mod read;
mod stats;

use std::io::Write;

use crate::admin::{Failure, LogEntry, Request};
use crate::cli::access::Access;
use crate::datetime;

pub use flags::{LogFlags, PendingFlags, PurgeFlags, RegistrationAction, Selection, StatsFlags, Waiting};

/// Does what was asked. An error is one line.
pub fn run(action: &RegistrationAction) -> Result<(), String> {
    match action {
        RegistrationAction::Log(flags) => log(flags),
        RegistrationAction::Stats(flags) => stats::run(flags),
        RegistrationAction::Pending(flags) => pending::list(flags),
        RegistrationAction::Approve(waiting) => pending::decide(waiting, "approved", |jid| Request::Approve { jid }),
        RegistrationAction::Reject(waiting) => pending::decide(waiting, "rejected", |jid| Request::Reject { jid }),
        RegistrationAction::Purge(flags) => purge::run(flags),
    }
}

fn log(flags: &LogFlags) -> Result<(), String> {
    let backend = Access::open(&flags.target, false)?.backend()?;
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let wanted = flags.limit.unwrap_or(usize::MAX);
    for entry in read::both(&*backend, &flags.selection, flags.only).take(wanted) {
        let entry = entry.map_err(text)?;
        let line = match flags.json {
            true => serde_json::to_string(&entry).map_err(|error| error.to_string())?,
            false => line(&entry),
        };
        writeln!(output, "{line}").map_err(|error| error.to_string())?;
    }
    output.flush().map_err(|error| error.to_string())
}

/// An entry for people.
fn line(entry: &LogEntry) -> String {
    let at = datetime::utc_s(entry.place.at_us / 1_000_000);
    let address = entry.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    let what = match (&entry.reason, &entry.source) {
        (Some(reason), _) => format!("refused: {reason}"),
        (None, Some(source)) if entry.made_s.is_none() => format!("made by {source}, gone"),
        (None, Some(source)) => format!("made by {source}"),
        (None, None) => String::new(),
    };
    format!("{at} {address} {} {what}", entry.place.jid)
}

fn text(failure: Failure) -> String {
    failure.text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Place;

    #[test]
    fn an_entry_is_a_line() {
        let made = LogEntry {
            place: Place { at_us: 1_700_000_000_123_456, jid: "juliet@example.org".into() },
            address: Some([192, 0, 2, 1].into()),
            source: Some("ibr".into()),
            reason: None,
            made_s: Some(1_700_000_000),
        };
        assert_eq!(line(&made), "2023-11-14T22:13:20Z 192.0.2.1 juliet@example.org made by ibr");
        let gone = LogEntry { address: None, made_s: None, ..made.clone() };
        assert_eq!(line(&gone), "2023-11-14T22:13:20Z - juliet@example.org made by ibr, gone");
        let refused = LogEntry { source: None, reason: Some("taken".into()), made_s: None, ..made };
        assert_eq!(line(&refused), "2023-11-14T22:13:20Z 192.0.2.1 juliet@example.org refused: taken");
    }
}
