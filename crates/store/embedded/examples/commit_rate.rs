//! How many 10 kB transactions a second this machine makes durable, with 1, 10 and 100 writers.
//!
//! ```text
//! cargo run --release -p store-embedded --example commit_rate -- [directory] [seconds]
//! cargo run --release -p store-embedded --example commit_rate -- open <store>
//! ```
//!
//! The second form tells how long opening an existing store takes: kill the first form to get one.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use base::env::Env;
use contract_store::{Store, StoreResult};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store_embedded::{EmbeddedStore, Options};

/// A message: one value of this size and six small rows that index it.
const BODY_BYTES: usize = 10_000;
const INDEX_ROWS: u8 = 6;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let root = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    if let ("open", Some(store)) = (root.to_str().unwrap_or_default(), args.next()) {
        return reopen(Path::new(&store), Env::real()).await;
    }
    let mut args = std::env::args().skip(2);
    let seconds = args.next().map_or(Ok(5), |text| text.parse())?;
    println!("writers  commits/s  MB/s   p50 ms  p99 ms  max ms  syncs/commit  waits  log MB");
    for writers in [1, 10, 100] {
        let dir = root.join(format!("commit-rate-{}-{writers}", std::process::id()));
        run(&dir, writers, Duration::from_secs(seconds)).await?;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

async fn run(dir: &Path, writers: u64, time: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let env = Env::real();
    let store = EmbeddedStore::open(Options::new(dir, env.clone()))?;
    let begun = env.clock.monotonic();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| tokio::spawn(write(store.clone(), env.clone(), writer, begun + time)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let took = (env.clock.monotonic() - begun).as_secs_f64();
    let stats = store.stats();
    let rate = stats.commits as f64 / took;
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = ((latencies.len() - 1) as f64 * part) as usize;
        latencies[index].as_secs_f64() * 1000.0
    };
    println!(
        "{writers:7}  {rate:9.0}  {:4.1}  {:7.2} {:7.2} {:7.1}  {:12.3}  {:5}  {:6.1}",
        rate * BODY_BYTES as f64 / 1e6,
        at(0.5),
        at(0.99),
        at(1.0),
        stats.syncs as f64 / stats.commits as f64,
        stats.full_waits,
        stats.log_used_bytes as f64 / 1e6,
    );
    crash_and_reopen(store, dir, env).await
}

async fn write(
    store: Arc<EmbeddedStore>,
    env: Env,
    writer: u64,
    until: Duration,
) -> StoreResult<Vec<Duration>> {
    let mut body = vec![0; BODY_BYTES];
    let mut latencies = Vec::new();
    for number in 0u64.. {
        let begun = env.clock.monotonic();
        if begun >= until {
            break;
        }
        env.random.fill(&mut body);
        let tx = store.begin();
        let key = |kind: u8| [&[kind][..], &writer.to_be_bytes(), &number.to_be_bytes()].concat();
        tx.set(&key(0), &body);
        for kind in 1..=INDEX_ROWS {
            tx.set(&key(kind), &body[..40]);
        }
        tx.commit().await?;
        latencies.push(env.clock.monotonic() - begun);
    }
    Ok(latencies)
}

/// What a killed process would leave is opened again.
async fn crash_and_reopen(
    store: Arc<EmbeddedStore>,
    dir: &Path,
    env: Env,
) -> Result<(), Box<dyn std::error::Error>> {
    tokio::task::spawn_blocking(move || drop(store)).await?;
    reopen(dir, env).await
}

async fn reopen(dir: &Path, env: Env) -> Result<(), Box<dyn std::error::Error>> {
    let begun = env.clock.monotonic();
    let store = EmbeddedStore::open(Options::new(dir, env.clone()))?;
    let took = env.clock.monotonic() - begun;
    let replayed = store.stats().replayed_bytes as f64 / 1e6;
    println!("         reopened in {:.0} ms, {replayed:.1} MB replayed", took.as_secs_f64() * 1e3);
    store.close().await?;
    Ok(())
}
