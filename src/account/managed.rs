//! Stream management of one session (XEP-0198): the counters of both directions, and what else has to be known of it
//! while its client is there or expected back.

use rondel_shards::ConnectionId;

use crate::stream::management::{
    AcknowledgementLimits, Enable, Fate, Inbound, Outbound, OutboundLimits, ResumptionId, Total, write_enabled,
};

use super::delivery::{IqType, MessageType, StanzaKind};

/// What bounds stream management.
#[derive(Clone, Copy, Debug)]
pub struct ManagementLimits {
    /// What a client has sent.
    pub inbound: AcknowledgementLimits,
    /// What it was sent.
    pub outbound: OutboundLimits,
    /// For how many seconds a session waits for its client at most; zero: sessions cannot be resumed.
    pub resume_within_s: u32,
    /// Sessions of one shard that wait for their clients at once.
    pub waiting_max: usize,
}

/// Stream management of a session.
#[derive(Debug)]
pub struct Managed {
    /// What the client has sent.
    pub inbound: Inbound,
    /// What it was sent.
    pub outbound: Outbound,
    /// How it can be resumed, if it can.
    pub resumption: Option<Resumption>,
    /// Until when it waits for its client, in the shard's milliseconds; zero while the client is there.
    pub waits_until_ms: u64,
    /// Whether a timer is set that looks after its waiting.
    pub is_timed: bool,
    /// The deadline of its connection that stream management has asked for, in the shard's milliseconds; zero: none.
    pub alarm_ms: u64,
    /// Whether nothing is read from it until some of what it has sent is safe.
    pub is_held_back: bool,
    /// Whether it is on the list of those to be looked at when the turn ends.
    pub is_touched: bool,
    /// A stream that is about to take it over, once what the client has sent is safe.
    pub returning: Option<Box<Returning>>,
}

/// By which name, and how long after its connection is gone, a session can be resumed.
#[derive(Debug)]
pub struct Resumption {
    /// The name.
    pub id: ResumptionId,
    /// The time in seconds.
    pub within_s: u32,
}

/// A client that has come back.
#[derive(Debug)]
pub struct Returning {
    /// On which connection.
    pub connection: ConnectionId,
    /// The session's name as the client has said it.
    pub previous: String,
    /// How many stanzas it has handled.
    pub h: u32,
}

impl Managed {
    /// Switches stream management on, and appends `<enabled/>` for the client (XEP-0198 §3). `may_resume` says whether
    /// the session can be resumed at all; `total` counts what all sessions have not acknowledged.
    pub fn enable(
        enable: Enable,
        may_resume: bool,
        limits: &ManagementLimits,
        total: &Total,
        out: &mut Vec<u8>,
    ) -> Managed {
        let within_s = enable.max_s.unwrap_or(u32::MAX).min(limits.resume_within_s);
        let is_resumable = enable.resume && may_resume && within_s > 0;
        let resumption = is_resumable.then(|| Resumption { id: ResumptionId::new(), within_s });
        let name = resumption.as_ref().map(|resumption| resumption.id.to_text());
        write_enabled(out, name.as_deref().map(|name| (name, within_s)));
        Managed {
            inbound: Inbound::default(),
            outbound: Outbound::among(total),
            resumption,
            waits_until_ms: 0,
            is_timed: false,
            alarm_ms: 0,
            is_held_back: false,
            is_touched: false,
            returning: None,
        }
    }
}

/// What becomes of a stanza that a session has not acknowledged when it ends (XEP-0198 §4).
pub fn fate(kind: StanzaKind) -> Fate {
    match kind {
        StanzaKind::Message(MessageType::Chat | MessageType::Normal) => Fate::Redeliver,
        // A room has to hear that its occupant has left.
        StanzaKind::Message(MessageType::Groupchat) | StanzaKind::Iq(IqType::Get | IqType::Set) => Fate::Bounce,
        StanzaKind::Message(_) | StanzaKind::Presence(_) | StanzaKind::Iq(_) => Fate::Forget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;

    const LIMITS: ManagementLimits = ManagementLimits {
        inbound: AcknowledgementLimits { outstanding_max: 10, unasked_after: 10 },
        outbound: OutboundLimits {
            bytes_max: 1000,
            total_max: 100_000,
            stanzas_max: 10,
            request_after_stanzas: 3,
            request_after_bytes: 100,
            request_after_ms: 1000,
            answer_within_ms: 5000,
        },
        resume_within_s: 600,
        waiting_max: 10,
    };

    #[test]
    fn a_session_is_resumable_if_both_sides_want_it() {
        for (resume, max_s, may_resume, within_s) in [
            (true, None, true, Some("600")),
            (true, Some(60), true, Some("60")),
            (true, Some(6000), true, Some("600")),
            (true, None, false, None),
            (false, Some(60), true, None),
        ] {
            let mut out = Vec::new();
            let managed = Managed::enable(Enable { resume, max_s }, may_resume, &LIMITS, &Total::default(), &mut out);
            let enabled = Element::parse(&out).unwrap();
            assert_eq!(enabled.attribute("max"), within_s);
            assert_eq!(managed.resumption.is_some(), within_s.is_some());
            let is_named = managed.resumption.is_some_and(|it| it.id.is(enabled.attribute("id").unwrap_or_default()));
            assert_eq!(is_named, within_s.is_some());
        }
    }
}
