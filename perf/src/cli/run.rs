//! From the flags of a subcommand to its scenario, and to the report.

use std::sync::Arc;
use std::time::Duration;

use super::flags::{ConnectFlags, OutputFlags};
use super::loads::{
    ArchiveFlags, ChatFlags, HostileFlags, IdleFlags, LoginFlags, PresenceFlags, ResumeFlags, RosterFlags, SendFlags,
    VerifyFlags,
};
use super::{Failure, connect, output};
use crate::report::Report;
use crate::scenario::{self, acknowledged};
use crate::xmpp::habits::Habits;

/// A report of this scenario, with the flags that tell how its figures came about.
fn report(scenario: &str, connect: &ConnectFlags, output: &OutputFlags, own: &[(&str, String)]) -> Report {
    let mut settings = connect::settings(connect);
    settings.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Report::new(scenario, output.label.clone(), settings)
}

pub fn login(flags: &LoginFlags) -> Result<(), Failure> {
    let wanted = scenario::login::Login {
        logins: flags.logins,
        warm_up: flags.warmup_logins.unwrap_or(flags.logins),
        log_out: flags.logout,
    };
    let open = if wanted.log_out { flags.connect.at_once } else { wanted.logins };
    let common = connect::common(&flags.connect, flags.logins, open, None)?;
    let own = [("logins", flags.logins.to_string())];
    let mut report = report("login", &flags.connect, &flags.output, &own);
    scenario::login::run(&common, wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

pub fn idle(flags: &IdleFlags) -> Result<(), Failure> {
    let from = flags.from.unwrap_or(flags.sessions / 10).max(1);
    if from >= flags.sessions {
        return Err(Failure::Flags(format!("--from {from}: must be less than --sessions {}", flags.sessions)));
    }
    if flags.connect.server_pid.is_empty() {
        return Err(Failure::Flags("idle measures the server's memory: --server-pid must be given".to_owned()));
    }
    let common = connect::common(&flags.connect, flags.sessions, flags.sessions, None)?.with(flags.habits.habits());
    let mut own = vec![("from", from.to_string()), ("sessions", flags.sessions.to_string())];
    own.extend(habits(&flags.habits.habits()));
    let mut report = report("idle", &flags.connect, &flags.output, &own);
    let wanted =
        scenario::idle::Idle { from, sessions: flags.sessions, settle: flags.settle, duration: flags.duration };
    scenario::idle::run(&common, wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

pub fn chat(flags: &ChatFlags) -> Result<(), Failure> {
    let sessions = flags.pairs.map_or(flags.sessions, |pairs| pairs * 2);
    if sessions % 2 == 1 {
        return Err(Failure::Flags(format!("--sessions {sessions}: must be even, as sessions chat in pairs")));
    }
    let raw = flags.raw.then_some(flags.size);
    let common = connect::common(&flags.connect, sessions, sessions, raw)?.with(flags.habits.habits());
    let mut own = vec![("sessions", sessions.to_string())];
    own.push(match flags.rate {
        Some(rate) => ("rate", rate.to_string()),
        None => ("window", flags.window.to_string()),
    });
    own.push(("size", flags.size.to_string()));
    own.extend(habits(&flags.habits.habits()));
    let mut report = report("chat", &flags.connect, &flags.output, &own);
    let wanted = scenario::chat::Chat {
        sessions,
        window: flags.window,
        size: flags.size,
        rate: flags.rate,
        warm_up: flags.warmup,
        duration: flags.duration.max(Duration::from_millis(10)),
        messages: flags.messages,
    };
    scenario::chat::run(&common, wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

pub fn hostile(flags: &HostileFlags) -> Result<(), Failure> {
    let server = flags.connect.server;
    if !server.ip().is_loopback() {
        return Err(Failure::Flags(format!("--server {server}: hostile clients are for servers on this machine only")));
    }
    let kinds = if flags.kinds.is_empty() { scenario::hostile::Kind::ALL.to_vec() } else { flags.kinds.clone() };
    let common = connect::common(&flags.connect, flags.clients, flags.clients, None)?;
    let names = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",");
    let own = [("clients", flags.clients.to_string()), ("kinds", names)];
    let mut report = report("hostile", &flags.connect, &flags.output, &own);
    let wanted = scenario::hostile::Hostile { clients: flags.clients, kinds, duration: flags.duration };
    scenario::hostile::run(&common, &wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

pub fn roster(flags: &RosterFlags) -> Result<(), Failure> {
    let &RosterFlags { rosters: accounts, contacts, mutual, .. } = flags;
    if contacts >= accounts {
        return Err(Failure::Flags(format!("--contacts {contacts}: must be less than --rosters {accounts}")));
    }
    let common = connect::common(&flags.connect, accounts, flags.connect.at_once, None)?;
    let mut own = vec![("rosters", accounts.to_string()), ("contacts", contacts.to_string())];
    own.extend(mutual.then(|| ("mutual", String::new())));
    let mut report = report("roster", &flags.connect, &flags.output, &own);
    scenario::roster::run(&common, scenario::roster::Roster { accounts, contacts, mutual }, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

pub fn presence(flags: &PresenceFlags) -> Result<(), Failure> {
    let sessions = flags.contacts + 1;
    let common = connect::common(&flags.connect, sessions, sessions, None)?;
    let own = [("contacts", flags.contacts.to_string()), ("window", flags.window.to_string())];
    let mut report = report("presence", &flags.connect, &flags.output, &own);
    let wanted = scenario::presence::Presence {
        contacts: flags.contacts,
        window: flags.window,
        warm_up: flags.warmup,
        duration: flags.duration.max(Duration::from_millis(10)),
    };
    scenario::presence::run(&common, wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

pub fn archive(flags: &ArchiveFlags) -> Result<(), Failure> {
    let mut common = connect::common(&flags.connect, flags.contacts + 1, flags.sessions, None)?;
    let with = (1..=flags.contacts).map(|contact| common.target.address(contact)).collect();
    common.target = Arc::new(common.target.alone());
    let own = [("sessions", flags.sessions.to_string()), ("size", flags.size.to_string())];
    let mut report = report("archive", &flags.connect, &flags.output, &own);
    let wanted = scenario::pages::Pages {
        sessions: flags.sessions,
        size: flags.size,
        pages: flags.pages,
        warm_up: flags.warmup_pages,
        with,
    };
    scenario::pages::run(&common, &wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

pub fn resume(flags: &ResumeFlags) -> Result<(), Failure> {
    let sessions = flags.sessions + flags.senders;
    // Those that come back are there twice for a moment.
    let common = connect::common(&flags.connect, sessions, sessions + flags.connect.at_once, None)?;
    let common = common.with(Habits { management: true, presence: true, ..Habits::default() });
    let own = [
        ("sessions", flags.sessions.to_string()),
        ("senders", flags.senders.to_string()),
        ("rate", flags.rate.to_string()),
        ("burst", flags.burst.to_string()),
    ];
    let mut report = report("resume", &flags.connect, &flags.output, &own);
    let wanted = scenario::resume::Resume {
        sessions: flags.sessions,
        senders: flags.senders,
        size: flags.size,
        rate: flags.rate,
        burst: flags.burst,
        warm_up: flags.warmup,
        away: flags.away,
        within: flags.within,
    };
    scenario::resume::run(&common, wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

pub fn send(flags: &SendFlags) -> Result<(), Failure> {
    let server = flags.connect.server;
    if flags.kill_after.is_some() && !server.ip().is_loopback() {
        return Err(Failure::Flags(format!("--server {server}: only a server on this machine can be killed")));
    }
    let common = connect::common(&flags.connect, flags.absent + 2, 2, None)?;
    let own = [("messages", flags.messages.to_string()), ("window", flags.window.to_string())];
    let mut report = report("send", &flags.connect, &flags.output, &own);
    let wanted = acknowledged::send::Send {
        messages: flags.messages,
        absent: flags.absent,
        window: flags.window,
        size: flags.size,
        kill: flags.connect.server_pid.first().copied().zip(flags.kill_after),
        ledger: flags.ledger.clone(),
    };
    acknowledged::send::run(&common, &wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

pub fn verify(flags: &VerifyFlags) -> Result<(), Failure> {
    let ledger = acknowledged::ledger::Ledger::read(&flags.ledger)?;
    let common = connect::common(&flags.connect, ledger.absent + 2, 1, None)?;
    let mut report = report("verify", &flags.connect, &flags.output, &[]);
    let wanted = acknowledged::verify::Verify { ledger, archive: !flags.no_archive, page: flags.page };
    acknowledged::verify::run(&common, &wanted, &mut report)?;
    Ok(output::deliver(&report, &flags.output)?)
}

/// Habits beyond presence, as settings.
fn habits(habits: &Habits) -> Vec<(&'static str, String)> {
    let all = [
        ("stream-management", habits.management),
        ("fetch-roster", habits.roster),
        ("carbons", habits.carbons),
        ("inactive", habits.inactive),
    ];
    all.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| (name, String::new())).collect()
}
