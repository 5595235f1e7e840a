//! Bounded addresses: the only place that sends messages through `ractor`.
//!
//! A message needs a permit, which stays with it until the actor has finished with it. So at most
//! the inbox's capacity of messages wait or are being handled, and senders wait for their turn, in
//! order of arrival, until their deadline.

use crate::deadline::{Deadline, timeout, with_deadline};
use crate::error::{Error, Kind, Result};
use ractor::{ActorRef, ActorStatus, MessagingErr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The address of one actor; cheap to clone. Keeping it does not keep the actor running.
pub struct Inbox<M: Send + 'static> {
    actor: ActorRef<Envelope<M>>,
    permits: Arc<Semaphore>,
    capacity: usize,
    leaves: Arc<AtomicBool>,
}

impl<M: Send + 'static> Clone for Inbox<M> {
    fn clone(&self) -> Self {
        let (actor, permits) = (self.actor.clone(), self.permits.clone());
        Self { actor, permits, capacity: self.capacity, leaves: self.leaves.clone() }
    }
}

/// What `ractor` carries: the message, and the permit to be released after it.
pub(super) struct Envelope<M> {
    pub(super) message: M,
    pub(super) permit: OwnedSemaphorePermit,
}

/// A message that was not taken; nothing has happened.
pub(super) enum Refused<M> {
    /// The actor takes no more messages. Here is the message, to be sent to another one.
    Gone(M),
    /// No permit came before the deadline.
    Full,
}

impl<M> From<Refused<M>> for Error {
    fn from(refused: Refused<M>) -> Self {
        match refused {
            Refused::Gone(_) => Self::unavailable("the actor has stopped"),
            Refused::Full => Self::new(Kind::Overloaded, "Too much work is waiting")
                .detail("the actor's inbox is full"),
        }
    }
}

impl<M: Send + 'static> Inbox<M> {
    pub(super) fn new(
        actor: ActorRef<Envelope<M>>,
        permits: Arc<Semaphore>,
        capacity: usize,
        leaves: Arc<AtomicBool>,
    ) -> Self {
        Self { actor, permits, capacity, leaves }
    }

    /// Asks and waits for the reply. The future may be dropped; a message that was sent is
    /// handled all the same.
    ///
    /// # Errors
    /// The actor's own; [`Kind::Overloaded`] if the inbox stays full until the deadline (nothing
    /// was done), [`Kind::Timeout`] if the reply does not come by then, and
    /// [`Kind::Unavailable`] if the actor has stopped or fails meanwhile.
    pub async fn call<T: Send + 'static>(
        &self,
        message: impl FnOnce(Reply<T>) -> M,
        deadline: Deadline,
    ) -> Result<T> {
        let (reply, answer) = Reply::channel();
        self.offer(message(reply), deadline).await?;
        answer.wait(deadline, || self.has_left()).await
    }

    /// Sends without waiting for it to be handled.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] if the inbox stays full until the deadline, [`Kind::Unavailable`] if
    /// the actor has stopped.
    pub async fn cast(&self, message: M, deadline: Deadline) -> Result<()> {
        Ok(self.offer(message, deadline).await?)
    }

    /// Sends if there is room at once.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] if there is none, [`Kind::Unavailable`] if the actor has stopped.
    pub fn try_cast(&self, message: M) -> Result<()> {
        match self.permits.clone().try_acquire_owned() {
            Ok(permit) => Ok(self.send(message, permit)?),
            Err(_) => Err(Refused::<M>::Full.into()),
        }
    }

    /// Waits for a permit and sends; gives the message back if the actor is gone.
    pub(super) async fn offer(&self, message: M, deadline: Deadline) -> Result<(), Refused<M>> {
        let permit = self.permits.clone().acquire_owned();
        match tokio::time::timeout_at(deadline.instant(), permit).await {
            Ok(Ok(permit)) => self.send(message, permit),
            Ok(Err(_)) | Err(_) => Err(Refused::Full),
        }
    }

    fn send(&self, message: M, permit: OwnedSemaphorePermit) -> Result<(), Refused<M>> {
        match self.actor.send_message(Envelope { message, permit }) {
            Ok(()) => Ok(()),
            Err(MessagingErr::SendErr(envelope)) => Err(Refused::Gone(envelope.message)),
            // The type is checked by the compiler and a local send gives its message back.
            Err(MessagingErr::ChannelClosed | MessagingErr::InvalidActorType) => Err(Refused::Full),
        }
    }

    /// Asks the actor to stop when it has handled what waits. It takes nothing new from now on.
    pub fn drain(&self) {
        // An error says that it has stopped already.
        let _stopped_already = self.actor.drain();
    }

    /// Asks the actor to stop after the message it is handling; those that wait are dropped, and
    /// whoever sent them is told to ask whoever has the key next.
    pub(super) fn leave(&self) {
        self.leaves.store(true, Ordering::Release);
        self.actor.stop(None);
    }

    /// Whether the actor was asked to leave.
    pub(super) fn has_left(&self) -> bool {
        self.leaves.load(Ordering::Acquire)
    }

    /// Waits until the actor has stopped.
    pub async fn stopped(&self) {
        // Without a time limit there is no error.
        let _never_late = self.actor.wait(None).await;
    }

    /// Whether the actor still takes messages.
    pub fn is_open(&self) -> bool {
        self.actor.get_status() < ActorStatus::Draining
    }

    /// Whether the actor has come to its end.
    pub(super) fn is_stopped(&self) -> bool {
        self.actor.get_status() == ActorStatus::Stopped
    }

    /// Whether no message waits or is being handled.
    pub fn is_idle(&self) -> bool {
        self.permits.available_permits() == self.capacity
    }
}

/// Where a reply goes. Dropping it unsent (a panic does) tells the caller so at once.
pub struct Reply<T>(oneshot::Sender<Result<T>>);

impl<T> Reply<T> {
    pub(super) fn channel() -> (Self, Answer<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), Answer(receiver))
    }

    /// Answers. A caller who has given up meanwhile hears nothing.
    pub fn send(self, result: Result<T>) {
        let _nobody_waits = self.0.send(result);
    }

    /// Whether the caller has given up, so that reading for it is in vain.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

/// The caller's end of a [`Reply`].
pub(super) struct Answer<T>(oneshot::Receiver<Result<T>>);

impl<T> Answer<T> {
    /// Waits for it; `has_left` says in the end whether the actor was asked to leave.
    ///
    /// # Errors
    /// The actor's; [`Kind::Timeout`]; [`Kind::Fenced`] if the actor has left and dropped the message,
    /// [`Kind::Unavailable`] if it ended otherwise.
    pub(super) async fn wait(self, deadline: Deadline, has_left: impl Fn() -> bool) -> Result<T> {
        let answered = async {
            match self.0.await {
                Ok(result) => result,
                Err(_) if has_left() => Err(Error::new(Kind::Fenced, "This is served elsewhere")
                    .detail("the actor left before it replied")),
                Err(_) => Err(Error::unavailable("the actor ended before it replied")),
            }
        };
        match with_deadline(deadline, answered).await {
            Err(error) if error == timeout() => Err(error.detail("no reply from the actor")),
            result => result,
        }
    }
}
