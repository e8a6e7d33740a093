//! tokio-xmpp logs in, over STARTTLS and direct TLS, with the certificate verified, and exchanges messages.
//!
//! It trusts what the environment names, so the client needs a process of its own: the test starts its own executable
//! again with a variable that makes the client of it.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/program.rs"]
mod program;

use std::net::SocketAddr;
use std::process::Command;

use conversation::{Mode, converse};
use futures::StreamExt;
use tokio_xmpp::connect::{DirectTlsServerConnector, DnsConfig, ServerConnector, StartTlsServerConnector};
use tokio_xmpp::jid::Jid;
use tokio_xmpp::parsers::message::{Message, MessageType};
use tokio_xmpp::parsers::ns;
use tokio_xmpp::parsers::ping::Ping;
use tokio_xmpp::parsers::presence::Presence;
use tokio_xmpp::xmlstream::Timeouts;
use tokio_xmpp::{Client, Event, IqRequest, IqResponse, Stanza};

/// Where the client connects to; only the client has it.
const ADDRESS: &str = "TOKIO_XMPP_CONNECTS_TO";

#[test]
fn tokio_xmpp_over_starttls() {
    match std::env::var(ADDRESS) {
        Ok(address) => echo(StartTlsServerConnector(DnsConfig::addr(&address))),
        Err(_) => converse(Mode::Starttls, |address| again("tokio_xmpp_over_starttls", address)),
    }
}

#[test]
fn tokio_xmpp_over_direct_tls() {
    match std::env::var(ADDRESS) {
        Ok(address) => echo(DirectTlsServerConnector(DnsConfig::addr(&address))),
        Err(_) => converse(Mode::Direct, |address| again("tokio_xmpp_over_direct_tls", address)),
    }
}

/// This executable again, with one test that is a client for once.
fn again(test: &str, address: SocketAddr) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ADDRESS, address.to_string());
    command
}

/// Logs in, says READY, and answers every message with "echo: " and its body. Leaves on "farewell".
#[tokio::main(flavor = "current_thread")]
async fn echo(connector: impl ServerConnector) {
    let jid = Jid::new("juliet@localhost").unwrap();
    // The client itself would try again for ever and tell nobody why.
    if let Err(error) = connector.connect(&jid, ns::JABBER_CLIENT, Timeouts::default()).await {
        return println!("FAILED {error}");
    }
    let mut client = Client::new_with_connector(jid, "secret", connector, Timeouts::default());
    while let Some(event) = client.next().await {
        match event {
            Event::Online { .. } => greet(&mut client).await,
            Event::Stanza(Stanza::Message(message)) => match answer(message) {
                Some(answer) => drop(client.send_stanza(answer.into()).await.unwrap()),
                None => break,
            },
            Event::Stanza(_) => {}
            Event::Disconnected(error) => panic!("{error}"),
        }
    }
    client.send_end().await.unwrap();
}

async fn greet(client: &mut Client) {
    client.send_stanza(Presence::available().into()).await.unwrap();
    let domain = Jid::new("localhost").unwrap();
    let pong = client.send_iq(Some(domain), IqRequest::Get(Ping.into())).await.await.unwrap();
    assert!(matches!(pong, IqResponse::Result(_)), "{pong:?}");
    println!("READY");
}

/// `None`: it was a farewell.
fn answer(message: Message) -> Option<Message> {
    assert_eq!(message.type_, MessageType::Chat);
    let (_, body) = message.get_best_body(Vec::new()).unwrap();
    (body != "farewell").then(|| Message::chat(message.from.clone()).with_body("".into(), format!("echo: {body}")))
}
