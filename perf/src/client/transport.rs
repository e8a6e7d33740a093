//! A connection's bytes: a socket that does not block, with TLS on top or not.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

/// More than the clear text of one TLS record.
const RECORD_BYTES_MAX: usize = 17 << 10;

/// A filter of the kernel (BPF) of one instruction: of every segment nothing is let through.
const NOTHING: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];

/// A connection.
pub struct Transport {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// How a read ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// This many bytes of clear text are in the buffer; the socket may have more.
    More(usize),
    /// This many bytes of clear text are in the buffer, and the socket is empty.
    All(usize),
    /// The server has closed the connection.
    End,
}

/// Begins to connect; the socket becomes writable when that is done.
pub fn connect(server: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        // The port is chosen when connecting, so that ports are used up per server and not for all.
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&server.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EINPROGRESS as i32) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

impl Transport {
    /// A connection in the clear.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, tls: None }
    }

    /// The socket, to be registered.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// From here on nothing arrives any more, nor is that told: for the server it is as if the client's network had
    /// gone. Without a close of the socket, which would be told.
    ///
    /// # Errors
    /// The kernel takes no filter.
    pub fn vanish(&mut self) -> io::Result<()> {
        SockRef::from(&self.stream).attach_filter(&NOTHING)
    }

    /// Gives the socket back without the goodbye of TCP.
    pub fn abandon(self) {
        // If that is refused the server learns a little more than it should.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// From here on the connection speaks TLS.
    pub fn start_tls(&mut self, config: &Arc<ClientConfig>, name: ServerName<'static>) -> Result<(), rustls::Error> {
        let mut tls = ClientConnection::new(Arc::clone(config), name)?;
        // The outbox is the bound: a buffer that takes only part of a write would lose the rest.
        tls.set_buffer_limit(None);
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// Whether TLS was begun and its handshake is not over.
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Reads once into `clear`; encrypted bytes go through `sealed`.
    pub fn read(&mut self, clear: &mut [u8], sealed: &mut [u8]) -> io::Result<Received> {
        let Some(tls) = &mut self.tls else {
            return receive(&mut self.stream, clear);
        };
        // A record whose beginning came with an earlier read has room, too.
        let sealed_max = sealed.len().min(clear.len().saturating_sub(RECORD_BYTES_MAX));
        let (sealed, all) = match receive(&mut self.stream, &mut sealed[..sealed_max])? {
            Received::End => return Ok(Received::End),
            Received::All(read) => (&sealed[..read], true),
            Received::More(read) => (&sealed[..read], false),
        };
        let mut rest = sealed;
        let mut length = 0;
        while !rest.is_empty() {
            tls.read_tls(&mut rest)?;
            tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            loop {
                match tls.reader().read(&mut clear[length..]) {
                    Ok(0) => break,
                    Ok(read) => length += read,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(if all { Received::All(length) } else { Received::More(length) })
    }

    /// Writes what `out` holds from `from` on and moves `from` along; true once everything has left.
    pub fn write(&mut self, out: &[u8], from: &mut usize) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            while *from < out.len() {
                match self.stream.write(&out[*from..]) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(written) => *from += written,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            return Ok(true);
        };
        if !tls.is_handshaking() && *from < out.len() {
            *from += tls.writer().write(&out[*from..])?;
        }
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // During a handshake clear text waits for it to end.
        Ok(*from == out.len() || tls.is_handshaking())
    }
}

fn receive(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Received> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Ok(Received::End),
            Ok(read) if read < buffer.len() => return Ok(Received::All(read)),
            Ok(read) => return Ok(Received::More(read)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::All(0)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Reads until something comes, or the end.
    fn hear(stream: &mut std::net::TcpStream) -> io::Result<usize> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.read(&mut [0; 16])
    }

    #[test]
    fn who_vanishes_acknowledges_nothing_and_says_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Transport::new(connect(listener.local_addr().unwrap(), None).unwrap());
        let (mut server, _) = listener.accept().unwrap();
        while client.write(b"hello", &mut 0).is_err() {
            std::thread::yield_now();
        }
        assert_eq!(hear(&mut server).unwrap(), 5);
        client.vanish().unwrap();
        server.write_all(b"are you there?").unwrap();
        server.set_nonblocking(true).unwrap();
        assert_eq!(server.read(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(receive(&mut client.stream, &mut [0; 16]).unwrap(), Received::All(0));
        server.set_nonblocking(false).unwrap();
        client.abandon();
        assert_eq!(hear(&mut server).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}
