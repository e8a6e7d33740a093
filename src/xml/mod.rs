//! XML as XMPP uses it: the framer that finds the elements of a stream in received bytes and checks them on the way
//! (RFC 6120 §11), the frames it yields, and the trees that the server reads and writes itself.
//!
//! What lives here knows XML and the few attributes that every stanza has. What may not: what a stanza means, where it
//! goes, sockets. This module knows no other.

mod classes;
mod element;
mod error;
pub mod escape;
mod finished;
mod frame;
mod framer;
mod header;
mod limits;
mod names;
pub mod namespaces;
mod opening;
mod plain;
mod reference;
mod scanner;
mod scope;
mod skip;
#[cfg(test)]
mod tests;
mod walk;
mod work;

pub use element::{Builder, Element, ParseError};
pub use error::XmlError;
pub use finished::{
    append_child, attribute, has_child, write_addressed, write_addresses, write_with_default, write_without,
};
pub use frame::{Child, Frame, Kind, Stamp, Value};
pub use framer::{Event, Framer, Progress, Scratch};
pub use header::Header;
pub use limits::{DEPTH_MAX, Limits};
pub use opening::attributes;
pub use scope::Content;
pub use walk::{Part, StartTag};
