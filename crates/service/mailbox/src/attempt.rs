//! One transaction of a command: fence, marker, cache check, work, result.

use crate::actor::MailboxActor;
use crate::rows::ResultRow;
use crate::unit::{Draft, Unit};
use crate::write::bulk::{self, Ending, Progress};
use crate::write::{self, Step, deliver, undo};
use base::CommandId;
use contract_directory::Account;
use contract_mailbox::{Delivered, Principal, Write, WriteReply};
use contract_store::{Attempt, Body, BodyError, Isolation, Transaction};
use futures::future::BoxFuture;

/// How a transaction of a command ended.
pub(crate) enum Outcome {
    /// The command is finished.
    Applied {
        /// Its answer.
        reply: WriteReply,
        /// What the cache must learn.
        draft: Draft,
    },
    /// A chunk of it is.
    Advanced {
        /// How far it is.
        progress: Progress,
        /// What the cache must learn.
        draft: Draft,
    },
    /// It was finished before; this is the stored answer.
    Before {
        /// The answer.
        reply: WriteReply,
        /// Whether it was this very call, whose outcome was unknown.
        cache_is_old: bool,
    },
    /// Its job is further than we thought (a chunk's outcome was unknown).
    Elsewhere(Progress),
    /// Its job is no more: the end of taking it back was committed with an unknown outcome.
    Ended,
    /// Something was committed that the cache does not know.
    CacheIsOld,
}

/// The body of a command's transaction.
pub(crate) struct WriteBody<'s> {
    pub(crate) mailbox: &'s MailboxActor,
    pub(crate) owner: &'s Account,
    pub(crate) who: Principal,
    pub(crate) command: CommandId,
    pub(crate) request: &'s Write,
    pub(crate) progress: &'s Progress,
}

impl Body<Outcome> for WriteBody<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<Outcome, BodyError>> {
        Box::pin(self.attempt(tx, attempt))
    }
}

impl WriteBody<'_> {
    async fn attempt(&self, tx: &dyn Transaction, attempt: Attempt) -> Result<Outcome, BodyError> {
        let keys = self.mailbox.keys;
        let summary_key = keys.summary();
        let (fence, marker, summary) = futures::join!(
            self.mailbox.fence.check(tx),
            self.marker(tx),
            tx.get(&summary_key, Isolation::Serializable),
        );
        fence?;
        let cache_is_old = summary?.as_ref() != Some(&self.mailbox.cache.summary_row);
        if let Some(reply) = marker? {
            self.end_again(tx).await?;
            return Ok(Outcome::Before { reply, cache_is_old });
        }
        let steps = self.progress.steps;
        if attempt.maybe_committed || steps > 0 {
            match bulk::stored_progress(tx, keys, self.command).await? {
                Some(stored) if stored.steps != steps => return Ok(Outcome::Elsewhere(stored)),
                None if steps > 0 => return Ok(Outcome::Ended),
                _ => {}
            }
        }
        if cache_is_old {
            return Ok(Outcome::CacheIsOld);
        }
        self.work(tx).await
    }

    async fn work(&self, tx: &dyn Transaction) -> Result<Outcome, BodyError> {
        let Self { mailbox, owner, who, command, request, .. } = *self;
        let mut progress = self.progress.clone();
        let mut unit = Unit::new(tx, &mailbox.context, owner, who, &mailbox.cache);
        let step = match progress.ending {
            Ending::Forward => write::run(&mut unit, request, &mut progress).await?,
            Ending::Undo => undo::step(&mut unit, &mut progress).await?,
            Ending::Publish => undo::publish(&mut unit, &mut progress),
        };
        let (keys, now) = (unit.keys, unit.now);
        match step {
            Step::More => {
                progress.steps += 1;
                bulk::write(tx, keys, command, who, request, &progress)?;
                Ok(Outcome::Advanced { progress, draft: unit.flush()? })
            }
            Step::Finished(reply) => {
                if progress.steps > 0 {
                    bulk::clear(tx, keys);
                }
                if progress.ending == Ending::Forward && !matches!(request, Write::Deliver(_)) {
                    let row = ResultRow::encode(command, now, &reply)?;
                    tx.set(&keys.result(command.session), &row);
                }
                Ok(Outcome::Applied { reply, draft: unit.flush()? })
            }
        }
    }

    /// The stored answer, if this very command (or delivery) has been finished before.
    async fn marker(&self, tx: &dyn Transaction) -> Result<Option<WriteReply>, BodyError> {
        if self.progress.ending != Ending::Forward {
            return Ok(None);
        }
        let keys = self.mailbox.keys;
        if let Write::Deliver(delivery) = self.request {
            #[cfg(feature = "mutants")]
            if self.mailbox.context.config.without_dedupe {
                return Ok(None);
            }
            let made = deliver::was_made(tx, keys, delivery).await?;
            return Ok(made.then_some(WriteReply::Delivered(Delivered::Before)));
        }
        let key = keys.result(self.command.session);
        let row = tx.get(&key, Isolation::Serializable).await?;
        Ok(ResultRow::answer(row.as_deref(), self.command)?)
    }

    /// A delivery that was made before may have been asked for again as the last of its message:
    /// then the queue entry still has to be ended.
    async fn end_again(&self, tx: &dyn Transaction) -> Result<(), BodyError> {
        let Write::Deliver(delivery) = self.request else { return Ok(()) };
        let context = &self.mailbox.context;
        let slot = context.control.slot_of_queue(delivery.queue);
        deliver::end_queue_entry(tx, &*context.blobs, slot, delivery).await
    }
}
