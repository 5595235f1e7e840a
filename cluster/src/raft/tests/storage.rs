//! The file: openraft's suite, durability, identity.

use super::super::file::{Identity, RaftFile};
use super::super::machine::Machine;
use super::super::types::{StorageError, Types, Vote};
use base::env::Env;
use base::env::sim::SimDisk;
use base::{Kind, NodeId};
use openraft::storage::RaftLogStorage;
use openraft::testing::{StoreBuilder, Suite};
use std::path::Path;
use std::sync::Arc;

fn env_on(disk: &SimDisk) -> Env {
    Env { disk: Arc::new(disk.clone()), ..Env::simulated(1) }
}

fn identity(node: u64) -> Identity {
    Identity { cluster_id: 77, node: NodeId(node) }
}

fn open(disk: &SimDisk, identity: Identity) -> base::Result<RaftFile> {
    RaftFile::open(&env_on(disk), Path::new("/raft"), identity)
}

/// A new file for each test of the suite.
struct Fresh;

impl StoreBuilder<Types, RaftFile, Machine, SimDisk> for Fresh {
    async fn build(&self) -> Result<(SimDisk, RaftFile, Machine), StorageError> {
        let disk = SimDisk::default();
        let file = open(&disk, identity(1)).unwrap();
        let machine = Machine::load(file.clone()).await?;
        Ok((disk, file, machine))
    }
}

#[test]
fn openrafts_suite_of_the_storage() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The simulated environment wants a runtime around it; the suite brings its own for the rest.
    let _guard = runtime.enter();
    Suite::test_all(Fresh).unwrap();
}

#[tokio::test]
async fn a_vote_survives_a_power_cut() {
    for seed in 0..8 {
        let disk = SimDisk::default();
        let mut file = open(&disk, identity(1)).unwrap();
        for term in 1..20 {
            file.save_vote(&Vote::new(term, 1)).await.unwrap();
        }
        disk.power_cut(seed);
        drop(file);
        let mut file = open(&disk, identity(1)).unwrap();
        assert_eq!(file.read_vote().await.unwrap(), Some(Vote::new(19, 1)), "seed {seed}");
    }
}

#[tokio::test]
async fn a_failed_sync_is_an_error_and_stays_one() {
    let disk = SimDisk::default();
    let mut file = open(&disk, identity(1)).unwrap();
    disk.fail_sync(1);
    assert!(file.save_vote(&Vote::new(1, 1)).await.is_err());
    assert!(file.save_vote(&Vote::new(2, 1)).await.is_err());
}

#[tokio::test]
async fn a_file_belongs_to_one_node_of_one_cluster() {
    let disk = SimDisk::default();
    let file = open(&disk, identity(1)).unwrap();
    assert_eq!(open(&disk, identity(1)).unwrap_err().kind, Kind::Unavailable, "opened twice");
    drop(file);
    assert_eq!(open(&disk, identity(2)).unwrap_err().kind, Kind::Invalid);
    let other = Identity { cluster_id: 78, node: NodeId(1) };
    assert_eq!(open(&disk, other).unwrap_err().kind, Kind::Invalid);
    open(&disk, identity(1)).unwrap();
}
