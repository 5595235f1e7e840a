//! The send connectors: settings, and which of them covers a domain.
//!
//! - `T/c/<name>` a connector; `T/v` is written with every change.
//!
//! A domain without a way out is looked up in the store before that is said, so that a connector
//! which was made a moment ago is never denied.

use crate::routing::{self, Choice};
use crate::table::{Setting, Settings};
use base::Result;
use contract_transport::connector::{CONNECTORS_MAX, Route, SendConnector};
use std::sync::Arc;

impl Setting for SendConnector {
    const PREFIX: &'static [u8] = b"T/c/";
    const CHANGED: &'static [u8] = b"T/v";
    const COUNT_MAX: usize = CONNECTORS_MAX;
    const NOUN: &'static str = "send connector";
    const ACTION: &'static str = "connector.send";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        SendConnector::check(self)
    }

    fn parameters(&self) -> String {
        let Self { enabled, spaces, route, manner, size_bytes_max, connections_max, .. } = self;
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
            "enabled={enabled} spaces={} hosts={hosts} port={} tls={:?} implicit_tls={} \
             user={user:?} size_bytes_max={size_bytes_max:?} connections_max={connections_max}",
            spaces.join(","),
            manner.port,
            manner.tls,
            manner.implicit_tls,
        )
    }
}

/// The connectors as this node knows them.
pub(crate) type Connectors = Settings<SendConnector>;

impl Connectors {
    /// Which way mail for a domain goes; that there is none is confirmed.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn choose(&self, domain: &str, size_bytes: u64) -> Result<Choice> {
        match routing::choose(self.table().values(), domain, size_bytes) {
            Choice::Connector(connector) => Ok(Choice::Connector(connector)),
            _ => Ok(routing::choose(self.reload().await?.values(), domain, size_bytes)),
        }
    }

    /// A connector; that there is none, or that it is disabled, is confirmed.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn enabled(&self, name: &str) -> Result<Option<Arc<SendConnector>>> {
        let known = self.table().get(name).cloned();
        match known.filter(|connector| connector.enabled) {
            Some(connector) => Ok(Some(connector)),
            None => {
                let table = self.reload().await?;
                Ok(table.get(name).filter(|connector| connector.enabled).cloned())
            }
        }
    }
}
