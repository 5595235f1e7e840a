//! Running a command, whatever the store answers: over reloads, unknown outcomes, and jobs that
//! were left behind.
//!
//! An error never leaves the actor with a wrong picture: what it does not know is noted as a
//! [`Doubt`](crate::actor::Doubt) and found out before the next request ([`MailboxActor::settle`]).
//! A job (see `write::bulk`) that was left is taken up again before the next change, which may
//! have to wait for it: a COPY in progress has put messages where the next new ones would go.
//!
//! A step of a job may be refused for good: the quota was lowered, a row is damaged. Then the job
//! ends: what a COPY has put is taken back, or, where even that is refused, shown as it is. So a
//! job can never keep a mailbox from being activated, but as long as the store is away.
//!
//! A step for which the disk has no room is no step: nothing of it is written. Whoever waits for the
//! job is to be told that it failed, so from then on it is taken back, again and again until there
//! is room for that, and only then is it answered: nobody hears "no" of what is done later. A job
//! for which nobody waits tries to go on instead.

use crate::actor::MailboxActor;
use crate::attempt::{Busy, Outcome, WriteBody};
use crate::authorise;
use crate::job::Running;
use crate::retry::{self, GivenUp};
use crate::write::bulk::{self, Progress};
use base::router::Parcel;
use base::{Change, CommandId, Error, Kind, Result};
use contract_directory::Account;
use contract_mailbox::{Principal, Write, WriteReply};
use contract_transport::{QueueCall, QueueHint};
use std::sync::Arc;

/// How often a command is tried again when the cache turns out to be old, or the fence to have been
/// renewed. An old cache twice means that somebody else writes under our fence: a bug.
pub(crate) const RELOADS_MAX: u32 = 3;

/// A command, and who wants it.
#[derive(Clone, Copy)]
pub(crate) struct Task<'t> {
    pub(crate) owner: &'t Account,
    pub(crate) who: Principal,
    pub(crate) command: CommandId,
    pub(crate) request: &'t Write,
}

/// What became of a change that was asked for.
pub(crate) enum Written {
    /// It is made.
    Done(WriteReply),
    /// It is a job, and its first transaction is committed.
    Begun(Progress),
    /// It is the job that is under way.
    Joins,
    /// It has not begun and cannot before the job under way has ended.
    MustWait,
}

/// How a transaction of a command ended.
pub(crate) enum Driven {
    /// The command is done.
    Done(WriteReply),
    /// It was refused, and has left nothing behind that must not be seen.
    Refused(Error),
    /// It goes on from here; it is being taken back if there is an error.
    Goes(Progress, Option<Error>),
    /// The store has no room for its next step.
    Stuck(Error),
    /// It has not begun and must wait.
    MustWait,
    /// Nothing was done: the cache does not know what is stored, or the fence has been renewed.
    CacheIsOld,
}

/// Whether an error says nothing about the command itself: the same will do at another time.
pub(crate) fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind,
        Kind::Unavailable | Kind::Fenced | Kind::Timeout | Kind::Overloaded | Kind::OutOfSpace
    )
}

impl MailboxActor {
    /// Runs a command to its end, or to the end of its first transaction. `in_turn` says that
    /// nobody has waited longer to begin a job.
    pub(crate) async fn write(
        &mut self,
        who: Principal,
        command: CommandId,
        request: &Write,
        in_turn: bool,
    ) -> Result<Written> {
        let owner = self.context.directory.account(self.account).await?;
        authorise::write(&self.context, &owner, who, request).await?;
        let task = Task { owner: &owner, who, command, request };
        for _ in 0..=RELOADS_MAX {
            self.settle().await?;
            if self.job.as_ref().is_some_and(|job| job.is(who, command)) {
                return Ok(Written::Joins);
            }
            let busy = Busy {
                reserved: self.job.as_ref().and_then(Running::hidden),
                no_job: self.job.is_some() || !in_turn,
            };
            match self.step(task, &Progress::default(), busy).await? {
                Driven::Done(reply) => return Ok(Written::Done(reply)),
                Driven::Refused(error) | Driven::Stuck(error) => return Err(error),
                Driven::Goes(progress, _) => return Ok(Written::Begun(progress)),
                Driven::MustWait => return Ok(Written::MustWait),
                Driven::CacheIsOld => self.doubt.stale = true,
            }
        }
        Err(self.overtaken())
    }

    /// Finds out what is in doubt, and takes up the job that was left.
    ///
    /// # Errors
    /// Passing ones; the doubt stays.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        self.refresh().await?;
        if self.doubt.job && self.job.is_none() {
            let load = bulk::Load(self.keys);
            if let Some(job) = contract_store::transact(&self.context.store, load).await? {
                tracing::info!(mailbox = %self.account, command = %job.command, "finishing a job");
                self.job = Some(Running::found(job));
            }
        }
        self.doubt.job = false;
        Ok(())
    }

    /// Shuts out a commit that may still land, or takes over the fence that somebody else of the
    /// slot has renewed, and reads the cache again.
    ///
    /// # Errors
    /// Passing ones; the doubt stays. [`Kind::Fenced`] if the slot is another's now.
    pub(crate) async fn refresh(&mut self) -> Result<()> {
        if self.doubt.suspect {
            let slot = self.fence.slot;
            self.fence = self.context.control.renew(slot, &self.fence).await?;
            self.doubt.suspect = false;
            self.doubt.stale = true;
            self.context.suspects.lock().remove(&self.account);
        }
        if self.doubt.stale {
            self.reload().await?;
        }
        Ok(())
    }

    /// Reads the cache again after it missed a commit, and wakes those who wait for news.
    async fn reload(&mut self) -> Result<()> {
        self.doubt.stale = true;
        self.doubt.job = true;
        let account = self.account;
        let fence = &mut self.fence;
        self.cache = crate::activate::load_or_create(&self.context, fence, account).await?;
        self.doubt.stale = false;
        let newest = Change(self.cache.summary.next_change.saturating_sub(1));
        self.context.wakeups.publish(account, newest);
        Ok(())
    }

    /// Runs one transaction of a command from where it is.
    pub(crate) async fn step(
        &mut self,
        task: Task<'_>,
        progress: &Progress,
        busy: Busy,
    ) -> Result<Driven> {
        let Task { owner, who, command, request } = task;
        let body = WriteBody { mailbox: self, owner, who, command, request, progress, busy };
        match retry::transact(&self.context.store, body).await {
            Ok(Outcome::Applied { reply, draft }) => {
                let change = draft.apply(&mut self.cache);
                self.context.wakeups.publish(self.account, change);
                self.after(request);
                Ok(Driven::Done(reply))
            }
            Ok(Outcome::Unchanged { reply }) => Ok(Driven::Done(reply)),
            Ok(Outcome::Advanced { progress, draft }) => {
                let change = draft.apply(&mut self.cache);
                self.context.wakeups.publish(self.account, change);
                Ok(Driven::Goes(progress, None))
            }
            Ok(Outcome::Before { reply, cache_is_old }) => {
                if cache_is_old {
                    self.after(request);
                    // It is done whether or not the cache can be read now.
                    self.doubt.stale = true;
                    let _later = self.reload().await;
                }
                Ok(Driven::Done(reply))
            }
            Ok(Outcome::Elsewhere(stored)) => {
                self.reload().await?;
                Ok(Driven::Goes(Progress { incomplete: true, ..stored }, None))
            }
            Ok(Outcome::Ended) => {
                self.reload().await?;
                Ok(Driven::Refused(Error::internal("a job has gone")))
            }
            Ok(Outcome::MustWait) => Ok(Driven::MustWait),
            Ok(Outcome::CacheIsOld) => Ok(Driven::CacheIsOld),
            Err(given_up) => self.failed(given_up, progress),
        }
    }

    /// What becomes of a command after an error: a passing one is given back, and what it leaves
    /// in doubt noted; after any other, a job goes over to its ending.
    fn failed(&mut self, given_up: GivenUp, progress: &Progress) -> Result<Driven> {
        let error = self.doubt(given_up);
        if error.kind == Kind::Fenced {
            return Ok(Driven::CacheIsOld);
        }
        if error.kind == Kind::OutOfSpace && progress.steps > 0 {
            return Ok(Driven::Stuck(error));
        }
        if is_passing(&error) {
            return Err(error);
        }
        if progress.steps == 0 {
            return Ok(Driven::Refused(error));
        }
        tracing::error!(mailbox = %self.account, %error, ending = ?progress.ending, "a job ends");
        match progress.ending.next() {
            Some(ending) => Ok(Driven::Goes(Progress { ending, ..progress.clone() }, Some(error))),
            None => Err(error),
        }
    }

    /// Notes what a transaction has left in doubt; gives the reason why it was given up.
    ///
    /// A slot has many mailboxes, queues too, and one fence, which each of them renews when it must.
    /// So being fenced need not mean that the slot is another's: [`MailboxActor::refresh`] will
    /// tell.
    pub(crate) fn doubt(&mut self, given_up: GivenUp) -> Error {
        let GivenUp { error, unknown, late } = given_up;
        if late {
            self.context.suspects.lock().insert(self.account);
        }
        self.doubt.suspect |= late || error.kind == Kind::Fenced;
        self.doubt.stale |= unknown;
        error
    }

    /// What is said after [`RELOADS_MAX`].
    pub(crate) fn overtaken(&self) -> Error {
        match self.doubt.suspect {
            true => Error::unavailable("the fence is renewed again and again"),
            false => Error::internal("somebody else writes under this fence"),
        }
    }

    /// What follows a commit without being part of it.
    fn after(&self, request: &Write) {
        if let Write::Submit(outgoing) = request {
            let submission = &outgoing.submission;
            let entry = contract_transport::QueueEntry {
                queue: submission.queue,
                envelope: submission.envelope.clone(),
                content: submission.content.clone(),
                accepted: self.context.env.clock.now(),
            };
            let hint = QueueHint {
                queue: submission.queue,
                entry: Arc::new(entry),
                parsed: submission.parsed.clone(),
            };
            let target = crate::queue_target(&*self.context.control, submission.queue);
            self.context.router.hint(target, Parcel::typed(QueueCall::Hint(hint)));
        }
    }
}
