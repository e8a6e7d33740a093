//! Stream headers and stream features (RFC 6120 §4.2, §4.3).

use super::negotiation::{Config, TlsPolicy};
use crate::sasl::{Bindings, Hash, Mechanism};
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
            let text = format!(
                "<authentication xmlns='{}'>{list}<inline><bind xmlns='{}'/></inline></authentication>",
                ns::SASL2,
                ns::BIND2,
            );
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(format!("<mechanisms xmlns='{}'>{list}</mechanisms>", ns::SASL).as_bytes());
        let names = binding_names(&mechanisms, tls);
        if !names.is_empty() {
            let list: String = names.iter().map(|name| format!("<channel-binding type='{name}'/>")).collect();
            let text = format!("<sasl-channel-binding xmlns='{}'>{list}</sasl-channel-binding>", ns::CHANNEL_BINDING);
            out.extend_from_slice(text.as_bytes());
        }
    }
    write_limits(out, config.max_bytes_before_login, 0);
    out.extend_from_slice(b"</stream:features>");
}

/// Appends the features after login: those of a stream that has a resource, or has yet to bind one.
pub(super) fn write_after_login(out: &mut Vec<u8>, config: &Config, is_bound: bool) {
    out.extend_from_slice(b"<stream:features>");
    if !is_bound {
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

    use super::*;
    use crate::sasl::UnknownUsers;
    use crate::service::is_documented;
    use crate::xml::Element;

    const SPECIFICATIONS: [(&str, &str); 8] = [
        (ns::TLS, "RFC 6120"),
        (ns::SASL, "RFC 6120"),
        (ns::BIND, "RFC 6120"),
        (ns::SESSION, "RFC 6120"),
        (ns::SASL2, "XEP-0388"),
        (ns::BIND2, "XEP-0386"),
        (ns::CHANNEL_BINDING, "XEP-0440"),
        (ns::STREAM_LIMITS, "XEP-0478"),
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
        look(&|out| write_after_login(out, &config, false));
        look(&|out| write_after_login(out, &config, true));
        let known: BTreeSet<_> = SPECIFICATIONS.iter().map(|(namespace, _)| (*namespace).to_owned()).collect();
        assert_eq!(seen, known, "what is advertised, and what this test knows the specification of");
        for (_, specification) in SPECIFICATIONS {
            assert!(is_documented(specification), "{specification} is not in docs/");
        }
    }
}
