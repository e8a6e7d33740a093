//! Where Prometheus asks for figures (`--metrics`): HTTP on threads of its own, few connections at once. What is asked
//! for is gathered anew each time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use http_body_util::Either;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};

use super::backend::Running;
use crate::http::{Exchange, Progress, Request, Response};
use crate::metrics;

/// Connections at once; a scraper keeps one or two.
const CONNECTIONS_MAX: usize = 16;

/// Who says nothing for so long is disconnected; scrapers come every minute at least.
const IDLE: Duration = Duration::from_secs(120);

/// Who does not take its answer for so long is disconnected.
const TAKES: Duration = Duration::from_secs(10);

/// After an error of `accept`, e.g. because no descriptor is left.
const PAUSE: Duration = Duration::from_millis(100);

/// The listener. It ends when this is dropped; a scrape that is under way does not keep anything alive.
pub struct Scrapes {
    address: SocketAddr,
    gate: Arc<Gate>,
    thread: Option<JoinHandle<()>>,
}

/// One scrape at a time is answered, and none once the server ends.
#[derive(Default)]
struct Gate {
    is_ending: AtomicBool,
    answers: Mutex<()>,
}

impl Gate {
    /// Waits for its turn; none once the server ends.
    fn enter(&self) -> Option<MutexGuard<'_, ()>> {
        let turn = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.is_ending.load(Ordering::SeqCst)).then_some(turn)
    }
}

impl Scrapes {
    /// Listens at once; an error is one line.
    pub fn listen(address: SocketAddr) -> Result<TcpListener, String> {
        TcpListener::bind(address).map_err(|error| format!("cannot listen on {address} (--metrics): {error}"))
    }

    /// Answers from now on.
    pub fn start(listener: TcpListener, backend: Weak<Running>) -> std::io::Result<Scrapes> {
        let address = listener.local_addr()?;
        let gate = Arc::<Gate>::default();
        let thread = Builder::new().name("metrics".into()).spawn({
            let gate = Arc::clone(&gate);
            move || accept(&listener, &backend, &gate)
        })?;
        Ok(Scrapes { address, gate, thread: Some(thread) })
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Scrapes {
    fn drop(&mut self) {
        self.gate.is_ending.store(true, Ordering::SeqCst);
        // Whoever is answered just now has the backend in its hands.
        drop(self.gate.enter());
        // Wakes the thread that accepts.
        if TcpStream::connect_timeout(&self.address, TAKES).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // It cannot have panicked with anything left to do.
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, backend: &Weak<Running>, gate: &Arc<Gate>) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if gate.is_ending.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else {
            std::thread::sleep(PAUSE);
            continue;
        };
        if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let leaves = Leaves(Arc::clone(&open));
        let (backend, gate) = (Weak::clone(backend), Arc::clone(gate));
        let spawned = Builder::new().name("scrape".into()).spawn(move || {
            let _leaves = leaves;
            if let Err(error) = converse(&stream, &backend, &gate) {
                tracing::debug!(target: "server", %error, "whoever asks for metrics is gone");
            }
            let _ = stream.shutdown(Shutdown::Both);
        });
        if let Err(error) = spawned {
            tracing::warn!(target: "server", %error, "no thread for whoever asks for metrics");
        }
    }
}

/// Makes room again, even after a panic.
struct Leaves(Arc<AtomicUsize>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn converse(mut stream: &TcpStream, backend: &Weak<Running>, gate: &Gate) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(TAKES))?;
    let mut exchange = Exchange::default();
    let mut buffer = [0; 4096];
    loop {
        let mut out = Vec::new();
        let progress = exchange.advance(&mut out);
        stream.write_all(&out)?;
        match progress {
            Progress::Asks(request) => {
                // A server that ends has nothing to tell any more.
                let (Some(_turn), Some(backend)) = (gate.enter(), backend.upgrade()) else { return Ok(()) };
                exchange.answer(answer(&request, || metrics::encode(backend.status())));
            }
            Progress::IsOver => return Ok(()),
            Progress::Idles | Progress::Reads | Progress::Waits => {
                let read = match stream.read(&mut buffer) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    read => read?,
                };
                // What is not taken is too much for a request without a body.
                if read == 0 || exchange.take(&buffer[..read]) < read {
                    return Ok(());
                }
            }
        }
    }
}

fn answer(request: &Request, encode: impl FnOnce() -> String) -> Response {
    let text = |status, text: String, kind: &'static str| {
        let mut response = Response::new(Either::Left(text.into()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    };
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => text(StatusCode::OK, encode(), metrics::CONTENT_TYPE),
        (_, "/metrics") => text(StatusCode::METHOD_NOT_ALLOWED, "Only GET.\n".into(), "text/plain"),
        _ => text(StatusCode::NOT_FOUND, "Look at /metrics.\n".into(), "text/plain"),
    }
}
