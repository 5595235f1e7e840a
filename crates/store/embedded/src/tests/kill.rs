//! `kill -9` of a real process on the real disk.

use super::world::{Ack, Ledger, WRITERS, commit, durability, verify};
use crate::{EmbeddedStore, Options, Sizes};
use base::env::Env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const DIR: &str = "RIALTO_STORE_KILL_DIR";
const NEXT: &str = "RIALTO_STORE_KILL_NEXT";

fn open(dir: &Path) -> Arc<EmbeddedStore> {
    let mut options = Options::new(dir, Env::real());
    options.sizes = Sizes::small();
    EmbeddedStore::open(options).unwrap()
}

/// Not a test of its own: what the killed process runs. Reports each acknowledgement on a line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let next = std::env::var(NEXT).unwrap();
    let next: Vec<u64> = next.split(',').map(|n| n.parse().unwrap()).collect();
    let store = open(Path::new(&dir));
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, first) = (store.clone(), next[writer as usize]);
            tokio::spawn(async move {
                for index in first.. {
                    let version = commit(&*store, writer, index).await.unwrap();
                    let line = format!("ack {writer} {index} {version}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Starts the child, kills it after so many acknowledgements, and gives all that it reported.
fn run_and_kill(dir: &Path, next: &[u64], acks: usize) -> Vec<(usize, Ack)> {
    let next: Vec<_> = next.iter().map(u64::to_string).collect();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["tests::kill::child", "--exact", "--nocapture"])
        .env(DIR, dir)
        .env(NEXT, next.join(","))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut found = Vec::new();
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).unwrap() > 0 {
        let text = String::from_utf8_lossy(&line).into_owned();
        // The harness writes without a line end before the first one.
        if let Some(at) = text.find("ack ").filter(|_| text.ends_with('\n')) {
            let parts: Vec<u64> =
                text[at + 4..].split_whitespace().map(|n| n.parse().unwrap()).collect();
            let ack =
                Ack { version: parts[2] as i64, index: parts[1], durability: durability(parts[0]) };
            found.push((parts[0] as usize, ack));
            if found.len() == acks {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("store");
    let ledger = Ledger::default();
    for round in 0..10usize {
        let next = *ledger.next.lock();
        let acks = run_and_kill(&dir, &next, 20 + 37 * round);
        assert!(acks.len() >= 20, "round {round}: {} acknowledgements", acks.len());
        for (writer, ack) in acks {
            ledger.acks.lock()[writer].push(ack);
        }
        // What the child tried is not known; nothing is counted as too much.
        *ledger.next.lock() = [u64::MAX; WRITERS as usize];
        let store = open(&dir);
        verify(&*store, &ledger).await.unwrap_or_else(|text| panic!("round {round}: {text}"));
    }
}
