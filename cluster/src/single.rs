//! The control of an installation with one node.

use crate::confirm::Batched;
use crate::installation::{FEATURE_LEVEL, Installation};
use crate::renewal::{Known, Renewal, Renewing, fenced};
use crate::takeover::{Takeover, takeover_count};
use async_trait::async_trait;
use base::env::Env;
use base::{BootId, ClusterKey, Error, Kind, NodeId, Result, Slot};
use contract_control::{Control, Fence, Ownership};
use contract_store::transact::ATTEMPTS_MAX;
use contract_store::{Isolation, Retry, Store, StoreError, transact};
use futures::future::BoxFuture;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The only node of its installation. See [`Control`]'s words.
pub struct SingleNode {
    installation: Installation,
    boot: BootId,
    store: Arc<dyn Store>,
    /// By slot number.
    fences: RwLock<Vec<Known>>,
    reads: Arc<Batched>,
    lost: Arc<AtomicBool>,
}

impl SingleNode {
    /// Finds the installation in the store, or founds it in an empty one, and takes over every
    /// slot: whoever served before cannot commit any more when this returns.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if the store cannot do it now or is of a newer format,
    /// [`Kind::Corrupt`] if its rows cannot be read.
    pub async fn start(store: Arc<dyn Store>, env: &Env) -> Result<Arc<Self>> {
        let boot = BootId(env.random.u128());
        let founding = Installation::draw(&*env.random);
        let taken = transact(&store, Takeover { boot, founding }).await?;
        let lost = Arc::new(AtomicBool::new(false));
        let watched = Watched {
            node: taken.installation.node,
            boot,
            expect: taken.takeovers,
            store: store.clone(),
            lost: lost.clone(),
        };
        let watched = Arc::new(watched);
        let check = move || -> BoxFuture<'static, Result<()>> { Box::pin(watched.clone().check()) };
        tracing::info!(
            node = %taken.installation.node, %boot,
            cluster = format_args!("{:032x}", taken.installation.cluster_id),
            "took over all slots"
        );
        Ok(Arc::new(Self {
            installation: taken.installation,
            boot,
            store,
            fences: RwLock::new(taken.fences.into_iter().map(Known::new).collect()),
            reads: Batched::new(Box::new(check)),
            lost,
        }))
    }

    /// The installation that the store belongs to.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    fn known(&self, slot: Slot) -> Result<Known> {
        if self.lost.load(Ordering::Acquire) {
            return Err(fenced(self.boot));
        }
        let fences = self.fences.read();
        fences
            .get(usize::from(slot.number()))
            .copied()
            .ok_or_else(|| Error::internal(format!("no fence for {slot}")))
    }
}

#[async_trait]
impl Control for SingleNode {
    fn node(&self) -> NodeId {
        self.installation.node
    }

    fn boot(&self) -> BootId {
        self.boot
    }

    fn cluster_key(&self) -> &ClusterKey {
        &self.installation.cluster_key
    }

    fn owner(&self, slot: Slot) -> Option<Ownership> {
        let Known { fence, .. } = self.known(slot).ok()?;
        Some(Ownership { node: fence.node, epoch: fence.epoch })
    }

    async fn fence(&self, slot: Slot) -> Result<Fence> {
        let known = self.known(slot)?;
        match known.is_in_doubt() {
            true => self.renew(slot, &known.fence).await,
            false => Ok(known.fence),
        }
    }

    async fn renew(&self, slot: Slot, old: &Fence) -> Result<Fence> {
        if old.slot != slot {
            return Err(Error::internal(format!("the fence of {} for {slot}", old.slot)));
        }
        let known = self.known(slot)?;
        let renewing = Renewing::new(&self.fences, &known);
        let renewal = Renewal { old: *old, always: known.is_in_doubt() };
        match transact(&self.store, renewal).await {
            Ok(new) => {
                renewing.succeeded(&new);
                Ok(new)
            }
            Err(error) => {
                // All slots of a boot are lost together, to the next start.
                if error.kind == Kind::Fenced && old.boot == self.boot {
                    self.lost.store(true, Ordering::Release);
                }
                Err(error)
            }
        }
    }

    async fn confirm_reads(&self, held: &Fence) -> Result<()> {
        self.reads.confirm().await?;
        let Known { fence, .. } = self.known(held.slot)?;
        match (fence.boot, fence.epoch) == (held.boot, held.epoch) {
            true => Ok(()),
            false => Err(fenced(held.boot)),
        }
    }

    /// That of this program: there are no others who would have to understand it.
    fn feature_level(&self) -> u32 {
        FEATURE_LEVEL.max(self.installation.feature_level)
    }
}

/// What [`Control::confirm_reads`] looks at: `N/self`.
struct Watched {
    node: NodeId,
    boot: BootId,
    expect: u64,
    store: Arc<dyn Store>,
    lost: Arc<AtomicBool>,
}

impl Watched {
    async fn check(self: Arc<Self>) -> Result<()> {
        if self.lost.load(Ordering::Acquire) {
            return Err(fenced(self.boot));
        }
        let found = takeover_count(self.read().await?.as_deref())?;
        if found != self.expect {
            self.lost.store(true, Ordering::Release);
            return Err(fenced(self.boot));
        }
        Ok(())
    }

    /// Reads the row in a fresh transaction, whose read version no commit that was acknowledged
    /// before can be missing from.
    async fn read(&self) -> Result<Option<bytes::Bytes>, StoreError> {
        let key = Fence::takeovers_key(self.node);
        let mut tx = self.store.begin();
        let mut attempt = 1;
        loop {
            let error = match tx.get(&key, Isolation::Snapshot).await {
                Ok(row) => return Ok(row),
                Err(error) if error.retry() == Retry::Never || attempt >= ATTEMPTS_MAX => {
                    return Err(error);
                }
                Err(error) => error,
            };
            attempt += 1;
            if tx.on_error(error).await.is_err() {
                tx = self.store.begin();
            }
        }
    }
}
