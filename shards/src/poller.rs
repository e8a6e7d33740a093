//! Which sockets are ready: an epoll instance per shard, whose own readiness the executor watches while the shard
//! sleeps.
//!
//! The executor could watch each socket by itself. The kernel would then interrupt the shard for each socket that
//! becomes ready while it works, wake it for each while it pauses, and be asked anew after each read.

use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::task::Context;

use futures_lite::AsyncRead;
use glommio::net::TcpStream;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::connection::ConnectionId;

/// Sockets that one call tells of.
const EVENTS: usize = 256;

/// Stands for a listening socket where a connection's index stands otherwise.
const LISTENER: u32 = u32::MAX;

/// What became of a socket.
pub(crate) enum Ready {
    /// A connection can be read from, or written to, or has failed or been ended by its peer (`hung_up`).
    Connection { connection: ConnectionId, readable: bool, writable: bool, hung_up: bool },
    /// A client waits to be accepted.
    Listener(usize),
}

pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
    /// The epoll instance in the guise of a stream: the only thing that the executor lets one wait for.
    alarm: Option<TcpStream>,
}

impl Poller {
    /// What a poller is made of, watching listening sockets already: can be made on another thread.
    pub fn instance(listeners: &[impl AsFd]) -> std::io::Result<OwnedFd> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (listener, socket) in listeners.iter().enumerate() {
            add_listener(&epoll, socket, listener)?;
        }
        Ok(epoll)
    }

    /// Of an instance.
    pub fn new(epoll: OwnedFd) -> Poller {
        Poller { epoll, events: Vec::with_capacity(EVENTS), alarm: None }
    }

    /// Tells of a connection each time it changes, until it is taken out or closed.
    pub fn add(&self, socket: impl AsFd, connection: ConnectionId) -> std::io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(connection.to_bits()), flags)?)
    }

    /// Tells of a listening socket as long as a client waits.
    pub fn add_listener(&self, socket: impl AsFd, listener: usize) -> std::io::Result<()> {
        add_listener(&self.epoll, socket, listener)
    }

    /// Tells of a socket no more.
    pub fn remove(&self, socket: impl AsFd) {
        // It fails for a socket that is not here, which is what was asked for.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// What is ready now, in `into`. Returns whether there may be more.
    pub fn collect(&mut self, into: &mut Vec<Ready>) -> bool {
        self.events.clear();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // It fails if a signal comes in between, and is called again soon.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&now));
        into.extend(self.events.iter().map(|event| {
            let (flags, id) = (event.flags, ConnectionId::from_bits(event.data.u64()));
            if id.index == LISTENER {
                return Ready::Listener(id.generation as usize);
            }
            let hung_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            Ready::Connection {
                connection: id,
                readable: hung_up || flags.contains(EventFlags::IN),
                writable: hung_up || flags.contains(EventFlags::OUT),
                hung_up,
            }
        }));
        self.events.len() == EVENTS
    }

    /// Has the executor wake the task of `cx` when something becomes ready. True if something may be ready already.
    pub fn arm(&mut self, cx: &mut Context<'_>) -> std::io::Result<bool> {
        if self.alarm.is_none() {
            let duplicate = self.epoll.try_clone()?;
            // SAFETY: the descriptor was just duplicated, and nobody else owns the duplicate.
            self.alarm = Some(unsafe { TcpStream::from_raw_fd(duplicate.into_raw_fd()) });
        }
        let Some(alarm) = &mut self.alarm else { return Ok(true) };
        // A new stream asks for readiness before anything else. Once that has come it tries to receive, which fails: an
        // epoll instance is no socket. Either way it is over.
        let rung = Pin::new(alarm).poll_read(cx, &mut [0]).is_ready();
        if rung {
            self.alarm = None;
        }
        Ok(rung)
    }
}

fn add_listener(epoll: &OwnedFd, socket: impl AsFd, listener: usize) -> std::io::Result<()> {
    let id = ConnectionId { index: LISTENER, generation: listener as u32 };
    Ok(epoll::add(epoll, socket, EventData::new_u64(id.to_bits()), EventFlags::IN)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{Shutdown, TcpListener};

    fn collected(poller: &mut Poller) -> Vec<(bool, bool)> {
        let mut ready = Vec::new();
        assert!(!poller.collect(&mut ready));
        let told = ready.into_iter().map(|ready| match ready {
            Ready::Connection { connection, readable, hung_up, .. } => {
                assert_eq!(connection, ConnectionId { index: 7, generation: 1 });
                (readable, hung_up)
            }
            Ready::Listener(listener) => panic!("listener {listener}"),
        });
        told.collect()
    }

    #[test]
    fn a_connection_is_told_of_when_it_changes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let mut poller = Poller::new(Poller::instance(&[] as &[TcpListener]).unwrap());
        poller.add(&server, ConnectionId { index: 7, generation: 1 }).unwrap();
        assert_eq!(collected(&mut poller), [(false, false)]);
        assert_eq!(collected(&mut poller), []);
        client.write_all(b"x").unwrap();
        assert_eq!(collected(&mut poller), [(true, false)]);
        assert_eq!(collected(&mut poller), []);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(collected(&mut poller), [(true, true)]);
        client.write_all(b"x").unwrap_err();
        poller.remove(&server);
        drop(client);
        assert_eq!(collected(&mut poller), []);
    }

    #[test]
    fn a_listener_is_told_of_until_nobody_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut poller = Poller::new(Poller::instance(&[&listener]).unwrap());
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for _ in 0..2 {
            let mut ready = Vec::new();
            poller.collect(&mut ready);
            assert!(matches!(ready[..], [Ready::Listener(0)]));
        }
        listener.accept().unwrap();
        let mut ready = Vec::new();
        poller.collect(&mut ready);
        assert!(ready.is_empty());
    }
}
