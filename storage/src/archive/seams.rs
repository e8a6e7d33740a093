//! Where tests step in: what happens between two steps of a read, and after which step an attempt to store chunks ends.
//! Everything here is for the thread that has asked for it.

use crate::FailureKind;
use crate::reply::Failure;
use std::cell::{Cell, RefCell};

/// A place in the code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Point {
    BeforeChunk,
    AfterChunk,
}

type Act = Box<dyn FnOnce()>;

thread_local! {
    static MEANWHILE: RefCell<Option<(Point, Act)>> = const { RefCell::new(None) };
    static ENDS_AT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Does something when that point is reached next.
pub(super) fn meanwhile(point: Point, act: impl FnOnce() + 'static) {
    MEANWHILE.set(Some((point, Box::new(act))));
}

/// A point has been reached.
pub(super) fn pass(point: Point) {
    let act = MEANWHILE.with_borrow_mut(|meanwhile| meanwhile.take_if(|(at, _)| *at == point));
    if let Some((_, act)) = act {
        act();
    }
}

/// Lets the next attempt end at this step.
pub(super) fn end_at(step: usize) {
    ENDS_AT.set(Some(step));
}

/// An attempt has come to a step.
pub(super) fn attempt(step: usize) -> Result<(), Failure> {
    if ENDS_AT.get() != Some(step) {
        return Ok(());
    }
    ENDS_AT.set(None);
    Err(Failure::new(FailureKind::Io, "on purpose"))
}
