//! The terms of a session: its receive connector, and the configuration with that connector's
//! limits in it. Made once for a table of connectors, shared by the sessions.

use crate::config::Config;
use contract_transport::receive::{Limit, ListenerPlace, ReceiveConnector, ReceiveTable};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What a session goes by from beginning to end, whatever is changed meanwhile.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) connector: Arc<ReceiveConnector>,
    pub(crate) config: Config,
}

/// The terms that were made for the connectors of one table.
#[derive(Default)]
pub(crate) struct AllTerms(Mutex<OfTable>);

#[derive(Default)]
struct OfTable {
    table: Arc<ReceiveTable>,
    /// By the name of the connector.
    made: HashMap<String, Arc<Terms>>,
}

impl AllTerms {
    /// The terms for a client of a listener; `None` where no connector is for it.
    pub(crate) fn choose(
        &self,
        table: Arc<ReceiveTable>,
        (listener, client): (ListenerPlace, IpAddr),
        node: &Config,
    ) -> Option<Arc<Terms>> {
        let connector = table.choose(listener, client)?.clone();
        let mut known = self.0.lock();
        if !Arc::ptr_eq(&known.table, &table) {
            *known = OfTable { table, made: HashMap::new() };
        }
        let made = known.made.entry(connector.name.clone()).or_insert_with(|| {
            let config = node.under(&connector);
            Arc::new(Terms { connector, config })
        });
        Some(made.clone())
    }
}

impl Config {
    /// This configuration with what a connector says.
    fn under(&self, connector: &ReceiveConnector) -> Self {
        let mut config = self.clone();
        config.host_name = connector.helo.clone().unwrap_or(config.host_name);
        for (limit, value) in &connector.limits {
            let value = *value;
            let count = usize::try_from(value).unwrap_or(usize::MAX);
            let small = u32::try_from(value).unwrap_or(u32::MAX);
            let rate = (small > 0).then_some(small);
            match limit {
                Limit::MessageBytes => config.message_bytes_max = value,
                Limit::Recipients => config.recipients_max = count,
                Limit::HeaderBytes => config.header_bytes_max = count,
                Limit::Hops => config.hops_max = count,
                Limit::Connections => config.connections_max = Some(count),
                Limit::ConnectionsPerSource => config.connections_per_source_max = Some(count),
                Limit::UserMessagesPerMinute => config.submissions_per_minute = rate,
                Limit::SourceMessagesPerMinute => config.source_messages_per_minute = rate,
                Limit::TarpitMs => config.tarpit_ms = value,
                Limit::ProtocolErrors => config.protocol_errors_max = small,
                Limit::LogonFailures => config.logon_failures_max = small,
                Limit::ConnectionTimeoutMs => config.connection_timeout_ms = value,
                Limit::IdleTimeoutMs => config.idle_timeout_ms = value,
            }
        }
        config
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use contract_transport::receive::{LIMITS, Role};

    #[test]
    fn a_connector_without_limits_leaves_the_nodes_and_each_limit_changes_one() {
        let node = Config { submissions_per_minute: Some(9), ..Config::default() };
        let mut connector = ReceiveConnector::of_role(Role::Server);
        assert_eq!(node.under(&connector), node);
        let mut seen = vec![node.clone()];
        for row in LIMITS {
            connector.limits = [(row.limit, row.min + 1)].into();
            let config = node.under(&connector);
            assert!(!seen.contains(&config), "{} changes nothing of its own", row.name);
            seen.push(config);
        }
        connector.limits = [(Limit::UserMessagesPerMinute, 0)].into();
        assert_eq!(node.under(&connector).submissions_per_minute, None);
        connector.helo = Some("other.example".into());
        assert_eq!(node.under(&connector).host_name, "other.example");
    }

    #[test]
    fn terms_are_made_once_for_a_table() {
        let (all, node) = (AllTerms::default(), Config::default());
        let address = "127.0.0.1:25".parse().unwrap();
        let at = (ListenerPlace { role: Role::Server, address }, [192, 0, 2, 1].into());
        let table = Arc::new(ReceiveTable::default());
        let one = all.choose(table.clone(), at, &node).unwrap();
        assert!(Arc::ptr_eq(&one, &all.choose(table, at, &node).unwrap()));
        let anew = all.choose(Arc::new(ReceiveTable::default()), at, &node).unwrap();
        assert!(!Arc::ptr_eq(&one, &anew));
    }
}
