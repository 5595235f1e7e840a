//! Groups.

use super::{Two, World, address, create, refused, resolve_to};
use crate::{AccountChange, Actor, Group, GroupChange, GroupId, NewGroup};
use base::{Address, Kind};
use std::collections::BTreeSet;
use std::sync::Arc;

async fn group(two: &Two, name: &str, members: &[&str]) -> Arc<Group> {
    let new = NewGroup {
        address: address(name),
        display_name: String::new(),
        members: members.iter().map(|m| address(m)).collect(),
        authenticated_only: true,
    };
    two.a.admin.create_group(&Actor::Operator, new).await.unwrap()
}

/// The whole expansion by pieces of `limit`; fails if a member comes twice.
async fn expand(two: &Two, id: GroupId, limit: usize) -> BTreeSet<Address> {
    let mut members = BTreeSet::new();
    let mut cursor = 0;
    loop {
        let piece = two.b.directory.expand(id, cursor, limit).await.unwrap();
        assert!(piece.members.len() <= limit, "{} of {limit}", piece.members.len());
        for member in piece.members {
            assert!(members.insert(member.clone()), "{member} came twice");
        }
        match piece.next {
            Some(next) => cursor = next,
            None => return members,
        }
    }
}

fn set(members: &[&str]) -> BTreeSet<Address> {
    members.iter().map(|m| address(m)).collect()
}

pub(super) async fn expansion_is_complete_and_names_each_member_once(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    create(&two.a, "bob").await;
    let alias = AccountChange { add_aliases: vec![address("zalias")], ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, alias).await.unwrap();
    let inner = group(&two, "inner", &["alice", "x@far.test", "Y@far.test"]).await;
    let outer = group(&two, "outer", &["inner", "ALICE", "zalias", "bob", "y@far.test"]).await;
    let empty = group(&two, "empty", &[]).await;
    assert_eq!(resolve_to(&two.b, "Outer").await, "group outer@rialto.test");
    for limit in [1, 2, 3, 100] {
        let found = expand(&two, outer.id, limit).await;
        let folded: BTreeSet<String> = found.iter().map(Address::folded).collect();
        let expect = ["alice", "bob"].map(|n| format!("{n}@rialto.test"));
        assert!(expect.iter().all(|m| folded.contains(m)), "{folded:?}");
        assert_eq!(folded.len(), 4, "{folded:?}");
        assert_eq!(expand(&two, inner.id, limit).await.len(), 3);
        assert_eq!(expand(&two, empty.id, limit).await, set(&[]));
    }
    refused(two.b.directory.expand(GroupId(u64::MAX), 0, 10).await, Kind::NotFound);
}

pub(super) async fn pieces_make_the_whole_while_members_come_and_go(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let names: Vec<String> = (0..60).map(|n| format!("m{n}@far.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let list = group(&two, "list", &names).await;
    assert_eq!(expand(&two, list.id, 7).await, set(&names));
    let mut seen = BTreeSet::new();
    let mut cursor = 0;
    for n in 0.. {
        let piece = two.b.directory.expand(list.id, cursor, 7).await.unwrap();
        for member in piece.members {
            assert!(seen.insert(member.clone()), "{member} came twice");
        }
        let Some(next) = piece.next else { break };
        cursor = next;
        // One joins and one who was there only for a moment leaves: nobody else is shifted.
        let change = GroupChange {
            add: vec![address(&format!("late{n}@far.test"))],
            remove: vec![address(&format!("late{}@far.test", n - 1))],
            ..GroupChange::default()
        };
        two.a.admin.update_group(&Actor::Operator, list.id, change).await.unwrap();
    }
    assert!(seen.is_superset(&set(&names)), "some of the 60 are missing: {}", seen.len());
}

pub(super) async fn loops_are_harmless_and_depth_is_limited(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let one = group(&two, "one", &["two", "one", "alice"]).await;
    let other = group(&two, "two", &["ONE", "one+x", "x@far.test"]).await;
    let expect = set(&["alice", "one+x", "x@far.test"]);
    for limit in [1, 10] {
        assert_eq!(expand(&two, one.id, limit).await, expect);
        assert_eq!(expand(&two, other.id, limit).await, expect);
    }
    let mut outermost = group(&two, "deep0", &["alice"]).await;
    for depth in 1..20 {
        let inner = format!("deep{}", depth - 1);
        outermost = group(&two, &format!("deep{depth}"), &[&inner]).await;
    }
    assert_eq!(expand(&two, outermost.id, 10).await, set(&["alice"]));
    let beyond = group(&two, "deep20", &["deep19"]).await;
    refused(two.b.directory.expand(beyond.id, 0, 10).await, Kind::Limit);
}

pub(super) async fn members_are_changed_on_all_nodes(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let list = group(&two, "list", &["alice", "x@far.test"]).await;
    assert_eq!(resolve_to(&two.b, "list").await, "group list@rialto.test");
    let change = GroupChange {
        add: vec![address("y@far.test"), address("Y@far.test")],
        remove: vec![address("X@FAR.test"), address("never@far.test")],
        display_name: Some("The list".into()),
        authenticated_only: Some(false),
        ..GroupChange::default()
    };
    let after = two.a.admin.update_group(&Actor::Operator, list.id, change).await.unwrap();
    assert_eq!(after.display_name, "The list");
    assert!(!after.authenticated_only);
    assert_eq!(after.members.len(), 2, "{:?}", after.members);
    assert_eq!(expand(&two, list.id, 10).await.len(), 2);
    two.a.admin.remove_group(&Actor::Operator, list.id).await.unwrap();
    assert_eq!(resolve_to(&two.a, "list").await, "unknown");
    two.soon("gone there too", || async { resolve_to(&two.b, "list").await == "unknown" }).await;
    refused(two.a.admin.remove_group(&Actor::Operator, list.id).await, Kind::NotFound);
    // The address is free again, and the new group has nothing of the old one.
    let again = group(&two, "list", &["z@far.test"]).await;
    assert!(again.id > list.id);
    assert_eq!(expand(&two, again.id, 10).await, set(&["z@far.test"]));
}

/// The members that an administrator sees.
async fn listed(two: &Two, id: GroupId) -> BTreeSet<Address> {
    let groups = two.b.admin.list_groups(None, 100).await.unwrap();
    let group = groups.iter().find(|group| group.id == id).unwrap();
    group.members.iter().cloned().collect()
}

pub(super) async fn the_removed_leave_all_groups(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let alias = AccountChange { add_aliases: vec![address("ally")], ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, alias).await.unwrap();
    create(&two.a, "bob").await;
    let inner = group(&two, "inner", &["Alice", "bob"]).await;
    let outer = group(&two, "outer", &["inner", "ALLY", "x@far.test"]).await;
    let left = group(&two, "left", &["alice"]).await;
    let leave = GroupChange { remove: vec![address("alice")], ..GroupChange::default() };
    two.a.admin.update_group(&Actor::Operator, left.id, leave).await.unwrap();
    // The other node has them in its cache.
    assert_eq!(resolve_to(&two.b, "inner").await, "group inner@rialto.test");
    two.a.admin.remove_account(&Actor::Operator, two.alice.id).await.unwrap();
    assert_eq!(expand(&two, outer.id, 10).await, set(&["bob", "x@far.test"]));
    assert_eq!(listed(&two, inner.id).await, set(&["bob"]));
    assert_eq!(listed(&two, outer.id).await, set(&["inner", "x@far.test"]));
    two.soon("the other node's cache follows", || async {
        match two.b.directory.resolve(&address("inner")).await.unwrap() {
            crate::Resolved::Group(group) => group.members == [address("bob")],
            _ => false,
        }
    })
    .await;
    // Somebody else who gets the addresses inherits nothing.
    create(&two.a, "alice").await;
    create(&two.a, "ally").await;
    assert_eq!(expand(&two, outer.id, 10).await, set(&["bob", "x@far.test"]));
    two.a.admin.remove_group(&Actor::Operator, inner.id).await.unwrap();
    assert_eq!(listed(&two, outer.id).await, set(&["x@far.test"]));
}

pub(super) async fn who_loses_an_alias_stays_in_the_group(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let ally = || vec![address("ally")];
    let add = AccountChange { add_aliases: ally(), ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, add).await.unwrap();
    let list = group(&two, "list", &["ally", "x@far.test"]).await;
    let remove = AccountChange { remove_aliases: ally(), ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, remove).await.unwrap();
    assert_eq!(listed(&two, list.id).await, set(&["alice", "x@far.test"]));
    create(&two.a, "ally").await;
    assert_eq!(expand(&two, list.id, 10).await, set(&["alice", "x@far.test"]));
}
