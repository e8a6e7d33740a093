//! The client's side of XMPP, without I/O: bytes of a server in, bytes to send and events out.
//!
//! Here live the scanner that cuts a stream into stanzas, SASL, the dialogue that logs in or resumes, what a session
//! does first, stream management, rosters, queries of archives, and the message whose sequence number and time the
//! receiver reads. Sockets, TLS, clocks and statistics may not be here.
//! Rules: RFC 6120, RFC 6121, RFC 5802 and RFC 7677 (SCRAM), XEP-0198, XEP-0280, XEP-0313, XEP-0352, XEP-0386 and
//! XEP-0388.

pub mod archive;
pub mod element;
pub mod habits;
pub mod management;
pub mod message;
pub mod negotiation;
pub mod roster;
pub mod scanner;
pub mod scram;
