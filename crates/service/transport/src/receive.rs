//! The receive connectors: settings, and the table of them that sessions choose from.
//!
//! - `T/i/<name>` a connector; the default ones have a row once they were changed. `T/w` is written
//!   with every change.
//!
//! Sessions ask what the node knows and never the store: a node that cannot read it goes on with
//! what it knew last.

use crate::table::{Derived, Setting, Settings, Table};
use async_trait::async_trait;
use base::Result;
use contract_directory::Actor;
use contract_transport::receive::{
    RECEIVE_CONNECTORS_MAX, ReceiveChange, ReceiveConnector, ReceiveConnectors, ReceiveTable, Role,
};
use std::sync::Arc;

impl Setting for ReceiveConnector {
    const PREFIX: &'static [u8] = b"T/i/";
    const CHANGED: &'static [u8] = b"T/w";
    const COUNT_MAX: usize = RECEIVE_CONNECTORS_MAX;
    const NOUN: &'static str = "receive connector";
    const ACTION: &'static str = "connector.receive";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        ReceiveConnector::check(self)
    }

    fn check_beside(&self, others: &Table<Self>) -> Result<()> {
        whole(others).check_beside(self)
    }

    fn built_in(name: &str) -> Option<Self> {
        Role::ALL.into_iter().map(Self::of_role).find(|connector| connector.name == name)
    }

    fn parameters(&self) -> String {
        parameters(self)
    }
}

/// All connectors, those that nobody has changed among them.
fn whole(stored: &Table<ReceiveConnector>) -> ReceiveTable {
    ReceiveTable::new(stored.values().map(|connector| (**connector).clone()))
}

/// The receive connectors as this node knows them.
pub(crate) struct Receiving {
    settings: Arc<Settings<ReceiveConnector>>,
    table: Derived<ReceiveConnector, ReceiveTable>,
}

impl Receiving {
    pub(crate) fn new(settings: Arc<Settings<ReceiveConnector>>) -> Self {
        Self { settings, table: Derived::default() }
    }

    fn of(&self, table: Arc<Table<ReceiveConnector>>) -> Result<Arc<ReceiveTable>> {
        self.table.of(table, |table| Ok(whole(table)))
    }
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

#[async_trait]
impl ReceiveConnectors for Receiving {
    fn receive_table(&self) -> Arc<ReceiveTable> {
        self.of(self.settings.table()).unwrap_or_default()
    }

    async fn receive_connectors(&self) -> Result<Arc<ReceiveTable>> {
        self.of(self.settings.reload().await?)
    }

    async fn create_receive_connector(
        &self,
        actor: &Actor,
        new: ReceiveConnector,
    ) -> Result<Arc<ReceiveConnector>> {
        self.settings.create(actor, new).await
    }

    async fn update_receive_connector(
        &self,
        actor: &Actor,
        name: &str,
        change: ReceiveChange,
    ) -> Result<Arc<ReceiveConnector>> {
        self.settings.update(actor, name, &|old| change.applied(old)).await
    }

    async fn remove_receive_connector(&self, actor: &Actor, name: &str) -> Result<()> {
        self.settings.remove(actor, name).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::wire;
    use contract_transport::receive::Limit;

    #[test]
    fn the_row_of_a_connector_keeps_its_bytes() {
        let mut one = ReceiveConnector::of_role(Role::Submission);
        one.bindings.push("192.0.2.1:587".parse().unwrap());
        one.limits.insert(Limit::TarpitMs, 7);
        let row = wire::encode_row(1, &one).unwrap();
        assert_eq!(wire::decode_row::<ReceiveConnector>(1, &row).unwrap(), one);
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
