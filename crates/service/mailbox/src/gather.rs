//! Deliveries, which are gathered and made together.
//!
//! A delivery that arrives is put in a list; a message that the actor sends to itself, behind
//! everything that waits in its inbox by then, makes all of them in one transaction. So a mailbox
//! into which much comes pays one commit, and writes its counters, its folder and its newest index
//! row once, for up to [`TOGETHER_MAX`] messages; one delivery alone waits for nothing. Whatever
//! else changes the mailbox finds those made that came before it.
//!
//! Each is atomic for itself, and answered for itself: its own dedupe row, its own look at the
//! queue that asks, its own end of the queue entry. One that must not be made is left out; one
//! that fails half-way is left out of the next attempt, and tried alone in its turn. After a commit
//! whose outcome is unknown the dedupe rows say what became of each.

use crate::actor::MailboxActor;
use crate::drive::{RELOADS_MAX, is_passing};
use crate::job::{Running, overloaded};
use crate::message;
use crate::retry;
use crate::sweep;
use crate::unit::{self, Draft, Unit};
use crate::write::deliver;
use base::actor::Reply;
use base::{Error, FolderId, Kind, QueueId, Result};
use contract_directory::Account;
use contract_mailbox::{Delivered, Delivery, Principal, SpecialUse, WriteReply};
use contract_store::{Attempt, Body, BodyError, Isolation, Transaction};
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;

/// How many deliveries one transaction makes at most, and how many wait for one at most: as many
/// messages as the inbox holds.
pub(crate) const TOGETHER_MAX: usize = 64;

/// From so many bytes on no further delivery is taken into a transaction. FoundationDB likes
/// transactions below 1 MB best.
const TOGETHER_BYTES: usize = 1_000_000;

/// A delivery that waits to be made.
pub(crate) struct Gathered {
    pub(crate) delivery: Box<Delivery>,
    pub(crate) reply: Reply<WriteReply>,
}

impl MailboxActor {
    /// Takes a delivery, to be made soon; says whether the mailbox is served elsewhere now.
    pub(crate) async fn gather(&mut self, new: Gathered) -> bool {
        if self.gathered.len() >= TOGETHER_MAX {
            self.gathered.retain(|waiting| !waiting.reply.is_abandoned());
        }
        if self.gathered.len() >= TOGETHER_MAX {
            // Only while a COPY fills the Inbox.
            new.reply.send(Err(overloaded("many deliveries wait for a job under way")));
            return false;
        }
        self.gathered.push_back(new);
        self.gathered.len() >= TOGETHER_MAX && self.deliver().await
    }

    /// Makes the deliveries that wait, but for the time in which a COPY fills the Inbox; says
    /// whether the mailbox is served elsewhere now.
    pub(crate) async fn deliver(&mut self) -> bool {
        // Who has given up asks again, and may be answered by another owner then.
        self.gathered.retain(|waiting| !waiting.reply.is_abandoned());
        if self.gathered.is_empty() {
            return false;
        }
        while !self.gathered.is_empty() && !self.is_inbox_taken() {
            match self.deliver_some().await {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    let fenced = error.kind == Kind::Fenced;
                    for waiting in self.gathered.drain(..) {
                        waiting.reply.send(Err(error.clone()));
                    }
                    return fenced;
                }
            }
        }
        sweep::is_due(self) && self.sweep().await
    }

    fn is_inbox_taken(&self) -> bool {
        let hidden = self.job.as_ref().and_then(Running::hidden);
        hidden == Some(SpecialUse::Inbox.folder_id())
    }

    /// Makes the first of those that wait; says whether that was possible now.
    async fn deliver_some(&mut self) -> Result<bool> {
        let owner = self.context.directory.account(self.account).await?;
        let (mut count, mut reloads) = (self.gathered.len().min(TOGETHER_MAX), 0);
        loop {
            self.settle().await?;
            if self.is_inbox_taken() {
                return Ok(false);
            }
            let reserved = self.job.as_ref().and_then(Running::hidden);
            let body = Together { mailbox: self, owner: &owner, count, reserved };
            match retry::transact(&self.context.store, body).await {
                Ok(Lot::Made { answers, draft }) => {
                    self.made(answers, draft);
                    return Ok(true);
                }
                Ok(Lot::Spoiled(place)) => count = place.max(1),
                Ok(Lot::MustWait) => return Ok(false),
                Ok(Lot::CacheIsOld) if reloads < RELOADS_MAX => {
                    reloads += 1;
                    self.doubt.stale = true;
                }
                Ok(Lot::CacheIsOld) => return Err(self.overtaken()),
                Err(given_up) => {
                    let error = self.doubt(given_up);
                    if error.kind == Kind::Fenced {
                        if reloads == RELOADS_MAX {
                            return Err(self.overtaken());
                        }
                        // Settling tells, and takes over the newest fence if there is one.
                        reloads += 1;
                        continue;
                    }
                    if is_passing(&error) {
                        return Err(error);
                    }
                    if count == 1 {
                        self.made(vec![Err(error)], None);
                        return Ok(true);
                    }
                    count /= 2;
                }
            }
        }
    }

    /// Takes over what a transaction has changed, and answers.
    fn made(&mut self, answers: Vec<Result<WriteReply>>, draft: Option<Box<Draft>>) {
        if let Some(draft) = draft {
            let change = draft.apply(&mut self.cache);
            self.context.wakeups.publish(self.account, change);
            metrics::counter!("rialto_mailbox_delivery_commits_total").increment(1);
        }
        for (waiting, answer) in self.gathered.drain(..answers.len()).zip(answers) {
            if let Ok(WriteReply::Delivered(Delivered::New { .. })) = &answer {
                metrics::counter!("rialto_mailbox_deliveries_total").increment(1);
            }
            waiting.reply.send(answer);
        }
    }
}

/// How a transaction of deliveries ended.
enum Lot {
    /// The first so many have their answers.
    Made {
        /// In order.
        answers: Vec<Result<WriteReply>>,
        /// What the cache must learn, if anything new was delivered.
        draft: Option<Box<Draft>>,
    },
    /// Nothing was written: this one failed half-way, and may be tried without the others.
    Spoiled(usize),
    /// Nothing was written: a COPY is filling the Inbox.
    MustWait,
    /// Nothing was written: something was committed that the cache does not know. Where it was
    /// this very lot, the dedupe rows will say so.
    CacheIsOld,
}

/// The transaction of the first `count` deliveries that wait.
struct Together<'s> {
    mailbox: &'s MailboxActor,
    owner: &'s Account,
    count: usize,
    reserved: Option<FolderId>,
}

/// What is stored that concerns one delivery.
#[derive(Clone, Copy)]
struct Found {
    /// It was made before.
    before: bool,
    /// The queue that asks for it may still ask.
    wanted: bool,
}

/// What this attempt has done so far.
#[derive(Default)]
struct Done {
    made: HashSet<(QueueId, u32)>,
    ended: HashSet<QueueId>,
}

impl Body<Lot> for Together<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<Lot, BodyError>> {
        Box::pin(self.attempt(tx, attempt.maybe_committed))
    }
}

impl Together<'_> {
    fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.mailbox.gathered.iter().take(self.count).map(|waiting| &*waiting.delivery)
    }

    async fn attempt(&self, tx: &dyn Transaction, again: bool) -> Result<Lot, BodyError> {
        let mailbox = self.mailbox;
        let summary_key = mailbox.keys.summary();
        let (fence, summary, found) = futures::join!(
            mailbox.fence.check(tx),
            tx.get(&summary_key, Isolation::Serializable),
            try_join_all(self.deliveries().map(|delivery| self.look(tx, delivery))),
        );
        #[cfg(feature = "mutants")]
        let fence = mailbox.context.config.overlook(fence);
        fence?;
        let found = found?;
        if summary?.as_ref() != Some(&mailbox.cache.summary_row) {
            return Ok(Lot::CacheIsOld);
        }
        let who = Principal::Transport;
        let mut unit = Unit::new(tx, &mailbox.context, self.owner, who, &mailbox.cache);
        unit.reserved = self.reserved;
        let (mut done, mut answers) = (Done::default(), Vec::with_capacity(found.len()));
        for (place, (delivery, found)) in self.deliveries().zip(found).enumerate() {
            if place > 0 && tx.approximate_size() > TOGETHER_BYTES {
                break;
            }
            match one(&mut unit, delivery, found, (&mut done, again)).await {
                Ok(answer) => answers.push(answer),
                Err(BodyError::Refused(error)) if error == unit::reserved() => {
                    tx.reset();
                    return Ok(Lot::MustWait);
                }
                Err(BodyError::Refused(error)) if self.count > 1 => {
                    tracing::warn!(mailbox = %mailbox.account, queue = %delivery.queue, %error,
                        "a delivery fails, and is tried alone");
                    tx.reset();
                    return Ok(Lot::Spoiled(place));
                }
                Err(error) => return Err(error),
            }
        }
        let draft = if done.made.is_empty() { None } else { Some(Box::new(unit.flush()?)) };
        Ok(Lot::Made { answers, draft })
    }

    async fn look(&self, tx: &dyn Transaction, delivery: &Delivery) -> Result<Found, BodyError> {
        let (before, wanted) = futures::try_join!(
            deliver::was_made(tx, self.mailbox.keys, delivery),
            deliver::is_wanted(tx, delivery),
        )?;
        #[cfg(feature = "mutants")]
        let before = {
            let config = &self.mailbox.context.config;
            before && !config.without_dedupe && !config.blind_retry
        };
        Ok(Found { before, wanted })
    }
}

/// Makes one delivery, or answers why not; an error where it cannot be said without trying it
/// alone. `again` says that an earlier attempt may have been committed.
async fn one(
    unit: &mut Unit<'_>,
    delivery: &Delivery,
    found: Found,
    (done, again): (&mut Done, bool),
) -> Result<Result<WriteReply>, BodyError> {
    let name = (delivery.queue, delivery.generation);
    let before = found.before || done.made.contains(&name);
    let ended = delivery.queue_fence.is_some() && done.ended.contains(&delivery.queue);
    let wanted = found.wanted && !ended;
    let reply = match (before, wanted) {
        (true, _) => Delivered::Before,
        (false, false) => return Ok(Err(deliver::unwanted(delivery))),
        (false, true) => {
            if let Err(error) = message::check_room(unit, delivery.content.size_bytes()) {
                return Ok(Err(error));
            }
            let made = AssertUnwindSafe(deliver::run(unit, delivery)).catch_unwind().await;
            let Ok(made) = made else {
                // What it has left is thrown away with the attempt.
                metrics::counter!("rialto_actor_panics_total", "actor" => "mailbox").increment(1);
                return Err(Error::internal("a delivery panicked").into());
            };
            done.made.insert(name);
            made?
        }
    };
    // After a commit of unknown outcome it may have been this very lot.
    if reply != Delivered::Before || !again {
        deliver::track(unit, delivery, &reply)?;
    }
    // One that was made before may have been asked for again as the last of its message.
    if wanted && deliver::end_queue_entry(unit, delivery).await? {
        done.ended.insert(delivery.queue);
    }
    Ok(Ok(WriteReply::Delivered(reply)))
}
