//! Our own, smaller actor trait, over `ractor`'s.
//!
//! The implementing type is the actor's state: [`Actor::start`] makes it, [`Actor::handle`] changes
//! it, [`Actor::stop`] consumes it. Errors of a request go to its caller through a
//! [`Reply`](super::Reply); an error that `handle` itself returns ends the actor, and so does a
//! panic, which is caught, logged and counted here.

use super::address::{Envelope, Inbox};
use crate::error::{Error, Result};
use futures::FutureExt;
use parking_lot::Mutex;
use ractor::{ActorProcessingErr, ActorRef, SpawnErr};
use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Poll, ready};
use tokio::sync::{Semaphore, oneshot};

/// An actor. See the module's words.
pub trait Actor: Sized + Send + 'static {
    /// What it is sent.
    type Message: Send + 'static;
    /// What it is started with.
    type Args: Send + 'static;
    /// Its kind, for logs and metrics: one lower-case word.
    const NAME: &'static str;

    /// Makes the state. May be dropped half-way if nobody waits for the start any more.
    ///
    /// # Errors
    /// Whatever keeps it from starting; whoever started it gets the error.
    fn start(
        args: Self::Args,
        context: &Context<Self::Message>,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Handles one message; never interrupted.
    ///
    /// # Errors
    /// One that ends the actor at once, without [`Actor::stop`]; messages that wait are dropped
    /// and their callers get [`Kind::Unavailable`](crate::Kind::Unavailable).
    fn handle(&mut self, message: Self::Message) -> impl Future<Output = Result<Next>> + Send;

    /// Called when the actor ends in peace; never interrupted.
    ///
    /// # Errors
    /// Only logged.
    fn stop(self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// What an actor wants to do after a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Take the next message.
    Continue,
    /// End in peace; messages that wait are dropped, their callers told.
    Stop,
}

/// What an actor knows of itself when it starts.
pub struct Context<M: Send + 'static> {
    inbox: Inbox<M>,
}

impl<M: Send + 'static> Context<M> {
    /// The actor's own address, to be handed to tasks and peers that report to it. An actor must
    /// not wait for a reply of its own.
    pub fn inbox(&self) -> Inbox<M> {
        self.inbox.clone()
    }
}

/// A started actor.
pub struct Spawned<M: Send + 'static> {
    /// Its address.
    pub inbox: Inbox<M>,
    /// Tells how it ended; may be dropped.
    pub ended: Ended,
}

/// How an actor ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It was asked to stop, or stopped itself.
    Stopped,
    /// A message, or stopping, failed or panicked.
    Failed(Error),
}

/// A future that waits for an actor's [`Ending`].
pub struct Ended(oneshot::Receiver<Ending>);

impl Future for Ended {
    type Output = Ending;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Ending> {
        let ending = ready!(self.0.poll_unpin(cx));
        Poll::Ready(ending.unwrap_or_else(|_| {
            Ending::Failed(Error::unavailable("the actor's task was cancelled"))
        }))
    }
}

/// Starts an actor whose inbox holds `capacity` messages (at least one), waiting until it has
/// started.
///
/// # Errors
/// What [`Actor::start`] answers; [`Kind::Unavailable`](crate::Kind::Unavailable) if it panics.
pub async fn spawn<A: Actor>(args: A::Args, capacity: usize) -> Result<Spawned<A::Message>> {
    spawn_with::<A>(args, capacity, Attached::default()).await
}

/// What an actor has with it, from the moment when it has started.
pub(super) type Attached = Arc<Mutex<Option<Box<dyn Any + Send>>>>;

/// As [`spawn()`]; `attached` is taken when the actor has started, and dropped when it has ended and
/// its state is gone, whatever ended it.
pub(super) async fn spawn_with<A: Actor>(
    args: A::Args,
    capacity: usize,
    attached: Attached,
) -> Result<Spawned<A::Message>> {
    let capacity = capacity.clamp(1, Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(capacity));
    let leaves = Arc::new(AtomicBool::new(false));
    let (ending, ended) = oneshot::channel();
    let (of_actor, its_leaves) = (permits.clone(), leaves.clone());
    let start = Start { args, capacity, permits: of_actor, leaves: its_leaves, ending, attached };
    match ractor::Actor::spawn(None, Adapter::<A>(PhantomData), start).await {
        Ok((actor, _task)) => {
            let inbox = Inbox::new(actor, permits, capacity, leaves);
            Ok(Spawned { inbox, ended: Ended(ended) })
        }
        Err(SpawnErr::StartupFailed(error)) => Err(match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(other) => Error::internal(format!("start {}: {other}", A::NAME)),
        }),
        Err(error) => Err(Error::internal(format!("start {}: {error}", A::NAME))),
    }
}

/// Makes one of our actors one of `ractor`'s.
struct Adapter<A>(PhantomData<fn() -> A>);

struct Start<A: Actor> {
    args: A::Args,
    capacity: usize,
    permits: Arc<Semaphore>,
    leaves: Arc<AtomicBool>,
    ending: oneshot::Sender<Ending>,
    attached: Attached,
}

/// The state that `ractor` keeps; `actor` is gone after the end.
struct Running<A> {
    actor: Option<A>,
    ending: Option<oneshot::Sender<Ending>>,
    attached: Option<Box<dyn Any + Send>>,
}

impl<A> Running<A> {
    /// Drops the state first, then what was attached, then tells: whoever hears of the end may
    /// rely on nothing of the actor being left.
    fn end(&mut self, ending: Ending) {
        self.actor = None;
        self.attached = None;
        if let Some(listener) = self.ending.take() {
            let _nobody_listens = listener.send(ending);
        }
    }
}

impl<A: Actor> ractor::Actor for Adapter<A> {
    type Msg = Envelope<A::Message>;
    type State = Running<A>;
    type Arguments = Start<A>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        start: Start<A>,
    ) -> Result<Running<A>, ActorProcessingErr> {
        let Start { args, capacity, permits, leaves, ending, attached } = start;
        let context = Context { inbox: Inbox::new(myself, permits, capacity, leaves) };
        let actor = caught::<A, _>("start", A::start(args, &context)).await?;
        let attached = attached.lock().take();
        Ok(Running { actor: Some(actor), ending: Some(ending), attached })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        running: &mut Running<A>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(actor) = &mut running.actor else {
            return Ok(());
        };
        let Envelope { message, permit } = envelope;
        let result = caught::<A, _>("handle", actor.handle(message)).await;
        drop(permit);
        match result {
            Ok(Next::Continue) => Ok(()),
            Ok(Next::Stop) => {
                myself.stop(None);
                Ok(())
            }
            Err(error) => {
                running.end(Ending::Failed(error.clone()));
                Err(error.into())
            }
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<Self::Msg>,
        running: &mut Running<A>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(actor) = running.actor.take() else {
            return Ok(());
        };
        running.end(match caught::<A, _>("stop", actor.stop()).await {
            Ok(()) => Ending::Stopped,
            Err(error) => Ending::Failed(error),
        });
        Ok(())
    }
}

/// Awaits a step of an actor; a panic in it becomes an error. Both are reported here, once.
async fn caught<A: Actor, T>(
    step: &'static str,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    let (error, panicked) = match AssertUnwindSafe(future).catch_unwind().await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => (error, false),
        Err(payload) => {
            let text = panic_text(payload.as_ref());
            (Error::unavailable(format!("{} panicked in {step}: {text}", A::NAME)), true)
        }
    };
    if panicked {
        metrics::counter!("rialto_actor_panics_total", "actor" => A::NAME).increment(1);
        tracing::error!(actor = A::NAME, step, %error, "an actor panicked");
    } else {
        metrics::counter!("rialto_actor_failures_total", "actor" => A::NAME).increment(1);
        tracing::warn!(actor = A::NAME, step, %error, "an actor failed");
    }
    Err(error)
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
