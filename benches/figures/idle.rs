//! Memory of open IMAP connections over TLS on which nothing happens: before sign-in, and signed
//! in, with the Inbox selected, in IDLE.

use super::support::{Bench, Contender, ImapClient};

/// Sessions of one user, below every contender's limit: Dovecot as it comes allows 10, and in all
/// 100 connections over TLS.
const DEFAULT_PER_USER: u64 = 9;
const DEFAULT_CONNECTIONS: u64 = 90;
const PER_USER: u64 = 50;

pub async fn run(bench: &mut Bench) {
    let wanted = bench.size(400, 4_000).min(files_max() / 2);
    for contender in bench.contenders.clone() {
        let (count, per_user) = match contender {
            Contender::PeerDefault => (DEFAULT_CONNECTIONS, DEFAULT_PER_USER),
            _ => (wanted, PER_USER),
        };
        measure(bench, contender, count, per_user).await;
    }
}

/// Each kind on a server of its own: what closed connections leave to the allocator would hide
/// what the next ones take.
async fn measure(bench: &mut Bench, contender: Contender, count: u64, per_user: u64) {
    let users = count.div_ceil(per_user);
    for signed_in in [false, true] {
        let server = contender.start(users).await;
        let memory = server.imap_memory();
        // Every user signs in once before, so that mailboxes are active and passwords known.
        let mut first = server.warm(users).await;
        for session in &mut first {
            session.ok("SELECT INBOX").await;
        }
        drop(first);
        let before = memory.settled_kb().await;
        let mut open = Vec::new();
        for number in 0..count {
            let session = if signed_in {
                let user = format!("user{}", number % users + 1);
                let mut session = ImapClient::connect(&server.endpoint, &user).await;
                session.ok("SELECT INBOX").await;
                session.idle().await;
                session
            } else {
                ImapClient::greeted(&server.endpoint).await
            };
            open.push(session);
        }
        let each = memory.settled_kb().await.saturating_sub(before) as f64 / count as f64;
        let kind = if signed_in { "in IDLE" } else { "not signed in" };
        bench.report.less(contender, &format!("idle connection, {kind}"), "kB", each);
        drop(open);
        server.stop().await;
    }
    bench.report.note(&format!("{count} connections of {users} users"));
}

/// How many files this process may open.
fn files_max() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(1024)
}
