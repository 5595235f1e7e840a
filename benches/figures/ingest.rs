//! SMTP to mailbox: messages of 5 kB over so many connections, until IMAP shows all of them.

use super::support::{Bar, Bench, Contender, SmtpClient, at_once, message};
use std::time::Instant;

/// Mailboxes that share the mail; also the pollers, which sign in before the clock runs.
const USERS: u64 = 20;

const BYTES: usize = 5_000;

pub async fn run(bench: &mut Bench) {
    for connections in [1, 10, 100] {
        let total = bench.messages(connections);
        for contender in bench.contenders.clone() {
            measure(bench, contender, connections, total).await;
        }
    }
}

async fn measure(bench: &mut Bench, contender: Contender, connections: u64, total: u64) {
    let server = contender.start(USERS).await;
    let mut sessions = server.warm(USERS).await;
    let before = match &server.node {
        Some(node) => node.writes().await,
        None => (0.0, 0.0),
    };
    let start = Instant::now();
    let counts = at_once(connections, |client| {
        let to = server.endpoint.clone();
        async move {
            let mut smtp = SmtpClient::connect(&to).await;
            let mut counts = [0; USERS as usize];
            for number in (client..total).step_by(connections as usize) {
                let user = number % USERS;
                let recipient = format!("user{}@rialto.test", user + 1);
                smtp.deliver(&recipient, &message(BYTES, number)).await;
                counts[user as usize] += 1;
            }
            counts
        }
    })
    .await;
    let accepted = start.elapsed();
    let wanted: Vec<u64> =
        (0..USERS as usize).map(|user| 1 + counts.iter().map(|c| c[user]).sum::<u64>()).collect();
    server.shown(&mut sessions, &wanted).await;
    let elapsed = start.elapsed();
    let rate = total as f64 / elapsed.as_secs_f64();
    let name = format!("SMTP to mailbox, {connections} connections");
    let most = connections == 100;
    if contender == Contender::Rialto && most {
        bench.report.barred(&name, "/s", rate, (Bar::AtLeast(1_000.0), true));
    } else {
        bench.report.more(contender, &name, "/s", rate);
    }
    let rate = total as f64 / accepted.as_secs_f64();
    bench.report.note(&format!("{total} messages, accepted with 250 at {rate:.0} /s"));
    if let Some(node) = &server.node {
        let after = node.writes().await;
        let each = |after: f64, before: f64| (after - before) / total as f64;
        bench.report.barred(
            &format!("  transactions a message, {connections}"),
            "",
            each(after.0, before.0),
            (Bar::AtMost(2.0), true),
        );
        let (name, syncs) =
            (format!("  log syncs a message, {connections}"), each(after.1, before.1));
        if most {
            bench.report.barred(&name, "", syncs, (Bar::AtMost(0.3), true));
        } else {
            bench.report.less(contender, &name, "", syncs);
        }
    }
    server.stop().await;
}
