//! Becoming a member of a cluster that exists.

use super::identity::{Home, Identity, Membership, blocking};
use super::setup::JoinSetup;
use crate::installation::FEATURE_LEVEL;
use crate::link::ask_to_join;
use crate::pki::{JoinRequest, JoinToken, NodeKey, Roots};
use crate::placement::NodeProfile;
use base::{BootId, Deadline, Error, Kind, NodeId, Result};
use std::sync::Arc;
use std::time::Duration;

/// How long the exchange may take: a store transaction, and an entry of Raft.
const EXCHANGE_TIME: Duration = Duration::from_secs(15);

/// Asks a node of the cluster to be let in, with a one-time token, and keeps the answer in
/// `data/cluster/`. A lost answer costs nothing: asking again gives the same id. The node is not
/// up afterwards; [`super::ClusterNode::start`] starts it.
///
/// # Errors
/// [`Kind::Invalid`] for a text that is no token, [`Kind::BadCredentials`] for one that is not
/// good (any more), [`Kind::CannotChange`] if this node is a member of another cluster,
/// [`Kind::Unavailable`] or [`Kind::Timeout`] if the member cannot be reached or does not answer.
pub async fn join_cluster(setup: JoinSetup) -> Result<NodeId> {
    let token = JoinToken::parse(&setup.token)?;
    let (env, data) = (setup.env.clone(), setup.data.clone());
    let incarnation = setup.env.random.u128();
    let opened = blocking(move || {
        let home = Home::open(&env, &data)?;
        let found = home.load()?;
        Ok((Arc::new(home), found))
    });
    let (home, found) = opened.await?;
    if let Some(Identity::Member(membership)) = &found {
        let mut roots = membership.roots.certificates.iter();
        return match roots.any(|root| Roots::fingerprint(root) == token.authority) {
            true => Ok(membership.identity.node),
            false => {
                Err(Error::new(Kind::CannotChange, "This node is a member of another cluster")
                    .detail(membership.identity))
            }
        };
    }
    let keeper = home.clone();
    let applicant = blocking(move || keeper.applicant(found, incarnation)).await?;
    let Identity::Applicant { key: key_der, .. } = applicant else {
        return Err(Error::internal("an applicant that is a member"));
    };
    let key = NodeKey::from_der(&key_der)?;
    let profile = NodeProfile {
        address: setup.address.to_string(),
        weight: setup.weight,
        feature_level: FEATURE_LEVEL,
        version: setup.version,
        name: setup.name,
    };
    let boot = BootId(setup.env.random.u128());
    let request = JoinRequest::new(&token, &key, boot, profile)?;
    let deadline = Deadline::after(EXCHANGE_TIME);
    let reply = ask_to_join(&setup.env, setup.member, &token, request, deadline).await?;
    let membership = Membership {
        identity: reply.identity,
        incarnation: reply.incarnation,
        is_founder: false,
        has_log: false,
        key: key_der,
        certificate: reply.certificate,
        roots: reply.roots,
        members: reply.members,
    };
    let node = membership.identity.node;
    blocking(move || home.save(&Identity::Member(Box::new(membership)))).await?;
    tracing::info!(%node, cluster = %reply.identity, "joined the cluster");
    Ok(node)
}
