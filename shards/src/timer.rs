//! The alarm clock that ends a shard's sleep when its timer wheel has something to do.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

/// At most one timer of the executor.
#[derive(Default)]
pub(crate) struct AlarmClock {
    at_ms: u64,
    timer: Option<glommio::timer::Timer>,
}

impl AlarmClock {
    /// Has the executor wake the task of `cx` at a time of the shard's clock. True if that has come already.
    pub fn set(&mut self, cx: &mut Context<'_>, at_ms: Option<u64>, now_ms: u64) -> bool {
        let Some(at_ms) = at_ms else {
            self.timer = None;
            return false;
        };
        if at_ms <= now_ms {
            return true;
        }
        if self.timer.is_none() || self.at_ms != at_ms {
            self.at_ms = at_ms;
            self.timer = Some(glommio::timer::Timer::new(Duration::from_millis(at_ms - now_ms)));
        }
        let Some(timer) = &mut self.timer else { return false };
        let rung = Pin::new(timer).poll(cx).is_ready();
        if rung {
            self.timer = None;
        }
        rung
    }
}
