//! The server's end of the admin socket: a thread that accepts, and one per client. Operators are few and do not mind
//! to wait; what matters is that nothing here costs a shard anything.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::backend::{Backend, By, Failure, FailureKind};
use super::protocol::{self, Answer, Greeting, NoLine, Numbered, Outcome, REQUEST_BYTES_MAX, VERSION};

/// Clients at once; who comes when there are as many is told so and turned away. Enough for a thousand accounts that
/// scripts add at the same time.
pub const CLIENTS_MAX: usize = 1024;
/// How long the end waits for what is being carried out.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that says nothing for this long is disconnected.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// A client that does not take its answer for this long is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Room for the deepest call of a backend.
const STACK_BYTES: usize = 512 << 10;
/// After an error of `accept`, e.g. because no descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The running admin socket. Dropped, it closes and its file is removed.
pub struct Server {
    listener: Arc<UnixListener>,
    clients: Arc<Clients>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Clients {
    max: usize,
    open: Mutex<Open>,
    left: Condvar,
}

#[derive(Default)]
struct Open {
    next: u64,
    closed: bool,
    streams: HashMap<u64, UnixStream>,
}

/// Answers on an admin socket from now on, on threads of its own, so many clients at once.
pub fn serve(listener: UnixListener, backend: Arc<dyn Backend>, clients_max: usize) -> std::io::Result<Server> {
    let listener = Arc::new(listener);
    let clients = Arc::new(Clients { max: clients_max, ..Clients::default() });
    let thread = std::thread::Builder::new().name("admin".into()).stack_size(STACK_BYTES).spawn({
        let (listener, clients) = (Arc::clone(&listener), Arc::clone(&clients));
        move || accept(&listener, &clients, &backend)
    })?;
    Ok(Server { listener, clients, thread: Some(thread) })
}

impl Drop for Server {
    fn drop(&mut self) {
        let path = self.listener.local_addr().ok().and_then(|address| address.as_pathname().map(ToOwned::to_owned));
        self.clients.close();
        // Wakes the thread that accepts.
        if rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // It cannot have panicked with anything left to do.
            let _ = thread.join();
        }
        self.clients.wait();
        if let Some(path) = path {
            // The next server replaces it anyway.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Clients {
    /// Takes a client in, unless there are too many or the server ends.
    fn enter(&self, stream: &UnixStream) -> Option<u64> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.closed || open.streams.len() >= self.max {
            return None;
        }
        let stream = stream.try_clone().ok()?;
        open.next += 1;
        let number = open.next;
        open.streams.insert(number, stream);
        Some(number)
    }

    fn leave(&self, number: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).streams.remove(&number);
        self.left.notify_all();
    }

    fn close(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.closed = true;
        for stream in open.streams.values() {
            // One that is gone already needs no goodbye.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits until what clients have asked for is carried out.
    fn wait(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.left.wait_timeout_while(open, END_TIMEOUT, |open| !open.streams.is_empty());
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            tracing::warn!(target: "admin", "what a client of the admin socket has asked for takes too long");
        }
    }

    fn closed(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).closed
    }
}

fn accept(listener: &UnixListener, clients: &Arc<Clients>, backend: &Arc<dyn Backend>) {
    for stream in listener.incoming() {
        if clients.closed() {
            return;
        }
        match stream {
            Ok(stream) => admit(stream, clients, backend),
            Err(error) => {
                tracing::warn!(target: "admin", %error, "cannot accept a client");
                std::thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

fn admit(stream: UnixStream, clients: &Arc<Clients>, backend: &Arc<dyn Backend>) {
    let Some(number) = clients.enter(&stream) else {
        let failure = Failure::new(FailureKind::Busy, "too many clients of the admin socket");
        // Who does not take even this will notice the end.
        let _ = stream.set_nonblocking(true);
        let _ = protocol::write(&mut &stream, &Answer { id: 0, outcome: Outcome::Failed(failure) });
        return;
    };
    let spawned = std::thread::Builder::new().name("admin-client".into()).stack_size(STACK_BYTES).spawn({
        let (clients, backend) = (Arc::clone(clients), Arc::clone(backend));
        move || {
            let _leave = Leave { clients, number };
            // Gone before it is told that this client has left.
            let (stream, backend) = (stream, backend);
            if let Err(error) = converse(&stream, &*backend) {
                tracing::debug!(target: "admin", client = number, %error, "a client is gone");
            }
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(target: "admin", %error, "no thread for a client");
        clients.leave(number);
    }
}

/// Makes room again, even after a panic.
struct Leave {
    clients: Arc<Clients>,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.clients.leave(self.number);
    }
}

fn converse(stream: &UnixStream, backend: &dyn Backend) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let by = By::Local(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw());
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    protocol::write(&mut writer, &Greeting { rondel: env!("CARGO_PKG_VERSION").into(), protocol: VERSION })?;
    loop {
        let (id, outcome) = match protocol::read::<Numbered>(&mut reader, REQUEST_BYTES_MAX) {
            Ok(Numbered { id, request }) => {
                let mut told = stream;
                let mut tell = |done| protocol::write(&mut told, &Answer { id, outcome: Outcome::Done(done) }).is_ok();
                (id, backend.ask(&by, request, &mut tell))
            }
            Err(NoLine::Malformed(why)) => (0, Err(Failure::new(FailureKind::Invalid, why))),
            Err(NoLine::TooLong) => {
                let failure =
                    Failure::new(FailureKind::Invalid, format!("a line of more than {REQUEST_BYTES_MAX} bytes"));
                protocol::write(&mut writer, &Answer { id: 0, outcome: Outcome::Failed(failure) })?;
                return writer.flush();
            }
            Err(NoLine::End) => return Ok(()),
            Err(NoLine::Broken(error)) => return Err(error),
        };
        let outcome = outcome.map_or_else(Outcome::Failed, Outcome::Done);
        protocol::write(&mut writer, &Answer { id, outcome })?;
    }
}
