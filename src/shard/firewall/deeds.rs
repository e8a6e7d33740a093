//! What rules want done: written down while they run, and done when they stop.

use std::sync::Arc;

use rondel_shards::Io;
use rondel_storage::{Outcome, Owner, marks};

use super::ListChange;
use super::questions::{AskedByRules, Question};
use crate::account::{Address, MessageType, StanzaKind, write_forwarded};
use crate::firewall::{Bounce, Report, Stanza};
use crate::jid::{Jid, bare_of, domain_of};
use crate::limited_event;
use crate::random;
use crate::shard::input::stanza_kind;
use crate::shard::message::{Routed, Sender};
use crate::shard::task::{Step, Task};
use crate::shard::{Shard, deliver};
use crate::stream::Refusal;
use crate::xml::{Kind, attributes, escape, namespaces as ns};

/// Something that rules want done.
#[derive(Debug)]
pub(super) enum Deed {
    /// A stanza goes somewhere.
    Send(Outgoing),
    /// An account is marked, or no longer.
    MarkUser { account: Arc<Address>, name: Box<str>, at_ms: Option<u64> },
    /// Other shards change a list.
    Add(Box<str>, ListChange),
    /// A subscription ends.
    Unsubscribe(Question),
}

/// A stanza that rules send.
#[derive(Debug)]
pub(super) struct Outgoing {
    kind: StanzaKind,
    from: String,
    to: String,
    stanza: Vec<u8>,
    /// Whether it is an answer to the sender, which passes no rules.
    is_answer: bool,
}

impl Deed {
    /// The sender is told that the stanza goes nowhere. Answers are not answered.
    pub fn bounce(stanza: &Stanza<'_>, bounce: &Bounce) -> Option<Deed> {
        let refusal = Refusal::new(bounce.kind, bounce.condition);
        let refusal = match &bounce.text {
            Some(text) => refusal.with_text(text),
            None => refusal,
        };
        let (from, to) = (addressee(stanza)?, stanza.from()?);
        let [id] = attributes(stanza.bytes(), ["id"]);
        let mut out = Vec::new();
        refusal.write_reply(&mut out, stanza.name(), id.as_deref(), from, to);
        let kind = stanza_kind(stanza.kind(), Some("error"))?;
        let answer = Outgoing { kind, from: from.into(), to: to.into(), stanza: out, is_answer: true };
        Some(Deed::Send(answer))
    }

    /// The sender is answered with these words.
    pub fn reply(stanza: &Stanza<'_>, text: &str) -> Option<Deed> {
        let (from, to) = (addressee(stanza)?, stanza.from()?);
        let [id] = attributes(stanza.bytes(), ["id"]);
        let kind = match stanza.kind() {
            Kind::Iq => Some("result"),
            _ => stanza.kind_attribute(),
        };
        let name = stanza.name();
        let mut out = format!("<{name}");
        for (attribute, value) in [("type", kind), ("id", id.as_deref()), ("from", Some(from)), ("to", Some(to))] {
            if let Some(value) = value {
                out.push_str(&format!(" {attribute}='{}'", escape::attribute_value(value)));
            }
        }
        let kind = stanza_kind(stanza.kind(), kind)?;
        let mut stanza = out.into_bytes();
        stanza.extend_from_slice(b"><body>");
        escape::text(&mut stanza, text);
        stanza.extend_from_slice(format!("</body></{name}>").as_bytes());
        Some(Deed::Send(Outgoing { kind, from: from.into(), to: to.into(), stanza, is_answer: true }))
    }

    /// Somebody else gets the stanza, from the same sender.
    pub fn copy(stanza: &Stanza<'_>, to: &str) -> Deed {
        let mut out = Vec::new();
        stanza.write(&mut out, Some(to));
        let kind = stanza_kind(stanza.kind(), stanza.kind_attribute());
        let kind = kind.unwrap_or(StanzaKind::Message(MessageType::Normal));
        let from = stanza.from().unwrap_or_default().to_owned();
        Deed::Send(Outgoing { kind, from, to: to.into(), stanza: out, is_answer: false })
    }

    /// The server sends somebody the stanza, perhaps with a report of it (XEP-0377).
    pub fn forward(stanza: &Stanza<'_>, to: &str, report: Option<&Report>) -> Deed {
        let host = domain_of(bare_of(addressee(stanza).unwrap_or_default())).to_owned();
        let (from, escaped) = (escape::attribute_value(&host), escape::attribute_value(to));
        let id = report.map(|_| format!(" id='{}'", random::name())).unwrap_or_default();
        let mut out = format!("<message from='{from}' to='{escaped}'{id}>").into_bytes();
        let mut inner = Vec::new();
        stanza.write(&mut inner, None);
        write_forwarded(&mut out, None, &inner);
        if let Some(report) = report {
            let reason = escape::attribute_value(&report.reason);
            out.extend_from_slice(format!("<report xmlns='{}' reason='{reason}'>", ns::REPORTING).as_bytes());
            if let Some(text) = &report.text {
                out.extend_from_slice(b"<text>");
                escape::text(&mut out, text);
                out.extend_from_slice(b"</text>");
            }
            out.extend_from_slice(b"</report>");
        }
        out.extend_from_slice(b"</message>");
        let kind = StanzaKind::Message(MessageType::Normal);
        Deed::Send(Outgoing { kind, from: host, to: to.into(), stanza: out, is_answer: false })
    }
}

/// Whom a stanza is for: its sender's account where it names nobody.
fn addressee<'s>(stanza: &'s Stanza<'_>) -> Option<&'s str> {
    stanza.to().or_else(|| stanza.from().map(bare_of))
}

impl Shard {
    /// Does what rules want done about a stanza that was sent on so many rules' behalf before.
    pub(super) fn do_deeds(&mut self, io: &mut Io<Shard>, deeds: Vec<Deed>, generation: u8) {
        for deed in deeds {
            match deed {
                Deed::Send(outgoing) => self.send_for_rules(io, outgoing, generation),
                Deed::MarkUser { account, name, at_ms } => self.store_mark(io, account.bare(), &name, at_ms),
                Deed::Add(name, change) => self.tell_of_list(io, &name, &change),
                Deed::Unsubscribe(question) => self.ask_for_rules(io, AskedByRules { question, back: None }),
            }
        }
    }

    fn send_for_rules(&mut self, io: &mut Io<Shard>, outgoing: Outgoing, generation: u8) {
        let Outgoing { kind, from, to, stanza, is_answer } = outgoing;
        let Ok(jid) = Jid::parse(&to) else { return };
        if !is_answer && !self.settings.serves(jid.domain()) {
            let domain = jid.domain();
            limited_event!(WARN, "firewall", "a rule sends something to {domain}, which is no domain of this server");
            return;
        }
        let traits = deliver::traits_of(kind, &stanza);
        let mut routed = Routed::new(kind, traits, Sender::of(&from), &jid, stanza.len(), |out| {
            out.extend_from_slice(&stanza);
        });
        routed.generation = generation.saturating_add(1);
        routed.has_passed = is_answer;
        self.dispatch(io, routed);
    }

    /// Notes a mark of an account where it outlives the account's sessions.
    pub(super) fn store_mark(&mut self, io: &mut Io<Shard>, account: &str, name: &str, at_ms: Option<u64>) {
        let Ok(owner) = Owner::parse(account) else { return };
        if self.settings.is_anonymous(account) {
            return;
        }
        let request = match at_ms {
            Some(at_ms) => marks::set(&owner, name, at_ms),
            None => marks::clear(&owner, name),
        };
        let then = |_: &mut Shard, _: &mut Io<Shard>, _: &Task, outcome: Outcome| {
            if let Outcome::Failed(failure) = outcome {
                limited_event!(WARN, "storage", "an account cannot be marked: {failure}");
            }
            Step::Done
        };
        self.run(io, Step::write(request, then));
    }
}
