//! The next hops of one slot: which have something to send, and when each is tried.
//!
//! As with submission queues, the actor decides and runs work beside it, one for each hop at a
//! time. It remembers the hops, not their messages: what waits for a hop that cannot be reached
//! costs nothing until the hop is tried again.

use super::admin;
use super::lane::Steering;
use super::rows::{self, HopRow};
use super::run::{self, Rest, Start, Task};
use crate::context::Context;
use crate::queues::{Args, answer};
use crate::routing::{self, Choice};
use crate::table::Table;
use base::actor::{Actor, Context as ActorContext, Inbox, Next, Reply};
use base::{Deadline, Error, Kind, Result, Slot, Timestamp};
use contract_control::Fence;
use contract_store::{BodyError, Isolation, KeyRange, RangeRead, Transaction, body, transact};
use contract_transport::connector::SendConnector;
use contract_transport::courier::Courier;
use contract_transport::relay::{Hop, RelayCall};
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a run that has ended waits for a place in the actor's inbox.
const REPORT_TIME: Duration = Duration::from_secs(60);

/// How soon a slot is looked at again after something went wrong, in milliseconds; twice as long
/// after each further time, to [`AGAIN_MS_MAX`].
const AGAIN_MS: i64 = 1_000;

/// The longest wait of [`AGAIN_MS`].
const AGAIN_MS_MAX: i64 = 60_000;

/// How soon the rows that announce new messages are tidied up after a hint, in milliseconds.
const TIDY_MS: i64 = 1_000;

/// How many rows one transaction reads of those that announce messages, or whose time has come.
const PAGE: usize = 200;

/// How many hops one transaction that skips from hop to hop finds.
const SKIPS: usize = 256;

/// What a relay actor is sent.
pub(crate) enum Message {
    /// A call through the router.
    Call { call: RelayCall, reply: Reply<()> },
    /// A run has ended.
    Ended { hop: Hop, rest: Result<Rest> },
}

/// The next hops of one slot.
pub(crate) struct RelayActor {
    pub(crate) context: Arc<Context>,
    courier: Arc<dyn Courier>,
    pub(crate) slot: Slot,
    pub(crate) fence: Fence,
    inbox: Inbox<Message>,
    hops: BTreeMap<Hop, Known>,
    /// When the first message that waits on its own is due.
    next_later: Option<Timestamp>,
    /// How often in a row something went wrong.
    errors: u32,
    /// The send connectors by which the hops have been looked at.
    seen: Arc<Table<SendConnector>>,
}

/// What is known of a hop.
#[derive(Default)]
struct Known {
    row: HopRow,
    /// Whether messages may be ready.
    ready: bool,
    run: Option<Arc<Steering>>,
    /// Whether a connector may take now what had none.
    reroutes: bool,
    /// Whether all messages are to be routed anew; an administrator may want that of what is held
    /// back, too.
    resubmits: bool,
    /// Whether to begin at once, whatever comes of the run that is under way.
    hurries: bool,
    /// What that run does.
    task: Option<Task>,
}

impl Known {
    /// When there is something to begin.
    fn due(&self) -> Option<Timestamp> {
        let is_held = self.row.suspended && !self.resubmits;
        let is_free = self.ready && self.run.is_none() && !is_held;
        is_free.then_some(self.row.next_attempt)
    }

    fn hurry(&mut self) {
        self.hurries = true;
        self.row.next_attempt = Timestamp::default();
    }

    fn next_task(&self) -> Task {
        match self {
            Self { resubmits: true, .. } => Task::Resubmit,
            Self { reroutes: true, .. } => Task::Reroute,
            _ => Task::Send,
        }
    }
}

impl Actor for RelayActor {
    type Message = Message;
    type Args = Args;
    const NAME: &'static str = "relay";

    async fn start(args: Args, actor: &ActorContext<Message>) -> Result<Self> {
        let Args { context, slot } = args;
        let Some(courier) = context.courier.clone() else {
            return Err(Error::unavailable("this node sends nothing to other servers"));
        };
        let fence = context.control.fence(slot).await?;
        let (inbox, hops) = (actor.inbox(), BTreeMap::new());
        let seen = context.connectors.table();
        let mut relay =
            Self { context, courier, slot, fence, inbox, hops, next_later: None, errors: 0, seen };
        relay.read_hops().boxed().await?;
        relay.look().boxed().await?;
        relay.note_ways();
        relay.start_due();
        Ok(relay)
    }

    async fn handle(&mut self, message: Message) -> Result<Next> {
        let result = match message {
            Message::Call { call, reply } => answer(reply, self.call(call).await),
            Message::Ended { hop, rest } => self.ended(hop, rest),
        };
        match result {
            Err(error) if error.kind == Kind::Fenced => {
                // If the slot is still this node's (its fence was renewed), the next life goes on.
                self.look_again();
                return Ok(Next::Stop);
            }
            Err(error) => {
                tracing::warn!(slot = %self.slot, %error, "next hops must be looked at again");
                self.look_again();
            }
            Ok(()) => self.start_due(),
        }
        Ok(Next::Continue)
    }
}

impl RelayActor {
    async fn call(&mut self, call: RelayCall) -> Result<()> {
        match call {
            RelayCall::Hint(hops) => {
                for hop in hops {
                    if hop.slot(&*self.context.control) == self.slot {
                        self.note_ready(hop);
                    }
                }
                self.wake_in(TIDY_MS);
                Ok(())
            }
            RelayCall::Wake => {
                self.reroute().boxed().await?;
                self.look().boxed().await
            }
            // Boxed: an actor is as large as the largest thing it may do.
            RelayCall::Message { queue, verb } => admin::message(self, queue, verb).boxed().await,
            RelayCall::Hop { hop, verb } => admin::hop(self, hop, verb).boxed().await,
        }
    }

    /// Messages of a hop may be ready.
    pub(crate) fn note_ready(&mut self, hop: Hop) {
        let is_unreachable = hop.is_unreachable();
        let known = self.hops.entry(hop).or_default();
        known.ready = true;
        // A connector may have come between the decision and the commit that brought it here.
        known.reroutes |= is_unreachable;
        if let Some(run) = &known.run {
            run.tell_more();
        }
    }

    /// Routes all messages of a hop anew, once what is being sent has come to its end.
    pub(crate) fn resubmit(&mut self, hop: Hop) {
        let known = self.hops.entry(hop).or_default();
        (known.ready, known.resubmits) = (true, true);
        known.hurry();
        if let Some(run) = &known.run {
            run.tell_stop();
        }
    }

    /// Looks at the hops once more if the send connectors have changed.
    async fn reroute(&mut self) -> Result<()> {
        let table = self.context.connectors.table();
        if Arc::ptr_eq(&table, &self.seen) {
            return Ok(());
        }
        let lost = |hop: &Hop| !hop.is_unreachable() && !has_way(&table, hop);
        let freed = admin::let_go(self, &lost, true).await?;
        freed.into_iter().for_each(|hop| self.note_ready(hop));
        self.seen = table;
        self.note_ways();
        Ok(())
    }

    /// Has runs look at once at hops that have lost their connector, and at those that may have got
    /// one. What is being transferred by a lost one comes to its end, and nothing more is begun.
    fn note_ways(&mut self) {
        for (hop, known) in &mut self.hops {
            let is_unreachable = hop.is_unreachable();
            if has_way(&self.seen, hop) != is_unreachable {
                continue;
            }
            known.reroutes |= is_unreachable;
            known.hurry();
            if let Some(run) = known.run.as_ref().filter(|_| !is_unreachable) {
                known.ready = true;
                run.tell_stop();
            }
        }
    }

    /// Whether anything is known of a hop.
    pub(crate) fn knows(&self, hop: &Hop) -> bool {
        self.hops.contains_key(hop)
    }

    /// Takes over what has been stored of a hop.
    pub(crate) fn note_row(&mut self, hop: &Hop, row: HopRow) {
        let known = self.hops.entry(hop.clone()).or_default();
        if row.suspended
            && let Some(run) = &known.run
        {
            run.tell_stop();
        }
        known.row = row;
    }

    /// Learns which hops there are; it costs a read for each.
    async fn read_hops(&mut self) -> Result<()> {
        let slot = self.slot;
        let mut rest = Some(rows::slot_range(rows::HOPS, slot));
        while let Some(range) = rest {
            let read = body(range, |range, tx, _| read_rows(tx, range).boxed());
            let (found, next) = transact(&self.context.store, read).await?;
            for (hop, row) in found {
                let known = self.hops.entry(hop).or_default();
                // Where nothing waits any more, a run forgets the row.
                known.ready |= !row.suspended;
                known.row = row;
            }
            rest = next;
        }
        let mut rest = Some(rows::all_ready(slot));
        while let Some(range) = rest {
            let read = body(range, move |range, tx, _| skip_hops(tx, slot, range).boxed());
            let (found, next) = transact(&self.context.store, read).await?;
            found.into_iter().for_each(|hop| self.note_ready(hop));
            rest = next;
        }
        Ok(())
    }

    /// Takes note of new messages, and of those whose time has come.
    async fn look(&mut self) -> Result<()> {
        loop {
            let (slot, fence, now) = (self.slot, self.fence, self.context.env.clock.now());
            let look = body((), move |(), tx, _| look(tx, slot, fence, now).boxed());
            let Looked { hops, next_later, more } = transact(&self.context.store, look).await?;
            hops.into_iter().for_each(|hop| self.note_ready(hop));
            self.next_later = next_later;
            if !more {
                return Ok(());
            }
        }
    }

    /// Starts runs for hops that are due, and notes the next moment.
    fn start_due(&mut self) {
        let now = self.context.env.clock.now();
        if !self.inbox.is_open() {
            // It has been asked to stop. What is due is the next life's business.
            if let Some(moment) = self.next_due() {
                self.context.relay_due.wake_at(self.slot, moment.max(now.plus_ms(AGAIN_MS)));
            }
            return;
        }
        let due = |(hop, known): (&Hop, &Known)| {
            known.due().is_some_and(|due| due <= now).then(|| hop.clone())
        };
        let due: Vec<Hop> = self.hops.iter().filter_map(due).collect();
        due.into_iter().for_each(|hop| self.start_run(hop));
        if let Some(moment) = self.next_due() {
            self.context.relay_due.wake_at(self.slot, moment);
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.hops.values().filter_map(Known::due).chain(self.next_later).min()
    }

    fn start_run(&mut self, hop: Hop) {
        let Some(known) = self.hops.get_mut(&hop) else { return };
        let Some(claim) = HopClaim::take(&self.context, self.slot, &hop) else {
            // A run of an earlier life of this actor is still at it.
            known.row.next_attempt = self.context.env.clock.now().plus_ms(AGAIN_MS);
            return;
        };
        let steering = Arc::new(Steering::default());
        (known.run, known.ready) = (Some(steering.clone()), false);
        let task = known.next_task();
        (known.reroutes, known.hurries, known.task) = (false, false, Some(task));
        let start = Start {
            context: self.context.clone(),
            courier: self.courier.clone(),
            slot: self.slot,
            fence: self.fence,
            hop: hop.clone(),
            row: known.row.clone(),
            steering,
            task,
        };
        let (inbox, context, slot) = (self.inbox.clone(), self.context.clone(), self.slot);
        tokio::spawn(async move {
            let run = tokio::spawn(async move {
                let rest = run::run(start).await;
                drop(claim);
                rest
            });
            let crashed = |error| Err(Error::internal(format!("sending to a next hop: {error}")));
            let mut rest = Some(run.await.unwrap_or_else(crashed));
            while let Some(ended) = rest.take()
                && inbox.is_open()
            {
                let message = Message::Ended { hop: hop.clone(), rest: ended };
                if inbox.cast(message, Deadline::after(REPORT_TIME)).await.is_err() {
                    rest = Some(Err(Error::unavailable("the report of a run was lost")));
                }
            }
            if !inbox.is_open() {
                // An actor that has stopped meanwhile reads everything when it starts again.
                context.relay_due.wake_at(slot, context.env.clock.now().plus_ms(AGAIN_MS));
            }
        });
    }

    fn ended(&mut self, hop: Hop, rest: Result<Rest>) -> Result<()> {
        let now = self.context.env.clock.now();
        let soon = now.plus_ms(self.again_ms());
        let Some(known) = self.hops.get_mut(&hop) else { return Ok(()) };
        let told = known.run.take().is_some_and(|run| run.take_more());
        let task = known.task.take();
        match rest {
            Ok(Rest { row, more, undone }) => {
                self.errors = 0;
                known.resubmits &= undone || task != Some(Task::Resubmit);
                known.reroutes |= undone && task == Some(Task::Reroute);
                // An administrator may have held it back since.
                known.row = HopRow { suspended: known.row.suspended, ..row };
                known.ready |= more || told || known.resubmits;
                if known.hurries {
                    known.row.next_attempt = Timestamp::default();
                }
                let is_over = known.row.next_attempt <= now;
                if !known.ready && known.row.is_plain() && is_over {
                    self.hops.remove(&hop);
                }
                Ok(())
            }
            Err(error) => {
                known.ready = true;
                known.reroutes |= hop.is_unreachable();
                known.row.next_attempt = known.row.next_attempt.max(soon);
                Err(error)
            }
        }
    }

    /// Looks at the slot again in so many milliseconds.
    pub(crate) fn wake_in(&self, wait_ms: i64) {
        let soon = self.context.env.clock.now().plus_ms(wait_ms);
        self.context.relay_due.wake_at(self.slot, soon);
    }

    fn again_ms(&self) -> i64 {
        (AGAIN_MS << self.errors.min(10)).min(AGAIN_MS_MAX)
    }

    fn look_again(&mut self) {
        self.wake_in(self.again_ms());
        self.errors = self.errors.saturating_add(1);
    }
}

impl Drop for RelayActor {
    /// Runs begin nothing new any more; the next life does, here or elsewhere.
    fn drop(&mut self) {
        self.hops.values().flat_map(|known| &known.run).for_each(|run| run.tell_stop());
    }
}

/// Whether a connector takes what is in a hop, or, of what waits for one, small messages at least.
fn has_way(table: &Table<SendConnector>, hop: &Hop) -> bool {
    if hop.is_unreachable() {
        let domain = hop.domain.as_deref().unwrap_or_default();
        return matches!(routing::choose(table.values(), domain, 0), Choice::Connector(_));
    }
    let connector = table.get(&hop.connector).filter(|connector| connector.enabled);
    connector.is_some_and(|connector| run::next_hop(hop, connector).is_some())
}

/// What a look at the slot found.
struct Looked {
    /// Hops with messages that are ready.
    hops: BTreeSet<Hop>,
    /// When the next message that waits on its own is due.
    next_later: Option<Timestamp>,
    /// Whether there is more to be found at once.
    more: bool,
}

/// Takes in what is new, and lets messages whose time has come go with their hops.
async fn look(
    tx: &dyn Transaction,
    slot: Slot,
    fence: Fence,
    now: Timestamp,
) -> Result<Looked, BodyError> {
    fence.check(tx).await?;
    let mut looked = Looked { hops: BTreeSet::new(), next_later: None, more: false };
    let range = rows::slot_range(rows::NEWS, slot);
    let news = tx.get_range(&RangeRead::all(&range).limit(PAGE), Isolation::Snapshot).await?;
    looked.more |= news.more;
    for row in &news.rows {
        tx.clear(&row.key);
        looked.hops.insert(rows::decode_hop(&row.value)?);
    }
    let range = rows::all_later(slot);
    let later = tx.get_range(&RangeRead::all(&range).limit(PAGE), Isolation::Snapshot).await?;
    for row in &later.rows {
        let Some((due, queue)) = rows::parse_later(&row.key) else { continue };
        if due > now {
            looked.next_later = Some(due);
            return Ok(looked);
        }
        // If the message leaves meanwhile, this must not be committed.
        tx.add_read_conflict(&KeyRange::single(&row.key))?;
        let hop = rows::decode_hop(&row.value)?;
        tx.clear(&row.key);
        tx.set(&rows::ready(slot, &hop, queue), b"");
        looked.hops.insert(hop);
    }
    looked.more |= later.more;
    Ok(looked)
}

type HopRows = (Vec<(Hop, HopRow)>, Option<KeyRange>);

async fn read_rows(tx: &dyn Transaction, range: &KeyRange) -> Result<HopRows, BodyError> {
    let page = tx.get_range(&RangeRead::all(range).limit(SKIPS), Isolation::Snapshot).await?;
    let mut found = Vec::with_capacity(page.rows.len());
    for row in &page.rows {
        if let Some(hop) = rows::parse_hop(&row.key) {
            found.push((hop, HopRow::decode(&row.value)?));
        }
    }
    let last = page.rows.last().map(|row| KeyRange::single(&row.key).end);
    let begin = last.unwrap_or_else(|| range.begin.clone());
    Ok((found, page.more.then(|| KeyRange::new(begin, range.end.clone()))))
}

/// Finds hops that have messages, skipping from hop to hop.
async fn skip_hops(
    tx: &dyn Transaction,
    slot: Slot,
    range: &KeyRange,
) -> Result<(Vec<Hop>, Option<KeyRange>), BodyError> {
    let (mut found, mut range) = (Vec::new(), range.clone());
    for _ in 0..SKIPS {
        let page = tx.get_range(&RangeRead::all(&range).limit(1), Isolation::Snapshot).await?;
        match page.rows.first() {
            Some(row) => match rows::parse_ready(&row.key) {
                Some((hop, _)) => {
                    range.begin = rows::ready_of(slot, &hop).end;
                    found.push(hop);
                }
                None => range.begin = KeyRange::single(&row.key).end,
            },
            None if page.more => {}
            None => return Ok((found, None)),
        }
    }
    Ok((found, Some(range)))
}

/// A hop that this process sends to; never two runs at once, whatever life of the actor began them.
pub(crate) struct HopClaim {
    context: Arc<Context>,
    name: (Slot, Hop),
}

impl HopClaim {
    fn take(context: &Arc<Context>, slot: Slot, hop: &Hop) -> Option<Self> {
        let name = (slot, hop.clone());
        let is_free = context.sending.lock().insert(name.clone());
        is_free.then(|| Self { context: context.clone(), name })
    }
}

impl Drop for HopClaim {
    fn drop(&mut self) {
        self.context.sending.lock().remove(&self.name);
        self.context.working.ended();
    }
}
