//! What happened to a folder, asked once for all who want to know on this node.
//!
//! A change wakes every session that watches the mailbox, and a new owner all that waited for one:
//! hundreds of them then ask the same. One of them asks; those who come meanwhile wait for its end
//! and are asked for together, from the oldest moment among them. So whatever the number of
//! sessions, there is one question of a folder under way at a time.
//!
//! An answer goes only to those who wanted it before it was asked for, so it is as new as one of
//! their own. What the last answer told is remembered for a while: whoever asks from the same
//! moment gets it with what is new since then, for which the owner need not read anything.

mod merge;

use base::env::Clock;
use base::{AccountId, Change, Error, FolderId, Kind, Recent, Result, Timestamp};
use contract_mailbox::{Principal, ViewDelta};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long anybody waits, for those before it too.
const WAIT: Duration = Duration::from_secs(10);

/// How many may wait for one folder: more than there are sessions on a node.
const WAITING_MAX: usize = 100_000;

/// An answer with more steps goes only to those who asked from its very moment, and is not
/// remembered: everybody gets a copy.
const SHARED_STEPS_MAX: usize = 1_000;

/// How long an answer is remembered, in milliseconds.
const REMEMBERED_MS: u64 = 30_000;

/// How many bytes of answers are remembered.
const REMEMBERED_BYTES: usize = 8 << 20;

/// Whose question about which folder. Others see something else, or nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Subject {
    pub(crate) mailbox: AccountId,
    pub(crate) who: Principal,
    pub(crate) folder: FolderId,
}

/// The questions of a node.
pub(crate) struct News {
    /// Those who wait while somebody else is asked for; there is an entry as long as a question is
    /// under way.
    waiting: Mutex<HashMap<Subject, Vec<Waiting>>>,
    remembered: Recent<Subject, Arc<Told>>,
    clock: Arc<dyn Clock>,
}

struct Waiting {
    since: Change,
    reply: oneshot::Sender<Result<ViewDelta>>,
}

/// An answer, and the moment from which it was asked.
struct Told {
    since: Change,
    delta: ViewDelta,
    at: Timestamp,
}

/// A way to ask the owner what happened since a change.
pub(crate) trait Ask: Send + Sync + 'static {
    /// Asks.
    fn ask(&self, since: Change) -> impl Future<Output = Result<ViewDelta>> + Send;
}

impl News {
    /// Nobody asks, and nothing is remembered.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { waiting: Mutex::default(), remembered: Recent::new(REMEMBERED_BYTES), clock }
    }

    /// What happened since a change. It may tell of more: of what happened before it, where others
    /// did not know that.
    ///
    /// # Errors
    /// The owner's; [`Kind::Unavailable`] if there is no answer in time.
    pub(crate) async fn since<A: Ask>(
        self: &Arc<Self>,
        subject: Subject,
        since: Change,
        asks: A,
    ) -> Result<ViewDelta> {
        let Some(answer) = self.enter(subject, since)? else {
            let lead = Lead { news: self.clone(), subject, asks: Some(Arc::new(asks)) };
            return match &lead.asks {
                Some(asks) => self.ask(subject, since, &**asks).await,
                None => Err(Error::internal("nobody to ask")),
            };
        };
        match tokio::time::timeout(WAIT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::unavailable("whoever asked for the news has gone")),
            Err(_) => Err(Error::unavailable("others wait for news of the mailbox already")),
        }
    }

    /// Waits with the others while a question is under way; `None` to whoever has to ask.
    fn enter(
        &self,
        subject: Subject,
        since: Change,
    ) -> Result<Option<oneshot::Receiver<Result<ViewDelta>>>> {
        let mut waiting = self.waiting.lock();
        let Some(others) = waiting.get_mut(&subject) else {
            waiting.insert(subject, Vec::new());
            return Ok(None);
        };
        if others.len() >= WAITING_MAX {
            let text = "Too many want to know what happened";
            return Err(Error::new(Kind::Overloaded, text));
        }
        let (reply, answer) = oneshot::channel();
        others.push(Waiting { since, reply });
        metrics::counter!("rialto_mailbox_news_shared_total").increment(1);
        Ok(Some(answer))
    }

    /// Those who have come by now; `None` ends the turn, as there is nobody.
    fn take(&self, subject: Subject) -> Option<Vec<Waiting>> {
        let mut all = self.waiting.lock();
        let mut batch = std::mem::take(all.get_mut(&subject)?);
        batch.retain(|one| !one.reply.is_closed());
        if batch.is_empty() {
            all.remove(&subject);
            return None;
        }
        Some(batch)
    }

    /// Asks for those who wait, as long as there are any.
    async fn ask_for_others<A: Ask>(self: Arc<Self>, subject: Subject, asks: Arc<A>) {
        let mut lead = Lead { news: self.clone(), subject, asks: Some(asks.clone()) };
        while let Some(batch) = self.take(subject) {
            let oldest = batch.iter().map(|one| one.since).min().unwrap_or_default();
            let answer = self.ask(subject, oldest, &*asks).await;
            let left = hand_out(batch, oldest, answer);
            if let Some(others) = self.waiting.lock().get_mut(&subject) {
                others.extend(left);
            }
        }
        lead.asks = None;
    }

    /// Asks the owner, for what is not remembered.
    async fn ask<A: Ask>(&self, subject: Subject, since: Change, asks: &A) -> Result<ViewDelta> {
        let told = self.remembered.get(&subject).filter(|told| {
            let age_ms = self.clock.now().unix_ms.abs_diff(told.at.unix_ms);
            let tells = told.delta.info.highest_change > told.since;
            told.since == since && tells && age_ms <= REMEMBERED_MS
        });
        if let Some(told) = told {
            let newer = asks.ask(told.delta.info.highest_change).await?;
            if let Some(delta) = merge::both(&told.delta, newer) {
                self.remember(subject, since, &delta);
                return Ok(delta);
            }
            self.remembered.remove(&subject);
        }
        let delta = asks.ask(since).await?;
        self.remember(subject, since, &delta);
        Ok(delta)
    }

    /// Keeps an answer that tells something.
    fn remember(&self, subject: Subject, since: Change, delta: &ViewDelta) {
        let steps = steps(delta);
        if delta.complete && steps > 0 && steps <= SHARED_STEPS_MAX {
            let told = Told { since, delta: delta.clone(), at: self.clock.now() };
            self.remembered.put(subject, Arc::new(told), weight_bytes(delta));
        }
    }
}

fn steps(delta: &ViewDelta) -> usize {
    delta.changed.len() + delta.vanished.len()
}

fn weight_bytes(delta: &ViewDelta) -> usize {
    let name = delta.info.name.len();
    let keywords: usize = delta.keywords.0.iter().map(|name| name.len() + 24).sum();
    size_of::<Told>()
        + keywords
        + name
        + size_of_val(&delta.changed[..])
        + size_of_val(&delta.vanished[..])
}

/// Gives an answer to those whom it serves; those who are left have to be asked for once more.
fn hand_out(batch: Vec<Waiting>, oldest: Change, answer: Result<ViewDelta>) -> Vec<Waiting> {
    let mut left = Vec::new();
    for one in batch {
        let serves = match &answer {
            Ok(delta) => {
                one.since == oldest || (delta.complete && steps(delta) <= SHARED_STEPS_MAX)
            }
            Err(_) => true,
        };
        match serves {
            // Whoever has gone meanwhile needs no answer.
            true => drop(one.reply.send(answer.clone())),
            false => left.push(one),
        }
    }
    left
}

/// Whoever asks. Its end, whatever it is, brings those who wait to their turn.
struct Lead<A: Ask> {
    news: Arc<News>,
    subject: Subject,
    /// `None` once nobody waits.
    asks: Option<Arc<A>>,
}

impl<A: Ask> Drop for Lead<A> {
    fn drop(&mut self) {
        let Some(asks) = self.asks.take() else { return };
        let mut all = self.news.waiting.lock();
        let nobody = all.get(&self.subject).is_none_or(Vec::is_empty);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !nobody => {
                drop(all);
                drop(runtime.spawn(self.news.clone().ask_for_others(self.subject, asks)));
            }
            _ => drop(all.remove(&self.subject)),
        }
    }
}

#[cfg(test)]
mod tests;
