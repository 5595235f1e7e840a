//! A walk through a whole cluster's store holds no version for long: it is cut into transactions
//! that are over long before the store forgets what they read (five seconds).

use crate::scenario;
use base::env::Env;
use chaos_tests::fault;
use chaos_tests::scenario::Tier;
use chaos_tests::standin::Stats;
use chaos_tests::world::{Options, Store, World};
use contract_store::Store as _;
use futures::future::join_all;
use std::time::Duration;
use store_foundationdb::FoundationDb;

/// How many rows one transaction writes, and how many transactions write at once.
const ROWS_PER_COMMIT: u64 = 2_000;
const COMMITS_AT_ONCE: usize = 8;

/// The keys of the rows, behind all that a node writes.
const ROWS: &[u8] = b"~/";

/// Rows beside those of a node, in its part of the database.
async fn fill(world: &mut World, rows: u64) {
    let standin = world.standin().unwrap();
    let store = FoundationDb::open(store_foundationdb::Options {
        cluster_file: Some(standin.cluster_file()),
        library: Some(standin.library().to_owned()),
        prefix: b"rialto-dev/"[..].into(),
        ..store_foundationdb::Options::new(Env::real().clock)
    })
    .unwrap();
    let firsts: Vec<u64> = (0..rows).step_by(ROWS_PER_COMMIT as usize).collect();
    for some in firsts.chunks(COMMITS_AT_ONCE) {
        let commits = some.iter().map(|first| {
            let tx = store.begin();
            async move {
                for row in *first..(first + ROWS_PER_COMMIT).min(rows) {
                    tx.set(&[ROWS, &row.to_be_bytes()].concat(), &[row as u8; 100]);
                }
                tx.commit().await.unwrap();
            }
        });
        join_all(commits).await;
    }
    store.drain().await;
}

async fn story(seed: u64, rows: u64) -> (String, Stats) {
    let (name, store) = ("scan".to_owned(), Store::FoundationDb);
    let mut world =
        World::start(Options { name, seed, store, ..Options::default() }).await.unwrap();
    fault::terminate(&mut world).await.unwrap();
    fill(&mut world, rows).await;
    let from = world.store_place().unwrap();
    let to = format!("embedded:{}", world.dir().join("copy").display());
    let patience = Duration::from_secs(1_200);
    let said = world.rialto(&["store", "copy", "--from", &from, "--to", &to], patience).await;
    let said = said.unwrap_or_else(|error| panic!("{error}"));
    let stats = world.standin().unwrap().stats().await.unwrap();
    world.pass();
    (said, stats)
}

#[test]
fn a_copy_of_all_rows_reads_in_transactions_below_three_seconds() {
    let rows = Tier::from_env().pick(100_000, 1_000_000);
    let (said, stats) = scenario("scan", |seed| story(seed, rows));
    let (read, pages) = (stats.get("rows_read").unwrap(), stats.get("pages").unwrap());
    let age_ms = stats.get("read_age_ms_max").unwrap();
    eprintln!("scan: {read} rows in {pages} pages, the oldest read at {age_ms} ms; {said}");
    assert!(said.contains("verified by count and hash"), "{said}");
    assert!(read >= rows && age_ms < 3_000, "{stats:?}");
}
