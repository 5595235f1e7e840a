//! Copies to and from FoundationDB (the stand-in for it), with its own faults.

use crate::{all, copy, expected, finish, memory, put, refused, rows};
use base::Kind;
use base::env::Env;
use bytes::Bytes;
use contract_store::{Store, StoreError};
use fdb_standin::server::{Faults, ServerHandle, ServerOptions, spawn};
use std::path::Path;
use std::sync::Arc;
use store_copy::{Copy, GatedStore, Overlap, Start, take_into_use};
use store_foundationdb::{FoundationDb, Options};
use store_memory::parts::Dice;
use tempfile::TempDir;
use tokio::sync::watch;

/// A cluster of a test's own.
fn cluster(seed: u64) -> (ServerHandle, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options = ServerOptions { seed, ..ServerOptions::default() };
    let server = std::thread::spawn(|| spawn(options).unwrap()).join().unwrap();
    server.write_cluster_file(&dir.path().join("fdb.cluster")).unwrap();
    (server, dir)
}

fn open(dir: &Path, prefix: &'static str) -> Arc<dyn Store> {
    let mut options = Options::new(Env::real().clock);
    options.library = fdb_standin::library_path();
    options.cluster_file = Some(dir.join("fdb.cluster"));
    options.prefix = Bytes::from(prefix);
    FoundationDb::open(options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_over_its_own_faults() {
    let (server, dir) = cluster(5);
    let mut dice = Dice::new(5);
    let (source, end): (Arc<dyn Store>, Arc<dyn Store>) = (memory(5), memory(6));
    let middle = open(dir.path(), "there/");
    put(&source, &rows(&mut dice, 200)).await;
    let wanted = expected(&source).await;
    let faults =
        Faults { conflicts: 0.05, unknown: 0.2, late: 0.2, late_ms: 50, ..Faults::default() };
    server.set_faults(faults);
    let (there, _) = finish(&copy(&source, &middle), &mut dice).await;
    let from = Copy { is_source_shared: true, ..copy(&middle, &end) };
    let (back, _) = finish(&from, &mut dice).await;
    assert_eq!(there, back);
    server.settle();
    server.set_faults(Faults::default());
    assert!(all(&middle).await == wanted, "what is in FoundationDB differs");
    assert!(all(&end).await == wanted, "what came back differs");
    take_into_use(&end).await.unwrap();
    assert!(take_into_use(&middle).await.is_err(), "it has moved");
}

/// Keys of one store inside those of the other, or the same ones under another name.
#[tokio::test(flavor = "multi_thread")]
async fn one_database_under_two_names_is_noticed() {
    let (_server, dir) = cluster(6);
    let key = |text: &'static str| Some(Bytes::from(text));
    for (from, to, overlap) in [
        ("", "in/", Overlap { target_in_source: key("in/"), source_in_target: None }),
        ("out/in/", "out/", Overlap { target_in_source: None, source_in_target: key("in/") }),
        ("a/", "a/", Overlap { target_in_source: key(""), source_in_target: key("") }),
    ] {
        let (source, target) = (open(dir.path(), from), open(dir.path(), to));
        put(&source, &[(Bytes::from_static(b"k"), Bytes::from_static(b"v"))]).await;
        let before = all(&source).await;
        for start in [Start::Resume, Start::Anew] {
            let overlap = overlap.clone();
            let copy = Copy { overlap, start, is_source_shared: true, ..copy(&source, &target) };
            refused(&copy, Kind::Invalid, "the same database").await;
        }
        assert_eq!(all(&source).await, before);
        take_into_use(&source).await.unwrap();
    }
    // Two databases may have such prefixes.
    let (_other, elsewhere) = cluster(7);
    let (source, target) = (open(dir.path(), "a/"), open(elsewhere.path(), "a/"));
    let overlap = Overlap { target_in_source: key(""), source_in_target: key("") };
    let copy = Copy { overlap, is_source_shared: true, ..copy(&source, &target) };
    copy.run(&watch::Sender::default()).await.unwrap();
    assert_eq!(all(&source).await, all(&target).await);
}

/// Nodes go on writing into the source, each through a gate of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_other_nodes_write_is_in_the_copy_or_refused() {
    let (_server, dir) = cluster(8);
    let target: Arc<dyn Store> = memory(8);
    let writers = (0..4u8).map(|number| {
        let store: Arc<dyn Store> = GatedStore::shared(open(dir.path(), "src/"));
        tokio::spawn(async move {
            let mut done = 0u16;
            loop {
                let tx = store.begin();
                tx.set(&[number, (done >> 8) as u8, done as u8], b"v");
                match tx.commit().await {
                    Ok(_) => done += 1,
                    Err(StoreError::Conflict) => {}
                    Err(StoreError::Closed(_)) => return u64::from(done),
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let source = open(dir.path(), "src/");
    while all(&source).await.len() < 100 {}
    let copy = Copy { is_source_shared: true, ..copy(&source, &target) };
    let summary = copy.run(&watch::Sender::default()).await.unwrap();
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged += writer.await.unwrap();
    }
    assert_eq!(summary.rows, acknowledged);
}
