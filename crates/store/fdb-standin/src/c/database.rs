//! Database handles.

use super::future::start;
use super::{
    FDBDatabase, FDBFuture, FDBTenant, FDBTransaction, FdbError, bytes, code, destroy, handle,
    object,
};
use crate::client::database::Database;
use crate::client::{Op, Output, network};
use crate::cluster_file;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;

/// What the status document of a client says.
const CLIENT_STATUS: &str = r#"{"Healthy":true,"InitializationState":"standin"}"#;

fn create(address: Result<SocketAddr, i32>, out: *mut *mut FDBDatabase) -> FdbError {
    match network::check_set_up().and(address) {
        Ok(address) => {
            // SAFETY: the out-parameter is writable.
            unsafe { *out = handle(Database::new(address)) };
            0
        }
        Err(code) => code,
    }
}

/// Opens the database of a cluster file; null or empty: the default one. Whether the server is there
/// shows only later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_create_database(
    cluster_file_path: *const c_char,
    out_database: *mut *mut FDBDatabase,
) -> FdbError {
    let path = if cluster_file_path.is_null() {
        None
    } else {
        // SAFETY: a text that ends with a zero byte.
        let path = unsafe { CStr::from_ptr(cluster_file_path) };
        Some(OsStr::from_bytes(path.to_bytes()))
    };
    create(cluster_file::read(path), out_database)
}

/// Opens the database of the text of a cluster file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_create_database_from_connection_string(
    connection_string: *const c_char,
    out_database: *mut *mut FDBDatabase,
) -> FdbError {
    // SAFETY: a text that ends with a zero byte.
    let text = unsafe { CStr::from_ptr(connection_string) };
    create(cluster_file::parse(&text.to_string_lossy()), out_database)
}

/// Ends a handle; its transactions go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_database_destroy(d: *mut FDBDatabase) {
    // SAFETY: a handle that is alive and not used after this.
    drop(unsafe { destroy::<Database, _>(d) });
}

/// Sets an option.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_database_set_option(
    d: *mut FDBDatabase,
    option: c_int,
    value: *const u8,
    value_length: c_int,
) -> FdbError {
    // SAFETY: a handle that is alive, and readable bytes.
    let (database, value) = unsafe { (object::<Database, _>(d), bytes(value, value_length)) };
    code(database.set_option(option, value))
}

/// Begins a transaction.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_database_create_transaction(
    d: *mut FDBDatabase,
    out_transaction: *mut *mut FDBTransaction,
) -> FdbError {
    // SAFETY: a handle that is alive, and a writable out-parameter.
    unsafe { *out_transaction = handle(object::<Database, _>(d).begin()) };
    0
}

/// How busy the network thread is: not measured here.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_database_get_main_thread_busyness(_db: *mut FDBDatabase) -> f64 {
    0.0
}

/// What the client knows about itself, as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_database_get_client_status(_db: *mut FDBDatabase) -> *mut FDBFuture {
    start(Op::Ready(Ok(Output::Key(CLIENT_STATUS.into()))))
}

/// Opens a tenant. There are none: whatever is done with it fails (2131).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_database_open_tenant(
    d: *mut FDBDatabase,
    _tenant_name: *const u8,
    _tenant_name_length: c_int,
    out_tenant: *mut *mut FDBTenant,
) -> FdbError {
    // SAFETY: a handle that is alive, and a writable out-parameter.
    unsafe { *out_tenant = handle(object::<Database, _>(d).tenant()) };
    0
}

/// Begins a transaction on a tenant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_tenant_create_transaction(
    tenant: *mut FDBTenant,
    out_transaction: *mut *mut FDBTransaction,
) -> FdbError {
    // SAFETY: a handle that is alive, and a writable out-parameter.
    unsafe { *out_transaction = handle(object::<Database, _>(tenant).begin()) };
    0
}

/// Ends a tenant's handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_tenant_destroy(tenant: *mut FDBTenant) {
    // SAFETY: a handle that is alive and not used after this.
    drop(unsafe { destroy::<Database, _>(tenant) });
}
