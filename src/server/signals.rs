//! What the process is told from outside: to end (SIGTERM, SIGINT), to read its files again (SIGHUP).

use std::io;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, bounded, select, tick};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Something to react to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// End in order.
    End,
    /// Read files again.
    Reload,
    /// A shard has ended although nobody asked it to.
    ShardDied,
    /// It is time again for what is done now and then.
    Tick,
}

/// Signals as they come, on a thread of their own.
pub struct Signals {
    events: Receiver<Event>,
    ticks: Receiver<Instant>,
}

impl Signals {
    /// From now on signals no longer end the process by themselves. So often is [`Event::Tick`].
    pub fn listen(interval: Duration) -> io::Result<Signals> {
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let (sender, events) = bounded(16);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let event = if signal == SIGHUP { Event::Reload } else { Event::End };
                // Nobody needs to be told the same thing seventeen times.
                let _ = sender.try_send(event);
            }
        })?;
        Ok(Signals { events, ticks: tick(interval) })
    }

    /// Waits for a signal, for a shard to end, or for the next tick.
    pub fn wait(&self, ended: &Receiver<(usize, bool)>) -> Event {
        select! {
            recv(self.events) -> event => event.unwrap_or(Event::End),
            recv(ended) -> _ => Event::ShardDied,
            recv(self.ticks) -> _ => Event::Tick,
        }
    }
}
