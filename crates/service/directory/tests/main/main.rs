//! The directory service over the store that `RIALTO_TEST_STORE` names; tests that make the store
//! fail or count what it does take the simulated one.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod away;
mod changes;
mod contract;
mod counters;
mod found;
mod login;
mod provisioning;
mod removal;
mod verify;

use base::Address;
use base::env::Env;
use contract_directory::{
    AccountKind, Actor, DirectoryAdmin, Domain, DomainKind, LoginAttempt, NewAccount, Role, Secret,
};
use contract_store::Store;
use service_directory::{DirectoryConfig, DirectoryService, HashParameters};
use std::sync::Arc;
use store_testing::TestStore;

/// Hashes that cost nothing: what they cost is not what these tests are about.
const CHEAP: HashParameters = HashParameters { memory_kib: 64, passes: 1, lanes: 1 };

fn config() -> DirectoryConfig {
    DirectoryConfig { hash: CHEAP, ..DirectoryConfig::default() }
}

fn node(env: &Env, store: &TestStore) -> Arc<DirectoryService> {
    node_over(env, store.dynamic.clone())
}

fn node_over(env: &Env, store: Arc<dyn Store>) -> Arc<DirectoryService> {
    DirectoryService::start(config(), store, env.clone())
}

fn address(local: &str) -> Address {
    Address::new(local, "rialto.test")
}

fn new_account(local: &str, password: &str) -> NewAccount {
    NewAccount {
        address: address(local),
        display_name: String::new(),
        password: Some(Secret(password.into())),
        kind: AccountKind::User,
        quota: None,
        role: Role::None,
    }
}

async fn with_domain(env: &Env, store: &TestStore) -> Arc<DirectoryService> {
    let node = node(env, store);
    let domain =
        Domain { name: "rialto.test".into(), kind: DomainKind::Authoritative, default: true };
    node.create_domain(&Actor::System, domain).await.unwrap();
    node
}

fn attempt(login: &str, password: &str) -> LoginAttempt {
    LoginAttempt {
        login: login.into(),
        password: Secret(password.into()),
        source: [192, 0, 2, 1].into(),
        protocol: "test",
    }
}
