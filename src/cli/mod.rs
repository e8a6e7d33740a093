//! The command line: subcommands, flags from arguments, environment and `@file`s, and what goes wrong with them, in one
//! line each.
//!
//! What may not live here: what a server does with its flags. Subcommands that work on accounts speak to
//! [`crate::admin`].

mod access;
pub mod announce;
mod archive;
mod at_file;
pub mod audit;
pub mod backup;
pub mod ban;
mod check;
mod contact;
pub mod firewall;
pub mod inspect;
pub mod invite;
mod keeping;
pub mod limits;
pub mod log;
mod mistake;
pub mod names;
mod newcomers;
mod pubsub;
mod reference;
mod registration;
pub mod registrations;
pub mod report;
mod rules;
mod serve;
mod sessions;
pub mod status;
pub mod storage;
mod strangers;
#[cfg(test)]
mod tests;
pub mod trace;
mod traffic;
pub mod transfer;
pub mod user;
pub mod values;
mod watching;
mod web;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use announce::AnnounceFlags;
pub use archive::Archive;
pub use audit::AuditFlags;
pub use backup::{BackupAction, BackupFlags};
pub use ban::BanAction;
pub use contact::Contact;
pub use firewall::FirewallAction;
pub use inspect::CheckFlags;
pub use invite::InviteAction;
pub use keeping::Keeping;
pub use limits::LimitsAction;
pub use log::LogAction;
pub use mistake::Mistake;
pub use newcomers::Newcomers;
pub use pubsub::Publishing;
pub use reference::page as reference_page;
pub use registration::RegistrationFlags;
pub use registrations::RegistrationAction;
pub use report::ReportAction;
pub use rules::RuleFlags;
pub use serve::{ResourceConflict, SaslMechanism, ServeOptions};
pub use sessions::Sessions;
pub use status::StatusFlags;
pub use storage::StorageAction;
pub use strangers::{Strangers, StrangersMay};
pub use trace::TraceFlags;
pub use traffic::TrafficFlags;
pub use transfer::{ExportFlags, ImportFlags};
pub use user::UserAction;
pub use watching::Watching;
pub use web::Web;

/// Exit code: a mistake in the flags.
pub const EXIT_USAGE: u8 = 2;
/// Exit code: it was tried and failed.
pub const EXIT_FAILED: u8 = 1;

/// An XMPP server for public services.
#[derive(Parser, Debug)]
#[command(name = "rondel", version, propagate_version = true, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(
    after_help = "A flag can also be an environment variable (--data-dir is RONDEL_DATA_DIR) or stand on a line \
    of its own in a file that is given as @file. Exit codes: 0 done, 1 failed, 2 wrong flags."
)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Action {
    /// Runs the server
    Serve(Box<ServeOptions>),
    /// Says what a public server should do otherwise than with these flags, which are those of rondel serve
    Check(Box<CheckFlags>),
    /// Adds, changes and shows accounts, of a running server or of a data directory not in use
    #[command(subcommand, arg_required_else_help = true)]
    User(UserAction),
    /// Shows who has registered and who was refused, and undoes waves of registrations
    #[command(subcommand, arg_required_else_help = true)]
    Registration(RegistrationAction),
    /// Makes, shows and revokes invitations to register
    #[command(subcommand, arg_required_else_help = true)]
    Invite(InviteAction),
    /// Shows reports of spam and abuse, and does something about them
    #[command(subcommand, arg_required_else_help = true)]
    Report(ReportAction),
    /// Does not let in some addresses, and lets them in again
    #[command(subcommand, arg_required_else_help = true)]
    Ban(BanAction),
    /// Shows what a session or an address has used of what it may
    #[command(subcommand, arg_required_else_help = true)]
    Limits(LimitsAction),
    /// Checks and tries the scripts that stanzas have to pass, and shows what they do on a running server
    #[command(subcommand, arg_required_else_help = true)]
    Firewall(FirewallAction),
    /// Makes, shows, checks and restores backups of everything that is stored
    #[command(subcommand, arg_required_else_help = true)]
    Backup(BackupAction),
    /// Looks whether what is stored can be read, and saves what can
    #[command(subcommand, arg_required_else_help = true)]
    Storage(StorageAction),
    /// Writes accounts with all that belongs to them to a file, as other servers read it (XEP-0227)
    Export(ExportFlags),
    /// Adds accounts with all that belongs to them from a file, as other servers write it (XEP-0227)
    Import(ImportFlags),
    /// Shows what administrators have done
    Audit(AuditFlags),
    /// Says something to everybody who is online on a running server, or to all its accounts
    Announce(AnnounceFlags),
    /// Shows and changes what a running server logs
    #[command(subcommand, arg_required_else_help = true)]
    Log(LogAction),
    /// Shows what a running server has counted
    Status(StatusFlags),
    /// Shows live what a running server decides for the stanzas of an account, and why
    Trace(TraceFlags),
}

/// Where a server or its data is found.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// The directory of everything that is stored.
    #[arg(long, env = "RONDEL_DATA_DIR", value_name = "DIRECTORY", value_parser = values::path)]
    #[arg(default_value = "/var/lib/rondel", help_heading = "Server")]
    pub data_dir: PathBuf,

    /// The socket of the running server. Without it: admin.sock in the data directory.
    #[arg(long, env = "RONDEL_ADMIN_SOCKET", value_name = "FILE", value_parser = values::path, help_heading = "Server")]
    pub admin_socket: Option<PathBuf>,
}

impl Target {
    /// The admin socket's path.
    pub fn admin_socket(&self) -> PathBuf {
        self.admin_socket.clone().unwrap_or_else(|| admin_socket_in(&self.data_dir))
    }
}

/// Where the admin socket of a data directory is, unless told otherwise.
pub fn admin_socket_in(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.sock")
}

/// Where the store of a data directory is. Other files stand beside it.
pub fn store_in(data_dir: &Path) -> PathBuf {
    data_dir.join("store")
}

/// What the process was asked to do, from its arguments and its environment.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Mistake> {
    let arguments = at_file::Arguments::expand(arguments).map_err(Mistake::Usage)?;
    let mut definition = Command::command();
    let parsed = definition
        .try_get_matches_from_mut(&arguments.all)
        .and_then(|matches| Ok((Command::from_arg_matches(&matches)?, matches)));
    let (mut command, matches) = parsed.map_err(|error| mistake::explain(&error, &arguments, &definition))?;
    let (options, name) = match &mut command.action {
        Action::Serve(options) => (Some(&mut **options), "serve"),
        Action::Check(flags) => (Some(&mut flags.serve), "check"),
        _ => (None, ""),
    };
    if let Some(options) = options {
        if let Some(given) = matches.subcommand_matches(name) {
            split_variable(given, "tls_cert", &mut options.tls_cert);
            split_variable(given, "tls_key", &mut options.tls_key);
        }
        check::complete(options).map_err(Mistake::Usage)?;
    }
    Ok(command)
}

/// Splits a list of paths at commas if it comes from an environment variable; given as flags, paths may have commas.
fn split_variable(matches: &ArgMatches, id: &str, paths: &mut Vec<PathBuf>) {
    if matches.value_source(id) == Some(ValueSource::EnvVariable) {
        let list = paths.iter().filter_map(|list| list.to_str()).flat_map(|list| list.split(','));
        *paths = list.filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    }
}

/// Prints to standard output. Fails where nobody reads it any more.
fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
