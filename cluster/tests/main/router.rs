//! What is owned here is served here.

use crate::{slot, start};
use async_trait::async_trait;
use base::deadline::Deadline;
use base::router::{Host, LocalRouter, Parcel, Router, ServiceId, Target};
use base::{Kind, NodeId, Result};
use cluster::OwnedRouter;
use contract_control::{Control, Fence, Ownership};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store_memory::MemoryStore;

#[derive(Default)]
struct Echo(AtomicUsize);

#[async_trait]
impl Host for Echo {
    async fn handle(&self, _: Target, request: Parcel, _: Deadline) -> Result<Parcel> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(request)
    }
}

/// A cluster in which this node owns even slots, another one odd ones, and nobody the last.
struct Halves(Arc<cluster::SingleNode>);

#[async_trait]
impl Control for Halves {
    fn node(&self) -> NodeId {
        self.0.node()
    }
    fn boot(&self) -> base::BootId {
        self.0.boot()
    }
    fn cluster_key(&self) -> &base::ClusterKey {
        self.0.cluster_key()
    }
    fn owner(&self, slot: base::Slot) -> Option<Ownership> {
        let mut owner = self.0.owner(slot)?;
        if slot.number() % 2 == 1 {
            owner.node = NodeId(99);
        }
        (slot.number() != base::Slot::COUNT - 1).then_some(owner)
    }
    async fn fence(&self, slot: base::Slot) -> Result<Fence> {
        self.0.fence(slot).await
    }
    async fn renew(&self, slot: base::Slot, old: &Fence) -> Result<Fence> {
        self.0.renew(slot, old).await
    }
    async fn confirm_reads(&self, held: &Fence) -> Result<()> {
        self.0.confirm_reads(held).await
    }
    fn feature_level(&self) -> u32 {
        self.0.feature_level()
    }
}

#[tokio::test]
async fn only_what_this_node_owns_is_let_through() {
    let host = Arc::new(Echo::default());
    let local = LocalRouter::new(true);
    local.register(ServiceId::MAILBOX, host.clone());
    let control = Arc::new(Halves(start(&MemoryStore::default(), 1).await));
    let router: Arc<dyn Router> = Arc::new(OwnedRouter::new(control, Arc::new(local)));
    let target = |number| Target { service: ServiceId::MAILBOX, key: 7, slot: slot(number) };
    let ask = async |number| {
        let deadline = Deadline::after(Duration::from_secs(600));
        router.ask::<u32, u32>(target(number), 5, deadline).await.map_err(|e| e.kind)
    };
    assert_eq!(ask(0).await, Ok(5));
    assert_eq!(ask(1).await, Err(Kind::Fenced));
    assert_eq!(ask(4095).await, Err(Kind::Unavailable));
    assert_eq!(host.0.load(Ordering::SeqCst), 1);

    router.hint(target(1), Parcel::typed(1u32));
    router.hint(target(2), Parcel::typed(1u32));
    while host.0.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(host.0.load(Ordering::SeqCst), 2);
}
