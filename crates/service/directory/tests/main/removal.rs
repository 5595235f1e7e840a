//! What becomes of the mailboxes of removed accounts.

use crate::{new_account, with_domain};
use async_trait::async_trait;
use base::universe::Universe;
use base::{AccountId, Change, CommandId, Error, Result};
use contract_directory::{Actor, DirectoryAdmin};
use contract_mailbox::{Mailboxes, Principal, Read, ReadReply, Write, WriteReply};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store_testing::open;
use tokio::sync::watch;

/// Mailboxes that only remember being purged, and refuse it the first time.
#[derive(Default)]
struct Purged(Mutex<Vec<AccountId>>);

impl Purged {
    fn seen(&self) -> Vec<AccountId> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Mailboxes for Purged {
    async fn read(&self, _: AccountId, _: Principal, _: Read) -> Result<ReadReply> {
        Err(Error::internal("nobody reads here"))
    }

    async fn write(
        &self,
        mailbox: AccountId,
        who: Principal,
        _: CommandId,
        request: Write,
    ) -> Result<WriteReply> {
        assert!(matches!((who, request), (Principal::System, Write::Purge)));
        let mut seen = self.0.lock().unwrap();
        seen.push(mailbox);
        match seen.iter().filter(|id| **id == mailbox).count() {
            1 => Err(Error::unavailable("not now")),
            _ => Ok(WriteReply::Done),
        }
    }

    fn watch(&self, _: AccountId) -> watch::Receiver<Change> {
        watch::channel(Change(0)).1
    }
}

#[test]
fn mailboxes_of_the_removed_are_purged_after_thirty_days() {
    Universe::simulate(1, async |simulation| {
        let env = simulation.env();
        let store = open(&env);
        let node = with_domain(&env, &store).await;
        let mailboxes = Arc::new(Purged::default());
        node.start_purging(mailboxes.clone());
        let by = Actor::Operator;
        let mut ids = Vec::new();
        for name in ["alice", "bob", "carol"] {
            ids.push(node.create_account(&by, new_account(name, "x")).await.unwrap().id);
        }
        // Days go by, and then time for several looks.
        let days = async |days: i64| {
            simulation.clock.step_ms(days * 24 * 3600 * 1_000);
            env.clock.sleep(Duration::from_secs(3 * 3600)).await;
        };
        node.remove_account(&by, ids[0]).await.unwrap();
        days(10).await;
        node.remove_account(&by, ids[1]).await.unwrap();
        days(19).await;
        assert_eq!(mailboxes.seen(), []);
        days(2).await;
        assert_eq!(mailboxes.seen(), [ids[0], ids[0]], "again after it failed, and then no more");
        let left = node.removed_accounts(None, 10).await.unwrap();
        assert_eq!(left.iter().map(|left| left.id).collect::<Vec<_>>(), [ids[1]]);
        days(10).await;
        assert_eq!(mailboxes.seen().len(), 4);
        assert_eq!(node.removed_accounts(None, 10).await.unwrap(), []);
        let last = node.audit(1).await.unwrap();
        assert_eq!((last[0].action.as_str(), &last[0].actor), ("account.purge", &Actor::System));
    });
}
