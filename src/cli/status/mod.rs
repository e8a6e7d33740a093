//! `rondel status`: how a running server fares.

mod text;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;

use super::values;
use crate::admin::{self, Remote, Request, Status, ask};
use crate::cli::{Target, print};

/// Clears a terminal and goes to its beginning (ECMA-48: ED, CUP).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// The flags of `rondel status`.
#[derive(Args, Debug)]
pub struct StatusFlags {
    /// Prints one JSON object.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Goes on until it is interrupted, and shows it anew so often; with --json one object per line.
    #[arg(long, env = "RONDEL_WATCH", value_name = "DURATION", num_args = 0..=1, default_missing_value = "2s")]
    #[arg(value_parser = values::duration(Duration::from_millis(100), Duration::from_secs(86_400)))]
    #[arg(help_heading = "Output")]
    pub watch: Option<Duration>,
    /// Shows all that is counted, too.
    #[arg(long, env = "RONDEL_ALL", conflicts_with = "json", help_heading = "Output")]
    pub all: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Does what was asked. An error is one line.
pub fn run(flags: &StatusFlags) -> Result<(), String> {
    let server = Remote::connect(&flags.target.admin_socket()).map_err(|error| error.to_string())?;
    let clear = if flags.watch.is_some() && !flags.json && std::io::stdout().is_terminal() { CLEAR } else { "" };
    loop {
        let status: Box<Status> = ask(&server, Request::Status).map_err(|failure| failure.text)?;
        let text = match flags.json {
            true => serde_json::to_string(&status).map_err(|error| error.to_string())? + "\n",
            false => format!("{clear}{}", text::text(&status, admin::now().as_secs(), flags.all)),
        };
        print(&text).map_err(|error| error.to_string())?;
        let Some(every) = flags.watch else { return Ok(()) };
        std::thread::sleep(every);
    }
}
