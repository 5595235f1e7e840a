//! Nodes in one process: a disk each, and a network that delays and cuts.

use super::super::{Identity, RaftFile, RaftNode, RaftOptions, RaftTransport};
use crate::placement::tests::{boot, founding, profile};
use crate::placement::{Command, Outcome, Reply};
use async_trait::async_trait;
use base::env::Env;
use base::env::Random;
use base::env::sim::{SeededRandom, SimDisk};
use base::{Error, NodeId, Result};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Far more than anything takes in simulated time.
pub(super) const LONG: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Wires {
    nodes: BTreeMap<NodeId, Arc<RaftNode>>,
    /// From, to.
    cut: BTreeSet<(NodeId, NodeId)>,
}

/// All nodes and what is between them.
pub(super) struct World {
    wires: Arc<Mutex<Wires>>,
    random: Arc<SeededRandom>,
    disks: BTreeMap<NodeId, SimDisk>,
    options: RaftOptions,
}

/// One node's end of the network.
struct SimTransport {
    me: NodeId,
    wires: Arc<Mutex<Wires>>,
    random: Arc<SeededRandom>,
}

impl SimTransport {
    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.wires.lock().cut.contains(&(from, to))
    }

    /// Up to 5 ms, and now and then 50.
    async fn delay(&self) {
        let most = if self.random.below(50) == 0 { 50_000 } else { 5_000 };
        tokio::time::sleep(Duration::from_micros(self.random.below(most))).await;
    }
}

#[async_trait]
impl RaftTransport for SimTransport {
    async fn call(&self, to: NodeId, _: &str, request: Bytes, timeout: Duration) -> Result<Bytes> {
        let exchange = async {
            self.delay().await;
            if self.is_cut(self.me, to) {
                return std::future::pending().await;
            }
            let node = self.wires.lock().nodes.get(&to).cloned();
            let node = node.ok_or_else(|| Error::unavailable("refused"))?;
            // As on a real link, the peer goes on although the caller has gone away.
            let me = self.me;
            let serve = tokio::spawn(async move { node.serve(me, &request).await });
            let answer = serve.await.unwrap();
            self.delay().await;
            match self.is_cut(to, self.me) {
                true => std::future::pending().await,
                false => answer,
            }
        };
        let late = |_| Error::unavailable("no answer");
        tokio::time::timeout(timeout, exchange).await.map_err(late)?
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        // So short that the tests see snapshots and purged logs.
        let options = RaftOptions {
            snapshot_every: 20,
            keep_entries: 5,
            lag_max: 40,
            snapshot_chunk_bytes: 4096,
            ..RaftOptions::default()
        };
        let random = Arc::new(SeededRandom::new(seed));
        Self { wires: Arc::default(), random, disks: BTreeMap::new(), options }
    }

    /// Starts a node on its disk, which is new the first time.
    pub(super) async fn start(&mut self, id: NodeId) -> Arc<RaftNode> {
        let disk = self.disks.entry(id).or_default().clone();
        let env = Env { disk: Arc::new(disk), ..Env::simulated(id.0) };
        let file = loop {
            let identity = Identity { cluster_id: 1, node: id };
            match RaftFile::open(&env, Path::new("/raft"), identity) {
                Ok(file) => break file,
                // The tasks of the life before end by and by.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let (wires, random) = (self.wires.clone(), self.random.clone());
        let transport = Arc::new(SimTransport { me: id, wires, random });
        // openraft draws from a generator of its own; a range of one leaves it no choice.
        let timeout = Duration::from_millis(500 + self.random.below(500));
        let election = timeout..timeout + Duration::from_millis(1);
        let options = RaftOptions { election, ..self.options.clone() };
        let node = RaftNode::start(file, transport, &options).await.unwrap();
        self.wires.lock().nodes.insert(id, node.clone());
        node
    }

    /// Nobody reaches it any more, and it reaches nobody: then its tasks end.
    pub(super) async fn kill(&mut self, id: NodeId) {
        let node = self.wires.lock().nodes.remove(&id).unwrap();
        node.stop().await.unwrap();
    }

    /// What was not synced on a stopped node's disk is lost, or not.
    pub(super) fn power_cut(&self, id: NodeId) {
        self.disks[&id].power_cut(self.random.u64());
    }

    pub(super) fn node(&self, id: NodeId) -> Arc<RaftNode> {
        self.wires.lock().nodes[&id].clone()
    }

    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.wires.lock().nodes.keys().copied().collect()
    }

    /// Cuts off some nodes from all others.
    pub(super) fn isolate(&self, apart: &[NodeId]) {
        let mut wires = self.wires.lock();
        let all: Vec<NodeId> = wires.nodes.keys().copied().collect();
        for a in apart {
            for b in all.iter().filter(|b| !apart.contains(b)) {
                wires.cut.extend([(*a, *b), (*b, *a)]);
            }
        }
    }

    pub(super) fn cut_one_way(&self, from: NodeId, to: NodeId) {
        self.wires.lock().cut.insert((from, to));
    }

    pub(super) fn heal(&self) {
        self.wires.lock().cut.clear();
    }

    /// Founds with node 1 and lets others join until there are `count`.
    pub(super) async fn founded(seed: u64, count: usize) -> Self {
        let mut world = Self::new(seed);
        let first = world.start(NodeId(1)).await;
        let done = first.found("node1", &founding(), LONG).await.unwrap();
        assert_eq!(done, Ok(Outcome::Done));
        for token in 1..count {
            world.join(token as u128).await;
        }
        world
    }

    /// A whole join: id, log, voice.
    pub(super) async fn join(&mut self, token: u128) -> NodeId {
        let join = Command::Join { token, profile: profile(token as u64) };
        let done = self.propose(&join).await;
        let Ok(Outcome::Joined(node)) = done else { panic!("{done:?}") };
        self.start(node).await;
        // Only as a learner does it hear who leads.
        self.mend().await;
        let alive = Command::Alive { node, boot: boot(node.0), profile: profile(token as u64) };
        self.propose(&alive).await.unwrap();
        self.mend().await;
        node
    }

    /// Mends the membership until it is right.
    pub(super) async fn mend(&self) {
        let mut quiet = 0;
        while quiet < 10 {
            let leader = self.leader().await;
            match leader.mend_membership(LONG).await {
                Ok(None) => quiet += 1,
                _ => quiet = 0,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A node that leads, and that a majority still listens to.
    pub(super) async fn leader(&self) -> Arc<RaftNode> {
        loop {
            let nodes: Vec<_> = self.wires.lock().nodes.values().cloned().collect();
            for node in nodes {
                let leads = node.leadership().borrow().is_me;
                if leads && node.read(Duration::from_millis(500)).await.is_ok() {
                    return node;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// From a node of the seed's choice.
    pub(super) async fn propose(&self, command: &Command) -> Reply {
        let ids = self.ids();
        let from = ids[self.random.below(ids.len() as u64) as usize];
        self.node(from).propose(command, LONG).await.unwrap()
    }

    /// Waits until all nodes have applied what the leader has, and compares.
    pub(super) async fn agree(&self) {
        let newest = self.leader().await.read(LONG).await.unwrap();
        for id in self.ids() {
            let mut applied = self.node(id).applied();
            let found = tokio::time::timeout(LONG, applied.wait_for(|a| a.index >= newest.index));
            let found = found.await.unwrap_or_else(|_| panic!("{id} stays behind")).unwrap();
            if found.index == newest.index {
                assert_eq!(found.state, newest.state, "{id} believes something else");
            }
            found.state.check().unwrap();
        }
    }
}
