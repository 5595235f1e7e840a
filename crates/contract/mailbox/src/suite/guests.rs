//! Somebody else's mailbox: what rights in folders allow, and that nothing else is allowed.

use super::desk::{Desk, deleted, inbox, note, refused, seen, subject, trash, uids};
use crate::request::StoreMode;
use crate::{
    FolderClass, ItemEdit, MailboxHandle, Permission, Principal, Search, SpecialUse, UidSet,
};
use base::{Change, FolderId, Kind, Uid};

/// A guest with rights in the Inbox, and what stands in it.
async fn guest(desk: &Desk, rights: u32) -> (MailboxHandle, Permission) {
    let colleague = desk.colleague("grace").await;
    let permission = Permission { account: colleague.account, rights };
    desk.me.set_permissions(inbox(), vec![permission]).await.unwrap();
    (desk.session_of(Principal::Account(colleague.account)), permission)
}

async fn allow(desk: &Desk, folder: FolderId, permission: Permission, rights: u32) {
    let permission = Permission { rights, ..permission };
    desk.me.set_permissions(folder, vec![permission]).await.unwrap();
}

pub(super) async fn guests_see_what_they_may_read(desk: Desk) {
    desk.append(inbox(), &["mail"]).await;
    desk.append(trash(), &["secret"]).await;
    let (item, secret) = (desk.items_in(inbox()).await[0], desk.items_in(trash()).await[0]);
    let (guest, permission) = guest(&desk, 0).await;
    refused(guest.folders().await, Kind::Denied);
    refused(guest.folder(inbox()).await, Kind::Denied);

    // To see a folder is not to read it.
    allow(&desk, inbox(), permission, Permission::VISIBLE).await;
    let folders = guest.folders().await.unwrap();
    assert_eq!(folders.iter().map(|info| info.id).collect::<Vec<_>>(), [inbox()]);
    assert_eq!(guest.folder(inbox()).await.unwrap().counts.messages, 1);
    refused(guest.folder(trash()).await, Kind::Denied);
    refused(guest.view(inbox()).await, Kind::Denied);
    refused(guest.item(item).await, Kind::Denied);

    allow(&desk, inbox(), permission, Permission::READ_ANY).await;
    assert_eq!(guest.view(inbox()).await.unwrap().entries().count(), 1);
    assert_eq!(guest.meta(inbox(), vec![Uid(1)]).await.unwrap().len(), 1);
    assert_eq!(guest.delta(inbox(), Change(0)).await.unwrap().changed.len(), 1);
    assert_eq!(guest.item(item).await.unwrap().id, item);
    assert_eq!(guest.search(inbox(), Search::All).await.unwrap(), [Uid(1)]);
    assert_eq!(guest.item_changes(inbox(), Change(0), 9).await.unwrap().0.len(), 1);
    refused(guest.view(trash()).await, Kind::Denied);
    refused(guest.view(FolderId(9_999)).await, Kind::Denied);
    refused(guest.item(secret).await, Kind::Denied);
    // The owner's own business.
    refused(guest.permissions(inbox()).await, Kind::Denied);
    refused(guest.usage().await, Kind::Denied);
    refused(guest.subscriptions().await, Kind::Denied);
    refused(guest.collection_state("phone".into(), inbox()).await, Kind::Denied);

    desk.me.set_permissions(inbox(), Vec::new()).await.unwrap();
    refused(guest.view(inbox()).await, Kind::Denied);
}

pub(super) async fn guests_change_what_they_may(desk: Desk) {
    desk.append(inbox(), &["one", "two"]).await;
    desk.append(trash(), &["other"]).await;
    let (items, other) = (desk.items_in(inbox()).await, desk.items_in(trash()).await[0]);
    let (read, edit, delete) = (Permission::READ_ANY, Permission::EDIT_ANY, Permission::DELETE_ANY);
    let (guest, permission) = guest(&desk, read).await;
    let all = UidSet::all;
    let store = async |flags| guest.store(inbox(), all(), StoreMode::Add, flags, None).await;
    let edit_one = || ItemEdit { set: subject("changed"), ..ItemEdit::default() };
    refused(store(seen()).await, Kind::Denied);
    refused(guest.set_read(vec![items[0]], true).await, Kind::Denied);
    refused(guest.edit_item(items[0], edit_one()).await, Kind::Denied);

    allow(&desk, inbox(), permission, read | edit).await;
    assert_eq!(store(seen()).await.unwrap().entries.len(), 2);
    refused(store(deleted()).await, Kind::Denied);
    guest.set_read(vec![items[0]], false).await.unwrap();
    guest.edit_item(items[0], edit_one()).await.unwrap();
    refused(guest.set_read(vec![items[0], other], true).await, Kind::Denied);
    refused(guest.edit_item(other, edit_one()).await, Kind::Denied);
    refused(guest.delete_items(inbox(), vec![items[0]], false).await, Kind::Denied);
    refused(guest.expunge(inbox(), None).await, Kind::Denied);
    let one = uids(&[Uid(1)]);
    refused(guest.move_messages(inbox(), one.clone(), inbox()).await, Kind::Denied);
    refused(guest.copy(inbox(), one.clone(), inbox()).await, Kind::Denied);
    let message = desk.message(b"Subject: from a guest\r\n\r\n").await;
    refused(guest.append(inbox(), vec![message.clone()]).await, Kind::Denied);
    refused(guest.create_item(inbox(), note("n", "n")).await, Kind::Denied);

    allow(&desk, inbox(), permission, Permission::CREATE).await;
    guest.append(inbox(), vec![message]).await.unwrap();
    guest.create_item(inbox(), note("n", "n")).await.unwrap();
    refused(guest.copy(inbox(), one.clone(), inbox()).await, Kind::Denied);

    allow(&desk, inbox(), permission, read | edit | delete).await;
    store(deleted()).await.unwrap();
    guest.delete_items(inbox(), vec![items[0]], false).await.unwrap();
    refused(guest.delete_items(trash(), vec![other], false).await, Kind::Denied);
    refused(guest.move_messages(inbox(), all(), trash()).await, Kind::Denied);
    assert_eq!(guest.expunge(inbox(), None).await.unwrap().count(), 3);
    assert_eq!(desk.entries(trash()).await.len(), 1);
    // Not even with all rights.
    allow(&desk, inbox(), permission, Permission::ALL).await;
    refused(guest.subscribe("Inbox".into(), false).await, Kind::Denied);
    refused(guest.set_collection_state("phone".into(), inbox(), "s".into()).await, Kind::Denied);
    refused(guest.purge().await, Kind::Denied);
}

pub(super) async fn guests_make_folders_of_their_own(desk: Desk) {
    let (guest, permission) = guest(&desk, Permission::READ_ANY).await;
    let (name, class) = (|| "project".to_owned(), FolderClass::Mail);
    refused(guest.create_folder(inbox(), name(), class, None).await, Kind::Denied);
    allow(&desk, inbox(), permission, Permission::VISIBLE | Permission::CREATE_SUBFOLDER).await;
    let role = Some(SpecialUse::Archive);
    refused(guest.create_folder(inbox(), name(), class, role).await, Kind::Denied);
    let root = SpecialUse::Root.folder_id();
    refused(guest.create_folder(root, name(), class, None).await, Kind::Denied);
    let made = guest.create_folder(inbox(), name(), class, None).await.unwrap().id;
    // Whoever makes a folder may do there what he likes.
    guest.create_item(made, note("a", "b")).await.unwrap();
    assert_eq!(guest.view(made).await.unwrap().entries().count(), 1);
    let given = guest.permissions(made).await.unwrap();
    assert_eq!(given, [Permission { rights: Permission::OF_CREATOR, ..permission }]);
    guest.rename_folder(made, inbox(), "renamed".into()).await.unwrap();
    refused(guest.rename_folder(made, root, "away".into()).await, Kind::Denied);
    refused(guest.rename_folder(inbox(), made, "inbox".into()).await, Kind::Denied);
    refused(guest.delete_folder(inbox()).await, Kind::Denied);
    refused(guest.set_permissions(inbox(), Vec::new()).await, Kind::Denied);
    guest.delete_folder(made).await.unwrap();
    assert!(desk.me.folders().await.unwrap().iter().all(|info| info.id != made));
}

pub(super) async fn guests_search_only_what_they_may_read(desk: Desk) {
    desk.append(inbox(), &["mail"]).await;
    desk.append(trash(), &["secret"]).await;
    let all = SpecialUse::Root.folder_id();
    let scope = vec![inbox(), trash()];
    let search = desk.me.create_search_folder(all, "all".into(), scope.clone(), Search::All);
    let search = search.await.unwrap().id;
    let read = Permission::READ_ANY | Permission::CREATE_SUBFOLDER;
    let (guest, permission) = guest(&desk, read).await;
    allow(&desk, search, permission, Permission::READ_ANY).await;
    // The search folder shows what is elsewhere: that must be theirs to read, too.
    refused(guest.view(search).await, Kind::Denied);
    refused(guest.meta(search, vec![Uid(1), Uid(2)]).await, Kind::Denied);
    let name = || "mine".to_owned();
    let own = guest.create_search_folder(inbox(), name(), scope.clone(), Search::All).await;
    refused(own, Kind::Denied);
    allow(&desk, trash(), permission, Permission::READ_ANY).await;
    assert_eq!(guest.view(search).await.unwrap().entries().count(), 2);
    let own = guest.create_search_folder(inbox(), name(), scope, Search::All).await.unwrap();
    assert_eq!(guest.view(own.id).await.unwrap().entries().count(), 2);
}

pub(super) async fn guests_are_given_rights_one_by_one(desk: Desk) {
    use Permission as P;
    let (grace, henry) = (desk.colleague("grace").await, desk.colleague("henry").await);
    let guest = desk.session_of(Principal::Account(grace.account));
    let grant = async |who: &Desk, mode, rights| {
        desk.me.grant(inbox(), who.account, mode, rights).await.unwrap();
    };
    let given = async || {
        let mut all = desk.me.permissions(inbox()).await.unwrap();
        all.sort_by_key(|permission| permission.account);
        all.iter().map(|permission| permission.rights).collect::<Vec<_>>()
    };
    refused(guest.rights().await, Kind::Denied);
    grant(&grace, StoreMode::Add, P::VISIBLE | P::READ_ANY).await;
    grant(&henry, StoreMode::Replace, P::VISIBLE).await;
    grant(&grace, StoreMode::Add, P::CREATE).await;
    assert_eq!(guest.rights().await.unwrap(), [(inbox(), P::VISIBLE | P::READ_ANY | P::CREATE)]);
    grant(&grace, StoreMode::Remove, P::READ_ANY | P::DELETE_ANY).await;
    assert_eq!(guest.rights().await.unwrap(), [(inbox(), P::VISIBLE | P::CREATE)]);
    assert_eq!(given().await.len(), 2);
    let whole = desk.me.rights().await.unwrap();
    assert!(whole.len() > 5 && whole.iter().all(|(_, rights)| *rights == P::ALL));

    // Who administers a folder gives rights in it, and nobody else.
    let add = StoreMode::Add;
    refused(guest.grant(inbox(), henry.account, add, P::READ_ANY).await, Kind::Denied);
    grant(&grace, StoreMode::Add, P::OWNER).await;
    guest.grant(inbox(), henry.account, add, P::READ_ANY).await.unwrap();
    refused(guest.grant(trash(), henry.account, add, P::READ_ANY).await, Kind::Denied);
    assert!(given().await.contains(&(P::VISIBLE | P::READ_ANY)));

    refused(desk.me.grant(inbox(), desk.account, add, P::READ_ANY).await, Kind::Invalid);
    refused(desk.me.grant(inbox(), henry.account, add, 0x4).await, Kind::Invalid);
    refused(desk.me.grant(FolderId(9_999), henry.account, add, 1).await, Kind::NotFound);

    // Nothing is left of who has nothing left.
    grant(&grace, StoreMode::Replace, 0).await;
    grant(&henry, StoreMode::Remove, P::ALL).await;
    grant(&henry, StoreMode::Remove, P::ALL).await;
    assert_eq!(given().await, Vec::<u32>::new());
    refused(guest.rights().await, Kind::Denied);
}

pub(super) async fn guests_find_the_mailboxes_that_are_shared_with_them(desk: Desk) {
    let (grace, henry) = (desk.colleague("grace").await, desk.colleague("henry").await);
    let found = async |limit| desk.mailboxes.shared_with(grace.account, limit).await.unwrap();
    let (read, none) = (Permission::READ_ANY, Vec::<base::AccountId>::new());
    assert_eq!(found(10).await, none);
    desk.me.grant(inbox(), grace.account, StoreMode::Add, read).await.unwrap();
    assert_eq!(found(10).await, [desk.account]);
    desk.me.grant(trash(), grace.account, StoreMode::Add, read).await.unwrap();
    let permission = Permission { account: grace.account, rights: read };
    henry.me.set_permissions(inbox(), vec![permission]).await.unwrap();
    let mut both = [desk.account, henry.account];
    both.sort();
    assert_eq!(found(10).await, both);
    assert_eq!(found(1).await, both[..1]);
    // As long as anything is left.
    desk.me.grant(inbox(), grace.account, StoreMode::Replace, 0).await.unwrap();
    assert_eq!(found(10).await, both);
    desk.me.set_permissions(trash(), Vec::new()).await.unwrap();
    assert_eq!(found(10).await, [henry.account]);
    assert_eq!(desk.mailboxes.shared_with(henry.account, 10).await.unwrap(), none);
}
