//! Housekeeping: what may go goes, what is held stays.

use super::help::{folder, inbox, kind, named, set};
use crate::support::{World, in_memory};
use base::AccountId;
use base::env::sim::Simulation;
use base::universe::Universe;
use contract_directory::{AccountChange, Quota};
use contract_mailbox::request::StoreMode;
use contract_mailbox::{MailboxHandle, Principal, SpecialUse, SystemFlags, Write};
use service_mailbox::Config;

const DAY_MS: i64 = 24 * 3600 * 1000;

fn in_time<F: Future<Output = ()>>(seed: u64, test: impl FnOnce(World, Simulation) -> F) {
    Universe::simulate(seed, async |simulation| {
        let world = World::new(simulation.env(), Config::default()).await;
        test(world, simulation).await;
    });
}

/// Makes days go by; the next change brings the housekeeping with it.
async fn days(simulation: &Simulation, handle: &MailboxHandle, days: i64) {
    simulation.clock.step_ms(days * DAY_MS);
    handle.subscribe("Anything".into(), true).await.unwrap();
    // Behind the housekeeping, which lets others in between its chunks.
    for _ in 0..10 {
        handle.folders().await.unwrap();
    }
}

async fn in_folder(world: &World, account: AccountId, role: SpecialUse) -> u64 {
    let system = world.handle_as(account, Principal::System);
    system.folder(role.folder_id()).await.unwrap().counts.messages
}

async fn remove(handle: &MailboxHandle, first: u32, last: u32) {
    let deleted = named(SystemFlags::DELETED);
    handle.store(inbox(), set(first, last), StoreMode::Add, deleted, None).await.unwrap();
    handle.expunge(inbox(), None).await.unwrap();
}

#[test]
fn removed_messages_can_be_recovered_for_two_weeks() {
    in_time(1, async |world, simulation| {
        let account = world.account("sweep").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 460).await;
        remove(&handle, 1, 450).await;
        days(&simulation, &handle, 7).await;
        remove(&handle, 451, 452).await;
        days(&simulation, &handle, 6).await;
        assert_eq!(in_folder(&world, account, SpecialUse::Deletions).await, 452);
        assert!(handle.usage().await.unwrap().recoverable_bytes > 0);
        // Their blobs are held as long.
        simulation.clock.step_ms(3600 * 1000);
        while world.blobs.collect(1000).await.unwrap().more {}
        let blobs = world.rows(b"BM").await.len();
        days(&simulation, &handle, 2).await;
        assert_eq!(in_folder(&world, account, SpecialUse::Deletions).await, 2);
        world.sound(account).await;
        simulation.clock.step_ms(3600 * 1000);
        while world.blobs.collect(1000).await.unwrap().more {}
        assert_eq!(blobs - world.rows(b"BM").await.len(), 450);
    });
}

#[test]
fn a_hold_keeps_everything() {
    in_time(2, async |world, simulation| {
        let account = world.account("hold").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 5).await;
        remove(&handle, 1, 3).await;
        let hold = |on| AccountChange { litigation_hold: Some(on), ..AccountChange::default() };
        world.change_account(account, hold(true)).await;
        days(&simulation, &handle, 60).await;
        assert_eq!(in_folder(&world, account, SpecialUse::Deletions).await, 3);
        world.change_account(account, hold(false)).await;
        days(&simulation, &handle, 2).await;
        assert_eq!(in_folder(&world, account, SpecialUse::Deletions).await, 0);
        world.sound(account).await;
    });
}

#[test]
fn dedupe_rows_and_answers_have_their_time() {
    in_time(3, async |world, simulation| {
        let account = world.account("rows").await;
        let handle = world.handle(account);
        let transport = world.handle_as(account, Principal::Transport);
        for number in 0..3 {
            let delivery = world.queued(&super::help::small(number)).await;
            transport.write(Write::Deliver(Box::new(delivery))).await.unwrap();
        }
        let deliveries = kind(account, b'd').build();
        let results = kind(account, b'x').build();
        assert!(world.rows(b"Q/m/").await.is_empty());
        days(&simulation, &handle, 6).await;
        assert_eq!(world.rows(&deliveries).await.len(), 3);
        let late = world.queued(&super::help::small(9)).await;
        transport.write(Write::Deliver(Box::new(late))).await.unwrap();
        days(&simulation, &handle, 2).await;
        assert_eq!(world.rows(&deliveries).await.len(), 1);
        // Only the session that is still there has an answer.
        assert_eq!(world.rows(&results).await.len(), 1);
        world.sound(account).await;
    });
}

/// Rows of messages that are in the queue still stay, however many they are, and do not keep others
/// from going.
#[test]
fn dedupe_rows_behind_many_that_stay_go_all_the_same() {
    in_time(8, async |world, simulation| {
        let account = world.account("suspended").await;
        let handle = world.handle(account);
        let transport = world.handle_as(account, Principal::Transport);
        let mut waiting = Vec::new();
        for number in 0..520 {
            let mut delivery = world.queued(&super::help::small(number)).await;
            delivery.ends_queue_entry = false;
            waiting.push(transport.write(Write::Deliver(Box::new(delivery))));
        }
        for delivered in futures::future::join_all(waiting).await {
            delivered.unwrap();
        }
        simulation.clock.step_ms(1_000);
        let last = world.queued(&super::help::small(520)).await;
        transport.write(Write::Deliver(Box::new(last))).await.unwrap();
        let deliveries = kind(account, b'd').build();
        assert_eq!(world.rows(&deliveries).await.len(), 521);
        days(&simulation, &handle, 9).await;
        assert_eq!(world.rows(&deliveries).await.len(), 520);
        world.sound(account).await;
    });
}

#[test]
fn a_deleted_folder_goes_in_pieces() {
    in_time(4, async |world, simulation| {
        let account = world.account("folder").await;
        let handle = world.handle(account);
        let doomed = folder(&handle, "doomed").await;
        world.fill(&handle, doomed, 450).await;
        handle.delete_folder(doomed).await.unwrap();
        assert_eq!(handle.usage().await.unwrap().items, 0);
        world.sound(account).await;
        days(&simulation, &handle, 13).await;
        assert_eq!(world.sound(account).await.items, 450);
        days(&simulation, &handle, 2).await;
        let report = world.sound(account).await;
        assert_eq!((report.items, report.folders), (0, 16));
        assert_eq!(handle.usage().await.unwrap().recoverable_bytes, 0);
        for kind_of_row in *b"bcmrfqu" {
            let left = world.rows(&kind(account, kind_of_row).u64(doomed.0).build()).await;
            assert_eq!(left, [], "{}", kind_of_row as char);
        }
    });
}

/// A mailbox that is never idle is looked after all the same, and errors do not end that.
#[test]
fn housekeeping_is_tried_again() {
    if !in_memory() {
        return;
    }
    in_time(5, async |world, simulation| {
        let account = world.account("again").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 3).await;
        remove(&handle, 1, 3).await;
        simulation.clock.step_ms(20 * DAY_MS);
        // The change itself succeeds; the housekeeping after it does not.
        let before = world.memory().stats().applied;
        let breaking = async {
            while world.memory().stats().applied == before {
                tokio::task::yield_now().await;
            }
            world.memory().fail_next_commit(store_memory::CommitFault::OutOfSpace);
        };
        let (changed, ()) = futures::join!(handle.subscribe("Anything".into(), true), breaking);
        changed.unwrap();
        handle.folders().await.unwrap();
        assert_eq!(in_folder(&world, account, SpecialUse::Deletions).await, 3);
        simulation.clock.step_ms(3600 * 1000);
        handle.subscribe("Anything".into(), true).await.unwrap();
        handle.folders().await.unwrap();
        assert_eq!(in_folder(&world, account, SpecialUse::Deletions).await, 0);
        world.sound(account).await;
    });
}

/// Tombstones have their time and their number; who stands further back is told to begin anew.
#[test]
fn what_has_gone_is_forgotten_in_the_end() {
    in_time(6, async |world, simulation| {
        let account = world.account("history").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 30).await;
        let tombstones = kind(account, b'e').u64(inbox().0).build();
        let early = handle.folder(inbox()).await.unwrap().highest_change;
        remove(&handle, 1, 10).await;
        let first = handle.folder(inbox()).await.unwrap().highest_change;
        days(&simulation, &handle, 2).await;
        remove(&handle, 11, 15).await;
        let second = handle.folder(inbox()).await.unwrap().highest_change;
        for _ in 0..44 {
            days(&simulation, &handle, 2).await;
        }
        // All of it is younger than 90 days, or was when anybody looked last.
        assert_eq!(world.rows(&tombstones).await.len(), 15);
        let delta = handle.delta(inbox(), early).await.unwrap();
        assert!(delta.complete && delta.vanished.len() == 15);
        days(&simulation, &handle, 3).await;
        assert_eq!(world.rows(&tombstones).await.len(), 5);
        world.sound(account).await;
        let delta = handle.delta(inbox(), early).await.unwrap();
        assert!(!delta.complete && delta.vanished.is_empty() && delta.changed.is_empty());
        let steps = handle.item_changes(inbox(), early, 100).await;
        assert_eq!(steps.unwrap_err().kind, base::Kind::Conflict);
        // Who knew of the last that was forgotten misses nothing.
        let delta = handle.delta(inbox(), first).await.unwrap();
        assert!(delta.complete && delta.vanished.len() == 5, "{delta:?}");
        assert_eq!(handle.item_changes(inbox(), first, 100).await.unwrap().0.len(), 5);
        days(&simulation, &handle, 10).await;
        assert_eq!(world.rows(&tombstones).await.len(), 0);
        assert!(handle.delta(inbox(), second).await.unwrap().complete);
        let (steps, more) = handle.item_changes(inbox(), base::Change(0), 100).await.unwrap();
        assert_eq!((steps.len(), more), (15, false));
        world.sound(account).await;
    });
}

#[test]
fn a_folder_remembers_a_bounded_number_of_what_has_gone() {
    Universe::simulate(7, async |simulation| {
        let config = Config { tombstones_max: 100, ..Config::default() };
        let world = World::new(simulation.env(), config).await;
        let account = world.account("many").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 60).await;
        // A thousand and some hundred go from the one folder, sixty from the other.
        let archive = super::help::archive();
        for _ in 0..22 {
            let all = contract_mailbox::UidSet::all();
            handle.copy(inbox(), all.clone(), archive).await.unwrap();
            handle.move_messages(archive, all, inbox()).await.unwrap();
            let last = handle.folder(inbox()).await.unwrap().uid_next.0;
            remove(&handle, last - 60, last).await;
        }
        let of = |folder: base::FolderId| kind(account, b'e').u64(folder.0).build();
        let counts =
            async || (world.rows(&of(inbox())).await.len(), world.rows(&of(archive)).await.len());
        assert_eq!(counts().await, (1_320, 1_320));
        let since = handle.folder(archive).await.unwrap().highest_change;
        days(&simulation, &handle, 2).await;
        for _ in 0..10 {
            handle.folders().await.unwrap();
        }
        assert_eq!(counts().await, (100, 100));
        world.sound(account).await;
        let delta = handle.delta(archive, base::Change(since.0 - 50)).await.unwrap();
        assert!(delta.complete);
        assert!(!handle.delta(archive, base::Change(1)).await.unwrap().complete);
    });
}

/// The owner of a mailbox that is nearly full hears of it, once a day.
#[test]
fn a_full_mailbox_tells_its_owner_once_a_day() {
    in_time(9, async |world, simulation| {
        let account = world.account("full").await;
        let handle = world.handle(account);
        world.fill(&handle, inbox(), 5).await;
        let used = handle.usage().await.unwrap().size_bytes;
        let subjects = async || {
            let view = handle.view(inbox()).await.unwrap();
            let uids = super::help::uids(&view);
            let found = super::help::subjects(&handle, inbox(), &uids).await;
            found.into_iter().skip(5).map(|(_, subject)| subject).collect::<Vec<_>>()
        };
        let quota = |warn: u64, no_send: u64| AccountChange {
            quota: Some(Quota {
                warn_bytes: Some(warn),
                no_send_bytes: Some(no_send),
                no_receive_bytes: None,
            }),
            ..AccountChange::default()
        };
        world.change_account(account, quota(used + 1, used + 2)).await;
        days(&simulation, &handle, 2).await;
        assert_eq!(subjects().await, [""; 0]);
        world.change_account(account, quota(used, 1 << 40)).await;
        let mut news = handle.watch();
        news.mark_unchanged();
        simulation.clock.step_ms(DAY_MS - 1_000);
        handle.subscribe("Anything".into(), false).await.unwrap();
        assert_eq!(subjects().await, [""; 0], "the day is not over");
        days(&simulation, &handle, 1).await;
        let almost = "Your mailbox is almost full";
        assert_eq!(subjects().await, [almost]);
        assert!(news.has_changed().unwrap());
        for _ in 0..5 {
            simulation.clock.step_ms(DAY_MS / 10);
            handle.subscribe("Anything".into(), true).await.unwrap();
        }
        assert_eq!(subjects().await, [almost]);
        // Not even another owner says it again, and the message is like any other.
        let sound = world.sound(account).await;
        assert_eq!((sound.items, sound.messages), (6, 6));
        world.change_account(account, quota(used, used)).await;
        days(&simulation, &handle, 1).await;
        assert_eq!(subjects().await, [almost, "Your mailbox is too full to send messages"]);
        world.change_account(account, quota(1 << 40, 1 << 40)).await;
        days(&simulation, &handle, 1).await;
        assert_eq!(subjects().await.len(), 2);
        world.sound(account).await;
    });
}
