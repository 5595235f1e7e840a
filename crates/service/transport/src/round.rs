//! One round of work on a message: everything that is due, delivered and written down.

use crate::context::Context;
use crate::guard::{Guard, Refusal};
use crate::relay::hand_over::{self, HandOver, Remote};
use crate::rules::{RuleSet, Ruled};
use crate::settle::{self, Settled};
use crate::stage::Stage;
use crate::state::{PutOff, State, Waiting, reason};
use crate::success::{self, Success};
use crate::targets::{self, Became, Failure, Found, Piece, Target};
use crate::{admin, reports, retry, signing, survey, tracking};
use base::{Address, Error, Kind, Result, Slot, Timestamp};
use codec_mime::{Limits, ParsedMessage, Scanner};
use contract_control::Fence;
use contract_mailbox::{Delivered, Delivery, Principal, Write, WriteReply};
use contract_transport::QueueEntry;
use futures::StreamExt;
use std::sync::Arc;

/// A message as a round gets it.
pub(crate) struct Work {
    pub(crate) context: Arc<Context>,
    pub(crate) slot: Slot,
    pub(crate) fence: Fence,
    pub(crate) entry: Arc<QueueEntry>,
    /// What was found in the message, if somebody still knows it.
    pub(crate) parsed: Option<Arc<ParsedMessage>>,
    pub(crate) state: State,
}

/// What a round leaves.
#[derive(Debug)]
pub(crate) enum Left {
    /// Nothing: the message is done, its rows are gone.
    Nothing,
    /// The message, to be looked at again when its state says so.
    More(State),
    /// Nobody knows what is stored; the owner has to read its slot again.
    Unknown(Error),
}

/// What became of one target.
enum Outcome {
    Delivered(Delivered, Target),
    Failed(Failure),
    Later(Target, String),
}

/// What a round has to write down: what is left to do, and who will never get the message.
struct Report {
    state: State,
    failures: Vec<Failure>,
    /// Who has the message, where the sender has asked to hear of that.
    successes: Vec<Success>,
    /// Who is served by others.
    remotes: Vec<Remote>,
    /// What addresses became on their way.
    became: Became,
}

impl Work {
    /// Runs until nothing is due any more.
    pub(crate) async fn run(mut self) -> Left {
        if self.state.is_new() && reports::is_for_us(&self.context, &self.entry) {
            match self.parsed().await {
                Ok(parsed) => reports::take(&self.context, &self.entry, &parsed).await,
                Err(error) => {
                    tracing::warn!(queue = %self.entry.queue, %error, "no report is read")
                }
            }
        }
        let ruling = Stage::begin(&self.context, "rules");
        let ruled = self.rule().await;
        drop(ruling);
        match ruled {
            Ok(None) => {}
            Ok(Some(left)) => return left,
            Err(error) => return Left::Unknown(error),
        }
        loop {
            match self.step().await {
                Ok(Left::More(state)) if state.head.cursor.is_some() && !state.is_put_off() => {
                    self.state = state;
                }
                Ok(left) => return left,
                Err(error) => return Left::Unknown(error),
            }
        }
    }

    /// Asks what the sender may do, and tries the transport rules, unless that was done; answers what
    /// is left where the message does not go on as it is.
    async fn rule(&mut self) -> Result<Option<Left>> {
        let envelope = &self.entry.envelope;
        // Reports of our own are for whoever is to read them.
        let is_report = envelope.sender.is_none() && envelope.source.ip.is_none();
        if self.state.head.ruled || is_report {
            self.state.head.ruled = true;
            return Ok(None);
        }
        // What rules make of a message is not its sender's doing any more.
        match Guard::new(&self.context, &self.entry).refuses_all().await {
            Ok(None) => {}
            Ok(Some(refusal)) => return self.refuse_all(&refusal).await.map(Some),
            Err(error) => return self.rule_later(&error).await.map(Some),
        }
        let ruled = match self.context.rules.set() {
            Ok(set) if set.is_empty() => Ok(Ruled::AsItIs),
            Ok(set) => self.try_rules(&set).await,
            Err(error) => Err(error),
        };
        let settled = match ruled {
            Ok(Ruled::AsItIs) => {
                self.state.head.ruled = true;
                return Ok(None);
            }
            Ok(Ruled::Untried) => return self.pass_rules_over().await,
            Ok(Ruled::Forked(forked)) => settle::fork(self, forked).await,
            Err(error) => Err(error),
        };
        match settled {
            Ok(settled) => Ok(Some(Self::left(settled))),
            Err(error) => self.rule_later(&error).await.map(Some),
        }
    }

    /// Begins with the message again, later.
    async fn rule_later(&self, error: &Error) -> Result<Left> {
        if error.kind == Kind::Fenced {
            return Err(error.clone());
        }
        let mut report = Report::new(self.state.clone());
        self.put_off(self.context.env.clock.now(), error, &mut report);
        self.settle(report, Vec::new()).await
    }

    /// Ends the message: its sender may not send it.
    async fn refuse_all(&self, Refusal { status, text }: &Refusal) -> Result<Left> {
        let mut report = Report::new(self.state.clone());
        report.state.head.resolved();
        let all = self.entry.envelope.recipients.iter().zip(0..);
        let refused =
            all.map(|(to, place)| Failure::refused(to.address.clone(), place, status, text));
        report.failures.extend(refused);
        self.settle(report, Vec::new()).await
    }

    /// Writes down that the rules count as tried: the next round might be able to try them, and
    /// must not, since somebody may have the message by then.
    async fn pass_rules_over(&mut self) -> Result<Option<Left>> {
        self.state.head.ruled = true;
        match self.settle(Report::new(self.state.clone()), Vec::new()).await? {
            Left::More(state) => {
                self.state = state;
                Ok(None)
            }
            left => Ok(Some(left)),
        }
    }

    async fn try_rules(&mut self, set: &RuleSet) -> Result<Ruled> {
        let parsed = self.parsed().await?;
        self.context.rules.apply(&self.context, &self.entry, set, &parsed).await
    }

    /// One piece: resolve, deliver, settle.
    async fn step(&mut self) -> Result<Left> {
        let now = self.context.env.clock.now();
        let mut report = Report::new(self.state.clone());
        let resolving = Stage::begin(&self.context, "resolve");
        let targets = self.take_due(now, &mut report).await?;
        drop(resolving);
        // Only for a message without a state: whoever has written one is to end it.
        let is_told = targets.iter().any(|one| success::is_wanted(&self.entry, one.recipient));
        let is_last = self.state.is_new() && targets.len() == 1 && report.is_empty();
        let ends_entry = is_last && !is_told;
        let delivering = Stage::begin(&self.context, "deliver");
        if self.deliver_all(targets, ends_entry, now, &mut report).await {
            return Ok(Left::Nothing);
        }
        drop(delivering);
        let handing_over = Stage::begin(&self.context, "hand-over");
        let relays = self.hand_over(now, &mut report).await;
        drop(handing_over);
        self.settle(report, relays).await
    }

    /// Makes messages for other servers of those whom they serve. Who cannot be sent to is told;
    /// what cannot be read now is tried later.
    async fn hand_over(&self, now: Timestamp, report: &mut Report) -> Vec<HandOver> {
        let remotes = std::mem::take(&mut report.remotes);
        if remotes.is_empty() {
            return Vec::new();
        }
        let digesting = signing::begin(&self.context, &self.entry).await;
        let content = &self.entry.content;
        let error = match survey::survey(&self.context.blobs, content, digesting).await {
            Ok((found, _)) if found.received > survey::HOPS_MAX => {
                for Remote { address, recipient, .. } in remotes {
                    let text = "The message has been passed on too often";
                    report.failures.push(Failure::new(address, recipient, "5.4.6", text));
                }
                return Vec::new();
            }
            Ok((found, digest)) => {
                let signed = signing::sign(&self.context, digest);
                let (entry, told) = (&self.entry, self.state.head.delay_told);
                let found = (found, &signed);
                return hand_over::prepare(&self.context, entry, found, &remotes, told);
            }
            Err(error) => error,
        };
        tracing::warn!(queue = %self.entry.queue, %error, "a message cannot be read");
        for Remote { address, recipient, attempts, .. } in remotes {
            self.try_later((address, recipient, attempts), reason(&error.text), now, report);
        }
        Vec::new()
    }

    /// Writes down what came of a step. What can never be written down is given up: what is left
    /// to do becomes failures.
    async fn settle(&self, report: Report, relays: Vec<HandOver>) -> Result<Left> {
        let Report { state, failures, successes, became, .. } = report;
        let relayed: Vec<_> = relays.iter().flat_map(HandOver::recipients).cloned().collect();
        let outcomes = (&failures[..], &successes[..]);
        let settled = match settle::settle(self, state.clone(), relays, outcomes, &became).await {
            Err(error) if error.kind != Kind::Fenced && !error.is_temporary() => {
                tracing::warn!(queue = %self.entry.queue, %error, "a message is given up");
                let mut all = admin::undelivered(&self.entry, &state);
                all.extend(relayed.into_iter().map(|(to, place)| Failure::removed(to, place)));
                for failure in &mut all {
                    (failure.status, failure.text) = ("5.3.0".into(), error.text.to_string());
                }
                all.extend(failures);
                let mut ended = State { head: state.head, waiting: Vec::new() };
                ended.head.resolved();
                settle::settle(self, ended, Vec::new(), (&all, &successes), &became).await?
            }
            settled => settled?,
        };
        Ok(Self::left(settled))
    }

    fn left(settled: Settled) -> Left {
        match settled {
            Settled::Gone => Left::Nothing,
            Settled::Kept(state) => Left::More(state),
            Settled::Elsewhere => {
                Left::Unknown(Error::new(Kind::Conflict, "The message has gone on meanwhile"))
            }
        }
    }

    /// Takes what is due out of the report's state: the next piece of unresolved recipients, or
    /// those whose wait is over. Who cannot be resolved now goes back to wait.
    async fn take_due(&self, now: Timestamp, report: &mut Report) -> Result<Vec<Target>> {
        let resolves = self.state.resolving_due().is_some_and(|due| due <= now);
        if let Some(cursor) = self.state.head.cursor.filter(|_| resolves) {
            return match targets::next_piece(&self.context, &self.entry, cursor).await {
                Ok(Piece { targets, remotes, failures, became, next }) => {
                    report.successes = success::of_groups(&self.entry, cursor, &became.expanded);
                    report.became = became;
                    (report.state.head.cursor, report.state.head.put_off) = (next, None);
                    (report.failures, report.remotes) = (failures, remotes);
                    Ok(targets)
                }
                Err(error) if error.kind == Kind::Fenced => Err(error),
                Err(error) => {
                    self.put_off(now, &error, report);
                    Ok(Vec::new())
                }
            };
        }
        let (due, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut report.state.waiting)
            .into_iter()
            .partition(|waiting| waiting.next_attempt <= now);
        report.state.waiting = waiting;
        let mut targets = Vec::new();
        for waiting in due {
            let Waiting { address, recipient, attempts, next_attempt, .. } = waiting;
            let attempts = retry::attempts_before(attempts, next_attempt, now);
            match targets::resolve_again(&self.context, &self.entry, &address, recipient).await {
                Ok(Found::Mailbox(target)) => targets.push(Target { attempts, ..target }),
                Ok(Found::Remote(remote)) => report.remotes.push(Remote { attempts, ..remote }),
                Ok(Found::Nobody(failure)) => report.failures.push(failure),
                Err(error) if error.kind == Kind::Fenced => return Err(error),
                Err(error) if !error.is_temporary() => {
                    report.failures.push(targets::unresolvable(&address, recipient, &error));
                }
                Err(error) => {
                    let failed = (address, recipient, attempts);
                    self.try_later(failed, reason(&error.text), now, report);
                }
            }
        }
        Ok(targets)
    }

    /// Resolving has failed: it goes on later, or the message has expired for all who are not
    /// resolved.
    fn put_off(&self, now: Timestamp, error: &Error, report: &mut Report) {
        let before = self.state.head.put_off.as_ref();
        let before = before.map(|old| retry::attempts_before(old.attempts, old.next_attempt, now));
        let attempts = before.unwrap_or_default() + 1;
        let what = tracking::put_off_at(&self.state);
        tracing::info!(queue = %self.entry.queue, attempts, %error, "{what}");
        let expiry_ms = self.context.config.expiry_ms;
        let head = &mut report.state.head;
        match retry::next_attempt(self.entry.accepted, now, attempts, expiry_ms) {
            Some(next_attempt) => {
                let last_error = reason(&error.text);
                head.put_off = Some(PutOff { attempts, next_attempt, last_error });
            }
            None => {
                let unresolved = State { head: head.clone(), waiting: Vec::new() };
                head.resolved();
                for failure in admin::undelivered(&self.entry, &unresolved) {
                    let Failure { address, recipient, .. } = failure;
                    report.failures.push(expired(address, recipient, &error.text));
                }
            }
        }
    }

    /// Delivers to all of `targets`; answers whether that has ended the message's entry.
    async fn deliver_all(
        &mut self,
        targets: Vec<Target>,
        ends_entry: bool,
        now: Timestamp,
        report: &mut Report,
    ) -> bool {
        if targets.is_empty() {
            return false;
        }
        let parsed = match self.parsed().await {
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::warn!(queue = %self.entry.queue, %error, "a message cannot be read");
                for Target { address, recipient, attempts, .. } in targets {
                    let failed = (address, recipient, attempts);
                    self.try_later(failed, reason(&error.text), now, report);
                }
                return false;
            }
        };
        let at_once = self.context.config.deliveries_at_once.max(1);
        let mut delivered = Vec::new();
        let mut outcomes = futures::stream::iter(targets)
            .map(|target| self.deliver(target, &parsed, ends_entry))
            .buffer_unordered(at_once);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Outcome::Delivered(Delivered::New { .. }, _) if ends_entry => return true,
                Outcome::Delivered(_, target) => delivered.push(target),
                Outcome::Failed(failure) => report.failures.push(failure),
                Outcome::Later(Target { address, recipient, attempts, .. }, text) => {
                    self.try_later((address, recipient, attempts), text, now, report);
                }
            }
        }
        drop(outcomes);
        for target in delivered {
            report.successes.extend(success::of(&self.context, &self.entry, &target).await);
        }
        false
    }

    /// An attempt has failed: there will be another one, or the message has expired. What has
    /// failed is the address, through which recipient, and how many attempts there were before.
    fn try_later(
        &self,
        (address, recipient, attempts): (Address, usize, u32),
        last_error: String,
        now: Timestamp,
        report: &mut Report,
    ) {
        let (attempts, accepted) = (attempts + 1, self.entry.accepted);
        match retry::next_attempt(accepted, now, attempts, self.context.config.expiry_ms) {
            Some(next_attempt) => report.state.waiting.push(Waiting {
                address,
                recipient,
                attempts,
                next_attempt,
                last_error,
            }),
            None => report.failures.push(expired(address, recipient, &last_error)),
        }
    }

    async fn deliver(
        &self,
        target: Target,
        parsed: &Arc<ParsedMessage>,
        ends_queue_entry: bool,
    ) -> Outcome {
        let delivery = Delivery {
            queue: self.entry.queue,
            recipient: target.address.clone(),
            generation: 0,
            return_path: self.entry.envelope.sender.clone(),
            content: self.entry.content.clone(),
            parsed: parsed.clone(),
            accepted: self.entry.accepted,
            ends_queue_entry,
            queue_fence: Some(self.fence),
        };
        let request = Write::Deliver(Box::new(delivery));
        let command = self.context.next_command();
        let mailboxes = &self.context.mailboxes;
        let result = mailboxes.write(target.account, Principal::Transport, command, request).await;
        match result {
            Ok(WriteReply::Delivered(delivered)) => {
                let latency_ms = self.context.env.clock.now().unix_ms - self.entry.accepted.unix_ms;
                tracing::info!(
                    target: "tracking", event = "DELIVER", source = "STOREDRIVER",
                    queue = %self.entry.queue, recipient = %target.address, latency_ms,
                    before = matches!(delivered, Delivered::Before),
                );
                metrics::counter!("rialto_transport_delivered_total").increment(1);
                metrics::histogram!("rialto_transport_latency_seconds")
                    .record(latency_ms.max(0) as f64 / 1_000.0);
                Outcome::Delivered(delivered, target)
            }
            Ok(other) => Outcome::Later(target, reason(&format!("unexpected answer {other:?}"))),
            Err(error) => self.failed(target, &error),
        }
    }

    fn failed(&self, target: Target, error: &Error) -> Outcome {
        let queue = self.entry.queue;
        match permanent_status(error.kind) {
            Some(status) => {
                tracing::info!(
                    target: "tracking", event = "FAIL", source = "STOREDRIVER",
                    %queue, recipient = %target.address, status, %error,
                );
                metrics::counter!("rialto_transport_failed_total").increment(1);
                let Target { address, recipient, .. } = target;
                Outcome::Failed(Failure::new(address, recipient, status, error.text.to_string()))
            }
            None => {
                tracing::info!(
                    target: "tracking", event = "DEFER", source = "STOREDRIVER",
                    %queue, recipient = %target.address, attempts = target.attempts + 1, %error,
                );
                metrics::counter!("rialto_transport_deferred_total").increment(1);
                Outcome::Later(target, reason(&error.text))
            }
        }
    }

    /// What was found in the message; found again by reading it where nobody remembers.
    async fn parsed(&mut self) -> Result<Arc<ParsedMessage>> {
        if let Some(parsed) = &self.parsed {
            return Ok(parsed.clone());
        }
        let mut scanner = Scanner::new(Limits::default());
        let mut bytes = self.entry.content.read(&self.context.blobs);
        while let Some(piece) = bytes.next().await {
            scanner.push(&piece?);
        }
        let parsed = Arc::new(scanner.finish());
        self.parsed = Some(parsed.clone());
        Ok(parsed)
    }
}

impl Report {
    fn new(state: State) -> Self {
        let (failures, successes, remotes, became) = Default::default();
        Self { state, failures, successes, remotes, became }
    }

    /// Whether nothing is left to do but the deliveries of this step, and nobody to be told.
    fn is_empty(&self) -> bool {
        let told = self.failures.is_empty() && self.successes.is_empty();
        let quiet = told && self.became.is_empty();
        self.state.is_finished() && quiet && self.remotes.is_empty()
    }
}

fn expired(address: Address, recipient: usize, text: &str) -> Failure {
    let text = format!("Delivery was tried until the message expired: {text}");
    Failure::new(address, recipient, "4.4.7", text)
}

/// The status that a failed delivery is bounced with; `None` where it is worth another attempt.
fn permanent_status(kind: Kind) -> Option<&'static str> {
    match kind {
        // Exchange bounces at once for a full mailbox, so that the sender knows.
        Kind::OverQuota => Some("5.2.2"),
        Kind::Denied => Some("5.7.1"),
        Kind::Limit => Some("5.2.3"),
        Kind::Invalid | Kind::CannotChange => Some("5.2.0"),
        // Whether the account is gone is for the directory to say, at the next attempt.
        Kind::NotFound
        | Kind::AlreadyExists
        | Kind::BadCredentials
        | Kind::Conflict
        | Kind::Unavailable
        | Kind::Fenced
        | Kind::Timeout
        | Kind::Overloaded
        | Kind::OutOfSpace
        | Kind::Corrupt
        | Kind::Internal => None,
    }
}
