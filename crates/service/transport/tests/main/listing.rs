//! Looking at a long queue in short transactions.

use crate::world::run_simulated;
use base::Deadline;
use contract_transport::QueueAdmin;
use std::time::Duration;
use store_memory::Faults;

#[test]
fn pages_are_in_order_and_complete() {
    run_simulated(61, async |world| {
        world.node.mailboxes.stop(Deadline::after(Duration::from_secs(5))).await.unwrap();
        let mut sent = Vec::new();
        for number in 0..700 {
            sent.push(world.send("x@peer.test", &["alice"], &format!("m{number}")).await);
            world.env.clock.sleep(Duration::from_millis(2)).await;
        }
        sent.sort();
        world.memory().inject(Faults { short_pages: 0.2, too_old: 0.001, ..Faults::default() });
        assert_eq!(world.node.transport.count().await.unwrap(), 700);
        for limit in [1, 7, 100, 10_000] {
            let mut listed = Vec::new();
            let pages = if limit == 1 { 20 } else { usize::MAX };
            for _ in 0..pages {
                let page = world.node.transport.list(listed.last().copied(), limit).await.unwrap();
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                listed.extend(page.iter().map(|message| message.queue));
            }
            assert_eq!(listed, sent[..listed.len()], "pages of {limit}");
            assert!(listed.len() == 700 || limit == 1, "pages of {limit}");
        }
    });
}

/// A page costs a read or two for each slot that has messages, however long the queue is.
#[test]
fn a_page_of_a_long_queue_is_cheap() {
    run_simulated(62, async |world| {
        world.node.mailboxes.stop(Deadline::after(Duration::from_secs(5))).await.unwrap();
        for number in 0..300 {
            world.send("x@peer.test", &["alice"], &format!("m{number}")).await;
        }
        let before = world.memory().stats();
        assert_eq!(world.node.transport.list(None, 10).await.unwrap().len(), 10);
        let after = world.memory().stats();
        let (reads, rows) =
            (after.range_reads - before.range_reads, after.rows_read - before.rows_read);
        assert!(reads <= 2 * 300 + 50, "{reads} range reads");
        assert!(rows <= 2 * 300 + 200, "{rows} rows");
    });
}
