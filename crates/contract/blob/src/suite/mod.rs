//! The promises of the blob contract as tests.
//!
//! An implementation runs all of them with [`blob_suite!`](crate::blob_suite), giving it an
//! expression that makes a fresh [`World`]. [`random_schedule`] is run apart, with as many seeds and
//! as many injected faults as the implementation's store has to offer.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod life;
mod races;
mod schedule;

pub use life::*;
pub use races::*;
pub use schedule::random_schedule;

use crate::{BlobId, Blobs, Collected, GRACE_MS, Holder, LEASE_MS, Staged};
use base::{Kind, Result};
use bytes::Bytes;
use contract_store::{Attempt, Body, BodyError, Isolation, Store, Transaction, transact};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Moves the clock of a world.
pub type Advance = Box<dyn Fn(Duration) + Send + Sync>;

/// What a test runs in: an empty store, the blobs in it, and a hand on their clock.
pub struct World {
    pub store: Arc<dyn Store>,
    pub blobs: Arc<dyn Blobs>,
    pub advance: Advance,
}

/// Makes a `#[tokio::test]` of each promise. The expression makes a [`World`] in a future.
#[macro_export]
macro_rules! blob_suite {
    ($world:expr) => {
        $crate::blob_suite!($world;
            bytes_come_back, ranges_are_exact, a_range_outside_fails, same_bytes_have_one_name,
            what_nobody_holds_is_not_there, references_keep_a_blob, holding_twice_is_holding_once,
            releasing_what_is_not_held_does_nothing, held_again_before_collection_it_stays,
            an_upload_nobody_refers_to_runs_out, an_abandoned_transaction_leaves_nothing,
            one_transaction_may_hold_twice, long_holders_are_refused,
            collection_beats_whoever_comes_too_late, two_first_references_at_once,
            a_lease_runs_out_while_it_is_used, a_release_during_collection_is_not_lost,
            another_upload_of_the_same_bytes_is_given_up,
        );
    };
    ($world:expr; $($name:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::suite::$name(&$world.await).await;
            }
        )+
    };
}

/// What a transaction of a test does.
pub(crate) enum Act {
    Hold(Staged),
    HoldStored(BlobId),
    Release(BlobId),
}

/// An act under a holder's name, behind a fence as the contract asks for it.
pub(crate) struct Deed {
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) act: Act,
    pub(crate) holder: Holder,
    /// A row that must have this value.
    pub(crate) fence: Option<(Bytes, Bytes)>,
}

impl Deed {
    pub(crate) async fn on(&self, tx: &dyn Transaction) -> Result<(), BodyError> {
        if let Some((key, value)) = &self.fence {
            let found = tx.get(key, Isolation::Serializable).await?;
            assert_eq!(found.as_ref(), Some(value), "the test's own fence");
        }
        match &self.act {
            Act::Hold(staged) => self.blobs.hold(tx, staged, &self.holder).await,
            Act::HoldStored(id) => self.blobs.hold_stored(tx, *id, &self.holder).await,
            Act::Release(id) => {
                self.blobs.release(tx, *id, &self.holder);
                Ok(())
            }
        }
    }
}

impl Body<()> for Deed {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(self.on(tx))
    }
}

impl World {
    pub(crate) fn deed(&self, act: Act, holder: &str) -> Deed {
        let holder = Holder(Bytes::copy_from_slice(holder.as_bytes()));
        Deed { blobs: self.blobs.clone(), act, holder, fence: None }
    }

    async fn act(&self, act: Act, holder: &str) -> Result<()> {
        transact(&self.store, self.deed(act, holder)).await
    }

    /// Uploads bytes in pieces of an odd size.
    pub async fn stage(&self, bytes: &[u8]) -> Staged {
        upload(&*self.blobs, bytes).await.unwrap()
    }

    pub async fn hold(&self, staged: &Staged, holder: &str) -> Result<()> {
        self.act(Act::Hold(staged.clone()), holder).await
    }

    pub async fn hold_stored(&self, id: BlobId, holder: &str) -> Result<()> {
        self.act(Act::HoldStored(id), holder).await
    }

    pub async fn release(&self, id: BlobId, holder: &str) {
        self.act(Act::Release(id), holder).await.unwrap();
    }

    pub async fn read(&self, id: BlobId, range: Range<u64>) -> Result<Vec<u8>> {
        read(&*self.blobs, id, range).await
    }

    /// Collects until nothing is left to look at.
    pub async fn collect_all(&self) -> Collected {
        let mut all = Collected::default();
        loop {
            let round = self.blobs.collect(2).await.unwrap();
            all.examined += round.examined;
            all.removed += round.removed;
            all.damaged += round.damaged;
            if !round.more {
                return all;
            }
        }
    }

    pub fn pass_grace(&self) {
        (self.advance)(Duration::from_millis(GRACE_MS as u64 + 120_000));
    }

    pub fn pass_lease(&self) {
        (self.advance)(Duration::from_millis(LEASE_MS as u64 + 120_000));
    }

    pub async fn assert_gone(&self, id: BlobId) {
        assert_eq!(self.read(id, 0..0).await.map_err(|e| e.kind), Err(Kind::NotFound));
        let held = self.hold_stored(id, "late").await;
        assert_eq!(held.map_err(|e| e.kind), Err(Kind::NotFound));
    }
}

pub(crate) async fn upload(blobs: &dyn Blobs, bytes: &[u8]) -> Result<Staged> {
    let mut upload = blobs.upload();
    for piece in bytes.chunks(7_777) {
        upload.write(Bytes::copy_from_slice(piece)).await?;
    }
    assert_eq!(upload.size_bytes(), bytes.len() as u64);
    upload.finish().await
}

pub(crate) async fn read(blobs: &dyn Blobs, id: BlobId, range: Range<u64>) -> Result<Vec<u8>> {
    let pieces: Vec<Bytes> = blobs.read(id, range).try_collect().await?;
    for piece in &pieces {
        let len = piece.len();
        assert!((1..=contract_store::limits::CHUNK_BYTES).contains(&len), "a piece of {len}");
    }
    Ok(pieces.concat())
}

/// Bytes that are different for each seed, half of them compressible.
pub fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut bytes = Vec::with_capacity(len + 64);
    while bytes.len() < len {
        bytes.extend_from_slice(&dice.next().to_le_bytes());
        bytes.extend_from_slice(b"\r\nReceived: from mx ");
    }
    bytes.truncate(len);
    bytes
}

/// A small seeded generator (SplitMix64), so that a seed replays a run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
