//! The thread that makes chunks of what has been added to archives.

use crate::client::Job;
use crate::reply::Failure;
use crate::store::Shared;
use crossbeam::channel::{Receiver, after, select_biased};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether tails have been waiting for long.
const LOOK: Duration = Duration::from_secs(5);
/// After how long without new messages tails give back their memory, if it is so much.
const QUIET: Duration = Duration::from_secs(5);
const QUIET_BYTES: usize = 1 << 20;
/// The longest time that messages stay in tails: what a crash costs at the next start, and the time from the first
/// message of a chunk to the last.
const AGE: Duration = Duration::from_secs(6 * 3600);
/// How long to wait after a failure. The log keeps what could not be made into chunks.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop` says so. Whoever has sealed a generation sends to `wake`.
pub(crate) fn run(shared: &Arc<Shared>, wake: &Receiver<()>, stop: &Receiver<()>) {
    // A start may have found some that a crash has kept from it.
    let mut wait = if flush(shared) { LOOK } else { PAUSE };
    loop {
        select_biased! {
            recv(stop) -> _ => {
                // Nobody need wait for it any more.
                return shared.engine.tails().failed(Failure::closed());
            }
            recv(wake) -> _ => {}
            recv(after(wait)) -> _ => if shared.engine.tails().is_due(AGE, QUIET, QUIET_BYTES) {
                // Only the writer knows when no record is on its way to the log. If its queue is full, much is written.
                shared.writes.try_send(Job::Seal).ok();
            }
        }
        wait = if flush(shared) { LOOK } else { PAUSE };
    }
}

/// Makes chunks of a sealed generation, if there is one. Whether all is well.
fn flush(shared: &Shared) -> bool {
    #[cfg(test)]
    let _turn = shared.engine.flusher.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let tails = shared.engine.tails();
    if tails.sealed().is_none() {
        return true;
    }
    let flushed = catch_unwind(AssertUnwindSafe(|| shared.engine.flush_archives())).unwrap_or_else(|panic| {
        let failure = Failure::panicked(&*panic);
        shared.poison(&failure);
        Err(failure)
    });
    let well = flushed.is_ok();
    if let Err(failure) = flushed {
        tracing::error!(target: "storage", %failure, "archives cannot be written out; it is tried again");
        tails.failed(failure);
    }
    well
}
