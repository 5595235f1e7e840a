//! Several nodes over one store: messages are accepted on one, worked on by others, and delivered
//! to mailboxes that are served by others again, while all of these go from node to node.

use crate::courier::Outside;
use crate::inspecting::Looker;
use crate::placement::{Pace, Placement, mover, slots};
use crate::world::{Node, World, address, run_simulated};
use base::env::sim::test_seed;
use base::{Deadline, Slot};
use contract_control::Control;
use contract_directory::{Directory, Resolved};
use contract_store::Store;
use contract_transport::{Fate, QueueAdmin, Transport};
use parking_lot::Mutex;
use service_transport::Config;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store_memory::Faults;

/// A world of several nodes; the first of them is where messages are accepted.
struct Cluster {
    world: World,
    placement: Arc<Placement>,
    others: Mutex<BTreeMap<u64, Arc<Node>>>,
}

impl Cluster {
    async fn new(mut world: World, nodes: u64) -> Self {
        let store: Arc<dyn Store> = Arc::new(world.memory().clone());
        let placement = Placement::new(&world.env, &store);
        world.node = life(&world, &store, &placement, 1, None).await;
        let cluster = Self { world, placement, others: Mutex::default() };
        for node in 2..=nodes {
            cluster.restart(node).await;
        }
        cluster
    }

    /// Whoever ran under that number runs on, and is heard by nobody.
    async fn restart(&self, node: u64) {
        let store: Arc<dyn Store> = Arc::new(self.world.memory().clone());
        let new = life(&self.world, &store, &self.placement, node, None).await;
        drop(self.others.lock().insert(node, Arc::new(new)));
    }

    async fn give_all(&self, to: u64) {
        self.placement.give(&slots(), to).await;
    }

    /// The slot of the queue of a message.
    fn slot(&self, submission: &contract_transport::Submission) -> Slot {
        self.world.node.control.slot_of_queue(submission.queue)
    }
}

pub(crate) async fn life(
    world: &World,
    store: &Arc<dyn Store>,
    placement: &Arc<Placement>,
    number: u64,
    outside: Option<&Outside>,
) -> Node {
    let (control, router, local) = placement.join(number);
    let control: Arc<dyn Control> = control;
    let parts = service_mailbox::Parts {
        env: world.env.clone(),
        store: store.clone(),
        blobs: world.blobs.clone(),
        control: control.clone(),
        directory: world.directory.clone(),
        router: router.clone(),
    };
    let mailboxes = service_mailbox::start(service_mailbox::Config::default(), parts, &local);
    loop {
        let parts = service_transport::Parts {
            env: world.env.clone(),
            store: store.clone(),
            blobs: world.blobs.clone(),
            control: control.clone(),
            directory: world.directory.clone(),
            mailboxes: mailboxes.clone(),
            router: router.clone(),
        };
        let config = Config::new(format!("node{number}.rialto.test"));
        let started = match outside {
            Some(outside) => {
                let courier = Arc::new(outside.clone());
                service_transport::start_relaying(config, parts, courier, &local).await
            }
            None => service_transport::start(config, parts, &local).await,
        };
        match started {
            Ok(transport) => {
                return Node {
                    control,
                    mailboxes,
                    transport,
                    looker: Looker::default(),
                    _local: local,
                };
            }
            Err(error) => assert!(error.is_temporary(), "{error:?}"),
        }
    }
}

async fn copies(world: &World, name: &str, text: &str) -> usize {
    let marker = format!("Message-ID: <{text}@test>");
    world.inbox(name).await.iter().filter(|message| message.contains(&marker)).count()
}

/// Nobody sends a hint of what was accepted before the slot came.
#[test]
fn what_waits_in_a_gained_slot_goes_on_at_once() {
    run_simulated(1, async |world| {
        let cluster = Cluster::new(world, 3).await;
        let world = &cluster.world;
        cluster.give_all(2).await;
        // Cut off before it has heard of anything.
        cluster.placement.cut(2);
        let mut texts = Vec::new();
        for number in 0..20 {
            let text = format!("m{number}.");
            world.send("x@peer.test", &["alice", "bob"], &text).await;
            texts.push(text);
        }
        let begun = world.env.clock.monotonic();
        cluster.give_all(3).await;
        world.settle().await;
        let took = world.env.clock.monotonic().saturating_sub(begun);
        assert!(took <= Duration::from_secs(2), "{took:?}: found out, not looked for");
        for text in texts {
            assert_eq!(copies(world, "alice", &text).await, 1);
            assert_eq!(copies(world, "bob", &text).await, 1);
        }
    });
}

/// One message for each slot waits for its round's end; then the slot has none.
#[test]
fn a_slot_that_is_released_has_no_rounds() {
    run_simulated(2, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        world.inbox("alice").await;
        // The mailboxes are cut off, so that rounds take long.
        let Ok(Resolved::Account(alice)) = world.directory.resolve(&address("alice")).await else {
            panic!("alice is no account")
        };
        let of_alice = world.node.control.slot_of_account(alice.id);
        let submission = loop {
            let submission = world.submission("x@peer.test", &["alice", "bob"], "slow").await;
            if cluster.slot(&submission) != of_alice {
                break submission;
            }
        };
        let slot = cluster.slot(&submission);
        cluster.placement.give(&[of_alice], 2).await;
        cluster.placement.cut(2);
        world.node.transport.accept(submission.clone()).await.unwrap();
        world.env.clock.sleep(Duration::from_millis(100)).await;
        let router = cluster.placement.router(1);
        let soon = router.release(slot, Deadline::after(Duration::from_secs(1))).await;
        assert!(soon.is_err(), "a round was under way");
        let begun = world.env.clock.monotonic();
        router.release(slot, Deadline::after(Duration::from_secs(60))).await.unwrap();
        let took = world.env.clock.monotonic().saturating_sub(begun);
        assert!(took < Duration::from_secs(12), "{took:?}");
        // Others take nothing from it, and it goes on where it is looked after again.
        cluster.placement.give(&[of_alice], 1).await;
        let rounds = world.node.transport.list(None, 10).await.unwrap();
        assert_eq!(rounds.len(), 1, "it waits for the next attempt");
        world.settle().await;
        assert_eq!(copies(world, "alice", "slow").await, 1);
        assert_eq!(world.node.transport.withdraw(submission.queue).await.unwrap(), Fate::Accepted);
    });
}

/// Two nodes work on the same slot for a while: the one that has lost it neither delivers nor
/// writes down anything, whatever its rounds have begun.
#[test]
fn two_who_work_on_one_slot_deliver_once() {
    run_simulated(3, async |world| {
        let cluster = Cluster::new(world, 3).await;
        let world = &cluster.world;
        let members: Vec<String> = (0..40).map(|number| format!("user{number}")).collect();
        for name in &members {
            world.account(name, None).await;
        }
        let names: Vec<String> = members.iter().map(|name| format!("{name}@rialto.test")).collect();
        world.group("all", &names).await;
        let mut submissions = Vec::new();
        for number in 0..6 {
            let text = format!("m{number}.");
            let to: &[&str] = &["all", "alice", "nobody"];
            let submission = world.submission("bob", to, &text).await;
            world.node.transport.accept(submission.clone()).await.unwrap();
            submissions.push((text, submission));
        }
        for round in 0..12u64 {
            for _ in 0..world.env.random.below(400) {
                tokio::task::yield_now().await;
            }
            let before = 1 + round % 3;
            // Whoever had it is not told, and goes on.
            cluster.placement.cut(before);
            cluster.give_all(1 + (round + 1) % 3).await;
            cluster.placement.reconnect(before);
        }
        cluster.give_all(1).await;
        world.settle().await;
        for (text, _) in &submissions {
            for name in members.iter().map(String::as_str).chain(["alice"]) {
                assert_eq!(copies(world, name, text).await, 1, "{text} for {name}");
            }
        }
        let reports = world.inbox("bob").await;
        assert_eq!(reports.len(), submissions.len(), "one report of each, {reports:?}");
    });
}

fn storm(seed: u64) {
    run_simulated(seed, async |world| {
        world.group("both", &["alice@rialto.test".into(), "bob@rialto.test".into()]).await;
        let cluster = Cluster::new(world, 3).await;
        let world = &cluster.world;
        cluster.placement.lost_answers.store(50, Ordering::Relaxed);
        world.memory().inject(Faults {
            conflict: 0.03,
            commit_unknown_applied: 0.02,
            commit_unknown_not_applied: 0.02,
            late_commit: 0.01,
            ..Faults::default()
        });
        let (mut accepted, mut maybe) = (Vec::new(), Vec::new());
        let working = async {
            for number in 0..12 {
                let text = format!("m{number}.");
                let to: &[&str] = match number % 3 {
                    0 => &["alice"],
                    1 => &["both"],
                    _ => &["alice", "nobody", "bob"],
                };
                let submission = world.submission("x@peer.test", to, &text).await;
                let list = match world.node.transport.accept(submission).await {
                    Ok(()) => &mut accepted,
                    Err(_) => &mut maybe,
                };
                list.push((text, to.contains(&"bob") || to.contains(&"both")));
                tokio::time::sleep(Duration::from_millis(world.env.random.below(30))).await;
            }
        };
        let pace = Pace { steps: 8, turns_max: 400, pause_ms_max: 60 };
        let moving = mover(&cluster.placement, pace, |node| cluster.restart(node));
        tokio::join!(working, moving);
        world.memory().inject(Faults::default());
        world.memory().land_late_commits();
        cluster.placement.lost_answers.store(0, Ordering::Relaxed);
        cluster.give_all(1).await;
        world.settle().await;
        let (alice, bob) = (world.inbox("alice").await, world.inbox("bob").await);
        let count = |inbox: &[String], text: &str| {
            let marker = format!("Message-ID: <{text}@test>");
            inbox.iter().filter(|message| message.contains(&marker)).count()
        };
        for (text, both) in &accepted {
            assert_eq!(count(&alice, text), 1, "seed {seed}: {text} for alice");
            assert_eq!(count(&bob, text), usize::from(*both), "seed {seed}: {text} for bob");
        }
        for (text, _) in &maybe {
            assert!(count(&alice, text) <= 1 && count(&bob, text) <= 1, "seed {seed}: {text}");
        }
        assert!(accepted.len() >= 6, "seed {seed}: too little was accepted to tell");
    });
}

#[test]
fn nothing_is_lost_or_doubled_while_slots_move() {
    if !store_testing::in_memory() {
        return;
    }
    let first = test_seed();
    for seed in first..first + 200 {
        storm(seed);
    }
}
