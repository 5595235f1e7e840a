//! The mailbox actor: the one writer of a mailbox, and the keeper of its cache.
//!
//! Writes run one after another. Short reads run between them; long ones (search, bodies'
//! structures, whole items) run beside the actor, on the state of their moment.

use crate::attempt::{Outcome, WriteBody};
use crate::authorise;
use crate::cache::Cache;
use crate::context::Context;
use crate::read::{self, Reader};
use crate::rows::keys::Keys;
use crate::sweep;
use crate::write::bulk::{self, Progress};
use base::actor::{Actor, Context as ActorContext, Next, Reply};
use base::router::Parcel;
use base::{AccountId, Blame, CommandId, Error, Kind, Result};
use contract_control::Fence;
use contract_mailbox::{Principal, Read, ReadReply, Write, WriteReply};
use contract_store::transact;
use contract_transport::{QueueCall, QueueHint};
use std::sync::Arc;

/// How often a command is tried again when the cache turns out to be old. Twice means that
/// somebody else writes under our fence: a bug.
const RELOADS_MAX: u32 = 3;

/// What a mailbox actor is sent.
pub(crate) enum Message {
    /// A question.
    Read { who: Principal, request: Read, reply: Reply<ReadReply> },
    /// A change.
    Write { who: Principal, command: CommandId, request: Write, reply: Reply<WriteReply> },
    /// Housekeeping is due.
    Sweep,
}

/// What a mailbox actor is started with.
pub(crate) struct Args {
    pub(crate) context: Arc<Context>,
    pub(crate) account: AccountId,
}

/// One mailbox.
pub(crate) struct MailboxActor {
    pub(crate) context: Arc<Context>,
    pub(crate) account: AccountId,
    pub(crate) keys: Keys,
    pub(crate) fence: Fence,
    pub(crate) cache: Cache,
    /// An outcome is not known: the fence must be renewed and the cache read again.
    suspect: bool,
}

impl Actor for MailboxActor {
    type Message = Message;
    type Args = Args;
    const NAME: &'static str = "mailbox";

    async fn start(args: Args, actor: &ActorContext<Message>) -> Result<Self> {
        let Args { context, account } = args;
        let keys = Keys(account);
        let fence = context.control.fence(context.control.slot_of_account(account)).await?;
        let cache = crate::activate::load_or_create(&context, &fence, account).await?;
        let mut mailbox = Self { context, account, keys, fence, cache, suspect: false };
        mailbox.finish_job().await?;
        if sweep::is_due(&mailbox) {
            // A full inbox means that there is other work; the next activation will do.
            let _not_now = actor.inbox().try_cast(Message::Sweep);
        }
        metrics::counter!("rialto_mailbox_activations_total").increment(1);
        Ok(mailbox)
    }

    async fn handle(&mut self, message: Message) -> Result<Next> {
        let fenced = match message {
            Message::Read { reply, .. } if reply.is_abandoned() => false,
            Message::Read { who, request, reply } => self.on_read(who, request, reply).await,
            Message::Write { who, command, request, reply } => {
                let result = self.write(who, command, &request).await;
                let fenced = is_fenced(&result);
                reply.send(result);
                fenced
            }
            Message::Sweep => is_fenced(&sweep::run(self).await),
        };
        Ok(if fenced { Next::Stop } else { Next::Continue })
    }
}

fn is_fenced<T>(result: &Result<T>) -> bool {
    matches!(result, Err(error) if error.kind == Kind::Fenced)
}

impl MailboxActor {
    async fn on_read(&mut self, who: Principal, request: Read, reply: Reply<ReadReply>) -> bool {
        let prepared = self.prepare_read(who).await;
        let reader = match prepared {
            Ok(reader) => reader,
            Err(error) => {
                let fenced = error.kind == Kind::Fenced;
                reply.send(Err(error));
                return fenced;
            }
        };
        if !read::is_long(&request) {
            let result = reader.answer(request).await;
            let fenced = is_fenced(&result);
            reply.send(result);
            return fenced;
        }
        // The read version is taken here, between two writes, so that the reader's folders and
        // rows are of one moment.
        let tx = self.context.store.begin();
        if let Err(error) = tx.read_version().await {
            reply.send(Err(error.into()));
            return false;
        }
        let reads = self.context.reads.clone();
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(_place) = reads.acquire_owned().await else { return };
            if !reply.is_abandoned() {
                reply.send(reader.answer_long(request, tx).await);
            }
        });
        false
    }

    async fn prepare_read(&mut self, who: Principal) -> Result<Reader> {
        let owner = self.context.directory.account(self.account).await?;
        authorise::read(&owner, who)?;
        if self.suspect {
            self.recover().await?;
        }
        self.context.control.confirm_reads().await?;
        Ok(Reader::new(self, who))
    }

    /// Runs a command to its end.
    pub(crate) async fn write(
        &mut self,
        who: Principal,
        command: CommandId,
        request: &Write,
    ) -> Result<WriteReply> {
        let owner = self.context.directory.account(self.account).await?;
        authorise::write(&*self.context.directory, &owner, who, request).await?;
        self.drive(who, command, request, Progress::default()).await
    }

    async fn drive(
        &mut self,
        who: Principal,
        command: CommandId,
        request: &Write,
        mut progress: Progress,
    ) -> Result<WriteReply> {
        let owner = self.context.directory.account(self.account).await?;
        let mut reloads = 0;
        loop {
            if self.suspect {
                self.recover().await?;
            }
            let store = &self.context.store;
            let body = WriteBody { mailbox: self, owner: &owner, who, command, request, progress: &progress };
            let outcome = match transact(store, body).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    self.suspect |= error.blame() == Blame::Server && error.kind != Kind::Fenced;
                    return Err(error);
                }
            };
            match outcome {
                Outcome::Applied { reply, draft } => {
                    let change = draft.apply(&mut self.cache);
                    self.context.wakeups.publish(self.account, change);
                    self.after(request);
                    return Ok(reply);
                }
                Outcome::Advanced { progress: next, draft } => {
                    let change = draft.apply(&mut self.cache);
                    self.context.wakeups.publish(self.account, change);
                    progress = next;
                }
                Outcome::Before { reply, cache_is_old } => {
                    if cache_is_old {
                        self.reload().await?;
                    }
                    return Ok(reply);
                }
                Outcome::Elsewhere(stored) => {
                    self.reload().await?;
                    progress = Progress { incomplete: true, ..stored };
                }
                Outcome::CacheIsOld if reloads < RELOADS_MAX => {
                    reloads += 1;
                    self.reload().await?;
                }
                Outcome::CacheIsOld => {
                    return Err(Error::internal("somebody else writes under this fence"));
                }
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

    /// Finishes the bulk command that the last owner left.
    async fn finish_job(&mut self) -> Result<()> {
        let found = transact(&self.context.store, bulk::Load(self.keys)).await?;
        let Some(job) = found else { return Ok(()) };
        tracing::info!(mailbox = %self.account, command = %job.command, "finishing a bulk command");
        self.drive(job.principal, job.command, &job.request, job.progress).await?;
        Ok(())
    }

    /// Reads the cache again after it missed a commit.
    pub(crate) async fn reload(&mut self) -> Result<()> {
        let account = self.account;
        self.cache =
            crate::activate::load_or_create(&self.context, &self.fence, account).await?;
        Ok(())
    }

    /// After an unknown outcome: shuts out a commit that may still land, then reads again.
    async fn recover(&mut self) -> Result<()> {
        let slot = self.fence.slot;
        self.fence = self.context.control.renew(slot, &self.fence).await?;
        self.reload().await?;
        self.suspect = false;
        Ok(())
    }
}
