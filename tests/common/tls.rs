//! TLS as a client speaks it, trusting one certificate and nothing else: the server's development certificate, unless
//! told otherwise.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::{Raw, Server};

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// The certificate's bytes.
pub fn certificate(server: &Server) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(server.certificate()).unwrap()
}

pub fn config(server: &Server, version: &'static SupportedProtocolVersion) -> ClientConfig {
    trusting(certificate(server), version)
}

/// Trusts this certificate alone: a handshake that succeeds has shown no other.
pub fn trusting(certificate: CertificateDer<'static>, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

fn wrap(stream: TcpStream, domain: &str, config: ClientConfig) -> Raw<TlsStream> {
    let name = ServerName::try_from(domain.to_owned()).unwrap();
    Raw::over(StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream))
}

/// TLS from the first byte (XEP-0368).
pub fn direct(server: &Server, version: &'static SupportedProtocolVersion) -> Raw<TlsStream> {
    direct_to(server, "localhost", config(server, version))
}

/// The same, asking for this domain.
pub fn direct_to(server: &Server, domain: &str, mut config: ClientConfig) -> Raw<TlsStream> {
    let stream = Raw::connect(server.direct_tls).stream;
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    wrap(stream, domain, config)
}

/// STARTTLS (RFC 6120 §5).
pub fn starttls(server: &Server, version: &'static SupportedProtocolVersion) -> Raw<TlsStream> {
    starttls_to(server, "localhost", config(server, version))
}

/// The same, asking for this domain.
pub fn starttls_to(server: &Server, domain: &str, config: ClientConfig) -> Raw<TlsStream> {
    wrap(proceeded(server, domain), domain, config)
}

/// The channel's binding data of type `tls-exporter` (RFC 9266).
pub fn exporter(raw: &mut Raw<TlsStream>) -> [u8; 32] {
    let connection = &mut raw.stream.conn;
    while connection.is_handshaking() {
        connection.complete_io(&mut raw.stream.sock).unwrap();
    }
    connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
}

/// A connection on which the server waits for the handshake that was asked for.
pub fn proceeded(server: &Server, domain: &str) -> TcpStream {
    let mut raw = Raw::connect(server.address);
    raw.say(&super::header(domain));
    assert!(raw.hear("</stream:features>").contains("<starttls"));
    raw.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    raw.hear("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    raw.stream
}

/// The certificate that a server shows to whoever asks for a name, whatever it is.
pub fn shown_certificate(stream: TcpStream, name: &str) -> Vec<u8> {
    #[derive(Debug)]
    struct Anything;
    impl rustls::client::danger::ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anything)).with_no_client_auth();
    let mut raw = wrap(stream, name, config);
    while raw.stream.conn.is_handshaking() {
        raw.stream.conn.complete_io(&mut raw.stream.sock).unwrap();
    }
    raw.stream.conn.peer_certificates().unwrap()[0].to_vec()
}
