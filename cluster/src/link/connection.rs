//! One established link: the hello at its beginning, then reading, writing and pings until the
//! first of them ends.

use super::error::{CallError, violation};
use super::frame::{FRAME_BYTES_MAX, FailureHead, Frame};
use super::handler::LinkHandler;
use super::hello::Hello;
use super::inbound::Inbound;
use super::joining::send;
use super::outgoing::{Outbound, Outgoing, Step};
use super::reading::{FrameReader, broken};
use super::security::Secured;
use super::settings::LinkSettings;
use super::window::Windows;
use base::env::{Clock, Stream};
use base::{Deadline, Error, Result, Timestamp};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio_util::sync::CancellationToken;

/// How many bytes of small frames are gathered into one write.
const GATHER_BYTES: usize = 32 << 10;

/// Payloads from this size on are written from their own buffer.
const COPY_BYTES_MAX: usize = 8 << 10;

/// How often a link that is being closed looks whether all is answered.
const RETIRING_LOOK: Duration = Duration::from_millis(20);

/// A link to another node.
pub struct Link {
    /// Who the other end is and what it understands.
    pub peer: Hello,
    /// The schema of frames that was agreed on.
    pub schema: u16,
    settings: LinkSettings,
    clock: Arc<dyn Clock>,
    outgoing: Arc<Outgoing>,
    inbound: Arc<Inbound>,
    /// Until when the other end's certificate is good.
    good_until: Option<Timestamp>,
    pings: Mutex<Pings>,
    retired: CancellationToken,
}

#[derive(Default)]
struct Pings {
    last_nonce: u64,
    /// When the ping that waits for its pong was written.
    written_at: Option<Duration>,
    round_trip: Option<Duration>,
}

/// How a link is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkStatus {
    /// Who the other end is.
    pub peer: Hello,
    /// The schema of frames that was agreed on.
    pub schema: u16,
    /// How long a ping takes, smoothed; `None` before the first.
    pub round_trip: Option<Duration>,
    /// Requests and hints of this node that are unanswered.
    pub asked: usize,
    /// Requests and hints of the other node that are unanswered.
    pub served: usize,
}

/// Which end of a link this is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Dials,
    Accepts,
}

/// The stream of a link, for [`Link::run`].
pub(super) struct Wires {
    frames: FrameReader<ReadHalf<Box<dyn Stream>>>,
    writer: WriteHalf<Box<dyn Stream>>,
}

impl Link {
    /// Says hello and checks the other end's. `admit` decides whether this node is wanted.
    pub(super) async fn establish(
        secured: Secured,
        (own, side): (&Hello, Side),
        settings: &LinkSettings,
        (handler, clock): (Arc<dyn LinkHandler>, Arc<dyn Clock>),
        admit: impl FnOnce(&Hello) -> Result<()>,
    ) -> Result<(Arc<Self>, Wires)> {
        let (read, mut writer) = tokio::io::split(secured.stream);
        let mut frames = FrameReader::new(read, settings.frame_time, settings.silence_max);
        // Who accepts says hello only to whom it accepts. So the one that dialled knows, once it
        // has read it, that requests will be served.
        let hello = Frame::Hello(own.clone());
        if side == Side::Dials {
            send(&mut writer, &hello).await?;
        }
        let peer = match frames.next().await? {
            Some(Frame::Hello(peer)) => peer,
            Some(Frame::Goodbye { why }) => return Err(broken(format!("it refused: {why}"))),
            Some(_) => return Err(violation("the first frame is no hello")),
            None => return Err(broken("it was closed before the hello")),
        };
        let proven = secured.peer.map(|facts| facts.identity.node);
        let checked = check(own, &peer, proven).and_then(|schema| admit(&peer).map(|()| schema));
        let schema = match checked {
            Ok(schema) => schema,
            Err(error) => {
                // A courtesy; the other end may be gone already.
                let goodbye = Frame::Goodbye { why: error.detail.clone() };
                if send(&mut writer, &goodbye).await.is_ok() {
                    let _gone = writer.shutdown().await;
                }
                return Err(error);
            }
        };
        if side == Side::Accepts {
            send(&mut writer, &hello).await?;
        }
        frames.allow(FRAME_BYTES_MAX);
        let (theirs, ours) = (peer.windows, settings.windows);
        let windows =
            Windows { control: theirs.control.min(ours.control), data: theirs.data.min(ours.data) };
        let outgoing = Outgoing::new(&windows, settings);
        let (from, waiting) = ((peer.node, peer.boot), settings.reply_bytes_max);
        let inbound = Inbound::new(own.windows, handler, outgoing.clone(), waiting, from);
        let link = Self {
            schema,
            settings: *settings,
            clock,
            outgoing,
            inbound,
            good_until: secured.peer.map(|facts| facts.not_after),
            pings: Mutex::default(),
            retired: CancellationToken::new(),
            peer,
        };
        Ok((Arc::new(link), Wires { frames, writer }))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// See [`CallError`]: [`base::Kind::Unavailable`] when the link breaks,
    /// [`base::Kind::Overloaded`] when the request could not be written in time,
    /// [`base::Kind::Timeout`] when no answer came in time, [`base::Kind::Limit`] for a payload
    /// that is too large; the target's own.
    pub async fn call(&self, outbound: Outbound, deadline: Deadline) -> Result<Bytes, CallError> {
        self.outgoing.call(outbound, deadline).await
    }

    /// Tells without waiting.
    ///
    /// # Errors
    /// When there is no credit for it now, or no link.
    pub fn hint(&self, outbound: Outbound) -> Result<(), CallError> {
        self.outgoing.hint(outbound)
    }

    /// Whether calls may use it.
    pub fn is_usable(&self) -> bool {
        self.outgoing.is_usable()
    }

    /// How it is doing.
    pub fn status(&self) -> LinkStatus {
        LinkStatus {
            peer: self.peer.clone(),
            schema: self.schema,
            round_trip: self.pings.lock().round_trip,
            asked: self.outgoing.open(),
            served: self.inbound.served(),
        }
    }

    /// Closes it as soon as everything that is under way has been answered. New requests are
    /// refused, on both sides.
    pub fn retire(&self, why: &str) {
        self.inbound.refuse();
        self.outgoing.retire(Some(why));
        self.retired.cancel();
    }

    /// Ends it at once; what is under way fails.
    pub(super) fn end(&self, why: &Error) {
        self.outgoing.end(why);
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        self.outgoing.ended.cancelled().await;
    }

    /// Works until the link ends; gives why.
    pub(super) async fn run(self: Arc<Self>, wires: Wires) -> Error {
        let Wires { frames, writer } = wires;
        let in_frame = frames.in_frame.clone();
        let why = tokio::select! {
            why = self.read(frames) => why,
            why = self.write(writer) => why,
            why = self.keep_alive(&in_frame) => why,
            () = self.outgoing.ended.cancelled() => broken("it was replaced or given up"),
            never = self.close_when_idle() => match never {},
        };
        self.end(&why);
        why
    }

    async fn read(&self, mut frames: FrameReader<ReadHalf<Box<dyn Stream>>>) -> Error {
        loop {
            let taken = match frames.next().await {
                Ok(Some(frame)) => self.take(frame).await,
                Ok(None) => return broken("the other end has closed it"),
                Err(error) => return error,
            };
            if let Err(error) = taken {
                return error;
            }
        }
    }

    async fn take(&self, frame: Frame) -> Result<()> {
        match frame {
            Frame::Request { head, payload } => self.inbound.arrived(head, payload, false),
            Frame::Hint { head, payload } => self.inbound.arrived(head, payload, true),
            Frame::Reply { id, payload } => self.outgoing.answered(id, Ok(payload)).await,
            Frame::Failure(FailureHead { id, executed, error }) => {
                self.outgoing.answered(id, Err(CallError { error, executed })).await
            }
            Frame::Cancel { id } => {
                self.inbound.cancel(id);
                Ok(())
            }
            Frame::Credit { ids } => self.outgoing.hints_done(&ids),
            Frame::Ping { nonce } => {
                self.outgoing.pong(nonce);
                Ok(())
            }
            Frame::Pong { nonce } => {
                self.pong(nonce);
                Ok(())
            }
            Frame::Goodbye { why } => {
                tracing::debug!(peer = %self.peer.node, why, "the other node closes the link");
                self.outgoing.retire(None);
                Ok(())
            }
            Frame::Ignored { .. } => Ok(()),
            Frame::Hello(_) | Frame::JoinRequest(_) | Frame::JoinReply(_) => {
                Err(violation("a frame that belongs to the beginning"))
            }
        }
    }

    async fn write(&self, mut writer: WriteHalf<Box<dyn Stream>>) -> Error {
        let mut gathered = Vec::with_capacity(GATHER_BYTES / 4);
        while let Some(first) = self.outgoing.next().await {
            if let Err(error) = self.write_from(first, &mut writer, &mut gathered).await {
                return error;
            }
            if gathered.capacity() > 2 * GATHER_BYTES {
                gathered = Vec::new();
            }
        }
        // The other end reads an orderly end; that it may be gone changes nothing.
        let goodbye = tokio::time::timeout(self.settings.frame_time, writer.shutdown());
        let _gone = goodbye.await;
        broken("it was closed")
    }

    /// Writes this frame and whatever follows it at once.
    async fn write_from(
        &self,
        first: Step,
        writer: &mut WriteHalf<Box<dyn Stream>>,
        gathered: &mut Vec<u8>,
    ) -> Result<()> {
        let mut next = Some(first);
        while let Some(step) = next {
            for id in &step.answers {
                self.inbound.release(*id);
            }
            if matches!(step.frame, Frame::Ping { .. }) {
                self.pings.lock().written_at = Some(self.clock.monotonic());
            }
            let encoded = step.frame.encode()?;
            gathered.extend_from_slice(&encoded.front);
            if encoded.payload.len() <= COPY_BYTES_MAX {
                gathered.extend_from_slice(&encoded.payload);
            } else {
                self.in_time(writer.write_all(gathered)).await?;
                gathered.clear();
                self.in_time(writer.write_all(&encoded.payload)).await?;
            }
            drop(step.share);
            if gathered.len() >= GATHER_BYTES {
                break;
            }
            next = self.outgoing.poll_next();
        }
        self.in_time(writer.write_all(gathered)).await?;
        gathered.clear();
        self.in_time(writer.flush()).await
    }

    async fn in_time(&self, write: impl Future<Output = std::io::Result<()>>) -> Result<()> {
        match tokio::time::timeout(self.settings.frame_time, write).await {
            Ok(written) => written.map_err(broken),
            Err(_) => Err(broken("the other end does not read")),
        }
    }

    async fn keep_alive(&self, in_frame: &AtomicBool) -> Error {
        loop {
            self.clock.sleep(self.settings.ping_every).await;
            if self.good_until.is_some_and(|end| end < self.clock.now()) {
                return broken("the other node's certificate has run out");
            }
            let now = self.clock.monotonic();
            let mut pings = self.pings.lock();
            match pings.written_at {
                Some(at) if now.saturating_sub(at) < self.settings.silence_max => {}
                // A large frame stands before the pong; it has a time limit of its own.
                Some(_) if in_frame.load(Ordering::Relaxed) => {}
                Some(_) => return broken("pings are not answered"),
                None => {
                    pings.last_nonce += 1;
                    self.outgoing.ping(pings.last_nonce);
                }
            }
        }
    }

    fn pong(&self, nonce: u64) {
        let mut pings = self.pings.lock();
        if nonce != pings.last_nonce {
            return;
        }
        if let Some(written_at) = pings.written_at.take() {
            let took = self.clock.monotonic().saturating_sub(written_at);
            pings.round_trip = Some(pings.round_trip.map_or(took, |old| (old * 7 + took) / 8));
        }
    }

    /// Once retired: hangs up when everything has been answered, or when that takes too long.
    async fn close_when_idle(&self) -> std::convert::Infallible {
        self.retired.cancelled().await;
        let deadline = Deadline::after(self.settings.frame_time);
        let is_idle = || self.outgoing.is_idle() && self.inbound.served() == 0;
        while !is_idle() && !deadline.has_passed() {
            self.clock.sleep(RETIRING_LOOK).await;
        }
        self.outgoing.hang_up();
        std::future::pending().await
    }
}

/// Whether the two belong together; gives the schema that both speak.
fn check(own: &Hello, peer: &Hello, proven: Option<base::NodeId>) -> Result<u16> {
    if peer.cluster_id != own.cluster_id {
        return Err(violation(format!("it is of cluster {:032x}", peer.cluster_id)));
    }
    if proven.is_some_and(|node| node != peer.node) {
        return Err(violation(format!("it says {} and has proven {proven:?}", peer.node)));
    }
    if peer.node == own.node {
        return Err(violation(format!("it is {} as well", peer.node)));
    }
    own.agree(peer)
}
