//! Futures: results to come, with a callback.
//!
//! A future becomes ready once, on the network thread, or where it was made if nothing had to be
//! waited for. Its callback is called once, without any lock held, after it is ready: on the network
//! thread, or at once if it was ready before. Destroying a future that is not ready makes it ready
//! (1101), so that callbacks are always called; its memory lives until then.

use super::{FDBFuture, FDBKey, FDBKeyValue, FdbBool, FdbError, destroy, handle, object};
use crate::client::network;
use crate::client::{Op, Outcome, Output};
use crate::codes;
use parking_lot::{Condvar, Mutex};
use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use tokio::task::AbortHandle;

/// What is called when a future is ready.
pub type FDBCallback = Option<unsafe extern "C" fn(*mut FDBFuture, *mut c_void)>;

struct Callback {
    function: unsafe extern "C" fn(*mut FDBFuture, *mut c_void),
    parameter: *mut c_void,
}

// SAFETY: whoever sets a callback must expect it on the network thread; the C API says so.
unsafe impl Send for Callback {}

/// Arrays of pointers into an outcome.
#[derive(Default)]
struct Views {
    rows: Vec<FDBKeyValue>,
    keys: Vec<FDBKey>,
    strings: Vec<*const c_char>,
}

// SAFETY: the pointers lead into the outcome beside which they lie, which is not changed while they
// are used; they are only read.
unsafe impl Send for Views {}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    released: bool,
    views: Views,
    callback: Option<Callback>,
    task: Option<AbortHandle>,
}

#[derive(Default)]
pub(super) struct Future {
    state: Mutex<State>,
    ready: Condvar,
}

/// Makes its future ready, at the latest when it is dropped.
struct Promise(Arc<Future>);

impl Drop for Promise {
    fn drop(&mut self) {
        self.0.finish(Err(codes::BROKEN_PROMISE));
    }
}

/// Makes a future of a call.
pub(super) fn start(op: Op) -> *mut FDBFuture {
    let future = Arc::new(Future::default());
    match op {
        Op::Ready(outcome) => future.finish(outcome),
        Op::Later(call) => {
            let promise = Promise(future.clone());
            let task = network::spawn(async move {
                let outcome = call.await;
                promise.0.finish(outcome);
            });
            let mut state = future.state.lock();
            if state.outcome.is_none() {
                state.task = task;
            }
        }
    }
    handle(future)
}

impl Future {
    /// Makes it ready, unless it is.
    fn finish(self: &Arc<Self>, outcome: Outcome) {
        if let Some(callback) = self.settle(outcome) {
            self.call(&callback);
        }
    }

    /// Makes it ready and gives the callback that is to be called.
    fn settle(&self, outcome: Outcome) -> Option<Callback> {
        let mut state = self.state.lock();
        if state.outcome.is_some() {
            return None;
        }
        state.outcome = Some(outcome);
        state.task = None;
        self.ready.notify_all();
        state.callback.take()
    }

    fn call(self: &Arc<Self>, callback: &Callback) {
        // After the network has ended nobody expects a callback any more.
        if !network::is_stopped() {
            let pointer = Arc::as_ptr(self).cast_mut().cast();
            // SAFETY: the function and its parameter belong together; we hold the future meanwhile.
            unsafe { (callback.function)(pointer, callback.parameter) };
        }
    }

    fn cancel(self: &Arc<Self>) {
        let task = self.state.lock().task.take();
        let callback = self.settle(Err(codes::OPERATION_CANCELLED));
        if let Some(task) = task {
            task.abort();
        }
        if let Some(callback) = callback {
            let future = self.clone();
            network::spawn(async move { future.call(&callback) });
        }
    }

    /// Looks at the value, if there is one.
    fn value<T>(&self, look: impl FnOnce(&Output, &mut Views) -> Option<T>) -> Result<T, i32> {
        let state = &mut *self.state.lock();
        match &state.outcome {
            None => Err(codes::FUTURE_NOT_SET),
            Some(Err(code)) => Err(*code),
            Some(Ok(_)) if state.released => Err(codes::FUTURE_RELEASED),
            Some(Ok(output)) => look(output, &mut state.views).ok_or(codes::FUTURE_NOT_ERROR),
        }
    }
}

fn length(bytes: &[u8]) -> c_int {
    c_int::try_from(bytes.len()).unwrap_or(c_int::MAX)
}

fn count<T>(array: &[T]) -> c_int {
    c_int::try_from(array.len()).unwrap_or(c_int::MAX)
}

/// Writes what a getter found to its out-parameters.
fn give<T>(found: Result<T, i32>, write: impl FnOnce(T)) -> FdbError {
    match found {
        Ok(value) => {
            write(value);
            0
        }
        Err(code) => code,
    }
}

/// Ends the call that is waited for; a commit may still happen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_cancel(f: *mut FDBFuture) {
    // SAFETY: a handle that is alive (see the module above).
    unsafe { object::<Future, _>(f) }.cancel();
}

/// Gives the value's memory back; the error stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_release_memory(f: *mut FDBFuture) {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let state = &mut *future.state.lock();
    if let Some(Ok(output)) = &mut state.outcome {
        *output = Output::Done;
        state.released = true;
        state.views = Views::default();
    }
}

/// Ends the future and the call that is waited for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_destroy(f: *mut FDBFuture) {
    if f.is_null() {
        return;
    }
    // SAFETY: a handle that is alive and not used after this.
    let future: Arc<Future> = unsafe { destroy(f) };
    future.cancel();
}

/// Waits on the calling thread, which must not be the network's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_block_until_ready(f: *mut FDBFuture) -> FdbError {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let mut state = future.state.lock();
    if state.outcome.is_none() && network::is_current_thread() {
        return codes::BLOCKED_FROM_NETWORK_THREAD;
    }
    while state.outcome.is_none() {
        future.ready.wait(&mut state);
    }
    0
}

/// Whether it is ready.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_is_ready(f: *mut FDBFuture) -> FdbBool {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    FdbBool::from(future.state.lock().outcome.is_some())
}

/// Sets the one callback; it is called at once if the future is ready.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_set_callback(
    f: *mut FDBFuture,
    callback: FDBCallback,
    callback_parameter: *mut c_void,
) -> FdbError {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let Some(function) = callback else { return codes::INVALID_OPERATION };
    let callback = Callback { function, parameter: callback_parameter };
    let mut state = future.state.lock();
    if state.outcome.is_none() {
        if state.callback.is_some() {
            return codes::INVALID_OPERATION;
        }
        state.callback = Some(callback);
        return 0;
    }
    drop(state);
    // It may destroy the handle, so the future is held once more.
    let held = Arc::clone(&future);
    held.call(&callback);
    0
}

/// The error that it is ready with, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_error(f: *mut FDBFuture) -> FdbError {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let state = future.state.lock();
    match &state.outcome {
        None => codes::FUTURE_NOT_SET,
        Some(Ok(_)) => 0,
        Some(Err(code)) => *code,
    }
}

/// A number: a version, a size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_int64(f: *mut FDBFuture, out: *mut i64) -> FdbError {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let found = future.value(|output, _| match output {
        Output::Number(number) => Some(*number),
        _ => None,
    });
    // SAFETY: the out-parameter is writable.
    give(found, |number| unsafe { *out = number })
}

/// A key, or a versionstamp.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_key(
    f: *mut FDBFuture,
    out_key: *mut *const u8,
    out_key_length: *mut c_int,
) -> FdbError {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let found = future.value(|output, _| match output {
        Output::Key(key) => Some((key.as_ptr(), length(key))),
        _ => None,
    });
    // SAFETY: the out-parameters are writable.
    give(found, |(key, length)| unsafe { (*out_key, *out_key_length) = (key, length) })
}

/// A value that may be missing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_value(
    f: *mut FDBFuture,
    out_present: *mut FdbBool,
    out_value: *mut *const u8,
    out_value_length: *mut c_int,
) -> FdbError {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let found = future.value(|output, _| match output {
        Output::Value(Some(value)) => Some((1, value.as_ptr(), length(value))),
        Output::Value(None) => Some((0, std::ptr::null(), 0)),
        _ => None,
    });
    give(found, |(present, value, length)| {
        // SAFETY: the out-parameters are writable.
        unsafe { (*out_present, *out_value, *out_value_length) = (present, value, length) };
    })
}

/// A page of rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_keyvalue_array(
    f: *mut FDBFuture,
    out_kv: *mut *const FDBKeyValue,
    out_count: *mut c_int,
    out_more: *mut FdbBool,
) -> FdbError {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let found = future.value(|output, views| {
        let Output::Rows { rows, more } = output else { return None };
        if views.rows.len() != rows.len() {
            let view = |(key, value): &(bytes::Bytes, bytes::Bytes)| FDBKeyValue {
                key: key.as_ptr(),
                key_length: length(key),
                value: value.as_ptr(),
                value_length: length(value),
            };
            views.rows = rows.iter().map(view).collect();
        }
        Some((views.rows.as_ptr(), count(&views.rows), FdbBool::from(*more)))
    });
    // SAFETY: the out-parameters are writable.
    give(found, |found| unsafe { (*out_kv, *out_count, *out_more) = found })
}

/// Keys: the points where a range is split.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_key_array(
    f: *mut FDBFuture,
    out_key_array: *mut *const FDBKey,
    out_count: *mut c_int,
) -> FdbError {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let found = future.value(|output, views| {
        let Output::Keys(keys) = output else { return None };
        if views.keys.len() != keys.len() {
            let view = |key: &bytes::Bytes| FDBKey { key: key.as_ptr(), key_length: length(key) };
            views.keys = keys.iter().map(view).collect();
        }
        Some((views.keys.as_ptr(), count(&views.keys)))
    });
    // SAFETY: the out-parameters are writable.
    give(found, |found| unsafe { (*out_key_array, *out_count) = found })
}

/// Texts: addresses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_string_array(
    f: *mut FDBFuture,
    out_strings: *mut *mut *const c_char,
    out_count: *mut c_int,
) -> FdbError {
    // SAFETY: a handle that is alive.
    let future = unsafe { object::<Future, _>(f) };
    let found = future.value(|output, views| {
        let Output::Strings(strings) = output else { return None };
        if views.strings.len() != strings.len() {
            views.strings = strings.iter().map(|text| text.as_ptr()).collect();
        }
        Some((views.strings.as_mut_ptr(), count(&views.strings)))
    });
    // SAFETY: the out-parameters are writable.
    give(found, |found| unsafe { (*out_strings, *out_count) = found })
}
