//! A run: everything that a next hop has to get now, over as many connections as it is worth.
//!
//! It begins with one connection, which tells whether the hop can be reached at all. Only then are
//! there more, one for every few messages that wait, up to the connector's limit and the node's.

use super::aging;
use super::lane::{Ended, Shared, Steering, lane, own};
use super::resubmit::{self, Outcome, Why};
use super::rows::{self, HopRow};
use super::schedule;
use super::settle::describe;
use crate::context::Context;
use crate::routing::{self, Choice};
use base::{Error, QueueId, Result, Slot};
use contract_control::Fence;
use contract_store::{Isolation, KeyRange, RangeRead, body, transact};
use contract_transport::connector::{Route, SendConnector};
use contract_transport::courier::{Answer, Courier, Destination, NextHop};
use contract_transport::relay::Hop;
use futures::FutureExt;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinSet;

/// How many waiting messages are looked up at once.
pub(crate) const PAGE: usize = 100;

/// How long a hop waits whose messages have gone back, in milliseconds.
const RESUBMITTED_WAIT_MS: i64 = 2_000;

/// For how many waiting messages there is one connection.
const MESSAGES_PER_LANE: usize = 4;

/// What a run begins with.
pub(crate) struct Start {
    pub(crate) context: Arc<Context>,
    pub(crate) courier: Arc<dyn Courier>,
    pub(crate) slot: Slot,
    pub(crate) fence: Fence,
    pub(crate) hop: Hop,
    pub(crate) row: HopRow,
    pub(crate) steering: Arc<Steering>,
    pub(crate) task: Task,
}

/// What a run is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// Send what waits.
    Send,
    /// For what waits for a connector: look whether there is one by now.
    Reroute,
    /// Route everything anew.
    Resubmit,
}

/// What a run leaves.
#[derive(Debug)]
pub(crate) struct Rest {
    /// What is known of the hop, as stored.
    pub(crate) row: HopRow,
    /// Whether there may be more to send, now or at its time.
    pub(crate) more: bool,
    /// Whether the task was not brought to its end, and is to be begun once more.
    pub(crate) undone: bool,
}

/// Why a run could not go on.
enum Trouble {
    Later(Answer),
    Never(Answer),
}

/// Runs until nothing is left to be sent now, the hop cannot be reached, or it is told to stop.
///
/// # Errors
/// As [`lane`].
pub(crate) async fn run(start: Start) -> Result<Rest> {
    let Start { context, courier, slot, fence, hop, row, steering, task } = start;
    let end = Finish { context: &context, slot, fence: &Mutex::new(fence), hop: &hop };
    if task == Task::Resubmit {
        return end.resubmitted(&row, Why::Asked, &steering).await;
    }
    if hop.is_unreachable() {
        return end.unreachable(&row, task, &steering).await;
    }
    let connector = context.connectors.enabled(&hop.connector).await?;
    let Some((next_hop, connector)) =
        connector.and_then(|connector| Some((next_hop(&hop, &connector)?, connector)))
    else {
        return end.resubmitted(&row, Why::NoConnector, &steering).await;
    };
    let shared = Arc::new(Shared {
        context,
        courier,
        slot,
        fence: Mutex::new(fence),
        hop,
        next_hop,
        connector,
        steering,
        queue: Mutex::default(),
        open: Default::default(),
        was_open: Default::default(),
    });
    let mut run = Run { shared: shared.clone(), lanes: JoinSet::new(), row, cap: usize::MAX };
    let trouble = run.drive().await?;
    let Shared { context, slot, fence, hop, .. } = &*shared;
    let end = Finish { context, slot: *slot, fence, hop };
    match trouble {
        Some(Trouble::Later(answer)) => end.failed(&run.row, &answer).await,
        Some(Trouble::Never(answer)) => end.given_up(run.row, &answer).await,
        None => {
            let more = shared.steering.is_stopping();
            let was_open = shared.was_open.load(Ordering::Acquire);
            if more || was_open || run.row.attempts == 0 {
                return Ok(Rest { row: run.row, more, undone: false });
            }
            // Nothing waits any more, so nothing is remembered.
            let row = end.save(HopRow::default()).await?;
            Ok(Rest { row, more, undone: false })
        }
    }
}

/// The hosts that the connector names at this time; `None` where it has changed its kind, and
/// nobody knows any more which domain was meant.
pub(crate) fn next_hop(hop: &Hop, connector: &SendConnector) -> Option<NextHop> {
    let destination = match (&connector.route, &hop.domain) {
        (Route::SmartHosts(hosts), _) => Destination::SmartHosts(hosts.clone()),
        (Route::MailExchangers, Some(domain)) => Destination::Domain(domain.clone()),
        (Route::MailExchangers, None) => return None,
    };
    let ignores_policies = hop.ignores_policies();
    Some(NextHop { connector: connector.name.clone(), destination, ignores_policies })
}

struct Run {
    shared: Arc<Shared>,
    lanes: JoinSet<Result<Ended>>,
    row: HopRow,
    /// So many connections the hop has let us have.
    cap: usize,
}

impl Run {
    async fn drive(&mut self) -> Result<Option<Trouble>> {
        let (mut looks, mut trouble, mut error) = (true, None, None);
        loop {
            let is_ending = trouble.is_some() || error.is_some() || self.steering().is_stopping();
            if is_ending {
                self.shared.queue.lock().waiting.clear();
            } else {
                looks |= self.steering().take_more();
                if looks && self.shared.queue.lock().waiting.is_empty() {
                    looks = self.fill().await?;
                }
                self.open_lanes().await;
            }
            if self.lanes.is_empty() && (is_ending || !looks) {
                break;
            }
            self.note_success().await?;
            let steering = self.shared.steering.clone();
            let ended = tokio::select! {
                Some(ended) = self.lanes.join_next() => ended,
                () = steering.changed() => continue,
            };
            match ended.unwrap_or_else(|e| Err(Error::internal(format!("a connection: {e}")))) {
                Ok(Ended::Done) => looks |= self.has_left_something(),
                Ok(Ended::Later(answer)) => match self.shared.open.load(Ordering::Acquire) {
                    0 => trouble = trouble.or(Some(Trouble::Later(answer))),
                    open => self.cap = open,
                },
                Ok(Ended::Never(answer)) => trouble = Some(Trouble::Never(answer)),
                Err(failed) => error = Some(failed),
            }
        }
        match error {
            Some(error) => Err(error),
            None => Ok(trouble),
        }
    }

    fn steering(&self) -> &super::lane::Steering {
        &self.shared.steering
    }

    /// Whether messages wait that nobody looks after.
    fn has_left_something(&self) -> bool {
        self.lanes.is_empty() && !self.shared.queue.lock().waiting.is_empty()
    }

    /// Looks up messages that nobody has begun with; answers whether there may be more of them.
    async fn fill(&self) -> Result<bool> {
        let Shared { context, slot, hop, queue, .. } = &*self.shared;
        let limit = PAGE + queue.lock().taken.len();
        let range = rows::ready_of(*slot, hop);
        let (found, more) = ready(context, &range, limit).await?;
        let mut queue = queue.lock();
        let before = queue.taken.len();
        for id in found {
            if queue.taken.insert(id) {
                queue.waiting.push_back(id);
            }
        }
        Ok(more || queue.taken.len() > before)
    }

    /// Opens connections for what waits.
    async fn open_lanes(&mut self) {
        let shared = &self.shared;
        let waiting = shared.queue.lock().waiting.len();
        let shards = u32::from(shared.context.config.hop_shards.max(1));
        let limit = (shared.connector.connections_max / shards).max(1);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(self.cap.max(1));
        let busy = self.lanes.len();
        let wanted = match shared.was_open.load(Ordering::Acquire) {
            false => waiting.min(1),
            true => (busy + waiting).div_ceil(MESSAGES_PER_LANE).max(waiting.min(1)),
        };
        for _ in busy..wanted.min(limit) {
            let places = shared.context.connections.clone();
            let place = match places.clone().try_acquire_owned() {
                Ok(place) => place,
                // The semaphore is never closed.
                Err(_) if self.lanes.is_empty() => match places.acquire_owned().await {
                    Ok(place) => place,
                    Err(_) => return,
                },
                Err(_) => return,
            };
            self.lanes.spawn(lane(shared.clone(), place));
        }
    }

    /// The hop can be reached again.
    async fn note_success(&mut self) -> Result<()> {
        if self.row.attempts == 0 || !self.shared.was_open.load(Ordering::Acquire) {
            return Ok(());
        }
        let Shared { context, slot, fence, hop, .. } = &*self.shared;
        let place = Finish { context, slot: *slot, fence, hop };
        self.row = place.save(HopRow { told: self.row.told, ..HopRow::default() }).await?;
        Ok(())
    }
}

/// The end of a run whose hop is in trouble.
pub(crate) struct Finish<'a> {
    pub(crate) context: &'a Context,
    pub(crate) slot: Slot,
    pub(crate) fence: &'a Mutex<Fence>,
    pub(crate) hop: &'a Hop,
}

impl Finish<'_> {
    /// The hop cannot be reached: all its messages wait, some are told of, some expire.
    async fn failed(&self, row: &HopRow, answer: &Answer) -> Result<Rest> {
        let now = self.context.env.clock.now();
        let before = schedule::attempts_before(row.attempts, row.next_attempt, now);
        let attempts = before.saturating_add(1);
        tracing::info!(hop = %self.hop, attempts, answer = describe(answer), "unreachable");
        metrics::counter!("rialto_transport_hops_unreachable_total").increment(1);
        let expires = schedule::hop_ends_messages(attempts);
        let told = aging::age(self, row.told, answer, expires, now).await?;
        let row = HopRow {
            suspended: row.suspended,
            attempts,
            next_attempt: schedule::next_of_hop(now, attempts),
            last_error: describe(answer),
            told,
        };
        Ok(Rest { row: self.save(row).await?, more: true, undone: false })
    }

    /// The hop will never take anything: all its messages fail.
    async fn given_up(&self, row: HopRow, answer: &Answer) -> Result<Rest> {
        tracing::info!(hop = %self.hop, answer = describe(answer), "never to be reached");
        aging::fail_all(self, answer).await?;
        let row = self.save(HopRow { told: row.told, ..HopRow::default() }).await?;
        Ok(Rest { row, more: false, undone: false })
    }

    /// Everything that waits with the hop goes back to be routed anew.
    async fn resubmitted(&self, row: &HopRow, why: Why<'_>, steering: &Steering) -> Result<Rest> {
        let outcome = resubmit::all(self, why, steering).await?;
        if outcome == Outcome::SomeStay && matches!(why, Why::NoConnector) {
            // They cannot be moved, but they are tried again, and expire.
            let text = "The send connector is gone, and the message could not be routed anew";
            return self.failed(row, &own("4.4.4", text)).await;
        }
        let row = self.save(HopRow { told: row.told, ..HopRow::default() }).await?;
        // A node that has not heard of the change yet may send messages here again: not faster
        // than it hears of it.
        let (more, undone) = (outcome != Outcome::Done, outcome == Outcome::Undone);
        Ok(Rest { row: self.soon(row), more, undone })
    }

    /// A hop whose messages go back waits a little.
    fn soon(&self, row: HopRow) -> HopRow {
        let next_attempt = self.context.env.clock.now().plus_ms(RESUBMITTED_WAIT_MS);
        HopRow { next_attempt, ..row }
    }

    /// No connector takes the hop's messages: those that one takes by now go back to be routed, the
    /// others wait.
    async fn unreachable(&self, row: &HopRow, task: Task, steering: &Steering) -> Result<Rest> {
        let domain = self.hop.domain.as_deref().unwrap_or_default();
        if task == Task::Reroute {
            // What is known here may be out of date, and what comes back would come again.
            let table = self.context.connectors.reload().await?;
            let choice = routing::choose(table.values(), domain, 0);
            if matches!(choice, Choice::Connector(_))
                && let found = resubmit::all(self, Why::Found(&table), steering).await?
                && found == Outcome::Undone
            {
                return Ok(Rest { row: self.soon(row.clone()), more: true, undone: true });
            }
        }
        let (waiting, _) = ready(self.context, &rows::ready_of(self.slot, self.hop), 1).await?;
        if waiting.is_empty() {
            let row = self.save(HopRow { told: row.told, ..HopRow::default() }).await?;
            return Ok(Rest { row, more: false, undone: false });
        }
        let text = format!("There is no send connector that takes this for {domain}");
        self.failed(row, &own("4.4.4", text)).await
    }

    /// Stores what is known of the hop, but for whether it is suspended; gives what is stored.
    ///
    /// # Errors
    /// [`base::Kind::Fenced`]; the store's.
    pub(crate) async fn save(&self, row: HopRow) -> Result<HopRow> {
        let fence = *self.fence.lock();
        let change = |stored: HopRow| HopRow { suspended: stored.suspended, ..row.clone() };
        save(self.context, self.slot, fence, self.hop, change).await
    }
}

/// Changes what is stored of a hop.
///
/// # Errors
/// [`base::Kind::Fenced`]; the store's.
pub(crate) async fn save(
    context: &Context,
    slot: Slot,
    fence: Fence,
    hop: &Hop,
    change: impl Fn(HopRow) -> HopRow + Send + Sync,
) -> Result<HopRow> {
    let key = rows::hop(slot, hop);
    let write = body((key, change), |(key, change), tx, _| {
        async move {
            fence.check(tx).await?;
            let stored = tx.get(key, Isolation::Serializable).await?;
            let stored = stored.as_deref().map(HopRow::decode).transpose()?.unwrap_or_default();
            let row = change(stored);
            match row.is_plain() {
                true => tx.clear(key),
                false => tx.set(key, &row.encode()?),
            }
            Ok(row)
        }
        .boxed()
    });
    transact(&context.store, write).await
}

/// The first messages of a range of `w` rows, and whether there are more.
///
/// # Errors
/// The store's.
pub(crate) async fn ready(
    context: &Context,
    range: &KeyRange,
    limit: usize,
) -> Result<(Vec<QueueId>, bool)> {
    let look = body(range.clone(), |range, tx, _| {
        async move {
            let (mut found, mut next) = (Vec::new(), Some(RangeRead::all(range).limit(limit)));
            while let Some(read) = next {
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                next = read.after(&page);
                let keys = page.rows.iter().filter_map(|row| rows::parse_ready(&row.key));
                found.extend(keys.map(|(_, queue)| queue));
            }
            let more = found.len() >= limit;
            Ok((found, more))
        }
        .boxed()
    });
    transact(&context.store, look).await
}

/// Forgets where a message waits that is there no more, or cannot be read.
///
/// # Errors
/// [`base::Kind::Fenced`]; the store's.
pub(crate) async fn forget(
    context: &Context,
    (slot, fence): (Slot, Fence),
    hop: &Hop,
    queue: QueueId,
) -> Result<()> {
    let key = rows::ready(slot, hop, queue);
    let write = body(key, |key, tx, _| {
        async move {
            fence.check(tx).await?;
            tx.clear(key);
            Ok(())
        }
        .boxed()
    });
    transact(&context.store, write).await
}
