//! From the flags about server, login and client to what the scenarios need.

use std::sync::Arc;

use clap::ValueEnum;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::pki_types::ServerName;

use super::Failure;
use super::flags::ConnectFlags;
use crate::client::fleet::Rate;
use crate::client::target::{Speech, Target, TlsMode, Users};
use crate::client::tls;
use crate::measure::process::Processes;
use crate::scenario::Common;
use crate::xmpp::habits::Habits;
use crate::xmpp::negotiation::Plan;
use crate::xmpp::scram::SaltedPasswords;

/// Descriptors beside those of the sessions.
const OTHER_DESCRIPTORS: u64 = 64;

/// What the flags say, for a run of `sessions` of which `open` are open at a time; with chunks of `raw` bytes in place
/// of XMPP.
pub fn common(flags: &ConnectFlags, sessions: u64, open: u64, raw: Option<usize>) -> Result<Common, Failure> {
    permit(open)?;
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| Failure::Run(anyhow::anyhow!("no random numbers: {error}")))?;
    let speech = match raw {
        Some(_) if flags.tls != TlsMode::None => {
            return Err(Failure::Flags("--raw: the relay knows no TLS; leave out --tls".to_owned()));
        }
        Some(size) => Speech::Raw(size),
        None => Speech::Xmpp(Arc::new(Plan {
            domain: flags.domain.clone(),
            starttls: flags.tls == TlsMode::Starttls,
            mechanism: flags.sasl,
            sasl2: flags.sasl2,
        })),
    };
    let tls_client = match flags.tls {
        TlsMode::None => None,
        mode => {
            let name = ServerName::try_from(flags.domain.clone())
                .map_err(|_| Failure::Flags(format!("--domain {}: not a name of a host", flags.domain)))?;
            let config = tls::config(flags.tls_ca.as_deref(), mode == TlsMode::Direct)
                .map_err(|error| Failure::Flags(format!("{error:#}")))?;
            Some((config, name))
        }
    };
    let server = match flags.server_pid.as_slice() {
        [] => None,
        roots => Some(Processes::new(roots.to_vec()).map_err(|error| Failure::Flags(error.to_string()))?),
    };
    let target = Target {
        server: flags.server,
        domain: flags.domain.clone(),
        sources: flags.source_addresses.as_ref().map(|sources| sources.0.clone()).unwrap_or_default(),
        tls: flags.tls,
        tls_client,
        speech,
        users: users(flags, sessions)?,
        password: flags.password.clone(),
        salted: SaltedPasswords::default(),
        habits: Habits::default(),
        run: format!("perf{:08x}", u32::from_ne_bytes(random)),
    };
    let rate = Rate {
        threads: flags.threads,
        connect_rate: flags.connect_rate,
        at_once: flags.at_once,
        progress: flags.progress,
    };
    Ok(Common { target: Arc::new(target), rate, server, patience: flags.login_timeout })
}

fn users(flags: &ConnectFlags, sessions: u64) -> Result<Users, Failure> {
    let Some(file) = &flags.users else {
        let count = flags.accounts.unwrap_or(sessions).max(1);
        return Ok(Users::Numbered { prefix: flags.user_prefix.clone(), count });
    };
    let lines = std::fs::read_to_string(file)
        .map_err(|error| Failure::Flags(format!("--users {}: {error}", file.display())))?;
    let localpart = |line: &str| line.split('@').next().unwrap_or_default().trim().to_owned();
    let names: Vec<String> = lines.lines().map(localpart).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err(Failure::Flags(format!("--users {}: there is no name in it", file.display())));
    }
    Ok(Users::Named(names))
}

/// Raises the limit of open files as far as it goes, and says so if that does not suffice.
fn permit(open: u64) -> Result<(), Failure> {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    // Refused or not, what counts is checked next.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    if hard < open + OTHER_DESCRIPTORS {
        let needed = open + OTHER_DESCRIPTORS;
        return Err(Failure::Flags(format!(
            "{open} sessions need {needed} open files and {hard} are permitted: ulimit -n {needed}"
        )));
    }
    Ok(())
}

/// The flags that tell how a figure came about, for the report.
pub fn settings(flags: &ConnectFlags) -> Vec<(String, String)> {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let mut settings = vec![
        ("server".to_owned(), flags.server.to_string()),
        ("tls".to_owned(), name(flags.tls.to_possible_value())),
        ("sasl".to_owned(), name(flags.sasl.to_possible_value())),
        ("threads".to_owned(), flags.threads.to_string()),
    ];
    if flags.sasl2 {
        settings.push(("sasl2".to_owned(), String::new()));
    }
    if let Some(accounts) = flags.accounts {
        settings.push(("accounts".to_owned(), accounts.to_string()));
    }
    if flags.connect_rate > 0.0 {
        settings.push(("connect-rate".to_owned(), flags.connect_rate.to_string()));
    }
    if !flags.server_pid.is_empty() {
        let list: Vec<_> = flags.server_pid.iter().map(i32::to_string).collect();
        settings.push(("server-pid".to_owned(), list.join(",")));
    }
    settings
}
