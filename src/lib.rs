//! Rondel, an XMPP server for public services: one thread per core, nothing shared on the message path.

pub mod account;
pub mod admin;
pub mod certificates;
pub mod cli;
pub mod credentials;
pub mod datetime;
pub mod dns;
pub mod forms;
pub mod home;
pub mod http;
pub mod jid;
pub mod limits;
pub mod logging;
pub mod names;
pub mod pubsub;
pub mod random;
pub mod registration;
pub mod rsm;
pub mod rtbl;
pub mod sasl;
pub mod seal;
pub mod server;
pub mod service;
pub mod shard;
pub mod stream;
pub mod xml;
