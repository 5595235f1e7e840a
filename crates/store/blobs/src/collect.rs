//! Removing what nobody holds.
//!
//! Three lists are worked off, each from its beginning, since what was looked at leaves its list
//! in the same transaction: candidates (blobs that lost a reference), leases that ran out, and
//! uploads whose chunks are to be cleared. All of it may be done twice or be lost in a crash and
//! done again, so no commit waits for the disk.

use crate::Shared;
use crate::over_damage::{Head, head};
use crate::rows::{self, Manifest, UploadId};
use base::{Result, Timestamp, wire};
use contract_blob::{BlobId, Collected};
use contract_store::{
    Body, BodyError, Durability, Isolation, KeyRange, RangeRead, StoreError, Transaction, body,
    transact,
};

/// Candidates in one transaction: few enough that a conflict costs little.
const BATCH: usize = 32;

/// Chunks cleared in one transaction; a store may have to touch each of them.
const CLEARED_CHUNKS_MAX: u32 = 1024;

/// What an upload of unknown size counts as.
const UNKNOWN_CHUNKS: u32 = 128;

pub(crate) async fn collect(shared: &Shared, limit: usize) -> Result<Collected> {
    let mut all = Collected::default();
    for list in [List::Candidates, List::Leases, List::Doomed] {
        // Each list has the whole limit: clearing chunks must keep up with what dooms them.
        let mut left = limit.max(1);
        loop {
            let round = Round { list, limit: left.min(BATCH), now: shared.clock.now() };
            let done = transact(&shared.store, run(round)).await?;
            for id in &done.cleared {
                shared.manifests.remove(id);
            }
            if !matches!(list, List::Doomed) {
                all.examined += done.examined;
                all.removed += done.removed;
            }
            all.damaged += done.damaged;
            left = left.saturating_sub(done.examined as usize);
            if !done.more || left == 0 {
                all.more |= done.more;
                break;
            }
        }
    }
    metrics::counter!("rialto_blob_removed_total").increment(all.removed);
    Ok(all)
}

#[derive(Clone, Copy)]
enum List {
    Candidates,
    Leases,
    Doomed,
}

/// One transaction's share of a list.
struct Round {
    list: List,
    limit: usize,
    now: Timestamp,
}

#[derive(Default)]
struct Done {
    examined: u64,
    removed: u64,
    damaged: u64,
    more: bool,
    cleared: Vec<BlobId>,
}

impl Done {
    /// What is damaged is passed over: it must not hold up the others.
    fn new(found: &Head) -> Self {
        for key in &found.damaged {
            tracing::error!(key = %key.escape_ascii(), "a damaged row is left where it is");
        }
        Self { more: found.more, damaged: found.damaged.len() as u64, ..Self::default() }
    }
}

/// What was found about a blob that may be nobody's any more.
enum Look {
    /// Or gone already.
    Held,
    Abandoned(Manifest),
    /// It cannot be known, so it is left where it is.
    Damaged,
}

fn run(round: Round) -> impl Body<Done> {
    body(round, |round, tx, _| {
        Box::pin(async move {
            tx.set_batch_priority();
            tx.set_durability(Durability::WithNext);
            match round.list {
                List::Candidates => round.candidates(tx).await,
                List::Leases => round.leases(tx).await,
                List::Doomed => round.doomed(tx).await,
            }
        })
    })
}

impl Round {
    async fn candidates(&self, tx: &dyn Transaction) -> Result<Done, BodyError> {
        let found = head(tx, &rows::candidates_until(self.now), self.limit).await?;
        let mut done = Done::new(&found);
        let looks = found.rows.iter().map(|row| async move {
            match rows::blob_of_candidate(&row.key) {
                Some(id) => Ok(Some((id, look(tx, id).await?))),
                None => Ok::<_, BodyError>(None),
            }
        });
        let looks = futures::future::try_join_all(looks).await?;
        for (row, look) in found.rows.iter().zip(looks) {
            done.examined += 1;
            tx.clear(&row.key);
            match look {
                // Two candidates of one batch may name the same blob.
                Some((id, Look::Abandoned(manifest))) if !done.cleared.contains(&id) => {
                    tx.clear(&rows::manifest_key(id));
                    manifest.upload().doom(tx, manifest.chunk_count)?;
                    done.removed += 1;
                    done.cleared.push(id);
                }
                Some((_, Look::Damaged)) => done.damaged += 1,
                _ => {}
            }
        }
        Ok(done)
    }

    async fn leases(&self, tx: &dyn Transaction) -> Result<Done, BodyError> {
        let found = head(tx, &rows::leases_until(self.now), self.limit).await?;
        let mut done = Done::new(&found);
        for row in &found.rows {
            done.examined += 1;
            // Whoever turns the lease into a manifest meanwhile must win or fail, not both.
            tx.add_read_conflict(&KeyRange::single(&row.key))?;
            tx.clear(&row.key);
            if let Some(upload) = UploadId::of_lease(&row.key) {
                upload.doom(tx, 0)?;
                done.removed += 1;
            }
        }
        Ok(done)
    }

    async fn doomed(&self, tx: &dyn Transaction) -> Result<Done, BodyError> {
        let found = head(tx, &rows::doomed(), self.limit).await?;
        let mut done = Done::new(&found);
        let mut chunks = 0u32;
        for row in &found.rows {
            if chunks >= CLEARED_CHUNKS_MAX {
                done.more = true;
                break;
            }
            done.examined += 1;
            tx.clear(&row.key);
            let Some(upload) = UploadId::of_doomed(&row.key) else {
                continue;
            };
            tx.clear_range(&upload.chunks());
            let count = wire::decode_row(rows::VERSION, &row.value).unwrap_or(0u32);
            chunks = chunks.saturating_add(if count == 0 { UNKNOWN_CHUNKS } else { count });
        }
        Ok(done)
    }
}

/// Whether a blob is nobody's. Reads references and manifest with conflicts.
async fn look(tx: &dyn Transaction, id: BlobId) -> Result<Look, BodyError> {
    let first = RangeRead::all(&rows::references(id)).limit(1);
    let mut next = Some(first);
    while let Some(read) = next {
        let page = match tx.get_range(&read, Isolation::Serializable).await {
            Err(error @ StoreError::Damaged { .. }) => return Ok(damaged(id, &error)),
            page => page?,
        };
        if !page.rows.is_empty() {
            return Ok(Look::Held);
        }
        next = read.after(&page);
    }
    match rows::manifest(tx, id, Isolation::Serializable).await {
        Ok(manifest) => Ok(manifest.map_or(Look::Held, Look::Abandoned)),
        // What cannot be read cannot be cleared safely, and must not hold up the others.
        Err(BodyError::Refused(error)) => Ok(damaged(id, &error)),
        Err(BodyError::Store(error @ StoreError::Damaged { .. })) => Ok(damaged(id, &error)),
        Err(error) => Err(error),
    }
}

fn damaged(id: BlobId, error: &dyn std::fmt::Display) -> Look {
    tracing::error!(blob = ?id, %error, "a blob that may be nobody's is left where it is");
    Look::Damaged
}
