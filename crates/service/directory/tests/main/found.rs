//! Dynamic groups where there are many people.

use crate::{address, with_domain};
use base::universe::Universe;
use contract_directory::{
    AccountKind, Actor, Directory, DirectoryAdmin, Dynamic, NewAccount, NewDynamicGroup, Role,
};
use store_testing::{in_memory, memory};

/// A piece costs a bounded look, whether it finds anybody or not, and reads each account once.
#[test]
fn a_piece_looks_at_so_many_and_no_more() {
    if !in_memory() {
        return;
    }
    Universe::run(1, async |env| {
        let store = memory(&env);
        let node = with_domain(&env, &store).await;
        let new = |number: usize| NewAccount {
            address: address(&format!("user{number}")),
            display_name: if number >= 10_900 { "late".into() } else { String::new() },
            password: None,
            kind: AccountKind::User,
            quota: None,
            role: Role::None,
        };
        node.create_accounts(&Actor::System, (0..11_000).map(new).collect()).await.unwrap();
        let dynamic = Dynamic { filter: "name = 'late'".into(), domain: None };
        let group = NewDynamicGroup {
            address: address("late"),
            display_name: String::new(),
            authenticated_only: true,
            dynamic,
        };
        let group = node.create_dynamic_group(&Actor::System, group).await.unwrap();
        let (mut pieces, mut cursor) = (Vec::new(), Some(0));
        while let Some(from) = cursor {
            let begun = store.memory().stats().begun;
            let piece = node.expand(group.id, from, 60).await.unwrap();
            let transactions = store.memory().stats().begun - begun;
            assert!(transactions <= 15, "{transactions} transactions");
            pieces.push(piece.members.len());
            cursor = piece.next;
        }
        assert_eq!(pieces, [0, 0, 60, 40]);
    });
}
