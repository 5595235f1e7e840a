//! The mailbox actor: the one writer of a mailbox, and the keeper of its cache.
//!
//! Writes run one after another; those over many messages in chunks, with others in between
//! (`job`); deliveries that wait together (`gather`). Questions are answered at once where the cache has the answer; what reads rows runs
//! beside the actor, on the state of its moment.

use crate::authorise;
use crate::cache::Cache;
use crate::context::Context;
use crate::gather::Gathered;
use crate::job::{Call, Running};
use crate::read::Reader;
use crate::retry::Attempts;
use crate::rows::keys::Keys;
use crate::sweep;
use base::actor::{Actor, Context as ActorContext, Inbox, Next, Reply};
use base::{AccountId, CommandId, Kind, Result, Timestamp};
use contract_control::Fence;
use contract_mailbox::{Principal, Read, ReadReply, Write, WriteReply};
use contract_store::{StoreResult, Transaction};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a mailbox actor is sent.
pub(crate) enum Message {
    /// A question, with its number in the order of arrival.
    Read { who: Principal, request: Read, arrival: u64, reply: Reply<ReadReply> },
    /// A change.
    Write { who: Principal, command: CommandId, request: Write, reply: Reply<WriteReply> },
    /// Housekeeping is due.
    Sweep,
    /// What is under way goes on; from the actor to itself.
    Continue,
    /// There is a job that was left behind, see `resume`: to be active is enough.
    Resume,
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
    /// Questions with lower numbers had arrived when the last check that this node owns the slot
    /// began: it was made for them, too.
    confirmed: u64,
    /// What is not known, see [`Doubt`].
    pub(crate) doubt: Doubt,
    /// The command over many messages that is under way.
    pub(crate) job: Option<Running>,
    /// Commands that wait for its end.
    pub(crate) waiting: VecDeque<Call>,
    /// Deliveries that wait to be made together, see `gather`.
    pub(crate) gathered: VecDeque<Gathered>,
    /// Whether [`Message::Continue`] is on its way.
    pub(crate) queued: bool,
    /// Whether the job waits for room on the disk.
    pub(crate) paused: bool,
    /// How many messages were handled while it could not be sent.
    pub(crate) skipped: u32,
    /// Where housekeeping goes on.
    pub(crate) sweep_from: sweep::Place,
    /// Housekeeping that failed is not tried again before.
    sweep_after: Timestamp,
    pub(crate) inbox: Inbox<Message>,
}

/// What an actor must find out before it goes on. See `drive`.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Doubt {
    /// A commit may still land late, or the fence is not the newest any more: it must be renewed,
    /// which shows whether the slot is still this node's, and the cache read again.
    pub(crate) suspect: bool,
    /// Something was committed that the cache may not have: it must be read again.
    pub(crate) stale: bool,
    /// There may be a job to be finished before the next change.
    pub(crate) job: bool,
}

impl Actor for MailboxActor {
    type Message = Message;
    type Args = Args;
    const NAME: &'static str = "mailbox";

    async fn start(args: Args, actor: &ActorContext<Message>) -> Result<Self> {
        let Args { context, account } = args;
        let keys = Keys(account);
        let mut fence = context.control.fence(context.control.slot_of_account(account)).await?;
        let suspect = context.suspects.lock().contains(&account);
        if suspect {
            fence = context.control.renew(fence.slot, &fence).await?;
            context.suspects.lock().remove(&account);
        }
        let cache = crate::activate::load_or_create(&context, &mut fence, account).await?;
        let mut mailbox = Self {
            context,
            account,
            keys,
            fence,
            cache,
            confirmed: 0,
            doubt: Doubt { job: true, ..Doubt::default() },
            job: None,
            waiting: VecDeque::new(),
            gathered: VecDeque::new(),
            queued: false,
            paused: false,
            skipped: 0,
            sweep_from: sweep::Place::default(),
            sweep_after: Timestamp::default(),
            inbox: actor.inbox(),
        };
        if let Err(error) = mailbox.settle().await {
            // A job that cannot be read is no reason not to show the mail.
            tracing::error!(mailbox = %account, %error, "there may be an unfinished job");
        }
        mailbox.keep_going().await;
        if sweep::is_due(&mailbox) {
            // A full inbox means that there is other work; the next change will do.
            let _not_now = mailbox.inbox.try_cast(Message::Sweep);
        }
        metrics::counter!("rialto_mailbox_activations_total").increment(1);
        Ok(mailbox)
    }

    async fn handle(&mut self, message: Message) -> Result<Next> {
        let fenced = match message {
            // Nobody waits for the answer any more; to do it now would surprise its caller, who
            // has been told that it failed.
            Message::Read { reply, .. } if reply.is_abandoned() => false,
            Message::Write { reply, .. } if reply.is_abandoned() => false,
            Message::Read { who, request, arrival, reply } => {
                self.on_read(who, request, arrival, reply).await
            }
            Message::Write {
                who: Principal::Transport,
                request: Write::Deliver(delivery),
                reply,
                ..
            } => self.gather(Gathered { delivery, reply }).await,
            Message::Write { who, command, request, reply } => {
                let fenced = self.deliver().await;
                self.on_write(Call { who, command, request, reply }).await || fenced
            }
            Message::Sweep => self.deliver().await || self.sweep().await,
            Message::Continue => {
                self.queued = false;
                self.go_on().await
            }
            Message::Resume => false,
        };
        let fenced = fenced || self.keep_going().await;
        Ok(if fenced { Next::Stop } else { Next::Continue })
    }
}

fn is_fenced<T>(result: &Result<T>) -> bool {
    matches!(result, Err(error) if error.kind == Kind::Fenced)
}

impl MailboxActor {
    /// Does the housekeeping; says whether the mailbox is served elsewhere now.
    pub(crate) async fn sweep(&mut self) -> bool {
        let now = self.context.env.clock.now();
        // A job comes first; its end brings the housekeeping with it.
        if now < self.sweep_after || self.job.is_some() {
            return false;
        }
        let result = sweep::run(self).await;
        match &result {
            // The next chunk after whatever waits; with a full inbox, after the next change.
            Ok(true) => drop(self.inbox.try_cast(Message::Sweep)),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(mailbox = %self.account, %error, "housekeeping failed; later");
                self.sweep_after = now.plus_ms(sweep::AGAIN_MS);
            }
        }
        is_fenced(&result)
    }

    async fn on_read(
        &mut self,
        who: Principal,
        request: Read,
        arrival: u64,
        reply: Reply<ReadReply>,
    ) -> bool {
        let reader = match self.prepare_read(who, &request, arrival).await {
            Ok(reader) => reader,
            Err(error) => {
                let fenced = error.kind == Kind::Fenced;
                reply.send(Err(error));
                return fenced;
            }
        };
        match reader.at_once(&request) {
            Ok(None) => {}
            Ok(Some(answer)) => {
                reply.send(Ok(answer));
                return false;
            }
            Err(error) => {
                reply.send(Err(error));
                return false;
            }
        }
        // The read version is taken here, between two writes, so that the reader's folders and
        // rows are of one moment.
        let tx = self.context.store.begin();
        if let Err(error) = fix_version(&*tx).await {
            reply.send(Err(error.into()));
            return false;
        }
        let places = match request {
            Read::Search { .. } | Read::Sort { .. } | Read::Threads { .. } => {
                self.context.searches.clone()
            }
            _ => self.context.reads.clone(),
        };
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(_place) = places.acquire_owned().await else { return };
            if !reply.is_abandoned() {
                reply.send(reader.answer(request, tx).await);
            }
        });
        false
    }

    async fn prepare_read(
        &mut self,
        who: Principal,
        request: &Read,
        arrival: u64,
    ) -> Result<Reader> {
        let owner = self.context.directory.account(self.account).await?;
        authorise::open(&owner, who)?;
        if let Err(error) = self.settle().await {
            // A job that cannot be found now does not keep anybody from reading.
            if self.doubt.suspect || self.doubt.stale || error.kind == Kind::Fenced {
                return Err(error);
            }
        }
        if arrival >= self.confirmed {
            let arrived = self.context.arrivals.load(Ordering::SeqCst);
            let confirmed = self.context.control.confirm_reads(&self.fence).await;
            #[cfg(feature = "mutants")]
            let confirmed = self.context.config.overlook(confirmed);
            confirmed?;
            self.confirmed = arrived;
        }
        let reader = Reader::new(self, &owner, who);
        reader.may(request)?;
        Ok(reader)
    }
}

/// Fetches a transaction's read version, with all the tries that a transaction gets.
async fn fix_version(tx: &dyn Transaction) -> StoreResult<()> {
    let mut attempts = Attempts::default();
    while let Err(error) = tx.read_version().await {
        attempts.again(tx, error).await?;
    }
    Ok(())
}
