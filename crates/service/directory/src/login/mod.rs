//! Signing in.
//!
//! 1. A password that was verified for the account a short time ago is recognised by its keyed
//!    MAC: no hash, no store, and no throttle, so that strangers cannot slow the owner down.
//! 2. Attempts on one account from one source take turns: ten connections that a client opens at
//!    once cost one hash, and parallel guesses cannot outrun the throttle.
//! 3. Everything else is charged to the throttle *before* it is checked, reads the account and
//!    its password from the store, and costs one hash whether or not the account exists, is
//!    disabled or is no person's.
//!
//! While the store does not answer, all of this together waits for [`LOOKUP_TIME`] at most; an
//! attempt that ends so is charged to nobody.
//!
//! A login name is a primary address, an alias, or a bare local part in the default domain; never
//! a sub-address, a group, or the postmaster of another account.

pub(crate) mod hash;
mod memory;
pub(crate) mod rehash;
pub(crate) mod throttle;

use crate::config::{DirectoryConfig, PASSWORD_BYTES_MAX};
use crate::names::{DOMAIN_BYTES_MAX, LOCAL_BYTES_MAX, Name};
use crate::read::{LOOKUP_TIME, ReadResult, Reader, in_time, view_by};
use crate::rows::{PasswordRow, Target};
use crate::service::Shared;
use crate::telemetry;
use base::env::Random;
use base::{AccountId, Address, Deadline, Error, Kind, Result};
use contract_directory::{Account, AccountKind, LoginAttempt};
use futures::FutureExt;
use hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;
use throttle::{Subject, Throttle};
use tokio::sync::{Mutex, MutexGuard};

/// How many turns there are; attempts that share one by chance only wait for each other.
const TURNS: usize = 1_024;

/// What signing in needs beside the store.
pub(crate) struct Login {
    pub(crate) hasher: Hasher,
    throttle: Throttle,
    turns: Vec<Mutex<()>>,
    /// Keys the MACs of verified passwords and the places of turns; new in each process.
    key: [u8; 32],
}

impl Login {
    pub(crate) fn new(config: &DirectoryConfig, random: &dyn Random) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        Self {
            hasher: Hasher::new(config.hash, config.hash_threads),
            throttle: Throttle::new(config.throttle),
            turns: (0..TURNS).map(|_| Mutex::new(())).collect(),
            key,
        }
    }

    fn mac(&self, id: AccountId, password: &str) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"p").update(&id.0.to_be_bytes()).update(password.as_bytes());
        hasher.finalize()
    }

    /// The stand-in for an account where there is none.
    fn unknown(&self, login: &str) -> Subject {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"u").update(login.to_lowercase().as_bytes());
        Subject::Unknown(*hasher.finalize().as_bytes())
    }

    /// Waits for one's turn; those before may wait for the store.
    async fn turn(
        &self,
        subject: &Subject,
        source: IpAddr,
        deadline: Deadline,
    ) -> Result<MutexGuard<'_, ()>> {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"t").update(source.to_string().as_bytes());
        match subject {
            Subject::Account(id) => hasher.update(&id.0.to_be_bytes()),
            Subject::Unknown(hash) => hasher.update(hash),
        };
        let [high, low, ..] = *hasher.finalize().as_bytes();
        let turn = &self.turns[usize::from(u16::from_be_bytes([high, low])) % TURNS];
        in_time(deadline, async { Ok(turn.lock().await) }).await
    }
}

/// Checks a login name and a password.
pub(crate) async fn authenticate(shared: &Shared, attempt: &LoginAttempt) -> Result<Arc<Account>> {
    let outcome = check(shared, attempt).await;
    match &outcome {
        Ok(_) => telemetry::login(attempt.protocol),
        Err((reason, _)) => telemetry::auth_failure(reason, attempt.protocol),
    }
    outcome.map_err(|(_, error)| error)
}

/// A refusal and its reason, which is for the counters only: the client learns no more than that
/// the two do not fit.
type Refused = (&'static str, Error);

fn wrong(reason: &'static str) -> Refused {
    (reason, Error::new(Kind::BadCredentials, "The login name or the password is wrong"))
}

fn trouble(error: Error) -> Refused {
    ("temporary", error)
}

async fn check(shared: &Shared, attempt: &LoginAttempt) -> Result<Arc<Account>, Refused> {
    let password = &attempt.password.0;
    let Some(login) = LoginName::parse(&attempt.login) else {
        return Err(wrong("malformed"));
    };
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(wrong("malformed"));
    }
    if let Some(account) = from_cache(shared, &login, attempt) {
        return Ok(account);
    }
    let deadline = Deadline::after(LOOKUP_TIME);
    let subject = match find(shared, &login, deadline).await.map_err(trouble)? {
        Looked { found: Some(found), .. } => Subject::Account(found.account.id),
        // The full name, so that "nobody" with and without the domain is one subject, as it
        // would be for an account: the throttle must not tell which names exist.
        Looked { name: Some(name), .. } => shared.login.unknown(&name.to_string()),
        Looked { .. } => shared.login.unknown(&attempt.login),
    };
    let turn = shared.login.turn(&subject, attempt.source, deadline).await;
    let _turn = turn.map_err(trouble)?;
    if let Some(account) = from_cache(shared, &login, attempt) {
        return Ok(account);
    }
    let throttle = &shared.login.throttle;
    let charge = throttle
        .charge(subject, attempt.source, shared.now_ms())
        .map_err(|error| ("throttled", error))?;
    // Read again: waiting for the turn may have taken a while, and "wrong" must be true now.
    match verify(shared, &login, attempt, deadline).await {
        Ok(account) => {
            throttle.succeeded(&charge);
            Ok(account)
        }
        Err((reason, error)) => {
            if error.kind != Kind::BadCredentials {
                throttle.withdraw(&charge);
            }
            Err((reason, error))
        }
    }
}

/// The account, if this very password was verified a short time ago.
fn from_cache(shared: &Shared, login: &LoginName, attempt: &LoginAttempt) -> Option<Arc<Account>> {
    let now_ms = shared.now_ms();
    let name = match login {
        LoginName::Full(name) => name.clone(),
        LoginName::Bare(local) => {
            Name::of(&Address::new(local.as_str(), shared.cache.default_domain(now_ms)?))?
        }
    };
    let account = shared.cache.account_named(&name, now_ms)?;
    let mac = shared.login.mac(account.id, &attempt.password.0);
    if !may_sign_in(&account) || !shared.cache.is_verified(account.id, &mac, now_ms) {
        return None;
    }
    shared.login.throttle.remember(account.id, attempt.source);
    telemetry::cached_login();
    Some(account)
}

fn may_sign_in(account: &Account) -> bool {
    account.enabled && account.kind == AccountKind::User
}

/// Reads the account and its password and compares. One hash in every case.
async fn verify(
    shared: &Shared,
    login: &LoginName,
    attempt: &LoginAttempt,
    deadline: Deadline,
) -> Result<Arc<Account>, Refused> {
    let ticket = shared.cache.ticket();
    let Looked { found, .. } = find(shared, login, deadline).await.map_err(trouble)?;
    let stored = found.as_ref().and_then(|found| found.password.clone());
    let phc = stored.as_ref().map(|row| row.phc.clone());
    let hasher = &shared.login.hasher;
    let right = hasher.verify(&attempt.password, phc).await.map_err(trouble)?;
    let Some(Found { name, account, default_domain, .. }) = found else {
        return Err(wrong("unknown"));
    };
    let Some(stored) = stored else {
        return Err(wrong("no_password"));
    };
    if !right {
        return Err(wrong("password"));
    }
    if !account.enabled {
        return Err(wrong("disabled"));
    }
    if !may_sign_in(&account) {
        return Err(wrong("not_a_person"));
    }
    let account = Arc::new(account);
    let mac = shared.login.mac(account.id, &attempt.password.0);
    let until_ms = shared.now_ms().saturating_add(shared.config.verified_ttl_ms);
    shared.cache.keep_account(ticket, Some(&name), &account);
    shared.cache.keep_verified(ticket, account.id, mac, until_ms);
    if let Some(default) = default_domain {
        shared.cache.keep_default_domain(ticket, &default);
    }
    if stored.shared_salt || hasher.needs_rehash(&stored.phc) {
        rehash::rehash(shared, account.id, stored, &attempt.password, deadline).await;
    }
    Ok(account)
}

/// What stands under a login name.
#[derive(Default)]
struct Looked {
    /// The full name, if it could be anybody's.
    name: Option<Name>,
    found: Option<Found>,
}

struct Found {
    name: Name,
    account: Account,
    password: Option<PasswordRow>,
    /// Where it was read, because the login had no domain.
    default_domain: Option<String>,
}

async fn find(shared: &Shared, login: &LoginName, deadline: Deadline) -> Result<Looked> {
    view_by(&shared.store, deadline, |reader| look(reader, login.clone()).boxed()).await
}

async fn look(reader: Reader<'_>, login: LoginName) -> ReadResult<Looked> {
    let (name, default_domain) = match login {
        LoginName::Full(name) => (Some(name), None),
        LoginName::Bare(local) => {
            let default = reader.default_domain().await?;
            (default.as_ref().and_then(|d| Name::of(&Address::new(local, d))), default)
        }
    };
    let Some(name) = name else {
        return Ok(Looked::default());
    };
    let Some(Target::Account(id)) = reader.name(&name).await?.map(|row| row.target) else {
        return Ok(Looked { name: Some(name), found: None });
    };
    let (account, password) = futures::try_join!(reader.account(id), reader.password(id))?;
    let found = account.map(|account| {
        let name = name.clone();
        Found { name, account, password, default_domain }
    });
    Ok(Looked { name: Some(name), found })
}

/// What was typed as login name.
#[derive(Clone)]
enum LoginName {
    Full(Name),
    /// A local part; the domain is the default one.
    Bare(String),
}

impl LoginName {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > LOCAL_BYTES_MAX + 1 + DOMAIN_BYTES_MAX || text.chars().any(char::is_control)
        {
            return None;
        }
        if text.contains('@') {
            return Address::parse_plain(text).as_ref().and_then(Name::of).map(Self::Full);
        }
        // The rules for local parts are Name's; the domain is filled in later.
        Name::of(&Address::new(text, "")).map(|name| Self::Bare(name.local))
    }
}
