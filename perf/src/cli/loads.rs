//! The flags of the subcommands that put load on a server. The documentation comments are what `--help` prints.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::flags::{ConnectFlags, HabitFlags, OutputFlags};
use super::values;
use crate::scenario::hostile::Kind;

#[derive(Args, Debug)]
pub struct LoginFlags {
    /// Logins to measure.
    #[arg(long, value_name = "N", default_value = "2000", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(help_heading = "Load")]
    pub logins: u64,
    /// Logins before, which are not measured. Without it: as many.
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub warmup_logins: Option<u64>,
    /// Ends each session as soon as it is bound. Without it all stay until the last is bound.
    #[arg(long, help_heading = "Load")]
    pub logout: bool,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
pub struct IdleFlags {
    /// Sessions in the end.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u64).range(2..))]
    #[arg(help_heading = "Load")]
    pub sessions: u64,
    /// Sessions at first: what one takes is the slope between the two numbers. Without it: a tenth.
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub from: Option<u64>,
    /// How long the server is left alone before its memory is read.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = values::duration, help_heading = "Load")]
    pub settle: Duration,
    /// How long its idle CPU time is measured.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::duration, help_heading = "Load")]
    pub duration: Duration,
    #[command(flatten)]
    pub habits: HabitFlags,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
pub struct ChatFlags {
    /// Sessions; they chat in pairs, both ways.
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u64).range(2..))]
    #[arg(help_heading = "Load")]
    pub sessions: u64,
    /// The same as twice as many --sessions.
    #[arg(long, value_name = "N", conflicts_with = "sessions", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(help_heading = "Load")]
    pub pairs: Option<u64>,
    /// Messages of each session that are under way at any time: the next is sent when one arrives.
    #[arg(long, value_name = "W", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    #[arg(help_heading = "Load")]
    pub window: u32,
    /// Bytes of a message stanza as it is sent.
    #[arg(long, value_name = "BYTES", default_value = "300", value_parser = values::size, help_heading = "Load")]
    pub size: usize,
    /// Messages per second of all sessions, in place of a window. Latency then counts from when a message was due.
    #[arg(long, value_name = "PER SECOND", value_parser = values::positive, conflicts_with = "window")]
    #[arg(help_heading = "Load")]
    pub rate: Option<f64>,
    /// How long to measure.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration, help_heading = "Load")]
    pub duration: Duration,
    /// How long to chat before that.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = values::duration, help_heading = "Load")]
    pub warmup: Duration,
    /// Ends earlier, once so many messages were delivered.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Load")]
    pub messages: Option<u64>,
    #[command(flatten)]
    pub habits: HabitFlags,
    /// The same traffic without XMPP, for rondel-perf relay.
    #[arg(long, help_heading = "Load")]
    pub raw: bool,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
pub struct HostileFlags {
    /// Hostile clients at a time; whoever is disconnected comes again. Client N logs in as PREFIXN.
    #[arg(long, value_name = "N", default_value = "24", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    #[arg(help_heading = "Load")]
    pub clients: u64,
    /// What they are up to, in turn. Without it: everything.
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',', help_heading = "Load")]
    pub kinds: Vec<Kind>,
    /// How long.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration, help_heading = "Load")]
    pub duration: Duration,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
pub struct RosterFlags {
    /// Contacts of each account: its neighbours in a ring of the accounts, half of them on either side.
    #[arg(long, value_name = "N", default_value = "50", value_parser = values::even, help_heading = "Load")]
    pub contacts: u64,
    /// Lets contacts see each other's presence; otherwise they merely stand in the roster.
    #[arg(long, help_heading = "Load")]
    pub mutual: bool,
    /// The accounts, the first so many.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u64).range(3..))]
    #[arg(help_heading = "Load")]
    pub rosters: u64,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
pub struct PresenceFlags {
    /// Contacts of the first account: the accounts behind it, one session each. Subscriptions are made as needed.
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    #[arg(help_heading = "Load")]
    pub contacts: u64,
    /// Changes that are under way at any time: the next is sent when all contacts have heard of one.
    #[arg(long, value_name = "W", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    #[arg(help_heading = "Load")]
    pub window: u32,
    /// How long to measure.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration, help_heading = "Load")]
    pub duration: Duration,
    /// How long to change presence before that.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = values::duration, help_heading = "Load")]
    pub warmup: Duration,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
pub struct ArchiveFlags {
    /// Sessions of the first account; each reads one page at a time.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(help_heading = "Load")]
    pub sessions: u64,
    /// Messages of a page.
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    #[arg(help_heading = "Load")]
    pub size: u32,
    /// Pages to measure: the last, before and after random messages, with a contact, each kind in turn.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(help_heading = "Load")]
    pub pages: u64,
    /// Pages to read before, from all over the archive.
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u64).range(2..))]
    #[arg(help_heading = "Load")]
    pub warmup_pages: u64,
    /// Contacts to filter pages by: the accounts behind the first.
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Load")]
    pub contacts: u64,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
pub struct ResumeFlags {
    /// Sessions that vanish without a word and come back.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u64).range(2..))]
    #[arg(help_heading = "Load")]
    pub sessions: u64,
    /// Sessions that write to them all the while.
    #[arg(long, value_name = "N", default_value = "20", value_parser = values::even, help_heading = "Load")]
    pub senders: u64,
    /// Messages per second of all senders.
    #[arg(long, value_name = "PER SECOND", default_value = "1000", value_parser = values::positive)]
    #[arg(help_heading = "Load")]
    pub rate: f64,
    /// Bytes of a message stanza as it is sent.
    #[arg(long, value_name = "BYTES", default_value = "300", value_parser = values::size, help_heading = "Load")]
    pub size: usize,
    /// Messages to each session that are sent as it vanishes.
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    #[arg(help_heading = "Load")]
    pub burst: u32,
    /// How long to write before that.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = values::duration, help_heading = "Load")]
    pub warmup: Duration,
    /// How long they are away.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::duration, help_heading = "Load")]
    pub away: Duration,
    /// How long it may take until all are back.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = values::duration, help_heading = "Load")]
    pub within: Duration,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
pub struct SendFlags {
    /// Messages of the first account: every other one to the second, which is there, the others to those behind it.
    #[arg(long, value_name = "N", default_value = "40000", help_heading = "Load")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..10_000_000))]
    pub messages: u64,
    /// Accounts behind the second, which are not there: as a rule servers bound what waits for one.
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    #[arg(help_heading = "Load")]
    pub absent: u64,
    /// How many may be sent and not acknowledged.
    #[arg(long, value_name = "W", default_value = "500", value_parser = clap::value_parser!(u64).range(20..=100_000))]
    #[arg(help_heading = "Load")]
    pub window: u64,
    /// Bytes of a message stanza as it is sent.
    #[arg(long, value_name = "BYTES", default_value = "300", value_parser = values::size, help_heading = "Load")]
    pub size: usize,
    /// Kills the server (SIGKILL to the first of --server-pid) once so many messages are acknowledged.
    #[arg(long, value_name = "N", requires = "server_pid", help_heading = "Load")]
    pub kill_after: Option<u64>,
    /// Where to write down what was acknowledged, for verify.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub ledger: PathBuf,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
pub struct VerifyFlags {
    /// What send wrote down.
    #[arg(long, value_name = "FILE", help_heading = "Load")]
    pub ledger: PathBuf,
    /// There are no archives: everything acknowledged to who was not there must have waited.
    #[arg(long, help_heading = "Load")]
    pub no_archive: bool,
    /// Messages of a page.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    #[arg(help_heading = "Load")]
    pub page: u32,
    #[command(flatten)]
    pub connect: ConnectFlags,
    #[command(flatten)]
    pub output: OutputFlags,
}
