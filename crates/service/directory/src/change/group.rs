//! Making, changing and removing groups. Members are rows of their own, one per folded address,
//! so each is there once and a change touches only what it names.

use super::{Effects, Plan, check_domain, check_free, flow, membership, run, set_name, take_ids};
use crate::config::{GROUP_CHANGE_BYTES, GROUP_CHANGE_MAX, GROUP_MEMBERS_MAX};
use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader, view};
use crate::rows::{Changed, GroupRow, NameRow, Row, Target};
use crate::service::Shared;
use crate::validate;
use async_trait::async_trait;
use base::{Address, Error, Kind, Result, Timestamp};
use contract_directory::{
    Actor, Group, GroupChange, GroupId, NewGroup, Restrictions, RestrictionsChange,
};
use futures::FutureExt;

/// Makes a group.
pub(crate) async fn create(shared: &Shared, actor: &Actor, new: NewGroup) -> Result<GroupId> {
    let name = validate::own_address(&new.address)?;
    validate::display_name(&new.display_name)?;
    let members = checked(&new.members)?;
    run(shared, actor, &CreateGroup { new, name, members }).await.map(GroupId)
}

/// Changes a group.
pub(crate) async fn update(
    shared: &Shared,
    actor: &Actor,
    id: GroupId,
    change: GroupChange,
) -> Result<()> {
    if let Some(name) = &change.display_name {
        validate::display_name(name)?;
    }
    let add = checked(&change.add)?;
    check_size(&change.remove)?;
    let remove = change.remove.iter().filter_map(Name::of).collect();
    run(shared, actor, &UpdateGroup { id, change, add, remove }).await.map(|_| ())
}

/// Removes a group.
pub(crate) async fn remove(shared: &Shared, actor: &Actor, id: GroupId) -> Result<()> {
    let found = view(&shared.store, |reader| {
        async move { reader.row::<GroupRow>(&keys::group(id)).await }.boxed()
    });
    let group = found.await?.ok_or_else(|| not_found(id))?.group(id, Vec::new());
    membership::leave_most(shared, actor, Name::of(&group.address).into_iter().collect()).await?;
    run(shared, actor, &RemoveGroup { id }).await.map(|_| ())
}

fn checked(members: &[Address]) -> Result<Vec<(Name, Address)>> {
    check_size(members)?;
    members.iter().map(|m| Ok((validate::member_address(m)?, m.clone()))).collect()
}

fn check_size(members: &[Address]) -> Result<()> {
    let bytes: usize = members.iter().map(|m| m.local.len() + m.domain.len()).sum();
    if members.len() > GROUP_CHANGE_MAX || bytes > GROUP_CHANGE_BYTES {
        let text = format!(
            "more than {GROUP_CHANGE_MAX} members or {GROUP_CHANGE_BYTES} bytes in one change"
        );
        return Err(Error::new(Kind::Limit, text));
    }
    Ok(())
}

/// Addresses for the audit, cut where they would not fit its row.
pub(super) fn listed(addresses: &[Address]) -> String {
    const LISTED_BYTES_MAX: usize = 20_000;
    let mut text = String::new();
    for (count, address) in addresses.iter().enumerate() {
        if text.len() > LISTED_BYTES_MAX {
            return format!("{text} and {} more", addresses.len() - count);
        }
        if count > 0 {
            text.push(',');
        }
        text.push_str(&address.to_string());
    }
    text
}

struct CreateGroup {
    new: NewGroup,
    name: Name,
    members: Vec<(Name, Address)>,
}

#[async_trait]
impl Plan for CreateGroup {
    fn action(&self) -> &'static str {
        "group.create"
    }

    async fn apply(&self, reader: Reader<'_>, _: Timestamp) -> ReadResult<Effects> {
        let NewGroup { address, display_name, members, authenticated_only } = &self.new;
        check_domain(reader, &self.name.domain).await?;
        check_free(reader, &self.name, address, None).await?;
        let id = GroupId(take_ids(reader, 1).await?);
        let group = Group {
            id,
            address: Address::new(address.local.as_str(), &self.name.domain),
            display_name: if display_name.is_empty() { &address.local } else { display_name }
                .clone(),
            members: Vec::new(),
            authenticated_only: *authenticated_only,
            restrictions: Restrictions::default(),
        };
        let target = Target::Group(id);
        reader.tx.set(&keys::group(id), &GroupRow::from(&group).to_bytes()?);
        set_name(reader.tx, &self.name, target, true)?;
        let order = NameRow { target, primary: true }.to_bytes()?;
        reader.tx.set(&keys::group_order(&self.name), &order);
        membership::join(reader.tx, id, &self.members)?;
        Ok(Effects {
            id: id.0,
            changed: vec![Changed::Group(id)],
            target: group.address.to_string(),
            parameters: format!(
                "display_name={display_name:?} authenticated_only={authenticated_only} members={}",
                listed(members)
            ),
        })
    }
}

struct UpdateGroup {
    id: GroupId,
    change: GroupChange,
    add: Vec<(Name, Address)>,
    remove: Vec<Name>,
}

#[async_trait]
impl Plan for UpdateGroup {
    fn action(&self) -> &'static str {
        "group.update"
    }

    async fn apply(&self, reader: Reader<'_>, _: Timestamp) -> ReadResult<Effects> {
        let found = reader.group(self.id).await?;
        let mut group = found.ok_or_else(|| not_found(self.id))?;
        for name in &self.remove {
            membership::leave(reader.tx, self.id, name);
        }
        membership::join(reader.tx, self.id, &self.add)?;
        // Counted after the change, as this transaction sees it.
        let members = reader.rows(&keys::members(self.id), GROUP_MEMBERS_MAX + 1, false).await?;
        if members.len() > GROUP_MEMBERS_MAX && !self.add.is_empty() {
            let text = format!("group {}: more than {GROUP_MEMBERS_MAX} members", group.address);
            return Err(Error::new(Kind::Limit, text).into());
        }
        let GroupChange { add, remove, display_name, authenticated_only, restrictions } =
            &self.change;
        flow::check_parties(reader, &group.restrictions, restrictions).await?;
        restrictions.apply(&mut group.restrictions);
        if let Some(name) = display_name {
            group.display_name.clone_from(name);
        }
        group.authenticated_only = authenticated_only.unwrap_or(group.authenticated_only);
        reader.tx.set(&keys::group(self.id), &GroupRow::from(&group).to_bytes()?);
        Ok(Effects {
            id: self.id.0,
            changed: vec![Changed::Group(self.id)],
            target: format!("{} ({})", group.address, self.id.0),
            parameters: format!(
                "add={} remove={} display_name={display_name:?} \
                 authenticated_only={authenticated_only:?}{}",
                listed(add),
                listed(remove),
                match restrictions {
                    none if *none == RestrictionsChange::default() => String::new(),
                    some => format!(" restrictions={}", flow::shown_change(some)),
                }
            ),
        })
    }
}

struct RemoveGroup {
    id: GroupId,
}

#[async_trait]
impl Plan for RemoveGroup {
    fn action(&self) -> &'static str {
        "group.remove"
    }

    async fn apply(&self, reader: Reader<'_>, _: Timestamp) -> ReadResult<Effects> {
        let row = reader.row::<GroupRow>(&keys::group(self.id)).await?;
        let group = row.ok_or_else(|| not_found(self.id))?.group(self.id, Vec::new());
        let mut changed = vec![Changed::Group(self.id)];
        if let Some(name) = Name::of(&group.address) {
            reader.tx.clear(&keys::name(&name));
            reader.tx.clear(&keys::group_order(&name));
            changed.extend(membership::changed(membership::leave_some(reader, &[name]).await?));
        }
        reader.tx.clear(&keys::group(self.id));
        reader.tx.clear_range(&keys::members(self.id));
        Ok(Effects {
            id: self.id.0,
            changed,
            target: format!("{} ({})", group.address, self.id.0),
            parameters: String::new(),
        })
    }
}

fn not_found(id: GroupId) -> Error {
    Error::not_found(format!("group {}", id.0))
}
