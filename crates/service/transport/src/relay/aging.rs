//! What becomes of the messages of a hop that cannot be reached: the senders of those that have
//! waited for hours are told, those that have waited for days come back.
//!
//! A hop's messages stand in the order of their acceptance, so both are at the beginning; how far
//! senders have been told is remembered with the hop. Nothing else is read.

use super::record;
use super::resubmit::concerns_all;
use super::rows;
use super::run::{Finish, PAGE, ready};
use super::settle::{self, Change, Place};
use crate::context::Claim;
use crate::targets::Failure;
use base::{QueueId, Result, Timestamp};
use contract_store::KeyRange;
use contract_transport::courier::{Answer, Verdict};

/// Tells of delays and ends what has expired; gives up to where has been told.
///
/// # Errors
/// [`base::Kind::Fenced`]; the store's.
pub(super) async fn age(
    hop: &Finish<'_>,
    told: QueueId,
    answer: &Answer,
    expires: bool,
    now: Timestamp,
) -> Result<QueueId> {
    let config = &hop.context.config;
    if expires {
        let before = now.plus_ms(-config.expiry_ms);
        each(hop, QueueId::default(), QueueId::new(before, 0), Do::Expire(answer)).await?;
    }
    let until = QueueId::new(now.plus_ms(-config.delay_notice_ms), 0);
    each(hop, told, until, Do::Tell(answer)).await?;
    Ok(told.max(until))
}

/// All messages of the hop fail.
///
/// # Errors
/// As [`age`].
pub(super) async fn fail_all(hop: &Finish<'_>, answer: &Answer) -> Result<()> {
    each(hop, QueueId::default(), QueueId(u128::MAX), Do::Fail(answer)).await
}

/// What is done to a message.
#[derive(Clone, Copy)]
enum Do<'a> {
    Expire(&'a Answer),
    Tell(&'a Answer),
    Fail(&'a Answer),
}

/// Does something to each message from one name to before another.
async fn each(hop: &Finish<'_>, from: QueueId, until: QueueId, what: Do<'_>) -> Result<()> {
    let Finish { context, slot, hop: name, .. } = *hop;
    let end = rows::ready(slot, name, until);
    let mut begin = rows::ready(slot, name, from);
    while begin < end {
        let (found, more) = ready(context, &KeyRange::new(begin, end.clone()), PAGE).await?;
        let last = found.last().copied();
        for queue in found {
            match one(hop, queue, what).await {
                // A damaged one must not keep the others.
                Err(error) if !concerns_all(error.kind) => {
                    tracing::error!(%queue, hop = %name, %error, "a message cannot be aged");
                }
                done => done?,
            }
        }
        match last.filter(|_| more) {
            Some(last) => begin = KeyRange::single(&rows::ready(slot, name, last)).end,
            None => return Ok(()),
        }
    }
    Ok(())
}

async fn one(hop: &Finish<'_>, queue: QueueId, what: Do<'_>) -> Result<()> {
    let Finish { context, slot, fence, hop: name } = *hop;
    // Whatever an administrator does to it meanwhile is as good.
    let Some(_claim) = Claim::take_in(context, queue, slot) else { return Ok(()) };
    let Some(relay) = record::load(context, slot, queue).await? else { return Ok(()) };
    if relay.is_set_aside() {
        return Ok(());
    }
    let recipients = relay.entry.envelope.recipients.iter().enumerate();
    let change = match what {
        Do::Expire(answer) => {
            let is_unreachable = name.is_unreachable();
            let expired =
                |(place, one): (usize, &contract_transport::Recipient)| match is_unreachable {
                    true => Failure::unroutable(one.address.clone(), place, answer),
                    false => Failure::expired(one.address.clone(), place, answer),
                };
            Change { failures: recipients.map(expired).collect(), ..Change::default() }
        }
        Do::Fail(answer) => {
            let verdicts = vec![Verdict::Failed(answer.clone()); recipients.len()];
            settle::decide(&relay, &verdicts, context.env.clock.now(), &context.config)
        }
        Do::Tell(answer) => {
            let mut left = relay.clone();
            left.state.last_error = settle::describe(answer);
            let tells_delay =
                settle::take_delay(&mut left, context.env.clock.now(), &context.config);
            if !tells_delay {
                return Ok(());
            }
            Change { left: Some(left), tells_delay, ..Change::default() }
        }
    };
    Place { context, slot, fence }.write(&relay, change).await.map(|_| ())
}
