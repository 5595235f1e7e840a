//! What one node cannot reach for a while: the store (everything waits), or others' words (it
//! speaks and does not hear).

use async_trait::async_trait;
use base::env::{Listener, Network, Stream};
use bytes::Bytes;
use contract_store::{
    AtomicOp, Committed, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, Store,
    StoreError, StoreResult, Transaction, Version, Versionstamp, Watch,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// The way from one node to the store.
#[derive(Clone)]
pub(super) struct Wire {
    store: Arc<dyn Store>,
    open: Arc<watch::Sender<bool>>,
    /// How long each question takes longer, in milliseconds.
    length: Arc<AtomicU64>,
}

impl Wire {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, open: Arc::new(watch::Sender::new(true)), length: Arc::default() }
    }

    pub(super) fn lengthen(&self, by: Duration) {
        self.length.store(by.as_millis() as u64, Ordering::Relaxed);
    }

    pub(super) fn cut(&self, cut: bool) {
        self.open.send_replace(!cut);
    }
}

impl Store for Wire {
    fn begin(&self) -> Box<dyn Transaction> {
        let (tx, open) = (self.store.begin(), self.open.subscribe());
        Box::new(Wired { tx, open, length: self.length.clone() })
    }

    fn name(&self) -> &'static str {
        "memory behind a wire"
    }
}

struct Wired {
    tx: Box<dyn Transaction>,
    open: watch::Receiver<bool>,
    length: Arc<AtomicU64>,
}

impl Wired {
    async fn pass(&self) {
        let length = self.length.load(Ordering::Relaxed);
        if length > 0 {
            tokio::time::sleep(Duration::from_millis(length)).await;
        }
        let mut open = self.open.clone();
        let _closed = open.wait_for(|open| *open).await;
    }
}

#[async_trait]
impl Transaction for Wired {
    async fn read_version(&self) -> StoreResult<Version> {
        self.pass().await;
        self.tx.read_version().await
    }

    fn set_read_version(&self, version: Version) {
        self.tx.set_read_version(version);
    }

    async fn get(&self, key: &[u8], isolation: Isolation) -> StoreResult<Option<Bytes>> {
        self.pass().await;
        self.tx.get(key, isolation).await
    }

    async fn get_key(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes> {
        self.pass().await;
        self.tx.get_key(selector, isolation).await
    }

    async fn get_range(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Page> {
        self.pass().await;
        self.tx.get_range(read, isolation).await
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.tx.set(key, value);
    }

    fn clear(&self, key: &[u8]) {
        self.tx.clear(key);
    }

    fn clear_range(&self, range: &KeyRange) {
        self.tx.clear_range(range);
    }

    fn atomic(&self, op: AtomicOp, key: &[u8], param: &[u8]) {
        self.tx.atomic(op, key, param);
    }

    fn add_read_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.tx.add_read_conflict(range)
    }

    fn add_write_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.tx.add_write_conflict(range)
    }

    fn watch(&self, key: &[u8]) -> Watch {
        self.tx.watch(key)
    }

    fn versionstamp(&self) -> BoxFuture<'static, StoreResult<Versionstamp>> {
        self.tx.versionstamp()
    }

    fn set_durability(&self, durability: Durability) {
        self.tx.set_durability(durability);
    }

    fn set_batch_priority(&self) {
        self.tx.set_batch_priority();
    }

    fn approximate_size(&self) -> usize {
        self.tx.approximate_size()
    }

    async fn commit(&self) -> StoreResult<Committed> {
        self.pass().await;
        self.tx.commit().await
    }

    fn committed_version(&self) -> Version {
        self.tx.committed_version()
    }

    async fn on_error(&self, error: StoreError) -> StoreResult<()> {
        self.tx.on_error(error).await
    }

    fn reset(&self) {
        self.tx.reset();
    }

    fn cancel(&self) {
        self.tx.cancel();
    }
}

/// Whether a node hears what others send; what it sends passes in any case.
#[derive(Clone, Default)]
pub(super) struct Ears(Arc<Mutex<Deafness>>);

#[derive(Default)]
struct Deafness {
    is_deaf: bool,
    waiting: Vec<Waker>,
}

impl Ears {
    pub(super) fn close(&self) {
        self.0.lock().is_deaf = true;
    }

    pub(super) fn open(&self) {
        let mut deafness = self.0.lock();
        deafness.is_deaf = false;
        deafness.waiting.drain(..).for_each(Waker::wake);
    }
}

/// A network that is heard through [`Ears`].
pub(super) struct Heard {
    pub(super) network: Arc<dyn Network>,
    pub(super) ears: Ears,
}

#[async_trait]
impl Network for Heard {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let (listener, ears) = (self.network.listen(address).await?, self.ears.clone());
        Ok(Box::new(HeardListener { listener, ears }))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let (stream, ears) = (self.network.connect(address).await?, self.ears.clone());
        Ok(Box::new(HeardStream { stream, ears }))
    }
}

struct HeardListener {
    listener: Box<dyn Listener>,
    ears: Ears,
}

#[async_trait]
impl Listener for HeardListener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        Ok((Box::new(HeardStream { stream, ears: self.ears.clone() }), peer))
    }

    fn local_address(&self) -> SocketAddr {
        self.listener.local_address()
    }
}

struct HeardStream {
    stream: Box<dyn Stream>,
    ears: Ears,
}

impl AsyncRead for HeardStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        {
            let mut deafness = self.ears.0.lock();
            if deafness.is_deaf {
                deafness.waiting.push(cx.waker().clone());
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for HeardStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
