//! Following the feed of changes.
//!
//! Every change writes a feed row under a versionstamp and the same stamp into the head. A node
//! watches the head; when it wakes up (or the poll comes round) it reads the rows after its
//! position and drops what they name. The rows, the head and the trim mark are read in one
//! transaction, so a position below the trim mark means that rows may have been missed: then all
//! is forgotten and the node goes on from the head. Clocks decide only when rows are trimmed,
//! never whether an answer is right.

use crate::keys;
use crate::rows::{FeedRow, Row};
use crate::service::Shared;
use crate::telemetry;
use base::{Error, Kind, Result};
use contract_store::{
    Isolation, KeyRange, KeySelector, RangeRead, StoreResult, Transaction, Versionstamp, Watch,
};
use futures::FutureExt;
use std::sync::Arc;
use std::time::Duration;

/// How many feed rows are read at a time.
const READ_ROWS: usize = 200;

/// Follows the feed for ever.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut position = None;
    loop {
        let poll = shared.env.clock.sleep(Duration::from_millis(shared.config.poll_ms));
        match catch_up(&shared, &mut position).await {
            Ok(watch) => {
                // A watch that fails is no wake-up: wait for the poll, or this would spin.
                let woken = watch.then(|outcome| async move {
                    if outcome.is_err() {
                        std::future::pending::<()>().await;
                    }
                });
                tokio::select! { () = woken => {}, () = poll => {} }
            }
            Err(error) => {
                report(&error, "reading the directory feed");
                poll.await;
            }
        }
    }
}

/// A store that is away is not ours to report; anything else needs a person.
pub(crate) fn report(error: &Error, what: &str) {
    if error.is_temporary() && error.kind != Kind::Corrupt {
        tracing::debug!(%error, what, "the directory in the background");
    } else {
        tracing::warn!(%error, what, "the directory in the background");
    }
}

/// Reads the feed to its end, drops what changed, and watches for more.
async fn catch_up(shared: &Shared, position: &mut Option<Versionstamp>) -> Result<Watch> {
    loop {
        let began_ms = shared.now_ms();
        let news = read_news(shared, *position).await?;
        match news.rows {
            None => {
                if position.is_some() {
                    telemetry::feed_reload();
                }
                shared.cache.clear();
            }
            Some(rows) => {
                for row in &rows {
                    shared.cache.drop_changed(&row.changed);
                }
            }
        }
        *position = Some(news.position);
        if news.at_end {
            shared.cache.synced(began_ms);
            return Ok(news.watch);
        }
    }
}

struct News {
    /// `None`: rows may have been missed.
    rows: Option<Vec<FeedRow>>,
    position: Versionstamp,
    at_end: bool,
    watch: Watch,
}

async fn read_news(shared: &Shared, position: Option<Versionstamp>) -> Result<News> {
    let tx = shared.store.begin();
    let (head, trimmed) = futures::try_join!(stamp(&*tx, keys::HEAD), stamp(&*tx, keys::TRIMMED))?;
    let watch = tx.watch(keys::HEAD);
    let mut news = News { rows: None, position: head, at_end: true, watch };
    if let Some(after) = position.filter(|position| *position >= trimmed) {
        let range = KeyRange::new(keys::feed_entry(&after), keys::feed().end);
        let mut read = RangeRead::all(&range).limit(READ_ROWS);
        read.begin = KeySelector::first_greater_than(keys::feed_entry(&after));
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            rows.push(FeedRow::from_bytes(&row.key, &row.value)?);
        }
        if page.more {
            let last = page.rows.last().and_then(|row| keys::feed_stamp(&row.key));
            news.position = last.unwrap_or(after);
            news.at_end = false;
        }
        news.rows = Some(rows);
    }
    tx.commit().await?;
    Ok(news)
}

/// A stored stamp; zeros where there is none yet.
async fn stamp(tx: &dyn Transaction, key: &[u8]) -> StoreResult<Versionstamp> {
    let value = tx.get(key, Isolation::Snapshot).await?;
    Ok(value.and_then(|bytes| bytes[..].try_into().ok()).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{DirectoryConfig, HashParameters};
    use crate::resolve;
    use crate::service::DirectoryService;
    use base::Address;
    use base::env::Env;
    use base::universe::Universe;
    use contract_directory::{
        Account, AccountChange, AccountKind, Actor, DirectoryAdmin, Domain, DomainKind, NewAccount,
        Resolved, Role,
    };
    use contract_store::Store;
    use store_memory::MemoryStore;

    fn config() -> DirectoryConfig {
        DirectoryConfig {
            hash: HashParameters { memory_kib: 64, passes: 1, lanes: 1 },
            feed_window_ms: 10_000,
            trim_interval_ms: 1_000,
            stale_after_ms: u64::MAX,
            ..DirectoryConfig::default()
        }
    }

    /// A node that writes and trims, another that follows only when told, and an account that
    /// the second has in its cache.
    async fn setup(env: &Env) -> (Arc<DirectoryService>, Arc<Shared>, Arc<Account>) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
        let writer = DirectoryService::start(config(), store.clone(), env.clone());
        let follower = Shared::new(config(), store, env.clone());
        let account = alice(&writer).await;
        (writer, follower, account)
    }

    /// The first domain and the first account.
    async fn alice(writer: &DirectoryService) -> Arc<Account> {
        let domain =
            Domain { name: "x.test".into(), kind: DomainKind::Authoritative, default: true };
        writer.create_domain(&Actor::System, domain).await.unwrap();
        let new = NewAccount {
            address: Address::new("alice", "x.test"),
            display_name: String::new(),
            password: None,
            kind: AccountKind::User,
            quota: None,
            role: Role::None,
        };
        writer.create_account(&Actor::System, new).await.unwrap()
    }

    async fn disable(writer: &DirectoryService, account: &Account) {
        let change = AccountChange { enabled: Some(false), ..AccountChange::default() };
        writer.update_account(&Actor::System, account.id, change).await.unwrap();
    }

    async fn is_there(follower: &Shared, account: &Account) -> bool {
        let resolved = resolve::resolve(follower, &account.address).await.unwrap();
        matches!(resolved, Resolved::Account(_))
    }

    async fn feed_rows(shared: &Shared) -> usize {
        let tx = shared.store.begin();
        let read = RangeRead::all(&keys::feed());
        tx.get_range(&read, Isolation::Snapshot).await.unwrap().rows.len()
    }

    #[test]
    fn a_node_whose_position_was_trimmed_forgets_everything() {
        Universe::run(1, async |env| {
            let (writer, follower, account) = setup(&env).await;
            let mut position = None;
            drop(catch_up(&follower, &mut position).await.unwrap());
            assert!(is_there(&follower, &account).await);
            disable(&writer, &account).await;
            assert!(is_there(&follower, &account).await, "it has not looked at the feed");
            env.clock.sleep(Duration::from_secs(60)).await;
            assert_eq!(feed_rows(&follower).await, 0, "all rows are older than the window");
            drop(catch_up(&follower, &mut position).await.unwrap());
            assert!(!is_there(&follower, &account).await);
            // And it goes on from there.
            let enable = AccountChange { enabled: Some(true), ..AccountChange::default() };
            writer.update_account(&Actor::System, account.id, enable).await.unwrap();
            drop(catch_up(&follower, &mut position).await.unwrap());
            assert!(is_there(&follower, &account).await);
        });
    }

    #[test]
    fn rows_within_the_window_are_kept_and_name_what_changed() {
        Universe::run(2, async |env| {
            let (writer, follower, account) = setup(&env).await;
            let mut position = None;
            let watch = catch_up(&follower, &mut position).await.unwrap();
            assert!(is_there(&follower, &account).await);
            env.clock.sleep(Duration::from_secs(5)).await;
            for _ in 0..500 {
                disable(&writer, &account).await;
            }
            assert!(feed_rows(&follower).await >= 500);
            watch.await.unwrap();
            drop(catch_up(&follower, &mut position).await.unwrap());
            assert!(!is_there(&follower, &account).await);
            let head = stamp(&*follower.store.begin(), keys::HEAD).await.unwrap();
            assert_eq!(position, Some(head), "followed to the end in several reads");
        });
    }

    /// A watch may fire though nothing has changed: that costs a look, and what is known stays.
    #[test]
    fn wake_ups_for_nothing_cost_a_look() {
        Universe::run(4, async |env| {
            let store = Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
            let a = DirectoryService::start(config(), store.clone(), env.clone());
            let b = DirectoryService::start(config(), store.clone(), env.clone());
            let account = alice(&a).await;
            assert!(is_there(&b.shared, &account).await);
            env.clock.sleep(Duration::from_secs(1)).await;
            let begun = store.stats().begun;
            for _ in 0..50 {
                store.fire_watches();
                env.clock.sleep(Duration::from_millis(10)).await;
                assert!(is_there(&b.shared, &account).await);
            }
            let looks = store.stats().begun - begun;
            assert!((50..=200).contains(&looks), "{looks} looks of two nodes");
            // The next news is heard as ever.
            disable(&a, &account).await;
            env.clock.sleep(Duration::from_millis(100)).await;
            assert!(!is_there(&b.shared, &account).await);
        });
    }

    #[test]
    fn lost_wake_ups_cost_no_more_than_the_poll() {
        Universe::run(3, async |env| {
            let store = Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
            store.set_watches_max(0);
            let a = DirectoryService::start(config(), store.clone(), env.clone());
            let b = DirectoryService::start(config(), store.clone(), env.clone());
            let account = alice(&a).await;
            env.clock.sleep(Duration::from_secs(6)).await;
            assert!(is_there(&b.shared, &account).await);
            let begun = store.stats().begun;
            disable(&a, &account).await;
            env.clock.sleep(Duration::from_millis(config().poll_ms + 100)).await;
            assert!(!is_there(&b.shared, &account).await);
            assert!(store.stats().begun - begun < 50, "it polls and does not spin");
        });
    }
}
