//! Other people's mailboxes in LIST.
//!
//! They are shown where a pattern asks for them by name (`Other Users/*`), and where they are
//! subscribed to. A `*` alone does not reach them: who synchronises everything means what is his
//! own, and nobody waits for other mailboxes to be asked (RFC 2342 §5 leaves that to the server).

use super::{Name, matches_any};
use crate::others::{self, OTHERS, OWNERS_MAX, PREFIX};
use crate::reply::Stop;
use crate::service::Shared;
use crate::state::User;
use crate::tree::{DELIMITER, Tree};
use base::{AccountId, Address};
use codec_imap::command::List;
use contract_mailbox::{FolderInfo, Permission};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Another's mailbox that is shown.
pub(super) struct Visit {
    /// The user there.
    pub(super) visitor: User,
    tree: Tree,
}

impl Visit {
    /// A folder by the name that it has here, if it can be opened.
    pub(super) fn find(&self, path: &str) -> Option<&FolderInfo> {
        self.tree.find(others::split(path)?.1)
    }
}

/// Adds the names of other people's folders that the command may show; gives whose they are.
/// `subscribed` are the user's subscriptions.
pub(super) async fn add(
    shared: &Shared,
    user: &User,
    own: &Tree,
    command: &List,
    names: &mut BTreeMap<String, Name>,
    subscribed: &BTreeSet<String>,
) -> Result<Vec<Visit>, Stop> {
    let mut visits = Vec::new();
    if own.has(OTHERS) {
        return Ok(visits);
    }
    let owners = owners(shared, user, command, names).await?;
    for (owner, visitor, tree) in others::trees(shared, user, owners).await? {
        let rights: HashMap<_, _> = match command.returns.my_rights || !command.status.is_empty() {
            true => match visitor.mailbox.rights().await {
                Ok(rights) => rights.into_iter().collect(),
                Err(_) => continue,
            },
            false => HashMap::new(),
        };
        let mut any = false;
        for entry in tree.entries() {
            let path = others::shown(&owner.address, entry.path);
            any = true;
            let name = Name {
                exists: true,
                selectable: entry.selectable,
                children: entry.children,
                subscribed: subscribed.contains(&path),
                special: None,
                rights: rights.get(&entry.info.id).copied().unwrap_or_default(),
                visit: Some(visits.len()),
            };
            names.insert(path, name);
        }
        if any {
            for above in [OTHERS.to_owned(), others::shown(&owner.address, "")] {
                let name = names.entry(above).or_default();
                (name.exists, name.selectable, name.children) = (true, false, true);
            }
        }
        visits.push(Visit { visitor, tree });
    }
    Ok(visits)
}

/// Whose mailboxes are to be asked, in order of their accounts.
async fn owners(
    shared: &Shared,
    user: &User,
    command: &List,
    names: &BTreeMap<String, Name>,
) -> Result<Vec<AccountId>, Stop> {
    let mut found = BTreeSet::new();
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut all = false;
    for pattern in &command.patterns {
        match reach(&format!("{}{}", command.reference, pattern.as_str())) {
            Reach::Nobody => {}
            Reach::All => all = true,
            Reach::One(owner) => drop(named.insert(owner.folded())),
        }
    }
    if all {
        found.extend(others::owners(shared, user, OWNERS_MAX).await?);
    }
    let below = names.range(PREFIX.to_owned()..).take_while(|(path, _)| path.starts_with(PREFIX));
    let subscribed = below.filter(|(path, name)| name.subscribed && matches_any(command, path));
    let owner = |path: &str| others::split(path).map(|(owner, _)| owner.folded());
    named.extend(subscribed.filter_map(|(path, _)| owner(path)).take(OWNERS_MAX));
    for address in named.iter().filter_map(|address| Address::parse_plain(address)) {
        let account = others::account(shared, &address).await?;
        found.extend(account.map(|account| account.id).filter(|id| *id != user.account.id));
    }
    Ok(found.into_iter().take(OWNERS_MAX).collect())
}

/// How far a pattern reaches into the namespace.
#[derive(Debug, PartialEq, Eq)]
enum Reach {
    Nobody,
    One(Address),
    All,
}

/// What stands before the first wildcard decides.
fn reach(pattern: &str) -> Reach {
    let plain = &pattern[..pattern.find(['*', '%']).unwrap_or(pattern.len())];
    if plain == OTHERS {
        return Reach::All;
    }
    let Some(rest) = plain.strip_prefix(PREFIX) else {
        return Reach::Nobody;
    };
    let complete = rest.contains(DELIMITER) || plain.len() == pattern.len();
    match others::split(plain) {
        Some((owner, _)) if complete => Reach::One(owner),
        _ => Reach::All,
    }
}

/// The owner may do everything.
pub(super) const OWNERS_RIGHTS: u32 = Permission::ALL;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_reach_as_far_as_they_say() {
        let alice = || Reach::One(Address::new("alice", "a.test"));
        for (pattern, expect) in [
            ("*", Reach::Nobody),
            ("%", Reach::Nobody),
            ("Other*", Reach::Nobody),
            ("INBOX", Reach::Nobody),
            ("Other Users", Reach::All),
            ("Other Users%", Reach::All),
            ("Other Users/%", Reach::All),
            ("Other Users/*", Reach::All),
            ("Other Users/a*", Reach::All),
            ("Other Users/alice@a.test%", Reach::All),
            ("Other Users/alice@a.test", alice()),
            ("Other Users/alice@a.test/%", alice()),
            ("Other Users/alice@a.test/INBOX/*", alice()),
        ] {
            assert_eq!(reach(pattern), expect, "{pattern}");
        }
    }
}
