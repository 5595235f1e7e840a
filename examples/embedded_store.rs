//! Opens the single-machine store, writes, closes, and finds everything again.
//!
//! Each run adds one to a counter and a row to a journal, in one transaction; run it several times,
//! or kill it in between.
//!
//! ```text
//! cargo run --example embedded_store -- [directory]
//! ```
#![allow(clippy::print_stdout, reason = "an example speaks on the terminal")]

use base::env::Env;
use contract_store::keys::KeyBuilder;
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Store, Transaction, transact,
};
use futures::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use store_embedded::{EmbeddedStore, Options};

const COUNTER: &[u8] = b"example/counter";
const JOURNAL: &[u8] = b"example/journal/";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(|| std::env::temp_dir().join("rialto-example-store"), PathBuf::from);
    let env = Env::real();

    let embedded = EmbeddedStore::open(Options::new(&dir, env.clone()))?;
    let store: Arc<dyn Store> = embedded.clone();
    let visit = Visit { id: env.random.u64(), at_ms: env.clock.now().unix_ms };
    let count = transact(&store, visit).await?;
    println!("visit number {count}, durable in {}", dir.display());
    drop(store);
    embedded.close().await?;
    let stats = embedded.stats();
    println!("{} commit, {} sync of the log", stats.commits, stats.syncs);

    let embedded = EmbeddedStore::open(Options::new(&dir, env))?;
    let tx = embedded.begin();
    let mut next = Some(RangeRead::all(&KeyRange::prefix(JOURNAL)));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        for row in &page.rows {
            println!("  {}", row.value.escape_ascii());
        }
    }
    embedded.close().await?;
    Ok(())
}

/// One transaction: adds one to the counter and notes who did it and when.
///
/// A commit may end without anybody knowing whether it happened; then the body runs again. So it
/// looks first whether the row that this very visit writes is there already.
struct Visit {
    id: u64,
    at_ms: i64,
}

impl Body<u64> for Visit {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<u64, BodyError>> {
        Box::pin(async move {
            let row = tx.get(COUNTER, Isolation::Serializable).await?;
            let before = row.and_then(|row| Some(u64::from_be_bytes(row[..].try_into().ok()?)));
            let before = before.unwrap_or(0);
            let key = KeyBuilder::new(JOURNAL).u64(self.id).build();
            if attempt.maybe_committed && tx.get(&key, Isolation::Serializable).await?.is_some() {
                return Ok(before);
            }
            let count = before + 1;
            tx.set(COUNTER, &count.to_be_bytes());
            tx.set(&key, format!("visit {count} at {} ms", self.at_ms).as_bytes());
            Ok(count)
        })
    }
}
