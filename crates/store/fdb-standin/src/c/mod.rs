//! The C functions: what `fdb_c.h` declares for API version 730, as far as the `foundationdb` crate
//! and the recordings need it. All unsafe code of the crate is here.
//!
//! What the pointers must be is what the C API says of them: handles come from these functions and
//! are used until they are destroyed, once; keys and values are readable for their length while the
//! call lasts (a null pointer is good for length 0); out-parameters are writable. Handles are `Arc`s
//! in disguise, so different threads may use the same one.

#![allow(unsafe_code)]
#![allow(clippy::missing_safety_doc, reason = "said once for all, above")]

pub mod database;
pub mod future;
pub mod network;
pub mod reads;
pub mod transaction;

use std::ffi::c_int;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// 0, or an error code.
pub type FdbError = c_int;

/// 0 or 1.
pub type FdbBool = c_int;

/// A handle of a database.
#[repr(C)]
pub struct FDBDatabase {
    _private: [u8; 0],
}

/// A handle of a tenant; there are none, so nothing works on it.
#[repr(C)]
pub struct FDBTenant {
    _private: [u8; 0],
}

/// A handle of a transaction.
#[repr(C)]
pub struct FDBTransaction {
    _private: [u8; 0],
}

/// A handle of a future.
#[repr(C)]
pub struct FDBFuture {
    _private: [u8; 0],
}

/// A key in an array.
#[repr(C, packed(4))]
#[derive(Clone, Copy, Debug)]
pub struct FDBKey {
    /// Its bytes; never null.
    pub key: *const u8,
    /// How many.
    pub key_length: c_int,
}

/// A row in an array.
#[repr(C, packed(4))]
#[derive(Clone, Copy, Debug)]
pub struct FDBKeyValue {
    /// The key's bytes; never null.
    pub key: *const u8,
    /// How many.
    pub key_length: c_int,
    /// The value's bytes; never null.
    pub value: *const u8,
    /// How many.
    pub value_length: c_int,
}

/// The outcome of a call as C wants it.
fn code(outcome: Result<(), i32>) -> FdbError {
    outcome.err().unwrap_or(0)
}

/// Bytes that a caller passes.
///
/// # Safety
/// `start` is readable for `length` bytes for the time of the call, or `length` is 0 or less.
unsafe fn bytes<'a>(start: *const u8, length: c_int) -> &'a [u8] {
    match usize::try_from(length) {
        // SAFETY: the caller's promise; the pointer is not null.
        Ok(length) if length > 0 && !start.is_null() => unsafe {
            std::slice::from_raw_parts(start, length)
        },
        _ => &[],
    }
}

/// Makes a handle.
fn handle<T, H>(object: Arc<T>) -> *mut H {
    Arc::into_raw(object).cast_mut().cast()
}

/// The object behind a handle, for the time of a call.
///
/// # Safety
/// The handle came from [`handle`] with the same `T` and has not been destroyed.
unsafe fn object<T, H>(handle: *mut H) -> ManuallyDrop<Arc<T>> {
    // SAFETY: the caller's promise; the reference that the handle stands for is not given up.
    ManuallyDrop::new(unsafe { Arc::from_raw(handle.cast_const().cast()) })
}

/// Ends a handle.
///
/// # Safety
/// As [`object`]; the handle is not used any more.
unsafe fn destroy<T, H>(handle: *mut H) -> Arc<T> {
    // SAFETY: the caller's promise.
    unsafe { Arc::from_raw(handle.cast_const().cast()) }
}
