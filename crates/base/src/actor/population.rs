//! One actor for each key that is in use: mailboxes by account, queues by slot.
//!
//! A key costs nothing until somebody sends to it; then its actor is started once, and everybody
//! who sends meanwhile waits for that start. An actor that has had nothing to do for a while, or
//! is the least recently used when a newcomer finds no place, is asked to stop: it handles what it
//! has taken, writes what it must, and only then may a new actor of that key start. A message that
//! it does not take any more goes to the new one.
//!
//! A key whose start was refused by the fence rests a little before the next one, see `rest`. Keys
//! belong to slots, which come to a node and leave it, see `moves`.

mod moves;
mod rest;
mod slots;

use self::rest::Rests;
use self::slots::Slots;
use super::address::{Inbox, Refused, Reply};
use super::spawn::{Actor, Attached, spawn_with};
use crate::Slot;
use crate::deadline::{Deadline, with_deadline};
use crate::error::{Error, Kind, Result};
use futures::future::join_all;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// The bounds of a population.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PopulationOptions {
    /// How many messages each actor's inbox holds.
    pub inbox_capacity: usize,
    /// How long an actor may be without work before it is asked to stop.
    pub idle: Duration,
    /// How many actors there may be, starting and stopping ones included.
    pub actors_max: usize,
}

impl Default for PopulationOptions {
    /// Inboxes of 64, two minutes, 50,000 actors.
    fn default() -> Self {
        Self { inbox_capacity: 64, idle: Duration::from_secs(120), actors_max: 50_000 }
    }
}

/// How long a newcomer waits before it looks again for actors that could make room; so long an
/// actor that has just started has for its first message.
const SHED_AGAIN: Duration = Duration::from_millis(25);

/// How long those that were asked to make room may take before others are asked too: a few that
/// hang must not keep everybody out.
const SHED_MORE: Duration = Duration::from_secs(1);

/// The actors of one kind on this node, by key; cheap to clone. Dropping the last clone asks all
/// of them to stop.
pub struct Population<K: Key, A: Actor>(Arc<Shared<K, A>>);

impl<K: Key, A: Actor> Clone for Population<K, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What may name an actor in a [`Population`].
pub trait Key: Clone + Eq + Hash + Display + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + Display + Send + Sync + 'static> Key for K {}

type MakeArgs<K, A> = Box<dyn Fn(&K) -> <A as Actor>::Args + Send + Sync>;

type SlotOf<K> = Box<dyn Fn(&K) -> Slot + Send + Sync>;

struct Shared<K: Key, A: Actor> {
    options: PopulationOptions,
    args: MakeArgs<K, A>,
    slot_of: SlotOf<K>,
    /// One permit for each actor that may still come; an actor gives its own back at its end.
    places: Arc<Semaphore>,
    actors: Mutex<Actors<K, A::Message>>,
    /// Whoever rests looks again whether it still has to.
    nudges: watch::Sender<()>,
}

struct Actors<K, M: Send + 'static> {
    by_key: HashMap<K, Entry<M>>,
    /// The same by slot, and the slots that are leaving.
    slots: Slots<K>,
    /// Keys that were refused by the fence.
    rests: Rests<K>,
    /// Tells two lives of one key apart.
    last_serial: u64,
    /// How many of the entries are leaving.
    leaving: usize,
    /// How many newcomers wait for a place.
    waiting: usize,
    /// When actors were last asked to make room.
    shed_at: Instant,
    closed: bool,
}

struct Entry<M: Send + 'static> {
    serial: u64,
    slot: Slot,
    stage: Stage<M>,
    used: Instant,
    /// It has been asked to stop, or will be as soon as it has started.
    leaving: bool,
}

enum Stage<M: Send + 'static> {
    /// Tells why it did not start, or is closed when there is news of another kind.
    Starting(watch::Receiver<Option<Error>>),
    Active(Inbox<M>),
}

/// Whose actors are meant.
#[derive(Clone, Copy)]
enum Which<'a> {
    All,
    In(&'a [Slot]),
}

/// What an actor that must end does with the messages that wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Handles them.
    Finish,
    /// Drops them.
    Leave,
}

/// What to wait for before looking again.
enum News<M: Send + 'static> {
    Start(watch::Receiver<Option<Error>>),
    End(Inbox<M>),
}

impl<K: Key, A: Actor> Population<K, A> {
    /// An empty population; `args` makes what the actor of a key is started with, `slot_of` tells
    /// which slot a key is in, always the same. Needs a runtime for the task that looks for idle
    /// actors.
    pub fn new(
        mut options: PopulationOptions,
        args: impl Fn(&K) -> A::Args + Send + Sync + 'static,
        slot_of: impl Fn(&K) -> Slot + Send + Sync + 'static,
    ) -> Self {
        options.actors_max = options.actors_max.clamp(1, u32::MAX as usize >> 4);
        let shared = Arc::new(Shared {
            options,
            args: Box::new(args),
            slot_of: Box::new(slot_of),
            places: Arc::new(Semaphore::new(options.actors_max)),
            actors: Mutex::new(Actors {
                by_key: HashMap::new(),
                slots: Slots::default(),
                rests: Rests::default(),
                last_serial: 0,
                leaving: 0,
                waiting: 0,
                shed_at: Instant::now(),
                closed: false,
            }),
            nudges: watch::Sender::new(()),
        });
        tokio::spawn(sweep(Arc::downgrade(&shared), options.idle));
        Self(shared)
    }

    /// Asks the actor of a key, which is started if need be.
    ///
    /// # Errors
    /// The actor's own and those of its start; [`Kind::Overloaded`] if its inbox or the
    /// population stays full until the deadline (nothing was done), [`Kind::Timeout`] if the
    /// reply does not come by then, [`Kind::Unavailable`] if the actor does not start in time or
    /// fails meanwhile, or the population is closed; [`Kind::Fenced`] if the key's slot is leaving
    /// ([`Population::leave_slot`]; nothing was done).
    pub async fn call<T: Send + 'static>(
        &self,
        key: &K,
        message: impl FnOnce(Reply<T>) -> A::Message,
        deadline: Deadline,
    ) -> Result<T> {
        let (reply, answer) = Reply::channel();
        let inbox = self.send(key, message(reply), deadline).await?;
        answer.wait(deadline, || inbox.has_left()).await
    }

    /// Sends to the actor of a key, which is started if need be, without waiting for the message
    /// to be handled.
    ///
    /// # Errors
    /// As [`Population::call`], as far as they come before the message is handled.
    pub async fn cast(&self, key: &K, message: A::Message, deadline: Deadline) -> Result<()> {
        self.send(key, message, deadline).await.map(drop)
    }

    /// Says to whose inbox it was sent.
    async fn send(
        &self,
        key: &K,
        mut message: A::Message,
        deadline: Deadline,
    ) -> Result<Inbox<A::Message>> {
        loop {
            let inbox = self.enter(key, deadline).await?;
            message = match inbox.offer(message, deadline).await {
                Ok(()) => return Ok(inbox),
                // It was asked to stop meanwhile: wait for its end and send to the next one.
                Err(Refused::Gone(message)) => message,
                Err(full @ Refused::Full) => return Err(full.into()),
            };
        }
    }

    /// Sends to the actor of a key only if it is active and has room; says whether it was sent.
    /// For hints that an inactive actor has no need of.
    pub fn tell_active(&self, key: &K, message: A::Message) -> bool {
        let inbox = match self.0.actors.lock().by_key.get(key) {
            Some(Entry { stage: Stage::Active(inbox), .. }) => inbox.clone(),
            _ => return false,
        };
        inbox.try_cast(message).is_ok()
    }

    /// How many actors there are, starting and stopping ones included.
    pub fn count(&self) -> usize {
        self.0.actors.lock().by_key.len()
    }

    /// Whether the key has an actor, be it starting or stopping.
    pub fn contains(&self, key: &K) -> bool {
        self.0.actors.lock().by_key.contains_key(key)
    }

    /// Asks such actors to end, and waits until they have. Others may be started for the same keys
    /// meanwhile, unless their slots are leaving.
    async fn end(&self, which: Which<'_>, wish: Wish, deadline: Deadline) -> Result<()> {
        let newest = self.0.actors.lock().last_serial;
        let all_stopped = async {
            loop {
                let news = self.dismiss_some(which, newest, wish);
                if news.is_empty() {
                    return Ok(());
                }
                // However a start ended, look again.
                let _starts_failed = join_all(news.into_iter().map(News::wait)).await;
            }
        };
        with_deadline(deadline, all_stopped).await
    }

    /// Closes the population, asks all actors to stop and waits until they have.
    ///
    /// # Errors
    /// [`Kind::Timeout`] if some take longer; they still stop when they can.
    pub async fn stop_all(&self, deadline: Deadline) -> Result<()> {
        self.0.actors.lock().closed = true;
        let stopped = self.end(Which::All, Wish::Finish, deadline).await;
        let left = self.count();
        stopped.map_err(|e| e.detail(format!("{left} of the {} actors still run", A::NAME)))
    }

    /// Asks all such actors, none newer than `newest`, to stop; what to wait for. Others wait
    /// meanwhile: of slots no more is looked at than is in them.
    fn dismiss_some(&self, which: Which<'_>, newest: u64, wish: Wish) -> Vec<News<A::Message>> {
        let mut actors = self.0.actors.lock();
        let (mut news, mut dismissed) = (Vec::new(), 0);
        let mut dismiss = |entry: &mut Entry<A::Message>| {
            if entry.serial <= newest {
                dismissed += usize::from(entry.dismiss());
                if let (Wish::Leave, Stage::Active(inbox)) = (wish, &entry.stage) {
                    inbox.leave();
                }
                news.push(entry.news());
            }
        };
        let Actors { by_key, slots, .. } = &mut *actors;
        match which {
            Which::All => by_key.values_mut().for_each(dismiss),
            Which::In(some) => {
                for key in some.iter().flat_map(|slot| slots.keys(*slot)) {
                    by_key.get_mut(key).into_iter().for_each(&mut dismiss);
                }
            }
        }
        actors.leaving += dismissed;
        drop(actors);
        self.0.nudges.send_replace(());
        news
    }

    /// The inbox of a key's actor, after having started it or having waited for others to.
    async fn enter(&self, key: &K, deadline: Deadline) -> Result<Inbox<A::Message>> {
        loop {
            let news = {
                let mut actors = self.0.actors.lock();
                if actors.closed {
                    return Err(Error::unavailable(format!("no more {} actors", A::NAME)));
                }
                if actors.slots.any_leaves() {
                    actors.slots.check(self.0.slot(key), Instant::now())?;
                }
                match actors.by_key.get_mut(key) {
                    None => News::Start(self.0.begin(&mut actors, key, deadline)),
                    Some(entry) => {
                        entry.used = Instant::now();
                        match &entry.stage {
                            Stage::Active(inbox) if inbox.is_open() => return Ok(inbox.clone()),
                            // Its task was cancelled from outside and could not tell.
                            Stage::Active(inbox) if inbox.is_stopped() => {
                                actors.remove(key);
                                continue;
                            }
                            _ => entry.news(),
                        }
                    }
                }
            };
            match tokio::time::timeout_at(deadline.instant(), news.wait()).await {
                Ok(result) => result?,
                Err(_) => return Err(self.late(key)),
            }
        }
    }

    /// Why no actor took a message in time. Not a timeout: it is known that nothing was done.
    fn late(&self, key: &K) -> Error {
        if self.0.places.available_permits() == 0 {
            return self.0.crowded();
        }
        Error::unavailable(format!("{} {key} does not start or stop in time", A::NAME))
    }
}

impl<M: Send + 'static> Entry<M> {
    /// Asks it to stop; says whether that is new.
    fn dismiss(&mut self) -> bool {
        if let Stage::Active(inbox) = &self.stage {
            inbox.drain();
        }
        !std::mem::replace(&mut self.leaving, true)
    }

    fn news(&self) -> News<M> {
        match &self.stage {
            Stage::Starting(start) => News::Start(start.clone()),
            Stage::Active(inbox) => News::End(inbox.clone()),
        }
    }
}

impl<M: Send + 'static> News<M> {
    /// Waits; fails with the start if it was one.
    async fn wait(self) -> Result<()> {
        match self {
            Self::Start(mut start) => match start.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(error)) => Err(error.clone()),
                _ => Ok(()),
            },
            Self::End(inbox) => {
                inbox.stopped().await;
                Ok(())
            }
        }
    }
}

impl<K: Key, M: Send + 'static> Actors<K, M> {
    fn insert(&mut self, key: &K, entry: Entry<M>) {
        self.slots.entered(entry.slot, key.clone());
        self.by_key.insert(key.clone(), entry);
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.by_key.remove(key) {
            self.slots.gone(entry.slot, key);
            self.leaving -= usize::from(entry.leaving);
        }
    }

    /// Asks the actors to stop that `which` selects.
    fn dismiss(&mut self, which: impl Fn(&Entry<M>) -> bool) -> usize {
        let chosen = self.by_key.values_mut().filter(|entry| !entry.leaving && which(entry));
        let dismissed = chosen.map(|entry| usize::from(entry.dismiss())).sum();
        self.leaving += dismissed;
        dismissed
    }

    /// Makes room for the newcomers that wait: the least recently used actors must go, several at
    /// a time, so that the search for them is worth its while.
    fn shed(&mut self) -> usize {
        let now = Instant::now();
        if self.leaving >= self.waiting && now < self.shed_at + SHED_MORE {
            return 0;
        }
        self.shed_at = now;
        let active = |e: &&Entry<M>| !e.leaving && matches!(e.stage, Stage::Active(_));
        let mut used: Vec<_> =
            self.by_key.values().filter(active).map(|e| (e.used, e.serial)).collect();
        let short = self.waiting.saturating_sub(self.leaving);
        let batch = short.max(used.len() / 64).max(1).min(used.len());
        if batch == 0 {
            return 0;
        }
        let (_, last, _) = used.select_nth_unstable(batch - 1);
        let last = *last;
        self.dismiss(|e| matches!(e.stage, Stage::Active(_)) && (e.used, e.serial) <= last)
    }
}

impl<K: Key, A: Actor> Shared<K, A> {
    fn slot(&self, key: &K) -> Slot {
        (self.slot_of)(key)
    }

    /// Enters a key as starting, and starts its actor in a task of its own, so that the start
    /// goes on when the caller who caused it gives up.
    fn begin(
        self: &Arc<Self>,
        actors: &mut Actors<K, A::Message>,
        key: &K,
        deadline: Deadline,
    ) -> watch::Receiver<Option<Error>> {
        actors.last_serial += 1;
        let serial = actors.last_serial;
        let (failed, start) = watch::channel(None);
        let stage = Stage::Starting(start.clone());
        let slot = self.slot(key);
        let entry = Entry { serial, slot, stage, used: Instant::now(), leaving: false };
        actors.insert(key, entry);
        let residence = Residence { shared: Arc::downgrade(self), key: key.clone(), serial };
        let shared = self.clone();
        tokio::spawn(async move {
            shared.rest(&residence).await;
            if let Err(error) = shared.settle(residence, deadline).await {
                failed.send_replace(Some(error));
            }
        });
        start
    }

    /// Waits as long as a key has to rest that was refused by the fence, but not where somebody
    /// waits for the end of its actor.
    async fn rest(&self, residence: &Residence<K, A>) {
        let (key, mut nudges) = (&residence.key, self.nudges.subscribe());
        loop {
            let until = {
                let actors = self.actors.lock();
                if actors.by_key.get(key).is_none_or(|entry| entry.leaving) {
                    return;
                }
                let Some(until) = actors.rests.until(key, Instant::now()) else { return };
                until
            };
            // The sender is `self`.
            let nudged = nudges.changed();
            let _either = tokio::time::timeout_at(until, nudged).await;
        }
    }

    /// Finds a place for a newcomer and starts it.
    async fn settle(self: Arc<Self>, residence: Residence<K, A>, deadline: Deadline) -> Result<()> {
        let (key, serial) = (residence.key.clone(), residence.serial);
        let place = self.place(deadline).await?;
        let args = (self.args)(&key);
        // Kept until it is noted why there was no start: then nobody begins another one too soon.
        let attached: Attached = Arc::new(Mutex::new(Some(Box::new((residence, place)))));
        let capacity = self.options.inbox_capacity;
        let spawned = spawn_with::<A>(args, capacity, attached.clone()).await;
        let mut actors = self.actors.lock();
        let spawned = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                if error.kind == Kind::Fenced {
                    actors.rests.refused(&key, Instant::now());
                }
                drop(actors);
                return Err(error);
            }
        };
        actors.rests.started(&key);
        metrics::counter!("rialto_actor_starts_total", "actor" => A::NAME).increment(1);
        metrics::gauge!("rialto_actors", "actor" => A::NAME).set(actors.by_key.len() as f64);
        match actors.by_key.get_mut(&key) {
            Some(entry) if entry.serial == serial => {
                if entry.leaving {
                    spawned.inbox.drain();
                }
                entry.stage = Stage::Active(spawned.inbox);
            }
            // It has come to its end already.
            _ => {}
        }
        Ok(())
    }

    async fn place(&self, deadline: Deadline) -> Result<OwnedSemaphorePermit> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        self.actors.lock().waiting += 1;
        let mut acquired = std::pin::pin!(self.places.clone().acquire_owned());
        let place = loop {
            let shed = self.actors.lock().shed();
            metrics::counter!("rialto_actors_shed_total", "actor" => A::NAME)
                .increment(shed as u64);
            let until = deadline.within(SHED_AGAIN);
            match tokio::time::timeout_at(until.instant(), &mut acquired).await {
                Err(_) if !deadline.has_passed() => {}
                place => break place,
            }
        };
        self.actors.lock().waiting -= 1;
        place.ok().and_then(|place| place.ok()).ok_or_else(|| self.crowded())
    }

    fn crowded(&self) -> Error {
        Error::new(Kind::Overloaded, "Too much work is waiting").detail(format!(
            "there are {} {} actors",
            self.options.actors_max,
            A::NAME
        ))
    }
}

impl<K: Key, A: Actor> Drop for Shared<K, A> {
    fn drop(&mut self) {
        self.actors.get_mut().dismiss(|_| true);
    }
}

/// Travels with an actor and ends its entry when the actor has ended, or did not start.
struct Residence<K: Key, A: Actor> {
    shared: Weak<Shared<K, A>>,
    key: K,
    serial: u64,
}

impl<K: Key, A: Actor> Drop for Residence<K, A> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut actors = shared.actors.lock();
        if actors.by_key.get(&self.key).is_some_and(|entry| entry.serial == self.serial) {
            actors.remove(&self.key);
            metrics::gauge!("rialto_actors", "actor" => A::NAME).set(actors.by_key.len() as f64);
        }
    }
}

/// Asks idle actors to stop, as long as there is a population.
async fn sweep<K: Key, A: Actor>(shared: Weak<Shared<K, A>>, idle: Duration) {
    let period = (idle / 4).clamp(Duration::from_millis(10), Duration::from_secs(30));
    loop {
        tokio::time::sleep(period).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let now = Instant::now();
        let mut actors = shared.actors.lock();
        actors.rests.forget(now);
        actors.slots.forget(now);
        actors.dismiss(|entry| {
            let unused = now.saturating_duration_since(entry.used) >= idle;
            unused && matches!(&entry.stage, Stage::Active(inbox) if inbox.is_idle())
        });
    }
}

#[cfg(test)]
mod tests;
