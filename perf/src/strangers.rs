//! `rondel-perf register`: strangers from many addresses who try to register (XEP-0077), over STARTTLS, each on a
//! connection of its own; how many were let have an account, and how many were refused.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::cli::RegisterFlags;
use crate::client::tls;

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What has become of the attempts.
#[derive(Debug, Default)]
struct Counts {
    next: AtomicU64,
    made: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// Has them come, and prints what has become of them.
pub fn run(flags: &RegisterFlags) -> anyhow::Result<()> {
    let (counts, config) = (Counts::default(), tls::config(None, false)?);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..flags.threads {
            scope.spawn(|| come(flags, &config, &counts, began));
        }
    });
    let (made, refused, failed) =
        (counts.made.load(Relaxed), counts.refused.load(Relaxed), counts.failed.load(Relaxed));
    println!("made {made}\nrefused {refused}\nfailed {failed}\nseconds {:.1}", began.elapsed().as_secs_f64());
    if failed > 0 {
        bail!("{failed} attempts were not answered");
    }
    Ok(())
}

/// One attempt after the other, as long as there are any, each when its time has come.
fn come(flags: &RegisterFlags, config: &Arc<ClientConfig>, counts: &Counts, began: Instant) {
    loop {
        let number = counts.next.fetch_add(1, Relaxed);
        if number >= flags.attempts {
            return;
        }
        let due = Duration::from_secs_f64(number as f64 / flags.rate);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let sources = &flags.source_addresses.0;
        let source = sources[number as usize % sources.len()];
        let count = match attempt(flags, config, source, &format!("{}{number}", flags.prefix)) {
            Ok(true) => &counts.made,
            Ok(false) => &counts.refused,
            Err(error) => {
                eprintln!("rondel-perf: from {source}: {error:#}");
                &counts.failed
            }
        };
        count.fetch_add(1, Relaxed);
    }
}

/// Whether an account was made.
fn attempt(flags: &RegisterFlags, config: &Arc<ClientConfig>, source: IpAddr, name: &str) -> anyhow::Result<bool> {
    let mut stream = connect(flags.server, source)?;
    let header = format!(
        "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
        flags.domain
    );
    stream.write_all(header.as_bytes())?;
    hear(&mut stream, "</stream:features>")?;
    stream.write_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")?;
    hear(&mut stream, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")?;
    let host = ServerName::try_from(flags.domain.clone()).context("--domain: not a name of a host")?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), host)?, stream);
    stream.write_all(header.as_bytes())?;
    hear(&mut stream, "</stream:features>")?;
    let query = format!("<username>{name}</username><password>{}</password>", flags.password);
    write!(stream, "<iq type='set' id='r'><query xmlns='jabber:iq:register'>{query}</query></iq>")?;
    let answer = hear(&mut stream, ">")?;
    match answer.contains("type='result'") {
        true => Ok(true),
        false if answer.contains("type='error'") => Ok(false),
        false => bail!("neither a result nor an error: {answer}"),
    }
}

fn connect(server: SocketAddr, source: IpAddr) -> anyhow::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into()).context("its address is none of this machine")?;
    socket.connect_timeout(&server.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

/// Reads up to some text.
fn hear(stream: &mut impl Read, text: &str) -> anyhow::Result<String> {
    let (mut heard, mut buffer) = (String::new(), [0; 4096]);
    while !heard.contains(text) {
        match stream.read(&mut buffer)? {
            0 => bail!("the server has closed the connection after {heard:?}"),
            read => heard.push_str(&String::from_utf8_lossy(&buffer[..read])),
        }
    }
    Ok(heard)
}
