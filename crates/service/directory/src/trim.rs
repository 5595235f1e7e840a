//! Removing what has had its time: feed entries, operation markers, audit records.
//!
//! All of them stand in the order in which they were written, so the oldest are the first, and a
//! transaction removes a chunk from the front. Every node does it, each in its own rhythm; doing
//! it twice does no harm.

use crate::feed::report;
use crate::keys;
use crate::rows::{AuditRow, FeedRow, Row};
use crate::service::Shared;
use crate::shares;
use base::{Error, Result};
use bytes::Bytes;
use contract_directory::FILTERS_LEVEL;
use contract_store::{
    AtomicOp, Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Transaction, transact,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// How many feed rows one transaction trims.
const FEED_ROWS: usize = 500;
/// How many audit records one transaction trims; one that names a chunk of new accounts has 50 kB.
const AUDIT_ROWS: usize = 50;
/// Operation markers are needed while a change is being retried, so for seconds; kept for a day,
/// because the clocks of the nodes may differ.
const MARKER_KEEP_MS: i64 = 24 * 60 * 60 * 1_000;

/// Trims for ever.
pub(crate) async fn trim_regularly(shared: Arc<Shared>) {
    loop {
        let interval_ms = shared.config.trim_interval_ms;
        let jitter_ms = shared.env.random.below(interval_ms / 4 + 1);
        shared.env.clock.sleep(Duration::from_millis(interval_ms + jitter_ms)).await;
        if let Err(error) = trim_all(&shared).await {
            report(&error, "trimming");
        }
    }
}

async fn trim_all(shared: &Shared) -> Result<()> {
    let now_ms = shared.env.clock.now().unix_ms;
    let window_ms = i64::try_from(shared.config.feed_window_ms).unwrap_or(i64::MAX);
    let markers_ms = now_ms.saturating_sub(MARKER_KEEP_MS).max(0);
    let feed = || TrimFeed {
        before_ms: now_ms.saturating_sub(window_ms),
        markers: keys::markers_before((markers_ms as u128) << 80),
    };
    while transact(&shared.store, feed()).await? {}
    let audit_ms = now_ms.saturating_sub(shared.config.audit_keep_ms);
    while transact(&shared.store, TrimAudit { before_ms: audit_ms }).await? {}
    // Nodes below it grant access without these rows.
    match shared.is_at_level(FILTERS_LEVEL) {
        true => shares::complete(shared).await,
        false => Ok(()),
    }
}

/// Clears the rows at the front of a range that are old, `limit` at the most; gives the last of
/// them, and whether there may be more.
async fn clear_front(
    tx: &dyn Transaction,
    range: KeyRange,
    limit: usize,
    is_old: impl Fn(&[u8], &[u8]) -> Result<bool>,
) -> Result<(Option<Bytes>, bool), BodyError> {
    let page = tx.get_range(&RangeRead::all(&range).limit(limit), Isolation::Snapshot).await?;
    let mut last = None;
    let mut more = page.more && !page.rows.is_empty();
    for row in page.rows {
        if !is_old(&row.key, &row.value)? {
            more = false;
            break;
        }
        last = Some(row.key);
    }
    if let Some(last) = &last {
        tx.clear_range(&KeyRange::new(range.begin, KeyRange::single(last).end));
    }
    Ok((last, more))
}

/// Removes a chunk of the feed, and old markers; answers whether there is more.
struct TrimFeed {
    before_ms: i64,
    markers: KeyRange,
}

/// May run twice: it removes what is old, and the mark only rises.
impl Body<bool> for TrimFeed {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _: Attempt,
    ) -> BoxFuture<'a, Result<bool, BodyError>> {
        async move {
            tx.set_batch_priority();
            tx.clear_range(&self.markers);
            let is_old = |key: &[u8], value: &[u8]| {
                Ok(FeedRow::from_bytes(key, value)?.at_ms < self.before_ms)
            };
            let (last, more) = clear_front(tx, keys::feed(), FEED_ROWS, is_old).await?;
            if let Some(last) = last {
                let stamp = keys::feed_stamp(&last)
                    .ok_or_else(|| Error::corrupt(format!("key {}", last.escape_ascii())))?;
                tx.atomic(AtomicOp::ByteMax, keys::TRIMMED, &stamp);
            }
            Ok(more)
        }
        .boxed()
    }
}

/// Removes a chunk of the audit; answers whether there is more.
struct TrimAudit {
    before_ms: i64,
}

impl Body<bool> for TrimAudit {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _: Attempt,
    ) -> BoxFuture<'a, Result<bool, BodyError>> {
        async move {
            tx.set_batch_priority();
            let is_old = |key: &[u8], value: &[u8]| {
                Ok(AuditRow::from_bytes(key, value)?.is_before(self.before_ms))
            };
            Ok(clear_front(tx, keys::audit(), AUDIT_ROWS, is_old).await?.1)
        }
        .boxed()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::config::{DirectoryConfig, HashParameters};
    use crate::service::DirectoryService;
    use base::universe::Universe;
    use contract_directory::{Actor, DirectoryAdmin, Domain, DomainKind};
    use contract_store::Store;
    use std::sync::Arc;
    use std::time::Duration;
    use store_memory::MemoryStore;

    #[test]
    fn audit_records_are_kept_for_their_time_and_then_go() {
        Universe::run(1, async |env| {
            let config = DirectoryConfig {
                hash: HashParameters { memory_kib: 64, passes: 1, lanes: 1 },
                audit_keep_ms: 90_000,
                trim_interval_ms: 1_000,
                ..DirectoryConfig::default()
            };
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
            let node = DirectoryService::start(config, store, env.clone());
            let domain = async |number: usize| {
                let name = format!("d{number}.test");
                let new = Domain { name, kind: DomainKind::Authoritative, default: false };
                node.create_domain(&Actor::System, new).await.unwrap();
            };
            // More than one transaction trims.
            for number in 0..120 {
                domain(number).await;
            }
            env.clock.sleep(Duration::from_secs(60)).await;
            domain(120).await;
            assert_eq!(node.audit(1_000).await.unwrap().len(), 121);
            env.clock.sleep(Duration::from_secs(40)).await;
            let left = node.audit(1_000).await.unwrap();
            assert_eq!(left.len(), 1);
            assert_eq!(left[0].target, "d120.test");
        });
    }
}
