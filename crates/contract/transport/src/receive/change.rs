//! Changes of a receive connector.

use super::{AddressRange, Binding, Limit, Mechanism, Permissions, ReceiveConnector, TlsDemand};
use std::collections::BTreeMap;

/// What to change of a connector; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct ReceiveChange {
    /// Enable or disable.
    pub enabled: Option<bool>,
    /// All bindings.
    pub bindings: Option<Vec<Binding>>,
    /// All ranges.
    pub ranges: Option<Vec<AddressRange>>,
    /// All mechanisms.
    pub auth: Option<Vec<Mechanism>>,
    /// All permission groups.
    pub permissions: Option<Permissions>,
    /// Encryption.
    pub tls: Option<TlsDemand>,
    /// The greeting.
    pub banner: Option<Option<String>>,
    /// The name.
    pub helo: Option<Option<String>>,
    /// Some limits; `None` for the node's own.
    pub limits: BTreeMap<Limit, Option<u64>>,
}

impl ReceiveChange {
    /// The connector with the change made.
    #[must_use]
    pub fn applied(&self, old: &ReceiveConnector) -> ReceiveConnector {
        let mut new = old.clone();
        for (limit, value) in &self.limits {
            match value {
                Some(value) => new.limits.insert(*limit, *value),
                None => new.limits.remove(limit),
            };
        }
        new.enabled = self.enabled.unwrap_or(old.enabled);
        new.bindings = self.bindings.clone().unwrap_or(new.bindings);
        new.ranges = self.ranges.clone().unwrap_or(new.ranges);
        new.auth = self.auth.clone().unwrap_or(new.auth);
        new.permissions = self.permissions.unwrap_or(old.permissions);
        new.tls = self.tls.unwrap_or(old.tls);
        new.banner = self.banner.clone().unwrap_or(new.banner);
        new.helo = self.helo.clone().unwrap_or(new.helo);
        new
    }
}
