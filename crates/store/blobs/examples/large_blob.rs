//! What memory one large message costs: a blob of 50 MB goes through the embedded store and is read
//! back. Prints the process's resident memory before, and the most during each step.
//!
//! ```text
//! cargo run --release -p store-blobs --example large_blob -- [directory] [rounds]
//! ```
//!
//! Before it begins it allocates and frees what hashing passwords takes: glibc keeps as much free
//! memory in each arena afterwards, as in a server.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use base::env::Env;
use bytes::Bytes;
use contract_blob::{Blobs, Upload};
use futures::TryStreamExt;
use std::path::PathBuf;
use store_blobs::StoreBlobs;
use store_embedded::{EmbeddedStore, Options};

const BLOB_BYTES: usize = 50_000_000;
/// What a connection reads at a time.
const PIECE_BYTES: usize = 16 << 10;
/// What one argon2id hash takes.
const HASH_BYTES: usize = 19 << 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let root = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let rounds: u32 = args.next().map_or(Ok(2), |text| text.parse())?;
    let dir = root.join(format!("large-blob-{}", std::process::id()));
    let env = Env::real();
    let store = EmbeddedStore::open(Options::new(&dir, env.clone()))?;
    let blobs = StoreBlobs::open(store.clone(), &env).await?;
    for _ in 0..2 {
        tokio::task::spawn_blocking(|| std::hint::black_box(vec![1u8; HASH_BYTES])).await?;
    }
    println!("round  idle MB  put MB  read MB  put ms");
    for round in 1..=rounds {
        let idle = forget_peak()?;
        let begun = env.clock.monotonic();
        let staged = put(blobs.upload(), &env).await?;
        let took = env.clock.monotonic() - begun;
        let arriving = resident("VmHWM:")?;
        let between = forget_peak()?;
        let tx = store_begin(&store);
        let holder = contract_blob::Holder(Bytes::from(round.to_be_bytes().to_vec()));
        blobs.hold(&*tx, &staged, &holder).await.map_err(|error| format!("{error:?}"))?;
        tx.commit().await?;
        let read: usize = blobs.read(staged.id, 0..staged.size_bytes).try_fold(0, add_len).await?;
        assert_eq!(read, BLOB_BYTES);
        let reading = resident("VmHWM:")?;
        println!(
            "{round:5}  {idle:7.1} {:+7.1}  {:+7.1}  {:6.0}",
            arriving - idle,
            reading - between,
            took.as_secs_f64() * 1e3
        );
    }
    println!("{:?}", store.stats());
    store.close().await?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn store_begin(store: &EmbeddedStore) -> Box<dyn contract_store::Transaction> {
    contract_store::Store::begin(store)
}

async fn add_len(sum: usize, piece: Bytes) -> base::Result<usize> {
    tokio::task::yield_now().await;
    Ok(sum + piece.len())
}

async fn put(mut upload: Box<dyn Upload>, env: &Env) -> base::Result<contract_blob::Staged> {
    let mut left = BLOB_BYTES;
    while left > 0 {
        let mut piece = vec![0; PIECE_BYTES.min(left)];
        env.random.fill(&mut piece);
        left -= piece.len();
        upload.write(piece.into()).await?;
        // As the next bytes of a connection: perhaps on another thread.
        tokio::task::yield_now().await;
    }
    upload.finish().await
}

/// A line of `/proc/self/status`, in MB.
fn resident(name: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}

/// Lets the peak begin anew (proc(5), `clear_refs`); what is resident now, in MB.
fn forget_peak() -> Result<f64, Box<dyn std::error::Error>> {
    std::fs::write("/proc/self/clear_refs", "5")?;
    resident("VmRSS:")
}
