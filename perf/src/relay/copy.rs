//! A shard of the relay: for each pair two tasks, each of which reads from one end and writes to the other.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

use async_channel::Receiver;
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;

use super::Pair;

/// The receive buffer of a shard.
const SCRATCH_BYTES: usize = 64 << 10;

/// One end. The borrow ends with each poll, so the two tasks of a pair can share it.
type End = Rc<RefCell<TcpStream>>;

/// Copies between the pairs that arrive.
pub async fn serve(pairs: Receiver<Pair>) {
    let scratch = Rc::new(RefCell::new(vec![0; SCRATCH_BYTES]));
    while let Ok((one, other)) = pairs.recv().await {
        let (one, other) = (end(one), end(other));
        for (from, to) in [(Rc::clone(&one), Rc::clone(&other)), (other, one)] {
            let scratch = Rc::clone(&scratch);
            glommio::spawn_local(async move {
                // A connection that breaks is the end of a run.
                let _ = copy(&from, &to, &scratch).await;
                let _ = poll_fn(|cx| Pin::new(&mut *to.borrow_mut()).poll_close(cx)).await;
            })
            .detach();
        }
    }
}

fn end(stream: std::net::TcpStream) -> End {
    let socket = glommio_socket::Socket::from(stream);
    Rc::new(RefCell::new(TcpStream::from(socket)))
}

async fn copy(from: &End, to: &End, scratch: &RefCell<Vec<u8>>) -> io::Result<()> {
    loop {
        // What the other end does not take at once is kept; nothing is read meanwhile.
        let mut kept = Vec::new();
        let read = poll_fn(|cx| {
            let mut buffer = scratch.borrow_mut();
            let read = std::task::ready!(Pin::new(&mut *from.borrow_mut()).poll_read(cx, &mut buffer))?;
            let written = match Pin::new(&mut *to.borrow_mut()).poll_write(cx, &buffer[..read]) {
                std::task::Poll::Ready(written) => written?,
                std::task::Poll::Pending => 0,
            };
            kept.extend_from_slice(&buffer[written..read]);
            std::task::Poll::Ready(io::Result::Ok(read))
        })
        .await?;
        if read == 0 {
            return Ok(());
        }
        let mut rest = &kept[..];
        while !rest.is_empty() {
            let written = poll_fn(|cx| Pin::new(&mut *to.borrow_mut()).poll_write(cx, rest)).await?;
            rest = &rest[written..];
        }
    }
}
