//! `rondel log`: what a running server logs.

use clap::{Args, Subcommand};

use crate::admin::{Failure, Remote, Request, ask};
use crate::cli::{Target, print};
use crate::logging::Levels;

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
    /// Changes, separated by commas: debug sets the general level, session=debug that of one part of the server,
    /// session= takes a part's own level away.
    #[arg(value_name = "LEVELS", value_parser = changes)]
    pub levels: String,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Changes of levels that can be read. An error says what would be right.
fn changes(text: &str) -> Result<String, String> {
    Levels::default().changed(text).map(|_| text.to_owned())
}

/// Does what was asked. An error is one line.
pub fn run(action: LogAction) -> Result<(), String> {
    let levels: Result<String, Failure> = match action {
        LogAction::Set(flags) => ask(&connect(&flags.target)?, Request::ChangeLogLevels { changes: flags.levels }),
        LogAction::Show(target) => ask(&connect(&target)?, Request::LogLevels),
    };
    let levels = levels.map_err(|failure| failure.text)?;
    print(&format!("{levels}\n")).map_err(|error| error.to_string())
}

fn connect(target: &Target) -> Result<Remote, String> {
    Remote::connect(&target.admin_socket()).map_err(|error| error.to_string())
}
