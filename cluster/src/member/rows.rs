//! What the store knows of the cluster itself: two rows beside that of the installation.
//!
//! ```text
//!   K/cluster    which Raft decides for this store, and who founded it
//!   K/authority  the certificate and the key that sign nodes' certificates
//! ```
//!
//! Both are written by the transaction that founds the cluster. Of two founders one comes first;
//! a second Raft on the same store is refused whenever it starts.

use crate::installation::Installation;
use crate::pki::Authority;
use base::{Error, Kind, NodeId, Result, Timestamp, wire};
use bytes::Bytes;
use contract_store::keys::KeyBuilder;
use contract_store::{Attempt, Body, BodyError, Isolation, Store, Transaction, body, transact};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version byte of the rows.
const ROW_VERSION: u8 = 1;

/// Which Raft decides for this store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ClusterRow {
    /// The installation's id.
    pub(crate) cluster_id: u128,
    /// Drawn by the founder: tells this Raft from any other on the same store.
    pub(crate) incarnation: u128,
    /// Who founded it.
    pub(crate) founder: NodeId,
}

impl ClusterRow {
    pub(crate) fn key() -> Bytes {
        KeyBuilder::new(b"K").raw(b"cluster").build()
    }

    pub(crate) fn encode(&self) -> Result<Bytes> {
        wire::encode_row(ROW_VERSION, self)
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self> {
        wire::decode_row(ROW_VERSION, row)
    }
}

/// The authority as it stands in the store; its key never leaves it but into nodes' memory.
#[derive(Clone, Serialize, Deserialize)]
struct AuthorityRow {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

fn authority_key() -> Bytes {
    KeyBuilder::new(b"K").raw(b"authority").build()
}

/// What every member reads when it starts.
pub(super) struct Found {
    pub(super) installation: Installation,
    pub(super) cluster: ClusterRow,
    pub(super) authority: Authority,
}

/// The transaction that founds a cluster, and its installation if the store is empty.
struct Founding {
    installation: Installation,
    incarnation: u128,
    now: Timestamp,
}

/// Founds the cluster, or finds that this very founder has done so before.
///
/// # Errors
/// [`Kind::CannotChange`] if the store belongs to a cluster that somebody else founded.
pub(super) async fn claim(
    store: &Arc<dyn Store>,
    installation: Installation,
    incarnation: u128,
    now: Timestamp,
) -> Result<Found> {
    transact(store, Founding { installation, incarnation, now }).await
}

impl Body<Found> for Founding {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Found, BodyError>> {
        Box::pin(async move {
            if let Some(found) = read(tx, Isolation::Serializable).await? {
                return match found.cluster.incarnation == self.incarnation {
                    true => Ok(found),
                    false => Err(taken(&found.cluster).into()),
                };
            }
            let row = tx.get(&Installation::key(), Isolation::Serializable).await?;
            let installation = match row {
                Some(row) => Installation::decode(&row)?,
                None => {
                    tx.set(&Installation::key(), &self.installation.encode()?);
                    self.installation.clone()
                }
            };
            let (cluster_id, founder) = (installation.cluster_id, installation.node);
            let cluster = ClusterRow { cluster_id, incarnation: self.incarnation, founder };
            let authority = Authority::found(cluster_id, self.now)?;
            let certificate = authority.certificate().to_vec();
            let row = AuthorityRow { certificate, key: authority.key_der().to_vec() };
            tx.set(&ClusterRow::key(), &cluster.encode()?);
            tx.set(&authority_key(), &wire::encode_row(ROW_VERSION, &row)?);
            Ok(Found { installation, cluster, authority })
        })
    }
}

/// Somebody else's cluster.
pub(super) fn taken(cluster: &ClusterRow) -> Error {
    let text = "The store belongs to a cluster already, and this node is not a member of it: \
                run `rialto node join` with a token that `rialto node invite` gives on a member";
    let (id, founder) = (cluster.cluster_id, cluster.founder);
    Error::new(Kind::CannotChange, text).detail(format!("cluster {id:032x}, founded by {founder}"))
}

async fn read(tx: &dyn Transaction, isolation: Isolation) -> Result<Option<Found>, BodyError> {
    let Some(row) = tx.get(&ClusterRow::key(), isolation).await? else { return Ok(None) };
    let cluster = ClusterRow::decode(&row)?;
    let missing = |what: &str| Error::corrupt(format!("a cluster without its {what}"));
    let installation = tx.get(&Installation::key(), isolation).await?;
    let installation = Installation::decode(&installation.ok_or_else(|| missing("installation"))?)?;
    let authority = tx.get(&authority_key(), isolation).await?;
    let authority = authority.ok_or_else(|| missing("authority"))?;
    let AuthorityRow { certificate, key } = wire::decode_row(ROW_VERSION, &authority)?;
    let authority = Authority::from_der(cluster.cluster_id, certificate, &key)?;
    Ok(Some(Found { installation, cluster, authority }))
}

/// What the store says; `None` if no cluster was founded on it.
///
/// # Errors
/// [`Kind::Unavailable`] without a store, [`Kind::Corrupt`] if the rows cannot be read.
pub(super) async fn find(store: &Arc<dyn Store>) -> Result<Option<Found>> {
    let reading =
        body((), |(), tx, _attempt| Box::pin(async move { read(tx, Isolation::Snapshot).await }));
    transact(store, reading).await
}
