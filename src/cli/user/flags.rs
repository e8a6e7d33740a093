//! `rondel user`: accounts, from the command line.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::{Target, names, values};
use crate::jid::Jid;

/// The subcommands of `rondel user`.
#[derive(Subcommand, Debug)]
pub enum UserAction {
    /// Adds an account, or many from standard input
    Add(AddUser),
    /// Sets an account's password
    Password(SetPassword),
    /// Removes an account and all that belongs to it, and ends its sessions
    Remove(OneUser),
    /// Bars an account from logging in, and ends its sessions
    #[command(visible_alias = "ban")]
    Disable(DisableUser),
    /// Lets a disabled account log in again, or one stay that was about to go
    #[command(visible_alias = "unban")]
    Enable(OneUser),
    /// Has nobody hear what an account writes, but those who administer the server
    Mute(ForATime),
    /// Lets an account write again
    Unmute(OneUser),
    /// Holds an account to the limits of new ones (--new-account-limits)
    #[command(visible_alias = "quarantine")]
    Limit(ForATime),
    /// Does not hold an account to the limits of new ones, however young it is
    #[command(visible_alias = "trust")]
    Unlimit(OneUser),
    /// Makes an account one that administers the server, or one that does not
    Role(SetRole),
    /// Says something to an account, now or when it comes
    Tell(TellUser),
    /// Lists accounts
    List(ListUsers),
    /// Shows what is stored about an account
    Show(ShowUser),
}

/// The flags of `rondel user add`.
#[derive(Args, Debug)]
pub struct AddUser {
    /// The account's address.
    #[arg(value_name = "JID", value_parser = names::account)]
    #[arg(required_unless_present = "stdin", conflicts_with = "stdin")]
    pub jid: Option<Jid<'static>>,
    /// Reads many accounts from standard input, one per line: address, blank, password. Prints "added JID" as soon as
    /// an account is safe on disk.
    #[arg(long, env = "RONDEL_STDIN", conflicts_with_all = ["password_stdin", "generate"])]
    #[arg(help_heading = "Many at once")]
    pub stdin: bool,
    /// Where the password comes from.
    #[command(flatten)]
    pub password: Password,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel user password`.
#[derive(Args, Debug)]
pub struct SetPassword {
    /// The account's address.
    #[arg(value_name = "JID", value_parser = names::account)]
    pub jid: Jid<'static>,
    /// Where the password comes from.
    #[command(flatten)]
    pub password: Password,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Where a password comes from: the terminal, unless told otherwise.
#[derive(Args, Clone, Debug)]
pub struct Password {
    /// Reads the password from the first line of standard input.
    #[arg(long, env = "RONDEL_PASSWORD_STDIN", conflicts_with = "generate", help_heading = "Password")]
    pub password_stdin: bool,
    /// Makes a password and prints it.
    #[arg(long, env = "RONDEL_GENERATE", help_heading = "Password")]
    pub generate: bool,
    /// Rounds of hashing for the account's keys where no server runs; a running server has its own say.
    #[arg(long, env = "RONDEL_SCRAM_ITERATIONS", value_name = "NUMBER", default_value = "10000")]
    #[arg(value_parser = values::number(4_096, 10_000_000), help_heading = "Password")]
    pub scram_iterations: usize,
}

/// The flags of subcommands about one account.
#[derive(Args, Debug)]
pub struct OneUser {
    /// The account's address.
    #[arg(value_name = "JID", value_parser = names::account)]
    pub jid: Jid<'static>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel user disable`.
#[derive(Args, Debug)]
pub struct DisableUser {
    /// Which.
    #[command(flatten)]
    pub user: OneUser,
    /// Why, for other operators.
    #[arg(long, env = "RONDEL_REASON", value_name = "TEXT", default_value = "", hide_default_value = true)]
    #[arg(help_heading = "Disable")]
    pub reason: String,
    /// For how long.
    #[command(flatten)]
    pub lasting: Lasting,
}

/// For how long something holds.
#[derive(Args, Debug)]
pub struct Lasting {
    /// For how long, such as 90min, 12h or 30d. Without it: for good.
    #[arg(long = "for", env = "RONDEL_FOR", value_name = "DURATION")]
    #[arg(value_parser = values::duration(Duration::from_secs(1), Duration::from_secs(10 * 365 * 86_400)))]
    #[arg(help_heading = "How long")]
    pub duration: Option<Duration>,
}

impl Lasting {
    /// The same in seconds.
    pub fn seconds(&self) -> Option<u64> {
        self.duration.map(|duration| duration.as_secs())
    }
}

/// The flags of subcommands about one account, of what holds for a time.
#[derive(Args, Debug)]
pub struct ForATime {
    /// Which.
    #[command(flatten)]
    pub user: OneUser,
    /// For how long.
    #[command(flatten)]
    pub lasting: Lasting,
}

/// What an account may do beside what everybody may.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum RoleName {
    /// Nothing.
    Member,
    /// It administers the server, as if --admin named it.
    Admin,
}

/// The flags of `rondel user role`.
#[derive(Args, Debug)]
pub struct SetRole {
    /// Which.
    #[command(flatten)]
    pub user: OneUser,
    /// What it is from now on.
    #[arg(value_name = "ROLE")]
    pub role: RoleName,
}

/// The flags of `rondel user tell`.
#[derive(Args, Debug)]
pub struct TellUser {
    /// Which.
    #[command(flatten)]
    pub user: OneUser,
    /// What.
    #[arg(value_name = "TEXT")]
    pub words: String,
}

/// The flags of `rondel user list`.
#[derive(Args, Debug)]
pub struct ListUsers {
    /// Only accounts that come after this address in the order of the list.
    #[arg(long, env = "RONDEL_AFTER", value_name = "JID", value_parser = names::account, help_heading = "List")]
    pub after: Option<Jid<'static>>,
    /// Accounts to list at most. Without it: all.
    #[arg(long, env = "RONDEL_LIMIT", value_name = "NUMBER", value_parser = values::number(1, 1 << 40))]
    #[arg(help_heading = "List")]
    pub limit: Option<usize>,
    /// Only accounts of this domain.
    #[arg(long = "of-domain", env = "RONDEL_OF_DOMAIN", value_name = "DOMAIN", value_parser = names::domain)]
    #[arg(help_heading = "List")]
    pub domain: Option<String>,
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "List")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel user show`.
#[derive(Args, Debug)]
pub struct ShowUser {
    /// The account's address.
    #[arg(value_name = "JID", value_parser = names::account)]
    pub jid: Jid<'static>,
    /// Prints a JSON object.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Show")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}
