//! Memory of provisioned mailboxes that nobody uses.

use super::support::{Bar, Bench, Contender, Node, Scratch, ms};
use std::time::Duration;

const SETTLE: Duration = Duration::from_secs(2);

pub async fn run(bench: &mut Bench) {
    let count = bench.size(20_000, 100_000);
    let data = Scratch::new("mailboxes");
    let node = Node::start(data.path(), count).await;
    let made = node.started_in.as_secs_f64();
    bench.report.note(&format!("{count} mailboxes provisioned in {made:.1} s"));
    node.kill().await;

    let node = Node::start(data.path(), 0).await;
    let started = ms(node.started_in);
    tokio::time::sleep(SETTLE).await;
    let memory = node.resident_kb() as f64 / 1024.0;
    let bar = (Bar::AtMost(150.0), bench.full);
    bench.report.barred("memory, all mailboxes provisioned, none active", "MB", memory, bar);
    bench.report.less(Contender::Rialto, "start with these", "ms", started);
    node.kill().await;
}
