//! What is told of messages afterwards.

use super::sender::{Sender, address};
use crate::tracking::rows::DAY_MS;
use crate::tracking::{Event, KEPT_DAYS, Origin, Search, Tracked};
use base::QueueId;
use std::collections::BTreeMap;

impl Sender {
    async fn story(&self, queue: QueueId) -> Vec<Tracked> {
        let tracking = self.world.tracking().await;
        self.steady(|| tracking.story(queue)).await.unwrap()
    }

    /// Sends a message to alice whose queue id is of another day; gives that.
    async fn send_dated(&self, sender: &str, text: &str, days: i64) -> QueueId {
        let mut submission = self.submission(sender, &["alice"], text).await;
        let moment = self.world.now().plus_ms(days * DAY_MS);
        submission.queue = QueueId::new(moment, self.world.random());
        self.accept(&submission).await.unwrap();
        submission.queue
    }

    /// The queue ids of what is found, the newest message first.
    async fn found(&self, search: &Search) -> Vec<QueueId> {
        let tracking = self.world.tracking().await;
        let found = self.steady(|| tracking.search(search)).await.unwrap();
        let ids = found.stories.iter().map(|story| story[0].queue);
        ids.collect()
    }
}

/// How often each event is told for each recipient. A delivery may be asked for again where the
/// store fails, which is told too.
fn told(story: &[Tracked]) -> BTreeMap<(&'static str, String), usize> {
    let mut told = BTreeMap::new();
    for event in story.iter().filter(|event| event.event != Event::DuplicateDeliver) {
        for one in &event.recipients {
            *told.entry((event.event.name(), one.address.to_string())).or_default() += 1;
        }
    }
    told
}

fn expected(told: &[(&'static str, &str)]) -> BTreeMap<(&'static str, String), usize> {
    told.iter().map(|(event, to)| ((*event, address(to).to_string()), 1)).collect()
}

pub(super) async fn each_stage_is_told_once(sender: Sender) {
    let submission = sender.submission("x@peer.test", &["alice", "bob+1"], "told").await;
    for _ in 0..2 {
        sender.accept(&submission).await.unwrap();
    }
    sender.settle().await;
    sender.accept(&submission).await.unwrap();
    sender.world.restart().await;
    let story = sender.story(submission.queue).await;
    let expect = [
        ("RECEIVE", "alice"),
        ("RECEIVE", "bob+1"),
        ("RESOLVE", "bob"),
        ("DELIVER", "alice"),
        ("DELIVER", "bob"),
    ];
    assert_eq!(told(&story), expected(&expect), "{story:#?}");
    assert!(story.is_sorted_by_key(|event| event.at), "{story:#?}");
    let begun = &story[0];
    assert_eq!((begun.event, begun.origin), (Event::Receive, Origin::Smtp));
    assert_eq!(begun.sender, Some(address("x@peer.test")));
    assert_eq!(begun.message_id.as_deref(), Some("told@suite"));
    assert_eq!(begun.subject.as_deref(), Some("suite"));
    assert_eq!(begun.size_bytes, submission.content.size_bytes());
    let from = |event: &Tracked| match event.event {
        Event::Resolve => Origin::Resolver,
        _ => Origin::StoreDriver,
    };
    assert!(story[1..].iter().all(|event| event.origin == from(event)));
    assert!(story[1..].iter().all(|event| event.latency_ms.is_some()));
    let never = QueueId::new(sender.world.now(), 7);
    assert!(sender.story(never).await.is_empty());
}

pub(super) async fn groups_failures_and_reports_are_told(sender: Sender) {
    let many: Vec<String> = (0..120).map(|number| format!("nobody{number}")).collect();
    sender.world.group("one", &["bob@rialto.test"]).await;
    sender.world.group("all", &["alice@rialto.test", "one@rialto.test"]).await;
    // A group that comes to one mailbox, and one in a group.
    for group in ["one", "all"] {
        let queue = sender.send("alice", &[group], group).await;
        sender.settle().await;
        let story = sender.story(queue).await;
        let expanded = story.iter().find(|event| event.event == Event::Expand).unwrap();
        assert!(expanded.recipients.iter().any(|one| one.address == address("bob")), "{story:#?}");
        assert!(expanded.reason.contains(group), "{story:#?}");
    }
    // More failures than one row holds.
    let to: Vec<&str> = many.iter().map(String::as_str).collect();
    let queue = sender.send("alice", &to, "failing").await;
    sender.settle().await;
    let story = sender.story(queue).await;
    let failed = story.iter().filter(|event| event.event == Event::Fail);
    let failed: Vec<_> = failed.flat_map(|event| &event.recipients).collect();
    assert_eq!(failed.len(), many.len(), "{story:#?}");
    assert!(failed.iter().all(|one| one.status == "5.1.1" && !one.reason.is_empty()));
    let dsn = story.iter().find(|event| event.event == Event::Dsn).unwrap();
    assert_eq!(dsn.recipients[0].address, address("alice"));
    let report = sender.story(dsn.related.unwrap()).await;
    assert_eq!((report[0].event, report[0].origin), (Event::Receive, Origin::Dsn));
    assert_eq!((report[0].related, &report[0].sender), (Some(queue), &None));
    assert!(report.iter().any(|event| event.event == Event::Deliver), "{report:#?}");
}

pub(super) async fn what_administrators_do_is_told(sender: Sender) {
    sender.world.stop_mailboxes().await;
    let queue = sender.send("alice", &["bob"], "held").await;
    sender.pass_s(2).await;
    sender.suspend(queue).await.unwrap();
    sender.retry(queue).await.unwrap();
    sender.pass_s(2).await;
    sender.remove(queue, true).await.unwrap();
    let story = sender.story(queue).await;
    let mut names: Vec<_> = story.iter().map(|event| event.event.name()).collect();
    names.dedup();
    for name in ["RECEIVE", "DEFER", "SUSPEND", "RETRY", "REMOVE", "FAIL", "DSN"] {
        assert!(names.contains(&name), "{name} in {story:#?}");
    }
    let deferred = story.iter().find(|event| event.event == Event::Defer).unwrap();
    assert_eq!(deferred.recipients[0].address, address("bob"));
    assert!(!deferred.recipients[0].reason.is_empty() && deferred.reason.contains("attempt 1"));
    let by = |event| story.iter().find(|one| one.event == event).unwrap().origin;
    assert_eq!((by(Event::Suspend), by(Event::Remove)), (Origin::Admin, Origin::Admin));
}

pub(super) async fn messages_are_found_by_whom_they_concern(sender: Sender) {
    sender.world.group("team", &["bob@rialto.test", "alice@rialto.test"]).await;
    let first = sender.send_dated("x@peer.test", "first", -1).await;
    let between = sender.world.now();
    let second = sender.send("alice", &["team"], "second").await;
    sender.pass_s(3_600).await;
    let third = sender.send("X@Peer.test", &["bob"], "third").await;
    sender.settle().await;
    let check = async |what: &str, search: Search, expect: &[QueueId]| {
        assert_eq!(sender.found(&search).await, expect, "{what}");
    };
    let any = Search::default;
    let by = |one| Search { senders: vec![address(one)], ..any() };
    let to = |one| Search { recipients: vec![address(one)], ..any() };
    let id = |id: &str| Search { message_id: Some(id.into()), ..any() };
    check("all", any(), &[third, second, first]).await;
    check("two", Search { limit: 2, ..any() }, &[third, second]).await;
    check("the sender", by("x@peer.test"), &[third, first]).await;
    check("nobody", by("y@peer.test"), &[]).await;
    check("through a group", to("bob"), &[third, second]).await;
    check("the group", to("team"), &[second]).await;
    check("the id", id("<second@suite>"), &[second]).await;
    check("no id", id("fourth@suite"), &[]).await;
    check("both", Search { senders: vec![address("alice")], ..to("bob") }, &[second]).await;
    check(
        "one of two",
        Search { recipients: vec![address("x"), address("bob")], ..any() },
        &[third, second],
    )
    .await;
    check("the subject", Search { subject: Some("SUIT".into()), ..to("alice") }, &[second, first])
        .await;
    check("no subject", Search { subject: Some("other".into()), ..any() }, &[]).await;
    check("later", Search { since: Some(between), ..any() }, &[third, second]).await;
    check("earlier", Search { until: Some(between), ..by("x@peer.test") }, &[first]).await;
    check("lately", Search { within_ms: Some(3_000_000), ..any() }, &[third]).await;
    check("long ago", Search { before_ms: Some(3_000_000), ..any() }, &[second, first]).await;
    let tracking = sender.world.tracking().await;
    let page = Search { limit: 2, ..any() };
    let found = sender.steady(|| tracking.search(&page)).await.unwrap();
    check("the rest", Search { until: found.more_before, ..page }, &[first]).await;
}

pub(super) async fn what_is_old_is_forgotten(sender: Sender) {
    let kept = i64::from(KEPT_DAYS);
    let old = sender.send_dated("x@peer.test", "old", -kept - 1).await;
    let new = sender.send_dated("x@peer.test", "new", 1 - kept).await;
    sender.settle().await;
    assert!(!sender.story(old).await.is_empty());
    sender.pass_s(2 * 3_600).await;
    assert!(sender.story(old).await.is_empty());
    assert_eq!(sender.story(new).await.len(), 2);
    let by = Search { senders: vec![address("x@peer.test")], ..Search::default() };
    assert_eq!(sender.found(&by).await, [new]);
}
