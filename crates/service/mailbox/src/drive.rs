//! Running a command to its end, whatever the store answers: over reloads, unknown outcomes, and
//! jobs that were left behind.
//!
//! An error never leaves the actor with a wrong picture: what it does not know is noted as a
//! [`Doubt`](crate::actor::Doubt) and found out before the next request ([`MailboxActor::settle`]).
//! A job (see `write::bulk`) is always finished before anything else changes the mailbox, because
//! a COPY in progress has put messages where the next new ones would go.
//!
//! A step of a job may be refused for good: the quota was lowered, a row is damaged. Then the job
//! ends: what a COPY has put is taken back, or, where even that is refused, shown as it is. So a
//! job can never keep a mailbox from being activated, but as long as the store is away.

use crate::actor::MailboxActor;
use crate::attempt::{Outcome, WriteBody};
use crate::authorise;
use crate::write::bulk::{self, Progress};
use base::router::Parcel;
use base::{Blame, Change, CommandId, Error, Kind, Result};
use contract_directory::Account;
use contract_mailbox::{Principal, Write, WriteReply};
use contract_store::transact;
use contract_transport::{QueueCall, QueueHint};
use std::sync::Arc;

/// How often a command is tried again when the cache turns out to be old. Twice means that
/// somebody else writes under our fence: a bug.
const RELOADS_MAX: u32 = 3;

/// A command, and who wants it.
#[derive(Clone, Copy)]
struct Task<'t> {
    owner: &'t Account,
    who: Principal,
    command: CommandId,
    request: &'t Write,
}

/// How driving a command ended.
enum Driven {
    /// It is done.
    Done(WriteReply),
    /// It was refused, and has left nothing behind that must not be seen.
    Refused(Error),
    /// It has not begun: the cache does not know what is stored.
    CacheIsOld,
}

/// Whether an error says nothing about the command itself: the same will do at another time.
fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind,
        Kind::Unavailable | Kind::Fenced | Kind::Timeout | Kind::Overloaded | Kind::OutOfSpace
    )
}

impl MailboxActor {
    /// Runs a command to its end.
    pub(crate) async fn write(
        &mut self,
        who: Principal,
        command: CommandId,
        request: &Write,
    ) -> Result<WriteReply> {
        let owner = self.context.directory.account(self.account).await?;
        authorise::write(&*self.context.directory, &owner, who, request).await?;
        let task = Task { owner: &owner, who, command, request };
        for _ in 0..=RELOADS_MAX {
            self.settle().await?;
            match self.drive(task, Progress::default()).await? {
                Driven::Done(reply) => return Ok(reply),
                Driven::Refused(error) => return Err(error),
                Driven::CacheIsOld => self.doubt.stale = true,
            }
        }
        Err(Error::internal("somebody else writes under this fence"))
    }

    /// Finds out what is in doubt: shuts out a commit that may still land, reads the cache again,
    /// finishes the job that waits.
    ///
    /// # Errors
    /// Passing ones; the doubt stays.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        for _ in 0..=RELOADS_MAX {
            if self.doubt.suspect {
                let slot = self.fence.slot;
                self.fence = self.context.control.renew(slot, &self.fence).await?;
                self.doubt.suspect = false;
                self.doubt.stale = true;
            }
            if self.doubt.stale {
                self.reload().await?;
            }
            if !self.doubt.job {
                return Ok(());
            }
            self.finish_job().await?;
        }
        Err(Error::internal("somebody else writes under this fence"))
    }

    /// Reads the cache again after it missed a commit, and wakes those who wait for news.
    async fn reload(&mut self) -> Result<()> {
        self.doubt.stale = true;
        self.doubt.job = true;
        let account = self.account;
        self.cache = crate::activate::load_or_create(&self.context, &self.fence, account).await?;
        self.doubt.stale = false;
        let newest = Change(self.cache.summary.next_change.saturating_sub(1));
        self.context.wakeups.publish(account, newest);
        Ok(())
    }

    /// Finishes the bulk command that was left, by the last owner or after an error.
    async fn finish_job(&mut self) -> Result<()> {
        if let Some(job) = transact(&self.context.store, bulk::Load(self.keys)).await? {
            tracing::info!(mailbox = %self.account, command = %job.command, "finishing a job");
            let owner = self.context.directory.account(self.account).await?;
            let (who, command) = (job.principal, job.command);
            let task = Task { owner: &owner, who, command, request: &job.request };
            match self.drive(task, job.progress).await? {
                Driven::Done(_) | Driven::Refused(_) => {}
                Driven::CacheIsOld => {
                    self.doubt.stale = true;
                    return Ok(());
                }
            }
        }
        self.doubt.job = false;
        Ok(())
    }

    /// Runs a command from where it is, one transaction after another.
    async fn drive(&mut self, task: Task<'_>, mut progress: Progress) -> Result<Driven> {
        let Task { owner, who, command, request } = task;
        let mut refusal = None;
        loop {
            let body =
                WriteBody { mailbox: self, owner, who, command, request, progress: &progress };
            match transact(&self.context.store, body).await {
                Ok(Outcome::Applied { reply, draft }) => {
                    let change = draft.apply(&mut self.cache);
                    self.context.wakeups.publish(self.account, change);
                    self.after(request);
                    return Ok(refusal.map_or(Driven::Done(reply), Driven::Refused));
                }
                Ok(Outcome::Advanced { progress: next, draft }) => {
                    let change = draft.apply(&mut self.cache);
                    self.context.wakeups.publish(self.account, change);
                    progress = next;
                }
                Ok(Outcome::Before { reply, cache_is_old }) => {
                    if cache_is_old {
                        self.after(request);
                        // It is done whether or not the cache can be read now.
                        self.doubt.stale = true;
                        let _later = self.reload().await;
                    }
                    return Ok(Driven::Done(reply));
                }
                Ok(Outcome::Elsewhere(stored)) => {
                    self.reload().await?;
                    progress = Progress { incomplete: true, ..stored };
                }
                Ok(Outcome::Ended) => {
                    self.reload().await?;
                    let error = refusal.unwrap_or_else(|| Error::internal("a job has gone"));
                    return Ok(Driven::Refused(error));
                }
                Ok(Outcome::CacheIsOld) => return Ok(Driven::CacheIsOld),
                Err(error) => {
                    let error = self.failed(error, &mut progress)?;
                    if progress.steps == 0 {
                        return Ok(Driven::Refused(error));
                    }
                    refusal.get_or_insert(error);
                }
            }
        }
    }

    /// What becomes of a command after an error: a passing one is given back, and what it leaves
    /// in doubt noted; after any other, a job goes over to its ending.
    fn failed(&mut self, error: Error, progress: &mut Progress) -> Result<Error> {
        let unknown = error.blame() == Blame::Server && error.kind != Kind::Fenced;
        if is_passing(&error) {
            self.doubt.suspect |= unknown;
            self.doubt.job |= progress.steps > 0;
            return Err(error);
        }
        if progress.steps == 0 {
            self.doubt.suspect |= unknown;
            return Ok(error);
        }
        tracing::error!(mailbox = %self.account, %error, ending = ?progress.ending, "a job ends");
        match progress.ending.next() {
            Some(ending) => {
                progress.ending = ending;
                Ok(error)
            }
            None => {
                self.doubt.suspect = true;
                Err(error)
            }
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
