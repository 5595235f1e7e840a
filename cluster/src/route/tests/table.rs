//! Single calls: where they go, what is final, what is sent again, what waits and how long.

use super::world::target;
use crate::fences::Fences;
use crate::fences::tests::model::{Model, NOBODY, slot};
use crate::link::{CallError, Executed, Incoming, LinkHandler, Outbound};
use crate::raft::Applied;
use crate::route::carrier::Carrier;
use crate::route::{ClusterRouter, Dispatch, PATIENCE};
use async_trait::async_trait;
use base::env::Env;
use base::router::{Host, LocalRouter, Parcel, Router, ServiceId, Target};
use base::{BootId, Deadline, Epoch, Error, Kind, NodeId, Result};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use store_memory::MemoryStore;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const THIRD: NodeId = NodeId(3);

/// What the other end, or this node's host, does with the next request.
#[derive(Clone, Debug)]
enum Do {
    Reply(u32),
    Fail(Executed, Kind),
    Hang,
    /// Works or not; after so many seconds its link turns out to be dead.
    Die(u64),
}

type Script = Arc<Mutex<VecDeque<Do>>>;

fn next(script: &Script) -> Do {
    script.lock().pop_front().unwrap_or(Do::Reply(7))
}

#[derive(Default)]
struct Fake {
    script: Script,
    sent: Mutex<Vec<(NodeId, Epoch, u8, Bytes)>>,
    hints: Mutex<Vec<NodeId>>,
}

#[async_trait]
impl Carrier for Fake {
    async fn call(
        &self,
        node: NodeId,
        outbound: Outbound,
        deadline: Deadline,
    ) -> Result<Bytes, CallError> {
        let Outbound { epoch, hops, payload, .. } = outbound;
        self.sent.lock().push((node, epoch, hops, payload));
        match next(&self.script) {
            Do::Reply(n) => Ok(base::wire::encode(&n).unwrap()),
            Do::Fail(executed, kind) => Err(CallError { error: Error::new(kind, "no"), executed }),
            Do::Hang => {
                tokio::time::sleep_until(deadline.instant()).await;
                let error = Error::new(Kind::Timeout, "no answer");
                Err(CallError { error, executed: Executed::Unknown })
            }
            Do::Die(after_s) => {
                sleep(Duration::from_secs(after_s)).await;
                let error = Error::unavailable("it is silent");
                Err(CallError { error, executed: Executed::Unknown })
            }
        }
    }

    fn hint(&self, node: NodeId, _: Outbound) {
        self.hints.lock().push(node);
    }
}

#[derive(Default)]
struct FakeHost {
    script: Script,
    seen: Mutex<Vec<u32>>,
}

#[async_trait]
impl Host for FakeHost {
    async fn handle(&self, _: Target, request: Parcel, _: Deadline) -> Result<Parcel> {
        self.seen.lock().push(request.open()?);
        match next(&self.script) {
            Do::Reply(n) => Ok(Parcel::typed(n)),
            Do::Fail(_, kind) => Err(Error::new(kind, "no")),
            Do::Hang => std::future::pending().await,
            Do::Die(after_s) => {
                sleep(Duration::from_secs(after_s)).await;
                Err(Error::unavailable("the actor ended before it replied"))
            }
        }
    }
}

struct Node {
    model: Model,
    raft: watch::Sender<Applied>,
    fences: Arc<Fences>,
    carrier: Arc<Fake>,
    host: Arc<FakeHost>,
    router: Arc<ClusterRouter>,
    dispatch: Arc<Dispatch>,
    store: MemoryStore,
}

/// Slot 1 is this node's and taken, slot 2 another's, slot 3 nobody's.
async fn node() -> Node {
    let mut model = Model::new(3);
    model.give(slot(1), ME);
    model.give(slot(2), OTHER);
    model.give(slot(3), NOBODY);
    let state = model.applied();
    let store = MemoryStore::default();
    let fences = Fences::new(Arc::new(store.clone()), ME, BootId(1001));
    fences.follow(&state.state).await;
    let (raft, applied) = watch::channel(state);
    let (here, host, carrier) =
        (Arc::new(LocalRouter::new(false)), Arc::new(FakeHost::default()), Arc::default());
    here.register(ServiceId::MAILBOX, host.clone());
    here.register(ServiceId::WAKEUPS, host.clone());
    let way: Arc<Fake> = carrier;
    let (a, f) = (applied, fences.clone());
    let router = ClusterRouter::new(ME, a, f, here, way.clone(), Env::simulated(1));
    let dispatch = Arc::new(Dispatch::new(router.clone()));
    Node { model, raft, fences, carrier: way, host, router, dispatch, store }
}

impl Node {
    fn ask(&self, number: u16, time_s: u64) -> impl Future<Output = Result<u32>> + use<> {
        let router: Arc<dyn Router> = self.router.clone();
        async move {
            let by = Deadline::after(Duration::from_secs(time_s));
            router.ask::<u32, u32>(target(number, 9), 5, by).await
        }
    }

    fn give(&mut self, number: u16, to: NodeId) {
        self.model.give(slot(number), to);
        self.raft.send_replace(self.model.applied());
    }

    fn arrive(
        &self,
        number: u16,
        epoch: u64,
        hops: u8,
    ) -> impl Future<Output = Result<u32>> + use<> {
        let dispatch = self.dispatch.clone();
        let incoming = Incoming {
            from: THIRD,
            from_boot: BootId(1003),
            target: target(number, 9),
            epoch: Epoch(epoch),
            hops,
            payload: Parcel::bytes(base::wire::encode(&5u32).unwrap()),
            deadline: Deadline::after(Duration::from_secs(60)),
        };
        async move { dispatch.handle(incoming).await?.open() }
    }
}

/// Gives what came of a call that found this, and how often it was sent.
async fn check(number: u16, script: &[Do], expect: Result<u32, Kind>, times: usize) {
    let node = node().await;
    let script: VecDeque<Do> = script.iter().cloned().collect();
    *node.carrier.script.lock() = script.clone();
    *node.host.script.lock() = script.clone();
    let answer = node.ask(number, 30).await.map_err(|error| error.kind);
    assert_eq!(answer, expect, "{number}: {script:?}");
    let sent = node.carrier.sent.lock();
    assert_eq!(sent.len() + node.host.seen.lock().len(), times, "{number}: {script:?}");
    assert!(node.host.seen.lock().iter().all(|request| *request == 5));
    let whole = base::wire::encode(&5u32).unwrap();
    assert!(
        sent.iter().all(|sent| (sent.0, sent.1, sent.2, &sent.3) == (OTHER, Epoch(1), 0, &whole))
    );
    assert_eq!(node.router.waiting.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_final_and_what_is_sent_again() {
    use Executed::{Answered, No, Unknown};
    use Kind::{Fenced, Limit, NotFound, Overloaded, Timeout, Unavailable};
    let ok = || Do::Reply(3);
    check(1, &[ok()], Ok(3), 1).await;
    check(1, &[Do::Fail(Answered, NotFound)], Err(NotFound), 1).await;
    check(1, &[Do::Fail(Answered, Unavailable)], Err(Unavailable), 1).await;
    // The value is used up; its copy is sent again.
    check(1, &[Do::Fail(Answered, Fenced), Do::Fail(Answered, Fenced), ok()], Ok(3), 3).await;
    check(1, &[Do::Hang], Err(Timeout), 1).await;
    check(2, &[ok()], Ok(3), 1).await;
    for kind in [NotFound, Unavailable, Overloaded, Timeout] {
        check(2, &[Do::Fail(Answered, kind)], Err(kind), 1).await;
    }
    check(2, &[Do::Fail(Answered, Fenced), ok()], Ok(3), 2).await;
    check(2, &[Do::Fail(No, Unavailable), ok()], Ok(3), 2).await;
    check(2, &[Do::Fail(Unknown, Unavailable), Do::Fail(Unknown, Timeout), ok()], Ok(3), 3).await;
    check(2, &[Do::Fail(No, Limit)], Err(Limit), 1).await;
    let crowded = || Do::Fail(No, Overloaded);
    check(2, &[crowded(), crowded(), crowded(), ok()], Ok(3), 4).await;
}

#[tokio::test(start_paused = true)]
async fn trouble_ends_after_eight_seconds_and_in_the_deadline() {
    let mut node = node().await;
    let timed = async |node: &Node, number: u16, time_s: u64| {
        let began = Instant::now();
        let kind = node.ask(number, time_s).await.unwrap_err().kind;
        (kind, began.elapsed().as_secs())
    };
    assert_eq!(timed(&node, 3, 60).await, (Kind::Unavailable, PATIENCE.as_secs()));
    assert_eq!(timed(&node, 3, 4).await, (Kind::Unavailable, 4));
    // Given to this node, but not taken in the store; then sealed.
    node.give(3, ME);
    assert_eq!(timed(&node, 3, 60).await, (Kind::Unavailable, 8));
    node.fences.seal(slot(1), Epoch(1));
    assert_eq!(timed(&node, 1, 60).await, (Kind::Unavailable, 8));
    let always = |executed, kind| std::iter::repeat_n(Do::Fail(executed, kind), 1000).collect();
    *node.carrier.script.lock() = always(Executed::No, Kind::Unavailable);
    assert_eq!(timed(&node, 2, 60).await, (Kind::Unavailable, 8));
    let sent = node.carrier.sent.lock().len();
    assert!((50..200).contains(&sent), "sent {sent} times");
    // Too many wait for the link all the time: nothing was done, and it may be tried again.
    *node.carrier.script.lock() = always(Executed::No, Kind::Overloaded);
    assert_eq!(timed(&node, 2, 60).await, (Kind::Unavailable, 8));
    *node.carrier.script.lock() = always(Executed::Unknown, Kind::Unavailable);
    assert_eq!(timed(&node, 2, 3).await, (Kind::Timeout, 3));
    node.carrier.script.lock().clear();
    node.carrier.script.lock().push_back(Do::Hang);
    assert_eq!(timed(&node, 2, 40).await, (Kind::Timeout, 40));
    assert_eq!(node.router.waiting.count(), 0);
}

/// What waits in the inbox of an actor is dropped when its slot is to leave.
#[tokio::test(start_paused = true)]
async fn what_an_actor_drops_as_its_slot_leaves_goes_to_the_next_owner() {
    let mut node = node().await;
    node.host.script.lock().extend([Do::Die(2), Do::Die(2), Do::Die(2)]);
    let (own, arrived) = (tokio::spawn(node.ask(1, 60)), tokio::spawn(node.arrive(1, 1, 0)));
    sleep(Duration::from_secs(1)).await;
    node.fences.seal(slot(1), Epoch(1));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(arrived.await.unwrap().unwrap_err().kind, Kind::Fenced, "its asker looks anew");
    node.give(1, OTHER);
    assert_eq!(own.await.unwrap(), Ok(7));
    // Where the slot stays, it is the actor's failure, for whoever asked.
    let node = self::node().await;
    node.host.script.lock().push_back(Do::Die(1));
    assert_eq!(node.ask(1, 60).await.unwrap_err().kind, Kind::Unavailable);
}

/// A link needs three seconds to find its other end dead. They count as trouble, also in a call
/// that has a long deadline and was being worked on before: its client is told within ten seconds.
#[tokio::test(start_paused = true)]
async fn the_silence_before_a_dead_link_is_trouble_already() {
    for worked_s in [0, 30] {
        let node = node().await;
        let dead = std::iter::repeat_n(Do::Fail(Executed::No, Kind::Unavailable), 1000);
        *node.carrier.script.lock() = [Do::Die(worked_s + 3)].into_iter().chain(dead).collect();
        let began = Instant::now();
        assert_eq!(node.ask(2, 300).await.unwrap_err().kind, Kind::Unavailable);
        assert_eq!(began.elapsed().as_secs(), worked_s + PATIENCE.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_as_soon_as_its_slot_is_served() {
    let mut node = node().await;
    let (nobody, sealed) = (tokio::spawn(node.ask(3, 60)), {
        node.fences.seal(slot(1), Epoch(1));
        tokio::spawn(node.ask(1, 60))
    });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(node.router.waiting.count(), 2);
    node.give(3, OTHER);
    assert_eq!(nobody.await.unwrap(), Ok(7));
    assert_eq!(node.carrier.sent.lock()[0].0, OTHER);
    node.give(1, OTHER);
    assert_eq!(sealed.await.unwrap(), Ok(7));
    // An owner that does not answer is given up when the slot is somebody else's.
    node.carrier.script.lock().push_back(Do::Hang);
    let began = Instant::now();
    let hangs = tokio::spawn(node.ask(2, 60));
    sleep(Duration::from_millis(700)).await;
    node.give(2, THIRD);
    assert_eq!(hangs.await.unwrap(), Ok(7));
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(
        node.carrier.sent.lock().last().map(|sent| (sent.0, sent.1)),
        Some((THIRD, Epoch(2)))
    );
    // So is a host of this node.
    node.give(3, ME);
    node.fences.follow(&node.raft.borrow().state.clone()).await;
    node.host.script.lock().push_back(Do::Hang);
    let hangs = tokio::spawn(node.ask(3, 60));
    sleep(Duration::from_millis(700)).await;
    node.give(3, OTHER);
    assert_eq!(hangs.await.unwrap(), Ok(7));
    assert_eq!(node.host.seen.lock().len(), 1);
}

/// A host says that the slot is lost before Raft does: the store is asked, and no request goes to
/// the host again.
#[tokio::test(start_paused = true)]
async fn a_local_owner_that_was_overtaken_is_not_asked_again() {
    let mut node = node().await;
    node.model.give(slot(1), OTHER);
    let newer = node.model.applied();
    let other = Fences::new(Arc::new(node.store.clone()), OTHER, BootId(1002));
    other.follow(&newer.state).await;
    node.host.script.lock().push_back(Do::Fail(Executed::Answered, Kind::Fenced));
    let call = tokio::spawn(node.ask(1, 60));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(node.host.seen.lock().len(), 1);
    node.raft.send_replace(newer);
    assert_eq!(call.await.unwrap(), Ok(7));
    assert_eq!(node.carrier.sent.lock()[0].0, OTHER);
}

/// A mailbox that two thousand sessions of a node have open moves, and all of them ask: they wait,
/// and nobody is told that there are too many.
#[tokio::test(start_paused = true)]
async fn a_crowd_at_one_mailbox_waits_for_its_move() {
    let mut node = node().await;
    node.fences.seal(slot(1), Epoch(1));
    let calls: Vec<_> = (0..2000).map(|_| tokio::spawn(node.ask(1, 60))).collect();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(node.router.waiting.count(), 2000);
    node.give(1, OTHER);
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(7));
    }
    assert_eq!((node.carrier.sent.lock().len(), node.router.waiting.count()), (2000, 0));
}

#[tokio::test(start_paused = true)]
async fn too_many_who_wait_are_turned_away() {
    let node = node().await;
    let calls: Vec<_> = (0..5010).map(|_| tokio::spawn(node.ask(3, 60))).collect();
    let mut turned_away = 0;
    for call in calls {
        turned_away += usize::from(call.await.unwrap().unwrap_err().kind == Kind::Overloaded);
    }
    assert_eq!((turned_away, node.router.waiting.count()), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn what_arrives_is_served_awaited_passed_on_or_refused() {
    let mut node = node().await;
    let kind = |result: Result<u32>| result.map_err(|error| error.kind);
    let soon = async |call| tokio::time::timeout(Duration::from_millis(1), call).await.unwrap();
    assert_eq!(kind(soon(node.arrive(1, 1, 0)).await), Ok(7));
    assert_eq!(kind(soon(node.arrive(2, 1, 0)).await), Err(Kind::Fenced));
    assert_eq!(kind(soon(node.arrive(3, 1, 0)).await), Err(Kind::Fenced));
    // Its asker knows an older owner: passed on, so often.
    assert_eq!(kind(soon(node.arrive(2, 0, 1)).await), Ok(7));
    assert_eq!(node.carrier.sent.lock().pop().map(|sent| (sent.0, sent.2)), Some((OTHER, 2)));
    assert_eq!(kind(soon(node.arrive(2, 0, 2)).await), Err(Kind::Fenced));
    for (executed, kind_there, expect) in [
        (Executed::No, Kind::Unavailable, Kind::Fenced),
        (Executed::No, Kind::Limit, Kind::Limit),
        (Executed::Unknown, Kind::Unavailable, Kind::Timeout),
        (Executed::Answered, Kind::NotFound, Kind::NotFound),
    ] {
        node.carrier.script.lock().push_back(Do::Fail(executed, kind_there));
        assert_eq!(kind(soon(node.arrive(2, 0, 0)).await), Err(expect));
    }
    // Its asker knows more than this node.
    let early = tokio::spawn(node.arrive(2, 2, 0));
    sleep(Duration::from_secs(1)).await;
    node.give(2, ME);
    sleep(Duration::from_secs(1)).await;
    assert!(!early.is_finished(), "served before the fence is in the store");
    node.fences.follow(&node.raft.borrow().state.clone()).await;
    assert_eq!(kind(early.await.unwrap()), Ok(7));
    let began = Instant::now();
    assert_eq!(kind(node.arrive(1, 5, 0).await), Err(Kind::Fenced));
    assert_eq!(began.elapsed().as_secs(), 5);
    node.fences.seal(slot(1), Epoch(1));
    assert_eq!(kind(node.arrive(1, 1, 0).await), Err(Kind::Unavailable));
    assert_eq!(node.router.waiting.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn nodes_are_asked_by_name_and_hints_find_owners() {
    let node = node().await;
    let wakeups = Target { service: ServiceId::WAKEUPS, key: 0, slot: slot(2) };
    let by = Deadline::after(Duration::from_secs(9));
    let ask = async |to| {
        let reply = node.router.call_node(to, wakeups, Parcel::typed(5u32), by).await;
        reply.and_then(Parcel::open::<u32>).map_err(|error| error.kind)
    };
    assert_eq!(ask(ME).await, Ok(7));
    assert_eq!(node.carrier.sent.lock().len(), 0);
    assert_eq!(ask(THIRD).await, Ok(7));
    node.carrier.script.lock().push_back(Do::Fail(Executed::No, Kind::Unavailable));
    assert_eq!(ask(THIRD).await, Err(Kind::Unavailable));
    assert_eq!(node.carrier.sent.lock().len(), 2, "a node that cannot be asked is not asked again");
    let router: Arc<dyn Router> = node.router.clone();
    for number in [1, 2, 3] {
        router.hint(target(number, 9), Parcel::typed(5u32));
    }
    router.hint(wakeups, Parcel::typed(5u32));
    router.hint_node(ME, wakeups, Parcel::typed(5u32));
    router.hint_node(THIRD, wakeups, Parcel::typed(5u32));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(*node.carrier.hints.lock(), [OTHER, THIRD]);
    assert_eq!(node.host.seen.lock().len(), 4);
}

/// What the spare copy of a request costs, beside the call that it is for. Run with
/// `--nocapture` to see; only an absurd price fails.
#[tokio::test]
async fn what_a_spare_copy_costs() {
    type Command = (u64, [u64; 4], Option<(String, Vec<u32>, Vec<String>)>);
    let text = "folders/Inbox".to_owned();
    let flags = vec!["\\Seen".to_owned(), "$Junk".to_owned()];
    let command: Command = (7, [1 << 40, 2, 3, 4], Some((text, (1..20).collect(), flags)));
    let parcel = Parcel::typed(command);
    const TIMES: u32 = 20_000;
    let began = std::time::Instant::now();
    for _ in 0..TIMES {
        std::hint::black_box(parcel.to_bytes().unwrap());
    }
    let each = began.elapsed() / TIMES;
    let node = node().await;
    let began = std::time::Instant::now();
    for _ in 0..TIMES {
        node.ask(1, 30).await.unwrap();
    }
    let call = began.elapsed() / TIMES;
    eprintln!("a spare copy: {each:?}; a whole call to an empty host: {call:?}");
    assert!(each < Duration::from_millis(1));
}
