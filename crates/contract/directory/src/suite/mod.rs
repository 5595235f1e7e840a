//! The directory's promises as tests, for every implementation of [`Directory`] and
//! [`DirectoryAdmin`].
//!
//! An implementation provides a [`World`]: one store, on which nodes can be started. Each case
//! gets a new world and fails by panicking. Make each of [`cases`] a test of its
//! own. The cases hold while the store injects conflicts, unknown commits, short pages and stale
//! reads, so run them with and without.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admin;
mod contacts;
mod dynamic;
mod groups;
mod login;
mod resolve;

use crate::{
    Account, Actor, Directory, DirectoryAdmin, Domain, DomainKind, LoginAttempt, NewAccount,
    Resolved, Role, Secret,
};
use async_trait::async_trait;
use base::{Address, Kind, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One store and the time around it.
#[async_trait]
pub trait World: Send + Sync {
    /// Starts another node over the same, at first empty, store.
    async fn node(&self) -> Node;

    /// Lets time pass for everybody.
    async fn pass(&self, how_long: Duration);
}

/// One node's directory.
#[derive(Clone)]
pub struct Node {
    /// Looking up.
    pub directory: Arc<dyn Directory>,
    /// Changing.
    pub admin: Arc<dyn DirectoryAdmin>,
}

/// One promise: its name, and the test of it in a new world.
pub type Case = (&'static str, fn(Arc<dyn World>) -> Pin<Box<dyn Future<Output = ()> + Send>>);

macro_rules! cases {
    ($($module:ident :: $name:ident,)*) => {
        vec![$((stringify!($name), |world| Box::pin($module::$name(world))),)*]
    };
}

/// All cases.
pub fn cases() -> Vec<Case> {
    cases![
        resolve::created_here_is_never_denied_there,
        resolve::case_and_details_do_not_matter_but_resemblance_is_not_enough,
        resolve::domains_decide_about_strangers,
        resolve::every_domain_has_a_postmaster,
        resolve::disabled_and_removed_accounts_bounce,
        resolve::an_alias_can_move,
        resolve::send_as_follows_addresses_and_grants,
        login::right_and_wrong_passwords,
        login::login_names,
        login::only_enabled_persons_sign_in,
        login::a_new_password_is_good_everywhere_at_once_and_ends_the_old_one,
        login::who_depends_on_an_account_is_woken_on_every_node,
        login::attack_35_guessing_is_slowed_down_and_the_owner_is_not,
        contacts::a_contact_stands_for_somebody_elsewhere,
        contacts::a_contact_is_known_by_its_external_address_alone,
        contacts::contacts_are_listed_apart_and_removed,
        contacts::forwarding_is_set_and_ended,
        contacts::mail_is_not_sent_on_to_where_it_comes_from,
        contacts::restrictions_are_kept_of_people_and_groups,
        groups::expansion_is_complete_and_names_each_member_once,
        groups::pieces_make_the_whole_while_members_come_and_go,
        groups::loops_are_harmless_and_depth_is_limited,
        groups::members_are_changed_on_all_nodes,
        groups::the_removed_leave_all_groups,
        groups::who_loses_an_alias_stays_in_the_group,
        dynamic::members_are_found_when_they_are_wanted,
        dynamic::pieces_of_the_found_make_the_whole,
        dynamic::a_filter_is_checked_changed_and_told,
        dynamic::groups_within_groups_are_gone_into_if_they_admit,
        admin::each_change_is_audited_once,
        admin::addresses_are_unique,
        admin::concurrent_changes_are_all_kept,
        admin::domains_in_use_stay,
        admin::lists_are_in_order_and_complete,
        admin::nonsense_is_refused_by_name,
        admin::many_accounts_are_made_in_chunks,
        admin::ids_are_never_reused,
        admin::removed_accounts_are_remembered_until_they_are_purged,
        admin::full_access_is_found_by_who_has_it,
    ]
}

/// Two nodes over one store with the domain `rialto.test`, the default, and `alice`.
struct Two {
    world: Arc<dyn World>,
    a: Node,
    b: Node,
    alice: Arc<Account>,
}

impl Two {
    async fn new(world: Arc<dyn World>) -> Self {
        let (a, b) = (world.node().await, world.node().await);
        let domain =
            Domain { name: "rialto.test".into(), kind: DomainKind::Authoritative, default: true };
        a.admin.create_domain(&Actor::System, domain).await.unwrap();
        let alice = create(&a, "alice").await;
        Self { world, a, b, alice }
    }

    /// Lets time pass until it is so; fails where it takes longer than the feed ever may.
    async fn soon<F: Future<Output = bool>>(&self, what: &str, is_so: impl Fn() -> F) {
        for _ in 0..200 {
            if is_so().await {
                return;
            }
            self.world.pass(Duration::from_millis(100)).await;
        }
        panic!("still not after 20 s: {what}");
    }
}

fn address(text: &str) -> Address {
    match text.rsplit_once('@') {
        Some((local, domain)) => Address::new(local, domain),
        None => Address::new(text, "rialto.test"),
    }
}

fn new_account(text: &str) -> NewAccount {
    NewAccount {
        address: address(text),
        display_name: String::new(),
        password: Some(Secret(format!("password of {text}"))),
        kind: crate::AccountKind::User,
        quota: None,
        role: Role::None,
    }
}

async fn create(node: &Node, text: &str) -> Arc<Account> {
    node.admin.create_account(&Actor::Operator, new_account(text)).await.unwrap()
}

/// Resolves and tells the answer in short: the account's or group's address, or the word.
async fn resolve_to(node: &Node, text: &str) -> String {
    match node.directory.resolve(&address(text)).await.unwrap() {
        Resolved::Account(account) => account.address.to_string(),
        Resolved::Group(group) => format!("group {}", group.address),
        Resolved::Contact(contact) => match &contact.flow.external {
            Some(external) => format!("contact {external}"),
            None => "contact of nobody".into(),
        },
        Resolved::Unknown => "unknown".into(),
        Resolved::Elsewhere => "elsewhere".into(),
    }
}

async fn sign_in_from(
    node: &Node,
    source: &str,
    login: &str,
    password: &str,
) -> Result<Arc<Account>> {
    let attempt = LoginAttempt {
        login: login.into(),
        password: Secret(password.into()),
        source: source.parse().unwrap(),
        protocol: "suite",
    };
    node.directory.authenticate(&attempt).await
}

async fn sign_in(node: &Node, login: &str, password: &str) -> Result<Arc<Account>> {
    sign_in_from(node, "192.0.2.1", login, password).await
}

fn refused<T>(result: Result<T>, kind: Kind) -> String {
    match result {
        Ok(_) => panic!("expected {kind:?}, got a success"),
        Err(error) => {
            assert_eq!(error.kind, kind, "{error}");
            error.text.into_owned()
        }
    }
}
