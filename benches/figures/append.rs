//! IMAP APPEND of messages of 5 kB over so many connections.

use super::support::{Bench, Contender, ImapClient, at_once, message};
use std::time::Instant;

/// Mailboxes; with 100 connections five sessions append to each.
const USERS: u64 = 20;

const BYTES: usize = 5_000;

pub async fn run(bench: &mut Bench) {
    for connections in [1, 10, 100] {
        let small = if connections == 1 { 300 } else { 1_000 };
        let full = if connections == 1 { 4_000 } else { 20_000 };
        let total = bench.size(small, full);
        for contender in bench.contenders.clone() {
            measure(bench, contender, connections, total).await;
        }
    }
}

async fn measure(bench: &mut Bench, contender: Contender, connections: u64, total: u64) {
    let server = contender.start(USERS).await;
    drop(server.warm(USERS).await);
    let sessions = at_once(connections, |client| {
        let to = server.endpoint.clone();
        async move { ImapClient::connect(&to, &format!("user{}", client % USERS + 1)).await }
    })
    .await;
    let before = match &server.node {
        Some(node) => node.writes().await,
        None => (0.0, 0.0),
    };
    let start = Instant::now();
    let clients: Vec<_> = sessions
        .into_iter()
        .zip(0..)
        .map(|(mut session, client)| {
            tokio::spawn(async move {
                for number in (client..total).step_by(connections as usize) {
                    session.append(&message(BYTES, number)).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let rate = total as f64 / start.elapsed().as_secs_f64();
    bench.report.more(contender, &format!("APPEND, {connections} connections"), "/s", rate);
    if let Some(node) = &server.node {
        let after = node.writes().await;
        let each = |after: f64, before: f64| (after - before) / total as f64;
        let name = format!("  transactions an APPEND, {connections}");
        bench.report.less(contender, &name, "", each(after.0, before.0));
        let name = format!("  log syncs an APPEND, {connections}");
        bench.report.less(contender, &name, "", each(after.1, before.1));
    }
    server.stop().await;
}
