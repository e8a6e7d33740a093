//! What a connection has brought and what goes out to it, as hyper reads and writes it: memory on both ends.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

/// Bytes that have come and are not read yet, at most.
const INBOUND_BYTES_MAX: usize = 16 << 10;

/// Both directions of a connection.
#[derive(Debug, Default)]
pub struct Pipe {
    inbound: Vec<u8>,
    outbound: Vec<u8>,
}

impl Pipe {
    /// Takes what has come, as far as there is room; how much that is.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(INBOUND_BYTES_MAX - self.inbound.len());
        self.inbound.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// Moves what is to be sent.
    pub fn drain_to(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.outbound);
        self.outbound = Vec::new();
    }
}

/// The end that hyper has.
pub struct PipeEnd(pub Rc<RefCell<Pipe>>);

impl Read for PipeEnd {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.0.borrow_mut();
        // Whoever brings more polls again.
        if pipe.inbound.is_empty() {
            return Poll::Pending;
        }
        let read = pipe.inbound.len().min(buffer.remaining());
        buffer.put_slice(&pipe.inbound[..read]);
        pipe.inbound.drain(..read);
        if pipe.inbound.is_empty() {
            // An idle connection owns no buffer.
            pipe.inbound = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for PipeEnd {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().outbound.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
