//! Certificates and the TLS configuration, replaceable while the server runs.
//!
//! TLS 1.2 and 1.3 with aws-lc-rs, named explicitly: the process never depends on which provider
//! happens to be the default. Tickets are stateless, so a resumed session costs no memory here.

use base::{Error, Result};
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;

/// What listeners present to clients; shared by all of them, swapped for all at once.
pub struct TlsSettings {
    current: RwLock<Arc<ServerConfig>>,
}

/// What was agreed with one client, for trace headers and logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite's IANA name.
    pub cipher: String,
    /// The name the client asked for (RFC 6066 §3), if any.
    pub server_name: Option<String>,
}

impl TlsSettings {
    /// From a certificate chain (the server's own first) and its private key, both PEM.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for PEM that cannot be read or a key that does not fit.
    pub fn from_pem(chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<Self>> {
        let current = RwLock::new(server_config(chain_pem, key_pem)?);
        Ok(Arc::new(Self { current }))
    }

    /// New connections use another certificate from now on; open ones stay as they are. What
    /// cannot be used changes nothing.
    ///
    /// # Errors
    /// As [`TlsSettings::from_pem`].
    pub fn replace_pem(&self, chain_pem: &[u8], key_pem: &[u8]) -> Result<()> {
        let config = server_config(chain_pem, key_pem)?;
        *self.current.write() = config;
        Ok(())
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        self.current.read().clone()
    }
}

fn server_config(chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<ServerConfig>> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| {
        Error::invalid(format!("The {what} cannot be used: {error}"))
    };
    let chain = CertificateDer::pem_slice_iter(chain_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong("certificate", &error))?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| wrong("key", &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong("certificate", &error))?;
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(Error::internal)?;
    Ok(Arc::new(config))
}

/// What a finished handshake agreed on.
pub(crate) fn info(connection: &rustls::ServerConnection) -> TlsInfo {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let suite = connection.negotiated_cipher_suite();
    let name = suite.map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
    TlsInfo {
        version,
        // rustls tells the suites of TLS 1.3 apart by a prefix that IANA's registry does not have.
        cipher: name.replacen("TLS13_", "TLS_", 1),
        server_name: connection.server_name().map(str::to_owned),
    }
}
