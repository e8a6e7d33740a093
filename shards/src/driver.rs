//! What one connection does when it is its turn: reads when there is something to read, writes on when the socket was
//! full, moves, and ends.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use crate::application::{Application, Closed};
use crate::connection::{Connection, ConnectionId, Phase};
use crate::io::{Envelope, Moved, Sent, transmit};
use crate::local::Local;

/// Reads of one connection in a row before others get their turn.
const READS_IN_A_ROW: usize = 4;

/// What a connection has to do next.
enum Next<A: Application> {
    Nothing,
    Gone(Option<Closed>),
    Move {
        to: usize,
        baggage: Box<A::Baggage>,
    },
    Write,
    SayGoodbye,
    Feed,
    /// At most so many bytes.
    Read(usize),
    Discard,
}

/// Has a connection do what it can do now.
pub(crate) fn drive<A: Application>(local: &Local<A>, connection: ConnectionId) {
    let mut reads = 0;
    loop {
        match next(local, connection) {
            Next::Nothing => return,
            Next::Gone(why) => {
                if let Some(why) = why {
                    local.closed(connection, why);
                }
                return local.forget(connection);
            }
            Next::Move { to, baggage } => return hand_over(local, connection, to, baggage),
            Next::Write => write(local, connection),
            Next::SayGoodbye => say_goodbye(local, connection),
            Next::Feed => local.feed(connection, &[]),
            next @ (Next::Read(_) | Next::Discard) => {
                reads += 1;
                if reads > READS_IN_A_ROW {
                    return local.io.borrow_mut().wake(connection);
                }
                let most = if let Next::Read(most) = next { Some(most) } else { None };
                read(local, connection, most);
            }
        }
    }
}

/// Takes in a connection that moved here.
pub(crate) fn arrive<A: Application>(local: &Local<A>, from: usize, moved: Moved<A>) {
    let Moved { socket, peer, tls, outbox, unsent, unread, deadline_ms, allowance, read_bytes, baggage } = moved;
    let connection = {
        let mut io = local.io.borrow_mut();
        let mut entry = Connection::new(socket, peer);
        entry.tls = tls;
        entry.outbox = outbox;
        entry.unsent = unsent;
        entry.refeed = !unread.is_empty();
        entry.unread = unread;
        entry.deadline_ms = deadline_ms;
        entry.allowance = allowance;
        entry.read_bytes = read_bytes;
        let connection = io.insert(entry);
        io.enqueue_deadline(connection);
        io.last_words(connection);
        io.metrics.moved_in.add(1);
        connection
    };
    local.call(Some(connection), |app, io| app.arrived(io, connection, from, *baggage));
    local.end_as_before(connection);
    local.watch(connection);
}

fn next<A: Application>(local: &Local<A>, connection: ConnectionId) -> Next<A> {
    let mut io = local.io.borrow_mut();
    let io = &mut *io;
    let now_ms = io.now_ms();
    let Some(entry) = io.connections.get_mut(connection) else {
        return Next::Gone(None);
    };
    match &mut entry.phase {
        Phase::Dead(why) => return Next::Gone(why.take()),
        Phase::Moving { to, .. } => {
            let to = *to;
            let stays = if to == io.shard { Phase::Open } else { Phase::Dead(None) };
            let Phase::Moving { baggage, .. } = std::mem::replace(&mut entry.phase, stays) else {
                return Next::Gone(None);
            };
            return Next::Move { to, baggage };
        }
        _ if entry.blocked && entry.writable => return Next::Write,
        _ if entry.blocked => return Next::Nothing,
        Phase::Closing if !entry.dirty => return Next::SayGoodbye,
        Phase::Closing => return Next::Nothing,
        Phase::Lingering if entry.readable => return Next::Discard,
        Phase::Lingering => return Next::Nothing,
        Phase::Open => {}
    }
    if entry.paused || entry.rests_until_ms != 0 {
        return Next::Nothing;
    }
    if io.reads_held {
        if !std::mem::replace(&mut entry.held, true) {
            io.held.push(connection);
        }
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
    if !entry.readable {
        return Next::Nothing;
    }
    let handshaking = entry.tls.as_ref().is_some_and(|tls| !tls.is_secured());
    if handshaking && io.handshakes >= io.options.handshakes_per_turn {
        if !std::mem::replace(&mut entry.awaits_handshake, true) {
            io.handshake_queue.push(connection);
        }
        io.want_flush();
        return Next::Nothing;
    }
    match entry.allowance.as_mut().map(|allowance| allowance.may_read(now_ms)) {
        None => Next::Read(usize::MAX),
        Some(Ok(most)) => Next::Read(most),
        Some(Err(_)) => {
            io.enqueue_deadline(connection);
            Next::Nothing
        }
    }
}

/// Reads at most so many bytes and hands them in; `None`: whatever comes is thrown away.
fn read<A: Application>(local: &Local<A>, connection: ConnectionId, most: Option<usize>) {
    let deliver = most.is_some();
    let mut scratch = local.scratch.borrow_mut();
    let outcome = {
        let mut io = local.io.borrow_mut();
        let now_ms = io.now_ms();
        let Some(entry) = io.connections.get_mut(connection) else { return };
        let room = most.unwrap_or(usize::MAX).min(scratch.len());
        let outcome = recv(&entry.socket, &mut scratch[..room], RecvFlags::DONTWAIT).map(|(read, _)| read);
        // What did not fill the buffer was all there was, and what comes is told of.
        entry.readable = match outcome {
            Ok(read) => read == room || (read > 0 && entry.hung_up),
            Err(error) => error == Errno::INTR,
        };
        if let (Ok(read), Some(allowance)) = (outcome, &mut entry.allowance) {
            allowance.have_read(read, now_ms);
        }
        entry.read_bytes += outcome.unwrap_or(0) as u64;
        outcome
    };
    match outcome {
        Ok(0) if deliver => local.peer_closed(connection),
        Ok(0) => dead(local, connection, None),
        Ok(read) if deliver => local.input(connection, &mut scratch[..read]),
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
        Err(error) => {
            let why = deliver.then(|| Closed::Broken(std::io::Error::from(error).kind()));
            dead(local, connection, why);
        }
    }
}

fn dead<A: Application>(local: &Local<A>, connection: ConnectionId, why: Option<Closed>) {
    if let Some(entry) = local.io.borrow_mut().connections.get_mut(connection) {
        entry.phase = Phase::Dead(why);
    }
}

/// Writes on after the socket was full, until nothing waits or it is full again.
fn write<A: Application>(local: &Local<A>, connection: ConnectionId) {
    while local.refill_unsent(connection) {
        let mut io = local.io.borrow_mut();
        let Some(entry) = io.connections.get_mut(connection) else { return };
        let waiting = entry.unsent.len() - entry.unsent_from;
        let taken = match transmit(entry.socket.as_fd(), &entry.unsent[entry.unsent_from..]) {
            Sent::All => waiting,
            Sent::Part(taken) => taken,
            Sent::Broken(kind) => {
                let open = matches!(entry.phase, Phase::Open);
                entry.phase = Phase::Dead(open.then_some(Closed::Broken(kind)));
                return;
            }
        };
        entry.unsent_from += taken;
        entry.writable = taken == waiting;
        let is_full = !entry.writable;
        if taken > 0 {
            io.metrics.sends.add(1);
            io.metrics.bytes_sent.add(taken as u64);
            // It reads after all.
            io.begin_patience(connection);
        }
        if is_full {
            return;
        }
    }
    if let Some(entry) = local.io.borrow_mut().connections.get_mut(connection) {
        entry.blocked = false;
        entry.patience_ms = 0;
    }
}

/// Everything is sent: says so to the peer, and waits a little for its end, lest what it still sends resets the
/// connection before it has read our last words.
fn say_goodbye<A: Application>(local: &Local<A>, connection: ConnectionId) {
    let mut io = local.io.borrow_mut();
    let until_ms = io.now_ms() + io.options.linger.as_millis().max(1) as u64;
    let Some(entry) = io.connections.get_mut(connection) else {
        return;
    };
    if let Some(tls) = entry.tls.as_mut().filter(|tls| tls.is_secured()) {
        let mut notify = Vec::new();
        tls.close(&mut notify);
        // If it does not fit now, the end of the stream says the same.
        let _ = send(&entry.socket, &notify, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }
    entry.phase = match shutdown(&entry.socket, Shutdown::Write) {
        Ok(()) => Phase::Lingering,
        Err(_) => Phase::Dead(None),
    };
    entry.tls = None;
    entry.patience_ms = until_ms;
    io.enqueue_deadline(connection);
}

fn hand_over<A: Application>(local: &Local<A>, connection: ConnectionId, to: usize, baggage: Box<A::Baggage>) {
    let here = local.io.borrow().shard;
    if to == here {
        // Nothing leaves: the same entry goes on under the same id.
        local.call(Some(connection), |app, io| app.arrived(io, connection, here, *baggage));
        local.end_as_before(connection);
        let mut io = local.io.borrow_mut();
        if let Some(entry) = io.connections.get_mut(connection) {
            entry.refeed = !entry.unread.is_empty();
        }
        return io.wake(connection);
    }
    let mut io = local.io.borrow_mut();
    let Some(entry) = io.remove(connection) else {
        return;
    };
    io.poller.remove(&entry.socket);
    let moved = Moved {
        socket: entry.socket,
        peer: entry.peer,
        tls: entry.tls,
        outbox: entry.outbox,
        unsent: entry.unsent[entry.unsent_from..].to_vec(),
        unread: entry.unread,
        deadline_ms: entry.deadline_ms,
        allowance: entry.allowance,
        read_bytes: entry.read_bytes,
        baggage,
    };
    io.metrics.moved_out.add(1);
    let bytes = moved.outbox.len() + moved.unsent.len() + moved.unread.len();
    io.outgoing.push(to, Envelope::Moved(Box::new(moved)), bytes);
    io.want_flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::time::Instant;

    use rustls::ServerConfig;
    use rustls::server::ResolvesServerCertUsingSni;

    use crate::application::{Accepted, Origin, Verdict};
    use crate::io::Io;
    use crate::mesh::Mesh;
    use crate::options::Options;
    use crate::poller::Poller;
    use crate::tls::{Tls, TlsFacts};

    struct Deaf;

    impl Application for Deaf {
        type Message = ();
        type Baggage = ();
        fn accepted(&mut self, _: &mut Io<Self>, _: ConnectionId, _: &Accepted) -> Verdict {
            Verdict::Accept
        }
        fn arrived(&mut self, _: &mut Io<Self>, _: ConnectionId, _: usize, (): ()) {}
        fn received(&mut self, _: &mut Io<Self>, _: ConnectionId, bytes: &[u8]) -> usize {
            bytes.len()
        }
        fn secured(&mut self, _: &mut Io<Self>, _: ConnectionId, _: TlsFacts) {}
        fn closed(&mut self, _: &mut Io<Self>, _: ConnectionId, _: Closed) {}
        fn message(&mut self, _: &mut Io<Self>, _: Origin, (): ()) {}
        fn concerns(&self, (): &()) -> Option<ConnectionId> {
            None
        }
        fn deadline(&mut self, _: &mut Io<Self>, _: ConnectionId) {}
        fn timer(&mut self, _: &mut Io<Self>, _: u64) {}
        fn shutting_down(&mut self, _: &mut Io<Self>) {}
        fn ended(self, _: &mut Io<Self>) {}
    }

    /// A client that sends byte by byte has its connection looked at again and again while that waits for its turn.
    #[test]
    fn a_connection_waits_once_however_often_it_is_looked_at() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, peer) = listener.accept().unwrap();
        let options = Arc::new(Options { handshakes_per_turn: 1, ..Options::default() });
        let poller = Poller::new(Poller::instance(&[] as &[TcpListener]).unwrap());
        let mesh = Arc::new(Mesh::new(1, 1));
        let io = Io::new(0, mesh, Arc::default(), options, poller, Arc::default(), Instant::now());
        let local: Local<Deaf> = Local::new(io);
        let connection = local.io.borrow_mut().insert(Connection::new(socket.into(), peer));
        let look = |change: &dyn Fn(&mut Io<Deaf>)| {
            for _ in 0..3 {
                let mut io = local.io.borrow_mut();
                io.connections.get_mut(connection).unwrap().readable = true;
                change(&mut io);
                drop(io);
                drive(&local, connection);
            }
        };
        look(&|io| io.reads_held = true);
        assert_eq!(local.io.borrow().held, [connection]);
        local.flush();
        assert!(local.io.borrow().held.is_empty(), "there is room after all");

        let resolver = Arc::new(ResolvesServerCertUsingSni::new());
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        Io::<Deaf>::prepare_tls(&mut config);
        let config = Arc::new(config);
        local.io.borrow_mut().connections.get_mut(connection).unwrap().tls = Some(Box::new(Tls::new(&config).unwrap()));
        look(&|io| io.handshakes = 1);
        assert_eq!(local.io.borrow().handshake_queue, [connection]);
        local.flush();
        assert!(local.io.borrow().handshake_queue.is_empty());
    }
}
