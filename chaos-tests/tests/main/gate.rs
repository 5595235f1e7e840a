//! A gate to the store reads along what the real client of the store says to the stand-in.

use base::env::Env;
use chaos_tests::journal::{Gates, Journal, Who};
use chaos_tests::switch::rules::{Kind, Party, Rules, cuts};
use chaos_tests::switch::source::Processes;
use contract_store::{Isolation, Store as _};
use fdb_standin::server::{ServerOptions, spawn};
use std::time::Duration;
use store_foundationdb::FoundationDb;

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().fold(vec![kind], |key, part| [&key, *part].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_the_real_client_are_read_along_and_a_node_can_be_cut_off() {
    let server = spawn(ServerOptions::default()).unwrap();
    let (journal, rules, processes) = (Journal::default(), Rules::default(), Processes::default());
    processes.set(Party::Node(1), Some(4_711));
    let gates = Gates::start(2, server.address().port(), &rules, &processes, &journal).await;
    let gates = gates.unwrap();
    let dir = std::env::temp_dir().join(format!("chaos-gate-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let cluster_file = dir.join("fdb.cluster");
    let port = gates.port(1).unwrap();
    std::fs::write(&cluster_file, format!("rialto:standin@127.0.0.1:{port}\n")).unwrap();
    let store = FoundationDb::open(store_foundationdb::Options {
        cluster_file: Some(cluster_file),
        library: Some(chaos_tests::binary::find_standin().unwrap().1),
        prefix: b"rialto-dev/"[..].into(),
        ..store_foundationdb::Options::new(Env::real().clock)
    })
    .unwrap();
    let (fence, account) = (key(b'F', &[&7_u16.to_be_bytes()]), 3_u64.to_be_bytes());
    let tx = store.begin();
    tx.set(&fence, b"mine");
    tx.commit().await.unwrap();
    let tx = store.begin();
    assert!(tx.get(&fence, Isolation::Serializable).await.unwrap().is_some());
    let (folder, number) = (1_u64.to_be_bytes(), 21_u64.to_be_bytes());
    tx.set(&key(b'A', &[&account, b"c", &folder, &number]), b"a change");
    tx.set(&key(b'A', &[&account, b"s"]), &vec![7; 90_000]);
    tx.commit().await.unwrap();
    let entries = journal.entries();
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert_eq!(entries[0].fenced, [7]);
    assert_eq!(entries[1].read_fences, [7]);
    assert_eq!(entries[1].accounts[&3].changes, [(1, 21)]);
    assert!(entries[0].version < entries[1].version && entries[1].is_certain);
    let who = Who { node: 1, pid: 4_711 };
    assert_eq!((journal.owners()[&7], journal.slots()[&3]), (who, 7));

    rules.cut(&cuts(Kind::StoreLess(1), 2));
    let tx = store.begin();
    let cut_off = tx.get(&fence, Isolation::Serializable);
    tokio::pin!(cut_off);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut cut_off).await;
    assert!(early.is_err(), "it was answered: {early:?}");
    rules.heal();
    let late = tokio::time::timeout(Duration::from_secs(60), cut_off).await.unwrap();
    assert!(late.unwrap().is_some());
    store.drain().await;
    std::fs::remove_dir_all(&dir).unwrap();
}
