//! Flags of `rondel serve`: how much may be sent over one connection.

use clap::Args;
use hashbrown::{HashMap, HashSet};
use rondel_shards::Rate;

use super::{names, values};
use crate::jid::Jid;
use crate::limits::{ByteLimits, Link, StanzaLimits, StrangerLimits, Traffic};

/// Bytes of a client.
const CLIENT: Rate = Rate { per_second: 10_000.0, burst: 100_000.0 };

/// Bytes of another server.
const SERVER: Rate = Rate { per_second: 30_000.0, burst: 300_000.0 };

/// Stanzas of each kind.
const STANZAS: Rate = Rate { per_second: 50.0, burst: 1_000.0 };

/// Bytes of one connection, perhaps of one domain alone.
#[derive(Clone, Debug, PartialEq)]
pub struct ByteLimit {
    domain: Option<String>,
    rate: Option<Rate>,
}

/// Stanzas of one kind, or of every kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StanzaLimit {
    kind: Option<StanzaName>,
    rate: Option<Rate>,
}

/// A rate, or none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionalRate(Option<Rate>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StanzaName {
    Message,
    Presence,
    Iq,
}

/// Traffic.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits of traffic")]
pub struct TrafficFlags {
    /// Bytes that are read of one client: in a second, and after the colon for how many seconds at once. What is over
    /// is read later, and the client notices nothing but that it is slow. Behind a domain and a = it is for the
    /// accounts of that one: repeat it. none: as fast as they come. Without it: 10kb/s:10s.
    #[arg(long, env = "RONDEL_LIMIT_C2S", value_name = "[DOMAIN=]RATE")]
    #[arg(value_parser = byte_limit, value_delimiter = ',')]
    pub limit_c2s: Vec<ByteLimit>,

    /// The same of a server that has connected to this one, once there are connections to other servers.
    /// Without it: 30kb/s:10s.
    #[arg(long, env = "RONDEL_LIMIT_S2S_IN", value_name = "[DOMAIN=]RATE")]
    #[arg(value_parser = byte_limit, value_delimiter = ',')]
    pub limit_s2s_in: Vec<ByteLimit>,

    /// The same of a server that this one has connected to. Without it: 30kb/s:10s.
    #[arg(long, env = "RONDEL_LIMIT_S2S_OUT", value_name = "[DOMAIN=]RATE")]
    #[arg(value_parser = byte_limit, value_delimiter = ',')]
    pub limit_s2s_out: Vec<ByteLimit>,

    /// The same of a component, once there are some. Without it: none.
    #[arg(long, env = "RONDEL_LIMIT_COMPONENT", value_name = "[DOMAIN=]RATE")]
    #[arg(value_parser = byte_limit, value_delimiter = ',')]
    pub limit_component: Vec<ByteLimit>,

    /// Stanzas that are read of one session, in general or of a kind: message=20/s:200. What is over is read later.
    /// none: as many as come. Without it: 50/s:1000.
    #[arg(long, env = "RONDEL_LIMIT_STANZAS", value_name = "[KIND=]RATE")]
    #[arg(value_parser = stanza_limit, value_delimiter = ',')]
    pub limit_stanzas: Vec<StanzaLimit>,

    /// Messages that an account may send to strangers: those who are no contacts of it and have not written to it
    /// lately. Beyond it they are refused (policy-violation, type wait). none: as many as it likes.
    #[arg(long, env = "RONDEL_LIMIT_STRANGERS", value_name = "RATE", default_value = "30/min:100")]
    #[arg(value_parser = rate_or_none)]
    pub limit_strangers: OptionalRate,

    /// Requests for subscriptions that an account may send to strangers.
    #[arg(long, env = "RONDEL_LIMIT_SUBSCRIPTIONS", value_name = "RATE", default_value = "60/h:60")]
    #[arg(value_parser = rate_or_none)]
    pub limit_subscriptions: OptionalRate,

    /// An account, or a domain, whose sessions have none of these limits; repeat it for several.
    #[arg(long, env = "RONDEL_LIMIT_EXEMPT", value_name = "JID", value_parser = exempt, value_delimiter = ',')]
    pub limit_exempt: Vec<String>,
}

impl TrafficFlags {
    /// The limits. An error says what to change.
    pub fn limits(&self) -> Result<Traffic, String> {
        let links = [
            (Link::Client, "--limit-c2s", &self.limit_c2s, Some(CLIENT)),
            (Link::ServerIn, "--limit-s2s-in", &self.limit_s2s_in, Some(SERVER)),
            (Link::ServerOut, "--limit-s2s-out", &self.limit_s2s_out, Some(SERVER)),
            (Link::Component, "--limit-component", &self.limit_component, None),
        ];
        let bytes = links.into_iter().map(|(link, flag, given, usual)| Ok((link, byte_limits(flag, given, usual)?)));
        let bytes = bytes.collect::<Result<HashMap<Link, ByteLimits>, String>>()?;
        let exempt: HashSet<String> = self.limit_exempt.iter().cloned().collect();
        let strangers = StrangerLimits { messages: self.limit_strangers.0, subscriptions: self.limit_subscriptions.0 };
        Ok(Traffic { bytes, stanzas: self.stanzas()?, strangers, exempt })
    }

    fn stanzas(&self) -> Result<StanzaLimits, String> {
        let of = |kind: Option<StanzaName>| {
            let mut given = self.limit_stanzas.iter().filter(|limit| limit.kind == kind);
            let first = given.next().map(|limit| limit.rate);
            match given.next() {
                Some(_) => Err("--limit-stanzas: two rates for the same stanzas".to_owned()),
                None => Ok(first),
            }
        };
        let general = of(None)?.unwrap_or(Some(STANZAS));
        let of_kind = |kind| Ok::<_, String>(of(Some(kind))?.unwrap_or(general));
        Ok(StanzaLimits {
            messages: of_kind(StanzaName::Message)?,
            presence: of_kind(StanzaName::Presence)?,
            iqs: of_kind(StanzaName::Iq)?,
        })
    }
}

fn byte_limits(flag: &str, given: &[ByteLimit], usual: Option<Rate>) -> Result<ByteLimits, String> {
    let mut limits = ByteLimits { usual, ..ByteLimits::default() };
    let mut is_given = false;
    for limit in given {
        let is_second = match &limit.domain {
            Some(domain) => limits.domains.insert(domain.clone(), limit.rate).is_some(),
            None => {
                limits.usual = limit.rate;
                std::mem::replace(&mut is_given, true)
            }
        };
        if is_second {
            return Err(format!("{flag}: two rates for the same connections"));
        }
    }
    Ok(limits)
}

fn byte_limit(text: &str) -> Result<ByteLimit, String> {
    let (domain, rate) = match text.split_once('=') {
        Some((domain, rate)) => (Some(names::domain(domain)?), rate),
        None => (None, text),
    };
    let rate = if rate == "none" { None } else { Some(values::byte_rate(rate)?) };
    Ok(ByteLimit { domain, rate })
}

fn stanza_limit(text: &str) -> Result<StanzaLimit, String> {
    let (kind, rate) = match text.split_once('=') {
        Some(("message", rate)) => (Some(StanzaName::Message), rate),
        Some(("presence", rate)) => (Some(StanzaName::Presence), rate),
        Some(("iq", rate)) => (Some(StanzaName::Iq), rate),
        Some(_) => return Err("message, presence or iq in front of the =, such as message=20/s:200".into()),
        None => (None, text),
    };
    let rate = if rate == "none" { None } else { Some(values::rate(rate)?.into()) };
    Ok(StanzaLimit { kind, rate })
}

fn rate_or_none(text: &str) -> Result<OptionalRate, String> {
    if text == "none" { Ok(OptionalRate(None)) } else { Ok(OptionalRate(Some(values::rate(text)?.into()))) }
}

fn exempt(text: &str) -> Result<String, String> {
    let jid = Jid::parse(text).map_err(|error| format!("an account or a domain; {error}"))?;
    if jid.is_full() { Err("an account or a domain, without a resource".into()) } else { Ok(jid.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::{serve, usage};

    fn limits(flags: &str) -> Traffic {
        serve(&format!("--dev {flags}")).traffic.limits().unwrap()
    }

    #[test]
    fn limits_are_on_unless_told_otherwise() {
        let limits = limits("");
        let rate = Some(Rate { per_second: 10_000.0, burst: 100_000.0 });
        assert_eq!(limits.bytes_of_session("a@localhost"), rate);
        assert_eq!(limits.stanzas.messages, Some(Rate { per_second: 50.0, burst: 1000.0 }));
        assert_eq!((limits.stanzas.presence, limits.stanzas.iqs), (limits.stanzas.messages, limits.stanzas.messages));
        assert_eq!(limits.bytes(Link::Component, None), None);
        assert_eq!(limits.strangers.messages, Some(Rate { per_second: 0.5, burst: 100.0 }));
    }

    #[test]
    fn domains_kinds_and_exemptions() {
        let limits = limits(
            "--limit-c2s 3kb/s:2s --limit-c2s b.example=none --limit-stanzas none --limit-stanzas message=20/s:200 \
             --limit-exempt Bot@a.example,c.example --limit-s2s-in 1mb/s",
        );
        let slow = Some(Rate { per_second: 3_000.0, burst: 6_000.0 });
        assert_eq!(limits.bytes_of_session("a@a.example"), slow);
        assert_eq!(limits.bytes_of_session("a@b.example"), None);
        assert_eq!(limits.bytes_of_session("bot@a.example"), None);
        assert_eq!(limits.bytes_of_session("x@c.example"), None);
        assert_eq!(limits.bytes(Link::ServerIn, None), Some(Rate { per_second: 1e6, burst: 2e6 }));
        assert_eq!(limits.stanzas.messages, Some(Rate { per_second: 20.0, burst: 200.0 }));
        assert_eq!(limits.stanzas.iqs, None);
    }

    #[test]
    fn what_is_said_of_some_leaves_the_others_as_they_are() {
        let limits = limits("--limit-c2s b.example=none --limit-stanzas iq=5/s");
        assert_eq!(limits.bytes_of_session("a@a.example"), Some(CLIENT));
        assert_eq!(limits.bytes_of_session("a@b.example"), None);
        assert_eq!(limits.stanzas.messages, Some(STANZAS));
        assert_eq!(limits.stanzas.iqs, Some(Rate { per_second: 5.0, burst: 5.0 }));
    }

    #[test]
    fn what_cannot_be_read_is_told_and_not_replaced() {
        for (flags, wrong) in [
            ("--limit-c2s 3kb", "--limit-c2s"),
            ("--limit-c2s 3.5kb/s", "--limit-c2s"),
            ("--limit-c2s fast/s", "--limit-c2s"),
            ("--limit-c2s 3kb/s:0", "--limit-c2s"),
            ("--limit-c2s a..b=3kb/s", "--limit-c2s"),
            ("--limit-c2s 3kb/s --limit-c2s 4kb/s", "two rates for the same connections"),
            ("--limit-stanzas word=3/s", "message, presence or iq"),
            ("--limit-stanzas iq=3/s --limit-stanzas iq=4/s", "two rates for the same stanzas"),
            ("--limit-exempt a@b/c", "without a resource"),
            ("--limit-strangers few", "--limit-strangers"),
        ] {
            let line = usage(&format!("serve --dev {flags}"));
            assert!(line.contains(wrong) && line.lines().count() == 1, "{flags}: {line}");
        }
    }
}
