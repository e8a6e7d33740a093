//! `rondel registration purge`: undoing a wave of registrations.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::flags::PurgeFlags;
use super::read::Entries;
use super::{line, text};
use crate::admin::{Backend, FailureKind, ListLog, LogEntry, Part, Request, ask};
use crate::cli::access::Access;
use crate::cli::{names, print};

/// Accounts that are being removed at once, so that the store can write together what it removes.
const WORKERS: usize = 8;

pub(super) fn run(flags: &PurgeFlags) -> Result<(), String> {
    let access = Access::open(&flags.target, false)?;
    let backend = access.backend()?;
    let found = found(&*backend, flags)?;
    if !flags.yes {
        for entry in &found {
            print(&format!("{}\n", line(entry))).map_err(|error| error.to_string())?;
        }
        let hint = if found.is_empty() { "" } else { "; nothing was removed: add --yes for that" };
        return print(&format!("{} found{hint}\n", accounts(found.len() as u64))).map_err(|error| error.to_string());
    }
    let (removed, failed) = remove(&access, found)?;
    print(&format!("{} removed\n", accounts(removed))).map_err(|error| error.to_string())?;
    match failed {
        0 => Ok(()),
        failed => Err(format!("{} could not be removed", accounts(failed))),
    }
}

/// Accounts that are there, and that strangers have made, as the flags say; each once.
fn found(backend: &dyn Backend, flags: &PurgeFlags) -> Result<Vec<LogEntry>, String> {
    let mut found = Vec::new();
    for network in &flags.from_address {
        let list = ListLog {
            part: Part::Made,
            since_us: flags.since,
            until_us: flags.until,
            network: Some(network.to_string()),
            domain: flags.domain.clone(),
            ..ListLog::default()
        };
        for entry in Entries::new(backend, list) {
            let entry = entry.map_err(text)?;
            if entry.is_of_stranger() && entry.made_s.is_some() {
                found.push(entry);
            }
        }
    }
    found.sort_by(|one, other| one.place.cmp(&other.place));
    found.dedup_by(|one, other| one.place == other.place);
    Ok(found)
}

/// How many are removed, and how many could not be.
fn remove(access: &Access, found: Vec<LogEntry>) -> Result<(u64, u64), String> {
    let (removed, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let left = Mutex::new(found.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (backend, left, removed, failed) = (access.backend()?, &left, &removed, &failed);
            scope.spawn(move || {
                loop {
                    let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(entry) = next else { return };
                    match remove_one(&*backend, &entry) {
                        // Somebody else was faster.
                        Ok(false) => {}
                        Ok(true) => _ = removed.fetch_add(1, Relaxed),
                        Err(error) => {
                            failed.fetch_add(1, Relaxed);
                            eprintln!("rondel: {}: {error}", entry.place.jid);
                        }
                    }
                }
            });
        }
        Ok::<(), String>(())
    })?;
    Ok((removed.into_inner(), failed.into_inner()))
}

fn remove_one(backend: &dyn Backend, entry: &LogEntry) -> Result<bool, String> {
    let jid = names::account(&entry.place.jid)?;
    match ask::<()>(backend, Request::RemoveUser { jid: jid.to_string(), made_s: entry.made_s }) {
        Ok(()) => Ok(true),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(false),
        Err(failure) => Err(failure.text),
    }
}

fn accounts(count: u64) -> String {
    if count == 1 { "1 account".into() } else { format!("{count} accounts") }
}
