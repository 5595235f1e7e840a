//! What addresses mean.

use super::{Two, World, address, create, new_account, resolve_to};
use crate::{AccountChange, Actor, Domain, DomainKind, NewAccount, NewGroup, Role};
use std::sync::Arc;

pub(super) async fn created_here_is_never_denied_there(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    for n in 0..20 {
        let name = format!("new{n}");
        assert_eq!(resolve_to(&two.b, &name).await, "unknown");
        create(&two.a, &name).await;
        assert_eq!(resolve_to(&two.b, &name).await, format!("{name}@rialto.test"));
        let alias = format!("alias{n}");
        let change =
            AccountChange { add_aliases: vec![address(&alias)], ..AccountChange::default() };
        two.a.admin.update_account(&Actor::Operator, two.alice.id, change).await.unwrap();
        assert_eq!(resolve_to(&two.b, &alias).await, "alice@rialto.test");
    }
    let domain =
        Domain { name: "two.test".into(), kind: DomainKind::Authoritative, default: false };
    assert_eq!(resolve_to(&two.b, "x@two.test").await, "elsewhere");
    two.a.admin.create_domain(&Actor::Operator, domain).await.unwrap();
    assert_eq!(resolve_to(&two.b, "x@two.test").await, "unknown");
    create(&two.a, "x@two.test").await;
    assert_eq!(resolve_to(&two.b, "x@two.test").await, "x@two.test");
}

pub(super) async fn case_and_details_do_not_matter_but_resemblance_is_not_enough(
    world: Arc<dyn World>,
) {
    let two = Two::new(world).await;
    create(&two.a, "mark").await;
    create(&two.a, "alice+explicit").await;
    for round in 0..2 {
        let check = async |text: &str, expect: &str| {
            assert_eq!(resolve_to(&two.a, text).await, expect, "{text:?} in round {round}");
        };
        check("ALICE@RIALTO.TEST", "alice@rialto.test").await;
        check("alice+lists", "alice@rialto.test").await;
        check("Alice+Lists+More", "alice@rialto.test").await;
        check("alice+explicit", "alice+explicit@rialto.test").await;
        check("alic", "unknown").await;
        check("alicee", "unknown").await;
        check("+alice", "unknown").await;
        check("", "unknown").await;
        // Attack 71: Cyrillic а, Kelvin sign, zero-width space, full-width, combining.
        check("\u{430}lice", "unknown").await;
        check("mar\u{212a}", "unknown").await;
        check("al\u{200b}ice", "unknown").await;
        check("\u{ff41}lice", "unknown").await;
        check("alice\u{301}", "unknown").await;
        check(&"a".repeat(100_000), "unknown").await;
        check("a\0b\r\n", "unknown").await;
        check(&format!("a@{}", "x".repeat(100_000)), "elsewhere").await;
        check(&format!("{}@a\0b", "a".repeat(100)), "elsewhere").await;
    }
}

pub(super) async fn domains_decide_about_strangers(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    for (name, kind) in
        [("inside.test", DomainKind::InternalRelay), ("outside.test", DomainKind::ExternalRelay)]
    {
        let domain = Domain { name: name.into(), kind, default: false };
        two.a.admin.create_domain(&Actor::Operator, domain).await.unwrap();
    }
    create(&two.a, "here@inside.test").await;
    assert_eq!(resolve_to(&two.b, "here@inside.test").await, "here@inside.test");
    assert_eq!(resolve_to(&two.b, "other@inside.test").await, "elsewhere");
    assert_eq!(resolve_to(&two.b, "any@outside.test").await, "elsewhere");
    assert_eq!(resolve_to(&two.b, "any@nowhere.test").await, "elsewhere");
    let refused = two.a.admin.create_account(&Actor::Operator, new_account("x@outside.test")).await;
    assert!(refused.is_err(), "an external relay domain has no recipients here");
}

pub(super) async fn every_domain_has_a_postmaster(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    assert_eq!(resolve_to(&two.a, "postmaster").await, "unknown", "nobody administers yet");
    let admin = NewAccount { role: Role::OrganizationManagement, ..new_account("admin") };
    let admin = two.a.admin.create_account(&Actor::Operator, admin).await.unwrap();
    let second = NewAccount { role: Role::OrganizationManagement, ..new_account("second") };
    two.a.admin.create_account(&Actor::Operator, second).await.unwrap();
    assert_eq!(resolve_to(&two.b, "PostMaster").await, "admin@rialto.test");
    assert_eq!(resolve_to(&two.b, "postmaster@nowhere.test").await, "elsewhere");
    let disable = AccountChange { enabled: Some(false), ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, admin.id, disable).await.unwrap();
    assert_eq!(resolve_to(&two.b, "postmaster").await, "second@rialto.test");
    create(&two.a, "postmaster").await;
    assert_eq!(resolve_to(&two.b, "postmaster").await, "postmaster@rialto.test");
}

pub(super) async fn disabled_and_removed_accounts_bounce(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let enabled = |on| AccountChange { enabled: Some(on), ..AccountChange::default() };
    assert_eq!(resolve_to(&two.b, "alice").await, "alice@rialto.test");
    two.a.admin.update_account(&Actor::Operator, two.alice.id, enabled(false)).await.unwrap();
    assert_eq!(resolve_to(&two.a, "alice").await, "unknown", "this node sees it at once");
    assert_eq!(resolve_to(&two.a, "alice+x").await, "unknown");
    two.soon("the other node sees it", || async { resolve_to(&two.b, "alice").await == "unknown" })
        .await;
    two.a.admin.update_account(&Actor::Operator, two.alice.id, enabled(true)).await.unwrap();
    assert_eq!(resolve_to(&two.b, "alice").await, "alice@rialto.test", "never denied");
    two.a.admin.remove_account(&Actor::Operator, two.alice.id).await.unwrap();
    assert_eq!(resolve_to(&two.a, "alice").await, "unknown");
    assert!(two.a.directory.account(two.alice.id).await.is_err());
    two.soon("it is gone there too", || async {
        resolve_to(&two.b, "alice").await == "unknown"
            && two.b.directory.account(two.alice.id).await.is_err()
    })
    .await;
}

pub(super) async fn an_alias_can_move(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let bob = create(&two.a, "bob").await;
    let info = || vec![address("Info")];
    let add = || AccountChange { add_aliases: info(), ..AccountChange::default() };
    let remove = AccountChange { remove_aliases: info(), ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, add()).await.unwrap();
    assert_eq!(resolve_to(&two.b, "info").await, "alice@rialto.test");
    two.a.admin.update_account(&Actor::Operator, two.alice.id, remove).await.unwrap();
    two.a.admin.update_account(&Actor::Operator, bob.id, add()).await.unwrap();
    assert_eq!(resolve_to(&two.a, "info").await, "bob@rialto.test");
    two.soon("the other node follows", || async {
        resolve_to(&two.b, "info").await == "bob@rialto.test"
    })
    .await;
}

pub(super) async fn send_as_follows_addresses_and_grants(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let bob = create(&two.a, "bob").await;
    let group = NewGroup {
        address: address("team"),
        display_name: String::new(),
        members: vec![address("bob")],
        authenticated_only: true,
    };
    two.a.admin.create_group(&Actor::Operator, group).await.unwrap();
    let check = async |from: &str, expect: bool| {
        let may = two.b.directory.may_send_as(&bob, &address(from)).await.unwrap();
        assert_eq!(may, expect, "bob as {from}");
    };
    check("bob", true).await;
    check("BOB+x", true).await;
    check("alice", false).await;
    check("team", false).await;
    check("nobody", false).await;
    check("bob@elsewhere.test", false).await;
    let grant = AccountChange { send_as: Some(vec![bob.id]), ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, grant).await.unwrap();
    check("alice", true).await;
    let revoke = AccountChange { send_as: Some(vec![]), ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, revoke).await.unwrap();
    two.soon("the grant ends there", || async {
        !two.b.directory.may_send_as(&bob, &address("alice")).await.unwrap()
    })
    .await;
}
