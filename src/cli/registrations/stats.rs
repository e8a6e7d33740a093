//! `rondel registration stats`: how many came, by what way, and from where most of them.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;

use super::flags::StatsFlags;
use super::{read, text};
use crate::admin::LogEntry;
use crate::cli::access::Access;
use crate::cli::print;
use crate::registration::Prefixes;

/// What is counted.
#[derive(Default)]
struct Stats {
    made: u64,
    gone: u64,
    refused: u64,
    by_way: HashMap<String, u64>,
    /// Accounts made and attempts refused, by the first address of a network.
    by_network: HashMap<IpAddr, (u64, u64)>,
}

pub(super) fn run(flags: &StatsFlags) -> Result<(), String> {
    let backend = Access::open(&flags.target, false)?.backend()?;
    let prefixes = Prefixes {
        v4_bits: u8::try_from(flags.prefix_ipv4).unwrap_or(32),
        v6_bits: u8::try_from(flags.prefix_ipv6).unwrap_or(128),
    };
    let mut stats = Stats::default();
    for entry in read::both(&*backend, &flags.selection, None) {
        stats.add(&entry.map_err(text)?, &prefixes);
    }
    print(&stats.shown(&prefixes, flags.networks)).map_err(|error| error.to_string())
}

impl Stats {
    fn add(&mut self, entry: &LogEntry, prefixes: &Prefixes) {
        let network = entry.address.map(|address| self.by_network.entry(prefixes.first_of(address)).or_default());
        let way = match (&entry.reason, &entry.source) {
            (Some(reason), _) => {
                self.refused += 1;
                network.into_iter().for_each(|(_, refused)| *refused += 1);
                format!("refused: {reason}")
            }
            (None, source) => {
                self.made += 1;
                self.gone += u64::from(entry.made_s.is_none());
                network.into_iter().for_each(|(made, _)| *made += 1);
                format!("made by {}", source.as_deref().unwrap_or("unknown"))
            }
        };
        *self.by_way.entry(way).or_default() += 1;
    }

    fn shown(self, prefixes: &Prefixes, networks_max: usize) -> String {
        let mut shown = String::new();
        let mut add = |line: std::fmt::Arguments<'_>| {
            // Writing into memory does not fail.
            let _ = writeln!(shown, "{line}");
        };
        add(format_args!("made     {:>8}, of which {} are gone", self.made, self.gone));
        add(format_args!("refused  {:>8}", self.refused));
        let mut ways: Vec<_> = self.by_way.into_iter().collect();
        ways.sort_by(|(one, one_count), (other, other_count)| (other_count, one).cmp(&(one_count, other)));
        if !ways.is_empty() {
            add(format_args!(""));
        }
        for (way, count) in ways {
            add(format_args!("{count:>8}  {way}"));
        }
        let mut networks: Vec<_> = self.by_network.into_iter().collect();
        networks.sort_by_key(|(address, (made, refused))| (std::cmp::Reverse(made + refused), *address));
        networks.truncate(networks_max);
        if !networks.is_empty() {
            add(format_args!("\n    made   refused  from"));
        }
        for (first, (made, refused)) in networks {
            let bits = if first.is_ipv4() { prefixes.v4_bits } else { prefixes.v6_bits };
            add(format_args!("{made:>8}  {refused:>8}  {first}/{bits}"));
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Place;

    #[test]
    fn what_came_is_counted_by_way_and_network() {
        let prefixes = Prefixes { v4_bits: 24, v6_bits: 48 };
        let mut stats = Stats::default();
        let entry = |last, reason: Option<&str>, made_s| LogEntry {
            place: Place { at_us: 0, jid: "a@x".into() },
            address: Some([192, 0, last, 7].into()),
            source: reason.is_none().then(|| "ibr".into()),
            reason: reason.map(str::to_owned),
            made_s,
        };
        for each in [entry(1, None, Some(1)), entry(1, None, None), entry(2, Some("taken"), None)] {
            stats.add(&each, &prefixes);
        }
        assert_eq!(
            stats.shown(&prefixes, 10),
            "made            2, of which 1 are gone\nrefused         1\n\n       2  made by ibr\n       1  refused: \
             taken\n\n    made   refused  from\n       2         0  192.0.1.0/24\n       0         1  192.0.2.0/24\n"
        );
    }
}
