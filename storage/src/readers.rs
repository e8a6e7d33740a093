//! The pool of reader threads, for what memory cannot answer.

use crate::client::{Read, answer};
use crate::reply::{Failure, Outcome};
use crate::store::Shared;
use crossbeam::channel::Receiver;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most replies held back to be delivered with one wake-up.
const BATCH_MAX: usize = 32;
/// The longest that a finished read is held back while others are waiting.
const BATCH_TIME: Duration = Duration::from_millis(1);

/// Runs until the queue's senders are gone or `stop` says so; what waits then is answered as closed.
pub(crate) fn run(shared: &Arc<Shared>, jobs: &Receiver<Read>, stop: &Receiver<()>) {
    loop {
        let first = crossbeam::channel::select_biased! {
            recv(stop) -> _ => return,
            recv(jobs) -> job => match job {
                Ok(job) => job,
                Err(_) => return,
            },
        };
        batch(shared, first, jobs);
    }
}

/// Reads for as long as more waits, within the bounds, so that a burst costs its clients few wake-ups.
fn batch(shared: &Shared, first: Read, jobs: &Receiver<Read>) {
    let began = Instant::now();
    let mut finished = Vec::new();
    let mut next = Some(first);
    while let Some(Read { ticket, request }) = next {
        let outcome = catch_unwind(AssertUnwindSafe(|| shared.engine.read(&request))).unwrap_or_else(|panic| {
            let failure = Failure::panicked(&*panic);
            shared.poison(&failure);
            Outcome::Failed(failure)
        });
        finished.push((ticket, outcome));
        let more = finished.len() < BATCH_MAX && began.elapsed() < BATCH_TIME;
        next = if more { jobs.try_recv().ok() } else { None };
    }
    answer(finished.into_iter());
}
