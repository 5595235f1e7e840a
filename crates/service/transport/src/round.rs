//! One round of work on a message: everything that is due, delivered and written down.

use crate::context::Context;
use crate::settle::{self, Settled};
use crate::state::{State, Waiting, reason};
use crate::targets::{self, Failure, Found, Piece, Target};
use crate::{admin, retry};
use base::{Error, Kind, Result, Slot};
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
    Delivered(Delivered),
    Failed(Failure),
    Later(Target, String),
}

impl Work {
    /// Runs until nothing is due any more.
    pub(crate) async fn run(mut self) -> Left {
        loop {
            match self.step().await {
                Ok(Left::More(state)) if state.head.cursor.is_some() => self.state = state,
                Ok(left) => return left,
                Err(error) if self.is_hopeless(&error) => {
                    return self.give_up(&error).await.unwrap_or_else(Left::Unknown);
                }
                Err(error) => return Left::Unknown(error),
            }
        }
    }

    /// Whether trying again cannot help: the error is permanent (a group that cannot be expanded),
    /// or the message has expired while the same error came again and again.
    fn is_hopeless(&self, error: &Error) -> bool {
        if error.kind == Kind::Fenced {
            return false;
        }
        let now = self.context.env.clock.now();
        !error.is_temporary() || now >= self.entry.accepted.plus_ms(self.context.config.expiry_ms)
    }

    /// Tells the sender that nothing more will be done for the message, and ends it.
    async fn give_up(&mut self, error: &Error) -> Result<Left> {
        tracing::warn!(queue = %self.entry.queue, %error, "a message is given up");
        let mut failures = admin::undelivered(&self.entry, &self.state);
        for failure in &mut failures {
            failure.status = "5.4.6";
            failure.text = error.text.to_string();
        }
        let mut state = State { head: self.state.head.clone(), waiting: Vec::new() };
        state.head.cursor = None;
        self.settle(state, failures).await
    }

    async fn settle(&self, state: State, failures: Vec<Failure>) -> Result<Left> {
        Ok(match settle::settle(self, state, failures).await? {
            Settled::Gone => Left::Nothing,
            Settled::Kept(state) => Left::More(state),
            Settled::Elsewhere => {
                Left::Unknown(Error::new(Kind::Conflict, "The message has gone on meanwhile"))
            }
        })
    }

    /// One piece: resolve, deliver, settle.
    async fn step(&mut self) -> Result<Left> {
        let now = self.context.env.clock.now();
        let Piece { targets, mut failures, next } = self.take_due().await?;
        let parsed = self.parsed().await?;
        let is_whole = next.is_none() && self.state.waiting.is_empty() && failures.is_empty();
        // Only for a message without a state: whoever has written one is to end it.
        let is_new = self.state.head.token == 0;
        let ends_entry = is_new && is_whole && targets.len() == 1;
        let mut waiting = std::mem::take(&mut self.state.waiting);
        let at_once = self.context.config.deliveries_at_once.max(1);
        let mut outcomes = futures::stream::iter(targets)
            .map(|target| self.deliver(target, &parsed, ends_entry))
            .buffer_unordered(at_once);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Outcome::Delivered(Delivered::New { .. }) if ends_entry => {
                    return Ok(Left::Nothing);
                }
                Outcome::Delivered(_) => {}
                Outcome::Failed(failure) => failures.push(failure),
                Outcome::Later(target, text) => {
                    let attempts = target.attempts + 1;
                    let accepted = self.entry.accepted;
                    let expiry_ms = self.context.config.expiry_ms;
                    let Target { address, recipient, .. } = target;
                    match retry::next_attempt(accepted, now, attempts, expiry_ms) {
                        Some(next_attempt) => waiting.push(Waiting {
                            address,
                            recipient,
                            attempts,
                            next_attempt,
                            last_error: text,
                        }),
                        None => failures.push(Failure {
                            address,
                            recipient,
                            status: "4.4.7",
                            text: format!("Delivery was tried until the message expired: {text}"),
                        }),
                    }
                }
            }
        }
        drop(outcomes);
        let mut state = State { head: self.state.head.clone(), waiting };
        state.head.cursor = next;
        self.settle(state, failures).await
    }

    /// What is due: the next piece of unresolved recipients, or those whose wait is over.
    async fn take_due(&mut self) -> Result<Piece> {
        if let Some(cursor) = self.state.head.cursor {
            return targets::next_piece(&self.context, &self.entry, cursor).await;
        }
        let now = self.context.env.clock.now();
        let mut piece = Piece::default();
        let (due, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.state.waiting)
            .into_iter()
            .partition(|waiting| waiting.next_attempt <= now);
        self.state.waiting = waiting;
        for waiting in due {
            let Waiting { address, recipient, attempts, .. } = &waiting;
            match targets::resolve(&self.context, address, *recipient).await? {
                Found::Mailbox(target) => {
                    piece.targets.push(Target { attempts: *attempts, ..target });
                }
                Found::Nobody(failure) => piece.failures.push(failure),
            }
        }
        Ok(piece)
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
                Outcome::Delivered(delivered)
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
                Outcome::Failed(Failure {
                    address,
                    recipient,
                    status,
                    text: error.text.to_string(),
                })
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
