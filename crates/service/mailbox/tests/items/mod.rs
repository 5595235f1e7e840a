//! The contract suite over one node, with and without faults in the store; and what only this
//! implementation promises of items.

mod jobs;

use crate::support;
use async_trait::async_trait;
use base::env::sim::test_seed;
use base::universe::Universe;
use base::{AccountId, QueueId};
use contract_blob::Blobs;
use contract_directory::{AccountChange, Quota};
use contract_mailbox::Mailboxes;
use contract_mailbox::suite::{self, Setting, World};
use contract_store::{Isolation, KeyRange, RangeRead};
use contract_transport::rows as queue_rows;
use service_mailbox::Config;
use std::sync::Arc;
use std::time::Duration;
use store_memory::Faults;

#[async_trait]
impl World for support::World {
    fn mailboxes(&self) -> Arc<dyn Mailboxes> {
        support::World::mailboxes(self)
    }

    fn blobs(&self) -> Arc<dyn Blobs> {
        self.blobs.clone()
    }

    async fn account(&self, name: &str) -> AccountId {
        support::World::account(self, name).await
    }

    async fn set(&self, account: AccountId, setting: Setting) {
        let mut change = AccountChange::default();
        match setting {
            Setting::Hold(on) => change.litigation_hold = Some(on),
            Setting::NoReceiveBytes(bytes) => {
                change.quota = Some(Quota {
                    warn_bytes: None,
                    no_send_bytes: None,
                    no_receive_bytes: Some(bytes),
                });
            }
            Setting::FullAccess(accounts) => change.full_access = Some(accounts),
        }
        self.change_account(account, change).await;
    }

    async fn is_queued(&self, queue: QueueId) -> bool {
        let key = queue_rows::entry_key(self.node.control.slot_of_queue(queue), queue);
        self.quietly(async || self.store.begin().get(&key, Isolation::Snapshot).await.unwrap())
            .await
            .is_some()
    }

    fn bytes_written(&self) -> Option<u64> {
        support::in_memory().then(|| self.memory().stats().bytes_committed)
    }

    async fn blobs_held(&self) -> usize {
        self.quietly(async || {
            self.env.clock.sleep(Duration::from_secs(3600)).await;
            while self.blobs.collect(100).await.unwrap().more {}
            self.count_rows(b"BM").await
        })
        .await
    }

    fn random(&self) -> u128 {
        self.env.random.u128()
    }

    async fn pass(&self, how_long: Duration) {
        self.env.clock.sleep(how_long).await;
    }
}

#[allow(clippy::print_stdout)]
fn run(faults: Faults, seed: u64, wanted: impl Fn(&str) -> bool) {
    for (name, case) in suite::cases().into_iter().filter(|(name, _)| wanted(name)) {
        println!("seed {seed}: {name}");
        Universe::run(seed, async |env| {
            let world = support::World::new(env, Config::default()).await;
            if faults != Faults::default() {
                world.inject(faults);
            }
            let world = Arc::new(world);
            case(world.clone()).await;
            if faults != Faults::default() {
                world.inject(Faults::default());
            }
            let accounts = world.accounts.lock().clone();
            for account in accounts {
                world.sound(account).await;
            }
        });
    }
}

/// Its hundred megabytes are written once, without faults.
const LARGE: &str = "a_large_attachment_is_neither_read_nor_copied";

#[test]
fn the_contract_holds() {
    run(Faults::default(), 1, |_| true);
}

#[test]
fn the_contract_holds_under_conflicts_and_unknown_commits() {
    if !support::in_memory() {
        return;
    }
    let faults = Faults {
        conflict: 0.1,
        commit_unknown_applied: 0.1,
        commit_unknown_not_applied: 0.1,
        short_pages: 0.3,
        interleave: 0.3,
        ..Faults::default()
    };
    for seed in [1, 2, test_seed()] {
        run(faults, seed, |name| name != LARGE);
    }
}

#[test]
fn the_contract_holds_under_late_commits_and_stale_reads() {
    if !support::in_memory() {
        return;
    }
    let faults = Faults {
        late_commit: 0.1,
        too_old: 0.05,
        busy: 0.05,
        short_pages: 0.2,
        ..Faults::default()
    };
    for seed in [1, 2, test_seed()] {
        run(faults, seed, |name| name != LARGE);
    }
}

impl support::World {
    /// How many rows have keys that begin so.
    pub(crate) async fn count_rows(&self, prefix: &[u8]) -> usize {
        let tx = self.store.begin();
        let mut count = 0;
        let mut next = Some(RangeRead::all(&KeyRange::prefix(prefix)));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await.unwrap();
            next = read.after(&page);
            count += page.rows.len();
        }
        count
    }
}
