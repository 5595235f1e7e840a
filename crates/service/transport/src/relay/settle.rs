//! What becomes of a message after an attempt: who has it, who never will, when it goes on; and
//! writing that down, with what the sender is told, in one transaction.

use super::record::{self, Relay};
use super::resubmit::Resubmission;
use super::rows;
use super::schedule;
use crate::bounce::{self, Relayed};
use crate::context::{Config, Context};
use crate::queues::{Accepted, target};
use crate::settle::send_hint;
use crate::state::{Waiting, reason};
use crate::targets::Failure;
use crate::tracking;
use base::router::Parcel;
use base::{Kind, Result, Slot, Timestamp};
use contract_control::Fence;
use contract_store::{Attempt, Body, BodyError, Isolation, Transaction, transact};
use contract_transport::courier::{Answer, Verdict};
use contract_transport::tracking::Tracked;
use contract_transport::{QueueCall, Submission, rows as entries};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::time::Duration;

/// Between two attempts at writing something down that has happened: the next hop has the message.
const AGAIN: Duration = Duration::from_secs(1);

/// How often that is tried.
const TRIES_MAX: u32 = 120;

/// What has to be written down of a message.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// What is left of it; `None` if nothing is.
    pub(crate) left: Option<Relay>,
    /// Who will never get it.
    pub(crate) failures: Vec<Failure>,
    /// Who has it, and may be told of.
    pub(crate) relayed: Vec<Relayed>,
    /// Whether the sender is told of the delay for those who are left.
    pub(crate) tells_delay: bool,
    /// What is tracked of it, beside what follows from the rest.
    pub(crate) events: Vec<Tracked>,
    /// What takes its place, where it is routed anew; then nothing is left.
    pub(crate) resubmission: Option<Resubmission>,
}

/// Decides what becomes of a message whose recipients got these verdicts, in order.
pub(crate) fn decide(
    relay: &Relay,
    verdicts: &[Verdict],
    now: Timestamp,
    config: &Config,
) -> Change {
    let mut change = Change::default();
    let (accepted, due) = (relay.entry.accepted, relay.state.next_attempt);
    let before = due.map_or(0, |due| schedule::attempts_before(relay.state.attempts, due, now));
    let attempts = before + 1;
    let is_expired = schedule::is_expired(accepted, now, attempts, config.expiry_ms);
    let (mut recipients, mut last_error) = (Vec::new(), None);
    for (place, recipient) in relay.entry.envelope.recipients.iter().enumerate() {
        let address = recipient.address.clone();
        match verdicts.get(place) {
            Some(Verdict::Relayed { answer, speaks_dsn }) => {
                if recipient.notify.success && !speaks_dsn {
                    let answer = answer.clone();
                    change.relayed.push(Relayed { address, recipient: place, answer });
                }
            }
            Some(Verdict::Failed(answer)) => {
                change.failures.push(Failure::of(address, place, answer));
            }
            Some(Verdict::Later(answer)) if is_expired => {
                change.failures.push(Failure::expired(address, place, answer));
            }
            Some(Verdict::Later(answer)) => {
                last_error = Some(describe(answer));
                recipients.push(recipient.clone());
            }
            None => recipients.push(recipient.clone()),
        }
    }
    if recipients.is_empty() {
        return change;
    }
    let mut left = relay.clone();
    left.entry.envelope.recipients = recipients;
    left.state.attempts = attempts;
    left.state.next_attempt = Some(schedule::next_of_message(now));
    left.state.last_error = last_error.unwrap_or_default();
    change.tells_delay = take_delay(&mut left, now, config);
    change.left = Some(left);
    change
}

/// Whether the sender is to be told of a delay now; then it counts as told.
pub(crate) fn take_delay(relay: &mut Relay, now: Timestamp, config: &Config) -> bool {
    let is_due = now >= relay.entry.accepted.plus_ms(config.delay_notice_ms);
    let tells = is_due && !relay.state.delay_told;
    relay.state.delay_told |= tells;
    tells
}

/// An answer in one line.
pub(crate) fn describe(answer: &Answer) -> String {
    let Answer { code, status, text, host } = answer;
    let code = if *code == 0 { String::new() } else { format!("{code} ") };
    let host = host.as_ref().map(|host| format!(" ({host})")).unwrap_or_default();
    reason(&format!("{code}{status} {}{host}", bounce::one_line(text)))
}

/// Where it is written.
pub(crate) struct Place<'a> {
    pub(crate) context: &'a Context,
    pub(crate) slot: Slot,
    /// The owner's; renewed where the slot is still this node's.
    pub(crate) fence: &'a Mutex<Fence>,
}

impl Place<'_> {
    /// Writes down what has become of `relay`, with the reports, and hints them. `false` if
    /// somebody else has gone on with it; then nothing is written.
    ///
    /// # Errors
    /// [`Kind::Fenced`] if the slot is somebody else's by now; the store's.
    pub(crate) async fn write(&self, relay: &Relay, change: Change) -> Result<bool> {
        let reports = self.reports(relay, &change).await?;
        let events = self.events(relay, &change);
        let mut left = change.left;
        if let Some(left) = &mut left {
            left.state.token = self.context.token();
        }
        let after = After { left: left.as_ref(), resubmission: change.resubmission.as_ref() };
        self.commit(relay, after, &reports, &events).await
    }

    /// As [`Place::write`], for what has happened and can not be taken back: it goes on through
    /// trouble with the store.
    ///
    /// # Errors
    /// As [`Place::write`], after minutes.
    pub(crate) async fn write_surely(&self, relay: &Relay, change: Change) -> Result<bool> {
        let mut left = change.left.clone();
        if let Some(left) = &mut left {
            left.state.token = self.context.token();
        }
        let (mut tries, mut reports) = (0, None);
        let events = self.events(relay, &change);
        loop {
            let written = async {
                if reports.is_none() {
                    reports = Some(self.reports(relay, &change).await?);
                }
                let reports = reports.as_deref().unwrap_or_default();
                let resubmission = change.resubmission.as_ref();
                let after = After { left: left.as_ref(), resubmission };
                self.commit(relay, after, reports, &events).await
            };
            let error = match written.await {
                Err(error) if tries < TRIES_MAX && error.is_temporary() => error,
                written => return written,
            };
            tries += 1;
            if error.kind == Kind::Fenced {
                self.renew().await?;
            }
            tracing::debug!(queue = %relay.entry.queue, %error, "writing down again");
            self.context.env.clock.sleep(AGAIN).await;
        }
    }

    /// Takes this node's present fence: the one that is held may only have been renewed.
    async fn renew(&self) -> Result<()> {
        match self.context.control.fence(self.slot).await {
            Ok(fence) => *self.fence.lock() = fence,
            Err(error) if error.kind == Kind::Fenced => return Err(error),
            Err(error) => tracing::debug!(slot = %self.slot, %error, "no fence yet"),
        }
        Ok(())
    }

    async fn reports(&self, relay: &Relay, change: &Change) -> Result<Vec<Submission>> {
        let (context, entry) = (self.context, &relay.entry);
        let mut reports = Vec::new();
        reports.extend(bounce::failed(context, entry, &change.failures).await?);
        reports.extend(bounce::relayed(context, entry, &change.relayed).await?);
        if let Some(left) = change.left.as_ref().filter(|_| change.tells_delay) {
            reports.extend(bounce::delayed(context, &left.entry, &waiting(left)).await?);
        }
        Ok(reports)
    }

    /// What is tracked of a change, but for its reports.
    fn events(&self, relay: &Relay, change: &Change) -> Vec<Tracked> {
        let told = (relay.origin, relay.entry.accepted);
        let left = change.left.as_ref();
        let mut events = change.events.clone();
        events.extend(left.and_then(|left| tracking::put_off(self.context, relay, left)));
        events.extend(tracking::failed(self.context, told, &change.failures));
        events
    }

    async fn commit(
        &self,
        base: &Relay,
        after: After<'_>,
        reports: &[Submission],
        events: &[Tracked],
    ) -> Result<bool> {
        let now = self.context.env.clock.now();
        let (context, slot, fence) = (self.context, self.slot, *self.fence.lock());
        let reported =
            reports.iter().flat_map(|report| tracking::reported(context, base.origin, report));
        let events = events.iter().cloned().chain(reported).collect();
        let body = WriteDown { context, slot, fence, base, after, reports, now, events };
        let is_written = transact(&self.context.store, body).await?;
        if is_written {
            reports.iter().for_each(|report| send_hint(context, report.clone(), now));
            if let Some(Resubmission { message, .. }) = after.resubmission {
                // A hint would tell of a message that the rules have not seen.
                let slot = context.control.slot_of_queue(message.queue);
                context.router.hint(target::<Accepted>(slot), Parcel::typed(QueueCall::Wake));
            }
            let due = after.left.filter(|left| !left.is_set_aside());
            if let Some(due) = due.and_then(|left| left.state.next_attempt) {
                context.relay_due.wake_at(slot, due);
            }
        }
        Ok(is_written)
    }
}

/// The recipients that are left, as a delay report names them.
fn waiting(left: &Relay) -> Vec<Waiting> {
    let recipients = left.entry.envelope.recipients.iter().enumerate();
    let one = |(recipient, one): (usize, &contract_transport::Recipient)| Waiting {
        address: one.address.clone(),
        recipient,
        attempts: left.state.attempts,
        next_attempt: left.state.next_attempt.unwrap_or_default(),
        last_error: left.state.last_error.clone(),
    };
    recipients.map(one).collect()
}

/// What comes after a message as it was: either, or nothing.
#[derive(Clone, Copy)]
struct After<'a> {
    left: Option<&'a Relay>,
    resubmission: Option<&'a Resubmission>,
}

struct WriteDown<'a> {
    context: &'a Context,
    slot: Slot,
    fence: Fence,
    base: &'a Relay,
    after: After<'a>,
    reports: &'a [Submission],
    now: Timestamp,
    events: Vec<Tracked>,
}

impl Body<bool> for WriteDown<'_> {
    fn run<'b>(
        &'b mut self,
        tx: &'b dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'b, Result<bool, BodyError>> {
        Box::pin(self.write(tx, attempt))
    }
}

impl WriteDown<'_> {
    async fn write(&self, tx: &dyn Transaction, attempt: Attempt) -> Result<bool, BodyError> {
        let Self { context, slot, base, after: After { left, resubmission }, .. } = *self;
        let queue = base.entry.queue;
        self.fence.check(tx).await?;
        let Some(stored) = record::read(tx, slot, queue, Isolation::Serializable).await? else {
            // After an unknown commit that was to end the message, it was this very one.
            return Ok(attempt.maybe_committed && left.is_none());
        };
        if left.is_some_and(|left| left.state.token == stored.state.token) {
            return Ok(true);
        }
        if stored.state.token != base.state.token {
            return Ok(false);
        }
        for report in self.reports {
            let slot = context.control.slot_of_queue(report.queue);
            entries::write(tx, &*context.blobs, slot, report, self.now).await?;
        }
        if let Some(resubmission) = resubmission {
            resubmission.write(tx, context, base).await?;
        }
        tracking::record_all(tx, &self.events)?;
        // Where it waits may have changed without a change of the message: its time has come.
        stored.unfile(tx, slot);
        match left {
            Some(left) => left.save(tx, slot)?,
            None => {
                tx.clear(&rows::message(slot, queue));
                for id in base.entry.content.blobs() {
                    context.blobs.release(tx, id, &entries::holder(queue));
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::relay::record::RelayState;
    use base::{Address, QueueId};
    use contract_transport::relay::Hop;
    use contract_transport::{Envelope, Notify, QueueEntry, Recipient, Source};

    const HOUR_MS: i64 = 3_600_000;

    fn answer(code: u16) -> Answer {
        let status = format!("{}.1.2", code / 100);
        Answer {
            code,
            status,
            text: "so\r\nit is".into(),
            host: Some("mx.test [192.0.2.1]".into()),
        }
    }

    fn relay(recipients: usize) -> Relay {
        let source = Source { ip: None, helo: String::new(), protocol: "local".into() };
        let notify = Notify { success: true, ..Notify::default() };
        let one = |number| Recipient {
            notify,
            ..Recipient::plain(Address::new(format!("r{number}"), "x.test"))
        };
        let envelope = Envelope {
            sender: None,
            recipients: (0..recipients).map(one).collect(),
            authenticated: None,
            envelope_id: None,
            return_headers_only: false,
            require_tls: false,
            source,
        };
        Relay {
            hop: Hop { connector: "out".into(), domain: None, shard: 0 },
            origin: QueueId(1),
            entry: QueueEntry {
                queue: QueueId(2),
                envelope,
                content: contract_mailbox::Content::default(),
                accepted: Timestamp::default(),
            },
            is_8bit: false,
            needs_smtputf8: false,
            state: RelayState::default(),
        }
    }

    fn check(verdicts: &str, hours: i64, state: &RelayState, expect: &str) {
        let mut relay = relay(verdicts.len());
        relay.state = state.clone();
        let verdict = |letter| match letter {
            'r' => Verdict::Relayed { answer: answer(250), speaks_dsn: false },
            'd' => Verdict::Relayed { answer: answer(250), speaks_dsn: true },
            'l' => Verdict::Later(answer(451)),
            _ => Verdict::Failed(answer(550)),
        };
        let verdicts: Vec<_> = verdicts.chars().map(verdict).collect();
        let now = Timestamp { unix_ms: hours * HOUR_MS };
        let change = decide(&relay, &verdicts, now, &Config::new("here.test"));
        let left = change.left.as_ref().map_or(0, |left| left.entry.envelope.recipients.len());
        let statuses: Vec<_> = change.failures.iter().map(|one| one.status.to_string()).collect();
        let told = if change.tells_delay { " delayed" } else { "" };
        let found = format!(
            "left {left} failed {} relayed {}{told}",
            statuses.join(","),
            change.relayed.len()
        );
        assert_eq!(found, expect, "{verdicts:?} after {hours} h");
    }

    #[test]
    fn verdicts_become_changes() {
        let new = RelayState::default();
        check("r", 0, &new, "left 0 failed  relayed 1");
        check("d", 0, &new, "left 0 failed  relayed 0");
        check("l", 0, &new, "left 1 failed  relayed 0");
        check("f", 0, &new, "left 0 failed 5.1.2 relayed 0");
        check("rlf", 0, &new, "left 1 failed 5.1.2 relayed 1");
        check("l", 4, &new, "left 1 failed  relayed 0 delayed");
        let told = RelayState { delay_told: true, ..RelayState::default() };
        check("l", 5, &told, "left 1 failed  relayed 0");
        // Three attempts in a row, and two days.
        let due = Some(Timestamp { unix_ms: 48 * HOUR_MS });
        let tried = RelayState { attempts: 2, next_attempt: due, ..told.clone() };
        check("lr", 48, &tried, "left 0 failed 4.4.7 relayed 1");
        let tried_once = RelayState { attempts: 1, ..tried.clone() };
        check("l", 48, &tried_once, "left 1 failed  relayed 0");
        // Nothing was tried for an hour.
        check("l", 49, &tried, "left 1 failed  relayed 0");
    }

    #[test]
    fn an_answer_is_one_line() {
        assert_eq!(describe(&answer(451)), "451 4.1.2 so it is (mx.test [192.0.2.1])");
    }
}
