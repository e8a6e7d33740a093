//! One shard from the inside: hands events to the application, contains its panics, and sends at the end of a turn what
//! the turn has written.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use crate::accept::listen_again;
use crate::application::{Application, Closed, Origin};
use crate::connection::{ConnectionId, Phase};
use crate::io::{Io, Timer};
use crate::memory;
use crate::mesh::Control;
use crate::poller::Ready;
use crate::tls::Event;

pub(crate) struct Local<A: Application> {
    pub io: RefCell<Io<A>>,
    pub app: RefCell<Option<A>>,
    /// The one receive buffer of the shard, lent to whoever is readable.
    pub scratch: RefCell<Box<[u8]>>,
    /// Room for what the poller tells.
    pub ready: RefCell<Vec<Ready>>,
}

impl<A: Application> Local<A> {
    pub fn new(io: Io<A>) -> Self {
        let scratch = vec![0; io.options.read_buffer.max(4096)].into_boxed_slice();
        Local {
            io: RefCell::new(io),
            app: RefCell::new(None),
            scratch: RefCell::new(scratch),
            ready: RefCell::default(),
        }
    }

    /// Runs a callback. A panic in it costs the connection it was about, not the shard.
    pub fn call<R>(&self, about: Option<ConnectionId>, callback: impl FnOnce(&mut A, &mut Io<A>) -> R) -> Option<R> {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut app = self.app.borrow_mut();
            let mut io = self.io.borrow_mut();
            app.as_mut().map(|app| callback(app, &mut io))
        }));
        if let Ok(result) = outcome {
            return result;
        }
        let mut io = self.io.borrow_mut();
        io.metrics.panics.add(1);
        if let Some(entry) = about.and_then(|connection| io.connections.get_mut(connection)) {
            entry.phase = Phase::Dead(Some(Closed::Panicked));
        }
        if let Some(connection) = about {
            io.wake(connection);
        }
        None
    }

    pub fn message(&self, from: Origin, message: A::Message) {
        let about = self.app.borrow().as_ref().and_then(|app| app.concerns(&message));
        self.call(about, |app, io| app.message(io, from, message));
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
            entry.lent = entry.tls.is_some();
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
        entry.lent = false;
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
        if self.is_moving(connection) {
            return;
        }
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

    /// A connection has arrived whose peer may have ended TLS while it was leaving.
    pub fn end_as_before(&self, connection: ConnectionId) {
        let ended = {
            let io = self.io.borrow();
            io.connections.get(connection).and_then(|entry| entry.tls.as_ref()?.ended().cloned())
        };
        match ended {
            None => {}
            Some(Ok(())) => self.peer_closed(connection),
            Some(Err(error)) => self.tls_failed(connection, error),
        }
    }

    /// Whether the connection is about to leave. Its end is then found out where it arrives, by whoever has all that
    /// belongs to it.
    fn is_moving(&self, connection: ConnectionId) -> bool {
        let io = self.io.borrow();
        io.connections.get(connection).is_some_and(|entry| matches!(entry.phase, Phase::Moving { .. }))
    }

    /// The peer's side has ended: what waits for it is still sent.
    pub fn peer_closed(&self, connection: ConnectionId) {
        if self.is_moving(connection) {
            return;
        }
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
                Phase::Open if !entry.paused && entry.rests_until_ms == 0 => std::mem::take(&mut entry.unread),
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
            io.wake(connection);
        } else if is_left && matches!(entry.phase, Phase::Open | Phase::Moving { .. }) {
            entry.unread = buffer;
            entry.unread.extend_from_slice(left);
            if io.must_yield(connection)
                && let Some(entry) = io.connections.get_mut(connection)
            {
                entry.refeed = true;
            }
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
                if std::mem::take(&mut io.freed_here) {
                    let others = (0..io.shards()).filter(|shard| *shard != io.shard);
                    others.for_each(|shard| {
                        io.mesh.post(shard, Control::GiveBack);
                        io.mesh.doorbell(shard).ring();
                    });
                }
                drop(io);
                return memory::give_back();
            }
            Timer::Listen(listener) => return listen_again(self, listener),
            Timer::Connection(connection) => connection,
        };
        let mut io = self.io.borrow_mut();
        let now_ms = io.now_ms();
        let Some(entry) = io.connections.get_mut(connection) else {
            return;
        };
        entry.queued_ms = 0;
        let is_due = |at_ms: u64| at_ms != 0 && at_ms <= now_ms;
        if is_due(entry.patience_ms) {
            let open = matches!(entry.phase, Phase::Open);
            entry.phase = Phase::Dead(open.then_some(Closed::Stalled));
            return io.wake(connection);
        }
        let due = is_due(entry.deadline_ms) && matches!(entry.phase, Phase::Open);
        if due {
            entry.deadline_ms = 0;
        }
        let has_rested = is_due(entry.rests_until_ms);
        if has_rested {
            entry.rests_until_ms = 0;
            entry.refeed = true;
        }
        let may_read = entry.allowance.as_mut().filter(|allowance| is_due(allowance.held_until_ms));
        let may_read = may_read.map(|allowance| allowance.held_until_ms = 0).is_some();
        if has_rested || may_read {
            io.wake(connection);
        }
        io.enqueue_deadline(connection);
        drop(io);
        if due {
            self.call(Some(connection), |app, io| app.deadline(io, connection));
        }
    }

    /// Ends a turn: sends what was written, and wakes who was written to.
    pub fn flush(&self) {
        self.call(None, |app, io| app.turn_ends(io));
        let mut io = self.io.borrow_mut();
        let io = &mut *io;
        io.flush_wanted = false;
        io.metrics.turns.add(1);
        let mut dirty = std::mem::take(&mut io.dirty);
        for connection in dirty.drain(..) {
            io.flush_connection(connection);
        }
        io.dirty = dirty;
        self.flush_mesh(io);
        io.handshakes = 0;
        let next = io.handshake_queue.len().min(io.options.handshakes_per_turn);
        let next: Vec<_> = io.handshake_queue.drain(..next).collect();
        for connection in next {
            if let Some(entry) = io.connections.get_mut(connection) {
                entry.awaits_handshake = false;
                io.wake(connection);
            }
        }
        if !io.handshake_queue.is_empty() {
            // Their steps may write nothing, and so lead to no flush by themselves.
            io.want_flush();
        }
    }

    pub fn flush_mesh(&self, io: &mut Io<A>) {
        let flushed = io.outgoing.flush(&io.mesh);
        io.metrics.mesh_sent.add(flushed.sent);
        io.metrics.mesh_wakes.add(flushed.woken);
        if flushed.left > 0 && !io.reads_held {
            io.reads_held = true;
            io.metrics.mesh_full.add(1);
        } else if flushed.left == 0 && io.reads_held && !io.reads_unwanted {
            io.reads_held = false;
            let held = std::mem::take(&mut io.held);
            for connection in held {
                if let Some(entry) = io.connections.get_mut(connection) {
                    entry.held = false;
                    io.wake(connection);
                }
            }
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

    /// Has the connection looked at whenever its socket changes. It cannot stay where that cannot be had.
    pub fn watch(&self, connection: ConnectionId) {
        let mut io = self.io.borrow_mut();
        let io = &mut *io;
        let now_ms = io.now_ms();
        let Some(entry) = io.connections.get_mut(connection) else { return };
        if let Err(error) = io.poller.add(&entry.socket, connection) {
            if let Some(stands_for) = io.complaint.stands_for(now_ms) {
                let text = "a connection cannot be watched; see fs.epoll.max_user_watches";
                tracing::warn!(target: "shards", shard = io.shard, stands_for, %error, "{text}");
            }
            entry.die(Closed::Broken(error.kind()));
        }
        io.wake(connection);
    }

    /// Drops a connection and its socket.
    pub fn forget(&self, connection: ConnectionId) {
        if self.io.borrow_mut().remove(connection).is_some() {
            self.one_less();
        }
    }

    /// A connection of this process has begun.
    pub fn one_more(&self) {
        self.io.borrow().live.fetch_add(1, Ordering::AcqRel);
    }

    /// A connection of this process has ended for good.
    pub fn one_less(&self) {
        let io = self.io.borrow();
        if io.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            (0..io.mesh.shards()).for_each(|shard| {
                io.mesh.doorbell(shard).ring();
            });
        }
    }
}
