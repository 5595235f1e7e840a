//! Provisioning many accounts.

use crate::counters::Counters;
use crate::{attempt, new_account, with_domain};
use base::Kind;
use base::universe::Universe;
use contract_directory::{Actor, Directory, DirectoryAdmin};
use store_testing::{memory, open};

#[test]
fn one_password_for_all_is_hashed_once_and_gets_its_own_salt_at_sign_in() {
    let counters = Counters::default();
    let _guard = metrics::set_default_local_recorder(&counters);
    Universe::run(1, async |env| {
        let store = memory(&env);
        let node = with_domain(&env, &store).await;
        let commits = store.memory().stats().applied;
        let new = (0..5_000).map(|n| new_account(&format!("user{n}"), "same")).collect();
        assert_eq!(node.create_accounts(&Actor::System, new).await.unwrap(), 5_000);
        assert_eq!(counters.hashes(), 1);
        assert_eq!(store.memory().stats().applied - commits, 10, "500 in each transaction");
        let bytes = store.memory().stats().bytes_committed / 10;
        assert!(bytes < 1_000_000, "{bytes} bytes in each");
        node.authenticate(&attempt("user77", "same")).await.unwrap();
        assert_eq!(counters.hashes(), 3, "checked, and hashed anew with its own salt");
        let fresh = crate::node(&env, &store);
        fresh.authenticate(&attempt("user77", "same")).await.unwrap();
        assert_eq!(counters.hashes(), 4, "only checked");
    });
}

#[test]
fn ready_made_hashes_are_taken_in_bulk_only() {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
    let params = Params::new(64, 1, 1, None).unwrap();
    let phc = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(b"imported", b"0123456789abcdef")
        .unwrap()
        .to_string();
    let phc = phc.as_str();
    Universe::run(2, async |env| {
        let store = open(&env);
        let node = with_domain(&env, &store).await;
        let new = vec![new_account("imported", phc)];
        node.create_accounts(&Actor::System, new).await.unwrap();
        node.authenticate(&attempt("imported", "imported")).await.unwrap();
        assert!(node.authenticate(&attempt("imported", phc)).await.is_err());
        let greedy = phc.replace("m=64", "m=4194304");
        let refused = node.create_accounts(&Actor::System, vec![new_account("x", &greedy)]).await;
        assert_eq!(refused.unwrap_err().kind, Kind::Invalid);
        // Elsewhere such a text is a password like any other.
        node.create_account(&Actor::System, new_account("plain", phc)).await.unwrap();
        node.authenticate(&attempt("plain", phc)).await.unwrap();
        assert!(node.authenticate(&attempt("plain", "imported")).await.is_err());
    });
}
