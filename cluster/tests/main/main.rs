//! The one-node control and its router over the store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod contract;
mod router;
mod single;

use base::Slot;
use base::env::Env;
use cluster::SingleNode;
use contract_control::Fence;
use contract_store::{Attempt, Body, BodyError, Store, Transaction, transact};
use futures::future::BoxFuture;
use std::sync::Arc;
use store_memory::MemoryStore;

pub(crate) fn slot(number: u16) -> Slot {
    Slot::new(number).unwrap()
}

pub(crate) async fn start(store: &MemoryStore, seed: u64) -> Arc<SingleNode> {
    SingleNode::start(Arc::new(store.clone()), &Env::simulated(seed)).await.unwrap()
}

/// A write under a fence, as mailboxes make them.
pub(crate) struct Write<'f>(pub(crate) &'f Fence);

impl Body<()> for Write<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            self.0.check(tx).await?;
            tx.set(b"a row", b"of a mailbox");
            Ok(())
        })
    }
}

pub(crate) async fn write(store: &MemoryStore, fence: &Fence) -> base::Result<()> {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    transact(&store, Write(fence)).await
}
