//! The subcommands of `rondel registration` and their flags.

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::{Target, names, values};
use crate::jid::Jid;
use crate::registration::Network;

/// The subcommands of `rondel registration`.
#[derive(Subcommand, Debug)]
pub enum RegistrationAction {
    /// Shows who has made an account, and who was refused and why, oldest first
    Log(LogFlags),
    /// Counts them: by way, by reason, and by the networks that most came from
    Stats(StatsFlags),
    /// Shows who waits to be let in (--registration approve), and what they have said of themselves
    Pending(PendingFlags),
    /// Lets in somebody who waits
    Approve(Waiting),
    /// Removes the account of somebody who waits
    Reject(Waiting),
    /// Removes all accounts that were registered from some addresses in some time. Shows them, and removes nothing
    /// without --yes
    Purge(PurgeFlags),
}

/// A part of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Only {
    /// Accounts that were made.
    Made,
    /// Attempts that were refused.
    Refused,
}

/// Which entries of the log.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which")]
pub struct Selection {
    /// Since when: a moment (2026-11-26T18:00:00Z), a day (2026-11-26), or how long ago (2h).
    #[arg(long, env = "RONDEL_SINCE", value_name = "TIME", default_value = "1d", value_parser = values::moment)]
    pub since: u64,
    /// Until when. Without it: until now.
    #[arg(long, env = "RONDEL_UNTIL", value_name = "TIME", value_parser = values::moment)]
    pub until: Option<u64>,
    /// Only from this address or network, such as 192.0.2.0/24 or 2001:db8::/48.
    #[arg(long, env = "RONDEL_FROM_ADDRESS", value_name = "NETWORK", value_parser = network)]
    pub from_address: Option<Network>,
    /// Only those of this domain.
    #[arg(long = "of-domain", env = "RONDEL_OF_DOMAIN", value_name = "DOMAIN", value_parser = names::domain)]
    pub domain: Option<String>,
}

/// The flags of `rondel registration log`.
#[derive(Args, Debug)]
pub struct LogFlags {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// Only accounts that were made, or only attempts that were refused.
    #[arg(long, env = "RONDEL_ONLY", value_name = "PART", value_enum, help_heading = "Which")]
    pub only: Option<Only>,
    /// Entries at most. Without it: all.
    #[arg(long, env = "RONDEL_LIMIT", value_name = "NUMBER", value_parser = values::number(1, 1 << 40))]
    #[arg(help_heading = "Which")]
    pub limit: Option<usize>,
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel registration stats`.
#[derive(Args, Debug)]
pub struct StatsFlags {
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// Bits of an IPv4 address that make a network.
    #[arg(long, env = "RONDEL_PREFIX_IPV4", value_name = "BITS", default_value = "24", help_heading = "Output")]
    #[arg(value_parser = values::number(0, 32))]
    pub prefix_ipv4: usize,
    /// Bits of an IPv6 address that make a network.
    #[arg(long, env = "RONDEL_PREFIX_IPV6", value_name = "BITS", default_value = "48", help_heading = "Output")]
    #[arg(value_parser = values::number(0, 128))]
    pub prefix_ipv6: usize,
    /// Networks to show.
    #[arg(long, env = "RONDEL_NETWORKS", value_name = "NUMBER", default_value = "20", help_heading = "Output")]
    #[arg(value_parser = values::number(0, 100_000))]
    pub networks: usize,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel registration pending`.
#[derive(Args, Debug)]
pub struct PendingFlags {
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel registration approve` and `reject`.
#[derive(Args, Debug)]
pub struct Waiting {
    /// The accounts' addresses.
    #[arg(value_name = "JID", value_parser = names::account, required = true)]
    pub jids: Vec<Jid<'static>>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel registration purge`.
#[derive(Args, Debug)]
pub struct PurgeFlags {
    /// From which address or network, such as 192.0.2.0/24 or 2001:db8::/48; repeat it for several.
    #[arg(long, env = "RONDEL_FROM_ADDRESS", value_name = "NETWORK", value_parser = network, required = true)]
    #[arg(value_delimiter = ',', help_heading = "Which")]
    pub from_address: Vec<Network>,
    /// Since when: a moment (2026-11-26T18:00:00Z), a day (2026-11-26), or how long ago (2h).
    #[arg(long, env = "RONDEL_SINCE", value_name = "TIME", value_parser = values::moment, help_heading = "Which")]
    pub since: u64,
    /// Until when. Without it: until now.
    #[arg(long, env = "RONDEL_UNTIL", value_name = "TIME", value_parser = values::moment, help_heading = "Which")]
    pub until: Option<u64>,
    /// Only accounts of this domain.
    #[arg(long = "of-domain", env = "RONDEL_OF_DOMAIN", value_name = "DOMAIN", value_parser = names::domain)]
    #[arg(help_heading = "Which")]
    pub domain: Option<String>,
    /// Removes them, with all that belongs to them, and tells their contacts. There is no way back.
    #[arg(long, env = "RONDEL_YES", help_heading = "Purge")]
    pub yes: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|_| "an address, or a network such as 192.0.2.0/24 or 2001:db8::/48".into())
}
