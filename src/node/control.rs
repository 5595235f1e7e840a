//! What administration can ask of the node itself.

use super::certificate::CertificateKeeper;
use super::jobs::StoreJobs;
use super::{NodeConfig, membership};
use access_admin::{CertificateView, CopyOrder, ListenerView, NodeAbout, NodeControl, StoreJob};
use access_listener::TlsMode;
use async_trait::async_trait;
use base::{Error, Result};
use std::sync::Arc;

/// See [`NodeControl`].
pub(super) struct Control {
    pub(super) about: NodeAbout,
    pub(super) certificate: Option<Arc<CertificateKeeper>>,
    pub(super) jobs: Arc<StoreJobs>,
}

#[async_trait]
impl NodeControl for Control {
    fn about(&self) -> NodeAbout {
        self.about.clone()
    }

    fn certificate(&self) -> Option<CertificateView> {
        self.certificate.as_ref().map(|keeper| keeper.view())
    }

    async fn reload_certificate(&self, what_if: bool) -> Result<CertificateView> {
        let keeper = self.certificate.clone();
        let keeper = keeper.ok_or_else(|| Error::not_found("A certificate of this node"))?;
        let reading = tokio::task::spawn_blocking(move || keeper.reload(what_if));
        reading.await.map_err(Error::internal)?
    }

    async fn copy_store(&self, order: CopyOrder, what_if: bool) -> Result<StoreJob> {
        self.jobs.copy(&order, what_if)
    }

    async fn verify_store(&self) -> Result<StoreJob> {
        self.jobs.verify()
    }

    fn store_job(&self) -> Option<StoreJob> {
        self.jobs.last()
    }
}

/// What a node with this configuration tells of itself.
pub(super) fn about(config: &NodeConfig) -> NodeAbout {
    let listeners = config.listeners.iter().map(|listener| ListenerView {
        name: listener.name.clone(),
        address: listener.address.to_string(),
        protocol: listener.protocol.word().to_owned(),
        tls: match listener.tls {
            TlsMode::Implicit => "implicit",
            TlsMode::StartTls => "starttls",
            TlsMode::None => "none",
        }
        .to_owned(),
    });
    NodeAbout {
        name: config.node.name.clone(),
        host_name: config.node.host_name.clone(),
        version: membership::VERSION.to_owned(),
        listeners: listeners.collect(),
    }
}
