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
    Actor, Dynamic, Group, GroupChange, GroupId, NewDynamicGroup, NewGroup, Restrictions,
    RestrictionsChange,
};
use futures::FutureExt;

/// Makes a group.
pub(crate) async fn create(shared: &Shared, actor: &Actor, new: NewGroup) -> Result<GroupId> {
    let members = checked(&new.members)?;
    make(shared, actor, new, members, None).await
}

/// Makes a dynamic group.
pub(crate) async fn create_dynamic(
    shared: &Shared,
    actor: &Actor,
    new: NewDynamicGroup,
) -> Result<GroupId> {
    let NewDynamicGroup { address, display_name, authenticated_only, dynamic } = new;
    let dynamic = validate::dynamic(&dynamic)?;
    let new = NewGroup { address, display_name, authenticated_only, members: Vec::new() };
    make(shared, actor, new, Vec::new(), Some(dynamic)).await
}

async fn make(
    shared: &Shared,
    actor: &Actor,
    new: NewGroup,
    members: Vec<(Name, Address)>,
    dynamic: Option<Dynamic>,
) -> Result<GroupId> {
    let name = validate::own_address(&new.address)?;
    validate::display_name(&new.display_name)?;
    run(shared, actor, &CreateGroup { new, name, members, dynamic }).await.map(GroupId)
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
    let mut change = change;
    if let Some(dynamic) = &mut change.dynamic {
        *dynamic = validate::dynamic(dynamic)?;
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
    dynamic: Option<Dynamic>,
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
            dynamic: self.dynamic.clone(),
        };
        if let Some(domain) = self.dynamic.as_ref().and_then(|dynamic| dynamic.domain.as_ref()) {
            check_domain(reader, domain).await?;
        }
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
                "display_name={display_name:?} authenticated_only={authenticated_only} members={}{}",
                listed(members),
                shown_dynamic(self.dynamic.as_ref())
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
        let GroupChange { add, remove, display_name, authenticated_only, restrictions, dynamic } =
            &self.change;
        self.find_by(reader, &mut group).await?;
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
                 authenticated_only={authenticated_only:?}{}{}",
                listed(add),
                listed(remove),
                shown_dynamic(dynamic.as_ref()),
                match restrictions {
                    none if *none == RestrictionsChange::default() => String::new(),
                    some => format!(" restrictions={}", flow::shown_change(some)),
                }
            ),
        })
    }
}

impl UpdateGroup {
    /// Changes by what members are found. Those who are listed are not found, nor the other way.
    async fn find_by(&self, reader: Reader<'_>, group: &mut Group) -> ReadResult<()> {
        let GroupChange { add, remove, dynamic, .. } = &self.change;
        let is_listed = !add.is_empty() || !remove.is_empty();
        let refuse =
            |why: &str| Err(Error::invalid(format!("group {}: {why}", group.address)).into());
        match (&group.dynamic, dynamic) {
            (Some(_), _) if is_listed => refuse("its members are found by a filter"),
            (None, Some(_)) => refuse("its members are listed, not found by a filter"),
            (_, None) => Ok(()),
            (Some(_), Some(new)) => {
                if let Some(domain) = &new.domain {
                    check_domain(reader, domain).await?;
                }
                group.dynamic = Some(new.clone());
                Ok(())
            }
        }
    }
}

/// By what members are found, for the audit.
fn shown_dynamic(dynamic: Option<&Dynamic>) -> String {
    dynamic.map_or_else(String::new, |Dynamic { filter, domain }| {
        format!(" filter={filter:?} domain={domain:?}")
    })
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
