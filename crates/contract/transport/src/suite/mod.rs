//! The promises of [`Transport`], [`QueueAdmin`] and [`MessageTracking`] as tests that every implementation runs.
//!
//! An implementation provides a [`World`]: a node with mailboxes behind it, and the trouble that
//! may come over it. Each case gets a new world and fails by panicking; make each of [`cases`] a
//! test of its own. The cases hold while the store fails at random (conflicts,
//! unknown commits, reads that interleave), so run them with and without. Time must be simulated:
//! they wait for hours.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accepting;
mod administration;
mod deadlines;
mod recipients;
mod sender;
mod tracking;

use crate::tracking::MessageTracking;
use crate::{QueueAdmin, Transport};
use async_trait::async_trait;
use base::{QueueId, Slot, Timestamp};
use contract_blob::Blobs;
use contract_store::Store;
use sender::Sender;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The domain of every mailbox and group; no other domain is accepted.
pub const DOMAIN: &str = "rialto.test";

/// One node and the time around it. There are the mailboxes `alice` and `bob`.
#[async_trait]
pub trait World: Send + Sync {
    /// Accepting, as the node lives now.
    async fn transport(&self) -> Arc<dyn Transport>;

    /// The queue, as the node lives now.
    async fn queue(&self) -> Arc<dyn QueueAdmin>;

    /// What happened, as the node lives now.
    async fn tracking(&self) -> Arc<dyn MessageTracking>;

    /// Its blobs.
    fn blobs(&self) -> Arc<dyn Blobs>;

    /// Its store.
    fn store(&self) -> Arc<dyn Store>;

    /// The slot of a message.
    async fn slot(&self, queue: QueueId) -> Slot;

    /// Makes a group of the domain.
    async fn group(&self, name: &str, members: &[&str]);

    /// The messages in somebody's Inbox.
    async fn inbox(&self, name: &str) -> Vec<String>;

    /// From now on no mailbox takes anything, until the next [`World::restart`].
    async fn stop_mailboxes(&self);

    /// Ends the node and starts it again: everything in memory is gone, hints among it.
    async fn restart(&self);

    /// Whether the store answers nobody from now on; `false` if the world cannot do that.
    fn silence(&self, is_silent: bool) -> bool;

    /// How the next commit that writes ends, whoever makes it; `false` if the world cannot do that.
    fn next_commit(&self, ends: Ends) -> bool;

    /// Lets commits that are still on their way land now, or fail if what they read has changed.
    fn land(&self);

    /// The time.
    fn now(&self) -> Timestamp;

    /// 128 random bits.
    fn random(&self) -> u128;

    /// Lets time pass for everybody.
    async fn pass(&self, how_long: Duration);
}

/// How a commit ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// Made, and nobody hears of it.
    UnknownMade,
    /// Not made, and nobody hears of it.
    UnknownNotMade,
    /// Nobody hears of it, and it lands with [`World::land`].
    Late,
}

/// One promise: its name, and the test of it in a new world.
pub type Case = (&'static str, fn(Arc<dyn World>) -> Pin<Box<dyn Future<Output = ()> + Send>>);

macro_rules! cases {
    ($($module:ident :: $name:ident,)*) => {
        vec![$((stringify!($name), |world| {
            Box::pin(async move { $module::$name(Sender::new(world)).await })
        }),)*]
    };
}

/// All cases.
pub fn cases() -> Vec<Case> {
    cases![
        accepting::what_is_accepted_arrives_once,
        accepting::what_is_accepted_outlives_the_node,
        accepting::accepting_again_is_accepting_once,
        accepting::a_hint_that_was_lost_costs_time_only,
        accepting::hints_may_come_again_and_late,
        accepting::bytes_are_kept_as_long_as_the_message_waits,
        deadlines::an_answer_is_there_by_the_deadline_and_stays_true,
        deadlines::commits_of_unknown_outcome_end_one_way,
        deadlines::what_was_withdrawn_is_never_accepted,
        deadlines::what_was_accepted_is_not_withdrawn,
        deadlines::of_acceptance_and_withdrawal_one_wins,
        deadlines::a_withdrawal_goes_on_behind_its_deadline,
        recipients::each_mailbox_gets_one_copy_however_it_is_named,
        recipients::a_thousand_recipients_are_one_message,
        recipients::the_sender_hears_of_those_whom_nobody_knows,
        recipients::nobody_hears_of_what_was_not_to_be_told,
        recipients::attack_15_reports_are_not_reported,
        administration::what_is_suspended_waits_until_it_is_retried,
        administration::what_was_removed_is_gone,
        administration::whoever_asks_for_what_is_not_queued_is_told,
        administration::pages_are_in_order_and_complete,
        administration::a_message_that_waits_says_why,
        tracking::each_stage_is_told_once,
        tracking::groups_failures_and_reports_are_told,
        tracking::what_administrators_do_is_told,
        tracking::messages_are_found_by_whom_they_concern,
        tracking::what_is_old_is_forgotten,
    ]
}

/// Shown by the test harness where a case fails.
#[allow(clippy::print_stdout)]
fn note(text: &str) {
    println!("transport suite: {text}");
}
