//! What the sessions of every protocol ask about whoever signs in, so that all answer alike.

use base::{Kind, Result};
use contract_directory::{Account, Directory};

/// Whether who signed in as `authcid` may act as `authzid` (RFC 4616 §2): only as themselves, by
/// whatever name of theirs. An empty identity is one's own.
///
/// # Errors
/// Temporary ones.
pub async fn may_act_as(
    directory: &dyn Directory,
    account: &Account,
    authcid: &str,
    authzid: Option<&str>,
) -> Result<bool> {
    let Some(wanted) = authzid.filter(|name| !name.is_empty()).map(str::to_lowercase) else {
        return Ok(true);
    };
    let is_own = |name: &str| account.addresses().any(|address| address.folded() == name);
    if wanted == authcid.to_lowercase() || is_own(&wanted) {
        return Ok(true);
    }
    if wanted.contains('@') {
        return Ok(false);
    }
    let domains = directory.domains().await?;
    let default = domains.iter().find(|domain| domain.default);
    Ok(default.is_some_and(|domain| is_own(&format!("{wanted}@{}", domain.name))))
}

/// Whether a session may go on for who signed in: the account is there and enabled, and its
/// password is still the one of then. Costs a look into the directory's cache.
///
/// # Errors
/// Temporary ones; they say nothing against the session.
pub async fn is_still_signed_in(directory: &dyn Directory, then: &Account) -> Result<bool> {
    match directory.account(then.id).await {
        Ok(now) => Ok(now.enabled && now.credentials == then.credentials),
        Err(error) if error.kind == Kind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
