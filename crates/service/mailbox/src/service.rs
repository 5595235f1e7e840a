//! The service's two ends: the contract that callers use, and the host that serves them.

use crate::actor::{Args, MailboxActor, Message};
use crate::context::{Config, Context};
use crate::guests;
use crate::handover::Handover;
use crate::news::{Ask, News, Subject};
use crate::purge;
use crate::resume::{self, Resume};
use crate::wakeups::{WakeupHost, Wakeups};
use async_trait::async_trait;
use base::actor::{Population, PopulationOptions};
use base::deadline::Deadline;
use base::env::Env;
use base::router::{Host, LocalRouter, Parcel, Router, ServiceId, Target};
use base::{AccountId, Change, CommandId, Error, Result, Slot};
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::Directory;
use contract_mailbox::{Mailboxes, Principal, Read, ReadReply, ViewDelta, Write, WriteReply};
use contract_store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// How long a request may take, waiting included, before its caller is told to try later.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// How long a request may take that concerns any number of messages.
const LONG_REQUEST_TIME: Duration = Duration::from_secs(300);

/// How long actors of slots that are another node's may take to end. They can do nothing but find
/// that out.
const LOST_TIME: Duration = Duration::from_secs(60);

/// The most messages in a mailbox actor's inbox.
const INBOX_CAPACITY: usize = 64;

/// How many damaged messages are remembered as logged.
const DAMAGED_MAX: usize = 10_000;

/// What the service stands on.
pub struct Parts {
    /// The outside world.
    pub env: Env,
    /// Where mailboxes are stored.
    pub store: Arc<dyn Store>,
    /// Where bodies are stored.
    pub blobs: Arc<dyn Blobs>,
    /// Who owns what.
    pub control: Arc<dyn Control>,
    /// Who is who.
    pub directory: Arc<dyn Directory>,
    /// The way to other actors.
    pub router: Arc<dyn Router>,
}

/// A request on its way to a mailbox's owner.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    Read {
        who: Principal,
        request: Read,
    },
    Write {
        who: Principal,
        command: CommandId,
        request: Write,
    },
    /// A hint: the slot's last owner had these active. From feature level 2 on.
    Warm {
        accounts: Vec<AccountId>,
    },
}

/// An answer on its way back.
#[derive(Serialize, Deserialize)]
enum Answer {
    Read(ReadReply),
    Write(WriteReply),
}

/// Access to mailboxes, wherever they are. Cheap to share behind an `Arc`.
pub struct MailboxService {
    context: Arc<Context>,
    news: Arc<News>,
    population: Population<AccountId, MailboxActor>,
}

/// Starts serving this node's mailboxes: registers their host with `local`, through which the
/// router finds it. Gives the service for callers on this node.
pub fn start(config: Config, parts: Parts, local: &LocalRouter) -> Arc<MailboxService> {
    let Parts { env, store, blobs, control, directory, router } = parts;
    let reads = Arc::new(Semaphore::new(config.reads_at_once));
    let searches = Arc::new(Semaphore::new(config.searches_at_once));
    let wakeups = Wakeups::start(env.clone(), store.clone(), control.clone(), router.clone());
    local.register(ServiceId::WAKEUPS, Arc::new(WakeupHost(wakeups.clone())));
    let context = Arc::new(Context {
        config,
        env,
        store,
        blobs,
        control,
        directory,
        router,
        wakeups,
        metas: crate::read::Metas::default(),
        arrivals: AtomicU64::new(0),
        damaged: base::Recent::new(DAMAGED_MAX),
        reads,
        searches,
        suspects: parking_lot::Mutex::default(),
    });
    let options = PopulationOptions {
        inbox_capacity: INBOX_CAPACITY,
        idle: config.idle,
        actors_max: config.active_max,
    };
    let args = {
        let context = context.clone();
        move |account: &AccountId| Args { context: context.clone(), account: *account }
    };
    let slot_of = {
        let control = context.control.clone();
        move |account: &AccountId| control.slot_of_account(*account)
    };
    let population = Population::new(options, args, slot_of);
    let resume = resume::start(context.clone(), population.clone());
    let handover = Handover::new(context.clone(), population.clone());
    let host = {
        let (context, population) = (context.clone(), population.clone());
        MailboxHost { context, population, resume, handover }
    };
    local.register(ServiceId::MAILBOX, Arc::new(host));
    let news = Arc::new(News::new(context.env.clock.clone()));
    Arc::new(MailboxService { context, news, population })
}

impl MailboxService {
    /// How many mailboxes are active on this node.
    pub fn active(&self) -> usize {
        self.population.count()
    }

    /// Asks all mailbox actors to stop, and waits until they have.
    ///
    /// # Errors
    /// [`base::Kind::Timeout`] if some have not by the deadline.
    pub async fn stop(&self, deadline: Deadline) -> Result<()> {
        self.population.stop_all(deadline).await
    }

    async fn ask(&self, mailbox: AccountId, request: Request, time: Duration) -> Result<Answer> {
        ask(&self.context, mailbox, request, time).await
    }
}

/// Asks the owner of a mailbox.
async fn ask(
    context: &Context,
    mailbox: AccountId,
    request: Request,
    time: Duration,
) -> Result<Answer> {
    let slot = context.control.slot_of_account(mailbox);
    let key = u128::from(mailbox.0);
    let target = Target { service: ServiceId::MAILBOX, key, slot };
    context.router.ask(target, request, Deadline::after(time)).await
}

/// The way to a folder's owner, for [`News`].
struct AskOwner {
    context: Arc<Context>,
    subject: Subject,
}

impl Ask for AskOwner {
    async fn ask(&self, since: Change) -> Result<ViewDelta> {
        let Subject { mailbox, who, folder } = self.subject;
        let request = Request::Read { who, request: Read::Delta { folder, since } };
        match ask(&self.context, mailbox, request, REQUEST_TIME).await? {
            Answer::Read(ReadReply::Delta(delta)) => Ok(*delta),
            _ => Err(Error::internal("a question for news was answered with something else")),
        }
    }
}

#[async_trait]
impl Mailboxes for MailboxService {
    async fn read(&self, mailbox: AccountId, who: Principal, request: Read) -> Result<ReadReply> {
        if request.level() > self.feature_level() {
            return Err(not_yet());
        }
        let time = match request {
            Read::Delta { folder, since } => {
                let subject = Subject { mailbox, who, folder };
                let asks = AskOwner { context: self.context.clone(), subject };
                let delta = self.news.since(subject, since, asks).await?;
                return Ok(ReadReply::Delta(Box::new(delta)));
            }
            Read::Search { .. } | Read::Sort { .. } | Read::Threads { .. } => LONG_REQUEST_TIME,
            _ => REQUEST_TIME,
        };
        match self.ask(mailbox, Request::Read { who, request }, time).await? {
            Answer::Read(reply) => Ok(reply),
            Answer::Write(_) => Err(Error::internal("a read was answered as a write")),
        }
    }

    async fn write(
        &self,
        mailbox: AccountId,
        who: Principal,
        command: CommandId,
        request: Write,
    ) -> Result<WriteReply> {
        if request.level() > self.feature_level() {
            return Err(not_yet());
        }
        let time = match request {
            Write::Store { .. }
            | Write::Copy { .. }
            | Write::Move { .. }
            | Write::Expunge { .. }
            | Write::RenameFolder { .. }
            | Write::DeleteFolder(_)
            | Write::SetRead { .. }
            | Write::DeleteItems { .. }
            | Write::CreateSearchFolder { .. }
            | Write::Purge => LONG_REQUEST_TIME,
            _ => REQUEST_TIME,
        };
        match self.ask(mailbox, Request::Write { who, command, request }, time).await? {
            Answer::Write(reply) => Ok(reply),
            Answer::Read(_) => Err(Error::internal("a write was answered as a read")),
        }
    }

    fn watch(&self, mailbox: AccountId) -> watch::Receiver<Change> {
        self.context.wakeups.watch(mailbox)
    }

    async fn shared_with(&self, guest: AccountId, limit: usize) -> Result<Vec<AccountId>> {
        guests::owners(&self.context, guest, limit).await
    }

    fn feature_level(&self) -> u32 {
        self.context.control.feature_level()
    }
}

/// The answer to what other nodes do not understand yet.
fn not_yet() -> Error {
    Error::unavailable("This has to wait until the upgrade of the cluster is complete")
}

/// Serves the mailboxes that this node owns.
struct MailboxHost {
    context: Arc<Context>,
    population: Population<AccountId, MailboxActor>,
    /// Looks for jobs that were left behind.
    resume: Resume,
    handover: Handover,
}

#[async_trait]
impl Host for MailboxHost {
    async fn handle(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        let account = u64::try_from(target.key)
            .map(AccountId)
            .map_err(|_| Error::internal(format!("{target} is no mailbox")))?;
        let answer = match request.open()? {
            Request::Read { who, request } => {
                let arrival = self.context.arrivals.fetch_add(1, Ordering::SeqCst);
                let message = |reply| Message::Read { who, request, arrival, reply };
                Answer::Read(self.population.call(&account, message, deadline).await?)
            }
            // The account is gone, and with it what an actor is started from.
            Request::Write { who, request: Write::Purge, .. } => {
                purge::run(&self.context, account, who).await?;
                Answer::Write(WriteReply::Done)
            }
            Request::Write { who, command, request } => {
                let message = |reply| Message::Write { who, command, request, reply };
                Answer::Write(self.population.call(&account, message, deadline).await?)
            }
            Request::Warm { accounts } => {
                self.handover.welcome(target.slot, &accounts);
                Answer::Write(WriteReply::Done)
            }
        };
        Ok(Parcel::typed(answer))
    }

    /// Jobs that were left behind go on, whether or not anybody asks for their mailboxes.
    fn gained(&self, slots: &[Slot]) {
        self.handover.gained(slots);
        self.population.welcome_slots(slots);
        self.resume.look();
    }

    /// Whatever they would still do is refused by the store; they only take room.
    fn lost(&self, slots: &[Slot]) {
        self.handover.lost(slots);
        let (slots, population) = (slots.to_vec(), self.population.clone());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = population.stop_slots(&slots, Deadline::after(LOST_TIME)).await {
                tracing::warn!(%error, "mailboxes that are served elsewhere by now are still active");
            }
        });
    }

    /// A job that is under way stops between two of its transactions; its rows say how far it is,
    /// and whoever asks for it again joins it at the next owner.
    async fn release(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        self.handover.release(slot, deadline).await
    }
}
