//! The figures of one node, each measured on a fresh `rialto dev` process with fsync on:
//!
//! ```text
//! cargo bench --bench figures                       all of them
//! cargo bench --bench figures -- ingest select      some of them
//! ```
//!
//! `RIALTO_BENCH_SCALE=full` takes the full sizes (100,000 messages, 100,000 mailboxes, 5 GB).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::{Client, ImapClient, Node, PORTS, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
        if wants("ingest") {
            for connections in [1, 10, 100] {
                ingest(connections).await;
            }
        }
        if wants("select") {
            select().await;
        }
        if wants("large") {
            large_message().await;
        }
        if wants("idle") {
            idle_connections().await;
        }
        if wants("mailboxes") {
            provisioned().await;
        }
        if wants("restart") {
            restart().await;
        }
    });
}

fn full() -> bool {
    std::env::var("RIALTO_BENCH_SCALE").is_ok_and(|scale| scale == "full")
}

fn scale(smoke: u64, full_size: u64) -> u64 {
    if full() { full_size } else { smoke }
}

fn fresh(name: &str) -> PathBuf {
    let root = std::env::var("RIALTO_BENCH_DIR").unwrap_or_else(|_| "target/bench-data".into());
    let data = PathBuf::from(root).join(name);
    let _absent = std::fs::remove_dir_all(&data);
    std::fs::create_dir_all(&data).unwrap();
    data
}

/// SMTP to mailbox: messages of 5 kB over so many connections, until IMAP shows all of them.
async fn ingest(connections: u64) {
    let users = 20;
    let node = Node::start(&fresh("ingest"), users).await;
    let mut sessions = Vec::new();
    for user in 1..=users {
        sessions.push(ImapClient::connect(&format!("user{user}")).await);
    }
    let total = scale(if connections == 1 { 500 } else { 4_000 }, 20_000);
    let each = total / connections;
    let (commits, syncs) = (
        node.metric("rialto_store_commits_total").await,
        node.metric("rialto_store_syncs_total").await,
    );
    let start = Instant::now();
    let clients = (0..connections).map(|client| {
        tokio::spawn(async move {
            let mut smtp = Client::smtp().await;
            for number in 0..each {
                let number = client * each + number;
                let user = number % u64::from(users) + 1;
                smtp.deliver(&format!("user{user}@rialto.test"), &message(5_000, number)).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let accepted = start.elapsed();
    let shown = loop {
        let mut shown = 0;
        for session in &mut sessions {
            shown += session.messages("INBOX").await;
        }
        if shown >= each * connections {
            break shown;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let elapsed = start.elapsed();
    let commits = node.metric("rialto_store_commits_total").await - commits;
    let syncs = node.metric("rialto_store_syncs_total").await - syncs;
    println!(
        "ingest  {connections:4} connections: {:6.0} messages/s shown, {:6.0}/s accepted, \
         {:.2} transactions and {:.2} syncs a message ({shown} messages of 5 kB)",
        shown as f64 / elapsed.as_secs_f64(),
        shown as f64 / accepted.as_secs_f64(),
        commits / shown as f64,
        syncs / shown as f64,
    );
    for session in sessions {
        session.close().await;
    }
    node.kill().await;
}

/// SELECT and FETCH of a large folder, the mailbox's actor cold and warm.
async fn select() {
    let data = fresh("select");
    let node = Node::start(&data, 0).await;
    let total = scale(10_000, 100_000);
    fill(total, 50, 1_000).await;
    wait_for("alice", total).await;
    node.kill().await;
    let node = Node::start(&data, 0).await;
    // Another mailbox signs in first, so that TLS and password checks are warm.
    ImapClient::connect("bob").await.close().await;
    let mut session = ImapClient::connect("alice").await;
    let start = Instant::now();
    session.command("SELECT INBOX").await;
    let cold = start.elapsed();
    let start = Instant::now();
    session.command("SELECT INBOX").await;
    let warm = start.elapsed();
    let start = Instant::now();
    let lines = session.command("FETCH 1:* (FLAGS ENVELOPE)").await;
    let fetch = start.elapsed();
    assert!(lines.len() as u64 > total);
    println!(
        "select  {total} messages: cold {:.1} ms, warm {:.1} ms, FETCH FLAGS+ENVELOPE of all {:.0} ms",
        ms(cold),
        ms(warm),
        ms(fetch)
    );
    session.close().await;
    node.kill().await;
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

async fn fill(total: u64, connections: u64, bytes: usize) {
    let clients: Vec<_> = (0..connections)
        .map(|client| {
            tokio::spawn(async move {
                let mut smtp = Client::smtp().await;
                for number in (client..total).step_by(connections as usize) {
                    smtp.deliver("alice@rialto.test", &message(bytes, number)).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

async fn wait_for(user: &str, total: u64) {
    let mut session = ImapClient::connect(user).await;
    while session.messages("INBOX").await < total {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    session.close().await;
}

/// Memory while a message of 50 MB arrives, and while it is fetched.
async fn large_message() {
    let node = Node::start(&fresh("large"), 0).await;
    fill(10, 1, 1_000).await;
    wait_for("alice", 10).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = node.rss_mb();
    node.reset_peak();
    let big = message(49 << 20, 1);
    let start = Instant::now();
    Client::smtp().await.deliver("alice@rialto.test", &big).await;
    let accepted = start.elapsed();
    wait_for("alice", 11).await;
    let arriving = node.peak_mb();
    node.reset_peak();
    let mut session = ImapClient::connect("alice").await;
    session.command("SELECT INBOX").await;
    let start = Instant::now();
    session.command("FETCH 11 (BODY.PEEK[])").await;
    println!(
        "large   49 MB message: accepted in {:.0} ms, fetched in {:.0} ms; memory idle {idle} MB, \
         arriving +{} MB, fetching +{} MB",
        ms(accepted),
        ms(start.elapsed()),
        arriving.saturating_sub(idle),
        node.peak_mb().saturating_sub(idle),
    );
    session.close().await;
    node.kill().await;
}

/// Memory of idle plain-text IMAP connections that have not signed in, and of ones in IDLE is a
/// matter of the soak test; this one counts what a listener, a session and its buffers take.
async fn idle_connections() {
    let node = Node::start(&fresh("idle"), 0).await;
    let before = node.rss_mb();
    let count = scale(1_000, 4_000);
    let mut open = Vec::new();
    for _ in 0..count {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", PORTS + 143)).await.unwrap();
        let mut greeting = [0; 256];
        let _read = stream.read(&mut greeting).await.unwrap();
        stream.write_all(b"a NOOP\r\n").await.unwrap();
        open.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = node.rss_mb();
    println!(
        "idle    {count} IMAP connections: {:.1} kB each",
        (after.saturating_sub(before) * 1024) as f64 / count as f64
    );
    drop(open);
    node.kill().await;
}

/// Memory of provisioned mailboxes that nobody uses.
async fn provisioned() {
    let count = u32::try_from(scale(20_000, 100_000)).unwrap();
    let data = fresh("mailboxes");
    let start = Instant::now();
    let node = Node::start(&data, count).await;
    let made = start.elapsed();
    node.kill().await;
    let start = Instant::now();
    let node = Node::start(&data, 0).await;
    println!(
        "mailboxes  {count} provisioned in {:.1} s; next start {:.0} ms, memory {} MB",
        made.as_secs_f64(),
        ms(start.elapsed()),
        node.rss_mb()
    );
    node.kill().await;
}

/// How long a start takes after kill -9, with so much mail stored.
async fn restart() {
    let data = fresh("restart");
    let node = Node::start(&data, 0).await;
    let megabytes = scale(500, 5_000);
    fill(megabytes, 4, 1 << 20).await;
    wait_for("alice", megabytes).await;
    // Some more at full speed, so that the log is not empty.
    fill(2_000, 50, 5_000).await;
    node.kill().await;
    let start = Instant::now();
    let node = Node::start(&data, 0).await;
    println!(
        "restart after kill -9 with {megabytes} MB of mail: {:.0} ms to ready ({})",
        ms(start.elapsed()),
        node.data.display()
    );
    node.kill().await;
}
