//! Memory while a message of 50 MB arrives, and while it is fetched: the first work of a fresh
//! process each time, since what an allocator keeps would hide the second one.

use super::support::{
    Bar, Bench, Contender, Endpoint, ImapClient, Node, Scratch, SmtpClient, message, ms,
};
use std::time::{Duration, Instant};

/// Just below the largest message that is accepted, 50 MiB.
const BYTES: usize = 49 << 20;

const BAR: (Bar, bool) = (Bar::AtMost(64.0), true);

const SETTLE: Duration = Duration::from_secs(2);

pub async fn run(bench: &mut Bench) {
    let data = Scratch::new("large");
    Node::start(data.path(), 0).await.kill().await;
    let endpoint = Endpoint::of_node(data.path());
    let big = message(BYTES, 1);

    let node = Node::start(data.path(), 0).await;
    tokio::time::sleep(SETTLE).await;
    let idle = node.resident_kb();
    node.reset_peak();
    let start = Instant::now();
    SmtpClient::connect(&endpoint).await.deliver("alice@rialto.test", &big).await;
    let accepted = ms(start.elapsed());
    while node.metric("rialto_transport_delivered_total").await < 1.0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let above = node.peak_kb().saturating_sub(idle) as f64 / 1024.0;
    bench.report.barred("memory while 50 MB arrive, above idle", "MB", above, BAR);
    bench.report.note(&format!("idle {} MB, accepted in {accepted:.0} ms", idle / 1024));
    node.kill().await;

    let node = Node::start(data.path(), 0).await;
    tokio::time::sleep(SETTLE).await;
    let idle = node.resident_kb();
    let mut session = ImapClient::connect(&endpoint, "alice").await;
    session.ok("SELECT INBOX").await;
    // From here on: checking a password takes memory of its own, for a moment.
    node.reset_peak();
    let start = Instant::now();
    let answer = session.counted("FETCH 1 (BODY.PEEK[])").await;
    assert!(answer.bytes >= BYTES as u64);
    let fetched = ms(start.elapsed());
    let above = node.peak_kb().saturating_sub(idle) as f64 / 1024.0;
    bench.report.barred("memory while 50 MB are fetched, above idle", "MB", above, BAR);
    bench.report.less(Contender::Rialto, "FETCH of 50 MB", "ms", fetched);
    drop(session);
    node.kill().await;
}
