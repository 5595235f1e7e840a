//! FoundationDB for tests: the stand-in's server in this process, or the real cluster.

use crate::anchored::{Anchored, BackOff};
use crate::folder;
use base::env::Env;
use contract_store::{KeyRange, Store};
use fdb_standin::server::{ServerHandle, ServerOptions, spawn};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store_foundationdb::{FoundationDb, Options};
use tempfile::TempDir;

/// How often the removal of a test's keys is tried.
const CLEARINGS: usize = 100;

/// Whether the installed client and its cluster are meant (`RIALTO_FDB_REAL=1`). A process has one
/// client, so nothing runs over the stand-in then.
pub fn is_real() -> bool {
    std::env::var_os("RIALTO_FDB_REAL").is_some_and(|set| set == "1")
}

/// A server of the stand-in's and the file that names it.
struct Standin {
    server: ServerHandle,
    folder: TempDir,
}

impl Standin {
    fn start(seed: u64) -> Self {
        let folder = folder("rialto-fdb-");
        let options = ServerOptions { seed, ..ServerOptions::default() };
        // Its own thread, because the caller may be a task of a runtime.
        let started = std::thread::spawn(|| spawn(options)).join();
        let started = started.unwrap_or_else(|_| Err(std::io::Error::other("a panic")));
        let written = started.and_then(|server| {
            server.write_cluster_file(&cluster_file(&folder))?;
            Ok(server)
        });
        match written {
            Ok(server) => Self { server, folder },
            Err(error) => panic!("a stand-in for FoundationDB: {error}"),
        }
    }
}

fn cluster_file(folder: &TempDir) -> PathBuf {
    folder.path().join("fdb.cluster")
}

fn open(prefix: &[u8], cluster_file: Option<&Path>) -> Arc<FoundationDb> {
    let mut options = Options::new(Env::real().clock);
    options.prefix = prefix.to_vec().into();
    if let Some(cluster_file) = cluster_file {
        let library = std::env::var_os("RIALTO_FDB_C").map(PathBuf::from);
        options.library = library.or_else(fdb_standin::library_path);
        assert!(options.library.is_some(), "libfdb_standin.so is not beside the test");
        options.cluster_file = Some(cluster_file.to_owned());
    }
    match FoundationDb::open(options) {
        Ok(store) => store,
        Err(error) => panic!("{error}"),
    }
}

/// Removes a test's keys when nobody can write them any more.
struct Clearing(Arc<FoundationDb>);

impl Drop for Clearing {
    fn drop(&mut self) {
        let store = self.0.clone();
        // Its own thread, because this may run within a runtime, and one that is going down.
        let cleared = std::thread::spawn(move || futures::executor::block_on(clear(&store)));
        if !matches!(cleared.join(), Ok(true)) {
            eprintln!("the keys of a test could not be removed");
        }
    }
}

async fn clear(store: &FoundationDb) -> bool {
    store.drain().await;
    for _ in 0..CLEARINGS {
        let tx = store.begin();
        tx.clear_range(&KeyRange::new(&b""[..], &b"\xff"[..]));
        if tx.commit().await.is_ok() {
            return true;
        }
    }
    false
}

/// The keys of one test in the process's server, or in the real cluster.
pub(crate) fn shared() -> Arc<dyn Store> {
    static SERVER: OnceLock<Standin> = OnceLock::new();
    let mut random = [0; 16];
    Env::real().random.fill(&mut random);
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let prefix = format!("test/{name}/");
    let file = (!is_real()).then(|| cluster_file(&SERVER.get_or_init(|| Standin::start(1)).folder));
    let store = open(prefix.as_bytes(), file.as_deref());
    Arc::new(Anchored::new(store.clone(), BackOff::OfTheStore, Clearing(store)))
}

/// A server of the test's own.
pub(crate) fn own(seed: u64) -> (Arc<dyn Store>, ServerHandle) {
    let Standin { server, folder } = Standin::start(seed);
    let store = open(b"", Some(&cluster_file(&folder)));
    (Arc::new(Anchored::new(store, BackOff::OfTheStore, folder)), server)
}

/// Whether the installed client and the default cluster answer within ten seconds; if not, why.
///
/// # Errors
/// Words for whoever runs the tests.
pub async fn cluster_answers() -> Result<(), String> {
    let store = FoundationDb::open(Options::new(Env::real().clock)).map_err(|e| e.to_string())?;
    match store.reaches(Duration::from_secs(10)).await {
        true => Ok(()),
        false => Err("the cluster of the cluster file does not answer".to_owned()),
    }
}
