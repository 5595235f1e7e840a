//! The process: API version, network thread, error codes.

use super::{FdbBool, FdbError, bytes, code};
use crate::client::network;
use crate::codes;
use std::ffi::{c_char, c_int};

/// The network options that there are: addresses, logs, certificates, knobs, client libraries. None
/// has any effect here.
fn is_network_option(option: c_int) -> bool {
    matches!(option, 10 | 20 | 30..=43 | 45..=54 | 60..=72 | 80..=83 | 90 | 91 | 1000..=1002)
}

/// Fixes the API version, once.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_select_api_version_impl(
    runtime_version: c_int,
    header_version: c_int,
) -> FdbError {
    code(network::select_api_version(runtime_version, header_version))
}

/// The newest API version.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_get_max_api_version() -> c_int {
    network::API_VERSION
}

/// What this is: version, source, protocol, as the real one separates them.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_get_client_version() -> *const c_char {
    c"7.3.79-standin,not-foundationdb,standin".as_ptr()
}

/// The words for an error code.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_get_error(code: FdbError) -> *const c_char {
    codes::words(code).as_ptr()
}

/// Whether an error is of a kind: 50000 retryable, 50001 maybe committed, 50002 retryable and not
/// committed.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_error_predicate(predicate_test: c_int, code: FdbError) -> FdbBool {
    FdbBool::from(codes::predicate(predicate_test, code))
}

/// Takes an option of the network; none has any effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_network_set_option(
    option: c_int,
    value: *const u8,
    value_length: c_int,
) -> FdbError {
    // SAFETY: readable bytes; looked at so that a bad pointer shows here as with the real one.
    let _ = unsafe { bytes(value, value_length) };
    let known = network::check_api_version();
    code(known.and(if is_network_option(option) { Ok(()) } else { Err(codes::BAD_OPTION) }))
}

/// Prepares the network, once.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_setup_network() -> FdbError {
    code(network::set_up())
}

/// Runs the network on the calling thread until it is stopped.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_run_network() -> FdbError {
    code(network::run())
}

/// Makes [`fdb_run_network`] return; it cannot be started again.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_stop_network() -> FdbError {
    code(network::stop())
}
