//! Stream headers and stream features (RFC 6120 §4.2, §4.3).

use std::sync::atomic::Ordering;

use super::config::{Config, TlsPolicy};
use super::inline::BoundResource;
use crate::sasl::{Bindings, Hash, Ht, Mechanism};
use crate::xml::{escape, namespaces as ns};

/// Appends the server's stream header.
pub(super) fn write_header(out: &mut Vec<u8>, domain: Option<&str>, to: Option<&str>, id: &str) {
    out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='");
    out.extend_from_slice(ns::STREAMS.as_bytes());
    out.extend_from_slice(format!("' id='{id}' version='1.0' xml:lang='en'").as_bytes());
    for (name, value) in [("from", domain), ("to", to)] {
        if let Some(value) = value {
            out.extend_from_slice(format!(" {name}='").as_bytes());
            escape::attribute(out, value);
            out.push(b'\'');
        }
    }
    out.push(b'>');
}

/// The mechanisms to offer, the best first. None where TLS has to come first.
pub(super) fn mechanisms(config: &Config, domain: &str, tls: Option<&Bindings>) -> Vec<Mechanism> {
    if tls.is_none() && config.tls != TlsPolicy::PlaintextAllowed {
        return Vec::new();
    }
    let can_bind = tls.is_some_and(|bindings| !bindings.is_empty());
    let mut offered = Vec::new();
    if config.anonymous.as_deref() != Some(domain) {
        for plus in [true, false] {
            let hashes = Hash::ALL.into_iter().filter(|hash| config.hashes.contains(hash) && (can_bind || !plus));
            offered.extend(hashes.map(|hash| Mechanism::Scram { hash, plus }));
        }
        if config.plain && tls.is_some() {
            offered.push(Mechanism::Plain);
        }
    } else {
        offered.push(Mechanism::Anonymous);
    }
    offered
}

/// The mechanisms for tokens (XEP-0484 §3.1), the best first: under TLS, for users whom the server knows.
///
/// One without channel binding is always among them. Clients in browsers have no channel to bind by, and without a
/// token they would have to keep the password, which logs in without channel binding, too, and everywhere. Whoever can
/// bind is no worse off: a token is good for the mechanism that it was issued for and no other.
pub(super) fn token_mechanisms(config: &Config, domain: &str, tls: Option<&Bindings>) -> Vec<Ht> {
    let has_tokens = config.token_lifetime_s > 0 && config.anonymous.as_deref() != Some(domain);
    tls.filter(|_| has_tokens).map(Ht::possible).unwrap_or_default()
}

/// The types of channel binding to advertise (XEP-0440 §3): none unless a mechanism is offered that binds.
pub(super) fn binding_names(mechanisms: &[Mechanism], tls: Option<&Bindings>) -> Vec<&'static str> {
    let binds = mechanisms.iter().any(|mechanism| matches!(mechanism, Mechanism::Scram { plus: true, .. }));
    tls.filter(|_| binds).map(Bindings::names).unwrap_or_default()
}

/// Appends the features before login.
pub(super) fn write_before_login(out: &mut Vec<u8>, config: &Config, domain: &str, tls: Option<&Bindings>) {
    out.extend_from_slice(b"<stream:features>");
    if tls.is_none() && config.tls_available {
        let required = if config.tls == TlsPolicy::Required { "<required/>" } else { "" };
        out.extend_from_slice(format!("<starttls xmlns='{}'>{required}</starttls>", ns::TLS).as_bytes());
    }
    let mechanisms = mechanisms(config, domain, tls);
    if !mechanisms.is_empty() {
        let list: String = mechanisms.iter().map(|each| format!("<mechanism>{}</mechanism>", each.name())).collect();
        // XEP-0388 §2.1: only once the stream is encrypted.
        if tls.is_some() {
            out.extend_from_slice(format!("<authentication xmlns='{}'>{list}<inline>", ns::SASL2).as_bytes());
            write_inline(out, config, &token_mechanisms(config, domain, tls));
            out.extend_from_slice(b"</inline></authentication>");
        }
        out.extend_from_slice(format!("<mechanisms xmlns='{}'>{list}</mechanisms>", ns::SASL).as_bytes());
        let names = binding_names(&mechanisms, tls);
        if !names.is_empty() {
            let list: String = names.iter().map(|name| format!("<channel-binding type='{name}'/>")).collect();
            let text = format!("<sasl-channel-binding xmlns='{}'>{list}</sasl-channel-binding>", ns::CHANNEL_BINDING);
            out.extend_from_slice(text.as_bytes());
        }
    }
    // XEP-0077 §5: where nobody has logged in yet, and nobody can listen.
    let is_safe = tls.is_some() || config.tls == TlsPolicy::PlaintextAllowed;
    if is_safe && config.registration.load(Ordering::Relaxed) && config.anonymous.as_deref() != Some(domain) {
        for namespace in [ns::REGISTER_FEATURE, ns::INVITED_FEATURE, ns::INVITE] {
            out.extend_from_slice(format!("<register xmlns='{namespace}'/>").as_bytes());
        }
    }
    write_limits(out, config.max_bytes_before_login, 0);
    out.extend_from_slice(b"</stream:features>");
}

/// Appends what can be asked for along with a login (XEP-0388 §2.1): Bind 2 with what it can switch on, resumption,
/// tokens. TLS 1.3 early data are not accepted, and therefore not offered to tokens.
fn write_inline(out: &mut Vec<u8>, config: &Config, tokens: &[Ht]) {
    let features: String = config.features.names().map(|name| format!("<feature var='{name}'/>")).collect();
    let bind = match features.is_empty() {
        true => format!("<bind xmlns='{}'/>", ns::BIND2),
        false => format!("<bind xmlns='{}'><inline>{features}</inline></bind>", ns::BIND2),
    };
    out.extend_from_slice(bind.as_bytes());
    if config.features.stream_management {
        out.extend_from_slice(format!("<sm xmlns='{}'/>", ns::STREAM_MANAGEMENT).as_bytes());
    }
    if !tokens.is_empty() {
        let list: String = tokens.iter().map(|each| format!("<mechanism>{}</mechanism>", each.name())).collect();
        out.extend_from_slice(format!("<fast xmlns='{}'>{list}</fast>", ns::FAST).as_bytes());
    }
}

/// Appends the features after login: those of a stream that has a resource, or has yet to bind one.
pub(super) fn write_after_login(out: &mut Vec<u8>, config: &Config, bound: Option<&BoundResource>) {
    out.extend_from_slice(b"<stream:features>");
    let is_managed = bound.is_some_and(|bound| bound.is_managed);
    if config.features.stream_management && !is_managed {
        out.extend_from_slice(format!("<sm xmlns='{}'/>", ns::STREAM_MANAGEMENT).as_bytes());
    }
    if config.features.client_state {
        out.extend_from_slice(format!("<csi xmlns='{}'/>", ns::CLIENT_STATE).as_bytes());
    }
    let roster = format!("<ver xmlns='{}'/><sub xmlns='{}'/>", ns::ROSTER_VERSIONING, ns::SUBSCRIPTION_PREAPPROVAL);
    out.extend_from_slice(roster.as_bytes());
    if bound.is_none() {
        let text = format!(
            "<bind xmlns='{}'><required/></bind><session xmlns='{}'><optional/></session>",
            ns::BIND,
            ns::SESSION
        );
        out.extend_from_slice(text.as_bytes());
    }
    write_limits(out, config.max_bytes, config.idle_seconds);
    out.extend_from_slice(b"</stream:features>");
}

/// XEP-0478.
fn write_limits(out: &mut Vec<u8>, max_bytes: usize, idle_seconds: u64) {
    out.extend_from_slice(
        format!("<limits xmlns='{}'><max-bytes>{max_bytes}</max-bytes>", ns::STREAM_LIMITS).as_bytes(),
    );
    if idle_seconds > 0 {
        out.extend_from_slice(format!("<idle-seconds>{idle_seconds}</idle-seconds>").as_bytes());
    }
    out.extend_from_slice(b"</limits>");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::jid::Jid;
    use crate::sasl::UnknownUsers;
    use crate::service::is_documented;
    use crate::stream::SessionFeatures;
    use crate::xml::Element;

    const SPECIFICATIONS: [(&str, &str); 16] = [
        (ns::TLS, "RFC 6120"),
        (ns::SASL, "RFC 6120"),
        (ns::BIND, "RFC 6120"),
        (ns::SESSION, "RFC 6120"),
        (ns::ROSTER_VERSIONING, "RFC 6121"),
        (ns::SUBSCRIPTION_PREAPPROVAL, "RFC 6121"),
        (ns::SASL2, "XEP-0388"),
        (ns::BIND2, "XEP-0386"),
        (ns::CHANNEL_BINDING, "XEP-0440"),
        (ns::STREAM_LIMITS, "XEP-0478"),
        (ns::FAST, "XEP-0484"),
        (ns::STREAM_MANAGEMENT, "XEP-0198"),
        (ns::REGISTER_FEATURE, "XEP-0077"),
        (ns::INVITED_FEATURE, "XEP-0445"),
        (ns::INVITE, "XEP-0401"),
        (ns::CLIENT_STATE, "XEP-0352"),
    ];

    fn config() -> Config {
        Config {
            domains: vec!["example.org".into()],
            tls: TlsPolicy::Required,
            tls_available: true,
            hashes: Hash::ALL.to_vec(),
            plain: true,
            anonymous: None,
            tries: 3,
            max_bytes_before_login: 10_000,
            max_bytes: 10_000,
            idle_seconds: 60,
            unknown: UnknownUsers::new([7; 32], 4096),
            iterations: 4096,
            features: SessionFeatures { stream_management: true, carbons: true, client_state: true },
            token_lifetime_s: 1,
            registration: AtomicBool::new(true),
        }
    }

    /// The namespaces in it.
    fn namespaces(features: &Element) -> BTreeSet<String> {
        let inner = features.children().flat_map(namespaces);
        inner.chain(features.children().map(|child| child.namespace.clone())).collect()
    }

    #[test]
    fn what_is_advertised_is_documented() {
        let (config, bindings) = (config(), Bindings { exporter: Some([0; 32]), server_end_point: None });
        let mut seen = BTreeSet::new();
        let mut look = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut features = Vec::new();
            write(&mut features);
            seen.extend(namespaces(&Element::parse(&features).unwrap()));
        };
        look(&|out| write_before_login(out, &config, "example.org", None));
        look(&|out| write_before_login(out, &config, "example.org", Some(&bindings)));
        look(&|out| write_after_login(out, &config, None));
        let jid = Jid::parse("juliet@example.org/balcony").unwrap().into_owned();
        look(&|out| {
            write_after_login(
                out,
                &config,
                Some(&BoundResource { jid: jid.clone(), results: Vec::new(), is_managed: false }),
            )
        });
        let known: BTreeSet<_> = SPECIFICATIONS.iter().map(|(namespace, _)| (*namespace).to_owned()).collect();
        assert_eq!(seen, known, "what is advertised, and what this test knows the specification of");
        for (_, specification) in SPECIFICATIONS {
            assert!(is_documented(specification), "{specification} is not in docs/");
        }
    }
}
