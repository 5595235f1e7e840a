//! Transactions: life, options, writes, commit.

use super::future::start;
use super::{FDBFuture, FDBTransaction, FdbError, bytes, code, destroy, object};
use crate::client::transaction::Transaction;
use crate::client::{Op, Output};
use crate::codes;
use std::ffi::c_int;

/// Ends a transaction; what waits for it ends, but for committed watches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_destroy(tr: *mut FDBTransaction) {
    // SAFETY: a handle that is alive and not used after this.
    let transaction = unsafe { destroy::<Transaction, _>(tr) };
    transaction.cancel();
}

/// Makes everything fail until a reset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_cancel(tr: *mut FDBTransaction) {
    // SAFETY: a handle that is alive.
    unsafe { object::<Transaction, _>(tr) }.cancel();
}

/// Makes the transaction as new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_reset(tr: *mut FDBTransaction) {
    // SAFETY: a handle that is alive.
    unsafe { object::<Transaction, _>(tr) }.reset();
}

/// Sets an option.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_set_option(
    tr: *mut FDBTransaction,
    option: c_int,
    value: *const u8,
    value_length: c_int,
) -> FdbError {
    // SAFETY: a handle that is alive, and readable bytes.
    let (transaction, value) =
        unsafe { (object::<Transaction, _>(tr), bytes(value, value_length)) };
    code(transaction.set_option(option, value))
}

/// Reads at this version from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_set_read_version(tr: *mut FDBTransaction, version: i64) {
    // SAFETY: a handle that is alive.
    unsafe { object::<Transaction, _>(tr) }.set_read_version(version);
}

/// Writes a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_set(
    tr: *mut FDBTransaction,
    key_name: *const u8,
    key_name_length: c_int,
    value: *const u8,
    value_length: c_int,
) {
    // SAFETY: a handle that is alive, and readable bytes.
    let (key, value) = unsafe { (bytes(key_name, key_name_length), bytes(value, value_length)) };
    // SAFETY: a handle that is alive.
    unsafe { object::<Transaction, _>(tr) }.set(key, value);
}

/// Applies an operation at the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_atomic_op(
    tr: *mut FDBTransaction,
    key_name: *const u8,
    key_name_length: c_int,
    param: *const u8,
    param_length: c_int,
    operation_type: c_int,
) {
    // SAFETY: a handle that is alive, and readable bytes.
    let (key, param) = unsafe { (bytes(key_name, key_name_length), bytes(param, param_length)) };
    // SAFETY: a handle that is alive.
    unsafe { object::<Transaction, _>(tr) }.atomic(operation_type, key, param);
}

/// Removes a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_clear(
    tr: *mut FDBTransaction,
    key_name: *const u8,
    key_name_length: c_int,
) {
    // SAFETY: a handle that is alive, and readable bytes.
    unsafe { object::<Transaction, _>(tr).clear(bytes(key_name, key_name_length)) };
}

/// Removes a range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_clear_range(
    tr: *mut FDBTransaction,
    begin_key_name: *const u8,
    begin_key_name_length: c_int,
    end_key_name: *const u8,
    end_key_name_length: c_int,
) {
    // SAFETY: readable bytes.
    let begin = unsafe { bytes(begin_key_name, begin_key_name_length) };
    // SAFETY: a handle that is alive, and readable bytes.
    unsafe {
        object::<Transaction, _>(tr).clear_range(begin, bytes(end_key_name, end_key_name_length));
    }
}

/// Adds a conflict range: 0 of reads, 1 of writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_add_conflict_range(
    tr: *mut FDBTransaction,
    begin_key_name: *const u8,
    begin_key_name_length: c_int,
    end_key_name: *const u8,
    end_key_name_length: c_int,
    conflict_type: c_int,
) -> FdbError {
    // SAFETY: a handle that is alive.
    let transaction = unsafe { object::<Transaction, _>(tr) };
    // SAFETY: readable bytes.
    let begin = unsafe { bytes(begin_key_name, begin_key_name_length) };
    // SAFETY: readable bytes.
    let end = unsafe { bytes(end_key_name, end_key_name_length) };
    match conflict_type {
        0 | 1 => code(transaction.add_conflict(begin, end, conflict_type == 1)),
        _ => codes::INVALID_OPERATION,
    }
}

/// Watches a key from the commit on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_watch(
    tr: *mut FDBTransaction,
    key_name: *const u8,
    key_name_length: c_int,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive, and readable bytes.
    start(unsafe { object::<Transaction, _>(tr).watch(bytes(key_name, key_name_length)) })
}

/// The stamp of the commit to come.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_versionstamp(
    tr: *mut FDBTransaction,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    start(unsafe { object::<Transaction, _>(tr) }.versionstamp())
}

/// The size of mutations and conflict ranges so far, in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_approximate_size(
    tr: *mut FDBTransaction,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    let size = unsafe { object::<Transaction, _>(tr) }.approximate_size();
    start(Op::Ready(Ok(Output::Number(size))))
}

/// The version of the last commit that wrote something; -1 if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_get_committed_version(
    tr: *mut FDBTransaction,
    out_version: *mut i64,
) -> FdbError {
    // SAFETY: a handle that is alive, and a writable out-parameter.
    unsafe { *out_version = object::<Transaction, _>(tr).committed_version() };
    0
}

/// Commits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_commit(tr: *mut FDBTransaction) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    start(unsafe { object::<Transaction, _>(tr) }.commit())
}

/// Resets after an error that may be retried, or gives it back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_transaction_on_error(
    tr: *mut FDBTransaction,
    error: FdbError,
) -> *mut FDBFuture {
    // SAFETY: a handle that is alive.
    start(unsafe { object::<Transaction, _>(tr) }.on_error(error))
}
