//! One server, two domains: each has its certificate and its accounts, and people of both talk to each other.

mod common;

use std::fs;
use std::path::Path;

use common::scram::Scram;
use common::tls::{self, TlsStream};
use common::{Raw, Server, header, user};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use sha2::{Digest, Sha256};

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// The first certificate is also what is shown to those who ask for something else.
const DOMAINS: [&str; 2] = ["verona.example", "mantua.example"];

/// Written beside each other as `verona.example.crt` and `verona.example.key`.
fn certify(folder: &Path, domain: &str) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed([domain.to_owned()]).unwrap();
    fs::write(folder.join(format!("{domain}.crt")), made.cert.pem()).unwrap();
    fs::write(folder.join(format!("{domain}.key")), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// A server of both domains that insists on TLS, and their certificates.
fn start(more: &[&str]) -> (Server, [CertificateDer<'static>; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let certificates = DOMAINS.map(|domain| certify(directory.path(), domain));
    let mut flags: Vec<String> = more.iter().map(|flag| (*flag).to_owned()).collect();
    for domain in DOMAINS {
        let file = |kind: &str| directory.path().join(format!("{domain}.{kind}")).to_str().unwrap().to_owned();
        flags.extend(["--domain".into(), domain.into()]);
        flags.extend(["--tls-cert".into(), file("crt"), "--tls-key".into(), file("key")]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    (Server::start_with(directory, &flags), certificates)
}

fn add_user(server: &Server, account: &str) {
    let output = user(&server.data(), &["add", account, "--password-stdin"], "secret\n");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn each_domain_shows_its_own_certificate_whether_tls_comes_first_or_by_starttls() {
    let (server, certificates) = start(&[]);
    for (domain, certificate) in DOMAINS.into_iter().zip(&certificates) {
        let streams = [Raw::connect(server.direct_tls).stream, tls::proceeded(&server, domain)];
        for stream in streams {
            assert_eq!(tls::shown_certificate(stream, domain), certificate.as_ref(), "{domain}");
        }
        // Clients that look at it are content.
        for version in [&TLS12, &TLS13] {
            let config = || tls::trusting(certificate.clone(), version);
            for mut raw in [tls::direct_to(&server, domain, config()), tls::starttls_to(&server, domain, config())] {
                raw.say(&header(domain));
                let heard = raw.hear("</stream:features>");
                assert!(heard.contains(&format!(" from='{domain}'")) && heard.contains("<mechanism>"), "{heard}");
            }
        }
    }
    let shown = tls::shown_certificate(Raw::connect(server.direct_tls).stream, "elsewhere.example");
    assert_eq!(shown, certificates[0].as_ref());
}

/// Available, in a session that was verified by the certificate of the domain.
fn online(server: &Server, domain: &str, certificate: &CertificateDer<'static>, resource: &str) -> Raw<TlsStream> {
    let mut raw = tls::direct_to(server, domain, tls::trusting(certificate.clone(), &TLS13));
    raw.log_in_at(domain, "romeo", resource);
    raw.say("<presence/>");
    raw.hear(&format!("from='romeo@{domain}/{resource}'"));
    raw
}

/// They have the same name, so that only the domain tells them from each other, and shards of their own if they can.
#[test]
fn users_of_both_domains_talk_to_each_other() {
    let (server, [verona, mantua]) = start(&["--shards", "2"]);
    DOMAINS.iter().for_each(|domain| add_user(&server, &format!("romeo@{domain}")));
    let mut here = online(&server, "verona.example", &verona, "street");
    let mut there = online(&server, "mantua.example", &mantua, "exile");
    here.say("<message to='romeo@mantua.example' type='chat' id='m1'><body>banished</body></message>");
    let heard = there.hear("</message>");
    assert!(heard.contains("from='romeo@verona.example/street'") && heard.contains("<body>banished</body>"), "{heard}");
    assert!(heard.contains("to='romeo@mantua.example'") && heard.contains("id='m1'"), "{heard}");
    there.say("<message to='romeo@verona.example/street' id='m2'><body>returning</body></message>");
    let heard = here.hear("</message>");
    assert!(heard.contains("from='romeo@mantua.example/exile'") && heard.contains("id='m2'"), "{heard}");
    assert!(!heard.contains("banished"), "the first message was for the other: {heard}");
    // Nobody speaks for the other domain.
    here.say("<message from='romeo@mantua.example' to='romeo@mantua.example' id='m3'><body>me</body></message>");
    let rest = there.hear("</message>");
    assert!(rest.contains("from='romeo@verona.example/street'") && rest.contains("id='m3'"), "{rest}");
}

#[test]
fn an_account_of_one_domain_is_unknown_to_the_other() {
    let (server, certificates) = start(&[]);
    add_user(&server, "romeo@verona.example");
    let outcomes = [0, 1].map(|index| {
        let config = tls::trusting(certificates[index].clone(), &TLS13);
        let mut raw = tls::direct_to(&server, DOMAINS[index], config);
        raw.say(&header(DOMAINS[index]));
        raw.hear("</stream:features>");
        let initial = common::plain("romeo", "secret");
        raw.say(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{initial}</auth>"));
        raw.hear("</")
    });
    assert!(outcomes[0].contains("<success") && outcomes[1].contains("<not-authorized"), "{outcomes:?}");
    let output = user(&server.data(), &["add", "romeo@padua.example", "--password-stdin"], "secret\n");
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(line.contains("padua.example is not served here") && output.status.code() == Some(1), "{line}");
}

/// With TLS 1.2 a login is bound to the certificate: to the one that this client was shown, not to the server's first.
#[test]
fn a_login_is_bound_to_the_certificate_of_its_domain() {
    let (server, certificates) = start(&[]);
    add_user(&server, "romeo@mantua.example");
    let outcome = |bound_to: &CertificateDer<'static>| {
        let config = tls::trusting(certificates[1].clone(), &TLS12);
        let mut raw = tls::direct_to(&server, "mantua.example", config);
        raw.say(&header("mantua.example"));
        raw.hear("</stream:features>");
        let mut scram = Scram::new("romeo", Some(("tls-server-end-point", &Sha256::digest(bound_to))));
        raw.say(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256-PLUS'>{}</auth>", scram.first()));
        let challenge = raw.hear_between("xmpp-sasl'>", "</challenge>");
        raw.say(&format!("<response xmlns='{SASL}'>{}</response>", scram.last(&challenge, "secret")));
        raw.hear("</")
    };
    assert!(outcome(&certificates[1]).contains("<success"));
    assert!(outcome(&certificates[0]).contains("<not-authorized"));
}
