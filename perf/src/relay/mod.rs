//! `rondel-perf relay`: copies bytes between pairs of connections without looking at them, written the plain way on the
//! executor that Rondel is built on. What it costs is what a server costs that does nothing at all; less is possible by
//! gathering, which this one does not.
//!
//! A connection begins with the number of its pair in four bytes. One thread accepts and reads that number; once both
//! ends of a pair are there, a shard copies between them for as long as both live. It reads when there is something to
//! read, into one buffer per shard, and writes at once.

mod copy;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, anyhow};
use async_channel::Sender;
use glommio::{LocalExecutorBuilder, Placement};
use socket2::{Domain, Protocol, Socket, Type};

/// Both ends of a pair.
type Pair = (TcpStream, TcpStream);

/// Bytes that an executor sets aside for file operations, of which the relay has none; the least it accepts.
const EXECUTOR_IO_MEMORY: usize = 64 << 10;
/// Connections that wait to be accepted. Beyond it clients try again after a second.
const BACKLOG: i32 = 4096;
/// How long a connection may take to say its number.
const HELLO: Duration = Duration::from_secs(5);

/// Relays until the process is ended.
///
/// # Errors
/// The address cannot be listened on, or a shard cannot start.
pub fn run(listen: SocketAddr, shards: usize) -> anyhow::Result<()> {
    let listener = bind(listen).with_context(|| format!("--listen {listen}"))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut senders = Vec::new();
    let mut threads = Vec::new();
    for shard in 0..shards {
        let (sender, pairs) = async_channel::unbounded::<Pair>();
        let placement = if shards <= cores { Placement::Fixed(shard) } else { Placement::Unbound };
        let thread = LocalExecutorBuilder::new(placement)
            .name(&format!("relay-{shard}"))
            .io_memory(EXECUTOR_IO_MEMORY)
            .spawn(move || copy::serve(pairs))
            .map_err(|error| anyhow!("shard {shard} cannot start: {error}; is ulimit -l at least 512?"))?;
        senders.push(sender);
        threads.push(thread);
    }
    println!("listening on {}", listener.local_addr()?);
    std::io::stdout().flush()?;
    accept(&listener, &senders)
}

fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn accept(listener: &TcpListener, shards: &[Sender<Pair>]) -> anyhow::Result<()> {
    let mut waiting: HashMap<u32, TcpStream> = HashMap::new();
    loop {
        let (mut stream, peer) = listener.accept().context("accepting")?;
        let number = match hello(&mut stream) {
            Ok(number) => number,
            Err(error) => {
                eprintln!("rondel-perf: {peer} did not say its pair: {error}");
                continue;
            }
        };
        match waiting.remove(&number) {
            // Nobody is there any more: the run that it was part of is over.
            Some(other) if is_gone(&other) => {
                waiting.insert(number, stream);
            }
            Some(other) => {
                let shard = &shards[number as usize % shards.len()];
                shard.try_send((other, stream)).map_err(|_| anyhow!("a shard has ended"))?;
            }
            None => {
                waiting.insert(number, stream);
            }
        }
    }
}

fn hello(stream: &mut TcpStream) -> std::io::Result<u32> {
    let mut number = [0; 4];
    stream.set_read_timeout(Some(HELLO))?;
    stream.read_exact(&mut number)?;
    stream.set_read_timeout(None)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(u32::from_be_bytes(number))
}

fn is_gone(stream: &TcpStream) -> bool {
    matches!(stream.peek(&mut [0]), Ok(0))
}
