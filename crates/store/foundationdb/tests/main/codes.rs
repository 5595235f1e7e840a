//! Error codes as the binding meets them, ordered one by one, and what `transact` makes of each.

use crate::world::World;
use base::Kind;
use base::env::Env;
use contract_store::transact::{ATTEMPTS_MAX, BodyError};
use contract_store::{
    Attempt, Body, Isolation, Retry, Store, StoreError, Transaction, transact, transact_once,
};
use fdb_standin::server::CommitFault;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// Adds one to a number, unless the marker says that this call has done so.
struct Add(u64);

impl Body<u32> for Add {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<u32, BodyError>> {
        async move {
            let marker = format!("marker/{}", self.0);
            if tx.get(marker.as_bytes(), Isolation::Serializable).await?.is_some() {
                assert!(attempt.maybe_committed, "only then it may be there");
                return Ok(attempt.number);
            }
            let sum = tx.get(b"sum", Isolation::Serializable).await?;
            let sum = sum.map_or(0, |sum| u64::from_be_bytes(sum[..].try_into().unwrap()));
            tx.set(b"sum", &(sum + 1).to_be_bytes());
            tx.set(marker.as_bytes(), b"");
            Ok(attempt.number)
        }
        .boxed()
    }
}

async fn sum(store: &Arc<dyn Store>) -> u64 {
    let sum = store.begin().get(b"sum", Isolation::Serializable).await.unwrap();
    sum.map_or(0, |sum| u64::from_be_bytes(sum[..].try_into().unwrap()))
}

/// One test for each code: ordered for the read version, for a row, for the commit.
macro_rules! retried {
    ($($name:ident: $code:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            World::whole().run(|world| check_retried(world, $code)).await;
        }
    )*};
}

retried! {
    code_1009_future_version_is_tried_again: 1009;
    code_1037_process_behind_is_tried_again: 1037;
    code_1042_proxy_memory_limit_is_tried_again: 1042;
    code_1078_memory_limit_is_tried_again: 1078;
    code_1213_tag_throttled_is_tried_again: 1213;
    code_1038_locked_is_tried_again: 1038;
}

async fn check_retried(world: Arc<World>, code: i32) {
    let Some(server) = world.server() else {
        println!("the real one has no faults to order: skipped");
        return;
    };
    let store: Arc<dyn Store> = world.store();
    assert_eq!(StoreError::from_code(code).retry(), Retry::Safe);
    // For the version, which the first read asks for; twice, so for the next attempt's, too.
    server.script_read(code);
    server.script_read(code);
    assert_eq!(transact(&store, Add(1)).await.unwrap(), 3);
    let clock = Env::real().clock;
    let begun = clock.monotonic();
    for _ in 0..6 {
        world.script(CommitFault::Code { code, made: false });
    }
    assert_eq!(transact(&store, Add(2)).await.unwrap(), 7);
    // The waits grow, or are some 10 ms each (1007 and 1009); none of them is skipped.
    assert!(clock.monotonic() - begun > Duration::from_millis(5));
    assert_eq!(sum(&store).await, 2);
    // Nothing is unknown about it: who must not run twice is run again as well.
    world.script(CommitFault::Code { code, made: false });
    assert_eq!(transact_once(&store, Add(3)).await.unwrap(), 2);
    assert_eq!(sum(&store).await, 3);
}

/// Who locks the database for long is waited for as long as for any outage; then it is a temporary
/// error, and nothing was done.
#[tokio::test]
async fn code_1038_locked_for_long_is_a_temporary_error() {
    World::whole().run(check_locked).await;
}

async fn check_locked(world: Arc<World>) {
    if world.server().is_none() {
        return;
    }
    let error = base::Error::from(StoreError::Locked);
    assert_eq!((error.kind, error.is_temporary()), (Kind::Unavailable, true));
    if std::env::var("RIALTO_TIER").is_ok_and(|tier| tier == "full") {
        let store: Arc<dyn Store> = world.store();
        for _ in 0..ATTEMPTS_MAX {
            world.script(CommitFault::Code { code: 1038, made: false });
        }
        let error = transact(&store, Add(1)).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable, "{error}");
        assert_eq!(sum(&store).await, 0);
        assert_eq!(transact(&store, Add(1)).await.unwrap(), 1);
    }
}

/// The client has changed its version: in a read that says nothing, in a commit everything may
/// have happened.
#[tokio::test]
async fn code_1039_cluster_version_changed_leaves_a_commit_unknown() {
    World::whole().run(check_version_changed).await;
}

async fn check_version_changed(world: Arc<World>) {
    let Some(server) = world.server() else {
        return;
    };
    let store: Arc<dyn Store> = world.store();
    server.script_read(1039);
    assert_eq!(transact(&store, Add(1)).await.unwrap(), 2);
    for (number, made) in [(2, true), (3, false)] {
        world.script(CommitFault::Code { code: 1039, made });
        assert_eq!(transact(&store, Add(number)).await.unwrap(), 2);
        assert_eq!(sum(&store).await, number, "once, whether or not the first one was made");
        world.script(CommitFault::Code { code: 1039, made });
        let outcome = transact_once(&store, Add(100 + number)).await;
        let unknown = matches!(&outcome, Err(Err(error)) if error.retry() == Retry::MaybeCommitted);
        assert!(unknown, "{outcome:?}");
        let expect = if made { number + 1 } else { number };
        assert_eq!(sum(&store).await, expect);
        // So that the count goes on.
        let tx = store.begin();
        tx.set(b"sum", &number.to_be_bytes());
        tx.commit().await.unwrap();
    }
}

/// A watch promises that whoever waits hears of a change, and not that there was one.
#[tokio::test]
async fn a_watch_may_fire_for_nothing() {
    World::whole().run(check_spurious).await;
}

async fn check_spurious(world: Arc<World>) {
    let Some(server) = world.server() else {
        return;
    };
    let store = world.store();
    for round in 0..3 {
        let tx = store.begin();
        let watch = tx.watch(b"head");
        tx.commit().await.unwrap();
        let mut watch = std::pin::pin!(watch);
        assert!(futures::poll!(&mut watch).is_pending(), "{round}");
        // The commit's answer may come before the watch has arrived.
        while server.stats().watches == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.fire_watches();
        assert_eq!(watch.await, Ok(()));
        let value = store.begin().get(b"head", Isolation::Serializable).await;
        assert_eq!(value, Ok(None), "nothing has happened");
    }
}
