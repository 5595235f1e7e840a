//! The receive connectors: rows, what every node knows of them, and their administration.
//!
//! - `T/i/<name>` a connector; the default ones have a row once they were changed.
//! - `T/w` changes with every change; each node watches it and reads all connectors again.
//!
//! Sessions ask what the node knows and never the store: a node that cannot read it goes on with
//! what it knew last.

use crate::table::Followed;
use async_trait::async_trait;
use base::env::Env;
use base::{Error, Kind, Result, wire};
use bytes::Bytes;
use contract_directory::{Actor, AuditRecord, audit};
use contract_store::keys::KeyBuilder;
use contract_store::{
    BodyError, Isolation, KeyRange, RangeRead, Store, Transaction, body, transact,
};
use contract_transport::receive::{
    RECEIVE_CONNECTORS_MAX, ReceiveChange, ReceiveConnector, ReceiveConnectors, ReceiveTable, Role,
};
use futures::FutureExt;
use parking_lot::RwLock;
use std::sync::Arc;

const PREFIX: &[u8] = b"T/i/";
const CHANGED: &[u8] = b"T/w";
const VERSION: u8 = 1;

/// The receive connectors as this node knows them.
pub(crate) struct Receiving {
    store: Arc<dyn Store>,
    env: Env,
    table: RwLock<Arc<ReceiveTable>>,
}

impl Receiving {
    pub(crate) fn new(store: Arc<dyn Store>, env: Env) -> Self {
        Self { store, env, table: RwLock::default() }
    }

    /// Reads the connectors again. Sessions that begin go by the new ones; an unchanged table
    /// stays the one that it was, so that nothing is made anew for it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn reload(&self) -> Result<Arc<ReceiveTable>> {
        let table = transact(&self.store, body((), |(), tx, _| read_all(tx).boxed())).await?;
        let mut known = self.table.write();
        if **known != table {
            *known = Arc::new(table);
        }
        Ok(known.clone())
    }

    /// Makes a change and reads what came of it.
    async fn change(&self, actor: &Actor, change: Change<'_>) -> Result<Arc<ReceiveTable>> {
        let token = self.env.random.u128();
        let record = AuditRecord {
            at: self.env.clock.now(),
            actor: actor.clone(),
            action: change.action().to_owned(),
            target: change.name().to_owned(),
            parameters: String::new(),
        };
        let apply = body((change, record, token), |(change, record, token), tx, attempt| {
            async move {
                let table = read_all(tx).await?;
                // The token tells whether an earlier attempt was made after all.
                let stored = tx.get(CHANGED, Isolation::Serializable).await?;
                if attempt.maybe_committed && stored.as_deref() == Some(&token.to_be_bytes()[..]) {
                    return Ok(());
                }
                record.parameters = change.apply(tx, &table)?;
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

impl Followed for Receiving {
    const CHANGED: &'static [u8] = CHANGED;

    fn place(&self) -> (&Arc<dyn Store>, &Env) {
        (&self.store, &self.env)
    }

    async fn read_again(&self) -> Result<()> {
        self.reload().await.map(|_| ())
    }
}

/// What may be done to the connectors.
enum Change<'a> {
    Create(&'a ReceiveConnector),
    Update(&'a str, &'a ReceiveChange),
    Remove(&'a str),
}

impl Change<'_> {
    fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "connector.receive.create",
            Self::Update(..) => "connector.receive.update",
            Self::Remove(_) => "connector.receive.remove",
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Create(new) => &new.name,
            Self::Update(name, _) | Self::Remove(name) => name,
        }
    }

    /// Sets rows, and gives the parameters for the audit.
    fn apply(&self, tx: &dyn Transaction, table: &ReceiveTable) -> Result<String> {
        let name = self.name();
        let old = table.get(name);
        let new = match (self, old) {
            (Self::Create(_), Some(_)) => {
                let text = format!("the receive connector {name} exists already");
                return Err(Error::new(Kind::AlreadyExists, text));
            }
            (Self::Create(_), None)
                if table.connectors().count() >= RECEIVE_CONNECTORS_MAX + Role::ALL.len() =>
            {
                let text = format!("there are {RECEIVE_CONNECTORS_MAX} receive connectors already");
                return Err(Error::new(Kind::Limit, text));
            }
            (Self::Create(new), None) => (*new).clone(),
            (Self::Update(_, change), Some(old)) => change.applied(old),
            (Self::Remove(_), Some(_)) if ReceiveConnector::is_default(name) => {
                let text = format!("the receive connector {name} is always there; disable it");
                return Err(Error::new(Kind::CannotChange, text));
            }
            (Self::Remove(_), Some(_)) => {
                tx.clear(&key(name));
                return Ok(String::new());
            }
            (Self::Update(..) | Self::Remove(_), None) => return Err(unknown(name)),
        };
        new.check()?;
        table.check_beside(&new)?;
        tx.set(&key(name), &wire::encode_row(VERSION, &new)?);
        Ok(parameters(&new))
    }
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("The receive connector {name}"))
}

/// A connector in the audit record.
fn parameters(connector: &ReceiveConnector) -> String {
    let ReceiveConnector { enabled, auth, permissions, tls, banner, helo, limits, .. } = connector;
    let auth: Vec<_> = auth.iter().map(|mechanism| mechanism.name()).collect();
    let limits: Vec<_> =
        limits.iter().map(|(limit, value)| format!("{}={value}", limit.row().name)).collect();
    format!(
        "enabled={enabled} bindings={} ranges={} auth={} permissions={} tls={tls:?} \
         banner={banner:?} helo={helo:?} limits={}",
        words(&connector.bindings),
        words(&connector.ranges),
        auth.join(","),
        permissions.words().join(","),
        limits.join(","),
    )
}

fn words(all: &[impl ToString]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn key(name: &str) -> Bytes {
    KeyBuilder::new(PREFIX).raw(name.as_bytes()).build()
}

async fn read_all(tx: &dyn Transaction) -> Result<ReceiveTable, BodyError> {
    let mut stored = Vec::new();
    let mut next = Some(RangeRead::all(&KeyRange::prefix(PREFIX)));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Serializable).await?;
        next = read.after(&page);
        for row in &page.rows {
            match wire::decode_row::<ReceiveConnector>(VERSION, &row.value) {
                Ok(connector) => stored.push(connector),
                // The others must go on receiving.
                Err(error) => {
                    tracing::error!(key = %row.key.escape_ascii(), %error, "a damaged connector");
                }
            }
        }
    }
    Ok(ReceiveTable::new(stored))
}

#[async_trait]
impl ReceiveConnectors for Receiving {
    fn receive_table(&self) -> Arc<ReceiveTable> {
        self.table.read().clone()
    }

    async fn receive_connectors(&self) -> Result<Arc<ReceiveTable>> {
        self.reload().await
    }

    async fn create_receive_connector(
        &self,
        actor: &Actor,
        new: ReceiveConnector,
    ) -> Result<Arc<ReceiveConnector>> {
        new.check()?;
        self.change(actor, Change::Create(&new)).await?;
        Ok(Arc::new(new))
    }

    async fn update_receive_connector(
        &self,
        actor: &Actor,
        name: &str,
        change: ReceiveChange,
    ) -> Result<Arc<ReceiveConnector>> {
        let table = self.change(actor, Change::Update(name, &change)).await?;
        table.get(name).cloned().ok_or_else(|| unknown(name))
    }

    async fn remove_receive_connector(&self, actor: &Actor, name: &str) -> Result<()> {
        self.change(actor, Change::Remove(name)).await.map(|_| ())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use contract_transport::receive::Limit;

    #[test]
    fn the_row_of_a_connector_keeps_its_bytes() {
        let mut one = ReceiveConnector::of_role(Role::Submission);
        one.bindings.push("192.0.2.1:587".parse().unwrap());
        one.limits.insert(Limit::TarpitMs, 7);
        let row = wire::encode_row(VERSION, &one).unwrap();
        assert_eq!(wire::decode_row::<ReceiveConnector>(VERSION, &row).unwrap(), one);
        assert_eq!(row.escape_ascii().to_string(), GOLDEN);
    }

    /// Version; name; enabled; bindings: role, address and port; ranges; mechanisms; permissions;
    /// TLS; banner; name; limits.
    const GOLDEN: &str = concat!(
        r"\x01\nsubmission\x01\x02\x00\x01\x02\x00\xc0\x00\x02\x01\xfbK",
        r"\x02\x02\t0.0.0.0/0\x04::/0\x02\x00\x01\x00\x01\x00\x00\x00\x01",
        r"\x00\x00\x01\x08\x07",
    );

    #[test]
    fn the_audit_says_everything() {
        let mut one = ReceiveConnector::of_role(Role::Submission);
        one.limits.insert(Limit::TarpitMs, 7);
        assert_eq!(
            parameters(&one),
            "enabled=true bindings=submission ranges=0.0.0.0/0,::/0 auth=PLAIN,LOGIN \
             permissions=users tls=Offered banner=None helo=None limits=tarpit_ms=7"
        );
    }
}
