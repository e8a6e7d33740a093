//! The Core suite of XEP-0479 (2023), advanced server: a test for each row, by clients that others wrote.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/program.rs"]
mod program;
#[path = "clients/row.rs"]
mod row;

use common::{HEADER, Raw, plain, tls};
use row::slixmpp;

#[test]
fn core_features_rfc_6120() {
    slixmpp("compliance_core.py", "core_features_rfc_6120");
}

#[test]
fn core_tls_rfc_7590() {
    slixmpp("compliance_core.py", "core_tls_rfc_7590");
    // Nothing of a login is taken, or offered, in the clear (RFC 7590 §3.1, §3.2).
    let server = conversation::server();
    let mut raw = Raw::connect(server.address);
    raw.say(HEADER);
    let features = raw.hear("</stream:features>");
    assert!(features.contains("<starttls") && features.contains("<required/>"), "{features}");
    assert!(!features.contains("<mechanism"), "{features}");
    let password = plain("juliet", "secret");
    raw.say(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{password}</auth>"));
    let refused = raw.hear("</failure>");
    assert!(refused.contains("<encryption-required/>"), "{refused}");
    // Both versions that may still be used, and a certificate that is looked at.
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut raw = tls::direct(&server, version);
        raw.log_in("juliet", "balcony");
    }
}

#[test]
fn core_direct_tls_xep_0368() {
    slixmpp("compliance_core.py", "core_direct_tls_xep_0368");
}

#[test]
fn core_feature_discovery_xep_0030() {
    slixmpp("compliance_core.py", "core_feature_discovery_xep_0030");
}

#[test]
fn core_feature_broadcasts_xep_0115() {
    slixmpp("compliance_core.py", "core_feature_broadcasts_xep_0115");
}

#[test]
fn core_event_publishing_xep_0163() {
    slixmpp("compliance_core.py", "core_event_publishing_xep_0163");
}
