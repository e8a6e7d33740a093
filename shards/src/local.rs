//! One shard from the inside: hands events to the application, contains its panics, and sends at the end of a turn what
//! the turn has written.

use std::cell::RefCell;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use crate::application::{Application, Closed, Origin};
use crate::connection::{ConnectionId, Phase};
use crate::io::{Io, Timer};
use crate::memory;
use crate::tls::Event;

pub(crate) struct Local<A: Application> {
    pub io: RefCell<Io<A>>,
    pub app: RefCell<Option<A>>,
    /// The one receive buffer of the shard, lent to whoever is readable.
    pub scratch: RefCell<Box<[u8]>>,
    /// Where a turn's output is encrypted.
    sealed: RefCell<Vec<u8>>,
    /// Connections of all shards, in transit ones included.
    pub live: Arc<AtomicUsize>,
}

/// How a connection's flush ended.
enum Sent {
    All,
    Part(usize),
    Broken(std::io::ErrorKind),
}

impl<A: Application> Local<A> {
    pub fn new(io: Io<A>, live: Arc<AtomicUsize>) -> Self {
        let scratch = vec![0; io.options.read_buffer.max(4096)].into_boxed_slice();
        Local {
            io: RefCell::new(io),
            app: RefCell::new(None),
            scratch: RefCell::new(scratch),
            sealed: RefCell::new(Vec::new()),
            live,
        }
    }

    /// Runs a callback. A panic in it costs the connection it was about, not the shard.
    pub fn call<R>(&self, about: Option<ConnectionId>, callback: impl FnOnce(&mut A, &mut Io<A>) -> R) -> Option<R> {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut app = self.app.borrow_mut();
            let mut io = self.io.borrow_mut();
            io.tick();
            app.as_mut().map(|app| callback(app, &mut io))
        }));
        if let Ok(result) = outcome {
            return result;
        }
        let mut io = self.io.borrow_mut();
        io.metrics.panics.add(1);
        if let Some(entry) = about.and_then(|connection| io.connections.get_mut(connection)) {
            entry.phase = Phase::Dead(Some(Closed::Panicked));
            entry.wake();
        }
        None
    }

    pub fn message(&self, from: Origin, message: A::Message) {
        self.call(None, |app, io| app.message(io, from, message));
    }

    /// Tells the application that a connection is gone.
    pub fn closed(&self, connection: ConnectionId, why: Closed) {
        self.call(None, |app, io| app.closed(io, connection, why));
    }

    /// Bytes from the socket.
    pub fn input(&self, connection: ConnectionId, bytes: &mut [u8]) {
        let tls = {
            let mut io = self.io.borrow_mut();
            io.metrics.reads.add(1);
            io.metrics.bytes_read.add(bytes.len() as u64);
            let Some(entry) = io.connections.get_mut(connection) else {
                return;
            };
            entry.tls.take()
        };
        let Some(mut tls) = tls else {
            return self.feed(connection, bytes);
        };
        if !tls.is_secured() {
            self.io.borrow_mut().handshakes += 1;
        }
        let mut answer = Vec::new();
        let outcome = tls.receive(bytes, &mut answer, &mut |event| match event {
            Event::Secured(facts) => {
                self.io.borrow().metrics.handshakes.add(1);
                self.call(Some(connection), |app, io| app.secured(io, connection, facts));
            }
            Event::Data(data) => self.feed(connection, data),
        });
        let mut io = self.io.borrow_mut();
        let Some(entry) = io.connections.get_mut(connection) else {
            return;
        };
        entry.tls = Some(tls);
        if !answer.is_empty() {
            // Written by rustls before anything that the application wrote in answer to what came behind it.
            entry.unsent.extend_from_slice(&answer);
            io.last_words(connection);
        }
        drop(io);
        match outcome {
            Ok(false) => {}
            Ok(true) => self.peer_closed(connection),
            Err(error) => self.tls_failed(connection, error.to_string()),
        }
    }

    /// The alert is sent before the connection goes.
    fn tls_failed(&self, connection: ConnectionId, error: String) {
        let told = {
            let mut io = self.io.borrow_mut();
            let open = io.connections.get(connection).is_some_and(|entry| matches!(entry.phase, Phase::Open));
            io.close(connection);
            open
        };
        if told {
            self.closed(connection, Closed::Tls(error));
        }
    }

    /// The peer's side has ended: what waits for it is still sent.
    pub fn peer_closed(&self, connection: ConnectionId) {
        let open = {
            let io = self.io.borrow();
            io.connections.get(connection).is_some_and(|entry| matches!(entry.phase, Phase::Open))
        };
        if open {
            self.closed(connection, Closed::ByPeer);
        }
        self.io.borrow_mut().close(connection);
    }

    /// Clear text for the application; empty to hand in again what it left unread.
    pub fn feed(&self, connection: ConnectionId, fresh: &[u8]) {
        let mut unread = {
            let mut io = self.io.borrow_mut();
            let Some(entry) = io.connections.get_mut(connection) else {
                return;
            };
            match entry.phase {
                Phase::Open if !entry.paused => std::mem::take(&mut entry.unread),
                Phase::Open | Phase::Moving { .. } => return entry.unread.extend_from_slice(fresh),
                _ => return,
            }
        };
        let had_tls = self.has_tls(connection);
        let receive = |bytes: &[u8]| self.call(Some(connection), |app, io| app.received(io, connection, bytes));
        let (left, buffer) = if unread.is_empty() {
            if fresh.is_empty() {
                return;
            }
            let used = receive(fresh).unwrap_or(fresh.len()).min(fresh.len());
            (&fresh[used..], unread)
        } else {
            unread.extend_from_slice(fresh);
            let used = receive(&unread).unwrap_or(unread.len()).min(unread.len());
            unread.drain(..used);
            (&[][..], unread)
        };
        let mut io = self.io.borrow_mut();
        let is_left = !left.is_empty() || !buffer.is_empty();
        let Some(entry) = io.connections.get_mut(connection) else {
            return;
        };
        if is_left && !had_tls && entry.tls.is_some() {
            entry.phase = Phase::Dead(Some(Closed::PlaintextBehindTls));
            entry.wake();
        } else if is_left && matches!(entry.phase, Phase::Open | Phase::Moving { .. }) {
            entry.unread = buffer;
            entry.unread.extend_from_slice(left);
        } else {
            io.recycle(buffer);
        }
    }

    fn has_tls(&self, connection: ConnectionId) -> bool {
        self.io.borrow().connections.get(connection).is_some_and(|entry| entry.tls.is_some())
    }

    /// A connection's entry in the wheel has fired: it may have moved on since.
    pub fn fired(&self, timer: Timer) {
        let connection = match timer {
            Timer::Application(token) => {
                self.call(None, |app, io| app.timer(io, token));
                return;
            }
            Timer::GiveBack => {
                let mut io = self.io.borrow_mut();
                io.gives_back = false;
                io.pool = Vec::new();
                drop(io);
                return memory::give_back();
            }
            Timer::Connection(connection) => connection,
        };
        let mut io = self.io.borrow_mut();
        io.tick();
        let now_ms = io.now_ms();
        let Some(entry) = io.connections.get_mut(connection) else {
            return;
        };
        entry.queued_ms = 0;
        let is_due = |at_ms: u64| at_ms != 0 && at_ms <= now_ms;
        if is_due(entry.patience_ms) {
            let open = matches!(entry.phase, Phase::Open);
            entry.phase = Phase::Dead(open.then_some(Closed::Stalled));
            entry.wake();
            return;
        }
        let due = is_due(entry.deadline_ms) && matches!(entry.phase, Phase::Open);
        if due {
            entry.deadline_ms = 0;
        }
        io.enqueue_deadline(connection);
        drop(io);
        if due {
            self.call(Some(connection), |app, io| app.deadline(io, connection));
        }
    }

    /// Ends a turn: sends what was written, and wakes who was written to.
    pub fn flush(&self) {
        let mut io = self.io.borrow_mut();
        let io = &mut *io;
        io.flush_wanted = false;
        io.metrics.turns.add(1);
        let mut dirty = std::mem::take(&mut io.dirty);
        for connection in dirty.drain(..) {
            self.flush_connection(io, connection);
        }
        io.dirty = dirty;
        self.flush_mesh(io);
        io.handshakes = 0;
        let next = io.handshake_queue.len().min(io.options.handshakes_per_turn);
        for connection in io.handshake_queue.drain(..next) {
            if let Some(entry) = io.connections.get(connection) {
                entry.wake();
            }
        }
    }

    pub fn flush_mesh(&self, io: &mut Io<A>) {
        let flushed = io.outgoing.flush(&io.mesh);
        io.metrics.mesh_sent.add(flushed.sent);
        io.metrics.mesh_wakes.add(flushed.woken);
        if flushed.left > 0 && !io.reads_held {
            io.reads_held = true;
            io.metrics.mesh_full.add(1);
        } else if flushed.left == 0 && io.reads_held {
            io.reads_held = false;
            for connection in io.held.drain(..) {
                if let Some(entry) = io.connections.get(connection) {
                    entry.wake();
                }
            }
        }
    }

    fn flush_connection(&self, io: &mut Io<A>, connection: ConnectionId) {
        let Some(entry) = io.connections.get_mut(connection) else {
            return;
        };
        entry.dirty = false;
        if entry.blocked || matches!(entry.phase, Phase::Dead(_)) {
            return;
        }
        let outbox = std::mem::take(&mut entry.outbox);
        let mut sealed = self.sealed.borrow_mut();
        // What goes out: the rest of earlier turns, then this turn's outbox, the latter encrypted.
        let is_plain = entry.tls.is_none();
        let bytes: &[u8] = if is_plain && entry.unsent.is_empty() {
            &outbox
        } else {
            sealed.clear();
            std::mem::swap(&mut *sealed, &mut entry.unsent);
            sealed.drain(..std::mem::take(&mut entry.unsent_from));
            let outcome = match &mut entry.tls {
                Some(tls) if !outbox.is_empty() => tls.seal(&outbox, &mut sealed),
                Some(_) => Ok(()),
                None => {
                    sealed.extend_from_slice(&outbox);
                    Ok(())
                }
            };
            if let Err(error) = outcome {
                let open = matches!(entry.phase, Phase::Open | Phase::Moving { .. });
                entry.phase = Phase::Dead(open.then(|| Closed::Tls(error.to_string())));
                entry.wake();
                return;
            }
            &sealed
        };
        let sent = if bytes.is_empty() {
            Sent::All
        } else {
            io.metrics.sends.add(1);
            // SAFETY: the driver owns the socket and removes this entry before it closes it.
            transmit(unsafe { BorrowedFd::borrow_raw(entry.socket) }, bytes)
        };
        match sent {
            Sent::All => {
                io.metrics.bytes_sent.add(bytes.len() as u64);
                if matches!(entry.phase, Phase::Closing) {
                    entry.wake();
                }
            }
            Sent::Part(taken) => {
                io.metrics.bytes_sent.add(taken as u64);
                io.metrics.blocked_sends.add(1);
                entry.unsent = bytes[taken..].to_vec();
                entry.blocked = true;
                entry.wake();
            }
            Sent::Broken(kind) => {
                let open = matches!(entry.phase, Phase::Open | Phase::Moving { .. });
                entry.phase = Phase::Dead(open.then_some(Closed::Broken(kind)));
                entry.wake();
            }
        }
        let blocked = entry.blocked;
        io.recycle(outbox);
        if sealed.capacity() > 256 << 10 {
            *sealed = Vec::new();
        }
        if blocked {
            io.begin_patience(connection);
        }
    }

    /// Encrypts what was written while the socket was full. Returns whether anything is to be sent.
    pub fn refill_unsent(&self, connection: ConnectionId) -> bool {
        let mut io = self.io.borrow_mut();
        let Some(entry) = io.connections.get_mut(connection) else {
            return false;
        };
        if entry.unsent_from < entry.unsent.len() {
            return true;
        }
        entry.unsent = Vec::new();
        entry.unsent_from = 0;
        let outbox = std::mem::take(&mut entry.outbox);
        if outbox.is_empty() {
            return false;
        }
        match &mut entry.tls {
            Some(tls) => {
                if let Err(error) = tls.seal(&outbox, &mut entry.unsent) {
                    entry.phase = Phase::Dead(Some(Closed::Tls(error.to_string())));
                    return false;
                }
                io.recycle(outbox);
            }
            None => entry.unsent = outbox,
        }
        true
    }

    /// A connection of this process has ended for good.
    pub fn one_less(&self) {
        if self.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            let io = self.io.borrow();
            (0..io.mesh.shards()).for_each(|shard| {
                io.mesh.doorbell(shard).ring();
            });
        }
    }
}

impl<A: Application> Io<A> {
    /// The peer must take something within the stall timeout.
    pub(crate) fn begin_patience(&mut self, connection: ConnectionId) {
        let until_ms = self.now_ms() + self.options.stall_timeout.as_millis().max(1) as u64;
        if let Some(entry) = self.connections.get_mut(connection) {
            entry.patience_ms = until_ms;
        }
        self.enqueue_deadline(connection);
    }
}

fn transmit(socket: BorrowedFd<'_>, bytes: &[u8]) -> Sent {
    loop {
        match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(taken) if taken == bytes.len() => return Sent::All,
            Ok(taken) => return Sent::Part(taken),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Sent::Part(0),
            Err(error) => return Sent::Broken(std::io::Error::from(error).kind()),
        }
    }
}
