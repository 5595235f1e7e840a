//! Changing the directory.

use super::{Two, World, address, create, new_account, refused, resolve_to, sign_in};
use crate::{
    AccountChange, Actor, Domain, DomainKind, GroupChange, NewAccount, NewGroup, Quota, Secret,
};
use base::{AccountId, Address, Kind};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) async fn each_change_is_audited_once(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let by = Actor::Account(two.alice.id);
    let before = two.a.admin.audit(1_000).await.unwrap().len();
    for n in 0..30 {
        let change =
            AccountChange { display_name: Some(format!("Name {n}")), ..AccountChange::default() };
        two.a.admin.update_account(&by, two.alice.id, change).await.unwrap();
    }
    let secret =
        AccountChange { password: Some(Secret("hush-hush".into())), ..AccountChange::default() };
    two.a.admin.update_account(&by, two.alice.id, secret).await.unwrap();
    refused(two.a.admin.remove_account(&by, AccountId(u64::MAX)).await, Kind::NotFound);
    let records = two.b.admin.audit(1_000).await.unwrap();
    assert_eq!(records.len(), before + 31, "one for each change, none for the refused one");
    assert!(records.iter().all(|record| !record.parameters.contains("hush")), "a secret");
    for (n, record) in records[1..31].iter().enumerate() {
        assert_eq!((record.action.as_str(), &record.actor), ("account.update", &by));
        let name = format!("Name {}", 29 - n);
        assert!(record.parameters.contains(&name), "newest first: {record:?}");
        assert!(record.target.contains("alice@rialto.test"), "{record:?}");
    }
    assert_eq!(two.b.admin.audit(2).await.unwrap(), records[..2]);
    assert_eq!(two.b.admin.audit(0).await.unwrap(), []);
    // What is done elsewhere is recorded on demand.
    two.a.admin.record(&Actor::Operator, "node.drain", "n3", "why=test").await.unwrap();
    let newest = two.b.admin.audit(1).await.unwrap().remove(0);
    let texts = (newest.action.as_str(), newest.target.as_str(), newest.parameters.as_str());
    assert_eq!((newest.actor, texts), (Actor::Operator, ("node.drain", "n3", "why=test")));
}

pub(super) async fn addresses_are_unique(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let bob = create(&two.a, "bob").await;
    let taken = async |node: &super::Node, name: &str| {
        let answer = node.admin.create_account(&Actor::Operator, new_account(name)).await;
        let text = refused(answer, Kind::AlreadyExists);
        assert!(text.to_lowercase().contains(&name.to_lowercase()), "{text}");
    };
    taken(&two.b, "Alice").await;
    let alias =
        |name: &str| AccountChange { add_aliases: vec![address(name)], ..AccountChange::default() };
    let steal = two.b.admin.update_account(&Actor::Operator, bob.id, alias("ALICE")).await;
    refused(steal, Kind::AlreadyExists);
    for _ in 0..2 {
        // Asking again for what is so already is fine.
        let again = two.a.admin.update_account(&Actor::Operator, bob.id, alias("robert")).await;
        assert_eq!(again.unwrap().aliases, [address("robert")]);
    }
    taken(&two.b, "robert").await;
    let group = NewGroup {
        address: address("Robert"),
        display_name: String::new(),
        members: vec![],
        authenticated_only: true,
    };
    refused(two.b.admin.create_group(&Actor::Operator, group).await, Kind::AlreadyExists);
    let answer = two.a.admin.create_account(&Actor::Operator, new_account("x@no.test")).await;
    refused(answer, Kind::NotFound);
}

pub(super) async fn concurrent_changes_are_all_kept(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let mut tasks = Vec::new();
    for n in 0..16 {
        let node = if n % 2 == 0 { two.a.clone() } else { two.b.clone() };
        let id = two.alice.id;
        tasks.push(async move {
            let change = AccountChange {
                add_aliases: vec![address(&format!("alias{n}"))],
                ..AccountChange::default()
            };
            node.admin.update_account(&Actor::Operator, id, change).await.unwrap();
            // All of them want the same address: exactly one gets it.
            node.admin.create_account(&Actor::Operator, new_account("prize")).await.is_ok()
        });
    }
    let won = futures::future::join_all(tasks).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    for n in 0..16 {
        assert_eq!(resolve_to(&two.b, &format!("alias{n}")).await, "alice@rialto.test");
    }
    let accounts = two.a.admin.list_accounts(None, 100).await.unwrap();
    assert_eq!(accounts.len(), 2, "{accounts:?}");
    assert_eq!(accounts[0].aliases.len(), 16);
}

pub(super) async fn domains_in_use_stay(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let domain = |name: &str, default| Domain {
        name: name.into(),
        kind: DomainKind::Authoritative,
        default,
    };
    refused(two.a.admin.remove_domain(&Actor::Operator, "rialto.test").await, Kind::Conflict);
    refused(two.a.admin.remove_domain(&Actor::Operator, "no.test").await, Kind::NotFound);
    let again = two.a.admin.create_domain(&Actor::Operator, domain("Rialto.Test", false)).await;
    refused(again, Kind::AlreadyExists);
    two.a.admin.create_domain(&Actor::Operator, domain("Second.Test", true)).await.unwrap();
    let listed: Vec<_> = two.b.directory.domains().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|d| (d.name.as_str(), d.default)).collect();
    assert_eq!(listed, [("rialto.test", false), ("second.test", true)], "one default");
    refused(sign_in(&two.a, "alice", "password of alice").await, Kind::BadCredentials);
    let account = create(&two.b, "alice@second.test").await;
    sign_in(&two.a, "alice", "password of alice@second.test").await.unwrap();
    refused(two.a.admin.remove_domain(&Actor::Operator, "second.test").await, Kind::Conflict);
    two.a.admin.remove_account(&Actor::Operator, account.id).await.unwrap();
    two.a.admin.remove_domain(&Actor::Operator, "SECOND.test").await.unwrap();
    assert_eq!(two.b.directory.domains().await.unwrap().len(), 1);
}

pub(super) async fn lists_are_in_order_and_complete(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    for name in ["zoe", "Bob", "carol"] {
        create(&two.a, name).await;
    }
    for name in ["team", "all"] {
        let group = NewGroup {
            address: address(name),
            display_name: String::new(),
            members: vec![address("alice")],
            authenticated_only: true,
        };
        two.a.admin.create_group(&Actor::Operator, group).await.unwrap();
    }
    let alias = AccountChange { add_aliases: vec![address("aaa")], ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, two.alice.id, alias).await.unwrap();
    for limit in 1..6 {
        let mut names = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = two.b.admin.list_accounts(after.as_deref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.address.to_string());
            names.extend(page.iter().map(|account| account.address.local.clone()));
        }
        assert_eq!(names, ["alice", "Bob", "carol", "zoe"], "by {limit}");
    }
    let groups = two.b.admin.list_groups(None, 10).await.unwrap();
    let names: Vec<_> = groups.iter().map(|group| group.address.local.as_str()).collect();
    assert_eq!(names, ["all", "team"]);
    let rest = two.b.admin.list_groups(Some("all@rialto.test"), 10).await.unwrap();
    assert_eq!(rest.len(), 1);
}

pub(super) async fn nonsense_is_refused_by_name(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let invalid = |answer, part: &str| {
        let text = refused(answer, Kind::Invalid);
        assert!(text.contains(part), "{text:?} does not name {part}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    };
    let create = async |new| two.a.admin.create_account(&Actor::Operator, new).await;
    let with_address = |local: &str| NewAccount {
        address: Address::new(local, "rialto.test"),
        ..new_account("x")
    };
    // Attack 11: line ends and NUL; attack 71: letters that look alike.
    for local in ["a\r\nb", "a\0", "a b", "a@b", ".a", "", "mar\u{212a}", "a\u{202e}b"] {
        invalid(create(with_address(local)).await, "address");
    }
    let name = NewAccount { display_name: "A\r\nBcc: b@c".into(), ..new_account("x") };
    invalid(create(name).await, "display name");
    let levels = Quota { warn_bytes: Some(2), no_send_bytes: Some(1), no_receive_bytes: None };
    invalid(create(NewAccount { quota: Some(levels), ..new_account("x") }).await, "quota");
    let password = Some(Secret("a\0b".into()));
    invalid(create(NewAccount { password, ..new_account("x") }).await, "password");
    let quota = AccountChange { quota: Some(levels), ..AccountChange::default() };
    invalid(two.a.admin.update_account(&Actor::Operator, two.alice.id, quota).await, "quota");
    let primary =
        AccountChange { remove_aliases: vec![address("alice")], ..AccountChange::default() };
    invalid(two.a.admin.update_account(&Actor::Operator, two.alice.id, primary).await, "primary");
    let nobody =
        AccountChange { send_as: Some(vec![AccountId(u64::MAX)]), ..AccountChange::default() };
    let answer = two.a.admin.update_account(&Actor::Operator, two.alice.id, nobody).await;
    refused(answer, Kind::NotFound);
    for bad in ["", "a..b", "a b", "-a.test", "[127.0.0.1]", "a\r\n.test"] {
        let domain = Domain { name: bad.into(), kind: DomainKind::Authoritative, default: false };
        let answer = two.a.admin.create_domain(&Actor::Operator, domain).await;
        assert!(refused(answer, Kind::Invalid).contains("domain"));
    }
    let group = NewGroup {
        address: address("list"),
        display_name: String::new(),
        members: vec![Address::new("a\r\nb", "far.test")],
        authenticated_only: true,
    };
    let answer = two.a.admin.create_group(&Actor::Operator, group).await;
    assert!(refused(answer, Kind::Invalid).contains("member"));
    let answer =
        two.a.admin.update_group(&Actor::Operator, crate::GroupId(9_999), GroupChange::default());
    refused(answer.await, Kind::NotFound);
    assert_eq!(two.a.admin.list_accounts(None, 100).await.unwrap().len(), 1, "nothing was made");
}

pub(super) async fn many_accounts_are_made_in_chunks(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let new: Vec<_> = (0..1_234)
        .map(|n| NewAccount {
            password: Some(Secret("the same".into())),
            ..new_account(&format!("user{n}"))
        })
        .collect();
    let made = two.a.admin.create_accounts(&Actor::System, new.clone()).await.unwrap();
    assert_eq!(made, 1_234);
    assert_eq!(two.b.admin.list_accounts(None, 10_000).await.unwrap().len(), 1_235);
    assert_eq!(resolve_to(&two.b, "user1233").await, "user1233@rialto.test");
    for _ in 0..2 {
        sign_in(&two.b, "user0", "the same").await.unwrap();
        sign_in(&two.a, "user1233", "the same").await.unwrap();
    }
    let again = two.a.admin.create_accounts(&Actor::System, new[..3].to_vec()).await;
    refused(again, Kind::AlreadyExists);
    let twice = vec![new_account("twin"), new_account("Twin")];
    refused(two.a.admin.create_accounts(&Actor::System, twice).await, Kind::AlreadyExists);
    assert_eq!(two.a.admin.create_accounts(&Actor::System, vec![]).await.unwrap(), 0);
    let audit = two.a.admin.audit(1_000).await.unwrap();
    let named: usize = audit.iter().map(|r| r.parameters.matches("user").count()).sum();
    assert_eq!(named, 1_234, "the audit names each of them once");
}

pub(super) async fn ids_are_never_reused(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let mut ids = BTreeSet::from([two.alice.id]);
    for n in 0..20 {
        let node = if n % 2 == 0 { &two.a } else { &two.b };
        let account = create(node, "again").await;
        assert!(ids.insert(account.id), "{} came twice", account.id);
        assert!(account.id.0 < 1 << 48);
        node.admin.remove_account(&Actor::Operator, account.id).await.unwrap();
    }
}

pub(super) async fn removed_accounts_are_remembered_until_they_are_purged(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let by = Actor::Operator;
    let hold = |on| AccountChange { litigation_hold: Some(on), ..AccountChange::default() };
    two.a.admin.update_account(&by, two.alice.id, hold(true)).await.unwrap();
    refused(two.a.admin.remove_account(&by, two.alice.id).await, Kind::Conflict);
    assert_eq!(two.b.admin.removed_accounts(None, 10).await.unwrap(), []);
    two.a.admin.update_account(&by, two.alice.id, hold(false)).await.unwrap();
    let bob = create(&two.a, "bob").await;
    two.a.admin.remove_account(&by, bob.id).await.unwrap();
    two.a.admin.remove_account(&by, two.alice.id).await.unwrap();
    create(&two.a, "alice").await;
    let removed = two.b.admin.removed_accounts(None, 10).await.unwrap();
    let ids: Vec<_> = removed.iter().map(|removed| removed.id).collect();
    assert_eq!(ids, [two.alice.id, bob.id], "in order of id");
    assert_eq!(removed[0].address, address("alice"));
    assert!(removed[0].removed >= two.alice.created);
    assert_eq!(two.b.admin.removed_accounts(None, 1).await.unwrap(), removed[..1]);
    assert_eq!(two.b.admin.removed_accounts(Some(ids[0]), 10).await.unwrap(), removed[1..]);
    for _ in 0..2 {
        two.b.admin.forget_removed(&Actor::System, two.alice.id).await.unwrap();
        assert_eq!(two.a.admin.removed_accounts(None, 10).await.unwrap(), removed[1..]);
    }
}

pub(super) async fn full_access_is_found_by_who_has_it(world: Arc<dyn World>) {
    let two = Two::new(world).await;
    let (bob, room) = (create(&two.a, "bob").await, create(&two.a, "room").await);
    let grant = async |owner: AccountId, to: &[AccountId]| {
        let change = AccountChange { full_access: Some(to.to_vec()), ..AccountChange::default() };
        two.a.admin.update_account(&Actor::Operator, owner, change).await.unwrap();
    };
    // At once on every node.
    let found = async |limit| two.b.directory.full_access_of(bob.id, limit).await.unwrap();
    assert_eq!(found(10).await, []);
    grant(two.alice.id, &[bob.id, room.id]).await;
    grant(room.id, &[bob.id]).await;
    let mut both = [two.alice.id, room.id];
    both.sort();
    assert_eq!(found(10).await, both);
    assert_eq!(found(1).await, both[..1]);
    grant(two.alice.id, &[room.id]).await;
    assert_eq!(found(10).await, [room.id]);
    // Other changes change nothing of it, and the end of an account does.
    let change = AccountChange { enabled: Some(false), ..AccountChange::default() };
    two.a.admin.update_account(&Actor::Operator, room.id, change).await.unwrap();
    assert_eq!(found(10).await, [room.id]);
    two.a.admin.remove_account(&Actor::Operator, room.id).await.unwrap();
    assert_eq!(found(10).await, []);
}
