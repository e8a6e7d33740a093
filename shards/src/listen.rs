//! Listening sockets: one per shard and address, sharing the port.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// One address to listen on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listener {
    /// Where; port 0 lets the kernel choose one, the same for all shards.
    pub address: SocketAddr,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", explain(.source))]
pub struct ListenError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

fn explain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "another process has the port".into(),
        std::io::ErrorKind::AddrNotAvailable => "this host does not have the address".into(),
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE".into(),
        _ => error.to_string(),
    }
}

const BACKLOG: i32 = 4096;

/// Makes the sockets of one address, one per shard. A port held by another process is an error, even one that shares:
/// the first socket is bound without SO_REUSEPORT as a test.
pub(crate) fn bind(listener: Listener, shards: usize) -> Result<Vec<TcpListener>, ListenError> {
    let fail = |source| ListenError { address: listener.address, source };
    // SO_REUSEPORT would let two servers of one user share a port unnoticed, each getting half of the clients.
    drop(socket(listener.address, false).map_err(fail)?);
    let mut sockets = Vec::with_capacity(shards);
    let mut address = listener.address;
    for _ in 0..shards {
        let socket = socket(address, true).map_err(fail)?;
        socket.listen(BACKLOG).map_err(fail)?;
        socket.set_nonblocking(true).map_err(fail)?;
        if address.port() == 0 {
            let bound = socket.local_addr().map_err(fail)?;
            address.set_port(bound.as_socket().map_or(0, |bound| bound.port()));
        }
        sockets.push(TcpListener::from(socket));
    }
    Ok(sockets)
}

fn socket(address: SocketAddr, shared: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it. Without it small stanzas wait for the acknowledgement of earlier ones.
    socket.set_tcp_nodelay(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shards_share_the_port_and_others_do_not_get_it() {
        let any = Listener { address: "127.0.0.1:0".parse().unwrap() };
        let sockets = bind(any, 3).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == address));
        let error = bind(Listener { address }, 1).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {address}: another process has the port"));
    }
}
