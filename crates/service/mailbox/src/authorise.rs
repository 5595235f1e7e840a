//! Who may do what. The one place where a request meets a right: access crates are never trusted
//! with it.
//!
//! The owner, those with full access and Rialto itself may do everything. Anybody else needs
//! rights in each folder that a request touches ([`Permission`]); nobody has any at first. Requests
//! that name folders are checked by what they name ([`of_read`], [`of_write`]); those that name
//! items where the item's folder is known ([`check`]).

mod author;

use crate::context::Context;
use base::{AccountId, Error, FolderId, Result};
use contract_directory::Account;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{Permission, Principal, Read, SystemFlags, Write};

/// What a principal is to a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It may do everything.
    Whole,
    /// It needs rights in folders.
    Guest(AccountId),
}

impl Standing {
    /// What a principal is to an account's mailbox.
    pub(crate) fn of(owner: &Account, who: Principal) -> Self {
        match who {
            Principal::System | Principal::Transport => Self::Whole,
            Principal::Account(account) if account == owner.id => Self::Whole,
            Principal::Account(account) if owner.full_access.contains(&account) => Self::Whole,
            Principal::Account(account) => Self::Guest(account),
        }
    }

    /// The rights that somebody of this standing has in a folder.
    pub(crate) fn rights(self, permissions: &[Permission]) -> u32 {
        match self {
            Self::Whole => u32::MAX,
            Self::Guest(account) => {
                let own = permissions.iter().find(|permission| permission.account == account);
                own.map_or(0, |permission| permission.rights)
            }
        }
    }
}

/// Refuses somebody who has not all of these rights, given a folder's permissions.
pub(crate) fn check(standing: Standing, permissions: &[Permission], need: u32) -> Result<()> {
    match standing.rights(permissions) & need == need {
        true => Ok(()),
        false => Err(denied()),
    }
}

/// Whether somebody may know that a folder is there.
pub(crate) fn sees(standing: Standing, permissions: &[Permission]) -> bool {
    const ANY: u32 = Permission::VISIBLE | Permission::READ_ANY | Permission::OWNER;
    standing.rights(permissions) & ANY != 0
}

fn denied() -> Error {
    Error::denied("No right to do this in this mailbox")
}

/// What a request needs of somebody who is not the owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// These rights in these folders.
    In(Vec<(FolderId, u32)>),
    /// What it needs is seen item by item.
    OfItems,
    /// Any right in any folder: what cannot be seen is left out.
    Something,
    /// It is the owner's alone.
    Never,
}

/// What a question needs.
pub(crate) fn of_read(request: &Read) -> Need {
    use Permission as P;
    let read = |folder: &FolderId| Need::In(vec![(*folder, P::READ_ANY)]);
    match request {
        Read::Folders | Read::Rights => Need::Something,
        // Whether it may be seen at all is asked where its row is at hand.
        Read::Folder(folder) => Need::In(vec![(*folder, 0)]),
        Read::View(folder)
        | Read::Delta { folder, .. }
        | Read::Meta { folder, .. }
        | Read::MetaPage { folder, .. }
        | Read::Search { folder, .. }
        | Read::Sort { folder, .. }
        | Read::Threads { folder, .. }
        | Read::ItemChanges { folder, .. }
        | Read::ByHref { folder, .. }
        | Read::BySourceKey { folder, .. }
        | Read::ReadBy { folder } => read(folder),
        Read::Item(_) => Need::OfItems,
        Read::Permissions(folder) => Need::In(vec![(*folder, P::OWNER)]),
        Read::Subscriptions | Read::Usage | Read::CollectionState { .. } => Need::Never,
    }
}

/// What a change needs.
pub(crate) fn of_write(request: &Write) -> Need {
    use Permission as P;
    let one = |folder: &FolderId, rights| Need::In(vec![(*folder, rights)]);
    match request {
        // Only the owner gives folders their parts.
        Write::CreateFolder { parent, role: None, .. } | Write::CreateFolders { parent, .. } => {
            one(parent, P::CREATE_SUBFOLDER)
        }
        Write::RenameFolder { folder, parent, .. } => {
            Need::In(vec![(*folder, P::OWNER), (*parent, P::CREATE_SUBFOLDER)])
        }
        Write::DeleteFolder(folder)
        | Write::SetPermissions { folder, .. }
        | Write::Grant { folder, .. }
        | Write::SetReadPerUser { folder, .. } => one(folder, P::OWNER),
        Write::Append { folder, .. } | Write::CreateItem { folder, .. } => one(folder, P::CREATE),
        // The mark of deletion alone is the business of those who may delete (RFC 4314 §4).
        Write::Store { folder, mode, flags, .. }
            if *mode != StoreMode::Replace
                && flags.system == SystemFlags::DELETED
                && flags.keywords.is_empty() =>
        {
            one(folder, P::READ_ANY | P::DELETE_ANY)
        }
        Write::Store { folder, mode, flags, .. } => {
            let deletes = *mode != StoreMode::Remove && flags.system.contains(SystemFlags::DELETED);
            one(folder, P::READ_ANY | P::EDIT_ANY | if deletes { P::DELETE_ANY } else { 0 })
        }
        Write::Copy { from, to, .. } => Need::In(vec![(*from, P::READ_ANY), (*to, P::CREATE)]),
        Write::Move { from, to, .. } => {
            Need::In(vec![(*from, P::READ_ANY | P::DELETE_ANY), (*to, P::CREATE)])
        }
        Write::Expunge { folder, .. } => one(folder, P::DELETE_ANY),
        Write::ClaimRecent(folder) => one(folder, P::READ_ANY),
        Write::EditItem { .. } | Write::SetRead { .. } | Write::DeleteItems { .. } => Need::OfItems,
        Write::CreateSearchFolder { parent, scope, .. } => {
            let scope = scope.iter().map(|folder| (*folder, P::READ_ANY));
            Need::In([(*parent, P::CREATE_SUBFOLDER)].into_iter().chain(scope).collect())
        }
        // Ids are worth nothing without a folder to make items in.
        Write::ReserveIds { .. } => Need::Something,
        Write::CreateFolder { .. }
        | Write::Subscribe { .. }
        | Write::Deliver(_)
        | Write::Submit(_)
        | Write::SetCollectionState { .. }
        | Write::Purge => Need::Never,
    }
}

/// Refuses somebody whose rights are not what a request needs. `permissions` gives those of a
/// folder, `all` those of every folder.
pub(crate) fn satisfied<'p>(
    standing: Standing,
    need: &Need,
    permissions: impl Fn(FolderId) -> Result<&'p [Permission]>,
    mut all: impl Iterator<Item = &'p [Permission]>,
) -> Result<()> {
    if standing == Standing::Whole {
        return Ok(());
    }
    match need {
        // To those who may not even know of it a missing folder is like any other.
        Need::In(folders) => folders.iter().try_for_each(|(folder, rights)| {
            let known = permissions(*folder).map_err(|_| denied())?;
            check(standing, known, *rights)
        }),
        Need::OfItems | Need::Something if all.any(|known| standing.rights(known) != 0) => Ok(()),
        Need::OfItems | Need::Something | Need::Never => Err(denied()),
    }
}

/// Refuses a principal that may not open the mailbox at all.
pub(crate) fn open(owner: &Account, who: Principal) -> Result<()> {
    match who {
        Principal::System => Ok(()),
        // Sessions that are open when an account is disabled end with their next request.
        Principal::Account(_) if !owner.enabled => Err(Error::denied("The mailbox is disabled")),
        Principal::Account(_) => Ok(()),
        Principal::Transport => Err(Error::denied("The transport service only delivers")),
    }
}

/// Refuses a principal that may not make this change, as far as that can be said without knowing
/// the mailbox.
pub(crate) async fn write(
    context: &Context,
    owner: &Account,
    who: Principal,
    request: &Write,
) -> Result<()> {
    match (request, who) {
        (Write::Deliver(_), Principal::Transport) => Ok(()),
        (Write::Deliver(_), _) => Err(Error::denied("Only the transport service delivers")),
        (Write::Submit(outgoing), Principal::Account(account)) => {
            open(owner, who)?;
            if Standing::of(owner, who) != Standing::Whole {
                return Err(denied());
            }
            let envelope = &outgoing.submission.envelope;
            if envelope.authenticated != Some(account) {
                return Err(Error::denied("The envelope names somebody else as its sender"));
            }
            let directory = &*context.directory;
            let acting = directory.account(account).await?;
            match &envelope.sender {
                Some(from) if directory.may_send_as(&acting, from).await? => Ok(()),
                Some(from) => Err(Error::denied(format!("No right to send as {from}"))),
                // Receipts that a mail program writes; they must come from their author.
                None => author::may_be(context, &acting, &outgoing.submission).await,
            }
        }
        _ => open(owner, who),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::{Kind, Uid};
    use contract_mailbox::index::NamedFlags;
    use contract_mailbox::{FolderClass, SpecialUse, UidSet};
    use std::collections::BTreeMap;

    const GUEST: AccountId = AccountId(7);
    const A: FolderId = FolderId(1);
    const B: FolderId = FolderId(2);

    /// Whether a guest with these rights in the folders A and B has what is needed; C is missing.
    fn may(standing: Standing, need: &Need, a: u32, b: u32) -> bool {
        let given = |rights| vec![Permission { account: GUEST, rights }];
        let folders = BTreeMap::from([(A, given(a)), (B, given(b))]);
        let one = |id: FolderId| match folders.get(&id) {
            Some(known) => Ok(&known[..]),
            None => Err(Error::not_found("The folder")),
        };
        let all = folders.values().map(|known| &known[..]);
        match satisfied(standing, need, one, all) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.kind, Kind::Denied);
                false
            }
        }
    }

    /// That a request is granted with exactly these rights, with all rights, to the owner, and with
    /// no bit less.
    fn check_need(need: &Need, a: u32, b: u32) {
        let guest = Standing::Guest(GUEST);
        assert!(may(Standing::Whole, need, 0, 0), "the owner: {need:?}");
        assert!(may(guest, need, a, b), "{a:#x} {b:#x}: {need:?}");
        assert!(may(guest, need, Permission::ALL, Permission::ALL), "{need:?}");
        assert!(!may(Standing::Guest(AccountId(8)), need, a, b), "a stranger: {need:?}");
        for bit in (0..13).map(|bit| 1 << bit) {
            if a & bit != 0 {
                assert!(!may(guest, need, a & !bit, b), "{bit:#x} of A is needed: {need:?}");
            }
            if b & bit != 0 {
                assert!(!may(guest, need, a, b & !bit), "{bit:#x} of B is needed: {need:?}");
            }
        }
    }

    #[test]
    fn questions_need_rights() {
        use Permission as P;
        let check = |request: Read, a, b| check_need(&of_read(&request), a, b);
        check(Read::View(A), P::READ_ANY, 0);
        check(Read::Delta { folder: B, since: base::Change(0) }, 0, P::READ_ANY);
        check(Read::Meta { folder: A, uids: vec![Uid(1)] }, P::READ_ANY, 0);
        check(Read::MetaPage { folder: A, uids: vec![Uid(1)] }, P::READ_ANY, 0);
        check(Read::Search { folder: A, search: contract_mailbox::Search::All }, P::READ_ANY, 0);
        let search = contract_mailbox::Search::All;
        let order = Vec::new();
        check(Read::Sort { folder: A, search: search.clone(), order }, P::READ_ANY, 0);
        let threading = contract_mailbox::Threading::References;
        check(Read::Threads { folder: A, search, threading }, P::READ_ANY, 0);
        check(Read::ReadBy { folder: A }, P::READ_ANY, 0);
        check(Read::Permissions(A), P::OWNER, 0);
        check(Read::Folders, P::VISIBLE, 0);
        check(Read::Rights, P::VISIBLE, 0);
        check(Read::Item(base::ItemId(1)), P::READ_ANY, 0);
    }

    #[test]
    fn changes_need_rights() {
        use Permission as P;
        let check = |request: Write, a, b| check_need(&of_write(&request), a, b);
        let name = || "n".to_owned();
        let create =
            |role| Write::CreateFolder { parent: A, name: name(), class: FolderClass::Mail, role };
        check(create(None), P::CREATE_SUBFOLDER, 0);
        let (names, class) = (vec![name(), name()], FolderClass::Mail);
        check(Write::CreateFolders { parent: A, names, class }, P::CREATE_SUBFOLDER, 0);
        let rename = Write::RenameFolder { folder: A, parent: B, name: name() };
        check(rename, P::OWNER, P::CREATE_SUBFOLDER);
        check(Write::DeleteFolder(A), P::OWNER, 0);
        check(Write::SetPermissions { folder: A, permissions: Vec::new() }, P::OWNER, 0);
        let (account, mode) = (AccountId(9), StoreMode::Add);
        check(Write::Grant { folder: A, account, mode, rights: P::ALL }, P::OWNER, 0);
        check(Write::SetReadPerUser { folder: A, on: true }, P::OWNER, 0);
        check(Write::Append { folder: A, messages: Vec::new() }, P::CREATE, 0);
        check(Write::CreateItem { folder: A, item: Box::default() }, P::CREATE, 0);
        let store = |mode, system| Write::Store {
            folder: A,
            uids: UidSet::all(),
            mode,
            flags: NamedFlags { system, keywords: Vec::new() },
            unchanged_since: None,
        };
        let edit = P::READ_ANY | P::EDIT_ANY;
        check(store(StoreMode::Add, SystemFlags::SEEN), edit, 0);
        let both = SystemFlags::SEEN.union(SystemFlags::DELETED);
        check(store(StoreMode::Remove, both), edit, 0);
        check(store(StoreMode::Add, both), edit | P::DELETE_ANY, 0);
        check(store(StoreMode::Replace, SystemFlags::DELETED), edit | P::DELETE_ANY, 0);
        for mode in [StoreMode::Add, StoreMode::Remove] {
            check(store(mode, SystemFlags::DELETED), P::READ_ANY | P::DELETE_ANY, 0);
        }
        let uids = UidSet::all;
        check(Write::Copy { from: A, uids: uids(), to: B }, P::READ_ANY, P::CREATE);
        let move_ = Write::Move { from: A, uids: uids(), to: B };
        check(move_, P::READ_ANY | P::DELETE_ANY, P::CREATE);
        check(Write::Expunge { folder: A, uids: None }, P::DELETE_ANY, 0);
        check(Write::ClaimRecent(A), P::READ_ANY, 0);
        let search = Write::CreateSearchFolder {
            parent: A,
            name: name(),
            scope: vec![A, B],
            search: contract_mailbox::Search::All,
        };
        check(search, P::CREATE_SUBFOLDER | P::READ_ANY, P::READ_ANY);
        check(Write::ReserveIds { count: 1 }, P::CREATE, 0);
    }

    #[test]
    fn some_things_are_the_owners_alone() {
        let all = Permission::ALL;
        let check = |need: Need| {
            assert!(may(Standing::Whole, &need, 0, 0));
            assert!(!may(Standing::Guest(GUEST), &need, all, all), "{need:?}");
        };
        check(of_read(&Read::Usage));
        check(of_read(&Read::Subscriptions));
        check(of_read(&Read::CollectionState { device: "d".into(), folder: A }));
        check(of_write(&Write::Subscribe { path: "x".into(), on: true }));
        check(of_write(&Write::CreateFolder {
            parent: A,
            name: "n".into(),
            class: FolderClass::Mail,
            role: Some(SpecialUse::Junk),
        }));
        check(of_write(&Write::Purge));
        // What is not there is refused like what is not allowed.
        check(Need::In(vec![(FolderId(3), Permission::READ_ANY)]));
    }

    #[test]
    fn folders_are_seen_with_some_right_to_them() {
        let guest = Standing::Guest(GUEST);
        let check = |rights, expect| {
            let given = [Permission { account: GUEST, rights }];
            assert_eq!(sees(guest, &given), expect, "{rights:#x}");
        };
        check(0, false);
        check(Permission::CREATE, false);
        check(Permission::VISIBLE, true);
        check(Permission::READ_ANY, true);
        check(Permission::OWNER, true);
        assert!(!sees(guest, &[]));
        assert!(sees(Standing::Whole, &[]));
    }
}
