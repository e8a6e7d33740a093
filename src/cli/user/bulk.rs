//! `rondel user add --stdin`: many accounts, one per line. Keys are made on several threads and many accounts are
//! under way at once, so that the store can write them together; an address is printed as soon as its account is safe
//! on disk.

use std::io::{BufRead, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::admin::{Backend, Request, Status, ask};
use crate::cli::access::Access;
use crate::cli::names;
use crate::sasl::new_keys;

/// Accounts under way at once. While one waits for the disk, others are hashed.
const WORKERS: usize = 32;
/// Bytes of a line at most: an address, a blank, a password.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// A line of input and its number.
type Line = (u64, Zeroizing<String>);

/// Adds the accounts that `input` names. Lines that fail are told on standard error, each with its number; the others
/// are added nevertheless.
pub(super) fn add_many(access: &Access, mut input: impl BufRead, iterations: u32) -> Result<(), String> {
    let status: Box<Status> = ask(&*access.backend()?, Request::Status).map_err(super::text)?;
    let iterations = status.scram_iterations.unwrap_or(iterations);
    let failed = AtomicU64::new(0);
    let (sender, lines) = sync_channel::<Line>(WORKERS);
    // They hold the lines together: once the last of them has given up, no line can be handed in any more.
    let lines = Arc::new(Mutex::new(lines));
    let unheard = AtomicBool::new(false);
    let read = std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            let backend = access.backend()?;
            let (lines, failed, unheard) = (Arc::clone(&lines), &failed, &unheard);
            scope.spawn(move || {
                if work(&*backend, &lines, iterations, failed).is_err() {
                    unheard.store(true, Relaxed);
                }
            });
        }
        drop(lines);
        for number in 1.. {
            match read_line(&mut input) {
                Ok(Some(line)) if line.trim().is_empty() => {}
                Ok(Some(line)) => {
                    if unheard.load(Relaxed) || sender.send((number, line)).is_err() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => return Err(format!("line {number}: {error}")),
            }
        }
        drop(sender);
        Ok(())
    });
    read?;
    if unheard.into_inner() {
        return Err("standard output is closed: not every account that was added was told of".into());
    }
    match failed.load(Relaxed) {
        0 => Ok(()),
        1 => Err("1 account was not added".into()),
        failed => Err(format!("{failed} accounts were not added")),
    }
}

fn read_line(input: &mut impl BufRead) -> Result<Option<Zeroizing<String>>, String> {
    let mut line = Zeroizing::new(String::new());
    let read = Read::take(input, LINE_BYTES_MAX).read_line(&mut line).map_err(|error| error.to_string())?;
    match read {
        0 => Ok(None),
        _ if read as u64 == LINE_BYTES_MAX && !line.ends_with('\n') => Err("too long".into()),
        _ => Ok(Some(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))),
    }
}

/// Adds accounts until there are no more lines, or nobody reads what was added.
fn work(
    backend: &dyn Backend,
    lines: &Mutex<Receiver<Line>>,
    iterations: u32,
    failed: &AtomicU64,
) -> std::io::Result<()> {
    loop {
        let next = lines.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, line)) = next else { return Ok(()) };
        match add(backend, &line, iterations) {
            Ok(added) => super::print(&added)?,
            Err(error) => {
                failed.fetch_add(1, Relaxed);
                let _ = writeln!(std::io::stderr(), "rondel: line {number}: {error}");
            }
        }
    }
}

fn add(backend: &dyn Backend, line: &str, iterations: u32) -> Result<String, String> {
    let right = "right would be an address, a blank and a password";
    let (jid, password) = line.trim_start().split_once([' ', '\t']).ok_or(right)?;
    let jid = names::account(jid).map_err(|right| format!("{jid:?} is wrong; right would be {right}"))?;
    let password = Zeroizing::new(names::password(password)?);
    ask::<()>(backend, Request::add_user(&jid, &new_keys(&password, iterations))).map_err(super::text)?;
    Ok(format!("added {jid}\n"))
}
