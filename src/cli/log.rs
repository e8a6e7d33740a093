//! `rondel log`: what a running server logs.

use clap::{Args, Subcommand};

use crate::cli::Target;

/// The subcommands of `rondel log`.
#[derive(Subcommand, Debug)]
pub enum LogAction {
    /// Changes levels until the server ends
    Set(SetLevels),
    /// Shows the levels
    Show(Target),
}

/// The flags of `rondel log set`.
#[derive(Args, Debug)]
pub struct SetLevels {
    /// Changes, separated by commas: debug sets the general level, session=debug that of one part of the server, session=
    /// takes a part's own level away.
    #[arg(value_name = "LEVELS")]
    pub levels: String,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}
