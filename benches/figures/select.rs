//! SELECT of a large folder, the mailbox's actor cold and warm, and FETCH of all of it.

use super::support::{Bar, Bench, Contender, Endpoint, ImapClient, Node, Scratch, fill, ms, shown};
use std::time::Instant;

pub async fn run(bench: &mut Bench) {
    let total = bench.size(10_000, 100_000);
    let data = Scratch::new("select");
    let node = Node::start(data.path(), 0).await;
    let endpoint = Endpoint::of_node(data.path());
    fill(&endpoint, "alice", total, 50, 1_000).await;
    shown(&mut ImapClient::connect(&endpoint, "alice").await, total).await;
    node.kill().await;

    let node = Node::start(data.path(), 0).await;
    // Another mailbox signs in first, so that TLS and password checks are warm.
    drop(ImapClient::connect(&endpoint, "bob").await);
    let mut session = ImapClient::connect(&endpoint, "alice").await;
    let start = Instant::now();
    session.ok("SELECT INBOX").await;
    let cold = ms(start.elapsed());
    let start = Instant::now();
    session.ok("SELECT INBOX").await;
    let warm = ms(start.elapsed());
    let bar = (Bar::AtMost(50.0), bench.full);
    bench.report.barred("SELECT of a large folder, cold", "ms", cold, bar);
    bench.report.less(Contender::Rialto, "SELECT of a large folder, warm", "ms", warm);
    let start = Instant::now();
    let answer = session.counted("FETCH 1:* (FLAGS ENVELOPE)").await;
    assert!(answer.fetched >= total);
    let all = ms(start.elapsed());
    bench.report.less(Contender::Rialto, "FETCH 1:* (FLAGS ENVELOPE) of it", "ms", all);
    bench.report.note(&format!("{total} messages"));
    drop(session);
    node.kill().await;
}
