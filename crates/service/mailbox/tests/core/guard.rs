//! Blobs that can be refused in the middle of a change.

use crate::support::World;
use async_trait::async_trait;
use base::Result;
use base::router::LocalRouter;
use contract_blob::{BlobId, Blobs, ByteStream, Collected, Holder, Staged, Upload};
use contract_directory::Directory;
use contract_store::{BodyError, Transaction};
use service_mailbox::Parts;
use std::ops::Range;
use std::sync::Arc;

/// Is asked before a blob is held.
type BeforeHold = Box<dyn Fn(BlobId) -> Result<(), BodyError> + Send + Sync>;

struct Guarded {
    inner: Arc<dyn Blobs>,
    before_hold: BeforeHold,
}

/// Serves the node's mailboxes anew, over the same blobs; from now on `before_hold` is asked before
/// a change holds one, and may refuse it or panic.
pub(crate) fn guard_blobs(
    world: &mut World,
    before_hold: impl Fn(BlobId) -> Result<(), BodyError> + Send + Sync + 'static,
) {
    let before_hold: BeforeHold = Box::new(before_hold);
    let router = Arc::new(LocalRouter::new(true));
    let parts = Parts {
        env: world.env.clone(),
        store: world.store.clone(),
        blobs: Arc::new(Guarded { inner: world.blobs.clone(), before_hold }),
        control: world.node.control.clone(),
        directory: world.directory.clone() as Arc<dyn Directory>,
        router: router.for_hosts(),
    };
    world.node.mailboxes = service_mailbox::start(world.config, parts, &router);
    world.node.router = router;
}

#[async_trait]
impl Blobs for Guarded {
    fn upload(&self) -> Box<dyn Upload> {
        self.inner.upload()
    }

    fn read(&self, id: BlobId, range: Range<u64>) -> ByteStream {
        self.inner.read(id, range)
    }

    async fn hold(
        &self,
        tx: &dyn Transaction,
        blob: &Staged,
        holder: &Holder,
    ) -> Result<(), BodyError> {
        (self.before_hold)(blob.id)?;
        self.inner.hold(tx, blob, holder).await
    }

    async fn hold_stored(
        &self,
        tx: &dyn Transaction,
        id: BlobId,
        holder: &Holder,
    ) -> Result<(), BodyError> {
        (self.before_hold)(id)?;
        self.inner.hold_stored(tx, id, holder).await
    }

    fn release(&self, tx: &dyn Transaction, id: BlobId, holder: &Holder) {
        self.inner.release(tx, id, holder);
    }

    async fn collect(&self, limit: usize) -> Result<Collected> {
        self.inner.collect(limit).await
    }
}
