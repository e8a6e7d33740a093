//! The `rondel` binary: allocator, command line, one call per subcommand.

use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use rondel::cli::{self, Action};
use rondel::server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Has this process run the program anew, as it was started. Returns only why that is not possible.
fn start_again() -> String {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return format!("the program cannot be found again: {error}"),
    };
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    format!("the program cannot be started again: {error}")
}

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(mistake) => return mistake.report(),
    };
    let outcome = match command.action {
        Action::Serve(options) => server::run(&options).and_then(|ended| match ended {
            server::Ended::ForGood => Ok(()),
            server::Ended::ToRestart => Err(start_again()),
        }),
        Action::Check(flags) => cli::inspect::run(&flags),
        Action::User(action) => cli::user::run(action),
        Action::Registration(action) => cli::registrations::run(&action),
        Action::Invite(action) => cli::invite::run(&action),
        Action::Report(action) => cli::report::run(action),
        Action::Ban(action) => cli::ban::run(action),
        Action::Limits(action) => cli::limits::run(&action),
        Action::Firewall(action) => cli::firewall::run(action),
        Action::Backup(action) => cli::backup::run(&action),
        Action::Storage(action) => cli::storage::run(&action),
        Action::Export(flags) => cli::transfer::export(&flags),
        Action::Import(flags) => cli::transfer::import(&flags),
        Action::Audit(flags) => cli::audit::run(&flags),
        Action::Announce(flags) => cli::announce::run(&flags),
        Action::Log(action) => cli::log::run(action),
        Action::Status(flags) => cli::status::run(&flags),
        Action::Trace(flags) => cli::trace::run(&flags),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("rondel: {line}");
            ExitCode::from(cli::EXIT_FAILED)
        }
    }
}
