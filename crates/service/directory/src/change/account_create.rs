//! Making accounts, one or 100,000.
//!
//! **Passwords in bulk.** One argon2id hash takes some 20 ms of a core, 100,000 of them half an
//! hour. [`many`] therefore computes one hash per *distinct* password of the call and gives it,
//! salt included, to all accounts that were given that password. What this costs: whoever steals
//! the rows sees which accounts were provisioned with the same password, and guesses it once for
//! all of them. They do share the password, though; each gets a salt of its own at its first
//! sign-in or password change. Whoever imports accounts with passwords of their own hands in
//! ready-made hashes (PHC strings, `$argon2id$…`), which costs nothing here. That is accepted in
//! bulk only, so that nobody can set somebody's hash where a password is expected.

use super::{Effects, Plan, check_domain, check_free, run, set_name, take_ids, taken};
use crate::config::{CREATE_CHUNK, CREATE_CHUNK_BYTES};
use crate::keys;
use crate::login::hash;
use crate::names::Name;
use crate::read::{ReadResult, Reader};
use crate::rows::{AccountRow, Changed, PasswordRow, Row, Target};
use crate::service::Shared;
use crate::validate::{self, shown};
use async_trait::async_trait;
use base::{AccountId, Address, Error, Result, Timestamp};
use contract_directory::{Account, AccountKind, Actor, Attributes, MailFlow, NewAccount, Role};
use futures::{StreamExt, TryStreamExt};
use std::collections::{BTreeSet, HashMap, HashSet};

const LOOKUPS_AT_ONCE: usize = 64;

/// Makes one account.
pub(crate) async fn one(shared: &Shared, actor: &Actor, new: NewAccount) -> Result<AccountId> {
    let name = check(&new)?;
    let mut password = None;
    if let Some(secret) = &new.password {
        validate::password(secret)?;
        let phc = shared.login.hasher.hash(secret, &*shared.env.random).await?;
        password = Some(PasswordRow { phc, shared_salt: false });
    }
    let plan = CreateAccounts { accounts: vec![Prepared { new, name, password }] };
    run(shared, actor, &plan).await.map(AccountId)
}

/// Makes many accounts in chunks, each all or none. Everything that can be checked without the
/// store is checked before the first.
pub(crate) async fn many(shared: &Shared, actor: &Actor, new: Vec<NewAccount>) -> Result<u64> {
    let mut names = HashSet::with_capacity(new.len());
    for account in &new {
        let name = check(account)?;
        match &account.password {
            Some(secret) if hash::is_phc(secret) => hash::check_phc(secret)?,
            Some(secret) => validate::password(secret)?,
            None => {}
        }
        if !names.insert(name) {
            return Err(taken(&account.address));
        }
    }
    drop(names);
    let mut hashes = Hashes::count(&new);
    let mut made = 0;
    let mut chunk = Chunk::default();
    for account in new {
        let name = check(&account)?;
        let password = hashes.password(shared, &account).await?;
        if chunk.is_full_for(&account) {
            made += chunk.make(shared, actor).await?;
        }
        chunk.add(Prepared { new: account, name, password });
    }
    Ok(made + chunk.make(shared, actor).await?)
}

/// Checks what can be checked without the store; gives the name of the address.
fn check(new: &NewAccount) -> Result<Name> {
    let name = validate::own_address(&new.address)?;
    validate::display_name(&new.display_name)?;
    if let Some(quota) = &new.quota {
        validate::quota(quota)?;
    }
    if new.kind == AccountKind::Contact {
        let text = format!("account {}: a contact has no mailbox", shown(&new.address));
        return Err(Error::invalid(text));
    }
    if new.kind != AccountKind::User && new.password.is_some() {
        let text = format!("account {}: only a user mailbox has a password", shown(&new.address));
        return Err(Error::invalid(text));
    }
    Ok(name)
}

/// The hashes of one call: each distinct password once.
struct Hashes {
    uses: HashMap<String, usize>,
    done: HashMap<String, String>,
}

impl Hashes {
    fn count(new: &[NewAccount]) -> Self {
        let mut uses = HashMap::new();
        for secret in new.iter().filter_map(|account| account.password.as_ref()) {
            *uses.entry(secret.0.clone()).or_default() += 1;
        }
        Self { uses, done: HashMap::new() }
    }

    async fn password(
        &mut self,
        shared: &Shared,
        account: &NewAccount,
    ) -> Result<Option<PasswordRow>> {
        let Some(secret) = &account.password else {
            return Ok(None);
        };
        if hash::is_phc(secret) {
            return Ok(Some(PasswordRow { phc: secret.0.clone(), shared_salt: false }));
        }
        let shared_salt = self.uses.get(&secret.0).is_some_and(|uses| *uses > 1);
        if let Some(phc) = self.done.get(&secret.0) {
            return Ok(Some(PasswordRow { phc: phc.clone(), shared_salt }));
        }
        let phc = shared.login.hasher.hash(secret, &*shared.env.random).await?;
        if shared_salt {
            self.done.insert(secret.0.clone(), phc.clone());
        }
        Ok(Some(PasswordRow { phc, shared_salt }))
    }
}

/// Accounts that will be made in one transaction.
#[derive(Default)]
struct Chunk {
    accounts: Vec<Prepared>,
    bytes: usize,
}

impl Chunk {
    fn size_of(new: &NewAccount) -> usize {
        new.address.local.len() + new.address.domain.len() + new.display_name.len() + 2
    }

    fn is_full_for(&self, next: &NewAccount) -> bool {
        self.accounts.len() >= CREATE_CHUNK || self.bytes + Self::size_of(next) > CREATE_CHUNK_BYTES
    }

    fn add(&mut self, account: Prepared) {
        self.bytes += Self::size_of(&account.new);
        self.accounts.push(account);
    }

    async fn make(&mut self, shared: &Shared, actor: &Actor) -> Result<u64> {
        let Self { accounts, .. } = std::mem::take(self);
        let count = accounts.len() as u64;
        if count > 0 {
            run(shared, actor, &CreateAccounts { accounts }).await?;
        }
        Ok(count)
    }
}

/// One account that has been checked and hashed.
struct Prepared {
    new: NewAccount,
    name: Name,
    password: Option<PasswordRow>,
}

impl Prepared {
    fn account(&self, id: AccountId, created: Timestamp) -> Account {
        let NewAccount { address, display_name, kind, quota, role, .. } = &self.new;
        let display_name =
            if display_name.is_empty() { &address.local } else { display_name }.clone();
        Account {
            id,
            kind: *kind,
            address: Address::new(address.local.as_str(), &self.name.domain),
            aliases: Vec::new(),
            display_name,
            enabled: true,
            quota: quota.unwrap_or_default(),
            send_as: Vec::new(),
            full_access: Vec::new(),
            smtp_sent_copy: false,
            litigation_hold: false,
            role: *role,
            created,
            credentials: 0,
            flow: MailFlow::default(),
            attributes: Attributes::default(),
        }
    }
}

struct CreateAccounts {
    accounts: Vec<Prepared>,
}

#[async_trait]
impl Plan for CreateAccounts {
    fn action(&self) -> &'static str {
        "account.create"
    }

    async fn apply(&self, reader: Reader<'_>, now: Timestamp) -> ReadResult<Effects> {
        let domains: BTreeSet<&str> =
            self.accounts.iter().map(|account| account.name.domain.as_str()).collect();
        for domain in domains {
            check_domain(reader, domain).await?;
        }
        let checks: Vec<_> = self
            .accounts
            .iter()
            .map(|account| check_free(reader, &account.name, &account.new.address, None))
            .collect();
        futures::stream::iter(checks)
            .buffer_unordered(LOOKUPS_AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        let first = take_ids(reader, self.accounts.len() as u64).await?;
        let mut changed = Vec::with_capacity(self.accounts.len());
        for (id, prepared) in (first..).map(AccountId).zip(&self.accounts) {
            write(reader, prepared, &prepared.account(id, now))?;
            changed.push(Changed::Account(id));
        }
        let (target, parameters) = self.describe();
        Ok(Effects { id: first, changed, target, parameters })
    }
}

fn write(reader: Reader<'_>, prepared: &Prepared, account: &Account) -> Result<()> {
    let tx = reader.tx;
    tx.set(&keys::account(account.id), &AccountRow::from(account).to_bytes()?);
    set_name(tx, &prepared.name, Target::Account(account.id), true)?;
    if let Some(password) = &prepared.password {
        tx.set(&keys::password(account.id), &password.to_bytes()?);
    }
    if account.role != Role::None {
        tx.set(&keys::administrator(account.id), &[]);
    }
    Ok(())
}

impl CreateAccounts {
    /// Target and parameters for the audit. A chunk is one record that names them all.
    fn describe(&self) -> (String, String) {
        if let [only] = &self.accounts[..] {
            let NewAccount { display_name, kind, quota, role, password, .. } = &only.new;
            let parameters = format!(
                "display_name={display_name:?} kind={kind:?} role={role:?} quota={quota:?} \
                 password={}",
                if password.is_some() { "set" } else { "none" },
            );
            return (only.new.address.to_string(), parameters);
        }
        let addresses: Vec<_> = self.accounts.iter().map(|a| a.new.address.to_string()).collect();
        (format!("{} accounts", self.accounts.len()), addresses.join(" "))
    }
}
