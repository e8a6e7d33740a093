//! Accepting connections on this shard's listening sockets.

use std::net::SocketAddr;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};

use crate::application::{Accepted, Application, Verdict};
use crate::connection::Connection;
use crate::io::Timer;
use crate::local::Local;

/// How long to wait when no descriptor is left, before trying again.
const PAUSE_MS: u64 = 100;

/// Connections taken in a row before others get their turn.
const IN_A_ROW: usize = 16;

/// Accepts no more.
pub(crate) fn close_listeners<A: Application>(local: &Local<A>) {
    let mut io = local.io.borrow_mut();
    let sockets = std::mem::take(&mut io.listeners);
    sockets.iter().for_each(|socket| io.poller.remove(socket));
}

/// Goes on after a pause.
pub(crate) fn listen_again<A: Application>(local: &Local<A>, listener: usize) {
    let mut io = local.io.borrow_mut();
    let Some(socket) = io.listeners.get(listener) else { return };
    if io.poller.add_listener(socket, listener).is_err() {
        let at_ms = io.now_ms() + PAUSE_MS;
        io.set_timer(at_ms, Timer::Listen(listener));
    }
}

/// Takes in the clients that wait.
pub(crate) fn accept<A: Application>(local: &Local<A>, listener: usize) {
    for _ in 0..IN_A_ROW {
        let accepted = {
            let io = local.io.borrow();
            let Some(socket) = io.listeners.get(listener) else { return };
            acceptfrom_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
        };
        match accepted {
            Ok((socket, Some(peer))) => match SocketAddr::try_from(peer) {
                Ok(peer) => adopt(local, socket, peer, listener),
                Err(_) => continue,
            },
            // It is gone already.
            Ok((_, None)) | Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(Errno::AGAIN) => return,
            Err(error) => {
                let mut io = local.io.borrow_mut();
                let now_ms = io.now_ms();
                if let Some(stands_for) = io.complaint.stands_for(now_ms) {
                    let error = std::io::Error::from(error);
                    tracing::warn!(target: "shards", shard = io.shard, stands_for, %error, "cannot accept connections");
                }
                if let Some(socket) = io.listeners.get(listener) {
                    io.poller.remove(socket);
                }
                let at_ms = io.now_ms() + PAUSE_MS;
                return io.set_timer(at_ms, Timer::Listen(listener));
            }
        }
    }
}

/// Takes in a connection that a listener has accepted.
fn adopt<A: Application>(local: &Local<A>, socket: std::os::fd::OwnedFd, peer: SocketAddr, listener: usize) {
    let connection = {
        let mut io = local.io.borrow_mut();
        io.metrics.accepted.add(1);
        io.insert(Connection::new(socket, peer))
    };
    local.one_more();
    let accepted = Accepted { listener, peer };
    let verdict = local.call(Some(connection), |app, io| app.accepted(io, connection, &accepted));
    if verdict == Some(Verdict::Accept) {
        local.watch(connection);
    } else {
        local.io.borrow().metrics.refused.add(1);
        local.forget(connection);
    }
}
