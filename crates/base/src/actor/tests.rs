#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use super::*;
use crate::{Deadline, Error, Kind, Result};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

type Log = Arc<Mutex<Vec<&'static str>>>;

/// Does what it is told and writes down what happens to it.
struct Puppet {
    log: Log,
    context_inbox: Inbox<Order>,
}

enum Order {
    Echo(u32, Reply<u32>),
    Sleep(Duration),
    Panic,
    Fail,
    Stop,
    /// Sends itself an order and says whether that worked.
    SelfCast(Reply<bool>),
}

impl Actor for Puppet {
    type Message = Order;
    type Args = (Log, Option<Error>);
    const NAME: &'static str = "puppet";

    async fn start((log, refuse): Self::Args, context: &Context<Order>) -> Result<Self> {
        match refuse {
            Some(error) if error.kind == Kind::Internal => panic!("start"),
            Some(error) => Err(error),
            None => {
                log.lock().push("start");
                Ok(Self { log, context_inbox: context.inbox() })
            }
        }
    }

    async fn handle(&mut self, order: Order) -> Result<Next> {
        match order {
            Order::Echo(n, reply) => reply.send(Ok(n)),
            Order::Sleep(how_long) => tokio::time::sleep(how_long).await,
            Order::Panic => panic!("told to"),
            Order::Fail => return Err(Error::internal("told to")),
            Order::Stop => return Ok(Next::Stop),
            Order::SelfCast(reply) => {
                let sent = self.context_inbox.try_cast(Order::Sleep(Duration::ZERO));
                reply.send(Ok(sent.is_ok()));
            }
        }
        Ok(Next::Continue)
    }

    async fn stop(self) -> Result<()> {
        self.log.lock().push("stop");
        Ok(())
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.log.lock().push("drop");
    }
}

async fn puppet(capacity: usize) -> (Spawned<Order>, Log) {
    let log = Log::default();
    (spawn::<Puppet>((log.clone(), None), capacity).await.unwrap(), log)
}

fn after(seconds: u64) -> Deadline {
    Deadline::after(Duration::from_secs(seconds))
}

fn sleep(seconds: u64) -> Order {
    Order::Sleep(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn asking_telling_and_stopping() {
    let (Spawned { inbox, ended }, log) = puppet(4).await;
    assert_eq!(inbox.call(|reply| Order::Echo(3, reply), after(1)).await, Ok(3));
    assert_eq!(inbox.call(Order::SelfCast, after(1)).await, Ok(true));
    inbox.cast(Order::Stop, after(1)).await.unwrap();
    assert_eq!(ended.await, Ending::Stopped);
    assert_eq!(*log.lock(), ["start", "stop", "drop"]);
    inbox.stopped().await;
    let dead = inbox.call(|reply| Order::Echo(3, reply), after(1)).await;
    assert_eq!(dead.unwrap_err().kind, Kind::Unavailable);
    assert_eq!(inbox.try_cast(sleep(0)).unwrap_err().kind, Kind::Unavailable);
}

/// What the caller of a message that waits behind `order` gets, and how the actor ends.
async fn behind(order: Order) -> (Result<u32>, Ending, Vec<&'static str>) {
    let (Spawned { inbox, ended }, log) = puppet(4).await;
    inbox.try_cast(sleep(1)).unwrap();
    inbox.try_cast(order).unwrap();
    let answer = inbox.call(|reply| Order::Echo(1, reply), after(100)).await;
    inbox.drain();
    let ending = ended.await;
    let log = log.lock().clone();
    (answer, ending, log)
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_an_end_is_told() {
    let unavailable = |answer: Result<u32>| answer.unwrap_err().kind == Kind::Unavailable;

    let (answer, ending, log) = behind(Order::Panic).await;
    assert!(unavailable(answer));
    assert!(matches!(ending, Ending::Failed(e) if e.detail.contains("told to")));
    assert_eq!(log, ["start", "drop"], "what panicked is not asked to stop");

    let (answer, ending, _) = behind(Order::Fail).await;
    assert!(unavailable(answer));
    assert_eq!(ending, Ending::Failed(Error::internal("told to")));

    let (answer, ending, log) = behind(Order::Stop).await;
    assert!(unavailable(answer));
    assert_eq!((ending, log), (Ending::Stopped, vec!["start", "stop", "drop"]));

    let (answer, ending, _) = behind(sleep(1)).await;
    assert_eq!((answer, ending), (Ok(1), Ending::Stopped));
}

#[tokio::test(start_paused = true)]
async fn draining_handles_what_waits_and_takes_nothing_new() {
    let (Spawned { inbox, ended }, _) = puppet(4).await;
    inbox.try_cast(sleep(1)).unwrap();
    let waiting = tokio::spawn({
        let inbox = inbox.clone();
        async move { inbox.call(|reply| Order::Echo(9, reply), after(5)).await }
    });
    tokio::task::yield_now().await;
    inbox.drain();
    assert!(!inbox.is_open());
    assert_eq!(inbox.try_cast(sleep(1)).unwrap_err().kind, Kind::Unavailable);
    assert_eq!(waiting.await.unwrap(), Ok(9));
    assert_eq!(ended.await, Ending::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_start_may_fail_or_panic() {
    let start = async |error| {
        let result = spawn::<Puppet>((Log::default(), Some(error)), 1).await;
        result.map(|_| ()).unwrap_err().kind
    };
    assert_eq!(start(Error::not_found("it")).await, Kind::NotFound);
    assert_eq!(start(Error::internal("panic")).await, Kind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn the_inbox_is_bounded_and_senders_wait_in_order() {
    let (Spawned { inbox, .. }, _) = puppet(2).await;
    assert!(inbox.is_idle());
    inbox.try_cast(sleep(10)).unwrap();
    inbox.try_cast(sleep(10)).unwrap();
    assert!(!inbox.is_idle());
    assert_eq!(inbox.try_cast(sleep(0)).unwrap_err().kind, Kind::Overloaded);
    assert_eq!(inbox.cast(sleep(0), after(9)).await.unwrap_err().kind, Kind::Overloaded);
    // A permit comes back at 10 s and the message is handled at 20 s.
    let echo = |n| inbox.call(move |reply| Order::Echo(n, reply), after(30));
    let (first, second) = futures::join!(echo(1), echo(2));
    assert_eq!((first, second), (Ok(1), Ok(2)));
    assert!(inbox.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_late_is_a_timeout() {
    let (Spawned { inbox, .. }, _) = puppet(2).await;
    inbox.try_cast(sleep(10)).unwrap();
    let late = inbox.call(|reply| Order::Echo(1, reply), after(5)).await.unwrap_err();
    assert_eq!(late.kind, Kind::Timeout);
    let (reply, answer) = Reply::<()>::channel();
    assert!(!reply.is_abandoned());
    drop(answer);
    assert!(reply.is_abandoned());
}

mod singleton {
    use super::*;
    use crate::env::Env;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    const POLICY: BackoffPolicy = BackoffPolicy {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(8),
        restarts_max: 3,
        window: Duration::from_secs(1000),
    };

    struct Setup {
        singleton: Singleton<Order>,
        log: Log,
        /// How many of the next starts fail.
        broken: Arc<AtomicUsize>,
        escalated: Arc<Mutex<Option<Error>>>,
    }

    async fn setup() -> Setup {
        let (log, broken) = (Log::default(), Arc::new(AtomicUsize::new(0)));
        let escalated = Arc::new(Mutex::new(None));
        let (args_log, args_broken, told) = (log.clone(), broken.clone(), escalated.clone());
        let args = move || {
            let fails = args_broken.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok();
            (args_log.clone(), fails.then(|| Error::unavailable("no store")))
        };
        let env = Env::simulated(1);
        let escalate = move |error| *told.lock() = Some(error);
        let singleton = Singleton::start::<Puppet>(env, 4, POLICY, args, escalate).await.unwrap();
        Setup { singleton, log, broken, escalated }
    }

    #[tokio::test(start_paused = true)]
    async fn it_starts_again_and_keeps_its_address() {
        let Setup { singleton, log, broken, .. } = setup().await;
        broken.store(1, SeqCst);
        singleton.cast(Order::Panic, after(1)).await.unwrap();
        tokio::task::yield_now().await;
        // One start fails, the next one at 3 s at the latest succeeds.
        let echo = singleton.call(|reply| Order::Echo(4, reply), after(10)).await;
        assert_eq!(echo, Ok(4));
        assert_eq!(*log.lock(), ["start", "drop", "start"]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_escalates_in_the_end() {
        let Setup { singleton, broken, escalated, .. } = setup().await;
        broken.store(100, SeqCst);
        singleton.cast(Order::Fail, after(1)).await.unwrap();
        tokio::task::yield_now().await;
        let started = tokio::time::Instant::now();
        let echo = singleton.call(|reply| Order::Echo(4, reply), after(60)).await;
        assert_eq!(echo.unwrap_err().kind, Kind::Unavailable);
        assert!(started.elapsed() <= Duration::from_secs(7), "told when it was over");
        assert_eq!(escalated.lock().clone(), Some(Error::unavailable("no store")));
    }

    #[tokio::test(start_paused = true)]
    async fn it_stops_for_good_when_asked() {
        let Setup { singleton, log, escalated, .. } = setup().await;
        singleton.cast(sleep(2), after(1)).await.unwrap();
        assert_eq!(singleton.stop(after(1)).await.unwrap_err().kind, Kind::Timeout);
        singleton.stop(after(10)).await.unwrap();
        let echo = singleton.call(|reply| Order::Echo(4, reply), after(60)).await;
        assert_eq!(echo.unwrap_err().kind, Kind::Unavailable);
        assert_eq!(*log.lock(), ["start", "stop", "drop"]);
        assert_eq!(*escalated.lock(), None);
    }
}
