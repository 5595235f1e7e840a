//! The end of a message: the last checks, the commit, and then 250.
//!
//! A commit is never abandoned half-way: it runs as a task of its own, and a client for whom it
//! takes too long is told to try again, not that it failed. The transport accepts one queue id
//! once, so a commit of unknown outcome is simply asked for again.

use crate::config::Role;
use crate::incoming::{Arrived, Incoming};
use crate::reply;
use crate::session::{Draft, Login, Outcome, Session};
use crate::trace;
use base::{Address, Deadline, Error, Kind, QueueId, Result};
use codec_smtp::Reply;
use contract_blob::{Content, Segment};
use contract_directory::Account;
use contract_mailbox::Outgoing;
use contract_transport::{Envelope, Submission, Transport};
use std::sync::Arc;
use std::time::Duration;

/// Between a commit that went wrong and the second attempt: long enough for a new owner.
const RETRY_WAIT: Duration = Duration::from_millis(500);

impl Session {
    /// Takes responsibility for a message that has come whole, or says why not.
    pub(crate) async fn hand_over(&mut self, draft: Draft, incoming: Incoming) -> Outcome {
        let arrived = match incoming.arrived() {
            Ok(arrived) => arrived,
            Err(refusal) => return Ok(self.refused(refusal)),
        };
        let size_bytes = arrived.size_bytes;
        if let Some(login) = &self.login
            && let Err(refusal) = self.check_author(&login.account, &draft, &arrived).await
        {
            return Ok(self.refused(refusal));
        }
        let started = self.clock().monotonic();
        let recipients = draft.recipients.len();
        let queue = match self.commit(draft, arrived).await {
            Ok(queue) => queue,
            Err(error) => {
                let refusal = reply::of(&error, "accept");
                return Ok(self.refused(refusal));
            }
        };
        let took = self.clock().monotonic().saturating_sub(started);
        metrics::histogram!("rialto_smtp_accept_seconds").record(took.as_secs_f64());
        metrics::counter!("rialto_smtp_messages_total", "result" => "accepted").increment(1);
        metrics::counter!("rialto_smtp_message_bytes_total").increment(size_bytes);
        let peer = self.connection.peer();
        tracing::info!(session = %self.id, %queue, %peer, recipients, size_bytes, "accepted");
        self.accepted_one();
        Ok(reply::queued(queue))
    }

    fn refused(&self, refusal: Reply) -> Reply {
        metrics::counter!("rialto_smtp_messages_total", "result" => "refused").increment(1);
        tracing::info!(session = %self.id, peer = %self.connection.peer(), %refusal, "refused");
        refusal
    }

    /// Whoever is named as author of a submitted message must be somebody the account may be
    /// (RFC 6409 §6.1).
    async fn check_author(
        &self,
        account: &Account,
        draft: &Draft,
        arrived: &Arrived,
    ) -> Result<(), Reply> {
        if arrived.from_fields > 1 {
            return Err(reply::several_from_fields());
        }
        let envelope = &arrived.parsed.envelope;
        let mut allowed: Vec<Address> = draft.sender.iter().cloned().collect();
        for author in envelope.from.iter().chain(&envelope.sender) {
            let codec_mime::Address::Mailbox { .. } = author else {
                continue;
            };
            let email = author.email().unwrap_or_default();
            let Ok(wire) = codec_smtp::Address::parse(&email, true) else {
                return Err(reply::cannot_send_as());
            };
            let address = crate::command::address(&wire);
            if allowed.contains(&address) {
                continue;
            }
            match self.shared.directory.may_send_as(account, &address).await {
                Ok(true) => allowed.push(address),
                Ok(false) => return Err(reply::cannot_send_as()),
                Err(error) => return Err(reply::of(&error, "author")),
            }
        }
        Ok(())
    }

    async fn commit(&self, draft: Draft, arrived: Arrived) -> Result<QueueId> {
        let deadline = Deadline::after(self.config().commit_timeout());
        let queue = arrived.queue;
        let (submission, _shares) = self.submission(draft, arrived, deadline).await?;
        match &self.login {
            Some(login) => self.submit(login, submission, deadline).await,
            None => {
                accept(&self.shared.transport, submission, deadline).await?;
                Ok(queue)
            }
        }
    }

    /// Ends the upload and puts everything together.
    async fn submission(
        &self,
        draft: Draft,
        arrived: Arrived,
        deadline: Deadline,
    ) -> Result<(Submission, impl Sized)> {
        let Arrived { queue, accepted, source, trace, mut parsed, .. } = arrived;
        let mut segments = vec![Segment::Inline(trace)];
        if let (Role::Submission, Some(login)) = (self.role, &self.login) {
            let own = (queue, accepted, self.config().host_name.as_str());
            let added = trace::complete(&mut parsed, login, draft.sender.as_ref(), own);
            if !added.is_empty() {
                parsed = parsed.shifted(added.len() as u64);
                segments.insert(usize::from(!arrived.begins_blank), Segment::Inline(added));
            }
        }
        let mut staged = Vec::new();
        if let Some(upload) = arrived.upload {
            let blob =
                to_its_end(deadline, async move { upload.into_inner().finish().await }).await?;
            segments.extend(Content::of(&blob).segments);
            staged.push(blob);
        }
        let envelope = Envelope {
            sender: draft.sender,
            recipients: draft.recipients,
            authenticated: self.login.as_ref().map(|login| login.account.id),
            envelope_id: None,
            return_headers_only: false,
            source,
        };
        let content = Content { segments };
        let submission = Submission { queue, envelope, content, staged, parsed: Arc::new(parsed) };
        Ok((submission, arrived.shares))
    }

    async fn submit(
        &self,
        login: &Login,
        submission: Submission,
        deadline: Deadline,
    ) -> Result<QueueId> {
        let sent_copy = login.account.smtp_sent_copy;
        let mailbox = login.mailbox.clone();
        let outgoing = Outgoing { submission, sent_copy };
        to_its_end(deadline, async move { mailbox.submit(outgoing).await }).await
    }
}

/// Accepts, twice if the outcome of the first time is not known.
async fn accept(
    transport: &Arc<dyn Transport>,
    submission: Submission,
    deadline: Deadline,
) -> Result<()> {
    let once = |submission: Submission| {
        let transport = transport.clone();
        to_its_end(deadline, async move { transport.accept(submission).await })
    };
    match once(submission.clone()).await {
        Err(error)
            if matches!(error.kind, Kind::Unavailable | Kind::Fenced | Kind::Timeout)
                && deadline.remaining() > RETRY_WAIT =>
        {
            tracing::debug!(queue = %submission.queue, ?error, "accepting again");
            tokio::time::sleep(RETRY_WAIT).await;
            once(submission).await
        }
        result => result,
    }
}

/// Waits for a commit at most until the deadline, and lets it go on then.
async fn to_its_end<T: Send + 'static>(
    deadline: Deadline,
    commit: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let task = tokio::spawn(commit);
    match tokio::time::timeout_at(deadline.instant(), task).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(Error::internal(format!("commit: {error}"))),
        Err(_) => Err(Error::new(Kind::Timeout, "The request took too long")),
    }
}
