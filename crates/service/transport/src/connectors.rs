//! The send connectors: rows, a cache on every node, and their administration.
//!
//! - `T/c/<name>` a connector.
//! - `T/v` changes with every change; each node watches it and reads all connectors again.
//!
//! A domain without a way out is looked up in the store before that is said, so that a connector
//! which was made a moment ago is never denied.

use crate::routing::{self, Choice};
use async_trait::async_trait;
use base::env::Env;
use base::{Error, Kind, Result, wire};
use bytes::Bytes;
use contract_directory::{Actor, AuditRecord, audit};
use contract_store::keys::KeyBuilder;
use contract_store::{
    BodyError, Isolation, KeyRange, RangeRead, Store, Transaction, Watch, body, transact,
};
use contract_transport::connector::{
    CONNECTORS_MAX, ConnectorChange, Route, SendConnector, SendConnectors,
};
use futures::FutureExt;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

const PREFIX: &[u8] = b"T/c/";
const CHANGED: &[u8] = b"T/v";
const VERSION: u8 = 1;

/// How often the connectors are read where no watch tells of changes.
const POLL: Duration = Duration::from_secs(5);

type Table = BTreeMap<String, Arc<SendConnector>>;

/// The connectors as this node knows them.
pub(crate) struct Connectors {
    store: Arc<dyn Store>,
    env: Env,
    table: RwLock<Arc<Table>>,
}

impl Connectors {
    pub(crate) fn new(store: Arc<dyn Store>, env: Env) -> Self {
        Self { store, env, table: RwLock::default() }
    }

    /// Reads the connectors again.
    ///
    /// # Errors
    /// The store's.
    async fn reload(&self) -> Result<Arc<Table>> {
        let table =
            Arc::new(transact(&self.store, body((), |(), tx, _| read_all(tx).boxed())).await?);
        *self.table.write() = table.clone();
        Ok(table)
    }

    /// Which way mail for a domain goes; that there is none is confirmed.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn choose(&self, domain: &str, size_bytes: u64) -> Result<Choice> {
        let table = self.table.read().clone();
        match routing::choose(table.values(), domain, size_bytes) {
            Choice::Connector(connector) => Ok(Choice::Connector(connector)),
            _ => Ok(routing::choose(self.reload().await?.values(), domain, size_bytes)),
        }
    }

    /// A connector; that there is none, or that it is disabled, is confirmed.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn enabled(&self, name: &str) -> Result<Option<Arc<SendConnector>>> {
        let known = self.table.read().get(name).cloned();
        match known.filter(|connector| connector.enabled) {
            Some(connector) => Ok(Some(connector)),
            None => {
                let table = self.reload().await?;
                Ok(table.get(name).filter(|connector| connector.enabled).cloned())
            }
        }
    }

    /// Makes a change and reads what came of it.
    async fn change(&self, actor: &Actor, change: Change<'_>) -> Result<Arc<Table>> {
        let token = self.env.random.u128();
        let record = AuditRecord {
            at: self.env.clock.now(),
            actor: actor.clone(),
            action: change.action().to_owned(),
            target: change.name().to_owned(),
            parameters: String::new(),
        };
        let state = (change, record, token);
        let apply = body(state, |(change, record, token), tx, attempt| {
            async move {
                let mut table = read_all(tx).await?;
                // The token tells whether an earlier attempt was made after all.
                let stored = tx.get(CHANGED, Isolation::Serializable).await?;
                if attempt.maybe_committed && stored.as_deref() == Some(&token.to_be_bytes()[..]) {
                    return Ok(());
                }
                record.parameters = change.apply(tx, &mut table)?;
                tx.set(CHANGED, &token.to_be_bytes());
                audit::write(tx, record)?;
                Ok(())
            }
            .boxed()
        });
        transact(&self.store, apply).await?;
        self.reload().await
    }
}

/// What may be done to the connectors.
enum Change<'a> {
    Create(&'a SendConnector),
    Update(&'a str, &'a ConnectorChange),
    Remove(&'a str),
}

impl Change<'_> {
    fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "connector.send.create",
            Self::Update(..) => "connector.send.update",
            Self::Remove(_) => "connector.send.remove",
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Create(new) => &new.name,
            Self::Update(name, _) | Self::Remove(name) => name,
        }
    }

    /// Sets rows, and gives the parameters for the audit, without secrets.
    fn apply(&self, tx: &dyn Transaction, table: &mut Table) -> Result<String> {
        let name = self.name();
        let old = table.get(name).cloned();
        let new = match (self, old) {
            (Self::Create(_), Some(_)) => {
                let text = format!("the send connector {name} exists already");
                return Err(Error::new(Kind::AlreadyExists, text));
            }
            (Self::Create(_), None) if table.len() >= CONNECTORS_MAX => {
                let text = format!("there are {CONNECTORS_MAX} send connectors, and no more");
                return Err(Error::new(Kind::Limit, text));
            }
            (Self::Create(new), None) => (*new).clone(),
            (Self::Update(_, change), Some(old)) => change.applied(&old),
            (Self::Remove(_), Some(_)) => {
                tx.clear(&key(name));
                return Ok(String::new());
            }
            (Self::Update(..) | Self::Remove(_), None) => {
                return Err(Error::not_found(format!("The send connector {name}")));
            }
        };
        new.check()?;
        tx.set(&key(name), &wire::encode_row(VERSION, &new)?);
        Ok(parameters(&new))
    }
}

/// A connector in the audit record.
fn parameters(connector: &SendConnector) -> String {
    let SendConnector { enabled, spaces, route, manner, size_bytes_max, connections_max, .. } =
        connector;
    let spaces: Vec<_> =
        spaces.iter().map(|space| format!("{};{}", space.pattern, space.cost)).collect();
    let hosts = match route {
        Route::MailExchangers => "mx".to_owned(),
        Route::SmartHosts(hosts) => {
            let hosts: Vec<_> =
                hosts.iter().map(|host| format!("{}:{}", host.name, host.port)).collect();
            hosts.join(",")
        }
    };
    let user = manner.credentials.as_ref().map_or("", |(user, _)| user);
    format!(
        "enabled={enabled} spaces={} hosts={hosts} port={} tls={:?} implicit_tls={} user={user:?} \
         size_bytes_max={size_bytes_max:?} connections_max={connections_max}",
        spaces.join(","),
        manner.port,
        manner.tls,
        manner.implicit_tls,
    )
}

fn key(name: &str) -> Bytes {
    KeyBuilder::new(PREFIX).raw(name.as_bytes()).build()
}

async fn read_all(tx: &dyn Transaction) -> Result<Table, BodyError> {
    let mut table = Table::new();
    let mut next = Some(RangeRead::all(&KeyRange::prefix(PREFIX)));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Serializable).await?;
        next = read.after(&page);
        for row in &page.rows {
            match wire::decode_row::<SendConnector>(VERSION, &row.value) {
                Ok(connector) => {
                    table.insert(connector.name.clone(), Arc::new(connector));
                }
                // The others must go on sending.
                Err(error) => {
                    tracing::error!(key = %row.key.escape_ascii(), %error, "a damaged connector");
                }
            }
        }
    }
    Ok(table)
}

#[async_trait]
impl SendConnectors for Connectors {
    async fn connectors(&self) -> Result<Vec<Arc<SendConnector>>> {
        Ok(self.reload().await?.values().cloned().collect())
    }

    async fn create_connector(
        &self,
        actor: &Actor,
        new: SendConnector,
    ) -> Result<Arc<SendConnector>> {
        new.check()?;
        self.change(actor, Change::Create(&new)).await?;
        Ok(Arc::new(new))
    }

    async fn update_connector(
        &self,
        actor: &Actor,
        name: &str,
        change: ConnectorChange,
    ) -> Result<Arc<SendConnector>> {
        let table = self.change(actor, Change::Update(name, &change)).await?;
        let found = table.get(name).cloned();
        found.ok_or_else(|| Error::not_found(format!("The send connector {name}")))
    }

    async fn remove_connector(&self, actor: &Actor, name: &str) -> Result<()> {
        self.change(actor, Change::Remove(name)).await.map(|_| ())
    }
}

/// Follows the changes that other nodes make, for as long as somebody uses the connectors.
pub(crate) async fn follow(connectors: Weak<Connectors>) {
    while let Some(strong) = connectors.upgrade() {
        let poll = strong.env.clock.sleep(POLL);
        let watched = match watch(&strong).await {
            Ok(watch) => strong.reload().await.map(|_| watch),
            Err(error) => Err(error),
        };
        drop(strong);
        match watched {
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
                tracing::debug!(%error, "the send connectors cannot be read now");
                poll.await;
            }
        }
    }
}

/// Begins to watch before the rows are read, so that no change falls between.
async fn watch(connectors: &Connectors) -> Result<Watch> {
    let tx = connectors.store.begin();
    tx.get(CHANGED, Isolation::Snapshot).await?;
    let watch = tx.watch(CHANGED);
    tx.commit().await?;
    Ok(watch)
}
