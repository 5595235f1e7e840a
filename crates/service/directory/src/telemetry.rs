//! The directory's counters.

use metrics::counter;

/// A lookup; `answer` is `account`, `group`, `unknown` or `elsewhere`.
pub(crate) fn lookup(answer: &'static str, cached: bool) {
    counter!("rialto_directory_lookups_total", "answer" => answer).increment(1);
    if cached {
        counter!("rialto_directory_cache_hits_total", "kind" => "lookup").increment(1);
    }
}

/// A sign-in that cost no hash.
pub(crate) fn cached_login() {
    counter!("rialto_directory_cache_hits_total", "kind" => "login").increment(1);
}

/// A password hash was computed.
pub(crate) fn hash() {
    counter!("rialto_directory_hashes_total").increment(1);
}

/// A sign-in succeeded.
pub(crate) fn login(protocol: &'static str) {
    counter!("rialto_directory_logins_total", "protocol" => protocol).increment(1);
}

/// A sign-in failed.
pub(crate) fn auth_failure(reason: &'static str, protocol: &'static str) {
    counter!("rialto_directory_auth_failures_total", "reason" => reason, "protocol" => protocol)
        .increment(1);
}

/// The feed was trimmed beyond this node's position: the caches started anew.
pub(crate) fn feed_reload() {
    counter!("rialto_directory_feed_reloads_total").increment(1);
}

/// A change was committed.
pub(crate) fn change(action: &'static str) {
    counter!("rialto_directory_changes_total", "action" => action).increment(1);
}
