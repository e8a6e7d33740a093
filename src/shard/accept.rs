//! Connections as they come: who is let in.

use std::sync::Arc;

use rondel_shards::{Accepted, ConnectionId, Io, Verdict};

use super::stream::{Phase, Stream};
use super::{ListenerKind, Shard};
use crate::limits::Link;
use crate::stream::Negotiation;
use crate::xml::Framer;
use crate::{limited_event, logging};

impl Shard {
    /// Lets a connection in, or not.
    pub(super) fn accept(&mut self, io: &mut Io<Shard>, connection: ConnectionId, accepted: &Accepted) -> Verdict {
        let now_ms = io.now_ms();
        self.opened += 1;
        let number = self.opened * io.shards() as u64 + io.shard() as u64;
        let about =
            logging::About { shard: io.shard(), connection: number, address: Some(accepted.peer), account: None };
        if io.connection_count() > self.settings.connections_max {
            limited_event!(WARN, "limits", about; "refusing a connection: there are too many (--max-sessions)");
            return Verdict::Refuse;
        }
        if self.is_banned(accepted.peer.ip()) {
            self.counts(io).refused_by_limits.add(1);
            limited_event!(INFO, "limits", about; "refusing a connection: the address is banned");
            return Verdict::Refuse;
        }
        let kind = self.settings.listeners.get(accepted.listener).copied().unwrap_or(ListenerKind::Starttls);
        // A proxy stands for many.
        let is_proxy = kind == ListenerKind::Https && self.settings.is_proxy(accepted.peer.ip());
        if !is_proxy && let Err(refusal) = self.addresses.connected(accepted.peer.ip(), now_ms) {
            self.counts(io).refused_by_limits.add(1);
            limited_event!(WARN, "limits", about; "refusing a connection: {refusal}");
            return Verdict::Refuse;
        }
        let begins = match (kind, &self.settings.tls) {
            (ListenerKind::Starttls, _) | (_, None) => Ok(()),
            (ListenerKind::DirectTls, Some(tls)) => io.start_tls(connection, &tls.direct),
            (ListenerKind::Https, Some(tls)) => io.start_tls(connection, &tls.https),
        };
        if begins.is_err() {
            if !is_proxy {
                self.addresses.disconnected(accepted.peer.ip());
            }
            return Verdict::Refuse;
        }
        if kind == ListenerKind::Https {
            self.visitor_comes(io, connection, number, accepted.peer, !is_proxy);
            return Verdict::Accept;
        }
        let stream = Stream {
            connection,
            number,
            peer: accepted.peer,
            framer: Framer::new(self.settings.limits_before_login),
            lang: None,
            heard_ms: now_ms,
            phase: Phase::Login(Box::new(Negotiation::new(Arc::clone(&self.settings.negotiation), None))),
            waits: false,
            is_held_back: false,
            resumes: None,
            lookup: None,
            basis: None,
        };
        self.put(Box::new(stream));
        io.limit_reads(connection, self.settings.traffic.load().bytes(Link::Client, None));
        io.set_deadline(connection, Some(self.settings.login_timeout));
        Verdict::Accept
    }
}
