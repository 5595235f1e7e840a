//! The C functions with a little Rust around them, as a binding would have it.

#![allow(unsafe_code, reason = "this is a caller of a C library")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use fdb_standin::c::database::{
    fdb_create_database_from_connection_string, fdb_database_create_transaction,
    fdb_database_destroy, fdb_database_open_tenant, fdb_database_set_option,
    fdb_tenant_create_transaction, fdb_tenant_destroy,
};
use fdb_standin::c::future::{
    fdb_future_block_until_ready, fdb_future_cancel, fdb_future_destroy, fdb_future_get_error,
    fdb_future_get_int64, fdb_future_get_key, fdb_future_get_key_array,
    fdb_future_get_keyvalue_array, fdb_future_get_string_array, fdb_future_get_value,
    fdb_future_is_ready, fdb_future_set_callback,
};
use fdb_standin::c::network::{
    fdb_run_network, fdb_select_api_version_impl, fdb_setup_network, fdb_stop_network,
};
use fdb_standin::c::reads::{
    fdb_transaction_get, fdb_transaction_get_addresses_for_key,
    fdb_transaction_get_estimated_range_size_bytes, fdb_transaction_get_key,
    fdb_transaction_get_range, fdb_transaction_get_range_split_points,
    fdb_transaction_get_read_version,
};
use fdb_standin::c::transaction::{
    fdb_transaction_add_conflict_range, fdb_transaction_atomic_op, fdb_transaction_cancel,
    fdb_transaction_clear, fdb_transaction_clear_range, fdb_transaction_commit,
    fdb_transaction_destroy, fdb_transaction_get_approximate_size,
    fdb_transaction_get_committed_version, fdb_transaction_get_versionstamp,
    fdb_transaction_on_error, fdb_transaction_reset, fdb_transaction_set,
    fdb_transaction_set_option, fdb_transaction_set_read_version, fdb_transaction_watch,
};
use fdb_standin::c::{FDBDatabase, FDBFuture, FDBKey, FDBTenant, FDBTransaction};
use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

static BOOT: Once = Once::new();
static RAN: OnceLock<()> = OnceLock::new();

/// Starts the network thread of this process, once; it runs until the process ends.
pub(crate) fn boot() {
    BOOT.call_once(|| {
        assert_eq!(fdb_setup_network(), 2200, "no API version yet");
        assert_eq!(fdb_select_api_version_impl(999, 999), 2203);
        assert_eq!(fdb_select_api_version_impl(730, 730), 0);
        assert_eq!(fdb_stop_network(), 2008, "not set up yet");
        assert_eq!(fdb_setup_network(), 0);
        assert_eq!(fdb_setup_network(), 2009);
        std::thread::spawn(|| {
            assert_eq!(fdb_run_network(), 0);
            RAN.get_or_init(|| ());
        });
    });
}

/// Ends the network thread for good.
pub(crate) fn shut_down() {
    assert_eq!(fdb_stop_network(), 0);
    RAN.wait();
    assert_eq!(fdb_run_network(), 2025, "it cannot be started again");
}

pub(crate) struct Database(*mut FDBDatabase);
pub(crate) struct Transaction(*mut FDBTransaction);
pub(crate) struct Fut(*mut FDBFuture);
pub(crate) struct Tenant(*mut FDBTenant);

// SAFETY: the handles may be used by any thread; the C API says so.
unsafe impl Send for Database {}
// SAFETY: as above.
unsafe impl Sync for Database {}
// SAFETY: as above.
unsafe impl Send for Transaction {}
// SAFETY: as above.
unsafe impl Sync for Transaction {}
// SAFETY: as above.
unsafe impl Send for Fut {}
// SAFETY: as above.
unsafe impl Sync for Fut {}

fn len(bytes: &[u8]) -> c_int {
    c_int::try_from(bytes.len()).unwrap()
}

/// An empty slice is passed as the bindings do it: dangling, or null.
fn start(bytes: &[u8]) -> *const u8 {
    if bytes.is_empty() { null() } else { bytes.as_ptr() }
}

fn outcome(code: c_int) -> Result<(), i32> {
    if code == 0 { Ok(()) } else { Err(code) }
}

impl Database {
    pub(crate) fn open(cluster: &str) -> Self {
        boot();
        let (text, mut database) = (CString::new(cluster).unwrap(), null_mut());
        // SAFETY: a C text and an out-parameter.
        let code =
            unsafe { fdb_create_database_from_connection_string(text.as_ptr(), &raw mut database) };
        assert_eq!(code, 0);
        Self(database)
    }

    pub(crate) fn begin(&self) -> Transaction {
        let mut transaction = null_mut();
        // SAFETY: a live handle and an out-parameter.
        assert_eq!(unsafe { fdb_database_create_transaction(self.0, &raw mut transaction) }, 0);
        Transaction(transaction)
    }

    pub(crate) fn set_option(&self, option: c_int, value: &[u8]) -> Result<(), i32> {
        // SAFETY: a live handle and readable bytes.
        outcome(unsafe { fdb_database_set_option(self.0, option, start(value), len(value)) })
    }

    pub(crate) fn tenant(&self, name: &[u8]) -> Tenant {
        let mut tenant = null_mut();
        // SAFETY: a live handle, readable bytes and an out-parameter.
        let code =
            unsafe { fdb_database_open_tenant(self.0, start(name), len(name), &raw mut tenant) };
        assert_eq!(code, 0);
        Tenant(tenant)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: a live handle.
        unsafe { fdb_database_destroy(self.0) };
    }
}

impl Tenant {
    pub(crate) fn begin(&self) -> Transaction {
        let mut transaction = null_mut();
        // SAFETY: a live handle and an out-parameter.
        assert_eq!(unsafe { fdb_tenant_create_transaction(self.0, &raw mut transaction) }, 0);
        Transaction(transaction)
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        // SAFETY: a live handle.
        unsafe { fdb_tenant_destroy(self.0) };
    }
}

/// Reference key, or-equal, offset.
pub(crate) type Selector = (Vec<u8>, bool, c_int);

/// The arguments of a range read after its selectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    pub(crate) limit: c_int,
    pub(crate) target_bytes: c_int,
    pub(crate) mode: c_int,
    pub(crate) iteration: c_int,
    pub(crate) snapshot: bool,
    pub(crate) reverse: bool,
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "all: a live handle and readable bytes")]
impl Transaction {
    pub(crate) fn set_option(&self, option: c_int, value: &[u8]) -> Result<(), i32> {
        outcome(unsafe { fdb_transaction_set_option(self.0, option, start(value), len(value)) })
    }

    pub(crate) fn set(&self, key: &[u8], value: &[u8]) {
        unsafe { fdb_transaction_set(self.0, start(key), len(key), start(value), len(value)) };
    }

    pub(crate) fn clear(&self, key: &[u8]) {
        unsafe { fdb_transaction_clear(self.0, start(key), len(key)) };
    }

    pub(crate) fn clear_range(&self, begin: &[u8], end: &[u8]) {
        unsafe {
            fdb_transaction_clear_range(self.0, start(begin), len(begin), start(end), len(end));
        }
    }

    pub(crate) fn atomic(&self, op: c_int, key: &[u8], param: &[u8]) {
        unsafe {
            fdb_transaction_atomic_op(self.0, start(key), len(key), start(param), len(param), op);
        }
    }

    pub(crate) fn add_conflict(&self, begin: &[u8], end: &[u8], kind: c_int) -> Result<(), i32> {
        outcome(unsafe {
            let (begin, end) = ((start(begin), len(begin)), (start(end), len(end)));
            fdb_transaction_add_conflict_range(self.0, begin.0, begin.1, end.0, end.1, kind)
        })
    }

    pub(crate) fn set_read_version(&self, version: i64) {
        unsafe { fdb_transaction_set_read_version(self.0, version) };
    }

    pub(crate) fn read_version(&self) -> Fut {
        Fut(unsafe { fdb_transaction_get_read_version(self.0) })
    }

    pub(crate) fn get(&self, key: &[u8], snapshot: bool) -> Fut {
        Fut(unsafe { fdb_transaction_get(self.0, start(key), len(key), c_int::from(snapshot)) })
    }

    pub(crate) fn get_key(&self, selector: &Selector, snapshot: bool) -> Fut {
        let (key, or_equal, offset) = (&selector.0, c_int::from(selector.1), selector.2);
        let snapshot = c_int::from(snapshot);
        Fut(unsafe {
            fdb_transaction_get_key(self.0, start(key), len(key), or_equal, offset, snapshot)
        })
    }

    pub(crate) fn get_range(&self, begin: &Selector, end: &Selector, paging: Paging) -> Fut {
        Fut(unsafe {
            fdb_transaction_get_range(
                self.0,
                start(&begin.0),
                len(&begin.0),
                c_int::from(begin.1),
                begin.2,
                start(&end.0),
                len(&end.0),
                c_int::from(end.1),
                end.2,
                paging.limit,
                paging.target_bytes,
                paging.mode,
                paging.iteration,
                c_int::from(paging.snapshot),
                c_int::from(paging.reverse),
            )
        })
    }

    pub(crate) fn watch(&self, key: &[u8]) -> Fut {
        Fut(unsafe { fdb_transaction_watch(self.0, start(key), len(key)) })
    }

    pub(crate) fn versionstamp(&self) -> Fut {
        Fut(unsafe { fdb_transaction_get_versionstamp(self.0) })
    }

    pub(crate) fn approximate_size(&self) -> Fut {
        Fut(unsafe { fdb_transaction_get_approximate_size(self.0) })
    }

    pub(crate) fn estimated_size(&self, begin: &[u8], end: &[u8]) -> Fut {
        let (begin, end) = ((start(begin), len(begin)), (start(end), len(end)));
        Fut(unsafe {
            fdb_transaction_get_estimated_range_size_bytes(self.0, begin.0, begin.1, end.0, end.1)
        })
    }

    pub(crate) fn split_points(&self, begin: &[u8], end: &[u8], chunk: i64) -> Fut {
        let (begin, end) = ((start(begin), len(begin)), (start(end), len(end)));
        Fut(unsafe {
            fdb_transaction_get_range_split_points(self.0, begin.0, begin.1, end.0, end.1, chunk)
        })
    }

    pub(crate) fn addresses(&self, key: &[u8]) -> Fut {
        Fut(unsafe { fdb_transaction_get_addresses_for_key(self.0, start(key), len(key)) })
    }

    pub(crate) fn commit(&self) -> Fut {
        Fut(unsafe { fdb_transaction_commit(self.0) })
    }

    pub(crate) fn committed_version(&self) -> i64 {
        let mut version = 0;
        assert_eq!(unsafe { fdb_transaction_get_committed_version(self.0, &raw mut version) }, 0);
        version
    }

    pub(crate) fn on_error(&self, code: i32) -> Fut {
        Fut(unsafe { fdb_transaction_on_error(self.0, code) })
    }

    pub(crate) fn reset(&self) {
        unsafe { fdb_transaction_reset(self.0) };
    }

    pub(crate) fn cancel(&self) {
        unsafe { fdb_transaction_cancel(self.0) };
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: a live handle.
        unsafe { fdb_transaction_destroy(self.0) };
    }
}

unsafe extern "C" fn counted(_future: *mut FDBFuture, counter: *mut c_void) {
    // SAFETY: the counter is a static, see Fut::count_callback.
    unsafe { &*counter.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
}

/// # Safety
/// `start` is readable for `length` bytes.
unsafe fn copied(start: *const u8, length: c_int) -> Vec<u8> {
    assert!(!start.is_null(), "the bindings make slices of these without a look");
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(start, usize::try_from(length).unwrap()) }.to_vec()
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "all: a live handle and out-parameters")]
impl Fut {
    /// Waits without limit.
    pub(crate) fn wait(&self) -> Result<(), i32> {
        assert_eq!(unsafe { fdb_future_block_until_ready(self.0) }, 0);
        outcome(unsafe { fdb_future_get_error(self.0) })
    }

    pub(crate) fn is_ready(&self) -> bool {
        unsafe { fdb_future_is_ready(self.0) != 0 }
    }

    /// Waits for at most so long.
    #[allow(clippy::disallowed_methods, reason = "a thread that waits for another one")]
    pub(crate) fn wait_at_most(&self, limit: Duration) -> Option<Result<(), i32>> {
        let step = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        while !self.is_ready() {
            if waited >= limit {
                return None;
            }
            std::thread::sleep(step);
            waited += step;
        }
        Some(self.wait())
    }

    pub(crate) fn cancel(&self) {
        unsafe { fdb_future_cancel(self.0) };
    }

    /// Adds 1 to the counter when it is ready.
    pub(crate) fn count_callback(&self, counter: &'static AtomicUsize) {
        let parameter = std::ptr::from_ref(counter).cast_mut().cast();
        assert_eq!(unsafe { fdb_future_set_callback(self.0, Some(counted), parameter) }, 0);
    }

    pub(crate) fn number(&self) -> Result<i64, i32> {
        self.wait()?;
        let mut number = 0;
        outcome(unsafe { fdb_future_get_int64(self.0, &raw mut number) }).map(|()| number)
    }

    pub(crate) fn key(&self) -> Result<Vec<u8>, i32> {
        self.wait()?;
        let (mut key, mut length) = (null(), 0);
        outcome(unsafe { fdb_future_get_key(self.0, &raw mut key, &raw mut length) })?;
        Ok(unsafe { copied(key, length) })
    }

    pub(crate) fn value(&self) -> Result<Option<Vec<u8>>, i32> {
        self.wait()?;
        let (mut present, mut value, mut length) = (0, null(), 0);
        let (present_out, value_out) = (&raw mut present, &raw mut value);
        outcome(unsafe { fdb_future_get_value(self.0, present_out, value_out, &raw mut length) })?;
        Ok((present != 0).then(|| unsafe { copied(value, length) }))
    }

    #[allow(clippy::type_complexity, reason = "rows and whether there are more")]
    pub(crate) fn rows(&self) -> Result<(Vec<(Vec<u8>, Vec<u8>)>, bool), i32> {
        self.wait()?;
        let (mut rows, mut count, mut more) = (null(), 0, 0);
        outcome(unsafe {
            let (rows, count) = (&raw mut rows, &raw mut count);
            fdb_future_get_keyvalue_array(self.0, rows, count, &raw mut more)
        })?;
        assert!(!rows.is_null());
        let row = |at| unsafe {
            let row = rows.add(at).read_unaligned();
            (copied(row.key, row.key_length), copied(row.value, row.value_length))
        };
        Ok(((0..usize::try_from(count).unwrap()).map(row).collect(), more != 0))
    }

    pub(crate) fn keys(&self) -> Result<Vec<Vec<u8>>, i32> {
        self.wait()?;
        let (mut keys, mut count): (*const FDBKey, _) = (null(), 0);
        outcome(unsafe { fdb_future_get_key_array(self.0, &raw mut keys, &raw mut count) })?;
        let key = |at| unsafe {
            let key = keys.add(at).read_unaligned();
            copied(key.key, key.key_length)
        };
        Ok((0..usize::try_from(count).unwrap()).map(key).collect())
    }

    pub(crate) fn strings(&self) -> Result<Vec<String>, i32> {
        self.wait()?;
        let (mut strings, mut count) = (null_mut(), 0);
        outcome(unsafe { fdb_future_get_string_array(self.0, &raw mut strings, &raw mut count) })?;
        let text = |at| unsafe { CStr::from_ptr(*strings.add(at)).to_str().unwrap().to_owned() };
        Ok((0..usize::try_from(count).unwrap()).map(text).collect())
    }
}

impl Drop for Fut {
    fn drop(&mut self) {
        // SAFETY: a live handle.
        unsafe { fdb_future_destroy(self.0) };
    }
}
