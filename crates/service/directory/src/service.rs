//! The service: what its parts share, its background tasks, and the two contracts it keeps.

use crate::cache::Cache;
use crate::change::{
    account_create, account_remove, account_update, contact, domain, group, record,
};
use crate::config::DirectoryConfig;
use crate::login::Login;
use crate::{account, expand, feed, list, login, resolve, shares, trim};
use async_trait::async_trait;
use base::env::Env;
use base::{AccountId, Address, Result};
use contract_directory::{
    Account, AccountChange, Actor, Admission, AuditRecord, Directory, DirectoryAdmin, Domain,
    Expansion, Group, GroupChange, GroupId, LoginAttempt, NewAccount, NewContact, NewDynamicGroup,
    NewGroup, RemovedAccount, Resolved,
};
use contract_store::Store;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What all parts of the service use.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Env,
    pub(crate) config: DirectoryConfig,
    pub(crate) cache: Cache,
    pub(crate) login: Login,
    /// Tells the feature level of the cluster; nobody does for a node alone.
    level: OnceLock<Box<dyn Fn() -> u32 + Send + Sync>>,
}

impl Shared {
    /// A node that does nothing by itself yet.
    pub(crate) fn new(config: DirectoryConfig, store: Arc<dyn Store>, env: Env) -> Arc<Self> {
        let cache = Cache::new(config.cached_accounts, config.stale_after_ms);
        let login = Login::new(&config, &*env.random);
        Arc::new(Self { store, env, config, cache, login, level: OnceLock::new() })
    }

    /// Whether every node of the cluster is at a feature level.
    pub(crate) fn is_at_level(&self, level: u32) -> bool {
        self.level.get().is_none_or(|told| told() >= level)
    }

    /// Milliseconds on the clock that never goes back.
    pub(crate) fn now_ms(&self) -> u64 {
        self.env.clock.monotonic().as_millis() as u64
    }
}

/// The directory of one node. Keeps [`Directory`] and [`DirectoryAdmin`]; its background tasks
/// end when it is dropped.
pub struct DirectoryService {
    pub(crate) shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl DirectoryService {
    /// Starts the service of one node over a store that others may share. Must be called within a
    /// tokio runtime. Reads nothing yet: until the feed has been found, every answer is read from
    /// the store.
    pub fn start(config: DirectoryConfig, store: Arc<dyn Store>, env: Env) -> Arc<Self> {
        let shared = Shared::new(config, store, env);
        let tasks = vec![
            tokio::spawn(feed::follow(shared.clone())),
            tokio::spawn(trim::trim_regularly(shared.clone())),
        ];
        Arc::new(Self { shared, tasks })
    }

    /// Asks there from now on for the feature level of the cluster; whoever was named first stays.
    pub fn heed_level(&self, level: impl Fn() -> u32 + Send + Sync + 'static) {
        self.shared.level.get_or_init(|| Box::new(level));
    }
}

impl Drop for DirectoryService {
    fn drop(&mut self) {
        // The follower only reads, and the trimmer's commits run in tasks of their own, so
        // nothing is cut off half-way.
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[async_trait]
impl Directory for DirectoryService {
    async fn resolve(&self, address: &Address) -> Result<Resolved> {
        resolve::resolve(&self.shared, address).await
    }

    async fn account(&self, id: AccountId) -> Result<Arc<Account>> {
        account::account(&self.shared, id).await
    }

    fn watch(&self, account: AccountId) -> watch::Receiver<()> {
        self.shared.cache.watchers.watch(account)
    }

    async fn authenticate(&self, attempt: &LoginAttempt) -> Result<Arc<Account>> {
        login::authenticate(&self.shared, attempt).await
    }

    async fn may_send_as(&self, account: &Account, from: &Address) -> Result<bool> {
        account::may_send_as(&self.shared, account.id, from).await
    }

    async fn full_access_of(&self, account: AccountId, limit: usize) -> Result<Vec<AccountId>> {
        shares::owners(&self.shared, account, limit).await
    }

    async fn domains(&self) -> Result<Vec<Arc<Domain>>> {
        list::domains(&self.shared).await
    }

    async fn expand_admitted(
        &self,
        group: GroupId,
        cursor: u64,
        limit: usize,
        admission: &dyn Admission,
    ) -> Result<Expansion> {
        expand::expand(&self.shared, group, (cursor, limit), admission).await
    }
}

#[async_trait]
impl DirectoryAdmin for DirectoryService {
    async fn create_account(&self, actor: &Actor, new: NewAccount) -> Result<Arc<Account>> {
        let id = account_create::one(&self.shared, actor, new).await?;
        account::account(&self.shared, id).await
    }

    async fn create_accounts(&self, actor: &Actor, new: Vec<NewAccount>) -> Result<u64> {
        account_create::many(&self.shared, actor, new).await
    }

    async fn update_account(
        &self,
        actor: &Actor,
        id: AccountId,
        change: AccountChange,
    ) -> Result<Arc<Account>> {
        account_update::update(&self.shared, actor, id, change).await?;
        account::account(&self.shared, id).await
    }

    async fn remove_account(&self, actor: &Actor, id: AccountId) -> Result<()> {
        account_remove::remove(&self.shared, actor, id).await
    }

    async fn removed_accounts(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<RemovedAccount>> {
        list::removed(&self.shared, after, limit).await
    }

    async fn forget_removed(&self, actor: &Actor, id: AccountId) -> Result<()> {
        account_remove::forget(&self.shared, actor, id).await
    }

    async fn create_contact(&self, actor: &Actor, new: NewContact) -> Result<Arc<Account>> {
        let id = contact::create(&self.shared, actor, new).await?;
        account::account(&self.shared, id).await
    }

    async fn list_contacts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Account>>> {
        list::contacts(&self.shared, after, limit).await
    }

    async fn list_accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Account>>> {
        list::accounts(&self.shared, after, limit).await
    }

    async fn create_domain(&self, actor: &Actor, new: Domain) -> Result<Arc<Domain>> {
        domain::create(&self.shared, actor, new).await
    }

    async fn remove_domain(&self, actor: &Actor, name: &str) -> Result<()> {
        domain::remove(&self.shared, actor, name).await
    }

    async fn create_group(&self, actor: &Actor, new: NewGroup) -> Result<Arc<Group>> {
        let id = group::create(&self.shared, actor, new).await?;
        list::group(&self.shared, id).await
    }

    async fn create_dynamic_group(
        &self,
        actor: &Actor,
        new: NewDynamicGroup,
    ) -> Result<Arc<Group>> {
        let id = group::create_dynamic(&self.shared, actor, new).await?;
        list::group(&self.shared, id).await
    }

    async fn update_group(
        &self,
        actor: &Actor,
        id: GroupId,
        change: GroupChange,
    ) -> Result<Arc<Group>> {
        group::update(&self.shared, actor, id, change).await?;
        list::group(&self.shared, id).await
    }

    async fn remove_group(&self, actor: &Actor, id: GroupId) -> Result<()> {
        group::remove(&self.shared, actor, id).await
    }

    async fn group(&self, id: GroupId) -> Result<Arc<Group>> {
        list::group(&self.shared, id).await
    }

    async fn list_groups(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Group>>> {
        list::groups(&self.shared, after, limit).await
    }

    async fn record(
        &self,
        actor: &Actor,
        action: &'static str,
        target: &str,
        parameters: &str,
    ) -> Result<()> {
        record::record(&self.shared, actor, action, (target, parameters)).await
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditRecord>> {
        list::audit(&self.shared, limit).await
    }
}
