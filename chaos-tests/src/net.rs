//! Connections to a node: plain or under TLS that trusts the world's own authority.

use crate::failure::{Failure, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long an answer may take before the run fails: far above any promise, since the machine may
/// be busy; only a hang is longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Something to read from and write to.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection.
pub type Stream = Box<dyn Io>;

/// How to reach a node.
#[derive(Clone)]
pub struct Endpoint {
    /// Its ports are this plus the well-known ones.
    pub base: u16,
    tls: TlsConnector,
}

impl Endpoint {
    /// A node at `base` whose certificate the authority in `ca_pem` signed.
    ///
    /// # Errors
    /// If the file is not there or holds no certificate.
    pub fn new(base: u16, ca_pem: &Path) -> Result<Endpoint> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(ca_pem)
            .map_err(|error| format!("{}: {error}", ca_pem.display()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Endpoint { base, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Connects to a well-known port.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn connect(&self, port: u16) -> Result<Stream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.base + port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    /// Connects to a well-known port with TLS from the first byte.
    ///
    /// # Errors
    /// If nobody listens or the handshake fails.
    pub async fn connect_tls(&self, port: u16) -> Result<Stream> {
        let stream = self.connect(port).await?;
        self.start_tls(stream).await
    }

    /// The TLS handshake on a connection.
    ///
    /// # Errors
    /// If it fails.
    pub async fn start_tls(&self, stream: Stream) -> Result<Stream> {
        let name = ServerName::try_from("localhost").map_err(|e| Failure(e.to_string()))?;
        let handshake = self.tls.connect(name, stream);
        let stream = tokio::time::timeout(PATIENCE, handshake).await??;
        Ok(Box::new(stream))
    }
}
