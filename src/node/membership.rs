//! A node's place among the others: alone, or a member of a cluster. The same services run on both.

use super::NodeConfig;
use super::audit::{self, Audited};
use access_admin::Probe;
use base::env::Env;
use base::router::{LocalRouter, Router};
use base::{Deadline, Result, Slot};
use cluster::{ClusterNode, ClusterSetup, MemberOptions, OwnedRouter, SingleNode};
use contract_control::{ClusterAdmin, Control};
use contract_directory::{Actor, DirectoryAdmin};
use contract_store::Store;
use std::sync::Arc;

/// What `rialto node list` tells of the binary.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Alone, or in a cluster.
#[derive(Clone)]
pub(super) enum Membership {
    /// The only node of its installation; owns everything.
    Alone(Arc<SingleNode>),
    /// A member.
    Member(Arc<ClusterNode>),
}

impl Membership {
    /// Alone: takes over everything. In a cluster: finds who it is, or founds it; owns nothing yet.
    ///
    /// # Errors
    /// If the store is not there; [`base::Kind::CannotChange`] if the node must join first.
    pub(super) async fn start(
        config: &NodeConfig,
        env: &Env,
        store: &Arc<dyn Store>,
        local: &Arc<LocalRouter>,
    ) -> Result<Self> {
        let Some(section) = &config.cluster else {
            return Ok(Self::Alone(SingleNode::start(store.clone(), env).await?));
        };
        let setup = ClusterSetup {
            env: env.clone(),
            store: store.clone(),
            data: config.node.data.clone(),
            name: config.node.name.clone(),
            version: VERSION.to_owned(),
            listen: section.listen,
            address: section.advertised(),
            weight: section.weight,
            local: local.clone(),
            options: MemberOptions::default(),
        };
        Ok(Self::Member(ClusterNode::start(setup).await?))
    }

    /// Who owns what.
    pub(super) fn control(&self) -> Arc<dyn Control> {
        match self {
            Self::Alone(node) => node.clone(),
            Self::Member(node) => node.control(),
        }
    }

    /// The way to every target, here or elsewhere.
    pub(super) fn router(&self, local: &Arc<LocalRouter>) -> Arc<dyn Router> {
        match self {
            Self::Alone(node) => Arc::new(OwnedRouter::new(node.clone(), local.clone())),
            Self::Member(node) => node.router(),
        }
    }

    /// Administration of the cluster, if there is one. What is changed through it is audited.
    pub(super) fn admin(
        &self,
        directory: &Arc<dyn DirectoryAdmin>,
    ) -> Option<Arc<dyn ClusterAdmin>> {
        let Self::Member(node) = self else { return None };
        Some(Arc::new(Audited { cluster: node.admin(), directory: directory.clone() }))
    }

    /// Has nodes that join through this one audited.
    pub(super) fn audit_joins(&self, directory: &Arc<dyn DirectoryAdmin>) {
        let Self::Member(node) = self else { return };
        let directory = directory.clone();
        node.on_join(move |id, name| {
            let (directory, id, name) = (directory.clone(), id.to_string(), format!("name={name}"));
            tokio::spawn(async move {
                audit::record(&directory, Actor::System, "node.join", &id, &name).await;
            });
        });
    }

    /// Whether the store answers; `None` where only asking it tells.
    pub(super) fn store_health(&self) -> Option<std::result::Result<(), String>> {
        match self {
            Self::Alone(_) => None,
            Self::Member(node) => Some(node.store_health()),
        }
    }

    /// Takes slots and serves; the services have been started.
    ///
    /// # Errors
    /// If the cluster does not take it.
    pub(super) async fn begin(&self) -> Result<()> {
        match self {
            Self::Alone(_) => Ok(()),
            Self::Member(node) => node.begin().await,
        }
    }

    /// Hands over everything as planned, as far as the time allows.
    pub(super) async fn leave(&self, deadline: Deadline) {
        if let Self::Member(node) = self {
            node.leave(deadline).await;
        }
    }

    /// Ends its part; the services have ended.
    pub(super) async fn stop(&self, deadline: Deadline) {
        if let Self::Member(node) = self
            && let Err(error) = node.stop(deadline).await
        {
            tracing::warn!(%error, "stopping goes on without");
        }
    }

    /// Whether it serves, for `/readyz`.
    pub(super) fn probe(&self) -> Option<Probe> {
        let Self::Member(node) = self else {
            return None;
        };
        let node = node.clone();
        Some(Probe::new("cluster", move || {
            let health = node.health();
            async move { health.map(|()| "a member that serves".to_owned()) }
        }))
    }
}

/// Whether this node does what one node of a cluster should do: the owner of the first slot.
pub(super) fn is_housekeeper(control: &dyn Control) -> bool {
    let first = Slot::new(0).and_then(|slot| control.owner(slot));
    first.is_some_and(|owner| owner.node == control.node())
}
