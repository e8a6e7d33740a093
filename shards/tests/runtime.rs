//! The runtime with real sockets and threads: hand-over, order, back-pressure, containment, shutdown.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::{Client, Server};
use rondel_shards::rustls::{self, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const GRACE: Duration = Duration::from_secs(10);

#[test]
fn a_connection_moves_with_its_unread_bytes_and_finds_its_peers() {
    let server = Server::start(|_| {});
    let mut a = Client::connect(&server);
    // All of it is in flight before the move.
    a.say("home a\nto a one\nto a two\n");
    assert_eq!(a.hear(), "at 1");
    assert_eq!(a.hear(), "one");
    assert_eq!(a.hear(), "two");
    let mut b = Client::at_home(&server, "b");
    b.say("to a three\n");
    assert_eq!(a.hear(), "three");
    a.say("quit\n");
    assert_eq!(a.hear(), "bye");
    a.hear_end();
    server.stop(GRACE);
}

/// Many pairs talk through rings of two messages: nobody hangs, nothing is lost, order is kept per pair.
#[test]
fn tiny_rings_keep_order_and_do_not_deadlock_under_load() {
    const PAIRS: usize = 20;
    const LINES: usize = 2_000;
    let server = Arc::new(Server::start(|options| options.mesh_capacity = 2));
    let threads: Vec<_> = (0..PAIRS)
        .map(|pair| {
            let server = Arc::clone(&server);
            thread::spawn(move || {
                let (left, right) = (format!("left{pair}"), format!("right{}", pair / 2));
                let right = format!("{right}x{pair}");
                let mut a = Client::at_home(&server, &left);
                let mut b = Client::at_home(&server, &right);
                let mut writer = a.stream.get_ref().try_clone().unwrap();
                let mut back = b.stream.get_ref().try_clone().unwrap();
                let to_b = thread::spawn(move || {
                    (0..LINES).for_each(|n| writer.write_all(format!("to {right} {n}\n").as_bytes()).unwrap());
                });
                let to_a = thread::spawn(move || {
                    (0..LINES).for_each(|n| back.write_all(format!("to {left} {n}\n").as_bytes()).unwrap());
                });
                for n in 0..LINES {
                    assert_eq!(a.hear(), n.to_string());
                    assert_eq!(b.hear(), n.to_string());
                }
                to_a.join().unwrap();
                to_b.join().unwrap();
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let metrics = server.runtime().metrics();
    assert!(metrics.iter().any(|shard| shard.mesh_full > 0), "the rings were never full: {metrics:?}");
    assert!(metrics.iter().map(|shard| shard.mesh_wakes).sum::<u64>() < (PAIRS * LINES * 2) as u64);
    Arc::into_inner(server).unwrap().stop(GRACE);
}

#[test]
fn connections_move_while_others_talk() {
    let server = Arc::new(Server::start(|_| {}));
    let movers: Vec<_> = (0..4)
        .map(|mover| {
            let server = Arc::clone(&server);
            thread::spawn(move || {
                for n in 0..100 {
                    let name = format!("mover{mover}x{n}");
                    let mut client = Client::connect(&server);
                    client.say(&format!("home {name}\nto {name} hello {n}\n"));
                    assert!(client.hear().starts_with("at "));
                    assert_eq!(client.hear(), format!("hello {n}"));
                }
            })
        })
        .collect();
    movers.into_iter().for_each(|mover| mover.join().unwrap());
    let metrics = server.runtime().metrics();
    let moved_in: u64 = metrics.iter().map(|shard| shard.moved_in).sum();
    assert_eq!(moved_in, metrics.iter().map(|shard| shard.moved_out).sum::<u64>());
    assert!(moved_in > 0);
    Arc::into_inner(server).unwrap().stop(GRACE);
}

fn tls_client(server: &Server, version: &'static rustls::SupportedProtocolVersion) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(server.certificate.clone()).unwrap();
    let config =
        ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots).with_no_client_auth();
    ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
}

/// TLS begins in the middle of a connection, the connection moves, and large and small records pass both ways.
#[test]
fn tls_state_moves_along() {
    let server = Server::start(|options| options.outbox_limit = 64 << 20);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        for name in ["a", "b"] {
            let mut client = Client::connect(&server);
            client.say("secure\n");
            assert_eq!(client.hear(), "proceed");
            let tls = tls_client(&server, version);
            let mut stream = BufReader::new(StreamOwned::new(tls, client.stream.into_inner()));
            let hear = |stream: &mut BufReader<StreamOwned<ClientConnection, TcpStream>>| {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                line
            };
            stream.get_mut().write_all(format!("home {name}\n").as_bytes()).unwrap();
            let greeting = hear(&mut stream);
            let exporter = if *version == rustls::version::TLS13 {
                stream.get_ref().conn.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
            } else {
                [0; 32]
            };
            let exporter: String = exporter.iter().map(|byte| format!("{byte:02x}")).collect();
            let expected = format!("secure {:?} localhost {exporter}\n", version.version);
            assert_eq!(greeting, expected);
            assert!(hear(&mut stream).starts_with("at "));
            for size in [1, 300, 40_000, 1_000_000] {
                let text = "x".repeat(size);
                stream.get_mut().write_all(format!("to {name} {text}\n").as_bytes()).unwrap();
                assert_eq!(hear(&mut stream).trim_end(), text);
            }
            stream.get_mut().write_all(b"quit\n").unwrap();
            let mut rest = String::new();
            stream.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "bye\n");
        }
    }
    server.stop(GRACE);
}

#[test]
fn clear_text_behind_the_start_of_tls_is_not_read_as_if_it_were_secure() {
    let server = Server::start(|_| {});
    let mut client = Client::connect(&server);
    client.say("secure\nto a injected\n");
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest);
    assert!(!rest.windows(5).any(|window| window == b"what?"));
    let mut garbage = Client::connect(&server);
    garbage.say("secure\n");
    assert_eq!(garbage.hear(), "proceed");
    garbage.say("this is not TLS\n");
    let mut alert = Vec::new();
    let _ = garbage.stream.read_to_end(&mut alert);
    assert_eq!(alert.first(), Some(&21), "an alert says why: {alert:?}");
    server.stop(GRACE);
}

#[test]
fn a_panic_costs_one_connection() {
    let server = Server::start(|options| options.shards = 1);
    let mut honest = Client::at_home(&server, "honest");
    let mut bad = Client::connect(&server);
    bad.say("panic\n");
    bad.hear_end();
    honest.say("to honest still here\n");
    assert_eq!(honest.hear(), "still here");
    assert_eq!(server.runtime().metrics()[0].panics, 1);
    let mut unlucky = Client::at_home(&server, "unlucky");
    honest.say("to unlucky panic\n");
    unlucky.hear_end();
    honest.say("to honest still here\n");
    assert_eq!(honest.hear(), "still here");
    server.stop(GRACE);
}

#[test]
fn whoever_does_not_read_is_bounded_and_given_up() {
    let server = Server::start(|options| {
        options.outbox_limit = 100_000;
        options.stall_timeout = Duration::from_millis(500);
    });
    let deaf = Client::at_home(&server, "deaf");
    let mut talker = Client::at_home(&server, "talker");
    let text = "x".repeat(1000);
    for _ in 0..20_000 {
        talker.say(&format!("to deaf {text}\n"));
    }
    talker.say("to talker done\n");
    assert_eq!(talker.hear(), "done");
    // The deaf one is gone although it never closed.
    while server.runtime().metrics().iter().map(|shard| shard.connections).sum::<u64>() > 1 {
        thread::sleep(Duration::from_millis(20));
    }
    drop(deaf);
    server.stop(GRACE);
}

#[test]
fn a_deadline_passes_unless_it_is_taken_back() {
    let server = Server::start(|_| {});
    let mut kept = Client::connect(&server);
    kept.say("hurry\nhome kept\n");
    assert!(kept.hear().starts_with("at "));
    let mut late = Client::connect(&server);
    late.say("hurry\n");
    assert_eq!(late.hear(), "too slow");
    late.hear_end();
    kept.say("to kept still here\n");
    assert_eq!(kept.hear(), "still here");
    server.stop(GRACE);
}

/// What was written before the end is delivered before the end.
#[test]
fn shutdown_drains_outboxes() {
    let server = Server::start(|options| options.outbox_limit = 64 << 20);
    let mut slow = Client::at_home(&server, "slow");
    let mut fast = Client::at_home(&server, "fast");
    let text = "y".repeat(1000);
    for _ in 0..8_000 {
        fast.say(&format!("to slow {text}\n"));
    }
    fast.say("to fast sent\n");
    assert_eq!(fast.hear(), "sent");
    // What still crosses the mesh when the end is announced is not in an outbox yet.
    while server.runtime().metrics().iter().map(|shard| shard.mesh_received).sum::<u64>() < 8_001 {
        thread::sleep(Duration::from_millis(5));
    }
    let reader = thread::spawn(move || {
        let mut lines = 0;
        loop {
            match slow.hear() {
                line if line == "going down" => return lines,
                line if line.is_empty() => panic!("ended after {lines} lines without a word"),
                _ => lines += 1,
            }
        }
    });
    server.stop(GRACE);
    assert_eq!(reader.join().unwrap(), 8_000);
    assert_eq!(fast.hear(), "going down");
    fast.hear_end();
}

#[test]
fn the_grace_period_ends_what_does_not_end_by_itself() {
    let server = Server::start(|options| options.outbox_limit = 64 << 20);
    let deaf = Client::at_home(&server, "deaf");
    let mut talker = Client::at_home(&server, "talker");
    let text = "z".repeat(100_000);
    for _ in 0..200 {
        talker.say(&format!("to deaf {text}\n"));
    }
    talker.say("to talker sent\n");
    assert_eq!(talker.hear(), "sent");
    server.stop(Duration::from_millis(300));
    drop(deaf);
}
