//! What is done again and again beside everything else, on a thread of its own.

use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// The thread. It ends when this is dropped.
pub struct Repeating {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Repeating {
    /// Does it at once, and then with so much time in between, as nice as that if it is said (setpriority(2)). What it
    /// is given is disconnected once it is to end.
    pub fn start(
        name: &'static str,
        nice: Option<i32>,
        pause: Duration,
        mut act: impl FnMut(&Receiver<()>) + Send + 'static,
    ) -> std::io::Result<Repeating> {
        let (end, ended) = bounded(0);
        let thread = Builder::new().name(name.into()).spawn(move || {
            let set = nice.map(|nice| rustix::process::setpriority_process(None, nice));
            if let Some(Err(error)) = set {
                tracing::debug!(target: "server", %error, name, "a thread has the usual priority");
            }
            loop {
                act(&ended);
                if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Repeating { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Repeating {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked with anything left to do.
            let _ = thread.join();
        }
    }
}
