//! Contacts and forwarding: who gets the message, once, and what its sender hears.

use crate::courier::Does;
use crate::outgoing::{is_empty, outside};
use crate::world::{World, address, run};
use base::QueueId;
use contract_directory::{
    AccountChange, Actor, Directory, DirectoryAdmin, FlowChange, Forwarding, NewContact, Resolved,
};
use contract_transport::tracking::{Event, MessageTracking};
use contract_transport::{Notify, Transport};
use std::time::Duration;

async fn contact(world: &World, name: &str, external: &str) {
    let new = NewContact {
        address: address(name),
        display_name: String::new(),
        external: address(external),
    };
    world.directory.create_contact(&Actor::System, new).await.unwrap();
}

pub(crate) async fn forward(world: &World, name: &str, to: &str, keep_copy: bool) {
    let found = world.directory.resolve(&address(name)).await.unwrap();
    let Resolved::Account(account) = found else { panic!("{name} is no account") };
    let forwarding = Some(Some(Forwarding { to: address(to), keep_copy }));
    let flow = FlowChange { forwarding, ..FlowChange::default() };
    let change = AccountChange { flow, ..AccountChange::default() };
    world.directory.update_account(&Actor::System, account.id, change).await.unwrap();
}

/// What a message's steps were told as: `REDIRECT bob@rialto.test x@far.test`.
async fn steps(world: &World, queue: QueueId) -> Vec<String> {
    let story = world.node.transport.story(queue).await.unwrap();
    let steps = story.iter().filter(|one| matches!(one.event, Event::Resolve | Event::Redirect));
    let told = steps.flat_map(|event| {
        let name = event.event.name();
        event.recipients.iter().map(move |to| format!("{name} {} {}", to.reason, to.address))
    });
    told.collect()
}

#[test]
fn mail_for_a_contact_goes_to_whom_it_stands_for() {
    outside(501, async |world, outside| {
        contact(&world, "supplier", "s@far.test").await;
        contact(&world, "p@far.test", "p@far.test").await;
        world.group("all", &["supplier@rialto.test".into(), "p@far.test".into()]).await;
        let queue = world.send("alice", &["supplier", "p@far.test"], "one").await;
        world.send("alice", &["all", "s@far.test"], "two").await;
        is_empty(&world).await;
        assert_eq!((outside.copies("s@far.test"), outside.copies("p@far.test")), (2, 2));
        assert_eq!(outside.copies("supplier@rialto.test"), 0);
        assert!(world.inbox("alice").await.is_empty());
        let told = steps(&world, queue).await;
        assert_eq!(told, ["RESOLVE supplier@rialto.test s@far.test"]);
    });
}

#[test]
fn an_alias_of_a_contact_elsewhere_leads_to_it() {
    outside(509, async |world, outside| {
        contact(&world, "p@far.test", "p@far.test").await;
        let found = world.directory.resolve(&address("p@far.test")).await.unwrap();
        let Resolved::Contact(partner) = found else { panic!("no contact") };
        let add_aliases = vec![address("partner")];
        let change = AccountChange { add_aliases, ..AccountChange::default() };
        world.directory.update_account(&Actor::System, partner.id, change).await.unwrap();
        world.send("alice", &["partner"], "text").await;
        is_empty(&world).await;
        assert_eq!(outside.copies("p@far.test"), 1);
        assert!(world.inbox("alice").await.is_empty());
    });
}

#[test]
fn a_contact_may_stand_for_somebody_of_ours_but_not_go_round() {
    run(502, async |world| {
        contact(&world, "old", "bob").await;
        contact(&world, "one", "two").await;
        contact(&world, "two", "ONE").await;
        world.send("alice", &["old", "bob", "one"], "text").await;
        world.settle().await;
        assert_eq!(world.inbox("bob").await.len(), 1);
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("Status: 5.4.6") && told[0].contains("in a circle"), "{told:?}");
    });
}

#[test]
fn forwarded_mail_arrives_with_and_without_a_copy() {
    outside(503, async |world, outside| {
        world.account("erin", None).await;
        forward(&world, "bob", "x@far.test", false).await;
        forward(&world, "erin", "bob", true).await;
        let queue = world.send("alice", &["erin", "bob"], "text").await;
        is_empty(&world).await;
        assert_eq!(world.inbox("erin").await.len(), 1);
        assert!(world.inbox("bob").await.is_empty() && world.inbox("alice").await.is_empty());
        assert_eq!(outside.copies("x@far.test"), 1, "once, though two ways lead there");
        let mut told = steps(&world, queue).await;
        told.dedup();
        let expect = "REDIRECT erin@rialto.test bob@rialto.test";
        assert_eq!(told[0], expect);
        assert!(told[1..].iter().all(|one| one == "REDIRECT bob@rialto.test x@far.test"));
    });
}

/// A mailbox that cannot be reached for a while gets its copy later; what was forwarded was.
#[test]
fn a_copy_that_comes_later_is_not_forwarded_again() {
    outside(504, async |mut world, outside| {
        forward(&world, "bob", "x@far.test", true).await;
        for number in 0..20 {
            world.send("alice", &["bob"], &format!("m{number}")).await;
            if number % 5 == 4 {
                world.restart().await;
            }
        }
        is_empty(&world).await;
        assert_eq!(outside.copies("x@far.test"), 20);
        assert_eq!(world.inbox("bob").await.len(), 20);
    });
}

#[test]
fn circles_end_with_a_copy_or_with_a_report() {
    run(505, async |world| {
        world.account("erin", None).await;
        forward(&world, "bob", "erin", true).await;
        forward(&world, "erin", "bob", false).await;
        world.send("alice", &["erin"], "harmless").await;
        world.settle().await;
        assert_eq!((world.inbox("bob").await.len(), world.inbox("erin").await.len()), (1, 0));
        assert!(world.inbox("alice").await.is_empty());
        forward(&world, "bob", "erin", false).await;
        world.send("alice", &["bob"], "broken").await;
        world.settle().await;
        assert_eq!((world.inbox("bob").await.len(), world.inbox("erin").await.len()), (1, 0));
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("Status: 5.4.6"), "{told:?}");
    });
}

#[test]
fn members_of_groups_forward_to_groups() {
    run(506, async |world| {
        for name in ["erin", "dora", "carl"] {
            world.account(name, None).await;
        }
        let ours = |names: &[&str]| names.iter().map(|n| format!("{n}@rialto.test")).collect();
        let (all, team): (Vec<_>, Vec<_>) =
            (ours(&["bob", "carl"]), ours(&["bob", "erin", "dora"]));
        world.group("all", &all).await;
        world.group("team", &team).await;
        // Bob's mail goes to a group that he is in, and carl's to one that he is reached by.
        forward(&world, "bob", "team", false).await;
        forward(&world, "carl", "all", true).await;
        world.send("alice", &["all"], "text").await;
        world.settle().await;
        let counts = async |names: [&str; 4]| {
            let mut counts = Vec::new();
            for name in names {
                counts.push(world.inbox(name).await.len());
            }
            counts
        };
        assert_eq!(counts(["bob", "carl", "erin", "dora"]).await, [0, 1, 1, 1]);
        // A group whose mail goes round and reaches nobody.
        world.group("lost", &ours(&["dora"])).await;
        forward(&world, "dora", "lost", false).await;
        world.send("alice", &["lost"], "round").await;
        world.settle().await;
        assert_eq!(counts(["bob", "carl", "erin", "dora"]).await, [0, 1, 1, 1]);
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("Status: 5.4.6"), "{told:?}");
    });
}

#[test]
fn a_large_group_is_forwarded_to_in_pieces() {
    run(507, async |mut world| {
        let mut members = Vec::new();
        for number in 0..600 {
            let name = format!("user{number}");
            world.account(&name, None).await;
            members.push(format!("{name}@rialto.test"));
        }
        world.group("everybody", &members).await;
        forward(&world, "bob", "everybody", true).await;
        let queue = world.send("alice", &["bob"], "big").await;
        world.env.clock.sleep(Duration::from_millis(5)).await;
        world.restart().await;
        world.settle().await;
        for number in (0..600).step_by(73) {
            assert_eq!(world.inbox(&format!("user{number}")).await.len(), 1, "user{number}");
        }
        assert_eq!(world.inbox("bob").await.len(), 1);
        let told = steps(&world, queue).await;
        assert_eq!(told, ["REDIRECT bob@rialto.test everybody@rialto.test"], "told once");
    });
}

#[test]
fn what_the_sender_asked_for_goes_on_with_forwarded_mail() {
    outside(508, async |world, outside| {
        outside.set("far.test", Does::Judge);
        world.account("erin", None).await;
        contact(&world, "supplier", "fails@far.test").await;
        forward(&world, "bob", "ok@far.test", true).await;
        forward(&world, "erin", "alice", false).await;
        let to = ["supplier", "bob", "erin"];
        let mut submission = world.submission("carl@peer.test", &to, "asked").await;
        for recipient in &mut submission.envelope.recipients {
            recipient.notify = Notify { success: true, failure: true, delay: false };
        }
        outside.set("peer.test", Does::Take { dsn: false });
        world.node.transport.accept(submission).await.unwrap();
        is_empty(&world).await;
        assert_eq!(outside.copies("ok@far.test"), 1);
        assert_eq!(world.inbox("alice").await.len(), 1);
        // One report of the mailbox and of who stands for erin, one of the failure.
        assert_eq!(outside.copies("carl@peer.test"), 2);
        // What is told of each, in the words of the sender's envelope.
        let taken = outside.taken();
        let originals: Vec<_> =
            taken.iter().flat_map(|one| one.originals.iter().flatten()).collect();
        assert_eq!(originals, ["rfc822;bob@rialto.test"]);
    });
}
