//! Many at once, at random, over a store that fails.
//!
//! Workers hold, read and release the same few contents while a collector runs and time passes.
//! Each worker knows what it holds, since nobody else uses its names, so it knows what it must be
//! able to read. A worker guards its transactions with a fence of its own, which it raises after
//! an outcome that may still land late, as a mailbox does.

use super::{Act, Deed, Dice, World, content, read, upload};
use base::Kind;
use bytes::Bytes;
use contract_store::{Attempt, Body, BodyError, Isolation, Transaction, transact};
use futures::future::BoxFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const WORKERS: u64 = 4;
const STEPS: u64 = 30;
const SIZES: [usize; 4] = [0, 5_000, 100_000, 300_000];

/// One run; `seed` decides everything that the store does not. Everything is released and
/// collected in the end, so the caller may check that no row is left.
pub async fn random_schedule(world: &World, seed: u64) {
    let contents: Vec<Vec<u8>> = SIZES.iter().map(|size| content(seed, *size)).collect();
    let working = AtomicUsize::new(WORKERS as usize);
    let workers = (0..WORKERS).map(|number| {
        let worker = Worker {
            world,
            contents: &contents,
            number,
            dice: Dice(seed ^ number << 32),
            epoch: 0,
            held: vec![false; contents.len()],
        };
        worker.work(&working)
    });
    let collector = collector(world, Dice(!seed), &working);
    futures::join!(futures::future::join_all(workers), collector);

    for bytes in &contents {
        loop {
            // Nobody holds it: it must go, whatever was left unfinished.
            world.pass_lease();
            let Ok(round) = world.blobs.collect(100).await else {
                continue;
            };
            if round.more || round.examined > 0 {
                continue;
            }
            match upload(&*world.blobs, bytes).await {
                Ok(staged) => match read(&*world.blobs, staged.id, 0..0).await {
                    Err(error) if error.kind == Kind::NotFound => break,
                    Err(error) if error.kind == Kind::Unavailable => {}
                    other => panic!("{:?} is still there: {other:?}", staged.id),
                },
                Err(error) => assert_eq!(error.kind, Kind::Unavailable, "{error}"),
            }
        }
    }
    loop {
        world.pass_lease();
        match world.blobs.collect(100).await {
            Ok(round) if !round.more && round.examined == 0 => break,
            _ => {}
        }
    }
}

async fn collector(world: &World, mut dice: Dice, working: &AtomicUsize) {
    while working.load(Ordering::SeqCst) > 0 {
        let minutes = [0, 0, 1, 5, 12, 26 * 60][dice.below(6) as usize];
        (world.advance)(Duration::from_secs(60 * minutes));
        if let Err(error) = world.blobs.collect(1 + dice.below(4) as usize).await {
            assert_eq!(error.kind, Kind::Unavailable, "{error}");
        }
        world.store.begin().read_version().await.ok();
        pause().await;
    }
}

struct Worker<'w> {
    world: &'w World,
    contents: &'w [Vec<u8>],
    number: u64,
    dice: Dice,
    epoch: u64,
    held: Vec<bool>,
}

impl Worker<'_> {
    async fn work(mut self, working: &AtomicUsize) {
        self.raise_fence().await;
        for _ in 0..STEPS {
            let which = self.dice.below(self.contents.len() as u64) as usize;
            match (self.held[which], self.dice.below(3)) {
                (true, 0) => self.release(which).await,
                (true, _) => self.check(which).await,
                (false, way) => self.hold(which, way).await,
            }
            pause().await;
        }
        for which in 0..self.contents.len() {
            self.release(which).await;
        }
        working.fetch_sub(1, Ordering::SeqCst);
    }

    /// What I hold can be read.
    async fn check(&mut self, which: usize) {
        let bytes = &self.contents[which];
        let Ok(staged) = upload(&*self.world.blobs, bytes).await else {
            return;
        };
        let size = bytes.len() as u64;
        let start = self.dice.below(size + 1);
        for range in [0..size, start..start + self.dice.below(size - start + 1)] {
            match read(&*self.world.blobs, staged.id, range.clone()).await {
                Ok(found) => {
                    let expect = &bytes[range.start as usize..range.end as usize];
                    assert!(found == expect, "{range:?} of {:?}", staged.id);
                }
                Err(error) => assert_eq!(error.kind, Kind::Unavailable, "held, but {error}"),
            }
        }
    }

    async fn hold(&mut self, which: usize, way: u64) {
        let Ok(staged) = upload(&*self.world.blobs, &self.contents[which]).await else {
            return;
        };
        // Time passes between staging and holding.
        for _ in 0..self.dice.below(4) {
            pause().await;
        }
        let act = if way == 0 { Act::HoldStored(staged.id) } else { Act::Hold(staged) };
        match transact(&self.world.store, self.deed(act)).await {
            Ok(()) => self.held[which] = true,
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => {
                assert_eq!(error.kind, Kind::Unavailable, "{error}");
                self.release(which).await;
            }
        }
    }

    /// Releases until it is known to have happened.
    async fn release(&mut self, which: usize) {
        loop {
            let Ok(staged) = upload(&*self.world.blobs, &self.contents[which]).await else {
                continue;
            };
            self.raise_fence().await;
            if transact(&self.world.store, self.deed(Act::Release(staged.id))).await.is_ok() {
                self.held[which] = false;
                return;
            }
        }
    }

    fn deed(&self, act: Act) -> Deed {
        let fence = (self.fence_key(), Bytes::copy_from_slice(&self.epoch.to_be_bytes()));
        let deed = self.world.deed(act, &format!("worker {}", self.number));
        Deed { fence: Some(fence), ..deed }
    }

    fn fence_key(&self) -> Bytes {
        Bytes::from(format!("test fence {}", self.number))
    }

    /// After this, nothing that was begun before can land.
    async fn raise_fence(&mut self) {
        self.epoch += 1;
        let key = self.fence_key();
        let value = Bytes::copy_from_slice(&self.epoch.to_be_bytes());
        while transact(&self.world.store, Raise { key: key.clone(), value: value.clone() })
            .await
            .is_err()
        {}
    }
}

struct Raise {
    key: Bytes,
    value: Bytes,
}

impl Body<()> for Raise {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            tx.get(&self.key, Isolation::Serializable).await?;
            tx.set(&self.key, &self.value);
            Ok(())
        })
    }
}

/// Lets the others run.
async fn pause() {
    let mut yielded = false;
    futures::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
