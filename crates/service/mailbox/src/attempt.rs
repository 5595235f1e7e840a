//! One transaction of a command: fence, marker, cache check, work, result.

use crate::actor::MailboxActor;
use crate::rows::ResultRow;
use crate::unit::{self, Draft, Unit};
use crate::write::bulk::{self, Ending, Progress};
use crate::write::{self, Step, undo};
use base::{CommandId, FolderId, Kind};
use contract_directory::Account;
use contract_mailbox::{Principal, Write, WriteReply};
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
    /// It is finished, and there was nothing to change: nothing was written.
    Unchanged {
        /// Its answer.
        reply: WriteReply,
    },
    /// It has to wait for the job under way; nothing was written.
    MustWait,
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

/// What keeps a command from going ahead.
#[derive(Clone, Copy, Default)]
pub(crate) struct Busy {
    /// A folder that the job under way is filling, unseen.
    pub(crate) reserved: Option<FolderId>,
    /// Whether a command that takes more than one transaction must wait.
    pub(crate) no_job: bool,
}

/// What is stored of a command's end.
enum Marker {
    /// Nothing.
    New,
    /// Its answer.
    Answered(WriteReply),
    /// The answer to a later one: the session has given it up, and nobody wants its answer.
    Past,
}

/// The body of a command's transaction.
pub(crate) struct WriteBody<'s> {
    pub(crate) mailbox: &'s MailboxActor,
    pub(crate) owner: &'s Account,
    pub(crate) who: Principal,
    pub(crate) command: CommandId,
    pub(crate) request: &'s Write,
    pub(crate) progress: &'s Progress,
    pub(crate) busy: Busy,
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
        #[cfg(feature = "mutants")]
        let fence = self.mailbox.context.config.overlook(fence);
        fence?;
        let cache_is_old = summary?.as_ref() != Some(&self.mailbox.cache.summary_row);
        let marker = marker?;
        let wanted = !matches!(marker, Marker::Past);
        if let Marker::Answered(reply) = marker {
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
        match self.work(tx, wanted).await {
            Err(BodyError::Refused(error)) if error == unit::reserved() => {
                tx.reset();
                Ok(Outcome::MustWait)
            }
            other => other,
        }
    }

    /// Does the work; keeps the answer if it is still wanted.
    async fn work(&self, tx: &dyn Transaction, wanted: bool) -> Result<Outcome, BodyError> {
        let Self { mailbox, owner, who, command, request, .. } = *self;
        let mut progress = self.progress.clone();
        let mut unit = Unit::new(tx, &mailbox.context, owner, who, &mailbox.cache);
        unit.reserved = self.busy.reserved;
        let step = match progress.ending {
            Ending::Forward => write::run(&mut unit, request, &mut progress).await?,
            Ending::Undo => undo::step(&mut unit, &mut progress).await?,
            Ending::Publish => undo::publish(&mut unit, &mut progress)?,
        };
        let (keys, now) = (unit.keys, unit.now);
        match step {
            Step::More if self.busy.no_job && progress.steps == 0 => {
                tx.reset();
                Ok(Outcome::MustWait)
            }
            Step::Finished(reply) if progress.steps == 0 && is_idle(request, &unit) => {
                Ok(Outcome::Unchanged { reply })
            }
            Step::More => {
                progress.steps += 1;
                bulk::write(tx, keys, command, who, request, &progress)?;
                Ok(Outcome::Advanced { progress, draft: unit.flush()? })
            }
            Step::Finished(reply) => {
                if progress.steps > 0 {
                    bulk::clear(tx, keys);
                }
                if progress.ending == Ending::Forward && wanted {
                    let row = ResultRow::encode(command, now, &reply)?;
                    tx.set(&keys.result(command.session), &row);
                }
                Ok(Outcome::Applied { reply, draft: unit.flush()? })
            }
        }
    }

    /// The stored answer, if this very command has been finished before.
    async fn marker(&self, tx: &dyn Transaction) -> Result<Marker, BodyError> {
        if self.progress.ending != Ending::Forward {
            return Ok(Marker::New);
        }
        #[cfg(feature = "mutants")]
        if self.mailbox.context.config.blind_retry {
            return Ok(Marker::New);
        }
        let keys = self.mailbox.keys;
        let key = keys.result(self.command.session);
        let row = tx.get(&key, Isolation::Serializable).await?;
        match ResultRow::answer(row.as_deref(), self.command) {
            Ok(Some(reply)) => Ok(Marker::Answered(reply)),
            Ok(None) => Ok(Marker::New),
            Err(error) if self.progress.steps > 0 && error.kind == Kind::Invalid => {
                Ok(Marker::Past)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a command, which is finished, has found nothing to do and need not be kept. SELECT is
/// to cost no commit where nothing is \Recent. Of other commands even that is kept: one that comes
/// again late, after others of its session, must not find something to do.
fn is_idle(request: &Write, unit: &Unit<'_>) -> bool {
    matches!(request, Write::ClaimRecent(_)) && unit.is_untouched()
}
