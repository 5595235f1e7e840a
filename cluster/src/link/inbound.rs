//! What the other end of a link asks: served within the window that it was granted.

use super::error::{Executed, violation};
use super::frame::{FailureHead, Frame, PAYLOAD_BYTES_MAX, RequestHead, too_large};
use super::handler::{Incoming, LinkHandler};
use super::outgoing::Outgoing;
use super::window::{Lane, Window, Windows, cost_bytes};
use base::router::{HINT_TIME, Parcel};
use base::{BootId, ByteBudget, ByteShare, Deadline, Error, NodeId, Result, with_deadline};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(super) struct Inbound {
    state: Mutex<State>,
    granted: Windows,
    handler: Arc<dyn LinkHandler>,
    outgoing: Arc<Outgoing>,
    /// Bytes of answers that wait to be written.
    waiting: ByteBudget,
    from: NodeId,
    from_boot: BootId,
    ended: CancellationToken,
}

#[derive(Default)]
struct State {
    served: HashMap<u64, Served>,
    used: [Window; 2],
    /// New requests are refused.
    refuses: bool,
}

/// A request from its arrival until its answer is being written.
struct Served {
    lane: Lane,
    cost_bytes: u64,
    cancel: CancellationToken,
}

impl Inbound {
    pub(super) fn new(
        granted: Windows,
        handler: Arc<dyn LinkHandler>,
        outgoing: Arc<Outgoing>,
        reply_bytes_max: usize,
        (from, from_boot): (NodeId, BootId),
    ) -> Arc<Self> {
        let (waiting, ended) = (ByteBudget::new(reply_bytes_max), outgoing.ended.child_token());
        let state = Mutex::default();
        Arc::new(Self { state, granted, handler, outgoing, waiting, from, from_boot, ended })
    }

    /// A request or hint has come.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if it exceeds the window or repeats a number.
    pub(super) fn arrived(
        self: &Arc<Self>,
        head: RequestHead,
        payload: Bytes,
        is_hint: bool,
    ) -> Result<()> {
        let cost_bytes = cost_bytes(payload.len()) as u64;
        let (lane, id) = (head.lane, head.id);
        let cancel = self.ended.child_token();
        let refuses = {
            let mut state = self.state.lock();
            let granted = self.granted.of(lane);
            let used = &mut state.used[lane.index()];
            let more = Window {
                requests: used.requests + 1,
                bytes: used.bytes.saturating_add(cost_bytes),
            };
            if more.requests > granted.requests || more.bytes > granted.bytes {
                return Err(violation(format!("{more:?} where {granted:?} is granted")));
            }
            *used = more;
            let served = Served { lane, cost_bytes, cancel: cancel.clone() };
            if state.served.insert(id, served).is_some() {
                return Err(violation(format!("request {id} a second time")));
            }
            state.refuses
        };
        let serving = Serving { inbound: self.clone(), id, lane, is_hint, is_answered: false };
        if refuses {
            let error = Error::unavailable("the other node is closing the link");
            serving.fail(Executed::No, error);
        } else {
            tokio::spawn(self.clone().serve(head, payload, cancel, serving));
        }
        Ok(())
    }

    async fn serve(
        self: Arc<Self>,
        head: RequestHead,
        payload: Bytes,
        cancel: CancellationToken,
        serving: Serving,
    ) {
        let limit = if serving.is_hint { HINT_TIME } else { Deadline::FARTHEST };
        let deadline = Deadline::after(limit.min(Duration::from_millis(head.deadline_ms.into())));
        let incoming = Incoming {
            from: self.from,
            from_boot: self.from_boot,
            target: head.target,
            epoch: head.epoch,
            hops: head.hops,
            payload: Parcel::bytes(payload),
            deadline,
        };
        let work = with_deadline(deadline, async {
            let reply = self.handler.handle(incoming).await?.into_bytes()?;
            if reply.len() > PAYLOAD_BYTES_MAX {
                return Err(too_large(reply.len()));
            }
            Ok(reply)
        });
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::unavailable("the caller went away")),
            outcome = work => outcome,
        };
        match outcome {
            Ok(reply) => match self.waiting.take(reply.len(), deadline).await {
                Ok(share) => serving.reply(reply, share),
                Err(error) => serving.fail(Executed::Unknown, error),
            },
            Err(error) if error.kind == base::Kind::Timeout || cancel.is_cancelled() => {
                serving.fail(Executed::Unknown, error);
            }
            Err(error) => serving.fail(Executed::Answered, error),
        }
    }

    /// The caller of a request went away. It may have been answered at the same time.
    pub(super) fn cancel(&self, id: u64) {
        if let Some(served) = self.state.lock().served.get(&id) {
            served.cancel.cancel();
        }
    }

    /// The answer is being written: the other end may use its credit again.
    pub(super) fn release(&self, id: u64) {
        let mut state = self.state.lock();
        if let Some(Served { lane, cost_bytes, .. }) = state.served.remove(&id) {
            let used = &mut state.used[lane.index()];
            used.requests -= 1;
            used.bytes -= cost_bytes;
        }
    }

    /// New requests are refused from now on.
    pub(super) fn refuse(&self) {
        self.state.lock().refuses = true;
    }

    pub(super) fn served(&self) -> usize {
        self.state.lock().served.len()
    }
}

/// Owes an answer; gives one in any case, even if the handler panics.
struct Serving {
    inbound: Arc<Inbound>,
    id: u64,
    lane: Lane,
    is_hint: bool,
    is_answered: bool,
}

impl Serving {
    fn reply(mut self, payload: Bytes, share: ByteShare) {
        let frame = Frame::Reply { id: self.id, payload };
        self.answer(frame, Some(share));
    }

    fn fail(mut self, executed: Executed, error: Error) {
        self.answer(Frame::Failure(FailureHead { id: self.id, executed, error }), None);
    }

    fn answer(&mut self, frame: Frame, share: Option<ByteShare>) {
        self.is_answered = true;
        match (&frame, self.is_hint) {
            (_, false) => self.inbound.outgoing.answer(self.lane, self.id, frame, share),
            (Frame::Failure(head), true) => {
                tracing::debug!(error = %head.error, from = %self.inbound.from, "hint failed");
                self.inbound.outgoing.hint_done(self.id);
            }
            (_, true) => self.inbound.outgoing.hint_done(self.id),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.is_answered {
            let error = Error::internal("the handler of a link's request was dropped");
            let (id, executed) = (self.id, Executed::Unknown);
            self.answer(Frame::Failure(FailureHead { id, executed, error }), None);
        }
    }
}
