//! One session as the queue sees it: message after message, a verdict for each recipient.

use crate::answer::said;
use crate::body::{self, Failure};
use crate::fit::Form;
use crate::introduce::introduce;
use crate::limits::{END_TIME, LAST_WORDS_TIME, OPEN_TIME, TRANSFER_TIME};
use crate::plan::plan;
use crate::relay::{Shared, Target, Way};
use crate::session::Session;
use crate::telemetry;
use crate::verdicts::{Verdicts, broken, refused};
use crate::wire::Trouble;
use async_trait::async_trait;
use base::{Deadline, Result};
use bytes::Bytes;
use codec_smtp::Command;
use contract_transport::courier::{Conversation, Outgoing, Transferred, Unreachable, Verdict};
use std::sync::Arc;

/// A session and what is needed to begin it again.
pub(crate) struct Talk {
    shared: Arc<Shared>,
    way: Way,
    target: Target,
    /// Gone once both sides may disagree about where they are.
    session: Option<Session>,
    /// Whether something is left of the message before.
    needs_reset: bool,
    /// Set while a message is under way. Whoever gives up on a transfer leaves the session in the
    /// middle of it, where a command would be taken for part of the message.
    is_busy: bool,
    /// The session for messages that require TLS, once there was one.
    strict: Option<Box<Talk>>,
}

impl Talk {
    pub(crate) fn new(shared: Arc<Shared>, way: Way, session: Session, target: Target) -> Self {
        let session = Some(session);
        Self { shared, way, target, session, needs_reset: false, is_busy: false, strict: None }
    }

    /// Transfers a message that requires TLS: over a session of its own, with a host that is who it
    /// says, and that promises as much for its own next hop (RFC 8689 §4.2.1).
    async fn transfer_strictly(&mut self, outgoing: &Outgoing) -> Result<Transferred> {
        let mut talk = match self.strict.take() {
            Some(talk) => talk,
            None => {
                let way = Way { require_tls: true, ..self.way.clone() };
                match self.shared.open(way, Deadline::after(OPEN_TIME)).await {
                    Ok(talk) => Box::new(talk),
                    Err(unreachable) => {
                        let verdict = match unreachable {
                            Unreachable::Later(answer) => Verdict::Later(answer),
                            Unreachable::Never(answer) => Verdict::Failed(answer),
                        };
                        let verdicts = vec![verdict; outgoing.recipients.len()];
                        return Ok(Transferred { verdicts, may_go_on: true });
                    }
                }
            }
        };
        let transferred = talk.transfer(outgoing).await?;
        if transferred.may_go_on {
            self.strict = Some(talk);
        }
        Ok(Transferred { may_go_on: true, ..transferred })
    }

    /// The session, or a new one with the same host where it closed the last one while nothing was
    /// going on. `None` if it wants no more now; everybody is settled then.
    async fn session(&mut self, verdicts: &mut Verdicts) -> Option<&mut Session> {
        if let Some(session) = &mut self.session {
            session.wire.listen().await;
        }
        if self.session.as_ref().is_none_or(|session| session.wire.has_ended()) {
            self.session = None;
            self.needs_reset = false;
            match self.shared.connect(&self.target).await {
                Ok(session) => self.session = Some(session),
                Err(refusal) => verdicts.settle_rest(&Verdict::Later(refusal.answer)),
            }
        }
        self.session.as_mut()
    }

    async fn converse(
        &mut self,
        outgoing: &Outgoing,
        verdicts: &mut Verdicts,
    ) -> Result<(), Failure> {
        let blobs = self.shared.blobs.clone();
        if self.session(verdicts).await.is_none() {
            return Ok(());
        }
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let form = match Box::pin(Form::new(outgoing, &session.offer, &blobs)).await {
            Ok(Ok(form)) => form,
            Ok(Err(answer)) => {
                verdicts.settle_rest(&Verdict::Failed(answer));
                return Ok(());
            }
            Err(error) => return Err(Failure::Own(error)),
        };
        let Some(plan) = plan(outgoing, &form, &session.offer, verdicts) else {
            return Ok(());
        };
        let in_chunks = session.offer.chunking;
        // Only a message that went through leaves nothing behind.
        let with_reset = std::mem::replace(&mut self.needs_reset, true);
        let introduced = introduce(session, &plan, with_reset, !in_chunks, verdicts).await?;
        let goes_ahead = introduced.data.as_ref().is_some_and(|reply| reply.code() == 354);
        if introduced.accepted.is_empty() {
            if goes_ahead {
                // The host waits for a message for nobody: an empty one (RFC 2920 §3.1).
                session.wire.send(vec![Bytes::from_static(b".\r\n")], LAST_WORDS_TIME).await?;
                session.wire.reply(END_TIME).await?;
            }
            return Ok(());
        }
        let message = form.read(&blobs);
        let size = format!("{} bytes, {}", outgoing.size_bytes, outgoing.queue);
        session.wire.note("sending a message", &size);
        let sent = if in_chunks {
            Box::pin(body::send_chunks(session, message)).await?
        } else if goes_ahead {
            Box::pin(body::send_data(&mut session.wire, message)).await?
        } else {
            let reply = introduced.data.ok_or(Trouble::OutOfStep)?;
            verdicts.settle_rest(&refused(&reply, &self.target.host)?);
            return Ok(());
        };
        let verdict = if sent.reply.is_positive() && sent.in_step {
            self.needs_reset = false;
            let answer = said(&sent.reply, &self.target.host);
            Verdict::Relayed { answer, speaks_dsn: session.offer.dsn }
        } else {
            refused(&sent.reply, &self.target.host)?
        };
        if !sent.in_step {
            self.session = None;
        }
        for index in introduced.accepted {
            verdicts.settle(index, verdict.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl Conversation for Talk {
    async fn transfer(&mut self, outgoing: &Outgoing) -> Result<Transferred> {
        if outgoing.require_tls && !self.way.require_tls {
            return Box::pin(self.transfer_strictly(outgoing)).await;
        }
        let clock = self.shared.env.clock.clone();
        let begun = clock.monotonic();
        if std::mem::replace(&mut self.is_busy, true) {
            self.session = None;
        }
        let mut verdicts = Verdicts::new(outgoing.recipients.len());
        let work = Box::pin(self.converse(outgoing, &mut verdicts));
        let outcome = tokio::time::timeout(TRANSFER_TIME, work).await;
        self.is_busy = false;
        match outcome.unwrap_or(Err(Failure::Trouble(Trouble::TimedOut))) {
            Ok(()) => {}
            Err(Failure::Trouble(trouble)) => {
                self.session = None;
                verdicts.settle_rest(&Verdict::Later(broken(&trouble, &self.target.host)));
            }
            // In the middle of a message only closing keeps the host from taking it for whole.
            Err(Failure::Own(error)) => {
                self.session = None;
                return Err(error);
            }
        }
        let verdicts = verdicts.finish();
        if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Relayed { .. })) {
            self.target.terms.course.relayed(outgoing.size_bytes);
        }
        let took = clock.monotonic().saturating_sub(begun);
        telemetry::transferred(&verdicts, outgoing.size_bytes, took);
        Ok(Transferred { verdicts, may_go_on: self.session.is_some() })
    }

    async fn quit(mut self: Box<Self>) {
        if let Some(strict) = self.strict.take() {
            Box::pin(strict.quit()).await;
        }
        if let Some(mut session) = self.session.take().filter(|_| !self.is_busy) {
            let _unimportant = session.wire.command(&Command::Quit, LAST_WORDS_TIME).await;
            session.wire.close(LAST_WORDS_TIME).await;
        }
    }

    fn host(&self) -> &str {
        &self.target.host
    }
}
