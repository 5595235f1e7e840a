//! The end of a message: the last checks, the commit, and then 250.
//!
//! A commit is never cut off half-way. One that takes too long is withdrawn before the client is told
//! to try again, so that it does not send a message twice. The transport accepts one queue id once,
//! so a commit of unknown outcome is simply asked for again.

use crate::author::{self, Authorship};
use crate::incoming::{Arrived, Incoming};
use crate::reply;
use crate::scan;
use crate::session::{Draft, Login, Outcome, Pace, Session};
use crate::trace;
use base::{ByteShare, Deadline, Error, Kind, QueueId, Result};
use bytes::Bytes;
use codec_smtp::Reply;
use contract_blob::{Content, Place, Segment};
use contract_mailbox::Outgoing;
use contract_transport::authentication::INSIDE_FIELD;
use contract_transport::{Envelope, Fate, Submission, Transport, commit_by};
use std::sync::Arc;
use std::time::Duration;

/// A message that is put together, but for what stands in front of all.
pub(crate) struct Gathered {
    pub(crate) submission: Submission,
    /// What is to stand in front: fields of ours.
    pub(crate) front: Bytes,
    /// Everything before the body but `front`, where scanners are to see it.
    pub(crate) header: Option<Bytes>,
    /// Where the body begins in what is staged.
    pub(crate) body_at: u64,
    /// The memory that it takes.
    shares: Vec<ByteShare>,
}

/// Between a commit that went wrong and the second attempt: long enough for a new owner.
const RETRY_WAIT: Duration = Duration::from_millis(500);

impl Session {
    /// Takes responsibility for a message that has come whole, or says why not.
    pub(crate) async fn hand_over(
        &mut self,
        draft: Draft,
        incoming: Incoming,
        pace: &Pace,
    ) -> Outcome {
        self.noted("a message has come", &format!("{} bytes", pace.bytes()));
        match self.take_over(draft, incoming).await {
            Ok(queue) => Ok(reply::queued(queue)),
            Err(refusal) => {
                self.nuisance.wasted(pace.bytes());
                Ok(self.refused(refusal))
            }
        }
    }

    async fn take_over(&mut self, draft: Draft, incoming: Incoming) -> Result<QueueId, Reply> {
        let arrived = incoming.arrived().await?;
        let size_bytes = arrived.size_bytes;
        let authorship = match &self.login {
            Some(login) => {
                let authorship = author::read(&arrived.header)?;
                authorship.check(self, &login.account, draft.sender.as_ref()).await?;
                authorship
            }
            None => Authorship::default(),
        };
        let started = self.clock().monotonic();
        let recipients = draft.recipients.len();
        let queue = arrived.queue;
        let gathered = self.gather(draft, arrived, &authorship).await;
        let gathered = gathered.map_err(|error| reply::of(&error, "accept"))?;
        match Box::pin(self.scanned(gathered)).await? {
            Some(gathered) => {
                let committed = self.commit(gathered).await;
                committed.map_err(|error| reply::of(&error, "accept"))?;
            }
            None => {
                metrics::counter!("rialto_smtp_messages_total", "result" => "discarded")
                    .increment(1);
                return Ok(queue);
            }
        }
        let took = self.clock().monotonic().saturating_sub(started);
        metrics::histogram!("rialto_smtp_accept_seconds").record(took.as_secs_f64());
        metrics::counter!("rialto_smtp_messages_total", "result" => "accepted").increment(1);
        metrics::counter!("rialto_smtp_message_bytes_total").increment(size_bytes);
        let peer = self.connection.peer();
        tracing::info!(session = %self.id, %queue, %peer, recipients, size_bytes, "accepted");
        self.nuisance.accepted();
        Ok(queue)
    }

    fn refused(&self, refusal: Reply) -> Reply {
        metrics::counter!("rialto_smtp_messages_total", "result" => "refused").increment(1);
        tracing::info!(session = %self.id, peer = %self.connection.peer(), %refusal, "refused");
        refusal
    }

    async fn commit(&self, gathered: Gathered) -> Result<QueueId> {
        let deadline = Deadline::after(self.config().commit_timeout());
        let Gathered { submission, front, shares, .. } = gathered;
        let queue = submission.queue;
        let submission = scan::with_front(submission, front);
        let _held = shares;
        match &self.login {
            Some(login) => self.submit(login, submission, deadline).await,
            None => {
                accept(&self.shared.transport, submission, deadline).await?;
                Ok(queue)
            }
        }
    }

    /// Ends the upload and puts everything together.
    async fn gather(
        &self,
        draft: Draft,
        arrived: Arrived,
        authorship: &Authorship,
    ) -> Result<Gathered> {
        let deadline = Deadline::after(self.config().commit_timeout());
        let Arrived { queue, accepted, source, trace, results, mut parsed, .. } = arrived;
        let (is_scanned, mut header, trace_bytes) =
            (arrived.is_scanned, arrived.header, trace.len());
        let body_at = header.len().saturating_sub(trace_bytes) as u64;
        let mut segments = vec![Segment::Inline(trace)];
        if let Some(login) = &self.login {
            let own = (queue, accepted, self.config().host_name.as_str());
            let from = (!authorship.has_from)
                .then(|| draft.sender.as_ref().unwrap_or(&login.account.address));
            let added = trace::complete(&mut parsed, login, from, own);
            if !added.is_empty() {
                parsed = parsed.shifted(added.len() as u64);
                let at = if arrived.begins_blank { 0 } else { trace_bytes };
                header.splice(at..at, added.iter().copied());
                segments.insert(usize::from(!arrived.begins_blank), Segment::Inline(added));
            }
        }
        // Devices and servers of ours have not signed in: what else would tell them from strangers?
        let is_inside = self.login.is_none() && self.may_relay() && results.is_empty();
        let front = match is_inside {
            true => Bytes::from_static(INSIDE_FIELD.as_bytes()),
            false => results,
        };
        let (mut staged, mut shares, mut held_bytes) = (Vec::new(), arrived.shares, 0);
        if let Some(upload) = arrived.upload {
            let blob =
                to_its_end(deadline, async move { upload.into_inner().finish().await }).await?;
            segments.extend(Content::of(&blob).segments);
            if let Place::Inline(bytes) = &blob.place {
                held_bytes = bytes.len();
            }
            staged.push(blob);
        }
        // Scanners take minutes; others are not to wait for memory that this one holds no more.
        shrink(&mut shares, held_bytes + if is_scanned { header.len() } else { 0 });
        let envelope = Envelope {
            sender: draft.sender,
            recipients: draft.recipients,
            authenticated: self.login.as_ref().map(|login| login.account.id),
            envelope_id: draft.envelope_id,
            return_headers_only: draft.return_headers_only,
            require_tls: draft.require_tls,
            source,
        };
        let content = Content { segments };
        let submission = Submission { queue, envelope, content, staged, parsed: Arc::new(parsed) };
        let header = is_scanned.then(|| header.into());
        Ok(Gathered { submission, front, header, body_at, shares })
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
        let queue = outgoing.submission.queue;
        let commit = async move { mailbox.submit(outgoing).await };
        match to_its_end(commit_by(deadline), commit).await {
            // Before anybody is told to send it again, it must be settled that it was not sent;
            // what broke down may have committed before. A store that does not answer this in time
            // either is waited for by the transport, and a late commit taken back.
            Err(error) if is_unknown(&error) || error.kind == Kind::Internal => {
                match self.shared.transport.withdraw_by(queue, deadline).await {
                    Ok(Fate::Accepted) => Ok(queue),
                    _ => Err(error),
                }
            }
            result => result,
        }
    }
}

/// Gives back what exceeds so many bytes.
fn shrink(shares: &mut Vec<ByteShare>, bytes: usize) {
    let mut left = bytes;
    shares.retain_mut(|share| {
        share.shrink_to(left);
        left = left.saturating_sub(share.bytes());
        share.bytes() > 0
    });
}

/// Accepts, twice if the outcome of the first time is not known.
async fn accept(
    transport: &Arc<dyn Transport>,
    submission: Submission,
    deadline: Deadline,
) -> Result<()> {
    let once = |submission: Submission| transport.accept_by(submission, deadline);
    match once(submission.clone()).await {
        Err(error) if is_unknown(&error) && deadline.remaining() > RETRY_WAIT => {
            tracing::debug!(queue = %submission.queue, ?error, "accepting again");
            tokio::time::sleep(RETRY_WAIT).await;
            once(submission).await
        }
        result => result,
    }
}

/// Whether an error leaves open what was committed.
fn is_unknown(error: &Error) -> bool {
    matches!(error.kind, Kind::Unavailable | Kind::Fenced | Kind::Timeout)
}

/// Waits for a commit at most until the deadline, and lets it go on then.
pub(crate) async fn to_its_end<T: Send + 'static>(
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::ByteBudget;

    #[test]
    fn what_is_held_no_more_is_given_back() {
        let check = |keep: usize, left: usize| {
            let budget = ByteBudget::new(10_240);
            let mut shares: Vec<_> =
                [1_024, 2_048, 512].map(|bytes| budget.try_take(bytes).unwrap()).into();
            shrink(&mut shares, keep);
            assert_eq!(budget.available_bytes(), 10_240 - left, "{keep}");
            assert!(shares.iter().all(|share| share.bytes() > 0), "{keep}");
        };
        check(0, 0);
        check(1, 256);
        check(1_024, 1_024);
        check(1_500, 1_536);
        check(3_584, 3_584);
        check(9_000, 3_584);
    }
}
