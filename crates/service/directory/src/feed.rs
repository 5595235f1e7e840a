//! Following the feed of changes, and trimming it.
//!
//! Every change writes a feed row under a versionstamp and the same stamp into the head. A node
//! watches the head; when it wakes up (or the poll comes round) it reads the rows after its
//! position and drops what they name. The rows, the head and the trim mark are read in one
//! transaction, so a position below the trim mark means that rows may have been missed: then all
//! is forgotten and the node goes on from the head. Clocks decide only when rows are trimmed,
//! never whether an answer is right.

use crate::keys;
use crate::rows::{FeedRow, Row};
use crate::service::Shared;
use crate::telemetry;
use base::{Error, Result};
use bytes::Bytes;
use contract_store::{
    AtomicOp, Attempt, Body, BodyError, Isolation, KeyRange, KeySelector, RangeRead, StoreResult,
    Transaction, Versionstamp, Watch, transact,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// How many feed rows are read at a time.
const READ_ROWS: usize = 200;
/// How many feed rows one transaction trims.
const TRIM_ROWS: usize = 500;
/// Operation markers are needed while a change is being retried, so for seconds; kept for a day,
/// because the clocks of the nodes may differ.
const MARKER_KEEP_MS: i64 = 24 * 60 * 60 * 1_000;

/// Follows the feed for ever.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut position = None;
    loop {
        let poll = shared.env.clock.sleep(Duration::from_millis(shared.config.poll_ms));
        match catch_up(&shared, &mut position).await {
            Ok(watch) => {
                // A watch that fails is no wake-up: wait for the poll, or this would spin.
                let woken = watch.then(|outcome| async move {
                    if outcome.is_err() {
                        std::future::pending::<()>().await;
                    }
                });
                tokio::select! { () = woken => {}, () = poll => {} }
            }
            Err(error) => {
                tracing::debug!(%error, "reading the directory feed");
                poll.await;
            }
        }
    }
}

/// Reads the feed to its end, drops what changed, and watches for more.
async fn catch_up(shared: &Shared, position: &mut Option<Versionstamp>) -> Result<Watch> {
    loop {
        let began_ms = shared.now_ms();
        let news = read_news(shared, *position).await?;
        match news.rows {
            None => {
                if position.is_some() {
                    telemetry::feed_reload();
                }
                shared.cache.clear();
            }
            Some(rows) => {
                for row in &rows {
                    shared.cache.drop_changed(&row.changed);
                }
            }
        }
        *position = Some(news.position);
        if news.at_end {
            shared.cache.synced(began_ms);
            return Ok(news.watch);
        }
    }
}

struct News {
    /// `None`: rows may have been missed.
    rows: Option<Vec<FeedRow>>,
    position: Versionstamp,
    at_end: bool,
    watch: Watch,
}

async fn read_news(shared: &Shared, position: Option<Versionstamp>) -> Result<News> {
    let tx = shared.store.begin();
    let (head, trimmed) =
        futures::try_join!(stamp(&*tx, keys::HEAD), stamp(&*tx, keys::TRIMMED))?;
    let watch = tx.watch(keys::HEAD);
    let mut news = News { rows: None, position: head, at_end: true, watch };
    if let Some(after) = position.filter(|position| *position >= trimmed) {
        let range = KeyRange::new(keys::feed_entry(&after), keys::feed().end);
        let mut read = RangeRead::all(&range).limit(READ_ROWS);
        read.begin = KeySelector::first_greater_than(keys::feed_entry(&after));
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            rows.push(FeedRow::from_bytes(&row.key, &row.value)?);
        }
        if page.more {
            let last = page.rows.last().and_then(|row| keys::feed_stamp(&row.key));
            news.position = last.unwrap_or(after);
            news.at_end = false;
        }
        news.rows = Some(rows);
    }
    tx.commit().await?;
    Ok(news)
}

/// A stored stamp; zeros where there is none yet.
async fn stamp(tx: &dyn Transaction, key: &[u8]) -> StoreResult<Versionstamp> {
    let value = tx.get(key, Isolation::Snapshot).await?;
    Ok(value.and_then(|bytes| bytes[..].try_into().ok()).unwrap_or_default())
}

/// Trims the feed for ever, each node in its own rhythm.
pub(crate) async fn trim_regularly(shared: Arc<Shared>) {
    loop {
        let interval_ms = shared.config.trim_interval_ms;
        let jitter_ms = shared.env.random.below(interval_ms / 4 + 1);
        shared.env.clock.sleep(Duration::from_millis(interval_ms + jitter_ms)).await;
        loop {
            match trim(&shared).await {
                Ok(TRIM_ROWS) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "trimming the directory feed");
                    break;
                }
            }
        }
    }
}

/// Removes up to [`TRIM_ROWS`] rows that are older than the window; tells how many.
async fn trim(shared: &Shared) -> Result<usize> {
    let now_ms = shared.env.clock.now().unix_ms;
    let window_ms = i64::try_from(shared.config.feed_window_ms).unwrap_or(i64::MAX);
    let markers_ms = now_ms.saturating_sub(MARKER_KEEP_MS).max(0);
    transact(
        &shared.store,
        Trim {
            before_ms: now_ms.saturating_sub(window_ms),
            markers: keys::markers_before((markers_ms as u128) << 80),
        },
    )
    .await
}

struct Trim {
    before_ms: i64,
    markers: KeyRange,
}

/// May run twice: it removes what is old, and the mark only rises.
impl Body<usize> for Trim {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _: Attempt,
    ) -> BoxFuture<'a, Result<usize, BodyError>> {
        self.remove_old(tx).boxed()
    }
}

impl Trim {
    async fn remove_old(&self, tx: &dyn Transaction) -> Result<usize, BodyError> {
        tx.set_batch_priority();
        tx.clear_range(&self.markers);
        let range = keys::feed();
        let page =
            tx.get_range(&RangeRead::all(&range).limit(TRIM_ROWS), Isolation::Snapshot).await?;
        let mut last: Option<Bytes> = None;
        let mut count = 0;
        for row in &page.rows {
            if FeedRow::from_bytes(&row.key, &row.value)?.at_ms >= self.before_ms {
                break;
            }
            last = Some(row.key.clone());
            count += 1;
        }
        if let Some(last) = last {
            let stamp = keys::feed_stamp(&last)
                .ok_or_else(|| Error::corrupt(format!("key {}", last.escape_ascii())))?;
            tx.clear_range(&KeyRange::new(range.begin, KeyRange::single(&last).end));
            tx.atomic(AtomicOp::ByteMax, keys::TRIMMED, &stamp);
        }
        Ok(count)
    }
}
