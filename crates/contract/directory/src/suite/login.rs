//! Signing in.

use super::{Two, World, address, create, new_account, refused, sign_in, sign_in_from};
use crate::{AccountChange, AccountKind, Actor, NewAccount, NewGroup, Role, Secret};
use base::Kind;
use std::sync::Arc;
use std::time::Duration;

const ALICE: &str = "password of alice";

fn new_password(text: &str) -> AccountChange {
    AccountChange { password: Some(Secret(text.into())), ..AccountChange::default() }
}

pub(super) async fn right_and_wrong_passwords(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    for _ in 0..3 {
        assert_eq!(sign_in(&two.a, "alice@rialto.test", ALICE).await.unwrap(), two.alice);
    }
    let wrong = refused(sign_in(&two.a, "alice", "password of bob").await, Kind::BadCredentials);
    let unknown = refused(sign_in(&two.a, "nobody", ALICE).await, Kind::BadCredentials);
    assert_eq!(wrong, unknown, "the answer does not tell whether the account exists");
    for bad in ["", "Password of alice", "password of alice ", &"x".repeat(1 << 20)] {
        refused(sign_in(&two.b, "alice", bad).await, Kind::BadCredentials);
    }
    // Made a moment ago on the other node.
    create(&two.a, "carol").await;
    sign_in(&two.b, "carol", "password of carol").await.unwrap();
}

pub(super) async fn login_names(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let alias = AccountChange {
        add_aliases: vec![address("a.lice"), address("alice+alias")],
        ..AccountChange::default()
    };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, alias).await.unwrap();
    let admin = NewAccount { role: Role::OrganizationManagement, ..new_account("admin") };
    two.a.admin.create_account(&Actor::Operator, admin).await.unwrap();
    let group = NewGroup {
        address: address("team"),
        display_name: String::new(),
        members: vec![address("alice")],
        authenticated_only: true,
    };
    two.a.admin.create_group(&Actor::Operator, group).await.unwrap();
    for _ in 0..2 {
        for good in ["alice", "ALICE@Rialto.Test", "a.lice", "alice+alias@rialto.test"] {
            let account = sign_in(&two.b, good, ALICE).await;
            assert_eq!(account.unwrap().id, two.alice.id, "{good}");
        }
    }
    for (n, bad) in [
        "",
        "@",
        "alice@",
        "@rialto.test",
        "alice+x",
        "team",
        "alice@elsewhere.test",
        "alice\0",
        "\u{430}lice",
        " alice",
        "postmaster",
    ]
    .into_iter()
    .enumerate()
    {
        let source = format!("192.0.2.{}", 100 + n);
        let password = if bad == "postmaster" { "password of admin" } else { ALICE };
        refused(sign_in_from(&two.b, &source, bad, password).await, Kind::BadCredentials);
    }
}

pub(super) async fn only_enabled_persons_sign_in(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    for kind in [AccountKind::Shared, AccountKind::Room, AccountKind::Equipment] {
        let name = format!("{kind:?}").to_lowercase();
        let with_password = NewAccount { kind, ..new_account(&name) };
        let answer = two.a.admin.create_account(&Actor::Operator, with_password).await;
        refused(answer, Kind::Invalid);
        let without = NewAccount { kind, password: None, ..new_account(&name) };
        let account = two.a.admin.create_account(&Actor::Operator, without).await.unwrap();
        let answer =
            two.a.admin.update_account(&Actor::Operator, account.id, new_password("x")).await;
        refused(answer, Kind::Invalid);
        refused(sign_in(&two.a, &name, "x").await, Kind::BadCredentials);
    }
    sign_in(&two.a, "alice", ALICE).await.unwrap();
    sign_in(&two.b, "alice", ALICE).await.unwrap();
    let enabled = |on| AccountChange { enabled: Some(on), ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, enabled(false)).await.unwrap();
    refused(sign_in(&two.a, "alice", ALICE).await, Kind::BadCredentials);
    two.soon("disabled there too", || async { sign_in(&two.b, "alice", ALICE).await.is_err() })
        .await;
    two.a.admin.update_account(&Actor::Operator, two.alice.id, enabled(true)).await.unwrap();
    sign_in(&two.b, "alice", ALICE).await.unwrap();
}

pub(super) async fn a_new_password_is_good_everywhere_at_once_and_ends_the_old_one(
    world: Arc<dyn World>,
) {
    let two = Two::new(world).await;
    sign_in(&two.a, "alice", ALICE).await.unwrap();
    sign_in(&two.b, "alice", ALICE).await.unwrap();
    let change = new_password("second");
    two.a.admin.update_account(&Actor::Operator, two.alice.id, change).await.unwrap();
    refused(sign_in(&two.a, "alice", ALICE).await, Kind::BadCredentials);
    sign_in(&two.b, "alice", "second").await.unwrap();
    two.soon("the old one ends there", || async { sign_in(&two.b, "alice", ALICE).await.is_err() })
        .await;
    sign_in(&two.b, "alice", "second").await.unwrap();
    sign_in(&two.a, "alice", "second").await.unwrap();
}

pub(super) async fn who_depends_on_an_account_is_woken_on_every_node(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let disable = AccountChange { enabled: Some(false), ..AccountChange::default() };
    for (change, enabled) in [(new_password("new"), true), (disable, false)] {
        // Whatever a node does at its start is over.
        two.world.pass(Duration::from_secs(10)).await;
        let before = two.a.directory.account(two.alice.id).await.unwrap();
        let watches = [&two.a, &two.b].map(|node| (node, node.directory.watch(two.alice.id)));
        two.a.admin.update_account(&Actor::Operator, two.alice.id, change).await.unwrap();
        for (node, watch) in &watches {
            two.soon("woken", || async move { watch.has_changed().unwrap() }).await;
            let after = node.directory.account(two.alice.id).await.unwrap();
            assert_eq!(after.enabled, enabled);
            assert_eq!(after.credentials > before.credentials, enabled);
        }
    }
}

pub(super) async fn attack_35_guessing_is_slowed_down_and_the_owner_is_not(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let home = "198.51.100.7";
    sign_in_from(&two.a, home, "alice", ALICE).await.unwrap();
    let mut decided = [0, 0];
    for n in 0..120 {
        for (who, login) in ["alice", "nobody"].into_iter().enumerate() {
            // Networks of their own for the two, so that the counts can be compared.
            let source = format!("10.{who}.{}.1", n % 60);
            match sign_in_from(&two.a, &source, login, "guess").await {
                Err(error) if error.kind == Kind::BadCredentials => decided[who] += 1,
                Err(error) => assert_eq!(error.kind, Kind::Limit, "{error}"),
                Ok(_) => panic!("a guess got in"),
            }
        }
    }
    assert_eq!(decided[0], decided[1], "an unknown name is treated like a known one");
    assert!((1..60).contains(&decided[0]), "{} guesses of 120 were checked", decided[0]);
    // Neither does the throttle tell which names exist, however they are written.
    for login in ["alice", "nobody"] {
        for _ in 0..10 {
            let _ = sign_in_from(&two.b, "203.0.113.9", login, "guess").await;
        }
        let full = format!("{login}@rialto.test");
        refused(sign_in_from(&two.b, "203.0.113.9", &full, "guess").await, Kind::Limit);
    }
    sign_in_from(&two.a, home, "alice", ALICE).await.unwrap();
    // Somebody guesses from the owner's own network; the owner's client has a fresh password.
    for _ in 0..20 {
        let _ = sign_in_from(&two.a, "198.51.100.66", "alice", "guess").await;
    }
    let change = new_password("second");
    two.a.admin.update_account(&Actor::Operator, two.alice.id, change).await.unwrap();
    sign_in_from(&two.a, home, "alice", "second").await.unwrap();
    // Waiting helps everybody else.
    two.world.pass(Duration::from_secs(3_700)).await;
    refused(sign_in_from(&two.a, "10.0.0.1", "alice", "guess").await, Kind::BadCredentials);
}
