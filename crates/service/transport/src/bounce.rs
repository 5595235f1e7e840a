//! Telling the sender: non-delivery and delay reports (RFC 3464), as new messages of our own.
//!
//! A report goes out under the null sender, so that nothing ever answers a report. A message that
//! itself came from the null sender is not reported at all.

use crate::context::Context;
use crate::state::Waiting;
use crate::targets::Failure;
use base::{Address, Result, Timestamp};
use bytes::Bytes;
use codec_mime::SentAt;
use codec_mime::build::{Mailbox, message_id};
use codec_mime::report::{Action, Outcome, Report, Returned};
use contract_blob::Content;
use contract_transport::{Envelope, QueueEntry, Recipient, Source, Submission};
use std::sync::Arc;

/// How much of the original's header a report returns, in bytes.
const HEADER_BYTES_MAX: u64 = 64 * 1024;

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
            status: failure.status,
            text: &failure.text,
        })
        .collect();
    let intro = "Your message could not be delivered to the following recipients:";
    report(context, entry, "Undeliverable", intro, &told).await
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
            text: &waiting.last_error,
        })
        .collect();
    let intro = "Your message has not been delivered to the following recipients yet. \
                 Delivery is still being tried; you need not send it again.";
    report(context, entry, "Delayed", intro, &told).await
}

/// What the sender is told of one recipient.
struct Told<'a> {
    address: String,
    original: Option<String>,
    action: Action,
    status: &'static str,
    text: &'a str,
}

/// The recipient as the sender named it (ORCPT, without its address type).
fn original(entry: &QueueEntry, recipient: usize) -> Option<String> {
    let original = entry.envelope.recipients.get(recipient)?.original.as_deref()?;
    Some(original.split_once(';').map_or(original, |(_, address)| address).to_owned())
}

async fn report(
    context: &Context,
    entry: &QueueEntry,
    word: &str,
    intro: &str,
    told: &[Told<'_>],
) -> Result<Option<Submission>> {
    let Some(sender) = &entry.envelope.sender else {
        tracing::info!(target: "tracking", event = "BADMAIL", source = "DSN", queue = %entry.queue);
        return Ok(None);
    };
    if told.is_empty() {
        return Ok(None);
    }
    let header = original_header(context, entry).await;
    let message = render(context, entry, sender, word, intro, told, &header);
    let mut upload = context.blobs.upload();
    upload.write(message.clone()).await?;
    let staged = upload.finish().await?;
    let source =
        Source { ip: None, helo: context.config.host_name.clone(), protocol: "local".into() };
    let envelope = Envelope {
        sender: None,
        recipients: vec![Recipient::plain(sender.clone())],
        authenticated: None,
        envelope_id: None,
        return_headers_only: false,
        source,
    };
    let queue = context.new_queue_id();
    tracing::info!(
        target: "tracking", event = "DSN", source = "DSN",
        queue = %entry.queue, report = %queue, recipient = %sender,
    );
    Ok(Some(Submission {
        queue,
        envelope,
        content: Content::of(&staged),
        parsed: Arc::new(codec_mime::parse(&message)),
        staged: vec![staged],
    }))
}

/// The original's header; empty where it cannot be read, for the sender must be told all the same.
async fn original_header(context: &Context, entry: &QueueEntry) -> Bytes {
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

fn render(
    context: &Context,
    entry: &QueueEntry,
    sender: &Address,
    word: &str,
    intro: &str,
    told: &[Told<'_>],
    header: &[u8],
) -> Bytes {
    let host = context.config.host_name.as_str();
    let parsed = codec_mime::parse(header);
    let subject = match &parsed.envelope.subject {
        Some(subject) => format!("{word}: {}", codec_mime::encoded_word::decode(subject)),
        None => word.to_owned(),
    };
    let original_id =
        parsed.message_id.as_ref().map(|id| format!("<{}>", String::from_utf8_lossy(id)));
    let unique = format!("{:032x}", context.env.random.u128());
    let outcomes: Vec<Outcome<'_>> = told.iter().take(NAMED_MAX).map(Told::outcome).collect();
    let at = sent_at(context.env.clock.now());
    let postmaster = format!("postmaster@{host}");
    Report {
        from: Mailbox { name: Some("Mail Delivery System"), email: &postmaster },
        to: &sender.to_string(),
        subject: &subject,
        message_id: &message_id(&unique, host),
        original_message_id: original_id.as_deref(),
        at,
        boundary: &format!("report-{unique}"),
        text: &text(host, intro, told),
        reporting_mta: host,
        envelope_id: entry.envelope.envelope_id.as_deref(),
        arrived_at: Some(sent_at(entry.accepted)),
        recipients: &outcomes,
        returned: Returned::Header,
    }
    .build(header)
    .into()
}

impl<'a> Told<'a> {
    fn outcome(&'a self) -> Outcome<'a> {
        Outcome {
            original_recipient: self.original.as_deref(),
            final_recipient: &self.address,
            action: self.action,
            status: self.status,
            remote_mta: None,
            diagnostic: None,
            last_attempt_at: None,
            will_retry_until: None,
        }
    }
}

/// The explanation for people.
fn text(host: &str, intro: &str, told: &[Told<'_>]) -> String {
    let mut text = format!("This is the mail system at {host}.\n\n{intro}\n\n");
    for one in told.iter().take(NAMED_MAX) {
        text.push_str(&format!("  {}\n    {} ({})\n", one.address, one.text, one.status));
    }
    if told.len() > NAMED_MAX {
        text.push_str(&format!("  and {} more\n", told.len() - NAMED_MAX));
    }
    text
}

fn sent_at(moment: Timestamp) -> SentAt {
    SentAt { unix_seconds: moment.unix_s(), offset_minutes: 0 }
}
