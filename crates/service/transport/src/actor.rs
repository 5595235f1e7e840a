//! The queue of one slot: which messages wait there, and which are being worked on.
//!
//! The actor decides; rounds run beside it, each message at most once at a time, and report back.
//! Everything it knows stands in rows, so it may be unloaded and started anew at any time; it
//! remembers little more than when each message is due (`messages`).

use crate::context::{Claim, Context};
use crate::messages::{Fresh, Messages};
use crate::queues::{Args, answer};
use crate::round::{Left, Work};
use crate::state::State;
use crate::{admin, settle, settle::Written, tracking};
use base::actor::{Actor, Context as ActorContext, Inbox, Next, Reply};
use base::{Deadline, Error, Kind, QueueId, Result, Slot};
use contract_control::Fence;
use contract_store::{Attempt, Body, BodyError, Isolation, RangeRead, Transaction, transact};
use contract_transport::{QueueCall, QueueEntry, QueueHint, rows};
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use std::sync::Arc;
use std::time::Duration;

/// How long a finished round waits for a place in the actor's inbox. When that does not help the
/// slot is read again at the next wake-up.
const REPORT_TIME: Duration = Duration::from_secs(60);

/// How soon a slot is looked at again after something went wrong with the store, in milliseconds;
/// twice as long after each further time, to [`AGAIN_MS_MAX`].
const AGAIN_MS: i64 = 1_000;

/// How soon a message is looked at again that was found before it was announced, in milliseconds:
/// nearly always its announcement is under way.
const IN_HAND_MS: i64 = 20;

/// The longest wait of [`AGAIN_MS`].
const AGAIN_MS_MAX: i64 = 60_000;

/// Of how many messages one transaction reads the states.
const PAGE: usize = 200;

const DAMAGED: &str = "a queued message is damaged and set aside";

/// What a queue actor is sent.
pub(crate) enum Message {
    /// A call through the router.
    Call { call: QueueCall, reply: Reply<()> },
    /// A round has ended.
    Ended { queue: QueueId, left: Left },
    /// A round has crashed.
    Crashed { queue: QueueId },
}

/// The queue of one slot.
pub(crate) struct QueueActor {
    pub(crate) context: Arc<Context>,
    pub(crate) slot: Slot,
    pub(crate) fence: Fence,
    inbox: Inbox<Message>,
    pub(crate) messages: Messages,
    /// How often in a row something went wrong.
    errors: u32,
}

impl Actor for QueueActor {
    type Message = Message;
    type Args = Args;
    const NAME: &'static str = "queue";

    async fn start(args: Args, actor: &ActorContext<Message>) -> Result<Self> {
        let Args { context, slot } = args;
        let fence = context.control.fence(slot).await?;
        let messages = Messages::counted(context.load.clone());
        let mut queue = Self { context, slot, fence, inbox: actor.inbox(), messages, errors: 0 };
        queue.read_slot().boxed().await?;
        queue.start_due();
        Ok(queue)
    }

    async fn handle(&mut self, message: Message) -> Result<Next> {
        let result = match message {
            Message::Call { call, reply } => answer(reply, self.call(call).await),
            Message::Ended { queue, left } => self.ended(queue, left),
            Message::Crashed { queue } => self.crashed(queue).boxed().await,
        };
        match result {
            Err(error) if error.kind == Kind::Fenced => {
                // If the slot is still this node's (its fence was renewed), the next life goes on.
                self.look_again();
                Ok(Next::Stop)
            }
            Err(error) => {
                tracing::warn!(slot = %self.slot, %error, "a queue must be looked at again");
                self.look_again();
                Ok(Next::Continue)
            }
            Ok(()) => {
                self.start_due();
                Ok(Next::Continue)
            }
        }
    }
}

impl QueueActor {
    async fn call(&mut self, call: QueueCall) -> Result<()> {
        match call {
            QueueCall::Hint(hint) => {
                let QueueHint { queue, entry, parsed } = hint;
                self.messages.hint(queue, Fresh { entry, parsed });
                Ok(())
            }
            QueueCall::Wake => self.read_slot().boxed().await,
            // Boxed, as all that is rare: an actor is as large as the largest thing it may do, and
            // there may be one for each slot.
            QueueCall::Retry(queue) => admin::retry(self, queue).boxed().await,
            QueueCall::Suspend(queue) => admin::suspend(self, queue).boxed().await,
            QueueCall::Remove { queue, tell_sender } => {
                admin::remove(self, queue, tell_sender).boxed().await
            }
            QueueCall::Resume(queue) => admin::resume(self, queue).boxed().await,
        }
    }

    /// Brings what is known up to what is stored, but for messages that are being worked on.
    async fn read_slot(&mut self) -> Result<()> {
        let mut after = None;
        loop {
            let body = ReadStates { slot: self.slot, after };
            let (page, last) = transact(&self.context.store, body).await?;
            after = last;
            for (queue, state) in page {
                self.messages.note(queue, &state);
            }
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Starts rounds for messages that have something due, and notes the next moment.
    fn start_due(&mut self) {
        let now = self.context.env.clock.now();
        if !self.inbox.is_open() {
            // It has been asked to stop. What is due is the next life's business, here if the slot
            // is still this node's.
            let next = self.messages.next_due().map(|moment| moment.max(now.plus_ms(AGAIN_MS)));
            next.into_iter().for_each(|moment| self.context.due.wake_at(self.slot, moment));
            return;
        }
        while let Some((queue, fresh)) = self.messages.begin(now) {
            self.start_round(queue, fresh);
        }
        // What is due and not begun will be when one of the rounds has ended.
        if let Some(moment) = self.messages.next_due().filter(|moment| *moment > now) {
            self.context.due.wake_at(self.slot, moment);
        }
    }

    fn start_round(&mut self, queue: QueueId, fresh: Option<Box<Fresh>>) {
        // What was found and not announced may be taken back yet.
        let is_free = fresh.is_some() || !self.context.in_hand.has(queue);
        let claim = is_free.then(|| Claim::take(&self.context, queue)).flatten();
        let Some(claim) = claim else {
            // Or a round of an earlier life of this queue is still at it.
            let wait_ms = if is_free { AGAIN_MS } else { IN_HAND_MS };
            let soon = self.context.env.clock.now().plus_ms(wait_ms);
            self.messages.rest(queue, Some(soon));
            return;
        };
        let (context, slot, fence) = (self.context.clone(), self.slot, self.fence);
        let (inbox, rounds) = (self.inbox.clone(), self.context.rounds.clone());
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(place) = rounds.acquire_owned().await else { return };
            if !inbox.is_open() {
                // Its queue has ended before the round has begun: the next life goes on.
                let soon = context.env.clock.now().plus_ms(AGAIN_MS);
                return context.due.wake_at(slot, soon);
            }
            let round = tokio::spawn(async move {
                let left = work(context, slot, fence, queue, fresh).await;
                drop(claim);
                left
            });
            let mut ended = Some(round.await.ok());
            drop(place);
            // An actor that has stopped meanwhile reads everything when it starts again; one whose
            // inbox is full must hear of it all the same, or the message would wait for ever.
            while let Some(left) = ended.take()
                && inbox.is_open()
            {
                let message = match left {
                    Some(left) => Message::Ended { queue, left },
                    None => Message::Crashed { queue },
                };
                if inbox.cast(message, Deadline::after(REPORT_TIME)).await.is_err() {
                    let lost = Error::unavailable("the report of a round was lost");
                    ended = Some(Some(Left::Unknown(lost)));
                }
            }
        });
    }

    fn ended(&mut self, queue: QueueId, left: Left) -> Result<()> {
        if !matches!(left, Left::Unknown(_)) {
            self.errors = 0;
        }
        match left {
            Left::Nothing => {
                self.messages.forget(queue);
                Ok(())
            }
            Left::More(state) => {
                self.messages.rest(queue, state.due());
                Ok(())
            }
            Left::Unknown(error) => {
                // What is stored may be ahead of what is known: forget it and read again.
                self.messages.forget(queue);
                Err(error)
            }
        }
    }

    /// Counts a crash; after the second the message is set aside.
    async fn crashed(&mut self, queue: QueueId) -> Result<()> {
        self.messages.forget(queue);
        let (context, slot, fence) = (&self.context, self.slot, &self.fence);
        let Some((entry, mut state)) = load(context, slot, queue).await? else { return Ok(()) };
        state.head.crashes += 1;
        let poison = state.is_poison();
        tracing::error!(%queue, crashes = state.head.crashes, poison, "a message crashed its round");
        let events = vec![tracking::crashed(context, &entry, &state)];
        let what = Written { events, ..Written::state(state) };
        let settled = settle::write_down(context, slot, fence, &entry, what).await?;
        self.settled(queue, settled);
        Ok(())
    }

    /// Takes over what was written down for a message.
    pub(crate) fn settled(&mut self, queue: QueueId, settled: settle::Settled) {
        match settled {
            settle::Settled::Gone => self.messages.forget(queue),
            settle::Settled::Kept(state) => self.messages.rest(queue, state.due()),
            settle::Settled::Elsewhere => {
                self.messages.forget(queue);
                self.look_again();
            }
        }
    }

    fn look_again(&mut self) {
        let wait_ms = (AGAIN_MS << self.errors.min(10)).min(AGAIN_MS_MAX);
        self.errors = self.errors.saturating_add(1);
        let soon = self.context.env.clock.now().plus_ms(wait_ms);
        self.context.due.wake_at(self.slot, soon);
    }
}

/// One round of work on a message that is due.
async fn work(
    context: Arc<Context>,
    slot: Slot,
    fence: Fence,
    queue: QueueId,
    fresh: Option<Box<Fresh>>,
) -> Left {
    let (entry, parsed, state) = match fresh {
        Some(fresh) => (fresh.entry, Some(fresh.parsed), State::default()),
        None => match load(&context, slot, queue).await {
            Ok(Some((entry, state))) => (Arc::new(entry), None, state),
            Ok(None) => return Left::Nothing,
            Err(error) => return Left::Unknown(error),
        },
    };
    let now = context.env.clock.now();
    if state.due().is_none_or(|due| due > now) {
        return Left::More(state);
    }
    Work { context, slot, fence, entry, parsed, state }.run().await
}

/// What is stored of a message; `None` if it has left the queue, or its rows are damaged.
///
/// # Errors
/// The store's.
pub(crate) async fn load(
    context: &Context,
    slot: Slot,
    queue: QueueId,
) -> Result<Option<(QueueEntry, State)>> {
    transact(&context.store, Load { slot, queue }).await
}

struct Load {
    slot: Slot,
    queue: QueueId,
}

impl Body<Option<(QueueEntry, State)>> for Load {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Option<(QueueEntry, State)>, BodyError>> {
        Box::pin(async move {
            let key = rows::entry_key(self.slot, self.queue);
            match tx.get(&key, Isolation::Serializable).await? {
                Some(first) => read_message(tx, self.slot, self.queue, &first).await,
                None => Ok(None),
            }
        })
    }
}

/// Reads the states of a page of a slot's messages.
struct ReadStates {
    slot: Slot,
    after: Option<QueueId>,
}

/// States in order of acceptance, and the last message looked at; none at the end.
type States = (Vec<(QueueId, State)>, Option<QueueId>);

impl Body<States> for ReadStates {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<States, BodyError>> {
        Box::pin(self.read(tx))
    }
}

impl ReadStates {
    async fn read(&self, tx: &dyn Transaction) -> Result<States, BodyError> {
        let mut range = rows::slot_entries(self.slot);
        if let Some(after) = self.after {
            let next = QueueId(after.0.saturating_add(1));
            range.begin = rows::entry_key(self.slot, next);
        }
        let mut queues = Vec::new();
        let mut next = Some(RangeRead::all(&range).limit(PAGE));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            next = read.after(&page);
            let keys = page.rows.iter().map(|row| rows::parse_entry_key(&row.key));
            queues.extend(keys.flatten().map(|(_, queue)| queue));
        }
        let states = queues.iter().map(|queue| self.state(tx, *queue));
        let states = try_join_all(states).await?;
        let last = queues.last().copied();
        let found = queues.into_iter().zip(states);
        Ok((found.filter_map(|(queue, state)| Some((queue, state?))).collect(), last))
    }

    /// A message's state; `None` if it is damaged, which must not keep the others from flowing.
    async fn state(
        &self,
        tx: &dyn Transaction,
        queue: QueueId,
    ) -> Result<Option<State>, BodyError> {
        match State::load(tx, self.slot, queue).await {
            Ok(state) => Ok(Some(state)),
            Err(BodyError::Refused(error)) if error.kind == Kind::Corrupt => {
                tracing::error!(slot = %self.slot, %queue, %error, "{DAMAGED}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// A message with its state; `None` for one whose rows are damaged, which must not keep the others
/// from flowing.
pub(crate) async fn read_message(
    tx: &dyn Transaction,
    slot: Slot,
    queue: QueueId,
    first: &bytes::Bytes,
) -> Result<Option<(QueueEntry, State)>, BodyError> {
    let read = async {
        let entry = rows::read_entry(tx, slot, queue, first).await?;
        Ok((entry, State::load(tx, slot, queue).await?))
    };
    match read.await {
        Ok(message) => Ok(Some(message)),
        Err(BodyError::Refused(error)) if error.kind == Kind::Corrupt => {
            tracing::error!(%slot, %queue, %error, "{DAMAGED}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
