//! Starting the shards, and their end.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel;
use glommio::{LocalExecutorBuilder, Placement};

use crate::accept::close_listeners;
use crate::application::{Application, Closed};
use crate::connection::Phase;
use crate::io::{Io, MeshOf};
use crate::listen::{self, ListenError};
use crate::local::Local;
use crate::mesh::{Control, Mesh, Post, Remote};
use crate::metrics::{Metrics, MetricsSnapshot};
use crate::options::{Options, available_cores};
use crate::poller::Poller;
use crate::pump::{drain_all, pump};

/// Bytes that an executor sets aside for file operations, of which a shard has none; the least it accepts.
const EXECUTOR_IO_MEMORY: usize = 64 << 10;

/// Why the shards cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The kernel does not let the listening sockets be watched.
    #[error("cannot watch the sockets of shard {shard}: {source}; see fs.epoll.max_user_watches")]
    Poller {
        /// Which shard.
        shard: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// An executor could not be made.
    #[error(
        "cannot start shard {shard}: {reason}; io_uring needs a kernel of 5.8 or later that permits it, and 512 KiB of \
         locked memory per shard (ulimit -l)"
    )]
    Executor {
        /// Which shard.
        shard: usize,
        /// What the executor said.
        reason: String,
    },
}

/// The running shards.
pub struct Runtime<A: Application> {
    mesh: Arc<MeshOf<A>>,
    metrics: Vec<Arc<Metrics>>,
    addresses: Vec<SocketAddr>,
    threads: Vec<glommio::ExecutorJoinHandle<()>>,
    ends: channel::Receiver<(usize, bool)>,
    grace_ms: Arc<AtomicU64>,
}

/// What the shards share to end together.
struct Ending {
    live: Arc<AtomicUsize>,
    /// Shards that have seen no connection left, in two rounds.
    arrived: [AtomicUsize; 2],
    grace_ms: Arc<AtomicU64>,
}

/// Tells how a shard's thread ended, even by a panic.
struct EndNotice {
    shard: usize,
    orderly: bool,
    notices: channel::Sender<(usize, bool)>,
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        // Nobody listens any more if the runtime itself is gone.
        let _ = self.notices.send((self.shard, self.orderly));
    }
}

impl<A: Application> Runtime<A> {
    /// Binds the listeners and starts the shards; returns once all accept connections. `make` is called on each shard's
    /// own thread.
    pub fn start(
        options: Options,
        make: impl Fn(&mut Io<A>) -> A + Send + Sync + 'static,
    ) -> Result<Runtime<A>, StartError> {
        let shards = options.shards.max(1);
        let mut sockets: Vec<Vec<_>> = (0..shards).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for &listener in &options.listeners {
            let bound = listen::bind(listener, shards)?;
            addresses.push(bound[0].local_addr().unwrap_or(listener.address));
            bound.into_iter().zip(&mut sockets).for_each(|(socket, shard)| shard.push(socket));
        }
        let mesh: Arc<MeshOf<A>> = Arc::new(Mesh::new(shards, options.mesh_capacity));
        let metrics: Vec<_> = (0..shards).map(|_| Arc::new(Metrics::default())).collect();
        let grace_ms = Arc::new(AtomicU64::new(0));
        let ending =
            Arc::new(Ending { live: Arc::default(), arrived: Default::default(), grace_ms: Arc::clone(&grace_ms) });
        let (notices, ends) = channel::unbounded();
        let (ready, started) = channel::unbounded();
        let options = Arc::new(options);
        let make = Arc::new(make);
        let epoch = Instant::now();
        let cores = available_cores();
        let mut threads = Vec::new();
        let pollers: Vec<_> = (sockets.iter().enumerate())
            .map(|(shard, sockets)| Poller::instance(sockets).map_err(|source| StartError::Poller { shard, source }))
            .collect::<Result<_, _>>()?;
        for ((shard, sockets), poller) in sockets.into_iter().enumerate().zip(pollers) {
            let placement = match cores.get(shard) {
                Some(&core) if shards <= cores.len() => Placement::Fixed(core),
                _ => Placement::Unbound,
            };
            let io = {
                let (mesh, metrics) = (Arc::clone(&mesh), Arc::clone(&metrics[shard]));
                let (options, live) = (Arc::clone(&options), Arc::clone(&ending.live));
                move || Io::new(shard, mesh, metrics, options, Poller::new(poller), live, epoch)
            };
            let (ending, make, ready) = (Arc::clone(&ending), Arc::clone(&make), ready.clone());
            let notices = notices.clone();
            let thread = LocalExecutorBuilder::new(placement)
                .name(&format!("shard-{shard}"))
                .io_memory(EXECUTOR_IO_MEMORY)
                .spin_before_park(options.spin)
                .spawn(move || async move {
                    let mut notice = EndNotice { shard, orderly: false, notices };
                    let local = Rc::new(Local::new(io()));
                    run(
                        local,
                        sockets,
                        &ending,
                        |io| make(io),
                        move || {
                            // Nobody waits any more if another shard could not start.
                            let _ = ready.send(shard);
                        },
                    )
                    .await;
                    notice.orderly = true;
                })
                .map_err(|error| StartError::Executor { shard, reason: error.to_string() })?;
            threads.push(thread);
        }
        drop((ready, notices));
        let mut runtime = Runtime { mesh, metrics, addresses, threads, ends, grace_ms };
        let started: Vec<usize> = started.iter().take(shards).collect();
        match (0..shards).find(|shard| !started.contains(shard)) {
            None => Ok(runtime),
            Some(shard) => {
                // The others are left behind: they would wait for this one to end with them.
                let ended = runtime.threads.swap_remove(shard).join();
                let reason = ended.err().map(|error| error.to_string()).unwrap_or_default();
                Err(StartError::Executor { shard, reason })
            }
        }
    }

    /// The addresses listened on, in the order of [`Options::listeners`], with the ports that the kernel has chosen.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A handle to send messages to a shard from any thread.
    pub fn remote(&self, shard: usize) -> Remote<A::Message> {
        Remote::new(Arc::clone(&self.mesh) as Arc<dyn Post<A::Message>>, shard)
    }

    /// The counters of each shard.
    pub fn metrics(&self) -> Vec<MetricsSnapshot> {
        self.metrics.iter().map(|metrics| metrics.snapshot()).collect()
    }

    /// Like [`Runtime::metrics`], for whoever outlives a borrow of the runtime.
    pub fn metrics_handles(&self) -> Vec<Arc<Metrics>> {
        self.metrics.clone()
    }

    /// Asks the shards to end: no new connections; the application takes leave of the present ones; what is left after
    /// `grace` is cut off.
    pub fn shut_down(&self, grace: Duration) {
        self.grace_ms.store(grace.as_millis() as u64, Ordering::Release);
        for shard in 0..self.mesh.shards() {
            self.mesh.post(shard, Control::Shutdown);
            self.mesh.doorbell(shard).ring();
        }
    }

    /// Where the end of each shard is told: its index, and whether it ended in order. Before a shutdown that is a bug.
    pub fn ended(&self) -> channel::Receiver<(usize, bool)> {
        self.ends.clone()
    }

    /// Waits for all shards to end. False if one of them did not end in order.
    pub fn join(self) -> bool {
        let mut orderly = true;
        for thread in self.threads {
            orderly &= thread.join().is_ok();
        }
        orderly
    }
}

/// A shard's main task.
async fn run<A: Application>(
    local: Rc<Local<A>>,
    sockets: Vec<std::net::TcpListener>,
    ending: &Ending,
    make: impl FnOnce(&mut Io<A>) -> A,
    ready: impl FnOnce(),
) {
    // A pause between two turns is shorter than what the kernel adds to a sleep otherwise. Without it pauses are
    // longer.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let app = {
        let mut io = local.io.borrow_mut();
        io.tick();
        make(&mut io)
    };
    *local.app.borrow_mut() = Some(app);
    local.io.borrow_mut().listeners = sockets;
    ready();
    pump(&local, || local.io.borrow().shutting_down).await;
    close_listeners(&local);
    local.call(None, |app, io| app.shutting_down(io));
    local.flush();
    take_leave(&local, ending).await;
    quiesce(&local, ending).await;
    local.call(None, |app, io| app.turn_ends(io));
    let app = local.app.borrow_mut().take();
    if let Some(app) = app {
        app.ended(&mut local.io.borrow_mut());
    }
}

/// Waits until no connection is left in the process, cutting off what is left here when the grace period ends.
async fn take_leave<A: Application>(local: &Rc<Local<A>>, ending: &Ending) {
    let grace = Duration::from_millis(ending.grace_ms.load(Ordering::Acquire));
    let none_left = || ending.live.load(Ordering::Acquire) == 0;
    {
        let left = pin!(pump(local, none_left));
        let over = pin!(glommio::timer::sleep(grace));
        futures_lite::future::or(left, over).await;
    }
    while !none_left() {
        cut_off(&mut local.io.borrow_mut());
        // Others may still be at it, or have one on its way here.
        let left = pin!(pump(local, none_left));
        let pause = pin!(glommio::timer::sleep(Duration::from_millis(10)));
        futures_lite::future::or(left, pause).await;
    }
    let is_done = || local.app.borrow().as_ref().is_none_or(Application::is_done);
    let done = pin!(pump(local, is_done));
    let over = pin!(glommio::timer::sleep(grace.max(DONE_WITHIN)));
    futures_lite::future::or(done, over).await;
}

/// What is under way when the last connection is gone is waited for at least so long.
const DONE_WITHIN: Duration = Duration::from_secs(5);

/// Closes every connection at once; what waits is lost.
fn cut_off<A: Application>(io: &mut Io<A>) {
    for connection in io.connections.ids() {
        if let Some(entry) = io.connections.get_mut(connection) {
            let open = matches!(entry.phase, Phase::Open | Phase::Moving { .. });
            entry.phase = Phase::Dead(open.then_some(Closed::Shutdown));
        }
        io.wake(connection);
    }
}

/// Takes in what the others have sent before they had no connection left. Two rounds: what comes in the first may be
/// answered in the second.
async fn quiesce<A: Application>(local: &Rc<Local<A>>, ending: &Ending) {
    let (mesh, shard) = {
        let io = local.io.borrow();
        (Arc::clone(&io.mesh), io.shard)
    };
    for round in &ending.arrived {
        loop {
            drain_all(local);
            local.flush();
            if !mesh.has_work(shard) && local.io.borrow().outgoing.len() == 0 {
                break;
            }
            futures_lite::future::yield_now().await;
        }
        round.fetch_add(1, Ordering::AcqRel);
        while round.load(Ordering::Acquire) < mesh.shards() {
            drain_all(local);
            local.flush();
            glommio::timer::sleep(Duration::from_millis(1)).await;
        }
    }
    drain_all(local);
}
