//! Contacts, and where mail for mailboxes goes on to.

use super::{Two, World, address, create, refused, resolve_to, sign_in};
use crate::{
    Account, AccountChange, Actor, Domain, DomainKind, FlowChange, Forwarding, GroupChange,
    GroupId, MailFlow, NewContact, NewGroup, Party, Restrictions, RestrictionsChange,
};
use base::{AccountId, Kind, Result};
use std::sync::Arc;

async fn contact(two: &Two, name: &str, external: &str) -> Result<Arc<Account>> {
    let new = NewContact {
        address: address(name),
        display_name: String::new(),
        external: address(external),
    };
    two.a.admin.create_contact(&Actor::Operator, new).await
}

async fn change(two: &Two, account: &Account, flow: FlowChange) -> Result<Arc<Account>> {
    let change = AccountChange { flow, ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, account.id, change).await
}

pub(super) async fn a_contact_stands_for_somebody_elsewhere(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let made = contact(&two, "Supplier", "s@far.test").await.unwrap();
    assert_eq!(made.display_name, "Supplier");
    for name in ["supplier", "SUPPLIER", "supplier+orders"] {
        assert_eq!(resolve_to(&two.b, name).await, "contact s@far.test", "{name}");
    }
    assert_eq!(resolve_to(&two.b, "s@far.test").await, "elsewhere");
    refused(contact(&two, "supplier", "t@far.test").await, Kind::AlreadyExists);
    refused(contact(&two, "alice", "t@far.test").await, Kind::AlreadyExists);
    refused(contact(&two, "x@nowhere.test", "t@far.test").await, Kind::NotFound);
    refused(sign_in(&two.b, "supplier", "").await, Kind::BadCredentials);
    // Another address elsewhere, but not its own.
    let to = |text: &str| FlowChange { external: Some(address(text)), ..FlowChange::default() };
    refused(change(&two, &made, to("SUPPLIER")).await, Kind::Invalid);
    refused(change(&two, &two.alice, to("t@far.test")).await, Kind::Invalid);
    change(&two, &made, to("t@far.test")).await.unwrap();
    assert_eq!(resolve_to(&two.a, "supplier").await, "contact t@far.test");
    two.soon("the other node follows", || async {
        resolve_to(&two.b, "supplier").await == "contact t@far.test"
    })
    .await;
}

pub(super) async fn a_contact_is_known_by_its_external_address_alone(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let made = contact(&two, "s@far.test", "S@far.test").await.unwrap();
    assert_eq!(resolve_to(&two.b, "s@far.test").await, "contact S@far.test");
    for other in ["other@far.test", "s+tag@far.test"] {
        assert_eq!(resolve_to(&two.b, other).await, "elsewhere", "{other}");
    }
    let other = FlowChange { external: Some(address("t@far.test")), ..FlowChange::default() };
    refused(change(&two, &made, other).await, Kind::Invalid);
    // In a domain of ours that would go round.
    refused(contact(&two, "s", "s").await, Kind::Invalid);
    let domain = |kind| Domain { name: "far.test".into(), kind, default: false };
    let ours = two.a.admin.create_domain(&Actor::Operator, domain(DomainKind::Authoritative)).await;
    refused(ours, Kind::Conflict);
    let shared = domain(DomainKind::InternalRelay);
    two.a.admin.create_domain(&Actor::Operator, shared).await.unwrap();
    assert_eq!(resolve_to(&two.b, "s@far.test").await, "contact S@far.test");
}

pub(super) async fn contacts_are_listed_apart_and_removed(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let b = contact(&two, "b", "b@far.test").await.unwrap();
    contact(&two, "a", "a@far.test").await.unwrap();
    let listed = async |after: Option<&str>, limit| {
        let contacts = two.b.admin.list_contacts(after, limit).await.unwrap();
        contacts.iter().map(|one| one.address.local.clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 10).await, ["a", "b"]);
    assert_eq!(listed(None, 1).await, ["a"]);
    assert_eq!(listed(Some("a@rialto.test"), 10).await, ["b"]);
    let accounts = two.b.admin.list_accounts(None, 10).await.unwrap();
    assert_eq!(accounts.iter().map(|one| one.id).collect::<Vec<_>>(), [two.alice.id]);
    let group = NewGroup {
        address: address("team"),
        display_name: String::new(),
        members: vec![address("b"), address("alice")],
        authenticated_only: false,
    };
    let group = two.a.admin.create_group(&Actor::Operator, group).await.unwrap();
    two.a.admin.remove_account(&Actor::Operator, b.id).await.unwrap();
    assert_eq!(listed(None, 10).await, ["a"]);
    assert_eq!(resolve_to(&two.a, "b").await, "unknown");
    let left = two.a.directory.expand(group.id, 0, 10).await.unwrap().members;
    assert_eq!(left, [address("alice")]);
    let removed = two.a.admin.removed_accounts(None, 10).await.unwrap();
    assert!(removed.is_empty(), "there is no mailbox to purge: {removed:?}");
}

pub(super) async fn forwarding_is_set_and_ended(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let bob = create(&two.a, "bob").await;
    let to = |text: &str| {
        let forwarding = Forwarding { to: address(text), keep_copy: true };
        FlowChange { forwarding: Some(Some(forwarding)), ..FlowChange::default() }
    };
    for own in ["BOB", "bob+x", "bob+x+y"] {
        refused(change(&two, &bob, to(own)).await, Kind::Invalid);
    }
    let after = change(&two, &bob, to("x@far.test")).await.unwrap();
    let forwarding = after.flow.forwarding.clone().unwrap();
    assert_eq!((forwarding.to, forwarding.keep_copy), (address("x@far.test"), true));
    // What is not named stays.
    let name = AccountChange { display_name: Some("Bob".into()), ..AccountChange::default() };
    let after = two.a.admin.update_account(&Actor::Operator, bob.id, name).await.unwrap();
    assert!(after.flow.forwarding.is_some());
    let ended = FlowChange { forwarding: Some(None), ..FlowChange::default() };
    assert_eq!(change(&two, &bob, ended).await.unwrap().flow.forwarding, None);
    let made = contact(&two, "s", "s@far.test").await.unwrap();
    refused(change(&two, &made, to("x@far.test")).await, Kind::Invalid);
}

pub(super) async fn mail_is_not_sent_on_to_where_it_comes_from(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let alias = async |account: &Account, alias: &str| {
        let add_aliases = vec![address(alias)];
        let change = AccountChange { add_aliases, ..AccountChange::default() };
        two.a.admin.update_account(&Actor::Operator, account.id, change).await
    };
    let bob = create(&two.a, "bob").await;
    let to = Forwarding { to: address("later"), keep_copy: false };
    let flow = FlowChange { forwarding: Some(Some(to)), ..FlowChange::default() };
    change(&two, &bob, flow).await.unwrap();
    refused(alias(&bob, "LATER").await, Kind::Invalid);
    alias(&bob, "robert").await.unwrap();
    let old = contact(&two, "old", "new").await.unwrap();
    refused(alias(&old, "New").await, Kind::Invalid);
    alias(&old, "older").await.unwrap();
    let to = |text: &str| FlowChange { external: Some(address(text)), ..FlowChange::default() };
    refused(change(&two, &old, to("old+x")).await, Kind::Invalid);
    refused(change(&two, &old, to("older+x")).await, Kind::Invalid);
    change(&two, &old, to("bob+x")).await.unwrap();
    refused(contact(&two, "c", "c+x").await, Kind::Invalid);
    // One that is known by what it stands for ends there.
    let far = contact(&two, "s@far.test", "s@far.test").await.unwrap();
    alias(&far, "seller").await.unwrap();
}

pub(super) async fn restrictions_are_kept_of_people_and_groups(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let bob = create(&two.a, "bob").await;
    let team = NewGroup {
        address: address("team"),
        display_name: String::new(),
        members: Vec::new(),
        authenticated_only: false,
    };
    let team = two.a.admin.create_group(&Actor::Operator, team).await.unwrap();
    let asked = RestrictionsChange {
        accept_from: Some(vec![Party::Account(bob.id), Party::Group(team.id)]),
        reject_from: Some(vec![Party::Account(two.alice.id)]),
        receive_bytes_max: Some(Some(7)),
    };
    let flow = FlowChange {
        authenticated_only: Some(true),
        restrictions: asked.clone(),
        recipients_max: Some(Some(3)),
        ..FlowChange::default()
    };
    let mut expect = Restrictions::default();
    asked.apply(&mut expect);
    let after = change(&two, &bob, flow).await.unwrap();
    let MailFlow { authenticated_only, restrictions, recipients_max, .. } = &after.flow;
    assert_eq!((authenticated_only, restrictions, recipients_max), (&true, &expect, &Some(3)));
    let set = GroupChange { restrictions: asked, ..GroupChange::default() };
    let after = two.a.admin.update_group(&Actor::Operator, team.id, set).await.unwrap();
    assert_eq!(after.restrictions, expect);
    assert_eq!(two.b.admin.group(team.id).await.unwrap().restrictions, expect);
    // Who is not there cannot be named; who was, and is gone, may stay.
    let nobody = |party| RestrictionsChange {
        reject_from: Some(vec![party, Party::Account(two.alice.id)]),
        ..RestrictionsChange::default()
    };
    for party in [Party::Account(AccountId(u64::MAX)), Party::Group(GroupId(u64::MAX))] {
        let flow = FlowChange { restrictions: nobody(party), ..FlowChange::default() };
        refused(change(&two, &bob, flow).await, Kind::NotFound);
        let set = GroupChange { restrictions: nobody(party), ..GroupChange::default() };
        refused(two.a.admin.update_group(&Actor::Operator, team.id, set).await, Kind::NotFound);
    }
    two.a.admin.remove_account(&Actor::Operator, two.alice.id).await.unwrap();
    let same = nobody(Party::Account(bob.id));
    let flow = FlowChange { restrictions: same, ..FlowChange::default() };
    let after = change(&two, &bob, flow).await.unwrap();
    assert_eq!(after.flow.restrictions.reject_from.len(), 2);
}
