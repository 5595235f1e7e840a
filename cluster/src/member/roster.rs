//! What the store knows of each member: where its links listen, and whether it was removed.
//!
//! ```text
//!   Knode/<id>   written by the node itself when it starts, and by the leader when it is removed
//! ```
//!
//! Beside Raft, because it is for those whom Raft cannot reach: nodes that look for one that has
//! started at another address (all of them may have, at once), and a node that was removed, with
//! which nobody speaks any more. Nothing is decided by it; it may be late.

use super::shared::{Core, REMOVED};
use crate::placement::NodeState;
use base::{Error, Kind, NodeId, Result, wire};
use bytes::Bytes;
use contract_store::keys::{KeyBuilder, KeyReader};
use contract_store::{Isolation, KeyRange, RangeRead, Store, Transaction, body, transact};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The version byte of a row.
const ROW_VERSION: u8 = 1;

/// What the keys begin with.
const PREFIX: &[u8] = b"Knode/";

/// How long to wait before trying again to write or read.
const RETRY: Duration = Duration::from_secs(1);

/// How often the leader looks for nodes that were removed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a row says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct RosterRow {
    /// Where its links listened when it started last, `host:port`; empty if it never did.
    pub(super) address: String,
    /// Whether it is no member any more.
    pub(super) is_removed: bool,
}

impl RosterRow {
    /// The key of a node's row.
    pub(super) fn key(node: NodeId) -> Bytes {
        KeyBuilder::new(PREFIX).u64(node.0).build()
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if it is none.
    pub(super) fn decode(row: &[u8]) -> Result<Self> {
        wire::decode_row(ROW_VERSION, row)
    }
}

/// Refuses to go on as a node that was removed.
///
/// # Errors
/// [`Kind::CannotChange`] if it was, [`Kind::Unavailable`] without a store.
pub(super) async fn check(store: &Arc<dyn Store>, me: NodeId) -> Result<()> {
    match read(store, me).await? {
        Some(row) if row.is_removed => {
            let text = format!("This node cannot serve: {REMOVED}");
            Err(Error::new(Kind::CannotChange, text).detail(me))
        }
        _ => Ok(()),
    }
}

async fn read(store: &Arc<dyn Store>, node: NodeId) -> Result<Option<RosterRow>> {
    let reading = body(node, |node, tx, _attempt| {
        let node = *node;
        Box::pin(async move {
            let row = tx.get(&RosterRow::key(node), Isolation::Snapshot).await?;
            Ok(row.as_deref().map(RosterRow::decode).transpose()?)
        })
    });
    transact(store, reading).await
}

/// All that is known. A row that cannot be read is left out.
///
/// # Errors
/// [`Kind::Unavailable`] without a store.
pub(super) async fn addresses(store: &Arc<dyn Store>) -> Result<BTreeMap<NodeId, String>> {
    let reading = body((), |(), tx, _attempt| {
        Box::pin(async move {
            let mut found = BTreeMap::new();
            let mut next = Some(RangeRead::all(&KeyRange::prefix(PREFIX)));
            while let Some(range) = next {
                let page = tx.get_range(&range, Isolation::Snapshot).await?;
                next = range.after(&page);
                for row in page.rows {
                    let id = KeyReader::new(&row.key, PREFIX).and_then(|mut key| key.u64());
                    if let (Some(id), Ok(row)) = (id, RosterRow::decode(&row.value))
                        && !row.address.is_empty()
                    {
                        found.insert(NodeId(id), row.address);
                    }
                }
            }
            Ok(found)
        })
    });
    transact(store, reading).await
}

/// Changes a row if it is not so already.
async fn change(
    tx: &dyn Transaction,
    node: NodeId,
    change: impl FnOnce(RosterRow) -> RosterRow,
) -> Result<(), contract_store::BodyError> {
    let key = RosterRow::key(node);
    let row = tx.get(&key, Isolation::Serializable).await?;
    let before = row.as_deref().map(RosterRow::decode).transpose()?;
    let after = change(before.clone().unwrap_or_default());
    if before.as_ref() != Some(&after) {
        tx.set(&key, &wire::encode_row(ROW_VERSION, &after)?);
    }
    Ok(())
}

/// Says where this node's links listen, until it is written.
pub(super) async fn announce(core: Arc<Core>) {
    loop {
        let (me, address) = (core.me, core.profile.address.clone());
        let writing = body(address, move |address, tx, _attempt| {
            let address = address.clone();
            Box::pin(change(tx, me, move |row| RosterRow { address, ..row }))
        });
        match transact(&core.store, writing).await {
            Ok(()) => return,
            Err(error) => tracing::info!(%error, "the address cannot be written down yet"),
        }
        core.env.clock.sleep(RETRY).await;
    }
}

/// While this node leads: writes down who was removed.
pub(super) async fn keep(core: Arc<Core>) {
    let mut written: BTreeSet<NodeId> = BTreeSet::new();
    loop {
        core.env.clock.sleep(LOOK_EVERY).await;
        if !core.raft.leadership().borrow().is_me {
            written.clear();
            continue;
        }
        let state = core.state();
        let removed = state.nodes().filter(|node| node.state == NodeState::Removed);
        for node in removed.map(|node| node.id).collect::<Vec<_>>() {
            if written.contains(&node) {
                continue;
            }
            let writing = body((), move |(), tx, _attempt| {
                Box::pin(change(tx, node, |row| RosterRow { is_removed: true, ..row }))
            });
            match transact(&core.store, writing).await {
                Ok(()) => drop(written.insert(node)),
                Err(error) => tracing::info!(%node, %error, "a removal is not written down yet"),
            }
        }
    }
}
