//! The client library's network thread: started once per process, stopped before it ends.
//!
//! The library must not be left running while the process tears itself down. [`stop`] ends it in
//! order; who forgets (a test binary, `std::process::exit`) is covered by a handler that runs at
//! exit. After a stop nothing can be started again: so the C API has it. If the library's loop ends
//! by itself, every call after it would wait for ever: that is logged, and [`start`] and
//! [`is_running`] tell it.

use crate::{fdb_error_t, fdb_run_network, fdb_stop_network, loaded_from};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// Why the network thread does not run.
#[derive(Debug)]
pub enum NetworkError {
    /// No library is loaded.
    NoLibrary,
    /// It was stopped; it cannot be started again in this process.
    Stopped,
    /// It ended by itself, with this code; it cannot be started again in this process.
    Ended(fdb_error_t),
    /// The operating system gives no thread.
    Thread(std::io::Error),
    /// The library refused, with this code.
    Refused(fdb_error_t),
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLibrary => write!(f, "no client library is loaded"),
            Self::Stopped => write!(f, "the network thread was stopped"),
            Self::Ended(code) => {
                write!(f, "the network thread ended by itself with code {code}; start anew")
            }
            Self::Thread(error) => write!(f, "no network thread: {error}"),
            Self::Refused(code) => write!(f, "the network thread ended with code {code}"),
        }
    }
}

impl std::error::Error for NetworkError {}

enum State {
    NotStarted,
    Running(JoinHandle<fdb_error_t>),
    Stopped,
}

static STATE: Mutex<State> = Mutex::new(State::NotStarted);

/// The end of the loop was asked for.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// The loop ended although nobody had asked for that. Not in `STATE`, which the thread never locks.
static ENDED: OnceLock<fdb_error_t> = OnceLock::new();

/// Starts the thread; does nothing if it runs already. The library must be loaded, its version
/// chosen and the network set up (`NetworkBuilder::build` of the `foundationdb` crate); otherwise
/// the thread ends at once with the library's error.
///
/// # Errors
/// [`NetworkError::NoLibrary`], [`NetworkError::Stopped`], [`NetworkError::Ended`],
/// [`NetworkError::Thread`].
pub fn start() -> Result<(), NetworkError> {
    if loaded_from().is_none() {
        return Err(NetworkError::NoLibrary);
    }
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    match *state {
        State::Running(_) => {
            return ENDED.get().map_or(Ok(()), |code| Err(NetworkError::Ended(*code)));
        }
        State::Stopped => return Err(NetworkError::Stopped),
        State::NotStarted => {}
    }
    let thread = std::thread::Builder::new()
        .name("fdb-network".to_owned())
        .spawn(run)
        .map_err(NetworkError::Thread)?;
    *state = State::Running(thread);
    // SAFETY: a function without arguments that does not unwind. If there is no room for it, only
    // a forgotten `stop` goes unnoticed.
    let _ = unsafe { libc::atexit(stop_at_exit) };
    Ok(())
}

/// The thread: runs the library's loop, and notes an end that nobody asked for.
fn run() -> fdb_error_t {
    // SAFETY: once per process (`start` sees to that), and it is stopped before the process ends:
    // by `stop` or at exit.
    let code = unsafe { fdb_run_network() };
    if !STOPPING.load(Ordering::Acquire) {
        // Only this thread sets it.
        let _ = ENDED.set(code);
        tracing::error!(
            code,
            "FoundationDB's network thread ended by itself: no call will be answered any more"
        );
    }
    code
}

/// Whether the thread was started, was not stopped and has not ended by itself.
pub fn is_running() -> bool {
    let state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    matches!(*state, State::Running(_)) && ENDED.get().is_none()
}

/// Stops the thread and waits for its end; does nothing if it does not run. Futures that are still
/// pending will never resolve: finish what is to be finished first.
///
/// # Errors
/// [`NetworkError::Refused`] if the library could not stop or its loop had failed.
pub fn stop() -> Result<(), NetworkError> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if !matches!(*state, State::Running(_)) {
        return Ok(());
    }
    let State::Running(thread) = std::mem::replace(&mut *state, State::Stopped) else {
        return Ok(());
    };
    // Others must not wait with us: the handler at exit would hold the process.
    drop(state);
    STOPPING.store(true, Ordering::Release);
    // SAFETY: it was started, and this is the only call.
    let code = unsafe { fdb_stop_network() };
    if code != 0 {
        return Err(NetworkError::Refused(code));
    }
    // A panic in a callback cannot be told from here; the loop has ended all the same.
    match thread.join() {
        Ok(0) | Err(_) => Ok(()),
        Ok(code) => Err(NetworkError::Refused(code)),
    }
}

extern "C" fn stop_at_exit() {
    // Nobody is left to be told.
    let _ = stop();
}
