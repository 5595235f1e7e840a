//! Who is at the other end of a stream: the TLS handshake of links and of new nodes.

use super::reading::broken;
use crate::pki::{ALPN_JOIN, ALPN_LINK, CertificateFacts, Credentials, NodeIdentity};
use base::env::Stream;
use base::{Error, Kind, Result};
use rustls::CommonState;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use std::sync::Arc;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

/// How links are protected.
#[derive(Clone)]
pub enum Security {
    /// TLS 1.3, certificates of the cluster's authority on both sides: every real node.
    Tls(Arc<Credentials>),
    /// None: everybody is who he says he is. For simulations over thousands of seeds, where the
    /// cryptographic library's own randomness and work are in the way.
    Unprotected(NodeIdentity),
}

/// A stream on which the other end has proven something.
pub(super) struct Secured {
    pub(super) stream: Box<dyn Stream>,
    /// What its certificate says; `None` without protection.
    pub(super) peer: Option<CertificateFacts>,
}

/// What a connection that came in is for.
pub(super) enum Accepted {
    Link(Secured),
    /// A new node, which has proven nothing.
    Join(Box<dyn Stream>),
}

impl Security {
    /// Who this node is.
    pub fn identity(&self) -> NodeIdentity {
        match self {
            Self::Tls(credentials) => credentials.facts().identity,
            Self::Unprotected(identity) => *identity,
        }
    }

    pub(super) async fn dial(&self, stream: Box<dyn Stream>) -> Result<Secured> {
        let Self::Tls(credentials) = self else {
            return Ok(Secured { stream, peer: None });
        };
        let connector = TlsConnector::from(credentials.current().client.clone());
        let tls = connector.connect(any_name()?, stream).await.map_err(refused)?;
        let peer = proven(tls.get_ref().1)?;
        Ok(Secured { stream: Box::new(tls), peer: Some(peer) })
    }

    pub(super) async fn accept(&self, stream: Box<dyn Stream>) -> Result<Accepted> {
        let Self::Tls(credentials) = self else {
            return Ok(Accepted::Link(Secured { stream, peer: None }));
        };
        let current = credentials.current();
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(refused)?;
        let joins = start.client_hello().alpn().is_some_and(|mut a| a.any(|p| p == ALPN_JOIN));
        if joins {
            let tls = start.into_stream(current.join.clone()).await.map_err(refused)?;
            return Ok(Accepted::Join(Box::new(tls)));
        }
        let tls = start.into_stream(current.server.clone()).await.map_err(refused)?;
        let peer = proven(tls.get_ref().1)?;
        Ok(Accepted::Link(Secured { stream: Box::new(tls), peer: Some(peer) }))
    }
}

/// The name that TLS wants; certificates name nodes, not hosts.
pub(super) fn any_name() -> Result<ServerName<'static>> {
    ServerName::try_from("node.rialto.invalid").map_err(Error::internal)
}

/// What the certificate says that the handshake has verified.
fn proven(tls: &CommonState) -> Result<CertificateFacts> {
    if tls.alpn_protocol() != Some(ALPN_LINK) {
        return Err(broken("the other end does not speak the protocol of links"));
    }
    match tls.peer_certificates() {
        Some([certificate, ..]) => CertificateFacts::of(certificate),
        _ => Err(Error::new(Kind::BadCredentials, "The other node showed no certificate")),
    }
}

pub(super) fn refused(error: std::io::Error) -> Error {
    broken(format!("TLS: {error}"))
}
