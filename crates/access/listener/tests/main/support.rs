//! A protocol for tests, and certificates.

use access_listener::{Connection, Refusal, SessionFactory, TlsSettings};
use async_trait::async_trait;
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Says `hello`, echoes lines in capitals; `starttls`, `info`, `peer`, `panic`, `stuck`,
/// `half`, `quit` do what they say.
/// Ends with `bye` on shutdown.
pub(crate) struct Shouting;

#[async_trait]
impl SessionFactory for Shouting {
    async fn serve(&self, mut connection: Connection) {
        connection.queue(Bytes::from_static(b"hello\r\n"));
        let shutdown = connection.shutdown().clone();
        loop {
            while let Some(end) = connection.input().iter().position(|byte| *byte == b'\n') {
                let line = connection.input().split_to(end + 1);
                match &line[..] {
                    b"quit\r\n" => return connection.close().await,
                    b"panic\r\n" => panic!("as asked"),
                    b"stuck\r\n" => std::future::pending().await,
                    b"half\r\n" => {
                        connection.queue(Bytes::from_static(b"half of "));
                        std::future::pending().await
                    }
                    b"info\r\n" => {
                        let text = format!("{:?}\r\n", connection.tls_info().map(|i| i.version));
                        connection.queue(text.into());
                    }
                    b"peer\r\n" => connection.queue(format!("{}\r\n", connection.peer()).into()),
                    b"starttls\r\n" => {
                        connection.queue(Bytes::from_static(b"go\r\n"));
                        if connection.flush().await.is_err() {
                            return;
                        }
                        if let Err(error) = connection.start_tls().await {
                            connection.queue(format!("refused {:?}\r\n", error.kind()).into());
                            return connection.close().await;
                        }
                    }
                    other => connection.queue(other.to_ascii_uppercase().into()),
                }
            }
            if connection.flush().await.is_err() {
                return;
            }
            tokio::select! {
                read = connection.fill(MINUTE) => if !matches!(read, Ok(1..)) {
                    return;
                },
                () = shutdown.cancelled() => {
                    connection.queue(Bytes::from_static(b"bye\r\n"));
                    return connection.close().await;
                }
            }
        }
    }

    fn refusal(&self, reason: Refusal) -> Bytes {
        format!("no: {reason:?}\r\n").into()
    }
}

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// Certificate and key as PEM.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn settings(&self, name: &str) -> Arc<TlsSettings> {
        let (chain, key) = self.issue(name);
        TlsSettings::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }
}

pub(crate) fn name(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).unwrap()
}
