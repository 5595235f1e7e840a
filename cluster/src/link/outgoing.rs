//! What one end of a link has to say: the calls that wait for answers, and the queue of frames.
//!
//! Bounded without a limit of its own, but for those who wait for credit ([`Waiting`]): each
//! request and hint holds a credit of the other end's window until it is answered, each answer
//! belongs to a request within this end's window, and of everything else there is at most one (a
//! newer ping or pong takes the place of the last).

use super::error::{CallError, Executed, violation};
use super::frame::{CREDITS_MAX, Frame, PAYLOAD_BYTES_MAX, RequestHead, too_large};
use super::reading::broken;
use super::settings::LinkSettings;
use super::waiting::Waiting;
use super::window::{Credit, Credits, Lane, Windows};
use base::router::{HINT_TIME, Target};
use base::{ByteBudget, ByteShare, Deadline, Epoch, Error, Kind, Result};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// How long a caller may leave its answer, while others' answers have no room, before theirs are
/// thrown away. One that is being polled takes it at once.
const TAKING_TIME: Duration = Duration::from_millis(100);

/// A request or hint for another node. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outbound {
    /// Which window it uses.
    pub lane: Lane,
    /// Who is asked.
    pub target: Target,
    /// The epoch of the target's slot as this node knows it.
    pub epoch: Epoch,
    /// How many nodes have passed it on before.
    pub hops: u8,
    /// The encoded request.
    pub payload: Bytes,
}

/// An answer's payload, and its share of the bytes that may wait to be taken.
type Outcome = Result<(Bytes, ByteShare), CallError>;

pub(super) struct Outgoing {
    state: Mutex<State>,
    wake: Notify,
    credits: [Credits; 2],
    /// Who waits for credit, by lane.
    waiting: [Waiting; 2],
    /// Bytes of answers that came and were not taken yet.
    arrived: ByteBudget,
    /// Nothing new is asked any more: who waits for credit need not.
    refuses: CancellationToken,
    pub(super) ended: CancellationToken,
}

#[derive(Default)]
struct State {
    /// Why there is no link any more.
    end: Option<Error>,
    /// Nothing new may be asked; what was asked is still answered.
    is_retiring: bool,
    /// What is queued is still written, then the stream is closed.
    hangs_up: bool,
    last_number: u64,
    lanes: [BTreeMap<u64, Queued>; 2],
    open: HashMap<u64, Open>,
    cancels: Vec<u64>,
    hints_done: Vec<u64>,
    ping: Option<u64>,
    pong: Option<u64>,
    goodbye: Option<String>,
}

/// A request or hint that has not been answered.
struct Open {
    /// Whether its first byte may have been written.
    is_sent: bool,
    /// Who waits; nobody for a hint or when the caller has gone away.
    waiter: Option<oneshot::Sender<Outcome>>,
    is_hint: bool,
    _credit: Credit,
}

enum Queued {
    Ask { outbound: Outbound, deadline: Deadline, is_hint: bool },
    Answer { id: u64, frame: Frame, share: Option<ByteShare> },
}

/// The next thing to be written.
pub(super) struct Step {
    pub(super) frame: Frame,
    /// Requests and hints of the other end that this frame answers.
    pub(super) answers: Vec<u64>,
    /// Held until it is written.
    pub(super) share: Option<ByteShare>,
}

impl From<Frame> for Step {
    fn from(frame: Frame) -> Self {
        Self { frame, answers: Vec::new(), share: None }
    }
}

impl Outgoing {
    pub(super) fn new(windows: &Windows, settings: &LinkSettings) -> Arc<Self> {
        let (calls, bytes) = (settings.waiting_max, settings.waiting_bytes_max);
        Arc::new(Self {
            state: Mutex::default(),
            wake: Notify::new(),
            credits: Lane::ALL.map(|lane| Credits::new(windows.of(lane))),
            waiting: Lane::ALL.map(|_| Waiting::new(calls, bytes)),
            arrived: ByteBudget::new(settings.reply_bytes_max),
            refuses: CancellationToken::new(),
            ended: CancellationToken::new(),
        })
    }

    /// Asks, and waits for the answer.
    pub(super) async fn call(
        &self,
        outbound: Outbound,
        deadline: Deadline,
    ) -> Result<Bytes, CallError> {
        let bytes = outbound.payload.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(CallError::not_sent(too_large(bytes)));
        }
        let credit = self.credit(outbound.lane, bytes, deadline).await?;
        let (waiter, answer) = oneshot::channel();
        let id = self.queue_ask(outbound, deadline, Some(waiter), credit)?;
        let call = Call { outgoing: self, id };
        match tokio::time::timeout_at(deadline.instant(), answer).await {
            Ok(Ok(outcome)) => outcome.map(|(payload, _taken)| payload),
            Ok(Err(_)) => Err(CallError::unknown(broken("the link went away"))),
            Err(_) if call.outgoing.abandon(id) => {
                let text = "The request took too long";
                Err(CallError::unknown(Error::new(Kind::Timeout, text).detail("no answer")))
            }
            Err(_) => {
                let error = Error::new(Kind::Overloaded, "Too much work is waiting");
                Err(CallError::not_sent(error.detail("it was not written in time")))
            }
        }
    }

    /// Takes credit, or waits for it: no longer than the link takes requests.
    async fn credit(
        &self,
        lane: Lane,
        bytes: usize,
        deadline: Deadline,
    ) -> Result<Credit, CallError> {
        let credits = &self.credits[lane.index()];
        match credits.try_take(bytes) {
            Err(none) if none.kind == Kind::Overloaded => {}
            taken => return taken.map_err(CallError::not_sent),
        }
        let _place = self.waiting[lane.index()].enter(bytes, "for credit on the link")?;
        tokio::select! {
            biased;
            () = self.refuses.cancelled() => Err(self.no_link()),
            credit = credits.take(bytes, deadline) => credit.map_err(CallError::not_sent),
        }
    }

    /// Tells, if there is credit.
    pub(super) fn hint(&self, outbound: Outbound) -> Result<(), CallError> {
        let bytes = outbound.payload.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(CallError::not_sent(too_large(bytes)));
        }
        let credit = self.credits[outbound.lane.index()].try_take_for_hint(bytes);
        let credit = credit.map_err(CallError::not_sent)?;
        self.queue_ask(outbound, Deadline::after(HINT_TIME), None, credit).map(|_| ())
    }

    fn queue_ask(
        &self,
        outbound: Outbound,
        deadline: Deadline,
        waiter: Option<oneshot::Sender<Outcome>>,
        credit: Credit,
    ) -> Result<u64, CallError> {
        let mut state = self.state.lock();
        if let Some(why) = &state.end {
            return Err(CallError::no_link(&why.detail));
        }
        if state.is_retiring {
            return Err(CallError::no_link("the link is being closed"));
        }
        let (lane, id, is_hint) = (outbound.lane.index(), state.number(), waiter.is_none());
        state.open.insert(id, Open { is_sent: false, waiter, is_hint, _credit: credit });
        state.lanes[lane].insert(id, Queued::Ask { outbound, deadline, is_hint });
        drop(state);
        self.wake.notify_one();
        Ok(id)
    }

    fn no_link(&self) -> CallError {
        let state = self.state.lock();
        let closing = "the link is being closed";
        CallError::no_link(state.end.as_ref().map_or(closing, |why| &why.detail))
    }

    /// The caller does not wait any more. Gives whether the request may have been sent.
    fn abandon(&self, id: u64) -> bool {
        let mut state = self.state.lock();
        let Some(open) = state.open.get_mut(&id) else {
            return true;
        };
        if open.waiter.take().is_none() {
            return open.is_sent;
        }
        if open.is_sent {
            // Its credit comes back with the answer, which is owed all the same.
            state.cancels.push(id);
            drop(state);
            self.wake.notify_one();
            return true;
        }
        state.open.remove(&id);
        state.lanes.iter_mut().for_each(|lane| drop(lane.remove(&id)));
        false
    }

    /// The other end has answered. Waits for a moment while too much was answered that nobody has
    /// taken yet; meanwhile nothing more is read.
    pub(super) async fn answered(&self, id: u64, answer: Result<Bytes, CallError>) -> Result<()> {
        let open = {
            let mut state = self.state.lock();
            match state.open.get(&id) {
                Some(open) if open.is_sent && !open.is_hint => state.open.remove(&id),
                _ => None,
            }
        };
        let open = open.ok_or_else(|| violation("an answer to what was not asked"))?;
        if let Some(waiter) = open.waiter {
            let outcome = match answer {
                Ok(payload) => self.take_share(payload).await,
                Err(failed) => Err(failed),
            };
            // The caller may go away at this very moment.
            drop(waiter.send(outcome));
        }
        Ok(())
    }

    async fn take_share(&self, payload: Bytes) -> Outcome {
        let patience = Deadline::after(TAKING_TIME);
        match self.arrived.take(payload.len(), patience).await {
            Ok(share) => Ok((payload, share)),
            Err(error) => Err(CallError::unknown(error)),
        }
    }

    /// The other end is done with these hints.
    pub(super) fn hints_done(&self, ids: &[u64]) -> Result<()> {
        let mut state = self.state.lock();
        for id in ids {
            match state.open.get(id) {
                Some(open) if open.is_sent && open.is_hint => drop(state.open.remove(id)),
                _ => return Err(violation("credit for a hint that was not sent")),
            }
        }
        Ok(())
    }

    /// Queues the answer to a request of the other end.
    pub(super) fn answer(&self, lane: Lane, id: u64, frame: Frame, share: Option<ByteShare>) {
        self.change(|state| {
            let number = state.number();
            state.lanes[lane.index()].insert(number, Queued::Answer { id, frame, share });
        });
    }

    pub(super) fn hint_done(&self, id: u64) {
        self.change(|state| state.hints_done.push(id));
    }

    pub(super) fn ping(&self, nonce: u64) {
        self.change(|state| state.ping = Some(nonce));
    }

    pub(super) fn pong(&self, nonce: u64) {
        self.change(|state| state.pong = Some(nonce));
    }

    /// Nothing new is asked over this link. With a reason the other end is told.
    pub(super) fn retire(&self, why: Option<&str>) {
        self.change(|state| {
            if !state.is_retiring || why.is_some() {
                state.goodbye = why.map(str::to_owned);
            }
            state.is_retiring = true;
        });
        self.refuses.cancel();
    }

    pub(super) fn is_usable(&self) -> bool {
        let state = self.state.lock();
        state.end.is_none() && !state.is_retiring
    }

    /// Whether nothing waits for an answer or to be written.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.open.is_empty()
            && state.goodbye.is_none()
            && state.lanes.iter().all(BTreeMap::is_empty)
    }

    /// How many requests and hints are unanswered.
    pub(super) fn open(&self) -> usize {
        self.state.lock().open.len()
    }

    /// Writes what is queued and then closes the stream.
    pub(super) fn hang_up(&self) {
        self.change(|state| state.hangs_up = true);
    }

    /// There is no link any more: everybody is told.
    pub(super) fn end(&self, why: &Error) {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return;
        }
        state.end = Some(why.clone());
        let open = std::mem::take(&mut state.open);
        *state =
            State { end: state.end.take(), last_number: state.last_number, ..State::default() };
        drop(state);
        for open in open.into_values() {
            let executed = if open.is_sent { Executed::Unknown } else { Executed::No };
            let error = Error::unavailable(&why.detail);
            if let Some(waiter) = open.waiter {
                drop(waiter.send(Err(CallError { error, executed })));
            }
        }
        self.refuses.cancel();
        self.ended.cancel();
        self.wake.notify_one();
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            change(&mut state);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// What is to be written now, if there is anything.
    pub(super) fn poll_next(&self) -> Option<Step> {
        self.state.lock().next_step()
    }

    /// Waits for something to be written; `None` when there will be nothing more.
    pub(super) async fn next(&self) -> Option<Step> {
        loop {
            let notified = self.wake.notified();
            {
                let mut state = self.state.lock();
                if let Some(step) = state.next_step() {
                    return Some(step);
                }
                if state.end.is_some() || state.hangs_up {
                    return None;
                }
            }
            notified.await;
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn next_step(&mut self) -> Option<Step> {
        if let Some(nonce) = self.pong.take() {
            return Some(Frame::Pong { nonce }.into());
        }
        if let Some(nonce) = self.ping.take() {
            return Some(Frame::Ping { nonce }.into());
        }
        if let Some(id) = self.cancels.pop() {
            return Some(Frame::Cancel { id }.into());
        }
        if !self.hints_done.is_empty() {
            let rest = self.hints_done.len().saturating_sub(CREDITS_MAX);
            let ids = self.hints_done.split_off(rest);
            let step = Step::from(Frame::Credit { ids: ids.clone() });
            return Some(Step { answers: ids, ..step });
        }
        if let Some(why) = self.goodbye.take() {
            return Some(Frame::Goodbye { why }.into());
        }
        for lane in 0..self.lanes.len() {
            while let Some((id, queued)) = self.lanes[lane].pop_first() {
                if let Some(step) = self.step(id, queued) {
                    return Some(step);
                }
            }
        }
        None
    }

    /// `None` for a request whose time is over: its caller finds out by itself.
    fn step(&mut self, number: u64, queued: Queued) -> Option<Step> {
        match queued {
            Queued::Answer { id, frame, share } => Some(Step { frame, answers: vec![id], share }),
            Queued::Ask { deadline, is_hint, .. } if deadline.has_passed() => {
                if is_hint {
                    self.open.remove(&number);
                }
                None
            }
            Queued::Ask { outbound, deadline, is_hint } => {
                self.open.get_mut(&number)?.is_sent = true;
                let Outbound { lane, target, epoch, hops, payload } = outbound;
                // Rounded up, so that what is nearly over is not over on arrival.
                let left_ms = deadline.remaining().as_millis().saturating_add(1);
                let deadline_ms = u32::try_from(left_ms).unwrap_or(u32::MAX);
                let head = RequestHead { id: number, lane, hops, target, epoch, deadline_ms };
                let hint = |head, payload| Frame::Hint { head, payload };
                let ask = |head, payload| Frame::Request { head, payload };
                Some(if is_hint { hint(head, payload) } else { ask(head, payload) }.into())
            }
        }
    }
}

/// A call that waits; dropped before its answer came, it lets the other end know.
struct Call<'a> {
    outgoing: &'a Outgoing,
    id: u64,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.outgoing.abandon(self.id);
    }
}
