//! The log of registrations in numbers: how many came, by what way, and from where most of them.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::backend::Failure;
use super::log::{ListLog, Log, LogEntry, PAGE_ENTRIES_MAX, Part};
use crate::registration::Prefixes;

/// What of the log is counted, and how.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CountLog {
    /// Which entries; both parts are counted, whichever is named, and all of them.
    pub list: ListLog,
    /// Bits of an IPv4 address that make a network.
    pub v4_bits: u8,
    /// Bits of an IPv6 address that make a network.
    pub v6_bits: u8,
    /// Networks at most.
    pub networks_max: usize,
}

/// How many entries there are.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LogCount {
    /// Accounts that were made.
    pub made: u64,
    /// Those of them that are gone.
    pub gone: u64,
    /// Attempts that were refused.
    pub refused: u64,
    /// By what way they were made, or why they were refused, most frequent first.
    pub ways: Vec<(String, u64)>,
    /// The networks that most came from: accounts made and attempts refused.
    pub networks: Vec<(String, u64, u64)>,
}

/// What is counted.
#[derive(Default)]
struct Counting {
    count: LogCount,
    by_way: HashMap<String, u64>,
    /// By the first address of a network.
    by_network: HashMap<IpAddr, (u64, u64)>,
}

impl Log {
    /// Counts entries. Waits for the disk.
    pub fn count(&self, wanted: &CountLog) -> Result<LogCount, Failure> {
        let prefixes = Prefixes { v4_bits: wanted.v4_bits.min(32), v6_bits: wanted.v6_bits.min(128) };
        let mut counting = Counting::default();
        for part in [Part::Made, Part::Refused] {
            let mut list = ListLog { part, limit: PAGE_ENTRIES_MAX, after: None, ..wanted.list.clone() };
            loop {
                let page = self.list(&list)?;
                page.entries.iter().for_each(|entry| counting.add(entry, &prefixes));
                let Some(next) = page.next else { break };
                list.after = Some(next);
            }
        }
        Ok(counting.done(&prefixes, wanted.networks_max))
    }
}

impl Counting {
    fn add(&mut self, entry: &LogEntry, prefixes: &Prefixes) {
        let network = entry.address.map(|address| self.by_network.entry(prefixes.first_of(address)).or_default());
        let way = match (&entry.reason, &entry.source) {
            (Some(reason), _) => {
                self.count.refused += 1;
                network.into_iter().for_each(|(_, refused)| *refused += 1);
                format!("refused: {reason}")
            }
            (None, source) => {
                self.count.made += 1;
                self.count.gone += u64::from(entry.made_s.is_none());
                network.into_iter().for_each(|(made, _)| *made += 1);
                format!("made by {}", source.as_deref().unwrap_or("unknown"))
            }
        };
        *self.by_way.entry(way).or_default() += 1;
    }

    fn done(self, prefixes: &Prefixes, networks_max: usize) -> LogCount {
        let mut ways: Vec<_> = self.by_way.into_iter().collect();
        ways.sort_by(|(one, one_count), (other, other_count)| (other_count, one).cmp(&(one_count, other)));
        let mut networks: Vec<_> = self.by_network.into_iter().collect();
        networks.sort_by_key(|(address, (made, refused))| (std::cmp::Reverse(made + refused), *address));
        networks.truncate(networks_max);
        let named = |(first, (made, refused)): (IpAddr, (u64, u64))| {
            let bits = if first.is_ipv4() { prefixes.v4_bits } else { prefixes.v6_bits };
            (format!("{first}/{bits}"), made, refused)
        };
        LogCount { ways, networks: networks.into_iter().map(named).collect(), ..self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Place;

    #[test]
    fn what_came_is_counted_by_way_and_network() {
        let prefixes = Prefixes { v4_bits: 24, v6_bits: 48 };
        let mut counting = Counting::default();
        let entry = |last, reason: Option<&str>, made_s| LogEntry {
            place: Place { at_us: 0, jid: "a@x".into() },
            address: Some([192, 0, last, 7].into()),
            source: reason.is_none().then(|| "ibr".into()),
            reason: reason.map(str::to_owned),
            made_s,
        };
        for each in [entry(1, None, Some(1)), entry(1, None, None), entry(2, Some("taken"), None)] {
            counting.add(&each, &prefixes);
        }
        let count = counting.done(&prefixes, 10);
        assert_eq!((count.made, count.gone, count.refused), (2, 1, 1));
        assert_eq!(count.ways, [("made by ibr".to_owned(), 2), ("refused: taken".to_owned(), 1)]);
        assert_eq!(count.networks, [("192.0.1.0/24".to_owned(), 2, 0), ("192.0.2.0/24".to_owned(), 0, 1)]);
    }
}
