//! Who is listed where: an index row for each member of each group, so that whoever goes leaves
//! all groups without anybody looking through them.
//!
//! A group's own removal leaves the index rows of its members behind: group ids are never used
//! again, so they name nothing, and go with whoever they are about.

use super::{Effects, Plan, run};
use crate::config::LEAVE_CHUNK;
use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader, view};
use crate::rows::{Changed, MemberRow, Row};
use crate::service::Shared;
use async_trait::async_trait;
use base::{Address, Result, Timestamp};
use contract_directory::{Actor, GroupId};
use contract_store::Transaction;
use futures::FutureExt;

/// Lists members in a group.
pub(super) fn join(tx: &dyn Transaction, id: GroupId, members: &[(Name, Address)]) -> Result<()> {
    for (name, member) in members {
        tx.set(&keys::member(id, name), &MemberRow::new(member).to_bytes()?);
        tx.set(&keys::membership(name, id), &[]);
    }
    Ok(())
}

/// Takes a name out of a group.
pub(super) fn leave(tx: &dyn Transaction, id: GroupId, name: &Name) {
    tx.clear(&keys::member(id, name));
    tx.clear(&keys::membership(name, id));
}

/// Takes names out of the groups that list them, [`LEAVE_CHUNK`] groups at the most; gives the
/// groups.
pub(super) async fn leave_some(reader: Reader<'_>, names: &[Name]) -> ReadResult<Vec<GroupId>> {
    let mut left = Vec::new();
    for name in names {
        let room = LEAVE_CHUNK - left.len();
        if room == 0 {
            break;
        }
        for row in reader.rows(&keys::memberships(name), room, false).await? {
            if let Some(id) = keys::membership_group(&row.key) {
                leave(reader.tx, id, name);
                left.push(id);
            }
        }
    }
    Ok(left)
}

/// The caches' names for groups that were left.
pub(super) fn changed(groups: Vec<GroupId>) -> impl Iterator<Item = Changed> {
    groups.into_iter().map(Changed::Group)
}

/// Takes names out of so many groups that one more transaction does the rest. May be interrupted
/// and asked for again; whoever is in few groups is left for that last transaction.
///
/// # Errors
/// The store's.
pub(super) async fn leave_most(shared: &Shared, actor: &Actor, names: Vec<Name>) -> Result<()> {
    let plan = Leave { names };
    while is_in_many(shared, &plan.names).await? {
        run(shared, actor, &plan).await?;
    }
    Ok(())
}

async fn is_in_many(shared: &Shared, names: &[Name]) -> Result<bool> {
    view(&shared.store, |reader| {
        let names = names.to_vec();
        async move {
            let mut groups = 0;
            for name in &names {
                let room = LEAVE_CHUNK + 1 - groups;
                groups += reader.rows(&keys::memberships(name), room, false).await?.len();
                if groups > LEAVE_CHUNK {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        .boxed()
    })
    .await
}

struct Leave {
    names: Vec<Name>,
}

#[async_trait]
impl Plan for Leave {
    fn action(&self) -> &'static str {
        "group.leave"
    }

    async fn apply(&self, reader: Reader<'_>, _: Timestamp) -> ReadResult<Effects> {
        let left = leave_some(reader, &self.names).await?;
        Ok(Effects {
            id: 0,
            target: self.names.first().map(Name::to_string).unwrap_or_default(),
            parameters: format!("groups={}", left.len()),
            changed: changed(left).collect(),
        })
    }
}
