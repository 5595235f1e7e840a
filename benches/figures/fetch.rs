//! FETCH of a whole folder: what a client asks for to show the list, and the bodies.

use super::support::{Bench, Contender, at_once, message};
use super::support::{ImapClient, Server};
use std::time::{Duration, Instant};

const BYTES: usize = 5_000;

/// What is asked for, and its name.
const HEADERS: &str =
    "(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID)])";
const ENVELOPES: &str = "(UID FLAGS RFC822.SIZE ENVELOPE)";
const BODIES: &str = "(UID BODY.PEEK[])";

/// The best of so many is what a warm server does.
const REPEATS: u32 = 3;

pub async fn run(bench: &mut Bench) {
    let total = bench.size(2_000, 20_000);
    for contender in bench.contenders.clone() {
        measure(bench, contender, total).await;
    }
}

async fn measure(bench: &mut Bench, contender: Contender, total: u64) {
    let server = contender.start(1).await;
    drop(server.warm(1).await);
    append(&server, total).await;
    let mut session = ImapClient::connect(&server.endpoint, "user1").await;
    session.ok("SELECT INBOX").await;
    for (what, items) in [("headers", HEADERS), ("envelopes", ENVELOPES), ("bodies", BODIES)] {
        let mut first = None;
        let mut best = Duration::MAX;
        for _ in 0..=REPEATS {
            let start = Instant::now();
            let answer = session.counted(&format!("FETCH 1:* {items}")).await;
            let elapsed = start.elapsed();
            assert!(answer.fetched >= total, "{} of {total} messages", answer.fetched);
            assert!(what != "bodies" || answer.bytes > total * BYTES as u64);
            if first.is_some() {
                best = best.min(elapsed);
            }
            first.get_or_insert(elapsed);
        }
        let rate = |elapsed: Duration| total as f64 / elapsed.as_secs_f64();
        let name = format!("FETCH {what}, first time");
        bench.report.more(contender, &name, "/s", rate(first.unwrap()));
        bench.report.more(contender, &format!("FETCH {what}, again"), "/s", rate(best));
    }
    drop(session);
    server.stop().await;
}

/// Fills user1's Inbox.
async fn append(server: &Server, total: u64) {
    let connections = 8;
    at_once(connections, |client| {
        let to = server.endpoint.clone();
        async move {
            let mut session = ImapClient::connect(&to, "user1").await;
            for number in (client..total).step_by(connections as usize) {
                session.append(&message(BYTES, number)).await;
            }
        }
    })
    .await;
}
