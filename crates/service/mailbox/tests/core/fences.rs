//! What costs an owner a new fence: errors after which a commit may still land, and nothing else.

use super::help::{archive, inbox, kind, named, set};
use crate::support::{World, in_memory, run};
use async_trait::async_trait;
use base::router::{LocalRouter, Router};
use base::{AccountId, Kind, Result};
use contract_blob::{BlobId, Blobs, ByteStream, Collected, Holder, Staged, Upload};
use contract_control::Fence;
use contract_directory::Directory;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{NewItem, Properties, PropertyName, PropertyValue, SystemFlags, UidSet};
use contract_store::{BodyError, Isolation, StoreError, Transaction};
use parking_lot::Mutex;
use service_mailbox::Parts;
use std::ops::Range;
use std::sync::Arc;
use store_memory::CommitFault;

/// Blobs whose `hold` fails as a read of the store does, as often as it is told.
struct Failing {
    inner: Arc<dyn Blobs>,
    errors: Mutex<Vec<BodyError>>,
}

#[async_trait]
impl Blobs for Failing {
    fn upload(&self) -> Box<dyn Upload> {
        self.inner.upload()
    }

    fn read(&self, id: BlobId, range: Range<u64>) -> ByteStream {
        self.inner.read(id, range)
    }

    async fn hold(
        &self,
        tx: &dyn Transaction,
        blob: &Staged,
        holder: &Holder,
    ) -> Result<(), BodyError> {
        let error = self.errors.lock().pop();
        match error {
            Some(error) => Err(error),
            None => self.inner.hold(tx, blob, holder).await,
        }
    }

    async fn hold_stored(
        &self,
        tx: &dyn Transaction,
        id: BlobId,
        holder: &Holder,
    ) -> Result<(), BodyError> {
        self.inner.hold_stored(tx, id, holder).await
    }

    fn release(&self, tx: &dyn Transaction, id: BlobId, holder: &Holder) {
        self.inner.release(tx, id, holder);
    }

    async fn collect(&self, limit: usize) -> Result<Collected> {
        self.inner.collect(limit).await
    }
}

fn failing(world: &mut World) -> Arc<Failing> {
    let blobs = Arc::new(Failing { inner: world.blobs.clone(), errors: Mutex::default() });
    let router = Arc::new(LocalRouter::new(true));
    let parts = Parts {
        env: world.env.clone(),
        store: world.store.clone(),
        blobs: blobs.clone(),
        control: world.node.control.clone(),
        directory: world.directory.clone() as Arc<dyn Directory>,
        router: router.clone() as Arc<dyn Router>,
    };
    world.node.mailboxes = service_mailbox::start(world.config, parts, &router);
    blobs
}

async fn renewal(world: &World, account: AccountId) -> u64 {
    let key = Fence::key(world.node.control.slot_of_account(account));
    let row = world.store.begin().get(&key, Isolation::Snapshot).await.unwrap().unwrap();
    Fence::decode(&row).unwrap().renewal
}

#[test]
fn no_request_can_make_an_owner_renew_its_fence() {
    run(1, async |mut world| {
        let blobs = failing(&mut world);
        let account = world.account("fence").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 20).await;
        let before = renewal(&world, account).await;
        // A row that is damaged, found in the middle of a change.
        let key = kind(account, b'm').u64(inbox().0).u32(7).u16(0).build();
        let tx = world.store.begin();
        tx.set(&key, b"\x01damaged");
        tx.commit().await.unwrap();
        let error = handle.copy(inbox(), UidSet::all(), archive()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
        // A bug of ours.
        blobs.errors.lock().push(base::Error::internal("on purpose").into());
        let error = handle.append(inbox(), world.small(1..2).await).await.unwrap_err();
        assert_eq!(error.kind, Kind::Internal);
        // What the store refuses at the commit.
        let mut wide = NewItem::default();
        for number in 0..30_000_u32 {
            let name = PropertyName::Numbered { set: [1; 16], id: number };
            wide.tree.properties.insert(name, PropertyValue::Text("x".repeat(100)));
        }
        assert_eq!(handle.create_item(inbox(), wide).await.unwrap_err().kind, Kind::Limit);
        let name = PropertyName::Named { set: [1; 16], name: "x".repeat(200_000) };
        let mut long = NewItem::default();
        long.tree.properties = Properties::from([(name, PropertyValue::Bool(true))]);
        handle.create_item(inbox(), long).await.unwrap();
        // A read that was cancelled, before there was anything to commit.
        blobs.errors.lock().push(StoreError::Cancelled.into());
        let command =
            base::CommandId { session: base::SessionId(world.env.random.u128()), sequence: 1 };
        let request =
            contract_mailbox::Write::Append { folder: inbox(), messages: world.small(2..3).await };
        let who = contract_mailbox::Principal::Account(account);
        let mailboxes = world.mailboxes();
        let error = mailboxes.write(account, who, command, request.clone()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        mailboxes.write(account, who, command, request).await.unwrap();
        let seen = named(SystemFlags::SEEN);
        handle.store(inbox(), set(1, 5), StoreMode::Add, seen, None).await.unwrap();
        assert_eq!(renewal(&world, account).await, before);
    });
}

#[test]
fn a_commit_that_may_land_late_is_shut_out() {
    if !in_memory() {
        return;
    }
    run(2, async |world| {
        let account = world.account("late").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 2).await;
        let before = renewal(&world, account).await;
        world.memory().fail_next_commit(CommitFault::Late);
        // The handle asks again, and the owner finds out first.
        handle.append(inbox(), world.small(2..3).await).await.unwrap();
        assert_eq!(renewal(&world, account).await, before + 1);
        world.memory().land_late_commits();
        assert_eq!(handle.view(inbox()).await.unwrap().entries().count(), 3);
        world.sound(account).await;
    });
}
