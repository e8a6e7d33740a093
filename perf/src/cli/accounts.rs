//! `rondel-perf accounts`: the accounts that the other subcommands log in to, as lines.

use std::io::{BufWriter, Write, stdout};

use super::flags::AccountsFlags;

/// Prints `prefix0@domain password` and so on.
pub fn print(flags: &AccountsFlags) -> anyhow::Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    for number in 0..flags.count {
        writeln!(out, "{}{number}@{} {}", flags.prefix, flags.domain, flags.password)?;
    }
    Ok(out.flush()?)
}
