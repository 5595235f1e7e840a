//! Keeps the one actor of a kind running: starts it again when it fails, with growing waits, and
//! escalates when that does not help.

use super::address::{Inbox, Refused, Reply};
use super::backoff::{Backoff, BackoffPolicy, Verdict};
use super::spawn::{Actor, Ended, Ending, Spawned, spawn};
use crate::deadline::{Deadline, with_deadline};
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use tokio::sync::watch;

/// The address of an actor that is started again when it fails; cheap to clone. It stays valid
/// over restarts, and messages wait for the next start until their deadline.
pub struct Singleton<M: Send + 'static> {
    state: watch::Receiver<State<M>>,
}

impl<M: Send + 'static> Clone for Singleton<M> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone() }
    }
}

enum State<M: Send + 'static> {
    Running(Inbox<M>),
    Restarting,
    Over,
}

impl<M: Send + 'static> Singleton<M> {
    /// Starts an actor and keeps it running. `args` makes what each start needs; `escalate` is
    /// told the last error when the policy gives up.
    ///
    /// # Errors
    /// What keeps the first start from succeeding: it is not repeated, so that a service that
    /// cannot work is seen at once.
    pub async fn start<A: Actor<Message = M>>(
        env: Env,
        capacity: usize,
        policy: BackoffPolicy,
        args: impl Fn() -> A::Args + Send + 'static,
        escalate: impl FnOnce(Error) + Send + 'static,
    ) -> Result<Self> {
        let Spawned { inbox, mut ended } = spawn::<A>(args(), capacity).await?;
        let (publish, state) = watch::channel(State::Running(inbox));
        tokio::spawn(async move {
            let mut backoff = Backoff::new(policy);
            while let Ending::Failed(mut failure) = ended.await {
                publish.send_replace(State::Restarting);
                ended = loop {
                    match backoff.failed(env.clock.monotonic(), env.random.u64()) {
                        Verdict::Restart(wait) => env.clock.sleep(wait).await,
                        Verdict::GiveUp => {
                            tracing::error!(actor = A::NAME, %failure, "no more restarts");
                            publish.send_replace(State::Over);
                            return escalate(failure);
                        }
                    }
                    match restart::<A>(args(), capacity, &publish).await {
                        Ok(ended) => break ended,
                        Err(error) => failure = error,
                    }
                };
            }
            publish.send_replace(State::Over);
        });
        Ok(Self { state })
    }

    /// As [`Inbox::call`], waiting for a restart if one is under way. A message that an actor took
    /// before it failed is not sent again.
    ///
    /// # Errors
    /// As [`Inbox::call`].
    pub async fn call<T: Send + 'static>(
        &self,
        message: impl FnOnce(Reply<T>) -> M,
        deadline: Deadline,
    ) -> Result<T> {
        let (reply, answer) = Reply::channel();
        self.cast(message(reply), deadline).await?;
        answer.wait(deadline, || false).await
    }

    /// As [`Inbox::cast`], waiting for a restart if one is under way.
    ///
    /// # Errors
    /// As [`Inbox::cast`].
    pub async fn cast(&self, mut message: M, deadline: Deadline) -> Result<()> {
        loop {
            let inbox = self.running(deadline).await?;
            message = match inbox.offer(message, deadline).await {
                Ok(()) => return Ok(()),
                Err(Refused::Gone(message)) => message,
                Err(full @ Refused::Full) => return Err(full.into()),
            };
        }
    }

    /// Asks the actor to stop when it has handled what waits, and waits for it; it is not started
    /// again.
    ///
    /// # Errors
    /// [`Kind::Timeout`] if it takes longer than the deadline; it still stops when it can.
    pub async fn stop(&self, deadline: Deadline) -> Result<()> {
        let Ok(inbox) = self.running(deadline).await else {
            return Ok(());
        };
        inbox.drain();
        let stopped = async {
            inbox.stopped().await;
            Ok(())
        };
        with_deadline(deadline, stopped).await
    }

    /// The address of the running actor, once there is one that takes messages.
    async fn running(&self, deadline: Deadline) -> Result<Inbox<M>> {
        let mut state = self.state.clone();
        let settled = async {
            let ready = |s: &State<M>| match s {
                State::Running(inbox) => inbox.is_open(),
                State::Restarting => false,
                State::Over => true,
            };
            // The supervising task ends only by publishing `Over`, or with the runtime.
            match state.wait_for(ready).await.as_deref() {
                Ok(State::Running(inbox)) => Ok(inbox.clone()),
                _ => Err(Error::unavailable("the actor is stopped for good")),
            }
        };
        match with_deadline(deadline, settled).await {
            Err(error) if error.kind == Kind::Timeout => {
                Err(Error::unavailable("the actor is not running"))
            }
            result => result,
        }
    }
}

async fn restart<A: Actor>(
    args: A::Args,
    capacity: usize,
    publish: &watch::Sender<State<A::Message>>,
) -> Result<Ended> {
    let Spawned { inbox, ended } = spawn::<A>(args, capacity).await?;
    metrics::counter!("rialto_actor_restarts_total", "actor" => A::NAME).increment(1);
    publish.send_replace(State::Running(inbox));
    Ok(ended)
}
