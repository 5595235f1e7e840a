//! A store whose operations take real time.

use async_trait::async_trait;
use bytes::Bytes;
use contract_store::{
    AtomicOp, Committed, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, Store,
    StoreError, StoreResult, Transaction, Version, Versionstamp, Watch,
};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long an operation takes, in real time.
const SLOWNESS: Duration = Duration::from_millis(30);

/// Answers everything with nothing, from another thread, after a while.
#[derive(Default)]
pub(crate) struct Slow {
    watches: Arc<Mutex<Vec<oneshot::Sender<()>>>>,
}

pub(crate) struct SlowTransaction(Arc<Mutex<Vec<oneshot::Sender<()>>>>);

impl Store for Slow {
    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(SlowTransaction(self.watches.clone()))
    }

    fn name(&self) -> &'static str {
        "slow"
    }
}

/// What another thread says after a while. Real time is what this is about.
#[allow(clippy::disallowed_methods)]
fn later() -> oneshot::Receiver<()> {
    let (done, wait) = oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(SLOWNESS);
        let _ = done.send(());
    });
    wait
}

async fn after_a_while<T>(answer: T) -> StoreResult<T> {
    later().await.unwrap();
    Ok(answer)
}

#[async_trait]
impl Transaction for SlowTransaction {
    async fn read_version(&self) -> StoreResult<Version> {
        after_a_while(1).await
    }

    fn set_read_version(&self, _: Version) {}

    async fn get(&self, _: &[u8], _: Isolation) -> StoreResult<Option<Bytes>> {
        after_a_while(None).await
    }

    async fn get_key(&self, _: &KeySelector, _: Isolation) -> StoreResult<Bytes> {
        after_a_while(Bytes::new()).await
    }

    async fn get_range(&self, _: &RangeRead, _: Isolation) -> StoreResult<Page> {
        after_a_while(Page { rows: Vec::new(), more: false }).await
    }

    fn set(&self, _: &[u8], _: &[u8]) {}
    fn clear(&self, _: &[u8]) {}
    fn clear_range(&self, _: &KeyRange) {}
    fn atomic(&self, _: AtomicOp, _: &[u8], _: &[u8]) {}

    fn add_read_conflict(&self, _: &KeyRange) -> StoreResult<()> {
        Ok(())
    }

    fn add_write_conflict(&self, _: &KeyRange) -> StoreResult<()> {
        Ok(())
    }

    fn watch(&self, _: &[u8]) -> Watch {
        let (told, wait) = oneshot::channel();
        self.0.lock().unwrap().push(told);
        wait.map(|told| told.map_err(|_| StoreError::Cancelled)).boxed()
    }

    fn versionstamp(&self) -> BoxFuture<'static, StoreResult<Versionstamp>> {
        after_a_while([0; 10]).boxed()
    }

    fn set_durability(&self, _: Durability) {}
    fn set_batch_priority(&self) {}

    fn approximate_size(&self) -> usize {
        0
    }

    async fn commit(&self) -> StoreResult<Committed> {
        let told: Vec<_> = self.0.lock().unwrap().drain(..).collect();
        // Whoever watches is told some time after the commit.
        std::thread::spawn(move || {
            futures::executor::block_on(later()).unwrap();
            futures::executor::block_on(later()).unwrap();
            told.into_iter().for_each(|watch| _ = watch.send(()));
        });
        after_a_while(Committed { version: 1 }).await
    }

    fn committed_version(&self) -> Version {
        1
    }

    async fn on_error(&self, _: StoreError) -> StoreResult<()> {
        after_a_while(()).await
    }

    fn reset(&self) {}
    fn cancel(&self) {}
}
