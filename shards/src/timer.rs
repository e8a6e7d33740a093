//! The task that turns a shard's timer wheel: one executor timer, asleep until the next occupied slot.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::application::Application;
use crate::local::Local;

pub(crate) struct Turner<A: Application> {
    local: Rc<Local<A>>,
    sleep: Option<glommio::timer::Timer>,
}

impl<A: Application> Turner<A> {
    pub fn new(local: Rc<Local<A>>) -> Self {
        Turner { local, sleep: None }
    }
}

impl<A: Application> Future for Turner<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut fired = Vec::new();
            let next_ms = {
                let mut io = self.local.io.borrow_mut();
                io.tick();
                let now_ms = io.now_ms();
                io.wheel.advance(now_ms, &mut fired);
                if fired.is_empty() {
                    io.timer = Some(cx.waker().clone());
                    io.timer_armed_ms = io.wheel.next_ms().unwrap_or(u64::MAX);
                    (io.timer_armed_ms != u64::MAX).then(|| io.timer_armed_ms.saturating_sub(now_ms).max(1))
                } else {
                    None
                }
            };
            if !fired.is_empty() {
                for timer in fired {
                    self.local.fired(timer);
                }
                continue;
            }
            self.sleep = next_ms.map(|after_ms| glommio::timer::Timer::new(Duration::from_millis(after_ms)));
            let Some(sleep) = &mut self.sleep else {
                return Poll::Pending;
            };
            if Pin::new(sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
