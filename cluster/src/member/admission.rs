//! Letting new nodes in, and giving members new certificates.

use super::identity::{Home, Identity, Membership, blocking};
use super::rows;
use super::shared::{Core, refused};
use crate::link::JoinHandler;
use crate::pki::{
    Admission, Admitted, Claim, Credentials, JoinReply, JoinRequest, NodeKey, Roots, TokenRow, join,
};
use crate::placement::{Command, NodeState, Outcome};
use async_trait::async_trait;
use base::{Error, Kind, NodeId, Result};
use contract_store::{Isolation, body, transact};
use parking_lot::RwLock;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

/// Answers those who want to join, once the node is up.
#[derive(Default)]
pub(super) struct Doorkeeper {
    core: RwLock<Weak<Core>>,
}

impl Doorkeeper {
    pub(super) fn open(&self, core: &Arc<Core>) {
        *self.core.write() = Arc::downgrade(core);
    }
}

#[async_trait]
impl JoinHandler for Doorkeeper {
    async fn join(&self, request: JoinRequest) -> Result<JoinReply> {
        let core = self.core.read().upgrade();
        let core = core.ok_or_else(|| Error::unavailable("the node is starting or stopping"))?;
        let authority = rows::find(&core.store).await?.ok_or_else(no_cluster)?.authority;
        let roots = Roots::of(&authority);
        join(&authority, &roots, &*core, &request, core.env.clock.now()).await
    }
}

fn no_cluster() -> Error {
    Error::corrupt("the rows of the cluster are gone from the store")
}

#[async_trait]
impl Admission for Core {
    async fn admit(&self, claim: &Claim) -> Result<Admitted> {
        if claim.profile.address.parse::<SocketAddr>().is_err() {
            return Err(Error::invalid(
                "The address of the links must be an IP address and a port",
            ));
        }
        let now = self.env.clock.now();
        let claiming = body(claim.clone(), move |claim, tx, _attempt| {
            Box::pin(async move {
                let key = TokenRow::key(claim.token_id);
                let row = tx.get(&key, Isolation::Serializable).await?;
                let row = row.ok_or_else(|| TokenRow::refused("there is no such token"))?;
                let mut row = TokenRow::decode(&row)?;
                row.claim(&claim.secret_hash, claim.key_fingerprint, now)?;
                tx.set(&key, &row.encode()?);
                Ok(())
            })
        });
        transact(&self.store, claiming).await?;
        let node = self.give_id(claim).await?;
        let state = self.state();
        let others = state.nodes().filter(|n| n.id != node && n.state != NodeState::Removed);
        let members = others.map(|node| (node.id, node.profile.address.clone())).collect();
        Ok(Admitted { node, incarnation: self.cluster.incarnation, members })
    }
}

impl Core {
    /// The same key gets the same id.
    async fn give_id(&self, claim: &Claim) -> Result<NodeId> {
        let mut token = [0; 16];
        token.copy_from_slice(&claim.key_fingerprint[..16]);
        let token = u128::from_be_bytes(token).max(1);
        let joining = Command::Join { token, profile: claim.profile.clone() };
        let was_known = self.state().nodes().any(|node| node.token == token);
        match self.raft.propose(&joining, super::shared::DECISION_TIME).await? {
            Ok(Outcome::Joined(node)) => {
                tracing::info!(%node, name = claim.profile.name, "a node has joined");
                if let (Some(told), false) = (self.on_join.get(), was_known) {
                    told(node, &claim.profile.name);
                }
                Ok(node)
            }
            Ok(other) => Err(Error::internal(format!("{other:?} to a request to join"))),
            Err(refusal) => Err(refused(refusal)),
        }
    }
}

/// Has the node's certificate signed anew long before it ends.
pub(super) async fn renew(
    core: Arc<Core>,
    home: Arc<Home>,
    credentials: Arc<Credentials>,
    mut membership: Membership,
) {
    loop {
        if credentials.needs_rotation() {
            match renewed(&core, &home, &credentials, &membership).await {
                Ok(new) => {
                    tracing::info!(until = ?credentials.facts().not_after, "a new certificate");
                    membership = new;
                }
                Err(error) => tracing::warn!(
                    %error, until = ?credentials.facts().not_after,
                    "the node's certificate could not be renewed yet"
                ),
            }
        }
        core.env.clock.sleep(core.options.renew_every).await;
    }
}

async fn renewed(
    core: &Core,
    home: &Arc<Home>,
    credentials: &Credentials,
    membership: &Membership,
) -> Result<Membership> {
    let state = core.state();
    if state.node(core.me).is_none_or(|node| node.state == NodeState::Removed) {
        return Err(Error::new(Kind::Denied, "This node is not a member any more"));
    }
    let authority = rows::find(&core.store).await?.ok_or_else(no_cluster)?.authority;
    let key = NodeKey::from_der(&membership.key)?;
    let certificate = authority.issue(&key.request()?, core.me, core.env.clock.now())?;
    let roots = Roots::of(&authority);
    let new = Membership { certificate, roots, ..membership.clone() };
    // Kept before it is shown to anybody.
    let (home, kept) = (home.clone(), Identity::Member(Box::new(new.clone())));
    blocking(move || home.save(&kept)).await?;
    credentials.replace(&key, &new.certificate, &new.roots)?;
    Ok(new)
}
