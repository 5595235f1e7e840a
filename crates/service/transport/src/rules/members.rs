//! Who is in the groups that rules ask about. A group is expanded once and known for half a minute:
//! a rule need not know of a change at once, and a message to a thousand recipients must not
//! expand it a thousand times.

use super::compile::folded;
use super::facts::Person;
use crate::context::Context;
use base::{Address, Result};
use contract_directory::Resolved;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How long is known who is in a group.
const KNOWN_FOR: Duration = Duration::from_secs(30);

/// How many groups are known at once.
const GROUPS_MAX: usize = 128;

/// How many members one question to the directory tells.
const PAGE: usize = 100_000;

/// The groups that are known.
#[derive(Default)]
pub(crate) struct Members {
    groups: Mutex<HashMap<Address, (Duration, Arc<Group>)>>,
    /// Held while a group is expanded, so that all who ask meanwhile wait for one expansion.
    expanding: Mutex<HashMap<Address, Arc<tokio::sync::Mutex<()>>>>,
}

/// The members of a group, nested groups expanded, folded.
#[derive(Default)]
pub(super) struct Group(HashSet<Address>);

impl Group {
    /// Whether somebody is in it, by the address they are written to or by their own.
    pub(super) fn has(&self, person: &Person) -> bool {
        person.addresses().any(|address| self.0.contains(address))
    }
}

impl Members {
    fn known(&self, group: &Address, now: Duration) -> Option<Arc<Group>> {
        let groups = self.groups.lock();
        let (at, members) = groups.get(group)?;
        (now.saturating_sub(*at) < KNOWN_FOR).then(|| members.clone())
    }

    /// What is held while a group is expanded.
    fn expanding(&self, group: &Address) -> Arc<tokio::sync::Mutex<()>> {
        let mut expanding = self.expanding.lock();
        if expanding.len() >= GROUPS_MAX {
            expanding.retain(|_, one| Arc::strong_count(one) > 1);
        }
        expanding.entry(group.clone()).or_default().clone()
    }

    /// Who is in a group; nobody where there is no such group.
    ///
    /// # Errors
    /// Temporary ones of the directory; [`base::Kind::Limit`] for a group that cannot be expanded.
    pub(super) async fn of(&self, context: &Context, group: &Address) -> Result<Arc<Group>> {
        if let Some(members) = self.known(group, context.env.clock.monotonic()) {
            return Ok(members);
        }
        let expanding = self.expanding(group);
        let _alone = expanding.lock().await;
        let now = context.env.clock.monotonic();
        if let Some(members) = self.known(group, now) {
            return Ok(members);
        }
        let mut members = Group::default();
        if let Resolved::Group(found) = context.directory.resolve(group).await? {
            let mut cursor = Some(0);
            while let Some(from) = cursor {
                let page = context.directory.expand(found.id, from, PAGE).await?;
                members.0.extend(page.members.iter().map(folded));
                cursor = page.next;
            }
        }
        let members = Arc::new(members);
        let mut groups = self.groups.lock();
        if groups.len() >= GROUPS_MAX {
            groups.retain(|_, (at, _)| now.saturating_sub(*at) < KNOWN_FOR);
        }
        if groups.len() < GROUPS_MAX {
            groups.insert(group.clone(), (now, members.clone()));
        }
        Ok(members)
    }
}
