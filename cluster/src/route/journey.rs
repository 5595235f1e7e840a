//! One call to an owned target, until it is answered: again and again to whoever owns the slot.

use super::request::Request;
use super::router::{ClusterRouter, Way};
use super::{BACKOFF_FIRST, BACKOFF_LONGEST, LINK_SILENCE, PATIENCE, WORKED};
use crate::link::{CallError, Executed, Lane, Outbound};
use crate::placement::SlotOwner;
use crate::raft::Applied;
use base::router::{Parcel, Router, Target};
use base::{Deadline, Error, Kind, Result};
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;

/// A call under way.
pub(super) struct Journey<'r> {
    router: &'r ClusterRouter,
    target: Target,
    deadline: Deadline,
    applied: watch::Receiver<Applied>,
    fences: watch::Receiver<u64>,
    /// How long it goes on, from the moment when it first could not be served.
    trouble: Option<Deadline>,
    backoff: Duration,
    /// Whether the request was ever handed to anybody who may have executed it.
    is_in_doubt: bool,
}

/// How one attempt ended.
enum Attempt {
    /// With an answer, good or bad, for the caller.
    Answered(Result<Parcel>),
    /// The slot has changed hands meanwhile.
    Overtaken,
    /// It must be sent again, for this reason.
    Again(Error),
    /// The same, and its owner was silent all the while, as far as is known.
    Unreachable(Error),
}

impl<'r> Journey<'r> {
    pub(super) fn new(router: &'r ClusterRouter, target: Target, deadline: Deadline) -> Self {
        Self {
            router,
            target,
            deadline,
            applied: router.applied.clone(),
            fences: router.fences.changed(),
            trouble: None,
            backoff: BACKOFF_FIRST,
            is_in_doubt: false,
        }
    }

    pub(super) async fn run(mut self, request: Parcel) -> Result<Parcel> {
        let mut request = Request::Whole(request);
        loop {
            // Both are marked as seen before they are looked at: no change is slept through.
            self.fences.borrow_and_update();
            let owner = self.applied.borrow_and_update().state.slot(self.target.slot);
            let way = self.router.way(self.target.slot, owner);
            let working = Deadline::after(WORKED);
            let attempt = match way {
                Way::Here => self.here(owner, &mut request).await,
                Way::There(..) => self.there(owner, &mut request).await?,
                Way::NotReady | Way::NoOwner => {
                    self.wait_for_owner(way).await?;
                    continue;
                }
            };
            if working.has_passed() {
                (self.trouble, self.backoff) = (None, BACKOFF_FIRST);
            }
            if let Attempt::Unreachable(_) = attempt {
                let silent = WORKED.saturating_sub(working.remaining()).min(LINK_SILENCE);
                self.trouble.get_or_insert(self.deadline.within(PATIENCE - silent));
            }
            match attempt {
                Attempt::Answered(outcome) => return outcome,
                Attempt::Overtaken => {
                    tracing::debug!(target = %self.target, "the owner changed during a call");
                    metrics::counter!("rialto_route_retries_total", "why" => "overtaken")
                        .increment(1);
                    self.patience()?;
                }
                Attempt::Again(error) | Attempt::Unreachable(error) => {
                    self.pause(owner, error).await?;
                }
            }
        }
    }

    async fn here(&mut self, owner: SlotOwner, request: &mut Request) -> Attempt {
        let Some(parcel) = request.for_here() else { return self.no_more() };
        let call = self.router.serve(self.target, (parcel, request.bytes()), self.deadline);
        let Some(outcome) = self.while_owned(owner, call).await else { return Attempt::Overtaken };
        match outcome {
            Err(error) if error.kind == Kind::Fenced => {
                self.is_in_doubt = true;
                // Somebody else may have the slot and Raft not have said so here yet. Whether or
                // not the store can be asked, the next attempt goes by what is known then.
                let look = base::with_deadline(self.deadline, self.router.fences.look());
                if let Err(failed) = look.await {
                    tracing::debug!(target = %self.target, error = %failed, "cannot look");
                }
                Attempt::Again(error)
            }
            outcome => Attempt::Answered(outcome),
        }
    }

    /// # Errors
    /// The request's that cannot be encoded.
    async fn there(&mut self, owner: SlotOwner, request: &mut Request) -> Result<Attempt> {
        let Some(payload) = request.for_there()? else { return Ok(self.no_more()) };
        let Some(node) = owner.node() else { return Ok(Attempt::Overtaken) };
        let (target, epoch, lane) = (self.target, owner.epoch, Lane::Data);
        let outbound = Outbound { lane, target, epoch, hops: 0, payload };
        metrics::counter!("rialto_route_forwarded_total").increment(1);
        let mut timed = self.router.time(node, target.slot, self.deadline);
        let call = self.router.carrier.call(node, outbound, self.deadline);
        let Some(outcome) = self.while_owned(owner, call).await else {
            return Ok(Attempt::Overtaken);
        };
        if let (Err(failed), Some(timed)) = (&outcome, &mut timed) {
            // Of a link that breaks, or is not there, others take care.
            timed.counts = match failed.executed {
                Executed::Answered => failed.error.kind != Kind::Fenced,
                Executed::Unknown => failed.error.kind == Kind::Timeout,
                Executed::No => false,
            };
        }
        drop(timed);
        Ok(match outcome {
            Ok(reply) => Attempt::Answered(Ok(Parcel::bytes(reply))),
            Err(failed) => self.judge(failed),
        })
    }

    fn judge(&mut self, failed: CallError) -> Attempt {
        let CallError { error, executed } = failed;
        self.is_in_doubt |= executed != Executed::No;
        match executed {
            Executed::Answered if error.kind == Kind::Fenced => Attempt::Again(error),
            Executed::Unknown if error.kind == Kind::Timeout => Attempt::Again(error),
            Executed::Unknown => Attempt::Unreachable(error),
            // Too many wait for the link at this moment: when it breaks, all who have asked there
            // come back at once. Those who find no place come again, as far as there is room for
            // them to wait here.
            Executed::No if error.kind == Kind::Overloaded => Attempt::Again(error),
            Executed::No if error.is_temporary() => Attempt::Unreachable(error),
            // It can never be sent.
            Executed::Answered | Executed::No => Attempt::Answered(Err(error)),
        }
    }

    /// Waits for an answer as long as the slot is owned as it was; `None` once it is not. A node
    /// that is dead or cut off cannot say so, and its link needs seconds to find out.
    async fn while_owned<T>(
        &mut self,
        owner: SlotOwner,
        call: impl Future<Output = T>,
    ) -> Option<T> {
        let slot = self.target.slot;
        let overtaken = self.applied.wait_for(|applied| applied.state.slot(slot) != owner);
        tokio::select! {
            biased;
            outcome = call => Some(outcome),
            Ok(_) = overtaken => {
                self.is_in_doubt = true;
                None
            }
        }
    }

    /// Waits until somebody may serve the slot.
    async fn wait_for_owner(&mut self, way: Way) -> Result<()> {
        let until = self.patience()?;
        let _place = self.router.waiting.enter(self.target.slot)?;
        tracing::debug!(target = %self.target, ?way, "a call waits for an owner");
        let gone = |_| Error::unavailable("the node is shutting down");
        tokio::select! {
            changed = self.applied.changed() => changed.map_err(gone),
            changed = self.fences.changed() => changed.map_err(gone),
            () = tokio::time::sleep_until(until.instant()) => {
                Err(self.gives_up(format!("{}: {way:?}", self.target)))
            }
        }
    }

    /// Waits a little, or until the slot is owned by somebody else, or has been taken or lost here.
    async fn pause(&mut self, owner: SlotOwner, error: Error) -> Result<()> {
        let why = if error.kind == Kind::Fenced { "fenced" } else { "failed" };
        metrics::counter!("rialto_route_retries_total", "why" => why).increment(1);
        tracing::debug!(target = %self.target, %error, "a call is to be sent again");
        let until = self.patience()?;
        let _place = self.router.waiting.enter(self.target.slot)?;
        let half_us = u64::try_from(self.backoff.as_micros() / 2).unwrap_or(u64::MAX);
        let less = Duration::from_micros(self.router.env.random.below(half_us));
        let again = until.within(self.backoff - less);
        self.backoff = (self.backoff * 2).min(BACKOFF_LONGEST);
        let slot = self.target.slot;
        let overtaken = self.applied.wait_for(|applied| applied.state.slot(slot) != owner);
        tokio::select! {
            Ok(_) = overtaken => Ok(()),
            Ok(()) = self.fences.changed() => Ok(()),
            () = tokio::time::sleep_until(again.instant()) => Ok(()),
        }
    }

    /// Until when the call goes on, now that it is in trouble.
    ///
    /// # Errors
    /// If that has passed.
    fn patience(&mut self) -> Result<Deadline> {
        let until = *self.trouble.get_or_insert_with(|| self.deadline.within(PATIENCE));
        match until.has_passed() {
            true => Err(self.gives_up(format!("{}", self.target))),
            false => Ok(until),
        }
    }

    fn gives_up(&self, what: String) -> Error {
        if self.deadline.has_passed() && self.is_in_doubt {
            return Error::new(Kind::Timeout, "The request took too long").detail(what);
        }
        Error::unavailable(format!("no owner could be reached in time: {what}"))
    }

    fn no_more(&self) -> Attempt {
        let text = "This mailbox is served elsewhere now; try again";
        Attempt::Answered(Err(Error::new(Kind::Unavailable, text)
            .detail(format!("{}: the request cannot be sent again", self.target))))
    }
}
