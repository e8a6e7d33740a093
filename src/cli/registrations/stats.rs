//! `rondel registration stats`: how many came, by what way, and from where most of them.

use std::fmt::Write;

use super::flags::StatsFlags;
use super::{read, text};
use crate::admin::{CountLog, LogCount, Part, Request, ask};
use crate::cli::access::Access;
use crate::cli::print;

pub(super) fn run(flags: &StatsFlags) -> Result<(), String> {
    let backend = Access::open(&flags.target, false)?.backend()?;
    let wanted = CountLog {
        list: read::listed(&flags.selection, Part::Made),
        v4_bits: u8::try_from(flags.prefix_ipv4).unwrap_or(32),
        v6_bits: u8::try_from(flags.prefix_ipv6).unwrap_or(128),
        networks_max: flags.networks,
    };
    let count: LogCount = ask(&*backend, Request::CountLog(wanted)).map_err(text)?;
    print(&shown(&count)).map_err(|error| error.to_string())
}

fn shown(count: &LogCount) -> String {
    let mut shown = String::new();
    let mut add = |line: std::fmt::Arguments<'_>| {
        // Writing into memory does not fail.
        let _ = writeln!(shown, "{line}");
    };
    add(format_args!("made     {:>8}, of which {} are gone", count.made, count.gone));
    add(format_args!("refused  {:>8}", count.refused));
    if !count.ways.is_empty() {
        add(format_args!(""));
    }
    for (way, number) in &count.ways {
        add(format_args!("{number:>8}  {way}"));
    }
    if !count.networks.is_empty() {
        add(format_args!("\n    made   refused  from"));
    }
    for (network, made, refused) in &count.networks {
        add(format_args!("{made:>8}  {refused:>8}  {network}"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_below_each_other() {
        let count = LogCount {
            made: 2,
            gone: 1,
            refused: 1,
            ways: vec![("made by ibr".into(), 2), ("refused: taken".into(), 1)],
            networks: vec![("192.0.1.0/24".into(), 2, 0), ("192.0.2.0/24".into(), 0, 1)],
        };
        assert_eq!(
            shown(&count),
            "made            2, of which 1 are gone\nrefused         1\n\n       2  made by ibr\n       1  refused: \
             taken\n\n    made   refused  from\n       2         0  192.0.1.0/24\n       0         1  192.0.2.0/24\n"
        );
    }
}
