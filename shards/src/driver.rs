//! The task of one connection: reads when there is something to read, writes on when the socket was full, and sees the
//! connection off. It owns the socket.

use std::future::Future;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use rustix::net::{Shutdown, shutdown};

use crate::application::{Accepted, Application, Closed, Verdict};
use crate::connection::{Connection, ConnectionId, Phase};
use crate::io::{Envelope, Moved};
use crate::local::Local;

/// Reads of one connection in a row before others get their turn.
const READS_IN_A_ROW: usize = 4;

pub(crate) struct Driver<A: Application> {
    local: Rc<Local<A>>,
    connection: ConnectionId,
    /// Taken out when the connection moves away.
    stream: Option<TcpStream>,
}

/// What a driver has to do next.
enum Next<A: Application> {
    Nothing,
    Gone(Option<Closed>),
    Move { to: usize, baggage: Box<A::Baggage> },
    Write,
    SayGoodbye,
    Feed,
    Read,
    Discard,
}

/// Takes in a connection that a listener has accepted.
pub(crate) fn adopt<A: Application>(local: &Rc<Local<A>>, stream: TcpStream, listener: usize) {
    // A client that is gone already has no address any more.
    let Ok(peer) = stream.peer_addr() else { return };
    // Without it small stanzas wait for the acknowledgement of earlier ones.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let connection = {
        let mut io = local.io.borrow_mut();
        io.metrics.accepted.add(1);
        io.insert(Connection::new(stream.as_raw_fd(), peer))
    };
    local.live.fetch_add(1, Ordering::AcqRel);
    let driver = Driver { local: Rc::clone(local), connection, stream: Some(stream) };
    let accepted = Accepted { listener, peer };
    let verdict = local.call(Some(connection), |app, io| app.accepted(io, connection, &accepted));
    if verdict == Some(Verdict::Accept) {
        spawn(driver);
    } else {
        local.io.borrow().metrics.refused.add(1);
    }
}

/// Takes in a connection that moved here.
pub(crate) fn arrive<A: Application>(local: &Rc<Local<A>>, from: usize, moved: Moved<A>) {
    let Moved { socket, peer, tls, outbox, unsent, unread, deadline_ms, baggage } = moved;
    // SAFETY: the descriptor was duplicated for this move and nobody else owns it.
    let stream = unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) };
    let connection = {
        let mut io = local.io.borrow_mut();
        let mut entry = Connection::new(stream.as_raw_fd(), peer);
        entry.tls = tls;
        entry.outbox = outbox;
        entry.unsent = unsent;
        entry.refeed = !unread.is_empty();
        entry.unread = unread;
        entry.deadline_ms = deadline_ms;
        let connection = io.insert(entry);
        io.enqueue_deadline(connection);
        io.last_words(connection);
        io.metrics.moved_in.add(1);
        connection
    };
    let driver = Driver { local: Rc::clone(local), connection, stream: Some(stream) };
    local.call(Some(connection), |app, io| app.arrived(io, connection, from, *baggage));
    local.end_as_before(connection);
    spawn(driver);
}

fn spawn<A: Application>(driver: Driver<A>) {
    glommio::spawn_local(driver).detach();
}

impl<A: Application> Future for Driver<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        let mut reads = 0;
        loop {
            match driver.next(cx) {
                Next::Nothing => return Poll::Pending,
                Next::Gone(why) => {
                    if let Some(why) = why {
                        driver.local.closed(driver.connection, why);
                    }
                    return Poll::Ready(());
                }
                Next::Move { to, baggage } => {
                    driver.hand_over(to, baggage);
                    return Poll::Ready(());
                }
                Next::Write => match driver.write(cx) {
                    Poll::Ready(()) => {}
                    Poll::Pending => return Poll::Pending,
                },
                Next::SayGoodbye => driver.say_goodbye(),
                Next::Feed => driver.local.feed(driver.connection, &[]),
                next @ (Next::Read | Next::Discard) => {
                    reads += 1;
                    if reads > READS_IN_A_ROW {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    if driver.read(cx, matches!(next, Next::Read)).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<A: Application> Driver<A> {
    fn next(&mut self, cx: &Context<'_>) -> Next<A> {
        let mut io = self.local.io.borrow_mut();
        let io = &mut *io;
        let Some(entry) = io.connections.get_mut(self.connection) else {
            return Next::Gone(None);
        };
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        match &mut entry.phase {
            Phase::Dead(why) => return Next::Gone(why.take()),
            Phase::Moving { to, .. } if *to != io.shard => {
                let Phase::Moving { to, baggage } = std::mem::replace(&mut entry.phase, Phase::Dead(None)) else {
                    return Next::Gone(None);
                };
                return Next::Move { to, baggage };
            }
            Phase::Moving { to, .. } => {
                let to = *to;
                let Phase::Moving { baggage, .. } = std::mem::replace(&mut entry.phase, Phase::Open) else {
                    return Next::Gone(None);
                };
                return Next::Move { to, baggage };
            }
            _ if entry.blocked => return Next::Write,
            Phase::Closing if !entry.dirty => return Next::SayGoodbye,
            Phase::Closing => return Next::Nothing,
            Phase::Lingering => return Next::Discard,
            Phase::Open => {}
        }
        if entry.paused {
            return Next::Nothing;
        }
        if io.reads_held {
            io.held.push(self.connection);
            return Next::Nothing;
        }
        if entry.refeed {
            if entry.waiting() > io.options.outbox_limit / 2 {
                // The flush at the end of this turn goes on.
                return Next::Nothing;
            }
            entry.refeed = false;
            return Next::Feed;
        }
        let handshaking = entry.tls.as_ref().is_some_and(|tls| !tls.is_secured());
        if handshaking && io.handshakes >= io.options.handshakes_per_turn {
            io.handshake_queue.push(self.connection);
            io.want_flush();
            return Next::Nothing;
        }
        Next::Read
    }

    fn read(&mut self, cx: &mut Context<'_>, deliver: bool) -> Poll<()> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(());
        };
        let mut scratch = self.local.scratch.borrow_mut();
        match Pin::new(stream).poll_read(cx, &mut scratch) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) if deliver => self.local.peer_closed(self.connection),
            Poll::Ready(Ok(read)) if deliver => self.local.input(self.connection, &mut scratch[..read]),
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(Ok(0)) => self.dead(None),
            Poll::Ready(Err(error)) => self.dead(deliver.then(|| Closed::Broken(error.kind()))),
        }
        Poll::Ready(())
    }

    fn dead(&self, why: Option<Closed>) {
        if let Some(entry) = self.local.io.borrow_mut().connections.get_mut(self.connection) {
            entry.phase = Phase::Dead(why);
        }
    }

    /// Writes on after the socket was full, until nothing waits.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.local.refill_unsent(self.connection) {
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(());
            };
            let mut io = self.local.io.borrow_mut();
            let Some(entry) = io.connections.get_mut(self.connection) else {
                return Poll::Ready(());
            };
            match Pin::new(stream).poll_write(cx, &entry.unsent[entry.unsent_from..]) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(taken)) => {
                    entry.unsent_from += taken;
                    io.metrics.sends.add(1);
                    io.metrics.bytes_sent.add(taken as u64);
                    // It reads after all.
                    io.tick();
                    io.begin_patience(self.connection);
                }
                Poll::Ready(Err(error)) => {
                    let open = matches!(entry.phase, Phase::Open);
                    entry.phase = Phase::Dead(open.then(|| Closed::Broken(error.kind())));
                    return Poll::Ready(());
                }
            }
        }
        if let Some(entry) = self.local.io.borrow_mut().connections.get_mut(self.connection) {
            entry.blocked = false;
            entry.patience_ms = 0;
        }
        Poll::Ready(())
    }

    /// Everything is sent: says so to the peer, and waits a little for its end, lest what it still sends resets the
    /// connection before it has read our last words.
    fn say_goodbye(&mut self) {
        let mut io = self.local.io.borrow_mut();
        io.tick();
        let until_ms = io.now_ms() + io.options.linger.as_millis().max(1) as u64;
        let Some(entry) = io.connections.get_mut(self.connection) else {
            return;
        };
        // SAFETY: this driver owns the socket, and removes the entry before it closes it.
        let socket = unsafe { BorrowedFd::borrow_raw(entry.socket) };
        if let Some(tls) = entry.tls.as_mut().filter(|tls| tls.is_secured()) {
            let mut notify = Vec::new();
            tls.close(&mut notify);
            // If it does not fit now, the end of the stream says the same.
            let _ =
                rustix::net::send(socket, &notify, rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL);
        }
        entry.phase = match shutdown(socket, Shutdown::Write) {
            Ok(()) => Phase::Lingering,
            Err(_) => Phase::Dead(None),
        };
        entry.tls = None;
        entry.patience_ms = until_ms;
        io.enqueue_deadline(self.connection);
    }

    fn hand_over(&mut self, to: usize, baggage: Box<A::Baggage>) {
        let connection = self.connection;
        let here = self.local.io.borrow().shard;
        if to == here {
            if let Some(stream) = self.stream.take() {
                // Nothing leaves: the same entry goes on under the same id with a driver of its own.
                let driver = Driver { local: Rc::clone(&self.local), connection, stream: Some(stream) };
                self.local.call(Some(connection), |app, io| app.arrived(io, connection, here, *baggage));
                self.local.end_as_before(connection);
                if let Some(entry) = self.local.io.borrow_mut().connections.get_mut(connection) {
                    entry.refeed = !entry.unread.is_empty();
                    entry.waker = None;
                }
                spawn(driver);
            }
            return;
        }
        let Some(stream) = self.stream.take() else {
            return;
        };
        // SAFETY: the stream is open; it owns the descriptor that is duplicated here.
        let duplicate: std::io::Result<OwnedFd> =
            unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }.try_clone_to_owned();
        // Cancels the poll that the old executor has armed.
        drop(stream);
        let mut io = self.local.io.borrow_mut();
        let Some(entry) = io.remove(connection) else {
            return;
        };
        match duplicate {
            Ok(socket) => {
                let moved = Moved {
                    socket,
                    peer: entry.peer,
                    tls: entry.tls,
                    outbox: entry.outbox,
                    unsent: entry.unsent[entry.unsent_from..].to_vec(),
                    unread: entry.unread,
                    deadline_ms: entry.deadline_ms,
                    baggage,
                };
                io.metrics.moved_out.add(1);
                let bytes = moved.outbox.len() + moved.unsent.len() + moved.unread.len();
                io.outgoing.push(to, Envelope::Moved(Box::new(moved)), bytes);
                io.want_flush();
            }
            Err(error) => {
                // Out of descriptors: this one client has to come again.
                tracing::warn!(target: "shards", %error, "a connection could not be handed over");
                drop(io);
                self.local.one_less();
            }
        }
    }
}

impl<A: Application> Drop for Driver<A> {
    fn drop(&mut self) {
        // A driver that has handed its stream over has nothing to clear away.
        if self.stream.is_none() {
            return;
        }
        let removed = match self.local.io.try_borrow_mut() {
            Ok(mut io) => io.remove(self.connection).is_some(),
            Err(_) => false,
        };
        if removed {
            self.local.one_less();
        }
    }
}
