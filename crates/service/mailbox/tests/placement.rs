//! A small cluster for tests: nodes over one store, slots that go from one to another while work is
//! under way, and requests that find the owner over ways on which answers and hints may be lost.
//!
//! What Raft would decide stands in [`Placement`]; fences stand in the store, as they do in a real
//! cluster. A node that is cut off runs on and does not know that it has lost its slots: only the
//! fences are in its way.
#![allow(dead_code)]

use async_trait::async_trait;
use base::env::Env;
use base::router::{LocalRouter, Parcel, Router, Target};
use base::{
    AccountId, BootId, ClusterKey, Deadline, Epoch, Error, Kind, NodeId, QueueId, Result, Slot,
};
use contract_control::{Control, Fence, Ownership};
use contract_store::{AtomicOp, Attempt, Body, BodyError, Isolation, Store, Transaction, transact};
use futures::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How many slots are in use: few, so that all of them are moved often.
pub(crate) const SLOTS: u16 = 8;

/// How long the router goes on looking for an owner.
const ROUTER_TIME: Duration = Duration::from_secs(10);

/// What the nodes agree on, and the ways between them.
pub(crate) struct Placement {
    env: Env,
    store: Arc<dyn Store>,
    key: ClusterKey,
    owners: RwLock<BTreeMap<Slot, Ownership>>,
    nodes: RwLock<BTreeMap<NodeId, Arc<LocalRouter>>>,
    /// The same with those that are cut off.
    homes: RwLock<BTreeMap<NodeId, Arc<LocalRouter>>>,
    controls: RwLock<BTreeMap<NodeId, Arc<TestControl>>>,
    /// Of a thousand answers between nodes so many are lost.
    pub(crate) lost_answers: AtomicU64,
    /// Nodes tell each other nothing but what they are asked through the slots.
    pub(crate) deaf: AtomicBool,
    /// How many messages nodes sent each other by name.
    pub(crate) told: AtomicU64,
    /// How many requests came to the owner of a slot.
    pub(crate) asked: AtomicU64,
    /// The feature level of all nodes.
    pub(crate) level: AtomicU32,
}

/// All slots that are in use.
pub(crate) fn slots() -> Vec<Slot> {
    Slot::all().take(usize::from(SLOTS)).collect()
}

/// How often slots move, and how much work is done in between.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) steps: u32,
    /// Other tasks get up to so many turns before each step …
    pub(crate) turns_max: u64,
    /// … and up to so much time, in milliseconds.
    pub(crate) pause_ms_max: u64,
}

/// Moves slots between three nodes at random: one after the other and in good order, all at once,
/// some of them, and from a node that is cut off, whose next life `restart` begins.
pub(crate) async fn mover<F: Future<Output = ()>>(
    placement: &Placement,
    pace: Pace,
    restart: impl Fn(u64) -> F,
) {
    let random = placement.env.random.clone();
    for _ in 0..pace.steps {
        for _ in 0..random.below(pace.turns_max) {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(random.below(pace.pause_ms_max))).await;
        let (to, other) = (1 + random.below(3), 2 + random.below(2));
        match random.below(4) {
            0 => {
                let slot = slots()[random.below(u64::from(SLOTS)) as usize];
                placement.hand_over(slot, to).await;
            }
            1 => placement.give(&slots(), to).await,
            2 => {
                let some: Vec<_> = slots().into_iter().filter(|_| random.below(2) == 0).collect();
                placement.give(&some, to).await;
            }
            _ => {
                placement.cut(other);
                let orphans = placement.slots_of(other);
                placement.give(&orphans, 5 - other).await;
                restart(other).await;
            }
        }
    }
}

fn fenced(detail: String) -> Error {
    Error::new(Kind::Fenced, "This mailbox is served elsewhere").detail(detail)
}

impl Placement {
    /// All slots belong to node 1, which is to be started.
    pub(crate) fn new(env: &Env, store: &Arc<dyn Store>) -> Arc<Self> {
        // Greater than those of whoever founded the installation.
        let first = Ownership { node: NodeId(1), epoch: Epoch(100) };
        Arc::new(Self {
            env: env.clone(),
            store: store.clone(),
            key: ClusterKey([7; 16]),
            owners: RwLock::new(slots().into_iter().map(|slot| (slot, first)).collect()),
            nodes: RwLock::default(),
            homes: RwLock::default(),
            controls: RwLock::default(),
            lost_answers: AtomicU64::new(0),
            deaf: AtomicBool::new(false),
            told: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            level: AtomicU32::new(1),
        })
    }

    /// A new life of a node: what its services are started with.
    pub(crate) fn join(
        self: &Arc<Self>,
        node: u64,
    ) -> (Arc<TestControl>, Arc<dyn Router>, Arc<LocalRouter>) {
        let node = NodeId(node);
        let boot = BootId(self.env.random.u128());
        let (placement, fences, key) = (Arc::downgrade(self), Mutex::default(), self.key.clone());
        let local = Arc::new(LocalRouter::new(true));
        let control = Arc::new(TestControl { placement, node, boot, fences, key });
        self.nodes.write().insert(node, local.clone());
        self.homes.write().insert(node, local.clone());
        self.controls.write().insert(node, control.clone());
        let router = Arc::new(TestRouter { placement: Arc::downgrade(self), node });
        (control, router, local)
    }

    pub(crate) fn owner(&self, slot: Slot) -> Option<Ownership> {
        self.owners.read().get(&slot).copied()
    }

    /// The slots of a node.
    pub(crate) fn slots_of(&self, node: u64) -> Vec<Slot> {
        let owners = self.owners.read();
        let of = |owner: &Ownership| owner.node == NodeId(node);
        owners.iter().filter(|(_, owner)| of(owner)).map(|(slot, _)| *slot).collect()
    }

    /// Nothing reaches a node any more, nor comes from it; it runs on.
    pub(crate) fn cut(&self, node: u64) {
        self.nodes.write().remove(&NodeId(node));
    }

    /// The way to a node that was cut off, and ran on, is there again.
    pub(crate) fn reconnect(&self, node: u64) {
        let local = self.homes.read().get(&NodeId(node)).cloned();
        self.nodes.write().insert(NodeId(node), local.expect("a node that has joined"));
    }

    /// A node's hosts.
    pub(crate) fn router(&self, node: u64) -> Arc<LocalRouter> {
        self.reach(NodeId(node)).expect("a node that can be reached")
    }

    /// Decides that slots are a node's, which does not have them yet: its fences come later.
    pub(crate) fn promise(&self, slots: &[Slot], to: u64) {
        for owner in slots.iter().filter_map(|slot| self.owner(*slot).map(|owner| (*slot, owner))) {
            let (slot, Ownership { epoch, .. }) = owner;
            let owner = Ownership { node: NodeId(to), epoch: Epoch(epoch.0 + 1) };
            self.owners.write().insert(slot, owner);
        }
    }

    /// Gives slots to a node. The last owners are told, if they can be reached.
    pub(crate) async fn give(&self, slots: &[Slot], to: u64) {
        let to = NodeId(to);
        let mut losers: BTreeMap<NodeId, Vec<Slot>> = BTreeMap::new();
        let mut gained = Vec::new();
        {
            let mut owners = self.owners.write();
            for slot in slots {
                let Some(owner) = owners.get_mut(slot).filter(|owner| owner.node != to) else {
                    continue;
                };
                losers.entry(owner.node).or_default().push(*slot);
                *owner = Ownership { node: to, epoch: Epoch(owner.epoch.0 + 1) };
                gained.push(*slot);
            }
        }
        let control = self.controls.read().get(&to).cloned().expect("a node that has joined");
        for slot in &gained {
            // As whoever takes over does, until the store lets it.
            while let Err(error) = control.fence(*slot).await {
                assert_ne!(error.kind, Kind::Fenced, "one who gives at a time");
                self.env.clock.sleep(Duration::from_millis(20)).await;
            }
        }
        for (loser, lost) in losers {
            if let Some(router) = self.reach(loser) {
                router.lost(&lost);
            }
        }
        if let Some(router) = self.reach(to) {
            router.gained(&gained);
        }
    }

    /// The same as planned: the owner comes to rest first.
    pub(crate) async fn hand_over(&self, slot: Slot, to: u64) {
        let from = self.owner(slot).and_then(|owner| self.reach(owner.node));
        if let Some(from) = from {
            let _late = from.release(slot, Deadline::after(Duration::from_secs(1))).await;
        }
        self.give(&[slot], to).await;
    }

    fn reach(&self, node: NodeId) -> Option<Arc<LocalRouter>> {
        self.nodes.read().get(&node).cloned()
    }

    fn loses_an_answer(&self) -> bool {
        self.env.random.below(1_000) < self.lost_answers.load(Ordering::Relaxed)
    }
}

/// A node's way to the others.
struct TestRouter {
    placement: Weak<Placement>,
    node: NodeId,
}

impl TestRouter {
    fn placement(&self) -> Arc<Placement> {
        self.placement.upgrade().expect("the test holds its placement")
    }

    fn is_connected(&self, to: NodeId) -> bool {
        to == self.node || self.placement().reach(self.node).is_some()
    }
}

#[async_trait]
impl Router for TestRouter {
    async fn call(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        let until = deadline.within(ROUTER_TIME);
        let mut request = request;
        loop {
            let (now, again) = request.twice()?;
            request = again;
            let owner = self.placement().owner(target.slot).map(|owner| owner.node);
            let way = owner.filter(|owner| self.is_connected(*owner));
            let way = way.and_then(|owner| Some((owner, self.placement().reach(owner)?)));
            let result = match way {
                None => Err(Error::unavailable("there is no way to the owner")),
                Some((owner, router)) => {
                    self.placement().asked.fetch_add(1, Ordering::Relaxed);
                    let answer = router.call(target, now, deadline).await;
                    match owner != self.node && self.placement().loses_an_answer() {
                        true => Err(Error::unavailable("the answer was lost")),
                        false => answer,
                    }
                }
            };
            match result {
                // Done or not: the same command again, to whoever owns the slot by then.
                Err(error)
                    if matches!(error.kind, Kind::Fenced | Kind::Unavailable)
                        && !until.has_passed() =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                result => return result,
            }
        }
    }

    fn hint(&self, target: Target, news: Parcel) {
        let owner = self.placement().owner(target.slot).map(|owner| owner.node);
        let way = owner.filter(|owner| self.is_connected(*owner));
        if let Some(router) = way.and_then(|owner| self.placement().reach(owner)) {
            router.hint(target, news);
        }
    }

    async fn call_node(
        &self,
        node: NodeId,
        target: Target,
        request: Parcel,
        deadline: Deadline,
    ) -> Result<Parcel> {
        self.placement().told.fetch_add(1, Ordering::Relaxed);
        let deaf = self.placement().deaf.load(Ordering::Relaxed);
        match self.placement().reach(node).filter(|_| !deaf && self.is_connected(node)) {
            Some(router) => router.call(target, request, deadline).await,
            None => Err(Error::unavailable(format!("there is no way to {node}"))),
        }
    }

    fn hint_node(&self, node: NodeId, target: Target, news: Parcel) {
        if let Some(router) = self.placement().reach(node).filter(|_| self.is_connected(node)) {
            router.hint(target, news);
        }
    }
}

/// What one life of a node knows.
pub(crate) struct TestControl {
    /// Which holds the node's hosts, and they this.
    placement: Weak<Placement>,
    node: NodeId,
    boot: BootId,
    fences: Mutex<HashMap<Slot, Fence>>,
    key: ClusterKey,
}

impl TestControl {
    fn placement(&self) -> Arc<Placement> {
        self.placement.upgrade().expect("the test holds its placement")
    }

    fn owned(&self, slot: Slot) -> Result<Epoch> {
        match self.placement().owner(slot) {
            Some(owner) if owner.node == self.node => Ok(owner.epoch),
            other => Err(fenced(format!("{slot} is {other:?}'s"))),
        }
    }

    async fn write(&self, slot: Slot, held: Option<Fence>) -> Result<Fence> {
        let epoch = self.owned(slot)?;
        let new = Fence { slot, epoch, renewal: 0, node: self.node, boot: self.boot };
        let fence = transact(&self.placement().store, WriteFence { new, held }).await?;
        self.fences.lock().insert(slot, fence);
        Ok(fence)
    }
}

#[async_trait]
impl Control for TestControl {
    fn node(&self) -> NodeId {
        self.node
    }

    fn boot(&self) -> BootId {
        self.boot
    }

    fn cluster_key(&self) -> &ClusterKey {
        &self.key
    }

    fn slot_of_account(&self, account: AccountId) -> Slot {
        few(Slot::of_account(account, &self.key))
    }

    fn slot_of_queue(&self, queue: QueueId) -> Slot {
        few(Slot::of_queue(queue, &self.key))
    }

    fn slot_of_hop(&self, hop: &[u8]) -> Slot {
        few(Slot::of_hop(hop, &self.key))
    }

    fn owner(&self, slot: Slot) -> Option<Ownership> {
        self.placement().owner(slot)
    }

    async fn fence(&self, slot: Slot) -> Result<Fence> {
        let epoch = self.owned(slot)?;
        let known = self.fences.lock().get(&slot).copied();
        match known.filter(|fence| fence.epoch == epoch) {
            Some(fence) => Ok(fence),
            None => self.write(slot, None).await,
        }
    }

    async fn renew(&self, slot: Slot, old: &Fence) -> Result<Fence> {
        self.write(slot, Some(*old)).await
    }

    async fn confirm_reads(&self, held: &Fence) -> Result<()> {
        let stored = transact(&self.placement().store, ReadFence(held.slot)).await?;
        let is_same = |stored: Fence| (stored.epoch, stored.boot) == (held.epoch, held.boot);
        match stored.is_some_and(is_same) {
            true => Ok(()),
            false => Err(fenced(format!("held {held:?}, stored {stored:?}"))),
        }
    }

    fn feature_level(&self) -> u32 {
        self.placement().level.load(Ordering::Relaxed)
    }
}

fn few(slot: Slot) -> Slot {
    Slot::new(slot.number() % SLOTS).expect("a slot")
}

/// Writes the fence of a new owner, or a newer one in place of `held`.
struct WriteFence {
    new: Fence,
    held: Option<Fence>,
}

impl Body<Fence> for WriteFence {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Fence, BodyError>> {
        Box::pin(async move {
            let Self { new, held } = *self;
            let key = Fence::key(new.slot);
            let row = tx.get(&key, Isolation::Serializable).await?;
            let stored = row.as_deref().map(Fence::decode).transpose()?;
            let mut fence = new;
            if let Some(stored) = stored {
                let life = |fence: &Fence| (fence.epoch, fence.boot);
                if life(&stored) == life(&new) {
                    if held != Some(stored) {
                        return Ok(stored);
                    }
                    fence.renewal = stored.renewal + 1;
                } else if stored.epoch >= new.epoch {
                    return Err(fenced(format!("stored {stored:?}")).into());
                } else {
                    let counter = Fence::takeovers_key(stored.node);
                    tx.atomic(AtomicOp::Add, &counter, &1u64.to_le_bytes());
                }
            }
            tx.set(&key, &fence.encode()?);
            Ok(fence)
        })
    }
}

struct ReadFence(Slot);

impl Body<Option<Fence>> for ReadFence {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Option<Fence>, BodyError>> {
        Box::pin(async move {
            let row = tx.get(&Fence::key(self.0), Isolation::Snapshot).await?;
            Ok(row.as_deref().map(Fence::decode).transpose()?)
        })
    }
}
