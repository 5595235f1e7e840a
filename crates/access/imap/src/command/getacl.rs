//! GETACL (RFC 4314 §3.3), for who administers the folder.
//!
//! Told are the owner and those with Full Access, who have all rights, and whoever has rights in
//! the folder; each by the primary address.

use super::{failed, no_such};
use crate::others::{self, Located};
use crate::reply::{Answer, Reply, Stop};
use crate::rights;
use crate::service::Shared;
use crate::session::Session;
use base::{AccountId, FolderId, Kind};
use codec_imap::command::OfMailbox;
use codec_imap::response::Response;
use codec_imap::{Code, MailboxName, Rights};
use contract_directory::{Account, Resolved};
use contract_mailbox::Permission;
use std::sync::Arc;

/// GETACL.
pub(crate) async fn run(session: &mut Session, command: &OfMailbox) -> Answer {
    let user = session.state.user()?;
    let (located, folder) = find(&session.shared, user, &command.mailbox).await?;
    let permissions = permissions(&located, folder).await?;
    let directory = &session.shared.directory;
    let owner = directory.account(located.place.mailbox.mailbox()).await;
    let owner = owner.map_err(|error| failed("GETACL", error))?;
    let whole = |id: &AccountId| *id == owner.id || owner.full_access.contains(id);
    let mut given: Vec<(AccountId, Rights)> = vec![(owner.id, rights::all())];
    given.extend(owner.full_access.iter().map(|id| (*id, rights::all())));
    let some = permissions.iter().filter(|permission| !whole(&permission.account));
    given.extend(some.map(|permission| (permission.account, rights::of(permission.rights))));
    let mut entries = Vec::with_capacity(given.len());
    for (id, rights) in given {
        match directory.account(id).await {
            Ok(account) => entries.push((account.address.to_string(), rights)),
            // Grants may outlast the account; ids are never used again.
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(failed("GETACL", error)),
        }
    }
    session.wire.put(&Response::Acl(command.mailbox.as_str(), &entries));
    Ok(Reply::ok("Done"))
}

/// The folder of a name, wherever it is.
pub(super) async fn find<'u, 'n>(
    shared: &Shared,
    user: &'u crate::state::User,
    name: &'n MailboxName,
) -> Result<(Located<'u, 'n>, FolderId), Stop> {
    let located = others::find(shared, user, name).await?;
    match located.find().map(|info| info.id) {
        Some(folder) => Ok((located, folder)),
        None => Err(no_such(name).into()),
    }
}

/// A folder's permissions; refused to who does not administer it.
pub(super) async fn permissions(
    located: &Located<'_, '_>,
    folder: FolderId,
) -> Result<Vec<Permission>, Stop> {
    let permissions = located.place.mailbox.permissions(folder).await;
    permissions.map_err(|error| failed("ACL", error))
}

/// Whom an identifier means: an account of ours, by an address, or by the bare name in the default
/// domain. There is no `anyone`, and there are no negative rights (RFC 4314 §2).
pub(super) async fn who(shared: &Shared, identifier: &str) -> Result<Arc<Account>, Stop> {
    let not_known =
        || Reply::no(Code::Cannot, "Rights are given to people who have a mailbox here");
    let address = match identifier.contains('@') {
        true => base::Address::parse_plain(identifier),
        false => {
            let domains = shared.directory.domains().await.map_err(|e| failed("ACL", e))?;
            let default = domains.iter().find(|domain| domain.default);
            default.map(|domain| base::Address::new(identifier, &domain.name))
        }
    };
    match shared.directory.resolve(&address.ok_or_else(not_known)?).await {
        Ok(Resolved::Account(account)) => Ok(account),
        Ok(_) => Err(not_known().into()),
        Err(error) => Err(failed("ACL", error)),
    }
}
