//! Expansion: each mailbox gets one copy, however many ways lead to it.

use crate::world::run;

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
