//! Certificates from files, shown to real clients.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use time::{Duration, OffsetDateTime};

use super::*;

const P256: &SignatureAlgorithm = &rcgen::PKCS_ECDSA_P256_SHA256;

/// Writes a certificate for these names, and its key, into a folder.
fn write(
    folder: &Path,
    name: &str,
    names: &[&str],
    algorithm: &'static SignatureAlgorithm,
    days: i64,
) -> CertificateFiles {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = OffsetDateTime::now_utc() - Duration::days(30);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(days);
    let files = CertificateFiles { chain: folder.join(name), key: folder.join(format!("{name}.key")) };
    fs::write(&files.chain, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    files
}

fn open(files: &[&CertificateFiles], domains: &[&str]) -> (CertificateStore, Vec<Warning>) {
    let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
    CertificateStore::open(files.iter().map(|files| (*files).clone()).collect(), domains).unwrap()
}

/// What a client that asks for `name` and trusts every certificate in `files` is shown, and the protocol agreed on.
fn shown(
    server: Arc<ServerConfig>,
    name: &str,
    trusted: &[&CertificateFiles],
    version: &'static SupportedProtocolVersion,
    protocol: Option<&[u8]>,
) -> Result<(CertificateDer<'static>, Option<Vec<u8>>), rustls::Error> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    for files in trusted {
        roots.add(CertificateDer::from_pem_file(&files.chain).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocol.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    let certificate = client.peer_certificates().unwrap()[0].clone().into_owned();
    Ok((certificate, server.alpn_protocol().map(<[u8]>::to_vec)))
}

#[test]
fn the_name_a_client_asks_for_chooses_the_certificate() {
    use rustls::version::{TLS12, TLS13};
    let folder = tempfile::tempdir().unwrap();
    let first = write(folder.path(), "first", &["example.org"], P256, 300);
    let second = write(folder.path(), "second", &["*.example.net", "example.net"], &rcgen::PKCS_ECDSA_P384_SHA384, 300);
    let both = [&first, &second];
    let (store, warnings) = open(&both, &["example.org", "example.net", "rooms.example.net"]);
    assert_eq!(warnings, []);
    let see = |name, version| shown(store.starttls(), name, &both, version, None).unwrap().0;
    let one = see("example.org", &TLS13);
    for version in [&TLS12, &TLS13] {
        assert_eq!(see("example.org", version), one);
        assert_eq!(see("Example.NET", version), see("rooms.example.net", version));
        assert_ne!(see("example.net", version), one);
    }
    // Nothing covers it: the first is shown, for the client to judge.
    let error = shown(store.starttls(), "elsewhere.org", &both, &TLS13, None).unwrap_err();
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error}");
}

#[test]
fn direct_tls_speaks_the_protocol_of_clients_and_starttls_none() {
    use rustls::version::TLS13;
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), "first", &["example.org"], P256, 300);
    let (store, _) = open(&[&files], &["example.org"]);
    let protocol = |config, asked| shown(config, "example.org", &[&files], &TLS13, asked).map(|(_, agreed)| agreed);
    assert_eq!(protocol(store.direct_tls(), Some(b"xmpp-client".as_slice())), Ok(Some(b"xmpp-client".to_vec())));
    assert_eq!(protocol(store.direct_tls(), None), Ok(None));
    assert!(protocol(store.direct_tls(), Some(b"http/1.1".as_slice())).is_err());
    assert_eq!(protocol(store.starttls(), Some(b"xmpp-client".as_slice())), Ok(None));
}

#[test]
fn a_reload_shows_the_new_one_and_an_error_changes_nothing() {
    use rustls::version::TLS13;
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), "first", &["example.org"], P256, 300);
    let (store, _) = open(&[&files], &["example.org"]);
    let config = store.starttls();
    let see = |trusted: &CertificateFiles| shown(Arc::clone(&config), "example.org", &[trusted], &TLS13, None);
    let old = see(&files).unwrap().0;
    write(folder.path(), "first", &["example.org"], P256, 200);
    assert_eq!(store.reload().unwrap(), []);
    let new = see(&files).unwrap().0;
    assert_ne!(new, old);
    fs::write(&files.key, "gone").unwrap();
    assert!(store.reload().is_err());
    assert_eq!(see(&files).unwrap().0, new);
}

#[test]
fn the_end_point_of_a_replaced_certificate_is_still_known() {
    use sha2::{Digest, Sha256};
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), "first", &["example.org"], P256, 300);
    let (store, _) = open(&[&files], &["example.org"]);
    let shown = Arc::clone(&store.current.0.load().certificates[0].key);
    let expected = Some(Sha256::digest(&shown.cert[0]).to_vec());
    assert_eq!(store.end_point(&shown), expected);
    write(folder.path(), "first", &["example.org"], P256, 200);
    store.reload().unwrap();
    assert_eq!(store.end_point(&shown), expected);
}

#[test]
fn what_is_worth_a_look_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let old = write(folder.path(), "old", &["a.org"], P256, -3);
    let soon = write(folder.path(), "soon", &["b.org"], P256, 3);
    fs::set_permissions(&soon.key, fs::Permissions::from_mode(0o644)).unwrap();
    let (_, warnings) = open(&[&old, &soon], &["a.org", "b.org", "c.org"]);
    let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let day = |days| (OffsetDateTime::now_utc() + Duration::days(days)).date();
    assert_eq!(
        lines,
        [
            format!("{}: the certificate has expired on {}", old.chain.display(), day(-3)),
            format!("{}: the certificate expires on {}", soon.chain.display(), day(3)),
            format!("{}: the key can be read by every user of this host; chmod 600 it", soon.key.display()),
            "no certificate covers the domain c.org".into(),
        ]
    );
}

#[test]
fn every_mistake_names_the_file_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good", &["a.org"], P256, 300);
    let other = write(folder.path(), "other", &["a.org"], P256, 300);
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let cut = folder.path().join("cut");
    let whole = fs::read_to_string(&good.chain).unwrap();
    fs::write(&cut, &whole[..whole.len() - 30]).unwrap();
    let nonsense = folder.path().join("nonsense");
    fs::write(&nonsense, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let missing = PathBuf::from("/nowhere/key.pem");
    for (chain, key, at_fault, wrong) in [
        (&missing, &good.key, &missing, "there is no such file"),
        (&good.chain, &missing, &missing, "there is no such file"),
        (&empty, &good.key, &empty, "holds no certificate in PEM form"),
        (&good.chain, &empty, &empty, "holds no private key in PEM form"),
        (&good.chain, &good.chain, &good.chain, "holds no private key in PEM form"),
        (&cut, &good.key, &cut, "is broken PEM: the end of a CERTIFICATE is missing"),
        (&nonsense, &good.key, &nonsense, "holds a certificate that cannot be read"),
        (&good.chain, &other.key, &other.key, "is not the key of the certificate in"),
    ] {
        let files = CertificateFiles { chain: chain.clone(), key: key.clone() };
        let line = CertificateStore::open(vec![files], Vec::new()).unwrap_err().to_string();
        assert!(line.starts_with(&format!("{}: {wrong}", at_fault.display())), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}
