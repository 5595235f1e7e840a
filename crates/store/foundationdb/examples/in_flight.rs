//! What the binding costs with hundreds of transactions in flight: commits a second, whose processor
//! time that takes, and how long it is from the client's callback to the task that waited.
//!
//! ```text
//! cargo run --release -p store-foundationdb --example in_flight -- [in flight, 500] [seconds, 5]
//! ```
//!
//! Over the stand-in, in this process, or, where `RIALTO_FDB_REAL` is 1, over the cluster of the
//! usual cluster file. The client's network thread is `fdb-network`: while it is far from a whole
//! processor, the binding is not what limits. The stand-in's own threads are listed, too.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use base::env::{Clock, Env};
use contract_store::{Isolation, Store};
use fdb_standin::server::{ServerHandle, ServerOptions, spawn};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use store_foundationdb::{FoundationDb, Options};

/// A row like those of a small message.
const VALUE: [u8; 200] = [b'v'; 200];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let in_flight = args.next().map_or(Ok(500), |text| text.parse())?;
    let seconds = args.next().map_or(Ok(5), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("client")
        .enable_all()
        .build()?;
    let dir = tempfile::tempdir()?;
    let mut options = Options::new(Env::real().clock);
    options.prefix = b"bench/in_flight/"[..].into();
    let server = match std::env::var_os("RIALTO_FDB_REAL") {
        Some(set) if set == "1" => None,
        _ => Some(stand_in(dir.path(), &mut options)?),
    };
    let outcome = runtime.block_on(run(options, in_flight, Duration::from_secs(seconds)));
    drop(server);
    outcome
}

fn stand_in(dir: &std::path::Path, options: &mut Options) -> Result<ServerHandle, Box<dyn Error>> {
    let server = spawn(ServerOptions::default())?;
    let cluster_file = dir.join("fdb.cluster");
    server.write_cluster_file(&cluster_file)?;
    options.cluster_file = Some(cluster_file);
    options.library = Some(library().ok_or("libfdb_standin.so is not there: set RIALTO_FDB_C")?);
    Ok(server)
}

/// The stand-in's library: as it is named, or where cargo puts it for an example.
fn library() -> Option<PathBuf> {
    let named = std::env::var_os("RIALTO_FDB_C").map(PathBuf::from);
    let beside = || {
        let program = std::env::current_exe().ok()?;
        Some(program.parent()?.parent()?.join("deps/libfdb_standin.so"))
    };
    let beside = || beside().filter(|path| path.exists());
    named.or_else(fdb_standin::library_path).or_else(beside)
}

async fn run(options: Options, in_flight: usize, time: Duration) -> Result<(), Box<dyn Error>> {
    let clock = Env::real().clock;
    let store = FoundationDb::open(options)?;
    if !store.reaches(Duration::from_secs(10)).await {
        return Err("the database does not answer".into());
    }
    let (before, begun) = (processor_seconds(), clock.monotonic());
    let work = |number| work(store.clone(), clock.clone(), number, begun + time);
    let tasks: Vec<_> = (0..in_flight).map(|number| tokio::spawn(work(number))).collect();
    let mut all = Figures::default();
    for task in tasks {
        let figures = task.await?;
        all.commits += figures.commits;
        all.failed += figures.failed;
        all.took.extend(figures.took);
        all.woken.extend(figures.woken);
    }
    let wall = (clock.monotonic() - begun).as_secs_f64();
    let stats = store.stats();
    let rate = all.commits as f64 / wall;
    println!("{in_flight} in flight for {wall:.1} s: {rate:.0} commits/s, {} failed", all.failed);
    println!(
        "most at once: {} transactions, {} commits",
        stats.transactions_max, stats.committing_max
    );
    print_quantiles("read and commit", &mut all.took);
    print_quantiles("callback to task", &mut all.woken);
    println!("busyness that the client tells of itself: {:.2}", store.network_busyness().await);
    println!("processor time by thread, as a share of one processor:");
    for (name, seconds) in processor_seconds() {
        let share = (seconds - before.get(&name).copied().unwrap_or(0.0)) / wall;
        if share >= 0.005 {
            println!("  {name:16} {:5.1} %", 100.0 * share);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Figures {
    commits: u64,
    failed: u64,
    took: Vec<Duration>,
    woken: Vec<Duration>,
}

/// One transaction after the other: reads its own row and writes it.
async fn work(
    store: Arc<FoundationDb>,
    clock: Arc<dyn Clock>,
    number: usize,
    end: Duration,
) -> Figures {
    let mut figures = Figures::default();
    let key = format!("row/{number:06}");
    loop {
        let begun = clock.monotonic();
        if begun >= end {
            return figures;
        }
        let tx = store.begin();
        let read = tx.get(key.as_bytes(), Isolation::Serializable);
        let (read, woken) = timed(&clock, read).await;
        figures.woken.extend(woken);
        tx.set(key.as_bytes(), &VALUE);
        match (read, tx.commit().await) {
            (Ok(_), Ok(_)) => figures.commits += 1,
            _ => figures.failed += 1,
        }
        figures.took.push(clock.monotonic() - begun);
    }
}

/// Waits for something; tells also how long it was from the last wake-up to the task.
async fn timed<T>(
    clock: &Arc<dyn Clock>,
    future: impl Future<Output = T>,
) -> (T, Option<Duration>) {
    let stopwatch = Arc::new(Stopwatch { clock: clock.clone(), woken_ns: AtomicU64::new(0) });
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let run = clock.monotonic();
        let woken = stopwatch.woken_ns.swap(0, Ordering::Relaxed);
        let waker = Waker::from(Arc::new(Relay(stopwatch.clone(), cx.waker().clone())));
        match Pin::as_mut(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => {
                let since = run.saturating_sub(Duration::from_nanos(woken));
                Poll::Ready((value, (woken > 0).then_some(since)))
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// When something was woken last, in nanoseconds of the clock.
struct Stopwatch {
    clock: Arc<dyn Clock>,
    woken_ns: AtomicU64,
}

/// Wakes a task and notes when, on the thread that calls.
struct Relay(Arc<Stopwatch>, Waker);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        let now = u64::try_from(self.0.clock.monotonic().as_nanos()).unwrap_or(u64::MAX);
        self.0.woken_ns.store(now, Ordering::Relaxed);
        self.1.wake_by_ref();
    }
}

fn print_quantiles(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: f64| {
        let place = (times.len().saturating_sub(1) as f64 * part) as usize;
        times.get(place).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    let (half, most, last) = (at(0.5), at(0.99), at(1.0));
    println!("{what:16}: p50 {half:.3} ms, p99 {most:.3} ms, longest {last:.1} ms");
}

/// The processor time of this process by the names of its threads, in seconds. Empty where the
/// system does not tell.
fn processor_seconds() -> BTreeMap<String, f64> {
    let mut seconds = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let Ok(line) = std::fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        let Some((head, tail)) = line.rsplit_once(") ") else {
            continue;
        };
        let name = head.split_once('(').map_or(head, |(_, name)| name).to_owned();
        // User and system time, in hundredths.
        let ticks: u64 =
            tail.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        *seconds.entry(name).or_default() += ticks as f64 / 100.0;
    }
    seconds
}
