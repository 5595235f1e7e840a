//! The queue of one slot: which messages wait there, and which are being worked on.
//!
//! The actor decides; rounds run beside it, each message at most once at a time, and report back.
//! Everything it knows stands in rows, so it may be unloaded and started anew at any time.

use crate::context::{Claim, Context};
use crate::round::{Left, Work};
use crate::state::State;
use crate::{admin, settle};
use base::actor::{Actor, Context as ActorContext, Inbox, Next, Reply};
use base::{Deadline, Error, Kind, QueueId, Result, Slot, Timestamp};
use codec_mime::ParsedMessage;
use contract_control::Fence;
use contract_store::{Attempt, Body, BodyError, Isolation, RangeRead, Transaction, transact};
use contract_transport::{QueueCall, QueueEntry, QueueHint, rows};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a finished round waits for a place in the actor's inbox. When that does not help the
/// slot is read again at the next wake-up.
const REPORT_TIME: Duration = Duration::from_secs(60);

/// How soon a slot is looked at again after something went wrong with the store, in milliseconds.
const AGAIN_MS: i64 = 1_000;

/// How many entries one transaction reads.
const PAGE: usize = 200;

/// What a queue actor is sent.
pub(crate) enum Message {
    /// A call through the router.
    Call { call: QueueCall, reply: Reply<()> },
    /// A round has ended.
    Ended { queue: QueueId, left: Left },
    /// A round has crashed.
    Crashed { queue: QueueId },
}

/// What a queue actor is started with.
pub(crate) struct Args {
    pub(crate) context: Arc<Context>,
    pub(crate) slot: Slot,
}

/// The queue of one slot.
pub(crate) struct QueueActor {
    pub(crate) context: Arc<Context>,
    pub(crate) slot: Slot,
    pub(crate) fence: Fence,
    inbox: Inbox<Message>,
    pub(crate) messages: BTreeMap<QueueId, Tracked>,
}

/// One message of the slot.
pub(crate) struct Tracked {
    pub(crate) entry: Arc<QueueEntry>,
    parsed: Option<Arc<ParsedMessage>>,
    pub(crate) state: State,
    /// Whether a round is working on it; the state is old then.
    pub(crate) working: bool,
}

impl Actor for QueueActor {
    type Message = Message;
    type Args = Args;
    const NAME: &'static str = "queue";

    async fn start(args: Args, actor: &ActorContext<Message>) -> Result<Self> {
        let Args { context, slot } = args;
        let fence = context.control.fence(slot).await?;
        let messages = BTreeMap::new();
        let mut queue = Self { context, slot, fence, inbox: actor.inbox(), messages };
        queue.read_slot().await?;
        queue.start_due();
        Ok(queue)
    }

    async fn handle(&mut self, message: Message) -> Result<Next> {
        let result = match message {
            Message::Call { call, reply } => {
                let result = self.call(call).await;
                let fenced = matches!(&result, Err(error) if error.kind == Kind::Fenced);
                reply.send(result);
                if fenced { Err(Error::new(Kind::Fenced, "")) } else { Ok(()) }
            }
            Message::Ended { queue, left } => self.ended(queue, left).await,
            Message::Crashed { queue } => self.crashed(queue).await,
        };
        match result {
            Err(error) if error.kind == Kind::Fenced => Ok(Next::Stop),
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
                self.take(hint);
                Ok(())
            }
            QueueCall::Wake => self.read_slot().await,
            QueueCall::Retry(queue) => admin::retry(self, queue).await,
            QueueCall::Suspend(queue) => admin::suspend(self, queue).await,
            QueueCall::Remove { queue, tell_sender } => {
                admin::remove(self, queue, tell_sender).await
            }
        }
    }

    /// Takes a message that has just been accepted, without reading it.
    fn take(&mut self, hint: QueueHint) {
        self.messages.entry(hint.queue).or_insert_with(|| Tracked {
            entry: hint.entry,
            parsed: Some(hint.parsed),
            state: State::default(),
            working: false,
        });
    }

    /// Brings what is known up to what is stored, but for messages that are being worked on.
    async fn read_slot(&mut self) -> Result<()> {
        let mut after = None;
        loop {
            let body = ReadEntries { slot: self.slot, after };
            let (page, last) = transact(&self.context.store, body).await?;
            after = last;
            for (entry, state) in page {
                let known = self.messages.get_mut(&entry.queue);
                match known {
                    Some(tracked) if tracked.working => {}
                    Some(tracked) => tracked.state = state,
                    None => {
                        let entry = Arc::new(entry);
                        let tracked =
                            Tracked { entry: entry.clone(), parsed: None, state, working: false };
                        self.messages.insert(entry.queue, tracked);
                    }
                }
            }
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Starts a round for every message that has something due, and notes the next moment.
    fn start_due(&mut self) {
        let now = self.context.env.clock.now();
        let mut next: Option<Timestamp> = None;
        let mut due = Vec::new();
        for (queue, tracked) in self.messages.iter().filter(|(_, tracked)| !tracked.working) {
            match tracked.state.due() {
                Some(moment) if moment <= now => due.push(*queue),
                Some(moment) => next = Some(next.map_or(moment, |known| known.min(moment))),
                None => {}
            }
        }
        for queue in due {
            self.start_round(queue);
        }
        if let Some(moment) = next {
            self.context.due.wake_at(self.slot, moment);
        }
    }

    fn start_round(&mut self, queue: QueueId) {
        let Some(tracked) = self.messages.get_mut(&queue) else { return };
        let Some(claim) = Claim::take(&self.context, queue) else {
            // A round of an earlier life of this queue is still at it.
            self.look_again();
            return;
        };
        tracked.working = true;
        let work = Work {
            context: self.context.clone(),
            slot: self.slot,
            fence: self.fence,
            entry: tracked.entry.clone(),
            parsed: tracked.parsed.clone(),
            state: tracked.state.clone(),
        };
        let (inbox, rounds) = (self.inbox.clone(), self.context.rounds.clone());
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(place) = rounds.acquire_owned().await else { return };
            let round = tokio::spawn(async move {
                let left = work.run().await;
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

    async fn ended(&mut self, queue: QueueId, left: Left) -> Result<()> {
        match left {
            Left::Nothing => {
                self.messages.remove(&queue);
                Ok(())
            }
            Left::More(state) => {
                if let Some(tracked) = self.messages.get_mut(&queue) {
                    tracked.state = state;
                    tracked.working = false;
                    // It may wait for days: what was found in it is found again when needed.
                    tracked.parsed = None;
                }
                Ok(())
            }
            Left::Unknown(error) => {
                // What is stored may be ahead of what is known: forget it and read again.
                self.messages.remove(&queue);
                Err(error)
            }
        }
    }

    /// Counts a crash; after the second the message is set aside.
    async fn crashed(&mut self, queue: QueueId) -> Result<()> {
        let Some(tracked) = self.messages.get_mut(&queue) else { return Ok(()) };
        tracked.working = false;
        let mut state = tracked.state.clone();
        state.head.crashes += 1;
        let poison = state.is_poison();
        tracing::error!(%queue, crashes = state.head.crashes, poison, "a message crashed its round");
        let entry = tracked.entry.clone();
        let (context, slot, fence) = (&self.context, self.slot, &self.fence);
        let settled = settle::write_down(context, slot, fence, &entry, state, Vec::new()).await?;
        self.settled(queue, settled);
        Ok(())
    }

    /// Takes over what was written down for a message.
    pub(crate) fn settled(&mut self, queue: QueueId, settled: settle::Settled) {
        match settled {
            settle::Settled::Gone => {
                self.messages.remove(&queue);
            }
            settle::Settled::Kept(state) => {
                if let Some(tracked) = self.messages.get_mut(&queue) {
                    tracked.state = state;
                }
            }
            settle::Settled::Elsewhere => {
                self.messages.remove(&queue);
                self.look_again();
            }
        }
    }

    fn look_again(&self) {
        let soon = self.context.env.clock.now().plus_ms(AGAIN_MS);
        self.context.due.wake_at(self.slot, soon);
    }
}

/// Reads a page of a slot's entries with their states.
pub(crate) struct ReadEntries {
    pub(crate) slot: Slot,
    pub(crate) after: Option<QueueId>,
}

/// Entries with their states, in order of acceptance, and the last one looked at; none at the end.
type Entries = (Vec<(QueueEntry, State)>, Option<QueueId>);

impl Body<Entries> for ReadEntries {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Entries, BodyError>> {
        Box::pin(self.read(tx))
    }
}

impl ReadEntries {
    async fn read(&self, tx: &dyn Transaction) -> Result<Entries, BodyError> {
        let mut range = rows::slot_entries(self.slot);
        if let Some(after) = self.after {
            let next = QueueId(after.0.saturating_add(1));
            range.begin = rows::entry_key(self.slot, next);
        }
        let (mut found, mut last) = (Vec::new(), None);
        let mut next = Some(RangeRead::all(&range).limit(PAGE));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            next = read.after(&page);
            for row in &page.rows {
                let Some((slot, queue)) = rows::parse_entry_key(&row.key) else { continue };
                last = Some(queue);
                found.extend(read_message(tx, slot, queue, &row.value).await?);
            }
        }
        Ok((found, last))
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
            tracing::error!(%slot, %queue, %error, "a queued message is damaged and set aside");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
