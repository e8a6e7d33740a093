//! The subcommands, and the flags that several of them have. The documentation comments are what `--help` prints.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::loads::{
    ArchiveFlags, ChatFlags, HostileFlags, IdleFlags, LoginFlags, PresenceFlags, ResumeFlags, RosterFlags, SendFlags,
    VerifyFlags,
};
use super::values;
use crate::client::target::TlsMode;
use crate::measure::process::parse_pid;
use crate::xmpp::habits::Habits;
use crate::xmpp::scram::Mechanism;

/// Load for XMPP servers: logins, idle sessions, chat, presence, archives, resumption, hostile clients; what they cost
/// the server, how fast it is, and whether it keeps its word
///
/// Works against any server. The accounts must exist: PREFIX0, PREFIX1, … with one password.
#[derive(Debug, Parser)]
#[command(name = "rondel-perf", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Logs in again and again
    Login(LoginFlags),
    /// Holds sessions that do nothing, and measures what one of them takes
    Idle(IdleFlags),
    /// Lets sessions send messages to each other
    Chat(ChatFlags),
    /// Fills the accounts' rosters, for what comes after
    Roster(RosterFlags),
    /// Lets an account change its presence before many contacts
    Presence(PresenceFlags),
    /// Reads pages of an account's archive
    Archive(ArchiveFlags),
    /// Lets sessions vanish all at once and come back, while others write to them
    Resume(ResumeFlags),
    /// Sends numbered messages and writes down which of them the server has acknowledged
    Send(SendFlags),
    /// Looks for what was acknowledged, in archives and among the messages that waited
    Verify(VerifyFlags),
    /// Clients that mean no good: half handshakes, endless stanzas, noise, deaf sessions. For servers on this machine
    Hostile(HostileFlags),
    /// Copies bytes between pairs of connections: the least that a server can cost. For chat --raw
    Relay(RelayFlags),
    /// Shows reports side by side
    Compare(CompareFlags),
    /// Prints one figure of a report, or the median of several reports
    Value(ValueFlags),
    /// Prints the accounts, one per line, for rondel user add --stdin
    Accounts(AccountsFlags),
    /// Has strangers from many addresses try to register, over STARTTLS, and counts who may
    Register(RegisterFlags),
}

/// The flags of `rondel-perf register`.
#[derive(Args, Debug)]
pub struct RegisterFlags {
    /// Where the server is.
    #[arg(long, value_name = "HOST:PORT", value_parser = values::server)]
    pub server: SocketAddr,
    /// Its domain.
    #[arg(long, value_name = "DOMAIN", default_value = "localhost")]
    pub domain: String,
    /// Addresses of this machine from which they come, in turn, such as 127.77.0.1-127.77.3.232.
    #[arg(long, value_name = "FIRST-LAST", value_parser = values::addresses)]
    pub source_addresses: Sources,
    /// How many attempts there are, each with another name.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..))]
    pub attempts: u64,
    /// Attempts a second.
    #[arg(long, value_name = "N", default_value = "200", value_parser = values::positive)]
    pub rate: f64,
    /// Threads that wait for answers.
    #[arg(long, value_name = "N", default_value = "16", value_parser = values::threads)]
    pub threads: usize,
    /// The names without their numbers.
    #[arg(long, value_name = "PREFIX", default_value = "bot")]
    pub prefix: String,
    /// The password.
    #[arg(long, value_name = "PASSWORD", default_value = "correct horse battery staple")]
    pub password: String,
}

#[derive(Args, Debug)]
pub struct ConnectFlags {
    /// The server.
    #[arg(long, env = "RONDEL_PERF_SERVER", value_name = "HOST:PORT", value_parser = values::server)]
    #[arg(help_heading = "Server")]
    pub server: SocketAddr,
    /// The domain of the accounts.
    #[arg(long, value_name = "DOMAIN", default_value = "localhost", help_heading = "Server")]
    pub domain: String,
    /// How connections are secured: not at all, by STARTTLS (RFC 6120), or from the first byte (XEP-0368).
    #[arg(long, value_name = "none|starttls|direct", value_enum, hide_possible_values = true)]
    #[arg(default_value = "none", help_heading = "Server")]
    pub tls: TlsMode,
    /// Certificate authorities in PEM; the server's certificate must be of one of them, and for the domain. Without it
    /// any certificate will do.
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub tls_ca: Option<PathBuf>,
    /// How to log in.
    #[arg(long, value_name = "MECHANISM", value_enum, ignore_case = true, default_value = "scram-sha-1")]
    #[arg(help_heading = "Login")]
    pub sasl: Mechanism,
    /// Logs in with SASL2 and Bind 2 (XEP-0388, XEP-0386).
    #[arg(long, help_heading = "Login")]
    pub sasl2: bool,
    /// The accounts' names without their numbers.
    #[arg(long, value_name = "PREFIX", default_value = "load", help_heading = "Login")]
    pub user_prefix: String,
    /// Names of accounts, one per line, instead of a prefix and numbers. What stands behind an @ is left out.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user_prefix", "accounts"], help_heading = "Login")]
    pub users: Option<PathBuf>,
    /// The password of all accounts.
    #[arg(long, env = "RONDEL_PERF_PASSWORD", value_name = "PASSWORD", default_value = "secret")]
    #[arg(hide_env_values = true, help_heading = "Login")]
    pub password: String,
    /// How many accounts there are. Without it: as many as sessions. With fewer, accounts have several sessions.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Login")]
    pub accounts: Option<u64>,
    /// New connections per second; 0 for as fast as they can.
    #[arg(long, value_name = "PER SECOND", default_value = "0", value_parser = values::not_negative)]
    #[arg(help_heading = "Client")]
    pub connect_rate: f64,
    /// Logins in progress at a time.
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(help_heading = "Client")]
    pub at_once: u64,
    /// Threads of the client.
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::threads, help_heading = "Client")]
    pub threads: usize,
    /// Addresses to connect from in turn, such as 127.0.0.2-127.0.0.9, where one has too few ports or the server limits
    /// what comes from one.
    #[arg(long, value_name = "FIRST-LAST", value_parser = values::addresses, help_heading = "Client")]
    pub source_addresses: Option<Sources>,
    /// The server's process, whose CPU time and memory are measured; its descendants count, too.
    #[arg(long, value_name = "PID[,PID…]", value_delimiter = ',', value_parser = parse_pid, help_heading = "Server")]
    pub server_pid: Vec<i32>,
    /// How long to wait for the next session to be bound before giving up.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::duration)]
    #[arg(help_heading = "Client")]
    pub login_timeout: Duration,
    /// Shows how far the run is, even if standard error is no terminal.
    #[arg(long, help_heading = "Output")]
    pub progress: bool,
}

/// What a session does first.
#[derive(Args, Debug)]
pub struct HabitFlags {
    /// Sends no presence: sessions are bound, but not available.
    #[arg(long, help_heading = "Sessions")]
    pub no_presence: bool,
    /// Asks for stream management, so that the session may be resumed (XEP-0198).
    #[arg(long, help_heading = "Sessions")]
    pub stream_management: bool,
    /// Fetches the roster.
    #[arg(long, help_heading = "Sessions")]
    pub fetch_roster: bool,
    /// Asks for copies of what the account's other sessions send and get (XEP-0280).
    #[arg(long, help_heading = "Sessions")]
    pub carbons: bool,
    /// Says that nobody looks (XEP-0352).
    #[arg(long, help_heading = "Sessions")]
    pub inactive: bool,
}

impl HabitFlags {
    /// What they say.
    pub fn habits(&self) -> Habits {
        Habits {
            management: self.stream_management,
            roster: self.fetch_roster,
            carbons: self.carbons,
            presence: !self.no_presence,
            inactive: self.inactive,
        }
    }
}

/// Addresses to connect from.
#[derive(Clone, Debug)]
pub struct Sources(pub Vec<IpAddr>);

#[derive(Args, Debug)]
pub struct OutputFlags {
    /// What is measured, for the report.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = "Output")]
    pub label: String,
    /// Writes the report as JSON; - for standard output, in place of the table.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,
    /// Writes the report as a page with plots.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct RelayFlags {
    /// Where to listen; port 0 lets the kernel choose. The address is printed.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Threads, each with its own part of the pairs, pinned to cores as far as there are any.
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::threads)]
    pub shards: usize,
}

#[derive(Args, Debug)]
pub struct CompareFlags {
    /// Reports as --json wrote them; ratios are to the first.
    #[arg(value_name = "REPORT", required = true)]
    pub reports: Vec<PathBuf>,
    /// Writes a page with plots.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ValueFlags {
    /// Reports as --json wrote them.
    #[arg(value_name = "REPORT", required = true)]
    pub reports: Vec<PathBuf>,
    /// The figure's name, as it stands in the reports.
    #[arg(long, value_name = "NAME")]
    pub figure: String,
    /// Prints all digits.
    #[arg(long)]
    pub exact: bool,
}

#[derive(Args, Debug)]
pub struct AccountsFlags {
    /// How many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    /// Their names without their numbers.
    #[arg(long, value_name = "PREFIX", default_value = "load")]
    pub prefix: String,
    /// Their domain.
    #[arg(long, value_name = "DOMAIN", default_value = "localhost")]
    pub domain: String,
    /// Their password.
    #[arg(long, env = "RONDEL_PERF_PASSWORD", value_name = "PASSWORD", default_value = "secret")]
    #[arg(hide_env_values = true)]
    pub password: String,
}
