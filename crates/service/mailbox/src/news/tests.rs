#![allow(clippy::unwrap_used)]

use super::*;
use base::env::Env;
use base::{Deadline, ItemId, Timestamp, Uid};
use contract_mailbox::{
    Flags, FolderClass, FolderCounts, FolderInfo, FolderKind, IndexEntry, Keywords,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::sync::Semaphore;

/// An owner with one folder: for each UID its newest change, and whether it is still there.
struct Owner {
    messages: Mutex<BTreeMap<u32, (u64, bool)>>,
    newest: Mutex<u64>,
    /// From before this change nothing is known of what has gone.
    compacted: Mutex<u64>,
    fails: Mutex<Option<Error>>,
    asked: Mutex<Vec<u64>>,
    reading: AtomicUsize,
    /// One permit for each answer.
    gate: Semaphore,
}

impl Owner {
    fn new(open: bool) -> Arc<Self> {
        Arc::new(Self {
            messages: Mutex::default(),
            newest: Mutex::new(1),
            compacted: Mutex::default(),
            fails: Mutex::default(),
            asked: Mutex::default(),
            reading: AtomicUsize::new(0),
            gate: Semaphore::new(if open { Semaphore::MAX_PERMITS } else { 0 }),
        })
    }

    /// A message comes, changes or goes.
    fn change(&self, uid: u32, here: bool) -> Change {
        let mut newest = self.newest.lock();
        *newest += 1;
        self.messages.lock().insert(uid, (*newest, here));
        Change(*newest)
    }

    fn delta(&self, since: u64) -> ViewDelta {
        let complete = since >= *self.compacted.lock();
        let (messages, newest) = (self.messages.lock(), *self.newest.lock());
        let steps = || messages.iter().filter(|(_, (change, _))| complete && *change > since);
        let changed = steps().filter(|step| step.1.1).map(|(uid, (change, _))| IndexEntry {
            uid: Uid(*uid),
            item: ItemId(u64::from(*uid)),
            flags: Flags::default(),
            change: Change(*change),
            size_bytes: 1,
            received: Timestamp::default(),
        });
        let vanished = steps().filter(|step| !step.1.1).map(|(uid, _)| Uid(*uid));
        ViewDelta {
            info: info(newest),
            keywords: Arc::new(Keywords::default()),
            changed: changed.collect(),
            vanished: vanished.collect(),
            complete,
        }
    }
}

fn info(newest: u64) -> FolderInfo {
    FolderInfo {
        id: FolderId(1),
        parent: None,
        name: "INBOX".into(),
        class: FolderClass::Mail,
        kind: FolderKind::Normal,
        role: None,
        hidden: false,
        subscribed: false,
        counts: FolderCounts::default(),
        uid_validity: 1,
        uid_next: Uid(1),
        highest_change: Change(newest),
        recent_from: Uid(1),
        own_change: Change(1),
    }
}

struct ToOwner(Arc<Owner>);

impl Ask for ToOwner {
    async fn ask(&self, since: Change) -> Result<ViewDelta> {
        let Self(owner) = self;
        assert_eq!(owner.reading.fetch_add(1, SeqCst), 0, "one question at a time");
        let _end = Reading(owner);
        owner.asked.lock().push(since.0);
        owner.gate.acquire().await.unwrap().forget();
        match owner.fails.lock().take() {
            Some(error) => Err(error),
            None => Ok(owner.delta(since.0)),
        }
    }
}

struct Reading<'o>(&'o Owner);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.reading.fetch_sub(1, SeqCst);
    }
}

const SUBJECT: Subject =
    Subject { mailbox: AccountId(1), who: Principal::Account(AccountId(1)), folder: FolderId(1) };

fn news() -> Arc<News> {
    Arc::new(News::new(Env::simulated(1).clock))
}

type Answer = tokio::task::JoinHandle<Result<ViewDelta>>;

/// Asks in a task of its own, which has come to wait when this returns.
async fn ask(news: &Arc<News>, owner: &Arc<Owner>, since: u64) -> Answer {
    let (news, asks) = (news.clone(), ToOwner(owner.clone()));
    let answer = tokio::spawn(async move { news.since(SUBJECT, Change(since), asks).await });
    tokio::task::yield_now().await;
    answer
}

fn uids(delta: &ViewDelta) -> Vec<u32> {
    delta.changed.iter().map(|entry| entry.uid.0).collect()
}

#[tokio::test(start_paused = true)]
async fn a_crowd_costs_two_questions_and_one_that_finds_something() {
    let (news, owner) = (news(), Owner::new(false));
    owner.change(7, true);
    let mut answers = Vec::new();
    for _ in 0..170 {
        answers.push(ask(&news, &owner, 1).await);
    }
    owner.gate.add_permits(10);
    for answer in answers {
        assert_eq!(uids(&answer.await.unwrap().unwrap()), [7]);
    }
    assert_eq!(*owner.asked.lock(), [1, 2]);
    // Nobody waits, nothing is under way.
    assert!(news.waiting.lock().is_empty());
    assert_eq!(uids(&ask(&news, &owner, 1).await.await.unwrap().unwrap()), [7]);
    assert_eq!(*owner.asked.lock(), [1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_for_those_who_wanted_it_before_it_was_asked_for() {
    let (news, owner) = (news(), Owner::new(false));
    let first = ask(&news, &owner, 1).await;
    owner.gate.add_permits(1);
    first.await.unwrap().unwrap();
    let second = ask(&news, &owner, 1).await;
    // What happens now is acknowledged before the third asks.
    owner.change(9, true);
    let third = ask(&news, &owner, 1).await;
    owner.gate.add_permits(10);
    second.await.unwrap().unwrap();
    assert_eq!(uids(&third.await.unwrap().unwrap()), [9]);
    assert_eq!(*owner.asked.lock(), [1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn all_are_asked_for_from_the_oldest_moment() {
    let (news, owner) = (news(), Owner::new(false));
    for uid in 1..=10 {
        owner.change(uid, uid % 3 != 0);
    }
    let mut answers = Vec::new();
    for since in [11, 5, 9, 3, 11] {
        answers.push(ask(&news, &owner, since).await);
    }
    owner.gate.add_permits(10);
    for answer in answers {
        let delta = answer.await.unwrap().unwrap();
        assert_eq!((delta.complete, delta.info.highest_change), (true, Change(11)));
    }
    assert_eq!(*owner.asked.lock(), [11, 3]);
}

#[tokio::test(start_paused = true)]
async fn large_answers_and_gaps_are_for_whom_they_were_asked() {
    let (news, owner) = (news(), Owner::new(false));
    for uid in 1..=2_000 {
        owner.change(uid, true);
    }
    let mut answers = Vec::new();
    for since in [2_001, 1, 1, 1_900, 2_000] {
        answers.push(ask(&news, &owner, since).await);
    }
    owner.gate.add_permits(10);
    let mut counts = Vec::new();
    for answer in answers {
        counts.push(answer.await.unwrap().unwrap().changed.len());
    }
    assert_eq!(counts, [0, 2_000, 2_000, 101, 101]);
    *owner.compacted.lock() = 1_500;
    let owner_gate = Arc::clone(&owner);
    owner_gate.gate.forget_permits(100);
    let mut answers = Vec::new();
    for since in [2_001, 1, 1_950] {
        answers.push(ask(&news, &owner, since).await);
    }
    owner.gate.add_permits(10);
    let mut complete = Vec::new();
    for answer in answers {
        complete.push(answer.await.unwrap().unwrap().complete);
    }
    assert_eq!(complete, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_does_not_reach_far_enough_is_dropped() {
    let (news, owner) = (news(), Owner::new(true));
    owner.change(1, true);
    ask(&news, &owner, 1).await.await.unwrap().unwrap();
    owner.change(2, true);
    *owner.compacted.lock() = 3;
    let delta = ask(&news, &owner, 1).await.await.unwrap().unwrap();
    assert!(!delta.complete);
    assert_eq!(*owner.asked.lock(), [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_may_go_and_the_others_are_served() {
    let (news, owner) = (news(), Owner::new(false));
    owner.change(1, true);
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(ask(&news, &owner, 1).await);
    }
    for gone in [answers.remove(0), answers.remove(1)] {
        gone.abort();
        assert!(gone.await.is_err());
    }
    owner.gate.add_permits(10);
    for answer in answers {
        assert_eq!(uids(&answer.await.unwrap().unwrap()), [1]);
    }
    assert_eq!(*owner.asked.lock(), [1, 1]);
    // One that nobody waits for any more leaves nothing behind.
    owner.gate.forget_permits(100);
    let alone = ask(&news, &owner, 5).await;
    alone.abort();
    assert!(alone.await.is_err() && news.waiting.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_who_wait_and_the_next_is_asked_anew() {
    let (news, owner) = (news(), Owner::new(false));
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(ask(&news, &owner, 1).await);
    }
    *owner.fails.lock() = Some(Error::unavailable("dead"));
    owner.gate.add_permits(1);
    assert!(answers.remove(0).await.unwrap().is_err());
    *owner.fails.lock() = Some(Error::unavailable("still dead"));
    owner.gate.add_permits(1);
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap_err().kind, Kind::Unavailable);
    }
    assert_eq!(*owner.asked.lock(), [1, 1]);
    owner.gate.add_permits(1);
    assert!(ask(&news, &owner, 1).await.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_they_may() {
    let (news, owner) = (news(), Owner::new(false));
    let _hangs = ask(&news, &owner, 1).await;
    let until = Deadline::after(WAIT);
    let late = ask(&news, &owner, 1).await.await.unwrap().unwrap_err();
    assert!(late.kind == Kind::Unavailable && until.has_passed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Sessions that ask at any time, each from where it is, know what the owner knows: never less
    /// than when they asked, and all of it in the end.
    #[test]
    fn whoever_asks_knows(steps in prop::collection::vec((0u8..8, 0usize..4, 1u32..12), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (news, owner) = (news(), Owner::new(false));
            let mut sessions: Vec<(u64, BTreeSet<u32>)> = vec![(1, BTreeSet::new()); 4];
            let mut pending: Vec<Option<(u64, Answer)>> = (0..4).map(|_| None).collect();
            let mut next = 0;
            let last = |session| [(7, session, 0), (1, session, 0), (7, session, 0)];
            let end = (0..4).flat_map(last);
            for (step, session, uid) in steps.into_iter().chain(end) {
                match step {
                    0 => {
                        next += 1;
                        owner.change(next, true);
                    }
                    1..4 if pending[session].is_none() => {
                        let asked = (*owner.newest.lock(), ask(&news, &owner, sessions[session].0));
                        pending[session] = Some((asked.0, asked.1.await));
                    }
                    4 if uid <= next => drop(owner.change(uid, false)),
                    5 if uid <= next && owner.messages.lock()[&uid].1 => {
                        owner.change(uid, true);
                    }
                    6 => owner.gate.add_permits(1),
                    7 => if let Some((then, answer)) = pending[session].take() {
                        owner.gate.add_permits(100);
                        let delta = answer.await.unwrap().unwrap();
                        owner.gate.forget_permits(1_000);
                        assert!(delta.info.highest_change.0 >= then);
                        let (since, known) = &mut sessions[session];
                        known.extend(uids(&delta));
                        for uid in &delta.vanished {
                            known.remove(&uid.0);
                        }
                        *since = (*since).max(delta.info.highest_change.0);
                    },
                    _ => {}
                }
            }
            let here: BTreeSet<u32> =
                owner.messages.lock().iter().filter(|one| one.1.1).map(|one| *one.0).collect();
            for (_, known) in sessions {
                assert_eq!(known, here);
            }
        });
    }
}
