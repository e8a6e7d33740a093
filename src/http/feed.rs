//! A body that is too large to be there at once: it is told piece after piece.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http_body_util::{Either, Full};
use hyper::body::{Body as HyperBody, Bytes, Frame};

/// What an answer has for a body.
pub type Body = Either<Full<Bytes>, Feed>;

/// The rest of a body does not come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the rest is missing")]
pub struct Broken;

/// A body that comes in pieces. A clone of it is another handle of the same.
#[derive(Clone, Debug, Default)]
pub struct Feed(Rc<RefCell<Pieces>>);

#[derive(Debug, Default)]
struct Pieces {
    waiting: VecDeque<Bytes>,
    end: Option<Result<(), Broken>>,
    is_over: bool,
}

impl Feed {
    /// The next piece. The connection has to be polled then.
    pub fn push(&self, piece: Bytes) {
        self.0.borrow_mut().waiting.push_back(piece);
    }

    /// That was all, or all that is to be had.
    pub fn end(&self, how: Result<(), Broken>) {
        self.0.borrow_mut().end = Some(how);
    }

    /// Whether all of it has been taken.
    pub fn is_over(&self) -> bool {
        self.0.borrow().is_over
    }
}

impl HyperBody for Feed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let mut pieces = self.0.borrow_mut();
        if let Some(piece) = pieces.waiting.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        // Whoever brings more polls again.
        let Some(end) = pieces.end else { return Poll::Pending };
        pieces.is_over = true;
        Poll::Ready(end.err().map(Err))
    }
}
