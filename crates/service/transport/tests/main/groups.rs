//! Expansion: each mailbox gets one copy, however many ways lead to it.

use crate::outgoing::{is_empty, outside};
use crate::world::{address, run};
use contract_directory::{Actor, DirectoryAdmin, Dynamic, NewDynamicGroup};
use contract_transport::tracking::{Event, MessageTracking};

#[test]
fn one_copy_for_each_mailbox() {
    run(11, async |world| {
        let member = |name: &str| format!("{name}@rialto.test");
        world.group("inner", &[member("bob"), member("outer")]).await;
        world.group("outer", &[member("alice"), member("inner"), member("bob")]).await;
        world.send("x@peer.test", &["outer", "alice", "inner", "ALICE", "alice+tag"], "all").await;
        world.settle().await;
        assert_eq!(world.inbox("alice").await.len(), 1);
        assert_eq!(world.inbox("bob").await.len(), 1);
    });
}

#[test]
fn a_large_group_is_expanded_in_pieces() {
    run(12, async |mut world| {
        let mut members = Vec::new();
        for number in 0..1_100 {
            let name = format!("user{number}");
            world.account(&name, None).await;
            members.push(format!("{name}@rialto.test"));
        }
        world.group("everybody", &members).await;
        world.send("x@peer.test", &["everybody", "alice"], "big").await;
        // The node goes down in the middle of it.
        world.env.clock.sleep(std::time::Duration::from_millis(5)).await;
        world.restart().await;
        world.settle().await;
        for number in (0..1_100).step_by(73) {
            assert_eq!(world.inbox(&format!("user{number}")).await.len(), 1, "user{number}");
        }
        assert_eq!(world.inbox("alice").await.len(), 1);
    });
}

/// Other servers do not know which messages they have: whoever is met in two pieces must get one copy
/// all the same.
#[test]
fn somebody_elsewhere_gets_one_copy_whatever_piece_they_are_in() {
    outside(13, async |world, outside| {
        let members: Vec<String> = (0..1_100).map(|number| format!("m{number}@far.test")).collect();
        world.group("list", &members).await;
        world.group("again", &members[..700]).await;
        let to = ["list", "m7@far.test", "again", "m800@far.test", "M7@far.test"];
        world.send("x@peer.test", &to, "once").await;
        is_empty(&world).await;
        let mut taken: Vec<String> =
            outside.taken().into_iter().flat_map(|taken| taken.recipients).collect();
        // What other servers make of upper and lower case is theirs.
        assert_eq!(taken.len(), 1_101);
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), 1_101);
        assert_eq!(world.rows(b"Q/s/").await, 0, "nothing is left behind");
    });
}

/// Members are found when the message is, in pieces as large groups are.
#[test]
fn a_filter_says_who_gets_it() {
    run(14, async |mut world| {
        for number in 0..1_050 {
            world.account(&format!("user{number}"), None).await;
        }
        let dynamic = Dynamic { filter: "name like 'user*'".into(), domain: None };
        let new = NewDynamicGroup {
            address: address("users"),
            display_name: String::new(),
            authenticated_only: false,
            dynamic,
        };
        world.directory.create_dynamic_group(&Actor::System, new).await.unwrap();
        world.group("all", &["users@rialto.test".into(), "user3@rialto.test".into()]).await;
        world.send("x@peer.test", &["users"], "to users").await;
        world.env.clock.sleep(std::time::Duration::from_millis(5)).await;
        world.restart().await;
        let queue = world.send("x@peer.test", &["all", "alice"], "to all").await;
        world.settle().await;
        for number in (3..1_050).step_by(73) {
            assert_eq!(world.inbox(&format!("user{number}")).await.len(), 2, "user{number}");
        }
        assert_eq!((world.inbox("alice").await.len(), world.inbox("bob").await.len()), (1, 0));
        let story = world.node.transport.story(queue).await.unwrap();
        let expanded = story.iter().filter(|one| one.event == Event::Expand);
        let told: usize = expanded.map(|one| one.recipients.len()).sum();
        assert_eq!(told, 1_051, "who is listed and found is told of twice");
    });
}
