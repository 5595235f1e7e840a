//! Who this node is when it starts: a member already, or the founder of a cluster.

use super::identity::{Home, Identity, Membership, blocking};
use super::rows::{self, Found};
use super::setup::ClusterSetup;
use crate::installation::Installation;
use crate::pki::{NodeIdentity, NodeKey, Roots};
use crate::takeover::stored_fences;
use base::{Epoch, Error, Kind, Result};
use contract_store::{Store, body, transact};
use std::sync::Arc;

/// This node's membership, and what the store says of the cluster; founds one where there is none.
///
/// # Errors
/// [`Kind::CannotChange`] if the store's cluster is not this node's.
pub(super) async fn membership(
    setup: &ClusterSetup,
    home: &Arc<Home>,
) -> Result<(Found, Membership)> {
    let reader = home.clone();
    let identity = blocking(move || reader.load()).await?;
    let found = rows::find(&setup.store).await?;
    match (identity, found) {
        (Some(Identity::Member(membership)), Some(found)) => {
            check(&membership, &found)?;
            Ok((found, *membership))
        }
        (Some(Identity::Member(membership)), None) => {
            let text = "The store does not know of this node's cluster: it is another store, or \
                        was restored from an older backup";
            Err(Error::new(Kind::CannotChange, text).detail(membership.identity))
        }
        (identity, found) => found_cluster(setup, home, identity, found).await,
    }
}

/// A second Raft on one store would move slots about under the first.
fn check(membership: &Membership, found: &Found) -> Result<()> {
    let theirs = (found.cluster.cluster_id, found.cluster.incarnation);
    if (membership.identity.cluster_id, membership.incarnation) == theirs {
        return Ok(());
    }
    let text = "The store belongs to another cluster than this node: it must be given its own \
                store, or join this one anew with an empty `cluster` directory";
    let identity = membership.identity;
    let (id, incarnation) = theirs;
    Err(Error::new(Kind::CannotChange, text)
        .detail(format!("{identity} on the store of {id:032x}/{incarnation:032x}")))
}

async fn found_cluster(
    setup: &ClusterSetup,
    home: &Arc<Home>,
    identity: Option<Identity>,
    found: Option<Found>,
) -> Result<(Found, Membership)> {
    let is_mine = |incarnation: u128| {
        found.as_ref().is_none_or(|found| found.cluster.incarnation == incarnation)
    };
    let mine = match &identity {
        Some(Identity::Applicant { incarnation, .. }) => is_mine(*incarnation),
        _ => found.is_none(),
    };
    if let (false, Some(found)) = (mine, &found) {
        return Err(rows::taken(&found.cluster));
    }
    let (keeper, incarnation) = (home.clone(), setup.env.random.u128());
    let applicant = blocking(move || keeper.applicant(identity, incarnation)).await?;
    let Identity::Applicant { key: key_der, incarnation } = applicant else {
        return Err(Error::internal("an applicant that is a member"));
    };
    let now = setup.env.clock.now();
    let draft = Installation::draw(&*setup.env.random);
    let found = rows::claim(&setup.store, draft, incarnation, now).await?;
    let (cluster_id, node) = (found.cluster.cluster_id, found.cluster.founder);
    let key = NodeKey::from_der(&key_der)?;
    let membership = Membership {
        identity: NodeIdentity { cluster_id, node },
        incarnation,
        is_founder: true,
        has_log: false,
        key: key_der,
        certificate: found.authority.issue(&key.request()?, node, now)?,
        roots: Roots::of(&found.authority),
        members: Vec::new(),
    };
    let (keeper, kept) = (home.clone(), Identity::Member(Box::new(membership.clone())));
    blocking(move || keeper.save(&kept)).await?;
    tracing::info!(cluster = format_args!("{cluster_id:032x}"), %node, "founded the cluster");
    Ok((found, membership))
}

/// Greater than any epoch that stands in the store: a single node may have served it before.
///
/// # Errors
/// [`Kind::Unavailable`] without a store.
pub(super) async fn first_epoch(store: &Arc<dyn Store>) -> Result<Epoch> {
    let reading = body((), |(), tx, _attempt| Box::pin(async move { stored_fences(tx).await }));
    let stored = transact(store, reading).await?;
    let greatest = stored.iter().flatten().map(|fence| fence.epoch.0).max();
    Ok(Epoch(greatest.unwrap_or(0) + 1))
}
