//! The command line: flags, what they say together, and what becomes of a run's report.
//!
//! A wrong flag is one line and exit code 2; a run that failed is one line and exit code 1.

mod accounts;
mod connect;
mod flags;
mod loads;
mod output;
mod run;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::relay;
use crate::report::{Report, compare, html, median, number};
use crate::strangers;

pub use flags::RegisterFlags;
use flags::{Cli, Command, CompareFlags, ValueFlags};

/// What went wrong.
enum Failure {
    /// The flags do not make sense.
    Flags(String),
    /// The run failed.
    Run(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Run(error)
    }
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) if !error.use_stderr() => {
            // Help, or the version.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("rondel-perf: {}", one_line(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Login(flags) => run::login(&flags),
        Command::Idle(flags) => run::idle(&flags),
        Command::Chat(flags) => run::chat(&flags),
        Command::Roster(flags) => run::roster(&flags),
        Command::Presence(flags) => run::presence(&flags),
        Command::Archive(flags) => run::archive(&flags),
        Command::Resume(flags) => run::resume(&flags),
        Command::Send(flags) => run::send(&flags),
        Command::Verify(flags) => run::verify(&flags),
        Command::Hostile(flags) => run::hostile(&flags),
        Command::Relay(flags) => relay::run(flags.listen, flags.shards).map_err(Failure::Run),
        Command::Compare(flags) => side_by_side(&flags),
        Command::Value(flags) => print_value(&flags),
        Command::Register(flags) => strangers::run(&flags).map_err(Failure::Run),
        Command::Accounts(flags) => accounts::print(&flags).map_err(Failure::Run),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Flags(error)) => {
            eprintln!("rondel-perf: {error}");
            ExitCode::from(2)
        }
        Err(Failure::Run(error)) => {
            eprintln!("rondel-perf: {}", one_line(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

/// An error of several lines as one, without the hint at `--help`.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

fn read_all(files: &[std::path::PathBuf]) -> anyhow::Result<Vec<Report>> {
    files.iter().map(|file| Report::read(file)).collect()
}

fn side_by_side(flags: &CompareFlags) -> Result<(), Failure> {
    let reports = read_all(&flags.reports)?;
    if let Some(file) = &flags.html {
        output::write(file, &html::page(&reports))?;
    }
    Ok(output::print(&compare::text(&reports))?)
}

fn print_value(flags: &ValueFlags) -> Result<(), Failure> {
    let mut values = Vec::new();
    for (report, file) in read_all(&flags.reports)?.iter().zip(&flags.reports) {
        let value = report.value(&flags.figure).ok_or_else(|| {
            let names: Vec<_> = report.figures.iter().map(|figure| figure.name.as_str()).collect();
            Failure::Flags(format!("{}: has no {:?}, only {}", file.display(), flags.figure, names.join(", ")))
        })?;
        values.push(value);
    }
    let value = median(&mut values).unwrap_or_default();
    let shown = if flags.exact { value.to_string() } else { number(value) };
    Ok(output::print(&format!("{shown}\n"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_flag_is_one_line_that_names_it() {
        for (arguments, said) in [
            (&["chat", "--server", "127.0.0.1:1", "--size", "x"][..], "'x' for '--size"),
            (&["chat", "--server", "nonsense"], "host:port"),
            (&["idle"], "--server"),
            (&["chat", "--server", "127.0.0.1:1", "--tls", "maybe"], "starttls"),
            (&["roster", "--server", "127.0.0.1:1", "--contacts", "3"], "an even number"),
            (&["send", "--server", "127.0.0.1:1", "--ledger", "x", "--kill-after", "9"], "--server-pid"),
            (&["hostile", "--server", "127.0.0.1:1", "--kinds", "kind"], "half-handshake"),
            (&["chat", "--server", "127.0.0.1:1", "--source-addresses", "127.0.0.9-127.0.0.2"], "first"),
        ] {
            let arguments = ["rondel-perf"].iter().chain(arguments);
            let error = Cli::try_parse_from(arguments).err().map(|error| one_line(&error.to_string()));
            let error = error.unwrap_or_default();
            assert!(error.contains(said) && !error.contains('\n') && !error.contains("Usage"), "{error}");
        }
    }
}
