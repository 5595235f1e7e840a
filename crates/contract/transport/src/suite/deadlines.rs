//! An answer by the deadline, and one that stays true: whoever is told to try again sends the
//! message again, as a new one.

use super::sender::Sender;
use super::{Ends, note};
use crate::Fate;
use base::{Deadline, Kind, Result};
use std::time::Duration;

/// How long a client's command may take.
const COMMAND: Duration = Duration::from_secs(10);

/// What the clocks may be apart.
const SLACK: Duration = Duration::from_millis(100);

/// An answer, which must be there by its deadline.
async fn in_time<T>(how_long: Duration, ask: impl AsyncFnOnce(Deadline) -> Result<T>) -> Result<T> {
    let late = Deadline::after(how_long + SLACK);
    let answer = ask(Deadline::after(how_long)).await;
    assert!(!late.has_passed(), "no answer within {how_long:?}");
    answer
}

pub(super) async fn an_answer_is_there_by_the_deadline_and_stays_true(sender: Sender) {
    let mut told = Vec::new();
    for (number, silent_s) in [0, 2, 6, 9, 11, 30].into_iter().enumerate() {
        let text = format!("m{number}.");
        let submission = sender.submission("x@peer.test", &["alice"], &text).await;
        let transport = sender.world.transport().await;
        if !sender.world.silence(silent_s > 0) && silent_s > 0 {
            note("the store cannot fall silent here");
            break;
        }
        let speaks = async {
            sender.pass_s(silent_s).await;
            sender.world.silence(false);
        };
        let accepts = in_time(COMMAND, async |by| transport.accept_by(submission, by).await);
        let (accepted, ()) = futures::join!(accepts, speaks);
        if let Err(error) = &accepted {
            assert!(error.is_temporary(), "{error:?}");
        }
        told.push((text, silent_s, accepted.is_ok()));
        sender.pass_s(60).await;
    }
    sender.settle().await;
    assert!(told[0].2, "nothing was wrong with the first");
    for (text, silent_s, accepted) in told {
        let copies = sender.copies("alice", &text).await;
        assert_eq!(copies, usize::from(accepted), "silent for {silent_s} s");
    }
}

pub(super) async fn commits_of_unknown_outcome_end_one_way(sender: Sender) {
    use Ends::{Late, UnknownMade, UnknownNotMade};
    let trouble: [&[Ends]; 7] = [
        &[UnknownMade],
        &[UnknownNotMade],
        &[Late],
        &[Late, Late],
        &[Late, Late, Late],
        &[UnknownNotMade, UnknownMade],
        &[Late, UnknownNotMade, Late],
    ];
    for (number, trouble) in trouble.into_iter().enumerate() {
        let text = format!("m{number}.");
        let submission = sender.submission("x@peer.test", &["alice"], &text).await;
        let transport = sender.world.transport().await;
        if !trouble.iter().all(|ends| sender.world.next_commit(*ends)) {
            return note("commits do not fail here");
        }
        let queue = submission.queue;
        let accepts = async |by| transport.accept_by(submission, by).await;
        let accepted = in_time(COMMAND, accepts).await;
        sender.world.land();
        sender.pass_s(60).await;
        sender.world.land();
        let fate = sender.steady(|| transport.withdraw(queue)).await.unwrap();
        let truth = if accepted.is_ok() { Fate::Accepted } else { Fate::Withdrawn };
        assert_eq!(fate, truth, "{trouble:?}: {accepted:?}");
        sender.settle().await;
        let copies = sender.copies("alice", &text).await;
        assert_eq!(copies, usize::from(accepted.is_ok()), "{trouble:?}: {accepted:?}");
    }
}

pub(super) async fn what_was_withdrawn_is_never_accepted(sender: Sender) {
    let submission = sender.submission("x@peer.test", &["alice"], "never").await;
    for _ in 0..2 {
        let transport = sender.world.transport().await;
        let fate = sender.steady(|| transport.withdraw(submission.queue)).await;
        assert_eq!(fate.unwrap(), Fate::Withdrawn);
        let refused = sender.accept(&submission).await;
        assert_eq!(refused.map_err(|error| error.kind), Err(Kind::Overloaded));
        let accepts = async |by| transport.accept_by(submission.clone(), by).await;
        let refused = in_time(COMMAND, accepts).await;
        assert_eq!(refused.map_err(|error| error.kind), Err(Kind::Overloaded));
        assert_eq!(sender.count().await, 0);
        sender.world.restart().await;
    }
    sender.pass_s(600).await;
    sender.arrived("never", 0, 0).await;
}

pub(super) async fn what_was_accepted_is_not_withdrawn(sender: Sender) {
    sender.world.stop_mailboxes().await;
    let queue = sender.send("x@peer.test", &["alice"], "ours").await;
    let fate = async || {
        let transport = sender.world.transport().await;
        sender.steady(|| transport.withdraw(queue)).await.unwrap()
    };
    assert_eq!(fate().await, Fate::Accepted, "while it waits");
    sender.world.restart().await;
    sender.settle().await;
    assert_eq!(fate().await, Fate::Accepted, "when it has been delivered");
    let transport = sender.world.transport().await;
    let by = in_time(COMMAND, async |by| transport.withdraw_by(queue, by).await).await;
    assert!(by.is_err() || by == Ok(Fate::Accepted), "{by:?}");
    sender.arrived("ours", 1, 0).await;
}

pub(super) async fn of_acceptance_and_withdrawal_one_wins(sender: Sender) {
    let mut fates = Vec::new();
    for number in 0..24 {
        let text = format!("m{number}.");
        let submission = sender.submission("x@peer.test", &["alice"], &text).await;
        let transport = sender.world.transport().await;
        let withdraws = async {
            for _ in 0..number % 12 {
                tokio::task::yield_now().await;
            }
            sender.steady(|| transport.withdraw(submission.queue)).await.unwrap()
        };
        let (accepted, fate) = futures::join!(sender.accept(&submission), withdraws);
        match fate {
            Fate::Accepted => assert_eq!(accepted, Ok(()), "{text}"),
            Fate::Withdrawn => {
                assert_eq!(accepted.map_err(|error| error.kind), Err(Kind::Overloaded), "{text}");
            }
        }
        fates.push((text, fate));
    }
    sender.settle().await;
    for (text, fate) in fates {
        sender.arrived(&text, usize::from(fate == Fate::Accepted), 0).await;
    }
}

pub(super) async fn a_withdrawal_goes_on_behind_its_deadline(sender: Sender) {
    let submission = sender.submission("x@peer.test", &["alice"], "never").await;
    let transport = sender.world.transport().await;
    if !sender.world.silence(true) {
        return note("the store cannot fall silent here");
    }
    let short = Duration::from_secs(1);
    let by = in_time(short, async |by| transport.withdraw_by(submission.queue, by).await).await;
    let said = by.expect_err("nobody knows yet");
    assert!(matches!(said.kind, Kind::Timeout | Kind::Unavailable), "{said:?}");
    sender.world.silence(false);
    sender.pass_s(60).await;
    let refused = sender.accept(&submission).await;
    assert_eq!(refused.map_err(|error| error.kind), Err(Kind::Overloaded));
    sender.settle().await;
    sender.arrived("never", 0, 0).await;
}
