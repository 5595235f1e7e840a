//! The promises of [`Control`] as tests that every implementation runs.
//!
//! An implementation provides a [`World`]: one store, a node that owns slots, and others that take
//! them over. Each case gets a new world and fails by panicking; make each of [`cases`] a test of
//! its own. The cases hold while the store fails at random (conflicts, unknown
//! commits, reads that interleave), so run them with and without. Time should be simulated: some
//! wait until somebody gives up.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod away;
mod confirming;
mod renewing;
mod slots;
mod takeover;

use crate::{Control, Fence};
use async_trait::async_trait;
use base::{Deadline, Kind, Result, Slot, with_deadline};
use bytes::Bytes;
use contract_store::keys::KeyBuilder;
use contract_store::{Attempt, Body, BodyError, Isolation, Store, Transaction, transact};
use futures::future::BoxFuture;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One store, the nodes over it, and the trouble that it can make.
#[async_trait]
pub trait World: Send + Sync {
    /// The store that all nodes share.
    fn store(&self) -> Arc<dyn Store>;

    /// At least four slots that the first node owns, and that whoever takes over takes from it.
    fn slots(&self) -> Vec<Slot>;

    /// Starts the node that owns [`World::slots`]; called once.
    async fn first(&self) -> Arc<dyn Control>;

    /// Starts somebody (another node, or another life of the same) who has taken all of
    /// [`World::slots`] from whoever had them when this returns. The loser is not told: only the
    /// store shows it.
    async fn take_over(&self) -> Arc<dyn Control>;

    /// How the store is from now on; [`Weather::Fine`] at first.
    fn weather(&self, weather: Weather);

    /// How the next commit that writes ends, whoever makes it; `false` if the world cannot do that.
    fn next_commit(&self, ends: Ends) -> bool;

    /// Lets commits that are still on their way land now, or fail if what they read has changed.
    fn land(&self);

    /// How many rows were read one by one so far; `None` if that is not known.
    fn reads(&self) -> Option<u64>;
}

/// How a store is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weather {
    /// As it was made.
    Fine,
    /// It turns away everything.
    Busy,
    /// It answers nothing. What waits goes on when it is over.
    Silent,
}

/// How a commit ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// Made, and nobody hears of it.
    UnknownMade,
    /// Not made, and nobody hears of it.
    UnknownNotMade,
    /// Nobody hears of it, and it lands with [`World::land`].
    Late,
}

/// One promise: its name, and the test of it in a new world.
pub type Case = (&'static str, fn(Arc<dyn World>) -> Pin<Box<dyn Future<Output = ()> + Send>>);

macro_rules! cases {
    ($($module:ident :: $name:ident,)*) => {
        vec![$((stringify!($name), |world| Box::pin($module::$name(world))),)*]
    };
}

/// All cases.
pub fn cases() -> Vec<Case> {
    cases![
        slots::a_fence_is_in_the_store_before_it_is_given,
        slots::everybody_finds_the_same_slot,
        renewing::a_renewal_raises_the_renewal_and_shuts_the_old_fence_out,
        renewing::a_write_that_had_begun_before_the_renewal_cannot_land,
        renewing::a_commit_on_its_way_never_lands_after_the_renewal,
        renewing::a_renewal_of_which_nobody_heard_locks_nobody_out,
        renewing::a_renewal_that_was_given_up_locks_nobody_out,
        takeover::only_the_last_owner_writes,
        takeover::a_write_that_had_begun_before_the_takeover_cannot_land,
        takeover::a_loser_cannot_renew,
        takeover::a_loser_that_has_found_out_gives_no_fence,
        takeover::a_late_renewal_of_the_loser_takes_nothing_back,
        confirming::a_takeover_that_was_acknowledged_is_seen,
        confirming::confirmations_during_a_takeover_are_true,
        confirming::many_confirmations_share_a_read,
        confirming::whoever_goes_away_takes_nobody_along,
        away::a_store_that_turns_everything_away_is_told,
        away::a_silent_store_is_waited_for_and_nothing_wrong_is_said,
        away::what_happened_during_the_silence_is_seen_after_it,
    ]
}

/// Shown by the test harness where a case fails.
#[allow(clippy::print_stdout)]
fn note(text: &str) {
    println!("control suite: {text}");
}

/// How often somebody asks whom a failing store keeps from an answer.
const ATTEMPTS_MAX: usize = 60;

/// How long a caller waits for one answer, as a client's command does.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks again where the answer is "not now": stores fail at random in some worlds.
async fn steady<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match ask().await {
            Err(error) if error.kind == Kind::Unavailable && attempts < ATTEMPTS_MAX => {}
            answer => return answer,
        }
    }
}

/// Waits for an answer as long as a client does.
async fn patiently<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    with_deadline(Deadline::after(PATIENCE), answer).await
}

async fn fence(node: &Arc<dyn Control>, slot: Slot) -> Result<Fence> {
    steady(|| node.fence(slot)).await
}

async fn renew(node: &Arc<dyn Control>, old: &Fence) -> Result<Fence> {
    steady(|| node.renew(old.slot, old)).await
}

async fn confirm(node: &Arc<dyn Control>, held: &Fence) -> Result<()> {
    steady(|| node.confirm_reads(held)).await
}

/// The kind of the error that it must be.
#[track_caller]
fn kind<T: std::fmt::Debug>(answer: Result<T>) -> Kind {
    answer.expect_err("an error").kind
}

/// The row that the cases write in a slot.
fn row_key(slot: Slot) -> Bytes {
    KeyBuilder::new(b"suite/control/").u16(slot.number()).build()
}

/// A write under a fence, as mailboxes and queues make them.
struct Write {
    fence: Fence,
    text: &'static str,
}

impl Body<()> for Write {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            self.fence.check(tx).await?;
            tx.set(&row_key(self.fence.slot), self.text.as_bytes());
            Ok(())
        })
    }
}

async fn write(world: &Arc<dyn World>, fence: &Fence, text: &'static str) -> Result<()> {
    let store = world.store();
    steady(|| transact(&store, Write { fence: *fence, text })).await
}

/// Begins a write under a fence that still stands; what is left is its commit.
async fn begin_write(world: &Arc<dyn World>, fence: &Fence, text: &str) -> Box<dyn Transaction> {
    loop {
        let tx = world.store().begin();
        match fence.check(&*tx).await {
            Ok(()) => {
                tx.set(&row_key(fence.slot), text.as_bytes());
                return tx;
            }
            Err(BodyError::Store(_)) => {}
            Err(BodyError::Refused(error)) => panic!("a fence that does not stand: {error:?}"),
        }
    }
}

/// What was written last in a slot.
async fn written(world: &Arc<dyn World>, slot: Slot) -> Option<String> {
    let row = stored(world, &row_key(slot)).await;
    row.map(|row| String::from_utf8(row.into()).unwrap())
}

/// A row as it is now.
async fn stored(world: &Arc<dyn World>, key: &[u8]) -> Option<Bytes> {
    loop {
        if let Ok(row) = world.store().begin().get(key, Isolation::Snapshot).await {
            return row;
        }
    }
}
