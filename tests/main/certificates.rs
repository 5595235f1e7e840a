//! A certificate is replaced while the node runs; clients see which one it is.

use crate::node::{Node, Talk, said, until};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::net::TcpStream;
use std::sync::Arc;

/// Takes any certificate: which one it is, is what the tests look at.
#[derive(Debug)]
struct Any;

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Connects to IMAP over TLS; the greeting has been read.
pub(crate) fn imap(node: &Node) -> Talk<Tls> {
    imap_at(node.imap).unwrap()
}

/// The same on a port where perhaps nobody listens.
pub(crate) fn imap_at(port: u16) -> std::io::Result<Talk<Tls>> {
    let (talk, _) = connect_to(port)?;
    Ok(talk)
}

fn connect(node: &Node) -> (Talk<Tls>, Vec<u8>) {
    connect_to(node.imap).unwrap()
}

fn connect_to(port: u16) -> std::io::Result<(Talk<Tls>, Vec<u8>)> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any))
        .with_no_client_auth();
    let name = ServerName::try_from("one.example").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_read_timeout(Some(crate::node::PATIENCE))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    let certificate = tls.peer_certificates().unwrap()[0].to_vec();
    let mut talk = Talk::new(StreamOwned::new(tls, tcp));
    assert!(talk.line().starts_with("* OK"));
    Ok((talk, certificate))
}

/// Whether new connections are shown a certificate with this name.
fn shows(node: &Node, name: &str) -> bool {
    let (_, certificate) = connect(node);
    certificate.windows(name.len()).any(|part| part == name.as_bytes())
}

#[test]
fn a_new_certificate_is_used_without_a_restart() {
    let node = Node::started();
    assert!(shows(&node, "one.example"));
    let mut open = imap(&node);

    node.write_certificate("two.example");
    assert!(node.done(&["certificate", "reload", "--what-if"]).contains("two.example"));
    node.done(&["certificate", "reload"]);
    assert!(shows(&node, "two.example"));
    assert!(node.done(&["certificate", "get"]).contains("two.example"));

    node.write_certificate("three.example");
    node.signal("-HUP");
    until("SIGHUP", || shows(&node, "three.example"));

    // A bad file changes nothing, whoever asks.
    std::fs::write(node.dir.path().join("cert.key"), "no key").unwrap();
    let refused = node.ask(&["certificate", "reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("tls.key: "), "{}", said(&refused));
    node.signal("-HUP");
    until("the warning", || node.log().contains("the old one stays"));
    assert!(shows(&node, "three.example"));

    // Files that change are found without being told.
    node.write_certificate("four.example");
    until("the look at the files", || shows(&node, "four.example"));
    // And whoever was there before has noticed nothing.
    assert!(open.tagged("a", "NOOP").contains("a OK"));
}
