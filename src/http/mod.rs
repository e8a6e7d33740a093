//! Web pages over HTTPS: for people who have no account yet, and no client. Plain HTML without scripts.
//!
//! What lives here: HTTP as it is spoken on one connection, who may send what, the pages, and what a request asks for,
//! all of it plain values in and out. What may not: sockets, TLS, storage and clocks; those are the shard's.

mod exchange;
mod feed;
mod forwarded;
mod guard;
mod links;
mod pages;
mod pipe;
pub mod site;

pub use exchange::{Exchange, Progress};
pub use feed::{Body, Broken, Feed};
pub use forwarded::visitor_behind;
pub use links::{LIFETIME_S, Links};
pub use pages::Welcome;
pub use site::{Filled, Invited, Site, Visit};

use hyper::body::Bytes;

/// A request, all of which has come.
pub type Request = hyper::Request<Bytes>;

/// What is answered.
pub type Response = hyper::Response<Body>;
