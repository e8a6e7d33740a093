//! The client's side of XMPP, without I/O: bytes of a server in, bytes to send and events out.
//!
//! Here live the scanner that cuts a stream into stanzas, SASL, the dialogue that logs in, and the
//! message whose sequence number and time the receiver reads. Sockets, TLS, clocks and statistics may not be here.
//! Rules: RFC 6120, RFC 5802 and RFC 7677 (SCRAM), XEP-0386, XEP-0388.

pub mod element;
pub mod message;
pub mod negotiation;
pub mod scanner;
pub mod scram;
