//! The figures of one node, next to the bars it has to reach and to a peer that does the same work:
//! Postfix in front of Dovecot, as they come and tuned (`benches/peer/`).
//!
//! ```text
//! cargo bench --bench figures                       all of them, small sizes
//! cargo bench --bench figures -- ingest select      some of them
//! ```
//!
//! Each figure is measured on fresh processes and fresh data, with fsync on. The environment says
//! the rest:
//! - `RIALTO_BENCH_SCALE=full`: the sizes of the bars (100,000 messages and mailboxes, 5 GB)
//! - `RIALTO_BENCH_DIR`: where the data goes, of all contenders; `target/bench-data` if unset
//! - `RIALTO_BENCH_KEEP=1`: the data stays, with the peer's logs
//! - `RIALTO_BENCH_PEER=no`: without the peer
//! - `RIALTO_BIN`: another binary than the one just built
//!
//! Prints a table in the end and writes `target/bench.json`, one figure a line. A missed bar is
//! shown and is no error: a slow machine is not a bug.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![allow(unreachable_pub, clippy::large_futures, clippy::cast_precision_loss)]

mod activation;
mod append;
mod fetch;
mod idle;
mod ingest;
mod large;
mod mailboxes;
mod queued;
mod relay;
mod restart;
mod rules;
mod select;
mod support;

use support::Bench;
use tokio::signal::unix::{SignalKind, signal};

const FIGURES: [&str; 12] = [
    "ingest",
    "relay",
    "rules",
    "queued",
    "append",
    "fetch",
    "idle",
    "select",
    "activation",
    "large",
    "mailboxes",
    "restart",
];

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| !FIGURES.contains(&name.as_str())) {
        eprintln!("There is no figure `{unknown}`. There are: {}", FIGURES.join(" "));
        std::process::exit(2);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut bench = Bench::new();
        let mut terminated = signal(SignalKind::terminate()).unwrap();
        tokio::select! {
            () = run(&mut bench, &wanted) => {}
            // What was started ends when what runs it is dropped.
            _ = tokio::signal::ctrl_c() => println!("\nstopped; so far:"),
            _ = terminated.recv() => println!("\nstopped; so far:"),
        }
        bench.report.finish();
    });
}

async fn run(bench: &mut Bench, wanted: &[String]) {
    for name in FIGURES {
        if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
            continue;
        }
        bench.report.section(name);
        match name {
            "ingest" => ingest::run(bench).await,
            "relay" => relay::run(bench).await,
            "rules" => rules::run(bench).await,
            "queued" => queued::run(bench).await,
            "append" => append::run(bench).await,
            "fetch" => fetch::run(bench).await,
            "idle" => idle::run(bench).await,
            "select" => select::run(bench).await,
            "activation" => activation::run(bench).await,
            "large" => large::run(bench).await,
            "mailboxes" => mailboxes::run(bench).await,
            _ => restart::run(bench).await,
        }
    }
}
