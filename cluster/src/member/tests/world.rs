//! Hosts with a disk each, and what can happen to them.

use super::cut::{Ears, Heard, Wire};
use super::toy::{self, Ledger, Toy};
use crate::member::{ClusterNode, ClusterSetup, JoinSetup, MemberOptions, join_cluster};
use base::env::sim::{SimDisk, Simulation};
use base::env::{Env, Random};
use base::router::{LocalRouter, Router, ServiceId};
use base::{Deadline, Error, NodeId, Result, Slot};
use contract_control::{ClusterAdmin, ClusterStatus, Standing};
use contract_store::Store;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use store_memory::MemoryStore;

pub(super) fn host(number: u64) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number as u8).into()
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn slot(number: u64) -> Slot {
    Slot::new((number % 4096) as u16).unwrap()
}

/// How often a story is told: each time with another seed.
pub(super) fn rounds(smoke: u64, full: u64) -> u64 {
    let is_full = std::env::var("RIALTO_TIER").is_ok_and(|tier| tier == "full");
    if is_full { full } else { smoke }
}

/// A process on a host.
pub(super) struct Process {
    pub(super) node: Arc<ClusterNode>,
    pub(super) toy: Arc<Toy>,
    pub(super) died: Arc<AtomicBool>,
    /// Its way to the store.
    pub(super) stores: Wire,
    /// What it hears of others.
    pub(super) ears: Ears,
}

pub(super) struct World {
    pub(super) sim: Simulation,
    pub(super) memory: MemoryStore,
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Arc<Ledger>,
    disks: Mutex<BTreeMap<u64, SimDisk>>,
    processes: Mutex<BTreeMap<u64, Arc<Process>>>,
    ids: Mutex<BTreeMap<u64, NodeId>>,
    houses: Mutex<BTreeMap<u64, u16>>,
    values: AtomicU64,
    /// Moves at a time between two nodes: many, where moving is not what is tested.
    pub(super) per_pair: AtomicUsize,
}

impl World {
    pub(super) fn new(sim: &Simulation) -> Arc<Self> {
        let memory = MemoryStore::new(Arc::new(sim.clock.clone()), &*sim.random);
        Arc::new(Self {
            sim: sim.clone(),
            store: Arc::new(memory.clone()),
            memory,
            ledger: Arc::default(),
            disks: Mutex::default(),
            processes: Mutex::default(),
            ids: Mutex::default(),
            houses: Mutex::default(),
            values: AtomicU64::new(1),
            per_pair: AtomicUsize::new(64),
        })
    }

    pub(super) fn disk(&self, number: u64) -> SimDisk {
        self.disks.lock().entry(number).or_default().clone()
    }

    /// Where the links of a host's node listen now.
    pub(super) fn address(&self, number: u64) -> SocketAddr {
        let moves = self.houses.lock().get(&number).copied().unwrap_or(0);
        (host(number), 7000 + moves).into()
    }

    /// From its next start on a node is at another address.
    pub(super) fn move_house(&self, number: u64) {
        *self.houses.lock().entry(number).or_default() += 1;
    }

    fn options(&self, number: u64, died: &Arc<AtomicBool>) -> MemberOptions {
        let mut options = MemberOptions::default();
        // openraft draws from a generator of its own; a range of one leaves it no choice.
        // Apart from each other's, or two would stand against each other for ever.
        let timeout = Duration::from_millis(500 + number * 137 % 500 + self.sim.random.below(20));
        options.raft.election = timeout..timeout + Duration::from_millis(1);
        options.moves.per_pair = self.per_pair.load(SeqCst);
        options.renew_every = secs(5);
        options.moves.total = 4 * options.moves.per_pair;
        let died = died.clone();
        options.die = Arc::new(move || died.store(true, SeqCst));
        options
    }

    /// Starts a process on a host, with what stands on its disk; it does not serve yet.
    pub(super) async fn start(&self, number: u64) -> Result<Arc<Process>> {
        let local = Arc::new(LocalRouter::new(true));
        let died = Arc::new(AtomicBool::new(false));
        let (stores, ears) = (Wire::new(self.store.clone()), Ears::default());
        let store: Arc<dyn Store> = Arc::new(stores.clone());
        let env = self.sim.env_at(host(number), &self.disk(number));
        let network = Arc::new(Heard { network: env.network, ears: ears.clone() });
        let setup = ClusterSetup {
            env: Env { network, ..env },
            store: store.clone(),
            data: PathBuf::from("/data"),
            name: format!("host{number}"),
            version: "0.1".into(),
            listen: self.address(number),
            address: self.address(number),
            weight: 100,
            local: local.clone(),
            options: self.options(number, &died),
        };
        let node = ClusterNode::start(setup).await?;
        let toy = Arc::new(Toy::new(store, node.control(), self.ledger.clone()));
        local.register(ServiceId::MAILBOX, toy.clone());
        self.ids.lock().insert(number, node.control().node());
        let process = Arc::new(Process { node, toy, died, stores, ears });
        self.processes.lock().insert(number, process.clone());
        Ok(process)
    }

    /// Starts it and has it serve; the tasks of an earlier life may still hold its disk.
    pub(super) async fn up(&self, number: u64) -> Arc<Process> {
        let process = loop {
            match self.start(number).await {
                Ok(process) => break process,
                Err(error) if error.is_temporary() => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("host {number} does not start: {error}"),
            }
        };
        tokio::time::timeout(secs(60), process.node.begin()).await.expect("never begins").unwrap();
        process
    }

    /// A new node, let in by one that is up.
    pub(super) async fn join(&self, number: u64, by: u64) -> Arc<Process> {
        let token = self.admin(by).invite(3600).await.unwrap();
        self.ask_to_join(number, by, token).await.unwrap();
        self.up(number).await
    }

    pub(super) async fn ask_to_join(&self, number: u64, by: u64, token: String) -> Result<NodeId> {
        let joining = JoinSetup {
            env: self.sim.env_at(host(number), &self.disk(number)),
            data: PathBuf::from("/data"),
            token,
            member: self.address(by),
            name: format!("host{number}"),
            version: "0.1".into(),
            address: self.address(number),
            weight: 100,
        };
        join_cluster(joining).await
    }

    /// So many nodes, in balance, that all know it.
    pub(super) async fn of(sim: &Simulation, count: u64) -> Arc<Self> {
        Self::moving(sim, count, 64).await
    }

    /// The same, moving so many slots at a time.
    pub(super) async fn moving(sim: &Simulation, count: u64, per_pair: usize) -> Arc<Self> {
        let world = Self::new(sim);
        world.per_pair.store(per_pair, SeqCst);
        world.up(1).await;
        for number in 2..=count {
            world.join(number, 1).await;
        }
        world.balanced(count as usize).await;
        world
    }

    pub(super) fn process(&self, number: u64) -> Arc<Process> {
        self.processes.lock()[&number].clone()
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.processes.lock().keys().copied().collect()
    }

    pub(super) fn id(&self, number: u64) -> NodeId {
        self.ids.lock()[&number]
    }

    pub(super) fn admin(&self, number: u64) -> Arc<dyn ClusterAdmin> {
        self.process(number).node.admin()
    }

    pub(super) fn router(&self, number: u64) -> Arc<dyn Router> {
        self.process(number).node.router()
    }

    pub(super) async fn status(&self, number: u64) -> ClusterStatus {
        self.admin(number).status(false).await.unwrap()
    }

    /// The process is gone; its host refuses connections.
    pub(super) fn kill(&self, number: u64) -> Arc<Toy> {
        let process = self.processes.lock().remove(&number).unwrap();
        let toy = process.toy.clone();
        drop(process);
        toy
    }

    /// Cuts a host off from all other hosts; the store stays within reach.
    pub(super) fn isolate(&self, number: u64) {
        for other in (1..=9).filter(|other| *other != number) {
            self.sim.network.partition(host(number), host(other));
        }
    }

    pub(super) fn heal(&self, number: u64) {
        for other in (1..=9).filter(|other| *other != number) {
            self.sim.network.heal(host(number), host(other));
        }
    }

    /// The number of the host whose node leads Raft, as a majority of hosts sees it.
    pub(super) async fn leader(&self) -> u64 {
        loop {
            for number in self.numbers() {
                let leader = self.status(number).await.leader;
                if leader == Some(self.id(number)) && self.admin(number).status(true).await.is_ok()
                {
                    return number;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until so many nodes are active everywhere, nothing moves, and all carry their share.
    pub(super) async fn balanced(&self, count: usize) {
        let share = 4096 / count as u16;
        let even = |status: &ClusterStatus| {
            let active = status.nodes.iter().filter(|n| n.standing == Standing::Active);
            let slots: Vec<u16> = active.map(|node| node.slots).collect();
            slots.len() == count
                && status.moves == 0
                && status.slots_without_owner == 0
                && slots.iter().all(|slots| slots.abs_diff(share) <= share / 15 + 1)
        };
        // The leader looks twice a second whether there is something to even out.
        let mut before = BTreeMap::new();
        loop {
            self.until("balanced", secs(120), even).await;
            let status = self.status(self.numbers()[0]).await;
            let now: BTreeMap<NodeId, u16> = status.nodes.iter().map(|n| (n.id, n.slots)).collect();
            if now == before {
                break;
            }
            before = now;
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
        self.serving().await;
    }

    /// Waits until all nodes that are up see a status like this.
    pub(super) async fn until(
        &self,
        what: &str,
        within: Duration,
        holds: impl Fn(&ClusterStatus) -> bool,
    ) {
        let deadline = Deadline::after(within);
        loop {
            let mut seen = Vec::new();
            for number in self.numbers() {
                seen.push(self.status(number).await);
            }
            if seen.iter().all(&holds) {
                return;
            }
            assert!(!deadline.has_passed(), "never {what}: {seen:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until every slot is served by who owns it.
    pub(super) async fn serving(&self) {
        for _ in 0..2000 {
            let served: usize = {
                let processes = self.processes.lock();
                processes.values().map(|process| process.toy.owned.read().len()).sum()
            };
            if served == 4096 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("slots stay without service");
    }

    /// One write through a node.
    pub(super) async fn put(&self, through: u64, slot: Slot) -> Result<NodeId> {
        let value = self.values.fetch_add(1, SeqCst);
        toy::put(&self.router(through), slot, value, &self.ledger).await
    }

    /// Clients that write through these nodes until the guard is dropped.
    pub(super) fn load(self: &Arc<Self>, through: &[u64]) -> Load {
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::new(Mutex::new(Told::default()));
        // Enough to meet every phase of a failure; more of them cost time and find the same.
        let pause = Duration::from_millis(rounds(40, 10));
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..3 * through.len() as u64 {
            let (world, ends, told) = (self.clone(), ends.clone(), told.clone());
            let router = self.router(through[client as usize % through.len()]);
            clients.spawn(async move {
                while !ends.load(SeqCst) {
                    let value = world.values.fetch_add(1, SeqCst);
                    let slot = slot(world.sim.random.u64());
                    let asked = tokio::time::Instant::now();
                    let answer = toy::put(&router, slot, value, &world.ledger).await;
                    told.lock().note(asked.elapsed(), answer);
                    tokio::time::sleep(pause).await;
                }
            });
        }
        Load { ends, clients, told }
    }

    /// Everybody agrees, and the ledger is right.
    pub(super) async fn audit(&self) {
        toy::audit(&self.store, &self.ledger).await;
    }
}

/// What the clients of a load were told.
#[derive(Default, Debug)]
pub(super) struct Told {
    pub(super) answers: usize,
    pub(super) errors: Vec<Error>,
    /// The longest that one waited for an answer, good or bad.
    pub(super) longest: Duration,
}

impl Told {
    fn note(&mut self, took: Duration, answer: Result<NodeId>) {
        self.longest = self.longest.max(took);
        match answer {
            Ok(_) => self.answers += 1,
            Err(error) => self.errors.push(error),
        }
    }
}

pub(super) struct Load {
    ends: Arc<AtomicBool>,
    clients: tokio::task::JoinSet<()>,
    told: Arc<Mutex<Told>>,
}

impl Load {
    pub(super) async fn end(mut self) -> Told {
        self.ends.store(true, SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut self.told.lock())
    }
}
