//! A toy service with everything that matters of a mailbox: a counter for each key, cached by an
//! actor, written under the fence, read after confirmation, commands known by their ids.

use crate::fences::ClusterControl;
use async_trait::async_trait;
use base::router::{Host, Parcel, Target};
use base::{Deadline, Error, Kind, Result, Slot};
use contract_control::{Control, Fence};
use contract_store::{Attempt, Body, BodyError, Isolation, Store, Transaction, transact};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Counters are spread over so many slots, by their keys.
pub(super) const SLOTS: u128 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Once for each id; gives the value that it led to.
    Increment(u64),
    Read,
}

/// A mistake made on purpose, which the simulation must find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mutant {
    None,
    NoFenceCheck,
    NoConfirmation,
}

/// What a command led to; also the row of the newest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) value: u64,
    pub(super) epoch: u64,
}

#[derive(Clone, Copy)]
struct Cache {
    fence: Fence,
    value: u64,
    is_suspect: bool,
}

/// Takes one turn at a time.
type Actor = Arc<tokio::sync::Mutex<Option<Cache>>>;

#[derive(Clone)]
pub(super) struct Counters {
    pub(super) store: Arc<dyn Store>,
    pub(super) control: Arc<ClusterControl>,
    pub(super) mutant: Mutant,
    actors: Arc<Mutex<BTreeMap<u128, Actor>>>,
}

pub(super) fn value_key(key: u128) -> Vec<u8> {
    format!("value/{key}").into_bytes()
}

pub(super) fn command_prefix(key: u128) -> Vec<u8> {
    format!("command/{key}/").into_bytes()
}

fn command_key(key: u128, id: u64) -> Vec<u8> {
    [command_prefix(key), id.to_be_bytes().to_vec()].concat()
}

impl Counters {
    pub(super) fn new(store: Arc<dyn Store>, control: Arc<ClusterControl>, mutant: Mutant) -> Self {
        Self { store, control, mutant, actors: Arc::default() }
    }

    async fn serve(self, slot: Slot, key: u128, ask: Ask) -> Result<u64> {
        let actor = self.actors.lock().entry(key).or_default().clone();
        let mut cache = actor.lock().await;
        let mut last = Error::internal("never tried");
        // Twice: the fence may only have been renewed for another counter of the slot.
        for _ in 0..3 {
            match self.turn(&mut cache, slot, key, ask).await {
                Err(error) if error.kind == Kind::Fenced => last = error,
                Err(error) => return Err(error),
                Ok(value) => return Ok(value),
            }
        }
        Err(last)
    }

    async fn turn(
        &self,
        cache: &mut Option<Cache>,
        slot: Slot,
        key: u128,
        ask: Ask,
    ) -> Result<u64> {
        let now = self.settled(cache, slot, key).await?;
        let outcome = match ask {
            Ask::Read if self.mutant == Mutant::NoConfirmation => Ok(now.value),
            Ask::Read => self.control.confirm_reads(&now.fence).await.map(|()| now.value),
            Ask::Increment(id) => {
                let check = self.mutant != Mutant::NoFenceCheck;
                let body = Increment { fence: now.fence, key, id, cached: now.value, check };
                transact(&self.store, body).await.map(|done| done.value)
            }
        };
        match &outcome {
            Ok(value) => now.value = now.value.max(*value),
            Err(_) => now.is_suspect = true,
        }
        outcome
    }

    /// The cache, made or mended where there is reason to.
    async fn settled<'c>(
        &self,
        cache: &'c mut Option<Cache>,
        slot: Slot,
        key: u128,
    ) -> Result<&'c mut Cache> {
        let fence = match cache.as_ref() {
            Some(known) if !known.is_suspect => None,
            Some(known) => match self.control.renew(slot, &known.fence).await {
                Err(error) if error.kind == Kind::Fenced => {
                    *cache = None;
                    return Err(error);
                }
                renewed => Some(renewed?),
            },
            None => Some(self.control.fence(slot).await?),
        };
        if let Some(fence) = fence {
            let check = self.mutant != Mutant::NoFenceCheck;
            let value = transact(&self.store, Load { fence, key, check }).await?;
            *cache = Some(Cache { fence, value, is_suspect: false });
        }
        cache.as_mut().ok_or_else(|| Error::internal("no cache"))
    }

    /// Forgets what is cached of some slots; an actor that is at work finds out by itself. (It must
    /// not be forgotten with its turn under way: a second one beside it would not know what it does.)
    fn forget(&self, slots: &[Slot]) {
        for (key, actor) in self.actors.lock().iter() {
            let is_theirs = slots.iter().any(|slot| u128::from(slot.number()) == key % SLOTS);
            if is_theirs && let Ok(mut cache) = actor.try_lock() {
                forget(&mut cache);
            }
        }
    }
}

/// What was cached is read again, after a renewal: a commit of before may still land, and the slot
/// may stay under the very same fence (a move that is called off).
fn forget(cache: &mut Option<Cache>) {
    if let Some(cache) = cache {
        cache.is_suspect = true;
    }
}

#[async_trait]
impl Host for Counters {
    async fn handle(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        let ask: Ask = request.open()?;
        let counters = self.clone();
        let turn = tokio::spawn(counters.serve(target.slot, target.key, ask));
        match tokio::time::timeout_at(deadline.instant(), turn).await {
            Ok(Ok(value)) => value.map(Parcel::typed),
            Ok(Err(broken)) => Err(Error::internal(format!("{broken}"))),
            Err(_) => Err(Error::new(Kind::Timeout, "too late")),
        }
    }

    fn lost(&self, slots: &[Slot]) {
        self.forget(slots);
    }

    async fn release(&self, _: Slot, deadline: Deadline) -> Result<()> {
        let actors: Vec<_> = self.actors.lock().values().cloned().collect();
        for actor in actors {
            let rest = tokio::time::timeout_at(deadline.instant(), actor.lock()).await;
            forget(&mut *rest.map_err(|_| Error::new(Kind::Timeout, "still busy"))?);
        }
        Ok(())
    }
}

async fn value(tx: &dyn Transaction, key: u128) -> Result<u64, BodyError> {
    let row = tx.get(&value_key(key), Isolation::Serializable).await?;
    let done: Option<Done> = row.map(|row| base::wire::decode(&row)).transpose()?;
    Ok(done.map_or(0, |done| done.value))
}

struct Load {
    fence: Fence,
    key: u128,
    check: bool,
}

impl Body<u64> for Load {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _: Attempt,
    ) -> BoxFuture<'a, Result<u64, BodyError>> {
        Box::pin(async move {
            if self.check {
                self.fence.check(tx).await?;
            }
            value(tx, self.key).await
        })
    }
}

struct Increment {
    fence: Fence,
    key: u128,
    id: u64,
    cached: u64,
    check: bool,
}

impl Body<Done> for Increment {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _: Attempt,
    ) -> BoxFuture<'a, Result<Done, BodyError>> {
        Box::pin(async move {
            if self.check {
                self.fence.check(tx).await?;
            }
            let key = command_key(self.key, self.id);
            if let Some(row) = tx.get(&key, Isolation::Serializable).await? {
                return Ok(base::wire::decode(&row)?);
            }
            let done = Done { value: self.cached + 1, epoch: self.fence.epoch.0 };
            let row = base::wire::encode(&done)?;
            tx.set(&key, &row);
            tx.set(&value_key(self.key), &row);
            Ok(done)
        })
    }
}
