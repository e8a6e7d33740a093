//! What rules want done: written down while they run, and done when they stop.

use std::sync::Arc;

use rondel_shards::Io;
use rondel_storage::{Outcome, Owner, marks};

use super::ListChange;
use super::questions::{AskedByRules, Question};
use crate::account::{Address, Bearer, MessageType, StanzaKind, forged, write_forwarded};
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
    /// The sender is answered, which passes no rules.
    Answer(Outgoing),
    /// A stanza goes somewhere.
    Send(Outgoing),
    /// It goes there instead.
    Redirect(Outgoing),
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
}

impl Deed {
    /// What it takes, roughly.
    pub fn bytes(&self) -> usize {
        let more = match self {
            Deed::Answer(outgoing) | Deed::Send(outgoing) | Deed::Redirect(outgoing) => {
                outgoing.from.len() + outgoing.to.len() + outgoing.stanza.len()
            }
            Deed::Add(_, ListChange::Add(text) | ListChange::Remove(text)) => text.len(),
            Deed::Add(..) | Deed::MarkUser { .. } | Deed::Unsubscribe(_) => 0,
        };
        size_of::<Deed>() + more
    }
}

impl Outgoing {
    /// The sender is told that the stanza goes nowhere. Answers are not answered.
    pub fn bounce(stanza: &Stanza<'_>, bounce: &Bounce) -> Option<Outgoing> {
        if stanza.is_final() {
            return None;
        }
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
        Some(Outgoing { kind, from: from.into(), to: to.into(), stanza: out })
    }

    /// The sender is answered with these words.
    pub fn reply(stanza: &Stanza<'_>, text: &str) -> Option<Outgoing> {
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
        Some(Outgoing { kind, from: from.into(), to: to.into(), stanza })
    }

    /// Somebody else gets the stanza, from the same sender.
    pub fn copy(stanza: &Stanza<'_>, to: &str) -> Outgoing {
        let mut out = Vec::new();
        stanza.write(&mut out, Some(to));
        let kind = stanza_kind(stanza.kind(), stanza.kind_attribute());
        let kind = kind.unwrap_or(StanzaKind::Message(MessageType::Normal));
        let from = stanza.from().unwrap_or_default().to_owned();
        Outgoing { kind, from, to: to.into(), stanza: out }
    }

    /// The server sends somebody the stanza, perhaps with a report of it (XEP-0377).
    pub fn forward(stanza: &Stanza<'_>, host: &str, to: &str, report: Option<&Report>) -> Outgoing {
        let (from, escaped) = (escape::attribute_value(host), escape::attribute_value(to));
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
        Outgoing { kind, from: host.into(), to: to.into(), stanza: out }
    }
}

/// Whom a stanza is for: its sender's account where it names nobody.
fn addressee<'s>(stanza: &'s Stanza<'_>) -> Option<&'s str> {
    stanza.to().or_else(|| stanza.from().map(bare_of))
}

impl Shard {
    /// Does what rules want done about a stanza that was sent on so many rules' behalf before.
    pub(super) fn do_deeds(
        &mut self,
        io: &mut Io<Shard>,
        deeds: Vec<Deed>,
        bearer: Option<&Arc<Bearer>>,
        generation: u8,
    ) {
        for deed in deeds {
            match deed {
                Deed::Answer(outgoing) => self.answer_for_rules(io, &outgoing),
                Deed::Send(outgoing) | Deed::Redirect(outgoing) => {
                    self.send_for_rules(io, outgoing, bearer, generation);
                }
                Deed::MarkUser { account, name, at_ms } => self.store_mark(io, account.bare(), &name, at_ms),
                Deed::Add(name, change) => self.tell_of_list(io, &name, &change),
                Deed::Unsubscribe(question) => self.ask_for_rules(io, AskedByRules { question, back: None }),
            }
        }
    }

    fn answer_for_rules(&mut self, io: &mut Io<Shard>, answer: &Outgoing) {
        let Outgoing { kind, from, to, stanza } = answer;
        let Ok(to) = Jid::parse(to) else { return };
        let write = |out: &mut Vec<u8>| out.extend_from_slice(stanza);
        let traits = deliver::traits_of(*kind, stanza);
        let routed = Routed::new(*kind, traits, Sender::of(from), &to, stanza.len(), write);
        self.dispatch(io, routed.passed());
    }

    fn send_for_rules(&mut self, io: &mut Io<Shard>, outgoing: Outgoing, bearer: Option<&Arc<Bearer>>, generation: u8) {
        let Outgoing { kind, from, to, stanza } = outgoing;
        let Ok(jid) = Jid::parse(&to) else { return };
        if !self.settings.serves(jid.domain()) {
            let domain = jid.domain();
            limited_event!(WARN, "firewall", "a rule sends something to {domain}, which is no domain of this server");
            return;
        }
        // It was not meant for this addressee: what only their own server may say is still in it.
        let names = [bare_of(&from), jid.bare()].map(|bare| forged::Names { account: bare, domain: domain_of(bare) });
        let mut stanza = stanza;
        if forged::may_be_forged(deliver::traits_of(kind, &stanza)) {
            stanza = forged::without_forged(stanza, &names);
        }
        let traits = deliver::traits_of(kind, &stanza);
        let write = |out: &mut Vec<u8>| out.extend_from_slice(&stanza);
        let mut routed = Routed::new(kind, traits, Sender::of(&from), &jid, stanza.len(), write);
        routed.generation = generation.saturating_add(1);
        // A copy is still the session's, what the server says about it is not.
        routed.bearer = bearer.filter(|bearer| bearer.address.bare() == bare_of(&from)).cloned();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::{Action, Rules};
    use crate::xml::Element;

    fn sent(outgoing: Outgoing) -> (String, String, String) {
        let Outgoing { from, to, stanza, .. } = outgoing;
        (from, to, String::from_utf8(stanza).unwrap())
    }

    #[test]
    fn a_presence_is_bounced_with_its_addresses_swapped_63() {
        let bytes = b"<presence type='subscribe' from='a@b' to='c@d'/>";
        let stanza = Stanza::new(Kind::Presence, bytes, ns::CLIENT, Some("a@b"), Some("c@d"), Some("subscribe".into()));
        let refusal = Bounce { kind: "cancel", condition: "not-allowed", text: None };
        let (from, to, answer) = sent(Outgoing::bounce(&stanza, &refusal).unwrap());
        assert_eq!((&*from, &*to), ("c@d", "a@b"));
        let answer = Element::parse(answer.as_bytes()).unwrap();
        assert_eq!((&*answer.name, answer.attribute("type")), ("presence", Some("error")));
        assert_eq!((answer.attribute("from"), answer.attribute("to")), (Some("c@d"), Some("a@b")));
        let error = answer.child("error", ns::CLIENT).unwrap();
        assert_eq!(error.attribute("type"), Some("cancel"));
        assert!(error.child("not-allowed", ns::STANZA_ERRORS).is_some());
    }

    #[test]
    fn a_report_has_its_reason_and_its_words_68() {
        let stanza = Stanza::new(Kind::Message, b"<message/>", ns::CLIENT, Some("a@b/x"), Some("c@d"), None);
        for (action, reason, text) in [
            ("REPORT TO=r@x spam Caught it", "urn:xmpp:reporting:spam", Some("Caught it")),
            ("REPORT TO=r@x", "urn:xmpp:reporting:abuse", None),
            ("REPORT TO=r@x urn:foo", "urn:foo", None),
        ] {
            let script = format!("KIND: message\n{action}\n");
            let (rules, _) = Rules::load(&[("s", &script)], Default::default()).unwrap();
            let Action::Report(report) = &rules.chains[0].rules[0].actions[0].action else { panic!("{action}") };
            let (from, to, sent) = sent(Outgoing::forward(&stanza, "d", &report.to, Some(report)));
            assert_eq!((&*from, &*to), ("d", "r@x"));
            let sent = Element::parse(sent.as_bytes()).unwrap();
            let found = sent.child("report", ns::REPORTING).unwrap();
            assert_eq!(found.attribute("reason"), Some(reason));
            assert_eq!(found.child("text", ns::REPORTING).map(|text| text.text()).as_deref(), text);
            let inner =
                sent.child("forwarded", ns::FORWARD).and_then(|forwarded| forwarded.child("message", ns::CLIENT));
            assert_eq!(inner.and_then(|inner| inner.attribute("from")), Some("a@b/x"));
        }
    }
}
