//! The one network thread of the process: set up, run, stopped once.

use crate::codes;
use base::env::Clock as _;
use base::env::real::RealClock;
use parking_lot::Mutex;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::thread::ThreadId;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// The API version that there is.
pub(crate) const API_VERSION: i32 = 730;

/// The oldest that the recordings and this code are true for.
const API_VERSION_MIN: i32 = 700;

enum State {
    New,
    SetUp(Runtime),
    Running,
    Ended,
}

static STATE: Mutex<State> = Mutex::new(State::New);
static HANDLE: OnceLock<Handle> = OnceLock::new();
static THREAD: OnceLock<ThreadId> = OnceLock::new();
static STOP: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);
static STOPPED: AtomicBool = AtomicBool::new(false);
static SELECTED: AtomicI32 = AtomicI32::new(0);
static CLOCK: LazyLock<RealClock> = LazyLock::new(RealClock::default);

/// Time since the library was first used.
pub(crate) fn now() -> Duration {
    CLOCK.monotonic()
}

/// Fixes the API version.
pub(crate) fn select_api_version(runtime: i32, header: i32) -> Result<(), i32> {
    if header < runtime {
        return Err(codes::API_VERSION_INVALID);
    }
    if !(API_VERSION_MIN..=API_VERSION).contains(&runtime) {
        return Err(codes::API_VERSION_UNSUPPORTED);
    }
    match SELECTED.compare_exchange(0, runtime, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(()),
        Err(before) if before == runtime => Ok(()),
        Err(_) => Err(codes::API_VERSION_ALREADY_SET),
    }
}

/// What every call but the first needs.
pub(crate) fn check_api_version() -> Result<(), i32> {
    let selected = SELECTED.load(Ordering::Acquire) != 0;
    if selected { Ok(()) } else { Err(codes::API_VERSION_UNSET) }
}

/// Makes what the network thread will run.
pub(crate) fn set_up() -> Result<(), i32> {
    check_api_version()?;
    let mut state = STATE.lock();
    if !matches!(*state, State::New) {
        return Err(codes::NETWORK_ALREADY_SET_UP);
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|_| codes::INTERNAL)?;
    let _ = HANDLE.set(runtime.handle().clone());
    *state = State::SetUp(runtime);
    Ok(())
}

/// Runs on the calling thread until [`stop`].
pub(crate) fn run() -> Result<(), i32> {
    check_api_version()?;
    let mut state = STATE.lock();
    let runtime = match std::mem::replace(&mut *state, State::Running) {
        State::SetUp(runtime) => runtime,
        other => {
            let code = match other {
                State::New => codes::NETWORK_NOT_SET_UP,
                _ => codes::NETWORK_CANNOT_RESTART,
            };
            *state = other;
            return Err(code);
        }
    };
    drop(state);
    let _ = THREAD.set(std::thread::current().id());
    runtime.block_on(STOP.cancelled());
    // Futures that are pending stay so, and no callback runs any more, as with the real library.
    STOPPED.store(true, Ordering::Release);
    *STATE.lock() = State::Ended;
    drop(runtime);
    Ok(())
}

/// Makes [`run`] return.
pub(crate) fn stop() -> Result<(), i32> {
    check_api_version()?;
    if matches!(*STATE.lock(), State::New) {
        return Err(codes::NETWORK_NOT_SET_UP);
    }
    STOP.cancel();
    Ok(())
}

/// Whether the network has ended.
pub(crate) fn is_stopped() -> bool {
    STOPPED.load(Ordering::Acquire)
}

/// Whether this is the network thread.
pub(crate) fn is_current_thread() -> bool {
    THREAD.get() == Some(&std::thread::current().id())
}

/// Whether there is a network to use.
pub(crate) fn check_set_up() -> Result<(), i32> {
    check_api_version()?;
    if HANDLE.get().is_some() { Ok(()) } else { Err(codes::NETWORK_NOT_SET_UP) }
}

/// Runs a task on the network thread; `None` where there is no network, or none any more.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    if is_stopped() {
        return None;
    }
    HANDLE.get().map(|handle| handle.spawn(task).abort_handle())
}
