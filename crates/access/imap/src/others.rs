//! Other people's mailboxes, and shared ones: the names below `Other Users/` (RFC 2342 §5).
//!
//! `Other Users/alice@example.org/INBOX/Work` is Alice's folder Inbox/Work. A folder is shown to
//! who may see it (Full Access, or a right in the folder), and what may be done there is decided
//! by the mailbox alone. A mailbox in which somebody has no right at all is for them like one that
//! does not exist.
//!
//! A folder of one's own that is called `Other Users` comes first: it may have been made by another
//! protocol. IMAP makes none.

use crate::command::{failed, no_such, tree};
use crate::reply::{Reply, Stop};
use crate::service::Shared;
use crate::state::User;
use crate::tree::{DELIMITER, Tree};
use base::{AccountId, Address, Error, FolderId, Kind, SessionId};
use codec_imap::{Code, MailboxName};
use contract_directory::{Account, Resolved};
use contract_mailbox::{FolderInfo, MailboxHandle, Permission, Principal};
use futures::{StreamExt, TryStreamExt};
use std::ops::Deref;
use std::sync::Arc;

/// What the namespace is called.
pub(crate) const OTHERS: &str = "Other Users";

/// What its names begin with.
pub(crate) const PREFIX: &str = "Other Users/";

/// The most mailboxes of others that are shown in lists. All can be opened by their names.
pub(crate) const OWNERS_MAX: usize = 250;

/// How many of them are asked at once.
const OWNERS_AT_ONCE: usize = 8;

/// Where a name leads: to the user's own mailbox, or to another one.
pub(crate) enum Place<'u> {
    /// The own.
    Own(&'u User),
    /// Somebody else's: the user as a visitor there.
    Other(Box<User>),
}

impl Deref for Place<'_> {
    type Target = User;

    fn deref(&self) -> &User {
        match self {
            Self::Own(user) => user,
            Self::Other(user) => user,
        }
    }
}

impl Place<'_> {
    /// The visitor, where it is somebody else's.
    pub(crate) fn visitor(self) -> Option<Box<User>> {
        match self {
            Self::Own(_) => None,
            Self::Other(user) => Some(user),
        }
    }
}

/// A name with what it means.
pub(crate) struct Located<'u, 'n> {
    /// Whose mailbox.
    pub(crate) place: Place<'u>,
    /// The name in it.
    pub(crate) name: &'n str,
    /// Its folders, as far as they may be seen.
    pub(crate) tree: Tree,
}

impl Located<'_, '_> {
    /// The folder of that name, if it can be selected.
    pub(crate) fn find(&self) -> Option<&FolderInfo> {
        self.tree.find(self.name)
    }

    /// What may be done in a folder, as bits of [`Permission`].
    pub(crate) async fn rights(&self, folder: FolderId) -> Result<u32, Stop> {
        if let Place::Own(_) = self.place {
            return Ok(Permission::ALL);
        }
        let all = self.place.mailbox.rights().await.map_err(|error| failed("rights", error))?;
        Ok(all.into_iter().find(|(id, _)| *id == folder).map_or(0, |(_, rights)| rights))
    }
}

/// [`locate`], where a mailbox that is not there ends the command.
pub(crate) async fn find<'u, 'n>(
    shared: &Shared,
    user: &'u User,
    name: &'n MailboxName,
) -> Result<Located<'u, 'n>, Stop> {
    locate(shared, user, name.as_str()).await?.ok_or_else(|| no_such(name).into())
}

/// Finds out whose mailbox a name belongs to, and reads its folders. With another's mailbox that
/// is not there or shows nothing, `None`: no such mailbox.
pub(crate) async fn locate<'u, 'n>(
    shared: &Shared,
    user: &'u User,
    name: &'n str,
) -> Result<Option<Located<'u, 'n>>, Stop> {
    let own = tree(user).await?;
    let named = match own.has(OTHERS) {
        true => None,
        false => split(name),
    };
    let Some((owner, name)) = named else {
        return Ok(Some(Located { place: Place::Own(user), name, tree: own }));
    };
    let Some(owner) = account(shared, &owner).await? else {
        return Ok(None);
    };
    let visitor = visitor(shared, user, owner);
    match folders(&visitor).await? {
        Some(tree) => Ok(Some(Located { place: Place::Other(Box::new(visitor)), name, tree })),
        None => Ok(None),
    }
}

/// Refuses to make a folder in the way of other people's.
pub(crate) fn check_new(located: &Located<'_, '_>) -> Result<(), Stop> {
    let Located { place, name, tree } = located;
    let first = name.split(DELIMITER).next().unwrap_or_default();
    if matches!(place, Place::Own(_)) && first == OTHERS && !tree.has(OTHERS) {
        let text = "That name is where other people's mailboxes are";
        return Err(Reply::no(Code::Cannot, text).into());
    }
    Ok(())
}

/// The owners of the mailboxes that are to be shown to somebody: those that gave Full Access, and
/// those that gave rights in folders. Some may show nothing any more.
pub(crate) async fn owners(
    shared: &Shared,
    user: &User,
    max: usize,
) -> Result<Vec<AccountId>, Stop> {
    let me = user.account.id;
    let (full, some) = tokio::try_join!(
        shared.directory.full_access_of(me, max),
        shared.mailboxes.shared_with(me, max),
    )
    .map_err(|error| failed("LIST", error))?;
    let mut owners: Vec<AccountId> = full.into_iter().chain(some).filter(|id| *id != me).collect();
    owners.sort_unstable();
    owners.dedup();
    owners.truncate(max);
    Ok(owners)
}

/// The folders that are shown of these mailboxes. Those that cannot be reached now are left out:
/// a list must not fail because one of many mailboxes has no owner for a moment.
pub(crate) async fn trees(
    shared: &Shared,
    user: &User,
    owners: Vec<AccountId>,
) -> Result<Vec<(Arc<Account>, User, Tree)>, Stop> {
    let each = owners.into_iter().map(|id| async move {
        let owner = match shared.directory.account(id).await {
            Ok(owner) if owner.enabled => owner,
            Ok(_) => return Ok(None),
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            Err(error) => return Err(failed("LIST", error)),
        };
        let visitor = visitor(shared, user, owner.clone());
        Ok::<_, Stop>(match folders(&visitor).await {
            Ok(Some(tree)) => Some((owner, visitor, tree)),
            Ok(None) | Err(_) => None,
        })
    });
    let found = futures::stream::iter(each).buffered(OWNERS_AT_ONCE);
    found.try_filter_map(async |found| Ok(found)).try_collect().await
}

/// The account of an address, where it has a mailbox that may be opened.
pub(crate) async fn account(
    shared: &Shared,
    address: &Address,
) -> Result<Option<Arc<Account>>, Stop> {
    match shared.directory.resolve(address).await {
        Ok(Resolved::Account(account)) => Ok(Some(account)),
        Ok(_) => Ok(None),
        Err(error) => Err(failed("a mailbox of others", error)),
    }
}

/// A name in somebody's mailbox as others see it.
pub(crate) fn shown(owner: &Address, name: &str) -> String {
    let owner = encode(&owner.to_string());
    if name.is_empty() { format!("{PREFIX}{owner}") } else { format!("{PREFIX}{owner}/{name}") }
}

/// The owner that a name below [`OTHERS`] names, and the name in that mailbox; empty for the
/// mailbox itself.
pub(crate) fn split(name: &str) -> Option<(Address, &str)> {
    let rest = name.strip_prefix(PREFIX)?;
    let (owner, name) = rest.split_once(DELIMITER).unwrap_or((rest, ""));
    Some((Address::parse_plain(&decode(owner)?)?, name))
}

/// The user as somebody who looks into another mailbox. Commands are numbered for each visit.
fn visitor(shared: &Shared, user: &User, owner: Arc<Account>) -> User {
    let mailbox = MailboxHandle::new(
        shared.mailboxes.clone(),
        owner.id,
        Principal::Account(user.account.id),
        SessionId(shared.env.random.u128()),
    );
    User {
        account: user.account.clone(),
        wake: mailbox.watch(),
        mailbox,
        claims: user.claims.clone(),
        enabled: user.enabled,
        _place: None,
        visiting: Some(owner),
        visit: None,
    }
}

/// What a visitor sees; `None` where that is nothing.
async fn folders(visitor: &User) -> Result<Option<Tree>, Stop> {
    match visitor.mailbox.folders().await {
        Ok(folders) => Ok(Some(Tree::new(folders))),
        Err(Error { kind: Kind::Denied | Kind::NotFound, .. }) => Ok(None),
        Err(error) => Err(failed("folders", error)),
    }
}

/// An address as one part of a path: what separates parts is written as in URLs.
fn encode(address: &str) -> String {
    address.replace('%', "%25").replace(DELIMITER, "%2F")
}

fn decode(part: &str) -> Option<String> {
    let mut text = String::with_capacity(part.len());
    let mut rest = part;
    while let Some((plain, escaped)) = rest.split_once('%') {
        text.push_str(plain);
        let (code, after) = (escaped.get(..2)?, escaped.get(2..)?);
        text.push(match code {
            "25" => '%',
            "2F" | "2f" => DELIMITER,
            _ => return None,
        });
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_peoples_mailboxes() {
        let check = |name: &str, expect: Option<(&str, &str, &str)>| {
            let found = split(name);
            let found = found.as_ref().map(|(a, name)| (&a.local[..], &a.domain[..], *name));
            assert_eq!(found, expect, "{name}");
        };
        check("Other Users/alice@a.test", Some(("alice", "a.test", "")));
        check("Other Users/alice@a.test/", Some(("alice", "a.test", "")));
        check("Other Users/Alice@A.test/INBOX/x", Some(("Alice", "a.test", "INBOX/x")));
        check("Other Users/a%2Fb%25@a.test/x", Some(("a/b%", "a.test", "x")));
        for none in ["Other Users", "Other Users/", "Other Users/x/y", "Other Usersa@b/x", "INBOX"]
        {
            check(none, None);
        }
        check("Other Users/a%@a.test/x", None);
        check("Other Users/a%2", None);
        check("Other Users/%é@a.test", None);
    }

    #[test]
    fn what_is_shown_is_found() {
        for local in ["alice", "a/b", "100%", "%2F"] {
            let address = Address::new(local, "a.test");
            let name = shown(&address, "INBOX/x");
            assert_eq!(split(&name), Some((address.clone(), "INBOX/x")), "{name}");
            assert_eq!(name.matches('/').count(), 3, "{name}");
        }
    }
}
