//! Opening: what can be wrong, and whether the cluster answers.

use crate::world::{World, is_real};
use base::env::Env;
use contract_store::{Isolation, Store};
use foundationdb_sys::network::{self, NetworkError};
use std::sync::Arc;
use std::time::Duration;
use store_foundationdb::{FoundationDb, OpenError, Options};

#[tokio::test]
async fn the_cluster_answers() {
    World::whole().run(check_reach).await;
}

async fn check_reach(world: Arc<World>) {
    let (one, two) = (world.store(), world.store());
    assert!(one.reaches(Duration::from_secs(60)).await);
    assert!(two.reaches(Duration::from_secs(60)).await, "a process may open several");
    assert!(one.network_busyness().await >= 0.0);
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_told() {
    if is_real() {
        println!("the real cluster answers: skipped");
        return;
    }
    let world = World::whole();
    let file = tempfile::NamedTempFile::new().unwrap();
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    std::fs::write(file.path(), format!("rialto:standin@{address}\n")).unwrap();
    let mut options = world.options(b"");
    options.cluster_file = Some(file.path().to_owned());
    let store = FoundationDb::open(options).expect("opening does not wait");
    assert!(!store.reaches(Duration::from_millis(200)).await);
}

#[tokio::test]
async fn draining_ends_while_the_cluster_is_away() {
    if is_real() {
        println!("the real cluster stays: skipped");
        return;
    }
    World::whole().run(check_drain).await;
}

async fn check_drain(world: Arc<World>) {
    let store = world.store();
    let tx = store.begin();
    assert_eq!(tx.get(b"a", Isolation::Serializable).await, Ok(None));
    tx.set(b"a", b"1");
    let server = world.server().expect("the stand-in's");
    server.recover(Duration::from_secs(100_000));
    let mut commit = tx.commit();
    assert!(futures::poll!(&mut commit).is_pending());
    assert_eq!(store.drain_within(Duration::from_millis(50)).await, 1, "one is left");
    assert!(futures::poll!(&mut commit).is_pending());
}

#[test]
fn one_library_has_many_names() {
    if is_real() {
        println!("the installed library has its own place: skipped");
        return;
    }
    let world = World::whole();
    let mut options = world.options(b"");
    let library = options.library.clone().expect("the stand-in's");
    FoundationDb::open(options.clone()).expect("by its own name");
    let folder = tempfile::tempdir().unwrap();
    let (link, copy) = (folder.path().join("link.so"), folder.path().join("copy.so"));
    std::os::unix::fs::symlink(&library, &link).unwrap();
    std::fs::copy(&library, &copy).unwrap();
    options.library = Some(link);
    FoundationDb::open(options.clone()).expect("by another name");
    options.library = Some(copy);
    let error = FoundationDb::open(options).err();
    let is_another = |error: &OpenError| {
        matches!(error, OpenError::Library(foundationdb_sys::LoadError::Another { .. }))
    };
    assert!(error.as_ref().is_some_and(is_another), "{error:?}");
}

/// The network can be stopped only once in a process, so that is done in another one.
#[test]
fn the_network_stops_in_order() {
    in_another_process("opening::stops_in_a_process_of_its_own");
}

#[test]
fn a_network_that_ends_by_itself_is_told() {
    if is_real() {
        println!("what the real one does without a set-up is not ours: skipped");
        return;
    }
    in_another_process("opening::ends_in_a_process_of_its_own");
}

/// Nothing is set up, so the library's loop ends at once.
#[test]
#[ignore = "run by a_network_that_ends_by_itself_is_told"]
fn ends_in_a_process_of_its_own() {
    let world = World::whole();
    let options = world.options(b"");
    foundationdb_sys::load(options.library.as_deref()).unwrap();
    network::start().unwrap();
    while network::is_running() {
        std::thread::yield_now();
    }
    let error = FoundationDb::open(options).err();
    let ended = matches!(error, Some(OpenError::Network(NetworkError::Ended(code))) if code != 0);
    assert!(ended, "{error:?}");
}

fn in_another_process(test: &str) {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{child:?}");
}

#[tokio::test]
#[ignore = "run by the_network_stops_in_order"]
async fn stops_in_a_process_of_its_own() {
    World::whole().run(check_stop).await;
}

async fn check_stop(world: Arc<World>) {
    let store = world.store();
    let tx = store.begin();
    tx.set(b"a", b"1");
    let mut commit = tx.commit();
    assert!(futures::poll!(&mut commit).is_pending());
    store.drain().await;
    assert!(commit.await.is_ok(), "it was waited for");
    tx.reset();
    tx.clear(b"a");
    tx.commit().await.unwrap();
    store_foundationdb::stop();
    store_foundationdb::stop();
    assert!(!store.reaches(Duration::from_secs(100_000)).await, "told without waiting");
    let again = FoundationDb::open(world.options(b"")).err();
    assert!(matches!(again, Some(OpenError::Network(_))), "{again:?}");
}

#[test]
fn mistakes_are_named() {
    let mut options = Options::new(Env::real().clock);
    options.cluster_file = Some("/nowhere/fdb.cluster".into());
    let error = FoundationDb::open(options.clone()).err().expect("no such file");
    assert!(error.to_string().contains("/nowhere/fdb.cluster"), "{error}");
    options.prefix = b"\xff".as_slice().into();
    assert!(matches!(FoundationDb::open(options), Err(OpenError::Prefix)));
}
