//! Telling the sender: reports of failures, delays, and, where asked for, of mail that was
//! delivered or passed on to a server that reports nothing (RFC 3464), as new messages of our own.
//!
//! A failure returns the message itself to people of ours, unless they do not want that or it is
//! large; any other report returns the header. Whoever has forged the sender of a message must not
//! make us send its text to a stranger, and the servers of strangers may not take all of it. The
//! words are in the sender's language ([`Language`]).
//!
//! A report goes out under the null sender, so that nothing ever answers a report. A message that
//! itself came from the null sender is not reported at all.

mod language;

pub use language::Language;

use crate::context::Context;
use crate::remote_domains;
use crate::routing::Choice;
use crate::signing;
use crate::state::Waiting;
use crate::success::Success;
use crate::targets::Failure;
use base::{Address, Result, Timestamp};
use bytes::Bytes;
use codec_mime::build::{Mailbox, message_id};
use codec_mime::report::{Action, Outcome, Report, Returned};
use codec_mime::{Limits, ParsedMessage, Scanner, SentAt};
use contract_blob::{Content, Segment, Staged};
use contract_directory::Resolved;
use contract_transport::courier::Answer;
use contract_transport::remote::RemoteDomain;
use contract_transport::{Envelope, QueueEntry, Recipient, Source, Submission};
use futures::StreamExt;
use language::About;
use std::sync::Arc;

/// How much of the original's header a report returns, in bytes.
const HEADER_BYTES_MAX: u64 = 64 * 1024;

/// The largest message that comes back as a whole, in bytes (Exchange:
/// ExternalDsnMaxMessageAttachSize, 10 MB); of a larger one the header does.
const RETURN_BYTES_MAX: u64 = 10 << 20;

/// What a report may add to the message that it returns, in bytes.
const AROUND_BYTES: u64 = 128 * 1024;

/// How many recipients one report names; of the others only the number is told.
const NAMED_MAX: usize = 100;

/// The report of failures; `None` if the sender is not to be told.
///
/// # Errors
/// The blob store's.
pub(crate) async fn failed(
    context: &Context,
    entry: &QueueEntry,
    failures: &[Failure],
) -> Result<Option<Submission>> {
    let wanted = |failure: &&Failure| {
        let recipient = entry.envelope.recipients.get(failure.recipient);
        recipient.is_none_or(|recipient| recipient.notify.failure)
    };
    let told: Vec<Told> = failures
        .iter()
        .filter(wanted)
        .map(|failure| Told {
            address: failure.address.to_string(),
            original: original(entry, failure.recipient),
            action: Action::Failed,
            status: &failure.status,
            text: one_line(&failure.text),
            remote: failure.remote.as_ref(),
            retry_until: None,
        })
        .collect();
    report(context, entry, About::Failure, &told).await
}

/// The report of a delay; `None` if the sender is not to be told.
///
/// # Errors
/// The blob store's.
pub(crate) async fn delayed(
    context: &Context,
    entry: &QueueEntry,
    waiting: &[Waiting],
) -> Result<Option<Submission>> {
    let wanted = |waiting: &&Waiting| {
        let recipient = entry.envelope.recipients.get(waiting.recipient);
        recipient.is_none_or(|recipient| recipient.notify.delay)
    };
    let told: Vec<Told> = waiting
        .iter()
        .filter(wanted)
        .map(|waiting| Told {
            address: waiting.address.to_string(),
            original: original(entry, waiting.recipient),
            action: Action::Delayed,
            status: "4.4.7",
            text: one_line(&waiting.last_error),
            remote: None,
            retry_until: Some(entry.accepted.plus_ms(context.config.expiry_ms)),
        })
        .collect();
    report(context, entry, About::Delay, &told).await
}

/// A recipient whose server has the message now, and will not report on it.
#[derive(Debug)]
pub(crate) struct Relayed {
    pub(crate) address: Address,
    /// Through which recipient of the envelope.
    pub(crate) recipient: usize,
    /// What the server said.
    pub(crate) answer: Answer,
}

/// The report of what was passed on; `None` if there is nothing to tell. Only those belong here
/// whose sender has asked for it.
///
/// # Errors
/// The blob store's.
pub(crate) async fn relayed(
    context: &Context,
    entry: &QueueEntry,
    relayed: &[Relayed],
) -> Result<Option<Submission>> {
    if entry.envelope.sender.is_none() {
        return Ok(None);
    }
    let told: Vec<Told> = relayed
        .iter()
        .map(|one| Told {
            address: one.address.to_string(),
            original: original(entry, one.recipient),
            action: Action::Relayed,
            status: "2.0.0",
            text: String::new(),
            remote: Some(&one.answer),
            retry_until: None,
        })
        .collect();
    report(context, entry, About::Relay, &told).await
}

/// The report of what has arrived; `None` if there is nothing to tell.
///
/// # Errors
/// The blob store's.
pub(crate) async fn succeeded(
    context: &Context,
    entry: &QueueEntry,
    successes: &[Success],
) -> Result<Option<Submission>> {
    if entry.envelope.sender.is_none() {
        return Ok(None);
    }
    let told: Vec<Told> = successes
        .iter()
        .map(|one| Told {
            address: one.address.to_string(),
            original: original(entry, one.recipient),
            action: one.action,
            status: "2.0.0",
            text: String::new(),
            remote: None,
            retry_until: None,
        })
        .collect();
    report(context, entry, About::Delivery, &told).await
}

/// What the sender is told of one recipient.
struct Told<'a> {
    address: String,
    original: Option<String>,
    action: Action,
    status: &'a str,
    text: String,
    /// What another server said.
    remote: Option<&'a Answer>,
    /// When trying ends.
    retry_until: Option<Timestamp>,
}

/// Text from elsewhere as one line.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// The recipient as the sender named it (ORCPT, without its address type).
fn original(entry: &QueueEntry, recipient: usize) -> Option<String> {
    let original = entry.envelope.recipients.get(recipient)?.original.as_deref()?;
    Some(original.split_once(';').map_or(original, |(_, address)| address).to_owned())
}

async fn report(
    context: &Context,
    entry: &QueueEntry,
    about: About,
    told: &[Told<'_>],
) -> Result<Option<Submission>> {
    if told.is_empty() {
        return Ok(None);
    }
    let Some(sender) = &entry.envelope.sender else {
        tracing::info!(target: "tracking", event = "BADMAIL", source = "DSN", queue = %entry.queue);
        return Ok(None);
    };
    let may_go = |remote: &RemoteDomain| match about {
        About::Failure => remote.failures,
        _ => remote.reports,
    };
    if !remote_domains::allows(context, &sender.domain, may_go).await? {
        tracing::info!(queue = %entry.queue, %sender, "no report goes to that remote domain");
        return Ok(None);
    }
    let header = original_header(context, entry).await;
    let language = Language::of(&header).unwrap_or_else(|| context.report_language());
    let rendering = Rendering { context, entry, sender, about, language, told, header: &header };
    let Written { content, parsed, staged } = rendering.write().await?;
    let source =
        Source { ip: None, helo: context.config.host_name.clone(), protocol: "local".into() };
    let envelope = Envelope {
        sender: None,
        recipients: vec![Recipient::plain(sender.clone())],
        authenticated: None,
        envelope_id: None,
        return_headers_only: false,
        require_tls: false,
        source,
    };
    let queue = context.new_queue_id();
    tracing::info!(
        target: "tracking", event = "DSN", source = "DSN",
        queue = %entry.queue, report = %queue, recipient = %sender,
    );
    Ok(Some(Submission { queue, envelope, content, parsed, staged: vec![staged] }))
}

/// The original's header; empty where it cannot be read, for the sender must be told all the same.
pub(crate) async fn original_header(context: &Context, entry: &QueueEntry) -> Bytes {
    let start = entry.content.slice(0..HEADER_BYTES_MAX);
    let bytes = match start.read_all(&context.blobs, HEADER_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!(queue = %entry.queue, %error, "a bounce goes without the header");
            return Bytes::new();
        }
    };
    let end = codec_mime::parse(&bytes).header_end();
    let end = usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(..end)
}

/// A report that is being written.
struct Rendering<'a> {
    context: &'a Context,
    entry: &'a QueueEntry,
    sender: &'a Address,
    about: About,
    language: Language,
    told: &'a [Told<'a>],
    header: &'a Bytes,
}

/// A report as it is stored.
struct Written {
    content: Content,
    parsed: Arc<ParsedMessage>,
    /// What of it is new.
    staged: Staged,
}

impl Rendering<'_> {
    async fn write(&self) -> Result<Written> {
        let unique = format!("{:032x}", self.context.env.random.u128());
        if self.returns_all().await {
            match self.write_all(&unique).await {
                Ok(written) => return Ok(written),
                // The sender must be told all the same.
                Err(error) => {
                    let queue = self.entry.queue;
                    tracing::warn!(%queue, %error, "a bounce goes without the message");
                }
            }
        }
        let build = |report: Report<'_>| report.build(self.header);
        let message = Bytes::from(self.with_report(Returned::Header, &unique, build));
        let staged = self.upload(message.clone()).await?;
        let parsed = Arc::new(codec_mime::parse(&message));
        Ok(Written { content: Content::of(&staged), parsed, staged })
    }

    /// Whether the message itself comes back: of failures only, unless the sender wants no more
    /// than the header (RFC 3461 §4.3), not of large messages, and to people of ours only.
    async fn returns_all(&self) -> bool {
        let Self { context, about, entry, sender, .. } = self;
        let size_bytes = entry.content.size_bytes();
        // What must not travel without TLS must not come back without it (RFC 8689 §5).
        let envelope = &entry.envelope;
        let headers_only = envelope.return_headers_only || envelope.require_tls;
        let wanted = *about == About::Failure && !headers_only;
        if !wanted || size_bytes > RETURN_BYTES_MAX {
            return false;
        }
        match context.directory.resolve(sender).await {
            Ok(Resolved::Account(_) | Resolved::Group(_)) => true,
            Ok(Resolved::Elsewhere) if signing::is_ours(entry) => {
                let choice = context.connectors.choose(&sender.domain, size_bytes + AROUND_BYTES);
                matches!(choice.await, Ok(Choice::Connector(_)))
            }
            Ok(Resolved::Elsewhere | Resolved::Unknown | Resolved::Contact(_)) | Err(_) => false,
        }
    }

    /// The report around the message, of which nothing is copied: only what is around it is new.
    async fn write_all(&self, unique: &str) -> Result<Written> {
        let build = |report: Report<'_>| (report.head(), report.tail());
        let (head, tail) = self.with_report(Returned::Message, unique, build);
        let (head, tail) = (Bytes::from(head), Bytes::from(tail));
        let mut scanner = Scanner::new(Limits::default());
        scanner.push(&head);
        let mut original = self.entry.content.read(&self.context.blobs);
        while let Some(piece) = original.next().await {
            scanner.push(&piece?);
        }
        scanner.push(&tail);
        let staged = self.upload(head).await?;
        let mut content = Content::of(&staged);
        content.segments.extend(self.entry.content.segments.iter().cloned());
        content.segments.push(Segment::Inline(tail));
        Ok(Written { content, parsed: Arc::new(scanner.finish()), staged })
    }

    async fn upload(&self, bytes: Bytes) -> Result<Staged> {
        let mut upload = self.context.blobs.upload();
        upload.write(bytes).await?;
        upload.finish().await
    }

    fn with_report<T>(
        &self,
        returned: Returned,
        unique: &str,
        build: impl FnOnce(Report<'_>) -> T,
    ) -> T {
        let Self { context, entry, sender, about, language, told, header } = *self;
        let host = context.config.host_name.as_str();
        let parsed = codec_mime::parse(header);
        let subject = parsed.envelope.subject.as_ref();
        let subject = subject.map(|subject| codec_mime::encoded_word::decode(subject));
        let original_id =
            parsed.message_id.as_ref().map(|id| format!("<{}>", String::from_utf8_lossy(id)));
        let remotes: Vec<_> = told.iter().take(NAMED_MAX).map(Told::remote).collect();
        let outcomes: Vec<Outcome<'_>> =
            told.iter().zip(&remotes).map(|(told, remote)| told.outcome(remote)).collect();
        let postmaster = format!("postmaster@{host}");
        build(Report {
            from: Mailbox { name: Some("Mail Delivery System"), email: &postmaster },
            to: &sender.to_string(),
            subject: &language.subject(about, subject.as_deref()),
            message_id: &message_id(unique, host),
            original_message_id: original_id.as_deref(),
            at: sent_at(context.env.clock.now()),
            boundary: &format!("report-{unique}"),
            text: &text(language, about, host, told),
            reporting_mta: host,
            envelope_id: entry.envelope.envelope_id.as_deref(),
            arrived_at: Some(sent_at(entry.accepted)),
            recipients: &outcomes,
            returned,
        })
    }
}

/// The host that decided, and its reply, as report fields have them.
type RemoteFields = (Option<String>, Option<String>);

impl Told<'_> {
    fn remote(&self) -> RemoteFields {
        let Some(Answer { code, status, text, host: Some(host) }) = self.remote else {
            return (None, None);
        };
        let name = host.split_whitespace().next().map(str::to_owned);
        let diagnostic = (*code != 0).then(|| format!("{code} {status} {}", one_line(text)));
        (name, diagnostic)
    }

    fn outcome<'a>(&'a self, (remote, diagnostic): &'a RemoteFields) -> Outcome<'a> {
        Outcome {
            original_recipient: self.original.as_deref(),
            final_recipient: &self.address,
            action: self.action,
            status: self.status,
            remote_mta: remote.as_deref(),
            diagnostic: diagnostic.as_deref(),
            last_attempt_at: None,
            will_retry_until: self.retry_until.map(sent_at),
        }
    }
}

/// The explanation for people.
fn text(language: Language, about: About, host: &str, told: &[Told<'_>]) -> String {
    let mut text = language.opening(about, host);
    for one in told.iter().take(NAMED_MAX) {
        text.push_str(&format!("  {}\n", one.address));
        let lines = language.outcome(one.action, one.status, &one.text);
        lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
        if let (Some(host), Some(reply)) = one.remote() {
            text.push_str(&format!("    {}\n", language.said(&host, &reply)));
        }
    }
    if told.len() > NAMED_MAX {
        text.push_str(&format!("  {}\n", language.more(told.len() - NAMED_MAX)));
    }
    text
}

fn sent_at(moment: Timestamp) -> SentAt {
    SentAt { unix_seconds: moment.unix_s(), offset_minutes: 0 }
}
