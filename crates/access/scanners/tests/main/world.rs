//! Scanners that do what a test tells them, and a message to show them.

use access_scanners::Clients;
use async_trait::async_trait;
use base::env::{Env, Listener, Stream};
use base::{Address, QueueId, Result, Universe};
use bytes::Bytes;
use contract_blob::{BlobId, Blobs, Place, Staged};
use contract_directory::Actor;
use contract_store::Store;
use contract_transport::scanner::scanning::{Facts, Mail, Scanned, Scanners};
use contract_transport::scanner::{Language, Scanner, ScannerChange, ScannerSettings};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use store_blobs::StoreBlobs;
use store_memory::MemoryStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const HEADER: &str = "From: a@b.example\r\nSubject: hi\r\n\r\n";

/// Settings that a test sets.
#[derive(Default)]
pub(crate) struct Settings(Mutex<Arc<Vec<Arc<Scanner>>>>);

#[async_trait]
impl ScannerSettings for Settings {
    fn scanner_table(&self) -> Arc<Vec<Arc<Scanner>>> {
        self.0.lock().clone()
    }

    async fn scanners(&self) -> Result<Arc<Vec<Arc<Scanner>>>> {
        Ok(self.scanner_table())
    }

    async fn create_scanner(&self, _: &Actor, new: Scanner) -> Result<Arc<Scanner>> {
        Ok(Arc::new(new))
    }

    async fn update_scanner(&self, _: &Actor, _: &str, _: ScannerChange) -> Result<Arc<Scanner>> {
        Err(base::Error::unavailable("these do not change"))
    }

    async fn remove_scanner(&self, _: &Actor, _: &str) -> Result<()> {
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clients: Clients,
    pub(crate) blobs: Arc<dyn Blobs>,
}

/// Runs a test in a world of its own, on simulated time.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    Universe::simulate(base::env::sim::test_seed(), async |simulation| {
        let env = simulation.env();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
        let blobs: Arc<dyn Blobs> = Arc::new(StoreBlobs::open(store, &env).await.unwrap());
        let settings = Arc::new(Settings::default());
        let clients = Clients::new(env.clone(), settings.clone(), blobs.clone());
        test(World { env, settings, clients, blobs }).await;
    });
}

/// What a scanner does with each connection.
type Script = Box<dyn Fn(Box<dyn Stream>) -> BoxFuture<'static, ()> + Send + Sync>;

impl World {
    /// Serves every connection by a script; gives the place, and counts.
    pub(crate) async fn scanner(&self, script: Script) -> (SocketAddr, Arc<Mutex<usize>>) {
        let listener = self.env.network.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, count) = (listener.local_address(), Arc::new(Mutex::new(0)));
        tokio::spawn(serve(listener, script, count.clone()));
        (address, count)
    }

    pub(crate) fn configure(&self, all: Vec<Scanner>) {
        *self.settings.0.lock() = Arc::new(all.into_iter().map(Arc::new).collect());
    }

    pub(crate) fn mail(&self, body: impl Into<Bytes>) -> Mail {
        let body = body.into();
        let size_bytes = body.len() as u64;
        let staged = Staged { id: BlobId([1; 32]), size_bytes, place: Place::Inline(body) };
        Mail {
            facts: Facts {
                queue: QueueId::new(self.env.clock.now(), 7),
                peer: "192.0.2.7:40000".parse().unwrap(),
                helo: "client.example".into(),
                tls: None,
                user: None,
                is_ours: false,
                sender: Some(Address::new("a", "b.example")),
                recipients: vec![
                    Address::new("x", "rialto.test"),
                    Address::new("y", "rialto.test"),
                ],
                host_name: "mail.rialto.test".into(),
            },
            front: Bytes::from_static(b"Authentication-Results: mail.rialto.test; none\r\n"),
            header: HEADER.into(),
            staged: Some(staged),
            body_at: 0,
        }
    }

    pub(crate) async fn scan(&self) -> Scanned {
        self.clients.scan(self.mail("body\r\n")).await
    }

    /// How long something takes, in simulated milliseconds.
    pub(crate) async fn timed<T>(&self, work: impl Future<Output = T>) -> (T, u128) {
        let begun = self.env.clock.monotonic();
        let done = work.await;
        (done, (self.env.clock.monotonic() - begun).as_millis())
    }
}

async fn serve(listener: Box<dyn Listener>, script: Script, count: Arc<Mutex<usize>>) {
    while let Ok((stream, _)) = listener.accept().await {
        *count.lock() += 1;
        tokio::spawn(script(stream));
    }
}

pub(crate) fn at(name: &str, language: Language, address: SocketAddr) -> Scanner {
    Scanner::new(name, language, address.to_string().parse().unwrap())
}

/// Reads until `enough` says so of what has come; `None` at the end.
pub(crate) async fn read_until(
    stream: &mut Box<dyn Stream>,
    enough: impl Fn(&[u8]) -> bool,
) -> Option<Vec<u8>> {
    let mut got = Vec::new();
    while !enough(&got) {
        if stream.read_buf(&mut got).await.ok()? == 0 {
            return None;
        }
    }
    Some(got)
}

/// Says this and closes.
pub(crate) async fn say(stream: &mut Box<dyn Stream>, text: &[u8]) {
    let _gone = stream.write_all(text).await;
    let _gone = stream.shutdown().await;
}

/// The front as text.
pub(crate) fn front(scanned: &Scanned) -> String {
    String::from_utf8(scanned.front.to_vec()).unwrap()
}
