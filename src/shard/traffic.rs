//! How much sessions send: bytes are limited where they are read, stanzas here. Who sends too much is not read from for
//! a while.

use std::sync::Arc;
use std::time::Duration;

use rondel_shards::Io;

use super::Shard;
use super::stream::{Established, Phase, Stream};
use crate::account::{Address, StanzaKind};
use crate::jid::Jid;
use crate::limits::{Link, ToStrangers};

impl Shard {
    /// A stream has a session from now on, and the limits of its account.
    pub(super) fn enters(&mut self, io: &mut Io<Shard>, stream: &mut Stream, session: Established) {
        let traffic = self.settings.traffic.load();
        let account = session.address.bare();
        io.limit_reads(stream.connection, traffic.bytes_of_session(account));
        let is_exempt = traffic.is_exempt(account);
        stream.phase = Phase::Bound(Established { is_exempt, ..session });
    }

    /// A session sends a stanza: it rests if that is one too many.
    #[inline]
    pub(super) fn hold_to_limits(&self, io: &mut Io<Shard>, stream: &mut Stream, kind: StanzaKind) {
        let Phase::Bound(session) = &mut stream.phase else { return };
        if session.is_exempt {
            return;
        }
        if let Some(rest_ms) = session.sent.one(kind, &self.stanza_limits, io.now_ms()) {
            io.rest(stream.connection, Duration::from_millis(rest_ms));
            session.rested_ms = io.now_ms();
        }
    }

    /// Whether an account may send something to somebody who has not written to it lately, and may be no contact.
    pub(super) fn may_send_unasked(
        &mut self,
        io: &Io<Shard>,
        address: &Address,
        kind: StanzaKind,
        to: &Jid<'_>,
    ) -> bool {
        let limits = self.stranger_limits;
        let is_limited = match kind {
            StanzaKind::Presence(_) => limits.subscriptions.is_some(),
            _ => limits.messages.is_some(),
        };
        let is_own = || to.bare() == address.bare() || to.local().is_none();
        if !is_limited || is_own() || self.is_contact_of(address.bare(), to.bare()) {
            return true;
        }
        let settings = Arc::clone(&self.settings);
        if settings.is_administrator(to.bare()) || settings.traffic.load().is_exempt(address.bare()) {
            return true;
        }
        let now_ms = io.now_ms();
        let sent = self.to_strangers.of(address.bare(), now_ms, || ToStrangers::new(&limits, now_ms));
        sent.may_send(kind, &limits, now_ms)
    }

    /// How much may be sent has changed.
    pub(super) fn take_traffic(&mut self, io: &mut Io<Shard>) {
        let traffic = self.settings.traffic.load_full();
        (self.stanza_limits, self.stranger_limits) = (traffic.stanzas, traffic.strangers);
        for stream in self.streams.iter_mut().flatten() {
            let rate = match &mut stream.phase {
                Phase::Login(_) => traffic.bytes(Link::Client, None),
                Phase::Bound(session) => {
                    session.is_exempt = traffic.is_exempt(session.address.bare());
                    traffic.bytes_of_session(session.address.bare())
                }
            };
            io.limit_reads(stream.connection, rate);
        }
    }
}
