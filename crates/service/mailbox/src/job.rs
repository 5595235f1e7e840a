//! A command over many messages, while it is under way, and those that wait for its end.
//!
//! A job goes on by a message that the actor sends to itself: one transaction, then everything that
//! has come meanwhile, then the next. So questions and small changes wait for one chunk at most,
//! and a job for as many messages as the inbox holds. Where the inbox has no room for that message
//! the job takes its turn after a few others.

use crate::actor::{MailboxActor, Message};
use crate::attempt::Busy;
use crate::drive::{Driven, RELOADS_MAX, Task, Written};
use crate::sweep;
use crate::write::bulk::{Ending, Job, Progress};
use base::actor::Reply;
use base::{CommandId, Error, FolderId, Kind, Result};
use contract_mailbox::{Principal, Write, WriteReply};
use std::time::Duration;

/// How many commands wait for a job to end, at most: as many as wait in the inbox.
const WAITING_MAX: usize = 64;

/// How many callers of one command get its answer, at most: it may be sent again meanwhile.
const REPLIES_MAX: usize = 8;

/// After so many other messages a job goes on even if it could not get in line.
const SKIPPED_MAX: u32 = 8;

/// The same for deliveries that wait, without a job.
const SKIPPED_DELIVERIES_MAX: u32 = 32;

/// How long a job waits for room on the disk before it tries again.
const STUCK_PAUSE: Duration = Duration::from_secs(1);

/// A change that somebody has asked for.
pub(crate) struct Call {
    pub(crate) who: Principal,
    pub(crate) command: CommandId,
    pub(crate) request: Write,
    pub(crate) reply: Reply<WriteReply>,
}

/// A job under way.
pub(crate) struct Running {
    job: Job,
    /// Why it is being taken back, if it is.
    refusal: Option<Error>,
    /// Who waits for its answer.
    replies: Vec<Reply<WriteReply>>,
}

impl Running {
    /// A job that was left by the last owner, or after an error.
    pub(crate) fn found(job: Job) -> Self {
        Self { job, refusal: None, replies: Vec::new() }
    }

    fn begun(call: Call, progress: Progress) -> Self {
        let Call { who, command, request, reply } = call;
        let job = Job { command, principal: who, request, progress };
        Self { job, refusal: None, replies: vec![reply] }
    }

    /// Whether it is this command.
    pub(crate) fn is(&self, who: Principal, command: CommandId) -> bool {
        self.job.command == command && self.job.principal == who
    }

    /// The folder that it fills unseen.
    pub(crate) fn hidden(&self) -> Option<FolderId> {
        self.job.progress.hidden.as_ref().map(|hidden| hidden.folder)
    }

    fn join(&mut self, reply: Reply<WriteReply>) {
        self.replies.retain(|reply| !reply.is_abandoned());
        if self.replies.len() < REPLIES_MAX {
            self.replies.push(reply);
        } else {
            reply.send(Err(overloaded("the command was sent too often")));
        }
    }

    /// Goes on from where the store says that it is. What was to be taken back still is.
    fn goes(&mut self, progress: Progress, refusal: Option<Error>) {
        self.job.progress = progress;
        self.refusal = self.refusal.take().or(refusal);
        self.take_back();
    }

    /// There is no room for its next step: if anybody waits, it is taken back.
    fn stuck(&mut self, error: &Error) {
        self.replies.retain(|reply| !reply.is_abandoned());
        if !self.replies.is_empty() {
            self.refusal.get_or_insert_with(|| error.clone());
            self.take_back();
        }
    }

    fn take_back(&mut self) {
        if self.refusal.is_some() && self.job.progress.ending == Ending::Forward {
            self.job.progress.ending = Ending::Undo;
        }
    }

    fn answer(self, result: &Result<WriteReply>) {
        for reply in self.replies {
            reply.send(result.clone());
        }
    }

    /// What its callers are told at its end.
    fn outcome(&self, reply: WriteReply) -> Result<WriteReply> {
        match &self.refusal {
            None => Ok(reply),
            // Everything was put and is seen; only search folders may lack some of it.
            Some(_) if self.job.progress.joining.is_some() => Ok(WriteReply::LookAgain),
            Some(error) => Err(error.clone()),
        }
    }
}

pub(crate) fn overloaded(detail: &str) -> Error {
    Error::new(Kind::Overloaded, "Too much work is waiting").detail(detail)
}

impl MailboxActor {
    /// Takes a change; says whether the mailbox is served elsewhere now.
    pub(crate) async fn on_write(&mut self, call: Call) -> bool {
        let in_turn = self.waiting.is_empty();
        self.take(call, in_turn).await || sweep::is_due(self) && self.sweep().await
    }

    /// Makes a change, or begins it, or lets it wait.
    async fn take(&mut self, call: Call, in_turn: bool) -> bool {
        match self.write(call.who, call.command, &call.request, in_turn).await {
            Ok(Written::Done(reply)) => call.reply.send(Ok(reply)),
            Ok(Written::Begun(progress)) => {
                self.job = Some(Running::begun(call, progress));
            }
            Ok(Written::Joins) => {
                if let Some(job) = &mut self.job {
                    job.join(call.reply);
                }
            }
            Ok(Written::MustWait) => self.wait(call),
            Err(error) => {
                let fenced = error.kind == Kind::Fenced;
                call.reply.send(Err(error));
                return fenced;
            }
        }
        false
    }

    fn wait(&mut self, call: Call) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.retain(|call| !call.reply.is_abandoned());
        }
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(call);
        } else {
            call.reply.send(Err(overloaded("a job is under way and many wait for it")));
        }
    }

    /// Sees to it that what is under way goes on, after each message; says whether the mailbox is
    /// served elsewhere now.
    pub(crate) async fn keep_going(&mut self) -> bool {
        let has_job = self.job.is_some() || !self.waiting.is_empty();
        if self.queued || (!has_job && self.gathered.is_empty()) {
            return false;
        }
        if std::mem::take(&mut self.paused) {
            self.go_on_later();
            return false;
        }
        let skipped_max = match self.inbox.try_cast(Message::Continue) {
            Ok(()) => {
                self.queued = true;
                return false;
            }
            Err(_) if has_job => SKIPPED_MAX,
            // The inbox is full of what may be gathered as well.
            Err(error) if error.kind == Kind::Overloaded => SKIPPED_DELIVERIES_MAX,
            // Nothing new is taken any more: what waits is the last.
            Err(_) => 0,
        };
        self.skipped += 1;
        self.skipped >= skipped_max && self.go_on().await
    }

    /// Sends [`Message::Continue`] after a while.
    fn go_on_later(&mut self) {
        self.queued = true;
        let (inbox, clock) = (self.inbox.clone(), self.context.env.clock.clone());
        tokio::spawn(async move {
            loop {
                clock.sleep(STUCK_PAUSE).await;
                match inbox.try_cast(Message::Continue) {
                    Err(error) if error.kind == Kind::Overloaded => {}
                    // It is on its way, or the actor takes nothing any more.
                    Ok(()) | Err(_) => return,
                }
            }
        });
    }

    /// Makes the deliveries that wait, then the next step of the job, or the next command that
    /// waits.
    pub(crate) async fn go_on(&mut self) -> bool {
        self.skipped = 0;
        if self.deliver().await {
            return true;
        }
        if let Some(job) = self.job.take() {
            return self.go_on_with(job).await;
        }
        while let Some(call) = self.waiting.pop_front() {
            // Who has given up has been told that nothing was done.
            if !call.reply.is_abandoned() {
                return self.take(call, true).await;
            }
        }
        false
    }

    async fn go_on_with(&mut self, mut job: Running) -> bool {
        match self.step_of(&mut job).await {
            Ok(None) => {
                self.doubt.job = false;
                self.job = Some(job);
                false
            }
            Ok(Some(result)) => {
                self.doubt.job = false;
                job.answer(&result);
                sweep::is_due(self) && self.sweep().await
            }
            Err(error) => {
                tracing::warn!(mailbox = %self.account, %error, "a job is interrupted");
                self.doubt.job = true;
                let fenced = error.kind == Kind::Fenced;
                for call in self.waiting.drain(..) {
                    call.reply.send(Err(error.clone()));
                }
                job.answer(&Err(error));
                fenced
            }
        }
    }

    /// One transaction of a job; gives its outcome at the end.
    async fn step_of(&mut self, running: &mut Running) -> Result<Option<Result<WriteReply>>> {
        let owner = self.context.directory.account(self.account).await?;
        for _ in 0..=RELOADS_MAX {
            self.refresh().await?;
            let Job { command, principal, request, progress } = &running.job;
            let task = Task { owner: &owner, who: *principal, command: *command, request };
            match self.step(task, progress, Busy::default()).await? {
                Driven::Done(reply) => return Ok(Some(running.outcome(reply))),
                Driven::Refused(error) => {
                    return Ok(Some(Err(running.refusal.take().unwrap_or(error))));
                }
                Driven::Goes(progress, refusal) => {
                    running.goes(progress, refusal);
                    return Ok(None);
                }
                Driven::Stuck(error) => {
                    tracing::warn!(mailbox = %self.account, %error, "a job waits for room");
                    running.stuck(&error);
                    // What has not begun cannot now, either.
                    for call in self.waiting.drain(..) {
                        call.reply.send(Err(error.clone()));
                    }
                    self.paused = true;
                    return Ok(None);
                }
                Driven::CacheIsOld => self.doubt.stale = true,
                Driven::MustWait => return Err(Error::internal("a job waits for itself")),
            }
        }
        Err(self.overtaken())
    }
}
