//! What a node presents on its links, and whom it accepts: TLS 1.3 only, certificates on both
//! sides, replaceable while links run.
//!
//! Sessions are never resumed: each link proves itself anew, so a certificate that has run out or
//! a root that was taken away ends with the link at the latest.

use super::verify::{EnvironmentTime, NodeVerifier, Trust};
use super::{CertificateFacts, JoinToken, NodeKey, Roots};
use base::env::Clock;
use base::{Error, Kind, Result};
use parking_lot::RwLock;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;

/// What the two ends of a link agree to speak, in TLS words its ALPN protocol.
pub(crate) const ALPN_LINK: &[u8] = b"rialto-link";

/// What a new node speaks, which has no certificate yet.
pub(crate) const ALPN_JOIN: &[u8] = b"rialto-join";

/// A node's key, certificate and roots, ready for use.
pub struct Credentials {
    clock: Arc<dyn Clock>,
    current: RwLock<Arc<Current>>,
}

pub(crate) struct Current {
    pub(crate) facts: CertificateFacts,
    /// For links that this node dials.
    pub(crate) client: Arc<ClientConfig>,
    /// For links that it accepts.
    pub(crate) server: Arc<ServerConfig>,
    /// For new nodes, which present nothing.
    pub(crate) join: Arc<ServerConfig>,
}

impl Credentials {
    /// From a node's key, the certificate (DER) that was issued for it, and the roots.
    ///
    /// # Errors
    /// [`Kind::BadCredentials`] if the certificate is not a node's, is not signed by a root, or is
    /// not good now; [`Kind::Invalid`] if the key does not fit it.
    pub fn new(
        key: &NodeKey,
        certificate: &[u8],
        roots: &Roots,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>> {
        let current = RwLock::new(build(key, certificate, roots, &clock)?);
        Ok(Arc::new(Self { clock, current }))
    }

    /// New links use another certificate from now on, of the same node; open ones stay as they
    /// are. What cannot be used changes nothing.
    ///
    /// # Errors
    /// As [`Credentials::new`]; [`Kind::BadCredentials`] for another node's certificate.
    pub fn replace(&self, key: &NodeKey, certificate: &[u8], roots: &Roots) -> Result<()> {
        let new = build(key, certificate, roots, &self.clock)?;
        let mut current = self.current.write();
        if new.facts.identity != current.facts.identity {
            let text = "The certificate is another node's";
            return Err(Error::new(Kind::BadCredentials, text).detail(new.facts.identity));
        }
        *current = new;
        Ok(())
    }

    /// What the certificate in use says.
    pub fn facts(&self) -> CertificateFacts {
        self.current.read().facts
    }

    /// Whether it is time to have a new one issued and call [`Credentials::replace`].
    pub fn needs_rotation(&self) -> bool {
        self.facts().needs_rotation(self.clock.now())
    }

    pub(crate) fn current(&self) -> Arc<Current> {
        self.current.read().clone()
    }
}

fn build(
    key: &NodeKey,
    certificate: &[u8],
    roots: &Roots,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Current>> {
    let facts = CertificateFacts::of(certificate)?;
    if !facts.is_good_at(clock.now()) {
        let text = "The node's certificate is not good now";
        return Err(Error::new(Kind::BadCredentials, text).detail(format!("{facts:?}")));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let store = roots.store()?;
    let clients =
        WebPkiClientVerifier::builder_with_provider(store.clone(), provider.clone()).build();
    let verifier = Arc::new(NodeVerifier {
        trust: Trust::Cluster { roots: store, cluster_id: facts.identity.cluster_id },
        provider: provider.clone(),
        clients: Some(clients.map_err(Error::internal)?),
    });
    check_own(&verifier, certificate, clock)?;

    let own = vec![CertificateDer::from(certificate.to_vec())];
    let time = Arc::new(EnvironmentTime(clock.clone()));
    let unfit = |error| Error::invalid("The key does not fit the certificate").detail(error);

    let client = ClientConfig::builder_with_details(provider.clone(), time.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::internal)?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone());
    let mut client = client.with_client_auth_cert(own.clone(), key.private()).map_err(unfit)?;
    client.alpn_protocols = vec![ALPN_LINK.to_vec()];
    client.resumption = Resumption::disabled();
    client.enable_sni = false;

    let server = || {
        ServerConfig::builder_with_details(provider.clone(), time.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(Error::internal)
    };
    let link = server()?.with_client_cert_verifier(verifier);
    let link = link.with_single_cert(own.clone(), key.private()).map_err(unfit)?;
    // A new node knows its authority by the fingerprint only, so the authority is sent along.
    let roots = roots.certificates.iter().map(|der| CertificateDer::from(der.clone()));
    let chain = own.into_iter().chain(roots).collect();
    let join = server()?.with_no_client_auth();
    let join = join.with_single_cert(chain, key.private()).map_err(unfit)?;
    let (server, join) = (unresumed(link, ALPN_LINK), unresumed(join, ALPN_JOIN));
    Ok(Arc::new(Current { facts, client: Arc::new(client), server, join }))
}

fn unresumed(mut config: ServerConfig, protocol: &[u8]) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![protocol.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// A node finds out by itself that nobody would accept it.
fn check_own(verifier: &NodeVerifier, certificate: &[u8], clock: &Arc<dyn Clock>) -> Result<()> {
    use rustls::server::danger::ClientCertVerifier;
    use rustls::time_provider::TimeProvider;
    let now = EnvironmentTime(clock.clone()).current_time();
    let now = now.ok_or_else(|| Error::internal("the clock stands before 1970"))?;
    match verifier.verify_client_cert(&CertificateDer::from(certificate), &[], now) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = "The node's certificate is not of its cluster";
            Err(Error::new(Kind::BadCredentials, text).detail(error))
        }
    }
}

/// How a new node connects that has only a token: it accepts any node of the cluster whose
/// authority the token names, and presents nothing.
///
/// # Errors
/// [`Kind::Internal`] if the cryptographic library fails.
pub fn join_client_config(token: &JoinToken, clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let trust = Trust::Fingerprint(token.authority);
    let verifier = NodeVerifier { trust, provider: provider.clone(), clients: None };
    let time = Arc::new(EnvironmentTime(clock));
    let mut config = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::internal)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}
