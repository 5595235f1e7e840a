//! A database for one test: a server of the stand-in's in this process, or a part of the real one.

use async_trait::async_trait;
use base::env::Env;
use bytes::Bytes;
use contract_store::suite::Backend;
use contract_store::{KeyRange, Store};
use fdb_standin::server::{CommitFault, ServerHandle, ServerOptions, spawn};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store_foundationdb::{FoundationDb, Options};
use tempfile::TempDir;

/// Whether the installed client and its cluster are meant.
pub(crate) fn is_real() -> bool {
    std::env::var_os("RIALTO_FDB_REAL").is_some_and(|set| set == "1")
}

pub(crate) struct World {
    /// `None` over the real one.
    server: Option<ServerHandle>,
    dir: TempDir,
    prefix: Bytes,
}

/// The stand-in's library. It is built with these tests; where it is not there, they must fail.
fn library() -> PathBuf {
    let named = std::env::var_os("RIALTO_FDB_C").map(PathBuf::from);
    named.or_else(fdb_standin::library_path).expect(
        "libfdb_standin.so is not beside the test: cargo builds it as a dev-dependency; \
         or set RIALTO_FDB_C",
    )
}

impl World {
    /// A database of its own; over the real one, a prefix of its own.
    pub(crate) fn whole() -> Arc<Self> {
        Self::within(b"")
    }

    /// All keys begin with `prefix`.
    pub(crate) fn within(prefix: &[u8]) -> Arc<Self> {
        let dir = tempfile::Builder::new().prefix("rialto-fdb-").rand_bytes(12).tempdir().unwrap();
        let (server, prefix) = if is_real() {
            // The folder's random name serves as the random prefix.
            let name = dir.path().file_name().unwrap().to_string_lossy().into_owned();
            (None, [b"test/", name.as_bytes(), b"/", prefix].concat())
        } else {
            let starting = std::thread::spawn(|| spawn(ServerOptions::default()));
            let server = starting.join().unwrap().expect("a server of the stand-in's");
            server.write_cluster_file(&dir.path().join("fdb.cluster")).unwrap();
            (Some(server), prefix.to_vec())
        };
        Arc::new(Self { server, dir, prefix: prefix.into() })
    }

    pub(crate) fn options(&self, prefix: &[u8]) -> Options {
        let mut options = Options::new(Env::real().clock);
        options.prefix = Bytes::copy_from_slice(prefix);
        if self.server.is_some() {
            options.library = Some(library());
            options.cluster_file = Some(self.dir.path().join("fdb.cluster"));
        }
        options
    }

    /// A store over the world's own keys.
    pub(crate) fn store(&self) -> Arc<FoundationDb> {
        self.store_within(b"")
    }

    /// A store over the keys that begin so below the world's own.
    pub(crate) fn store_within(&self, prefix: &[u8]) -> Arc<FoundationDb> {
        let prefix = [&self.prefix[..], prefix].concat();
        FoundationDb::open(self.options(&prefix)).expect("FoundationDB")
    }

    pub(crate) fn server(&self) -> Option<&ServerHandle> {
        self.server.as_ref()
    }

    /// What happens to the next commit; `false` over the real one.
    pub(crate) fn script(&self, fault: CommitFault) -> bool {
        if self.server.is_none() {
            println!("the real one has no faults to order: skipped");
        }
        self.server.as_ref().map(|server| server.script(fault)).is_some()
    }

    async fn clear(&self) {
        if let Some(server) = &self.server {
            server.clear();
            return;
        }
        let store = FoundationDb::open(self.options(&self.prefix)).expect("FoundationDB");
        for _ in 0..100 {
            let tx = store.begin();
            tx.clear_range(&KeyRange::new(&b""[..], &b"\xff"[..]));
            if tx.commit().await.is_ok() {
                return;
            }
        }
        panic!("the test's keys cannot be removed");
    }

    /// Runs a test and removes what it left, also when it fails.
    pub(crate) async fn run<F: Future>(self: Arc<Self>, test: impl FnOnce(Arc<Self>) -> F) {
        let outcome = AssertUnwindSafe(Box::pin(test(self.clone()))).catch_unwind().await;
        if self.server.is_none() && foundationdb_sys::network::is_running() {
            self.clear().await;
        }
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }
}

#[async_trait]
impl Backend for World {
    async fn open(&self) -> Arc<dyn Store> {
        self.clear().await;
        self.store()
    }

    async fn advance(&self, by: Duration) -> bool {
        self.server.as_ref().map(|server| server.advance(by)).is_some()
    }

    async fn next_commit_unknown(&self, made: bool) -> bool {
        self.script(if made { CommitFault::UnknownApplied } else { CommitFault::UnknownNotApplied })
    }

    fn key_bytes_reserved(&self) -> usize {
        self.prefix.len()
    }

    async fn settle(&self) {
        if let Some(server) = &self.server {
            server.settle();
        }
    }
}
