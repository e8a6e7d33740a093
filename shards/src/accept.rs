//! Accepting connections on this shard's listening sockets.

use std::net::TcpListener as StandardListener;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::rc::Rc;
use std::time::Duration;

use glommio::net::TcpListener;

use crate::application::Application;
use crate::driver::adopt;
use crate::local::Local;

/// How long to wait when no descriptor is left, before trying again.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections taken in a row before others get their turn.
const IN_A_ROW: usize = 16;

/// Accepts until its task is cancelled, which closes the socket.
pub(crate) async fn accept<A: Application>(local: Rc<Local<A>>, socket: StandardListener, listener: usize) {
    // SAFETY: the descriptor was just taken from its owner.
    let socket = unsafe { TcpListener::from_raw_fd(socket.into_raw_fd()) };
    let mut row = 0;
    loop {
        match socket.accept().await {
            Ok(stream) => adopt(&local, stream, listener),
            Err(error) => {
                tracing::warn!(target: "shards", %error, "cannot accept connections");
                glommio::timer::sleep(PAUSE).await;
            }
        }
        row += 1;
        if row % IN_A_ROW == 0 {
            glommio::yield_if_needed().await;
            futures_lite::future::yield_now().await;
        }
    }
}
