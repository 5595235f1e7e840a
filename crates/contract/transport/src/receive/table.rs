//! All receive connectors together: which one a session gets.

use super::{AddressRange, Binding, ListenerPlace, ReceiveConnector, Role};
use base::{Error, Kind, Result};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The receive connectors, by name; those of the roles are always among them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiveTable {
    connectors: BTreeMap<String, Arc<ReceiveConnector>>,
}

impl Default for ReceiveTable {
    fn default() -> Self {
        Self::new([])
    }
}

impl ReceiveTable {
    /// Those that are stored, and the default ones where none of their name is.
    pub fn new(stored: impl IntoIterator<Item = ReceiveConnector>) -> Self {
        let defaults = Role::ALL.into_iter().map(ReceiveConnector::of_role);
        let all = defaults.chain(stored).map(|one| (one.name.clone(), Arc::new(one)));
        Self { connectors: all.collect() }
    }

    /// All, by name.
    pub fn connectors(&self) -> impl Iterator<Item = &Arc<ReceiveConnector>> {
        self.connectors.values()
    }

    /// One.
    pub fn get(&self, name: &str) -> Option<&Arc<ReceiveConnector>> {
        self.connectors.get(name)
    }

    /// The connector for a client of a listener: of those that are enabled and for the listener,
    /// the one with the smallest range that contains the client; of equally small ones, the one
    /// that names the listener most closely. [`ReceiveTable::check_beside`] sees to it that there
    /// are no two of these.
    pub fn choose(
        &self,
        listener: ListenerPlace,
        client: IpAddr,
    ) -> Option<&Arc<ReceiveConnector>> {
        let fitting = self.connectors().filter(|one| one.enabled).filter_map(|one| {
            let binding = one.bindings.iter().filter_map(|binding| binding.fits(listener)).max()?;
            let range = one.range_of(client)?;
            Some(((Reverse(range.size()), binding), one))
        });
        fitting.max_by_key(|(closeness, _)| *closeness).map(|(_, one)| one)
    }

    /// Refuses a connector that could not be told apart from another one for some client: a range
    /// of it overlaps one of the same size, and both are for the same listeners by the same words.
    ///
    /// # Errors
    /// [`Kind::Conflict`], with range, binding and the other connector.
    pub fn check_beside(&self, new: &ReceiveConnector) -> Result<()> {
        let others = self.connectors().filter(|one| one.enabled && one.name != new.name);
        for other in others.filter(|_| new.enabled) {
            if let Some((binding, range, theirs)) = indistinct(new, other) {
                let name = &other.name;
                let what = match range == theirs {
                    true => format!("{range} on {binding} is the connector {name}'s already"),
                    false => format!(
                        "{range} on {binding} overlaps {theirs} of the connector {name}, which is \
                         as large"
                    ),
                };
                let text = format!("connector {}: {what}", new.name);
                return Err(Error::new(Kind::Conflict, text));
            }
        }
        Ok(())
    }
}

/// Where two connectors are for the same client, and nothing says which is meant.
fn indistinct(
    one: &ReceiveConnector,
    other: &ReceiveConnector,
) -> Option<(Binding, AddressRange, AddressRange)> {
    let binding = one.bindings.iter().find(|binding| other.bindings.contains(binding))?;
    let pairs = one.ranges.iter().flat_map(|mine| other.ranges.iter().map(move |its| (mine, its)));
    let mut alike = pairs.filter(|(mine, its)| mine.size() == its.size() && mine.overlaps(its));
    alike.next().map(|(mine, its)| (*binding, *mine, *its))
}
