//! The promises of the mailbox contract as tests that every implementation runs.
//!
//! An implementation provides a [`World`]: accounts, their mailboxes, and the blobs beside them.
//! Each case gets a new world and fails by panicking; make each of [`cases`] a test of its
//! own. The cases hold while the store fails at random (conflicts, unknown and late
//! commits, stale reads), so run them with and without.
//!
//! Beside the basics of mail they hold, without any protocol, what the hardest protocols need:
//! MAPI's reserved ids, foreign keys and predecessor lists, ActiveSync's two states of a
//! collection, DAV's names and tags, and all of it under a litigation hold.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod attachments;
mod changes;
mod commands;
mod delivery;
mod desk;
mod folders;
mod guests;
mod hold;
mod items;
mod mail;
mod search_folders;
mod trees;
mod versions;

use crate::Mailboxes;
use async_trait::async_trait;
use base::{AccountId, QueueId};
use contract_blob::Blobs;
use desk::Desk;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The domain of every account.
pub const DOMAIN: &str = "rialto.test";

/// One installation, at first without accounts, and the time around it.
#[async_trait]
pub trait World: Send + Sync {
    /// Its mailboxes.
    fn mailboxes(&self) -> Arc<dyn Mailboxes>;

    /// Its blobs.
    fn blobs(&self) -> Arc<dyn Blobs>;

    /// Makes the account `name@rialto.test`.
    async fn account(&self, name: &str) -> AccountId;

    /// Changes an account.
    async fn set(&self, account: AccountId, setting: Setting);

    /// Whether a message waits in the queue.
    async fn is_queued(&self, queue: QueueId) -> bool;

    /// How many bytes have been written to the store, if that is known.
    fn bytes_written(&self) -> Option<u64>;

    /// How many blobs the store has, after everything that nobody holds has been collected.
    async fn blobs_held(&self) -> usize;

    /// 128 random bits.
    fn random(&self) -> u128;

    /// Lets time pass for everybody.
    async fn pass(&self, how_long: Duration);
}

/// What can be set of an account.
#[derive(Clone, Debug)]
pub enum Setting {
    /// Litigation hold.
    Hold(bool),
    /// Nothing is received from so many bytes on.
    NoReceiveBytes(u64),
    /// Who may open the mailbox beside its owner.
    FullAccess(Vec<AccountId>),
}

/// One promise: its name, and the test of it in a new world.
pub type Case = (&'static str, fn(Arc<dyn World>) -> Pin<Box<dyn Future<Output = ()> + Send>>);

macro_rules! cases {
    ($($module:ident :: $name:ident,)*) => {
        vec![$((stringify!($name), |world| {
            Box::pin(async move { $module::$name(Desk::new(world, "alice").await).await })
        }),)*]
    };
}

/// All cases.
pub fn cases() -> Vec<Case> {
    cases![
        mail::what_is_appended_can_be_read,
        mail::flags_are_set_added_and_removed,
        mail::flags_change_only_what_nobody_changed_meanwhile,
        mail::copies_are_new_and_moves_are_not,
        mail::a_delta_tells_what_happened_since,
        mail::uids_and_changes_only_grow,
        mail::recent_messages_are_claimed_once,
        mail::bytes_are_given_up_with_the_last_message,
        folders::the_default_folders_are_there_and_stay,
        folders::folders_are_made_renamed_and_removed,
        folders::subscriptions_are_paths,
        folders::renaming_the_inbox_moves_its_messages,
        commands::a_command_sent_twice_is_applied_once,
        commands::only_those_with_a_right_may,
        guests::guests_see_what_they_may_read,
        guests::guests_change_what_they_may,
        guests::guests_make_folders_of_their_own,
        guests::guests_search_only_what_they_may_read,
        guests::guests_are_given_rights_one_by_one,
        guests::guests_find_the_mailboxes_that_are_shared_with_them,
        commands::a_full_mailbox_takes_nothing,
        commands::a_watch_wakes_up,
        delivery::a_message_is_delivered_once,
        delivery::sending_queues_and_keeps_a_copy_or_neither,
        items::every_type_of_property_comes_back,
        items::ids_can_be_reserved_and_are_never_given_twice,
        items::foreign_keys_are_unique_in_a_folder,
        items::associated_items_have_no_uid,
        trees::items_are_embedded_three_deep,
        trees::an_authored_item_can_be_fetched,
        trees::what_arrived_as_a_message_stays_as_it_came,
        items::items_are_removed_by_id,
        items::permissions_are_kept,
        trees::a_copy_is_a_tree_of_its_own,
        trees::unheld_content_goes_when_it_is_replaced,
        trees::an_item_can_lose_everything,
        versions::an_etag_protects_what_somebody_else_wrote,
        versions::versions_made_elsewhere_are_compared,
        versions::what_is_imported_twice_is_one_item,
        changes::read_state_is_told_apart_from_content,
        changes::names_survive_in_tombstones,
        changes::history_is_told_in_pieces,
        changes::a_new_uid_is_no_removal,
        changes::a_move_is_new_where_it_arrives,
        changes::a_device_has_two_states_of_a_collection,
        changes::read_state_can_be_kept_for_each_user,
        changes::attack_33_positions_that_nobody_was_given,
        attachments::a_large_attachment_is_neither_read_nor_copied,
        attachments::attachments_come_and_go_under_their_numbers,
        hold::an_edit_keeps_the_old_version,
        hold::nothing_is_purged,
        hold::without_it_purges_are_final,
        search_folders::members_follow_flags_arrivals_and_removals,
        search_folders::a_search_folder_finds_what_was_there,
        search_folders::members_are_read_but_not_changed_there,
        search_folders::a_folder_that_goes_takes_its_members_along,
        search_folders::what_cannot_be_kept_up_to_date_is_refused,
    ]
}
