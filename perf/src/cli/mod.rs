//! The command line: flags, what they say together, and what becomes of a run's report.
//!
//! A wrong flag is one line and exit code 2; a run that failed is one line and exit code 1.

mod accounts;
mod connect;
mod flags;
mod output;
mod values;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::relay;
use crate::report::{Report, compare, html, median, number};
use crate::scenario::{chat, hostile, idle, login};

use flags::{ChatFlags, Cli, Command, CompareFlags, HostileFlags, IdleFlags, LoginFlags, ValueFlags};

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
        Command::Login(flags) => log_in(&flags),
        Command::Idle(flags) => hold(&flags),
        Command::Chat(flags) => talk(&flags),
        Command::Hostile(flags) => attack(&flags),
        Command::Relay(flags) => relay::run(flags.listen, flags.shards).map_err(Failure::Run),
        Command::Compare(flags) => side_by_side(&flags),
        Command::Value(flags) => print_value(&flags),
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

fn log_in(flags: &LoginFlags) -> Result<(), Failure> {
    let wanted = login::Login {
        logins: flags.logins,
        warm_up: flags.warmup_logins.unwrap_or(flags.logins),
        log_out: flags.logout,
    };
    let open = if wanted.log_out { flags.connect.at_once } else { wanted.logins };
    let common = connect::common(&flags.connect, flags.logins, open, None)?;
    let mut settings = connect::settings(&flags.connect);
    settings.push(("logins".to_owned(), flags.logins.to_string()));
    let mut report = Report::new("login", flags.output.label.clone(), settings);
    login::run(&common, wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

fn hold(flags: &IdleFlags) -> Result<(), Failure> {
    let from = flags.from.unwrap_or(flags.sessions / 10).max(1);
    if from >= flags.sessions {
        return Err(Failure::Flags(format!("--from {from}: must be less than --sessions {}", flags.sessions)));
    }
    if flags.connect.server_pid.is_empty() {
        return Err(Failure::Flags("idle measures the server's memory: --server-pid must be given".to_owned()));
    }
    let common = connect::common(&flags.connect, flags.sessions, flags.sessions, None)?;
    let mut settings = connect::settings(&flags.connect);
    settings.push(("from".to_owned(), from.to_string()));
    settings.push(("sessions".to_owned(), flags.sessions.to_string()));
    let mut report = Report::new("idle", flags.output.label.clone(), settings);
    let wanted = idle::Idle {
        from,
        sessions: flags.sessions,
        presence: !flags.no_presence,
        settle: flags.settle,
        duration: flags.duration,
    };
    idle::run(&common, wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

fn talk(flags: &ChatFlags) -> Result<(), Failure> {
    let sessions = flags.pairs.map_or(flags.sessions, |pairs| pairs * 2);
    if sessions % 2 == 1 {
        return Err(Failure::Flags(format!("--sessions {sessions}: must be even, as sessions chat in pairs")));
    }
    let raw = flags.raw.then_some(flags.size);
    let common = connect::common(&flags.connect, sessions, sessions, raw)?;
    let mut settings = connect::settings(&flags.connect);
    settings.push(("sessions".to_owned(), sessions.to_string()));
    match flags.rate {
        Some(rate) => settings.push(("rate".to_owned(), rate.to_string())),
        None => settings.push(("window".to_owned(), flags.window.to_string())),
    }
    settings.push(("size".to_owned(), flags.size.to_string()));
    let mut report = Report::new("chat", flags.output.label.clone(), settings);
    let wanted = chat::Chat {
        sessions,
        window: flags.window,
        size: flags.size,
        rate: flags.rate,
        presence: !flags.no_presence,
        warm_up: flags.warmup,
        duration: flags.duration.max(Duration::from_millis(10)),
    };
    chat::run(&common, wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

fn attack(flags: &HostileFlags) -> Result<(), Failure> {
    let server = flags.connect.server;
    if !server.ip().is_loopback() {
        return Err(Failure::Flags(format!("--server {server}: hostile clients are for servers on this machine only")));
    }
    let kinds = if flags.kinds.is_empty() { hostile::Kind::ALL.to_vec() } else { flags.kinds.clone() };
    let common = connect::common(&flags.connect, flags.clients, flags.clients, None)?;
    let mut settings = connect::settings(&flags.connect);
    settings.push(("clients".to_owned(), flags.clients.to_string()));
    settings.push(("kinds".to_owned(), kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",")));
    let mut report = Report::new("hostile", flags.output.label.clone(), settings);
    let wanted = hostile::Hostile { clients: flags.clients, kinds, duration: flags.duration };
    hostile::run(&common, &wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
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
