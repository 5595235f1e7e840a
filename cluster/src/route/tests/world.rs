//! Nodes around one store, each with its own view of a scripted history.

use super::counter::{Counters, Mutant};
use super::wires::{End, Wires};
use crate::fences::tests::model::{Model, slot};
use crate::fences::{ClusterControl, Fences};
use crate::installation::Installation;
use crate::placement::Phase;
use crate::raft::Applied;
use crate::route::{ClusterRouter, Dispatch};
use base::env::Env;
use base::router::{LocalRouter, ServiceId, Target};
use base::{BootId, Deadline, NodeId};
use contract_store::Store;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use store_memory::MemoryStore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// One life of a node.
pub(super) struct SimNode {
    pub(super) node: NodeId,
    pub(super) router: Arc<ClusterRouter>,
    pub(super) applied: Arc<watch::Sender<Applied>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for SimNode {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

pub(super) fn target(number: u16, key: u128) -> Target {
    Target { service: ServiceId::MAILBOX, key, slot: slot(number) }
}

impl SimNode {
    pub(super) fn start(
        (node, boot): (NodeId, BootId),
        store: &MemoryStore,
        wires: &Arc<Wires>,
        env: &Env,
        state: Applied,
        mutant: Mutant,
    ) -> Self {
        let (sender, applied) = watch::channel(state);
        let dyn_store: Arc<dyn Store> = Arc::new(store.clone());
        let fences = Fences::new(dyn_store.clone(), node, boot);
        let installation = Installation::draw(&*Env::simulated(1).random);
        let control = ClusterControl::new(fences.clone(), applied.clone(), installation);
        let host = Counters::new(dyn_store, control, mutant);
        let here = Arc::new(LocalRouter::new(boot.0 % 2 == 0));
        here.register(ServiceId::MAILBOX, Arc::new(host));
        let end = Arc::new(End { wires: wires.clone(), node, boot });
        let (f, a) = (fences.clone(), applied.clone());
        let router = ClusterRouter::new(node, a.clone(), f.clone(), here.clone(), end, env.clone());
        wires.plug_in(node, Arc::new(Dispatch::new(router.clone())));
        let told = here.clone();
        let tell = move |news: crate::fences::Followed| {
            told.lost(&news.lost);
            told.gained(&news.gained);
        };
        let follow = tokio::spawn(f.clone().keep_following(a.clone(), tell));
        let seal = tokio::spawn(follow_moves(node, a, f, here));
        let tasks = vec![follow, seal];
        Self { node, router, applied: Arc::new(sender), tasks }
    }

    /// Hears states in order, each as late as it says.
    pub(super) fn hear_late(&mut self) -> Arc<Mutex<VecDeque<(Instant, Applied)>>> {
        let queue: Arc<Mutex<VecDeque<(Instant, Applied)>>> = Arc::default();
        let (waiting, applied) = (queue.clone(), self.applied.clone());
        self.tasks.push(tokio::spawn(async move {
            loop {
                let due = waiting.lock().front().is_some_and(|(at, _)| *at <= Instant::now());
                let next = if due { waiting.lock().pop_front() } else { None };
                match next {
                    Some((_, state)) => drop(applied.send_replace(state)),
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        }));
        queue
    }
}

/// What a member does at the source of a planned move: seals, and lets the hosts come to rest.
async fn follow_moves(
    me: NodeId,
    mut applied: watch::Receiver<Applied>,
    fences: Arc<Fences>,
    here: Arc<LocalRouter>,
) {
    loop {
        let state = applied.borrow_and_update().state.clone();
        for (slot, epoch) in state.slots_of(me).collect::<Vec<_>>() {
            let found = state.move_of(slot).filter(|found| found.from == me);
            if found.is_some_and(|found| found.phase == Phase::Seal) {
                fences.seal(slot, epoch);
                let rest = Deadline::after(Duration::from_millis(500));
                let _late = here.release(slot, rest).await;
            } else {
                fences.unseal(slot, epoch);
            }
        }
        if applied.changed().await.is_err() {
            return;
        }
    }
}

/// The same state for all at once.
pub(super) fn publish(nodes: &[SimNode], model: &mut Model) {
    let state = model.applied();
    for node in nodes {
        node.applied.send_replace(state.clone());
    }
}
