#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use super::*;
use crate::actor::{Context, Next};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// What the actors of one test have in common: the "store" they load from and write to.
#[derive(Default)]
struct World {
    /// What each counter has written when it stopped.
    stored: Mutex<HashMap<u64, u64>>,
    /// Which counters are alive, to find two of one key.
    alive: Mutex<HashMap<u64, usize>>,
    starts: AtomicUsize,
    overlaps: AtomicUsize,
    /// Whether the slot of [`COMING`] is here.
    here: AtomicBool,
}

/// Counts in memory and stores the count only when it stops, so a lost message or a second actor
/// of the same key shows in the sum.
struct Counter {
    key: u64,
    count: u64,
    world: Arc<World>,
}

enum Message {
    Add(u64, Reply<u64>),
    Sleep(Duration),
    Panic(Reply<()>),
    Fail(Reply<()>),
}

/// The key that cannot start.
const BROKEN: u64 = 666;

/// The key whose slot is on its way here.
const COMING: u64 = 667;

impl Actor for Counter {
    type Message = Message;
    type Args = (u64, Arc<World>);
    const NAME: &'static str = "counter";

    async fn start((key, world): Self::Args, _: &Context<Message>) -> Result<Self> {
        world.starts.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        if key == BROKEN {
            return Err(Error::not_found("the counter"));
        }
        if key == COMING && !world.here.load(SeqCst) {
            return Err(Error::new(Kind::Fenced, "served elsewhere"));
        }
        let lives = {
            let mut alive = world.alive.lock();
            let lives = alive.entry(key).or_default();
            *lives += 1;
            *lives
        };
        world.overlaps.fetch_add(usize::from(lives > 1), SeqCst);
        let count = world.stored.lock().get(&key).copied().unwrap_or(0);
        Ok(Self { key, count, world })
    }

    async fn handle(&mut self, message: Message) -> Result<Next> {
        match message {
            Message::Add(n, reply) => {
                self.count += n;
                reply.send(Ok(self.count));
            }
            Message::Sleep(how_long) => tokio::time::sleep(how_long).await,
            Message::Panic(_reply) => panic!("asked to"),
            Message::Fail(_reply) => return Err(Error::internal("asked to")),
        }
        Ok(Next::Continue)
    }

    async fn stop(self) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.world.stored.lock().insert(self.key, self.count);
        Ok(())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        *self.world.alive.lock().get_mut(&self.key).unwrap() -= 1;
    }
}

fn counters(options: PopulationOptions) -> (Population<u64, Counter>, Arc<World>) {
    let world = Arc::new(World::default());
    let args = world.clone();
    (Population::new(options, move |key| (*key, args.clone()), |key| slot(*key)), world)
}

/// The slot of a counter.
fn slot(key: u64) -> Slot {
    Slot::new((key % 1_000) as u16).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

async fn add(counters: &Population<u64, Counter>, key: u64) -> Result<u64> {
    counters.call(&key, |reply| Message::Add(1, reply), soon()).await
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_callers_causes_one_start() {
    let (counters, world) = counters(PopulationOptions::default());
    let calls = (0..50).map(|_| add(&counters, 7));
    let counts = futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(counts.iter().max(), Some(&50));
    assert_eq!((world.starts.load(SeqCst), counters.count()), (1, 1));
}

/// Who leaves finishes what it has begun, and drops what waits: whoever asked for that is told at
/// once, and the end does not come later for it.
#[tokio::test(start_paused = true)]
async fn what_waits_does_not_hold_up_an_actor_that_leaves() {
    for leaves in [false, true] {
        let (counters, world) = counters(PopulationOptions::default());
        add(&counters, 7).await.unwrap();
        add(&counters, 8).await.unwrap();
        for _ in 0..10 {
            let busy = Message::Sleep(Duration::from_millis(100));
            counters.cast(&7, busy, soon()).await.unwrap();
        }
        let waiting = tokio::spawn({
            let counters = counters.clone();
            async move { add(&counters, 7).await }
        });
        // The first is being handled.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let begun = Instant::now();
        match leaves {
            true => counters.leave_slot(slot(7), soon()).await.unwrap(),
            false => counters.finish_slot(slot(7), soon()).await.unwrap(),
        }
        let took = begun.elapsed().as_millis();
        let answer = waiting.await.unwrap().map_err(|error| error.kind);
        match leaves {
            true => assert_eq!((answer, took <= 70), (Err(Kind::Fenced), true), "{took}"),
            false => assert_eq!((answer, took >= 900), (Ok(2), true), "{took}"),
        }
        // In peace, and the other one has not noticed anything.
        assert_eq!(world.stored.lock().get(&7), Some(&if leaves { 1 } else { 2 }));
        assert_eq!(
            (counters.active_in(slot(7), 9), counters.active_in(slot(8), 9)),
            (vec![], vec![8])
        );
        assert_eq!(add(&counters, 7).await.unwrap_err().kind, Kind::Fenced);
        counters.welcome_slots(&[slot(7)]);
        assert_eq!(add(&counters, 7).await, Ok(if leaves { 2 } else { 3 }));
        assert_eq!(world.overlaps.load(SeqCst), 0);
    }
}

/// Those for whom there is no room in the inbox of an actor that leaves would start it again, while
/// its slot is nobody's: they are told to ask the next owner, at once.
#[tokio::test(start_paused = true)]
async fn an_actor_that_was_made_to_leave_is_not_started_again() {
    let options = PopulationOptions { inbox_capacity: 4, ..Default::default() };
    let (counters, world) = counters(options);
    counters.cast(&7, Message::Sleep(Duration::from_millis(300)), soon()).await.unwrap();
    let crowd: Vec<_> = (0..50)
        .map(|_| {
            let counters = counters.clone();
            tokio::spawn(async move { add(&counters, 7).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    counters.leave_slot(slot(7), soon()).await.unwrap();
    for one in crowd {
        assert_eq!(one.await.unwrap().unwrap_err().kind, Kind::Fenced);
    }
    assert!(begun.elapsed() < Duration::from_millis(110), "{:?}", begun.elapsed());
    assert_eq!((world.starts.load(SeqCst), counters.count()), (1, 0));
    // Others' slots are not concerned.
    assert_eq!(add(&counters, 8).await, Ok(1));
    // It is another's: from now on the fence says so.
    counters.stop_slots(&[slot(7)], soon()).await.unwrap();
    assert_eq!(add(&counters, 7).await, Ok(1));
    // A slot of which nobody says what has become of it is not lost.
    counters.leave_slot(slot(7), soon()).await.unwrap();
    assert_eq!(add(&counters, 7).await.unwrap_err().kind, Kind::Fenced);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(add(&counters, 7).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn what_was_used_last_is_named_first() {
    let (counters, _world) = counters(PopulationOptions::default());
    for key in [1_007, 7, 2_007, 8, 3_007] {
        add(&counters, key).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    add(&counters, 7).await.unwrap();
    assert_eq!(counters.active_in(slot(7), 9), [7, 3_007, 2_007, 1_007]);
    assert_eq!(counters.active_in(slot(7), 2), [7, 3_007]);
    assert!(counters.active_in(slot(9), 9).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_told_to_everybody_who_waits() {
    let (counters, world) = counters(PopulationOptions::default());
    let calls = (0..20).map(|_| add(&counters, BROKEN));
    for result in futures::future::join_all(calls).await {
        assert_eq!(result.unwrap_err().kind, Kind::NotFound);
    }
    assert_eq!((world.starts.load(SeqCst), counters.count()), (1, 0));
    assert_eq!(add(&counters, BROKEN).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(world.starts.load(SeqCst), 2);
}

/// Asks again and again, as a router does while a slot is on its way; gives the time it took.
async fn insist(counters: &Population<u64, Counter>, pause_ms: u64) -> Duration {
    let begun = tokio::time::Instant::now();
    loop {
        match add(counters, COMING).await {
            Ok(_) => return begun.elapsed(),
            Err(error) => assert_eq!(error.kind, Kind::Fenced),
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_on_its_way_is_tried_now_and_then() {
    let (counters, world) = counters(PopulationOptions::default());
    let crowd = futures::future::join_all((0..170).map(|n| insist(&counters, 1 + n % 7)));
    let arrival = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // 0, 50, 150, 350, 750 ms, and what the starts took.
        assert_eq!(world.starts.load(SeqCst), 5);
        world.here.store(true, SeqCst);
        counters.welcome_slots(&[slot(COMING)]);
    };
    let (took, ()) = futures::join!(crowd, arrival);
    assert!(took.iter().all(|took| *took < Duration::from_millis(1_020)), "{took:?}");
    assert_eq!((world.starts.load(SeqCst), world.stored.lock().len()), (6, 0));
    assert_eq!(add(&counters, COMING).await, Ok(171));
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_comes_untold_is_noticed() {
    let (counters, world) = counters(PopulationOptions::default());
    let crowd = futures::future::join_all((0..170).map(|n| insist(&counters, 1 + n % 7)));
    let arrival = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.here.store(true, SeqCst);
    };
    let (took, ()) = futures::join!(crowd, arrival);
    assert!(took.iter().all(|took| *took < Duration::from_millis(5_420)), "{took:?}");
    assert!(world.starts.load(SeqCst) < 20, "{:?}", world.starts);
}

#[tokio::test(start_paused = true)]
async fn resting_keys_keep_nobody_from_stopping_or_from_others() {
    let (counters, world) = counters(PopulationOptions::default());
    for _ in 0..4 {
        assert_eq!(add(&counters, COMING).await.unwrap_err().kind, Kind::Fenced);
    }
    let begun = tokio::time::Instant::now();
    let waits = counters.clone();
    let waiting = tokio::spawn(async move { add(&waits, COMING).await });
    assert_eq!(add(&counters, 1).await, Ok(1));
    counters.stop_all(soon()).await.unwrap();
    assert!(waiting.await.unwrap().is_err());
    assert!(begun.elapsed() < Duration::from_millis(50), "{:?}", begun.elapsed());
    assert_eq!((world.starts.load(SeqCst), counters.count()), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_actor_and_is_answered() {
    let (counters, world) = counters(PopulationOptions::default());
    assert_eq!(add(&counters, 1).await, Ok(1));
    assert_eq!(add(&counters, 2).await, Ok(1));
    let fail = async |message: fn(Reply<()>) -> Message| {
        counters.call(&1, message, soon()).await.unwrap_err().kind
    };
    assert_eq!(fail(Message::Panic).await, Kind::Unavailable);
    assert!(!counters.contains(&1));
    assert_eq!(add(&counters, 1).await, Ok(1), "a fresh one, from what is stored");
    assert_eq!(fail(Message::Fail).await, Kind::Unavailable);
    assert_eq!(add(&counters, 1).await, Ok(1));
    assert_eq!(add(&counters, 2).await, Ok(2), "the other one has not noticed");
    assert_eq!(world.overlaps.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn messages_behind_a_panic_are_answered_too() {
    let (counters, _world) = counters(PopulationOptions::default());
    let panic = counters.call(&1, Message::Panic, soon());
    let behind = (0..10).map(|_| add(&counters, 1));
    let started = tokio::time::Instant::now();
    let (first, rest) = futures::join!(panic, futures::future::join_all(behind));
    assert_eq!(first.unwrap_err().kind, Kind::Unavailable);
    for result in rest {
        // Dropped with the inbox, or sent to the next actor.
        assert!(result.is_ok() || result.is_err_and(|e| e.kind == Kind::Unavailable));
    }
    assert!(started.elapsed() < Duration::from_secs(1), "nobody waited for the deadline");
}

#[tokio::test(start_paused = true)]
async fn idle_actors_leave_and_come_back() {
    let (counters, world) = counters(PopulationOptions::default());
    for key in 0..100 {
        assert_eq!(add(&counters, key).await, Ok(1));
    }
    assert_eq!(counters.count(), 100);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(add(&counters, 3).await, Ok(2));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(counters.count(), 1, "all but the one that was used");
    assert_eq!(add(&counters, 5).await, Ok(2), "stored when it left");
    assert_eq!(world.overlaps.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_busy_actor_is_not_idle() {
    let (counters, world) = counters(PopulationOptions::default());
    let busy = Message::Sleep(Duration::from_secs(500));
    counters.cast(&1, busy, soon()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!((counters.count(), world.starts.load(SeqCst)), (1, 1));
    tokio::time::sleep(Duration::from_secs(150)).await;
    assert_eq!(counters.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn messages_during_passivation_reach_the_next_actor() {
    let (counters, world) = counters(PopulationOptions::default());
    add(&counters, 1).await.unwrap();
    // Slow to leave: it is still handling this when it is asked to stop.
    counters.cast(&1, Message::Sleep(Duration::from_secs(1)), soon()).await.unwrap();
    let slots = [slot(1)];
    let leaving = counters.stop_slots(&slots, soon());
    let arriving = futures::future::join_all((0..10).map(|_| add(&counters, 1)));
    let (left, counts) = futures::join!(leaving, arriving);
    left.unwrap();
    assert_eq!(counts.into_iter().map(Result::unwrap).max(), Some(11));
    assert_eq!((world.starts.load(SeqCst), world.overlaps.load(SeqCst)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_least_recently_used_make_room() {
    let options = PopulationOptions { actors_max: 10, ..Default::default() };
    let (counters, world) = counters(options);
    for key in 0..10 {
        add(&counters, key).await.unwrap();
    }
    add(&counters, 0).await.unwrap();
    add(&counters, 10).await.unwrap();
    assert_eq!(counters.count(), 10);
    assert!(counters.contains(&0) && !counters.contains(&1), "1 was used longest ago");
    // Far more keys than places at once: all are served, never more than ten at a time.
    let counts = futures::future::join_all((100..200).map(|key| add(&counters, key))).await;
    assert!(counts.into_iter().all(|count| count == Ok(1)));
    assert!(counters.count() <= 10);
    assert_eq!(world.overlaps.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn full_of_actors_that_cannot_leave_is_overload() {
    let options = PopulationOptions { actors_max: 1, ..Default::default() };
    let (counters, _world) = counters(options);
    counters.cast(&1, Message::Sleep(Duration::from_secs(60)), soon()).await.unwrap();
    assert_eq!(add(&counters, 2).await.unwrap_err().kind, Kind::Overloaded);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(add(&counters, 2).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_few_that_hang_do_not_keep_everybody_out() {
    let options = PopulationOptions { actors_max: 3, ..Default::default() };
    let (counters, _world) = counters(options);
    counters.cast(&1, Message::Sleep(Duration::from_secs(600)), soon()).await.unwrap();
    add(&counters, 2).await.unwrap();
    add(&counters, 3).await.unwrap();
    // 1 was used longest ago and is asked to make room, in vain; then the next one is.
    assert_eq!(add(&counters, 4).await, Ok(1));
    assert!(counters.contains(&1) && counters.count() == 3);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_goes_on_without_its_caller() {
    let (counters, world) = counters(PopulationOptions::default());
    let hurried = Deadline::after(Duration::from_millis(1));
    let late = counters.call(&1, |reply| Message::Add(1, reply), hurried).await.unwrap_err();
    assert_eq!(late.kind, Kind::Unavailable, "nothing was done, so it is no timeout");
    assert_eq!(add(&counters, 1).await, Ok(1));
    assert_eq!(world.starts.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_is_overload_and_the_rest_goes_on() {
    let options = PopulationOptions { inbox_capacity: 4, ..Default::default() };
    let (counters, _world) = counters(options);
    counters.cast(&1, Message::Sleep(Duration::from_secs(60)), soon()).await.unwrap();
    let calls = futures::future::join_all((0..5).map(|_| add(&counters, 1))).await;
    let kinds: Vec<_> = calls.into_iter().map(|r| r.unwrap_err().kind).collect();
    let count = |kind| kinds.iter().filter(|k| **k == kind).count();
    // Three waited in the inbox beside the one being handled; two found no room.
    assert_eq!((count(Kind::Timeout), count(Kind::Overloaded)), (3, 2));
    assert_eq!(add(&counters, 2).await, Ok(1));
    assert!(!counters.tell_active(&3, Message::Sleep(Duration::ZERO)));
    assert!(!counters.tell_active(&1, Message::Sleep(Duration::ZERO)), "still full");
    assert!(counters.tell_active(&2, Message::Sleep(Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn stopping_all_stores_all_and_closes() {
    let (counters, world) = counters(PopulationOptions::default());
    for key in 0..20 {
        add(&counters, key).await.unwrap();
    }
    counters.cast(&3, Message::Sleep(Duration::from_secs(5)), soon()).await.unwrap();
    let late = counters.stop_all(Deadline::after(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!(late.kind, Kind::Timeout);
    assert!(late.detail.starts_with("1 of"), "{late}");
    assert_eq!(add(&counters, 1).await.unwrap_err().kind, Kind::Unavailable);
    counters.stop_all(soon()).await.unwrap();
    assert_eq!((counters.count(), world.stored.lock().len()), (0, 20));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_population_stops_its_actors() {
    let (counters, world) = counters(PopulationOptions::default());
    add(&counters, 1).await.unwrap();
    drop(counters);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.stored.lock().get(&1), Some(&1));
    assert_eq!(world.alive.lock().get(&1), Some(&0));
}

/// Many callers, few keys, fewer places, actors leaving all the time: every message that was
/// answered counts exactly once.
fn race(callers: usize, keys: u64, actors_max: usize, idle_ms: u64, pauses_ms: Vec<u64>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
    runtime.block_on(async move {
        let idle = Duration::from_millis(idle_ms);
        let options = PopulationOptions { inbox_capacity: 4, idle, actors_max };
        let (counters, world) = counters(options);
        let tasks = (0..callers).map(|n| {
            let (counters, pauses_ms) = (counters.clone(), pauses_ms.clone());
            tokio::spawn(async move {
                for (step, pause) in pauses_ms.iter().enumerate() {
                    let key = (n + step) as u64 % keys;
                    let late = Deadline::after(Duration::from_secs(300));
                    counters.call(&key, |reply| Message::Add(1, reply), late).await.unwrap();
                    if step % 3 == 0 {
                        let _late = counters.stop_slots(&[slot(key)], soon()).await;
                    }
                    tokio::time::sleep(Duration::from_millis(*pause)).await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        counters.stop_all(Deadline::after(Duration::from_secs(300))).await.unwrap();
        let sum: u64 = world.stored.lock().values().sum();
        assert_eq!(sum, (callers * pauses_ms.len()) as u64);
        assert_eq!(world.overlaps.load(SeqCst), 0);
        assert_eq!(counters.count(), 0);
        let actors = counters.0.actors.lock();
        assert_eq!((actors.leaving, actors.waiting), (0, 0));
        assert_eq!((0..keys).map(|key| actors.slots.keys(slot(key)).count()).sum::<usize>(), 0);
        assert_eq!(counters.0.places.available_permits(), actors_max);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn nothing_is_lost_or_done_twice_in_a_race(
        callers in 1usize..12,
        keys in 1u64..6,
        actors_max in 1usize..6,
        idle_ms in 1u64..30,
        pauses_ms in prop::collection::vec(0u64..12, 1..8),
    ) {
        race(callers, keys, actors_max, idle_ms, pauses_ms);
    }
}
