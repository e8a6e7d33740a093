//! HTTP/1.1 on one connection: bytes in, requests out; answers in, bytes out. hyper speaks it, over memory; whoever has
//! the socket polls it when something has come.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request as Incomplete, StatusCode};

use super::feed::Feed;
use super::pipe::{Pipe, PipeEnd};
use super::{Request, Response};

/// Bytes of the body of a request at most. A form of everything that can be asked for has less.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Headers of a request, and their bytes, at most.
const HEADERS_MAX: usize = 64;
const BUFFER_BYTES_MAX: usize = 16 << 10;

/// Requests on one connection: whoever wants more comes again.
const REQUESTS_MAX: u32 = 100;

/// Where a connection is.
#[derive(Debug)]
pub enum Progress {
    /// Nothing is asked: the next request may come.
    Idles,
    /// The rest of a request has to come.
    Reads,
    /// Something is asked. It is answered with [`Exchange::answer`] before anything else is read.
    Asks(Box<Request>),
    /// The answer is waited for.
    Waits,
    /// The connection is to be closed.
    IsOver,
}

/// HTTP on one connection.
pub struct Exchange {
    pipe: Rc<RefCell<Pipe>>,
    counter: Rc<RefCell<Counter>>,
    served: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
    /// Something has come since the last answer.
    has_taken: bool,
    is_over: bool,
}

/// Where requests and answers change hands.
#[derive(Default)]
struct Counter {
    asked: Option<Request>,
    answer: Option<Response>,
    /// The body of the answer, if it comes in pieces.
    feed: Option<Feed>,
    waits: bool,
    /// The head of a request has come, and the request is not answered.
    has_begun: bool,
    requests: u32,
}

/// Whether hyper wants to be polled once more.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Default for Exchange {
    fn default() -> Exchange {
        let pipe = Rc::new(RefCell::new(Pipe::default()));
        let counter = Rc::new(RefCell::new(Counter::default()));
        let at_counter = Rc::clone(&counter);
        let service = service_fn(move |request| serve(Rc::clone(&at_counter), request));
        let connection = http1::Builder::new()
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(PipeEnd(Rc::clone(&pipe)), service);
        // What goes wrong is the peer's fault, which has been told.
        let served = async move { drop(connection.await) };
        Exchange { pipe, counter, served: Box::pin(served), woken: Arc::default(), has_taken: false, is_over: false }
    }
}

/// Takes a request to the counter, and waits for the answer.
async fn serve(
    counter: Rc<RefCell<Counter>>,
    request: Incomplete<Incoming>,
) -> Result<Response, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    counter.borrow_mut().has_begun = true;
    let Some(body) = whole(body).await else {
        let mut refused = Response::new(Either::Left(Full::new(Bytes::from_static(b"This is too much.\n"))));
        *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(last(refused));
    };
    {
        let mut counter = counter.borrow_mut();
        counter.asked = Some(Request::from_parts(parts, body));
        counter.requests += 1;
    }
    let answer = poll_fn(|_| counter.borrow_mut().answer.take().map_or(Poll::Pending, Poll::Ready)).await;
    Ok(if counter.borrow().requests < REQUESTS_MAX { answer } else { last(answer) })
}

/// The body of a request, in one piece whatever pieces it comes in. None if it is too long, or ends too early.
async fn whole(body: Incoming) -> Option<Bytes> {
    let mut body = Limited::new(body, BODY_BYTES_MAX);
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.ok()?.into_data() {
            bytes.extend_from_slice(&piece);
        }
    }
    Some(bytes.into())
}

/// An answer behind which the connection ends.
pub(super) fn last(mut answer: Response) -> Response {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

impl Exchange {
    /// Takes what has come, as far as there is room; how much that is.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        if self.is_over {
            return bytes.len();
        }
        self.has_taken |= !bytes.is_empty();
        self.pipe.borrow_mut().take(bytes)
    }

    /// Goes on as far as possible. What is to be sent is appended to `out`.
    pub fn advance(&mut self, out: &mut Vec<u8>) -> Progress {
        if self.is_over {
            return Progress::IsOver;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        loop {
            self.woken.0.store(false, Ordering::Relaxed);
            self.is_over = self.served.as_mut().poll(&mut context).is_ready();
            // hyper stops in between, so that others have their turn.
            if self.is_over || !self.woken.0.load(Ordering::Relaxed) {
                break;
            }
        }
        self.pipe.borrow_mut().drain_to(out);
        let mut counter = self.counter.borrow_mut();
        match (self.is_over, counter.asked.take()) {
            (true, _) => Progress::IsOver,
            (false, Some(request)) => {
                counter.waits = true;
                Progress::Asks(Box::new(request))
            }
            (false, None) if counter.waits || counter.feed.as_ref().is_some_and(|feed| !feed.is_over()) => {
                Progress::Waits
            }
            (false, None) if counter.has_begun || self.has_taken => Progress::Reads,
            (false, None) => Progress::Idles,
        }
    }

    /// Answers what was asked; [`Exchange::advance`] has to follow.
    pub fn answer(&mut self, response: Response) {
        let mut counter = self.counter.borrow_mut();
        counter.waits = false;
        counter.has_begun = false;
        counter.feed = match response.body() {
            Either::Left(_) => None,
            Either::Right(feed) => Some(feed.clone()),
        };
        counter.answer = Some(response);
        self.has_taken = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::feed::Broken;
    use super::*;

    fn asked(exchange: &mut Exchange, bytes: &[u8]) -> (Progress, String) {
        assert_eq!(exchange.take(bytes), bytes.len());
        advanced(exchange)
    }

    fn advanced(exchange: &mut Exchange) -> (Progress, String) {
        let mut out = Vec::new();
        let progress = exchange.advance(&mut out);
        (progress, String::from_utf8(out).unwrap())
    }

    fn page(text: &'static str) -> Response {
        Response::new(Either::Left(Full::new(Bytes::from_static(text.as_bytes()))))
    }

    #[test]
    fn a_request_comes_in_pieces_and_is_answered_when_the_answer_is_there() {
        let mut exchange = Exchange::default();
        let request = b"POST /register?t=x HTTP/1.1\r\nHost: x.org\r\nContent-Length: 5\r\n\r\nab";
        for piece in request.chunks(7) {
            assert!(matches!(asked(&mut exchange, piece), (Progress::Reads, out) if out.is_empty()));
        }
        let (Progress::Asks(request), _) = asked(&mut exchange, b"c=d") else { panic!("a request") };
        assert_eq!(
            (request.uri().path(), request.uri().query(), &request.body()[..]),
            ("/register", Some("t=x"), &b"abc=d"[..])
        );
        assert!(matches!(advanced(&mut exchange).0, Progress::Waits));
        // The next one waits for its turn.
        assert!(matches!(asked(&mut exchange, b"GET /two HTTP/1.1\r\n\r\n").0, Progress::Waits));
        exchange.answer(page("first"));
        let (progress, out) = advanced(&mut exchange);
        assert!(out.starts_with("HTTP/1.1 200 OK\r\n") && out.ends_with("\r\n\r\nfirst"), "{out}");
        // It has come while the first one was answered.
        let Progress::Asks(request) = progress else { panic!("{progress:?}") };
        assert_eq!(request.uri().path(), "/two");
    }

    #[test]
    fn what_is_no_http_or_too_much_of_it_ends_the_connection() {
        let mut exchange = Exchange::default();
        let (progress, out) = asked(&mut exchange, b"<?xml version='1.0'?>\r\n\r\n");
        assert!(matches!(progress, Progress::IsOver) && out.starts_with("HTTP/1.1 400 "), "{out}");
        assert_eq!(exchange.take(b"more"), 4);
        let mut exchange = Exchange::default();
        let mut heard = String::new();
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", BODY_BYTES_MAX + 1);
        heard += &asked(&mut exchange, head.as_bytes()).1;
        for _ in 0..BODY_BYTES_MAX / 1024 + 1 {
            heard += &asked(&mut exchange, &[b'x'; 1024]).1;
        }
        assert!(heard.starts_with("HTTP/1.1 413 ") && heard.contains("connection: close"), "{heard}");
        let mut exchange = Exchange::default();
        let mut heard = String::new();
        for number in 0..4000 {
            heard += &asked(
                &mut exchange,
                format!("{}: a\r\n", if number == 0 { "GET / HTTP/1.1\r\na" } else { "a" }).as_bytes(),
            )
            .1;
        }
        assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
    }

    #[test]
    fn an_answer_may_come_in_pieces() {
        for is_whole in [true, false] {
            let mut exchange = Exchange::default();
            asked(&mut exchange, b"GET / HTTP/1.1\r\n\r\n");
            let feed = Feed::default();
            exchange.answer(last(Response::new(Either::Right(feed.clone()))));
            assert!(matches!(advanced(&mut exchange), (Progress::Waits, head) if head.contains("chunked")));
            feed.push(Bytes::from_static(b"one"));
            assert!(matches!(advanced(&mut exchange), (Progress::Waits, out) if out == "3\r\none\r\n"));
            feed.push(Bytes::from_static(b"four"));
            feed.end(if is_whole { Ok(()) } else { Err(Broken) });
            let (progress, out) = advanced(&mut exchange);
            assert!(matches!(progress, Progress::IsOver), "{progress:?}");
            assert_eq!(out.ends_with("0\r\n\r\n"), is_whole, "{out}");
        }
    }

    #[test]
    fn a_body_in_many_pieces_is_one() {
        let mut exchange = Exchange::default();
        asked(&mut exchange, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..1000 {
            assert!(matches!(asked(&mut exchange, b"1\r\nx\r\n").0, Progress::Reads));
        }
        let (Progress::Asks(request), _) = asked(&mut exchange, b"0\r\n\r\n") else { panic!("a request") };
        assert_eq!(request.body().len(), 1000);
        exchange.answer(page("x"));
        assert!(matches!(advanced(&mut exchange).0, Progress::Idles));
        assert!(matches!(asked(&mut exchange, b"G").0, Progress::Reads));
    }

    #[test]
    fn a_connection_has_an_end() {
        let mut exchange = Exchange::default();
        let mut answers = Vec::new();
        loop {
            let (progress, _) = asked(&mut exchange, b"GET / HTTP/1.1\r\n\r\n");
            let Progress::Asks(_) = progress else { panic!("{progress:?}") };
            exchange.answer(page("x"));
            let (progress, out) = advanced(&mut exchange);
            answers.push(out);
            if matches!(progress, Progress::IsOver) {
                break;
            }
        }
        assert_eq!(answers.len(), REQUESTS_MAX as usize);
        assert!(answers.last().unwrap().contains("connection: close"));
    }
}
