//! The `rondel` binary: allocator, command line, one call per subcommand.

use std::process::ExitCode;

use rondel::cli::{self, Action};
use rondel::server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(mistake) => return mistake.report(),
    };
    let outcome = match command.action {
        Action::Serve(options) => server::run(&options),
        Action::User(action) => cli::user::run(action),
        Action::Registration(action) => cli::registrations::run(&action),
        Action::Invite(action) => cli::invite::run(&action),
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
