//! The connection of a database handle: requests by number, many at a time, over reconnections.
//!
//! While the server is away requests wait without limit, as with a real cluster (fact 23). After a
//! reconnection all are asked again but the commits that had been sent: those are unknown (1021).
//! That is told only when the server says that they cannot happen any more: a commit of which it is
//! not known whether it happened must not happen later.

use super::network;
use crate::codes;
use crate::server::outbox::Outbox;
use crate::wire::{self, Request, Response};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long to wait before the next attempt at a connection: doubled from the first to the last.
const RECONNECT_MS: (u64, u64) = (10, 320);

/// How much is read at a time, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Said what this is.
static SAID: AtomicBool = AtomicBool::new(false);

/// A connection to one server. It is made with the first request.
pub(super) struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    address: SocketAddr,
    outbox: Outbox,
    state: Mutex<State>,
    closed: CancellationToken,
}

#[derive(Default)]
struct State {
    // Ordered, so that requests are asked again in the order of their first time.
    pending: BTreeMap<u64, Pending>,
    last_number: u64,
    started: bool,
    connected: bool,
    /// Commits that were sent before a connection broke, until it is known that they are over.
    lost: Vec<oneshot::Sender<Result<Response, i32>>>,
    /// The number of the request that asks for that.
    barrier: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Watch,
    Commit,
}

struct Pending {
    kind: Kind,
    sent: bool,
    /// Empty for a commit that was sent.
    frame: Vec<u8>,
    reply: oneshot::Sender<Result<Response, i32>>,
}

impl Link {
    pub(super) fn new(address: SocketAddr) -> Self {
        let (outbox, state) = (Outbox::default(), Mutex::new(State::default()));
        let inner = Inner { address, outbox, state, closed: CancellationToken::new() };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Sends a request, now or when the server is there.
    pub(super) fn ask(&self, request: &Request) -> Waiting {
        let kind = match request {
            Request::Commit(_) => Kind::Commit,
            Request::Watch { .. } => Kind::Watch,
            _ => Kind::Read,
        };
        let (reply, answer) = oneshot::channel();
        let mut frame = Vec::new();
        let mut state = self.inner.state.lock();
        state.last_number += 1;
        let number = state.last_number;
        if !wire::put(&mut frame, number, request) {
            // It was never sent, so nothing has happened; nobody else would answer it.
            let _ = reply.send(Err(codes::TRANSACTION_TOO_LARGE));
            drop(state);
            return Waiting { inner: self.inner.clone(), number, answer };
        }
        let sent = state.connected;
        if sent {
            self.inner.outbox.put_encoded(&frame);
            if kind == Kind::Commit {
                frame = Vec::new();
            }
        }
        state.pending.insert(number, Pending { kind, sent, frame, reply });
        if !state.started {
            state.started = true;
            let inner = self.inner.clone();
            network::spawn(async move {
                tokio::select! {
                    () = inner.run() => {}
                    () = inner.closed.cancelled() => {}
                }
            });
        }
        drop(state);
        Waiting { inner: self.inner.clone(), number, answer }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.inner.closed.cancel();
    }
}

/// A request that waits for its answer. Dropping it takes the request back, unless it is a commit
/// that was sent: that may happen or not.
pub(super) struct Waiting {
    inner: Arc<Inner>,
    number: u64,
    answer: oneshot::Receiver<Result<Response, i32>>,
}

impl Waiting {
    pub(super) async fn wait(mut self) -> Result<Response, i32> {
        match (&mut self.answer).await {
            Ok(Ok(Response::Failed(code))) => Err(code),
            Ok(answer) => answer,
            Err(_) => Err(codes::BROKEN_PROMISE),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        let keep = |pending: &Pending| pending.kind == Kind::Commit && pending.sent;
        if state.pending.get(&self.number).is_none_or(keep) {
            return;
        }
        let taken = state.pending.remove(&self.number);
        if state.connected && taken.is_some_and(|pending| pending.kind == Kind::Watch) {
            let mut frame = Vec::new();
            // A number always fits.
            if wire::put(&mut frame, 0, &Request::Forget(self.number)) {
                self.inner.outbox.put_encoded(&frame);
            }
        }
    }
}

impl Inner {
    async fn run(&self) {
        let mut wait_ms = RECONNECT_MS.0;
        loop {
            if let Ok(connection) = TcpStream::connect(self.address).await {
                wait_ms = RECONNECT_MS.0;
                if !SAID.swap(true, Ordering::Relaxed) {
                    crate::say_what_this_is(&format!("library, connected to {}", self.address));
                }
                self.serve(connection).await;
            }
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            wait_ms = (wait_ms * 2).min(RECONNECT_MS.1);
        }
    }

    async fn serve(&self, connection: TcpStream) {
        let _ = connection.set_nodelay(true);
        let (reader, writer) = connection.into_split();
        self.connected();
        tokio::select! {
            () = self.read(reader) => {}
            _ = self.outbox.drain(writer) => {}
        }
        self.disconnected();
    }

    fn connected(&self) {
        let mut state = self.state.lock();
        self.outbox.clear();
        for pending in state.pending.values_mut() {
            self.outbox.put_encoded(&pending.frame);
            pending.sent = true;
            if pending.kind == Kind::Commit {
                pending.frame = Vec::new();
            }
        }
        state.connected = true;
        if !state.lost.is_empty() {
            state.last_number += 1;
            state.barrier = state.last_number;
            self.outbox.put(state.barrier, &Request::Barrier);
        }
    }

    fn disconnected(&self) {
        let mut state = self.state.lock();
        state.connected = false;
        self.outbox.clear();
        let lost = |pending: &Pending| pending.kind == Kind::Commit && pending.sent;
        let state = &mut *state;
        let lost = state.pending.extract_if(.., |_, pending| lost(pending));
        state.lost.extend(lost.map(|(_, pending)| pending.reply));
    }

    async fn read(&self, mut from: OwnedReadHalf) {
        let mut buffer = Vec::with_capacity(READ_BYTES);
        loop {
            let mut rest = &buffer[..];
            loop {
                match wire::take(&mut rest) {
                    Ok(Some((number, response))) => self.answer(number, response),
                    Ok(None) => break,
                    Err(()) => return,
                }
            }
            let taken = buffer.len() - rest.len();
            buffer.drain(..taken);
            buffer.reserve(READ_BYTES);
            match from.read_buf(&mut buffer).await {
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
    }

    fn answer(&self, number: u64, response: Response) {
        let mut state = self.state.lock();
        if number == state.barrier {
            for reply in state.lost.drain(..) {
                let _ = reply.send(Err(codes::COMMIT_UNKNOWN));
            }
            return;
        }
        if let Some(pending) = state.pending.remove(&number) {
            // Whoever asked may have gone.
            let _ = pending.reply.send(Ok(response));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Change, Commit};
    use bytes::Bytes;

    #[tokio::test]
    async fn a_request_that_is_too_long_fails_at_once() {
        let link = Link::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let value = Change::Set(Bytes::from("k"), Bytes::from(vec![0; 65 << 20]));
        let commit = Commit { mutations: vec![value], ..Commit::default() };
        let answer = link.ask(&Request::Commit(commit)).wait().await;
        assert!(matches!(answer, Err(codes::TRANSACTION_TOO_LARGE)), "{answer:?}");
        assert!(link.inner.state.lock().pending.is_empty());
    }
}
