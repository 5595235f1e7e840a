//! Groups whose members are found by a filter, attributes, and who is asked on the way into groups.

use super::{Two, World, address, create, refused, resolve_to};
use crate::{Account, Actor};
use crate::{
    AccountChange, Admission, Attribute, Dynamic, Group, GroupChange, GroupId, NewContact,
    NewDynamicGroup, NewGroup,
};
use async_trait::async_trait;
use base::{Address, Kind, Result};
use std::collections::BTreeSet;
use std::sync::Arc;

fn dynamic(filter: &str, domain: Option<&str>) -> Dynamic {
    Dynamic { filter: filter.into(), domain: domain.map(str::to_owned) }
}

async fn found(two: &Two, name: &str, filter: &str, domain: Option<&str>) -> Arc<Group> {
    let new = NewDynamicGroup {
        address: address(name),
        display_name: String::new(),
        authenticated_only: true,
        dynamic: dynamic(filter, domain),
    };
    two.a.admin.create_dynamic_group(&Actor::Operator, new).await.unwrap()
}

async fn set(two: &Two, account: &Account, attributes: &[(Attribute, &str)]) -> Arc<Account> {
    let attributes = attributes.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let change = AccountChange { attributes, ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, account.id, change).await.unwrap()
}

/// The local parts of all members, each as often as it comes.
async fn members(two: &Two, group: GroupId, limit: usize) -> Vec<String> {
    let (mut members, mut cursor) = (Vec::new(), Some(0));
    while let Some(from) = cursor {
        let piece = two.b.directory.expand(group, from, limit).await.unwrap();
        assert!(piece.members.len() <= limit, "{} of {limit}", piece.members.len());
        members.extend(piece.members.into_iter().map(|member| member.local));
        cursor = piece.next;
    }
    members.sort();
    members
}

pub(super) async fn members_are_found_when_they_are_wanted(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let bob = create(&two.a, "bob").await;
    let carol = create(&two.a, "carol").await;
    let sales = found(&two, "sales", "department = 'Sales' and all users", None).await;
    assert_eq!(resolve_to(&two.b, "Sales").await, "group sales@rialto.test");
    assert_eq!(members(&two, sales.id, 10).await, [""; 0]);
    let known = set(&two, &bob, &[(Attribute::Department, "sales"), (Attribute::City, "x")]).await;
    assert_eq!(known.attributes.get(Attribute::Department), "sales");
    set(&two, &carol, &[(Attribute::Department, "SALES")]).await;
    let read = two.b.directory.account(bob.id).await.unwrap();
    assert_eq!(read.attributes.iter().count(), 2);
    for limit in [1, 2, 10] {
        assert_eq!(members(&two, sales.id, limit).await, ["bob", "carol"]);
    }
    // Who is nobody any more is no member; who loses what made them one neither.
    let disable = AccountChange { enabled: Some(false), ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, carol.id, disable).await.unwrap();
    assert_eq!(members(&two, sales.id, 10).await, ["bob"]);
    let cleared = set(&two, &bob, &[(Attribute::Department, "")]).await;
    assert_eq!(cleared.attributes.iter().count(), 1);
    assert_eq!(members(&two, sales.id, 10).await, [""; 0]);
    // Contacts are found too, and a domain narrows it.
    let new = NewContact {
        address: address("antonio@far.test"),
        display_name: "Antonio".into(),
        external: address("antonio@far.test"),
    };
    two.a.admin.create_contact(&Actor::Operator, new).await.unwrap();
    let all = found(&two, "all", "all recipients", None).await;
    assert_eq!(members(&two, all.id, 10).await, ["alice", "antonio", "bob"]);
    let ours = found(&two, "ours", "all recipients", Some("RIALTO.test")).await;
    assert_eq!(ours.dynamic.as_ref().unwrap().domain.as_deref(), Some("rialto.test"));
    assert_eq!(members(&two, ours.id, 1).await, ["alice", "bob"]);
    two.a.admin.remove_account(&Actor::Operator, bob.id).await.unwrap();
    assert_eq!(members(&two, ours.id, 10).await, ["alice"]);
}

pub(super) async fn pieces_of_the_found_make_the_whole(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    for number in 0..20 {
        create(&two.a, &format!("m{number:02}")).await;
    }
    let everybody = found(&two, "everybody", "name like 'm*'", None).await;
    let mut seen = BTreeSet::new();
    let (mut cursor, mut pieces) = (Some(0), 0);
    while let Some(from) = cursor {
        let piece = two.b.directory.expand(everybody.id, from, 7).await.unwrap();
        for member in piece.members {
            assert!(seen.insert(member.local.clone()), "{member} came twice");
        }
        (cursor, pieces) = (piece.next, pieces + 1);
        // Somebody goes who was there already, and somebody comes.
        if let Ok(account) = two.a.directory.resolve(&address(&format!("m{pieces:02}"))).await
            && let crate::Resolved::Account(account) = account
        {
            two.a.admin.remove_account(&Actor::Operator, account.id).await.unwrap();
        }
        create(&two.a, &format!("m{}", 90 + pieces)).await;
    }
    let all: BTreeSet<String> = (0..20).map(|number| format!("m{number:02}")).collect();
    assert!(seen.is_superset(&all), "{seen:?}");
}

pub(super) async fn a_filter_is_checked_changed_and_told(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let (admin, operator) = (&two.a.admin, &Actor::Operator);
    let bob = create(&two.a, "bob").await;
    set(&two, &bob, &[(Attribute::Custom(7), "boat")]).await;
    let new = |filter: &str, domain: Option<&str>| NewDynamicGroup {
        address: address("found"),
        display_name: "Found".into(),
        authenticated_only: false,
        dynamic: dynamic(filter, domain),
    };
    let flawed = admin.create_dynamic_group(operator, new("city = Venice", None)).await;
    assert!(flawed.unwrap_err().text.contains("character 8"));
    let elsewhere = admin.create_dynamic_group(operator, new("all users", Some("far.test"))).await;
    refused(elsewhere, Kind::NotFound);
    let group = admin.create_dynamic_group(operator, new("all users", None)).await.unwrap();
    assert_eq!((group.authenticated_only, group.display_name.as_str()), (false, "Found"));
    let again = admin.create_dynamic_group(operator, new("all users", None)).await;
    refused(again, Kind::AlreadyExists);
    let change = GroupChange { add: vec![address("bob")], ..GroupChange::default() };
    refused(admin.update_group(operator, group.id, change.clone()).await, Kind::Invalid);
    let other = |filter: &str| GroupChange {
        dynamic: Some(dynamic(filter, None)),
        ..GroupChange::default()
    };
    refused(admin.update_group(operator, group.id, other("all uses")).await, Kind::Invalid);
    admin.update_group(operator, group.id, other("custom7 = 'boat'")).await.unwrap();
    assert_eq!(members(&two, group.id, 10).await, ["bob"]);
    let listed = NewGroup {
        address: address("listed"),
        display_name: String::new(),
        members: Vec::new(),
        authenticated_only: false,
    };
    let listed = admin.create_group(operator, listed).await.unwrap();
    refused(admin.update_group(operator, listed.id, other("all users")).await, Kind::Invalid);
    assert_eq!(admin.group(group.id).await.unwrap().dynamic.as_ref().unwrap().domain, None);
    let audit = admin.audit(100).await.unwrap();
    let told = |text: &str| audit.iter().filter(|one| one.parameters.contains(text)).count();
    assert_eq!((told("filter=\"all users\""), told("filter=\"custom7 = 'boat'\"")), (1, 1));
    assert_eq!(told("Custom(7)"), 1, "{audit:?}");
    let long = AccountChange {
        attributes: vec![(Attribute::Office, "x".repeat(2_000))],
        ..AccountChange::default()
    };
    refused(admin.update_account(operator, bob.id, long).await, Kind::Invalid);
}

/// Who lets nobody into one group.
struct Except(GroupId);

#[async_trait]
impl Admission for Except {
    async fn admits(&self, group: &Group) -> Result<bool> {
        assert!(group.members.is_empty(), "nobody reads them for that");
        Ok(group.id != self.0)
    }
}

pub(super) async fn groups_within_groups_are_gone_into_if_they_admit(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    create(&two.a, "bob").await;
    let list = async |name: &str, members: &[&str]| {
        let new = NewGroup {
            address: address(name),
            display_name: String::new(),
            members: members.iter().map(|member| address(member)).collect(),
            authenticated_only: true,
        };
        two.a.admin.create_group(&Actor::Operator, new).await.unwrap()
    };
    let inner = list("inner", &["x@far.test", "outer"]).await;
    let filtered = found(&two, "filtered", "name = 'alice' or name = 'bob'", None).await;
    let middle = list("middle", &["inner", "y@far.test"]).await;
    let outer = list("outer", &["middle", "filtered", "bob", "inner"]).await;
    // Who is listed and found comes twice.
    for limit in [1, 2, 10] {
        assert_eq!(members(&two, outer.id, limit).await, ["alice", "bob", "bob", "x", "y"]);
    }
    let check = async |closed: GroupId, expect: &[&str]| {
        let (mut all, mut cursor): (Vec<Address>, _) = (Vec::new(), Some(0));
        while let Some(from) = cursor {
            let admission = Except(closed);
            let directory = &two.b.directory;
            let piece = directory.expand_admitted(outer.id, from, 1, &admission).await.unwrap();
            all.extend(piece.members);
            cursor = piece.next;
        }
        let mut names: Vec<_> = all.iter().map(|member| member.local.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, expect);
    };
    check(filtered.id, &["bob", "x", "y"]).await;
    check(inner.id, &["alice", "bob", "bob", "y"]).await;
    check(middle.id, &["alice", "bob", "bob", "x"]).await;
    // Whoever asks for a group itself is in already.
    check(outer.id, &["alice", "bob", "bob", "x", "y"]).await;
}
