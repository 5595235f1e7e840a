//! Settings of the organisation that the transport service keeps: connectors, rules and the like,
//! each a row under its name.
//!
//! A second row is written with every change; each node watches it and reads all of them again. A
//! change is one transaction with its audit record. What somebody is to be denied because of a
//! missing setting is looked up in the store before that is said ([`Settings::reload`]).

use base::env::Env;
use base::{Error, Kind, Result, wire};
use bytes::Bytes;
use contract_directory::{Actor, AuditRecord, audit};
use contract_store::keys::KeyBuilder;
use contract_store::{
    BodyError, Isolation, KeyRange, RangeRead, Store, Transaction, Watch, body, transact,
};
use futures::FutureExt;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// The version byte of a row.
const VERSION: u8 = 1;

/// How often settings are read where no watch tells of changes.
const POLL: Duration = Duration::from_secs(5);

/// One kind of setting.
pub(crate) trait Setting:
    Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static
{
    /// Where the rows are; a row's key goes on with its name.
    const PREFIX: &'static [u8];
    /// The row that is written with every change.
    const CHANGED: &'static [u8];
    /// How many there may be.
    const COUNT_MAX: usize;
    /// What people call one: `send connector`.
    const NOUN: &'static str;
    /// What the audit calls a change, without its verb: `connector.send`.
    const ACTION: &'static str;

    /// Its name.
    fn name(&self) -> &str;

    /// Refuses what can never work.
    ///
    /// # Errors
    /// [`Kind::Invalid`].
    fn check(&self) -> Result<()>;

    /// Refuses what does not go together with the others.
    ///
    /// # Errors
    /// [`Kind::Invalid`].
    fn check_beside(&self, _others: &Table<Self>) -> Result<()> {
        Ok(())
    }

    /// Which others change when this one is written, and to what: with the same commit.
    fn displaced(&self, _others: &Table<Self>) -> Vec<Self> {
        Vec::new()
    }

    /// Refuses to remove what must not go as it is.
    ///
    /// # Errors
    /// [`Kind::CannotChange`].
    fn check_removal(&self) -> Result<()> {
        Ok(())
    }

    /// What stands for a setting of that name until it is changed; such a one cannot be removed.
    fn built_in(_name: &str) -> Option<Self> {
        None
    }

    /// What the audit record says of it; no secrets.
    fn parameters(&self) -> String;
}

/// All settings of a kind, by name.
pub(crate) type Table<S> = BTreeMap<String, Arc<S>>;

/// The settings of a kind as this node knows them.
pub(crate) struct Settings<S: Setting> {
    store: Arc<dyn Store>,
    env: Env,
    table: RwLock<Arc<Table<S>>>,
    /// Tells that the table is another one.
    news: watch::Sender<()>,
}

/// What is made of a setting.
type Edit<'a, S> = &'a (dyn Fn(&S) -> S + Send + Sync);

/// What may be done to the settings.
enum Change<'a, S> {
    Create(&'a S),
    Update(&'a str, Edit<'a, S>),
    Remove(&'a str),
}

impl<S: Setting> Settings<S> {
    /// Knows none until it is [followed](follow) or reloaded.
    pub(crate) fn new(store: Arc<dyn Store>, env: Env) -> Self {
        Self { store, env, table: RwLock::default(), news: watch::Sender::new(()) }
    }

    /// Hears of every change that this node learns of.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// What is known.
    pub(crate) fn table(&self) -> Arc<Table<S>> {
        self.table.read().clone()
    }

    /// Reads all of them again. An unchanged table stays the one that it was, so that nothing is
    /// made anew for it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn reload(&self) -> Result<Arc<Table<S>>> {
        let read = body((), |(), tx, _| read_all(tx).boxed());
        let table = transact(&self.store, read).await?;
        let mut known = self.table.write();
        if **known != table {
            *known = Arc::new(table);
            self.news.send_replace(());
        }
        Ok(known.clone())
    }

    /// Refuses what could not be written, by itself or beside the others.
    ///
    /// # Errors
    /// [`Kind::Invalid`].
    pub(crate) async fn try_out(&self, new: &S) -> Result<()> {
        new.check()?;
        new.check_beside(&*self.reload().await?)
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`], [`Kind::Invalid`], [`Kind::Limit`].
    pub(crate) async fn create(&self, actor: &Actor, new: S) -> Result<Arc<S>> {
        new.check()?;
        self.change(actor, Change::Create(&new)).await?;
        Ok(Arc::new(new))
    }

    /// Makes a new one of one, which keeps its name.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Invalid`].
    pub(crate) async fn update(
        &self,
        actor: &Actor,
        name: &str,
        edit: Edit<'_, S>,
    ) -> Result<Arc<S>> {
        let table = self.change(actor, Change::Update(name, edit)).await?;
        table.get(name).cloned().ok_or_else(|| not_found::<S>(name))
    }

    /// Removes one.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub(crate) async fn remove(&self, actor: &Actor, name: &str) -> Result<()> {
        self.change(actor, Change::Remove(name)).await.map(|_| ())
    }

    /// Makes a change and reads what came of it.
    async fn change(&self, actor: &Actor, change: Change<'_, S>) -> Result<Arc<Table<S>>> {
        let token = self.env.random.u128();
        let record = AuditRecord {
            at: self.env.clock.now(),
            actor: actor.clone(),
            action: format!("{}.{}", S::ACTION, change.verb()),
            target: change.name().to_owned(),
            parameters: String::new(),
        };
        let state = (change, record, token);
        let apply = body(state, |(change, record, token), tx, attempt| {
            async move {
                let table = read_all(tx).await?;
                // The token tells whether an earlier attempt was made after all.
                let stored = tx.get(S::CHANGED, Isolation::Serializable).await?;
                if attempt.maybe_committed && stored.as_deref() == Some(&token.to_be_bytes()[..]) {
                    return Ok(());
                }
                record.parameters = change.apply(tx, &table)?;
                tx.set(S::CHANGED, &token.to_be_bytes());
                audit::write(tx, record)?;
                Ok(())
            }
            .boxed()
        });
        transact(&self.store, apply).await?;
        self.reload().await
    }
}

impl<S: Setting> Change<'_, S> {
    fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Update(..) => "update",
            Self::Remove(_) => "remove",
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Create(new) => new.name(),
            Self::Update(name, _) | Self::Remove(name) => name,
        }
    }

    /// Sets rows, and gives the parameters for the audit.
    fn apply(&self, tx: &dyn Transaction, table: &Table<S>) -> Result<String> {
        let name = self.name();
        let built_in = S::built_in(name);
        let old = table.get(name).map(|stored| &**stored).or(built_in.as_ref());
        let new = match (self, old) {
            (Self::Create(_), Some(_)) => {
                let text = format!("the {} {name} exists already", S::NOUN);
                return Err(Error::new(Kind::AlreadyExists, text));
            }
            (Self::Create(_), None) if table.len() >= S::COUNT_MAX => {
                let text = format!("there are {} {}s, and no more", S::COUNT_MAX, S::NOUN);
                return Err(Error::new(Kind::Limit, text));
            }
            (Self::Create(new), None) => (*new).clone(),
            (Self::Update(_, edit), Some(old)) => edit(old),
            (Self::Remove(_), Some(_)) if built_in.is_some() => {
                let text = format!("the {} {name} is always there; disable it", S::NOUN);
                return Err(Error::new(Kind::CannotChange, text));
            }
            (Self::Remove(_), Some(old)) => {
                old.check_removal()?;
                tx.clear(&key::<S>(name));
                return Ok(String::new());
            }
            (Self::Update(..) | Self::Remove(_), None) => return Err(not_found::<S>(name)),
        };
        new.check()?;
        new.check_beside(table)?;
        for other in new.displaced(table) {
            tx.set(&key::<S>(other.name()), &wire::encode_row(VERSION, &other)?);
        }
        tx.set(&key::<S>(name), &wire::encode_row(VERSION, &new)?);
        Ok(new.parameters())
    }
}

/// What is made of all settings of a kind, made anew when they have changed.
pub(crate) struct Derived<S, D>(Mutex<Option<Made<S, D>>>);

type Made<S, D> = (Arc<Table<S>>, Arc<D>);

impl<S, D> Default for Derived<S, D> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S, D> Derived<S, D> {
    /// What `make` makes, or has made, of a table.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn of(
        &self,
        table: Arc<Table<S>>,
        make: impl FnOnce(&Table<S>) -> Result<D>,
    ) -> Result<Arc<D>> {
        let mut made = self.0.lock();
        if let Some((of, derived)) = &*made
            && Arc::ptr_eq(of, &table)
        {
            return Ok(derived.clone());
        }
        let derived = Arc::new(make(&table)?);
        *made = Some((table, derived.clone()));
        Ok(derived)
    }
}

fn not_found<S: Setting>(name: &str) -> Error {
    let noun = S::NOUN;
    Error::not_found(format!("The {noun} {name}"))
}

fn key<S: Setting>(name: &str) -> Bytes {
    KeyBuilder::new(S::PREFIX).raw(name.as_bytes()).build()
}

async fn read_all<S: Setting>(tx: &dyn Transaction) -> Result<Table<S>, BodyError> {
    let mut table = Table::new();
    let mut next = Some(RangeRead::all(&KeyRange::prefix(S::PREFIX)));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Serializable).await?;
        next = read.after(&page);
        for row in &page.rows {
            match wire::decode_row::<S>(VERSION, &row.value) {
                Ok(setting) => {
                    table.insert(setting.name().to_owned(), Arc::new(setting));
                }
                // The others must go on being in effect.
                Err(error) => {
                    let key = row.key.escape_ascii();
                    tracing::error!(%key, %error, "a damaged {}", S::NOUN);
                }
            }
        }
    }
    Ok(table)
}

/// The settings of a kind, which are known from now on and followed.
///
/// # Errors
/// The store's.
pub(crate) async fn start<S: Setting>(
    store: &Arc<dyn Store>,
    env: &Env,
) -> Result<Arc<Settings<S>>> {
    let settings = Arc::new(Settings::new(store.clone(), env.clone()));
    settings.reload().await?;
    tokio::spawn(follow(Arc::downgrade(&settings)));
    Ok(settings)
}

/// Follows the changes that other nodes make, for as long as somebody uses the settings.
pub(crate) async fn follow<S: Setting>(settings: Weak<Settings<S>>) {
    while let Some(strong) = settings.upgrade() {
        let poll = strong.env.clock.sleep(POLL);
        let watched = match begin_watch(&*strong).await {
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
                let row = S::CHANGED.escape_ascii();
                tracing::debug!(%error, %row, "settings cannot be read now");
                poll.await;
            }
        }
    }
}

/// Begins to watch before the rows are read, so that no change falls between.
async fn begin_watch<S: Setting>(settings: &Settings<S>) -> Result<Watch> {
    let tx = settings.store.begin();
    tx.get(S::CHANGED, Isolation::Snapshot).await?;
    let watch = tx.watch(S::CHANGED);
    tx.commit().await?;
    Ok(watch)
}
