//! A shard's loop: turn after turn as long as there is something to do, then sleep.
//!
//! A turn looks at the sockets, the mesh and the clock, has each connection that something happened to do what it can,
//! and sends what came of it. The executor is asked only when there is nothing left to do: each time it looks around
//! for itself costs several system calls.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::accept::accept;
use crate::application::{Application, Origin};
use crate::driver::{arrive, drive};
use crate::io::Envelope;
use crate::local::Local;
use crate::mesh::Control;
use crate::poller::Ready;
use crate::timer::AlarmClock;

/// Messages taken from one ring before the next ring's turn.
const DRAIN_BATCH: usize = 256;

/// Turns before the executor gets a chance to look around.
const TURNS_IN_A_ROW: usize = 64;

/// Between two looks of a shard that cannot be woken.
const WITHOUT_ALARM: Duration = Duration::from_millis(1);

/// What a turn leaves behind.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// Things that happened: sockets that became ready, messages, timers.
    events: usize,
    /// Something is left to be done.
    unfinished: bool,
}

/// Runs the shard until `enough`, which is looked at after each turn and whenever the doorbell has rung.
pub(crate) async fn pump<A: Application>(local: &Rc<Local<A>>, enough: impl Fn() -> bool) {
    let mut alarm_clock = AlarmClock::default();
    let (mesh, shard) = {
        let io = local.io.borrow();
        (Arc::clone(&io.mesh), io.shard)
    };
    poll_fn(|cx| {
        mesh.doorbell(shard).stay_awake();
        local.io.borrow().metrics.woken.set(mesh.doorbell(shard).woken());
        for _ in 0..TURNS_IN_A_ROW {
            let turn = run_turn(local);
            if enough() {
                return Poll::Ready(());
            }
            if turn.unfinished {
                continue;
            }
            let pause = local.io.borrow_mut().pause_between_turns();
            if let Some(pause) = pause {
                // The whole shard is to wait, whatever comes; it is shorter than what a timer of the executor costs.
                std::thread::sleep(pause);
            } else if turn.events <= 1 && may_sleep(local, &mut alarm_clock, cx, &enough) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Sees to it that whatever happens next wakes the task of `cx`. False if something has happened meanwhile: what the
/// doorbell tells of is looked at once more when the bell can be heard again.
fn may_sleep<A: Application>(
    local: &Local<A>,
    alarm_clock: &mut AlarmClock,
    cx: &mut Context<'_>,
    enough: &impl Fn() -> bool,
) -> bool {
    let armed = {
        let mut io = local.io.borrow_mut();
        io.tick();
        let (now_ms, next_ms) = (io.now_ms(), io.wheel.next_ms());
        if alarm_clock.set(cx, next_ms, now_ms) {
            return false;
        }
        io.poller.arm(cx)
    };
    match armed {
        Ok(false) => {}
        Ok(true) => return false,
        Err(_) => {
            // Out of descriptors: without an alarm it looks around by itself, and not too often.
            std::thread::sleep(WITHOUT_ALARM);
            return false;
        }
    }
    let io = local.io.borrow();
    let (mesh, shard) = (&io.mesh, io.shard);
    let has_work = || mesh.has_work(shard) || io.outgoing.has_room(mesh) || enough();
    mesh.doorbell(shard).poll(cx, has_work).is_pending()
}

/// One turn.
fn run_turn<A: Application>(local: &Local<A>) -> Turn {
    let mut turn = Turn::default();
    local.io.borrow_mut().tick();
    look_at_sockets(local, &mut turn);
    drain(local, &mut turn);
    fire_timers(local, &mut turn);
    drive_runnable(local);
    let mut io = local.io.borrow_mut();
    if io.flush_wanted || io.reads_held {
        drop(io);
        local.flush();
        io = local.io.borrow_mut();
    }
    turn.unfinished |= io.flush_wanted || !io.runnable.is_empty();
    turn
}

fn look_at_sockets<A: Application>(local: &Local<A>, turn: &mut Turn) {
    let mut ready = local.ready.take();
    turn.unfinished |= local.io.borrow_mut().poller.collect(&mut ready);
    turn.events += ready.len();
    for ready in ready.drain(..) {
        let (connection, readable, writable, hung_up) = match ready {
            Ready::Listener(listener) => {
                accept(local, listener);
                continue;
            }
            Ready::Connection { connection, readable, writable, hung_up } => (connection, readable, writable, hung_up),
        };
        let mut io = local.io.borrow_mut();
        if let Some(entry) = io.connections.get_mut(connection) {
            entry.readable |= readable;
            entry.writable |= writable;
            entry.hung_up |= hung_up;
            io.wake(connection);
        }
    }
    local.ready.replace(ready);
}

fn fire_timers<A: Application>(local: &Local<A>, turn: &mut Turn) {
    let mut fired = Vec::new();
    {
        let mut io = local.io.borrow_mut();
        let now_ms = io.now_ms();
        io.wheel.advance(now_ms, &mut fired);
    }
    turn.events += fired.len();
    fired.into_iter().for_each(|timer| local.fired(timer));
}

/// Those who were woken up to now; who is woken meanwhile has its turn in the next one.
fn drive_runnable<A: Application>(local: &Local<A>) {
    let mut runnable = std::mem::take(&mut local.io.borrow_mut().runnable);
    for &connection in &runnable {
        if let Some(entry) = local.io.borrow_mut().connections.get_mut(connection) {
            entry.queued = false;
        }
        drive(local, connection);
    }
    runnable.clear();
    let mut io = local.io.borrow_mut();
    if io.runnable.is_empty() {
        // Its memory serves the next turn.
        io.runnable = runnable;
    }
}

/// Takes what waits for the shard, at most a batch of each sender.
pub(crate) fn drain_all<A: Application>(local: &Local<A>) {
    drain(local, &mut Turn::default());
}

fn drain<A: Application>(local: &Local<A>, turn: &mut Turn) {
    let (mesh, shard) = {
        let io = local.io.borrow();
        (Arc::clone(&io.mesh), io.shard)
    };
    let mut posted = 0;
    while posted < DRAIN_BATCH {
        match mesh.next_posted(shard) {
            Some(Control::Message(message)) => local.message(Origin::Outside, message),
            Some(Control::GiveBack) => local.io.borrow_mut().memory_was_freed_elsewhere(),
            Some(Control::Shutdown) => local.io.borrow_mut().shutting_down = true,
            None => break,
        }
        posted += 1;
    }
    turn.events += posted;
    turn.unfinished |= posted == DRAIN_BATCH;
    for from in 0..mesh.shards() {
        let mut taken = 0;
        while taken < DRAIN_BATCH {
            match mesh.take(from, shard) {
                Some(Envelope::Message(message)) => local.message(Origin::Shard(from), message),
                Some(Envelope::Moved(moved)) => arrive(local, from, *moved),
                None => break,
            }
            taken += 1;
        }
        if taken > 0 {
            local.io.borrow().metrics.mesh_received.add(taken as u64);
            mesh.made_room(from, shard);
        }
        turn.events += taken;
        turn.unfinished |= taken == DRAIN_BATCH;
    }
}
