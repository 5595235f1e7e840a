//! One connection: reads requests, answers them in any order.

use super::committer::{Job, Waiter};
use super::outbox::Outbox;
use super::shared::Shared;
use crate::wire::{self, Request, Response, Scan};
use contract_store::StoreResult;
use contract_store::rules::WatchRequest;
use futures::channel::oneshot;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How much is read at a time, in bytes.
const READ_BYTES: usize = 64 << 10;

/// How many requests of a connection may wait; more are not read.
const WAITING_MAX: usize = 1_024;

/// Serves a connection until it breaks or the server plays dead.
pub(super) async fn serve(shared: Arc<Shared>, connection: TcpStream) {
    // Small answers must not wait for each other.
    let _ = connection.set_nodelay(true);
    let (reader, writer) = connection.into_split();
    let outbox = Arc::new(Outbox::default());
    let mut gate = shared.gate.subscribe();
    let (requests, waiting) = mpsc::channel(WAITING_MAX);
    let mut session = Session {
        shared: shared.clone(),
        outbox: outbox.clone(),
        watches: HashMap::new(),
        watches_swept_at: WATCHES_SWEPT_AT,
    };
    tokio::select! {
        () = read(&shared, reader, requests) => {}
        () = session.answer_all(waiting) => {}
        _ = outbox.drain(writer) => {}
        _ = gate.wait_for(|gate| gate.dead) => {}
        () = shared.stop.cancelled() => {}
    }
    for (_, watch) in session.watches {
        watch.abort();
    }
}

/// A request with what the server was like when it came.
struct Arrived {
    number: u64,
    request: Request,
    outages: u64,
    during_outage: bool,
}

/// Reads requests, also during an outage: then it is seen which came while it lasted.
async fn read(shared: &Shared, mut from: OwnedReadHalf, to: mpsc::Sender<Arrived>) {
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        let mut rest = &buffer[..];
        loop {
            let (number, request) = match wire::take(&mut rest) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(()) => return,
            };
            let gate = *shared.gate.borrow();
            let (outages, during_outage) = (gate.outages, gate.stalled);
            if to.send(Arrived { number, request, outages, during_outage }).await.is_err() {
                return;
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

struct Session {
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    /// Those that wait, by the number of their request.
    watches: HashMap<u64, AbortHandle>,
    /// When there are so many, those that fired are forgotten.
    watches_swept_at: usize,
}

/// How many watches a connection has before the first sweep.
const WATCHES_SWEPT_AT: usize = 64;

impl Session {
    async fn answer_all(&mut self, mut requests: mpsc::Receiver<Arrived>) {
        while let Some(request) = requests.recv().await {
            self.answer(request).await;
        }
    }

    async fn answer(&mut self, arrived: Arrived) {
        let Arrived { number, request, outages, during_outage } = arrived;
        let request = match request {
            Request::Control(control) => {
                let (shared, outbox) = (self.shared.clone(), self.outbox.clone());
                tokio::spawn(async move {
                    let stats = shared.control(control).await;
                    outbox.put(number, &Response::Stats(Box::new(stats)));
                });
                return;
            }
            other => other,
        };
        self.shared.wait_out_outage().await;
        match request {
            Request::Commit(commit) => {
                let waiter = Waiter::Client { number, outbox: self.outbox.clone() };
                let job = Job { commit, waiter, outages, during_outage };
                let _ = self.shared.jobs.send(job).await;
            }
            Request::Watch { key, expected } => self.watch(number, key, expected),
            Request::Forget(watch) => {
                if let Some(watch) = self.watches.remove(&watch) {
                    watch.abort();
                }
            }
            Request::Scan(scan) => self.scan(number, scan),
            Request::Barrier => {
                let (shared, outbox) = (self.shared.clone(), self.outbox.clone());
                tokio::spawn(async move {
                    shared.barrier().await;
                    outbox.put(number, &Response::Done);
                });
            }
            other => {
                let response = look_up(&self.shared, other);
                self.outbox.put(number, &response);
            }
        }
    }

    /// Answers with a page, at once or slowly.
    fn scan(&self, number: u64, scan: Scan) {
        let slow = {
            let mut engine = self.shared.engine.lock();
            let faults = engine.faults.clone();
            let slow = faults.slowness(&mut engine.dice);
            engine.stats.faults += u64::from(slow.is_some());
            slow
        };
        let (shared, outbox) = (self.shared.clone(), self.outbox.clone());
        let Some(slow_ms) = slow else {
            outbox.put(number, &page(&shared, &scan));
            return;
        };
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(slow_ms)).await;
            outbox.put(number, &page(&shared, &scan));
        });
    }

    fn watch(&mut self, number: u64, key: bytes::Bytes, expected: Option<bytes::Bytes>) {
        let (reply, answer) = oneshot::channel();
        self.shared.engine.lock().watch(WatchRequest { key, expected, reply });
        let outbox = self.outbox.clone();
        let waiting = tokio::spawn(async move {
            outbox.put(number, &fired(answer.await));
        });
        if self.watches.len() >= self.watches_swept_at {
            self.watches.retain(|_, watch| !watch.is_finished());
            self.watches_swept_at = (2 * self.watches.len()).max(WATCHES_SWEPT_AT);
        }
        self.watches.insert(number, waiting.abort_handle());
    }
}

fn fired(answer: Result<StoreResult<()>, oneshot::Canceled>) -> Response {
    match answer {
        Ok(Ok(())) => Response::Fired,
        Ok(Err(error)) => Response::Failed(error.code()),
        Err(_) => Response::Failed(crate::codes::BROKEN_PROMISE),
    }
}

fn page(shared: &Shared, scan: &Scan) -> Response {
    let now = shared.now();
    let mut engine = shared.engine.lock();
    if let Some(code) = engine.ordered_failure() {
        return Response::Failed(code);
    }
    match engine.scan(scan, now) {
        Ok((rows, more)) => Response::Rows { rows, more },
        Err(code) => Response::Failed(code),
    }
}

/// Answers what needs no waiting.
fn look_up(shared: &Shared, request: Request) -> Response {
    let now = shared.now();
    let mut engine = shared.engine.lock();
    if let Some(code) = engine.ordered_failure() {
        return Response::Failed(code);
    }
    let answer = match request {
        Request::ReadVersion => Ok(Response::Version(engine.read_version(now))),
        Request::Get { version, key } => engine.get(version, &key, now).map(Response::Value),
        Request::Size { version, span } => engine.size(version, &span, now).map(Response::Version),
        Request::Split { version, span, chunk_bytes } => {
            engine.split(version, &span, chunk_bytes, now).map(Response::Keys)
        }
        _ => Err(crate::codes::INVALID_OPERATION),
    };
    answer.unwrap_or_else(Response::Failed)
}
