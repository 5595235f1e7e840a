//! Scanners: their settings, audited and known on all nodes, and what tracking tells of what they
//! said.

use crate::placement::Placement;
use crate::takeover::life;
use crate::world::{World, address, run_simulated};
use base::{Kind, QueueId};
use bytes::Bytes;
use contract_blob::Segment;
use contract_directory::{Actor, DirectoryAdmin};
use contract_mailbox::Outgoing;
use contract_store::Store;
use contract_transport::Transport;
use contract_transport::scanner::scanning::note;
use contract_transport::scanner::{Language, Scanner, ScannerChange, ScannerSettings};
use contract_transport::tracking::{Event, Involved, MessageTracking, Origin, Search};
use std::sync::Arc;
use std::time::Duration;

fn scanner(name: &str, order: u32) -> Scanner {
    let place = "127.0.0.1:3310".parse().unwrap();
    Scanner { order, ..Scanner::new(name, Language::Clamd, place) }
}

fn names(table: &[Arc<Scanner>]) -> Vec<&str> {
    table.iter().map(|scanner| scanner.name.as_str()).collect()
}

#[test]
fn changes_are_made_once_checked_ordered_and_audited() {
    run_simulated(131, async |world| {
        let (node, operator) = (&world.node.transport, Actor::Operator);
        let kind = |result: base::Result<Arc<Scanner>>| result.unwrap_err().kind;
        for (name, order) in [("b", 20), ("c", 10), ("a", 20)] {
            node.create_scanner(&operator, scanner(name, order)).await.unwrap();
        }
        assert_eq!(names(&node.scanner_table()), ["c", "a", "b"]);
        let again = node.create_scanner(&operator, scanner("a", 1)).await;
        assert_eq!(kind(again), Kind::AlreadyExists);
        let wrong = Scanner { deadline_ms: 1, ..scanner("d", 1) };
        assert_eq!(kind(node.create_scanner(&operator, wrong).await), Kind::Invalid);
        let last = ScannerChange { order: Some(99), ..ScannerChange::default() };
        let changed = node.update_scanner(&operator, "c", last.clone()).await.unwrap();
        assert_eq!(*changed, scanner("c", 99));
        assert_eq!(names(&node.scanners().await.unwrap()), ["a", "b", "c"]);
        assert_eq!(kind(node.update_scanner(&operator, "x", last).await), Kind::NotFound);
        node.remove_scanner(&operator, "a").await.unwrap();
        let removed = node.remove_scanner(&operator, "a").await;
        assert_eq!(removed.unwrap_err().kind, Kind::NotFound);
        assert_eq!(names(&node.scanner_table()), ["b", "c"]);
        let audit = world.directory.audit(100).await.unwrap();
        let of = |action: &str| audit.iter().filter(|one| one.action == action).count();
        let counts = ["scanner.create", "scanner.update", "scanner.remove"].map(of);
        assert_eq!(counts, [3, 1, 1], "{audit:?}");
    });
}

#[test]
fn what_scanners_said_is_part_of_the_story() {
    run_simulated(132, async |world| {
        let to = ["alice"];
        let mut submission = world.submission("bob@y.test", &to, "hi").await;
        let queue = submission.queue;
        let notes = note("av", "clean", "") + &note("spam", "junk", "rspamd gave 7 of 15");
        submission.content.segments.insert(0, Segment::Inline(notes.clone().into()));
        let parsed = (*submission.parsed).clone().shifted(notes.len() as u64);
        submission.parsed = Arc::new(parsed);
        world.node.transport.accept(submission).await.unwrap();
        world.settle().await;
        assert_eq!(said(&world, queue).await, ["av: clean", "spam: junk; rspamd gave 7 of 15"]);
        // And of what people of ours send, which their mailboxes take.
        let mut submission = world.submission("bob@rialto.test", &to, "ho").await;
        let queue = submission.queue;
        let front = Bytes::from(note("av", "clean", ""));
        let parsed = (*submission.parsed).clone().shifted(front.len() as u64);
        submission.parsed = Arc::new(parsed);
        submission.content.segments.insert(0, Segment::Inline(front));
        world.handle("bob").await.submit(Outgoing { submission, sent_copy: true }).await.unwrap();
        world.settle().await;
        assert_eq!(said(&world, queue).await, ["av: clean"]);
    });
}

/// What scanners have said of a message, as it is tracked.
async fn said(world: &World, queue: QueueId) -> Vec<String> {
    let story = world.node.transport.story(queue).await.unwrap();
    let said = story.into_iter().filter(|one| one.event == Event::AgentInfo);
    let mut said: Vec<_> = said.map(|one| one.reason).collect();
    said.sort_unstable();
    said
}

#[test]
fn what_was_never_accepted_is_found_all_the_same() {
    run_simulated(133, async |world| {
        let to = ["alice@x.test"];
        let mut submission = world.submission("bob@y.test", &to, "hi").await;
        submission.envelope.source.ip = Some([192, 0, 2, 7].into());
        let told = Involved::told(address("alice@x.test"), "5.7.1", "refused by the scanner av: X");
        let transport = &world.node.transport;
        transport.track_refusal(&submission, vec![told.clone()]).await.unwrap();
        let search = |sender: &str, recipient: &str| Search {
            senders: vec![address(sender)],
            recipients: vec![address(recipient)],
            ..Search::default()
        };
        let found = transport.search(&search("bob@y.test", "alice@x.test")).await.unwrap();
        let [event] = &found.stories[0][..] else { panic!("{found:?}") };
        assert_eq!((event.event, event.origin), (Event::Fail, Origin::Agent));
        assert_eq!((event.queue, &event.recipients), (submission.queue, &vec![told]));
        assert_eq!(event.subject.as_deref(), Some("test"));
        let other = transport.search(&search("carol@y.test", "alice@x.test")).await.unwrap();
        assert!(other.stories.is_empty(), "{other:?}");
    });
}

#[test]
fn all_nodes_ask_by_a_change_within_a_second_and_after_a_restart() {
    run_simulated(134, async |world| {
        let store: Arc<dyn Store> = Arc::new(world.memory().clone());
        let placement = Placement::new(&world.env, &store);
        let one = life(&world, &store, &placement, 1, None).await;
        let two = life(&world, &store, &placement, 2, None).await;
        assert!(two.transport.scanner_table().is_empty());
        one.transport.create_scanner(&Actor::System, scanner("av", 1)).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(names(&two.transport.scanner_table()), ["av"]);
        let three = life(&world, &store, &placement, 3, None).await;
        assert_eq!(names(&three.transport.scanner_table()), ["av"]);
    });
}
